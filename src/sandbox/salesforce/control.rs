//! The control API's actions: the sample world, and what only people, Apex or SOAP can do in a real org.

use serde_json::{Value, json};

use super::answers::{Refusal, parse_time};
use super::definitions::complete;
use super::describe::flags;
use super::org::{Object, Org, widen};
use super::records::{self, Values, blank};
use super::rows::Rows;

/// Carries out an action.
pub fn carry_out(org: &mut Org, action: &str, arguments: &Value, now: i64) -> Result<Value, String> {
    let text = |name: &str| arguments[name].as_str().map(str::to_owned).ok_or_else(|| format!("`{name}` is missing"));
    match action {
        "seed" => seed(org, arguments, now),
        "switches" => {
            let mut all = serde_json::to_value(&org.switches).unwrap_or_default();
            for (key, value) in arguments.as_object().into_iter().flatten() {
                all[key.as_str()] = value.clone();
            }
            org.switches = serde_json::from_value(all).map_err(|error| error.to_string())?;
            serde_json::to_value(&org.switches).map_err(|error| error.to_string())
        }
        "options" => {
            if let Some(limit) = arguments["daily_limit"].as_u64() {
                org.options.daily_limit = limit;
            }
            if let Some(millis) = arguments["visibility_delay_ms"].as_u64() {
                org.options.visibility_delay = std::time::Duration::from_millis(millis);
            }
            if let Some(millis) = arguments["token_lifetime_ms"].as_u64() {
                org.options.token_lifetime = std::time::Duration::from_millis(millis);
            }
            if let Some(token) = arguments["refresh_token"].as_str() {
                org.refresh_tokens.insert(token.to_owned());
            }
            if let Some(key) = arguments["jwt_public_key"].as_str() {
                org.options.jwt_public_key = Some(key.to_owned());
            }
            Ok(json!({}))
        }
        "expire_sessions" => {
            org.sessions.clear();
            Ok(json!({}))
        }
        "create" => {
            let id = records::create(org, &text("object")?, &values(&arguments["values"])?, now).map_err(words)?;
            Ok(json!({"id": id}))
        }
        "update" => {
            records::update(org, &text("object")?, &text("id")?, &values(&arguments["values"])?, now).map_err(words)?;
            Ok(json!({}))
        }
        "delete" => {
            records::delete(org, &text("object")?, &text("id")?, now).map_err(words)?;
            Ok(json!({}))
        }
        "undelete" | "purge" | "merge" | "stamp" => row_action(org, action, arguments, now),
        "hide" | "show" => {
            let field = text("field")?;
            let object = object_mut(org, &text("object")?)?;
            if action == "hide" {
                object.hidden_fields.insert(field)
            } else {
                object.hidden_fields.remove(&field)
            };
            Ok(json!({}))
        }
        "hide_rows" | "show_rows" => {
            let ids: Vec<String> =
                serde_json::from_value(arguments["ids"].clone()).map_err(|error| error.to_string())?;
            let object = object_mut(org, &text("object")?)?;
            for id in ids {
                if action == "hide_rows" {
                    object.hidden_rows.insert(id)
                } else {
                    object.hidden_rows.remove(&id)
                };
            }
            Ok(json!({}))
        }
        "add_field" | "rename_field" | "retype_field" | "remove_field" | "change_field" | "add_picklist_value" => {
            field_action(org, action, arguments)
        }
        "records" => {
            let object = org.object(&text("object")?).ok_or("there is no such object")?;
            let shown = object.rows.all().iter().map(|(id, row)| {
                let named = object.fields.iter().zip(&row.values);
                let values: serde_json::Map<String, Value> = named
                    .filter_map(|(field, value)| Some((field["name"].as_str()?.to_owned(), json!(value))))
                    .collect();
                json!({"id": id, "deleted": row.deleted.is_some(), "stamp": row.stamp, "values": values})
            });
            Ok(json!({"records": shown.collect::<Vec<_>>()}))
        }
        "fail_job" => {
            let job = org.jobs.get_mut(&text("id")?).ok_or("there is no such job")?;
            job.fail(arguments["error"].as_str().unwrap_or("InternalServerError : Retried more than fifteen times"));
            Ok(json!({}))
        }
        "drop_job" => {
            org.jobs.remove(&text("id")?).ok_or("there is no such job")?;
            Ok(json!({}))
        }
        "drop_cursors" => {
            org.cursors.clear();
            Ok(json!({}))
        }
        _ => Err(format!(
            "there is no action `{action}`; known are seed, switches, options, expire_sessions, create, update, delete, undelete, purge, merge, stamp, hide, show, hide_rows, show_rows, add_field, rename_field, retype_field, remove_field, change_field, add_picklist_value, records, fail_job, drop_job, drop_cursors"
        )),
    }
}

