//! A trial before the whole import: a few records, copied for good, and nothing else remembered.

use serde_json::json;

use crate::support::{Bench, report};

#[test]
fn a_trial_copies_a_few_records_and_the_import_recognises_them() {
    let bench = Bench::new(60);
    let ran = bench.run(&["import", "subscriptions", "--limit", "7", "--yes", "--format", "json"]);
    let trial = ran.json();
    let own = report(&trial, "subscriptions");
    assert_eq!(own["read"], 7, "{trial}");
    let copied = bench.records("subscriptions").len();
    assert!(copied > 0 && copied <= 7, "{copied}");
    assert!(bench.run(&["status"]).stdout.contains("import"), "the records that exist are still to come");
    let whole = bench.import();
    let own = report(&whole, "subscriptions");
    assert_eq!(own["unchanged"].as_u64(), Some(copied as u64), "{whole}");
    let ids: Vec<String> = bench
        .records("subscriptions")
        .into_values()
        .map(|own| own["properties"]["salesforce_id"].to_string())
        .collect();
    assert_eq!(ids.len(), ids.iter().collect::<std::collections::BTreeSet<_>>().len(), "none is there twice");
}

#[test]
fn a_record_is_tried_by_its_id() {
    let bench = Bench::new(5);
    let made = bench.salesforce("create", json!({"object": "WorkOrder", "values": {"Subject": "Broken lift"}}));
    let id = made["id"].as_str().unwrap();
    let ran = bench.run(&["import", "--record", id, "--yes"]).code(1);
    assert!(ran.stderr.contains("name one"), "{ran:?}");
    bench.run(&["import", "work_orders", "--record", "x", "--yes"]).code(1);
    assert!(bench.records("work_orders").is_empty());
    bench.run(&["import", "work_orders", "--record", id, "--yes"]).code(0);
    let held: Vec<_> = bench.records("work_orders").into_values().collect();
    assert_eq!((held.len(), &held[0]["properties"]["salesforce_id"]), (1, &json!(id)));
    bench.salesforce("update", json!({"object": "WorkOrder", "id": id, "values": {"Subject": "Mended lift"}}));
    bench.run(&["import", "work_orders", "--record", id, "--yes"]).code(0);
    assert_eq!(bench.records("work_orders").into_values().next().unwrap()["properties"]["subject"], "Mended lift");
}
