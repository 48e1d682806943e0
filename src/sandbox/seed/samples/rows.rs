//! Rows for the tables of the other samples: plausible values by the type of a field, parents among the rows that there are.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use jiff::civil::Date;
use serde_json::{Map, Value, json};

use crate::sandbox::seed::ids::id;
use crate::sandbox::seed::rows::{Chance, Rows, moment};
use crate::sandbox::seed::words;

/// One lookup in so many is blank.
const BLANK_LOOKUP_IN: usize = 10;

/// One record in so many of those that others lead to is not in HubSpot.
/// Associations then wait, which a pipeline has to bear.
const MISSING_EVERY: usize = 10;

/// Rows by object, parents first.
pub(super) fn make(seed: u64, records: usize, base: &Rows, counts: &[usize], objects: &[Value]) -> Value {
    // A stream of its own, so that the rest of the world is the same with and without these.
    let chance = Chance::new(seed ^ 0x5A_4D);
    let mut parents: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (object, rows) in [
        ("Account", &base.accounts),
        ("Contact", &base.contacts),
        ("WorkOrder", &base.work_orders),
        ("User", &base.users),
    ] {
        parents.insert(object, rows.iter().map(|row| row["Id"].clone()).collect());
    }
    let mut all = Map::new();
    for (object, count) in objects.iter().zip(counts) {
        let name = object["name"].as_str().unwrap_or_default();
        let rows: Vec<Value> =
            (0..(*count).min(records)).map(|number| row(&chance, object, number, &parents)).collect();
        parents.insert(name, rows.iter().map(|row| row["Id"].clone()).collect());
        all.insert(name.to_owned(), rows.into());
    }
    Value::Object(all)
}

fn row(chance: &Chance, object: &Value, number: usize, parents: &BTreeMap<&str, Vec<Value>>) -> Value {
    let mut row = json!({"Id": id(object["keyPrefix"].as_str().unwrap_or_default(), number)});
    for field in object["fields"].as_array().into_iter().flatten() {
        let name = field["name"].as_str().unwrap_or_default();
        row[name] = value(chance, field, number, parents);
    }
    if let (Some(first), Some(last)) = (row["FirstName"].as_str(), row["LastName"].as_str()) {
        row["Name"] = format!("{first} {last}").into();
    }
    chance.stamps(&mut row);
    row
}

fn value(chance: &Chance, field: &Value, number: usize, parents: &BTreeMap<&str, Vec<Value>>) -> Value {
    let name = field["name"].as_str().unwrap_or_default();
    let start = Date::constant(2024, 1, 1);
    match field["type"].as_str().unwrap_or_default() {
        "reference" => parent(chance, field, parents),
        "picklist" => {
            let values = field["picklistValues"].as_array().map_or(&[][..], Vec::as_slice);
            if values.is_empty() { Value::Null } else { values[chance.below(values.len())]["value"].clone() }
        }
        "boolean" => chance.one_in(3).into(),
        "date" => start.saturating_add(SignedDuration::from_hours(24 * chance.below(900) as i64)).to_string().into(),
        "datetime" => moment("2024-06-01T06:00:00Z", chance.below(700 * 86_400)).into(),
        "int" => (1 + chance.below(36)).into(),
        "percent" => chance.below(100).into(),
        "currency" | "double" => format!("{}.{:02}", chance.below(50_000), chance.below(100)).into(),
        "email" => format!("person{number}@customer-{number}.example").into(),
        "textarea" => chance.notes(),
        _ if field["autoNumber"] == true => format!("{:08}", number + 1).into(),
        _ => text(chance, name, number),
    }
}

/// Any row that the lookup may lead to; blank now and then, where it may be.
fn parent(chance: &Chance, field: &Value, parents: &BTreeMap<&str, Vec<Value>>) -> Value {
    if field["nillable"] != false && chance.one_in(BLANK_LOOKUP_IN) {
        return Value::Null;
    }
    let targets = field["referenceTo"].as_array().into_iter().flatten().filter_map(Value::as_str);
    // The first object that has rows is what the lookup is mostly used for.
    let known: Vec<&Vec<Value>> =
        targets.filter_map(|target| parents.get(target)).filter(|rows| !rows.is_empty()).collect();
    let rows = if chance.one_in(4) { known.last() } else { known.first() };
    rows.map_or(Value::Null, |rows| rows[chance.below(rows.len())].clone())
}

fn text(chance: &Chance, name: &str, number: usize) -> Value {
    match name {
        "FirstName" => chance.pick(&words::FIRST_NAMES).into(),
        "LastName" => chance.pick(&words::LAST_NAMES).into(),
        "Company" | "CompanyOrAccount" => chance.pick(&words::COMPANIES).into(),
        "Subject" | "Description" => chance.pick(&words::SUBJECTS).into(),
        "City" => chance.pick(&words::CITIES).0.into(),
        "PostalCode" => chance.pick(&words::CITIES).2.into(),
        "Name" => format!("{} #{}", chance.pick(&words::PRODUCTS), number + 1).into(),
        // Codes with zeros in front, which a number would lose.
        _ => format!("{:06}", chance.below(1_000_000)).into(),
    }
}

/// A contact of HubSpot for most contacts of the org.
pub(super) fn contacts(rows: &[Value]) -> Value {
    let contact = |row: &Value| {
        json!({"properties": {"email": row["Email"], "firstname": row["FirstName"], "lastname": row["LastName"],
            "salesforcecontactid": row["Id"]}})
    };
    known(rows, contact)
}

/// A deal for most opportunities.
pub(super) fn deals(rows: &Value) -> Value {
    let deal = |row: &Value| json!({"properties": {"dealname": row["Name"], "amount": row["Amount"], "hs_salesforceopportunityid": row["Id"]}});
    known(rows["Opportunity"].as_array().map_or(&[], Vec::as_slice), deal)
}

fn known(rows: &[Value], record: impl Fn(&Value) -> Value) -> Value {
    rows.iter().enumerate().filter(|(number, _)| number % MISSING_EVERY != 4).map(|(_, row)| record(row)).collect()
}
