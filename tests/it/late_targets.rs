//! Records that appear in HubSpot after the lookups that lead to them: where their property is not unique they are searched for, and what
//! the search shows is proved.

use std::time::Duration;

use serde_json::{Value, json};

use crate::associations::Pairs;
use crate::support::{Bench, report};

const ACCOUNT: &str = "field: Account__c, to: companies, match: salesforceaccountid";

/// Companies beside those of the sample, so many that a listing of all costs more than a search.
pub(crate) fn crowd(bench: &Bench) {
    for number in 0..450 {
        bench.hubspot("create", json!({"object": "0-2", "properties": {"name": format!("Other {number}")}}));
    }
}

/// A company of an account, or of what a person typed as one.
fn company(pairs: &Pairs, account: &str) -> String {
    let properties = json!({"name": "Late", "salesforceaccountid": account});
    let made = pairs.bench.hubspot("create", json!({"object": "companies", "properties": properties}));
    made["id"].as_str().unwrap().to_owned()
}

/// Searches and listings of companies since the last time.
fn calls(pairs: &Pairs) -> (Vec<Value>, usize) {
    let asked = pairs.bench.sandbox.requests();
    pairs.bench.sandbox.forget_requests();
    let searches = asked.iter().filter(|entry| entry.target.ends_with("/0-2/search"));
    let searches = searches.map(|entry| serde_json::from_str(entry.body.as_deref().unwrap()).unwrap()).collect();
    let listings = asked.iter().filter(|entry| entry.method == "GET" && entry.target.contains("/0-2?")).count();
    (searches, listings)
}

/// A portal with many companies; subscriptions of so many accounts that have none, imported.
fn waiting(accounts: usize) -> (Pairs, Vec<(String, String)>) {
    let pairs = Pairs::new(&[ACCOUNT]);
    crowd(&pairs.bench);
    let made = (0..accounts).map(|number| {
        let account = pairs.create("Account", json!({"Name": format!("Account {number}")}));
        (pairs.create("Subscription__c", json!({"Name": format!("S {number}"), "Account__c": account})), account)
    });
    let made = made.collect();
    let done = pairs.import();
    assert_eq!(report(&done, "subs")["pending_associations"], accounts, "{done}");
    let (searches, listings) = calls(&pairs);
    assert!(searches.is_empty() && listings > 4, "the first time all are listed: {searches:?}, {listings}");
    (pairs, made)
}

#[test]
fn a_target_that_appears_later_is_searched_for_and_not_listed() {
    let (pairs, made) = waiting(3);
    let (subscription, account) = &made[0];
    let late = company(&pairs, account);
    // Two cases of letters make two accounts of one id with 15 characters, which the search does not tell apart.
    let turned = account[..15].chars().map(|letter| match letter {
        'a'..='z' => letter.to_ascii_uppercase(),
        _ => letter.to_ascii_lowercase(),
    });
    company(&pairs, &turned.collect::<String>());
    pairs.bench.sandbox.advance(Duration::from_secs(10));
    let done = pairs.sync();
    assert_eq!(pairs.of(subscription, "0-2"), [(late.clone(), vec![])]);
    assert_eq!(report(&done, "subs")["pending_associations"], 2, "{done}");
    let (searches, listings) = calls(&pairs);
    // One by the plan, one by its run.
    assert_eq!((searches.len(), listings), (2, 0), "{searches:?}");
    let filter = &searches[1]["filterGroups"][0]["filters"][0];
    assert_eq!((&filter["propertyName"], &filter["operator"]), (&json!("salesforceaccountid"), &json!("IN")));
    let values: Vec<&str> = filter["values"].as_array().unwrap().iter().map(|value| value.as_str().unwrap()).collect();
    assert!(values.contains(&&*account.to_lowercase()) && values.contains(&&*account[..15].to_lowercase()));
    // What was found is remembered: another subscription of the account asks nothing.
    let second = pairs.create("Subscription__c", json!({"Name": "Second", "Account__c": account}));
    pairs.bench.sync();
    assert_eq!(pairs.of(&second, "0-2"), [(late, vec![])]);
    let (searches, listings) = calls(&pairs);
    let asked_again = searches.iter().any(|search| search.to_string().contains(&account.to_lowercase()));
    assert!(!asked_again && listings == 0, "{searches:?}, {listings}");
}

