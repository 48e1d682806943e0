//! Answers of the org: errors are arrays, but for the token endpoint's.

use serde_json::{Value, json};

use crate::sandbox::http::Reply;

/// What a route gives: a reply, or a refusal.
pub type Answer = Result<Reply, Refusal>;

/// A refusal: status, code, text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Error code.
    pub code: &'static str,
    /// Text.
    pub message: String,
    /// Fields at fault.
    pub fields: Vec<String>,
}

impl Refusal {
    /// A refusal.
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), fields: Vec::new() }
    }

    /// 404 NOT_FOUND.
    pub fn not_found() -> Self {
        Self::new(404, "NOT_FOUND", "The requested resource does not exist")
    }

    /// Names fields at fault.
    #[must_use]
    pub fn with_fields(mut self, fields: &[&str]) -> Self {
        self.fields = fields.iter().map(|field| (*field).to_owned()).collect();
        self
    }

    /// As one entry of an error array.
    pub fn entry(&self) -> Value {
        let mut entry = json!({"message": self.message, "errorCode": self.code});
        if !self.fields.is_empty() {
            entry["fields"] = json!(self.fields);
        }
        entry
    }

    /// The answer.
    pub fn reply(&self) -> Reply {
        json(self.status, &json!([self.entry()]))
    }
}

/// A good answer.
pub fn json(status: u16, body: &Value) -> Reply {
    text(status, body.to_string())
}

/// A good answer whose JSON was written already.
pub fn text(status: u16, body: String) -> Reply {
    Reply::new(status, "application/json;charset=UTF-8", body)
}

/// A time as the REST API writes it: whole seconds, an offset without a colon.
pub fn rest_time(millis: i64) -> String {
    // Salesforce stores whole seconds, and writes three zeros for the rest.
    written(millis, "%Y-%m-%dT%H:%M:%S.000+0000")
}

/// A time as Bulk results write it.
pub fn bulk_time(millis: i64) -> String {
    written(millis, "%Y-%m-%dT%H:%M:%S.000Z")
}

fn written(millis: i64, form: &str) -> String {
    jiff::Timestamp::from_millisecond(millis).map(|time| time.strftime(form).to_string()).unwrap_or_default()
}

/// A time of any form that Salesforce takes, in milliseconds.
pub fn parse_time(text: &str) -> Option<i64> {
    let fixed = match text.split_at_checked(text.len().checked_sub(5)?) {
        Some((head, "+0000")) => format!("{head}Z"),
        _ => text.to_owned(),
    };
    fixed.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}
