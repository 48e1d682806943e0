//! The records that lookups were found to lead to, for the length of a run: many records lead to one account.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::model::hash::Hasher;
use crate::model::ids::{HubspotId, SalesforceId};

/// Most targets that are remembered; then they are forgotten and asked for again.
const TARGETS_MAX: usize = 100_000;

/// Targets that were found.
#[derive(Debug, Default)]
pub struct FoundTargets {
    known: Mutex<HashMap<u64, HubspotId>>,
}

impl FoundTargets {
    /// The record of an object that holds an id in a property, if it was found before.
    pub fn get(&self, object: &str, property: &str, id: SalesforceId) -> Option<HubspotId> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key(object, property, id)).cloned()
    }

    /// Remembers it.
    pub fn put(&self, object: &str, property: &str, id: SalesforceId, record: &HubspotId) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= TARGETS_MAX {
            known.clear();
        }
        known.insert(key(object, property, id), record.clone());
    }
}

fn key(object: &str, property: &str, id: SalesforceId) -> u64 {
    let mut hasher = Hasher::default();
    [object, property, id.as_str()].iter().for_each(|text| hasher.text(text));
    u64::from_be_bytes(hasher.finish())
}
