//! Calls of a rolling day, by the hour.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A day is a rolling one.
pub const DAY: Duration = Duration::from_hours(24);

/// Calls are kept by the hour, so that those of yesterday are forgotten.
const HOUR_SECONDS: i64 = 3600;

/// Calls by hour since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DailyCalls(BTreeMap<i64, u64>);

impl DailyCalls {
    /// So many more, made at a time.
    pub fn add(&mut self, at: Timestamp, calls: u64) {
        if calls > 0 {
            *self.0.entry(hour(at)).or_default() += calls;
        }
    }

    /// Adds others.
    pub fn add_all(&mut self, others: &Self) {
        for (hour, calls) in &others.0 {
            *self.0.entry(*hour).or_default() += calls;
        }
    }

    /// Takes others out, as far as they are there.
    pub fn take_out(&mut self, others: &Self) {
        for (hour, calls) in &others.0 {
            if let Some(counted) = self.0.get_mut(hour) {
                *counted = counted.saturating_sub(*calls);
            }
        }
        self.0.retain(|_, calls| *calls > 0);
    }

    /// Takes out one of those that count at a time; false where there is none.
    pub fn take_one(&mut self, now: Timestamp) -> bool {
        let Some(hour) = self.counting(now).map(|(hour, _)| hour).last() else { return false };
        if let Some(calls) = self.0.get_mut(&hour) {
            *calls -= 1;
        }
        self.0.retain(|_, calls| *calls > 0);
        true
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many count at a time.
    pub fn count(&self, now: Timestamp) -> u64 {
        self.counting(now).map(|(_, calls)| calls).sum()
    }

    /// When the first of those that count at a time count no more.
    pub fn frees_at(&self, now: Timestamp) -> Option<Timestamp> {
        let oldest = self.counting(now).map(|(hour, _)| hour).min()?;
        Some(Timestamp::from_second((oldest + 1) * HOUR_SECONDS).ok()? + DAY)
    }

    /// Forgets those of the days before.
    pub fn forget(&mut self, now: Timestamp) {
        self.0.retain(|call, _| *call >= hour(now - DAY));
    }

    /// Hours with calls that count at this time. An hour in the future is one by another clock.
    fn counting(&self, now: Timestamp) -> impl Iterator<Item = (i64, u64)> {
        // A whole hour counts as long as any of it lies in the day: the count errs to the safe side. An hour ahead
        // allows for clocks that differ.
        let (oldest, newest) = (hour(now - DAY), hour(now) + 1);
        self.0.range(oldest..=newest).map(|(hour, calls)| (*hour, *calls))
    }
}

fn hour(time: Timestamp) -> i64 {
    time.as_second().div_euclid(HOUR_SECONDS)
}
