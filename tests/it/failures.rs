//! Failures: what they tell, when they are tried again, and a run that rejects too much.

use serde_json::{Value, json};

use crate::support::{Bench, report};

const OBJECT: &str = "Subscription__c";
const FILE: &str = "pipelines/subscriptions.yaml";

/// A pipeline whose `status` takes what its options list.
fn bench(more: &str) -> Bench {
    let bench = Bench::new(5);
    std::fs::remove_file(bench.path("pipelines/work_orders.yaml")).unwrap();
    bench.write(
        FILE,
        &format!(
            "version: 1
name: subscriptions
source: {{ object: Subscription__c }}
target: {{ object: subscriptions, match: salesforce_id }}
fields:
  - {{ from: Name, to: subscription_name }}
  - {{ from: Notes__c, to: seats }}
  - {{ from: Status__c, to: status, values: {{ Active: active, On Hold: on_hold, Cancelled: cancelled }} }}
on_delete: archive
{more}"
        ),
    );
    for id in bench.rows(OBJECT).into_keys() {
        bench.salesforce("purge", json!({"object": OBJECT, "id": id}));
    }
    bench
}

fn create(bench: &Bench, values: Value) -> String {
    bench.salesforce("create", json!({"object": OBJECT, "values": values}))["id"].as_str().unwrap().to_owned()
}

/// Good records, and records whose number of seats is no number.
fn fill(bench: &Bench, good: usize, bad: usize) {
    for number in 0..good + bad {
        let seats = if number < good { "5" } else { "five" };
        create(bench, json!({"Name": format!("S {number}"), "Status__c": "Active", "Notes__c": seats}));
    }
}

/// As if the time of every failure's next try had come.
fn due(bench: &Bench) {
    let state = rusqlite::Connection::open(bench.path(".syncline/state.db")).unwrap();
    state.execute("UPDATE failures SET retry_at = 1 WHERE status = 'open'", []).unwrap();
}

fn failure(bench: &Bench, id: &str) -> Option<Value> {
    bench.failures().into_iter().find(|failure| failure["salesforce_id"] == id)
}

/// Batches of records that were sent to HubSpot since the last time.
fn written(bench: &Bench) -> usize {
    let requests = bench.sandbox.requests();
    let written = requests.iter().filter(|entry| entry.target.contains("/batch/upsert")).count();
    bench.sandbox.forget_requests();
    written
}

#[test]
fn what_only_a_change_can_mend_is_looked_at_and_not_sent() {
    let bench = bench("");
    let id = create(&bench, json!({"Name": "x", "Status__c": "Active", "Notes__c": "5"}));
    let body = json!({"status": "error", "category": "VALIDATION_ERROR", "message": "Property values were not valid: \
        [{\"isValid\":false,\"message\":\"gold was not one of the allowed options\",\"error\":\"INVALID_OPTION\",\"name\":\"status\"}]"});
    bench.faults(json!([{"service": "hubspot", "path": "/crm/objects/**/batch/upsert", "status": 400, "body": body}]));
    bench.import();
    let first = failure(&bench, &id).unwrap();
    assert_eq!(
        (&first["code"], &first["category"], &first["retry"]),
        (&json!("SL5101"), &json!("option_missing"), &json!("after_change"))
    );
    assert_eq!(first["value"], "Active");
    assert!(first["rule"].as_str().unwrap().contains("`status` has `draft`, `active`"), "{first}");
    bench.sandbox.clear_faults();
    written(&bench);
    due(&bench);
    let outcome = bench.sync();
    assert_eq!((report(&outcome, "subscriptions")["waiting"].clone(), written(&bench)), (json!(1), 0), "{outcome}");
    let again = failure(&bench, &id).unwrap();
    assert_eq!(again["attempts"], 1);
    assert!(again["retry_at"].as_str() > Some("2000"), "{again}");
    // Nothing is due now, so a cycle asks HubSpot nothing.
    bench.sandbox.forget_requests();
    bench.sync();
    assert_eq!(bench.calls("hubspot"), 0);
    // A person may ask for a try.
    bench.run(&["failures", "retry", &id]).code(0);
    bench.sync();
    assert!(failure(&bench, &id).is_none() && written(&bench) == 1);
}

