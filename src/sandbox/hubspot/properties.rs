//! Properties of objects: made, changed, archived, brought back.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::answers::{self, Answer, Refusal, time};
use super::body::decode;
use super::groups;
use super::portal::{ObjectType, Portal};
use super::store::KeyRules;
use crate::sandbox::http::{Reply, Request};

/// Most unique properties of an object.
/// HubSpot's own limit.
const UNIQUE_MAX: usize = 10;

/// Types that can be made, with the field types that each allows.
const TYPES: [(&str, &[&str]); 7] = [
    ("string", &["text", "textarea", "html", "phonenumber", "file", "calculation_equation"]),
    ("number", &["number", "calculation_equation"]),
    ("bool", &["booleancheckbox", "calculation_equation"]),
    ("enumeration", &["select", "radio", "checkbox", "booleancheckbox", "calculation_equation"]),
    ("date", &["date"]),
    ("datetime", &["date"]),
    ("phone_number", &["phonenumber", "text"]),
];

/// Members that a caller may set when it makes a property; others are passed over.
const GIVEN: [&str; 19] = [
    "calculationFormula",
    "currencyPropertyName",
    "dataSensitivity",
    "description",
    "displayOrder",
    "externalOptions",
    "fieldType",
    "formField",
    "groupName",
    "hasUniqueValue",
    "hidden",
    "label",
    "name",
    "numberDisplayHint",
    "options",
    "referencedObjectType",
    "showCurrencySymbol",
    "textDisplayHint",
    "type",
];

/// Members that a caller may change later.
const CHANGEABLE: [&str; 13] = [
    "calculationFormula",
    "currencyPropertyName",
    "description",
    "displayOrder",
    "fieldType",
    "formField",
    "groupName",
    "hidden",
    "label",
    "numberDisplayHint",
    "options",
    "textDisplayHint",
    "type",
];

/// A property with the members that reading shows.
pub fn made(name: &str, label: &str, kind: &str, field: &str) -> Value {
    json!({"name": name, "label": label, "type": kind, "fieldType": field, "groupName": "", "description": "",
        "options": [], "displayOrder": -1, "hasUniqueValue": false, "hidden": false, "calculated": false,
        "externalOptions": false, "hubspotDefined": true, "formField": false, "archived": false,
        "dataSensitivity": "non_sensitive", "createdAt": "2019-08-06T02:41:08.009Z", "updatedAt": "2019-08-06T02:41:08.009Z",
        "modificationMetadata": {"archivable": false, "readOnlyDefinition": true, "readOnlyOptions": true, "readOnlyValue": false}})
}

/// Adds the properties that every object has.
pub fn system(object: &mut ObjectType) {
    let group = object.default_group();
    for (name, label, kind, field) in [
        ("hs_object_id", "Record ID", "number", "number"),
        ("hs_createdate", "Object create date/time", "datetime", "date"),
        ("hs_lastmodifieddate", "Object last modified date/time", "datetime", "date"),
    ] {
        let mut property = made(name, label, kind, field);
        property["modificationMetadata"]["readOnlyValue"] = true.into();
        property["groupName"] = group.as_str().into();
        object.properties.change().insert(name.to_owned(), property);
    }
}

/// Adds a property as a client asks for it, or brings an archived one of that name back with the posted definition.
pub fn post(object: &mut ObjectType, body: &Value, rules: KeyRules, now: i64) -> Result<Value, Refusal> {
    let missing: Vec<&str> = ["name", "label", "type", "fieldType", "groupName"]
        .into_iter()
        .filter(|key| body[*key].as_str().is_none_or(str::is_empty))
        .collect();
    if !missing.is_empty() {
        let names = missing.join(", ");
        return Err(Refusal::plain(
            400,
            format!("Invalid input JSON on line 1, column 2. Some required fields were not set: [{names}]"),
        ));
    }
    let name = body["name"].as_str().unwrap_or_default();
    check_name(name)?;
    // Active ones only: a name that was archived is free, and posting it brings the property back.
    if object.properties.get(name).is_some() {
        return Err(taken(name));
    }
    groups::demand(object, body["groupName"].as_str().unwrap_or_default())?;
    let given = body.as_object().into_iter().flatten().filter(|(key, _)| GIVEN.contains(&key.as_str()));
    let mut property = made(name, "", "", "");
    for (key, value) in given {
        property[key.as_str()] = value.clone();
    }
    mark_as_custom(&mut property, now);
    if property["fieldType"] == "calculation_equation" {
        property["calculated"] = true.into();
        property["modificationMetadata"]["readOnlyValue"] = true.into();
    }
    check(&mut property)?;
    if let Some(archived) = object.properties.all().get(name) {
        property["createdAt"] = archived["createdAt"].clone();
    }
    insert(object, property, rules)
}

