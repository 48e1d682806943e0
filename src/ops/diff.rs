//! `diff`: the definitions of today against those of a git revision, in terms of mapping.

use std::collections::BTreeSet;
use std::path::Path;

use super::catalog::with_users;
use crate::catalog::drift::changes;
use crate::catalog::folder;
use crate::config::env::{Environment, Variables};
use crate::config::files::Files;
use crate::config::load::{Loaded, load};
use crate::config::portals;
use crate::config::project::PROJECT_FILE;
use crate::config::read::{self, FILE_BYTES_MAX};
use crate::config::select::{Candidate, select};
use crate::diagnostic::{Diagnostic, Severity};
use crate::model::change::{ChangeClass, DefinitionChange, DefinitionDiff};
use crate::project::error::OpsError;
use crate::project::revision::{Base, base, changed_pipelines, earlier};
use crate::review;

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
    // A computer that reviews has no secrets, and a comparison of definitions needs none.
    let after = load(&Files::Folder(root.to_owned()), Environment::Optional(variables));
    if after.findings.iter().any(unreadable) {
        return Err(OpsError::Findings(Box::new(after)));
    }
    let mut diff = compare(&base, &after, reference);
    if !names.is_empty() {
        let mut known: Vec<&str> = after.pipelines.iter().map(|pipeline| pipeline.config.name.as_str()).collect();
        // A pipeline that is gone can be asked for as well.
        known.extend(diff.pipelines.iter().map(|pipeline| pipeline.name.as_str()));
        known.sort_unstable();
        known.dedup();
        let file = |name: &str| {
            after
                .pipelines
                .iter()
                .find(|pipeline| pipeline.config.name == name)
                .map_or("", |pipeline| &*pipeline.file.name)
        };
        let candidates: Vec<Candidate<'_>> = known.iter().map(|name| Candidate { name, file: file(name) }).collect();
        let chosen =
            select(&candidates, names).map_err(|message| OpsError::Refused { code: "SL2012", message, help: None })?;
        let chosen: Vec<String> = chosen.into_iter().map(|at| known[at].to_owned()).collect();
        diff.pipelines.retain(|pipeline| chosen.contains(&pipeline.name));
    }
    Ok(diff)
}

/// Compares a project as it was with a loaded one.
pub fn compare(base: &Base, after: &Loaded, reference: &str) -> DefinitionDiff {
    let before = earlier(base, after.target.as_deref());
    let ((old, _, _), (new, _, _)) = (
        folder::read(&base.files, &folder::of_target(before.target.as_deref())),
        folder::read(&after.definitions, &folder::of_target(after.target.as_deref())),
    );
    let text = |loaded: &Loaded| loaded.files.iter().find(|file| &*file.name == PROJECT_FILE).cloned();
    let mut project = match (text(&before), text(after)) {
        // A new project file is no change of an old one.
        (Some(was), Some(is)) if !was.text.is_empty() => review::project_changes(&was.text, &is),
        _ => Vec::new(),
    };
    project.extend(portals(&base.files, &after.definitions));
    project.sort_by_key(|change| change.class);
    // The first catalog in a repository is no drift.
    let mut catalog = if old.is_empty() { Vec::new() } else { changes(&old, &new) };
    catalog = with_users(&after.pipelines, catalog, &[&old, &new]);
    // A reviewer is asked about these pipelines, and not about an org of a thousand fields.
    catalog.retain(|change| !change.pipelines.is_empty());
    let unread = before.findings.iter().filter(|finding| unreadable(finding) && &*finding.file != PROJECT_FILE);
    let note = |finding: &Diagnostic| {
        format!("{} could not be read as it was at {reference}: {}", finding.file, finding.message)
    };
    DefinitionDiff {
        base: reference.to_owned(),
        commit: base.commit.short().to_owned(),
        pipelines: changed_pipelines(&before, after, [&old, &new]),
        project,
        catalog,
        notes: unread.map(note).collect(),
    }
}

/// What changed in the files of portals.
fn portals(before: &Files, after: &Files) -> Vec<DefinitionChange> {
    let (was, is) = (portals::names(before).0, portals::names(after).0);
    let names: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    let mut found = Vec::new();
    for name in names {
        let file = is.get(name).map(|path| read::read(after, path, &path.as_str().into(), "portal").0);
        let text = was.get(name).and_then(|path| before.read(path, FILE_BYTES_MAX).ok());
        let path = is.get(name).or_else(|| was.get(name)).map(String::as_str).unwrap_or_default();
        match (text, file) {
            (Some(text), Some(file)) => {
                let changes = review::project_changes(&String::from_utf8_lossy(&text), &file);
                found.extend(changes.into_iter().map(|change| DefinitionChange {
                    what: format!("{}: {}", file.name, change.what),
                    part: format!("{}.{}", file.name, change.part),
                    // Places are those of syncline.yaml.
                    pointer: None,
                    line: None,
                    ..change
                }));
            }
            (None, Some(_)) => found.push(portal(path, "is new", "nothing is carried over before its first import")),
            (_, None) => {
                found.push(portal(
                    path,
                    "is gone",
                    "its records stay in HubSpot as they are, and are not synced any more",
                ));
            }
        }
    }
    found
}

fn portal(path: &str, what: &str, effect: &str) -> DefinitionChange {
    DefinitionChange {
        class: ChangeClass::NoRecordEffect,
        part: path.to_owned(),
        what: format!("{path} {what}"),
        effect: effect.to_owned(),
        before: None,
        after: None,
        pointer: None,
        line: None,
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

/// Whether a finding keeps a file from being decoded at all; what rules say of it does not.
fn unreadable(finding: &Diagnostic) -> bool {
    finding.severity == Severity::Error && finding.code.starts_with("SL1")
}
