//! A state that moves from a file to a database and back, or to another file.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use crate::support::Bench;
use crate::support::oracle::{agree, picture};

/// The sample world with all that a state can hold: associations carried out and waiting, failures, a retired record, an alert on its way.
fn full() -> Bench {
    let bench = Bench::new(60);
    bench.edit(
        "syncline.yaml",
        "pipelines: pipelines",
        "pipelines: pipelines\nalerts:\n  - { type: webhook, url: \"http://127.0.0.1:9/\", secret: s3cret-of-alerts }",
    );
    bench.import();
    bench.settle();
    let rows: Vec<String> = bench.rows("Subscription__c").into_keys().collect();
    let values = json!({"Status__c": "No such status"});
    bench.salesforce(
        "stamp",
        json!({"object": "Subscription__c", "id": rows[0], "stamp": "2030-01-01T00:00:00Z", "values": values}),
    );
    bench.salesforce("delete", json!({"object": "Subscription__c", "id": rows[1]}));
    bench.sync();
    bench
}

/// What the commands tell of the state.
fn told(bench: &Bench) -> Vec<Value> {
    let commands: [&[&str]; 4] = [&["runs"], &["failures", "list"], &["status"], &["plan", "--refresh"]];
    let tell = |command: &&[&str]| {
        let mut told = bench.run(&[*command, &["--format", "json"]].concat()).json();
        forget_times(&mut told);
        told
    };
    commands.iter().map(tell).collect()
}

/// What differs between two looks at one state: how long ago something was, what is tried again by then, and where the state is.
fn forget_times(value: &mut Value) {
    match value {
        Value::Object(entries) => {
            entries.retain(|key, _| {
                ![
                    "lag_seconds",
                    "path",
                    "calls",
                    "checked_at",
                    "run",
                    "generated_at",
                    "seconds",
                    "estimate",
                    "hubspot_calls",
                ]
                .contains(&key.as_str())
            });
            entries.values_mut().for_each(forget_times);
        }
        Value::Array(values) => values.iter_mut().for_each(forget_times),
        _ => {}
    }
}

fn tables(report: &Value) -> BTreeMap<String, (u64, String)> {
    let table = |table: &Value| {
        let rows = (table["rows"].as_u64().unwrap(), table["hash"].as_str().unwrap().to_owned());
        (table["table"].as_str().unwrap().to_owned(), rows)
    };
    report["copied"]["tables"].as_array().unwrap().iter().map(table).collect()
}

fn copy(bench: &Bench, from: &str, to: &str) -> Value {
    bench.run(&["state", "copy", from, to, "--format", "json"]).code(0).json()
}

#[test]
fn a_copy_is_the_state_in_another_file() {
    let bench = full();
    let before = told(&bench);
    let first = copy(&bench, ".syncline/state.db", "copy/other.db");
    let rows = tables(&first);
    for table in ["pipelines", "identities", "lookups", "owned_types", "runs", "run_origins", "failures", "notes"] {
        assert!(rows[table].0 > 0, "{table}: {rows:#?}");
    }
    assert_eq!((rows.len(), &first["copied"]["resumed"]), (16, &json!(false)));
    bench.edit("syncline.yaml", "sqlite:.syncline/state.db", "sqlite:copy/other.db");
    fs::rename(bench.path(".syncline/state.db"), bench.path("away.db")).unwrap();
    assert_eq!(told(&bench), before);
    bench.run(&["state", "check"]).code(0);
    let held = picture(&bench);
    bench.sync();
    assert_eq!(picture(&bench), held);
    // What is taken stays as it is, and a state is no copy of itself.
    let taken = bench.run(&["state", "copy", "away.db", "copy/other.db"]).code(1);
    assert!(taken.stderr.contains("SL6015") && taken.stderr.contains("holds a state already"), "{taken:?}");
    let itself = bench.run(&["state", "copy", "away.db", "sqlite:away.db"]).code(1);
    assert!(itself.stderr.contains("both the state and the place"), "{itself:?}");
    let none = bench.run(&["state", "copy", "none.db", "more.db"]).code(1);
    assert!(none.stderr.contains("SL6006") && !bench.path("none.db").exists(), "{none:?}");
    assert!(!bench.path("more.db").exists());
    agree(&bench);
}

#[cfg(feature = "postgres")]
mod database {
    use std::process::Stdio;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::postgres::on;
    use crate::support::ended;
    use crate::support::postgres::{PASSWORD, shared};

