//! Worlds that were read.

use serde_json::Value;

/// What the two sides are to hold instead of the sample world.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Worlds {
    /// For the Salesforce service.
    pub salesforce: Option<Value>,
    /// For the HubSpot service.
    pub hubspot: Option<Value>,
}
