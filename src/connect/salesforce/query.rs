//! Reads rows by REST queries, page by page.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::api::{Api, Bad, Call, Trouble, unusable};
use super::errors::{self, Action, ApiError};
use super::job;
use super::rows::{self, Layout, Page};
use super::soql::{self, After, Order};
use super::wire::{CompositeAnswer, CountAnswer};
use crate::model::record::Record;
use crate::model::watermark::Cursor;
use crate::ports::fault::Fault;
use crate::ports::source::{CHUNK_RECORDS_MAX, Chunk, Extract};

/// Longest request line and headers together, in bytes; Salesforce answers 414 or 431 beyond.
const REQUEST_BYTES_MAX: usize = 16_384;

/// Room for the method and all headers but the token, in bytes.
const HEADERS_BYTES: usize = 1_400;

/// Lost locators that are made good without a new row in between.
const RESTARTS_MAX: u32 = 3;

/// Times that a count which took too long is asked for again.
const COUNTS_AGAIN_MAX: u32 = 2;

/// A REST read on its way.
pub(super) struct RestRead {
    order: Order,
    after: Option<After>,
    /// Path of the next page.
    next: Option<String>,
    begun: bool,
    restarts: u32,
    /// Nothing else can read this: a query that took too long is made again.
    alone: bool,
    /// Rows of the present query, as its answers say, and as they came.
    rows: (u64, u64),
    pending: std::vec::IntoIter<Record>,
}

impl RestRead {
    /// A read from the start, or after a row.
    pub(super) fn new(query: &Extract, after: Option<After>) -> Self {
        let alone = !job::allowed(query);
        let pending = Vec::new().into_iter();
        Self { order: Order::of(query), after, next: None, begun: false, restarts: 0, alone, rows: (0, 0), pending }
    }

    /// Fetches the first page if that has not been done; gives the number of rows of the whole result.
    pub(super) async fn begin(&mut self, cx: &Reading<'_>) -> Result<u64, Trouble> {
        let page = self.fetch(cx).await?;
        let total = page.total;
        self.take(page);
        Ok(total)
    }

    /// The next chunk; none at the end.
    pub(super) async fn next_chunk(&mut self, cx: &Reading<'_>) -> Result<Option<Chunk>, Trouble> {
        while self.pending.len() == 0 {
            if self.begun && self.next.is_none() {
                let (said, came) = self.rows;
                if came >= said {
                    return Ok(None);
                }
                // Rows that were deleted between two pages are missing rightly, a result that broke off is not: what a
                // new query after the last row still finds tells the two apart.
                if self.restarts >= RESTARTS_MAX {
                    let text = format!("the result holds {came} rows instead of {said}");
                    return Err(unusable(&cx.operation, text, self.restarts));
                }
                self.restart();
            }
            match self.fetch(cx).await {
                Ok(page) => self.take(page),
                // The cursor on the server is gone, or too slow: a new query goes on after the last row.
                Err(trouble) if self.lost(&trouble) && self.restarts < RESTARTS_MAX => {
                    tracing::debug!(restarts = self.restarts, "query locator is gone; reading goes on by a new query");
                    self.restart();
                }
                Err(trouble) => return Err(trouble),
            }
        }
        let records: Vec<Record> = self.pending.by_ref().take(CHUNK_RECORDS_MAX).collect();
        if let Some(after) = records.last().and_then(|record| self.position(record)) {
            self.after = Some(after);
            self.restarts = 0;
        }
        let cursor = match (&self.after, self.pending.len()) {
            (Some(after), 0) => Some(cx.cursor(&Place::Rest { after: after.clone() })?),
            _ => None,
        };
        Ok(Some(Chunk { records, cursor }))
    }

    /// Whether a new query from here may do: the server no longer knows the next page, in either of the two ways to say
    /// so, or has lost its patience.
    fn lost(&self, trouble: &Trouble) -> bool {
        match trouble.action() {
            Some(Action::PlaceLost) => true,
            Some(Action::TooSlow) => self.alone,
            Some(Action::Missing) => self.next.is_some(),
            _ => false,
        }
    }

