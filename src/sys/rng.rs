//! Chance as a value that is handed in: seeded, so that a run can be repeated.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A seeded source of chance. Clones share one sequence.
#[derive(Clone, Debug)]
pub struct Rng(Arc<Mutex<fastrand::Rng>>);

impl Rng {
    /// The sequence that belongs to `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    /// A sequence that nobody can foretell.
    pub fn from_entropy() -> Self {
        Self(Arc::new(Mutex::new(fastrand::Rng::new())))
    }

    /// A number in `0..bound`; 0 when `bound` is 0.
    pub fn below(&self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.lock().u64(0..bound) }
    }

    /// A number in `0.0..1.0`.
    pub fn share(&self) -> f64 {
        self.lock().f64()
    }

    /// A duration between half of `duration` and all of it.
    pub fn jitter(&self, duration: Duration) -> Duration {
        // Never less than a half: calls that failed together come back apart, and none of them at once.
        duration.mul_f64(0.5 + self.share() / 2.0)
    }

    /// Puts `items` into a random order.
    pub fn shuffle<T>(&self, items: &mut [T]) {
        self.lock().shuffle(items);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, fastrand::Rng> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
