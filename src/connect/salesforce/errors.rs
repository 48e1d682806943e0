//! Sorts what Salesforce answers when it does not do what it was asked: first into what to try, then into a `Fault`.

use serde::Deserialize;

use crate::connect::http::client::without_secrets;
use crate::ports::fault::{Fault, RemoteError};
use crate::sys::secrets::masked;

/// What a failed answer calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// A new token may cure it.
    Session,
    /// Passing: try again.
    Repeat,
    /// The org's daily calls are used up.
    Budget,
    /// The daily limit of the Bulk API alone is used up.
    BulkBudget,
    /// The Bulk API does not do this query; REST may.
    NotForBulk,
    /// The query runs too long in this form.
    TooSlow,
    /// The request is longer than the server takes; the same query in a body may pass.
    TooLong,
    /// The place inside a result is gone.
    PlaceLost,
    /// What was named does not exist or is not visible.
    Missing,
    /// Final.
    Halt,
}

/// A failed answer, sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiError {
    /// What it calls for.
    pub(super) action: Action,
    /// HTTP status.
    pub(super) status: u16,
    /// Salesforce's own code, where the body holds one.
    pub(super) error_code: Option<String>,
    /// What it says: the last line, shortened.
    pub(super) message: String,
}

/// A page of docs/errors, and what to do in one sentence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Advice {
    pub(super) code: &'static str,
    pub(super) help: &'static str,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Item {
    message: Option<String>,
    #[serde(alias = "exceptionCode")]
    error_code: Option<String>,
}

/// Longest message that is shown, in characters.
const MESSAGE_CHARACTERS_MAX: usize = 300;

/// Sorts an answer whose status is not a success. The body may be an array, an object, XML, HTML or nothing.
pub(super) fn classify(status: u16, body: &[u8]) -> ApiError {
    // First of all: Salesforce quotes pieces of the query, whose filter may hold anything.
    let body = &*without_secrets(body);
    let readable = serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
    let item = item(body).unwrap_or_default();
    let error_code = item.error_code.filter(|code| !code.is_empty());
    let message = last_line(&item.message.unwrap_or_default());
    // The APIs write the same code in different letter case, Bulk in one word.
    let code = error_code.as_deref().unwrap_or_default().to_ascii_uppercase();
    let action = action(status, &code, &message, readable);
    let message = if message.is_empty() { format!("HTTP status {status} without a readable reason") } else { message };
    ApiError { action, status, error_code, message }
}

/// The error in a body: of a list, the first one that holds a code.
fn item(body: &[u8]) -> Option<Item> {
    // REST answers with a list even for a single error.
    if let Ok(mut items) = serde_json::from_slice::<Vec<Item>>(body) {
        let first = items.iter().position(|item| item.error_code.is_some()).unwrap_or_default();
        return (first < items.len()).then(|| items.swap_remove(first));
    }
    // The decoder would take a list for the members in their order.
    if body.trim_ascii_start().first() == Some(&b'{') {
        // The Bulk API and the composite one answer with an object.
        return serde_json::from_slice::<Item>(body).ok().filter(|item| item.error_code.is_some());
    }
    // A proxy or an old endpoint answers in XML whatever was accepted.
    let text = std::str::from_utf8(body).ok()?;
    let part = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(part, _)| part.to_owned())
    };
    Some(Item { error_code: part("errorCode").or_else(|| part("exceptionCode")), message: part("message") })
        .filter(|item| item.error_code.is_some())
}

fn action(status: u16, code: &str, message: &str, readable: bool) -> Action {
    match (status, code) {
        (401, _) => session(message),
        // One code for "the day is used up" and "too many long requests just now"; the message tells.
        (_, "REQUEST_LIMIT_EXCEEDED") if message.to_ascii_lowercase().contains("concurrent") => Action::Repeat,
        (_, "REQUEST_LIMIT_EXCEEDED") => Action::Budget,
        (_, "INVALID_QUERY_LOCATOR" | "INVALIDQUERYLOCATOR" | "INVALIDLOCATOR") => Action::PlaceLost,
        // Salesforce ends a query after two minutes; the same one takes as long the next time.
        (_, "QUERY_TIMEOUT") => Action::TooSlow,
        (_, "SERVER_UNAVAILABLE" | "UNABLE_TO_LOCK_ROW" | "UNKNOWN_EXCEPTION") | (500..=599, _) => Action::Repeat,
        (_, "LIMIT_EXCEEDED" | "EXCEEDEDQUOTA") => Action::BulkBudget,
        // Base64 fields, compound fields and some objects: a plain query reads them.
        (_, "INVALIDENTITY" | "FUNCTIONALITY_NOT_ENABLED" | "FEATURENOTENABLED" | "API_ERROR") => Action::NotForBulk,
        (404, "NOT_FOUND" | "ENTITY_IS_DELETED") => Action::Missing,
        // The edge network answers with a page of its own while an org is in maintenance or moves.
        (404, _) | (301..=308, "") => Action::Repeat,
        (406 | 408 | 420 | 429, _) => Action::Repeat,
        (414 | 431, _) => Action::TooLong,
        // Salesforce gives its reasons in JSON: what holds none was cut, or made by something in between.
        (400 | 403, "") if !readable => Action::Repeat,
        // What is not known is shown to a person: repeating it could only use up calls.
        _ => Action::Halt,
    }
}

