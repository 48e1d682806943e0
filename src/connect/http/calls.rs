//! Counts the HTTP requests of a connection's handles, so that the reports of runs add up to what went over the wire.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Requests that no report has counted yet: those of setting up, of logging in, of handles that nobody asks.
pub type Unclaimed = Arc<AtomicU64>;

/// The requests of one handle.
#[derive(Debug)]
pub struct Calls {
    counted: AtomicU64,
    unclaimed: Unclaimed,
    claims: bool,
}

impl Calls {
    /// Of a handle that is used in passing: when it goes, its requests are unclaimed ones.
    pub fn passing(unclaimed: &Unclaimed) -> Self {
        Self { counted: AtomicU64::new(0), unclaimed: Arc::clone(unclaimed), claims: false }
    }

    /// Of a run's handle, which claims what nobody has counted.
    pub fn of_run(unclaimed: &Unclaimed) -> Self {
        let mut calls = Self::passing(unclaimed);
        calls.claims = true;
        calls
    }

    /// How many there were.
    pub fn total(&self) -> u64 {
        // Swapped and not read, so that of two runs at one time only one counts a request.
        if self.claims {
            self.counted.fetch_add(self.unclaimed.swap(0, Ordering::Relaxed), Ordering::Relaxed);
        }
        self.counted.load(Ordering::Relaxed)
    }
}

impl Deref for Calls {
    type Target = AtomicU64;

    fn deref(&self) -> &AtomicU64 {
        &self.counted
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        // A run's total has been reported by then: given back, its requests would be counted twice.
        if !self.claims {
            self.unclaimed.fetch_add(self.counted.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_counted_once() {
        let unclaimed = Unclaimed::default();
        unclaimed.fetch_add(1, Ordering::Relaxed);
        let set_up = Calls::passing(&unclaimed);
        set_up.fetch_add(3, Ordering::Relaxed);
        let (first, second) = (Calls::of_run(&unclaimed), Calls::of_run(&unclaimed));
        first.fetch_add(10, Ordering::Relaxed);
        assert_eq!(first.total(), 11, "a login, and its own");
        drop(set_up);
        assert_eq!((second.total(), second.total(), first.total()), (3, 3, 11));
    }
}
