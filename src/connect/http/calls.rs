//! Counts the HTTP requests of a connection's handles, so that the reports of runs add up to what went over the wire.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Requests that no report has counted yet: those of setting up, of logging in, of handles that nobody asks.
pub type Unclaimed = Arc<Pool>;

/// See [`Unclaimed`].
#[derive(Debug, Default)]
pub struct Pool {
    /// Of logins, and of handles that are gone.
    rest: AtomicU64,
    /// Of handles that are used in passing and may live on: whoever was the last to hold one need not have let it go yet.
    passing: Mutex<Vec<Weak<Counted>>>,
}

impl Pool {
    /// Adds a request that belongs to no handle.
    pub fn add(&self) {
        self.rest.fetch_add(1, Ordering::Relaxed);
    }

    /// All that nobody has counted.
    fn claim(&self) -> u64 {
        let mut claimed = self.rest.swap(0, Ordering::Relaxed);
        let mut passing = self.passing.lock().unwrap_or_else(PoisonError::into_inner);
        passing.retain(|counted| match counted.upgrade() {
            Some(counted) => {
                claimed += counted.claim();
                true
            }
            None => false,
        });
        claimed
    }
}

/// What a handle has counted, and how much of it a report has.
#[derive(Debug, Default)]
struct Counted {
    all: AtomicU64,
    claimed: AtomicU64,
}

impl Counted {
    fn claim(&self) -> u64 {
        let all = self.all.load(Ordering::Relaxed);
        all.saturating_sub(self.claimed.fetch_max(all, Ordering::Relaxed))
    }
}

/// The requests of one handle.
#[derive(Debug)]
pub struct Calls {
    counted: Arc<Counted>,
    unclaimed: Unclaimed,
    claims: bool,
}

impl Calls {
    /// Of a handle that is used in passing: its requests are for whoever claims them.
    pub fn passing(unclaimed: &Unclaimed) -> Self {
        let counted = Arc::default();
        unclaimed.passing.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&counted));
        Self { counted, unclaimed: Arc::clone(unclaimed), claims: false }
    }

    /// Of a run's handle, which claims what nobody has counted.
    pub fn of_run(unclaimed: &Unclaimed) -> Self {
        Self { counted: Arc::default(), unclaimed: Arc::clone(unclaimed), claims: true }
    }

    /// How many there were.
    pub fn total(&self) -> u64 {
        // Swapped and not read, so that of two runs at one time only one counts a request.
        if self.claims {
            self.counted.all.fetch_add(self.unclaimed.claim(), Ordering::Relaxed);
        }
        self.counted.all.load(Ordering::Relaxed)
    }
}

impl Deref for Calls {
    type Target = AtomicU64;

    fn deref(&self) -> &AtomicU64 {
        &self.counted.all
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        // A run's total has been reported by then: given back, its requests would be counted twice.
        if !self.claims {
            self.unclaimed.rest.fetch_add(self.counted.claim(), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_counted_once() {
        let unclaimed = Unclaimed::default();
        unclaimed.add();
        let set_up = Calls::passing(&unclaimed);
        set_up.fetch_add(3, Ordering::Relaxed);
        let (first, second) = (Calls::of_run(&unclaimed), Calls::of_run(&unclaimed));
        first.fetch_add(10, Ordering::Relaxed);
        assert_eq!(first.total(), 14, "a login, what set it up and has not let go of it yet, and its own");
        set_up.fetch_add(2, Ordering::Relaxed);
        assert_eq!(set_up.total(), 5);
        drop(set_up);
        assert_eq!((second.total(), second.total(), first.total()), (2, 2, 14));
        unclaimed.add();
        assert_eq!((second.total(), unclaimed.passing.lock().unwrap().len()), (3, 0));
    }
}
