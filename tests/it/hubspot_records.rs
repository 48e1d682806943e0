//! Records that HubSpot refuses, and what people do to records and associations in the portal: the good ones go through, each bad
//! one stands in `failures` once, and what belongs to others stays.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::oracle::agree;
use crate::support::{Bench, report};

const OBJECT: &str = "Subscription__c";

/// Rows that no rule of the pipeline excludes, in the order of their ids.
fn healthy(bench: &Bench) -> Vec<String> {
    let fine = |row: &Value| {
        let text = |field: &str| row["values"][field].as_str().unwrap_or_default().to_owned();
        let status = ["Active", "On Hold", "Cancelled"].contains(&text("Status__c").as_str());
        status && !text("Channels__c").contains("Fax") && text("Notes__c").len() < 60_000
    };
    bench.rows(OBJECT).into_iter().filter(|(_, row)| fine(row)).map(|(id, _)| id).collect()
}

/// HubSpot refuses every batch that holds one of these records, and names nobody.
fn refuse(bench: &Bench, ids: &[&String]) {
    let body = json!({"status": "error", "message": "Property values were not valid",
        "correlationId": "0199f0c2-5f0e-7b61-8c39-6a1f6f1f1a01", "category": "VALIDATION_ERROR"});
    let rule = |id: &&String| {
        json!({"service": "hubspot", "path": "/crm/objects/**/batch/*", "method": "POST",
        "contains": format!("\"salesforce_id\":\"{id}\""), "status": 400, "body": body})
    };
    bench.faults(ids.iter().map(rule).collect());
}

#[test]
fn bad_records_never_hold_back_the_rest_of_their_batch() {
    let places: [&[usize]; 4] = [&[0], &[99], &[3, 17, 18, 50, 77, 98, 99], &[0, 1, 2, 3, 4, 5, 6]];
    for bad in places {
        let bench = Bench::new(170);
        let rows = healthy(&bench);
        let bad: Vec<&String> = bad.iter().map(|place| &rows[*place]).collect();
        refuse(&bench, &bad);
        let before = bench.failures().len();
        assert_eq!(before, 0);
        let reports = bench.import();
        let outcome = report(&reports, "subscriptions");
        assert_eq!(outcome["created"].as_u64(), Some((rows.len() - bad.len()) as u64), "{outcome}");
        let set_aside: Vec<Value> = bench.failures();
        for id in &bad {
            let of_record: Vec<&Value> =
                set_aside.iter().filter(|failure| failure["salesforce_id"] == id.as_str()).collect();
            assert_eq!(of_record.len(), 1, "{id}: {set_aside:?}");
            assert_eq!(of_record[0]["code"], "SL5109");
        }
        // Finding one of a hundred takes at most two calls for each halving.
        let writes = |bench: &Bench| {
            bench.sandbox.requests().iter().filter(|entry| entry.target.ends_with("2-41234567/batch/upsert")).count()
        };
        assert!(writes(&bench) <= 2 + 15 * bad.len(), "{} calls for {} bad records", writes(&bench), bad.len());
        bench.sandbox.clear_faults();
        bench.run(&["failures", "retry"]).code(0);
        bench.sync();
        agree(&bench);
        let left: BTreeSet<String> =
            bench.failures().iter().map(|failure| failure["salesforce_id"].as_str().unwrap().to_owned()).collect();
        assert!(bad.iter().all(|id| !left.contains(*id)), "{left:?}");
    }
}

#[test]
fn a_whole_batch_of_bad_records_is_set_aside_one_by_one() {
    let bench = Bench::new(120);
    let rows = healthy(&bench);
    let bad: Vec<&String> = rows.iter().take(60).collect();
    refuse(&bench, &bad);
    let reports = bench.import();
    let outcome = report(&reports, "subscriptions");
    assert_eq!(outcome["created"].as_u64(), Some((rows.len() - bad.len()) as u64), "{outcome}");
    let set_aside = bench.failures();
    let found = bad.iter().filter(|id| set_aside.iter().any(|failure| failure["salesforce_id"] == id.as_str()));
    assert_eq!(found.count(), bad.len());
}

