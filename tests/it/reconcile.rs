//! The full comparison: HubSpot holds what Salesforce says, whatever happened to either since.

use serde_json::{Value, json};

use crate::support::{Bench, report};

const OBJECT: &str = "Subscription__c";

/// Subscriptions with a formula's place, a property that people fill and one that they may keep; and these lines at the end.
fn bench(more: &str) -> Bench {
    let bench = Bench::new(20);
    std::fs::remove_file(bench.path("pipelines/work_orders.yaml")).unwrap();
    bench.write(
        "pipelines/subscriptions.yaml",
        &format!(
            "version: 1
name: subs
source: {{ object: Subscription__c }}
target: {{ object: subscriptions, match: salesforce_id }}
fields:
  - {{ from: Name, to: subscription_name }}
  - {{ from: Notes__c, to: headline }}
  - {{ from: Account__r.Name, to: account_name }}
{more}"
        ),
    );
    bench
}

const KEEP: &str = "on_delete: archive\nguard: { archive: 50% }\n";

fn create(bench: &Bench, values: Value) -> String {
    bench.salesforce("create", json!({"object": OBJECT, "values": values}))["id"].as_str().unwrap().to_owned()
}

/// The HubSpot record of a Salesforce id that is not archived.
fn held(bench: &Bench, id: &str) -> Option<Value> {
    let records = bench.records("subscriptions").into_values();
    let mut found: Vec<Value> =
        records.filter(|record| record["properties"]["salesforce_id"] == id && record["archived"] == false).collect();
    assert!(found.len() < 2, "{found:?}");
    found.pop()
}

fn set(bench: &Bench, id: &str, properties: Value) {
    let record = held(bench, id).unwrap()["id"].clone();
    bench.hubspot("set", json!({"object": "subscriptions", "id": record, "properties": properties}));
}

/// A comparison that does what its plan foretold; the report of its run.
fn reconcile(bench: &Bench) -> Value {
    let planned = bench.run(&["plan", "--reconcile", "--format", "json"]).code(0).json();
    let done = bench.run(&["reconcile", "--format", "json"]).code(0).json();
    let outcome = report(&done, "subs").clone();
    for count in ["created", "updated", "archived", "unchanged", "drifted", "associated", "disassociated", "read"] {
        assert_eq!(report(&planned, "subs")[count], outcome[count], "{count}\n{planned}\n{done}");
    }
    assert_eq!(outcome["kind"], "reconcile");
    outcome
}

#[test]
fn where_nothing_differs_it_costs_reads_only() {
    let bench = bench(KEEP);
    bench.import();
    let id = create(&bench, json!({"Name": "S"}));
    bench.sync();
    bench.sandbox.forget_requests();
    let done = bench.run(&["reconcile", "--format", "json"]).code(0).json();
    let outcome = report(&done, "subs");
    assert_eq!((outcome["updated"].as_u64(), outcome["drifted"].as_u64()), (Some(0), Some(0)), "{outcome}");
    assert_eq!(outcome["unchanged"], outcome["read"]);
    let writes = ["upsert", "create", "update", "archive", "associate"];
    let sent = bench.sandbox.requests();
    let sent: Vec<String> = sent.iter().map(|request| format!("{} {}", request.method, request.target)).collect();
    let is_write = |request: &&String| writes.iter().any(|word| request.contains(&format!("batch/{word}")));
    assert_eq!(sent.iter().filter(is_write).count(), 0, "{sent:#?}");
    assert!(held(&bench, &id).is_some());
}

#[test]
fn what_people_changed_in_hubspot_is_written_over_or_kept() {
    let bench = bench(&format!("  - {{ from: External_Code__c, to: external_code, on_drift: keep }}\n{KEEP}"));
    let id = create(&bench, json!({"Name": "S", "Notes__c": "n", "External_Code__c": "c"}));
    let other = create(&bench, json!({"Name": "T", "External_Code__c": "c"}));
    bench.import();
    set(&bench, &id, json!({"headline": "by hand", "external_code": "mine"}));
    set(&bench, &other, json!({"external_code": "mine"}));
    let outcome = reconcile(&bench);
    assert_eq!((outcome["updated"].as_u64(), outcome["drifted"].as_u64()), (Some(1), Some(2)), "{outcome}");
    let record = held(&bench, &id).unwrap();
    assert_eq!(
        (&record["properties"]["headline"], &record["properties"]["external_code"]),
        (&json!("n"), &json!("mine"))
    );
    assert_eq!(held(&bench, &other).unwrap()["properties"]["external_code"], "mine");
    // Once more: what is kept is told again, and nothing is written.
    let outcome = reconcile(&bench);
    assert_eq!((outcome["updated"].as_u64(), outcome["drifted"].as_u64()), (Some(0), Some(2)), "{outcome}");
    let text = bench.run(&["plan", "--reconcile"]).code(0).stdout;
    assert!(text.contains("2 found changed in HubSpot"), "{text}");
}

