//! HubSpot's batch answers may leave inputs out, name them twice, or name what nobody asked for. Only what an answer names
//! is known: a delete, an association or a record that it passes over is asked for again, then stands under `failures`.

use serde_json::{Value, json};

use crate::support::oracle::agree;
use crate::support::story::{IMPORT, SYNC, Story};
use crate::support::{Bench, report};

const OBJECT: &str = "Subscription__c";

/// The batch calls of a run.
const BATCHES: [&str; 7] = [
    "/crm/objects/**/batch/read",
    "/crm/objects/**/batch/upsert",
    "/crm/objects/**/batch/archive",
    "/crm/associations/**/batch/read",
    "/crm/associations/**/batch/create",
    "/crm/associations/**/batch/associate/default",
    "/crm/associations/**/batch/archive",
];

/// Answers that prove less than they seem to.
fn answers() -> Vec<Value> {
    let empty = json!({"status": "COMPLETE", "results": []});
    vec![
        json!({"fault": "short_results"}),
        json!({"fault": "no_results"}),
        json!({"fault": "doubled_results"}),
        json!({"fault": "foreign_results"}),
        json!({"status": 200, "body": empty, "when": "before"}),
        json!({"status": 207, "body": empty, "when": "before"}),
        json!({"status": 207, "body": "", "when": "after"}),
        json!({"status": 200, "body": {"status": "PENDING", "results": []}, "when": "before"}),
    ]
}

fn rule(path: &str, answer: &Value, times: Option<u64>) -> Value {
    let mut rule = json!({"service": "hubspot", "method": "POST", "path": path});
    let members = rule.as_object_mut().unwrap();
    members.extend(answer.as_object().unwrap().clone());
    if let Some(times) = times {
        members.insert("times".to_owned(), times.into());
    }
    rule
}