#[test]
fn an_answer_that_names_the_offenders_costs_no_second_call() {
    let bench = Bench::new(60);
    bench.import();
    let rows = healthy(&bench);
    // The option goes while the pipeline's value map still leads to it.
    bench.hubspot("remove_option", json!({"object": "subscriptions", "property": "status", "value": "on_hold"}));
    for id in &rows[..3] {
        bench.salesforce("update", json!({"object": OBJECT, "id": id, "values": {"Status__c": "On Hold"}}));
    }
    let ran = bench.run(&["sync", "--once", "--format", "json"]);
    // A drift of the portal rejects the records that have the value, and nothing else.
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let naming = bench.failures().into_iter().filter(|failure| failure.to_string().contains("on_hold")).count();
    assert_eq!(naming, 3, "{:?}", bench.failures());
    bench.hubspot("add_option", json!({"object": "subscriptions", "property": "status", "value": "on_hold"}));
    bench.import();
    agree(&bench);
}

#[test]
fn a_record_that_lacks_a_required_property_is_foretold_and_set_aside() {
    let bench = Bench::new(60);
    bench.hubspot("require", json!({"object": "subscriptions", "property": "billing_email"}));
    let rows = bench.rows(OBJECT);
    let blank = |id: &String| rows[id]["values"]["Billing_Email__c"].is_null();
    let without: Vec<String> = healthy(&bench).into_iter().filter(blank).collect();
    let planned = bench.run(&["plan", "--format", "json"]).code(0).json();
    let done = bench.import();
    for name in ["created", "failed"] {
        assert_eq!(report(&planned, "subscriptions")[name], report(&done, "subscriptions")[name], "{name}");
    }
    let failures = bench.failures();
    let foretold = failures.iter().filter(|failure| failure["code"] == "SL5011").count();
    assert_eq!(foretold, without.len());
}

#[test]
fn associations_of_other_people_stay_when_a_lookup_moves_or_goes() {
    let bench = Bench::new(60);
    bench.import();
    let records = bench.records("subscriptions");
    let kind = bench.kind("subscriptions");
    let associated: Vec<(&String, &Value)> = records
        .iter()
        .filter(|(_, record)| {
            record["associations"]["0-2"].as_array().is_some_and(|associations| associations.len() == 1)
        })
        .take(2)
        .collect();
    let companies: Vec<String> = bench.records("0-2").into_keys().collect();
    let mut foreign = Vec::new();
    let plain =
        types(&bench, &kind, "0-2").iter().find(|association| association["label"].is_null()).unwrap()["type_id"]
            .clone();
    for (id, record) in &associated {
        let company = record["associations"]["0-2"][0]["id"].as_str().unwrap();
        let other = companies.iter().find(|other| *other != company).unwrap();
        bench.hubspot("associate", json!({"from": kind, "from_id": id, "to": "0-2", "to_id": other, "type_id": plain}));
        foreign.push((id.to_string(), other.clone()));
    }
    let salesforce_id = |record: &Value| record["properties"]["salesforce_id"].as_str().unwrap().to_owned();
    let account = bench.rows("Account").into_keys().next_back().unwrap();
    bench.salesforce(
        "update",
        json!({"object": OBJECT, "id": salesforce_id(associated[0].1), "values": {"Account__c": null}}),
    );
    bench.salesforce(
        "update",
        json!({"object": OBJECT, "id": salesforce_id(associated[1].1), "values": {"Account__c": account}}),
    );
    bench.sync();
    let after = bench.records("subscriptions");
    for (id, company) in foreign {
        let associations = after[&id]["associations"]["0-2"].as_array().cloned().unwrap_or_default();
        assert!(
            associations.iter().any(|association| association["id"] == company),
            "the association of others at {id} is gone: {associations:?}"
        );
    }
    let company = associated[0].1["associations"]["0-2"][0]["id"].as_str().unwrap();
    let associations = after[associated[0].0]["associations"]["0-2"].as_array().cloned().unwrap_or_default();
    assert!(
        associations.iter().all(|association| association["id"] != company),
        "our own association still stands: {associations:?}"
    );
}

