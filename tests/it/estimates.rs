//! What a plan says that a run costs is what the run then costs, as both services counted it.

use serde_json::{Value, json};

use crate::support::Bench;

const OBJECT: &str = "Subscription__c";

/// So many calls an estimate may be off, or a quarter of what was made, whichever is more. Logging in, and how often a
/// job of the Bulk API is looked at, cannot be foretold.
const CALLS_OFF: f64 = 4.0;
const SHARE_OFF: f64 = 0.25;

#[track_caller]
fn check(name: &str, service: &str, estimated: u64, made: usize) {
    let (estimated, made) = (estimated as f64, made as f64);
    let allowed = CALLS_OFF.max(made * SHARE_OFF);
    assert!(
        (estimated - made).abs() <= allowed,
        "{name}: {estimated} calls to {service} were foretold, {made} were made"
    );
}

/// Plans, runs, and compares what was foretold with what the services counted.
#[track_caller]
fn compare(bench: &Bench, name: &str, command: &[&str]) -> (u64, usize) {
    let plan = bench.run(&["plan", "--format", "json"]).json();
    let sum = |key: &str| -> u64 {
        let all = plan["pipelines"].as_array().unwrap().iter();
        all.map(|own: &Value| own["estimate"][key].as_u64().unwrap()).sum()
    };
    bench.sandbox.forget_requests();
    let ran = bench.run(command);
    assert!(matches!(ran.code, Some(0 | 3)), "{name}: {ran:?}");
    let (hubspot, salesforce) = (bench.calls("hubspot"), bench.calls("salesforce"));
    check(name, "HubSpot", sum("hubspot_calls"), hubspot);
    check(name, "Salesforce", sum("salesforce_calls"), salesforce);
    (sum("hubspot_calls"), hubspot)
}

#[test]
fn an_estimate_is_about_what_a_run_costs() {
    for records in [8, 150, 700] {
        let bench = Bench::new(records);
        let (estimated, _) = compare(&bench, &format!("a first import of {records}"), &["import", "--yes"]);
        assert!(estimated > 10, "setting up, writing and associating are counted: {estimated}");
        bench.settle();
        compare(&bench, &format!("an idle cycle over {records}"), &["sync", "--once"]);
        let rows = bench.rows(OBJECT);
        let ids: Vec<&String> = rows.iter().filter(|(_, row)| row["deleted"] == false).map(|(id, _)| id).collect();
        for id in ids.iter().take(5) {
            bench.salesforce("update", json!({"object": OBJECT, "id": id, "values": {"Notes__c": "touched"}}));
        }
        for _ in 0..3 {
            bench.salesforce("create", json!({"object": "WorkOrder", "values": {"Subject": "New"}}));
        }
        compare(&bench, &format!("a cycle with changes over {records}"), &["sync", "--once"]);
    }
}
