//! The control API's actions: the sample world, and what people do by hand in the portal.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::answers::Refusal;
use super::portal::{Portal, Record};
use super::schemas::find_type;
use super::{associations, objects, properties, rest, schemas, tokens, validations};

/// What an action is given.
struct Words<'a> {
    arguments: &'a Value,
    now: i64,
}

/// What an action does.
type Action = fn(&mut Portal, &Words<'_>) -> Result<Value, String>;

/// All actions by name.
const ACTIONS: [(&str, Action); 21] = [
    ("seed", |portal, words| seed(portal, words.arguments, words.now)),
    ("switches", switches),
    ("token", |portal, words| tokens::grant(portal, words.arguments, words.now)),
    ("limits", limits),
    ("add_owner", add_owner),
    ("archive_owner", archive_owner),
    ("records", |portal, words| records(portal, &words.object(portal)?)),
    ("create", create),
    ("set", set),
    ("archive", archive),
    ("merge", merge),
    ("associate", associate),
    ("limit_associations", limit_associations),
    ("add_property", add_property),
    ("archive_property", archive_property),
    ("change_property", change_property),
    ("require", |portal, words| require(portal, words, true)),
    ("unrequire", |portal, words| require(portal, words, false)),
    ("rule", rule),
    ("add_option", |portal, words| option(portal, words, true)),
    ("remove_option", |portal, words| option(portal, words, false)),
];

/// Carries out an action.
pub fn carry_out(portal: &mut Portal, action: &str, arguments: &Value, now: Timestamp) -> Result<Value, String> {
    let words = Words { arguments, now: now.as_millisecond() };
    match ACTIONS.iter().find(|(name, _)| *name == action) {
        Some((_, act)) => act(portal, &words),
        None => {
            let known: Vec<&str> = ACTIONS.iter().map(|(name, _)| *name).collect();
            Err(format!("there is no action `{action}`; known are {}", known.join(", ")))
        }
    }
}

impl Words<'_> {
    fn text(&self, name: &str) -> Result<String, String> {
        self.arguments[name].as_str().map(str::to_owned).ok_or_else(|| format!("`{name}` is missing"))
    }

    fn number(&self, name: &str) -> Result<u64, String> {
        self.text(name)?.parse().map_err(|_| format!("`{name}` is no number"))
    }

    /// The type id of the object that is named.
    fn object(&self, portal: &Portal) -> Result<String, String> {
        self.end(portal, "object")
    }

    fn end(&self, portal: &Portal, name: &str) -> Result<String, String> {
        find_type(portal, &self.text(name)?).map_err(words)
    }

    fn properties(&self) -> Result<BTreeMap<String, String>, String> {
        serde_json::from_value(self.arguments["properties"].clone()).map_err(|error| error.to_string())
    }
}

fn switches(portal: &mut Portal, given: &Words<'_>) -> Result<Value, String> {
    let all = merged(&portal.switches, given.arguments);
    portal.switches = serde_json::from_value(all).map_err(|error| error.to_string())?;
    serde_json::to_value(&portal.switches).map_err(|error| error.to_string())
}

fn limits(portal: &mut Portal, given: &Words<'_>) -> Result<Value, String> {
    let max = given.arguments["max"].as_u64().and_then(|max| u32::try_from(max).ok());
    portal.limits.set(max, given.arguments["daily"].as_u64());
    Ok(json!({}))
}

fn add_owner(portal: &mut Portal, given: &Words<'_>) -> Result<Value, String> {
    let id = portal.owners.add(&given.arguments["owner"], given.now)?;
    Ok(json!({"id": id.to_string()}))
}

fn archive_owner(portal: &mut Portal, given: &Words<'_>) -> Result<Value, String> {
    Ok(json!({"archived": portal.owners.archive(given.number("id")?, given.now)}))
}

fn create(portal: &mut Portal, given: &Words<'_>) -> Result<Value, String> {
    let (texts, kind) = (given.properties()?, given.object(portal)?);
    let made = objects::create(portal, &kind, &texts, given.now).map_err(words)?;
    Ok(json!({"id": made.to_string()}))
}

