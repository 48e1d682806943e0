//! Lookups with work left that were committed together: those of records that were just made, of which nothing else is known but what is
//! about to be made of them. Mostly they are carried out together, too, and so one row holds them all. Whatever else is to be noted of one of
//! them gives each a row of its own first.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, params};

use super::carried_out::{self, Leading, Pair};
use super::database::{Database, damaged};
use super::due::{Asks, Due, enter_due};
use super::packed::{Lens, Pen};

/// A lookup, and what it asks for: the record and the label.
pub type Fresh = (i64, Asks);

/// What is known of a lookup: what it asks for, and where it is about to lead.
pub type Known = (Asks, Option<Pair>);

/// Rows of a pipeline at most. The lookups of more get rows of their own, so that few rows are looked through with each commit.
const BATCHES_MAX: usize = 128;

/// Rows that are written until they are counted again.
const COUNTED_EVERY: i64 = 16;

/// Lookups that are kept in one row at least.
pub const FRESH_MIN: usize = 8;

/// Lookups that were committed together, in order, and what is about to be made of them, in order, too.
struct Batch {
    number: i64,
    lookups: Vec<Fresh>,
    making: Vec<(i64, Pair)>,
}

/// Lookups as a row holds them; none where one of them does not fit: it asks for nothing, or is in doubt.
pub fn fitting(due: &[Due]) -> Option<Vec<Fresh>> {
    // Not collected: that would let it grow step by step, as what may end early tells no size.
    let mut fresh = Vec::with_capacity(due.len());
    for (lookup, wanted, recheck) in due {
        let (target, label) = wanted.filter(|_| !recheck)?;
        fresh.push((*lookup, (target, label)));
    }
    Some(fresh)
}

/// Keeps lookups, which are in order, in one row. Of none of them anything is known.
pub fn enter(database: &Database, pipeline: i64, lookups: &[Fresh]) -> rusqlite::Result<()> {
    let (Some((first, _)), Some((last, _))) = (lookups.first(), lookups.last()) else { return Ok(()) };
    let sql = "INSERT INTO due_together (pipeline, first, last, lookups) VALUES (?1, ?2, ?3, ?4)";
    database.prepare_cached(sql)?.execute(params![pipeline, first, last, packed(lookups)])?;
    // Numbers go up: some rows more than there may be cost less than counting them with each commit. Those of all pipelines, as one may
    // get none of the numbers at which that is done.
    if database.last_insert_rowid() % COUNTED_EVERY != 0 {
        return Ok(());
    }
    let mut numbers = database.prepare_cached("SELECT pipeline, number FROM due_together")?;
    let numbers = numbers.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut numbers: Vec<(i64, i64)> = numbers.collect::<rusqlite::Result<_>>()?;
    numbers.sort_unstable();
    let of_each = numbers.chunk_by(|one, other| one.0 == other.0);
    for (_, number) in of_each.flat_map(|numbers| numbers.iter().take(numbers.len().saturating_sub(BATCHES_MAX))) {
        let sql = "SELECT lookups FROM due_together WHERE number = ?1";
        let lookups = database.prepare_cached(sql)?.query_row([number], |row| unpacked(row.get_ref(0)?.as_blob()?))?;
        spread_one(database, &Batch { number: *number, lookups, making: making(database, *number)? })?;
    }
    Ok(())
}

/// Lookups, which are in order, with what each asks for.
pub fn packed(lookups: &[Fresh]) -> Vec<u8> {
    let mut pen = Pen::with_capacity(16 + 8 * lookups.len());
    let mut before = (0, 0);
    for (lookup, (target, label)) in lookups {
        pen.number(*lookup, before.0);
        pen.number(*target, before.1);
        pen.number(label.unwrap_or_default(), 0);
        before = (*lookup, *target);
    }
    pen.into_bytes()
}

/// The lookups of a row.
fn unpacked(bytes: &[u8]) -> rusqlite::Result<Vec<Fresh>> {
    let mut lookups = Vec::with_capacity(bytes.len() / 4);
    let (mut lens, mut lookup, mut target) = (Lens::of(bytes), 0, 0);
    let mut next = |lens: &mut Lens<'_>| {
        lookup = lens.number(lookup)?;
        target = lens.number(target)?;
        Some((lookup, (target, Some(lens.number(0)?).filter(|label| *label != 0))))
    };
    while !lens.is_empty() {
        lookups.push(next(&mut lens).ok_or_else(|| damaged(DAMAGED.to_owned()))?);
    }
    Ok(lookups)
}

