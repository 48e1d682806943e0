//! Small values of definitions: scalars, durations, limits.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A text, number or boolean, kept as the text that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Scalar(pub String);

/// A duration such as `90s`, `5m`, `24h`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DurationText(pub Duration);

impl DurationText {
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

/// A duration, or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Interval {
    /// Never.
    Off,
    /// So often.
    Every(DurationText),
}

impl Interval {
    /// Every so many seconds.
    pub const fn every_seconds(seconds: u64) -> Self {
        Self::Every(DurationText::seconds(seconds))
    }
}

/// A count of records (`500`) or a share of them (`10%`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum GuardLimit {
    /// At most so many.
    Count(u64),
    /// At most this share, in percent.
    Percent(f64),
}

impl Default for GuardLimit {
    fn default() -> Self {
        Self::Percent(10.0)
    }
}
