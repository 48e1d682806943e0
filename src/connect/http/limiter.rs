//! The rate limit of one account, shared by all who call it: first come, first served, learned from answers.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::window::{RollingWindow, Share};
use crate::sys::cancel::Cancel;
use crate::sys::clock::Clock;

/// Lets calls through at the rate that the account allows.
pub(in crate::connect) struct Limiter {
    window: Mutex<RollingWindow>,
    /// Held while waiting, so that waiters pass in the order they came; comparisons have an order of their own.
    turns: [tokio::sync::Mutex<()>; 2],
    clock: Clock,
    cancel: Cancel,
    /// A fixed limit: answers do not change it.
    fixed: bool,
}

/// Somebody asked to stop while a call waited for its turn.
pub(in crate::connect) struct Stopped;

impl Limiter {
    /// At most `calls_max` in any `interval`; `fixed` ignores what answers say of the limit.
    pub(in crate::connect) fn new(
        calls_max: u32,
        interval: Duration,
        fixed: bool,
        clock: Clock,
        cancel: Cancel,
    ) -> Self {
        let window = Mutex::new(RollingWindow::new(calls_max, interval));
        Self { window, turns: Default::default(), clock, cancel, fixed }
    }

    /// Waits for a place in the window.
    pub(in crate::connect) async fn acquire(&self, share: Share) -> Result<(), Stopped> {
        let turn = match share {
            Share::Changes => &self.turns[0],
            Share::Comparison => &self.turns[1],
        };
        let _turn = tokio::select! {
            turn = turn.lock() => turn,
            () = self.cancel.cancelled() => return Err(Stopped),
        };
        loop {
            let Some(wait) = self.window().reserve(self.clock.now(), share) else { return Ok(()) };
            tokio::select! {
                () = self.clock.sleep(wait) => {}
                () = self.cancel.cancelled() => return Err(Stopped),
            }
        }
    }

    /// Learns from the headers of an answer.
    pub(in crate::connect) fn learn(&self, calls_max: Option<u32>, interval: Option<Duration>, remaining: Option<u32>) {
        let now = self.clock.now();
        if self.fixed {
            return;
        }
        self.window().learn(calls_max, interval, remaining, now);
    }

    /// Stops all calls for a while.
    pub(in crate::connect) fn block(&self, duration: Duration) {
        let now = self.clock.now();
        self.window().block(now, duration);
    }

    /// Calls per second at present.
    pub(in crate::connect) fn calls_per_second(&self) -> f64 {
        self.window().calls_per_second()
    }

    fn window(&self) -> std::sync::MutexGuard<'_, RollingWindow> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