const DAMAGED: &str = "lookups that were committed together are cut short";

/// What is about to be made of lookups, which are in order.
pub fn packed_pairs(pairs: &[(i64, Pair)]) -> Vec<u8> {
    let mut pen = Pen::with_capacity(12 * pairs.len());
    let mut before = [0; 4];
    for (lookup, Pair { relation, from, to }) in pairs {
        let numbers = [*lookup, *relation, *from, *to];
        numbers.into_iter().zip(before).for_each(|(number, before)| pen.number(number, before));
        before = numbers;
    }
    pen.into_bytes()
}

fn unpacked_pairs(bytes: &[u8]) -> rusqlite::Result<Vec<(i64, Pair)>> {
    let mut pairs = Vec::with_capacity(bytes.len() / 4);
    let (mut lens, mut numbers) = (Lens::of(bytes), [0; 4]);
    while !lens.is_empty() {
        for number in &mut numbers {
            *number = lens.number(*number).ok_or_else(|| damaged(DAMAGED.to_owned()))?;
        }
        let [lookup, relation, from, to] = numbers;
        pairs.push((lookup, Pair { relation, from, to }));
    }
    Ok(pairs)
}

/// What is about to be made of the lookups of a row.
fn making(database: &Database, number: i64) -> rusqlite::Result<Vec<(i64, Pair)>> {
    let sql = "SELECT pairs FROM making_together WHERE number = ?1";
    let pairs = database.prepare_cached(sql)?.query_row([number], |row| unpacked_pairs(row.get_ref(0)?.as_blob()?));
    Ok(pairs.optional()?.unwrap_or_default())
}

/// The rows of a pipeline that may hold lookups from one to another, the oldest first; without what is about to be made of them.
fn batches(database: &Database, pipeline: i64, first: i64, last: i64) -> rusqlite::Result<Vec<Batch>> {
    let sql = "SELECT number, lookups FROM due_together WHERE pipeline = ?1 AND first <= ?3 AND last >= ?2";
    let mut statement = database.prepare_cached(sql)?;
    let mut rows = statement.query([pipeline, first, last])?;
    let mut batches = Vec::new();
    while let Some(row) = rows.next()? {
        let lookups = unpacked(row.get_ref(1)?.as_blob()?)?;
        batches.push(Batch { number: row.get(0)?, lookups, making: Vec::new() });
    }
    batches.sort_by_key(|batch| batch.number);
    Ok(batches)
}

/// The same, with that.
fn whole_batches(database: &Database, pipeline: i64, first: i64, last: i64) -> rusqlite::Result<Vec<Batch>> {
    let mut batches = batches(database, pipeline, first, last)?;
    for batch in &mut batches {
        batch.making = making(database, batch.number)?;
    }
    Ok(batches)
}

impl Batch {
    /// The lookups with what is known of them.
    fn known(&self) -> impl Iterator<Item = (i64, Known)> {
        self.lookups.iter().map(|(lookup, asks)| {
            let place = self.making.binary_search_by_key(lookup, |(lookup, _)| *lookup);
            (*lookup, (*asks, place.ok().map(|place| self.making[place].1)))
        })
    }
}

/// The lookups of a row, and what is known of them.
pub fn known(database: &Database, number: i64, lookups: &[u8]) -> rusqlite::Result<Vec<(i64, Known)>> {
    Ok(Batch { number, lookups: unpacked(lookups)?, making: making(database, number)? }.known().collect())
}

/// All lookups of a pipeline that are kept so.
pub fn all(database: &Database, pipeline: i64) -> rusqlite::Result<BTreeMap<i64, Known>> {
    near(database, pipeline, i64::MIN, i64::MAX)
}

/// Those from one to another, and some more.
pub fn near(database: &Database, pipeline: i64, first: i64, last: i64) -> rusqlite::Result<BTreeMap<i64, Known>> {
    let batches = whole_batches(database, pipeline, first, last)?;
    Ok(batches.iter().flat_map(Batch::known).collect())
}

/// Lookups of all pipelines that are about to lead to pairs of HubSpot records of which the newer ones have numbers from one to another, and
/// to some more.
pub fn noted(database: &Database, first: i64, last: i64) -> rusqlite::Result<Vec<Leading>> {
    let mut noted = Vec::new();
    for batch in noted_batches(database, first, last)? {
        noted.extend(batch.known().filter_map(|(lookup, (asks, making))| Some((lookup, (asks, making?)))));
    }
    Ok(noted)
}

