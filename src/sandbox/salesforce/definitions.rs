//! Definitions of fields, with every member that a describe has.

use std::sync::OnceLock;

use serde_json::{Value, json};

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
