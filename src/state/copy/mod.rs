//! A state as a thing to copy: all that it holds, page by page, into one of another kind or place. Effect: the copy; the state that is copied
//! stays as it is.

pub mod sqlite;
pub mod tables;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::model::ids::PipelineName;
use crate::ports::state::StateError;
use crate::ports::store::Store;
use crate::state::open::Seen;
use tables::{Cell, Digest, NOTES, Row, TABLES, Table};

type Answer<'a, T> = BoxFuture<'a, Result<T, StateError>>;

/// Rows of a page at most.
pub const PAGE_ROWS: usize = 2_000;

/// Some rows of a table.
#[derive(Debug, Default)]
pub struct Page {
    /// The rows.
    pub rows: Vec<Row>,
    /// The place after the last one; none at the end of the table.
    pub next: Option<String>,
}

/// A state that can be copied, and that a copy can be made in.
pub trait Copied: Store {
    /// How it is shown: its file, or its address without a password.
    fn shown(&self) -> String;

    /// What it says of itself.
    fn seen(&self) -> Answer<'_, Seen>;

    /// The next rows of a table, after a place that an earlier page told. The note of a copy that is under way is left out.
    fn page(&self, table: &'static Table, after: Option<String>) -> Answer<'_, Page>;

    /// Puts rows into a table, and notes under [`COPYING`] how far the copy has come; at once.
    fn put(&self, table: &'static Table, rows: Vec<Row>, note: String) -> Answer<'_, ()>;

    /// Takes all rows out of a table, and notes how far the copy has come.
    fn clear(&self, table: &'static Table, note: String) -> Answer<'_, ()>;

    /// Counts again what is counted as rows are written.
    fn recount(&self) -> Answer<'_, ()>;
}

/// The key of the note that a state has which is an unfinished copy.
pub const COPYING: &str = "copying";

/// How far a copy has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What is copied.
    pub from: String,
    /// The table that is being copied.
    pub table: usize,
    /// The place in it, in the words of the state that is copied.
    pub after: Option<String>,
}

impl Progress {
    /// What a note says of it.
    pub fn read(note: &str) -> Self {
        serde_json::from_str(note).unwrap_or_default()
    }

    fn note(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Why a run must not use a state that is an unfinished copy; none where it is none.
pub fn unfinished(note: Option<&str>, path: &str, expected: &str) -> Option<StateError> {
    let found =
        format!("an unfinished copy of `{}` (`syncline state copy` goes on with it)", Progress::read(note?).from);
    Some(StateError::Foreign { path: path.to_owned(), found, expected: expected.to_owned() })
}

/// Why a state was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// One of the two cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The place of the copy holds something already.
    #[error("`{to}` holds a state already: it knows `{table}`")]
    Taken {
        /// The place.
        to: String,
        /// The first table that has rows.
        table: &'static str,
    },
    /// The place of the copy holds an unfinished copy of another state.
    #[error("`{to}` holds an unfinished copy of `{from}`")]
    Other {
        /// The place.
        to: String,
        /// That state.
        from: String,
    },
    /// The copy is not what was copied.
    #[error("the copy of `{table}` is not alike: {copied} rows of {rows}")]
    Unlike {
        /// The table.
        table: &'static str,
        /// Its rows.
        rows: u64,
        /// Those of the copy.
        copied: u64,
    },
}

/// What was copied.
#[derive(Debug, Clone, Default)]
pub struct Copy {
    /// An earlier copy that had been broken off was gone on with.
    pub resumed: bool,
    /// The tables, each with what both states hold of it.
    pub tables: Vec<(&'static str, Digest)>,
}

/// What is copied, or compared, at present: the table, and its rows so far.
pub type OnProgress<'a> = &'a (dyn Fn(Step, &'static str, u64) + Send + Sync);

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Rows are copied.
    Copying,
    /// Both states are read and compared.
    Comparing,
}

/// The pipelines that a state knows.
pub async fn pipelines(state: &dyn Copied) -> Result<Vec<PipelineName>, StateError> {
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let page = state.page(TABLES[0], after).await?;
        names.extend(page.rows.iter().filter_map(|row| match row.first() {
            Some(Cell::Text(name)) => Some(PipelineName::new(name.as_str())),
            _ => None,
        }));
        after = page.next;
        if after.is_none() {
            return Ok(names);
        }
    }
}

/// Copies a state into an empty one, or goes on with a copy that was broken off; then reads both and compares them. Nobody may write to
/// either meanwhile.
///
/// Errors: [`CopyError`]. What was copied by then is kept and gone on with, but is no state that runs use.
pub async fn copy(from: &dyn Copied, to: &dyn Copied, on_progress: OnProgress<'_>) -> Result<Copy, CopyError> {
    let begun = to.note(COPYING).await?.map(|note| Progress::read(&note));
    let resumed = begun.is_some();
    let mut progress = match begun {
        Some(begun) if begun.from != from.shown() => {
            return Err(CopyError::Other { to: to.shown(), from: begun.from });
        }
        Some(begun) => begun,
        None => {
            must_be_empty(to).await?;
            Progress { from: from.shown(), ..Progress::default() }
        }
    };
    while let Some(table) = TABLES.get(progress.table).copied() {
        progress = one_table(from, to, table, progress, on_progress).await?;
    }
    to.recount().await?;
    let mut tables = Vec::with_capacity(TABLES.len());
    for (place, table) in TABLES.into_iter().enumerate() {
        let mut both = digests(from, to, table, on_progress).await?;
        if both.0 != both.1 {
            // Between two tries somebody may have written to what is copied.
            let mut again = Progress { from: from.shown(), table: place, after: None };
            to.clear(table, again.note()).await?;
            again = one_table(from, to, table, again, on_progress).await?;
            debug_assert_eq!(again.table, place + 1);
            to.recount().await?;
            both = digests(from, to, table, on_progress).await?;
        }
        if both.0 != both.1 {
            return Err(CopyError::Unlike { table: table.name, rows: both.0.rows, copied: both.1.rows });
        }
        tables.push((table.name, both.0));
    }
    to.set_note(COPYING, "").await?;
    Ok(Copy { resumed, tables })
}

/// Copies what is left of a table.
async fn one_table(
    from: &dyn Copied,
    to: &dyn Copied,
    table: &'static Table,
    mut progress: Progress,
    on_progress: OnProgress<'_>,
) -> Result<Progress, CopyError> {
    let mut rows = 0;
    loop {
        let page = from.page(table, progress.after.take()).await?;
        rows += page.rows.len() as u64;
        match page.next {
            Some(next) => progress.after = Some(next),
            None => progress.table += 1,
        }
        to.put(table, page.rows, progress.note()).await?;
        on_progress(Step::Copying, table.name, rows);
        if progress.after.is_none() {
            return Ok(progress);
        }
    }
}

async fn must_be_empty(to: &dyn Copied) -> Result<(), CopyError> {
    for table in TABLES {
        if !to.page(table, None).await?.rows.is_empty() {
            return Err(CopyError::Taken { to: to.shown(), table: table.name });
        }
    }
    Ok(())
}

async fn digests(
    from: &dyn Copied,
    to: &dyn Copied,
    table: &'static Table,
    on_progress: OnProgress<'_>,
) -> Result<(Digest, Digest), CopyError> {
    let (one, other) = futures_util::future::join(digest(from, table), digest(to, table)).await;
    let (one, other) = (one?, other?);
    on_progress(Step::Comparing, table.name, one.rows);
    Ok((one, other))
}

async fn digest(state: &dyn Copied, table: &'static Table) -> Result<Digest, StateError> {
    let (mut digest, mut after) = (Digest::default(), None);
    loop {
        let page = state.page(table, after).await?;
        page.rows.iter().for_each(|row| digest.add(row));
        after = page.next;
        if after.is_none() {
            return Ok(digest);
        }
    }
}

/// Whether a row is the note of a copy that is under way.
pub fn is_mark(table: &Table, row: &Row) -> bool {
    table.name == NOTES.name && matches!(row.first(), Some(Cell::Text(key)) if key == COPYING)
}
