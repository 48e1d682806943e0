//! The catalog: what the two systems say of their objects, kept as files beside the pipelines, so that definitions can be
//! checked and reviewed without credentials. Reads and writes `catalog/`; never asks a system.

pub mod drift;
pub mod folder;
pub mod form;
pub mod text;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::association::AssociationType;
use crate::model::object::{SourceObject, TargetObject};

/// Everything in the folder.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catalog {
    /// Salesforce objects, by connection and lower-case API name.
    pub sources: BTreeMap<(String, String), Arc<SourceObject>>,
    /// HubSpot objects, by connection and lower-case short name.
    pub targets: BTreeMap<(String, String), TargetEntry>,
}

/// A HubSpot object with what belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetEntry {
    /// The portal that it was read from.
    pub portal_id: u64,
    /// The object.
    pub object: TargetObject,
    /// Types of the associations from it, by the other object's short name.
    pub associations: BTreeMap<String, Vec<AssociationType>>,
}

impl Catalog {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.targets.is_empty()
    }

    /// A Salesforce object; letter case does not matter.
    pub fn source(&self, connection: &str, object: &str) -> Option<&Arc<SourceObject>> {
        self.sources.get(&(connection.to_owned(), object.to_ascii_lowercase()))
    }

    /// A HubSpot object by its short name, fully qualified name or object type id. A custom object goes before a standard
    /// one of the same name.
    pub fn target(&self, connection: &str, object: &str) -> Option<&TargetEntry> {
        // Most are named as they are kept.
        let key = (connection.to_owned(), object.to_ascii_lowercase());
        if let Some(own) = self.targets.get(&key).filter(|entry| entry.object.custom) {
            return Some(own);
        }
        let target = || self.targets.iter().filter(|((target, _), _)| target == connection).map(|(_, entry)| entry);
        let named = |entry: &&TargetEntry| is_called(&entry.object, object);
        // A definition that says `orders` means the object that somebody made, even after HubSpot introduced one of
        // that name.
        target().filter(|entry| entry.object.custom).find(named).or_else(|| target().find(named))
    }

    /// Adds a Salesforce object, or replaces it.
    pub fn put_source(&mut self, connection: &str, object: impl Into<Arc<SourceObject>>) {
        let object = object.into();
        self.sources.insert((connection.to_owned(), object.name.to_ascii_lowercase()), object);
    }

    /// Adds a HubSpot object, or replaces it. A custom object may be called like a standard one: it keeps the name, and the
    /// standard one is kept by its type id, whichever comes first.
    pub fn put_target(&mut self, connection: &str, entry: TargetEntry) {
        let id = |entry: &TargetEntry| (connection.to_owned(), entry.object.object_type_id.to_ascii_lowercase());
        // Names are found without regard to letter case, as both systems do.
        let key = (connection.to_owned(), entry.object.name.to_ascii_lowercase());
        let other = self.targets.get(&key).filter(|target| target.object.object_type_id != entry.object.object_type_id);
        let Some(other) = other.cloned() else {
            self.targets.insert(key, entry);
            return;
        };
        if entry.object.custom && !other.object.custom {
            self.targets.insert(id(&other), other);
            self.targets.insert(key, entry);
        } else {
            self.targets.insert(id(&entry), entry);
        }
    }
}

/// Whether an object goes by this name.
pub fn is_called(object: &TargetObject, name: &str) -> bool {
    [&object.name, &object.fully_qualified_name, &object.object_type_id]
        .into_iter()
        .any(|known| known.eq_ignore_ascii_case(name))
        // Only for standard objects: HubSpot accepts `contact` for `contacts`, and no bare or bent name of a custom
        // one.
        || (!object.custom && singular(&object.name).eq_ignore_ascii_case(name))
}

/// The singular of a standard object's name, which HubSpot accepts as well.
fn singular(name: &str) -> String {
    // HubSpot's own objects are a short list, so two endings do; a wrong singular matches nothing and does no harm.
    match name.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => name.strip_suffix('s').unwrap_or(name).to_owned(),
    }
}
