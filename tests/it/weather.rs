//! Seeded stories of everything at once: changes, faults of both services, answers in every documented form, late rows, kills. When the weather clears, an
//! import and a sync bring both sides into agreement. A failing seed is named; put it into the test's list to keep it.

use std::time::Duration;

use serde_json::{Value, json};
use syncline::sandbox::options::SandboxOptions;
use syncline::sys::rng::Rng;

use crate::support::oracle::disagreements;
use crate::support::{Bench, FAST};

const OBJECT: &str = "Subscription__c";
const IMPORT: [&str; 4] = ["import", "--yes", "--format", "json"];
const SYNC: [&str; 4] = ["sync", "--once", "--format", "json"];

/// Rounds of change and trouble in one story.
const ROUNDS: usize = 6;

/// Changes of one round.
const CHANGES: usize = 8;

const KINDS: [&str; 16] = [
    "expired",
    "daily_limit",
    "concurrent_limit",
    "not_found_html",
    "not_acceptable",
    "edge",
    "unavailable",
    "html",
    "empty_body",
    "silent_empty",
    "not_my_json",
    "cut_json",
    "cut",
    "reset_before",
    "reset_after",
    "redirect",
];

/// What befalls HubSpot's answers; those that make a client wait for long have tests of their own.
const HUBSPOT_KINDS: [&str; 11] = [
    "unavailable",
    "bad_gateway",
    "html",
    "empty_body",
    "silent_empty",
    "not_my_json",
    "cut_json",
    "cut",
    "reset_before",
    "reset_after",
    "forbidden_html",
];

/// Forms of answers of which both are documented, or neither is confirmed.
fn forms(bench: &Bench, rng: &Rng) {
    let coin = || rng.below(2) == 0;
    let partial_status = *pick(rng, &[207, 200]);
    bench.hubspot(
        "switches",
        json!({"partial_status": partial_status, "echo_trace_ids": coin(), "honour_trace_ids": coin(),
            "association_batch_whole": coin(), "archived_frees_unique": true, "unique_case_sensitive": coin()}),
    );
}

fn pick<'a, T>(rng: &Rng, all: &'a [T]) -> &'a T {
    &all[rng.below(all.len() as u64) as usize]
}

/// Two faults of any kind, and now and then a lost place or a slow query.
fn trouble(rng: &Rng) -> Value {
    let calls = "/services/data/**";
    let mut rules: Vec<Value> = (0..2)
        .map(|_| json!({"service": "salesforce", "path": calls, "fault": pick(rng, &KINDS), "probability": 0.08}))
        .collect();
    rules
        .push(json!({"service": "hubspot", "path": "/crm/**", "fault": pick(rng, &HUBSPOT_KINDS), "probability": 0.1}));
    rules.push(json!({"service": "hubspot", "path": "/crm/**", "status": 502, "when": "after", "probability": 0.05}));
    for (code, path, chance) in
        [("QUERY_TIMEOUT", "/services/data/*/query*", 0.1), ("INVALID_QUERY_LOCATOR", "/services/data/*/query/*", 0.3)]
    {
        if rng.below(2) == 0 {
            let body = json!([{"errorCode": code, "message": "not now"}]);
            rules.push(json!({"path": path, "status": 400, "body": body, "probability": chance}));
        }
    }
    json!(rules)
}

/// One change that a person could make; refused ones (a row that is deleted already) change nothing.
fn change(bench: &Bench, rng: &Rng, rows: &[(String, Value)], accounts: &[String], orders: &[String]) {
    let (id, row) = pick(rng, rows);
    let deleted = row["deleted"] == true;
    let (action, arguments) = match rng.below(8) {
        0 if deleted => ("undelete", json!({"object": OBJECT, "id": id})),
        0 => ("delete", json!({"object": OBJECT, "id": id})),
        1 => {
            let values = json!({"Name": "A new one", "Status__c": "Active", "Account__c": pick(rng, accounts)});
            ("create", json!({"object": OBJECT, "values": values}))
        }
        kind => {
            let values = match kind {
                2 => json!({"Status__c": "Draft"}),
                3 => json!({"Status__c": "Active"}),
                4 => json!({"Account__c": pick(rng, accounts)}),
                5 => json!({"Work_Order__c": pick(rng, orders)}),
                6 => json!({"Account__c": null}),
                _ => json!({"Notes__c": format!("note {}", rng.below(100))}),
            };
            ("update", json!({"object": OBJECT, "id": id, "values": values}))
        }
    };
    drop(bench.sandbox.control("salesforce", action, &arguments));
}

/// Runs the program in the weather, or kills it somewhere.
fn run(bench: &Bench, rng: &Rng, arguments: &[&str], seed: u64) {
    if rng.below(2) == 0 {
        let mut child = bench.spawn(arguments);
        std::thread::sleep(Duration::from_millis(40 + rng.below(400)));
        child.kill().unwrap();
        child.wait().unwrap();
    } else {
        let ran = bench.run(arguments);
        assert!(matches!(ran.code, Some(0 | 1 | 3)), "seed {seed}: {ran:?}");
    }
}

fn story(seed: u64) {
    let rng = Rng::seeded(seed);
    let (latency, visibility_delay) = (Duration::from_millis(2), Duration::from_millis(300));
    let options = SandboxOptions { records: 120, seed, latency, visibility_delay, ..SandboxOptions::default() };
    let bench = Bench::with(SandboxOptions { rate_limit: FAST, ..options });
    let policy = pick(&rng, &["keep", "archive"]);
    let guarded = format!("on_filter_exit: {policy}\nguard: {{ archive: 100% }}");
    bench.edit("pipelines/subscriptions.yaml", "on_filter_exit: keep", &guarded);
    bench.salesforce("switches", json!({"short_pages": rng.below(2) == 0}));
    for round in 0..ROUNDS {
        bench.faults(trouble(&rng));
        forms(&bench, &rng);
        let imports = round == 0 || rng.below(4) == 0;
        run(&bench, &rng, if imports { &IMPORT } else { &SYNC }, seed);
        bench.sandbox.clear_faults();
        let rows: Vec<(String, Value)> = bench.rows(OBJECT).into_iter().collect();
        let accounts: Vec<String> = bench.rows("Account").into_keys().collect();
        let orders: Vec<String> = bench.rows("WorkOrder").into_keys().collect();
        (0..CHANGES).for_each(|_| change(&bench, &rng, &rows, &accounts, &orders));
    }
    std::thread::sleep(visibility_delay);
    for arguments in [&IMPORT[..], &SYNC, &["failures", "retry"], &SYNC] {
        let ran = bench.run(arguments);
        assert!(matches!(ran.code, Some(0 | 3)), "seed {seed}: {ran:?}");
    }
    let wrong = disagreements(&bench);
    assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
}

#[test]
fn both_sides_agree_when_the_weather_clears() {
    [3, 14, 23, 27].into_iter().for_each(story);
}
