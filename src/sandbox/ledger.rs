//! Every request that the sandbox saw: a bounded list of the last ones, and totals that are never cut.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use globset::GlobBuilder;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::sandbox::http::{Delivery, Reply, Request};

/// Requests kept in full, the oldest go first.
/// A long load test must not fill the memory with what nobody will ask for.
const ENTRIES_MAX: usize = 20_000;

/// Bytes of a request body that are kept.
/// The largest bodies are batches of 100 records, of which the first ones show what is wrong.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Bytes of all kept bodies together; older bodies are forgotten, their entries stay.
const BODIES_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Headers that carry credentials.
const SECRET_HEADERS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// One request and how it was answered.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Place in the order of all requests, from 1.
    pub number: u64,
    /// When it was answered, in the sandbox's time.
    pub time: Timestamp,
    /// `salesforce` or `hubspot`.
    pub service: String,
    /// HTTP method.
    pub method: String,
    /// Target as sent, with its query.
    pub target: String,
    /// Headers without those that carry credentials.
    pub headers: Vec<(String, String)>,
    /// Status of the answer, also where it never arrived.
    pub status: u16,
    /// Size of the request's body.
    pub request_bytes: usize,
    /// Size of the answer's body before compression.
    pub reply_bytes: usize,
    /// The request's body as text, cut to 64 KiB; none where it has been forgotten to bound memory.
    pub body: Option<String>,
    /// Name of the fault that struck.
    pub fault: Option<String>,
    /// Whether the answer was sent whole (`whole`, `late`, `dropped`, `cut`, `drip`, `never`).
    pub delivery: &'static str,
}

/// A total of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Count {
    /// `salesforce` or `hubspot`.
    pub service: String,
    /// HTTP method.
    pub method: String,
    /// Path with ids replaced by `{id}`.
    pub path: String,
    /// Requests so far.
    pub count: u64,
    /// How many of them were struck by a fault.
    pub faults: u64,
    /// How many were answered with each status.
    pub statuses: BTreeMap<u16, u64>,
}

/// The record of all requests.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    number: u64,
    entries: VecDeque<Entry>,
    bodies_bytes: usize,
    /// Number of the first entry whose body may still be there.
    bodies_from: u64,
    counts: BTreeMap<(String, String, String), Count>,
}

impl Ledger {
    /// Notes a request with its answer.
    pub fn record(&self, service: &str, request: &Request, reply: &Reply, fault: Option<&str>, time: Timestamp) {
        let mut book = self.lock();
        book.number += 1;
        let entry = entry(book.number, service, request, reply, fault, time);
        book.count(&entry);
        book.push(entry);
    }

    /// The kept requests of a service (all where none is given) whose path fits a glob, oldest first.
    pub fn find(&self, service: Option<&str>, path: Option<&str>) -> Result<Vec<Entry>, String> {
        let glob = match path {
            None => None,
            Some(path) => {
                let glob = GlobBuilder::new(path).literal_separator(true).build();
                Some(glob.map_err(|error| format!("`path` is not a glob: {error}"))?.compile_matcher())
            }
        };
        let fits = |entry: &&Entry| {
            service.is_none_or(|known| known == entry.service)
                && glob.as_ref().is_none_or(|glob| glob.is_match(path_of(&entry.target)))
        };
        Ok(self.lock().entries.iter().filter(fits).cloned().collect())
    }

    /// The totals, sorted by service, path and method.
    pub fn counts(&self) -> Vec<Count> {
        self.lock().counts.values().cloned().collect()
    }

