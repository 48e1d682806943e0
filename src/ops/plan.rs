//! `plan`: the dry run. The same stages and decisions as a run, without the writing half; the real state is only read.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::changes::ChangesFile;
use super::{addresses, awaited};
use crate::config::pipeline::{Mode, OnMappingChange};
use crate::engine::catch_up::{self, Backlog};
use crate::engine::forecast::options::{ForecastOptions, Recorder};
use crate::engine::forecast::{Forecast, Found};
use crate::engine::parents::ParentReads;
use crate::engine::plan_entries::PlanObserver;
use crate::engine::run::{self as engine_run, StopReason};
use crate::engine::{
    cycle, objects, queries, read_ahead, reconcile, reject_guard, runner, trial, unconfirmed, watermark,
};
use crate::model::forecast::{Answer, Estimate, PipelineForecast, PlannedAction, Question, Verdict};
use crate::model::ids::{PipelineName, SalesforceId};
use crate::model::report::{RunKind, RunReport, RunScope, RunStatus, Tally, Trial};
use crate::pipeline::compiled::Pipeline;
use crate::plan::guard::{self, Allowance, Impact, Rejects};
use crate::project::context::{context, failed, new_run};
use crate::project::error::OpsError;
use crate::project::prepare::{Preparation, Prepared, Refused};
use crate::project::stateless::{self, InferredState};
use crate::project::wiring::Project;
use crate::stages::read::extract::{Membership, candidates};
use crate::stages::read::first_import::{self, BeforeImport};
use crate::stages::{StageContext, StageError, StageName};
use crate::state::sqlite::SqliteState;

/// What is to be found out.
#[derive(Clone, Default)]
pub struct PlanOptions {
    /// Most changes to show for each pipeline.
    pub sample: usize,
    /// What an import would do, instead of what a sync would.
    pub full: bool,
    /// What a comparison of both systems would repair.
    pub reconcile: bool,
    /// Also compare with what HubSpot holds now.
    pub refresh: bool,
    /// Only show these actions.
    pub only: Vec<PlannedAction>,
    /// Only these records.
    pub records: Vec<SalesforceId>,
    /// What an import of these records would do.
    pub trial: Option<Trial>,
    /// The moment that counts as now for what is due; the real one unless given.
    pub at: Option<Timestamp>,
    /// Scopes of pipelines, where they are fixed already.
    pub scopes: Vec<(PipelineName, RunScope)>,
    /// What a person allows for the run that is foretold.
    pub allowance: Allowance,
    /// Changed pipelines as they were, to tell which rejections are new.
    pub before: Vec<(PipelineName, Arc<Pipeline>)>,
    /// Takes every change.
    pub recorder: Option<Arc<ChangesFile>>,
    /// The state is kept elsewhere: what HubSpot holds is taken as what was synced, and the plan tells what
    /// `import --stale` would do there.
    pub without_state: Option<InferredState>,
}

/// Makes the observer of a pipeline's forecast.
pub type PlanObservers<'a> = &'a (dyn Fn(&PipelineName) -> Option<Arc<dyn PlanObserver>> + Sync);

