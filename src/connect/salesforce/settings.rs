//! What a Salesforce connection needs to know. Holds secrets: nothing here can be printed.

use std::fmt;
use std::path::PathBuf;

use url::{Host, Url};

use super::limits::ApiBudget;

/// The API version that Syncline speaks unless told otherwise.
pub const API_VERSION: &str = "67.0";

/// A Salesforce connection as configured.
pub struct SalesforceSettings {
    /// Login host: the org's own (My Domain), or one of the shared ones.
    pub login_url: Url,
    /// How to get a token.
    pub auth: AuthSettings,
    /// `67.0`, without a `v`. A Bulk result must be read with the version that its job was made with.
    pub api_version: String,
    /// How many of the org's daily API calls may be used.
    pub api_budget: ApiBudget,
}

/// How to get a token.
pub enum AuthSettings {
    /// A signed assertion for one user. Needs neither secret nor stored token.
    Jwt {
        /// Consumer key of the app.
        client_id: String,
        /// Salesforce user name.
        username: String,
        /// RSA private key in PEM, PKCS#8 or PKCS#1.
        private_key: String,
        /// Audience of the assertion; by default it is chosen by the login host.
        audience: Option<String>,
    },
    /// The app's own "Run As" user. Only at the org's own login host.
    ClientCredentials {
        /// Consumer key of the app.
        client_id: String,
        /// Consumer secret of the app.
        client_secret: String,
    },
    /// A refresh token from an earlier login of a person.
    RefreshToken {
        /// Consumer key of the app.
        client_id: String,
        /// Consumer secret, where the app asks for it.
        client_secret: Option<String>,
        /// The refresh token.
        token: String,
        /// The file that it came from: a token that replaces it is written there.
        file: Option<PathBuf>,
    },
    /// A token that somebody else got; it cannot be renewed.
    AccessToken {
        /// The token.
        token: String,
        /// Where it is good for.
        instance_url: Url,
    },
}

impl fmt::Debug for SalesforceSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SalesforceSettings")
            .field("login_url", &self.login_url.as_str())
            .field("auth", &self.auth)
            .field("api_version", &self.api_version)
            .field("api_budget", &self.api_budget)
            .finish()
    }
}

impl fmt::Debug for AuthSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jwt { .. } => "Jwt(***)",
            Self::ClientCredentials { .. } => "ClientCredentials(***)",
            Self::RefreshToken { .. } => "RefreshToken(***)",
            Self::AccessToken { .. } => "AccessToken(***)",
        })
    }
}

/// Whether credentials may be sent there: https, or plain http on this computer.
pub(super) fn trustworthy(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => url.host().is_some(),
        "http" => loopback,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: bool) {
        assert_eq!(trustworthy(&url.parse().unwrap()), expected, "{url}");
    }

    #[test]
    fn where_credentials_may_go() {
        check("https://acme.my.salesforce.com", true);
        check("http://acme.my.salesforce.com", false);
        check("http://127.0.0.1:8080", true);
        check("http://localhost:8080", true);
        check("http://[::1]:8080", true);
        check("http://127.0.0.1.evil.example", false);
        check("http://localhost.evil.example", false);
        check("ftp://127.0.0.1", false);
    }

    #[test]
    fn secrets_are_not_printed() {
        let settings = SalesforceSettings {
            login_url: "https://acme.my.salesforce.com".parse().unwrap(),
            auth: AuthSettings::ClientCredentials { client_id: "id-1".into(), client_secret: "secret-1".into() },
            api_version: API_VERSION.into(),
            api_budget: ApiBudget::All,
        };
        let text = format!("{settings:?}");
        assert!(text.contains("acme") && !text.contains("secret-1") && !text.contains("id-1"), "{text}");
    }
}
