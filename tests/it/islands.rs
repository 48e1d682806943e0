//! A pipeline is an island: one that is refused is a failed run with its reason, and the others go on, whatever the command.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Bench, Ran, report};

const OBJECT: &str = "Subscription__c";

/// What keeps `subscriptions` from running, and the code that says so.
type Trouble = (&'static str, &'static str, fn(&Bench));

const TROUBLES: [Trouble; 8] = [
    ("a hidden field", "SL3001", |bench| {
        bench.salesforce("hide", json!({"object": OBJECT, "field": "Notes__c"}));
    }),
    ("a file that cannot be parsed", "SL1002", |bench| {
        bench.edit("pipelines/subscriptions.yaml", "source:\n", "source: [\n");
    }),
    ("an unknown key", "SL1003", |bench| {
        bench.edit("pipelines/subscriptions.yaml", "on_delete: archive", "on_delete: archive\non_dilete: keep");
    }),
    ("a rule that the file breaks", "SL2032", |bench| {
        bench.edit("pipelines/subscriptions.yaml", "to: notes }", "to: seats }");
    }),
    ("a connection whose token is not set", "SL1010", |bench| {
        second_portal(bench, "    access_token: ${TOKEN_THAT_NOBODY_SETS}\n");
    }),
    ("a connection whose token is refused", "SL4002", |bench| {
        second_portal(bench, "    access_token: another-token\n");
    }),
    ("a connection to the wrong portal", "SL3005", |bench| {
        second_portal(bench, "    access_token: sandbox-hubspot-token\n    portal_id: 1\n");
    }),
    ("a connection that does not exist", "SL2002", |bench| {
        bench.edit("pipelines/subscriptions.yaml", "target:\n", "target:\n  connection: nowhere\n");
    }),
];

/// A second HubSpot connection, which `subscriptions` goes to.
fn second_portal(bench: &Bench, settings: &str) {
    let text = fs::read_to_string(bench.path("syncline.yaml")).unwrap();
    let base = text.lines().find(|line| line.trim_start().starts_with("base_url:")).unwrap();
    let second = format!("  hubspot_eu:\n    type: hubspot\n{base}\n{settings}state:");
    bench.write("syncline.yaml", &text.replacen("state:", &second, 1));
    bench.edit("pipelines/subscriptions.yaml", "target:\n", "target:\n  connection: hubspot_eu\n");
    // An association by pipeline stays in one portal.
    bench.edit("pipelines/subscriptions.yaml", "  - field: Work_Order__c\n    pipeline: work_orders\n", "");
}

/// A new record of the pipeline that is well.
fn order(bench: &Bench) -> String {
    let made = bench.salesforce("create", json!({"object": "WorkOrder", "values": {"Subject": "Broken lift"}}));
    made["id"].as_str().unwrap().to_owned()
}

fn holds(bench: &Bench, id: &str) -> bool {
    bench.records("work_orders").values().any(|record| record["properties"]["salesforce_id"] == id)
}

#[track_caller]
fn check(ran: &Ran, reports: &Value, name: &str, code: &str) {
    let refused = report(reports, "subscriptions");
    assert_eq!((&refused["status"], &refused["code"]), (&json!("failed"), &json!(code)), "{name}: {refused}");
    assert!(!refused["error"].as_str().unwrap().is_empty(), "{name}: {refused}");
    assert!(ran.stderr.contains(code), "{name}: {}", ran.stderr);
    let other = report(reports, "work_orders");
    assert!(["succeeded", "partial"].contains(&other["status"].as_str().unwrap()), "{name}: {other}");
}

