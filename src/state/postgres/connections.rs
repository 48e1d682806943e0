//! A few connections. What is done on one is a whole transaction, and nothing of a session is relied upon, so that each may lead through a
//! PgBouncer that gives every transaction another server's session.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::state::address::Address;

/// Connections of one process to one database at most.
pub const CONNECTIONS_MAX: usize = 5;

/// How long one is waited for: for the way to the server and its consent, and for one of ours to become free.
const CONNECT_WAIT: Duration = Duration::from_secs(10);
const TURN_WAIT: Duration = Duration::from_secs(60);

/// The connections to a database.
pub struct Connections {
    options: Result<PgConnectOptions, String>,
    idle: Mutex<Vec<PgConnection>>,
    turns: Semaphore,
}

/// A connection in use. Dropped, it is closed, and with it ends whatever it was in the middle of.
pub struct Taken<'a> {
    connection: PgConnection,
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
                // PgBouncer knows neither what was prepared in another session, nor this parameter.
                options.statement_cache_capacity(0).extra_float_digits(None)
            })
            .map_err(|error| error.to_string());
        Self { options, idle: Mutex::default(), turns: Semaphore::new(most) }
    }

    /// A connection that is free, or a new one.
    pub async fn take(&self) -> Result<Taken<'_>, sqlx::Error> {
        let turn = timeout(TURN_WAIT, self.turns.acquire()).await;
        let turn = turn.map_err(|_| sqlx::Error::PoolTimedOut)?.map_err(|_| sqlx::Error::PoolClosed)?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        Ok(Taken { connection, home: self, _turn: turn })
    }

    /// A connection of its own.
    pub async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let options = self.options.as_ref().map_err(|error| sqlx::Error::Configuration(error.clone().into()))?;
        timeout(CONNECT_WAIT, PgConnection::connect_with(options)).await.unwrap_or_else(|_| {
            let slow = format!("no answer within {} seconds", CONNECT_WAIT.as_secs());
            Err(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, slow)))
        })
    }

    /// Closes those that are free: after one was lost, the others probably are as well.
    pub fn forget(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
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
        &mut self.connection
    }

    /// Keeps it for the next one: no transaction is open.
    pub fn give_back(self) {
        self.home.idle.lock().unwrap_or_else(PoisonError::into_inner).push(self.connection);
    }
}
