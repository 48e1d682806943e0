//! Calls to the portal: the rate limit, repetition and the day's budget are looked after here, once for all.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use jiff::SignedDuration;
use reqwest::Method;
use serde::Serialize;

use super::errors::{self, Action, ApiError};
use super::limits::{Kind, Limits, Places};
use super::plain_types::PlainTypes;
use super::settings::{Credentials, HubspotSettings};
use super::tokens::Tokens;
use super::wire::Answer;
use crate::connect::http::calls::Unclaimed;
use crate::connect::http::client::{Outgoing, Reply, Transport, TransportError};
use crate::connect::http::limiter::{Caller, Stopped};
use crate::connect::http::ring::Ring;
use crate::connect::http::window::{NOBODY, Share};
use crate::model::hash::Hasher;
use crate::ports::fault::Fault;
use crate::sys::cancel::Cancel;
use crate::sys::clock::Clock;
use crate::sys::crash_point::crash_point;
use crate::sys::network::Network;
use crate::sys::rng::Rng;

/// Tries of one call while the trouble is passing.
/// With the waits below about half a minute, as long as a short disturbance takes; after that the run's own retries go
/// on.
const ATTEMPTS_MAX: u32 = 6;

/// First wait between two tries; it doubles up to [`WAIT_MAX`], each less up to a half.
const WAIT_FIRST: Duration = Duration::from_millis(500);

/// Longest wait between two tries, and longest `Retry-After` that is followed.
/// A longer one is better waited for by the scheduler, which frees the process meanwhile.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Wait after a write lock, at least.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// Pause of everybody after the rolling limit refused a call.
/// A part of the ten seconds is enough: calls leave the window all along, and the window waits for the rest.
const LIMIT_PAUSE: Duration = Duration::from_secs(2);

/// Tries after refusals of the rate limit. Such a call had no effect, so there is no harm in many.
/// With a pause each about a minute of refusals: then the limit is used up by somebody else for good.
const LIMITED_MAX: u32 = 30;

/// Calls under way beyond those that the rate limit and the time of an answer ask for, so that a few late ones leave no gap.
const SPARE_CALLS: usize = 16;

/// Calls a second that are provided for at most: far more than any portal permits. Where nothing limits calls, this computer does, and more of
/// them under way would be held in memory and nothing else.
const CALLS_PER_SECOND_MAX: f64 = 100.0;

/// Most calls under way, however slow answers are.
const CALLS_UNDER_WAY_MAX: usize = 96;

/// A connection's calls, shared by all its handles.
#[derive(Clone)]
pub(super) struct Api {
    settings: Arc<HubspotSettings>,
    transport: Transport,
    tokens: Arc<Tokens>,
    limits: Limits,
    /// The plain association types that are known.
    pub(super) plain_types: Arc<PlainTypes>,
    /// Who its calls are for.
    share: Share,
    /// Who makes them.
    caller: Caller,
    /// How long answers take, in microseconds: the latest count most.
    latency: Arc<AtomicU64>,
    /// Calls that are allowed in a day and left of it, as the latest answer told them; no calls at all where none did.
    day: Arc<(AtomicU64, AtomicU64)>,
    /// How far this computer's clock is ahead of HubSpot's, as the first answer that told its time had it.
    ahead: Arc<OnceLock<SignedDuration>>,
    clock: Clock,
    rng: Rng,
    cancel: Cancel,
    /// Requests that no report has counted.
    pub(super) unclaimed: Unclaimed,
}

/// What is asked.
pub(super) struct Call<'a> {
    /// In words, for messages.
    pub(super) operation: &'a str,
    pub(super) method: Method,
    /// Path and query, encoded.
    pub(super) target: String,
    pub(super) body: Option<Bytes>,
    /// Sending it twice does no harm.
    pub(super) repeatable: bool,
    /// What it counts against.
    pub(super) kind: Kind,
    /// There may be nobody to answer it: a page that says so is believed at the second time.
    pub(super) optional: bool,
}

