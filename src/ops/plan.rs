//! `plan`: the dry run. The same stages and decisions as a run, without the writing half; the real state is only read.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::addresses;
use super::changes::ChangesFile;
use super::plan_answers::{Looked, answers};
use super::plan_reads::{self, GoesOn};
use crate::config::pipeline::{Mode, OnMappingChange};
use crate::engine::catch_up::{self, Backlog};
use crate::engine::forecast::makers::Maker;
use crate::engine::forecast::options::{ForecastOptions, Recorder};
use crate::engine::forecast::{Forecast, Found};
use crate::engine::plan_entries::PlanObserver;
use crate::engine::run::{self as engine_run, StopReason};
use crate::engine::{objects, queries, reconcile, trial};
use crate::model::association::AssociationKey;
use crate::model::forecast::{Answer, Estimate, PipelineForecast, PlannedAction, Question, Verdict};
use crate::model::ids::{PipelineName, SalesforceId};
use crate::model::report::{RunKind, RunReport, RunScope, RunStatus, Tally, Trial};
use crate::pipeline::compiled::{AssociationTarget, Pipeline};
use crate::plan::guard::Allowance;
use crate::ports::state::{StateReader, StateWriter};
use crate::ports::store::Store;
use crate::project::context::{context, failed, new_run};
use crate::project::error::OpsError;
use crate::project::prepare::{Preparation, Prepared, Refused};
use crate::project::stateless::{self, InferredState};
use crate::project::wiring::Project;
use crate::stages::StageContext;
use crate::stages::read::associations::kept;
use crate::stages::read::extract::{Membership, candidates};
use crate::stages::read::first_import::{self, BeforeImport};

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

impl PlanOptions {
    /// Whether the plan is about what a sync would do, where pipelines sync already.
    fn is_sync(&self) -> bool {
        !self.full && !self.reconcile && self.records.is_empty() && self.trial.is_none() && self.scopes.is_empty()
    }

    /// For a look at a pipeline that only others need.
    fn unshown(&self) -> Self {
        Self { at: self.at, allowance: self.allowance, ..Self::default() }
    }
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
    let scratch = project.scratch()?;
    let (state, unasked) = match &options.without_state {
        None => (project.state_for_reading()?, Vec::new()),
        Some(without) => stateless::infer_state(project, preparation, &scratch, without).await?,
    };
    let mut begun: Vec<Begun> = Vec::new();
    let mut commands: Vec<Command> = Vec::new();
    for (place, prepared) in preparation.pipelines.iter().enumerate() {
        let observer = observers(&prepared.pipeline.name);
        let chosen = Chosen::of(&*state, &prepared.pipeline, options).await?;
        // A run that follows a plan does all of it. Else what was never imported is for another command.
        let kind = match observer.is_some() || options.without_state.is_some() {
            true => None,
            false => Some(chosen.scope.kind()),
        };
        let settles = match kind == Some(RunKind::Import) && !chosen.began && options.is_sync() {
            true => state.has_unconfirmed(&prepared.pipeline.name).await?,
            false => false,
        };
        // What an import has left unconfirmed a sync settles; that is no part of what is shown, but others may wait for it.
        let settling = settles.then(|| (Some(RunKind::Sync), Chosen::settling()));
        let looks = settling.into_iter().map(|look| (look, false)).chain([((kind, chosen), true)]);
        for ((kind, chosen), shown) in looks {
            let known = commands.iter().position(|command| command.kind == kind);
            let command = match known {
                Some(known) => known,
                None => {
                    let scratch = match commands.is_empty() {
                        true => Arc::clone(&scratch),
                        false => project.scratch()?,
                    };
                    commands.push(Command { kind, scratch, makers: Vec::new() });
                    commands.len() - 1
                }
            };
            let command = &mut commands[command];
            let mut cx = context(project, &state, &command.scratch, prepared).await?;
            let relabelled = state.assume_kept(&prepared.pipeline.name, &kept(&cx)).await?.into_iter().collect();
            cx.due_at = options.at.unwrap_or(cx.due_at);
            let waits = Waits { command, pipelines: &preparation.pipelines, relabelled };
            let forecasted = match shown {
                true => forecast(cx, options, observer.clone(), waits, chosen).await?,
                false => forecast(cx, &options.unshown(), None, waits, chosen).await?,
            };
            command.makers.extend(forecasted.sink.maker().map(|maker| (place, maker)));
            begun.push(Begun { place, shown, forecasted });
        }
    }
    let mut forecasts = Vec::new();
    for Begun { place, shown, forecasted } in begun {
        // As the command does when all of its pipelines have run.
        let command = commands.iter().filter(|command| command.kind == forecasted.kind);
        let makers = command.flat_map(|command| &command.makers).filter(|(maker, _)| *maker > place);
        let later: Vec<Maker> = makers.map(|(_, maker)| maker.clone()).collect();
        if forecasted.stop.is_none() {
            let looked = forecasted.sink.look_again(&later).await;
            looked.map_err(|error| failed(&forecasted.cx, error))?;
        }
        let prepared = &preparation.pipelines[place];
        let is_unasked = unasked.contains(&prepared.pipeline.name);
        if shown {
            forecasts.push(summed_up(project, prepared, options, forecasted, is_unasked).await?);
        }
    }
    forecasts.extend(preparation.refused.iter().map(|one| refused(project, one)));
    Ok(forecasts)
}

