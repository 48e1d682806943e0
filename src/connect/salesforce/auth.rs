//! Holds the session: logs in, renews it once for all who wait, and keeps a rotated refresh token.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use oauth2::RefreshToken;
use oauth2::basic::BasicErrorResponse;
use tokio::sync::Mutex;
use tracing::Instrument;
use url::Url;

use super::errors::{self, Advice};
use super::oauth::{self, OPERATION, Refusal};
use super::settings::{AuthSettings, SalesforceSettings};
use super::wire::TokenAnswer;
use crate::config::address::is_trustworthy;
use crate::config::env::FILE_BYTES_MAX;
use crate::connect::http::calls::Unclaimed;
use crate::connect::http::client::{Transport, TransportError};
use crate::connect::http::login_file::LoginFile;
use crate::connect::http::oauth::{Endpoint, NoToken, app};
use crate::ports::fault::Fault;
use crate::sys::cancel::Cancel;
use crate::sys::clock::Clock;
use crate::sys::crash_point::crash_point;
use crate::sys::files::{self, Readers};
use crate::sys::rng::Rng;
use crate::sys::secrets;

/// A token and the host that it is good for.
pub(super) struct Session {
    pub(super) token: String,
    pub(super) instance: Url,
    /// The org's id, where the login told it.
    pub(super) org: Option<String>,
}

/// Tries of one login while the trouble is passing.
/// About eight seconds: all other calls wait behind a login.
const ATTEMPTS_MAX: u32 = 5;

/// First wait between two tries; it doubles.
const WAIT_FIRST: Duration = Duration::from_millis(500);

/// Longest wait for the answer to one login.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(30);

/// A refused login is not repeated for this long, so that many waiters do not knock one after another and lock the user
/// out; one that failed for passing trouble, not for this long.
const REFUSED_FOR: Duration = Duration::from_secs(60);
const FAILED_FOR: Duration = Duration::from_secs(5);

/// The one place that asks for tokens. Shared by all handles of a connection.
pub(super) struct Tokens {
    pub(super) settings: Arc<SalesforceSettings>,
    pub(super) transport: Transport,
    pub(super) clock: Clock,
    pub(super) rng: Rng,
    pub(super) cancel: Cancel,
    /// Requests that no report has counted, those for tokens among them.
    pub(super) unclaimed: Unclaimed,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    session: Option<Arc<Session>>,
    /// The refresh token that replaced the configured one.
    rotated: Option<String>,
    /// The audience that was accepted.
    audience: Option<String>,
    /// The last failed login, and until when it is not repeated.
    refused: Option<(Fault, Timestamp)>,
}

impl Tokens {
    pub(super) fn new(
        settings: Arc<SalesforceSettings>,
        transport: Transport,
        clock: Clock,
        rng: Rng,
        cancel: Cancel,
    ) -> Arc<Self> {
        let unclaimed = Unclaimed::default();
        Arc::new(Self { settings, transport, clock, rng, cancel, unclaimed, state: Mutex::default() })
    }

    /// The present session; logs in when there is none.
    pub(super) async fn session(self: &Arc<Self>) -> Result<Arc<Session>, Fault> {
        self.renew(None).await
    }

    /// A session other than `failed`: the present one if somebody renewed it already, else a new one.
    ///
    /// The login runs as a task of its own: a caller that gives up half-way must not lose a refresh token that
    /// Salesforce has already replaced.
    pub(super) async fn renew(self: &Arc<Self>, failed: Option<&Session>) -> Result<Arc<Session>, Fault> {
        let failed = failed.map(|session| session.token.clone());
        let auth = Arc::clone(self);
        let task = tokio::spawn(async move { auth.renew_alone(failed.as_deref()).await }.in_current_span());
        // A task ends without a result only when the process is ending.
        match task.await {
            Ok(result) => result,
            Err(_) => Err(Fault::Cancelled),
        }
    }

