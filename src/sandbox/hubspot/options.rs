//! How the portal is set up.

use std::time::Duration;

/// How the portal is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its number.
    pub portal_id: u64,
    /// The token that opens it.
    pub access_token: String,
    /// So many calls in so long a window.
    pub rate_limit: (u32, Duration),
    /// Calls of a day.
    pub daily_limit: u64,
    /// Seed of the order in which batch results come.
    pub seed: u64,
    /// How long search lags behind.
    pub search_lag: Duration,
}
