//! A project as it was at a git revision, and which of its pipelines were another then.

use std::path::Path;

use super::error::OpsError;
use crate::catalog::{Catalog, folder, is_called};
use crate::config::env::Environment;
use crate::config::files::Files;
use crate::config::load::{Loaded, load};
use crate::config::project::{PORTALS_FOLDER, PROJECT_FILE};
use crate::config::read::FILE_BYTES_MAX;
use crate::config::{targets, typed, yaml};
use crate::model::change::{DefinitionStanding, PipelineDiff};
use crate::review;
use crate::sys::git::{Commit, GitError, Repository};

/// A project as it was.
pub struct Base {
    /// The commit.
    pub commit: Commit,
    /// Its files.
    pub files: Files,
}

/// The files of the project at the revision from which today's work branched off.
///
/// Errors: no git, no repository, an unknown revision.
pub fn base(root: &Path, reference: &str) -> Result<Base, OpsError> {
    let repository = Repository::find(root).map_err(refused)?;
    let commit = repository.base(reference).map_err(refused)?;
    let project = repository.files(&commit, &[PROJECT_FILE]).map_err(refused)?;
    let mut folders =
        vec![PROJECT_FILE.to_owned(), folder::FOLDER.to_owned(), "pipelines".to_owned(), PORTALS_FOLDER.to_owned()];
    // The folder as it was called then, which may not be its name today.
    folders.extend(project.get(PROJECT_FILE).and_then(|text| pipelines_folder(text)));
    let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
    let files = repository.files(&commit, &folders).map_err(refused)?;
    Ok(Base { commit, files: Files::Snapshot(files) })
}

/// The definitions as they were, of the same target where there was one of its name.
pub fn earlier(base: &Base, target: Option<&str>) -> Loaded {
    // Only the target is known of the environment then: secrets of today say nothing of a revision.
    let variables = |name: &str| target.filter(|_| name == targets::VARIABLE).map(str::to_owned);
    load(&base.files, Environment::Optional(&variables))
}

/// The pipelines that are not what they were. An object may go by another of its names, which the catalogs know.
pub fn changed_pipelines(before: &Loaded, after: &Loaded, catalogs: [&Catalog; 2]) -> Vec<PipelineDiff> {
    let same_object = |connection: &str, one: &str, other: &str| {
        let named =
            |catalog: &&Catalog| catalog.target(connection, one).is_some_and(|entry| is_called(&entry.object, other));
        one.eq_ignore_ascii_case(other) || catalogs.iter().any(named)
    };
    let mut changed = review::compare(before, after, &same_object);
    // What cannot be decoded is not gone.
    changed.retain(|diff| {
        diff.standing != DefinitionStanding::Removed || after.broken.iter().all(|broken| broken.name() != diff.name)
    });
    changed
}

/// Pipelines whose definition is not what it was at a revision, new ones among them.
pub fn modified(after: &Loaded, reference: &str) -> Result<Vec<String>, OpsError> {
    let base = base(&after.root, reference)?;
    let before = earlier(&base, after.target.as_deref());
    let (old, _, _) = folder::read(&base.files, &folder::of_target(before.target.as_deref()));
    let (new, _, _) = folder::read(&after.definitions, &folder::of_target(after.target.as_deref()));
    let changed = changed_pipelines(&before, after, [&old, &new]).into_iter();
    let there =
        // A moved file changes nothing that a command could act on.
        changed.filter(|diff| !matches!(diff.standing, DefinitionStanding::Removed | DefinitionStanding::Moved));
    // Of a file that cannot be decoded, only its text can be compared.
    let text = |file: &str| {
        after.files.iter().find(|loaded_file| &*loaded_file.name == file).map(|loaded_file| loaded_file.text.as_bytes())
    };
    let differs = |file: &str| base.files.read(file, FILE_BYTES_MAX).ok().as_deref() != text(file);
    let broken =
        after.broken.iter().filter(|pipeline| differs(&pipeline.file)).map(|pipeline| pipeline.name().to_owned());
    Ok(there.map(|diff| diff.name).chain(broken).collect())
}

/// The folder of the pipelines, as a syncline.yaml names it.
fn pipelines_folder(text: &[u8]) -> Option<String> {
    let value = yaml::to_json(&typed::parse(std::str::from_utf8(text).ok()?).ok()?);
    Some(value["pipelines"].as_str()?.to_owned())
}

/// What git says, as a command's error.
pub fn refused(error: GitError) -> OpsError {
    let message = error.to_string();
    match error {
        GitError::NotInstalled => OpsError::refused("SL1014", message, "install git, or check that it is on the PATH"),
        GitError::NotARepository(_) => OpsError::refused(
            "SL1014",
            message,
            "changes are compared with a git revision: `git init` and commit the project first",
        ),
        GitError::UnknownRevision { shallow: true, .. } => OpsError::refused(
            "SL1015",
            message,
            "this clone holds only part of the history: fetch the rest (`git fetch --unshallow`; in a workflow `fetch-depth: 0`)",
        ),
        GitError::UnknownRevision { .. } => OpsError::refused(
            "SL1015",
            message,
            "name a branch, a tag or a commit: `--base origin/main`; fetch it first where it is not there",
        ),
        GitError::Bare(_) => OpsError::refused(
            "SL1016",
            message,
            "git was not called; move these files out of the project, or work in a folder beside them",
        ),
        GitError::Failed(_) => {
            OpsError::refused("SL1016", message, "run `git status` in the project's folder and do what it says")
        }
    }
}