    async fn renew_alone(&self, failed: Option<&str>) -> Result<Arc<Session>, Fault> {
        // Held during the login: all who find the session over wait for the one that asks.
        let mut state = self.state.lock().await;
        // Told apart by token: what failed may have been replaced while this call waited for the lock.
        if let Some(session) = state.session.as_ref().filter(|session| failed != Some(&session.token)) {
            return Ok(Arc::clone(session));
        }
        let now = self.clock.now();
        // A clock that jumped back must not lengthen the pause.
        let pausing = |until: Timestamp| now < until && until.duration_since(now).unsigned_abs() <= REFUSED_FOR;
        if let Some((fault, _)) = state.refused.as_ref().filter(|(_, until)| pausing(*until)) {
            return Err(fault.clone());
        }
        let renewal = failed.is_some();
        let session = self.log_in(&mut state, failed).await;
        crash_point!("salesforce.logged_in");
        match session {
            Ok(session) => {
                tracing::debug!(renewal, host = session.instance.host_str(), "logged in to salesforce");
                state.refused = None;
                Ok(Arc::clone(state.session.insert(Arc::new(session))))
            }
            Err(fault) => {
                let pause = match fault {
                    // Salesforce locks a user after some wrong logins, and the next call would try at once.
                    Fault::Halt(_) => REFUSED_FOR,
                    Fault::Cancelled => Duration::ZERO,
                    _ => FAILED_FOR,
                };
                state.refused = Some((fault.clone(), self.clock.now() + pause));
                Err(fault)
            }
        }
    }

    async fn log_in(&self, state: &mut State, failed: Option<&str>) -> Result<Session, Fault> {
        if let AuthSettings::Login { client_id, file, .. } = &self.settings.auth {
            checked(self.settings.login_url.clone(), "login_url")?;
            return self.by_login(client_id, file, failed).await;
        }
        if let AuthSettings::AccessToken { token, instance_url } = &self.settings.auth {
            if failed.is_some() {
                let help = "get a new access token, or use a way to log in that can renew it (`jwt`)";
                let advice = Advice { code: "SL4102", help };
                return Err(Fault::Halt(errors::local(advice, OPERATION, "the access token is no longer valid")));
            }
            // A token from a file ends in a line break more often than not.
            let token = token.trim().to_owned();
            return Ok(Session { token, instance: checked(instance_url.clone(), "instance_url")?, org: None });
        }
        checked(self.settings.login_url.clone(), "login_url")?;
        let answer = match &self.settings.auth {
            AuthSettings::Jwt { .. } => self.log_in_by_assertion(state).await?,
            AuthSettings::RefreshToken { token, file, .. } => {
                self.refresh(state, token.trim(), file.as_deref()).await?
            }
            _ => self.ask("").await?.map_err(refused)?,
        };
        let org = answer.more.org();
        self.session_of(answer.access_token.into_secret(), answer.more.instance_url.as_deref(), org)
    }

    fn session_of(&self, token: String, instance: Option<&str>, org: Option<String>) -> Result<Session, Fault> {
        let instance = match instance {
            // The token is good for the org's own host, not for the shared one that gave it.
            Some(url) => url.parse().map_err(|_| bad_url("instance_url"))?,
            None => self.settings.login_url.clone(),
        };
        Ok(Session { token, instance: checked(instance, "instance_url")?, org })
    }

    /// A session by the login that a person left: the stored one, or a new one where that one failed. Held by one process at a time,
    /// since a refresh token may be good for one use only.
    async fn by_login(&self, client_id: &str, file: &LoginFile, failed: Option<&str>) -> Result<Session, Fault> {
        let _held = file.locked(&self.clock, &self.cancel).await?;
        let mut stored = file.read(self.settings.login_url.as_str(), client_id)?;
        // Another process has renewed it meanwhile, or nobody has found it over yet.
        if failed == Some(stored.access_token.as_str()) {
            let answer = match self.ask(&stored.refresh_token).await? {
                Ok(answer) => answer,
                Err(Refusal::Final { message, .. } | Refusal::Unclear { message, .. })
                    if message.starts_with("invalid_grant") =>
                {
                    return Err(file.over(&message));
                }
                Err(refusal) => return Err(refused(refusal)),
            };
            stored.account = answer.more.org().or(stored.account);
            stored.instance_url = answer.more.instance_url.or(stored.instance_url);
            stored.refresh_token = answer.refresh_token.map_or(stored.refresh_token, RefreshToken::into_secret);
            stored.access_token = answer.access_token.into_secret();
            // Before anything else is done with it: the token before may be over by now.
            file.write(&stored)?;
        }
        self.session_of(stored.access_token, stored.instance_url.as_deref(), stored.account)
    }

