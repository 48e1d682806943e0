//! Where a browser is sent back to after a login: one address of this computer, which takes one answer and is gone.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use oauth2::{AuthorizationCode, CsrfToken};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::sys::cancel::Cancel;
use crate::sys::clock::Clock;
use crate::sys::secrets;

/// The path that a browser is sent back to.
const PATH: &str = "/callback";

/// Longest head of a request, in bytes: a code and a state have a few hundred.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Longest part of a refusal's own words that is shown, in characters.
const WORDS_MAX: usize = 200;

/// Headers of every page: nothing is loaded, kept, or told to other sites; the address holds the code.
const HEADERS: [(&str, &str); 5] = [
    ("content-type", "text/html; charset=utf-8"),
    ("cache-control", "no-store"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
];

/// Why no code came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoCode {
    /// The address cannot be had.
    #[error("cannot listen on port {port} of this computer: {why}")]
    Port {
        /// The port.
        port: u16,
        /// Why not.
        why: String,
    },
    /// The answer belongs to another login.
    #[error(
        "the browser brought an answer with another `state` than the one that was sent: it does not belong to this login"
    )]
    State,
    /// The person said no.
    #[error("access was denied in the browser")]
    Denied,
    /// The service said something else.
    #[error("{0}")]
    Refused(String),
    /// Nobody came.
    #[error("nobody came back from the browser within {} seconds", .0.as_secs())]
    Late(Duration),
    /// Somebody asked to stop.
    #[error("interrupted")]
    Cancelled,
}

/// An address that waits for one answer.
pub struct Redirect {
    listeners: Vec<TcpListener>,
    /// The address, as the app must list it.
    pub uri: String,
}

/// What a connection found out, once the browser has its page.
type Found = Arc<Mutex<Option<Result<String, NoCode>>>>;

impl Redirect {
    /// Takes the address.
    ///
    /// Errors: the port is taken, or not allowed.
    pub async fn listen(port: u16) -> Result<Self, NoCode> {
        let taken = |error: std::io::Error| {
            let why = match error.kind() {
                ErrorKind::AddrInUse => "another program has it".to_owned(),
                _ => error.to_string(),
            };
            NoCode::Port { port, why }
        };
        let mut listeners =
            vec![TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.map_err(taken)?];
        // A browser may take `localhost` for either; a computer without IPv6 has the first one only.
        match TcpListener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, port))).await {
            Ok(listener) => listeners.push(listener),
            // Another program there would get the code.
            Err(error) if error.kind() == ErrorKind::AddrInUse => return Err(taken(error)),
            Err(_) => {}
        }
        Ok(Self { listeners, uri: format!("http://localhost:{port}{PATH}") })
    }

    /// Waits for the code that comes with the login's own state.
    pub async fn code(
        self,
        state: &CsrfToken,
        within: Duration,
        clock: &Clock,
        cancel: &Cancel,
    ) -> Result<AuthorizationCode, NoCode> {
        let (sender, mut receiver) = mpsc::channel(1);
        let mut tasks = JoinSet::new();
        for listener in self.listeners {
            let (state, sender) = (state.clone(), sender.clone());
            tasks.spawn(async move {
                let mut connections = JoinSet::new();
                loop {
                    tokio::select! {
                        accepted = listener.accept() => match accepted {
                            Ok((stream, _)) => drop(connections.spawn(answer(stream, state.clone(), sender.clone()))),
                            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                        },
                        Some(_) = connections.join_next() => {}
                    }
                }
            });
        }
        tokio::select! {
            found = receiver.recv() => found.unwrap_or(Err(NoCode::Cancelled)).map(AuthorizationCode::new),
            () = clock.sleep(within) => Err(NoCode::Late(within)),
            () = cancel.cancelled() => Err(NoCode::Cancelled),
        }
    }
}

