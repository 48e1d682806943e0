//! Associations: what lookups ask for, and what was carried out of it.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Row, params};

use super::database::{Database, PLACE_BITS, each_of, lookup_of, lookups_of, record_of};
use super::identities::stands;
use super::lookups::is_first_end;
use super::pipelines::pipeline_id;
use super::together;
use crate::model::association::{Asked, AssociationState, SettledPair};
use crate::model::ids::{HubspotId, PipelineName, SalesforceId};
use crate::ports::state::LookupRef;

/// The associations of these records.
pub fn read(
    database: &Database,
    pipeline: &PipelineName,
    ids: &[SalesforceId],
) -> rusqlite::Result<Vec<AssociationState>> {
    let Some(pipeline) = pipeline_id(database, pipeline)? else { return Ok(Vec::new()) };
    let records = database.numbered(pipeline, ids)?;
    let mut found = Vec::new();
    each_of(database, &both(CARRIED_OUT), PLACE_BITS, &records, |id, row| {
        found.push(state(database, pipeline, *id, row)?);
        Ok(())
    })?;
    let together = match (records.first(), records.last()) {
        (Some((first, _)), Some((last, _))) => {
            together::near(database, pipeline, lookups_of(*first).start, lookups_of(*last).end - 1)?
        }
        _ => BTreeMap::new(),
    };
    each_of(database, &both(ONLY_DUE), PLACE_BITS, &records, |id, row| {
        found.push(state(database, pipeline, *id, row)?);
        Ok(())
    })?;
    for (record, id) in records.iter().filter(|_| !together.is_empty()) {
        for (lookup, wanted) in together.range(lookups_of(*record)) {
            found.push(only_asked(database, pipeline, *id, *lookup, *wanted)?);
        }
    }
    Ok(found)
}

/// A lookup of which nothing is known but what it asks for.
fn only_asked(
    database: &Database,
    pipeline: i64,
    salesforce_id: SalesforceId,
    lookup: i64,
    (target, label): (i64, Option<i64>),
) -> rusqlite::Result<AssociationState> {
    let label = label.map(|label| database.label(label)).transpose()?;
    let wanted = Some(Asked { target: database.id_of(target)?.1, label });
    Ok(AssociationState { salesforce_id, key: database.key(pipeline, lookup)?, wanted, settled: None, recheck: false })
}

/// What [`state`] reads.
const COLUMNS: &str = "d.lookup IS NOT NULL, d.wanted, d.wanted_label, d.recheck, a.target, a.label, a.relation,
    coalesce(a.from_id, i.hubspot_id), a.to_id";

/// Lookups of which something was carried out, from `?1` to `?2`.
const CARRIED_OUT: &str = "FROM associations a LEFT JOIN due_associations d ON d.lookup = a.lookup
    LEFT JOIN identities i ON i.record = a.lookup >> 10
    WHERE a.lookup >= ?1 AND a.lookup <= ?2 ORDER BY a.lookup";

/// Lookups with work left of which nothing was carried out, from `?1` to `?2`.
const ONLY_DUE: &str = "FROM due_associations d LEFT JOIN associations a ON a.lookup = d.lookup
    LEFT JOIN identities i ON i.record = d.lookup >> 10
    WHERE d.lookup >= ?1 AND d.lookup <= ?2 AND a.lookup IS NULL ORDER BY d.lookup";

/// Lookups with work left, from `?1` to `?2`, whose next try has come by `?3`; of records that are known.
const DUE: &str = "FROM due_associations d CROSS JOIN identities i ON i.record = d.lookup >> 10
    LEFT JOIN associations a ON a.lookup = d.lookup
    WHERE d.lookup >= ?1 AND d.lookup <= ?2 AND (?3 IS NULL OR coalesce(d.retry_at, 0) <= ?3) ORDER BY d.lookup";

/// Lookups of which something was carried out, from `?1` to `?2`; of records that are known. The third parameter is not heeded.
const SETTLED: &str = "FROM associations a CROSS JOIN identities i ON i.record = a.lookup >> 10
    LEFT JOIN due_associations d ON d.lookup = a.lookup
    WHERE a.lookup >= ?1 AND a.lookup <= ?2 AND ?3 IS ?3 ORDER BY a.lookup";

fn both(from: &str) -> String {
    format!("SELECT coalesce(a.lookup, d.lookup), {COLUMNS}, i.hubspot_id, i.standing {from}")
}

/// Associations with work left, in order, after the given one; of records that stand in HubSpot. With `at`, only those
/// whose next try has come by then.
pub fn due(
    database: &Database,
    pipeline: &PipelineName,
    at: Option<i64>,
    after: Option<&LookupRef>,
    limit: usize,
) -> rusqlite::Result<Vec<(AssociationState, HubspotId)>> {
    list(database, pipeline, DUE, at, after, limit)
}

/// Associations that were ever carried out, in order, after the given one; of records that stand in HubSpot.
pub fn settled(
    database: &Database,
    pipeline: &PipelineName,
    after: Option<&LookupRef>,
    limit: usize,
) -> rusqlite::Result<Vec<(AssociationState, HubspotId)>> {
    list(database, pipeline, SETTLED, None, after, limit)
}