    /// The totals as JSON, with the sum of each service.
    pub fn counts_json(&self) -> Value {
        let counts = self.counts();
        let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
        for count in &counts {
            *totals.entry(&count.service).or_default() += count.count;
        }
        json!({"totals": totals, "requests": counts})
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.lock() = Book::default();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn count(&mut self, entry: &Entry) {
        let path = pattern(path_of(&entry.target));
        let key = (entry.service.clone(), path.clone(), entry.method.clone());
        let count = self.counts.entry(key).or_insert_with(|| Count {
            service: entry.service.clone(),
            method: entry.method.clone(),
            path,
            count: 0,
            faults: 0,
            statuses: BTreeMap::new(),
        });
        count.count += 1;
        count.faults += u64::from(entry.fault.is_some());
        *count.statuses.entry(entry.status).or_default() += 1;
    }

    fn push(&mut self, entry: Entry) {
        self.bodies_bytes += entry.body.as_ref().map_or(0, String::len);
        self.entries.push_back(entry);
        while self.entries.len() > ENTRIES_MAX {
            let gone = self.entries.pop_front().and_then(|entry| entry.body);
            self.bodies_bytes -= gone.map_or(0, |body| body.len());
        }
        let first = self.entries.front().map_or(0, |entry| entry.number);
        let mut at = self.bodies_from.saturating_sub(first);
        while self.bodies_bytes > BODIES_BYTES_MAX {
            let Some(entry) = usize::try_from(at).ok().and_then(|at| self.entries.get_mut(at)) else { break };
            self.bodies_bytes -= entry.body.take().map_or(0, |body| body.len());
            at += 1;
        }
        self.bodies_from = first + at;
    }
}

fn entry(number: u64, service: &str, request: &Request, reply: &Reply, fault: Option<&str>, time: Timestamp) -> Entry {
    let headers = request.headers.iter().filter(|(name, _)| !SECRET_HEADERS.contains(&name.as_str()));
    let kept = &request.body[..request.body.len().min(BODY_BYTES_MAX)];
    Entry {
        number,
        time,
        service: service.to_owned(),
        method: request.method.clone(),
        target: request.target.clone(),
        headers: headers.cloned().collect(),
        status: reply.status,
        request_bytes: request.body.len(),
        reply_bytes: reply.body.len(),
        body: Some(text(kept)),
        fault: fault.map(str::to_owned),
        delivery: delivery(&reply.delivery),
    }
}

fn text(bytes: &[u8]) -> String {
    // Looking for what is wrong takes several times as long as seeing that nothing is.
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn delivery(delivery: &Delivery) -> &'static str {
    match delivery {
        Delivery::Whole => "whole",
        Delivery::Late(_) => "late",
        Delivery::Dropped => "dropped",
        Delivery::Cut(_) => "cut",
        Delivery::Drip(_) => "drip",
        Delivery::Never => "never",
    }
}

fn path_of(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}

/// A path with its ids replaced, so that totals stay few: numbers, and words of 15 letters or more with a digit among them.
fn pattern(path: &str) -> String {
    let segments = path.split('/').map(|segment| {
        // Short numbers are versions and type ids rather than records.
        let number = segment.len() > 2 && segment.bytes().all(|byte| byte.is_ascii_digit());
        let word = segment.len() >= 15
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && segment.bytes().any(|byte| byte.is_ascii_digit());
        if number || word { "{id}" } else { segment }
    });
    segments.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn record(ledger: &Ledger, target: &str, body: &[u8]) {
        let headers = vec![("authorization".into(), "Bearer secret".into()), ("accept".into(), "*/*".into())];
        let (path, query) = crate::sandbox::server::split_target(target);
        let body = Bytes::copy_from_slice(body);
        let request = Request { method: "POST".into(), target: target.into(), path, query, headers, body };
        let time = "2026-10-01T09:00:00Z".parse().unwrap();
        ledger.record("hubspot", &request, &Reply::empty(204), Some("html"), time);
    }

    #[test]
    fn requests_are_found_and_counted() {
        let ledger = Ledger::default();
        record(&ledger, "/crm/v3/objects/subscriptions/30011?archived=true", b"{}");
        record(&ledger, "/crm/v3/objects/subscriptions/30012", b"\xff");
        record(&ledger, "/crm/v3/schemas", &[b'x'; 70_000]);
        let found = ledger.find(Some("hubspot"), Some("/crm/v3/objects/**")).unwrap();
        assert_eq!(found.iter().map(|entry| entry.number).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(found[0].headers, [("accept".to_owned(), "*/*".to_owned())], "no credentials");
        assert!(ledger.find(Some("salesforce"), None).unwrap().is_empty());
        assert!(ledger.find(None, Some("/a[")).is_err());
        let schemas = &ledger.find(None, Some("/crm/v3/schemas")).unwrap()[0];
        assert_eq!((schemas.request_bytes, schemas.body.as_ref().unwrap().len()), (70_000, BODY_BYTES_MAX));
        let counts = ledger.counts();
        assert_eq!(counts[0].path, "/crm/v3/objects/subscriptions/{id}");
        assert_eq!((counts[0].count, counts[0].faults, counts[0].statuses[&204]), (2, 2, 2));
        assert_eq!(ledger.counts_json()["totals"]["hubspot"], 3);
        ledger.clear();
        assert!(ledger.counts().is_empty());
    }

    #[test]
    fn memory_stays_bounded() {
        let ledger = Ledger::default();
        for _ in 0..700 {
            record(&ledger, "/crm/v3/schemas", &[b'x'; 70_000]);
        }
        let entries = ledger.find(None, None).unwrap();
        let kept: usize = entries.iter().filter_map(|entry| entry.body.as_ref()).map(String::len).sum();
        assert!(kept <= BODIES_BYTES_MAX, "{kept}");
        assert!(kept > BODIES_BYTES_MAX - 2 * BODY_BYTES_MAX, "{kept}: no more is forgotten than needed");
        assert!(entries[0].body.is_none() && entries[699].body.is_some());
        for _ in 0..ENTRIES_MAX {
            record(&ledger, "/x", b"");
        }
        assert_eq!(ledger.find(None, None).unwrap().len(), ENTRIES_MAX);
        assert_eq!(ledger.counts().iter().map(|count| count.count).sum::<u64>(), 700 + ENTRIES_MAX as u64);
    }

    #[track_caller]
    fn check(path: &str, expected: &str) {
        assert_eq!(pattern(path), expected);
    }

    #[test]
    fn ids_in_paths_are_replaced() {
        check("/services/data/v67.0/query/0r8xx1234567890AAA-2000", "/services/data/v67.0/query/{id}");
        check("/services/data/v67.0/sobjects/Account/0015g00000AbCdEAAV", "/services/data/v67.0/sobjects/Account/{id}");
        check("/crm/objects/2026-09/2-41234567/batch/upsert", "/crm/objects/2026-09/2-41234567/batch/upsert");
        check(
            "/services/data/v67.0/sobjects/SubscriptionOrderLine__c",
            "/services/data/v67.0/sobjects/SubscriptionOrderLine__c",
        );
    }
}