    /// Refreshes by the present token; where that one is over, by the one that another process may have stored since.
    async fn refresh(&self, state: &mut State, configured: &str, file: Option<&Path>) -> Result<TokenAnswer, Fault> {
        // With rotation each token works once: the configured one is over after the first refresh.
        let mut token = state.rotated.clone().unwrap_or_else(|| configured.to_owned());
        let answer = match self.ask(&token).await? {
            Ok(answer) => answer,
            Err(refusal) => {
                // Two processes with one token: the other has refreshed first, and ours ended by that.
                let stored = file.and_then(|path| String::from_utf8(files::read(path, FILE_BYTES_MAX).ok()?).ok());
                let stored =
                    stored.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty() && *text != token);
                token = stored.ok_or_else(|| refused(refusal))?;
                state.rotated = Some(token.clone());
                self.ask(&token).await?.map_err(refused)?
            }
        };
        self.keep(state, &token, &answer);
        Ok(answer)
    }

    async fn log_in_by_assertion(&self, state: &mut State) -> Result<TokenAnswer, Fault> {
        let AuthSettings::Jwt { client_id, username, private_key, audience } = &self.settings.auth else {
            return Err(refused(Refusal::Passing("no assertion is configured".to_owned())));
        };
        // An audience that was accepted once is the org's: a renewal makes one call and not three.
        let audiences = match &state.audience {
            Some(audience) => vec![audience.clone()],
            None => oauth::audiences(&self.settings.login_url, audience.as_deref()),
        };
        let mut last: Option<Refusal> = None;
        for audience in audiences {
            let now = self.clock.now().as_second();
            // A new one for each try, as the audience is a part of what is signed.
            let assertion = oauth::assertion(client_id, username, private_key, &audience, now)?;
            match self.ask(&assertion).await? {
                Ok(answer) => {
                    state.audience = Some(audience);
                    return Ok(answer);
                }
                // The words for a wrong audience differ, so every unclear refusal of an assertion counts as one. What is
                // told in the end is the first that says more than that.
                Err(refusal @ (Refusal::Audience(_) | Refusal::Unclear { .. })) => match &last {
                    None | Some(Refusal::Audience(_)) => last = Some(refusal),
                    Some(_) => {}
                },
                Err(refusal) => return Err(refused(refusal)),
            }
        }
        Err(refused(last.unwrap_or(Refusal::Audience("no audience to try".to_owned()))))
    }

    /// One login, repeated while the trouble is passing.
    async fn ask(&self, proof: &str) -> Result<Result<TokenAnswer, Refusal>, Fault> {
        let url = self.settings.login_url.join("/services/oauth2/token").map_err(|_| bad_url("login_url"))?;
        secrets::remember_session(proof);
        // An answer to a refresh may hold the only token that still works: it is waited for even when somebody asked
        // to stop.
        let rotates = matches!(self.settings.auth, AuthSettings::RefreshToken { .. } | AuthSettings::Login { .. });
        let cancel = if rotates { self.cancel.of_last_call() } else { self.cancel.clone() };
        let mut attempts = 0;
        loop {
            attempts += 1;
            let passing = match self.ask_once(&url, proof, &cancel).await {
                Ok(answer) => return Ok(Ok(answer)),
                Err(NoToken::Silent(TransportError::Cancelled)) => return Err(Fault::Cancelled),
                Err(no_token) => match oauth::refusal(no_token) {
                    Refusal::Passing(message) => message,
                    other => return Ok(Err(other)),
                },
            };
            if attempts == ATTEMPTS_MAX {
                let advice = Advice { code: "SL4103", help: "run again later; check `login_url` and the network" };
                let mut error = errors::local(advice, OPERATION, passing);
                error.attempts = attempts;
                return Err(Fault::Retry(error));
            }
            let wait = self.rng.jitter(WAIT_FIRST * 2_u32.pow(attempts - 1));
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(Fault::Cancelled),
                () = self.clock.sleep(wait) => {}
            }
        }
    }

    /// For the JWT flow, `proof` is the assertion; for a refresh, the present refresh token.
    async fn ask_once(
        &self,
        url: &Url,
        proof: &str,
        cancel: &Cancel,
    ) -> Result<TokenAnswer, NoToken<BasicErrorResponse>> {
        self.unclaimed.add();
        let endpoint = Endpoint::new(&self.transport, &self.clock, cancel, LOGIN_TIMEOUT);
        match &self.settings.auth {
            AuthSettings::ClientCredentials { client_id, client_secret } => {
                let app = app(client_id, Some(client_secret), url.clone());
                endpoint.told(app.exchange_client_credentials().request_async(&endpoint).await)
            }
            AuthSettings::RefreshToken { client_id, client_secret, .. }
            | AuthSettings::Login { client_id, client_secret, .. } => {
                let (app, token) =
                    (app(client_id, client_secret.as_deref(), url.clone()), RefreshToken::new(proof.into()));
                endpoint.told(app.exchange_refresh_token(&token).request_async(&endpoint).await)
            }
            // RFC 7523, which the crate does not speak. Nothing asks for a token where one is configured.
            AuthSettings::Jwt { .. } | AuthSettings::AccessToken { .. } => {
                let grant = ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
                endpoint.by_form(url, &[grant, ("assertion", proof)]).await
            }
        }
    }

    /// Keeps a refresh token that replaces the present one, before anything else is done with the session.
    fn keep(&self, state: &mut State, present: &str, answer: &TokenAnswer) {
        let new = answer.refresh_token.as_ref().map(RefreshToken::secret);
        let Some(new) = new.filter(|new| *new != present) else { return };
        state.rotated = Some(new.to_owned());
        let AuthSettings::RefreshToken { file, .. } = &self.settings.auth else { return };
        match file {
            Some(path) => match store(path, new) {
                Ok(()) => tracing::info!(file = %path.display(), "stored the new salesforce refresh token"),
                Err(error) => tracing::error!(
                    file = %path.display(), %error,
                    "could not store the new salesforce refresh token; the stored one no longer works, so log in again before the next start"
                ),
            },
            None => tracing::warn!(
                "salesforce replaced the refresh token, and it does not come from a file; the configured one no longer works at the next start: use `${{file:PATH}}` or the jwt flow"
            ),
        }
    }
}

