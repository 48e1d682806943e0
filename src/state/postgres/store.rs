//! The state in PostgreSQL: each thing that is asked for is one transaction.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, PgConnection, Postgres};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use ulid::Ulid;

use super::connections::{CONNECTIONS_MAX, Connections, Taken};
use super::fault::{self, Fault, Next};
use super::held::Leases;
use super::right::PortalRight;
use super::rows;
use super::schema::{self, LOCKS};
use crate::model::ids::PipelineName;
use crate::ports::state::StateError;
use crate::state::address::Address;
use crate::state::relabelled::Relabelled;
use crate::sys::clock::Clock;
use crate::sys::crash_point::{crash_point, crash_point_within};

/// A state. Clones share its connections.
#[derive(Clone)]
pub struct PgState(pub(super) Arc<Shared>);

/// What handles of a state share.
pub(super) struct Shared {
    pub(super) address: Address,
    /// How error messages name it: without the password.
    pub(super) shown: String,
    pub(super) connections: Arc<Connections>,
    /// Whether it may be created, brought up to date and written to.
    pub(super) writes: bool,
    /// The number of the state, once it is known.
    id: OnceCell<i32>,
    /// The name of this process among those that write, and the number of its last transaction. Held while one is under way.
    writer: String,
    last: tokio::sync::Mutex<i64>,
    pub(super) leases: Leases,
    /// The right to a portal in whose name all is noted; none outside of turns.
    portal: Mutex<Option<PortalRight>>,
    /// Who lists for which directory.
    pub(super) turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    /// Keys that a dry run takes for others.
    pub(super) relabelled: Relabelled,
    pub(super) clock: Clock,
}

/// A transaction. It ends with whoever made it.
pub struct Tx<'a> {
    taken: Taken<'a>,
    /// Whether statements stay prepared in the session.
    prepares: bool,
    /// The state, which leads each key.
    pub state: i32,
    /// What is known of the pipeline that the transaction is about.
    pub pipeline: Option<KnownPipeline>,
}

/// A pipeline as a transaction found it.
pub struct KnownPipeline {
    /// Its name.
    pub name: PipelineName,
    /// Its number.
    pub id: i32,
    /// The match property that it had first.
    pub match_property: Option<String>,
}

/// A statement with its values.
pub type Sql<'q> = Query<'q, Postgres, PgArguments>;

/// A statement. A transaction decides whether it stays prepared; else it is so without a name and only for this once.
pub fn sql<'q>(text: &'static str) -> Sql<'q> {
    sqlx::query(text).persistent(false)
}

/// The same for one that was put together; only from our own words.
pub fn sql_of<'q>(text: String) -> Sql<'q> {
    sqlx::query(AssertSqlSafe(text)).persistent(false)
}

impl Tx<'_> {
    /// Runs a statement; how many rows it touched.
    pub async fn run(&mut self, sql: Sql<'_>) -> Result<u64, Fault> {
        let sql = sql.persistent(self.prepares);
        Ok(sql.execute(self.taken.get()).await?.rows_affected())
    }

    /// All rows of an answer.
    pub async fn rows(&mut self, sql: Sql<'_>) -> Result<Vec<PgRow>, Fault> {
        let sql = sql.persistent(self.prepares);
        Ok(sql.fetch_all(self.taken.get()).await?)
    }

    /// The first row of an answer.
    pub async fn row(&mut self, sql: Sql<'_>) -> Result<Option<PgRow>, Fault> {
        let sql = sql.persistent(self.prepares);
        Ok(sql.fetch_optional(self.taken.get()).await?)
    }

    /// Ends the transaction.
    pub async fn commit(mut self) -> Result<(), Fault> {
        execute(self.taken.get(), "COMMIT").await?;
        self.taken.give_back();
        Ok(())
    }
}

/// Reads see everything as it is at one moment. No limit of a session is relied upon: each is set within the transaction.
const BEGIN_TO_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL statement_timeout = '60s';
    SET LOCAL idle_in_transaction_session_timeout = '60s'";

/// Writes to a state take their turn, also those of other processes, as they do in SQLite. A process that is stopped in the middle must not
/// keep the others waiting.
fn begin_to_write(state: i32) -> String {
    format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE; SET LOCAL statement_timeout = '60s'; SET LOCAL lock_timeout = '30s';
         SET LOCAL idle_in_transaction_session_timeout = '15s'; SELECT pg_advisory_xact_lock({LOCKS}, {state})"
    )
}

