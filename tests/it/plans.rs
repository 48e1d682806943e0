//! `plan`: the dry run of a changed mapping, record by record and in total, in every form.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Bench, report};

const OBJECT: &str = "Subscription__c";
const FILE: &str = "pipelines/subscriptions.yaml";

/// An imported bench without failures, so that what a test does is all there is.
fn imported(records: usize) -> Bench {
    let bench = Bench::new(records);
    bench.edit(FILE, "Draft: draft }", "Draft: draft, Legacy: cancelled }\n    otherwise: clear");
    bench.edit(FILE, "to: channels, otherwise: reject", "to: channels, values: { Email: Email }, otherwise: clear");
    bench.edit(FILE, "to: notes", "to: notes, truncate: true");
    bench.import();
    bench.settle();
    bench
}

fn edit_guard(bench: &Bench) {
    let text = std::fs::read_to_string(bench.path(FILE)).unwrap();
    bench.write(FILE, &format!("{text}\nguard: {{ archive: 100% }}\n"));
}

fn plan(bench: &Bench, arguments: &[&str]) -> Value {
    let mut all = vec!["plan", "--format", "json"];
    all.extend(arguments);
    bench.run(&all).code(0).json()
}

/// The change of one record.
#[track_caller]
fn change<'a>(forecast: &'a Value, id: &str) -> &'a Value {
    let changes = forecast["changes"].as_array().unwrap();
    changes.iter().find(|change| change["salesforce_id"] == id).unwrap_or_else(|| panic!("{id} is not in {forecast:#}"))
}

/// Records that are in HubSpot, by their Salesforce id: the HubSpot id.
fn known(bench: &Bench) -> BTreeMap<String, String> {
    let records = bench.records("subscriptions").into_iter().filter(|(_, record)| record["archived"] == false);
    records.map(|(id, record)| (record["properties"]["salesforce_id"].as_str().unwrap().to_owned(), id)).collect()
}

#[test]
fn every_action_is_foretold_with_before_and_after_and_then_done() {
    let bench = Bench::new(60);
    edit_guard(&bench);
    bench.import();
    bench.settle();
    let known = known(&bench);
    let mut ids = bench
        .rows(OBJECT)
        .into_iter()
        .filter(|(id, row)| {
            known.contains_key(id) && row["values"]["Status__c"] == "Active" && !row["values"]["Account__c"].is_null()
        })
        .map(|(id, _)| id);
    let mut next = || ids.next().unwrap();
    let update = |id: &str, values: Value| {
        bench.salesforce("update", json!({"object": OBJECT, "id": id, "values": values}));
    };
    let (updated, cleared, moved, unlinked, left, deleted, bad, waiting) =
        (next(), next(), next(), next(), next(), next(), next(), next());
    update(&updated, json!({"Amount__c": 77.5}));
    update(&cleared, json!({"Notes__c": null, "Seats__c": null}));
    let accounts: Vec<String> = bench.rows("Account").into_keys().collect();
    let current = bench.rows(OBJECT)[&moved]["values"]["Account__c"].clone();
    let other = accounts.iter().find(|id| **id != current).unwrap();
    update(&moved, json!({"Account__c": other}));
    update(&unlinked, json!({"Account__c": null}));
    update(&left, json!({"Status__c": "Draft"}));
    bench.salesforce("delete", json!({"object": OBJECT, "id": deleted}));
    update(&bad, json!({"Channels__c": "Fax"}));
    let order = bench.salesforce("create", json!({"object": "WorkOrder", "values": {"Subject": null}}));
    update(&waiting, json!({"Work_Order__c": order["id"]}));
    let made = bench.salesforce("create", json!({"object": OBJECT, "values": {"Name": "Made", "Status__c": "Active"}}));
    let made = made["id"].as_str().unwrap().to_owned();

    let planned = plan(&bench, &["--sample", "1000"]);
    let forecast = report(&planned, "subscriptions");
    assert_eq!(change(forecast, &updated)["action"], "update");
    assert_eq!(change(forecast, &updated)["hubspot_id"], known[&updated].as_str());
    assert_eq!(change(forecast, &updated)["properties"]["amount"]["after"], "77.5");
    assert!(change(forecast, &updated)["properties"]["amount"]["before"].is_string());
    let cleared_now = &change(forecast, &cleared)["properties"];
    assert!(
        cleared_now.as_object().unwrap().values().any(|sides| sides["before"].is_string() && sides["after"].is_null()),
        "{cleared_now}"
    );
    let associations = |id: &str| -> Vec<String> {
        let associations = change(forecast, id)["associations"].as_array().unwrap().iter();
        associations
            .map(|association| {
                format!("{} {}", association["action"].as_str().unwrap(), association["association"].as_str().unwrap())
            })
            .collect()
    };
    assert!(
        associations(&moved).contains(&"associate Account__c#billing_account".to_owned())
            || associations(&moved).iter().any(|association| association.starts_with("associate Account__c")),
        "{:?}",
        associations(&moved)
    );
    assert!(
        associations(&unlinked).iter().any(|association| association.starts_with("disassociate Account__c")),
        "{:?}",
        associations(&unlinked)
    );
    assert!(
        associations(&waiting).iter().any(|association| association.starts_with("pending Work_Order__c")),
        "{:?}",
        associations(&waiting)
    );
    assert_eq!(change(forecast, &left)["action"], "leave");
    assert_eq!(change(forecast, &deleted)["action"], "archive");
    assert_eq!(change(forecast, &bad)["action"], "reject");
    assert!(change(forecast, &bad)["reasons"][0].as_str().unwrap().starts_with("SL5006"), "{forecast}");
    assert_eq!(change(forecast, &made)["action"], "create");
    assert_eq!(change(forecast, &made)["properties"]["subscription_name"], json!({"before": null, "after": "Made"}));
    let answers = forecast["answers"].as_array().unwrap();
    let answer =
        |question: &str| answers.iter().find(|answer| answer["question"] == question).unwrap()["answer"].clone();
    assert_eq!((answer("changes"), answer("archives")), (json!("yes"), json!("yes")));
    assert_eq!((answer("drift"), answer("vanished")), (json!("unknown"), json!("unknown")));

    let done = bench.sync();
    let ran = report(&done, "subscriptions");
    for number in
        ["created", "updated", "archived", "restored", "failed", "associated", "disassociated", "pending_associations"]
    {
        assert_eq!(forecast[number], ran[number], "{number}\nplan {forecast}\nrun {ran}");
    }
    // It comes back: made again under the same match value, which the plan says.
    bench.salesforce("undelete", json!({"object": OBJECT, "id": deleted}));
    let planned = plan(&bench, &[]);
    assert_eq!(change(report(&planned, "subscriptions"), &deleted)["action"], "restore");
}