    fn restart(&mut self) {
        self.restarts += 1;
        self.next = None;
        self.begun = false;
    }

    fn take(&mut self, page: Page) {
        let came = page.records.len() as u64;
        self.rows = if self.begun { (self.rows.0, self.rows.1 + came) } else { (page.total, came) };
        self.begun = true;
        self.next = page.next;
        self.pending = page.records.into_iter();
    }

    fn position(&self, record: &Record) -> Option<After> {
        match self.order {
            Order::Modified => record.modified.map(|time| After { modified: Some(time), id: record.id }),
            Order::Id | Order::Unordered => Some(After { modified: None, id: record.id }),
        }
    }

    async fn fetch(&self, cx: &Reading<'_>) -> Result<Page, Trouble> {
        let decode = |body: &[u8]| -> Result<Page, Bad> {
            let text = std::str::from_utf8(body).map_err(|_| "the answer is not UTF-8".to_owned())?;
            Ok(rows::page(&cx.layout, text)?)
        };
        match &self.next {
            Some(next) => cx.api.fetch(cx.calls, &Call::get(&cx.operation, next).paged(), decode).await,
            None => cx.query(&soql::select(&cx.query, self.order, self.after.as_ref()), decode).await,
        }
    }
}

/// What a read of either kind needs at every step.
pub(super) struct Reading<'a> {
    pub(super) api: &'a Api,
    pub(super) calls: &'a AtomicU64,
    pub(super) query: Arc<Extract>,
    pub(super) layout: Layout,
    /// In words, for messages.
    pub(super) operation: String,
}

/// The connector's own words for a place inside a read.
#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Place {
    /// After a row of a REST read.
    Rest {
        /// The row.
        after: After,
    },
    /// Between two pages of a Bulk result.
    Bulk {
        /// The job.
        job: String,
        /// The next page; none for the first.
        locator: Option<String>,
        /// Nothing is left to read.
        done: bool,
        /// Rows of the pages before.
        rows: u64,
        /// API version that the job was made with.
        version: String,
    },
}

impl Place {
    /// Before a page of a job that is not read to its end; `rows` stand on the pages before.
    pub(super) fn bulk(api: &Api, job: &str, locator: Option<&str>, rows: u64) -> Self {
        let version = api.tokens.settings.api_version.clone();
        Self::Bulk { job: job.to_owned(), locator: locator.map(str::to_owned), done: false, rows, version }
    }
}

impl<'a> Reading<'a> {
    pub(super) fn new(api: &'a Api, calls: &'a AtomicU64, query: Extract) -> Self {
        let operation = format!("query {}", query.object);
        Self { api, calls, layout: Layout::new(&query), query: Arc::new(query), operation }
    }

    /// A cursor of this read.
    pub(super) fn cursor(&self, place: &Place) -> Result<Cursor, Fault> {
        let place = serde_json::to_string(place)
            .map_err(|_| Fault::Halt(errors::unusable(&self.operation, "the place cannot be written down")))?;
        Ok(Cursor { query: identity(&self.query), place })
    }

    /// The place that a cursor names. Errors: `PlaceLost` when it belongs to another query.
    pub(super) fn place(&self, cursor: &Cursor) -> Result<Place, Fault> {
        if cursor.query != identity(&self.query) {
            return Err(errors::place_lost(&self.operation, "the saved place belongs to another query"));
        }
        serde_json::from_str(&cursor.place)
            .map_err(|_| errors::place_lost(&self.operation, "the saved place cannot be read"))
    }

    /// Counts the rows of the read.
    pub(super) async fn count(&self) -> Result<u64, Trouble> {
        let decode = |body: &[u8]| -> Result<u64, Bad> {
            let answer: CountAnswer = serde_json::from_slice(body).map_err(|_| "the answer is no count".to_owned())?;
            Ok(answer.total_size)
        };
        let text = soql::count(&self.query);
        let mut tries = 0;
        loop {
            match self.query(&text, decode).await {
                // A count has no smaller form; a less busy moment is all that helps.
                Err(trouble) if trouble.action() == Some(Action::TooSlow) && tries < COUNTS_AGAIN_MAX => tries += 1,
                counted => return counted,
            }
        }
    }