/// How long something is tried again, by the pauses between.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LONGEST: Duration = Duration::from_secs(2);

/// Pauses between tries, each longer than the one before.
struct Patience {
    pause: Duration,
    waited: Duration,
}

impl Patience {
    fn new() -> Self {
        Self { pause: PAUSE_FIRST, waited: Duration::ZERO }
    }

    /// Waits before the next try; false where there is none.
    async fn goes_on(&mut self) -> bool {
        if self.waited >= PATIENCE {
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.waited += self.pause;
        self.pause = (2 * self.pause).min(PAUSE_LONGEST);
        true
    }
}

/// What became of one try to write.
enum Tried<T> {
    Stands(T),
    Failed(Fault),
    /// The connection broke while it was committed.
    Unknown(T, Fault),
}

impl PgState {
    /// A state at an address, for writing. Nothing is asked of the server before the first use.
    pub fn new(address: Address, clock: &Clock) -> Self {
        let connections = Arc::new(Connections::new(&address, CONNECTIONS_MAX));
        Self::with(address, clock, true, connections)
    }

    /// The same for reading only; where there is none yet, it is an empty one.
    pub fn for_reading(address: Address, clock: &Clock) -> Self {
        let connections = Arc::new(Connections::new(&address, CONNECTIONS_MAX));
        Self::with(address, clock, false, connections)
    }

    /// A state for writing, with as many connections as so many turns need at a time.
    pub fn for_turns(address: Address, clock: &Clock, turns: usize) -> Self {
        let connections = Arc::new(Connections::new(&address, CONNECTIONS_MAX + turns));
        Self::with(address, clock, true, connections)
    }

    /// Another state of the same database, for writing, on the same connections.
    pub fn beside(&self, address: Address, clock: &Clock) -> Self {
        Self::with(address, clock, true, Arc::clone(&self.0.connections))
    }

    /// A state whose connections are shared with others of its database.
    pub fn with(address: Address, clock: &Clock, writes: bool, connections: Arc<Connections>) -> Self {
        Self(Arc::new(Shared {
            shown: address.to_string(),
            connections,
            address,
            writes,
            id: OnceCell::new(),
            writer: Ulid::from_parts(clock.now().as_millisecond().max(0).unsigned_abs(), fastrand::u128(..))
                .to_string(),
            last: tokio::sync::Mutex::default(),
            leases: Leases::default(),
            portal: Mutex::default(),
            turns: Mutex::default(),
            relabelled: Relabelled::default(),
            clock: clock.clone(),
        }))
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.0.address
    }

    /// The right to a portal in whose name all is noted.
    pub(super) fn portal(&self) -> Option<PortalRight> {
        self.0.portal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_portal(&self, right: Option<PortalRight>) {
        *self.0.portal.lock().unwrap_or_else(PoisonError::into_inner) = right;
    }

    pub(super) fn sorted(&self, fault: Fault) -> StateError {
        fault::sorted(&self.0.shown, fault)
    }

    /// The number of the state; none where there is none and none may be made. What goes wrong here is told at once: an address that never
    /// worked is rather wrong than busy.
    async fn id(&self) -> Result<Option<i32>, StateError> {
        if let Some(id) = self.0.id.get() {
            return Ok(Some(*id));
        }
        let made = self.0.id.get_or_try_init(async || self.make().await.and_then(|id| id.ok_or(Missing::State)));
        match made.await {
            Ok(id) => Ok(Some(*id)),
            Err(Missing::State) => Ok(None),
            Err(Missing::Way(fault)) => Err(self.sorted(fault)),
        }
    }

    /// Finds the state; makes what is missing, if it may.
    async fn make(&self) -> Result<Option<i32>, Missing> {
        let mut taken = self.0.connections.take().await?;
        let connection = taken.get();
        sqlx::raw_sql(BEGIN_TO_READ).execute(&mut *connection).await?;
        let version = schema::version(connection).await?;
        schema::not_newer(version.unwrap_or_default(), &self.0.shown)?;
        let found = match version {
            Some(schema::KNOWN) => schema::state_id(connection, self.0.address.name()).await?,
            Some(version) if !self.0.writes => {
                let detail =
                    format!("it has version {version} and must be migrated; any command that writes does that");
                return Err(Fault::Refused(StateError::Io { path: self.0.shown.clone(), detail }).into());
            }
            _ => None,
        };
        sqlx::raw_sql("COMMIT").execute(&mut *connection).await?;
        if found.is_some() || !self.0.writes {
            taken.give_back();
            return Ok(found);
        }
        let begin = "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE; SET LOCAL lock_timeout = '60s'";
        sqlx::raw_sql(begin).execute(&mut *connection).await?;
        schema::migrate(connection, &self.0.shown).await?;
        let id = schema::ensure_state(connection, self.0.address.name()).await?;
        sqlx::raw_sql("COMMIT").execute(&mut *connection).await?;
        taken.give_back();
        Ok(Some(id))
    }

    /// Reads something as it is at one moment. The work is done with the arguments, anew where it is tried again.
    ///
    /// It goes on while nobody asks how far it is: whoever waits for many things may leave some of them for later, and must not keep a
    /// connection, or the turn to write, for so long.
    pub(super) async fn read<A, T, F>(&self, arguments: A, work: F) -> Result<T, StateError>
    where
        A: Send + Sync + 'static,
        T: Default + Send + 'static,
        F: for<'t> Fn(&'t mut Tx<'_>, &'t A) -> BoxFuture<'t, Result<T, Fault>> + Send + Sync + 'static,
    {
        let state = self.clone();
        let task = tokio::spawn(async move {
            let Some(id) = state.id().await? else { return Ok(T::default()) };
            state.read_patiently(id, &arguments, &work).await
        });
        self.joined(task).await
    }

