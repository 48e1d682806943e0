//! Names of hosts as requests carry them: a browser lets any page send requests to this computer, and a name of the page's own may
//! lead here as well (DNS rebinding); both show in headers that pages cannot set.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The name in a `host` header, without its port; none where the header is malformed. An address of version 6 keeps its brackets.
pub fn name(host: &str) -> Option<&str> {
    let (name, port) = match host.rsplit_once(':') {
        // The last colon of an address in brackets belongs to it.
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    // Rust's parser takes a plus sign, which no port has.
    let numeric = port.is_none_or(|port| port.parse::<u16>().is_ok() && !port.starts_with('+'));
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).is_some() || !name.contains(':');
    (numeric && bare && !name.is_empty()).then_some(name)
}

/// Whether a `host` header names this computer: `localhost`, 127.0.0.0/8 or `[::1]`, with or without a port.
pub fn is_loopback(host: &str) -> bool {
    let Some(name) = name(host) else { return false };
    if let Some(address) = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback());
    }
    name.eq_ignore_ascii_case("localhost") || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

/// Whether an `origin` header is that of pages of a host; whether a proxy before it speaks TLS is its own affair.
pub fn is_of(origin: &str, host: &str) -> bool {
    let named = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    named.is_some_and(|named| !named.is_empty() && named.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_a_name_and_perhaps_a_port() {
        for (host, expected) in [
            ("localhost", Some("localhost")),
            ("a.example:80", Some("a.example")),
            ("[::1]", Some("[::1]")),
            ("[::1]:80", Some("[::1]")),
            ("::1", None),
            ("a:b", None),
            ("a:+1", None),
            ("a:70000", None),
            (":80", None),
            ("", None),
        ] {
            assert_eq!(name(host), expected, "{host}");
        }
    }

    #[test]
    fn an_origin_is_that_of_its_host() {
        assert!(is_of("http://localhost:80", "LOCALHOST:80") && is_of("https://a.example", "a.example"));
        for origin in ["null", "", "http://", "ftp://a.example", "https://a.example.evil", "https://a.example:444"] {
            assert!(!is_of(origin, "a.example"), "{origin}");
        }
        assert!(!is_of("http://", ""));
    }
}