#[test]
fn a_changed_mapping_is_counted_planned_and_caught_up_with() {
    let bench = imported(60);
    let status =
        |bench: &Bench| report(&bench.run(&["status", "--format", "json"]).code(0).json(), "subscriptions").clone();
    assert_eq!(status(&bench)["stale"], 0);
    let standing = status(&bench)["records"].as_u64().unwrap();
    bench.edit(FILE, "On Hold: on_hold", "On Hold: cancelled");
    let held = bench.rows(OBJECT).values().filter(|row| row["values"]["Status__c"] == "On Hold").count();
    assert!(held > 2);
    assert_eq!(status(&bench)["stale"], standing);
    // A sync alone does not re-read what did not change; the plan says so, and counts what the mapping touches.
    let planned = plan(&bench, &["--sample", "1000"]);
    let forecast = report(&planned, "subscriptions");
    assert_eq!((&forecast["stale"], &forecast["scope"]), (&json!(standing), &json!("changed_and_stale")));
    assert_eq!(
        (&forecast["actions"]["update"], &forecast["actions"]["unchanged"]),
        (&json!(held), &json!(standing - held as u64))
    );
    assert!(forecast["notes"].to_string().contains("syncline import --stale subscriptions"), "{forecast}");
    for change in forecast["changes"].as_array().unwrap() {
        assert_eq!(change["properties"], json!({"status": {"before": "on_hold", "after": "cancelled"}}));
    }
    let done = bench.sync();
    assert_eq!(
        (&report(&done, "subscriptions")["updated"], status(&bench)["stale"].as_u64()),
        (&json!(0), Some(standing))
    );
    let before = bench.calls("hubspot");
    let done = bench.run(&["import", "--stale", "--yes", "--format", "json"]).code(0).json();
    let ran = report(&done, "subscriptions");
    assert_eq!((&ran["updated"], &ran["unchanged"]), (&json!(held), &json!(standing - held as u64)));
    // Nothing is re-sent that would not change: the writes carry the records on hold and nothing else.
    let calls = bench.sandbox.requests().into_iter().filter(|entry| entry.service == "hubspot").skip(before);
    let written =
        calls.filter(|entry| entry.target.contains("/batch/upsert") || entry.target.contains("/batch/update"));
    assert_eq!(written.count(), 1, "{held} records fit in one batch");
    assert_eq!(status(&bench)["stale"], 0);
    // A change that changes no value needs no write at all.
    bench.edit(FILE, "value: salesforce }", "template: \"{{ 'salesforce' }}\" }");
    let planned = plan(&bench, &[]);
    assert_eq!(report(&planned, "subscriptions")["actions"], json!({"unchanged": standing}));
    bench.run(&["import", "--stale", "--yes"]).code(0);
    assert_eq!(status(&bench)["stale"], 0);
    let again = bench.run(&["import", "--stale", "--yes"]).code(0);
    assert!(again.stdout.contains("every record was written with the current mapping"), "{again:?}");
}