    /// The same of any states of the database, whether or not there is this one.
    pub(super) async fn read_any<A, T, F>(&self, arguments: A, work: F) -> Result<T, StateError>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'t> Fn(&'t mut Tx<'_>, &'t A) -> BoxFuture<'t, Result<T, Fault>> + Send + Sync + 'static,
    {
        let state = self.clone();
        let task = tokio::spawn(async move {
            let id = state.id().await?.unwrap_or_default();
            state.read_patiently(id, &arguments, &work).await
        });
        self.joined(task).await
    }

    /// What a task came to.
    async fn joined<T>(&self, task: JoinHandle<Result<T, StateError>>) -> Result<T, StateError> {
        task.await.unwrap_or_else(|_| {
            let detail = "what was to be done with it broke off".to_owned();
            Err(StateError::Io { path: self.0.shown.clone(), detail })
        })
    }

    async fn read_patiently<A, T, F>(&self, state: i32, arguments: &A, work: &F) -> Result<T, StateError>
    where
        F: for<'t> Fn(&'t mut Tx<'_>, &'t A) -> BoxFuture<'t, Result<T, Fault>>,
    {
        let mut patience = Patience::new();
        loop {
            match self.read_once(state, arguments, work).await {
                Ok(read) => return Ok(read),
                Err(fault) if self.is_tried_again(&fault) && patience.goes_on().await => {}
                Err(fault) => return Err(self.sorted(fault)),
            }
        }
    }

    async fn read_once<A, T, F>(&self, state: i32, arguments: &A, work: &F) -> Result<T, Fault>
    where
        F: for<'t> Fn(&'t mut Tx<'_>, &'t A) -> BoxFuture<'t, Result<T, Fault>>,
    {
        let mut tx = self.begin(state, BEGIN_TO_READ).await?;
        match work(&mut tx, arguments).await {
            Ok(read) => {
                tx.commit().await?;
                Ok(read)
            }
            Err(fault) => Err(undone(tx, fault).await),
        }
    }

    /// Begins a transaction by some statements.
    pub(super) async fn begin(&self, state: i32, statements: &str) -> Result<Tx<'_>, Fault> {
        loop {
            let mut taken = self.0.connections.take().await?;
            if let Some(prepares) = taken.begin(statements).await? {
                return Ok(Tx { taken, prepares, state, pipeline: None });
            }
            self.0.connections.sessions_are_shared();
        }
    }

    /// Whether work that failed is worth another try.
    fn is_tried_again(&self, fault: &Fault) -> bool {
        let Fault::Database(error) = fault else { return false };
        if fault::is_lost(error) {
            self.0.connections.forget();
        }
        if fault::is_of_another_session(error) {
            self.0.connections.sessions_are_shared();
        }
        fault::next(error) == Next::Again
    }

    /// Writes something, all or nothing; it stands when this returns, and stands once. What is noted of a pipeline that this process has the
    /// right to run is noted only while it has that right. A caller that stops waiting does not stop the work.
    pub(super) async fn write<A, T, F>(
        &self,
        pipeline: Option<PipelineName>,
        arguments: A,
        work: F,
    ) -> Result<T, StateError>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'t> Fn(&'t mut Tx<'_>, &'t A) -> BoxFuture<'t, Result<T, Fault>> + Send + Sync + 'static,
    {
        crash_point!("postgres.asked");
        let state = self.clone();
        let task = tokio::spawn(async move { state.write_patiently(pipeline.as_ref(), &arguments, &work).await });
        let done = self.joined(task).await;
        crash_point!("postgres.answered");
        done
    }

    async fn write_patiently<A, T, F>(
        &self,
        pipeline: Option<&PipelineName>,
        arguments: &A,
        work: &F,
    ) -> Result<T, StateError>
    where
        F: for<'t> Fn(&'t mut Tx<'_>, &'t A) -> BoxFuture<'t, Result<T, Fault>>,
    {
        let Some(state) = self.id().await? else {
            let detail = "it was opened for reading only".to_owned();
            return Err(StateError::Io { path: self.0.shown.clone(), detail });
        };
        let mut last = self.0.last.lock().await;
        *last += 1;
        let mut patience = Patience::new();
        loop {
            let epoch = pipeline.map(|name| self.0.leases.epoch(name)).transpose()?.flatten();
            let right = pipeline.zip(epoch);
            let fault = match self.write_once(state, right, *last, (arguments, work)).await {
                Tried::Stands(done) => return Ok(done),
                Tried::Failed(fault) => fault,
                Tried::Unknown(done, fault) => match self.stands(state, *last, &mut patience).await {
                    Ok(true) => return Ok(done),
                    Ok(false) => fault,
                    Err(error) => return Err(error),
                },
            };
            if !self.is_tried_again(&fault) || !patience.goes_on().await {
                return Err(self.sorted(fault));
            }
        }
    }

    async fn write_once<A, T, F>(
        &self,
        state: i32,
        right: Option<(&PipelineName, i64)>,
        number: i64,
        (arguments, work): (&A, &F),
    ) -> Tried<T>
    where
        F: for<'t> Fn(&'t mut Tx<'_>, &'t A) -> BoxFuture<'t, Result<T, Fault>>,
    {
        let portal = self.portal();
        if let Some(lost) = portal.as_ref().and_then(|portal| portal.check().err()) {
            return Tried::Failed(Fault::Refused(lost));
        }
        let portal = portal.map(|portal| (portal.mark(), portal));
        let mut tx = match self.begin(state, &begin_to_write(state)).await {
            Ok(tx) => tx,
            Err(fault) => return Tried::Failed(fault),
        };
        let held = match &portal {
            Some((_, portal)) => hold(&mut tx, portal).await,
            None => Ok(()),
        };
        if let Err(fault) = held {
            return Tried::Failed(undone(tx, fault).await);
        }
        let done = match self.note_transaction(&mut tx, right, number).await {
            Ok(()) => work(&mut tx, arguments).await,
            Err(fault) => Err(fault),
        };
        let done = match done {
            Ok(done) => done,
            Err(fault) => return Tried::Failed(undone(tx, fault).await),
        };
        crash_point_within!("postgres.written");
        match execute(tx.taken.get(), "COMMIT").await {
            Ok(()) => {
                crash_point_within!("postgres.committed");
                tx.taken.give_back();
                if let Some((pipeline, epoch)) = right {
                    self.0.leases.renewed(pipeline, epoch);
                }
                if let Some((asked, portal)) = &portal {
                    portal.renewed(*asked);
                }
                Tried::Stands(done)
            }
            Err(error) if fault::is_lost(&error) => {
                self.0.connections.forget();
                Tried::Unknown(done, error.into())
            }
            Err(error) => Tried::Failed(error.into()),
        }
    }

    /// Numbers the transaction, and makes sure of the right to run the pipeline.
    async fn note_transaction(
        &self,
        tx: &mut Tx<'_>,
        right: Option<(&PipelineName, i64)>,
        number: i64,
    ) -> Result<(), Fault> {
        const NOTED: &str = "INSERT INTO syncline.writers (state_id, writer, last, seen) VALUES ($1, $2, $3, now())
            ON CONFLICT (state_id, writer) DO UPDATE SET last = excluded.last, seen = excluded.seen";
        const BOTH: &str = "WITH noted AS (
                INSERT INTO syncline.writers (state_id, writer, last, seen) VALUES ($1, $2, $3, now())
                ON CONFLICT (state_id, writer) DO UPDATE SET last = excluded.last, seen = excluded.seen)
            UPDATE syncline.leases l SET until = clock_timestamp() + interval '30 seconds'
            FROM (SELECT 1) AS one LEFT JOIN syncline.pipelines p ON p.state_id = $1 AND p.name = $4
            WHERE l.state_id = $1 AND l.pipeline = $4 AND l.epoch = $5 RETURNING p.id, p.match_property";
        let state = tx.state;
        let Some((pipeline, epoch)) = right else {
            tx.run(sql(NOTED).bind(state).bind(&self.0.writer).bind(number)).await?;
            if number == 1 {
                // What processes left that ended long ago.
                tx.run(
                    sql("DELETE FROM syncline.writers WHERE state_id = $1 AND seen < now() - interval '7 days'")
                        .bind(state),
                )
                .await?;
            }
            return Ok(());
        };
        let noted = sql(BOTH).bind(state).bind(&self.0.writer).bind(number).bind(pipeline.as_str()).bind(epoch);
        let Some(row) = tx.row(noted).await? else { return Err(Fault::Refused(self.0.leases.lost(pipeline, epoch))) };
        if let Some(id) = rows::get(&row, 0)? {
            let match_property: Option<String> = rows::get(&row, 1)?;
            if match_property.is_some() {
                self.0.leases.matched(pipeline, epoch);
            }
            tx.pipeline = Some(KnownPipeline { name: pipeline.clone(), id, match_property });
        }
        Ok(())
    }

    /// Whether the transaction of a number stands whose connection broke while it was committed. The lock waits until it has ended on the
    /// server, one way or the other.
    async fn stands(&self, state: i32, number: i64, patience: &mut Patience) -> Result<bool, StateError> {
        loop {
            let asked = async {
                let mut tx = self.begin(state, &begin_to_write(state)).await?;
                let last = sql("SELECT last FROM syncline.writers WHERE state_id = $1 AND writer = $2");
                let last = tx.row(last.bind(state).bind(&self.0.writer)).await?;
                let last: Option<i64> = last.map(|row| rows::get(&row, 0)).transpose()?;
                execute(tx.taken.get(), "ROLLBACK").await?;
                tx.taken.give_back();
                Ok::<_, Fault>(last == Some(number))
            };
            match asked.await {
                Ok(stands) => return Ok(stands),
                Err(fault) if self.is_tried_again(&fault) && patience.goes_on().await => {}
                Err(fault) => {
                    let StateError::Io { path, detail } = self.sorted(fault) else { return Ok(false) };
                    let detail = format!(
                        "the connection broke while something was committed, and whether it stands is not known: {detail}"
                    );
                    return Err(StateError::Io { path, detail });
                }
            }
        }
    }
}

