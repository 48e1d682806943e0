//! Rate limits: a rolling window of ten seconds, five searches a second, and the day.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};

use super::answers;
use crate::sandbox::http::Reply;

/// Searches of a second, for the whole account.
const SEARCHES_MAX: usize = 5;

/// Counts calls.
#[derive(Debug, Clone)]
pub struct Limits {
    max: u32,
    interval: Duration,
    daily_max: u64,
    calls: VecDeque<i64>,
    searches: VecDeque<i64>,
    day: (i64, u64),
}

/// Which limit a call counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The ten seconds.
    Ordinary,
    /// The searches of a second.
    Search,
}

impl Limits {
    /// No calls yet.
    pub fn new((max, interval): (u32, Duration), daily_max: u64) -> Self {
        Self { max, interval, daily_max, calls: VecDeque::new(), searches: VecDeque::new(), day: (0, 0) }
    }

    /// Changes the limits.
    pub fn set(&mut self, max: Option<u32>, daily_max: Option<u64>) {
        self.max = max.unwrap_or(self.max);
        self.daily_max = daily_max.unwrap_or(self.daily_max);
    }

    /// Counts a call, or refuses it with the answer to send.
    pub fn count(&mut self, kind: Kind, now: i64, correlation: &str) -> Option<Reply> {
        // By UTC. Really the day ends at midnight of the account's time zone, which no test depends on.
        let day = now.div_euclid(86_400_000);
        if self.day.0 != day {
            self.day = (day, 0);
        }
        if self.day.1 >= self.daily_max {
            return Some(refused(
                "DAILY",
                "You have reached your daily limit.",
                "publicapi:private_app-api-calls-daily",
                correlation,
            ));
        }
        let (calls, window, max) = match kind {
            Kind::Ordinary => {
                (&mut self.calls, i64::try_from(self.interval.as_millis()).unwrap_or(i64::MAX), self.max as usize)
            }
            Kind::Search => (&mut self.searches, 1_000, SEARCHES_MAX),
        };
        while calls.front().is_some_and(|at| now - at >= window) {
            calls.pop_front();
        }
        // A refused call does not count: a client that only waits gets through.
        if calls.len() >= max {
            return Some(match kind {
                Kind::Ordinary => refused(
                    "TEN_SECONDLY_ROLLING",
                    "You have reached your ten_secondly_rolling limit.",
                    "publicapi:private_app-api-calls-ten-secondly",
                    correlation,
                ),
                Kind::Search => {
                    refused("SECONDLY", "You have reached your secondly limit.", "publicapi:crm:search", correlation)
                }
            });
        }
        calls.push_back(now);
        self.day.1 += 1;
        None
    }

    /// Adds the headers that ordinary answers carry.
    pub fn headers(&self, reply: Reply) -> Reply {
        let used = u32::try_from(self.calls.len()).unwrap_or(u32::MAX);
        reply
            .with("x-hubspot-ratelimit-interval-milliseconds", self.interval.as_millis().to_string())
            .with("x-hubspot-ratelimit-max", self.max.to_string())
            .with("x-hubspot-ratelimit-remaining", self.max.saturating_sub(used).to_string())
            .with("x-hubspot-ratelimit-daily", self.daily_max.to_string())
            .with("x-hubspot-ratelimit-daily-remaining", self.daily_max.saturating_sub(self.day.1).to_string())
            // No longer documented, and sent all the same: a client must not take it for the limit.
            .with("x-hubspot-ratelimit-secondly", (self.max / 10).to_string())
            .with("x-hubspot-ratelimit-secondly-remaining", (self.max / 10).to_string())
    }

    /// The day's usage.
    pub fn usage(&self) -> Value {
        json!({"results": [{"name": "private-apps-api-calls-daily", "usageLimit": self.daily_max,
            "currentUsage": self.day.1, "fetchStatus": "SUCCESS"}]})
    }
}

/// A 429: it has no category, and no `Retry-After`.
fn refused(policy: &str, message: &str, group: &str, correlation: &str) -> Reply {
    let body = json!({"status": "error", "message": message, "errorType": "RATE_LIMIT", "correlationId": correlation,
        "policyName": policy, "groupName": format!("{group}:1234567")});
    answers::json(429, &body)
}
