//! The write half: holds the writers. Every stage is safe to repeat: records are written by a unique property, associations are
//! looked up first, archiving twice is archiving once.

pub mod associate;
pub mod associate_made;
mod association_batch;
pub mod checkpoint;
pub mod delete;
pub mod load;
pub mod own_ends;
mod turns;

use crate::model::failure::Reason;
use crate::model::ids::HubspotId;
use crate::plan::decide::Decision;

/// Code of a record of which HubSpot did not confirm that it was written.
pub const UNCONFIRMED: &str = "SL5120";

/// A decision whose action was carried out, or was refused for this record.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    /// The decision.
    pub decision: Decision,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a decision.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Acknowledged by HubSpot.
    Done {
        /// The record's id, where the call told it.
        id: Option<HubspotId>,
        /// Whether the call made the record; none when it did not say.
        created: Option<bool>,
    },
    /// There was nothing to send.
    NothingToSend,
    /// Refused for this record.
    Failed(Box<Reason>),
}

/// What a write stage achieved: records that were acknowledged are settled even when the stage could not go on.
#[derive(Debug, Default)]
pub struct Written {
    /// Settled records.
    pub settled: Vec<Settled>,
    /// Why it stopped before the end.
    pub stopped: Option<crate::stages::StageError>,
}
