//! What the engine needs of the system that records come from.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use jiff::Timestamp;

use super::fault::Fault;
use crate::model::ids::SalesforceId;
use crate::model::object::SourceObject;
use crate::model::record::{Column, Record};
use crate::model::watermark::Cursor;

/// Reads one Salesforce org. A handle counts its own calls; handles of one connection share token, limits and pool.
pub trait Source: Send + Sync {
    /// Describes an object as the integration user sees it.
    ///
    /// Errors: `Halt` when the object does not exist or is not visible (Salesforce does not tell which).
    fn describe<'a>(&'a self, object: &'a str) -> BoxFuture<'a, Result<SourceObject, Fault>>;

    /// The present moment by the server's own clock, in UTC, to the second. One cheap call at most.
    fn now(&self) -> BoxFuture<'_, Result<Timestamp, Fault>>;

    /// How many rows the query would return.
    fn count<'a>(&'a self, query: &'a Extract) -> BoxFuture<'a, Result<u64, Fault>>;

    /// Reads rows as a stream of chunks of at most [`CHUNK_RECORDS_MAX`] records, never holding more than a page.
    ///
    /// - `resume`: a cursor of the same query; reading goes on after it. Rows may come again, none is left out.
    /// - Errors: `PlaceLost` when `resume` is no longer valid; otherwise as usual. A stream ends after its first error.
    fn extract(&self, query: Extract, resume: Option<Cursor>) -> BoxStream<'_, Result<Chunk, Fault>>;

    /// The records that were deleted since a moment, also those that have left the recycle bin; none where Salesforce keeps no such
    /// list of the object, or not so far back. What it does not list may be deleted all the same.
    fn deleted<'a>(
        &'a self,
        object: &'a str,
        since: Timestamp,
        until: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Vec<SalesforceId>>, Fault>>;

    /// The read that this place belongs to is over and will not be resumed: what the source keeps for it may go.
    ///
    /// Reads of a window need no release, as they are never resumed. Failing is harmless, so nothing is returned.
    fn release<'a>(&'a self, cursor: &'a Cursor) -> BoxFuture<'a, ()>;

    /// HTTP calls made through this handle so far.
    fn calls(&self) -> u64;
}

/// Most records of one chunk.
pub const CHUNK_RECORDS_MAX: usize = 500;

/// A chunk ends when its records hold so much text, in bytes.
pub const CHUNK_BYTES_MAX: usize = 1 << 20;

/// Most ids of one `ids` query; a longer list would not fit the request line.
pub const QUERY_IDS_MAX: usize = 500;

/// A read of one object.
#[derive(Debug, Clone, PartialEq)]
pub struct Extract {
    /// The object's API name.
    pub object: String,
    /// Fields to read besides `Id`, the cursor field and `IsDeleted`. Compound fields are not among them.
    pub columns: Arc<[Column]>,
    /// A checked SOQL condition; put into parentheses by the builder.
    pub condition: Option<String>,
    /// Only rows whose cursor field lies in this window.
    pub window: Option<Window>,
    /// Rows of which a parent was touched: besides those of the window, or only these where there is no window.
    pub parents: Option<TouchedParents>,
    /// The field that tells when a row was last touched (`SystemModstamp`); read into `Record::modified`.
    pub cursor_field: Option<String>,
    /// Which rows of the recycle bin to read.
    pub deleted: DeletedRows,
    /// Only these records, at most [`QUERY_IDS_MAX`].
    pub ids: Option<Vec<SalesforceId>>,
    /// How many rows are expected, where known: lets the connector choose between REST and Bulk without counting.
    pub expected: Option<u64>,
}

/// A span of time: `from` included, `until` excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First moment.
    pub from: Timestamp,
    /// First moment after it; none for "no end".
    pub until: Option<Timestamp>,
}

impl Extract {
    /// Whether one query asks for two kinds of rows, which could be asked for apart.
    pub fn is_joint(&self) -> bool {
        self.window.is_some() && self.parents.is_some()
    }
}

/// Live rows of which a parent was touched, and that were not touched themselves for so long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TouchedParents {
    /// Paths to the stamps of the parents, at least one.
    pub stamps: Vec<String>,
    /// First moment at which a parent was touched.
    pub since: Timestamp,
    /// Rows that were touched at this moment or later are left out: a window brings them.
    pub untouched_since: Timestamp,
    /// A checked SOQL condition for these rows alone.
    pub condition: Option<String>,
}

/// Which rows of the recycle bin a read returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletedRows {
    /// None: an ordinary query.
    Exclude,
    /// None, and one that comes all the same is left out by its mark. For objects that have `IsDeleted`.
    LeaveOut,
    /// Also those (queryAll), each marked `deleted`.
    Include,
    /// Only those (queryAll with `IsDeleted = true`).
    Only,
}

impl DeletedRows {
    /// Whether the recycle bin is part of the read.
    pub fn reads_bin(self) -> bool {
        matches!(self, Self::Include | Self::Only)
    }
}

/// Some records of a read, in the server's order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Chunk {
    /// At most [`CHUNK_RECORDS_MAX`] records; may be empty.
    pub records: Vec<Record>,
    /// Set when a page ends here: once everything up to here is acknowledged, a broken read may go on from this place.
    pub cursor: Option<Cursor>,
}
