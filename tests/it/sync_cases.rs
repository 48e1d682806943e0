//! What real orgs do between two cycles: late and equal stamps, undeletes, merges, fields that come and go, rows that are
//! hidden, records that leave the filter and return.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use syncline::sandbox::options::SandboxOptions;

use crate::support::oracle::{agree, picture};
use crate::support::{Bench, FAST, report};

const OBJECT: &str = "Subscription__c";
const SYNC: [&str; 4] = ["sync", "--once", "--format", "json"];

/// The live record of a Salesforce id.
#[track_caller]
fn record(bench: &Bench, id: &str) -> Option<Value> {
    let records = bench.records("subscriptions");
    let mut records =
        records.values().filter(|record| record["archived"] == false && record["properties"]["salesforce_id"] == id);
    let found = records.next().cloned();
    assert!(records.next().is_none(), "{id} is doubled");
    found
}

/// Active subscriptions that were written well.
fn healthy(bench: &Bench) -> Vec<String> {
    let failed = bench.failures();
    let well = |id: &String| !failed.iter().any(|failure| failure["salesforce_id"] == id.as_str());
    let rows = bench.rows(OBJECT);
    let active = rows.into_iter().filter(|(_, row)| row["values"]["Status__c"] == "Active" && row["deleted"] == false);
    active.map(|(id, _)| id).filter(well).collect()
}

fn update(bench: &Bench, id: &str, values: Value) {
    bench.salesforce("update", json!({"object": OBJECT, "id": id, "values": values}));
}

/// Writes a row behind everybody's back, with a stamp of one's own; `id` is an old row's or a new one.
fn stamp(bench: &Bench, id: &str, seconds: i64, values: Value) {
    let at = bench.sandbox.now() + jiff::SignedDuration::from_secs(seconds);
    let at = at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    bench.salesforce("stamp", json!({"object": OBJECT, "id": id, "stamp": at, "values": values}));
}

fn hubspot_writes(bench: &Bench) -> usize {
    let all = bench.sandbox.requests();
    let write = |target: &str| ["upsert", "archive", "create", "update"].iter().any(|end| target.ends_with(end));
    all.iter().filter(|entry| entry.service == "hubspot" && entry.method != "GET" && write(&entry.target)).count()
}

#[test]
fn rows_that_become_visible_late_are_carried_over_by_the_next_cycle() {
    let bench = Bench::new(40);
    bench.import();
    let ids = healthy(&bench);
    update(&bench, &ids[0], json!({"Notes__c": "the newest"}));
    bench.sync();
    bench.sandbox.advance(Duration::from_secs(30));
    bench.sync();
    // Both were saved before the newest row that the last cycle saw.
    stamp(&bench, "a015g00000LATE1AA0", -33, json!({"Name": "three seconds late", "Status__c": "Active"}));
    stamp(&bench, "a015g00000LATE2AA0", -270, json!({"Name": "four minutes late", "Status__c": "Active"}));
    stamp(&bench, &ids[1], -240, json!({"Notes__c": "late as well"}));
    let outcome = report(&bench.sync(), "subscriptions").clone();
    assert_eq!((&outcome["created"], &outcome["updated"]), (&json!(2), &json!(1)), "{outcome}");
    agree(&bench);
    bench.sandbox.forget_requests();
    bench.sync();
    assert_eq!(hubspot_writes(&bench), 0, "read again, and written no more");
}

#[test]
fn changes_that_stay_invisible_for_a_while_are_not_lost() {
    let visibility_delay = Duration::from_millis(700);
    let bench =
        Bench::with(SandboxOptions { records: 30, visibility_delay, rate_limit: FAST, ..SandboxOptions::default() });
    bench.import();
    let ids = healthy(&bench);
    for (number, id) in ids.iter().take(6).enumerate() {
        update(&bench, id, json!({"Notes__c": format!("change {number}")}));
        bench.salesforce(
            "create",
            json!({"object": OBJECT, "values": {"Name": format!("New {number}"), "Status__c": "Active"}}),
        );
        bench.sync();
    }
    bench.sandbox.advance(Duration::from_secs(2));
    bench.sync();
    agree(&bench);
}

