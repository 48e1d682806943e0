//! The pure part of the rate limit: which calls lie in the rolling window, and how long the next one must wait. Time is
//! handed in.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Added to the window: the server counts calls when they arrive, so two that were sent an interval apart can arrive
/// closer together than that. 150 ms of 10 s leaves 98.5 % of the limit in use.
pub const JITTER_MARGIN: Duration = Duration::from_millis(150);

/// Who a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Changes, and all else that somebody waits for.
    Changes,
    /// A comparison of both systems: it takes no more than half of the window while changes wait for their turn.
    Comparison,
}

/// A rolling window of calls.
#[derive(Debug, Clone)]
pub struct RollingWindow {
    calls_max: u32,
    interval: Duration,
    sent: VecDeque<(Timestamp, Share)>,
    /// Changes had to wait for their turn lately: until when that counts.
    contended_until: Timestamp,
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
            contended_until: past,
            foreign: (0, past),
            blocked_until: past,
            blocked_for: Duration::ZERO,
        }
    }

    /// Takes a place for a call now, or says how long to wait before asking again.
    pub fn reserve(&mut self, now: Timestamp, share: Share) -> Option<Duration> {
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
        if let Some(free) = self.half_is_taken(now, share, room) {
            return Some(pause(now, free));
        }
        if self.sent.len() < room {
            self.sent.push_back((now, share));
            return None;
        }
        let (oldest, _) = self.sent[self.sent.len() - room];
        let free = oldest + self.span();
        if share == Share::Changes {
            // Until it has had its turn, and the one after it.
            self.contended_until = self.contended_until.max(free + self.interval);
        }
        Some(pause(now, free))
    }

    /// When a comparison may go on that has taken its half while changes wait; none where it may go on now.
    fn half_is_taken(&self, now: Timestamp, share: Share, room: usize) -> Option<Timestamp> {
        // A clock that jumped back leaves the moment in the future: it counts for two windows at most.
        let contended = now < self.contended_until && self.contended_until <= now + self.span() + self.span();
        if share != Share::Comparison || !contended {
            return None;
        }
        let half = (room / 2).max(1);
        let mut taken = self.sent.iter().rev().filter(|(_, share)| *share == Share::Comparison);
        taken.nth(half - 1).map(|(oldest, _)| *oldest + self.span())
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
        let counts = |(sent, _): &(Timestamp, Share)| *sent + span > now && *sent <= now + span;
        while self.sent.front().is_some_and(|sent| !counts(sent)) {
            self.sent.pop_front();
        }
    }
}

/// At least a millisecond, so that a waiter never spins.
fn pause(now: Timestamp, until: Timestamp) -> Duration {
    until.duration_since(now).unsigned_abs().max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use super::Share::{Changes, Comparison};
    use super::*;
    use crate::sys::rng::Rng;

    /// A comparison that always has calls to make, and changes that come for some time: what each got, interval by interval.
    #[track_caller]
    fn check_shares(max: u32, busy: std::ops::Range<i64>) {
        let mut window = RollingWindow::new(max, Duration::from_secs(10));
        let start = Timestamp::UNIX_EPOCH;
        let mut sent: [Vec<i64>; 2] = Default::default();
        let mut tried = [0, 0];
        for millisecond in 0..120_000 {
            let now = start + SignedDuration::from_millis(millisecond);
            // Comparisons ask first: nothing but the rule keeps them from taking all.
            for (place, share) in [(0, Comparison), (1, Changes)] {
                let waits = share == Comparison || busy.contains(&millisecond);
                while waits && tried[place] <= millisecond {
                    match window.reserve(now, share) {
                        None => sent[place].push(millisecond),
                        Some(wait) => tried[place] = millisecond + i64::try_from(wait.as_millis()).unwrap(),
                    }
                }
            }
        }
        let within = |place: usize, from: i64, until: i64| {
            sent[place].iter().filter(|at| (from..until).contains(*at)).count() as u32
        };
        // Alone it has the whole limit, before and after.
        for from in [0, 100_000] {
            assert!(within(0, from, from + 10_000) >= max * 9 / 10, "{} of {max}", within(0, from, from + 10_000));
        }
        // Once what it took before is out of the window, it has half at most in any interval, changes have the rest, and nothing is lost.
        for from in (busy.start + 11_000..busy.end - 10_000).step_by(500) {
            let compared = within(0, from, from + 10_000);
            assert!(compared <= max / 2 + 1, "{compared} of {max} at {from}");
        }
        let (from, until) = (busy.start + 11_000, busy.end);
        let (compared, changed) = (within(0, from, until), within(1, from, until));
        assert!(changed + 1 >= compared && compared >= changed / 2, "{compared} and {changed} of {max}");
        let capacity = i64::from(max) * (until - from) / 10_150;
        assert!(i64::from(compared + changed) + i64::from(max) >= capacity, "{compared} and {changed} of {capacity}");
    }

    #[test]
    fn a_comparison_leaves_half_to_changes_that_wait() {
        for max in [190, 100, 10, 7] {
            check_shares(max, 20_000..80_000);
        }
    }

    #[test]
    fn a_clock_that_is_set_back_blocks_no_longer_than_the_server_asked() {
        let start: Timestamp = "2026-06-01T12:00:00Z".parse().unwrap();
        let mut window = RollingWindow::new(10, Duration::from_secs(10));
        window.block(start, Duration::from_secs(5));
        window.learn(None, None, Some(0), start);
        let earlier = start - SignedDuration::from_hours(30);
        let wait = window.reserve(earlier, Changes).unwrap();
        assert!(wait <= Duration::from_secs(5), "{wait:?}");
        assert_eq!(window.reserve(earlier + wait, Changes), None);
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
            match window.reserve(now, Changes) {
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
        let taken = (0..20).take_while(|_| window.reserve(now, Changes).is_none()).count();
        assert_eq!(taken, 4, "six calls are somebody else's");
        let later = now + Duration::from_millis(10_151);
        assert!(
            (0..10).all(|_| window.reserve(later, Changes).is_none()),
            "their calls are forgotten after the interval"
        );
        assert!(window.reserve(later, Changes).is_some());
    }

    #[test]
    fn a_refusal_stops_everybody_once() {
        let now = Timestamp::UNIX_EPOCH;
        let mut window = RollingWindow::new(10, Duration::from_secs(10));
        window.block(now, Duration::from_secs(3));
        assert_eq!(window.reserve(now, Changes), Some(Duration::from_secs(3)));
        assert_eq!(window.reserve(now + Duration::from_secs(3), Changes), None);
    }
}
