//! Links: what is known of each Salesforce record in HubSpot.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::pipelines::pipeline_id;
use super::{associations, rows};
use crate::model::identity::{ContentHash, Identity, MappingVersion, Membership};
use crate::model::ids::{HubspotId, PipelineName, SalesforceId};
use crate::ports::state::IdentityCounts;

/// The identities of these records.
pub fn read(
    connection: &Connection,
    pipeline: &PipelineName,
    ids: &[SalesforceId],
) -> rusqlite::Result<HashMap<SalesforceId, Identity>> {
    let Some(pipeline) = pipeline_id(connection, pipeline)? else { return Ok(HashMap::new()) };
    let mut statement = connection.prepare_cached(
        "SELECT l.salesforce_id, l.hubspot_id, l.hash, l.mapping, l.membership,
                coalesce(l.match_property, p.match_property, '')
         FROM json_each(?2) AS asked
         CROSS JOIN identities l ON l.pipeline = ?1 AND l.salesforce_id = asked.value
         JOIN pipelines p ON p.id = ?1",
    )?;
    let identities = statement.query_map(params![pipeline, rows::id_array(ids)], |row| {
        let salesforce_id = rows::salesforce_id(0, row.get_ref(0)?.as_str()?)?;
        let identity = Identity {
            salesforce_id,
            hubspot_id: HubspotId::new(row.get::<_, String>(1)?),
            hash: ContentHash(rows::bytes(2, row.get_ref(2)?.as_blob()?)?),
            mapping: MappingVersion(rows::bytes(3, row.get_ref(3)?.as_blob()?)?),
            membership: rows::named(4, row.get_ref(4)?.as_str()?)?,
            match_property: Arc::from(row.get_ref(5)?.as_str()?),
        };
        Ok((salesforce_id, identity))
    })?;
    identities.collect()
}

/// The HubSpot records that these are, or were, in any pipeline.
pub fn known(connection: &Connection, ids: &[SalesforceId]) -> rusqlite::Result<HashSet<(SalesforceId, HubspotId)>> {
    let mut statement = connection.prepare_cached(
        "SELECT l.salesforce_id, l.hubspot_id
         FROM pipelines p
         CROSS JOIN json_each(?1) AS asked
         CROSS JOIN identities l ON l.pipeline = p.id AND l.salesforce_id = asked.value",
    )?;
    let known = statement.query_map([rows::id_array(ids)], |row| {
        Ok((rows::salesforce_id(0, row.get_ref(0)?.as_str()?)?, HubspotId::new(row.get::<_, String>(1)?)))
    })?;
    known.collect()
}

/// The Salesforce records of these HubSpot records, where they stand.
pub fn of_records(
    connection: &Connection,
    pipeline: &PipelineName,
    records: &[HubspotId],
) -> rusqlite::Result<Vec<(HubspotId, SalesforceId)>> {
    let Some(pipeline) = pipeline_id(connection, pipeline)? else { return Ok(Vec::new()) };
    let mut statement = connection.prepare_cached(
        "SELECT hubspot_id, salesforce_id FROM identities
         WHERE pipeline = ?1 AND membership <> 'archived' AND hubspot_id IN (SELECT value FROM json_each(?2))",
    )?;
    let records: Vec<&str> = records.iter().map(HubspotId::as_str).collect();
    let records = rows::to_json(&records)?;
    let found = statement.query_map(params![pipeline, records], |row| {
        Ok((HubspotId::new(row.get::<_, String>(0)?), rows::salesforce_id(1, row.get_ref(1)?.as_str()?)?))
    })?;
    found.collect()
}

/// Only pipelines that take records over ask for identities by HubSpot's ids, so the others do not pay for the index.
pub fn index_records(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("CREATE INDEX IF NOT EXISTS identities_by_record ON identities (pipeline, hubspot_id)")
}

/// Counts the identities of a pipeline.
pub fn counts(
    connection: &Connection,
    pipeline: &PipelineName,
    mapping: MappingVersion,
) -> rusqlite::Result<IdentityCounts> {
    let Some(pipeline) = pipeline_id(connection, pipeline)? else { return Ok(IdentityCounts::default()) };
    let mut statement = connection.prepare_cached(
        "SELECT coalesce(sum(records) FILTER (WHERE membership <> 'archived'), 0),
                coalesce(sum(records) FILTER (WHERE membership = 'live'), 0),
                coalesce(sum(records) FILTER (WHERE membership = 'live' AND mapping <> ?2), 0)
         FROM identity_counts WHERE pipeline = ?1",
    )?;
    let counts = statement.query_row(params![pipeline, mapping.0], |row| {
        Ok(IdentityCounts {
            standing: rows::count(row, 0)?,
            live: rows::count(row, 1)?,
            behind: rows::count(row, 2)?,
            in_doubt: 0,
        })
    })?;
    let mut statement = connection.prepare_cached(
        "SELECT count(*) FROM unconfirmed u WHERE u.pipeline = ?1 AND NOT EXISTS
             (SELECT 1 FROM identities l WHERE l.pipeline = u.pipeline AND l.salesforce_id = u.salesforce_id
                  AND l.membership <> 'archived')",
    )?;
    Ok(IdentityCounts { in_doubt: statement.query_row([pipeline], |row| rows::count(row, 0))?, ..counts })
}

