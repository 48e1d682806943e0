//! What the name of an object tells of it.

use serde_json::{Value, json};

/// An object's kind, by the end of its name.
pub fn flags(name: &str) -> Value {
    match name.rsplit_once("__").map(|(_, end)| end) {
        // Events are sent, never read.
        Some("e") => json!({"custom": true, "queryable": false, "replicateable": false, "retrieveable": false,
            "updateable": false, "deletable": false, "undeletable": false, "searchable": false}),
        Some("mdt") => json!({"custom": true, "createable": false, "updateable": false, "deletable": false,
            "undeletable": false, "replicateable": false}),
        Some("x" | "b") => json!({"custom": true, "replicateable": false, "undeletable": false, "searchable": false}),
        Some("c") => json!({"custom": true}),
        _ => json!({"custom": false}),
    }
}

/// Whether the name is one that an org's administrators made.
pub fn is_custom(name: &str) -> bool {
    flags(name)["custom"] == true
}

/// The first three characters of a custom object's ids.
pub fn key_prefix(name: &str, place: usize) -> String {
    const DIGITS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let start = match name.rsplit_once("__").map(|(_, end)| end) {
        Some("mdt") => 'm',
        Some("e") => 'e',
        Some("x") => 'x',
        _ => 'a',
    };
    let digit = |number: usize| char::from(DIGITS[number % 36]);
    // Two digits of base 36: room for 1,296 objects, more than an org may have.
    format!("{start}{}{}", digit(place / 36), digit(place))
}
