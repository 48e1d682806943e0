//! Reads the rows of a Bulk API 2.0 query job: streams its pages, and accounts for every row.

use super::api::{Api, Call, Tries, Trouble, unusable};
use super::csv::CsvReader;
use super::job;
use super::reading::{Place, Reading};
use super::ready::{PageError, Ready};
use super::rows::{Header, Layout};
use crate::connect::http::client::Reply;
use crate::ports::fault::Fault;
use crate::ports::source::Chunk;

/// Rows of one page of a result. Small enough that a cut page costs little, large enough that calls stay few.
const PAGE_RECORDS: u32 = 10_000;

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
    /// Something on the way drops the headers that lead to the next page: no job can be read to its end.
    pub(super) blind: bool,
}

struct OpenPage {
    reply: Reply,
    csv: CsvReader,
    header: Option<Header>,
    /// Rows read from this answer.
    rows: u64,
    /// Rows that were given out before the page was cut.
    skip: u64,
    ready: Ready,
    /// The body has been read to its end.
    ended: bool,
}

impl BulkRead {
    /// A read of a job whose results can be read, from a page on.
    pub(super) fn new(job: String, total: Option<u64>, locator: Option<String>, rows: u64) -> Self {
        Self { job, total, locator, rows, given: 0, page: None, tries: Tries::default(), done: false, blind: false }
    }

    /// The next chunk; none once all rows are accounted for. `Missing` when the job was deleted meanwhile.
    pub(super) async fn next_chunk(&mut self, cx: &Reading<'_>) -> Result<Option<Chunk>, Trouble> {
        loop {
            if self.done {
                // A window is read again from its start after a break, so its job has no more use. Any other read may
                // be resumed while its last rows are not acknowledged: its job goes when the caller releases it.
                if cx.query.window.is_some() {
                    job::delete(cx.api, cx.calls, &self.job).await;
                }
                return Ok(None);
            }
            let mut page = match self.page.take() {
                Some(page) => page,
                None => self.open(cx).await?,
            };
            match page.fill(&cx.layout, cx.api).await {
                Ok(()) if page.ready.is_full() || (page.ended && !page.ready.is_empty()) => {
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
                        let records = page.ready.chunk();
                        self.given += records.len() as u64;
                        // Without a cursor: a resume within a page is not possible, as pages have names and rows have
                        // none.
                        return Ok(Some(Chunk { records, cursor: None }));
                    }
                }
            }
        }
    }

    /// Gives out what is ready. The last rows of a page come with the place of the next one.
    fn give(&mut self, cx: &Reading<'_>, mut page: OpenPage) -> Result<Chunk, Trouble> {
        let records = page.ready.chunk();
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
        // A page that was cut between two rows looks whole otherwise.
        if let Some(expected) = expected.filter(|expected| *expected != page.rows) {
            return Err(format!("the page holds {} rows instead of {expected}", page.rows));
        }
        let rows = self.rows + page.rows;
        let whole = self.total.is_none_or(|total| total == rows);
        let next = page.reply.header("sforce-locator").map(str::trim).filter(|text| !text.is_empty());
        let next = match next {
            // The end of a result is the word `null` in the header, not a missing header.
            Some("null") if whole => None,
            // Some proxies drop the header: without it, only the job's count proves the end.
            None if whole && self.total.is_some() => None,
            // Both headers are missing, which no Salesforce answer does; a page without rows may come without them.
            None if expected.is_none() && page.rows > 0 => {
                self.blind = true;
                return Err("the answer lacks the headers that tell where the result goes on".to_owned());
            }
            None if self.total.is_none() => return Err("neither a locator nor a row count tells the end".to_owned()),
            Some("null") | None => {
                return Err(format!("the result holds {rows} rows instead of {}", self.total.unwrap_or_default()));
            }
            // Followed, it would be read for ever.
            Some(next) if self.locator.as_deref() == Some(next) => {
                return Err("a page names itself as the next one".to_owned());
            }
            Some(next) => Some(next.to_owned()),
        };
        self.done = next.is_none();
        self.locator = next;
        self.rows = rows;
        self.given = 0;
        // Tries are counted for a page: a result of a thousand pages may meet many short disturbances.
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
        let mut target = format!("{}/results?maxRecords={PAGE_RECORDS}", job::target(cx.api, &self.job));
        if let Some(locator) = &self.locator {
            target.push_str("&locator=");
            // A locator is opaque: today it has letters and digits only, and that is nowhere promised.
            target.extend(url::form_urlencoded::byte_serialize(locator.as_bytes()));
        }
        let call = Call { accept: "text/csv", ..Call::get(&cx.operation, &target) };
        let reply = cx.api.open(cx.calls, &call, &mut self.tries).await?;
        Ok(OpenPage {
            reply,
            csv: CsvReader::new(),
            header: None,
            rows: 0,
            // A page is read again from its start; its rows come in the same order, as the result is stored.
            skip: self.given,
            ready: Ready::default(),
            ended: false,
        })
    }

    /// Waits before the page is read again.
    async fn again(&mut self, cx: &Reading<'_>, text: String) -> Result<(), Trouble> {
        self.page = None;
        // What drops headers does so for the next answer too: waiting would gain nothing.
        if self.blind {
            return Err(unusable(&cx.operation, text, 1));
        }
        tracing::debug!(job = %self.job, reason = %text, "a page of a bulk result is read again");
        self.tries.wait(cx.api, None, |count| unusable(&cx.operation, text, count)).await
    }
}

impl OpenPage {
    /// Reads on until a chunk is ready or the page ends.
    async fn fill(&mut self, layout: &Layout, api: &Api) -> Result<(), PageError> {
        while !self.ended && !self.ready.is_full() {
            match self.reply.chunk(&api.tokens.cancel).await? {
                Some(bytes) => self.parse(layout, &bytes)?,
                None => {
                    self.csv.finish()?;
                    self.ended = true;
                }
            }
        }
        Ok(())
    }

    /// Takes a piece of the page in; rows that were given out before the page was read again are left out.
    fn parse(&mut self, layout: &Layout, bytes: &[u8]) -> Result<(), PageError> {
        let Self { csv, header, rows, skip, ready, .. } = self;
        csv.push(bytes, |row| {
            let Some(header) = header else {
                // Every page has a header of its own.
                *header = Some(layout.header(&row)?);
                return Ok(());
            };
            *rows += 1;
            if *rows > *skip {
                ready.push(layout.csv(header, &row)?);
            }
            Ok(())
        })
    }
}
