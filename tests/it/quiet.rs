//! Work is proportional to change: a cycle without one asks HubSpot nothing.

use serde_json::json;
use syncline::model::identity::Identity;
use syncline::model::ids::SalesforceId;

use crate::support::oracle::agree;
use crate::support::remembered::{live, remember};
use crate::support::{Bench, report};

#[test]
fn a_cycle_without_change_costs_one_query_a_pipeline_and_no_call_to_hubspot() {
    // Both sample pipelines read a field of the account.
    let bench = Bench::new(60);
    bench.import();
    bench.settle();
    bench.sandbox.forget_requests();
    let reports = bench.sync();
    for name in ["subscriptions", "work_orders"] {
        assert_eq!(report(&reports, name)["hubspot_calls"], 0, "{reports}");
    }
    assert_eq!(bench.calls("hubspot"), 0);
    let sent = bench.sandbox.requests();
    assert_eq!(sent.iter().filter(|entry| entry.target.contains("/query")).count(), 2);
}

#[test]
fn an_unchanged_record_costs_no_call_even_when_it_is_read_again() {
    let bench = Bench::new(60);
    bench.import();
    let rows = bench.rows("Subscription__c");
    let (id, row) = rows.iter().find(|(_, row)| row["values"]["Status__c"] == "Active").unwrap();
    let name = row["values"]["Name"].clone();
    bench.salesforce("update", json!({"object": "Subscription__c", "id": id, "values": {"Name": "Another"}}));
    bench.settle();
    agree(&bench);
    bench.sandbox.forget_requests();
    // Within the overlap the row is read again.
    let reports = bench.sync();
    assert_eq!(report(&reports, "subscriptions")["read"], 1, "{reports}");
    assert_eq!(bench.calls("hubspot"), 0);
    bench.salesforce("update", json!({"object": "Subscription__c", "id": id, "values": {"Name": name}}));
    bench.sync();
    agree(&bench);
}

#[test]
fn a_portal_that_changed_is_noticed_before_anything_is_judged_by_it() {
    let bench = Bench::new(120);
    bench.import();
    let failed = bench.failures();
    let fax = failed.iter().find(|failure| failure["code"] == "SL5006").unwrap();
    let id = fax["salesforce_id"].clone();
    bench.hubspot("add_option", json!({"object": "subscriptions", "property": "channels", "value": "Fax"}));
    bench.salesforce("update", json!({"object": "Subscription__c", "id": id, "values": {"Notes__c": "touched"}}));
    let reports = bench.sync();
    assert_eq!(report(&reports, "subscriptions")["created"], 1, "{reports}");
    assert!(bench.failures().iter().all(|failure| failure["salesforce_id"] != id));
    let runs = bench.run(&["runs", "--format", "json"]).code(0).json();
    let failed = runs["runs"].as_array().unwrap().iter().filter(|run| run["status"] == "failed").count();
    assert_eq!(failed, 0, "{runs}");
    agree(&bench);
}

#[test]
fn a_link_is_made_when_its_company_appears() {
    let bench = Bench::new(60);
    bench.import();
    let companies = bench.records("0-2");
    let known = |account: &str| {
        companies.values().any(|company| {
            company["properties"]["salesforceaccountid"].as_str().is_some_and(|id| account.starts_with(id))
        })
    };
    let rows = bench.rows("Subscription__c");
    let waiting = rows.values().find_map(|row| {
        let account = row["values"]["Account__c"].as_str()?;
        (row["values"]["Status__c"] == "Active" && !known(account)).then(|| account.to_owned())
    });
    let account = waiting.unwrap();
    bench.hubspot(
        "create",
        json!({"object": "companies", "properties": {"name": "Late", "salesforceaccountid": account}}),
    );
    let reports = bench.sync();
    assert!(report(&reports, "subscriptions")["associated"].as_u64() > Some(0), "{reports}");
    agree(&bench);
}

#[test]
fn a_rejected_row_is_not_judged_again_while_it_stays_the_same() {
    let bench = Bench::new(120);
    bench.import();
    let failures = bench.failures();
    let fax = failures.iter().find(|failure| failure["code"] == "SL5006").unwrap()["salesforce_id"].clone();
    bench.salesforce("update", json!({"object": "Subscription__c", "id": fax, "values": {"Notes__c": "touched"}}));
    bench.settle();
    bench.sandbox.forget_requests();
    let reports = bench.sync();
    let outcome = report(&reports, "subscriptions");
    assert_eq!((&outcome["failed"], &outcome["waiting"]), (&json!(0), &json!(1)), "{reports}");
    assert_eq!(bench.calls("hubspot"), 0);
    let attempts = |failures: &[serde_json::Value]| {
        failures.iter().find(|failure| failure["salesforce_id"] == fax).map(|failure| failure["attempts"].clone())
    };
    assert_eq!(attempts(&bench.failures()), Some(json!(2)), "one try for the import, one for the change");
    bench.salesforce("delete", json!({"object": "Subscription__c", "id": fax}));
    bench.sync();
    assert_eq!(attempts(&bench.failures()), None, "a record that is gone fails no more");
}