#[test]
fn what_someone_changed_in_hubspot_is_drift() {
    let bench = imported(40);
    let known = known(&bench);
    let (id, record) = known.iter().next().unwrap();
    bench.hubspot(
        "set",
        json!({"object": "subscriptions", "id": record, "properties": {"seats": "999", "notes": "by hand"}}),
    );
    let planned = plan(&bench, &[]);
    let forecast = report(&planned, "subscriptions");
    assert_eq!(forecast["actions"], json!({}), "without --refresh it is not known: {forecast}");
    let drifted = bench.run(&["plan", "--refresh", "--format", "json", "--detailed-exitcode"]);
    let planned = drifted.json();
    let forecast = report(&planned, "subscriptions");
    assert_eq!(forecast["actions"]["drift"], 1, "{forecast}");
    let drift = change(forecast, id);
    assert_eq!((&drift["action"], &drift["properties"]["seats"]["before"]), (&json!("drift"), &json!("999")));
    assert_eq!(drift["properties"]["notes"]["before"], "by hand");
    let text = bench.run(&["plan", "--refresh"]).code(0).stdout;
    assert!(text.contains("1 record was changed in HubSpot by someone else"), "{text}");
    // As the plan says, a run leaves it.
    bench.sync();
    assert_eq!(bench.records("subscriptions")[record]["properties"]["seats"], "999");
}

