//! The token endpoint, whose errors are objects and not arrays, and the page on which a person allows an app.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::open::Session;
use super::org::{ORG_ID, Org, USER_ID};
use super::{answers, assertion};
use crate::sandbox::authorize::{self, NoToken, Wrong};
use crate::sandbox::http::{Reply, Request};

/// Answers a token request.
pub fn token(org: &mut Org, request: &Request, now: i64) -> Reply {
    if request.method != "POST" {
        return refused("invalid_request", "must use HTTP POST");
    }
    let form = authorize::form(&request.body);
    let get = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let done = match get("grant_type") {
        "client_credentials" => client(org, request, &form).map(|()| None),
        "authorization_code" => client(org, request, &form).and_then(|()| code(org, &form, now)),
        "refresh_token" => client(org, request, &form).and_then(|()| refresh(org, get("refresh_token"))),
        "urn:ietf:params:oauth:grant-type:jwt-bearer" => assertion(org, get("assertion"), now).map(|()| None),
        // Blocked in newer orgs, with the same words as a wrong password.
        "password" => Err(("invalid_grant", "authentication failure")),
        _ => Err(("unsupported_grant_type", "grant type not supported")),
    };
    match done {
        Err((error, description)) => refused(error, description),
        Ok(renewed) => {
            let token = org.token();
            org.sessions.insert(token.clone(), Session { used: now });
            let host = request.header("host").unwrap_or("localhost");
            let mut body = json!({"access_token": token, "signature": "c2lnbmF0dXJl", "scope": "api refresh_token",
                // The host that was asked: the sandbox does not know by which name it is reached.
                "instance_url": format!("http://{host}"), "id": format!("http://{host}/id/{ORG_ID}/{USER_ID}"),
                "token_type": "Bearer", "issued_at": now.to_string()});
            if let Some(renewed) = renewed {
                body["refresh_token"] = Value::from(renewed);
            }
            answers::json(200, &body)
        }
    }
}

type Refused = (&'static str, &'static str);

/// Client id and secret, in the form or as Basic.
fn client(org: &Org, request: &Request, form: &BTreeMap<String, String>) -> Result<(), Refused> {
    let basic =
        request.header("authorization").and_then(|header| header.strip_prefix("Basic ")).and_then(decode_base64);
    let (id, secret) = match basic.as_deref().and_then(|text| text.split_once(':')) {
        Some((id, secret)) => (id.to_owned(), secret.to_owned()),
        None => {
            let get = |name: &str| form.get(name).cloned().unwrap_or_default();
            (get("client_id"), get("client_secret"))
        }
    };
    if id != org.options.client_id {
        return Err(("invalid_client_id", "client identifier invalid"));
    }
    if secret != org.options.client_secret {
        return Err(("invalid_client", "invalid client credentials"));
    }
    Ok(())
}

/// How long a code is good for, in milliseconds.
const CODE_LIVES_MS: i64 = 15 * 60_000;

/// The page on which a person allows or denies the app, and what comes of it.
pub fn authorize(org: &mut Org, request: &Request, now: i64) -> Reply {
    let wrong = |error: &str, description: &str| {
        // The browser is not sent anywhere where it is not known that the address is the app's.
        Reply::new(400, "text/html; charset=utf-8", format!("error={error}&amp;error_description={description}"))
    };
    if request.method == "POST" {
        let Some((asked, allowed)) = org.authorizations.decided(&authorize::form(&request.body), now) else {
            return wrong("invalid_request", "the page has expired");
        };
        let code = org.token();
        return match allowed {
            true => org.authorizations.allow(asked, code, CODE_LIVES_MS, now),
            false => authorize::back(
                &asked,
                &[("error", "access_denied"), ("error_description", "end-user denied authorization")],
            ),
        };
    }
    if request.parameter("response_type") != Some("code") {
        return wrong("unsupported_response_type", "response type not supported");
    }
    let ticket = org.token();
    let uris = (request.parameter("client_id") == Some(&org.options.client_id)).then_some(&org.redirect_uris);
    match org.authorizations.page(request, uris, ticket, "Salesforce", now) {
        Ok(page) => page,
        Err(Wrong::Client) => wrong("invalid_client_id", "client identifier invalid"),
        Err(Wrong::Redirect) => wrong("redirect_uri_mismatch", "redirect_uri must match configuration"),
        Err(Wrong::Request(words)) => wrong("invalid_request", words),
    }
}

