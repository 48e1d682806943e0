//! What the two systems say of everything that a pipeline names.

use crate::model::association::AssociationType;
use crate::model::object::{Sources, TargetObject, TargetProperty};

/// What the systems say of everything that a pipeline names.
#[derive(Debug, Clone, Copy)]
pub struct Schemas<'a> {
    /// Described source objects, by lower-case API name.
    pub sources: &'a Sources,
    /// The target object.
    pub target: &'a TargetObject,
    /// For each association of the config: what was found of its target.
    pub associations: &'a [AssociationSchema],
}

/// What was found of the target of one association.
#[derive(Debug, Clone, PartialEq)]
pub struct AssociationSchema {
    /// The object at the other end.
    pub object_type_id: String,
    /// The Salesforce object that the named pipeline reads.
    pub source_object: Option<String>,
    /// The property named by `match`, where it exists.
    pub property: Option<TargetProperty>,
    /// The types of associations from our object to that one.
    pub types: Vec<AssociationType>,
}