fn noted_batches(database: &Database, first: i64, last: i64) -> rusqlite::Result<Vec<Batch>> {
    let sql = "SELECT m.number, d.lookups, m.pairs FROM making_together m JOIN due_together d ON d.number = m.number
        WHERE m.last >= ?1 AND m.first <= ?2";
    let mut statement = database.prepare_cached(sql)?;
    let mut rows = statement.query([first, last])?;
    let mut batches = Vec::new();
    while let Some(row) = rows.next()? {
        let lookups = unpacked(row.get_ref(1)?.as_blob()?)?;
        batches.push(Batch { number: row.get(0)?, lookups, making: unpacked_pairs(row.get_ref(2)?.as_blob()?)? });
    }
    Ok(batches)
}

/// Gives the lookups that [`noted`] tells rows of their own.
pub fn spread_noted_to(database: &Database, first: i64, last: i64) -> rusqlite::Result<()> {
    noted_batches(database, first, last)?.iter().try_for_each(|batch| spread_one(database, batch))
}

/// Notes what is about to be made of lookups, which are in order, where it is what they ask for. Returns those of which it is noted, in order.
pub fn note(database: &Database, pipeline: i64, leading: &[Leading]) -> rusqlite::Result<Vec<i64>> {
    let (Some(first), Some(last)) = (leading.first(), leading.last()) else { return Ok(Vec::new()) };
    let mut noted = Vec::with_capacity(leading.len());
    for batch in whole_batches(database, pipeline, first.0, last.0)? {
        let place = |lookup: &i64| leading.binary_search_by_key(lookup, |(lookup, _)| *lookup).ok();
        let asked = |(lookup, asks): &Fresh| place(lookup).filter(|place| leading[*place].1.0 == *asks);
        let leads = |place: usize| (leading[place].0, leading[place].1.1);
        let mut pairs: Vec<(i64, Pair)> = batch.lookups.iter().filter_map(asked).map(leads).collect();
        noted.extend(pairs.iter().map(|(lookup, _)| *lookup));
        if !pairs.is_empty() {
            let is_new = |lookup: &i64| pairs.binary_search_by_key(lookup, |(lookup, _)| *lookup).is_ok();
            let before: Vec<(i64, Pair)> = batch.making.iter().filter(|(lookup, _)| !is_new(lookup)).copied().collect();
            pairs.extend(before);
            pairs.sort_by_key(|(lookup, _)| *lookup);
            let newer = || pairs.iter().map(|(_, pair)| pair.from.max(pair.to));
            let (first, last) = (newer().min(), newer().max());
            let sql = "INSERT OR REPLACE INTO making_together (number, first, last, pairs) VALUES (?1, ?2, ?3, ?4)";
            database.prepare_cached(sql)?.execute(params![batch.number, first, last, packed_pairs(&pairs)])?;
        }
    }
    noted.sort_unstable();
    Ok(noted)
}

/// Gives each of these lookups a row of its own, with all that were committed together with it. They are in order.
pub fn spread(database: &Database, pipeline: i64, lookups: &[i64]) -> rusqlite::Result<()> {
    spread_where(database, pipeline, lookups, |_| true)
}

/// The same with those that were committed together with one of which it is noted what was about to be made.
pub fn spread_noted(database: &Database, pipeline: i64, lookups: &[i64]) -> rusqlite::Result<()> {
    spread_where(database, pipeline, lookups, |batch| !batch.making.is_empty())
}

fn spread_where(
    database: &Database,
    pipeline: i64,
    lookups: &[i64],
    which: impl Fn(&Batch) -> bool,
) -> rusqlite::Result<()> {
    let (Some(first), Some(last)) = (lookups.first(), lookups.last()) else { return Ok(()) };
    for mut batch in batches(database, pipeline, *first, *last)? {
        if batch.lookups.iter().any(|(lookup, _)| lookups.binary_search(lookup).is_ok()) {
            batch.making = making(database, batch.number)?;
            if which(&batch) {
                spread_one(database, &batch)?;
            }
        }
    }
    Ok(())
}

/// The same with all lookups of a pipeline from one to another.
pub fn spread_range(database: &Database, pipeline: i64, first: i64, last: i64) -> rusqlite::Result<()> {
    whole_batches(database, pipeline, first, last)?.iter().try_for_each(|batch| spread_one(database, batch))
}