#[test]
fn one_refused_pipeline_stops_no_other() {
    let bench = Bench::new(8);
    bench.import();
    let files = ["syncline.yaml", "pipelines/subscriptions.yaml"];
    let sound = files.map(|file| fs::read_to_string(bench.path(file)).unwrap());
    for (name, code, spoil) in TROUBLES {
        spoil(&bench);
        let id = order(&bench);
        let ran = bench.run(&["plan", "--format", "json"]).code(1);
        check(&ran, &ran.json(), name, code);
        assert_eq!(report(&ran.json(), "work_orders")["created"], 1, "{name}");
        let shown = bench.run(&["plan"]).code(1).stdout;
        assert!(shown.contains("it cannot run: ") && shown.contains("create "), "{name}: {shown}");

        let ran = bench.run(&["sync", "--once", "--format", "json"]).code(1);
        check(&ran, &ran.json(), name, code);
        assert!(holds(&bench, &id), "{name}");
        let ran = bench.run(&["import", "--yes", "--format", "json"]).code(1);
        check(&ran, &ran.json(), name, code);

        let runs = bench.run(&["runs", "--pipeline", "subscriptions", "--format", "json"]).code(0).json();
        let last = &runs["runs"][0];
        assert_eq!((&last["status"], &last["kind"]), (&json!("failed"), &json!("import")), "{name}: {last}");
        assert_eq!(last["code"], code, "{name}: {last}");
        let status = bench.run(&["status", "--format", "json"]).code(0).json();
        let status_of_one = report(&status, "subscriptions");
        assert_eq!(status_of_one["last_run"]["status"], "failed", "{name}: {status_of_one}");
        assert_eq!(status_of_one["last_good_run"]["status"], "succeeded", "{name}: {status_of_one}");
        assert!(
            status_of_one["attention"].as_array().unwrap().iter().any(|what| what["reason"] == "last_run"),
            "{name}: {status_of_one}"
        );
        bench.run(&["status", "--check"]).code(1);

        bench.salesforce("show", json!({"object": OBJECT, "field": "Notes__c"}));
        for (file, text) in files.iter().zip(&sound) {
            bench.write(file, text);
        }
        bench.sync();
    }
}

#[test]
fn what_is_common_to_all_stops_all() {
    let bench = Bench::new(3);
    bench.edit("syncline.yaml", "version: 1", "version: 1\nunknown_key: 1");
    let ran = bench.run(&["sync", "--once"]).code(1);
    assert!(ran.stderr.contains("SL1003") && ran.stderr.contains("unknown_key"), "{}", ran.stderr);
    assert!(bench.records("work_orders").is_empty());
}

#[test]
fn only_the_variables_of_the_connections_in_use_are_needed() {
    let bench = Bench::new(4);
    bench.import();
    let text = fs::read_to_string(bench.path("syncline.yaml")).unwrap();
    let base = text.lines().find(|line| line.trim_start().starts_with("base_url:")).unwrap().to_owned();
    let second = format!("  hubspot_eu:\n    type: hubspot\n{base}\n    access_token: ${{EU_TOKEN}}\nstate:");
    bench.write("syncline.yaml", &text.replacen("state:", &second, 1));
    let id = order(&bench);
    for command in [
        &["plan", "work_orders"][..],
        &["sync", "--once", "--quiet"],
        &["validate", "--online"],
        &["validate", "work_orders", "--online"],
        &["why", &id],
    ] {
        let ran = bench.run(command);
        assert!(matches!(ran.code, Some(0 | 3)), "{command:?}: {ran:?}");
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("EU_TOKEN"), "{command:?}: {ran:?}");
    }
    // What is remembered needs none at all.
    let text = fs::read_to_string(bench.path("syncline.yaml")).unwrap();
    let token = text.lines().find(|line| line.contains("access_token: sandbox")).unwrap().to_owned();
    bench.write("syncline.yaml", &text.replace(&token, "    access_token: ${HUBSPOT_TOKEN_OF_NOBODY}"));
    for command in [&["status"][..], &["runs"], &["failures"], &["why", &id]] {
        bench.run(command).code(0);
    }
    let why = bench.run(&["why", &id]).code(0).stdout;
    assert!(why.contains("is HubSpot record") && why.contains("HUBSPOT_TOKEN_OF_NOBODY"), "{why}");
    let ran = bench.run(&["sync", "--once"]).code(1);
    assert!(ran.stderr.contains("SL1010") && ran.stderr.contains("HUBSPOT_TOKEN_OF_NOBODY"), "{}", ran.stderr);
}

