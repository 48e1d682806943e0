//! What only a state behind a network can meet: rights that are lost, and connections that break while something is committed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use sqlx::{Connection, PgConnection};
use syncline::model::failure::{Failure, Reason};
use syncline::model::ids::{PipelineName, RunId, SalesforceId};
use syncline::model::origin::RunOrigin;
use syncline::model::report::{RunKind, RunStatus, Tally};
use syncline::ports::overview::StateOverview;
use syncline::ports::state::{Commit, RunRow, StateError, StateReader, StateWriter};
use syncline::state::address::Address;
use syncline::state::postgres::portals::{Before, Begun, Due, Next, Times, Turn, Wanted};
use syncline::state::postgres::schema::{self, KNOWN, LOCKS};
use syncline::state::postgres::store::PgState;
use syncline::sys::clock::Clock;
use syncline::sys::gate::Gate;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::postgres::shared;

fn state(address: &str) -> PgState {
    PgState::new(Address::parse(address, None, None).unwrap(), &Clock::system())
}

fn name() -> PipelineName {
    PipelineName::new("one")
}

/// A commit that shows how often it was done: each time, the record has failed once more.
fn commit() -> Commit {
    let id: SalesforceId = "a01000000000001".parse().unwrap();
    let message = "no such option".to_owned();
    let reason = Reason { code: "SL5001".into(), remote_code: None, property: None, message, request_id: None };
    let failure = Failure { salesforce_id: id, title: "One".into(), reason, content: None, columns: Vec::new() };
    let run = RunId::new("01J00000000000000000000001");
    Commit { failures: vec![failure], ..Commit::new(&name(), &run, Timestamp::UNIX_EPOCH, Tally::default()) }
}

async fn attempts(state: &PgState) -> Vec<u32> {
    let failures = state.failures(&Default::default(), 10).await.unwrap();
    failures.iter().map(|failure| failure.attempts).collect()
}

#[tokio::test]
async fn who_has_lost_the_right_to_a_pipeline_notes_nothing_more() {
    let database = shared().database();
    let (first, second) = (state(&shared().address(&database, "s")), state(&shared().address(&database, "s")));
    let lease = first.lease(&name(), "syncline sync").await.unwrap();
    first.commit(commit()).await.unwrap();
    let held = second.lease(&name(), "syncline sync").await.err().unwrap();
    assert!(matches!(held, StateError::Held { .. }), "{held}");
    // As if it had slept for longer than its right lasts.
    shared().sql(&database, "UPDATE syncline.leases SET until = now() - interval '1 second'");
    let taken = second.lease(&name(), "syncline sync").await.unwrap();
    for _ in 0..2 {
        let lost = first.commit(commit()).await.unwrap_err();
        assert!(matches!(&lost, StateError::Held { .. }) && lost.to_string().contains("noted nothing more"), "{lost}");
    }
    assert!(first.note_calls(&name(), Vec::new()).await.is_err());
    assert_eq!(attempts(&second).await, [1]);
    // What it gives back is not the other's.
    drop(lease);
    second.commit(commit()).await.unwrap();
    assert!(first.lease(&name(), "syncline sync").await.is_err());
    drop(taken);
    drop(first.lease(&name(), "syncline sync").await.unwrap());
    assert_eq!(attempts(&first).await, [2]);
}

/// As another process makes the tables, which commits only when one more waits for the same lock. They are so few here that the server does
/// not tell the one that waits of them by itself.
fn made_beside(database: &str) -> std::process::Child {
    let waits = format!(
        "SELECT FROM pg_locks WHERE NOT granted AND locktype = 'advisory' AND classid = {LOCKS} AND objid = 0
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    );
    let made = format!(
        "BEGIN; SELECT pg_advisory_xact_lock({LOCKS}, 0); CREATE SCHEMA syncline;
         CREATE TABLE syncline.version (version integer NOT NULL); INSERT INTO syncline.version VALUES ({KNOWN});
         DO $$ BEGIN WHILE NOT EXISTS ({waits}) LOOP PERFORM pg_sleep(0.01); END LOOP; END $$; COMMIT"
    );
    shared().session(database, &made)
}

