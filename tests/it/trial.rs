//! A trial before the whole import, and the import of a part: some records, copied for good, and nothing else remembered.

use serde_json::{Value, json};

use crate::support::{Bench, report};

#[test]
fn a_trial_copies_a_few_records_and_the_import_recognises_them() {
    let bench = Bench::new(60);
    let ran = bench.run(&["import", "subscriptions", "--limit", "7", "--yes", "--format", "json"]);
    let trial = ran.json();
    let outcome = report(&trial, "subscriptions");
    assert_eq!(outcome["read"], 7, "{trial}");
    let copied = bench.records("subscriptions").len();
    assert!(copied > 0 && copied <= 7, "{copied}");
    assert!(bench.run(&["status"]).stdout.contains("import"), "the records that exist are still to come");
    let whole = bench.import();
    let forecast = report(&whole, "subscriptions");
    assert_eq!(forecast["unchanged"].as_u64(), Some(copied as u64), "{whole}");
    let ids: Vec<String> = bench
        .records("subscriptions")
        .into_values()
        .map(|record| record["properties"]["salesforce_id"].to_string())
        .collect();
    assert_eq!(ids.len(), ids.iter().collect::<std::collections::BTreeSet<_>>().len(), "none is there twice");
}

#[test]
fn a_record_is_tried_by_its_id() {
    let bench = Bench::new(5);
    let made = bench.salesforce("create", json!({"object": "WorkOrder", "values": {"Subject": "Broken lift"}}));
    let id = made["id"].as_str().unwrap();
    let ran = bench.run(&["import", "--record", id, "--yes"]).code(1);
    assert!(ran.stderr.contains("name one"), "{ran:?}");
    bench.run(&["import", "work_orders", "--record", "x", "--yes"]).code(1);
    assert!(bench.records("work_orders").is_empty());
    bench.run(&["import", "work_orders", "--record", id, "--yes"]).code(0);
    let held: Vec<_> = bench.records("work_orders").into_values().collect();
    assert_eq!((held.len(), &held[0]["properties"]["salesforce_id"]), (1, &json!(id)));
    bench.salesforce("update", json!({"object": "WorkOrder", "id": id, "values": {"Subject": "Mended lift"}}));
    bench.run(&["import", "work_orders", "--record", id, "--yes"]).code(0);
    assert_eq!(bench.records("work_orders").into_values().next().unwrap()["properties"]["subject"], "Mended lift");
}

