//! Answers of the portal: JSON bodies, and errors with the members that the real ones have and lack.

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
    Reply::new(status, "application/json;charset=utf-8", body.to_string())
}

/// A time as HubSpot writes it.
pub fn time(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis)
        .map(|time| time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
        .unwrap_or_default()
}
