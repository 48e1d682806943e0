//! Who may ask a sandbox: programs of this computer, and no page of another site. A browser lets any page send requests to
//! loopback, and a name of the page's own may lead there as well (DNS rebinding); both show in headers that pages cannot set.

use crate::sandbox::http::Request;
use crate::sys::origin::is_loopback;

/// Why a request does not come from this computer by a name of this computer; none where it does.
pub fn foreign_host(request: &Request) -> Option<String> {
    let hosts: Vec<&str> = all(request, "host").collect();
    match hosts.as_slice() {
        [host] if is_loopback(host) => None,
        [host] => Some(format!("the header `host` is `{host}`; use `localhost` or an address such as `127.0.0.1`")),
        [] => Some("the header `host` is missing; use `localhost` or an address such as `127.0.0.1`".to_owned()),
        _ => Some("the header `host` is there more than once".to_owned()),
    }
}

/// Why a request was made by a page of another site; none where it was not.
pub fn foreign_page(request: &Request) -> Option<String> {
    let host = request.header("host").unwrap_or_default();
    // Over plain HTTP only, as the sandbox has no other.
    let is_ours = |origin: &str| origin.strip_prefix("http://").is_some_and(|origin| origin.eq_ignore_ascii_case(host));
    if let Some(origin) = all(request, "origin").find(|origin| !is_ours(origin)) {
        return Some(format!("a page of `{origin}` may not control the sandbox"));
    }
    // `none` is an address that a person typed.
    let foreign = all(request, "sec-fetch-site").find(|site| !["same-origin", "none"].contains(site));
    foreign.map(|site| format!("a page of another origin (`sec-fetch-site: {site}`) may not control the sandbox"))
}

fn all<'a>(request: &'a Request, wanted: &'a str) -> impl Iterator<Item = &'a str> {
    request.headers.iter().filter(move |(name, _)| name == wanted).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)]) -> Request {
        Request {
            method: "POST".into(),
            target: "/clock".into(),
            path: vec!["clock".into()],
            query: Vec::new(),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            body: bytes::Bytes::new(),
        }
    }

    #[test]
    fn only_names_of_this_computer_are_hosts() {
        for host in ["localhost", "LocalHost:80", "127.0.0.1:8090", "127.255.255.254", "[::1]", "[::1]:8090"] {
            assert_eq!(foreign_host(&request(&[("host", host)])), None, "{host}");
        }
        for host in [
            "",
            ":8090",
            "evil.example",
            "evil.example:8090",
            "localhost.evil.example",
            "evil.example:localhost",
            "127.0.0.1.nip.io",
            "sub.localhost",
            "localhost.",
            "0.0.0.0",
            "128.0.0.1",
            "127.1",
            "0x7f.0.0.1",
            "2130706433",
            "::1",
            "[::2]",
            "[::1",
            "::1]",
            "[::ffff:127.0.0.1]",
            "[::1].evil.example",
            "localhost:x",
            "localhost:+1",
            "localhost:99999",
            "localhost@evil.example",
            "evil.example@localhost",
            "localhost, evil.example",
            "localhost/x",
        ] {
            assert!(foreign_host(&request(&[("host", host)])).is_some(), "{host}");
        }
        assert!(foreign_host(&request(&[])).is_some());
        assert!(foreign_host(&request(&[("host", "localhost"), ("host", "localhost")])).is_some());
    }

    #[test]
    fn only_the_own_page_may_send() {
        let host = ("host", "localhost:8090");
        for headers in [
            &[][..],
            &[("origin", "http://localhost:8090")],
            &[("origin", "http://LOCALHOST:8090"), ("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
        ] {
            let all: Vec<_> = [host].iter().chain(headers).copied().collect();
            assert_eq!(foreign_page(&request(&all)), None, "{headers:?}");
        }
        for headers in [
            &[("origin", "https://evil.example")][..],
            &[("origin", "null")],
            &[("origin", "")],
            &[("origin", "https://localhost:8090")],
            &[("origin", "http://localhost:3000")],
            &[("origin", "http://localhost:8090.evil.example")],
            &[("origin", "http://localhost:8090"), ("origin", "https://evil.example")],
            &[("origin", "http://localhost:8090"), ("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "cross-site")],
        ] {
            let all: Vec<_> = [host].iter().chain(headers).copied().collect();
            assert!(foreign_page(&request(&all)).is_some(), "{headers:?}");
        }
    }
}
