//! What a plan must foresee because of what else the same command does, or because of what became of earlier failures.

use serde_json::json;

use crate::support::{Bench, report};

/// Plans, runs, and demands that both have the same numbers.
#[track_caller]
fn as_foretold(bench: &Bench, plan: &[&str], run: &[&str]) {
    let planned = bench.run(plan).code(0).json();
    let ran = bench.run(run);
    assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
    let done = ran.json();
    for name in ["work_orders", "subscriptions"] {
        let (plan, run) = (report(&planned, name), report(&done, name));
        for number in
            ["read", "created", "updated", "archived", "filtered", "failed", "associated", "pending_associations"]
        {
            assert_eq!(plan[number], run[number], "{name}, {number}\nplan {plan}\nrun {run}");
        }
    }
}

const PLAN_RECONCILE: [&str; 4] = ["plan", "--reconcile", "--format", "json"];
const RECONCILE: [&str; 3] = ["reconcile", "--format", "json"];

/// The sample world, imported.
fn imported() -> Bench {
    let bench = Bench::new(30);
    for name in ["subscriptions", "work_orders"] {
        let file = format!("pipelines/{name}.yaml");
        let text = std::fs::read_to_string(bench.path(&file)).unwrap();
        bench.write(&file, &format!("{text}\nguard: {{ archive: 100%, reject: 100% }}\n"));
    }
    bench.import();
    bench
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