#[test]
fn a_changed_property_lets_a_failure_be_tried_at_the_next_look() {
    let bench = bench("");
    let id = create(&bench, json!({"Name": "x", "Status__c": "Active", "Notes__c": "5"}));
    bench.edit(FILE, "Active: active", "Active: gold");
    bench.import();
    assert_eq!(failure(&bench, &id).unwrap()["code"], "SL5006");
    bench.hubspot("add_option", json!({"object": "subscriptions", "property": "status", "value": "gold"}));
    bench.sync();
    assert!(failure(&bench, &id).is_some(), "HubSpot is not asked before the next look");
    due(&bench);
    bench.sync();
    assert!(failure(&bench, &id).is_none());
}

#[test]
fn a_changed_mapping_lets_failures_be_tried_at_once() {
    let bench = bench("");
    let id = create(&bench, json!({"Name": "x", "Status__c": "Draft", "Notes__c": "5"}));
    bench.import();
    let failed = failure(&bench, &id).unwrap();
    assert_eq!(
        (&failed["code"], &failed["value"], &failed["kind"]),
        (&json!("SL5005"), &json!("Draft"), &json!("record"))
    );
    bench.edit(FILE, "Active: active", "Active: active, Draft: cancelled");
    let planned = bench.run(&["plan", "--format", "json"]).code(0).json();
    let done = bench.sync();
    assert!(failure(&bench, &id).is_none(), "{done}");
    assert_eq!(report(&planned, "subscriptions")["created"], report(&done, "subscriptions")["created"]);
}

#[test]
fn a_failure_is_closed_when_the_next_look_finds_its_record_gone() {
    let bench = bench("");
    let ids: Vec<String> = (0..2).map(|_| create(&bench, json!({"Name": "x", "Status__c": "Draft"}))).collect();
    bench.import();
    assert_eq!(bench.failures().len(), 2);
    bench.salesforce("purge", json!({"object": OBJECT, "id": ids[0]}));
    bench.salesforce("delete", json!({"object": OBJECT, "id": ids[1]}));
    due(&bench);
    bench.sync();
    assert_eq!(bench.failures(), Vec::<Value>::new());
}

#[test]
fn a_failure_is_shown_with_its_category_value_rule_and_what_to_do() {
    let bench = bench("");
    let id = create(&bench, json!({"Name": "Gold plan", "Status__c": "Draft"}));
    bench.import();
    let shown = bench.run(&["failures", "show", &id]).code(0).stdout;
    for part in [
        "Gold plan",
        "option missing",
        "value: Draft",
        "rule: the value map lacks a value",
        "map the value in the pipeline",
    ] {
        assert!(shown.contains(part), "`{part}` is not in:\n{shown}");
    }
    let grouped = bench.run(&["failures"]).code(0).stdout;
    assert!(grouped.contains("option missing (SL5005)") && grouped.contains("Draft: ?"), "{grouped}");
}

#[test]
fn a_failure_leads_to_its_record_in_both_systems() {
    let bench = bench("");
    let id = create(&bench, json!({"Name": "x", "Status__c": "Active", "Notes__c": "5"}));
    bench.import();
    bench.salesforce("update", json!({"object": OBJECT, "id": id, "values": {"Notes__c": "five"}}));
    bench.sync();
    assert!(failure(&bench, &id).unwrap()["salesforce_url"].is_null(), "addresses of a sandbox lead nowhere");
    bench.edit("syncline.yaml", &bench.sandbox.salesforce_url, "https://acme.my.salesforce.com");
    bench.edit("syncline.yaml", &bench.sandbox.hubspot_url, "https://api.hubapi.com");
    let failure = failure(&bench, &id).unwrap();
    assert_eq!(failure["salesforce_url"], format!("https://acme.my.salesforce.com/{id}"));
    let record = bench.records("subscriptions").into_keys().next().unwrap();
    let url = failure["hubspot_url"].as_str().unwrap();
    assert!(url.starts_with("https://app.hubspot.com/contacts/") && url.ends_with(&format!("/{record}")), "{url}");
    let shown = bench.run(&["failures", "show", &id]).code(0).stdout;
    assert!(shown.contains(url), "{shown}");
}

