//! The line between a run and the two services, and the time that both live in: everything that happens on it follows from a seed.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use syncline::sandbox::Sandbox;
use syncline::sandbox::http::{Delivery, Request};
use syncline::sandbox::server::split_target;
use syncline::sys::cancel::Cancel;
use syncline::sys::clock::Clock;
use syncline::sys::crash_watch;
use syncline::sys::network::{Play, PlayedReply, PlayedRequest};
use syncline::sys::rng::Rng;

/// Where the project says that Salesforce is; HubSpot is at the other place.
pub(super) const SALESFORCE: &str = "http://127.0.0.1:8071";

/// See [`SALESFORCE`].
pub(super) const HUBSPOT: &str = "http://127.0.0.1:8072";

/// Where a run dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Death {
    /// At a request of this number, before the service saw it.
    Before(u64),
    /// At a request of this number, when the service has done its work.
    After(u64),
    /// When so many crash points were reached.
    Point(u64),
}

/// What befalls one run.
#[derive(Default)]
pub(super) struct Trouble {
    pub(super) death: Option<Death>,
    /// Somebody asks the run to stop at a request of this number.
    pub(super) stop: Option<u64>,
    /// People change something at requests of these numbers.
    pub(super) meanwhile: BTreeSet<u64>,
    /// People change something at each request whose number this divides.
    pub(super) change_every: Option<u64>,
    /// Somebody asks the run to stop at this time.
    pub(super) until: Option<Timestamp>,
    /// No request takes any time.
    pub(super) quick: bool,
}

type Meanwhile = Box<dyn FnMut() + Send>;

/// A network that ends in a sandbox of the same process.
pub(super) struct Line {
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) clock: Clock,
    state: Mutex<LineState>,
}

struct LineState {
    rng: Rng,
    trouble: Trouble,
    cancel: Cancel,
    meanwhile: Meanwhile,
    requests: u64,
    points: u64,
    dead: bool,
}

impl Line {
    pub(super) fn new(sandbox: Arc<Sandbox>, clock: Clock, seed: u64, meanwhile: Meanwhile) -> Arc<Self> {
        let state = LineState {
            rng: Rng::seeded(seed),
            trouble: Trouble::default(),
            cancel: Cancel::new(),
            meanwhile,
            requests: 0,
            points: 0,
            dead: false,
        };
        Arc::new(Self { sandbox, clock, state: Mutex::new(state) })
    }

    fn lock(&self) -> MutexGuard<'_, LineState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new run begins.
    pub(super) fn begin(&self, trouble: Trouble, cancel: Cancel) {
        let mut state = self.lock();
        (state.trouble, state.cancel, state.dead) = (trouble, cancel, false);
        (state.requests, state.points) = (0, 0);
    }

    fn is_dead(&self) -> bool {
        self.lock().dead
    }

    /// A crash point is reached; whether the run dies there.
    fn point(&self) -> bool {
        let mut state = self.lock();
        state.points += 1;
        let points = state.points;
        let dies = state.trouble.death == Some(Death::Point(points));
        state.dead |= dies;
        state.dead
    }

    /// Time on the way.
    async fn travel(&self) {
        let pause = {
            let state = self.lock();
            if state.trouble.quick { 0 } else { state.rng.below(40) }
        };
        if pause > 0 {
            self.clock.sleep(Duration::from_millis(pause)).await;
        }
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    async fn deliver(&self, request: PlayedRequest) -> Result<PlayedReply, String> {
        self.travel().await;
        let service = if request.url.starts_with(SALESFORCE) { "salesforce" } else { "hubspot" };
        let number = {
            let mut state = self.lock();
            state.requests += 1;
            let number = state.requests;
            let late = state.trouble.until.is_some_and(|until| self.clock.now() >= until);
            if state.trouble.stop == Some(number) || late {
                state.cancel.cancel();
            }
            let due = state.trouble.change_every.is_some_and(|every| number.is_multiple_of(every));
            if due || state.trouble.meanwhile.contains(&number) {
                (state.meanwhile)();
            }
            state.dead |= state.trouble.death == Some(Death::Before(number));
            number
        };
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
        let reply = self.sandbox.answer(service, &as_the_sandbox_reads(request)).unwrap();
        {
            let mut state = self.lock();
            state.dead |= state.trouble.death == Some(Death::After(number));
        }
        self.travel().await;
        let mut headers = reply.headers;
        let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&self.sandbox.now()).unwrap();
        headers.push(("date".to_owned(), date));
        let (mut body, mut broken) = (reply.body, false);
        match reply.delivery {
            Delivery::Whole => {}
            Delivery::Late(pause) => self.clock.sleep(pause).await,
            Delivery::Drip(pause) => self.clock.sleep(pause * u32::try_from(body.len()).unwrap()).await,
            Delivery::Dropped => return Err("connection closed before message completed".to_owned()),
            Delivery::Never => std::future::pending().await,
            Delivery::Cut(bytes) => {
                body.truncate(bytes);
                broken = true;
            }
        }
        Ok(PlayedReply { status: reply.status, headers, body, broken })
    }
}

impl Play for Line {
    fn exchange(&self, request: PlayedRequest) -> BoxFuture<'_, Result<PlayedReply, String>> {
        self.deliver(request).boxed()
    }
}

fn as_the_sandbox_reads(request: PlayedRequest) -> Request {
    let rest = request.url.strip_prefix("http://").unwrap();
    let (host, _) = rest.split_once('/').unwrap();
    let target = rest[host.len()..].to_owned();
    let (path, query) = split_target(&target);
    let mut headers = request.headers;
    headers.push(("host".to_owned(), host.to_owned()));
    Request { method: request.method, target, path, query, headers, body: request.body }
}

/// Lets a run go on until it ends, or dies: then it is dropped where it stands, and with it everything that it had under way. Time
/// passes when there is nothing else to do.
pub(super) fn drive<T>(line: &Arc<Line>, run: impl Future<Output = T>) -> Option<T> {
    // A few timeouts of the product are on tokio's clock.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let watched = Arc::clone(line);
    crash_watch::watch(Some(Box::new(move |_| watched.point())));
    let mut run = Box::pin(run);
    let ended = runtime.block_on(async {
        let mut in_vain = 0;
        loop {
            let step = poll_fn(|cx| match run.as_mut().poll(cx) {
                _ if line.is_dead() => Poll::Ready(None),
                Poll::Ready(ended) => Poll::Ready(Some(ended)),
                Poll::Pending => Poll::Pending,
            });
            tokio::select! {
                biased;
                ended = step => break ended,
                () = idle() => {
                    in_vain = if line.clock.advance_to_next() { 0 } else { in_vain + 1 };
                    assert!(in_vain < IN_VAIN_MAX, "the run waits for nothing");
                }
            }
        }
    });
    drop(run);
    crash_watch::watch(None);
    ended
}

/// How often whatever can go on is given its turn without that anybody sleeps, before a run counts as one that hangs.
const IN_VAIN_MAX: u32 = 10_000;

/// Ends when whatever could go on has done so.
async fn idle() {
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
}
