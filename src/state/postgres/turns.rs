//! Turns that are told of by a queue in the database: `apalis` wakes whichever worker has room. What is in the queue tells a worker to look, and
//! nothing else: who has a portal is a row of our own.

use std::str::FromStr;
use std::time::Duration;

use apalis::prelude::{BoxDynError, Data, TaskBuilder, TaskSink, TaskSinkError, WorkerBuilder, WorkerBuilderExt};
use apalis_postgres::{Config, Error, PostgresStorage};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryFutureExt};
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{Connection, PgPool};
use tokio::sync::{OnceCell, mpsc, oneshot};
use tokio::time::timeout;
use ulid::Ulid;

use super::schema::LOCKS;
use crate::ports::turns::{Turns, TurnsError, Wake, Woken};
use crate::state::address::Address;
use crate::sys::secrets::masked;

/// The queue of all workers of a database.
const QUEUE: &str = "syncline";

/// Connections of the queue: one tells, one is told, one keeps the worker alive.
const CONNECTIONS_MAX: u32 = 3;

/// How long a connection is waited for, and the making of the tables.
const CONNECT_WAIT: Duration = Duration::from_secs(10);
const MADE_WITHIN: Duration = Duration::from_secs(60);

/// How often the queue is looked at, and how long a worker may be silent before what it was told of is told to another one.
const LOOKED_AT: Duration = Duration::from_secs(1);
const SILENT_MAX: usize = 30;

/// How often what is over is taken out.
const CLEARED: Duration = Duration::from_secs(600);

/// The queue of a database.
pub struct PgTurns {
    address: Address,
    at_once: usize,
    storage: OnceCell<PostgresStorage<Told>>,
}

/// What is in the queue.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Told {
    state: String,
    portal: String,
    key: String,
}

impl PgTurns {
    /// The queue of the database at an address, for so many turns at a time. Nothing is asked of the server before the first use.
    pub fn new(address: &Address, at_once: usize) -> Self {
        Self { address: address.clone(), at_once, storage: OnceCell::new() }
    }

    /// The queue; its tables are made where they are missing.
    async fn storage(&self) -> Result<PostgresStorage<Told>, TurnsError> {
        let made = self.storage.get_or_try_init(async || {
            let options = PgConnectOptions::from_str(self.address.url().as_str()).map_err(broken)?;
            // PgBouncer does not know this parameter.
            let options =
                options.application_name("syncline queue").statement_cache_capacity(0).extra_float_digits(None);
            make(&options).await?;
            let pool = PgPoolOptions::new().max_connections(CONNECTIONS_MAX).acquire_timeout(CONNECT_WAIT);
            let pool = pool
                .after_connect(|connection, _| begin(connection).boxed())
                .before_acquire(|connection, _| begin(connection).map_ok(|()| true).boxed())
                .connect_lazy_with(options);
            let config = Config::default()
                .queue(QUEUE)
                // What a worker has no room for stays for the others.
                .batch_size(1)
                .heartbeat_interval(LOOKED_AT)
                .missed_heartbeats(SILENT_MAX);
            Ok(PostgresStorage::new(&pool).with_config(config))
        });
        made.await.cloned()
    }
}

/// Makes the tables, or brings them up to date, in one transaction: the lock of a session that the queue would take for it would stay with a
/// session of PgBouncer, and keep all others out for good.
async fn make(options: &PgConnectOptions) -> Result<(), TurnsError> {
    let work = async {
        let mut connection = PgConnection::connect_with(options).await.map_err(broken)?;
        let mut transaction = connection.begin().await.map_err(broken)?;
        begun(&mut transaction).await.map_err(broken)?;
        let lock = sqlx::query("SELECT pg_advisory_xact_lock($1, -1)").persistent(false).bind(LOCKS);
        lock.execute(&mut *transaction).await.map_err(broken)?;
        let mut migrations = PostgresStorage::migrations();
        migrations.set_locking(false);
        migrations.run_direct(None, &mut *transaction, false).await.map_err(broken)?;
        transaction.commit().await.map_err(broken)
    };
    timeout(MADE_WITHIN, work).await.unwrap_or_else(|_| Err(broken("its tables could not be looked at in time")))
}

