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

/// Tokens beside the portal's own, which may do everything.
pub type Grants = BTreeMap<String, Grant>;
