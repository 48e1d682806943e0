//! Lookups on their way into the state: what they ask for, what was carried out of it, and which of them have work left.

use std::collections::HashMap;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use rusqlite::{OptionalExtension, Row, params};

use super::carried_out::{self, CarriedOut, Leading, Pair};
use super::database::{Database, Relation, each_of, lookup_of, lookups_of, record_of, walk};
use super::due::{Asks, Due, Wanted, enter_due};
use super::inserts::each_once;
use super::pipelines::pipeline_id;
use super::together;
use crate::model::association::{Asked, AssociationKey, PairKey, SettledPair};
use crate::model::ids::{PipelineName, SalesforceId};
use crate::ports::state::{Asking, LookupRef, MakingLookup, SettledLookup};

/// Sets what lookups ask for; what was carried out stays. A lookup that asks for something else is due at once.
pub fn write_wanted(database: &Database, pipeline: i64, wanted: &[Asking]) -> rusqlite::Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    let mut new: Vec<(i64, Wanted)> = Vec::with_capacity(wanted.len());
    let mut places = Places { database, pipeline, last: None };
    for (id, key, asked) in wanted {
        let lookup = lookup_of(database.ensure_record(pipeline, id)?, places.ensure(key)?);
        new.push((lookup, asked.as_ref().map(|asked| by_numbers(database, asked)).transpose()?));
    }
    // Of several for one lookup the last one counts.
    new.sort_by_key(|(lookup, _)| *lookup);
    new.reverse();
    new.dedup_by_key(|(lookup, _)| *lookup);
    new.reverse();
    let lookups: Vec<i64> = new.iter().map(|(lookup, _)| *lookup).collect();
    together::spread(database, pipeline, &lookups)?;
    let mut carried_out: HashMap<i64, Wanted> = HashMap::new();
    let lookups: Vec<(i64, i64)> = lookups.into_iter().map(|lookup| (lookup, lookup)).collect();
    carried_out::each_of(database, &lookups, |lookup, before| {
        carried_out.insert(*lookup, Some(before.asked));
        Ok(())
    })?;
    let mut in_doubt: HashMap<i64, bool> = HashMap::new();
    each_of(database, DUE_OF, 0, &lookups, |lookup, row| {
        in_doubt.insert(*lookup, row.get(3)?);
        Ok(())
    })?;
    let mut due: Vec<Due> = Vec::with_capacity(new.len());
    let mut done = database.prepare_cached("DELETE FROM due_associations WHERE lookup = ?1")?;
    for (lookup, wanted) in new {
        let recheck = in_doubt.get(&lookup).copied();
        let is_carried_out = carried_out.get(&lookup).copied().flatten() == wanted;
        if !is_carried_out || recheck == Some(true) {
            due.push((lookup, wanted, recheck.unwrap_or_default()));
        } else if recheck.is_some() {
            done.execute([lookup])?;
        }
    }
    let is_fresh = carried_out.is_empty() && in_doubt.is_empty() && due.len() >= together::FRESH_MIN;
    match together::fitting(&due).filter(|_| is_fresh) {
        // The two ends of a row of a junction object wait for each other, so each has a row.
        Some(fresh) if !has_first_ends(database, pipeline)? => together::enter(database, pipeline, &fresh),
        _ => enter_due(database, &due),
    }
}

/// Finds the places of keys: mostly the one that was met last.
struct Places<'a> {
    database: &'a Database,
    pipeline: i64,
    last: Option<(&'a AssociationKey, i64)>,
}

impl<'a> Places<'a> {
    fn ensure(&mut self, key: &'a AssociationKey) -> rusqlite::Result<i64> {
        match self.last {
            Some((last, place)) if Arc::ptr_eq(&last.0, &key.0) => Ok(place),
            _ => {
                let place = self.database.ensure_place(self.pipeline, key)?;
                self.last = Some((key, place));
                Ok(place)
            }
        }
    }
}

/// What lookups with work left ask for, as [`asked`] reads it.
pub const DUE_OF: &str = "SELECT lookup, wanted, wanted_label, recheck FROM due_associations WHERE lookup >= ?1 AND lookup <= ?2 ORDER BY lookup";

/// What a row asks for whose second and third columns say so.
pub fn asked(row: &Row<'_>) -> rusqlite::Result<Wanted> {
    let label = row.get(2)?;
    Ok(row.get::<_, Option<i64>>(1)?.map(|target| (target, label)))
}

