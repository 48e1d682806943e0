//! What a plan must foresee because of what else the same command does, or because of what became of earlier failures.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Bench, report};

/// Plans, runs, and demands that both have the same numbers.
#[track_caller]
fn as_foretold(bench: &Bench, plan: &[&str], run: &[&str]) -> Value {
    let planned = bench.run(plan).code(0).json();
    let ran = bench.run(run);
    assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
    let done = ran.json();
    for name in ["work_orders", "subscriptions"] {
        let (plan, run) = (report(&planned, name), report(&done, name));
        for number in [
            "read",
            "created",
            "updated",
            "archived",
            "restored",
            "filtered",
            "failed",
            "associated",
            "disassociated",
            "pending_associations",
        ] {
            assert_eq!(plan[number], run[number], "{name}, {number}\nplan {plan}\nrun {run}");
        }
    }
    done
}

const PLAN_RECONCILE: [&str; 4] = ["plan", "--reconcile", "--format", "json"];
const RECONCILE: [&str; 3] = ["reconcile", "--format", "json"];
const PLAN_IMPORT: [&str; 4] = ["plan", "--full", "--format", "json"];
const IMPORT: [&str; 4] = ["import", "--yes", "--format", "json"];
const PLAN_SYNC: [&str; 3] = ["plan", "--format", "json"];
const SYNC: [&str; 4] = ["sync", "--once", "--format", "json"];

/// The sample world, imported.
fn imported() -> Bench {
    let bench = unguarded(Bench::new(30));
    bench.import();
    bench
}

/// The same, where work orders name a subscription as well: the one that names them.
fn imported_both_ways() -> Bench {
    let bench = both_ways();
    bench.import();
    bench
}

fn both_ways() -> Bench {
    let bench = unguarded(Bench::new(30));
    let field = json!({"name": "Current__c", "type": "reference", "label": "Current", "custom": true,
        "referenceTo": ["Subscription__c"], "relationshipName": "Current__r"});
    bench.salesforce("add_field", json!({"object": "WorkOrder", "field": field}));
    let entry = "associations:\n  - field: Current__c\n    pipeline: subscriptions\n";
    bench.edit("pipelines/work_orders.yaml", "associations:\n", entry);
    for (id, row) in pairs(&bench) {
        bench.salesforce("update", json!({"object": "WorkOrder", "id": row, "values": {"Current__c": id}}));
    }
    bench
}

/// Subscriptions that stand in HubSpot, or would, each with its work order.
fn pairs(bench: &Bench) -> Vec<(String, String)> {
    let rows = bench.rows("Subscription__c").into_iter();
    let standing = rows.filter(|(_, row)| row["values"]["Status__c"] == "Active" && row["deleted"] == false);
    standing.filter_map(|(id, row)| Some((id, row["values"]["Work_Order__c"].as_str()?.to_owned()))).collect()
}

fn unguarded(bench: Bench) -> Bench {
    for name in ["subscriptions", "work_orders"] {
        let file = format!("pipelines/{name}.yaml");
        let text = std::fs::read_to_string(bench.path(&file)).unwrap();
        bench.write(&file, &format!("{text}\nguard: {{ archive: 100%, reject: 100% }}\n"));
    }
    bench
}

/// A number of a pipeline's report.
fn number(done: &Value, name: &str, number: &str) -> u64 {
    report(done, name)[number].as_u64().unwrap()
}

#[test]
fn an_association_with_a_record_that_the_same_comparison_archives_waits() {
    let bench = imported();
    let rows = bench.rows("Subscription__c");
    let held =
        |row: &&serde_json::Value| row["values"]["Status__c"] == "Active" && row["values"]["Work_Order__c"].is_string();
    let order = rows.values().find(held).unwrap()["values"]["Work_Order__c"].clone();
    bench.salesforce("delete", json!({"object": "WorkOrder", "id": order}));
    as_foretold(&bench, &PLAN_RECONCILE, &RECONCILE);
}

