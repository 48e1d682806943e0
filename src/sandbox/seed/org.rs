//! Object definitions of the sample org.

use serde_json::{Value, json};

/// Id of the sample org.
pub(super) const ORG_ID: &str = "00D5g000004XYZkEAO";

/// Id of its integration user.
pub(super) const USER_ID: &str = "0055g00000AbCdEAAV";

/// All objects of the org.
pub(super) fn objects() -> Value {
    json!([user(), account(), contact(), work_order(), subscription()])
}

fn object(name: &str, labels: (&str, &str), prefix: &str, fields: Vec<Value>) -> Value {
    let mergeable = ["Account", "Contact"].contains(&name);
    json!({"name": name, "label": labels.0, "labelPlural": labels.1, "keyPrefix": prefix,
        "custom": name.ends_with("__c"), "mergeable": mergeable, "fields": fields})
}

/// A field with the usual members of its type and those in `more`.
fn field(name: &str, kind: &str, label: &str, more: Value) -> Value {
    let mut field = json!({"name": name, "type": kind, "label": label, "custom": name.ends_with("__c")});
    if let (Value::Object(members), Value::Object(more)) = (&mut field, more) {
        members.extend(more);
    }
    field
}

fn plain(name: &str, kind: &str, label: &str) -> Value {
    field(name, kind, label, json!({}))
}

fn text(name: &str, label: &str, length: u32) -> Value {
    field(name, "string", label, json!({"length": length}))
}

fn lookup(name: &str, label: &str, to: &str, relationship: &str) -> Value {
    field(name, "reference", label, json!({"referenceTo": [to], "relationshipName": relationship}))
}

/// The owner of a record that may belong to a queue as well.
fn owner_or_queue() -> Value {
    let mut owner = owner();
    owner["referenceTo"] = json!(["Group", "User"]);
    owner
}

fn owner() -> Value {
    let more =
        json!({"referenceTo": ["User"], "relationshipName": "Owner", "nillable": false, "defaultedOnCreate": true});
    field("OwnerId", "reference", "Owner ID", more)
}

/// A picklist with its active values; the first one is the default where `default` says so.
fn picklist(name: &str, label: &str, values: &[&str], default: bool, more: Value) -> Value {
    let values = values.iter().enumerate().map(|(at, value)| {
        json!({"value": value, "label": value, "active": true, "defaultValue": default && at == 0, "validFor": null})
    });
    let mut field = field(name, "picklist", label, more);
    field["picklistValues"] = values.collect();
    field
}

fn user() -> Value {
    let fields = vec![
        field(
            "Name",
            "string",
            "Full Name",
            // Worked out from the first and the last name, so that nobody writes it.
            json!({"length": 121, "nameField": true, "nillable": false, "createable": false, "updateable": false}),
        ),
        field("Username", "string", "Username", json!({"length": 80, "nillable": false})),
        field("Email", "email", "Email", json!({"nillable": false})),
        field("IsActive", "boolean", "Active", json!({"nillable": false, "defaultedOnCreate": true})),
    ];
    let mut user = object("User", ("User", "People"), "005", fields);
    // Users are switched off, never deleted.
    user["deletable"] = false.into();
    user["undeletable"] = false.into();
    user
}

fn account() -> Value {
    let industries = ["Agriculture", "Banking", "Energy", "Healthcare", "Manufacturing", "Retail", "Technology"];
    let fields = vec![
        field("Name", "string", "Account Name", json!({"length": 255, "nameField": true, "nillable": false})),
        field("AccountNumber", "string", "Account Number", json!({"length": 40})),
        plain("Website", "url", "Website"),
        plain("Phone", "phone", "Account Phone"),
        picklist("Industry", "Industry", &industries, false, json!({"restrictedPicklist": false})),
        field("AnnualRevenue", "currency", "Annual Revenue", json!({"precision": 18, "scale": 0})),
        field("NumberOfEmployees", "int", "Employees", json!({"digits": 8})),
        field("BillingCity", "string", "Billing City", json!({"length": 40})),
        field("BillingCountry", "string", "Billing Country", json!({"length": 80})),
        lookup("ParentId", "Parent Account ID", "Account", "Parent"),
        owner(),
    ];
    object("Account", ("Account", "Accounts"), "001", fields)
}

