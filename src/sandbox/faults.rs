//! The fault plan: which requests are struck by which fault, counted or by seeded chance.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::sandbox::clock::parse_duration;
use crate::sandbox::fault_replies::{FaultKind, When};
use crate::sandbox::http::{Delivery, Reply, Request};
use crate::sys::rng::Rng;

/// A fault plan as written, in YAML or JSON.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultPlan {
    /// Seed of the chance that `probability` rolls; the sandbox's own seed where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The rules. Every rule counts the requests that it matches; the first one whose turn it is strikes.
    pub rules: Vec<FaultRule>,
}

/// One rule. Without `fault`, `status` or `delay` it would do nothing, and is refused.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FaultRule {
    /// `salesforce` or `hubspot`; both where absent.
    pub service: Option<String>,
    /// `GET`, `POST`, …; any where absent.
    pub method: Option<String>,
    /// Glob over the path without its query: `*` stays within a segment, `**` spans them.
    pub path: Option<String>,
    /// Only requests whose target or body contains this text, as sent.
    pub contains: Option<String>,
    /// First matching request that is struck, counted from 1.
    pub from: Option<u64>,
    /// Last matching request that is struck; no end where absent.
    pub to: Option<u64>,
    /// Strikes at most so often.
    pub times: Option<u64>,
    /// Share of the matching requests in `from..=to` that are struck, 0 to 1; all where absent.
    pub probability: Option<f64>,
    /// Whether the service works on the request first; by default what is usual for the fault.
    pub when: Option<When>,
    /// A named fault.
    pub fault: Option<FaultKind>,
    /// An HTTP status, instead of a named fault. Without `body`, the service's usual body for it.
    pub status: Option<u16>,
    /// The body that goes with `status`: text is sent as it is, anything else as JSON.
    pub body: Option<Value>,
    /// Headers that go with `status`.
    pub headers: BTreeMap<String, String>,
    /// Pause before the answer, or between the bytes of a `drip`; `250ms`, `90s`, `5m`.
    pub delay: Option<String>,
}

impl FaultPlan {
    /// Reads a plan from YAML (JSON is YAML too).
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_yaml::from_str(text).map_err(|error| format!("the fault plan is not valid: {error}"))
    }

    /// Reads a plan from JSON.
    pub fn from_json(value: &Value) -> Result<Self, String> {
        // Through the typed reader of text, as it alone names the place of an error.
        serde_json::from_str(&value.to_string()).map_err(|error| format!("the fault plan is not valid: {error}"))
    }
}

/// What strikes one request.
#[derive(Debug, Clone, PartialEq)]
pub struct Strike {
    /// Name for the ledger.
    pub name: String,
    /// On which side of the effect.
    pub when: When,
    act: Act,
    delay: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq)]
enum Act {
    Named(FaultKind),
    Fixed { status: u16, body: Option<Value>, headers: Vec<(String, String)> },
    Wait,
}

impl Strike {
    /// The answer that the client gets; `real` is the service's own where it did its work.
    pub fn reply(&self, service: &str, real: Option<Reply>) -> Reply {
        let mut reply = match &self.act {
            Act::Named(kind) => kind.reply(service, real, self.delay),
            Act::Fixed { status, body, headers } => {
                let reply = match body {
                    None => crate::sandbox::fault_replies::usual(service, *status),
                    // A page, as proxies and the edge network send.
                    Some(Value::String(text)) if text.starts_with('<') => {
                        Reply::new(*status, "text/html", text.clone())
                    }
                    Some(Value::String(text)) => Reply::new(*status, "text/plain", text.clone()),
                    Some(json) => Reply::new(*status, "application/json;charset=utf-8", json.to_string()),
                };
                headers.iter().fold(reply, |reply, (name, value)| reply.with(name, value))
            }
            Act::Wait => real.unwrap_or_else(|| Reply::empty(500)),
        };
        // A fault that breaks the answer has its own pace, which the delay gave already.
        if let (Some(delay), Delivery::Whole) = (self.delay, &reply.delivery) {
            reply.delivery = Delivery::Late(delay);
        }
        reply
    }
}

