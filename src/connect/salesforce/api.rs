//! Calls to the org: token, budget, repetition and the server's clock are looked after here, once for all.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::Method;
use tokio::sync::Semaphore;
use url::Url;

use super::auth::{Session, Tokens};
use super::errors::{self, Action, Advice, ApiError};
use super::limits::Limits;
use crate::connect::http::client::{Outgoing, Reply, TransportError};
use crate::model::hash::Hasher;
use crate::ports::fault::Fault;
use crate::ports::org_calls::OrgCalls;
use crate::sys::clock::Mark;
use crate::sys::crash_point::crash_point;

/// Tries of one call while the trouble is passing.
/// Half a minute of waits in all: as long as a disturbance or the restart of a server takes.
const ATTEMPTS_MAX: u32 = 6;

/// First wait between two tries; it doubles: 1, 2, 4, 8, 16 s, each less up to a half.
const WAIT_FIRST: Duration = Duration::from_secs(1);

/// Longest wait that a `Retry-After` is followed for.
const WAIT_MAX: Duration = Duration::from_secs(120);

/// Calls at once on one connection. Salesforce allows 25 long ones to the whole org.
const CONCURRENCY_MAX: usize = 6;

/// How long the server's time from a `Date` header is carried on before it is asked for again.
/// The header has whole seconds; a window that begins two seconds early costs nothing, as windows overlap.
const DATE_FRESH: Duration = Duration::from_secs(2);

/// A connection's calls, shared by all its handles.
pub(super) struct Api {
    pub(super) tokens: Arc<Tokens>,
    limits: Limits,
    /// Where calls are drawn from, where all processes share them.
    shared: OnceLock<Arc<dyn OrgCalls>>,
    gate: Semaphore,
    date: Mutex<Option<ServerTime>>,
}

#[derive(Clone, Copy)]
struct ServerTime {
    date: Timestamp,
    at: Mark,
    clock: Timestamp,
}

/// What is asked.
pub(super) struct Call<'a> {
    /// In words, for messages.
    pub(super) operation: &'a str,
    pub(super) method: Method,
    /// Path and query, encoded; on the instance's host.
    pub(super) target: &'a str,
    pub(super) accept: &'static str,
    pub(super) body: Option<Bytes>,
    /// Asks for pages of the largest size.
    pub(super) paged: bool,
}

impl<'a> Call<'a> {
    /// A GET that answers in JSON.
    pub(super) fn get(operation: &'a str, target: &'a str) -> Self {
        Self { operation, method: Method::GET, target, accept: "application/json", body: None, paged: false }
    }

    /// The same call, as one whose rows come in pages.
    pub(super) fn paged(self) -> Self {
        Self { paged: true, ..self }
    }

    /// A POST of JSON. All our POSTs are safe to repeat: they read, or start a query job.
    pub(super) fn post(operation: &'a str, target: &'a str, body: Vec<u8>) -> Self {
        Self { method: Method::POST, body: Some(body.into()), ..Self::get(operation, target) }
    }
}

/// Why a call did not succeed, after all repetitions.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Salesforce refused; with the number of tries.
    Api(ApiError, u32),
    /// Anything else.
    Fault(Fault),
}

impl Trouble {
    /// What the refusal calls for; none where it was none.
    pub(super) fn action(&self) -> Option<Action> {
        match self {
            Self::Api(error, _) => Some(error.action),
            Self::Fault(_) => None,
        }
    }