#[test]
fn a_plan_is_saved_and_applied_without_what_cannot_run() {
    let bench = Bench::new(6);
    bench.import();
    let id = order(&bench);
    bench.salesforce("hide", json!({"object": OBJECT, "field": "Notes__c"}));
    let ran = bench.run(&["plan", "--out", "plan.json"]).code(1);
    assert!(ran.stderr.contains("leaves out `subscriptions`"), "{}", ran.stderr);
    bench.run(&["apply", "plan.json", "--yes"]).code(0);
    assert!(holds(&bench, &id));
    // A plan of both, of which one cannot run when it is applied.
    bench.salesforce("show", json!({"object": OBJECT, "field": "Notes__c"}));
    let id = order(&bench);
    bench.run(&["plan", "--out", "both.json"]).code(0);
    bench.salesforce("hide", json!({"object": OBJECT, "field": "Notes__c"}));
    let ran = bench.run(&["apply", "both.json", "--yes", "--format", "json"]).code(1);
    check(&ran, &ran.json(), "apply", "SL3001");
    assert!(holds(&bench, &id));
}

#[test]
fn while_a_service_is_away_each_attempt_is_a_failed_run_and_status_says_so() {
    let bench = Bench::new(5);
    bench.import();
    let before = bench.run(&["status", "--format", "json"]).code(0).json();
    bench.faults(json!([{"service": "salesforce", "status": 500}]));
    for _ in 0..2 {
        let ran = bench.run(&["sync", "--once", "--format", "json"]).code(1);
        for name in ["subscriptions", "work_orders"] {
            assert_eq!(report(&ran.json(), name)["status"], "failed", "{ran:?}");
        }
    }
    let runs = bench.run(&["runs", "--format", "json"]).code(0).json();
    let failed: Vec<&Value> = runs["runs"].as_array().unwrap().iter().filter(|run| run["status"] == "failed").collect();
    assert_eq!(failed.len(), 4, "{runs}");
    assert!(failed.iter().all(|run| run["error"].as_str().is_some_and(|error| error.contains("Salesforce"))), "{runs}");
    let status = bench.run(&["status", "--format", "json"]).code(0).json();
    for name in ["subscriptions", "work_orders"] {
        let (was, is) = (report(&before, name), report(&status, name));
        assert_eq!((&is["last_run"]["status"], &is["last_good_run"]), (&json!("failed"), &was["last_run"]), "{is}");
    }
    let text = bench.run(&["status"]).code(0).stdout;
    assert!(
        text.contains("sync failed") && text.contains("the last run failed") && !text.contains("succeeded"),
        "{text}"
    );
    bench.run(&["status", "--check"]).code(1);
    // Nothing was begun, so nothing is in doubt: the next cycle asks HubSpot nothing.
    bench.sandbox.clear_faults();
    bench.sandbox.forget_requests();
    bench.sync();
    assert_eq!(bench.calls("hubspot"), 0);
}

#[test]
fn a_held_lease_refuses_one_pipeline_and_says_nothing_of_its_health() {
    let bench = Bench::new(5);
    bench.import();
    let held = fs::File::options().write(true).open(bench.path(".syncline/state.db.locks/subscriptions.lock")).unwrap();
    held.lock().unwrap();
    let id = order(&bench);
    let ran = bench.run(&["sync", "--once", "--format", "json"]).code(1);
    let refused = report(&ran.json(), "subscriptions").clone();
    assert_eq!((&refused["status"], &refused["code"]), (&json!("refused"), &json!("SL6004")), "{refused}");
    assert!(holds(&bench, &id));
    let runs = bench.run(&["runs", "--pipeline", "subscriptions", "--format", "json"]).code(0).json();
    assert_eq!((&runs["runs"][0]["status"], &runs["runs"][0]["code"]), (&json!("refused"), &json!("SL6004")), "{runs}");
    let status = bench.run(&["status", "--format", "json"]).code(0).json();
    assert_eq!(report(&status, "subscriptions")["last_run"]["kind"], "import", "{status}");
}

