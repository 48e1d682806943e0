//! Ctrl-C and deadlines as one token that every wait can watch.

use tokio_util::sync::CancellationToken;

/// Tells all who hold a clone to stop at the next safe point.
#[derive(Clone, Debug, Default)]
pub struct Cancel(CancellationToken);

impl Cancel {
    /// A token that nobody has cancelled yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everybody to stop.
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// Whether somebody asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Ends when somebody asks to stop.
    pub async fn cancelled(&self) {
        self.0.cancelled().await;
    }
}
