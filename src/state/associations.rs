//! Associations: what lookups ask for, and what was carried out of it.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};

use rusqlite::params;

use super::carried_out::{self, CarriedOut, Pair};
use super::database::{Database, PLACE_BITS, each_of, lookup_of, lookups_of, record_of};
use super::due::{Asks, Wanted};
use super::known::{self, Known, standing_record, stands};
use super::lookups::{self, DUE_OF, is_first_end};
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
    let mut due: BTreeMap<i64, (SalesforceId, Due)> = BTreeMap::new();
    each_of(database, DUE_OF, PLACE_BITS, &records, |id, row| {
        due.insert(row.get(0)?, (*id, (lookups::asked(row)?, row.get(3)?)));
        Ok(())
    })?;
    let mut carried_out: Vec<(SalesforceId, CarriedOut)> = Vec::with_capacity(records.len());
    carried_out::each_of_records(database, &records, |id, before| {
        carried_out.push((*id, before));
        Ok(())
    })?;
    let own = Owners::of(database, carried_out.iter().map(|(_, before)| record_of(before.lookup)))?;
    let mut found = Vec::with_capacity(carried_out.len());
    for (id, before) in carried_out {
        let due = due.remove(&before.lookup).map(|(_, due)| due);
        let own = own.get(before.lookup).map(|known| known.hubspot_id);
        found.push(state(database, pipeline, (before.lookup, id, own), due, Some(before))?);
    }
    for (lookup, (id, due)) in due {
        found.push(state(database, pipeline, (lookup, id, None), Some(due), None)?);
    }
    let together = match (records.first(), records.last()) {
        (Some((first, _)), Some((last, _))) => {
            together::near(database, pipeline, lookups_of(*first).start, lookups_of(*last).end - 1)?
        }
        _ => BTreeMap::new(),
    };
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
    type Asks = (i64, SalesforceId, Wanted);
    // Two ways along two tables cost less than a step into the other one for each row; and one is enough where work is left of all that the
    // records can have, as when all is looked at again.
    let mut due: Vec<Asks> = Vec::with_capacity(records.len());
    each_of(database, DUE_OF, PLACE_BITS, &records, |id, row| {
        due.push((row.get(0)?, *id, lookups::asked(row)?));
        Ok(())
    })?;
    let keys = "SELECT count(*) FROM association_keys WHERE pipeline = ?1";
    let keys: i64 = database.prepare_cached(keys)?.query_row([pipeline], |row| row.get(0))?;
    let all = usize::try_from(keys).ok().map(|keys| keys * records.len());
    let mut carried_out: Vec<Asks> = Vec::new();
    if all != Some(due.len()) {
        carried_out.reserve(records.len());
        carried_out::each_of_records(database, &records, |id, before| {
            carried_out.push((before.lookup, *id, Some(before.asked)));
            Ok(())
        })?;
    }
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

/// What a lookup with work left asks for, and whether HubSpot is to be asked how it stands.
type Due = (Wanted, bool);

/// What is known of the records of some lookups.
struct Owners(Vec<(i64, Known)>);

impl Owners {
    /// Of records in order.
    fn of(database: &Database, records: impl Iterator<Item = i64>) -> rusqlite::Result<Self> {
        let mut records: Vec<(i64, ())> = records.map(|record| (record, ())).collect();
        records.dedup();
        let mut found = Vec::with_capacity(records.len());
        known::each_of(database, &records, |(), known| {
            found.push((known.record, known));
            Ok(())
        })?;
        Ok(Self(found))
    }

    /// What is known of the record of a lookup.
    fn get(&self, lookup: i64) -> Option<&Known> {
        let place = self.0.binary_search_by_key(&record_of(lookup), |(record, _)| *record).ok()?;
        Some(&self.0[place].1)
    }
}

/// Which lookups are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listed {
    /// Those with work left; with a time, only those whose next try has come by then.
    Due(Option<i64>),
    /// Those of which something was carried out.
    Settled,
}

