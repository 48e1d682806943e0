//! The sandbox's own words for a request and an answer, and the faults that may befall an answer on its way.

use std::time::Duration;

use bytes::Bytes;

/// A request as it came in, its body read to the end.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// The request target as sent, query included, still encoded (for length checks and the ledger).
    pub target: String,
    /// Decoded segments of the path, without empty ones at its ends.
    pub path: Vec<String>,
    /// Decoded pairs of the query, in order.
    pub query: Vec<(String, String)>,
    /// Header names in lower case with their values, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Request {
    /// The first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether a query parameter says true, in any letter case: clients write `true` and `True`.
    pub fn flag(&self, name: &str) -> bool {
        self.parameter(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The first query parameter of that name.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// An answer to send.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers to add.
    pub headers: Vec<(String, String)>,
    /// The body, not yet compressed.
    pub body: Bytes,
    /// What befalls it on its way.
    pub delivery: Delivery,
}

/// What befalls an answer on its way.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Delivery {
    /// It arrives.
    #[default]
    Whole,
    /// It arrives after a while.
    Late(Duration),
    /// The connection is closed without an answer.
    Dropped,
    /// The connection is cut after so many bytes of the (compressed) body.
    Cut(usize),
    /// One byte at a time, with a pause after each.
    Drip(Duration),
    /// Nothing ever comes.
    Never,
}

impl Reply {
    /// An answer with a body and its content type.
    pub fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body: body.into(),
            delivery: Delivery::Whole,
        }
    }

    /// An answer without a body.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new(), delivery: Delivery::Whole }
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// One emulated service. All state is in memory behind its own lock; a call takes microseconds.
pub trait Service: Send + Sync {
    /// `salesforce` or `hubspot`.
    fn name(&self) -> &'static str;

    /// Answers a request at the given (virtual) time.
    fn handle(&self, request: &Request, now: jiff::Timestamp) -> Reply;

    /// Carries out an action of the control API (`POST /{service}/{action}`), for tests and for people: changes that the
    /// real API does not offer, switches, look-ups. Errors are texts for a person.
    fn control(
        &self,
        action: &str,
        arguments: &serde_json::Value,
        now: jiff::Timestamp,
    ) -> Result<serde_json::Value, String>;

    /// All of its state, for `--data FILE` and for assertions.
    fn dump(&self) -> serde_json::Value;

    /// Takes back a state that `dump` gave.
    fn restore(&self, dump: &serde_json::Value) -> Result<(), String>;
}
