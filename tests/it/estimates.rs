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
        all.map(|pipeline: &Value| pipeline["estimate"][key].as_u64().unwrap()).sum()
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
fn owners_are_counted_with_what_a_run_costs() {
    let bench = Bench::new(5);
    let lookup = json!({"name": "OwnerId", "type": "reference", "label": "Owner", "referenceTo": ["User"], "relationshipName": "Owner"});
    let name = json!({"name": "Name", "type": "string", "label": "Name", "nameField": true});
    let object =
        json!({"name": "Thing__c", "label": "Thing", "keyPrefix": "a88", "custom": true, "fields": [name, lookup]});
    bench.salesforce("seed", json!({"objects": [object]}));
    // Three pages of owners, and one of those whose users were deactivated.
    for number in 0..1_200 {
        let email = format!("owner{number}@example.com");
        bench.hubspot("add_owner", json!({"owner": {"email": email, "firstName": "F", "lastName": "L"}}));
    }
    let user = |number: usize| {
        let email = format!("owner{number}@example.com");
        let values = json!({"Username": email, "Email": email, "IsActive": "true"});
        bench.salesforce("create", json!({"object": "User", "values": values}))["id"].clone()
    };
    for number in [1, 1_199] {
        let values = json!({"Name": "x", "OwnerId": user(number)});
        bench.salesforce("create", json!({"object": "Thing__c", "values": values}));
    }
    bench.run(&["new", "things", "--source", "Thing__c", "--target", "things", "--create-target", "--apply"]).code(0);
    let plan = bench.run(&["plan", "things", "--full", "--format", "json"]).code(0).json();
    let estimated = plan["pipelines"][0]["estimate"]["hubspot_calls"].as_u64().unwrap();
    bench.sandbox.forget_requests();
    let done = bench.run(&["import", "things", "--yes", "--format", "json"]).code(0).json();
    let owners = bench.sandbox.requests().iter().filter(|request| request.target.starts_with("/crm/owners/")).count();
    assert_eq!((owners, &done["pipelines"][0]["created"]), (4, &json!(2)));
    let made = bench.calls("hubspot") as u64;
    assert!(
        estimated.abs_diff(made) <= 1,
        "{estimated} calls were foretold, {made} were made, {owners} of them for owners"
    );
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
