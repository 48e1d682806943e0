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
        let own = report(&again, name);
        assert_eq!((&own["created"], &own["updated"], &own["associated"]), (&json!(0), &json!(0), &json!(0)), "{own}");
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
    let own = report(&reports, "subscriptions");
    assert_eq!((&own["created"], &own["archived"]), (&json!(1), &json!(1)), "{own}");
    agree(&bench);
    bench.salesforce("undelete", json!({"object": object, "id": healthy[1]}));
    bench.sync();
    agree(&bench);
}
