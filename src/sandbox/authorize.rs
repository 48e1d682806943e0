//! Authorization pages: a person allows or denies an app, and the app gets a code for tokens (RFC 6749, with the proof key of RFC
//! 7636). Both services use it, each with errors of its own.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::sandbox::http::{Reply, Request};

/// How long a person may look at the page, in milliseconds.
const PAGE_LIVES_MS: i64 = 3_600_000;

/// Address that the browser may be sent back to unless others are registered: that of a login without settings.
pub const REDIRECT_URI: &str = "http://localhost:8910/callback";

/// What an app asks a person for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The app.
    pub client_id: String,
    /// Where the answer goes.
    pub redirect_uri: String,
    /// What is allowed.
    pub scopes: BTreeSet<String>,
    state: Option<String>,
    challenge: Option<String>,
    until: i64,
}

/// A code that was given out.
#[derive(Debug, Clone)]
struct Code {
    asked: Asked,
    until: i64,
    /// The refresh token that it was used for.
    used: Option<String>,
}

/// Why a page cannot be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// No app has this id.
    Client,
    /// The address is none of the app's.
    Redirect,
    /// Something else, in words.
    Request(&'static str),
}

/// Why a code brings no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoToken {
    /// Nobody gave it out.
    Unknown,
    /// It was used before, for this refresh token, which is no good any more either.
    Used(String),
    /// It is too old.
    Expired,
    /// It belongs to another app.
    Client,
    /// The address is not the one that it was sent to.
    Redirect,
    /// A challenge was sent, and no verifier is.
    NoVerifier,
    /// The verifier does not fit the challenge, or there was none.
    Verifier,
}

/// Pages that are open, and codes.
#[derive(Debug, Default)]
pub struct Authorizations {
    pages: BTreeMap<String, Asked>,
    codes: BTreeMap<String, Code>,
}

impl Authorizations {
    /// The page for a request; `redirect_uris` are those of the app that the request names, none where there is no such app.
    pub fn page(
        &mut self,
        request: &Request,
        redirect_uris: Option<&BTreeSet<String>>,
        ticket: String,
        service: &str,
        now: i64,
    ) -> Result<Reply, Wrong> {
        let get = |name: &str| request.parameter(name).filter(|value| !value.is_empty());
        let redirect_uris = redirect_uris.ok_or(Wrong::Client)?;
        let redirect_uri = get("redirect_uri").filter(|uri| redirect_uris.contains(*uri)).ok_or(Wrong::Redirect)?;
        let challenge = match (get("code_challenge"), get("code_challenge_method")) {
            (None, None) => None,
            (Some(challenge), Some("S256")) if challenge.len() == 43 => Some(challenge.to_owned()),
            (Some(_), Some("S256")) => return Err(Wrong::Request("invalid code challenge")),
            // The method that is no protection, or a challenge without one, which would mean that.
            _ => return Err(Wrong::Request("code_challenge_method must be S256")),
        };
        let scopes: BTreeSet<String> =
            get("scope").unwrap_or_default().split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
        let list: String = scopes.iter().map(|scope| format!("<li>{}</li>", escaped(scope))).collect();
        let asked = Asked {
            client_id: get("client_id").unwrap_or_default().to_owned(),
            redirect_uri: redirect_uri.to_owned(),
            scopes,
            state: get("state").map(str::to_owned),
            challenge,
            until: now + PAGE_LIVES_MS,
        };
        let page = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{service} (sandbox)</title><h1>Allow access to {service}?</h1>\
             <p>This is the sandbox. An app asks for:</p><ul>{list}</ul><form method=\"post\" action=\"/{}\">\
             <input type=\"hidden\" name=\"request\" value=\"{ticket}\"><button name=\"decision\" value=\"allow\">Allow</button> \
             <button name=\"decision\" value=\"deny\">Deny</button></form></html>",
            request.path.join("/")
        );
        self.pages.insert(ticket, asked);
        Ok(Reply::new(200, "text/html; charset=utf-8", page).with("cache-control", "no-store"))
    }

    /// What a person decided on a page: what was asked for, and whether it is allowed. Each page takes one decision.
    pub fn decided(&mut self, form: &BTreeMap<String, String>, now: i64) -> Option<(Asked, bool)> {
        let get = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let asked = self.pages.remove(get("request")).filter(|asked| now < asked.until)?;
        Some((asked, get("decision") == "allow"))
    }

    /// Gives a code out, which is good for so long; the browser is sent back with it.
    pub fn allow(&mut self, asked: Asked, code: String, lives_ms: i64, now: i64) -> Reply {
        let reply = back(&asked, &[("code", &code)]);
        self.codes.insert(code, Code { asked, until: now + lives_ms, used: None });
        reply
    }

    /// Takes a code for a refresh token that is about to be given out.
    pub fn redeem(&mut self, form: &BTreeMap<String, String>, refresh_token: &str, now: i64) -> Result<Asked, NoToken> {
        let get = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let code = self.codes.get_mut(get("code")).ok_or(NoToken::Unknown)?;
        if let Some(token) = code.used.clone() {
            return Err(NoToken::Used(token));
        }
        let asked = &code.asked;
        let verifier = form.get("code_verifier").filter(|verifier| !verifier.is_empty());
        let fits = |verifier: &String| {
            let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            let hash = ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes());
            (43..=128).contains(&verifier.len())
                && verifier.bytes().all(letter)
                && asked.challenge.as_deref() == Some(&*URL_SAFE_NO_PAD.encode(hash))
        };
        match () {
            () if now >= code.until => Err(NoToken::Expired),
            () if asked.client_id != get("client_id") => Err(NoToken::Client),
            () if asked.redirect_uri != get("redirect_uri") => Err(NoToken::Redirect),
            () if asked.challenge.is_some() && verifier.is_none() => Err(NoToken::NoVerifier),
            () if verifier.is_some_and(|verifier| !fits(verifier)) => Err(NoToken::Verifier),
            () => {
                code.used = Some(refresh_token.to_owned());
                Ok(code.asked.clone())
            }
        }
    }
}

