//! Ctrl-C and deadlines as one token that every wait can watch.

use tokio_util::sync::CancellationToken;

use super::gate::Gate;

/// Tells all who hold a clone to stop at the next safe point.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    stop: CancellationToken,
    /// Ends even what is under way.
    abort: CancellationToken,
    /// What each request has to pass; nothing where there is none.
    gate: Option<Gate>,
}

/// Nothing more may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the turn is over")]
pub struct TurnOver;

impl Cancel {
    /// A token that nobody has cancelled yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One of its own that ends with this one, behind a gate.
    pub fn of_part(&self, gate: Gate) -> Self {
        Self { stop: self.stop.child_token(), abort: self.abort.child_token(), gate: Some(gate) }
    }

    /// The turn in which a request is sent, where there are turns. Asked right before it is sent.
    ///
    /// Errors: it may not be sent, as the turn is over or may be.
    pub fn pass(&self) -> Result<Option<i64>, TurnOver> {
        self.gate.as_ref().map(|gate| gate.turn().ok_or(TurnOver)).transpose()
    }

    /// A token that nobody cancels, behind the same gate: for a request whose answer is waited for in any case.
    pub fn of_last_call(&self) -> Self {
        Self { gate: self.gate.clone(), ..Self::default() }
    }

    /// Asks everybody to stop at the next safe point; calls that are under way are awaited.
    pub fn cancel(&self) {
        self.stop.cancel();
    }

    /// Ends what is still under way, too.
    pub fn abort(&self) {
        self.stop.cancel();
        self.abort.cancel();
    }

    /// The token of a call under way: it outlives [`Cancel::cancel`], and ends with [`Cancel::abort`].
    pub fn of_call(&self) -> Self {
        Self { stop: self.abort.clone(), abort: self.abort.clone(), gate: self.gate.clone() }
    }

    /// Whether somebody asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Ends when somebody asks to stop.
    pub async fn cancelled(&self) {
        self.stop.cancelled().await;
    }
}