#[test]
fn a_first_import_into_an_empty_object_asks_for_no_record() {
    let bench = Bench::new(250);
    bench.import();
    let sent = bench.sandbox.requests();
    let count = |word: &str| sent.iter().filter(|request| request.target.contains(word)).count();
    assert_eq!(count("2-41234567/batch/read") + count("2-41234568/batch/read"), 0);
    assert!(count("/batch/upsert") > 0);
    // What stands there is asked for, as another tool may have made it.
    let bench = Bench::new(250);
    bench.hubspot(
        "create",
        serde_json::json!({"object": "subscriptions", "properties": {"subscription_name": "other"}}),
    );
    bench.import();
    let sent = bench.sandbox.requests();
    assert!(sent.iter().any(|request| request.target.contains("2-41234567/batch/read")));
}

#[test]
fn a_row_that_comes_once_more_is_known_by_its_mark() {
    let bench = Bench::new(60);
    bench.import();
    let path = bench.path(".syncline/state.db");
    let known = || ["subscriptions", "work_orders"].map(|name| (name, live(&path, name, 1_000)));
    let remembered = || -> Vec<(&str, SalesforceId, [u8; 16])> {
        let all = known().into_iter();
        let of = |(name, all): (&'static str, Vec<Identity>)| {
            all.into_iter().map(move |one| (name, one.salesforce_id, one.hash.0))
        };
        all.flat_map(of).collect()
    };
    let written = remembered();
    let spoil = |part: std::ops::Range<usize>| {
        for (name, mut all) in known() {
            all.iter_mut().for_each(|one| one.hash.0[part.clone()].iter_mut().for_each(|byte| *byte ^= 0x55));
            remember(&path, name, all);
        }
    };
    let updated = || {
        let reports = bench.import();
        ["subscriptions", "work_orders"]
            .map(|name| report(&reports, name)["updated"].as_u64().unwrap())
            .iter()
            .sum::<u64>()
    };
    // Of a row with its mark nobody asks what was written.
    spoil(0..8);
    let spoiled = remembered();
    assert_eq!(updated(), 0);
    assert_eq!(remembered(), spoiled);
    // What was written says it where the mark does not, as of a state of before; it is there by then.
    spoil(0..8);
    spoil(8..16);
    assert_eq!(updated(), 0);
    assert_eq!(remembered(), written);
    // With neither, HubSpot is given all records once more.
    spoil(0..16);
    assert_eq!(updated(), written.len() as u64);
    assert_eq!(remembered(), written);
    // By another option, rows are judged anew and marked anew.
    bench.hubspot("add_option", json!({"object": "subscriptions", "property": "channels", "value": "Fax"}));
    assert_eq!(updated(), 0);
    let now: std::collections::HashMap<_, _> =
        remembered().into_iter().map(|(name, id, hash)| ((name, id), hash)).collect();
    let renewed = written.iter().filter(|(name, id, hash)| now[&(*name, *id)] != *hash).count();
    let same = written.iter().filter(|(name, id, hash)| now[&(*name, *id)][..8] == hash[..8]).count();
    assert!(renewed > 0 && renewed < written.len(), "{renewed} of {}", written.len());
    assert_eq!(same, written.len());
    agree(&bench);
}

#[test]
fn a_label_that_changes_in_salesforce_is_carried_over_by_an_import() {
    let bench = Bench::new(60);
    bench.edit(
        "pipelines/subscriptions.yaml",
        "{ from: Notes__c, to: notes }",
        "{ from: Status__c, to: notes, label: true }",
    );
    bench.import();
    let notes =
        || bench.records("subscriptions").values().filter(|record| record["properties"]["notes"] == "Running").count();
    assert_eq!(notes(), 0);
    let value = |value: &str| json!({"value": value, "label": if value == "Active" { "Running" } else { value }, "active": true, "defaultValue": false});
    let values: Vec<_> = ["Active", "On Hold", "Cancelled", "Draft"].into_iter().map(value).collect();
    let change = json!({"object": "Subscription__c", "field": "Status__c", "set": {"picklistValues": values}});
    bench.salesforce("change_field", change);
    let reports = bench.import();
    let updated = report(&reports, "subscriptions")["updated"].as_u64().unwrap();
    assert!(updated > 0, "{reports}");
    assert_eq!(notes() as u64, updated);
}
