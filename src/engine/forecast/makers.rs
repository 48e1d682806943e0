//! Pipelines of a command that make records to which lookups of others lead.

use crate::model::ids::PipelineName;
use crate::pipeline::compiled::AssociationTarget;

/// A pipeline of the same command that would make records.
#[derive(Debug, Clone)]
pub struct Maker {
    /// The pipeline.
    pub name: PipelineName,
    /// Some of them take the place of others.
    pub remakes: bool,
}

/// The one of these pipelines whose records an association leads to.
pub(super) fn maker_of<'a>(target: &AssociationTarget, makers: &'a [Maker]) -> Option<&'a Maker> {
    let AssociationTarget::Pipeline { name, .. } = target else { return None };
    makers.iter().find(|maker| maker.name == *name)
}
