//! Delete. In: decisions to archive, at most a batch. Out: each settled. Effect: archives records in HubSpot, where they
//! can be restored for 90 days. Repeating it is safe: a record that is gone already is simply not found.

use std::sync::Arc;

use crate::model::ids::HubspotId;
use crate::plan::decide::Decision;
use crate::ports::fault::Fault;
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
        let keys: Vec<String> = batch.iter().map(|decision| decision.id().to_string()).collect();
        let found = standing(cx, &keys).await?;
        let mut left = found.clone();
        let mut tries = 0;
        while !left.is_empty() {
            let ids: Vec<HubspotId> = left.iter().map(|record| record.id.clone()).collect();
            match self.target.archive(&cx.pipeline.target.object_type_id, &ids).await {
                Ok(()) => break,
                // Archiving twice is archiving once, so it is looked up and done again.
                Err(Fault::Unknown(_)) if tries < UNKNOWN_RETRIES_MAX => {
                    tries += 1;
                    left = standing(cx, &keys).await?;
                }
                Err(fault) => return Err(StageError::at(Self::NAME)(fault)),
            }
        }
        let target = &cx.pipeline.target;
        let settle = |decision: Decision| {
            let standing = found.iter().any(|record| is_record(record, &target.match_property, &decision));
            let id = decision.hubspot_id.clone();
            let outcome = if standing { Outcome::Done { id, created: None } } else { Outcome::Noted };
            Settled { decision, outcome }
        };
        Ok(Written { settled: batch.into_iter().map(settle).collect(), stopped: None })
    }
}

/// How often records are archived again of which HubSpot's answer did not prove it.
const UNKNOWN_RETRIES_MAX: u32 = 3;

/// The records of these ids that stand in HubSpot. A remembered HubSpot id is a hint only: the match property says which
/// record is ours today.
async fn standing(cx: &StageContext, keys: &[String]) -> Result<Vec<TargetRecord>, StageError> {
    let target = &cx.pipeline.target;
    let key_only = [Arc::clone(&target.match_property)];
    let read = cx.target.read_by_key(&target.object_type_id, &target.match_property, keys, &key_only);
    read.await.map_err(StageError::at(Delete::NAME))
}

fn is_record(record: &TargetRecord, match_property: &str, decision: &Decision) -> bool {
    record.properties.get(match_property).and_then(Option::as_deref) == Some(decision.id().as_str())
}
