//! Calls to both services: how many in the last hour and the last day, and what is allowed. From the history of runs, so that every
//! process tells the same.

use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::config::project::{ConnectionConfig, SalesforceConfig};
use crate::config::scalar::percent;
use crate::model::ids::PipelineName;
use crate::ports::overview::{CALL_SLOT_MS, CallsMade};
use crate::ports::store::Store;
use crate::project::error::OpsError;
use crate::project::prepare::{allowed_key, rate_key};
use crate::project::wiring::Project;

const DAY: Duration = Duration::from_hours(24);
const HOUR: Duration = Duration::from_hours(1);

/// Parts of the last hour in which calls are counted.
const PARTS: usize = (3_600_000 / CALL_SLOT_MS) as usize;

/// One of the two services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// Salesforce.
    Salesforce,
    /// HubSpot.
    Hubspot,
}

impl Service {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Salesforce => "Salesforce",
            Self::Hubspot => "HubSpot",
        }
    }
}

/// Calls of the runs on one connection. Those of a run of more than five minutes are spread evenly over it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ConnectionCalls {
    /// The connection.
    pub connection: String,
    /// Which service it leads to.
    pub service: Service,
    /// Calls in the last 24 hours.
    pub calls_last_day: u64,
    /// Calls in the last hour.
    pub calls_last_hour: u64,
    /// The last hour in parts of five minutes, the earliest first.
    pub calls_by_five_minutes: Vec<u64>,
    /// Calls that are allowed in 24 hours (`api_budget`); none where that is not known yet, or nothing bounds them.
    pub allowed_per_day: Option<u64>,
    /// Calls that are allowed in an hour (the rate limit); none where that is not known yet.
    pub allowed_per_hour: Option<u64>,
    /// How much is used of what is allowed: of the day where that is bounded, else of the hour. 1 is all of it.
    pub share: Option<f64>,
}

/// The calls of the last day, and what is allowed.
pub struct Calls {
    made: Vec<CallsMade>,
    now: Timestamp,
    /// One entry a connection.
    pub connections: Vec<ConnectionCalls>,
}

impl Calls {
    /// Counts them.
    pub async fn read(project: &Project, state: &dyn Store, now: Timestamp) -> Result<Self, OpsError> {
        let made = state.calls_since(now - DAY, now).await?;
        let mut calls = Self { made, now, connections: Vec::new() };
        for (name, config) in &project.config.connections {
            let connection = calls.connection(project, state, name, config).await?;
            calls.connections.push(connection);
        }
        Ok(calls)
    }

    /// The share of the daily budget that a pipeline's calls to Salesforce took.
    pub fn budget_share(&self, pipeline: &PipelineName, connection: &str) -> Option<f64> {
        let known = |known: &&ConnectionCalls| known.connection == connection && known.service == Service::Salesforce;
        let allowed = self.connections.iter().find(known)?.allowed_per_day.filter(|allowed| *allowed > 0)?;
        let of_pipeline = self.made.iter().filter(|made| made.pipeline == *pipeline);
        Some(of_pipeline.map(|made| made.salesforce).sum::<u64>() as f64 / allowed as f64)
    }