/// What is said of a pipeline in the end. With `is_unasked`, Salesforce was not asked for the records that left the old `where`.
async fn summed_up(
    project: &Project,
    prepared: &Prepared,
    options: &PlanOptions,
    forecasted: Forecasted,
    is_unasked: bool,
) -> Result<PipelineForecast, OpsError> {
    let Forecasted { cx, sink, scope, backlog, refusal, stop, notes: begun, seconds, .. } = forecasted;
    let found = sink.finish();
    // What certain records, or a review without state, would reject says nothing of a run.
    let whole = options.records.is_empty() && options.without_state.is_none();
    let rejects = found.refusal.as_ref().filter(|_| whole).map(ToString::to_string);
    let refusal = refusal.or(rejects);
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
    notes.extend(begun);
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
    if is_unasked {
        notes.push(
            "Salesforce no longer accepts the old `where`: records that stopped matching it are not seen".to_owned(),
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
    let asked = Looked { broken: stop.is_some(), scope, refreshed: options.refresh, mode: cx.pipeline.mode };
    let answers = answers(&found, asked);
    let report = RunReport {
        name: prepared.pipeline.name.clone(),
        run: cx.run.clone(),
        kind: RunKind::Plan,
        status: stop.as_ref().map_or(RunStatus::Succeeded, StopReason::status),
        tally: found.tally,
        seconds,
        notes,
        error: stop.as_ref().map(ToString::to_string),
        code: stop.as_ref().map(|stop| stop.code().to_owned()),
    };
    Ok(PipelineForecast {
        report,
        forecast_of: scope.kind(),
        scope,
        backfills,
        actions: found.actions,
        rejects: found.rejects,
        properties: found.properties,
        lost_associations: found.lost_associations,
        definition_changes: Vec::new(),
        stale: backlog.behind,
        answers,
        changes: found.changes,
        changes_omitted: found.omitted,
        addresses: addresses::of(project, prepared),
        estimate: with_set_up(found.estimate, prepared, scope, cx.target.calls_per_second()),
        refusal,
    })
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
        lost_associations: 0,
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

/// A look at a pipeline, by its place, and whether it is shown.
struct Begun {
    place: usize,
    shown: bool,
    forecasted: Forecasted,
}

/// A pipeline whose records were looked at.
struct Forecasted {
    /// The kind of the command that runs it.
    kind: Option<RunKind>,
    cx: StageContext,
    sink: Forecast,
    scope: RunScope,
    backlog: Backlog,
    refusal: Option<String>,
    stop: Option<StopReason>,
    /// What was begun earlier and goes on, and whether records would be created whose names stand in HubSpot.
    notes: Vec<String>,
    seconds: f64,
}

/// What pipelines do that run in one command, as far as it was planned.
struct Command {
    /// Of which kind their runs are; none where they follow the plan, of whatever kinds they are.
    kind: Option<RunKind>,
    /// What was worked out for them.
    scratch: Arc<dyn Store>,
    /// Those that make records, by their places.
    makers: Vec<(usize, Maker)>,
}

/// What tells of lookups that wait for other pipelines of the command.
struct Waits<'a> {
    command: &'a Command,
    pipelines: &'a [Prepared],
    /// Which associations of the pipeline take the place of which.
    relabelled: HashMap<AssociationKey, AssociationKey>,
}

impl Waits<'_> {
    /// Whether lookups of the command may lead to records of a pipeline.
    fn is_led_to(&self, pipeline: &Pipeline) -> bool {
        let leads = |target: &AssociationTarget| matches!(target, AssociationTarget::Pipeline { name, .. } if *name == pipeline.name);
        let mut all = self.pipelines.iter().flat_map(|prepared| &prepared.pipeline.associations);
        all.any(|association| leads(&association.target))
    }

    /// Whether a pipeline may ask for associations between the same records as another one of the command, or as itself from the other side.
    fn meets(&self, pipeline: &Pipeline) -> bool {
        let pairs = |pipeline: &Pipeline| -> Vec<[Arc<str>; 2]> {
            let first_end = pipeline.junction().map(|(from, _)| from.key.clone());
            let made = pipeline.associations.iter().filter(|association| Some(&association.key) != first_end.as_ref());
            let ends = made.map(|association| {
                let mut ends =
                    [Arc::clone(&pipeline.target.object_type_id), Arc::clone(association.target.object_type_id())];
                ends.sort();
                ends
            });
            ends.collect()
        };
        let own = pairs(pipeline);
        let with_itself = own.iter().any(|[one, other]| one == other);
        let others = self.pipelines.iter().filter(|prepared| prepared.pipeline.name != pipeline.name);
        with_itself
            || pipeline.is_junction
            || others.flat_map(|prepared| pairs(&prepared.pipeline)).any(|ends| own.contains(&ends))
    }
}

/// Which run of a pipeline is foretold.
struct Chosen {
    scope: RunScope,
    /// It was imported, or began to sync.
    began: bool,
    backlog: Backlog,
    /// An import is unfinished, which it leaves as it is.
    beside_import: bool,
    /// Nothing was imported to its end, and a sync does nothing but settle what an import has left.
    settles: bool,
}

impl Chosen {
    /// The sync of a pipeline whose import was broken off.
    fn settling() -> Self {
        let backlog = Backlog { behind: 0, filter_changed: false, failed: 0 };
        Self { scope: RunScope::Changed, began: true, backlog, beside_import: false, settles: true }
    }

    async fn of(state: &dyn StateReader, pipeline: &Pipeline, options: &PlanOptions) -> Result<Self, OpsError> {
        let name = &pipeline.name;
        let watermark = state.watermark(name).await?;
        let backlog = catch_up::backlog(state, pipeline).await?;
        let by_itself = pipeline.sync.on_mapping_change == OnMappingChange::Backfill;
        let due = catch_up::due(state, pipeline).await?;
        let fixed = options.scopes.iter().find(|(fixed, _)| fixed == name).map(|(_, scope)| *scope);
        // The order is that of `run`: a plan must choose what the run would.
        let scope = fixed.unwrap_or(match watermark {
            _ if options.without_state.as_ref().is_some_and(|option| !option.fresh.contains(name)) => RunScope::Stale,
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
        // Syncs and comparisons go on beside an import that was interrupted.
        let beside_import = scope.kind() != RunKind::Import && state.cursor(name).await?.is_some();
        Ok(Self { scope, began: watermark.is_some(), backlog, beside_import, settles: false })
    }
}

async fn forecast(
    cx: StageContext,
    options: &PlanOptions,
    observer: Option<Arc<dyn PlanObserver>>,
    waits: Waits<'_>,
    chosen: Chosen,
) -> Result<Forecasted, OpsError> {
    let started = cx.clock.now();
    let Chosen { scope, began, backlog, beside_import, settles } = chosen;
    let before = match (scope, &options.without_state) {
        (RunScope::All, None) => first_import::look(&cx).await.map_err(|error| failed(&cx, error))?,
        _ => BeforeImport::default(),
    };
    let same_titles = before.same_titles;
    let cx = StageContext {
        try_all: scope.is_whole(),
        compare: scope == RunScope::Compared,
        vacant: before.vacant,
        same_titles: same_titles.clone(),
        ..cx
    };
    let is_led_to = waits.is_led_to(&cx.pipeline);
    let meets = waits.meets(&cx.pipeline);
    let goes_on = match options.trial.is_some() || !options.records.is_empty() || options.without_state.is_some() {
        true => GoesOn::default(),
        false => GoesOn::find(&cx, scope, observer.is_some()).await?,
    };
    let goes_on_note = goes_on.note();
    let widened = options.without_state.as_ref().and_then(|option| option.widened.as_ref());
    let widened = widened.is_none_or(|names| names.contains(&cx.pipeline.name));
    let sink = Forecast::new(
        &cx,
        ForecastOptions {
            sample_max: options.sample,
            only: options.only.clone(),
            // An import tries all associations that wait, a sync those whose time has come.
            associations_at: Some(cx.due_at).filter(|_| !scope.is_whole() || options.trial.is_some()),
            without_waiting: !options.records.is_empty() || settles,
            associations_elsewhere: scope == RunScope::Stale,
            is_led_to,
            meets,
            keeps_place: goes_on.import.is_some() || goes_on.comparison.is_some(),
            waiting: Some(Arc::clone(&waits.command.scratch) as Arc<dyn StateWriter>)
                .filter(|_| scope != RunScope::Stale),
            allowance: options.allowance,
            relabelled: waits.relabelled,
            // What was carried out before the import began was marked when it did.
            recheck: scope.is_whole()
                && options.trial.is_none()
                && goes_on.import.is_none()
                && cx.pipeline.mode != Mode::CreateOnly,
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
    let known = Known { scope, began, backlog, widened, goes_on };
    let (refusal, stop) = look(&cx, &sink, options, known).await?;
    let makers: Vec<Maker> = waits.command.makers.iter().map(|(_, maker)| maker.clone()).collect();
    sink.end(&makers).await.map_err(|error| failed(&cx, error))?;
    let seconds = engine_run::seconds(started, cx.clock.now());
    let same_titles = same_titles.and_then(|titles| titles.note());
    let beside_import = beside_import.then(|| {
        format!(
            "an import is unfinished, which is no part of this plan: `syncline import {}` resumes it",
            cx.pipeline.name
        )
    });
    Ok(Forecasted {
        kind: waits.command.kind,
        scope,
        backlog,
        refusal,
        stop,
        notes: goes_on_note.into_iter().chain(same_titles).chain(beside_import).collect(),
        seconds,
        sink,
        cx,
    })
}

/// What of a pipeline decides which records are looked at.
struct Known {
    scope: RunScope,
    /// It was imported, or began to sync.
    began: bool,
    backlog: Backlog,
    /// Without the state: records that the change brings are looked at as well.
    widened: bool,
    goes_on: GoesOn,
}

/// Takes the records of a run into its forecast: why the run would be refused, and why the forecast ended early.
async fn look(
    cx: &StageContext,
    sink: &Forecast,
    options: &PlanOptions,
    known: Known,
) -> Result<(Option<String>, Option<StopReason>), OpsError> {
    let Known { scope, began, backlog, widened, goes_on } = known;
    let changed = objects::objects_changed(cx, &objects::read(cx).await?).await?;
    let ran = match (scope, began) {
        // The run would be refused before it reads a row.
        _ if changed.is_some() => Ok(changed.as_ref().map(ToString::to_string)),
        _ if let Some(trial) = &options.trial => plan_reads::part(cx, sink, trial, options.allowance).await,
        (RunScope::Changed | RunScope::ChangedAndStale, _) if !options.records.is_empty() => {
            plan_reads::by_id(cx, sink, &options.records).await.map(|()| None)
        }
        // Nothing is known of the records that HubSpot lacks, so they are read as well.
        (RunScope::Stale, _) if backlog.behind > 0 || widened => {
            plan_reads::stale(cx, sink, Backlog { filter_changed: true, ..backlog }, options.allowance).await
        }
        (RunScope::Stale, _) => Ok(None),
        (RunScope::Compared, _) => plan_reads::compare(cx, sink, goes_on.comparison, options.allowance).await,
        (RunScope::Changed | RunScope::ChangedAndStale, true) => {
            let backlog = Some(backlog).filter(|_| scope == RunScope::ChangedAndStale);
            plan_reads::sync(cx, sink, backlog, options.allowance).await
        }
        _ => plan_reads::import(cx, sink, goes_on.import, options.allowance).await,
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
        // In `create_only`, nothing is kept as it was written.
        let all = options.records.is_empty() && options.trial.is_none() && scope != RunScope::Stale;
        if stop.is_none() && all && cx.pipeline.mode != Mode::CreateOnly {
            stop = sink.lost_associations().await.err().map(StopReason::Stage);
        }
    }
    Ok((refusal, stop))
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
