//! A state that is held, damaged, foreign, newer, in the wrong place or without room: each is said clearly, nothing is
//! replaced in silence, and what was written to HubSpot is known again afterwards.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::json;

use crate::support::moment::Moment;
use crate::support::oracle::{agree, picture};
use crate::support::{Bench, Ran, ended, report};

const STATE: &str = ".syncline/state.db";
const SYNC: [&str; 4] = ["sync", "--once", "--format", "json"];
const IMPORT: [&str; 4] = ["import", "--yes", "--format", "json"];

fn writes(bench: &Bench) -> usize {
    bench
        .sandbox
        .requests()
        .iter()
        .filter(|entry| entry.service == "hubspot" && entry.target.contains("/batch/upsert"))
        .count()
}

#[test]
fn a_second_process_names_the_first_and_a_dead_one_holds_nothing() {
    let bench = Bench::new(30);
    bench.faults(json!([{"path": "/crm/objects/**/batch/upsert", "fault": "never"}]));
    let of_one = |command: &[&'static str]| [command, &["work_orders"]].concat();
    let mut first = bench.spawn(&of_one(&IMPORT));
    let end = Instant::now() + Duration::from_secs(20);
    // What strikes a call and what notes that it came are two things.
    while bench.sandbox.faults()["rules"][0]["struck"] == 0 || writes(&bench) == 0 {
        assert!(Instant::now() < end, "the first process never wrote");
        std::thread::sleep(Duration::from_millis(2));
    }
    let writes_before = writes(&bench);
    for command in [&IMPORT[..], &SYNC] {
        let ran = bench.run(&of_one(command)).code(1);
        let holder = format!("process {} (`syncline import`", first.id());
        assert!(ran.stderr.contains("SL6004") && ran.stderr.contains(&holder), "{}", ran.stderr);
    }
    assert_eq!(writes(&bench), writes_before, "the second process wrote nothing");
    // Looking is allowed all the time.
    bench.run(&["status"]).code(0);
    first.kill().unwrap();
    first.wait().unwrap();
    bench.sandbox.clear_faults();
    bench.import();
    agree(&bench);
}

#[test]
fn two_processes_that_start_on_nothing_make_one_state() {
    let bench = Bench::new(20);
    let children: Vec<_> = (0..4).map(|_| bench.spawn(&IMPORT)).collect();
    let ran: Vec<Ran> = children.into_iter().map(|child| ended(child.wait_with_output().unwrap())).collect();
    for name in ["subscriptions", "work_orders"] {
        let went_through =
            |ran: &Ran| ["succeeded", "partial"].contains(&report(&ran.json(), name)["status"].as_str().unwrap());
        assert!(ran.iter().any(went_through), "{name}: {ran:?}");
    }
    for ran in &ran {
        assert!(matches!(ran.code, Some(0 | 3)) || ran.stderr.contains("SL6004"), "{ran:?}");
    }
    bench.import();
    agree(&bench);
    let left: Vec<_> =
        fs::read_dir(bench.path(".syncline")).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().ends_with(".new")), "{left:?}");
}

