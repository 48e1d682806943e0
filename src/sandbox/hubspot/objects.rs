//! One record: reading, making, changing; and the rules that a write must keep.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::answers::{Refusal, time};
use super::portal::{ObjectType, Portal, Record};
use super::validations::broken;
use super::values::{accept, no_owner, owned, refusal};

/// An input of a write. Numbers keep all their digits.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Input {
    /// Record id, or a value of `idProperty`.
    pub id: Option<Box<RawValue>>,
    /// Unique property that `id` is a value of.
    pub id_property: Option<String>,
    /// Properties to set.
    pub properties: Option<BTreeMap<String, Box<RawValue>>>,
    /// The caller's name for this input.
    pub object_write_trace_id: Option<String>,
    /// Links to make, on create.
    pub associations: Option<Value>,
}

impl Input {
    /// The id as text.
    pub fn id(&self) -> Option<String> {
        scalar(self.id.as_deref()?).ok().flatten()
    }

    /// The properties as text; a null sets nothing.
    pub fn texts(&self) -> Result<BTreeMap<String, String>, Refusal> {
        let mut texts = BTreeMap::new();
        for (name, value) in self.properties.iter().flatten() {
            if let Some(text) = scalar(value)? {
                texts.insert(name.clone(), text);
            }
        }
        Ok(texts)
    }
}

/// A JSON scalar as text; none for null.
fn scalar(value: &RawValue) -> Result<Option<String>, Refusal> {
    let text = value.get().trim();
    match text.as_bytes().first() {
        Some(b'"') => serde_json::from_str(text)
            .map(Some)
            .map_err(|error| Refusal::plain(400, format!("Invalid input JSON: {error}"))),
        Some(b'n') => Ok(None),
        Some(b'[') => Err(not_text("Array value (token `JsonToken.START_ARRAY`)")),
        Some(b'{') => Err(not_text("Object value (token `JsonToken.START_OBJECT`)")),
        _ => Ok(Some(text.to_owned())),
    }
}

fn not_text(found: &str) -> Refusal {
    Refusal::plain(
        400,
        format!(
            "Invalid input JSON on line 1, column 42: Cannot deserialize value of type `java.lang.String` from {found}"
        ),
    )
}

/// A record as an answer shows it: the asked properties (null when blank) and the defaults.
pub fn show(id: u64, record: &Record, asked: &[String]) -> Value {
    let mut properties = Map::new();
    for name in asked {
        let value = record.properties.get(name).map_or(Value::Null, |value| value.as_str().into());
        properties.insert(name.clone(), value);
    }
    properties.insert("hs_createdate".to_owned(), time(record.created).into());
    properties.insert("hs_lastmodifieddate".to_owned(), time(record.updated).into());
    properties.insert("hs_object_id".to_owned(), id.to_string().into());
    let mut shown = json!({
        "id": id.to_string(),
        "properties": properties,
        "createdAt": time(record.created),
        "updatedAt": time(record.updated),
        "archived": record.archived.is_some(),
    });
    if let Some(at) = record.archived {
        shown["archivedAt"] = time(at).into();
    }
    shown
}

/// Names of the properties that a write answer shows.
pub fn written(texts: &BTreeMap<String, String>) -> Vec<String> {
    texts.keys().cloned().collect()
}

/// Makes a record.
pub fn create(portal: &mut Portal, type_id: &str, texts: &BTreeMap<String, String>, now: i64) -> Result<u64, Refusal> {
    let id = portal.next_id;
    let accepted = check(portal, type_id, id, texts, None)?;
    let object = portal.object(type_id)?;
    let missing: Vec<&str> = object
        .required
        .iter()
        .filter(|name| accepted.get(*name).is_none_or(String::is_empty))
        .map(String::as_str)
        .collect();
    if !missing.is_empty() {
        let message = format!("Error creating {}.  Some required properties were not set.", object.name);
        return Err(Refusal::validation(message).with("properties", &missing));
    }
    portal.next_id += 1 + portal.rng.below(3);
    let object = portal.object_mut(type_id)?;
    let properties = accepted.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let record = Record { properties, created: now, updated: now, archived: None, merged: Vec::new() };
    for (name, holders) in &mut object.holders {
        if let Some(value) = record.properties.get(name) {
            holders.insert(value.clone(), id);
        }
    }
    object.records.insert(id, record);
    Ok(id)
}

