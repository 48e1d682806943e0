//! What a run did, in numbers: the shape that `--format json` prints.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids::{PipelineName, RunId, SalesforceId};

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// Which records a run is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunScope {
    /// All that match.
    All,
    /// Those that a changed mapping or filter touches.
    Stale,
    /// Those that changed since the watermark.
    Changed,
    /// Both of the last two.
    ChangedAndStale,
    /// All of both systems: what Salesforce says now against what HubSpot holds now.
    Compared,
}

impl RunScope {
    /// Whether all records are read.
    pub fn is_whole(self) -> bool {
        matches!(self, Self::All | Self::Compared)
    }

    /// What a run of this scope is called.
    pub fn kind(self) -> RunKind {
        match self {
            Self::All | Self::Stale => RunKind::Import,
            Self::Changed | Self::ChangedAndStale => RunKind::Sync,
            Self::Compared => RunKind::Reconcile,
        }
    }
}

/// The records of a trial: of a run that is about some records before it is about all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trial {
    /// These, whether they match or not: one that does not leaves.
    Records(Vec<SalesforceId>),
    /// Some of those that match.
    Matching(Chosen),
}

/// Some of the records that match a pipeline's filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chosen {
    /// A checked SOQL condition that they match besides.
    pub condition: Option<String>,
    /// Salesforce touched them then, or later.
    pub since: Option<Timestamp>,
    /// The first so many of them, in Salesforce's order.
    pub most: Option<u64>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Still going, or its process died.
    Running,
    /// Everything was carried over.
    Succeeded,
    /// Everything was carried over but the records kept under `failures`.
    Partial,
    /// Could not begin, or ended early; state was saved.
    Failed,
    /// Ended early because a daily budget is used up; the next run goes on.
    Paused,
    /// Ended early on request; state was saved.
    Interrupted,
    /// Nothing was written: `guard` refused before the first write, or another process runs the pipeline.
    Refused,
}

/// How far a run is, while it goes on.
#[derive(Debug, Clone, Copy)]
pub struct RunProgress {
    /// Its numbers so far.
    pub tally: Tally,
    /// Its calls to HubSpot so far.
    pub calls: u64,
    /// The calls a second that HubSpot allows at present.
    pub calls_per_second: f64,
}

/// Counts of a run, in records unless said otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tally {
    /// Read from Salesforce.
    pub read: u64,
    /// Made in HubSpot.
    pub created: u64,
    /// Changed in HubSpot.
    pub updated: u64,
    /// Found as they should be; nothing was sent.
    pub unchanged: u64,
    /// Found changed in HubSpot by somebody else since Syncline wrote them, associations that were removed there included, whatever was done
    /// about it. Only a comparison finds them.
    #[serde(default)]
    pub drifted: u64,
    /// Archived in HubSpot.
    pub archived: u64,
    /// Made again in HubSpot after Syncline had archived them.
    pub restored: u64,
    /// Taken over: they stood in HubSpot without a Salesforce id.
    #[serde(default)]
    pub adopted: u64,
    /// Left out: they do not match `where` (any more), or `mode` says so.
    pub filtered: u64,
    /// Associations made.
    pub associated: u64,
    /// Associations removed.
    pub disassociated: u64,
    /// Associations that wait for their other record.
    pub pending_associations: u64,
    /// Set aside under `failures`.
    pub failed: u64,
    /// Failed in an earlier run and not tried again yet; they stand under `failures` since then.
    #[serde(default)]
    pub waiting: u64,
    /// Associations that could not be made; they stand under `failures` with their record, which is in HubSpot nevertheless.
    #[serde(default)]
    pub failed_associations: u64,
    /// HTTP calls to Salesforce.
    pub salesforce_calls: u64,
    /// HTTP calls to HubSpot.
    pub hubspot_calls: u64,
}

impl Tally {
    /// The sum, number by number.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            read: self.read + other.read,
            created: self.created + other.created,
            updated: self.updated + other.updated,
            drifted: self.drifted + other.drifted,
            unchanged: self.unchanged + other.unchanged,
            archived: self.archived + other.archived,
            restored: self.restored + other.restored,
            adopted: self.adopted + other.adopted,
            filtered: self.filtered + other.filtered,
            associated: self.associated + other.associated,
            disassociated: self.disassociated + other.disassociated,
            pending_associations: self.pending_associations + other.pending_associations,
            failed: self.failed + other.failed,
            waiting: self.waiting + other.waiting,
            failed_associations: self.failed_associations + other.failed_associations,
            salesforce_calls: self.salesforce_calls + other.salesforce_calls,
            hubspot_calls: self.hubspot_calls + other.hubspot_calls,
        }
    }
}

/// What one run of one pipeline did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunReport {
    /// The pipeline.
    #[serde(
        flatten,
        serialize_with = "super::pipeline_key::serialize",
        deserialize_with = "super::pipeline_key::deserialize"
    )]
    #[schemars(with = "super::pipeline_key::PipelineKeys")]
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
    /// What a person should know besides the numbers.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub notes: Vec<String>,
    /// Why it ended early or did not begin, where that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The stable code of that, which `syncline explain` describes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub code: Option<String>,
}

/// What `import`, `sync --once` and `apply` print with `--format json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Syncline report")]
pub struct RunsReport {
    /// One entry a run.
    pub pipelines: Vec<RunReport>,
    /// How the whole ended: the worst of them.
    pub status: RunStatus,
}
