//! Records that stand in HubSpot without a Salesforce id: taken over, not made twice.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Bench, report};

const FILE: &str = "pipelines/subscriptions.yaml";
const OBJECT: &str = "Subscription__c";

/// Subscriptions that are recognised by their code; `code` is unique in HubSpot, `external_code` is not.
fn bench(adopt: &str) -> Bench {
    let bench = Bench::new(0);
    std::fs::remove_file(bench.path("pipelines/work_orders.yaml")).unwrap();
    let text = format!(
        "version: 1
name: subs
source: {{ object: Subscription__c }}
target:
  object: subscriptions
  match: salesforce_id
  adopt: {adopt}
fields:
  - {{ from: Name, to: subscription_name }}
  - {{ from: Notes__c, to: headline, write: if_empty }}
  - {{ from: Seats__c, to: seats, on_create_only: true }}
associations:
  - {{ field: Account__c, to: companies, match: salesforceaccountid }}
on_delete: archive
allow: [SL2081]
"
    );
    bench.write(FILE, &text);
    let property =
        json!({"name": "code", "label": "Code", "type": "string", "fieldType": "text", "hasUniqueValue": true});
    bench.hubspot("add_property", json!({"object": "subscriptions", "property": property}));
    bench
}

fn create(bench: &Bench, values: Value) -> String {
    bench.salesforce("create", json!({"object": OBJECT, "values": values}))["id"].as_str().unwrap().to_owned()
}

/// A record that somebody made by hand; its id.
fn by_hand(bench: &Bench, properties: Value) -> String {
    let made = bench.hubspot("create", json!({"object": "subscriptions", "properties": properties}));
    made["id"].as_str().unwrap().to_owned()
}

/// Live records by id: name, Salesforce id, headline and seats.
fn held(bench: &Bench) -> BTreeMap<String, [String; 4]> {
    let records = bench.records("subscriptions").into_values().filter(|record| record["archived"] == false);
    let text = |record: &Value, name: &str| record["properties"][name].as_str().unwrap_or_default().to_owned();
    let shown = |record: Value| {
        let id = record["id"].as_str().unwrap().to_owned();
        (id, ["subscription_name", "salesforce_id", "headline", "seats"].map(|name| text(&record, name)))
    };
    records.map(shown).collect()
}

/// An import that does what its plan foretold; its report.
fn import(bench: &Bench) -> Value {
    let planned = bench.run(&["plan", "--full", "--format", "json"]).code(0).json();
    let done = bench.run(&["import", "--yes", "--format", "json"]).json();
    let (planned, done) = (report(&planned, "subs").clone(), report(&done, "subs").clone());
    for count in ["created", "updated", "adopted", "unchanged", "failed", "associated", "read"] {
        assert_eq!(planned[count], done[count], "{count}\n{planned}\n{done}");
    }
    done
}

#[test]
fn a_record_is_taken_over_by_its_value_and_stays_in_step() {
    for by in ["code", "external_code"] {
        let bench = bench(&format!("{{ by: {by}, from: External_Code__c }}"));
        let account = bench.salesforce("create", json!({"object": "Account", "values": {"Name": "Acme"}}));
        let account = account["id"].as_str().unwrap();
        bench.hubspot(
            "create",
            json!({"object": "companies", "properties": {"name": "Acme", "salesforceaccountid": account}}),
        );
        let made = by_hand(
            &bench,
            json!({"subscription_name": "old", by: " C-1 ".trim(), "headline": "by hand", "seats": "7"}),
        );
        let other = by_hand(&bench, json!({"subscription_name": "other", by: "C-9"}));
        let values =
            json!({"Name": "new", "External_Code__c": "C-1", "Notes__c": "n", "Seats__c": "3", "Account__c": account});
        let id = create(&bench, values);
        let fresh = create(&bench, json!({"Name": "fresh", "External_Code__c": "C-2", "Seats__c": "3"}));
        let blank = create(&bench, json!({"Name": "blank"}));
        let outcome = import(&bench);
        let counts =
            ["adopted", "created", "updated", "associated", "failed"].map(|name| outcome[name].as_u64().unwrap());
        assert_eq!(counts, [1, 2, 0, 1, 0], "{outcome}");
        let now = held(&bench);
        assert_eq!(now.len(), 4, "{now:?}");
        assert_eq!(now[&made], ["new", &id, "by hand", "7"].map(str::to_owned), "what people filled stays");
        assert_eq!(now[&other][1], "", "nobody asks for it");
        let ids: Vec<&str> = now.values().map(|record| record[1].as_str()).collect();
        assert!(ids.contains(&fresh.as_str()) && ids.contains(&blank.as_str()), "{ids:?}");
        // From now on it is a record like any other.
        bench.salesforce("update", json!({"object": OBJECT, "id": id, "values": {"Name": "newer"}}));
        bench.sync();
        assert_eq!(held(&bench)[&made][0], "newer");
        bench.salesforce("delete", json!({"object": OBJECT, "id": id}));
        bench.run(&["sync", "--once", "--allow-archive", "10", "--format", "json"]).code(0);
        assert!(!held(&bench).contains_key(&made), "{by}");
    }
}