/// A state that was spoiled by `spoil`: each command refuses with `code`, and leaves file and HubSpot as they are.
fn refused(bench: &Bench, good: &Moment, name: &str, code: &str, spoil: impl FnOnce(&Bench)) {
    good.again(bench);
    for rest in ["-wal", "-shm"] {
        let _ = fs::remove_file(bench.path(&format!("{STATE}{rest}")));
    }
    spoil(bench);
    let before = fs::read(bench.path(STATE)).ok();
    bench.sandbox.forget_requests();
    for command in [&SYNC[..], &IMPORT, &["plan"], &["status"], &["failures"]] {
        let reads = !matches!(command[0], "sync" | "import");
        if reads && before.is_none() && !bench.path(STATE).exists() {
            continue; // What only looks takes a missing state for an empty one.
        }
        let ran = bench.run(command);
        assert_eq!(ran.code, Some(1), "{name}, {command:?}: {ran:?}");
        assert!(ran.stderr.contains(&format!("error[{code}]")), "{name}, {command:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("state.db") && ran.stderr.contains("help:"), "{name}: {}", ran.stderr);
    }
    assert_eq!(writes(bench), 0, "{name}");
    assert!(fs::read(bench.path(STATE)).ok() == before, "{name}: the file was changed");
}

#[test]
fn a_spoiled_state_is_refused_and_never_replaced() {
    let bench = Bench::new(30);
    bench.import();
    // The state lies in one file once its log is folded in.
    Connection::open(bench.path(STATE)).unwrap().execute_batch("PRAGMA wal_checkpoint(TRUNCATE);").unwrap();
    let good = Moment::now(&bench);
    let whole = fs::read(bench.path(STATE)).unwrap();
    assert!(whole.len() > 20_000);
    let put = |bytes: Vec<u8>| move |bench: &Bench| fs::write(bench.path(STATE), bytes).unwrap();
    refused(&bench, &good, "no bytes", "SL6001", put(Vec::new()));
    refused(&bench, &good, "one byte", "SL6001", put(vec![b'S']));
    refused(&bench, &good, "its first hundred bytes", "SL6001", put(whole[..100].to_vec()));
    refused(&bench, &good, "half of it", "SL6001", put(whole[..whole.len() / 2].to_vec()));
    refused(&bench, &good, "text", "SL6001", put("not a database at all\n".repeat(500).into_bytes()));
    let holes = whole.iter().enumerate().map(|(at, byte)| if at < 4096 { *byte } else { 0xa5 }).collect();
    refused(&bench, &good, "all but its first page overwritten", "SL6001", put(holes));
    refused(&bench, &good, "another program's", "SL6001", |bench| {
        fs::remove_file(bench.path(STATE)).unwrap();
        Connection::open(bench.path(STATE)).unwrap().execute_batch("CREATE TABLE notes (text);").unwrap();
    });
    refused(&bench, &good, "a newer version", "SL6002", |bench| {
        Connection::open(bench.path(STATE))
            .unwrap()
            .execute_batch("PRAGMA user_version = 99; PRAGMA wal_checkpoint(TRUNCATE);")
            .unwrap();
    });
    refused(&bench, &good, "a folder in its place", "SL6005", |bench| {
        fs::remove_file(bench.path(STATE)).unwrap();
        fs::create_dir(bench.path(STATE)).unwrap();
    });
    refused(&bench, &good, "taken away from its log", "SL6001", |bench| {
        fs::remove_file(bench.path(STATE)).unwrap();
        fs::write(bench.path(&format!("{STATE}-wal")), "what was not folded in").unwrap();
    });
    good.again(&bench);
    bench.sync();
    agree(&bench);
}

#[test]
fn a_place_where_no_state_can_lie_is_refused_before_anything_is_written() {
    let bench = Bench::new(20);
    bench.write("taken", "a file where a folder should be");
    for place in ["/proc/syncline/state.db", "taken/state.db"] {
        let before = fs::read_to_string(bench.path("syncline.yaml")).unwrap();
        bench.edit("syncline.yaml", "sqlite:.syncline/state.db", &format!("sqlite:{place}"));
        let ran = bench.run(&IMPORT).code(1);
        assert!(ran.stderr.contains("SL6005") && ran.stderr.contains(place), "{}", ran.stderr);
        bench.write("syncline.yaml", &before);
    }
    assert_eq!(writes(&bench), 0);
    assert_eq!(fs::read_to_string(bench.path("taken")).unwrap(), "a file where a folder should be");
}

#[test]
fn a_state_of_another_portal_is_refused() {
    let bench = Bench::new(20);
    bench.edit("syncline.yaml", "    portal_id: 51234567\n", "");
    bench.import();
    for (id, row) in bench.rows("Subscription__c") {
        let name = format!("{} again", row["values"]["Name"].as_str().unwrap_or_default());
        bench.salesforce("update", json!({"object": "Subscription__c", "id": id, "values": {"Name": name}}));
    }
    let other = json!({"portalId": 777, "accountType": "STANDARD", "timeZone": "UTC", "companyCurrency": "EUR", "uiDomain": "app.hubspot.com"});
    bench.faults(json!([{"path": "/account-info/**", "status": 200, "body": other}]));
    bench.sandbox.forget_requests();
    for command in [&SYNC[..], &IMPORT] {
        let ran = bench.run(command).code(1);
        assert!(ran.stderr.contains("SL6003") && ran.stderr.contains("portal 777"), "{}", ran.stderr);
    }
    assert_eq!(writes(&bench), 0);
    bench.sandbox.clear_faults();
    bench.sync();
    agree(&bench);
}

#[test]
fn a_state_of_another_org_is_refused() {
    let bench = Bench::new(20);
    bench.import();
    let token = |bench: &Bench, org: &str| {
        let id = format!("https://test.salesforce.com/id/{org}/0055g00000AbCdEAAV");
        json!([{"path": "/services/oauth2/token", "status": 200,
            "body": {"access_token": "copied", "instance_url": bench.sandbox.salesforce_url, "id": id}},
            {"path": "/services/data/*/sobjects/*/describe", "status": 200,
            "body": {"name": "WorkOrder", "queryable": true, "fields": []}}])
    };
    bench.faults(token(&bench, "00D5g00000COPYxEAO"));
    bench.sandbox.forget_requests();
    for command in [&SYNC[..], &IMPORT] {
        let ran = bench.run(command).code(1);
        let parts = ["SL6003", "org 00D5g000004XYZk", "org 00D5g00000COPYx"];
        assert!(parts.iter().all(|part| ran.stderr.contains(part)), "{}", ran.stderr);
    }
    assert_eq!(writes(&bench), 0);
    bench.sandbox.clear_faults();
    bench.sync();
    agree(&bench);
}

/// Runs the program where no file may grow beyond so many blocks of 512 bytes.
fn on_a_full_disk(bench: &Bench, blocks: u32, arguments: &[&str]) -> Ran {
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_syncline")]).args(arguments);
    command.current_dir(bench.path("")).env("NO_COLOR", "1").stdin(Stdio::null());
    ended(command.output().unwrap())
}

#[test]
fn a_full_disk_ends_the_run_and_nothing_is_doubled_afterwards() {
    let bench = Bench::new(60);
    let start = Moment::now(&bench);
    bench.import();
    let expected = picture(&bench);
    let (mut full, mut wrote) = (0, 0);
    for blocks in [0, 1, 60, 130, 200, 260, 330, 400, 600, 900] {
        start.again(&bench);
        bench.sandbox.forget_requests();
        let ran = on_a_full_disk(&bench, blocks, &IMPORT);
        if ran.code == Some(1) {
            full += 1;
            wrote += u32::from(writes(&bench) > 0);
            assert!(ran.stderr.contains("SL6005") || ran.stderr.contains("SL6001"), "{blocks}: {ran:?}");
        } else {
            assert!(matches!(ran.code, Some(0 | 3)), "{blocks}: {ran:?}");
        }
        let reports = bench.import();
        agree(&bench);
        assert!(picture(&bench) == expected, "{blocks}: {reports}");
    }
    assert!(full >= 4 && wrote >= 2, "{full} runs met the full disk, {wrote} of them after a write");
}

#[test]
fn a_state_that_is_made_without_room_is_whole_or_absent() {
    let bench = Bench::new(4);
    let start = Moment::now(&bench);
    let mut refused = 0;
    for blocks in (0..160).step_by(8) {
        start.again(&bench);
        refused += u32::from(on_a_full_disk(&bench, blocks, &SYNC).code == Some(1));
        if let Ok(left) = fs::metadata(bench.path(STATE)) {
            let tables = Connection::open(bench.path(STATE)).unwrap();
            let tables: u32 = tables.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
            assert!(tables > 10, "{blocks}: {} bytes with {tables} tables", left.len());
        }
        let ran = bench.run(&SYNC);
        assert!(matches!(ran.code, Some(0 | 3)), "{blocks}: with room again: {ran:?}");
    }
    assert!(refused > 4, "only {refused} met the full disk");
}

#[test]
fn a_full_disk_in_the_middle_of_a_sync_loses_nothing() {
    let bench = Bench::new(400);
    bench.import();
    Connection::open(bench.path(STATE)).unwrap().execute_batch("PRAGMA wal_checkpoint(TRUNCATE);").unwrap();
    for id in bench.rows("Subscription__c").into_keys() {
        let values = json!({"Notes__c": format!("changed {id}")});
        bench.salesforce("update", json!({"object": "Subscription__c", "id": id, "values": values}));
    }
    bench.sandbox.forget_requests();
    // Room for the file as it is, and for little more in its log.
    let ran = on_a_full_disk(&bench, 96, &SYNC);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("SL6005"), "{}", ran.stderr);
    bench.sync();
    agree(&bench);
}

