//! What is known of records, by numbers: how each stands in HubSpot, and which records a HubSpot record is.

use std::ops::{ControlFlow, Range};

use super::blocks::{Blocks, Entry, mark};
use super::database::{Database, damaged};
use super::packed::{Lens, Pen};
use crate::model::identity::Membership;

/// What is known of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Its number.
    pub record: i64,
    /// The number of the HubSpot record that it is.
    pub hubspot_id: i64,
    /// The hash of what was written to that.
    pub hash: [u8; 16],
    /// The number of how it stands.
    pub standing: i64,
}

impl Entry<1> for Known {
    const BEGIN: Self = Self { record: 0, hubspot_id: 0, hash: [0; 16], standing: 0 };

    fn key(&self) -> [i64; 1] {
        [self.record]
    }

    fn write(&self, before: &Self, pen: &mut Pen) {
        pen.number(self.record, before.record);
        pen.number(self.hubspot_id, before.hubspot_id);
        pen.number(self.standing, before.standing);
        pen.bytes(&self.hash);
    }

    fn read(before: &Self, lens: &mut Lens<'_>) -> Option<Self> {
        Some(Self {
            record: lens.number(before.record)?,
            hubspot_id: lens.number(before.hubspot_id)?,
            standing: lens.number(before.standing)?,
            hash: lens.bytes()?,
        })
    }
}

/// A HubSpot record that a record is. Records of several pipelines may be the same one, and of several objects may have the same ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Is {
    hubspot_id: i64,
    record: i64,
}

impl Entry<2> for Is {
    const BEGIN: Self = Self { hubspot_id: 0, record: 0 };

    fn key(&self) -> [i64; 2] {
        [self.hubspot_id, self.record]
    }

    fn write(&self, before: &Self, pen: &mut Pen) {
        pen.number(self.hubspot_id, before.hubspot_id);
        pen.number(self.record, before.record);
    }

    fn read(before: &Self, lens: &mut Lens<'_>) -> Option<Self> {
        Some(Self { hubspot_id: lens.number(before.hubspot_id)?, record: lens.number(before.record)? })
    }
}

static KNOWN: Blocks<Known, 1> = Blocks::new("identities");

static IS: Blocks<Is, 2> = Blocks::new("identities_by_hubspot_id");

/// What is known of a record.
pub fn get(database: &Database, record: i64) -> rusqlite::Result<Option<Known>> {
    KNOWN.get(database, [record])
}

/// Tells what is known of each of these records, which are in order and without doubles.
pub fn each_of<T>(
    database: &Database,
    records: &[(i64, T)],
    mut found: impl FnMut(&T, Known) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    KNOWN.each_of(database, records, |(record, _)| ([*record], [*record]), |(_, wanted), known| found(wanted, known))
}

/// Goes through the records of some numbers, in order, as far as `each` wants to.
pub fn walk(
    database: &Database,
    records: Range<i64>,
    each: impl FnMut(Known) -> rusqlite::Result<ControlFlow<()>>,
) -> rusqlite::Result<()> {
    KNOWN.walk(database, [records.start], [records.end - 1], each)
}

/// Goes through all records.
pub fn all(database: &Database, each: impl FnMut(Known) -> rusqlite::Result<()>) -> rusqlite::Result<()> {
    KNOWN.all(database, each)
}

/// Changes what is known of these records, which are in order and without doubles: `becomes` is told what is known, and tells what is to be.
pub fn change<T>(
    database: &Database,
    records: &[(i64, T)],
    mut becomes: impl FnMut(&T, Option<Known>) -> rusqlite::Result<Option<Known>>,
) -> rusqlite::Result<()> {
    let mut moved: Vec<(Is, bool)> = Vec::with_capacity(records.len());
    KNOWN.change(
        database,
        records,
        |(record, _)| [*record],
        |(_, wanted), before| {
            let now = becomes(wanted, before)?;
            let is = |known: Known| Is { hubspot_id: known.hubspot_id, record: known.record };
            if before.map(is) != now.map(is) {
                moved.extend(before.map(|before| (is(before), false)));
                moved.extend(now.map(|now| (is(now), true)));
            }
            Ok(now)
        },
    )?;
    moved.sort_unstable();
    IS.change(database, &moved, |(is, _)| is.key(), |(is, stands), _| Ok(Some(*is).filter(|_| *stands)))
}

/// Enters what is known of records, which are in order, without telling the HubSpot records that they are.
pub fn enter(database: &Database, records: &[Known]) -> rusqlite::Result<()> {
    KNOWN.change(database, records, Known::key, |known, _| Ok(Some(*known)))
}

/// Enters the records that HubSpot records are: both numbers, in order.
pub fn enter_records_of(database: &Database, records: &[(i64, i64)]) -> rusqlite::Result<()> {
    let is = |(hubspot_id, record): &(i64, i64)| Is { hubspot_id: *hubspot_id, record: *record };
    IS.change(database, records, |numbers| is(numbers).key(), |numbers, _| Ok(Some(is(numbers))))
}

/// Records that are forgotten together: their numbers are held in memory.
const FORGOTTEN_TOGETHER: usize = 10_000;

/// Forgets all records of some numbers. Returns how many it were.
pub fn forget(database: &Database, records: Range<i64>) -> rusqlite::Result<u64> {
    let mut count = 0;
    loop {
        let mut gone: Vec<(i64, ())> = Vec::new();
        walk(database, records.clone(), |known| {
            gone.push((known.record, ()));
            Ok(if gone.len() < FORGOTTEN_TOGETHER { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        if gone.is_empty() {
            return Ok(count);
        }
        count += gone.len() as u64;
        change(database, &gone, |(), _| Ok(None))?;
    }
}

/// Tells the records that are HubSpot records of these numbers, which are in order and without doubles.
pub fn records_of<T>(
    database: &Database,
    hubspot_ids: &[(i64, T)],
    mut found: impl FnMut(&T, i64) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let span = |(hubspot_id, _): &(i64, T)| ([*hubspot_id, i64::MIN], [*hubspot_id, i64::MAX]);
    IS.each_of(database, hubspot_ids, span, |(_, wanted), is| found(wanted, is.record))
}

/// Whether a record that stands so is in HubSpot.
pub fn stands(database: &Database, standing: i64) -> rusqlite::Result<bool> {
    Ok(database.standing(standing)?.membership != Membership::Archived)
}

/// The HubSpot record of a record, where it stands.
pub fn standing_record(database: &Database, record: i64) -> rusqlite::Result<Option<i64>> {
    match get(database, record)? {
        Some(known) if stands(database, known.standing)? => Ok(Some(known.hubspot_id)),
        _ => Ok(None),
    }
}

/// Goes through both tables: whatever is wrong with a block is an error, and so is that they do not agree.
pub fn check(database: &Database) -> rusqlite::Result<()> {
    let (mut of_records, mut of_hubspot_ids) = (0_u64, 0_u64);
    KNOWN.check(database, |known| of_records = of_records.wrapping_add(mark(&[known.hubspot_id, known.record])))?;
    IS.check(database, |is| of_hubspot_ids = of_hubspot_ids.wrapping_add(mark(&is.key())))?;
    if of_records == of_hubspot_ids {
        return Ok(());
    }
    Err(damaged("`identities_by_hubspot_id` does not hold the records of `identities`".to_owned()))
}
