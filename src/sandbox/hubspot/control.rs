//! The control API's actions: the sample world, and what people do by hand in the portal.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::answers::Refusal;
use super::portal::{Portal, Record};
use super::schemas::find_type;
use super::{associations, objects, properties, rest, schemas, tokens, validations};

/// Carries out an action.
pub fn carry_out(portal: &mut Portal, action: &str, arguments: &Value, now: Timestamp) -> Result<Value, String> {
    let now = now.as_millisecond();
    let text = |name: &str| arguments[name].as_str().map(str::to_owned).ok_or_else(|| format!("`{name}` is missing"));
    let kind = |portal: &Portal| find_type(portal, &text("object")?).map_err(words);
    let id = || text("id")?.parse::<u64>().map_err(|_| "`id` is no number".to_owned());
    match action {
        "seed" => seed(portal, arguments, now),
        "switches" => {
            portal.switches =
                serde_json::from_value(merged(&portal.switches, arguments)).map_err(|error| error.to_string())?;
            serde_json::to_value(&portal.switches).map_err(|error| error.to_string())
        }
        "token" => tokens::grant(portal, arguments, now),
        "limits" => {
            let max = arguments["max"].as_u64().and_then(|max| u32::try_from(max).ok());
            portal.limits.set(max, arguments["daily"].as_u64());
            Ok(json!({}))
        }
        "records" => records(portal, &kind(portal)?),
        "archive" => {
            let (kind, id) = (kind(portal)?, id()?);
            Ok(json!({"archived": portal.object_mut(&kind).map_err(words)?.archive(id, now)}))
        }
        "merge" => {
            let other = text("merged")?.parse().map_err(|_| "`merged` is no number".to_owned())?;
            rest::merge_records(portal, &kind(portal)?, id()?, other, now).map_err(words)?;
            Ok(json!({}))
        }
        "create" => {
            let texts: BTreeMap<String, String> =
                serde_json::from_value(arguments["properties"].clone()).map_err(|error| error.to_string())?;
            let kind = kind(portal)?;
            let made = objects::create(portal, &kind, &texts, now).map_err(words)?;
            Ok(json!({"id": made.to_string()}))
        }
        "set" => {
            let texts: BTreeMap<String, String> =
                serde_json::from_value(arguments["properties"].clone()).map_err(|error| error.to_string())?;
            let (kind, id) = (kind(portal)?, id()?);
            objects::update(portal, &kind, id, &texts, now).map_err(words)?;
            Ok(json!({}))
        }
        "associate" => {
            let (from, to) =
                (find_type(portal, &text("from")?).map_err(words)?, find_type(portal, &text("to")?).map_err(words)?);
            let number = |name: &str| text(name)?.parse::<u64>().map_err(|_| format!("`{name}` is no number"));
            let (one, other) = ((from, number("from_id")?), (to, number("to_id")?));
            let mut types = portal.links.pair(&one, &other);
            types.extend(arguments["type_id"].as_u64());
            portal.links.set(&one, &other, &types);
            Ok(json!({}))
        }
        "limit_associations" => {
            let (from, to) =
                (find_type(portal, &text("from")?).map_err(words)?, find_type(portal, &text("to")?).map_err(words)?);
            portal.links.limit(
                &from,
                &to,
                arguments["type_id"].as_u64().unwrap_or_default(),
                arguments["max"].as_u64(),
            );
            Ok(json!({}))
        }
        "add_property" => {
            let kind = kind(portal)?;
            let property = &arguments["property"];
            properties::add(portal.object_mut(&kind).map_err(words)?, property, "information").map_err(words)
        }
        "archive_property" => {
            let (kind, name) = (kind(portal)?, text("property")?);
            Ok(json!({"archived": properties::archive(portal.object_mut(&kind).map_err(words)?, &name)}))
        }
        "change_property" => {
            let (kind, name) = (kind(portal)?, text("property")?);
            let own = portal.object_mut(&kind).map_err(words)?.properties.get_mut(&name);
            let own = own.ok_or_else(|| format!("there is no property `{name}`"))?;
            *own = merged(own, &arguments["set"]);
            Ok(json!({}))
        }
        "require" | "unrequire" => {
            let (kind, name) = (kind(portal)?, text("property")?);
            let required = &mut portal.object_mut(&kind).map_err(words)?.required;
            required.retain(|own| *own != name);
            if action == "require" {
                required.push(name);
            }
            Ok(json!({}))
        }
        "rule" => {
            let kind = kind(portal)?;
            validations::set(portal.object_mut(&kind).map_err(words)?, arguments)
        }
        "add_option" | "remove_option" => {
            let (kind, name, value) = (kind(portal)?, text("property")?, text("value")?);
            let object = portal.object_mut(&kind).map_err(words)?;
            let options = object.properties.get_mut(&name).and_then(|own| own["options"].as_array_mut());
            let options = options.ok_or_else(|| format!("there is no property `{name}` with options"))?;
            options.retain(|option| option["value"] != value.as_str());
            if action == "add_option" {
                options.push(json!({"label": value, "value": value, "displayOrder": options.len(), "hidden": false}));
            }
            Ok(json!({}))
        }
        _ => Err(format!(
            "there is no action `{action}`; known are seed, switches, token, limits, records, create, set, archive, merge, associate, limit_associations, add_property, archive_property, change_property, require, unrequire, rule, add_option, remove_option"
        )),
    }
}

