//! Runs pipelines once, one after the other: an import, or one sync cycle.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use jiff::Timestamp;
use tracing::Instrument;

use super::{alerts, status};
use crate::engine::alerts as engine_alerts;
use crate::engine::budget::Limits;
use crate::engine::plan_entries::PlanEntries;
use crate::engine::run::{self as engine_run, RunRequest, StopReason};
use crate::model::alert::AlertTerms;
use crate::model::budget::Budget;
use crate::model::ids::{PipelineName, RunId};
use crate::model::origin::RunOrigin;
use crate::model::report::{RunProgress, RunReport, RunScope, RunStatus, Tally, Trial};
use crate::pipeline::compiled::AssociationTarget;
use crate::plan::guard::Allowance;
use crate::ports::fault::Fault;
use crate::ports::state::{RunRow, StateError};
use crate::ports::store::Store;
use crate::project::context::{Handles, handles, new_run};
use crate::project::error::OpsError;
use crate::project::prepare::{
    PortalSource, Preparation, Prepared, Refused, allowed_key, calls_key, prepare_selected, rate_key,
};
use crate::project::selection::Selection;
use crate::project::wiring::Project;
use crate::stages::StageContext;
use crate::sys::crash_point::crash_point;
use crate::sys::spans;

/// Called as a run goes on, with the pipeline's name and its numbers.
pub type OnProgress = Arc<dyn Fn(&str, RunProgress) + Send + Sync>;

/// How the runs are to be done.
#[derive(Clone)]
pub struct RunOptions {
    /// Which records they are about.
    pub scope: RunScope,
    /// What a person allowed for this one time.
    pub allowance: Allowance,
    /// The command, for the lease's holder.
    pub command: String,
    /// Only these records, where the runs are a trial.
    pub trial: Option<Trial>,
    /// After this a run pauses, and leaves the rest to the next one.
    pub budget: Budget,
    /// The plan that they follow, where they follow one.
    pub followed: Option<Arc<FollowedPlan>>,
    /// Called as a run goes on.
    pub on_progress: OnProgress,
}

impl RunOptions {
    /// Which records of a pipeline a run is about.
    fn scope_of(&self, name: &PipelineName) -> RunScope {
        let followed = self.followed.as_ref().and_then(|followed| followed.pipelines.get(name));
        followed.map_or(self.scope, |(scope, _)| *scope)
    }
}

/// A plan that runs follow.
pub struct FollowedPlan {
    /// When it was made: what was due then is due now.
    pub at: Timestamp,
    /// Scope and plan entries of each pipeline.
    pub pipelines: HashMap<PipelineName, (RunScope, PlanEntries)>,
    /// What it foretold of each.
    pub planned: HashMap<PipelineName, Tally>,
}

/// One finished run, and why it ended early where it did.
pub struct Finished {
    /// What it did.
    pub report: RunReport,
    /// Why it ended early, or did not begin.
    pub trouble: Option<Trouble>,
    /// The pipeline as it ran; none where it could not.
    pub prepared: Option<Prepared>,
}

/// Why a run ended early.
#[derive(Debug)]
pub enum Trouble {
    /// It had begun.
    Stopped(StopReason),
    /// It had not: the pipeline was refused, or what it needs could not be used.
    Refused(OpsError),
}

impl Trouble {
    /// Stable code, the reason in one line, and what a person should do.
    pub fn explain(&self) -> (&'static str, String, Option<String>) {
        match self {
            Self::Stopped(stop) => (stop.code(), stop.to_string(), stop.help()),
            Self::Refused(error) => {
                let (code, reason) = error.reason();
                (code, reason, error.help())
            }
        }
    }
}

/// Runs the pipelines in order. One that is refused or ends early keeps no other from running, unless the person asked to
/// stop; each has its row in the history.
pub async fn run_all(
    project: &Project,
    state: &Arc<dyn Store>,
    preparation: Preparation,
    options: &RunOptions,
    counted: &HashMap<PipelineName, u64>,
) -> Vec<Finished> {
    let mut finished = Vec::new();
    // First, so that the rows of the history stand in the order in which things were known.
    for refused in preparation.refused {
        finished.push(refuse(project, state, refused, options).await);
    }
    for pipeline in &preparation.pipelines {
        if project.outside.cancel.is_cancelled() {
            break;
        }
        let counted = counted.get(&pipeline.pipeline.name).copied();
        finished.push(run_one(project, state, pipeline, options, counted).await);
    }
    // Not worth an error: they wait in the state, and each later run tries them.
    if let Err(error) = later_associations(project, state, options, &mut finished).await {
        tracing::warn!(%error, "associations to records that were made later wait for the next run");
    }
    project.give_back_calls().await;
    crash_point!("command.telling");
    alerts::tell_at_last(project, &**state, status::duration).await;
    finished
}

