//! A read by Bulk jobs under every kind of trouble: values stay as they are, nothing is written twice, and the way is
//! changed where one is barred.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Bench, Ran, report};

/// One pipeline of few fields and no associations, so that many records cost little.
const LEAN: &str = "version: 1
name: subscriptions
source: { object: Subscription__c }
target: { object: subscriptions, match: salesforce_id }
fields:
  - { from: Name, to: subscription_name }
  - { from: External_Code__c, to: external_code }
  - { from: Amount__c, to: amount }
  - { from: Seats__c, to: seats }
  - { from: Renews_At__c, to: renews_at }
  - { from: Notes__c, to: notes }
on_delete: archive
";

/// A world that only Bulk reads, imported already: a row that is read well is unchanged from then on.
fn imported() -> (Bench, u64) {
    let bench = Bench::new(10_400);
    fs::remove_file(bench.path("pipelines/work_orders.yaml")).unwrap();
    bench.write("pipelines/subscriptions.yaml", LEAN);
    let reports = bench.import();
    let outcome = report(&reports, "subscriptions");
    assert!(outcome["read"].as_u64() > Some(10_000), "{outcome}");
    assert!(jobs(&bench) == 1, "a read of this size is a job");
    let well = outcome["created"].as_u64().unwrap();
    (bench, well)
}

fn jobs(bench: &Bench) -> usize {
    let all = bench.sandbox.requests();
    all.iter()
        .filter(|entry| entry.method == "POST" && entry.target.ends_with("/jobs/query") && entry.status == 200)
        .count()
}

fn import(bench: &Bench) -> Ran {
    bench.run(&["import", "--yes", "--format", "json"])
}

/// Reads all again, and demands that every row was read as before.
#[track_caller]
fn unchanged(bench: &Bench, well: u64, name: &str) -> Value {
    let ran = import(bench);
    assert!(matches!(ran.code, Some(0 | 3)), "{name}: {ran:?}");
    let reports = ran.json();
    let outcome = report(&reports, "subscriptions").clone();
    let written = ["created", "updated", "archived"].map(|count| outcome[count].as_u64().unwrap());
    assert_eq!(written, [0, 0, 0], "{name}: {outcome}");
    assert!(outcome["unchanged"].as_u64() >= Some(well), "{name}: {outcome}");
    outcome
}

#[test]
fn results_that_are_spoiled_are_read_again_as_they_were() {
    let (bench, well) = imported();
    let results = "/services/data/*/jobs/query/*/results";
    // The page in the middle, and the last one.
    for (call, kind) in [(1, "cut"), (2, "cut_json"), (2, "html"), (1, "reset_after"), (1, "expired")] {
        bench.faults(json!([{"path": results, "from": call, "to": call, "fault": kind}]));
        let outcome = unchanged(&bench, well, kind);
        assert!(outcome["read"].as_u64() < Some(11_000), "{kind}: nothing is given out twice: {outcome}");
        assert_eq!(bench.sandbox.faults()["rules"][0]["struck"], 1, "{kind}");
        bench.sandbox.clear_faults();
    }
}

#[test]
fn every_way_of_writing_values_means_the_same() {
    let (bench, well) = imported();
    // What can come together is read together; without its headers a result is read by REST.
    for switches in [["exponents", "whole_as_decimal", "per_app_usage"].as_slice(), &["no_bulk_headers"]] {
        let set = |on: bool| {
            let all = switches.iter().map(|switch| ((*switch).to_owned(), json!(on)));
            bench.salesforce("switches", Value::Object(all.collect()));
        };
        set(true);
        unchanged(&bench, well, &format!("{switches:?}"));
        set(false);
    }
}

#[test]
fn jobs_that_fail_are_replaced_and_what_bulk_refuses_is_read_by_rest() {
    let (bench, well) = imported();
    let error = |code: &str, message: &str| json!([{"errorCode": code, "message": message}]);
    let create = |code: &str, message: &str| json!({"method": "POST", "path": "/services/data/*/jobs/query", "status": 400, "body": error(code, message)});
    let state = |state: &str| {
        json!({"method": "GET", "path": "/services/data/*/jobs/query/*", "times": 1, "status": 200,
            "body": {"id": "7505g00000AbCdEAAV", "state": state, "object": "Subscription__c", "errorMessage": "broken"}})
    };
    let gone = json!({"method": "GET", "path": "/services/data/*/jobs/query/*", "from": 2, "times": 1, "status": 404,
        "body": error("NOT_FOUND", "The requested resource does not exist")});
    let cases = [
        (state("Failed"), 2),
        (state("Aborted"), 2),
        (gone, 2),
        (create("INVALIDENTITY", "Entity 'Subscription__c' is not supported by the Bulk API."), 0),
        (create("API_ERROR", "Selecting compound data not supported in Bulk Query"), 0),
        (create("LIMIT_EXCEEDED", "Max bulk v2 query jobs (10000) per 24 hrs has been reached"), 0),
    ];
    for (rule, expected) in cases {
        bench.sandbox.forget_requests();
        bench.faults(json!([rule]));
        unchanged(&bench, well, &rule.to_string());
        assert_eq!(jobs(&bench), expected, "{rule}");
        bench.sandbox.clear_faults();
    }
    bench.sandbox.forget_requests();
    bench.salesforce("switches", json!({"fail_jobs": "InternalServerError : Retried more than fifteen times"}));
    unchanged(&bench, well, "all jobs fail");
    assert_eq!(jobs(&bench), 2);
}

#[test]
fn the_days_calls_may_be_used_up_in_the_middle_of_a_result() {
    let (bench, well) = imported();
    // Before the first page, and before the second: what is left to read then.
    for (call, least, most) in [(1, well, 11_000), (2, 300, 1_000)] {
        let path = "/services/data/*/jobs/query/*/results";
        bench.faults(json!([{"path": path, "from": call, "fault": "daily_limit"}]));
        bench.sandbox.forget_requests();
        let ran = import(&bench);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert_eq!(report(&ran.json(), "subscriptions")["status"], "paused", "{ran:?}");
        bench.sandbox.clear_faults();
        let outcome = unchanged(&bench, least, "goes on");
        assert_eq!(jobs(&bench), 1, "the job of the paused run serves the next one");
        assert!(outcome["read"].as_u64() < Some(most), "page {call}: {outcome}");
    }
}
