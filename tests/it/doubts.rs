//! What a broken run may have written and could not note: the doubt lasts until each record is accounted for, whatever
//! people do in Salesforce and whatever runs in between.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use syncline::sys::rng::Rng;

use crate::support::long::variable;
use crate::support::moment::Moment;
use crate::support::oracle::{agree, disagreements};
use crate::support::{Bench, report};

const OBJECT: &str = "Subscription__c";
const IMPORT: [&str; 4] = ["import", "--yes", "--format", "json"];
const SYNC: [&str; 4] = ["sync", "--once", "--format", "json"];
const STALE: [&str; 5] = ["import", "--stale", "--yes", "--format", "json"];

/// The call that writes subscriptions.
const UPSERT: &str = "/crm/objects/*/2-41234567/batch/upsert";

/// A world whose pipeline archives whatever leaves, and looks back no further than its watermark.
fn bench(records: usize) -> Bench {
    let bench = Bench::new(records);
    let file = "pipelines/subscriptions.yaml";
    bench.edit(file, "on_filter_exit: keep", "on_filter_exit: archive\nguard: { archive: 100% }");
    bench.edit(file, "overlap: 10m", "overlap: 0s");
    bench
}

/// Runs the program until the request that `rule` strikes, and kills it there; false where none was struck.
fn killed(bench: &Bench, arguments: &[&str], rule: Value) -> bool {
    bench.faults(json!([rule]));
    let mut child = bench.spawn(arguments);
    let end = Instant::now() + Duration::from_secs(20);
    let struck = loop {
        if bench.sandbox.faults()["rules"][0]["struck"] != 0 {
            break true;
        }
        if child.try_wait().unwrap().is_some() {
            break false;
        }
        assert!(Instant::now() < end, "neither ended nor struck");
        std::thread::sleep(Duration::from_millis(2));
    };
    std::thread::sleep(Duration::from_millis(20));
    child.kill().unwrap();
    child.wait().unwrap();
    bench.sandbox.clear_faults();
    struck
}

fn hangs(path: &str, number: u64, when: &str) -> Value {
    json!({"path": path, "from": number, "to": number, "fault": "never", "when": when})
}

/// The Salesforce ids of the live records.
fn standing(bench: &Bench) -> BTreeSet<String> {
    let records = bench.records("subscriptions");
    let live = records.values().filter(|record| record["archived"] == false);
    live.filter_map(|record| record["properties"]["salesforce_id"].as_str().map(str::to_owned)).collect()
}

/// Live records whose row lies in the recycle bin or does not match `where`.
fn left_behind(bench: &Bench) -> Vec<String> {
    let rows = bench.rows(OBJECT);
    let failed: BTreeSet<String> =
        bench.failures().iter().filter_map(|failure| failure["salesforce_id"].as_str().map(str::to_owned)).collect();
    let gone =
        |id: &String| rows.get(id).is_some_and(|row| row["deleted"] == true || row["values"]["Status__c"] == "Draft");
    standing(bench).into_iter().filter(|id| gone(id) && !failed.contains(id)).collect()
}

fn run(bench: &Bench, arguments: &[&str]) -> Value {
    let ran = bench.run(arguments);
    assert!(matches!(ran.code, Some(0 | 3)), "{arguments:?}: {ran:?}");
    ran.json()
}

fn delete(bench: &Bench, id: &str) {
    bench.salesforce("delete", json!({"object": OBJECT, "id": id}));
}

fn update(bench: &Bench, id: &str, values: Value) {
    bench.salesforce("update", json!({"object": OBJECT, "id": id, "values": values}));
}

#[test]
fn rows_that_go_after_a_killed_import_take_their_records_along() {
    // Whatever runs first, and whether the rows go before or after it.
    for (first, late) in [(&SYNC, false), (&SYNC, true), (&IMPORT, false)] {
        let bench = bench(40);
        assert!(killed(&bench, &IMPORT, hangs(UPSERT, 1, "after")));
        let made: Vec<String> = standing(&bench).into_iter().collect();
        assert!(made.len() > 3, "HubSpot holds what the state does not know");
        let go = || {
            delete(&bench, &made[0]);
            delete(&bench, &made[1]);
            update(&bench, &made[2], json!({"Status__c": "Draft"}));
        };
        if !late {
            go();
        }
        run(&bench, first);
        if late {
            go();
        }
        run(&bench, &IMPORT);
        run(&bench, &SYNC);
        assert!(left_behind(&bench).is_empty(), "{first:?}, late: {late}: {:?}", left_behind(&bench));
        agree(&bench);
    }
}