#[test]
fn a_failure_whose_record_is_no_longer_shown_is_looked_at() {
    for (plan, run) in [
        (&PLAN_RECONCILE[..], &RECONCILE[..]),
        (&["plan", "--full", "--format", "json"], &["import", "--yes", "--format", "json"]),
    ] {
        let bench = imported();
        let failed = bench.failures().into_iter().find(|failure| failure["pipeline"] == "subscriptions").unwrap();
        bench.salesforce("hide_rows", json!({"object": "Subscription__c", "ids": [failed["salesforce_id"]]}));
        as_foretold(&bench, plan, run);
        assert!(
            bench.failures().iter().all(|failure| failure["salesforce_id"] != failed["salesforce_id"]),
            "it is closed"
        );
    }
}

#[test]
fn lookups_that_wait_for_a_pipeline_which_runs_later_are_foretold_as_made() {
    let bench = Bench::new(60);
    let plan = ["plan", "--full", "--sample", "100", "--format", "json"];
    let planned = bench.run(&plan).code(0).json();
    let subscriptions = report(&planned, "subscriptions");
    let said: Vec<&serde_json::Value> = subscriptions["changes"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|change| change["associations"].as_array().unwrap())
        .filter(|association| association["association"].as_str().unwrap().starts_with("Work_Order__c"))
        .map(|association| &association["action"])
        .collect();
    assert!(said.len() > 5 && said.iter().all(|action| **action == "associate"), "{said:?}");
    as_foretold(&bench, &plan, &["import", "--yes", "--format", "json"]);
}

#[test]
fn lookups_to_later_records_of_the_same_pipeline_are_foretold_as_made() {
    let pairs = crate::associations::Pairs::new(&["field: Parent__c, pipeline: subs"]);
    pairs.with_itself();
    let ids: Vec<String> =
        (0..250).map(|number| pairs.create("Subscription__c", json!({"Name": format!("S {number}")}))).collect();
    // The first records of a read lead to the last ones.
    for place in 0..20 {
        pairs.update("Subscription__c", &ids[place], json!({"Parent__c": ids[249 - place]}));
    }
    let planned = pairs.bench.run(&["plan", "--full", "--format", "json"]).code(0).json();
    let done = pairs.bench.import();
    let (planned, done) = (report(&planned, "subs"), report(&done, "subs"));
    assert_eq!(done["associated"], 20, "{done}");
    for number in ["created", "associated", "pending_associations"] {
        assert_eq!(planned[number], done[number], "{number}\n{planned}\n{done}");
    }
}

#[test]
fn associations_that_fail_are_counted_once_although_a_later_pipeline_makes_what_others_wait_for() {
    let bench = Bench::new(60);
    // Each company has a twin, so that no association leads to one of them.
    let companies = bench.records("0-2").into_values();
    let accounts = companies.map(|company| company["properties"]["salesforceaccountid"].clone());
    for account in accounts.filter(serde_json::Value::is_string).collect::<Vec<_>>() {
        let properties = json!({"name": "twin", "salesforceaccountid": account});
        bench.hubspot("create", json!({"object": "0-2", "properties": properties}));
    }
    let planned = bench.run(&["plan", "--full", "--format", "json"]).code(0).json();
    let done = bench.import();
    let (planned, done) = (report(&planned, "subscriptions"), report(&done, "subscriptions"));
    assert!(done["failed_associations"].as_u64() > Some(0) && done["associated"].as_u64() > Some(0), "{done}");
    for number in ["associated", "failed_associations", "pending_associations"] {
        assert_eq!(planned[number], done[number], "{number}\n{planned}\n{done}");
    }
}

#[test]
fn associations_with_records_that_are_made_again_are_foretold_in_whatever_order_pipelines_run() {
    // What is made again is, in turn, at the end of the pipeline that runs first, and of the one that runs later.
    for object in ["WorkOrder", "Subscription__c"] {
        for (plan, run) in
            [(&PLAN_SYNC[..], &SYNC[..]), (&PLAN_RECONCILE[..], &RECONCILE[..]), (&PLAN_IMPORT[..], &IMPORT[..])]
        {
            let bench = both_ways();
            bench.edit("pipelines/work_orders.yaml", "on_delete: keep", "on_delete: archive");
            bench.import();
            let held = |object: &str, id: &str| {
                bench.records(object).values().any(|record| record["properties"]["salesforce_id"] == id)
            };
            let both = |(one, other): &(String, String)| held("subscriptions", one) && held("work_orders", other);
            let (subscription, order) = pairs(&bench).into_iter().find(both).unwrap();
            let row = if object == "WorkOrder" { &order } else { &subscription };
            bench.salesforce("delete", json!({"object": object, "id": row}));
            bench.sync();
            bench.salesforce("undelete", json!({"object": object, "id": row}));
            let done = as_foretold(&bench, plan, run);
            let sum = |name| number(&done, "subscriptions", name) + number(&done, "work_orders", name);
            assert_eq!(sum("restored"), 1, "{object} {run:?} {done}");
            assert!(sum("associated") > 0, "{object} {run:?} {done}");
            let again = bench.sync();
            assert_eq!(number(&again, "subscriptions", "associated"), 0, "nothing is left: {again}");
        }
    }
}

