//! HubSpot's errors, sorted: what may be tried again, what needs a person, and what is wrong with a record.

use serde_json::Value;

use super::wire::{EmbeddedError, ErrorBody, texts};
use crate::connect::http::client::without_secrets;
use crate::connect::http::entries;
use crate::model::failure::Reason;
use crate::ports::fault::{Fault, RemoteError};
use crate::sys::secrets::masked;

/// Longest text of HubSpot's that is shown, in characters. Some messages list every option of a property.
const MESSAGE_LENGTH_MAX: usize = 300;

/// What a status calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Passing: try again, if repeating is safe.
    Repeat,
    /// A lock on the object: try again after two seconds at least.
    Locked,
    /// The rate limit of ten seconds: everybody waits, then try again. The call had no effect.
    Limited,
    /// The limit of a second: a short wait. The call had no effect.
    LimitedShortly,
    /// The day's calls are used up.
    DayUsedUp,
    /// The portal moves between data centres: wait as long as the answer says.
    Moving,
    /// The content was refused.
    Refused,
    /// Needs a person.
    Final,
}

/// A refusal.
#[derive(Debug, Clone)]
pub(super) struct ApiError {
    pub(super) status: u16,
    pub(super) body: ErrorBody,
    /// The text of a body that was no JSON.
    pub(super) text: String,
    pub(super) action: Action,
    pub(super) request_id: Option<String>,
}

/// Reads a refusal.
pub(super) fn classify(status: u16, body: &[u8], request_id: Option<&str>) -> ApiError {
    // Before anything else: HubSpot's messages quote what was sent.
    let body = &*without_secrets(body);
    let parsed: Option<ErrorBody> = entries::answer(body).ok();
    let is_page = body.trim_ascii_start().starts_with(b"<");
    let text = if parsed.is_some() { String::new() } else { plain(body) };
    let body = parsed.unwrap_or_default();
    // The header comes even with a page of the edge, the member only with an answer of HubSpot itself.
    let request_id = request_id.map(str::to_owned).or_else(|| body.correlation_id.clone());
    let action = match action(status, &body) {
        // The edge network answers for HubSpot with a page of its own, whatever the token may do.
        Action::Final if is_page && matches!(status, 403 | 404) => Action::Repeat,
        action => action,
    };
    ApiError { status, body, text, action, request_id }
}

fn action(status: u16, body: &ErrorBody) -> Action {
    let message = body.message.as_deref().unwrap_or_default();
    match status {
        423 => Action::Locked,
        // The policy is the better sign; texts have changed before, so they count only where it is missing.
        429 => match body.policy_name.as_deref().unwrap_or_default() {
            "DAILY" => Action::DayUsedUp,
            "SECONDLY" => Action::LimitedShortly,
            _ if message.contains("daily limit") => Action::DayUsedUp,
            _ if message.contains("your secondly limit") => Action::LimitedShortly,
            // Ten seconds is the limit that nearly all calls meet.
            _ => Action::Limited,
        },
        477 => Action::Moving,
        408 | 500 | 502..=504 | 520..=526 => Action::Repeat,
        // Passing pages of the edge come as HTML with statuses of their own.
        // The object in the path is unknown: no smaller batch of it can succeed.
        400 if message.contains("Unable to infer object type") => Action::Final,
        // Something in the content: a batch of one tells which record it is.
        400 | 409 | 413 | 414 | 422 => Action::Refused,
        // A record that is gone, in an object that exists. Without the category, the place itself does not exist.
        404 if body.category.as_deref() == Some("OBJECT_NOT_FOUND") => Action::Refused,
        _ => Action::Final,
    }
}

impl ApiError {
    /// What HubSpot said, shortened.
    pub(super) fn message(&self) -> String {
        // The general message often says no more than that something was invalid.
        let detail = self.body.errors.iter().find_map(|detail| detail.message.as_deref());
        let text = detail.or(self.body.message.as_deref()).unwrap_or(&self.text);
        if text.is_empty() { format!("answered with status {}", self.status) } else { shorten(text) }
    }

