//! Calls whose outcome is not noted: written down before they are sent.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::database::{Database, damaged, each_of};
use super::packed::{Lens, Pen};
use super::pipelines::{ensure_pipeline, pipeline_id};
use super::rows;
use crate::model::ids::{PipelineName, SalesforceId};
use crate::model::unconfirmed::{Intent, Unconfirmed};

/// Calls of a pipeline that are kept whole at most: more than are ever under way at once. Records of older ones get rows of their own.
const CALLS_MAX: i64 = 64;

/// Notes calls that are about to be sent. An earlier doubt about a record stays: it is the one to be accounted for.
pub fn note(database: &Database, pipeline: &PipelineName, calls: &[Unconfirmed]) -> rusqlite::Result<()> {
    let pipeline = ensure_pipeline(database, pipeline)?;
    let mut kinds: Vec<(&str, Intent, Vec<i64>)> = Vec::new();
    for call in calls {
        let record = database.ensure_record(pipeline, &call.salesforce_id)?;
        let is_alike = |(property, intent, _): &&mut (&str, Intent, Vec<i64>)| {
            *property == &*call.match_property && *intent == call.intent
        };
        match kinds.iter_mut().find(is_alike) {
            Some((_, _, records)) => records.push(record),
            None => {
                let mut records = Vec::with_capacity(calls.len());
                records.push(record);
                kinds.push((&call.match_property, call.intent, records));
            }
        }
    }
    let (mut count, mut last) = in_calls(database, pipeline)?;
    for (property, intent, mut records) in kinds {
        records.sort_unstable();
        let kind = ensure_kind(database, property, intent)?;
        (count, last) = (count + 1, last + 1);
        let sql = "INSERT INTO calls (pipeline, number, kind, records) VALUES (?1, ?2, ?3, ?4)";
        database.prepare_cached(sql)?.execute(params![pipeline, last, kind, packed(&records)])?;
    }
    while count > CALLS_MAX {
        spread_oldest(database, pipeline)?;
        count -= 1;
    }
    Ok(())
}

/// How many calls of a pipeline are kept, and the number of the last one. Neither this nor [`calls`] asks for an order by what follows the
/// pipeline: a statement that does is prepared anew for each pipeline that it is asked about.
fn in_calls(database: &Database, pipeline: i64) -> rusqlite::Result<(i64, i64)> {
    let sql = "SELECT count(*), coalesce(max(number), 0) FROM calls WHERE pipeline = ?1";
    database.prepare_cached(sql)?.query_row([pipeline], |row| Ok((row.get(0)?, row.get(1)?)))
}

fn ensure_kind(database: &Database, match_property: &str, intent: Intent) -> rusqlite::Result<i64> {
    let kind = params![match_property, rows::name_of(&intent)];
    let sql = "SELECT number FROM call_kinds WHERE match_property = ?1 AND intent = ?2";
    if let Some(number) = database.prepare_cached(sql)?.query_row(kind, |row| row.get(0)).optional()? {
        return Ok(number);
    }
    database.execute("INSERT INTO call_kinds (match_property, intent) VALUES (?1, ?2)", kind)?;
    Ok(database.last_insert_rowid())
}

/// Notes that a call of an earlier version has left a record in doubt.
pub fn note_one(database: &Database, record: i64, match_property: &str, intent: Intent) -> rusqlite::Result<()> {
    let kind = ensure_kind(database, match_property, intent)?;
    let sql = "INSERT OR IGNORE INTO unconfirmed (record, kind) VALUES (?1, ?2)";
    database.prepare_cached(sql)?.execute([record, kind]).map(drop)
}

