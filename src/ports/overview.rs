//! What is counted for people over many rows of the state: calls by time, failures by reason.

use std::collections::HashMap;

use futures_util::future::BoxFuture;
use jiff::Timestamp;

use super::state::{FailureFilter, FailureRow, StateError};
use crate::model::ids::{PipelineName, RunId};
use crate::model::origin::RunOrigin;

/// Length of a slot by which calls of short runs are counted together, in milliseconds.
pub const CALL_SLOT_MS: i64 = 5 * 60 * 1_000;

/// Counts rows of the state, and keeps what people want to know of runs beside their numbers. However many there are, an answer is read from an index and holds a few of them.
pub trait StateOverview: Send + Sync {
    /// Open failures, or all of them, by pipeline and reason. Of the filter, the pipeline, the record, the code, and whether
    /// closed ones count are heeded.
    fn failure_reasons<'a>(
        &'a self,
        filter: &'a FailureFilter,
    ) -> BoxFuture<'a, Result<Vec<FailureReason>, StateError>>;

    /// Some failures with a reason, by record, at most `limit`.
    fn failures_with_reason<'a>(
        &'a self,
        filter: &'a FailureFilter,
        reason: &'a FailureReason,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<FailureRow>, StateError>>;

    /// Messages of failures with a reason, each once, at most `limit`.
    fn messages_with_reason<'a>(
        &'a self,
        filter: &'a FailureFilter,
        reason: &'a FailureReason,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<String>, StateError>>;

    /// Where these runs come from; of runs of an earlier version nothing is known.
    fn origins<'a>(&'a self, runs: &'a [RunId]) -> BoxFuture<'a, Result<HashMap<RunId, RunOrigin>, StateError>>;

    /// Notes where a run comes from.
    fn note_origin<'a>(&'a self, run: &'a RunId, origin: &'a RunOrigin) -> BoxFuture<'a, Result<(), StateError>>;

    /// The calls of all runs that began since.
    fn calls_since<'a>(&'a self, since: Timestamp, now: Timestamp)
    -> BoxFuture<'a, Result<Vec<CallsMade>, StateError>>;

    /// How often a worker took one of the state's portals from another one that had not given it back.
    fn takeovers(&self) -> BoxFuture<'_, Result<u64, StateError>>;
}

/// Calls that runs of a pipeline made between two moments: those of short runs in one slot together, those of a longer run by
/// themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallsMade {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// When the first of the runs began.
    pub from: Timestamp,
    /// When the last of them ended; of one that goes on, the present.
    pub to: Timestamp,
    /// Calls to Salesforce.
    pub salesforce: u64,
    /// Calls to HubSpot.
    pub hubspot: u64,
}

/// Failures of one pipeline that share a reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureReason {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// Stable code.
    pub code: String,
    /// The property at fault.
    pub property: Option<String>,
    /// HubSpot's own code.
    pub remote_code: Option<String>,
    /// How many there are.
    pub records: u64,
    /// When the first of them failed first.
    pub first_seen: Timestamp,
    /// When one of them failed last.
    pub last_seen: Timestamp,
    /// When the first of them is tried or looked at again.
    pub retry_at: Option<Timestamp>,
}