/// A lookup with what is known of it.
struct Found {
    lookup: i64,
    due: Option<Due>,
    carried_out: Option<CarriedOut>,
    /// It shares a row with others.
    together: Option<together::Known>,
}

impl Found {
    fn of(lookup: i64) -> Self {
        Self { lookup, due: None, carried_out: None, together: None }
    }
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
    list(database, pipeline, Listed::Due(at), after, limit)
}

/// Associations that were ever carried out, in order, after the given one; of records that stand in HubSpot.
pub fn settled(
    database: &Database,
    pipeline: &PipelineName,
    after: Option<&LookupRef>,
    limit: usize,
) -> rusqlite::Result<Vec<(AssociationState, HubspotId)>> {
    list(database, pipeline, Listed::Settled, after, limit)
}

fn list(
    database: &Database,
    pipeline: &PipelineName,
    which: Listed,
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
    if which == Listed::Settled {
        together.retain(|_, (_, making)| making.is_some());
    }
    database.stretches(pipeline, after.map(|(id, _)| id), |stretch| {
        let mut lookups = stretch.lookups(last);
        while listed.len() < limit && !lookups.is_empty() {
            // Of records that do not stand nothing is listed, so that more may have to be read.
            let some = (limit - listed.len()).max(READ_MIN);
            let (mut found, end) = read_some(database, which, lookups.clone(), some)?;
            let shared = together.range(lookups.start..end);
            found.extend(shared.map(|(lookup, known)| Found { together: Some(*known), ..Found::of(*lookup) }));
            found.sort_unstable_by_key(|found| found.lookup);
            let own = Owners::of(database, found.iter().map(|found| record_of(found.lookup)))?;
            for Found { lookup, due, carried_out, together } in found {
                let Some(own) = own.get(lookup).filter(|_| listed.len() < limit) else { continue };
                if stands(database, own.standing)? {
                    let (_, id) = database.id_of(record_of(lookup))?;
                    let state = match together {
                        Some(known) => together_with_others(database, pipeline, (lookup, id), known)?,
                        None => state(database, pipeline, (lookup, id, Some(own.hubspot_id)), due, carried_out)?,
                    };
                    listed.push((state, database.hubspot_id(own.hubspot_id)?));
                }
            }
            lookups.start = end;
        }
        Ok(listed.len() < limit)
    })?;
    Ok(listed)
}

/// Lookups that are read together at least: all before the one that is wanted may be of records that do not stand.
const READ_MIN: usize = 256;

