//! Object types: standard ones with their usual properties, custom ones made by schemas.

use serde::Deserialize;
use serde_json::{Value, json};

use super::answers::{self, Answer, Refusal, time};
use super::body::decode;
use super::pairs::Pairs;
use super::portal::{ObjectType, Portal};
use super::standard::STANDARD;
use super::{groups, properties, standard_properties};
use crate::sandbox::http::{Reply, Request};

/// Longest label, in characters.
const LABEL_MAX: usize = 50;

/// Most secondary display properties.
const SECONDARY_MAX: usize = 2;

/// Most searchable properties.
const SEARCHABLE_MAX: usize = 20;

/// Members of a schema that a PATCH may change.
const CHANGEABLE: [&str; 7] = [
    "labels",
    "description",
    "primaryDisplayProperty",
    "secondaryDisplayProperties",
    "searchableProperties",
    "allowsSensitiveProperties",
    "restorable",
];

/// Fills the portal with the standard objects.
pub fn standard_objects(portal: &mut Portal) {
    for described in &STANDARD {
        let mut object = ObjectType {
            id: described.id.to_owned(),
            name: described.one.to_owned(),
            fully_qualified_name: described.many.to_owned(),
            schema: json!({"labels": {"singular": described.labels.0, "plural": described.labels.1}, "primaryDisplayProperty": described.title}),
            ..ObjectType::default()
        };
        groups::add(&mut object, described.group.0, described.group.1);
        properties::system(&mut object);
        standard_properties::fill(&mut object, described);
        object.set_keys(portal.switches.key_rules());
        portal.types.insert(described.id.to_owned(), object);
    }
    portal.pairs = Pairs::standard();
}

/// Which parts of a schema an answer shows.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Parts {
    include_property_definitions: bool,
    include_association_definitions: bool,
    include_audit_metadata: bool,
}

impl Default for Parts {
    fn default() -> Self {
        Self { include_property_definitions: true, include_association_definitions: true, include_audit_metadata: true }
    }
}

impl Parts {
    fn of(request: &Request) -> Self {
        // Everything is shown unless the caller says `false`.
        let part = |name: &str| request.parameter(name).is_none_or(|value| !value.eq_ignore_ascii_case("false"));
        Self {
            include_property_definitions: part("includePropertyDefinitions"),
            include_association_definitions: part("includeAssociationDefinitions"),
            include_audit_metadata: part("includeAuditMetadata"),
        }
    }
}

