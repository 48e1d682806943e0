//! `why --refresh`: what both systems say of a record now, and no more than that.

use serde_json::{Value, json};

use crate::support::Bench;

const OBJECT: &str = "Subscription__c";

fn bench() -> Bench {
    let bench = Bench::new(0);
    std::fs::remove_file(bench.path("pipelines/work_orders.yaml")).unwrap();
    bench.write(
        "pipelines/subscriptions.yaml",
        "version: 1
name: subs
source: { object: Subscription__c, where: \"Name != 'no'\" }
target: { object: subscriptions, match: salesforce_id }
fields:
  - { from: Name, to: subscription_name }
  - { from: Notes__c, to: headline, write: if_empty }
  - { from: External_Code__c, to: external_code, sensitive: true }
associations:
  - { field: Account__c, to: companies, match: salesforceaccountid }
on_delete: archive
",
    );
    bench
}

fn create(bench: &Bench, object: &str, values: Value) -> String {
    bench.salesforce("create", json!({"object": object, "values": values}))["id"].as_str().unwrap().to_owned()
}

fn refreshed(bench: &Bench, id: &str) -> Value {
    bench.run(&["why", id, "--refresh", "--format", "json"]).code(0).json()["pipelines"][0]["refreshed"].clone()
}

/// `property: should / holds / standing`, property by property.
fn properties_of(refreshed: &Value) -> Vec<String> {
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let fields = refreshed["fields"].as_array().unwrap().iter();
    let one = |field: &Value| {
        format!(
            "{}: {} / {} / {}",
            word(&field["property"]),
            word(&field["should"]),
            word(&field["holds"]),
            word(&field["standing"])
        )
    };
    fields.map(one).collect()
}

#[test]
fn each_property_is_compared_with_what_hubspot_holds_now() {
    let bench = bench();
    let account = create(&bench, "Account", json!({"Name": "A"}));
    let company = json!({"name": "A", "salesforceaccountid": account});
    let company = bench.hubspot("create", json!({"object": "companies", "properties": company}))["id"].clone();
    let values = json!({"Name": "S", "Notes__c": "n", "External_Code__c": "secret", "Account__c": account});
    let id = create(&bench, OBJECT, values);
    bench.import();
    assert!(bench.run(&["why", &id, "--format", "json"]).code(0).json()["pipelines"][0]["refreshed"].is_null());
    let answer = refreshed(&bench, &id);
    assert_eq!(
        properties_of(&answer),
        ["subscription_name: S / S / same", "headline: n / n / left", "external_code: *** / *** / same"],
        "{answer}"
    );
    assert_eq!((&answer["hubspot"], &answer["associations"][0]["holds"]), (&json!("found"), &json!(true)), "{answer}");
    assert_eq!(answer["associations"][0]["hubspot_id"], company);
    let record = answer["hubspot_id"].as_str().unwrap().to_owned();
    assert_eq!(answer["message"], format!("HubSpot record {record} holds what it should"));
    // Without the question, it is said from memory.
    let text = bench.run(&["why", &id]).code(0).stdout;
    assert!(text.contains(&format!("`Account__c` → {account} was associated when a run last saw to it")), "{text}");
    // Edited by hand, and a change that no sync has carried over yet.
    let record = answer["hubspot_id"].clone();
    let edit = json!({"subscription_name": "by hand", "headline": "mine", "external_code": "other"});
    bench.hubspot("set", json!({"object": "subscriptions", "id": record, "properties": edit}));
    let answer = refreshed(&bench, &id);
    assert_eq!(
        properties_of(&answer),
        ["subscription_name: S / by hand / differs", "headline: n / mine / left", "external_code: *** / *** / differs"],
        "{answer}"
    );
    let text = bench.run(&["why", &id, "--refresh"]).code(0).stdout;
    assert!(text.contains("subscription_name: should hold `S` (Name is `S`), and holds `by hand`"), "{text}");
    assert!(text.contains("differs in 2 properties") && !text.contains("secret") && !text.contains("other"), "{text}");
    // The other record goes, and the association with it.
    bench.hubspot("archive", json!({"object": "companies", "id": company}));
    let answer = refreshed(&bench, &id);
    assert_eq!(answer["associations"][0]["holds"], false, "{answer}");
    let text = bench.run(&["why", &id, "--refresh"]).code(0).stdout;
    assert!(text.contains("differs in 2 properties and lacks 1 association"), "{text}");
    bench.run(&["reconcile"]).code(0);
    let message = refreshed(&bench, &id)["message"].as_str().unwrap().to_owned();
    assert!(
        message.ends_with("holds what it should in its properties; 1 association is still to be made"),
        "{message}"
    );
}

#[test]
fn what_is_not_known_is_not_said() {
    let bench = bench();
    let id = create(&bench, OBJECT, json!({"Name": "S"}));
    bench.import();
    // It stopped matching: what HubSpot should hold of it is nobody's to say.
    bench.salesforce("update", json!({"object": OBJECT, "id": id, "values": {"Name": "no"}}));
    let answer = refreshed(&bench, &id);
    assert_eq!((&answer["hubspot"], properties_of(&answer).len()), (&json!("found"), 0), "{answer}");
    // Archived by somebody.
    bench.hubspot("archive", json!({"object": "subscriptions", "id": answer["hubspot_id"]}));
    let answer = refreshed(&bench, &id);
    assert_eq!((&answer["hubspot"], properties_of(&answer).len()), (&json!("absent"), 0), "{answer}");
    // HubSpot is away.
    bench.faults(json!([{"path": "/crm/objects/**/batch/read", "status": 403, "body": {"message": "no"}}]));
    let answer = refreshed(&bench, &id);
    assert_eq!((&answer["hubspot"], properties_of(&answer).len()), (&json!("unreachable"), 0), "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("could not be asked"), "{answer}");
}
