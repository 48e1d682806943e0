//! Every fault that either service is known for, each at one request of twenty: when it stops, both sides agree, nothing is lost and
//! nothing doubled.
//!
//! The ordinary test run tells one history a fault; `tests/proof/faults 10` tells ten.

use crate::support::long::{tell, variable};
use std::collections::BTreeSet;

use serde_json::{Value, json};
use syncline::sandbox::fault_replies::FaultKind;

use super::world::Command;
use super::{History, Numbers, every, outcome};

/// Faults beyond the named ones: the answer of each, and on which side of the effect it strikes.
fn answers() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let mut add = |name: &str, rule: Value| found.push((name.to_owned(), rule));
    // The status comes, and the work was done all the same.
    for status in [423, 429, 477, 500, 502, 503, 504, 524] {
        add(&format!("{status} after the effect"), json!({"service": "hubspot", "status": status, "when": "after"}));
    }
    for status in [409, 414, 431] {
        add(&format!("{status}"), json!({"service": "hubspot", "status": status, "body": "<html>no</html>"}));
    }
    add("an error without a member", json!({"service": "hubspot", "status": 400, "body": {}}));
    add(
        "an error of 200 kB",
        json!({"service": "hubspot", "status": 400, "body": {"status": "error",
        "category": "VALIDATION_ERROR", "message": format!("{{\"inner\":\"{}\"}}", "x".repeat(200_000))}}),
    );
    add(
        "a batch that is pending",
        json!({"service": "hubspot", "method": "POST", "path": "/crm/**", "status": 200,
        "body": {"status": "PENDING", "results": []}}),
    );
    add(
        "numErrors that lies",
        json!({"service": "hubspot", "method": "POST", "path": "/crm/**", "status": 207,
        "body": {"status": "COMPLETE", "results": [], "numErrors": 7}}),
    );
    add(
        "one error for all inputs",
        json!({"service": "hubspot", "method": "POST", "path": "/crm/**", "status": 207,
        "body": {"status": "COMPLETE", "results": [], "numErrors": 1, "errors": [{"status": "error",
            "category": "OBJECT_NOT_FOUND", "message": "Could not get some objects", "context": {}}]}}),
    );
    let refused = |status: u16, code: &str| {
        json!({"service": "salesforce", "path": "/services/data/**", "status": status,
            "body": [{"errorCode": code, "message": "not now"}]})
    };
    for (status, code) in [
        (400, "QUERY_TIMEOUT"),
        (400, "INVALID_QUERY_LOCATOR"),
        (400, "MALFORMED_QUERY"),
        (400, "INVALID_FIELD"),
        (401, "INVALID_SESSION_ID"),
        (403, "REQUEST_LIMIT_EXCEEDED"),
        (404, "NOT_FOUND"),
        (503, "SERVER_UNAVAILABLE"),
    ] {
        add(code, refused(status, code));
    }
    add("a refusal without a member", json!({"service": "salesforce", "status": 400, "body": [{}]}));
    add(
        "a login that is refused",
        json!({"path": "/services/oauth2/token", "status": 400,
        "body": {"error": "invalid_grant", "error_description": "expired access/refresh token"}}),
    );
    found
}

/// All faults by name.
fn all() -> Vec<(String, Value)> {
    let mut found = answers();
    for kind in FaultKind::ALL {
        for service in ["salesforce", "hubspot"] {
            found.push((format!("{service}: {}", kind.name()), json!({"service": service, "fault": kind.name()})));
        }
    }
    found
}

/// One history under one fault.
fn played(fault: &(String, Value), seed: u64) -> (Numbers, Option<String>) {
    outcome(seed, &fault.0, |history: &mut History| {
        let mut rule = fault.1.clone();
        rule["probability"] = json!(0.05);
        // At least one strike in each run: some request of its first ten.
        let mut sure = fault.1.clone();
        sure["from"] = json!(1 + seed % 10);
        sure["times"] = json!(1);
        history.begin();
        for command in [Command::Import, Command::Sync, Command::Reconcile, Command::Sync] {
            history.run_under(command, Some(json!({"seed": seed, "rules": [sure, rule]})), BTreeSet::new());
            history.change_some(6);
        }
        history.clear_up();
    })
}

#[test]
fn every_fault_passes_without_a_trace() {
    let seeds = variable("FAULT_SEEDS").unwrap_or(1);
    let faults = all();
    let work: Vec<(usize, u64)> =
        (0..seeds).flat_map(|seed| (0..faults.len()).map(move |fault| (fault, seed))).collect();
    let (numbers, wrong) = every(&work, |(fault, seed)| played(&faults[*fault], seed * 1_000 + *fault as u64));
    let Numbers { faults: struck, runs, lost, doubled, .. } = numbers;
    tell(&format!(
        "faults: {} kinds × {seeds} seeds at 5 %: {struck} injected in {runs} runs, {lost} lost, {doubled} doubled",
        faults.len()
    ));
    let shown: Vec<&str> = wrong.iter().take(3).map(String::as_str).collect();
    assert!(wrong.is_empty(), "{} went wrong; the first:\n{}", wrong.len(), shown.join("\n\n"));
    assert!(struck > 2 * work.len() as u64, "only {struck} faults struck in {} histories", work.len());
}
