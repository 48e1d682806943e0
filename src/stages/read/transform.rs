//! Transform. In: candidates. Out: what each should look like, or why it cannot be synced. Effect: none; the portal's owners are
//! recalled or read for the first record that needs them.

use crate::model::owners::Owners;
use crate::plan::decide::{Candidate, Transformed};
use crate::stages::{Stage, StageContext, StageError, StageName};
use crate::sys::crash_point::crash_point;

/// The stage.
pub struct Transform;

impl Stage for Transform {
    type In = Vec<Candidate>;
    type Out = Vec<Transformed>;
    const NAME: StageName = StageName::Transform;

    async fn run(&self, cx: &StageContext, batch: Self::In) -> Result<Self::Out, StageError> {
        // Owners are two calls at least, and most pipelines map none.
        let needed = cx.pipeline.needs_owners() && batch.iter().any(|candidate| candidate.member);
        let none = Owners::default();
        let mut owners = if needed { cx.owners().await.map_err(StageError::at(Self::NAME))? } else { &none };
        // Somebody who is new, or has come back, since the owners were saved.
        let lacks =
            |candidate: &Candidate| candidate.member && cx.pipeline.lacks_owner(&candidate.record, cx.due_at, owners);
        if needed && !cx.owners.is_read() && batch.iter().any(lacks) {
            owners = cx.owners_now().await.map_err(StageError::at(Self::NAME))?;
        }
        crash_point!("transform.begun");
        let transform = |candidate: Candidate| {
            let desired = candidate.member.then(|| cx.pipeline.transform(&candidate.record, cx.due_at, owners));
            Transformed { candidate, desired: desired.map(|desired| desired.map(Box::new).map_err(Box::new)) }
        };
        Ok(batch.into_iter().map(transform).collect())
    }
}
