//! Rows of what was carried out of lookups, each of its own.

use super::database::{Database, each_of, record_of};
use super::due::Asks;
use super::inserts::Insert;

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

static ENTER: Insert = Insert::new(
    "INSERT OR FAIL INTO associations (lookup, target, label, relation, from_id, to_id) VALUES",
    "ooccco",
    "ON CONFLICT (lookup) DO UPDATE SET target = excluded.target, label = excluded.label, relation = excluded.relation,
        from_id = excluded.from_id, to_id = excluded.to_id",
);

const NEAR_ENDS: &str = "SELECT record, hubspot_id FROM identities WHERE record >= ?1 AND record <= ?2 ORDER BY record";

/// Notes what was carried out of different lookups, which are in order.
pub fn enter(database: &Database, leading: &[Leading]) -> rusqlite::Result<()> {
    let mut records: Vec<(i64, ())> = leading.iter().map(|(lookup, _)| (record_of(*lookup), ())).collect();
    records.dedup();
    let mut near: Vec<(i64, i64)> = Vec::with_capacity(records.len());
    each_of(database, NEAR_ENDS, 0, &records, |(), row| {
        near.push((row.get(0)?, row.get(1)?));
        Ok(())
    })?;
    // Both are in the order of the records.
    let mut near = near.into_iter().peekable();
    let mut rows = Vec::with_capacity(leading.len());
    for (lookup, (asks, pair)) in leading {
        while near.next_if(|(record, _)| *record < record_of(*lookup)).is_some() {}
        let near_end = near.peek().filter(|(record, _)| *record == record_of(*lookup)).map(|(_, near_end)| *near_end);
        rows.push((*lookup, *asks, *pair, Some(pair.from).filter(|from| Some(*from) != near_end)));
    }
    let common = |(_, asks, pair, from): &(_, Asks, Pair, _)| [asks.1, Some(pair.relation), *from];
    ENTER.rows(database, &rows, common, |values, (lookup, asks, pair, _)| {
        values.put(lookup)?;
        values.put(asks.0)?;
        values.put(pair.to)
    })
}
