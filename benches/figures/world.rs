//! The job that is measured: objects of 20 columns, 15 mapped fields, one association a record; up to four alike, for pipelines
//! side by side.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use syncline::sandbox::options::HUBSPOT_TOKEN;

use crate::http::Connection;
use crate::serve::Served;

/// How many objects of the kind there are.
pub(crate) const OBJECTS: usize = 4;

/// The property that holds a company's Salesforce id.
pub(crate) const COMPANY_KEY: &str = "bench_account_id";

/// How many accounts the records belong to.
pub(crate) const ACCOUNTS: usize = 1_000;

/// What is read, in this order, and the property that each column fills.
pub(crate) const COLUMNS: [(&str, Option<&str>); 20] = [
    ("Id", Some("salesforce_id")),
    ("Name", Some("bench_name")),
    ("Status__c", Some("status")),
    ("Amount__c", Some("amount")),
    ("Discount__c", Some("discount")),
    ("Start__c", Some("start_date")),
    ("Renews_At__c", Some("renews_at")),
    ("Seats__c", Some("seats")),
    ("Auto_Renew__c", Some("auto_renew")),
    ("Channels__c", Some("channels")),
    ("Notes__c", Some("notes")),
    ("External_Code__c", Some("external_code")),
    ("Billing_Email__c", Some("bench_email")),
    ("Street__c", Some("street")),
    ("City__c", Some("city")),
    ("Country__c", Some("country")),
    ("Account__c", None),
    ("Phone__c", None),
    ("IsDeleted", None),
    ("SystemModstamp", None),
];

/// The source object with this number.
pub(crate) fn source(number: usize) -> String {
    format!("Bench{number}__c")
}

/// The target object with this number.
pub(crate) fn target(number: usize) -> String {
    format!("bench{number}")
}

/// Adds the objects to a sandbox.
pub(crate) fn seed(sandbox: &Served) -> Result<()> {
    let objects: Vec<Value> = (1..=OBJECTS).map(source_object).collect();
    let schemas: Vec<Value> = (1..=OBJECTS).map(target_object).collect();
    let mut control = Connection::open(sandbox.get("control"), None)?;
    let mut post = |path: &str, body: &Value| -> Result<()> {
        let (body, mut answer) = (body.to_string(), Vec::new());
        let head = control.send(("POST", path, "application/json"), body.as_bytes(), &mut answer)?;
        ensure!(head.status == 200, "{path}: {} {}", head.status, String::from_utf8_lossy(&answer));
        Ok(())
    };
    post("/salesforce/seed", &json!({"objects": objects, "records": {}}))?;
    post("/hubspot/seed", &json!({"schemas": schemas}))?;
    let mut portal = Connection::open(sandbox.get("hubspot"), Some(HUBSPOT_TOKEN))?;
    let property = json!({"name": COMPANY_KEY, "label": "Account", "type": "string", "fieldType": "text",
        "groupName": "companyinformation", "hasUniqueValue": true});
    let (body, mut answer) = (property.to_string(), Vec::new());
    let head =
        portal.send(("POST", "/crm/v3/properties/companies", "application/json"), body.as_bytes(), &mut answer)?;
    ensure!(head.status == 201, "the property of companies: {} {}", head.status, String::from_utf8_lossy(&answer));
    Ok(())
}

