//! Properties over random worlds: a plan is what the run then does, a second run does nothing, the two sides agree.

use serde_json::{Value, json};

use crate::support::oracle::agree;
use crate::support::{Bench, report};

const OBJECT: &str = "Subscription__c";

/// The numbers of a plan that the run must have as well.
const NUMBERS: [&str; 12] = [
    "read",
    "created",
    "updated",
    "unchanged",
    "archived",
    "restored",
    "filtered",
    "associated",
    "disassociated",
    "pending_associations",
    "failed",
    "failed_associations",
];

/// Chance from a seed (splitmix64), so that a failing world can be made again.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).unwrap()
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// Does something that people do in Salesforce or HubSpot.
fn step(bench: &Bench, chance: &mut Chance) -> String {
    let rows = bench.rows(OBJECT);
    let live: Vec<&String> = rows.iter().filter(|(_, row)| row["deleted"] == false).map(|(id, _)| id).collect();
    let gone: Vec<&String> = rows.iter().filter(|(_, row)| row["deleted"] == true).map(|(id, _)| id).collect();
    let id = (*chance.pick(&live)).clone();
    let update = |values: Value| {
        let text = values.to_string();
        bench.salesforce("update", json!({"object": OBJECT, "id": id, "values": values}));
        format!("{id} becomes {text}")
    };
    match chance.below(10) {
        0 => update(json!({"Status__c": *chance.pick(&["Active", "On Hold", "Cancelled", "Draft"])})),
        1 => update(json!({"Name": format!("Renamed {}", chance.below(1000))})),
        2 => update(json!({"Amount__c": chance.below(100_000)})),
        3 => update(json!({"Channels__c": *chance.pick(&["Email", "Web;Email", "Fax", ""])})),
        4 => {
            let accounts: Vec<String> = bench.rows("Account").into_keys().collect();
            update(json!({"Account__c": chance.pick(&accounts)}))
        }
        5 => update(json!({"Account__c": null})),
        6 => {
            let orders: Vec<String> = bench.rows("WorkOrder").into_keys().collect();
            update(json!({"Work_Order__c": chance.pick(&orders)}))
        }
        7 => {
            bench.salesforce("delete", json!({"object": OBJECT, "id": id}));
            format!("{id} is deleted")
        }
        8 if !gone.is_empty() => {
            let id = *chance.pick(&gone);
            bench.salesforce("undelete", json!({"object": OBJECT, "id": id}));
            format!("{id} comes back")
        }
        _ => {
            let values = json!({"Name": format!("New {}", chance.below(1000)), "Status__c": "Active"});
            bench.salesforce("create", json!({"object": OBJECT, "values": values}));
            "one is made".to_owned()
        }
    }
}

/// The files of the state, but for what a reader of a database leaves beside it.
fn kept(bench: &Bench) -> Option<Vec<u8>> {
    std::fs::read(bench.path(".syncline/state.db")).ok()
}

/// Plans, runs, and demands that both have the same numbers.
#[track_caller]
fn as_planned(bench: &Bench, run: &[&str], story: &str) {
    let records = || [bench.records("subscriptions"), bench.records("work_orders"), bench.records("companies")];
    let (before, state) = (records(), kept(bench));
    let planned = bench.run(&["plan", "--format", "json"]).code(0).json();
    assert!(records() == before && kept(bench) == state, "a plan wrote something\n{story}");
    let ran = bench.run(run);
    assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}\n{story}");
    let done = ran.json();
    for name in ["subscriptions", "work_orders"] {
        let (plan, run) = (report(&planned, name), report(&done, name));
        for number in NUMBERS {
            assert_eq!(plan[number], run[number], "{name}, {number}\nplan {plan}\nrun {run}\n{story}");
        }
    }
}

fn world(seed: u64) {
    let mut chance = Chance(seed);
    let bench = Bench::new(25 + chance.below(40));
    // A large share of a small world may go at once.
    for name in ["subscriptions", "work_orders"] {
        let file = format!("pipelines/{name}.yaml");
        let text = std::fs::read_to_string(bench.path(&file)).unwrap();
        bench.write(&file, &format!("{text}\nguard: {{ archive: 100% }}\n"));
    }
    if chance.below(2) == 0 {
        bench.edit("pipelines/subscriptions.yaml", "on_filter_exit: keep", "on_filter_exit: archive");
    }
    if chance.below(3) == 0 {
        bench.edit("pipelines/subscriptions.yaml", "on_delete: archive", "on_delete: keep");
    }
    let mut story = format!("seed {seed}\n");
    as_planned(&bench, &["import", "--yes", "--format", "json"], &story);
    for cycle in 0..4 {
        for _ in 0..chance.below(12) {
            story.push_str(&format!("cycle {cycle}: {}\n", step(&bench, &mut chance)));
        }
        as_planned(&bench, &["sync", "--once", "--format", "json"], &story);
    }
    // Nothing is left to do for an import either.
    let last = bench.import();
    for number in ["created", "updated", "archived", "restored", "associated", "disassociated"] {
        assert_eq!(report(&last, "subscriptions")[number], 0, "{number}: {last}\n{story}");
    }
    let text = std::fs::read_to_string(bench.path("pipelines/subscriptions.yaml")).unwrap();
    if text.contains("on_delete: archive") {
        agree(&bench);
    }
}

#[test]
fn a_plan_is_what_the_run_then_does() {
    (0..8).for_each(world);
}

