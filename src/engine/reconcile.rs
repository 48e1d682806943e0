//! The full comparison: what Salesforce says now against what HubSpot holds now. First the records that are known and that a whole
//! read does not show: deleted for good, hidden, or no longer matching. Then every record that matches, each as HubSpot holds it.

use std::sync::Arc;

use futures_util::stream;
use futures_util::{StreamExt, TryStreamExt};
use jiff::SignedDuration;

use super::by_id::{self, Rows};
use super::queries::import_query;
use super::{catch_up, read_ahead, unconfirmed, visited};
use crate::config::pipeline::DeleteAction;
use crate::model::ids::{HubspotId, SalesforceId};
use crate::model::watermark::Cursor;
use crate::plan::guard::Impact;
use crate::ports::source::{Extract, QUERY_IDS_MAX};
use crate::stages::read::extract::{Candidates, Membership, candidates};
use crate::stages::{StageContext, StageError, StageName};
use crate::sys::crash_point::crash_point;

/// What a look at both systems tells before the first write.
#[derive(Debug, Clone, Copy)]
pub struct Survey {
    /// Records that match, as Salesforce counts them.
    pub counted: u64,
    /// Records that a whole read showed.
    pub shown: u64,
    /// Records that are known and that Salesforce does not show any more, without proof that they were deleted.
    pub vanished: u64,
    /// What would be archived, of how many.
    pub impact: Impact,
}

/// Reads the ids of all records that match, and counts what would be archived of those that are known and not among them.
pub async fn survey(cx: &StageContext) -> Result<Survey, StageError> {
    let counted = cx.source.count(&import_query(cx, 0)).await.map_err(StageError::at(StageName::Extract))?;
    let query = Extract { columns: Arc::from([]), ..import_query(cx, counted) };
    let mut rows = candidates(cx, query, Membership::ByQuery, None);
    let (mut shown, mut place): (u64, Option<Cursor>) = (0, None);
    while let Some(chunk) = rows.next().await {
        let chunk = chunk?;
        shown += chunk.batch.len() as u64;
        place = chunk.cursor.or(place);
        let ids: Vec<SalesforceId> = chunk.batch.iter().map(|row| row.record.id).collect();
        visited::add(cx, &ids).await?;
    }
    crash_point!("compare.ids_read");
    drop(rows);
    if let Some(place) = place {
        cx.source.release(&place).await;
    }
    if count_vanished(cx).await?.0 > 0 {
        note_deleted(cx).await?;
    }
    let (vanished, archive) = count_vanished(cx).await?;
    let archive = archive + unconfirmed::archive_count(cx).await?;
    let counts = cx.state.identity_counts(&cx.pipeline.name, cx.pipeline.mapping_version).await;
    let counts = counts.map_err(StageError::at(StageName::Match))?;
    let standing = counts.standing + counts.in_doubt;
    crash_point!("compare.surveyed");
    Ok(Survey { counted, shown, vanished, impact: Impact { archive, standing, source_empty: counted == 0 } })
}

/// How many known records Salesforce does not show any more without that anything proves their delete, and how many would be
/// archived.
async fn count_vanished(cx: &StageContext) -> Result<(u64, u64), StageError> {
    let (mut vanished, mut archive) = (0, 0);
    let mut gone = departed(cx, true);
    while let Some(chunk) = gone.next().await {
        let chunk = chunk?;
        vanished += chunk.batch.iter().filter(|row| row.vanished).count() as u64;
        archive += read_ahead::archive_count(cx, &[chunk]).await?;
    }
    Ok((vanished, archive))
}

/// Salesforce's list of deletes reaches back fifteen days at most; a little less keeps clear of its edge.
const DELETED_SINCE: SignedDuration = SignedDuration::from_hours(15 * 24 - 1);

