//! Collects what goes into one call: so many records, or so many bytes, whichever comes first.

use std::collections::VecDeque;

use crate::ports::target::BATCH_RECORDS_MAX;

/// A batch ends when its records hold so much text, in bytes. One record may hold more.
/// Records may hold long texts: a hundred of 64 KB would be a body of 6 MB and more.
pub const BATCH_BYTES_MAX: usize = 1 << 20;

/// Items that wait for a full batch, each with the bytes that it holds.
#[derive(Debug)]
pub struct Collected<T> {
    items: VecDeque<T>,
    /// The bytes of each.
    sizes: VecDeque<usize>,
    bytes: usize,
}

impl<T> Default for Collected<T> {
    fn default() -> Self {
        Self { items: VecDeque::new(), sizes: VecDeque::new(), bytes: 0 }
    }
}

impl<T> Collected<T> {
    /// Adds an item.
    pub fn push(&mut self, item: T, bytes: usize) {
        self.items.push_back(item);
        self.sizes.push_back(bytes);
        self.bytes += bytes;
    }

    /// Takes a full batch; with `flush`, what is left.
    pub fn take(&mut self, flush: bool) -> Option<Vec<T>> {
        let full = self.items.len() >= BATCH_RECORDS_MAX || self.bytes >= BATCH_BYTES_MAX;
        if self.items.is_empty() || !(full || flush) {
            return None;
        }
        let (mut count, mut bytes) = (0, 0);
        while count < BATCH_RECORDS_MAX
            && let Some(more) = self.sizes.pop_front_if(|more| bytes == 0 || bytes + *more <= BATCH_BYTES_MAX)
        {
            count += 1;
            bytes += more;
        }
        self.bytes -= bytes;
        Some(self.items.drain(..count).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many items of these sizes the batches have, full ones first and then the rest.
    #[track_caller]
    fn check(sizes: &[usize], full: &[usize], rest: &[usize]) {
        let mut collected = Collected::default();
        sizes.iter().enumerate().for_each(|(place, bytes)| collected.push(place, *bytes));
        let mut next = 0;
        for (expected, flush) in [(full, false), (rest, true)] {
            for count in expected {
                let batch = collected.take(flush).unwrap();
                assert_eq!(batch, (next..next + count).collect::<Vec<_>>());
                next += count;
            }
            assert_eq!(collected.take(flush), None);
        }
        assert_eq!(next, sizes.len());
    }

    #[test]
    fn a_batch_ends_by_records_or_by_bytes() {
        check(&[], &[], &[]);
        check(&[10; 99], &[], &[99]);
        check(&[0; 250], &[100, 100], &[50]);
        check(&[300 << 10; 7], &[3, 3], &[1]);
        check(&[10 << 20, 10, 10 << 20, 10], &[1, 1, 1], &[1]);
        check(&[BATCH_BYTES_MAX; 3], &[1, 1, 1], &[]);
    }
}
