//! How the org is set up.

use std::time::Duration;

/// How the org is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// OAuth client id.
    pub client_id: String,
    /// OAuth client secret.
    pub client_secret: String,
    /// Integration user.
    pub username: String,
    /// Public key (PEM) that assertions are verified with; none refuses the JWT flow.
    pub jwt_public_key: Option<String>,
    /// API calls of a day.
    pub daily_limit: u64,
    /// How long a session lives without use.
    pub token_lifetime: Duration,
    /// How long after its save a change stays invisible.
    pub visibility_delay: Duration,
    /// Seed of ids and tokens.
    pub seed: u64,
}
