//! Object types: standard ones with their usual properties, custom ones made by schemas.

use serde::Deserialize;
use serde_json::{Value, json};

use super::answers::{self, Answer, Refusal, time};
use super::body::decode;
use super::links::Links;
use super::portal::{ObjectType, Portal};
use super::properties::{self, shown};
use super::standard::STANDARD;
use crate::sandbox::http::{Reply, Request};

/// Fills the portal with the standard objects.
pub fn standard_objects(portal: &mut Portal) {
    for (id, one, many, title) in STANDARD {
        let mut object = ObjectType {
            id: id.to_owned(),
            name: one.to_owned(),
            fully_qualified_name: many.to_owned(),
            ..ObjectType::default()
        };
        let usual: &[&str] = match id {
            "0-1" => &["email", "firstname", "lastname", "phone", "company"],
            "0-2" => &["name", "domain", "phone", "city", "country", "industry"],
            "0-3" => &["dealname", "dealstage", "amount", "closedate"],
            _ => &["subject", "content"],
        };
        for name in usual.iter().chain([&title]) {
            object.properties.insert((*name).to_owned(), properties::made(name, name, "string", "text"));
        }
        properties::system(&mut object);
        properties::owner(&mut object);
        portal.types.insert(id.to_owned(), object);
    }
    portal.links = Links::standard();
}

/// `/crm-object-schemas/VERSION/schemas…`
pub fn route(portal: &mut Portal, request: &Request, rest: &[&str], now: i64) -> Answer {
    match (request.method.as_str(), rest) {
        ("GET", []) => {
            let archived = request.flag("archived");
            let custom = portal.types.values().filter(|own| own.id.starts_with("2-") && own.archived == archived);
            let results: Vec<Value> = custom.map(|own| schema(portal, own)).collect();
            Ok(answers::json(200, &json!({"results": results})))
        }
        ("POST", []) => {
            let body: Value = decode(&request.body)?;
            let id = create(portal, &body, now)?;
            let own = portal.object(&id)?;
            Ok(answers::json(201, &schema(portal, own)))
        }
        ("GET", [name]) => {
            let id = portal.type_id(name)?;
            Ok(answers::json(200, &schema(portal, portal.object(&id)?)))
        }
        ("PATCH", [name]) => {
            let id = portal.type_id(name)?;
            let changes: Value = decode(&request.body)?;
            let object = custom(portal, &id)?;
            for key in [
                "labels",
                "description",
                "primaryDisplayProperty",
                "secondaryDisplayProperties",
                "searchableProperties",
            ] {
                if let Some(value) = changes.get(key) {
                    object.schema[key] = value.clone();
                }
            }
            if let Some(required) = changes.get("requiredProperties") {
                object.required = serde_json::from_value(required.clone()).unwrap_or_default();
            }
            let own = portal.object(&id)?;
            let mut body = schema(portal, own);
            if let Some(body) = body.as_object_mut() {
                body.remove("properties");
                body.remove("associations");
                body.insert("portalId".to_owned(), portal.options.portal_id.into());
            }
            Ok(answers::json(200, &body))
        }
        ("DELETE", [name]) => {
            let purge = request.flag("archived");
            let id = if purge { (*name).to_owned() } else { portal.type_id(name)? };
            let object = custom(portal, &id)?;
            if object.records.values().any(|record| record.archived.is_none()) {
                return Err(Refusal::validation("There are records of this object type")
                    .sub_category("EXISTING_OBJECT_RECORDS"));
            }
            object.archived = true;
            if purge {
                portal.types.remove(&id);
            }
            Ok(Reply::empty(204))
        }
        ("POST", [name, "associations"]) => {
            #[derive(Deserialize)]
            #[serde(rename_all = "camelCase")]
            struct Body {
                to_object_type_id: String,
                #[serde(default)]
                name: Option<String>,
            }
            let id = portal.type_id(name)?;
            let body: Body = decode(&request.body)?;
            let to = portal.type_id(&body.to_object_type_id)?;
            portal.links.define_plain(&id, &to);
            let number = portal.links.types(&id, &to).first().map(|own| own.type_id);
            let answer = json!({"id": number.map(|number| number.to_string()), "fromObjectTypeId": id, "toObjectTypeId": to, "name": body.name});
            Ok(answers::json(201, &answer))
        }
        _ => Err(Refusal::not_found()),
    }
}