#[test]
fn a_computer_that_slept_for_days_goes_on() {
    let bench = Bench::new(40);
    bench.import();
    let day = Duration::from_hours(24);
    let ids: Vec<String> = bench.rows("Subscription__c").into_keys().collect();
    for (index, days) in [2, 1, 20].into_iter().enumerate() {
        let values = json!({"Notes__c": format!("before it slept {index}")});
        bench.salesforce("update", json!({"object": "Subscription__c", "id": ids[index], "values": values}));
        bench.sandbox.advance(day * days);
        let values = json!({"Name": format!("Made meanwhile {index}"), "Status__c": "Active"});
        bench.salesforce("create", json!({"object": "Subscription__c", "values": values}));
        let outcome = report(&bench.sync(), "subscriptions").clone();
        assert_eq!(outcome["created"], 1, "{outcome}");
        agree(&bench);
    }
}

#[test]
fn what_is_no_file_is_refused_and_keeps_nobody_waiting() {
    let bench = Bench::new(2);
    let folder = bench.path(".syncline");
    fs::create_dir_all(&folder).unwrap();
    let made = Command::new("mkfifo").arg(bench.path(STATE)).status().unwrap();
    assert!(made.success());
    for command in [&SYNC[..], &IMPORT, &["plan"], &["status"], &["runs"], &["failures"]] {
        let ran = bench.run(command).code(1);
        assert!(
            ran.stderr.contains("SL6005") && ran.stderr.contains("not an ordinary file"),
            "{command:?}: {}",
            ran.stderr
        );
    }
    bench.edit("syncline.yaml", "state:", "# state:");
    bench.write(
        "syncline.yaml",
        &(fs::read_to_string(bench.path("syncline.yaml")).unwrap() + "state: sqlite:/dev/zero\n"),
    );
    let ran = bench.run(&["status"]).code(1);
    assert!(ran.stderr.contains("SL6005") && ran.stderr.contains("not an ordinary file"), "{}", ran.stderr);
}

