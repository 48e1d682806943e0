//! One Salesforce org as a `Source`: chooses between REST and Bulk, and passes from one to the other where it must.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use jiff::Timestamp;

use super::api::{Api, Bad, Call, Trouble};
use super::auth::Tokens;
use super::bulk::BulkRead;
use super::errors::{self, Action, Advice};
use super::job::{self, Outcome};
use super::query::RestRead;
use super::reading::{Place, Reading};
use super::settings::SalesforceSettings;
use super::soql::After;
use super::{deleted, describe};
use crate::connect::http::calls::Calls;
use crate::connect::http::client::Transport;
use crate::model::ids::SalesforceId;
use crate::model::object::{ObjectSummary, SourceObject};
use crate::model::watermark::Cursor;
use crate::ports::fault::Fault;
use crate::ports::org_calls::OrgCalls;
use crate::ports::source::{Chunk, DeletedRows, Extract, Source};
use crate::sys::cancel::Cancel;
use crate::sys::clock::Clock;
use crate::sys::network::Network;
use crate::sys::rng::Rng;

/// More rows than this are read by Bulk: five REST pages, where a job pays off.
const REST_RECORDS_MAX: u64 = 10_000;

/// When Bulk's daily limit is used up, reads of up to this many rows are made by REST all the same (50 calls).
const REST_INSTEAD_RECORDS_MAX: u64 = 100_000;

/// Jobs that are tried before REST takes over.
/// One that is lost by chance is made up for by the second; two speak against Bulk for this read.
const JOBS_MAX: u32 = 2;

/// A job that has not ended by then never will.
const JOB_LONGEST: Duration = Duration::from_hours(24);

/// The same where REST can do the work in 50 calls: most jobs of this size end within a minute.
const JOB_SMALL_LONGEST: Duration = Duration::from_mins(5);

/// A connection to one org. Its handles share token, connections, budget and clock.
#[derive(Clone)]
pub struct SalesforceConnection(Arc<Api>);

impl SalesforceConnection {
    /// A connection that logs in at its first call. Errors: `Halt` when the HTTP client cannot be set up.
    pub fn new(
        settings: SalesforceSettings,
        network: &Network,
        clock: Clock,
        rng: Rng,
        cancel: Cancel,
    ) -> Result<Self, Fault> {
        let transport = Transport::new(&settings.login_url, network, &clock).map_err(|text| {
            let advice = Advice { code: "SL4115", help: "check the proxy settings and certificates of this computer" };
            Fault::Halt(errors::local(advice, "connect", text))
        })?;
        let tokens = Tokens::new(Arc::new(settings), transport, clock, rng, cancel);
        Ok(Self(Arc::new(Api::new(tokens))))
    }

    /// Adds the calls since the last time to what is noted of this connection's calls, and counts all of them against
    /// `api_budget` from now on; gives the new note.
    pub fn note_calls(&self, noted: Option<&str>) -> String {
        self.0.note_calls(noted)
    }

    /// From now on calls are drawn from a place that all processes share.
    pub fn share_calls(&self, shared: Arc<dyn OrgCalls>) {
        self.0.share_calls(shared);
    }

    /// Gives back calls that were drawn and not made.
    pub async fn give_back_calls(&self) {
        self.0.give_back_calls().await;
    }

    /// Calls that the org allows in a day, as far as an answer has told.
    pub fn calls_allowed(&self) -> Option<u64> {
        self.0.daily_calls().map(|(_, allowed)| allowed)
    }

    /// A handle with a call counter of its own, for use in passing.
    pub fn handle(&self) -> SalesforceSource {
        SalesforceSource { api: Arc::clone(&self.0), calls: Calls::passing(&self.0.tokens.unclaimed) }
    }

    /// The handle of a run, which also counts what nobody has counted: logging in, setting up.
    pub fn handle_of_run(&self) -> SalesforceSource {
        SalesforceSource { api: Arc::clone(&self.0), calls: Calls::of_run(&self.0.tokens.unclaimed) }
    }
}

/// A handle of a connection.
pub struct SalesforceSource {
    api: Arc<Api>,
    calls: Calls,
}

impl Source for SalesforceSource {
    fn describe<'a>(&'a self, object: &'a str) -> BoxFuture<'a, Result<SourceObject, Fault>> {
        self.describe_object(object).boxed()
    }

