//! Bodies of requests, decoded.

use serde::Deserialize;

use super::answers::Refusal;

/// Decodes a body; the error is that of the real parser in shape.
pub fn decode<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    // Once for the whole, instead of for every part that is kept as it stands.
    let text = std::str::from_utf8(body).map_err(|error| {
        Refusal::plain(400, format!("Invalid input JSON: Invalid UTF-8 after byte {}", error.valid_up_to()))
    })?;
    serde_json::from_str(text).map_err(|error| {
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