    /// The refusal as an error for people.
    pub(super) fn remote(&self, operation: &str, attempts: u32) -> RemoteError {
        let scopes = || {
            let error = self.body.errors.iter().flat_map(|detail| {
                texts(detail.context.get("requiredGranularScopes").or(detail.context.get("requiredScopes")))
            });
            let top =
                texts(self.body.context.get("requiredGranularScopes").or(self.body.context.get("requiredScopes")));
            error.chain(top).collect::<Vec<_>>().join(", ")
        };
        let (code, help) = match (self.status, self.action) {
            (401, _) if self.body.category.as_deref() == Some("EXPIRED_AUTHENTICATION") => {
                ("SL4002", "the access token has expired: set a new one".to_owned())
            }
            (401, _) => {
                ("SL4002", "check `access_token` of the hubspot connection: HubSpot does not know it".to_owned())
            }
            // Before 403: a page of the edge has this status whatever the token may do.
            (_, Action::Repeat) => ("SL4001", "run again later: what was acknowledged is saved".to_owned()),
            (403, _) if scopes().is_empty() => ("SL4003", "the token does not allow this: check its scopes".to_owned()),
            (403, _) => ("SL4003", format!("give the token one of these scopes: {}", scopes())),
            (_, Action::DayUsedUp) => {
                ("SL4004", "the account's daily calls are used up: run again after its midnight".to_owned())
            }
            (_, Action::Moving) => {
                ("SL4005", "HubSpot is moving the account between data centres: run again later".to_owned())
            }
            (_, Action::Locked | Action::Limited | Action::LimitedShortly) => {
                ("SL4001", "run again later: what was acknowledged is saved".to_owned())
            }
            (300..=399, _) => (
                "SL4006",
                "check `base_url`: the answer redirects to another host, where credentials are not sent".to_owned(),
            ),
            _ => (
                "SL4007",
                "look at the message; if the object or property was removed, correct the pipeline".to_owned(),
            ),
        };
        RemoteError {
            code,
            service: "HubSpot",
            operation: operation.to_owned(),
            status: Some(self.status),
            message: self.message(),
            help: Some(help),
            request_id: self.request_id.clone(),
            attempts,
        }
    }

    /// The refusal as a fault; content that was refused as a whole can be split.
    pub(super) fn fault(&self, operation: &str, attempts: u32) -> Fault {
        match self.action {
            Action::Refused => Fault::Reject(reason(&self.body, self.request_id.as_deref())),
            // When the day ends depends on the account's time zone, which the answer does not tell.
            Action::DayUsedUp => Fault::Budget { error: self.remote(operation, attempts), resets_at: None },
            Action::Repeat | Action::Locked | Action::Limited | Action::LimitedShortly | Action::Moving => {
                Fault::Retry(self.remote(operation, attempts))
            }
            Action::Final => Fault::Halt(self.remote(operation, attempts)),
        }
    }
}

/// An error that HubSpot did not send: no answer, or one that cannot be used.
pub(super) fn local(operation: &str, message: String, attempts: u32) -> RemoteError {
    RemoteError {
        code: "SL4008",
        service: "HubSpot",
        operation: operation.to_owned(),
        status: None,
        message: shorten(&message),
        help: Some("run again later; check the network and status.hubspot.com".to_owned()),
        request_id: None,
        attempts,
    }
}

/// Why a record was refused.
pub(super) fn reason(body: &ErrorBody, request_id: Option<&str>) -> Reason {
    let message = body.message.as_deref().unwrap_or_default();
    let request_id = request_id.map(str::to_owned).or_else(|| body.correlation_id.clone());
    let reason = |code: &str, remote_code: Option<&str>, property: Option<String>, message: String| Reason {
        code: code.to_owned(),
        remote_code: remote_code.map(str::to_owned),
        property,
        message,
        request_id: request_id.clone(),
    };
    // First, as this refusal comes with the same category as many others, and only its text tells it.
    if let Some(clash) = unique_clash(message) {
        let text = format!(
            "another record ({}) already has this value of the unique property `{}`",
            clash.holder, clash.property
        );
        return reason("SL5106", Some("UNIQUE_VALUE"), Some(clash.property.to_owned()), text);
    }
    if body.context.contains_key("ASSOCIATION_LIMIT_EXCEEDED") {
        let text = texts(body.context.get("ASSOCIATION_LIMIT_EXCEEDED")).join("; ");
        return reason("SL5111", Some("ASSOCIATION_LIMIT_EXCEEDED"), None, shorten(&text));
    }
    // The context names the records that do not exist; the message alone does not.
    if message.starts_with("One or more associations are invalid") || body.context.contains_key("INVALID_OBJECT_IDS") {
        let detail: Vec<String> = body.context.values().flat_map(|value| texts(Some(value))).collect();
        return reason("SL5110", None, None, shorten(&format!("{message}: {}", detail.join("; "))));
    }
    if let Some((code, property, text)) = detail(body, message) {
        return reason(code_of(&code), Some(&code), property, shorten(&text));
    }
    // A creation names all missing properties at once, in the context and without a code.
    if message.contains("required properties were not set") {
        let properties = texts(body.context.get("properties"));
        let text = format!("required properties were not set: {}", properties.join(", "));
        return reason("SL5105", Some("MISSING_REQUIRED_PROPERTY"), properties.into_iter().next(), shorten(&text));
    }
    let category = body.category.as_deref().or(body.error_type.as_deref());
    let text = if message.is_empty() { "refused without giving a reason".to_owned() } else { shorten(message) };
    reason("SL5109", category, None, text)
}

