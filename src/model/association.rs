//! Directed, typed links between two HubSpot records.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ids::{HubspotId, SalesforceId};

/// The kind of a link as HubSpot numbers it; the number differs between portals and directions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AssociationType {
    /// `HUBSPOT_DEFINED`, `USER_DEFINED`, `INTEGRATOR_DEFINED` or `WORK`.
    pub category: String,
    /// Number of the type.
    pub type_id: u64,
    /// Label for people; none for the plain link.
    pub label: Option<String>,
}

/// Which association of a pipeline a link belongs to: its lookup field and, where one is set, its label
/// (`Account__c` or `Account__c#billing_account`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AssociationKey(pub Arc<str>);

/// What one lookup of one record asks for, and what was made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssociationState {
    /// The record that owns the lookup.
    pub salesforce_id: SalesforceId,
    /// Which association of the pipeline.
    pub key: AssociationKey,
    /// The Salesforce id in the lookup; none when it is blank.
    pub wanted: Option<SalesforceId>,
    /// The link that Syncline made; none when it made none yet.
    pub made: Option<MadeLink>,
}

impl AssociationState {
    /// Whether there is work left: the link that stands is not the one that is wanted.
    pub fn is_due(&self) -> bool {
        let unsure = self.made.as_ref().is_some_and(|made| made.standing == LinkStanding::Attempted);
        unsure || self.wanted != self.made.as_ref().map(|made| made.target)
    }
}

/// A link that Syncline made and may therefore remove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeLink {
    /// The Salesforce id that the lookup held when the link was made.
    pub target: SalesforceId,
    /// HubSpot record at this end.
    pub from: HubspotId,
    /// HubSpot record at the other end.
    pub to: HubspotId,
    /// Whose it is.
    pub standing: LinkStanding,
}

/// Whose a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkStanding {
    /// Syncline made it and may remove it.
    Ours,
    /// The two records were linked in the same way before: it is not ours to remove.
    Theirs,
    /// Syncline was about to make it and did not hear the answer yet. Remembered before the call, so that a link made in
    /// the moment of a crash is still known as ours.
    Attempted,
}
