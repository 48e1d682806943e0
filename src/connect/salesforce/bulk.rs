//! Reads rows by a Bulk API 2.0 query job: creates it, waits for it, streams its pages, accounts for every row.

use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use reqwest::Method;

use super::api::{Api, Bad, Call, Tries, Trouble, unusable};
use super::csv::{CsvError, CsvReader};
use super::errors::{self, Action};
use super::query::{Place, Reading};
use super::rows::{Layout, RowError};
use super::soql::{self, Order};
use super::wire::{Job, JobState, NewJob};
use crate::connect::http::client::{Reply, TransportError};
use crate::model::record::Record;
use crate::ports::fault::Fault;
use crate::ports::source::{CHUNK_RECORDS_MAX, Chunk, DeletedRows, Extract};

/// Rows of one page of a result. Small enough that a cut page costs little, large enough that calls stay few.
const PAGE_RECORDS: u32 = 10_000;

/// First wait between two looks at a job, and the longest.
const POLL_FIRST: Duration = Duration::from_secs(1);
const POLL_LONGEST: Duration = Duration::from_secs(30);

/// Objects that the Bulk API is known to refuse. Others that it refuses are noticed by its answer.
const NOT_FOR_BULK: [&str; 12] = [
    "AcceptedEventRelation",
    "CaseStatus",
    "ContractStatus",
    "DeclinedEventRelation",
    "PartnerRole",
    "ServiceAppointmentStatus",
    "SolutionStatus",
    "TaskPriority",
    "TaskStatus",
    "UndecidedEventRelation",
    "WorkOrderLineItemStatus",
    "WorkOrderStatus",
];

/// Whether the Bulk API may be tried for a read.
pub(super) fn allowed(query: &Extract) -> bool {
    query.ids.is_none() && !NOT_FOR_BULK.iter().any(|name| name.eq_ignore_ascii_case(&query.object))
}

/// A Bulk read on its way.
pub(super) struct BulkRead {
    job: String,
    /// Rows of the whole result by the job's own count.
    total: Option<u64>,
    /// The page that is read, or is to be read; none for the first.
    locator: Option<String>,
    /// Rows of the pages before.
    rows: u64,
    /// Rows of the present page that have been given out.
    given: u64,
    page: Option<OpenPage>,
    tries: Tries,
    done: bool,
}

struct OpenPage {
    reply: Reply,
    csv: CsvReader,
    header: Option<Vec<usize>>,
    /// Rows read from this answer.
    rows: u64,
    /// Rows that were given out before the page was cut.
    skip: u64,
    ready: VecDeque<Record>,
    /// The body has been read to its end.
    ended: bool,
}

/// What ended a page early.
enum PageError {
    /// Cut, damaged or not what was asked for: read it again.
    Broken(String),
    Cancelled,
}

impl From<CsvError> for PageError {
    fn from(error: CsvError) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<RowError> for PageError {
    fn from(error: RowError) -> Self {
        Self::Broken(error.to_string())
    }
}

/// How a job came out.
pub(super) enum Outcome {
    /// Its results can be read.
    Ready(Box<BulkRead>),
    /// It failed, was aborted or is gone; with what is known of why.
    Lost(String),
}

impl BulkRead {
    /// Starts a job and waits until its results can be read, at most for `patience`.
    pub(super) async fn start(cx: &Reading<'_>, patience: Duration) -> Result<Outcome, Trouble> {
        let query = soql::select(&cx.query, Order::Unordered, None);
        let operation = if cx.query.deleted == DeletedRows::Exclude { "query" } else { "queryAll" };
        let new =
            NewJob { operation, query: &query, content_type: "CSV", column_delimiter: "COMMA", line_ending: "LF" };
        let body = serde_json::to_vec(&new).unwrap_or_default();
        let target = format!("{}/jobs/query", cx.api.base());
        let job = cx.api.fetch(cx.calls, &Call::post(&cx.operation, &target, body), decode_job).await?;
        tracing::debug!(job = %job.id, object = %cx.query.object, "bulk query job started");
        Self::wait(cx, patience, job.id, None, 0).await
    }

    /// Goes on with a job from an earlier run.
    pub(super) async fn resume(
        cx: &Reading<'_>,
        patience: Duration,
        job: String,
        locator: Option<String>,
        rows: u64,
    ) -> Result<Outcome, Trouble> {
        Self::wait(cx, patience, job, locator, rows).await
    }

