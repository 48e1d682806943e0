//! Associations: what lookups ask for, what was carried out of it, and what of it is ours.

use rusqlite::{Connection, Row, Statement, params};

use super::pipelines::{ensure_pipeline, pipeline_id};
use super::{directory, rows};
use crate::model::association::{
    Asked, AssociationKey, AssociationState, LabelId, OwnedType, PairKey, PairRequest, SettledPair,
};
use crate::model::ids::{HubspotId, PipelineName, SalesforceId};
use crate::ports::state::{Asking, KeptAssociation, LookupRef, SettledLookup};

const COLUMNS: &str =
    "a.salesforce_id, a.key, a.wanted, a.wanted_label, a.target, a.label, a.from_id, a.to_object, a.to_id, a.recheck";

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
    after: Option<&LookupRef>,
    limit: usize,
) -> rusqlite::Result<Vec<(AssociationState, HubspotId)>> {
    let Some(pipeline) = pipeline_id(connection, pipeline)? else { return Ok(Vec::new()) };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, i.hubspot_id FROM associations a INDEXED BY associations_due
         JOIN identities i ON i.pipeline = a.pipeline AND i.salesforce_id = a.salesforce_id
         WHERE a.pipeline = ?1 AND a.due = 1 AND i.membership <> 'archived' AND (a.salesforce_id, a.key) > (?2, ?3)
             AND (?5 IS NULL OR coalesce(a.retry_at, 0) <= ?5)
         ORDER BY a.salesforce_id, a.key LIMIT ?4"
    ))?;
    let (id, key) = after.map_or(("", ""), |(id, key)| (id.as_str(), &*key.0));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    statement.query_map(params![pipeline, id, key, limit, at], with_record)?.collect()
}

/// Associations that were ever carried out, in order, after the given one; of records that stand in HubSpot.
pub fn settled(
    connection: &Connection,
    pipeline: &PipelineName,
    after: Option<&LookupRef>,
    limit: usize,
) -> rusqlite::Result<Vec<(AssociationState, HubspotId)>> {
    let Some(pipeline) = pipeline_id(connection, pipeline)? else { return Ok(Vec::new()) };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, i.hubspot_id FROM associations a
         JOIN identities i ON i.pipeline = a.pipeline AND i.salesforce_id = a.salesforce_id
         WHERE a.pipeline = ?1 AND a.target IS NOT NULL AND i.membership <> 'archived'
             AND (a.salesforce_id, a.key) > (?2, ?3)
         ORDER BY a.salesforce_id, a.key LIMIT ?4"
    ))?;
    let (id, key) = after.map_or(("", ""), |(id, key)| (id.as_str(), &*key.0));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    statement.query_map(params![pipeline, id, key, limit], with_record)?.collect()
}

fn with_record(row: &Row<'_>) -> rusqlite::Result<(AssociationState, HubspotId)> {
    Ok((state(row)?, HubspotId::new(row.get::<_, String>(10)?)))
}

/// How many associations have work left. The two ends of a row of a junction object, whose first one is called `from …`, are one.
pub fn due_count(connection: &Connection, pipeline: &PipelineName) -> rusqlite::Result<u64> {
    let Some(pipeline) = pipeline_id(connection, pipeline)? else { return Ok(0) };
    let mut statement = connection.prepare_cached(
        "SELECT count(*) FROM associations a INDEXED BY associations_due
         JOIN identities i ON i.pipeline = a.pipeline AND i.salesforce_id = a.salesforce_id
         WHERE a.pipeline = ?1 AND a.due = 1 AND i.membership <> 'archived'
             AND NOT (a.key LIKE 'from %' AND EXISTS (SELECT 1 FROM associations other WHERE other.pipeline = a.pipeline
                 AND other.salesforce_id = a.salesforce_id AND other.key <> a.key AND other.due = 1))",
    )?;
    statement.query_row([pipeline], |row| rows::count(row, 0))
}

