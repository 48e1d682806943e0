//! The state as a thing to care for: copies, checks, forgetting; what an older program says to a newer state.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rusqlite::Connection;
use serde_json::json;

use crate::support::oracle::agree;
use crate::support::{Bench, report};

const STATE: &str = ".syncline/state.db";

#[test]
fn a_copy_is_of_one_moment_and_can_take_the_place_of_the_state() {
    let bench = Bench::new(30);
    bench.import();
    let ran = bench.run(&["state", "backup", "copy.db", "--format", "json"]).code(0);
    assert_eq!(ran.json()["problems"], json!([]));
    assert_eq!(fs::metadata(bench.path("copy.db")).unwrap().permissions().mode() & 0o777, 0o600);
    // Nothing is replaced, also not through a link.
    for place in ["copy.db", "link.db"] {
        if place == "link.db" {
            std::os::unix::fs::symlink(bench.path("elsewhere.db"), bench.path(place)).unwrap();
        }
        let before = fs::read(bench.path("copy.db")).unwrap();
        let again = bench.run(&["state", "backup", place]).code(1);
        assert!(again.stderr.contains("[SL6005]"), "{place}: {again:?}");
        assert_eq!(fs::read(bench.path("copy.db")).unwrap(), before);
    }
    assert!(!bench.path("elsewhere.db").exists());
    // Changes after the copy are carried over once more after it was put back, and nothing is doubled.
    let id = bench.rows("Subscription__c").keys().next().unwrap().clone();
    bench.salesforce("update", json!({"object": "Subscription__c", "id": id, "values": {"Notes__c": "later"}}));
    bench.sync();
    for rest in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(bench.path(&format!("{STATE}{rest}")));
    }
    fs::copy(bench.path("copy.db"), bench.path(STATE)).unwrap();
    bench.sync();
    bench.settle();
    agree(&bench);
}

#[test]
fn a_copy_is_made_while_a_sync_writes() {
    let bench = Bench::new(300);
    let mut child = bench.spawn(&["import", "--yes", "--format", "json"]);
    let mut copies = 0;
    while child.try_wait().unwrap().is_none() {
        if bench.path(STATE).exists() {
            bench.run(&["state", "backup", &format!("copy-{copies}.db")]).code(0);
            copies += 1;
        }
    }
    child.wait().unwrap();
    bench.run(&["state", "backup", "last.db"]).code(0);
    for number in 0..copies {
        let copy = Connection::open(bench.path(&format!("copy-{number}.db"))).unwrap();
        let sound: String = copy.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok", "{number}");
    }
}

#[test]
fn a_check_tells_damage_and_changes_nothing() {
    let bench = Bench::new(200);
    let none = bench.run(&["state", "check"]).code(1);
    assert!(none.stderr.contains("there is no state yet"), "{none:?}");
    bench.import();
    let sound = bench.run(&["state", "check"]).code(0);
    assert!(sound.stdout.ends_with("it is sound\n"), "{sound:?}");
    // What shares a row is read as well, and one table beside the other.
    for (spoil, wrong) in [
        ("UPDATE identities SET entries = substr(entries, 1, length(entries) - 3)", "cut short"),
        ("UPDATE identities SET first = first + 1", "before its block"),
        ("DELETE FROM identities_by_hubspot_id", "does not hold the records"),
        ("UPDATE owned_types SET entries = CAST(entries || x'ff' AS BLOB)", "cut short"),
    ] {
        fs::copy(bench.path(STATE), bench.path("sound.db")).unwrap();
        Connection::open(bench.path(STATE)).unwrap().execute(spoil, []).unwrap();
        let damaged = bench.run(&["state", "check"]).code(1);
        assert!(format!("{}{}", damaged.stdout, damaged.stderr).contains(wrong), "{spoil}: {damaged:?}");
        fs::rename(bench.path("sound.db"), bench.path(STATE)).unwrap();
    }
    bench.run(&["state", "check"]).code(0);
    // A page in the middle is overwritten.
    Connection::open(bench.path(STATE)).unwrap().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let mut bytes = fs::read(bench.path(STATE)).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xaa);
    fs::write(bench.path(STATE), &bytes).unwrap();
    let damaged = bench.run(&["state", "check", "--format", "json"]).code(1);
    let told = damaged.stdout.contains("problems") && damaged.json()["problems"] != json!([])
        || damaged.stdout.contains("SL6001");
    assert!(told, "{damaged:?}");
    assert_eq!(fs::read(bench.path(STATE)).unwrap(), bytes);
    // Of what is damaged, no copy is kept.
    bench.run(&["state", "backup", "copy.db"]).code(1);
    assert!(!bench.path("copy.db").exists());
}

#[test]
fn a_forgotten_pipeline_begins_anew_and_doubles_nothing() {
    let bench = Bench::new(20);
    bench.import();
    bench.sync();
    let before = bench.records("subscriptions").len();
    let ran = bench.run(&["state", "forget", "subscriptions"]).code(1);
    assert!(ran.stderr.contains("[SL6007]") && ran.stderr.contains("would be forgotten"), "{ran:?}");
    assert_eq!(
        bench.run(&["runs", "--pipeline", "subscriptions", "--format", "json"]).json()["runs"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let gone = bench.run(&["state", "forget", "subscriptions", "--yes", "--format", "json"]).code(0).json();
    assert!(gone["forgotten"]["records"].as_u64().unwrap() > 0 && gone["forgotten"]["runs"] == 2, "{gone}");
    bench.run(&["state", "check"]).code(0);
    let status = bench.run(&["status", "--format", "json"]).json();
    let pipelines = status["pipelines"].as_array().unwrap();
    let one = |name: &str| {
        pipelines.iter().find(|pipeline| pipeline["pipeline"] == name || pipeline["name"] == name).unwrap()
    };
    assert_eq!(one("subscriptions")["records"], 0, "{status}");
    assert_ne!(one("work_orders")["records"], 0, "the others are remembered");
    assert!(bench.failures().iter().all(|failure| failure["pipeline"] != "subscriptions"));
    // The import recognises what stands in HubSpot.
    let again = bench.import();
    assert_eq!(report(&again, "subscriptions")["created"], 0, "{again}");
    bench.settle();
    assert_eq!(bench.records("subscriptions").len(), before);
    agree(&bench);
    let unknown = bench.run(&["state", "forget", "subscription", "--yes"]).code(1);
    assert!(unknown.stderr.contains("did you mean `subscriptions`?"), "{unknown:?}");
}

#[test]
fn a_newer_state_is_refused_by_each_command_and_left_as_it_is() {
    let bench = Bench::new(5);
    bench.import();
    Connection::open(bench.path(STATE))
        .unwrap()
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA user_version = 99;")
        .unwrap();
    Connection::open(bench.path(STATE)).unwrap().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    for arguments in [
        &["status"][..],
        &["runs"],
        &["failures"],
        &["import", "--yes"],
        &["sync", "--once"],
        &["plan"],
        &["state", "check"],
        &["state", "backup", "copy.db"],
        &["state", "forget", "subscriptions", "--yes"],
        &["doctor"],
    ] {
        let ran = bench.run(arguments).code(1);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains("SL6002") && said.contains("version 99"), "{arguments:?}: {ran:?}");
    }
    let state = Connection::open(bench.path(STATE)).unwrap();
    let version: u32 = state.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert!(version == 99 && !bench.path("copy.db").exists());
}
