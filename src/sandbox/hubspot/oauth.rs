//! OAuth: the page on which a person installs an app, access tokens for codes and refresh tokens, what a token may do, and its end. Apps
//! and refresh tokens can also come by the control API.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::answers::{self, Answer, Refusal};
use super::grants::{App, Grant};
use super::portal::Portal;
use crate::sandbox::authorize::{self, NoToken, Wrong};
use crate::sandbox::http::{Reply, Request};

/// How long an access token lives, in seconds.
const LIVES_SECONDS: i64 = 1_800;

/// How long a code is good for, in milliseconds. HubSpot speaks of a short time.
const CODE_LIVES_MS: i64 = 60_000;

type Form = BTreeMap<String, String>;

/// Registers an app, or another address of one: `{"client_id": "…", "client_secret": "…", "redirect_uri": "…", "scopes": ["oauth"]}`;
/// what is left out stays.
pub fn register(portal: &mut Portal, arguments: &Value) -> Result<Value, String> {
    let id = arguments["client_id"].as_str().ok_or("`client_id` is missing")?;
    let app = portal.registry.entry(id.to_owned()).or_default();
    if let Some(secret) = arguments["client_secret"].as_str() {
        secret.clone_into(&mut app.client_secret);
    }
    app.redirect_uris.extend(arguments["redirect_uri"].as_str().map(str::to_owned));
    if !arguments["scopes"].is_null() {
        app.scopes =
            serde_json::from_value(arguments["scopes"].clone()).map_err(|error| format!("`scopes`: {error}"))?;
    }
    Ok(json!({}))
}

/// `/oauth/VERSION/token…`; none for any other path. No bearer token is asked for here.
pub fn route(portal: &mut Portal, request: &Request, path: &[&str], now: i64) -> Option<Answer> {
    if path == ["oauth", "authorize"] {
        return Some(Ok(authorize(portal, request, now)));
    }
    let ["oauth", "token", rest @ ..] = path else { return None };
    let form = authorize::form(&request.body);
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

/// The page on which a person chooses to install the app. Where they do not, the app hears nothing.
fn authorize(portal: &mut Portal, request: &Request, now: i64) -> Reply {
    let page = |status: u16, words: &str| {
        Reply::new(
            status,
            "text/html; charset=utf-8",
            format!("<!doctype html><title>HubSpot (sandbox)</title><p>{words}</p>"),
        )
    };
    if request.method == "POST" {
        return match portal.authorizations.decided(&authorize::form(&request.body), now) {
            None => page(400, "The page has expired."),
            Some((_, false)) => page(200, "The app was not installed."),
            Some((asked, true)) => {
                let code = random(portal);
                portal.authorizations.allow(asked, code, CODE_LIVES_MS, now)
            }
        };
    }
    let ticket = random(portal);
    let app = request.parameter("client_id").and_then(|id| portal.registry.get(id));
    // Scopes that the app does not list, and listed ones that are not asked for, are both refused.
    let asked: BTreeSet<&str> =
        request.parameter("scope").unwrap_or_default().split(' ').filter(|scope| !scope.is_empty()).collect();
    if app.is_some_and(|app| !app.scopes.iter().map(String::as_str).eq(asked.iter().copied())) {
        return page(
            400,
            "Authorization failed because there is a scope mismatch between the install URL and the app.",
        );
    }
    match portal.authorizations.page(request, app.map(|app| &app.redirect_uris), ticket, "HubSpot", now) {
        Ok(page) => page,
        Err(Wrong::Client) => page(400, "Couldn't find an app by this client id."),
        Err(Wrong::Redirect) => {
            page(400, "Authorization failed because the redirect URL doesn't match one of the app's.")
        }
        Err(Wrong::Request(words)) => page(400, words),
    }
}

/// A token for a code.
fn by_code(portal: &mut Portal, form: &Form, now: i64) -> Result<String, Reply> {
    let Some(app) = portal.registry.get(get(form, "client_id")).cloned() else {
        return Err(refused("BAD_CLIENT_ID", "invalid_client", "missing or unknown client id"));
    };
    if app.client_secret != get(form, "client_secret") {
        return Err(refused("BAD_CLIENT_SECRET", "invalid_client", "client secret does not match"));
    }
    let refresh_token = format!("na1-{}", random(portal));
    let bad = |words: &str| refused("BAD_AUTH_CODE", "invalid_grant", words);
    let asked = match portal.authorizations.redeem(form, &refresh_token, now) {
        Ok(asked) => asked,
        Err(NoToken::Redirect) => {
            return Err(refused("BAD_REDIRECT_URI", "invalid_request", "missing or invalid redirect uri"));
        }
        Err(NoToken::NoVerifier | NoToken::Verifier) => return Err(bad("code verifier does not match")),
        Err(NoToken::Used(given)) => {
            // Whoever has the code a second time may have stolen it.
            portal.apps.remove(&given);
            return Err(bad("missing or unknown auth code"));
        }
        Err(NoToken::Unknown | NoToken::Client | NoToken::Expired) => return Err(bad("missing or unknown auth code")),
    };
    let (client_id, client_secret) = (asked.client_id, app.client_secret);
    portal.apps.insert(refresh_token.clone(), App { client_id, client_secret, scopes: Some(asked.scopes) });
    Ok(refresh_token)
}

fn random(portal: &mut Portal) -> String {
    (0..40).map(|_| char::from(b'a' + u8::try_from(portal.rng.below(26)).unwrap_or_default())).collect()
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
    let refresh_token = match get(form, "grant_type") {
        "refresh_token" => app(portal, form).map(|_| get(form, "refresh_token").to_owned()),
        "authorization_code" => by_code(portal, form, now),
        _ => Err(refused("BAD_GRANT_TYPE", "unsupported_grant_type", "grant type not supported")),
    };
    let refresh_token = match refresh_token {
        Ok(refresh_token) => refresh_token,
        Err(reply) => return reply,
    };
    let scopes = portal.apps.get(&refresh_token).and_then(|app| app.scopes.clone());
    let token = format!("C{}{now}", random(portal));
    portal.grants.insert(token.clone(), Grant { scopes: scopes.clone(), expires: Some(now + 1_000 * LIVES_SECONDS) });
    answers::json(
        200,
        // The refresh token stays the same, which is how HubSpot does it.
        &json!({"token_type": "bearer", "access_token": token, "refresh_token": refresh_token,
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
    // The specification names `token`, older texts one field for each kind.
    portal.apps.remove(get(form, "token"));
    portal.grants.remove(get(form, "token"));
    portal.apps.remove(get(form, "refresh_token"));
    portal.grants.remove(get(form, "access_token"));
    Reply::empty(204)
}
