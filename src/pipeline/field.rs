//! Finds fields along parent paths: `Name`, `Account__r.Name`, `Account__r.Owner.Name`.

use std::sync::{Arc, LazyLock};

use crate::diagnostic::nearest::nearest;
use crate::model::object::{FieldKind, SourceField, SourceObject, Sources};

/// The described objects, by lower-case API name, and the one that a pipeline starts from.
#[derive(Debug, Clone, Copy)]
pub struct Objects<'a> {
    /// The pipeline's own object.
    pub source: &'a SourceObject,
    /// All described objects.
    pub all: &'a Sources,
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
        // Before any object is described for it: each step would cost a call.
        if path.matches('.').count() > PARENTS_MAX {
            let message = format!("`{path}` follows more than {PARENTS_MAX} lookups");
            return Lookup::Missing { message, help: Some("Salesforce follows five lookups at most".to_owned()) };
        }
        let (parents, field) = path.rsplit_once('.').unwrap_or(("", path));
        match self.holder(path) {
            Ok(object) if is_common(object) => {
                object.field(field).map_or_else(|| self.not_common(parents, field), Lookup::Found)
            }
            Ok(object) => object.field(field).map_or_else(|| missing_field(object, field), Lookup::Found),
            Err(lookup) => lookup,
        }
    }

    /// What is said of a field or a further step behind a lookup to several objects.
    fn not_common(&self, parents: &str, name: &str) -> Lookup<'a> {
        let lookup = self.lookup(parents);
        let objects = lookup.map(|lookup| several(&lookup.reference_to)).unwrap_or_default();
        let fields: Vec<&str> = COMMON.fields.iter().map(|field| field.name.as_str()).collect();
        let near = nearest(name, fields.iter().copied()).map(|near| format!("did you mean `{near}`? "));
        Lookup::Missing {
            message: format!(
                "`{parents}` leads to several objects ({objects}), and `{name}` is not a field of all of them"
            ),
            help: Some(format!(
                "{}over such a lookup, only fields that all of its objects have can be read: {}; a formula field on {} can hold others",
                near.unwrap_or_default(),
                fields.join(", "),
                self.source.name
            )),
        }
    }

    /// The lookup that the last step of some parents follows.
    fn lookup(&self, parents: &str) -> Option<&'a SourceField> {
        let name = parents.rsplit('.').next()?;
        self.holder(parents).ok()?.relationship(name)
    }

    /// The object that holds the field at the end of a path; else what [`Objects::find`] answers.
    pub fn holder(&self, path: &str) -> Result<&'a SourceObject, Lookup<'a>> {
        let mut object = self.source;
        let parents = path.rsplit_once('.').map(|(parents, _)| parents);
        let mut followed = String::new();
        for part in parents.into_iter().flat_map(|parents| parents.split('.')) {
            let lookup = object.relationship(part).ok_or_else(|| match is_common(object) {
                true => self.not_common(&followed, part),
                false => missing_relationship(object, part),
            })?;
            followed = if followed.is_empty() { part.to_owned() } else { format!("{followed}.{part}") };
            // One step at a time: only the described parent tells which object the next step leads to.
            object = self.parent(lookup).ok_or_else(|| Lookup::NotDescribed(lookup.reference_to.concat()))?;
        }
        Ok(object)
    }

    /// The object that a lookup leads to, where it is described. Paths over a lookup to several objects reach only the
    /// fields that all of them have in common.
    fn parent(&self, lookup: &SourceField) -> Option<&'a SourceObject> {
        match &*lookup.reference_to {
            // A lookup to one object leads to that object's own fields, custom ones too.
            [only] => self.all.get(&only.to_ascii_lowercase()).map(Arc::as_ref),
            _ => Some(&COMMON),
        }
    }

    /// The path in the true spelling of its fields, so that answers can be matched by name.
    pub fn true_spelling(&self, path: &str) -> String {
        let mut object = Some(self.source);
        let count = path.split('.').count();
        let spell = |(index, part): (usize, &str)| {
            let current = object?;
            // The last part is a field, all before it are names of relationships, which are spelled apart from it.
            if index + 1 == count {
                return current.field(part).map(|field| field.name.clone());
            }
            let lookup = current.relationship(part)?;
            object = self.parent(lookup);
            lookup.relationship_name.clone()
        };
        let parts: Option<Vec<String>> = path.split('.').enumerate().map(spell).collect();
        // What is not described keeps its spelling, and the missing field is found fault with elsewhere.
        parts.map_or_else(|| path.to_owned(), |parts| parts.join("."))
    }
}

