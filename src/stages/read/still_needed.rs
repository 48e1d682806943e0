//! Finds the links that other lookups of the same records rest on, and that must survive a removal. Effect: none.

use crate::model::association::AssociationState;
use crate::model::ids::SalesforceId;
use crate::plan::links::{DueLink, NeededPairs};
use crate::stages::{StageContext, StageError, StageName};

/// What holds links beside the lookups that are about to change.
pub async fn still_needed(cx: &StageContext, links: &[DueLink]) -> Result<NeededPairs, StageError> {
    if links.iter().all(|link| link.made.is_none()) || cx.pipeline.associations.len() < 2 {
        return Ok(NeededPairs::new());
    }
    let ids: Vec<SalesforceId> = links.iter().map(|link| link.salesforce_id).collect();
    let states = cx.state.associations(&cx.pipeline.name, &ids).await;
    let states = states.map_err(StageError::at(StageName::Associate))?;
    let due = |state: &AssociationState| {
        links.iter().any(|link| link.salesforce_id == state.salesforce_id && link.key == state.key)
    };
    let settled = states.into_iter().filter(|state| !state.is_due() && !due(state));
    Ok(settled.filter_map(|state| state.made).map(|made| (made.from, made.to, None)).collect())
}
