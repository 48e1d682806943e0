//! The control API's actions: the sample world, and what only people, Apex or SOAP can do in a real org.

use serde_json::{Value, json};

use super::answers::{Refusal, parse_time};
use super::definitions::complete;
use super::describe::flags;
use super::org::{Object, Org, widen};
use super::records::{self, Values, blank};
use super::rows::Rows;

/// What an action is given.
struct Given<'a> {
    arguments: &'a Value,
    now: i64,
}

/// What an action does.
type Action = fn(&mut Org, &Given<'_>) -> Result<Value, String>;

/// All actions by name.
const ACTIONS: [(&str, Action); 25] = [
    ("seed", |org, given| seed(org, given.arguments, given.now)),
    ("switches", switches),
    ("options", options),
    ("expire_sessions", |org, _| {
        org.sessions.clear();
        Ok(json!({}))
    }),
    ("create", create),
    ("update", update),
    ("delete", delete),
    ("undelete", |org, given| row_action(org, "undelete", given)),
    ("purge", |org, given| row_action(org, "purge", given)),
    ("merge", |org, given| row_action(org, "merge", given)),
    ("stamp", |org, given| row_action(org, "stamp", given)),
    ("hide", |org, given| hide_field(org, given, true)),
    ("show", |org, given| hide_field(org, given, false)),
    ("hide_rows", |org, given| hide_rows(org, given, true)),
    ("show_rows", |org, given| hide_rows(org, given, false)),
    ("add_field", |org, given| field_action(org, "add_field", given.arguments)),
    ("rename_field", |org, given| field_action(org, "rename_field", given.arguments)),
    ("retype_field", |org, given| field_action(org, "retype_field", given.arguments)),
    ("remove_field", |org, given| field_action(org, "remove_field", given.arguments)),
    ("change_field", |org, given| field_action(org, "change_field", given.arguments)),
    ("add_picklist_value", |org, given| field_action(org, "add_picklist_value", given.arguments)),
    ("records", rows_of),
    ("fail_job", fail_job),
    ("drop_job", |org, given| {
        org.jobs.remove(&given.text("id")?).ok_or("there is no such job")?;
        Ok(json!({}))
    }),
    ("drop_cursors", |org, _| {
        org.cursors.clear();
        Ok(json!({}))
    }),
];

/// Carries out an action.
pub fn carry_out(org: &mut Org, action: &str, arguments: &Value, now: i64) -> Result<Value, String> {
    match ACTIONS.iter().find(|(name, _)| *name == action) {
        Some((_, act)) => act(org, &Given { arguments, now }),
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
}

fn switches(org: &mut Org, given: &Given<'_>) -> Result<Value, String> {
    // By way of JSON, so that a request names only the switches that it turns.
    let mut all = serde_json::to_value(&org.switches).unwrap_or_default();
    for (key, value) in given.arguments.as_object().into_iter().flatten() {
        all[key.as_str()] = value.clone();
    }
    org.switches = serde_json::from_value(all).map_err(|error| error.to_string())?;
    serde_json::to_value(&org.switches).map_err(|error| error.to_string())
}

fn options(org: &mut Org, given: &Given<'_>) -> Result<Value, String> {
    let duration = |name: &str| given.arguments[name].as_u64().map(std::time::Duration::from_millis);
    if let Some(limit) = given.arguments["daily_limit"].as_u64() {
        org.options.daily_limit = limit;
    }
    if let Some(delay) = duration("visibility_delay_ms") {
        org.options.visibility_delay = delay;
    }
    if let Some(lifetime) = duration("token_lifetime_ms") {
        org.options.token_lifetime = lifetime;
    }
    if let Some(token) = given.arguments["refresh_token"].as_str() {
        org.refresh_tokens.insert(token.to_owned());
    }
    if let Some(uri) = given.arguments["redirect_uri"].as_str() {
        org.redirect_uris.insert(uri.to_owned());
    }
    if let Some(key) = given.arguments["jwt_public_key"].as_str() {
        org.options.jwt_public_key = Some(key.to_owned());
    }
    Ok(json!({}))
}

fn create(org: &mut Org, given: &Given<'_>) -> Result<Value, String> {
    // By the same way as a request, so that people meet the rules that clients do.
    let id = records::create(org, &given.text("object")?, &values(&given.arguments["values"])?, given.now);
    Ok(json!({"id": id.map_err(message)?}))
}

fn update(org: &mut Org, given: &Given<'_>) -> Result<Value, String> {
    let values = values(&given.arguments["values"])?;
    records::update(org, &given.text("object")?, &given.text("id")?, &values, given.now).map_err(message)?;
    Ok(json!({}))
}

fn delete(org: &mut Org, given: &Given<'_>) -> Result<Value, String> {
    records::delete(org, &given.text("object")?, &given.text("id")?, given.now).map_err(message)?;
    Ok(json!({}))
}

fn hide_field(org: &mut Org, given: &Given<'_>, hidden: bool) -> Result<Value, String> {
    let field = given.text("field")?;
    let object = object_mut(org, &given.text("object")?)?;
    if hidden {
        object.hidden_fields.insert(field)
    } else {
        object.hidden_fields.remove(&field)
    };
    Ok(json!({}))
}

fn hide_rows(org: &mut Org, given: &Given<'_>, hidden: bool) -> Result<Value, String> {
    let ids: Vec<String> = serde_json::from_value(given.arguments["ids"].clone()).map_err(|error| error.to_string())?;
    let object = object_mut(org, &given.text("object")?)?;
    for id in ids {
        if hidden {
            object.hidden_rows.insert(id)
        } else {
            object.hidden_rows.remove(&id)
        };
    }
    Ok(json!({}))
}

fn rows_of(org: &mut Org, given: &Given<'_>) -> Result<Value, String> {
    let object = org.object(&given.text("object")?).ok_or("there is no such object")?;
    let shown = object.rows.all().iter().map(|(id, row)| {
        let named = object.fields.iter().zip(row.values.iter());
        let values: serde_json::Map<String, Value> =
            named.filter_map(|(field, value)| Some((field["name"].as_str()?.to_owned(), json!(value)))).collect();
        json!({"id": id, "deleted": row.deleted.is_some(), "stamp": row.stamp, "values": values})
    });
    Ok(json!({"records": shown.collect::<Vec<_>>()}))
}

fn fail_job(org: &mut Org, given: &Given<'_>) -> Result<Value, String> {
    let job = org.jobs.get_mut(&given.text("id")?).ok_or("there is no such job")?;
    job.fail(given.arguments["error"].as_str().unwrap_or("InternalServerError : Retried more than fifteen times"));
    Ok(json!({}))
}

fn message(refusal: Refusal) -> String {
    format!("{}: {}", refusal.code, refusal.message)
}

fn object_mut<'a>(org: &'a mut Org, name: &str) -> Result<&'a mut Object, String> {
    org.objects.get_mut(&name.to_ascii_lowercase()).ok_or_else(|| format!("there is no object `{name}`"))
}

