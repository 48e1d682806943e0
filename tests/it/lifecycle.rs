//! The main job from end to end: plan, import, changes, sync, and what both systems hold afterwards.

use serde_json::json;

use crate::support::oracle::agree;
use crate::support::{Bench, report};

#[test]
fn import_copies_all_that_matches_and_a_second_one_writes_nothing() {
    let bench = Bench::new(120);
    let reports = bench.import();
    assert!(report(&reports, "subscriptions")["created"].as_u64() > Some(80), "{reports}");
    agree(&bench);
    let again = bench.import();
    for name in ["subscriptions", "work_orders"] {
        let outcome = report(&again, name);
        assert_eq!(
            (&outcome["created"], &outcome["updated"], &outcome["associated"]),
            (&json!(0), &json!(0), &json!(0)),
            "{outcome}"
        );
    }
    agree(&bench);
}

#[test]
fn sync_carries_over_what_changed() {
    let bench = Bench::new(60);
    bench.import();
    let rows = bench.rows("Subscription__c");
    let failed = bench.failures();
    let healthy: Vec<&String> = rows
        .iter()
        .filter(|(id, row)| {
            row["values"]["Status__c"] == "Active"
                && !failed.iter().any(|failure| failure["salesforce_id"] == id.as_str())
        })
        .map(|(id, _)| id)
        .collect();
    let object = "Subscription__c";
    bench.salesforce("update", json!({"object": object, "id": healthy[0], "values": {"Status__c": "On Hold"}}));
    bench.salesforce("delete", json!({"object": object, "id": healthy[1]}));
    bench.salesforce("update", json!({"object": object, "id": healthy[2], "values": {"Account__c": null}}));
    bench.salesforce("create", json!({"object": object, "values": {"Name": "New one", "Status__c": "Active"}}));
    let reports = bench.sync();
    let outcome = report(&reports, "subscriptions");
    assert_eq!((&outcome["created"], &outcome["archived"]), (&json!(1), &json!(1)), "{outcome}");
    agree(&bench);
    bench.salesforce("undelete", json!({"object": object, "id": healthy[1]}));
    bench.sync();
    agree(&bench);
}

#[test]
fn what_a_killed_import_wrote_is_archived_when_its_row_is_deleted_before_anybody_noted_it() {
    let bench = Bench::new(40);
    bench
        .faults(json!([{"path": "/crm/objects/**/batch/upsert", "method": "POST", "when": "after", "fault": "never"}]));
    let mut child = bench.spawn(&["import", "subscriptions", "--yes"]);
    let written = || {
        let records = bench.records("subscriptions");
        records.values().find_map(|record| record["properties"]["salesforce_id"].as_str().map(str::to_owned))
    };
    let id = loop {
        match written() {
            Some(id) => break id,
            None => std::thread::sleep(std::time::Duration::from_millis(20)),
        }
    };
    child.kill().unwrap();
    child.wait().unwrap();
    bench.sandbox.clear_faults();
    bench.salesforce("delete", json!({"object": "Subscription__c", "id": id}));
    bench.import();
    bench.settle();
    agree(&bench);
    bench.sandbox.forget_requests();
    bench.sync();
    assert_eq!(bench.calls("hubspot"), 0, "the doubt is over");
}