/// Puts a property in as the control API or a file describes it: with any members, and in a group that is made for it.
pub fn load(object: &mut ObjectType, given: &Value, rules: KeyRules, now: i64) -> Result<Value, Refusal> {
    let mut given = given.clone();
    if given["groupName"].as_str().is_none_or(str::is_empty) {
        given["groupName"] = object.default_group().into();
    }
    groups::ensure(object, given["groupName"].as_str().unwrap_or_default());
    // An answer of HubSpot lists the two options; files that people write often leave them out.
    if given["type"] == "bool" && given["options"].as_array().is_none_or(Vec::is_empty) {
        given["options"] = json!([{"label": "Yes", "value": "true"}, {"label": "No", "value": "false"}]);
    }
    let text = |key: &str| given[key].as_str().unwrap_or_default();
    let name = text("name");
    // What HubSpot made itself keeps rules of its own.
    let hubspots = given["hubspotDefined"] == true || given["calculated"] == true || name.starts_with("hs_");
    if !hubspots {
        check_name(name)?;
    }
    if object.properties.get(name).is_some() {
        return Err(taken(name));
    }
    let label = if text("label").is_empty() { name } else { text("label") };
    let mut property = made(name, label, text("type"), text("fieldType"));
    if !hubspots {
        mark_as_custom(&mut property, now);
    }
    for (key, value) in given.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        property[key.as_str()] = value.clone();
    }
    if !hubspots {
        check(&mut property)?;
    }
    insert(object, property, rules)
}

/// Marks a property as one that people of the portal made.
fn mark_as_custom(property: &mut Value, now: i64) {
    property["hubspotDefined"] = false.into();
    property["createdAt"] = time(now).into();
    property["updatedAt"] = time(now).into();
    property["modificationMetadata"] =
        json!({"archivable": true, "readOnlyDefinition": false, "readOnlyOptions": false, "readOnlyValue": false});
}

