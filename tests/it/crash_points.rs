//! The process dies at named places within every step of every stage, without a word and without a destructor. The next run ends where
//! the run that never died ended.
//!
//! The ordinary test run dies at each place once. `tests/proof/crash-points 25` does so for 25 seeds: which scenario, and at which of
//! the times that the place is reached.

use crate::support::long::{tell, variable};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use syncline::sys::rng::Rng;

use crate::crashes::{change_everything, first_difference};
use crate::late_targets::crowd;
#[cfg(feature = "postgres")]
use crate::postgres::on;
use crate::support::moment::Moment;
use crate::support::oracle::picture;
#[cfg(feature = "postgres")]
use crate::support::postgres::shared;
use crate::support::{Bench, Ran, ended};

const IMPORT: [&str; 4] = ["import", "--yes", "--format", "json"];
const SYNC: [&str; 4] = ["sync", "--once", "--format", "json"];
const RECONCILE: [&str; 3] = ["reconcile", "--format", "json"];

/// The crash points of the sources, each with the file in which it stands.
fn points() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if !cfg!(feature = "postgres") && path.ends_with("state/postgres") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap_or_default();
            for macro_name in ["crash_point!(\"", "crash_point_within!(\""] {
                let names = text.split(macro_name).skip(1).filter_map(|rest| rest.split('"').next());
                found.extend(names.map(|name| (name.to_owned(), path.display().to_string())));
            }
        }
    }
    found.sort();
    found
}

/// One command in one world, and how it ends when it does not die.
struct Scenario {
    name: &'static str,
    bench: Bench,
    start: Moment,
    faults: Value,
    arguments: &'static [&'static str],
    expected: Value,
    /// How often each place is reached.
    reached: BTreeMap<String, u64>,
}

/// The sample world; work orders name a subscription as well, so that associations of the first pipeline wait for the second.
fn bench() -> Bench {
    let bench = Bench::new(30);
    let field = json!({"name": "Current__c", "type": "reference", "label": "Current", "custom": true,
        "referenceTo": ["Subscription__c"], "relationshipName": "Current__r"});
    bench.salesforce("add_field", json!({"object": "WorkOrder", "field": field}));
    bench.edit(
        "pipelines/work_orders.yaml",
        "associations:\n",
        "associations:\n  - field: Current__c\n    pipeline: subscriptions\n",
    );
    for name in ["subscriptions", "work_orders"] {
        let file = format!("pipelines/{name}.yaml");
        let text = fs::read_to_string(bench.path(&file)).unwrap();
        bench.write(&file, &format!("{text}\nguard: {{ archive: 100%, reject: 100% }}\n"));
    }
    // Both sides ask for one association.
    for (id, row) in bench.rows("Subscription__c") {
        let (order, status) = (&row["values"]["Work_Order__c"], &row["values"]["Status__c"]);
        if order.is_string() && status == "Active" {
            let values = json!({"Current__c": id});
            bench.salesforce("update", json!({"object": "WorkOrder", "id": order, "values": values}));
        }
    }
    bench
}

/// Subscriptions lead to a second account, by an association without a label.
fn ask_for_two_accounts(bench: &Bench) {
    let field = json!({"name": "Ship_To__c", "type": "reference", "label": "Ship to", "custom": true,
        "referenceTo": ["Account"], "relationshipName": "Ship_To__r"});
    bench.salesforce("add_field", json!({"object": "Subscription__c", "field": field}));
    let entry = "associations:\n  - { field: Ship_To__c, to: companies, match: salesforceaccountid }\n";
    bench.edit("pipelines/subscriptions.yaml", "associations:\n", entry);
}

/// What one lookup asked for, with a label, another asks for now, without: the label goes, and what stands after that is read.
fn trade_accounts(bench: &Bench) {
    let rows = bench.rows("Subscription__c");
    let active = rows.iter().filter(|(_, row)| row["deleted"] == false && row["values"]["Status__c"] == "Active");
    let leading = active.filter(|(_, row)| row["values"]["Account__c"].is_string());
    for (id, row) in leading.skip(5).take(4) {
        let values = json!({"Account__c": null, "Ship_To__c": row["values"]["Account__c"]});
        bench.salesforce("update", json!({"object": "Subscription__c", "id": id, "values": values}));
    }
}

