//! The token endpoint; its errors are objects, not arrays.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::open::Session;
use super::org::{ORG_ID, Org, USER_ID};
use super::{answers, assertion};
use crate::sandbox::http::{Reply, Request};

/// Answers a token request.
pub fn token(org: &mut Org, request: &Request, now: i64) -> Reply {
    if request.method != "POST" {
        return refused("invalid_request", "must use HTTP POST");
    }
    let form = form(&request.body);
    let get = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let done = match get("grant_type") {
        "client_credentials" => client(org, request, &form).map(|()| None),
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

fn form(body: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(body);
    let decode =
        |text: &str| percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    text.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (decode(name), decode(value))).collect()
}

fn refused(error: &str, description: &str) -> Reply {
    answers::json(400, &json!({"error": error, "error_description": description}))
}

fn decode_base64(text: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(text).ok()?).ok()
}
