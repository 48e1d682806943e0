//! Which rows of a read are settled: a checkpoint may pass a row only when every row before it is.

use std::collections::VecDeque;

use crate::model::watermark::Cursor;

/// Rows are numbered as they come; they are settled in any order.
#[derive(Debug, Default)]
pub struct ReadPositions {
    /// All rows before this one are settled.
    first_open: u64,
    /// For the rows from `first_open` on: whether each is settled.
    settled: VecDeque<bool>,
    /// Cursors that a broken read may go on from, with the number of rows that must be settled first.
    cursors: VecDeque<(u64, Cursor)>,
}

impl ReadPositions {
    /// The number of the next row.
    pub fn next_row(&mut self) -> u64 {
        self.settled.push_back(false);
        self.first_open + self.settled.len() as u64 - 1
    }

    /// A page ends with the latest row.
    pub fn end_page(&mut self, cursor: Cursor) {
        self.cursors.push_back((self.first_open + self.settled.len() as u64, cursor));
    }

    /// A row is settled.
    pub fn settle(&mut self, row: u64) {
        // Rows that are settled already are no longer in the queue.
        if let Some(settled) = row.checked_sub(self.first_open).and_then(|index| self.settled.get_mut(index as usize)) {
            *settled = true;
        }
        while self.settled.front() == Some(&true) {
            self.settled.pop_front();
            self.first_open += 1;
        }
    }

    /// The latest cursor that may be saved now, once.
    pub fn resumable(&mut self) -> Option<(u64, Cursor)> {
        let mut latest = None;
        while self.cursors.front().is_some_and(|(place, _)| *place <= self.first_open) {
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
        let mut positions = ReadPositions::default();
        let rows: Vec<u64> = (0..3).map(|_| positions.next_row()).collect();
        positions.end_page(cursor("one"));
        let later = positions.next_row();
        positions.end_page(cursor("two"));
        for place in [later, rows[2], rows[0]] {
            positions.settle(place);
            assert_eq!(positions.resumable(), None);
        }
        positions.settle(rows[1]);
        assert_eq!(positions.resumable(), Some((4, cursor("two"))));
        assert_eq!(positions.resumable(), None);
    }

    #[test]
    fn an_empty_page_passes_at_once_and_a_place_settles_once() {
        let mut positions = ReadPositions::default();
        positions.end_page(cursor("start"));
        assert_eq!(positions.resumable(), Some((0, cursor("start"))));
        let place = positions.next_row();
        positions.settle(place);
        positions.settle(place);
        positions.settle(99);
        assert_eq!(positions.next_row(), 1);
    }
}
