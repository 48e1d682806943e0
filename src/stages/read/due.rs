//! Finds the records that due lookups lead to: of a record, or of a row of a junction object. Effect: as [`super::targets`] says.

use std::collections::HashSet;

use super::associations::{self, Readings, Resolved};
use super::junction;
use crate::model::association::{AssociationKey, AssociationState};
use crate::model::ids::HubspotId;
use crate::stages::{StageContext, StageError};

/// Finds them; `refreshed` are the associations for which a listing was allowed already.
pub async fn resolve(
    cx: &StageContext,
    rows: Vec<(AssociationState, HubspotId)>,
    readings: &mut Readings,
    refreshed: &mut HashSet<AssociationKey>,
) -> Result<Resolved, StageError> {
    match cx.pipeline.junction() {
        Some(ends) => junction::resolve(cx, ends, rows, readings, refreshed).await,
        None => associations::resolve(cx, rows, readings, refreshed).await,
    }
}