    async fn connection(
        &self,
        project: &Project,
        state: &dyn Store,
        name: &str,
        config: &ConnectionConfig,
    ) -> Result<ConnectionCalls, OpsError> {
        let service = match config {
            ConnectionConfig::Salesforce(_) => Service::Salesforce,
            ConnectionConfig::Hubspot(_) => Service::Hubspot,
        };
        let uses = |pipeline: &PipelineName| {
            project.loaded.pipelines.iter().map(|loaded| &loaded.config).any(|config| {
                let connection = match service {
                    Service::Salesforce => &config.source.connection,
                    Service::Hubspot => &config.target.connection,
                };
                config.name == pipeline.as_str() && connection == name
            })
        };
        let mut parts = vec![0.0; PARTS];
        let mut day = 0;
        for made in self.made.iter().filter(|made| uses(&made.pipeline)) {
            let calls = match service {
                Service::Salesforce => made.salesforce,
                Service::Hubspot => made.hubspot,
            };
            day += calls;
            spread(&mut parts, self.now, made, calls);
        }
        let (allowed_per_day, allowed_per_hour) = match config {
            ConnectionConfig::Salesforce(config) => {
                let noted = state.note(&allowed_key(name)).await?;
                (budget(config, noted.and_then(|text| text.parse().ok())), None)
            }
            ConnectionConfig::Hubspot(config) => {
                let fixed = config.fixed_rate().map(|(calls, seconds)| f64::from(calls) / seconds as f64);
                let noted = state.note(&rate_key(name)).await?.and_then(|text| text.parse().ok());
                (None, fixed.or(noted).map(|rate: f64| (rate * HOUR.as_secs_f64()).round() as u64))
            }
        };
        let hour = parts.iter().sum::<f64>().round() as u64;
        let share = |used: u64, allowed: Option<u64>| {
            allowed.filter(|allowed| *allowed > 0).map(|allowed| used as f64 / allowed as f64)
        };
        Ok(ConnectionCalls {
            connection: name.to_owned(),
            service,
            calls_last_day: day,
            calls_last_hour: hour,
            calls_by_five_minutes: parts.into_iter().map(|calls| calls.round() as u64).collect(),
            allowed_per_day,
            allowed_per_hour,
            share: share(day, allowed_per_day).or_else(|| share(hour, allowed_per_hour)),
        })
    }
}

/// What `api_budget` allows in a day, where the org's own limit is known or not needed.
fn budget(config: &SalesforceConfig, org: Option<u64>) -> Option<u64> {
    let budget = &config.api_budget.0;
    match percent(budget) {
        Some(share) => org.map(|allowed| (allowed as f64 * share / 100.0) as u64),
        None => budget.parse().ok().or(org),
    }
}

/// Spreads calls over the parts of the last hour in which they were made.
fn spread(parts: &mut [f64], now: Timestamp, made: &CallsMade, calls: u64) {
    let before = |time: Timestamp| (now.as_millisecond() - time.as_millisecond()).max(0) as f64;
    let (earliest, latest) = (before(made.from), before(made.to));
    let slot = CALL_SLOT_MS as f64;
    let length = earliest - latest;
    let count = parts.len();
    for (index, part) in parts.iter_mut().enumerate() {
        // The part reaches from `start` before the present to `end` before it.
        let (start, end) = ((count - index) as f64 * slot, (count - index - 1) as f64 * slot);
        let overlap = (earliest.min(start) - latest.max(end)).max(0.0);
        *part += match length > 0.0 {
            true => calls as f64 * overlap / length,
            false if end <= earliest && earliest < start => calls as f64,
            false => 0.0,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(from: &str, to: &str, calls: u64) -> Vec<u64> {
        let now = "2026-01-01T12:00:00Z".parse().unwrap();
        let made = CallsMade {
            pipeline: PipelineName::new("a"),
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            salesforce: calls,
            hubspot: 0,
        };
        let mut parts = vec![0.0; PARTS];
        spread(&mut parts, now, &made, calls);
        parts.into_iter().map(|calls| calls.round() as u64).collect()
    }

    #[test]
    fn calls_of_a_run_lie_where_the_run_lies() {
        let all = parts("2026-01-01T11:57:00Z", "2026-01-01T11:58:00Z", 10);
        assert_eq!((all[11], all.iter().sum::<u64>()), (10, 10));
        let all = parts("2026-01-01T11:00:00Z", "2026-01-01T12:00:00Z", 120);
        assert!(all.iter().all(|calls| *calls == 10), "{all:?}");
        let all = parts("2026-01-01T10:00:00Z", "2026-01-01T12:00:00Z", 240);
        assert_eq!(all.iter().sum::<u64>(), 120, "what was called before does not count");
        let all = parts("2026-01-01T11:59:59Z", "2026-01-01T11:59:59Z", 3);
        assert_eq!((all[11], all.iter().sum::<u64>()), (3, 3), "a moment");
        let all = parts("2026-01-01T13:00:00Z", "2026-01-01T13:00:00Z", 3);
        assert_eq!(all[11], 3, "a clock that was ahead");
        assert_eq!(parts("2026-01-01T08:00:00Z", "2026-01-01T09:00:00Z", 3).iter().sum::<u64>(), 0);
    }
}
