//! OAuth: access tokens for refresh tokens, what a token may do, and its end. Apps and their refresh tokens come by the control API.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::answers::{self, Answer, Refusal};
use super::grants::{App, Grant};
use super::portal::Portal;
use crate::sandbox::http::{Reply, Request};

/// How long an access token lives, in seconds.
const LIVES_SECONDS: i64 = 1_800;

type Form = BTreeMap<String, String>;

/// `/oauth/VERSION/token…`; none for any other path. No bearer token is asked for here.
pub fn route(portal: &mut Portal, request: &Request, path: &[&str], now: i64) -> Option<Answer> {
    let ["oauth", "token", rest @ ..] = path else { return None };
    let form = form(&request.body);
    Some(match (request.method.as_str(), rest) {
        ("POST", []) => Ok(token(portal, &form, now)),
        ("POST", ["introspect"]) => Ok(introspect(portal, &form, now)),
        ("POST", ["revoke"]) => Ok(revoke(portal, &form)),
        _ => Err(Refusal::not_found()),
    })
}

/// Makes an app known: `{"client_id": "…", "client_secret": "…", "refresh_token": "…", "scopes": ["crm.objects.custom.read"]}`.
pub fn install(portal: &mut Portal, arguments: &Value) -> Result<Value, String> {
    let text = |name: &str| arguments[name].as_str().map(str::to_owned).ok_or_else(|| format!("`{name}` is missing"));
    let scopes: Option<BTreeSet<String>> =
        serde_json::from_value(arguments["scopes"].clone()).map_err(|error| format!("`scopes`: {error}"))?;
    let app = App { client_id: text("client_id")?, client_secret: text("client_secret")?, scopes };
    portal.apps.insert(text("refresh_token")?, app);
    Ok(json!({}))
}

fn form(body: &[u8]) -> Form {
    let text = String::from_utf8_lossy(body);
    let decode =
        |text: &str| percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    text.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (decode(name), decode(value))).collect()
}

fn get<'f>(form: &'f Form, name: &str) -> &'f str {
    form.get(name).map(String::as_str).unwrap_or_default()
}

fn refused(status: &str, error: &str, description: &str) -> Reply {
    let body = json!({"status": status, "message": description, "error": error, "error_description": description});
    answers::json(400, &body)
}

/// The app that a form names, or the refusal.
fn app<'p>(portal: &'p Portal, form: &Form) -> Result<&'p App, Reply> {
    let known = portal.apps.values().any(|app| app.client_id == get(form, "client_id"));
    if !known {
        return Err(refused("BAD_CLIENT_ID", "invalid_client", "missing or unknown client id"));
    }
    let bad = || refused("BAD_REFRESH_TOKEN", "invalid_grant", "refresh token is invalid, expired or revoked");
    let app = portal.apps.get(get(form, "refresh_token")).ok_or_else(bad)?;
    // A refresh token is good for its own app only, and does not betray that it exists.
    if app.client_id != get(form, "client_id") {
        return Err(bad());
    }
    if app.client_secret != get(form, "client_secret") {
        return Err(refused("BAD_CLIENT_SECRET", "invalid_client", "client secret does not match"));
    }
    Ok(app)
}

fn token(portal: &mut Portal, form: &Form, now: i64) -> Reply {
    if get(form, "grant_type") != "refresh_token" {
        return refused("BAD_GRANT_TYPE", "unsupported_grant_type", "grant type not supported");
    }
    let scopes = match app(portal, form) {
        Ok(app) => app.scopes.clone(),
        Err(reply) => return reply,
    };
    let random: String =
        (0..40).map(|_| char::from(b'a' + u8::try_from(portal.rng.below(26)).unwrap_or_default())).collect();
    let token = format!("C{random}{now}");
    portal.grants.insert(token.clone(), Grant { scopes: scopes.clone(), expires: Some(now + 1_000 * LIVES_SECONDS) });
    answers::json(
        200,
        // The refresh token stays the same, which is how HubSpot does it.
        &json!({"token_type": "bearer", "access_token": token, "refresh_token": get(form, "refresh_token"),
            "expires_in": LIVES_SECONDS, "hub_id": portal.options.portal_id, "scopes": scopes.unwrap_or_default(),
            "token_use": "access_token"}),
    )
}

fn introspect(portal: &Portal, form: &Form, now: i64) -> Reply {
    let grant = portal.grants.get(get(form, "access_token"));
    let left = grant.and_then(|grant| grant.expires).map(|expires| (expires - now) / 1_000);
    match grant.filter(|_| left.is_none_or(|left| left > 0)) {
        None => answers::json(200, &json!({"active": false})),
        Some(grant) => answers::json(
            200,
            &json!({"active": true, "hub_id": portal.options.portal_id, "user_id": 77, "app_id": 1_234_567,
                "scopes": grant.scopes.clone().unwrap_or_default(), "expires_in": left.unwrap_or(LIVES_SECONDS)}),
        ),
    }
}

fn revoke(portal: &mut Portal, form: &Form) -> Reply {
    portal.apps.remove(get(form, "refresh_token"));
    portal.grants.remove(get(form, "access_token"));
    Reply::empty(204)
}
