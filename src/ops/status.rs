//! `status`: how each pipeline stands, and what of it needs a person. Reads the state only, and needs no credentials.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::alerts;
use super::calls::{Calls, ConnectionCalls};
use super::deploy::{DeploymentView, deployed};
use super::fleet_view::FleetStatus;
use super::history::{RunView, code_of};
use crate::config::alerts::AlertConfig;
use crate::config::load::LoadedPipeline;
use crate::config::pipeline::OnMappingChange;
use crate::diagnostic::{Diagnostic, Severity};
use crate::engine::{catch_up, parents};
use crate::model::identity::MappingVersion;
use crate::model::ids::PipelineName;
use crate::model::report::RunStatus;
use crate::pipeline::compile::mapping_version;
use crate::ports::facts::{PipelineFacts, StateFacts};
use crate::ports::state::RunRow;
use crate::ports::store::Store;
use crate::project::error::OpsError;
use crate::project::portal::Portal;
use crate::project::wiring::Project;

/// What `status --format json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "Syncline status")]
pub struct StatusReport {
    /// One entry a pipeline.
    pub pipelines: Vec<PipelineStatus>,
    /// How the portals stand, in a project that has some and where none is chosen: there `pipelines` and `connections` are empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fleet: Option<FleetStatus>,
    /// The deployment that workers run; none where nothing was deployed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<DeploymentView>,
    /// One entry a connection: its calls, and what is allowed.
    pub connections: Vec<ConnectionCalls>,
    /// Alerts that could not be delivered so far, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undelivered_alerts: Option<UndeliveredAlerts>,
}

impl StatusReport {
    /// Whether something needs a person.
    pub fn needs_a_person(&self) -> bool {
        let fleet = self.fleet.as_ref().is_some_and(FleetStatus::needs_a_person);
        fleet
            || self.undelivered_alerts.is_some()
            || self.pipelines.iter().any(|pipeline| !pipeline.attention.is_empty())
    }
}

/// Alerts that were tried in vain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UndeliveredAlerts {
    /// How many.
    pub count: u64,
    /// The receiver of the oldest.
    pub receiver: String,
    /// Why it did not arrive.
    pub problem: String,
}

/// One pipeline's standing.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PipelineStatus {
    /// Its name.
    #[serde(flatten, serialize_with = "crate::model::pipeline_key::serialize")]
    #[schemars(with = "crate::model::pipeline_key::PipelineKeys")]
    pub name: String,
    /// How it stands, in a word.
    pub standing: Standing,
    /// `syncline sync` runs it.
    pub enabled: bool,
    /// Records that stand in HubSpot.
    pub records: u64,
    /// Of them, those that were written under another mapping than today's: `import --stale` catches them up. None where
    /// the target object is not known yet.
    pub stale: Option<u64>,
    /// `where` changed since the last import, so records may belong that nothing is known of.
    pub filter_changed: bool,
    /// The next sync carries over both by itself (`sync.on_mapping_change: backfill`).
    pub backfill_due: bool,
    /// An import went through once: before, only what changes in Salesforce is carried over.
    pub imported: bool,
    /// How far it was read (UTC).
    pub watermark: Option<String>,
    /// How far HubSpot may lie behind, in seconds: age of the watermark, or of the oldest change of a parent that was not read.
    pub lag_seconds: Option<f64>,
    /// From which age on the data is too old, in seconds; none where no sync is meant to run.
    pub lag_allowed_seconds: Option<f64>,
    /// When the next cycle is due (UTC); none where no sync is meant to run, or none has run yet.
    pub next_run: Option<String>,
    /// The share of the daily budget of its Salesforce connection that its calls took in the last 24 hours; 1 is all of it. None where
    /// the budget is not known yet.
    pub budget_share: Option<f64>,
    /// Since when changes of parents were not read, and why; none where they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parents_missed: Option<ParentsMissed>,
    /// How far an unfinished import came; none where there is none.
    pub unfinished_import: Option<ImportProgress>,
    /// Associations that wait for their other record.
    pub pending_associations: u64,
    /// Records kept under failures.
    pub open_failures: u64,
    /// The latest attempt.
    pub last_run: Option<RunView>,
    /// The latest run that went through.
    pub last_good_run: Option<RunView>,
    /// What needs a person.
    pub attention: Vec<Attention>,
}

