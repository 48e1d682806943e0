//! `target.match` points at another property, or the objects of a pipeline change under its name: what was synced is
//! recognised, and nothing is made twice.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Bench, report};

const OBJECT: &str = "Subscription__c";
const FILE: &str = "pipelines/subscriptions.yaml";

/// An imported world of a few records, whose pipeline then has another match property.
fn moved(records: usize) -> Bench {
    let bench = Bench::new(records);
    std::fs::remove_file(bench.path("pipelines/work_orders.yaml")).unwrap();
    let text = "version: 1
name: subscriptions
source: { object: Subscription__c }
target: { object: subscriptions, match: salesforce_id }
fields:
  - { from: Name, to: subscription_name }
on_delete: archive
guard: { archive: 100% }
";
    bench.write(FILE, text);
    let property =
        json!({"name": "sf_id", "label": "SF id", "type": "string", "fieldType": "text", "hasUniqueValue": true});
    bench.hubspot("add_property", json!({"object": "subscriptions", "property": property}));
    bench.import();
    bench.edit(FILE, "match: salesforce_id", "match: sf_id");
    bench
}

/// Live records: their old and their new key.
fn keys(bench: &Bench) -> Vec<(String, String)> {
    let text = |record: &Value, name: &str| record["properties"][name].as_str().unwrap_or_default().to_owned();
    let records = bench.records("subscriptions");
    let live = records.values().filter(|record| record["archived"] == false);
    live.map(|record| (text(record, "salesforce_id"), text(record, "sf_id"))).collect()
}

#[track_caller]
fn all_moved(bench: &Bench) {
    let rows: BTreeMap<String, Value> =
        bench.rows(OBJECT).into_iter().filter(|(_, row)| row["deleted"] == false).collect();
    let keys = keys(bench);
    assert_eq!(keys.len(), rows.len(), "one record for each row: {keys:?}");
    assert!(keys.iter().all(|(_, new)| rows.contains_key(new)), "{keys:?}");
    assert!(keys.iter().all(|(old, new)| old.is_empty() || old == new), "{keys:?}");
}

#[test]
fn records_that_were_synced_get_the_new_match_property() {
    for command in [&["import", "--yes", "--format", "json"][..], &["import", "--stale", "--yes", "--format", "json"]] {
        let bench = moved(5);
        let planned = bench.run(&["plan", "--format", "json"]).code(0).json();
        let forecast = report(&planned, "subscriptions");
        assert_eq!((&forecast["created"], &forecast["updated"]), (&json!(0), &json!(5)), "{forecast}");
        let done = bench.run(command).code(0).json();
        let outcome = report(&done, "subscriptions");
        assert_eq!((&outcome["created"], &outcome["updated"]), (&json!(0), &json!(5)), "{outcome}");
        all_moved(&bench);
        bench.sandbox.forget_requests();
        bench.import();
        assert!(
            bench.sandbox.requests().iter().all(|entry| !entry.target.contains("/batch/u")),
            "nothing is left to do"
        );
    }
}

#[test]
fn a_sync_alone_moves_what_it_meets_and_archives_what_it_has_not_met() {
    let bench = moved(5);
    let ids: Vec<String> = bench.rows(OBJECT).into_keys().collect();
    bench.salesforce("update", json!({"object": OBJECT, "id": ids[0], "values": {"Name": "changed"}}));
    bench.salesforce("delete", json!({"object": OBJECT, "id": ids[1]}));
    bench.salesforce("create", json!({"object": OBJECT, "values": {"Name": "new"}}));
    let reports = bench.sync();
    let outcome = report(&reports, "subscriptions");
    assert_eq!((&outcome["created"], &outcome["archived"]), (&json!(1), &json!(1)), "{outcome}");
    let keys = keys(&bench);
    assert_eq!(keys.len(), 5, "{keys:?}");
    assert!(
        keys.contains(&(ids[0].clone(), ids[0].clone())) && !keys.iter().any(|(old, _)| *old == ids[1]),
        "{keys:?}"
    );
    bench.import();
    all_moved(&bench);
}

#[test]
fn a_kill_while_records_move_doubles_nothing() {
    for when in ["before", "after"] {
        let bench = moved(5);
        bench.faults(json!([{"path": "/crm/objects/**/batch/update", "fault": "never", "when": when}]));
        let mut child = bench.spawn(&["import", "--yes"]);
        let end = Instant::now() + Duration::from_secs(20);
        while bench.sandbox.faults()["rules"][0]["struck"] == 0 {
            assert!(Instant::now() < end, "nothing was sent");
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        bench.sandbox.clear_faults();
        let gone = bench.rows(OBJECT).into_keys().next().unwrap();
        bench.salesforce("delete", json!({"object": OBJECT, "id": gone}));
        bench.sync();
        bench.import();
        all_moved(&bench);
    }
}

#[test]
fn a_value_that_another_record_holds_is_a_failure_and_no_second_record() {
    let bench = moved(3);
    let id = bench.rows(OBJECT).into_keys().next().unwrap();
    let properties = json!({"subscription_name": "made by hand", "sf_id": id});
    bench.hubspot("create", json!({"object": "subscriptions", "properties": properties}));
    bench.run(&["import", "--yes"]).code(3);
    let failures = bench.failures();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!((&failures[0]["code"], &failures[0]["salesforce_id"]), (&json!("SL5106"), &json!(id)));
    assert_eq!(keys(&bench).len(), 4, "three of ours, one made by hand");
}

#[test]
fn a_state_is_not_taken_for_knowledge_of_another_object() {
    for (from, to) in [
        ("source: { object: Subscription__c }", "source: { object: WorkOrder }"),
        ("object: subscriptions", "object: work_orders"),
    ] {
        let bench = moved(3);
        bench.edit(FILE, "match: sf_id", "match: salesforce_id");
        bench.edit(FILE, from, to);
        if to.contains("WorkOrder") {
            bench.edit(FILE, "from: Name", "from: Subject");
        } else {
            bench.edit(FILE, "to: subscription_name }", "to: subject }\n  - { from: Name, to: work_order_number }");
        }
        let before = bench.records("work_orders").len();
        for command in [&["import", "--yes"][..], &["sync", "--once"]] {
            let ran = bench.run(command).code(1);
            assert!(ran.stderr.contains("SL6020") && ran.stderr.contains("`name`"), "{ran:?}");
        }
        let planned = bench.run(&["plan"]);
        assert!(planned.stdout.contains("would be left behind"), "{planned:?}");
        assert_eq!(bench.records("work_orders").len(), before);
        // Under a name of its own it starts anew.
        bench.edit(FILE, "name: subscriptions", "name: others");
        assert!(matches!(bench.run(&["import", "--yes"]).code, Some(0 | 3)));
    }
}

#[test]
fn without_the_old_property_nothing_is_made_twice() {
    let bench = moved(3);
    bench.hubspot("archive_property", json!({"object": "subscriptions", "property": "salesforce_id"}));
    let gone = bench.rows(OBJECT).into_keys().next().unwrap();
    bench.salesforce("delete", json!({"object": OBJECT, "id": gone}));
    bench.run(&["sync", "--once"]).code(3);
    bench.run(&["import", "--yes"]).code(3);
    let failures = bench.failures();
    assert!(failures.len() == 3 && failures.iter().all(|failure| failure["code"] == "SL5122"), "{failures:?}");
    assert_eq!(bench.records("subscriptions").len(), 3);
}
