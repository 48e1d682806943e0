//! A few connections. What is done on one is a whole transaction, and nothing of a session is relied upon, so that each may lead through a
//! PgBouncer that gives every transaction another server's session. Where each transaction finds the session of the one before, by a mark,
//! statements stay prepared in it: see docs/decisions/0077.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::fault;
use crate::state::address::Address;

/// Connections of one process to one database at most.
pub const CONNECTIONS_MAX: usize = 5;

/// How long one is waited for: for the way to the server and its consent, and for one of ours to become free.
const CONNECT_WAIT: Duration = Duration::from_secs(10);
const TURN_WAIT: Duration = Duration::from_secs(60);

/// The setting by which a session is marked.
const MARK: &str = "syncline.session";

/// Statements that a session keeps prepared: more than there are.
const KEPT_PREPARED: usize = 300;

/// The connections to a database.
pub struct Connections {
    options: Result<PgConnectOptions, String>,
    idle: Mutex<Vec<Session>>,
    turns: Semaphore,
    /// Whether a connection leads to a session of its own, as far as one knows: then statements stay prepared in it.
    own_sessions: AtomicBool,
}

/// A connection, and the mark by which its session is recognised, where statements stay prepared in it.
struct Session {
    connection: PgConnection,
    mark: Option<String>,
}

/// A connection in use. Dropped, it is closed, and with it ends whatever it was in the middle of.
pub struct Taken<'a> {
    session: Session,
    home: &'a Connections,
    _turn: SemaphorePermit<'a>,
}

impl Connections {
    /// So many connections to an address at most; none is opened yet.
    pub fn new(address: &Address, most: usize) -> Self {
        let options = PgConnectOptions::from_str(address.url().as_str())
            .map(|options| {
                let options = if options.get_application_name().is_none() {
                    options.application_name("syncline")
                } else {
                    options
                };
                // PgBouncer does not know this parameter.
                options.extra_float_digits(None)
            })
            .map_err(|error| error.to_string());
        Self { options, idle: Mutex::default(), turns: Semaphore::new(most), own_sessions: AtomicBool::new(true) }
    }

    /// A connection that is free, or a new one.
    pub async fn take(&self) -> Result<Taken<'_>, sqlx::Error> {
        let turn = timeout(TURN_WAIT, self.turns.acquire()).await;
        let turn = turn.map_err(|_| sqlx::Error::PoolTimedOut)?.map_err(|_| sqlx::Error::PoolClosed)?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let session = match idle {
            Some(session) => session,
            None => self.session().await?,
        };
        Ok(Taken { session, home: self, _turn: turn })
    }

    async fn session(&self) -> Result<Session, sqlx::Error> {
        if !self.own_sessions.load(Ordering::Relaxed) {
            return Ok(Session { connection: self.connect().await?, mark: None });
        }
        // A server takes the mark as the session begins. A pooler hands it to no session that it shares among its clients.
        let mark = format!("{:032x}", fastrand::u128(..));
        match self.connected(KEPT_PREPARED, Some(&mark)).await {
            Ok(connection) => Ok(Session { connection, mark: Some(mark) }),
            Err(error) if fault::refuses_options(&error) => {
                self.sessions_are_shared();
                Ok(Session { connection: self.connect().await?, mark: None })
            }
            Err(error) => Err(error),
        }
    }

    /// A connection of its own, in which nothing stays prepared.
    pub async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        self.connected(0, None).await
    }

    async fn connected(&self, prepared: usize, mark: Option<&str>) -> Result<PgConnection, sqlx::Error> {
        let options = self.options.as_ref().map_err(|error| sqlx::Error::Configuration(error.clone().into()))?;
        let options = options.clone().statement_cache_capacity(prepared);
        let options = mark.map_or(options.clone(), |mark| options.options([(MARK, mark)]));
        timeout(CONNECT_WAIT, PgConnection::connect_with(&options)).await.unwrap_or_else(|_| {
            let slow = format!("no answer within {} seconds", CONNECT_WAIT.as_secs());
            Err(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, slow)))
        })
    }

    /// Closes those that are free: after one was lost, the others probably are as well.
    pub fn forget(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// A connection turned out to lead to sessions of others, too: from now on nothing stays prepared.
    pub fn sessions_are_shared(&self) {
        self.own_sessions.store(false, Ordering::Relaxed);
        self.forget();
    }
}

/// The connections of a project: states in one database share theirs.
#[derive(Default)]
pub struct Databases(Mutex<HashMap<String, Arc<Connections>>>);

impl Databases {
    /// The connections to the database of an address.
    pub fn of(&self, address: &Address) -> Arc<Connections> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Connections::new(address, CONNECTIONS_MAX));
        Arc::clone(known.entry(address.url().to_string()).or_insert_with(new))
    }
}

impl Taken<'_> {
    /// The connection.
    pub fn get(&mut self) -> &mut PgConnection {
        &mut self.session.connection
    }

    /// Begins a transaction by some statements; whether statements may stay prepared for later ones. None where the session is not the one
    /// that the connection had before.
    pub async fn begin(&mut self, statements: &str) -> Result<Option<bool>, sqlx::Error> {
        let Session { connection, mark } = &mut self.session;
        let Some(mark) = mark else {
            sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(connection).await?;
            return Ok(Some(false));
        };
        // A plan that was made for other values, or while a table was empty, is not gone on with.
        let marked = format!(
            "{statements}; SET LOCAL plan_cache_mode = force_custom_plan; SELECT current_setting('{MARK}', true)"
        );
        let rows = sqlx::raw_sql(AssertSqlSafe(marked)).fetch_all(connection).await?;
        let found: Option<String> = rows.last().map(|row| row.try_get(0)).transpose()?.flatten();
        Ok((found.as_ref() == Some(mark)).then_some(true))
    }

    /// Keeps it for the next one: no transaction is open.
    pub fn give_back(self) {
        self.home.idle.lock().unwrap_or_else(PoisonError::into_inner).push(self.session);
    }
}
