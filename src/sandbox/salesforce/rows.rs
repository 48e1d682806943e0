//! Rows of one object, found by id and by stamp.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// An id of 18 characters.
pub type Id = String;

/// A row. Values stand in the order of the object's fields; numbers are decimal text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Values by place of the field.
    pub values: Vec<Option<Box<str>>>,
    /// When it was made.
    pub created: i64,
    /// When a user or the API last changed it.
    pub modified: i64,
    /// When anything last changed it.
    pub stamp: i64,
    /// When it was deleted.
    pub deleted: Option<i64>,
    /// From when on readers see it as it is.
    pub visible: i64,
    /// The record that it was merged into.
    pub master: Option<Id>,
}

/// Rows with their indexes.
#[derive(Debug, Default)]
pub struct Rows {
    by_id: BTreeMap<Id, Row>,
    by_stamp: BTreeSet<(i64, Id)>,
}

impl Rows {
    /// Puts a row in, or in place of the one with its id.
    pub fn put(&mut self, id: Id, row: Row) {
        if let Some(before) = self.by_id.get(&id) {
            self.by_stamp.remove(&(before.stamp, id.clone()));
        }
        self.by_stamp.insert((row.stamp, id.clone()));
        self.by_id.insert(id, row);
    }

    /// A row, deleted ones included.
    pub fn get(&self, id: &str) -> Option<&Row> {
        self.by_id.get(id)
    }

    /// Takes a row out for good.
    pub fn purge(&mut self, id: &str) -> Option<Row> {
        let row = self.by_id.remove(id)?;
        self.by_stamp.remove(&(row.stamp, id.to_owned()));
        Some(row)
    }

    /// All rows in the order of their ids, after the given one.
    pub fn after<'a>(&'a self, id: &str) -> impl Iterator<Item = (&'a Id, &'a Row)> + use<'a> {
        self.by_id.range::<str, _>((std::ops::Bound::Excluded(id), std::ops::Bound::Unbounded))
    }

    /// Rows whose stamp lies in the span.
    pub fn stamped(&self, from: i64, until: i64) -> impl Iterator<Item = (&Id, &Row)> {
        let span = self.by_stamp.range((from, String::new())..=(until.max(from), "~".to_owned()));
        span.filter_map(|(_, id)| self.by_id.get_key_value(id))
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// All rows, for the dump.
    pub fn all(&self) -> &BTreeMap<Id, Row> {
        &self.by_id
    }
}
