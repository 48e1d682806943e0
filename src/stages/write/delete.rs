//! Delete. In: decisions to archive, at most a batch. Out: each settled. Effect: archives records in HubSpot, where they
//! can be restored for 90 days. Repeating it is safe: a record that is gone already is simply not found.

use std::sync::Arc;

use crate::model::ids::HubspotId;
use crate::plan::decide::Decision;
use crate::ports::target::{TargetRecord, TargetWriter};
use crate::stages::write::{Outcome, Settled, Written};
use crate::stages::{Stage, StageContext, StageError, StageName};

/// The stage.
pub struct Delete {
    /// Where records go to.
    pub target: Arc<dyn TargetWriter>,
}

impl Stage for Delete {
    type In = Vec<Decision>;
    type Out = Written;
    const NAME: StageName = StageName::Delete;

    async fn run(&self, cx: &StageContext, batch: Self::In) -> Result<Written, StageError> {
        let target = &cx.pipeline.target;
        let keys: Vec<String> = batch.iter().map(|decision| decision.id().to_string()).collect();
        // A remembered HubSpot id is a hint only: the match property says which record is ours today.
        let key_only = [Arc::clone(&target.match_property)];
        let read = cx.target.read_by_key(&target.object_type_id, &target.match_property, &keys, &key_only);
        let found = read.await.map_err(StageError::at(Self::NAME))?;
        let ids: Vec<HubspotId> = found.iter().map(|record| record.id.clone()).collect();
        if !ids.is_empty() {
            self.target.archive(&target.object_type_id, &ids).await.map_err(StageError::at(Self::NAME))?;
        }
        let settle = |decision: Decision| {
            let standing = found.iter().any(|record| is_record(record, &target.match_property, &decision));
            let id = decision.hubspot_id.clone();
            let outcome = if standing { Outcome::Done { id, created: None } } else { Outcome::Noted };
            Settled { decision, outcome }
        };
        Ok(Written { settled: batch.into_iter().map(settle).collect(), stopped: None })
    }
}

fn is_record(record: &TargetRecord, match_property: &str, decision: &Decision) -> bool {
    record.properties.get(match_property).and_then(Option::as_deref) == Some(decision.id().as_str())
}
