//! Time as a value that is handed in: the system's clock, or one that a test moves.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;

use super::files;

/// Far more than two numbers take, in bytes.
const UPTIME_BYTES_MAX: u64 = 4_096;

/// Tells the time and sleeps. Cheap to clone; clones share one clock.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    System,
    Manual(Arc<Hands>),
}

/// A clock that others move.
#[derive(Debug)]
struct Hands {
    time: watch::Sender<Timestamp>,
    /// When those who sleep wake up, and how many of them.
    sleepers: Mutex<BTreeMap<Timestamp, usize>>,
}

/// Somebody who sleeps on a clock that others move.
struct Sleeper<'a> {
    hands: &'a Hands,
    until: Timestamp,
}

impl<'a> Sleeper<'a> {
    fn new(hands: &'a Hands, until: Timestamp) -> Self {
        // Counted, as several may sleep until one moment.
        *hands.sleepers().entry(until).or_default() += 1;
        Self { hands, until }
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        let mut sleepers = self.hands.sleepers();
        if let Some(count) = sleepers.get_mut(&self.until) {
            *count -= 1;
            if *count == 0 {
                sleepers.remove(&self.until);
            }
        }
    }
}

impl Hands {
    fn sleepers(&self) -> std::sync::MutexGuard<'_, BTreeMap<Timestamp, usize>> {
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A moment from which time is counted that only goes on, whatever is done to the clock's hands.
#[derive(Debug, Clone, Copy)]
pub struct Mark(MarkKind);

#[derive(Debug, Clone, Copy)]
enum MarkKind {
    System(Instant),
    Manual(Timestamp),
}

/// A moment from which time is counted that goes on while the computer sleeps.
#[derive(Debug, Clone, Copy)]
pub struct LongMark {
    counted: Mark,
    wall: Timestamp,
    /// Time since the computer started, where the system tells it.
    up: Option<Duration>,
}

impl Clock {
    /// The computer's clock.
    pub fn system() -> Self {
        Self(Kind::System)
    }

    /// A clock that stands at `start` until [`Clock::advance`] moves it. Sleepers wake when it passes their time.
    pub fn manual(start: Timestamp) -> Self {
        Self(Kind::Manual(Arc::new(Hands { time: watch::Sender::new(start), sleepers: Mutex::default() })))
    }

    /// Whether it stands still until it is moved.
    pub fn is_manual(&self) -> bool {
        matches!(self.0, Kind::Manual(_))
    }

    /// The present moment, in UTC.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            #[expect(clippy::disallowed_methods, reason = "the one place that reads the computer's clock")]
            Kind::System => Timestamp::now(),
            Kind::Manual(hands) => *hands.time.borrow(),
        }
    }

    /// Waits for `duration` on this clock.
    pub async fn sleep(&self, duration: Duration) {
        match &self.0 {
            Kind::System => tokio::time::sleep(duration).await,
            Kind::Manual(hands) => {
                let until = *hands.time.borrow() + duration;
                let _sleeper = Sleeper::new(hands, until);
                let mut watch = hands.time.subscribe();
                // The sender lives in `self`, so the wait can only end by reaching the time.
                let _ = watch.wait_for(|now| *now >= until).await;
            }
        }
    }

    /// This moment, for [`Clock::since`].
    pub fn mark(&self) -> Mark {
        Mark(match &self.0 {
            Kind::System => MarkKind::System(Instant::now()),
            Kind::Manual(_) => MarkKind::Manual(self.now()),
        })
    }

    /// The time that has passed since a moment.
    pub fn since(&self, mark: Mark) -> Duration {
        match mark.0 {
            MarkKind::System(at) => at.elapsed(),
            MarkKind::Manual(at) => self.now().duration_since(at).try_into().unwrap_or_default(),
        }
    }

    /// This moment, for [`Clock::long_since`].
    pub fn long_mark(&self) -> LongMark {
        LongMark { counted: self.mark(), wall: self.now(), up: self.up() }
    }

    /// The time that has passed since a moment, with that in which the computer slept or the process was stopped.
    pub fn long_since(&self, mark: LongMark) -> Duration {
        let counted = self.since(mark.counted);
        match (mark.up, self.up()) {
            (Some(before), Some(now)) => counted.max(now.saturating_sub(before)),
            // The hands go on as well; where they are set back, what was counted stays.
            _ => counted.max(self.now().duration_since(mark.wall).try_into().unwrap_or_default()),
        }
    }

    /// Time since the computer started, sleep included, to a hundredth of a second.
    fn up(&self) -> Option<Duration> {
        match &self.0 {
            // The kernel's clock that counts sleep, as text: asking for the number itself would take unsafe code.
            Kind::System => {
                let text = String::from_utf8(files::read(Path::new("/proc/uptime"), UPTIME_BYTES_MAX).ok()?).ok()?;
                Duration::try_from_secs_f64(text.split_ascii_whitespace().next()?.parse().ok()?).ok()
            }
            Kind::Manual(_) => None,
        }
    }

    /// Moves a manual clock forward; does nothing on the system's clock.
    pub fn advance(&self, duration: Duration) {
        if let Kind::Manual(hands) = &self.0 {
            hands.time.send_modify(|now| *now += duration);
        }
    }

    /// Moves a manual clock to the time when the next of those who sleep wakes up; false when nobody sleeps.
    pub fn advance_to_next(&self) -> bool {
        let Kind::Manual(hands) = &self.0 else { return false };
        let next = hands.sleepers().keys().next().copied();
        let Some(next) = next else { return false };
        // Never backwards: somebody may have begun to sleep for no time at all.
        hands.time.send_modify(|now| *now = next.max(*now));
        true
    }
}
