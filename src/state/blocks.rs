//! Entries in blocks: one row of a table holds some dozens of them, packed, in the order of their keys. What is written together mostly lies
//! together, and a row costs thousands of instructions and half of its bytes whatever it holds.
//!
//! A table of blocks has two columns, `first` and `entries`. A block holds all entries from its first key up to the next block's.

use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::sync::OnceLock;

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{OptionalExtension, Row, ToSql, params};

use super::database::{Database, damaged};
use super::packed::{Lens, Pen};

/// Bytes of a block at most, but for one entry more: four blocks fill a page.
const BYTES_MAX: usize = 900;

/// What stands in blocks, by a key of so many numbers. Its numbers are written as how they differ from those of the entry before it.
pub trait Entry<const KEY: usize>: Copy + PartialEq {
    /// What the first entry of a block is compared with.
    const BEGIN: Self;

    /// What it is found by. A table has one entry of a key.
    fn key(&self) -> [i64; KEY];

    /// Writes it.
    fn write(&self, before: &Self, pen: &mut Pen);

    /// Reads what [`Entry::write`] has written; none where that is cut short.
    fn read(before: &Self, lens: &mut Lens<'_>) -> Option<Self>;
}

/// The entries of a block.
struct Unpacked<'a, E, const KEY: usize> {
    before: Option<E>,
    lens: Lens<'a>,
}

impl<'a, E: Entry<KEY>, const KEY: usize> Unpacked<'a, E, KEY> {
    fn of(bytes: &'a [u8]) -> Self {
        Self { before: None, lens: Lens::of(bytes) }
    }
}

impl<E: Entry<KEY>, const KEY: usize> Iterator for Unpacked<'_, E, KEY> {
    type Item = rusqlite::Result<E>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.lens.is_empty() {
            return None;
        }
        let entry = E::read(self.before.as_ref().unwrap_or(&E::BEGIN), &mut self.lens);
        let entry = entry.filter(|entry| self.before.is_none_or(|before| before.key() < entry.key()));
        self.before = entry;
        if entry.is_none() {
            self.lens = Lens::of(&[]);
        }
        Some(entry.ok_or_else(|| damaged("entries of a block are cut short, or not in order".to_owned())))
    }
}

/// A key as its column holds it: one number as that, and several as bytes in the same order.
struct Place<const KEY: usize>([i64; KEY]);

impl<const KEY: usize> Place<KEY> {
    fn read(row: &Row<'_>) -> rusqlite::Result<[i64; KEY]> {
        let value = row.get_ref(0)?;
        let mut key = [0; KEY];
        if KEY == 1 {
            key[0] = value.as_i64()?;
            return Ok(key);
        }
        let (numbers, rest) = value.as_blob()?.as_chunks::<8>();
        if numbers.len() != KEY || !rest.is_empty() {
            return Err(damaged("the place of a block is cut short".to_owned()));
        }
        for (number, bytes) in key.iter_mut().zip(numbers) {
            *number = i64::from_be_bytes(*bytes) ^ i64::MIN;
        }
        Ok(key)
    }
}

impl<const KEY: usize> ToSql for Place<KEY> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        if KEY == 1 {
            return Ok(ToSqlOutput::Borrowed(ValueRef::Integer(self.0[0])));
        }
        let mut bytes = Vec::with_capacity(8 * KEY);
        self.0.iter().for_each(|number| bytes.extend_from_slice(&(number ^ i64::MIN).to_be_bytes()));
        Ok(ToSqlOutput::Owned(Value::Blob(bytes)))
    }
}

/// Tells two tables apart that should hold the same: the sum of what this is of each entry, whatever their order.
pub fn mark(numbers: &[i64]) -> u64 {
    let mix =
        |mark: u64, number: &i64| (mark.rotate_left(5) ^ number.cast_unsigned()).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    numbers.iter().fold(0, mix)
}

/// A table of blocks.
pub struct Blocks<E, const KEY: usize> {
    table: &'static str,
    texts: OnceLock<Texts>,
    entry: PhantomData<fn() -> E>,
}

