//! Associations: what lookups ask for, and what was carried out of it.

use std::collections::BTreeMap;

use rusqlite::{Row, params};

use super::carried_out::Pair;
use super::database::{Database, PLACE_BITS, each_of, lookup_of, lookups_of, record_of};
use super::due::{Asks, Wanted};
use super::identities::{standing_record, stands};
use super::lookups::{self, CARRIED_OUT_OF, DUE_OF, is_first_end};
use super::pipelines::pipeline_id;
use super::together;
use crate::model::association::{Asked, AssociationState, SettledPair};
use crate::model::ids::{HubspotId, PipelineName, SalesforceId};
use crate::ports::state::{Asking, LookupRef};

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
        found.push(state(database, pipeline, (row.get(0)?, *id, None), row)?);
        Ok(())
    })?;
    let together = match (records.first(), records.last()) {
        (Some((first, _)), Some((last, _))) => {
            together::near(database, pipeline, lookups_of(*first).start, lookups_of(*last).end - 1)?
        }
        _ => BTreeMap::new(),
    };
    each_of(database, &both(ONLY_DUE), PLACE_BITS, &records, |id, row| {
        found.push(state(database, pipeline, (row.get(0)?, *id, None), row)?);
        Ok(())
    })?;
    for (record, id) in records.iter().filter(|_| !together.is_empty()) {
        for (lookup, known) in together.range(lookups_of(*record)) {
            found.push(together_with_others(database, pipeline, (*lookup, *id), *known)?);
        }
    }
    Ok(found)
}

/// What lookups of these records ask for.
pub fn asked(database: &Database, pipeline: &PipelineName, ids: &[SalesforceId]) -> rusqlite::Result<Vec<Asking>> {
    let Some(pipeline) = pipeline_id(database, pipeline)? else { return Ok(Vec::new()) };
    let records = database.numbered(pipeline, ids)?;
    let (Some((first, _)), Some((last, _))) = (records.first(), records.last()) else { return Ok(Vec::new()) };
    let read = |sql: &str| -> rusqlite::Result<Vec<(i64, SalesforceId, Wanted)>> {
        let mut found = Vec::with_capacity(records.len());
        each_of(database, sql, PLACE_BITS, &records, |id, row| {
            found.push((row.get(0)?, *id, lookups::asked(row)?));
            Ok(())
        })?;
        Ok(found)
    };
    // Two ways along two tables cost less than a step into the other one for each row; and one is enough where work is left of all that the
    // records can have, as when all is looked at again.
    let due = read(DUE_OF)?;
    let keys = "SELECT count(*) FROM association_keys WHERE pipeline = ?1";
    let keys: i64 = database.prepare_cached(keys)?.query_row([pipeline], |row| row.get(0))?;
    let all = usize::try_from(keys).ok().map(|keys| keys * records.len());
    let carried_out = if all == Some(due.len()) { Vec::new() } else { read(CARRIED_OUT_OF)? };
    let together = together::near(database, pipeline, lookups_of(*first).start, lookups_of(*last).end - 1)?;
    let mut asks = Vec::with_capacity(carried_out.len().max(due.len()));
    let mut carried_out = carried_out.into_iter().peekable();
    for (lookup, id, wanted) in due {
        while let Some(before) = carried_out.next_if(|(other, ..)| *other < lookup) {
            asks.push(before);
        }
        carried_out.next_if(|(other, ..)| *other == lookup);
        asks.push((lookup, id, wanted));
    }
    asks.extend(carried_out);
    for (record, id) in records.iter().filter(|_| !together.is_empty()) {
        let of_record = together.range(lookups_of(*record));
        asks.extend(of_record.map(|(lookup, (wanted, _))| (*lookup, *id, Some(*wanted))));
    }
    let asking = |(lookup, id, wanted): (i64, SalesforceId, Wanted)| {
        let asked = wanted.map(|wanted| named(database, wanted)).transpose()?;
        Ok((id, database.key(pipeline, lookup)?, asked))
    };
    asks.into_iter().map(asking).collect()
}

/// What a lookup asks for, by names.
fn named(database: &Database, (target, label): Asks) -> rusqlite::Result<Asked> {
    let label = label.map(|label| database.label(label)).transpose()?;
    Ok(Asked { target: database.id_of(target)?.1, label })
}