fn values(given: &Value) -> Result<Values, String> {
    records::decode(given.to_string().as_bytes()).map_err(message)
}

fn row_action(org: &mut Org, action: &str, given: &Given<'_>) -> Result<Value, String> {
    let Given { arguments, now } = *given;
    let name = arguments["object"].as_str().unwrap_or_default().to_owned();
    let id =
        arguments["id"].as_str().or_else(|| arguments["master"].as_str()).and_then(widen).ok_or("`id` is missing")?;
    // Stamps have whole seconds.
    let stamp = now.div_euclid(1000) * 1000;
    let object = object_mut(org, &name)?;
    match action {
        "undelete" => {
            let mut row =
                object.rows.get(&id).filter(|row| row.deleted.is_some()).ok_or("it is not in the recycle bin")?.clone();
            // A restored row has a new stamp, so that a client which reads by stamp sees it again.
            (row.deleted, row.stamp, row.master) = (None, stamp, None);
            object.rows.put(id, row);
        }
        "purge" => drop(object.rows.purge(&id).ok_or("there is no such row")?),
        "stamp" => {
            let mut row = object.rows.get(&id).cloned().unwrap_or_else(|| blank(object, now));
            for (field, value) in values(&arguments["values"])? {
                let (Some(place), _) = object.field(&field).ok_or_else(|| format!("there is no field `{field}`"))?
                else {
                    continue;
                };
                row.values.set(place, value.as_deref());
            }
            row.stamp = arguments["stamp"].as_str().and_then(parse_time).ok_or("`stamp` is missing")?;
            row.visible = now;
            object.rows.put(id, row);
        }
        _ => {
            let losers: Vec<String> =
                serde_json::from_value(arguments["losers"].clone()).map_err(|error| error.to_string())?;
            for loser in losers {
                let mut row = object.rows.get(&loser).ok_or("there is no such record to merge")?.clone();
                // A merge deletes the losers, and notes the winner in them.
                (row.deleted, row.stamp, row.master) = (Some(now), stamp, Some(id.clone()));
                object.rows.put(loser.clone(), row);
                object.deletes.push((loser, now));
            }
        }
    }
    Ok(json!({}))
}

/// Whether two names are one: letter case does not count.
fn same(one: &Value, other: &Value) -> bool {
    one.as_str().zip(other.as_str()).is_some_and(|(one, other)| one.eq_ignore_ascii_case(other))
}