#[test]
fn a_run_that_would_reject_too_much_stops_before_its_first_write() {
    let bench = bench("");
    fill(&bench, 10, 30);
    let planned = bench.run(&["plan", "--format", "json"]).code(0).json();
    let refusal = planned["pipelines"][0]["refusal"].as_str().unwrap_or_default().to_owned();
    let ran = bench.run(&["import", "--yes", "--format", "json"]).code(1);
    let outcome = &ran.json()["pipelines"][0];
    assert_eq!(
        (&outcome["status"], &outcome["code"], &outcome["created"]),
        (&json!("refused"), &json!("SL6009"), &json!(0)),
        "{outcome}"
    );
    assert_eq!(outcome["error"], json!(refusal), "the plan foretells it");
    assert!(
        refusal.contains("30 of the 40 records") && refusal.contains("30 value does not fit at `seats` (SL5001)"),
        "{refusal}"
    );
    assert!(ran.stderr.contains("nothing was written") && ran.stderr.contains("--allow-reject"), "{ran:?}");
    assert!(bench.records("subscriptions").is_empty() && bench.failures().is_empty());
    let status = bench.run(&["status", "--format", "json"]).code(0).json();
    assert!(
        status["pipelines"][0]["unfinished_import"].is_null(),
        "an import that was refused has not begun: {status}"
    );
    bench.run(&["import", "--yes", "--allow-reject", "29"]).code(1);
    bench.run(&["import", "--yes", "--allow-reject", "30"]).code(3);
    assert_eq!((bench.records("subscriptions").len(), bench.failures().len()), (10, 30));
    // What failed before is nothing new: neither a retry nor another import is stopped by it.
    due(&bench);
    bench.run(&["sync", "--once"]).code(0);
    bench.run(&["failures", "retry"]).code(0);
    bench.run(&["sync", "--once"]).code(3);
    bench.run(&["import", "--yes"]).code(3);
}

#[test]
fn a_sync_that_would_reject_too_much_stops_and_goes_on_once_it_is_mended() {
    let bench = bench("");
    fill(&bench, 30, 0);
    bench.import();
    for id in bench.rows(OBJECT).into_keys() {
        bench.salesforce("update", json!({"object": OBJECT, "id": id, "values": {"Notes__c": "many"}}));
    }
    let planned = bench.run(&["plan", "--format", "json"]).code(0).json();
    assert!(planned["pipelines"][0]["refusal"].as_str().is_some_and(|why| why.contains("`guard.reject`")), "{planned}");
    written(&bench);
    let ran = bench.run(&["sync", "--once", "--format", "json"]).code(1);
    assert_eq!((&ran.json()["pipelines"][0]["status"], written(&bench)), (&json!("refused"), 0), "{ran:?}");
    assert!(bench.failures().is_empty());
    bench.edit(FILE, "from: Notes__c, to: seats", "from: Notes__c, to: notes");
    let done = bench.sync();
    assert_eq!(report(&done, "subscriptions")["updated"], 30, "{done}");
}

#[test]
fn limits_of_rejects_are_the_pipelines_own() {
    for (guard, good, bad, stops) in [
        ("", 0, 19, false),
        ("", 0, 20, true),
        ("", 25, 24, false),
        ("guard: { reject: 100% }\n", 0, 40, false),
        ("guard: { reject: 5 }\n", 40, 6, true),
        ("guard: { reject: 6 }\n", 40, 6, false),
        ("guard: { reject: 0 }\n", 40, 1, true),
        ("guard: { reject: 10% }\n", 100, 25, true),
    ] {
        let bench = bench(guard);
        fill(&bench, good, bad);
        let ran = bench.run(&["import", "--yes"]);
        assert_eq!(ran.code == Some(1), stops, "{guard}: {bad} of {}: {ran:?}", good + bad);
        assert_eq!(bench.records("subscriptions").len(), if stops { 0 } else { good });
    }
}

