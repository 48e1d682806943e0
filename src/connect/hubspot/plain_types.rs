//! The association types without a label that the portal was asked for.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::model::association::AssociationType;

/// The plain types of pairs of objects, as far as the portal was asked for them.
#[derive(Debug, Default)]
pub(super) struct PlainTypes(Mutex<HashMap<(String, String), AssociationType>>);

impl PlainTypes {
    /// Takes in the types of a pair of objects. Where several have no label, none is taken for the plain one.
    pub(super) fn note(&self, from: &str, to: &str, types: &[AssociationType]) {
        let mut unlabelled = types.iter().filter(|kind| kind.label.is_none());
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let objects = (from.to_owned(), to.to_owned());
        match (unlabelled.next(), unlabelled.next()) {
            (Some(plain), None) => drop(known.insert(objects, plain.clone())),
            // An earlier answer may have had one; a wrong type would make associations that nobody asked for.
            _ => drop(known.remove(&objects)),
        }
    }

    pub(super) fn get(&self, from: &str, to: &str) -> Option<AssociationType> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&(from.to_owned(), to.to_owned())).cloned()
    }
}