    async fn wait(
        cx: &Reading<'_>,
        patience: Duration,
        id: String,
        locator: Option<String>,
        rows: u64,
    ) -> Result<Outcome, Trouble> {
        let target = job_target(cx.api, &id);
        let (mut pause, mut waited) = (POLL_FIRST, Duration::ZERO);
        loop {
            let job = match cx.api.fetch(cx.calls, &Call::get(&cx.operation, &target), decode_job).await {
                Ok(job) => job,
                Err(trouble) if trouble.action() == Some(Action::Missing) => {
                    return Ok(Outcome::Lost("the job was deleted".to_owned()));
                }
                Err(trouble) => return Err(trouble),
            };
            let other = job.object.as_deref().is_some_and(|object| !object.eq_ignore_ascii_case(&cx.query.object));
            match job.state {
                _ if other => return Ok(Outcome::Lost("the job reads another object".to_owned())),
                JobState::JobComplete => {
                    let total = job.number_records_processed;
                    return Ok(Outcome::Ready(Box::new(Self::new(id, total, locator, rows))));
                }
                JobState::Failed | JobState::Aborted => {
                    let why = job.error_message.unwrap_or_else(|| "no reason was given".to_owned());
                    let why: String = why.chars().take(300).collect();
                    return Ok(Outcome::Lost(format!("the job ended as {:?}: {why}", job.state)));
                }
                JobState::UploadComplete | JobState::InProgress | JobState::Other(_) => {}
            }
            if waited >= patience {
                abort(cx, &target).await;
                return Ok(Outcome::Lost(format!("the job did not end within {} minutes", patience.as_secs() / 60)));
            }
            cx.api.sleep(pause).await?;
            waited += pause;
            pause = pause.mul_f64(1.5).min(POLL_LONGEST);
        }
    }

    fn new(job: String, total: Option<u64>, locator: Option<String>, rows: u64) -> Self {
        Self { job, total, locator, rows, given: 0, page: None, tries: Tries::default(), done: false }
    }

    /// The next chunk; none once all rows are accounted for. `Missing` when the job was deleted meanwhile.
    pub(super) async fn next_chunk(&mut self, cx: &Reading<'_>) -> Result<Option<Chunk>, Trouble> {
        loop {
            if self.done {
                // A window is read again from its start after a break, so its job has no more use. Any other read may
                // be resumed while its last rows are not acknowledged: its job goes when the caller releases it.
                if cx.query.window.is_some() {
                    delete(cx.api, cx.calls, &self.job).await;
                }
                return Ok(None);
            }
            let mut page = match self.page.take() {
                Some(page) => page,
                None => self.open(cx).await?,
            };
            match page.fill(&cx.layout, cx.api).await {
                Ok(()) if page.ready.len() >= CHUNK_RECORDS_MAX || (page.ended && !page.ready.is_empty()) => {
                    return self.give(cx, page).map(Some);
                }
                // Nothing is left of the page, and it came without a row that was not given out before.
                Ok(()) => match self.turn(cx, &page) {
                    Ok(cursor) => return Ok(Some(Chunk { records: Vec::new(), cursor })),
                    Err(text) => self.again(cx, text).await?,
                },
                Err(PageError::Cancelled) => return Err(Fault::Cancelled.into()),
                Err(PageError::Broken(text)) => {
                    // Rows whose lines came whole are true, and need not come twice.
                    if page.ready.is_empty() {
                        self.again(cx, text).await?;
                    } else {
                        let records: Vec<Record> = page.ready.drain(..).take(CHUNK_RECORDS_MAX).collect();
                        self.given += records.len() as u64;
                        return Ok(Some(Chunk { records, cursor: None }));
                    }
                }
            }
        }
    }

    /// Gives out what is ready. The last rows of a page come with the place of the next one.
    fn give(&mut self, cx: &Reading<'_>, mut page: OpenPage) -> Result<Chunk, Trouble> {
        let most = page.ready.len().min(CHUNK_RECORDS_MAX);
        let records: Vec<Record> = page.ready.drain(..most).collect();
        self.given += records.len() as u64;
        let mut cursor = None;
        if page.ended && page.ready.is_empty() {
            match self.turn(cx, &page) {
                Ok(place) => cursor = place,
                // The rows are true all the same; the page is read again, and they are skipped.
                Err(_) => self.page = None,
            }
        } else {
            self.page = Some(page);
        }
        Ok(Chunk { records, cursor })
    }

    /// Checks a page that was read to its end, and turns to the next. Errors: why it cannot have been whole.
    fn turn(&mut self, cx: &Reading<'_>, page: &OpenPage) -> Result<Option<crate::model::watermark::Cursor>, String> {
        let expected = page.reply.header("sforce-numberofrecords").and_then(|text| text.trim().parse::<u64>().ok());
        if let Some(expected) = expected.filter(|expected| *expected != page.rows) {
            return Err(format!("the page holds {} rows instead of {expected}", page.rows));
        }
        let rows = self.rows + page.rows;
        let whole = self.total.is_none_or(|total| total == rows);
        let next = page.reply.header("sforce-locator").map(str::trim).filter(|text| !text.is_empty());
        let next = match next {
            Some("null") if whole => None,
            // Some proxies drop the header: without it, only the job's count proves the end.
            None if whole && self.total.is_some() => None,
            None if self.total.is_none() => return Err("neither a locator nor a row count tells the end".to_owned()),
            Some("null") | None => {
                return Err(format!("the result holds {rows} rows instead of {}", self.total.unwrap_or_default()));
            }
            Some(next) if self.locator.as_deref() == Some(next) => {
                return Err("a page names itself as the next one".to_owned());
            }
            Some(next) => Some(next.to_owned()),
        };
        self.done = next.is_none();
        self.locator = next;
        self.rows = rows;
        self.given = 0;
        self.tries = Tries::default();
        let place = Place::Bulk {
            job: self.job.clone(),
            locator: self.locator.clone(),
            done: self.done,
            rows,
            version: cx.api.tokens.settings.api_version.clone(),
        };
        Ok(cx.cursor(&place).ok())
    }

