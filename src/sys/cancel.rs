//! Ctrl-C and deadlines as one token that every wait can watch.

use tokio_util::sync::CancellationToken;

/// Tells all who hold a clone to stop at the next safe point.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    stop: CancellationToken,
    /// Ends even what is under way.
    abort: CancellationToken,
}

impl Cancel {
    /// A token that nobody has cancelled yet.
    pub fn new() -> Self {
        Self::default()
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
        Self { stop: self.abort.clone(), abort: self.abort.clone() }
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
