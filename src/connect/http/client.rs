//! One HTTP exchange, without any repetition. The only file that names the HTTP client.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, redirect};
use tracing::{Instrument, Span};
use url::Url;

use super::written::{OnWritten, WrittenBody};
use crate::config::address::{LOCALHOST, is_trustworthy};
use crate::model::text;
use crate::sys::cancel::{Cancel, TurnOver};
use crate::sys::clock::Clock;
use crate::sys::network::{Network, Play, PlayedReply, PlayedRequest};
use crate::sys::secrets::masked;
use crate::sys::spans;

/// Longest wait for a connection.
/// Far more than a handshake takes, yet short beside the silence that an answer may keep.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// Longest silence. A query may run for two minutes before its first byte.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(150);

/// Where `localhost` is; the port is the address's own.
const LOOPBACK: [SocketAddr; 2] =
    [SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0), SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0)];

/// Longest body that is read into memory, in bytes. A page of 2,000 wide rows stays far below.
const BODY_BYTES_MAX: usize = 256 << 20;

/// Most memory that is set aside because a server says that so much will come.
const LENGTH_BELIEVED_MAX: usize = 1 << 20;

/// How the message of an exchange begins whose time was over.
const NO_ANSWER: &str = "no answer in time";

/// How the message of an exchange begins that found nobody.
const CANNOT_CONNECT: &str = "cannot connect";

/// The header that names the turn in which a worker makes a call.
const TURN: HeaderName = HeaderName::from_static("syncline-turn");

/// Makes HTTP exchanges. Clones share one pool of connections.
#[derive(Clone)]
pub(in crate::connect) struct Transport {
    /// For what is on this computer: it knows no certificate, and reads none.
    plain: reqwest::Client,
    /// For everything else, with the certificates that this computer trusts: some hundred files, which are read when they are needed.
    secure: Arc<OnceLock<Result<reqwest::Client, String>>>,
    played: Option<Played>,
}

/// A network that is played, and its time.
#[derive(Clone)]
struct Played {
    network: Arc<dyn Play>,
    clock: Clock,
}

/// Why no answer came, or not all of it.
#[derive(Debug, thiserror::Error)]
pub(in crate::connect) enum TransportError {
    /// Somebody asked to stop.
    #[error("interrupted")]
    Cancelled,
    /// The network's trouble, in words without addresses' queries.
    #[error("{0}")]
    Failed(String),
}

/// What to send.
pub(in crate::connect) struct Outgoing<'a> {
    pub(in crate::connect) method: Method,
    pub(in crate::connect) url: &'a Url,
    pub(in crate::connect) token: &'a str,
    pub(in crate::connect) headers: Vec<(&'static str, &'static str)>,
    pub(in crate::connect) body: Option<Bytes>,
    /// Called when the body is written to the connection.
    pub(in crate::connect) on_written: Option<OnWritten>,
    /// Longest time for the whole exchange; none where answers are streams of any length.
    pub(in crate::connect) time_max: Option<Duration>,
    /// How often the same call was sent before.
    pub(in crate::connect) resends: u32,
}

/// An answer whose body is still to be read.
pub(in crate::connect) struct Reply {
    pub(in crate::connect) status: u16,
    pub(in crate::connect) headers: HeaderMap,
    body: Body,
}

/// What is left of a body.
enum Body {
    Real(reqwest::Response),
    Played { rest: Option<Bytes>, broken: bool },
}

