//! Pairs of HubSpot records: which lookups ask for associations between them, and what of those is ours.

use std::collections::HashSet;

use super::database::{Database, PLACE_BITS, Relation, STEPS_MAX, UNKNOWN_OBJECTS, each_of, record_of};
use super::identities::{standing_record, stands};
use super::inserts::Insert;
use super::lookups::{Pause, recheck};
use super::together;
use crate::model::association::{OwnedType, PairKey, PairRequest};
use crate::model::ids::{HubspotId, PipelineName};

/// A lookup that was carried out, and what that led to.
#[derive(Clone, Copy)]
struct Leading {
    /// The place of the pair among those that were asked about.
    pair: usize,
    lookup: i64,
    relation: i64,
    from: i64,
}

/// The lookups of all pipelines that ask for associations between these pairs of records now: what was carried out of them is
/// still what they ask for, and their records stand.
pub fn requests(database: &Database, pairs: &[PairKey]) -> rusqlite::Result<Vec<PairRequest>> {
    let mut leading = leading(database, pairs)?;
    leading.sort_by_key(|leading| leading.lookup);
    let of_lookup = |alike: &'_ [Leading]| (alike[0].lookup, alike.to_vec());
    let lookups: Vec<(i64, Vec<Leading>)> =
        leading.chunk_by(|one, other| one.lookup == other.lookup).map(of_lookup).collect();
    let mut names: Vec<(i64, PipelineName)> = Vec::new();
    let mut found = Vec::with_capacity(leading.len());
    each_of(database, ASKED, 0, &lookups, |alike, row| {
        let asked: (Option<i64>, Option<i64>) =
            if row.get(3)? { (row.get(4)?, row.get(5)?) } else { (row.get(1)?, row.get(2)?) };
        if asked.0 != row.get(1)? || !stands(database, row.get(6)?)? {
            return Ok(());
        }
        for Leading { pair, lookup, relation, from } in alike {
            let (pipeline, salesforce_id) = database.id_of(record_of(*lookup))?;
            found.push(PairRequest {
                pair: pairs[*pair],
                pipeline: name_of(database, &mut names, pipeline)?,
                salesforce_id,
                key: database.key(pipeline, *lookup)?,
                from: database.hubspot_id(*from)?,
                to_object: database.relation(*relation)?.to_object,
                label: asked.1.map(|label| database.label(label)).transpose()?,
            });
        }
        Ok(())
    })?;
    let Some((first, last)) = newer_ends(pairs) else { return Ok(found) };
    let noted = together::noted(database, first, last)?;
    let asked: HashSet<PairKey> = if noted.is_empty() { HashSet::new() } else { pairs.iter().copied().collect() };
    for (lookup, (asks, leads)) in noted {
        let relation = database.relation(leads.relation)?;
        let (newer, older) = (leads.from.max(leads.to), leads.from.min(leads.to));
        let pair = PairKey { newer, older, objects: relation.objects };
        if !asked.contains(&pair) || standing_record(database, record_of(lookup))?.is_none() {
            continue;
        }
        let (pipeline, salesforce_id) = database.id_of(record_of(lookup))?;
        found.push(PairRequest {
            pair,
            pipeline: name_of(database, &mut names, pipeline)?,
            salesforce_id,
            key: database.key(pipeline, lookup)?,
            from: database.hubspot_id(leads.from)?,
            to_object: relation.to_object,
            label: asks.1.map(|label| database.label(label)).transpose()?,
        });
    }
    Ok(found)
}

/// The first and the last of the newer records of pairs.
fn newer_ends(pairs: &[PairKey]) -> Option<(i64, i64)> {
    let newer = || pairs.iter().map(|pair| pair.newer);
    newer().min().zip(newer().max())
}

/// What lookups from `?1` to `?2` ask for, and how their records stand.
const ASKED: &str = "SELECT a.lookup, a.target, a.label, d.lookup IS NOT NULL, d.wanted, d.wanted_label, i.standing
    FROM associations a CROSS JOIN identities i ON i.record = a.lookup >> 10
    LEFT JOIN due_associations d ON d.lookup = a.lookup WHERE a.lookup >= ?1 AND a.lookup <= ?2 ORDER BY a.lookup";

/// The name of a pipeline; a batch meets few of them.
fn name_of(database: &Database, names: &mut Vec<(i64, PipelineName)>, pipeline: i64) -> rusqlite::Result<PipelineName> {
    if let Some((_, name)) = names.iter().find(|(known, _)| *known == pipeline) {
        return Ok(name.clone());
    }
    let sql = "SELECT name FROM pipelines WHERE id = ?1";
    let name = PipelineName::new(database.prepare_cached(sql)?.query_row([pipeline], |row| row.get::<_, String>(0))?);
    names.push((pipeline, name.clone()));
    Ok(name)
}

