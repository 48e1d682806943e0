//! The process dies or is stopped at the requests of an import and of a sync; the next run goes on, nothing is lost or doubled.
//!
//! The ordinary test run kills at every third request; `tests/proof/kills` at each.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use syncline::sandbox::options::SandboxOptions;
use syncline::sys::rng::Rng;

use crate::support::long::variable;
use crate::support::moment::Moment;
use crate::support::oracle::{agree, picture};
use crate::support::{Bench, FAST, Ran, ended, report};

const IMPORT: [&str; 4] = ["import", "--yes", "--format", "json"];
const SYNC: [&str; 4] = ["sync", "--once", "--format", "json"];
const SUBSCRIPTIONS: &str = "Subscription__c";

/// How often the rule at `index` has struck.
fn struck(bench: &Bench, index: usize) -> u64 {
    bench.sandbox.faults()["rules"][index]["struck"].as_u64().unwrap()
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Runs the program until its request number `number` hangs, and kills it there; false when it ended before.
fn die_at(bench: &Bench, arguments: &[&str], number: u64, when: &str) -> bool {
    bench.faults(json!([{"from": number, "to": number, "fault": "never", "when": when}]));
    let mut child = bench.spawn(arguments);
    let mut ended = false;
    wait_for("the request", || {
        ended = child.try_wait().unwrap().is_some();
        ended || struck(bench, 0) == 1
    });
    // Some deaths come at once, some when the calls beside the hanging one have landed.
    std::thread::sleep(Duration::from_millis(number % 3 * 12));
    child.kill().unwrap();
    child.wait().unwrap();
    bench.sandbox.clear_faults();
    !ended
}

/// Of so many requests, kills come at one; odd, so that they come before and after the effect in turn.
const EVERY: u64 = 3;

/// Kills a run at its requests, before and after the effect, and demands that the run after it ends where the
/// run that never died ended, and that `holds` is true of both systems.
fn die_everywhere(bench: &Bench, arguments: &[&str], holds: &dyn Fn(&Bench)) {
    let repeat = |at: &str| {
        let ran = bench.run(arguments);
        assert!(matches!(ran.code, Some(0 | 3)), "{at}: {ran:?}");
    };
    die_at_each(bench, arguments, &repeat, holds);
}

/// The same, where `repeat` is what a person does after a death.
fn die_at_each(bench: &Bench, arguments: &[&str], repeat: &dyn Fn(&str), holds: &dyn Fn(&Bench)) {
    let start = Moment::now(bench);
    bench.sandbox.forget_requests();
    let ran = bench.run(arguments);
    assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
    let requests = bench.sandbox.requests().len() as u64;
    holds(bench);
    let expected = picture(bench);
    assert!(requests > 15, "only {requests} requests");
    for number in (1..=requests).step_by(variable("KILLS_EVERY").unwrap_or(EVERY) as usize) {
        let when = if number % 2 == 0 { "before" } else { "after" };
        let at = format!("died {when} request {number}");
        start.again(bench);
        // Calls side by side make the number of requests vary by a few.
        let died = die_at(bench, arguments, number, when);
        assert!(died || number + 4 > requests, "request {number} of {requests} never came");
        repeat(&at);
        holds(bench);
        let found = picture(bench);
        assert!(found == expected, "{at}: {}", first_difference(&expected, &found));
    }
}

/// No Salesforce id stands on two live records of an object.
fn nothing_is_doubled(bench: &Bench) {
    for object in ["subscriptions", "work_orders"] {
        let mut ids = BTreeSet::new();
        for record in bench.records(object).values().filter(|record| record["archived"] == false) {
            let id = record["properties"]["salesforce_id"].as_str();
            assert!(id.is_none_or(|id| ids.insert(id.to_owned())), "{object}: {id:?} stands twice");
        }
    }
}

pub(crate) fn first_difference(expected: &Value, found: &Value) -> String {
    for (object, records) in expected.as_object().unwrap() {
        for (id, record) in records.as_object().unwrap() {
            if found[object][id] != *record {
                return format!("{object} {id}: {} instead of {record}", found[object][id]);
            }
        }
    }
    "records that should not be there".to_owned()
}

#[test]
fn an_import_that_is_killed_at_any_request_ends_like_one_that_was_not() {
    let bench = Bench::new(24);
    die_everywhere(&bench, &IMPORT, &agree);
}

/// One change of every kind; needs an imported world.
pub(crate) fn change_everything(bench: &Bench) {
    let failed: Vec<String> =
        bench.failures().iter().filter_map(|failure| failure["salesforce_id"].as_str().map(str::to_owned)).collect();
    let rows = bench.rows(SUBSCRIPTIONS);
    let active: Vec<&String> = rows
        .iter()
        .filter(|(_, row)| row["values"]["Status__c"] == "Active" && row["deleted"] == false)
        .filter(|(id, _)| !failed.contains(id))
        .map(|(id, _)| id)
        .collect();
    let accounts: Vec<String> = bench.rows("Account").into_keys().collect();
    let orders: Vec<String> = bench.rows("WorkOrder").into_keys().collect();
    let update = |id: &str, values: Value| {
        bench.salesforce("update", json!({"object": SUBSCRIPTIONS, "id": id, "values": values}))
    };
    update(active[0], json!({"Status__c": "On Hold", "Notes__c": "changed"}));
    update(active[1], json!({"Account__c": null}));
    update(active[2], json!({"Account__c": accounts[2], "Work_Order__c": orders[0]}));
    update(active[3], json!({"Status__c": "Draft"}));
    bench.salesforce("delete", json!({"object": SUBSCRIPTIONS, "id": active[4]}));
    for name in ["New one", "New two"] {
        let values =
            json!({"Name": name, "Status__c": "Active", "Account__c": accounts[1], "Work_Order__c": orders[1]});
        bench.salesforce("create", json!({"object": SUBSCRIPTIONS, "values": values}));
    }
    bench.salesforce(
        "update",
        json!({"object": "WorkOrder", "id": orders[2], "values": {"Subject": "Another subject"}}),
    );
}

#[test]
fn a_sync_that_is_killed_at_any_request_ends_like_one_that_was_not() {
    let bench = Bench::new(40);
    bench.edit(
        "pipelines/subscriptions.yaml",
        "on_filter_exit: keep",
        "on_filter_exit: archive\nguard: { archive: 20 }",
    );
    bench.import();
    change_everything(&bench);
    die_everywhere(&bench, &SYNC, &agree);
}

/// The sample world under another mode.
fn in_mode(records: usize, mode: &str) -> Bench {
    let bench = Bench::new(records);
    set_mode(&bench, mode);
    bench
}

fn set_mode(bench: &Bench, mode: &str) {
    let match_line = "  match: salesforce_id";
    bench.edit("pipelines/subscriptions.yaml", match_line, &format!("{match_line}\n  mode: {mode}"));
}

/// Ids of subscriptions that are live in HubSpot.
fn live_subscriptions(bench: &Bench) -> BTreeSet<String> {
    let records = bench.records("subscriptions").into_values().filter(|record| record["archived"] == false);
    records.filter_map(|record| record["properties"]["salesforce_id"].as_str().map(str::to_owned)).collect()
}

#[test]
fn create_only_makes_each_record_once_wherever_an_import_is_killed() {
    let bench = in_mode(16, "create_only");
    die_everywhere(&bench, &IMPORT, &agree);
}

#[test]
fn create_only_leaves_what_exists_alone_wherever_a_sync_is_killed() {
    let bench = in_mode(30, "create_only");
    bench.edit("pipelines/subscriptions.yaml", "on_delete: archive", "on_delete: archive\nguard: { archive: 20 }");
    bench.import();
    change_everything(&bench);
    let before = live_subscriptions(&bench);
    die_everywhere(&bench, &SYNC, &nothing_is_doubled);
    let made = live_subscriptions(&bench).difference(&before).count();
    assert_eq!(made, 2, "the new rows, and nothing else");
    let changed =
        bench.records("subscriptions").into_values().filter(|record| record["properties"]["notes"] == "changed");
    assert_eq!(changed.count(), 0, "what exists is not written, not even by the run after a kill");
}

#[test]
fn update_only_makes_no_record_wherever_an_import_or_a_sync_is_killed() {
    let bench = Bench::new(30);
    bench.edit("pipelines/subscriptions.yaml", "on_delete: archive", "on_delete: archive\nguard: { archive: 20 }");
    bench.import();
    // From here on, another state takes over what stands in HubSpot.
    set_mode(&bench, "update_only");
    change_everything(&bench);
    fs::remove_dir_all(bench.path(".syncline")).unwrap();
    let before = live_subscriptions(&bench);
    die_everywhere(&bench, &IMPORT, &nothing_is_doubled);
    assert_eq!(live_subscriptions(&bench), before, "an import makes none, and archives none");
    change_everything(&bench);
    die_everywhere(&bench, &SYNC, &nothing_is_doubled);
    assert!(live_subscriptions(&bench).is_subset(&before), "a sync makes none");
}

const APPLY: [&str; 5] = ["apply", "saved.plan", "--yes", "--format", "json"];
const PLAN: [&str; 3] = ["plan", "--out", "saved.plan"];

#[test]
fn an_apply_that_is_killed_at_any_request_ends_like_one_that_was_not() {
    let bench = Bench::new(30);
    bench.edit("pipelines/subscriptions.yaml", "on_delete: archive", "on_delete: archive\nguard: { archive: 20 }");
    bench.import();
    bench.settle();
    change_everything(&bench);
    bench.run(&PLAN).code(0);
    let plan = fs::read(bench.path("saved.plan")).unwrap();
    let refused = Cell::new(0);
    let repeat = |at: &str| {
        assert!(fs::read(bench.path("saved.plan")).unwrap() == plan, "{at}: the plan's file changed");
        // A plan is held to its digest, whatever was begun under it.
        let edited = String::from_utf8(plan.clone()).unwrap().replacen("update", "create", 1);
        fs::write(bench.path("saved.plan"), edited).unwrap();
        let ran = bench.run(&APPLY).code(1);
        assert!(ran.stderr.contains("its digest does not match"), "{at}: {ran:?}");
        fs::write(bench.path("saved.plan"), &plan).unwrap();
        let before = picture(&bench);
        let ran = bench.run(&APPLY);
        if ran.code == Some(1) {
            // What it had begun is no longer what the plan was made from: nothing is done, and a new plan does the rest.
            assert!(ran.stderr.contains("SL6014") && ran.stderr.contains("nothing was done"), "{at}: {ran:?}");
            assert!(picture(&bench) == before, "{at}: a refused plan wrote");
            refused.set(refused.get() + 1);
            bench.run(&PLAN).code(0);
            let ran = bench.run(&APPLY);
            assert!(matches!(ran.code, Some(0 | 3)), "{at}: {ran:?}");
            fs::write(bench.path("saved.plan"), &plan).unwrap();
        } else {
            assert!(matches!(ran.code, Some(0 | 3)), "{at}: {ran:?}");
        }
    };
    die_at_each(&bench, &APPLY, &repeat, &agree);
    assert!(refused.get() > 0, "some kill came after the first write");
}

#[test]
fn a_plan_that_is_killed_leaves_the_file_that_was_there() {
    let bench = Bench::new(12);
    bench.run(&PLAN).code(0);
    let before = fs::read(bench.path("saved.plan")).unwrap();
    bench.sandbox.forget_requests();
    bench.run(&PLAN).code(0);
    fs::write(bench.path("saved.plan"), &before).unwrap();
    let requests = bench.sandbox.requests().len() as u64;
    for number in (1..=requests.saturating_sub(4)).step_by(variable("KILLS_EVERY").unwrap_or(EVERY) as usize) {
        assert!(die_at(&bench, &PLAN, number, "after"), "request {number} of {requests} never came");
        assert!(fs::read(bench.path("saved.plan")).unwrap() == before, "request {number}");
    }
    let ran = bench.run(&APPLY);
    assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
    agree(&bench);
}

#[test]
fn kills_at_random_times_lose_and_double_nothing() {
    let latency = Duration::from_millis(8);
    let bench = Bench::with(SandboxOptions { records: 600, latency, rate_limit: FAST, ..SandboxOptions::default() });
    let rng = Rng::seeded(11);
    let mut kills = 0;
    for (arguments, changes) in [(IMPORT, false), (SYNC, true)] {
        if changes {
            change_everything(&bench);
        }
        for _ in 0..12 {
            let mut child = bench.spawn(&arguments);
            std::thread::sleep(Duration::from_millis(30 + rng.below(250)));
            kills += u32::from(child.try_wait().unwrap().is_none());
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let ran = bench.run(&arguments);
        assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
        agree(&bench);
    }
    assert!(kills >= 8, "only {kills} of the runs were still alive when they were killed");
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

fn finish(child: Child) -> Ran {
    ended(child.wait_with_output().unwrap())
}

#[test]
fn a_stop_is_clean_and_the_next_run_goes_on() {
    for name in ["INT", "TERM"] {
        let bench = Bench::new(300);
        // The third batch hangs after its effect: what was sent is unknown when the stop comes.
        bench.faults(
            json!([{"path": "/crm/objects/**/batch/upsert", "from": 3, "to": 3, "fault": "never", "when": "after"}]),
        );
        let child = bench.spawn(&IMPORT);
        wait_for("the third batch", || struck(&bench, 0) == 1);
        let asked = Instant::now();
        signal(&child, name);
        let ran = finish(child).code(130);
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
        assert!(ran.stderr.contains("stopping"), "{}", ran.stderr);
        assert_eq!(ran.json()["status"], "interrupted");
        let runs = bench.run(&["runs", "--format", "json"]).code(0).json();
        assert!(runs.to_string().contains(r#""status":"interrupted""#), "{runs}");
        bench.sandbox.clear_faults();
        let reports = bench.import();
        assert!(reports["pipelines"].as_array().unwrap().len() == 2, "{reports}");
        agree(&bench);
    }
}

#[test]
fn a_stop_while_a_sync_waits_for_its_next_cycle_ends_at_once() {
    let bench = Bench::new(20);
    bench.import();
    let child = bench.spawn(&["sync"]);
    let cycles =
        || bench.sandbox.requests().iter().filter(|entry| entry.target.contains("SystemModstamp%20%3E")).count();
    wait_for("two cycles", || cycles() >= 2);
    std::thread::sleep(Duration::from_millis(100));
    signal(&child, "TERM");
    finish(child).code(0);
    agree(&bench);
}

#[test]
fn a_second_stop_ends_what_the_first_one_must_wait_for() {
    let bench = Bench::new(20);
    bench.salesforce("options", json!({"refresh_token": "refresh-0"}));
    let (from, to) = ("client_credentials:", "refresh_token:\n        token: refresh-0");
    bench.edit("syncline.yaml", from, to);
    // The answer may hold the only token that still works, so that the first signal waits for it.
    bench.faults(json!([{"path": "/services/oauth2/token", "fault": "never"}]));
    let mut child = bench.spawn(&IMPORT);
    wait_for("the login", || struck(&bench, 0) == 1);
    signal(&child, "INT");
    std::thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none(), "the first signal waits");
    signal(&child, "INT");
    let asked = Instant::now();
    finish(child).code(130);
    assert!(asked.elapsed() < Duration::from_secs(2));
}

/// One pipeline of few fields and no associations, so that many records cost little.
const LEAN: &str = "version: 1
name: subscriptions
source: { object: Subscription__c }
target: { object: subscriptions, match: salesforce_id }
fields:
  - { from: Name, to: subscription_name }
  - { from: External_Code__c, to: external_code }
on_delete: archive
";

#[test]
fn a_bulk_import_goes_on_at_its_page_and_writes_nothing_twice() {
    let bench = Bench::new(25_000);
    fs::remove_file(bench.path("pipelines/work_orders.yaml")).unwrap();
    bench.write("pipelines/subscriptions.yaml", LEAN);
    let results = || bench.sandbox.requests().iter().filter(|entry| entry.target.contains("/results?")).count();
    // Hangs in the second of three pages, with the first one written and acknowledged.
    bench.faults(json!([{"path": "/crm/objects/**/batch/upsert", "from": 130, "fault": "never", "when": "after"}]));
    let mut child = bench.spawn(&IMPORT);
    wait_for("page two", || struck(&bench, 0) >= 4);
    child.kill().unwrap();
    child.wait().unwrap();
    bench.sandbox.clear_faults();
    assert!(results() >= 2);
    bench.sandbox.forget_requests();
    let reports = bench.import();
    let outcome = report(&reports, "subscriptions");
    assert_eq!(results(), 2, "the first page is not read again, the others once");
    let made = bench
        .sandbox
        .requests()
        .iter()
        .filter(|entry| entry.method == "POST" && entry.target.ends_with("/jobs/query"))
        .count();
    assert_eq!(made, 0, "the job of the first run served");
    let rows = bench.rows(SUBSCRIPTIONS).values().filter(|row| row["deleted"] == false).count();
    let live = bench.records("subscriptions").values().filter(|record| record["archived"] == false).count();
    assert_eq!(live, rows, "{outcome}");
    assert!(outcome["created"].as_u64().unwrap() < 15_000, "what was made before is not made again: {outcome}");
    let jobs = bench.run(&["runs", "--format", "json"]).code(0).json();
    assert_eq!(jobs["runs"].as_array().unwrap().len(), 2, "{jobs}");
    let deleted = bench.sandbox.requests().iter().filter(|entry| entry.method == "DELETE").count();
    assert_eq!(deleted, 1, "the job goes once all is acknowledged");
}

#[test]
fn a_sync_of_many_changes_that_is_killed_loses_nothing() {
    let bench = Bench::new(11_000);
    fs::remove_file(bench.path("pipelines/work_orders.yaml")).unwrap();
    bench.write("pipelines/subscriptions.yaml", LEAN);
    bench.import();
    let stamp = bench.sandbox.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let ids: Vec<String> = bench.rows(SUBSCRIPTIONS).into_keys().collect();
    assert!(ids.len() > 10_400, "more than REST reads by itself");
    for id in &ids {
        let values = json!({"External_Code__c": format!("new {id}")});
        bench.salesforce("stamp", json!({"object": SUBSCRIPTIONS, "id": id, "stamp": stamp, "values": values}));
    }
    let rng = Rng::seeded(5);
    for _ in 0..3 {
        let batch = 5 + rng.below(40);
        bench.faults(json!([{"path": "/crm/objects/**/batch/*", "from": batch, "fault": "never", "when": "after"}]));
        let mut child = bench.spawn(&SYNC);
        wait_for("some batches", || struck(&bench, 0) >= 3);
        child.kill().unwrap();
        child.wait().unwrap();
        bench.sandbox.clear_faults();
    }
    bench.sandbox.forget_requests();
    bench.sync();
    let requests = bench.sandbox.requests();
    let bulk = |method: &str| {
        requests.iter().filter(|entry| entry.method == method && entry.target.contains("/jobs/query")).count()
    };
    assert_eq!(
        (bulk("POST"), bulk("DELETE")),
        (2, 2),
        "a look ahead for `guard` and the read itself, each deleted at its end"
    );
    let failed = bench.failures();
    let records = bench.records("subscriptions");
    let codes: BTreeMap<&str, &str> = records
        .values()
        .filter(|record| record["archived"] == false)
        .filter_map(|record| {
            Some((record["properties"]["salesforce_id"].as_str()?, record["properties"]["external_code"].as_str()?))
        })
        .collect();
    assert_eq!(codes.len() + failed.len(), ids.len());
    for (id, code) in codes {
        assert_eq!(code, format!("new {id}"));
    }
}