fn list(
    database: &Database,
    pipeline: &PipelineName,
    from: &str,
    at: Option<i64>,
    after: Option<&LookupRef>,
    limit: usize,
) -> rusqlite::Result<Vec<(AssociationState, HubspotId)>> {
    let mut listed = Vec::new();
    let Some(pipeline) = pipeline_id(database, pipeline)? else { return Ok(listed) };
    let last = match after {
        None => None,
        Some((id, key)) => {
            let (record, place) = (database.record(pipeline, id)?, database.place(pipeline, key)?);
            record.zip(place).map(|(record, place)| lookup_of(record, place))
        }
    };
    let together = if from == DUE { together::all(database, pipeline)? } else { BTreeMap::new() };
    let mut statement = database.prepare_cached(&both(from))?;
    database.stretches(pipeline, after.map(|(id, _)| id), |stretch| {
        let lookups = stretch.lookups(last);
        let mut together = together.range(lookups.clone()).peekable();
        let mut found = statement.query(params![lookups.start, lookups.end - 1, at])?;
        let mut row = found.next()?;
        while listed.len() < limit {
            let next: Option<i64> = row.map(|row| row.get(0)).transpose()?;
            if let Some((lookup, wanted)) = together.next_if(|(lookup, _)| next.is_none_or(|next| **lookup < next)) {
                if let Some(from) = standing_record(database, record_of(*lookup))? {
                    let (_, id) = database.id_of(record_of(*lookup))?;
                    listed.push((only_asked(database, pipeline, id, *lookup, *wanted)?, database.hubspot_id(from)?));
                }
                continue;
            }
            let Some(here) = row else { break };
            if stands(database, here.get(11)?)? {
                let (_, id) = database.id_of(record_of(here.get(0)?))?;
                listed.push((state(database, pipeline, id, here)?, database.hubspot_id(here.get(10)?)?));
            }
            row = found.next()?;
        }
        Ok(listed.len() < limit)
    })?;
    Ok(listed)
}

/// The HubSpot record of a record, where it stands.
fn standing_record(database: &Database, record: i64) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT hubspot_id, standing FROM identities WHERE record = ?1";
    let known: Option<(i64, i64)> =
        database.prepare_cached(sql)?.query_row([record], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    match known {
        Some((hubspot_id, standing)) if stands(database, standing)? => Ok(Some(hubspot_id)),
        _ => Ok(None),
    }
}

/// How many associations have work left. The two ends of a row of a junction object, whose first one is called `from …`, are one.
pub fn due_count(database: &Database, pipeline: &PipelineName) -> rusqlite::Result<u64> {
    let Some(pipeline) = pipeline_id(database, pipeline)? else { return Ok(0) };
    let mut statement = database.prepare_cached(
        "SELECT d.lookup, i.standing FROM due_associations d CROSS JOIN identities i ON i.record = d.lookup >> 10
         WHERE d.lookup >= ?1 AND d.lookup < ?2 ORDER BY d.lookup",
    )?;
    let mut count = 0;
    for lookup in together::all(database, pipeline)?.into_keys() {
        count += u64::from(standing_record(database, record_of(lookup))?.is_some());
    }
    database.stretches(pipeline, None, |stretch| {
        let range = stretch.lookups(None);
        let mut found = statement.query([range.start, range.end])?;
        // Of the record that was reached: its number, lookups, and those that are the first end of a row.
        let (mut record, mut lookups, mut first_ends) = (0, 0, 0);
        let counted = |lookups: u64, first_ends: u64| lookups - if lookups > first_ends { first_ends } else { 0 };
        while let Some(row) = found.next()? {
            let lookup = row.get(0)?;
            if !stands(database, row.get(1)?)? {
                continue;
            }
            if record != record_of(lookup) {
                count += counted(lookups, first_ends);
                (record, lookups, first_ends) = (record_of(lookup), 0, 0);
            }
            lookups += 1;
            first_ends += u64::from(is_first_end(&database.key(pipeline, lookup)?));
        }
        count += counted(lookups, first_ends);
        Ok(true)
    })?;
    Ok(count)
}

/// What a row of [`both`] says of a lookup.
fn state(database: &Database, pipeline: i64, id: SalesforceId, row: &Row<'_>) -> rusqlite::Result<AssociationState> {
    let asked = |target: usize, label: usize| -> rusqlite::Result<Option<Asked>> {
        let Some(target) = row.get(target)? else { return Ok(None) };
        let label: Option<i64> = row.get(label)?;
        let label = label.map(|label| database.label(label)).transpose()?;
        Ok(Some(Asked { target: database.id_of(target)?.1, label }))
    };
    let carried_out = asked(5, 6)?;
    let wanted = if row.get(1)? { asked(2, 3)? } else { carried_out.clone() };
    let settled = match carried_out {
        None => None,
        Some(asked) => {
            let (to_object, from) = (database.relation(row.get(7)?)?.to_object, row.get::<_, Option<i64>>(8)?);
            // An earlier version did not note the object; the pipeline's next run tells it.
            let known = from.filter(|_| !to_object.is_empty());
            let to = database.hubspot_id(row.get(9)?)?;
            let from = known.map(|from| database.hubspot_id(from)).transpose()?;
            from.map(|from| SettledPair { asked, from, to_object, to })
        }
    };
    Ok(AssociationState {
        salesforce_id: id,
        key: database.key(pipeline, row.get(0)?)?,
        wanted,
        settled,
        recheck: row.get::<_, Option<bool>>(4)?.unwrap_or_default(),
    })
}