/// The run of a pipeline that was refused: a row with the reason.
pub async fn refuse(project: &Project, state: &Arc<dyn Store>, refused: Refused, options: &RunOptions) -> Finished {
    let Refused { name, reason } = refused;
    let (scope, begun) = (options.scope_of(&name), (new_run(project), project.outside.clock.now()));
    let run = begun.0.clone();
    let written = not_begun(project, state, name.clone(), scope, reason, begun, options);
    traced(&run, &name, scope, Box::pin(written)).await
}

/// A run as a trace.
async fn traced(run: &RunId, name: &PipelineName, scope: RunScope, work: impl Future<Output = Finished>) -> Finished {
    let span = spans::run(run.trace_id(), run, name, &scope.kind());
    let finished = work.instrument(span.clone()).await;
    let RunReport { status, tally, code, .. } = &finished.report;
    spans::run_ended(&span, status, *status == RunStatus::Failed, tally.read, code.as_deref());
    finished
}

/// Runs one pipeline under its lease. Whatever keeps it from its end, be it our own mistake, is the reason of a failed run.
pub async fn run_one(
    project: &Project,
    state: &Arc<dyn Store>,
    prepared: &Prepared,
    options: &RunOptions,
    counted: Option<u64>,
) -> Finished {
    let begun = (new_run(project), project.outside.clock.now());
    let (run, name) = (begun.0.clone(), &prepared.pipeline.name);
    let scope = options.scope_of(name);
    let work = async {
        match isolated(attempt(project, state, prepared, options, counted, run.clone())).await {
            Ok(finished) => finished,
            Err(reason) => not_begun(project, state, name.clone(), scope, reason, begun, options).await,
        }
    };
    // In a place of its own: a wrapped future would else be in each of those around it twice.
    traced(&run, name, scope, Box::pin(work)).await
}

/// Turns a panic into an error, so that the other pipelines go on.
async fn isolated<T>(work: impl Future<Output = Result<T, OpsError>>) -> Result<T, OpsError> {
    // What the work shared is the state, whose transactions end with the panic.
    let ended = AssertUnwindSafe(work).catch_unwind().await;
    ended.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        let message = format!("a bug in Syncline ended the run: {text}");
        Err(OpsError::refused(
            "SL9002",
            message,
            "please report it; what HubSpot acknowledged is saved, and the next run resumes",
        ))
    })
}

async fn attempt(
    project: &Project,
    state: &Arc<dyn Store>,
    prepared: &Prepared,
    options: &RunOptions,
    counted: Option<u64>,
    run: RunId,
) -> Result<Finished, OpsError> {
    let name = &prepared.pipeline.name;
    let _lease = state.lease(name, &options.command).await?;
    crash_point!("command.leased");
    let Handles { mut cx, writers, saved_portal } =
        handles(project, state, prepared, run, options.scope_of(name)).await?;
    let followed = match &options.followed {
        None => None,
        Some(followed) => {
            let pipeline = followed.pipelines.get(name).ok_or_else(|| {
                OpsError::refused("SL9002", format!("`{name}` is no part of the plan"), "nothing of it was run")
            })?;
            Some((followed.at, pipeline))
        }
    };
    cx.due_at = followed.map_or(cx.due_at, |(at, _)| at);
    let (progress, shown) = (Arc::clone(&options.on_progress), name.to_string());
    let order = RunRequest {
        scope: options.scope_of(name),
        planned: followed.map(|(_, (_, entries))| entries.clone()),
        trial: options.trial.clone(),
        limits: Limits::of(options.budget, &project.outside.clock),
        allowance: options.allowance,
        counted,
        alerts: alerts::terms(project, name),
        on_progress: Arc::new(move |now| progress(&shown, now)),
    };
    cx.try_all = order.scope.is_whole();
    cx.compare = order.scope == RunScope::Compared;
    cx.renews_marks = order.scope.is_whole() && order.planned.is_none();
    // Before the run, so that its budget counts what other processes used; where calls are drawn, that is counted there.
    if state.org_calls().is_none() {
        note_calls(project, state, prepared).await?;
    }
    note_origin(project, state, name, &cx.run, options).await?;
    tracing::info!(pipeline = %name, run = %cx.run, scope = ?order.scope, "the run begins");
    let (report, stop) = engine_run::run(&cx, &writers, &order).await?;
    tracing::info!(
        pipeline = %name,
        run = %cx.run,
        status = ?report.status,
        read = report.tally.read,
        hubspot_calls = report.tally.hubspot_calls,
        salesforce_calls = report.tally.salesforce_calls,
        "the run ended"
    );
    crash_point!("command.run_ended");
    note_calls(project, state, prepared).await?;
    // A remembered portal saves the calls of a quiet cycle; where it was found changed, nothing was written by it.
    if saved_portal.is_none_or(|saved_portal| !saved_portal.has_changed()) {
        return Ok(finished(report, stop, prepared.clone()));
    }
    tracing::info!(pipeline = %name, "the portal has changed since the last run: starting over");
    let asked = report.tally;
    let chosen = Selection { pipelines: vec![prepared.index], broken: Vec::new() };
    let mut fresh = prepare_selected(project, &project.loaded, &chosen, PortalSource::LiveAndSaved(&**state)).await?;
    if let Some(refused) = fresh.refused.pop() {
        return Err(refused.reason);
    }
    let fresh = fresh.pipelines.pop().unwrap_or_else(|| prepared.clone());
    // Nothing was done yet, so the history keeps one row for both attempts.
    let again = handles(project, state, &fresh, cx.run.clone(), order.scope).await?;
    let (due_at, try_all, compare, renews_marks) = (cx.due_at, cx.try_all, cx.compare, cx.renews_marks);
    let again_cx = StageContext { due_at, try_all, compare, renews_marks, ..again.cx };
    let (report, stop) = engine_run::run(&again_cx, &again.writers, &order).await?;
    note_calls(project, state, prepared).await?;
    Ok(finished(with_calls_of(state, report, asked).await?, stop, fresh))
}