fn field_action(org: &mut Org, action: &str, arguments: &Value) -> Result<Value, String> {
    let object = object_mut(org, arguments["object"].as_str().unwrap_or_default())?;
    if action == "add_field" {
        // One, or a list: each time all rows are written anew.
        let fields = arguments["fields"].as_array().map_or(std::slice::from_ref(&arguments["field"]), Vec::as_slice);
        // As Salesforce does: two fields of one name could not be told apart.
        let named = |name: &Value| object.fields.iter().any(|field| same(&field["name"], name));
        if let Some(twice) = fields.iter().find(|field| named(&field["name"])) {
            return Err(format!("{} already has a field {}", arguments["object"], twice["name"]));
        }
        object.fields.extend(fields.iter().map(complete));
        let rows: Vec<_> = object.rows.all().iter().map(|(id, row)| (id.clone(), row.clone())).collect();
        object.numbered = 0;
        for (id, mut row) in rows {
            // Checkboxes are never blank: rows that were there get `false`.
            fields.iter().for_each(|field| row.values.push((field["type"] == "boolean").then_some("false")));
            object.number(&mut row);
            object.rows.put(id, row);
        }
        return Ok(json!({}));
    }
    let name = arguments["field"].as_str().unwrap_or_default();
    let place = object
        .fields
        .iter()
        .position(|field| field["name"] == name)
        .ok_or_else(|| format!("there is no field `{name}`"))?;
    match action {
        // The values stay with the field, as rows hold them by its place.
        "rename_field" => object.fields[place]["name"] = arguments["to"].clone(),
        "retype_field" => {
            let kind = &arguments["type"];
            object.fields[place] =
                complete(&json!({"name": name, "type": kind, "label": object.fields[place]["label"]}));
        }
        // Hidden and not removed: to the integration user the two look the same.
        "remove_field" => drop(object.hidden_fields.insert(name.to_owned())),
        "change_field" => merge(&mut object.fields[place], &arguments["set"])?,
        _ => {
            let value = json!({"value": arguments["value"], "label": arguments["value"], "active": true, "defaultValue": false});
            object.fields[place]["picklistValues"].as_array_mut().ok_or("it is no picklist")?.push(value);
        }
    }
    Ok(json!({}))
}

/// Gives some members of a definition another value.
fn merge(definition: &mut Value, changes: &Value) -> Result<(), String> {
    let changes = changes.as_object().ok_or("`set` is missing: an object with the members that change")?;
    for (key, value) in changes {
        definition[key.as_str()] = value.clone();
    }
    Ok(())
}

/// Fills an empty org.
fn seed(org: &mut Org, arguments: &Value, now: i64) -> Result<Value, String> {
    let settings = &arguments["org"];
    for (name, slot) in [
        ("client_id", &mut org.options.client_id),
        ("client_secret", &mut org.options.client_secret),
        ("username", &mut org.options.username),
    ] {
        if let Some(text) = settings[name].as_str() {
            text.clone_into(slot);
        }
    }
    for given in arguments["objects"].as_array().into_iter().flatten() {
        let fields = given["fields"].as_array().into_iter().flatten().map(complete).collect();
        let object = Object { definition: flags(given), fields, rows: Rows::default(), ..Object::default() };
        org.objects.insert(object.name().to_ascii_lowercase(), object);
    }
    for (name, rows) in arguments["records"].as_object().into_iter().flatten() {
        for given in rows.as_array().into_iter().flatten() {
            let object = object_mut(org, name)?;
            let mut row = blank(object, now);
            let time = |name: &str, usual: i64| given[name].as_str().and_then(parse_time).unwrap_or(usual);
            row.created = time("CreatedDate", row.created);
            row.stamp = time("SystemModstamp", row.created);
            row.modified = row.stamp;
            // The sample world was there before anybody looked.
            row.visible = i64::MIN;
            let value = |(place, field): (usize, &Value)| match &given[field["name"].as_str().unwrap_or_default()] {
                Value::Null => row.values.get(place).map(str::to_owned),
                Value::String(text) if field["type"] == "datetime" => {
                    Some(parse_time(text).map(|millis| millis.to_string()).unwrap_or_default())
                }
                Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            };
            row.values = object.fields.iter().enumerate().map(value).collect::<Vec<_>>().into();
            object.number(&mut row);
            let prefix = object.prefix().to_owned();
            let id = given["Id"].as_str().and_then(widen);
            let id = id.unwrap_or_else(|| org.new_id(&prefix));
            object_mut(org, name)?.rows.put(id, row);
        }
    }
    Ok(json!({}))
}
