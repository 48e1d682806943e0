//! The named faults of a fault plan, and how each looks on the wire of either service.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::sandbox::http::{Delivery, Reply};

/// Pause between the bytes of a `drip` without `delay`.
const DRIP_PAUSE: Duration = Duration::from_secs(1);

/// Fixed, so that equal runs give equal bytes.
const CORRELATION_ID: &str = "0199f0c2-5f0e-7b61-8c39-6a1f6f1f1a01";

/// On which side of the effect a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// The service never sees the request.
    Before,
    /// The service does its work, then its answer is replaced.
    After,
}

/// A fault by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// 401: the token is unknown (HubSpot), the session is over (Salesforce).
    Unauthorized,
    /// 401: the token has expired.
    Expired,
    /// 403: a right is missing.
    Forbidden,
    /// 403: an HTML page of the edge network.
    ForbiddenHtml,
    /// 403 (Salesforce), 429 (HubSpot): the day's calls are used up.
    DailyLimit,
    /// 403: too many long Salesforce requests at once.
    ConcurrentLimit,
    /// 404: a JSON body.
    NotFound,
    /// 404: an HTML page, as an org in maintenance gives.
    NotFoundHtml,
    /// 406 without a body.
    NotAcceptable,
    /// 420: a page of the edge network.
    Edge,
    /// 423: a write lock.
    Locked,
    /// 429: the ten-second limit.
    RateLimit,
    /// 429: the limit per second (search).
    RateLimitSecondly,
    /// 429 without a header or a body.
    RateLimitBare,
    /// 477 with `Retry-After`: the portal is being moved.
    Moving,
    /// 500.
    InternalError,
    /// 502, HTML.
    BadGateway,
    /// 503.
    Unavailable,
    /// 504, HTML.
    GatewayTimeout,
    /// 524, HTML: no answer within 100 seconds.
    OriginTimeout,
    /// 200 with an HTML page instead of JSON.
    Html,
    /// The real status without its body; the work was done.
    EmptyBody,
    /// 200 without a body; nothing was done.
    SilentEmpty,
    /// 200 with JSON of a shape that nobody expects.
    NotMyJson,
    /// The real batch without half of its results (one at least) and without its errors, as if it were complete.
    ShortResults,
    /// 200 with a complete batch of no results, after the work.
    NoResults,
    /// The real batch with each result twice.
    DoubledResults,
    /// The real batch with results that nobody asked for instead of its own, and without its errors.
    ForeignResults,
    /// The real body cut in the middle, with a length that fits: well-formed HTTP, broken JSON.
    CutJson,
    /// The connection breaks in the middle of the real body.
    Cut,
    /// The connection is closed before the work.
    ResetBefore,
    /// The connection is closed after the work.
    ResetAfter,
    /// The real body, one byte at a time.
    Drip,
    /// No answer ever; the work is not done unless `when: after`.
    Never,
    /// A redirect to another host.
    Redirect,
}

impl FaultKind {
    /// All of them, in the order of their statuses.
    pub const ALL: [Self; 35] = [
        Self::Unauthorized,
        Self::Expired,
        Self::Forbidden,
        Self::ForbiddenHtml,
        Self::DailyLimit,
        Self::ConcurrentLimit,
        Self::NotFound,
        Self::NotFoundHtml,
        Self::NotAcceptable,
        Self::Edge,
        Self::Locked,
        Self::RateLimit,
        Self::RateLimitSecondly,
        Self::RateLimitBare,
        Self::Moving,
        Self::InternalError,
        Self::BadGateway,
        Self::Unavailable,
        Self::GatewayTimeout,
        Self::OriginTimeout,
        Self::Html,
        Self::EmptyBody,
        Self::SilentEmpty,
        Self::NotMyJson,
        Self::ShortResults,
        Self::NoResults,
        Self::DoubledResults,
        Self::ForeignResults,
        Self::CutJson,
        Self::Cut,
        Self::ResetBefore,
        Self::ResetAfter,
        Self::Drip,
        Self::Never,
        Self::Redirect,
    ];

    /// The name as written in a plan.
    pub fn name(self) -> String {
        match serde_json::to_value(self) {
            Ok(Value::String(name)) => name,
            _ => format!("{self:?}"),
        }
    }

