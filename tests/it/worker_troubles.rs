//! What can be wrong with the database of workers: each is told in clear words, costs nothing, and is over when it is mended.

use std::fs;
use std::io::copy;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::json;

use crate::support::oracle::agree;
use crate::support::postgres::{PASSWORD, Server};
use crate::support::{Ran, ended};
use crate::workers::{Fleet, change, wait_for};

/// The password of a role of the tests.
const KEEPER: &str = "k33per-of-tests";

/// A worker of a fleet that ends by itself.
fn ended_by_itself(fleet: &Fleet) -> Ran {
    let ran = ended(fleet.portals[0].command(&["worker", "--project", "fleet", "--import"]).output().unwrap());
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(!said.contains("panicked") && !said.contains(PASSWORD) && !said.contains(KEEPER), "{said}");
    ran
}

/// Has a fleet go to its database by another address.
fn led(fleet: &Fleet, from: &str, to: &str) {
    fleet.portals[0].edit("fleet/syncline.yaml", from, to);
}

#[test]
fn a_worker_that_cannot_use_its_database_says_why_once_and_ends() {
    let server = Server::start();
    let fleet = Fleet::new(&server, &[5, 5, 5], "1s");
    let database = fleet.database.clone();
    let refused = |code: &str, words: &str| {
        let ran = ended_by_itself(&fleet);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert_eq!(ran.stderr.matches(words).count(), 1, "`{words}` once: {ran:?}");
        assert_eq!(ran.stderr.matches(code).count(), 1, "`{code}` once: {ran:?}");
        assert!(!ran.stderr.contains("folder"), "there is none: {ran:?}");
    };
    led(&fleet, PASSWORD, "wr0ng-password");
    refused("SL6005", "look at the user and the password");
    led(&fleet, "wr0ng-password", PASSWORD);
    led(&fleet, &format!("/{database}?"), "/nowhere?");
    refused("SL6005", "create the database");
    led(&fleet, "/nowhere?", &format!("/{database}?"));
    let worker = fleet.worker(&["--import"]);
    fleet.caught_up(&[&worker]);
    worker.end();
    let standby = server.standby();
    led(&fleet, &format!(":{}/", server.port), &format!(":{}/", standby.port));
    refused("SL6005", "name the primary");
    led(&fleet, &format!(":{}/", standby.port), &format!(":{}/", server.port));
    let version = server.sql(&database, "SELECT version FROM syncline.version");
    server.sql(&database, "UPDATE syncline.version SET version = 99");
    refused("SL6002", "99");
    server.sql(&database, &format!("UPDATE syncline.version SET version = {version}"));
    fleet.portals.iter().for_each(agree);
}

#[test]
fn a_password_and_tables_that_change_under_a_worker_are_told_and_cost_nothing() {
    let server = Server::start();
    let fleet = Fleet::new(&server, &[20, 20], "1s");
    let sql = |text: &str| server.sql(&fleet.database, text);
    sql(&format!("CREATE ROLE keeper SUPERUSER LOGIN PASSWORD '{KEEPER}'"));
    led(&fleet, &format!("postgres:{PASSWORD}@"), &format!("keeper:{KEEPER}@"));
    let worker = fleet.worker(&["--import", "--lease", "3s"]);
    fleet.caught_up(&[&worker]);
    sql("ALTER ROLE keeper PASSWORD 'an0ther-of-tests'");
    sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'keeper'");
    worker.says("look at the user and the password");
    fleet.portals.iter().for_each(|bench| change(bench, "under another password"));
    sql(&format!("ALTER ROLE keeper PASSWORD '{KEEPER}'"));
    fleet.caught_up(&[&worker]);
    // A later program has been at the tables: nothing more is begun in them.
    let version = sql("SELECT version FROM syncline.version");
    sql("UPDATE syncline.version SET version = 99");
    worker.says("SL6002");
    let runs = || sql("SELECT count(*) FROM syncline.runs");
    let quiet = "SELECT count(*) FROM syncline.portals WHERE ended IS NULL AND until > now()";
    wait_for("the end of turns", || worker.said(), || sql(quiet) == "0");
    let before = runs();
    fleet.portals.iter().for_each(|bench| change(bench, "under later tables"));
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(runs(), before, "{}", worker.said());
    let ran = fleet.portals[0].run(&["sync", "--once"]).code(1);
    assert!(ran.stderr.contains("SL6002"), "{ran:?}");
    sql(&format!("UPDATE syncline.version SET version = {version}"));
    fleet.caught_up(&[&worker]);
    let said = worker.end();
    assert!(!said.contains(KEEPER) && !said.contains("an0ther-of-tests"), "{said}");
    fleet.portals.iter().for_each(agree);
}

