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
    let bench = hurried(30);
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

/// A sync that runs on, with its lines as they come.
struct Daemon {
    child: std::process::Child,
    printed: std::sync::Arc<std::sync::Mutex<String>>,
    readers: Vec<std::thread::JoinHandle<()>>,
}

impl Daemon {
    fn start(bench: &Bench) -> Self {
        Self::start_with(bench, &["sync"])
    }

    fn start_with(bench: &Bench, arguments: &[&str]) -> Self {
        let mut child = bench.spawn(arguments);
        let printed = std::sync::Arc::<std::sync::Mutex<String>>::default();
        let pipes: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        let read = |mut pipe: Box<dyn std::io::Read + Send>| {
            let printed = std::sync::Arc::clone(&printed);
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = std::io::Read::read(&mut pipe, &mut bytes) {
                    printed.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
                }
            })
        };
        let readers = pipes.map(read).into_iter().collect();
        Self { child, printed, readers }
    }

    fn printed(&self) -> String {
        self.printed.lock().unwrap().clone()
    }

    #[track_caller]
    fn says(&self, part: &str) {
        let end = Instant::now() + Duration::from_secs(60);
        while !self.printed().contains(part) {
            assert!(Instant::now() < end, "`{part}` was never said:\n{}", self.printed());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it by a signal; gives the exit code and all that it said.
    fn end(mut self, signal: &str) -> (Option<i32>, String) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let code = self.child.wait().unwrap().code();
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        (code, self.printed())
    }
}

/// A bench whose pipelines run every second.
fn hurried(records: usize) -> Bench {
    let bench = Bench::new(records);
    for name in ["subscriptions", "work_orders"] {
        let file = format!("pipelines/{name}.yaml");
        let text = std::fs::read_to_string(bench.path(&file)).unwrap();
        let text = text.replace("  every: 5m\n  overlap: 10m\n", "").replace("sync:\n", "");
        bench.write(&file, &format!("{text}\nsync:\n  every: 1s\n"));
    }
    bench
}

/// How many runs of a pipeline the history holds.
fn runs(bench: &Bench) -> usize {
    let listed = bench.run(&["runs", "--limit", "1000", "--format", "json"]).code(0).json();
    listed["runs"].as_array().unwrap().len()
}

#[test]
fn idle_cycles_say_nothing_and_sigterm_is_no_failure() {
    let bench = hurried(6);
    bench.import();
    // Within the overlap, the record is read again in each cycle.
    let id = bench.salesforce("create", json!({"object": "WorkOrder", "values": {"Subject": "Once"}}))["id"].clone();
    bench.sync();
    let before = runs(&bench);
    let daemon = Daemon::start(&bench);
    let end = Instant::now() + Duration::from_secs(60);
    while runs(&bench) < before + 6 {
        assert!(Instant::now() < end, "it never ran: {}", daemon.printed());
        std::thread::sleep(Duration::from_millis(200));
    }
    let idle = daemon.printed();
    let at_first = |line: &&str| line.starts_with("syncing ") || line.contains("about the definition of");
    assert_eq!(idle.lines().filter(|line| !at_first(line)).count(), 0, "{idle}");
    assert!(idle.lines().filter(at_first).count() <= 3, "each is said once: {idle}");
    bench.salesforce("update", json!({"object": "WorkOrder", "id": id, "values": {"Subject": "Twice"}}));
    daemon.says("1 updated");
    let (code, printed) = daemon.end("-TERM");
    assert_eq!(code, Some(0), "{printed}");
    let daemon = Daemon::start(&bench);
    // A signal that comes while the program begins to listen may be lost to it.
    daemon.says("syncing ");
    let (code, printed) = daemon.end("-INT");
    assert_eq!(code, Some(130), "{printed}");
}

#[test]
fn a_service_that_is_away_is_waited_for_and_told_once() {
    let bench = hurried(4);
    bench.import();
    bench.faults(json!([{"service": "salesforce", "status": 401, "body": [{"errorCode": "INVALID_SESSION_ID", "message": "away"}]}]));
    let before = runs(&bench);
    // It starts although Salesforce is away.
    let daemon = Daemon::start(&bench);
    let end = Instant::now() + Duration::from_secs(90);
    while runs(&bench) < before + 6 {
        assert!(Instant::now() < end, "it never ran: {}", daemon.printed());
        std::thread::sleep(Duration::from_millis(200));
    }
    let away = daemon.printed();
    assert_eq!(away.matches("error[").count(), 1, "one service, two pipelines, many cycles: {away}");
    bench.sandbox.clear_faults();
    daemon.says("Salesforce answers again");
    let (code, printed) = daemon.end("-INT");
    assert_eq!((code, printed.matches("answers again").count()), (Some(130), 1), "{printed}");
}

