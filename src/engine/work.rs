//! One run of one pipeline: the reads of an import and of a sync cycle, the guard before the first write, the associations
//! after the last one, and the watermark at the end.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use jiff::Timestamp;

use super::catch_up::{self, Backlog};
use super::deliver::Deliver;
use super::identity::{self, Moved};
use super::mark::{self, Believed};
use super::pledge::{Pledged, Pledges};
use super::queries::{import_query, window_query};
use super::runner::{self, Taker};
use super::{certain, doubt, seen, survey};
use crate::model::ids::SalesforceId;
use crate::model::report::{RunReport, RunScope, RunStatus, Tally};
use crate::model::watermark::Watermark;
use crate::plan::guard::{self, Allowance, Prospect, Refusal};
use crate::ports::fault::Fault;
use crate::ports::source::{Extract, QUERY_IDS_MAX};
use crate::ports::state::{FailureFilter, ImportProgress, LINK_FAILURES, RunRow, StateError};
use crate::stages::read::extract::{Candidates, Membership, candidates};
use crate::stages::write::associate;
use crate::stages::write::checkpoint::{Checkpoint, Reached};
use crate::stages::{StageCause, StageContext, StageError, StageName, Writers};

type Rows<'a> = BoxStream<'a, Result<Candidates, StageError>>;

/// Most failures that one cycle tries again.
const RETRIES_MAX: usize = 2_000;

/// What a run needs besides its context.
#[derive(Clone)]
pub struct Order {
    /// Which records it is about.
    pub scope: RunScope,
    /// What a person allowed for this one run.
    pub allowance: Allowance,
    /// Rows that an import will read, where they were counted already.
    pub counted: Option<u64>,
    /// What was planned; the run does nothing else. None where it follows no plan.
    pub pledges: Option<Pledges>,
    /// Hears the numbers while the run goes on.
    pub on_progress: Arc<dyn Fn(Tally) + Send + Sync>,
}

/// Why a run ended early.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Stop {
    /// A stage could not go on.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The guard refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The state is about other objects.
    #[error(transparent)]
    Moved(#[from] Moved),
}

impl From<StateError> for Stop {
    fn from(error: StateError) -> Self {
        Self::Stage(StageError::at(StageName::Checkpoint)(error))
    }
}

impl Stop {
    /// Stable code that `syncline explain` describes.
    pub fn code(&self) -> &'static str {
        let error = match self {
            Self::Refused(_) => return "SL6009",
            Self::Moved(_) => return "SL6020",
            Self::Stage(StageError { cause: StageCause::State(error), .. }) => return error.code(),
            Self::Stage(StageError { cause: StageCause::Remote(fault), .. }) => fault.error(),
        };
        error.map_or("SL6010", |error| error.code)
    }

    /// What a person should do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Refused(refusal) => Some(refusal.help()),
            Self::Moved(moved) => Some(moved.help()),
            Self::Stage(StageError { cause: StageCause::Remote(fault), .. }) => fault.error()?.help.clone(),
            Self::Stage(_) => None,
        }
    }

    /// How the run's row says it.
    pub fn status(&self) -> RunStatus {
        match self {
            // Said at the end of a read, when what came is written already.
            Self::Refused(Refusal::Short { .. }) => RunStatus::Failed,
            Self::Refused(_) | Self::Moved(_) => RunStatus::Refused,
            Self::Stage(StageError { cause: StageCause::Remote(Fault::Cancelled), .. }) => RunStatus::Interrupted,
            Self::Stage(StageError { cause: StageCause::Remote(Fault::Budget { .. }), .. }) => RunStatus::Paused,
            Self::Stage(_) => RunStatus::Failed,
        }
    }
}

