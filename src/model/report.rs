//! What a run did, in numbers: the shape that `--format json` prints.

use serde::{Deserialize, Serialize};

use super::ids::{PipelineName, RunId};

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// All existing records.
    Import,
    /// What changed since the watermark.
    Sync,
    /// A full comparison.
    Reconcile,
    /// A dry run.
    Plan,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Still going, or its process died.
    Running,
    /// Everything was carried over.
    Succeeded,
    /// Everything was carried over but the records kept under `failures`.
    Partial,
    /// Ended early; state was saved.
    Failed,
    /// Ended early because a daily budget is used up; the next run goes on.
    Paused,
    /// Ended early on request; state was saved.
    Interrupted,
    /// Refused by `guard` before the first write.
    Refused,
}

/// Counts of a run, in records unless said otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Read from Salesforce.
    pub read: u64,
    /// Made in HubSpot.
    pub created: u64,
    /// Changed in HubSpot.
    pub updated: u64,
    /// Found as they should be; nothing was sent.
    pub unchanged: u64,
    /// Archived in HubSpot.
    pub archived: u64,
    /// Made again in HubSpot after Syncline had archived them.
    pub restored: u64,
    /// Left out: they do not match `where` (any more), or `mode` says so.
    pub filtered: u64,
    /// Links made.
    pub associated: u64,
    /// Links removed.
    pub disassociated: u64,
    /// Links that wait for their other side.
    pub pending_associations: u64,
    /// Set aside under `failures`.
    pub failed: u64,
    /// HTTP calls to Salesforce.
    pub salesforce_calls: u64,
    /// HTTP calls to HubSpot.
    pub hubspot_calls: u64,
}

/// What one run of one pipeline did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// The pipeline.
    pub name: PipelineName,
    /// The run.
    pub run: RunId,
    /// What it was for.
    pub kind: RunKind,
    /// How it ended.
    pub status: RunStatus,
    /// What it did.
    #[serde(flatten)]
    pub tally: Tally,
    /// How long it took.
    pub seconds: f64,
    /// Why it ended early, where it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
