//! Values of a document: as structs, as JSON for the schema checker, and their keys in pointers.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_yaml::Value;

/// Decodes a checked value. Errors: what does not fit, in words.
pub fn decode<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_yaml::from_value(value).map_err(|error| error.to_string())
}

/// The same value as JSON, with keys as text.
pub fn to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Number(number) => number
            .as_i64()
            .map(Into::into)
            .or_else(|| number.as_u64().map(Into::into))
            .unwrap_or_else(|| number.as_f64().into()),
        Value::String(text) => text.as_str().into(),
        Value::Sequence(items) => items.iter().map(to_json).collect(),
        Value::Mapping(entries) => {
            serde_json::Value::Object(entries.iter().map(|(key, value)| (key_text(key), to_json(value))).collect())
        }
        Value::Tagged(tagged) => to_json(&tagged.value),
    }
}

/// A key as text; those of a document that was read here are texts already.
pub fn key_text(key: &Value) -> String {
    match key {
        Value::String(text) => text.clone(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Null => "null".to_owned(),
        Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_) => "?".to_owned(),
    }
}

/// A key as a part of a JSON pointer.
pub fn escape(key: &str) -> Cow<'_, str> {
    match key.contains(['~', '/']) {
        true => key.replace('~', "~0").replace('/', "~1").into(),
        false => key.into(),
    }
}