/// Runs a pipeline once: begins its row, does the work, ends its row. The caller holds the lease.
pub async fn run(cx: &StageContext, writers: &Writers, order: &Order) -> Result<(RunReport, Option<Stop>), StateError> {
    let started = cx.clock.now();
    let mut row = RunRow {
        id: cx.run.clone(),
        pipeline: cx.pipeline.name.clone(),
        kind: order.scope.kind(),
        status: RunStatus::Running,
        started,
        ended: None,
        tally: Tally::default(),
        error: None,
    };
    writers.state.begin_run(&row).await?;
    drop_associations(cx, writers).await?;
    let checkpoint = Checkpoint { state: Arc::clone(&writers.state), tally: Arc::default() };
    let mut notes = Vec::new();
    let worked = work(cx, writers, &checkpoint, order, &mut notes).await;
    // A record that came back asks for all its links again, dropped ones among them.
    drop_associations(cx, writers).await?;
    let mut tally = checkpoint.add(Tally::default());
    tally.pending_associations = cx.state.due_count(&cx.pipeline.name).await.unwrap_or_default();
    tally.salesforce_calls = cx.source.calls();
    tally.hubspot_calls = cx.target.calls();
    let stop = worked.err();
    row.status = match &stop {
        Some(stop) => stop.status(),
        None => ended_well(&tally),
    };
    row.tally = tally;
    row.error = stop.as_ref().map(ToString::to_string);
    let ended = cx.clock.now();
    row.ended = Some(ended);
    writers.state.end_run(&row).await?;
    let report = RunReport {
        name: row.pipeline,
        run: row.id,
        kind: row.kind,
        status: row.status,
        tally,
        seconds: seconds(started, ended),
        notes,
        error: row.error,
        code: None,
    };
    Ok((report, stop))
}

async fn work(
    cx: &StageContext,
    writers: &Writers,
    checkpoint: &Checkpoint,
    order: &Order,
    notes: &mut Vec<String>,
) -> Result<(), Stop> {
    if let Some(moved) = identity::moved(cx).await? {
        return Err(moved.into());
    }
    identity::note(cx, writers).await?;
    writers.state.remember_match(&cx.pipeline.name, &cx.pipeline.target.match_property).await?;
    match order.scope {
        RunScope::All => import(cx, writers, checkpoint, order, notes).await,
        RunScope::Stale => stale(cx, writers, checkpoint, order, notes).await,
        RunScope::Changed | RunScope::ChangedAndStale => sync(cx, writers, checkpoint, order, notes).await,
    }
}

/// Waits no longer for links of associations that the pipeline has dropped.
async fn drop_associations(cx: &StageContext, writers: &Writers) -> Result<(), StateError> {
    let keys: Vec<_> = cx.pipeline.associations.iter().map(|own| own.key.clone()).collect();
    writers.state.drop_associations(&cx.pipeline.name, &keys).await
}

/// Makes links whose other side appeared after the run, and adds them to its report and row.
pub async fn settle_links(
    cx: &StageContext,
    writers: &Writers,
    report: &mut RunReport,
) -> Result<Option<Stop>, StateError> {
    let checkpoint = Checkpoint { state: Arc::clone(&writers.state), tally: Arc::default() };
    checkpoint.add(report.tally);
    let drained = associate::drain(cx, writers, &checkpoint, Some(cx.due_at)).await;
    let mut tally = checkpoint.add(Tally::default());
    tally.pending_associations = cx.state.due_count(&cx.pipeline.name).await?;
    tally.hubspot_calls += cx.target.calls();
    report.tally = tally;
    report.status = ended_well(&tally);
    if let Some(mut row) = cx.state.run(cx.run.as_str()).await? {
        row.tally = tally;
        row.status = report.status;
        writers.state.end_run(&row).await?;
    }
    Ok(drained.err().map(Stop::Stage))
}

fn ended_well(tally: &Tally) -> RunStatus {
    if tally.failed + tally.failed_associations > 0 { RunStatus::Partial } else { RunStatus::Succeeded }
}

/// The time between two moments, in seconds with milliseconds.
pub fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    let milliseconds = to.duration_since(from).as_millis();
    milliseconds as f64 / 1000.0
}