/// The lookups of all pipelines that ask for associations between these pairs of records now: what was carried out of them is
/// still what they ask for, and their records stand.
pub fn requests(connection: &Connection, pairs: &[PairKey]) -> rusqlite::Result<Vec<PairRequest>> {
    let mut statement = connection.prepare_cached(
        "SELECT a.pair, p.name, a.salesforce_id, a.key, a.from_id, a.to_object, a.wanted_label
         FROM json_each(?1) AS asked
         CROSS JOIN associations a ON a.pair = asked.value
         JOIN identities i ON i.pipeline = a.pipeline AND i.salesforce_id = a.salesforce_id
         JOIN pipelines p ON p.id = a.pipeline
         WHERE a.wanted IS a.target AND i.membership <> 'archived'",
    )?;
    let found = statement.query_map([pair_array(pairs)], |row| {
        Ok(PairRequest {
            pair: PairKey(row.get(0)?),
            pipeline: PipelineName::new(row.get::<_, String>(1)?),
            salesforce_id: rows::salesforce_id(2, row.get_ref(2)?.as_str()?)?,
            key: AssociationKey(row.get::<_, String>(3)?.into()),
            from: HubspotId::new(row.get::<_, String>(4)?),
            to_object: row.get::<_, String>(5)?.into(),
            label: label(row, 6)?,
        })
    })?;
    found.collect()
}

/// What of the associations between these pairs of records is ours.
pub fn owned(connection: &Connection, pairs: &[PairKey]) -> rusqlite::Result<Vec<OwnedType>> {
    let mut statement = connection.prepare_cached(
        "SELECT o.pair, o.label, o.from_id FROM json_each(?1) AS asked CROSS JOIN owned_types o ON o.pair = asked.value",
    )?;
    let found = statement.query_map([pair_array(pairs)], |row| {
        let label = match row.get_ref(1)?.as_str()? {
            "" => None,
            text => Some((HubspotId::new(row.get::<_, String>(2)?), rows::parsed(1, text)?)),
        };
        Ok(OwnedType { pair: PairKey(row.get(0)?), label })
    })?;
    found.collect()
}

/// Sets what lookups ask for; what was carried out stays. A lookup that asks for something else is due at once.
pub fn write_wanted(connection: &Connection, pipeline: i64, wanted: &[Asking]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO associations (pipeline, salesforce_id, key, wanted, wanted_label) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (pipeline, salesforce_id, key) DO UPDATE SET wanted = excluded.wanted, wanted_label = excluded.wanted_label,
             waiting_since = iif(wanted IS excluded.wanted, waiting_since, NULL),
             retry_at = iif(wanted IS excluded.wanted, retry_at, NULL)",
    )?;
    for (id, key, asked) in wanted {
        let target = asked.as_ref().map(|asked| asked.target.as_str());
        let label = asked.as_ref().and_then(|asked| asked.label.as_ref()).map(ToString::to_string);
        statement.execute(params![pipeline, id.as_str(), &*key.0, target, label])?;
    }
    Ok(())
}

/// Sets what was carried out; what lookups ask for stays.
pub fn write_settled(connection: &Connection, pipeline: i64, settled: &[SettledLookup]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(SETTLE)?;
    for (id, key, settled) in settled {
        let settled = settled.as_ref();
        let pair = settled.map(|(_, pair)| pair);
        statement.execute(params![
            pipeline,
            id.as_str(),
            &*key.0,
            pair.map(|pair| pair.asked.target.as_str()),
            pair.and_then(|pair| pair.asked.label.as_ref()).map(ToString::to_string),
            settled.map(|(key, _)| key.0),
            pair.map(|pair| pair.from.as_str()),
            pair.map(|pair| &*pair.to_object),
            pair.map(|pair| pair.to.as_str()),
        ])?;
    }
    Ok(())
}

const SETTLE: &str = "INSERT INTO associations (pipeline, salesforce_id, key, target, label, pair, from_id, to_object, to_id)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
    ON CONFLICT (pipeline, salesforce_id, key) DO UPDATE SET target = excluded.target, label = excluded.label,
        pair = excluded.pair, from_id = excluded.from_id, to_object = excluded.to_object, to_id = excluded.to_id, recheck = 0,
        made_before = NULL";

/// Notes what is ours, and what is no longer.
pub fn write_owned(connection: &Connection, owned: &[OwnedType], disowned: &[OwnedType]) -> rusqlite::Result<()> {
    let mut add =
        connection.prepare_cached("INSERT OR IGNORE INTO owned_types (pair, label, from_id) VALUES (?1, ?2, ?3)")?;
    let mut remove =
        connection.prepare_cached("DELETE FROM owned_types WHERE pair = ?1 AND label = ?2 AND from_id = ?3")?;
    let each = |statement: &mut Statement<'_>, owned: &OwnedType| {
        let label = owned.label.as_ref();
        statement.execute(params![
            owned.pair.0,
            label.map(|(_, label)| label.to_string()).unwrap_or_default(),
            label.map(|(from, _)| from.as_str()).unwrap_or_default(),
        ])
    };
    for owned in disowned {
        each(&mut remove, owned)?;
    }
    for owned in owned {
        each(&mut add, owned)?;
    }
    Ok(())
}

