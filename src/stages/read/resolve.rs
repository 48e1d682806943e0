//! Match, second half. In: records that state does not know. Out: a decision for each, by batch read on the match
//! property. Effect: none. HubSpot's search is never asked: its index lags behind.

use std::collections::HashMap;

use crate::plan::decide::{Decision, Unknown, from_target};
use crate::ports::target::TargetRecord;
use crate::stages::{Stage, StageContext, StageError, StageName};

/// The stage; a batch has at most [`crate::ports::target::BATCH_RECORDS_MAX`] records.
pub struct Resolve;

impl Stage for Resolve {
    type In = Vec<Unknown>;
    type Out = Vec<Decision>;
    const NAME: StageName = StageName::Match;

    async fn run(&self, cx: &StageContext, batch: Self::In) -> Result<Self::Out, StageError> {
        cx.confirm().await.map_err(StageError::at(Self::NAME))?;
        let target = &cx.pipeline.target;
        let keys: Vec<String> = batch.iter().map(|unknown| unknown.candidate.record.id.to_string()).collect();
        let read =
            cx.target.read_by_key(&target.object_type_id, &target.match_property, &keys, &cx.pipeline.properties);
        let records = read.await.map_err(StageError::at(Self::NAME))?;
        let found: HashMap<&str, &TargetRecord> = records
            .iter()
            .filter_map(|record| {
                let key = record.properties.get(&*target.match_property)?.as_deref()?;
                Some((key, record))
            })
            .collect();
        let decide = |unknown: Unknown| {
            // The key is compared exactly: a record whose match value is not ours is never taken for it.
            let record = found.get(unknown.candidate.record.id.as_str()).copied();
            from_target(&cx.pipeline, unknown, record)
        };
        Ok(batch.into_iter().map(decide).collect())
    }
}
