//! `status` of a project with portals: the fleet first, then one line a portal.

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use jiff::Timestamp;

use super::deploy::deployed;
use super::fleet_view::{FleetStatus, PortalStanding, PortalStatus};
use super::hide;
use super::status::{PipelineStatus, Reason, StatusReport, standings, status as status_of_one};
use crate::config::targets::without_target;
use crate::project::error::OpsError;
use crate::project::wiring::{Project, open_portal};

/// Portals that are looked at side by side: as many as have a connection to the database.
const SIDE_BY_SIDE: usize = 5;

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
    let looking = loaded.portals.iter().map(|name| portal(project, name, values).boxed());
    // Collected first, as a closure of a stream would be held to more lifetimes than it has.
    let looking: Vec<BoxFuture<'_, _>> = looking.collect();
    let looked: Vec<(PortalStatus, Option<OpsError>)> = stream::iter(looking).buffered(SIDE_BY_SIDE).collect().await;
    let mut portals = Vec::new();
    let (mut states, mut error) = (0, None);
    for (portal, failed) in looked {
        states += u64::from(matches!(failed, Some(OpsError::State(_))));
        error = error.or(failed);
        portals.push(portal);
    }
    // A database that is away is no matter of a portal.
    if let Some(error) = error.filter(|error| matches!(error, OpsError::State(_)) && states == portals.len() as u64) {
        return Err(error);
    }
    let (fleet, deployment) = (Some(FleetStatus::of(portals)), deployed(project).await?);
    Ok(StatusReport { pipelines: Vec::new(), fleet, deployment, connections: Vec::new(), undelivered_alerts: None })
}

/// How a portal stands; and what kept it from being looked at.
async fn portal(project: &Project, name: &str, values: bool) -> (PortalStatus, Option<OpsError>) {
    let told = async {
        let portal = open_portal(project, name, &without_target)?;
        let report = standings(&portal).await?;
        Ok::<_, OpsError>((report, portal.state_for_reading()?.takeovers().await?))
    };
    match told.await {
        Ok((mut report, takeovers)) => {
            if !values {
                hide::statuses(&mut report.pipelines);
            }
            (of(name, &report, takeovers, project.outside.clock.now()), None)
        }
        Err(error) => {
            let broken = PortalStatus {
                portal: name.to_owned(),
                standing: PortalStanding::Broken,
                problem: Some(error.reason().1),
                records: 0,
                lag_seconds: None,
                wait_seconds: None,
                pending_associations: 0,
                open_failures: 0,
                last_run: None,
                takeovers: 0,
            };
            (broken, Some(error))
        }
    }
}

/// What a person should see of a portal among hundreds.
fn of(name: &str, report: &StatusReport, takeovers: u64, now: Timestamp) -> PortalStatus {
    let all = &report.pipelines;
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