/// `/crm-object-schemas/VERSION/schemas…`
pub fn route(portal: &mut Portal, request: &Request, rest: &[&str], now: i64) -> Answer {
    let parts = Parts::of(request);
    match (request.method.as_str(), rest) {
        ("GET", []) => {
            let archived = request.flag("archived");
            let custom = portal.types.values().filter(|value| value.id.starts_with("2-") && value.archived == archived);
            let results: Vec<Value> = custom.map(|object| schema(portal, object, parts)).collect();
            Ok(answers::json(200, &json!({"results": results})))
        }
        ("POST", []) => {
            let body: Value = decode(&request.body)?;
            let id = create(portal, &body, now)?;
            let object = portal.object(&id)?;
            Ok(answers::json(201, &schema(portal, object, parts)))
        }
        ("POST", ["batch", "read"]) => read_batch(portal, &request.body, now),
        ("GET", [name]) => {
            let id = portal.type_id(name)?;
            Ok(answers::json(200, &schema(portal, portal.object(&id)?, parts)))
        }
        ("PATCH", [name]) => {
            let id = portal.type_id(name)?;
            let changes: Value = decode(&request.body)?;
            change(portal, &id, &changes, now)
        }
        ("DELETE", [name]) => {
            let purge = request.flag("archived");
            // An archived object has no name any more that would lead to it.
            let id = if purge { (*name).to_owned() } else { portal.type_id(name)? };
            let object = custom(portal, &id)?;
            if object.store.active_count() > 0 {
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
            let id = portal.type_id(name)?;
            associate(portal, &id, &request.body, now)
        }
        ("DELETE", [name, "associations", number]) => {
            let id = portal.type_id(name)?;
            let number = number.parse().map_err(|_| Refusal::not_found())?;
            let to = portal
                .pairs
                .defined()
                .find(|(from, _, types)| *from == id && types.iter().any(|kind| kind.type_id == number));
            let to = to.map(|(_, to, _)| to.to_owned()).ok_or_else(Refusal::not_found)?;
            portal.pairs.undefine(&id, &to, number);
            Ok(Reply::empty(204))
        }
        _ => Err(Refusal::not_found()),
    }
}

fn change(portal: &mut Portal, id: &str, changes: &Value, now: i64) -> Answer {
    let object = custom(portal, id)?;
    let mut schema_now = object.schema.clone();
    for key in CHANGEABLE {
        if let Some(value) = changes.get(key) {
            schema_now[key] = value.clone();
        }
    }
    if changes["clearDescription"] == true {
        schema_now["description"] = Value::Null;
    }
    let required = match changes.get("requiredProperties") {
        None => object.required.clone(),
        Some(names) => serde_json::from_value(names.clone()).unwrap_or_default(),
    };
    check_names(object, &schema_now, &required)?;
    (object.schema, object.required, object.updated) = (schema_now, required, now);
    let parts =
        Parts { include_property_definitions: false, include_association_definitions: false, ..Parts::default() };
    let mut body = schema(portal, portal.object(id)?, parts);
    if let Some(body) = body.as_object_mut() {
        body.remove("properties");
        body.remove("associations");
        body.insert("portalId".to_owned(), portal.options.portal_id.into());
    }
    Ok(answers::json(200, &body))
}

/// `{"inputs": ["2-…"], "includePropertyDefinitions": false}`
fn read_batch(portal: &Portal, body: &[u8], now: i64) -> Answer {
    #[derive(Deserialize)]
    struct Body {
        inputs: Vec<Value>,
    }
    let Body { inputs } = decode(body)?;
    let parts: Parts = decode(body)?;
    let (mut results, mut missing) = (Vec::new(), Vec::new());
    for input in &inputs {
        let name = input.as_str().or_else(|| input["id"].as_str()).unwrap_or_default();
        match portal.type_id(name).and_then(|id| portal.object(&id)) {
            Ok(object) => results.push(schema(portal, object, parts)),
            Err(_) => missing.push(name),
        }
    }
    let mut answer =
        json!({"status": "COMPLETE", "results": results, "startedAt": time(now), "completedAt": time(now)});
    if missing.is_empty() {
        return Ok(answers::json(200, &answer));
    }
    // One error names all that are missing, as in a read of records.
    answer["numErrors"] = 1.into();
    answer["errors"] = json!([{"status": "error", "category": "OBJECT_NOT_FOUND",
        "message": "Could not find some object types", "context": {"ids": missing}}]);
    Ok(answers::json(207, &answer))
}

fn associate(portal: &mut Portal, id: &str, body: &[u8], now: i64) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        to_object_type_id: String,
        #[serde(default)]
        name: Option<String>,
    }
    let body: Body = decode(body)?;
    let to = portal.type_id(&body.to_object_type_id)?;
    let name = body.name.unwrap_or_else(|| association_name(portal, id, &to));
    portal.pairs.define_plain(id, &to, Some(&name));
    let association = portal.pairs.plain(id, &to).ok_or_else(Refusal::not_found)?;
    Ok(answers::json(
        201,
        &json!({"id": association.type_id.to_string(), "fromObjectTypeId": id, "toObjectTypeId": to, "name": name,
            "createdAt": time(now), "updatedAt": time(now)}),
    ))
}