/// The types of associations from one object to another.
fn types(bench: &Bench, from: &str, to: &str) -> Vec<Value> {
    let all = bench.sandbox.dump()["hubspot"]["associations"]["definitions"].clone();
    let pair = all.as_array().unwrap().iter().find(|pair| pair[0] == from && pair[1] == to).unwrap();
    pair[2].as_array().unwrap().clone()
}

#[test]
fn a_link_beyond_a_limit_is_a_failure_of_that_link_only() {
    let bench = Bench::new(60);
    let (from, to) = ("0-2", bench.kind("subscriptions"));
    for association_type in types(&bench, from, &to) {
        bench.hubspot(
            "limit_associations",
            json!({"from": from, "to": to, "type_id": association_type["type_id"], "max": 1}),
        );
    }
    let reports = bench.import();
    let outcome = report(&reports, "subscriptions");
    assert!(outcome["failed_associations"].as_u64() > Some(0), "{outcome}");
    let failures = bench.failures();
    assert!(failures.iter().any(|failure| failure["code"] == "SL5111"), "{failures:?}");
    assert_eq!(outcome["created"].as_u64().unwrap() as usize, healthy(&bench).len(), "{outcome}");
}

#[test]
fn records_that_people_archive_or_merge_are_made_whole_by_the_next_change() {
    let bench = Bench::new(60);
    bench.import();
    let records = bench.records("subscriptions");
    let ids: Vec<&String> = records.keys().collect();
    let salesforce_id = |id: &str| records[id]["properties"]["salesforce_id"].as_str().unwrap().to_owned();
    let kind = bench.kind("subscriptions");
    bench.hubspot("archive", json!({"object": kind, "id": ids[0]}));
    bench.hubspot("merge", json!({"object": kind, "id": ids[1], "merged": ids[2]}));
    for id in &ids[..3] {
        bench.salesforce(
            "update",
            json!({"object": OBJECT, "id": salesforce_id(id), "values": {"Notes__c": "touched"}}),
        );
    }
    bench.sync();
    agree(&bench);
}

#[test]
fn a_sensitive_value_stays_masked_where_hubspot_repeats_it() {
    let bench = Bench::new(30);
    let rows = bench.rows(OBJECT);
    let id = healthy(&bench).into_iter().find(|id| rows[id]["values"]["Billing_Email__c"].is_string()).unwrap();
    let email = rows[&id]["values"]["Billing_Email__c"].as_str().unwrap();
    let message = format!("Property values were not valid: {email} is on the blocklist");
    let body = json!({"status": "error", "message": message, "category": "VALIDATION_ERROR"});
    bench.faults(json!([{"service": "hubspot", "path": "/crm/objects/**/batch/*", "method": "POST",
        "contains": format!("\"salesforce_id\":\"{id}\""), "status": 400, "body": body}]));
    bench.import();
    let shown = bench.run(&["failures", "show", &id]).code(0);
    assert!(shown.stdout.contains("*** is on the blocklist"), "{}", shown.stdout);
    for part in [
        shown,
        bench.run(&["failures", "--format", "json"]),
        bench.run(&["why", &id]),
        bench.run(&["plan", "--format", "json"]),
    ] {
        assert!(!part.stdout.contains(email) && !part.stderr.contains(email), "{part:?}");
    }
    let kept = std::fs::read(bench.path(".syncline/state.db")).unwrap();
    assert!(!kept.windows(email.len()).any(|window| window == email.as_bytes()), "the state holds it");
}