    /// Whether it works on the service's own answer.
    /// `reset_after` is among them, as what it breaks off is an answer to work that was done.
    pub fn needs_the_real_answer(self) -> bool {
        matches!(
            self,
            Self::EmptyBody
                | Self::ShortResults
                | Self::NoResults
                | Self::DoubledResults
                | Self::ForeignResults
                | Self::CutJson
                | Self::Cut
                | Self::Drip
                | Self::ResetAfter
        )
    }

    /// The side of the effect where it strikes unless the plan says otherwise.
    pub fn usual_side(self) -> When {
        if self.needs_the_real_answer() { When::After } else { When::Before }
    }

    /// The answer that the client gets.
    pub fn reply(self, service: &str, real: Option<Reply>, pause: Option<Duration>) -> Reply {
        let real = real.unwrap_or_else(|| Reply::empty(200));
        match self {
            Self::Unauthorized => usual(service, 401),
            Self::Expired => expired(service),
            Self::Forbidden => usual(service, 403),
            Self::ForbiddenHtml => html(403, "Sorry, you have been blocked"),
            Self::DailyLimit => daily_limit(service),
            Self::ConcurrentLimit => {
                let message = "ConcurrentRequests (Concurrent API Requests) Limit exceeded.";
                salesforce(403, "REQUEST_LIMIT_EXCEEDED", message)
            }
            Self::NotFound => usual(service, 404),
            Self::NotFoundHtml => html(404, "URL No Longer Exists"),
            Self::NotAcceptable => Reply::empty(406),
            Self::Edge => html(420, "Temporarily unavailable"),
            Self::Locked => usual(service, 423),
            Self::RateLimit => usual(service, 429),
            Self::RateLimitSecondly => limited("SECONDLY", "secondly"),
            Self::RateLimitBare => Reply::empty(429),
            // Really up to a day; two seconds let a test see that the wait is followed.
            Self::Moving => usual(service, 477).with("retry-after", "2"),
            Self::InternalError => usual(service, 500),
            Self::BadGateway => usual(service, 502),
            Self::Unavailable => usual(service, 503),
            Self::GatewayTimeout => usual(service, 504),
            Self::OriginTimeout => usual(service, 524),
            Self::Html => html(200, "Just a moment..."),
            Self::EmptyBody => Reply { body: Bytes::new(), ..real },
            Self::SilentEmpty => Reply::empty(200),
            Self::NotMyJson => json_reply(200, &json!({"hello": ["world", 42, null]})),
            Self::ShortResults => batch(real, |results| {
                results.truncate(results.len() / 2);
            }),
            Self::NoResults => batch(real, Vec::clear),
            // Errors stay: a record that failed is no result that could come twice.
            Self::DoubledResults => altered(real, false, |results| {
                *results = results.iter().flat_map(|result| [result.clone(), result.clone()]).collect();
            }),
            Self::ForeignResults => batch(real, |results| results.iter_mut().for_each(make_foreign)),
            Self::CutJson => Reply { body: real.body.slice(..real.body.len() / 2), ..real },
            Self::Cut => Reply { delivery: Delivery::Cut(real.body.len() / 2), ..real },
            Self::ResetBefore | Self::ResetAfter => Reply { delivery: Delivery::Dropped, ..real },
            Self::Drip => Reply { delivery: Delivery::Drip(pause.unwrap_or(DRIP_PAUSE)), ..real },
            Self::Never => Reply { delivery: Delivery::Never, ..real },
            // A name that can never resolve (RFC 2606): a client that follows it fails visibly.
            Self::Redirect => Reply::empty(302).with("location", "https://elsewhere.invalid/"),
        }
    }
}

/// A batch answer whose results are changed and whose errors are gone, with the status of a whole success.
fn batch(real: Reply, change: impl FnOnce(&mut Vec<Value>)) -> Reply {
    altered(real, true, change)
}