/// Replaces a file's content at once, readable by its owner alone.
fn store(path: &Path, token: &str) -> std::io::Result<()> {
    // A link stays a link; its target is replaced.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    // At once: a half-written file would hold no token that works, and the old one is over.
    files::replace(&path, token.as_bytes(), Readers::Owner)
}

fn refused(refusal: Refusal) -> Fault {
    match refusal {
        Refusal::Final { message, help } | Refusal::Unclear { message, help } => oauth::refused(message, help),
        Refusal::Audience(message) => {
            oauth::refused(message, "set `login_url` to the org's own login host (My Domain)")
        }
        Refusal::Passing(message) => oauth::refused(message, "run again later"),
    }
}

fn checked(url: Url, name: &str) -> Result<Url, Fault> {
    if is_trustworthy(&url) { Ok(url) } else { Err(bad_url(name)) }
}

fn bad_url(name: &str) -> Fault {
    let advice = Advice {
        code: "SL4115",
        help: "use an https address; plain http is accepted only for addresses on this computer",
    };
    Fault::Halt(errors::local(advice, OPERATION, format!("`{name}` is not an address that credentials may be sent to")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_token_replaces_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "old and longer").unwrap();
        store(&path, "new").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(store(&folder.path().join("missing/token"), "new").is_err());
    }
}