/// Subscriptions that a filter narrows, and a project with nothing else.
fn filtered() -> Bench {
    let bench = Bench::new(0);
    std::fs::remove_file(bench.path("pipelines/work_orders.yaml")).unwrap();
    bench.write(
        "pipelines/subscriptions.yaml",
        "version: 1
name: subs
source: { object: Subscription__c, where: \"Name != 'no' OR External_Code__c = 'yes'\" }
target: { object: subscriptions, match: salesforce_id }
fields:
  - { from: Name, to: subscription_name }
  - { from: External_Code__c, to: external_code }
on_delete: archive
on_filter_exit: archive
guard: { archive: 100% }
",
    );
    bench
}

fn create(bench: &Bench, name: &str, notes: &str) -> String {
    let values = json!({"object": "Subscription__c", "values": {"Name": name, "External_Code__c": notes}});
    bench.salesforce("create", values)["id"].as_str().unwrap().to_owned()
}

/// Names of the records that HubSpot holds.
fn names(bench: &Bench) -> Vec<String> {
    let held = bench.records("subscriptions").into_values().filter(|record| record["archived"] == false);
    let mut names: Vec<String> =
        held.map(|record| record["properties"]["subscription_name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// What an import of a part does, which is what its plan foretold.
fn part(bench: &Bench, options: &[&str]) -> Value {
    let planned = bench.run(&[&["plan", "subs", "--format", "json"], options].concat()).code(0).json();
    let done = bench.run(&[&["import", "subs", "--yes", "--format", "json"], options].concat()).code(0).json();
    let outcome = report(&done, "subs").clone();
    for count in ["read", "created", "updated", "unchanged", "archived", "filtered", "failed"] {
        assert_eq!(report(&planned, "subs")[count], outcome[count], "{count}\n{planned}\n{done}");
    }
    outcome
}

#[test]
fn a_part_is_chosen_by_a_condition_beside_the_filter() {
    let bench = filtered();
    for (name, notes) in [("a", ""), ("b", "yes"), ("no", ""), ("no", "yes"), ("c", "")] {
        create(&bench, name, notes);
    }
    // Without parentheses the OR of either condition would let in what the other refuses.
    let outcome = part(&bench, &["--where", "Name = 'no' OR Name = 'a'"]);
    assert_eq!(
        (outcome["read"].as_u64(), names(&bench)),
        (Some(2), vec!["a".to_owned(), "no".to_owned()]),
        "{outcome}"
    );
    let outcome = part(&bench, &["--where", "Name IN ('a', 'b', 'c')", "--limit", "2"]);
    assert_eq!(outcome["read"], 2, "{outcome}");
    let asked = bench.run(&["import", "subs", "--where", "Name = 'b'"]).code(1).stderr;
    assert!(asked.contains("1 record of Subscription__c that match `Name = 'b'`"), "{asked}");
}

#[test]
fn a_part_moves_no_watermark_and_archives_nothing() {
    let bench = filtered();
    let (deleted, left, stays) = (create(&bench, "a", ""), create(&bench, "b", ""), create(&bench, "c", ""));
    let watermark = || bench.run(&["status", "--format", "json"]).json()["pipelines"][0]["watermark"].clone();
    part(&bench, &["--where", "Name != null"]);
    assert!(watermark().is_null(), "the import of all is still to come");
    bench.import();
    let before = watermark();
    bench.salesforce("delete", json!({"object": "Subscription__c", "id": deleted}));
    for (id, name) in [(&left, "no"), (&stays, "d")] {
        bench.salesforce("update", json!({"object": "Subscription__c", "id": id, "values": {"Name": name}}));
    }
    let outcome = part(&bench, &["--since", "1h"]);
    assert_eq!((outcome["updated"].as_u64(), outcome["archived"].as_u64()), (Some(1), Some(0)), "{outcome}");
    assert_eq!((names(&bench), watermark()), (vec!["a".to_owned(), "b".to_owned(), "d".to_owned()], before));
    // The sync that follows sees all of it.
    let outcome = bench.sync();
    assert_eq!(report(&outcome, "subs")["archived"], 2, "{outcome}");
    assert_eq!(names(&bench), ["d"]);
}

#[test]
fn a_part_is_chosen_by_when_salesforce_touched_it() {
    let bench = Bench::new(30);
    let old = bench.rows("Subscription__c").len() as u64;
    create(&bench, "new", "");
    let read = |since: &str| {
        let ran = bench.run(&["plan", "subscriptions", "--since", since, "--format", "json"]).code(0).json();
        report(&ran, "subscriptions")["read"].as_u64().unwrap()
    };
    assert_eq!(read("1h"), 1);
    assert!(read("2000-01-01") > old / 2 && read("2000-01-01T00:00:00+02:00") == read("100000d"));
    let ran = bench.run(&["import", "subscriptions", "--since", "2100-01-01", "--yes"]).code(1);
    assert!(ran.stderr.contains("lies ahead"), "{ran:?}");
    for wrong in ["yesterday", "2026-13-01", "2026-11-25T08:00:00", "-1h"] {
        assert_eq!(bench.run(&["plan", &format!("--since={wrong}")]).code, Some(64), "{wrong}");
    }
}

#[test]
fn a_condition_that_does_not_fit_sends_nothing() {
    let bench = filtered();
    create(&bench, "a", "");
    for (condition, message) in [
        ("Naem = 'a'", "did you mean `Name`"),
        ("Name = 'a') OR (Name != ''", "SL2041"),
        ("Name = 'a' LIMIT 1", "SL2041"),
        ("", "SL2041"),
        ("Name = 5", "SL2042"),
        ("Account__r.Naem = 'a'", "SL2042"),
        ("Name = 'a", "SL2041"),
    ] {
        bench.sandbox.forget_requests();
        let ran = bench.run(&["import", "subs", "--yes", "--where", condition]);
        assert_eq!((ran.code, ran.stderr.contains(message)), (Some(1), true), "{condition}: {ran:?}");
        assert!(ran.stderr.contains("nothing was read or sent"), "{ran:?}");
        bench.run(&["plan", "subs", "--where", condition]).code(1);
        let sent = bench.sandbox.requests();
        assert!(
            !sent.iter().any(|request| request.target.contains("/batch/") || request.target.contains("query")),
            "{sent:#?}"
        );
    }
    bench.run(&["import", "subs", "--yes", "--where", "Account__r.Name = 'nobody'"]).code(0);
    // A condition for two pipelines must fit both.
    bench.write(
        "pipelines/work_orders.yaml",
        "version: 1
name: orders
source: { object: WorkOrder }
target: { object: work_orders, match: salesforce_id }
fields: [{ from: Subject, to: subject }]
on_delete: keep
",
    );
    let ran = bench.run(&["import", "--yes", "--where", "External_Code__c = null"]).code(1);
    assert!(ran.stderr.contains("pipeline `orders`"), "{ran:?}");
    assert!(names(&bench).is_empty());
}

#[test]
fn what_a_part_cannot_be_combined_with_is_said() {
    let bench = filtered();
    for options in [
        vec!["import", "--where", "Name = 'a'", "--stale"],
        vec!["import", "--where", "Name = 'a'", "--record", "a0B000000000001AAA"],
        vec!["import", "--since", "1h", "--stale"],
        vec!["import", "--limit", "1", "--stale"],
        vec!["plan", "--where", "Name = 'a'", "--reconcile"],
        vec!["plan", "--since", "1h", "--full"],
        vec!["plan", "--since", "1h", "--out", "x"],
        vec!["plan", "--limit", "1", "--record", "a0B000000000001AAA"],
    ] {
        let ran = bench.run(&options);
        assert_eq!((ran.code, ran.stderr.contains("cannot be used with")), (Some(64), true), "{options:?}: {ran:?}");
    }
}