    /// The fault for the caller.
    pub(super) fn fault(self, operation: &str) -> Fault {
        match self {
            Self::Api(error, attempts) => error.fault(operation, attempts),
            Self::Fault(fault) => fault,
        }
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// What is wrong with an answer that came with a good status.
pub(super) enum Bad {
    /// Not what was asked for, or cut: asked again.
    Unusable(String),
    /// A refusal inside it.
    Refused(ApiError),
}

impl From<String> for Bad {
    fn from(text: String) -> Self {
        Self::Unusable(text)
    }
}

/// New tokens for one call. One cures a session that is over; a second and a third one, sessions that end while the call
/// waits its turn. More would only knock at a door that stays shut.
const RENEWALS_MAX: u32 = 3;

/// The tries of one call.
#[derive(Default)]
pub(super) struct Tries {
    count: u32,
    /// Tokens that were got because the one before was refused.
    renewals: u32,
}

impl Tries {
    /// Waits before the next try. Errors: `give_up` when there were enough.
    pub(super) async fn wait(
        &mut self,
        api: &Api,
        retry_after: Option<Duration>,
        give_up: impl FnOnce(u32) -> Trouble,
    ) -> Result<(), Trouble> {
        self.count += 1;
        if self.count >= ATTEMPTS_MAX {
            return Err(give_up(self.count));
        }
        let token = api.tokens.rng.jitter(WAIT_FIRST * 2_u32.pow(self.count - 1));
        // What the server asks for lengthens our own wait, and never shortens it.
        let wait = retry_after.map_or(token, |asked| asked.clamp(token, WAIT_MAX));
        tracing::debug!(attempt = self.count, wait_ms = wait.as_millis() as u64, "salesforce call is tried again");
        api.sleep(wait).await.map_err(Trouble::Fault)
    }
}

impl Api {
    pub(super) fn new(tokens: Arc<Tokens>) -> Self {
        let limits = Limits::new(tokens.settings.api_budget);
        Self { tokens, limits, shared: OnceLock::new(), gate: Semaphore::new(CONCURRENCY_MAX), date: Mutex::default() }
    }

    /// `/services/data/v67.0`
    pub(super) fn base(&self) -> String {
        format!("/services/data/v{}", self.tokens.settings.api_version)
    }

    /// Waits. Errors: `Cancelled`.
    pub(super) async fn sleep(&self, wait: Duration) -> Result<(), Fault> {
        tokio::select! {
            biased;
            () = self.tokens.cancel.cancelled() => Err(Fault::Cancelled),
            () = self.tokens.clock.sleep(wait) => Ok(()),
        }
    }

    /// Makes a call and reads its answer; an answer that cannot be used is asked for again.
    pub(super) async fn fetch<T>(
        &self,
        calls: &AtomicU64,
        call: &Call<'_>,
        decode: impl Fn(&[u8]) -> Result<T, Bad>,
    ) -> Result<T, Trouble> {
        let mut tries = Tries::default();
        loop {
            let mut reply = self.open(calls, call, &mut tries).await?;
            let text = match reply.bytes(&self.tokens.cancel).await {
                Ok(body) => match decode(&body) {
                    Ok(value) => return Ok(value),
                    Err(Bad::Unusable(text)) => text,
                    // A composite call succeeds as a whole while the one query in it fails: that query is tried
                    // again.
                    Err(Bad::Refused(error)) if error.action == Action::Repeat => {
                        tries.wait(self, None, |count| Trouble::Api(error, count)).await?;
                        continue;
                    }
                    Err(Bad::Refused(error)) => return Err(Trouble::Api(error, tries.count + 1)),
                },
                Err(TransportError::Cancelled) => return Err(Fault::Cancelled.into()),
                Err(TransportError::Failed(text)) => text,
            };
            tries.wait(self, None, |count| unusable(call.operation, text, count)).await?;
        }
    }

    /// Makes a call until the head of a good answer has come; the body is still to be read.
    pub(super) async fn open(&self, calls: &AtomicU64, call: &Call<'_>, tries: &mut Tries) -> Result<Reply, Trouble> {
        loop {
            // Within the loop: another call may have renewed it meanwhile.
            let session = self.tokens.session().await?;
            let mut reply = match self.once(calls, call, &session, tries.count + tries.renewals).await? {
                Ok(reply) if (200..300).contains(&reply.status) => return Ok(reply),
                Ok(reply) => reply,
                Err(text) => {
                    tries.wait(self, None, |count| unreachable(call.operation, text, count)).await?;
                    continue;
                }
            };
            let retry_after = reply.header("retry-after").and_then(|text| text.trim().parse().ok());
            let error = match reply.bytes(&self.tokens.cancel).await {
                Ok(body) => errors::classify(reply.status, &body),
                Err(TransportError::Cancelled) => return Err(Fault::Cancelled.into()),
                // What refused the call did not come whole: a status alone says too little to give up on.
                Err(TransportError::Failed(_)) if reply.status != 401 => {
                    tries.wait(self, None, |count| cut(call.operation, reply.status, count)).await?;
                    continue;
                }
                // A 401 means a session that is over nearly always, and a new token is the cheaper try.
                Err(TransportError::Failed(_)) => errors::classify(reply.status, b""),
            };
            match error.action {
                Action::Session if tries.renewals < RENEWALS_MAX => {
                    tries.renewals += 1;
                    self.tokens.renew(Some(&session)).await?;
                }
                Action::Repeat => {
                    let retry_after = retry_after.map(Duration::from_secs);
                    tries.wait(self, retry_after, |count| Trouble::Api(error, count)).await?;
                }
                action => {
                    if action == Action::Budget {
                        // All calls of this connection pause: each of them would be refused as well.
                        self.limits.refuse(self.time());
                    }
                    return Err(Trouble::Api(error, tries.count + 1));
                }
            }
        }
    }

    async fn once(
        &self,
        calls: &AtomicU64,
        call: &Call<'_>,
        session: &Session,
        resends: u32,
    ) -> Result<Result<Reply, String>, Trouble> {
        let url = target(&session.instance, call)?;
        let mut headers = vec![
            ("accept", call.accept),
            // Names the client in the org's event log files, beside its calls.
            ("sforce-call-options", concat!("client=Syncline/", env!("CARGO_PKG_VERSION"))),
        ];
        if call.paged {
            // The most there is. It is a wish: wide rows come in smaller pages.
            headers.push(("sforce-query-options", "batchSize=2000"));
        }
        let (method, body) = (call.method.clone(), call.body.clone());
        let (url, token) = (&url, &*session.token);
        let outgoing = Outgoing { method, url, token, headers, body, on_written: None, time_max: None, resends };
        // Only until the head of the answer: a body is read at the reader's pace, and holds no request of the org.
        let permit = self.gate.acquire().await;
        // After the gate, so that a call is counted when it is made and not when it is wanted.
        self.spend(call.operation, session).await?;
        calls.fetch_add(1, Ordering::Relaxed);
        let started = self.tokens.clock.now();
        crash_point!("salesforce.asking");
        let reply = self.tokens.transport.send(outgoing, &self.tokens.cancel).await;
        crash_point!("salesforce.answered");
        drop(permit);
        let waited_ms = self.tokens.clock.now().duration_since(started).as_millis() as u64;
        match reply {
            Ok(reply) => {
                tracing::debug!(operation = call.operation, status = reply.status, waited_ms, "salesforce answered");
                self.observe(&reply);
                Ok(Ok(reply))
            }
            Err(TransportError::Cancelled) => Err(Fault::Cancelled.into()),
            Err(TransportError::Failed(text)) => Ok(Err(text)),
        }
    }

    /// Notes that a call is about to be made. Errors: `Budget` when it must not be; `Retry` where nobody can tell.
    async fn spend(&self, operation: &str, session: &Session) -> Result<(), Fault> {
        let Some(shared) = self.shared.get() else {
            return self.limits.spend(operation, self.time(), self.server_time().is_some());
        };
        // Each org has an address of its own, which every login tells; not every one tells the org's id.
        let mut org = Hasher::default();
        org.text(session.instance.as_str());
        let org = org.hex::<12>();
        while let Some(wish) = self.limits.spend_drawn(operation, self.time(), self.server_time())? {
            match shared.draw(&org, &wish).await {
                Ok(drawn) => self.limits.drew(operation, &org, &wish, &drawn)?,
                Err(error) => {
                    self.limits.drew_nothing(&wish);
                    let advice = Advice { code: error.code(), help: "Syncline's calls to the org are counted there" };
                    return Err(Fault::Retry(errors::local(advice, operation, error.to_string())));
                }
            }
        }
        Ok(())
    }

    /// From now on calls are drawn from there.
    pub(super) fn share_calls(&self, shared: Arc<dyn OrgCalls>) {
        // Another one is the same place: a connection is one state's.
        let _ = self.shared.set(shared);
    }

    /// Gives back calls that were drawn and not made.
    pub(super) async fn give_back_calls(&self) {
        let Some((shared, (org, calls))) = self.shared.get().zip(self.limits.give_back()) else { return };
        if let Err(error) = shared.give_back(&org, &calls).await {
            tracing::debug!(%error, "calls that were drawn and not made count for a day");
        }
    }

    /// Takes usage and time from an answer.
    fn observe(&self, reply: &Reply) {
        let clock = self.tokens.clock.now();
        // From every answer, refusals too: the org's other programs use the same day.
        self.limits.observe(reply.header("sforce-limit-info"));
        if let Some(date) = reply.date() {
            *self.date.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(ServerTime { date, at: self.tokens.clock.mark(), clock });
        }
    }

    /// The time by which the org counts its day; the computer's where no answer told the server's.
    fn time(&self) -> Timestamp {
        self.server_time().unwrap_or_else(|| self.tokens.clock.now())
    }

    /// Adds the calls since the last time to what is noted of them; gives the new note.
    pub(super) fn note_calls(&self, noted: Option<&str>) -> String {
        self.limits.note(noted, self.time())
    }

    /// The org's calls of the last 24 hours: used, and allowed.
    pub(super) fn daily_calls(&self) -> Option<(u64, u64)> {
        self.limits.of_day()
    }

    /// The server's time, carried on from the latest answer; none where no answer told it.
    pub(super) fn server_time(&self) -> Option<Timestamp> {
        let known = (*self.date.lock().unwrap_or_else(PoisonError::into_inner))?;
        // The header has whole seconds; whole seconds are added, so that the result never runs ahead.
        Some(known.date + Duration::from_secs(self.tokens.clock.since(known.at).as_secs()))
    }

    /// Whether the latest answer is so fresh that its time may be carried on.
    pub(super) fn time_is_fresh(&self) -> bool {
        let known = *self.date.lock().unwrap_or_else(PoisonError::into_inner);
        known.is_some_and(|known| {
            // The clock that counts can stand still while the computer sleeps; the one that tells the time does not.
            let moved = self.tokens.clock.now().duration_since(known.clock).unsigned_abs();
            self.tokens.clock.since(known.at) < DATE_FRESH && moved < DATE_FRESH
        })
    }
}

/// The address of a call. Errors: `Halt` when a link in an answer leads to another host.
fn target(instance: &Url, call: &Call<'_>) -> Result<Url, Trouble> {
    // The next page is a path of the answer's own: an absolute one could lead the token elsewhere.
    let url = instance.join(call.target).ok().filter(|url| url.origin() == instance.origin());
    url.ok_or_else(|| {
        let text = "a link in an answer leads to another host";
        Trouble::Fault(Fault::Halt(errors::unusable(call.operation, text)))
    })
}

pub(super) fn unusable(operation: &str, text: String, attempts: u32) -> Trouble {
    let mut error = errors::unusable(operation, text);
    error.attempts = attempts;
    Trouble::Fault(Fault::Retry(error))
}

fn cut(operation: &str, status: u16, attempts: u32) -> Trouble {
    unusable(operation, format!("the answer with HTTP status {status} was cut"), attempts)
}

fn unreachable(operation: &str, text: String, attempts: u32) -> Trouble {
    let advice = Advice { code: "SL4103", help: "run again later; check the network and status.salesforce.com" };
    let mut error = errors::local(advice, operation, text);
    error.attempts = attempts;
    Trouble::Fault(Fault::Retry(error))
}
