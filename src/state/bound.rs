//! To whom a state belongs: a portal and an org, since it was used first.

use super::copy::{COPYING, unfinished};
use crate::ports::state::{StateError, StateWriter};

/// Binds a state to a portal or an org; refuses one that belongs to others, or that is an unfinished copy.
pub(super) async fn bind(
    state: &dyn StateWriter,
    path: &str,
    connection: &str,
    identity: &str,
) -> Result<(), StateError> {
    if let Some(error) = unfinished(state.note(COPYING).await?.as_deref(), path, identity) {
        return Err(error);
    }
    let key = format!("bound:{connection}");
    match state.note(&key).await? {
        None => state.set_note(&key, identity).await,
        Some(found) if found == identity => Ok(()),
        Some(found) => Err(StateError::Foreign { path: path.to_owned(), found, expected: identity.to_owned() }),
    }
}
