//! The state in PostgreSQL, through the program: everything that runs on a file runs on a server.

use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::oracle::{agree, picture};
use crate::support::postgres::{PASSWORD, Server, shared};
use crate::support::{Bench, Ran, ended, report};

/// Has the project of a bench keep its state in a database.
pub(crate) fn on(bench: &Bench, server: &Server, database: &str, state: &str) {
    bench.edit("syncline.yaml", "sqlite:.syncline/state.db", &server.address(database, state));
}

/// A bench with a database of its own.
fn bench(records: usize) -> (Bench, String) {
    let (bench, database) = (Bench::new(records), shared().database());
    on(&bench, shared(), &database, "of_test");
    (bench, database)
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn end(child: Child) -> Ran {
    ended(child.wait_with_output().unwrap())
}

/// Nothing that a command said has the password.
#[track_caller]
fn is_silent(ran: &Ran) {
    assert!(!ran.stdout.contains(PASSWORD) && !ran.stderr.contains(PASSWORD), "{ran:?}");
}

#[test]
fn a_server_does_what_a_file_does() {
    let (server, database) = bench(60);
    let file = Bench::new(60);
    for one in [&server, &file] {
        let before = one.run(&["status", "--format", "json"]).code(0).json();
        assert_eq!(report(&before, "subscriptions")["last_run"], Value::Null);
        one.run(&["plan"]).code(0);
        one.import();
        one.settle();
        agree(one);
        let row = one.rows("Subscription__c").into_keys().next().unwrap();
        // A value of before the picklist was restricted.
        let values = json!({"Status__c": "No such status"});
        let old = json!({"object": "Subscription__c", "id": row, "stamp": "2030-01-01T00:00:00Z", "values": values});
        one.salesforce("stamp", old);
        one.sync();
    }
    assert_eq!(picture(&server), picture(&file));
    let told = |bench: &Bench, command: &[&str]| bench.run(command).json();
    let failures = |bench: &Bench| {
        let pick =
            |failure: &Value| (failure["salesforce_id"].clone(), failure["code"].clone(), failure["message"].clone());
        bench.failures().iter().map(pick).collect::<Vec<_>>()
    };
    assert_eq!(failures(&server), failures(&file));
    let kinds = |bench: &Bench| {
        let runs = told(bench, &["runs", "--format", "json"]);
        runs["runs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|run| (run["pipeline"].clone(), run["kind"].clone(), run["status"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(kinds(&server), kinds(&file));
    // One record's story.
    let row = server.rows("Subscription__c").into_keys().nth(3).unwrap();
    let why = server.run(&["why", &row, "--format", "json"]).code(0);
    assert!(why.stdout.contains(&row), "{why:?}");
    for command in [&["status"][..], &["failures"], &["doctor"], &["state", "check"], &["config", "--format", "json"]] {
        is_silent(&server.run(command));
    }
    let check = told(&server, &["state", "check", "--format", "json"]);
    assert_eq!((&check["problems"], &check["version"]), (&json!([]), &check["version_known"]), "{check}");
    let text = shared().sql(&database, "SELECT count(*) FROM syncline.identities");
    assert!(text.parse::<u32>().unwrap() > 60, "{text}");
}

#[test]
fn a_process_that_is_killed_leaves_what_the_next_one_goes_on_with_at_once() {
    let (bench, database) = bench(40);
    bench.faults(json!([{"path": "/crm/objects/**/batch/upsert", "from": 2, "fault": "never", "when": "after"}]));
    let mut child = bench.spawn(&["import", "--yes"]);
    wait_for("the second write", || bench.sandbox.faults()["rules"][0]["struck"].as_u64().unwrap() > 0);
    child.kill().unwrap();
    child.wait().unwrap();
    bench.sandbox.clear_faults();
    // Its rights have not ended by themselves yet, and its computer is this one.
    let held = "SELECT count(*) FROM syncline.leases WHERE until > now()";
    assert_ne!(shared().sql(&database, held), "0");
    bench.import();
    bench.settle();
    agree(&bench);
    assert_eq!(shared().sql(&database, held), "0", "rights are given back");
}

#[test]
fn two_processes_do_not_run_one_pipeline() {
    let (bench, _) = bench(30);
    bench.faults(json!([{"path": "/crm/objects/**/batch/upsert", "fault": "never"}]));
    let mut first = bench.spawn(&["import", "--yes", "work_orders"]);
    wait_for("the first write", || bench.sandbox.faults()["rules"][0]["struck"] != 0);
    let second = bench.run(&["sync", "--once", "work_orders"]).code(1);
    let holder = format!("process {} on ", first.id());
    assert!(second.stderr.contains("SL6004") && second.stderr.contains(&holder), "{}", second.stderr);
    bench.run(&["status"]).code(0);
    first.kill().unwrap();
    first.wait().unwrap();
    bench.sandbox.clear_faults();
    bench.import();
    agree(&bench);
}

#[test]
fn a_server_that_crashes_and_comes_back_costs_nothing() {
    let server = Server::start();
    let bench = Bench::new(600);
    on(&bench, &server, "postgres", "of_test");
    let child = bench.spawn(&["import", "--yes", "--format", "json"]);
    for round in 1..4 {
        wait_for("some records", || bench.records("subscriptions").len() > 100 * round);
        server.control(&["-m", "immediate", "stop"]);
        std::thread::sleep(Duration::from_millis(300));
        server.control(&["start"]);
    }
    let ran = end(child);
    assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
    bench.settle();
    agree(&bench);
    let check = bench.run(&["state", "check", "--format", "json"]).code(0).json();
    assert_eq!(check["problems"], json!([]));
    // Away for good: each command says so, and nothing waits for long.
    server.control(&["-m", "fast", "stop"]);
    let began = Instant::now();
    for command in [&["status"][..], &["sync", "--once"], &["state", "check"]] {
        let ran = bench.run(command).code(1);
        assert!(ran.stderr.contains("SL6005") && ran.stderr.contains("is the server up"), "{command:?}: {ran:?}");
        is_silent(&ran);
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn a_server_that_goes_away_in_the_middle_is_told_and_nothing_is_lost() {
    let server = Server::start();
    let bench = Bench::new(600);
    on(&bench, &server, "postgres", "of_test");
    let child = bench.spawn(&["import", "--yes"]);
    wait_for("some records", || bench.records("subscriptions").len() > 100);
    server.control(&["-m", "fast", "stop"]);
    let ran = end(child);
    assert!(ran.code == Some(1) && ran.stderr.contains("is the server up"), "{ran:?}");
    assert!(!ran.stderr.contains("panicked"), "{ran:?}");
    is_silent(&ran);
    server.control(&["start"]);
    bench.import();
    bench.settle();
    agree(&bench);
    assert_eq!(bench.run(&["state", "check", "--format", "json"]).code(0).json()["problems"], json!([]));
}

#[test]
fn what_is_wrong_with_an_address_is_said_without_its_password() {
    let (bench, database) = bench(5);
    let right = shared().address(&database, "of_test");
    let said = |address: &str, code: &str, words: &str| {
        bench.edit("syncline.yaml", &right, address);
        for command in [&["status"][..], &["import", "--yes"]] {
            let ran = bench.run(command).code(1);
            assert!(ran.stderr.contains(code) && ran.stderr.contains(words), "{command:?}: {ran:?}");
            assert!(!ran.stderr.contains("wr0ng-password"), "{ran:?}");
            is_silent(&ran);
        }
        bench.edit("syncline.yaml", address, &right);
    };
    said(&right.replace(PASSWORD, "wr0ng-password"), "SL6005", "look at the user and the password");
    said(&right.replace(&database, "nowhere"), "SL6005", "create the database");
    said(&right.replace("127.0.0.1:", "127.0.0.1:1"), "SL", "state");
    said(&format!("{right}&sslmode=require"), "SL6005", "TLS");
    // A role that may do nothing, and one that may only look.
    let sql = |text: &str| shared().sql(&database, text);
    sql("CREATE ROLE weak LOGIN PASSWORD 'weak-password-1'");
    let weak = right.replace(&format!("postgres:{PASSWORD}"), "weak:weak-password-1");
    bench.edit("syncline.yaml", &right, &weak);
    let ran = bench.run(&["import", "--yes"]).code(1);
    assert!(ran.stderr.contains("docs/deploy/postgres.md") && !ran.stderr.contains("weak-password-1"), "{ran:?}");
    bench.edit("syncline.yaml", &weak, &right);
    bench.import();
    sql("GRANT USAGE ON SCHEMA syncline TO weak; GRANT SELECT ON ALL TABLES IN SCHEMA syncline TO weak");
    bench.edit("syncline.yaml", &right, &weak);
    bench.run(&["status"]).code(0);
    bench.run(&["failures"]).code(0);
    let ran = bench.run(&["sync", "--once"]).code(1);
    assert!(ran.stderr.contains("docs/deploy/postgres.md"), "{ran:?}");
    bench.edit("syncline.yaml", &weak, &right);
    // As a replica says no.
    sql(&format!("ALTER DATABASE {database} SET default_transaction_read_only = on"));
    bench.run(&["status"]).code(0);
    sql(&format!("BEGIN READ WRITE; ALTER DATABASE {database} RESET default_transaction_read_only; COMMIT"));
    // Tables of a later program.
    sql("UPDATE syncline.version SET version = 99");
    for command in [&["status"][..], &["sync", "--once"], &["state", "check"]] {
        let ran = bench.run(command).code(1);
        assert!(ran.stderr.contains("SL6002") && ran.stderr.contains("99"), "{command:?}: {ran:?}");
    }
}

#[test]
fn an_address_may_come_from_secrets_and_each_target_has_a_state() {
    let (bench, database) = bench(5);
    let right = shared().address(&database, "of_test");
    let url = right.replace(PASSWORD, "${secret:PG_PASSWORD}");
    bench.edit("syncline.yaml", &right, &url);
    bench.edit("syncline.yaml", "pipelines: pipelines", "pipelines: pipelines\ntargets:\n  prod: {}\n");
    let ran = bench.run(&["status"]).code(1);
    assert!(ran.stderr.contains("PG_PASSWORD"), "{ran:?}");
    let with = |arguments: &[&str]| {
        let ran = ended(bench.command(arguments).env("PG_PASSWORD", PASSWORD).output().unwrap());
        is_silent(&ran);
        ran
    };
    with(&["validate"]).code(0);
    with(&["import", "--yes"]).code(0);
    with(&["sync", "--once", "--target", "prod"]);
    let states = shared().sql(&database, "SELECT string_agg(name, ',' ORDER BY name) FROM syncline.states");
    assert_eq!(states, "of_test,of_test/prod");
}

#[test]
fn a_state_is_cared_for_in_a_database_too() {
    let (bench, database) = bench(12);
    let ran = bench.run(&["state", "check"]).code(1);
    assert!(ran.stderr.contains("SL6006"), "{ran:?}");
    bench.import();
    let ran = bench.run(&["state", "backup", "copy.db"]).code(1);
    assert!(ran.stderr.contains("pg_dump"), "{ran:?}");
    let forgotten = bench.run(&["state", "forget", "work_orders", "--yes", "--format", "json"]).code(0).json();
    assert!(forgotten["forgotten"]["records"].as_u64().unwrap() > 0, "{forgotten}");
    let left = "SELECT count(*) FROM syncline.identities i JOIN syncline.pipelines p ON p.id = i.pipeline WHERE p.name = 'work_orders'";
    assert_eq!(shared().sql(&database, left), "0");
    bench.run(&["state", "check"]).code(0);
    shared().sql(&database, "UPDATE syncline.standings SET records = records + 1");
    let ran = bench.run(&["state", "check"]).code(1);
    assert!(ran.stdout.contains("another number of records"), "{ran:?}");
}

#[test]
fn a_standby_is_looked_at_and_never_written_to() {
    let primary = Server::start();
    let bench = Bench::new(20);
    on(&bench, &primary, "postgres", "of_test");
    bench.import();
    let standby = primary.standby();
    bench.edit("syncline.yaml", &primary.address("postgres", "of_test"), &standby.address("postgres", "of_test"));
    for command in [&["status"][..], &["runs"], &["failures"], &["plan"], &["state", "check"]] {
        bench.run(command).code(0);
    }
    let held = picture(&bench);
    for command in [&["sync", "--once"][..], &["import", "--yes"], &["state", "forget", "subscriptions", "--yes"]] {
        let ran = bench.run(command).code(1);
        assert!(ran.stderr.contains("SL6005") && ran.stderr.contains("name the primary"), "{command:?}: {ran:?}");
        is_silent(&ran);
    }
    assert_eq!(picture(&bench), held);
}

#[test]
fn a_server_whose_disk_is_full_costs_nothing() {
    let Some(server) = Server::with_small_folder("24m") else {
        crate::support::long::tell("skipped: this user may not mount a small file system");
        return;
    };
    let bench = Bench::new(20);
    server.sql("postgres", &format!("CREATE TABLESPACE small LOCATION '{}/small'", server.folder()));
    server.sql("postgres", "CREATE DATABASE tight TABLESPACE small");
    on(&bench, &server, "tight", "of_test");
    bench.import();
    // A part that is undone keeps its pages.
    server.sql(
        "tight",
        "CREATE TABLE filler (text text); ALTER TABLE filler ALTER text SET STORAGE PLAIN;
         DO $$ BEGIN LOOP INSERT INTO filler SELECT repeat('x', 3900) FROM generate_series(1, 20); END LOOP;
         EXCEPTION WHEN disk_full THEN NULL; END $$",
    );
    for number in 0..400 {
        let values = json!({"Name": format!("More {number}"), "Status__c": "Active"});
        bench.salesforce("create", json!({"object": "Subscription__c", "values": values}));
    }
    let ran = bench.run(&["sync", "--once"]).code(1);
    assert!(ran.stderr.contains("SL6005") && ran.stderr.contains("the server's disk is full"), "{ran:?}");
    is_silent(&ran);
    bench.run(&["status"]).code(0);
    server.sql("tight", "DROP TABLE filler");
    bench.settle();
    agree(&bench);
    bench.run(&["state", "check"]).code(0);
}
