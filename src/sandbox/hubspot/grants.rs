//! Tokens beside the portal's own, and what they may do.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

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

/// Apps by refresh token.
pub type Apps = BTreeMap<String, App>;

/// Tokens beside the portal's own, which may do everything.
pub type Grants = BTreeMap<String, Grant>;
