//! What a pair of HubSpot records carries is what lookups ask for now: in whichever pipeline, from whichever side, whatever became of
//! the record at the other end, and whoever touched it in HubSpot.

use serde_json::{Value, json};

use crate::support::{Bench, report};

/// A world of its own: subscriptions with these associations, and nothing else.
pub(crate) struct Pairs {
    pub(crate) bench: Bench,
}

pub(crate) const SUBSCRIPTIONS: &str = "version: 1
name: subs
source: { object: Subscription__c }
target: { object: subscriptions, match: salesforce_id }
fields:
  - { from: Name, to: subscription_name }
associations:
";

const ORDERS: &str = "version: 1
name: orders
source: { object: WorkOrder }
target: { object: work_orders, match: salesforce_id }
fields:
  - { from: WorkOrderNumber, to: work_order_number }
  - { from: Subject, to: subject, default: none }
associations:
";

impl Pairs {
    pub(crate) fn new(associations: &[&str]) -> Self {
        let bench = Bench::new(2);
        std::fs::remove_file(bench.path("pipelines/work_orders.yaml")).unwrap();
        std::fs::remove_file(bench.path("pipelines/subscriptions.yaml")).unwrap();
        let pairs = Self { bench };
        for (object, name, target) in [
            ("Subscription__c", "Ship_To__c", "Account"),
            ("Subscription__c", "Parent__c", "Subscription__c"),
            ("WorkOrder", "Current__c", "Subscription__c"),
        ] {
            pairs.lookup(object, name, &[target]);
        }
        pairs.define("subs", SUBSCRIPTIONS, associations);
        pairs
    }

    pub(crate) fn lookup(&self, object: &str, name: &str, targets: &[&str]) {
        let relationship = name.replace("__c", "__r");
        let field = json!({"name": name, "type": "reference", "label": name, "custom": true, "referenceTo": targets,
            "relationshipName": relationship});
        self.bench.salesforce("add_field", json!({"object": object, "field": field}));
    }

    pub(crate) fn define(&self, name: &str, head: &str, associations: &[&str]) {
        let entries: String = associations.iter().map(|entry| format!("  - {{ {entry} }}\n")).collect();
        self.bench.write(&format!("pipelines/{name}.yaml"), &format!("{head}{entries}on_delete: keep\n"));
    }

