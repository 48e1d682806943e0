//! Finds fields along parent paths: `Name`, `Account__r.Name`, `Account__r.Owner.Name`.

use std::collections::HashMap;

use crate::model::object::{SourceField, SourceObject};

/// The described objects, by lower-case API name, and the one that a pipeline starts from.
#[derive(Debug, Clone, Copy)]
pub struct Objects<'a> {
    /// The pipeline's own object.
    pub own: &'a SourceObject,
    /// All described objects.
    pub all: &'a HashMap<String, SourceObject>,
}

/// What a path leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum Lookup<'a> {
    /// A field.
    Found(&'a SourceField),
    /// Nothing: a message and what to do.
    Missing {
        /// What is wrong.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// This object must be described first.
    NotDescribed(String),
}

/// Most parents of a path.
pub const PARENTS_MAX: usize = 5;

impl<'a> Objects<'a> {
    /// Follows a path to its field.
    pub fn find(&self, path: &str) -> Lookup<'a> {
        let mut object = self.own;
        let mut parts = path.split('.').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return match object.field(part) {
                    Some(field) => Lookup::Found(field),
                    None => missing_field(object, part),
                };
            }
            let Some(lookup) = object.relationship(part) else { return missing_relationship(object, part) };
            // Paths over a lookup to several objects reach only the fields of the common `Name` object.
            let parent = if lookup.reference_to.len() == 1 { lookup.reference_to[0].as_str() } else { "Name" };
            match self.all.get(&parent.to_ascii_lowercase()) {
                Some(described) => object = described,
                None => return Lookup::NotDescribed(parent.to_owned()),
            }
        }
        missing_field(object, path)
    }

    /// The path in the true spelling of its fields, so that answers can be matched by name.
    pub fn true_spelling(&self, path: &str) -> String {
        let mut object = Some(self.own);
        let count = path.split('.').count();
        let spell = |(index, part): (usize, &str)| {
            let current = object?;
            if index + 1 == count {
                return current.field(part).map(|field| field.name.clone());
            }
            let lookup = current.relationship(part)?;
            let parent = if lookup.reference_to.len() == 1 { lookup.reference_to[0].as_str() } else { "Name" };
            object = self.all.get(&parent.to_ascii_lowercase());
            lookup.relationship_name.clone()
        };
        let parts: Option<Vec<String>> = path.split('.').enumerate().map(spell).collect();
        parts.map_or_else(|| path.to_owned(), |parts| parts.join("."))
    }
}

/// The known name that is nearest to a mistyped one, where one is near.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_ascii_lowercase();
    let distance = |known: &&str| strsim::damerau_levenshtein(&lower, &known.to_ascii_lowercase());
    let (best, near) = known.into_iter().map(|known| (known, distance(&known))).min_by_key(|(_, near)| *near)?;
    (near <= (name.len() / 3).max(1)).then_some(best)
}

fn missing_field<'a>(object: &SourceObject, name: &str) -> Lookup<'a> {
    let near = nearest(name, object.fields.iter().map(|field| field.name.as_str()));
    let rights = format!(
        "Salesforce hides fields that the integration user may not read: check that `{name}` exists on {} and is readable",
        object.name
    );
    let help = near.map_or(rights, |near| format!("did you mean `{near}`?"));
    Lookup::Missing {
        message: format!("{} has no field `{name}` that the integration user can read", object.name),
        help: Some(help),
    }
}

fn missing_relationship<'a>(object: &SourceObject, name: &str) -> Lookup<'a> {
    let known = object.fields.iter().filter_map(|field| field.relationship_name.as_deref());
    let near = nearest(name, known).map(|near| format!("did you mean `{near}`?"));
    let custom = name.strip_suffix("__c").map(|stem| format!("a custom lookup `{name}` is followed as `{stem}__r`"));
    Lookup::Missing {
        message: format!("{} has no lookup that is followed as `{name}`", object.name),
        help: custom.or(near),
    }
}