/// A rule made ready.
struct Armed {
    rule: FaultRule,
    path: Option<GlobMatcher>,
    strike: Strike,
    seen: u64,
    struck: u64,
}

/// The rules in force, with their counters.
pub struct Faults {
    state: Mutex<State>,
}

struct State {
    armed: Vec<Armed>,
    rng: Rng,
}

impl Faults {
    /// No rules yet; `seed` is for plans without a seed of their own.
    pub fn new(seed: u64) -> Self {
        Self { state: Mutex::new(State { armed: Vec::new(), rng: Rng::seeded(seed) }) }
    }

    /// Adds the rules of a plan behind those in force; all of them or, on an error, none.
    pub fn add(&self, plan: &FaultPlan) -> Result<(), String> {
        // All rules are checked before the first one counts.
        let armed: Result<Vec<_>, _> = plan.rules.iter().enumerate().map(|(at, rule)| arm(at, rule)).collect();
        let mut state = self.lock();
        state.armed.extend(armed?);
        // From here on chance is the plan's: a run that failed can be played again.
        if let Some(seed) = plan.seed {
            state.rng = Rng::seeded(seed);
        }
        Ok(())
    }

    /// Forgets all rules.
    pub fn clear(&self) {
        self.lock().armed.clear();
    }

    /// The rules in force with their counters.
    pub fn list(&self) -> Value {
        let state = self.lock();
        let rules = state
            .armed
            .iter()
            .map(|armed| json!({"rule": rule_as_written(&armed.rule), "matched": armed.seen, "struck": armed.struck}));
        json!({"rules": rules.collect::<Vec<_>>()})
    }

