//! HTTP/1.1 on loopback: reads requests, lets an [`Answer`] answer them, and delivers the answer with what befalls it on its way.

use std::convert::Infallible;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::sandbox::http::{Delivery, Reply, Request};
use crate::sandbox::origin;
use crate::sys::cancel::Cancel;

/// Largest request body that is read, in bytes. Far above what either API accepts, so that the services can refuse by themselves.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Largest request head, in bytes. Salesforce's own limit of 16,384 is checked by the service, so the server must read further.
const HEAD_BYTES_MAX: usize = 1024 * 1024;

/// Smallest body that is worth compressing, in bytes.
const GZIP_BYTES_MIN: usize = 1024;

/// How long open requests may go on after a stop was asked for.
/// An answer of the services takes microseconds; what is still open waits for a fault such as `never`.
const STOP_GRACE: Duration = Duration::from_millis(500);

/// Answers requests of one listener.
pub trait Answer: Send + Sync + 'static {
    /// The answer to a request, without waiting for anything.
    fn answer(&self, request: &Request) -> Reply;

    /// Time for the `date` header.
    fn now(&self) -> Timestamp;

    /// Pause before every answer is sent.
    fn latency(&self) -> Duration {
        Duration::ZERO
    }
}

type Body = UnsyncBoxBody<Bytes, Broken>;

/// The answer breaks off here: hyper closes the connection without another byte.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed on purpose")]
struct Broken;

/// Serves a listener until `cancel` asks to stop; open requests get [`STOP_GRACE`] to end.
pub async fn serve(listener: TcpListener, answer: Arc<dyn Answer>, cancel: Cancel) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = cancel.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, answer.clone(), cancel.clone()));
                }
                // Out of file handles, for example: give connections time to end, instead of spinning.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    // The port is free from here on, so that a sandbox can be started anew at once.
    drop(listener);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(STOP_GRACE, all_ended).await;
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, answer: Arc<dyn Answer>, cancel: Cancel) {
    // Small answers must not wait for a full packet.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| exchange(request, answer.clone()));
    let mut server = hyper::server::conn::http1::Builder::new();
    // The date is the sandbox's own, and large heads are for the services to refuse.
    server.auto_date_header(false).header_read_timeout(None).max_buf_size(HEAD_BYTES_MAX).max_headers(512);
    let serving = server.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    tokio::select! {
        // An error here is a client that went away or an answer that we broke off ourselves.
        _ = serving.as_mut() => return,
        () = cancel.cancelled() => serving.as_mut().graceful_shutdown(),
    }
    let _ = serving.await;
}

async fn exchange(request: hyper::Request<Incoming>, answer: Arc<dyn Answer>) -> Result<Response<Body>, Broken> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        let reply = Reply::new(413, "text/plain", "the request body is larger than 64 MiB, or it broke off");
        return Ok(response(reply.with("connection", "close"), answer.now(), false));
    };
    let request = read(&head, body.to_bytes());
    let gzip = accepts_gzip(&request);
    if let Some(reason) = origin::foreign_host(&request) {
        return Ok(response(Reply::new(403, "text/plain", reason + "\n"), answer.now(), false));
    }
    let reply = answer.answer(&request);
    // The request may be large and the answer slow.
    drop(request);
    // After the work: a slow line does not change when a service did it.
    let latency = answer.latency();
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    match reply.delivery {
        Delivery::Dropped => return Err(Broken),
        Delivery::Never => std::future::pending().await,
        Delivery::Late(pause) => tokio::time::sleep(pause).await,
        Delivery::Whole | Delivery::Cut(_) | Delivery::Drip(_) => {}
    }
    Ok(response(reply, answer.now(), gzip))
}

/// The sandbox's form of a request that hyper has read.
fn read(head: &hyper::http::request::Parts, body: Bytes) -> Request {
    let target = head.uri.path_and_query().map_or_else(|| head.uri.path().to_owned(), ToString::to_string);
    let (path, query) = split_target(&target);
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    Request { method: head.method.as_str().to_owned(), path, query, headers: headers.collect(), body, target }
}

