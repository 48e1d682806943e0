//! The rows of a sync cycle: failures whose next try has come, what Salesforce touched since the watermark, records whose parent was
//! touched, and what a changed mapping or filter brings. And a look at the first of them, for the guard.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream;
use futures_util::{StreamExt, TryStreamExt};

use super::by_id::{self, Rows};
use super::catch_up::{self, Backlog};
use super::cycle_place::CyclePlace;
use super::parents::{ParentReads, Way};
use super::queries::{joint_query, parents_query, window_query};
use super::read_ahead::{self, ReadAhead};
use super::{reject_guard, unconfirmed, visited};
use crate::model::failure::FailureKind;
use crate::model::ids::SalesforceId;
use crate::model::watermark::{Cursor, Watermark};
use crate::plan::guard::{Impact, Rejects};
use crate::ports::source::{Extract, QUERY_IDS_MAX};
use crate::ports::state::FailureFilter;
use crate::stages::read::extract::{Candidates, Membership, candidates};
use crate::stages::{StageContext, StageError, StageName};

/// Most failures that one cycle tries again.
/// What is left waits for the next cycle, so that an outage does not make one cycle read everything again.
const RETRIES_MAX: usize = 2_000;

/// The rows of a cycle, the first of them read, with what the cycle is about to archive, and what it rejects of that beginning. One that was
/// cut goes on from its place.
pub async fn look_ahead<'a>(
    cx: &'a StageContext,
    watermark: Watermark,
    backlog: Option<Backlog>,
    parents: &'a ParentReads,
    place: Option<&CyclePlace>,
) -> Result<(ReadAhead<'a>, Impact, Rejects), StageError> {
    loop {
        match look(cx, watermark, backlog, parents, place).await {
            // Salesforce may refuse a query over parents that it accepts in two parts, or without them.
            Err(_) if parents.steps_back() => {}
            looked => {
                parents.looked_ahead();
                return looked;
            }
        }
    }
}

/// Reads the beginning of a cycle, and judges it, before anything is written.
async fn look<'a>(
    cx: &'a StageContext,
    watermark: Watermark,
    backlog: Option<Backlog>,
    parents: &'a ParentReads,
    place: Option<&CyclePlace>,
) -> Result<(ReadAhead<'a>, Impact, Rejects), StageError> {
    let cursor = place.and_then(|place| place.cursor.clone());
    let mut rows = rows(cx, watermark, parents, cursor).await?;
    // What the window brings must not come a second time with the backlog.
    if backlog.is_some() {
        rows = catch_up::track(cx, rows);
    }
    let mut ahead = read_ahead::read_ahead(unconfirmed::track(cx, rows)).await?;
    let (mut archive, standing) = match place {
        // The whole was counted when it began.
        Some(place) => (place.archive + archived_since(cx, place).await?, place.standing),
        None => impact(cx, watermark, parents, &ahead, backlog.is_some()).await?,
    };
    if let Some(backlog) = backlog {
        if place.is_none() {
            archive += stale_archives(cx).await?;
            visited::clear_counted(cx).await?;
        }
        let all = ahead.all_rows().chain(without_places(catch_up::rows(cx, backlog))).boxed();
        ahead = read_ahead::read_ahead(all).await?;
    }
    archive += unconfirmed::archive_count(cx).await?;
    let rejects = reject_guard::judge(cx, &ahead.rows).await?;
    Ok((ahead, Impact { archive, standing, source_empty: false }, rejects))
}

/// How many records a catch-up would archive, because they no longer belong or were deleted.
pub async fn stale_archives(cx: &StageContext) -> Result<u64, StageError> {
    match read_ahead::may_archive(cx) {
        true => read_ahead::archive_count_of(cx, catch_up::rows_ahead(cx)).await,
        false => Ok(0),
    }
}