/// Code, property and text: from `errors`, else from the JSON inside the message.
fn detail(body: &ErrorBody, message: &str) -> Option<(String, Option<String>, String)> {
    if let Some(detail) = body.errors.iter().find(|detail| detail.code.is_some()) {
        let property = texts(detail.context.get("propertyName")).into_iter().next();
        let text = detail.message.clone().unwrap_or_default();
        return Some((detail.code.clone()?, property, text));
    }
    // Validation errors of a batch come as a JSON list at the end of the message, `errors` being empty.
    let (_, embedded) = message.split_once(": ")?;
    let entries: Vec<EmbeddedError> = serde_json::from_str(embedded).ok()?;
    // One reason is enough for a record; with several properties wrong, the next run tells the next.
    let entry = entries.into_iter().find(|entry| entry.error.is_some())?;
    Some((entry.error?, entry.name, entry.message.unwrap_or_default()))
}

/// Codes that call for the same action share one of ours; what is not known is a general rejection, told in HubSpot's own words.
fn code_of(remote: &str) -> &'static str {
    match remote {
        "INVALID_OPTION" => "SL5101",
        "INVALID_INTEGER" | "INVALID_LONG" | "INVALID_DATE" | "INVALID_NUMBER" | "INVALID_BOOLEAN" => "SL5102",
        "READ_ONLY_VALUE" => "SL5103",
        "PROPERTY_DOESNT_EXIST" => "SL5104",
        "MISSING_REQUIRED_PROPERTY" | "MISSING_CONDITIONAL_REQUIRED_PROPERTY" => "SL5105",
        "LEADING_TRAILING_WHITESPACE" => "SL5107",
        "MAX_LENGTH" | "PROPERTY_VALUE_TOO_LONG" => "SL5108",
        _ => "SL5109",
    }
}

struct Clash<'a> {
    property: &'a str,
    holder: &'a str,
}

/// `Cannot set PropertyValueCoordinates{…, propertyName=x, value=y} on 1. 2 already has that value.` The second number
/// is the record that holds the value.
fn unique_clash(message: &str) -> Option<Clash<'_>> {
    let head = message.strip_suffix('.').unwrap_or(message).strip_suffix(" already has that value")?;
    let (_, holder) = head.rsplit_once(". ")?;
    let (_, rest) = head.split_once("propertyName=")?;
    let (property, _) = rest.split_once(", value=")?;
    // Anything else is another wording, where the number would be a guess.
    holder.bytes().all(|byte| byte.is_ascii_digit()).then_some(Clash { property, holder })
}

/// One line, shortened. Listings of options are cut where they begin.
pub(super) fn shorten(text: &str) -> String {
    // A property may have thousands of options, all of which the message would list.
    let text = text.split(": [label:").next().unwrap_or(text);
    // Masked before it is cut: half a secret would no longer be known as one.
    let line: String = masked(text).split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= MESSAGE_LENGTH_MAX {
        return line;
    }
    let cut: String = line.chars().take(MESSAGE_LENGTH_MAX).collect();
    format!("{cut}…")
}

/// The words of a body that is no JSON: pages of the edge are HTML.
fn plain(body: &[u8]) -> String {
    // The title of a page stands near its beginning.
    let text = String::from_utf8_lossy(&body[..body.len().min(4096)]);
    if !text.trim_start().starts_with('<') {
        return text.into_owned();
    }
    let title = text.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>")).map(|(title, _)| title);
    format!("answered with a web page{}", title.map(|title| format!(": {}", title.trim())).unwrap_or_default())
}

/// A text of a context that may be missing.
pub(super) fn context_texts(body: &ErrorBody, key: &str) -> Vec<String> {
    texts(body.context.get(key))
}