    /// What an administrator does in HubSpot.
    pub(crate) fn hubspot(&self, method: &str, path: &str, body: &Value) {
        let text = std::fs::read_to_string(self.bench.path("syncline.yaml")).unwrap();
        let base = text.lines().find_map(|line| line.trim().strip_prefix("base_url: ")).unwrap().to_owned();
        let url = format!("{base}{path}");
        let method: reqwest::Method = method.parse().unwrap();
        let body = body.to_string();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let call = crate::support::client().request(method, &url).bearer_auth("sandbox-hubspot-token");
                let call = call.header("content-type", "application/json").body(body);
                let status = runtime.block_on(async { call.send().await.unwrap().status() });
                assert!(status.is_success(), "{url}: {status}");
            });
        });
    }

    pub(crate) fn label(&self, name: &str, inverse: Option<&str>, to: &str) {
        let mut body = json!({"label": name, "name": name.to_lowercase()});
        if let Some(inverse) = inverse {
            body["inverseLabel"] = json!(inverse);
        }
        self.hubspot("POST", &format!("/crm/v4/associations/2-41234567/{to}/labels"), &body);
    }

    pub(crate) fn with_itself(&self) {
        let body = json!({"fromObjectTypeId": "2-41234567", "toObjectTypeId": "2-41234567", "name": "parent"});
        self.hubspot("POST", "/crm/v3/schemas/2-41234567/associations", &body);
    }

    pub(crate) fn account(&self, place: usize) -> String {
        let companies = self.bench.records("0-2");
        let known = |id: &String| {
            companies.values().filter(|company| company["properties"]["salesforceaccountid"] == id.as_str()).count()
                == 1
        };
        self.bench.rows("Account").into_keys().filter(known).nth(place).unwrap()
    }

    pub(crate) fn create(&self, object: &str, values: Value) -> String {
        let made = self.bench.salesforce("create", json!({"object": object, "values": values}));
        made["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn update(&self, object: &str, id: &str, values: Value) {
        self.bench.salesforce("update", json!({"object": object, "id": id, "values": values}));
    }

    /// The HubSpot record of a Salesforce id.
    pub(crate) fn record(&self, object: &str, property: &str, id: &str) -> Value {
        let records = self.bench.records(object);
        let mut found =
            records.into_values().filter(|record| record["properties"][property] == id && record["archived"] == false);
        found.next().unwrap_or_else(|| panic!("{object} has no {id}"))
    }

    /// What a subscription is associated with of an object: (id, labels).
    pub(crate) fn of(&self, id: &str, object: &str) -> Vec<(String, Vec<String>)> {
        let record = self.record("subscriptions", "salesforce_id", id);
        let found = record["associations"][object].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        found
            .iter()
            .map(|association| {
                (text(&association["id"]), association["labels"].as_array().unwrap().iter().map(text).collect())
            })
            .collect()
    }

    /// The labels between a subscription and its only company.
    pub(crate) fn labels(&self, id: &str) -> Option<Vec<String>> {
        let mut found = self.of(id, "0-2");
        assert!(found.len() < 2, "{found:?}");
        found.pop().map(|(_, labels)| labels)
    }

    /// A sync that does what its plan foretold.
    pub(crate) fn sync(&self) -> Value {
        let planned = self.bench.run(&["plan", "--format", "json"]).code(0).json();
        let done = self.bench.sync();
        same(&planned, &done);
        done
    }

    /// An import that does what its plan foretold.
    pub(crate) fn import(&self) -> Value {
        let planned = self.bench.run(&["plan", "--full", "--format", "json"]).code(0).json();
        let done = self.bench.import();
        same(&planned, &done);
        done
    }
}

#[track_caller]
fn same(planned: &Value, done: &Value) {
    for outcome in done["pipelines"].as_array().unwrap() {
        let name = outcome["name"].as_str().unwrap();
        for count in ["created", "updated", "unchanged", "associated", "disassociated"] {
            assert_eq!(report(planned, name)[count], outcome[count], "{count} of {name}\n{planned}\n{done}");
        }
    }
}

const ACCOUNT: &str = "field: Account__c, to: companies, match: salesforceaccountid";
const SHIP_TO: &str = "field: Ship_To__c, to: companies, match: salesforceaccountid";

#[test]
fn labels_that_trade_places_leave_only_what_is_asked_for() {
    let pairs = Pairs::new(&[&format!("{ACCOUNT}, label: billing_account"), &format!("{SHIP_TO}, label: Shipping")]);
    pairs.label("Shipping", None, "0-2");
    let account = pairs.account(0);
    let id = pairs.create("Subscription__c", json!({"Name": "S", "Account__c": account}));
    pairs.import();
    assert_eq!(pairs.labels(&id), Some(vec!["billing_account".to_owned()]));
    pairs.update("Subscription__c", &id, json!({"Account__c": null, "Ship_To__c": account}));
    pairs.sync();
    assert_eq!(pairs.labels(&id), Some(vec!["Shipping".to_owned()]));
    // Both, and back to the first.
    pairs.update("Subscription__c", &id, json!({"Account__c": account}));
    pairs.sync();
    assert_eq!(pairs.labels(&id).map(|labels| labels.len()), Some(2));
    pairs.update("Subscription__c", &id, json!({"Ship_To__c": null}));
    pairs.sync();
    assert_eq!(pairs.labels(&id), Some(vec!["billing_account".to_owned()]));
    pairs.update("Subscription__c", &id, json!({"Account__c": null}));
    pairs.sync();
    assert_eq!(pairs.labels(&id), None);
}

