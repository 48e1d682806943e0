//! Keeps the daily budget of API calls: what the org reports, and what Syncline itself has used.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::errors::{self, Advice};
use crate::model::daily_calls::DailyCalls;
use crate::ports::fault::Fault;
use crate::ports::org_calls::{Drawn, Wish};

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

/// An org that refused a call is left alone for so long: only an answer tells that calls of yesterday have fallen out.
const PROBE_AFTER: Duration = Duration::from_secs(5);

/// Counts calls against the budget. Shared by all handles of a connection. Times are the server's, as it counts the day.
#[derive(Debug)]
pub(super) struct Limits {
    budget: ApiBudget,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Calls that are noted in the state, of this process and of earlier ones.
    noted: DailyCalls,
    /// Calls of this process since.
    fresh: DailyCalls,
    usage: Option<Usage>,
    /// A call was let through that tells the server's time.
    asked: bool,
    /// When the org last refused a call because its day was used up.
    refused: Option<Timestamp>,
    /// Calls that were drawn and not made yet, where calls are drawn.
    drawn: DailyCalls,
    /// The org that they are for.
    org: Option<String>,
    /// Calls that were made without being drawn.
    undrawn: u64,
}

impl State {
    /// All calls that this connection knows of.
    fn known(&self) -> DailyCalls {
        let mut known = self.noted.clone();
        known.add_all(&self.fresh);
        known
    }

    /// Errors: the org refused a call a moment ago.
    fn may_ask(&self, operation: &str, now: Timestamp) -> Result<(), Fault> {
        match self.refused.is_some_and(|at| at <= now && now < at + PROBE_AFTER) {
            true => Err(exhausted(operation, self.usage)),
            false => Ok(()),
        }
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
        state.may_ask(operation, now)?;
        let known = state.known();
        let calls = known.count(now);
        // Else a wrong clock of this computer could hold back the very call that would correct it.
        let asks_the_time = !sure && !std::mem::replace(&mut state.asked, true);
        if let Some(most) = self.most(&state).filter(|most| calls >= *most && !asks_the_time) {
            return Err(overspent(operation, calls, most, known.frees_at(now)));
        }
        state.fresh.add(now, 1);
        Ok(())
    }

    /// The same where calls are drawn, with the server's time where that is known; what has to be drawn first.
    /// Errors: as [`Limits::spend`].
    pub(super) fn spend_drawn(
        &self,
        operation: &str,
        now: Timestamp,
        server: Option<Timestamp>,
    ) -> Result<Option<Wish>, Fault> {
        let mut state = self.state();
        state.may_ask(operation, now)?;
        match self.most(&state) {
            Some(most) if !state.drawn.take_one(now) => {
                return Ok(Some(Wish { most, made: std::mem::take(&mut state.undrawn), at: server }));
            }
            Some(_) => {}
            // All calls of the org are Syncline's, or it is not known yet how many it has.
            None => state.undrawn += 1,
        }
        state.fresh.add(now, 1);
        Ok(None)
    }

    /// Takes what was drawn for an org.
    /// Errors: `Budget` where there was nothing to draw.
    pub(super) fn drew(&self, operation: &str, org: &str, wish: &Wish, drawn: &Drawn) -> Result<(), Fault> {
        if drawn.calls.is_empty() {
            return Err(overspent(operation, drawn.used, wish.most, drawn.frees_at));
        }
        let mut state = self.state();
        state.drawn.add_all(&drawn.calls);
        state.org = Some(org.to_owned());
        Ok(())
    }

    /// Nothing could be drawn: what was made before is drawn with the next wish.
    pub(super) fn drew_nothing(&self, wish: &Wish) {
        self.state().undrawn += wish.made;
    }

    /// What was drawn and not made, and the org that it is for; it cannot be made any more.
    pub(super) fn give_back(&self) -> Option<(String, DailyCalls)> {
        let mut state = self.state();
        let drawn = std::mem::take(&mut state.drawn);
        state.org.clone().filter(|_| !drawn.is_empty()).map(|org| (org, drawn))
    }

    /// How many calls of a day Syncline may make; none where that is not limited, or not known.
    fn most(&self, state: &State) -> Option<u64> {
        let allowed = state.usage.map(|usage| usage.allowed);
        match self.budget {
            ApiBudget::All => None,
            // Until the first answer tells what is allowed, there is nothing to take a share of.
            ApiBudget::Percent(percent) => allowed.map(|allowed| allowed.saturating_mul(percent.into()) / 100),
            ApiBudget::Calls(calls) => Some(calls),
        }
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
        let mut calls: DailyCalls = noted.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        calls.add_all(&std::mem::take(&mut state.fresh));
        calls.forget(now);
        // What other processes have noted counts from here on too: they spend the same budget.
        state.noted = calls;
        serde_json::to_string(&state.noted).unwrap_or_default()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
    use crate::model::daily_calls::DAY;

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

    #[test]
    fn what_is_drawn_is_spent_and_the_rest_is_given_back() {
        let now: Timestamp = "2026-10-01T09:10:00Z".parse().unwrap();
        let limits = Limits::new(ApiBudget::Percent(20));
        // Nobody knows yet of what it is a share.
        assert_eq!(limits.spend_drawn("query", now, None).unwrap(), None);
        limits.observe(Some("api-usage=4/100"));
        let wish = limits.spend_drawn("query", now, Some(now)).unwrap().unwrap();
        assert_eq!(wish, Wish { most: 20, made: 1, at: Some(now) });
        limits.drew_nothing(&wish);
        let wish = limits.spend_drawn("query", now, Some(now)).unwrap().unwrap();
        assert_eq!(wish.made, 1);
        let mut calls = DailyCalls::default();
        calls.add(now, 3);
        let frees_at = calls.frees_at(now);
        limits.drew("query", "org", &wish, &Drawn { calls, used: 9, frees_at }).unwrap();
        assert_eq!(limits.spend_drawn("query", now, Some(now)).unwrap(), None);
        let (org, rest) = limits.give_back().unwrap();
        assert_eq!((org.as_str(), rest.count(now)), ("org", 2));
        assert_eq!(limits.give_back(), None);
        let wish = limits.spend_drawn("query", now, Some(now)).unwrap().unwrap();
        assert_eq!(wish.made, 0);
        let nothing = Drawn { calls: DailyCalls::default(), used: 20, frees_at };
        assert_eq!(code(limits.drew("query", "org", &wish, &nothing)), Some("SL4105"));
    }
}