/// Longest time for one exchange. HubSpot's own edge gives up after 100 seconds (status 524).
pub(super) const EXCHANGE_TIME_MAX: Duration = Duration::from_secs(120);

/// A good answer's status and body, or a refusal with how long to wait.
type Exchange = Result<(u16, Bytes), (ApiError, Option<Duration>)>;

/// Names the account of a token without telling anything of it: each app of a portal has a limit of its own.
fn account(settings: &HubspotSettings) -> String {
    let mut hasher = Hasher::default();
    hasher.text(settings.base_url.as_str());
    hasher.text(match &settings.credentials {
        Credentials::Token(token) => token,
        Credentials::Login { client_id, .. } => client_id,
    });
    // A part of a hash: enough to tell accounts apart, and nothing that leads back to a token.
    hasher.hex::<12>()
}

impl<'a> Call<'a> {
    /// A GET.
    pub(super) fn get(operation: &'a str, target: String) -> Self {
        Self {
            operation,
            method: Method::GET,
            target,
            body: None,
            repeatable: true,
            kind: Kind::Ordinary,
            optional: false,
        }
    }

    /// A POST of JSON that is safe to repeat.
    pub(super) fn post<T: Serialize>(operation: &'a str, target: String, body: &T) -> Self {
        // Our own request bodies are plain data; serialising them cannot fail.
        Self::post_bytes(operation, target, serde_json::to_vec(body).map(Into::into).ok())
    }

    /// The same of a body that is JSON already.
    pub(super) fn post_bytes(operation: &'a str, target: String, body: Option<Bytes>) -> Self {
        Self { operation, method: Method::POST, target, body, repeatable: true, kind: Kind::Ordinary, optional: false }
    }

    /// The same call, as one about associations.
    pub(super) fn association(self) -> Self {
        Self { kind: Kind::Association, ..self }
    }

    /// The same call, as a search.
    pub(super) fn search(self) -> Self {
        Self { kind: Kind::Search, ..self }
    }

    /// The same call, as one that the portal may not offer.
    pub(super) fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    /// The same call, as one that must not be sent twice.
    pub(super) fn once(self) -> Self {
        Self { repeatable: false, ..self }
    }
}

impl Api {
    pub(super) fn new(
        settings: HubspotSettings,
        network: &Network,
        clock: Clock,
        rng: Rng,
        cancel: Cancel,
    ) -> Result<Self, Fault> {
        let transport = Transport::new(&settings.base_url, network, &clock)
            .map_err(|text| Fault::Halt(errors::local("set-up", text, 1)))?;
        let ring = |suffix: &str| {
            // Played networks have clocks of their own, whose moments mean nothing to other processes.
            let folder = settings.shared_folder.as_deref().filter(|_| matches!(network, Network::Real))?;
            Ring::open(folder, &format!("{}{suffix}", account(&settings)), clock.now())
        };
        let limits = Limits::new(settings.rate_limit, ring, &clock, &cancel);
        // Until a run takes it over: commands that look something up need no share of their own.
        let caller = Caller::new(NOBODY);
        let (share, settings, latency) = (Share::Changes, Arc::new(settings), Arc::default());
        let unclaimed = Unclaimed::default();
        let plain_types = Arc::default();
        let others = (clock.clone(), rng.clone(), cancel.clone(), unclaimed.clone());
        let tokens = Tokens::new(Arc::clone(&settings), transport.clone(), others.0, others.1, others.2, others.3);
        Ok(Self {
            settings,
            transport,
            tokens,
            limits,
            plain_types,
            share,
            caller,
            latency,
            day: Arc::default(),
            ahead: Arc::default(),
            clock,
            rng,
            cancel,
            unclaimed,
        })
    }

    /// The same connection for a comparison, whose calls leave room to changes that wait.
    pub(super) fn of_comparison(&self) -> Self {
        Self { share: Share::Comparison, ..self.of_run() }
    }

