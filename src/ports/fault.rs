//! How every remote failure is sorted, once a connector has done its own retries.

use jiff::Timestamp;

use crate::model::failure::Reason;

/// What a failed remote call means for the work it was part of. Connectors retry passing trouble themselves; what they
/// return is final for the call.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Fault {
    /// Passing trouble that outlasted the retries, of a call that changed nothing. The run ends; the next one goes on.
    #[error("{0}")]
    Retry(RemoteError),
    /// The content was refused as a whole: no record of the call was written. Splitting the call finds the culprit.
    #[error("{}", .0.message)]
    Reject(Reason),
    /// Needs a person: credentials, permissions, a missing object. The run ends.
    #[error("{0}")]
    Halt(RemoteError),
    /// The call may or may not have taken effect. Look before sending it again, unless it is safe to repeat.
    #[error("{0}")]
    Unknown(RemoteError),
    /// A daily budget is used up, the vendor's or our own share of it. The run ends with its state saved.
    #[error("{error}")]
    Budget {
        /// What was refused.
        error: RemoteError,
        /// When it is worth trying again, where that is known.
        resets_at: Option<Timestamp>,
    },
    /// A saved place inside a long read is gone; the read must start again.
    #[error("{0}")]
    PlaceLost(RemoteError),
    /// Somebody asked to stop.
    #[error("interrupted")]
    Cancelled,
}

impl Fault {
    /// The remote error inside; none where nothing was sent or the content was refused.
    pub fn error(&self) -> Option<&RemoteError> {
        match self {
            Self::Retry(error) | Self::Halt(error) | Self::Unknown(error) | Self::PlaceLost(error) => Some(error),
            Self::Budget { error, .. } => Some(error),
            Self::Reject(_) | Self::Cancelled => None,
        }
    }
}

/// A remote failure, as a person needs to see it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{service} {operation}: {message}{}", .request_id.as_deref().map(|id| format!(" (request id {id})")).unwrap_or_default())]
pub struct RemoteError {
    /// Stable code (`SL4…`) that `syncline explain` describes.
    pub code: &'static str,
    /// `Salesforce` or `HubSpot`.
    pub service: &'static str,
    /// What was asked, in words (`describe Subscription__c`).
    pub operation: String,
    /// HTTP status, where an answer came.
    pub status: Option<u16>,
    /// What went wrong, shortened, without secrets and record bodies.
    pub message: String,
    /// What a person should do.
    pub help: Option<String>,
    /// The vendor's id of the request.
    pub request_id: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
}
