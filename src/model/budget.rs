//! What a run may take of a thing before it pauses.

use std::time::Duration;

/// What a run may take of a thing before it pauses. Only what has a place to go on from pauses: an import, a comparison, and a cycle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    /// Time.
    pub time: Option<Duration>,
    /// Calls to HubSpot.
    pub calls: Option<u64>,
}