fn words(refusal: Refusal) -> String {
    format!("{}: {}", refusal.code, refusal.message)
}

fn object_mut<'a>(org: &'a mut Org, name: &str) -> Result<&'a mut Object, String> {
    org.objects.get_mut(&name.to_ascii_lowercase()).ok_or_else(|| format!("there is no object `{name}`"))
}

fn values(given: &Value) -> Result<Values, String> {
    records::decode(given.to_string().as_bytes()).map_err(words)
}

fn row_action(org: &mut Org, action: &str, arguments: &Value, now: i64) -> Result<Value, String> {
    let name = arguments["object"].as_str().unwrap_or_default().to_owned();
    let id =
        arguments["id"].as_str().or_else(|| arguments["master"].as_str()).and_then(widen).ok_or("`id` is missing")?;
    let stamp = now.div_euclid(1000) * 1000;
    let object = object_mut(org, &name)?;
    match action {
        "undelete" => {
            let mut row =
                object.rows.get(&id).filter(|row| row.deleted.is_some()).ok_or("it is not in the recycle bin")?.clone();
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
                row.values[place] = value.map(String::into_boxed_str);
            }
            row.stamp = arguments["stamp"].as_str().and_then(parse_time).ok_or("`stamp` is missing")?;
            row.visible = now;
            object.rows.put(id, row);
        }
        _ => {
            let losers: Vec<String> =
                serde_json::from_value(arguments["losers"].clone()).map_err(|error| error.to_string())?;
            for loser in losers {
                let mut row = object.rows.get(&loser).ok_or("there is no such loser")?.clone();
                (row.deleted, row.stamp, row.master) = (Some(now), stamp, Some(id.clone()));
                object.rows.put(loser.clone(), row);
                object.deletes.push((loser, now));
            }
        }
    }
    Ok(json!({}))
}

fn field_action(org: &mut Org, action: &str, arguments: &Value) -> Result<Value, String> {
    let object = object_mut(org, arguments["object"].as_str().unwrap_or_default())?;
    if action == "add_field" {
        object.fields.push(complete(&arguments["field"]));
        let blank = (arguments["field"]["type"] == "boolean").then(|| Box::from("false"));
        let rows: Vec<_> = object.rows.all().iter().map(|(id, row)| (id.clone(), row.clone())).collect();
        for (id, mut row) in rows {
            row.values.push(blank.clone());
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
        "rename_field" => object.fields[place]["name"] = arguments["to"].clone(),
        "retype_field" => {
            let kind = &arguments["type"];
            object.fields[place] =
                complete(&json!({"name": name, "type": kind, "label": object.fields[place]["label"]}));
        }
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
    let own = &arguments["org"];
    for (name, slot) in [
        ("client_id", &mut org.options.client_id),
        ("client_secret", &mut org.options.client_secret),
        ("username", &mut org.options.username),
    ] {
        if let Some(text) = own[name].as_str() {
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
            for (place, field) in object.fields.iter().enumerate() {
                let value = &given[field["name"].as_str().unwrap_or_default()];
                let text = match value {
                    Value::Null => continue,
                    Value::String(text) if field["type"] == "datetime" => {
                        parse_time(text).map(|millis| millis.to_string()).unwrap_or_default()
                    }
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                row.values[place] = Some(text.into());
            }
            let prefix = object.prefix().to_owned();
            let id = given["Id"].as_str().and_then(widen);
            let id = id.unwrap_or_else(|| org.new_id(&prefix));
            object_mut(org, name)?.rows.put(id, row);
        }
    }
    Ok(json!({}))
}