fn run_with(bench: &Bench, arguments: &[&str], variable: (&str, &str)) -> Ran {
    ended(bench.command(arguments).env(variable.0, variable.1).output().unwrap())
}

impl Scenario {
    fn new(name: &'static str, bench: Bench, faults: Value, arguments: &'static [&'static str]) -> Self {
        let start = Moment::now(&bench);
        Self::from(start, name, bench, faults, arguments)
    }

    fn from(
        start: Moment,
        name: &'static str,
        bench: Bench,
        faults: Value,
        arguments: &'static [&'static str],
    ) -> Self {
        let trace = bench.path("trace.txt");
        fs::write(&trace, "").unwrap();
        bench.faults(faults.clone());
        let ran = run_with(&bench, arguments, ("SYNCLINE_CRASH_TRACE", trace.to_str().unwrap()));
        assert!(matches!(ran.code, Some(0 | 3)), "{name}: {ran:?}");
        bench.sandbox.clear_faults();
        nothing_is_doubled(&bench, name);
        let mut reached = BTreeMap::new();
        for line in fs::read_to_string(&trace).unwrap().lines() {
            *reached.entry(line.to_owned()).or_default() += 1;
        }
        fs::remove_file(&trace).unwrap();
        let expected = picture(&bench);
        Self { name, bench, start, faults, arguments, expected, reached }
    }

    /// Dies at a place, and demands that the run after that ends as if nothing had happened. False where calls side by side went another
    /// way and the place was reached less often.
    fn die_at(&self, point: &str, time: u64) -> bool {
        let at = format!("{}: died at {point}:{time}", self.name);
        self.start.again(&self.bench);
        self.bench.faults(self.faults.clone());
        let ran = run_with(&self.bench, self.arguments, ("SYNCLINE_CRASH_AT", &format!("{point}:{time}")));
        self.bench.sandbox.clear_faults();
        if ran.code.is_some() {
            assert!(matches!(ran.code, Some(0 | 3)), "{at}: {ran:?}");
            return false;
        }
        let ran = self.bench.run(self.arguments);
        assert!(matches!(ran.code, Some(0 | 3)), "{at}: {ran:?}");
        nothing_is_doubled(&self.bench, &at);
        let found = picture(&self.bench);
        assert!(found == self.expected, "{at}: {}", first_difference(&self.expected, &found));
        true
    }
}

/// No Salesforce id stands on two live records.
fn nothing_is_doubled(bench: &Bench, at: &str) {
    let ids: Vec<Value> = ["subscriptions", "work_orders"]
        .iter()
        .flat_map(|object| bench.records(object).into_values())
        .filter(|record| record["archived"] == false && record["properties"]["salesforce_id"].is_string())
        .map(|record| record["properties"]["salesforce_id"].clone())
        .collect();
    let distinct: BTreeSet<&str> = ids.iter().filter_map(Value::as_str).collect();
    assert_eq!(distinct.len(), ids.len(), "{at}: something is doubled");
}

