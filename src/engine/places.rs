//! Which rows of a read are settled: a checkpoint may pass a place only when everything before it is.

use std::collections::VecDeque;

use crate::model::watermark::Cursor;

/// Rows are numbered as they come; they are settled in any order.
#[derive(Debug, Default)]
pub struct Places {
    /// All rows before this one are settled.
    low: u64,
    /// For the rows from `low` on: whether each is settled.
    settled: VecDeque<bool>,
    /// Places that a broken read may go on from, with the number of rows that must be settled first.
    cursors: VecDeque<(u64, Cursor)>,
}

impl Places {
    /// The number of the next row.
    pub fn take(&mut self) -> u64 {
        self.settled.push_back(false);
        self.low + self.settled.len() as u64 - 1
    }

    /// A page ends with the latest row.
    pub fn mark(&mut self, cursor: Cursor) {
        self.cursors.push_back((self.low + self.settled.len() as u64, cursor));
    }

    /// A row is settled.
    pub fn settle(&mut self, place: u64) {
        if let Some(settled) = place.checked_sub(self.low).and_then(|index| self.settled.get_mut(index as usize)) {
            *settled = true;
        }
        while self.settled.front() == Some(&true) {
            self.settled.pop_front();
            self.low += 1;
        }
    }

    /// The latest cursor that may be saved now, once.
    pub fn passed(&mut self) -> Option<(u64, Cursor)> {
        let mut latest = None;
        while self.cursors.front().is_some_and(|(place, _)| *place <= self.low) {
            latest = self.cursors.pop_front();
        }
        latest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(place: &str) -> Cursor {
        Cursor { query: String::new(), place: place.to_owned() }
    }

    #[test]
    fn a_cursor_passes_when_all_before_it_is_settled() {
        let mut places = Places::default();
        let rows: Vec<u64> = (0..3).map(|_| places.take()).collect();
        places.mark(cursor("one"));
        let later = places.take();
        places.mark(cursor("two"));
        for place in [later, rows[2], rows[0]] {
            places.settle(place);
            assert_eq!(places.passed(), None);
        }
        places.settle(rows[1]);
        assert_eq!(places.passed(), Some((4, cursor("two"))));
        assert_eq!(places.passed(), None);
    }

    #[test]
    fn an_empty_page_passes_at_once_and_a_place_settles_once() {
        let mut places = Places::default();
        places.mark(cursor("start"));
        assert_eq!(places.passed(), Some((0, cursor("start"))));
        let place = places.take();
        places.settle(place);
        places.settle(place);
        places.settle(99);
        assert_eq!(places.take(), 1);
    }
}