#[test]
fn a_label_that_the_definition_changes_takes_the_place_of_the_old_one() {
    let pairs = Pairs::new(&[&format!("{ACCOUNT}, label: billing_account")]);
    pairs.label("Shipping", None, "0-2");
    let account = pairs.account(0);
    let id = pairs.create("Subscription__c", json!({"Name": "S", "Account__c": account}));
    pairs.import();
    pairs.define("subs", SUBSCRIPTIONS, &[&format!("{ACCOUNT}, label: Shipping")]);
    pairs.import();
    assert_eq!(pairs.labels(&id), Some(vec!["Shipping".to_owned()]));
}

#[test]
fn an_entry_that_the_definition_drops_is_foretold_as_it_is_done() {
    let both = [ACCOUNT.to_owned(), format!("{SHIP_TO}, label: Shipping")];
    let entries: Vec<&str> = both.iter().map(String::as_str).collect();
    for command in ["import", "sync", "import --stale", "reconcile"] {
        for of_one_pair in [true, false] {
            for dropped in [0, 1] {
                let pairs = Pairs::new(&entries);
                pairs.label("Shipping", None, "0-2");
                let account = pairs.account(0);
                let other = if of_one_pair { account.clone() } else { pairs.account(1) };
                let id =
                    pairs.create("Subscription__c", json!({"Name": "S", "Account__c": account, "Ship_To__c": other}));
                pairs.import();
                pairs.define("subs", SUBSCRIPTIONS, &[entries[1 - dropped]]);
                if command == "sync" {
                    pairs.update("Subscription__c", &id, json!({"Name": "T"}));
                }
                let (plan, run): (&[&str], &[&str]) = match command {
                    "import" => (&["plan", "--full", "--format", "json"], &["import", "--yes", "--format", "json"]),
                    "sync" => (&["plan", "--format", "json"], &["sync", "--once", "--format", "json"]),
                    "reconcile" => (&["plan", "--reconcile", "--format", "json"], &["reconcile", "--format", "json"]),
                    _ => (&["plan", "--format", "json"], &["import", "--stale", "--yes", "--format", "json"]),
                };
                let planned = pairs.bench.run(plan).code(0).json();
                let done = pairs.bench.run(run).code(0).json();
                let case = format!("{command}, of one pair: {of_one_pair}, dropped: {}", both[dropped]);
                let counts =
                    |said: &Value| ["associated", "disassociated"].map(|count| report(said, "subs")[count].as_u64());
                assert_eq!(counts(&planned), counts(&done), "{case}");
                // The label of two records that another entry asks for goes as soon as they are looked at.
                let looked_at = ["import", "reconcile"].contains(&command) && of_one_pair && dropped == 1;
                assert_eq!(counts(&done), [Some(0), Some(u64::from(looked_at))], "{case}");
                let labels: Vec<String> = pairs.of(&id, "0-2").into_iter().flat_map(|(_, labels)| labels).collect();
                assert_eq!(labels.is_empty(), looked_at, "{case}: {labels:?}");
            }
        }
    }
}

#[test]
fn an_association_that_passes_from_lookup_to_lookup_is_removed_with_the_last() {
    let pairs = Pairs::new(&[ACCOUNT, SHIP_TO]);
    let account = pairs.account(0);
    let id = pairs.create("Subscription__c", json!({"Name": "S", "Account__c": account}));
    pairs.import();
    pairs.update("Subscription__c", &id, json!({"Account__c": null, "Ship_To__c": account}));
    pairs.sync();
    assert_eq!(pairs.labels(&id), Some(vec![]));
    pairs.update("Subscription__c", &id, json!({"Ship_To__c": null}));
    pairs.sync();
    assert_eq!(pairs.labels(&id), None);
}

