//! The rows that a run has met, in a private place that does not grow in memory: what a second way leads to as well is left
//! out there.

use std::collections::{HashMap, HashSet};

use crate::model::ids::{HubspotId, SalesforceId};
use crate::stages::{StageContext, StageError, StageName};

/// Notes some.
pub async fn note(cx: &StageContext, ids: &[SalesforceId]) -> Result<(), StageError> {
    let entries: Vec<_> = ids.iter().map(|id| (*id, HubspotId::new("seen"))).collect();
    cx.directory.add(&name(cx), &entries).await.map_err(StageError::at(StageName::Match))
}

/// Of these, the ones that were noted.
pub async fn of(cx: &StageContext, ids: &[SalesforceId]) -> Result<HashSet<SalesforceId>, StageError> {
    let found: HashMap<_, _> = cx.directory.find(&name(cx), ids).await.map_err(StageError::at(StageName::Match))?;
    Ok(found.into_keys().collect())
}

/// Forgets all.
pub async fn forget(cx: &StageContext) -> Result<(), StageError> {
    cx.directory.discard(&name(cx)).await.map_err(StageError::at(StageName::Checkpoint))
}

fn name(cx: &StageContext) -> String {
    format!("seen:{}", cx.run)
}