fn scenarios() -> Vec<Scenario> {
    let first = Scenario::new("first import", bench(), json!([]), &IMPORT);
    let sync = {
        let bench = bench();
        ask_for_two_accounts(&bench);
        bench.import();
        change_everything(&bench);
        trade_accounts(&bench);
        Scenario::new("sync", bench, json!([]), &SYNC)
    };
    let reconcile = {
        let bench = bench();
        bench.import();
        bench.edit("pipelines/subscriptions.yaml", "    label: billing_account\n", "");
        change_everything(&bench);
        bench.sync();
        let held: Vec<Value> =
            bench.records("subscriptions").into_values().filter(|record| record["archived"] == false).collect();
        bench.hubspot("archive", json!({"object": "subscriptions", "id": held[0]["id"]}));
        let properties = json!({"notes": "by hand"});
        bench.hubspot("set", json!({"object": "subscriptions", "id": held[1]["id"], "properties": properties}));
        let gone = held[2]["properties"]["salesforce_id"].clone();
        for action in ["delete", "purge"] {
            bench.salesforce(action, json!({"object": "Subscription__c", "id": gone}));
        }
        Scenario::new("comparison", bench, json!([]), &RECONCILE)
    };
    // A run that died before, and answers without a word about what was written.
    let again = {
        let bench = bench();
        let ran = run_with(&bench, &IMPORT, ("SYNCLINE_CRASH_AT", "load.answered:1"));
        assert_eq!(ran.code, None, "{ran:?}");
        let path = "/crm/objects/**/batch/upsert";
        Scenario::new("second import", bench, json!([{"path": path, "fault": "no_results", "times": 2}]), &IMPORT)
    };
    // A company appears for which associations wait.
    let late = {
        let bench = bench();
        crowd(&bench);
        let account =
            bench.salesforce("create", json!({"object": "Account", "values": {"Name": "Late"}}))["id"].clone();
        let orders = bench.rows("WorkOrder");
        for id in orders.keys().take(2) {
            bench.salesforce("update", json!({"object": "WorkOrder", "id": id, "values": {"AccountId": account}}));
        }
        bench.import();
        let properties = json!({"name": "Late", "salesforceaccountid": account});
        bench.hubspot("create", json!({"object": "0-2", "properties": properties}));
        bench.sandbox.advance(std::time::Duration::from_secs(10));
        Scenario::new("sync with a company that came late", bench, json!([]), &SYNC)
    };
    let all = vec![first, sync, reconcile, again, late];
    #[cfg(feature = "postgres")]
    let all = all.into_iter().chain(on_a_server()).collect();
    all
}

/// A sync whose state is in PostgreSQL.
#[cfg(feature = "postgres")]
fn on_a_server() -> [Scenario; 1] {
    let (bench, database) = (bench(), shared().database());
    on(&bench, shared(), &database, "of_test");
    bench.import();
    change_everything(&bench);
    let start = Moment::with_database(&bench, &database);
    [Scenario::from(start, "sync with a state in PostgreSQL", bench, json!([]), &SYNC)]
}

#[test]
fn a_run_that_dies_at_any_named_place_is_made_good_by_the_next() {
    let points = points();
    let names: BTreeSet<&String> = points.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), points.len(), "each name stands at one place: {points:?}");
    assert!(names.len() >= 40, "only {} crash points", names.len());
    let gated = "#[cfg(debug_assertions)]\npub mod crash_watch;";
    let modules = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sys/mod.rs")).unwrap();
    assert!(modules.contains(gated), "the released program has none of it");
    let scenarios = scenarios();
    let never: Vec<_> = names
        .iter()
        .filter(|name| scenarios.iter().all(|scenario| !scenario.reached.contains_key(name.as_str())))
        .collect();
    assert!(never.is_empty(), "no scenario reaches {never:?}");
    let seeds: u64 = variable("CRASH_POINT_SEEDS").unwrap_or(1);
    // Parts of many seeds can be played side by side.
    let from: u64 = variable("CRASH_POINT_FROM").unwrap_or(1);
    let (mut kills, mut missed) = (0, 0);
    for seed in from..from + seeds {
        let rng = Rng::seeded(seed);
        for name in &names {
            let fitting: Vec<&Scenario> =
                scenarios.iter().filter(|scenario| scenario.reached.contains_key(name.as_str())).collect();
            let scenario = fitting[rng.below(fitting.len() as u64) as usize];
            let time = 1 + rng.below(scenario.reached[name.as_str()]);
            // Calls side by side do not come in the same order each time.
            let died = scenario.die_at(name, time) || scenario.die_at(name, 1);
            if died { kills += 1 } else { missed += 1 }
        }
    }
    tell(&format!(
        "crash points: {} places × {seeds} seeds: {kills} kills, {missed} missed, 0 lost, 0 doubled",
        names.len()
    ));
    assert!(missed * 20 <= kills, "{missed} kills never came");
}