#[tokio::test]
async fn who_waited_while_another_process_made_the_tables_finds_them() {
    let database = shared().database();
    let address = shared().address(&database, "s");
    let mut connection = PgConnection::connect(address.split('?').next().unwrap()).await.unwrap();
    assert_eq!(schema::version(&mut connection).await.unwrap(), None);
    let mut beside = made_beside(&database);
    let locked = format!(
        "SELECT count(*) FROM pg_locks WHERE granted AND classid = {LOCKS} AND objid = 0 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    );
    while shared().sql(&database, &locked) == "0" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    sqlx::raw_sql("BEGIN ISOLATION LEVEL READ COMMITTED").execute(&mut connection).await.unwrap();
    schema::migrate(&mut connection, "s").await.map_err(|fault| format!("{fault:?}")).unwrap();
    assert!(beside.wait().unwrap().success());
}

fn wanted(owner: &str) -> Wanted {
    let times = Times { lasts: Duration::from_secs(30), wire: Duration::from_secs(1) };
    let pipelines = vec![(name(), Duration::from_secs(60))];
    Wanted { key: "portal".to_owned(), owner: owner.to_owned(), times, pipelines }
}

async fn turn(state: &PgState, owner: &str, gate: &Gate) -> Turn {
    match state.begin_turn(&wanted(owner), gate).await.unwrap() {
        Begun::Turn(turn) => turn,
        Begun::Held => panic!("another worker has it"),
        Begun::NothingDue => panic!("nothing is due"),
    }
}

#[tokio::test]
async fn a_portal_is_one_worker_s_whichever_state_it_is_for() {
    let database = shared().database();
    let at = |name: &str| state(&shared().address(&database, name));
    let (first, second) = (at("one"), at("other"));
    let gates = [Gate::default(), Gate::default(), Gate::default()];
    assert!(!gates[0].is_open());
    let lost = turn(&first, "first", &gates[0]).await;
    assert_eq!((lost.right.epoch(), &lost.before, gates[0].is_open()), (1, &Before::Nobody, true));
    assert_eq!(lost.due, [Due { pipeline: name(), away: 0 }]);
    assert!(matches!(second.begin_turn(&wanted("second"), &gates[1]).await.unwrap(), Begun::Held));
    let lease = first.lease(&name(), "syncline worker").await.unwrap();
    first.commit(commit()).await.unwrap();
    // As if it had slept for longer than its right lasts.
    shared().sql(&database, "UPDATE syncline.portals SET until = now() - interval '1 second'");
    let taken = turn(&second, "second", &gates[1]).await;
    assert_eq!((taken.right.epoch(), &taken.before), (2, &Before::TakenOver("first".to_owned())));
    for _ in 0..2 {
        let error = first.commit(commit()).await.unwrap_err();
        assert!(matches!(error, StateError::Lost { .. }), "{error}");
        assert!(!gates[0].is_open(), "it sends nothing more");
    }
    assert!(first.end_turn(lost, Vec::new(), 0).await.is_err());
    assert_eq!(attempts(&at("one")).await, [1]);
    // Given back, with what its limit has used, and due again after a while.
    let next = vec![Next { pipeline: name(), after: Duration::from_secs(60), away: 2 }];
    let due = second.end_turn(taken, next, 7).await.unwrap().unwrap();
    assert!((Duration::from_secs(50)..=Duration::from_secs(60)).contains(&due.after), "{due:?}");
    assert!(!gates[1].is_open());
    assert!(matches!(second.begin_turn(&wanted("second"), &gates[1]).await.unwrap(), Begun::NothingDue));
    assert_eq!(second.overdue(Duration::ZERO, 9, false).await.unwrap().len(), 1, "that of the first state");
    assert!(second.overdue(Duration::ZERO, 9, true).await.unwrap().is_empty(), "whoever had it gave it back");
    // Whoever has the portal is rid of those who had it before, their pipelines included.
    let third = at("one");
    let last = turn(&third, "third", &gates[2]).await;
    assert!(matches!(last.before, Before::GaveBack(ago, 7) if ago < Duration::from_secs(30)), "{:?}", last.before);
    let own = third.lease(&name(), "syncline worker").await.unwrap();
    drop(lease);
    third.commit(commit()).await.unwrap();
    drop(own);
    third.end_turn(last, Vec::new(), 0).await.unwrap();
    assert_eq!(attempts(&third).await, [2]);
}

#[tokio::test]
async fn a_portal_that_was_left_is_found_whatever_waits_longer() {
    let database = shared().database();
    let at = |name: &str| state(&shared().address(&database, name));
    let (first, second) = (at("one"), at("other"));
    let gate = Gate::default();
    let left = turn(&first, "first", &gate).await;
    second.enroll(&Wanted { key: "waits".to_owned(), ..wanted("second") }).await.unwrap();
    shared().sql(&database, "UPDATE syncline.turns SET due = now() - interval '1 hour' WHERE portal = 'waits'");
    shared().sql(&database, "UPDATE syncline.portals SET until = now() - interval '1 second'");
    for (only_left, key) in [(false, "waits"), (true, "portal")] {
        let found = second.overdue(Duration::ZERO, 1, only_left).await.unwrap();
        assert_eq!(found.iter().map(|portal| portal.key.as_str()).collect::<Vec<_>>(), [key]);
    }
    drop(left);
}

#[tokio::test]
async fn states_of_one_database_know_nothing_of_each_other() {
    let database = shared().database();
    let (one, other) = (state(&shared().address(&database, "one")), state(&shared().address(&database, "other")));
    one.commit(commit()).await.unwrap();
    one.set_note("key", "text").await.unwrap();
    assert_eq!((attempts(&other).await, other.note("key").await.unwrap()), (vec![], None));
    let lease = one.lease(&name(), "syncline sync").await.unwrap();
    drop(other.lease(&name(), "syncline sync").await.unwrap());
    drop(lease);
}

/// How a proxy breaks the connection over which something is committed.
#[derive(Clone, Copy, PartialEq)]
enum Breaks {
    /// The server never hears of it.
    Before,
    /// The server has done it, and its answer is lost.
    After,
}

/// A way to the server that breaks at the first so many commits that are armed.
async fn proxy(port: u16, breaks: Breaks, left: Arc<AtomicUsize>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            tokio::spawn(forward(client, server, breaks, Arc::clone(&left)));
        }
    });
    own
}

