//! The rows that a changed mapping or filter touches: records that were written under another mapping, and records that
//! belong only now. Nothing is re-sent that would not change: what is read here goes through the same decisions.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use jiff::Timestamp;

use super::queries::{ids_query, import_query};
use super::{by_id, visited};
use crate::config::pipeline::{DeleteAction, Mode, OnMappingChange};
use crate::model::failure::FailureKind;
use crate::model::identity::{Identity, MappingVersion, Membership};
use crate::model::ids::{PipelineName, SalesforceId};
use crate::model::watermark::Cursor;
use crate::pipeline::compiled::Pipeline;
use crate::pipeline::condition;
use crate::plan::decide::Candidate;
use crate::ports::source::{Extract, QUERY_IDS_MAX};
use crate::ports::state::{FailureFilter, StateError, StateReader};
use crate::stages::read::extract::{self, Candidates, candidates};
use crate::stages::{StageContext, StageError, StageName};
use crate::sys::crash_point::crash_point;

/// Most records that are read by their ids; more are read together with all that match, in one pass.
/// Ten queries of 500 ids; from there on a single pass in pages of 2,000 rows is cheaper.
pub const BY_ID_MAX: u64 = 5_000;

type Rows<'a> = BoxStream<'a, Result<Candidates, StageError>>;

/// What there is to catch up with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Live records that were written under another mapping and do not fail.
    pub behind: u64,
    /// `where` is not what it was at the last import, so records may belong that nothing is known of.
    pub filter_changed: bool,
    /// Records with an open failure, where the mapping is not what it was at the last import: they may go through now.
    pub failed: u64,
}

impl Backlog {
    /// Whether there is anything.
    pub fn is_empty(self) -> bool {
        self.behind == 0 && !self.filter_changed && self.failed == 0
    }

    /// What was carried over, for the report of the run that did it.
    pub fn carried_over(self) -> String {
        format!("the mapping changed: {} brought up to it (`sync.on_mapping_change: backfill`)", self.described())
    }

