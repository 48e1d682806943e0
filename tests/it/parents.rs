//! Fields of parent records: a sync asks Salesforce for the records of the parents that changed.

use serde_json::{Value, json};

use crate::support::{Bench, report};

const OBJECT: &str = "Subscription__c";

/// Subscriptions with a filter and fields of their account, and these lines at the end.
fn bench(filter: &str, more: &str) -> Bench {
    let bench = Bench::new(0);
    std::fs::remove_file(bench.path("pipelines/work_orders.yaml")).unwrap();
    bench.write(
        "pipelines/subscriptions.yaml",
        &format!(
            "version: 1
name: subs
source: {{ object: Subscription__c{filter} }}
target: {{ object: subscriptions, match: salesforce_id }}
fields:
  - {{ from: Name, to: subscription_name }}
  - {{ from: Account__r.Name, to: account_name }}
on_delete: archive
on_filter_exit: archive
guard: {{ archive: 100% }}
{more}"
        ),
    );
    bench
}

fn create(bench: &Bench, object: &str, values: Value) -> String {
    bench.salesforce("create", json!({"object": object, "values": values}))["id"].as_str().unwrap().to_owned()
}

/// Touched long ago, so that no window shows it.
fn old(bench: &Bench, object: &str, id: &str) {
    bench.salesforce("stamp", json!({"object": object, "id": id, "stamp": "2020-01-01T00:00:00Z", "values": {}}));
}

/// An account and a subscription of it, both last touched long ago.
fn pair(bench: &Bench, account: &str) -> (String, String) {
    let parent = create(bench, "Account", json!({"Name": account}));
    let child = create(bench, OBJECT, json!({"Name": format!("of {account}"), "Account__c": parent}));
    old(bench, "Account", &parent);
    old(bench, OBJECT, &child);
    (parent, child)
}

fn rename(bench: &Bench, account: &str, name: &str) {
    bench.salesforce("update", json!({"object": "Account", "id": account, "values": {"Name": name}}));
}

/// What HubSpot holds of a subscription that is not archived.
fn held(bench: &Bench, id: &str) -> Option<Value> {
    let mut records = bench.records("subscriptions").into_values();
    let found = records.find(|record| record["properties"]["salesforce_id"] == id && record["archived"] == false)?;
    Some(found["properties"].clone())
}

/// A sync that does what its plan foretold.
fn sync(bench: &Bench) -> Value {
    let planned = bench.run(&["plan", "--format", "json"]).code(0).json();
    let done = bench.sync();
    let outcome = report(&done, "subs").clone();
    for count in ["read", "created", "updated", "archived", "unchanged", "filtered", "associated"] {
        assert_eq!(report(&planned, "subs")[count], outcome[count], "{count}\n{planned}\n{done}");
    }
    outcome
}

#[test]
fn a_renamed_account_is_carried_over_to_its_records_alone() {
    let bench = bench("", "");
    let ((account, child), (_, other)) = (pair(&bench, "A"), pair(&bench, "B"));
    bench.import();
    rename(&bench, &account, "Renamed");
    let outcome = sync(&bench);
    assert_eq!((outcome["read"].as_u64(), outcome["updated"].as_u64()), (Some(1), Some(1)), "{outcome}");
    assert_eq!(held(&bench, &child).unwrap()["account_name"], "Renamed");
    assert_eq!(held(&bench, &other).unwrap()["account_name"], "B");
    // Within the overlap it is read again, and nothing is sent.
    bench.sandbox.forget_requests();
    assert_eq!(sync(&bench)["unchanged"], 1);
    assert_eq!(bench.sync()["pipelines"][0]["hubspot_calls"], 0);
    // Touched itself as well, it comes once.
    bench.salesforce("update", json!({"object": OBJECT, "id": child, "values": {"Name": "touched"}}));
    rename(&bench, &account, "Again");
    let outcome = sync(&bench);
    assert_eq!((outcome["read"].as_u64(), outcome["updated"].as_u64()), (Some(1), Some(1)), "{outcome}");
    assert_eq!(held(&bench, &child).unwrap()["account_name"], "Again");
}

#[test]
fn a_change_that_maps_to_nothing_sends_nothing() {
    let bench = bench("", "");
    let (account, _) = pair(&bench, "A");
    bench.import();
    bench.salesforce("update", json!({"object": "Account", "id": account, "values": {"BillingCity": "Bonn"}}));
    bench.sandbox.forget_requests();
    let outcome = bench.sync();
    assert_eq!((&outcome["pipelines"][0]["unchanged"], bench.calls("hubspot")), (&json!(1), 0), "{outcome}");
}