#[test]
fn a_state_that_may_only_be_read_can_be_looked_at() {
    let bench = Bench::new(5);
    bench.import();
    let as_other = |command: &[&str]| {
        let mut process = Command::new("setpriv");
        process.args(["--reuid=65534", "--regid=65534", "--clear-groups", env!("CARGO_BIN_EXE_syncline")]);
        process.args(command).current_dir(bench.path(".")).env("NO_COLOR", "1").stdin(Stdio::null());
        process.output().map(ended)
    };
    let chmod = |mode: &str, path: &str| {
        assert!(Command::new("chmod").args([mode, bench.path(path).to_str().unwrap()]).status().unwrap().success());
    };
    for (mode, path) in [("755", "."), ("555", ".syncline"), ("444", STATE)] {
        chmod(mode, path);
    }
    // The superuser may write everywhere, so another user looks; anybody else is bound by the mode.
    let superuser = as_other(&["--version"]).is_ok_and(|ran| ran.code == Some(0));
    let run = |command: &[&str]| if superuser { as_other(command).unwrap() } else { bench.run(command) };
    for command in [&["status"][..], &["runs"], &["failures"], &["why", "a015g000000B000AAC"], &["plan"]] {
        let ran = run(command).code(0);
        assert!(!ran.stderr.contains("SL6005"), "{command:?}: {ran:?}");
    }
    let shown = run(&["status"]).code(0).stdout;
    assert!(shown.contains("import"), "what was remembered is shown: {shown}");
    let ran = run(&["sync", "--once"]).code(1);
    assert!(ran.stderr.contains("SL6005"), "{}", ran.stderr);
    // So that the folder can be taken away.
    chmod("755", ".syncline");
}