#[test]
fn an_association_that_both_sides_ask_for_is_foretold_once() {
    let bench = both_ways();
    let done = as_foretold(&bench, &PLAN_IMPORT, &IMPORT);
    assert!(number(&done, "work_orders", "associated") > 0, "{done}");
    // One side lets go while the other still asks, and then the other one.
    let (subscription, order) = pairs(&bench).pop().unwrap();
    let clear = |object: &str, id: &str, field: &str| {
        bench.salesforce("update", json!({"object": object, "id": id, "values": {field: null}}));
    };
    clear("Subscription__c", &subscription, "Work_Order__c");
    let done = as_foretold(&bench, &PLAN_SYNC, &SYNC);
    assert_eq!(number(&done, "subscriptions", "disassociated"), 0, "{done}");
    clear("WorkOrder", &order, "Current__c");
    let done = as_foretold(&bench, &PLAN_SYNC, &SYNC);
    assert_eq!(number(&done, "work_orders", "disassociated"), 1, "{done}");
    // Both ask anew, and both let go, in one command.
    let ask = |object: &str, id: &str, field: &str, to: &str| {
        bench.salesforce("update", json!({"object": object, "id": id, "values": {field: to}}));
    };
    ask("Subscription__c", &subscription, "Work_Order__c", &order);
    ask("WorkOrder", &order, "Current__c", &subscription);
    let done = as_foretold(&bench, &PLAN_SYNC, &SYNC);
    assert_eq!(number(&done, "subscriptions", "associated") + number(&done, "work_orders", "associated"), 1, "{done}");
    clear("Subscription__c", &subscription, "Work_Order__c");
    clear("WorkOrder", &order, "Current__c");
    let done = as_foretold(&bench, &PLAN_SYNC, &SYNC);
    let gone = number(&done, "subscriptions", "disassociated") + number(&done, "work_orders", "disassociated");
    assert_eq!(gone, 1, "{done}");
}

#[test]
fn a_lookup_that_has_waited_long_is_foretold_when_its_record_comes() {
    let bench = imported_both_ways();
    let order = bench.rows("WorkOrder").into_keys().next().unwrap();
    let values = json!({"Name": "Late", "Status__c": "Draft"});
    let made = bench.salesforce("create", json!({"object": "Subscription__c", "values": values}));
    bench.salesforce("update", json!({"object": "WorkOrder", "id": order, "values": {"Current__c": made["id"]}}));
    // It is tried in vain, with growing pauses.
    for _ in 0..3 {
        bench.sandbox.advance(Duration::from_secs(600));
        std::thread::sleep(Duration::from_secs(1));
        bench.sync();
    }
    bench.salesforce(
        "update",
        json!({"object": "Subscription__c", "id": made["id"], "values": {"Status__c": "Active"}}),
    );
    let done = as_foretold(&bench, &PLAN_SYNC, &SYNC);
    assert_eq!(number(&done, "work_orders", "associated"), 1, "{done}");
}

