//! Addresses of the two systems: where credentials may be sent, and what of an address may be shown.

use std::borrow::Cow;

use url::{Host, Url};

/// Whether credentials may be sent there: https, or plain http on this computer.
pub fn is_trustworthy(url: &Url) -> bool {
    match url.scheme() {
        // An address without a host would be sent to whatever the client makes of the rest.
        "https" => url.host().is_some(),
        "http" => is_loopback(url),
        _ => false,
    }
}

/// Whether an address is one of this computer by its form alone: `localhost` and loopback addresses. Names below
/// `localhost` are not: a resolver may send them anywhere.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == LOCALHOST,
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => {
            address.is_loopback() || address.to_ipv4_mapped().is_some_and(|address| address.is_loopback())
        }
        None => false,
    }
}

/// The one name of this computer. It is never asked of a resolver.
pub const LOCALHOST: &str = "localhost";

/// A text in which addresses have lost their user names and passwords.
pub fn without_user(text: &str) -> Cow<'_, str> {
    let mut shown = String::new();
    let mut done = 0;
    for (start, _) in text.match_indices("://") {
        let start = start + 3;
        // A second `://` within the user part belongs to what was covered already.
        if start < done {
            continue;
        }
        let rest = &text[start..];
        // Up to where the authority of an address ends, or the text around it goes on.
        let end = rest.find(['/', '?', '#', '\\', '"', '\'', '`', '<', '>']).unwrap_or(rest.len());
        let end = rest[..end].find(char::is_whitespace).unwrap_or(end);
        // The last one: a password may hold an `@` that nobody encoded.
        if let Some(at) = rest[..end].rfind('@').filter(|at| *at > 0) {
            shown.push_str(&text[done..start]);
            shown.push_str("***");
            done = start + at;
        }
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    shown.push_str(&text[done..]);
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: bool) {
        assert_eq!(url.parse().is_ok_and(|url| is_trustworthy(&url)), expected, "{url}");
    }

    #[test]
    fn where_credentials_may_go() {
        for url in [
            "https://acme.my.salesforce.com",
            "http://127.0.0.1:8080",
            "http://127.255.0.1",
            "http://localhost:8080",
            "http://LOCALHOST",
            "http://[::1]:8080",
            "http://[::ffff:127.0.0.1]",
            // Other ways to write the same address.
            "http://127.1",
            "http://2130706433",
            "http://0x7f.1",
        ] {
            check(url, true);
        }
        for url in [
            "http://acme.my.salesforce.com",
            "http://name.localhost:8080",
            "http://localhost.",
            "http://localhost.localdomain",
            "http://127.0.0.1.evil.example",
            "http://localhost.evil.example",
            "http://localhost@evil.example",
            "http://127.0.0.1:80@evil.example",
            "http://evil.example\\@localhost",
            "http://evil.example#@localhost",
            "http://0.0.0.0",
            "http://128.0.0.1",
            "http://[::]",
            "http://[::ffff:10.0.0.1]",
            "ftp://127.0.0.1",
            "file:///etc/hostname",
            "http:localhost.example",
        ] {
            check(url, false);
        }
    }

    #[track_caller]
    fn shows(text: &str, expected: &str) {
        assert_eq!(without_user(text), expected);
    }

    #[test]
    fn users_and_passwords_of_addresses_are_not_shown() {
        shows("https://me:pw@host/path", "https://***@host/path");
        shows("see `ftp://me@host` and http://a:b@c@d.example.", "see `ftp://***@host` and http://***@d.example.");
        shows("https://host/a@b ://x", "https://host/a@b ://x");
        shows("://@ a@b", "://@ a@b");
    }
}
