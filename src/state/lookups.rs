//! Lookups on their way into the state: what they ask for, what was carried out of it, and which of them have work left.

use std::collections::HashMap;
use std::ops::Range;

use rusqlite::{CachedStatement, OptionalExtension, Row, params};

use super::database::{Database, Relation, each_of, lookup_of, lookups_of, record_of};
use super::pipelines::pipeline_id;
use crate::model::association::{Asked, AssociationKey, PairKey, SettledPair};
use crate::model::ids::{PipelineName, SalesforceId};
use crate::ports::state::{Asking, LookupRef, SettledLookup};

/// What a lookup asks for, by numbers: the record and the label; none when it is blank.
type Wanted = Option<(i64, Option<i64>)>;

/// Puts a lookup among those with work left; what it knows of waiting stays where it asks for the same record.
const DUE: &str = "INSERT INTO due_associations (lookup, wanted, wanted_label, recheck) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (lookup) DO UPDATE SET wanted = excluded.wanted, wanted_label = excluded.wanted_label, recheck = excluded.recheck,
        waiting_since = iif(wanted IS excluded.wanted, waiting_since, NULL), retry_at = iif(wanted IS excluded.wanted, retry_at, NULL)";

/// Sets what lookups ask for; what was carried out stays. A lookup that asks for something else is due at once.
pub fn write_wanted(database: &Database, pipeline: i64, wanted: &[Asking]) -> rusqlite::Result<()> {
    let mut new: Vec<(i64, Wanted)> = Vec::with_capacity(wanted.len());
    for (id, key, asked) in wanted {
        let lookup = lookup_of(database.ensure_record(pipeline, id)?, database.ensure_place(pipeline, key)?);
        new.push((lookup, asked.as_ref().map(|asked| by_numbers(database, asked)).transpose()?));
    }
    // Of several for one lookup the last one counts.
    new.sort_by_key(|(lookup, _)| *lookup);
    new.reverse();
    new.dedup_by_key(|(lookup, _)| *lookup);
    new.reverse();
    let mut carried_out: HashMap<i64, Wanted> = HashMap::new();
    let lookups: Vec<(i64, i64)> = new.iter().map(|(lookup, _)| (*lookup, *lookup)).collect();
    each_of(database, CARRIED_OUT, 0, &lookups, |lookup, row| {
        carried_out.insert(*lookup, asked(row)?);
        Ok(())
    })?;
    let mut in_doubt: HashMap<i64, bool> = HashMap::new();
    each_of(database, RECHECKS, 0, &lookups, |lookup, row| {
        in_doubt.insert(*lookup, row.get(1)?);
        Ok(())
    })?;
    let mut due = database.prepare_cached(DUE)?;
    let mut done = database.prepare_cached("DELETE FROM due_associations WHERE lookup = ?1")?;
    for (lookup, wanted) in new {
        let recheck = in_doubt.get(&lookup).copied();
        let is_carried_out = carried_out.get(&lookup).copied().flatten() == wanted;
        if !is_carried_out || recheck == Some(true) {
            let (target, label) = columns(wanted);
            due.execute(params![lookup, target, label, recheck.unwrap_or_default()])?;
        } else if recheck.is_some() {
            done.execute([lookup])?;
        }
    }
    Ok(())
}

const CARRIED_OUT: &str =
    "SELECT lookup, target, label FROM associations WHERE lookup >= ?1 AND lookup <= ?2 ORDER BY lookup";

const RECHECKS: &str =
    "SELECT lookup, recheck FROM due_associations WHERE lookup >= ?1 AND lookup <= ?2 ORDER BY lookup";

/// What a row asks for whose second and third columns say so.
fn asked(row: &Row<'_>) -> rusqlite::Result<Wanted> {
    let label = row.get(2)?;
    Ok(row.get::<_, Option<i64>>(1)?.map(|target| (target, label)))
}

fn by_numbers(database: &Database, asked: &Asked) -> rusqlite::Result<(i64, Option<i64>)> {
    let label = asked.label.as_ref().map(|label| database.ensure_label(label)).transpose()?;
    Ok((database.ensure_target(&asked.target)?, label))
}

fn columns(wanted: Wanted) -> (Option<i64>, Option<i64>) {
    (wanted.map(|(target, _)| target), wanted.and_then(|(_, label)| label))
}

/// What was carried out of a lookup, by numbers.
struct CarriedOut {
    asked: (i64, Option<i64>),
    relation: i64,
    from: i64,
    to: i64,
}

