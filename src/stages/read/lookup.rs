//! Reads the HubSpot records of some Salesforce ids by the match property. Effect: none. HubSpot's search is never asked:
//! its index lags behind.

use std::sync::Arc;

use crate::model::failure::Reason;
use crate::model::ids::{ById, SalesforceId};
use crate::ports::target::{BATCH_RECORDS_MAX, Lookup, TargetRecord};
use crate::stages::{StageContext, StageError, StageName};

/// What HubSpot says of these ids, each by its own match value; at most [`BATCH_RECORDS_MAX`].
pub async fn by_match(
    cx: &StageContext,
    ids: &[SalesforceId],
    properties: &[Arc<str>],
    stage: StageName,
) -> Result<ById<SalesforceId, Lookup<TargetRecord>>, StageError> {
    by_property(cx, &cx.pipeline.target.match_property, ids, properties, stage).await
}

/// What HubSpot says of these ids by another unique property; at most [`BATCH_RECORDS_MAX`].
pub async fn by_property(
    cx: &StageContext,
    property: &str,
    ids: &[SalesforceId],
    properties: &[Arc<str>],
    stage: StageName,
) -> Result<ById<SalesforceId, Lookup<TargetRecord>>, StageError> {
    debug_assert!(ids.len() <= BATCH_RECORDS_MAX, "one call has room for so many");
    let keys: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let read = cx.target.read_by_key(&cx.pipeline.target.object_type_id, property, &keys, properties).await;
    Ok(ids.iter().copied().zip(read.map_err(StageError::at(stage))?).collect())
}

/// Why a record is rejected that HubSpot cannot be asked for any more.
pub fn match_property_gone(property: &str) -> Reason {
    Reason {
        code: MATCH_PROPERTY_GONE.to_owned(),
        remote_code: None,
        property: Some(property.to_owned()),
        message: format!(
            "it was written with the match property `{property}`, by which HubSpot can no longer find records"
        ),
        request_id: None,
    }
}

/// Code of [`match_property_gone`].
pub const MATCH_PROPERTY_GONE: &str = "SL5122";

/// Code of [`no_answer`].
pub const NO_ANSWER: &str = "SL5121";

/// Why a record is rejected of which HubSpot does not say whether it holds it.
pub fn no_answer() -> Reason {
    Reason {
        code: NO_ANSWER.to_owned(),
        remote_code: None,
        property: None,
        message: "HubSpot was asked several times for this record, and did not say whether it has it".to_owned(),
        request_id: None,
    }
}
