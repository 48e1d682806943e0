//! `diff`: the definitions of today against those of a git revision, in terms of mapping.

use std::path::Path;

use super::catalog::touched;
use super::error::OpsError;
use crate::catalog::drift::moves;
use crate::catalog::{folder, is_called};
use crate::config::env::{Environment, Variables};
use crate::config::files::Files;
use crate::config::load::{Loaded, PROJECT_FILE, load};
use crate::config::select::select;
use crate::config::yaml;
use crate::diagnostic::{Diagnostic, Severity};
use crate::model::change::{DefinitionDiff, DefinitionStanding};
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
    let mut folders = vec![PROJECT_FILE.to_owned(), folder::FOLDER.to_owned(), "pipelines".to_owned()];
    folders.extend(project.get(PROJECT_FILE).and_then(|text| pipelines_folder(text)));
    let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
    let files = repository.files(&commit, &folders).map_err(refused)?;
    Ok(Base { commit, files: Files::Snapshot(files) })
}

/// What changed since a revision; of the pipelines that are named, or of all.
///
/// Errors: as [`base`]; definitions that cannot be read; a name that no pipeline has.
pub fn diff(
    root: &Path,
    variables: Variables<'_>,
    reference: &str,
    names: &[String],
) -> Result<DefinitionDiff, OpsError> {
    let base = base(root, reference)?;
    let after = load(&Files::Folder(root.to_owned()), Environment::Optional(variables));
    if after.findings.iter().any(unreadable) {
        return Err(OpsError::Findings(Box::new(after)));
    }
    let mut diff = compare(&base, &after, reference);
    if !names.is_empty() {
        let mut known: Vec<&str> = after.pipelines.iter().map(|own| own.config.name.as_str()).collect();
        known.extend(diff.pipelines.iter().map(|own| own.name.as_str()));
        known.sort_unstable();
        known.dedup();
        let chosen =
            select(&known, names).map_err(|message| OpsError::Refused { code: "SL2012", message, help: None })?;
        let chosen: Vec<String> = chosen.into_iter().map(|at| known[at].to_owned()).collect();
        diff.pipelines.retain(|own| chosen.contains(&own.name));
    }
    Ok(diff)
}

/// The definitions as they were.
pub fn earlier(base: &Base) -> Loaded {
    load(&base.files, Environment::Optional(&|_| None))
}

/// Compares a project as it was with a loaded one.
pub fn compare(base: &Base, after: &Loaded, reference: &str) -> DefinitionDiff {
    let before = earlier(base);
    let today = Files::Folder(after.root.clone());
    let ((old, _, _), (new, _, _)) = (folder::read(&base.files), folder::read(&today));
    let same_object = |connection: &str, one: &str, other: &str| {
        let named = |catalog: &crate::catalog::Catalog| {
            catalog.target(connection, one).is_some_and(|own| is_called(&own.object, other))
        };
        one.eq_ignore_ascii_case(other) || named(&new) || named(&old)
    };
    let text = |loaded: &Loaded| loaded.files.iter().find(|file| &*file.name == PROJECT_FILE).cloned();
    let project = match (text(&before), text(after)) {
        (Some(was), Some(is)) if !was.text.is_empty() => review::project_changes(&was.text, &is),
        _ => Vec::new(),
    };
    let moved = if old.is_empty() { Vec::new() } else { moves(&old, &new) };
    let used = touched(&after.pipelines, moved, &[&old, &new]).into_iter().filter(|own| !own.pipelines.is_empty());
    let sentence = |own: super::catalog::Touched| {
        let item = own.moved.item.map(|item| format!(".{item}")).unwrap_or_default();
        format!("{}{item} {} ({})", own.moved.object, own.moved.message, own.pipelines.join(", "))
    };
    let unread = before.findings.iter().filter(|finding| unreadable(finding) && &*finding.file != PROJECT_FILE);
    let note = |finding: &Diagnostic| {
        format!("{} could not be read as it was at {reference}: {}", finding.file, finding.message)
    };
    DefinitionDiff {
        base: reference.to_owned(),
        commit: base.commit.short().to_owned(),
        pipelines: review::compare(&before, after, &same_object),
        project,
        catalog: used.map(sentence).collect(),
        notes: unread.map(note).collect(),
    }
}

/// Compares two versions of the pipelines that are loaded both; `base` is what the earlier one is called.
pub fn between(before: &Loaded, after: &Loaded, base: &str) -> DefinitionDiff {
    let same_object = |_: &str, one: &str, other: &str| one.eq_ignore_ascii_case(other);
    DefinitionDiff {
        base: base.to_owned(),
        commit: String::new(),
        pipelines: review::compare(before, after, &same_object),
        project: Vec::new(),
        catalog: Vec::new(),
        notes: Vec::new(),
    }
}

/// Pipelines whose definition is not what it was at a revision, new ones among them.
pub fn modified(after: &Loaded, reference: &str) -> Result<Vec<String>, OpsError> {
    let base = base(&after.root, reference)?;
    let changed = compare(&base, after, reference).pipelines.into_iter();
    let there = changed.filter(|own| !matches!(own.standing, DefinitionStanding::Removed | DefinitionStanding::Moved));
    Ok(there.map(|own| own.name).collect())
}

/// Whether a finding keeps a file from being decoded at all; what rules say of it does not.
fn unreadable(finding: &Diagnostic) -> bool {
    finding.severity == Severity::Error && finding.code.starts_with("SL1")
}

/// The folder of the pipelines, as a syncline.yaml names it.
fn pipelines_folder(text: &[u8]) -> Option<String> {
    let value = yaml::to_json(&yaml::parse(std::str::from_utf8(text).ok()?).ok()?);
    Some(value["pipelines"].as_str()?.to_owned())
}

fn refused(error: GitError) -> OpsError {
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
            "this clone holds a part of the history only: fetch the rest (`git fetch --unshallow`; in a workflow `fetch-depth: 0`)",
        ),
        GitError::UnknownRevision { .. } => OpsError::refused(
            "SL1015",
            message,
            "name a branch, a tag or a commit: `--base origin/main`; fetch it first where it is not there",
        ),
        GitError::Failed(_) => {
            OpsError::refused("SL1016", message, "see what `git status` says in the project's folder")
        }
    }
}
