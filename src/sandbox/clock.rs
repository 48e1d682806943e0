//! The sandbox's own time: a clock of `sys` plus an offset that tests move, so that recycle bins and tokens expire at will.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::sys::clock::Clock;

/// Largest offset to either side, in milliseconds: a century, so that sums stay within what a timestamp holds.
const OFFSET_MS_MAX: i64 = 100 * 365 * 86_400_000;

/// Time as both services see it. Waiting on the wire (latency, drips) is not done on this clock but in real time.
#[derive(Debug)]
pub struct VirtualClock {
    base: Clock,
    offset_ms: AtomicI64,
}

impl VirtualClock {
    /// A clock that shows the time of `base`.
    pub fn new(base: Clock) -> Self {
        Self { base, offset_ms: AtomicI64::new(0) }
    }

    /// The present moment in the sandbox's world, in UTC.
    pub fn now(&self) -> Timestamp {
        let offset = SignedDuration::from_millis(self.offset_ms());
        let now = self.base.now();
        // At the ends of what a timestamp holds the real time is the better answer than none.
        now.checked_add(offset).unwrap_or(now)
    }

    /// How far the world is ahead of the base clock, in milliseconds.
    pub fn offset_ms(&self) -> i64 {
        self.offset_ms.load(Ordering::Relaxed)
    }

    /// Sets the offset, in milliseconds, cut to a century to either side.
    pub fn set_offset_ms(&self, offset_ms: i64) {
        self.offset_ms.store(offset_ms.clamp(-OFFSET_MS_MAX, OFFSET_MS_MAX), Ordering::Relaxed);
    }

    /// Moves the world forward.
    pub fn advance(&self, duration: Duration) {
        let step = i64::try_from(duration.as_millis()).unwrap_or(OFFSET_MS_MAX);
        self.set_offset_ms(self.offset_ms().saturating_add(step));
    }

    /// Moves the world so that it is `time` now.
    pub fn set(&self, time: Timestamp) {
        let step = time.duration_since(self.base.now());
        self.set_offset_ms(i64::try_from(step.as_millis()).unwrap_or(OFFSET_MS_MAX));
    }
}

/// Reads a duration such as `250ms`, `90s`, `5m`, `24h`, `15d`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration; write for example `250ms`, `90s`, `5m`, `24h`, `15d`");
    let text = text.trim();
    // Without a unit the text is refused: a bare number could mean seconds or milliseconds.
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(wrong)?;
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let factor_ms = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(factor_ms).map(Duration::from_millis).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, milliseconds: Option<u64>) {
        assert_eq!(parse_duration(text).ok(), milliseconds.map(Duration::from_millis), "{text}");
    }

    #[test]
    fn durations() {
        check("250ms", Some(250));
        check("90s", Some(90_000));
        check(" 5m ", Some(300_000));
        check("24h", Some(86_400_000));
        check("15d", Some(1_296_000_000));
        check("0s", Some(0));
        for wrong in ["", "s", "15", "1.5h", "-1s", "1w", "99999999999999999999s", "18446744073709551615d", "5é"] {
            check(wrong, None);
        }
    }

    #[test]
    fn the_world_moves_apart_from_the_base() {
        let start: Timestamp = "2026-10-01T09:00:00Z".parse().unwrap();
        let base = Clock::manual(start);
        let clock = VirtualClock::new(base.clone());
        clock.advance(Duration::from_secs(15 * 86_400));
        assert_eq!(clock.now(), "2026-10-16T09:00:00Z".parse().unwrap());
        base.advance(Duration::from_secs(60));
        assert_eq!(clock.now(), "2026-10-16T09:01:00Z".parse().unwrap());
        clock.set("2026-10-01T00:00:00Z".parse().unwrap());
        assert_eq!(clock.now(), "2026-10-01T00:00:00Z".parse().unwrap());
        clock.set_offset_ms(i64::MAX);
        assert!(clock.now() > start, "an absurd offset is cut, not wrapped around");
    }
}
