//! Single records: made, read, changed, deleted; with the refusals of a real org.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::answers::{self, Answer, Refusal, parse_time};
use super::columns::columns;
use super::json::{Selected, record};
use super::org::{Object, Org, widen};
use super::rows::Row;
use crate::sandbox::http::{Reply, Request};

/// Values of a write, as text; none is blank.
pub type Values = BTreeMap<String, Option<String>>;

/// Accepted values by place of the field.
pub type Accepted = Vec<(usize, Option<Box<str>>)>;

/// `/sobjects/{object}…`
pub fn route(org: &mut Org, request: &Request, name: &str, rest: &[&str], version: &str, now: i64) -> Answer {
    org.object(name).ok_or_else(Refusal::not_found)?;
    match (request.method.as_str(), rest) {
        ("GET", []) => {
            let object = org.object(name).ok_or_else(Refusal::not_found)?;
            Ok(answers::json(200, &json!({"objectDescribe": object.definition, "recentItems": []})))
        }
        ("POST", []) => {
            let id = create(org, name, &decode(&request.body)?, now)?;
            Ok(answers::json(201, &json!({"id": id, "success": true, "errors": []})))
        }
        ("GET", [id]) => read(org, name, id, request.parameter("fields"), version),
        ("PATCH", [id]) => {
            update(org, name, id, &decode(&request.body)?, now)?;
            Ok(Reply::empty(204))
        }
        ("DELETE", [id]) => {
            delete(org, name, id, now)?;
            Ok(Reply::empty(204))
        }
        ("PATCH", [field, value]) => upsert(org, name, field, value, &decode(&request.body)?, now),
        (method, _) => {
            let message = format!("HTTP Method '{method}' not allowed. Allowed are HEAD,GET,PATCH,DELETE");
            Err(Refusal::new(405, "METHOD_NOT_ALLOWED", message))
        }
    }
}

/// Reads values from JSON; numbers keep all their digits.
pub fn decode(body: &[u8]) -> Result<Values, Refusal> {
    let wrong = |error: serde_json::Error| Refusal::new(400, "JSON_PARSER_ERROR", error.to_string());
    let raw: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(body).map_err(wrong)?;
    let mut values = Values::new();
    // A record as a query answers it carries `attributes`, and may be sent back with them.
    for (name, value) in raw.into_iter().filter(|(name, _)| name != "attributes") {
        let text = value.get().trim();
        let value = match text.as_bytes().first() {
            Some(b'"') => serde_json::from_str::<String>(text).map(Some).map_err(wrong)?,
            Some(b'n') => None,
            Some(b'{' | b'[') => {
                return Err(Refusal::new(400, "JSON_PARSER_ERROR", format!("Cannot deserialize {name}")));
            }
            _ => Some(text.to_owned()),
        };
        values.insert(name, value);
    }
    Ok(values)
}