/// How a pipeline stands, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Something needs a person: `attention` says what.
    Attention,
    /// A run is under way.
    Running,
    /// A daily budget is used up; it goes on by itself.
    Paused,
    /// Records were written under an earlier mapping or filter.
    Stale,
    /// `sync.enabled` is false.
    Off,
    /// All is well.
    Ok,
}

impl Standing {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Attention => "attention",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stale => "stale",
            Self::Off => "off",
            Self::Ok => "ok",
        }
    }

    fn of(status: &PipelineStatus) -> Self {
        let last = status.last_run.as_ref().map(|run| run.status);
        let stale = status.filter_changed || status.stale.is_some_and(|stale| stale > 0);
        match last {
            _ if !status.attention.is_empty() => Self::Attention,
            Some(RunStatus::Running) => Self::Running,
            _ if !status.enabled => Self::Off,
            Some(RunStatus::Paused) => Self::Paused,
            _ if stale => Self::Stale,
            _ => Self::Ok,
        }
    }
}

/// Changes of parents that no cycle has read, as Salesforce refused the query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ParentsMissed {
    /// Those since this moment (UTC).
    pub since: String,
    /// What Salesforce answered.
    pub why: String,
}

/// How far an import came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ImportProgress {
    /// Rows read.
    pub read: u64,
    /// Rows counted when it began.
    pub total: u64,
}

/// Something that needs a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Attention {
    /// What kind of thing it is.
    pub reason: Reason,
    /// In a sentence.
    pub message: String,
}

/// What kind of thing needs a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The definition has errors.
    Definition,
    /// The latest attempt did not go through.
    LastRun,
    /// No run has begun since three times `sync.every`.
    NotRunning,
    /// An import was broken off.
    UnfinishedImport,
    /// Records that existed when syncing began were never copied.
    NeverImported,
    /// Records stand under failures.
    Failures,
    /// What HubSpot holds is older than it should be.
    OldData,
}

/// A pipeline does not run when so many cycles should have begun since the last one.
/// One may be skipped by a long import, and a second by a restart.
const CYCLES_MISSED: u32 = 3;

/// Latest attempts among which one is looked for that found the pipeline free.
const RUNS_LOOKED_AT: usize = 20;

/// How all pipelines of a project, or of its chosen target, stand.
pub async fn status(project: &Project) -> Result<StatusReport, OpsError> {
    let deployment = deployed(project).await?;
    Ok(StatusReport { deployment, ..standings(project).await? })
}

/// The same without what is deployed.
pub async fn standings(project: &Project) -> Result<StatusReport, OpsError> {
    let state = project.state_for_reading()?;
    let loaded = &project.loaded;
    let calls = Calls::read(project, &*state, project.outside.clock.now()).await?;
    let mut pipelines = Vec::new();
    for pipeline in &loaded.pipelines {
        let errors = errors(&loaded.findings, &pipeline.file.name);
        pipelines.push(one(project, &*state, &pipeline.config.name, Some(pipeline), errors, &calls).await?);
    }
    // A file that cannot be read still has a name, and records in HubSpot that depend on it.
    for broken in &loaded.broken {
        let errors = errors(&loaded.findings, &broken.file);
        pipelines.push(one(project, &*state, broken.name(), None, errors, &calls).await?);
    }
    let undelivered = state.undelivered().await?;
    let undelivered_alerts = undelivered.problem.map(|(receiver, problem)| UndeliveredAlerts {
        count: undelivered.failed,
        receiver,
        problem,
    });
    let connections = calls.connections;
    Ok(StatusReport { pipelines, fleet: None, deployment: None, connections, undelivered_alerts })
}

/// The first error in a file.
fn errors<'a>(findings: &'a [Diagnostic], file: &str) -> Option<&'a Diagnostic> {
    findings.iter().find(|finding| finding.severity == Severity::Error && &*finding.file == file)
}