/// A port that leads to one server or another.
struct Way {
    port: u16,
    to: Arc<AtomicU16>,
}

impl Way {
    fn to(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, to) = (listener.local_addr().unwrap().port(), Arc::new(AtomicU16::new(server.port)));
        let leads = Arc::clone(&to);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", leads.load(Ordering::SeqCst))) else { continue };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    std::thread::spawn(move || {
                        let _ = copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        Self { port, to }
    }
}

#[test]
fn workers_go_over_to_the_standby_that_takes_the_place_of_their_server() {
    let primary = Server::start();
    let fleet = Fleet::new(&primary, &[30, 30], "1s");
    let way = Way::to(&primary);
    led(&fleet, &format!(":{}/", primary.port), &format!(":{}/", way.port));
    let workers = [fleet.worker(&["--import", "--lease", "3s"]), fleet.worker(&["--import", "--lease", "3s"])];
    fleet.caught_up(&workers.each_ref());
    let standby = primary.standby();
    let follows = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
    wait_for("the standby", String::new, || primary.sql("postgres", follows) == "1");
    fleet.portals.iter().for_each(|bench| change(bench, "before"));
    fleet.caught_up(&workers.each_ref());
    // It hands on what it has written, and ends.
    primary.control(&["-m", "fast", "stop"]);
    way.to.store(standby.port, Ordering::SeqCst);
    for bench in &fleet.portals {
        bench.edit("syncline.yaml", &format!(":{}/", primary.port), &format!(":{}/", standby.port));
    }
    fleet.portals.iter().for_each(|bench| change(bench, "in between"));
    // Until it is promoted, it can be read only.
    workers[0].says("name the primary");
    standby.control(&["promote"]);
    fleet.caught_up(&workers.each_ref());
    fleet.portals.iter().for_each(|bench| change(bench, "after"));
    fleet.caught_up(&workers.each_ref());
    for worker in workers {
        worker.end();
    }
    fleet.portals.iter().for_each(agree);
}

#[test]
fn a_full_disk_is_told_by_workers_and_costs_nothing() {
    let Some(server) = Server::with_small_folder("24m") else {
        crate::support::long::tell("skipped: this user may not mount a small file system");
        return;
    };
    let fleet = Fleet::new(&server, &[20, 20], "1s");
    server.sql("postgres", &format!("CREATE TABLESPACE small LOCATION '{}/small'", server.folder()));
    server.sql("postgres", &format!("ALTER DATABASE {} SET TABLESPACE small", fleet.database));
    let worker = fleet.worker(&["--import", "--lease", "3s"]);
    fleet.caught_up(&[&worker]);
    // A part that is undone keeps its pages.
    server.sql(
        &fleet.database,
        "CREATE TABLE filler (text text); ALTER TABLE filler ALTER text SET STORAGE PLAIN;
         DO $$ BEGIN LOOP INSERT INTO filler SELECT repeat('x', 3900) FROM generate_series(1, 20); END LOOP;
         EXCEPTION WHEN disk_full THEN NULL; END $$",
    );
    for bench in &fleet.portals {
        for number in 0..400 {
            let values = json!({"Name": format!("More {number}"), "Status__c": "Active"});
            bench.salesforce("create", json!({"object": "Subscription__c", "values": values}));
        }
    }
    worker.says("the server's disk is full");
    server.sql(&fleet.database, "DROP TABLE filler");
    fleet.caught_up(&[&worker]);
    worker.end();
    fleet.portals.iter().for_each(agree);
    let yaml = fs::read_to_string(fleet.portals[0].path("fleet/syncline.yaml")).unwrap();
    assert!(yaml.contains(PASSWORD), "it was there to be told");
}
