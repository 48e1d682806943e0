//! Describe: members of objects and fields, filled from what a seed gives.

use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use super::org::{Object, Org};

/// Fields of every object that are kept apart from its values.
pub fn system_fields() -> &'static [Value] {
    static FIELDS: OnceLock<Vec<Value>> = OnceLock::new();
    FIELDS.get_or_init(|| {
        let field = |name: &str, kind: &str| {
            complete(&json!({"name": name, "type": kind, "label": name, "nillable": false, "createable": false, "updateable": false,
                "custom": false, "defaultedOnCreate": true}))
        };
        vec![
            field("Id", "id"),
            field("IsDeleted", "boolean"),
            field("CreatedDate", "datetime"),
            field("CreatedById", "reference"),
            field("LastModifiedDate", "datetime"),
            field("LastModifiedById", "reference"),
            field("SystemModstamp", "datetime"),
            field("MasterRecordId", "reference"),
        ]
    })
}

/// A field with every member; those that are not given have the value that is usual for the type.
pub fn complete(given: &Value) -> Value {
    let name = given["name"].as_str().unwrap_or_default();
    let kind = given["type"].as_str().unwrap_or("string");
    let custom = name.ends_with("__c");
    let length = match kind {
        "id" | "reference" => 18,
        "string" if given["nameField"] == true => 80,
        "string" | "url" | "picklist" | "combobox" => 255,
        "email" => 80,
        "phone" => 40,
        "multipicklist" => 4_099,
        "textarea" => 255,
        _ => 0,
    };
    let length = given["length"].as_u64().unwrap_or(length);
    let long_text = kind == "textarea" && length > 255;
    let unfit = long_text || matches!(kind, "encryptedstring" | "base64" | "address" | "location" | "anyType");
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
        "aggregatable": !unfit, "aiPredictionField": false, "autoNumber": false, "byteLength": length * 3, "calculated": false,
        "calculatedFormula": null, "cascadeDelete": false, "caseSensitive": false, "compoundFieldName": null,
        "controllerName": null, "createable": !compound, "custom": custom, "defaultValue": null, "defaultValueFormula": null,
        "defaultedOnCreate": false, "dependentPicklist": false, "deprecatedAndHidden": false, "digits": 0,
        "displayLocationInDecimal": false, "encrypted": false, "externalId": false, "extraTypeInfo": null,
    });
    let rest = json!({
        "filterable": !unfit, "filteredLookupInfo": null, "formulaTreatNullNumberAsZero": false, "groupable": !unfit,
        "highScaleNumber": false, "htmlFormatted": false, "idLookup": kind == "id", "inlineHelpText": null, "label": name,
        "length": length, "mask": null, "maskType": null, "name": name, "nameField": false, "namePointing": false,
        "nillable": kind != "boolean" && kind != "id", "permissionable": true, "picklistValues": [],
        "polymorphicForeignKey": false, "precision": 0, "queryByDistance": false, "referenceTargetField": null,
        "referenceTo": [], "relationshipName": null, "relationshipOrder": null, "restrictedDelete": false,
        "restrictedPicklist": false, "scale": 0, "searchPrefilterable": false, "soapType": soap,
        "sortable": !unfit && kind != "multipicklist", "type": kind, "unique": false, "updateable": !compound,
        "writeRequiresMasterRead": false,
    });
    for (key, value) in rest.as_object().into_iter().flatten() {
        field[key.as_str()] = value.clone();
    }
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

/// An object's flags; those that are not given are true.
pub fn flags(given: &Value) -> Value {
    let name = given["name"].as_str().unwrap_or_default();
    let mut object = json!({
        "activateable": false, "createable": true, "custom": name.ends_with("__c"), "customSetting": false, "deletable": true,
        "deprecatedAndHidden": false, "feedEnabled": false, "keyPrefix": null, "label": name, "labelPlural": name,
        "layoutable": true, "mergeable": matches!(name, "Account" | "Contact" | "Lead"), "mruEnabled": true, "name": name,
        "queryable": true, "replicateable": true, "retrieveable": true, "searchable": true, "triggerable": true,
        "undeletable": true, "updateable": true,
    });
    for (key, value) in given.as_object().into_iter().flatten().filter(|(key, _)| *key != "fields") {
        object[key.as_str()] = value.clone();
    }
    object
}

/// The describe answer of an object, as the integration user sees it.
pub fn describe(object: &Object, version: &str) -> Value {
    let mut answer = object.definition.clone();
    let own = object
        .fields
        .iter()
        .filter(|field| field["name"].as_str().is_some_and(|name| !object.hidden_fields.contains(name)));
    let has_bin = object.definition["undeletable"] != false;
    let merges = object.definition["mergeable"] == true;
    let system = system_fields().iter().filter(|field| match field["name"].as_str() {
        Some("IsDeleted") => has_bin,
        Some("MasterRecordId") => merges,
        _ => true,
    });
    answer["fields"] = system.chain(own).cloned().collect();
    answer["childRelationships"] = json!([]);
    answer["recordTypeInfos"] = json!([]);
    answer["supportedScopes"] = json!([{"label": "All", "name": "everything"}]);
    answer["namedLayoutInfos"] = json!([]);
    answer["urls"] = urls(object.name(), version);
    answer
}

/// The list of all objects.
pub fn global(org: &Org, version: &str) -> Value {
    let objects: Vec<Value> = org
        .objects
        .values()
        .map(|object| {
            let mut shown: Map<String, Value> = object.definition.as_object().cloned().unwrap_or_default();
            shown.insert("urls".to_owned(), urls(object.name(), version));
            Value::Object(shown)
        })
        .collect();
    json!({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": objects})
}

fn urls(name: &str, version: &str) -> Value {
    let base = format!("/services/data/{version}/sobjects/{name}");
    json!({"sobject": base, "describe": format!("{base}/describe"), "rowTemplate": format!("{base}/{{ID}}")})
}