/// Takes a request target apart: decoded path segments, and decoded pairs of the query.
pub fn split_target(target: &str) -> (Vec<String>, Vec<(String, String)>) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = path.trim_matches('/');
    // An empty segment in the middle stays, as it makes a path that nobody serves.
    let path = if path.is_empty() { Vec::new() } else { path.split('/').map(decode).collect() };
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        // `+` is a blank in queries only.
        (decode(&name.replace('+', " ")), decode(&value.replace('+', " ")))
    });
    (path, pairs.collect())
}

fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Whether the client takes gzip: named in accept-encoding, and not with weight 0.
fn accepts_gzip(request: &Request) -> bool {
    let lists = request.headers.iter().filter(|(name, _)| name == "accept-encoding");
    lists.flat_map(|(_, list)| list.split(',')).any(|entry| {
        let mut parts = entry.split(';').map(str::trim);
        let named = matches!(parts.next(), Some("gzip" | "x-gzip" | "*"));
        let weight = parts.find_map(|part| part.strip_prefix("q=")).and_then(|weight| weight.parse::<f32>().ok());
        named && weight.is_none_or(|weight| weight > 0.0)
    })
}

/// Our answer in hyper's form, its body compressed where the client takes that.
fn response(mut reply: Reply, now: Timestamp, gzip: bool) -> Response<Body> {
    let has = |reply: &Reply, name: &str| reply.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    if gzip
        && reply.body.len() > GZIP_BYTES_MIN
        && !has(&reply, "content-encoding")
        && let Some(packed) = compress(&reply.body)
    {
        reply = reply.with("content-encoding", "gzip").with("vary", "Accept-Encoding");
        reply.body = packed;
    }
    if !has(&reply, "date")
        && let Ok(date) = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now)
    {
        reply = reply.with("date", date);
    }
    assemble(reply)
}

fn assemble(reply: Reply) -> Response<Body> {
    let bodiless = reply.body.is_empty() && (reply.status == 204 || reply.status == 304);
    let length = HeaderValue::from(reply.body.len());
    let body = match reply.delivery {
        Delivery::Cut(bytes) => cut(&reply.body, bytes),
        Delivery::Drip(pause) => drip(reply.body, pause),
        _ => Full::new(reply.body).map_err(|never: Infallible| match never {}).boxed_unsync(),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in &reply.headers {
        // A header that HTTP cannot carry is left out: the test that wanted it will miss it.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str())) {
            response.headers_mut().append(name, value);
        }
    }
    if !bodiless {
        response.headers_mut().insert(hyper::header::CONTENT_LENGTH, length);
    }
    response
}

/// The form of gzip with the bytes as they are: clients decode it like any other, and on loopback to make them fewer would take
/// longer than to send them.
fn compress(body: &Bytes) -> Option<Bytes> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::with_capacity(body.len() + 64), flate2::Compression::none());
    encoder.write_all(body).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

/// So many bytes of a body of which more was announced, then the end of the connection.
fn cut(body: &Bytes, bytes: usize) -> Body {
    // Never the whole body, or the client would notice nothing.
    let part = body.slice(..bytes.min(body.len().saturating_sub(1)));
    let stream = futures_util::stream::unfold(0_u8, move |step| {
        let part = part.clone();
        async move {
            match step {
                0 => Some((Ok(Frame::data(part)), 1)),
                1 => {
                    // hyper flushes while a body has nothing to give; without the pause the part would be lost as well.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    Some((Err(Broken), 2))
                }
                _ => None,
            }
        }
    });
    StreamBody::new(stream).boxed_unsync()
}

/// One byte at a time.
fn drip(body: Bytes, pause: Duration) -> Body {
    let stream = futures_util::stream::unfold((body, false), move |(mut rest, begun)| async move {
        if rest.is_empty() {
            return None;
        }
        // The first byte comes at once: the pauses lie between them.
        if begun {
            tokio::time::sleep(pause).await;
        }
        let byte = rest.split_to(1);
        Some((Ok(Frame::data(byte)), (rest, true)))
    });
    StreamBody::new(stream).boxed_unsync()
}
