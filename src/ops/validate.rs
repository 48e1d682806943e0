//! `validate`: all rules that can be checked, offline or against the live systems.

use std::path::Path;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::catalog::{observe_used, with_users};
use crate::catalog::drift::changes;
use crate::catalog::folder;
use crate::config::env::Variables;
use crate::config::files::Files;
use crate::config::fleet::{self, Checked};
use crate::config::load::{Loaded, LoadedPipeline};
use crate::config::project::PROJECT_FILE;
use crate::config::read::SourceFile;
use crate::diagnostic::render::Located;
use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::model::ids::PipelineName;
use crate::pipeline::rules::allow::accepts;
use crate::project::describe::Handles;
use crate::project::error::OpsError;
use crate::project::offline::{self, Offline, similar};
use crate::project::prepare::{PortalSource, prepare_with_handles};
use crate::project::selection::choose;
use crate::project::wiring::{Outside, Project, open};

/// What `validate --format json` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(title = "Syncline findings")]
pub struct ValidationReport {
    /// Whether there are no errors.
    pub valid: bool,
    /// Errors, those that are left out among them.
    pub errors: usize,
    /// Warnings, counted alike.
    pub warnings: usize,
    /// Each with its place, in the order of files and lines.
    pub findings: Vec<Located>,
}

/// Checks definitions without credentials: files, schema, and with a catalog every rule. That there is none is a finding.
///
/// Errors: a name that no pipeline has.
pub fn offline(root: &Path, variables: Variables<'_>, names: &[String]) -> Result<Loaded, OpsError> {
    let files = Files::Folder(root.to_owned());
    let Offline { mut loaded, catalog } = offline::open(&files, variables);
    add_portals(&files, variables, &mut loaded);
    narrow(&mut loaded, names)?;
    // Beside errors, the hint would be one more line that is not the cause.
    if catalog.is_empty() && !loaded.failed() && !loaded.pipelines.is_empty() {
        let message = "there is no catalog: fields and properties were not checked";
        let help = "`syncline catalog pull` creates it; `--online` checks against the live systems";
        loaded.findings.push(Diagnostic::warning("SL3010", &PROJECT_FILE.into(), Place::File, message).with_help(help));
    }
    Ok(loaded)
}

/// Adds what is wrong with the portals that are not meant.
fn add_portals(files: &Files, variables: Variables<'_>, loaded: &mut Loaded) {
    let Checked { findings, files } = fleet::check(files, variables, loaded);
    loaded.findings.extend(findings);
    loaded.files.extend(files);
}

/// Leaves out the findings of pipelines that were not asked for. That there is none at all is a finding, too.
fn narrow(loaded: &mut Loaded, names: &[String]) -> Result<(), OpsError> {
    loaded.findings.extend(loaded.nothing.take());
    loaded.sort();
    // With no pipelines at all, no name can be wrong.
    if names.is_empty() || (loaded.pipelines.is_empty() && loaded.broken.is_empty()) {
        return Ok(());
    }
    let chosen = choose(loaded, names)?;
    let others = loaded.pipelines.iter().enumerate().filter(|(index, _)| !chosen.pipelines.contains(index));
    let broken = loaded.broken.iter().enumerate().filter(|(index, _)| !chosen.broken.contains(index));
    let others = others.map(|(_, other)| other.file.name.clone()).chain(broken.map(|(_, broken)| broken.file.clone()));
    let others: Vec<_> = others.collect();
    // Findings of syncline.yaml stay: they concern every pipeline.
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
        Err(OpsError::Findings(mut loaded)) => {
            add_portals(&Files::Folder(root.to_owned()), variables, &mut loaded);
            narrow(&mut loaded, names)?;
            return Ok(*loaded);
        }
        Err(error) => return Err(error),
    };
    // Without pipelines there is nothing that the systems could be asked.
    if project.loaded.nothing.is_some() {
        let mut loaded = project.loaded.clone();
        loaded.findings.append(&mut loaded.unset);
        narrow(&mut loaded, &[])?;
        return Ok(loaded);
    }
    let (preparation, handles) = prepare_with_handles(&project, names, PortalSource::Live).await?;
    let mut loaded = project.loaded.clone();
    let no_errors = preparation.warnings.iter().all(|finding| finding.severity != Severity::Error);
    let all_valid = no_errors && preparation.refused.is_empty();
    loaded.findings.extend(preparation.warnings);
    for refused in preparation.refused {
        match refused.reason {
            // What was found in the files alone is among the findings already.
            OpsError::Findings(refused) => {
                loaded
                    .findings
                    .extend(refused.findings.into_iter().filter(|finding| !project.loaded.findings.contains(finding)));
            }
            reason => loaded.findings.push(unreached(&project, &refused.name, &reason)),
        }
    }
    suggest_objects(&mut loaded);
    let files = loaded.definitions.clone();
    add_portals(&files, variables, &mut loaded);
    // The catalog is compared when there is nothing more urgent.
    if all_valid {
        let used = choose(&project.loaded, names)?.pipelines;
        let (behind, shown) = behind(&project, handles, &used).await?;
        loaded.findings.extend(behind);
        loaded.files.extend(shown);
    }
    loaded.sort();
    narrow(&mut loaded, names)?;
    Ok(loaded)
}