struct Texts {
    walk: String,
    at: String,
    begin: String,
    next: String,
    enter: String,
    set: String,
    begin_at: String,
    remove: String,
}

/// A block as it stands.
struct Block<const KEY: usize> {
    first: [i64; KEY],
    bytes: Vec<u8>,
}

impl<const KEY: usize> Block<KEY> {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { first: Place::read(row)?, bytes: row.get_ref(1)?.as_blob()?.to_vec() })
    }
}

impl<E: Entry<KEY>, const KEY: usize> Blocks<E, KEY> {
    /// The table of a name.
    pub const fn new(table: &'static str) -> Self {
        Self { table, texts: OnceLock::new(), entry: PhantomData }
    }

    fn texts(&self) -> &Texts {
        let table = self.table;
        self.texts.get_or_init(|| Texts {
            walk: format!(
                "SELECT first, entries FROM {table} WHERE first <= ?2
                    AND first >= coalesce((SELECT max(first) FROM {table} WHERE first <= ?1), ?1) ORDER BY first"
            ),
            at: format!("SELECT first, entries FROM {table} WHERE first <= ?1 ORDER BY first DESC LIMIT 1"),
            begin: format!("SELECT first, entries FROM {table} ORDER BY first LIMIT 1"),
            next: format!("SELECT min(first) FROM {table} WHERE first > ?1"),
            enter: format!("INSERT INTO {table} (first, entries) VALUES (?1, ?2)"),
            set: format!("UPDATE {table} SET entries = ?2 WHERE first = ?1"),
            begin_at: format!("UPDATE {table} SET first = ?2 WHERE first = ?1"),
            remove: format!("DELETE FROM {table} WHERE first = ?1"),
        })
    }