#[test]
fn a_run_after_a_killed_one_knows_each_record_and_asks_no_more() {
    let bench = bench(40);
    assert!(killed(&bench, &IMPORT, hangs(UPSERT, 1, "after")));
    run(&bench, &SYNC);
    run(&bench, &IMPORT);
    bench.settle();
    bench.sandbox.forget_requests();
    run(&bench, &SYNC);
    let asked: Vec<String> = bench.sandbox.requests().into_iter().map(|entry| entry.target).collect();
    assert!(!asked.iter().any(|target| target.contains("/batch/")), "all is accounted for: {asked:#?}");
}

#[test]
fn what_a_killed_sync_sent_is_no_longer_taken_for_what_was_noted() {
    let bench = bench(30);
    bench.import();
    let id = standing(&bench).into_iter().next().unwrap();
    let before = bench.rows(OBJECT)[&id]["values"]["Notes__c"].clone();
    update(&bench, &id, json!({"Notes__c": "on its way"}));
    assert!(killed(&bench, &SYNC, hangs(UPSERT, 1, "after")));
    // The row is again as the state knows it, and HubSpot is not.
    update(&bench, &id, json!({"Notes__c": before}));
    run(&bench, &SYNC);
    agree(&bench);
}

#[test]
fn a_record_that_a_killed_sync_archived_is_made_again_when_its_row_comes_back() {
    let bench = bench(30);
    bench.import();
    let id = standing(&bench).into_iter().next().unwrap();
    delete(&bench, &id);
    assert!(killed(&bench, &SYNC, hangs("/crm/objects/**/batch/archive", 1, "after")));
    bench.salesforce("undelete", json!({"object": OBJECT, "id": id}));
    let reports = run(&bench, &SYNC);
    assert_eq!(report(&reports, "subscriptions")["restored"], 1, "{reports}");
    bench.settle();
    agree(&bench);
}

#[test]
fn an_archive_on_its_way_is_carried_out_though_its_row_was_purged() {
    for when in ["before", "after"] {
        let bench = bench(30);
        bench.import();
        let id = standing(&bench).into_iter().next().unwrap();
        delete(&bench, &id);
        assert!(killed(&bench, &SYNC, hangs("/crm/objects/**/batch/archive", 1, when)));
        bench.salesforce("purge", json!({"object": OBJECT, "id": id}));
        run(&bench, &SYNC);
        assert!(!standing(&bench).contains(&id), "the proof of the delete was seen");
    }
}

#[test]
fn a_link_that_a_killed_sync_took_away_is_made_again_when_its_lookup_comes_back() {
    for when in ["before", "after"] {
        let bench = bench(30);
        bench.import();
        let records = bench.records("subscriptions");
        let associated = records.values().find(|record| record["associations"]["0-2"].is_array()).unwrap();
        let id = associated["properties"]["salesforce_id"].as_str().unwrap();
        let account = bench.rows(OBJECT)[id]["values"]["Account__c"].clone();
        update(&bench, id, json!({"Account__c": null}));
        assert!(killed(&bench, &SYNC, hangs("/crm/associations/**/batch/archive", 1, when)));
        update(&bench, id, json!({"Account__c": account}));
        run(&bench, &SYNC);
        agree(&bench);
    }
}

#[test]
fn a_purged_row_stays_known_as_it_would_without_the_kill() {
    let bench = bench(40);
    assert!(killed(&bench, &IMPORT, hangs(UPSERT, 1, "after")));
    let id = standing(&bench).into_iter().next().unwrap();
    delete(&bench, &id);
    bench.salesforce("purge", json!({"object": OBJECT, "id": id}));
    run(&bench, &SYNC);
    let why = bench.run(&["why", &id]).code(0).stdout;
    assert!(why.contains("is HubSpot record"), "without proof of a delete it is kept, and known: {why}");
}

#[test]
fn the_doubt_of_one_pipeline_outlives_runs_of_another() {
    let bench = bench(40);
    assert!(killed(&bench, &IMPORT, hangs(UPSERT, 1, "after")));
    let made: Vec<String> = standing(&bench).into_iter().collect();
    assert!(!made.is_empty());
    run(&bench, &["import", "--yes", "--format", "json", "work_orders"]);
    run(&bench, &["sync", "--once", "--format", "json", "work_orders"]);
    delete(&bench, &made[0]);
    run(&bench, &SYNC);
    run(&bench, &IMPORT);
    assert!(left_behind(&bench).is_empty(), "{:?}", left_behind(&bench));
    agree(&bench);
}