/// Reads so many lookups with rows of their own, in order, and tells up to where there are no more of them.
fn read_some(
    database: &Database,
    which: Listed,
    lookups: Range<i64>,
    limit: usize,
) -> rusqlite::Result<(Vec<Found>, i64)> {
    let mut found: Vec<(i64, Found)> = Vec::new();
    match which {
        Listed::Due(at) => {
            let sql = "SELECT lookup, wanted, wanted_label, recheck FROM due_associations
                WHERE lookup >= ?1 AND lookup < ?2 AND (?3 IS NULL OR coalesce(retry_at, 0) <= ?3) ORDER BY lookup";
            let mut statement = database.prepare_cached(sql)?;
            let mut rows = statement.query(params![lookups.start, lookups.end, at])?;
            while found.len() < limit
                && let Some(row) = rows.next()?
            {
                let lookup = row.get(0)?;
                let due = Some((lookups::asked(row)?, row.get(3)?));
                found.push((lookup, Found { due, ..Found::of(lookup) }));
            }
        }
        Listed::Settled => carried_out::walk(database, lookups.clone(), |before| {
            found.push((before.lookup, Found { carried_out: Some(before), ..Found::of(before.lookup) }));
            Ok(if found.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?,
    }
    let end = found.last().filter(|_| found.len() >= limit).map_or(lookups.end, |(lookup, _)| lookup + 1);
    let places: Vec<(i64, usize)> = found.iter().zip(0..).map(|((lookup, _), place)| (*lookup, place)).collect();
    match which {
        Listed::Due(_) => carried_out::each_of(database, &places, |place, before| {
            found[*place].1.carried_out = Some(before);
            Ok(())
        })?,
        Listed::Settled => each_of(database, DUE_OF, 0, &places, |place, row| {
            found[*place].1.due = Some((lookups::asked(row)?, row.get(3)?));
            Ok(())
        })?,
    }
    Ok((found.into_iter().map(|(_, found)| found).collect(), end))
}

/// How many associations have work left. The two ends of a row of a junction object, whose first one is called `from …`, are one.
pub fn due_count(database: &Database, pipeline: &PipelineName) -> rusqlite::Result<u64> {
    let Some(pipeline) = pipeline_id(database, pipeline)? else { return Ok(0) };
    let mut statement = database
        .prepare_cached("SELECT lookup FROM due_associations WHERE lookup >= ?1 AND lookup < ?2 ORDER BY lookup")?;
    let mut count = 0;
    for lookup in together::all(database, pipeline)?.into_keys() {
        count += u64::from(standing_record(database, record_of(lookup))?.is_some());
    }
    database.stretches(pipeline, None, |stretch| {
        let range = stretch.lookups(None);
        let mut found = statement.query([range.start, range.end])?;
        // Records with how many lookups each has that have work left, and how many of those are the first end of a row.
        let mut records: Vec<(i64, (u64, u64))> = Vec::new();
        while let Some(row) = found.next()? {
            let lookup = row.get(0)?;
            let is_first_end = u64::from(is_first_end(&database.key(pipeline, lookup)?));
            match records.last_mut() {
                Some((record, (lookups, first_ends))) if *record == record_of(lookup) => {
                    *lookups += 1;
                    *first_ends += is_first_end;
                }
                _ => {
                    if records.len() == COUNTED_TOGETHER {
                        count += counted(database, &records)?;
                        records.clear();
                    }
                    records.push((record_of(lookup), (1, is_first_end)));
                }
            }
        }
        count += counted(database, &records)?;
        Ok(true)
    })?;
    Ok(count)
}

/// Records that are counted together: their numbers are held in memory.
const COUNTED_TOGETHER: usize = 2_000;

/// The associations with work left of records that stand.
fn counted(database: &Database, records: &[(i64, (u64, u64))]) -> rusqlite::Result<u64> {
    let mut count = 0;
    known::each_of(database, records, |(lookups, first_ends), known| {
        if stands(database, known.standing)? {
            count += lookups - if lookups > first_ends { first_ends } else { &0 };
        }
        Ok(())
    })?;
    Ok(count)
}

/// What is known of a lookup of a record, which is the HubSpot record `own` where one is known.
fn state(
    database: &Database,
    pipeline: i64,
    (lookup, salesforce_id, own): (i64, SalesforceId, Option<i64>),
    due: Option<Due>,
    carried_out: Option<CarriedOut>,
) -> rusqlite::Result<AssociationState> {
    let before = carried_out.map(|before| named(database, before.asked)).transpose()?;
    let wanted = match due {
        Some((wanted, _)) if wanted != carried_out.map(|before| before.asked) => {
            wanted.map(|wanted| named(database, wanted)).transpose()?
        }
        _ => before.clone(),
    };
    let settled = match carried_out.zip(before) {
        None => None,
        Some((before, asked)) => {
            let to_object = database.relation(before.relation)?.to_object;
            let from = before.from.or(own).map(|from| database.hubspot_id(from)).transpose()?;
            let to = database.hubspot_id(before.to)?;
            // An earlier version did not note the object; the pipeline's next run tells it.
            let from = from.filter(|_| !to_object.is_empty());
            from.map(|from| SettledPair { asked, from, to_object, to })
        }
    };
    let recheck = due.is_some_and(|(_, recheck)| recheck);
    Ok(AssociationState { salesforce_id, key: database.key(pipeline, lookup)?, wanted, settled, recheck })
}
