//! The token of a connection: one that is configured, or that of a person's login, which is renewed in time.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use oauth2::basic::BasicErrorResponseType;
use oauth2::{ErrorResponse, ExtraTokenFields, RefreshToken, TokenResponse as _};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tracing::Instrument;
use url::Url;

use super::errors;
use super::settings::{API_VERSION, Credentials, HubspotSettings};
use crate::connect::http::calls::Unclaimed;
use crate::connect::http::client::Transport;
use crate::connect::http::login_file::{LoginFile, StoredLogin};
use crate::connect::http::oauth::{Answer, Endpoint, Members, NOT_ONE, NoToken, app};
use crate::ports::fault::Fault;
use crate::sys::cancel::Cancel;
use crate::sys::clock::Clock;
use crate::sys::rng::Rng;

/// Tries of one renewal while the trouble is passing: about eight seconds, since all calls wait behind it.
const ATTEMPTS_MAX: u32 = 5;

/// First wait between two tries; it doubles.
const WAIT_FIRST: Duration = Duration::from_millis(500);

/// Longest wait for one answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// How long before its end a token is renewed: longer than a call takes.
const RENEWED_BEFORE: Duration = Duration::from_secs(180);

/// The one place that knows a connection's token. Shared by all its handles.
pub(super) struct Tokens {
    settings: Arc<HubspotSettings>,
    transport: Transport,
    clock: Clock,
    rng: Rng,
    cancel: Cancel,
    unclaimed: Unclaimed,
    /// Held while a token is asked for: all others wait for it.
    present: Mutex<Option<Present>>,
}

/// The token in use.
#[derive(Clone)]
struct Present {
    token: Arc<str>,
    until: Option<Timestamp>,
}

/// Answer of the token endpoint.
pub(in crate::connect) type TokenAnswer = Answer<Own>;

/// What is HubSpot's own in it.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::connect) struct Own {
    /// Seconds.
    expires_in: Option<u64>,
    pub(in crate::connect) hub_id: Option<u64>,
}

impl ExtraTokenFields for Own {}

impl Members for Own {
    fn seconds(&self) -> Option<u64> {
        self.expires_in
    }
}

/// A refusal of the token endpoint: that of the standard, and members of HubSpot's own, any of which may be missing.
#[derive(Debug, Serialize, Deserialize, Default)]
#[serde(default)]
pub(in crate::connect) struct ErrorAnswer {
    status: String,
    message: String,
    error: Option<BasicErrorResponseType>,
    error_description: String,
}

impl std::fmt::Display for ErrorAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl ErrorResponse for ErrorAnswer {}

/// What an answer of the token endpoint means.
#[derive(Debug)]
pub(in crate::connect) enum Asked {
    /// Ask again after a moment.
    Passing(String),
    /// The code or refresh token is not good (any more).
    GrantOver(String),
    /// Anything else: the app's settings.
    Final(String),
}

impl Asked {
    /// What was said.
    pub(in crate::connect) fn into_message(self) -> String {
        let (Self::Passing(message) | Self::GrantOver(message) | Self::Final(message)) = self;
        message
    }
}

/// Where tokens are asked for.
pub(in crate::connect) fn token_url(base: &Url) -> Result<Url, url::ParseError> {
    base.join(&format!("/oauth/{API_VERSION}/token"))
}

/// Until when the access token of an answer is good.
pub(in crate::connect) fn until(answer: &TokenAnswer, now: Timestamp) -> Option<Timestamp> {
    now.checked_add(answer.expires_in()?).ok()
}

/// What it means that no token came.
pub(in crate::connect) fn asked(no_token: NoToken<ErrorAnswer>) -> Asked {
    let (status, known) = match no_token {
        NoToken::Refused(status, known) => (status, known),
        NoToken::Unreadable(status, _) => (status, ErrorAnswer::default()),
        NoToken::NotOne => return Asked::Passing(NOT_ONE.to_owned()),
        NoToken::Silent(error) => return Asked::Passing(error.to_string()),
    };
    let said = if known.message.is_empty() { &known.error_description } else { &known.message };
    let said: String = said.chars().take(200).collect();
    let message = match (known.status.as_str(), said.is_empty()) {
        ("", true) => format!("HTTP status {status} without a readable reason"),
        (_, true) => known.status.clone(),
        _ => said,
    };
    match (status, &known.error, known.status.as_str()) {
        (429 | 408 | 500..=599, ..) => Asked::Passing(message),
        // A page of the edge network, which answers for HubSpot now and then.
        (_, None, "") => Asked::Passing(message),
        (_, Some(BasicErrorResponseType::InvalidGrant), _)
        | (_, _, "BAD_REFRESH_TOKEN" | "BAD_AUTH_CODE" | "BAD_HUB") => Asked::GrantOver(message),
        _ => Asked::Final(message),
    }
}

impl Tokens {
    pub(super) fn new(
        settings: Arc<HubspotSettings>,
        transport: Transport,
        clock: Clock,
        rng: Rng,
        cancel: Cancel,
        unclaimed: Unclaimed,
    ) -> Arc<Self> {
        Arc::new(Self { settings, transport, clock, rng, cancel, unclaimed, present: Mutex::default() })
    }

    /// The token to send; one that is about to end is renewed first.
    pub(super) async fn current(self: &Arc<Self>) -> Result<Arc<str>, Fault> {
        let mut present = self.present.lock().await;
        let now = self.clock.now();
        let ends = |known: &Present| known.until.is_some_and(|until| until.duration_since(now) < margin());
        if let Some(known) = present.as_ref().filter(|known| !ends(known)) {
            return Ok(Arc::clone(&known.token));
        }
        let failed = present.as_ref().map(|known| Arc::clone(&known.token));
        let fresh = self.fresh(failed).await?;
        Ok(Arc::clone(&present.insert(fresh).token))
    }

