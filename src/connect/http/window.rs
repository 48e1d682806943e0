//! The pure part of the rate limit: which calls lie in the rolling window, and how long the next one must wait. Time is
//! handed in.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Added to the window: the server counts calls when they arrive, so two that were sent an interval apart can arrive
/// closer together than that. 150 ms of 10 s leaves 98.5 % of the limit in use.
pub const JITTER_MARGIN: Duration = Duration::from_millis(150);

/// The widest margin: after each call that the server refused the margin doubles.
/// Where that is not enough, others use the limit as well, against whom distance does not help.
const MARGIN_MAX: Duration = Duration::from_millis(1200);

/// After so long without a refusal a widened margin is halved.
/// Long enough to see several windows pass well; short enough not to lose a tenth of the rate for an hour.
const MARGIN_SHRINKS_AFTER: Duration = Duration::from_secs(60);

/// One that has the limit for itself may take nearly all of it at once. This part of it, one in so many, is spread, so that whoever comes
/// next does not wait for long. While one calls without a pause, this part of the limit stays unused.
const SPREAD_ALONE: usize = 40;

/// In so many steps of a window the part goes that is spread by one alone.
const STEPS_ALONE: usize = 11;

/// Several that share the limit take half of it at once at most, and the rest a tenth faster than it comes free, so that calls
/// come evenly for all of them.
const SPREAD_SHARED: usize = 2;

/// Most calls that are taken over from somebody else: more than any limit of an interval.
const INHERITED_MAX: u32 = 4_000;

/// The user of calls that belong to no run: they are few, so nobody makes room for them.
pub const NOBODY: u32 = 0;

/// Who a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Changes, and all else that somebody waits for.
    Changes,
    /// A comparison of both systems: it takes no more than half of the window while changes wait for their turn.
    Comparison,
}

/// A call that has its place in the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// When it was sent.
    pub at: Timestamp,
    /// Who it is for.
    pub share: Share,
    /// The one of those who share the limit that sent it.
    pub user: u32,
}

/// What those who share a limit know of it together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// Calls in the window, oldest first, and those that have left it for a while: the server may have counted them still when it
    /// gave the answer that arrives now. In order of time.
    pub sent: VecDeque<Sent>,
    /// The number of the call that comes next: those in `sent` have the numbers before it.
    pub next: u64,
    /// Changes had to wait for their turn lately: until when that counts.
    pub contended_until: Timestamp,
    /// Nobody calls before this.
    pub blocked_until: Timestamp,
    /// How long the last block was meant to last.
    pub blocked_for: Duration,
    /// What is added to the window.
    pub margin: Duration,
    /// When the margin was changed last.
    pub margin_set: Timestamp,
}

impl Default for Shared {
    fn default() -> Self {
        let past = Timestamp::UNIX_EPOCH;
        Self {
            sent: VecDeque::new(),
            next: 0,
            contended_until: past,
            blocked_until: past,
            blocked_for: Duration::ZERO,
            margin: JITTER_MARGIN,
            margin_set: past,
        }
    }
}

/// A rolling window of calls.
#[derive(Debug, Clone)]
pub struct RollingWindow {
    calls_max: u32,
    interval: Duration,
    /// What others know as well.
    shared: Shared,
    /// From this number on, others do not know the calls as they are here.
    untold: u64,
    /// Calls of those that share the limit and nothing else, and until when they count.
    foreign: (u32, Timestamp),
}

impl RollingWindow {
    /// At most `calls_max` calls in any `interval`.
    pub fn new(calls_max: u32, interval: Duration) -> Self {
        let foreign = (0, Timestamp::UNIX_EPOCH);
        // Never nothing: a limit of zero would stop all calls for good, with no answer to correct it.
        Self { calls_max: calls_max.max(1), interval, shared: Shared::default(), untold: 0, foreign }
    }

    /// What others know as well, and the number of the first call that they do not know as it is here.
    pub fn to_tell(&self) -> (&Shared, u64) {
        (&self.shared, self.untold)
    }

    /// Others know all of it.
    pub fn told(&mut self) {
        self.untold = self.shared.next;
    }

    /// Takes what others have left for what is known together.
    pub fn take_over(&mut self, shared: Shared) {
        self.shared = shared;
        self.told();
    }

    /// A window of which others know nothing yet.
    #[cfg(test)]
    pub fn of_test(shared: Shared) -> Self {
        let untold = shared.next - shared.sent.len() as u64;
        Self { shared, untold, ..Self::new(100, Duration::from_secs(10)) }
    }