/// Gives the records of the oldest call rows of their own.
fn spread_oldest(database: &Database, pipeline: i64) -> rusqlite::Result<()> {
    let sql = "DELETE FROM calls WHERE pipeline = ?1
        AND number = (SELECT min(number) FROM calls WHERE pipeline = ?1) RETURNING number, kind, records";
    let Some(call) = database.prepare_cached(sql)?.query_row([pipeline], Call::read).optional()? else { return Ok(()) };
    let mut statement = database.prepare_cached("INSERT OR IGNORE INTO unconfirmed (record, kind) VALUES (?1, ?2)")?;
    for record in call.records {
        statement.execute([record, call.kind])?;
    }
    Ok(())
}

/// Some calls that were noted together.
struct Call {
    number: i64,
    kind: i64,
    /// In order.
    records: Vec<i64>,
}

impl Call {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let records = unpacked(row.get_ref(2)?.as_blob()?)
            .ok_or_else(|| damaged("the records of a call are cut short".to_owned()))?;
        Ok(Self { number: row.get(0)?, kind: row.get(1)?, records })
    }
}

/// Records, which are in order: the first and the last number as they are, and then those behind the first.
pub fn packed(records: &[i64]) -> Vec<u8> {
    let (Some(first), Some(last)) = (records.first(), records.last()) else { return Vec::new() };
    let mut pen = Pen::with_capacity(16 + 2 * records.len());
    pen.bytes(&first.to_be_bytes());
    pen.bytes(&last.to_be_bytes());
    records.windows(2).for_each(|pair| pen.number(pair[1], pair[0]));
    pen.into_bytes()
}

/// None where they are cut short.
fn unpacked(bytes: &[u8]) -> Option<Vec<i64>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let (first, last) = ends(bytes)?;
    let mut lens = Lens::of(&bytes[16..]);
    let mut records = Vec::with_capacity(1 + bytes.len());
    records.push(first);
    let mut record = first;
    while !lens.is_empty() {
        record = lens.number(record)?;
        records.push(record);
    }
    Some(records).filter(|_| record == last)
}

/// The first and the last of packed records.
fn ends(bytes: &[u8]) -> Option<(i64, i64)> {
    let (first, rest) = bytes.split_first_chunk()?;
    Some((i64::from_be_bytes(*first), i64::from_be_bytes(*rest.first_chunk()?)))
}

const CALLS: &str = "SELECT number, kind, records FROM calls WHERE pipeline = ?1";

/// Calls of a pipeline that may have some of these records, the oldest first.
fn calls(database: &Database, pipeline: i64, first: i64, last: i64) -> rusqlite::Result<Vec<Call>> {
    let mut statement = database.prepare_cached(CALLS)?;
    let mut rows = statement.query([pipeline])?;
    let mut calls = Vec::new();
    while let Some(row) = rows.next()? {
        if may_have(row.get_ref(2)?.as_blob()?, first, last) {
            calls.push(Call::read(row)?);
        }
    }
    calls.sort_by_key(|call| call.number);
    Ok(calls)
}

/// Goes through all calls: whatever is wrong with one is an error.
pub fn check(database: &Database) -> rusqlite::Result<()> {
    let mut statement = database.prepare("SELECT number, kind, records FROM calls")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        Call::read(row)?;
    }
    Ok(())
}

/// Whether a call may have some of the records from one to another.
fn may_have(packed: &[u8], first: i64, last: i64) -> bool {
    ends(packed).is_some_and(|(begin, end)| begin <= last && end >= first)
}

