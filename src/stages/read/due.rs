//! Finds the records that due lookups lead to: of a record, or of a row of a junction object. Effect: as [`super::targets`] says.

use super::associations::{self, Resolved};
use super::junction;
use super::readings::Readings;
use crate::model::association::AssociationState;
use crate::model::ids::HubspotId;
use crate::stages::{StageContext, StageError};

/// Finds them.
pub async fn resolve(
    cx: &StageContext,
    rows: Vec<(AssociationState, HubspotId)>,
    readings: &mut Readings,
) -> Result<Resolved, StageError> {
    match cx.pipeline.junction() {
        Some(ends) => junction::resolve(cx, ends, rows, readings).await,
        None => associations::resolve(cx, rows, readings).await,
    }
}