fn by_numbers(database: &Database, asked: &Asked) -> rusqlite::Result<Asks> {
    let label = asked.label.as_ref().map(|label| database.ensure_label(label)).transpose()?;
    Ok((database.ensure_target(&asked.target)?, label))
}

/// A lookup, and what was carried out of it.
type Settled = (i64, Option<(Asks, Pair)>);

/// Sets what was carried out; what lookups ask for stays.
pub fn write_settled(database: &Database, pipeline: i64, settled: &[SettledLookup]) -> rusqlite::Result<()> {
    if settled.is_empty() {
        return Ok(());
    }
    let new = settled.iter().map(|(id, key, settled)| (id, key, settled.as_ref()));
    let (first, again) = each_once(by_lookup(database, pipeline, new)?);
    settle(database, pipeline, &first)?;
    // Of several for one lookup the last one counts.
    again.into_iter().try_for_each(|settled| settle(database, pipeline, &[settled]))
}

/// Sets what is about to be carried out, which is in doubt until it is settled or confirmed.
pub fn write_making(database: &Database, pipeline: i64, making: &[MakingLookup]) -> rusqlite::Result<()> {
    let making = making.iter().map(|(id, key, making)| (id, key, Some(making)));
    let (new, again) = each_once(by_lookup(database, pipeline, making)?);
    let leading: Vec<Leading> = new.iter().filter_map(|(lookup, making)| Some((*lookup, (*making)?))).collect();
    // Where a lookup is made twice, what is known of the first is known of a row of its own.
    let noted = if again.is_empty() { together::note(database, pipeline, &leading)? } else { Vec::new() };
    let others: Vec<Settled> = new.into_iter().filter(|(lookup, _)| noted.binary_search(lookup).is_err()).collect();
    doubt(database, pipeline, &others)?;
    again.into_iter().try_for_each(|making| doubt(database, pipeline, &[making]))
}

/// Sets what is about to be carried out of different lookups, which are in order.
fn doubt(database: &Database, pipeline: i64, making: &[Settled]) -> rusqlite::Result<()> {
    if making.is_empty() {
        return Ok(());
    }
    settle(database, pipeline, making)?;
    making.iter().try_for_each(|(lookup, _)| recheck(database, *lookup, Pause::Stays))
}

/// What is carried out of lookups, in their order.
fn by_lookup<'a>(
    database: &'a Database,
    pipeline: i64,
    settled: impl Iterator<Item = (&'a SalesforceId, &'a AssociationKey, Option<&'a (PairKey, SettledPair)>)>,
) -> rusqlite::Result<Vec<Settled>> {
    let mut new: Vec<Settled> = Vec::with_capacity(settled.size_hint().0);
    let mut places = Places { database, pipeline, last: None };
    for (id, key, settled) in settled {
        let lookup = lookup_of(database.ensure_record(pipeline, id)?, places.ensure(key)?);
        new.push((lookup, settled.map(|(key, pair)| carried_out(database, key, pair)).transpose()?));
    }
    new.sort_by_key(|(lookup, _)| *lookup);
    Ok(new)
}

fn carried_out(database: &Database, key: &PairKey, pair: &SettledPair) -> rusqlite::Result<(Asks, Pair)> {
    let relation = Relation { objects: key.objects, to_object: pair.to_object.clone() };
    let ends = Pair {
        relation: database.ensure_relation(&relation)?,
        from: database.ensure_hubspot_id(&pair.from)?,
        to: database.ensure_hubspot_id(&pair.to)?,
    };
    Ok((by_numbers(database, &pair.asked)?, ends))
}