/// A batch answer whose results are changed; any other answer stays as it is.
fn altered(real: Reply, whole: bool, change: impl FnOnce(&mut Vec<Value>)) -> Reply {
    let Ok(mut body) = serde_json::from_slice::<Value>(&real.body) else { return real };
    let Some(results) = body["results"].as_array_mut() else { return real };
    change(results);
    let mut status = real.status;
    if let (true, Some(members)) = (whole, body.as_object_mut()) {
        members.remove("errors");
        members.remove("numErrors");
        status = if status == 207 { 200 } else { status };
    }
    Reply { status, body: Bytes::from(body.to_string()), ..real }
}

/// Makes a result one of a record that nobody asked for.
fn make_foreign(result: &mut Value) {
    let Some(members) = result.as_object_mut() else { return };
    // Without its names for the input, a client has only the ids and values to tell whose result it is.
    for member in ["objectWriteTraceId", "fromObjectId", "toObjectId"] {
        members.remove(member);
    }
    if members.contains_key("id") {
        members.insert("id".to_owned(), json!("999999999999"));
    }
    if let Some(properties) = members.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().filter(|value| value.is_string()).for_each(|value| *value = json!("not asked for"));
    }
    for end in ["from", "to"] {
        if let Some(id) = members.get_mut(end).and_then(|end| end.get_mut("id")) {
            *id = json!("999999999999");
        }
    }
}

/// The body that a service usually gives with a status.
pub fn usual(service: &str, status: u16) -> Reply {
    match status {
        // The edge network answers these, which knows neither service's form.
        502 | 504 | 520..=526 => html(status, "The server is temporarily unable to service your request"),
        _ if service == "hubspot" => usual_hubspot(status),
        _ => usual_salesforce(status),
    }
}

fn usual_hubspot(status: u16) -> Reply {
    match status {
        401 => {
            let message = "Authentication credentials not found. This API supports OAuth 2.0 authentication and you can find \
                           more details at https://developers.hubspot.com/docs/methods/auth/oauth-overview";
            hubspot(status, message, Some("INVALID_AUTHENTICATION"))
        }
        403 => {
            let message = "This app hasn't been granted all required scopes to make this call. Read more about required \
                           scopes here: https://developers.hubspot.com/scopes.";
            hubspot(status, message, Some("MISSING_SCOPES"))
        }
        404 => hubspot(status, "resource not found", None),
        409 => hubspot(status, "The object was changed by another request.", Some("CONFLICT")),
        423 => hubspot(status, "The resource is currently locked by another write. Retry later.", Some("LOCKED")),
        429 => limited("TEN_SECONDLY_ROLLING", "ten_secondly_rolling"),
        477 => hubspot(status, "Migration in progress. This account is being moved.", Some("MIGRATION_IN_PROGRESS")),
        500 => hubspot(status, "internal error", None),
        503 => hubspot(status, "Service Unavailable", None),
        400..=599 => hubspot(status, "the request failed", None),
        _ => Reply::empty(status),
    }
}

fn usual_salesforce(status: u16) -> Reply {
    match status {
        401 => salesforce(status, "INVALID_SESSION_ID", "Session expired or invalid"),
        403 => salesforce(status, "API_DISABLED_FOR_ORG", "The REST API is not enabled for this Organization."),
        404 => salesforce(status, "NOT_FOUND", "The requested resource does not exist"),
        // Salesforce documents neither; both were seen without a body.
        406 | 429 => Reply::empty(status),
        414 => salesforce(status, "URI_TOO_LONG", "The URI is too long."),
        500 => {
            let message = "An unexpected error occurred. Please include this ErrorId if you contact support: 42-7 (0)";
            salesforce(status, "UNKNOWN_EXCEPTION", message)
        }
        503 => salesforce(status, "SERVER_UNAVAILABLE", "The server is temporarily unavailable."),
        400..=599 => salesforce(status, "UNKNOWN_EXCEPTION", "the request failed"),
        _ => Reply::empty(status),
    }
}

fn expired(service: &str) -> Reply {
    if service != "hubspot" {
        return usual(service, 401);
    }
    let body = json!({"status": "error", "message": "The OAuth token used to make this call expired.",
        "correlationId": CORRELATION_ID, "context": {"expire time": ["2026-10-01T10:00:00Z"]},
        "category": "EXPIRED_AUTHENTICATION"});
    json_reply(401, &body).with("x-hubspot-correlation-id", CORRELATION_ID)
}