fn source_object(number: usize) -> Value {
    let field = |name: &str, kind: &str, more: Value| {
        let mut field = json!({"name": name, "type": kind, "label": name.trim_end_matches("__c").replace('_', " "), "custom": true});
        if let (Value::Object(members), Value::Object(more)) = (&mut field, more) {
            members.extend(more);
        }
        field
    };
    let text = |name: &str, length: u32| field(name, "string", json!({"length": length}));
    let picklist = |name: &str, kind: &str, values: &[&str]| {
        let values: Vec<Value> = values
            .iter()
            .map(|value| json!({"value": value, "label": value, "active": true, "defaultValue": false, "validFor": null}))
            .collect();
        field(name, kind, json!({"restrictedPicklist": true, "picklistValues": values}))
    };
    let letter = ["", "B", "C", "D", "E"][number];
    json!({"name": source(number), "label": "Bench", "labelPlural": "Benches", "keyPrefix": format!("a0{letter}"), "custom": true,
        "fields": [
            field("Name", "string", json!({"length": 80, "nameField": true, "custom": false})),
            picklist("Status__c", "picklist", &["Active", "On Hold", "Cancelled"]),
            field("Amount__c", "currency", json!({"precision": 18, "scale": 2})),
            field("Discount__c", "percent", json!({"precision": 5, "scale": 2})),
            field("Start__c", "date", json!({})),
            field("Renews_At__c", "datetime", json!({})),
            field("Seats__c", "int", json!({"digits": 8})),
            field("Auto_Renew__c", "boolean", json!({"nillable": false, "defaultedOnCreate": true})),
            picklist("Channels__c", "multipicklist", &["Email", "Phone", "Partner", "Web"]),
            field("Notes__c", "textarea", json!({"length": 131_072, "filterable": false, "sortable": false, "groupable": false})),
            text("External_Code__c", 20),
            field("Billing_Email__c", "email", json!({})),
            text("Street__c", 80),
            text("City__c", 40),
            text("Country__c", 40),
            text("Phone__c", 40),
            field("Account__c", "reference", json!({"referenceTo": ["Account"], "relationshipName": "Account__r"}))]})
}

fn target_object(number: usize) -> Value {
    let property =
        |name: &str, kind: &str, field: &str| json!({"name": name, "label": name, "type": kind, "fieldType": field});
    let text = |name: &str| property(name, "string", "text");
    let choice = |name: &str, field: &str, values: &[&str]| {
        let options: Vec<Value> = values.iter().map(|value| json!({"label": value, "value": value})).collect();
        json!({"name": name, "label": name, "type": "enumeration", "fieldType": field, "options": options})
    };
    let mut key = text("salesforce_id");
    key["hasUniqueValue"] = true.into();
    let mut renew = choice("auto_renew", "booleancheckbox", &["true", "false"]);
    renew["type"] = "bool".into();
    json!({"name": target(number), "labels": {"singular": target(number), "plural": target(number)},
        "primaryDisplayProperty": "bench_name", "requiredProperties": ["bench_name"], "searchableProperties": ["bench_name"],
        "properties": [
            key, text("bench_name"), choice("status", "select", &["active", "on_hold", "cancelled"]),
            property("amount", "number", "number"), property("discount", "number", "number"),
            property("start_date", "date", "date"), property("renews_at", "datetime", "date"),
            property("seats", "number", "number"), renew, choice("channels", "checkbox", &["Email", "Phone", "Partner", "Web"]),
            property("notes", "string", "textarea"), text("external_code"), text("bench_email"), text("street"), text("city"),
            text("country")],
        "associatedObjects": ["0-2"]})
}

/// The definition of a pipeline.
pub(crate) fn pipeline(number: usize) -> String {
    let mut text = format!(
        "version: 1\nname: {target}\nsource:\n  object: {}\ntarget:\n  object: {target}\n  match: salesforce_id\nfields:\n",
        source(number),
        target = target(number),
    );
    for (column, property) in &COLUMNS[1..] {
        let Some(property) = property else { continue };
        let more = match *column {
            "Name" => ", required: true",
            "Status__c" => ", values: { Active: active, On Hold: on_hold, Cancelled: cancelled }",
            "Notes__c" => ", truncate: true",
            _ => "",
        };
        let _ = writeln!(text, "  - {{ from: {column}, to: {property}{more} }}");
    }
    let _ = write!(
        text,
        "associations:\n  - {{ field: Account__c, to: companies, match: {COMPANY_KEY} }}\non_delete: archive\nsync:\n  parents: \"off\"\n"
    );
    text
}