#[test]
fn a_record_enters_and_leaves_the_filter_with_its_parent() {
    let bench = bench(", where: \"Account__r.Name != 'closed'\"", "");
    let ((leaves, left), (enters, entered)) = (pair(&bench, "A"), pair(&bench, "closed"));
    bench.import();
    assert_eq!((held(&bench, &left).is_some(), held(&bench, &entered).is_some()), (true, false));
    rename(&bench, &leaves, "closed");
    rename(&bench, &enters, "open");
    let outcome = sync(&bench);
    assert_eq!((outcome["archived"].as_u64(), outcome["created"].as_u64()), (Some(1), Some(1)), "{outcome}");
    assert_eq!((held(&bench, &left).is_some(), held(&bench, &entered).is_some()), (false, true));
    // The guard sees those who leave with their parent.
    bench.edit("pipelines/subscriptions.yaml", "archive: 100%", "archive: 0");
    rename(&bench, &enters, "closed");
    bench.run(&["sync", "--once"]).code(1);
    assert!(held(&bench, &entered).is_some());
}

#[test]
fn parents_of_parents_and_paths_of_associations_are_followed() {
    let bench = bench(
        "",
        "associations:
  - { field: Account__r.ParentId, to: companies, match: salesforceaccountid }
",
    );
    bench.edit("pipelines/subscriptions.yaml", "from: Account__r.Name", "from: Account__r.Parent.Name");
    let group = create(&bench, "Account", json!({"Name": "Group"}));
    let company = json!({"name": "Group", "salesforceaccountid": group});
    bench.hubspot("create", json!({"object": "companies", "properties": company}));
    let (account, child) = pair(&bench, "A");
    old(&bench, "Account", &group);
    bench.import();
    bench.salesforce("update", json!({"object": "Account", "id": account, "values": {"ParentId": group}}));
    let outcome = sync(&bench);
    assert_eq!((outcome["updated"].as_u64(), outcome["associated"].as_u64()), (Some(1), Some(1)), "{outcome}");
    old(&bench, "Account", &account);
    rename(&bench, &group, "Holding");
    assert_eq!(sync(&bench)["updated"], 1);
    assert_eq!(held(&bench, &child).unwrap()["account_name"], "Holding");
}

#[test]
fn thousands_of_records_of_one_parent_follow() {
    let bench = bench("", "");
    let account = create(&bench, "Account", json!({"Name": "A"}));
    for number in 0..4_500 {
        let id = create(&bench, OBJECT, json!({"Name": format!("S{number}"), "Account__c": account}));
        old(&bench, OBJECT, &id);
    }
    bench.import();
    rename(&bench, &account, "Renamed");
    let outcome = sync(&bench);
    assert_eq!((outcome["read"].as_u64(), outcome["updated"].as_u64()), (Some(4_500), Some(4_500)), "{outcome}");
    let held = bench.records("subscriptions");
    assert!(held.values().all(|record| record["properties"]["account_name"] == "Renamed"));
}

#[test]
fn a_record_that_failed_is_not_tried_twice() {
    let bench = bench("", "");
    bench.edit("pipelines/subscriptions.yaml", "to: account_name }", "to: account_name, required: true }");
    let (account, child) = pair(&bench, "A");
    rename(&bench, &account, "");
    bench.import();
    assert!(held(&bench, &child).is_none());
    rename(&bench, &account, "Named");
    bench.run(&["failures", "retry"]).code(0);
    let outcome = bench.sync();
    assert_eq!(
        (outcome["pipelines"][0]["read"].as_u64(), outcome["pipelines"][0]["created"].as_u64()),
        (Some(1), Some(1)),
        "{outcome}"
    );
}

/// Salesforce takes too long for queries that name a parent's stamp: for so many of them, or for all.
fn slow(bench: &Bench, to: Option<u64>) {
    let body = json!([{"errorCode": "QUERY_TIMEOUT", "message": "Your query request was running for too long."}]);
    bench.faults(json!([
        {"service": "salesforce", "path": "/services/data/*/query*", "contains": ANY_PARENT, "to": to, "status": 400, "body": body},
        {"service": "salesforce", "path": "/services/data/*/jobs/query", "contains": ANY_PARENT, "to": to, "status": 400, "body": body},
    ]));
}

/// In a target, as it is sent.
const ANY_PARENT: &str = "Account__r.SystemModstamp";

/// Queries that name a parent's stamp, since requests were forgotten; and all queries.
fn queries(bench: &Bench) -> (usize, usize) {
    let sent = bench.sandbox.requests();
    let queries: Vec<_> = sent.iter().filter(|entry| entry.target.contains("/query")).collect();
    (queries.iter().filter(|entry| entry.target.contains(ANY_PARENT)).count(), queries.len())
}

