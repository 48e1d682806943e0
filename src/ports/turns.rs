//! Who tells workers that the turn of a portal has come. Who has a portal is never decided here: what is told twice, late or not at all costs
//! a look.

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// The turn of a portal, to be told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wake {
    /// The state that it is for.
    pub state: String,
    /// Which portal.
    pub portal: String,
    /// Names this turn: of one name, one is enough.
    pub key: String,
    /// When, by the state's own clock.
    pub at: Timestamp,
    /// The same from now on.
    pub after: Duration,
}

/// A turn that has come. It is over when `done` is used or dropped.
#[derive(Debug)]
pub struct Woken {
    /// The state that it is for.
    pub state: String,
    /// Which portal.
    pub portal: String,
    /// As it was asked for.
    pub key: String,
    /// Tells that it is over.
    pub done: oneshot::Sender<()>,
}

/// Why turns cannot be told of.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct TurnsError(pub String);

/// An engine of turns.
pub trait Turns: Send + Sync {
    /// Has somebody told of a turn when it has come.
    fn wake<'a>(&'a self, wake: &'a Wake) -> BoxFuture<'a, Result<(), TurnsError>>;

    /// Tells of turns that have come for as long as it is polled, so many at a time as there is room for.
    fn serve(&self, woken: mpsc::Sender<Woken>) -> BoxFuture<'_, Result<(), TurnsError>>;
}
