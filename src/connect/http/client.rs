//! One HTTP exchange, without any repetition. The only file that names the HTTP client.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::HeaderMap;
use reqwest::{Method, redirect};
use url::{Host, Url};

use crate::sys::cancel::Cancel;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// Longest silence. A query may run for two minutes before its first byte.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(150);

/// Longest body that is read into memory, in bytes. A page of 2,000 wide rows stays far below.
const BODY_BYTES_MAX: usize = 256 << 20;

/// Makes HTTP exchanges. Clones share one pool of connections.
#[derive(Clone)]
pub(in crate::connect) struct Transport(reqwest::Client);

/// Why no answer came, or not all of it.
#[derive(Debug)]
pub(in crate::connect) enum TransportError {
    /// Somebody asked to stop.
    Cancelled,
    /// The network's trouble, in words without addresses' queries.
    Failed(String),
}

/// What to send.
pub(in crate::connect) struct Outgoing<'a> {
    pub(in crate::connect) method: Method,
    pub(in crate::connect) url: &'a Url,
    pub(in crate::connect) token: &'a str,
    pub(in crate::connect) headers: Vec<(&'static str, &'static str)>,
    pub(in crate::connect) body: Option<Bytes>,
    /// Longest time for the whole exchange; none where answers are streams of any length.
    pub(in crate::connect) time_max: Option<Duration>,
}

/// An answer whose body is still to be read.
pub(in crate::connect) struct Reply {
    pub(in crate::connect) status: u16,
    pub(in crate::connect) headers: HeaderMap,
    body: reqwest::Response,
}

impl Transport {
    /// A client that follows no redirect, so that a token never travels on.
    pub(in crate::connect) fn new(login: &Url) -> Result<Self, String> {
        // One cryptography for the whole program; a second call, which changes nothing, is no trouble.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder()
            .user_agent(concat!("Syncline/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE_TIMEOUT)
            .redirect(redirect::Policy::none())
            .referer(false)
            .gzip(true);
        // Plain http is for this computer only, and a proxy has no business there.
        let builder = if login.scheme() == "http" { builder.no_proxy() } else { builder };
        builder.build().map(Self).map_err(words)
    }

    /// Sends a form and reads the whole answer.
    pub(in crate::connect) async fn post_form(
        &self,
        url: &Url,
        form: &[(&'static str, &str)],
        cancel: &Cancel,
    ) -> Result<(u16, Bytes), TransportError> {
        let request = self.0.post(url.clone()).header("accept", "application/json").form(form);
        let mut reply = Self::head(request, cancel).await?;
        Ok((reply.status, reply.bytes(cancel).await?))
    }

    /// Sends a request and waits for the head of its answer.
    pub(in crate::connect) async fn send(
        &self,
        outgoing: Outgoing<'_>,
        cancel: &Cancel,
    ) -> Result<Reply, TransportError> {
        if !trustworthy(outgoing.url) {
            return Err(TransportError::Failed("the address is not one that credentials may be sent to".to_owned()));
        }
        // Marks the header as one that no log may show.
        let mut request = self.0.request(outgoing.method, outgoing.url.clone()).bearer_auth(outgoing.token);
        for (name, value) in outgoing.headers {
            request = request.header(name, value);
        }
        if let Some(time_max) = outgoing.time_max {
            request = request.timeout(time_max);
        }
        if let Some(body) = outgoing.body {
            request = request.header("content-type", "application/json; charset=UTF-8").body(body);
        }
        Self::head(request, cancel).await
    }

    async fn head(request: reqwest::RequestBuilder, cancel: &Cancel) -> Result<Reply, TransportError> {
        let response = tokio::select! {
            response = request.send() => response.map_err(|error| TransportError::Failed(words(error)))?,
            () = cancel.cancelled() => return Err(TransportError::Cancelled),
        };
        Ok(Reply { status: response.status().as_u16(), headers: response.headers().clone(), body: response })
    }
}

impl Reply {
    /// A header's text; none where it is missing or no text.
    pub(in crate::connect) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The next piece of the body, unpacked; none at its end.
    pub(in crate::connect) async fn chunk(&mut self, cancel: &Cancel) -> Result<Option<Bytes>, TransportError> {
        tokio::select! {
            chunk = self.body.chunk() => chunk.map_err(|error| TransportError::Failed(words(error))),
            () = cancel.cancelled() => Err(TransportError::Cancelled),
        }
    }

    /// The whole body.
    pub(in crate::connect) async fn bytes(&mut self, cancel: &Cancel) -> Result<Bytes, TransportError> {
        let mut body = BytesMut::new();
        while let Some(chunk) = self.chunk(cancel).await? {
            if body.len() + chunk.len() > BODY_BYTES_MAX {
                return Err(TransportError::Failed(format!("the answer is longer than {} MiB", BODY_BYTES_MAX >> 20)));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }
}

/// Whether credentials may be sent there: https, or plain http on this computer.
pub(in crate::connect) fn trustworthy(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => url.host().is_some(),
        "http" => loopback,
        _ => false,
    }
}

/// An error and its causes as text. The address is left out: its query may hold values.
fn words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: bool) {
        assert_eq!(trustworthy(&url.parse().unwrap()), expected, "{url}");
    }

    #[test]
    fn where_credentials_may_go() {
        check("https://acme.my.salesforce.com", true);
        check("http://acme.my.salesforce.com", false);
        check("http://127.0.0.1:8080", true);
        check("http://localhost:8080", true);
        check("http://[::1]:8080", true);
        check("http://127.0.0.1.evil.example", false);
        check("http://localhost.evil.example", false);
        check("ftp://127.0.0.1", false);
    }
}
