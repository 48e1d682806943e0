//! Failures that end with their record, what an import by hand tries, and what the modes leave alone.

use serde_json::{Value, json};

use crate::support::{Bench, report};

const OBJECT: &str = "Subscription__c";

/// A pipeline of few fields, whose `seats` rejects a text that is no number.
fn bench(target: &str, more: &str) -> Bench {
    let bench = Bench::new(2);
    std::fs::remove_file(bench.path("pipelines/work_orders.yaml")).unwrap();
    bench.write(
        "pipelines/subscriptions.yaml",
        &format!(
            "version: 1
name: subscriptions
source: {{ object: Subscription__c }}
target: {{ object: subscriptions, match: salesforce_id{target} }}
fields:
  - {{ from: Name, to: subscription_name }}
{more}"
        ),
    );
    bench
}

const SEATS: &str = "  - { from: Notes__c, to: seats }\non_delete: archive\n";

fn create(bench: &Bench, values: Value) -> String {
    bench.salesforce("create", json!({"object": OBJECT, "values": values}))["id"].as_str().unwrap().to_owned()
}

fn failing(bench: &Bench, id: &str) -> bool {
    bench.failures().iter().any(|failure| failure["salesforce_id"] == id)
}

#[test]
fn a_failure_ends_with_its_record() {
    let ways: [(&str, &[&[&str]]); 2] = [
        ("a whole read does not meet it", &[&["import", "--yes"]]),
        ("a retry does not find it", &[&["failures", "retry"], &["sync", "--once"]]),
    ];
    for (way, commands) in ways {
        for end in ["purge", "delete", "hide"] {
            let bench = bench("", SEATS);
            bench.import();
            let id = create(&bench, json!({"Name": "x", "Notes__c": "no number"}));
            bench.sync();
            assert!(failing(&bench, &id));
            match end {
                "hide" => drop(bench.salesforce("hide_rows", json!({"object": OBJECT, "ids": [id]}))),
                end => drop(bench.salesforce(end, json!({"object": OBJECT, "id": id}))),
            }
            commands.iter().for_each(|command| assert!(matches!(bench.run(command).code, Some(0 | 3)), "{way}, {end}"));
            assert!(!failing(&bench, &id), "{way}, {end}");
        }
    }
}

#[test]
fn an_import_by_hand_tries_what_waits_for_its_retry() {
    let bench = bench("", SEATS);
    let id = create(&bench, json!({"Name": "x", "Notes__c": "5"}));
    let body = json!({"status": "error", "message": "Property values were not valid", "category": "VALIDATION_ERROR"});
    let key = format!("\"salesforce_id\":\"{id}\"");
    bench.faults(json!([{"service": "hubspot", "path": "/crm/objects/**/batch/upsert", "contains": key,
        "status": 400, "body": body}]));
    let first = bench.import();
    assert!(report(&first, "subscriptions")["failed"].as_u64() >= Some(1) && failing(&bench, &id), "{first}");
    // What it failed for is mended in HubSpot, and no row has changed.
    bench.sandbox.clear_faults();
    let planned = bench.run(&["plan", "--full", "--format", "json"]).code(0).json();
    let done = bench.import();
    assert!(!failing(&bench, &id), "{done}");
    for count in ["created", "failed"] {
        assert_eq!(report(&planned, "subscriptions")[count], report(&done, "subscriptions")[count], "{count}");
    }
}

#[test]
fn why_says_what_update_only_does_with_a_record() {
    let bench = bench(", mode: update_only", "on_delete: keep\n");
    let id = create(&bench, json!({"Name": "x"}));
    for _ in 0..2 {
        let why = bench.run(&["why", &id]).code(0).stdout;
        assert!(why.contains("`mode: update_only` creates none") && why.contains("no HubSpot record"), "{why}");
        assert!(!why.contains("brings"), "{why}");
        bench.import();
    }
    let properties = json!({"salesforce_id": id, "subscription_name": "made by hand"});
    bench.hubspot("create", json!({"object": "subscriptions", "properties": properties}));
    let why = bench.run(&["why", &id]).code(0).stdout;
    assert!(why.contains("takes it over"), "{why}");
    bench.import();
    let why = bench.run(&["why", &id]).code(0).stdout;
    assert!(why.contains("is kept in step"), "{why}");
}

#[test]
fn create_only_leaves_the_associations_of_existing_records_alone() {
    let lookup =
        "associations:\n  - { field: Account__c, to: companies, match: salesforceaccountid }\non_delete: keep\n";
    let bench = bench(", mode: create_only", lookup);
    let companies = bench.records("0-2");
    let known = |id: &String| {
        companies.values().filter(|company| company["properties"]["salesforceaccountid"] == id.as_str()).count() == 1
    };
    let accounts: Vec<String> = bench.rows("Account").into_keys().filter(known).take(2).collect();
    let id = create(&bench, json!({"Name": "S", "Account__c": accounts[0]}));
    // This one stood in HubSpot before Syncline came.
    let old = create(&bench, json!({"Name": "old", "Account__c": accounts[0]}));
    bench.hubspot(
        "create",
        json!({"object": "subscriptions", "properties": {"salesforce_id": old, "subscription_name": "old"}}),
    );
    bench.import();
    let shown = |id: &str| {
        let records = bench.records("subscriptions");
        records.into_values().find(|record| record["properties"]["salesforce_id"] == id).unwrap()
    };
    let made = shown(&id);
    assert!(made["associations"]["0-2"].is_array(), "a record that is made gets its associations: {made}");
    assert!(shown(&old)["associations"]["0-2"].is_null(), "what existed is left alone: {}", shown(&old));
    for account in [json!(accounts[1]), Value::Null] {
        let values = json!({"Name": "changed", "Account__c": account});
        bench.salesforce("update", json!({"object": OBJECT, "id": id, "values": values}));
        let planned = bench.run(&["plan", "--format", "json"]).code(0).json();
        let done = bench.sync();
        for count in ["associated", "disassociated", "updated"] {
            assert_eq!(report(&planned, "subscriptions")[count], 0, "{planned}");
            assert_eq!(report(&done, "subscriptions")[count], 0, "{done}");
        }
        assert_eq!(shown(&id), made);
    }
}