    /// Runs a query by GET, or inside a composite call when it is too long for a request line.
    async fn query<T>(&self, text: &str, decode: impl Fn(&[u8]) -> Result<T, Bad>) -> Result<T, Trouble> {
        let resource = if self.query.deleted.reads_bin() { "queryAll" } else { "query" };
        let base = self.api.base();
        let target = format!("{base}/{resource}?q={}", encode(text));
        let session = self.api.tokens.session().await?;
        let host = session.instance.as_str().len();
        if target.len() + session.token.len() + host + HEADERS_BYTES <= REQUEST_BYTES_MAX {
            return self.api.fetch(self.calls, &Call::get(&self.operation, &target).paged(), decode).await;
        }
        let body = serde_json::json!({
            "allOrNone": false,
            "compositeRequest": [{"method": "GET", "url": target, "referenceId": "query"}],
        });
        let target = format!("{base}/composite");
        let call = Call::post(&self.operation, &target, body.to_string().into_bytes()).paged();
        let answer = self.api.fetch(self.calls, &call, |body| decode(inner(body)?.as_bytes())).await;
        answer.map_err(|trouble| match trouble {
            // An org without this resource: the query must travel in another way.
            Trouble::Api(error, attempts) if matches!(error.status, 404 | 405) => {
                Trouble::Api(ApiError { action: Action::TooLong, ..error }, attempts)
            }
            other => other,
        })
    }
}

/// The one answer inside a composite answer.
fn inner(body: &[u8]) -> Result<&str, Bad> {
    let answer: CompositeAnswer<'_> =
        serde_json::from_slice(body).map_err(|_| "the answer is no composite answer".to_owned())?;
    let part = answer.composite_response.first().ok_or_else(|| "the composite answer is empty".to_owned())?;
    match part.http_status_code {
        200..300 => Ok(part.body.get()),
        status => Err(Bad::Refused(errors::classify(status, part.body.get().as_bytes()))),
    }
}

/// What makes two reads the same, so that a place in one is a place in the other.
fn identity(query: &Extract) -> String {
    let resource = if query.deleted.reads_bin() { "queryAll" } else { "query" };
    format!("{resource}: {}", soql::select(query, Order::Unordered, None))
}

/// Encodes a text for the query of an address; blanks as `%20`, which no server reads as a plus sign.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 5 / 4);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b',' => {
                encoded.push(char::from(byte))
            }
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::super::soql::tests::{extract, window};
    use super::*;
    use crate::ports::source::DeletedRows;

    #[test]
    fn a_query_is_encoded() {
        assert_eq!(encode("A = 'ü+1', B"), "A%20%3D%20%27%C3%BC%2B1%27,%20B");
    }

    #[test]
    fn places_belong_to_their_query() {
        let one = extract(&["Name"]);
        let same = Extract { expected: Some(5), ..one.clone() };
        assert_eq!(identity(&one), identity(&same));
        let others = [
            extract(&["Name", "X__c"]),
            Extract { window: window(), ..one.clone() },
            Extract { deleted: DeletedRows::Include, ..one.clone() },
            Extract { condition: Some("A = 1".into()), ..one.clone() },
        ];
        others.iter().for_each(|other| assert_ne!(identity(&one), identity(other)));
    }

    #[test]
    fn the_answer_inside_a_composite_answer() {
        let part = |status: u16, body: &str| {
            format!(
                r#"{{"compositeResponse":[{{"body":{body},"httpHeaders":{{}},"httpStatusCode":{status},"referenceId":"query"}}]}}"#
            )
        };
        assert!(matches!(inner(part(200, r#"{"done":true}"#).as_bytes()), Ok(r#"{"done":true}"#)));
        let refused = part(400, r#"[{"message":"x","errorCode":"INVALID_FIELD"}]"#);
        let Err(Bad::Refused(error)) = inner(refused.as_bytes()) else { panic!() };
        assert_eq!(error.error_code.as_deref(), Some("INVALID_FIELD"));
        assert!(matches!(inner(b"{}"), Err(Bad::Unusable(_))));
    }
}
