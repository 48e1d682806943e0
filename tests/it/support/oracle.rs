//! What both systems must hold when a sync has caught up, said in the test's own words and without the engine's help.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Bench;

/// Everything that is wrong between the two systems, for the two sample pipelines; empty when they agree.
///
/// - each live row that the pipeline wants is exactly one live record, or stands in `failures`;
/// - no two live records carry one Salesforce id;
/// - a deleted subscription has no live record (`on_delete: archive`);
/// - a record's association to its company and to its work order is the lookup's, where the other side exists.
pub(crate) fn disagreements(bench: &Bench) -> Vec<String> {
    let mut wrong = Vec::new();
    let failures = bench.failures();
    let failed = |pipeline: &str| -> BTreeSet<String> {
        let of_pipeline = failures.iter().filter(|failure| failure["pipeline"] == pipeline);
        of_pipeline.filter_map(|failure| failure["salesforce_id"].as_str().map(str::to_owned)).collect()
    };
    let subscriptions = Side::read(bench, "Subscription__c", "subscriptions", &mut wrong);
    let work_orders = Side::read(bench, "WorkOrder", "work_orders", &mut wrong);
    let companies = companies(bench);

    let bad = failed("subscriptions");
    for (id, row) in &subscriptions.rows {
        let text = |field: &str| row["values"][field].as_str().unwrap_or_default();
        let live = row["deleted"] == false;
        let record = subscriptions.records.get(id);
        if bad.contains(id) {
            continue;
        }
        if !live {
            if record.is_some_and(|record| record["archived"] == false) {
                wrong.push(format!("{id} is deleted, its record lives"));
            }
            continue;
        }
        if text("Status__c") == "Draft" {
            continue;
        }
        let Some(record) = record.filter(|record| record["archived"] == false) else {
            wrong.push(format!("{id} has no live record"));
            continue;
        };
        let property = |name: &str| record["properties"][name].as_str().unwrap_or_default();
        let status = match text("Status__c") {
            "Active" => "active",
            "On Hold" => "on_hold",
            "Cancelled" => "cancelled",
            other => other,
        };
        for (name, expected) in [("subscription_name", text("Name")), ("status", status), ("notes", text("Notes__c"))] {
            if property(name) != expected {
                wrong.push(format!("{id}: `{name}` is {:?}, not {expected:?}", property(name)));
            }
        }
        check_association(id, record, "0-2", companies.get(text("Account__c")), &mut wrong);
        let order = work_orders.live(text("Work_Order__c"));
        check_association(id, record, &work_orders.kind, order.as_ref(), &mut wrong);
    }
    let bad = failed("work_orders");
    for (id, row) in work_orders.rows.iter().filter(|(id, row)| row["deleted"] == false && !bad.contains(*id)) {
        let text = |field: &str| row["values"][field].as_str().unwrap_or_default();
        let Some(record) = work_orders.records.get(id).filter(|record| record["archived"] == false) else {
            wrong.push(format!("{id} has no live record"));
            continue;
        };
        if record["properties"]["subject"].as_str().unwrap_or_default() != text("Subject") {
            wrong.push(format!("{id}: another subject"));
        }
        check_association(id, record, "0-2", companies.get(text("AccountId")), &mut wrong);
    }
    wrong
}

/// Demands that the two systems agree.
#[track_caller]
pub(crate) fn agree(bench: &Bench) {
    let wrong = disagreements(bench);
    assert!(wrong.is_empty(), "{} disagreements, first: {:#?}", wrong.len(), &wrong[..wrong.len().min(12)]);
}

/// What HubSpot holds, in a form that two runs can be compared by: live records by Salesforce id with their properties,
/// and their associations by what is at the other end. HubSpot's own ids differ from run to run and are left out.
pub(crate) fn picture(bench: &Bench) -> Value {
    let mut keys: BTreeMap<String, String> = BTreeMap::new();
    let objects = ["subscriptions", "work_orders"];
    let sides: Vec<_> = objects.iter().map(|object| (*object, bench.kind(object), bench.records(object))).collect();
    let key = |record: &Value| record["properties"]["salesforce_id"].as_str().map(str::to_owned);
    for (_, _, records) in &sides {
        keys.extend(records.iter().filter_map(|(id, record)| Some((id.clone(), key(record)?))));
    }
    let mut picture = serde_json::Map::new();
    for (object, _, records) in &sides {
        let live = records.values().filter(|record| record["archived"] == false);
        let shown = live.filter_map(|record| Some((key(record)?, shown(record, &keys))));
        picture.insert((*object).to_owned(), Value::Object(shown.collect()));
    }
    Value::Object(picture)
}

fn shown(record: &Value, keys: &BTreeMap<String, String>) -> Value {
    let mut associations: BTreeSet<String> = BTreeSet::new();
    for (kind, ends) in record["associations"].as_object().into_iter().flatten() {
        for end in ends.as_array().into_iter().flatten() {
            let id = end["id"].as_str().unwrap_or_default();
            associations.insert(format!("{kind} {} {}", keys.get(id).map_or(id, String::as_str), end["labels"]));
        }
    }
    serde_json::json!({"properties": record["properties"], "associations": associations})
}

/// One pipeline's rows, and its records by Salesforce id.
struct Side {
    kind: String,
    rows: BTreeMap<String, Value>,
    records: BTreeMap<String, Value>,
}

impl Side {
    fn read(bench: &Bench, source: &str, target: &str, wrong: &mut Vec<String>) -> Self {
        let mut records = BTreeMap::new();
        for (_, record) in bench.records(target) {
            let Some(id) = record["properties"]["salesforce_id"].as_str().map(str::to_owned) else { continue };
            let before = records.get(&id).filter(|other: &&Value| other["archived"] == false);
            match before {
                // An archived record cannot be brought back by the API: what returns is made anew beside it.
                Some(_) if record["archived"] == true => {}
                Some(other) => wrong.push(format!("{id} is doubled: {} and {}", other["id"], record["id"])),
                None => drop(records.insert(id, record)),
            }
        }
        let kind = bench.kind(target);
        Self { kind, rows: bench.rows(source), records }
    }

    fn live(&self, salesforce_id: &str) -> Option<String> {
        let record = self.records.get(salesforce_id).filter(|record| record["archived"] == false)?;
        record["id"].as_str().map(str::to_owned)
    }
}

/// Companies by the 18-character Salesforce id; those that two companies carry are left out, as no association can be right.
fn companies(bench: &Bench) -> BTreeMap<String, String> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let rows = bench.rows("Account");
    for (id, company) in bench.records("0-2") {
        if company["archived"] == true {
            continue;
        }
        if let Some(account) = company["properties"]["salesforceaccountid"].as_str() {
            // Old companies carry the 15-character form.
            let whole = rows.keys().find(|row| row.starts_with(account)).map_or(account, String::as_str);
            found.entry(whole.to_owned()).or_default().push(id);
        }
    }
    found.into_iter().filter_map(|(account, ids)| (ids.len() == 1).then(|| (account, ids[0].clone()))).collect()
}

fn check_association(id: &str, record: &Value, kind: &str, expected: Option<&String>, wrong: &mut Vec<String>) {
    let associated = record["associations"][kind].as_array().cloned().unwrap_or_default();
    let associated: Vec<&str> = associated.iter().filter_map(|association| association["id"].as_str()).collect();
    let expected: Vec<&str> = expected.into_iter().map(String::as_str).collect();
    if associated != expected {
        wrong.push(format!("{id}: associated to {associated:?} of {kind}, not to {expected:?}"));
    }
}