    /// Enters calls of one moment, in order of time; a clock that jumped back may have left later ones.
    fn enter(&mut self, sent: Sent, times: usize) {
        let all = &mut self.shared.sent;
        let place = match all.back() {
            Some(last) if sent.at < last.at => all.partition_point(|other| other.at <= sent.at),
            Some(_) | None => all.len(),
        };
        self.untold = self.untold.min(self.shared.next - (all.len() - place) as u64);
        self.shared.next += times as u64;
        for _ in 0..times {
            all.insert(place, sent);
        }
    }

    /// Takes a place for a call now, or says how long to wait before asking again.
    pub fn reserve(&mut self, now: Timestamp, share: Share, user: u32) -> Result<Sent, Duration> {
        self.forget(now);
        // A clock that jumped back makes no block longer than it was meant to be.
        let longest = now + SignedDuration::try_from(self.shared.blocked_for).unwrap_or(SignedDuration::MAX);
        self.shared.blocked_until = self.shared.blocked_until.min(longest);
        if now < self.shared.blocked_until {
            return Err(self.shared.blocked_until.duration_since(now).unsigned_abs());
        }
        // What an answer said of others holds for one window: after that their calls have left it.
        let counts = now < self.foreign.1 && self.foreign.1 <= now + self.interval;
        let foreign = if counts { self.foreign.0 } else { 0 };
        // At least one call, as only its answer can tell that there is room again.
        let room = self.calls_max.saturating_sub(foreign).max(1) as usize;
        if let Some(free) = self.half_is_taken(now, share, room) {
            return Err(pause(now, free));
        }
        let sent = &self.shared.sent;
        if self.in_window(now).len() >= room {
            // When the oldest of the last `room` calls leaves, one place is free; older ones leave before that.
            let free = sent[sent.len() - room].at + self.span();
            if share == Share::Changes {
                // Until it has had its turn, and the one after it.
                self.shared.contended_until = self.shared.contended_until.max(free + self.interval);
            }
            return Err(pause(now, free));
        }
        if let Some(next) = self.spread(now, user, room).filter(|next| now < *next && *next <= now + self.span()) {
            return Err(pause(now, next));
        }
        // As exact as others can read it.
        let at = Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now);
        let place = Sent { at, share, user };
        self.enter(place, 1);
        Ok(place)
    }

    /// When the next call may be sent, where so many were that the rest of the window is spread.
    fn spread(&self, now: Timestamp, user: u32, room: usize) -> Option<Timestamp> {
        // Somebody is there for others as long as a call of theirs stands in the window.
        let is_shared = user != NOBODY && self.in_window(now).any(|sent| sent.user != user && sent.user != NOBODY);
        let rest = if is_shared { room / SPREAD_SHARED } else { room / SPREAD_ALONE };
        // So much of the limit may be taken at once; a short run is over before it ends.
        if rest == 0 || self.in_window(now).len() < room - rest {
            return None;
        }
        // What is shared comes free evenly after one window; then all of it does.
        let steps = if is_shared { room + room / 10 } else { STEPS_ALONE };
        let step = self.span() / i32::try_from(steps).unwrap_or(i32::MAX);
        let sent = &self.shared.sent;
        // Earlier where so many leave the window by then that nothing need be spread.
        let leaves = sent.get(sent.len().checked_sub(room - rest)?).map(|oldest| oldest.at + self.span())?;
        sent.back().map(|last| (last.at + step).min(leaves))
    }

    /// The calls that are in the window.
    fn in_window(&self, now: Timestamp) -> impl ExactSizeIterator<Item = &Sent> {
        let since = before(now, self.span());
        let sent = &self.shared.sent;
        sent.range(sent.partition_point(|sent| sent.at <= since)..)
    }

    /// When a comparison may go on that has taken its half while changes wait; none where it may go on now.
    fn half_is_taken(&self, now: Timestamp, share: Share, room: usize) -> Option<Timestamp> {
        // A clock that jumped back leaves the moment in the future: it counts for two windows at most.
        let until = self.shared.contended_until;
        let contended = now < until && until <= now + self.span() + self.span();
        if share != Share::Comparison || !contended {
            return None;
        }
        // At least one, else a comparison beside busy changes would never end.
        let half = (room / 2).max(1);
        let taken: Vec<&Sent> = self.in_window(now).filter(|sent| sent.share == Share::Comparison).collect();
        let place = taken.len().checked_sub(half)?;
        taken.get(place).map(|oldest| oldest.at + self.span())
    }

    /// A call that has its place is written to the connection only now: from now on it counts.
    pub fn written(&mut self, place: Sent, now: Timestamp) {
        // From the back, where it is as a rule; one that has left the window meanwhile is not brought back.
        if let Some(index) = self.shared.sent.iter().rposition(|sent| *sent == place) {
            self.untold = self.untold.min(self.shared.next - (self.shared.sent.len() - index) as u64);
            self.shared.sent.remove(index);
            self.shared.next -= 1;
            // A clock that jumped back must not move a call to before its place.
            self.enter(Sent { at: now.max(place.at), ..place }, 1);
        }
    }

    /// Learns from the answer to a call that was made at `asked`: the limit itself, and what is left of it.
    pub fn learn(
        &mut self,
        calls_max: Option<u32>,
        interval: Option<Duration>,
        remaining: Option<u32>,
        asked: Timestamp,
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
            // Calls on their way are ours but not yet counted there, and those that left the window since the call was made were
            // counted there, so this never takes ours for foreign ones.
            let our_calls = self.in_window(asked.min(now)).len();
            let our_calls = u32::try_from(our_calls).unwrap_or(u32::MAX);
            // What is missing beyond ours was used by other programs with the same token.
            let foreign = self.calls_max.saturating_sub(remaining).saturating_sub(our_calls);
            self.foreign = (foreign, now + self.interval);
        }
    }

    /// Takes over from somebody who had the limit before: so many calls of theirs at a moment, or all that it allows where nobody knows.
    pub fn inherit(&mut self, calls: Option<u32>, at: Timestamp) {
        let span = self.span();
        match calls {
            None => {
                self.shared.blocked_until = self.shared.blocked_until.max(at + span);
                self.shared.blocked_for = self.shared.blocked_for.max(span.unsigned_abs());
            }
            Some(calls) => {
                let theirs = Sent { at, share: Share::Changes, user: NOBODY };
                self.enter(theirs, calls.min(INHERITED_MAX) as usize);
            }
        }
    }

    /// How many calls stand in the window.
    pub fn calls(&self, now: Timestamp) -> u32 {
        u32::try_from(self.in_window(now).len()).unwrap_or(u32::MAX)
    }

    /// Stops all calls for a while, after the server refused one; calls keep a wider distance from then on.
    pub fn block(&mut self, now: Timestamp, duration: Duration) {
        let shared = &mut self.shared;
        shared.blocked_until = shared.blocked_until.max(now + duration);
        shared.blocked_for = shared.blocked_for.max(duration);
        // Calls that were on their way together are refused together: that is one reason to keep more distance.
        if now < shared.margin_set || now.duration_since(shared.margin_set).unsigned_abs() >= self.interval {
            shared.margin = (shared.margin * 2).min(MARGIN_MAX);
            shared.margin_set = now;
        }
    }

    /// Calls per second that the window allows.
    pub fn calls_per_second(&self) -> f64 {
        f64::from(self.calls_max) / (self.interval + self.shared.margin).as_secs_f64()
    }

    fn span(&self) -> SignedDuration {
        SignedDuration::try_from(self.interval + self.shared.margin).unwrap_or(SignedDuration::from_secs(10))
    }

    fn forget(&mut self, now: Timestamp) {
        let shared = &mut self.shared;
        shared.margin = shared.margin.clamp(JITTER_MARGIN, MARGIN_MAX);
        // A clock that jumped back starts the time anew.
        shared.margin_set = shared.margin_set.min(now);
        if shared.margin > JITTER_MARGIN && now.duration_since(shared.margin_set).unsigned_abs() >= MARGIN_SHRINKS_AFTER
        {
            shared.margin = (shared.margin / 2).max(JITTER_MARGIN);
            shared.margin_set = now;
        }
        let span = self.span();
        let shared = &mut self.shared;
        // A clock that jumped back leaves stamps in the future: they count until it has caught up, a window at most.
        let (since, until) = (before(now, span + span), now + span);
        while shared.sent.front().is_some_and(|sent| sent.at <= since) {
            shared.sent.pop_front();
        }
        while shared.sent.back().is_some_and(|sent| sent.at > until) {
            shared.sent.pop_back();
            shared.next -= 1;
        }
        self.untold = self.untold.min(shared.next);
    }
}