/// Forecasts what `import` (for pipelines that never synced) or `sync` would do now, and what a changed mapping touches.
/// After those that are ready come those that cannot run, with the reason.
pub async fn plan(
    project: &Project,
    preparation: &Preparation,
    options: &PlanOptions,
    observers: PlanObservers<'_>,
) -> Result<Vec<PipelineForecast>, OpsError> {
    // What the plan works out must leave the real state untouched, also when it is killed.
    let scratch = Arc::new(SqliteState::scratch(&project.outside.clock)?);
    let (state, unasked) = match &options.without_state {
        None => (project.state_for_reading()?, Vec::new()),
        Some(without) => stateless::infer_state(project, preparation, &scratch, without).await?,
    };
    let (mut forecasts, mut settled) = (Vec::new(), Vec::new());
    for prepared in &preparation.pipelines {
        let mut cx = context(project, &state, &scratch, prepared).await?;
        cx.due_at = options.at.unwrap_or(cx.due_at);
        let started = cx.clock.now();
        let Forecasted { scope, backlog, refusal, found, stop, same_titles } =
            forecast(&cx, options, observers(&cx.pipeline.name), &preparation.pipelines).await?;
        settled.extend(found.settled.iter().map(|(name, settled)| (name.clone(), *settled)));
        let mut notes = Vec::new();
        let backfills =
            scope == RunScope::ChangedAndStale && cx.pipeline.sync.on_mapping_change == OnMappingChange::Backfill;
        if let Some(stop) = &stop {
            notes.push(format!("the forecast ended early: {stop}"));
        }
        if !options.records.is_empty() && found.tally.read == 0 {
            notes.push(format!("{} shows no such record", cx.pipeline.source_object));
        }
        if options.trial.is_some() {
            notes.push("about an import of the chosen records only".to_owned());
        }
        notes.extend(same_titles);
        notes.extend(reconcile::vanished_note(&cx, found.vanished));
        notes.extend(found.strangers.note(&cx));
        notes.extend(found.parents.clone());
        if found.waiting > 0 {
            notes.push(format!("{} failed earlier and wait for their next try", found.waiting));
        }
        match scope {
            RunScope::Stale => notes.push(state_left_aside(backlog, &cx.pipeline.name)),
            RunScope::ChangedAndStale => notes.push(caught_up(backlog, &cx.pipeline.name, backfills)),
            RunScope::All | RunScope::Changed | RunScope::Compared => {}
        }
        if unasked.contains(&cx.pipeline.name) {
            notes.push(
                "Salesforce no longer accepts the old `where`: records that stopped matching it are not seen"
                    .to_owned(),
            );
        }
        // Of records that HubSpot holds under the match property a first import makes none anew, which people want to
        // be sure of.
        if options.without_state.is_none()
            && scope == RunScope::All
            && !cx.pipeline.is_junction
            && cx.state.identity_counts(&cx.pipeline.name, cx.pipeline.mapping_version).await?.standing == 0
        {
            notes.extend(recognised(&found, &cx.pipeline.target.match_property));
        }
        let ended = cx.clock.now();
        let answers = answers(&found, stop.is_some(), scope, options.refresh);
        let report = RunReport {
            name: prepared.pipeline.name.clone(),
            run: cx.run.clone(),
            kind: RunKind::Plan,
            status: stop.as_ref().map_or(RunStatus::Succeeded, StopReason::status),
            tally: found.tally,
            seconds: engine_run::seconds(started, ended),
            notes,
            error: stop.as_ref().map(ToString::to_string),
            code: stop.as_ref().map(|stop| stop.code().to_owned()),
        };
        forecasts.push(PipelineForecast {
            report,
            forecast_of: scope.kind(),
            scope,
            backfills,
            actions: found.actions,
            rejects: found.rejects,
            properties: found.properties,
            definition_changes: Vec::new(),
            stale: backlog.behind,
            answers,
            changes: found.changes,
            changes_omitted: found.omitted,
            addresses: addresses::of(project, prepared),
            estimate: with_set_up(found.estimate, prepared, scope, cx.target.calls_per_second()),
            refusal,
        });
    }
    awaited::settle(&scratch, &preparation.pipelines, &mut forecasts, &settled).await?;
    forecasts.extend(preparation.refused.iter().map(|one| refused(project, one)));
    Ok(forecasts)
}

/// What can be said of a pipeline that cannot run: why.
fn refused(project: &Project, refused: &Refused) -> PipelineForecast {
    let (code, reason) = refused.reason.reason();
    let report = RunReport {
        name: refused.name.clone(),
        run: new_run(project),
        kind: RunKind::Plan,
        status: RunStatus::Failed,
        tally: Tally::default(),
        seconds: 0.0,
        notes: Vec::new(),
        error: Some(reason.clone()),
        code: Some(code.to_owned()),
    };
    // Nothing was looked at, and an unanswered question must not pass for a no.
    let unknown = |question| Answer { question, answer: Verdict::Unknown, why: "the pipeline cannot run".to_owned() };
    let questions = [Question::Changes, Question::Archives, Question::Drift, Question::Vanished];
    PipelineForecast {
        report,
        forecast_of: RunKind::Sync,
        scope: RunScope::Changed,
        backfills: false,
        actions: BTreeMap::new(),
        rejects: Vec::new(),
        properties: BTreeMap::new(),
        definition_changes: Vec::new(),
        stale: 0,
        answers: questions.map(unknown).to_vec(),
        changes: Vec::new(),
        changes_omitted: 0,
        addresses: None,
        estimate: Estimate::default(),
        refusal: Some(reason),
    }
}

