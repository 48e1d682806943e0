//! Whether anything may still be sent: a gate that closes by itself when nobody opens it again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::clock::{Clock, LongMark};

/// A gate before each request to the two services. Clones are one gate.
#[derive(Clone, Debug)]
pub struct Gate {
    open: Arc<Mutex<Option<Open>>>,
    /// The computer's own: what a test does to another one has nothing to do with a server's.
    clock: Clock,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    since: LongMark,
    time: Duration,
    turn: i64,
}

impl Default for Gate {
    fn default() -> Self {
        Self { open: Arc::default(), clock: Clock::system() }
    }
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This moment, for [`Gate::open`].
    pub fn mark(&self) -> LongMark {
        self.clock.long_mark()
    }

    /// Opens the gate for a turn, for a time from a moment on. An answer that came late does not shorten what a later one has given.
    pub fn open(&self, since: LongMark, time: Duration, turn: i64) {
        let mut state = self.state();
        let left = |open: Open| open.time.saturating_sub(self.clock.long_since(open.since));
        let new = Open { since, time, turn };
        if state.is_none_or(|before| before.turn != turn || left(before) < left(new)) {
            *state = Some(new);
        }
    }

    /// Closes it, until it is opened again.
    pub fn close(&self) {
        *self.state() = None;
    }

    /// Whether anything may be sent at this moment.
    pub fn is_open(&self) -> bool {
        self.turn().is_some()
    }

    /// The turn in which something may be sent at this moment; none where it may not.
    pub fn turn(&self) -> Option<i64> {
        let state = *self.state();
        state.filter(|open| self.clock.long_since(open.since) < open.time).map(|open| open.turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_closes_by_itself() {
        let gate = Gate::default();
        assert!(!gate.is_open(), "nobody has opened it");
        let mark = gate.mark();
        gate.open(mark, Duration::from_secs(60), 7);
        assert!(gate.is_open());
        gate.open(mark, Duration::ZERO, 7);
        assert!(gate.is_open(), "what is shorter takes nothing away");
        gate.close();
        assert!(!gate.is_open());
        gate.open(gate.mark(), Duration::from_millis(300), 8);
        assert_eq!(gate.turn(), Some(8));
        std::thread::sleep(Duration::from_millis(400));
        assert!(!gate.is_open());
    }
}