#[test]
fn what_was_begun_earlier_is_foretold_from_where_it_stands() {
    let bench = unguarded(Bench::new(300));
    let broken_off = |run: &[&str]| {
        bench.faults(json!([{"path": "/crm/objects/**/batch/*", "from": 3, "fault": "forbidden"}]));
        let ran = bench.run(run);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        bench.sandbox.clear_faults();
    };
    broken_off(&IMPORT);
    let said = bench.run(&["plan", "--full"]).code(0).stdout;
    assert!(said.contains("the rest of the import"), "{said}");
    let done = as_foretold(&bench, &PLAN_IMPORT, &IMPORT);
    assert!((1..300).contains(&number(&done, "subscriptions", "created")), "{done}");
    broken_off(&RECONCILE);
    as_foretold(&bench, &PLAN_RECONCILE, &RECONCILE);
    as_foretold(&bench, &PLAN_RECONCILE, &RECONCILE);
    // Syncs and comparisons go on beside an import that was broken off.
    for (plan, run) in [(&PLAN_SYNC[..], &SYNC[..]), (&PLAN_RECONCILE, &RECONCILE)] {
        for (id, _) in pairs(&bench) {
            let values = json!({"Name": format!("Renamed by {}", run[0])});
            bench.salesforce("update", json!({"object": "Subscription__c", "id": id, "values": values}));
        }
        bench.faults(json!([{"path": "/crm/objects/**/batch/*", "fault": "forbidden"}]));
        assert_eq!(bench.run(&IMPORT).code, Some(1));
        bench.sandbox.clear_faults();
        let said = bench.run(&plan[..plan.len() - 2]).code(0).stdout;
        assert!(said.contains("an import is unfinished, which is no part of this plan"), "{said}");
        let done = as_foretold(&bench, plan, run);
        assert!(number(&done, "subscriptions", "updated") > 0, "{done}");
    }
}

#[test]
fn what_was_never_imported_is_for_another_command_unless_the_plan_is_followed() {
    for imported in ["subscriptions", "work_orders"] {
        let mut waiting = 0;
        for (plan, run) in [(&PLAN_SYNC[..], &SYNC[..]), (&PLAN_RECONCILE, &RECONCILE)] {
            let bench = both_ways();
            bench.run(&["import", imported, "--yes"]);
            let planned = bench.run(plan).code(0).json();
            let done = bench.run(run).json();
            for count in ["associated", "pending_associations"] {
                assert_eq!(
                    number(&planned, imported, count),
                    number(&done, imported, count),
                    "{count}, {planned}\n{done}"
                );
            }
            waiting = number(&done, imported, "pending_associations");
        }
        let bench = both_ways();
        bench.run(&["import", imported, "--yes"]);
        let planned = bench.run(&["plan", "--out", "saved.plan", "--format", "json"]).code(0).json();
        let done = bench.run(&["apply", "saved.plan", "--yes", "--format", "json"]).json();
        let counts = |said: &Value| {
            let pending = number(said, imported, "pending_associations");
            let associated = ["subscriptions", "work_orders"].map(|name| number(said, name, "associated"));
            (pending, associated)
        };
        assert_eq!(counts(&planned), counts(&done), "{planned}\n{done}");
        assert!(counts(&done).0 < waiting, "what waited for the other pipeline is made: {done}");
    }
}

#[test]
fn the_guard_counts_a_record_once_that_has_changed_under_a_changed_mapping() {
    let bench = Bench::new(2_200);
    std::fs::remove_file(bench.path("pipelines/work_orders.yaml")).unwrap();
    let mapping = |more: &str| {
        let text = format!(
            "version: 1
name: subscriptions
source: {{ object: Subscription__c }}
target: {{ object: subscriptions, match: salesforce_id }}
fields:
  - {{ from: Name, to: subscription_name }}
{more}on_delete: archive
guard: {{ archive: 30, reject: 100% }}
sync: {{ on_mapping_change: backfill }}
"
        );
        bench.write("pipelines/subscriptions.yaml", &text);
    };
    mapping("");
    bench.import();
    let ids: Vec<String> = bench.rows("Subscription__c").into_keys().collect();
    for (place, id) in ids.iter().enumerate() {
        let values = json!({"Name": format!("Renamed {place}")});
        bench.salesforce("update", json!({"object": "Subscription__c", "id": id, "values": values}));
    }
    for id in &ids[..20] {
        bench.salesforce("delete", json!({"object": "Subscription__c", "id": id}));
    }
    mapping("  - { from: Amount__c, to: amount }\n");
    let planned = bench.run(&PLAN_SYNC).code(0).json();
    assert_eq!(number(&planned, "subscriptions", "archived"), 20, "{planned}");
    let done = bench.sync();
    assert_eq!(number(&done, "subscriptions", "archived"), 20, "{done}");
}