fn insert(object: &mut ObjectType, property: Value, rules: KeyRules) -> Result<Value, Refusal> {
    let name = property["name"].as_str().unwrap_or_default().to_owned();
    let unique = property["hasUniqueValue"] == true;
    let standing = object.properties.active().filter(|(_, object)| object["hasUniqueValue"] == true).count();
    if unique && standing >= UNIQUE_MAX {
        return Err(Refusal::validation("The maximum number of unique properties has been reached"));
    }
    object.properties.change().insert(name, property.clone());
    if unique {
        object.set_keys(rules);
    }
    Ok(property)
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let named = name.starts_with(|letter: char| letter.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if named { Ok(()) } else { Err(unfit(format!("Invalid property name: {name}"))) }
}

fn unfit(message: String) -> Refusal {
    Refusal::validation(message).sub_category("Properties.PROPERTY_CREATE_FAILED_VALIDATION")
}

fn taken(name: &str) -> Refusal {
    let message = format!("A property named '{name}' already exists.");
    Refusal::plain(409, message).category("OBJECT_ALREADY_EXISTS").sub_category("Properties.PROPERTY_WITH_NAME_EXISTS")
}

/// A property's type, field type and options go together; members of options that were not given get their usual value.
fn check(property: &mut Value) -> Result<(), Refusal> {
    let text = |key: &str| property[key].as_str().unwrap_or_default();
    let (kind, field) = (text("type"), text("fieldType"));
    let Some((_, fields)) = TYPES.iter().find(|(known, _)| *known == kind) else {
        return Err(unfit(format!("Invalid property type: {kind}")));
    };
    if !fields.contains(&field) {
        let allowed = fields.join(", ");
        return Err(unfit(format!(
            "{field} is not a valid field type for type {kind}. Valid field types are: [{allowed}]"
        )));
    }
    // Owners and references bring their options with them.
    let elsewhere = property["externalOptions"] == true || property["referencedObjectType"].is_string();
    let (equation, boolean, listed) = (field == "calculation_equation", kind == "bool", kind == "enumeration");
    let mut seen = HashSet::new();
    for (place, option) in property["options"].as_array_mut().into_iter().flatten().enumerate() {
        if !option.is_object() {
            return Err(unfit("options must be objects with a label and a value".to_owned()));
        }
        let value = option["value"].as_str().unwrap_or_default().to_owned();
        if value.is_empty() || option["label"].as_str().is_none_or(str::is_empty) {
            return Err(unfit("Property options must have a label and a value".to_owned()));
        }
        if !seen.insert(value.clone()) {
            return Err(unfit(format!("Property option values must be unique. Duplicate option value: {value}")));
        }
        for (key, usual) in [("displayOrder", json!(place)), ("hidden", json!(false)), ("description", json!(""))] {
            if option[key].is_null() {
                option[key] = usual;
            }
        }
    }
    let two = seen.len() == 2 && seen.contains("true") && seen.contains("false");
    if boolean && !equation && !two {
        return Err(Refusal::validation(
            "Boolean properties must have exactly two options, with the values true and false",
        )
        .sub_category("PropertyValidationError.INVALID_BOOLEAN_OPTION"));
    }
    if listed && seen.is_empty() && !elsewhere && !equation {
        return Err(unfit("Enumeration properties must have at least one option".to_owned()));
    }
    Ok(())
}

/// `/crm/properties/VERSION/{type}…`
pub fn route(portal: &mut Portal, request: &Request, type_name: &str, rest: &[&str], now: i64) -> Answer {
    let id = portal.type_id(type_name)?;
    let archived = request.flag("archived");
    let rules = portal.switches.key_rules();
    match (request.method.as_str(), rest) {
        (_, ["groups", rest @ ..]) => groups::route(portal.object_mut(&id)?, request, rest),
        ("GET", []) => {
            let object = portal.object(&id)?;
            let value = object.properties.all().values().filter(|value| (value["archived"] == true) == archived);
            Ok(answers::json(200, &json!({"results": value.collect::<Vec<_>>()})))
        }
        ("POST", []) => {
            let body: Value = decode(&request.body)?;
            let property = post(portal.object_mut(&id)?, &body, rules, now)?;
            let place = format!("/crm/properties/2026-09/{id}/{}", property["name"].as_str().unwrap_or_default());
            Ok(answers::json(201, &property).with("location", place))
        }
        ("POST", ["batch", "create"]) => create_batch(portal, &id, &request.body, now),
        ("POST", ["batch", "read"]) => read_batch(portal.object(&id)?, &request.body, now),
        ("POST", ["batch", "archive"]) => {
            let body: Value = decode(&request.body)?;
            let object = portal.object_mut(&id)?;
            // A property that is not there is no error of a batch.
            for name in body["inputs"].as_array().into_iter().flatten().filter_map(|input| input["name"].as_str()) {
                archive(object, name, rules, now);
            }
            Ok(Reply::empty(204))
        }
        ("GET", [name]) => {
            let found = portal.object(&id)?.properties.all().get(*name);
            let found = found.filter(|found| (found["archived"] == true) == archived);
            found.map(|found| answers::json(200, found)).ok_or_else(|| missing(name))
        }
        ("PATCH", [name]) => {
            let changes: Value = decode(&request.body)?;
            change(portal.object_mut(&id)?, name, &changes, now)
        }
        ("DELETE", [name]) => {
            if archive(portal.object_mut(&id)?, name, rules, now) {
                Ok(Reply::empty(204))
            } else {
                Err(missing(name))
            }
        }
        _ => Err(Refusal::not_found()),
    }
}

/// Changes a property: members that are sent take the place of what stands, the list of options as a whole.
fn change(object: &mut ObjectType, name: &str, changes: &Value, now: i64) -> Answer {
    // Changed as a copy: a change that is refused leaves nothing behind.
    let mut property = object.properties.get(name).cloned().ok_or_else(|| missing(name))?;
    if let Some(group) = changes.get("groupName") {
        groups::demand(object, group.as_str().unwrap_or_default())?;
    }
    for key in CHANGEABLE {
        if let Some(value) = changes.get(key) {
            property[key] = value.clone();
        }
    }
    check(&mut property)?;
    property["updatedAt"] = time(now).into();
    object.properties.change().insert(name.to_owned(), property.clone());
    Ok(answers::json(200, &property))
}

fn create_batch(portal: &mut Portal, id: &str, body: &[u8], now: i64) -> Answer {
    let body: Value = decode(body)?;
    let rules = portal.switches.key_rules();
    let object = portal.object_mut(id)?;
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for input in body["inputs"].as_array().into_iter().flatten() {
        match post(object, input, rules, now) {
            Ok(property) => results.push(property),
            Err(refusal) => {
                let sub_category = refusal.sub_category;
                let mut entry = refusal.with("name", &[input["name"].as_str().unwrap_or_default()]).entry(None);
                if let Some(sub_category) = sub_category {
                    entry["subCategory"] = sub_category.into();
                }
                errors.push(entry);
            }
        }
    }
    Ok(finished(201, results, errors, now))
}

fn read_batch(object: &ObjectType, body: &[u8], now: i64) -> Answer {
    let body: Value = decode(body)?;
    let archived = body["archived"] == true;
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for name in body["inputs"].as_array().into_iter().flatten().filter_map(|input| input["name"].as_str()) {
        match object.properties.all().get(name).filter(|property| (property["archived"] == true) == archived) {
            Some(property) => results.push(property.clone()),
            None => errors.push(missing(name).with("name", &[name]).entry(None)),
        }
    }
    Ok(finished(200, results, errors, now))
}

fn finished(good: u16, results: Vec<Value>, errors: Vec<Value>, now: i64) -> Reply {
    let mut answer =
        json!({"status": "COMPLETE", "results": results, "startedAt": time(now), "completedAt": time(now)});
    if errors.is_empty() {
        return answers::json(good, &answer);
    }
    answer["numErrors"] = errors.len().into();
    answer["errors"] = errors.into();
    answers::json(207, &answer)
}

/// Archives a property; false when it is not there.
pub fn archive(object: &mut ObjectType, name: &str, rules: KeyRules, now: i64) -> bool {
    let Some(property) = object.properties.get_mut(name) else { return false };
    property["archived"] = true.into();
    property["archivedAt"] = time(now).into();
    // An archived property claims no values any more.
    object.set_keys(rules);
    true
}

fn missing(name: &str) -> Refusal {
    Refusal::plain(404, format!("property {name} was not found")).category("OBJECT_NOT_FOUND")
}