fn daily_limit(service: &str) -> Reply {
    if service == "hubspot" {
        return limited("DAILY", "daily");
    }
    salesforce(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
}

/// HubSpot's 429, which has another shape than its other errors and no `category`.
fn limited(policy: &str, name: &str) -> Reply {
    let body = json!({"status": "error", "message": format!("You have reached your {name} limit."),
        "errorType": "RATE_LIMIT", "correlationId": CORRELATION_ID, "policyName": policy,
        "groupName": "publicapi:private_app-api-calls-ten-secondly:1234567:51234567"});
    let reply = json_reply(429, &body).with("x-hubspot-correlation-id", CORRELATION_ID);
    match policy {
        "TEN_SECONDLY_ROLLING" => reply
            .with("x-hubspot-ratelimit-interval-milliseconds", "10000")
            .with("x-hubspot-ratelimit-max", "190")
            .with("x-hubspot-ratelimit-remaining", "0"),
        _ => reply,
    }
}

fn hubspot(status: u16, message: &str, category: Option<&str>) -> Reply {
    let mut body = json!({"status": "error", "message": message, "correlationId": CORRELATION_ID});
    if let Some(category) = category {
        body["category"] = category.into();
    }
    json_reply(status, &body).with("x-hubspot-correlation-id", CORRELATION_ID)
}

fn salesforce(status: u16, code: &str, message: &str) -> Reply {
    json_reply(status, &json!([{"message": message, "errorCode": code}]))
}

fn html(status: u16, title: &str) -> Reply {
    let page =
        format!("<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n");
    Reply::new(status, "text/html; charset=UTF-8", page)
}

fn json_reply(status: u16, body: &Value) -> Reply {
    Reply::new(status, "application/json;charset=utf-8", body.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: FaultKind, service: &str, status: u16, part: &str) {
        let real = Reply::new(201, "application/json", "{\"id\":\"12345\"}");
        let reply = kind.reply(service, Some(real), None);
        let body = String::from_utf8(reply.body.to_vec()).unwrap();
        assert_eq!(reply.status, status, "{kind:?}");
        assert!(body.contains(part), "{kind:?}: `{part}` is not in {body}");
    }

    #[test]
    fn faults_look_like_the_service_that_gives_them() {
        check(FaultKind::Unauthorized, "hubspot", 401, "INVALID_AUTHENTICATION");
        check(FaultKind::Unauthorized, "salesforce", 401, "INVALID_SESSION_ID");
        check(FaultKind::Expired, "hubspot", 401, "EXPIRED_AUTHENTICATION");
        check(FaultKind::DailyLimit, "salesforce", 403, "TotalRequests");
        check(FaultKind::DailyLimit, "hubspot", 429, "\"DAILY\"");
        check(FaultKind::RateLimit, "hubspot", 429, "TEN_SECONDLY_ROLLING");
        check(FaultKind::OriginTimeout, "hubspot", 524, "<html>");
        check(FaultKind::CutJson, "hubspot", 201, "{\"id\":");
        check(FaultKind::Html, "salesforce", 200, "<html>");
    }

    #[test]
    fn spoiled_answers_keep_their_status() {
        let real = || Some(Reply::new(201, "application/json", "{\"id\":\"12345\"}"));
        assert!(FaultKind::EmptyBody.reply("hubspot", real(), None).body.is_empty());
        assert_eq!(FaultKind::CutJson.reply("hubspot", real(), None).body, Bytes::from("{\"id\":\""));
        assert_eq!(FaultKind::Cut.reply("hubspot", real(), None).delivery, Delivery::Cut(7));
        assert_eq!(FaultKind::ResetAfter.reply("hubspot", real(), None).delivery, Delivery::Dropped);
        let pause = Duration::from_millis(3);
        assert_eq!(FaultKind::Drip.reply("hubspot", real(), Some(pause)).delivery, Delivery::Drip(pause));
    }

    #[test]
    fn all_names_read_back() {
        for kind in FaultKind::ALL {
            let back: FaultKind = serde_json::from_value(Value::String(kind.name())).unwrap();
            assert_eq!(back, kind);
        }
    }
}
