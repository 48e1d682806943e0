//! Takes what HubSpot holds of a pipeline's records as what was synced, for a plan that is made where there is no state.
//! Effect: fills a private state; safe to repeat.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::model::identity::{Identity, MappingVersion, Membership, WrittenHash};
use crate::model::ids::SalesforceId;
use crate::model::record::Record;
use crate::model::report::Tally;
use crate::ports::fault::{Fault, RemoteError};
use crate::ports::source::Extract;
use crate::ports::state::{Commit, StateWriter};
use crate::ports::target::BATCH_RECORDS_MAX;
use crate::stages::read::lookup::by_property;
use crate::stages::{StageContext, StageError, StageName};

/// Calls under way at once.
const CALLS_MAX: usize = 6;

/// Takes every record that matches `condition` and that HubSpot holds under the match property `key` for synced; no condition lets all in. What was
/// written for it is not known; it is taken to be written under `mapping`. Gives their number.
pub async fn assume_synced(
    cx: &StageContext,
    state: &dyn StateWriter,
    condition: Option<String>,
    mapping: MappingVersion,
    key: &Arc<str>,
) -> Result<u64, StageError> {
    // Only the ids are needed, and a row without columns costs Salesforce and memory the least.
    let query = Extract { condition, columns: Arc::from([]), ..cx.pipeline.all_records() };
    let mut rows = cx.source.extract(query, None);
    let (mut assumed, mut place) = (0, None);
    while let Some(chunk) = rows.next().await {
        let chunk = chunk.map_err(StageError::at(StageName::Extract))?;
        place = chunk.cursor.or(place);
        let records = chunk.records;
        let reads = records.chunks(BATCH_RECORDS_MAX).map(|part| existing(cx, part, mapping, key));
        let identities: Vec<Vec<Identity>> = stream::iter(reads).buffered(CALLS_MAX).try_collect().await?;
        let identities = identities.concat();
        assumed += identities.len() as u64;
        let commit = Commit::new(&cx.pipeline.name, &cx.run, cx.clock.now(), Tally::default());
        state.commit(Commit { identities, ..commit }).await.map_err(StageError::at(StageName::Match))?;
    }
    if let Some(place) = place {
        cx.source.release(&place).await;
    }
    Ok(assumed)
}

/// Of some rows, those that HubSpot holds.
async fn existing(
    cx: &StageContext,
    part: &[Record],
    mapping: MappingVersion,
    key: &Arc<str>,
) -> Result<Vec<Identity>, StageError> {
    let ids: Vec<SalesforceId> = part.iter().map(|record| record.id).collect();
    let found = by_property(cx, key, &ids, std::slice::from_ref(key), StageName::Match).await?;
    let unanswered = found.values().filter(|lookup| lookup.is_unknown()).count();
    if unanswered > 0 {
        return Err(StageError::at(StageName::Match)(Fault::Retry(unanswered_error(unanswered))));
    }
    let identity = |id: &SalesforceId| {
        let record = found.get(id)?.found()?;
        Some(Identity {
            salesforce_id: *id,
            hubspot_id: record.id.clone(),
            // No content has this hash, so each record is compared with HubSpot and none passes for unchanged.
            hash: WrittenHash::NOTHING,
            mapping,
            match_property: Arc::clone(key),
            membership: Membership::Live,
        })
    };
    Ok(ids.iter().filter_map(identity).collect())
}

/// What HubSpot holds cannot be told from such answers, and a plan that leaves records out would be wrong.
fn unanswered_error(records: usize) -> RemoteError {
    RemoteError {
        code: "SL4118",
        service: "HubSpot",
        operation: "read records".to_owned(),
        status: Some(200),
        message: format!("was asked several times, and its answers leave out {records} records"),
        help: Some("run again later; if it happens again, ask HubSpot's support".to_owned()),
        request_id: None,
        attempts: 3,
    }
}
