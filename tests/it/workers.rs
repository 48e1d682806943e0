//! Workers that share portals: each portal is one worker's at a time, and what happens to a worker costs nothing.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use serde_json::json;
use syncline::model::budget::Budget;
use syncline::model::report::RunScope;
use syncline::ops::run::RunOptions;
use syncline::ops::worker::{Options, times, work};
use syncline::plan::guard::Allowance;
use syncline::project::fleet::CheckedOut;
use syncline::project::wiring::Outside;
use syncline::sandbox::options::SandboxOptions;
use syncline::sys::cancel::Cancel;
use syncline::sys::clock::Clock;

use crate::support::oracle::{agree, disagreements};
use crate::support::postgres::{Bouncer, PASSWORD, Server, shared};
use crate::support::waits::Waits;
use crate::support::{Bench, FAST};

/// Several portals, and one project with a target for each: `p0`, `p1` …
pub(crate) struct Fleet {
    pub(crate) portals: Vec<Bench>,
    pub(crate) database: String,
}

/// A worker, with all that it has said.
pub(crate) struct Worker {
    pub(crate) child: Child,
    said: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Fleet {
    /// So many records in each, and so much time between two cycles of a pipeline.
    pub(crate) fn new(server: &Server, records: &[usize], every: &str) -> Self {
        let latency = Duration::from_millis(20);
        let options = |records| SandboxOptions { records, latency, rate_limit: FAST, ..SandboxOptions::default() };
        Self::on(server, records.iter().map(|records| Bench::with(options(*records))).collect(), every)
    }

    pub(crate) fn on(server: &Server, portals: Vec<Bench>, every: &str) -> Self {
        let database = server.database();
        let fleet = Self { portals, database };
        let of_all = |bench: &Bench, state: &str| {
            let yaml = bench.sandbox.project_yaml();
            yaml.replace("sqlite:.syncline/state.db", &server.address(&fleet.database, state))
        };
        let mut yaml = of_all(&fleet.portals[0], "fleet");
        yaml.push_str("targets:\n");
        for (place, bench) in fleet.portals.iter().enumerate() {
            let own: serde_json::Value = bench.sandbox.addresses();
            yaml.push_str(&format!(
                "  p{place}:\n    connections:\n      salesforce: {{ login_url: {} }}\n      hubspot: {{ base_url: {} }}\n",
                own["salesforce"], own["hubspot"]
            ));
            // The bench's own project looks at the same state.
            bench.write("syncline.yaml", &of_all(bench, &format!("fleet/p{place}")));
        }
        fleet.portals[0].write("fleet/syncline.yaml", &yaml);
        for name in ["subscriptions", "work_orders"] {
            let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("pipelines/{name}.yaml"));
            let text = fs::read_to_string(sample).unwrap();
            let text = text.split("\nsync:\n").next().unwrap();
            fleet.portals[0].write(
                &format!("fleet/pipelines/{name}.yaml"),
                &format!("{}\n\nsync:\n  every: {every}\n", text.trim_end()),
            );
        }
        fleet
    }

