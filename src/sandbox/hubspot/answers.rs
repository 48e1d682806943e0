//! Answers of the portal: JSON bodies, and errors with the members that the real ones have and lack.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::sandbox::http::Reply;

/// What a route gives: a reply, or a refusal.
pub type Answer = Result<Reply, Refusal>;

/// A refusal: status and body.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Its text.
    pub message: String,
    /// Its category; several real errors have none.
    pub category: Option<&'static str>,
    /// Its sub-category.
    pub sub_category: Option<&'static str>,
    /// Details by name.
    pub context: Map<String, Value>,
    /// Entries of `errors`.
    pub errors: Vec<Value>,
}

impl Refusal {
    /// A refusal without category.
    pub fn plain(status: u16, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status, message, category: None, sub_category: None, context: Map::new(), errors: Vec::new() }
    }

    /// 400 of category VALIDATION_ERROR.
    pub fn validation(message: impl Into<String>) -> Self {
        Self { category: Some("VALIDATION_ERROR"), ..Self::plain(400, message) }
    }

    /// 404 without category.
    pub fn not_found() -> Self {
        Self::plain(404, "resource not found")
    }

    /// Adds a detail.
    #[must_use]
    pub fn with(mut self, key: &str, values: &[&str]) -> Self {
        self.context.insert(key.to_owned(), json!(values));
        self
    }

    /// Sets the category.
    #[must_use]
    pub fn category(mut self, category: &'static str) -> Self {
        self.category = Some(category);
        self
    }

    /// Sets the sub-category.
    #[must_use]
    pub fn sub_category(mut self, sub_category: &'static str) -> Self {
        self.sub_category = Some(sub_category);
        self
    }

    /// The body, with a correlation id.
    pub fn body(&self, correlation: &str) -> Value {
        let mut body = Map::new();
        body.insert("status".to_owned(), "error".into());
        body.insert("message".to_owned(), self.message.as_str().into());
        body.insert("correlationId".to_owned(), correlation.into());
        if !self.context.is_empty() {
            body.insert("context".to_owned(), Value::Object(self.context.clone()));
        }
        if !self.errors.is_empty() {
            body.insert("errors".to_owned(), Value::Array(self.errors.clone()));
        }
        if let Some(category) = self.category {
            body.insert("category".to_owned(), category.into());
        }
        if let Some(sub_category) = self.sub_category {
            body.insert("subCategory".to_owned(), sub_category.into());
        }
        Value::Object(body)
    }

    /// The refusal as an entry of a batch's `errors`: nested errors that its text holds are in the text only. Nobody has seen
    /// how those look there that it does not hold.
    pub fn entry(&self, trace: Option<&str>) -> Value {
        let mut context = self.context.clone();
        // The trace id is the only sign of which input an entry is about.
        if let Some(trace) = trace {
            context.insert("objectWriteTraceId".to_owned(), json!([trace]));
        }
        let mut entry = json!({
            "status": "error",
            "category": self.category.unwrap_or("VALIDATION_ERROR"),
            "message": self.message,
            "context": context,
        });
        let held = |error: &Value| error["code"].as_str().is_some_and(|code| self.message.contains(code));
        if !self.errors.iter().all(held) {
            entry["errors"] = Value::Array(self.errors.clone());
        }
        entry
    }
}

/// A good answer.
pub fn json(status: u16, body: &Value) -> Reply {
    written(status, body.to_string())
}

/// A good answer whose JSON was written already.
pub fn written(status: u16, body: String) -> Reply {
    Reply::new(status, "application/json;charset=utf-8", body)
}

/// Writes a text as JSON.
pub fn push_text(out: &mut String, text: &str) {
    out.push('"');
    // Without a way out of the loop the compiler looks at many bytes at once; nearly all texts are plain.
    let special = text.bytes().fold(false, |found, byte| found | (byte < 0x20) | (byte == b'"') | (byte == b'\\'));
    if special {
        push_escaped(out, text)
    } else {
        out.push_str(text)
    }
    out.push('"');
}

fn push_escaped(out: &mut String, text: &str) {
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[plain_from..at]);
        plain_from = at + 1;
        if escape.is_empty() {
            let _ = write!(out, "\\u{byte:04x}");
        } else {
            out.push_str(escape);
        }
    }
    out.push_str(&text[plain_from..]);
}

/// Properties that every answer shows, with values of its own.
const DEFAULTS: [&str; 3] = ["hs_createdate", "hs_lastmodifieddate", "hs_object_id"];

/// How an answer begins the value of a property, with its name as JSON: `"name":`. None for one that every answer shows anyhow.
pub fn member(name: &str) -> Option<String> {
    if DEFAULTS.contains(&name) {
        return None;
    }
    let mut member = String::with_capacity(name.len() + 3);
    push_text(&mut member, name);
    member.push(':');
    Some(member)
}

/// Writes a time as HubSpot does, between quotes.
pub fn push_time(out: &mut String, millis: i64) {
    out.push('"');
    if let Ok(time) = jiff::Timestamp::from_millisecond(millis) {
        let time = jiff::tz::Offset::UTC.to_datetime(time);
        // Four of these stand in every record of an answer: the formatter of the standard library takes too long for them.
        push_digits(out, time.year(), 1_000);
        for (sign, part) in [('-', time.month()), ('-', time.day()), ('T', time.hour()), (':', time.minute())] {
            out.push(sign);
            push_digits(out, part.into(), 10);
        }
        out.push(':');
        push_digits(out, time.second().into(), 10);
        out.push('.');
        push_digits(out, time.millisecond(), 100);
        out.push('Z');
    }
    out.push('"');
}

/// Writes a number with as many digits as its greatest place has.
fn push_digits(out: &mut String, number: i16, greatest_place: i16) {
    let mut place = greatest_place;
    while place > 0 {
        let digit = u8::try_from(number.abs() / place % 10).unwrap_or_default();
        out.push(char::from(b'0' + digit));
        place /= 10;
    }
}

/// A time as HubSpot writes it.
pub fn time(millis: i64) -> String {
    let mut out = String::new();
    push_time(&mut out, millis);
    out.trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["", "plain", "\"quoted\" \\ \u{0}\u{1f}\n\r\t", "é🎉\u{7f}\u{2028}", "\\"] {
            let mut out = String::new();
            push_text(&mut out, text);
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text, "{out}");
        }
    }

    #[test]
    fn times_have_milliseconds() {
        assert_eq!(time(1_790_812_800_007), "2026-10-01T00:00:00.007Z");
        assert_eq!(time(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(time(i64::MAX), "");
    }
}
