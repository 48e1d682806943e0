//! The only file that names the YAML crate: text to values, values to structs, values to JSON for the schema checker.

use serde::de::DeserializeOwned;
use serde_yaml::Value;

/// Why a text is no YAML, with the place in bytes where that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YamlError {
    /// What is wrong.
    pub message: String,
    /// Byte offset.
    pub offset: Option<usize>,
}

/// Parses one document into the crate's own value, which refuses duplicate keys.
pub fn parse(text: &str) -> Result<Value, YamlError> {
    serde_yaml::from_str(text).map_err(|error| YamlError {
        offset: error.location().map(|location| location.index()),
        message: without_location(&error.to_string()),
    })
}

/// Decodes a checked value.
pub fn decode<T: DeserializeOwned>(value: Value) -> Result<T, YamlError> {
    serde_yaml::from_value(value).map_err(|error| YamlError { offset: None, message: error.to_string() })
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

/// A key as text.
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
pub fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The crate says the place in words as well, which our own carets show better.
fn without_location(message: &str) -> String {
    message.split(" at line ").next().unwrap_or(message).to_owned()
}
