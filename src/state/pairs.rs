//! Pairs of HubSpot records: which lookups ask for associations between them, and what of those is ours.

use std::collections::{HashMap, HashSet};

use rusqlite::OptionalExtension;

use super::blocks::{Blocks, Entry};
use super::database::{Database, Relation, UNKNOWN_OBJECTS, each_of, record_of};
use super::due::Wanted;
use super::known::{self, standing_record, stands};
use super::lookups::{DUE_OF, Pause, asked, recheck};
use super::packed::{Lens, Pen};
use super::{carried_out, together};
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
    let mut due: HashMap<i64, Wanted> = HashMap::new();
    each_of(database, DUE_OF, 0, &lookups, |_, row| {
        due.insert(row.get(0)?, asked(row)?);
        Ok(())
    })?;
    let mut records: Vec<(i64, ())> = lookups.iter().map(|(lookup, _)| (record_of(*lookup), ())).collect();
    records.dedup();
    let mut standing: HashSet<i64> = HashSet::new();
    known::each_of(database, &records, |(), known| {
        if stands(database, known.standing)? {
            standing.insert(known.record);
        }
        Ok(())
    })?;
    let mut names: Vec<(i64, PipelineName)> = Vec::new();
    let mut found = Vec::with_capacity(leading.len());
    carried_out::each_of(database, &lookups, |alike, before| {
        let asked = due.get(&before.lookup).copied().unwrap_or(Some(before.asked));
        let Some((_, label)) = asked.filter(|(target, _)| *target == before.asked.0) else { return Ok(()) };
        if !standing.contains(&record_of(before.lookup)) {
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
                label: label.map(|label| database.label(label)).transpose()?,
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
    known::records_of(database, &nears, |ends, record| {
        records.push((record, *ends));
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
    carried_out::each_of_records(database, &records, |ends, before| {
        if before.from.is_none() { enter(ends, before.to, before.lookup, before.relation) } else { Ok(()) }
    })?;
    if carried_out::any_elsewhere(database)? {
        let alike = ends.chunk_by(|one, other| (one.near, one.far) == (other.near, other.far));
        let alike: Vec<(i64, i64, &[End])> = alike.map(|ends| (ends[0].near, ends[0].far, ends)).collect();
        carried_out::elsewhere(database, &alike, |ends, before| {
            enter(ends, before.to, before.lookup, before.relation)
        })?;
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

/// A type of association that is ours, by numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Own {
    /// The newer record.
    pub newer: i64,
    /// The older record.
    pub older: i64,
    /// What the two are.
    pub relation: i64,
    /// The label, or [`NO_LABEL`].
    pub label: i64,
    /// The record that has the label; 0 where there is none.
    pub from: i64,
}

impl Entry<5> for Own {
    const BEGIN: Self = Self { newer: 0, older: 0, relation: 0, label: 0, from: 0 };

    fn key(&self) -> [i64; 5] {
        [self.newer, self.older, self.relation, self.label, self.from]
    }

    fn write(&self, before: &Self, pen: &mut Pen) {
        self.key().into_iter().zip(before.key()).for_each(|(number, before)| pen.number(number, before));
    }

    fn read(before: &Self, lens: &mut Lens<'_>) -> Option<Self> {
        Some(Self {
            newer: lens.number(before.newer)?,
            older: lens.number(before.older)?,
            relation: lens.number(before.relation)?,
            label: lens.number(before.label)?,
            from: lens.number(before.from)?,
        })
    }
}

/// What is ours.
pub static OWN: Blocks<Own, 5> = Blocks::new("owned_types");

/// What of the associations between these pairs of records is ours.
pub fn owned(database: &Database, pairs: &[PairKey]) -> rusqlite::Result<Vec<OwnedType>> {
    let mut wanted: Vec<([i64; 3], PairKey)> = Vec::with_capacity(pairs.len());
    // Mostly one for all, which may not be there yet.
    let mut met = None;
    for pair in pairs {
        let relation = match met {
            Some((objects, relation)) if objects == pair.objects => relation,
            _ => met.insert((pair.objects, database.relation_number(&alone(pair))?)).1,
        };
        wanted.extend(relation.map(|relation| ([pair.newer, pair.older, relation], *pair)));
    }
    wanted.sort_unstable();
    wanted.dedup();
    let span = |([newer, older, relation], _): &([i64; 3], PairKey)| {
        let of = |last| [*newer, *older, *relation, last, last];
        (of(i64::MIN), of(i64::MAX))
    };
    let mut found = Vec::new();
    OWN.each_of(database, &wanted, span, |(_, pair), own| {
        let label = match own.label {
            NO_LABEL => None,
            label => Some((database.hubspot_id(own.from)?, database.label(label)?)),
        };
        found.push(OwnedType { pair: *pair, label });
        Ok(())
    })?;
    Ok(found)
}

/// In the place of a label's number: the plain association.
pub const NO_LABEL: i64 = 0;

/// What two records are, whichever of them is looked at.
fn alone(pair: &PairKey) -> Relation {
    Relation { objects: pair.objects, to_object: Default::default() }
}

/// Notes what is ours, and what is no longer.
pub fn write_owned(database: &Database, owned: &[OwnedType], disowned: &[OwnedType]) -> rusqlite::Result<()> {
    set_owned(database, &by_numbers(database, disowned)?, false)?;
    set_owned(database, &by_numbers(database, owned)?, true)
}

/// Notes of types, which are in order and without doubles, whether they are ours.
pub fn set_owned(database: &Database, types: &[Own], is_ours: bool) -> rusqlite::Result<()> {
    OWN.change(database, types, Own::key, |own, _| Ok(Some(*own).filter(|_| is_ours)))
}

/// Goes through all that is ours: whatever is wrong with a block is an error.
pub fn check(database: &Database) -> rusqlite::Result<()> {
    OWN.check(database, |_| {})
}

/// Types by numbers, in their order.
fn by_numbers(database: &Database, types: &[OwnedType]) -> rusqlite::Result<Vec<Own>> {
    let mut rows = Vec::with_capacity(types.len());
    for owned in types {
        let relation = database.ensure_relation(&alone(&owned.pair))?;
        let (label, from) = match &owned.label {
            None => (NO_LABEL, 0),
            Some((from, label)) => (database.ensure_label(label)?, database.ensure_hubspot_id(from)?),
        };
        rows.push(Own { newer: owned.pair.newer, older: owned.pair.older, relation, label, from });
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
        let due: Option<Option<i64>> = database
            .prepare_cached("SELECT wanted FROM due_associations WHERE lookup = ?1")?
            .query_row([lookup], |row| row.get(0))
            .optional()?;
        let before = carried_out::get(database, lookup)?;
        if before.is_some_and(|before| due.is_none_or(|wanted| wanted == Some(before.asked.0))) {
            recheck(database, lookup, Pause::Over)?;
        }
    }
    Ok(())
}
