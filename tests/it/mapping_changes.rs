//! A changed mapping: what a sync does about the records that were written under the earlier one.

use serde_json::{Value, json};

use crate::support::{Bench, report};

const FILE: &str = "pipelines/subscriptions.yaml";

/// So many subscriptions, imported, with this policy.
fn imported(records: usize, policy: &str) -> Bench {
    let bench = Bench::new(0);
    std::fs::remove_file(bench.path("pipelines/work_orders.yaml")).unwrap();
    bench.write(
        FILE,
        &format!(
            "version: 1
name: subs
source: {{ object: Subscription__c }}
target: {{ object: subscriptions, match: salesforce_id }}
fields:
  - {{ from: Name, to: subscription_name }}
  - {{ value: before, to: headline }}
on_delete: archive
on_filter_exit: archive
guard: {{ archive: 50% }}
sync: {{ {policy} }}
"
        ),
    );
    for number in 0..records {
        let values = json!({"object": "Subscription__c", "values": {"Name": format!("S{number}")}});
        let id = bench.salesforce("create", values)["id"].clone();
        let stamp = json!({"object": "Subscription__c", "id": id, "stamp": "2020-01-01T00:00:00Z", "values": {}});
        bench.salesforce("stamp", stamp);
    }
    bench.import();
    bench
}

fn headlines(bench: &Bench, text: &str) -> usize {
    bench.records("subscriptions").values().filter(|record| record["properties"]["headline"] == text).count()
}

/// A sync that does what its plan foretold.
fn sync(bench: &Bench) -> Value {
    let planned = bench.run(&["plan", "--format", "json"]).code(0).json();
    let done = bench.sync();
    let outcome = report(&done, "subs").clone();
    for count in ["read", "created", "updated", "archived", "unchanged", "filtered"] {
        assert_eq!(report(&planned, "subs")[count], outcome[count], "{count}\n{planned}\n{done}");
    }
    outcome
}

#[test]
fn a_backfill_brings_all_records_up_to_the_mapping_once() {
    // Some are read by their ids, many together in one pass.
    for records in [7, 5_100] {
        let bench = imported(records, "on_mapping_change: backfill");
        assert_eq!(sync(&bench)["read"], 0, "nothing has changed");
        bench.edit(FILE, "value: before", "value: after");
        let planned = bench.run(&["plan"]).code(0).stdout;
        for words in [
            "the backfill of the changed mapping included",
            "`syncline sync --once subs`",
            "written under an earlier mapping",
        ] {
            assert!(planned.contains(words), "{words}: {planned}");
        }
        let status = bench.run(&["status"]).stdout;
        assert!(status.contains("the next sync brings HubSpot up to the definition by itself"), "{status}");
        let outcome = sync(&bench);
        assert_eq!(
            (outcome["updated"].as_u64(), headlines(&bench, "after")),
            (Some(records as u64), records),
            "{outcome}"
        );
        assert!(outcome["notes"].to_string().contains("on_mapping_change: backfill"), "{outcome}");
        bench.sandbox.forget_requests();
        assert_eq!((bench.sync()["pipelines"][0]["read"].as_u64(), bench.calls("hubspot")), (Some(0), 0));
        assert_eq!(bench.run(&["status", "--format", "json"]).json()["pipelines"][0]["stale"], 0);
    }
}

#[test]
fn without_it_records_are_marked_and_stay() {
    for policy in ["", "on_mapping_change: mark"] {
        let bench = imported(3, policy);
        bench.edit(FILE, "value: before", "value: after");
        assert_eq!(bench.sync()["pipelines"][0]["read"], 0);
        assert_eq!(headlines(&bench, "before"), 3);
        let planned = bench.run(&["plan"]).code(0).stdout;
        assert!(planned.contains("`syncline import --stale subs`"), "{planned}");
        assert_eq!(bench.run(&["status", "--format", "json"]).json()["pipelines"][0]["stale"], 3);
    }
}