/// Makes sure of the right to a portal within a transaction, and renews it.
async fn hold(tx: &mut Tx<'_>, right: &PortalRight) -> Result<(), Fault> {
    let hold = sql("UPDATE syncline.portals SET until = clock_timestamp() + $3 * interval '1 second'
         WHERE key = $1 AND epoch = $2 AND ended IS NULL");
    match tx.run(hold.bind(right.key()).bind(right.epoch()).bind(right.lasts().as_secs_f64())).await? {
        1 => Ok(()),
        _ => Err(Fault::Refused(right.lost())),
    }
}

async fn execute(connection: &mut PgConnection, text: &'static str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(text).execute(connection).await.map(drop)
}

/// Undoes a transaction that came to nothing.
async fn undone(mut tx: Tx<'_>, fault: Fault) -> Fault {
    let is_lost = matches!(&fault, Fault::Database(error) if fault::is_lost(error));
    if !is_lost && execute(tx.taken.get(), "ROLLBACK").await.is_ok() {
        tx.taken.give_back();
    }
    fault
}

/// Why there is no number of a state.
enum Missing {
    /// There is no such state yet.
    State,
    /// It could not be asked for.
    Way(Fault),
}

impl From<Fault> for Missing {
    fn from(fault: Fault) -> Self {
        Self::Way(fault)
    }
}

impl From<sqlx::Error> for Missing {
    fn from(error: sqlx::Error) -> Self {
        Self::Way(error.into())
    }
}