/// What all clients have in common: they follow no redirect, so that a token never travels on.
fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        // An administrator who looks through a proxy's log can tell our requests from others.
        .user_agent(concat!("Syncline/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(SILENCE_TIMEOUT)
        .redirect(redirect::Policy::none())
        // An address may hold an id or a query, which is no other host's business.
        .referer(false)
        // Not even a resolver of this computer is asked where this computer is.
        .resolve_to_addrs(LOCALHOST, &LOOPBACK)
        // Rows are repetitive text, which shrinks to a fraction when it is packed.
        .gzip(true)
}

impl Transport {
    /// A transport to wherever one logs in.
    pub(in crate::connect) fn new(login: &Url, network: &Network, clock: &Clock) -> Result<Self, String> {
        // One cryptography for the whole program; a second call, which changes nothing, is no trouble.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let played = match network {
            Network::Real => None,
            Network::Played(network) => Some(Played { network: Arc::clone(network), clock: clock.clone() }),
        };
        // Plain http is for this computer only, and a proxy has no business there.
        let plain = builder().no_proxy().tls_certs_only([]).build().map_err(transport_message)?;
        let transport = Self { plain, secure: Arc::default(), played };
        transport.client(login)?;
        Ok(transport)
    }

    /// The client for an address.
    fn client(&self, url: &Url) -> Result<&reqwest::Client, String> {
        if self.played.is_some() || url.scheme() == "http" {
            return Ok(&self.plain);
        }
        let secure = self.secure.get_or_init(|| builder().build().map_err(transport_message));
        secure.as_ref().map_err(Clone::clone)
    }

    /// Sends a form and reads the whole answer.
    /// Logins only: the address was checked by the caller, and no token stands in a header.
    pub(in crate::connect) async fn post_form(
        &self,
        url: &Url,
        form: Vec<u8>,
        cancel: &Cancel,
    ) -> Result<(u16, Bytes), TransportError> {
        let client = self.client(url).map_err(TransportError::Failed)?;
        let request = client.post(url.clone()).header("accept", "application/json");
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
        let mut reply = self.head(request, spans::request("POST", url, 0), cancel).await?;
        Ok((reply.status, reply.bytes(cancel).await?))
    }

    /// Sends a request and waits for the head of its answer.
    pub(in crate::connect) async fn send(
        &self,
        outgoing: Outgoing<'_>,
        cancel: &Cancel,
    ) -> Result<Reply, TransportError> {
        // Checked for every request, as some addresses come from answers.
        if !is_trustworthy(outgoing.url) {
            return Err(TransportError::Failed("the address is not one that credentials may be sent to".to_owned()));
        }
        // Marks the header as one that no log may show.
        let client = self.client(outgoing.url).map_err(TransportError::Failed)?;
        let span = spans::request(outgoing.method.as_str(), outgoing.url, outgoing.resends);
        let mut request = client.request(outgoing.method, outgoing.url.clone()).bearer_auth(outgoing.token);
        for (name, value) in outgoing.headers {
            request = request.header(name, value);
        }
        if let Some(time_max) = outgoing.time_max {
            request = request.timeout(time_max);
        }
        if let Some(body) = outgoing.body {
            request = request.header("content-type", "application/json; charset=UTF-8");
            // A network that is played has no connection; its calls count from when they get their place.
            request = match outgoing.on_written.filter(|_| self.played.is_none()) {
                Some(on_written) => {
                    request.body(reqwest::Body::wrap(WrittenBody::new(body, on_written, cancel.clone())))
                }
                None => request.body(body),
            };
        }
        self.head(request, span, cancel).await
    }

    /// Sends JSON with headers of its own and without a token; gives the status of the answer.
    pub(in crate::connect) async fn post_json(
        &self,
        url: &Url,
        headers: &[(&'static str, String)],
        body: Bytes,
        time_max: Duration,
        cancel: &Cancel,
    ) -> Result<u16, TransportError> {
        if !is_trustworthy(url) {
            return Err(TransportError::Failed("the address is neither https nor one of this computer".to_owned()));
        }
        let client = self.client(url).map_err(TransportError::Failed)?;
        let mut request = client.post(url.clone()).timeout(time_max).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        Ok(self.head(request.body(body), spans::request("POST", url, 0), cancel).await?.status)
    }

    /// Sends what traces are written in, which is itself in none of them. Where to is a person's choice: it has no credentials of ours.
    #[cfg(feature = "otel")]
    pub(in crate::connect) async fn post(
        &self,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
        time_max: Duration,
    ) -> Result<(u16, Bytes), TransportError> {
        let client = self.client(url).map_err(TransportError::Failed)?;
        let request = client.post(url.clone()).timeout(time_max).headers(headers).body(body);
        let never = Cancel::new();
        let mut reply = self.head(request, Span::none(), &never).await?;
        Ok((reply.status, reply.bytes(&never).await?))
    }

    /// Waits for the head of an answer.
    async fn head(
        &self,
        request: reqwest::RequestBuilder,
        span: Span,
        cancel: &Cancel,
    ) -> Result<Reply, TransportError> {
        let answer = self.exchange(request, cancel).instrument(span.clone()).await;
        match &answer {
            Ok(reply) => spans::answered(&span, reply.status),
            Err(TransportError::Cancelled) => spans::unanswered(&span, "cancelled"),
            Err(TransportError::Failed(why)) if why.starts_with(NO_ANSWER) => spans::unanswered(&span, "timeout"),
            Err(TransportError::Failed(why)) if why.starts_with(CANNOT_CONNECT) => spans::unanswered(&span, "connect"),
            Err(TransportError::Failed(_)) => spans::unanswered(&span, "_OTHER"),
        }
        answer
    }

    async fn exchange(&self, request: reqwest::RequestBuilder, cancel: &Cancel) -> Result<Reply, TransportError> {
        let failed = |error| TransportError::Failed(transport_message(error));
        // Whoever may have lost the portal to somebody else sends nothing more.
        let request = match cancel.pass() {
            Ok(None) => request,
            // Which turn a call belongs to can be seen wherever calls are.
            Ok(Some(turn)) => request.header(TURN, turn),
            Err(TurnOver) => return Err(TransportError::Cancelled),
        };
        tokio::select! {
            biased;
            // A stop that was asked for goes before an answer that comes at the same time.
            () = cancel.cancelled() => Err(TransportError::Cancelled),
            reply = async {
                match &self.played {
                    None => request.send().await.map(Reply::real).map_err(failed),
                    Some(played) => played.head(request.build().map_err(failed)?).await,
                }
            } => reply,
        }
    }
}

impl Played {
    async fn head(&self, request: reqwest::Request) -> Result<Reply, TransportError> {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = request.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        let body = request.body().and_then(reqwest::Body::as_bytes).map(Bytes::copy_from_slice).unwrap_or_default();
        // The real client counts silence; here the answer comes as a whole, so its head is all there is to wait for.
        let time_max = request.timeout().copied().unwrap_or(SILENCE_TIMEOUT);
        let (method, url) = (request.method().to_string(), request.url().to_string());
        let request = PlayedRequest { method, url, headers, body };
        tokio::select! {
            biased;
            reply = self.network.exchange(request) => reply.map(Reply::played).map_err(TransportError::Failed),
            () = self.clock.sleep(time_max) => Err(TransportError::Failed("operation timed out".to_owned())),
        }
    }
}

impl Reply {
    fn real(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, body: Body::Real(response) }
    }

    fn played(reply: PlayedReply) -> Self {
        // What could not stand in a real answer does not stand in a played one.
        let header = |(name, value): (String, String)| {
            Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
        };
        let headers = reply.headers.into_iter().filter_map(header).collect();
        Self { status: reply.status, headers, body: Body::Played { rest: Some(reply.body), broken: reply.broken } }
    }

    /// A header's text; none where it is missing or no text.
    pub(in crate::connect) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The server's time, to the second; none where the answer does not tell it.
    pub(in crate::connect) fn date(&self) -> Option<Timestamp> {
        jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(self.header("date")?).ok()
    }

    /// The next piece of the body, unpacked; none at its end.
    pub(in crate::connect) async fn chunk(&mut self, cancel: &Cancel) -> Result<Option<Bytes>, TransportError> {
        let response = match &mut self.body {
            Body::Real(response) => response,
            Body::Played { rest, broken } => match rest.take().filter(|rest| !rest.is_empty()) {
                None if *broken => return Err(TransportError::Failed("the connection was closed".to_owned())),
                rest => return Ok(rest),
            },
        };
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(TransportError::Cancelled),
            chunk = response.chunk() => chunk.map_err(|error| TransportError::Failed(transport_message(error))),
        }
    }

    /// The bytes of the whole body, as far as the server tells.
    fn length(&self) -> usize {
        let length = match &self.body {
            Body::Real(response) => response.content_length(),
            Body::Played { .. } => None,
        };
        length.and_then(|length| usize::try_from(length).ok()).unwrap_or_default()
    }

    /// The whole body.
    pub(in crate::connect) async fn bytes(&mut self, cancel: &Cancel) -> Result<Bytes, TransportError> {
        let mut body = BytesMut::with_capacity(self.length().min(LENGTH_BELIEVED_MAX));
        while let Some(chunk) = self.chunk(cancel).await? {
            // Measured unpacked: a small answer can unpack to anything.
            if body.len() + chunk.len() > BODY_BYTES_MAX {
                return Err(TransportError::Failed(format!("the answer is longer than {} MiB", BODY_BYTES_MAX >> 20)));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }
}

/// The body of a refusal without the secrets that it may echo, before anything of it is cut, shown or stored.
pub(in crate::connect) fn without_secrets(body: &[u8]) -> Cow<'_, [u8]> {
    match std::str::from_utf8(body).map(masked) {
        Ok(Cow::Owned(text)) => Cow::Owned(text.into_bytes()),
        Ok(Cow::Borrowed(_)) => Cow::Borrowed(body),
        // A secret is text, and hides between bytes that are none as well as in text.
        Err(_) => Cow::Owned(masked(&String::from_utf8_lossy(body)).into_owned().into_bytes()),
    }
}

/// An error and its causes as text. The address is left out: its query may hold values.
fn transport_message(error: reqwest::Error) -> String {
    let error = error.without_url();
    let what = if error.is_builder() {
        "no request could be made"
    } else if error.is_timeout() {
        NO_ANSWER
    } else if error.is_connect() {
        CANNOT_CONNECT
    } else if error.is_body() || error.is_decode() {
        "the answer broke off"
    } else {
        "the request broke off"
    };
    // Of the chain of causes the last one is the system's own; those above it name parts of the client.
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    text::without_error_numbers(&format!("{what}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_service_that_is_not_there_is_told_without_the_words_of_a_library() {
        // A port that was free a moment ago: nobody listens on it.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url: Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        drop(listener);
        let transport = Transport::new(&url, &Network::Real, &Clock::system()).unwrap();
        match transport.post_form(&url, Vec::new(), &Cancel::new()).await {
            Err(TransportError::Failed(message)) => {
                assert!(message.starts_with("cannot connect: ") && !message.contains("os error"), "{message}");
                assert!(!message.contains("tcp"), "{message}");
            }
            other => panic!("{other:?}"),
        }
    }
}