#[test]
fn two_candidates_are_a_failure_that_names_both_until_one_is_left() {
    let bench = bench("{ by: external_code, from: External_Code__c }");
    let one = by_hand(&bench, json!({"subscription_name": "a", "external_code": "C-1"}));
    let two = by_hand(&bench, json!({"subscription_name": "b", "external_code": "C-1"}));
    let id = create(&bench, json!({"Name": "new", "External_Code__c": "C-1"}));
    let outcome = import(&bench);
    assert_eq!((outcome["failed"].as_u64(), outcome["adopted"].as_u64()), (Some(1), Some(0)), "{outcome}");
    let printed = bench.run(&["failures", "list", "--each"]).stdout;
    assert!(printed.contains(&one) && printed.contains(&two) && printed.contains("SL5123"), "{printed}");
    assert!(held(&bench).values().all(|record| record[1].is_empty()), "none is taken on a guess");
    bench.hubspot("set", json!({"object": "subscriptions", "id": two, "properties": {"external_code": "C-2"}}));
    bench.run(&["failures", "retry"]).code(0);
    bench.sync();
    assert_eq!(held(&bench)[&one][1], id);
    assert_eq!(held(&bench).len(), 2);
}

#[test]
fn what_belongs_to_another_salesforce_record_is_never_taken() {
    let bench = bench("{ by: external_code, from: External_Code__c }");
    let owner = "a00000000000001AAA";
    let owned = by_hand(&bench, json!({"subscription_name": "theirs", "external_code": "C-1", "salesforce_id": owner}));
    let free = by_hand(&bench, json!({"subscription_name": "free", "external_code": "C-2"}));
    let first = create(&bench, json!({"Name": "one", "External_Code__c": "C-1"}));
    create(&bench, json!({"Name": "two", "External_Code__c": "C-2"}));
    create(&bench, json!({"Name": "three", "External_Code__c": "C-2"}));
    let outcome = import(&bench);
    let counts = ["adopted", "created", "failed"].map(|name| outcome[name].as_u64().unwrap());
    assert_eq!(counts, [1, 2, 0], "one of two takes over what is free: {outcome}");
    let now = held(&bench);
    assert_eq!(now.len(), 4, "{now:?}");
    assert_eq!(now[&owned][1], owner);
    assert!(!now[&free][1].is_empty());
    assert!(now.values().any(|record| record[1] == first));
}