/// How the pipelines of a portal stand, by what its state knows: without what only the view of a single portal tells.
pub fn standings_by(project: &Project, facts: &StateFacts) -> Vec<PipelineStatus> {
    let loaded = &project.loaded;
    let nothing = PipelineFacts::default();
    let told = |name: &str, pipeline, file: &str| {
        let name = PipelineName::new(name);
        let facts = facts.pipelines.get(&name).unwrap_or(&nothing);
        told(project, &name, pipeline, errors(&loaded.findings, file), facts)
    };
    let good = loaded.pipelines.iter().map(|it| told(&it.config.name, Some(it), &it.file.name));
    let broken = loaded.broken.iter().map(|broken| told(broken.name(), None, &broken.file));
    good.chain(broken).collect()
}

/// What notes of a pipeline begin with that [`standings_by`] needs.
pub fn notes() -> [String; 2] {
    let none = PipelineName::new("");
    [catch_up::mapping_key(&none), parents::key(&none)]
}

/// What a state knows of a pipeline.
async fn facts(state: &dyn Store, name: &PipelineName) -> Result<PipelineFacts, OpsError> {
    let mut known = HashMap::new();
    for begin in notes() {
        if let Some(text) = state.note(&format!("{begin}{name}")).await? {
            known.insert(begin, text);
        }
    }
    Ok(PipelineFacts {
        watermark: state.stored_watermark(name).await?.map(|mark| (mark.watermark, mark.set_at)),
        import: state.cursor(name).await?.map(|import| (import.read, import.total)),
        // The count by mapping is not used, so any version serves.
        records: state.identity_counts(name, MappingVersion([0; 8])).await?.standing,
        due: state.due_count(name).await?,
        open_failures: state.open_failures(name).await?,
        last_run: last_run(state, name).await?,
        notes: known,
    })
}

/// How a pipeline stands, as far as these facts tell.
fn told(
    project: &Project,
    name: &PipelineName,
    loaded: Option<&LoadedPipeline>,
    error: Option<&Diagnostic>,
    facts: &PipelineFacts,
) -> PipelineStatus {
    let now = project.outside.clock.now();
    let [mapping, parents] = notes();
    let missed = facts.notes.get(&parents).and_then(|noted| parents::missed_in(noted));
    let mut status = PipelineStatus {
        name: name.to_string(),
        standing: Standing::Ok,
        // A definition that cannot be read does not say that its sync is off.
        enabled: loaded.is_none_or(|loaded_pipeline| loaded_pipeline.config.sync.enabled),
        records: facts.records,
        stale: None,
        filter_changed: false,
        backfill_due: false,
        imported: facts.notes.contains_key(&mapping),
        watermark: facts.watermark.map(|(watermark, _)| watermark.0.to_string()),
        lag_seconds: alerts::lag_of(facts.watermark, missed.as_ref(), now),
        lag_allowed_seconds: None,
        next_run: None,
        budget_share: None,
        parents_missed: missed.map(|missed| ParentsMissed { since: missed.since.to_string(), why: missed.why }),
        unfinished_import: facts.import.map(|(read, total)| ImportProgress { read, total }),
        pending_associations: facts.due,
        open_failures: facts.open_failures,
        last_run: facts.last_run.clone().map(Into::into),
        last_good_run: None,
        attention: Vec::new(),
    };
    let every = loaded.map(|loaded_pipeline| loaded_pipeline.config.sync.every.0);
    let thresholds = alerts::thresholds(project, loaded);
    if let Some(every) = every.filter(|_| status.enabled) {
        status.lag_allowed_seconds = Some(thresholds.lag_max(every).as_secs_f64());
        status.next_run = status.last_run.as_ref().and_then(|run| next_run(run, every)).map(|at| at.to_string());
    }
    status.attention = attention(&status, error, every, &thresholds, now);
    status.standing = Standing::of(&status);
    status
}

