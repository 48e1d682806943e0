//! What was sent to HubSpot for a record and whose outcome is not noted: it is asked about until HubSpot says how the record
//! stands.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ids::SalesforceId;

/// A call for one record, noted before it was sent and forgotten when its outcome was noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unconfirmed {
    /// The record.
    pub salesforce_id: SalesforceId,
    /// The property that holds its id in HubSpot, where the call named it so.
    pub match_property: Arc<str>,
    /// What the call was for.
    pub intent: Intent,
}

/// What a call was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// To create or update the record.
    Write,
    /// To archive it, as the row had been seen in Salesforce's recycle bin.
    ArchiveDeleted,
    /// To archive it, as the row had stopped matching `where`.
    ArchiveLeft,
}