#[test]
fn a_lookup_to_the_own_object_may_be_turned_round() {
    let pairs = Pairs::new(&["field: Parent__c, pipeline: subs"]);
    pairs.with_itself();
    let parent = pairs.create("Subscription__c", json!({"Name": "P"}));
    let child = pairs.create("Subscription__c", json!({"Name": "K", "Parent__c": parent}));
    pairs.bench.import();
    for (blank, filled) in [(&child, &parent), (&parent, &child)] {
        pairs.update("Subscription__c", blank, json!({"Parent__c": null}));
        pairs.update("Subscription__c", filled, json!({"Parent__c": blank}));
        pairs.sync();
        assert_eq!(pairs.of(&parent, "2-41234567").len(), 1);
    }
    // Both ask, then one of them, then none.
    pairs.update("Subscription__c", &parent, json!({"Parent__c": child}));
    pairs.sync();
    pairs.update("Subscription__c", &child, json!({"Parent__c": null}));
    pairs.sync();
    assert_eq!(pairs.of(&parent, "2-41234567").len(), 1);
    pairs.update("Subscription__c", &parent, json!({"Parent__c": null}));
    pairs.sync();
    assert_eq!(pairs.of(&parent, "2-41234567"), []);
}

#[test]
fn a_labelled_lookup_to_the_own_object_may_be_turned_round() {
    let pairs = Pairs::new(&["field: Parent__c, pipeline: subs, label: Parent"]);
    pairs.with_itself();
    pairs.label("Parent", Some("Child"), "2-41234567");
    let parent = pairs.create("Subscription__c", json!({"Name": "P"}));
    let child = pairs.create("Subscription__c", json!({"Name": "K", "Parent__c": parent}));
    pairs.bench.import();
    let labels = |id: &str| pairs.of(id, "2-41234567").pop().map(|(_, labels)| labels);
    assert_eq!(labels(&child), Some(vec!["Parent".to_owned()]));
    pairs.update("Subscription__c", &child, json!({"Parent__c": null}));
    pairs.update("Subscription__c", &parent, json!({"Parent__c": child}));
    pairs.bench.sync();
    assert_eq!((labels(&parent), labels(&child)), (Some(vec!["Parent".to_owned()]), Some(vec!["Child".to_owned()])));
    let quiet = pairs.bench.sync();
    assert_eq!(report(&quiet, "subs")["associated"], 0);
    pairs.update("Subscription__c", &parent, json!({"Parent__c": null}));
    pairs.bench.sync();
    assert_eq!((labels(&parent), labels(&child)), (None, None));
}

#[test]
fn two_pipelines_that_ask_from_both_sides_share_what_they_ask_for() {
    for ends in ["subscription", "order"] {
        let pairs = Pairs::new(&["field: Work_Order__c, pipeline: orders"]);
        pairs.define("orders", ORDERS, &["field: Current__c, pipeline: subs"]);
        let order = pairs.create("WorkOrder", json!({"Subject": "W"}));
        let id = pairs.create("Subscription__c", json!({"Name": "S", "Work_Order__c": order}));
        pairs.bench.import();
        pairs.update("WorkOrder", &order, json!({"Current__c": id}));
        pairs.bench.sync();
        let standing = || pairs.of(&id, &pairs.bench.kind("work_orders")).len();
        let stop = |which: &str| match which {
            "subscription" => pairs.update("Subscription__c", &id, json!({"Work_Order__c": null})),
            _ => pairs.update("WorkOrder", &order, json!({"Current__c": null})),
        };
        stop(ends);
        pairs.sync();
        assert_eq!(standing(), 1, "the other pipeline still asks for it");
        stop(if ends == "order" { "subscription" } else { "order" });
        pairs.sync();
        assert_eq!(standing(), 0, "nobody asks for it");
    }
}