    fn now(&self) -> BoxFuture<'_, Result<Timestamp, Fault>> {
        self.server_now().boxed()
    }

    fn count<'a>(&'a self, query: &'a Extract) -> BoxFuture<'a, Result<u64, Fault>> {
        async move {
            let cx = Reading::new(&self.api, &self.calls, query.clone());
            cx.count().await.map_err(|trouble| trouble.fault(&cx.operation))
        }
        .boxed()
    }

    fn deleted<'a>(
        &'a self,
        object: &'a str,
        since: Timestamp,
        until: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Vec<SalesforceId>>, Fault>> {
        async move {
            let operation = format!("list deleted {object}");
            let name: String = url::form_urlencoded::byte_serialize(object.as_bytes()).collect();
            // Seconds count for nothing there.
            let time = |moment: Timestamp| moment.strftime("%Y-%m-%dT%H:%M:00Z").to_string();
            let (start, end) = (time(since), time(until));
            let target = format!("{}/sobjects/{name}/deleted/?start={start}&end={end}", self.api.base());
            let decode = |body: &[u8]| {
                deleted::ids(body).map_err(|_| Bad::Unusable("the answer is no list of deleted records".to_owned()))
            };
            match self.api.fetch(&self.calls, &Call::get(&operation, &target), decode).await {
                Ok(ids) => Ok(Some(ids)),
                // The object is not replicated, or the log does not reach back so far: there is no proof, then.
                Err(Trouble::Api(error, _)) if error.status == 400 => {
                    tracing::debug!(object, "Salesforce lists no deleted records");
                    Ok(None)
                }
                Err(trouble) => Err(trouble.fault(&operation)),
            }
        }
        .boxed()
    }

    fn extract(&self, query: Extract, resume: Option<Cursor>) -> BoxStream<'_, Result<Chunk, Fault>> {
        let cx = Reading::new(&self.api, &self.calls, query);
        let read = Read { cx, step: Step::Start(resume), jobs: 0 };
        stream::unfold(Some(read), |read| async move {
            let mut read = read?;
            match read.next().boxed().await {
                Ok(Some(mut chunk)) => {
                    if read.cx.query.deleted == DeletedRows::LeaveOut {
                        chunk.records.retain(|record| !record.deleted);
                    }
                    Some((Ok(chunk), Some(read)))
                }
                Ok(None) => None,
                Err(fault) => Some((Err(fault), None)),
            }
        })
        .boxed()
    }

    fn release<'a>(&'a self, cursor: &'a Cursor) -> BoxFuture<'a, ()> {
        async move {
            if let Ok(Place::Bulk { job, .. }) = serde_json::from_str(&cursor.place) {
                job::delete(&self.api, &self.calls, &job).await;
            }
        }
        .boxed()
    }

    fn calls(&self) -> u64 {
        self.calls.total()
    }
}

impl SalesforceSource {
    /// The id of the org behind the connection, in its first 15 characters; none where its logins do not tell it.
    pub async fn org(&self) -> Result<Option<String>, Fault> {
        Ok(self.api.tokens.session().await?.org.clone())
    }

    /// The org's API calls of the last 24 hours, as the latest answer told them: used by everybody, and allowed.
    pub fn daily_calls(&self) -> Option<(u64, u64)> {
        self.api.daily_calls()
    }

    /// All objects that the integration user can see.
    pub async fn objects(&self) -> Result<Vec<ObjectSummary>, Fault> {
        let operation = "list objects";
        let target = format!("{}/sobjects", self.api.base());
        let decode = |body: &[u8]| {
            describe::objects(body).map_err(|_| Bad::Unusable("the answer is not a list of objects".to_owned()))
        };
        let call = Call::get(operation, &target);
        self.api.fetch(&self.calls, &call, decode).await.map_err(|trouble| trouble.fault(operation))
    }

    /// Describes an object, whether or not it can be queried.
    pub async fn look_at(&self, object: &str) -> Result<SourceObject, Fault> {
        let operation = format!("describe {object}");
        let name: String = url::form_urlencoded::byte_serialize(object.as_bytes()).collect();
        let target = format!("{}/sobjects/{name}/describe", self.api.base());
        let decode = |body: &[u8]| {
            describe::object(object, body)
                .map_err(|_| Bad::Unusable("the answer is not a description of an object".to_owned()))
        };
        let call = Call::get(&operation, &target);
        self.api.fetch(&self.calls, &call, decode).await.map_err(|trouble| trouble.fault(&operation))
    }

    async fn describe_object(&self, object: &str) -> Result<SourceObject, Fault> {
        let found = self.look_at(object).await?;
        if found.queryable {
            return Ok(found);
        }
        let operation = format!("describe {object}");
        let advice = Advice { code: "SL4112", help: "choose another object; Salesforce offers no query on this one" };
        Err(Fault::Halt(errors::local(advice, &operation, format!("`{}` cannot be queried", found.name))))
    }

