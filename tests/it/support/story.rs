//! A world in which a run meets trouble: what it said is true and tells no secret, and the next run ends in agreement.

use std::fs;

use serde_json::{Value, json};
use syncline::sandbox::options::{CLIENT_SECRET, HUBSPOT_TOKEN};

use super::moment::Moment;
use super::oracle::{agree, picture};
use super::{Bench, Ran};

pub(crate) const IMPORT: [&str; 5] = ["import", "--yes", "--format", "json", "-vv"];
pub(crate) const SYNC: [&str; 5] = ["sync", "--once", "--format", "json", "-vv"];
const OBJECT: &str = "Subscription__c";

/// How every session token of the sandbox begins.
const SESSION: &str = "00D5g000004XYZk!";

/// A middle line of the private key in the tests' assertions.
pub(crate) const KEY: &str = include_str!("../../../src/sys/testdata/jwt_pkcs8.pem");

/// Demands that no secret stands in what a run said or keeps.
#[track_caller]
pub(crate) fn no_secret(bench: &Bench, ran: &Ran) {
    let key_line = KEY.lines().nth(5).unwrap();
    let secrets = [CLIENT_SECRET, HUBSPOT_TOKEN, SESSION, key_line, "refresh-0", "assertion=", "Bearer "];
    for secret in secrets {
        assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "`{secret}` is told: {ran:?}");
        for entry in fs::read_dir(bench.path(".syncline")).into_iter().flatten().flatten() {
            let kept = fs::read(entry.path()).unwrap_or_default();
            let found = kept.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "`{secret}` is kept in {:?}", entry.path());
        }
    }
}

/// Changes that a sync must carry over.
pub(crate) fn change(bench: &Bench) {
    let failed = bench.failures();
    let well = |id: &str| !failed.iter().any(|failure| failure["salesforce_id"] == id);
    let rows = bench.rows(OBJECT);
    let active: Vec<&String> =
        rows.iter().filter(|(id, row)| row["values"]["Status__c"] == "Active" && well(id)).map(|(id, _)| id).collect();
    bench.salesforce("update", json!({"object": OBJECT, "id": active[0], "values": {"Notes__c": "changed"}}));
    bench.salesforce("update", json!({"object": OBJECT, "id": active[1], "values": {"Account__c": null}}));
    bench.salesforce("delete", json!({"object": OBJECT, "id": active[2]}));
    bench.salesforce("create", json!({"object": OBJECT, "values": {"Name": "New one", "Status__c": "Active"}}));
}

/// A world, and what it must look like in the end.
pub(crate) struct Story {
    pub(crate) bench: Bench,
    start: Moment,
    arguments: [&'static str; 5],
    expected: Value,
    /// Salesforce calls of a run without trouble.
    pub(crate) calls: u64,
}

impl Story {
    pub(crate) fn new(bench: Bench, arguments: [&'static str; 5]) -> Self {
        if arguments[0] == "sync" {
            bench.import();
            change(&bench);
        }
        let start = Moment::now(&bench);
        bench.sandbox.forget_requests();
        let ran = bench.run(&arguments);
        assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
        agree(&bench);
        let calls = bench.calls("salesforce") as u64;
        let expected = picture(&bench);
        Self { bench, start, arguments, expected, calls }
    }

    /// The run in trouble; `heal` ends the trouble. Then one run more, after which all must be as without it.
    pub(crate) fn tell(&self, name: &str, cause: impl FnOnce(&Bench), heal: impl FnOnce(&Bench)) -> Ran {
        self.start.again(&self.bench);
        cause(&self.bench);
        let ran = self.bench.run(&self.arguments);
        no_secret(&self.bench, &ran);
        self.bench.sandbox.clear_faults();
        heal(&self.bench);
        let next = self.bench.run(&self.arguments);
        assert!(matches!(next.code, Some(0 | 3)), "{name}: {next:?}");
        no_secret(&self.bench, &next);
        agree(&self.bench);
        assert!(picture(&self.bench) == self.expected, "{name}: another end than without trouble");
        ran
    }

    pub(crate) fn faults(&self, name: &str, rules: Value) -> Ran {
        self.tell(name, |bench| bench.faults(rules), |_| {})
    }
}
