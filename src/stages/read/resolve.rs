//! Match, second half. In: records that state does not know. Out: a decision for each, by batch read on the match
//! property. Effect: none.

use super::lookup::{by_match, silent};
use crate::model::ids::SalesforceId;
use crate::plan::decide::{Action, Decision, Unknown, from_target};
use crate::ports::target::Lookup;
use crate::stages::{Stage, StageContext, StageError, StageName};

/// The stage; a batch has at most [`crate::ports::target::BATCH_RECORDS_MAX`] records.
pub struct Resolve;

impl Stage for Resolve {
    type In = Vec<Unknown>;
    type Out = Vec<Decision>;
    const NAME: StageName = StageName::Match;

    async fn run(&self, cx: &StageContext, batch: Self::In) -> Result<Self::Out, StageError> {
        cx.confirm().await.map_err(StageError::at(Self::NAME))?;
        let ids: Vec<SalesforceId> = batch.iter().map(|unknown| unknown.candidate.record.id).collect();
        let mut found = by_match(cx, &ids, &cx.pipeline.properties, Self::NAME).await?;
        let decide = |unknown: Unknown| match found.remove(&unknown.candidate.record.id) {
            Some(Lookup::Found(record)) => from_target(&cx.pipeline, unknown, Some(&record)),
            Some(Lookup::Absent) => from_target(&cx.pipeline, unknown, None),
            // Writing or forgetting it now would rest on nothing.
            Some(Lookup::Unknown) | None => Decision::bare(unknown.candidate, Action::Reject(silent())),
        };
        Ok(batch.into_iter().map(decide).collect())
    }
}
