//! A state of version 13, which had a row for each entry: put into blocks.

use rusqlite::{Row, params};

use super::carried_out::{self, CarriedOut, Pair};
use super::database::{Database, damaged};
use super::known::{self, Known};
use super::pairs::{self, Own};
use super::together::{self, Fresh};
use super::{rows, unconfirmed};

/// Entries that are put into blocks together.
const TOGETHER: usize = 10_000;

/// Puts all of them into blocks, in the order of each table, so that blocks are filled one after the other.
pub(super) fn pack(database: &Database) -> rusqlite::Result<()> {
    in_parts(
        database,
        "SELECT record, hubspot_id, hash, standing FROM identities_by_row ORDER BY record",
        |row| {
            let hash = rows::bytes(2, row.get_ref(2)?.as_blob()?)?;
            Ok(Known { record: row.get(0)?, hubspot_id: row.get(1)?, hash, standing: row.get(3)? })
        },
        |part| known::enter(database, part),
    )?;
    in_parts(
        database,
        "SELECT hubspot_id, record FROM identities_by_row ORDER BY hubspot_id, record",
        |row| Ok((row.get(0)?, row.get(1)?)),
        |part| known::enter_records_of(database, part),
    )?;
    in_parts(
        database,
        "SELECT lookup, target, label, relation, from_id, to_id FROM associations_by_row ORDER BY lookup",
        |row| {
            let asked = (row.get(1)?, row.get(2)?);
            let (relation, from, to) = (row.get(3)?, row.get(4)?, row.get(5)?);
            Ok((row.get(0)?, CarriedOut { lookup: row.get(0)?, asked, relation, from, to }))
        },
        |part| carried_out::change(database, part, |carried_out, _| Some(*carried_out)),
    )?;
    in_parts(
        database,
        "SELECT newer, older, relation, label, from_id FROM owned_types_by_row
         ORDER BY newer, older, relation, label, from_id",
        |row| {
            let (label, from) = (row.get(3)?, row.get(4)?);
            Ok(Own { newer: row.get(0)?, older: row.get(1)?, relation: row.get(2)?, label, from })
        },
        |part| pairs::set_owned(database, part, true),
    )?;
    calls(database)?;
    due_together(database)?;
    making_together(database)?;
    database.execute_batch(
        "DROP TABLE identities_by_row; DROP TABLE associations_by_row; DROP TABLE owned_types_by_row;
         DROP TABLE due_together_before;",
    )
}

/// All rows of a query, of which there are few.
fn all<T>(
    database: &Database,
    sql: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    database.prepare(sql)?.query_map([], read)?.collect()
}

fn cut_short(table: &str) -> rusqlite::Error {
    damaged(format!("a row of `{table}` is cut short"))
}

fn calls(database: &Database) -> rusqlite::Result<()> {
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let calls: Vec<(i64, i64, Vec<u8>)> = all(database, "SELECT pipeline, number, records FROM calls", read)?;
    for (pipeline, number, bytes) in calls {
        let records = unconfirmed::packed(&numbers(&bytes).ok_or_else(|| cut_short("calls"))?);
        let sql = "UPDATE calls SET records = ?3 WHERE pipeline = ?1 AND number = ?2";
        database.execute(sql, params![pipeline, number, records])?;
    }
    Ok(())
}

fn due_together(database: &Database) -> rusqlite::Result<()> {
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let rows: Vec<(i64, i64, Vec<u8>)> =
        all(database, "SELECT number, pipeline, lookups FROM due_together_before", read)?;
    for (number, pipeline, bytes) in rows {
        let lookups = lookups(&bytes).ok_or_else(|| cut_short("due_together"))?;
        let (Some((first, _)), Some((last, _))) = (lookups.first(), lookups.last()) else { continue };
        let sql = "INSERT INTO due_together VALUES (?1, ?2, ?3, ?4, ?5)";
        database.execute(sql, params![number, pipeline, first, last, together::packed(&lookups)])?;
    }
    Ok(())
}

fn making_together(database: &Database) -> rusqlite::Result<()> {
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let rows: Vec<(i64, Vec<u8>)> = all(database, "SELECT number, pairs FROM making_together", read)?;
    for (number, bytes) in rows {
        let pairs = together::packed_pairs(&leading(&bytes).ok_or_else(|| cut_short("making_together"))?);
        database.execute("UPDATE making_together SET pairs = ?2 WHERE number = ?1", params![number, pairs])?;
    }
    Ok(())
}

/// Eight bytes for each number; none where there are others.
fn numbers(bytes: &[u8]) -> Option<Vec<i64>> {
    let (numbers, rest) = bytes.as_chunks::<8>();
    rest.is_empty().then(|| numbers.iter().map(|number| i64::from_be_bytes(*number)).collect())
}

/// Twenty bytes for each lookup: its number, that of the record, and that of the label, which is 0 where there is none.
fn lookups(bytes: &[u8]) -> Option<Vec<Fresh>> {
    let (lookups, rest) = bytes.as_chunks::<20>();
    let lookup = |bytes: &[u8; 20]| -> Option<Fresh> {
        let label = i64::from(u32::from_be_bytes(*bytes.last_chunk()?));
        let numbers = numbers(&bytes[..16])?;
        Some((numbers[0], (numbers[1], Some(label).filter(|label| *label != 0))))
    };
    if rest.is_empty() { lookups.iter().map(lookup).collect() } else { None }
}

/// Four numbers for each pair: the lookup, the relation, and both ends.
fn leading(bytes: &[u8]) -> Option<Vec<(i64, Pair)>> {
    let numbers = numbers(bytes)?;
    let (pairs, rest) = numbers.as_chunks::<4>();
    let pair = |[lookup, relation, from, to]: &[i64; 4]| (*lookup, Pair { relation: *relation, from: *from, to: *to });
    rest.is_empty().then(|| pairs.iter().map(pair).collect())
}

/// Reads rows in their order, and writes some of them at a time.
fn in_parts<T>(
    database: &Database,
    sql: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    write: impl Fn(&[T]) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = database.prepare(sql)?;
    let mut rows = statement.query_map([], read)?;
    loop {
        let part: Vec<T> = rows.by_ref().take(TOGETHER).collect::<rusqlite::Result<_>>()?;
        if part.is_empty() {
            return Ok(());
        }
        write(&part)?;
    }
}