    /// The fault that strikes this request, if one does. Every rule counts it.
    pub fn pick(&self, service: &str, request: &Request) -> Option<Strike> {
        let mut state = self.lock();
        let State { armed, rng } = &mut *state;
        let mut picked = None;
        for armed in armed.iter_mut().filter(|armed| armed.matches(service, request)) {
            armed.seen += 1;
            // The dice of later rules are not thrown then: one more rule at the end changes no earlier strike.
            if picked.is_none() && armed.has_its_turn(rng) {
                armed.struck += 1;
                picked = Some(armed.strike.clone());
            }
        }
        picked
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A rule without the keys that it does not set.
fn rule_as_written(rule: &FaultRule) -> Value {
    let mut value = serde_json::to_value(rule).unwrap_or_default();
    if let Value::Object(members) = &mut value {
        members.retain(|_, member| !member.is_null() && member.as_object().is_none_or(|inner| !inner.is_empty()));
    }
    value
}

impl Armed {
    fn matches(&self, service: &str, request: &Request) -> bool {
        let rule = &self.rule;
        let path = request.target.split('?').next().unwrap_or_default();
        rule.service.as_deref().is_none_or(|known| known == service)
            && rule.method.as_deref().is_none_or(|known| known.eq_ignore_ascii_case(&request.method))
            && self.path.as_ref().is_none_or(|glob| glob.is_match(path))
            && rule.contains.as_deref().is_none_or(|text| holds(request, text))
    }

    fn has_its_turn(&self, rng: &Rng) -> bool {
        let rule = &self.rule;
        self.seen >= rule.from.unwrap_or(1)
            && rule.to.is_none_or(|to| self.seen <= to)
            && rule.times.is_none_or(|times| self.struck < times)
            && rule.probability.is_none_or(|probability| rng.share() < probability)
    }
}

fn holds(request: &Request, text: &str) -> bool {
    let needle = text.as_bytes();
    // Bytes and not text: a body need not be UTF-8.
    request.target.contains(text) || request.body.windows(needle.len().max(1)).any(|window| window == needle)
}

/// Checks a rule and makes it ready; the error names the rule by its place, counted from 1.
fn arm(at: usize, rule: &FaultRule) -> Result<Armed, String> {
    let armed = || -> Result<Armed, String> {
        check_numbers(rule)?;
        if let Some(service) = rule.service.as_deref().filter(|name| !["salesforce", "hubspot"].contains(name)) {
            return Err(format!("unknown service `{service}`; expected `salesforce` or `hubspot`"));
        }
        let path = rule.path.as_deref().map(glob).transpose()?;
        let strike = strike(rule)?;
        Ok(Armed { rule: rule.clone(), path, strike, seen: 0, struck: 0 })
    };
    armed().map_err(|error| format!("rule {} of the fault plan: {error}", at + 1))
}

fn glob(pattern: &str) -> Result<GlobMatcher, String> {
    // So that one star stays within a segment, as in the file patterns that people know.
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    glob.map(|glob| glob.compile_matcher()).map_err(|error| format!("`path` is not a glob: {error}"))
}

fn check_numbers(rule: &FaultRule) -> Result<(), String> {
    if rule.probability.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
        return Err("`probability` must be between 0 and 1".to_owned());
    }
    // Else people who count from 0 would be off by one, without a word.
    if rule.from == Some(0) {
        return Err("`from` counts from 1".to_owned());
    }
    if let (Some(from), Some(to)) = (rule.from.or(Some(1)), rule.to)
        && to < from
    {
        return Err(format!("`to: {to}` lies before `from: {from}`"));
    }
    if rule.status.is_some_and(|status| !(200..=599).contains(&status)) {
        return Err("`status` must be between 200 and 599".to_owned());
    }
    Ok(())
}

fn strike(rule: &FaultRule) -> Result<Strike, String> {
    let delay = rule.delay.as_deref().map(parse_duration).transpose()?;
    if rule.status.is_none() && (rule.body.is_some() || !rule.headers.is_empty()) {
        return Err("`body` and `headers` go with `status` only".to_owned());
    }
    let (name, act, usual) = match (&rule.fault, rule.status) {
        (Some(_), Some(_)) => return Err("give `fault` or `status`, not both".to_owned()),
        (Some(kind), None) => (kind.name(), Act::Named(*kind), kind.usual_side()),
        (None, Some(status)) => {
            let headers = rule.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            (status.to_string(), Act::Fixed { status, body: rule.body.clone(), headers }, When::Before)
        }
        // After the work: a slow answer of a service that did it is the common case.
        (None, None) if delay.is_some() => ("delay".to_owned(), Act::Wait, When::After),
        (None, None) => return Err(nothing_to_do()),
    };
    let when = rule.when.unwrap_or(usual);
    let needs_real = match &act {
        Act::Named(kind) => kind.needs_the_real_answer(),
        Act::Wait => true,
        Act::Fixed { .. } => false,
    };
    if needs_real && when == When::Before {
        return Err(format!("`{name}` spoils the real answer, so it cannot strike `before` the effect"));
    }
    // Allowed, the plan would say one thing and do the other.
    if act == Act::Named(FaultKind::ResetBefore) && when == When::After {
        return Err("`reset_before` cannot strike `after` the effect; use `reset_after`".to_owned());
    }
    Ok(Strike { name, when, act, delay })
}

fn nothing_to_do() -> String {
    let mut text = "it does nothing; give `status`, `delay` or `fault`, one of".to_owned();
    for kind in FaultKind::ALL {
        // Writing to a String cannot fail.
        let _ = write!(text, " `{}`", kind.name());
    }
    text
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn request(method: &str, target: &str, body: &str) -> Request {
        let (path, query) = crate::sandbox::server::split_target(target);
        let body = Bytes::copy_from_slice(body.as_bytes());
        Request { method: method.into(), target: target.into(), path, query, headers: Vec::new(), body }
    }

    fn armed(yaml: &str) -> Faults {
        let faults = Faults::new(1);
        faults.add(&FaultPlan::parse(yaml).unwrap()).unwrap();
        faults
    }

    /// Which of `count` equal requests are struck.
    fn struck(yaml: &str, count: usize) -> Vec<usize> {
        let faults = armed(yaml);
        let request = request("POST", "/crm/objects/2026-09/subscriptions/batch/upsert?x=1", "{\"id\":\"a01\"}");
        (1..=count).filter(|_| faults.pick("hubspot", &request).is_some()).collect()
    }

    #[track_caller]
    fn check(rule: &str, expected: &[usize]) {
        assert_eq!(struck(&format!("rules: [{rule}]"), 6), expected, "{rule}");
    }

    #[test]
    fn rules_strike_the_requests_that_they_name() {
        check("{status: 500}", &[1, 2, 3, 4, 5, 6]);
        check("{status: 500, from: 2, to: 3}", &[2, 3]);
        check("{status: 500, times: 2}", &[1, 2]);
        check("{status: 500, from: 4, times: 1}", &[4]);
        check("{status: 500, service: salesforce}", &[]);
        check("{status: 500, service: hubspot, method: post}", &[1, 2, 3, 4, 5, 6]);
        check("{status: 500, method: GET}", &[]);
        check("{status: 500, path: '/crm/**/batch/*', to: 1}", &[1]);
        check("{status: 500, path: '/crm/*/batch/*'}", &[]);
        check("{status: 500, contains: '\"a01\"', to: 1}", &[1]);
        check("{status: 500, contains: 'x=1', to: 1}", &[1]);
        check("{status: 500, contains: a02}", &[]);
        check("{status: 500, probability: 0}", &[]);
        check("{status: 500, to: 1}, {status: 503, to: 2}", &[1, 2]);
    }

    #[test]
    fn chance_is_repeatable_and_hits_its_share() {
        let rule = "seed: 7\nrules: [{status: 500, probability: 0.3}]";
        let first = struck(rule, 1000);
        assert_eq!(first, struck(rule, 1000));
        assert!((250..350).contains(&first.len()), "{} of 1000", first.len());
        assert_ne!(first, struck("seed: 8\nrules: [{status: 500, probability: 0.3}]", 1000));
    }

    #[track_caller]
    fn refused(yaml: &str, parts: &[&str]) {
        let error = FaultPlan::parse(yaml).and_then(|plan| Faults::new(1).add(&plan)).unwrap_err();
        for part in parts {
            assert!(error.contains(part), "`{part}` is not in: {error}");
        }
    }

    #[test]
    fn wrong_plans_are_refused() {
        refused("rules: [{status: 500, methd: GET}]", &["methd", "`method`", "`service`"]);
        refused("rule: []", &["rule", "`rules`"]);
        refused("rules: [{fault: explode}]", &["explode", "`reset_after`"]);
        refused("rules: [{status: 500}, {}]", &["rule 2", "`reset_before`", "`status`"]);
        refused("rules: [{status: 500, fault: html}]", &["not both"]);
        refused("rules: [{fault: cut_json, when: before}]", &["`cut_json`", "`before`"]);
        refused("rules: [{status: 99}]", &["`status`"]);
        refused("rules: [{status: 500, probability: 2}]", &["`probability`"]);
        refused("rules: [{status: 500, from: 3, to: 2}]", &["`from: 3`"]);
        refused("rules: [{status: 500, from: 0}]", &["`from`"]);
        refused("rules: [{delay: soon}]", &["`soon`"]);
        refused("rules: [{fault: html, body: x}]", &["`body`"]);
        refused("rules: [{status: 500, service: crm}]", &["`crm`", "`hubspot`"]);
        refused("rules: [{status: 500, path: '/a[/b'}]", &["`path`"]);
    }

    #[test]
    fn a_fixed_answer_carries_its_body_headers_and_pause() {
        let faults = armed("rules: [{status: 418, body: {a: 1}, headers: {x-tea: 'yes'}, delay: 2s}]");
        let strike = faults.pick("hubspot", &request("GET", "/", "")).unwrap();
        let reply = strike.reply("hubspot", None);
        assert_eq!(reply.status, 418);
        assert_eq!(reply.body, Bytes::from("{\"a\":1}"));
        assert!(reply.headers.contains(&("x-tea".into(), "yes".into())));
        assert_eq!(reply.delivery, Delivery::Late(Duration::from_secs(2)));
        assert_eq!(faults.list()["rules"][0]["struck"], 1);
        faults.clear();
        assert_eq!(faults.pick("hubspot", &request("GET", "/", "")), None);
    }
}