#[test]
fn a_backfill_goes_on_where_it_was_broken_off() {
    let bench = imported(450, "on_mapping_change: backfill");
    bench.edit(FILE, "value: before", "value: after");
    bench.faults(json!([{"path": "/crm/objects/**/batch/upsert", "from": 3, "fault": "reset_before"}]));
    let _ = bench.run(&["sync", "--once"]);
    bench.sandbox.clear_faults();
    let done = headlines(&bench, "after");
    assert!(done < 450, "{done}");
    bench.sync();
    bench.run(&["failures", "retry"]);
    bench.sync();
    assert_eq!(headlines(&bench, "after"), 450);
    assert_eq!(bench.sync()["pipelines"][0]["read"], 0);
}

#[test]
fn a_mapping_that_comes_back_is_carried_over_as_well() {
    let bench = imported(3, "on_mapping_change: backfill");
    bench.sync();
    bench.edit(FILE, "value: before", "value: after");
    bench.edit(FILE, "backfill", "mark");
    let first = bench.rows("Subscription__c").into_keys().next().unwrap();
    bench.salesforce("update", json!({"object": "Subscription__c", "id": first, "values": {"Name": "touched"}}));
    bench.sync();
    assert_eq!((headlines(&bench, "before"), headlines(&bench, "after")), (2, 1));
    bench.salesforce(
        "stamp",
        json!({"object": "Subscription__c", "id": first, "stamp": "2020-01-01T00:00:00Z", "values": {}}),
    );
    bench.edit(FILE, "value: after", "value: before");
    bench.edit(FILE, "mark", "backfill");
    assert_eq!(sync(&bench)["updated"], 1);
    assert_eq!(headlines(&bench, "before"), 3);
}

#[test]
fn what_the_mapping_rejects_is_not_read_again_each_cycle() {
    let bench = imported(40, "on_mapping_change: backfill");
    let rows = bench.rows("Subscription__c");
    for id in rows.keys().take(36) {
        bench.salesforce("update", json!({"object": "Subscription__c", "id": id, "values": {"Notes__c": "x"}}));
        bench.salesforce(
            "stamp",
            json!({"object": "Subscription__c", "id": id, "stamp": "2020-01-01T00:00:00Z", "values": {}}),
        );
    }
    bench.edit(FILE, "{ value: before, to: headline }", "{ from: Notes__c, to: headline, required: true }");
    let outcome = sync(&bench);
    assert_eq!((outcome["failed"].as_u64(), outcome["updated"].as_u64()), (Some(4), Some(36)), "{outcome}");
    assert_eq!(sync(&bench)["read"], 0);
    // Under a mapping that takes them they go through.
    bench.edit(FILE, ", required: true", "");
    sync(&bench);
    assert!(bench.failures().is_empty());
}

#[test]
fn what_fails_under_the_mapping_is_told_as_failing_and_not_as_stale() {
    let bench = imported(3, "on_mapping_change: mark");
    bench.edit(FILE, "{ value: before, to: headline }", "{ from: Notes__c, to: headline, required: true }");
    assert_eq!(report(&bench.run(&["reconcile", "--format", "json"]).code(3).json(), "subs")["failed"], 3);
    let status = bench.run(&["status", "--format", "json"]).json();
    assert_eq!((&status["pipelines"][0]["stale"], &status["pipelines"][0]["open_failures"]), (&json!(0), &json!(3)));
    let outcome = sync(&bench);
    assert_eq!((&outcome["read"], &outcome["waiting"]), (&json!(0), &json!(0)), "{outcome}");
    let said = bench.run(&["import", "--stale", "--yes"]).code(0).stdout;
    assert!(said.contains("except those that fail"), "{said}");
    // Under another mapping they are looked at again, each once.
    bench.edit(FILE, ", required: true", "");
    let done = bench.run(&["import", "--stale", "--yes", "--format", "json"]).code(0).json();
    let outcome = report(&done, "subs");
    assert_eq!((&outcome["read"], &outcome["updated"]), (&json!(3), &json!(3)), "{outcome}");
    assert!(bench.failures().is_empty());
}

