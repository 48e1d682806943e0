//! What the other sample pipelines need: more objects of Salesforce with some rows, more custom objects of HubSpot. Read from two tables.

use serde_json::{Map, Value, json};

use super::rows::Rows;

mod rows;

/// Objects of Salesforce with their fields.
const ORG: &str = include_str!("samples/org.txt");

/// Custom objects of HubSpot with their properties.
const PORTAL: &str = include_str!("samples/portal.txt");

/// Labels of associations: from, to, name.
const LABELS: [(&str, &str, &str); 5] = [
    ("customer_projects", "0-2", "customer"),
    ("customer_projects", "0-2", "implementation_partner"),
    ("customer_projects", "0-1", "sponsor"),
    ("customer_projects", "0-1", "decision_maker"),
    ("customer_projects", "0-1", "team_member"),
];

/// One part of a table: the words of its first line, and those of the lines below.
struct Part {
    head: Vec<&'static str>,
    lines: Vec<Vec<&'static str>>,
}

fn parts(text: &'static str) -> Vec<Part> {
    let words = |line: &'static str| line.split('|').map(str::trim).collect::<Vec<_>>();
    let mut parts: Vec<Part> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match (line.strip_prefix("= "), parts.last_mut()) {
            (Some(head), _) => parts.push(Part { head: words(head), lines: Vec::new() }),
            (None, Some(part)) => part.lines.push(words(line)),
            (None, None) => {}
        }
    }
    parts
}

/// What is added to Salesforce and to HubSpot in the sample world that belongs to this seed and to so many subscriptions.
pub(super) fn world(seed: u64, records: usize, base: &Rows) -> (Value, Value) {
    let objects: Vec<Value> = parts(ORG).iter().map(object).collect();
    let rows = rows::make(seed, records, base, &parts(ORG).iter().map(count).collect::<Vec<_>>(), &objects);
    let text = |name: &str, label: &str, group: &str| json!({"name": name, "label": label, "type": "string", "fieldType": "text", "groupName": group});
    let labels = LABELS.map(|(from, to, name)| json!({"from": from, "to": to, "name": name, "label": name}));
    let hubspot = json!({
        // Where HubSpot's own integration keeps the ids.
        "properties": {
            "0-1": [text("salesforcecontactid", "Salesforce Contact ID", "contactinformation")],
            "0-3": [text("hs_salesforceopportunityid", "Salesforce Opportunity ID", "dealinformation")]},
        "schemas": parts(PORTAL).iter().map(schema).collect::<Vec<_>>(),
        "labels": labels,
        "records": {"0-1": rows::contacts(&base.contacts), "0-3": rows::deals(&rows)}
    });
    (json!({"objects": objects, "records": rows}), hubspot)
}

/// How many rows an object has in a world that is large enough.
fn count(part: &Part) -> usize {
    part.head.get(4).and_then(|count| count.parse().ok()).unwrap_or(0)
}

fn object(part: &Part) -> Value {
    let head = |place: usize| part.head.get(place).copied().unwrap_or_default();
    let fields: Vec<Value> = part.lines.iter().map(|line| field(line)).collect();
    json!({"name": head(0), "label": head(1), "labelPlural": head(2), "keyPrefix": head(3),
        "custom": head(0).ends_with("__c"), "mergeable": head(0) == "Lead", "fields": fields})
}

fn field(line: &[&str]) -> Value {
    let word = |place: usize| line.get(place).copied().unwrap_or_default();
    let (name, flags) = (word(0), word(3));
    let (kind, needs) = word(2).split_once(' ').unwrap_or((word(2), ""));
    let mut field = json!({"name": name, "label": word(1), "type": kind, "custom": name.ends_with("__c")});
    match kind {
        "string" | "textarea" => field["length"] = needs.parse::<u32>().unwrap_or(255).into(),
        "currency" | "double" | "percent" => field["scale"] = needs.parse::<u32>().unwrap_or(0).into(),
        "picklist" => field["picklistValues"] = needs.split(';').map(|value| json!({"value": value})).collect(),
        "lookup" => {
            field["type"] = "reference".into();
            field["referenceTo"] = needs.split(',').collect();
            let relationship = name.strip_suffix("__c").map(|name| format!("{name}__r"));
            field["relationshipName"] =
                relationship.unwrap_or_else(|| name.strip_suffix("Id").unwrap_or(name).to_owned()).into();
        }
        _ => {}
    }
    for flag in flags.split(' ') {
        match flag {
            "title" => (field["nameField"], field["nillable"]) = (true.into(), false.into()),
            "auto" => field["autoNumber"] = true.into(),
            "derived" => (field["createable"], field["updateable"]) = (false.into(), false.into()),
            "needed" => field["nillable"] = false.into(),
            "master" => (field["nillable"], field["cascadeDelete"]) = (false.into(), true.into()),
            _ => {}
        }
    }
    if name == "OwnerId" {
        field["defaultedOnCreate"] = true.into();
    }
    field
}

fn schema(part: &Part) -> Value {
    let head = |place: usize| part.head.get(place).copied().unwrap_or_default();
    let flagged = |flag: &str| -> Vec<&str> {
        let lines =
            part.lines.iter().filter(|line| line.get(3).is_some_and(|flags| flags.split(' ').any(|f| f == flag)));
        lines.map(|line| line[0]).collect()
    };
    let properties: Vec<Value> = part.lines.iter().map(|line| property(line)).collect();
    json!({"name": head(0), "labels": {"singular": head(1), "plural": head(2)},
        "primaryDisplayProperty": flagged("title").first(), "requiredProperties": flagged("needed"),
        "searchableProperties": flagged("title"), "properties": properties,
        "associatedObjects": head(3).split(',').collect::<Vec<_>>()})
}

fn property(line: &[&str]) -> Value {
    let word = |place: usize| line.get(place).copied().unwrap_or_default();
    let (kind, field_type) = word(2).split_once('/').unwrap_or((word(2), "text"));
    let mut property = Map::new();
    for (key, value) in [("name", word(0)), ("label", word(1)), ("type", kind), ("fieldType", field_type)] {
        property.insert(key.to_owned(), value.into());
    }
    if word(3).contains("unique") {
        property.insert("hasUniqueValue".to_owned(), true.into());
    }
    if word(3).contains("owner") {
        property.insert("externalOptions".to_owned(), true.into());
        property.insert("referencedObjectType".to_owned(), "OWNER".into());
    }
    let options = if kind == "bool" { "true=Yes;false=No" } else { word(4) };
    let options = options.split(';').filter(|option| !option.is_empty()).enumerate().map(|(order, option)| {
        let (value, label) = option.split_once('=').unwrap_or((option, option));
        json!({"value": value, "label": label, "displayOrder": order, "hidden": false})
    });
    let options: Vec<Value> = options.collect();
    if !options.is_empty() {
        property.insert("options".to_owned(), options.into());
    }
    Value::Object(property)
}