/// Live identities that were written under another mapping.
pub fn stale(
    connection: &Connection,
    pipeline: &PipelineName,
    mapping: MappingVersion,
    after: Option<SalesforceId>,
    limit: usize,
) -> rusqlite::Result<Vec<SalesforceId>> {
    let Some(pipeline) = pipeline_id(connection, pipeline)? else { return Ok(Vec::new()) };
    let mut statement = connection.prepare_cached(
        "SELECT salesforce_id FROM identities
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

/// Live records, by id, after the one given.
pub fn live(
    connection: &Connection,
    pipeline: &PipelineName,
    after: Option<SalesforceId>,
    limit: usize,
) -> rusqlite::Result<Vec<SalesforceId>> {
    let Some(pipeline) = pipeline_id(connection, pipeline)? else { return Ok(Vec::new()) };
    let mut statement = connection.prepare_cached(
        "SELECT salesforce_id FROM identities WHERE pipeline = ?1 AND salesforce_id > ?2 AND membership = 'live'
         ORDER BY salesforce_id LIMIT ?3",
    )?;
    let after = after.map(|id| id.to_string()).unwrap_or_default();
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let ids = statement
        .query_map(params![pipeline, after, limit], |row| rows::salesforce_id(0, row.get_ref(0)?.as_str()?))?;
    ids.collect()
}

/// Writes identities (insert or replace).
pub fn write(
    connection: &Connection,
    pipeline: i64,
    identities: &[Identity],
    run: &str,
    at: i64,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO identities (pipeline, salesforce_id, hubspot_id, hash, mapping, membership, written_at, run, match_property)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (pipeline, salesforce_id) DO UPDATE SET hubspot_id = excluded.hubspot_id, hash = excluded.hash,
             mapping = excluded.mapping, membership = excluded.membership, written_at = excluded.written_at, run = excluded.run,
             match_property = excluded.match_property",
    )?;
    let usual = usual_match(connection, pipeline, identities)?;
    let mut known = connection.prepare_cached(
        "SELECT hubspot_id, membership, mapping FROM identities WHERE pipeline = ?1 AND salesforce_id = ?2",
    )?;
    let mut changes = CountChanges::new();
    for identity in identities {
        let before: Option<(String, Membership)> = known
            .query_row(params![pipeline, identity.salesforce_id.as_str()], |row| {
                let membership: Membership = rows::named(1, row.get_ref(1)?.as_str()?)?;
                let mapping = rows::bytes(2, row.get_ref(2)?.as_blob()?)?;
                *changes.entry((membership, mapping)).or_default() -= 1;
                Ok((row.get(0)?, membership))
            })
            .optional()?;
        *changes.entry((identity.membership, identity.mapping.0)).or_default() += 1;
        statement.execute(params![
            pipeline,
            identity.salesforce_id.as_str(),
            identity.hubspot_id.as_str(),
            identity.hash.0,
            identity.mapping.0,
            rows::name_of(&identity.membership),
            at,
            run,
            Some(&*identity.match_property).filter(|property| **property != *usual && !property.is_empty())
        ])?;
        let stood = before
            .as_ref()
            .is_some_and(|(id, membership)| *id == identity.hubspot_id.as_str() && *membership != Membership::Archived);
        if !stood && identity.membership != Membership::Archived {
            let before = before.as_ref().map(|(id, _)| id.as_str());
            associations::appeared(
                connection,
                pipeline,
                &identity.salesforce_id,
                before,
                identity.hubspot_id.as_str(),
            )?;
        }
    }
    write_counts(connection, pipeline, &changes)
}

/// By how much the number of records changes that stand in one way under one mapping.
type CountChanges = HashMap<(Membership, [u8; 8]), i64>;

fn write_counts(connection: &Connection, pipeline: i64, changes: &CountChanges) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO identity_counts (pipeline, membership, mapping, records) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (pipeline, membership, mapping) DO UPDATE SET records = records + excluded.records",
    )?;
    for ((membership, mapping), change) in changes.iter().filter(|(_, change)| **change != 0) {
        statement.execute(params![pipeline, rows::name_of(membership), mapping, change])?;
    }
    Ok(())
}

/// The match property that the pipeline had first; where none is noted yet, that of the first identity.
fn usual_match(connection: &Connection, pipeline: i64, identities: &[Identity]) -> rusqlite::Result<String> {
    let Some(first) = identities.first() else { return Ok(String::new()) };
    let sql = "SELECT match_property FROM pipelines WHERE id = ?1";
    let noted: Option<String> = connection.prepare_cached(sql)?.query_row([pipeline], |row| row.get(0))?;
    if let Some(noted) = noted {
        return Ok(noted);
    }
    remember_match(connection, pipeline, &first.match_property)?;
    Ok(first.match_property.to_string())
}

/// Notes the match property that identities without one have: the first one that is told.
pub fn remember_match(connection: &Connection, pipeline: i64, property: &str) -> rusqlite::Result<()> {
    let sql = "UPDATE pipelines SET match_property = ?2 WHERE id = ?1 AND match_property IS NULL";
    connection.prepare_cached(sql)?.execute(params![pipeline, property]).map(drop)
}
