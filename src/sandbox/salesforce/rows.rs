//! Rows of one object, found by id and by stamp.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::cells::Cells;

/// An id of 18 characters.
pub type Id = String;

/// A row. Values stand in the order of the object's fields; numbers are decimal text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Values by place of the field.
    pub values: Cells,
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
    /// As readers saw it before the last save, until they see that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Box<Row>>,
}

impl Row {
    /// The row as readers see it: a save that is still on its way shows what was there before, where anything was.
    pub fn seen(&self, now: i64) -> Option<&Row> {
        if self.visible <= now { Some(self) } else { self.before.as_deref() }
    }
}

/// Ids by a field's value, in lower case.
type ByValue = BTreeSet<(Box<str>, Id)>;

/// Rows with their indexes.
#[derive(Debug, Default)]
pub struct Rows {
    by_id: BTreeMap<Id, Row>,
    by_stamp: BTreeSet<(i64, Id)>,
    /// Rows that readers see some time after they are saved: until when they do not, and their stamp.
    late: BTreeSet<(i64, i64, Id)>,
    /// Of fields that somebody searched by: their values in lower case, with the ids. Made by the first search.
    by_value: RefCell<HashMap<usize, ByValue>>,
}

/// From so much on between a stamp, which is a whole second, and its sight a row counts as late.
const LATE_MILLIS: i64 = 1_000;

impl Rows {
    /// Puts a row in, or in place of the one with its id.
    pub fn put(&mut self, id: Id, row: Row) {
        if let Some(before) = self.by_id.remove(&id) {
            self.forget(&id, &before);
        }
        self.by_stamp.insert((row.stamp, id.clone()));
        if row.visible.saturating_sub(row.stamp) >= LATE_MILLIS {
            self.late.insert((row.visible, row.stamp, id.clone()));
        }
        for (place, index) in self.by_value.get_mut() {
            index.extend(key(&row, *place).map(|value| (value, id.clone())));
        }
        self.by_id.insert(id, row);
    }

    fn forget(&mut self, id: &Id, row: &Row) {
        self.by_stamp.remove(&(row.stamp, id.clone()));
        self.late.remove(&(row.visible, row.stamp, id.clone()));
        for (place, index) in self.by_value.get_mut() {
            key(row, *place).map(|value| index.remove(&(value, id.clone())));
        }
    }

    /// Stamp of the oldest save that readers do not see yet.
    pub fn oldest_unseen(&self, now: i64) -> Option<i64> {
        let unseen = self.late.range((now.saturating_add(1), i64::MIN, Id::new())..);
        unseen.map(|(_, stamp, _)| *stamp).min()
    }

    /// Ids of rows that hold a value in a field, in any letter case; deleted ones included.
    pub fn having(&self, place: usize, value: &str) -> Vec<Id> {
        let mut indexes = self.by_value.borrow_mut();
        let index = indexes.entry(place).or_insert_with(|| {
            self.by_id.iter().filter_map(|(id, row)| Some((key(row, place)?, id.clone()))).collect()
        });
        let value: Box<str> = value.to_lowercase().into();
        // The tilde comes after every sign of an id.
        index.range((value.clone(), Id::new())..=(value, "~".to_owned())).map(|(_, id)| id.clone()).collect()
    }

    /// A row, deleted ones included.
    pub fn get(&self, id: &str) -> Option<&Row> {
        self.by_id.get(id)
    }

    /// Takes a row out for good.
    pub fn purge(&mut self, id: &str) -> Option<Row> {
        let (id, row) = self.by_id.remove_entry(id)?;
        self.forget(&id, &row);
        Some(row)
    }

    /// All rows in the order of their ids, after the given one.
    pub fn after<'a>(&'a self, id: &str) -> impl Iterator<Item = (&'a Id, &'a Row)> + use<'a> {
        self.by_id.range::<str, _>((std::ops::Bound::Excluded(id), std::ops::Bound::Unbounded))
    }

    /// Rows whose stamp lies in the span.
    pub fn stamped(&self, from: i64, until: i64) -> impl Iterator<Item = (&Id, &Row)> {
        // A range that ends before it begins would be a panic.
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

fn key(row: &Row, place: usize) -> Option<Box<str>> {
    row.values.get(place).map(|value| value.to_lowercase().into())
}
