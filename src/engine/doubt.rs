//! The doubt that a broken run leaves: records for which something was sent whose outcome is not noted. Each lasts until its
//! record is accounted for, whatever runs in between: rows that a run meets anyway are asked for in HubSpot on their way,
//! and the others are read by their ids.

use futures_util::stream;
use futures_util::{StreamExt, TryStreamExt};

use super::certain::{self, Rows};
use super::{seen, survey};
use crate::model::ids::SalesforceId;
use crate::ports::source::QUERY_IDS_MAX;
use crate::stages::{StageContext, StageError, StageName};

/// Notes the rows in doubt that pass, so that [`rows`] leaves them out.
pub fn noted<'a>(cx: &'a StageContext, rows: Rows<'a>) -> Rows<'a> {
    if !cx.unsettled {
        return rows;
    }
    rows.and_then(move |rows| async move {
        let ids: Vec<SalesforceId> = rows.batch.iter().map(|row| row.record.id).collect();
        let calls = cx.state.unconfirmed(&cx.pipeline.name, &ids).await.map_err(StageError::at(StageName::Match))?;
        let ids: Vec<SalesforceId> = calls.iter().map(|call| call.salesforce_id).collect();
        if !ids.is_empty() {
            seen::note(cx, &ids).await?;
        }
        Ok(rows)
    })
    .boxed()
}

/// The rows in doubt that the run has not met, whatever has become of them.
pub fn rows(cx: &StageContext) -> Rows<'_> {
    all(cx, false)
}

/// How many records in doubt a run would archive, at most.
pub async fn archives(cx: &StageContext) -> Result<u64, StageError> {
    if !cx.unsettled || !survey::may_archive(cx) {
        return Ok(0);
    }
    survey::archives_of(cx, all(cx, true)).await
}

fn all(cx: &StageContext, bare: bool) -> Rows<'_> {
    if !cx.unsettled {
        return stream::empty().boxed();
    }
    stream::try_unfold(None, move |after| page(cx, after, bare)).try_flatten().boxed()
}

type Page<'a> = Option<(Rows<'a>, Option<SalesforceId>)>;

async fn page(cx: &StageContext, after: Option<SalesforceId>, bare: bool) -> Result<Page<'_>, StageError> {
    let due_at = Some(cx.due_at).filter(|_| !cx.try_all);
    let ids = cx.state.in_doubt(&cx.pipeline.name, due_at, after, QUERY_IDS_MAX).await;
    let mut ids = ids.map_err(StageError::at(StageName::Match))?;
    let Some(last) = ids.last().copied() else { return Ok(None) };
    let met = seen::of(cx, &ids).await?;
    ids.retain(|id| !met.contains(id));
    Ok(Some((certain::rows(cx, ids, bare), Some(last))))
}