/// HubSpot is to be asked how these lookups stand.
pub fn write_rechecks(connection: &Connection, pipeline: i64, lookups: &[LookupRef]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "UPDATE associations SET recheck = 1 WHERE pipeline = ?1 AND salesforce_id = ?2 AND key = ?3",
    )?;
    for (id, key) in lookups {
        statement.execute(params![pipeline, id.as_str(), &*key.0])?;
    }
    Ok(())
}

/// Something was removed from these pairs of records: lookups that ask for associations between them from the other side, or in
/// other pipelines, are looked at again, also those that began to ask meanwhile.
pub fn recheck_pairs(connection: &Connection, pipeline: i64, pairs: &[(PairKey, HubspotId)]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "UPDATE associations SET recheck = 1, retry_at = NULL
         WHERE pair = ?1 AND (pipeline <> ?2 OR from_id <> ?3) AND wanted IS target AND wanted IS NOT NULL",
    )?;
    for (pair, from) in pairs {
        statement.execute(params![pair.0, pipeline, from.as_str()])?;
    }
    Ok(())
}

/// HubSpot is to be asked how all lookups of a pipeline stand that were ever carried out.
pub fn recheck_all(connection: &Connection, pipeline: &PipelineName) -> rusqlite::Result<()> {
    let Some(pipeline) = pipeline_id(connection, pipeline)? else { return Ok(()) };
    let mut statement = connection.prepare_cached(
        "UPDATE associations SET recheck = 1 WHERE pipeline = ?1 AND target IS NOT NULL AND recheck = 0",
    )?;
    statement.execute([pipeline]).map(drop)
}