#[test]
fn a_path_leads_over_two_lookups() {
    let pairs = Pairs::new(&["field: Account__r.ParentId, to: companies, match: salesforceaccountid, allow: [SL2050]"]);
    let (account, parent, other) = (pairs.account(0), pairs.account(1), pairs.account(2));
    pairs.update("Account", &account, json!({"ParentId": parent}));
    let id = pairs.create("Subscription__c", json!({"Name": "S", "Account__c": account}));
    pairs.import();
    let company =
        |account: &str| pairs.record("companies", "salesforceaccountid", account)["id"].as_str().unwrap().to_owned();
    assert_eq!(pairs.of(&id, "0-2"), [(company(&parent), vec![])]);
    pairs.update("Account", &account, json!({"ParentId": other}));
    pairs.import();
    assert_eq!(pairs.of(&id, "0-2"), [(company(&other), vec![])]);
}

#[test]
fn entries_of_a_lookup_to_several_objects_share_its_ids() {
    let pairs = Pairs::new(&[]);
    pairs.lookup("Subscription__c", "Payer__c", &["Account", "WorkOrder", "Contact"]);
    pairs.define("orders", ORDERS, &["field: Current__c, pipeline: subs"]);
    pairs.define(
        "subs",
        SUBSCRIPTIONS,
        &[
            "field: Payer__c, object: Account, to: companies, match: salesforceaccountid",
            "field: Payer__c, pipeline: orders",
        ],
    );
    let account = pairs.account(0);
    let order = pairs.create("WorkOrder", json!({"Subject": "W"}));
    let id = pairs.create("Subscription__c", json!({"Name": "S", "Payer__c": account}));
    pairs.bench.import();
    let counts = || (pairs.of(&id, "0-2").len(), pairs.of(&id, &pairs.bench.kind("work_orders")).len());
    assert_eq!(counts(), (1, 0));
    pairs.update("Subscription__c", &id, json!({"Payer__c": order}));
    let done = pairs.sync();
    assert_eq!(counts(), (0, 1));
    assert_eq!(report(&done, "subs")["pending_associations"], 0);
    let contact = pairs.bench.rows("Contact").into_keys().next().unwrap();
    pairs.update("Subscription__c", &id, json!({"Payer__c": contact}));
    let done = pairs.sync();
    assert_eq!(counts(), (0, 0));
    assert_eq!(report(&done, "subs")["pending_associations"], 0, "an id that no entry means waits for nothing");
}

#[test]
fn a_label_follows_a_field_of_the_row() {
    let label = "label: { from: Status__c, values: { Active: billing_account, On Hold: Shipping } }, allow: [SL2074]";
    let pairs = Pairs::new(&[&format!("{ACCOUNT}, {label}")]);
    pairs.label("Shipping", None, "0-2");
    let account = pairs.account(0);
    let id = pairs.create("Subscription__c", json!({"Name": "S", "Account__c": account, "Status__c": "Active"}));
    pairs.import();
    assert_eq!(pairs.labels(&id), Some(vec!["billing_account".to_owned()]));
    for (status, expected) in
        [("On Hold", vec!["Shipping"]), ("Cancelled", vec![]), ("Active", vec!["billing_account"])]
    {
        pairs.update("Subscription__c", &id, json!({"Status__c": status}));
        pairs.sync();
        assert_eq!(pairs.labels(&id).unwrap(), expected, "{status}");
    }
}

/// A subscription that is imported with two associations to companies, one of them with a label.
fn billed_and_shipped() -> (Pairs, String) {
    let pairs = Pairs::new(&[&format!("{ACCOUNT}, label: billing_account"), SHIP_TO]);
    let (account, other) = (pairs.account(0), pairs.account(1));
    let id = pairs.create("Subscription__c", json!({"Name": "S", "Account__c": account, "Ship_To__c": other}));
    pairs.import();
    (pairs, id)
}

