//! Delete. In: decisions to archive, at most a batch. Out: each settled. Effect: archives records in HubSpot, where they
//! can be restored for 90 days. Repeating it is safe: a record that is gone already is simply not found.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::model::ids::{HubspotId, SalesforceId};
use crate::plan::decide::Decision;
use crate::ports::fault::Fault;
use crate::ports::target::{Lookup, TargetWriter};
use crate::stages::read::lookup::{by_property, match_property_gone, no_answer};
use crate::stages::write::{Outcome, Settled, Written};
use crate::stages::{Stage, StageCause, StageContext, StageError, StageName};
use crate::sys::crash_point::crash_point;

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
        let mut outcomes: HashMap<SalesforceId, Outcome> = HashMap::new();
        let mut by_key: BTreeMap<&Arc<str>, Vec<SalesforceId>> = BTreeMap::new();
        for decision in &batch {
            let key = decision.key.as_ref().unwrap_or(&cx.pipeline.target.match_property);
            by_key.entry(key).or_default().push(decision.id());
        }
        for (key, ids) in by_key {
            self.archive(cx, key, ids, &mut outcomes).await?;
        }
        let settle = |decision: Decision| {
            let outcome = match outcomes.remove(&decision.id()) {
                Some(Outcome::Done { .. }) => Outcome::Done { id: decision.hubspot_id.clone(), created: None },
                Some(outcome) => outcome,
                None => Outcome::Failed(no_answer().into()),
            };
            Settled { decision, outcome }
        };
        Ok(Written { settled: batch.into_iter().map(settle).collect(), stopped: None })
    }
}

impl Delete {
    /// Archives those of the records that stand under this match property.
    async fn archive(
        &self,
        cx: &StageContext,
        key: &Arc<str>,
        mut left: Vec<SalesforceId>,
        outcomes: &mut HashMap<SalesforceId, Outcome>,
    ) -> Result<(), StageError> {
        let target = &cx.pipeline.target;
        let mut tries = 0;
        while !left.is_empty() {
            let standing = existing_records(cx, key, &left, outcomes).await?;
            if standing.is_empty() {
                break;
            }
            crash_point!("delete.looked_up");
            let numbers: Vec<HubspotId> = standing.iter().map(|(_, number)| number.clone()).collect();
            let answer = self.target.archive(&target.object_type_id, &numbers).await;
            crash_point!("delete.answered");
            match answer {
                Ok(()) => left.clear(),
                // Archiving twice is archiving once, so it is looked up and done again.
                Err(Fault::Unknown(_)) if tries < UNKNOWN_RETRIES_MAX => {
                    tries += 1;
                    left = standing.iter().map(|(id, _)| *id).collect();
                }
                Err(fault) => return Err(StageError::at(Self::NAME)(fault)),
            }
            outcomes.extend(standing.into_iter().map(|(id, _)| (id, Outcome::Done { id: None, created: None })));
        }
        Ok(())
    }
}

/// How often records are archived again of which HubSpot's answer did not prove it.
const UNKNOWN_RETRIES_MAX: u32 = 3;

/// The records of these ids that stand in HubSpot; enters the outcome of the others. A remembered HubSpot id is a hint
/// only: the match property says which record is ours today.
async fn existing_records(
    cx: &StageContext,
    key: &Arc<str>,
    ids: &[SalesforceId],
    outcomes: &mut HashMap<SalesforceId, Outcome>,
) -> Result<Vec<(SalesforceId, HubspotId)>, StageError> {
    let mut standing = Vec::new();
    let mut read = match by_property(cx, key, ids, &[Arc::clone(key)], Delete::NAME).await {
        // An earlier match property that was removed: the record can no longer be told by it.
        Err(StageError { cause: StageCause::Remote(Fault::Reject(_)), .. })
            if *key != cx.pipeline.target.match_property =>
        {
            outcomes.extend(ids.iter().map(|id| (*id, Outcome::Failed(match_property_gone(key).into()))));
            return Ok(standing);
        }
        read => read?,
    };
    // In the order of the decisions, so that the same run sends the same calls.
    for id in ids.iter().copied() {
        let Some(lookup) = read.remove(&id) else { continue };
        match lookup {
            Lookup::Found(record) => standing.push((id, record.id)),
            // The call before took it away, or somebody else did.
            Lookup::Absent => drop(outcomes.entry(id).or_insert(Outcome::NothingToSend)),
            // An answer that passes over it does not prove that it is gone.
            Lookup::Unknown => drop(outcomes.insert(id, Outcome::Failed(no_answer().into()))),
        }
    }
    Ok(standing)
}