/// What a first beginning asked went over the wire as well: the report and the row of the second one count it.
async fn with_calls_of(state: &Arc<dyn Store>, mut report: RunReport, first: Tally) -> Result<RunReport, StateError> {
    report.tally.salesforce_calls += first.salesforce_calls;
    report.tally.hubspot_calls += first.hubspot_calls;
    if let Some(mut row) = state.run(report.run.as_str()).await? {
        row.tally = report.tally;
        state.end_run(&row).await?;
    }
    Ok(report)
}

fn finished(report: RunReport, stop: Option<StopReason>, prepared: Prepared) -> Finished {
    let code = stop.as_ref().map(|stop| stop.code().to_owned());
    Finished { report: RunReport { code, ..report }, trouble: stop.map(Trouble::Stopped), prepared: Some(prepared) }
}

/// The run of a pipeline that did not begin, or broke off without a word: its row has the reason.
async fn not_begun(
    project: &Project,
    state: &Arc<dyn Store>,
    name: PipelineName,
    scope: RunScope,
    reason: OpsError,
    (run, started): (RunId, Timestamp),
    options: &RunOptions,
) -> Finished {
    let (code, message) = reason.reason();
    // A pipeline that another process runs is no failure, nor is a stop that a person asked for.
    let status = match &reason {
        OpsError::State(StateError::Held { .. } | StateError::Lost { .. }) => RunStatus::Refused,
        OpsError::Remote { fault: Fault::Cancelled, .. } => RunStatus::Interrupted,
        OpsError::Remote { fault: Fault::Budget { .. }, .. } => RunStatus::Paused,
        _ => RunStatus::Failed,
    };
    let ended = project.outside.clock.now();
    let mut row = RunRow {
        id: run,
        pipeline: name,
        kind: scope.kind(),
        status,
        started,
        ended: Some(ended),
        tally: Tally::default(),
        error: Some(format!("{message} ({code})")),
    };
    if let Err(error) = note_origin(project, state, &row.pipeline, &row.id, options).await {
        tracing::warn!(%error, pipeline = %row.pipeline, "where the run comes from could not be kept");
    }
    let terms = alerts::terms(project, &row.pipeline);
    let help = reason.help();
    let cause = (Some(code), help.as_deref());
    if let Err(error) = record(state, &mut row, options, terms.as_ref(), cause).await {
        tracing::warn!(%error, pipeline = %row.pipeline, "the run could not be written into the history");
    }
    let report = RunReport {
        name: row.pipeline,
        run: row.id,
        kind: row.kind,
        status,
        tally: row.tally,
        seconds: engine_run::seconds(started, ended),
        notes: Vec::new(),
        error: Some(message),
        code: Some(code.to_owned()),
    };
    Finished { report, trouble: Some(Trouble::Refused(reason)), prepared: None }
}

