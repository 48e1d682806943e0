//! What programs read: each command's JSON fits its schema, names things as every other command does, and tells of a failure.

use serde_json::{Value, json};
use syncline::ops::schemas;

use crate::support::Bench;
use crate::support::output::schema_of;

/// Commands of a project in use, each with the member that must hold something.
const COMMANDS: [(&[&str], &str); 19] = [
    (&["plan", "--base", "HEAD"], "/pipelines/0"),
    (&["plan", "--refresh"], "/pipelines/0"),
    (&["diff"], "/pipelines/0"),
    (&["diff", "--records"], "/pipelines/0"),
    (&["import", "--yes"], "/pipelines/0"),
    (&["sync", "--once"], "/pipelines/0"),
    (&["status"], "/pipelines/0/last_run"),
    (&["runs"], "/runs/0"),
    (&["failures"], "/failures/0"),
    (&["failures", "list", "--code", "SL5005"], "/failures/0"),
    (&["failures", "retry"], "/marked"),
    (&["discover"], "/salesforce/salesforce/0"),
    (&["discover", "Subscription__c"], "/salesforce"),
    (&["discover", "work_orders"], "/hubspot"),
    (&["catalog", "pull"], "/files/0"),
    (&["validate", "--online"], "/findings"),
    (&["test"], "/tests/0"),
    (&["doctor"], "/checks/0"),
    (&["state", "check"], "/bytes"),
];

fn in_json<'a>(command: &[&'a str]) -> Vec<&'a str> {
    [command, &["--format", "json"]].concat()
}

#[test]
fn every_command_prints_json_that_fits_its_schema() {
    let bench = Bench::new(40);
    let tests = std::fs::read_to_string("pipelines/subscriptions.test.yaml").unwrap();
    bench.write("pipelines/subscriptions.test.yaml", &tests);
    bench.repository();
    bench.edit("pipelines/subscriptions.yaml", "on_filter_exit: keep", "on_filter_exit: archive");
    let mut shown: Vec<&str> = Vec::new();
    for (command, member) in COMMANDS {
        let command = in_json(command);
        shown.extend(schema_of(&command));
        // `run` holds the answer against its schema.
        let value = bench.run(&command).json();
        assert!(value.pointer(member).is_some_and(|found| !found.is_null()), "{command:?}: no {member} in {value}");
    }
    let runs = bench.run(&["runs", "--format", "json"]).json();
    let run = runs["runs"].as_array().unwrap().iter().find(|run| run["failed"] != 0).unwrap();
    let shown_run = bench.run(&["runs", run["run"].as_str().unwrap(), "--format", "json"]).code(0).json();
    assert_eq!((&shown_run["run"]["pipeline"], &shown_run["run"]["kind"]), (&run["pipeline"], &json!("import")));
    assert!(!shown_run["failures"].as_array().unwrap().is_empty());
    bench.run(&["plan", "--out", "saved.plan"]).code(0);
    bench.run(&["apply", "saved.plan", "--yes", "--format", "json"]).json();
    let id = bench.rows("Subscription__c").into_keys().next().unwrap();
    bench.run(&["why", &id, "--format", "json"]).code(0).json();
    shown.extend(["run", "why"]);
    // What needs a server of PostgreSQL is held in `deploy.rs`.
    shown.extend(["deploy", "deployments"]);
    // What a webhook is sent, and what sending one says, is held in `alerts.rs`.
    shown.extend(["alert", "alerts-test"]);
    let results = schemas::NAMES.into_iter().filter(|name| !syncline::config::schema::NAMES.contains(name));
    let missing: Vec<&str> = results.filter(|name| !shown.contains(name)).collect();
    assert!(missing.is_empty(), "no command of this test prints {missing:?}");
}

#[test]
fn why_tells_its_reasons_by_name() {
    let bench = Bench::new(40);
    let rows = bench.rows("Subscription__c");
    let legacy = rows.iter().find(|(_, row)| row["values"]["Status__c"] == "Legacy").unwrap().0;
    let ids: Vec<&String> = rows.keys().filter(|id| *id != legacy).collect();
    let set = |id: &str, values: Value| {
        bench.salesforce("update", json!({"object": "Subscription__c", "id": id, "values": values}));
    };
    set(ids[0], json!({"Status__c": "Active"}));
    set(ids[1], json!({"Status__c": "Draft"}));
    let why = |id: &str| {
        let output = bench.run(&["why", id, "--format", "json"]).code(0).json();
        assert_eq!(output["salesforce_id"], id);
        output["pipelines"][0].clone()
    };
    let reasons = |id: &str| -> Vec<String> {
        let codes = why(id);
        assert_eq!(codes["pipeline"], "subscriptions");
        codes["reasons"]
            .as_array()
            .unwrap()
            .iter()
            .map(|reason| reason["reason"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(reasons(ids[0]), ["never_ran"]);
    bench.import();
    assert_eq!(reasons(ids[0]), ["synced", "unchanged"]);
    assert_eq!(reasons(ids[1]), ["filtered"]);
    assert_eq!(reasons(legacy), ["failed"]);
    let account = &why(ids[0])["associations"][0];
    assert_eq!(account["field"], "Account__c", "{account}");
    assert!(["associated", "pending", "blank"].contains(&account["status"].as_str().unwrap()), "{account}");
    set(ids[0], json!({"Amount__c": 1}));
    assert_eq!(reasons(ids[0]), ["synced", "changed"]);
    bench.salesforce("delete", json!({"object": "Subscription__c", "id": ids[0]}));
    assert_eq!(reasons(ids[0]), ["synced", "deleted"]);
    assert_eq!(reasons("a015g00000zzzzzAAA"), ["not_in_source"]);
}

#[test]
fn a_command_that_fails_says_so_in_json() {
    let bench = Bench::new(5);
    let commands: [&[&str]; 7] = [
        &["why", "nothing"],
        &["runs", "nothing"],
        &["failures", "show", "a015g00000zzzzzAAA"],
        &["discover", "Nothing__c"],
        &["plan", "nothing"],
        &["test"],
        &["catalog", "pull", "Nothing__c"],
    ];
    for command in commands {
        let ran = bench.run(&in_json(command)).code(1);
        let output = ran.json();
        let code = output["error"]["code"].as_str().unwrap_or_default();
        assert!(code.starts_with("SL") && output["status"] == "failed", "{command:?}: {output}");
        assert!(ran.stderr.contains(code), "{command:?}: {}", ran.stderr);
    }
}
