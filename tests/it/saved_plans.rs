//! `plan --out` and `apply`: what was planned is done and nothing else, and a world that moved is named.

use serde_json::{Value, json};

use crate::support::{Bench, Ran, report};

const OBJECT: &str = "Subscription__c";
const FILE: &str = "pipelines/subscriptions.yaml";

/// An imported bench with some changes to come, and their saved plan.
fn planned() -> (Bench, Vec<String>) {
    let bench = Bench::new(40);
    bench.import();
    bench.settle();
    let live = bench.rows(OBJECT).into_iter().filter(|(_, row)| row["values"]["Status__c"] == "Active");
    let ids: Vec<String> = live.map(|(id, _)| id).collect();
    for id in &ids[..3] {
        update(&bench, id, json!({"Amount__c": 4321}));
    }
    bench.run(&["plan", "--out", "saved.plan"]).code(0);
    (bench, ids)
}

fn update(bench: &Bench, id: &str, values: Value) {
    bench.salesforce("update", json!({"object": OBJECT, "id": id, "values": values}));
}

/// Requests to HubSpot that write records or associations.
fn writes(bench: &Bench) -> usize {
    let sent = bench.sandbox.requests().into_iter().filter(|entry| entry.service == "hubspot" && entry.method != "GET");
    sent.filter(|entry| !entry.target.contains("/batch/read") && !entry.target.contains("/search")).count()
}

fn apply(bench: &Bench) -> Ran {
    bench.run(&["apply", "saved.plan", "--yes", "--format", "json"])
}

/// The plan is refused, for this reason, and nothing is written.
#[track_caller]
fn refused(bench: &Bench, code: &str, pieces: &[&str]) {
    let (before, runs) = (writes(bench), bench.run(&["runs", "--format", "json"]).stdout);
    let ran = apply(bench).code(1);
    assert_eq!(writes(bench), before, "{ran:?}");
    assert_eq!(bench.run(&["runs", "--format", "json"]).stdout, runs, "a refused plan is no run");
    let output = ran.json();
    assert_eq!((&output["status"], &output["error"]["code"]), (&json!("failed"), &json!(code)));
    for piece in pieces.iter().chain(&[code, "nothing was done"]) {
        assert!(ran.stderr.contains(piece), "`{piece}` is not in:\n{}", ran.stderr);
    }
}

#[test]
fn what_was_saved_is_done_once() {
    let (bench, ids) = planned();
    let ran = apply(&bench).code(0);
    let outcome = report(&ran.json(), "subscriptions").clone();
    assert_eq!((&outcome["updated"], &outcome["created"]), (&json!(3), &json!(0)), "{outcome}");
    let amounts: Vec<Value> = bench
        .records("subscriptions")
        .into_values()
        .filter(|record| ids[..3].iter().any(|id| record["properties"]["salesforce_id"] == id.as_str()))
        .map(|record| record["properties"]["amount"].clone())
        .collect();
    assert_eq!(amounts, vec![json!("4321"); 3]);
    // The plan has been carried out: a second time it is refused.
    refused(&bench, "SL6014", &["state of subscriptions", "came in between"]);
}

#[test]
fn a_first_import_can_be_saved_and_applied() {
    let bench = Bench::new(40);
    let plan = bench.run(&["plan", "--out", "saved.plan", "--format", "json"]).code(0).json();
    let done = bench.run(&["apply", "saved.plan", "--yes", "--format", "json"]).json();
    for name in ["subscriptions", "work_orders"] {
        for number in ["created", "failed", "associated"] {
            assert_eq!(report(&plan, name)[number], report(&done, name)[number], "{name}: {number}");
        }
        assert_eq!(report(&done, name)["kind"], "import");
    }
}

#[test]
fn a_source_that_moved_is_named() {
    let (bench, ids) = planned();
    update(&bench, &ids[0], json!({"Amount__c": 1}));
    refused(&bench, "SL6014", &[&format!("Salesforce: record {} changed since", ids[0])]);
    let (bench, ids) = planned();
    update(&bench, &ids[5], json!({"Amount__c": 1}));
    refused(&bench, "SL6014", &[&format!("Salesforce: record {} changed since, and would be included now", ids[5])]);
    let (bench, ids) = planned();
    bench.salesforce("delete", json!({"object": OBJECT, "id": ids[1]}));
    refused(&bench, "SL6014", &[&ids[1]]);
}

