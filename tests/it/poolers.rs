//! The state in PostgreSQL behind a pooler that gives each transaction another session of the server.

use std::process::Child;

use serde_json::json;

use crate::support::oracle::agree;
use crate::support::postgres::{Bouncer, Server};
use crate::support::{Bench, ended, report};
use crate::workers::change;

/// Two sessions for all, each used in turn.
const FEW: &str = "default_pool_size = 2\nserver_round_robin = 1";

/// Runs a command for each pipeline at the same time, and commands that look meanwhile.
#[track_caller]
fn at_once(bench: &Bench, command: &[&str]) {
    let mut running: Vec<Child> =
        ["subscriptions", "work_orders"].iter().map(|name| bench.spawn(&[command, &[name]].concat())).collect();
    while running.iter_mut().any(|child| child.try_wait().unwrap().is_none()) {
        for command in [&["status", "--format", "json"][..], &["failures"], &["runs"]] {
            bench.run(command).code(0);
        }
    }
    for child in running {
        let ran = ended(child.wait_with_output().unwrap());
        assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
    }
}

/// Imports, syncs and looks through PgBouncer in transaction mode with some settings; no session of the server ever holds a statement.
fn goes_through(settings: &str) {
    let server = Server::start();
    let bouncer = Bouncer::with(&server, &format!("{FEW}\n{settings}"));
    let bench = Bench::new(600);
    let address = server.address("postgres", "of_test").replace(&server.port.to_string(), &bouncer.port.to_string());
    bench.edit("syncline.yaml", "sqlite:.syncline/state.db", &address);
    at_once(&bench, &["import", "--yes"]);
    bench.settle();
    agree(&bench);
    let row = bench.rows("Subscription__c").into_keys().next().unwrap();
    // A value of before the picklist was restricted.
    let values = json!({"Status__c": "No such status"});
    let old = json!({"object": "Subscription__c", "id": row, "stamp": "2030-01-01T00:00:00Z", "values": values});
    bench.salesforce("stamp", old);
    for round in 0..3 {
        change(&bench, &format!("round {round}"));
        at_once(&bench, &["sync", "--once"]);
    }
    assert!(bench.failures().iter().any(|failure| failure["salesforce_id"] == row.as_str()));
    let status = bench.run(&["status", "--format", "json"]).code(0).json();
    assert_eq!(report(&status, "work_orders")["last_run"]["status"], "succeeded", "{status}");
    bench.run(&["why", &row]).code(0);
    bench.run(&["state", "check"]).code(0);
    // What stays prepared would be in the one or the other.
    for _ in 0..4 {
        let left = server.sql_at(bouncer.port, "postgres", "SELECT count(*) FROM pg_prepared_statements");
        assert_eq!(left, "0");
    }
    let log = server.log();
    assert!(!log.contains("prepared statement"), "{log}");
    assert_eq!(server.sql("postgres", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), "0");
}

#[test]
fn the_state_goes_through_pgbouncer() {
    goes_through("");
}

#[test]
fn the_state_goes_through_pgbouncer_that_keeps_settings_to_itself() {
    goes_through("ignore_startup_parameters = options,extra_float_digits");
}