#[test]
fn a_change_on_its_way_shows_what_was_there_before_and_archives_nothing() {
    let visibility_delay = Duration::from_secs(60);
    let bench =
        Bench::with(SandboxOptions { records: 30, visibility_delay, rate_limit: FAST, ..SandboxOptions::default() });
    bench.edit("pipelines/subscriptions.yaml", "on_delete: archive", "on_delete: archive\non_vanish: archive");
    bench.import();
    update(&bench, &healthy(&bench)[0], json!({"Notes__c": "on its way"}));
    let compared = bench.run(&["reconcile", "--format", "json"]).json();
    let outcome = report(&compared, "subscriptions");
    assert_eq!((&outcome["archived"], &outcome["updated"]), (&json!(0), &json!(0)), "{outcome}");
    bench.sandbox.advance(visibility_delay);
    bench.sync();
    agree(&bench);
}

#[test]
fn thousands_of_rows_with_one_stamp_all_arrive_once() {
    let bench = Bench::new(60);
    bench.import();
    bench.salesforce("switches", json!({"short_pages": true}));
    let stamp_at =
        (bench.sandbox.now() - jiff::SignedDuration::from_secs(5)).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    for number in 0..5_000 {
        let id = format!("a015g000{number:07}");
        let values = json!({"Name": format!("Bulk {number}"), "Status__c": "Active"});
        bench.salesforce("stamp", json!({"object": OBJECT, "id": id, "stamp": stamp_at, "values": values}));
    }
    // Died after some pages, with the server's cursors lost besides.
    bench.faults(json!([{"service": "salesforce", "path": "/services/data/*/query/*", "from": 12, "times": 1, "fault": "never"}]));
    let mut child = bench.spawn(&SYNC);
    while bench.sandbox.faults()["rules"][0]["struck"] == 0 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before the page was asked for");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    bench.sandbox.clear_faults();
    bench.salesforce("drop_cursors", json!({}));
    bench.sync();
    agree(&bench);
    assert!(bench.records("subscriptions").len() >= 5_000);
    let again = bench.sync();
    let outcome = report(&again, "subscriptions");
    assert_eq!((&outcome["created"], &outcome["updated"]), (&json!(0), &json!(0)), "{outcome}");
}

#[test]
fn stamps_in_the_future_are_no_trouble() {
    let bench = Bench::new(30);
    bench.import();
    let ids = healthy(&bench);
    stamp(&bench, &ids[0], 7_200, json!({"Notes__c": "from the future"}));
    bench.sync();
    agree(&bench);
    // The watermark did not follow it: what changes now is not behind it.
    update(&bench, &ids[1], json!({"Notes__c": "from today"}));
    stamp(&bench, &ids[0], 7_100, json!({"Notes__c": "from the future, again"}));
    bench.sync();
    agree(&bench);
    bench.sandbox.advance(Duration::from_secs(8_000));
    update(&bench, &ids[2], json!({"Notes__c": "after it"}));
    bench.sync();
    agree(&bench);
}

#[test]
fn deleted_merged_and_undeleted_rows_end_as_one_record_each() {
    let bench = Bench::new(40);
    bench.import();
    let ids = healthy(&bench);
    bench.salesforce("delete", json!({"object": OBJECT, "id": ids[0]}));
    bench.salesforce("merge", json!({"object": OBJECT, "id": ids[1], "losers": [ids[2]]}));
    update(&bench, &ids[1], json!({"Notes__c": "the survivor"}));
    bench.sync();
    agree(&bench);
    assert!(
        record(&bench, &ids[0]).is_none() && record(&bench, &ids[2]).is_none() && record(&bench, &ids[1]).is_some()
    );
    bench.salesforce("undelete", json!({"object": OBJECT, "id": ids[0]}));
    bench.salesforce("undelete", json!({"object": OBJECT, "id": ids[2]}));
    let outcome = report(&bench.sync(), "subscriptions").clone();
    assert_eq!(outcome["restored"], 2, "{outcome}");
    agree(&bench);
    // Deleted and back between two cycles: as if nothing had been.
    bench.salesforce("delete", json!({"object": OBJECT, "id": ids[3]}));
    bench.salesforce("undelete", json!({"object": OBJECT, "id": ids[3]}));
    let outcome = report(&bench.sync(), "subscriptions").clone();
    assert_eq!((&outcome["archived"], &outcome["restored"]), (&json!(0), &json!(0)), "{outcome}");
    agree(&bench);
}

