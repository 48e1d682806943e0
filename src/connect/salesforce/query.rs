//! Reads rows by REST queries, page by page. A page is taken apart while it comes, so that no more than a chunk of it is held.

use super::api::{Call, Tries, Trouble, unusable};
use super::errors::Action;
use super::job;
use super::reading::{Opened, Place, Reading};
use super::ready::{PageError, Ready};
use super::rows;
use super::soql::{self, After, Order};
use super::split::Splitter;
use crate::connect::http::client::Reply;
use crate::model::record::Record;
use crate::ports::fault::Fault;
use crate::ports::source::{Chunk, Extract};

/// Lost locators that are made good without a new row in between.
const RESTARTS_MAX: u32 = 3;

/// A REST read on its way.
pub(super) struct RestRead {
    order: Order,
    after: Option<After>,
    /// Path of the next page.
    next: Option<String>,
    begun: bool,
    restarts: u32,
    tries: Tries,
    /// Nothing else can read this: a query that took too long is made again.
    alone: bool,
    /// Rows of the present query, as its answers say, and as they came.
    rows: (u64, u64),
    page: Option<OpenPage>,
}

/// A page on its way.
#[derive(Default)]
struct OpenPage {
    /// The rest of the answer; none where it came whole.
    reply: Option<Reply>,
    splitter: Splitter,
    ready: Ready,
    /// Rows that have come.
    came: u64,
    /// Rows that were given out.
    given: u64,
    /// What stands around the rows, once all have come.
    end: Option<rows::Page>,
}

impl RestRead {
    /// A read from the start, or after a row.
    pub(super) fn new(query: &Extract, after: Option<After>) -> Self {
        Self {
            order: Order::of(query),
            after,
            next: None,
            begun: false,
            restarts: 0,
            tries: Tries::default(),
            // A joint query is asked for in parts by the caller instead.
            alone: !job::allowed(query) && !query.is_joint(),
            rows: (0, 0),
            page: None,
        }
    }

    /// Asks for the first page; gives the number of rows of the whole result.
    pub(super) async fn begin(&mut self, cx: &Reading<'_>) -> Result<u64, Trouble> {
        loop {
            let mut page = self.open(cx).await?;
            match page.total(cx).await {
                Ok(total) => {
                    self.page = Some(page);
                    return Ok(total);
                }
                Err(PageError::Cancelled) => return Err(Fault::Cancelled.into()),
                Err(PageError::Broken(text)) => self.again(cx, text).await?,
            }
        }
    }

    /// The next chunk; none at the end.
    pub(super) async fn next_chunk(&mut self, cx: &Reading<'_>) -> Result<Option<Chunk>, Trouble> {
        loop {
            let Some(mut page) = self.page.take() else {
                if self.begun && self.next.is_none() && self.ends(cx)? {
                    return Ok(None);
                }
                match self.open(cx).await {
                    Ok(page) => self.page = Some(page),
                    // The cursor on the server is gone, or too slow: a new query goes on after the last row.
                    Err(trouble) if self.lost(&trouble) && self.restarts < RESTARTS_MAX => {
                        tracing::debug!(
                            restarts = self.restarts,
                            "query locator is gone; reading goes on by a new query"
                        );
                        self.restart();
                    }
                    Err(trouble) => return Err(trouble),
                }
                continue;
            };
            match page.fill(cx).await {
                // The end of a page may come after its rows: they are all given out, and this is a place to go on from.
                Ok(()) if page.ready.is_empty() => {
                    let given = page.given > 0 && page.end.is_some();
                    self.finish(page);
                    if let Some(after) = self.after.as_ref().filter(|_| given) {
                        let cursor = Some(cx.cursor(&Place::Rest { after: after.clone() })?);
                        return Ok(Some(Chunk { records: Vec::new(), cursor }));
                    }
                }
                Ok(()) => return self.give(cx, page).map(Some),
                Err(PageError::Cancelled) => return Err(Fault::Cancelled.into()),
                // Rows that came whole are true, and need not come twice.
                Err(PageError::Broken(text)) if page.ready.is_empty() => {
                    self.again(cx, text).await?;
                    // Rows of this page are with the caller: the same page would bring them twice, so a query goes on
                    // after them.
                    if page.given > 0 {
                        self.restart();
                    }
                }
                Err(PageError::Broken(_)) => {
                    let records = page.ready.all();
                    self.passed(&records);
                    self.restart();
                    return Ok(Some(Chunk { records, cursor: None }));
                }
            }
        }
    }

    /// Whether the read ends where no page follows. Rows that were deleted between two pages are missing rightly, a result that broke off
    /// is not: what a new query after the last row still finds tells the two apart.
    fn ends(&mut self, cx: &Reading<'_>) -> Result<bool, Trouble> {
        let (announced, came) = self.rows;
        if came >= announced {
            return Ok(true);
        }
        if self.restarts >= RESTARTS_MAX {
            let text = format!("the result holds {came} rows instead of {announced}");
            return Err(unusable(&cx.operation, text, self.restarts));
        }
        self.restart();
        Ok(false)
    }