async fn forward(client: TcpStream, server: TcpStream, breaks: Breaks, left: Arc<AtomicUsize>) {
    let ((mut from, mut back), (mut answers, mut to)) = (client.into_split(), server.into_split());
    let answering = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut answers, &mut back).await;
    });
    let mut buffer = vec![0; 65_536];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let is_commit = buffer[..count].windows(7).any(|part| part == b"COMMIT\0");
        let strikes =
            is_commit && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if strikes && breaks == Breaks::Before {
            break;
        }
        if strikes {
            // No answer gets through from here on.
            answering.abort();
        }
        to.write_all(&buffer[..count]).await.unwrap();
        if strikes {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            break;
        }
    }
    answering.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_done_once() {
    for breaks in [Breaks::Before, Breaks::After] {
        let (database, left) = (shared().database(), Arc::new(AtomicUsize::new(0)));
        let port = proxy(shared().port, breaks, Arc::clone(&left)).await;
        let address = shared().address(&database, "s");
        let through = state(&address.replace(&format!(":{}/", shared().port), &format!(":{port}/")));
        let lease = through.lease(&name(), "syncline sync").await.unwrap();
        for expected in 1..4 {
            left.store(expected as usize % 3, Ordering::SeqCst);
            through.commit(commit()).await.unwrap();
            assert_eq!(attempts(&state(&address)).await, [expected]);
        }
        // A read that breaks is done again.
        left.store(1, Ordering::SeqCst);
        assert_eq!(attempts(&through).await, [3]);
        drop(lease);
    }
}

#[tokio::test]
async fn old_runs_are_forgotten_and_quiet_ones_after_a_day() {
    let database = shared().database();
    let state = state(&shared().address(&database, "s"));
    let lease = state.lease(&name(), "syncline sync").await.unwrap();
    let now: Timestamp = "2026-06-01T12:00:00Z".parse().unwrap();
    let quiet = Tally { read: 3, unchanged: 3, waiting: 1, salesforce_calls: 2, ..Tally::default() };
    let busy = Tally { updated: 1, ..quiet };
    let run = |hours: i64, place: u128, tally: Tally, status: RunStatus| {
        let started = now - jiff::SignedDuration::from_hours(hours);
        let id = ulid::Ulid::from_parts(started.as_millisecond().unsigned_abs(), place).to_string();
        let (id, ended) = (RunId::new(id), Some(started));
        RunRow { id, pipeline: name(), kind: RunKind::Sync, status, started, ended, tally, error: None }
    };
    let rows = [
        // The first one, another of 100 days ago, and one of 80.
        run(2_500, 1, quiet, RunStatus::Succeeded),
        run(2_400, 2, busy, RunStatus::Succeeded),
        run(1_920, 3, busy, RunStatus::Succeeded),
        // Of 30 hours ago: the first two changed nothing.
        run(30, 4, quiet, RunStatus::Succeeded),
        run(30, 5, quiet, RunStatus::Partial),
        run(30, 6, busy, RunStatus::Succeeded),
        run(30, 7, quiet, RunStatus::Failed),
        run(23, 8, quiet, RunStatus::Succeeded),
    ];
    let command = "syncline sync".to_owned();
    let origin = RunOrigin { command, user: None, commit: None, uncommitted: false, planned: None };
    for row in &rows {
        state.end_run(row).await.unwrap();
        state.note_origin(&row.id, &origin).await.unwrap();
    }
    // The latest are kept, whatever they are.
    state.begin_run(&run(0, 100, Tally::default(), RunStatus::Running)).await.unwrap();
    assert_eq!(state.runs(None, 1_000).await.unwrap().len(), 9);
    for place in 0..60 {
        state.end_run(&run(1, 200 + place, quiet, RunStatus::Succeeded)).await.unwrap();
    }
    state.begin_run(&run(0, 300, Tally::default(), RunStatus::Running)).await.unwrap();
    let left = state.runs(Some(&name()), 1_000).await.unwrap();
    let is_left = |row: &&RunRow| left.iter().any(|left| left.id == row.id);
    let kept: Vec<usize> = (0..rows.len()).filter(|place| is_left(&&rows[*place])).collect();
    assert_eq!(kept, [0, 2, 5, 6, 7]);
    assert_eq!(left.len(), kept.len() + 62);
    let origins = shared().sql(&database, "SELECT count(*) FROM syncline.run_origins");
    assert_eq!(origins, kept.len().to_string());
    assert_eq!(state.stored_watermark(&name()).await.unwrap(), None);
    drop(lease);
}