/// A lookup that shares a row with others.
fn together_with_others(
    database: &Database,
    pipeline: i64,
    (lookup, salesforce_id): (i64, SalesforceId),
    (wanted, making): together::Known,
) -> rusqlite::Result<AssociationState> {
    let asked = named(database, wanted)?;
    let pair = |pair: Pair| -> rusqlite::Result<SettledPair> {
        Ok(SettledPair {
            asked: asked.clone(),
            from: database.hubspot_id(pair.from)?,
            to_object: database.relation(pair.relation)?.to_object,
            to: database.hubspot_id(pair.to)?,
        })
    };
    let settled = making.map(pair).transpose()?;
    let key = database.key(pipeline, lookup)?;
    Ok(AssociationState { salesforce_id, key, recheck: settled.is_some(), wanted: Some(asked), settled })
}

/// What [`state`] reads. The first column tells, in bits, whether work is left, whether what is asked for was carried out, whether it is in
/// doubt, and whether there is a label or another near end: each column that is read has its cost.
const COLUMNS: &str =
    "(d.lookup IS NOT NULL) + 2 * (d.wanted IS a.target AND d.wanted_label IS a.label) + 4 * coalesce(d.recheck, 0)
        + 8 * (a.label IS NOT NULL OR a.from_id IS NOT NULL),
    d.wanted, d.wanted_label, a.target, a.label, a.relation, a.from_id, a.to_id";

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
    let mut together = together::all(database, pipeline)?;
    if from == SETTLED {
        together.retain(|_, (_, making)| making.is_some());
    }
    let mut statement = database.prepare_cached(&both(from))?;
    database.stretches(pipeline, after.map(|(id, _)| id), |stretch| {
        let lookups = stretch.lookups(last);
        let mut together = together.range(lookups.clone()).peekable();
        let mut found = statement.query(params![lookups.start, lookups.end - 1, at])?;
        let mut row = found.next()?;
        while listed.len() < limit {
            let next: Option<i64> = row.map(|row| row.get(0)).transpose()?;
            if let Some((lookup, known)) = together.next_if(|(lookup, _)| next.is_none_or(|next| **lookup < next)) {
                if let Some(from) = standing_record(database, record_of(*lookup))? {
                    let (_, id) = database.id_of(record_of(*lookup))?;
                    let state = together_with_others(database, pipeline, (*lookup, id), *known)?;
                    listed.push((state, database.hubspot_id(from)?));
                }
                continue;
            }
            let Some(here) = row else { break };
            if stands(database, here.get(10)?)? {
                let lookup = here.get(0)?;
                let (_, id) = database.id_of(record_of(lookup))?;
                let from = database.hubspot_id(here.get(9)?)?;
                listed.push((state(database, pipeline, (lookup, id, Some(&from)), here)?, from));
            }
            row = found.next()?;
        }
        Ok(listed.len() < limit)
    })?;
    Ok(listed)
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

/// What a row of [`both`] says of a lookup of a record, which is the HubSpot record `own` where that is known already.
fn state(
    database: &Database,
    pipeline: i64,
    (lookup, salesforce_id, own): (i64, SalesforceId, Option<&HubspotId>),
    row: &Row<'_>,
) -> rusqlite::Result<AssociationState> {
    let asked = |target: usize, label: Option<usize>| -> rusqlite::Result<Option<Asked>> {
        let Some(target) = row.get(target)? else { return Ok(None) };
        let label = label.map(|label| row.get(label)).transpose()?.flatten();
        Ok(Some(named(database, (target, label))?))
    };
    let known: i64 = row.get(1)?;
    let [is_due, is_carried_out, recheck, has_more] = [1, 2, 4, 8].map(|bit| known & bit > 0);
    let carried_out = asked(4, Some(5).filter(|_| has_more))?;
    let wanted = if is_due && !is_carried_out { asked(2, Some(3))? } else { carried_out.clone() };
    let settled = match carried_out {
        None => None,
        Some(asked) => {
            let to_object = database.relation(row.get(6)?)?.to_object;
            let elsewhere: Option<i64> = if has_more { row.get(7)? } else { None };
            let from = match (elsewhere, own) {
                (Some(from), _) => Some(database.hubspot_id(from)?),
                (None, Some(own)) => Some(own.clone()),
                (None, None) => row.get::<_, Option<i64>>(9)?.map(|record| database.hubspot_id(record)).transpose()?,
            };
            let to = database.hubspot_id(row.get(8)?)?;
            // An earlier version did not note the object; the pipeline's next run tells it.
            let from = from.filter(|_| !to_object.is_empty());
            from.map(|from| SettledPair { asked, from, to_object, to })
        }
    };
    Ok(AssociationState { salesforce_id, key: database.key(pipeline, lookup)?, wanted, settled, recheck })
}