#[test]
fn a_plan_is_what_the_run_then_does_in_other_worlds() {
    (100..108).for_each(world);
}

/// Changes of a mapping that people make: what stands in the file, and what comes in its place.
const EDITS: [(&str, &str); 18] = [
    ("from: External_Code__c, to: external_code", "from: Billing_Email__c, to: external_code"),
    ("from: Billing_Email__c, to: external_code", "from: External_Code__c, to: external_code"),
    ("On Hold: on_hold", "On Hold: cancelled"),
    ("On Hold: cancelled", "On Hold: on_hold"),
    ("Draft: draft }", "Draft: draft, Legacy: cancelled }"),
    ("  - { from: Seats__c, to: seats }\n", ""),
    (
        "  - { from: Start__c, to: start_date }\n",
        "  - { from: Start__c, to: start_date }\n  - { from: Currency__c, to: currency }\n",
    ),
    ("  - { from: Currency__c, to: currency }\n", ""),
    ("to: amount, when_blank: keep", "to: amount"),
    ("value: salesforce }", "value: crm }"),
    ("where: Status__c != 'Draft'", "where: Status__c NOT IN ('Draft', 'Cancelled')"),
    ("where: Status__c NOT IN ('Draft', 'Cancelled')", "where: Amount__c > 500"),
    ("where: Amount__c > 500", "where: Status__c != 'Draft'"),
    ("on_filter_exit: keep", "on_filter_exit: archive"),
    ("on_filter_exit: archive", "on_filter_exit: keep"),
    ("    label: billing_account\n", ""),
    ("  - field: Work_Order__c\n    pipeline: work_orders\n", ""),
    ("{ from: Notes__c, to: notes }", "{ from: Notes__c, to: notes, on_create_only: true }"),
];

/// Saves a plan, applies it, and demands that both have the same numbers.
#[track_caller]
fn as_saved(bench: &Bench, story: &str) -> Value {
    let planned = bench.run(&["plan", "--format", "json", "--sample", "1000", "--out", "saved.plan"]).code(0).json();
    let ran = bench.run(&["apply", "saved.plan", "--yes", "--format", "json"]);
    assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}\n{story}");
    let done = ran.json();
    for name in ["subscriptions", "work_orders"] {
        let (plan, run) = (report(&planned, name), report(&done, name));
        for number in NUMBERS {
            assert_eq!(plan[number], run[number], "{name}, {number}\nplan {plan}\nrun {run}\n{story}");
        }
        let counted: u64 = plan["actions"]["update"].as_u64().unwrap_or_default();
        assert_eq!(Some(counted), run["updated"].as_u64(), "{name}: {plan}\n{story}");
    }
    planned
}

fn changing_world(seed: u64) {
    let mut chance = Chance(seed);
    let bench = Bench::new(25 + chance.below(40));
    for name in ["subscriptions", "work_orders"] {
        let file = format!("pipelines/{name}.yaml");
        let text = std::fs::read_to_string(bench.path(&file)).unwrap();
        bench.write(&file, &format!("{text}\nguard: {{ archive: 100% }}\n"));
    }
    let mut story = format!("seed {seed}\n");
    as_saved(&bench, &story);
    for cycle in 0..4 {
        for _ in 0..chance.below(4) {
            let text = std::fs::read_to_string(bench.path("pipelines/subscriptions.yaml")).unwrap();
            let twice = |to: &str| to.contains("Currency__c") && text.contains("Currency__c");
            let possible: Vec<_> = EDITS.iter().filter(|(from, to)| text.contains(from) && !twice(to)).collect();
            let (from, to) = chance.pick(&possible);
            story.push_str(&format!("cycle {cycle}: {from:?} becomes {to:?}\n"));
            bench.edit("pipelines/subscriptions.yaml", from, to);
        }
        for _ in 0..chance.below(8) {
            story.push_str(&format!("cycle {cycle}: {}\n", step(&bench, &mut chance)));
        }
        as_saved(&bench, &story);
        // What was carried over is not sent again, and nothing of it is left behind.
        let writes = |bench: &Bench| {
            let sent = bench.sandbox.requests().into_iter().filter(|entry| entry.service == "hubspot");
            sent.filter(|entry| entry.target.contains("/batch/upsert") || entry.target.contains("/batch/archive"))
                .count()
        };
        let before = writes(&bench);
        let stale = bench.run(&["import", "--stale", "--yes", "--format", "json"]).json();
        let outcome = report(&stale, "subscriptions");
        assert_eq!(writes(&bench), before, "{outcome}\n{story}");
        let status = bench.run(&["status", "--format", "json"]).code(0).json();
        let status_of_one = report(&status, "subscriptions");
        let rejected = status_of_one["open_failures"].as_u64().unwrap();
        assert!(status_of_one["stale"].as_u64().unwrap() <= rejected, "{status_of_one}\n{story}");
        assert_eq!(status_of_one["filter_changed"], false, "{status_of_one}\n{story}");
    }
    // A mapping that nothing is behind of, with everything carried over: an import finds nothing to do.
    let last = bench.import();
    for number in ["created", "updated", "archived", "restored", "associated", "disassociated"] {
        assert_eq!(report(&last, "subscriptions")[number], 0, "{number}: {last}\n{story}");
    }
}

#[test]
fn a_saved_plan_of_a_changed_mapping_is_what_apply_does() {
    for seed in 0..12 {
        changing_world(7_000 + seed);
    }
}
