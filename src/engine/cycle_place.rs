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

/// Where a cycle goes on after a watermark that is stored; none where it begins. And whether any place is noted.
pub async fn read(cx: &StageContext, stored: Watermark) -> Result<(Option<CyclePlace>, bool), StateError> {
    let noted = cx.state.note(&key(&cx.pipeline.name)).await?;
    let is_noted = noted.is_some();
    // One of another form, of another window, or under another mapping is of no use: then all of it is read again.
    let place = noted.and_then(|noted| serde_json::from_str::<CyclePlace>(&noted).ok());
    Ok((place.filter(|place| Watermark(place.stored) == stored && place.basis == cx.pipeline.basis), is_noted))
}

/// Forgets a place.
pub async fn clear(cx: &StageContext, writers: &Writers) -> Result<(), StateError> {
    writers.state.set_note(&key(&cx.pipeline.name), "").await
}

impl CyclePlace {
    /// The beginning of a cycle: after the watermark that is stored, from one on that is trusted.
    pub fn begin(cx: &StageContext, (stored, trusted): (Watermark, Watermark), now: ClockReadings) -> Self {
        let ClockReadings { server, local } = now;
        let (stored, from, basis) = (stored.0, trusted.0, cx.pipeline.basis.clone());
        Self { stored, from, server, local, basis, cursor: None, archive: 0, standing: 0, read: 0 }
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
