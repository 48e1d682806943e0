//! `doctor`: looks at everything that a project needs, one thing after another, and says what to do about what does not work. It writes
//! no record and nothing to the state.

mod computer;
mod hubspot;
pub mod report;
mod salesforce;

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::{FutureExt as _, pin_mut};

use self::report::{Area, CheckName, Checks, DoctorReport};
use crate::config::load::LoadedPipeline;
use crate::config::project::ConnectionConfig;
use crate::config::resolve;
use crate::diagnostic::{Place, Severity};
use crate::project::error::OpsError;
use crate::project::login;
use crate::project::prepare::{PortalSource, prepare_selected};
use crate::project::selection::Selection;
use crate::project::wiring::Project;

/// How long one connection may take: what is passing is tried again by itself for longer than anybody wants to wait here.
const CONNECTION_LONGEST: Duration = Duration::from_secs(25);

/// Looks at everything.
///
/// Errors: what concerns all pipelines: somebody asked to stop.
pub async fn doctor(project: &Project) -> Result<DoctorReport, OpsError> {
    let mut all = definitions(project).made;
    let mut broken = BTreeSet::new();
    for (name, config) in &project.config.connections {
        let used: Vec<&LoadedPipeline> =
            project.loaded.pipelines.iter().filter(|pipeline| uses(pipeline, name)).collect();
        let area = match config {
            ConnectionConfig::Salesforce(_) => Area::Salesforce,
            ConnectionConfig::Hubspot(_) => Area::Hubspot,
        };
        let mut checks = Checks::new(area, Some(name));
        let ended = {
            let look = async {
                login(project, name, &mut checks);
                match config {
                    ConnectionConfig::Salesforce(config) => {
                        salesforce::look(project, name, config, &used, &mut checks).await
                    }
                    ConnectionConfig::Hubspot(_) => hubspot::look(project, name, &used, &mut checks).await,
                }
            }
            .boxed();
            let longest = project.outside.clock.sleep(CONNECTION_LONGEST);
            pin_mut!(longest);
            matches!(select(look, longest).await, Either::Left(_))
        };
        if !ended {
            let message = format!("there was no usable answer within {} seconds", CONNECTION_LONGEST.as_secs());
            let help = "check the address, the network and the proxy of this computer, and whether the service has an incident";
            checks.fail(CheckName::Reachable, None, message, Some(help.to_owned()));
        }
        if !checks.works() {
            broken.insert(name.clone());
        }
        all.append(&mut checks.made);
    }
    all.extend(mappings(project, &broken).await?);
    all.extend(receivers(project));
    all.append(&mut computer::look(project).await.made);
    Ok(DoctorReport::new(project.loaded.target.clone(), all))
}

/// Whether a person is logged in, where the connection logs in by a browser. What is missing is told once, by what needs the token.
fn login(project: &Project, name: &str, checks: &mut Checks) {
    if let Ok(Some((since, file))) = login::since(project, name) {
        let day = since.strftime("%Y-%m-%d");
        checks.ok(CheckName::Login, format!("a person logged in on {day}; `{file}` is for its owner only"));
    }
}

fn uses(pipeline: &LoadedPipeline, connection: &str) -> bool {
    pipeline.config.source.connection == connection || pipeline.config.target.connection == connection
}

/// What the files alone say.
fn definitions(project: &Project) -> Checks {
    let mut checks = Checks::new(Area::Project, None);
    let errors = project.loaded.findings.iter().filter(|finding| finding.severity == Severity::Error);
    let files: BTreeSet<&str> = errors.map(|finding| &*finding.file).collect();
    let count = project.loaded.pipelines.len() + project.loaded.broken.len();
    match (files.first(), count) {
        (Some(_), _) => {
            let files: Vec<&str> = files.into_iter().collect();
            let message = format!("there are errors in {}", files.join(", "));
            checks.fail(
                CheckName::Definitions,
                Some("SL1000"),
                message,
                Some("`syncline validate` shows them".to_owned()),
            );
        }
        (None, 0) => {
            let help = "`syncline discover` lists what can sync, and `syncline new` writes a pipeline";
            checks.warn(CheckName::Definitions, "there is no pipeline yet", help);
        }
        (None, count) => checks.ok(CheckName::Definitions, format!("pipelines: {count}")),
    }
    checks
}

/// Whether each pipeline fits what the two systems say now: the same as before a run.
async fn mappings(project: &Project, broken: &BTreeSet<String>) -> Result<Vec<report::Check>, OpsError> {
    let mut made = Vec::new();
    for (index, pipeline) in project.loaded.pipelines.iter().enumerate() {
        let mut checks = Checks::new(Area::Pipeline, Some(&pipeline.config.name));
        if let Some(connection) = broken.iter().find(|connection| uses(pipeline, connection)) {
            checks.skip(CheckName::Mapping, format!("the connection `{connection}` does not work"));
            made.append(&mut checks.made);
            continue;
        }
        let chosen = Selection { pipelines: vec![index], broken: Vec::new() };
        let prepared = prepare_selected(project, &project.loaded, &chosen, PortalSource::Live).await?;
        match prepared.refused.first() {
            Some(refused) => checks.error(CheckName::Mapping, &refused.reason),
            None if prepared.warnings.is_empty() => {
                checks.ok(CheckName::Mapping, "fields, properties and associations are as the pipeline needs them");
            }
            None => {
                let message = format!("it can run, with warnings: {}", prepared.warnings.len());
                checks.warn(CheckName::Mapping, message, "`syncline validate --online` shows them");
            }
        }
        made.append(&mut checks.made);
    }
    Ok(made)
}

/// What receivers of alerts name. Nothing is sent.
fn receivers(project: &Project) -> Vec<report::Check> {
    let mut made = Vec::new();
    for (index, receiver) in project.config.alerts.iter().enumerate() {
        let mut checks = Checks::new(Area::Receiver, Some(receiver.name()));
        let prefix = format!("/alerts/{index}/");
        let concerns = |place: &Place| matches!(place, Place::Value(at) if at.starts_with(&prefix));
        let unset = project.loaded.unset.iter().find(|finding| concerns(&finding.place)).cloned();
        let missing = unset.or_else(|| resolve::receiver(&project.loaded, index).err()?.into_iter().next());
        match missing {
            Some(finding) => checks.fail(CheckName::Settings, Some(finding.code), finding.message, finding.help),
            None => checks.ok(CheckName::Settings, "its settings are there; `syncline alerts test` sends it a message"),
        }
        made.append(&mut checks.made);
    }
    made
}
