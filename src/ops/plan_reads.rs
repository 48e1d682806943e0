//! The records that a plan looks at: those that the run would read, in the order in which it would.

use crate::engine::catch_up::{self, Backlog};
use crate::engine::forecast::Forecast;
use crate::engine::parents::ParentReads;
use crate::engine::read_ahead::ReadAhead;
use crate::engine::run::StopReason;
use crate::engine::{cycle, queries, read_ahead, reconcile, reject_guard, runner, trial, unconfirmed, watermark};
use crate::model::ids::SalesforceId;
use crate::model::report::{RunScope, Trial};
use crate::model::watermark::{ComparisonProgress, Cursor};
use crate::plan::guard::{self, Allowance, Impact, Rejects};
use crate::ports::fault::Fault;
use crate::ports::state::{ImportProgress, StateError};
use crate::stages::read::extract::{Membership, candidates};
use crate::stages::{StageCause, StageContext, StageError, StageName};

/// What the run goes on with instead of beginning anew.
#[derive(Default)]
pub struct GoesOn {
    /// An import that was interrupted.
    pub import: Option<ImportProgress>,
    /// A comparison that was broken off, or whose time was over.
    pub comparison: Option<ComparisonProgress>,
}

impl GoesOn {
    /// With `followed`, the run follows the plan: then a comparison is about all records.
    pub async fn find(cx: &StageContext, scope: RunScope, followed: bool) -> Result<Self, StateError> {
        Ok(match scope {
            RunScope::All => Self { import: cx.state.cursor(&cx.pipeline.name).await?, comparison: None },
            RunScope::Compared if !followed => Self { import: None, comparison: reconcile::unfinished(cx).await? },
            RunScope::Compared | RunScope::Changed | RunScope::Stale | RunScope::ChangedAndStale => Self::default(),
        })
    }

    /// That it goes on, in words.
    pub fn note(&self) -> Option<String> {
        let import = self.import.as_ref().map(|progress| {
            format!(
                "about the rest of the import that began at {}: {} records are read",
                progress.began.0, progress.read
            )
        });
        let comparison = self.comparison.as_ref().map(|progress| {
            format!(
                "about the rest of the comparison that began at {}: {} records are read",
                progress.began_at, progress.read
            )
        });
        import.or(comparison)
    }
}

/// Goes through the same reads as an import; gives the refusal that a run would meet, if it would meet one.
pub async fn import(
    cx: &StageContext,
    sink: &Forecast,
    goes_on: Option<ImportProgress>,
    allowance: Allowance,
) -> Result<Option<String>, StopReason> {
    let (total, cursor) = match goes_on {
        Some(progress) => (progress.total, progress.cursor),
        // Counted first, so that an answer which ends early is told from a small object.
        None => {
            let counted = cx.source.count(&queries::import_query(cx, 0)).await;
            (counted.map_err(StageError::at(StageName::Extract))?, None)
        }
    };
    let ahead = match ahead_of_import(cx, total, cursor.clone()).await {
        // Salesforce no longer keeps the result: the run reads from the start as well.
        Err(StageError { cause: StageCause::Remote(Fault::PlaceLost(_)), .. }) if cursor.is_some() => {
            ahead_of_import(cx, total, None).await?
        }
        ahead => ahead?,
    };
    let archive = unconfirmed::archive_count(cx).await?;
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

/// The same for a cycle; where there is no watermark to read from, it settles what an import has left unconfirmed, and nothing else.
pub async fn sync(
    cx: &StageContext,
    sink: &Forecast,
    backlog: Option<Backlog>,
    allowance: Allowance,
) -> Result<Option<String>, StopReason> {
    let Some(trusted) = watermark::trusted(cx, watermark::read_clocks(cx).await?).await? else {
        runner::run(cx, sink, unconfirmed::rows(cx)).await?;
        return Ok(None);
    };
    let parents = ParentReads::begin(cx, trusted.watermark).await?;
    let (ahead, impact, rejects) = cycle::look_ahead(cx, trusted.watermark, backlog, &parents, None).await?;
    let refusal = refusal(cx, impact, &rejects, allowance);
    runner::run(cx, sink, ahead.all_rows()).await?;
    sink.note_parents(parents.note(cx));
    runner::run(cx, sink, unconfirmed::rows(cx)).await?;
    Ok(refusal)
}

/// What a changed mapping does to the records that HubSpot holds.
pub async fn stale(
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
pub async fn part(
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

/// The beginning of what an import reads, from a place on.
async fn ahead_of_import(cx: &StageContext, total: u64, place: Option<Cursor>) -> Result<ReadAhead<'_>, StageError> {
    let rows = candidates(cx, queries::import_query(cx, total), Membership::ByQuery, place);
    // Failures are tracked only where there are any: it costs a look-up for each batch.
    let rows = if cx.failures_open { catch_up::track(cx, rows) } else { unconfirmed::track(cx, rows) };
    // The first records are transformed before anything counts, so that a mapping which rejects most of them is
    // refused early.
    read_ahead::read_ahead(rows).await
}

/// What a comparison of both systems would repair.
pub async fn compare(
    cx: &StageContext,
    sink: &Forecast,
    goes_on: Option<ComparisonProgress>,
    allowance: Allowance,
) -> Result<Option<String>, StopReason> {
    if let Some(progress) = goes_on {
        // Its place is kept for the run.
        let rest = candidates(cx, queries::import_query(cx, progress.total), Membership::ByQuery, progress.cursor);
        runner::run(cx, sink, catch_up::track(cx, unconfirmed::track(cx, rest))).await?;
        runner::run(cx, sink, catch_up::track(cx, unconfirmed::rows(cx))).await?;
        runner::run(cx, sink, catch_up::failed(cx, Some(progress.began_at))).await?;
        sink.note_strangers(reconcile::strangers(cx).await?);
        return Ok(None);
    }
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
pub async fn by_id(cx: &StageContext, sink: &Forecast, ids: &[SalesforceId]) -> Result<(), StopReason> {
    // An address has 16,384 bytes at most, which bounds the ids in one query.
    for ids in ids.chunks(crate::ports::source::QUERY_IDS_MAX) {
        let rows = candidates(cx, queries::ids_query(cx, ids), Membership::Asked, None);
        runner::run(cx, sink, rows).await?;
    }
    Ok(())
}

fn refusal(cx: &StageContext, impact: Impact, rejects: &Rejects, allowance: Allowance) -> Option<String> {
    let guard = &cx.pipeline.guard;
    let checked = guard::check(impact, guard.archive, allowance);
    let checked = checked.and_then(|()| guard::check_rejects(rejects, guard, allowance, false));
    checked.err().map(|refusal| refusal.to_string())
}