/// Sets what was carried out; what lookups ask for stays.
pub fn write_settled(database: &Database, pipeline: i64, settled: &[SettledLookup]) -> rusqlite::Result<()> {
    let mut new: Vec<(i64, Option<CarriedOut>)> = Vec::with_capacity(settled.len());
    for (id, key, settled) in settled {
        let lookup = lookup_of(database.ensure_record(pipeline, id)?, database.ensure_place(pipeline, key)?);
        let carried_out = |(key, pair): &(_, _)| carried_out(database, key, pair);
        new.push((lookup, settled.as_ref().map(carried_out).transpose()?));
    }
    new.sort_by_key(|(lookup, _)| *lookup);
    let mut records: Vec<(i64, i64)> = new.iter().map(|(lookup, _)| (record_of(*lookup), record_of(*lookup))).collect();
    records.dedup();
    let mut near: HashMap<i64, i64> = HashMap::with_capacity(records.len());
    each_of(database, NEAR_ENDS, 0, &records, |record, row| {
        near.insert(*record, row.get(1)?);
        Ok(())
    })?;
    let known_before = any_before(database)?;
    let mut settling = Settling::new(database)?;
    for (lookup, settled) in new {
        let near_end = near.get(&record_of(lookup)).copied();
        settling.settle(lookup, settled.as_ref(), near_end)?;
        if known_before {
            database.prepare_cached("DELETE FROM pairs_before WHERE lookup = ?1")?.execute([lookup])?;
        }
    }
    Ok(())
}

const NEAR_ENDS: &str = "SELECT record, hubspot_id FROM identities WHERE record >= ?1 AND record <= ?2 ORDER BY record";

fn carried_out(database: &Database, key: &PairKey, pair: &SettledPair) -> rusqlite::Result<CarriedOut> {
    let relation = Relation { objects: key.objects, to_object: pair.to_object.clone() };
    Ok(CarriedOut {
        asked: by_numbers(database, &pair.asked)?,
        relation: database.ensure_relation(&relation)?,
        from: database.ensure_hubspot_id(&pair.from)?,
        to: database.ensure_hubspot_id(&pair.to)?,
    })
}

/// What was carried out, on its way into the state.
struct Settling<'a> {
    database: &'a Database,
    /// Mostly it is what was asked for, and nothing is left to do.
    done: CachedStatement<'a>,
    enter: CachedStatement<'a>,
}

impl<'a> Settling<'a> {
    fn new(database: &'a Database) -> rusqlite::Result<Self> {
        let done = "DELETE FROM due_associations WHERE lookup = ?1 AND wanted IS ?2 AND wanted_label IS ?3";
        let enter = "INSERT INTO associations (lookup, target, label, relation, from_id, to_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
            ON CONFLICT (lookup) DO UPDATE SET target = excluded.target, label = excluded.label, relation = excluded.relation,
                from_id = excluded.from_id, to_id = excluded.to_id";
        Ok(Self { database, done: database.prepare_cached(done)?, enter: database.prepare_cached(enter)? })
    }

    /// Sets what was carried out of one lookup, whose record is the HubSpot record `near_end`.
    fn settle(&mut self, lookup: i64, settled: Option<&CarriedOut>, near_end: Option<i64>) -> rusqlite::Result<()> {
        let database = self.database;
        let stands = settled.map(|settled| settled.asked);
        let (target, label) = columns(stands);
        if self.done.execute(params![lookup, target, label])? == 0 {
            let sql = "UPDATE due_associations SET recheck = 0 WHERE lookup = ?1";
            let is_due = database.prepare_cached(sql)?.execute([lookup])? > 0;
            // Nothing was due of it: so it asks for what was carried out before.
            let before = if is_due { None } else { Some(asked_before(database, lookup)?) };
            if let Some(wanted) = before.filter(|before| *before != stands) {
                let (target, label) = columns(wanted);
                database.prepare_cached(DUE)?.execute(params![lookup, target, label, false])?;
            }
        }
        let Some(new) = settled else {
            return database.prepare_cached("DELETE FROM associations WHERE lookup = ?1")?.execute([lookup]).map(drop);
        };
        let from = Some(new.from).filter(|from| Some(*from) != near_end);
        self.enter.execute(params![lookup, target, label, new.relation, from, new.to]).map(drop)
    }
}

fn asked_before(database: &Database, lookup: i64) -> rusqlite::Result<Wanted> {
    let sql = "SELECT lookup, target, label FROM associations WHERE lookup = ?1";
    Ok(database.prepare_cached(sql)?.query_row([lookup], asked).optional()?.flatten())
}