/// Values as stored: trimmed, blanks are null; refused where the definition says so.
fn accept(object: &Object, values: &Values) -> Result<Accepted, Refusal> {
    let mut accepted = Vec::new();
    for (name, value) in values {
        let Some((place, field)) = object.field(name) else {
            let message = format!("No such column '{name}' on sobject of type {}", object.name());
            return Err(Refusal::new(400, "INVALID_FIELD", message));
        };
        let named = field["name"].as_str().unwrap_or(name);
        let refuse = |code, message: String| Err(Refusal::new(400, code, message).with_fields(&[named]));
        let Some(place) = place.filter(|_| field["createable"] != false && field["calculated"] != true) else {
            let message =
                format!("Unable to create/update fields: {named}. Please check the security settings of this field.");
            return refuse("INVALID_FIELD_FOR_INSERT_UPDATE", message);
        };
        // Salesforce trims texts at both ends, and stores an empty one as null.
        let value = value.as_deref().map(str::trim).filter(|value| !value.is_empty());
        let Some(text) = value else {
            // A checkbox is never null.
            accepted.push((place, (field["type"] == "boolean").then(|| "false".into())));
            continue;
        };
        let length = field["length"].as_u64().unwrap_or_default() as usize;
        let kind = field["type"].as_str().unwrap_or_default();
        let textual = matches!(kind, "string" | "textarea" | "email" | "phone" | "url");
        if textual && length > 0 && text.chars().count() > length {
            return refuse(
                "STRING_TOO_LONG",
                format!("{}: data value too large (max length={length})", field["label"].as_str().unwrap_or(named)),
            );
        }
        let listed = |value: &str| {
            field["picklistValues"]
                .as_array()
                .is_some_and(|all| all.iter().any(|entry| entry["value"] == value && entry["active"] == true))
        };
        let restricted = field["restrictedPicklist"] == true;
        // A list that is not restricted takes any text through the API.
        if restricted && !text.split(';').all(listed) {
            let message = format!(
                "{}: bad value for restricted picklist field: {text}",
                field["label"].as_str().unwrap_or(named)
            );
            return refuse("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message);
        }
        let stored = match kind {
            "datetime" => match parse_time(text) {
                // A moment has whole seconds.
                Some(millis) => (millis.div_euclid(1000) * 1000).to_string(),
                None => {
                    return refuse(
                        "JSON_PARSER_ERROR",
                        format!("Cannot deserialize instance of datetime from VALUE_STRING value {text}"),
                    );
                }
            },
            "date" if text.parse::<jiff::civil::Date>().is_err() || text.len() != 10 => {
                return refuse(
                    "JSON_PARSER_ERROR",
                    format!("Cannot deserialize instance of date from VALUE_STRING value {text}"),
                );
            }
            "reference" | "id" => match widen(text) {
                Some(id) => id,
                None => return refuse("MALFORMED_ID", format!("{named}: id value of incorrect type: {text}")),
            },
            "int" | "long" | "double" | "currency" | "percent" if text.parse::<f64>().is_err() => {
                return refuse(
                    "JSON_PARSER_ERROR",
                    format!("Cannot deserialize instance of {kind} from VALUE_STRING value {text}"),
                );
            }
            _ => text.to_owned(),
        };
        accepted.push((place, Some(stored.into())));
    }
    Ok(accepted)
}

/// What a new record would hold.
pub fn check_create(org: &Org, name: &str, values: &Values) -> Result<Accepted, Refusal> {
    let object = org.object(name).ok_or_else(Refusal::not_found)?;
    let accepted = accept(object, values)?;
    let missing: Vec<&str> = object
        .fields
        .iter()
        .enumerate()
        .filter(|(place, field)| {
            // A checkbox is not nillable either, and gets `false` by itself.
            let asked = field["nillable"] == false
                && field["createable"] != false
                && field["defaultedOnCreate"] != true
                && field["type"] != "boolean";
            let auto = field["autoNumber"] == true;
            asked && !auto && !accepted.iter().any(|(known, value)| known == place && value.is_some())
        })
        .filter_map(|(_, field)| field["name"].as_str())
        .collect();
    if !missing.is_empty() {
        let message = format!("Required fields are missing: [{}]", missing.join(", "));
        return Err(Refusal::new(400, "REQUIRED_FIELD_MISSING", message).with_fields(&missing));
    }
    Ok(accepted)
}

/// Makes a record; returns its id.
pub fn create(org: &mut Org, name: &str, values: &Values, now: i64) -> Result<String, Refusal> {
    let accepted = check_create(org, name, values)?;
    let object = org.objects.get_mut(&name.to_ascii_lowercase()).ok_or_else(Refusal::not_found)?;
    let mut row = blank(object, now);
    for (place, value) in accepted {
        row.values.set(place, value.as_deref());
    }
    object.number(&mut row);
    let prefix = object.prefix().to_owned();
    let id = org.new_id(&prefix);
    put(org, name, id.clone(), row, now);
    Ok(id)
}

/// A row without values.
pub fn blank(object: &Object, now: i64) -> Row {
    let values = object.fields.iter().map(|field| (field["type"] == "boolean").then_some("false")).collect();
    // Moments have whole seconds in Salesforce, so that many rows share a stamp.
    let stamp = now.div_euclid(1000) * 1000;
    Row { values, created: stamp, modified: stamp, stamp, deleted: None, visible: now, master: None, before: None }
}

/// Saves a row; readers see it after the delay.
fn put(org: &mut Org, name: &str, id: String, mut row: Row, now: i64) {
    let delay = i64::try_from(org.options.visibility_delay.as_millis()).unwrap_or_default();
    // As a long transaction: the stamp is of its start, and readers see the row at its end.
    row.visible = now + delay;
    row.before = None;
    if let Some(object) = org.objects.get_mut(&name.to_ascii_lowercase()) {
        if delay > 0 {
            let before = object.rows.get(&id).and_then(|known| known.seen(now)).cloned();
            row.before = before.map(|before| Box::new(Row { before: None, ..before }));
        }
        object.rows.put(id, row);
    }
}

/// A record that is there, under its 18-character id.
pub fn live<'a>(org: &'a Org, name: &str, id: &str) -> Result<(String, &'a Row), Refusal> {
    let object = org.object(name).ok_or_else(Refusal::not_found)?;
    // An id whose letter case does not fit its check letters is wrong.
    let wide = widen(id).filter(|wide| id.len() == 15 || wide == id);
    let wide = wide.ok_or_else(|| Refusal::new(400, "MALFORMED_ID", format!("bad id {id}")).with_fields(&["Id"]))?;
    match object.rows.get(&wide) {
        Some(row) if row.deleted.is_some() => Err(Refusal::new(404, "ENTITY_IS_DELETED", "entity is deleted")),
        Some(row) => Ok((wide, row)),
        None => Err(Refusal::not_found()),
    }
}

