//! What people read: a plan that groups what changes, without values where they must not stand; failures by their reason.

use serde_json::json;

use crate::support::Bench;

const FILE: &str = "pipelines/subscriptions.yaml";

/// A project whose records are in HubSpot, and whose value map has changed since.
fn remapped() -> Bench {
    let bench = Bench::new(40);
    bench.import();
    bench.edit(FILE, "On Hold: on_hold", "On Hold: cancelled");
    bench
}

#[test]
fn a_plan_groups_its_updates_by_what_changes() {
    let bench = remapped();
    let plan = bench.run(&["plan", "subscriptions", "--format", "json"]).code(0).json();
    let status = &plan["pipelines"][0]["properties"]["status"];
    let records = status["records"].as_u64().unwrap();
    assert!(records > 1, "{status}");
    assert_eq!(status["values"], json!([{"before": "on_hold", "after": "cancelled", "records": records}]));
    let text = bench.run(&["plan", "subscriptions", "--sample", "0"]).code(0).stdout;
    assert!(text.contains(&format!("status: on_hold → cancelled × {records}\n")), "{text}");
    assert!(text.contains("To carry it out: `syncline import --stale subscriptions`"), "{text}");
    assert!(!text.contains(" updated") && text.contains(&format!("{records} to update")), "{text}");
    for (format, shown) in [("markdown", "`status: on_hold → cancelled`"), ("html", "status: on_hold → cancelled")]
    {
        let text = bench.run(&["plan", "subscriptions", "--format", format]).code(0).stdout;
        assert!(text.contains(shown) && text.contains("import --stale subscriptions"), "{format}: {text}");
    }
}

#[test]
fn a_plan_without_values_names_records_by_their_ids_alone() {
    let bench = remapped();
    bench.salesforce(
        "create",
        json!({"object": "Subscription__c", "values": {"Name": "Confidential name", "Status__c": "Active"}}),
    );
    let files = ["page.html", "page.md", "page.json"];
    let mut words = vec!["plan", "--values", "none", "--full", "--changes", "changes.jsonl", "--out", "saved.plan"];
    words.extend(files.iter().flat_map(|file| ["--report", *file]));
    let mut shown = vec![bench.run(&words).code(0).stdout];
    for file in files.iter().chain(&["changes.jsonl", "saved.plan"]) {
        shown.push(std::fs::read_to_string(bench.path(file)).unwrap());
    }
    for format in ["json", "markdown", "html"] {
        shown.push(bench.run(&["plan", "--values", "none", "--full", "--format", format]).code(0).stdout);
    }
    for text in shown {
        for value in ["Confidential", "`Legacy`", "on_hold → cancelled", "Premium", "Zürich"] {
            assert!(!text.contains(value), "`{value}` is in:\n{text}");
        }
    }
    let changes = std::fs::read_to_string(bench.path("changes.jsonl")).unwrap();
    assert!(changes.contains("properties: ") && changes.contains("\"salesforce_id\":\"a01"), "{changes}");
    // The same plan with values has them, so that the test looks for the right thing.
    let open = bench.run(&["plan", "--full", "--format", "json", "--sample", "500"]).code(0).stdout;
    assert!(open.contains("Confidential name") && open.contains("`Legacy`"), "{open}");
}

#[test]
fn failures_are_told_by_reason_with_a_line_for_the_value_map() {
    let bench = Bench::new(200);
    let legacy = bench.rows("Subscription__c").values().filter(|row| row["values"]["Status__c"] == "Legacy").count();
    assert!(legacy > 1);
    bench.import();
    let text = bench.run(&["failures"]).code(0).stdout;
    assert!(text.contains(&format!("subscriptions  {legacy} records  option missing (SL5005)")), "{text}");
    assert!(text.contains("On Hold: on_hold, Legacy: ? }"), "{text}");
    assert!(text.contains("tried again when something changes, checked again in ") && text.contains("1 try"), "{text}");
    let each = bench.run(&["failures", "list", "--each", "--code", "sl5005"]).code(0).stdout;
    assert!(each.contains(" name "), "{each}");
    assert_eq!(each.lines().filter(|line| line.contains("SL5005")).count(), legacy, "{each}");
    assert_eq!(bench.run(&["failures", "list", "--code", "SL5999"]).code(0).stdout, "no failures\n");
    let marked = bench.run(&["failures", "dismiss", "--code", "SL5005"]).code(0).stdout;
    assert!(marked.starts_with(&format!("{legacy} failures will not be tried again")), "{marked}");
    assert!(!bench.run(&["failures"]).code(0).stdout.contains("SL5005"));
}