    /// The same connection for a run, whose calls have a turn of their own.
    pub(super) fn of_run(&self) -> Self {
        // Drawn and not counted: several processes share the limit. Never zero, which is nobody.
        let user = u32::try_from(self.rng.below(u32::MAX.into())).unwrap_or_default().saturating_add(1);
        Self { caller: Caller::new(user), ..self.clone() }
    }

    /// The same for its other calls, which do not wait for those of this one.
    pub(super) fn another_turn(&self) -> Self {
        Self { caller: self.caller.another_turn(), ..self.clone() }
    }

    /// How many calls must be under way for the rate limit to be used in full: as many as come in the time of an answer, and
    /// some to spare.
    pub(super) fn calls_under_way(&self) -> usize {
        let latency = Duration::from_micros(self.latency.load(Ordering::Relaxed));
        // Half as many again, as answers do not take equally long.
        let needed = 1.5 * self.calls_per_second().min(CALLS_PER_SECOND_MAX) * latency.as_secs_f64();
        (needed as usize).saturating_add(SPARE_CALLS).min(CALLS_UNDER_WAY_MAX)
    }

    fn note_latency(&self, waited: Duration) {
        let waited = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        let before = self.latency.load(Ordering::Relaxed);
        // A mean that forgets by an eighth: one slow answer does not double the calls under way.
        self.latency.store(if before == 0 { waited } else { before - before / 8 + waited / 8 }, Ordering::Relaxed);
    }

    /// Calls of the day: used by everybody, and allowed; none where no answer told them.
    pub(super) fn daily_calls(&self) -> Option<(u64, u64)> {
        let allowed = self.day.0.load(Ordering::Relaxed);
        (allowed > 0).then(|| (allowed.saturating_sub(self.day.1.load(Ordering::Relaxed)), allowed))
    }

    /// How far this computer's clock is ahead of HubSpot's; none where no answer told its time.
    pub(super) fn ahead(&self) -> Option<SignedDuration> {
        self.ahead.get().copied()
    }

    fn note_time(&self, reply: &Reply) {
        if self.ahead.get().is_none()
            && let Some(time) = reply.date()
        {
            // Another answer may have been faster.
            let _ = self.ahead.set(self.clock.now().duration_since(time));
        }
    }

    fn note_day(&self, reply: &Reply) {
        let number = |name: &str| reply.header(name).and_then(|text| text.trim().parse::<u64>().ok());
        let found = (number("x-hubspot-ratelimit-daily"), number("x-hubspot-ratelimit-daily-remaining"));
        if let (Some(allowed), Some(left)) = found {
            self.day.0.store(allowed, Ordering::Relaxed);
            self.day.1.store(left, Ordering::Relaxed);
        }
    }

    /// Calls per second at present.
    pub(super) fn calls_per_second(&self) -> f64 {
        self.limits.calls_per_second()
    }

    /// Names what the rate limit is for.
    pub(super) fn limited(&self, portal: Option<u64>) -> String {
        let account = account(&self.settings);
        match (&self.settings.credentials, portal) {
            (Credentials::Login { .. }, Some(portal)) => format!("{account}-{portal}"),
            (Credentials::Login { .. } | Credentials::Token(_), _) => account,
        }
    }

    /// Takes over from somebody who had the portal until so long ago, and had made so many calls; all that it allows where nobody knows.
    pub(super) fn inherit(&self, calls: Option<u32>, ago: Duration) {
        self.limits.inherit(calls, ago);
    }

    /// How many calls stand in the window of the rate limit.
    pub(super) fn calls_lately(&self) -> u32 {
        self.limits.calls_lately()
    }

    /// Makes a call and decodes its answer, whatever its good status is.
    ///
    /// Errors: `Reject` for refused content; `Unknown` when a call that must not be repeated may have taken effect.
    pub(super) async fn fetch<T: Answer>(&self, calls: &AtomicU64, call: &Call<'_>) -> Result<T, Fault> {
        let mut tries = 0;
        loop {
            let (_, body) = self.send(calls, call, &mut tries).await?;
            // Another answer is asked for: proxies and moving data centres cut answers or give pages in their place.
            let text = match T::read(&body) {
                Ok(value) if value.is_one() => return Ok(value),
                Ok(_) => "the answer does not contain what was asked for".to_owned(),
                Err(error) => format!("the answer cannot be read: {error}"),
            };
            self.again(call, &mut tries, text, None).await?;
        }
    }