    /// Another token than the one that was refused; none where there can be none.
    pub(super) async fn after(self: &Arc<Self>, refused: &str) -> Result<bool, Fault> {
        if matches!(self.settings.credentials, Credentials::Token(_)) {
            return Ok(false);
        }
        let mut present = self.present.lock().await;
        // Somebody else has met the same refusal and renewed it already.
        if present.as_ref().is_some_and(|known| &*known.token != refused) {
            return Ok(true);
        }
        *present = Some(self.fresh(Some(refused.into())).await?);
        Ok(true)
    }

    /// By a task of its own: a caller that gives up half-way must not lose a token that has replaced the one before.
    async fn fresh(self: &Arc<Self>, failed: Option<Arc<str>>) -> Result<Present, Fault> {
        let tokens = Arc::clone(self);
        match tokio::spawn(async move { tokens.asked(failed.as_deref()).await }.in_current_span()).await {
            Ok(result) => result,
            // A task ends without a result only when the process is ending.
            Err(_) => Err(Fault::Cancelled),
        }
    }

    async fn asked(&self, failed: Option<&str>) -> Result<Present, Fault> {
        let Credentials::Login { client_id, client_secret, file } = &self.settings.credentials else {
            let Credentials::Token(token) = &self.settings.credentials else { return Err(Fault::Cancelled) };
            return Ok(Present { token: token.as_str().into(), until: None });
        };
        let _held = file.locked(&self.clock, &self.cancel).await?;
        let mut stored = file.read(self.settings.base_url.as_str(), client_id)?;
        let now = self.clock.now();
        let ends = stored.until.is_none_or(|until| until.duration_since(now) < margin());
        // Another process has renewed it meanwhile, where it is neither the refused one nor about to end.
        if ends || failed == Some(stored.access_token.as_str()) {
            self.renew(&mut stored, (client_id, client_secret), file).await?;
            file.write(&stored)?;
        }
        Ok(Present { token: stored.access_token.as_str().into(), until: stored.until })
    }

    /// Asks for a new access token, repeated while the trouble is passing.
    async fn renew(
        &self,
        stored: &mut StoredLogin,
        (client_id, client_secret): (&str, &str),
        file: &LoginFile,
    ) -> Result<(), Fault> {
        let failed = |error: url::ParseError| Fault::Halt(errors::local("log in", error.to_string(), 1));
        let url = token_url(&self.settings.base_url).map_err(failed)?;
        let app = app(client_id, Some(client_secret), url);
        let refresh_token = RefreshToken::new(stored.refresh_token.clone());
        let mut attempts = 0;
        loop {
            attempts += 1;
            self.unclaimed.add();
            // It is waited for even when somebody asked to stop: the answer may hold the only token that still works.
            let cancel = self.cancel.of_last_call();
            let endpoint = Endpoint::new(&self.transport, &self.clock, &cancel, ANSWER_WITHIN);
            let came = app.exchange_refresh_token(&refresh_token).request_async(&endpoint).await;
            let passing = match endpoint.told(came).map_err(asked) {
                Ok(answer) => {
                    stored.until = until(&answer, self.clock.now());
                    stored.refresh_token = answer.refresh_token.unwrap_or(refresh_token).into_secret();
                    stored.access_token = answer.access_token.into_secret();
                    return Ok(());
                }
                Err(Asked::Passing(message)) => message,
                Err(Asked::GrantOver(message)) => return Err(file.over(&message)),
                Err(Asked::Final(message)) => {
                    let help =
                        "check `client_id` and `client_secret` of the login: they are on the app's page in HubSpot";
                    return Err(file.halt("SL4205", message, help.to_owned()));
                }
            };
            if attempts == ATTEMPTS_MAX {
                return Err(Fault::Retry(errors::local("log in", passing, attempts)));
            }
            tokio::select! {
                () = self.clock.sleep(self.rng.jitter(WAIT_FIRST * 2_u32.pow(attempts - 1))) => {}
                () = self.cancel.cancelled() => return Err(Fault::Cancelled),
            }
        }
    }
}

fn margin() -> jiff::SignedDuration {
    jiff::SignedDuration::try_from(RENEWED_BEFORE).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::http::oauth::read;

    #[track_caller]
    fn check(status: u16, body: &str, expected: &str) {
        let found = match read::<_, Own>(status, body.into()).map_err(asked) {
            Ok(_) => "a token".to_owned(),
            Err(asked) => format!("{asked:?}"),
        };
        assert!(found.starts_with(expected), "{status} {body}: {found}");
    }

    #[test]
    fn answers_of_the_token_endpoint_are_sorted() {
        let refusal = |status: &str, error: &str| {
            format!(
                r#"{{"status":"{status}","message":"the words","error":"{error}","error_description":"more words"}}"#
            )
        };
        check(200, r#"{"access_token":"a-token-1","expires_in":1800,"token_use":"access_token"}"#, "a token");
        check(200, "{}", "Passing(\"the answer is not a token");
        check(400, &refusal("BAD_REFRESH_TOKEN", "invalid_grant"), "GrantOver(\"the words");
        check(400, &refusal("BAD_AUTH_CODE", "invalid_grant"), "GrantOver");
        check(400, &refusal("BAD_HUB", "access_denied"), "GrantOver");
        check(400, &refusal("BAD_CLIENT_ID", "invalid_client"), "Final");
        check(400, r#"{"status":"BAD_REDIRECT_URI","error":"invalid_request"}"#, "Final(\"BAD_REDIRECT_URI");
        check(429, r#"{"status":"error","message":"You have reached your rate limit."}"#, "Passing");
        check(502, "<html>", "Passing");
        check(403, "<html>", "Passing(\"HTTP status 403");
    }
}