#[test]
fn rows_whose_associations_lead_to_a_merged_account_follow_the_survivor() {
    let bench = Bench::new(40);
    bench.import();
    let rows = bench.rows(OBJECT);
    let account = |id: &String| rows[id]["values"]["Account__c"].as_str().map(str::to_owned);
    let ids = healthy(&bench);
    let associated: Vec<(&String, String)> = ids.iter().filter_map(|id| Some((id, account(id)?))).collect();
    let (moved, loser) = associated[0].clone();
    let survivor = associated.iter().map(|(_, account)| account).find(|account| **account != loser).unwrap();
    bench.salesforce("merge", json!({"object": "Account", "id": survivor, "losers": [loser]}));
    // Salesforce hands the loser's children over to the survivor.
    for (id, _) in associated.iter().filter(|(_, account)| *account == loser) {
        update(&bench, id, json!({"Account__c": survivor}));
    }
    for (id, _) in bench.rows("WorkOrder").iter().filter(|(_, row)| row["values"]["AccountId"] == loser.as_str()) {
        bench.salesforce("update", json!({"object": "WorkOrder", "id": id, "values": {"AccountId": survivor}}));
    }
    bench.sync();
    agree(&bench);
    assert!(record(&bench, moved).is_some());
}

#[test]
fn a_field_that_is_no_longer_visible_stops_the_pipeline_and_clears_nothing() {
    let bench = Bench::new(30);
    bench.import();
    let before = picture(&bench);
    for field in ["Notes__c", "Status__c", "Account__c"] {
        bench.salesforce("hide", json!({"object": OBJECT, "field": field}));
        let ids = healthy(&bench);
        update(&bench, &ids[0], json!({"External_Code__c": "changed meanwhile"}));
        for command in [&SYNC[..], &["import", "--yes"], &["plan"]] {
            bench.sandbox.forget_requests();
            let ran = bench.run(command).code(1);
            assert_eq!(hubspot_writes(&bench), 0, "{command:?}");
            assert!(ran.stderr.contains(field) && ran.stderr.contains("read"), "{command:?} {field}: {}", ran.stderr);
        }
        assert!(picture(&bench) == before, "nothing was written while `{field}` was hidden");
        bench.salesforce("show", json!({"object": OBJECT, "field": field}));
        update(&bench, &ids[0], json!({"External_Code__c": bench_code(&bench, &ids[0])}));
    }
    update(&bench, &healthy(&bench)[0], json!({"Notes__c": "seen again"}));
    bench.sync();
    agree(&bench);
}

/// What HubSpot holds as the external code of a record.
fn bench_code(bench: &Bench, id: &str) -> Value {
    record(bench, id).map(|record| record["properties"]["external_code"].clone()).unwrap_or_default()
}

#[test]
fn fields_that_are_added_renamed_retyped_or_deleted_lose_and_clear_nothing() {
    let bench = Bench::new(30);
    bench.import();
    let before = picture(&bench);
    let field = json!({"name": "Fresh__c", "type": "string", "label": "Fresh", "length": 80});
    bench.salesforce("add_field", json!({"object": OBJECT, "field": field}));
    bench.sync();
    agree(&bench);
    assert!(picture(&bench) == before, "a new field alone changes nothing");

    bench.salesforce("rename_field", json!({"object": OBJECT, "field": "Notes__c", "to": "Remarks__c"}));
    let ran = bench.run(&SYNC).code(1);
    assert!(ran.stderr.contains("Notes__c"), "{}", ran.stderr);
    assert!(picture(&bench) == before);
    bench.edit("pipelines/subscriptions.yaml", "from: Notes__c", "from: Remarks__c");
    bench.sync();
    assert!(picture(&bench) == before, "the same values under another name");
    bench.salesforce("rename_field", json!({"object": OBJECT, "field": "Remarks__c", "to": "Notes__c"}));
    bench.edit("pipelines/subscriptions.yaml", "from: Remarks__c", "from: Notes__c");

    bench.salesforce("retype_field", json!({"object": OBJECT, "field": "Status__c", "type": "address"}));
    let ran = bench.run(&SYNC).code(1);
    assert!(ran.stderr.contains("Status__c"), "{}", ran.stderr);
    bench.salesforce("retype_field", json!({"object": OBJECT, "field": "Status__c", "type": "picklist"}));

    bench.salesforce("remove_field", json!({"object": OBJECT, "field": "Notes__c"}));
    bench.run(&SYNC).code(1);
    assert!(picture(&bench) == before);
    bench.edit("pipelines/subscriptions.yaml", "  - { from: Notes__c, to: notes }\n", "");
    bench.sync();
    assert!(picture(&bench) == before, "a field that is no longer mapped keeps its last value in HubSpot");
}

