//! Associations: what lookups ask for, and what was made of it.

use rusqlite::{Connection, Row, params};

use super::pipelines::pipeline_id;
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

/// Associations with work left, in order, after the given one; of records that stand in HubSpot. With `at`, only those
/// whose next try has come by then.
pub fn due(
    connection: &Connection,
    pipeline: &PipelineName,
    at: Option<i64>,
    after: Option<&(SalesforceId, AssociationKey)>,
    limit: usize,
) -> rusqlite::Result<Vec<(AssociationState, HubspotId)>> {
    let Some(pipeline) = pipeline_id(connection, pipeline)? else { return Ok(Vec::new()) };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, l.hubspot_id FROM associations a INDEXED BY associations_due
         JOIN links l ON l.pipeline = a.pipeline AND l.salesforce_id = a.salesforce_id
         WHERE a.pipeline = ?1 AND a.due = 1 AND l.membership <> 'archived' AND (a.salesforce_id, a.key) > (?2, ?3)
             AND (?5 IS NULL OR coalesce(a.retry_at, 0) <= ?5)
         ORDER BY a.salesforce_id, a.key LIMIT ?4"
    ))?;
    let (id, key) = after.map_or(("", ""), |(id, key)| (id.as_str(), &*key.0));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = statement.query_map(params![pipeline, id, key, limit, at], |row| {
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
    statement.query_row([pipeline], |row| rows::count(row, 0))
}

/// Sets what lookups ask for; what was made stays. A lookup that asks for something else is due at once.
pub fn write_wanted(
    connection: &Connection,
    pipeline: i64,
    wanted: &[(SalesforceId, AssociationKey, Option<SalesforceId>)],
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO associations (pipeline, salesforce_id, key, wanted) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (pipeline, salesforce_id, key) DO UPDATE SET wanted = excluded.wanted,
             waiting_since = iif(wanted IS excluded.wanted, waiting_since, NULL),
             retry_at = iif(wanted IS excluded.wanted, retry_at, NULL)",
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

/// Puts associations off that cannot be made yet. The pause is three times as long as they have waited, so that a new one
/// is tried by the next run and an old one rarely, and at most [`WAIT_MAX_MS`].
pub fn write_waiting(
    connection: &Connection,
    pipeline: i64,
    waiting: &[(SalesforceId, AssociationKey)],
    at: i64,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "UPDATE associations SET waiting_since = coalesce(waiting_since, ?4),
             retry_at = ?4 + min(max(3 * (?4 - coalesce(waiting_since, ?4)), 0), ?5)
         WHERE pipeline = ?1 AND salesforce_id = ?2 AND key = ?3",
    )?;
    for (id, key) in waiting {
        statement.execute(params![pipeline, id.as_str(), &*key.0, at, WAIT_MAX_MS])?;
    }
    Ok(())
}

/// A record has appeared in HubSpot, or came back as another one: the lookups that wait for it are due at once, and links
/// of the record that it replaces are made again.
pub fn appeared(
    connection: &Connection,
    pipeline: i64,
    salesforce_id: &SalesforceId,
    before: Option<&str>,
    now: &str,
) -> rusqlite::Result<()> {
    const WAKE: &str = "UPDATE associations SET waiting_since = NULL, retry_at = NULL WHERE wanted = ?1 AND due = 1";
    connection.prepare_cached(WAKE)?.execute([salesforce_id.as_str()])?;
    let Some(before) = before.filter(|before| *before != now) else { return Ok(()) };
    let own = format!("{AGAIN} WHERE pipeline = ?1 AND salesforce_id = ?2 AND made_from <> ?3");
    connection.prepare_cached(&own)?.execute(params![pipeline, salesforce_id.as_str(), now])?;
    let incoming = format!("{AGAIN} WHERE wanted = ?1 AND made_to = ?2");
    connection.prepare_cached(&incoming)?.execute(params![salesforce_id.as_str(), before])?;
    Ok(())
}

/// Lets go of what waits under keys that the pipeline no longer has. Of a link whose making was never confirmed, nothing is
/// known any more.
pub fn drop_others(connection: &Connection, pipeline: i64, keys: &[AssociationKey]) -> rusqlite::Result<()> {
    let keys: Vec<&str> = keys.iter().map(|key| &*key.0).collect();
    let keys = serde_json::to_string(&keys).unwrap_or_default();
    let mut statement = connection.prepare_cached(
        "UPDATE associations SET waiting_since = NULL, retry_at = NULL,
             wanted = iif(made_standing IS 'attempted', NULL, made_target),
             made_target = iif(made_standing IS 'attempted', NULL, made_target),
             made_from = iif(made_standing IS 'attempted', NULL, made_from),
             made_to = iif(made_standing IS 'attempted', NULL, made_to),
             made_standing = iif(made_standing IS 'attempted', NULL, made_standing)
         WHERE pipeline = ?1 AND due = 1 AND key NOT IN (SELECT value FROM json_each(?2))",
    )?;
    statement.execute(params![pipeline, keys])?;
    Ok(())
}

/// Longest pause between two tries, in milliseconds: an hour.
const WAIT_MAX_MS: i64 = 3_600_000;

/// A link of ours may have gone along to the new record, so it is to be looked for; one of others is theirs to make.
const AGAIN: &str = "UPDATE associations SET waiting_since = NULL, retry_at = NULL,
    made_target = iif(made_standing = 'theirs', NULL, made_target),
    made_from = iif(made_standing = 'theirs', NULL, made_from),
    made_to = iif(made_standing = 'theirs', NULL, made_to),
    made_standing = iif(made_standing = 'theirs', NULL, 'attempted')";

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
