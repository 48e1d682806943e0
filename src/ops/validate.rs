//! `validate`: all rules that can be checked, offline or against the live systems.

use std::path::Path;

use super::catalog::{observe, touched};
use crate::catalog::drift::moves;
use crate::catalog::folder;
use crate::config::env::Variables;
use crate::config::files::Files;
use crate::config::load::{Loaded, PROJECT_FILE};
use crate::config::read::SourceFile;
use crate::diagnostic::{Diagnostic, Place};
use crate::project::error::OpsError;
use crate::project::offline::{self, Offline};
use crate::project::prepare::{Knowledge, prepare};
use crate::project::selection::choose;
use crate::project::wiring::{Outside, Project, open};

/// Checks definitions without credentials: files, schema, and with a catalog every rule. That there is none is a finding.
///
/// Errors: a name that no pipeline has.
pub fn offline(root: &Path, variables: Variables<'_>, names: &[String]) -> Result<Loaded, OpsError> {
    let Offline { mut loaded, catalog, .. } = offline::open(&Files::Folder(root.to_owned()), variables);
    narrow(&mut loaded, names)?;
    if catalog.is_empty() && !loaded.failed() && !loaded.pipelines.is_empty() {
        let message = "there is no catalog: fields and properties were not checked";
        let help = "`syncline catalog pull` makes it; `--online` asks the systems";
        loaded.findings.push(Diagnostic::warning("SL3010", &PROJECT_FILE.into(), Place::File, message).with_help(help));
    }
    Ok(loaded)
}

/// Leaves out the findings of pipelines that were not asked for; those of files that could not be read stay.
fn narrow(loaded: &mut Loaded, names: &[String]) -> Result<(), OpsError> {
    let known: Vec<&str> = loaded.pipelines.iter().map(|own| own.config.name.as_str()).collect();
    if names.is_empty() || (loaded.failed() && known.is_empty()) {
        return Ok(());
    }
    let chosen = choose(loaded, names)?;
    let others = loaded.pipelines.iter().enumerate().filter(|(index, _)| !chosen.contains(index));
    let others: Vec<_> = others.map(|(_, own)| own.file.name.clone()).collect();
    loaded.findings.retain(|finding| !others.contains(&finding.file));
    loaded.files.retain(|file| !others.contains(&file.name));
    Ok(())
}

/// Checks everything, against the live systems as well.
pub async fn online(
    root: &Path,
    variables: Variables<'_>,
    outside: Outside,
    names: &[String],
) -> Result<Loaded, OpsError> {
    let project = match open(root, variables, outside) {
        Ok(project) => project,
        Err(OpsError::Findings(loaded)) => return Ok(*loaded),
        Err(error) => return Err(error),
    };
    match prepare(&project, names, Knowledge::Live).await {
        Ok(preparation) => {
            let mut loaded = project.loaded.clone();
            loaded.findings.extend(preparation.warnings);
            let (behind, shown) = behind(&project).await?;
            loaded.findings.extend(behind);
            loaded.files.extend(shown);
            loaded.sort();
            narrow(&mut loaded, names)?;
            Ok(loaded)
        }
        Err(OpsError::Findings(loaded)) => Ok(*loaded),
        Err(error) => Err(error),
    }
}

/// Warnings where the catalog no longer says what the systems say, for the parts that pipelines use.
async fn behind(project: &Project) -> Result<(Vec<Diagnostic>, Vec<SourceFile>), OpsError> {
    let (catalog, mut findings, shown) = folder::read(&Files::Folder(project.loaded.root.clone()));
    if catalog.is_empty() || !findings.is_empty() {
        return Ok((findings, shown));
    }
    let live = observe(project, &catalog, &[], &[]).await?;
    let moved = touched(&project.loaded.pipelines, moves(&catalog, &live), &[&catalog, &live]);
    for own in moved {
        let Some(first) = own.pipelines.first() else { continue };
        let file = project.loaded.pipelines.iter().find(|loaded| loaded.config.name == *first);
        let Some(file) = file.map(|loaded| &loaded.file.name) else { continue };
        let part = own.moved.item.as_ref().map(|item| format!(".{item}")).unwrap_or_default();
        let message = format!("the catalog is behind: {}{part} {}", own.moved.object, own.moved.message);
        let finding = Diagnostic::warning("SL3011", file, Place::File, message);
        findings.push(finding.with_help("`syncline catalog pull` shows and keeps what moved"));
    }
    Ok((findings, shown))
}