#[test]
fn a_run_whose_process_died_is_ended_by_the_next_attempt_even_by_a_refused_one() {
    let bench = Bench::new(5);
    bench.import();
    let state = rusqlite::Connection::open(bench.path(".syncline/state.db")).unwrap();
    state.execute("UPDATE runs SET status = 'running', ended = NULL", []).unwrap();
    drop(state);
    bench.salesforce("hide", json!({"object": OBJECT, "field": "Notes__c"}));
    bench.run(&["sync", "--once"]).code(1);
    let runs = bench.run(&["runs", "--format", "json"]).code(0).json();
    for name in ["subscriptions", "work_orders"] {
        let of_pipeline: Vec<&Value> =
            runs["runs"].as_array().unwrap().iter().filter(|run| run["pipeline"] == name).collect();
        let died = of_pipeline.last().unwrap();
        assert_eq!(died["status"], "interrupted", "{name}: {runs}");
        assert!(died["error"].as_str().unwrap().contains("its process ended"), "{name}: {died}");
    }
}

#[test]
fn failures_of_earlier_runs_are_no_failures_of_this_one() {
    let bench = Bench::new(40);
    bench.import();
    assert!(!bench.failures().is_empty());
    // A record that fails now, and is read again within the overlap.
    bench.salesforce("create", json!({"object": "WorkOrder", "values": {"Status": "New"}}));
    bench.run(&["sync", "--once"]).code(3);
    for _ in 0..2 {
        let ran = bench.run(&["sync", "--once", "--format", "json"]).code(0);
        let outcome = report(&ran.json(), "work_orders").clone();
        assert_eq!(
            (&outcome["read"], &outcome["failed"], &outcome["waiting"]),
            (&json!(1), &json!(0), &json!(1)),
            "{outcome}"
        );
    }
    // They still need a person.
    let ran = bench.run(&["status", "--check"]).code(1);
    assert!(ran.stdout.contains("under `syncline failures`"), "{}", ran.stdout);
}

#[test]
fn records_that_were_never_imported_are_told_of() {
    let bench = Bench::new(5);
    bench.run(&["sync", "--once"]).code(0);
    let ran = bench.run(&["status", "--check"]).code(1);
    assert!(ran.stdout.contains("never imported") && ran.stdout.contains("`syncline import subscriptions`"), "{ran:?}");
    let status = bench.run(&["status", "--format", "json"]).code(0).json();
    assert_eq!(report(&status, "subscriptions")["imported"], false, "{status}");
    bench.import();
    let ran = bench.run(&["status"]).code(0);
    assert!(!ran.stdout.contains("never imported"), "{}", ran.stdout);
}

#[test]
fn what_the_guard_refuses_is_not_nothing_to_do() {
    let bench = Bench::new(40);
    bench.import();
    let ids: Vec<String> = bench.rows(OBJECT).into_keys().collect();
    for id in &ids[..20] {
        bench.salesforce("delete", json!({"object": OBJECT, "id": id}));
    }
    let ran = bench.run(&["sync", "--once", "subscriptions"]).code(1);
    assert!(ran.stdout.contains("refused") && ran.stdout.contains("nothing was done"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("nothing to do"), "{}", ran.stdout);
    let listed = bench.run(&["runs", "--limit", "1"]).code(0).stdout;
    assert!(!listed.contains("nothing to do"), "{listed}");
}
