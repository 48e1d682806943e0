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

/// Our own calls are kept by the hour, so that those of yesterday are forgotten.
const HOUR_SECONDS: i64 = 3600;

/// An org that refused a call is left alone for so long: only an answer tells that calls of yesterday have fallen out.
const PROBE_AFTER: Duration = Duration::from_secs(5);

/// Calls by hour since 1970.
type Hours = BTreeMap<i64, u64>;

/// Counts calls against the budget. Shared by all handles of a connection. Times are the server's, as it counts the day.
#[derive(Debug)]
pub(super) struct Limits {
    budget: ApiBudget,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Calls that are noted in the state, of this process and of earlier ones.
    noted: Hours,
    /// Calls of this process since.
    fresh: Hours,
    usage: Option<Usage>,
    /// A call was let through that tells the server's time.
    asked: bool,
    /// When the org last refused a call because its day was used up.
    refused: Option<Timestamp>,
}

impl State {
    /// Hours with calls that count at this time. An hour in the future is one by another clock.
    fn counting(&self, now: Timestamp) -> impl Iterator<Item = (i64, u64)> {
        // A whole hour counts as long as any of it lies in the day: the count errs to the safe side. An hour ahead
        // allows for clocks that differ.
        let (oldest, newest) = (hour(now - DAY), hour(now) + 1);
        let all = self.noted.iter().chain(&self.fresh).map(|(hour, calls)| (*hour, *calls));
        all.filter(move |(hour, _)| (oldest..=newest).contains(hour))
    }
}

impl Limits {
    pub(super) fn new(budget: ApiBudget) -> Self {
        Self { budget, state: Mutex::default() }
    }

    /// Notes that a call is about to be made; `sure` where the time is the server's. Where it is not, one call is let
    /// through that tells it. Errors: `Budget` when it must not be.
    pub(super) fn spend(&self, operation: &str, now: Timestamp, sure: bool) -> Result<(), Fault> {
        let mut state = self.state();
        if state.refused.is_some_and(|at| at <= now && now < at + PROBE_AFTER) {
            return Err(exhausted(operation, state.usage));
        }
        let calls: u64 = state.counting(now).map(|(_, calls)| calls).sum();
        let allowed = state.usage.map(|usage| usage.allowed);
        let most = match self.budget {
            ApiBudget::All => None,
            // Until the first answer tells what is allowed, there is nothing to take a share of.
            ApiBudget::Percent(percent) => allowed.map(|allowed| allowed.saturating_mul(percent.into()) / 100),
            ApiBudget::Calls(calls) => Some(calls),
        };
        // Else a wrong clock of this computer could hold back the very call that would correct it.
        let asks_the_time = !sure && !std::mem::replace(&mut state.asked, true);
        if let Some(most) = most.filter(|most| calls >= *most && !asks_the_time) {
            let oldest = state.counting(now).map(|(hour, _)| hour).min();
            let end = oldest.and_then(|hour| Timestamp::from_second((hour + 1) * HOUR_SECONDS).ok());
            return Err(overspent(operation, calls, most, end.map(|end| end + DAY)));
        }
        *state.fresh.entry(hour(now)).or_default() += 1;
        Ok(())
    }

    /// Takes the header of an answer. An org may let more be used than it allows, so that alone stops nothing.
    pub(super) fn observe(&self, header: Option<&str>) {
        if let Some(usage) = header.and_then(Usage::parse) {
            self.state().usage = Some(usage);
        }
    }

    /// The org's calls of the last 24 hours, as the latest answer told them: used, and allowed.
    pub(super) fn of_day(&self) -> Option<(u64, u64)> {
        self.state().usage.map(|usage| (usage.used, usage.allowed))
    }

    /// The org refused a call because its day is used up.
    pub(super) fn refuse(&self, now: Timestamp) {
        self.state().refused = Some(now);
    }