    /// Makes a call whose answer may have no body: its good status, and the body.
    pub(super) async fn done(&self, calls: &AtomicU64, call: &Call<'_>) -> Result<(u16, Bytes), Fault> {
        self.send(calls, call, &mut 0).await
    }

    /// Makes a call until a good answer has come: its status, and its whole body.
    async fn send(&self, calls: &AtomicU64, call: &Call<'_>, tries: &mut u32) -> Result<(u16, Bytes), Fault> {
        // Counted apart: refusals of the limit say nothing of whether the call itself can succeed.
        let (mut limited, mut renewed) = (0, false);
        loop {
            // Before a place is taken, which would be wasted while a token is asked for.
            let token = self.tokens.current().await?;
            let places =
                self.limits.acquire(call.kind, self.share, &self.caller).await.map_err(|Stopped| Fault::Cancelled)?;
            calls.fetch_add(1, Ordering::Relaxed);
            let resends = *tries + limited + u32::from(renewed);
            let answer = match self.exchange(call, places, &token, resends).await {
                Ok(answer) => answer,
                // A read, or a write that may be sent again: nothing about it has to be found out later.
                Err(TransportError::Cancelled) if call.repeatable => return Err(Fault::Cancelled),
                Err(TransportError::Cancelled) => {
                    let text = "stopped while waiting for the answer".to_owned();
                    return Err(Fault::Unknown(errors::local(call.operation, text, *tries + 1)));
                }
                Err(TransportError::Failed(text)) => {
                    self.again(call, tries, text, None).await?;
                    continue;
                }
            };
            let error = match answer {
                Ok(body) => return Ok(body),
                Err((error, retry_after)) => (error, retry_after),
            };
            // Once: a new token that is refused as well is refused for another reason than its age.
            if error.0.status == 401 && !renewed && self.tokens.after(&token).await? {
                renewed = true;
                continue;
            }
            self.answer_refusal(call, error, tries, &mut limited).await?;
        }
    }

    /// One exchange: the body of a good answer, or the refusal with how long to wait.
    async fn exchange(
        &self,
        call: &Call<'_>,
        places: Places,
        token: &str,
        resends: u32,
    ) -> Result<Exchange, TransportError> {
        let failed = |error: url::ParseError| TransportError::Failed(error.to_string());
        let url = self.settings.base_url.join(&call.target).map_err(failed)?;
        let limits = self.limits.clone();
        let outgoing = Outgoing {
            method: call.method.clone(),
            url: &url,
            token,
            headers: vec![("accept", "application/json")],
            body: call.body.clone(),
            on_written: Some(Box::new(move || limits.written(places))),
            time_max: Some(EXCHANGE_TIME_MAX),
            resends,
        };
        let started = self.clock.mark();
        crash_point!("hubspot.asking");
        // A stop lets a call end first: cut off, a write would leave records in doubt.
        let mut reply = self.transport.send(outgoing, &self.cancel.of_call()).await?;
        crash_point!("hubspot.answered");
        self.note_day(&reply);
        self.note_time(&reply);
        let request_id = reply.header("x-hubspot-correlation-id").map(str::to_owned);
        let retry_after =
            reply.header("retry-after").and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        self.limits.learn(&reply, places);
        let status = reply.status;
        let waited = self.clock.since(started);
        // Refusals count as well: they are as far away as good answers.
        self.note_latency(waited);
        let waited_ms = waited.as_millis() as u64;
        tracing::debug!(operation = call.operation, status, waited_ms, request_id, "hubspot answered");
        let body = reply.bytes(&self.cancel.of_call()).await;
        crash_point!("hubspot.read");
        if (200..300).contains(&status) {
            return Ok(Ok((status, body?)));
        }
        // The status of a refusal is enough to act on, where its body does not come.
        let body = body.unwrap_or_default();
        Ok(Err((errors::classify(status, &body, request_id.as_deref()), retry_after)))
    }

