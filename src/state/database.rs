//! A connection, and the small numbers by which rows name what would repeat in each of them.

use std::cell::{Cell, RefCell};
use std::hash::Hash;
use std::ops::{Deref, Range};
use std::sync::Arc;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::rows;
use crate::model::association::{AssociationKey, LabelId};
use crate::model::identity::Membership;
use crate::model::ids::{ById, HubspotId, SalesforceId};

/// A connection to a state, with what it knows by number. Numbers are never given to something else, so what is known stays true.
pub struct Database {
    connection: Connection,
    known: RefCell<Numbers>,
    /// Whether commits are forced to the disk; none where that is not known.
    forces: Cell<Option<bool>>,
    /// All statements that were prepared, for tests of what they go through.
    #[cfg(test)]
    pub prepared: RefCell<std::collections::BTreeSet<String>>,
    /// How many blocks were read, for tests of how many those are.
    #[cfg(test)]
    pub unpacked: Cell<usize>,
}

impl Deref for Database {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

#[derive(Default)]
struct Numbers {
    prefixes: Numbered<(i64, [u8; 10])>,
    standings: Numbered<Standing>,
    keys: Numbered<(i64, Arc<str>)>,
    labels: Numbered<LabelId>,
    relations: Numbered<Relation>,
    other_ids: Numbered<HubspotId>,
}

/// How a record of a pipeline stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Standing {
    /// The pipeline.
    pub pipeline: i64,
    /// Whether it is kept in step.
    pub membership: Membership,
    /// The mapping that it was written under.
    pub mapping: [u8; 8],
    /// The property that holds its Salesforce id; blank for the one that the pipeline had first.
    pub match_property: Arc<str>,
}

/// What two records are, and the object at the far end of a lookup.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Relation {
    /// See `PairKey::objects`, or [`UNKNOWN_OBJECTS`].
    pub objects: i64,
    /// The object; blank where there is none.
    pub to_object: Arc<str>,
}

/// What two records are is not known yet: an earlier version noted it otherwise.
pub const UNKNOWN_OBJECTS: i64 = 0;

/// Things and their numbers, both ways.
struct Numbered<T> {
    by_value: ById<T, i64>,
    by_number: ById<i64, T>,
    /// Two that were asked for last: mostly they are asked for again.
    recent: [Option<(T, i64)>; 2],
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { by_value: ById::default(), by_number: ById::default(), recent: [None, None] }
    }
}

/// Things of one kind that are kept in memory at most; what more there are is read again.
const KNOWN_MAX: usize = 4_096;

impl<T: Clone + Eq + Hash> Numbered<T> {
    fn number(&mut self, value: &T) -> Option<i64> {
        for (known, number) in self.recent.iter().flatten() {
            if known == value {
                return Some(*number);
            }
        }
        let number = *self.by_value.get(value)?;
        self.met(value.clone(), number);
        Some(number)
    }

    fn value(&mut self, number: i64) -> Option<T> {
        for (value, known) in self.recent.iter().flatten() {
            if *known == number {
                return Some(value.clone());
            }
        }
        let value = self.by_number.get(&number)?.clone();
        self.met(value.clone(), number);
        Some(value)
    }

    fn met(&mut self, value: T, number: i64) {
        self.recent.swap(0, 1);
        self.recent[0] = Some((value, number));
    }

    fn put(&mut self, number: i64, value: T) {
        if self.by_number.len() >= KNOWN_MAX {
            *self = Self::default();
        }
        self.by_value.insert(value.clone(), number);
        self.by_number.insert(number, value);
    }
}

/// Bits of a record's number that are the last part of its id.
const REST_BITS: u32 = 30;

/// Bits of a lookup's number that are the place of its key.
pub const PLACE_BITS: u32 = 10;

/// Associations that a pipeline can ever have had, by their keys.
const PLACES_MAX: i64 = (1 << PLACE_BITS) - 1;

/// Beginnings of ids of which there is room in the numbers of lookups.
const PREFIXES_MAX: i64 = (1 << (63 - REST_BITS - PLACE_BITS)) - 1;

/// In the place of a pipeline, for ids that are only pointed at.
const POINTED_AT: i64 = 0;

/// The number of a lookup of a record.
pub fn lookup_of(record: i64, place: i64) -> i64 {
    record << PLACE_BITS | place
}

/// The record of a lookup.
pub fn record_of(lookup: i64) -> i64 {
    lookup >> PLACE_BITS
}