#[test]
fn a_refused_pipeline_says_its_reason_once_and_a_changed_file_is_noticed() {
    let bench = hurried(4);
    bench.import();
    bench.salesforce("hide", json!({"object": OBJECT, "field": "Notes__c"}));
    let before = runs(&bench);
    let daemon = Daemon::start(&bench);
    let end = Instant::now() + Duration::from_secs(60);
    while runs(&bench) < before + 8 {
        assert!(Instant::now() < end, "it never ran: {}", daemon.printed());
        std::thread::sleep(Duration::from_millis(200));
    }
    let refused = daemon.printed();
    assert_eq!(refused.matches("pipeline `subscriptions` cannot run").count(), 1, "{refused}");
    // Another reason is told again.
    bench.salesforce("hide", json!({"object": OBJECT, "field": "Seats__c"}));
    daemon.says("Seats__c");
    for field in ["Notes__c", "Seats__c"] {
        bench.salesforce("show", json!({"object": OBJECT, "field": field}));
    }
    daemon.says("pipeline `subscriptions` runs again");
    bench.edit("pipelines/work_orders.yaml", "on_delete: keep", "on_delete: archive");
    daemon.says("pipelines/work_orders.yaml has changed on disk");
    std::thread::sleep(Duration::from_millis(2_500));
    let (code, printed) = daemon.end("-TERM");
    assert_eq!((code, printed.matches("has changed on disk").count()), (Some(0), 1), "{printed}");
}

/// Sends a signal to a process.
fn signal(child: &std::process::Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn definitions_are_read_again_when_they_are_valid() {
    for (way, arguments) in [("watch", &["sync", "--watch"][..]), ("hang up", &["sync"])] {
        let bench = hurried(20);
        bench.import();
        let ids: Vec<String> = bench.rows(OBJECT).into_keys().collect();
        let ask = |daemon: &Daemon| {
            if way == "hang up" {
                signal(&daemon.child, "HUP");
            }
        };
        let daemon = Daemon::start_with(&bench, arguments);
        daemon.says("syncing ");
        // A file that cannot be used is told once, and the old definition goes on.
        let good = std::fs::read_to_string(bench.path("pipelines/subscriptions.yaml")).unwrap();
        bench.write("pipelines/subscriptions.yaml", &good.replace("fields:", "feilds:"));
        ask(&daemon);
        daemon.says("SL1003");
        daemon.says("goes on with what it read before");
        bench.salesforce("update", json!({"object": OBJECT, "id": ids[0], "values": {"Notes__c": "one"}}));
        caught_up(&bench, &format!("a broken file ({way})"));
        // One that can be used counts from then on, and a pipeline that comes with it runs.
        let other = bench.path("pipelines/work_orders.yaml");
        let more = std::fs::read_to_string(&other).unwrap();
        std::fs::remove_file(&other).unwrap();
        bench.write("pipelines/subscriptions.yaml", &good);
        ask(&daemon);
        daemon.says("count from now on: subscriptions\n");
        bench.write("pipelines/work_orders.yaml", &more);
        ask(&daemon);
        daemon.says("count from now on: subscriptions, work_orders");
        let before = runs(&bench);
        let end = Instant::now() + Duration::from_secs(20);
        while runs(&bench) <= before + 1 {
            assert!(Instant::now() < end, "no run since");
            std::thread::sleep(Duration::from_millis(100));
        }
        let (code, printed) = daemon.end("-TERM");
        assert_eq!(
            (code, printed.matches("goes on with what it read before").count()),
            (Some(0), 1),
            "{way}: {printed}"
        );
    }
}

#[test]
fn a_stop_lets_the_calls_under_way_end() {
    let bench = hurried(20);
    bench.import();
    let failed = bench.failures();
    let is_well = |id: &String| !failed.iter().any(|failure| failure["salesforce_id"] == id.as_str());
    let active = bench.rows(OBJECT).into_iter().filter(|(_, row)| row["values"]["Status__c"] == "Active");
    let id = active.map(|(id, _)| id).find(is_well).unwrap();
    bench.faults(json!([{"service": "hubspot", "path": "/crm/objects/**/batch/upsert", "delay": "1000ms"}]));
    let daemon = Daemon::start(&bench);
    bench.sandbox.forget_requests();
    bench.salesforce("update", json!({"object": OBJECT, "id": id, "values": {"Notes__c": "stop"}}));
    let end = Instant::now() + Duration::from_secs(20);
    while !bench.sandbox.requests().iter().any(|entry| entry.target.contains("/batch/upsert")) {
        assert!(Instant::now() < end, "nothing is sent");
        std::thread::sleep(Duration::from_millis(20));
    }
    let (code, printed) = daemon.end("-TERM");
    assert_eq!(code, Some(0), "{printed}");
    // What was under way is known: the next run looks nothing up, and sends nothing twice.
    bench.sandbox.clear_faults();
    let state = rusqlite::Connection::open(bench.path(".syncline/state.db")).unwrap();
    let open: i64 = state
        .query_row("SELECT (SELECT count(*) FROM unconfirmed) + (SELECT count(*) FROM calls)", [], |row| row.get(0))
        .unwrap();
    assert_eq!(open, 0, "{printed}");
}
