//! Turns that are told of by a queue in the database: `apalis` wakes whichever worker has room. What is in the queue tells a worker to look, and
//! nothing else: who has a portal is a row of our own.

use std::str::FromStr;
use std::time::Duration;

use apalis::prelude::{BoxDynError, Data, TaskBuilder, TaskSink, TaskSinkError, WorkerBuilder, WorkerBuilderExt};
use apalis_postgres::{Config, Error, PostgresStorage};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::sync::{OnceCell, mpsc, oneshot};
use ulid::Ulid;

use crate::ports::turns::{Turns, TurnsError, Wake, Woken};
use crate::state::address::Address;
use crate::sys::secrets::masked;

/// The queue of all workers of a database.
const QUEUE: &str = "syncline";

/// Connections of the queue: one tells, one is told, one keeps the worker alive.
const CONNECTIONS_MAX: u32 = 3;

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
            let options = options.application_name("syncline queue");
            let pool = PgPoolOptions::new().max_connections(CONNECTIONS_MAX).acquire_timeout(Duration::from_secs(10));
            let pool = pool.connect_lazy_with(options);
            PostgresStorage::setup(&pool).await.map_err(broken)?;
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
        for text in [
            "DELETE FROM apalis.jobs WHERE job_type = 'syncline' AND status IN ('Done', 'Failed', 'Killed')
                 AND done_at < now() - interval '1 hour'",
            "DELETE FROM apalis.workers w WHERE worker_type = 'syncline' AND last_seen < now() - interval '1 day'
                 AND NOT EXISTS (SELECT 1 FROM apalis.jobs j WHERE j.lock_by = w.id)",
        ] {
            if let Err(error) = sqlx::query(text).persistent(false).execute(pool).await {
                return error;
            }
        }
        tokio::time::sleep(CLEARED).await;
    }
}