/// The lookups that led to these pairs of records: those of the records that either end is, and those that led from an end although
/// their own record is another.
fn leading(database: &Database, pairs: &[PairKey]) -> rusqlite::Result<Vec<Leading>> {
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    // Each pair from both sides, in the order of the near end. Records of different objects may have the same ids.
    let mut ends: Vec<End> = Vec::with_capacity(2 * pairs.len());
    let placed = || (0..).zip(pairs);
    ends.extend(placed().map(|(place, pair)| End { near: pair.newer, far: pair.older, pair: place }));
    let turned = placed().filter(|(_, pair)| pair.newer != pair.older);
    ends.extend(turned.map(|(place, pair)| End { near: pair.older, far: pair.newer, pair: place }));
    // Pairs come in the order of their newer ends, which this sort makes use of.
    ends.sort();
    let nears: Vec<(i64, &[End])> = ends.chunk_by(|one, other| one.near == other.near).map(near).collect();
    let mut records: Vec<(i64, &[End])> = Vec::new();
    each_of(database, RECORDS, 0, &nears, |ends, row| {
        records.push((row.get(1)?, *ends));
        Ok(())
    })?;
    records.sort_unstable_by_key(|(record, _)| *record);
    let mut found: Vec<Leading> = Vec::new();
    let mut enter = |ends: &[End], far: i64, lookup: i64, relation: i64| -> rusqlite::Result<()> {
        let first = ends.partition_point(|end| end.far < far);
        for end in ends[first..].iter().take_while(|end| end.far == far) {
            let objects = database.relation(relation)?.objects;
            // What is not known is taken for the same pair, until the pipeline's next run tells: nothing is removed that it may ask for.
            if objects == pairs[end.pair].objects || objects == UNKNOWN_OBJECTS {
                found.push(Leading { pair: end.pair, lookup, relation, from: end.near });
            }
        }
        Ok(())
    };
    each_of(database, LOOKUPS, PLACE_BITS, &records, |ends, row| {
        if row.get::<_, Option<i64>>(3)?.is_none() {
            enter(ends, row.get(2)?, row.get(0)?, row.get(1)?)
        } else {
            Ok(())
        }
    })?;
    let elsewhere = "SELECT 1 FROM associations WHERE from_id IS NOT NULL LIMIT 1";
    if database.prepare_cached(elsewhere)?.exists([])? {
        let sql = "SELECT lookup, relation FROM associations WHERE from_id = ?1 AND to_id = ?2";
        let mut statement = database.prepare_cached(sql)?;
        for alike in ends.chunk_by(|one, other| (one.near, one.far) == (other.near, other.far)) {
            let End { near, far, .. } = alike[0];
            let mut rows = statement.query([near, far])?;
            while let Some(row) = rows.next()? {
                enter(alike, far, row.get(0)?, row.get(1)?)?;
            }
        }
    }
    Ok(found)
}

/// A pair of records, seen from one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct End {
    near: i64,
    far: i64,
    /// The place of the pair among those that were asked about.
    pair: usize,
}

fn near(ends: &[End]) -> (i64, &[End]) {
    (ends[0].near, ends)
}

/// The records that are HubSpot records from `?1` to `?2`.
const RECORDS: &str =
    "SELECT hubspot_id, record FROM identities WHERE hubspot_id >= ?1 AND hubspot_id <= ?2 ORDER BY hubspot_id";

const LOOKUPS: &str =
    "SELECT lookup, relation, to_id, from_id FROM associations WHERE lookup >= ?1 AND lookup <= ?2 ORDER BY lookup";