/// What keeps a pipeline from being checked, as a finding in its file.
fn unreached(project: &Project, name: &PipelineName, reason: &OpsError) -> Diagnostic {
    let pipeline = project.loaded.pipelines.iter().find(|pipeline| pipeline.config.name == name.as_str());
    let file = pipeline.map_or_else(|| PROJECT_FILE.into(), |pipeline| Arc::clone(&pipeline.file.name));
    let finding = Diagnostic::error(reason.code(), &file, Place::File, reason.reason().1);
    reason.help().map_or(finding.clone(), |help| finding.with_help(help))
}

/// An object that a system does not know is most often misspelt: the catalog knows the right names.
fn suggest_objects(loaded: &mut Loaded) {
    let (catalog, _, _) = folder::read(&loaded.definitions, &folder::of_target(loaded.target.as_deref()));
    for finding in &mut loaded.findings {
        let pipeline = loaded.pipelines.iter().find(|pipeline| pipeline.file.name == finding.file);
        // A finding that has a label already knows better.
        let (Some(pipeline), Place::Value(pointer), None) = (pipeline, &finding.place, &finding.label) else {
            continue;
        };
        let config = &pipeline.config;
        let associated = || {
            config.associations.get(pointer.strip_prefix("/associations/")?.strip_suffix("/to")?.parse::<usize>().ok()?)
        };
        let named = match (finding.code, pointer.as_str()) {
            ("SL3002", "/source/object") => Some((config.source.object.as_str(), "Salesforce")),
            ("SL3004", "/target/object") => Some((config.target.object.as_str(), "HubSpot")),
            ("SL2044", _) => associated().and_then(|pipeline| Some((pipeline.to.as_deref()?, "HubSpot"))),
            _ => None,
        };
        let near = named.and_then(|(name, system)| similar(&catalog, config, name, system).filter(|near| near != name));
        finding.label = near.map(|near| format!("did you mean `{near}`?"));
    }
}

/// Warnings where the catalog no longer says what the systems say, for the parts that pipelines use.
async fn behind(
    project: &Project,
    handles: Handles,
    used: &[usize],
) -> Result<(Vec<Diagnostic>, Vec<SourceFile>), OpsError> {
    let (catalog, mut findings, shown) = folder::read(&project.loaded.definitions, &project.catalog_folder());
    // A damaged catalog differs in everything.
    if catalog.is_empty() || !findings.is_empty() {
        return Ok((findings, shown));
    }
    let pipelines: Vec<LoadedPipeline> = used.iter().map(|index| project.loaded.pipelines[*index].clone()).collect();
    let (catalog, live) = observe_used(project, handles, &catalog, &pipelines).await?;
    for change in with_users(&pipelines, changes(&catalog, &live), &[&catalog, &live]) {
        let Some(first) = change.pipelines.first() else { continue };
        let file = project.loaded.pipelines.iter().find(|loaded| loaded.config.name == *first);
        // Who accepts that the catalog lags behind has said so in the file of the first pipeline that uses the part.
        let Some(file) = file.filter(|change| !accepts(&change.config, "SL3011")).map(|change| &change.file.name)
        else {
            continue;
        };
        let message = format!("the catalog is out of date: {} {}", change.place(), change.message);
        let finding = Diagnostic::warning("SL3011", file, Place::File, message);
        findings.push(finding.with_help("`syncline catalog pull` shows what changed and saves it"));
    }
    Ok((findings, shown))
}
