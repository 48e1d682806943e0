//! What a HubSpot connection needs to know. Holds a secret: nothing here can be printed.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::connect::http::login_file::LoginFile;

/// The API version that Syncline speaks. It stands behind the product in a path: `/crm/objects/2026-09/…`.
pub const API_VERSION: &str = "2026-09";

/// A HubSpot connection as configured.
pub struct HubspotSettings {
    /// Address of the API.
    pub base_url: Url,
    /// What it logs in by.
    pub credentials: Credentials,
    /// Calls in an interval; none learns it from answers.
    pub rate_limit: Option<(u32, Duration)>,
    /// Folder in which the processes of this computer share what they know of the limit; none shares nothing.
    pub shared_folder: Option<PathBuf>,
}

/// What a HubSpot connection logs in by.
pub enum Credentials {
    /// Token of a private app, or a service key.
    Token(String),
    /// A person's login in a browser, whose tokens are stored beside the state.
    Login {
        /// The app's id.
        client_id: String,
        /// The app's secret.
        client_secret: String,
        /// Where its tokens are.
        file: LoginFile,
    },
}

impl fmt::Debug for HubspotSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubspotSettings").field("base_url", &self.base_url.as_str()).finish_non_exhaustive()
    }
}