    async fn open(&mut self, cx: &Reading<'_>) -> Result<OpenPage, Trouble> {
        let mut target = format!("{}/results?maxRecords={PAGE_RECORDS}", job_target(cx.api, &self.job));
        if let Some(locator) = &self.locator {
            target.push_str("&locator=");
            target.extend(url::form_urlencoded::byte_serialize(locator.as_bytes()));
        }
        let call = Call { accept: "text/csv", ..Call::get(&cx.operation, &target) };
        let reply = cx.api.open(cx.calls, &call, &mut self.tries).await?;
        Ok(OpenPage {
            reply,
            csv: CsvReader::new(),
            header: None,
            rows: 0,
            skip: self.given,
            ready: VecDeque::new(),
            ended: false,
        })
    }

    /// Waits before the page is read again.
    async fn again(&mut self, cx: &Reading<'_>, text: String) -> Result<(), Trouble> {
        self.page = None;
        tracing::debug!(job = %self.job, reason = %text, "a page of a bulk result is read again");
        self.tries.wait(cx.api, None, |count| unusable(&cx.operation, text, count)).await
    }
}

/// Deletes a job, whose results would count against the org's storage for a week. Failing is harmless.
pub(super) async fn delete(api: &Api, calls: &AtomicU64, job: &str) {
    let target = job_target(api, job);
    let call = Call { method: Method::DELETE, ..Call::get("delete a bulk job", &target) };
    if let Err(trouble) = api.open(calls, &call, &mut Tries::default()).await {
        tracing::debug!(job, ?trouble, "the bulk job could not be deleted");
    }
}

/// Asks Salesforce to stop a job that is no longer waited for. Failing is harmless.
async fn abort(cx: &Reading<'_>, target: &str) {
    let body = br#"{"state":"Aborted"}"#.to_vec();
    let call = Call { method: Method::PATCH, ..Call::post(&cx.operation, target, body) };
    if let Err(trouble) = cx.api.open(cx.calls, &call, &mut Tries::default()).await {
        tracing::debug!(target, ?trouble, "the bulk job could not be aborted");
    }
}

/// Whether a failed read says that this job's result cannot be had, so that another read is worth trying.
pub(super) fn spoiled(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::Api(error, _) => {
            matches!(error.action, Action::Missing | Action::PlaceLost | Action::NotForBulk | Action::Halt)
                && error.status != 401
        }
        Trouble::Fault(Fault::Retry(error)) => error.code == errors::UNUSABLE,
        Trouble::Fault(_) => false,
    }
}

impl OpenPage {
    /// Reads on until a chunk is ready or the page ends.
    async fn fill(&mut self, layout: &Layout, api: &Api) -> Result<(), PageError> {
        while !self.ended && self.ready.len() < CHUNK_RECORDS_MAX {
            match self.reply.chunk(&api.tokens.cancel).await {
                Ok(Some(bytes)) => self.parse(layout, &bytes)?,
                Ok(None) => {
                    self.csv.finish()?;
                    self.ended = true;
                }
                Err(TransportError::Cancelled) => return Err(PageError::Cancelled),
                Err(TransportError::Failed(text)) => return Err(PageError::Broken(text)),
            }
        }
        Ok(())
    }

    fn parse(&mut self, layout: &Layout, bytes: &[u8]) -> Result<(), PageError> {
        let Self { csv, header, rows, skip, ready, .. } = self;
        csv.push(bytes, |row| {
            let Some(header) = header else {
                *header = Some(layout.header(&row)?);
                return Ok(());
            };
            *rows += 1;
            if *rows > *skip {
                ready.push_back(layout.csv(header, &row)?);
            }
            Ok(())
        })
    }
}

fn job_target(api: &Api, job: &str) -> String {
    let id: String = url::form_urlencoded::byte_serialize(job.as_bytes()).collect();
    format!("{}/jobs/query/{id}", api.base())
}

fn decode_job(body: &[u8]) -> Result<Job, Bad> {
    serde_json::from_slice(body).map_err(|_| Bad::Unusable("the answer is no query job".to_owned()))
}