/// Copies all records that match.
async fn import(
    cx: &StageContext,
    writers: &Writers,
    checkpoint: &Checkpoint,
    order: &Order,
    notes: &mut Vec<String>,
) -> Result<(), Stop> {
    let name = &cx.pipeline.name;
    let began_at = cx.clock.now();
    let resumed = cx.state.cursor(name).await?;
    let mut progress = match resumed {
        Some(progress) => {
            notes.push(format!("went on with the import that began at {}", progress.began.0));
            progress
        }
        None => begin(cx, order).await?,
    };
    let counts = cx.state.link_counts(name, cx.pipeline.mapping_version).await?;
    let (archive, standing) = (doubt::archives(cx).await?, counts.standing + counts.in_doubt);
    let prospect = Prospect { archive, standing, source_empty: progress.total == 0 };
    guard::check(prospect, cx.pipeline.guard, order.allowance)?;
    checkpoint.place(cx, Some(progress.clone())).await?;
    loop {
        let taker = taker(cx, writers, checkpoint, Some(progress.clone()), order);
        let rows = candidates(cx, import_query(cx, progress.total), Membership::ByQuery, progress.cursor.clone());
        match runner::run(cx, &*taker, doubt::noted(cx, rows)).await {
            Err(StageError { cause: StageCause::Remote(Fault::PlaceLost(_)), .. }) if progress.cursor.is_some() => {
                notes.push("the saved place was no longer valid; read again from the start".to_owned());
                progress = ImportProgress { cursor: None, read: 0, ..progress };
            }
            done => break done?,
        }
    }
    let read = progress.read + checkpoint.add(Tally::default()).read;
    if let Err(short) = guard::check_whole(read, progress.total, order.allowance) {
        // The place at the end of a short read is no place to go on from.
        checkpoint.place(cx, None).await?;
        return Err(short.into());
    }
    settle_doubts(cx, writers, checkpoint, order).await?;
    // A failure whose record the whole read did not meet is about a record that left, or is no more.
    let taker = taker(cx, writers, checkpoint, None, order);
    runner::run(cx, &*taker, catch_up::failed(cx, Some(began_at))).await?;
    // A watermark that is there already stays: an import sees neither deletes nor records that left the filter, so the
    // changes since then are still for the next sync.
    // What changed after the plan was left out: it must lie behind the watermark.
    let first = cx.state.watermark(name).await?.is_none();
    let began = if left(order, notes) > 0 { Watermark(progress.began.0.min(cx.due_at)) } else { progress.began };
    let reached = Reached { watermark: began, set_at: progress.began_at, corrects: false };
    let reached = Some(reached).filter(|_| first);
    let read = cx.state.cursor(name).await?.and_then(|progress| progress.cursor);
    checkpoint.finish(cx, reached).await?;
    note_definition(cx, writers).await?;
    if let Some(read) = read {
        cx.source.release(&read).await;
    }
    Ok(associate::drain(cx, writers, checkpoint, None).await?)
}

async fn begin(cx: &StageContext, order: &Order) -> Result<ImportProgress, Stop> {
    let at = StageError::at::<Fault>;
    let now = mark::now(cx).await?;
    let total = match order.counted {
        Some(total) => total,
        None => cx.source.count(&import_query(cx, 0)).await.map_err(at(StageName::Extract))?,
    };
    Ok(ImportProgress { began: Watermark(now.server), began_at: Some(now.local), cursor: None, read: 0, total })
}

/// Carries over what changed since the watermark.
async fn sync(
    cx: &StageContext,
    writers: &Writers,
    checkpoint: &Checkpoint,
    order: &Order,
    notes: &mut Vec<String>,
) -> Result<(), Stop> {
    let name = &cx.pipeline.name;
    let now = mark::now(cx).await?;
    let until = |corrects| Reached { watermark: Watermark(now.server), set_at: Some(now.local), corrects };
    let Some(Believed { watermark, note }) = mark::believed(cx, now).await? else {
        check_doubts(cx, order).await?;
        settle_doubts(cx, writers, checkpoint, order).await?;
        checkpoint.advance(cx, until(false)).await?;
        notes.push(format!("syncs from now on; `syncline import {name}` brings the records that exist already"));
        return Ok(());
    };
    let corrects = note.is_some();
    notes.extend(note);
    let backlog = match order.scope {
        RunScope::ChangedAndStale => {
            Some(catch_up::backlog(&*cx.state, &cx.pipeline).await?).filter(|backlog| !backlog.is_empty())
        }
        _ => None,
    };
    let (head, prospect) = look_ahead(cx, watermark, backlog).await?;
    guard::check(prospect, cx.pipeline.guard, order.allowance)?;
    let taker = taker(cx, writers, checkpoint, None, order);
    runner::run(cx, &*taker, with_backlog(cx, head, backlog)).await?;
    settle_doubts(cx, writers, checkpoint, order).await?;
    // What changed after the plan was left out, and the next sync must see it.
    if left(order, notes) == 0 {
        checkpoint.advance(cx, until(corrects)).await?;
        if backlog.is_some() {
            caught_up(cx, writers).await?;
        }
    }
    if cx.state.due_count(name).await? > 0 {
        associate::drain(cx, writers, checkpoint, Some(cx.due_at)).await?;
    }
    Ok(())
}