    /// Imports all portals with so many workers that nothing disturbs, until each pipeline has had two cycles.
    pub(crate) fn import(&self, server: &Server, workers: usize) {
        let workers: Vec<Worker> = (0..workers).map(|_| self.worker(&["--import", "--concurrency", "8"])).collect();
        self.caught_up(&workers.iter().collect::<Vec<_>>());
        let waits = "SELECT count(*) FROM (SELECT 1 FROM syncline.runs WHERE kind = 'sync' AND ended IS NOT NULL
            GROUP BY state_id, pipeline HAVING count(*) > 1) quiet";
        while server.sql(&self.database, waits).parse::<usize>().unwrap() < 2 * self.portals.len() {
            std::thread::sleep(Duration::from_millis(500));
        }
        workers.into_iter().for_each(|worker| drop(worker.end()));
    }

    /// Starts a worker.
    pub(crate) fn worker(&self, arguments: &[&str]) -> Worker {
        let all = [&["worker", "--project", "fleet", "--format", "json", "--look", "500ms"], arguments].concat();
        let mut child = self.portals[0].command(&all).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said = Arc::<Mutex<String>>::default();
        let pipes: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        let read = |mut pipe: Box<dyn Read + Send>| {
            let said = Arc::clone(&said);
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = pipe.read(&mut bytes) {
                    said.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
                }
            })
        };
        let readers = pipes.map(read).into_iter().collect();
        Worker { child, said, readers }
    }

    fn sql(&self, text: &str) -> String {
        shared().sql(&self.database, text)
    }

    /// Waits until all portals hold what they are to hold.
    #[track_caller]
    pub(crate) fn caught_up(&self, workers: &[&Worker]) {
        for (place, bench) in self.portals.iter().enumerate() {
            let end = Instant::now() + Duration::from_secs(60);
            while !disagreements(bench).is_empty() {
                let said: Vec<String> = workers.iter().map(|worker| worker.said()).collect();
                assert!(Instant::now() < end, "p{place}: {:#?}\n{}", disagreements(bench), said.join("\n=====\n"));
                std::thread::sleep(Duration::from_millis(200));
            }
        }
    }
}