#[test]
fn an_id_with_fifteen_characters_is_found_as_well() {
    let (pairs, made) = waiting(1);
    let (subscription, account) = &made[0];
    let late = company(&pairs, &account[..15]);
    pairs.bench.sandbox.advance(Duration::from_secs(10));
    pairs.sync();
    assert_eq!(pairs.of(subscription, "0-2"), [(late, vec![])]);
}

#[test]
fn what_the_search_does_not_show_yet_goes_on_waiting() {
    let (pairs, made) = waiting(2);
    let (first, account) = &made[0];
    let late = company(&pairs, account);
    // The index does not have it yet.
    let done = pairs.bench.sync();
    assert_eq!(report(&done, "subs")["pending_associations"], 2, "{done}");
    assert!(pairs.of(first, "0-2").is_empty());
    assert!(pairs.bench.failures().is_empty(), "{:?}", pairs.bench.failures());
    pairs.bench.sandbox.advance(Duration::from_secs(10));
    pairs.import();
    assert_eq!(pairs.of(first, "0-2"), [(late.clone(), vec![])]);
    // An account's company is another's now.
    let (second, other) = &made[1];
    pairs
        .bench
        .hubspot("set", json!({"object": "companies", "id": late, "properties": {"salesforceaccountid": other}}));
    pairs.bench.sandbox.advance(Duration::from_secs(10));
    pairs.bench.run(&["reconcile", "--format", "json"]);
    assert_eq!(pairs.of(second, "0-2"), [(late, vec![])]);
}

#[test]
fn more_than_a_search_takes_are_searched_in_parts_or_listed() {
    let (pairs, made) = waiting(60);
    let companies: Vec<String> = made.iter().map(|(_, account)| company(&pairs, account)).collect();
    pairs.bench.sandbox.advance(Duration::from_secs(10));
    pairs.sync();
    for ((subscription, _), company) in made.iter().zip(companies) {
        assert_eq!(pairs.of(subscription, "0-2"), [(company, vec![])]);
    }
    let (searches, listings) = calls(&pairs);
    // Two searches take as long as the listing would.
    assert!(searches.is_empty() && listings == 12, "{}, {listings}", searches.len());
}

#[test]
fn a_search_that_is_refused_is_made_good_by_a_listing() {
    let (pairs, made) = waiting(2);
    for (status, found) in [(400, 0), (403, 1)] {
        let (subscription, account) = &made[found];
        let late = company(&pairs, account);
        pairs.bench.sandbox.advance(Duration::from_secs(10));
        pairs.bench.faults(json!([{"path": "/crm/objects/**/search", "status": status}]));
        pairs.bench.import();
        assert_eq!(pairs.of(subscription, "0-2"), [(late, vec![])], "{status}");
        pairs.bench.sandbox.clear_faults();
    }
}

#[test]
fn what_the_search_shows_of_earlier_is_not_believed() {
    let (pairs, made) = waiting(1);
    let (subscription, account) = &made[0];
    let late = company(&pairs, account);
    pairs.bench.sandbox.advance(Duration::from_secs(10));
    // An answer of before: by now the company has another id.
    let old = json!({"total": 1, "results": [{"id": late, "properties": {"salesforceaccountid": account}}]});
    pairs.bench.hubspot("set", json!({"object": "companies", "id": late, "properties": {"salesforceaccountid": ""}}));
    pairs.bench.faults(json!([{"path": "/crm/objects/**/search", "status": 200, "body": old}]));
    pairs.bench.sync();
    assert_eq!(calls(&pairs).0.len(), 1);
    assert!(pairs.of(subscription, "0-2").is_empty());
}