    #[test]
    fn a_state_moves_to_a_database_and_back() {
        let (bench, database) = (full(), shared().database());
        let before = told(&bench);
        let address = shared().address(&database, "moved");
        let there = copy(&bench, ".syncline/state.db", &address);
        assert!(!there.to_string().contains(PASSWORD), "{there}");
        on(&bench, shared(), &database, "moved");
        assert_eq!(told(&bench), before);
        bench.run(&["state", "check"]).code(0);
        let held = picture(&bench);
        bench.sync();
        assert_eq!(picture(&bench), held);
        // What was done there comes back with it.
        let row = bench.rows("Subscription__c").into_keys().nth(3).unwrap();
        bench
            .salesforce("update", json!({"object": "Subscription__c", "id": row, "values": {"Name": "Renamed there"}}));
        bench.sync();
        let before = told(&bench);
        let back = copy(&bench, &address, "back.db");
        bench.edit("syncline.yaml", &address, "sqlite:back.db");
        assert_eq!(told(&bench), before);
        bench.run(&["state", "check"]).code(0);
        // And again, to see that nothing of it depends on the way.
        let again = copy(&bench, "back.db", &shared().address(&database, "again"));
        assert_eq!(tables(&again), tables(&back));
        bench.run(&["reconcile"]);
        agree(&bench);
    }

    #[test]
    fn what_is_to_be_looked_at_once_more_is_in_doubt_in_a_copy() {
        let (bench, database) = (full(), shared().database());
        let address = shared().address(&database, "taken_over");
        let there = copy(&bench, ".syncline/state.db", &address);
        assert_eq!(tables(&there)["unconfirmed"].0, 0);
        shared().sql(
            &database,
            "INSERT INTO syncline.second_looks (state_id, pipeline, id, match_property, intent, at)
             SELECT state_id, pipeline, id, 'salesforce_id', 'write', now() + interval '1 hour' FROM syncline.identities
             WHERE membership = 'live' ORDER BY id LIMIT 2",
        );
        // The longest call may not have ended yet.
        let early = bench.run(&["state", "copy", &address, "back.db"]).code(1);
        assert!(early.stderr.contains("looked at once more in 3"), "{early:?}");
        shared().sql(&database, "UPDATE syncline.second_looks SET at = now()");
        let back = copy(&bench, &address, "back.db");
        assert_eq!(tables(&back)["unconfirmed"].0, 2);
        bench.edit("syncline.yaml", "sqlite:.syncline/state.db", "sqlite:back.db");
        bench.sync();
        assert_eq!(tables(&copy(&bench, "back.db", "after.db"))["unconfirmed"].0, 0);
        agree(&bench);
    }

    #[test]
    fn a_copy_that_is_killed_is_gone_on_with_and_is_no_state_until_then() {
        let (bench, database) = (full(), shared().database());
        let address = shared().address(&database, "broken");
        // The tables are there, and one of them is closed for writing.
        bench.run(&["state", "copy", ".syncline/state.db", &shared().address(&database, "first")]).code(0);
        let lock = "BEGIN; LOCK TABLE syncline.runs IN SHARE MODE; SELECT pg_sleep(60)";
        let mut closed = shared().session(&database, lock);
        let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'syncline.runs'::regclass";
        let mut copying = bench
            .command(&["state", "copy", ".syncline/state.db", &address])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let end = Instant::now() + Duration::from_secs(30);
        while shared().sql(&database, waits) == "0" {
            assert!(Instant::now() < end, "the copy never came to the runs");
            std::thread::sleep(Duration::from_millis(20));
        }
        copying.kill().unwrap();
        copying.wait().unwrap();
        shared().sql(&database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()");
        closed.wait().unwrap();
        on(&bench, shared(), &database, "broken");
        let refused = bench.run(&["sync", "--once"]);
        assert!(refused.stderr.contains("SL6003") && refused.stderr.contains("unfinished copy"), "{refused:?}");
        let other = bench.run(&["state", "copy", "nowhere.db", &address]).code(1);
        assert!(other.stderr.contains("SL6006"), "{other:?}");
        let gone_on = ended(
            bench.command(&["state", "copy", ".syncline/state.db", &address, "--format", "json"]).output().unwrap(),
        );
        let report = gone_on.code(0).json();
        assert_eq!(report["copied"]["resumed"], json!(true));
        assert_eq!(tables(&report), tables(&copy(&bench, &address, "compare.db")));
        bench.sync();
        agree(&bench);
    }

    #[test]
    fn nobody_runs_a_pipeline_whose_state_is_being_copied() {
        let (bench, database) = (full(), shared().database());
        let address = shared().address(&database, "held");
        copy(&bench, ".syncline/state.db", &address);
        on(&bench, shared(), &database, "held");
        // A process that runs a pipeline keeps the copy from beginning.
        shared().sql(&database, "UPDATE syncline.leases SET until = now() + interval '1 minute', holder = 'process 7', process = 'elsewhere'");
        let refused = bench.run(&["state", "copy", &address, "other.db"]).code(1);
        assert!(refused.stderr.contains("SL6004") && refused.stderr.contains("process 7"), "{refused:?}");
    }
}