#[test]
fn a_record_that_hubspot_lost_is_made_again() {
    let bench = bench(KEEP);
    let id = create(&bench, json!({"Name": "S"}));
    bench.import();
    let before = held(&bench, &id).unwrap()["id"].clone();
    bench.hubspot("archive", json!({"object": "subscriptions", "id": before}));
    let outcome = reconcile(&bench);
    assert_eq!((outcome["created"].as_u64(), outcome["drifted"].as_u64()), (Some(1), Some(1)), "{outcome}");
    assert_ne!(held(&bench, &id).unwrap()["id"], before);
    assert_eq!(reconcile(&bench)["created"], 0);
}

#[test]
fn values_that_change_without_a_stamp_are_carried_over() {
    let bench = bench(&format!("{KEEP}sync: {{ parents: off }}\n"));
    // A record that was last touched long ago.
    let old = bench.rows(OBJECT).into_iter().find(|(_, row)| row["values"]["Account__c"].is_string()).unwrap();
    let (id, account) = (old.0, old.1["values"]["Account__c"].clone());
    bench.import();
    bench.salesforce("update", json!({"object": "Account", "id": account, "values": {"Name": "Renamed"}}));
    bench.sync();
    assert_ne!(held(&bench, &id).unwrap()["properties"]["account_name"], "Renamed", "a sync does not see it");
    let outcome = reconcile(&bench);
    assert_eq!(outcome["drifted"], 0, "nobody changed HubSpot: {outcome}");
    assert_eq!(held(&bench, &id).unwrap()["properties"]["account_name"], "Renamed");
}

#[test]
fn records_that_left_without_a_trace_are_found() {
    for (policy, stays) in [("keep", true), ("archive", false)] {
        let bench = bench(&format!("{KEEP}on_vanish: {policy}\n"));
        let (purged, hidden, stayed) = (
            create(&bench, json!({"Name": "purged"})),
            create(&bench, json!({"Name": "hidden"})),
            create(&bench, json!({"Name": "stays"})),
        );
        bench.import();
        for action in ["delete", "purge"] {
            bench.salesforce(action, json!({"object": OBJECT, "id": purged}));
        }
        bench.salesforce("hide_rows", json!({"object": OBJECT, "ids": [hidden]}));
        let planned = bench.run(&["plan", "--reconcile"]).code(0).stdout;
        assert!(planned.contains("no longer visible in Salesforce"), "{planned}");
        let outcome = reconcile(&bench);
        assert_eq!(
            (held(&bench, &hidden).is_some(), held(&bench, &stayed).is_some()),
            (stays, true),
            "{policy}: {outcome}"
        );
        if policy == "keep" {
            assert!(outcome["notes"].to_string().contains("no longer visible in Salesforce"), "{outcome}");
        }
        assert!(
            held(&bench, &purged).is_none(),
            "{policy}: Salesforce lists it as deleted, and `on_delete` says archive: {outcome}"
        );
        assert_eq!(outcome["archived"], if stays { 1 } else { 2 }, "{outcome}");
        // Shown again, it is one record as before.
        bench.salesforce("show_rows", json!({"object": OBJECT, "ids": [hidden]}));
        reconcile(&bench);
        assert!(held(&bench, &hidden).is_some(), "{policy}");
    }
}

#[test]
fn the_guard_stops_it_before_the_first_write() {
    let bench = bench("on_delete: archive\non_vanish: archive\nguard: { archive: 10% }\n");
    let ids: Vec<String> = (0..10).map(|number| create(&bench, json!({"Name": format!("S{number}")}))).collect();
    bench.import();
    set(&bench, &ids[0], json!({"headline": "by hand"}));
    bench.salesforce("hide_rows", json!({"object": OBJECT, "ids": ids[1..8].to_vec()}));
    let before = bench.records("subscriptions");
    let ran = bench.run(&["reconcile"]).code(1);
    assert!(ran.stderr.contains("--allow-archive 7") || ran.stdout.contains("--allow-archive 7"), "{ran:?}");
    assert_eq!(bench.records("subscriptions"), before, "nothing was written");
    bench.run(&["reconcile", "--allow-archive", "7"]).code(0);
    assert!(ids[1..8].iter().all(|id| held(&bench, id).is_none()));
}

