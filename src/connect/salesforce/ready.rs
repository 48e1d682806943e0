//! A page on its way: the rows that came and are still to be given out, and what ends it early.

use std::collections::VecDeque;

use super::csv::CsvError;
use super::rows::RowError;
use crate::connect::http::client::TransportError;
use crate::model::record::Record;
use crate::ports::source::{CHUNK_BYTES_MAX, CHUNK_RECORDS_MAX};

/// Rows that are ready to be given out.
#[derive(Default)]
pub(super) struct Ready {
    rows: VecDeque<Record>,
    /// The bytes of their values.
    bytes: usize,
}

/// What ended a page early.
pub(super) enum PageError {
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

impl From<TransportError> for PageError {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Cancelled => Self::Cancelled,
            TransportError::Failed(text) => Self::Broken(text),
        }
    }
}

impl From<Vec<Record>> for Ready {
    fn from(rows: Vec<Record>) -> Self {
        Self { bytes: rows.iter().map(Record::bytes).sum(), rows: rows.into() }
    }
}

impl Ready {
    /// Adds a row.
    pub(super) fn push(&mut self, row: Record) {
        self.bytes += row.bytes();
        self.rows.push_back(row);
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether they make a chunk.
    pub(super) fn is_full(&self) -> bool {
        // By bytes as well: rows with long texts would else fill the memory long before their number.
        self.rows.len() >= CHUNK_RECORDS_MAX || self.bytes >= CHUNK_BYTES_MAX
    }

    /// Takes a chunk of them.
    pub(super) fn chunk(&mut self) -> Vec<Record> {
        let (mut records, mut bytes) = (Vec::with_capacity(self.rows.len().min(CHUNK_RECORDS_MAX)), 0);
        while records.len() < CHUNK_RECORDS_MAX
            && bytes < CHUNK_BYTES_MAX
            && let Some(record) = self.rows.pop_front()
        {
            bytes += record.bytes();
            records.push(record);
        }
        self.bytes -= bytes;
        records
    }

    /// Takes all of them.
    pub(super) fn all(&mut self) -> Vec<Record> {
        std::mem::take(self).rows.into()
    }
}