/// Failures that are due again, then everything touched since the watermark.
async fn rows<'a>(
    cx: &'a StageContext,
    watermark: Watermark,
    parents: &'a ParentReads,
    cursor: Option<Cursor>,
) -> Result<Rows<'a>, StageError> {
    let mut due = Vec::new();
    if cx.failures_open {
        let filter = FailureFilter {
            pipeline: Some(cx.pipeline.name.clone()),
            // Associations are tried again by themselves, without their record.
            kind: Some(FailureKind::Record),
            due_at: Some(cx.due_at),
            // A failure under another basis is due at once: mapping or schema have changed since.
            basis: Some(cx.pipeline.basis.clone()),
            ..FailureFilter::default()
        };
        let rows = cx.state.failures(&filter, RETRIES_MAX).await.map_err(StageError::at(StageName::Match))?;
        due.extend(rows.into_iter().map(|row| row.failure.salesforce_id));
    }
    let changed = touched(cx, watermark, parents, cursor, false);
    if due.is_empty() {
        return Ok(changed.boxed());
    }
    let retries: Vec<Rows<'_>> = due.chunks(QUERY_IDS_MAX).map(|ids| by_id::rows(cx, ids.to_vec(), false)).collect();
    // A record that failed and changed since comes once. What changes after it was read has a stamp behind the new
    // watermark, so the next cycle sees it.
    let tried: Arc<Mutex<HashSet<SalesforceId>>> = Arc::default();
    let noted = Arc::clone(&tried);
    let retries = without_places(stream::iter(retries).flatten().boxed()).inspect_ok(move |rows| {
        let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.extend(rows.batch.iter().map(|row| row.record.id));
    });
    let changed = changed.map_ok(move |mut rows| {
        let tried = tried.lock().unwrap_or_else(PoisonError::into_inner);
        rows.batch.retain(|row| !tried.contains(&row.record.id));
        rows
    });
    Ok(retries.chain(changed).boxed())
}

/// The same rows; none of the pages is a place to go on from.
fn without_places(rows: Rows<'_>) -> Rows<'_> {
    rows.map_ok(|rows| Candidates { cursor: None, beside: true, ..rows }).boxed()
}

/// Everything that Salesforce touched since the watermark, from a place on, and the records of the parents that it touched.
fn touched<'a>(
    cx: &'a StageContext,
    watermark: Watermark,
    parents: &'a ParentReads,
    cursor: Option<Cursor>,
    ids_only: bool,
) -> Rows<'a> {
    let read = |query: Extract, membership, cursor| {
        let query = if ids_only { Extract { columns: Arc::from([]), ..query } } else { query };
        candidates(cx, query, membership, cursor)
    };
    let window = |cursor| read(window_query(cx, watermark), Membership::Asked, cursor);
    match parents.way() {
        Way::Never | Way::Later => window(cursor),
        Way::Joint => {
            // One query for both: a record that changed with its parent comes once.
            let joint = read(joint_query(cx, watermark, parents.from(cx)), Membership::Asked, cursor);
            parents.guarded(catch_up::released(cx, joint), window(None))
        }
        Way::Apart => {
            let query = parents_query(cx, watermark, parents.from(cx));
            // A condition that asks for parents may be left by what happened to one.
            let membership = if cx.pipeline.parents.decide { Membership::Asked } else { Membership::ByQuery };
            let of_parents = without_places(catch_up::released(cx, read(query, membership, None)));
            window(cursor).chain(parents.guarded(of_parents, stream::empty().boxed())).boxed()
        }
    }
}

/// How many records a cycle would archive that were touched since it began: nobody has counted them then.
async fn archived_since(cx: &StageContext, place: &CyclePlace) -> Result<u64, StageError> {
    if !read_ahead::may_archive(cx) {
        return Ok(0);
    }
    let began = Watermark(place.began().server.saturating_add(cx.pipeline.overlap).unwrap_or(place.began().server));
    // The overlap was counted when it began.
    let query = Extract { columns: Arc::from([]), ..window_query(cx, began) };
    read_ahead::archive_count_of(cx, candidates(cx, query, Membership::Asked, None)).await
}

/// How many records a cycle would archive, of how many that stand. With `noted`, a longer read notes what it counts, so that nothing else
/// counts it again.
async fn impact(
    cx: &StageContext,
    watermark: Watermark,
    parents: &ParentReads,
    ahead: &ReadAhead<'_>,
    noted: bool,
) -> Result<(u64, u64), StageError> {
    if !read_ahead::may_archive(cx) {
        return Ok((0, 0));
    }
    // With a cycle that is longer than what was read ahead, only ids are read to count it.
    let archive = if ahead.complete {
        read_ahead::archive_count(cx, &ahead.rows).await?
    } else {
        let rows = touched(cx, watermark, parents, None, true);
        let rows = rows.and_then(move |rows| async move {
            if noted {
                let ids: Vec<SalesforceId> = rows.batch.iter().map(|row| row.record.id).collect();
                visited::add_counted(cx, &ids).await?;
            }
            Ok(rows)
        });
        read_ahead::archive_count_of(cx, rows.boxed()).await?
    };
    let counts = cx.state.identity_counts(&cx.pipeline.name, cx.pipeline.mapping_version).await;
    let counts = counts.map_err(StageError::at(StageName::Match))?;
    Ok((archive, counts.standing + counts.in_doubt))
}