#[test]
fn a_target_that_moved_is_named() {
    let (bench, ids) = planned();
    let records = bench.records("subscriptions");
    let (id, _) = records.iter().find(|(_, record)| record["properties"]["salesforce_id"] == ids[0].as_str()).unwrap();
    bench.hubspot("set", json!({"object": "subscriptions", "id": id, "properties": {"amount": "5"}}));
    refused(&bench, "SL6014", &[&format!("HubSpot: the record of {} changed since", ids[0])]);
    let (bench, ids) = planned();
    let records = bench.records("subscriptions");
    let (id, _) = records.iter().find(|(_, record)| record["properties"]["salesforce_id"] == ids[0].as_str()).unwrap();
    bench.hubspot("archive", json!({"object": "subscriptions", "id": id}));
    refused(&bench, "SL6014", &[&format!("HubSpot: the record of {} changed since", ids[0])]);
    let (bench, _) = planned();
    bench.hubspot("add_option", json!({"object": "subscriptions", "property": "status", "value": "paused"}));
    refused(&bench, "SL6014", &["HubSpot: ", "status", "paused"]);
}

#[test]
fn a_mapping_that_moved_is_named() {
    let (bench, _) = planned();
    bench.edit(FILE, "On Hold: on_hold", "On Hold: cancelled");
    refused(&bench, "SL6014", &["mapping of subscriptions: the value map of `status` changed"]);
    let (bench, _) = planned();
    bench.edit(FILE, "name: subscriptions", "name: others");
    refused(&bench, "SL6014", &["mapping: the pipeline `subscriptions` no longer exists"]);
    // What is no part of the mapping does not matter.
    let (bench, _) = planned();
    bench.edit(FILE, "sync:\n", "# A remark.\nsync:\n");
    apply(&bench).code(0);
}

#[test]
fn a_state_that_moved_is_named() {
    let (bench, _) = planned();
    bench.sync();
    refused(&bench, "SL6014", &["state of subscriptions: the run", "came in between"]);
    let (bench, _) = planned();
    std::fs::remove_dir_all(bench.path(".syncline")).unwrap();
    refused(&bench, "SL6014", &["state of subscriptions"]);
}

#[test]
fn a_plan_file_that_is_none_is_refused() {
    let (bench, _) = planned();
    let whole = std::fs::read(bench.path("saved.plan")).unwrap();
    let text = String::from_utf8(whole.clone()).unwrap();
    let cases: Vec<(&str, Vec<u8>, &str, &str)> = vec![
        ("empty", Vec::new(), "SL6012", "it is empty"),
        ("cut", whole[..whole.len() / 2].to_vec(), "SL6012", "is not a plan that can be applied"),
        ("without its end", text.trim_end().rsplit_once('\n').unwrap().0.as_bytes().to_vec(), "SL6012", "is not"),
        ("edited", text.replacen("update", "create", 1).into_bytes(), "SL6012", "its digest does not match"),
        ("something after it", [&whole[..], b"more\n"].concat(), "SL6012", "its digest does not match"),
        ("another kind of file", b"version: 1\n".to_vec(), "SL6012", "does not start like a plan"),
        ("no text", vec![0xff, 0xfe, 0x00, b'\n'], "SL6012", "not text"),
        (
            "another version",
            text.replacen("\"syncline_plan\":1", "\"syncline_plan\":9", 1).into_bytes(),
            "SL6013",
            "form 9",
        ),
        (
            "another program",
            text.replacen("\"syncline\":\"0", "\"syncline\":\"7", 1).into_bytes(),
            "SL6013",
            "made by Syncline 7",
        ),
    ];
    for (name, bytes, code, piece) in cases {
        assert_ne!(bytes, whole, "{name}");
        std::fs::write(bench.path("saved.plan"), bytes).unwrap();
        refused(&bench, code, &[piece]);
    }
    std::fs::remove_file(bench.path("saved.plan")).unwrap();
    let ran = apply(&bench).code(1);
    assert!(ran.stderr.contains("SL6012") && ran.stderr.contains("plan --out"), "{ran:?}");
}

