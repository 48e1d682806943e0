//! What a sandbox is started with, the credentials that it accepts, and why it may refuse to start.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::sandbox::faults::FaultPlan;
use crate::sandbox::load::worlds::Worlds;
use crate::sys::clock::Clock;

/// OAuth client id of the sandbox org.
pub const CLIENT_ID: &str = "syncline-sandbox";

/// OAuth client secret of the sandbox org. No secret at all: it opens nothing but a sandbox on loopback.
pub const CLIENT_SECRET: &str = "sandbox-secret";

/// Integration user of the sandbox org.
pub const USERNAME: &str = "syncline@sandbox.example";

/// Access token of the sandbox portal.
pub const HUBSPOT_TOKEN: &str = "sandbox-hubspot-token";

/// Id of the sandbox portal.
pub const PORTAL_ID: u64 = 51_234_567;

/// How to start a sandbox.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// Where Salesforce listens; port 0 takes a free one. Loopback only, as is true of the next two.
    pub salesforce: SocketAddr,
    /// Where HubSpot listens.
    pub hubspot: SocketAddr,
    /// Where the control API listens.
    pub control: SocketAddr,
    /// Seed of the sample world and of all chance.
    pub seed: u64,
    /// Salesforce subscriptions in the sample world; the other objects follow from it.
    pub records: usize,
    /// Whether both sides also have the objects of all sample pipelines.
    pub samples: bool,
    /// HubSpot's limit: so many calls in so long a window.
    pub rate_limit: (u32, Duration),
    /// Pause before every answer of a service.
    pub latency: Duration,
    /// Faults that strike from the start.
    pub faults: Option<FaultPlan>,
    /// File that keeps the state of both services over restarts; none keeps it in memory only.
    pub data: Option<PathBuf>,
    /// How long after its save a Salesforce change stays invisible to readers.
    pub visibility_delay: Duration,
    /// How long a Salesforce session lives without use.
    pub token_lifetime: Duration,
    /// Salesforce's API calls of a day.
    pub salesforce_daily_limit: u64,
    /// HubSpot's calls of a day.
    pub hubspot_daily_limit: u64,
    /// Public key (PEM) that Salesforce verifies signed assertions with.
    pub jwt_public_key: Option<String>,
    /// What the sides hold instead of the sample world.
    pub worlds: Worlds,
    /// The clock on which the sandbox's own time is built.
    pub clock: Clock,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        let free_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            // Free ports, so that tests run side by side.
            salesforce: free_port,
            hubspot: free_port,
            control: free_port,
            seed: 1,
            // Enough for batches and pages to be more than one, and started in an instant.
            records: 200,
            samples: false,
            // HubSpot's limit for private apps of Professional and Enterprise accounts.
            rate_limit: (190, Duration::from_secs(10)),
            latency: Duration::ZERO,
            faults: None,
            data: None,
            visibility_delay: Duration::ZERO,
            // Salesforce's default session time.
            token_lifetime: Duration::from_secs(2 * 3600),
            salesforce_daily_limit: 100_000,
            // A Professional account's.
            hubspot_daily_limit: 625_000,
            jwt_public_key: None,
            worlds: Worlds::default(),
            clock: Clock::system(),
        }
    }
}

/// Why a sandbox did not start, or could not keep its state.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// Anybody on the network could use a sandbox that listens elsewhere.
    #[error(
        "the sandbox listens on loopback only, and `{address}` for `{service}` is no such address; use for example `127.0.0.1:0`"
    )]
    NotLoopback {
        /// Which of the three.
        service: &'static str,
        /// The refused address.
        address: SocketAddr,
    },
    /// The address is taken or not allowed.
    #[error(
        "cannot listen on `{address}` for `{service}`: {source}; stop what uses that port, or choose another (port 0 takes a free one)"
    )]
    Listen {
        /// Which of the three.
        service: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A fault plan that cannot be carried out.
    #[error("{0}")]
    Faults(String),
    /// The sample world did not fit a service.
    #[error("the sample world was refused by `{service}`: {reason}; this is an error in syncline")]
    Seed {
        /// The service.
        service: &'static str,
        /// Its reason.
        reason: String,
    },
    /// A world that was read from files does not fit a service.
    #[error("the world that was read for `{service}` cannot be used: {reason}")]
    World {
        /// The service.
        service: &'static str,
        /// Its reason.
        reason: String,
    },
    /// A kept state and a world from files: only one of them can be served.
    #[error("the sandbox data file `{path}` holds a state already, so that `--org` and `--portal` would have no effect; move it away, or leave them out", path = .path.display())]
    TwoWorlds {
        /// The data file.
        path: PathBuf,
    },
    /// The data file cannot be read or written.
    #[error("cannot {action} the sandbox data file `{path}`", path = .path.display())]
    Data {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The data file holds something else than a sandbox's state.
    #[error("the sandbox data file `{path}` cannot be used: {reason}; move it away to start with a new world", path = .path.display())]
    DataContent {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An action of the control API failed.
    #[error("{0}")]
    Control(String),
}
