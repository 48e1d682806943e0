//! Calls whose outcome is not noted: written down before they are sent.

use std::sync::Arc;

use jiff::Timestamp;

use super::fault::Fault;
use super::pipelines;
use super::rows::{self, get};
use super::store::{Tx, sql};
use crate::model::ids::{PipelineName, SalesforceId};
use crate::model::unconfirmed::Unconfirmed;

/// Notes calls that are about to be sent. An earlier doubt about a record stays: it is the one to be accounted for.
pub async fn note(tx: &mut Tx<'_>, pipeline: &PipelineName, calls: &[Unconfirmed]) -> Result<(), Fault> {
    let pipeline = pipelines::ensure(tx, pipeline).await?;
    let ids: Vec<&str> = calls.iter().map(|call| call.salesforce_id.as_str()).collect();
    let properties: Vec<&str> = calls.iter().map(|call| &*call.match_property).collect();
    let intents: Vec<String> = calls.iter().map(|call| rows::name_of(&call.intent)).collect();
    let note = sql("INSERT INTO syncline.unconfirmed (state_id, pipeline, id, match_property, intent)
         SELECT $1, $2, * FROM unnest($3::text[], $4::text[], $5::text[]) ON CONFLICT DO NOTHING");
    tx.run(note.bind(tx.state).bind(pipeline).bind(ids).bind(properties).bind(intents)).await.map(drop)
}

/// Whether there is any doubt about a record of the pipeline.
pub async fn any(tx: &mut Tx<'_>, pipeline: &PipelineName) -> Result<bool, Fault> {
    let any = sql("SELECT EXISTS (SELECT 1 FROM syncline.unconfirmed u WHERE u.state_id = $1
         AND u.pipeline = (SELECT id FROM syncline.pipelines WHERE state_id = $1 AND name = $2))");
    tx.row(any.bind(tx.state).bind(pipeline.as_str())).await?.map_or(Ok(false), |row| get(&row, 0))
}

/// Doubts about these records.
pub async fn of_records(
    tx: &mut Tx<'_>,
    pipeline: &PipelineName,
    ids: &[SalesforceId],
) -> Result<Vec<Unconfirmed>, Fault> {
    let Some(pipeline) = pipelines::find(tx, pipeline).await? else { return Ok(Vec::new()) };
    let read = sql("SELECT id, match_property, intent FROM syncline.unconfirmed
         WHERE state_id = $1 AND pipeline = $2 AND id = ANY($3::text[]) ORDER BY id");
    let found = tx.rows(read.bind(tx.state).bind(pipeline).bind(rows::ids(ids))).await?;
    let doubt = |row| {
        let match_property = Arc::from(get::<&str>(row, 1)?);
        Ok(Unconfirmed { salesforce_id: rows::salesforce_id(row, 0)?, match_property, intent: rows::named(row, 2)? })
    };
    found.iter().map(doubt).collect()
}

/// Records in doubt, by id, after the one given. With `due_at`, without those whose failure waits for a later try: they are looked up with it.
pub async fn list(
    tx: &mut Tx<'_>,
    pipeline: &PipelineName,
    due_at: Option<Timestamp>,
    after: Option<SalesforceId>,
    limit: usize,
) -> Result<Vec<SalesforceId>, Fault> {
    let Some(pipeline) = pipelines::find(tx, pipeline).await? else { return Ok(Vec::new()) };
    let list = sql("SELECT u.id FROM syncline.unconfirmed u
         WHERE u.state_id = $1 AND u.pipeline = $2 AND u.id > $3 AND ($4::bigint IS NULL OR NOT EXISTS (
             SELECT 1 FROM syncline.failures f WHERE f.state_id = $1 AND f.pipeline = $2 AND f.id = u.id
                 AND f.kind = 'record' AND f.status = 'open' AND f.retry_at > $4))
         ORDER BY u.id LIMIT $5");
    let after = after.as_ref().map_or("", SalesforceId::as_str);
    let list = list.bind(tx.state).bind(pipeline).bind(after).bind(due_at.map(rows::millis)).bind(rows::limit(limit));
    tx.rows(list).await?.iter().map(|row| rows::salesforce_id(row, 0)).collect()
}