async fn one(
    project: &Project,
    state: &dyn Store,
    name: &str,
    loaded: Option<&LoadedPipeline>,
    error: Option<&Diagnostic>,
    calls: &Calls,
) -> Result<PipelineStatus, OpsError> {
    let name = PipelineName::new(name);
    let mut status = told(project, &name, loaded, error, &facts(state, &name).await?);
    let mapping = mapping_of(state, &name, loaded).await?;
    if let Some(mapping) = mapping {
        status.stale = Some(catch_up::behind(state, &name, mapping).await?);
    }
    let noted = state.note(&catch_up::condition_key(&name)).await?;
    let condition = loaded.map(|loaded_pipeline| {
        catch_up::condition(loaded_pipeline.config.source.condition.as_deref(), loaded_pipeline.config.target.mode)
    });
    status.filter_changed = noted.zip(condition).is_some_and(|(noted, condition)| noted != condition);
    status.budget_share = loaded.and_then(|loaded| calls.budget_share(&name, &loaded.config.source.connection));
    status.last_good_run = state.last_good_run(&name).await?.map(Into::into);
    let backfills = loaded.is_some_and(|loaded| loaded.config.sync.on_mapping_change == OnMappingChange::Backfill);
    let done = state.note(&catch_up::backfilled_key(&name)).await?;
    // A backfill that ran under this mapping is not repeated for what it could not carry over.
    let done = done.is_some_and(|done| mapping.is_some_and(|mapping| catch_up::mapping(mapping) == done));
    status.backfill_due = backfills && !done && (status.filter_changed || status.stale.is_some_and(|stale| stale > 0));
    status.standing = Standing::of(&status);
    Ok(status)
}

/// The mapping of today, where the target object is known.
async fn mapping_of(
    state: &dyn Store,
    name: &PipelineName,
    loaded: Option<&LoadedPipeline>,
) -> Result<Option<MappingVersion>, OpsError> {
    let Some(LoadedPipeline { config, .. }) = loaded else { return Ok(None) };
    let portal = Portal::load(state, name, &config.target.connection).await?;
    let object = portal.as_ref().and_then(|portal| portal.objects.get(&config.target.object.to_ascii_lowercase()));
    Ok(object.map(|object| mapping_version(config, &object.object_type_id)))
}

/// The latest attempt. One that found another process at the same pipeline says nothing of how it stands.
async fn last_run(state: &dyn Store, name: &PipelineName) -> Result<Option<RunRow>, OpsError> {
    let runs = state.runs(Some(name), RUNS_LOOKED_AT).await?;
    // A held pipeline has the code of the lease; its row says that somebody else was at work.
    let held = |run: &RunRow| run.error.as_deref().and_then(code_of) == Some("SL6004");
    let free = runs.iter().position(|run| !held(run));
    Ok(runs.into_iter().nth(free.unwrap_or(0)))
}

/// When the cycle after a run is due: `every` after its end, or at once where it goes on.
fn next_run(run: &RunView, every: Duration) -> Option<Timestamp> {
    let started: Timestamp = run.started.parse().ok()?;
    let took = Duration::try_from_secs_f64(run.seconds?.max(0.0)).ok()?;
    started.checked_add(took).ok()?.checked_add(every).ok()
}

