//! Rules that administrators make for values: what is certain is foretold, the rest comes back as a named failure, and the
//! good records land.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::oracle::agree;
use crate::support::{Bench, report};

const OBJECT: &str = "Subscription__c";

fn rule(bench: &Bench, property: &str, kind: &str, arguments: &[&str]) {
    let rule = json!({"object": "subscriptions", "property": property, "rule_type": kind, "arguments": arguments});
    bench.hubspot("rule", rule);
}

/// Ids of the records that failed with a code.
fn failed(bench: &Bench, code: &str) -> BTreeSet<String> {
    let failures = bench.failures();
    let of_code = failures.iter().filter(|failure| failure["code"] == code);
    of_code.map(|failure| failure["salesforce_id"].as_str().unwrap().to_owned()).collect()
}

/// Ids of the Salesforce records that HubSpot holds.
fn landed(bench: &Bench) -> BTreeSet<String> {
    let records = bench.records("subscriptions");
    records.values().map(|record| record["properties"]["salesforce_id"].as_str().unwrap().to_owned()).collect()
}

/// Records of which a test knows that they land without a rule.
fn healthy(bench: &Bench) -> Vec<String> {
    let fine = |row: &Value| {
        let text = |field: &str| row["values"][field].as_str().unwrap_or_default().to_owned();
        text("Status__c") == "Active" && !text("Channels__c").contains("Fax") && text("Notes__c").len() < 60_000
    };
    bench.rows(OBJECT).into_iter().filter(|(_, row)| fine(row)).map(|(id, _)| id).collect()
}

fn change(bench: &Bench, id: &str, values: Value) {
    bench.salesforce("update", json!({"object": OBJECT, "id": id, "values": values}));
}

#[test]
fn what_a_rule_refuses_is_foretold_and_the_good_records_land() {
    let bench = Bench::new(60);
    let rows = healthy(&bench);
    let (long, high, fine) = (&rows[0], &rows[1], &rows[2]);
    change(&bench, long, json!({"External_Code__c": "X".repeat(16)}));
    change(&bench, high, json!({"Seats__c": 100_001}));
    change(&bench, fine, json!({"External_Code__c": "X".repeat(15), "Seats__c": 100_000}));
    rule(&bench, "external_code", "MAX_LENGTH", &["15"]);
    rule(&bench, "seats", "MAX_NUMBER", &["100000"]);
    let planned = bench.run(&["plan", "--format", "json"]).code(0).json();
    let done = bench.import();
    for name in ["created", "failed"] {
        assert_eq!(report(&planned, "subscriptions")[name], report(&done, "subscriptions")[name], "{name}");
    }
    let rejects = report(&planned, "subscriptions")["rejects"].as_array().unwrap().iter();
    let rejects = rejects
        .filter(|group| group["code"] == "SL5012")
        .map(|group| (group["property"].clone(), group["records"].clone()));
    assert_eq!(rejects.collect::<Vec<_>>(), [(json!("external_code"), json!(1)), (json!("seats"), json!(1))]);
    assert_eq!(failed(&bench, "SL5012"), [long, high].into_iter().cloned().collect());
    let landed = landed(&bench);
    assert!(landed.contains(fine) && !landed.contains(long) && !landed.contains(high), "{landed:?}");
    let shown = bench.run(&["failures", "show", long]).code(0).stdout;
    for part in ["SL5012", "external_code", "MAX_LENGTH", "at most 15 characters"] {
        assert!(shown.contains(part), "`{part}` is not in {shown}");
    }
    // With the rules gone, so are the failures.
    rule(&bench, "external_code", "MAX_LENGTH", &[]);
    rule(&bench, "seats", "MAX_NUMBER", &[]);
    bench.run(&["failures", "retry"]).code(0);
    bench.sync();
    assert_eq!(failed(&bench, "SL5012"), BTreeSet::new());
    agree(&bench);
}

