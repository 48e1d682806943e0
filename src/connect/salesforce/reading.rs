//! What every read of rows has at hand, whichever API it comes through: the query, its places, the way to ask.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::api::{Api, Bad, Call, Tries, Trouble};
use super::errors::{self, Action, ApiError};
use super::rows::{self, Layout};
use super::soql::{self, After, Order};
use super::wire::{CompositeAnswer, CountAnswer};
use crate::connect::http::client::Reply;
use crate::model::watermark::Cursor;
use crate::ports::fault::Fault;
use crate::ports::source::Extract;

/// Longest request line and headers together, in bytes; Salesforce answers 414 or 431 beyond.
const REQUEST_BYTES_MAX: usize = 16_384;

/// Room for the method and all headers but the token, in bytes.
/// What our own headers take, and some to spare.
const HEADERS_BYTES: usize = 1_400;

/// Times that a count which took too long is asked for again.
/// Each takes two minutes, so more would delay a start for long.
const COUNTS_AGAIN_MAX: u32 = 2;

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

/// A page that was asked for.
pub(super) enum Opened {
    /// Its rows are still to come.
    Streamed(Reply),
    /// It came whole.
    Whole(rows::Page),
}

impl<'a> Reading<'a> {
    pub(super) fn new(api: &'a Api, calls: &'a AtomicU64, query: Extract) -> Self {
        let operation = format!("query {}", query.object);
        Self { api, calls, layout: Layout::new(&query), query: Arc::new(query), operation }
    }

    /// A cursor of this read.
    pub(super) fn cursor(&self, place: &Place) -> Result<Cursor, Fault> {
        let place = serde_json::to_string(place)
            .map_err(|_| Fault::Halt(errors::unusable(&self.operation, "the cursor cannot be saved")))?;
        Ok(Cursor { query: identity(&self.query), place })
    }

    /// The place that a cursor names. Errors: `PlaceLost` when it belongs to another query.
    pub(super) fn place(&self, cursor: &Cursor) -> Result<Place, Fault> {
        // Another filter or field list: rows before the place would be missing from the new read.
        if cursor.query != identity(&self.query) {
            return Err(errors::place_lost(&self.operation, "the saved cursor belongs to another query"));
        }
        serde_json::from_str(&cursor.place)
            .map_err(|_| errors::place_lost(&self.operation, "the saved cursor cannot be read"))
    }

    /// Counts the rows of the read.
    pub(super) async fn count(&self) -> Result<u64, Trouble> {
        let decode = |body: &[u8]| -> Result<u64, Bad> {
            let answer: CountAnswer =
                serde_json::from_slice(body).map_err(|_| "the answer is not a count".to_owned())?;
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
    pub(super) async fn query<T>(&self, text: &str, decode: impl Fn(&[u8]) -> Result<T, Bad>) -> Result<T, Trouble> {
        let target = self.target(text);
        // By GET as a rule: a composite answer comes as a whole and cannot be read row by row.
        if self.fits(&target).await? {
            return self.api.fetch(self.calls, &Call::get(&self.operation, &target).paged(), decode).await;
        }
        self.composite(&target, decode).await
    }

    /// Opens the first page of a query in the same way. A page inside a composite answer comes whole.
    pub(super) async fn open(&self, text: &str, tries: &mut Tries) -> Result<Opened, Trouble> {
        let target = self.target(text);
        if self.fits(&target).await? {
            let call = Call::get(&self.operation, &target).paged();
            return Ok(Opened::Streamed(self.api.open(self.calls, &call, tries).await?));
        }
        let page = self.composite(&target, |body| Ok(rows::page_of_bytes(&self.layout, body)?)).await?;
        Ok(Opened::Whole(page))
    }

    /// The place of a query's answer.
    fn target(&self, text: &str) -> String {
        let resource = if self.query.deleted.reads_bin() { "queryAll" } else { "query" };
        format!("{}/{resource}?q={}", self.api.base(), encode(text))
    }

    /// Whether a request line may be so long.
    async fn fits(&self, target: &str) -> Result<bool, Trouble> {
        let session = self.api.tokens.session().await?;
        let host = session.instance.as_str().len();
        // Salesforce counts the line and the headers together, and the token is the longest header by far.
        Ok(target.len() + session.token.len() + host + HEADERS_BYTES <= REQUEST_BYTES_MAX)
    }

    async fn composite<T>(&self, target: &str, decode: impl Fn(&[u8]) -> Result<T, Bad>) -> Result<T, Trouble> {
        let base = self.api.base();
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
        serde_json::from_slice(body).map_err(|_| "the answer is not a composite answer".to_owned())?;
    let part = answer.composite_response.first().ok_or_else(|| "the composite answer is empty".to_owned())?;
    match part.http_status_code {
        200..300 => Ok(part.body.get()),
        status => Err(Bad::Refused(errors::classify(status, part.body.get().as_bytes()))),
    }
}

/// What makes two reads the same, so that a place in one is a place in the other.
fn identity(query: &Extract) -> String {
    let resource = if query.deleted.reads_bin() { "queryAll" } else { "query" };
    // Without an order, which is a matter of the way a read takes and not of its rows.
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
