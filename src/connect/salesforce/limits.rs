//! Keeps the daily budget of API calls: what the org reports, and what Syncline itself has used.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::errors::{self, Advice};
use crate::ports::fault::Fault;

/// How many of the org's daily API calls Syncline may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ApiBudget {
    /// As many as the org has.
    #[default]
    All,
    /// A share of what the org is allowed in 24 hours, in percent.
    Percent(u8),
    /// So many calls in 24 hours.
    Calls(u64),
}

/// The org's calls of the last 24 hours, from the header `Sforce-Limit-Info`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    /// Calls made by everybody.
    pub(super) used: u64,
    /// Calls allowed.
    pub(super) allowed: u64,
}

impl Usage {
    /// Reads the header. The per-app part that may follow is passed over.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let part = header.split(';').find_map(|part| part.trim().strip_prefix("api-usage="))?;
        let (used, allowed) = part.split_once('/')?;
        Some(Self { used: used.trim().parse().ok()?, allowed: allowed.trim().parse().ok()? })
    }
}

/// The org counts a rolling day.
const DAY: Duration = Duration::from_hours(24);

/// Our own calls are kept by the hour, so that a long-lived process forgets those of yesterday.
const HOUR_SECONDS: i64 = 3600;

/// An exhausted org is asked again after this long: only an answer tells that calls of yesterday have fallen out.
const PROBE_AFTER: Duration = Duration::from_mins(15);

/// Counts calls against the budget. Shared by all handles of a connection.
#[derive(Debug)]
pub(super) struct Limits {
    budget: ApiBudget,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Calls of this process by hour since 1970.
    hours: BTreeMap<i64, u64>,
    usage: Option<(Usage, Timestamp)>,
}

impl Limits {
    pub(super) fn new(budget: ApiBudget) -> Self {
        Self { budget, state: Mutex::default() }
    }

    /// Notes that a call is about to be made. Errors: `Budget` when it must not be.
    pub(super) fn spend(&self, operation: &str, now: Timestamp) -> Result<(), Fault> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = (now - DAY).as_second().div_euclid(HOUR_SECONDS);
        state.hours.retain(|hour, _| *hour >= oldest);
        if let Some((usage, at)) = state.usage
            && usage.used >= usage.allowed
            && now < at + PROBE_AFTER
        {
            return Err(exhausted(operation, usage));
        }
        let own: u64 = state.hours.values().sum();
        let allowed = state.usage.map(|(usage, _)| usage.allowed);
        let most = match self.budget {
            ApiBudget::All => None,
            ApiBudget::Percent(percent) => allowed.map(|allowed| allowed.saturating_mul(percent.into()) / 100),
            ApiBudget::Calls(calls) => Some(calls),
        };
        if let Some(most) = most.filter(|most| own >= *most) {
            let resets_at = state
                .hours
                .keys()
                .next()
                .and_then(|hour| Timestamp::from_second((hour + 1) * HOUR_SECONDS).ok().map(|end| end + DAY));
            return Err(overspent(operation, own, most, resets_at));
        }
        *state.hours.entry(now.as_second().div_euclid(HOUR_SECONDS)).or_default() += 1;
        Ok(())
    }

    /// Takes the header of an answer.
    pub(super) fn observe(&self, header: Option<&str>, now: Timestamp) {
        if let Some(usage) = header.and_then(Usage::parse) {
            self.state.lock().unwrap_or_else(PoisonError::into_inner).usage = Some((usage, now));
        }
    }
}

fn exhausted(operation: &str, usage: Usage) -> Fault {
    let Usage { used, allowed } = usage;
    let message = format!("the org has used {used} of its {allowed} API calls of the last 24 hours");
    let help = "run again later; calls become free as those of 24 hours ago fall out of the count";
    Fault::Budget { error: errors::local(Advice { code: "SL4104", help }, operation, message), resets_at: None }
}

fn overspent(operation: &str, own: u64, most: u64, resets_at: Option<Timestamp>) -> Fault {
    let message = format!("this process has made {own} API calls in 24 hours, and `api_budget` allows {most}");
    let help = "run again later, or raise `api_budget` of the connection in `syncline.yaml`";
    Fault::Budget { error: errors::local(Advice { code: "SL4105", help }, operation, message), resets_at }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: &str, expected: Option<(u64, u64)>) {
        assert_eq!(Usage::parse(header).map(|usage| (usage.used, usage.allowed)), expected, "{header}");
    }

    #[test]
    fn the_header_in_its_forms() {
        check("api-usage=18/100000", Some((18, 100_000)));
        check("api-usage=18/100000; per-app-api-usage=17/250(appName=Syncline)", Some((18, 100_000)));
        check("per-app-api-usage=17/250(appName=Syncline); api-usage=120000/100000", Some((120_000, 100_000)));
        check("per-app-api-usage=17/250(appName=Syncline)", None);
        check("api-usage=x/5", None);
        check("", None);
    }

    fn code(result: Result<(), Fault>) -> Option<&'static str> {
        match result {
            Ok(()) => None,
            Err(Fault::Budget { error, .. }) => Some(error.code),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn our_own_share_is_kept_and_comes_back() {
        let start: Timestamp = "2026-10-01T09:10:00Z".parse().unwrap();
        let limits = Limits::new(ApiBudget::Percent(20));
        assert_eq!(code(limits.spend("query", start)), None);
        limits.observe(Some("api-usage=40/10"), start - PROBE_AFTER);
        limits.observe(Some("api-usage=4/10"), start);
        limits.observe(None, start);
        assert_eq!(code(limits.spend("query", start)), None);
        assert_eq!(code(limits.spend("query", start)), Some("SL4105"));
        let Err(Fault::Budget { resets_at: Some(reset), .. }) = limits.spend("query", start) else { panic!() };
        assert_eq!(reset.to_string(), "2026-10-02T10:00:00Z");
        assert_eq!(code(limits.spend("query", reset - Duration::from_secs(1))), Some("SL4105"));
        assert_eq!(code(limits.spend("query", reset)), None);
    }

    #[test]
    fn an_exhausted_org_is_left_alone_but_for_a_probe() {
        let start: Timestamp = "2026-10-01T09:10:00Z".parse().unwrap();
        let limits = Limits::new(ApiBudget::All);
        limits.observe(Some("api-usage=10/10"), start);
        assert_eq!(code(limits.spend("query", start)), Some("SL4104"));
        assert_eq!(code(limits.spend("query", start + PROBE_AFTER)), None);
    }
}