/// The record as it would be after a change, under its 18-character id.
pub fn check_update(org: &Org, name: &str, id: &str, values: &Values) -> Result<(String, Row), Refusal> {
    let object = org.object(name).ok_or_else(Refusal::not_found)?;
    let accepted = accept(object, values)?;
    let (id, row) = live(org, name, id)?;
    let mut row = row.clone();
    for (place, value) in accepted {
        row.values.set(place, value.as_deref());
    }
    Ok((id, row))
}

/// Changes a record.
pub fn update(org: &mut Org, name: &str, id: &str, values: &Values, now: i64) -> Result<(), Refusal> {
    let (id, mut row) = check_update(org, name, id, values)?;
    let stamp = now.div_euclid(1000) * 1000;
    (row.modified, row.stamp) = (stamp, stamp);
    // The stamp moves even where no value changes, as with any save.
    put(org, name, id, row, now);
    Ok(())
}

/// Deletes a record; it lies in the recycle bin, unless its object has none.
pub fn delete(org: &mut Org, name: &str, id: &str, now: i64) -> Result<(), Refusal> {
    let (id, row) = live(org, name, id)?;
    let mut row = row.clone();
    let stamp = now.div_euclid(1000) * 1000;
    (row.deleted, row.stamp) = (Some(now), stamp);
    let Some(object) = org.objects.get_mut(&name.to_ascii_lowercase()) else { return Err(Refusal::not_found()) };
    object.deletes.push((id.clone(), now));
    if object.definition["undeletable"] == false {
        object.rows.purge(&id);
    } else {
        put(org, name, id.clone(), row, now);
    }
    cascade(org, &id, now)
}

/// Details of a master-detail go with their master.
fn cascade(org: &mut Org, master: &str, now: i64) -> Result<(), Refusal> {
    let mut details = Vec::new();
    for (name, object) in &org.objects {
        for (place, _) in object.fields.iter().enumerate().filter(|(_, field)| field["cascadeDelete"] == true) {
            let one_row = object.rows.having(place, master).into_iter();
            let live = one_row.filter(|id| {
                object.rows.get(id).is_some_and(|row| row.deleted.is_none() && row.values.get(place) == Some(master))
            });
            details.extend(live.map(|id| (name.clone(), id)));
        }
    }
    details.into_iter().try_for_each(|(name, id)| delete(org, &name, &id, now))
}

fn read(org: &Org, name: &str, id: &str, fields: Option<&str>, version: &str) -> Answer {
    let (id, row) = live(org, name, id)?;
    let object = org.object(name).ok_or_else(Refusal::not_found)?;
    let all = || {
        let source_field = object
            .fields
            .iter()
            .filter_map(|field| field["name"].as_str())
            .filter(|name| !object.hidden_fields.contains(*name));
        ["Id", "IsDeleted", "CreatedDate", "LastModifiedDate", "SystemModstamp"]
            .into_iter()
            .chain(source_field)
            .map(str::to_owned)
            .collect()
    };
    let paths: Vec<String> =
        fields.map_or_else(all, |list| list.split(',').map(|name| name.trim().to_owned()).collect());
    let columns = columns(org, object, &paths).map_err(|wrong| wrong.refusal(""))?;
    let selected = Selected { columns, choices: Vec::new() };
    Ok(answers::text(200, record(org, object, &selected, &id, row, version)))
}

fn upsert(org: &mut Org, name: &str, field: &str, value: &str, values: &Values, now: i64) -> Answer {
    let object = org.object(name).ok_or_else(Refusal::not_found)?;
    let Some((Some(place), _)) = object.field(field) else {
        let message = format!("Provided external ID field does not exist or is not accessible: {field}");
        return Err(Refusal::new(404, "NOT_FOUND", message));
    };
    let held = |id: &String| {
        object.rows.get(id).is_some_and(|row| row.deleted.is_none() && row.values.get(place) == Some(value))
    };
    let found: Vec<String> = object.rows.having(place, value).into_iter().filter(held).collect();
    match found.as_slice() {
        [] => {
            let mut values = values.clone();
            values.insert(field.to_owned(), Some(value.to_owned()));
            let id = create(org, name, &values, now)?;
            Ok(answers::json(201, &json!({"id": id, "success": true, "errors": [], "created": true})))
        }
        [id] => {
            update(org, name, id, values, now)?;
            Ok(answers::json(200, &json!({"id": id, "success": true, "errors": [], "created": false})))
        }
        // The real service answers 300 with the places of all that match, and writes none.
        several => {
            let urls: Vec<Value> =
                several.iter().map(|id| format!("/services/data/v67.0/sobjects/{name}/{id}").into()).collect();
            Ok(answers::json(300, &Value::Array(urls)))
        }
    }
}
