//! How values stand in rows: ids as text, times as milliseconds, enums by their serde names.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row, Type};

use super::fault::{Fault, damaged};
use crate::model::ids::{HubspotId, SalesforceId};
use crate::sys::secrets::masked;

/// Milliseconds since 1970.
pub fn millis(time: Timestamp) -> i64 {
    time.as_millisecond()
}

/// The value of a column.
pub fn get<'r, T>(row: &'r PgRow, column: usize) -> Result<T, Fault>
where
    T: Decode<'r, Postgres> + Type<Postgres>,
{
    Ok(row.try_get(column)?)
}

/// A time from its column.
pub fn time(row: &PgRow, column: usize) -> Result<Timestamp, Fault> {
    Timestamp::from_millisecond(get(row, column)?).map_err(damaged)
}

/// A time that may be missing.
pub fn time_or_none(row: &PgRow, column: usize) -> Result<Option<Timestamp>, Fault> {
    let millis: Option<i64> = get(row, column)?;
    millis.map(|millis| Timestamp::from_millisecond(millis).map_err(damaged)).transpose()
}

/// A count from its column.
pub fn count(row: &PgRow, column: usize) -> Result<u64, Fault> {
    get::<i64>(row, column).map(i64::unsigned_abs)
}

/// A Salesforce id from its column.
pub fn salesforce_id(row: &PgRow, column: usize) -> Result<SalesforceId, Fault> {
    get::<&str>(row, column)?.parse().map_err(damaged)
}

/// A HubSpot id from its column.
pub fn hubspot_id(row: &PgRow, column: usize) -> Result<HubspotId, Fault> {
    get::<&str>(row, column).map(HubspotId::new)
}

/// A hash of fixed length from its column.
pub fn bytes<const N: usize>(row: &PgRow, column: usize) -> Result<[u8; N], Fault> {
    get::<&[u8]>(row, column)?.try_into().map_err(|_| damaged(format!("a hash has not {N} bytes")))
}

/// The serde name of a fieldless enum value.
pub fn name_of<T: Serialize>(value: &T) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The enum value of a serde name.
pub fn named<T: DeserializeOwned>(row: &PgRow, column: usize) -> Result<T, Fault> {
    serde_json::from_value(serde_json::Value::from(get::<&str>(row, column)?)).map_err(damaged)
}

/// A value stored as JSON.
pub fn json<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(damaged)
}

/// A value as JSON, to be stored; a secret that it quotes is not. PostgreSQL's JSON has no zero character.
pub fn to_json<T: Serialize>(value: &T) -> Result<String, Fault> {
    let text = serde_json::to_string(value).map_err(damaged)?;
    Ok(masked(&text).replace("\\u0000", "\\ufffd"))
}

/// A text as PostgreSQL can hold it: without zero bytes.
pub fn text(text: &str) -> String {
    masked(text).replace('\0', "\u{fffd}")
}

/// Ids as an array.
pub fn ids(ids: &[SalesforceId]) -> Vec<&str> {
    ids.iter().map(SalesforceId::as_str).collect()
}

/// Things by a key, in as many rounds as the most frequent key has things: a statement can change a row only once.
pub fn rounds<'a, T, K: Ord>(things: &'a [T], key: impl Fn(&'a T) -> K) -> Vec<BTreeMap<K, &'a T>> {
    let mut rounds: Vec<BTreeMap<K, &'a T>> = Vec::new();
    for thing in things {
        let key = key(thing);
        match rounds.iter_mut().find(|round| !round.contains_key(&key)) {
            Some(round) => drop(round.insert(key, thing)),
            None => rounds.push(BTreeMap::from([(key, thing)])),
        }
    }
    rounds
}

/// The most rows that an answer may have.
pub fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