/// The name that HubSpot gives an association: `contract_to_company`.
fn association_name(portal: &Portal, from: &str, to: &str) -> String {
    let name = |id: &str| portal.types.get(id).map(|kind| kind.name.as_str()).unwrap_or_default();
    format!("{}_to_{}", name(from), name(to))
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
    if body["primaryDisplayProperty"].as_str().is_none() {
        return Err(
            Refusal::validation("primaryDisplayProperty is required").sub_category("PRIMARY_DISPLAY_PROPERTY_REQUIRED")
        );
    }
    if ["singular", "plural"].iter().any(|label| {
        body["labels"][label].as_str().is_none_or(|label| label.is_empty() || label.chars().count() > LABEL_MAX)
    }) {
        return Err(Refusal::validation(format!(
            "labels must have a singular and a plural of at most {LABEL_MAX} characters"
        )));
    }
    // An archived object does not hold its name.
    if portal
        .types
        .values()
        .any(|value| value.id.starts_with("2-") && !value.archived && value.name.eq_ignore_ascii_case(name))
    {
        let message = format!("Object type with name '{name}' already exists");
        return Err(Refusal::plain(409, message).category("OBJECT_ALREADY_EXISTS"));
    }
    let id = format!("2-{}", portal.next_type);
    let mut object = ObjectType {
        fully_qualified_name: format!("p{}_{name}", portal.options.portal_id),
        id: id.clone(),
        name: name.to_owned(),
        schema: body.clone(),
        required: serde_json::from_value(body["requiredProperties"].clone()).unwrap_or_default(),
        created: now,
        updated: now,
        ..ObjectType::default()
    };
    let singular = body["labels"]["singular"].as_str().unwrap_or(name);
    groups::add(&mut object, &format!("{name}_information"), &format!("{singular} Information"));
    properties::system(&mut object);
    for property in body["properties"].as_array().into_iter().flatten() {
        let mut property = property.clone();
        if property.is_object() && property["groupName"].as_str().is_none_or(str::is_empty) {
            property["groupName"] = object.default_group().into();
        }
        properties::post(&mut object, &property, portal.switches.key_rules(), now)?;
    }
    check_names(&object, &object.schema, &object.required)?;
    // Numbers with gaps: type ids are told apart by reading them and never by counting.
    portal.next_type += 7;
    // Only now: what was refused above leaves no object behind.
    portal.types.insert(id.clone(), object);
    for other in body["associatedObjects"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let other = find_type(portal, other)?;
        let name = association_name(portal, &id, &other);
        portal.pairs.define_plain(&id, &other, Some(&name));
    }
    Ok(id)
}

/// Takes in custom objects as another portal's answer describes them, with the type ids that they have there.
pub fn load(portal: &mut Portal, schemas: &[Value], now: i64) -> Result<(), Refusal> {
    let rules = portal.switches.key_rules();
    let mut pairs = Vec::new();
    for body in schemas {
        let name = body["name"].as_str().unwrap_or_default();
        let given = body["objectTypeId"].as_str().filter(|id| id.starts_with("2-")).map(str::to_owned);
        let id = given.unwrap_or_else(|| format!("2-{}", portal.next_type));
        portal.next_type += 7;
        let taken = portal
            .types
            .values()
            .any(|value| value.id == id || value.id.starts_with("2-") && value.name.eq_ignore_ascii_case(name));
        if taken {
            return Err(Refusal::plain(409, format!("the object `{name}` is listed twice")));
        }
        let mut object = ObjectType {
            fully_qualified_name: format!("p{}_{name}", portal.options.portal_id),
            id: id.clone(),
            name: name.to_owned(),
            schema: body.clone(),
            required: serde_json::from_value(body["requiredProperties"].clone()).unwrap_or_default(),
            created: now,
            updated: now,
            ..ObjectType::default()
        };
        groups::add(&mut object, &format!("{name}_information"), &format!("{name} Information"));
        properties::system(&mut object);
        for property in body["properties"].as_array().into_iter().flatten() {
            // The file's definition goes before the one that every object gets.
            object.properties.change().remove(property["name"].as_str().unwrap_or_default());
            properties::load(&mut object, property, rules, now)?;
        }
        check_names(&object, &object.schema, &object.required)?;
        let associations = body["associations"].as_array().into_iter().flatten();
        let ends = associations.filter_map(|association| {
            Some((association["fromObjectTypeId"].as_str()?, association["toObjectTypeId"].as_str()?))
        });
        pairs.extend(ends.map(|(from, to)| (from.to_owned(), to.to_owned())));
        // Both are kept elsewhere, where changes reach them.
        if let Some(schema) = object.schema.as_object_mut() {
            schema.remove("properties");
            schema.remove("associations");
        }
        portal.types.insert(id, object);
    }
    // After all objects, as an end may be described further down in the file.
    for (from, to) in pairs {
        // Associations with objects that the sandbox has not, such as calls, are left out.
        if portal.types.contains_key(&from) && portal.types.contains_key(&to) {
            let name = association_name(portal, &from, &to);
            portal.pairs.define_plain(&from, &to, Some(&name));
        }
    }
    Ok(())
}