#[test]
fn a_sync_takes_over_and_a_saved_plan_does() {
    let bench = bench("{ by: code, from: External_Code__c }");
    import(&bench);
    let made = by_hand(&bench, json!({"subscription_name": "old", "code": "C-1"}));
    let id = create(&bench, json!({"Name": "new", "External_Code__c": "C-1"}));
    let planned = bench.run(&["plan", "--out", "plan.json"]).code(0);
    assert!(planned.stdout.contains("take over") && planned.stdout.contains(&made), "{}", planned.stdout);
    bench.run(&["apply", "plan.json", "--yes"]).code(0);
    assert_eq!(held(&bench)[&made][1], id);
    let later = by_hand(&bench, json!({"subscription_name": "old", "code": "C-3"}));
    let id = create(&bench, json!({"Name": "third", "External_Code__c": "C-3"}));
    let done = bench.sync();
    assert_eq!(report(&done, "subs")["adopted"], 1, "{done}");
    assert_eq!(held(&bench)[&later], ["third", &id, "", ""].map(str::to_owned));
}

#[test]
fn mail_addresses_are_compared_without_case_and_short_ids_are_ours() {
    let bench = bench("{ by: external_code, from: Billing_Email__c }");
    let made = by_hand(&bench, json!({"subscription_name": "old", "external_code": "ann@acme.example"}));
    let id = create(&bench, json!({"Name": "new", "Billing_Email__c": "Ann@Acme.example"}));
    let second = create(&bench, json!({"Name": "two", "Billing_Email__c": "bob@acme.example"}));
    let short = by_hand(
        &bench,
        json!({"subscription_name": "s", "external_code": "bob@acme.example", "salesforce_id": &second[..15]}),
    );
    let outcome = import(&bench);
    assert_eq!(outcome["adopted"], 2, "{outcome}");
    let now = held(&bench);
    assert_eq!((now[&made][1].as_str(), now[&short][1].as_str()), (id.as_str(), second.as_str()));
}

#[test]
fn a_first_import_tells_of_names_that_stand_in_hubspot() {
    let bench = bench("{ by: code, from: External_Code__c }");
    bench.edit(FILE, "  adopt: { by: code, from: External_Code__c }\n", "");
    let twin = by_hand(&bench, json!({"subscription_name": "Acme 24"}));
    create(&bench, json!({"Name": "Acme 24"}));
    create(&bench, json!({"Name": "Other"}));
    let planned = bench.run(&["plan"]).code(0);
    let note = format!(
        "1 new record has a name that a HubSpot record without a Salesforce id has already, such as record {twin}"
    );
    assert!(planned.stdout.contains(&note), "{}", planned.stdout);
    let done = bench.import();
    let notes = report(&done, "subs")["notes"].to_string();
    assert!(notes.contains("target.adopt"), "{done}");
    assert_eq!(report(&done, "subs")["created"], 2);
    create(&bench, json!({"Name": "Acme 24"}));
    let done = bench.import();
    assert!(report(&done, "subs").get("notes").is_none(), "it is said before the first import only: {done}");
}

#[test]
fn salesforce_ids_lead_to_records_in_either_length() {
    for by in ["code", "external_code"] {
        let bench = bench(&format!("{{ by: {by}, from: Id }}"));
        let (one, two) = (create(&bench, json!({"Name": "one"})), create(&bench, json!({"Name": "two"})));
        let short = by_hand(&bench, json!({"subscription_name": "s", by: &one[..15]}));
        let long = by_hand(&bench, json!({"subscription_name": "l", by: &two}));
        let outcome = import(&bench);
        assert_eq!(outcome["adopted"], 2, "{by}: {outcome}");
        let now = held(&bench);
        assert_eq!((now[&short][1].as_str(), now[&long][1].as_str()), (one.as_str(), two.as_str()));
    }
}

#[test]
fn a_record_that_is_known_as_anothers_is_not_taken_although_its_id_was_cleared() {
    let bench = bench("{ by: external_code, from: External_Code__c }");
    create(&bench, json!({"Name": "owner", "External_Code__c": "C-1"}));
    import(&bench);
    let owned = held(&bench).into_keys().next().unwrap();
    bench.hubspot(
        "set",
        json!({"object": "subscriptions", "id": owned, "properties": {"salesforce_id": "", "external_code": "C-2"}}),
    );
    create(&bench, json!({"Name": "other", "External_Code__c": "C-2"}));
    let done = bench.sync();
    let outcome = report(&done, "subs");
    assert_eq!((outcome["adopted"].as_u64(), outcome["created"].as_u64()), (Some(0), Some(1)), "{done}");
    assert_eq!(held(&bench)[&owned][0], "owner");
}