#[test]
fn rows_that_are_hidden_are_neither_archived_nor_made_again() {
    let bench = Bench::new(80);
    bench.edit("pipelines/subscriptions.yaml", "on_filter_exit: keep", "on_filter_exit: archive");
    bench.import();
    let before = picture(&bench);
    let ids: Vec<String> =
        bench.rows(OBJECT).into_keys().enumerate().filter(|(index, _)| index % 3 == 0).map(|(_, id)| id).collect();
    bench.salesforce("hide_rows", json!({"object": OBJECT, "ids": ids}));
    for command in [&SYNC[..], &["import", "--yes", "--format", "json"]] {
        let ran = bench.run(command);
        assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
        assert_eq!(report(&ran.json(), "subscriptions")["archived"], 0, "{ran:?}");
    }
    assert!(picture(&bench) == before);
    bench.salesforce("show_rows", json!({"object": OBJECT, "ids": ids}));
    for command in [&SYNC[..], &["import", "--yes", "--format", "json"]] {
        let ran = bench.run(command);
        let outcome = report(&ran.json(), "subscriptions").clone();
        assert_eq!((&outcome["created"], &outcome["restored"]), (&json!(0), &json!(0)), "{outcome}");
    }
    assert!(picture(&bench) == before);
    agree(&bench);
}

#[test]
fn an_empty_source_is_refused_until_it_is_allowed() {
    let bench = Bench::new(40);
    bench.import();
    let before = picture(&bench);
    let ids: Vec<String> = bench.rows(OBJECT).into_keys().collect();
    bench.salesforce("hide_rows", json!({"object": OBJECT, "ids": ids}));
    bench.sandbox.forget_requests();
    let ran = bench.run(&["import", "--yes", "--format", "json"]).code(1);
    assert_eq!(report(&ran.json(), "subscriptions")["status"], "refused", "{ran:?}");
    assert!(ran.stderr.contains("SL6009") && ran.stderr.contains("--allow-empty"), "{}", ran.stderr);
    assert_eq!(hubspot_writes(&bench), 0);
    let ran = bench.run(&["import", "--yes", "--allow-empty", "--format", "json"]);
    assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
    assert!(picture(&bench) == before, "an import archives nothing even then");
}

#[test]
fn an_import_that_gets_a_part_of_what_was_counted_says_so_and_begins_anew() {
    let bench = Bench::new(60);
    for attempt in 0..2 {
        let body = json!({"totalSize": 0, "done": true, "records": []});
        let rows = "ORDER%20BY%20Id";
        bench.faults(json!([{"path": "/services/data/*/query", "contains": rows, "status": 200, "body": body}]));
        let ran = bench.run(&["import", "--yes", "--format", "json", "subscriptions"]).code(1);
        let outcome = report(&ran.json(), "subscriptions").clone();
        assert_eq!((&outcome["status"], &outcome["read"]), (&json!("failed"), &json!(0)), "{attempt}: {outcome}");
        assert!(ran.stderr.contains("SL6009") && ran.stderr.contains("returned 0 of the"), "{}", ran.stderr);
        bench.sandbox.clear_faults();
    }
    bench.import();
    agree(&bench);
}