#[test]
fn samples_filters_and_records_never_change_the_totals() {
    let bench = Bench::new(80);
    let whole = plan(&bench, &["--sample", "1000"]);
    let forecast = report(&whole, "subscriptions");
    let total: u64 = forecast["actions"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(forecast["changes"].as_array().unwrap().len() as u64, total);
    for (arguments, most, actions) in [
        (&["--sample", "3"][..], 3, &["create", "reject"][..]),
        (&["--sample", "0"], 0, &[]),
        (&["--sample", "1000", "--only", "reject"], 1000, &["reject"]),
        (&["--only", "archive,update"], 0, &[]),
    ] {
        let planned = plan(&bench, arguments);
        let part = report(&planned, "subscriptions");
        assert_eq!(part["actions"], forecast["actions"], "{arguments:?}");
        let shown = part["changes"].as_array().unwrap();
        assert!(shown.len() <= most, "{arguments:?}");
        assert!(
            shown.iter().all(|change| actions.contains(&change["action"].as_str().unwrap())),
            "{arguments:?}: {shown:?}"
        );
        assert_eq!(shown.len() as u64 + part["changes_omitted"].as_u64().unwrap(), total, "{arguments:?}");
    }
    let rejected = forecast["changes"].as_array().unwrap().iter().find(|change| change["action"] == "reject").unwrap();
    let id = rejected["salesforce_id"].as_str().unwrap();
    let one = plan(&bench, &["subscriptions", "--record", id]);
    let one = report(&one, "subscriptions");
    assert_eq!((&one["actions"], one["changes"].as_array().unwrap().len()), (&json!({"reject": 1}), 1));
    let wrong = bench.run(&["plan", "--record", "nonsense"]).code(1);
    assert!(wrong.stderr.contains("SL5004"), "{wrong:?}");
    bench.run(&["plan", "--only", "explode"]).code(64);
}

#[test]
fn exit_codes_tell_whether_there_are_changes() {
    let bench = imported(10);
    bench.run(&["plan", "--detailed-exitcode"]).code(0);
    let id = known(&bench).into_keys().next().unwrap();
    bench.salesforce("update", json!({"object": OBJECT, "id": id, "values": {"Amount__c": 1.25}}));
    bench.run(&["plan", "--detailed-exitcode"]).code(2);
    bench.run(&["plan"]).code(0);
    bench.faults(json!([{"service": "salesforce", "path": "/services/data/**", "fault": "daily_limit"}]));
    let ran = bench.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
}

#[test]
fn full_says_what_an_import_would_do() {
    let bench = imported(30);
    let record = known(&bench).into_values().next().unwrap();
    bench.hubspot("archive", json!({"object": "subscriptions", "id": record}));
    let full = plan(&bench, &["--full"]);
    let forecast = report(&full, "subscriptions");
    assert_eq!((&forecast["forecast_of"], &forecast["scope"]), (&json!("import"), &json!("all")));
    let done = bench.import();
    for number in ["read", "created", "updated", "unchanged", "restored", "failed"] {
        assert_eq!(forecast[number], report(&done, "subscriptions")[number], "{number}: {forecast}");
    }
}

#[test]
fn a_comment_keeps_to_the_limit_of_the_forges_with_exact_totals() {
    let bench = Bench::new(3_000);
    bench.repository();
    let long = "y".repeat(5_000);
    for id in bench.rows(OBJECT).into_keys().take(200) {
        bench.salesforce("update", json!({"object": OBJECT, "id": id, "values": {"Notes__c": long}}));
    }
    let ran = bench
        .run(&["plan", "--base", "HEAD", "--format", "markdown", "--sample", "2000", "--report", "plan.json"])
        .code(0);
    let comment = &ran.stdout;
    let length = comment.encode_utf16().count();
    assert!(length <= 65_536 && comment.len() > 30_000, "{length}");
    let whole: Value = serde_json::from_str(&std::fs::read_to_string(bench.path("plan.json")).unwrap()).unwrap();
    let created = report(&whole, "subscriptions")["created"].as_u64().unwrap();
    let grouped = format!("{},{:03}", created / 1000, created % 1000);
    assert!(
        comment.contains("| `subscriptions` | · |") && comment.contains(&format!("| {grouped} |")),
        "{}",
        &comment[..3000]
    );
    assert!(comment.contains("Not shown here: "), "the cut is said");
    let danger = comment.find("would be rejected").unwrap();
    let totals = comment.find("| pipeline |").unwrap();
    let example = comment.find("<details>").unwrap();
    assert!(danger < totals && totals < example, "dangers, totals, examples");
    // Left out and shown add up.
    let shown = comment.matches("\n- **").count() as u64;
    let left: String = comment
        .rsplit("Not shown here: ")
        .next()
        .unwrap()
        .chars()
        .take_while(|letter| letter.is_ascii_digit() || *letter == ',')
        .collect();
    let left: u64 = left.replace(',', "").parse().unwrap();
    let all: u64 = ["subscriptions", "work_orders"]
        .iter()
        .flat_map(|name| report(&whole, name)["actions"].as_object().unwrap().values())
        .map(|count| count.as_u64().unwrap())
        .sum();
    assert_eq!(shown + left, all);
}

#[test]
fn sensitive_values_are_masked_in_every_form() {
    let bench = Bench::new(20);
    bench.repository();
    let secret = "very.private@person.example";
    let id = bench.rows(OBJECT).into_iter().find(|(_, row)| row["values"]["Status__c"] == "Active").unwrap().0;
    let set = |value: &str| {
        bench.salesforce("update", json!({"object": OBJECT, "id": id, "values": {"Billing_Email__c": value}}))
    };
    set(secret);
    let look = |when: &str| {
        for form in ["text", "json", "markdown", "html"] {
            let mut arguments =
                vec!["plan", "-vv", "--format", form, "--sample", "1000", "--base", "HEAD", "--out", "saved.plan"];
            arguments.extend([
                "--report",
                "plan.html",
                "--report",
                "plan.md",
                "--report",
                "plan.json",
                "--report",
                "plan.txt",
            ]);
            let ran = bench.run(&arguments).code(0);
            assert!(ran.stdout.contains("billing_email") && ran.stdout.contains("***"), "{when}, {form}");
            assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{when}, {form}");
            for file in ["saved.plan", "plan.html", "plan.md", "plan.json", "plan.txt"] {
                let text = std::fs::read_to_string(bench.path(file)).unwrap();
                assert!(!text.contains(secret), "{when}, {file}");
            }
        }
    };
    look("at the first import");
    bench.import();
    set("another@person.example");
    look("before it is replaced");
}

/// Edits of a reviewer's branch, and the guard that lets them through.
const BRANCHES: [&[(&str, &str)]; 7] = [
    &[("On Hold: on_hold", "On Hold: cancelled")],
    &[
        ("Status__c != 'Draft'", "Status__c NOT IN ('Draft', 'Cancelled')"),
        ("on_filter_exit: keep", "on_filter_exit: archive"),
    ],
    &[("Status__c != 'Draft'", "Status__c = 'Active'")],
    &[("  where: Status__c != 'Draft'\n", "")],
    &[("  - { from: Seats__c, to: seats }\n", "")],
    &[("to: channels, otherwise: reject", "to: channels, otherwise: clear")],
    &[("    label: billing_account\n", "")],
];

#[test]
fn without_the_state_a_review_says_the_same() {
    let bench = Bench::new(60);
    edit_guard(&bench);
    // What the last cycles saw is not read again.
    bench.edit(FILE, "overlap: 10m", "overlap: 0s");
    bench.import();
    bench.settle();
    // Some left before: they are no part of what a branch does.
    let left =
        bench.rows(OBJECT).into_iter().filter(|(_, row)| row["values"]["Status__c"] == "Active").nth(3).unwrap().0;
    bench.salesforce("update", json!({"object": OBJECT, "id": left, "values": {"Status__c": "Draft"}}));
    bench.settle();
    bench.repository();
    let clean = std::fs::read_to_string(bench.path(FILE)).unwrap();
    for edits in BRANCHES {
        for (from, to) in edits {
            bench.edit(FILE, from, to);
        }
        let arguments = ["plan", "subscriptions", "--base", "HEAD", "--format", "json", "--sample", "1000"];
        let with = bench.run(&arguments).code(0).json();
        std::fs::rename(bench.path(".syncline"), bench.path("kept")).unwrap();
        let without = bench.run(&[&arguments[..], &["--without-state"]].concat()).code(0).json();
        assert!(!bench.path(".syncline").exists(), "a plan writes no state");
        std::fs::rename(bench.path("kept"), bench.path(".syncline")).unwrap();
        let (with, without) = (report(&with, "subscriptions"), report(&without, "subscriptions"));
        for action in ["archive", "leave", "create", "update", "reject"] {
            assert_eq!(with["actions"][action], without["actions"][action], "{edits:?}: {action}\n{with}\n{without}");
        }
        for number in ["archived", "created", "updated", "failed", "associated"] {
            assert_eq!(with[number], without[number], "{edits:?}: {number}\n{with}\n{without}");
        }
        // Without the state, nothing tells which labels Syncline made and would take back.
        let relabels = edits.iter().any(|(from, _)| from.contains("label:"));
        assert_eq!(with["disassociated"].as_u64() > Some(0), relabels, "{edits:?}\n{with}");
        assert_eq!(without["disassociated"], 0, "{edits:?}\n{without}");
        assert_eq!(with["definition_changes"], without["definition_changes"]);
        assert_eq!(with["refusal"], without["refusal"]);
        assert!(without["notes"].to_string().contains("no state is used"), "{without}");
        bench.write(FILE, &clean);
    }
    // Without a word about the state, an import is foretold, and that much is known is said.
    std::fs::remove_dir_all(bench.path(".syncline")).unwrap();
    let plain = plan(&bench, &[]);
    let forecast = report(&plain, "subscriptions");
    assert!(forecast["notes"].to_string().contains("there is no state here, but HubSpot already holds"), "{forecast}");
    bench.run(&["plan", "--without-state", "--out", "x.plan"]).code(64);
}

#[test]
fn a_danger_is_what_the_change_brings() {
    let bench = Bench::new(60);
    let rows = bench.rows(OBJECT);
    let healthy = rows.iter().filter(|(_, row)| row["values"]["Status__c"] == "Active").nth(5).unwrap().0;
    bench.salesforce("update", json!({"object": OBJECT, "id": healthy, "values": {"Seats__c": null}}));
    bench.import();
    bench.settle();
    bench.repository();
    let rejected = bench
        .failures()
        .iter()
        .filter(|failure| {
            failure["pipeline"] == "subscriptions" && failure["code"].as_str().unwrap().starts_with("SL50")
        })
        .count();
    assert!(rejected > 0);
    for without_state in [&[][..], &["--without-state"]] {
        // Rejections that are there today are no danger of this change.
        bench.edit(FILE, "On Hold: on_hold", "On Hold: cancelled");
        let arguments = [&["plan", "subscriptions", "--base", "HEAD", "--sample", "0"], without_state].concat();
        let planned = bench.run(&[&arguments[..], &["--format", "json"]].concat()).code(0).json();
        let forecast = report(&planned, "subscriptions");
        let groups = forecast["rejects"].as_array().unwrap();
        assert!(!groups.is_empty() && groups.iter().all(|group| group["known"] == group["records"]), "{groups:?}");
        let held = forecast["properties"]["status"]["records"].as_u64().unwrap();
        assert_eq!(forecast["properties"]["status"]["cleared"], 0);
        let comment = bench.run(&[&arguments[..], &["--format", "markdown"]].concat()).code(0).stdout;
        assert!(!comment.contains("[!CAUTION]"), "{comment}");
        assert!(comment.contains(&format!("<br>**{held} records**")), "the change has its count: {comment}");
        // Those that the change brings are, by number, and come first.
        bench.edit(FILE, "{ from: Seats__c, to: seats }", "{ from: Seats__c, to: seats, required: true }");
        let planned = bench.run(&[&arguments[..], &["--format", "json"]].concat()).code(0).json();
        let first = &report(&planned, "subscriptions")["rejects"][0];
        assert_eq!((&first["code"], &first["property"]), (&json!("SL5010"), &json!("seats")), "{planned}");
        let anew = first["records"].as_u64().unwrap() - first["known"].as_u64().unwrap();
        assert_eq!(anew, 1, "{first}");
        let comment = bench.run(&[&arguments[..], &["--format", "markdown"]].concat()).code(0).stdout;
        assert!(comment.contains("1 record would be rejected that is not today"), "{comment}");
        // So is what it clears.
        bench.edit(FILE, ", required: true }\n  - { from: Auto", " }\n  - { from: Auto");
        bench.edit(FILE, "{ from: Notes__c, to: notes }", "{ to: notes, template: \"{{ Currency__c }}\" }");
        bench.edit(
            FILE,
            "{ from: External_Code__c, to: external_code }",
            "{ from: Work_Order__r.Subject, to: external_code }",
        );
        let comment = bench.run(&[&arguments[..], &["--format", "markdown"]].concat()).code(0).stdout;
        assert!(comment.contains("values would be cleared in HubSpot: `external_code` in "), "{comment}");
        bench.git(&["checkout", "--quiet", "--", "pipelines"]);
    }
}

#[test]
fn every_change_is_in_the_file_of_changes() {
    let bench = Bench::new(40);
    let planned = plan(&bench, &["--sample", "2", "--changes", "changes.jsonl"]);
    let lines = std::fs::read_to_string(bench.path("changes.jsonl")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for name in ["subscriptions", "work_orders"] {
        let forecast = report(&planned, name);
        for (action, count) in
            forecast["actions"].as_object().unwrap().iter().filter(|(action, _)| *action != "unchanged")
        {
            let written =
                lines.iter().filter(|line| line["pipeline"] == name && line["action"] == action.as_str()).count();
            assert_eq!(count.as_u64(), Some(written as u64), "{name}: {action}");
        }
    }
    let ran = bench.run(&["plan", "--changes", "no/such/folder/x"]).code(1);
    assert!(ran.stderr.contains("SL6008"), "{ran:?}");
}

#[test]
fn a_record_that_failed_and_changed_since_counts_once() {
    let bench = Bench::new(40);
    bench.import();
    let failure = bench.failures().into_iter().find(|failure| failure["code"] == "SL5005").unwrap();
    let id = failure["salesforce_id"].as_str().unwrap();
    bench.run(&["failures", "retry", id]).code(0);
    bench.salesforce("update", json!({"object": OBJECT, "id": id, "values": {"Notes__c": "touched"}}));
    let planned = plan(&bench, &["subscriptions"]);
    let forecast = report(&planned, "subscriptions");
    assert_eq!(
        (&forecast["read"], &forecast["failed"], &forecast["actions"]["reject"]),
        (&json!(1), &json!(1), &json!(1)),
        "{forecast}"
    );
    assert_eq!(report(&bench.sync(), "subscriptions")["failed"], 1);
    // And what changes after it was tried is not lost.
    bench.salesforce("update", json!({"object": OBJECT, "id": id, "values": {"Status__c": "Active"}}));
    assert_eq!(report(&bench.sync(), "subscriptions")["created"], 1);
}

#[test]
fn values_stay_masked_until_a_reviewer_agreed() {
    let bench = Bench::new(20);
    bench.import();
    bench.repository();
    let secret = "very.private@person.example";
    let id = known(&bench).into_keys().next().unwrap();
    bench.salesforce("update", json!({"object": OBJECT, "id": id, "values": {"Billing_Email__c": secret}}));
    bench.edit(FILE, ", sensitive: true", "");
    let comment = bench.run(&["plan", "--base", "HEAD", "--format", "markdown", "--sample", "100"]).code(0).stdout;
    assert!(!comment.contains(secret) && comment.contains("***"), "{comment}");
    let danger = comment.split("[!CAUTION]").nth(1).unwrap().split("\n\n").next().unwrap();
    assert!(danger.contains("values of `billing_email` are no longer masked"), "{danger}");
    // A constant of a masked property is as sensitive as a field, wherever it stands.
    bench.git(&["checkout", "--quiet", "--", "pipelines"]);
    bench.edit(
        FILE,
        "sensitive: true }",
        "sensitive: true, default: hidden-default, values: { a: hidden-value }, otherwise: { value: hidden-other } }",
    );
    for form in ["text", "json", "markdown"] {
        let printed = bench.run(&["diff", "--format", form]).code(0).stdout;
        assert!(printed.contains("billing_email") && !printed.contains("hidden-"), "{printed}");
    }
    // What reads a masked field is masked as well.
    bench.git(&["checkout", "--quiet", "--", "pipelines"]);
    bench.edit(
        FILE,
        "{ to: source_system, value: salesforce }",
        "{ to: source_system, template: \"{{ Billing_Email__c }}\" }",
    );
    let text = bench.run(&["plan", "--sample", "100"]).code(0).stdout;
    assert!(text.contains("source_system") && !text.contains(secret) && !text.contains("billing+"), "{text}");
}

#[test]
fn a_pipeline_that_is_new_or_renamed_is_planned_as_an_import() {
    let bench = Bench::new(30);
    bench.import();
    bench.settle();
    bench.repository();
    bench.edit(FILE, "name: subscriptions", "name: renewals");
    let arguments = ["plan", "modified:HEAD", "--base", "HEAD", "--without-state", "--format", "json"];
    let planned = bench.run(&arguments).code(0).json();
    let forecast = report(&planned, "renewals");
    assert_eq!((&forecast["scope"], &forecast["actions"]["create"]), (&json!("all"), &Value::Null), "{forecast}");
    assert!(!forecast["notes"].to_string().contains("--stale"), "{forecast}");
    let printed = bench.run(&["import", "renewals", "--stale", "--yes"]).code(0).stdout;
    assert!(printed.contains("nothing was imported yet: `syncline import renewals`"), "{printed}");
    let done = bench.run(&["import", "renewals", "--yes", "--format", "json"]).json();
    for number in ["created", "updated", "unchanged", "failed"] {
        assert_eq!(forecast[number], report(&done, "renewals")[number], "{number}");
    }
}

#[test]
fn without_the_state_only_what_is_behind_counts() {
    let bench = Bench::new(40);
    bench.import();
    bench.settle();
    // A hand edit in HubSpot, and a record that HubSpot lost: neither is a branch's doing.
    let ids: Vec<(String, String)> = known(&bench).into_iter().collect();
    bench.hubspot("set", json!({"object": "subscriptions", "id": ids[0].1, "properties": {"seats": "999"}}));
    bench.hubspot("archive", json!({"object": "subscriptions", "id": ids[1].1}));
    bench.repository();
    let review = |bench: &Bench| {
        let arguments = ["plan", "modified:HEAD", "--base", "HEAD", "--without-state", "--format", "json"];
        let planned = bench.run(&arguments).code(0).json();
        report(&planned, "subscriptions").clone()
    };
    bench.edit(FILE, "on_delete: archive", "on_delete: keep");
    let forecast = review(&bench);
    assert_eq!((&forecast["actions"], &forecast["stale"]), (&json!({}), &json!(0)), "{forecast}");
    assert!(forecast["notes"].to_string().contains("nothing in HubSpot is stale"), "{forecast}");
    // With the mapping, what failed under the old one and goes through now is made; what is just not there is not.
    bench.edit(FILE, "Draft: draft }", "Draft: draft, Legacy: cancelled }");
    let legacy = bench.rows(OBJECT).values().filter(|row| row["values"]["Status__c"] == "Legacy").count();
    assert!(legacy > 0);
    let forecast = review(&bench);
    assert_eq!(forecast["actions"]["create"], legacy, "{forecast}");
    let done = bench.run(&["import", "subscriptions", "--stale", "--yes", "--format", "json"]).json();
    assert_eq!(report(&done, "subscriptions")["created"], legacy, "as the plan says");
}

#[test]
fn a_mode_that_makes_records_is_caught_up_with() {
    let bench = Bench::new(30);
    bench.edit(FILE, "match: salesforce_id", "match: salesforce_id\n  mode: update_only");
    bench.import();
    assert_eq!(known(&bench).len(), 0);
    bench.edit(FILE, "mode: update_only", "mode: upsert");
    let planned = plan(&bench, &["subscriptions"]);
    let created = report(&planned, "subscriptions")["actions"]["create"].as_u64().unwrap();
    assert!(created > 10, "{planned}");
    let done = bench.run(&["import", "subscriptions", "--stale", "--yes", "--format", "json"]).json();
    assert_eq!(report(&done, "subscriptions")["created"], created);
    // What `create_only` leaves alone is not noted as written.
    bench.edit(FILE, "mode: upsert", "mode: create_only");
    let (id, record) = known(&bench).into_iter().next().unwrap();
    bench.salesforce("update", json!({"object": OBJECT, "id": id, "values": {"Amount__c": 4242}}));
    bench.sync();
    assert_ne!(bench.records("subscriptions")[&record]["properties"]["amount"], "4242");
    bench.edit(FILE, "mode: create_only", "mode: upsert");
    bench.run(&["import", "subscriptions", "--stale", "--yes"]);
    assert_eq!(bench.records("subscriptions")[&record]["properties"]["amount"], "4242");
}

#[test]
fn a_mask_goes_with_the_field_and_not_with_the_property() {
    let bench = Bench::new(20);
    bench.import();
    bench.repository();
    let secret = "very.private@person.example";
    let id = known(&bench).into_keys().next().unwrap();
    bench.salesforce("update", json!({"object": OBJECT, "id": id, "values": {"Billing_Email__c": secret}}));
    let entry = "{ from: Billing_Email__c, to: billing_email, sensitive: true }";
    for other in [
        "{ from: Billing_Email__c, to: external_code }",
        "{ to: billing_email, template: \"{{ Billing_Email__c }}\" }",
        "{ from: Billing_Email__c, to: billing_email }",
    ] {
        if other.contains("external_code") {
            bench.edit(FILE, "  - { from: External_Code__c, to: external_code }\n", "");
        }
        bench.edit(FILE, entry, other);
        for arguments in [
            &["plan", "--base", "HEAD", "--sample", "100", "--format", "markdown"][..],
            &["plan", "--base", "HEAD", "--sample", "100", "--out", "saved.plan"],
            &["diff", "--records", "--format", "json"],
        ] {
            let ran = bench.run(arguments).code(0);
            assert!(
                ran.stdout.contains("***") && !ran.stdout.contains(secret),
                "{other}: {arguments:?}\n{}",
                ran.stdout
            );
            assert!(ran.stdout.contains("masked"), "{other}: {arguments:?}\n{}", ran.stdout);
        }
        assert!(!std::fs::read_to_string(bench.path("saved.plan")).unwrap().contains(secret));
        bench.git(&["checkout", "--quiet", "--", "pipelines"]);
    }
}

#[test]
fn associations_that_vanish_with_an_archived_record_are_not_planned_as_removed() {
    let bench = Bench::new(40);
    bench.edit("pipelines/work_orders.yaml", "on_delete: keep", "on_delete: archive\nguard: { archive: 100% }");
    bench.import();
    let kind = bench.kind("work_orders");
    let associated =
        bench.records("subscriptions").into_values().find(|record| record["associations"][&kind].is_array());
    let id = associated.unwrap()["properties"]["salesforce_id"].as_str().unwrap().to_owned();
    let order = bench.rows("Subscription__c")[&id]["values"]["Work_Order__c"].as_str().unwrap().to_owned();
    bench.salesforce("delete", json!({"object": "WorkOrder", "id": order}));
    for (id, row) in bench.rows("Subscription__c") {
        if row["values"]["Work_Order__c"] == order.as_str() {
            let values = json!({"Work_Order__c": null});
            bench.salesforce("update", json!({"object": "Subscription__c", "id": id, "values": values}));
        }
    }
    let planned = bench.run(&["plan", "--format", "json"]).code(0).json();
    let done = bench.sync();
    for (name, counts) in
        [("work_orders", ["archived", "disassociated"]), ("subscriptions", ["updated", "disassociated"])]
    {
        for count in counts {
            assert_eq!(report(&planned, name)[count], report(&done, name)[count], "{name} {count}");
        }
    }
    assert_eq!(report(&planned, "work_orders")["archived"], 1);
}
