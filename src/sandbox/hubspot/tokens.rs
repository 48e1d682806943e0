//! Access tokens: which are known, until when they live, and what their scopes allow.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::answers::Refusal;
use super::grants::Grant;
use super::portal::Portal;
use crate::sandbox::http::Request;

/// Makes a token known: `{"token": "…", "scopes": ["crm.objects.custom.read"], "lives_ms": 1800000}`.
pub fn grant(portal: &mut Portal, arguments: &Value, now: i64) -> Result<Value, String> {
    let token = arguments["token"].as_str().ok_or("`token` is missing")?.to_owned();
    let scopes: Option<BTreeSet<String>> =
        serde_json::from_value(arguments["scopes"].clone()).map_err(|error| format!("`scopes`: {error}"))?;
    let expires = arguments["lives_ms"].as_i64().map(|lives| now + lives);
    portal.grants.insert(token, Grant { scopes, expires });
    Ok(Value::Object(serde_json::Map::new()))
}

/// Whether the request's token is known, alive, and may do what it asks for.
pub fn check(portal: &Portal, request: &Request, path: &[&str], now: i64) -> Result<(), Refusal> {
    let given = request.header("authorization").and_then(|header| header.strip_prefix("Bearer ")).unwrap_or_default();
    if given == portal.options.access_token {
        return Ok(());
    }
    let Some(grant) = portal.grants.get(given) else {
        let message = "Authentication credentials not found. This API supports OAuth 2.0 authentication and you can find more details at https://developers.hubspot.com/docs/methods/auth/oauth-overview";
        return Err(Refusal::plain(401, message).category("INVALID_AUTHENTICATION"));
    };
    if let Some(expired) = grant.expires.filter(|expires| *expires <= now) {
        let moment = Timestamp::from_millisecond(expired).map(|time| time.to_string()).unwrap_or_default();
        let refusal = Refusal::plain(401, "The OAuth token used to make this call expired.");
        return Err(refusal.category("EXPIRED_AUTHENTICATION").with("expire time", &[&moment]));
    }
    let needed = needed(portal, request.method.as_str(), path);
    let allowed =
        grant.scopes.as_ref().is_none_or(|held| needed.is_empty() || needed.iter().any(|one| held.contains(one)));
    if allowed {
        return Ok(());
    }
    let message = "This app hasn't been granted all required scopes to make this call. Read more about required scopes here: https://developers.hubspot.com/scopes.";
    let mut refusal = Refusal::plain(403, message).category("MISSING_SCOPES");
    refusal.errors.push(json!({
        "message": "One or more of the following scopes are required.",
        "context": {"requiredGranularScopes": needed},
    }));
    Err(refusal)
}

/// The scopes of which one is needed; none for what every token may read.
fn needed(portal: &Portal, method: &str, path: &[&str]) -> Vec<String> {
    // Two POSTs only read.
    let reads = method == "GET" || matches!(path.last(), Some(&"search")) || path.ends_with(&["batch", "read"]);
    let access = if reads { "read" } else { "write" };
    let kind = |name: &str| {
        let id = portal.type_id(name).unwrap_or_default();
        let standard = [("0-1", "contacts"), ("0-2", "companies"), ("0-3", "deals"), ("0-5", "tickets")];
        standard.iter().find(|(known, _)| *known == id).map_or("custom", |(_, word)| *word).to_owned()
    };
    match path {
        ["crm", "objects", name, ..] | ["crm", "associations", name, ..] => {
            vec![format!("crm.objects.{}.{access}", kind(name))]
        }
        ["crm", "properties" | "property-validations", name, ..] if reads => {
            let kind = kind(name);
            ["schemas", "objects"].map(|part| format!("crm.{part}.{kind}.read")).into()
        }
        ["crm", "properties", name, ..] => vec![format!("crm.schemas.{}.write", kind(name))],
        ["crm-object-schemas", ..] | ["crm", "schemas", ..] => vec![format!("crm.schemas.custom.{access}")],
        ["crm", "owners", ..] => ["crm.objects.owners.read", "automation"].map(str::to_owned).into(),
        _ => Vec::new(),
    }
}