/// Forgets the doubts about records that are accounted for.
pub fn account(database: &Database, pipeline: i64, ids: &[SalesforceId]) -> rusqlite::Result<()> {
    let records = database.numbered(pipeline, ids)?;
    if records.is_empty() {
        return Ok(());
    }
    if any_spread(database)? {
        let mut statement = database.prepare_cached("DELETE FROM unconfirmed WHERE record = ?1")?;
        for (record, _) in &records {
            statement.execute([record])?;
        }
    }
    let records: Vec<i64> = records.into_iter().map(|(record, _)| record).collect();
    let (first, last, whole) = (records[0], records[records.len() - 1], packed(&records));
    // Calls that these records are taken from, and those that they leave.
    let mut changed: Vec<(i64, Vec<i64>)> = Vec::new();
    let mut statement = database.prepare_cached(CALLS)?;
    let mut rows = statement.query([pipeline])?;
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref(2)?.as_blob()?;
        // Mostly a call is accounted for as a whole.
        if bytes == whole {
            changed.push((row.get(0)?, Vec::new()));
        } else if may_have(bytes, first, last) {
            let Call { number, records: mut open, .. } = Call::read(row)?;
            let count = open.len();
            open.retain(|record| records.binary_search(record).is_err());
            if open.len() < count {
                changed.push((number, open));
            }
        }
    }
    drop(rows);
    for (number, open) in changed {
        if open.is_empty() {
            let sql = "DELETE FROM calls WHERE pipeline = ?1 AND number = ?2";
            database.prepare_cached(sql)?.execute([pipeline, number])?;
        } else {
            let sql = "UPDATE calls SET records = ?3 WHERE pipeline = ?1 AND number = ?2";
            database.prepare_cached(sql)?.execute(params![pipeline, number, packed(&open)])?;
        }
    }
    Ok(())
}

/// Whether any record of any pipeline has a row of its own.
fn any_spread(database: &Database) -> rusqlite::Result<bool> {
    database.prepare_cached("SELECT 1 FROM unconfirmed LIMIT 1")?.exists([])
}

/// Whether there is any doubt about a record of the pipeline.
pub fn any(database: &Database, pipeline: &PipelineName) -> rusqlite::Result<bool> {
    let Some(pipeline) = pipeline_id(database, pipeline)? else { return Ok(false) };
    let mut found = false;
    each(database, pipeline, None, |_| {
        found = true;
        Ok(false)
    })?;
    Ok(found)
}

/// Goes through the records of a pipeline that are in doubt, in the order of their ids, after the one given, until `found` has enough.
pub fn each(
    database: &Database,
    pipeline: i64,
    after: Option<&SalesforceId>,
    mut found: impl FnMut(i64) -> rusqlite::Result<bool>,
) -> rusqlite::Result<()> {
    let in_calls: BTreeSet<i64> =
        calls(database, pipeline, i64::MIN, i64::MAX)?.into_iter().flat_map(|call| call.records).collect();
    if in_calls.is_empty() && !any_spread(database)? {
        return Ok(());
    }
    let last = after.map(|after| database.record(pipeline, after)).transpose()?.flatten();
    let sql = "SELECT record FROM unconfirmed WHERE record >= ?1 AND record < ?2 ORDER BY record";
    let mut statement = database.prepare_cached(sql)?;
    database.stretches(pipeline, after, |stretch| {
        let records = stretch.after(last);
        let mut in_calls = in_calls.range(records.clone()).copied().peekable();
        let mut spread = statement.query([records.start, records.end])?;
        let mut spread_record: Option<i64> = spread.next()?.map(|row| row.get(0)).transpose()?;
        while let Some(record) = in_calls.peek().copied().into_iter().chain(spread_record).min() {
            if !found(record)? {
                return Ok(false);
            }
            in_calls.next_if_eq(&record);
            if spread_record == Some(record) {
                spread_record = spread.next()?.map(|row| row.get(0)).transpose()?;
            }
        }
        Ok(true)
    })
}

