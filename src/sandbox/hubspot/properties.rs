//! Properties of objects: made, changed, archived, brought back.

use serde_json::{Value, json};

use super::answers::{self, Answer, Refusal, time};
use super::body::decode;
use super::portal::{ObjectType, Portal};
use crate::sandbox::http::{Reply, Request};

/// Most unique properties of an object.
const UNIQUE_MAX: usize = 10;

/// A property with the members that reading shows.
pub fn made(name: &str, label: &str, kind: &str, field: &str) -> Value {
    json!({"name": name, "label": label, "type": kind, "fieldType": field, "groupName": "information", "description": "",
        "options": [], "hasUniqueValue": false, "hidden": false, "calculated": false, "externalOptions": false,
        "hubspotDefined": true, "archived": false, "modificationMetadata": {"readOnlyValue": false}})
}

/// Adds the properties that every object has.
pub fn system(object: &mut ObjectType) {
    for (name, kind, field) in [
        ("hs_object_id", "number", "number"),
        ("hs_createdate", "datetime", "date"),
        ("hs_lastmodifieddate", "datetime", "date"),
    ] {
        let mut property = made(name, name, kind, field);
        property["modificationMetadata"]["readOnlyValue"] = true.into();
        object.properties.insert(name.to_owned(), property);
    }
}

/// Adds the property that says whose a record is.
pub fn owner(object: &mut ObjectType) {
    let mut owner = made("hubspot_owner_id", "Owner", "enumeration", "select");
    owner["externalOptions"] = true.into();
    owner["referencedObjectType"] = "OWNER".into();
    object.properties.insert("hubspot_owner_id".to_owned(), owner);
}

/// A property as an answer shows it.
pub fn shown(property: &Value) -> Value {
    property.clone()
}

