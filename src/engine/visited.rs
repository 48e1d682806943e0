//! The rows that a run has read already, kept in the directory rather than in memory: a row that is found on a second way is
//! not read twice.

use std::collections::{HashMap, HashSet};

use crate::model::ids::{HubspotId, SalesforceId};
use crate::stages::{StageContext, StageError, StageName};

/// Notes rows that the guard has counted, where it counts more than are held.
pub async fn add_counted(cx: &StageContext, ids: &[SalesforceId]) -> Result<(), StageError> {
    let entries: Vec<_> = ids.iter().map(|id| (*id, HubspotId::new("counted"))).collect();
    cx.directory.add(&counted_name(cx), &entries).await.map_err(StageError::at(StageName::Match))
}

/// Of these, the ones that the guard has counted.
pub async fn counted(cx: &StageContext, ids: &[SalesforceId]) -> Result<HashSet<SalesforceId>, StageError> {
    let found: HashMap<_, _> =
        cx.directory.find(&counted_name(cx), ids).await.map_err(StageError::at(StageName::Match))?;
    Ok(found.into_keys().collect())
}

/// Forgets what the guard has counted.
pub async fn clear_counted(cx: &StageContext) -> Result<(), StageError> {
    cx.directory.discard(&counted_name(cx)).await.map_err(StageError::at(StageName::Match))
}

fn counted_name(cx: &StageContext) -> String {
    format!("counted:{}", cx.run)
}

/// Adds some.
pub async fn add(cx: &StageContext, ids: &[SalesforceId]) -> Result<(), StageError> {
    let entries: Vec<_> = ids.iter().map(|id| (*id, HubspotId::new("visited"))).collect();
    cx.directory.add(&name(cx), &entries).await.map_err(StageError::at(StageName::Match))
}

/// Of these, the ones that were visited.
pub async fn among(cx: &StageContext, ids: &[SalesforceId]) -> Result<HashSet<SalesforceId>, StageError> {
    let found: HashMap<_, _> = cx.directory.find(&name(cx), ids).await.map_err(StageError::at(StageName::Match))?;
    Ok(found.into_keys().collect())
}

/// Forgets all.
pub async fn clear(cx: &StageContext) -> Result<(), StageError> {
    cx.directory.discard(&name(cx)).await.map_err(StageError::at(StageName::Checkpoint))
}

fn name(cx: &StageContext) -> String {
    format!("visited:{}", cx.run)
}
