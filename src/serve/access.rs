//! Who may ask: this computer, or whoever has the token; by a name that is ours; and for changes, a page that is ours.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use axum::http::header::{AUTHORIZATION, COOKIE, HOST, HeaderName, ORIGIN};
use axum::http::{HeaderMap, Uri};

use crate::project::error::OpsError;
use crate::sys::hmac::sha256_hex;
use crate::sys::{files, origin, secrets};

/// Shortest token, in characters: what cannot be guessed.
const TOKEN_LENGTH_MIN: usize = 16;

/// Largest token file, in bytes.
const TOKEN_BYTES_MAX: u64 = 4 * 1024;

/// Largest header that may hold a token, in bytes.
const HEADER_BYTES_MAX: usize = 8 * 1024;

/// Who may ask a server.
#[derive(Debug, Clone)]
pub struct Access {
    /// Only programs of this computer reach it.
    local: bool,
    /// Names of the server besides addresses, in lower case.
    hosts: Vec<String>,
    token: Option<Token>,
    /// Name of the cookie of those who have signed in: cookies are shared by all ports of a host.
    cookie: String,
}

/// What shows that somebody may read and change: never the token itself, only what can be told from it.
#[derive(Debug, Clone)]
struct Token {
    digest: String,
    session: String,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// By a name that is not ours.
    Host(String),
    /// Nobody said who asks.
    SignedOut,
    /// The token is another one.
    WrongToken,
    /// A page of another site asked.
    OtherSite(String),
    /// No token was set up, so nothing can be changed.
    ReadOnly,
}

impl Refusal {
    /// The same as an error.
    pub fn error(&self) -> OpsError {
        let (code, message, help) = match self {
            Self::Host(message) => (
                "SL6033",
                message.clone(),
                "use the address that `syncline serve` printed, or name this host with `--host NAME`",
            ),
            Self::SignedOut => (
                "SL6034",
                "this needs the token of the server".to_owned(),
                "sign in on the page, or send `Authorization: Bearer TOKEN`, with what is in the file of `--token-file`",
            ),
            Self::WrongToken => (
                "SL6034",
                "the token is not that of the server".to_owned(),
                "send what is in the file of `--token-file`",
            ),
            Self::OtherSite(message) => ("SL6035", message.clone(), "open the page itself, and do it there"),
            Self::ReadOnly => (
                "SL6034",
                "nothing can be changed here: the server has no token".to_owned(),
                "start it with `--token-file FILE`, or use the command line: `syncline failures retry`",
            ),
        };
        OpsError::refused(code, message, help)
    }
}

impl Access {
    /// The rules for an address. Reachable by others only with a token.
    ///
    /// Errors: `SL6031` without one; `SL6032` when its file cannot be used.
    pub fn new(listen: SocketAddr, token_file: Option<&Path>, hosts: &[String]) -> Result<Self, OpsError> {
        let local = listen.ip().is_loopback();
        let token = token_file.map(Token::read).transpose()?;
        if !local && token.is_none() {
            let message = format!("`{listen}` can be reached by other computers, and there is no token");
            let help =
                "add `--token-file FILE` with a secret of your own, or listen on this computer: `127.0.0.1:8321`";
            return Err(OpsError::refused("SL6031", message, help));
        }
        let hosts = hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        Ok(Self { local, hosts, token, cookie: format!("syncline-{}", listen.port()) })
    }

    /// The same for the port that was given.
    pub fn on_port(mut self, port: u16) -> Self {
        self.cookie = format!("syncline-{port}");
        self
    }

    /// Whether anything can be changed by whoever has the token.
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Demands that a request names us: a page whose own name leads to our address (DNS rebinding) names itself.
    pub fn check_host(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), Refusal> {
        let advice = if self.local { "localhost" } else { "the server's address" };
        let mut all = headers.get_all(HOST).iter();
        let (Some(host), None) = (all.next(), all.next()) else {
            return Err(Refusal::Host(format!("the header `Host` is missing or there twice; use {advice}")));
        };
        let host = host.to_str().unwrap_or_default();
        // A request may also name its host in its first line.
        let named = uri.authority().map(|authority| authority.as_str());
        let foreign = [Some(host), named].into_iter().flatten().find(|host| !self.is_ours(host));
        foreign.map_or(Ok(()), |host| {
            Err(Refusal::Host(format!(
                "the header `Host` is `{}`, which is not this server; use {advice}",
                short(host)
            )))
        })
    }

    fn is_ours(&self, host: &str) -> bool {
        if origin::is_loopback(host) {
            return true;
        }
        let Some(name) = origin::name(host) else { return false };
        // A name can be made to lead anywhere, an address is what it is.
        (!self.local && is_address(name)) || self.hosts.iter().any(|known| name.eq_ignore_ascii_case(known))
    }

