//! What workers and quiet runs cost, as counts: open portals, transactions.

use std::sync::{Arc, Mutex, Weak};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use syncline::ops::worker::work;
use syncline::project::error::OpsError;
use syncline::project::fleet::{CheckedOut, Fleet as Members, Member};
use syncline::project::wiring::{Outside, Project};
use syncline::sys::cancel::Cancel;

use crate::postgres::on;
use crate::support::Bench;
use crate::support::oracle::agree;
use crate::support::postgres::{Server, shared};
use crate::workers::{Fleet, change, one_at_a_time, wait_for};

/// Portals of which it is known how many are open.
struct Counted {
    inner: CheckedOut,
    /// Something that each open project holds.
    opened: Arc<Mutex<Vec<Weak<str>>>>,
    /// Most that were open at a time.
    most: Arc<Mutex<usize>>,
}

fn open_of(opened: &Mutex<Vec<Weak<str>>>) -> usize {
    let mut opened = opened.lock().unwrap();
    opened.retain(|open| open.strong_count() > 0);
    opened.len()
}

impl Members for Counted {
    fn members(&self) -> BoxFuture<'_, Result<Vec<Member>, OpsError>> {
        self.inner.members()
    }

    fn open<'a>(&'a self, member: &'a str, outside: Outside) -> BoxFuture<'a, Result<Project, OpsError>> {
        async move {
            let project = self.inner.open(member, outside).await?;
            self.opened.lock().unwrap().push(Arc::downgrade(&project.loaded.files[0].name));
            let open = open_of(&self.opened);
            let mut most = self.most.lock().unwrap();
            *most = open.max(*most);
            Ok(project)
        }
        .boxed()
    }
}

#[test]
fn a_worker_keeps_few_portals_open_and_serves_all() {
    let fleet = Fleet::new(shared(), &[3; 8], "1s");
    let (opened, most) = (Arc::default(), Arc::new(Mutex::new(0)));
    let inner = CheckedOut { root: fleet.portals[0].path("fleet"), only: None };
    let members = Counted { inner, opened: Arc::clone(&opened), most: Arc::clone(&most) };
    let cancel = Cancel::new();
    let stop = cancel.clone();
    let worker = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let outside = Outside { cancel, ..Outside::real() };
        runtime.block_on(work(&members, &outside, &one_at_a_time("few", 3), &|_| {})).unwrap();
    });
    fleet.caught_up(&[]);
    for round in 0..2 {
        fleet.portals.iter().for_each(|bench| change(bench, &format!("round {round}")));
        fleet.caught_up(&[]);
    }
    let least = "SELECT min(epoch) FROM syncline.portals";
    wait_for("turns of all", String::new, || shared().sql(&fleet.database, least).parse::<u32>().unwrap() >= 4);
    // One more while a portal is looked at that is not to be kept.
    let (open, most) = (open_of(&opened), *most.lock().unwrap());
    assert!(open <= 4 && most <= 4, "{open} are open, {most} were at a time");
    stop.cancel();
    worker.join().unwrap();
    assert_eq!(shared().sql(&fleet.database, "SELECT count(*) FROM syncline.leases WHERE until > now()"), "0");
    fleet.portals.iter().for_each(agree);
}

#[test]
fn a_quiet_run_takes_few_transactions() {
    let server = Server::start();
    // It has transactions of its own.
    server.sql("postgres", "ALTER SYSTEM SET autovacuum = off");
    server.sql("postgres", "SELECT pg_reload_conf()");
    let database = server.database();
    let bench = Bench::new(20);
    on(&bench, &server, &database, "of_test");
    bench.import();
    for _ in 0..3 {
        bench.settle();
    }
    agree(&bench);
    let made = || {
        let others = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'");
        wait_for("the end of sessions", String::new, || server.sql("postgres", &others) == "0");
        let made = format!("SELECT xact_commit FROM pg_stat_database WHERE datname = '{database}'");
        server.sql("postgres", &made).parse::<u64>().unwrap()
    };
    for pipeline in ["subscriptions", "work_orders"] {
        let before = made();
        let ran = bench.run(&["sync", "--once", pipeline, "--format", "json"]);
        assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
        let took = made() - before;
        // 55 before that was looked at; some more where rows of a moment ago are read again.
        assert!((10..=40).contains(&took), "{took} transactions: {}", ran.stdout);
    }
}