#[test]
fn a_property_that_is_only_filled_never_writes_over_people() {
    let bench = bench(&format!("  - {{ from: External_Code__c, to: external_code, write: if_empty }}\n{KEEP}"));
    let filled = create(&bench, json!({"Name": "S", "External_Code__c": "c"}));
    let empty = create(&bench, json!({"Name": "T"}));
    bench.import();
    let code = |id: &str| held(&bench, id).unwrap()["properties"]["external_code"].clone();
    assert_eq!((code(&filled), code(&empty).is_null() || code(&empty) == ""), (json!("c"), true));
    set(&bench, &filled, json!({"external_code": "mine"}));
    for id in [&filled, &empty] {
        let values = json!({"Name": "changed", "External_Code__c": "from Salesforce"});
        bench.salesforce("update", json!({"object": OBJECT, "id": id, "values": values}));
    }
    let planned = bench.run(&["plan", "--format", "json"]).code(0).json();
    let done = bench.sync();
    assert_eq!(report(&planned, "subs")["updated"], report(&done, "subs")["updated"]);
    assert_eq!((code(&filled), code(&empty)), (json!("mine"), json!("from Salesforce")));
    assert_eq!(held(&bench, &filled).unwrap()["properties"]["subscription_name"], "changed");
    let outcome = reconcile(&bench);
    assert_eq!((outcome["updated"].as_u64(), outcome["drifted"].as_u64()), (Some(0), Some(0)), "{outcome}");
    // A blank in Salesforce takes nothing away.
    bench.salesforce("update", json!({"object": OBJECT, "id": empty, "values": {"External_Code__c": null}}));
    bench.sync();
    assert_eq!(code(&empty), "from Salesforce");
}

#[test]
fn before_anything_was_imported_there_is_nothing_to_compare() {
    let bench = bench(KEEP);
    let ran = bench.run(&["reconcile"]).code(0);
    assert!(ran.stdout.contains("nothing was imported yet"), "{ran:?}");
    assert!(bench.records("subscriptions").is_empty());
}

/// Many records, and what HubSpot holds of the last of them changed by hand: their ids.
fn drifted(records: usize, drifted: usize) -> (Bench, Vec<String>) {
    let bench = bench("on_delete: archive\nguard: { archive: 50% }\n");
    bench.salesforce("switches", json!({"short_pages": true}));
    let ids: Vec<String> =
        (0..records).map(|number| create(&bench, json!({"Name": format!("S{number}"), "Notes__c": "n"}))).collect();
    bench.import();
    let held = bench.records("subscriptions");
    let of: std::collections::BTreeMap<&str, &Value> =
        held.values().map(|record| (record["properties"]["salesforce_id"].as_str().unwrap(), record)).collect();
    for id in &ids[records - drifted..] {
        let record = &of[id.as_str()]["id"];
        let edit = json!({"object": "subscriptions", "id": record, "properties": {"headline": "by hand"}});
        bench.hubspot("set", edit);
    }
    (bench, ids)
}

fn by_hand(bench: &Bench) -> usize {
    bench.records("subscriptions").values().filter(|record| record["properties"]["headline"] == "by hand").count()
}

#[test]
fn a_comparison_that_is_broken_off_goes_on_where_it_stood() {
    let (bench, _) = drifted(900, 90);
    let read = "/crm/objects/**/batch/read";
    bench.faults(json!([{"path": read, "from": 6, "fault": "reset_before"}]));
    let ran = bench.run(&["reconcile", "--format", "json"]).code(1).json();
    let first = report(&ran, "subs").clone();
    bench.sandbox.clear_faults();
    assert!(first["unchanged"].as_u64() > Some(100), "{first}");
    let ran = bench.run(&["reconcile", "--format", "json"]).code(0).json();
    let second = report(&ran, "subs").clone();
    assert!(second["notes"].to_string().contains("went on with the comparison"), "{second}");
    assert!(second["read"].as_u64() < Some(900), "{second}");
    assert_eq!(by_hand(&bench), 0, "{first} {second}");
    // It is over: the next one begins anew.
    let third = reconcile(&bench);
    assert_eq!((&third["read"], third["updated"].as_u64()), (&json!(bench.rows(OBJECT).len()), Some(0)), "{third}");
    assert!(!third["notes"].to_string().contains("went on"), "{third}");
}