/// Answers one connection, and tells what it brought when the browser has its page.
async fn answer(stream: TcpStream, state: CsrfToken, sender: mpsc::Sender<Result<String, NoCode>>) {
    let found = Found::default();
    let noted = Arc::clone(&found);
    let service = service_fn(move |request: Request<Incoming>| {
        let (response, result) = respond(request.method(), request.uri().path(), request.uri().query(), &state);
        if let Some(result) = result {
            *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        }
        async move { Ok::<_, Infallible>(response) }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    server.keep_alive(false).header_read_timeout(None).max_buf_size(HEAD_BYTES_MAX);
    // An error is a browser that went away; what it brought counts all the same.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
    let result = found.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(result) = result {
        // Somebody may have been faster: then nobody listens any more.
        let _ = sender.send(result).await;
    }
}

/// The page for a request, and what it brought.
fn respond(
    method: &Method,
    path: &str,
    query: Option<&str>,
    state: &CsrfToken,
) -> (Response<Full<Bytes>>, Option<Result<String, NoCode>>) {
    if path != PATH {
        return (page(StatusCode::NOT_FOUND, "There is nothing here."), None);
    }
    if method != Method::GET {
        return (page(StatusCode::METHOD_NOT_ALLOWED, "Only GET is answered."), None);
    }
    let pairs: Vec<(String, String)> =
        url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect();
    let get = |name: &str| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    // The crate compares them in a time that tells nothing of where they differ.
    if get("state").map(|given| CsrfToken::new(given.to_owned())).as_ref() != Some(state) {
        let words =
            "This answer does not belong to the login that was begun, and was not used. Begin again in the terminal.";
        return (page(StatusCode::BAD_REQUEST, words), Some(Err(NoCode::State)));
    }
    match (get("code").filter(|code| !code.is_empty()), get("error")) {
        (Some(code), None) => {
            secrets::remember_session(code);
            let words = "Syncline has the answer. You can close this page and go back to the terminal.";
            (page(StatusCode::OK, words), Some(Ok(code.to_owned())))
        }
        // Both spellings are documented.
        (_, Some("access_denied" | "access-denied")) => {
            (page(StatusCode::OK, "Access was denied; nothing was stored."), Some(Err(NoCode::Denied)))
        }
        (_, error) => {
            let said = get("error_description").or(error).unwrap_or("the answer has no code");
            let said = said.chars().filter(|letter| !letter.is_control()).take(WORDS_MAX).collect();
            let words = "The login was refused; the terminal says why.";
            (page(StatusCode::OK, words), Some(Err(NoCode::Refused(said))))
        }
    }
}

fn page(status: StatusCode, words: &str) -> Response<Full<Bytes>> {
    let text = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Syncline</title><p>{words}</p></html>"
    );
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, status: u16, expected: Option<Result<&str, NoCode>>) {
        let (response, found) = respond(&Method::GET, PATH, Some(query), &CsrfToken::new("state-1".to_owned()));
        assert_eq!(response.status().as_u16(), status, "{query}");
        assert_eq!(found, expected.map(|found| found.map(str::to_owned)), "{query}");
    }

    #[test]
    fn an_answer_counts_where_it_belongs_to_the_login() {
        check("code=a%2Bcode&state=state-1", 200, Some(Ok("a+code")));
        for other in
            ["code=x", "code=x&state=", "code=x&state=state-2", "code=x&state=state-11", "error=access_denied", ""]
        {
            check(other, 400, Some(Err(NoCode::State)));
        }
        check("error=access_denied&state=state-1", 200, Some(Err(NoCode::Denied)));
        check("error=access_denied&code=x&state=state-1", 200, Some(Err(NoCode::Denied)));
        let refused = |words: &str| Some(Err(NoCode::Refused(words.to_owned())));
        check("error=invalid_scope&error_description=no%0Asuch+scope&state=state-1", 200, refused("nosuch scope"));
        check("error=invalid_scope&code=x&state=state-1", 200, refused("invalid_scope"));
        check("code=&state=state-1", 200, refused("the answer has no code"));
    }

    #[test]
    fn other_requests_bring_nothing() {
        for (method, path, status) in [
            (Method::GET, "/favicon.ico", 404),
            (Method::POST, PATH, 405),
            (Method::GET, "/", 404),
            (Method::GET, "/callback/", 404),
        ] {
            let state = CsrfToken::new("state-1".to_owned());
            let (response, found) = respond(&method, path, Some("code=x&state=state-1"), &state);
            assert!(response.status().as_u16() == status && found.is_none(), "{method} {path}");
        }
    }
}
