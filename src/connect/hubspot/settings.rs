//! What a HubSpot connection needs to know. Holds a secret: nothing here can be printed.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

/// The API version that Syncline speaks. It stands behind the product in a path: `/crm/objects/2026-09/…`.
pub const API_VERSION: &str = "2026-09";

/// A HubSpot connection as configured.
pub struct HubspotSettings {
    /// Address of the API.
    pub base_url: Url,
    /// Token of a private app, or a service key.
    pub access_token: String,
    /// Calls in an interval; none learns it from answers.
    pub rate_limit: Option<(u32, Duration)>,
    /// Folder in which the processes of this computer share what they know of the limit; none shares nothing.
    pub shared_folder: Option<PathBuf>,
}

impl fmt::Debug for HubspotSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubspotSettings").field("base_url", &self.base_url.as_str()).finish_non_exhaustive()
    }
}
