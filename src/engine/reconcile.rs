//! The full comparison: what Salesforce says now against what HubSpot holds now. First the records that are known and that a whole
//! read does not show: deleted for good, hidden, or no longer matching. Then every record that matches, each as HubSpot holds it.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::stream;
use futures_util::{StreamExt, TryStreamExt};
use jiff::SignedDuration;

use super::by_id::{self, Rows};
use super::queries::import_query;
use super::{catch_up, read_ahead, unconfirmed, visited};
use crate::config::pipeline::{DeleteAction, Mode};
use crate::model::ids::{HubspotId, SalesforceId};
use crate::model::watermark::{ComparisonProgress, Cursor};
use crate::plan::guard::Impact;
use crate::ports::source::{Extract, QUERY_IDS_MAX};
use crate::ports::state::StateError;
use crate::stages::read::extract::{Candidates, Membership, candidates};
use crate::stages::read::targets::planned_directory;
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
    // Ids alone: a pass over a million records without their values is a tenth of the bytes.
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
    // The stream holds the place that is released next.
    drop(rows);
    if let Some(place) = place {
        cx.source.release(&place).await;
    }
    // Salesforce's list of deletes is only asked where something is missing, which is rare.
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
    // Asked for by their ids: a record that no longer matches is still there, and only the rest vanished.
    Ok(Some((by_id::rows(cx, ids, ids_only), Some(last))))
}

/// Longest time after which a comparison that was broken off goes on: one of yesterday has seen too little of today.
const GOES_ON_WITHIN: SignedDuration = SignedDuration::from_hours(24);

/// The comparison to go on with: it is not too old, and its records were judged by what counts today.
pub async fn unfinished(cx: &StageContext) -> Result<Option<ComparisonProgress>, StateError> {
    let progress = cx.state.comparison(&cx.pipeline.name).await?;
    let age = |progress: &ComparisonProgress| cx.clock.now().duration_since(progress.began_at).abs();
    Ok(progress.filter(|progress| progress.basis == cx.pipeline.basis && age(progress) <= GOES_ON_WITHIN))
}

/// That a comparison goes on, in words.
pub fn goes_on(progress: &ComparisonProgress) -> String {
    let ComparisonProgress { began_at, read, total, .. } = progress;
    format!("went on with the comparison that began at {began_at}, after {read} of {total} records")
}

/// That a comparison gives way to one that follows a plan, in words.
pub fn superseded(progress: &ComparisonProgress) -> String {
    let ComparisonProgress { began_at, read, total, .. } = progress;
    format!(
        "began anew: a plan is about all records, so the comparison that began at {began_at} and paused after {read} of {total} \
         records is over with this one"
    )
}

/// That a comparison pauses, in words.
pub fn paused(progress: &ComparisonProgress) -> String {
    let ComparisonProgress { read, total, .. } = progress;
    format!("its time was over after {read} of {total} records; the next comparison goes on from there")
}

/// All records that match, whole, from a place on.
pub fn all(cx: &StageContext, counted: u64, place: Option<Cursor>) -> Rows<'_> {
    catch_up::released(cx, candidates(cx, import_query(cx, counted), Membership::ByQuery, place))
}

/// Records in HubSpot that carry a Salesforce id which Syncline never wrote there.
#[derive(Debug, Clone, Default)]
pub struct Strangers {
    /// How many.
    pub records: u64,
    /// A few of them.
    pub sample: Vec<HubspotId>,
}

/// Records that are named.
const SAMPLE_MAX: usize = 5;

impl Strangers {
    /// What a person should know of them.
    pub fn note(&self, cx: &StageContext) -> Option<String> {
        let property = &cx.pipeline.target.match_property;
        let ids: Vec<String> = self.sample.iter().map(HubspotId::to_string).collect();
        let (records, carry) = if self.records == 1 { ("record", "carries") } else { ("records", "carry") };
        let more = self.records.saturating_sub(ids.len() as u64);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (self.records > 0).then(|| {
            format!(
                "{} {records} in HubSpot {carry} a value in `{property}` that Syncline never wrote there ({}{more}): left as found; \
                 clear the property there, unless the Salesforce record is one that is not synced",
                self.records,
                ids.join(", ")
            )
        })
    }
}

/// Lists the records of the object, and finds those that no pipeline knows by the id that they carry. They are never written to.
pub async fn strangers(cx: &StageContext) -> Result<Strangers, StageError> {
    let target = &cx.pipeline.target;
    let mut strangers = Strangers::default();
    // Where only new records are made, those that stand are nobody's business; and rows of a junction object have none.
    if cx.pipeline.mode == Mode::CreateOnly || cx.pipeline.is_junction {
        return Ok(strangers);
    }
    let properties = [Arc::clone(&target.match_property)];
    let at = |error: StateError| StageError::at(StageName::Match)(error);
    let mut after = None;
    loop {
        let page = cx.target.list(&target.object_type_id, &properties, after.as_deref()).await;
        let page = page.map_err(StageError::at(StageName::Match))?;
        let carried = page.records.into_iter().filter_map(|record| {
            let value = record.properties.get(&*target.match_property)?.as_deref()?.trim();
            (!value.is_empty()).then(|| (value.parse::<SalesforceId>().ok(), record.id.clone()))
        });
        let carried: Vec<(Option<SalesforceId>, HubspotId)> = carried.collect();
        let ids: Vec<SalesforceId> = carried.iter().filter_map(|(id, _)| *id).collect();
        // Of any pipeline: several may fill one object.
        let known = cx.state.known_records(&ids).await.map_err(at)?;
        // What a run would find and note, a dry run has found.
        let planned = match cx.dry {
            true => cx.directory.find(&planned_directory(&cx.pipeline.name), &ids).await.map_err(at)?,
            false => HashMap::new(),
        };
        for (id, record) in carried {
            // By both ids: a copy of one of our records carries its Salesforce id and is not the one that was
            // written.
            let is_ours = id.is_some_and(|id| known.contains(&(id, record.clone())) || planned.contains_key(&id));
            if !is_ours {
                strangers.records += 1;
                if strangers.sample.len() < SAMPLE_MAX {
                    strangers.sample.push(record);
                }
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(strangers);
        }
    }
}