/// The moment so long before another one.
fn before(now: Timestamp, span: SignedDuration) -> Timestamp {
    now.saturating_sub(span).unwrap_or(Timestamp::MIN)
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
            for (place, share) in [(0_usize, Comparison), (1, Changes)] {
                let waits = share == Comparison || busy.contains(&millisecond);
                while waits && tried[place] <= millisecond {
                    match window.reserve(now, share, place as u32 + 1) {
                        Ok(_) => sent[place].push(millisecond),
                        Err(wait) => tried[place] = millisecond + i64::try_from(wait.as_millis()).unwrap(),
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
        // The interval may begin and end in the middle of what comes at once.
        assert!(changed + 1 + max / 10 >= compared && compared >= changed / 2, "{compared} and {changed} of {max}");
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
    fn what_somebody_else_used_before_counts() {
        let start: Timestamp = "2026-06-01T12:00:00Z".parse().unwrap();
        let at = |milliseconds: i64| start + SignedDuration::from_millis(milliseconds);
        let mut window = RollingWindow::new(10, Duration::from_secs(10));
        window.inherit(Some(8), at(0));
        assert_eq!(window.calls(at(100)), 8);
        let taken = (0..10).filter(|_| window.reserve(at(5_000), Changes, 1).is_ok()).count();
        assert_eq!(taken, 2);
        assert!(window.reserve(at(10_200), Changes, 1).is_ok(), "theirs have left the window");
        let mut window = RollingWindow::new(10, Duration::from_secs(10));
        window.inherit(None, at(0));
        // An answer that tells a higher limit changes nothing about it.
        window.learn(Some(190), None, None, at(0), at(0));
        assert!(window.reserve(at(10_100), Changes, 1).is_err());
        assert!(window.reserve(at(10_200), Changes, 1).is_ok());
    }

    #[test]
    fn a_clock_that_is_set_back_blocks_no_longer_than_the_server_asked() {
        let start: Timestamp = "2026-06-01T12:00:00Z".parse().unwrap();
        let mut window = RollingWindow::new(10, Duration::from_secs(10));
        window.block(start, Duration::from_secs(5));
        window.learn(None, None, Some(0), start, start);
        let earlier = start - SignedDuration::from_hours(30);
        let wait = window.reserve(earlier, Changes, 1).unwrap_err();
        assert!(wait <= Duration::from_secs(5), "{wait:?}");
        assert!(window.reserve(earlier + wait, Changes, 1).is_ok());
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
            match window.reserve(now, Changes, 1) {
                Ok(_) => {
                    let delay = 20 + rng.below(jitter_ms + 1);
                    arrivals.push(now.as_millisecond() + delay.cast_signed());
                    if rng.share() > busy_share {
                        now += Duration::from_millis(rng.below(400));
                    }
                }
                Err(wait) => now += wait,
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
        window.learn(Some(10), Some(Duration::from_secs(10)), Some(4), now, now);
        let taken = (0..20).take_while(|_| window.reserve(now, Changes, 1).is_ok()).count();
        assert_eq!(taken, 4, "six calls are somebody else's");
        let later = now + Duration::from_millis(10_151);
        assert!(
            (0..10).all(|_| window.reserve(later, Changes, 1).is_ok()),
            "their calls are forgotten after the interval"
        );
        assert!(window.reserve(later, Changes, 1).is_err());
    }

    #[test]
    fn calls_that_leave_the_window_while_an_answer_is_on_its_way_are_not_those_of_others() {
        let start = Timestamp::UNIX_EPOCH + Duration::from_secs(1_000);
        let at = |milliseconds: u64| start + Duration::from_millis(milliseconds);
        let mut window = RollingWindow::new(20, Duration::from_secs(10));
        (0..10).for_each(|_| assert!(window.reserve(start, Changes, 1).is_ok()));
        // The server counts the eleventh while the ten stand in its window, and its answer comes when they have left ours.
        window.reserve(at(9_900), Changes, 1).unwrap();
        window.learn(None, None, Some(9), at(9_900), at(11_000));
        let taken = (0..30).take_while(|_| window.reserve(at(11_000), Changes, 1).is_ok()).count();
        assert!(taken >= 18, "{taken}");
    }

    #[test]
    fn a_refusal_stops_everybody_once() {
        let now = Timestamp::UNIX_EPOCH;
        let mut window = RollingWindow::new(10, Duration::from_secs(10));
        window.block(now, Duration::from_secs(3));
        assert_eq!(window.reserve(now, Changes, 1), Err(Duration::from_secs(3)));
        assert!(window.reserve(now + Duration::from_secs(3), Changes, 1).is_ok());
    }

    #[test]
    fn a_refusal_widens_the_margin_for_a_while() {
        let start = Timestamp::UNIX_EPOCH + Duration::from_secs(1_000);
        let mut window = RollingWindow::new(10, Duration::from_secs(10));
        let margin_at = |window: &mut RollingWindow, seconds: u64| {
            let _ = window.reserve(start + Duration::from_secs(seconds), Changes, 1);
            window.shared.margin.as_millis()
        };
        assert_eq!(margin_at(&mut window, 0), 150);
        for _ in 0..5 {
            window.block(start, Duration::from_secs(2));
        }
        assert_eq!(margin_at(&mut window, 3), 300, "calls that were refused together count once");
        for refusal in 1..9 {
            window.block(start + Duration::from_secs(10 * refusal), Duration::from_secs(2));
        }
        assert_eq!(margin_at(&mut window, 100), 1200);
        assert_eq!(margin_at(&mut window, 141), 600);
        assert_eq!(margin_at(&mut window, 500), 300);
        assert_eq!(margin_at(&mut window, 1_000), 150);
        assert_eq!(margin_at(&mut window, 2_000), 150);
    }

    #[test]
    fn a_call_counts_from_the_moment_it_is_written() {
        let start = Timestamp::UNIX_EPOCH;
        let mut window = RollingWindow::new(1, Duration::from_secs(10));
        let place = window.reserve(start, Changes, 1).unwrap();
        window.written(place, start + Duration::from_millis(700));
        let wait = window.reserve(start + Duration::from_secs(10), Changes, 1).unwrap_err();
        assert_eq!(wait, Duration::from_millis(850));
    }

    /// Several that always have calls to make, from the times at which they begin: the longest time that each waits between two
    /// calls after the first windows, and what each got.
    fn waits(max: u32, begin: &[i64]) -> Vec<(i64, usize)> {
        let mut window = RollingWindow::new(max, Duration::from_secs(10));
        let mut sent: Vec<Vec<i64>> = vec![Vec::new(); begin.len()];
        for millisecond in (0..80_000_i64).step_by(10) {
            let now = Timestamp::UNIX_EPOCH + SignedDuration::from_millis(millisecond);
            // Whoever has waited longest is asked first.
            let mut order: Vec<usize> = (0..begin.len()).filter(|user| begin[*user] <= millisecond).collect();
            order.sort_by_key(|user| sent[*user].last().copied().unwrap_or(i64::MIN));
            for user in order {
                if window.reserve(now, Changes, user as u32 + 1).is_ok() {
                    sent[user].push(millisecond);
                }
            }
        }
        let longest = |sent: &Vec<i64>| sent.windows(2).map(|two| two[1] - two[0]).max().unwrap_or(i64::MAX);
        let settled = |sent: Vec<i64>| sent.into_iter().filter(|at| *at > 40_000).collect::<Vec<i64>>();
        sent.into_iter().map(settled).map(|sent| (longest(&sent), sent.len())).collect()
    }

    #[test]
    fn those_who_share_a_limit_are_served_evenly() {
        let got = waits(190, &[0, 0, 13_000, 26_500]);
        for (longest, calls) in &got {
            assert!(*longest <= 1_500, "{got:?}");
            assert!((165..=215).contains(calls), "{got:?}");
        }
        assert!(got.iter().map(|(_, calls)| calls).sum::<usize>() >= 190 * 40 / 10 * 95 / 100, "{got:?}");
    }

    #[test]
    fn what_is_spread_keeps_nobody_from_what_comes_free() {
        let start = Timestamp::UNIX_EPOCH;
        let at = |milliseconds: u64| start + Duration::from_millis(milliseconds);
        let mut window = RollingWindow::new(80, Duration::from_secs(10));
        (0..40).for_each(|_| assert!(window.reserve(start, Changes, 1).is_ok()));
        (0..38).for_each(|_| assert!(window.reserve(at(9_500), Changes, 1).is_ok()));
        let wait = window.reserve(at(9_500), Changes, 1).unwrap_err();
        assert_eq!(wait, Duration::from_millis(650), "forty places come free then");
    }

    #[test]
    fn whoever_comes_second_waits_for_a_second_at_most() {
        let mut window = RollingWindow::new(190, Duration::from_secs(10));
        let start = Timestamp::UNIX_EPOCH;
        let mut taken = 0;
        while window.reserve(start, Changes, 1).is_ok() {
            taken += 1;
        }
        assert!(taken >= 170, "{taken}");
        let wait = window.reserve(start, Changes, 2).unwrap_err();
        assert!(wait <= Duration::from_millis(1_000), "{wait:?}");
        assert!(window.reserve(start + wait, Changes, 2).is_ok());
    }
}