    fn unpacked<'a>(&self, database: &Database, bytes: &'a [u8]) -> Unpacked<'a, E, KEY> {
        database.unpacks_block();
        Unpacked::of(bytes)
    }

    /// Goes through the entries from one key to another in their order, as far as `each` wants to.
    pub fn walk(
        &self,
        database: &Database,
        first: [i64; KEY],
        last: [i64; KEY],
        mut each: impl FnMut(E) -> rusqlite::Result<ControlFlow<()>>,
    ) -> rusqlite::Result<()> {
        let mut statement = database.prepare_cached(&self.texts().walk)?;
        let mut rows = statement.query(params![Place(first), Place(last)])?;
        while let Some(row) = rows.next()? {
            for entry in self.unpacked(database, row.get_ref(1)?.as_blob()?) {
                let entry = entry?;
                let key = entry.key();
                if key > last {
                    return Ok(());
                }
                if key >= first && each(entry)?.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Goes through all entries.
    pub fn all(&self, database: &Database, mut each: impl FnMut(E) -> rusqlite::Result<()>) -> rusqlite::Result<()> {
        self.walk(database, [i64::MIN; KEY], [i64::MAX; KEY], |entry| each(entry).map(ControlFlow::Continue))
    }

    /// Goes through all entries, and through how they are parted: whatever is wrong is an error.
    pub fn check(&self, database: &Database, mut each: impl FnMut(E)) -> rusqlite::Result<()> {
        let mut statement = database.prepare(&format!("SELECT first, entries FROM {} ORDER BY first", self.table))?;
        let mut rows = statement.query([])?;
        let mut last: Option<[i64; KEY]> = None;
        while let Some(row) = rows.next()? {
            let first = Place::read(row)?;
            if last.is_some_and(|last| last >= first) {
                return Err(damaged(format!("`{}` has an entry in two blocks' place", self.table)));
            }
            for entry in self.unpacked(database, row.get_ref(1)?.as_blob()?) {
                let entry = entry?;
                if entry.key() < first {
                    return Err(damaged(format!("`{}` has an entry before its block", self.table)));
                }
                last = Some(entry.key());
                each(entry);
            }
        }
        Ok(())
    }

    /// Whether there is any entry.
    pub fn any(&self, database: &Database) -> rusqlite::Result<bool> {
        database.prepare_cached(&self.texts().begin)?.exists([])
    }

    /// The entry of a key.
    pub fn get(&self, database: &Database, key: [i64; KEY]) -> rusqlite::Result<Option<E>> {
        let mut found = None;
        self.walk(database, key, key, |entry| {
            found = Some(entry);
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    /// Tells the entries of each span of keys: along the table where they lie close together, and with a leap where they do not. Spans are
    /// in order, from a first to a last key, and share none.
    pub fn each_of<T>(
        &self,
        database: &Database,
        wanted: &[T],
        span: impl Fn(&T) -> ([i64; KEY], [i64; KEY]),
        mut found: impl FnMut(&T, E) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let Some((_, end)) = wanted.last().map(&span) else { return Ok(()) };
        let mut statement = database.prepare_cached(&self.texts().walk)?;
        let (mut next, mut last_found) = (0, None);
        'leaps: while next < wanted.len() {
            let begin = next;
            let mut rows = statement.query(params![Place(span(&wanted[next]).0), Place(end)])?;
            while let Some(row) = rows.next()? {
                let mut count = 0;
                for entry in self.unpacked(database, row.get_ref(1)?.as_blob()?) {
                    let entry = entry?;
                    let key = entry.key();
                    while wanted.get(next).is_some_and(|wanted| span(wanted).1 < key) {
                        next += 1;
                    }
                    match wanted.get(next) {
                        None => return Ok(()),
                        Some(wanted) if span(wanted).0 <= key => {
                            (count, last_found) = (count + 1, Some(next));
                            found(wanted, entry)?;
                        }
                        Some(_) => {}
                    }
                }
                // Where a block had but one, the next one hardly lies in the block behind. A span may go on there.
                if count < 2 && next > begin && last_found != Some(next) {
                    continue 'leaps;
                }
            }
            break;
        }
        Ok(())
    }

    /// Changes the entries of different keys, which are in order: `becomes` is told what stands of a key, and tells what is to stand.
    ///
    /// Errors: the keys are not in order, or one comes twice: nothing of the transaction may stand.
    pub fn change<T>(
        &self,
        database: &Database,
        wanted: &[T],
        key: impl Fn(&T) -> [i64; KEY],
        mut becomes: impl FnMut(&T, Option<E>) -> rusqlite::Result<Option<E>>,
    ) -> rusqlite::Result<()> {
        let mut rest = wanted;
        let mut last: Option<[i64; KEY]> = None;
        while let Some(next) = rest.first() {
            let block = self.block_of(database, key(next))?;
            let end = block.as_ref().map(|block| self.after(database, block.first)).transpose()?.flatten();
            let here = end.map_or(rest.len(), |end| rest.partition_point(|wanted| key(wanted) < end));
            let (now, later) = rest.split_at(here);
            rest = later;
            let mut before = self.unpacked(database, block.as_ref().map_or(&[], |block| &block.bytes));
            let mut standing = before.next().transpose()?;
            let mut entries: Vec<E> = Vec::with_capacity(now.len());
            let mut is_changed = false;
            for wanted in now {
                let key = key(wanted);
                if last.replace(key).is_some_and(|last| last >= key) {
                    return Err(damaged(format!("`{}` is to be changed twice, or not in order", self.table)));
                }
                while let Some(entry) = standing.take_if(|entry| entry.key() < key) {
                    entries.push(entry);
                    standing = before.next().transpose()?;
                }
                let known = standing.take_if(|entry| entry.key() == key);
                if known.is_some() {
                    standing = before.next().transpose()?;
                }
                let now = becomes(wanted, known)?;
                if now.is_some_and(|now| now.key() != key) {
                    return Err(damaged(format!("`{}` is to have an entry in another's place", self.table)));
                }
                is_changed |= now != known;
                entries.extend(now);
            }
            if !is_changed {
                continue;
            }
            while let Some(entry) = standing {
                entries.push(entry);
                standing = before.next().transpose()?;
            }
            self.write(database, block, &entries, end.is_none())?;
        }
        Ok(())
    }

    /// The block that a key belongs to; the first one of all where it comes before that; none where there is no block at all.
    fn block_of(&self, database: &Database, key: [i64; KEY]) -> rusqlite::Result<Option<Block<KEY>>> {
        let at = database.prepare_cached(&self.texts().at)?.query_row([Place(key)], Block::read).optional()?;
        match at {
            Some(block) => Ok(Some(block)),
            None => database.prepare_cached(&self.texts().begin)?.query_row([], Block::read).optional(),
        }
    }

    /// Where the next block begins.
    fn after(&self, database: &Database, first: [i64; KEY]) -> rusqlite::Result<Option<[i64; KEY]>> {
        let mut statement = database.prepare_cached(&self.texts().next)?;
        statement.query_row([Place(first)], |row| match row.get_ref(0)? {
            ValueRef::Null => Ok(None),
            _ => Place::read(row).map(Some),
        })
    }

    /// Writes entries in the place of a block, or where there was none.
    fn write(
        &self,
        database: &Database,
        block: Option<Block<KEY>>,
        entries: &[E],
        is_last: bool,
    ) -> rusqlite::Result<()> {
        let texts = self.texts();
        let mut packed = packed(entries, is_last).into_iter();
        if let Some(block) = block {
            match packed.next() {
                None => drop(database.prepare_cached(&texts.remove)?.execute([Place(block.first)])?),
                Some((first, bytes)) => {
                    if bytes != block.bytes {
                        database.prepare_cached(&texts.set)?.execute(params![Place(block.first), bytes])?;
                    }
                    // Told apart, as a row whose key is named is taken out and put in again.
                    if first < block.first {
                        database.prepare_cached(&texts.begin_at)?.execute([Place(block.first), Place(first)])?;
                    }
                }
            }
        }
        let mut enter = database.prepare_cached(&texts.enter)?;
        packed.try_for_each(|(first, bytes)| enter.execute(params![Place(first), bytes]).map(drop))
    }
}

/// Entries as blocks, each with its first key: filled up where others are still to come behind them, and evenly elsewhere, so that there is
/// room between them.
fn packed<E: Entry<KEY>, const KEY: usize>(entries: &[E], is_last: bool) -> Vec<([i64; KEY], Vec<u8>)> {
    let Some(first) = entries.first() else { return Vec::new() };
    let (mut parts, mut full) = (1, BYTES_MAX);
    if !is_last {
        let mut whole = Pen::with_capacity(BYTES_MAX + 64);
        write_from(entries, &mut whole, usize::MAX);
        parts = whole.written().div_ceil(BYTES_MAX);
        if parts == 1 {
            return vec![(first.key(), whole.into_bytes())];
        }
        full = whole.written().div_ceil(parts);
    }
    let mut blocks = Vec::with_capacity(parts);
    let mut rest = entries;
    while let Some(first) = rest.first() {
        let mut pen = Pen::with_capacity(BYTES_MAX + 64);
        // The last part takes all that is left, however little longer that is: the first entry of each is written in full.
        let is_rest = !is_last && blocks.len() + 1 == parts;
        let written = write_from(rest, &mut pen, if is_rest { usize::MAX } else { full });
        blocks.push((first.key(), pen.into_bytes()));
        rest = &rest[written..];
    }
    blocks
}

/// Writes entries until there are so many bytes. Returns how many it were.
fn write_from<E: Entry<KEY>, const KEY: usize>(entries: &[E], pen: &mut Pen, full: usize) -> usize {
    let mut before = &E::BEGIN;
    for (place, entry) in entries.iter().enumerate() {
        if pen.written() >= full {
            return place;
        }
        entry.write(before, pen);
        before = entry;
    }
    entries.len()
}

#[cfg(test)]
mod tests;
