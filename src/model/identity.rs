//! What is known of one Salesforce record in HubSpot.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ids::{HubspotId, SalesforceId};

/// Hash of everything that is written for a record; equal hashes mean that nothing needs to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentHash(pub u64);

/// A mark of a row as Salesforce gave it, and of what it was judged by: equal marks mean that the same would be written once more.
/// The default marks nothing, and equals no row's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowMark(pub u64);

/// What is remembered of what was last written for a record: the hash of it, and the mark of the row that it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrittenHash(pub [u8; 16]);

impl WrittenHash {
    /// Nothing is known of what was written: no content has this hash, and no row this mark.
    pub const NOTHING: Self = Self([0; 16]);

    /// Of what was written, and of its row.
    pub fn new(content: ContentHash, row: RowMark) -> Self {
        let mut bytes = [0; 16];
        bytes[..HALF].copy_from_slice(&content.0.to_le_bytes());
        bytes[HALF..].copy_from_slice(&row.0.to_le_bytes());
        Self(bytes)
    }

    /// Whether this was written.
    pub fn is_of(&self, content: ContentHash) -> bool {
        self.0[..HALF] == content.0.to_le_bytes()
    }

    /// Whether what was written came from this row.
    pub fn is_of_row(&self, row: RowMark) -> bool {
        row != RowMark::default() && self.0[HALF..] == row.0.to_le_bytes()
    }
}

const HALF: usize = 8;

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
    /// What was last written.
    pub hash: WrittenHash,
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
