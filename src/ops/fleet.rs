//! `status` of a project with portals: the fleet first, then one line a portal.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::deploy::deployed;
use super::fleet_view::{FleetStatus, PortalStanding, PortalStatus};
use super::hide;
use super::status::{PipelineStatus, Reason, StatusReport, notes, standings, standings_by, status as status_of_one};
use crate::config::targets::without_target;
use crate::ports::facts::StateFacts;
use crate::project::error::OpsError;
use crate::project::state::StatePlace;
use crate::project::wiring::{Project, open_portal};

/// Portals that are opened at a time: a project is some memory.
const AT_A_TIME: usize = 250;

/// How a project stands: all of its portals where it has some and none is chosen, else its pipelines. Without `values`, what a remote
/// system said of records is left out.
pub async fn status(project: &Project, values: bool) -> Result<StatusReport, OpsError> {
    let loaded = &project.loaded;
    if loaded.target.is_some() || loaded.portals.is_empty() {
        let mut report = status_of_one(project).await?;
        if !values {
            hide::statuses(&mut report.pipelines);
        }
        return Ok(report);
    }
    let mut looked = Looked { values, ..Looked::default() };
    for names in loaded.portals.chunks(AT_A_TIME) {
        looked.look(project, names).await;
    }
    // A database that is away is no matter of a portal.
    if looked.away == loaded.portals.len()
        && let Some(error) = looked.error
    {
        return Err(error);
    }
    looked.portals.sort_by(|one, other| one.portal.cmp(&other.portal));
    let (fleet, deployment) = (Some(FleetStatus::of(looked.portals)), deployed(project).await?);
    Ok(StatusReport { pipelines: Vec::new(), fleet, deployment, connections: Vec::new(), undelivered_alerts: None })
}

/// One portal of a project.
///
/// Errors: what is wrong with its file, or with what comes of it.
pub fn portal(project: &Project, name: &str) -> Result<Project, OpsError> {
    open_portal(project, name, &without_target)
}

/// Portals that were looked at.
#[derive(Default)]
struct Looked {
    values: bool,
    portals: Vec<PortalStatus>,
    /// Those whose state could not be read, and why the first of them could not.
    away: usize,
    error: Option<OpsError>,
}

impl Looked {
    /// Looks at some portals: those whose states are in one database are asked about at once.
    async fn look(&mut self, project: &Project, names: &[String]) {
        let mut databases: BTreeMap<String, Vec<(Project, String)>> = BTreeMap::new();
        for name in names {
            let opened = portal(project, name).and_then(|portal| portal.state_place().map(|place| (portal, place)));
            match opened {
                Ok((portal, StatePlace::Server(address))) => {
                    let of_database = databases.entry(address.url().to_string()).or_default();
                    of_database.push((portal, address.name().to_owned()));
                }
                Ok((portal, StatePlace::File(_))) => match standings(&portal).await {
                    Ok(report) => self.stands(&portal, report.pipelines, 0),
                    Err(error) => self.is_broken([name.as_str()], error),
                },
                Err(error) => self.is_broken([name.as_str()], error),
            }
        }
        for portals in databases.into_values() {
            let states: Vec<String> = portals.iter().map(|(_, state)| state.clone()).collect();
            match facts(&portals[0].0, &states).await {
                Ok(facts) => {
                    let none = StateFacts::default();
                    for (portal, state) in &portals {
                        let facts = facts.get(state).unwrap_or(&none);
                        self.stands(portal, standings_by(portal, facts), facts.takeovers);
                    }
                }
                Err(error) => {
                    let names = portals.iter().filter_map(|(portal, _)| portal.loaded.target.as_deref());
                    self.is_broken(names, error);
                }
            }
        }
    }

    fn stands(&mut self, portal: &Project, mut pipelines: Vec<PipelineStatus>, takeovers: u64) {
        if !self.values {
            hide::statuses(&mut pipelines);
        }
        let name = portal.loaded.target.as_deref().unwrap_or_default();
        self.portals.push(of(name, &pipelines, takeovers, portal.outside.clock.now()));
    }

    fn is_broken<'a>(&mut self, names: impl IntoIterator<Item = &'a str>, error: OpsError) {
        let problem = error.reason().1;
        for name in names {
            self.away += usize::from(matches!(error, OpsError::State(_)));
            self.portals.push(PortalStatus {
                portal: name.to_owned(),
                standing: PortalStanding::Broken,
                problem: Some(problem.clone()),
                records: 0,
                lag_seconds: None,
                wait_seconds: None,
                pending_associations: 0,
                open_failures: 0,
                last_run: None,
                takeovers: 0,
            });
        }
        self.error.get_or_insert(error);
    }
}

/// What is known of states in the database of a portal's state.
async fn facts(portal: &Project, states: &[String]) -> Result<HashMap<String, StateFacts>, OpsError> {
    Ok(portal.state_for_reading()?.facts(states, &notes()).await?.unwrap_or_default())
}

/// What a person should see of a portal among hundreds.
fn of(name: &str, all: &[PipelineStatus], takeovers: u64, now: Timestamp) -> PortalStatus {
    let sum = |count: fn(&PipelineStatus) -> u64| all.iter().map(count).sum();
    let reasons = || all.iter().flat_map(|pipeline| pipeline.attention.iter().map(move |what| (&pipeline.name, what)));
    let first = |standing| reasons().find(|(_, what)| standing_of(what.reason) == standing);
    let worst = first(PortalStanding::Broken).or_else(|| first(PortalStanding::Late));
    let wait = |pipeline: &PipelineStatus| {
        let due: Timestamp = pipeline.next_run.as_ref()?.parse().ok()?;
        Some(now.duration_since(due).as_secs_f64()).filter(|wait| *wait > 0.0)
    };
    let enabled = || all.iter().filter(|pipeline| pipeline.enabled);
    // One that was never synced is further behind than any number says.
    let lags: Option<Vec<f64>> = enabled().map(|pipeline| pipeline.lag_seconds).collect();
    PortalStatus {
        portal: name.to_owned(),
        standing: worst.map_or(PortalStanding::Fresh, |(_, what)| standing_of(what.reason)),
        problem: worst.map(|(pipeline, what)| format!("{pipeline}: {}", what.message)),
        records: sum(|pipeline| pipeline.records),
        lag_seconds: lags.and_then(|lags| lags.into_iter().max_by(f64::total_cmp)),
        wait_seconds: enabled().filter_map(wait).max_by(f64::total_cmp),
        pending_associations: sum(|pipeline| pipeline.pending_associations),
        open_failures: sum(|pipeline| pipeline.open_failures),
        last_run: all.iter().filter_map(|pipeline| Some(pipeline.last_run.as_ref()?.started.clone())).max(),
        takeovers,
    }
}

/// What a thing that needs a person says of its portal. Records under failures do not keep the others from being carried over.
fn standing_of(reason: Reason) -> PortalStanding {
    match reason {
        Reason::Definition | Reason::LastRun | Reason::UnfinishedImport => PortalStanding::Broken,
        Reason::NotRunning | Reason::NeverImported | Reason::OldData => PortalStanding::Late,
        Reason::Failures => PortalStanding::Fresh,
    }
}
