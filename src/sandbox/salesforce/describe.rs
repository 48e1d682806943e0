//! Describe: members of objects and fields, filled from what a seed gives.

use serde_json::{Map, Value, json};

use super::definitions::system_fields;
use super::org::{Object, Org};

/// Members that files of metadata add to a field, and that no describe shows.
const LOADED: [&str; 2] = ["displayFormat", "childRelationshipName"];

/// An object's flags; those that are not given are true.
pub fn flags(given: &Value) -> Value {
    let name = given["name"].as_str().unwrap_or_default();
    let mut object = json!({
        "activateable": false, "createable": true, "custom": name.ends_with("__c"), "customSetting": false, "deletable": true,
        "deprecatedAndHidden": false, "feedEnabled": false, "keyPrefix": null, "label": name, "labelPlural": name,
        "layoutable": true, "mergeable": matches!(name, "Account" | "Contact" | "Lead"), "mruEnabled": true, "name": name,
        "queryable": true, "replicateable": true, "retrieveable": true, "searchable": true, "triggerable": true,
        "undeletable": true, "updateable": true, "isSubtype": false, "isInterface": false, "hasSubtypes": false,
        "deepCloneable": false, "associateEntityType": null, "associateParentEntity": null,
    });
    for (key, value) in given.as_object().into_iter().flatten().filter(|(key, _)| *key != "fields") {
        object[key.as_str()] = value.clone();
    }
    object
}

/// The describe answer of an object, as the integration user sees it.
pub fn describe(org: &Org, object: &Object, version: &str) -> Value {
    let mut answer = object.definition.clone();
    let source_field = object
        .fields
        .iter()
        // A field that the user may not read is missing, without a hint.
        .filter(|field| field["name"].as_str().is_some_and(|name| !object.hidden_fields.contains(name)));
    let has_bin = object.definition["undeletable"] != false;
    let merges = object.definition["mergeable"] == true;
    let system = system_fields().iter().filter(|field| match field["name"].as_str() {
        Some("IsDeleted") => has_bin,
        Some("MasterRecordId") => merges,
        _ => true,
    });
    let system = system.cloned().map(|mut field| {
        if field["name"] == "MasterRecordId" {
            field["referenceTo"] = json!([object.name()]);
        }
        if field["name"] == "Id" && object.definition["custom"] != true {
            field["label"] = format!("{} ID", object.definition["label"].as_str().unwrap_or_default()).into();
        }
        field
    });
    let source_field = source_field.cloned().map(|mut field| {
        if let Some(members) = field.as_object_mut() {
            LOADED.iter().for_each(|member| drop(members.remove(*member)));
        }
        field
    });
    answer["fields"] = system.chain(source_field).collect();
    answer["childRelationships"] = children(org, object.name());
    answer["recordTypeInfos"] = json!([{"active": true, "available": true, "defaultRecordTypeMapping": true,
        "developerName": "Master", "master": true, "name": "Master", "recordTypeId": "012000000000000AAA",
        "urls": {"layout": format!("/services/data/{version}/sobjects/{}/describe/layouts/012000000000000AAA", object.name())}}]);
    answer["supportedScopes"] = json!([{"label": "All", "name": "everything"}]);
    answer["namedLayoutInfos"] = json!([]);
    answer["urls"] = urls(object.name(), version);
    answer
}

/// Lookups of other objects that lead to this one.
fn children(org: &Org, name: &str) -> Value {
    let fields = org.objects.values().flat_map(|value| value.fields.iter().map(move |field| (value, field)));
    let leading = fields.filter(|(_, field)| {
        field["referenceTo"].as_array().is_some_and(|targets| targets.iter().any(|target| target == name))
    });
    let shown = leading.map(|(lead, field)| {
        let relationship = &field["childRelationshipName"];
        json!({"cascadeDelete": field["cascadeDelete"], "childSObject": lead.name(), "deprecatedAndHidden": false,
            "field": field["name"], "junctionIdListNames": [], "junctionReferenceTo": [], "relationshipName": relationship,
            "restrictedDelete": field["restrictedDelete"]})
    });
    shown.collect()
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
