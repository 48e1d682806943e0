//! One run of one pipeline: the reads of an import and of a sync cycle, the guard before the first write, the associations
//! that are left after the last one, and the watermark at the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;

use super::catch_up;
use super::cycle_place::{self, CyclePlace, Reached};
use super::deliver::LongRead;
use super::objects;
use super::parents::{self, ParentReads};
use super::queries::import_query;
pub use super::request::RunRequest;
use super::request::{guard_unconfirmed, left_out, settle_unconfirmed, sink};
use super::runner;
pub use super::stop::StopReason;
use super::watermark::{self, TrustedWatermark};
use super::{alerts, budget, cycle, definition, reconcile, reject_guard, trial, unconfirmed, visited};
use crate::config::pipeline::Mode;
use crate::model::ids::PipelineName;
use crate::model::report::{RunReport, RunScope, RunStatus, Tally, Trial};
use crate::model::watermark::{ComparisonProgress, Watermark};
use crate::plan::guard::{self, Impact};
use crate::ports::fault::Fault;
use crate::ports::state::{ImportProgress, RunRow, StateError};
use crate::stages::read::adoptable;
use crate::stages::read::associations::kept;
use crate::stages::read::extract::{Membership, candidates};
use crate::stages::read::first_import::{self, BeforeImport};
use crate::stages::write::associate;
use crate::stages::write::checkpoint::{Checkpoint, NewWatermark};
use crate::stages::{StageCause, StageContext, StageError, StageName, Writers};
use crate::sys::crash_point::crash_point;

