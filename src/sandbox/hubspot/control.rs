//! The control API's actions: the sample world, and what people do by hand in the portal.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::answers::Refusal;
use super::objects::Undo;
use super::portal::Portal;
use super::schemas::find_type;
use super::{associations, oauth, objects, properties, rest, schemas, tokens, validations};

/// The arguments of an action, and when it is asked for.
struct Given<'a> {
    arguments: &'a Value,
    now: i64,
}

/// What an action does.
type Action = fn(&mut Portal, &Given<'_>) -> Result<Value, String>;

/// All actions by name.
const ACTIONS: [(&str, Action); 24] = [
    ("seed", |portal, given| seed(portal, given.arguments, given.now)),
    ("switches", switches),
    ("token", |portal, given| tokens::grant(portal, given.arguments, given.now)),
    ("app", |portal, given| oauth::install(portal, given.arguments)),
    ("register", |portal, given| oauth::register(portal, given.arguments)),
    ("limits", limits),
    ("add_owner", add_owner),
    ("archive_owner", archive_owner),
    ("records", |portal, given| records(portal, &given.object(portal)?)),
    ("create", create),
    ("set", set),
    ("archive", archive),
    ("merge", merge),
    ("associate", associate),
    ("disassociate", disassociate),
    ("limit_associations", limit_associations),
    ("add_property", add_property),
    ("archive_property", archive_property),
    ("change_property", change_property),
    ("require", |portal, given| require(portal, given, true)),
    ("unrequire", |portal, given| require(portal, given, false)),
    ("rule", rule),
    ("add_option", |portal, given| option(portal, given, true)),
    ("remove_option", |portal, given| option(portal, given, false)),
];

/// Carries out an action.
pub fn carry_out(portal: &mut Portal, action: &str, arguments: &Value, now: Timestamp) -> Result<Value, String> {
    let given = Given { arguments, now: now.as_millisecond() };
    match ACTIONS.iter().find(|(name, _)| *name == action) {
        Some((_, act)) => act(portal, &given),
        None => {
            let known: Vec<&str> = ACTIONS.iter().map(|(name, _)| *name).collect();
            Err(format!("there is no action `{action}`; known are {}", known.join(", ")))
        }
    }
}

impl Given<'_> {
    fn text(&self, name: &str) -> Result<String, String> {
        self.arguments[name].as_str().map(str::to_owned).ok_or_else(|| format!("`{name}` is missing"))
    }

    fn number(&self, name: &str) -> Result<u64, String> {
        self.text(name)?.parse().map_err(|_| format!("`{name}` is not a number"))
    }

    /// The type id of the object that is named.
    fn object(&self, portal: &Portal) -> Result<String, String> {
        self.end(portal, "object")
    }

    fn end(&self, portal: &Portal, name: &str) -> Result<String, String> {
        find_type(portal, &self.text(name)?).map_err(message)
    }

    fn properties(&self) -> Result<BTreeMap<String, String>, String> {
        serde_json::from_value(self.arguments["properties"].clone()).map_err(|error| error.to_string())
    }
}

fn switches(portal: &mut Portal, given: &Given<'_>) -> Result<Value, String> {
    let all = merged(&portal.switches, given.arguments);
    let rules = portal.switches.key_rules();
    portal.switches = serde_json::from_value(all).map_err(|error| error.to_string())?;
    // Only then: indexing the unique values of a million records takes seconds.
    if portal.switches.key_rules() != rules {
        let rules = portal.switches.key_rules();
        portal.types.values_mut().for_each(|object| object.set_keys(rules));
    }
    serde_json::to_value(&portal.switches).map_err(|error| error.to_string())
}

fn limits(portal: &mut Portal, given: &Given<'_>) -> Result<Value, String> {
    let max = given.arguments["max"].as_u64().and_then(|max| u32::try_from(max).ok());
    portal.limits.set(max, given.arguments["daily"].as_u64());
    Ok(json!({}))
}

fn add_owner(portal: &mut Portal, given: &Given<'_>) -> Result<Value, String> {
    let id = portal.owners.add(&given.arguments["owner"], given.now)?;
    Ok(json!({"id": id.to_string()}))
}

fn archive_owner(portal: &mut Portal, given: &Given<'_>) -> Result<Value, String> {
    Ok(json!({"archived": portal.owners.archive(given.number("id")?, given.now)}))
}

fn create(portal: &mut Portal, given: &Given<'_>) -> Result<Value, String> {
    let (texts, kind) = (given.properties()?, given.object(portal)?);
    // By the same way as a request, so that people meet the rules that clients do.
    let (columns, mut texts) = objects::texts_of(portal.object_mut(&kind).map_err(message)?, &texts);
    let made = objects::create(portal, &kind, (&columns, &mut texts), &mut Undo::new(), given.now).map_err(message)?;
    Ok(json!({"id": made.to_string()}))
}