/// What a run costs with what is asked before it begins. An import asks for everything; a sync remembers the portal, and asks
/// whether it is still so when it is about to use it.
fn with_set_up(run: Estimate, prepared: &Prepared, scope: RunScope, calls_per_second: f64) -> Estimate {
    let portal = match scope {
        RunScope::All | RunScope::Stale | RunScope::Compared => prepared.set_up.hubspot_calls,
        // A quiet cycle does not ask HubSpot anything.
        RunScope::Changed | RunScope::ChangedAndStale if run.hubspot_calls == 0 => 0,
        RunScope::Changed | RunScope::ChangedAndStale => prepared.portal_calls,
    };
    let hubspot_calls = run.hubspot_calls + portal;
    Estimate {
        hubspot_calls,
        salesforce_calls: run.salesforce_calls + prepared.set_up.salesforce_calls,
        seconds_at_rate_limit: hubspot_calls as f64 / calls_per_second.max(0.1),
    }
}

struct Forecasted {
    scope: RunScope,
    backlog: Backlog,
    refusal: Option<String>,
    found: Found,
    stop: Option<StopReason>,
    /// That records would be created whose names stand in HubSpot.
    same_titles: Option<String>,
}

async fn forecast(
    cx: &StageContext,
    options: &PlanOptions,
    observer: Option<Arc<dyn PlanObserver>>,
    pipelines: &[Prepared],
) -> Result<Forecasted, OpsError> {
    let watermark = cx.state.watermark(&cx.pipeline.name).await?;
    let unfinished = cx.state.cursor(&cx.pipeline.name).await?.is_some();
    // The watermark of an unfinished import is from before it, and a sync would be refused.
    let watermark = watermark.filter(|_| !unfinished);
    let backlog = catch_up::backlog(&*cx.state, &cx.pipeline).await?;
    let by_itself = cx.pipeline.sync.on_mapping_change == OnMappingChange::Backfill;
    let due = catch_up::due(&*cx.state, &cx.pipeline).await?;
    let fixed = options.scopes.iter().find(|(name, _)| *name == cx.pipeline.name).map(|(_, scope)| *scope);
    // The order is that of `run`: a plan must choose what the run would.
    let scope = fixed.unwrap_or(match watermark {
        _ if options.without_state.as_ref().is_some_and(|option| !option.fresh.contains(&cx.pipeline.name)) => {
            RunScope::Stale
        }
        _ if !options.records.is_empty() => RunScope::Changed,
        _ if options.trial.is_some() => RunScope::All,
        None => RunScope::All,
        Some(_) if options.reconcile => RunScope::Compared,
        Some(_) if options.full => RunScope::All,
        Some(_) if backlog.is_empty() => RunScope::Changed,
        // What a backfill could not carry over fails by itself, and is not tried again by the next.
        Some(_) if by_itself && due.is_none() => RunScope::Changed,
        Some(_) => RunScope::ChangedAndStale,
    });
    let before = match (scope, &options.without_state) {
        (RunScope::All, None) => first_import::look(cx).await.map_err(|error| failed(cx, error))?,
        _ => BeforeImport::default(),
    };
    let same_titles = before.same_titles;
    let cx = &StageContext {
        try_all: scope.is_whole(),
        compare: scope == RunScope::Compared,
        vacant: before.vacant,
        same_titles: same_titles.clone(),
        ..cx.clone()
    };
    let widened = options.without_state.as_ref().and_then(|option| option.widened.as_ref());
    let widened = widened.is_none_or(|names| names.contains(&cx.pipeline.name));
    let sink = Forecast::new(
        cx,
        ForecastOptions {
            sample_max: options.sample,
            only: options.only.clone(),
            // An import tries all associations that wait, a sync those whose time has come.
            associations_at: Some(cx.due_at).filter(|_| !scope.is_whole() || options.trial.is_some()),
            without_waiting: !options.records.is_empty(),
            associations_elsewhere: scope == RunScope::Stale,
            awaited_by: awaited::waiting_for(pipelines, &cx.pipeline.name),
            allowance: options.allowance,
            recheck: scope.is_whole() && options.trial.is_none() && cx.pipeline.mode != Mode::CreateOnly,
            before: options
                .before
                .iter()
                .find(|(name, _)| *name == cx.pipeline.name)
                .map(|(_, option)| Arc::clone(option)),
            failed_only: scope == RunScope::Stale && !widened,
            recorder: options.recorder.clone().map(|file| file as Arc<dyn Recorder>),
            observer,
        },
    );
    let changed = objects::objects_changed(cx).await?;
    let ran = match (scope, watermark) {
        // The run would be refused before it reads a row.
        _ if changed.is_some() => Ok(changed.as_ref().map(ToString::to_string)),
        _ if let Some(trial) = &options.trial => part(cx, &sink, trial, options.allowance).await,
        (RunScope::Changed | RunScope::ChangedAndStale, _) if !options.records.is_empty() => {
            by_id(cx, &sink, &options.records).await.map(|()| None)
        }
        // Nothing is known of the records that HubSpot lacks, so they are read as well.
        (RunScope::Stale, _) if backlog.behind > 0 || widened => {
            stale(cx, &sink, Backlog { filter_changed: true, ..backlog }, options.allowance).await
        }
        (RunScope::Stale, _) => Ok(None),
        (RunScope::Compared, _) => compare(cx, &sink, options.allowance).await,
        (RunScope::Changed | RunScope::ChangedAndStale, Some(_)) => {
            let backlog = Some(backlog).filter(|_| scope == RunScope::ChangedAndStale);
            sync(cx, &sink, backlog, options.allowance).await
        }
        _ => import(cx, &sink, options.allowance).await,
    };
    let (refusal, mut stop) = match ran {
        Ok(refusal) => (refusal, None),
        // What was found until then is shown all the same: the sink keeps it.
        Err(stop) => (None, Some(stop)),
    };
    if options.refresh && stop.is_none() {
        // Drift is looked for among the same records that the plan is about.
        let rows = match options.records.as_slice() {
            [] if let Some(chosen) = &options.trial => trial::rows(cx, chosen, None),
            [] => candidates(cx, queries::import_query(cx, 0), Membership::ByQuery, None),
            ids => candidates(cx, queries::ids_query(cx, ids), Membership::Asked, None),
        };
        stop = sink.drift(rows).await.err().map(StopReason::Stage);
    }
    let found = sink.finish().await.map_err(|error| failed(cx, error))?;
    // What certain records, or a review without state, would reject says nothing of a run.
    let whole = options.records.is_empty() && options.without_state.is_none();
    let rejects = found.refusal.as_ref().filter(|_| whole).map(ToString::to_string);
    let refusal = refusal.or(rejects);
    let same_titles = same_titles.and_then(|titles| titles.note());
    Ok(Forecasted { scope, backlog, refusal, found, stop, same_titles })
}

