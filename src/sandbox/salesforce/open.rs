//! What stays open between requests: sessions, cursors, Bulk jobs.

use super::soql::Query;

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// When it was last used.
    pub used: i64,
}

/// An open cursor: its rows are read when their page is asked for.
pub struct Cursor {
    /// The parsed query.
    pub query: Query,
    /// The rows that it found, in order.
    pub ids: Vec<String>,
    /// Rows of a page.
    pub size: usize,
    /// When it was opened.
    pub opened: i64,
}

/// A job.
pub struct Job {
    /// `query` or `queryAll`.
    pub operation: String,
    /// What it reads.
    pub object: String,
    /// The parsed query.
    pub query: Query,
    /// The rows that it found, in order.
    pub ids: Vec<String>,
    /// When it was made.
    pub made: i64,
    /// API version that it was made with.
    pub version: String,
    /// Its last state, where somebody ended it.
    pub ended: Option<&'static str>,
    /// Why it failed.
    pub error: Option<String>,
}
