//! Takes what HubSpot holds of a pipeline's records as what was synced, for a plan that is made where there is no state.
//! Effect: fills a private state; safe to repeat.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::model::ids::{HubspotId, SalesforceId};
use crate::model::link::{ContentHash, Link, MappingVersion, Membership};
use crate::model::record::Record;
use crate::model::report::Tally;
use crate::ports::source::Extract;
use crate::ports::state::{Commit, StateWriter};
use crate::ports::target::BATCH_RECORDS_MAX;
use crate::stages::{StageContext, StageError, StageName};

/// Calls under way at once.
const CALLS_MAX: usize = 6;

/// Links every record that matches `condition` and that HubSpot holds under the match property; none lets all in. What was
/// written for it is not known; it is taken to be written under `mapping`. Gives their number.
pub async fn adopt(
    cx: &StageContext,
    state: &dyn StateWriter,
    condition: Option<String>,
    mapping: MappingVersion,
) -> Result<u64, StageError> {
    let query = Extract { condition, columns: Arc::from([]), ..cx.pipeline.all_records() };
    let mut rows = cx.source.extract(query, None);
    let (mut adopted, mut place) = (0, None);
    while let Some(chunk) = rows.next().await {
        let chunk = chunk.map_err(StageError::at(StageName::Extract))?;
        place = chunk.cursor.or(place);
        let records = chunk.records;
        let reads = records.chunks(BATCH_RECORDS_MAX).map(|part| held(cx, part, mapping));
        let links: Vec<Vec<Link>> = stream::iter(reads).buffered(CALLS_MAX).try_collect().await?;
        let links = links.concat();
        adopted += links.len() as u64;
        let commit = Commit::new(&cx.pipeline.name, &cx.run, cx.clock.now(), Tally::default());
        state.commit(&Commit { links, ..commit }).await.map_err(StageError::at(StageName::Match))?;
    }
    if let Some(place) = place {
        cx.source.release(&place).await;
    }
    Ok(adopted)
}

/// Of some rows, those that HubSpot holds.
async fn held(cx: &StageContext, part: &[Record], mapping: MappingVersion) -> Result<Vec<Link>, StageError> {
    let target = &cx.pipeline.target;
    let keys: Vec<String> = part.iter().map(|record| record.id.to_string()).collect();
    let properties = std::slice::from_ref(&target.match_property);
    let read = cx.target.read_by_key(&target.object_type_id, &target.match_property, &keys, properties);
    let records = read.await.map_err(StageError::at(StageName::Match))?;
    let found: HashMap<&str, &HubspotId> = records
        .iter()
        .filter_map(|record| Some((record.properties.get(&*target.match_property)?.as_deref()?, &record.id)))
        .collect();
    let link = |id: SalesforceId| Link {
        salesforce_id: id,
        hubspot_id: found[id.as_str()].clone(),
        hash: ContentHash([0; 16]),
        mapping,
        membership: Membership::Live,
    };
    // The key is compared exactly, as by a run.
    let ours = part.iter().map(|record| record.id).filter(|id| found.contains_key(id.as_str()));
    Ok(ours.map(link).collect())
}