#[test]
fn a_long_import_is_stopped_on_its_way_when_the_bad_records_come_late() {
    let bench = bench("");
    fill(&bench, 2_100, 2_400);
    let ran = bench.run(&["import", "--yes", "--format", "json"]).code(1);
    let outcome = &ran.json()["pipelines"][0];
    assert_eq!((&outcome["status"], &outcome["code"]), (&json!("failed"), &json!("SL6009")), "{outcome}");
    assert!(outcome["error"].as_str().unwrap().contains("has rejected"), "{outcome}");
    assert!(ran.stderr.contains("what was written before stays"), "{ran:?}");
    let planned = bench.run(&["plan", "--full", "--format", "json"]).code(0).json();
    assert!(planned["pipelines"][0]["rejects"][0]["records"].as_u64() == Some(2_400), "{planned}");
    let done = bench.run(&["import", "--yes", "--allow-reject", "5000"]);
    assert_eq!(done.code, Some(3), "{done:?}");
    assert_eq!((bench.records("subscriptions").len(), bench.failures().len()), (2_100, 2_400));
}

#[test]
fn a_record_that_hubspot_could_not_create_counts_as_rejected() {
    let bench = bench("");
    for number in 0..25 {
        create(&bench, json!({"Name": format!("S {number}"), "Notes__c": "5"}));
    }
    bench.hubspot("require", json!({"object": "subscriptions", "property": "status"}));
    let ran = bench.run(&["import", "--yes", "--format", "json"]).code(1);
    let outcome = &ran.json()["pipelines"][0];
    assert_eq!(outcome["status"], "refused", "{outcome}");
    assert!(outcome["error"].as_str().unwrap().contains("required value missing at `status` (SL5011)"), "{outcome}");
}

