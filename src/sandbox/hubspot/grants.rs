//! Tokens beside the portal's own, and what they may do.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::sandbox::authorize::REDIRECT_URI;
use crate::sandbox::options::{CLIENT_ID, CLIENT_SECRET};

/// Scopes of the app that is there from the start: what pipelines to custom objects need that are associated with companies.
const SCOPES: [&str; 7] = [
    "oauth",
    "crm.objects.custom.read",
    "crm.objects.custom.write",
    "crm.schemas.custom.read",
    "crm.objects.companies.read",
    "crm.objects.companies.write",
    "crm.objects.owners.read",
];

/// What a token may do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Grant {
    /// Scopes; without a list it may do everything.
    pub scopes: Option<BTreeSet<String>>,
    /// When it expires, in milliseconds; never where absent.
    pub expires: Option<i64>,
}

/// An app that was installed in the portal.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// Its id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// What its tokens may do; without a list everything.
    pub scopes: Option<BTreeSet<String>>,
}

/// An app that anybody may install by a page.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registered {
    /// Its secret.
    pub client_secret: String,
    /// Addresses that browsers may be sent back to.
    pub redirect_uris: BTreeSet<String>,
    /// The scopes that it asks for, all of them.
    pub scopes: BTreeSet<String>,
}

/// Apps by their id, before anybody has installed them.
pub type Registry = BTreeMap<String, Registered>;

/// Apps by refresh token.
pub type Apps = BTreeMap<String, App>;

/// Tokens beside the portal's own, which may do everything.
pub type Grants = BTreeMap<String, Grant>;

/// The app that is there from the start.
pub fn registry() -> Registry {
    let app = Registered {
        client_secret: CLIENT_SECRET.to_owned(),
        redirect_uris: [REDIRECT_URI.to_owned()].into(),
        scopes: SCOPES.map(str::to_owned).into(),
    };
    [(CLIENT_ID.to_owned(), app)].into()
}