/// Puts associations off that cannot be made yet. The pause is three times as long as they have waited, so that a new one
/// is tried by the next run and an old one rarely, and at most [`WAIT_MAX_MS`].
pub fn write_waiting(connection: &Connection, pipeline: i64, waiting: &[LookupRef], at: i64) -> rusqlite::Result<()> {
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

/// Longest pause between two tries, in milliseconds: an hour.
const WAIT_MAX_MS: i64 = 3_600_000;

/// A record has appeared in HubSpot, or came back as another one: the lookups that wait for it are due at once, and those that
/// led from or to the record that it replaces are carried out again.
pub fn appeared(
    connection: &Connection,
    pipeline: i64,
    salesforce_id: &SalesforceId,
    before: Option<&str>,
    now: &str,
) -> rusqlite::Result<()> {
    const WAKE: &str = "UPDATE associations SET waiting_since = NULL, retry_at = NULL WHERE wanted = ?1 AND due = 1";
    const AGAIN: &str = "UPDATE associations SET waiting_since = NULL, retry_at = NULL, recheck = 1";
    // Where the first end of a row of a junction object has come, the other end waited with it.
    const WAKE_ROWS: &str = "UPDATE associations SET waiting_since = NULL, retry_at = NULL
        WHERE due = 1 AND (pipeline, salesforce_id) IN
            (SELECT pipeline, salesforce_id FROM associations WHERE wanted = ?1 AND due = 1 AND key LIKE 'from %')";
    connection.prepare_cached(WAKE_ROWS)?.execute([salesforce_id.as_str()])?;
    connection.prepare_cached(WAKE)?.execute([salesforce_id.as_str()])?;
    let Some(before) = before.filter(|before| *before != now) else { return Ok(()) };
    let sql = format!("{AGAIN} WHERE pipeline = ?1 AND salesforce_id = ?2 AND from_id <> ?3");
    connection.prepare_cached(&sql)?.execute(params![pipeline, salesforce_id.as_str(), now])?;
    let incoming = format!("{AGAIN} WHERE wanted = ?1 AND to_id = ?2");
    connection.prepare_cached(&incoming)?.execute(params![salesforce_id.as_str(), before])?;
    Ok(())
}

/// Whether the definition has the same associations as before.
pub fn are_kept(connection: &Connection, pipeline: &PipelineName, kept: &[KeptAssociation]) -> rusqlite::Result<bool> {
    Ok(directory::note(connection, &kept_note(pipeline))? == Some(keys_of(kept)))
}

fn kept_note(pipeline: &PipelineName) -> String {
    format!("associations: {pipeline}")
}

/// The keys of associations, in one text.
fn keys_of(kept: &[KeptAssociation]) -> String {
    let mut keys: Vec<&str> = kept.iter().map(|kept| &*kept.key.0).collect();
    keys.sort_unstable();
    serde_json::to_string(&keys).unwrap_or_default()
}

/// Keeps these associations of the pipeline and forgets what lookups asked for under other keys; what was made of it stays in
/// HubSpot, and is known as ours.
pub fn keep(connection: &Connection, name: &PipelineName, kept: &[KeptAssociation]) -> rusqlite::Result<()> {
    let pipeline = ensure_pipeline(connection, name)?;
    let keys = keys_of(kept);
    bring_forward(connection, pipeline, kept)?;
    const DROP: &str = "DELETE FROM associations WHERE pipeline = ?1 AND key NOT IN (SELECT value FROM json_each(?2))";
    connection.prepare_cached(DROP)?.execute(params![pipeline, keys])?;
    directory::set_note(connection, &kept_note(name), &keys)
}

/// Notes pair and ownership of what an earlier version made.
fn bring_forward(connection: &Connection, pipeline: i64, kept: &[KeptAssociation]) -> rusqlite::Result<()> {
    const BEFORE: &str = "SELECT salesforce_id, target, from_id, to_id, made_before FROM associations
        INDEXED BY associations_made_before WHERE pipeline = ?1 AND made_before IS NOT NULL AND key = ?2 LIMIT 1000";
    const LABEL: &str =
        "UPDATE associations SET wanted_label = iif(wanted IS NULL, NULL, ?3), recheck = 1, waiting_since = NULL
        WHERE pipeline = ?1 AND key = ?2 AND salesforce_id = ?4";
    let mut before = connection.prepare_cached(BEFORE)?;
    for association in kept {
        loop {
            let found = before.query_map(params![pipeline, &*association.key.0], |row| {
                let id = rows::salesforce_id(0, row.get_ref(0)?.as_str()?)?;
                let asked = Asked {
                    target: rows::salesforce_id(1, row.get_ref(1)?.as_str()?)?,
                    label: association.label.clone(),
                };
                let (from, to) = (HubspotId::new(row.get::<_, String>(2)?), HubspotId::new(row.get::<_, String>(3)?));
                let pair = SettledPair { asked, from, to_object: association.to_object.clone(), to };
                Ok((id, pair, row.get::<_, bool>(4)?))
            })?;
            let found: Vec<_> = found.collect::<rusqlite::Result<_>>()?;
            if found.is_empty() {
                break;
            }
            for (id, settled, ours) in found {
                let pair = association.pair(&settled.from, &settled.to);
                if ours {
                    let label = association.label.clone().map(|label| (settled.from.clone(), label));
                    let labelled = label.map(|label| OwnedType { pair, label: Some(label) });
                    let all: Vec<OwnedType> = labelled.into_iter().chain([OwnedType { pair, label: None }]).collect();
                    write_owned(connection, &all, &[])?;
                }
                write_settled(connection, pipeline, &[(id, association.key.clone(), Some((pair, settled)))])?;
                let label = association.label.as_ref().map(ToString::to_string);
                connection.prepare_cached(LABEL)?.execute(params![
                    pipeline,
                    &*association.key.0,
                    label,
                    id.as_str()
                ])?;
            }
        }
    }
    Ok(())
}

fn state(row: &Row<'_>) -> rusqlite::Result<AssociationState> {
    let id = |column: usize| -> rusqlite::Result<Option<SalesforceId>> {
        row.get_ref(column)?.as_str_or_null()?.map(|text| rows::salesforce_id(column, text)).transpose()
    };
    let asked = |target: usize, label_column: usize| -> rusqlite::Result<Option<Asked>> {
        let label = label(row, label_column)?;
        Ok(id(target)?.map(|target| Asked { target, label }))
    };
    let to_object = row.get::<_, Option<String>>(7)?;
    let settled = match (asked(4, 5)?, to_object) {
        (Some(asked), Some(to_object)) => Some(SettledPair {
            asked,
            from: HubspotId::new(row.get::<_, String>(6)?),
            to_object: to_object.into(),
            to: HubspotId::new(row.get::<_, String>(8)?),
        }),
        _ => None,
    };
    Ok(AssociationState {
        salesforce_id: rows::salesforce_id(0, row.get_ref(0)?.as_str()?)?,
        key: AssociationKey(row.get::<_, String>(1)?.into()),
        wanted: asked(2, 3)?,
        settled,
        recheck: row.get(9)?,
    })
}

fn label(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<LabelId>> {
    row.get_ref(column)?.as_str_or_null()?.map(|text| rows::parsed(column, text)).transpose()
}

fn pair_array(pairs: &[PairKey]) -> String {
    let pairs: Vec<i64> = pairs.iter().map(|pair| pair.0).collect();
    serde_json::to_string(&pairs).unwrap_or_default()
}
