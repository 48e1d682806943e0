//! Links: what is known of each Salesforce record in HubSpot.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::pipelines::pipeline_id;
use super::{associations, rows};
use crate::model::ids::{HubspotId, PipelineName, SalesforceId};
use crate::model::link::{ContentHash, Link, MappingVersion, Membership};
use crate::ports::state::LinkCounts;

/// The links of these records.
pub fn read(
    connection: &Connection,
    pipeline: &PipelineName,
    ids: &[SalesforceId],
) -> rusqlite::Result<HashMap<SalesforceId, Link>> {
    let Some(pipeline) = pipeline_id(connection, pipeline)? else { return Ok(HashMap::new()) };
    let mut statement = connection.prepare_cached(
        "SELECT salesforce_id, hubspot_id, hash, mapping, membership FROM json_each(?2) AS asked
         CROSS JOIN links ON links.pipeline = ?1 AND links.salesforce_id = asked.value",
    )?;
    let links = statement.query_map(params![pipeline, rows::id_array(ids)], |row| {
        let salesforce_id = rows::salesforce_id(0, row.get_ref(0)?.as_str()?)?;
        let link = Link {
            salesforce_id,
            hubspot_id: HubspotId::new(row.get::<_, String>(1)?),
            hash: ContentHash(rows::bytes(2, row.get_ref(2)?.as_blob()?)?),
            mapping: MappingVersion(rows::bytes(3, row.get_ref(3)?.as_blob()?)?),
            membership: rows::named(4, row.get_ref(4)?.as_str()?)?,
        };
        Ok((salesforce_id, link))
    })?;
    links.collect()
}

/// Counts the links of a pipeline.
pub fn counts(
    connection: &Connection,
    pipeline: &PipelineName,
    mapping: MappingVersion,
) -> rusqlite::Result<LinkCounts> {
    let Some(pipeline) = pipeline_id(connection, pipeline)? else { return Ok(LinkCounts::default()) };
    let mut statement = connection.prepare_cached(
        "SELECT count(*) FILTER (WHERE membership <> 'archived'), count(*) FILTER (WHERE membership = 'live'),
                count(*) FILTER (WHERE membership = 'live' AND mapping <> ?2)
         FROM links WHERE pipeline = ?1",
    )?;
    statement.query_row(params![pipeline, mapping.0], |row| {
        Ok(LinkCounts { standing: rows::count(row, 0)?, live: rows::count(row, 1)?, behind: rows::count(row, 2)? })
    })
}

/// Live links that were written under another mapping.
pub fn stale(
    connection: &Connection,
    pipeline: &PipelineName,
    mapping: MappingVersion,
    after: Option<SalesforceId>,
    limit: usize,
) -> rusqlite::Result<Vec<SalesforceId>> {
    let Some(pipeline) = pipeline_id(connection, pipeline)? else { return Ok(Vec::new()) };
    let mut statement = connection.prepare_cached(
        "SELECT salesforce_id FROM links
         WHERE pipeline = ?1 AND salesforce_id > ?2 AND membership = 'live' AND mapping <> ?3
         ORDER BY salesforce_id LIMIT ?4",
    )?;
    let after = after.map(|id| id.to_string()).unwrap_or_default();
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let ids = statement.query_map(params![pipeline, after, mapping.0, limit], |row| {
        rows::salesforce_id(0, row.get_ref(0)?.as_str()?)
    })?;
    ids.collect()
}

/// Writes links (insert or replace).
pub fn write(connection: &Connection, pipeline: i64, links: &[Link], run: &str, at: i64) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO links (pipeline, salesforce_id, hubspot_id, hash, mapping, membership, written_at, run)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (pipeline, salesforce_id) DO UPDATE SET hubspot_id = excluded.hubspot_id, hash = excluded.hash,
             mapping = excluded.mapping, membership = excluded.membership, written_at = excluded.written_at, run = excluded.run",
    )?;
    let mut known = connection
        .prepare_cached("SELECT hubspot_id, membership FROM links WHERE pipeline = ?1 AND salesforce_id = ?2")?;
    for link in links {
        let before: Option<(String, Membership)> = known
            .query_row(params![pipeline, link.salesforce_id.as_str()], |row| {
                Ok((row.get(0)?, rows::named(1, row.get_ref(1)?.as_str()?)?))
            })
            .optional()?;
        statement.execute(params![
            pipeline,
            link.salesforce_id.as_str(),
            link.hubspot_id.as_str(),
            link.hash.0,
            link.mapping.0,
            rows::name_of(&link.membership),
            at,
            run
        ])?;
        let stood = before
            .as_ref()
            .is_some_and(|(id, membership)| *id == link.hubspot_id.as_str() && *membership != Membership::Archived);
        if !stood && link.membership != Membership::Archived {
            let before = before.as_ref().map(|(id, _)| id.as_str());
            associations::appeared(connection, pipeline, &link.salesforce_id, before, link.hubspot_id.as_str())?;
        }
    }
    Ok(())
}
