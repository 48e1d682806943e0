//! The network as a value that is handed in: the real one, or one that a test plays within its own process.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;

/// What exchanges go over. Clones share it.
#[derive(Clone, Default)]
pub enum Network {
    /// The computer's.
    #[default]
    Real,
    /// One that is played: nothing leaves the process.
    Played(Arc<dyn Play>),
}

/// Plays a network, and who stands behind it.
pub trait Play: Send + Sync {
    /// One exchange.
    ///
    /// Errors: in words, why no answer came.
    fn exchange(&self, request: PlayedRequest) -> BoxFuture<'_, Result<PlayedReply, String>>;
}

/// A request as it goes onto the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlayedRequest {
    /// HTTP method.
    pub method: String,
    /// The whole address.
    pub url: String,
    /// Headers with their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// An answer as it comes off the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlayedReply {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// What arrives of the body.
    pub body: Bytes,
    /// The connection breaks behind it.
    pub broken: bool,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Real => "Real",
            Self::Played(_) => "Played",
        })
    }
}