/// Adds a property, or brings an archived one of that name back with the posted definition.
pub fn add(object: &mut ObjectType, body: &Value, group: &str) -> Result<Value, Refusal> {
    let missing: Vec<&str> = ["name", "label", "type", "fieldType"]
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
    let named = name.starts_with(|letter: char| letter.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if !named {
        return Err(Refusal::validation(format!("Invalid property name: {name}"))
            .sub_category("Properties.PROPERTY_CREATE_FAILED_VALIDATION"));
    }
    if object.property(name).is_some() {
        let message = format!("A property named '{name}' already exists.");
        let refusal = Refusal { status: 409, ..Refusal::plain(409, message) };
        return Err(refusal.category("OBJECT_ALREADY_EXISTS").sub_category("Properties.PROPERTY_WITH_NAME_EXISTS"));
    }
    let kind = body["type"].as_str().unwrap_or_default();
    if !["string", "number", "bool", "date", "datetime", "enumeration", "phone_number"].contains(&kind) {
        return Err(Refusal::validation(format!("Invalid property type: {kind}")));
    }
    let unique = body["hasUniqueValue"] == true;
    let standing =
        object.properties.values().filter(|own| own["hasUniqueValue"] == true && own["archived"] != true).count();
    if unique && standing >= UNIQUE_MAX {
        return Err(Refusal::validation("The maximum number of unique properties has been reached"));
    }
    let mut property =
        made(name, body["label"].as_str().unwrap_or(name), kind, body["fieldType"].as_str().unwrap_or("text"));
    property["hubspotDefined"] = false.into();
    property["groupName"] = group.into();
    if kind == "bool" && body["options"].as_array().is_none() {
        property["options"] = json!([{"label": "Yes", "value": "true"}, {"label": "No", "value": "false"}]);
    }
    for (key, value) in body.as_object().into_iter().flatten() {
        property[key.as_str()] = value.clone();
    }
    object.properties.insert(name.to_owned(), property.clone());
    if unique {
        object.index();
    }
    Ok(property)
}

/// `/crm/properties/VERSION/{type}…`
pub fn route(portal: &mut Portal, request: &Request, type_name: &str, rest: &[&str], now: i64) -> Answer {
    let id = portal.type_id(type_name)?;
    let archived = request.flag("archived");
    match (request.method.as_str(), rest) {
        ("GET", []) => {
            let own = portal.object(&id)?.properties.values().filter(|own| (own["archived"] == true) == archived);
            Ok(answers::json(200, &json!({"results": own.map(shown).collect::<Vec<_>>()})))
        }
        ("POST", []) => {
            let body: Value = decode(&request.body)?;
            let group = body["groupName"].as_str().unwrap_or("information").to_owned();
            let property = add(portal.object_mut(&id)?, &body, &group)?;
            Ok(answers::json(201, &shown(&property)))
        }
        ("GET", ["groups"]) => Ok(answers::json(
            200,
            &json!({"results": [{"name": "information", "label": "Information", "archived": false, "displayOrder": 0}]}),
        )),
        ("POST", ["batch", "create"]) => create_batch(portal, &id, &request.body, now),
        ("POST", ["batch", "read"]) => {
            let body: Value = decode(&request.body)?;
            let names = body["inputs"].as_array().cloned().unwrap_or_default();
            let object = portal.object(&id)?;
            let found: Vec<Value> =
                names.iter().filter_map(|input| object.property(input["name"].as_str()?)).map(shown).collect();
            Ok(answers::json(
                200,
                &json!({"status": "COMPLETE", "results": found, "startedAt": time(now), "completedAt": time(now)}),
            ))
        }
        ("POST", ["batch", "archive"]) => {
            let body: Value = decode(&request.body)?;
            let object = portal.object_mut(&id)?;
            for name in body["inputs"].as_array().into_iter().flatten().filter_map(|input| input["name"].as_str()) {
                archive(object, name);
            }
            Ok(Reply::empty(204))
        }
        ("GET", [name]) => {
            let found = portal.object(&id)?.properties.get(*name).filter(|own| archived || own["archived"] != true);
            found.map(|own| answers::json(200, &shown(own))).ok_or_else(|| missing(name))
        }
        ("PATCH", [name]) => {
            let changes: Value = decode(&request.body)?;
            let object = portal.object_mut(&id)?;
            let Some(own) = object.properties.get_mut(*name).filter(|own| own["archived"] != true) else {
                return Err(missing(name));
            };
            for key in [
                "label",
                "type",
                "fieldType",
                "groupName",
                "description",
                "options",
                "hidden",
                "displayOrder",
                "formField",
            ] {
                if let Some(value) = changes.get(key) {
                    own[key] = value.clone();
                }
            }
            Ok(answers::json(200, &shown(own)))
        }
        ("DELETE", [name]) => {
            if archive(portal.object_mut(&id)?, name) {
                Ok(Reply::empty(204))
            } else {
                Err(missing(name))
            }
        }
        _ => Err(Refusal::not_found()),
    }
}

fn create_batch(portal: &mut Portal, id: &str, body: &[u8], now: i64) -> Answer {
    let body: Value = decode(body)?;
    let object = portal.object_mut(id)?;
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for input in body["inputs"].as_array().into_iter().flatten() {
        let group = input["groupName"].as_str().unwrap_or("information").to_owned();
        match add(object, input, &group) {
            Ok(property) => results.push(shown(&property)),
            Err(refusal) => {
                let mut entry = refusal.with("name", &[input["name"].as_str().unwrap_or_default()]).entry(None);
                entry["subCategory"] = "Properties.PROPERTY_WITH_NAME_EXISTS".into();
                errors.push(entry);
            }
        }
    }
    let mut answer =
        json!({"status": "COMPLETE", "results": results, "startedAt": time(now), "completedAt": time(now)});
    if errors.is_empty() {
        return Ok(answers::json(201, &answer));
    }
    answer["numErrors"] = errors.len().into();
    answer["errors"] = errors.into();
    Ok(answers::json(207, &answer))
}

/// Archives a property; false when it is not there.
pub fn archive(object: &mut ObjectType, name: &str) -> bool {
    match object.properties.get_mut(name).filter(|own| own["archived"] != true) {
        Some(own) => {
            own["archived"] = true.into();
            object.holders.remove(name);
            true
        }
        None => false,
    }
}

fn missing(name: &str) -> Refusal {
    Refusal::plain(404, format!("property {name} was not found")).category("OBJECT_NOT_FOUND")
}
