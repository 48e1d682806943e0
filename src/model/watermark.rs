//! How far a source was read.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The upper bound of the last window that was read to its end and whose writes were all acknowledged or set aside.
/// It comes from the source's own clock and never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Watermark(pub Timestamp);

/// A place inside one long read, from which it can go on after a break. Opaque to all but the connector that made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The query that the place belongs to, as text; a place in another query is of no use.
    pub query: String,
    /// The connector's own words.
    pub place: String,
}
