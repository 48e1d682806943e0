//! Two versions of the associations, by their lookup field and label.

use std::collections::{HashMap, HashSet};

use super::change::Change;
use crate::config::pipeline::AssociationConfig;
use crate::model::change::ChangeClass::{CanRemoveData, NeedsBackfill, NewRecordsOnly, NoRecordEffect};

/// All changes, in today's order; what is gone comes last.
pub(super) fn compare(was: &[AssociationConfig], is: &[AssociationConfig]) -> Vec<Change> {
    let mut found = Vec::new();
    // One lookup may have several labels and lead to several objects, so the field alone does not tell two entries
    // apart.
    let key = |association: &AssociationConfig| {
        let object = association.object.as_ref().map(|object| object.to_ascii_lowercase());
        (association.field.to_ascii_lowercase(), association.label.clone(), object)
    };
    // Reversed, so that the first of two equal entries counts, as a finding would point at it.
    let before: HashMap<_, &AssociationConfig> =
        was.iter().rev().map(|association| (key(association), association)).collect();
    let after: HashSet<_> = is.iter().map(key).collect();
    let mut gone: Vec<&AssociationConfig> =
        was.iter().filter(|association| !after.contains(&key(association))).collect();
    for (index, association) in is.iter().enumerate() {
        let pointer = format!("/associations/{index}");
        match before.get(&key(association)) {
            Some(before) => {
                found.extend(retargeted(before, association, &pointer));
                found.extend(accepted(before, association, &pointer));
            }
            None => {
                // The same lookup gone under one label and new under another was relabelled: told as one change, with
                // both labels.
                let field = |other: &&AssociationConfig| other.field.eq_ignore_ascii_case(&association.field);
                let relabelled = gone.iter().position(field).map(|at| gone.remove(at));
                found.push(match relabelled {
                    Some(before) => label(before, association, &pointer),
                    None => added(association, &pointer),
                });
            }
        }
    }
    found.extend(gone.into_iter().map(dropped));
    found
}

fn accepted(was: &AssociationConfig, is: &AssociationConfig, pointer: &str) -> Option<Change> {
    let text = |association: &AssociationConfig| Some(association.allow.join(", ")).filter(|text| !text.is_empty());
    // What is accepted is judged in `validate` only; no record is read or written differently.
    (was.allow != is.allow).then(|| Change {
        class: NoRecordEffect,
        part: part(is),
        what: format!("other warnings about the lookup `{}` are accepted", is.field),
        effect: "none on records".to_owned(),
        before: text(was),
        after: text(is),
        pointer: Some(format!("{pointer}/allow")),
    })
}

fn part(association: &AssociationConfig) -> String {
    match &association.label {
        // The label makes the part unique where one lookup has several.
        Some(label) => format!("associations.{}#{label}", association.field),
        None => format!("associations.{}", association.field),
    }
}

/// What a lookup leads to, in short.
fn end(association: &AssociationConfig) -> String {
    let end = match (&association.pipeline, &association.to, &association.match_property) {
        (Some(pipeline), _, _) => format!("records of the pipeline `{pipeline}`"),
        (_, Some(to), Some(property)) => format!("`{to}` by `{property}`"),
        _ => "nothing".to_owned(),
    };
    association.label.as_ref().map_or(end.clone(), |label| format!("{end}, labelled `{label}`"))
}

fn added(association: &AssociationConfig, pointer: &str) -> Change {
    Change {
        class: NeedsBackfill,
        part: part(association),
        what: format!("the lookup `{}` becomes an association with {}", association.field, end(association)),
        effect: "associations are made for all records whose lookup is filled".to_owned(),
        before: None,
        after: Some(end(association)),
        pointer: Some(format!("{pointer}/field")),
    }
}

fn dropped(association: &AssociationConfig) -> Change {
    Change {
        // Dropping an entry takes nothing back: a sync acts on the lookups that it reads, and this one is read no
        // longer.
        class: NewRecordsOnly,
        part: part(association),
        what: format!("the lookup `{}` is no longer associated with {}", association.field, end(association)),
        effect: "associations that were made stay as they are and no longer follow Salesforce".to_owned(),
        before: Some(end(association)),
        after: None,
        pointer: None,
    }
}

fn label(was: &AssociationConfig, is: &AssociationConfig, pointer: &str) -> Change {
    Change {
        // A label belongs to each association in HubSpot, so every one is written again.
        class: NeedsBackfill,
        part: part(is),
        what: format!("associations of the lookup `{}` have another label", is.field),
        effect: "the new label replaces the one that Syncline made before".to_owned(),
        before: Some(end(was)),
        after: Some(end(is)),
        pointer: Some(format!("{pointer}/{}", if is.label.is_some() { "label" } else { "field" })),
    }
}

/// A lookup that leads elsewhere. It can remove data: an association that Syncline made to the old record is taken back.
fn retargeted(was: &AssociationConfig, is: &AssociationConfig, pointer: &str) -> Option<Change> {
    let ends = |association: &AssociationConfig| {
        (association.pipeline.clone(), association.to.clone(), association.match_property.clone())
    };
    (ends(was) != ends(is)).then(|| Change {
        class: CanRemoveData,
        part: part(is),
        what: format!("the lookup `{}` leads to {} instead of {}", is.field, end(is), end(was)),
        effect: "an association that is made anew replaces the one that Syncline made before".to_owned(),
        before: Some(end(was)),
        after: Some(end(is)),
        pointer: Some(format!("{pointer}/{}", if is.pipeline.is_some() { "pipeline" } else { "to" })),
    })
}