#[test]
fn a_plan_tells_what_becomes_of_records_in_doubt() {
    let bench = bench(40);
    bench.import();
    let ids: Vec<String> = standing(&bench).into_iter().take(3).collect();
    ids.iter().for_each(|id| update(&bench, id, json!({"Notes__c": "changed"})));
    assert!(killed(&bench, &SYNC, hangs(UPSERT, 1, "after")));
    delete(&bench, &ids[0]);
    let planned = bench.run(&["plan", "--format", "json"]).code(0).json();
    let done = run(&bench, &SYNC);
    for count in ["archived", "updated", "created", "failed"] {
        assert_eq!(report(&planned, "subscriptions")[count], report(&done, "subscriptions")[count], "{count}");
    }
    assert!(left_behind(&bench).is_empty());
}

/// What people do while nothing runs.
fn edits(bench: &Bench, rng: &Rng) {
    let rows: Vec<(String, Value)> = bench.rows(OBJECT).into_iter().collect();
    for _ in 0..5 {
        let (id, row) = &rows[rng.below(rows.len() as u64) as usize];
        let arguments = json!({"object": OBJECT, "id": id});
        let values = |values: Value| json!({"object": OBJECT, "id": id, "values": values});
        let (action, arguments) = match rng.below(6) {
            0 if row["deleted"] == true => ("undelete", arguments),
            1 if row["deleted"] == true => ("purge", arguments),
            0..=2 => ("delete", arguments),
            3 => ("update", values(json!({"Status__c": "Draft"}))),
            4 => ("update", values(json!({"Status__c": "Active"}))),
            _ => ("update", values(json!({"Notes__c": format!("note {}", rng.below(100))}))),
        };
        drop(bench.sandbox.control("salesforce", action, &arguments));
    }
}

/// Kills a run at each of its writes; then people edit, and imports and syncs come in any order. The ordinary test run tells the first
/// story, `tests/proof/kills` both.
fn stories(bench: &Bench, arguments: &[&str], seeds: [u64; 2]) {
    let start = Moment::now(bench);
    let told = if variable("KILLS_EVERY") == Some(1) { 2 } else { 1 };
    seeds.into_iter().take(told).for_each(|seed| story(bench, &start, arguments, seed));
}

fn story(bench: &Bench, start: &Moment, arguments: &[&str], seed: u64) {
    let path = "/crm/objects/**/batch/{upsert,archive}";
    let mut points = 0;
    for number in 1.. {
        for when in ["before", "after"] {
            let rng = Rng::seeded(seed * 1_000 + number * 2 + u64::from(when == "after"));
            start.again(bench);
            if !killed(bench, arguments, hangs(path, number, when)) {
                assert!(points >= 2, "only {points} writes");
                return;
            }
            points += 1;
            for _ in 0..rng.below(3) {
                edits(bench, &rng);
                let next: &[&str] = if rng.below(2) == 0 { &IMPORT } else { &SYNC };
                if rng.below(4) == 0 {
                    killed(bench, next, hangs(path, 1, when));
                } else {
                    run(bench, next);
                }
            }
            edits(bench, &rng);
            for arguments in [&IMPORT[..], &SYNC] {
                run(bench, arguments);
            }
            bench.run(&["failures", "retry"]).code(0);
            bench.settle();
            let mut wrong = disagreements(bench);
            wrong.extend(left_behind(bench).into_iter().map(|id| format!("{id} has left, its record lives")));
            assert!(wrong.is_empty(), "seed {seed}, killed {when} write {number}: {wrong:#?}");
        }
    }
}

#[test]
fn both_sides_agree_after_kills_of_an_import_and_edits_of_any_kind() {
    stories(&bench(110), &IMPORT, [7, 17]);
}

#[test]
fn both_sides_agree_after_kills_of_a_sync_and_edits_of_any_kind() {
    let bench = bench(30);
    bench.import();
    let rng = Rng::seeded(3);
    (0..3).for_each(|_| edits(&bench, &rng));
    stories(&bench, &SYNC, [8, 18]);
}

#[test]
fn both_sides_agree_after_kills_of_a_catch_up_and_edits_of_any_kind() {
    let bench = bench(30);
    bench.import();
    bench.edit("pipelines/subscriptions.yaml", "value: salesforce }", "value: the salesforce org }");
    stories(&bench, &STALE, [9, 19]);
}
