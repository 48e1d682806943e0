//! How values stand in rows: ids as text, times as milliseconds, enums by their serde names.

use jiff::Timestamp;
use rusqlite::types::{FromSqlError, Type};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::ids::SalesforceId;
use crate::sys::secrets::masked;

/// Milliseconds since 1970.
pub fn millis(time: Timestamp) -> i64 {
    time.as_millisecond()
}

/// The time of so many milliseconds since 1970.
pub fn time(column: usize, millis: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_millisecond(millis)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Integer, Box::new(error)))
}

/// A Salesforce id from its column.
pub fn salesforce_id(column: usize, text: &str) -> rusqlite::Result<SalesforceId> {
    text.parse().map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

/// What a text stands for.
pub fn parsed<T: std::str::FromStr<Err = String>>(column: usize, text: &str) -> rusqlite::Result<T> {
    text.parse().map_err(|error: String| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into()))
}

/// The serde name of a fieldless enum value.
pub fn name_of<T: Serialize>(value: &T) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The enum value of a serde name.
pub fn named<T: DeserializeOwned>(column: usize, name: &str) -> rusqlite::Result<T> {
    serde_json::from_value(serde_json::Value::from(name)).map_err(|error| conversion(column, error))
}

/// A value stored as JSON.
pub fn json<T: DeserializeOwned>(column: usize, text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| conversion(column, error))
}

/// A value as JSON, to be stored; a secret that it quotes is not.
pub fn to_json<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    Ok(masked(&numbers_to_json(value)?).into_owned())
}

/// The same with what holds numbers only, so that it quotes none.
pub fn numbers_to_json<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// A hash of fixed length from its column.
pub fn bytes<const N: usize>(column: usize, blob: &[u8]) -> rusqlite::Result<[u8; N]> {
    blob.try_into().map_err(|_| {
        let error = FromSqlError::InvalidBlobSize { expected_size: N, blob_size: blob.len() };
        rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, Box::new(error))
    })
}

/// The ids as a JSON array, for `json_each`.
pub fn id_array(ids: &[SalesforceId]) -> String {
    let mut array = String::with_capacity(ids.len() * 21 + 2);
    array.push('[');
    for (index, id) in ids.iter().enumerate() {
        if index > 0 {
            array.push(',');
        }
        array.push('"');
        array.push_str(id.as_str());
        array.push('"');
    }
    array.push(']');
    array
}

fn conversion(column: usize, error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

/// A count from its column.
pub fn count(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|count| count.unsigned_abs())
}
