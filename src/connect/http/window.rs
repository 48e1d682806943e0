//! The pure part of the rate limit: which calls lie in the rolling window, and how long the next one must wait. Time is
//! handed in.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Added to the window: the server counts calls when they arrive, so two that were sent an interval apart can arrive
/// closer together than that. 150 ms of 10 s leaves 98.5 % of the limit in use.
pub const JITTER_MARGIN: Duration = Duration::from_millis(150);

/// A rolling window of calls.
#[derive(Debug, Clone)]
pub struct RollingWindow {
    calls_max: u32,
    interval: Duration,
    sent: VecDeque<Timestamp>,
    /// Calls of others that share the limit, and until when they count.
    foreign: (u32, Timestamp),
    blocked_until: Timestamp,
    /// How long the last block was meant to last.
    blocked_for: Duration,
}

impl RollingWindow {
    /// At most `calls_max` calls in any `interval`.
    pub fn new(calls_max: u32, interval: Duration) -> Self {
        let past = Timestamp::MIN;
        Self {
            calls_max: calls_max.max(1),
            interval,
            sent: VecDeque::new(),
            foreign: (0, past),
            blocked_until: past,
            blocked_for: Duration::ZERO,
        }
    }

    /// Takes a place for a call now, or says how long to wait before asking again.
    pub fn reserve(&mut self, now: Timestamp) -> Option<Duration> {
        self.forget(now);
        // A clock that jumped back makes no block longer than it was meant to be.
        let longest = now + SignedDuration::try_from(self.blocked_for).unwrap_or(SignedDuration::MAX);
        self.blocked_until = self.blocked_until.min(longest);
        if now < self.blocked_until {
            return Some(self.blocked_until.duration_since(now).unsigned_abs());
        }
        let counts = now < self.foreign.1 && self.foreign.1 <= now + self.interval;
        let foreign = if counts { self.foreign.0 } else { 0 };
        let room = self.calls_max.saturating_sub(foreign).max(1) as usize;
        if self.sent.len() < room {
            self.sent.push_back(now);
            return None;
        }
        let oldest = self.sent[self.sent.len() - room];
        let free = oldest + self.span();
        // At least a millisecond, so that a waiter never spins.
        Some(free.duration_since(now).unsigned_abs().max(Duration::from_millis(1)))
    }

    /// Learns from an answer: the limit itself, and what is left of it.
    pub fn learn(
        &mut self,
        calls_max: Option<u32>,
        interval: Option<Duration>,
        remaining: Option<u32>,
        now: Timestamp,
    ) {
        if let Some(calls_max) = calls_max.filter(|calls| *calls > 0) {
            self.calls_max = calls_max;
        }
        if let Some(interval) = interval.filter(|interval| !interval.is_zero()) {
            self.interval = interval;
        }
        if let Some(remaining) = remaining {
            self.forget(now);
            let our_calls = u32::try_from(self.sent.len()).unwrap_or(u32::MAX);
            // Calls on their way are ours but not yet counted there, so this never takes ours for foreign ones.
            let foreign = self.calls_max.saturating_sub(remaining).saturating_sub(our_calls);
            self.foreign = (foreign, now + self.interval);
        }
    }

    /// Stops all calls for a while, after the server refused one.
    pub fn block(&mut self, now: Timestamp, duration: Duration) {
        self.blocked_until = self.blocked_until.max(now + duration);
        self.blocked_for = self.blocked_for.max(duration);
    }

    /// Calls per second that the window allows.
    pub fn calls_per_second(&self) -> f64 {
        f64::from(self.calls_max) / (self.interval + JITTER_MARGIN).as_secs_f64()
    }

    fn span(&self) -> SignedDuration {
        SignedDuration::try_from(self.interval + JITTER_MARGIN).unwrap_or(SignedDuration::from_secs(10))
    }

