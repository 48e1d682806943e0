//! Many portals and some workers, while workers are killed and stopped, the database crashes, connections are cut, and both services falter: in
//! the end each portal holds what it would hold otherwise.
//!
//! The ordinary test run does so for a minute; `tests/proof/failover 3600 200` for an hour and 200 portals, and `tests/proof/failover 3600 200 1`
//! with a fleet that is always behind: more is due than three workers can do, and what is fair then is measured.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use syncline::sandbox::options::SandboxOptions;
use syncline::sys::rng::Rng;

use crate::support::Bench;
use crate::support::long::{tell, variable};
use crate::support::oracle::{agree, disagreements};
use crate::support::postgres::Server;
use crate::support::waits::Waits;
use crate::workers::{Fleet, Worker, change};

const WORKERS: usize = 3;

/// How long a portal is a worker's without a renewal. As in earnest, but where the test is to be over in a minute.
fn lease(seconds: u64) -> &'static str {
    if seconds >= 600 { "30s" } else { "6s" }
}

/// Faults that pass, at one request of twenty.
fn faults(seed: u64) -> Value {
    let kinds = [
        ("hubspot", "bad_gateway"),
        ("hubspot", "reset_before"),
        ("hubspot", "reset_after"),
        ("hubspot", "gateway_timeout"),
        ("hubspot", "locked"),
        ("salesforce", "reset_before"),
        ("salesforce", "unavailable"),
        ("salesforce", "expired"),
    ];
    let share = |service: &str| kinds.iter().filter(|(known, _)| *known == service).count() as f64;
    let rule = |(service, fault): &(&str, &str)| json!({"service": service, "fault": fault, "probability": 0.05 / share(service)});
    json!({"seed": seed, "rules": kinds.iter().map(rule).collect::<Vec<_>>()})
}

/// What was done to the fleet, in numbers.
#[derive(Debug, Default)]
struct Numbers {
    killed: u64,
    stopped: u64,
    crashes: u64,
    cut: u64,
    changes: u64,
}

/// Those who make trouble.
struct Trouble<'a> {
    fleet: &'a Fleet,
    server: &'a Server,
    rng: Rng,
    lease: &'static str,
    /// How many portals a worker serves at a time.
    concurrency: &'static str,
    workers: Vec<Worker>,
    stopped: Vec<(usize, Instant)>,
    blows: u64,
    numbers: Numbers,
}

impl Trouble<'_> {
    fn worker(&self) -> Worker {
        self.fleet.worker(&["--import", "--lease", self.lease, "--wire", "20s", "--concurrency", self.concurrency])
    }

    fn pick(&self) -> usize {
        self.rng.below(WORKERS as u64) as usize
    }

    /// One blow.
    fn strike(&mut self, stop_for: Duration) {
        let now = Instant::now();
        let over: Vec<usize> =
            self.stopped.iter().filter(|(_, until)| *until <= now).map(|(worker, _)| *worker).collect();
        self.stopped.retain(|(_, until)| *until > now);
        over.into_iter().for_each(|worker| self.workers[worker].signal("-CONT"));
        let is_stopped = |worker| self.stopped.iter().any(|(stopped, _)| *stopped == worker);
        // Each kind in turn, so that none is left out of a short run.
        self.blows += 1;
        match self.blows % 4 {
            1 => {
                let worker = self.pick();
                if !is_stopped(worker) {
                    self.workers[worker] = self.worker();
                    self.numbers.killed += 1;
                }
            }
            2 => {
                let worker = self.pick();
                // One works on.
                if !is_stopped(worker) && self.stopped.len() + 1 < WORKERS {
                    self.workers[worker].signal("-STOP");
                    self.stopped.push((worker, now + stop_for));
                    self.numbers.stopped += 1;
                }
            }
            3 => {
                let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid()
                    AND datname = current_database() AND random() < 0.3";
                self.numbers.cut += self.server.sql(&self.fleet.database, cut).parse::<u64>().unwrap();
            }
            _ => {
                self.server.control(&["-m", "immediate", "stop"]);
                std::thread::sleep(Duration::from_millis(self.rng.below(1_000)));
                self.server.control(&["start"]);
                self.numbers.crashes += 1;
            }
        }
    }
}

/// No turn makes a call once a later one has begun: with each portal, the numbers that calls name only go up.
fn turns_of(bench: &Bench, service: &str) -> Vec<i64> {
    let of_call = |headers: &[(String, String)]| {
        let named = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("syncline-turn"));
        named.map_or(0, |(_, turn)| turn.parse().unwrap())
    };
    let requests = bench.sandbox.requests();
    requests.iter().filter(|entry| entry.service == service).map(|entry| of_call(&entry.headers)).collect()
}