/// The lookups that a record can have.
pub fn lookups_of(record: i64) -> Range<i64> {
    lookup_of(record, 0)..lookup_of(record + 1, 0)
}

/// The records of a pipeline whose ids begin alike, from one on.
#[derive(Debug, Clone)]
pub struct Stretch {
    /// Their numbers, or those that are still to come.
    pub records: Range<i64>,
}

impl Stretch {
    /// The numbers after a record, where that is the first one.
    pub fn after(&self, record: Option<i64>) -> Range<i64> {
        self.records.start + i64::from(record == Some(self.records.start))..self.records.end
    }

    /// The numbers of all their lookups; after one of them, where that is one of the first record.
    pub fn lookups(&self, after: Option<i64>) -> Range<i64> {
        let after = after.filter(|after| record_of(*after) == self.records.start);
        after.map_or(lookup_of(self.records.start, 0), |after| after + 1)..lookup_of(self.records.end, 0)
    }
}

impl Database {
    /// Takes a connection.
    pub fn new(connection: Connection) -> Self {
        Self {
            connection,
            known: RefCell::default(),
            forces: Cell::default(),
            #[cfg(test)]
            prepared: RefCell::default(),
            #[cfg(test)]
            unpacked: Cell::default(),
        }
    }

    /// See [`Connection::prepare_cached`].
    #[cfg(test)]
    pub fn prepare_cached(&self, sql: &str) -> rusqlite::Result<rusqlite::CachedStatement<'_>> {
        self.prepared.borrow_mut().insert(sql.to_owned());
        self.connection.prepare_cached(sql)
    }

    /// A block of entries is about to be read.
    pub fn unpacks_block(&self) {
        #[cfg(test)]
        self.unpacked.set(self.unpacked.get() + 1);
    }

    /// Closes the connection.
    pub fn close(self) -> rusqlite::Result<()> {
        self.connection.close().map_err(|(_, error)| error)
    }

    /// Forces commits to the disk from now on, or leaves that to the next checkpoint.
    pub fn force_commits(&self, force: bool) -> rusqlite::Result<()> {
        if self.forces.get() != Some(force) {
            // Not asked of a prepared statement: that tells the setting of the time when it was prepared.
            self.connection.pragma_update(None, "synchronous", if force { FULL } else { NORMAL })?;
            self.forces.set(Some(force));
        }
        Ok(())
    }

    /// Forgets what was learnt: some of it may have been undone.
    pub fn forget(&self) {
        self.known.take();
    }

    fn number<T: Clone + Eq + Hash>(
        &self,
        part: impl Fn(&mut Numbers) -> &mut Numbered<T>,
        value: &T,
        find: impl FnOnce() -> rusqlite::Result<Option<i64>>,
    ) -> rusqlite::Result<Option<i64>> {
        let known = part(&mut self.known.borrow_mut()).number(value);
        if known.is_some() {
            return Ok(known);
        }
        let found = find()?;
        if let Some(number) = found {
            part(&mut self.known.borrow_mut()).put(number, value.clone());
        }
        Ok(found)
    }

    fn value<T: Clone + Eq + Hash>(
        &self,
        part: impl Fn(&mut Numbers) -> &mut Numbered<T>,
        number: i64,
        sql: &str,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        if let Some(value) = part(&mut self.known.borrow_mut()).value(number) {
            return Ok(value);
        }
        let value = self.prepare_cached(sql)?.query_row([number], read)?;
        part(&mut self.known.borrow_mut()).put(number, value.clone());
        Ok(value)
    }

    /// The number of a pipeline's record, where it can have one.
    pub fn record(&self, pipeline: i64, id: &SalesforceId) -> rusqlite::Result<Option<i64>> {
        let (prefix, rest) = id.parts();
        let number = self.number(
            |known| &mut known.prefixes,
            &(pipeline, prefix),
            || {
                let sql = "SELECT number FROM id_prefixes WHERE pipeline = ?1 AND prefix = ?2";
                self.prepare_cached(sql)?.query_row(params![pipeline, &id.as_str()[..10]], |row| row.get(0)).optional()
            },
        )?;
        Ok(number.map(|number| number << REST_BITS | i64::from(rest)))
    }

    /// The number of a pipeline's record; a beginning of ids that is new gets the next number.
    pub fn ensure_record(&self, pipeline: i64, id: &SalesforceId) -> rusqlite::Result<i64> {
        if let Some(record) = self.record(pipeline, id)? {
            return Ok(record);
        }
        let sql = "INSERT INTO id_prefixes (pipeline, prefix) VALUES (?1, ?2)";
        self.prepare_cached(sql)?.execute(params![pipeline, &id.as_str()[..10]])?;
        let number = self.last_insert_rowid();
        if number > PREFIXES_MAX {
            return Err(too_many(format!("the ids of its records begin in more than {PREFIXES_MAX} ways")));
        }
        self.known.borrow_mut().prefixes.put(number, (pipeline, id.parts().0));
        Ok(number << REST_BITS | i64::from(id.parts().1))
    }

    /// The number of a record that is pointed at.
    pub fn target(&self, id: &SalesforceId) -> rusqlite::Result<Option<i64>> {
        self.record(POINTED_AT, id)
    }

    /// See [`Self::target`].
    pub fn ensure_target(&self, id: &SalesforceId) -> rusqlite::Result<i64> {
        self.ensure_record(POINTED_AT, id)
    }

    /// The pipeline and the id of a record.
    pub fn id_of(&self, record: i64) -> rusqlite::Result<(i64, SalesforceId)> {
        let sql = "SELECT pipeline, prefix FROM id_prefixes WHERE number = ?1";
        let read = |row: &Row<'_>| Ok((row.get(0)?, rows::bytes(1, row.get_ref(1)?.as_bytes()?)?));
        let (pipeline, prefix) = self.value(|known| &mut known.prefixes, record >> REST_BITS, sql, read)?;
        let rest = u32::try_from(record & ((1 << REST_BITS) - 1)).unwrap_or(u32::MAX);
        let id = SalesforceId::from_parts(prefix, rest);
        id.map(|id| (pipeline, id)).ok_or_else(|| damaged(format!("{record} is the number of no record")))
    }

    /// Goes through the records of a pipeline in the order of their ids, from the one given, a stretch at a time, until `each` has enough.
    pub fn stretches(
        &self,
        pipeline: i64,
        from: Option<&SalesforceId>,
        mut each: impl FnMut(Stretch) -> rusqlite::Result<bool>,
    ) -> rusqlite::Result<()> {
        // Where the order is that of what follows a column that equals a value, the statement is prepared anew for each value.
        let sql = "SELECT number, prefix FROM id_prefixes WHERE (pipeline, prefix) >= (?1, ?2) AND pipeline <= ?1
            ORDER BY pipeline, prefix";
        let begin = from.map_or("", |id| &id.as_str()[..10]);
        let mut statement = self.prepare_cached(sql)?;
        let mut found = statement.query(params![pipeline, begin])?;
        while let Some(row) = found.next()? {
            let number: i64 = row.get(0)?;
            let rest = match from {
                Some(id) if row.get_ref(1)?.as_str()? == begin => i64::from(id.parts().1),
                _ => 0,
            };
            if !each(Stretch { records: (number << REST_BITS) + rest..(number + 1) << REST_BITS })? {
                break;
            }
        }
        Ok(())
    }

    /// Ids with the numbers of their records, in the order of the numbers; those that can have none are left out.
    pub fn numbered(&self, pipeline: i64, ids: &[SalesforceId]) -> rusqlite::Result<Vec<(i64, SalesforceId)>> {
        let mut numbered = Vec::with_capacity(ids.len());
        // The beginning that was met last of those without a number: in a first import it is that of all, and is looked for once.
        let mut unknown = None;
        for id in ids {
            let (beginning, _) = id.parts();
            if unknown == Some(beginning) {
                continue;
            }
            match self.record(pipeline, id)? {
                Some(record) => numbered.push((record, *id)),
                None => unknown = Some(beginning),
            }
        }
        numbered.sort_unstable_by_key(|(record, _)| *record);
        numbered.dedup_by_key(|(record, _)| *record);
        Ok(numbered)
    }

    /// The number of a HubSpot id, by which it is found again.
    pub fn ensure_hubspot_id(&self, id: &HubspotId) -> rusqlite::Result<i64> {
        let number = id.number();
        if number < 0 && !self.known.borrow().other_ids.by_number.contains_key(&number) {
            self.prepare_cached("INSERT OR IGNORE INTO other_ids (number, id) VALUES (?1, ?2)")?
                .execute(params![number, &*id.text()])?;
            self.known.borrow_mut().other_ids.put(number, id.clone());
        }
        Ok(number)
    }

    /// The HubSpot id of a number.
    pub fn hubspot_id(&self, number: i64) -> rusqlite::Result<HubspotId> {
        if let Ok(number) = u64::try_from(number) {
            return Ok(HubspotId::of_number(number));
        }
        let sql = "SELECT id FROM other_ids WHERE number = ?1";
        self.value(|known| &mut known.other_ids, number, sql, |row| Ok(HubspotId::new(row.get::<_, String>(0)?)))
    }

    /// The number of a standing; a new one gets the next.
    pub fn ensure_standing(&self, standing: &Standing) -> rusqlite::Result<i64> {
        let find = || {
            let membership = rows::name_of(&standing.membership);
            let new = params![standing.pipeline, membership, standing.mapping, &*standing.match_property];
            let sql = "SELECT number FROM standings
                       WHERE pipeline = ?1 AND membership = ?2 AND mapping = ?3 AND match_property = ?4";
            let found = self.prepare_cached(sql)?.query_row(new, |row| row.get(0)).optional()?;
            if found.is_some() {
                return Ok(found);
            }
            let sql = "INSERT INTO standings (pipeline, membership, mapping, match_property) VALUES (?1, ?2, ?3, ?4)";
            self.prepare_cached(sql)?.execute(new)?;
            Ok(Some(self.last_insert_rowid()))
        };
        self.number(|known| &mut known.standings, standing, find).map(Option::unwrap_or_default)
    }

    /// The standing of a number.
    pub fn standing(&self, number: i64) -> rusqlite::Result<Standing> {
        let sql = "SELECT pipeline, membership, mapping, match_property FROM standings WHERE number = ?1";
        self.value(
            |known| &mut known.standings,
            number,
            sql,
            |row| {
                Ok(Standing {
                    pipeline: row.get(0)?,
                    membership: rows::named(1, row.get_ref(1)?.as_str()?)?,
                    mapping: rows::bytes(2, row.get_ref(2)?.as_blob()?)?,
                    match_property: row.get_ref(3)?.as_str()?.into(),
                })
            },
        )
    }

    /// The place of a key among those of a pipeline, where it has one.
    pub fn place(&self, pipeline: i64, key: &AssociationKey) -> rusqlite::Result<Option<i64>> {
        let number = self.number(
            |known| &mut known.keys,
            &(pipeline, Arc::clone(&key.0)),
            || {
                let sql = "SELECT place FROM association_keys WHERE pipeline = ?1 AND key = ?2";
                let place =
                    self.prepare_cached(sql)?.query_row(params![pipeline, &*key.0], |row| row.get(0)).optional()?;
                Ok(place.map(|place| lookup_of(pipeline, place)))
            },
        )?;
        Ok(number.map(|number| number & PLACES_MAX))
    }

    /// The place of a key; a new one gets the next.
    pub fn ensure_place(&self, pipeline: i64, key: &AssociationKey) -> rusqlite::Result<i64> {
        if let Some(place) = self.place(pipeline, key)? {
            return Ok(place);
        }
        let sql = "INSERT INTO association_keys (pipeline, place, key)
            SELECT ?1, 1 + coalesce(max(place), 0), ?2 FROM association_keys WHERE pipeline = ?1 RETURNING place";
        let place = self.query_row(sql, params![pipeline, &*key.0], |row| row.get(0))?;
        if place > PLACES_MAX {
            return Err(too_many(format!("a pipeline has had more than {PLACES_MAX} associations")));
        }
        self.known.borrow_mut().keys.put(lookup_of(pipeline, place), (pipeline, Arc::clone(&key.0)));
        Ok(place)
    }

    /// The key of a lookup of a pipeline.
    pub fn key(&self, pipeline: i64, lookup: i64) -> rusqlite::Result<AssociationKey> {
        let number = lookup_of(pipeline, lookup & PLACES_MAX);
        let sql = "SELECT pipeline, key FROM association_keys WHERE pipeline = ?1 >> 10 AND place = ?1 & 1023";
        let (_, key) = self.value(
            |known| &mut known.keys,
            number,
            sql,
            |row| Ok((row.get::<_, i64>(0)?, Arc::from(row.get_ref(1)?.as_str()?))),
        )?;
        Ok(AssociationKey(key))
    }

    /// The number of a label, where it has one.
    pub fn label_number(&self, label: &LabelId) -> rusqlite::Result<Option<i64>> {
        self.number(
            |known| &mut known.labels,
            label,
            || {
                let sql = "SELECT number FROM labels WHERE label = ?1";
                self.prepare_cached(sql)?.query_row([label.to_string()], |row| row.get(0)).optional()
            },
        )
    }

    /// The number of a label; a new one gets the next.
    pub fn ensure_label(&self, label: &LabelId) -> rusqlite::Result<i64> {
        if let Some(number) = self.label_number(label)? {
            return Ok(number);
        }
        self.execute("INSERT INTO labels (label) VALUES (?1)", [label.to_string()])?;
        let number = self.last_insert_rowid();
        self.known.borrow_mut().labels.put(number, label.clone());
        Ok(number)
    }

    /// The label of a number.
    pub fn label(&self, number: i64) -> rusqlite::Result<LabelId> {
        let sql = "SELECT label FROM labels WHERE number = ?1";
        self.value(|known| &mut known.labels, number, sql, |row| rows::parsed(0, row.get_ref(0)?.as_str()?))
    }

    /// The number of a relation, where it has one.
    pub fn relation_number(&self, relation: &Relation) -> rusqlite::Result<Option<i64>> {
        self.number(
            |known| &mut known.relations,
            relation,
            || {
                let sql = "SELECT number FROM relations WHERE objects = ?1 AND to_object = ?2";
                let columns = params![relation.objects, &*relation.to_object];
                self.prepare_cached(sql)?.query_row(columns, |row| row.get(0)).optional()
            },
        )
    }

    /// The number of a relation; a new one gets the next.
    pub fn ensure_relation(&self, relation: &Relation) -> rusqlite::Result<i64> {
        if let Some(number) = self.relation_number(relation)? {
            return Ok(number);
        }
        let sql = "INSERT INTO relations (objects, to_object) VALUES (?1, ?2)";
        self.execute(sql, params![relation.objects, &*relation.to_object])?;
        let number = self.last_insert_rowid();
        self.known.borrow_mut().relations.put(number, relation.clone());
        Ok(number)
    }

    /// The relation of a number.
    pub fn relation(&self, number: i64) -> rusqlite::Result<Relation> {
        let sql = "SELECT objects, to_object FROM relations WHERE number = ?1";
        self.value(
            |known| &mut known.relations,
            number,
            sql,
            |row| Ok(Relation { objects: row.get(0)?, to_object: row.get_ref(1)?.as_str()?.into() }),
        )
    }
}