/// Doubts about these records.
pub fn of_records(
    database: &Database,
    pipeline: &PipelineName,
    ids: &[SalesforceId],
) -> rusqlite::Result<Vec<Unconfirmed>> {
    let Some(pipeline) = pipeline_id(database, pipeline)? else { return Ok(Vec::new()) };
    let records = database.numbered(pipeline, ids)?;
    let mut kinds: HashMap<i64, i64> = HashMap::new();
    let sql = "SELECT record, kind FROM unconfirmed WHERE record >= ?1 AND record <= ?2 ORDER BY record";
    each_of(database, sql, 0, &records, |_, row| {
        kinds.insert(row.get(0)?, row.get(1)?);
        Ok(())
    })?;
    let (Some((first, _)), Some((last, _))) = (records.first(), records.last()) else { return Ok(Vec::new()) };
    for call in calls(database, pipeline, *first, *last)? {
        for record in call.records {
            kinds.entry(record).or_insert(call.kind);
        }
    }
    let mut statement = database.prepare_cached("SELECT match_property, intent FROM call_kinds WHERE number = ?1")?;
    let mut doubts = Vec::new();
    for (record, id) in records {
        let Some(kind) = kinds.get(&record) else { continue };
        doubts.push(statement.query_row([kind], |row| {
            Ok(Unconfirmed {
                salesforce_id: id,
                match_property: Arc::from(row.get_ref(0)?.as_str()?),
                intent: rows::named(1, row.get_ref(1)?.as_str()?)?,
            })
        })?);
    }
    Ok(doubts)
}

/// Records in doubt, by id, after the one given. With `due_at`, without those whose failure waits for a later try: they are
/// looked up with it.
pub fn list(
    database: &Database,
    pipeline: &PipelineName,
    due_at: Option<Timestamp>,
    after: Option<SalesforceId>,
    limit: usize,
) -> rusqlite::Result<Vec<SalesforceId>> {
    let mut ids = Vec::new();
    let Some(pipeline) = pipeline_id(database, pipeline)? else { return Ok(ids) };
    let mut waits = database.prepare_cached(
        "SELECT 1 FROM failures WHERE pipeline = ?1 AND salesforce_id = ?2 AND kind = 'record' AND status = 'open' AND retry_at > ?3",
    )?;
    let due_at = due_at.map(rows::millis);
    each(database, pipeline, after.as_ref(), |record| {
        let (_, id) = database.id_of(record)?;
        let waits = match due_at {
            Some(due_at) => waits.exists(params![pipeline, id.as_str(), due_at])?,
            None => false,
        };
        if !waits && ids.len() < limit {
            ids.push(id);
        }
        Ok(ids.len() < limit)
    })?;
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;
    use crate::state::open;

    /// The statements that are prepared again for each value that is bound to them.
    fn prepared_anew(database: &Database) -> rusqlite::Result<Vec<String>> {
        let mut found = Vec::new();
        for sql in database.prepared.borrow().iter().filter(|sql| sql.starts_with("SELECT")) {
            let mut statement = database.prepare(sql)?;
            for value in 1..4 {
                for parameter in 1..=statement.parameter_count() {
                    statement.raw_bind_parameter(parameter, value)?;
                }
                let mut rows = statement.raw_query();
                while rows.next()?.is_some() {}
            }
            if statement.get_status(StatementStatus::RePrepare) > 0 {
                found.push(sql.clone());
            }
        }
        Ok(found)
    }

    #[test]
    fn records_are_read_as_they_were_packed() {
        for records in [&[][..], &[5], &[i64::MIN, 0, 7, i64::MAX], &[1, 2, 3, 1 << 40]] {
            let bytes = packed(records);
            assert_eq!(unpacked(&bytes).as_deref(), Some(records));
            assert!((1..bytes.len()).all(|cut| unpacked(&bytes[..cut]).is_none()), "{records:?}");
        }
    }

    #[test]
    fn no_statement_about_calls_is_prepared_anew_for_each_value() {
        let database = open::private(true).unwrap();
        let (name, id) = (PipelineName::new("one"), "a01000000000001".parse().unwrap());
        let call = Unconfirmed { salesforce_id: id, match_property: "id".into(), intent: Intent::Write };
        note(&database, &name, &[call]).unwrap();
        assert_eq!(list(&database, &name, None, None, 10).unwrap(), [id]);
        assert_eq!(of_records(&database, &name, &[id]).unwrap().len(), 1);
        account(&database, 1, &[id]).unwrap();
        assert!(!any(&database, &name).unwrap());
        assert_eq!(prepared_anew(&database).unwrap(), [""; 0]);
    }
}