/// Goes through the same reads as an import; gives the refusal that a run would meet, if it would meet one.
async fn import(cx: &StageContext, sink: &Forecast, allowance: Allowance) -> Result<Option<String>, StopReason> {
    // Counted first, so that an answer which ends early is told from a small object.
    let total = cx.source.count(&queries::import_query(cx, 0)).await.map_err(StageError::at(StageName::Extract))?;
    let archive = unconfirmed::archive_count(cx).await?;
    let rows = candidates(cx, queries::import_query(cx, total), Membership::ByQuery, None);
    // Failures are tracked only where there are any: it costs a look-up for each batch.
    let rows = if cx.failures_open { catch_up::track(cx, rows) } else { unconfirmed::track(cx, rows) };
    // The first records are transformed before anything counts, so that a mapping which rejects most of them is
    // refused early.
    let ahead = read_ahead::read_ahead(rows).await?;
    let rejects = reject_guard::judge(cx, &ahead.rows).await?;
    runner::run(cx, sink, ahead.all_rows()).await?;
    runner::run(cx, sink, catch_up::track(cx, unconfirmed::rows(cx))).await?;
    // A failure whose record the whole read does not meet is about a record that left, or is no more.
    runner::run(cx, sink, catch_up::failed(cx, None)).await?;
    let counts = cx.state.identity_counts(&cx.pipeline.name, cx.pipeline.mapping_version).await?;
    // A share of records is taken of all that may be in HubSpot, confirmed or not.
    let standing = counts.standing + counts.in_doubt;
    Ok(refusal(cx, Impact { archive, standing, source_empty: total == 0 }, &rejects, allowance))
}

/// The same for a cycle; nothing is refused where there is no watermark to read from.
async fn sync(
    cx: &StageContext,
    sink: &Forecast,
    backlog: Option<Backlog>,
    allowance: Allowance,
) -> Result<Option<String>, StopReason> {
    // Without a watermark that can be believed there is nothing to read since.
    let Some(trusted) = watermark::trusted(cx, watermark::read_clocks(cx).await?).await? else { return Ok(None) };
    let parents = ParentReads::begin(cx, trusted.watermark).await?;
    let (ahead, impact, rejects) = cycle::look_ahead(cx, trusted.watermark, backlog, &parents).await?;
    let refusal = refusal(cx, impact, &rejects, allowance);
    runner::run(cx, sink, ahead.all_rows()).await?;
    sink.note_parents(parents.note(cx));
    runner::run(cx, sink, unconfirmed::rows(cx)).await?;
    Ok(refusal)
}