    /// Gives out a chunk of a page. The last one comes with the place of what follows.
    fn give(&mut self, cx: &Reading<'_>, mut page: OpenPage) -> Result<Chunk, Trouble> {
        let records = page.chunk();
        self.passed(&records);
        let mut cursor = None;
        if page.end.is_some() && page.ready.is_empty() {
            self.finish(page);
            if let Some(after) = &self.after {
                cursor = Some(cx.cursor(&Place::Rest { after: after.clone() })?);
            }
        } else {
            self.page = Some(page);
        }
        Ok(Chunk { records, cursor })
    }

    /// Notes rows that are given out.
    fn passed(&mut self, records: &[Record]) {
        if let Some(after) = records.last().and_then(|record| self.position(record)) {
            self.after = Some(after);
            // A row was gained, so this is no circle.
            self.restarts = 0;
            self.tries = Tries::default();
        }
    }

    /// Turns to the next page.
    fn finish(&mut self, page: OpenPage) {
        let Some(end) = page.end else { return };
        // A later page repeats the total of the first one, or tells none.
        self.rows = if self.begun { (self.rows.0, self.rows.1 + page.came) } else { (end.total, page.came) };
        self.begun = true;
        self.next = end.next;
    }

    /// Whether a new query from here may do: the server no longer knows the next page, in either of the two ways to say
    /// so, or has lost its patience.
    fn lost(&self, trouble: &Trouble) -> bool {
        match trouble.action() {
            Some(Action::PlaceLost) => true,
            Some(Action::TooSlow) => self.alone,
            // A page that is not found is a cursor that is gone. For the first page it is the object.
            Some(Action::Missing) => self.next.is_some(),
            _ => false,
        }
    }

    fn restart(&mut self) {
        self.restarts += 1;
        self.next = None;
        self.begun = false;
    }

    /// Waits before a page is asked for again.
    async fn again(&mut self, cx: &Reading<'_>, text: String) -> Result<(), Trouble> {
        tracing::debug!(reason = %text, "a page of a query is read again");
        self.tries.wait(cx.api, None, |count| unusable(&cx.operation, text, count)).await
    }

    /// Where the next page begins if this one's cursor is lost: only what the rows are sorted by says that.
    fn position(&self, record: &Record) -> Option<After> {
        match self.order {
            Order::Modified => record.modified.map(|time| After { modified: Some(time), id: record.id }),
            Order::Id | Order::Unordered => Some(After { modified: None, id: record.id }),
        }
    }

    async fn open(&mut self, cx: &Reading<'_>) -> Result<OpenPage, Trouble> {
        let opened = match &self.next {
            Some(next) => {
                let call = Call::get(&cx.operation, next).paged();
                Opened::Streamed(cx.api.open(cx.calls, &call, &mut self.tries).await?)
            }
            None => {
                let text = soql::select(&cx.query, self.order, self.after.as_ref());
                cx.open(&text, &mut self.tries).await?
            }
        };
        Ok(match opened {
            Opened::Streamed(reply) => OpenPage { reply: Some(reply), ..OpenPage::default() },
            Opened::Whole(mut page) => {
                let ready = Ready::from(std::mem::take(&mut page.records));
                OpenPage { came: ready.len() as u64, ready, end: Some(page), ..OpenPage::default() }
            }
        })
    }
}

impl OpenPage {
    /// Takes a chunk of what is ready.
    fn chunk(&mut self) -> Vec<Record> {
        let records = self.ready.chunk();
        self.given += records.len() as u64;
        records
    }

    /// Reads on until a chunk is ready or the page ends.
    async fn fill(&mut self, cx: &Reading<'_>) -> Result<(), PageError> {
        while self.end.is_none() && !self.ready.is_full() {
            self.read_on(cx).await?;
        }
        Ok(())
    }

    /// The number of rows of the whole result. As a rule it stands before the rows.
    async fn total(&mut self, cx: &Reading<'_>) -> Result<u64, PageError> {
        loop {
            if let Some(end) = &self.end {
                return Ok(end.total);
            }
            if let Some(total) = self.splitter.before_rows().and_then(|answer| rows::total(&answer)) {
                return Ok(total);
            }
            self.read_on(cx).await?;
        }
    }

    /// Reads the next piece of the answer. At its end, what stands around the rows must be a whole answer by itself.
    async fn read_on(&mut self, cx: &Reading<'_>) -> Result<(), PageError> {
        let piece = match &mut self.reply {
            Some(reply) => reply.chunk(&cx.api.tokens.cancel).await?,
            None => None,
        };
        match piece {
            Some(bytes) => self.take(cx, &bytes).map_err(PageError::Broken),
            None => {
                let around = std::mem::take(&mut self.splitter).around().map_err(PageError::Broken)?;
                let mut end = rows::page_of_bytes(&cx.layout, &around).map_err(PageError::Broken)?;
                // An answer without a total announces what came: nothing is then found missing.
                end.total = end.total.max(if rows::total(&around).is_some() { 0 } else { self.came });
                self.end = Some(end);
                Ok(())
            }
        }
    }

    fn take(&mut self, cx: &Reading<'_>, bytes: &[u8]) -> Result<(), String> {
        let Self { splitter, ready, came, .. } = self;
        splitter.push(bytes, |row| {
            ready.push(rows::row(&cx.layout, row)?);
            *came += 1;
            Ok(())
        })
    }
}
