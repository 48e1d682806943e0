//! Reads rows by REST queries, page by page.

use super::api::{Bad, Call, Trouble, unusable};
use super::errors::Action;
use super::job;
use super::reading::{Place, Reading};
use super::rows::{self, Page};
use super::soql::{self, After, Order};
use crate::model::record::Record;
use crate::ports::source::{CHUNK_RECORDS_MAX, Chunk, Extract};

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
    /// Nothing else can read this: a query that took too long is made again.
    alone: bool,
    /// Rows of the present query, as its answers say, and as they came.
    rows: (u64, u64),
    pending: std::vec::IntoIter<Record>,
}

impl RestRead {
    /// A read from the start, or after a row.
    pub(super) fn new(query: &Extract, after: Option<After>) -> Self {
        let alone = !job::allowed(query) && !query.is_joint();
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
                let (announced, came) = self.rows;
                if came >= announced {
                    return Ok(None);
                }
                // Rows that were deleted between two pages are missing rightly, a result that broke off is not: what a
                // new query after the last row still finds tells the two apart.
                if self.restarts >= RESTARTS_MAX {
                    let text = format!("the result holds {came} rows instead of {announced}");
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

    /// Where the next page begins if this one's cursor is lost: only what the rows are sorted by says that.
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
