//! A portal from what HubSpot's API said of one: the body of `GET /crm/v3/schemas`, alone or with bodies of
//! `GET /crm/v3/properties/{object}` beside it.

use serde_json::{Value, json};

use super::source::{LoadError, Source};
use crate::sandbox::options::{HUBSPOT_TOKEN, PORTAL_ID, USERNAME};

/// Reads a file. The seed goes to the HubSpot side as it is.
///
/// - `{"results": [schema, …]}`, as `GET /crm/v3/schemas` answers, or the list alone;
/// - `{"schemas": that, "properties": {"companies": {"results": [property, …]}}}`.
pub fn read(source: &Source) -> Result<Value, LoadError> {
    let file: Value = serde_json::from_str(&source.text).map_err(|error| source.json_error(&error))?;
    let whole = file.get("schemas").is_none() && file.get("properties").is_none();
    let schemas = if whole { list(source, &file, "schemas")? } else { named(source, &file, "schemas")? };
    for schema in &schemas {
        check(source, schema)?;
    }
    let mut properties = serde_json::Map::new();
    if let Some(listed) = file.get("properties").filter(|_| !whole) {
        let listed = listed.as_object().ok_or_else(|| {
            let line = source.line_of_json(&source.text, "properties");
            LoadError::at(&source.path, line, "`properties` must be an object: `{\"companies\": {\"results\": […]}}`")
        })?;
        for (object, body) in listed {
            let all = list(source, body, object)?;
            all.iter().try_for_each(|property| check_property(source, object, property))?;
            properties.insert(object.clone(), all.into());
        }
    }
    let mut portal = empty();
    portal["loaded_schemas"] = schemas.into();
    portal["properties"] = properties.into();
    Ok(portal)
}

/// A portal with the standard objects alone.
pub fn empty() -> Value {
    json!({"portal": {"portal_id": PORTAL_ID, "access_token": HUBSPOT_TOKEN, "time_zone": "Europe/Berlin"}})
}

/// Owners for the active users of an org, but for the integration user.
pub fn owners(org: &Value) -> Vec<Value> {
    let users = org["records"]["User"].as_array().into_iter().flatten();
    let people = users.filter(|user| user["Email"].is_string() && user["Username"] != USERNAME);
    let people = people.enumerate().map(|(place, user)| {
        let name = user["Name"].as_str().unwrap_or_default();
        let (first, last) = name.rsplit_once(' ').unwrap_or(("", name));
        let part = |key: &str, other: &str| user[key].as_str().unwrap_or(other).to_owned();
        json!({"email": user["Email"], "firstName": part("FirstName", first), "lastName": part("LastName", last),
            "userId": 9_586_504 + place, "archived": user["IsActive"] == false})
    });
    people.collect()
}

fn named(source: &Source, file: &Value, key: &str) -> Result<Vec<Value>, LoadError> {
    file.get(key).map_or_else(|| Ok(Vec::new()), |body| list(source, body, key))
}

/// The entries of an answer: a list, or `results` in an object.
fn list(source: &Source, body: &Value, what: &str) -> Result<Vec<Value>, LoadError> {
    let all = body.as_array().or_else(|| body["results"].as_array());
    all.cloned().ok_or_else(|| {
        let line = source.line_of_json(&source.text, what);
        LoadError::at(&source.path, line, format!("expected the `results` that HubSpot answers with, for `{what}`"))
    })
}

fn check(source: &Source, schema: &Value) -> Result<(), LoadError> {
    let name = schema["name"].as_str().filter(|name| !name.is_empty());
    let Some(name) = name else { return Err(LoadError::new(&source.path, "a schema has no `name`")) };
    let wrong = |message: String| LoadError::at(&source.path, source.line_of_json(&source.text, name), message);
    if schema["primaryDisplayProperty"].as_str().is_none() {
        return Err(wrong(format!("the schema `{name}` has no `primaryDisplayProperty`")));
    }
    let properties = schema["properties"].as_array().filter(|all| !all.is_empty()).ok_or_else(|| {
        wrong(format!("the schema `{name}` has no `properties`: ask for it without `includePropertyDefinitions=false`"))
    })?;
    properties.iter().try_for_each(|property| check_property(source, name, property))
}

fn check_property(source: &Source, object: &str, property: &Value) -> Result<(), LoadError> {
    let text = |key: &str| property[key].as_str().unwrap_or_default();
    let name = text("name");
    if name.is_empty() {
        let line = source.line_of_json(&source.text, object);
        return Err(LoadError::at(&source.path, line, format!("a property of `{object}` has no `name`")));
    }
    let wrong = |message: String| LoadError::at(&source.path, source.line_of_json(&source.text, name), message);
    // More than can be made: files come from real portals, whose own properties have more types.
    let kinds =
        ["string", "number", "bool", "enumeration", "date", "datetime", "phone_number", "object_coordinates", "json"];
    if !kinds.contains(&text("type")) {
        return Err(wrong(format!(
            "`{object}.{name}` has the unknown type `{}`; known are {}",
            text("type"),
            kinds.join(", ")
        )));
    }
    let mut seen = std::collections::HashSet::new();
    for option in property["options"].as_array().into_iter().flatten() {
        let Some(value) = option["value"].as_str() else {
            return Err(wrong(format!("`{object}.{name}` has an option without a `value`")));
        };
        if !seen.insert(value) {
            return Err(wrong(format!("`{object}.{name}` has the option `{value}` twice")));
        }
    }
    Ok(())
}
