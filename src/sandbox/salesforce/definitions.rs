//! Definitions of fields, with every member that a describe has.

use std::sync::OnceLock;

use serde_json::{Value, json};

/// Fields of every object that are kept apart from its values.
pub fn system_fields() -> &'static [Value] {
    static FIELDS: OnceLock<Vec<Value>> = OnceLock::new();
    FIELDS.get_or_init(|| {
        let field = |name: &str, kind: &str, label: &str| {
            complete(&json!({"name": name, "type": kind, "label": label, "nillable": false, "createable": false,
                "updateable": false, "custom": false, "defaultedOnCreate": true}))
        };
        let lookup = |name: &str, label: &str, to: &str, relationship: &str| {
            let mut lookup = field(name, "reference", label);
            lookup["referenceTo"] = json!([to]);
            lookup["relationshipName"] = relationship.into();
            lookup
        };
        // A describe puts its own object in the place of the one that a merged row leads to.
        let mut master = lookup("MasterRecordId", "Master Record ID", "Account", "MasterRecord");
        (master["nillable"], master["defaultedOnCreate"]) = (true.into(), false.into());
        vec![
            field("Id", "id", "Record ID"),
            field("IsDeleted", "boolean", "Deleted"),
            field("CreatedDate", "datetime", "Created Date"),
            lookup("CreatedById", "Created By ID", "User", "CreatedBy"),
            field("LastModifiedDate", "datetime", "Last Modified Date"),
            lookup("LastModifiedById", "Last Modified By ID", "User", "LastModifiedBy"),
            field("SystemModstamp", "datetime", "System Modstamp"),
            master,
        ]
    })
}

/// Fields that a path over a lookup to several objects may name: those of Salesforce's object `Name`.
pub fn common_fields() -> &'static [Value] {
    static FIELDS: OnceLock<Vec<Value>> = OnceLock::new();
    FIELDS.get_or_init(|| {
        let fields = [
            ("Id", "id"),
            ("Name", "string"),
            ("Type", "picklist"),
            ("FirstName", "string"),
            ("LastName", "string"),
            ("Title", "string"),
            ("Email", "email"),
            ("Phone", "phone"),
            ("Username", "string"),
            ("Alias", "string"),
            ("IsActive", "boolean"),
            ("ProfileId", "reference"),
            ("UserRoleId", "reference"),
            ("RecordTypeId", "reference"),
        ];
        fields.iter().map(|(name, kind)| complete(&json!({"name": name, "type": kind, "label": name}))).collect()
    })
}

/// A field with every member; those that are not given have the value that is usual for the type.
pub fn complete(given: &Value) -> Value {
    let name = given["name"].as_str().unwrap_or_default();
    let kind = given["type"].as_str().unwrap_or("string");
    let is = |member: &str| given[member] == true;
    let custom = name.ends_with("__c");
    let length = match kind {
        "id" | "reference" => 18,
        "string" if is("autoNumber") => 30,
        "string" if is("nameField") => 80,
        "string" | "url" | "picklist" | "combobox" => 255,
        "email" => 80,
        "phone" => 40,
        "multipicklist" => 4_099,
        "textarea" => 255,
        _ => 0,
    };
    let length = given["length"].as_u64().unwrap_or(length);
    // Three bytes for a character, but for what holds plain letters only.
    let bytes = if matches!(kind, "id" | "reference" | "multipicklist") { length } else { length * 3 };
    // Beyond 255 characters a text area can neither be filtered nor sorted by.
    let long_text = kind == "textarea" && length > 255;
    let unfit = long_text || matches!(kind, "encryptedstring" | "base64" | "address" | "location" | "anyType");
    let number = matches!(kind, "double" | "currency" | "percent");
    let grouped = !unfit && !number && !is("autoNumber") && !matches!(kind, "datetime" | "multipicklist" | "textarea");
    let worked_out = is("calculated") || is("autoNumber");
    let several = given["referenceTo"].as_array().is_some_and(|targets| targets.len() > 1);
    let nillable = !matches!(kind, "boolean" | "id") && !is("autoNumber");
    let extra = match kind {
        "textarea" if is("htmlFormatted") => json!("richtextarea"),
        "textarea" => json!("plaintextarea"),
        _ => Value::Null,
    };
    let soap = match kind {
        "id" | "reference" => "tns:ID",
        "boolean" => "xsd:boolean",
        "int" => "xsd:int",
        "long" => "xsd:long",
        "double" | "currency" | "percent" => "xsd:double",
        "date" => "xsd:date",
        "datetime" => "xsd:dateTime",
        "time" => "xsd:time",
        "base64" => "xsd:base64Binary",
        "address" => "urn:address",
        "location" => "urn:location",
        _ => "xsd:string",
    };
    let compound = matches!(kind, "address" | "location");
    let mut field = json!({
        "aggregatable": !unfit && !matches!(kind, "boolean" | "multipicklist"), "aiPredictionField": false, "autoNumber": false, "byteLength": bytes, "calculated": false,
        "calculatedFormula": null, "cascadeDelete": false, "caseSensitive": false, "compoundFieldName": null,
        "controllerName": null, "createable": !compound && !worked_out && kind != "id", "custom": custom, "defaultValue": null, "defaultValueFormula": null,
        "defaultedOnCreate": is("autoNumber") || kind == "boolean", "dependentPicklist": false, "deprecatedAndHidden": false, "digits": if kind == "int" { 8 } else { 0 },
        "displayLocationInDecimal": false, "encrypted": false, "externalId": false, "extraTypeInfo": extra,
    });
    let rest = json!({
        "filterable": !unfit, "filteredLookupInfo": null, "formulaTreatNullNumberAsZero": false, "groupable": grouped,
        "highScaleNumber": false, "htmlFormatted": false, "idLookup": kind == "id", "inlineHelpText": null, "label": name,
        "length": length, "mask": null, "maskType": null, "name": name, "nameField": false, "namePointing": several,
        "nillable": nillable, "permissionable": nillable && !compound, "picklistValues": [],
        "polymorphicForeignKey": several, "precision": if number { 18 } else { 0 }, "queryByDistance": false, "referenceTargetField": null,
        "referenceTo": [], "relationshipName": null, "relationshipOrder": null, "restrictedDelete": false,
        "restrictedPicklist": false, "scale": 0, "searchPrefilterable": false, "soapType": soap,
        "sortable": !unfit && kind != "multipicklist", "type": kind, "unique": false, "updateable": !compound && !worked_out && kind != "id",
        "writeRequiresMasterRead": false,
    });
    for (key, value) in rest.as_object().into_iter().flatten() {
        field[key.as_str()] = value.clone();
    }
    // Last: what a seed says goes before what is usual.
    for (key, value) in given.as_object().into_iter().flatten() {
        field[key.as_str()] = value.clone();
    }
    for value in field["picklistValues"].as_array_mut().into_iter().flatten() {
        for (key, usual) in [("active", json!(true)), ("defaultValue", json!(false)), ("validFor", Value::Null)] {
            if value.get(key).is_none() {
                value[key] = usual;
            }
        }
        if value.get("label").is_none() {
            value["label"] = value["value"].clone();
        }
    }
    field
}