fn set(portal: &mut Portal, given: &Given<'_>) -> Result<Value, String> {
    let (texts, kind) = (given.properties()?, given.object(portal)?);
    let id = given.number("id")?;
    let (columns, mut texts) = objects::texts_of(portal.object_mut(&kind).map_err(message)?, &texts);
    objects::update(portal, &kind, id, (&columns, &mut texts), &mut Undo::new(), given.now).map_err(message)?;
    Ok(json!({}))
}

fn archive(portal: &mut Portal, given: &Given<'_>) -> Result<Value, String> {
    let (kind, id) = (given.object(portal)?, given.number("id")?);
    Ok(json!({"archived": portal.object_mut(&kind).map_err(message)?.store.archive(id, given.now)}))
}

fn merge(portal: &mut Portal, given: &Given<'_>) -> Result<Value, String> {
    let (kind, id, other) = (given.object(portal)?, given.number("id")?, given.number("merged")?);
    rest::merge_records(portal, &kind, id, other, given.now).map_err(message)?;
    Ok(json!({}))
}

fn associate(portal: &mut Portal, given: &Given<'_>) -> Result<Value, String> {
    let one = (given.end(portal, "from")?, given.number("from_id")?);
    let other = (given.end(portal, "to")?, given.number("to_id")?);
    // In the portal's pages a label is added to those that stand; through the API a list replaces them.
    let mut types = portal.pairs.pair(&one, &other).to_vec();
    types.extend(given.arguments["type_id"].as_u64());
    portal.pairs.set(&one, &other, &types);
    Ok(json!({}))
}

fn disassociate(portal: &mut Portal, given: &Given<'_>) -> Result<Value, String> {
    let one = (given.end(portal, "from")?, given.number("from_id")?);
    let other = (given.end(portal, "to")?, given.number("to_id")?);
    portal.pairs.remove(&one, &other);
    Ok(json!({}))
}

fn limit_associations(portal: &mut Portal, given: &Given<'_>) -> Result<Value, String> {
    let (from, to) = (given.end(portal, "from")?, given.end(portal, "to")?);
    let number = given.arguments["type_id"].as_u64().unwrap_or_default();
    portal.pairs.limit(&from, &to, number, given.arguments["max"].as_u64());
    Ok(json!({}))
}

fn add_property(portal: &mut Portal, given: &Given<'_>) -> Result<Value, String> {
    let kind = given.object(portal)?;
    let rules = portal.switches.key_rules();
    let object = portal.object_mut(&kind).map_err(message)?;
    properties::load(object, &given.arguments["property"], rules, given.now).map_err(message)
}

fn archive_property(portal: &mut Portal, given: &Given<'_>) -> Result<Value, String> {
    let (kind, name) = (given.object(portal)?, given.text("property")?);
    let rules = portal.switches.key_rules();
    Ok(json!({"archived": properties::archive(portal.object_mut(&kind).map_err(message)?, &name, rules, given.now)}))
}

fn change_property(portal: &mut Portal, given: &Given<'_>) -> Result<Value, String> {
    let (kind, name) = (given.object(portal)?, given.text("property")?);
    let rules = portal.switches.key_rules();
    let object = portal.object_mut(&kind).map_err(message)?;
    let property = object.properties.change().get_mut(&name);
    let property = property.ok_or_else(|| format!("there is no property `{name}`"))?;
    *property = merged(property, &given.arguments["set"]);
    object.set_keys(rules);
    Ok(json!({}))
}

fn require(portal: &mut Portal, given: &Given<'_>, required: bool) -> Result<Value, String> {
    let (kind, name) = (given.object(portal)?, given.text("property")?);
    let all = &mut portal.object_mut(&kind).map_err(message)?.required;
    all.retain(|property| *property != name);
    all.extend(required.then_some(name));
    Ok(json!({}))
}

fn rule(portal: &mut Portal, given: &Given<'_>) -> Result<Value, String> {
    let kind = given.object(portal)?;
    validations::set(portal.object_mut(&kind).map_err(message)?, given.arguments)
}

fn option(portal: &mut Portal, given: &Given<'_>, there: bool) -> Result<Value, String> {
    let (kind, name, value) = (given.object(portal)?, given.text("property")?, given.text("value")?);
    let object = portal.object_mut(&kind).map_err(message)?;
    let options = object.properties.change().get_mut(&name).and_then(|property| property["options"].as_array_mut());
    let options = options.ok_or_else(|| format!("there is no property `{name}` with options"))?;
    // Taken out in either case, so that adding one twice leaves it once.
    options.retain(|option| option["value"] != value.as_str());
    if there {
        options.push(json!({"label": value, "value": value, "displayOrder": options.len(), "hidden": false}));
    }
    Ok(json!({}))
}

