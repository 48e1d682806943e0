//! What a request asks for: which form of the answer, and the words of its query or body.

use axum::extract::{FromRequestParts, Request};
use axum::http::header::ACCEPT;
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, Uri};
use std::convert::Infallible;

use crate::project::error::OpsError;

/// Longest address that is answered, in bytes.
pub const ADDRESS_BYTES_MAX: usize = 8 * 1024;

/// Largest body of a form, in bytes.
pub const BODY_BYTES_MAX: usize = 16 * 1024;

/// What the address of a view of one portal begins with.
const PORTALS: &str = "/portals/";

/// Most words of a query or a form.
const WORDS_MAX: usize = 32;

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// As JSON, not as a page.
    pub json: bool,
    /// Whoever asks has shown the token.
    pub signed_in: bool,
    /// The portal that is meant, in a project with several.
    pub portal: Option<String>,
    /// The path without `.json`, and without the portal.
    pub path: String,
    words: Vec<(String, String)>,
}

impl Asked {
    /// Reads an address and what the client takes.
    pub fn new(uri: &Uri, headers: &HeaderMap, signed_in: bool) -> Self {
        let path = uri.path();
        let (path, json) = path.strip_suffix(".json").map_or((path, false), |path| (path, true));
        let json = json || prefers_json(headers);
        let (portal, path) = match path.strip_prefix(PORTALS).map(|rest| rest.split_once('/').unwrap_or((rest, ""))) {
            // What cannot be a name stands on no page.
            Some((portal, rest)) => (Some(if is_name(portal) { portal } else { "" }.to_owned()), format!("/{rest}")),
            None => (None, path.to_owned()),
        };
        let path = if path.is_empty() { "/".to_owned() } else { path };
        Self { json, signed_in, portal, path, words: pairs(uri.query().unwrap_or_default()) }
    }

    /// What addresses of the same portal begin with; nothing in it needs to be escaped.
    pub fn base(&self) -> String {
        self.portal.as_ref().map(|portal| format!("{PORTALS}{portal}")).unwrap_or_default()
    }

    /// The same with the words of a form.
    pub fn with_form(mut self, body: &str) -> Self {
        self.words.extend(pairs(body));
        self
    }

    /// A word; one that is blank counts as none.
    pub fn word(&self, name: &str) -> Option<&str> {
        let found = self.words.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    /// A number of at most `most`.
    ///
    /// Errors: it is none.
    pub fn number(&self, name: &str, usual: usize, most: usize) -> Result<usize, OpsError> {
        let Some(text) = self.word(name) else { return Ok(usual) };
        let number = text.parse().ok().filter(|number| (1..=most).contains(number));
        number.ok_or_else(|| {
            let message = format!("`{name}` in the address is `{}`", text.chars().take(40).collect::<String>());
            OpsError::refused("SL6036", message, format!("give a number from 1 to {most}"))
        })
    }

    /// The address with another word, for the page after this one.
    pub fn with(&self, name: &str, value: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (known, value) in self.words.iter().filter(|(known, _)| known != name) {
            query.append_pair(known, value);
        }
        query.append_pair(name, value);
        format!("{}{}?{}", self.base(), self.path, query.finish())
    }
}

fn is_name(portal: &str) -> bool {
    portal.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Puts what is asked for into the request, and takes the portal and `.json` off its path, so that the same route answers all.
pub fn enter(request: &mut Request, asked: Asked) {
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let target: Result<PathAndQuery, _> = format!("{}{query}", asked.path).parse();
    if let Ok(target) = target {
        let mut parts = Uri::default().into_parts();
        parts.path_and_query = Some(target);
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request.extensions_mut().insert(asked);
}

impl<S: Sync> FromRequestParts<S> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// Whether a client takes JSON rather than a page: it names it, and no page before it.
fn prefers_json(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut kinds = accepted.flat_map(|value| value.split(',')).map(|kind| kind.split(';').next().unwrap_or("").trim());
    kinds.find_map(|kind| match kind {
        "application/json" => Some(true),
        "text/html" => Some(false),
        _ => None,
    }) == Some(true)
}

fn pairs(text: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text.as_bytes())
        .take(WORDS_MAX)
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(address: &'static str, accept: &str) -> Asked {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().unwrap());
        Asked::new(&Uri::from_static(address), &headers, false)
    }

    #[test]
    fn json_is_asked_for_by_ending_or_by_header() {
        let browser = "text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8";
        for (address, accept, path, json) in [
            ("/failures", "*/*", "/failures", false),
            ("/failures.json", "*/*", "/failures", true),
            ("/failures", "application/json", "/failures", true),
            ("/failures", "application/json;q=0.9, text/plain", "/failures", true),
            ("/failures", browser, "/failures", false),
            ("/.json", browser, "/", true),
        ] {
            let asked = asked(address, accept);
            assert_eq!((asked.path.as_str(), asked.json), (path, json), "{address} {accept}");
        }
    }

    #[test]
    fn a_portal_is_named_before_what_is_asked_of_it() {
        for (address, portal, path) in [
            ("/portals/acme", Some("acme"), "/"),
            ("/portals/acme/", Some("acme"), "/"),
            ("/portals/acme/status.json", Some("acme"), "/status"),
            ("/portals/acme/runs/01J?limit=7", Some("acme"), "/runs/01J"),
            ("/portals/", Some(""), "/"),
            ("/portals/a'b/runs", Some(""), "/runs"),
            ("/portals", None, "/portals"),
            ("/runs", None, "/runs"),
        ] {
            let asked = asked(address, "*/*");
            assert_eq!((asked.portal.as_deref(), asked.path.as_str()), (portal, path), "{address}");
        }
        assert_eq!(asked("/portals/acme/runs", "*/*").with("limit", "7"), "/portals/acme/runs?limit=7");
    }

    #[test]
    fn words_are_read_and_bounded() {
        let asked = asked("/failures?code=SL5005&pipeline=a%20b&blank=&limit=7&big=9999&limit=8", "*/*");
        assert_eq!((asked.word("pipeline"), asked.word("blank"), asked.word("none")), (Some("a b"), None, None));
        assert_eq!(asked.number("limit", 1, 100).ok(), Some(7));
        assert_eq!(asked.number("none", 1, 100).ok(), Some(1));
        assert!(asked.number("big", 1, 100).is_err() && asked.number("code", 1, 100).is_err());
        assert_eq!(asked.with("limit", "a&b").matches("limit=").count(), 1);
        assert!(asked.with("limit", "a&b").ends_with("&limit=a%26b"));
    }
}