/// Begins a transaction before the queue does, which then goes on in it: the queue gives names to its statements, and behind PgBouncer another
/// connection may have left the same names in the server's session.
async fn begin(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("BEGIN").execute(&mut *connection).await?;
    begun(connection).await
}

/// Rids a session of names, and its transaction of the notice that one has begun already.
async fn begun(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let text =
        "SET LOCAL client_min_messages = error; SET LOCAL idle_in_transaction_session_timeout = '15s'; DEALLOCATE ALL";
    sqlx::raw_sql(text).execute(connection).await.map(drop)
}

/// Why the queue cannot be used, without what an address may hold.
fn broken(error: impl std::fmt::Display) -> TurnsError {
    TurnsError(format!("the queue in the database cannot be used: {}", masked(&error.to_string())))
}

impl Turns for PgTurns {
    fn wake<'a>(&'a self, wake: &'a Wake) -> BoxFuture<'a, Result<(), TurnsError>> {
        async move {
            let mut storage = self.storage().await?;
            let told = Told { state: wake.state.clone(), portal: wake.portal.clone(), key: wake.key.clone() };
            // By the server's clock, and never before the time has come: the queue knows whole seconds.
            let at = wake.at.as_millisecond().unsigned_abs().div_ceil(1_000);
            let task = TaskBuilder::new(told).idempotency_key(&wake.key).run_at_timestamp(at).build();
            match storage.push_task(task).await {
                Ok(()) => Ok(()),
                // Somebody has told of this turn before.
                Err(TaskSinkError::PushError(Error::Database(sqlx::Error::Database(error))))
                    if error.is_unique_violation() =>
                {
                    Ok(())
                }
                Err(error) => Err(broken(error)),
            }
        }
        .boxed()
    }

    fn serve(&self, woken: mpsc::Sender<Woken>) -> BoxFuture<'_, Result<(), TurnsError>> {
        async move {
            let storage = self.storage().await?;
            let pool = storage.pool().clone();
            // Another name each time: one that broke off may still be known.
            let worker = WorkerBuilder::new(format!("syncline-{}", Ulid::generate()))
                .backend(storage)
                .data(woken)
                .concurrency(self.at_once)
                .build(tell);
            tokio::select! {
                ended = worker.run() => ended.map_err(broken),
                error = clear(&pool) => Err(broken(error)),
            }
        }
        .boxed()
    }
}

/// Tells of a turn, and waits until it is over.
async fn tell(told: Told, woken: Data<mpsc::Sender<Woken>>) -> Result<(), BoxDynError> {
    let (done, over) = oneshot::channel();
    let Told { state, portal, key } = told;
    if woken.send(Woken { state, portal, key, done }).await.is_ok() {
        let _ = over.await;
    }
    Ok(())
}

/// Takes out what is over, as long as it is polled.
async fn clear(pool: &PgPool) -> sqlx::Error {
    loop {
        if let Err(error) = clear_once(pool).await {
            return error;
        }
        tokio::time::sleep(CLEARED).await;
    }
}

async fn clear_once(pool: &PgPool) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    for text in [
        "DELETE FROM apalis.jobs WHERE job_type = 'syncline' AND status IN ('Done', 'Failed', 'Killed')
             AND done_at < now() - interval '1 hour'",
        "DELETE FROM apalis.workers w WHERE worker_type = 'syncline' AND last_seen < now() - interval '1 day'
             AND NOT EXISTS (SELECT 1 FROM apalis.jobs j WHERE j.lock_by = w.id)",
    ] {
        sqlx::query(text).persistent(false).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}