fn words(refusal: Refusal) -> String {
    refusal.message
}

fn merged<T: serde::Serialize>(switches: &T, changes: &Value) -> Value {
    let mut all = serde_json::to_value(switches).unwrap_or_default();
    for (key, value) in changes.as_object().into_iter().flatten() {
        all[key.as_str()] = value.clone();
    }
    all
}

/// All records of an object with their links, for assertions.
fn records(portal: &Portal, kind: &str) -> Result<Value, String> {
    let object = portal.object(kind).map_err(words)?;
    let show = |(id, record): (&u64, &Record)| {
        let end = (kind.to_owned(), *id);
        let links: BTreeMap<&String, Vec<Value>> = portal
            .types
            .keys()
            .map(|to| {
                let linked = portal.links.of(&end, to);
                let named = linked.into_iter().map(|(other, types)| {
                    let labels: Vec<&str> = types
                        .iter()
                        .filter_map(|number| portal.links.find(kind, to, *number)?.label.as_deref())
                        .collect();
                    json!({"id": other.to_string(), "labels": labels})
                });
                (to, named.collect())
            })
            .filter(|(_, links): &(&String, Vec<Value>)| !links.is_empty())
            .collect();
        json!({"id": id.to_string(), "archived": record.archived.is_some(), "properties": record.properties, "associations": links})
    };
    Ok(json!({"records": object.records.iter().map(show).collect::<Vec<_>>()}))
}

/// Fills an empty portal: properties of standard objects, schemas, labels, records.
fn seed(portal: &mut Portal, arguments: &Value, now: i64) -> Result<Value, String> {
    let own = &arguments["portal"];
    if let Some(id) = own["portal_id"].as_u64() {
        portal.options.portal_id = id;
    }
    if let Some(token) = own["access_token"].as_str() {
        token.clone_into(&mut portal.options.access_token);
    }
    if let Some(zone) = own["time_zone"].as_str() {
        zone.clone_into(&mut portal.time_zone);
    }
    for (kind, list) in arguments["properties"].as_object().into_iter().flatten() {
        let id = find_type(portal, kind).map_err(words)?;
        for property in list.as_array().into_iter().flatten() {
            let object = portal.object_mut(&id).map_err(words)?;
            if let Some(name) = property["name"].as_str() {
                object.properties.remove(name);
            }
            properties::add(object, property, "information").map_err(words)?;
        }
    }
    for schema in arguments["schemas"].as_array().into_iter().flatten() {
        schemas::create(portal, schema, now).map_err(words)?;
    }
    for label in arguments["labels"].as_array().into_iter().flatten() {
        let end = |name: &str| find_type(portal, label[name].as_str().unwrap_or_default()).map_err(words);
        let (from, to) = (end("from")?, end("to")?);
        associations::add_label(portal, &from, &to, label.to_string().as_bytes()).map_err(words)?;
    }
    for (kind, list) in arguments["records"].as_object().into_iter().flatten() {
        let id = find_type(portal, kind).map_err(words)?;
        for record in list.as_array().into_iter().flatten() {
            place(portal, &id, record, now)?;
        }
    }
    for object in portal.types.values_mut() {
        object.index();
    }
    Ok(json!({}))
}

/// Puts a record in as it is; old records may break today's rules.
fn place(portal: &mut Portal, kind: &str, record: &Value, now: i64) -> Result<(), String> {
    let id = record["id"].as_str().and_then(|id| id.parse().ok()).unwrap_or(portal.next_id);
    portal.next_id = portal.next_id.max(id) + 1 + portal.rng.below(3);
    let created = record["createdAt"]
        .as_str()
        .and_then(|text| text.parse::<Timestamp>().ok())
        .map_or(now, Timestamp::as_millisecond);
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let properties = record["properties"].as_object().into_iter().flatten();
    let properties: BTreeMap<String, String> =
        properties.filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), text(value))).collect();
    let object = portal.object_mut(kind).map_err(words)?;
    object.records.insert(id, Record { properties, created, updated: created, archived: None, merged: Vec::new() });
    Ok(())
}