/// How many records a run that follows a plan has left out; says so.
fn left(order: &Order, notes: &mut Vec<String>) -> u64 {
    let left = order.pledges.as_ref().map_or(0, Pledges::left);
    if left > 0 {
        let records = if left == 1 { "1 record".to_owned() } else { format!("{left} records") };
        notes.push(format!("{records} changed after the plan was made, and left for the next sync"));
    }
    left
}

/// The beginning of a cycle's rows, and what the cycle is about to archive.
pub async fn look_ahead(
    cx: &StageContext,
    watermark: Watermark,
    backlog: Option<Backlog>,
) -> Result<(survey::Head<'_>, Prospect), Stop> {
    let mut rows = sync_rows(cx, watermark).await?;
    if backlog.is_some() {
        rows = catch_up::noted(cx, rows);
    }
    let head = survey::head(doubt::noted(cx, rows)).await?;
    let (mut archive, standing) = prospect(cx, watermark, &head).await?;
    if backlog.is_some() {
        archive += stale_archives(cx).await?;
    }
    archive += doubt::archives(cx).await?;
    Ok((head, Prospect { archive, standing, source_empty: false }))
}

/// The whole rows of a cycle: what changed, then what a changed mapping touches.
pub fn with_backlog<'a>(cx: &'a StageContext, head: survey::Head<'a>, backlog: Option<Backlog>) -> Rows<'a> {
    match backlog {
        Some(backlog) => head.whole().chain(catch_up::rows(cx, backlog)).boxed(),
        None => head.whole(),
    }
}

/// Who carries decisions out: held to a plan, where there is one.
fn taker(
    cx: &StageContext,
    writers: &Writers,
    checkpoint: &Checkpoint,
    progress: Option<ImportProgress>,
    order: &Order,
) -> Box<dyn Taker> {
    let taker = Deliver::new(cx, writers, checkpoint, progress, Arc::clone(&order.on_progress));
    match &order.pledges {
        Some(pledges) => Box::new(Pledged { taker, pledges: pledges.clone() }),
        None => Box::new(taker),
    }
}

/// Carries over what a changed mapping or filter touches, and nothing else.
async fn stale(
    cx: &StageContext,
    writers: &Writers,
    checkpoint: &Checkpoint,
    order: &Order,
    notes: &mut Vec<String>,
) -> Result<(), Stop> {
    let backlog = catch_up::backlog(&*cx.state, &cx.pipeline).await?;
    if backlog.is_empty() {
        check_doubts(cx, order).await?;
        settle_doubts(cx, writers, checkpoint, order).await?;
    }
    if backlog.is_empty() && cx.state.watermark(&cx.pipeline.name).await?.is_none() {
        let name = &cx.pipeline.name;
        notes.push(format!("nothing was imported yet: `syncline import {name}` copies the records that exist"));
        return Ok(());
    }
    if backlog.is_empty() {
        notes.push("every record was written under the present mapping".to_owned());
        return Ok(());
    }
    let counts = cx.state.link_counts(&cx.pipeline.name, cx.pipeline.mapping_version).await?;
    let archive = stale_archives(cx).await? + doubt::archives(cx).await?;
    let prospect = Prospect { archive, standing: counts.standing + counts.in_doubt, source_empty: false };
    guard::check(prospect, cx.pipeline.guard, order.allowance)?;
    let taker = taker(cx, writers, checkpoint, None, order);
    runner::run(cx, &*taker, catch_up::rows(cx, backlog)).await?;
    settle_doubts(cx, writers, checkpoint, order).await?;
    caught_up(cx, writers).await?;
    Ok(associate::drain(cx, writers, checkpoint, Some(cx.due_at)).await?)
}

/// Accounts for the records in doubt that the run has not met.
async fn settle_doubts(
    cx: &StageContext,
    writers: &Writers,
    checkpoint: &Checkpoint,
    order: &Order,
) -> Result<(), StageError> {
    if !cx.unsettled {
        return Ok(());
    }
    let taker = taker(cx, writers, checkpoint, None, order);
    runner::run(cx, &*taker, doubt::rows(cx)).await?;
    seen::forget(cx).await
}