/// Takes a code that a person's consent has brought.
fn code(org: &mut Org, form: &BTreeMap<String, String>, now: i64) -> Result<Option<String>, Refused> {
    let refresh_token = org.token();
    match org.authorizations.redeem(form, &refresh_token, now) {
        Ok(asked) if asked.scopes.contains("refresh_token") || asked.scopes.contains("full") => {
            org.refresh_tokens.insert(refresh_token.clone());
            Ok(Some(refresh_token))
        }
        // Without that scope there is a session and nothing to renew it by.
        Ok(_) => Ok(None),
        Err(NoToken::Used(given)) => {
            // Whoever has the code a second time may have stolen it.
            org.refresh_tokens.remove(&given);
            Err(("invalid_grant", "invalid authorization code"))
        }
        Err(NoToken::Unknown | NoToken::Client) => Err(("invalid_grant", "invalid authorization code")),
        Err(NoToken::Expired) => Err(("invalid_grant", "expired authorization code")),
        Err(NoToken::Redirect) => Err(("redirect_uri_mismatch", "redirect_uri must match configuration")),
        Err(NoToken::NoVerifier) => Err(("invalid_grant", "missing code verifier")),
        Err(NoToken::Verifier) => Err(("invalid_request", "invalid code verifier")),
    }
}

/// Ends a refresh token or a session.
pub fn revoke(org: &mut Org, request: &Request) -> Reply {
    let form = authorize::form(&request.body);
    let token = form.get("token").map(String::as_str).or(request.parameter("token")).unwrap_or_default();
    org.refresh_tokens.remove(token);
    org.sessions.remove(token);
    Reply::empty(200)
}

fn refresh(org: &mut Org, token: &str) -> Result<Option<String>, Refused> {
    if !org.refresh_tokens.contains(token) {
        return Err(("invalid_grant", "expired access/refresh token"));
    }
    if !org.switches.rotate_refresh_tokens {
        return Ok(None);
    }
    // As an org with rotation does: a client that does not store the new one is locked out.
    org.refresh_tokens.remove(token);
    let renewed = org.token();
    org.refresh_tokens.insert(renewed.clone());
    Ok(Some(renewed))
}

fn assertion(org: &Org, assertion: &str, now: i64) -> Result<(), Refused> {
    let Some(key) = &org.options.jwt_public_key else {
        // Without a certificate, an org has no app that could be approved.
        return Err(("invalid_grant", "user hasn't approved this consumer"));
    };
    let claims = assertion::claims(assertion, key).ok_or(("invalid_grant", "invalid assertion"))?;
    if claims["iss"] != org.options.client_id.as_str() {
        return Err(("invalid_client_id", "client identifier invalid"));
    }
    if claims["sub"] != org.options.username.as_str() {
        return Err(("invalid_grant", "user hasn't approved this consumer"));
    }
    let audience = claims["aud"].as_str().unwrap_or_default();
    // Stands for the org's own login host, which real orgs accept as well.
    let local = audience.starts_with("http://127.0.0.1") || audience.starts_with("http://localhost");
    if !local && !["https://login.salesforce.com", "https://test.salesforce.com"].contains(&audience) {
        return Err(("invalid_grant", "Audience validation failed"));
    }
    // Seconds, milliseconds, and either as text are all accepted.
    let expires = claims["exp"].as_i64().or_else(|| claims["exp"].as_str()?.parse().ok()).unwrap_or_default();
    // More than that many seconds would be in the year 5138.
    let expires = if expires > 100_000_000_000 { expires } else { expires * 1000 };
    if expires <= now { Err(("invalid_grant", "assertion expired")) } else { Ok(()) }
}

fn refused(error: &str, description: &str) -> Reply {
    answers::json(400, &json!({"error": error, "error_description": description}))
}

fn decode_base64(text: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(text).ok()?).ok()
}