#[test]
fn a_comparison_with_a_time_limit_does_its_part() {
    let (bench, _) = drifted(900, 90);
    let all = bench.rows(OBJECT).len() as u64;
    let (mut read, mut parts) = (0, 0);
    loop {
        let ran = bench.run(&["reconcile", "--time-limit", "0s", "--format", "json"]).code(0).json();
        let outcome = report(&ran, "subs").clone();
        read += outcome["read"].as_u64().unwrap();
        parts += 1;
        if !outcome["notes"].to_string().contains("its time was over") {
            break;
        }
        assert!(parts < 20, "{outcome}");
    }
    assert!(parts > 2 && read < all + 200 * parts, "{parts} parts, {read} of {all}");
    assert_eq!(by_hand(&bench), 0);
}

#[test]
fn a_comparison_that_was_judged_by_another_mapping_begins_anew() {
    let (bench, _) = drifted(500, 50);
    bench.run(&["reconcile", "--time-limit", "0s"]).code(0);
    bench.edit("pipelines/subscriptions.yaml", "from: Notes__c", "from: Name");
    let ran = bench.run(&["reconcile", "--format", "json"]).code(0).json();
    let outcome = report(&ran, "subs");
    assert!(!outcome["notes"].to_string().contains("went on"), "{outcome}");
    assert_eq!(outcome["updated"].as_u64(), Some(bench.rows(OBJECT).len() as u64), "{outcome}");
}

#[test]
fn a_salesforce_id_that_syncline_never_wrote_is_told_and_left() {
    let bench = bench(KEEP);
    let (gone, kept) = (create(&bench, json!({"Name": "gone"})), create(&bench, json!({"Name": "kept"})));
    bench.import();
    assert_eq!(reconcile(&bench)["drifted"], 0);
    // Typed by hand: the id of a record that is no more, and no id at all.
    for action in ["delete", "purge"] {
        bench.salesforce(action, json!({"object": OBJECT, "id": gone}));
    }
    reconcile(&bench);
    for (value, name) in [(gone.as_str(), "by hand"), ("not an id", "nonsense"), ("", "without")] {
        let properties = json!({"salesforce_id": value, "subscription_name": name});
        bench.hubspot("create", json!({"object": "subscriptions", "properties": properties}));
    }
    let before = bench.records("subscriptions");
    let planned = bench.run(&["plan", "--reconcile"]).code(0).stdout;
    assert!(
        planned.contains("2 records in HubSpot carry a value in `salesforce_id` that Syncline never wrote"),
        "{planned}"
    );
    let outcome = reconcile(&bench);
    assert_eq!(outcome["drifted"], 2, "{outcome}");
    assert!(outcome["notes"].to_string().contains("left as found"), "{outcome}");
    assert_eq!(bench.records("subscriptions"), before);
    assert!(held(&bench, &kept).is_some());
    // The id of a record that is there: the comparison takes that one over, and tells of it no more.
    let late = create(&bench, json!({"Name": "late"}));
    let properties = json!({"salesforce_id": late, "subscription_name": "typed"});
    bench.hubspot("create", json!({"object": "subscriptions", "properties": properties}));
    let outcome = reconcile(&bench);
    assert_eq!((outcome["drifted"].as_u64(), outcome["updated"].as_u64()), (Some(2), Some(1)), "{outcome}");
    assert_eq!(held(&bench, &late).unwrap()["properties"]["subscription_name"], "late");
}

#[test]
fn a_saved_plan_is_followed_from_the_start() {
    let (bench, ids) = drifted(400, 1);
    bench.run(&["reconcile", "--time-limit", "0s"]).code(0);
    set(&bench, &ids[0], json!({"headline": "by hand"}));
    bench.run(&["plan", "--reconcile", "--out", "change.plan"]).code(0);
    let ran = bench.run(&["apply", "change.plan", "--yes", "--format", "json"]).code(0);
    assert_eq!(by_hand(&bench), 0);
    // What had paused is over with it, and that is said.
    assert!(ran.stdout.contains("began anew: a plan is about all records"), "{}", ran.stdout);
    let outcome = reconcile(&bench);
    assert!(!outcome["notes"].to_string().contains("went on"), "{outcome}");
}