/// Runs a pipeline once: begins its row, does the work, ends its row. The caller holds the lease.
pub async fn run(
    cx: &StageContext,
    writers: &Writers,
    request: &RunRequest,
) -> Result<(RunReport, Option<StopReason>), StateError> {
    let started = cx.clock.now();
    let mut row = RunRow {
        id: cx.run.clone(),
        pipeline: cx.pipeline.name.clone(),
        kind: request.scope.kind(),
        status: RunStatus::Running,
        started,
        ended: None,
        tally: Tally::default(),
        error: None,
    };
    // Before anything else, so that a run which dies has a row that shows it.
    writers.state.begin_run(&row).await?;
    // Associations that the definition no longer has must not wait for ever.
    writers.state.keep_associations(&cx.pipeline.name, &kept(cx)).await?;
    let checkpoint = Checkpoint::new(&writers.state);
    let mut notes = Vec::new();
    let outcome = carry_out(cx, writers, &checkpoint, request, &mut notes).await;
    let mut tally = checkpoint.add(Tally::default());
    tally.pending_associations = cx.state.due_count(&cx.pipeline.name).await.unwrap_or_default();
    tally.salesforce_calls = cx.source.calls();
    tally.hubspot_calls = cx.target.calls();
    let stop = outcome.err();
    row.status = match &stop {
        Some(stop) => stop.status(),
        None => ended_well(&tally),
    };
    row.tally = tally;
    row.error = stop.as_ref().map(ToString::to_string);
    let ended = cx.clock.now();
    row.ended = Some(ended);
    end(cx, writers, &row, stop.as_ref(), request).await?;
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

/// Ends the row of a run; what people are to be told of it is committed with it, so that it is not lost.
async fn end(
    cx: &StageContext,
    writers: &Writers,
    row: &RunRow,
    stop: Option<&StopReason>,
    request: &RunRequest,
) -> Result<(), StateError> {
    let (code, help) = (stop.map(StopReason::code), stop.and_then(StopReason::help));
    let terms = request.alerts.as_ref();
    let commit = match terms {
        Some(terms) => alerts::of_run(&*cx.state, row, (code, help.as_deref()), terms).await?,
        None => None,
    };
    match commit {
        Some(commit) => writers.state.end_run_telling(row, &commit).await,
        None => writers.state.end_run(row).await,
    }
}

/// The work of a run. Whether the state is about the same objects is asked first: else it would be taken for knowledge of
/// others.
async fn carry_out(
    cx: &StageContext,
    writers: &Writers,
    checkpoint: &Checkpoint,
    request: &RunRequest,
    notes: &mut Vec<String>,
) -> Result<(), StopReason> {
    let [objects, portal] = objects::keys(cx);
    let mut noted = cx.state.notes(&[objects, portal, catch_up::backfilled_key(&cx.pipeline.name)]).await?.into_iter();
    let mut next = || noted.next().flatten();
    let objects = objects::of_notes(cx, next(), next());
    let backfilled = next();
    if let Some(changed) = objects::objects_changed(cx, &objects).await? {
        return Err(changed.into());
    }
    objects::record(cx, writers, &objects).await?;
    definition::begin(cx, writers, backfilled).await?;
    // Records keep the property by which they were written, also after the definition names another.
    writers.state.remember_match(&cx.pipeline.name, &cx.pipeline.target.match_property).await?;
    // Only an import may be the first, and only then is HubSpot looked at for records without an id.
    let before = match request.scope {
        RunScope::All => first_import::look(cx).await?,
        RunScope::Stale | RunScope::Changed | RunScope::ChangedAndStale | RunScope::Compared => BeforeImport::default(),
    };
    let same_titles = before.same_titles;
    let cx = &StageContext { vacant: before.vacant, same_titles: same_titles.clone(), ..cx.clone() };
    let done = match (&request.trial, request.scope) {
        (Some(records), _) => try_out(cx, writers, checkpoint, request, records).await,
        (None, RunScope::All) => import(cx, writers, checkpoint, request, notes).await,
        (None, RunScope::Stale) => stale(cx, writers, checkpoint, request, notes).await,
        (None, RunScope::Changed | RunScope::ChangedAndStale) => sync(cx, writers, checkpoint, request, notes).await,
        (None, RunScope::Compared) => compare(cx, writers, checkpoint, request, notes).await,
    };
    notes.extend(same_titles.and_then(|titles| titles.note()));
    // Also after a failure: the list of what can be taken over is old by the next run.
    let cleared = adoptable::clear(cx).await;
    done?;
    Ok(cleared?)
}

/// Copies a few records, and remembers neither a place nor a watermark: the whole import is still to come.
async fn try_out(
    cx: &StageContext,
    writers: &Writers,
    checkpoint: &Checkpoint,
    request: &RunRequest,
    records: &Trial,
) -> Result<(), StopReason> {
    if let Some(impact) = trial::impact(cx, records).await? {
        guard::check(impact, cx.pipeline.guard.archive, request.allowance)?;
    }
    let sink = sink(cx, writers, checkpoint, LongRead::None, request);
    let rows = reject_guard::guarded(cx, trial::rows(cx, records, request.counted), request.allowance).await?;
    runner::run(cx, &*sink, rows).await?;
    Ok(associate::drain(cx, writers, checkpoint, Some(cx.due_at)).await?)
}

/// Makes associations whose other record appeared after the run, and adds them to its report and row.
pub async fn settle_associations(
    cx: &StageContext,
    writers: &Writers,
    report: &mut RunReport,
) -> Result<Option<StopReason>, StateError> {
    let checkpoint = Checkpoint::new(&writers.state);
    checkpoint.add(report.tally);
    // What the run itself has tried in vain waits for a later one, and is not counted twice.
    let before = cx.state.run(cx.run.as_str()).await?.map_or(cx.due_at, |row| row.started);
    // A moment earlier than the run, as what it tried in vain is stamped with its start at the earliest.
    let before = before.saturating_sub(jiff::SignedDuration::from_millis(1)).unwrap_or(before);
    let drained = associate::drain(cx, writers, &checkpoint, Some(before)).await;
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
    Ok(drained.err().map(StopReason::Stage))
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
    request: &RunRequest,
    notes: &mut Vec<String>,
) -> Result<(), StopReason> {
    let name = &cx.pipeline.name;
    let began_at = cx.clock.now();
    let resumed = cx.state.cursor(name).await?;
    let mut progress = match resumed {
        Some(progress) => {
            notes.push(format!("continued the import that began at {}", progress.began.0));
            progress
        }
        None => {
            note_vacant(cx, writers, cx.vacant).await?;
            begin(cx, request).await?
        }
    };
    let counts = cx.state.identity_counts(name, cx.pipeline.mapping_version).await?;
    let (archive, standing) = (unconfirmed::archive_count(cx).await?, counts.standing + counts.in_doubt);
    let impact = Impact { archive, standing, source_empty: progress.total == 0 };
    guard::check(impact, cx.pipeline.guard.archive, request.allowance)?;
    let whole = loop {
        match read_all(cx, writers, checkpoint, &progress, request).await {
            Err(StageError { cause: StageCause::Remote(Fault::PlaceLost(_)), .. }) if progress.cursor.is_some() => {
                notes.push(
                    "Salesforce no longer keeps the result that the import was reading; read again from the start"
                        .to_owned(),
                );
                progress = ImportProgress { cursor: None, read: 0, ..progress };
            }
            done => break done?,
        }
    };
    if !whole {
        // What an earlier run left in doubt does not wait until a long import has ended.
        settle_unconfirmed(cx, writers, checkpoint, request).await?;
        notes.extend(cx.state.cursor(name).await?.map(|ImportProgress { read, total, .. }| {
            format!("it paused after {read} of {total} records; the next run of this import goes on from there")
        }));
        return Ok(());
    }
    let read = progress.read + checkpoint.add(Tally::default()).read;
    // An answer may end early without an error, and the missing records would never be read again.
    if let Err(short) = guard::check_whole(read, progress.total, request.allowance) {
        // A read that came short must begin anew: where it ended is no place to go on from.
        checkpoint.save_import_progress(cx, None).await?;
        return Err(short.into());
    }
    settle_unconfirmed(cx, writers, checkpoint, request).await?;
    // A failure whose record the whole read did not meet is about a record that left, or is no more.
    let sink = sink(cx, writers, checkpoint, LongRead::None, request);
    runner::run(cx, &*sink, catch_up::failed(cx, Some(began_at))).await?;
    // A watermark that is there already stays: an import sees neither deletes nor records that left the filter, so the
    // changes since then are still for the next sync.
    // What changed after the plan was left out: it must lie behind the watermark.
    let first = cx.state.watermark(name).await?.is_none();
    let began = if left_out(request, notes) > 0 { Watermark(progress.began.0.min(cx.due_at)) } else { progress.began };
    let new_watermark = NewWatermark { watermark: began, set_at: progress.began_at, corrects: false };
    let new_watermark = Some(new_watermark).filter(|_| first);
    let read = cx.state.cursor(name).await?.and_then(|progress| progress.cursor);
    checkpoint.finish(cx, new_watermark).await?;
    note_vacant(cx, writers, false).await?;
    definition::note(cx, writers).await?;
    if let Some(read) = read {
        cx.source.release(&read).await;
    }
    // All that wait, whenever their next try is: their other records may have come with this import.
    Ok(associate::drain(cx, writers, checkpoint, None).await?)
}

/// Reads and writes what an import has still to read; false where it stopped because its budget was used up.
async fn read_all(
    cx: &StageContext,
    writers: &Writers,
    checkpoint: &Checkpoint,
    progress: &ImportProgress,
    request: &RunRequest,
) -> Result<bool, StageError> {
    let rows = candidates(cx, import_query(cx, progress.total), Membership::ByQuery, progress.cursor.clone());
    let paused = Arc::new(AtomicBool::new(false));
    let rows = budget::within(cx, rows, request.limits, Arc::clone(&paused));
    let rows = reject_guard::guarded(cx, unconfirmed::track(cx, rows), request.allowance).await?;
    // An import that the guard refuses has not begun. A person who imports wants HubSpot to be right: what was carried out before
    // it began is looked at, too. In `create_only`, what exists is left alone.
    if cx.state.cursor(&cx.pipeline.name).await.map_err(StageError::at(StageName::Extract))?.is_none()
        && cx.pipeline.mode != Mode::CreateOnly
    {
        let marked = writers.state.recheck_associations(&cx.pipeline.name).await;
        marked.map_err(StageError::at(StageName::Associate))?;
        crash_point!("run.associations_marked");
    }
    checkpoint.save_import_progress(cx, Some(progress.clone())).await?;
    let sink = sink(cx, writers, checkpoint, LongRead::Import(progress.clone()), request);
    runner::run(cx, &*sink, rows).await?;
    Ok(!paused.load(Ordering::Relaxed))
}

/// Notes whether HubSpot held no record when the import began, for the run that goes on with it.
async fn note_vacant(cx: &StageContext, writers: &Writers, vacant: bool) -> Result<(), StateError> {
    let key = first_import::vacant_key(&cx.pipeline.name);
    if cx.state.note(&key).await?.is_some() != vacant {
        writers.state.set_note(&key, if vacant { "yes" } else { "" }).await?;
    }
    Ok(())
}

/// The progress of an import that begins now. The clocks are read before the rows are counted: what changes from then on is for
/// the first sync.
async fn begin(cx: &StageContext, request: &RunRequest) -> Result<ImportProgress, StopReason> {
    let at = StageError::at::<Fault>;
    let now = watermark::read_clocks(cx).await?;
    let total = match request.counted {
        Some(total) => total,
        None => cx.source.count(&import_query(cx, 0)).await.map_err(at(StageName::Extract))?,
    };
    Ok(ImportProgress { began: Watermark(now.server), began_at: Some(now.local), cursor: None, read: 0, total })
}

/// Carries over what changed since the watermark; where a cycle was cut, what is left of it.
async fn sync(
    cx: &StageContext,
    writers: &Writers,
    checkpoint: &Checkpoint,
    request: &RunRequest,
    notes: &mut Vec<String>,
) -> Result<(), StopReason> {
    let name = &cx.pipeline.name;
    let now = watermark::read_clocks(cx).await?;
    let Some(TrustedWatermark { watermark, stored, note }) = watermark::trusted(cx, now).await? else {
        guard_unconfirmed(cx, request).await?;
        settle_unconfirmed(cx, writers, checkpoint, request).await?;
        let from_now_on = NewWatermark { watermark: Watermark(now.server), set_at: Some(now.local), corrects: false };
        checkpoint.advance(cx, from_now_on).await?;
        notes
            .push(format!("syncs changes from now on; `syncline import {name}` copies the records that exist already"));
        return Ok(());
    };
    // A plan is about the whole, so what follows one begins anew.
    let (place, noted) = cycle_place::read(cx, stored).await?;
    let place = place.filter(|_| request.planned.is_none());
    let corrects = note.is_some();
    notes.extend(note);
    let new = CyclePlace::begin(cx, (stored, watermark), now);
    let done = match place {
        Some(place) => match changes(cx, writers, checkpoint, request, notes, (place, true, corrects)).await {
            Err(StopReason::Stage(StageError { cause: StageCause::Remote(Fault::PlaceLost(_)), .. })) => {
                notes.push("the saved place was no longer valid; read again from the watermark".to_owned());
                changes(cx, writers, checkpoint, request, notes, (new, false, corrects)).await?
            }
            done => done?,
        },
        None => changes(cx, writers, checkpoint, request, notes, (new, false, corrects)).await?,
    };
    if !done {
        return Ok(());
    }
    if noted {
        cycle_place::clear(cx, writers).await?;
    }
    // A quiet cycle saves the calls.
    if cx.state.due_count(name).await? > 0 {
        associate::drain(cx, writers, checkpoint, Some(cx.due_at)).await?;
    }
    Ok(())
}

/// A cycle from a place on, which it goes on from or begins at; false where it stopped because its budget was used up.
async fn changes(
    cx: &StageContext,
    writers: &Writers,
    checkpoint: &Checkpoint,
    request: &RunRequest,
    notes: &mut Vec<String>,
    (mut place, goes_on, corrects): (CyclePlace, bool, bool),
) -> Result<bool, StopReason> {
    let (name, watermark) = (&cx.pipeline.name, Watermark(place.from));
    let backlog = match request.scope {
        RunScope::ChangedAndStale => {
            Some(catch_up::backlog(&*cx.state, &cx.pipeline).await?).filter(|backlog| !backlog.is_empty())
        }
        _ => catch_up::due(&*cx.state, &cx.pipeline).await?,
    };
    let parents = ParentReads::begin(cx, watermark).await?;
    let (ahead, impact, rejects) =
        cycle::look_ahead(cx, watermark, backlog, &parents, Some(&place).filter(|_| goes_on)).await?;
    guard::check(impact, cx.pipeline.guard.archive, request.allowance)?;
    guard::check_rejects(&rejects, &cx.pipeline.guard, request.allowance, false)?;
    if !goes_on {
        (place.archive, place.standing) = (impact.archive, impact.standing);
    }
    let (paused, reached) = (Arc::new(AtomicBool::new(false)), Reached::default());
    let rows = budget::within_cycle(cx, ahead.all_rows(), request.limits, Arc::clone(&paused));
    let sink = sink(cx, writers, checkpoint, LongRead::Cycle(Arc::clone(&reached)), request);
    runner::run(cx, &*sink, rows).await?;
    if paused.load(Ordering::Relaxed) {
        let read = checkpoint.add(Tally::default()).read;
        notes.push(place.save(cx, writers, &reached, read).await?);
        visited::clear(cx).await?;
        return Ok(false);
    }
    settle_unconfirmed(cx, writers, checkpoint, request).await?;
    notes.extend(parents.note(cx));
    // Where the portal is another than is remembered, the run begins anew, and must see the same window.
    if !cx.state.due_associations(name, Some(cx.due_at), None, 1).await?.is_empty() {
        cx.confirm().await.map_err(StageError::at(StageName::Associate))?;
    }
    // What changed after the plan was left out, and the next sync must see it.
    if left_out(request, notes) == 0 {
        // Before the watermark moves: a run that dies in between asks for these parents once more, and none is lost.
        parents.note_missed(cx, writers).await?;
        let began = place.began();
        let until = NewWatermark { watermark: Watermark(began.server), set_at: Some(began.local), corrects };
        checkpoint.advance(cx, until).await?;
        parents.note_read(cx, writers).await?;
        if let Some(backlog) = backlog {
            definition::caught_up(cx, writers).await?;
            notes.extend(Some(backlog.carried_over()).filter(|_| request.planned.is_none()));
        }
        definition::backfilled(cx, writers).await?;
    }
    Ok(true)
}

/// Compares both systems whole, and repairs what differs.
async fn compare(
    cx: &StageContext,
    writers: &Writers,
    checkpoint: &Checkpoint,
    request: &RunRequest,
    notes: &mut Vec<String>,
) -> Result<(), StopReason> {
    let name = &cx.pipeline.name;
    // Without an import, every record of Salesforce would count as one that HubSpot lacks.
    if cx.state.watermark(name).await?.is_none() {
        notes.push(format!("nothing was imported yet: `syncline import {name}` copies the records that exist"));
        return Ok(());
    }
    // A plan is about the whole, so what follows one begins anew.
    let unfinished = reconcile::unfinished(cx).await?;
    if let Some(paused) = unfinished.as_ref().filter(|_| request.planned.is_some()) {
        notes.push(reconcile::superseded(paused));
    }
    let mut progress = match unfinished.filter(|_| request.planned.is_none()) {
        Some(progress) => {
            notes.push(reconcile::goes_on(&progress));
            progress
        }
        None => begin_comparison(cx, writers, checkpoint, request, notes).await?,
    };
    let began_at = progress.began_at;
    loop {
        match compare_all(cx, writers, checkpoint, &progress, request).await {
            Err(StageError { cause: StageCause::Remote(Fault::PlaceLost(_)), .. }) if progress.cursor.is_some() => {
                notes.push("the saved place was no longer valid; read again from the start".to_owned());
                progress = ComparisonProgress { cursor: None, read: 0, ..progress };
            }
            Err(error) => return Err(error.into()),
            Ok(true) => break,
            Ok(false) => {
                notes.extend(cx.state.comparison(name).await?.as_ref().map(reconcile::paused));
                return Ok(());
            }
        }
    }
    let sink = sink(cx, writers, checkpoint, LongRead::None, request);
    settle_unconfirmed(cx, writers, checkpoint, request).await?;
    runner::run(cx, &*sink, catch_up::failed(cx, Some(began_at))).await?;
    reconcile::clear(cx).await?;
    let strangers = reconcile::strangers(cx).await?;
    checkpoint.add(Tally { drifted: strangers.records, ..Tally::default() });
    notes.extend(strangers.note(cx));
    checkpoint.save_comparison(cx, None).await?;
    if left_out(request, notes) == 0 {
        definition::note(cx, writers).await?;
        parents::compared(cx, writers, began_at, watermark::read_clocks(cx).await?).await?;
        writers.state.set_note(&reconciled_key(name), &began_at.to_string()).await?;
    }
    // In `create_only`, what exists is left alone.
    if cx.pipeline.mode != Mode::CreateOnly {
        writers.state.recheck_associations(name).await?;
    }
    Ok(associate::drain(cx, writers, checkpoint, None).await?)
}

/// The beginning of a comparison: what Salesforce shows no more is dealt with, under the guard.
async fn begin_comparison(
    cx: &StageContext,
    writers: &Writers,
    checkpoint: &Checkpoint,
    request: &RunRequest,
    notes: &mut Vec<String>,
) -> Result<ComparisonProgress, StopReason> {
    let began_at = cx.clock.now();
    let survey = reconcile::survey(cx).await?;
    guard::check_whole(survey.shown, survey.counted, request.allowance)?;
    guard::check(survey.impact, cx.pipeline.guard.archive, request.allowance)?;
    notes.extend(reconcile::vanished_note(cx, survey.vanished));
    let sink = sink(cx, writers, checkpoint, LongRead::None, request);
    runner::run(cx, &*sink, reconcile::departed(cx, false)).await?;
    let basis = cx.pipeline.basis.clone();
    let progress = ComparisonProgress { began_at, basis, cursor: None, read: 0, total: survey.counted };
    checkpoint.save_comparison(cx, Some(progress.clone())).await?;
    Ok(progress)
}

/// Compares the records that a comparison has still to look at; false where it stopped because its budget was used up.
async fn compare_all(
    cx: &StageContext,
    writers: &Writers,
    checkpoint: &Checkpoint,
    progress: &ComparisonProgress,
    request: &RunRequest,
) -> Result<bool, StageError> {
    let sink = sink(cx, writers, checkpoint, LongRead::Comparison(progress.clone()), request);
    let paused = Arc::new(AtomicBool::new(false));
    let rows = reconcile::all(cx, progress.total, progress.cursor.clone());
    let rows = budget::within(cx, rows, request.limits, Arc::clone(&paused));
    runner::run(cx, &*sink, unconfirmed::track(cx, rows)).await?;
    Ok(!paused.load(Ordering::Relaxed))
}

/// Key of the note that says when both systems were compared whole last.
pub fn reconciled_key(pipeline: &PipelineName) -> String {
    format!("reconciled:{pipeline}")
}

/// Carries over what a changed mapping or filter touches, and nothing else.
async fn stale(
    cx: &StageContext,
    writers: &Writers,
    checkpoint: &Checkpoint,
    request: &RunRequest,
    notes: &mut Vec<String>,
) -> Result<(), StopReason> {
    let backlog = catch_up::backlog(&*cx.state, &cx.pipeline).await?;
    if backlog.is_empty() {
        guard_unconfirmed(cx, request).await?;
        settle_unconfirmed(cx, writers, checkpoint, request).await?;
    }
    if backlog.is_empty() && cx.state.watermark(&cx.pipeline.name).await?.is_none() {
        let name = &cx.pipeline.name;
        notes.push(format!("nothing was imported yet: `syncline import {name}` copies the records that exist"));
        return Ok(());
    }
    if backlog.is_empty() {
        let besides = if cx.failures_open { ", except those that fail" } else { "" };
        notes.push(format!("every record was written with the current mapping{besides}"));
        return Ok(());
    }
    let counts = cx.state.identity_counts(&cx.pipeline.name, cx.pipeline.mapping_version).await?;
    let archive = cycle::stale_archives(cx).await? + unconfirmed::archive_count(cx).await?;
    let impact = Impact { archive, standing: counts.standing + counts.in_doubt, source_empty: false };
    guard::check(impact, cx.pipeline.guard.archive, request.allowance)?;
    let rows = reject_guard::guarded(cx, catch_up::rows(cx, backlog), request.allowance).await?;
    let sink = sink(cx, writers, checkpoint, LongRead::None, request);
    runner::run(cx, &*sink, rows).await?;
    settle_unconfirmed(cx, writers, checkpoint, request).await?;
    definition::caught_up(cx, writers).await?;
    Ok(associate::drain(cx, writers, checkpoint, Some(cx.due_at)).await?)
}
