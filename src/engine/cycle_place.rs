//! Where a cycle stands that was cut, so that the other pipelines of a portal have their turn. The watermark stays where it was; the next
//! cycle goes on within the same window, and ends as if it had not been cut. What changed since it began is for the one after.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::watermark::ClockReadings;
use crate::model::ids::PipelineName;
use crate::model::watermark::{Cursor, Watermark};
use crate::ports::state::{StateError, StateReader};
use crate::stages::{StageContext, Writers};

/// Where a cycle stands that was cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CyclePlace {
    /// The watermark that was stored.
    stored: Timestamp,
    /// The moment that its window begins at: an earlier one where the watermark is not trusted.
    pub from: Timestamp,
    /// When it began, by Salesforce's clock, and by this computer's.
    server: Timestamp,
    local: Timestamp,
    /// What its records are judged by (see `Pipeline::basis`).
    basis: String,
    /// The place from which its window is read on; none for the start.
    pub cursor: Option<Cursor>,
    /// Records that it was about to archive when it began, of how many that stood: the guard judges the whole of it.
    pub archive: u64,
    /// See above.
    pub standing: u64,
    /// Records that were read by then.
    read: u64,
}

/// The latest place of a read that goes on.
pub type Reached = Arc<Mutex<Option<Cursor>>>;

fn key(pipeline: &PipelineName) -> String {
    format!("cycle:{pipeline}")
}

/// Whether a cycle of a pipeline was cut.
pub async fn is_cut(state: &dyn StateReader, pipeline: &PipelineName) -> Result<bool, StateError> {
    Ok(state.note(&key(pipeline)).await?.is_some())
}

/// Where a cycle goes on; none where it begins.
pub async fn read(cx: &StageContext) -> Result<Option<CyclePlace>, StateError> {
    let noted = cx.state.note(&key(&cx.pipeline.name)).await?;
    let stored = cx.state.watermark(&cx.pipeline.name).await?;
    // One of another form, of another window, or under another mapping is of no use: then all of it is read again.
    let place = noted.and_then(|noted| serde_json::from_str::<CyclePlace>(&noted).ok());
    Ok(place.filter(|place| Some(Watermark(place.stored)) == stored && place.basis == cx.pipeline.basis))
}

/// Forgets a place, if there is one.
pub async fn clear(cx: &StageContext, writers: &Writers) -> Result<(), StateError> {
    if is_cut(&*cx.state, &cx.pipeline.name).await? {
        writers.state.set_note(&key(&cx.pipeline.name), "").await?;
    }
    Ok(())
}

impl CyclePlace {
    /// The beginning of a cycle that reads from a watermark on.
    pub async fn begin(cx: &StageContext, watermark: Watermark, now: ClockReadings) -> Result<Self, StateError> {
        let ClockReadings { server, local } = now;
        let stored = cx.state.watermark(&cx.pipeline.name).await?.unwrap_or(watermark).0;
        let basis = cx.pipeline.basis.clone();
        Ok(Self { stored, from: watermark.0, server, local, basis, cursor: None, archive: 0, standing: 0, read: 0 })
    }

    /// When it began.
    pub fn began(&self) -> ClockReadings {
        ClockReadings { server: self.server, local: self.local }
    }

    /// Keeps it, with what was reached since, and says so.
    pub async fn save(
        mut self,
        cx: &StageContext,
        writers: &Writers,
        reached: &Reached,
        read: u64,
    ) -> Result<String, StateError> {
        let reached = reached.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.cursor = reached.or(self.cursor);
        self.read += read;
        writers.state.set_note(&key(&cx.pipeline.name), &serde_json::to_string(&self).unwrap_or_default()).await?;
        Ok(format!("its time was over after {} records; the next cycle goes on from there", self.read))
    }
}