fn set(portal: &mut Portal, given: &Words<'_>) -> Result<Value, String> {
    let (texts, kind) = (given.properties()?, given.object(portal)?);
    objects::update(portal, &kind, given.number("id")?, &texts, given.now).map_err(words)?;
    Ok(json!({}))
}

fn archive(portal: &mut Portal, given: &Words<'_>) -> Result<Value, String> {
    let (kind, id) = (given.object(portal)?, given.number("id")?);
    Ok(json!({"archived": portal.object_mut(&kind).map_err(words)?.archive(id, given.now)}))
}

fn merge(portal: &mut Portal, given: &Words<'_>) -> Result<Value, String> {
    let (kind, id, other) = (given.object(portal)?, given.number("id")?, given.number("merged")?);
    rest::merge_records(portal, &kind, id, other, given.now).map_err(words)?;
    Ok(json!({}))
}

fn associate(portal: &mut Portal, given: &Words<'_>) -> Result<Value, String> {
    let one = (given.end(portal, "from")?, given.number("from_id")?);
    let other = (given.end(portal, "to")?, given.number("to_id")?);
    let mut types = portal.links.pair(&one, &other);
    types.extend(given.arguments["type_id"].as_u64());
    portal.links.set(&one, &other, &types);
    Ok(json!({}))
}

fn limit_associations(portal: &mut Portal, given: &Words<'_>) -> Result<Value, String> {
    let (from, to) = (given.end(portal, "from")?, given.end(portal, "to")?);
    let number = given.arguments["type_id"].as_u64().unwrap_or_default();
    portal.links.limit(&from, &to, number, given.arguments["max"].as_u64());
    Ok(json!({}))
}

fn add_property(portal: &mut Portal, given: &Words<'_>) -> Result<Value, String> {
    let kind = given.object(portal)?;
    let object = portal.object_mut(&kind).map_err(words)?;
    properties::add(object, &given.arguments["property"], "information").map_err(words)
}

fn archive_property(portal: &mut Portal, given: &Words<'_>) -> Result<Value, String> {
    let (kind, name) = (given.object(portal)?, given.text("property")?);
    Ok(json!({"archived": properties::archive(portal.object_mut(&kind).map_err(words)?, &name)}))
}

fn change_property(portal: &mut Portal, given: &Words<'_>) -> Result<Value, String> {
    let (kind, name) = (given.object(portal)?, given.text("property")?);
    let own = portal.object_mut(&kind).map_err(words)?.properties.get_mut(&name);
    let own = own.ok_or_else(|| format!("there is no property `{name}`"))?;
    *own = merged(own, &given.arguments["set"]);
    Ok(json!({}))
}

fn require(portal: &mut Portal, given: &Words<'_>, required: bool) -> Result<Value, String> {
    let (kind, name) = (given.object(portal)?, given.text("property")?);
    let all = &mut portal.object_mut(&kind).map_err(words)?.required;
    all.retain(|own| *own != name);
    all.extend(required.then_some(name));
    Ok(json!({}))
}

fn rule(portal: &mut Portal, given: &Words<'_>) -> Result<Value, String> {
    let kind = given.object(portal)?;
    validations::set(portal.object_mut(&kind).map_err(words)?, given.arguments)
}

fn option(portal: &mut Portal, given: &Words<'_>, there: bool) -> Result<Value, String> {
    let (kind, name, value) = (given.object(portal)?, given.text("property")?, given.text("value")?);
    let object = portal.object_mut(&kind).map_err(words)?;
    let options = object.properties.get_mut(&name).and_then(|own| own["options"].as_array_mut());
    let options = options.ok_or_else(|| format!("there is no property `{name}` with options"))?;
    options.retain(|option| option["value"] != value.as_str());
    if there {
        options.push(json!({"label": value, "value": value, "displayOrder": options.len(), "hidden": false}));
    }
    Ok(json!({}))
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
    for owner in arguments["owners"].as_array().into_iter().flatten() {
        portal.owners.add(owner, now)?;
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