/// Lists of a schema name only properties that are there, and no more than HubSpot takes.
fn check_names(object: &ObjectType, schema: &Value, required: &[String]) -> Result<(), Refusal> {
    let list = |key: &str| schema[key].as_array().into_iter().flatten().filter_map(Value::as_str);
    let title = schema["primaryDisplayProperty"].as_str();
    let mut all = required.iter().map(String::as_str).chain(title);
    let mut shown = list("secondaryDisplayProperties").chain(list("searchableProperties"));
    if let Some(unknown) = all.by_ref().chain(shown.by_ref()).find(|name| object.properties.get(name).is_none()) {
        return Err(Refusal::validation(format!("Property {unknown} does not exist")));
    }
    for (key, max) in [("secondaryDisplayProperties", SECONDARY_MAX), ("searchableProperties", SEARCHABLE_MAX)] {
        if list(key).count() > max {
            return Err(Refusal::validation(format!("{key} may not name more than {max} properties")));
        }
    }
    Ok(())
}

/// A type by any of its names, the short ones of custom objects too; for the seed and the control API.
pub fn find_type(portal: &Portal, name: &str) -> Result<String, Refusal> {
    let short = portal.types.values().find(|value| value.id.starts_with("2-") && value.name == name && !value.archived);
    short.map_or_else(|| portal.type_id(name), |object| Ok(object.id.clone()))
}

/// A schema with every member that HubSpot's description of the API requires.
fn schema(portal: &Portal, object: &ObjectType, parts: Parts) -> Value {
    let mut shown = json!({
        "id": object.id.trim_start_matches("2-"),
        "objectTypeId": object.id,
        "fullyQualifiedName": object.fully_qualified_name,
        "name": object.name,
        "labels": object.schema["labels"],
        "primaryDisplayProperty": object.schema["primaryDisplayProperty"],
        "secondaryDisplayProperties": object.schema.get("secondaryDisplayProperties").cloned().unwrap_or_else(|| json!([])),
        "requiredProperties": object.required,
        "searchableProperties": object.schema.get("searchableProperties").cloned().unwrap_or_else(|| json!(["hs_object_id"])),
        "allowsSensitiveProperties": object.schema["allowsSensitiveProperties"] == true,
        "restorable": object.schema["restorable"] != false,
        "metaType": if object.id.starts_with("2-") { "PORTAL_SPECIFIC" } else { "HUBSPOT" },
        "archived": object.archived,
        "properties": [],
        "associations": [],
    });
    if let Some(description) = object.schema["description"].as_str() {
        shown["description"] = description.into();
    }
    if parts.include_audit_metadata {
        shown["createdAt"] = time(object.created).into();
        shown["updatedAt"] = time(object.updated.max(object.created)).into();
        shown["createdByUserId"] = 77.into();
        shown["updatedByUserId"] = 77.into();
    }
    if parts.include_property_definitions {
        shown["properties"] = object.properties.active().map(|(_, property)| property.clone()).collect();
    }
    if parts.include_association_definitions {
        shown["associations"] = associations(portal, object);
    }
    shown
}

/// Definitions of both directions, as a schema lists them.
fn associations(portal: &Portal, object: &ObjectType) -> Value {
    let defined = portal.pairs.defined().filter(|(from, to, _)| *from == object.id || *to == object.id);
    let shown = defined.flat_map(|(from, to, types)| types.iter().map(move |kind| (from, to, kind)));
    let shown = shown.map(|(from, to, kind)| {
        let name = kind.name.clone().unwrap_or_else(|| association_name(portal, from, to));
        json!({"id": kind.type_id.to_string(), "fromObjectTypeId": from, "toObjectTypeId": to, "name": name,
            "createdAt": time(object.created), "updatedAt": time(object.created)})
    });
    shown.collect()
}