fn custom<'a>(portal: &'a mut Portal, id: &str) -> Result<&'a mut ObjectType, Refusal> {
    if id.starts_with("0-") {
        let refusal = Refusal::validation("HubSpot defined object types cannot be modified");
        return Err(refusal.sub_category("ObjectSchemaError.CANNOT_MODIFY_HUBSPOT_DEFINED_OBJECT_TYPE"));
    }
    portal.object_mut(id)
}

/// Makes a custom object.
pub fn create(portal: &mut Portal, body: &Value, now: i64) -> Result<String, Refusal> {
    let name = body["name"].as_str().unwrap_or_default();
    let named = !name.is_empty() && name.len() <= 50 && name.starts_with(|letter: char| letter.is_ascii_alphabetic());
    if !named || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(Refusal::validation(format!("Invalid object name: {name}")));
    }
    let Some(title) = body["primaryDisplayProperty"].as_str() else {
        return Err(
            Refusal::validation("primaryDisplayProperty is required").sub_category("PRIMARY_DISPLAY_PROPERTY_REQUIRED")
        );
    };
    if portal.types.values().any(|own| own.id.starts_with("2-") && !own.archived && own.name.eq_ignore_ascii_case(name))
    {
        let message = format!("Object type with name '{name}' already exists");
        return Err(Refusal { status: 409, ..Refusal::validation(message) }.category("OBJECT_ALREADY_EXISTS"));
    }
    let id = format!("2-{}", portal.next_type);
    let mut object = ObjectType {
        fully_qualified_name: format!("p{}_{name}", portal.options.portal_id),
        id: id.clone(),
        name: name.to_owned(),
        schema: body.clone(),
        required: serde_json::from_value(body["requiredProperties"].clone()).unwrap_or_default(),
        created: now,
        ..ObjectType::default()
    };
    properties::system(&mut object);
    for property in body["properties"].as_array().into_iter().flatten() {
        properties::add(&mut object, property, &format!("{name}_information"))?;
    }
    let listed = object.required.iter().map(String::as_str).chain([title]);
    if let Some(unknown) = listed.into_iter().find(|name| object.property(name).is_none()) {
        return Err(Refusal::validation(format!("Property {unknown} does not exist")));
    }
    portal.next_type += 7;
    portal.types.insert(id.clone(), object);
    for other in body["associatedObjects"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let other = find_type(portal, other)?;
        portal.links.define_plain(&id, &other);
    }
    Ok(id)
}

/// A type by any of its names, the short ones of custom objects too; for the seed and the control API.
pub fn find_type(portal: &Portal, name: &str) -> Result<String, Refusal> {
    let short = portal.types.values().find(|own| own.id.starts_with("2-") && own.name == name && !own.archived);
    short.map_or_else(|| portal.type_id(name), |own| Ok(own.id.clone()))
}

fn schema(portal: &Portal, own: &ObjectType) -> Value {
    let properties: Vec<Value> =
        own.properties.values().filter(|property| property["archived"] != true).map(shown).collect();
    let mut associations = Vec::new();
    for to in portal.types.keys() {
        for kind in portal.links.types(&own.id, to) {
            associations.push(json!({"id": kind.type_id.to_string(), "fromObjectTypeId": own.id, "toObjectTypeId": to, "name": kind.label}));
        }
    }
    json!({
        "id": own.id.trim_start_matches("2-"),
        "objectTypeId": own.id,
        "fullyQualifiedName": own.fully_qualified_name,
        "name": own.name,
        "labels": own.schema["labels"],
        "description": own.schema["description"],
        "primaryDisplayProperty": own.schema["primaryDisplayProperty"],
        "secondaryDisplayProperties": own.schema.get("secondaryDisplayProperties").cloned().unwrap_or_else(|| json!([])),
        "requiredProperties": own.required,
        "searchableProperties": own.schema.get("searchableProperties").cloned().unwrap_or_else(|| json!(["hs_object_id"])),
        "allowsSensitiveProperties": false,
        "archived": own.archived,
        "createdAt": time(own.created),
        "updatedAt": time(own.created),
        "properties": properties,
        "associations": associations,
    })
}
