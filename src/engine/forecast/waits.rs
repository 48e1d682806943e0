//! Which pipelines of one plan wait for records of which others, and what of it comes to its end.

use crate::model::association::AssociationKey;
use crate::model::ids::PipelineName;
use crate::pipeline::compiled::{AssociationTarget, Pipeline};

/// A pipeline whose lookups lead to records of another one, and those lookups.
#[derive(Debug, Clone)]
pub struct AwaitedBy {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// Its lookups.
    pub lookups: Vec<AssociationKey>,
}

impl AwaitedBy {
    /// The lookups of a pipeline that lead to records of `target`; none where there is none.
    pub fn of(pipeline: &Pipeline, target: &PipelineName) -> Option<Self> {
        let leads = |to: &AssociationTarget| matches!(to, AssociationTarget::Pipeline { name, .. } if name == target);
        let leading = pipeline.associations.iter().filter(|association| leads(&association.target));
        let lookups: Vec<AssociationKey> = leading.map(|association| association.key.clone()).collect();
        // Both ends of a row of a junction object must be there: what one of them waits for says little.
        let awaits = !lookups.is_empty() && !pipeline.is_junction;
        awaits.then(|| Self { pipeline: pipeline.name.clone(), lookups })
    }
}

/// What of the lookups of a pipeline does not wait any longer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settled {
    /// Lookups.
    pub lookups: u64,
    /// Pairs of records that they lead to.
    pub pairs: u64,
}