/// Whether something is left that an earlier version knew of pairs.
pub fn any_before(database: &Database) -> rusqlite::Result<bool> {
    database.prepare_cached("SELECT 1 FROM pairs_before LIMIT 1")?.exists([])
}

/// The number of a lookup, where it can have one.
fn number(database: &Database, pipeline: i64, (id, key): &LookupRef) -> rusqlite::Result<Option<i64>> {
    let (record, place) = (database.record(pipeline, id)?, database.place(pipeline, key)?);
    Ok(record.zip(place).map(|(record, place)| lookup_of(record, place)))
}

/// HubSpot is to be asked how these lookups stand.
pub fn write_rechecks(database: &Database, pipeline: i64, lookups: &[LookupRef]) -> rusqlite::Result<()> {
    for lookup in lookups {
        if let Some(lookup) = number(database, pipeline, lookup)? {
            recheck(database, lookup, Pause::Stays)?;
        }
    }
    Ok(())
}

/// What becomes of the time until which a lookup waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// It waits as before.
    Stays,
    /// It is looked at by the next run.
    Over,
    /// The same, as if it had never waited.
    Forgotten,
}

/// HubSpot is to be asked how one lookup stands.
pub fn recheck(database: &Database, lookup: i64, pause: Pause) -> rusqlite::Result<()> {
    let sql = "UPDATE due_associations SET recheck = 1, retry_at = iif(?2, NULL, retry_at),
        waiting_since = iif(?3, NULL, waiting_since) WHERE lookup = ?1";
    let (over, forgotten) = (pause != Pause::Stays, pause == Pause::Forgotten);
    if database.prepare_cached(sql)?.execute(params![lookup, over, forgotten])? == 0 {
        let sql = "INSERT INTO due_associations (lookup, wanted, wanted_label, recheck)
            SELECT lookup, target, label, 1 FROM associations WHERE lookup = ?1";
        database.prepare_cached(sql)?.execute([lookup])?;
    }
    Ok(())
}

/// HubSpot is to be asked how all lookups of a pipeline stand that were ever carried out.
pub fn recheck_all(database: &Database, pipeline: &PipelineName) -> rusqlite::Result<()> {
    let Some(pipeline) = pipeline_id(database, pipeline)? else { return Ok(()) };
    let mut statement = database.prepare_cached(
        "INSERT INTO due_associations (lookup, wanted, wanted_label, recheck)
         SELECT lookup, target, label, 1 FROM associations WHERE lookup >= ?1 AND lookup < ?2
         ON CONFLICT (lookup) DO UPDATE SET recheck = 1",
    )?;
    database.stretches(pipeline, None, |stretch| {
        let lookups = stretch.lookups(None);
        statement.execute([lookups.start, lookups.end])?;
        Ok(true)
    })
}

/// Puts associations off that cannot be made yet. The pause is three times as long as they have waited, so that a new one
/// is tried by the next run and an old one rarely, and at most [`WAIT_MAX_MS`].
pub fn write_waiting(database: &Database, pipeline: i64, waiting: &[LookupRef], at: i64) -> rusqlite::Result<()> {
    let mut statement = database.prepare_cached(
        "UPDATE due_associations SET waiting_since = coalesce(waiting_since, ?2),
             retry_at = ?2 + min(max(3 * (?2 - coalesce(waiting_since, ?2)), 0), ?3)
         WHERE lookup = ?1",
    )?;
    for lookup in waiting {
        if let Some(lookup) = number(database, pipeline, lookup)? {
            statement.execute(params![lookup, at, WAIT_MAX_MS])?;
        }
    }
    Ok(())
}

/// Longest pause between two tries, in milliseconds: an hour.
const WAIT_MAX_MS: i64 = 3_600_000;

/// Whether any lookup waits for a record.
pub fn any_waits(database: &Database) -> rusqlite::Result<bool> {
    database.prepare_cached("SELECT 1 FROM due_associations WHERE retry_at IS NOT NULL LIMIT 1")?.exists([])
}

