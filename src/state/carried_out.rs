//! What was carried out of lookups, by numbers.

use std::ops::{ControlFlow, Range};

use super::blocks::{Blocks, Entry, mark};
use super::database::{Database, damaged, lookups_of, record_of};
use super::due::Asks;
use super::known;
use super::packed::{Lens, Pen};

/// The pair of records that a lookup leads from and to, by numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// The number of the relation.
    pub relation: i64,
    /// The HubSpot record at this end.
    pub from: i64,
    /// The HubSpot record at the other end.
    pub to: i64,
}

/// A lookup, what it asks for, and where that leads.
pub type Leading = (i64, (Asks, Pair));

/// What was carried out of a lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CarriedOut {
    /// Its number.
    pub lookup: i64,
    /// The record that it asked for, and the label.
    pub asked: Asks,
    /// The number of the relation.
    pub relation: i64,
    /// The HubSpot record at this end, where that is not the one that the record is.
    pub from: Option<i64>,
    /// The HubSpot record at the other end.
    pub to: i64,
}

impl Entry<1> for CarriedOut {
    const BEGIN: Self = Self { lookup: 0, asked: (0, None), relation: 0, from: None, to: 0 };

    fn key(&self) -> [i64; 1] {
        [self.lookup]
    }

    /// Labels have numbers from 1 on. Of what is mostly missing, one number tells whether it is there.
    fn write(&self, before: &Self, pen: &mut Pen) {
        let (target, label) = self.asked;
        pen.number(self.lookup, before.lookup);
        pen.number(target, before.asked.0);
        pen.number(label.unwrap_or_default() << 1 | i64::from(self.from.is_some()), 0);
        pen.number(self.relation, before.relation);
        pen.number(self.to, before.to);
        if let Some(from) = self.from {
            pen.number(from, 0);
        }
    }

    fn read(before: &Self, lens: &mut Lens<'_>) -> Option<Self> {
        let lookup = lens.number(before.lookup)?;
        let target = lens.number(before.asked.0)?;
        let more = lens.number(0)?;
        let relation = lens.number(before.relation)?;
        let to = lens.number(before.to)?;
        let from = if more & 1 == 1 { Some(lens.number(0)?) } else { None };
        Some(Self { lookup, asked: (target, Some(more >> 1).filter(|label| *label != 0)), relation, from, to })
    }
}

/// A lookup that led from a HubSpot record which is not the one that its record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Elsewhere {
    from: i64,
    to: i64,
    lookup: i64,
}

impl Elsewhere {
    fn of(carried_out: CarriedOut) -> Option<Self> {
        let CarriedOut { lookup, from, to, .. } = carried_out;
        from.map(|from| Self { from, to, lookup })
    }
}

impl Entry<3> for Elsewhere {
    const BEGIN: Self = Self { from: 0, to: 0, lookup: 0 };

    fn key(&self) -> [i64; 3] {
        [self.from, self.to, self.lookup]
    }

    fn write(&self, before: &Self, pen: &mut Pen) {
        pen.number(self.from, before.from);
        pen.number(self.to, before.to);
        pen.number(self.lookup, before.lookup);
    }

    fn read(before: &Self, lens: &mut Lens<'_>) -> Option<Self> {
        Some(Self { from: lens.number(before.from)?, to: lens.number(before.to)?, lookup: lens.number(before.lookup)? })
    }
}

static CARRIED_OUT: Blocks<CarriedOut, 1> = Blocks::new("associations");

static ELSEWHERE: Blocks<Elsewhere, 3> = Blocks::new("associations_by_pair");

/// What was carried out of a lookup.
pub fn get(database: &Database, lookup: i64) -> rusqlite::Result<Option<CarriedOut>> {
    CARRIED_OUT.get(database, [lookup])
}

/// Tells what was carried out of each of these lookups, which are in order and without doubles.
pub fn each_of<T>(
    database: &Database,
    lookups: &[(i64, T)],
    mut found: impl FnMut(&T, CarriedOut) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    CARRIED_OUT.each_of(
        database,
        lookups,
        |(lookup, _)| ([*lookup], [*lookup]),
        |(_, wanted), entry| found(wanted, entry),
    )
}

/// The same for all lookups of these records, which are in order and without doubles.
pub fn each_of_records<T>(
    database: &Database,
    records: &[(i64, T)],
    mut found: impl FnMut(&T, CarriedOut) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let span = |(record, _): &(i64, T)| {
        let lookups = lookups_of(*record);
        ([lookups.start], [lookups.end - 1])
    };
    CARRIED_OUT.each_of(database, records, span, |(_, wanted), entry| found(wanted, entry))
}

/// Goes through the lookups of some numbers of which something was carried out, in order, as far as `each` wants to.
pub fn walk(
    database: &Database,
    lookups: Range<i64>,
    each: impl FnMut(CarriedOut) -> rusqlite::Result<ControlFlow<()>>,
) -> rusqlite::Result<()> {
    CARRIED_OUT.walk(database, [lookups.start], [lookups.end - 1], each)
}

/// Goes through all lookups of which something was carried out.
pub fn all(database: &Database, each: impl FnMut(CarriedOut) -> rusqlite::Result<()>) -> rusqlite::Result<()> {
    CARRIED_OUT.all(database, each)
}