    /// What it is about, in words.
    pub fn described(self) -> String {
        let records = |count: u64| if count == 1 { "1 record".to_owned() } else { format!("{count} records") };
        let parts = [
            self.filter_changed.then(|| "a changed `where`".to_owned()),
            (self.behind > 0).then(|| format!("{} written under an earlier mapping", records(self.behind))),
            (self.failed > 0).then(|| format!("{} that failed under an earlier mapping", records(self.failed))),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// What a pipeline has to catch up with; reads state only.
pub async fn backlog(state: &dyn StateReader, pipeline: &Pipeline) -> Result<Backlog, StateError> {
    let behind = behind(state, &pipeline.name, pipeline.mapping_version).await?;
    let noted = state.note(&condition_key(&pipeline.name)).await?;
    let filter_changed =
        // Without a note nothing was imported yet, so there is nothing to catch up with.
        noted.is_some_and(|noted| noted != condition(pipeline.condition_text().as_deref(), pipeline.mode));
    let noted = state.note(&mapping_key(&pipeline.name)).await?;
    // A failure waits for its record to change; a changed mapping is the other thing that can mend it.
    let failed = match noted.is_some_and(|noted| noted != mapping(pipeline.mapping_version)) {
        true => state.open_record_failures(&pipeline.name).await?,
        false => 0,
    };
    Ok(Backlog { behind, filter_changed, failed })
}

/// Live records that were written under another mapping and do not fail: what fails is told as that, and is tried again by itself once
/// anything can mend it.
pub async fn behind(
    state: &dyn StateReader,
    pipeline: &PipelineName,
    mapping: MappingVersion,
) -> Result<u64, StateError> {
    let mut behind = state.identity_counts(pipeline, mapping).await?.behind;
    let mut after: Option<SalesforceId> = None;
    while behind > 0 {
        let filter = FailureFilter {
            pipeline: Some(pipeline.clone()),
            kind: Some(FailureKind::Record),
            after: after.map(|id| (pipeline.clone(), id, FailureKind::Record)),
            ..FailureFilter::default()
        };
        let rows = state.failures(&filter, QUERY_IDS_MAX).await?;
        let ids: Vec<SalesforceId> = rows.iter().map(|row| row.failure.salesforce_id).collect();
        let Some(last) = ids.last() else { break };
        after = Some(*last);
        let known = state.identities(pipeline, &ids).await?;
        let failing = known
            .values()
            .filter(|identity| identity.membership == Membership::Live && identity.mapping != mapping)
            .count();
        behind = behind.saturating_sub(failing as u64);
    }
    Ok(behind)
}

/// What the next sync carries over by itself; none where that is left to `import --stale`, and where a sync has done it.
pub async fn due(state: &dyn StateReader, pipeline: &Pipeline) -> Result<Option<Backlog>, StateError> {
    if pipeline.sync.on_mapping_change != OnMappingChange::Backfill {
        return Ok(None);
    }
    let done = state.note(&backfilled_key(&pipeline.name)).await?;
    if done.is_some_and(|done| done == mapping(pipeline.mapping_version)) {
        return Ok(None);
    }
    Ok(Some(backlog(state, pipeline).await?).filter(|backlog| !backlog.is_empty()))
}

/// Key of the note that keeps the mapping under which the last backfill ended. It is blank while records are written under another.
pub fn backfilled_key(pipeline: &PipelineName) -> String {
    format!("backfilled:{pipeline}")
}

/// Key of the note that keeps the mapping of the last import.
pub fn mapping_key(pipeline: &PipelineName) -> String {
    format!("mapping:{pipeline}")
}

/// A mapping as it is noted.
pub fn mapping(version: MappingVersion) -> String {
    version.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Key of the note that keeps the condition of the last import.
pub fn condition_key(pipeline: &PipelineName) -> String {
    format!("condition:{pipeline}")
}

/// Who belongs, as it is noted: the condition, in one form however it is written, and whether records are made at all.
pub fn condition(text: Option<&str>, mode: Mode) -> String {
    let text = match text {
        None => "all".to_owned(),
        // Spaces and brackets of the file must not count as another filter.
        Some(text) => condition::parser::parse(text).map_or(text.to_owned(), |parsed| parsed.to_string()),
    };
    if mode == Mode::UpdateOnly { format!("{text}, in HubSpot already") } else { text }
}

/// The rows to catch up with. Rows that [`track`] has noted for the same run are left out.
pub fn rows(cx: &StageContext, backlog: Backlog) -> Rows<'_> {
    // Records that belong only now are known by no id.
    let whole = backlog.filter_changed || backlog.behind > BY_ID_MAX;
    let matching: Rows<'_> = match whole {
        true => released(cx, candidates(cx, import_query(cx, 0), extract::Membership::ByQuery, None))
            .and_then(move |rows| touched(cx, rows, backlog.filter_changed))
            .boxed(),
        false => stream::empty().boxed(),
    };
    // After the pass over all that match, for records that no longer do.
    let stale = stream::try_unfold(None, move |after| stale_page(cx, after)).try_flatten().boxed();
    let failed: Rows<'_> = if backlog.failed > 0 { failed(cx, None) } else { stream::empty().boxed() };
    matching.chain(track(cx, stale)).chain(failed).boxed()
}

/// The rows of records that failed, whatever has become of them; with a moment, of those that no run has met since.
pub fn failed(cx: &StageContext, seen_before: Option<Timestamp>) -> Rows<'_> {
    if !cx.failures_open {
        return stream::empty().boxed();
    }
    stream::try_unfold(None, move |after| failed_page(cx, seen_before, after)).try_flatten().boxed()
}

/// Lets what the server keeps for a read go at its end: the read is never resumed.
pub fn released<'a>(cx: &'a StageContext, rows: Rows<'a>) -> Rows<'a> {
    let place: Arc<Mutex<Option<Cursor>>> = Arc::default();
    let noted = Arc::clone(&place);
    let rows = rows.inspect_ok(move |rows| {
        if let Some(cursor) = &rows.cursor {
            *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(cursor.clone());
        }
    });
    let end = stream::once(async move {
        let place = place.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(place) = place {
            cx.source.release(&place).await;
        }
        Ok(Candidates::default())
    });
    rows.chain(end).boxed()
}

/// The same rows with nothing but their ids and marks, for a look ahead.
pub fn rows_ahead(cx: &StageContext) -> Rows<'_> {
    stream::try_unfold(None, move |after| stale_ids(cx, after, true)).try_flatten().boxed()
}