/// Whether an error entry says that records were not found.
pub(super) fn is_not_found(body: &ErrorBody) -> bool {
    let sub = body.sub_category.as_ref().and_then(Value::as_str).unwrap_or_default();
    body.category.as_deref() == Some("OBJECT_NOT_FOUND") || sub.ends_with("NO_ASSOCIATIONS_FOUND")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, body: &str, action: Action) {
        assert_eq!(classify(status, body.as_bytes(), None).action, action, "{status} {body}");
    }

    #[test]
    fn statuses_are_sorted() {
        check(429, r#"{"policyName":"TEN_SECONDLY_ROLLING"}"#, Action::Limited);
        check(429, r#"{"policyName":"DAILY"}"#, Action::DayUsedUp);
        check(429, r#"{"message":"You have reached your daily limit."}"#, Action::DayUsedUp);
        check(429, r#"{"policyName":"SECONDLY"}"#, Action::LimitedShortly);
        check(429, "", Action::Limited);
        check(423, "{}", Action::Locked);
        check(477, "{}", Action::Moving);
        check(502, "<html>", Action::Repeat);
        check(524, "", Action::Repeat);
        check(500, r#"{"message":"internal error"}"#, Action::Repeat);
        check(400, r#"{"category":"VALIDATION_ERROR"}"#, Action::Refused);
        check(400, r#"{"message":"Unable to infer object type from: contract"}"#, Action::Final);
        check(409, r#"{"category":"CONFLICT"}"#, Action::Refused);
        check(401, r#"{"category":"EXPIRED_AUTHENTICATION"}"#, Action::Final);
        check(403, "<html>", Action::Repeat);
        check(404, r#"{"message":"resource not found"}"#, Action::Final);
        check(302, "", Action::Final);
    }

    #[track_caller]
    fn check_reason(body: &str, code: &str, property: Option<&str>, part: &str) {
        let reason = reason(&serde_json::from_str(body).unwrap(), Some("r-1"));
        assert_eq!((reason.code.as_str(), reason.property.as_deref()), (code, property), "{body}");
        assert!(reason.message.contains(part), "{}", reason.message);
        assert!(reason.message.chars().count() <= MESSAGE_LENGTH_MAX + 1);
    }

    #[test]
    fn reasons_name_the_property() {
        check_reason(
            r#"{"message":"Property values were not valid","errors":[{"message":"gold was not one of the allowed options: [label: \"A\"]","code":"INVALID_OPTION","context":{"propertyName":["tier"]}}]}"#,
            "SL5101",
            Some("tier"),
            "gold was not one of the allowed options",
        );
        check_reason(
            r#"{"message":"Property values were not valid: [{\"isValid\":false,\"message\":\"Property \\\"hue\\\" does not exist\",\"error\":\"PROPERTY_DOESNT_EXIST\",\"name\":\"hue\"}]"}"#,
            "SL5104",
            Some("hue"),
            "does not exist",
        );
        check_reason(
            r#"{"message":"Cannot set PropertyValueCoordinates{portalId=1, objectTypeId=ObjectTypeId{legacyObjectType=X}, propertyName=sku, value=a, b} on 7. 8 already has that value.","category":"VALIDATION_ERROR"}"#,
            "SL5106",
            Some("sku"),
            "another record (8)",
        );
        check_reason(
            r#"{"message":"Error creating contract.  Some required properties were not set.","context":{"properties":["contract_number"]}}"#,
            "SL5105",
            Some("contract_number"),
            "contract_number",
        );
        check_reason(
            r#"{"message":"One or more associations are invalid","context":{"INVALID_OBJECT_IDS":["COMPANY=42 is not valid"]}}"#,
            "SL5110",
            None,
            "COMPANY=42",
        );
        check_reason(
            r#"{"message":"One or more associations are invalid","context":{"ASSOCIATION_LIMIT_EXCEEDED":["limit of 5"],"limit":["5"]}}"#,
            "SL5111",
            None,
            "limit of 5",
        );
        check_reason("{}", "SL5109", None, "without giving a reason");
        let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(200_000));
        check_reason(&long, "SL5109", None, "xxx");
    }

    #[test]
    fn people_are_told_what_to_do() {
        let missing = r#"{"message":"no","errors":[{"message":"One or more","context":{"requiredGranularScopes":["crm.objects.custom.read"]}}],"category":"MISSING_SCOPES"}"#;
        let error = classify(403, missing.as_bytes(), Some("id-9")).remote("read schemas", 1);
        assert!(error.help.is_some_and(|help| help.contains("crm.objects.custom.read")));
        assert_eq!(error.request_id.as_deref(), Some("id-9"));
        let page = classify(403, b"<html><head><title>Blocked</title>", None);
        assert!(page.message().contains("web page: Blocked"));
    }
}