/// Tells the lookups that led from one HubSpot record, which is not the one that their record is, to another: for both numbers of each of
/// these, which are in order and without doubles.
pub fn elsewhere<T: Copy>(
    database: &Database,
    pairs: &[(i64, i64, T)],
    mut found: impl FnMut(&T, CarriedOut) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let span = |(from, to, _): &(i64, i64, T)| ([*from, *to, i64::MIN], [*from, *to, i64::MAX]);
    let mut lookups: Vec<(i64, T)> = Vec::new();
    ELSEWHERE.each_of(database, pairs, span, |(_, _, wanted), elsewhere| {
        lookups.push((elsewhere.lookup, *wanted));
        Ok(())
    })?;
    lookups.sort_unstable_by_key(|(lookup, _)| *lookup);
    each_of(database, &lookups, |wanted, carried_out| found(wanted, carried_out))
}

/// Whether any lookup led from elsewhere.
pub fn any_elsewhere(database: &Database) -> rusqlite::Result<bool> {
    ELSEWHERE.any(database)
}

/// Changes what was carried out of these lookups, which are in order and without doubles: `becomes` is told what it was, and tells what it
/// is to be.
pub fn change<T>(
    database: &Database,
    lookups: &[(i64, T)],
    mut becomes: impl FnMut(&T, Option<CarriedOut>) -> Option<CarriedOut>,
) -> rusqlite::Result<()> {
    let mut moved: Vec<(Elsewhere, bool)> = Vec::new();
    CARRIED_OUT.change(
        database,
        lookups,
        |(lookup, _)| [*lookup],
        |(_, wanted), before| {
            let now = becomes(wanted, before);
            let (was, is) = (before.and_then(Elsewhere::of), now.and_then(Elsewhere::of));
            if was != is {
                moved.extend(was.map(|was| (was, false)));
                moved.extend(is.map(|is| (is, true)));
            }
            Ok(now)
        },
    )?;
    moved.sort_unstable();
    ELSEWHERE.change(database, &moved, |(entry, _)| entry.key(), |(entry, is), _| Ok(Some(*entry).filter(|_| *is)))
}

/// Notes what was carried out of different lookups, which are in order.
pub fn enter(database: &Database, leading: &[Leading]) -> rusqlite::Result<()> {
    let mut records: Vec<(i64, ())> = leading.iter().map(|(lookup, _)| (record_of(*lookup), ())).collect();
    records.dedup();
    let mut near: Vec<(i64, i64)> = Vec::with_capacity(records.len());
    known::each_of(database, &records, |(), known| {
        near.push((known.record, known.hubspot_id));
        Ok(())
    })?;
    // Both are in the order of the records.
    let mut near = near.into_iter().peekable();
    let mut entries = Vec::with_capacity(leading.len());
    for (lookup, (asked, pair)) in leading {
        while near.next_if(|(record, _)| *record < record_of(*lookup)).is_some() {}
        let near_end = near.peek().filter(|(record, _)| *record == record_of(*lookup)).map(|(_, near_end)| *near_end);
        let from = Some(pair.from).filter(|from| Some(*from) != near_end);
        let entry = CarriedOut { lookup: *lookup, asked: *asked, relation: pair.relation, from, to: pair.to };
        entries.push((*lookup, entry));
    }
    change(database, &entries, |entry, _| Some(*entry))
}

/// Lookups that are gone through together: what they become is held in memory.
const TOGETHER: usize = 10_000;

/// What is to be noted of a lookup; none where nothing is.
pub type Becomes = (i64, Option<CarriedOut>);

/// Goes through what was carried out of the lookups of some numbers, and changes what `each` says.
pub fn rewrite(
    database: &Database,
    mut lookups: Range<i64>,
    mut each: impl FnMut(CarriedOut, &mut Vec<Becomes>),
) -> rusqlite::Result<()> {
    loop {
        let (mut changes, mut count): (Vec<Becomes>, usize) = (Vec::new(), 0);
        walk(database, lookups.clone(), |carried_out| {
            each(carried_out, &mut changes);
            (lookups.start, count) = (carried_out.lookup + 1, count + 1);
            Ok(if count < TOGETHER { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        changes.sort_unstable_by_key(|(lookup, _)| *lookup);
        change(database, &changes, |becomes, _| *becomes)?;
        if count < TOGETHER {
            return Ok(());
        }
    }
}

/// Forgets what was carried out of all lookups of some numbers. Returns how many it were.
pub fn forget(database: &Database, lookups: Range<i64>) -> rusqlite::Result<u64> {
    let mut count = 0;
    rewrite(database, lookups, |carried_out, changes| {
        count += 1;
        changes.push((carried_out.lookup, None));
    })?;
    Ok(count)
}

/// Goes through both tables: whatever is wrong with a block is an error, and so is that they do not agree.
pub fn check(database: &Database) -> rusqlite::Result<()> {
    let (mut of_lookups, mut of_pairs) = (0_u64, 0_u64);
    CARRIED_OUT.check(database, |carried_out| {
        let elsewhere = Elsewhere::of(carried_out).map_or(0, |elsewhere| mark(&elsewhere.key()));
        of_lookups = of_lookups.wrapping_add(elsewhere);
    })?;
    ELSEWHERE.check(database, |elsewhere| of_pairs = of_pairs.wrapping_add(mark(&elsewhere.key())))?;
    if of_lookups == of_pairs {
        return Ok(());
    }
    Err(damaged("`associations_by_pair` does not hold the lookups of `associations`".to_owned()))
}