/// What a changed mapping does to the records that HubSpot holds.
async fn stale(
    cx: &StageContext,
    sink: &Forecast,
    backlog: Backlog,
    allowance: Allowance,
) -> Result<Option<String>, StopReason> {
    let standing = cx.state.identity_counts(&cx.pipeline.name, cx.pipeline.mapping_version).await?.standing;
    let archive = cycle::stale_archives(cx).await?;
    // Records first that are read anew; what a broken run left unconfirmed may be among them.
    runner::run(cx, sink, catch_up::rows(cx, backlog)).await?;
    runner::run(cx, sink, unconfirmed::rows(cx)).await?;
    // A catch-up is not stopped for rejects: nothing of it is new to HubSpot.
    Ok(refusal(cx, Impact { archive, standing, source_empty: false }, &Rejects::default(), allowance))
}

/// What an import of a part of the records would do.
async fn part(
    cx: &StageContext,
    sink: &Forecast,
    chosen: &Trial,
    allowance: Allowance,
) -> Result<Option<String>, StopReason> {
    let impact = trial::impact(cx, chosen).await?.unwrap_or_default();
    let ahead = read_ahead::read_ahead(trial::rows(cx, chosen, None)).await?;
    let rejects = reject_guard::judge(cx, &ahead.rows).await?;
    runner::run(cx, sink, ahead.all_rows()).await?;
    Ok(refusal(cx, impact, &rejects, allowance))
}

/// What a comparison of both systems would repair.
async fn compare(cx: &StageContext, sink: &Forecast, allowance: Allowance) -> Result<Option<String>, StopReason> {
    let survey = reconcile::survey(cx).await?;
    sink.note_vanished(survey.vanished);
    // A read that brought less than was counted would make records look as if they were gone.
    let short = guard::check_whole(survey.shown, survey.counted, allowance).err().map(|short| short.to_string());
    // The order is that of a real comparison: what left before what stands.
    runner::run(cx, sink, catch_up::track(cx, reconcile::departed(cx, false))).await?;
    runner::run(cx, sink, unconfirmed::track(cx, reconcile::all(cx, survey.counted, None))).await?;
    runner::run(cx, sink, catch_up::track(cx, unconfirmed::rows(cx))).await?;
    // What is done with records that failed and are not among those that were read.
    runner::run(cx, sink, catch_up::failed(cx, None)).await?;
    sink.note_strangers(reconcile::strangers(cx).await?);
    Ok(short.or_else(|| refusal(cx, survey.impact, &Rejects::default(), allowance)))
}

/// What would be done with certain records, whatever else has changed.
async fn by_id(cx: &StageContext, sink: &Forecast, ids: &[SalesforceId]) -> Result<(), StopReason> {
    // An address has 16,384 bytes at most, which bounds the ids in one query.
    for ids in ids.chunks(crate::ports::source::QUERY_IDS_MAX) {
        let rows = candidates(cx, queries::ids_query(cx, ids), Membership::Asked, None);
        runner::run(cx, sink, rows).await?;
    }
    Ok(())
}

/// What the guard would say, in words: a plan shows it and goes on.
fn refusal(cx: &StageContext, impact: Impact, rejects: &Rejects, allowance: Allowance) -> Option<String> {
    let guard = &cx.pipeline.guard;
    let checked = guard::check(impact, guard.archive, allowance);
    let checked = checked.and_then(|()| guard::check_rejects(rejects, guard, allowance, false));
    checked.err().map(|refusal| refusal.to_string())
}

/// So many records, in words.
fn records(count: u64) -> String {
    if count == 1 { "1 record".to_owned() } else { format!("{count} records") }
}

/// Nothing is remembered, and yet HubSpot holds some of the records.
fn recognised(found: &Found, match_property: &str) -> Option<String> {
    // Each of these needs a record that HubSpot holds already.
    let held = [PlannedAction::Update, PlannedAction::Associate, PlannedAction::Pending, PlannedAction::Unchanged];
    let held: u64 = held.iter().filter_map(|action| found.actions.get(action)).sum();
    (held > 0).then(|| {
        format!(
            "there is no state here, but HubSpot already holds {held} of these records by `{match_property}`: an import takes \
             them over. If the state is kept elsewhere, `--without-state` shows what a change does there"
        )
    })
}

