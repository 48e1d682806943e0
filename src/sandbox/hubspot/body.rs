//! Bodies of requests, decoded.

use serde::Deserialize;

use super::answers::Refusal;

/// Decodes a body; the error is that of the real parser in shape.
pub fn decode<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| {
        let message = error.to_string();
        let missing = message
            .strip_prefix("missing field `")
            .and_then(|rest| rest.split_once('`'))
            .map(|(name, _)| name.to_owned());
        match missing {
            Some(name) => Refusal::plain(
                400,
                format!("Invalid input JSON on line 1, column 2. Some required fields were not set: [{name}]"),
            ),
            None => Refusal::plain(
                400,
                format!("Invalid input JSON on line {}, column {}: {message}", error.line(), error.column()),
            ),
        }
    })
}
