//! Groups of properties: every property belongs to one that is there.

use serde_json::{Value, json};

use super::answers::{self, Answer, Refusal};
use super::body::decode;
use super::portal::ObjectType;
use crate::sandbox::http::{Reply, Request};

/// A group.
fn group(name: &str, label: &str) -> Value {
    json!({"name": name, "label": label, "displayOrder": -1, "archived": false})
}

fn stands(object: &ObjectType, name: &str) -> bool {
    object.groups.iter().any(|group| group["name"] == name)
}

/// Makes a group unless it is there.
pub fn ensure(object: &mut ObjectType, name: &str) {
    if !stands(object, name) {
        object.groups.push(group(name, name));
    }
}

/// Makes a group with its label; the first is the one of properties that name none.
pub fn add(object: &mut ObjectType, name: &str, label: &str) {
    object.groups.push(group(name, label));
}

/// Refuses a group that is not there.
pub fn demand(object: &ObjectType, name: &str) -> Result<(), Refusal> {
    if stands(object, name) {
        return Ok(());
    }
    let refusal = Refusal::validation(format!("Property group does not exist: {name}"));
    Err(refusal.sub_category("Properties.PROPERTY_CREATE_FAILED_VALIDATION"))
}

/// `/crm/properties/VERSION/{type}/groups…`
pub fn route(object: &mut ObjectType, request: &Request, rest: &[&str]) -> Answer {
    match (request.method.as_str(), rest) {
        ("GET", []) => Ok(answers::json(200, &json!({"results": object.groups}))),
        ("POST", []) => {
            let body: Value = decode(&request.body)?;
            post(object, &body)
        }
        ("GET", [name]) => found(object, name).map(|place| answers::json(200, &object.groups[place])),
        ("PATCH", [name]) => {
            let place = found(object, name)?;
            let changes: Value = decode(&request.body)?;
            for key in ["label", "displayOrder"] {
                if let Some(value) = changes.get(key) {
                    object.groups[place][key] = value.clone();
                }
            }
            Ok(answers::json(200, &object.groups[place]))
        }
        ("DELETE", [name]) => {
            let place = found(object, name)?;
            if object.properties.active().any(|(_, property)| property["groupName"] == *name) {
                // The real text is JSON within the text.
                let text = json!({"errorCode": "GROUP_WITH_ACTIVE_PROPERTIES", "groupName": name}).to_string();
                return Err(Refusal::validation(text).sub_category("PropertyGroupError.GROUP_WITH_ACTIVE_PROPERTIES"));
            }
            object.groups.remove(place);
            Ok(Reply::empty(204))
        }
        _ => Err(Refusal::not_found()),
    }
}

fn post(object: &mut ObjectType, body: &Value) -> Answer {
    let text = |key: &str| body[key].as_str().unwrap_or_default();
    let missing: Vec<&str> = ["label", "name"].into_iter().filter(|key| text(key).is_empty()).collect();
    if !missing.is_empty() {
        let names = missing.join(", ");
        let message = format!("Invalid input JSON on line 1, column 2. Some required fields were not set: [{names}]");
        return Err(Refusal::plain(400, message));
    }
    if stands(object, text("name")) {
        let message = format!("A property group named '{}' already exists.", text("name"));
        return Err(Refusal::plain(409, message).category("OBJECT_ALREADY_EXISTS"));
    }
    let mut made = group(text("name"), text("label"));
    if let Some(order) = body.get("displayOrder") {
        made["displayOrder"] = order.clone();
    }
    object.groups.push(made.clone());
    Ok(answers::json(201, &made))
}

fn found(object: &ObjectType, name: &str) -> Result<usize, Refusal> {
    let place = object.groups.iter().position(|group| group["name"] == name);
    place
        .ok_or_else(|| Refusal::plain(404, format!("property group {name} was not found")).category("OBJECT_NOT_FOUND"))
}