/// Keeps Salesforce's list of deleted records in the directory, where [`departed`] looks for proof.
async fn note_deleted(cx: &StageContext) -> Result<(), StageError> {
    let now = cx.source.now().await.map_err(StageError::at(StageName::Extract))?;
    // Seconds count for nothing, so that the end lies a minute ahead.
    let until = now + SignedDuration::from_mins(1);
    let deleted = cx.source.deleted(&cx.pipeline.source_object, now - DELETED_SINCE, until).await;
    let deleted = deleted.map_err(StageError::at(StageName::Extract))?.unwrap_or_default();
    crash_point!("compare.deletes_listed");
    let entries: Vec<_> = deleted.into_iter().map(|id| (id, HubspotId::new("deleted"))).collect();
    cx.directory.add(&deleted_directory(cx), &entries).await.map_err(StageError::at(StageName::Extract))
}

fn deleted_directory(cx: &StageContext) -> String {
    format!("deleted:{}", cx.run)
}

/// Forgets what the comparison kept.
pub async fn clear(cx: &StageContext) -> Result<(), StageError> {
    crash_point!("compare.done");
    visited::clear(cx).await?;
    crash_point!("compare.clearing");
    cx.directory.discard(&deleted_directory(cx)).await.map_err(StageError::at(StageName::Checkpoint))
}

/// What Salesforce lists as deleted did not vanish: that is the proof.
async fn prove(cx: &StageContext, mut rows: Candidates) -> Result<Candidates, StageError> {
    let ids: Vec<SalesforceId> = rows.batch.iter().filter(|row| row.vanished).map(|row| row.record.id).collect();
    if ids.is_empty() {
        return Ok(rows);
    }
    let listed = cx.directory.find(&deleted_directory(cx), &ids).await.map_err(StageError::at(StageName::Extract))?;
    for row in rows.batch.iter_mut().filter(|row| listed.contains_key(&row.record.id)) {
        row.vanished = false;
        row.record.deleted = true;
    }
    Ok(rows)
}

/// What a person should know of records that vanished.
pub fn vanished_note(cx: &StageContext, vanished: u64) -> Option<String> {
    let records = if vanished == 1 { "1 record is".to_owned() } else { format!("{vanished} records are") };
    let policy = match cx.pipeline.on_vanish {
        DeleteAction::Archive => "archived in HubSpot (`on_vanish: archive`)",
        DeleteAction::Keep => "kept in HubSpot (`on_vanish: keep`)",
    };
    (vanished > 0).then(|| {
        format!(
            "{records} no longer visible in Salesforce, purged or hidden from Syncline's user, without proof of a delete: {policy}"
        )
    })
}

/// The records that are kept in step and that the whole read did not show, asked for by their ids.
pub fn departed(cx: &StageContext, ids_only: bool) -> Rows<'_> {
    let rows = stream::try_unfold(None, move |after| page(cx, after, ids_only)).try_flatten();
    rows.and_then(move |rows| prove(cx, rows)).boxed()
}

type Page<'a> = Option<(Rows<'a>, Option<SalesforceId>)>;

async fn page(cx: &StageContext, after: Option<SalesforceId>, ids_only: bool) -> Result<Page<'_>, StageError> {
    let ids = cx.state.live(&cx.pipeline.name, after, QUERY_IDS_MAX).await;
    let mut ids = ids.map_err(StageError::at(StageName::Match))?;
    let Some(last) = ids.last().copied() else { return Ok(None) };
    let shown = visited::among(cx, &ids).await?;
    crash_point!("compare.departed_page");
    ids.retain(|id| !shown.contains(id));
    Ok(Some((by_id::rows(cx, ids, ids_only), Some(last))))
}

/// All records that match, whole. The read is never resumed.
pub fn all(cx: &StageContext, counted: u64) -> Rows<'_> {
    let rows = candidates(cx, import_query(cx, counted), Membership::ByQuery, None);
    catch_up::released(cx, rows).map_ok(|rows| Candidates { cursor: None, ..rows }).boxed()
}
