//! A record that could not be synced, with the reason, and what to do about it.

use serde::{Deserialize, Serialize};

use super::ids::SalesforceId;
use super::link::ContentHash;

/// Why a record was rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Stable code (`SL5…`) that `syncline explain` describes.
    pub code: String,
    /// The vendor's own code or category, where there is one (`INVALID_OPTION`).
    pub remote_code: Option<String>,
    /// The target property or source field that is at fault, where known.
    pub property: Option<String>,
    /// What is wrong, in one sentence without a record's sensitive values.
    pub message: String,
    /// The vendor's id of the request, for its support.
    pub request_id: Option<String>,
}

/// A record set aside by a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The record.
    pub salesforce_id: SalesforceId,
    /// Name for people.
    pub title: String,
    /// Why.
    pub reason: Reason,
    /// Hash of the row that was refused; none when it was not the row that failed (an association).
    pub content: Option<ContentHash>,
    /// The record's mapped columns as they were read (path, value), sensitive ones masked.
    pub columns: Vec<(String, Option<String>)>,
}