#[test]
fn what_somebody_removed_by_hand_is_told_and_made_again() {
    let (pairs, id) = billed_and_shipped();
    let before = pairs.of(&id, "0-2");
    assert_eq!(before.len(), 2);
    let record = pairs.record("subscriptions", "salesforce_id", &id)["id"].as_str().unwrap().to_owned();
    for (company, _) in &before {
        let path = format!("/crm/v4/objects/2-41234567/{record}/associations/0-2/{company}");
        pairs.hubspot("DELETE", &path, &json!({}));
    }
    let planned = pairs.bench.run(&["plan", "--full"]).code(0).stdout;
    assert!(planned.contains("associations: 2 to make"), "{planned}");
    let done = pairs.import();
    assert_eq!(report(&done, "subs")["associated"], 2);
    assert_eq!(pairs.of(&id, "0-2"), before);
    // What others made stays, and is no reason to do anything.
    pairs.label("Shipping", None, "0-2");
    let quiet = pairs.import();
    assert_eq!(
        (report(&quiet, "subs")["associated"].as_u64(), report(&quiet, "subs")["disassociated"].as_u64()),
        (Some(0), Some(0))
    );
}

#[test]
fn associations_that_somebody_removed_are_drift() {
    let (pairs, id) = billed_and_shipped();
    let account = pairs.account(0);
    let plan = |arguments: &[&str]| pairs.bench.run(&[&["plan"], arguments].concat()).code(0);
    let drift = |planned: &Value| {
        let answers = report(planned, "subs")["answers"].as_array().unwrap().clone();
        answers.into_iter().find(|answer| answer["question"] == "drift").unwrap()
    };
    let all: [&[&str]; 3] = [&["--refresh"], &["--full", "--refresh"], &["--reconcile"]];
    for arguments in all {
        let planned = plan(&[arguments, &["--format", "json"]].concat()).json();
        assert_eq!(drift(&planned)["answer"], "no", "{arguments:?}: {planned}");
        let text = plan(arguments).stdout;
        assert!(text.contains("drift: none, HubSpot holds what Syncline wrote"), "{arguments:?}: {text}");
    }
    // Of certain records only the properties are compared.
    let text = plan(&["--refresh", "--record", &id]).stdout;
    assert!(text.contains("drift: none, no property was changed there; associations were not looked at"), "{text}");
    let record = pairs.record("subscriptions", "salesforce_id", &id)["id"].as_str().unwrap().to_owned();
    let company = pairs.record("companies", "salesforceaccountid", &account)["id"].as_str().unwrap().to_owned();
    let path = format!("/crm/v4/objects/2-41234567/{record}/associations/0-2/{company}");
    pairs.hubspot("DELETE", &path, &json!({}));
    let lost = json!([{"association": "Account__c#billing_account", "action": "lost", "salesforce_id": account}]);
    for arguments in all {
        let planned = plan(&[arguments, &["--format", "json"]].concat()).json();
        let forecast = report(&planned, "subs");
        assert_eq!(
            (&drift(&planned)["answer"], &forecast["lost_associations"]),
            (&json!("yes"), &json!(1)),
            "{planned}"
        );
        let changes = forecast["changes"].as_array().unwrap();
        let told: Vec<&Value> = changes.iter().filter(|change| change["action"] == "drift").collect();
        assert_eq!((told.len(), &told[0]["associations"]), (1, &lost), "{planned}");
        assert_eq!((&told[0]["salesforce_id"], &told[0]["hubspot_id"]), (&json!(id), &json!(record)));
        let text = plan(arguments).stdout;
        let then = if arguments == ["--refresh"] { "a sync leaves that as it is" } else { "the run makes it again" };
        assert!(
            text.contains(&format!("drift: 1 association was removed in HubSpot by someone else; {then}")),
            "{text}"
        );
        for format in ["text", "markdown", "html"] {
            let said = plan(&[arguments, &["--format", format]].concat()).stdout;
            assert!(said.contains("1 association was removed in HubSpot by someone else"), "{format}: {said}");
            assert!(said.contains("HubSpot no longer holds the association with"), "{format}: {said}");
            assert!(
                !said.contains("holds what Syncline wrote") && !said.contains("0 records were"),
                "{format}: {said}"
            );
        }
    }
    // A sync leaves it, a comparison repairs it.
    pairs.sync();
    assert_eq!(report(&plan(&["--refresh", "--format", "json"]).json(), "subs")["lost_associations"], 1);
    let planned = plan(&["--reconcile", "--format", "json"]).json();
    let done = pairs.bench.run(&["reconcile", "--format", "json"]).code(0).json();
    let drifted = (&report(&planned, "subs")["drifted"], &report(&done, "subs")["drifted"]);
    assert_eq!(drifted, (&json!(1), &json!(1)), "{done}");
    assert_eq!(drift(&plan(&["--refresh", "--format", "json"]).json())["answer"], "no");
    // The record at the other end is archived by hand, and its associations with it: another record leads there as well.
    pairs.bench.hubspot("archive", json!({"object": "companies", "id": company}));
    for arguments in all {
        let planned = plan(&[arguments, &["--format", "json"]].concat()).json();
        assert_eq!(report(&planned, "subs")["lost_associations"], 2, "{planned}");
    }
}

