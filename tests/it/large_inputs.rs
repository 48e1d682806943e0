//! What is far larger than it should be: it fails alone and is told, memory stays where it was, and the rest goes on.

use std::process::Stdio;

use serde_json::json;

use crate::flow::peak;
use crate::support::oracle::agree;
use crate::support::{Bench, report};

/// The memory of a command in MiB, where the system tells it.
fn memory(bench: &Bench, arguments: &[&str]) -> Option<u64> {
    peak(bench.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

/// The first subscription that is imported.
fn one_of(bench: &Bench) -> String {
    let rows = bench.rows("Subscription__c");
    let active = rows.iter().find(|(_, row)| row["deleted"] == false && row["values"]["Status__c"] == "Active");
    active.unwrap().0.clone()
}

#[test]
fn a_text_of_ten_megabytes_fails_alone() {
    let import = ["import", "subscriptions", "--yes", "--quiet"];
    let usual = memory(&Bench::new(60), &import);
    let bench = Bench::new(60);
    let id = one_of(&bench);
    let field = json!({"object": "Subscription__c", "field": "Notes__c", "set": {"length": 20_000_000}});
    bench.salesforce("change_field", field);
    let text = "A text without an end. ".repeat(10 * 1_048_576 / 23);
    bench.salesforce("update", json!({"object": "Subscription__c", "id": id, "values": {"Notes__c": text}}));
    let large = memory(&bench, &import);
    if let (Some(usual), Some(large)) = (usual, large) {
        assert!(large < usual + 60, "{large} MiB with the text, {usual} MiB without");
    }
    let failures = bench.failures();
    let own = failures.iter().find(|failure| failure["salesforce_id"] == json!(id)).unwrap();
    assert!(own.to_string().len() < 20_000, "what is told of it is short: {} bytes", own.to_string().len());
    bench.import();
    agree(&bench);
}

#[test]
fn an_object_of_very_many_fields_and_values_is_read_checked_and_imported() {
    let bench = Bench::new(40);
    let text = |number: usize| {
        json!({"name": format!("Extra_{number}__c"), "type": "string", "label": format!("Extra {number}"),
            "custom": true, "length": 255})
    };
    let value = |number: usize| json!({"value": format!("v{number}"), "label": format!("V {number}"), "active": true});
    let values: Vec<_> = (0..5_000).map(value).collect();
    let wide =
        json!({"name": "Wide__c", "type": "picklist", "label": "Wide", "custom": true, "picklistValues": values});
    let fields: Vec<_> = (0..2_500).map(text).chain([wide]).collect();
    bench.salesforce("add_field", json!({"object": "Subscription__c", "fields": fields}));
    bench.run(&["validate"]).code(0);
    let listed = bench.run(&["discover", "Subscription__c", "--format", "json"]).code(0).json();
    assert!(listed.to_string().contains("Extra_2499__c"));
    let reports = bench.import();
    assert!(report(&reports, "subscriptions")["created"].as_u64().unwrap() > 20, "{reports}");
    agree(&bench);
}