/// What of the associations between these pairs of records is ours.
pub fn owned(database: &Database, pairs: &[PairKey]) -> rusqlite::Result<Vec<OwnedType>> {
    let mut wanted: Vec<(i64, i64, i64, PairKey)> = Vec::with_capacity(pairs.len());
    // Mostly one for all, which may not be there yet.
    let mut met = None;
    for pair in pairs {
        let relation = match met {
            Some((objects, relation)) if objects == pair.objects => relation,
            _ => met.insert((pair.objects, database.relation_number(&alone(pair))?)).1,
        };
        wanted.extend(relation.map(|relation| (pair.newer, pair.older, relation, *pair)));
    }
    wanted.sort_unstable();
    wanted.dedup();
    let mut found = Vec::new();
    let mut statement = database.prepare_cached(
        "SELECT newer, older, relation, label, from_id FROM owned_types
         WHERE (newer, older, relation) >= (?1, ?2, ?3) AND newer <= ?4 ORDER BY newer, older, relation, label, from_id",
    )?;
    let last = wanted.last().map_or(0, |(newer, ..)| *newer);
    let mut next = 0;
    // Along the table where pairs lie close together, and with a leap where they do not, as `each_of` does.
    'leaps: while let Some((newer, older, relation, _)) = wanted.get(next) {
        let mut rows = statement.query([*newer, *older, *relation, last])?;
        let mut in_vain = 0;
        while let Some(row) = rows.next()? {
            let here: (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            while wanted.get(next).is_some_and(|(newer, older, relation, _)| (*newer, *older, *relation) < here) {
                next += 1;
            }
            match wanted.get(next) {
                None => break 'leaps,
                Some((newer, older, relation, pair)) if (*newer, *older, *relation) == here => {
                    let label = match row.get(3)? {
                        NO_LABEL => None,
                        label => Some((database.hubspot_id(row.get(4)?)?, database.label(label)?)),
                    };
                    in_vain = 0;
                    found.push(OwnedType { pair: *pair, label });
                }
                Some(_) if in_vain == STEPS_MAX => continue 'leaps,
                Some(_) => in_vain += 1,
            }
        }
        break;
    }
    Ok(found)
}

/// In the place of a label's number: the plain association.
const NO_LABEL: i64 = 0;

/// What two records are, whichever of them is looked at.
fn alone(pair: &PairKey) -> Relation {
    Relation { objects: pair.objects, to_object: Default::default() }
}

static OWN: Insert = Insert::new(
    "INSERT OR FAIL INTO owned_types (newer, older, relation, label, from_id) VALUES",
    "ooccc",
    "ON CONFLICT DO NOTHING",
);

/// Notes what is ours, and what is no longer.
pub fn write_owned(database: &Database, owned: &[OwnedType], disowned: &[OwnedType]) -> rusqlite::Result<()> {
    const FORGET: &str =
        "DELETE FROM owned_types WHERE newer = ?1 AND older = ?2 AND relation = ?3 AND label = ?4 AND from_id = ?5";
    let mut forget = database.prepare_cached(FORGET)?;
    for row in by_numbers(database, disowned)? {
        forget.execute(row)?;
    }
    let common = |[_, _, relation, label, from]: &[i64; 5]| [Some(*relation), Some(*label), Some(*from)];
    OWN.rows(database, &by_numbers(database, owned)?, common, |values, [newer, older, ..]| {
        values.put(newer)?;
        values.put(older)
    })
}

/// The rows of what is ours, in their order.
fn by_numbers(database: &Database, types: &[OwnedType]) -> rusqlite::Result<Vec<[i64; 5]>> {
    let mut rows = Vec::with_capacity(types.len());
    for owned in types {
        let relation = database.ensure_relation(&alone(&owned.pair))?;
        let (label, from) = match &owned.label {
            None => (NO_LABEL, 0),
            Some((from, label)) => (database.ensure_label(label)?, database.ensure_hubspot_id(from)?),
        };
        rows.push([owned.pair.newer, owned.pair.older, relation, label, from]);
    }
    rows.sort_unstable();
    rows.dedup();
    Ok(rows)
}

/// Something was removed from these pairs of records: lookups that ask for associations between them from the other side, or in
/// other pipelines, are looked at again, also those that began to ask meanwhile.
pub fn recheck_pairs(database: &Database, pipeline: i64, pairs: &[(PairKey, HubspotId)]) -> rusqlite::Result<()> {
    let keys: Vec<PairKey> = pairs.iter().map(|(pair, _)| *pair).collect();
    if let Some((first, last)) = newer_ends(&keys) {
        together::spread_noted_to(database, first, last)?;
    }
    for Leading { pair, lookup, from, .. } in leading(database, &keys)? {
        let (of, _) = database.id_of(record_of(lookup))?;
        if of == pipeline && from == pairs[pair].1.number() {
            continue;
        }
        // A lookup that asks for another record by now is due by itself.
        let sql = "SELECT 1 FROM associations a LEFT JOIN due_associations d ON d.lookup = a.lookup
            WHERE a.lookup = ?1 AND (d.lookup IS NULL OR d.wanted = a.target)";
        if database.prepare_cached(sql)?.exists([lookup])? {
            recheck(database, lookup, Pause::Over)?;
        }
    }
    Ok(())
}
