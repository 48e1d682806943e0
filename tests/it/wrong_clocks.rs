//! Salesforce's clock was wrong once: what changed afterwards is carried over all the same, and a person is told.

use jiff::SignedDuration;
use serde_json::{Value, json};
use syncline::sys::clock::Clock;

use crate::support::oracle::agree;
use crate::support::{Bench, report};

const OBJECT: &str = "Subscription__c";

/// An imported world that looks back no further than its watermark, and a record in it that never failed.
fn bench() -> (Bench, String) {
    let bench = Bench::new(20);
    bench.edit("pipelines/subscriptions.yaml", "overlap: 10m", "overlap: 0s");
    bench.import();
    let failed: Vec<Value> = bench.failures();
    let fine = |id: &String| failed.iter().all(|failure| failure["salesforce_id"] != id.as_str());
    let records = bench.records("subscriptions").into_values();
    let mut ids = records.filter_map(|record| record["properties"]["salesforce_id"].as_str().map(str::to_owned));
    let id = ids.find(fine).unwrap();
    (bench, id)
}

fn shift(bench: &Bench, hours: i64) {
    bench.sandbox.set_time(Clock::system().now() + SignedDuration::from_hours(hours));
}

fn change(bench: &Bench, id: &str, text: &str) {
    bench.salesforce("update", json!({"object": OBJECT, "id": id, "values": {"Notes__c": text}}));
}

#[test]
fn a_change_after_the_clock_was_put_right_is_carried_over() {
    let (bench, id) = bench();
    // Wrong for two cycles; then right for an hour in which nothing ran.
    shift(&bench, 3);
    bench.sync();
    bench.sync();
    shift(&bench, 0);
    change(&bench, &id, "after the clock was put right");
    let reports = bench.sync();
    let outcome = report(&reports, "subscriptions");
    assert!(outcome["notes"].to_string().contains("was ahead of Salesforce's clock"), "{outcome}");
    agree(&bench);
    let again = bench.sync();
    assert!(report(&again, "subscriptions")["notes"].is_null(), "said once: {again}");
    change(&bench, &id, "and later ones as well");
    bench.sync();
    agree(&bench);
}

#[test]
fn an_import_that_began_by_a_wrong_clock_hides_nothing() {
    let bench = Bench::new(20);
    bench.edit("pipelines/subscriptions.yaml", "overlap: 10m", "overlap: 0s");
    shift(&bench, 48);
    bench.import();
    shift(&bench, 0);
    let id = bench.salesforce("create", json!({"object": OBJECT, "values": {"Name": "new", "Status__c": "Active"}}));
    let planned = bench.run(&["plan", "--format", "json"]).code(0).json();
    assert_eq!(report(&planned, "subscriptions")["created"], 1, "{id}: {planned}");
    bench.sync();
    agree(&bench);
}

#[test]
fn a_clock_that_jumps_back_hides_nothing() {
    let (bench, id) = bench();
    bench.sync();
    shift(&bench, -5);
    change(&bench, &id, "stamped hours before the watermark");
    bench.sync();
    agree(&bench);
    shift(&bench, 0);
    change(&bench, &id, "stamped by the right clock");
    bench.sync();
    agree(&bench);
}
