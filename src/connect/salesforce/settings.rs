//! What a Salesforce connection needs to know. Holds secrets: nothing here can be printed.

use std::fmt;
use std::path::PathBuf;

use url::Url;

use super::limits::ApiBudget;
use crate::connect::http::login_file::LoginFile;

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
    /// A person's login in a browser, whose tokens are stored beside the state.
    Login {
        /// Consumer key of the app.
        client_id: String,
        /// Consumer secret, where the app asks for it.
        client_secret: Option<String>,
        /// Where its tokens are.
        file: LoginFile,
    },
    /// A token obtained elsewhere; it cannot be renewed.
    AccessToken {
        /// The token.
        token: String,
        /// The org's address that the token is valid for.
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
            Self::Login { .. } => "Login(***)",
            Self::AccessToken { .. } => "AccessToken(***)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
