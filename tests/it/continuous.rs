//! A sync that runs on and on: it outlives ended sessions, used-up days, hidden fields and short absences, and carries
//! over what changed meanwhile once they are over.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::oracle::{agree, disagreements};
use crate::support::{Bench, ended};

const OBJECT: &str = "Subscription__c";

/// Waits until both sides agree again.
#[track_caller]
fn caught_up(bench: &Bench, what: &str) {
    let end = Instant::now() + Duration::from_secs(30);
    while !disagreements(bench).is_empty() {
        assert!(Instant::now() < end, "not caught up after {what}: {:#?}", disagreements(bench));
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_sync_that_runs_on_outlives_everything_that_passes() {
    let bench = Bench::new(30);
    for name in ["subscriptions", "work_orders"] {
        let file = format!("pipelines/{name}.yaml");
        let text = std::fs::read_to_string(bench.path(&file)).unwrap();
        let text = text.replace("  every: 5m\n  overlap: 10m\n", "").replace("sync:\n", "");
        bench.write(&file, &format!("{text}\nsync:\n  every: 1s\n"));
    }
    bench.import();
    let failed = bench.failures();
    let rows = bench.rows(OBJECT);
    let well = |id: &&String| !failed.iter().any(|failure| failure["salesforce_id"] == id.as_str());
    let ids: Vec<&String> =
        rows.iter().filter(|(_, row)| row["values"]["Status__c"] == "Active").map(|(id, _)| id).filter(well).collect();
    let update =
        |id: &str, values: Value| bench.salesforce("update", json!({"object": OBJECT, "id": id, "values": values}));

    let child = bench.spawn(&["sync", "--format", "json"]);
    update(ids[0], json!({"Notes__c": "one"}));
    caught_up(&bench, "a change");
    bench.salesforce("expire_sessions", json!({}));
    update(ids[1], json!({"Notes__c": "two"}));
    caught_up(&bench, "an ended session");

    bench.faults(json!([{"service": "salesforce", "path": "/services/data/**", "fault": "daily_limit"}]));
    update(ids[2], json!({"Notes__c": "three"}));
    std::thread::sleep(Duration::from_millis(1_500));
    bench.sandbox.clear_faults();
    caught_up(&bench, "a used-up day");

    bench.salesforce("hide", json!({"object": OBJECT, "field": "Notes__c"}));
    update(ids[3], json!({"Status__c": "On Hold"}));
    std::thread::sleep(Duration::from_millis(2_500));
    assert!(!disagreements(&bench).is_empty(), "nothing is written while a mapped field is hidden");
    let cleared = disagreements(&bench).iter().filter(|wrong| wrong.contains("`notes`")).count();
    assert_eq!(cleared, 0, "a hidden field clears nothing");
    bench.salesforce("show", json!({"object": OBJECT, "field": "Notes__c"}));
    caught_up(&bench, "a hidden field");

    bench.faults(json!([{"service": "salesforce", "fault": "reset_before", "probability": 0.5}]));
    bench.salesforce("delete", json!({"object": OBJECT, "id": ids[4]}));
    caught_up(&bench, "a bad line");
    bench.sandbox.clear_faults();

    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let ran = ended(child.wait_with_output().unwrap()).code(0);
    let paused = ran.stdout.lines().filter(|line| line.contains(r#""status":"paused""#)).count();
    assert!(paused > 0 || ran.stderr.contains("SL4104"), "a used-up day is told: {}", ran.stderr);
    assert!(ran.stderr.contains("Notes__c"), "the hidden field is named: {}", ran.stderr);
    agree(&bench);
}