/// Writes the row of a run that did not get to write it itself. Where no other process runs the pipeline, rows that a
/// process left when it died are ended as well.
async fn record(
    state: &Arc<dyn Store>,
    row: &mut RunRow,
    options: &RunOptions,
    terms: Option<&AlertTerms>,
    cause: (Option<&str>, Option<&str>),
) -> Result<(), StateError> {
    // The row may have begun before a panic, with what was counted until then.
    if let Some(begun) = state.run(row.id.as_str()).await? {
        row.tally = begun.tally;
    } else if let Ok(_lease) = state.lease(&row.pipeline, &options.command).await {
        state.begin_run(row).await?;
    }
    let change = match terms {
        Some(terms) => engine_alerts::of_run(&**state, row, cause, terms).await?,
        None => None,
    };
    match change {
        Some(commit) => state.end_run_telling(row, &commit).await,
        None => state.end_run(row).await,
    }
}

/// Keeps where a run comes from.
async fn note_origin(
    project: &Project,
    state: &Arc<dyn Store>,
    name: &PipelineName,
    run: &RunId,
    options: &RunOptions,
) -> Result<(), StateError> {
    let planned = options.followed.as_ref().and_then(|followed| followed.planned.get(name)).copied();
    state.note_origin(run, &RunOrigin { planned, ..project.origin(&options.command) }).await
}

/// Keeps the count of Salesforce calls over processes, as `api_budget` is meant for the day and not for one run; and what both
/// services allow.
async fn note_calls(project: &Project, state: &Arc<dyn Store>, prepared: &Prepared) -> Result<(), OpsError> {
    let config = &project.loaded.pipelines[prepared.index].config;
    let (source, target) = (&config.source.connection, &config.target.connection);
    let keys = [calls_key(source), allowed_key(source), rate_key(target)];
    let noted = state.notes(&keys).await?;
    let calls = project.note_calls(source, noted.first().and_then(Option::as_deref));
    let allowed = project.calls_allowed(source).map(|calls| calls.to_string());
    let rate = project.calls_per_second(target).map(|rate| rate.to_string());
    for ((key, noted), now) in keys.iter().zip(noted).zip([Some(calls), allowed, rate]) {
        if let Some(now) = now.filter(|now| noted.as_ref() != Some(now)) {
            state.set_note(key, &now).await?;
        }
    }
    Ok(())
}

/// Associations of pipelines whose other side was made by a pipeline that ran after them.
async fn later_associations(
    project: &Project,
    state: &Arc<dyn Store>,
    options: &RunOptions,
    finished: &mut [Finished],
) -> Result<(), OpsError> {
    // A second pass and not an order: pipelines may refer to each other in a circle.
    for place in 0..finished.len() {
        let Some(prepared) = finished[place].prepared.clone() else { continue };
        // What was confirmed or read anew by the run holds for its associations as well.
        let prepared = Prepared { from_saved_portal: false, ..prepared };
        let pipeline = &prepared.pipeline;
        // From its own place on, as a lookup may lead to its own object.
        let made_later = finished[place..].iter().any(|later| {
            let made = later.report.tally.created + later.report.tally.restored + later.report.tally.adopted > 0;
            let associated = pipeline.associations.iter().any(|association| {
                matches!(&association.target, AssociationTarget::Pipeline { name, .. } if *name == later.report.name)
            });
            made && associated
        });
        // A run that ended early has reasons that would stop this as well.
        let ended_well = matches!(finished[place].report.status, RunStatus::Succeeded | RunStatus::Partial);
        if !made_later || !ended_well {
            continue;
        }
        // What waits, and what led to a record that was made again.
        if state.due_associations(&pipeline.name, None, None, 1).await?.is_empty() {
            continue;
        }
        // The lease was given back after the run, and another process may have taken it.
        let _lease = state.lease(&pipeline.name, &options.command).await?;
        let run = finished[place].report.run.clone();
        let Handles { cx, writers, .. } =
            handles(project, state, &prepared, run, options.scope_of(&pipeline.name)).await?;
        crash_point!("command.later_associations");
        let span = spans::after_run(cx.run.trace_id(), "later associations");
        let settled = engine_run::settle_associations(&cx, &writers, &mut finished[place].report);
        let stop = settled.instrument(span).await?;
        finished[place].trouble = finished[place].trouble.take().or(stop.map(Trouble::Stopped));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_the_reason_of_one_run() {
        let panics = async { Ok("x".parse::<u32>().expect("a number")) };
        let error = isolated(panics).await.unwrap_err();
        assert_eq!((error.code(), error.to_string().contains("a number")), ("SL9002", true), "{error}");
        assert_eq!(isolated(async { Ok(1) }).await.unwrap(), 1);
    }
}