impl Worker {
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    #[track_caller]
    pub(crate) fn says(&self, part: &str) {
        wait_for(part, || self.said(), || self.said().contains(part));
    }

    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Ends it as a service manager does: all that it said.
    #[track_caller]
    pub(crate) fn end(mut self) -> String {
        self.signal("-TERM");
        let code = self.child.wait().unwrap().code();
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        let said = self.said();
        assert_eq!(code, Some(0), "{said}");
        assert!(!said.contains("panicked") && !said.contains(PASSWORD), "{said}");
        said
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
pub(crate) fn wait_for(what: &str, tell: impl Fn() -> String, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < end, "waited in vain for {what}:\n{}", tell());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A portal that allows 40 calls in two seconds.
fn limited_portal(records: usize) -> Bench {
    let rate_limit = (40, Duration::from_secs(2));
    Bench::with(SandboxOptions { records, rate_limit, latency: Duration::from_millis(20), ..SandboxOptions::default() })
}

/// One such portal.
fn limited(records: usize, every: &str) -> Fleet {
    Fleet::on(shared(), vec![limited_portal(records)], every)
}

/// A portal whose import takes a few seconds.
fn slow() -> Fleet {
    limited(2_000, "1h")
}

/// Has writes take effect and never be answered from the sixth on; tells whether one is.
fn hang_in_the_middle(bench: &Bench) -> impl Fn(&Bench) -> bool + use<> {
    bench.faults(json!([{"path": "/crm/objects/**/batch/upsert", "from": 6, "fault": "never", "when": "after"}]));
    |bench| bench.sandbox.faults()["rules"][0]["struck"].as_u64().unwrap() > 0
}

/// Changes a few rows of a portal's org.
pub(crate) fn change(bench: &Bench, text: &str) {
    let rows = bench.rows("Subscription__c");
    let active = rows.iter().filter(|(_, row)| row["values"]["Status__c"] == "Active" && row["deleted"] == false);
    for (id, _) in active.take(5) {
        let change = json!({"object": "Subscription__c", "id": id, "values": {"Notes__c": text}});
        bench.salesforce("update", change);
    }
}

#[test]
fn two_workers_share_portals_and_give_them_back() {
    let fleet = Fleet::new(shared(), &[40, 40, 40], "1s");
    let (one, other) = (fleet.worker(&["--import"]), fleet.worker(&["--import"]));
    fleet.caught_up(&[&one, &other]);
    for (place, bench) in fleet.portals.iter().enumerate() {
        change(bench, &format!("changed in p{place}"));
    }
    fleet.caught_up(&[&one, &other]);
    let said = one.end();
    assert!(!said.contains("SL6004"), "{said}");
    // The one that is left does all.
    for bench in &fleet.portals {
        change(bench, "changed again");
    }
    fleet.caught_up(&[&other]);
    let said = other.end();
    assert!(!said.contains("SL6004") && said.contains("serving 3 portals"), "{said}");
    fleet.portals.iter().for_each(agree);
    assert_eq!(fleet.sql("SELECT count(*) FROM syncline.portals"), "3");
    assert_eq!(fleet.sql("SELECT count(*) FROM syncline.portals WHERE until > now() OR ended IS NULL"), "0");
    assert_eq!(fleet.sql("SELECT count(*) FROM syncline.leases WHERE until > now()"), "0");
    assert_eq!(fleet.sql("SELECT sum(takeovers) FROM syncline.portals"), "0", "they were given back");
}

#[test]
fn a_worker_that_is_killed_in_an_import_is_replaced_and_nothing_is_doubled() {
    let fleet = slow();
    let bench = &fleet.portals[0];
    let hung = hang_in_the_middle(bench);
    let mut one = fleet.worker(&["--import"]);
    wait_for("a write that hangs", || one.said(), || hung(bench));
    one.child.kill().unwrap();
    one.child.wait().unwrap();
    bench.sandbox.clear_faults();
    let other = fleet.worker(&["--import"]);
    other.says("taken over from process");
    fleet.caught_up(&[&other]);
    other.end();
    agree(bench);
    assert_eq!(fleet.sql("SELECT sum(takeovers) FROM syncline.portals"), "1");
}

#[test]
fn a_worker_without_room_takes_over_all_that_another_one_left() {
    let fleet = Fleet::on(shared(), (0..3).map(|_| limited_portal(600)).collect(), "2s");
    let hangs: Vec<_> = fleet.portals.iter().map(hang_in_the_middle).collect();
    let hung = || hangs.iter().zip(&fleet.portals).filter(|(hung, bench)| hung(bench)).count();
    let worker = |places: &str| fleet.worker(&["--import", "--lease", "3s", "--concurrency", places]);
    let one = worker("1");
    wait_for("a write that hangs", || one.said(), || hung() == 1);
    let mut other = worker("2");
    wait_for("writes that hang in the other portals", || other.said(), || hung() == 3);
    other.child.kill().unwrap();
    other.child.wait().unwrap();
    // Its only place is taken by a call that is never answered, and so are those of what it takes over.
    let taken_over = "SELECT count(*) FROM syncline.portals WHERE takeovers = 1 AND ended IS NULL";
    wait_for("both takeovers", || one.said(), || fleet.sql(taken_over) == "2");
    drop(one);
    fleet.portals.iter().for_each(|bench| bench.sandbox.clear_faults());
    let last = worker("1");
    fleet.caught_up(&[&last]);
    last.end();
    fleet.portals.iter().for_each(agree);
}

#[test]
fn a_worker_that_was_stopped_loses_its_portal_and_sends_nothing_more() {
    let fleet = slow();
    let bench = &fleet.portals[0];
    let hung = hang_in_the_middle(bench);
    let one = fleet.worker(&["--import", "--lease", "3s"]);
    wait_for("a write that hangs", || one.said(), || hung(bench));
    one.signal("-STOP");
    bench.sandbox.clear_faults();
    let stopped = Instant::now();
    let other = fleet.worker(&["--import", "--lease", "3s"]);
    other.says("taken over from process");
    let waited = stopped.elapsed();
    assert!((Duration::from_secs(2)..Duration::from_secs(40)).contains(&waited), "{waited:?}");
    fleet.caught_up(&[&other]);
    // Nothing is due any more, so that what comes now comes from the one that was stopped.
    let due = "SELECT (SELECT count(*) FROM syncline.turns WHERE due <= now()) + (SELECT count(*) FROM syncline.portals WHERE ended IS NULL)";
    wait_for("the last turn", || other.said(), || fleet.sql(due) == "0");
    other.end();
    let calls = bench.sandbox.requests().len();
    let looks = fleet.sql("SELECT count(*) FROM syncline.second_looks");
    one.signal("-CONT");
    one.says("SL6004");
    std::thread::sleep(Duration::from_secs(1));
    let more: Vec<_> = bench.sandbox.requests().into_iter().skip(calls).collect();
    assert!(more.is_empty(), "{more:#?}\n{}", one.said());
    let said = one.end();
    assert!(said.contains("another worker's by now"), "{said}");
    agree(bench);
    assert_ne!(looks, "0", "what was on its way is looked at once more");
}

#[test]
fn what_was_on_its_way_at_a_takeover_is_read_back_twice() {
    let fleet = Fleet::new(shared(), &[300], "1h");
    let bench = &fleet.portals[0];
    bench.faults(json!([{"path": "/crm/objects/**/batch/upsert", "from": 2, "fault": "never", "when": "before"}]));
    let mut one = fleet.worker(&["--import"]);
    wait_for("a write", || one.said(), || bench.sandbox.faults()["rules"][0]["struck"].as_u64().unwrap() > 0);
    one.child.kill().unwrap();
    one.child.wait().unwrap();
    bench.sandbox.clear_faults();
    let in_doubt: u32 = fleet.sql("SELECT count(*) FROM syncline.unconfirmed").parse().unwrap();
    assert!(in_doubt > 0);
    let other = fleet.worker(&["--import", "--wire", "4s"]);
    other.says("taken over from process");
    assert_eq!(fleet.sql("SELECT count(*) FROM syncline.second_looks"), in_doubt.to_string());
    fleet.caught_up(&[&other]);
    // A write of the one that died, which arrives only now.
    let id = fleet.sql("SELECT id FROM syncline.second_looks ORDER BY id LIMIT 1");
    let records = bench.records("subscriptions");
    let late = records.iter().find(|(_, record)| record["properties"]["salesforce_id"] == id.as_str());
    if let Some((record, _)) = late {
        let values = json!({"object": "subscriptions", "id": record, "properties": {"notes": "an old value"}});
        bench.hubspot("set", values);
        assert!(!disagreements(bench).is_empty());
    }
    wait_for("the second look", || other.said(), || fleet.sql("SELECT count(*) FROM syncline.second_looks") == "0");
    fleet.caught_up(&[&other]);
    other.end();
    assert_eq!(fleet.sql("SELECT count(*) FROM syncline.unconfirmed"), "0");
}

#[test]
fn a_first_import_never_starves_the_other_pipelines() {
    let fleet = limited(9_000, "1s");
    let bench = &fleet.portals[0];
    // The other pipeline is one that syncs already.
    let first = ["import", "--yes", "work_orders", "--project", "fleet", "--target", "p0"];
    let ran = crate::support::ended(bench.command(&first).output().unwrap());
    assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
    let worker = fleet.worker(&["--import", "--turn-calls", "10"]);
    fleet.caught_up(&[&worker]);
    let said = worker.end();
    assert!(said.contains("it paused after"), "{said}");
    let runs = |pipeline: &str, kind: &str| {
        let count = format!(
            "SELECT count(*) FROM syncline.runs r JOIN syncline.pipelines p ON p.state_id = r.state_id AND p.id = r.pipeline
             WHERE p.name = '{pipeline}' AND r.kind = '{kind}' AND r.started < (
                 SELECT max(i.started) FROM syncline.runs i JOIN syncline.pipelines q ON q.state_id = i.state_id AND q.id = i.pipeline
                 WHERE q.name = 'subscriptions' AND i.kind = 'import')"
        );
        fleet.sql(&count).parse::<u32>().unwrap()
    };
    assert!(runs("subscriptions", "import") >= 2, "{said}");
    assert!(runs("work_orders", "sync") >= 2, "{said}");
    agree(bench);
}

#[test]
fn portals_that_all_wait_have_turns_in_their_order() {
    // More is due each second than two turns at a time can do.
    let fleet = Fleet::new(shared(), &[5; 16], "1s");
    let workers =
        [fleet.worker(&["--import", "--concurrency", "1"]), fleet.worker(&["--import", "--concurrency", "1"])];
    fleet.caught_up(&[&workers[0], &workers[1]]);
    let mut waits = Waits::default();
    waits.look(shared(), &fleet.database);
    let turns = || fleet.sql("SELECT count(*) FROM watch.turns").parse::<u32>().unwrap();
    wait_for("turns", || workers[0].said(), || turns() >= 80);
    let contested = Waits::contested(shared(), &fleet.database);
    let overtaken = Waits::overtaken(shared(), &fleet.database);
    for worker in workers {
        worker.end();
    }
    assert!(contested >= 10, "{contested} turns began while another portal was due");
    // Each worker may have looked already when a portal came to be due, and begin after it.
    assert!(overtaken <= 2, "a portal waited while {overtaken} turns began that were due after it");
}

/// Calls to a Salesforce API that a sandbox has seen, and those that are drawn for the org.
fn calls_made_and_drawn(fleet: &Fleet) -> (String, String) {
    let requests = fleet.portals[0].sandbox.requests();
    let made =
        requests.iter().filter(|entry| entry.service == "salesforce" && entry.target.starts_with("/services/data"));
    let drawn = "SELECT coalesce(sum(c.value::int), 0) FROM syncline.org_calls o, jsonb_each_text(o.calls::jsonb) c";
    (made.count().to_string(), fleet.sql(drawn))
}

/// Two portals of one org, with a budget for its calls.
fn of_one_org(budget: u32) -> Fleet {
    let fleet = Fleet::new(shared(), &[10, 10], "1s");
    let (bench, other) = (&fleet.portals[0], &fleet.portals[1]);
    let (org, others) =
        (bench.sandbox.addresses()["salesforce"].clone(), other.sandbox.addresses()["salesforce"].clone());
    bench.edit("fleet/syncline.yaml", &format!("login_url: {others} }}"), &format!("login_url: {org} }}"));
    bench.edit("fleet/syncline.yaml", "type: salesforce\n", &format!("type: salesforce\n    api_budget: {budget}\n"));
    fleet
}

#[test]
fn workers_keep_the_budget_of_an_org_together() {
    let fleet = of_one_org(60);
    let workers =
        [fleet.worker(&["--import", "--concurrency", "1"]), fleet.worker(&["--import", "--concurrency", "1"])];
    wait_for(
        "the end of the budget in both portals",
        || workers.each_ref().map(Worker::said).join("\n=====\n"),
        || {
            let said = workers.each_ref().map(Worker::said).concat();
            ["p0", "p1"].iter().all(|portal| said.lines().any(|line| line.contains(portal) && line.contains("SL4105")))
        },
    );
    std::thread::sleep(Duration::from_secs(3));
    for worker in workers {
        worker.end();
    }
    assert_eq!(calls_made_and_drawn(&fleet), ("60".to_owned(), "60".to_owned()));
}

#[test]
fn calls_that_were_drawn_and_not_made_are_given_back() {
    let fleet = of_one_org(5_000);
    let bench = &fleet.portals[0];
    for target in ["p0", "p1"] {
        let import = ["import", "--yes", "work_orders", "--project", "fleet", "--target", target];
        let ran = crate::support::ended(bench.command(&import).output().unwrap());
        assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
    }
    let worker = fleet.worker(&["--import"]);
    let synced =
        "SELECT count(DISTINCT (state_id, pipeline)) FROM syncline.runs WHERE kind = 'sync' AND status = 'succeeded'";
    wait_for("cycles of both portals", || worker.said(), || fleet.sql(synced) == "4");
    let said = worker.end();
    let (made, drawn) = calls_made_and_drawn(&fleet);
    assert!(made == drawn && made.parse::<u32>().unwrap() > 10, "{made} were made, {drawn} drawn\n{said}");
}

#[test]
fn the_queue_goes_through_pgbouncer() {
    let bouncer = Bouncer::start(shared());
    let fleet = Fleet::new(shared(), &[40, 40, 40], "1s");
    let bench = &fleet.portals[0];
    let through = |text: String| text.replace(&format!(":{}/", shared().port), &format!(":{}/", bouncer.port));
    bench.write("fleet/syncline.yaml", &through(fs::read_to_string(bench.path("fleet/syncline.yaml")).unwrap()));
    let workers = [fleet.worker(&["--import"]), fleet.worker(&["--import"]), fleet.worker(&["--import"])];
    fleet.caught_up(&workers.each_ref());
    for bench in &fleet.portals {
        change(bench, "through a pool");
    }
    fleet.caught_up(&workers.each_ref());
    let done = || fleet.sql("SELECT count(*) FROM apalis.jobs WHERE status = 'Done'").parse::<u32>().unwrap();
    let before = done();
    wait_for("turns that the queue told of", || workers[0].said(), || done() >= before + 10);
    for worker in workers {
        let said = worker.end();
        assert!(!said.contains("queue"), "{said}");
    }
    fleet.portals.iter().for_each(agree);
    // Sessions that nothing was left in: more workers than server sessions worked side by side.
    assert_eq!(fleet.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"), "0");
}

#[test]
fn a_cycle_of_many_changes_is_cut_and_loses_nothing() {
    let fleet = limited(4_500, "1s");
    let bench = &fleet.portals[0];
    let worker = fleet.worker(&["--import"]);
    fleet.caught_up(&[&worker]);
    worker.end();
    for (id, row) in bench.rows("Subscription__c") {
        if row["deleted"] == false {
            bench.salesforce(
                "update",
                json!({"object": "Subscription__c", "id": id, "values": {"Notes__c": "all of them"}}),
            );
        }
    }
    let before = bench.sandbox.requests().len();
    let worker = fleet.worker(&["--turn-calls", "5"]);
    worker.says("its time was over after");
    // Of a page that was read already, among others: the watermark must not pass them.
    change(bench, "while it was cut");
    fleet.caught_up(&[&worker]);
    let noted = "SELECT count(*) FROM syncline.notes WHERE key LIKE 'cycle:%'";
    wait_for("the end of the cycle", || worker.said(), || fleet.sql(noted) == "0");
    let said = worker.end();
    assert!(said.contains("its time was over after 2000 ") && said.contains("its time was over after 4000 "), "{said}");
    agree(bench);
    let between = "SELECT count(*) FROM syncline.runs r JOIN syncline.pipelines p ON p.state_id = r.state_id AND p.id = r.pipeline
        WHERE p.name = 'work_orders' AND r.started BETWEEN (SELECT min(started) FROM cut) AND (SELECT max(started) FROM cut)";
    let cut = "WITH cut AS (SELECT r.started FROM syncline.runs r JOIN syncline.pipelines p ON p.state_id = r.state_id AND p.id = r.pipeline
        WHERE p.name = 'subscriptions' AND r.kind = 'sync' AND (r.tally::jsonb->>'read')::int > 1000)";
    assert_ne!(fleet.sql(&format!("{cut} {between}")), "0", "{said}");
    // What one part has sent the next does not send again.
    let written = bench.sandbox.requests().split_off(before);
    let written =
        written.iter().filter(|entry| entry.target.contains("/batch/update") || entry.target.contains("/batch/upsert"));
    let written = written.count();
    assert!((30..=50).contains(&written), "{written} calls\n{said}");
}

/// A worker in this process that serves one portal at a time and keeps so many open.
pub(crate) fn one_at_a_time(name: &str, open_max: usize) -> Options {
    Options {
        name: name.to_owned(),
        at_once: 1,
        open_max,
        times: times(Duration::from_secs(6), None),
        turn: Budget { time: Some(Duration::from_secs(60)), calls: Some(1_000) },
        sweep: Duration::from_millis(500),
        queue: true,
        import: true,
        run: RunOptions {
            scope: RunScope::Changed,
            allowance: Allowance::default(),
            command: "worker".to_owned(),
            trial: None,
            budget: Budget::default(),
            followed: None,
            on_progress: Arc::new(|_, _| {}),
        },
    }
}

/// A worker in this process whose clock is so many seconds ahead, until it is asked to stop.
fn by_another_clock(root: PathBuf, ahead: i64, cancel: Cancel) {
    let clock = Clock::manual(Clock::system().now() + SignedDuration::from_secs(ahead));
    let (hands, stop) = (clock.clone(), cancel.clone());
    let ticking = std::thread::spawn(move || {
        let (mut told, began) = (Duration::ZERO, Instant::now());
        while !stop.is_cancelled() {
            std::thread::sleep(Duration::from_millis(5));
            let passed = began.elapsed();
            hands.advance(passed - told);
            told = passed;
        }
        // Whoever sleeps is to wake up.
        hands.advance(Duration::from_secs(3_600));
    });
    let outside = Outside { clock, cancel, ..Outside::real() };
    let options = one_at_a_time(&format!("{ahead} s ahead"), 2);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(work(&CheckedOut { root, only: None }, &outside, &options, &|_| {})).unwrap();
    ticking.join().unwrap();
}

#[test]
fn clocks_that_differ_by_minutes_lose_nothing() {
    let fleet = Fleet::new(shared(), &[30, 30, 30], "1s");
    let root = fleet.portals[0].path("fleet");
    let cancel = Cancel::new();
    let workers = [-240, 240].map(|ahead| {
        let (root, cancel) = (root.clone(), cancel.clone());
        std::thread::spawn(move || by_another_clock(root, ahead, cancel))
    });
    fleet.caught_up(&[]);
    let turns = "SELECT min(epoch) FROM syncline.portals";
    for round in 0..4 {
        fleet.portals.iter().for_each(|bench| change(bench, &format!("round {round}")));
        fleet.caught_up(&[]);
    }
    wait_for("turns of both", String::new, || fleet.sql(turns).parse::<u32>().unwrap() > 12);
    // Both have had portals, and neither took one from the other.
    let owners = "SELECT count(DISTINCT owner) FROM syncline.portals";
    wait_for("both", || fleet.sql("SELECT owner FROM syncline.portals"), || fleet.sql(owners) == "2");
    cancel.cancel();
    for worker in workers {
        worker.join().unwrap();
    }
    assert_eq!(fleet.sql("SELECT sum(takeovers) FROM syncline.portals"), "0");
    fleet.portals.iter().for_each(agree);
}

#[test]
fn a_portal_that_a_worker_cannot_serve_keeps_no_other_waiting() {
    let fleet = Fleet::new(shared(), &[10, 10], "1s");
    let bench = &fleet.portals[0];
    bench.edit(
        "fleet/syncline.yaml",
        &format!("hubspot: {{ base_url: {} }}", fleet.portals[1].sandbox.addresses()["hubspot"]),
        &format!(
            "hubspot: {{ base_url: {}, access_token: \"${{TOKEN_OF_P1}}\" }}",
            fleet.portals[1].sandbox.addresses()["hubspot"]
        ),
    );
    let worker = fleet.worker(&["--import"]);
    worker.says("p1 cannot be served by this worker");
    assert!(worker.said().contains("TOKEN_OF_P1"), "{}", worker.said());
    wait_for("the other portal", || worker.said(), || disagreements(bench).is_empty());
    assert_eq!(fleet.portals[1].records("subscriptions").len(), 0);
    // Once it is there, it is served.
    bench.write("fleet/.env", "TOKEN_OF_P1=sandbox-hubspot-token\n");
    fleet.caught_up(&[&worker]);
    let said = worker.end();
    assert_eq!(said.matches("p1 cannot be served").count(), 1, "{said}");
}

#[test]
fn a_database_that_is_away_is_told_and_waited_for() {
    let server = Server::start();
    let fleet = Fleet::new(&server, &[20], "1s");
    let bench = &fleet.portals[0];
    let worker = fleet.worker(&["--import", "--lease", "3s"]);
    fleet.caught_up(&[&worker]);
    server.control(&["-m", "immediate", "stop"]);
    worker.says("SL6005");
    server.control(&["start"]);
    change(bench, "after the crash");
    fleet.caught_up(&[&worker]);
    worker.end();
    server.control(&["-m", "fast", "stop"]);
    let ran = crate::support::ended(bench.command(&["worker", "--project", "fleet"]).output().unwrap());
    assert!(ran.code == Some(1) && ran.stderr.contains("is the server up"), "{ran:?}");
    // A file has one process.
    bench.edit("fleet/syncline.yaml", &server.address(&fleet.database, "fleet"), "sqlite:state.db");
    let ran = crate::support::ended(bench.command(&["worker", "--project", "fleet"]).output().unwrap());
    assert!(ran.code == Some(1) && ran.stderr.contains("which workers cannot share"), "{ran:?}");
}