#[test]
fn drafts_that_a_kill_left_are_taken_away() {
    let bench = Bench::new(2);
    bench.import();
    let left = [".state.db.999999.new", ".state.db.999999.new-wal", ".state.db.mine"];
    for name in left {
        bench.write(&format!(".syncline/{name}"), "left");
    }
    bench.sync();
    let there = left.map(|name| bench.path(&format!(".syncline/{name}")).exists());
    assert_eq!(there, [false, false, true]);
}

#[test]
fn failures_that_an_earlier_version_kept_are_told_apart_by_kind() {
    let bench = Bench::new(3);
    fs::create_dir_all(bench.path(".syncline")).unwrap();
    let earlier = Connection::open(bench.path(STATE)).unwrap();
    for step in [
        include_str!("../../src/state/migrations/0001_initial.sql"),
        include_str!("../../src/state/migrations/0002_unconfirmed.sql"),
        include_str!("../../src/state/migrations/0003_marks_and_keys.sql"),
        "INSERT INTO pipelines (id, name) VALUES (1, 'subscriptions');
         INSERT INTO runs (id, pipeline, kind, status, started, tally) VALUES ('01RUN', 1, 'import', 'partial', 1, '{}');
         PRAGMA application_id = 1398361676;
         PRAGMA user_version = 3;",
    ] {
        earlier.execute_batch(step).unwrap();
    }
    for (id, code) in [("a015g0000000001AAA", "SL5006"), ("a015g0000000002AAA", "SL5111")] {
        let reason = json!({"code": code, "remote_code": null, "property": null, "message": "m", "request_id": null});
        let failure =
            json!({"salesforce_id": id, "title": "t", "reason": reason, "content": null, "columns": []}).to_string();
        let row = "INSERT INTO failures VALUES (1, ?1, '01RUN', ?2, ?3, 1000, 2000, 4, 'open', 3000)";
        earlier.execute(row, [id, &failure, code]).unwrap();
        earlier.execute("INSERT INTO run_failures VALUES ('01RUN', ?1, ?2)", [id, &failure]).unwrap();
    }
    drop(earlier);
    // Any command that writes brings the file to today's version.
    bench.run(&["failures", "dismiss", "--code", "SL5999"]).code(0);
    let kept = bench.failures();
    let codes: Vec<_> =
        kept.iter().map(|failure| (failure["code"].as_str().unwrap(), failure["kind"].as_str().unwrap())).collect();
    assert_eq!(codes, [("SL5006", "record"), ("SL5111", "associations")]);
    assert!(
        kept.iter().all(|failure| failure["attempts"] == 4 && failure["first_seen"] == "1970-01-01T00:00:01Z"),
        "{kept:?}"
    );
}