#[test]
fn neither_a_records_own_failure_nor_that_of_its_associations_hides_the_other() {
    let bench = Bench::new(60);
    let (from, to) = ("0-2", bench.kind("subscriptions"));
    let all = bench.sandbox.dump()["hubspot"]["associations"]["definitions"].clone();
    let pair = all.as_array().unwrap().iter().find(|pair| pair[0] == from && pair[1] == to.as_str()).unwrap().clone();
    for value in pair[2].as_array().unwrap() {
        bench.hubspot("limit_associations", json!({"from": from, "to": to, "type_id": value["type_id"], "max": 1}));
    }
    bench.import();
    let refused = bench
        .failures()
        .into_iter()
        .find(|failure| failure["kind"] == "associations" && failure["pipeline"] == "subscriptions")
        .unwrap();
    let id = refused["salesforce_id"].as_str().unwrap().to_owned();
    let kinds = || {
        let of_record = bench.failures().into_iter().filter(|failure| failure["salesforce_id"] == id.as_str());
        of_record.map(|failure| failure["kind"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let notes = |text: &str| {
        drop(bench.salesforce("update", json!({"object": OBJECT, "id": id, "values": {"Notes__c": text}})))
    };
    notes(&"x".repeat(70_000));
    bench.sync();
    assert_eq!(kinds(), ["associations", "record"]);
    let why = bench.run(&["why", &id]).code(0).stdout;
    assert!(why.contains("its associations failed: ") && why.contains("  failed: "), "{why}");
    notes("short again");
    bench.sync();
    assert_eq!(kinds(), ["associations"]);
}

#[test]
fn json_has_the_failures_by_reason_as_well() {
    let bench = bench("");
    for (name, status) in [("a", "Legacy"), ("b", "Legacy"), ("c", "Paused, maybe"), ("d", "Active")] {
        let seats = if name == "d" { "many" } else { "5" };
        let id = create(&bench, json!({"Name": name, "Status__c": "Active", "Notes__c": seats}));
        // A value of before the picklist was restricted.
        let old = json!({"object": OBJECT, "id": id, "stamp": "2024-01-01T00:00:00Z", "values": {"Status__c": status}});
        bench.salesforce("stamp", old);
    }
    bench.import();
    let listed = bench.run(&["failures", "--format", "json"]).code(0).json();
    assert_eq!(listed["failures"].as_array().unwrap().len(), 4, "{listed}");
    let groups = listed["groups"].as_array().unwrap();
    let counts: Vec<u64> = groups.iter().map(|group| group["records"].as_u64().unwrap()).collect();
    assert_eq!(counts, [3, 1], "{listed}");
    let line = groups[0]["values"].as_str().unwrap();
    assert_eq!(
        line,
        r#"values: { Active: active, Cancelled: cancelled, On Hold: on_hold, Legacy: ?, "Paused, maybe": ? }"#
    );
    assert!(bench.run(&["failures"]).code(0).stdout.contains(line), "the text has the same line");
    let ids = groups[0]["salesforce_ids"].as_array().unwrap();
    assert!(
        ids.iter().all(|id| listed["failures"]
            .as_array()
            .unwrap()
            .iter()
            .any(|failure| failure["salesforce_id"] == *id))
    );
    assert!(groups[1]["values"].is_null(), "{listed}");
    // Selections hold for both.
    let one = bench.run(&["failures", "--code", groups[1]["code"].as_str().unwrap(), "--format", "json"]);
    let one = match one.code {
        Some(0) => one.json(),
        _ => bench.run(&["failures", "list", "--code", groups[1]["code"].as_str().unwrap(), "--format", "json"]).json(),
    };
    assert_eq!((one["failures"].as_array().unwrap().len(), one["groups"].as_array().unwrap().len()), (1, 1), "{one}");
    let none = bench.run(&["failures", "list", "--code", "SL5999", "--format", "json"]).code(0).json();
    assert_eq!((&none["failures"], &none["groups"]), (&json!([]), &json!([])));
}

#[test]
fn a_failure_of_associations_has_its_record_s_name() {
    let more = "associations:\n  - { field: Account__c, to: companies, match: salesforceaccountid }\n";
    let bench = bench(more);
    let account = bench.salesforce("create", json!({"object": "Account", "values": {"Name": "A"}}))["id"].clone();
    for _ in 0..2 {
        let company = json!({"name": "A", "salesforceaccountid": account});
        bench.hubspot("create", json!({"object": "companies", "properties": company}));
    }
    let id = create(&bench, json!({"Name": "Lift 7", "Status__c": "Active", "Notes__c": "5", "Account__c": account}));
    bench.import();
    let failed = failure(&bench, &id).unwrap();
    assert_eq!(
        (&failed["code"], &failed["title"], &failed["kind"]),
        (&json!("SL5112"), &json!("Lift 7"), &json!("associations"))
    );
    // Tried again, it keeps the name, and Salesforce is not asked for it once more.
    due(&bench);
    bench.import();
    assert_eq!(failure(&bench, &id).unwrap()["title"], "Lift 7");
    // A name that is masked is nobody's to read.
    let bench = self::bench(more);
    bench.edit(FILE, "to: subscription_name }", "to: subscription_name, sensitive: true }");
    let account = bench.salesforce("create", json!({"object": "Account", "values": {"Name": "A"}}))["id"].clone();
    for _ in 0..2 {
        let company = json!({"name": "A", "salesforceaccountid": account});
        bench.hubspot("create", json!({"object": "companies", "properties": company}));
    }
    let id = create(&bench, json!({"Name": "Lift 8", "Status__c": "Active", "Notes__c": "5", "Account__c": account}));
    bench.import();
    assert_eq!(failure(&bench, &id).unwrap()["title"], id);
}