    async fn server_now(&self) -> Result<Timestamp, Fault> {
        if let Some(now) = self.api.server_time().filter(|_| self.api.time_is_fresh()) {
            return Ok(now);
        }
        let operation = "ask the time";
        // The cheapest place: it answers with a short list, whatever the user may see.
        let target = format!("{}/", self.api.base());
        let call = Call::get(operation, &target);
        let asked = self.api.fetch(&self.calls, &call, |_| Ok(())).await;
        if let Err(trouble) = asked {
            // Whatever the answer says, its head tells the time.
            let answered = matches!(trouble, Trouble::Api(..)) && self.api.time_is_fresh();
            if !answered {
                return Err(trouble.fault(operation));
            }
        }
        // Without the computer's clock: a wrong one would move the watermark past rows that were never read.
        self.api.server_time().ok_or_else(|| Fault::Retry(errors::unusable(operation, "the answer has no `Date`")))
    }
}

/// A read on its way.
struct Read<'a> {
    cx: Reading<'a>,
    step: Step,
    /// Bulk jobs that this read has started.
    jobs: u32,
}

enum Step {
    Start(Option<Cursor>),
    Rest(Box<RestRead>),
    Job(Job),
    Bulk(Box<BulkRead>),
    End,
}

/// A job that may still be running.
struct Job {
    id: String,
    /// The page to begin with; none for the first.
    locator: Option<String>,
    /// Rows of the pages before.
    rows: u64,
    /// How many rows are expected, where known.
    expected: Option<u64>,
    /// An earlier run started it: when it is gone, that run's place is lost.
    resumed: bool,
    /// The caller knows of it.
    announced: bool,
}

