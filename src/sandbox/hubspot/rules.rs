//! Rules of admins for the values of a property, as they are kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A rule; a property has one of each type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// What it compares with.
    pub arguments: Vec<String>,
    /// Values are mended before they are looked at.
    pub normalize: bool,
}

/// The rules of a property, by type.
pub type Rules = BTreeMap<String, Rule>;
