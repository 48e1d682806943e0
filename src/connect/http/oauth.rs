//! Requests for tokens: worded and read by `oauth2`, sent over our own connections.

use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use oauth2::basic::{BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType};
use oauth2::http::StatusCode;
use oauth2::{
    AccessToken, AsyncHttpClient, AuthType, ClientId, ClientSecret, EndpointNotSet, EndpointSet, ErrorResponse,
    ExtraTokenFields, HttpRequest, HttpResponse, RefreshToken, RequestTokenError, Scope, StandardRevocableToken,
    TokenResponse, TokenUrl,
};
use serde::{Deserialize, Serialize};
use url::Url;

use super::client::{Transport, TransportError, without_secrets};
use crate::sys::cancel::Cancel;
use crate::sys::clock::Clock;
use crate::sys::secrets;

/// An app at a service, whose refusals are `E` and whose answers have members of their own, `M`.
pub(in crate::connect) type App<E, M> = oauth2::Client<
    E,
    Answer<M>,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// Members of a service's answers beside those of all.
pub(in crate::connect) trait Members: ExtraTokenFields {
    /// How long the access token is good, in seconds, where that is told.
    fn seconds(&self) -> Option<u64> {
        None
    }
}

/// Answer of a token endpoint. `token_type` is not asked for: both services give what stands in a header as it is.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::connect) struct Answer<M> {
    pub(in crate::connect) access_token: AccessToken,
    pub(in crate::connect) refresh_token: Option<RefreshToken>,
    #[serde(flatten)]
    pub(in crate::connect) more: M,
}

impl<M: Members> TokenResponse for Answer<M> {
    type TokenType = BasicTokenType;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &BasicTokenType {
        &BasicTokenType::Bearer
    }

    fn expires_in(&self) -> Option<Duration> {
        self.more.seconds().map(Duration::from_secs)
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh_token.as_ref()
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        None
    }
}

/// Why there is no token.
#[derive(Debug)]
pub(in crate::connect) enum NoToken<E> {
    /// The service says why, with this status.
    Refused(u16, E),
    /// The service says something else, with this status.
    Unreadable(u16, Vec<u8>),
    /// It says that all is well, and gives no token.
    NotOne,
    /// It says nothing.
    Silent(TransportError),
}

/// What to say of an answer that should hold a token.
pub(in crate::connect) const NOT_ONE: &str = "the answer is not a token";

/// An app by its id and secret, which stand in the body: that is what both services document.
pub(in crate::connect) fn app<E: ErrorResponse + 'static, M: Members>(
    client_id: &str,
    client_secret: Option<&str>,
    tokens: Url,
) -> App<E, M> {
    let app = oauth2::Client::new(ClientId::new(client_id.to_owned()))
        .set_auth_type(AuthType::RequestBody)
        .set_token_uri(TokenUrl::from_url(tokens));
    match client_secret {
        Some(secret) => app.set_client_secret(ClientSecret::new(secret.to_owned())),
        None => app,
    }
}

/// What requests for tokens are sent over.
pub(in crate::connect) struct Endpoint<'a> {
    transport: &'a Transport,
    clock: &'a Clock,
    cancel: &'a Cancel,
    within: Duration,
    /// Of the last answer: the crate keeps it to itself, and a refusal means another thing with another status.
    status: AtomicU16,
}

impl<'a> Endpoint<'a> {
    pub(in crate::connect) fn new(
        transport: &'a Transport,
        clock: &'a Clock,
        cancel: &'a Cancel,
        within: Duration,
    ) -> Self {
        Self { transport, clock, cancel, within, status: AtomicU16::new(0) }
    }

    /// What came of a request.
    pub(in crate::connect) fn told<E: ErrorResponse, M: Members>(
        &self,
        came: Result<Answer<M>, RequestTokenError<TransportError, E>>,
    ) -> Result<Answer<M>, NoToken<E>> {
        let status = self.status.load(Ordering::Relaxed);
        match came {
            Ok(answer) => Ok(answer.remembered()),
            Err(RequestTokenError::ServerResponse(refusal)) => Err(NoToken::Refused(status, refusal)),
            Err(RequestTokenError::Request(error)) => Err(NoToken::Silent(error)),
            Err(RequestTokenError::Parse(..) | RequestTokenError::Other(_)) if is_success(status) => {
                Err(NoToken::NotOne)
            }
            Err(RequestTokenError::Parse(_, body)) => Err(NoToken::Unreadable(status, body)),
            Err(RequestTokenError::Other(_)) => Err(NoToken::Unreadable(status, Vec::new())),
        }
    }

    /// A request by a grant that the crate has no words for.
    pub(in crate::connect) async fn by_form<E: ErrorResponse, M: Members>(
        &self,
        url: &Url,
        form: &[(&str, &str)],
    ) -> Result<Answer<M>, NoToken<E>> {
        let (status, body) = self.post_form(url, form).await.map_err(NoToken::Silent)?;
        read(status, body)
    }

    /// Sends a form; the answer's status and body, the latter without secrets where it is a refusal, which may quote what was sent.
    pub(in crate::connect) async fn post_form(
        &self,
        url: &Url,
        form: &[(&str, &str)],
    ) -> Result<(u16, Vec<u8>), TransportError> {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.post(url, form.into_bytes()).await
    }

    async fn post(&self, url: &Url, form: Vec<u8>) -> Result<(u16, Vec<u8>), TransportError> {
        let answer = self.transport.post_form(url, form, self.cancel);
        let (status, body) = tokio::select! {
            biased;
            answer = answer => answer?,
            () = self.clock.sleep(self.within) => {
                return Err(TransportError::Failed(format!("no answer within {} s", self.within.as_secs())));
            }
        };
        self.status.store(status, Ordering::Relaxed);
        let body = if is_success(status) { body.into() } else { without_secrets(&body).into_owned() };
        Ok((status, body))
    }
}