fn message(refusal: Refusal) -> String {
    refusal.message
}

fn merged<T: serde::Serialize>(switches: &T, changes: &Value) -> Value {
    let mut all = serde_json::to_value(switches).unwrap_or_default();
    for (key, value) in changes.as_object().into_iter().flatten() {
        all[key.as_str()] = value.clone();
    }
    all
}

/// All records of an object with their associations, for assertions.
fn records(portal: &Portal, kind: &str) -> Result<Value, String> {
    let object = portal.object(kind).map_err(message)?;
    let label = |to: &str, number: &u64| portal.pairs.find(kind, to, *number)?.label.clone();
    let show = |(id, record)| {
        let end = (kind.to_owned(), id);
        let mut associations = BTreeMap::new();
        for to in portal.types.keys() {
            // As HubSpot shows them: those with archived records are hidden.
            let there = |other: u64| portal.types.get(to).is_some_and(|object| object.active(other).is_some());
            let all = portal.pairs.of(&end, to, 0).filter(|(other, _)| there(*other)).map(|(other, types)| {
                let labels: Vec<String> = types.iter().filter_map(|number| label(to, number)).collect();
                json!({"id": other.to_string(), "labels": labels})
            });
            let all: Vec<Value> = all.collect();
            if !all.is_empty() {
                associations.insert(to, all);
            }
        }
        let properties: BTreeMap<&str, &str> = object.store.values(record).collect();
        json!({"id": id.to_string(), "archived": record.archived.is_some(), "properties": properties, "associations": associations})
    };
    Ok(json!({"records": object.store.from(0).map(show).collect::<Vec<_>>()}))
}

/// Fills an empty portal: properties of standard objects, schemas, labels, records.
fn seed(portal: &mut Portal, arguments: &Value, now: i64) -> Result<Value, String> {
    let settings = &arguments["portal"];
    if let Some(id) = settings["portal_id"].as_u64() {
        portal.options.portal_id = id;
    }
    if let Some(token) = settings["access_token"].as_str() {
        token.clone_into(&mut portal.options.access_token);
    }
    if let Some(zone) = settings["time_zone"].as_str() {
        zone.clone_into(&mut portal.time_zone);
    }
    for owner in arguments["owners"].as_array().into_iter().flatten() {
        portal.owners.add(owner, now)?;
    }
    // Objects before properties, and both before records: each is looked up by those that follow.
    schemas::load(portal, arguments["loaded_schemas"].as_array().map_or(&[], Vec::as_slice), now).map_err(message)?;
    for (kind, list) in arguments["properties"].as_object().into_iter().flatten() {
        let id = find_type(portal, kind).map_err(message)?;
        for property in list.as_array().into_iter().flatten() {
            let rules = portal.switches.key_rules();
            let object = portal.object_mut(&id).map_err(message)?;
            // A file may describe a standard property in its own way.
            if let Some(name) = property["name"].as_str() {
                object.properties.change().remove(name);
            }
            properties::load(object, property, rules, now).map_err(message)?;
        }
    }
    for schema in arguments["schemas"].as_array().into_iter().flatten() {
        schemas::create(portal, schema, now).map_err(message)?;
    }
    for label in arguments["labels"].as_array().into_iter().flatten() {
        let end = |name: &str| find_type(portal, label[name].as_str().unwrap_or_default()).map_err(message);
        let (from, to) = (end("from")?, end("to")?);
        associations::add_label(portal, &from, &to, label.to_string().as_bytes()).map_err(message)?;
    }
    for (kind, list) in arguments["records"].as_object().into_iter().flatten() {
        let id = find_type(portal, kind).map_err(message)?;
        for record in list.as_array().into_iter().flatten() {
            place(portal, &id, record, now)?;
        }
    }
    Ok(json!({}))
}

/// Puts a record in as it is; old records may break today's rules.
fn place(portal: &mut Portal, kind: &str, record: &Value, now: i64) -> Result<(), String> {
    let id = record["id"].as_str().and_then(|id| id.parse().ok()).unwrap_or(portal.next_id);
    // Ids with gaps, as real ones have: a client that counts on is found out.
    portal.next_id = portal.next_id.max(id) + 1 + portal.rng.below(3);
    let created = record["createdAt"]
        .as_str()
        .and_then(|text| text.parse::<Timestamp>().ok())
        .map_or(now, Timestamp::as_millisecond);
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let properties = record["properties"].as_object().into_iter().flatten();
    let properties: BTreeMap<String, String> =
        properties.filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), text(value))).collect();
    let values = properties.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    portal.object_mut(kind).map_err(message)?.store.place(id, values, created);
    Ok(())
}
