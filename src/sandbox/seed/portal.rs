//! The sample portal: companies, and two custom objects for what the org has.

use serde_json::{Value, json};

use crate::sandbox::options::{HUBSPOT_TOKEN, PORTAL_ID};
use crate::sandbox::seed::rows::domain;
use crate::sys::rng::Rng;

/// Companies that no Salesforce account belongs to.
/// A pipeline that updates companies must leave them alone.
const OWN_COMPANIES: usize = 5;

/// One account in so many has no company.
/// Lookups of associations then find nothing, which a mapping has to bear.
const MISSING_EVERY: usize = 20;

/// The portal that fits these accounts.
pub(super) fn portal(seed: u64, accounts: &[Value]) -> Value {
    json!({
        "portal": {"portal_id": PORTAL_ID, "access_token": HUBSPOT_TOKEN, "time_zone": "Europe/Berlin",
            "account_type": "STANDARD", "company_currency": "EUR"},
        "owners": owners(),
        "properties": {"0-2": [{"name": "salesforceaccountid", "label": "Salesforce Account ID", "type": "string",
            "fieldType": "text", "groupName": "companyinformation", "hasUniqueValue": false}]},
        "schemas": [subscriptions(), work_orders()],
        // The API lists labels without their internal names, so one text for both serves whoever looks it up.
        "labels": [
            {"from": "subscriptions", "to": "0-2", "name": "billing_account", "label": "billing_account"}],
        "records": {"0-2": companies(seed, accounts)}
    })
}

/// Owners for the people who own something in the org, one of them in other letters; not for the integration user, who is no
/// user of the portal. Beside them somebody who left, and a queue.
fn owners() -> Value {
    json!([
        {"id": "71830001", "email": "zoe@sandbox.example", "firstName": "Zoë", "lastName": "Müller", "userId": 9_586_504},
        {"id": "71830008", "email": "Siobhan@Sandbox.example", "firstName": "Siobhán", "lastName": "O'Neill", "userId": 9_586_517},
        {"id": "71830015", "email": "left@sandbox.example", "firstName": "Lee", "lastName": "Left", "userId": 9_586_520, "archived": true},
        {"id": "71830022", "type": "QUEUE", "lastName": "First line"}
    ])
}

fn property(name: &str, label: &str, kind: &str, field_type: &str) -> Value {
    json!({"name": name, "label": label, "type": kind, "fieldType": field_type})
}

fn text(name: &str, label: &str) -> Value {
    property(name, label, "string", "text")
}

/// An enumeration with options given as (value, label).
fn choice(name: &str, label: &str, field_type: &str, options: &[(&str, &str)]) -> Value {
    let options = options
        .iter()
        .enumerate()
        .map(|(order, (value, label))| json!({"value": value, "label": label, "displayOrder": order, "hidden": false}));
    let mut property = property(name, label, "enumeration", field_type);
    property["options"] = options.collect();
    property
}

fn yes_no(name: &str, label: &str) -> Value {
    let mut property = choice(name, label, "booleancheckbox", &[("true", "Yes"), ("false", "No")]);
    property["type"] = "bool".into();
    property
}

/// The unique property that holds the Salesforce id.
fn salesforce_id() -> Value {
    let mut property = text("salesforce_id", "Salesforce ID");
    property["hasUniqueValue"] = true.into();
    property
}

fn subscriptions() -> Value {
    let statuses = [("draft", "Draft"), ("active", "Active"), ("on_hold", "On hold"), ("cancelled", "Cancelled")];
    // No `Fax`: rows that hold it cannot be written as they are.
    let channels = [("Email", "E-mail"), ("Phone", "Phone"), ("Partner", "Partner"), ("Web", "Web")];
    json!({
        "name": "subscriptions", "labels": {"singular": "Subscription", "plural": "Subscriptions"},
        "description": "Salesforce Subscription__c", "primaryDisplayProperty": "subscription_name",
        "secondaryDisplayProperties": ["status"], "requiredProperties": ["subscription_name"],
        "searchableProperties": ["subscription_name", "salesforce_id"],
        "properties": [
            text("subscription_name", "Subscription name"), salesforce_id(),
            choice("status", "Status", "select", &statuses), property("amount", "Amount", "number", "number"),
            text("currency", "Currency"), property("start_date", "Start", "date", "date"),
            property("renews_at", "Renews at", "datetime", "date"), property("seats", "Seats", "number", "number"),
            yes_no("auto_renew", "Renews by itself"), choice("channels", "Channels", "checkbox", &channels),
            property("notes", "Notes", "string", "textarea"), text("external_code", "External code"),
            text("billing_email", "Billing e-mail"), text("account_name", "Account name"), text("headline", "Headline"),
            text("source_system", "Source system")],
        "associatedObjects": ["0-2"]
    })
}

fn work_orders() -> Value {
    let same = |values: &[&'static str]| values.iter().map(|value| (*value, *value)).collect::<Vec<_>>();
    // No `Cannot Complete`: an option that nobody has added yet.
    let statuses = same(&["New", "In Progress", "On Hold", "Completed", "Closed", "Canceled"]);
    json!({
        "name": "work_orders", "labels": {"singular": "Work order", "plural": "Work orders"},
        "description": "Salesforce WorkOrder", "primaryDisplayProperty": "work_order_number",
        "secondaryDisplayProperties": ["subject"], "requiredProperties": ["work_order_number", "subject"],
        "searchableProperties": ["work_order_number", "subject", "salesforce_id"],
        "properties": [
            text("work_order_number", "Work order number"), text("subject", "Subject"), salesforce_id(),
            choice("status", "Status", "select", &statuses),
            choice("priority", "Priority", "radio", &same(&["Low", "Medium", "High", "Critical"])),
            property("start_at", "Start", "datetime", "date"), property("end_at", "End", "datetime", "date"),
            text("street", "Street"), text("city", "City"), text("postal_code", "Postal code"), text("country", "Country"),
            property("latitude", "Latitude", "number", "number"), property("longitude", "Longitude", "number", "number"),
            text("address", "Address"), property("description", "Description", "string", "textarea"),
            text("account_name", "Account name"), text("source_system", "Source system")],
        "associatedObjects": ["0-2", "subscriptions"]
    })
}

/// A company for most accounts, in another order than theirs, and some of the portal's own. Of one account in a large
/// world there are two, as the property is not unique.
fn companies(seed: u64, accounts: &[Value]) -> Value {
    let mut companies = Vec::new();
    for (number, account) in accounts.iter().enumerate().filter(|(number, _)| number % MISSING_EVERY != 3) {
        let id = account["Id"].as_str().unwrap_or_default();
        // Some integrations wrote the short form of the id.
        let id = if number % 10 == 7 { id.get(..15).unwrap_or(id) } else { id };
        let company =
            json!({"properties": {"name": account["Name"], "domain": domain(number), "salesforceaccountid": id}});
        if number == 25 {
            companies.push(company.clone());
        }
        companies.push(company);
    }
    companies.extend((0..OWN_COMPANIES).map(|number| {
        json!({"properties": {"name": format!("Prospect {}", number + 1), "domain": format!("prospect-{number}.example")}})
    }));
    // So that nothing which goes by the order passes by chance.
    Rng::seeded(seed).shuffle(&mut companies);
    companies.into()
}
