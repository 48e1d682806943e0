//! What can go wrong with PostgreSQL, sorted by what is to be done about it.

use crate::ports::state::StateError;

/// Why some work in a transaction came to nothing.
#[derive(Debug)]
pub enum Fault {
    /// The server or the way to it.
    Database(sqlx::Error),
    /// What stands in a row cannot be.
    Damaged(String),
    /// The store itself says no.
    Refused(StateError),
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// What becomes of work that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Tried again: nothing of it stands, and it may go through.
    Again,
    /// Told to whoever waits for it.
    Tell,
}

/// What follows from an error before anything was committed.
pub fn next(error: &sqlx::Error) -> Next {
    if is_lost(error) {
        return Next::Again;
    }
    match code(error).as_deref() {
        // Serialisation failure, deadlock, and too many connections for the moment.
        Some("40001" | "40P01" | "53300") => Next::Again,
        _ if is_of_another_session(error) => Next::Again,
        _ => Next::Tell,
    }
}

/// Whether the connection is gone, or the server is on its way down or up.
pub fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::BeginFailed => true,
        sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| code.starts_with("08") || code.starts_with("57P"))
        }
        _ => false,
    }
}

/// Whether what answers takes no settings as a session begins: a pooler.
pub fn refuses_options(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    error.code().is_some_and(|code| code == "08P01" || code == "0A000") || error.message().contains("options")
}

/// Whether a statement that was prepared is not there, or one is that was not: it was prepared in another session.
pub fn is_of_another_session(error: &sqlx::Error) -> bool {
    matches!(code(error).as_deref(), Some("26000" | "42P05"))
}

fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(|error| error.code()).map(std::borrow::Cow::into_owned)
}

/// The error for a person. `shown` is the address without its password.
pub fn sorted(shown: &str, fault: Fault) -> StateError {
    let path = shown.to_owned();
    let error = match fault {
        Fault::Refused(error) => return error,
        Fault::Damaged(detail) => return StateError::Corrupt { path, detail },
        Fault::Database(error) => error,
    };
    let said = error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
    let said = crate::sys::secrets::masked(&said).into_owned();
    let code = code(&error);
    let with_help = |help: &str| format!("{said}; {help}");
    let detail = match code.as_deref() {
        Some("XX001" | "XX002") => return StateError::Corrupt { path, detail: said },
        Some("28P01" | "28000") => {
            with_help("look at the user and the password in `state:`, and at the server's `pg_hba.conf`")
        }
        Some("3D000") => with_help("create the database, or name another one in `state:`"),
        Some("42501") => with_help("the role needs the rights that docs/deploy/postgres.md lists"),
        // A standby refuses already the transaction that would write.
        Some("25006" | "0A000") => with_help("this is a standby or a read-only session: name the primary in `state:`"),
        Some("53100") => with_help("the server's disk is full: make room there, then run again"),
        Some("53300") => with_help("raise the server's `max_connections`, or put PgBouncer in front of it"),
        Some("57014") => with_help("a statement took longer than it may: look at what the server is busy with"),
        Some("55P03") => with_help("another process writes to this state for too long"),
        Some(code) if !code.starts_with("57P") && !code.starts_with("08") => format!("{said} ({code})"),
        _ if is_lost(&error) => with_help("is the server up, and can it be reached from here?"),
        _ => said,
    };
    StateError::Io { path, detail }
}

/// Something in a row that cannot be.
pub fn damaged(what: impl std::fmt::Display) -> Fault {
    Fault::Damaged(what.to_string())
}
