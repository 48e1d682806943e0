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