/// Two refusals share the status and the code of an expired session, and no new token cures them.
fn session(message: &str) -> Action {
    let lasting = ["not valid for use with the REST API", "not attached to Agent"];
    if lasting.iter().any(|text| message.contains(text)) { Action::Halt } else { Action::Session }
}

/// Messages about a query begin with a line break, a piece of the query and a caret; the reason is the last line.
fn last_line(message: &str) -> String {
    let message = masked(message);
    let line = message.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().take(MESSAGE_CHARACTERS_MAX).collect()
}

impl ApiError {
    /// The fault that the caller sees, once every repetition has been made.
    pub(super) fn fault(&self, operation: &str, attempts: u32) -> Fault {
        let advice = self.advice();
        let code = self.error_code.as_deref().map(|code| format!("{code}: ")).unwrap_or_default();
        let error = RemoteError {
            code: advice.code,
            service: SERVICE,
            operation: operation.to_owned(),
            status: Some(self.status),
            message: format!("{code}{}", self.message),
            help: Some(advice.help.to_owned()),
            request_id: None,
            attempts,
        };
        match self.action {
            Action::Repeat | Action::TooSlow => Fault::Retry(error),
            // A rolling day has no end that could be told.
            Action::Budget | Action::BulkBudget => Fault::Budget { error, resets_at: None },
            Action::PlaceLost => Fault::PlaceLost(error),
            Action::Session | Action::NotForBulk | Action::Missing | Action::TooLong | Action::Halt => {
                Fault::Halt(error)
            }
        }
    }

    fn advice(&self) -> Advice {
        let (code, help) = match (self.action, self.status, self.error_code.as_deref().unwrap_or_default()) {
            (Action::Session, ..) | (Action::Halt, 401, _) => (
                "SL4102",
                "check the user's session settings and the app's OAuth policies in Salesforce, then run again",
            ),
            (Action::Repeat, ..) => ("SL4103", "run again later; status.salesforce.com lists known incidents"),
            (Action::Budget, ..) => {
                ("SL4104", "run again later; calls become available as those made 24 hours ago stop counting")
            }
            (Action::BulkBudget, ..) => {
                ("SL4113", "run again later; Bulk jobs and volume count over a rolling 24 hours")
            }
            (Action::TooSlow, ..) => {
                ("SL4116", "narrow `source.where` with an indexed field, or run again when the org is less busy")
            }
            (Action::TooLong, ..) => ("SL4108", "map fewer fields in one pipeline, or shorten `source.where`"),
            (Action::PlaceLost, ..) => ("SL4109", "run again; the read starts from its beginning"),
            (Action::Missing, ..) | (_, _, "INVALID_TYPE") => (
                "SL4106",
                "check the object's spelling and the integration user's read permission on it; Salesforce does not tell which",
            ),
            (_, 403, _) | (_, _, "API_DISABLED_FOR_ORG" | "API_CURRENTLY_DISABLED" | "INSUFFICIENT_ACCESS") => (
                "SL4107",
                "give the integration user `API Enabled` and read access to the object, or ask Salesforce to enable the API",
            ),
            (_, 409 | 410, _) | (_, _, "UNSUPPORTED_API_VERSION") => {
                ("SL4111", "set a newer `api_version` on the connection; the org no longer serves this one")
            }
            (
                _,
                _,
                "MALFORMED_QUERY"
                | "INVALID_FIELD"
                | "INVALID_QUERY_FILTER_OPERATOR"
                | "QUERY_TOO_COMPLICATED"
                | "OPERATION_TOO_LARGE"
                | "MALFORMED_ID"
                | "NUMBER_OUTSIDE_VALID_RANGE"
                | "TXN_SECURITY_METERING_ERROR"
                | "EXTERNAL_OBJECT_EXCEPTION"
                | "API_ERROR"
                | "INVALIDENTITY",
            ) => (
                "SL4108",
                "check `source.where` and the mapped fields; a field that does not exist and one that the integration \
                 user may not read look the same",
            ),
            _ => ("SL4117", "run again; if it happens again, report it with this message"),
        };
        Advice { code, help }
    }
}