/// Every answer at every call, once.
fn outlived(arguments: [&'static str; 5]) {
    let story = Story::new(Bench::new(20), arguments);
    for answer in answers() {
        let rules: Value = BATCHES.iter().map(|path| rule(path, &answer, Some(1))).collect();
        let ran = story.faults(&answer.to_string(), rules);
        assert!(matches!(ran.code, Some(0 | 3)), "{answer}: {ran:?}");
    }
}

#[test]
fn an_import_outlives_answers_that_leave_records_out() {
    outlived(IMPORT);
}

#[test]
fn a_sync_outlives_answers_that_leave_records_out() {
    outlived(SYNC);
}

/// Every answer at one call, for as long as the run goes on: what is open in the end is a failure that is due again.
fn lasting(arguments: [&'static str; 5]) {
    let story = Story::new(Bench::new(20), arguments);
    for path in BATCHES {
        for answer in &answers()[..2] {
            let retry = |bench: &Bench| drop(bench.run(&["failures", "retry"]).code(0));
            let name = format!("{answer} at {path}");
            let ran = story.tell(&name, |bench| bench.faults(json!([rule(path, answer, None)])), retry);
            assert!(matches!(ran.code, Some(0 | 1 | 3)), "{name}: {ran:?}");
        }
    }
}

#[test]
fn an_import_loses_nothing_to_answers_that_leave_records_out_for_long() {
    lasting(IMPORT);
}

#[test]
fn a_sync_loses_nothing_to_answers_that_leave_records_out_for_long() {
    lasting(SYNC);
}

/// A live subscription with a record in HubSpot, and that record's id.
fn synced(bench: &Bench) -> (String, String) {
    let rows = bench.rows(OBJECT);
    let records = bench.records("subscriptions");
    let found = records.iter().find_map(|(id, record)| {
        let key = record["properties"]["salesforce_id"].as_str()?.to_owned();
        (rows.get(&key)?["values"]["Account__c"].is_string()).then(|| (key, id.clone()))
    });
    found.unwrap()
}

#[test]
fn a_delete_is_not_lost_to_a_read_that_passes_over_the_record() {
    let bench = Bench::new(20);
    bench.import();
    let (row, record) = synced(&bench);
    bench.salesforce("delete", json!({"object": OBJECT, "id": row}));
    bench.faults(json!([rule(BATCHES[0], &json!({"fault": "no_results"}), None)]));
    let ran = bench.run(&["sync", "--once", "--format", "json"]).code(3);
    assert_eq!(report(&ran.json(), "subscriptions")["archived"], 0, "{}", ran.stdout);
    let failures = bench.failures();
    let failure = failures.iter().find(|failure| failure["salesforce_id"] == row.as_str());
    assert_eq!(failure.unwrap()["code"], "SL5121", "{failures:?}");
    bench.sandbox.clear_faults();
    bench.run(&["failures", "retry"]).code(0);
    let reports = bench.sync();
    assert_eq!(report(&reports, "subscriptions")["archived"], 1, "{reports}");
    assert_eq!(bench.records("subscriptions")[&record]["archived"], true);
    assert!(bench.failures().iter().all(|failure| failure["salesforce_id"] != row.as_str()));
    agree(&bench);
}

#[test]
fn a_lookup_that_goes_takes_its_link_along_whatever_the_answers_leave_out() {
    // The read that finds the association, then the call that removes it, once with and once without its effect.
    let kinds = [
        (BATCHES[3], json!({"fault": "no_results"})),
        (BATCHES[6], json!({"status": 200, "body": {"status": "COMPLETE", "results": []}, "when": "before"})),
        (BATCHES[6], json!({"fault": "no_results"})),
        (BATCHES[6], json!({"status": 207, "body": {"status": "COMPLETE", "results": []}, "when": "before"})),
    ];
    for (path, answer) in kinds {
        let bench = Bench::new(20);
        bench.import();
        let (row, record) = synced(&bench);
        bench.salesforce("update", json!({"object": OBJECT, "id": row, "values": {"Account__c": null}}));
        bench.faults(json!([rule(path, &answer, Some(1))]));
        let reports = bench.sync();
        assert_eq!(report(&reports, "subscriptions")["disassociated"], 1, "{answer} at {path}: {reports}");
        let associations = &bench.records("subscriptions")[&record]["associations"]["0-2"];
        assert!(associations.is_null(), "{answer} at {path}: {associations}");
        agree(&bench);
    }
}

#[test]
fn an_existing_record_is_never_doubled_by_a_read_that_passes_over_it() {
    let bench = Bench::new(20);
    bench.edit("pipelines/subscriptions.yaml", "match: salesforce_id", "match: salesforce_id\n  mode: create_only");
    bench.import();
    let before = bench.records("subscriptions").len();
    std::fs::remove_dir_all(bench.path(".syncline")).unwrap();
    bench.faults(json!([rule(BATCHES[0], &json!({"fault": "no_results"}), None)]));
    bench.run(&["import", "--yes"]).code(3);
    assert_eq!(bench.records("subscriptions").len(), before);
    bench.sandbox.clear_faults();
    bench.run(&["failures", "retry"]).code(0);
    bench.import();
    assert_eq!(bench.records("subscriptions").len(), before);
}
#[test]
fn a_delete_that_was_set_aside_is_carried_out_after_the_row_left_the_bin() {
    let bench = Bench::new(20);
    bench.import();
    let (row, record) = synced(&bench);
    bench.salesforce("delete", json!({"object": OBJECT, "id": row}));
    bench.faults(json!([rule(BATCHES[0], &json!({"fault": "no_results"}), None)]));
    bench.run(&["sync", "--once"]).code(3);
    bench.sandbox.clear_faults();
    bench.salesforce("purge", json!({"object": OBJECT, "id": row}));
    bench.run(&["failures", "retry"]).code(0);
    bench.sync();
    assert_eq!(bench.records("subscriptions")[&record]["archived"], true, "the proof of the delete was seen once");
    assert!(bench.failures().iter().all(|failure| failure["salesforce_id"] != row.as_str()));
}