/// What was about to be made is in doubt from then on.
fn spread_one(database: &Database, batch: &Batch) -> rusqlite::Result<()> {
    let due: Vec<Due> = batch.known().map(|(lookup, (asks, making))| (lookup, Some(asks), making.is_some())).collect();
    enter_due(database, &due)?;
    let leading: Vec<Leading> =
        batch.known().filter_map(|(lookup, (asks, making))| Some((lookup, (asks, making?)))).collect();
    carried_out::enter(database, &leading)?;
    delete(database, batch)
}

fn delete(database: &Database, batch: &Batch) -> rusqlite::Result<()> {
    database.prepare_cached("DELETE FROM making_together WHERE number = ?1")?.execute([batch.number])?;
    database.prepare_cached("DELETE FROM due_together WHERE number = ?1")?.execute([batch.number]).map(drop)
}

/// Goes through all of them: whatever is wrong with a row is an error.
pub fn check(database: &Database) -> rusqlite::Result<()> {
    let mut statement = database.prepare("SELECT number, lookups FROM due_together")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        known(database, row.get(0)?, row.get_ref(1)?.as_blob()?)?;
    }
    Ok(())
}

/// Takes lookups away that are carried out: `carried_out` tells the place of a lookup among them, and whether that is what it asks for.
/// Returns the places of those that are gone. Where one asks for something else, its batch is spread.
pub fn settle(
    database: &Database,
    pipeline: i64,
    (first, last): (i64, i64),
    carried_out: impl Fn(Fresh) -> Option<(usize, bool)>,
) -> rusqlite::Result<Vec<usize>> {
    let mut gone = Vec::new();
    for mut batch in batches(database, pipeline, first, last)? {
        let places: Vec<Option<(usize, bool)>> = batch.lookups.iter().map(|lookup| carried_out(*lookup)).collect();
        if places.iter().flatten().any(|(_, is_done)| !is_done) {
            batch.making = making(database, batch.number)?;
            spread_one(database, &batch)?;
            continue;
        }
        let mut still = places.iter().map(Option::is_none);
        batch.lookups.retain(|_| still.next().unwrap_or(true));
        gone.extend(places.iter().flatten().map(|(place, _)| *place));
        if batch.lookups.is_empty() {
            delete(database, &batch)?;
        } else if batch.lookups.len() < places.len() {
            // What is noted of those that are gone stays in its row, and is not looked at any more.
            let sql = "UPDATE due_together SET lookups = ?2 WHERE number = ?1";
            database.prepare_cached(sql)?.execute(params![batch.number, packed(&batch.lookups)])?;
        }
    }
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lookups_are_read_as_they_were_packed() {
        let lookups = [(i64::MIN, (0, None)), (7, (i64::MAX, Some(1))), (i64::MAX, (-1, Some(i64::from(u32::MAX))))];
        assert_eq!(unpacked(&packed(&lookups)).unwrap(), lookups);
        let bytes = packed(&lookups);
        let errors = (1..bytes.len()).filter(|cut| unpacked(&bytes[..*cut]).is_err()).count();
        // But for where one lookup ends and the next begins.
        assert_eq!(errors, bytes.len() - 1 - 2);
        assert_eq!(unpacked(&[]).unwrap(), []);
    }

    #[test]
    fn pairs_are_read_as_they_were_packed() {
        let pairs = [
            (i64::MIN, Pair { relation: 1, from: 0, to: i64::MAX }),
            (7, Pair { relation: -1, from: i64::MIN, to: 8 }),
        ];
        assert_eq!(unpacked_pairs(&packed_pairs(&pairs)).unwrap(), pairs);
        let bytes = packed_pairs(&pairs);
        assert!(unpacked_pairs(&bytes[..bytes.len() - 1]).is_err());
        assert_eq!(unpacked_pairs(&[]).unwrap(), []);
    }

    #[test]
    fn only_what_asks_for_an_association_and_is_not_in_doubt_fits() {
        let one = (1, Some((5, None)), false);
        assert_eq!(fitting(&[one, (2, Some((5, Some(3))), false)]), Some(vec![(1, (5, None)), (2, (5, Some(3)))]));
        for odd in [(2, None, false), (2, Some((5, None)), true)] {
            assert_eq!(fitting(&[one, odd]), None);
        }
    }
}
