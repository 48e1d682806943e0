//! What a plan of several pipelines says of lookups that wait for a pipeline which runs later: that they are associated.

use std::collections::HashSet;
use std::sync::Arc;

use crate::engine::forecast::waits::{AwaitedBy, Settled};
use crate::model::forecast::{AssociationAction, PipelineForecast};
use crate::model::ids::{PipelineName, SalesforceId};
use crate::pipeline::compiled::{AssociationTarget, Pipeline};
use crate::ports::state::{Directory, StateError};
use crate::ports::target::BATCH_PAIRS_MAX;
use crate::project::prepare::Prepared;
use crate::stages::read::targets::planned_directory;
use crate::state::sqlite::SqliteState;

/// The pipelines that wait for records of one of them when its turn comes: those before it, and itself.
pub fn waiting_for(pipelines: &[Prepared], target: &PipelineName) -> Vec<AwaitedBy> {
    let until = pipelines.iter().position(|prepared| prepared.pipeline.name == *target);
    // Pipelines run in this order; one that comes later finds the records there and waits for nothing.
    let before = pipelines.iter().take(until.map_or(0, |place| place + 1));
    before.filter_map(|prepared| AwaitedBy::of(&prepared.pipeline, target)).collect()
}

/// Takes into the forecasts what later pipelines, or later parts of the same one, settle of them.
pub async fn settle(
    scratch: &Arc<SqliteState>,
    pipelines: &[Prepared],
    forecasts: &mut [PipelineForecast],
    settled: &[(PipelineName, Settled)],
) -> Result<(), StateError> {
    for forecast in forecasts {
        let mine = settled.iter().filter(|(name, _)| *name == forecast.report.name).map(|(_, settled)| settled);
        let (lookups, pairs) = mine.fold((0, 0), |sum, one| (sum.0 + one.lookups, sum.1 + one.pairs));
        let prepared = pipelines.iter().find(|prepared| prepared.pipeline.name == forecast.report.name);
        let Some(prepared) = prepared.filter(|_| pairs > 0) else { continue };
        let tally = &mut forecast.report.tally;
        tally.pending_associations = tally.pending_associations.saturating_sub(lookups);
        tally.associated += pairs;
        // What stands between two records is read before it is changed.
        forecast.estimate.hubspot_calls += 2 * pairs.div_ceil(BATCH_PAIRS_MAX as u64);
        tell(scratch, &prepared.pipeline, forecast).await?;
    }
    Ok(())
}

/// Says of each change in the sample which of its lookups do not wait in the end.
async fn tell(
    scratch: &Arc<SqliteState>,
    pipeline: &Pipeline,
    forecast: &mut PipelineForecast,
) -> Result<(), StateError> {
    for association in &pipeline.associations {
        let AssociationTarget::Pipeline { name, .. } = &association.target else { continue };
        let associations = forecast.changes.iter_mut().flat_map(|change| &mut change.associations);
        let mut waiting: Vec<_> = associations
            .filter(|planned| planned.action == AssociationAction::Pending && planned.association == *association.key.0)
            .collect();
        let targets: HashSet<SalesforceId> = waiting.iter().filter_map(|planned| planned.salesforce_id).collect();
        let targets: Vec<SalesforceId> = targets.into_iter().collect();
        // All lookups of one association in one query, however long the sample is.
        let made = scratch.find(&planned_directory(name), &targets).await?;
        for planned in
            waiting.iter_mut().filter(|planned| planned.salesforce_id.is_some_and(|id| made.contains_key(&id)))
        {
            planned.action = AssociationAction::Associate;
        }
    }
    Ok(())
}
