//! `state check`, `state backup` and `state forget`: the state as a thing to care for.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::diagnostic::nearest::nearest;
use crate::model::ids::PipelineName;
use crate::project::error::OpsError;
use crate::project::wiring::Project;
use crate::state::care::{self, Forgotten};
use crate::state::open::Seen;

/// What `state` prints with `--format json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(title = "Syncline state")]
pub struct StateReport {
    /// The file that was looked at, or the copy that was made.
    pub path: String,
    /// Its version.
    pub version: u32,
    /// The version that this program writes.
    pub version_known: u32,
    /// Its size, with its log.
    pub bytes: u64,
    /// What is wrong with it: nothing where it is sound.
    pub problems: Vec<String>,
    /// What `state forget` took out.
    pub forgotten: Option<ForgottenView>,
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

/// Goes through the state's file.
///
/// Errors: there is none; it is no state, or of a later version.
pub fn check(project: &Project) -> Result<StateReport, OpsError> {
    let path = project.state_path();
    must_be_there(&path)?;
    let (seen, problems) = care::check(&path)?;
    Ok(report(&path, seen, problems))
}

/// Copies the state into a new file, also while it is in use.
///
/// Errors: as [`check`]; the place is taken or cannot be written.
pub fn backup(project: &Project, to: &Path) -> Result<StateReport, OpsError> {
    let path = project.state_path();
    must_be_there(&path)?;
    // Said here, where it is a name that the person chose, and not a trouble of the disk.
    if to.symlink_metadata().is_ok() {
        let message = format!("`{}` already exists, and a copy replaces nothing", to.display());
        return Err(OpsError::refused("SL6005", message, "name another file"));
    }
    let seen = care::backup(&path, to)?;
    Ok(report(to, seen, Vec::new()))
}

/// What `forget` would take out.
///
/// Errors: as [`check`]; nothing is known of such a pipeline.
pub fn known_of(project: &Project, name: &str) -> Result<ForgottenView, OpsError> {
    let path = project.state_path();
    must_be_there(&path)?;
    care::known_of(&path, &PipelineName::new(name))?
        .map(|found| view(name, found))
        .ok_or_else(|| unknown(project, name))
}

/// Takes out everything that is remembered of a pipeline.
///
/// Errors: as [`known_of`]; a run of it is under way.
pub fn forget(project: &Project, name: &str) -> Result<StateReport, OpsError> {
    let path = project.state_path();
    must_be_there(&path)?;
    let holder = format!("syncline state forget, process {}", std::process::id());
    let found = care::forget(&path, &PipelineName::new(name), &holder)?.ok_or_else(|| unknown(project, name))?;
    let seen = care::look(&path)?;
    Ok(StateReport { forgotten: Some(view(name, found)), ..report(&path, seen, Vec::new()) })
}

fn report(path: &Path, seen: Seen, problems: Vec<String>) -> StateReport {
    StateReport {
        path: path.display().to_string(),
        version: seen.version,
        version_known: seen.known,
        bytes: seen.bytes,
        problems,
        forgotten: None,
    }
}

fn view(name: &str, found: Forgotten) -> ForgottenView {
    let Forgotten { records, associations, failures, runs } = found;
    ForgottenView { pipeline: name.to_owned(), records, associations, failures, runs }
}

fn must_be_there(path: &Path) -> Result<(), OpsError> {
    match path.exists() {
        true => Ok(()),
        false => Err(OpsError::refused(
            "SL6006",
            format!("there is no state yet: `{}`", path.display()),
            "the first run creates it; `--target` chooses another target's",
        )),
    }
}

fn unknown(project: &Project, name: &str) -> OpsError {
    let near = nearest(name, project.loaded.pipelines.iter().map(|pipeline| pipeline.config.name.as_str()));
    let help =
        near.map_or_else(|| "`syncline status` lists pipelines".to_owned(), |near| format!("did you mean `{near}`?"));
    OpsError::refused("SL6006", format!("the state knows nothing of a pipeline `{name}`"), help)
}