#[test]
fn what_syncline_itself_archived_is_no_drift() {
    let pairs = Pairs::new(&[ACCOUNT]);
    pairs.define("orders", ORDERS, &["field: Current__c, pipeline: subs"]);
    pairs.bench.edit("pipelines/subs.yaml", "on_delete: keep", "on_delete: archive\nguard: { archive: 100% }");
    let target = pairs.create("Subscription__c", json!({"Name": "S"}));
    pairs.create("WorkOrder", json!({"Subject": "W", "Current__c": target}));
    pairs.import();
    pairs.bench.salesforce("delete", json!({"object": "Subscription__c", "id": target}));
    for done in [false, true] {
        if done {
            pairs.bench.sync();
        }
        for arguments in [&["--refresh"][..], &["--full", "--refresh"]] {
            let planned = pairs.bench.run(&[&["plan", "--format", "json"], arguments].concat()).code(0).json();
            assert_eq!(report(&planned, "orders")["lost_associations"], 0, "{done} {arguments:?}: {planned}");
        }
    }
}

#[test]
fn a_target_that_was_made_anew_or_merged_is_found_again() {
    for change in ["made anew", "merged", "moved to another"] {
        let pairs = Pairs::new(&[ACCOUNT]);
        let account = pairs.account(0);
        let id = pairs.create("Subscription__c", json!({"Name": "S", "Account__c": account}));
        pairs.import();
        let old = pairs.record("companies", "salesforceaccountid", &account)["id"].as_str().unwrap().to_owned();
        assert_eq!(pairs.of(&id, "0-2"), [(old.clone(), vec![])]);
        let properties = json!({"name": "again", "salesforceaccountid": account});
        let new = |properties: Value| {
            let made = pairs.bench.hubspot("create", json!({"object": "companies", "properties": properties}));
            made["id"].as_str().unwrap().to_owned()
        };
        let new = match change {
            "made anew" => {
                pairs.bench.hubspot("archive", json!({"object": "companies", "id": old}));
                new(properties)
            }
            "merged" => {
                let winner = new(json!({"name": "winner"}));
                let path = "/crm/v3/objects/companies/merge";
                pairs.hubspot("POST", path, &json!({"primaryObjectId": winner, "objectIdToMerge": old}));
                pairs.bench.hubspot("set", json!({"object": "companies", "id": winner, "properties": properties}));
                winner
            }
            _ => {
                // The association stands, and leads to a company that is another's now.
                let path = format!("/crm/v3/objects/companies/{old}");
                pairs.hubspot("PATCH", &path, &json!({"properties": {"salesforceaccountid": ""}}));
                let record = pairs.record("subscriptions", "salesforce_id", &id)["id"].as_str().unwrap().to_owned();
                let path = format!("/crm/v4/objects/2-41234567/{record}/associations/0-2/{old}");
                pairs.hubspot("DELETE", &path, &json!({}));
                new(properties)
            }
        };
        pairs.import();
        assert_eq!(pairs.of(&id, "0-2"), [(new, vec![])], "{change}");
        // It is ours wherever it went: a blank lookup takes it back.
        pairs.update("Subscription__c", &id, json!({"Account__c": null}));
        pairs.sync();
        assert_eq!(pairs.of(&id, "0-2"), [], "{change}");
    }
}

