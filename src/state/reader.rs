//! The connection of a file that reads.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::database::Database;
use super::open;
use super::writer::at_one_moment;
use crate::ports::state::StateError;

/// A second connection, which sees all that was committed before a read begins, and waits for no transaction. It is opened when it is
/// first used.
pub(super) struct Reader {
    path: PathBuf,
    connection: Mutex<Option<Database>>,
}

impl Reader {
    /// A second connection to a file.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), connection: Mutex::default() }
    }

    /// Reads something as it is at one moment.
    pub(super) fn read<T>(&self, work: impl FnOnce(&Database) -> rusqlite::Result<T>) -> Result<T, StateError> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = match &mut *connection {
            Some(connection) => connection,
            none => none.insert(open::beside(&self.path)?),
        };
        at_one_moment(connection, work).map_err(|error| open::sorted(&self.path.display().to_string(), error))
    }
}
