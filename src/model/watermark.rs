//! How far a source was read.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The upper bound of the last window that was read to its end and whose writes were all acknowledged or set aside.
/// It comes from the source's own clock and never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Watermark(pub Timestamp);

/// Where a comparison of both systems stands that was broken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComparisonProgress {
    /// When it began, by this computer's clock.
    pub began_at: Timestamp,
    /// What its records are judged by (see `Pipeline::basis`).
    pub basis: String,
    /// The place from which its read goes on; none for the start.
    pub cursor: Option<Cursor>,
    /// Records that were compared by then.
    pub read: u64,
    /// All that match.
    pub total: u64,
}

/// A place inside one long read, from which it can go on after a break. Opaque to all but the connector that made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The query that the place belongs to, as text; a place in another query is of no use.
    pub query: String,
    /// The connector's own words.
    pub place: String,
}