    /// Demands that somebody may read. On this computer everybody may.
    pub fn check_reader(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        if self.local { Ok(()) } else { self.check_token(headers) }
    }

    /// Whether somebody has shown the token.
    pub fn is_signed_in(&self, headers: &HeaderMap) -> bool {
        self.check_token(headers).is_ok()
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(token) = &self.token else { return Err(Refusal::ReadOnly) };
        match bearer(headers) {
            Some(given) if token.is(given) => Ok(()),
            Some(_) => Err(Refusal::WrongToken),
            None if cookies(headers, &self.cookie).any(|value| token.is_session(value)) => Ok(()),
            None => Err(Refusal::SignedOut),
        }
    }

    /// Demands that somebody may change something: with the token, and not by a page of another site.
    pub fn check_change(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        check_site(headers)?;
        self.check_token(headers)?;
        // A browser says from where it sends; what says nothing is no browser, and has no cookie.
        let says = headers.contains_key(ORIGIN) || headers.contains_key(SEC_FETCH_SITE);
        if bearer(headers).is_none() && !says {
            return Err(Refusal::OtherSite("the request does not say from which page it comes".to_owned()));
        }
        Ok(())
    }

    /// The cookie of somebody who gave this token.
    pub fn sign_in(&self, given: &str) -> Result<String, Refusal> {
        let token = self.token.as_ref().ok_or(Refusal::ReadOnly)?;
        if !token.is(given.trim()) {
            return Err(Refusal::WrongToken);
        }
        Ok(format!("{}={}; Path=/; HttpOnly; SameSite=Strict", self.cookie, token.session))
    }

    /// The cookie that takes the place of the one of somebody who signs out.
    pub fn sign_out(&self) -> String {
        format!("{}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0", self.cookie)
    }
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Demands that no page of another site asks.
pub fn check_site(headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name: HeaderName| headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default().trim());
    let host = text(HOST).next().unwrap_or_default();
    if let Some(origin) = text(ORIGIN).find(|origin| !origin::is_of(origin, host)) {
        return Err(Refusal::OtherSite(format!("a page of `{}` may not do this", short(origin))));
    }
    let foreign = text(SEC_FETCH_SITE).find(|site| !["same-origin", "none"].contains(site));
    foreign.map_or(Ok(()), |site| {
        Err(Refusal::OtherSite(format!("a page of another site (`sec-fetch-site: {}`) may not do this", short(site))))
    })
}

/// Whether the name of a host is an address.
fn is_address(name: &str) -> bool {
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.parse::<IpAddr>().is_ok()
}

/// The beginning of a text of others.
fn short(text: &str) -> String {
    text.chars().take(100).collect()
}

/// The token in the header that is meant for it.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && value.len() <= HEADER_BYTES_MAX).then(|| token.trim())
}

/// The values of cookies of a name.
fn cookies<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let all = all.filter(|value| value.len() <= HEADER_BYTES_MAX).flat_map(|value| value.split(';'));
    all.filter_map(|pair| pair.trim().split_once('=')).filter(move |(known, _)| *known == name).map(|(_, value)| value)
}

impl Token {
    /// The token in a file that nobody else may read.
    fn read(path: &Path) -> Result<Self, OpsError> {
        let refused = |what: String, help: &str| {
            OpsError::refused("SL6032", format!("the token file `{}` {what}", path.display()), help)
        };
        let make = "make one: `(umask 077; head -c 32 /dev/urandom | base64 > FILE)`";
        let (bytes, private) = files::read_mounted(path, TOKEN_BYTES_MAX)
            .map_err(io::Error::from)
            .map_err(|error| refused(format!("cannot be read: {error}"), make))?;
        if !private {
            return Err(refused("can be read by others".to_owned(), "take their rights away: `chmod 600 FILE`"));
        }
        let text = String::from_utf8(bytes).map_err(|_| refused("is no text".to_owned(), make))?;
        let token = text.trim();
        if token.chars().count() < TOKEN_LENGTH_MIN {
            return Err(refused(format!("holds fewer than {TOKEN_LENGTH_MIN} characters"), make));
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(refused("holds more than one word of letters, digits and signs".to_owned(), make));
        }
        secrets::remember(token);
        Ok(Self::of(token))
    }

    fn of(token: &str) -> Self {
        let session = sha256_hex(token.as_bytes(), &[b"syncline session"]);
        Self { digest: digest(token), session }
    }

    // Digests are compared and not tokens, so that the time which it takes tells nothing of the token.
    fn is(&self, given: &str) -> bool {
        digest(given) == self.digest
    }

    fn is_session(&self, given: &str) -> bool {
        digest(given) == digest(&self.session)
    }
}