#[test]
fn a_cycle_carries_its_own_changes_over_while_salesforce_refuses_to_look_for_parents() {
    for filter in ["", ", where: \"Account__r.Name != 'closed'\""] {
        let bench = bench(filter, "sync: { every: 5m, overlap: 10m }\n");
        let (account, child) = pair(&bench, "A");
        let (_, touched) = pair(&bench, "B");
        bench.import();
        bench.sync();
        slow(&bench, None);
        rename(&bench, &account, "Renamed");
        bench.salesforce("update", json!({"object": OBJECT, "id": touched, "values": {"Name": "touched"}}));
        let planned = bench.run(&["plan", "--format", "json"]).code(0).json();
        let outcome = bench.sync();
        for told in [&planned, &outcome] {
            let told = report(told, "subs");
            assert_eq!((told["read"].as_u64(), told["updated"].as_u64()), (Some(1), Some(1)), "{told}");
            let notes = told["notes"].to_string();
            for part in ["QUERY_TIMEOUT", "`sync.parents: off`", "`syncline reconcile subs`", "were not read"] {
                assert!(notes.contains(part), "{part}: {notes}");
            }
        }
        assert_eq!(held(&bench, &touched).unwrap()["subscription_name"], "touched");
        assert_eq!(held(&bench, &child).unwrap()["account_name"], "A");
        // It is not asked for again at once, and goes on being said.
        bench.sandbox.forget_requests();
        let outcome = bench.sync();
        assert!(report(&outcome, "subs")["notes"].to_string().contains("were not read"), "{outcome}");
        assert_eq!(queries(&bench).0, 0);
        let status = bench.run(&["status", "--format", "json"]).code(0).json();
        assert!(report(&status, "subs")["parents_missed"]["why"].to_string().contains("QUERY_TIMEOUT"), "{status}");
        // The window that was missed is read once Salesforce answers, however long ago it was.
        bench.sandbox.clear_faults();
        wait_is_over(&bench);
        old(&bench, OBJECT, &touched);
        let outcome = sync(&bench);
        assert_eq!((outcome["updated"].as_u64(), outcome["notes"].is_null()), (Some(1), true), "{outcome}");
        assert_eq!(held(&bench, &child).unwrap()["account_name"], "Renamed");
        let status = bench.run(&["status", "--format", "json"]).code(0).json();
        assert!(report(&status, "subs")["parents_missed"].is_null(), "{status}");
    }
}

/// The pause before the parents are asked for again is over, and the watermark has moved past the overlap.
fn wait_is_over(bench: &Bench) {
    let state = rusqlite::Connection::open(bench.path(".syncline/state.db")).unwrap();
    let text: String =
        state.query_row("SELECT text FROM notes WHERE key = 'parents:subs'", [], |row| row.get(0)).unwrap();
    let mut note: Value = serde_json::from_str(&text).unwrap();
    note["missed"]["next_try"] = json!("2020-01-01T00:00:00Z");
    state.execute("UPDATE notes SET text = ?1 WHERE key = 'parents:subs'", [note.to_string()]).unwrap();
}

#[test]
fn parents_are_asked_for_apart_where_one_query_for_all_takes_too_long() {
    let bench = bench("", "");
    let (account, child) = pair(&bench, "A");
    bench.import();
    bench.sync();
    bench.sandbox.forget_requests();
    slow(&bench, Some(1));
    rename(&bench, &account, "Renamed");
    let outcome = bench.sync();
    let outcome = report(&outcome, "subs");
    assert_eq!((outcome["updated"].as_u64(), outcome["notes"].is_null()), (Some(1), true), "{outcome}");
    assert_eq!((held(&bench, &child).unwrap()["account_name"].clone(), queries(&bench)), (json!("Renamed"), (2, 3)));
    // For a day, the query that took too long is not tried again.
    old(&bench, "Account", &account);
    bench.sandbox.forget_requests();
    bench.sync();
    assert_eq!(queries(&bench), (1, 2));
}

#[test]
fn a_comparison_carries_over_what_no_cycle_has_read_of_parents() {
    let bench = bench("", "");
    let (account, child) = pair(&bench, "A");
    bench.import();
    bench.sync();
    slow(&bench, None);
    rename(&bench, &account, "Renamed");
    bench.sync();
    let missed = || {
        let status = bench.run(&["status", "--format", "json"]).code(0).json();
        report(&status, "subs")["parents_missed"]["since"].as_str().unwrap().to_owned()
    };
    let before = missed();
    // Salesforce tells its time to the second.
    std::thread::sleep(std::time::Duration::from_secs(2));
    bench.run(&["reconcile"]).code(0);
    assert_eq!(held(&bench, &child).unwrap()["account_name"], "Renamed");
    assert!(before < missed(), "{before}");
}