/// The guard of a run that does nothing but to account for records in doubt.
async fn check_doubts(cx: &StageContext, order: &Order) -> Result<(), Stop> {
    let counts = cx.state.link_counts(&cx.pipeline.name, cx.pipeline.mapping_version).await?;
    let (archive, standing) = (doubt::archives(cx).await?, counts.standing + counts.in_doubt);
    let prospect = Prospect { archive, standing, source_empty: false };
    Ok(guard::check(prospect, cx.pipeline.guard, order.allowance)?)
}

/// How many records a catch-up would archive, because they no longer belong or were deleted.
pub async fn stale_archives(cx: &StageContext) -> Result<u64, StageError> {
    match survey::may_archive(cx) {
        true => survey::archives_of(cx, catch_up::survey_rows(cx)).await,
        false => Ok(0),
    }
}

/// Remembers that records were judged by the present mapping and filter; what never was imported stays so.
async fn caught_up(cx: &StageContext, writers: &Writers) -> Result<(), Stop> {
    seen::forget(cx).await?;
    if cx.state.note(&catch_up::mapping_key(&cx.pipeline.name)).await?.is_some() {
        note_definition(cx, writers).await?;
    }
    Ok(())
}

async fn note_definition(cx: &StageContext, writers: &Writers) -> Result<(), StateError> {
    let name = &cx.pipeline.name;
    let condition = catch_up::condition(cx.pipeline.condition_text().as_deref(), cx.pipeline.mode);
    writers.state.set_note(&catch_up::condition_key(name), &condition).await?;
    writers.state.set_note(&catch_up::mapping_key(name), &catch_up::mapping(&cx.pipeline)).await
}

/// The rows of a sync cycle: failures that are due again, then everything touched since the watermark.
pub async fn sync_rows(cx: &StageContext, watermark: Watermark) -> Result<Rows<'_>, Stop> {
    let mut due = Vec::new();
    if cx.failures_open {
        let filter = FailureFilter {
            pipeline: Some(cx.pipeline.name.clone()),
            due_at: Some(cx.due_at),
            ..FailureFilter::default()
        };
        let rows = cx.state.failures(&filter, RETRIES_MAX).await?;
        // Links are tried again by themselves, without their record.
        let own = rows.into_iter().filter(|row| !row.failure.reason.code.starts_with(LINK_FAILURES));
        due.extend(own.map(|row| row.failure.salesforce_id));
    }
    if due.is_empty() {
        return Ok(candidates(cx, window_query(cx, watermark), Membership::Asked, None));
    }
    let retries: Vec<Rows<'_>> = due.chunks(QUERY_IDS_MAX).map(|ids| certain::rows(cx, ids.to_vec(), false)).collect();
    // A record that failed and changed since comes once. What changes after it was read has a stamp behind the new
    // watermark, so the next cycle sees it.
    let tried: Arc<Mutex<HashSet<SalesforceId>>> = Arc::default();
    let noted = Arc::clone(&tried);
    let retries = stream::iter(retries).flatten().inspect_ok(move |rows| {
        let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.extend(rows.batch.iter().map(|row| row.record.id));
    });
    let changed = candidates(cx, window_query(cx, watermark), Membership::Asked, None).map_ok(move |mut rows| {
        let tried = tried.lock().unwrap_or_else(PoisonError::into_inner);
        rows.batch.retain(|row| !tried.contains(&row.record.id));
        rows
    });
    Ok(retries.chain(changed).boxed())
}

/// How many records a cycle would archive, of how many that stand.
pub async fn prospect(cx: &StageContext, watermark: Watermark, head: &survey::Head<'_>) -> Result<(u64, u64), Stop> {
    if !survey::may_archive(cx) {
        return Ok((0, 0));
    }
    let archive = if head.complete {
        survey::archives(cx, &head.rows).await?
    } else {
        let query = Extract { columns: Arc::from([]), ..window_query(cx, watermark) };
        survey::archives_of(cx, candidates(cx, query, Membership::Asked, None)).await?
    };
    let counts = cx.state.link_counts(&cx.pipeline.name, cx.pipeline.mapping_version).await?;
    Ok((archive, counts.standing + counts.in_doubt))
}