/// Writes one cell of a column: into the text, of the record with this number, with long texts of so many bytes.
pub(crate) type Cell = Box<dyn Fn(&mut String, usize, usize)>;

/// What writes the cells of a column.
pub(crate) fn cell(object: &str, column: &str, accounts: usize) -> Cell {
    let letter = object.bytes().find(u8::is_ascii_digit).map_or(0, |digit| usize::from(digit - b'0'));
    let letter = ["A", "B", "C", "D", "E"][letter.min(4)];
    let text = move |write: fn(&mut String, usize)| -> Cell { Box::new(move |out, number, _| write(out, number)) };
    macro_rules! cell {
        ($number:ident, $($format:tt)+) => { text(|out, $number| out.push_str(&format!($($format)+))) };
    }
    match column {
        "Id" => Box::new(move |out, number, _| out.push_str(&format!("a0{letter}5g{number:010}EAA"))),
        "Name" => cell!(number, "Contract {number} of {}", number % 977),
        "Status__c" => text(|out, number| out.push_str(["Active", "On Hold", "Cancelled"][number % 3])),
        "Amount__c" => cell!(number, "{}.5", 100 + number % 90_000),
        "Discount__c" => cell!(number, "{}.25", number % 40),
        "Start__c" => cell!(number, "2026-{:02}-{:02}", 1 + number % 12, 1 + number % 28),
        "Renews_At__c" => {
            cell!(number, "2027-{:02}-{:02}T{:02}:30:00.000Z", 1 + number % 12, 1 + number % 28, number % 24)
        }
        "Seats__c" => cell!(number, "{}", 1 + number % 500),
        "Auto_Renew__c" => text(|out, number| out.push_str(if number % 2 == 0 { "true" } else { "false" })),
        "Channels__c" => text(|out, number| out.push_str(["Email;Web", "Phone", "", "Partner;Web;Email"][number % 4])),
        "Notes__c" => Box::new(|out, number, bytes| {
            let _ = write!(out, "Agreed with \"\"procurement\"\", see ticket {number}.");
            let to = out.len() + bytes;
            while out.len() < to {
                out.push_str("A line of a long text that somebody wrote down.\n");
            }
        }),
        "External_Code__c" => cell!(number, "X-{number:08}"),
        "Billing_Email__c" => cell!(number, "billing{number}@example.org"),
        "Street__c" => cell!(number, "{} High Street", number % 300),
        "City__c" => text(|out, number| out.push_str(["Leeds", "Köln", "Zürich", "Łódź"][number % 4])),
        "Country__c" => {
            text(|out, number| out.push_str(["United Kingdom", "Germany", "Switzerland", "Poland"][number % 4]))
        }
        "Account__c" => Box::new(move |out, number, _| {
            let _ = write!(out, "0015g{:010}AAA", number % accounts);
        }),
        "Phone__c" => cell!(number, "+49 30 {number:07}"),
        "IsDeleted" => text(|out, _| out.push_str("false")),
        "SystemModstamp" | "LastModifiedDate" | "CreatedDate" => {
            cell!(number, "2026-05-{:02}T08:{:02}:00.000Z", 1 + number % 28, number % 60)
        }
        _ => Box::new(|_, _, _| {}),
    }
}

/// The number of the record with this Salesforce id.
pub(crate) fn number(id: &str) -> usize {
    id.get(5..15).and_then(|digits| digits.parse().ok()).unwrap_or_default()
}

/// The number of the record with this HubSpot id.
pub(crate) fn number_of_record(id: &str) -> usize {
    id.parse::<usize>().ok().and_then(|id| id.checked_sub(FIRST_RECORD)).unwrap_or_default()
}

/// The HubSpot id of the record with the number 0.
const FIRST_RECORD: usize = 100_000_000;

/// The HubSpot record of a number.
pub(crate) fn record(number: usize) -> usize {
    FIRST_RECORD + number
}
