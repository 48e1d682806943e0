//! The rate limit of one account, shared by all who call it: each pipeline in its turn, learned from answers, and known to the
//! other processes on this computer where there is a place for it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::ring::Ring;
use super::window::{RollingWindow, Sent, Share};
use crate::sys::cancel::Cancel;
use crate::sys::clock::Clock;

/// How long a process waits for others to let go of what they share, before it goes on by what it knows itself.
/// The file is held for less than a millisecond; a second means that its holder was stopped or hangs.
const RING_WAIT_MAX: Duration = Duration::from_secs(1);

/// How long it waits before it tries again.
const RING_WAIT: Duration = Duration::from_millis(2);

/// Longest sleep before the window is looked at again: another process may have made room, or a clock may have been set.
const SLEEP_MAX: Duration = Duration::from_secs(2);

/// Lets calls through at the rate that the account allows.
pub(in crate::connect) struct Limiter {
    window: Mutex<RollingWindow>,
    ring: Option<Ring>,
    /// Held while waiting, so that waiters pass in the order they came; comparisons have an order of their own.
    turns: [tokio::sync::Mutex<()>; 2],
    clock: Clock,
    cancel: Cancel,
    /// A fixed limit: answers do not change it.
    fixed: bool,
}

/// One that calls: a run, or whoever else has a handle on the connection. Of each, one call at most waits in the line, so that many
/// calls of one keep no other waiting.
#[derive(Debug, Clone)]
pub(in crate::connect) struct Caller {
    /// Tells it from the others that share the limit.
    user: u32,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Caller {
    /// A new one; `user` is drawn at random, or [`NOBODY`](super::window::NOBODY) for calls that belong to no run.
    pub(in crate::connect) fn new(user: u32) -> Self {
        Self { user, turn: Arc::default() }
    }

    /// The same one with another turn, so that what it asks for does not stand behind all that it has to write.
    pub(in crate::connect) fn another_turn(&self) -> Self {
        Self { user: self.user, turn: Arc::default() }
    }
}

/// Somebody asked to stop while a call waited for its turn.
pub(in crate::connect) struct Stopped;

impl Limiter {
    /// At most `calls_max` calls in any `interval`; `fixed` ignores what answers say of the limit.
    pub(in crate::connect) fn new(
        calls_max: u32,
        interval: Duration,
        fixed: bool,
        ring: Option<Ring>,
        clock: Clock,
        cancel: Cancel,
    ) -> Self {
        let window = Mutex::new(RollingWindow::new(calls_max, interval));
        Self { window, ring, turns: Default::default(), clock, cancel, fixed }
    }

    /// Waits for a place in the window.
    pub(in crate::connect) async fn acquire(&self, share: Share, caller: &Caller) -> Result<Sent, Stopped> {
        let turn = match share {
            Share::Changes => &self.turns[0],
            Share::Comparison => &self.turns[1],
        };
        // The caller's own turn first: else all its calls would stand in the common line, and others behind them.
        let _turns = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Err(Stopped),
            turns = async { (caller.turn.lock().await, turn.lock().await) } => turns,
        };
        loop {
            let wait = match self.reserve(share, caller.user).await {
                Ok(place) => return Ok(place),
                Err(wait) => wait.min(SLEEP_MAX),
            };
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(Stopped),
                () = self.clock.sleep(wait) => {}
            }
        }
    }

    /// Takes a place now, or says how long to wait.
    async fn reserve(&self, share: Share, user: u32) -> Result<Sent, Duration> {
        let began = self.clock.mark();
        while let Some(ring) = &self.ring {
            // The clock is read within the lock: the moments in the file then stand in the order of the calls.
            let place = self.in_ring(ring, |window, clock| window.reserve(clock.now(), share, user));
            if let Some(place) = place {
                return place;
            }
            if self.clock.since(began) >= RING_WAIT_MAX {
                tracing::debug!("another process holds the shared rate limit for too long");
                break;
            }
            self.clock.sleep(RING_WAIT).await;
        }
        // Better a limit that is kept by each process alone than a run that stands still.
        self.window().reserve(self.clock.now(), share, user)
    }

    /// A call that has its place is written to the connection now.
    pub(in crate::connect) fn written(&self, place: Sent) {
        self.change(|window, clock| window.written(place, clock.now()));
    }

    /// Learns from the headers of the answer to a call.
    pub(in crate::connect) fn learn(
        &self,
        calls_max: Option<u32>,
        interval: Option<Duration>,
        remaining: Option<u32>,
        call: Sent,
    ) {
        // A fixed limit is a share that an administrator set aside; what the account allows as a whole is beside the
        // point.
        if !self.fixed && (calls_max.is_some() || interval.is_some() || remaining.is_some()) {
            self.change(|window, clock| window.learn(calls_max, interval, remaining, call.at, clock.now()));
        }
    }

    /// Stops all calls for a while.
    pub(in crate::connect) fn block(&self, duration: Duration) {
        self.change(|window, clock| window.block(clock.now(), duration));
    }

    /// Takes over from somebody who had the limit until so long ago: see [`RollingWindow::inherit`].
    pub(in crate::connect) fn inherit(&self, calls: Option<u32>, ago: Duration) {
        self.change(|window, clock| window.inherit(calls, clock.now().saturating_sub(ago).unwrap_or(clock.now())));
    }

    /// How many calls stand in the window.
    pub(in crate::connect) fn calls(&self) -> u32 {
        self.window().calls(self.clock.now())
    }

    /// Calls per second at present.
    pub(in crate::connect) fn calls_per_second(&self) -> f64 {
        self.window().calls_per_second()
    }

    /// Changes the window, and what others know of it where they let go of it at this moment.
    /// A change that finds the file taken is not waited for: it comes from a callback, and the file is read again
    /// soon.
    fn change(&self, change: impl Fn(&mut RollingWindow, &Clock)) {
        let shared = self.ring.as_ref().and_then(|ring| self.in_ring(ring, &change));
        if shared.is_none() {
            change(&mut self.window(), &self.clock);
        }
    }

    /// Works on the window with what is shared; none where another process has it at this moment.
    fn in_ring<T>(&self, ring: &Ring, work: impl FnOnce(&mut RollingWindow, &Clock) -> T) -> Option<T> {
        let mut window = self.window();
        let mut held = ring.hold()?;
        // A new or damaged file is filled from what this process knows.
        if let Some(shared) = held.news() {
            window.take_over(shared);
        }
        let done = work(&mut window, &self.clock);
        held.write(&mut window);
        Some(done)
    }

    fn window(&self) -> std::sync::MutexGuard<'_, RollingWindow> {
        // A thread that panicked has left numbers that are still whole; at worst one call is missing from them.
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
