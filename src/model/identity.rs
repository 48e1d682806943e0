//! What is known of one Salesforce record in HubSpot.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ids::{HubspotId, SalesforceId};

/// Hash of everything that was last written for a record; equal hashes mean that nothing needs to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContentHash(pub [u8; 16]);

/// Which mapping a record was written under: a hash over the parts of the definition that shape records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MappingVersion(pub [u8; 8]);

/// What is known of one Salesforce record in HubSpot; written only after HubSpot acknowledged it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The Salesforce record.
    pub salesforce_id: SalesforceId,
    /// Its HubSpot record: a hint, which the match property overrules.
    pub hubspot_id: HubspotId,
    /// Hash of what was last written.
    pub hash: ContentHash,
    /// Mapping that it was written under.
    pub mapping: MappingVersion,
    /// The property that holds the Salesforce id there; empty where nothing tells, and it is the pipeline's own.
    pub match_property: Arc<str>,
    /// Whether it is still kept in step.
    pub membership: Membership,
}

/// Whether a record that was once synced still is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Membership {
    /// In both systems, kept in step.
    Live,
    /// Stopped matching `where`; kept in HubSpot.
    Left,
    /// Deleted in Salesforce; kept in HubSpot.
    Gone,
    /// Archived in HubSpot by Syncline.
    Archived,
}
