//! `state check`, `state backup` and `state forget`: the state as a thing to care for.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::diagnostic::nearest::nearest;
use crate::model::ids::PipelineName;
use crate::project::error::OpsError;
use crate::project::state::StatePlace;
use crate::project::wiring::Project;
use crate::state::care::{self, Forgotten};
use crate::state::cared::{Cared, CaredFile};
use crate::state::open::Seen;

/// What `state` prints with `--format json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(title = "Syncline state")]
pub struct StateReport {
    /// The file that was looked at, or the copy that was made; in PostgreSQL, the address.
    pub path: String,
    /// Its version.
    pub version: u32,
    /// The version that this program writes.
    pub version_known: u32,
    /// Its size, with its log; in PostgreSQL, that of all states of the database.
    pub bytes: u64,
    /// What is wrong with it: nothing where it is sound.
    pub problems: Vec<String>,
    /// What `state forget` took out.
    pub forgotten: Option<ForgottenView>,
    /// What `state copy` copied.
    pub copied: Option<CopiedView>,
}

/// What was copied from one state to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CopiedView {
    /// The state that was copied; it stays as it is.
    pub from: String,
    /// A copy that had been broken off was gone on with.
    pub resumed: bool,
    /// What both hold, table by table.
    pub tables: Vec<CopiedTable>,
}

/// What both states hold of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CopiedTable {
    /// Its name.
    pub table: String,
    /// Its rows.
    pub rows: u64,
    /// A hash over all of them, which is the same in both states.
    pub hash: String,
}

/// What was taken out of a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ForgottenView {
    /// The pipeline.
    pub pipeline: String,
    /// Records whose identities were known.
    pub records: u64,
    /// Lookups that associations were made for, or were to be.
    pub associations: u64,
    /// Failures.
    pub failures: u64,
    /// Runs.
    pub runs: u64,
}

/// Goes through the state.
///
/// Errors: there is none; it is no state, or of a later version.
pub async fn check(project: &Project) -> Result<StateReport, OpsError> {
    let state = project.state_to_care_for(false)?;
    must_be_there(&*state).await?;
    let (seen, problems) = state.check().await?;
    Ok(report(state.shown(), seen, problems))
}

/// Copies the state into a new file, also while it is in use.
///
/// Errors: as [`check`]; the place is taken or cannot be written; the state is in a database, which has its own ways.
pub async fn backup(project: &Project, to: &Path) -> Result<StateReport, OpsError> {
    let path = match project.state_place()? {
        StatePlace::File(path) => path,
        StatePlace::Server(address) => {
            let message = format!("`{address}` is in PostgreSQL, which is backed up by its own tools");
            let help = "`pg_dump --schema=syncline` writes all states of a database to a file, also while they are in use; see docs/deploy/postgres.md";
            return Err(OpsError::refused("SL6005", message, help));
        }
    };
    must_be_there(&CaredFile(path.clone())).await?;
    // Said here, where it is a name that the person chose, and not a trouble of the disk.
    if to.symlink_metadata().is_ok() {
        let message = format!("`{}` already exists, and a copy replaces nothing", to.display());
        return Err(OpsError::refused("SL6005", message, "name another file"));
    }
    let seen = care::backup(&path, to)?;
    Ok(report(to.display().to_string(), seen, Vec::new()))
}

/// What `forget` would take out.
///
/// Errors: as [`check`]; nothing is known of such a pipeline.
pub async fn known_of(project: &Project, name: &str) -> Result<ForgottenView, OpsError> {
    let state = project.state_to_care_for(false)?;
    must_be_there(&*state).await?;
    let found = state.known_of(&PipelineName::new(name)).await?;
    found.map(|found| view(name, found)).ok_or_else(|| unknown(project, name))
}

/// Takes out everything that is remembered of a pipeline.
///
/// Errors: as [`known_of`]; a run of it is under way.
pub async fn forget(project: &Project, name: &str) -> Result<StateReport, OpsError> {
    must_be_there(&*project.state_to_care_for(false)?).await?;
    let state = project.state_to_care_for(true)?;
    let holder = format!("syncline state forget, process {}", std::process::id());
    let found = state.forget(&PipelineName::new(name), &holder).await?.ok_or_else(|| unknown(project, name))?;
    let seen = must_be_there(&*state).await?;
    Ok(StateReport { forgotten: Some(view(name, found)), ..report(state.shown(), seen, Vec::new()) })
}

/// What was seen of a state.
pub fn report(path: String, seen: Seen, problems: Vec<String>) -> StateReport {
    let Seen { version, known, bytes } = seen;
    StateReport { path, version, version_known: known, bytes, problems, forgotten: None, copied: None }
}

fn view(name: &str, found: Forgotten) -> ForgottenView {
    let Forgotten { records, associations, failures, runs } = found;
    ForgottenView { pipeline: name.to_owned(), records, associations, failures, runs }
}

async fn must_be_there(state: &dyn Cared) -> Result<Seen, OpsError> {
    state.look().await?.ok_or_else(|| {
        OpsError::refused(
            "SL6006",
            format!("there is no state yet: `{}`", state.shown()),
            "the first run creates it; `--target` chooses another target's",
        )
    })
}

fn unknown(project: &Project, name: &str) -> OpsError {
    let near = nearest(name, project.loaded.pipelines.iter().map(|pipeline| pipeline.config.name.as_str()));
    let help =
        near.map_or_else(|| "`syncline status` lists pipelines".to_owned(), |near| format!("did you mean `{near}`?"));
    OpsError::refused("SL6006", format!("the state knows nothing of a pipeline `{name}`"), help)
}