/// What needs a person, the most urgent first.
fn attention(
    status: &PipelineStatus,
    error: Option<&Diagnostic>,
    every: Option<Duration>,
    thresholds: &AlertConfig,
    now: Timestamp,
) -> Vec<Attention> {
    let name = &status.name;
    let definition = error.map(|error| {
        (Reason::Definition, format!("its definition has errors: {} ({}): {}", error.file, error.code, error.message))
    });
    // One that was paused by its budget or interrupted goes on by itself; where it does not, the data grows old.
    let failed = |run: &&RunView| matches!(run.status, RunStatus::Failed | RunStatus::Refused);
    let last_run = status.last_run.as_ref().filter(failed).map(|run| {
        let why = run.error.as_deref().unwrap_or("for an unknown reason");
        (Reason::LastRun, format!("the last run failed {}: {why}", ago(run, now)))
    });
    let unfinished = status.unfinished_import.map(|ImportProgress { read, total }| {
        let text = format!("an import is unfinished ({read} of {total} read); `syncline import {name}` resumes it");
        (Reason::UnfinishedImport, text)
    });
    // An unfinished import explains all that would be said of age and cycles.
    let due = status.enabled && status.unfinished_import.is_none();
    let never = (due && !status.imported).then(|| {
        let text = format!("the records that existed before were never imported; `syncline import {name}` copies them");
        (Reason::NeverImported, text)
    });
    // Where nothing is allowed, a single record needs a person.
    let bound = thresholds.failures.unwrap_or_default();
    let failures = (status.open_failures > bound).then(|| {
        let records = if status.open_failures == 1 { "record is kept" } else { "records are kept" };
        let allowed = if bound > 0 { format!("; `alert.failures` allows {bound}") } else { String::new() };
        (Reason::Failures, format!("{} {records} under `syncline failures`{allowed}", status.open_failures))
    });
    let old = every.zip(status.lag_seconds).and_then(|(every, lag)| {
        let allowed = thresholds.lag_max(every);
        let why = match thresholds.lag {
            Some(_) => format!("`alert.lag` allows {}", duration(allowed.as_secs_f64())),
            None => format!("`every` is {}", duration(every.as_secs_f64())),
        };
        let whose = match &status.parents_missed {
            Some(missed) => {
                format!("the data of parent records, which Salesforce was asked for in vain ({}),", missed.why)
            }
            None => "the data".to_owned(),
        };
        let text = format!("{whose} is {} old, and {why}", duration(lag));
        (due && lag > allowed.as_secs_f64()).then_some((Reason::OldData, text))
    });
    // A pipeline that was never imported has its own line, and no cycles that could be missed.
    let idle = every.filter(|_| due && status.imported).and_then(|every| not_running(status, every, now));
    let all = [definition, last_run, idle, unfinished, never, failures, old];
    all.into_iter().flatten().map(|(reason, message)| Attention { reason, message }).collect()
}

/// Whether no run has begun for too long.
fn not_running(status: &PipelineStatus, every: Duration, now: Timestamp) -> Option<(Reason, String)> {
    let started: Timestamp = status.last_run.as_ref()?.started.parse().ok()?;
    let since = crate::engine::run::seconds(started, now);
    let (name, every) = (&status.name, every.as_secs_f64());
    let text = format!(
        "no run has started for {}, and `every` is {}: is `syncline sync` running, and does it include `{name}`?",
        duration(since),
        duration(every)
    );
    (since > every * f64::from(CYCLES_MISSED)).then_some((Reason::NotRunning, text))
}

fn ago(run: &RunView, now: Timestamp) -> String {
    let started: Result<Timestamp, _> = run.started.parse();
    started.map_or_else(
        |_| String::new(),
        |started| format!("{} ago", duration(crate::engine::run::seconds(started, now).max(0.0))),
    )
}