/// Sets what was carried out of different lookups, which are in order.
fn settle(database: &Database, pipeline: i64, settled: &[Settled]) -> rusqlite::Result<()> {
    let asked: Vec<(i64, Wanted)> =
        settled.iter().map(|(lookup, settled)| (*lookup, settled.map(|(asks, _)| asks))).collect();
    let was_due = not_due_any_more(database, pipeline, &asked)?;
    // Nothing was due of the others: so they ask for what was carried out before.
    let mut due: Vec<Due> = Vec::new();
    for ((lookup, now), _) in asked.iter().zip(&was_due).filter(|(_, was_due)| !**was_due) {
        let before = asked_before(database, *lookup)?;
        if before != *now {
            due.push((*lookup, before, false));
        }
    }
    enter_due(database, &due)?;
    let stands: Vec<Leading> = settled.iter().filter_map(|(lookup, settled)| Some((*lookup, (*settled)?))).collect();
    carried_out::enter(database, &stands)?;
    let is_gone = |(_, settled): &&Settled| settled.is_none();
    let gone: Vec<(i64, ())> = settled.iter().filter(is_gone).map(|(lookup, _)| (*lookup, ())).collect();
    carried_out::change(database, &gone, |(), _| None)?;
    if any_before(database)? {
        let lookups: Vec<i64> = settled.iter().map(|(lookup, _)| *lookup).collect();
        run_each(database, "DELETE FROM pairs_before WHERE lookup = ?1", &lookups)?;
    }
    Ok(())
}

fn run_each(database: &Database, sql: &str, lookups: &[i64]) -> rusqlite::Result<()> {
    let mut statement = database.prepare_cached(sql)?;
    lookups.iter().try_for_each(|lookup| statement.execute([lookup]).map(drop))
}

/// What was carried out of lookups stands: nothing is left to do of those that ask for that.
pub fn write_confirmed(
    database: &Database,
    pipeline: i64,
    confirmed: &[(SalesforceId, AssociationKey, Asked)],
) -> rusqlite::Result<()> {
    if confirmed.is_empty() {
        return Ok(());
    }
    let mut stands: Vec<(i64, Wanted)> = Vec::with_capacity(confirmed.len());
    let mut places = Places { database, pipeline, last: None };
    for (id, key, asked) in confirmed {
        let lookup = lookup_of(database.ensure_record(pipeline, id)?, places.ensure(key)?);
        stands.push((lookup, Some(by_numbers(database, asked)?)));
    }
    stands.sort_by_key(|(lookup, _)| *lookup);
    stands.dedup_by_key(|(lookup, _)| *lookup);
    // What was noted of those that share a row becomes what was carried out of them.
    let lookups: Vec<i64> = stands.iter().map(|(lookup, _)| *lookup).collect();
    together::spread_noted(database, pipeline, &lookups)?;
    not_due_any_more(database, pipeline, &stands).map(drop)
}

/// Takes lookups, which are in order, from those with work left of which was carried out what they ask for: mostly all of them are. Which of
/// them had work left.
fn not_due_any_more(database: &Database, pipeline: i64, settled: &[(i64, Wanted)]) -> rusqlite::Result<Vec<bool>> {
    let mut is_due = vec![false; settled.len()];
    let range = (settled[0].0, settled[settled.len() - 1].0);
    let carried_out = |(lookup, asked)| {
        let place = settled.binary_search_by_key(&lookup, |(lookup, _)| *lookup).ok()?;
        Some((place, settled[place].1 == Some(asked)))
    };
    for place in together::settle(database, pipeline, range, carried_out)? {
        is_due[place] = true;
    }
    let others = settled.iter().enumerate().filter(|(place, _)| !is_due[*place]);
    let lookups: Vec<(i64, usize)> = others.map(|(place, (lookup, _))| (*lookup, place)).collect();
    // Rows to take away that lie side by side, from the first to the last lookup.
    let mut done: Vec<(i64, i64)> = Vec::new();
    let mut open = None;
    let mut still: Vec<i64> = Vec::new();
    walk(database, DUE_OF, 0, &lookups, |place, row| {
        let lookup: i64 = row.get(0)?;
        let is_done = match place {
            Some(place) => {
                is_due[*place] = true;
                asked(row)? == settled[*place].1
            }
            None => false,
        };
        match (is_done, open) {
            (true, None) => open = Some((lookup, lookup)),
            (true, Some((first, _))) => open = Some((first, lookup)),
            (false, _) => {
                done.extend(open.take());
                still.extend(place.map(|_| lookup));
            }
        }
        Ok(())
    })?;
    done.extend(open);
    let mut delete = database.prepare_cached("DELETE FROM due_associations WHERE lookup >= ?1 AND lookup <= ?2")?;
    for (first, last) in done {
        delete.execute([first, last])?;
    }
    run_each(database, "UPDATE due_associations SET recheck = 0 WHERE lookup = ?1", &still)?;
    Ok(is_due)
}