#[test]
fn a_plan_is_applied_after_a_yes_only_and_behind_the_guard() {
    let (bench, ids) = planned();
    let ran = bench.run(&["apply", "saved.plan"]).code(1);
    assert!(ran.stderr.contains("SL6007") && ran.stderr.contains("3 to update"), "{ran:?}");
    for id in &ids[..8] {
        bench.salesforce("delete", json!({"object": OBJECT, "id": id}));
    }
    let planned = bench.run(&["plan", "--out", "saved.plan"]).code(0);
    assert!(planned.stdout.contains("guard.archive"), "{}", planned.stdout);
    let before = writes(&bench);
    let ran = apply(&bench).code(1);
    assert!(ran.stdout.contains("guard.archive") || ran.stderr.contains("guard.archive"), "{ran:?}");
    assert_eq!(writes(&bench), before);
    // What was refused has moved nothing: the same plan goes through once it is allowed.
    let ran = bench.run(&["apply", "saved.plan", "--yes", "--allow-archive", "8", "--format", "json"]).code(0);
    assert_eq!(report(&ran.json(), "subscriptions")["archived"], 8);
}

#[test]
fn a_plan_that_could_not_be_finished_is_not_saved() {
    let bench = Bench::new(30);
    bench.import();
    bench.faults(json!([{"service": "salesforce", "path": "/services/data/**/query*", "fault": "daily_limit"}]));
    let ran = bench.run(&["plan", "--out", "saved.plan"]).code(1);
    assert!(!bench.path("saved.plan").exists() && !bench.path("saved.plan.part").exists(), "{ran:?}");
    let ran = bench.run(&["plan", "--out", "no/such/folder/saved.plan"]).code(1);
    assert!(ran.stderr.contains("SL6008"), "{ran:?}");
}

#[test]
fn a_plan_about_nothing_runs_nothing() {
    let (bench, _) = planned();
    bench.repository();
    bench.run(&["plan", "modified:HEAD", "--out", "saved.plan"]).code(0);
    let before = bench.calls("hubspot") + bench.calls("salesforce");
    let ran = bench.run(&["apply", "saved.plan", "--yes"]).code(0);
    assert!(ran.stderr.contains("there is nothing to do"), "{ran:?}");
    assert_eq!(bench.calls("hubspot") + bench.calls("salesforce"), before);
}

#[test]
fn a_quiet_cycle_in_between_moves_nothing() {
    let bench = Bench::new(40);
    bench.import();
    bench.settle();
    // What failed would be tried at once under another mapping.
    bench.run(&["failures", "dismiss"]).code(0);
    bench.edit(FILE, "On Hold: on_hold", "On Hold: cancelled");
    bench.run(&["plan", "--out", "saved.plan"]).code(0);
    assert_eq!(report(&bench.sync(), "subscriptions")["updated"], 0);
    let ran = apply(&bench);
    assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
    assert!(report(&ran.json(), "subscriptions")["updated"].as_u64().unwrap() > 0);
}

#[test]
fn what_changes_while_a_plan_is_applied_is_left_for_the_next_sync() {
    let (bench, ids) = planned();
    // The run's own read waits long enough for a record to change between the comparison and it.
    bench.faults(json!([{"service": "salesforce", "path": "/services/data/**/query*", "contains": "FROM%20Subscription__c", "delay": "1500ms"}]));
    let mut child = bench.spawn(&["apply", "saved.plan", "--yes", "--format", "json"]);
    let begun = bench.sandbox.requests().len();
    // After the comparison has read the window, and before the run reads it again.
    let reads = |bench: &Bench| {
        let sent = bench.sandbox.requests();
        sent[begun..].iter().filter(|entry| entry.target.contains("FROM%20Subscription__c")).count()
    };
    while reads(&bench) < 2 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    update(&bench, &ids[0], json!({"Amount__c": 1}));
    let output = child.wait_with_output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let amount = |bench: &Bench, id: &str| {
        let records = bench.records("subscriptions");
        let record = records.values().find(|record| record["properties"]["salesforce_id"] == id).unwrap();
        record["properties"]["amount"].clone()
    };
    assert!(printed.contains("left for the next sync"), "{printed}");
    assert_eq!(
        (amount(&bench, &ids[1]), amount(&bench, &ids[2])),
        (json!("4321"), json!("4321")),
        "the others are done"
    );
    assert_ne!(amount(&bench, &ids[0]), "1");
    bench.sync();
    assert_eq!(amount(&bench, &ids[0]), "1", "{printed}");
}