/// A duration in its largest unit.
pub fn duration(seconds: f64) -> String {
    match seconds {
        // Up to one and a half of the next unit, which would be too coarse before.
        seconds if seconds < 90.0 => format!("{seconds:.0}s"),
        seconds if seconds < 90.0 * 60.0 => format!("{:.0}m", seconds / 60.0),
        seconds if seconds < 48.0 * 3600.0 => format!("{:.0}h", seconds / 3600.0),
        seconds => format!("{:.0} days", seconds / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::report::{RunKind, Tally};

    fn run(status: RunStatus) -> RunView {
        RunView {
            run: "01J".to_owned(),
            trace_id: String::new(),
            pipeline: "a".to_owned(),
            kind: RunKind::Sync,
            status,
            started: "2026-01-01T00:59:00Z".to_owned(),
            seconds: Some(1.0),
            tally: Tally::default(),
            error: None,
            code: None,
            origin: None,
        }
    }

    fn well() -> PipelineStatus {
        PipelineStatus {
            name: "a".to_owned(),
            standing: Standing::Ok,
            enabled: true,
            records: 10,
            stale: Some(0),
            backfill_due: false,
            filter_changed: false,
            imported: true,
            watermark: None,
            lag_seconds: Some(60.0),
            lag_allowed_seconds: Some(180.0),
            next_run: None,
            budget_share: None,
            parents_missed: None,
            unfinished_import: None,
            pending_associations: 3,
            open_failures: 0,
            last_run: Some(run(RunStatus::Succeeded)),
            last_good_run: Some(run(RunStatus::Succeeded)),
            attention: Vec::new(),
        }
    }

    #[test]
    fn what_needs_a_person() {
        let now: Timestamp = "2026-01-01T01:00:00Z".parse().unwrap();
        let every = Some(Duration::from_secs(60));
        let error = Diagnostic::error("SL1003", &"a.yaml".into(), crate::diagnostic::Place::File, "unknown key");
        let long_ago = RunView { started: "2026-01-01T00:50:00Z".to_owned(), ..run(RunStatus::Succeeded) };
        let cases: [(PipelineStatus, Option<&Diagnostic>, &[Reason]); 14] = [
            (well(), None, &[]),
            (well(), Some(&error), &[Reason::Definition]),
            (PipelineStatus { last_run: Some(long_ago), ..well() }, None, &[Reason::NotRunning]),
            (PipelineStatus { last_run: Some(run(RunStatus::Failed)), ..well() }, None, &[Reason::LastRun]),
            (PipelineStatus { last_run: Some(run(RunStatus::Partial)), ..well() }, None, &[]),
            (PipelineStatus { last_run: Some(run(RunStatus::Refused)), ..well() }, None, &[Reason::LastRun]),
            (PipelineStatus { last_run: Some(run(RunStatus::Paused)), ..well() }, None, &[]),
            (PipelineStatus { last_run: Some(run(RunStatus::Interrupted)), ..well() }, None, &[]),
            (PipelineStatus { last_run: Some(run(RunStatus::Running)), ..well() }, None, &[]),
            (PipelineStatus { open_failures: 1, ..well() }, None, &[Reason::Failures]),
            (PipelineStatus { lag_seconds: Some(181.0), ..well() }, None, &[Reason::OldData]),
            (PipelineStatus { enabled: false, imported: false, lag_seconds: Some(999.0), ..well() }, None, &[]),
            (PipelineStatus { imported: false, ..well() }, None, &[Reason::NeverImported]),
            (
                PipelineStatus {
                    imported: false,
                    unfinished_import: Some(ImportProgress { read: 1, total: 2 }),
                    ..well()
                },
                None,
                &[Reason::UnfinishedImport],
            ),
        ];
        for (status, error, expected) in cases {
            let found: Vec<Reason> = attention(&status, error, every, &AlertConfig::default(), now)
                .into_iter()
                .map(|item| item.reason)
                .collect();
            assert_eq!(found, expected, "{status:?}");
        }
    }

    #[test]
    fn one_word_says_how_a_pipeline_stands() {
        let person = vec![Attention { reason: Reason::Failures, message: String::new() }];
        let last = |status| PipelineStatus { last_run: Some(run(status)), ..well() };
        let cases = [
            (well(), Standing::Ok),
            (PipelineStatus { attention: person.clone(), enabled: false, ..well() }, Standing::Attention),
            (PipelineStatus { attention: person, ..last(RunStatus::Running) }, Standing::Attention),
            (PipelineStatus { enabled: false, ..last(RunStatus::Running) }, Standing::Running),
            (PipelineStatus { enabled: false, stale: Some(1), ..well() }, Standing::Off),
            (PipelineStatus { stale: Some(1), ..last(RunStatus::Paused) }, Standing::Paused),
            (PipelineStatus { stale: Some(1), ..well() }, Standing::Stale),
            (PipelineStatus { filter_changed: true, stale: None, ..well() }, Standing::Stale),
            (PipelineStatus { last_run: None, ..well() }, Standing::Ok),
        ];
        for (status, expected) in cases {
            assert_eq!(Standing::of(&status), expected, "{status:?}");
        }
    }

    #[test]
    fn the_next_cycle_is_due_a_pause_after_the_end_of_the_last() {
        let every = Duration::from_secs(60);
        let due = |seconds| next_run(&RunView { seconds, ..run(RunStatus::Succeeded) }, every).map(|at| at.to_string());
        assert_eq!(due(Some(2.0)).as_deref(), Some("2026-01-01T01:00:02Z"));
        assert_eq!(due(None), None, "one that goes on");
    }

    #[test]
    fn durations_are_said_in_their_largest_unit() {
        let cases = [(0.0, "0s"), (89.0, "89s"), (90.0, "2m"), (7_200.0, "2h"), (259_200.0, "3 days")];
        for (seconds, expected) in cases {
            assert_eq!(duration(seconds), expected);
        }
    }
}