impl<'c> AsyncHttpClient<'c> for Endpoint<'_> {
    type Error = TransportError;
    type Future = BoxFuture<'c, Result<HttpResponse, TransportError>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let url = request.uri().to_string().parse();
            let url = url.map_err(|error: url::ParseError| TransportError::Failed(error.to_string()))?;
            let (status, body) = self.post(&url, request.into_body()).await?;
            // The crate takes no other success than this one.
            let status = if is_success(status) { 200 } else { status };
            let mut response = HttpResponse::new(body);
            *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Ok(response)
        })
    }
}

impl<M: Members> Answer<M> {
    /// From here on no log or message shows the tokens.
    fn remembered(self) -> Self {
        secrets::remember_session(self.access_token.secret());
        if let Some(token) = &self.refresh_token {
            secrets::remember_session(token.secret());
        }
        self
    }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

/// An answer, read as the crate does it.
pub(in crate::connect) fn read<E: ErrorResponse, M: Members>(
    status: u16,
    body: Vec<u8>,
) -> Result<Answer<M>, NoToken<E>> {
    if is_success(status) {
        // The decoder's own words could quote a token.
        return serde_json::from_slice(&body).map(Answer::remembered).map_err(|_| NoToken::NotOne);
    }
    Err(match serde_json::from_slice(&body) {
        Ok(refusal) => NoToken::Refused(status, refusal),
        Err(_) => NoToken::Unreadable(status, body),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use oauth2::basic::BasicErrorResponse;
    use oauth2::{AuthorizationCode, PkceCodeVerifier};

    use super::*;
    use crate::sys::network::{Network, Play, PlayedReply, PlayedRequest};

    #[derive(Debug, Serialize, Deserialize)]
    struct Lasts {
        expires_in: Option<u64>,
    }

    impl ExtraTokenFields for Lasts {}

    impl Members for Lasts {
        fn seconds(&self) -> Option<u64> {
            self.expires_in
        }
    }

    /// A service that says one thing, and takes one request.
    struct Says(u16, &'static str);

    impl Play for Says {
        fn exchange(&self, request: PlayedRequest) -> BoxFuture<'_, Result<PlayedReply, String>> {
            let form: Vec<_> = url::form_urlencoded::parse(&request.body).into_owned().collect();
            let expected = [
                ("grant_type", "authorization_code"),
                ("code", "a+code &"),
                ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
                ("client_id", "an app"),
                ("client_secret", "its secret"),
            ];
            assert_eq!(form, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
            let header =
                |name: &str| request.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value);
            assert_eq!(header("content-type"), Some("application/x-www-form-urlencoded"));
            assert_eq!((header("accept"), header("authorization")), (Some("application/json"), None));
            let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
            let (status, body) = (self.0, Bytes::from_static(self.1.as_bytes()));
            let reply = PlayedReply { status, headers, body, broken: self.1 == "cut" };
            Box::pin(async move { if status == 0 { Err("no route".to_owned()) } else { Ok(reply) } })
        }
    }

    #[track_caller]
    fn check(status: u16, body: &'static str, expected: &str) {
        let url: Url = "https://login.example/token".parse().unwrap();
        let (clock, cancel) = (Clock::system(), Cancel::new());
        let network = Network::Played(Arc::new(Says(status, body)));
        let transport = Transport::new(&url, &network, &clock).unwrap();
        let endpoint = Endpoint::new(&transport, &clock, &cancel, Duration::from_secs(5));
        let app: App<BasicErrorResponse, Lasts> = app("an app", Some("its secret"), url);
        let verifier = PkceCodeVerifier::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned());
        let request = app.exchange_code(AuthorizationCode::new("a+code &".to_owned())).set_pkce_verifier(verifier);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let found = match runtime.block_on(async { endpoint.told(request.request_async(&endpoint).await) }) {
            Ok(answer) => format!("{:?} {:?}", answer.expires_in(), answer.refresh_token().map(RefreshToken::secret)),
            Err(NoToken::Refused(status, refusal)) => format!("refused {status}: {refusal}"),
            Err(other) => format!("{other:?}"),
        };
        assert_eq!(found, expected, "{status} {body}");
    }

    #[test]
    fn what_comes_of_a_request_for_a_token() {
        check(
            200,
            r#"{"access_token":"access-1234","refresh_token":"refresh-1234","expires_in":1800}"#,
            "Some(1800s) Some(\"refresh-1234\")",
        );
        // Neither a kind of token nor a lifetime is asked for, and any success is one.
        check(201, r#"{"access_token":"access-1234","scope":7}"#, "None None");
        check(
            400,
            r#"{"error":"invalid_grant","error_description":"too late"}"#,
            "refused 400: invalid_grant: too late",
        );
        check(429, r#"{"error":"slow_down"}"#, "refused 429: slow_down");
        // What a service says of itself is not shown in the decoder's words, which could quote a token.
        for body in ["", "{}", "access-1234", r#"{"access_token":["access-1234"]}"#] {
            check(200, body, "NotOne");
        }
        check(503, "<p>", "Unreadable(503, [60, 112, 62])");
        check(400, r#"{"code":1}"#, "Unreadable(400, [123, 34, 99, 111, 100, 101, 34, 58, 49, 125])");
        check(500, "", "Unreadable(500, [])");
        check(200, "cut", "Silent(Failed(\"the connection was closed\"))");
        check(0, "", "Silent(Failed(\"no route\"))");
    }
}
