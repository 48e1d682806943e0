//! What a saved plan says of one record, in hashes: enough to tell whether a run would do the same, and what moved if not.

use serde::{Deserialize, Serialize};

use super::ids::SalesforceId;

/// One line of a saved plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanEntry {
    /// The record.
    pub id: SalesforceId,
    /// What would be done with it.
    #[serde(rename = "do")]
    pub action: String,
    /// Hash of what Salesforce says of it: the values to write, the associations to make, the reason to reject or archive it.
    pub source: String,
    /// Hash of what HubSpot says of it.
    pub target: String,
    /// Hash of what would be done with its associations.
    pub associations: String,
}