#[test]
fn a_doubled_target_is_taken_once_somebody_has_seen_to_it() {
    for by in ["archive", "merge"] {
        let pairs = Pairs::new(&["field: Account__c, to: companies, match: salesforceaccountid"]);
        let account = pairs.account(0);
        let company = pairs.record("0-2", "salesforceaccountid", &account)["id"].as_str().unwrap().to_owned();
        let properties = json!({"name": "Twice", "salesforceaccountid": account});
        let other = pairs.bench.hubspot("create", json!({"object": "0-2", "properties": properties}))["id"].clone();
        let id = pairs.create("Subscription__c", json!({"Name": "S", "Account__c": account}));
        pairs.bench.import();
        assert!(pairs.of(&id, "0-2").is_empty(), "two companies carry the id");
        let failures = pairs.bench.failures();
        assert!(failures.iter().any(|failure| failure["salesforce_id"] == id.as_str()), "{failures:?}");
        match by {
            "archive" => drop(pairs.bench.hubspot("archive", json!({"object": "0-2", "id": other}))),
            _ => drop(pairs.bench.hubspot("merge", json!({"object": "0-2", "id": company, "merged": other}))),
        }
        pairs.bench.import();
        assert_eq!(pairs.of(&id, "0-2"), [(company, Vec::new())], "{by}");
        let failures = pairs.bench.failures();
        assert!(failures.iter().all(|failure| failure["salesforce_id"] != id.as_str()), "{by}: {failures:?}");
    }
}

#[test]
fn a_record_that_was_merged_or_archived_in_hubspot_is_made_again_once_its_associations_are_refused() {
    for by in ["merge", "archive"] {
        let pairs = Pairs::new(&["field: Account__c, to: companies, match: salesforceaccountid"]);
        let id = pairs.create("Subscription__c", json!({"Name": "S"}));
        let survivor = pairs.create("Subscription__c", json!({"Name": "T"}));
        pairs.bench.import();
        let record = |id: &str| pairs.record("subscriptions", "salesforce_id", id)["id"].clone();
        let (old, other) = (record(&id), record(&survivor));
        match by {
            "merge" => {
                drop(pairs.bench.hubspot("merge", json!({"object": "subscriptions", "id": other, "merged": old})))
            }
            _ => drop(pairs.bench.hubspot("archive", json!({"object": "subscriptions", "id": old}))),
        }
        // The row asks for an association, and nothing of it is to be written.
        let account = pairs.account(0);
        pairs.update("Subscription__c", &id, json!({"Account__c": account}));
        pairs.bench.sync();
        assert!(
            pairs.bench.failures().iter().any(|failure| failure["kind"] == "associations"),
            "{by}: HubSpot refuses it"
        );
        let outcome = pairs.bench.sync();
        assert_ne!(record(&id), old, "{by}: {outcome}");
        assert_eq!(record(&survivor), other, "{by}: the survivor stays the other row's");
        pairs.bench.run(&["failures", "retry"]).code(0);
        pairs.bench.sync();
        let company = pairs.record("0-2", "salesforceaccountid", &account)["id"].as_str().unwrap().to_owned();
        assert_eq!(pairs.of(&id, "0-2"), [(company, Vec::new())], "{by}");
        assert_eq!(pairs.bench.failures(), Vec::<Value>::new(), "{by}");
    }
}