const SERVICE: &str = "Salesforce";

/// Code of answers that cannot be used.
pub(super) const UNUSABLE: &str = "SL4110";

/// A failure that is no answer of Salesforce.
pub(super) fn local(advice: Advice, operation: &str, message: impl Into<String>) -> RemoteError {
    RemoteError {
        code: advice.code,
        service: SERVICE,
        operation: operation.to_owned(),
        status: None,
        message: message.into(),
        help: Some(advice.help.to_owned()),
        request_id: None,
        attempts: 1,
    }
}

/// An answer that came whole by its status and is not what was asked for, after repetitions.
pub(super) fn unusable(operation: &str, message: impl Into<String>) -> RemoteError {
    local(
        Advice {
            code: UNUSABLE,
            help: "run again; if it happens again, look for a proxy that changes or cuts answers",
        },
        operation,
        message,
    )
}

/// A saved place that cannot be used any more.
pub(super) fn place_lost(operation: &str, message: impl Into<String>) -> Fault {
    Fault::PlaceLost(local(
        Advice { code: "SL4109", help: "run again; the read starts from its beginning" },
        operation,
        message,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, body: &str, action: Action, code: &str, message: &str) {
        let error = classify(status, body.as_bytes());
        assert_eq!(error.action, action, "{body}");
        let fault = error.fault("query Subscription__c", 3);
        let remote = match &fault {
            Fault::Retry(remote) | Fault::Halt(remote) | Fault::PlaceLost(remote) => remote,
            Fault::Budget { error, .. } => error,
            other => panic!("{other:?}"),
        };
        assert_eq!((remote.code, &*remote.message, remote.attempts), (code, message, 3), "{body}");
        assert_eq!(matches!(fault, Fault::Retry(_)), matches!(action, Action::Repeat | Action::TooSlow));
    }

    fn body(code: &str, message: &str) -> String {
        serde_json::json!([{"message": message, "errorCode": code}]).to_string()
    }

    #[test]
    fn answers_are_sorted() {
        let session = body("INVALID_SESSION_ID", "Session expired or invalid");
        check(401, &session, Action::Session, "SL4102", "INVALID_SESSION_ID: Session expired or invalid");
        let lasting = "This session is not valid for use with the REST API";
        check(
            401,
            &body("INVALID_SESSION_ID", lasting),
            Action::Halt,
            "SL4102",
            &format!("INVALID_SESSION_ID: {lasting}"),
        );
        let lasting = "Connected app is not attached to Agent";
        check(401, &body("X", lasting), Action::Halt, "SL4102", &format!("X: {lasting}"));
        let day = body("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.");
        check(403, &day, Action::Budget, "SL4104", "REQUEST_LIMIT_EXCEEDED: TotalRequests Limit exceeded.");
        for text in
            ["ConcurrentPerOrgLongTxn Limit exceeded.", "ConcurrentRequests (Concurrent API Requests) Limit exceeded."]
        {
            let now = body("REQUEST_LIMIT_EXCEEDED", text);
            check(403, &now, Action::Repeat, "SL4103", &format!("REQUEST_LIMIT_EXCEEDED: {text}"));
        }
        check(403, &body("API_DISABLED_FOR_ORG", "Off."), Action::Halt, "SL4107", "API_DISABLED_FOR_ORG: Off.");
        check(403, &body("INSUFFICIENT_ACCESS", "No."), Action::Halt, "SL4107", "INSUFFICIENT_ACCESS: No.");
        check(404, &body("NOT_FOUND", "Gone."), Action::Missing, "SL4106", "NOT_FOUND: Gone.");
        let nothing = |status| format!("HTTP status {status} without a readable reason");
        check(404, "<html>maintenance</html>", Action::Repeat, "SL4103", &nothing(404));
        check(406, "", Action::Repeat, "SL4103", &nothing(406));
        check(420, "<html></html>", Action::Repeat, "SL4103", &nothing(420));
        check(429, "[]", Action::Repeat, "SL4103", &nothing(429));
        check(503, &body("SERVER_UNAVAILABLE", "Busy."), Action::Repeat, "SL4103", "SERVER_UNAVAILABLE: Busy.");
        check(500, "{}", Action::Repeat, "SL4103", &nothing(500));
        check(410, &body("UNSUPPORTED_API_VERSION", "Old."), Action::Halt, "SL4111", "UNSUPPORTED_API_VERSION: Old.");
        check(409, "", Action::Halt, "SL4111", &nothing(409));
        check(414, "", Action::TooLong, "SL4108", &nothing(414));
        check(431, "<html>", Action::TooLong, "SL4108", &nothing(431));
        check(400, r#"{"error":"x"}"#, Action::Halt, "SL4117", &nothing(400));
    }

    #[test]
    fn answers_in_unusual_shapes_are_sorted() {
        let nothing = |status| format!("HTTP status {status} without a readable reason");
        check(302, "", Action::Repeat, "SL4103", &nothing(302));
        check(400, "", Action::Repeat, "SL4103", &nothing(400));
        check(400, "[]", Action::Halt, "SL4117", &nothing(400));
        check(403, "<html>blocked</html>", Action::Repeat, "SL4103", &nothing(403));
        let cut = &body("API_DISABLED_FOR_ORG", "Off.")[..20];
        check(403, cut, Action::Repeat, "SL4103", &nothing(403));
        let lower = r#"[{"errorCode":"request_limit_exceeded","message":null}]"#;
        check(403, lower, Action::Budget, "SL4104", &format!("request_limit_exceeded: {}", nothing(403)));
        let object = r#"{"message":"Gone.","errorCode":"NOT_FOUND","fields":[]}"#;
        check(404, object, Action::Missing, "SL4106", "NOT_FOUND: Gone.");
        let second = r#"[{"message":"first"},{"fields":null,"errorCode":"QUERY_TIMEOUT","message":"Slow."}]"#;
        check(400, second, Action::TooSlow, "SL4116", "QUERY_TIMEOUT: Slow.");
        let xml = "<?xml version=\"1.0\"?><Errors><Error><errorCode>INVALID_TYPE</errorCode><message>No X.</message></Error></Errors>";
        check(400, xml, Action::Halt, "SL4106", "INVALID_TYPE: No X.");
        check(500, &body("API_ERROR", "Broken."), Action::Repeat, "SL4103", "API_ERROR: Broken.");
        check(406, "<html>", Action::Repeat, "SL4103", &nothing(406));
    }

    #[test]
    fn query_errors_are_sorted() {
        let caret = "\nSELECT Id, Nope__c FROM Subscription__c\n           ^\nERROR at Row:1:Column:12\nNo such column 'Nope__c' on entity 'Subscription__c'.";
        let last = "INVALID_FIELD: No such column 'Nope__c' on entity 'Subscription__c'.";
        check(400, &body("INVALID_FIELD", caret), Action::Halt, "SL4108", last);
        check(
            400,
            &body("MALFORMED_QUERY", "\nunexpected token\n"),
            Action::Halt,
            "SL4108",
            "MALFORMED_QUERY: unexpected token",
        );
        check(400, &body("INVALID_TYPE", "sObject type 'X'"), Action::Halt, "SL4106", "INVALID_TYPE: sObject type 'X'");
        check(400, &body("QUERY_TIMEOUT", "Too long."), Action::TooSlow, "SL4116", "QUERY_TIMEOUT: Too long.");
        let locator = body("INVALID_QUERY_LOCATOR", "invalid query locator");
        check(400, &locator, Action::PlaceLost, "SL4109", "INVALID_QUERY_LOCATOR: invalid query locator");
        let entity = body("INVALIDENTITY", "Entity 'CaseStatus' is not supported by the Bulk API.");
        let expected = "INVALIDENTITY: Entity 'CaseStatus' is not supported by the Bulk API.";
        check(400, &entity, Action::NotForBulk, "SL4108", expected);
        let bulk = body("LIMIT_EXCEEDED", "Max bulk v2 query jobs (10000) per 24 hrs has been reached");
        let expected = "LIMIT_EXCEEDED: Max bulk v2 query jobs (10000) per 24 hrs has been reached";
        check(400, &bulk, Action::BulkBudget, "SL4113", expected);
    }
}
