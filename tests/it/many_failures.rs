//! Lists of failures are whole, however many there are, and a total is a total.

use serde_json::json;

use crate::support::{Bench, report};

#[test]
fn more_failures_than_one_page_holds_are_all_told() {
    const RECORDS: usize = 10_300;
    let bench = Bench::new(1);
    std::fs::remove_file(bench.path("pipelines/work_orders.yaml")).unwrap();
    bench.write(
        "pipelines/subscriptions.yaml",
        "version: 1
name: subscriptions
source: { object: Subscription__c }
target: { object: subscriptions, match: salesforce_id }
fields:
  - { from: Name, to: subscription_name }
  - { from: Notes__c, to: seats }
on_delete: keep
guard: { reject: 100% }
",
    );
    for number in 0..RECORDS {
        let values = json!({"Name": format!("Record {number}"), "Notes__c": "no number"});
        bench.salesforce("create", json!({"object": "Subscription__c", "values": values}));
    }
    let reports = bench.import();
    let outcome = report(&reports, "subscriptions");
    let failed = outcome["failed"].as_u64().unwrap() as usize;
    assert!(failed >= RECORDS, "{outcome}");
    let run = outcome["run"].as_str().unwrap();
    let grouped = bench.run(&["failures"]).code(0).stdout;
    assert!(grouped.lines().count() < 60, "{grouped}");
    let text = bench.run(&["failures", "list", "--each"]).code(0).stdout;
    let shown = format!("{},{:03} failures.", failed / 1_000, failed % 1_000);
    assert!(text.contains(&shown), "{}", &text[text.len() - 200..]);
    assert_eq!(text.lines().filter(|line| line.contains("SL50")).count(), failed);
    assert!(grouped.contains(&shown.replace('.', " of ")), "{grouped}");
    assert_eq!(bench.failures().len(), failed);
    let of_run = bench.run(&["runs", run, "--format", "json"]).code(0).json();
    assert_eq!((of_run["failures"].as_array().unwrap().len(), &of_run["run"]["run"]), (failed, &json!(run)));
    let text = bench.run(&["runs", run]).code(0).stdout;
    assert!(text.contains(&shown), "{}", &text[text.len() - 200..]);
    for to in ["-", "errors.csv"] {
        let printed = bench.run(&["runs", run, "--errors", to]).code(0).stdout;
        let csv = if to == "-" { printed } else { std::fs::read_to_string(bench.path(to)).unwrap() };
        assert_eq!(csv.lines().count(), failed + 1, "{to}");
        assert!(csv.lines().next().unwrap().contains("Notes__c"), "{to}");
    }
}

#[test]
fn the_reports_of_runs_add_up_to_what_went_over_the_wire() {
    let bench = Bench::new(30);
    let (import, sync) = (["import", "--yes", "--format", "json"], ["sync", "--once", "--format", "json"]);
    for (command, portal_moves) in [(import, false), (sync, false), (sync, true)] {
        if portal_moves {
            // A run that finds another portal than it remembers begins anew.
            let option = json!({"object": "subscriptions", "property": "status", "value": "new"});
            bench.hubspot("add_option", option);
            bench.salesforce(
                "create",
                json!({"object": "Subscription__c", "values": {"Name": "S", "Status__c": "Active"}}),
            );
        }
        bench.sandbox.forget_requests();
        // A refusal that is tried again is a request as well.
        bench.faults(json!([{"path": "/crm/objects/**/batch/*", "times": 1, "fault": "unavailable"},
            {"path": "/services/data/*/query*", "times": 1, "fault": "unavailable"}]));
        let ran = bench.run(&command);
        assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
        let reports = ran.json();
        let sum = |name: &str| -> u64 {
            reports["pipelines"].as_array().unwrap().iter().map(|pipeline| pipeline[name].as_u64().unwrap()).sum()
        };
        assert_eq!(sum("hubspot_calls"), bench.calls("hubspot") as u64, "{command:?}");
        assert_eq!(sum("salesforce_calls"), bench.calls("salesforce") as u64, "{command:?}");
    }
}