#[test]
fn names_are_compared_after_a_trial_as_well() {
    let bench = bench("{ by: code, from: External_Code__c }");
    bench.edit(FILE, "  adopt: { by: code, from: External_Code__c }\n", "");
    by_hand(&bench, json!({"subscription_name": "Acme 24"}));
    let tried = create(&bench, json!({"Name": "Other"}));
    create(&bench, json!({"Name": "Acme 24"}));
    bench.run(&["import", "subs", "--record", &tried, "--yes"]).code(0);
    let done = bench.import();
    assert!(report(&done, "subs")["notes"].to_string().contains("target.adopt"), "{done}");
}

#[test]
fn of_records_with_one_value_the_first_one_that_is_read_takes_over_whatever_is_answered_first() {
    let bench = bench("{ by: external_code, from: External_Code__c }");
    let free = by_hand(&bench, json!({"subscription_name": "free", "external_code": "C-1"}));
    let mut ids: Vec<String> = (0..400)
        .map(|number| {
            let code = if matches!(number, 50 | 350) { "C-1".to_owned() } else { format!("X-{number}") };
            create(&bench, json!({"Name": format!("{number}"), "External_Code__c": code}))
        })
        .collect();
    let (first, second) = (ids[50].clone(), ids[350].clone());
    ids.sort();
    assert!(first < second, "ids grow");
    // The first batch is answered last, and asked about once more before it takes what is free.
    bench.faults(json!([
        {"service": "hubspot", "path": "/crm/objects/**/batch/read", "contains": first, "delay": "1s"},
        {"service": "hubspot", "path": "/crm/objects/**/batch/read", "contains": free, "times": 1, "delay": "1s"},
    ]));
    let outcome = import(&bench);
    assert_eq!((outcome["adopted"].as_u64(), outcome["created"].as_u64()), (Some(1), Some(399)), "{outcome}");
    assert_eq!(held(&bench)[&free][1], first);
}

#[test]
fn a_free_record_behind_many_that_are_not_is_found() {
    let bench = bench("{ by: external_code, from: External_Code__c }");
    // Short ids of others: listed, and found to be theirs when they are read.
    for number in 0..9 {
        let owner = format!("a0000000000000{number}");
        by_hand(&bench, json!({"subscription_name": "theirs", "external_code": "C-1", "salesforce_id": owner}));
    }
    let free = by_hand(&bench, json!({"subscription_name": "free", "external_code": "C-1"}));
    let id = create(&bench, json!({"Name": "new", "External_Code__c": "C-1"}));
    let outcome = import(&bench);
    assert_eq!((outcome["adopted"].as_u64(), outcome["failed"].as_u64()), (Some(1), Some(0)), "{outcome}");
    assert_eq!(held(&bench)[&free][1], id);
}

#[test]
fn a_value_that_very_many_share_is_a_failure_that_names_a_few() {
    let bench = bench("{ by: external_code, from: External_Code__c }");
    let made: Vec<String> = (0..250)
        .map(|number| by_hand(&bench, json!({"subscription_name": format!("{number}"), "external_code": "n/a"})))
        .collect();
    create(&bench, json!({"Name": "new", "External_Code__c": "n/a"}));
    let outcome = import(&bench);
    assert_eq!((outcome["failed"].as_u64(), outcome["created"].as_u64()), (Some(1), Some(0)), "{outcome}");
    let message = bench.failures()[0]["message"].as_str().unwrap().to_owned();
    let named: Vec<&String> = made.iter().filter(|id| message.contains(id.as_str())).collect();
    assert_eq!(named, made.iter().take(6).collect::<Vec<_>>(), "{message}");
    // Nothing of the listing is left behind.
    let state = rusqlite::Connection::open(bench.path(".syncline/state.db")).unwrap();
    let left: i64 = state.query_row("SELECT count(*) FROM directories", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
}