    /// Waits where the call may be made again; an error ends it. Refusals of the limit are counted apart, as they had
    /// no effect.
    async fn answer_refusal(
        &self,
        call: &Call<'_>,
        (error, retry_after): (ApiError, Option<Duration>),
        tries: &mut u32,
        limited: &mut u32,
    ) -> Result<(), Fault> {
        match error.action {
            Action::Limited | Action::LimitedShortly if *limited < LIMITED_MAX => {
                *limited += 1;
                let pause = if error.action == Action::Limited { LIMIT_PAUSE } else { Duration::from_secs(1) };
                // HubSpot documents the header for 477 alone; where it comes with another status it is followed
                // within reason.
                let pause = retry_after.map_or(pause, |asked| asked.clamp(Duration::from_millis(100), WAIT_MAX));
                tracing::debug!(operation = call.operation, pause_ms = pause.as_millis() as u64, "rate limit reached");
                // Everybody waits, not only this call: the next one would be refused too, and refusals count against
                // an app.
                self.limits.block(call.kind, pause);
                Ok(())
            }
            // A move takes up to a day. The run ends, and a later one begins where it stopped.
            Action::Moving if retry_after.is_some_and(|wait| wait > WAIT_MAX) => {
                Err(error.fault(call.operation, *tries + 1))
            }
            Action::Locked | Action::Moving => {
                let wait = retry_after.unwrap_or(LOCK_WAIT).max(LOCK_WAIT);
                *tries += 1;
                if *tries >= ATTEMPTS_MAX {
                    return Err(error.fault(call.operation, *tries));
                }
                // Spread, as all calls that met the lock would else come back at one moment and meet it again.
                self.sleep(wait + self.rng.jitter(LOCK_WAIT)).await
            }
            // It may have taken effect before the error: the caller looks the records up instead.
            Action::Repeat if !call.repeatable => Err(Fault::Unknown(error.remote(call.operation, *tries + 1))),
            // The edge's own page about a place that does not exist, or is not for us.
            Action::Repeat if call.optional && *tries > 0 && matches!(error.status, 403 | 404) => {
                Err(Fault::Halt(error.remote(call.operation, *tries + 1)))
            }
            Action::Repeat => {
                *tries += 1;
                if *tries >= ATTEMPTS_MAX {
                    return Err(error.fault(call.operation, *tries));
                }
                self.backoff(*tries, retry_after).await
            }
            _ => Err(error.fault(call.operation, *tries + 1)),
        }
    }

    /// Waits before the next try of a call that got no usable answer, where repeating it is safe.
    async fn again(
        &self,
        call: &Call<'_>,
        tries: &mut u32,
        text: String,
        after: Option<Duration>,
    ) -> Result<(), Fault> {
        *tries += 1;
        let error = errors::local(call.operation, text, *tries);
        if !call.repeatable {
            return Err(Fault::Unknown(error));
        }
        if *tries >= ATTEMPTS_MAX {
            return Err(Fault::Retry(error));
        }
        tracing::debug!(%error, attempt = *tries, "hubspot call is tried again");
        self.backoff(*tries, after).await
    }

    /// Waits before the next try: half a second or so at first, then ever longer, or as long as was asked.
    pub(super) async fn backoff(&self, tries: u32, after: Option<Duration>) -> Result<(), Fault> {
        // The power is bounded before it overflows; the longest wait cuts it much earlier.
        let backoff = self.rng.jitter((WAIT_FIRST * 2_u32.pow(tries.saturating_sub(1).min(10))).min(WAIT_MAX));
        // What was asked lengthens the wait and never shortens it: a server in trouble tends to ask for too little.
        self.sleep(after.map_or(backoff, |asked| asked.clamp(backoff, WAIT_MAX))).await
    }

    async fn sleep(&self, wait: Duration) -> Result<(), Fault> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Fault::Cancelled),
            () = self.clock.sleep(wait) => Ok(()),
        }
    }
}
