//! Rows of a junction object as associations between two records that others sync. Work orders are the rows here.

use serde_json::{Value, json};

use crate::associations::Pairs;
use crate::support::report;

const SUBSCRIPTION: &str = "Subscription__c";
const ROW: &str = "WorkOrder";

/// Subscriptions without associations of their own, and rows that associate them with companies.
fn pairs(label: &str) -> Pairs {
    let pairs = Pairs::new(&[]);
    pairs.bench.edit("pipelines/subs.yaml", "associations:\n", "");
    pairs.lookup(ROW, "Sub__c", &[SUBSCRIPTION]);
    pairs.lookup(ROW, "Acct__c", &["Account"]);
    define(&pairs, label, "archive");
    pairs
}

fn define(pairs: &Pairs, label: &str, on_delete: &str) {
    let text = format!(
        "version: 1
name: roles
source: {{ object: WorkOrder, where: \"Subject != 'Draft'\" }}
associate:
  from: {{ field: Sub__c, pipeline: subs }}
  to: {{ field: Acct__c, to: companies, match: salesforceaccountid }}
{label}on_delete: {on_delete}
on_filter_exit: archive
guard: {{ archive: 100% }}
"
    );
    pairs.bench.write("pipelines/roles.yaml", &text);
}

fn subscription(pairs: &Pairs, name: &str) -> String {
    pairs.create(SUBSCRIPTION, json!({"Name": name}))
}

fn row(pairs: &Pairs, subscription: &str, account: &str) -> String {
    pairs.create(ROW, json!({"Subject": "role", "Sub__c": subscription, "Acct__c": account}))
}

fn count(done: &Value, name: &str) -> u64 {
    report(done, "roles")[name].as_u64().unwrap()
}

#[test]
fn rows_become_associations_and_follow_their_lookups() {
    let pairs = pairs("");
    let (one, two) = (pairs.account(0), pairs.account(1));
    let (first, second) = (subscription(&pairs, "S"), subscription(&pairs, "T"));
    let id = row(&pairs, &first, &one);
    pairs.create(ROW, json!({"Subject": "half", "Sub__c": first}));
    let done = pairs.import();
    assert_eq!((count(&done, "associated"), count(&done, "pending_associations")), (1, 0), "{done}");
    assert_eq!(pairs.labels(&first), Some(vec![]));
    // The other end, then this one, then a blank, then back.
    pairs.update(ROW, &id, json!({"Acct__c": two}));
    pairs.sync();
    let company = pairs.record("0-2", "salesforceaccountid", &two)["id"].as_str().unwrap().to_owned();
    assert_eq!(pairs.of(&first, "0-2"), [(company.clone(), vec![])]);
    pairs.update(ROW, &id, json!({"Sub__c": second}));
    pairs.sync();
    assert_eq!((pairs.labels(&first), pairs.of(&second, "0-2")), (None, vec![(company, vec![])]));
    pairs.update(ROW, &id, json!({"Sub__c": null}));
    pairs.sync();
    assert_eq!(pairs.labels(&second), None);
    pairs.update(ROW, &id, json!({"Sub__c": first}));
    pairs.sync();
    assert!(pairs.labels(&first).is_some());
    // Nothing is left to do, and nothing is asked.
    pairs.bench.sandbox.forget_requests();
    pairs.sync();
    let asked = pairs.bench.sandbox.requests();
    assert!(asked.iter().all(|request| !request.target.contains("/batch/")), "{asked:#?}");
}

#[test]
fn rows_are_shown_as_what_they_are() {
    let pairs = pairs("");
    let account = pairs.account(0);
    let id = subscription(&pairs, "S");
    let one = row(&pairs, &id, &account);
    let planned = pairs.bench.run(&["plan", "roles"]).code(0).stdout;
    assert!(planned.contains("from Sub__c: waits for"), "{planned}");
    assert!(!planned.contains("takes them over"), "{planned}");
    let ran = pairs.bench.run(&["import", "--yes"]).code(0);
    assert!(ran.stderr.contains("2 records of WorkOrder as associations of Subscriptions"), "{ran:?}");
    let printed = pairs.bench.run(&["why", &one]).code(0).stdout;
    assert!(printed.contains("asks for an association, and has no HubSpot record"), "{printed}");
    assert!(printed.contains("exactly what Salesforce holds now"), "{printed}");
    assert!(printed.contains("lookup `Sub__c`") && printed.contains("lookup `Acct__c`"), "{printed}");
    assert_eq!(pairs.bench.run(&["why", &one, "--format", "json"]).json()["pipelines"][0]["hubspot_id"], json!(null));
    pairs.update(ROW, &one, json!({"Acct__c": pairs.account(1)}));
    let printed = pairs.bench.run(&["why", &one]).code(0).stdout;
    assert!(printed.contains("has changed"), "{printed}");
}

#[test]
fn two_rows_of_one_pair_hold_one_association_until_both_are_gone() {
    let pairs = pairs("");
    let account = pairs.account(0);
    let id = subscription(&pairs, "S");
    let (one, two) = (row(&pairs, &id, &account), row(&pairs, &id, &account));
    let done = pairs.import();
    assert_eq!(count(&done, "associated"), 1, "{done}");
    pairs.bench.salesforce("delete", json!({"object": ROW, "id": one}));
    let done = pairs.sync();
    assert_eq!((count(&done, "disassociated"), count(&done, "archived")), (0, 0), "{done}");
    assert!(pairs.labels(&id).is_some());
    pairs.update(ROW, &two, json!({"Subject": "Draft"}));
    let done = pairs.sync();
    assert_eq!(count(&done, "disassociated"), 1, "{done}");
    assert_eq!(pairs.labels(&id), None);
    // Undeleted, it asks again; and the record itself was never touched.
    pairs.bench.salesforce("undelete", json!({"object": ROW, "id": one}));
    pairs.sync();
    assert!(pairs.labels(&id).is_some());
}

#[test]
fn either_end_may_come_later() {
    let pairs = pairs("");
    let account = pairs.create("Account", json!({"Name": "Late"}));
    let id = subscription(&pairs, "S");
    row(&pairs, &id, &account);
    let done = pairs.bench.run(&["import", "roles", "--yes", "--format", "json"]).code(0).json();
    assert_eq!((count(&done, "associated"), count(&done, "pending_associations")), (0, 1), "{done}");
    let done = pairs.bench.import();
    assert_eq!(count(&done, "pending_associations"), 1, "the subscription is there, the company is not: {done}");
    pairs.bench.hubspot(
        "create",
        json!({"object": "companies", "properties": {"name": "Late", "salesforceaccountid": account}}),
    );
    pairs.import();
    assert!(pairs.labels(&id).is_some());
    // The first end is made by another pipeline in the same command.
    let late = subscription(&pairs, "L");
    row(&pairs, &late, &account);
    let done = pairs.sync();
    assert_eq!((count(&done, "associated"), count(&done, "pending_associations")), (1, 0), "{done}");
    assert!(pairs.labels(&late).is_some());
}

#[test]
fn labels_are_those_of_the_row() {
    let pairs = pairs("  label: { from: Subject, values: { Billing: billing_account, Shipping: Shipping } }\n");
    pairs.label("Shipping", None, "0-2");
    let account = pairs.account(0);
    let id = subscription(&pairs, "S");
    let one = pairs.create(ROW, json!({"Subject": "Billing", "Sub__c": id, "Acct__c": account}));
    let two = pairs.create(ROW, json!({"Subject": "Shipping", "Sub__c": id, "Acct__c": account}));
    pairs.import();
    assert_eq!(pairs.labels(&id).map(|labels| labels.len()), Some(2));
    pairs.update(ROW, &one, json!({"Subject": "Shipping"}));
    pairs.sync();
    assert_eq!(pairs.labels(&id), Some(vec!["Shipping".to_owned()]));
    pairs.bench.salesforce("delete", json!({"object": ROW, "id": two}));
    pairs.sync();
    assert_eq!(pairs.labels(&id), Some(vec!["Shipping".to_owned()]), "the other row asks for it");
}

#[test]
fn what_people_did_in_hubspot_is_repaired_or_left_as_it_should() {
    let pairs = pairs("");
    let account = pairs.account(0);
    let id = subscription(&pairs, "S");
    row(&pairs, &id, &account);
    pairs.import();
    let record = pairs.record("subscriptions", "salesforce_id", &id)["id"].as_str().unwrap().to_owned();
    let company = pairs.record("0-2", "salesforceaccountid", &account)["id"].as_str().unwrap().to_owned();
    pairs.hubspot("DELETE", &format!("/crm/v4/objects/2-41234567/{record}/associations/0-2/{company}"), &json!({}));
    assert_eq!(pairs.labels(&id), None);
    let done = pairs.import();
    assert_eq!(count(&done, "associated"), 1, "{done}");
    assert!(pairs.labels(&id).is_some());
    // The record at the first end is archived and made again: a comparison makes the association with the new one.
    pairs.bench.hubspot("archive", json!({"object": "subscriptions", "id": record}));
    pairs.bench.run(&["reconcile", "--format", "json"]).code(0);
    assert!(pairs.labels(&id).is_some());
    let again = pairs.bench.run(&["reconcile", "--format", "json"]).code(0).json();
    assert_eq!((count(&again, "associated"), count(&again, "disassociated")), (0, 0), "{again}");
}

#[test]
fn a_delete_that_is_to_keep_keeps_and_the_guard_counts_rows() {
    let pairs = pairs("");
    define(&pairs, "", "keep");
    let account = pairs.account(0);
    let id = subscription(&pairs, "S");
    let one = row(&pairs, &id, &account);
    pairs.import();
    pairs.bench.salesforce("delete", json!({"object": ROW, "id": one}));
    let done = pairs.sync();
    assert_eq!(count(&done, "disassociated"), 0, "{done}");
    assert!(pairs.labels(&id).is_some());
    let two = row(&pairs, &id, &pairs.account(1));
    define(&pairs, "", "archive");
    let done = pairs.sync();
    assert_eq!((count(&done, "associated"), count(&done, "disassociated")), (1, 1), "{done}");
    pairs.bench.edit("pipelines/roles.yaml", "100%", "0");
    pairs.bench.salesforce("delete", json!({"object": ROW, "id": two}));
    let ran = pairs.bench.run(&["sync", "--once"]);
    assert!(ran.stderr.contains("guard") || ran.stdout.contains("guard"), "{ran:?}");
    assert_eq!(pairs.of(&id, "0-2").len(), 1);
}

#[test]
fn what_does_not_fit_is_said() {
    let pairs = pairs("");
    let check = |from: &str, to: &str, code: &str| {
        let good = std::fs::read_to_string(pairs.bench.path("pipelines/roles.yaml")).unwrap();
        pairs.bench.edit("pipelines/roles.yaml", from, to);
        let ran = pairs.bench.run(&["validate", "--online"]);
        let printed = format!("{}{}", ran.stdout, ran.stderr);
        assert!(printed.contains(code) && printed.contains("roles.yaml:"), "{from} {to}: {printed}");
        pairs.bench.write("pipelines/roles.yaml", &good);
    };
    check("associate:", "target: { object: subscriptions, match: salesforce_id }\nassociate:", "SL2082");
    check("on_delete", "fields:\n  - { from: Subject, to: subject }\non_delete", "SL2082");
    check("pipeline: subs", "pipeline: nobody", "SL2003");
    check("pipeline: subs", "pipeline: roles", "SL2003");
    check("field: Sub__c", "field: Subject", "SL2043");
    check("  to: {", "  label: Nobody\n  to: {", "SL2045");
    check("match: salesforceaccountid", "match: nothing", "SL2044");
    pairs.bench.run(&["validate", "--online"]).code(0);
}

#[test]
fn looking_again_costs_one_call_for_a_thousand_rows() {
    let pairs = pairs("");
    let account = pairs.account(0);
    for place in 0..30 {
        let id = subscription(&pairs, &format!("S{place}"));
        row(&pairs, &id, &account);
    }
    pairs.import();
    pairs.bench.sandbox.forget_requests();
    pairs.bench.run(&["reconcile", "roles"]).code(0);
    let asked = pairs.bench.sandbox.requests();
    let reads =
        asked.iter().filter(|request| request.target.contains("associations") && request.target.contains("batch/read"));
    assert_eq!(reads.count(), 1, "{asked:#?}");
}

/// How often associations are read for rows of one record, each with a subscription of its own: by the plan of an import, by the import,
/// and by a comparison.
fn reads_of_one_record(rows: usize) -> [usize; 3] {
    let pairs = Pairs::new(&[]);
    pairs.bench.edit("pipelines/subs.yaml", "associations:\n", "");
    pairs.lookup(ROW, "Sub__c", &[SUBSCRIPTION]);
    pairs.lookup(ROW, "Acct__c", &["Account"]);
    define(&pairs, "", "archive");
    let ends = "  from: { field: Sub__c, pipeline: subs }
  to: { field: Acct__c, to: companies, match: salesforceaccountid }";
    let turned = "  from: { field: Acct__c, to: companies, match: salesforceaccountid }
  to: { field: Sub__c, pipeline: subs }";
    pairs.bench.edit("pipelines/roles.yaml", ends, turned);
    let account = pairs.account(0);
    for place in 0..rows {
        let id = subscription(&pairs, &format!("S{place}"));
        row(&pairs, &id, &account);
    }
    pairs.bench.run(&["import", "subs", "--yes"]).code(0);
    let reads = |run: &[&str]| {
        pairs.bench.sandbox.forget_requests();
        pairs.bench.run(run).code(0);
        let asked = pairs.bench.sandbox.requests();
        let reads = asked.iter().filter(|request| request.target.contains("/associations/"));
        reads.filter(|request| request.target.contains("batch/read")).count()
    };
    [reads(&["plan", "roles", "--full"]), reads(&["import", "roles", "--yes"]), reads(&["reconcile", "roles"])]
}

#[test]
fn a_record_from_which_rows_of_many_pages_lead_is_read_once() {
    let (few, many) = (reads_of_one_record(1_200), reads_of_one_record(3_600));
    // HubSpot tells of 500 associations in an answer.
    assert_eq!((few, many), ([1, 1, 3], [1, 1, 8]));
}

#[test]
fn a_row_whose_first_end_is_late_is_carried_out_as_soon_as_it_comes() {
    let pairs = pairs("");
    let account = pairs.account(0);
    pairs.bench.edit(
        "pipelines/subs.yaml",
        "source: { object: Subscription__c }",
        "source: { object: Subscription__c, where: \"Name != 'Draft'\" }",
    );
    let id = subscription(&pairs, "Draft");
    row(&pairs, &id, &account);
    pairs.import();
    // Tries in vain, with growing pauses.
    for _ in 0..3 {
        pairs.bench.sandbox.advance(std::time::Duration::from_secs(600));
        pairs.sync();
    }
    pairs.update(SUBSCRIPTION, &id, json!({"Name": "Ready"}));
    // The plan tells that it waits for the other pipeline; the run makes it when that one is done.
    pairs.bench.sync();
    assert!(pairs.labels(&id).is_some());
}

#[test]
fn rows_that_asked_for_nothing_count_for_no_guard() {
    let pairs = pairs("");
    let id = subscription(&pairs, "S");
    row(&pairs, &id, &pairs.account(0));
    let half = pairs.create(ROW, json!({"Subject": "half", "Sub__c": id}));
    pairs.import();
    pairs.bench.edit("pipelines/roles.yaml", "100%", "0");
    pairs.bench.salesforce("delete", json!({"object": ROW, "id": half}));
    pairs.sync();
}
