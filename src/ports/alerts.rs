//! Alerts as the state keeps them: on their way to their receivers until these have them.

use jiff::Timestamp;

use crate::model::alert::{Alert, AlertEvent, Condition};
use crate::model::ids::PipelineName;

/// What is remembered and put on its way together.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertCommit {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// When.
    pub at: Timestamp,
    /// Conditions that are new or have changed.
    pub stands: Vec<Condition>,
    /// Those that are over.
    pub over: Vec<AlertEvent>,
    /// Alerts, each with its receiver.
    pub deliveries: Vec<(String, Alert)>,
}

/// An alert on its way to a receiver.
#[derive(Debug, Clone, PartialEq)]
pub struct QueuedAlert {
    /// Its number in the outbox.
    pub number: i64,
    /// The receiver's name.
    pub receiver: String,
    /// The alert.
    pub alert: Alert,
    /// How often it was tried before.
    pub attempts: u32,
}

/// What became of an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// Its receiver has it, or is no more.
    Done,
    /// It is tried again.
    Later {
        /// When.
        at: Timestamp,
        /// Why.
        problem: String,
    },
}

/// Alerts that are still on their way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Undelivered {
    /// How many were tried in vain.
    pub failed: u64,
    /// The receiver and the problem of the oldest of those.
    pub problem: Option<(String, String)>,
}