#[test]
fn what_a_rule_only_may_refuse_comes_back_from_hubspot() {
    let bench = Bench::new(60);
    let rows = healthy(&bench);
    for (id, code) in rows.iter().zip(["A-1", "B1", "C 1"]) {
        change(&bench, id, json!({"External_Code__c": code}));
    }
    // Whether a space is alphanumeric is HubSpot's to say.
    rule(&bench, "external_code", "ALPHANUMERIC", &["ALPHANUMERIC"]);
    let done = bench.import();
    assert!(report(&done, "subscriptions")["created"].as_u64() > Some(0), "{done}");
    let refused = failed(&bench, "SL5109");
    assert!(refused.contains(&rows[0]) && !refused.contains(&rows[1]) && refused.contains(&rows[2]), "{refused:?}");
    assert!(landed(&bench).contains(&rows[1]));
    let shown = bench.run(&["failures", "show", &rows[0], "--format", "json"]).code(0).stdout;
    assert!(shown.contains("INVALID_ALPHANUMERIC") && shown.contains("external_code"), "{shown}");
    assert_eq!(failed(&bench, "SL5012"), BTreeSet::new());
}

#[test]
fn a_rule_that_hubspot_mends_by_itself_holds_nothing_back() {
    let bench = Bench::new(60);
    let rule = json!({"object": "subscriptions", "property": "external_code", "rule_type": "ALPHANUMERIC",
        "arguments": ["NUMERIC_ONLY"], "normalize": true});
    bench.hubspot("rule", rule);
    bench.import();
    assert!(failed(&bench, "SL5012").is_empty() && failed(&bench, "SL5109").is_empty());
    agree(&bench);
}

#[test]
fn a_rule_that_appears_between_runs_is_noticed_before_anything_is_judged() {
    let bench = Bench::new(60);
    bench.import();
    let id = &healthy(&bench)[0];
    rule(&bench, "external_code", "MIN_LENGTH", &["100"]);
    change(&bench, id, json!({"External_Code__c": "short"}));
    bench.sandbox.forget_requests();
    bench.sync();
    assert_eq!(failed(&bench, "SL5012"), BTreeSet::from([id.clone()]));
    let wrote = bench.sandbox.requests().into_iter().any(|entry| entry.target.contains("/batch/upsert"));
    assert!(!wrote, "the value was sent");
    // And without a change, the rules cost no call.
    bench.settle();
    bench.sandbox.forget_requests();
    bench.sync();
    assert_eq!(bench.calls("hubspot"), 0);
}

#[test]
fn a_rule_that_appears_while_a_run_writes_is_a_named_failure() {
    let bench = Bench::new(60);
    // The run has read the rules when the list was still empty.
    let empty = json!({"results": []});
    bench.faults(json!([{"service": "hubspot", "path": "/crm/property-validations/**", "status": 200, "body": empty}]));
    let rows = healthy(&bench);
    change(&bench, &rows[0], json!({"External_Code__c": "X".repeat(16)}));
    rule(&bench, "external_code", "MAX_LENGTH", &["15"]);
    let done = bench.import();
    assert!(report(&done, "subscriptions")["created"].as_u64() > Some(0), "{done}");
    let refused = failed(&bench, "SL5108");
    assert_eq!(refused, BTreeSet::from([rows[0].clone()]));
    assert!(landed(&bench).contains(&rows[1]));
    // Once the portal is described again, the same record is not sent.
    bench.sandbox.clear_faults();
    change(&bench, &rows[0], json!({"External_Code__c": "X".repeat(17)}));
    bench.sync();
    assert_eq!(failed(&bench, "SL5012"), BTreeSet::from([rows[0].clone()]));
}

#[test]
fn a_token_that_may_not_read_the_rules_still_works() {
    for fault in ["forbidden", "not_found"] {
        let bench = Bench::new(60);
        bench.faults(json!([{"service": "hubspot", "path": "/crm/property-validations/**", "fault": fault}]));
        let rows = healthy(&bench);
        change(&bench, &rows[0], json!({"External_Code__c": "X".repeat(16)}));
        rule(&bench, "external_code", "MAX_LENGTH", &["15"]);
        bench.run(&["validate", "--online"]).code(0);
        bench.import();
        assert_eq!(failed(&bench, "SL5108"), BTreeSet::from([rows[0].clone()]), "{fault}");
        bench.sync();
        bench.settle();
        bench.sandbox.forget_requests();
        bench.sync();
        assert_eq!(bench.calls("hubspot"), 0, "{fault}");
    }
}