/// A record has appeared in HubSpot: the lookups that wait for it are due at once.
pub fn wake(database: &Database, id: &SalesforceId) -> rusqlite::Result<()> {
    let Some(target) = database.target(id)? else { return Ok(()) };
    let sql = "SELECT lookup FROM due_associations WHERE wanted = ?1 AND retry_at IS NOT NULL";
    let mut statement = database.prepare_cached(sql)?;
    let waiting: Vec<i64> = statement.query_map([target], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for lookup in waiting {
        let (pipeline, _) = database.id_of(record_of(lookup))?;
        // Where the first end of a row of a junction object has come, the other end waited with it.
        let with_it = match is_first_end(&database.key(pipeline, lookup)?) {
            true => lookups_of(record_of(lookup)),
            false => lookup..lookup + 1,
        };
        wait_until(database, with_it, None)?;
    }
    Ok(())
}

/// Has lookups of a record that have work left wait until some time, whatever they have waited for so far.
pub fn wait_until(database: &Database, lookups: Range<i64>, until: Option<i64>) -> rusqlite::Result<()> {
    let sql = "UPDATE due_associations SET waiting_since = NULL, retry_at = ?3 WHERE lookup >= ?1 AND lookup < ?2";
    database.prepare_cached(sql)?.execute(params![lookups.start, lookups.end, until]).map(drop)
}

/// Whether a key is that of the first end of a row of a junction object.
pub fn is_first_end(key: &AssociationKey) -> bool {
    key.0.starts_with("from ")
}

/// The HubSpot record of a record is about to become another one: the lookups that led from it have done so all the same.
pub fn keep_near_end(database: &Database, record: i64, hubspot_id: i64) -> rusqlite::Result<()> {
    let lookups = lookups_of(record);
    let sql = "UPDATE associations SET from_id = ?3 WHERE lookup >= ?1 AND lookup < ?2 AND from_id IS NULL";
    database.prepare_cached(sql)?.execute([lookups.start, lookups.end, hubspot_id]).map(drop)
}

/// A record came back to HubSpot as another one: what led from the one before is carried out again, and what led to it is looked at before
/// the next lookups that are due are read.
pub fn replaced(
    database: &Database,
    (record, id): (i64, &SalesforceId),
    before: i64,
    now: i64,
) -> rusqlite::Result<()> {
    let lookups = lookups_of(record);
    let sql = "SELECT lookup FROM associations WHERE lookup >= ?1 AND lookup < ?2 AND from_id <> ?3";
    let mut statement = database.prepare_cached(sql)?;
    let leading: Vec<i64> =
        statement.query_map([lookups.start, lookups.end, now], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for lookup in leading {
        recheck(database, lookup, Pause::Forgotten)?;
    }
    if let Some(target) = database.target(id)? {
        let sql = "INSERT OR IGNORE INTO replaced_records (target, before) VALUES (?1, ?2)";
        database.prepare_cached(sql)?.execute([target, before])?;
    }
    Ok(())
}

/// Whether records came back as others since that was looked at.
pub fn any_replaced(database: &Database) -> rusqlite::Result<bool> {
    database.prepare_cached("SELECT 1 FROM replaced_records LIMIT 1")?.exists([])
}

/// Replaced records that are looked at together: they are held in memory.
const REPLACED_MAX: i64 = 50_000;

/// Lookups that led to records which came back as others are carried out again. One way through all associations serves all of those records.
pub fn follow_replaced(database: &Database) -> rusqlite::Result<()> {
    let mut first = database.prepare_cached("SELECT target, before FROM replaced_records LIMIT ?1")?;
    let pairs: Vec<(i64, i64)> =
        first.query_map([REPLACED_MAX], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
    let mut targets: HashMap<i64, Vec<i64>> = HashMap::new();
    for (target, before) in &pairs {
        targets.entry(*before).or_default().push(*target);
    }
    let mut all = database.prepare_cached("SELECT lookup, target, to_id FROM associations")?;
    let mut wanted = database.prepare_cached("SELECT wanted FROM due_associations WHERE lookup = ?1")?;
    let mut found = all.query([])?;
    while let Some(row) = found.next()? {
        let Some(targets) = targets.get(&row.get(2)?) else { continue };
        let lookup: i64 = row.get(0)?;
        let due: Option<Option<i64>> = wanted.query_row([lookup], |row| row.get(0)).optional()?;
        let asked = due.unwrap_or(Some(row.get(1)?));
        if asked.is_some_and(|asked| targets.contains(&asked)) {
            recheck(database, lookup, Pause::Forgotten)?;
        }
    }
    let mut done = database.prepare_cached("DELETE FROM replaced_records WHERE target = ?1 AND before = ?2")?;
    for (target, before) in pairs {
        done.execute([target, before])?;
    }
    Ok(())
}
