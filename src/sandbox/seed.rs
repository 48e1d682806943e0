//! The sample world that a fresh sandbox holds, made from a seed and a number of records.
//!
//! Each service gets its half as plain JSON through `Service::control("seed", …)`, on an empty state; the answer is ignored,
//! an `Err` stops the start. Order of work inside a service: definitions first, then records, in the order given.
//!
//! # Salesforce
//!
//! ```json
//! {
//!   "org": {"id": "00D5g000004XYZkEAO", "user_id": "0055g00000AbCdEAAV", "username": "syncline@sandbox.example",
//!           "client_id": "syncline-sandbox", "client_secret": "sandbox-secret"},
//!   "objects": [
//!     {"name": "Subscription__c", "label": "Subscription", "labelPlural": "Subscriptions", "keyPrefix": "a01", "custom": true,
//!      "fields": [
//!        {"name": "Name", "type": "string", "label": "Subscription name", "length": 80, "nameField": true, "nillable": false},
//!        {"name": "Status__c", "type": "picklist", "label": "Status", "restrictedPicklist": true,
//!         "picklistValues": [{"value": "Draft", "label": "Draft", "active": true, "defaultValue": true}]},
//!        {"name": "Amount__c", "type": "currency", "label": "Amount", "precision": 18, "scale": 2},
//!        {"name": "Account__c", "type": "reference", "label": "Account", "referenceTo": ["Account"], "relationshipName": "Account__r"}]}],
//!   "records": {
//!     "Account": [{"Id": "0015g00000AAAAAAA4", "Name": "Müller & Söhne", "CreatedDate": "2026-03-01T10:00:00Z",
//!                  "SystemModstamp": "2026-04-01T10:00:00Z"}]}
//! }
//! ```
//!
//! - Members of an object and of a field are those of the describe answer; a member that is not given has the value that is
//!   usual for the type (`length`, `soapType`, `filterable`, `nillable: true`, `createable: true`, …), flags of an object are true.
//! - System fields (`Id`, `IsDeleted`, `CreatedDate`, `CreatedById`, `LastModifiedDate`, `LastModifiedById`, `SystemModstamp`) are
//!   never listed: every object has them. `OwnerId` is listed where the object has it.
//! - The compound `Address` is listed with type `address`, its parts with `compoundFieldName: "Address"`; rows hold the parts only.
//! - Values of rows: text, booleans, numbers or (for exact digits) decimal text for numbers, `YYYY-MM-DD`, `YYYY-MM-DDTHH:MM:SSZ`,
//!   multi-select picklists as `A;B`, `null` or absent for blank. Rows may carry `Id` (18 characters), `CreatedDate`,
//!   `SystemModstamp`; what is absent is made up by the service, ids in ascending order.
//! - Rows are taken as they are: no validation, so that old rows may break today's rules. They are visible at once.
//!
//! # HubSpot
//!
//! ```json
//! {
//!   "portal": {"portal_id": 51234567, "access_token": "sandbox-hubspot-token", "time_zone": "Europe/Berlin",
//!              "account_type": "STANDARD", "company_currency": "EUR"},
//!   "owners": [{"email": "zoe@sandbox.example", "firstName": "Zoë", "lastName": "Müller", "userId": 9586504}],
//!   "properties": {"0-2": [{"name": "salesforceaccountid", "label": "Salesforce Account ID", "type": "string",
//!                           "fieldType": "text", "groupName": "companyinformation"}]},
//!   "schemas": [{"name": "subscriptions", "labels": {"singular": "Subscription", "plural": "Subscriptions"},
//!                "primaryDisplayProperty": "subscription_name", "requiredProperties": ["subscription_name"],
//!                "properties": [{"name": "salesforce_id", "label": "Salesforce ID", "type": "string", "fieldType": "text",
//!                                "hasUniqueValue": true}],
//!                "associatedObjects": ["0-2"]}],
//!   "labels": [{"from": "subscriptions", "to": "0-2", "name": "billing_account", "label": "billing_account"}],
//!   "records": {"0-2": [{"properties": {"name": "Müller & Söhne", "salesforceaccountid": "0015g00000AAAAAAA4"}}]}
//! }
//! ```
//!
//! - Bodies under `properties`, `schemas` and `labels` are those of `POST /properties/{type}`, `POST /schemas` and
//!   `POST /associations/{from}/{to}/labels` (which adds `from`, `to`, and may carry `inverseLabel`), applied in the order
//!   properties of standard objects, schemas, labels, records.
//! - `associatedObjects` may name custom objects that come earlier in the list.
//! - Standard objects (`0-1`, `0-2`, `0-3`, `0-5`) with their usual properties (`name`, `domain`, …) are there without being listed.
//! - Records may carry `id` and `createdAt`; what is absent is made up by the service.