    fn forget(&mut self, now: Timestamp) {
        let span = self.span();
        // A clock that jumped back leaves stamps in the future: they count until it has caught up, a window at most.
        let counts = |sent: &Timestamp| *sent + span > now && *sent <= now + span;
        while self.sent.front().is_some_and(|sent| !counts(sent)) {
            self.sent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::rng::Rng;

    #[test]
    fn a_clock_that_is_set_back_blocks_no_longer_than_the_server_asked() {
        let start: Timestamp = "2026-06-01T12:00:00Z".parse().unwrap();
        let mut window = RollingWindow::new(10, Duration::from_secs(10));
        window.block(start, Duration::from_secs(5));
        window.learn(None, None, Some(0), start);
        let earlier = start - SignedDuration::from_hours(30);
        let wait = window.reserve(earlier).unwrap();
        assert!(wait <= Duration::from_secs(5), "{wait:?}");
        assert_eq!(window.reserve(earlier + wait), None);
    }

    /// A server that counts arrivals in a rolling window without any mercy.
    struct Server {
        arrivals: VecDeque<i64>,
        max: usize,
        refused: u32,
    }

    impl Server {
        fn arrive(&mut self, at: i64) {
            while self.arrivals.front().is_some_and(|first| at - first >= 10_000) {
                self.arrivals.pop_front();
            }
            if self.arrivals.len() >= self.max {
                self.refused += 1;
            } else {
                self.arrivals.push_back(at);
            }
        }
    }

    #[track_caller]
    fn check(seed: u64, max: u32, jitter_ms: u64, busy_share: f64) {
        let rng = Rng::seeded(seed);
        let mut window = RollingWindow::new(max, Duration::from_secs(10));
        let mut server = Server { arrivals: VecDeque::new(), max: max as usize, refused: 0 };
        let start = Timestamp::UNIX_EPOCH;
        let mut now = start;
        let mut arrivals: Vec<i64> = Vec::new();
        let end = start + Duration::from_secs(120);
        while now < end {
            match window.reserve(now) {
                None => {
                    let delay = 20 + rng.below(jitter_ms + 1);
                    arrivals.push(now.as_millisecond() + delay.cast_signed());
                    if rng.share() > busy_share {
                        now += Duration::from_millis(rng.below(400));
                    }
                }
                Some(wait) => now += wait,
            }
        }
        arrivals.sort_unstable();
        let sent = arrivals.len();
        arrivals.into_iter().for_each(|at| server.arrive(at));
        assert_eq!(server.refused, 0, "seed {seed}");
        if busy_share >= 1.0 {
            let share = sent as f64 / (12.0 * f64::from(max));
            assert!(share > 0.95, "only {share} of the limit is used");
        }
    }

    #[test]
    fn the_limit_is_used_and_kept() {
        for seed in 0..20 {
            check(seed, 190, 140, 1.0);
            check(seed, 100, 140, 0.7);
            check(seed, 7, 100, 1.0);
            check(seed, 1, 50, 1.0);
        }
    }

    #[test]
    fn answers_teach_the_limit_and_the_calls_of_others() {
        let now = Timestamp::UNIX_EPOCH;
        let mut window = RollingWindow::new(100, Duration::from_secs(10));
        window.learn(Some(10), Some(Duration::from_secs(10)), Some(4), now);
        let taken = (0..20).take_while(|_| window.reserve(now).is_none()).count();
        assert_eq!(taken, 4, "six calls are somebody else's");
        let later = now + Duration::from_millis(10_151);
        assert!((0..10).all(|_| window.reserve(later).is_none()), "their calls are forgotten after the interval");
        assert!(window.reserve(later).is_some());
    }

    #[test]
    fn a_refusal_stops_everybody_once() {
        let now = Timestamp::UNIX_EPOCH;
        let mut window = RollingWindow::new(10, Duration::from_secs(10));
        window.block(now, Duration::from_secs(3));
        assert_eq!(window.reserve(now), Some(Duration::from_secs(3)));
        assert_eq!(window.reserve(now + Duration::from_secs(3)), None);
    }
}