#[test]
fn parts_that_are_missing_of_an_answer_are_no_rules() {
    let bench = Bench::new(30);
    let body = json!({"results": [
        {}, {"propertyName": null}, {"propertyName": "external_code"}, {"propertyName": "nothing_known"},
        {"propertyName": "seats", "propertyValidationRules": null},
        {"propertyName": "headline", "propertyValidationRules": [
            {}, {"ruleType": "MAX_LENGTH"}, {"ruleType": "MAX_LENGTH", "ruleArguments": null},
            {"ruleType": "MAX_LENGTH", "ruleArguments": [null]}, {"ruleType": "NEW_TYPE", "ruleArguments": [1, "x"]},
        ]},
    ]});
    bench.faults(json!([{"service": "hubspot", "path": "/crm/property-validations/**", "status": 200, "body": body}]));
    bench.import();
    assert_eq!(failed(&bench, "SL5012"), BTreeSet::new());
    agree(&bench);
}

#[test]
fn the_catalog_keeps_the_rules_and_tells_of_them() {
    let bench = Bench::new(5);
    rule(&bench, "external_code", "MIN_LENGTH", &["2"]);
    rule(&bench, "external_code", "MAX_LENGTH", &["50"]);
    bench.run(&["catalog", "pull"]).code(0);
    let kept = std::fs::read_to_string(bench.path("catalog/hubspot.subscriptions.json")).unwrap();
    assert!(kept.contains(r#""rules": { "MAX_LENGTH": ["50"], "MIN_LENGTH": ["2"] }"#), "{kept}");
    bench.run(&["catalog", "pull", "--check"]).code(0);
    rule(&bench, "external_code", "MIN_LENGTH", &[]);
    rule(&bench, "external_code", "MAX_LENGTH", &["20"]);
    rule(&bench, "external_code", "ALPHANUMERIC", &["NUMERIC_ONLY"]);
    let pull = bench.run(&["catalog", "pull"]).code(0).stdout;
    for part in [
        "has the rule `MAX_LENGTH` (20) now, it was (50)",
        "no longer has the rule `MIN_LENGTH` (2)",
        "has a new rule `ALPHANUMERIC` (NUMERIC_ONLY)",
    ] {
        let line = format!("  ~ HubSpot subscriptions.external_code {part}  [subscriptions]");
        assert!(pull.lines().any(|printed| printed == line), "`{line}` is not in\n{pull}");
    }
    // Tests beside a pipeline judge by the catalog, with nobody to ask.
    bench.write(
        "pipelines/subscriptions.test.yaml",
        "version: 1\ntests:\n  - name: a code with a letter\n    source: { Name: One, Status__c: Active, External_Code__c: A1 }\n    \
         expect:\n      rejected: { code: SL5012, property: external_code, message: digits only }\n",
    );
    bench.run(&["test"]).code(0);
}

#[test]
fn a_conditional_rule_refuses_by_name_and_the_good_records_land() {
    // With trace ids HubSpot names the record, without them it refuses the whole call.
    for traced in [true, false] {
        let bench = Bench::new(60);
        let rule = json!([["billing_email", "status", "on_hold"]]);
        bench.hubspot("switches", json!({"conditional_required": rule, "honour_trace_ids": traced}));
        let ids = healthy(&bench);
        for id in &ids[..3] {
            change(&bench, id, json!({"Status__c": "On Hold", "Billing_Email__c": null}));
        }
        bench.import();
        let rows = bench.rows(OBJECT);
        let ruled = |id: &&String| {
            let values = &rows[*id]["values"];
            values["Status__c"] == "On Hold" && values["Billing_Email__c"].is_null()
        };
        let refused = failed(&bench, "SL5105");
        assert!(ids[..3].iter().all(|id| refused.contains(id)), "{refused:?}");
        assert!(refused.iter().all(|id| ruled(&id)), "{refused:?}");
        let landed = landed(&bench);
        assert!(ids[3..].iter().all(|id| landed.contains(id)) && refused.is_disjoint(&landed), "{landed:?}");
        let printed = bench.run(&["failures", "show", &ids[0]]).code(0).stdout;
        for part in ["billing_email", "conditional property rule based on [status]"] {
            assert!(printed.contains(part), "`{part}` is not in {printed}");
        }
    }
}