#[test]
fn a_cycle_that_would_archive_too_much_is_refused_before_its_first_write() {
    let bench = Bench::new(60);
    bench.import();
    let before = picture(&bench);
    let ids = healthy(&bench);
    update(&bench, &ids[0], json!({"Notes__c": "waits as well"}));
    for id in &ids[1..15] {
        bench.salesforce("delete", json!({"object": OBJECT, "id": id}));
    }
    let ran = bench.run(&SYNC).code(1);
    assert_eq!(report(&ran.json(), "subscriptions")["status"], "refused", "{ran:?}");
    assert!(picture(&bench)["subscriptions"] == before["subscriptions"]);
    let ran = bench.run(&["sync", "--once", "--allow-archive", "14", "--format", "json"]);
    assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
    assert_eq!(report(&ran.json(), "subscriptions")["archived"], 14);
    agree(&bench);
}

#[test]
fn a_record_that_leaves_the_filter_and_returns_is_in_step_again() {
    for policy in ["keep", "archive"] {
        let bench = Bench::new(60);
        bench.edit("pipelines/subscriptions.yaml", "on_filter_exit: keep", &format!("on_filter_exit: {policy}"));
        bench.import();
        let ids = healthy(&bench);
        let (plain, edited) = (&ids[0], &ids[1]);
        let kept = record(&bench, plain).unwrap();
        for id in [plain, edited] {
            update(&bench, id, json!({"Status__c": "Draft"}));
        }
        bench.sync();
        assert_eq!(record(&bench, plain).is_some(), policy == "keep");
        // Changes of a record that left are not carried over.
        update(&bench, edited, json!({"Notes__c": "while it was away"}));
        bench.sync();
        if let Some(left) = record(&bench, edited) {
            assert_ne!(left["properties"]["notes"], "while it was away");
        }
        for id in [plain, edited] {
            update(&bench, id, json!({"Status__c": "Active"}));
        }
        bench.sync();
        agree(&bench);
        let back = record(&bench, plain).unwrap();
        assert_eq!(back["properties"]["subscription_name"], kept["properties"]["subscription_name"]);
        assert_eq!(back["id"] == kept["id"], policy == "keep");
        assert_eq!(record(&bench, edited).unwrap()["properties"]["notes"], "while it was away");
        update(&bench, plain, json!({"Notes__c": "in step"}));
        bench.sync();
        agree(&bench);
        // Out and back between two cycles, and deleted while away.
        update(&bench, plain, json!({"Status__c": "Draft"}));
        update(&bench, plain, json!({"Status__c": "Active"}));
        update(&bench, edited, json!({"Status__c": "Draft"}));
        bench.sync();
        bench.salesforce("delete", json!({"object": OBJECT, "id": edited}));
        bench.sync();
        agree(&bench);
        assert!(record(&bench, plain).is_some() && record(&bench, edited).is_none(), "{policy}");
    }
}

#[test]
fn texts_that_look_like_numbers_or_words_arrive_byte_for_byte() {
    let bench = Bench::new(20);
    bench.import();
    let texts =
        ["01234", "821580693639061174", "0.1", "1E7", "12345678901234.56", "True", "=cmd()", "null", "-0", "\u{202e}x"];
    let ids = healthy(&bench);
    for (id, text) in ids.iter().zip(texts) {
        update(&bench, id, json!({"External_Code__c": text, "Notes__c": text}));
    }
    for exponents in [false, true] {
        bench.salesforce("switches", json!({"exponents": exponents, "whole_as_decimal": exponents}));
        bench.sync();
        for (id, text) in ids.iter().zip(texts) {
            let record = record(&bench, id).unwrap();
            assert_eq!(
                (&record["properties"]["external_code"], &record["properties"]["notes"]),
                (&json!(text), &json!(text))
            );
        }
    }
    agree(&bench);
}

#[test]
fn ids_that_differ_in_letter_case_alone_are_two_records() {
    let bench = Bench::new(20);
    bench.import();
    let ids = ["a015g00000AbCdE", "a015g00000aBcDe", "a015g00000ABCDE"];
    for id in ids {
        stamp(&bench, id, 0, json!({"Name": id, "Status__c": "Active"}));
    }
    bench.sync();
    agree(&bench);
    let whole = ["a015g00000AbCdEAAV", "a015g00000aBcDeAAK"];
    for (id, name) in whole.iter().zip(ids) {
        assert_eq!(record(&bench, id).unwrap()["properties"]["subscription_name"], *name);
    }
    bench.salesforce("delete", json!({"object": OBJECT, "id": whole[0]}));
    bench.sync();
    assert!(record(&bench, whole[0]).is_none() && record(&bench, whole[1]).is_some());
}