/// The number that the database has for commits that are forced to the disk.
pub const FULL: i64 = 2;

/// The same for commits that reach the disk with the next checkpoint.
pub const NORMAL: i64 = 1;

/// There is no room for one more of something.
fn too_many(what: String) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(what.into())
}

/// What stands in the database cannot be.
pub fn damaged(what: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Integer, what.into())
}

/// Reads the rows of many numbers in their order: along the table where they lie close together, and with a leap where they do not.
///
/// `sql` gives rows from `?1` to `?2` in order, each with its number first; its last `bits` bits do not count, so that a record has several
/// rows. `wanted` is in order, without doubles.
pub fn each_of<T>(
    database: &Database,
    sql: &str,
    bits: u32,
    wanted: &[(i64, T)],
    mut found: impl FnMut(&T, &Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    walk(database, sql, bits, wanted, |wanted, row| wanted.map_or(Ok(()), |wanted| found(wanted, row)))
}

/// The same; rows that nobody asked for are told as well, where they are met. Between two rows that are told one after the other there is
/// none, unless the first of them is one that nobody asked for.
pub fn walk<T>(
    database: &Database,
    sql: &str,
    bits: u32,
    wanted: &[(i64, T)],
    mut met: impl FnMut(Option<&T>, &Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let Some((last, _)) = wanted.last() else { return Ok(()) };
    let mut statement = database.prepare_cached(sql)?;
    let mut next = 0;
    'leaps: while next < wanted.len() {
        let mut rows = statement.query([wanted[next].0 << bits, ((last + 1) << bits) - 1])?;
        let mut in_vain = 0;
        while let Some(row) = rows.next()? {
            let number = row.get::<_, i64>(0)? >> bits;
            while wanted[next].0 < number {
                next += 1;
            }
            if wanted[next].0 == number {
                in_vain = 0;
                met(Some(&wanted[next].1), row)?;
            } else {
                in_vain += 1;
                met(None, row)?;
                if in_vain > STEPS_MAX {
                    continue 'leaps;
                }
            }
        }
        break;
    }
    Ok(())
}

/// Rows that nobody asked for, one after the other, that are passed by: more of them cost more than a leap.
const STEPS_MAX: u32 = 4;