#[test]
fn portals_outlive_workers_databases_and_weather() {
    let seconds = variable("FAILOVER_SECONDS").unwrap_or(45);
    let portals = variable("FAILOVER_PORTALS").unwrap_or(8) as usize;
    let seed = variable("FAILOVER_SEED").unwrap_or(1);
    let behind = variable("FAILOVER_BEHIND").is_some_and(|behind| behind > 0);
    let server = Server::start();
    let options = |place: usize| SandboxOptions {
        records: 20 + place % 30,
        latency: Duration::from_millis(if behind { 200 } else { 5 }),
        rate_limit: (100, Duration::from_secs(10)),
        ..SandboxOptions::default()
    };
    let benches: Vec<Bench> = (0..portals).map(|place| Bench::with(options(place))).collect();
    let every = if seconds >= 600 && !behind { "60s" } else { "5s" };
    let fleet = Fleet::on(&server, benches, every);
    if behind {
        // An import takes longer than what is measured, and so does the first cycle after one.
        fleet.import(&server, WORKERS);
    }
    for (bench, place) in fleet.portals.iter().zip(0..) {
        bench.sandbox.add_faults(&serde_json::from_value(faults(seed + place)).unwrap()).unwrap();
    }
    let mut trouble = Trouble {
        fleet: &fleet,
        server: &server,
        rng: Rng::seeded(seed),
        lease: lease(seconds),
        concurrency: if behind { "2" } else { "8" },
        workers: Vec::new(),
        stopped: Vec::new(),
        blows: 0,
        numbers: Numbers::default(),
    };
    trouble.workers = (0..WORKERS).map(|_| trouble.worker()).collect();
    let (end, mut waits) = (Instant::now() + Duration::from_secs(seconds), Waits::default());
    let stop_for = Duration::from_secs(if seconds >= 600 { 40 } else { 8 });
    std::thread::sleep(Duration::from_secs(5));
    while Instant::now() < end {
        let pause = if seconds >= 600 { 4_000 } else { 1_500 };
        let until = Instant::now() + Duration::from_millis(pause / 2 + trouble.rng.below(pause));
        while Instant::now() < until {
            let bench = &fleet.portals[trouble.rng.below(portals as u64) as usize];
            change(bench, &format!("change {}", trouble.numbers.changes));
            trouble.numbers.changes += 5;
            waits.look(&server, &fleet.database);
            std::thread::sleep(Duration::from_millis(300));
        }
        trouble.strike(stop_for);
    }
    // Of the time of trouble, as what follows is quick.
    let (all, undisturbed) = (waits.of(&server, &fleet.database, false), waits.of(&server, &fleet.database, true));
    let [takeovers, on_average, latest] = Waits::takeovers(&server, &fleet.database);
    trouble.stopped.drain(..).for_each(|(worker, _)| trouble.workers[worker].signal("-CONT"));
    fleet.portals.iter().for_each(|bench| bench.sandbox.clear_faults());
    if behind {
        // What waits by then is carried out by as many as do it in time.
        trouble.concurrency = "8";
        trouble.workers = (0..WORKERS).map(|_| trouble.worker()).collect();
    }
    // Of each portal, everything is settled in the end.
    let end = Instant::now() + Duration::from_secs(120 + portals as u64);
    for (place, bench) in fleet.portals.iter().enumerate() {
        while !disagreements(bench).is_empty() {
            let said: Vec<String> = trouble.workers.iter().map(Worker::said).collect();
            let said: String = said.join("\n=====\n");
            let last = &said[said.len().saturating_sub(8_000)..];
            assert!(Instant::now() < end, "p{place}: {:#?}\n{last}", disagreements(bench));
            std::thread::sleep(Duration::from_millis(500));
        }
    }
    let numbers = std::mem::take(&mut trouble.numbers);
    trouble.workers.drain(..).for_each(|worker| drop(worker.end()));
    let (mut limited, mut requests, mut turns) = (0, 0, 0);
    for (place, bench) in fleet.portals.iter().enumerate() {
        agree(bench);
        for service in ["hubspot", "salesforce"] {
            let named = turns_of(bench, service);
            assert!(named.iter().all(|turn| *turn > 0), "p{place}: a call without a turn");
            assert!(named.is_sorted(), "p{place}: {service} was called in a turn that was over: {named:?}");
            turns = turns.max(named.last().copied().unwrap_or_default());
        }
        let all = bench.sandbox.requests();
        requests += all.len();
        limited += all.iter().filter(|entry| entry.status == 429 && entry.fault.is_none()).count();
        let problems = bench.run(&["state", "check", "--format", "json"]).code(0).json()["problems"].clone();
        assert_eq!(problems, json!([]), "p{place}");
    }
    assert_eq!(limited, 0, "calls that HubSpot refused for their number");
    let Numbers { killed, stopped, crashes, cut, changes } = numbers;
    assert!([killed, stopped, crashes, cut].iter().all(|count| *count > 0), "{killed} {stopped} {crashes} {cut}");
    let waited = format!(
        "{takeovers} takeovers, {on_average:.1} s after the lease's end on average and {latest:.0} s at most; {} waits of due portals with leases of {}: {:.1} s on average, {:.1} s in the portal that waits longest on average, {:.0} s the longest; \
         {} without a turn that broke off in them: {:.1} s on average, {:.0} s the longest",
        all.count,
        trouble.lease,
        all.mean,
        all.portal,
        all.longest,
        undisturbed.count,
        undisturbed.mean,
        undisturbed.longest
    );
    let load = if behind { ", always behind" } else { "" };
    tell(&format!(
        "failover: {seconds} s, {portals} portals{load}, {WORKERS} workers: {killed} killed, {stopped} stopped, {crashes} crashes of the database, {cut} connections cut, \
         5 % faults; {changes} changes, {requests} requests, up to {turns} turns a portal; 0 lost, 0 doubled, 0 × 429, no portal in two hands; {waited}"
    ));
    // Of a lease of 30 s, so 45 s after its last renewal.
    assert!(seconds < 600 || latest <= 15.0, "a takeover came too late");
    // One takeover alone takes the lease, so that this can be had where portals wait longer than that for their turn.
    assert!(!behind || seconds < 600 || all.longest <= 2.0 * all.mean, "some portal waited far longer than the others");
}
