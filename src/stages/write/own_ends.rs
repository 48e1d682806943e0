//! What becomes of a record whose associations HubSpot refuses: it may have been merged into another one, or archived, by a person.
//! Effect: notes such a record as one whose standing is to be asked for, so that the next run finds or makes it again without a
//! comparison. Repeating it is safe: a doubt that is there already stays.

use std::collections::BTreeMap;

use crate::model::ids::{HubspotId, SalesforceId};
use crate::model::unconfirmed::{Intent, Unconfirmed};
use crate::ports::target::{BATCH_RECORDS_MAX, Lookup, RECORD_ID};
use crate::stages::{StageContext, StageError, StageName, Writers};

/// Asks for these records by their ids, and notes those that are not there, or that another id answers for.
pub async fn doubt_moved(
    cx: &StageContext,
    writers: &Writers,
    refused: Vec<(SalesforceId, HubspotId)>,
) -> Result<(), StageError> {
    // A row of a junction object has no record, and those that it connects are another pipeline's.
    let refused: BTreeMap<SalesforceId, HubspotId> =
        if cx.pipeline.is_junction { BTreeMap::new() } else { refused.into_iter().collect() };
    let target = &cx.pipeline.target;
    let mut moved = Vec::new();
    let rows: Vec<(SalesforceId, HubspotId)> = refused.into_iter().collect();
    for part in rows.chunks(BATCH_RECORDS_MAX) {
        let mut keys: Vec<String> = part.iter().map(|(_, record)| record.to_string()).collect();
        keys.sort_unstable();
        keys.dedup();
        let properties = std::slice::from_ref(&target.match_property);
        let read = cx.target.read_by_key(&target.object_type_id, RECORD_ID, &keys, properties).await;
        let read = read.map_err(StageError::at(StageName::Associate))?;
        let found: BTreeMap<String, Lookup<_>> = keys.into_iter().zip(read).collect();
        moved.extend(part.iter().filter_map(|(id, record)| match found.get(&*record.text()) {
            // A merged record answers to its old id with the one that is left.
            Some(Lookup::Found(held)) if held.id == *record => None,
            // What HubSpot does not say is asked for by the next run, which a record that stands costs one read.
            _ => Some(*id),
        }));
    }
    if moved.is_empty() {
        return Ok(());
    }
    tracing::info!(pipeline = %cx.pipeline.name, records = moved.len(), "records were merged or archived in HubSpot");
    let call = |salesforce_id| Unconfirmed {
        salesforce_id,
        match_property: target.match_property.clone(),
        intent: Intent::Write,
    };
    let calls: Vec<Unconfirmed> = moved.into_iter().map(call).collect();
    let noted = writers.state.note_calls(&cx.pipeline.name, calls).await;
    noted.map_err(StageError::at(StageName::Associate))
}