use serde_json::Value;

use crate::sandbox::options::{CLIENT_ID, CLIENT_SECRET, USERNAME};

pub mod ids;
mod org;
mod portal;
mod rows;
mod samples;
mod words;

/// Both halves of a sample world.
#[derive(Debug, Clone, PartialEq)]
pub struct Seed {
    /// For the Salesforce service.
    pub salesforce: Value,
    /// For the HubSpot service.
    pub hubspot: Value,
}

/// Objects of the sample org, in the form of a seed.
pub fn objects() -> Value {
    org::objects()
}

/// The world that belongs to a seed and to so many subscriptions: equal arguments, equal world.
pub fn world(seed: u64, records: usize) -> Seed {
    let rows = rows::Rows::make(seed, records);
    let portal = portal::portal(seed, &rows.accounts);
    let org = serde_json::json!({
        "org": {"id": org::ORG_ID, "user_id": org::USER_ID, "username": USERNAME,
            "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET},
        "objects": org::objects(),
        "records": {"User": rows.users, "Account": rows.accounts, "Contact": rows.contacts,
            "WorkOrder": rows.work_orders, "Subscription__c": rows.subscriptions}
    });
    Seed { salesforce: org, hubspot: portal }
}

/// What all sample pipelines need beside [`world`], in the form of a second seed for each service.
pub fn samples(seed: u64, records: usize) -> Seed {
    let (salesforce, hubspot) = samples::world(seed, records, &rows::Rows::make(seed, records));
    Seed { salesforce, hubspot }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn rows<'a>(world: &'a Seed, object: &str) -> &'a Vec<Value> {
        world.salesforce["records"][object].as_array().unwrap()
    }

    #[test]
    fn equal_seeds_give_equal_worlds() {
        assert_eq!(world(7, 50), world(7, 50));
        assert_ne!(world(7, 50), world(8, 50));
        assert_eq!(rows(&world(7, 0), "Subscription__c").len(), 0);
    }

    #[test]
    fn rows_name_only_fields_and_parents_that_exist() {
        let world = world(1, 400);
        let objects = world.salesforce["objects"].as_array().unwrap();
        let system = ["Id", "CreatedDate", "SystemModstamp"];
        let mut ids = HashSet::new();
        for (_, records) in world.salesforce["records"].as_object().unwrap() {
            ids.extend(records.as_array().unwrap().iter().map(|row| row["Id"].as_str().unwrap().to_owned()));
        }
        for object in objects {
            let fields = object["fields"].as_array().unwrap();
            for row in rows(&world, object["name"].as_str().unwrap()) {
                for (name, value) in row.as_object().unwrap() {
                    let field = fields.iter().find(|field| field["name"] == *name);
                    assert!(field.is_some() || system.contains(&name.as_str()), "{name} of {}", object["name"]);
                    if let (Some("reference"), Some(id)) =
                        (field.and_then(|field| field["type"].as_str()), value.as_str())
                    {
                        assert!(ids.contains(id), "{name} of {row}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_world_is_as_large_and_as_flawed_as_promised() {
        let world = world(1, 4000);
        let subscriptions = rows(&world, "Subscription__c");
        assert_eq!((subscriptions.len(), rows(&world, "Account").len()), (4000, 500));
        let known: HashSet<&str> = world.hubspot["records"]["0-2"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|company| company["properties"]["salesforceaccountid"].as_str())
            .map(|id| &id[..15])
            .collect();
        let (mut flawed, mut blank, mut stray) = (0, 0, 0);
        for row in subscriptions {
            let long = row["Notes__c"].as_str().is_some_and(|notes| notes.chars().count() > 65_536);
            let fax = row["Channels__c"].as_str().is_some_and(|channels| channels.contains("Fax"));
            flawed += i32::from(long || fax || row["Status__c"] == "Legacy");
            match row["Account__c"].as_str() {
                None => blank += 1,
                Some(id) => stray += i32::from(!known.contains(&id[..15])),
            }
        }
        assert!((60..=100).contains(&flawed), "{flawed} flawed");
        assert!((100..=400).contains(&blank), "{blank} without account");
        assert!((40..=400).contains(&stray), "{stray} with an account that HubSpot lacks");
    }

    #[test]
    fn properties_take_the_picklists_but_for_the_flaws() {
        let world = world(1, 1);
        let schema = &world.hubspot["schemas"][0];
        let options: Vec<&str> = schema["properties"]
            .as_array()
            .unwrap()
            .iter()
            .find(|property| property["name"] == "channels")
            .unwrap()["options"]
            .as_array()
            .unwrap()
            .iter()
            .map(|option| option["value"].as_str().unwrap())
            .collect();
        assert!(options.contains(&"Email") && !options.contains(&"Fax"), "{options:?}");
    }
}