#[test]
fn a_daily_budget_pauses_and_the_next_day_goes_on() {
    let bench = Bench::new(40);
    bench.import();
    let ids = healthy(&bench);
    update(&bench, &ids[0], json!({"Notes__c": "waits for tomorrow"}));
    // Less than a run needs, by the org's own limit.
    bench.edit("syncline.yaml", "    type: salesforce\n", "    type: salesforce\n    api_budget: 100%\n");
    bench.salesforce("options", json!({"daily_limit": 4}));
    let ran = bench.run(&SYNC).code(1);
    assert!(ran.stderr.contains("API calls") || ran.stderr.contains("TotalRequests"), "{}", ran.stderr);
    bench.salesforce("options", json!({"daily_limit": 100_000}));
    bench.sync();
    agree(&bench);
}

#[test]
fn a_budget_of_calls_is_kept_by_all_processes_together() {
    let bench = Bench::new(20);
    bench.import();
    let calls = |bench: &Bench| {
        let all = bench.sandbox.requests();
        all.iter().filter(|entry| entry.service == "salesforce" && !entry.target.contains("oauth2")).count()
    };
    bench.edit("syncline.yaml", "    type: salesforce\n", "    type: salesforce\n    api_budget: 40\n");
    let mut paused = None;
    for _ in 0..20 {
        let ran = bench.run(&SYNC);
        if ran.code == Some(1) {
            paused = Some(ran);
            break;
        }
    }
    let ran = paused.unwrap();
    assert!(ran.stderr.contains("SL4105") && ran.stderr.contains("allows 40"), "{}", ran.stderr);
    assert!(ran.stdout.contains(r#""status": "paused""#), "{ran:?}");
    assert!((36..=41).contains(&calls(&bench)), "{} calls", calls(&bench));
    // A process that begins beyond the budget asks for the server's time, and for no more.
    let before = calls(&bench);
    bench.run(&SYNC).code(1);
    assert!(calls(&bench) <= before + 1, "{before}, then {}", calls(&bench));
    let before = calls(&bench);
    bench.sandbox.advance(Duration::from_hours(26));
    bench.sync();
    assert!(calls(&bench) > before);
    agree(&bench);
}

#[test]
fn a_very_wide_pipeline_is_read_whole() {
    let bench = Bench::new(20);
    fs::remove_file(bench.path("pipelines/work_orders.yaml")).unwrap();
    let mut fields = [String::new(), String::new()];
    for number in 0..700 {
        let field =
            json!({"name": format!("Extra_Column_{number}__c"), "type": "string", "label": "Extra", "length": 80});
        bench.salesforce("add_field", json!({"object": OBJECT, "field": field}));
        fields[number / 350].push_str(&format!("{{{{ Extra_Column_{number}__c | default('') }}}}"));
    }
    let [first, second] = fields;
    let pipeline = format!(
        "version: 1\nname: subscriptions\nsource: {{ object: Subscription__c, where: Status__c != 'Draft' }}\n\
         target: {{ object: subscriptions, match: salesforce_id }}\nfields:\n  - {{ from: Name, to: subscription_name }}\n\
         \x20 - {{ from: Status__c, to: status, values: {{ Active: active, On Hold: on_hold, Cancelled: cancelled, Draft: draft }} }}\n\
         \x20 - {{ to: notes, template: \"{first}\" }}\n  - {{ to: headline, template: \"{second}\" }}\non_delete: archive\n"
    );
    bench.write("pipelines/subscriptions.yaml", &pipeline);
    bench.import();
    let ids = healthy(&bench);
    update(&bench, &ids[0], json!({"Extra_Column_0__c": "first", "Extra_Column_699__c": "last"}));
    bench.sync();
    let record = record(&bench, &ids[0]).unwrap();
    assert_eq!((&record["properties"]["notes"], &record["properties"]["headline"]), (&json!("first"), &json!("last")));
}