/// What a reader of such a plan must know.
fn state_left_aside(backlog: Backlog, name: &PipelineName) -> String {
    if backlog.is_empty() {
        return "no state is used, and nothing in HubSpot is stale under this definition".to_owned();
    }
    format!(
        "no state is used: HubSpot holds {}, taken as synced; where the state is, `syncline import --stale {name}` does this",
        records(backlog.behind)
    )
}

fn caught_up(backlog: Backlog, name: &PipelineName, by_itself: bool) -> String {
    let what = backlog.described();
    match by_itself {
        true => format!("{what}: the next sync brings all of them up to it (`sync.on_mapping_change: backfill`)"),
        false => format!("{what}: included in this plan; a sync alone leaves them to `syncline import --stale {name}`"),
    }
}

/// What the plan can tell, and what it cannot.
fn answers(found: &Found, broken: bool, scope: RunScope, refreshed: bool) -> Vec<Answer> {
    let count = |action: PlannedAction| found.actions.get(&action).copied().unwrap_or_default();
    let answer = |question, answer, why: &str| Answer { question, answer, why: why.to_owned() };
    let quiet = [PlannedAction::Unchanged, PlannedAction::Pending, PlannedAction::Drift, PlannedAction::Reject];
    // A rejection that stands today already is no change; one that cannot be told counts as known.
    let anew: u64 = found.rejects.iter().map(|group| group.records - group.known.unwrap_or(group.records)).sum();
    let changed: u64 = found.actions.iter().filter(|(action, _)| !quiet.contains(action)).map(|(_, count)| count).sum();
    let associations = found.tally.associated + found.tally.disassociated;
    // After an early end, a no would be a guess.
    let changes = match changed + associations + anew {
        _ if broken => answer(Question::Changes, Verdict::Unknown, "the forecast ended early"),
        0 => answer(Question::Changes, Verdict::No, "everything that was read is up to date"),
        _ => answer(Question::Changes, Verdict::Yes, "records or associations would change"),
    };
    let archives = match count(PlannedAction::Archive) {
        _ if broken => answer(Question::Archives, Verdict::Unknown, "the forecast ended early"),
        0 if scope == RunScope::All => {
            answer(Question::Archives, Verdict::No, "an import archives nothing; deletes are carried over by a sync")
        }
        0 => answer(Question::Archives, Verdict::No, "none of the records that were read would be archived"),
        _ => answer(Question::Archives, Verdict::Yes, "records would be archived"),
    };
    let drift = match (refreshed, count(PlannedAction::Drift)) {
        _ if scope == RunScope::Compared && !broken => match found.tally.drifted {
            0 => answer(Question::Drift, Verdict::No, "HubSpot holds what Syncline wrote"),
            _ => answer(
                Question::Drift,
                Verdict::Yes,
                "`reconcile` writes over it, or keeps it where `on_drift` says so",
            ),
        },
        (false, _) if scope == RunScope::Stale => {
            let why = "without the state, what someone changed in HubSpot counts as an update";
            answer(Question::Drift, Verdict::Unknown, why)
        }
        (false, _) => {
            let why = "HubSpot was asked only about records that would change; `--refresh` asks about all";
            answer(Question::Drift, Verdict::Unknown, why)
        }
        (true, _) if broken => answer(Question::Drift, Verdict::Unknown, "the comparison ended early"),
        (true, 0) => answer(Question::Drift, Verdict::No, "HubSpot holds what Syncline wrote"),
        (true, _) => {
            let why = "a sync leaves it as it is until the record changes in Salesforce; `reconcile` writes over it, or keeps it \
                       where `on_drift` says so: as a command, or every `sync.reconcile` in a sync that runs on";
            answer(Question::Drift, Verdict::Yes, why)
        }
    };
    let vanished = match scope {
        RunScope::Compared if !broken => match found.vanished {
            0 => answer(Question::Vanished, Verdict::No, "Salesforce shows every record that is kept in step"),
            _ => answer(Question::Vanished, Verdict::Yes, "records were purged, or are hidden from Syncline's user"),
        },
        _ => {
            let why =
                "a record that was purged or hidden leaves no trace in what is read; `--reconcile` looks for them";
            answer(Question::Vanished, Verdict::Unknown, why)
        }
    };
    vec![changes, archives, drift, vanished]
}
