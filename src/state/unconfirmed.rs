//! Calls whose outcome is not noted: written down before they are sent.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::pipelines::{ensure_pipeline, pipeline_id};
use super::rows;
use crate::model::ids::{PipelineName, RunId, SalesforceId};
use crate::model::unconfirmed::Unconfirmed;

/// Notes calls that are about to be sent. An earlier doubt about a record stays: it is the one to be accounted for.
pub fn note(
    connection: &Connection,
    pipeline: &PipelineName,
    run: &RunId,
    at: Timestamp,
    calls: &[Unconfirmed],
) -> rusqlite::Result<()> {
    let pipeline = ensure_pipeline(connection, pipeline)?;
    let mut statement = connection.prepare_cached(
        "INSERT INTO unconfirmed (pipeline, salesforce_id, match_property, intent, run, sent_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
    )?;
    for call in calls {
        let intent = rows::name_of(&call.intent);
        let id = call.salesforce_id.as_str();
        statement.execute(params![pipeline, id, &*call.match_property, intent, run.as_str(), rows::millis(at)])?;
    }
    Ok(())
}

/// Forgets the doubts about records that are accounted for.
pub fn account(connection: &Connection, pipeline: i64, ids: &[SalesforceId]) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare_cached("DELETE FROM unconfirmed WHERE pipeline = ?1 AND salesforce_id = ?2")?;
    for id in ids {
        statement.execute(params![pipeline, id.as_str()])?;
    }
    Ok(())
}

/// Whether there is any doubt about a record of the pipeline.
pub fn any(connection: &Connection, pipeline: &PipelineName) -> rusqlite::Result<bool> {
    let Some(pipeline) = pipeline_id(connection, pipeline)? else { return Ok(false) };
    connection.prepare_cached("SELECT 1 FROM unconfirmed WHERE pipeline = ?1 LIMIT 1")?.exists([pipeline])
}

/// Doubts about these records.
pub fn of_records(
    connection: &Connection,
    pipeline: &PipelineName,
    ids: &[SalesforceId],
) -> rusqlite::Result<Vec<Unconfirmed>> {
    let Some(pipeline) = pipeline_id(connection, pipeline)? else { return Ok(Vec::new()) };
    let mut statement = connection.prepare_cached(
        "SELECT u.salesforce_id, u.match_property, u.intent FROM json_each(?2) AS asked
         CROSS JOIN unconfirmed u ON u.pipeline = ?1 AND u.salesforce_id = asked.value",
    )?;
    statement.query_map(params![pipeline, rows::id_array(ids)], row)?.collect()
}

/// Records in doubt, by id, after the one given. With `due_at`, without those whose failure waits for a later try: they are
/// looked up with it.
pub fn list(
    connection: &Connection,
    pipeline: &PipelineName,
    due_at: Option<Timestamp>,
    after: Option<SalesforceId>,
    limit: usize,
) -> rusqlite::Result<Vec<SalesforceId>> {
    let Some(pipeline) = pipeline_id(connection, pipeline)? else { return Ok(Vec::new()) };
    let mut statement = connection.prepare_cached(
        "SELECT u.salesforce_id FROM unconfirmed u WHERE u.pipeline = ?1 AND u.salesforce_id > ?2
             AND (?3 IS NULL OR NOT EXISTS
                 (SELECT 1 FROM failures f WHERE f.pipeline = u.pipeline AND f.salesforce_id = u.salesforce_id
                      AND f.kind = 'record' AND f.status = 'open' AND f.retry_at > ?3))
         ORDER BY u.salesforce_id LIMIT ?4",
    )?;
    let after = after.map(|id| id.to_string()).unwrap_or_default();
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let ids = statement.query_map(params![pipeline, after, due_at.map(rows::millis), limit], |row| {
        rows::salesforce_id(0, row.get_ref(0)?.as_str()?)
    })?;
    ids.collect()
}

fn row(row: &Row<'_>) -> rusqlite::Result<Unconfirmed> {
    Ok(Unconfirmed {
        salesforce_id: rows::salesforce_id(0, row.get_ref(0)?.as_str()?)?,
        match_property: Arc::from(row.get_ref(1)?.as_str()?),
        intent: rows::named(2, row.get_ref(2)?.as_str()?)?,
    })
}
