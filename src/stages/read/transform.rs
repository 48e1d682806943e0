//! Transform. In: candidates. Out: what each should look like, or why it cannot be synced. Effect: none, it is pure.

use crate::plan::decide::{Candidate, Transformed};
use crate::stages::{Stage, StageContext, StageError, StageName};

/// The stage.
pub struct Transform;

impl Stage for Transform {
    type In = Vec<Candidate>;
    type Out = Vec<Transformed>;
    const NAME: StageName = StageName::Transform;

    async fn run(&self, cx: &StageContext, batch: Self::In) -> Result<Self::Out, StageError> {
        let transform = |candidate: Candidate| {
            let desired = candidate.member.then(|| cx.pipeline.transform(&candidate.record, cx.due_at));
            Transformed { candidate, desired }
        };
        Ok(batch.into_iter().map(transform).collect())
    }
}