/// What a path over a lookup to several objects (`Owner.Name`) can reach: the Salesforce fields's `Name` object, which
/// has no describe that every user may read.
static COMMON: LazyLock<SourceObject> = LazyLock::new(|| {
    use FieldKind as F;
    let texts = ["Name", "Type", "FirstName", "LastName", "Title", "Alias", "Username", "NameOrAlias"];
    let others = [("Id", F::Id), ("Email", F::Email), ("Phone", F::Phone), ("IsActive", F::Boolean)];
    let fields = texts.map(|name| (name, F::String)).into_iter().chain(others);
    SourceObject {
        name: "Name".to_owned(),
        label: "Name".to_owned(),
        label_plural: None,
        custom: false,
        queryable: false,
        replicateable: false,
        undeletable: false,
        retrieveable: false,
        key_prefix: None,
        fields: fields.map(|(name, kind)| common_field(name, kind)).collect(),
    }
});

/// Whether an object stands for all those that a lookup leads to.
fn is_common(object: &SourceObject) -> bool {
    // By identity: an org may have an object called `Name` that is another.
    std::ptr::eq(object, &*COMMON)
}

/// Names of objects; of many, the first ones.
fn several(names: &[String]) -> String {
    // `WhatId` of a task leads to dozens of objects.
    const NAMED_MAX: usize = 6;
    let shown = names.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn common_field(name: &str, kind: FieldKind) -> SourceField {
    SourceField {
        name: name.to_owned(),
        label: name.to_owned(),
        kind,
        length: 0,
        precision: 0,
        scale: 0,
        nillable: true,
        calculated: false,
        filterable: true,
        sortable: true,
        name_field: name == "Name",
        restricted_picklist: false,
        picklist: Vec::new(),
        reference_to: Vec::new(),
        relationship_name: None,
        compound_field_name: None,
        masked: false,
        html: false,
    }
}

fn missing_field<'a>(object: &SourceObject, name: &str) -> Lookup<'a> {
    let near = nearest(name, object.fields.iter().map(|field| field.name.as_str()));
    Lookup::Missing {
        message: format!("{} has no field `{name}` that the integration user can read", object.name),
        help: Some(missing_help(&object.name, name, near)),
    }
}

/// What to do about a field that describe does not show: it is mistyped, gone, or hidden.
pub fn missing_help(object: &str, name: &str, near: Option<&str>) -> String {
    let rights = format!(
        "give the integration user read access to it in a permission set (object settings, {object}, field permissions)"
    );
    match near {
        Some(near) => {
            format!("did you mean `{near}`? If `{name}` is meant, field-level security may hide it: {rights}")
        }
        None => format!(
            "check that `{name}` exists on {object}; Salesforce hides it while field-level security denies it: {rights}"
        ),
    }
}

fn missing_relationship<'a>(object: &SourceObject, name: &str) -> Lookup<'a> {
    let known = object.fields.iter().filter_map(|field| field.relationship_name.as_deref());
    let near = nearest(name, known);
    let custom = name.strip_suffix("__c").map(|stem| format!("a custom lookup `{name}` is followed as `{stem}__r`"));
    // A hidden lookup takes its relationship with it.
    let lookup = name.strip_suffix("__r").map_or_else(|| format!("{name}Id"), |stem| format!("{stem}__c"));
    Lookup::Missing {
        message: format!("{} has no lookup that is followed as `{name}`", object.name),
        help: Some(custom.unwrap_or_else(|| missing_help(&object.name, &lookup, near))),
    }
}
