//! Trouble of HubSpot during an import and a sync: passing trouble is outlived, lasting trouble ends the run truly, and in
//! both cases the next run ends in agreement.

use serde_json::{Value, json};

use crate::support::story::{IMPORT, SYNC, Story};
use crate::support::{Bench, report};

/// The calls of a run, one of each kind.
const CALLS: [(&str, &str); 13] = [
    ("GET", "/account-info/**"),
    ("GET", "/crm-object-schemas/**"),
    ("GET", "/crm/properties/**"),
    ("GET", "/crm/property-validations/**"),
    ("GET", "/crm/associations/**/labels"),
    ("GET", "/crm/objects/*/0-2"),
    ("POST", "/crm/objects/**/batch/read"),
    ("POST", "/crm/objects/**/batch/upsert"),
    ("POST", "/crm/associations/**/batch/read"),
    ("POST", "/crm/associations/**/batch/create"),
    ("POST", "/crm/associations/**/batch/associate/default"),
    ("POST", "/crm/associations/**/batch/archive"),
    ("POST", "/crm/objects/**/batch/archive"),
];

/// A rule for each kind of call: `more` says what strikes.
fn at_every_call(more: &Value) -> Value {
    let rule = |(method, path): &(&str, &str)| {
        let mut rule = json!({"service": "hubspot", "method": method, "path": path, "times": 1});
        rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        rule
    };
    CALLS.iter().map(rule).collect()
}

#[track_caller]
fn outlived(story: &Story, kinds: &[Value]) {
    for kind in kinds {
        let ran = story.faults(&kind.to_string(), at_every_call(kind));
        assert!(matches!(ran.code, Some(0 | 3)), "{kind}: {ran:?}");
    }
}

fn named(kinds: &[&str]) -> Vec<Value> {
    kinds.iter().map(|kind| json!({"fault": kind})).collect()
}

#[test]
fn an_import_outlives_refusals_that_pass() {
    let story = Story::new(Bench::new(20), IMPORT);
    outlived(&story, &named(&["unavailable", "internal_error", "locked", "rate_limit_secondly"]));
}

#[test]
fn a_limit_without_a_word_is_waited_for() {
    // Ten seconds for each, as nothing says how long.
    let story = Story::new(Bench::new(20), IMPORT);
    let rule = json!([{"path": "/crm/objects/**/batch/upsert", "times": 1, "fault": "rate_limit_bare"}]);
    let ran = story.faults("429 without a header", rule);
    assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
}

#[test]
fn an_import_outlives_answers_that_are_none() {
    let story = Story::new(Bench::new(20), IMPORT);
    outlived(&story, &named(&["html", "empty_body", "silent_empty", "not_my_json", "cut_json"]));
}

#[test]
fn an_import_outlives_connections_that_break() {
    let story = Story::new(Bench::new(20), IMPORT);
    outlived(&story, &named(&["cut", "reset_before", "reset_after", "forbidden_html", "origin_timeout"]));
}

#[test]
fn a_sync_outlives_refusals_that_pass() {
    let story = Story::new(Bench::new(20), SYNC);
    outlived(&story, &named(&["bad_gateway", "gateway_timeout", "unavailable", "locked"]));
}

#[test]
fn a_sync_outlives_answers_that_are_none() {
    let story = Story::new(Bench::new(20), SYNC);
    outlived(&story, &named(&["html", "empty_body", "silent_empty", "not_my_json", "cut_json"]));
}

#[test]
fn a_sync_outlives_work_whose_answer_is_lost() {
    let story = Story::new(Bench::new(20), SYNC);
    let after = |status: u16| json!({"status": status, "when": "after"});
    outlived(&story, &[after(502), after(504), after(500), json!({"fault": "reset_after"}), json!({"fault": "cut"})]);
}

/// Trouble that stays, at one kind of call.
fn lasting(story: &Story, kind: &Value, code: &str, part: &str) {
    for (method, path) in CALLS {
        let mut rule = json!({"service": "hubspot", "method": method, "path": path});
        rule.as_object_mut().unwrap().extend(kind.as_object().unwrap().clone());
        let ran = story.faults(&format!("{kind} at {path}"), json!([rule]));
        if ran.code == Some(1) {
            assert!(ran.stderr.contains(code) && ran.stderr.contains(part), "{path}: {}", ran.stderr);
        } else {
            // A call that this run does not make, such as archiving in an import.
            assert!(matches!(ran.code, Some(0 | 3)), "{path}: {ran:?}");
            let struck = ran.stdout.contains(r#""failed": 0"#);
            assert!(struck || ran.code == Some(3), "{path}: {ran:?}");
        }
    }
}

#[test]
fn a_token_that_is_refused_ends_the_run() {
    let story = Story::new(Bench::new(20), SYNC);
    lasting(&story, &json!({"fault": "unauthorized"}), "SL4002", "access_token");
    lasting(&story, &json!({"fault": "expired"}), "SL4002", "expired");
}

#[test]
fn a_scope_that_is_missing_ends_the_run() {
    let story = Story::new(Bench::new(20), IMPORT);
    lasting(&story, &json!({"fault": "forbidden"}), "SL4003", "scope");
}

#[test]
fn the_days_calls_may_be_used_up_at_any_call() {
    let story = Story::new(Bench::new(20), IMPORT);
    lasting(&story, &json!({"fault": "daily_limit"}), "SL4004", "midnight");
    let rule = json!([{"service": "hubspot", "path": "/crm/objects/**/batch/upsert", "fault": "daily_limit"}]);
    let ran = story.faults("daily limit", rule);
    let reports = ran.json();
    assert_eq!(report(&reports, "subscriptions")["status"], "paused", "{reports}");
}

#[test]
fn a_redirect_never_carries_the_token_on() {
    let story = Story::new(Bench::new(20), SYNC);
    lasting(&story, &json!({"fault": "redirect"}), "SL4006", "base_url");
}

#[test]
fn the_wrong_portal_is_never_written_to() {
    let bench = Bench::new(20);
    bench.edit("syncline.yaml", "portal_id: 51234567", "portal_id: 7");
    for command in [&["import", "--yes"][..], &["sync", "--once"], &["plan"], &["validate", "--online"]] {
        let ran = bench.run(command).code(1);
        let printed = format!("{}{}", ran.stdout, ran.stderr);
        assert!(printed.contains("SL3005") && printed.contains("51234567"), "{ran:?}");
    }
    let wrote = bench.sandbox.requests().into_iter().any(|entry| entry.target.contains("/batch/"));
    assert!(!wrote);
}
