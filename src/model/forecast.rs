//! What a run would do: the shape that `plan --format json` prints.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ids::{HubspotId, SalesforceId};
use super::report::{RunKind, RunReport};

/// What a run of one pipeline would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PipelineForecast {
    /// Its numbers, exact.
    #[serde(flatten)]
    pub report: RunReport,
    /// The run that was forecast: what `import` or what `sync` would do now.
    pub forecast_of: RunKind,
    /// A bounded sample of the changes.
    pub changes: Vec<PlannedChange>,
    /// Changes that are not in the sample.
    pub changes_omitted: u64,
    /// What the run would cost.
    pub estimate: Estimate,
    /// Why the run would be refused before its first write, where it would.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
}

/// One change that a run would make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedChange {
    /// What would be done.
    pub action: PlannedAction,
    /// The Salesforce record.
    pub salesforce_id: SalesforceId,
    /// Its HubSpot record, where it is known.
    pub hubspot_id: Option<HubspotId>,
    /// Name for people.
    pub title: String,
    /// Properties that would change.
    pub properties: BTreeMap<String, BeforeAfter>,
    /// Links that would be made, removed, or wait.
    pub associations: Vec<PlannedLink>,
    /// Why: the reason of a rejection, the cause of an archiving.
    pub reasons: Vec<String>,
}

/// What would be done with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlannedAction {
    /// Archived in HubSpot.
    Archive,
    /// Set aside as a failure.
    Reject,
    /// Left in HubSpot and no longer kept in step.
    Leave,
    /// Made again.
    Restore,
    /// Made.
    Create,
    /// Changed.
    Update,
    /// Only its links change.
    Associate,
}

/// A property before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeforeAfter {
    /// What HubSpot holds; none when it is blank or was not asked.
    pub before: Option<String>,
    /// What it would hold; none when it would be cleared.
    pub after: Option<String>,
}

/// A link that would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedLink {
    /// The lookup field, with its label where one is set.
    pub association: String,
    /// What would be done.
    pub action: LinkAction,
    /// The Salesforce id at the other end.
    pub salesforce_id: Option<SalesforceId>,
}

/// What would be done with a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkAction {
    /// Made.
    Associate,
    /// Removed.
    Disassociate,
    /// Waits until its other side is there.
    Pending,
}

/// What a run would cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// HTTP calls to HubSpot.
    pub hubspot_calls: u64,
    /// HTTP calls to Salesforce.
    pub salesforce_calls: u64,
    /// How long the HubSpot calls take at the rate limit.
    pub seconds_at_rate_limit: f64,
}