fn digest(text: &str) -> String {
    sha256_hex(b"syncline token", &[text.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "a-token-of-our-own-0123";

    fn access(listen: &str, token: bool, hosts: &[&str]) -> Access {
        let listen: SocketAddr = listen.parse().unwrap();
        Access {
            local: listen.ip().is_loopback(),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            token: token.then(|| Token::of(TOKEN)),
            cookie: format!("syncline-{}", listen.port()),
        }
    }

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in all {
            map.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        map
    }

    #[test]
    fn a_server_answers_to_its_own_names_only() {
        let local = access("127.0.0.1:8321", false, &["status.example"]);
        let open = access("0.0.0.0:8321", true, &[]);
        let uri = Uri::from_static("/");
        for (access, host, ours) in [
            (&local, "localhost", true),
            (&local, "LOCALHOST:9000", true),
            (&local, "127.0.0.1:8321", true),
            (&local, "[::1]:8321", true),
            (&local, "Status.Example:443", true),
            (&local, "10.0.0.7:8321", false),
            (&local, "evil.example", false),
            (&local, "localhost.evil.example", false),
            (&local, "127.0.0.1.evil.example", false),
            (&local, "localhost:80:80", false),
            (&local, "", false),
            (&open, "10.0.0.7:8321", true),
            (&open, "[fd00::7]:8321", true),
            (&open, "status.example", false),
        ] {
            let told = access.check_host(&headers(&[("host", host)]), &uri).is_ok();
            assert_eq!(told, ours, "{host}");
        }
        assert!(local.check_host(&headers(&[]), &uri).is_err());
        assert!(local.check_host(&headers(&[("host", "localhost"), ("host", "localhost")]), &uri).is_err());
        let elsewhere = Uri::from_static("http://evil.example/");
        assert!(local.check_host(&headers(&[("host", "localhost")]), &elsewhere).is_err());
    }

    #[test]
    fn a_change_needs_the_token_and_a_page_of_ours() {
        let access = access("127.0.0.1:8321", true, &[]);
        let cookie = access.sign_in(TOKEN).unwrap();
        let cookie = cookie.split(';').next().unwrap();
        let (host, origin) = (("host", "localhost:8321"), ("origin", "http://localhost:8321"));
        let right = format!("Bearer {TOKEN}");
        for (all, told) in [
            (vec![("authorization", right.as_str())], Ok(())),
            (vec![("authorization", "Bearer wrong")], Err(Refusal::WrongToken)),
            (vec![], Err(Refusal::SignedOut)),
            (vec![origin], Err(Refusal::SignedOut)),
            (vec![origin, ("cookie", cookie)], Ok(())),
            (vec![("sec-fetch-site", "same-origin"), ("cookie", cookie)], Ok(())),
        ] {
            let all = [vec![host], all].concat();
            assert_eq!(access.check_change(&headers(&all)), told, "{all:?}");
        }
        for foreign in [
            vec![("cookie", cookie)],
            vec![("cookie", cookie), ("origin", "https://evil.example")],
            vec![("cookie", cookie), ("origin", "null")],
            vec![("cookie", cookie), origin, ("sec-fetch-site", "cross-site")],
            vec![("authorization", right.as_str()), ("origin", "https://evil.example")],
            vec![("authorization", right.as_str()), ("sec-fetch-site", "same-site")],
        ] {
            let all = [vec![host], foreign].concat();
            assert!(matches!(access.check_change(&headers(&all)), Err(Refusal::OtherSite(_))), "{all:?}");
        }
        let without = Access { token: None, ..access };
        assert_eq!(without.check_change(&headers(&[host, origin])), Err(Refusal::ReadOnly));
    }

    #[test]
    fn others_read_with_the_token_only() {
        let open = access("0.0.0.0:8321", true, &[]);
        let right = format!("bearer {TOKEN}");
        assert_eq!(open.check_reader(&headers(&[])), Err(Refusal::SignedOut));
        assert_eq!(open.check_reader(&headers(&[("authorization", &right)])), Ok(()));
        let cookie = open.sign_in(&format!(" {TOKEN}\n")).unwrap();
        let pair = cookie.split(';').next().unwrap();
        assert!(!cookie.contains(TOKEN) && cookie.contains("HttpOnly; SameSite=Strict"), "{cookie}");
        assert_eq!(open.check_reader(&headers(&[("cookie", &format!("other=1; {pair}"))])), Ok(()));
        let elsewhere = pair.replace("8321", "9000");
        assert_eq!(open.check_reader(&headers(&[("cookie", &elsewhere)])), Err(Refusal::SignedOut));
        assert_eq!(open.sign_in("wrong"), Err(Refusal::WrongToken));
        assert_eq!(access("127.0.0.1:0", false, &[]).check_reader(&headers(&[])), Ok(()));
    }
}
