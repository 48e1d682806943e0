//! Associations: what lookups ask for, and what was made of it.

use rusqlite::{Connection, Row, params};

use super::links::{count, pipeline_id};
use super::rows;
use crate::model::association::{AssociationKey, AssociationState, MadeLink};
use crate::model::ids::{HubspotId, PipelineName, SalesforceId};

const COLUMNS: &str = "a.salesforce_id, a.key, a.wanted, a.made_target, a.made_from, a.made_to, a.made_standing";

/// The associations of these records.
pub fn read(
    connection: &Connection,
    pipeline: &PipelineName,
    ids: &[SalesforceId],
) -> rusqlite::Result<Vec<AssociationState>> {
    let Some(pipeline) = pipeline_id(connection, pipeline)? else { return Ok(Vec::new()) };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM json_each(?2) AS asked
         CROSS JOIN associations a ON a.pipeline = ?1 AND a.salesforce_id = asked.value"
    ))?;
    statement.query_map(params![pipeline, rows::id_array(ids)], state)?.collect()
}

/// Associations with work left, in order, after the given one; of records that stand in HubSpot.
pub fn due(
    connection: &Connection,
    pipeline: &PipelineName,
    after: Option<&(SalesforceId, AssociationKey)>,
    limit: usize,
) -> rusqlite::Result<Vec<(AssociationState, HubspotId)>> {
    let Some(pipeline) = pipeline_id(connection, pipeline)? else { return Ok(Vec::new()) };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, l.hubspot_id FROM associations a INDEXED BY associations_due
         JOIN links l ON l.pipeline = a.pipeline AND l.salesforce_id = a.salesforce_id
         WHERE a.pipeline = ?1 AND a.due = 1 AND l.membership <> 'archived' AND (a.salesforce_id, a.key) > (?2, ?3)
         ORDER BY a.salesforce_id, a.key LIMIT ?4"
    ))?;
    let (id, key) = after.map_or(("", ""), |(id, key)| (id.as_str(), &*key.0));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = statement.query_map(params![pipeline, id, key, limit], |row| {
        Ok((state(row)?, HubspotId::new(row.get::<_, String>(7)?)))
    })?;
    found.collect()
}

/// How many associations have work left.
pub fn due_count(connection: &Connection, pipeline: &PipelineName) -> rusqlite::Result<u64> {
    let Some(pipeline) = pipeline_id(connection, pipeline)? else { return Ok(0) };
    let mut statement = connection.prepare_cached(
        "SELECT count(*) FROM associations a INDEXED BY associations_due
         JOIN links l ON l.pipeline = a.pipeline AND l.salesforce_id = a.salesforce_id
         WHERE a.pipeline = ?1 AND a.due = 1 AND l.membership <> 'archived'",
    )?;
    statement.query_row([pipeline], |row| count(row, 0))
}

/// Sets what lookups ask for; what was made stays.
pub fn write_wanted(
    connection: &Connection,
    pipeline: i64,
    wanted: &[(SalesforceId, AssociationKey, Option<SalesforceId>)],
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO associations (pipeline, salesforce_id, key, wanted) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (pipeline, salesforce_id, key) DO UPDATE SET wanted = excluded.wanted",
    )?;
    for (id, key, wanted) in wanted {
        statement.execute(params![pipeline, id.as_str(), &*key.0, wanted.as_ref().map(SalesforceId::as_str)])?;
    }
    Ok(())
}

/// Sets what was made; what lookups ask for stays.
pub fn write_made(
    connection: &Connection,
    pipeline: i64,
    made: &[(SalesforceId, AssociationKey, Option<MadeLink>)],
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO associations (pipeline, salesforce_id, key, made_target, made_from, made_to, made_standing)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (pipeline, salesforce_id, key) DO UPDATE SET made_target = excluded.made_target,
             made_from = excluded.made_from, made_to = excluded.made_to, made_standing = excluded.made_standing",
    )?;
    for (id, key, made) in made {
        let made = made.as_ref();
        statement.execute(params![
            pipeline,
            id.as_str(),
            &*key.0,
            made.map(|made| made.target.as_str()),
            made.map(|made| made.from.as_str()),
            made.map(|made| made.to.as_str()),
            made.map(|made| rows::name_of(&made.standing))
        ])?;
    }
    Ok(())
}

fn state(row: &Row<'_>) -> rusqlite::Result<AssociationState> {
    let id = |column: usize| -> rusqlite::Result<Option<SalesforceId>> {
        row.get_ref(column)?.as_str_or_null()?.map(|text| rows::salesforce_id(column, text)).transpose()
    };
    let made = match id(3)? {
        None => None,
        Some(target) => Some(MadeLink {
            target,
            from: HubspotId::new(row.get::<_, String>(4)?),
            to: HubspotId::new(row.get::<_, String>(5)?),
            standing: rows::named(6, row.get_ref(6)?.as_str()?)?,
        }),
    };
    Ok(AssociationState {
        salesforce_id: rows::salesforce_id(0, row.get_ref(0)?.as_str()?)?,
        key: AssociationKey(row.get::<_, String>(1)?.into()),
        wanted: id(2)?,
        made,
    })
}