fn asked_before(database: &Database, lookup: i64) -> rusqlite::Result<Wanted> {
    Ok(carried_out::get(database, lookup)?.map(|before| before.asked))
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
    for lookup in rows_of_their_own(database, pipeline, lookups)? {
        recheck(database, lookup, Pause::Stays)?;
    }
    Ok(())
}

/// The numbers of lookups, in order, which have rows of their own if any.
fn rows_of_their_own(database: &Database, pipeline: i64, lookups: &[LookupRef]) -> rusqlite::Result<Vec<i64>> {
    let mut numbers = Vec::with_capacity(lookups.len());
    for lookup in lookups {
        numbers.extend(number(database, pipeline, lookup)?);
    }
    numbers.sort_unstable();
    together::spread(database, pipeline, &numbers)?;
    Ok(numbers)
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
    if database.prepare_cached(sql)?.execute(params![lookup, over, forgotten])? == 0
        && let Some(before) = carried_out::get(database, lookup)?
    {
        enter_due(database, &[(lookup, Some(before.asked), true)])?;
    }
    Ok(())
}

/// HubSpot is to be asked how all lookups of a pipeline stand that were ever carried out.
pub fn recheck_all(database: &Database, pipeline: &PipelineName) -> rusqlite::Result<()> {
    let Some(pipeline) = pipeline_id(database, pipeline)? else { return Ok(()) };
    let mut statement = database.prepare_cached(
        "INSERT INTO due_associations (lookup, wanted, wanted_label, recheck) VALUES (?1, ?2, ?3, 1)
         ON CONFLICT (lookup) DO UPDATE SET recheck = 1",
    )?;
    database.stretches(pipeline, None, |stretch| {
        carried_out::walk(database, stretch.lookups(None), |before| {
            statement.execute(params![before.lookup, before.asked.0, before.asked.1])?;
            Ok(ControlFlow::Continue(()))
        })?;
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
    for lookup in rows_of_their_own(database, pipeline, waiting)? {
        statement.execute(params![lookup, at, WAIT_MAX_MS])?;
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

/// Whether a pipeline has such lookups: it copies a junction object.
fn has_first_ends(database: &Database, pipeline: i64) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM association_keys WHERE pipeline = ?1 AND key GLOB 'from *'";
    database.prepare_cached(sql)?.exists([pipeline])
}

/// The HubSpot record of a record is about to become another one: the lookups that led from it have done so all the same.
pub fn keep_near_end(database: &Database, record: i64, hubspot_id: i64) -> rusqlite::Result<()> {
    let lookups = of_record(database, record, |before| before.from.is_none())?;
    carried_out::change(database, &lookups, |(), before| {
        before.map(|before| CarriedOut { from: Some(hubspot_id), ..before })
    })
}

/// The lookups of a record of which something was carried out, of some kind.
fn of_record(
    database: &Database,
    record: i64,
    which: impl Fn(&CarriedOut) -> bool,
) -> rusqlite::Result<Vec<(i64, ())>> {
    let mut lookups: Vec<(i64, ())> = Vec::new();
    carried_out::walk(database, lookups_of(record), |before| {
        lookups.extend(which(&before).then_some((before.lookup, ())));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(lookups)
}

/// A record came back to HubSpot as another one: what led from the one before is carried out again, and what led to it is looked at before
/// the next lookups that are due are read.
pub fn replaced(
    database: &Database,
    (record, id): (i64, &SalesforceId),
    before: i64,
    now: i64,
) -> rusqlite::Result<()> {
    for (lookup, ()) in of_record(database, record, |before| before.from.is_some_and(|from| from != now))? {
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
    let mut wanted = database.prepare_cached("SELECT wanted FROM due_associations WHERE lookup = ?1")?;
    carried_out::all(database, |before| {
        let Some(targets) = targets.get(&before.to) else { return Ok(()) };
        let due: Option<Option<i64>> = wanted.query_row([before.lookup], |row| row.get(0)).optional()?;
        let asked = due.unwrap_or(Some(before.asked.0));
        if asked.is_some_and(|asked| targets.contains(&asked)) {
            recheck(database, before.lookup, Pause::Forgotten)?;
        }
        Ok(())
    })?;
    let mut done = database.prepare_cached("DELETE FROM replaced_records WHERE target = ?1 AND before = ?2")?;
    for (target, before) in pairs {
        done.execute([target, before])?;
    }
    Ok(())
}