/// Sends the browser back to the app.
pub fn back(asked: &Asked, pairs: &[(&str, &str)]) -> Reply {
    let state = asked.state.as_deref().map(|state| ("state", state));
    let pairs = pairs.iter().copied().chain(state);
    let encoded =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    let query: Vec<String> = pairs.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    Reply::empty(302).with("location", format!("{}?{}", asked.redirect_uri, query.join("&")))
}

/// The pairs of a form.
pub fn form(body: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(body);
    let decode =
        |text: &str| percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    text.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (decode(name), decode(value))).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn request(changed: &[(&str, &str)]) -> Request {
        let mut query: BTreeMap<&str, &str> = [
            ("client_id", "app"),
            ("redirect_uri", REDIRECT_URI),
            ("state", "s&1"),
            ("scope", "api <b>"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ]
        .into();
        query.extend(changed.iter().copied());
        let query = query.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let (target, path) = ("/authorize".to_owned(), vec!["authorize".to_owned()]);
        Request { method: "GET".to_owned(), target, path, query, headers: Vec::new(), body: bytes::Bytes::new() }
    }

    fn pairs(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[track_caller]
    fn wrong(changed: &[(&str, &str)], expected: Wrong) {
        let uris = [REDIRECT_URI.to_owned()].into();
        let refused = Authorizations::default().page(&request(changed), Some(&uris), "t".into(), "Test", 0);
        assert_eq!(refused.err(), Some(expected), "{changed:?}");
    }

    #[test]
    fn a_page_is_shown_for_what_is_registered_only() {
        for uri in
            ["", "http://localhost:8911/callback", "http://127.0.0.1:8910/callback", "http://localhost:8910/callback/"]
        {
            wrong(&[("redirect_uri", uri)], Wrong::Redirect);
        }
        wrong(&[("code_challenge_method", "plain")], Wrong::Request("code_challenge_method must be S256"));
        wrong(&[("code_challenge_method", "")], Wrong::Request("code_challenge_method must be S256"));
        wrong(&[("code_challenge", "short")], Wrong::Request("invalid code challenge"));
        let refused = Authorizations::default().page(&request(&[]), None, "t".into(), "Test", 0);
        assert_eq!(refused.err(), Some(Wrong::Client));
    }

    #[track_caller]
    fn redeemed(changed: &[(&str, &str)], after: i64, expected: Result<(), NoToken>) {
        let mut all = Authorizations::default();
        let uris = [REDIRECT_URI.to_owned()].into();
        let page = all.page(&request(&[]), Some(&uris), "ticket".into(), "Test", 0).unwrap();
        assert!(!String::from_utf8_lossy(&page.body).contains("<b>"));
        assert!(all.decided(&pairs(&[("request", "other"), ("decision", "allow")]), 1).is_none());
        let (asked, allowed) = all.decided(&pairs(&[("request", "ticket"), ("decision", "allow")]), 1).unwrap();
        assert!(allowed && all.decided(&pairs(&[("request", "ticket"), ("decision", "allow")]), 1).is_none());
        let reply = all.allow(asked, "code".into(), 1_000, 1);
        let place = reply.headers.iter().find(|(name, _)| name == "location").unwrap();
        assert_eq!(place.1, format!("{REDIRECT_URI}?code=code&state=s%261"));
        let mut form = pairs(&[
            ("code", "code"),
            ("client_id", "app"),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", VERIFIER),
        ]);
        form.extend(pairs(changed));
        assert_eq!(all.redeem(&form, "refresh", after).map(|_| ()), expected, "{changed:?}");
        if expected.is_ok() {
            assert_eq!(all.redeem(&form, "another", after).err(), Some(NoToken::Used("refresh".into())));
        }
    }

    #[test]
    fn a_code_is_good_once_for_who_asked() {
        redeemed(&[], 1_000, Ok(()));
        redeemed(&[], 1_001, Err(NoToken::Expired));
        redeemed(&[("code", "x")], 2, Err(NoToken::Unknown));
        redeemed(&[("client_id", "x")], 2, Err(NoToken::Client));
        redeemed(&[("redirect_uri", "http://localhost:1/callback")], 2, Err(NoToken::Redirect));
        redeemed(&[("code_verifier", "")], 2, Err(NoToken::NoVerifier));
        redeemed(&[("code_verifier", &VERIFIER.replace('d', "e"))], 2, Err(NoToken::Verifier));
        redeemed(&[("code_verifier", CHALLENGE)], 2, Err(NoToken::Verifier));
    }
}
