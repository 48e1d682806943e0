//! Names of records for people, where only their ids are at hand.

use std::collections::HashMap;

use futures_util::StreamExt;

use crate::model::ids::SalesforceId;
use crate::ports::source::QUERY_IDS_MAX;
use crate::stages::StageContext;

/// The names of these records, as Salesforce tells them now: those that it tells. A name is not worth a run, so trouble leaves
/// records without.
pub async fn of(cx: &StageContext, ids: &[SalesforceId]) -> HashMap<SalesforceId, String> {
    let mut names = HashMap::new();
    for ids in ids.chunks(QUERY_IDS_MAX) {
        let Some(query) = cx.pipeline.names_of(ids) else { return names };
        let mut rows = cx.source.extract(query, None);
        while let Some(chunk) = rows.next().await {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(fault) => {
                    tracing::debug!(%fault, "the names of some records could not be read");
                    return names;
                }
            };
            names.extend(chunk.records.into_iter().filter_map(|record| {
                let name = record.values.get(0)?;
                Some((record.id, name.to_string())).filter(|(_, name)| !name.trim().is_empty())
            }));
        }
    }
    names
}