/// Changes a record.
pub fn update(
    portal: &mut Portal,
    type_id: &str,
    id: u64,
    texts: &BTreeMap<String, String>,
    now: i64,
) -> Result<(), Refusal> {
    let accepted = check(portal, type_id, id, texts, Some(id))?;
    let object = portal.object_mut(type_id)?;
    let Some(record) = object.records.get_mut(&id) else { return Err(Refusal::not_found()) };
    for (name, value) in accepted {
        let before = if value.is_empty() {
            record.properties.remove(&name)
        } else {
            record.properties.insert(name.clone(), value.clone())
        };
        if let Some(holders) = object.holders.get_mut(&name) {
            if let Some(before) = before.filter(|before| holders.get(before) == Some(&id)) {
                holders.remove(&before);
            }
            if !value.is_empty() {
                holders.insert(value, id);
            }
        }
    }
    record.updated = now;
    Ok(())
}

/// Checks values by type and by rule, uniqueness and conditional rules; nothing is changed.
fn check(
    portal: &Portal,
    type_id: &str,
    id: u64,
    texts: &BTreeMap<String, String>,
    existing: Option<u64>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let object = portal.object(type_id)?;
    let record = existing.and_then(|id| object.records.get(&id));
    let mut accepted = BTreeMap::new();
    let mut bad = Vec::new();
    for (name, text) in texts {
        let before = record.and_then(|record| record.properties.get(name)).map(String::as_str);
        match accept(object, name, text, before) {
            Ok(value) if owned(object, name) && !value.is_empty() && !portal.takes_owner(&value) => {
                bad.push(no_owner(name, value));
            }
            Ok(value) => {
                bad.extend(broken(object, name, &value));
                accepted.insert(name.clone(), value);
            }
            Err(found) => bad.push(found),
        }
    }
    if !bad.is_empty() {
        return Err(refusal(&bad, portal.options.portal_id));
    }
    for (name, value) in accepted.iter().filter(|(name, value)| !value.is_empty() && object.is_unique(name)) {
        if let Some(holder) = holder(portal, object, name, value).filter(|holder| Some(*holder) != existing) {
            return Err(clash(portal.options.portal_id, name, value, id, holder));
        }
    }
    conditional(portal, record, &accepted)?;
    Ok(accepted)
}

fn holder(portal: &Portal, object: &ObjectType, name: &str, value: &str) -> Option<u64> {
    let exact = object.holder(name, value);
    if exact.is_some() {
        return exact;
    }
    let switches = &portal.switches;
    if switches.unique_case_sensitive && switches.archived_frees_unique {
        return None;
    }
    let same =
        |own: &String| if switches.unique_case_sensitive { own == value } else { own.eq_ignore_ascii_case(value) };
    let counts = |record: &Record| record.archived.is_none() || !switches.archived_frees_unique;
    object
        .records
        .iter()
        .find(|(_, record)| counts(record) && record.properties.get(name).is_some_and(same))
        .map(|(id, _)| *id)
}

/// 400, not 409; the second id is the holder.
fn clash(portal_id: u64, name: &str, value: &str, id: u64, holder: u64) -> Refusal {
    Refusal::validation(format!(
        "Cannot set PropertyValueCoordinates{{portalId={portal_id}, objectTypeId=ObjectTypeId{{legacyObjectType=CUSTOM}}, \
         propertyName={name}, value={value}}} on {id}. {holder} already has that value."
    ))
}

/// Rules of admins: a property that is required when another has a value.
fn conditional(portal: &Portal, record: Option<&Record>, accepted: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let value = |name: &String| {
        let set = accepted.get(name).map(String::as_str);
        set.or_else(|| record?.properties.get(name).map(String::as_str)).unwrap_or_default()
    };
    for (property, other, when) in &portal.switches.conditional_required {
        if value(other) == when && value(property).is_empty() {
            let message = format!("{property} is required because of a conditional property rule based on [{other}]");
            let mut refusal = Refusal::validation("The property values provided are invalid");
            let context = json!({"propertyName": [property]});
            refusal.errors =
                vec![json!({"message": message, "code": "MISSING_CONDITIONAL_REQUIRED_PROPERTY", "context": context})];
            return Err(refusal);
        }
    }
    Ok(())
}

/// The active record that a path or input names, by id or by a unique property. Old ids of merged records still work.
pub fn find(object: &ObjectType, id: &str, id_property: Option<&str>) -> Option<u64> {
    match id_property {
        Some(property) => object.holder(property, id),
        None => {
            let number: u64 = id.parse().ok()?;
            let merged =
                || object.records.iter().find(|(_, record)| record.merged.contains(&number)).map(|(id, _)| *id);
            object.active(number).map(|_| number).or_else(merged).filter(|id| object.active(*id).is_some())
        }
    }
}