#[test]
fn a_changed_filter_is_carried_over_under_the_guard() {
    let bench = imported(10, "on_mapping_change: backfill");
    bench.edit(FILE, "object: Subscription__c }", "object: Subscription__c, where: \"Name IN ('S1', 'S2')\" }");
    let planned = bench.run(&["plan", "--format", "json"]).code(0).json();
    assert!(report(&planned, "subs")["refusal"].as_str().unwrap().contains("archive 8 of 10"), "{planned}");
    let ran = bench.run(&["sync", "--once"]).code(1);
    assert!(ran.stderr.contains("archive 8 of 10"), "{ran:?}");
    assert!(bench.records("subscriptions").values().all(|record| record["archived"] == false), "nothing was written");
    bench.run(&["sync", "--once", "--allow-archive", "8"]).code(0);
    assert_eq!(bench.records("subscriptions").values().filter(|record| record["archived"] == false).count(), 2);
    // Wider again: those that belong now are made.
    bench.edit(FILE, "'S2')", "'S2', 'S3')");
    let outcome = sync(&bench);
    assert_eq!(outcome["created"].as_u64().unwrap() + outcome["restored"].as_u64().unwrap(), 1, "{outcome}");
}

#[test]
fn too_many_rejects_stop_a_backfill_before_it_writes() {
    let bench = imported(60, "on_mapping_change: backfill");
    bench.edit(FILE, "{ value: before, to: headline }", "{ from: Notes__c, to: headline, required: true }");
    let planned = bench.run(&["plan", "--format", "json"]).code(0).json();
    assert!(report(&planned, "subs")["refusal"].as_str().unwrap().contains("reject"), "{planned}");
    let ran = bench.run(&["sync", "--once"]).code(1);
    assert!(ran.stderr.contains("reject"), "{ran:?}");
    assert_eq!((headlines(&bench, "before"), bench.failures().len()), (60, 0));
}

#[test]
fn a_review_says_that_the_next_sync_does_it() {
    let bench = imported(2, "on_mapping_change: backfill");
    bench.repository();
    bench.edit(FILE, "value: before", "value: after");
    let message = "the next sync does it for all records by itself (`sync.on_mapping_change: backfill`)";
    assert!(bench.run(&["diff"]).code(0).stdout.contains(message));
    let comment = bench.run(&["diff", "--format", "markdown"]).code(0).stdout;
    assert!(comment.contains("the next sync does it for all records by itself"), "{comment}");
    bench.edit(FILE, "value: after", "value: before");
    bench.edit(FILE, "backfill", "mark");
    let text = bench.run(&["diff"]).code(0).stdout;
    assert!(text.contains("what a sync does about a changed mapping is another") && !text.contains(message), "{text}");
}

#[test]
fn a_record_that_vanished_and_is_kept_does_not_stay_stale() {
    let commands: [(&str, &[&str]); 3] = [
        ("on_mapping_change: backfill", &["sync", "--once"]),
        ("on_mapping_change: mark", &["import", "--stale", "--yes"]),
        ("on_mapping_change: mark", &["reconcile"]),
    ];
    for (policy, command) in commands {
        let bench = imported(3, policy);
        let hidden = bench.rows("Subscription__c").keys().next().unwrap().clone();
        bench.salesforce("hide_rows", json!({"object": "Subscription__c", "ids": [hidden]}));
        bench.edit(FILE, "value: before", "value: after");
        let stale = || {
            let planned = bench.run(&["plan", "--format", "json"]).code(0).json();
            let status = bench.run(&["status", "--format", "json"]).json();
            (report(&planned, "subs")["stale"].clone(), report(&status, "subs")["stale"].clone())
        };
        assert_eq!(stale(), (json!(3), json!(3)), "{command:?}");
        bench.run(command).code(0);
        assert_eq!(stale(), (json!(0), json!(0)), "{command:?}: it has no values that the mapping could bring");
        assert_eq!((headlines(&bench, "before"), headlines(&bench, "after")), (1, 2), "{command:?}: it is kept");
        // Shown again, it is one of them as before.
        bench.salesforce("show_rows", json!({"object": "Subscription__c", "ids": [hidden]}));
        bench.run(&["reconcile"]).code(0);
        assert_eq!(headlines(&bench, "after"), 3, "{command:?}");
    }
}