/// Notes all rows that pass, so that they are not read a second time by [`rows`].
pub fn track<'a>(cx: &'a StageContext, rows: Rows<'a>) -> Rows<'a> {
    rows.and_then(move |rows| async move {
        visited::add(cx, &ids_of(&rows.batch)).await?;
        Ok(rows)
    })
    .boxed()
}

/// Of rows that match, those that the change touches.
async fn touched(cx: &StageContext, mut rows: Candidates, filter_changed: bool) -> Result<Candidates, StageError> {
    let ids = ids_of(&rows.batch);
    let identities = cx.state.identities(&cx.pipeline.name, &ids).await.map_err(StageError::at(StageName::Match))?;
    let known = visited::among(cx, &ids).await?;
    let live = |identity: &&Identity| identity.membership == Membership::Live;
    rows.batch.retain(|row| match identities.get(&row.record.id).filter(live) {
        _ if known.contains(&row.record.id) => false,
        Some(identity) => identity.mapping != cx.pipeline.mapping_version,
        // Unknown records that match were left out by the old filter, or failed; failures come on their own.
        None => filter_changed,
    });
    // The place in this read is of no use: it is never resumed.
    rows.cursor = None;
    visited::add(cx, &ids_of(&rows.batch)).await?;
    Ok(rows)
}

type Page<'a> = Option<(Rows<'a>, Option<SalesforceId>)>;

async fn stale_page(cx: &StageContext, after: Option<SalesforceId>) -> Result<Page<'_>, StageError> {
    stale_ids(cx, after, false).await
}

/// A page of records that were written under another mapping, read whether they match or not.
async fn stale_ids(cx: &StageContext, after: Option<SalesforceId>, ids_only: bool) -> Result<Page<'_>, StageError> {
    let ids = cx.state.stale(&cx.pipeline.name, cx.pipeline.mapping_version, after, QUERY_IDS_MAX).await;
    let mut ids = ids.map_err(StageError::at(StageName::Match))?;
    let Some(last) = ids.last().copied() else { return Ok(None) };
    let mut known = visited::among(cx, &ids).await?;
    if ids_only {
        known.extend(visited::counted(cx, &ids).await?);
    }
    ids.retain(|id| !known.contains(id));
    if ids.is_empty() {
        // An empty page is not the end: further ones may hold records that were not read.
        return Ok(Some((stream::empty().boxed(), Some(last))));
    }
    // What vanished and is kept is noted under today's mapping; what is to be archived is left to a comparison, which looks for proof.
    if !ids_only && cx.pipeline.on_vanish == DeleteAction::Keep {
        return Ok(Some((by_id::rows(cx, ids, false), Some(last))));
    }
    let mut query = ids_query(cx, &ids);
    if ids_only {
        query = Extract { columns: Arc::from([]), ..query };
    }
    Ok(Some((candidates(cx, query, extract::Membership::Asked, None), Some(last))))
}

/// A page of records that failed.
async fn failed_page(
    cx: &StageContext,
    seen_before: Option<Timestamp>,
    after: Option<SalesforceId>,
) -> Result<Page<'_>, StageError> {
    let name = &cx.pipeline.name;
    let filter = FailureFilter {
        pipeline: Some(name.clone()),
        seen_before,
        // Associations are tried again by themselves, without their record.
        kind: Some(FailureKind::Record),
        after: after.map(|id| (name.clone(), id, FailureKind::Record)),
        ..FailureFilter::default()
    };
    let rows = cx.state.failures(&filter, QUERY_IDS_MAX).await.map_err(StageError::at(StageName::Match))?;
    crash_point!("failures.page_read");
    let Some(last) = rows.last().map(|row| row.failure.salesforce_id) else { return Ok(None) };
    let mut ids: Vec<SalesforceId> = rows.iter().map(|row| row.failure.salesforce_id).collect();
    let known = visited::among(cx, &ids).await?;
    ids.retain(|id| !known.contains(id));
    Ok(Some((by_id::rows(cx, ids, false), Some(last))))
}

fn ids_of(batch: &[Candidate]) -> Vec<SalesforceId> {
    batch.iter().map(|candidate| candidate.record.id).collect()
}