fn contact() -> Value {
    let fields = vec![
        field(
            "Name",
            "string",
            "Full Name",
            json!({"length": 121, "nameField": true, "nillable": false, "createable": false, "updateable": false}),
        ),
        field("LastName", "string", "Last Name", json!({"length": 80, "nillable": false})),
        text("FirstName", "First Name", 40),
        plain("Email", "email", "Email"),
        lookup("AccountId", "Account ID", "Account", "Account"),
        owner(),
    ];
    object("Contact", ("Contact", "Contacts"), "003", fields)
}

fn work_order() -> Value {
    let statuses = ["New", "In Progress", "On Hold", "Completed", "Closed", "Cannot Complete", "Canceled"];
    let part = |name: &str, kind: &str, mut more: Value| {
        more["compoundFieldName"] = "Address".into();
        field(name, kind, name, more)
    };
    let number = json!({"length": 30, "nameField": true, "autoNumber": true, "nillable": false, "createable": false,
        "updateable": false, "idLookup": true});
    let fields = vec![
        field("WorkOrderNumber", "string", "Work Order Number", number),
        text("Subject", "Subject", 255),
        picklist("Status", "Status", &statuses, true, json!({"restrictedPicklist": false})),
        picklist(
            "Priority",
            "Priority",
            &["Low", "Medium", "High", "Critical"],
            false,
            json!({"restrictedPicklist": false}),
        ),
        plain("StartDate", "datetime", "Start Date"),
        plain("EndDate", "datetime", "End Date"),
        lookup("AccountId", "Account ID", "Account", "Account"),
        lookup("ContactId", "Contact ID", "Contact", "Contact"),
        field("Address", "address", "Address", json!({"createable": false, "updateable": false})),
        part("Street", "textarea", json!({"length": 255})),
        part("City", "string", json!({"length": 40})),
        part("State", "string", json!({"length": 80})),
        part("PostalCode", "string", json!({"length": 20})),
        part("Country", "string", json!({"length": 80})),
        part("Latitude", "double", json!({"precision": 18, "scale": 15})),
        part("Longitude", "double", json!({"precision": 18, "scale": 15})),
        part(
            "GeocodeAccuracy",
            "picklist",
            json!({"picklistValues": [
            {"value": "Address", "label": "Address", "active": true, "defaultValue": false, "validFor": null},
            {"value": "City", "label": "City", "active": true, "defaultValue": false, "validFor": null}]}),
        ),
        field(
            "Description",
            "textarea",
            "Description",
            json!({"length": 32_000, "filterable": false, "sortable": false}),
        ),
        owner_or_queue(),
    ];
    object("WorkOrder", ("Work Order", "Work Orders"), "0WO", fields)
}

fn subscription() -> Value {
    let mut status = picklist(
        "Status__c",
        "Status",
        &["Draft", "Active", "On Hold", "Cancelled"],
        true,
        json!({"restrictedPicklist": true}),
    );
    // An inactive value: new rows cannot take it, old ones still hold it.
    let legacy =
        json!({"value": "Legacy", "label": "Legacy", "active": false, "defaultValue": false, "validFor": null});
    if let Some(values) = status["picklistValues"].as_array_mut() {
        values.push(legacy);
    }
    let mut channels = picklist(
        "Channels__c",
        "Channels",
        &["Email", "Phone", "Partner", "Web", "Fax"],
        false,
        json!({"restrictedPicklist": true}),
    );
    channels["type"] = "multipicklist".into();
    let long_text = json!({"length": 131_072, "filterable": false, "sortable": false, "groupable": false});
    let fields = vec![
        field("Name", "string", "Subscription Name", json!({"length": 80, "nameField": true, "idLookup": true})),
        status,
        field("Amount__c", "currency", "Amount", json!({"precision": 18, "scale": 2})),
        text("Currency__c", "Currency", 3),
        plain("Start__c", "date", "Start"),
        plain("Renews_At__c", "datetime", "Renews at"),
        field("Seats__c", "int", "Seats", json!({"digits": 8})),
        field("Auto_Renew__c", "boolean", "Renews by itself", json!({"nillable": false, "defaultedOnCreate": true})),
        channels,
        field("Notes__c", "textarea", "Notes", long_text),
        field("External_Code__c", "string", "External code", json!({"length": 20})),
        plain("Billing_Email__c", "email", "Billing e-mail"),
        lookup("Account__c", "Account", "Account", "Account__r"),
        lookup("Work_Order__c", "Work order", "WorkOrder", "Work_Order__r"),
        owner(),
    ];
    object("Subscription__c", ("Subscription", "Subscriptions"), "a01", fields)
}
