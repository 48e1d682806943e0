//! What is noted of the definition by which a pipeline's records were judged: so that a changed mapping or filter is known, and a
//! backfill runs once a change.

use super::{catch_up, visited};
use crate::config::pipeline::OnMappingChange;
use crate::ports::state::StateError;
use crate::stages::{StageContext, StageError, StageName, Writers};

/// Remembers the definition as the one by which all records were judged.
pub async fn note(cx: &StageContext, writers: &Writers) -> Result<(), StateError> {
    let name = &cx.pipeline.name;
    let condition = catch_up::condition(cx.pipeline.condition_text().as_deref(), cx.pipeline.mode);
    writers.state.set_note(&catch_up::condition_key(name), &condition).await?;
    writers.state.set_note(&catch_up::mapping_key(name), &catch_up::mapping(cx.pipeline.mapping_version)).await
}

/// Remembers that records were judged by the present mapping and filter; what never was imported stays so.
pub async fn caught_up(cx: &StageContext, writers: &Writers) -> Result<(), StageError> {
    visited::clear(cx).await?;
    let at = StageError::at::<StateError>(StageName::Checkpoint);
    match cx.state.note(&catch_up::mapping_key(&cx.pipeline.name)).await {
        Ok(Some(_)) => note(cx, writers).await.map_err(at),
        Ok(None) => Ok(()),
        Err(error) => Err(at(error)),
    }
}

/// A run begins under another definition than that of the last backfill: from now on that one no longer tells how the records stand,
/// even if its definition comes back.
pub async fn begin(cx: &StageContext, writers: &Writers, backfilled: Option<String>) -> Result<(), StateError> {
    let key = catch_up::backfilled_key(&cx.pipeline.name);
    let noted = backfilled.filter(|noted| !noted.is_empty());
    match noted.is_some_and(|noted| noted != catch_up::mapping(cx.pipeline.mapping_version)) {
        // Blank and not removed: a note cannot be taken away, and no mapping is blank.
        true => writers.state.set_note(&key, "").await,
        false => Ok(()),
    }
}

/// A sync ended that has brought all records up to the mapping, where it does that by itself: the next one need not look for them.
pub async fn backfilled(cx: &StageContext, writers: &Writers) -> Result<(), StateError> {
    if cx.pipeline.sync.on_mapping_change != OnMappingChange::Backfill {
        return Ok(());
    }
    let (key, now) = (catch_up::backfilled_key(&cx.pipeline.name), catch_up::mapping(cx.pipeline.mapping_version));
    match cx.state.note(&key).await?.is_some_and(|noted| noted == now) {
        true => Ok(()),
        false => writers.state.set_note(&key, &now).await,
    }
}