impl Read<'_> {
    async fn next(&mut self) -> Result<Option<Chunk>, Fault> {
        loop {
            match std::mem::replace(&mut self.step, Step::End) {
                Step::End => return Ok(None),
                Step::Start(None) => self.step = self.choose().await?,
                Step::Start(Some(cursor)) => self.step = self.resume(&cursor)?,
                Step::Rest(mut read) => match read.next_chunk(&self.cx).await {
                    Ok(chunk) => {
                        if chunk.is_some() {
                            self.step = Step::Rest(read);
                        }
                        return Ok(chunk);
                    }
                    // Rows come again from a job, none is left out.
                    Err(trouble) if self.may_turn_to_bulk(&trouble) => self.step = self.start_job(None).await?,
                    Err(trouble) => return Err(self.fault(trouble)),
                },
                Step::Job(job) if !job.announced => {
                    // A run that dies while the job is running goes on with it, instead of starting another.
                    let place = Place::bulk(self.cx.api, &job.id, None, 0);
                    let cursor = Some(self.cx.cursor(&place)?);
                    self.step = Step::Job(Job { announced: true, ..job });
                    return Ok(Some(Chunk { records: Vec::new(), cursor }));
                }
                Step::Job(job) => self.step = self.wait(job).await?,
                Step::Bulk(mut read) => match read.next_chunk(&self.cx).await {
                    Ok(chunk) => {
                        if chunk.is_some() {
                            self.step = Step::Bulk(read);
                        }
                        return Ok(chunk);
                    }
                    // Somebody deleted the job, or its result cannot be had whole: rows come again from a new one.
                    Err(trouble) if job::spoiled(&trouble) => {
                        tracing::warn!(object = %self.cx.query.object, "the result of a bulk query job is lost");
                        // A second job would lack the same headers: REST names its next page in the body.
                        if read.blind {
                            self.jobs = JOBS_MAX;
                        }
                        self.step = self.start_job(None).await?;
                    }
                    Err(trouble) => return Err(self.fault(trouble)),
                },
            }
        }
    }

    /// Whether a REST read that failed is worth a job. The parts of a joint query are asked for apart instead, as one of them is
    /// quick.
    fn may_turn_to_bulk(&self, trouble: &Trouble) -> bool {
        job::allowed(&self.cx.query) && self.jobs < JOBS_MAX && too_much(trouble) && !self.cx.query.is_joint()
    }

    fn fault(&self, trouble: Trouble) -> Fault {
        trouble.fault(&self.cx.operation)
    }

    /// Small reads by REST, large ones by Bulk.
    async fn choose(&mut self) -> Result<Step, Fault> {
        let query = Arc::clone(&self.cx.query);
        if !job::allowed(&query) {
            return Ok(rest(&query, None));
        }
        let known = match query.expected {
            Some(expected) => Some(expected),
            // A cycle brings few rows as a rule: the first page tells the number without a call of its own.
            None if query.window.is_some() || query.parents.is_some() => return self.begin_rest().await,
            None => match self.cx.count().await {
                Ok(count) => Some(count),
                // So many rows that even counting takes too long: a job is the way to read them.
                Err(trouble) if trouble.action() == Some(Action::TooSlow) => None,
                Err(trouble) => return Err(self.fault(trouble)),
            },
        };
        match known {
            Some(records) if records <= REST_RECORDS_MAX => self.begin_rest().await,
            _ => self.start_job(known).await,
        }
    }

    /// Begins by REST, and turns to Bulk when there is more than was thought or it takes too long.
    async fn begin_rest(&mut self) -> Result<Step, Fault> {
        let mut read = RestRead::new(&self.cx.query, None);
        match read.begin(&self.cx).await {
            // The page that was read is given up: its rows come again from the job, which is cheaper than thousands
            // of pages.
            Ok(total) if total > REST_RECORDS_MAX => self.start_job(Some(total)).await,
            Ok(_) => Ok(Step::Rest(Box::new(read))),
            Err(trouble) if self.may_turn_to_bulk(&trouble) => self.start_job(None).await,
            Err(trouble) => Err(self.fault(trouble)),
        }
    }

    /// Starts a Bulk job; after enough failed ones, or where Bulk does not do the query, REST takes over.
    async fn start_job(&mut self, expected: Option<u64>) -> Result<Step, Fault> {
        let query = Arc::clone(&self.cx.query);
        if self.jobs >= JOBS_MAX {
            return Ok(rest(&query, None));
        }
        self.jobs += 1;
        let trouble = match job::create(&self.cx).await {
            Ok(id) => {
                let job = Job { id, locator: None, rows: 0, expected, resumed: false, announced: false };
                return Ok(Step::Job(job));
            }
            Err(trouble) => trouble,
        };
        match trouble.action() {
            // Whatever is wrong with the query itself, REST says it better; all else it may not mind.
            Some(Action::NotForBulk | Action::Missing | Action::TooLong | Action::TooSlow | Action::Halt) => {
                Ok(rest(&query, None))
            }
            Some(Action::BulkBudget) if expected.is_some_and(|rows| rows <= REST_INSTEAD_RECORDS_MAX) => {
                Ok(rest(&query, None))
            }
            _ => Err(self.fault(trouble)),
        }
    }

    /// A job that was lost before any of its rows were used is simply started again. After a resume, rows were used: then the place
    /// is lost, and the caller reads from the start.
    async fn wait(&mut self, job: Job) -> Result<Step, Fault> {
        let Job { id, locator, rows, expected, resumed, .. } = job;
        match job::wait(&self.cx, &id, patience(expected)).await {
            Ok(Outcome::Complete(total)) => Ok(Step::Bulk(Box::new(BulkRead::new(id, total, locator, rows)))),
            Ok(Outcome::Lost(why)) if resumed => Err(errors::place_lost(&self.cx.operation, why)),
            Ok(Outcome::Lost(why)) => {
                tracing::warn!(object = %self.cx.query.object, why, "a bulk query job was lost");
                self.start_job(expected).await
            }
            Err(trouble) => Err(self.fault(trouble)),
        }
    }

    /// Results of a Bulk job have the form of the API version that made it, so that a job of another version is not resumed.
    fn resume(&self, cursor: &Cursor) -> Result<Step, Fault> {
        let (id, locator, rows) = match self.cx.place(cursor)? {
            Place::Rest { after } => return Ok(rest(&self.cx.query, Some(after))),
            Place::Bulk { done: true, .. } => return Ok(Step::End),
            Place::Bulk { version, .. } if version != self.cx.api.tokens.settings.api_version => {
                return Err(errors::place_lost(&self.cx.operation, "the job was made with another API version"));
            }
            Place::Bulk { job, locator, rows, .. } => (job, locator, rows),
        };
        let expected = self.cx.query.expected;
        // Looked at before its results are asked for: the run may have died while the job was running.
        Ok(Step::Job(Job { id, locator, rows, expected, resumed: true, announced: true }))
    }
}

/// Whether a query takes more time or room than REST gives it.
fn too_much(trouble: &Trouble) -> bool {
    matches!(trouble.action(), Some(Action::TooSlow | Action::TooLong))
}

/// How long a job may take: where REST could do the work as well, not as long as where it is the only way.
fn patience(expected: Option<u64>) -> Duration {
    let small = expected.is_some_and(|rows| rows <= REST_INSTEAD_RECORDS_MAX);
    if small { JOB_SMALL_LONGEST } else { JOB_LONGEST }
}

fn rest(query: &Extract, after: Option<After>) -> Step {
    Step::Rest(Box::new(RestRead::new(query, after)))
}