    /// Adds this process's calls to what is noted of them, and counts all of it from now on; gives the new note.
    pub(super) fn note(&self, noted: Option<&str>, now: Timestamp) -> String {
        let mut state = self.state();
        // A note that cannot be read is of a later form; our own calls are noted all the same.
        let mut hours: Hours = noted.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        for (hour, calls) in std::mem::take(&mut state.fresh) {
            *hours.entry(hour).or_default() += calls;
        }
        hours.retain(|call, _| *call >= hour(now - DAY));
        // What other processes have noted counts from here on too: they spend the same budget.
        state.noted = hours;
        serde_json::to_string(&state.noted).unwrap_or_default()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hour(time: Timestamp) -> i64 {
    time.as_second().div_euclid(HOUR_SECONDS)
}

fn exhausted(operation: &str, usage: Option<Usage>) -> Fault {
    let used = usage.map(|usage| format!("; it has used {} of {}", usage.used, usage.allowed)).unwrap_or_default();
    let message = format!("the org's API calls of the last 24 hours are used up{used}");
    let help = "run again later; calls become available as those made 24 hours ago stop counting";
    Fault::Budget { error: errors::local(Advice { code: "SL4104", help }, operation, message), resets_at: None }
}

fn overspent(operation: &str, calls: u64, most: u64, resets_at: Option<Timestamp>) -> Fault {
    let message = format!("Syncline has made {calls} API calls in 24 hours, and `api_budget` allows {most}");
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
        assert_eq!(code(limits.spend("query", start, true)), None);
        limits.observe(Some("api-usage=4/10"));
        limits.observe(None);
        assert_eq!(code(limits.spend("query", start, true)), None);
        assert_eq!(code(limits.spend("query", start, true)), Some("SL4105"));
        let Err(Fault::Budget { resets_at: Some(reset), .. }) = limits.spend("query", start, true) else { panic!() };
        assert_eq!(reset.to_string(), "2026-10-02T10:00:00Z");
        assert_eq!(code(limits.spend("query", reset - Duration::from_secs(1), true)), Some("SL4105"));
        assert_eq!(code(limits.spend("query", reset, true)), None);
    }

    #[test]
    fn a_budget_holds_for_all_processes_of_a_day() {
        let start: Timestamp = "2026-10-01T09:10:00Z".parse().unwrap();
        let mut noted = None;
        for expected in [None, None, None, Some("SL4105")] {
            let limits = Limits::new(ApiBudget::Calls(3));
            limits.note(noted.as_deref(), start);
            assert_eq!(code(limits.spend("query", start, true)), expected);
            noted = Some(limits.note(noted.as_deref(), start));
        }
        assert_eq!(limits_of(noted.as_deref(), start).spend("query", start + DAY + DAY, true).ok(), Some(()));
        // Another clock's future, and a note of another form, count for nothing.
        assert_eq!(limits_of(noted.as_deref(), start).spend("query", start - DAY, true).ok(), Some(()));
        assert_eq!(limits_of(Some("[1]"), start).spend("query", start, true).ok(), Some(()));
        let later = limits_of(noted.as_deref(), start).note(noted.as_deref(), start + DAY + DAY);
        assert_eq!(later, "{}", "yesterday is forgotten");
    }

    fn limits_of(noted: Option<&str>, now: Timestamp) -> Limits {
        let limits = Limits::new(ApiBudget::Calls(3));
        limits.note(noted, now);
        limits
    }

    #[test]
    fn an_org_that_refused_is_left_alone_for_a_moment_and_one_that_overruns_is_not() {
        let start: Timestamp = "2026-10-01T09:10:00Z".parse().unwrap();
        let limits = Limits::new(ApiBudget::All);
        limits.observe(Some("api-usage=12/10"));
        assert_eq!(code(limits.spend("query", start, true)), None, "paid orgs may overrun for a while");
        limits.refuse(start);
        let Err(fault) = limits.spend("query", start, true) else { panic!() };
        assert!(fault.to_string().contains("12 of 10"), "{fault}");
        assert_eq!(code(limits.spend("query", start + PROBE_AFTER, true)), None);
    }
}
