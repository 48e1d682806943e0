//! Unconfirmed writes of a broken run: records for which something was sent whose outcome is not noted. Each stays noted until
//! HubSpot has said how its record stands, whatever runs in between: rows that a run reads anyway are asked for in HubSpot on
//! their way, and the others are read by their ids.

use futures_util::stream;
use futures_util::{StreamExt, TryStreamExt};

use super::by_id::{self, Rows};
use super::{read_ahead, visited};
use crate::model::ids::SalesforceId;
use crate::ports::source::QUERY_IDS_MAX;
use crate::stages::{StageContext, StageError, StageName};
use crate::sys::crash_point::crash_point;

/// Notes the unconfirmed rows that pass, so that [`rows`] leaves them out.
pub fn track<'a>(cx: &'a StageContext, rows: Rows<'a>) -> Rows<'a> {
    if !cx.has_unconfirmed {
        return rows;
    }
    rows.and_then(move |rows| async move {
        let ids: Vec<SalesforceId> = rows.batch.iter().map(|row| row.record.id).collect();
        let calls = cx.state.unconfirmed(&cx.pipeline.name, &ids).await.map_err(StageError::at(StageName::Match))?;
        let ids: Vec<SalesforceId> = calls.iter().map(|call| call.salesforce_id).collect();
        if !ids.is_empty() {
            visited::add(cx, &ids).await?;
        }
        Ok(rows)
    })
    .boxed()
}

/// The unconfirmed rows that the run has not read, whatever has become of them.
pub fn rows(cx: &StageContext) -> Rows<'_> {
    all(cx, false)
}

/// How many unconfirmed records a run would archive, at most.
pub async fn archive_count(cx: &StageContext) -> Result<u64, StageError> {
    if !cx.has_unconfirmed || !read_ahead::may_archive(cx) {
        return Ok(0);
    }
    read_ahead::archive_count_of(cx, all(cx, true)).await
}

fn all(cx: &StageContext, ids_only: bool) -> Rows<'_> {
    if !cx.has_unconfirmed {
        return stream::empty().boxed();
    }
    stream::try_unfold(None, move |after| page(cx, after, ids_only)).try_flatten().boxed()
}

type Page<'a> = Option<(Rows<'a>, Option<SalesforceId>)>;

/// A page of unconfirmed records. Those whose failure waits for a later try wait here as well, unless everything is asked for.
async fn page(cx: &StageContext, after: Option<SalesforceId>, ids_only: bool) -> Result<Page<'_>, StageError> {
    let due_at = Some(cx.due_at).filter(|_| !cx.try_all);
    let ids = cx.state.in_doubt(&cx.pipeline.name, due_at, after, QUERY_IDS_MAX).await;
    let mut ids = ids.map_err(StageError::at(StageName::Match))?;
    crash_point!("unconfirmed.page_read");
    let Some(last) = ids.last().copied() else { return Ok(None) };
    let visited = visited::among(cx, &ids).await?;
    ids.retain(|id| !visited.contains(id));
    Ok(Some((by_id::rows(cx, ids, ids_only), Some(last))))
}
