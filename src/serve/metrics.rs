//! `/metrics`: what a monitor counts, made anew from the state for each scrape, so that every process tells the same.

use std::sync::atomic::AtomicU64;

use jiff::Timestamp;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::model::program;
use crate::model::report::RunStatus;
use crate::ops::failure_groups::FailureGroup;
use crate::ops::fleet_view::{FleetStatus, PortalStanding, PortalStatus};
use crate::ops::history::RunView;
use crate::ops::status::{PipelineStatus, StatusReport};

/// Names and values that tell samples of a metric apart.
type Labels = Vec<(&'static str, String)>;

/// All words for the end of a run: each is a sample, so that an alert can name one.
const STATUSES: [(RunStatus, &str); 7] = [
    (RunStatus::Running, "running"),
    (RunStatus::Succeeded, "succeeded"),
    (RunStatus::Partial, "partial"),
    (RunStatus::Failed, "failed"),
    (RunStatus::Paused, "paused"),
    (RunStatus::Interrupted, "interrupted"),
    (RunStatus::Refused, "refused"),
];

/// Numbers of a pipeline: name, help, and the value where there is one.
type OfPipeline = (&'static str, &'static str, fn(&PipelineStatus) -> Option<f64>);

const OF_PIPELINES: [OfPipeline; 16] = [
    ("pipeline_enabled", "Whether sync.enabled is true", |it| Some(f64::from(u8::from(it.enabled)))),
    ("pipeline_attention", "Things that need a person", |it| Some(it.attention.len() as f64)),
    ("records", "Records that stand in HubSpot", |it| Some(it.records as f64)),
    ("stale_records", "Records written under an earlier mapping", |it| it.stale.map(|stale| stale as f64)),
    ("data_age_seconds", "How far HubSpot may lie behind Salesforce", |it| it.lag_seconds),
    ("data_age_allowed_seconds", "From which age on the data is too old", |it| it.lag_allowed_seconds),
    ("next_run_timestamp_seconds", "When the next cycle is due", |it| seconds(it.next_run.as_deref()?)),
    ("pending_associations", "Associations that wait for their other record", |it| {
        Some(it.pending_associations as f64)
    }),
    ("open_failures", "Records kept under failures", |it| Some(it.open_failures as f64)),
    ("unfinished_import_read", "Records that an unfinished import has read", |it| {
        Some(it.unfinished_import?.read as f64)
    }),
    ("unfinished_import_total", "Records that an unfinished import is to read", |it| {
        Some(it.unfinished_import?.total as f64)
    }),
    ("budget_share_ratio", "Share of the daily budget of calls to Salesforce that the pipeline took", |it| {
        it.budget_share
    }),
    ("last_run_timestamp_seconds", "When the latest run began", |it| seconds(&it.last_run.as_ref()?.started)),
    ("last_run_duration_seconds", "How long the latest run took", |it| it.last_run.as_ref()?.seconds),
    ("last_good_run_timestamp_seconds", "When the latest run began that went through", |it| {
        seconds(&it.last_good_run.as_ref()?.started)
    }),
    ("last_run_failed_records", "Records that the latest run rejected", |it| {
        Some(it.last_run.as_ref()?.tally.failed as f64)
    }),
];

fn seconds(moment: &str) -> Option<f64> {
    let at: Timestamp = moment.parse().ok()?;
    Some(at.as_millisecond() as f64 / 1_000.0)
}

/// All of them as text, in the format of OpenMetrics.
///
/// Portals are counted; each is named only where `portal_labels` says so, as hundreds of them make thousands of samples.
pub fn text(
    status: &StatusReport,
    groups: &[FailureGroup],
    [answered, refused]: [u64; 2],
    portal_labels: bool,
) -> String {
    let mut registry = Registry::with_prefix("syncline");
    let build = vec![("version", program::VERSION), ("commit", program::BUILT_FROM.unwrap_or_default())];
    registry.register("build", "The program", Info::new(build));
    for (name, help, value) in OF_PIPELINES {
        let sample = |it: &PipelineStatus| Some((vec![("pipeline", it.name.clone())], value(it)?));
        add(&mut registry, name, help, status.pipelines.iter().filter_map(sample));
    }
    let runs = || status.pipelines.iter().filter_map(|it| Some((it, it.last_run.as_ref()?)));
    let ended = runs().flat_map(|(it, run)| ends(it, run));
    add(&mut registry, "last_run_status", "How the latest run ended: 1 for the status that it has", ended);
    let changed = runs().flat_map(|(it, run)| changes(it, run));
    add(&mut registry, "last_run_records", "What the latest run did, in records", changed);
    add(&mut registry, "failures", "Records kept under failures, by reason", groups.iter().map(of_group));
    calls(&mut registry, status);
    if let Some(fleet) = &status.fleet {
        portals(&mut registry, fleet, portal_labels);
    }
    let undelivered = status.undelivered_alerts.as_ref().map_or(0, |alerts| alerts.count);
    add(&mut registry, "undelivered_alerts", "Alerts that could not be delivered", [(Vec::new(), undelivered as f64)]);
    add(&mut registry, "http_requests_answered", "Requests that this server answered", [(Vec::new(), answered as f64)]);
    add(&mut registry, "http_requests_refused", "Of them, those that it refused", [(Vec::new(), refused as f64)]);
    let mut text = String::new();
    // Writing into a text cannot fail.
    let _ = encode(&mut text, &registry);
    text
}

fn add(registry: &mut Registry, name: &str, help: &str, samples: impl IntoIterator<Item = (Labels, f64)>) {
    let family = Family::<Labels, Gauge<f64, AtomicU64>>::default();
    for (labels, value) in samples {
        family.get_or_create(&labels).set(value);
    }
    registry.register(name, help, family);
}

/// Numbers of a portal, as those of a pipeline.
type OfPortal = (&'static str, &'static str, fn(&PortalStatus) -> Option<f64>);

fn portals(registry: &mut Registry, fleet: &FleetStatus, each: bool) {
    let counts = [fleet.fresh, fleet.late, fleet.broken];
    let counted = PortalStanding::ALL.into_iter().zip(counts);
    let counted = counted.map(|((_, word), count)| (vec![("standing", word.to_owned())], count as f64));
    add(registry, "portals", "Portals, by how they stand", counted);
    let wait = fleet.longest_wait_seconds.unwrap_or_default();
    add(registry, "portals_longest_wait_seconds", "How long the most overdue pipeline waits", [(Vec::new(), wait)]);
    takeovers(registry, fleet, each);
    if !each {
        return;
    }
    let of_portals: [OfPortal; 4] = [
        ("portal_records", "Records that stand in HubSpot", |it| Some(it.records as f64)),
        ("portal_data_age_seconds", "How far HubSpot may lie behind Salesforce", |it| it.lag_seconds),
        ("portal_wait_seconds", "How long its most overdue pipeline waits", |it| it.wait_seconds),
        ("portal_open_failures", "Records kept under failures", |it| Some(it.open_failures as f64)),
    ];
    for (name, help, value) in of_portals {
        let samples = fleet.portals.iter().filter_map(|it| Some((vec![("portal", it.portal.clone())], value(it)?)));
        add(registry, name, help, samples);
    }
    let standings = fleet.portals.iter().flat_map(|it| {
        PortalStanding::ALL.into_iter().map(|(standing, word)| {
            let labels = vec![("portal", it.portal.clone()), ("standing", word.to_owned())];
            (labels, f64::from(u8::from(it.standing == standing)))
        })
    });
    add(registry, "portal_standing", "How each portal stands: 1 for the standing that it has", standings);
}

/// Either the sum or each portal's, so that nobody who adds up samples counts one twice.
fn takeovers(registry: &mut Registry, fleet: &FleetStatus, each: bool) {
    let family = Family::<Labels, Counter>::default();
    if each {
        for it in &fleet.portals {
            family.get_or_create(&vec![("portal", it.portal.clone())]).inc_by(it.takeovers);
        }
    } else {
        family.get_or_create(&Labels::new()).inc_by(fleet.takeovers);
    }
    // The format adds `_total`.
    registry.register("portal_takeovers", "Portals taken from a worker that had not given them back", family);
}

fn ends<'a>(it: &'a PipelineStatus, run: &'a RunView) -> impl Iterator<Item = (Labels, f64)> + 'a {
    STATUSES.into_iter().map(move |(status, word)| {
        let labels = vec![("pipeline", it.name.clone()), ("status", word.to_owned())];
        (labels, f64::from(u8::from(run.status == status)))
    })
}

fn changes<'a>(it: &'a PipelineStatus, run: &'a RunView) -> impl Iterator<Item = (Labels, f64)> + 'a {
    let tally = &run.tally;
    let all = [
        ("read", tally.read),
        ("created", tally.created),
        ("updated", tally.updated),
        ("unchanged", tally.unchanged),
        ("archived", tally.archived),
        ("restored", tally.restored),
        ("adopted", tally.adopted),
        ("filtered", tally.filtered),
        ("failed", tally.failed),
    ];
    all.into_iter()
        .map(|(what, records)| (vec![("pipeline", it.name.clone()), ("outcome", what.to_owned())], records as f64))
}

fn of_group(group: &FailureGroup) -> (Labels, f64) {
    let labels = vec![
        ("pipeline", group.pipeline.clone()),
        ("code", group.code.clone()),
        ("category", group.category.label().to_owned()),
        ("property", group.property.clone().unwrap_or_default()),
        ("remote_code", group.remote_code.clone().unwrap_or_default()),
    ];
    (labels, group.records as f64)
}

fn calls(registry: &mut Registry, status: &StatusReport) {
    let mut of_connections = |name: &str, help: &str, value: fn(&crate::ops::calls::ConnectionCalls) -> Option<f64>| {
        let samples = status.connections.iter().filter_map(|it| {
            let service = it.service.name().to_ascii_lowercase();
            Some((vec![("connection", it.connection.clone()), ("service", service)], value(it)?))
        });
        add(registry, name, help, samples);
    };
    of_connections("calls_last_hour", "Calls in the last hour", |it| Some(it.calls_last_hour as f64));
    of_connections("calls_last_day", "Calls in the last 24 hours", |it| Some(it.calls_last_day as f64));
    of_connections("calls_allowed_per_hour", "Calls that the rate limit allows in an hour", |it| {
        it.allowed_per_hour.map(|calls| calls as f64)
    });
    of_connections("calls_allowed_per_day", "Calls that the budget allows in 24 hours", |it| {
        it.allowed_per_day.map(|calls| calls as f64)
    });
    of_connections("calls_share_ratio", "How much is used of what is allowed", |it| it.share);
}
