//! A file of SQLite as a state to copy: its rows by their names, which it knows by numbers. Effect: as [`Copied`] says.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use rusqlite::types::{Value, ValueRef};
use rusqlite::{OptionalExtension, params, params_from_iter};

use super::tables::{Cell, Column, IDENTITIES, Kind, LOOKUPS, OWNED, REPLACED, Row, Table, UNCONFIRMED};
use super::{Answer, COPYING, Copied, PAGE_ROWS, Page, is_mark};
use crate::model::association::{AssociationKey, LabelId};
use crate::model::ids::{HubspotId, PipelineName, SalesforceId};
use crate::state::blocks::Entry as _;
use crate::state::carried_out::{self, CarriedOut, Leading, Pair};
use crate::state::database::{Database, Relation, Standing, damaged, lookup_of, record_of};
use crate::state::due::{Asks, Wanted};
use crate::state::known::{self, Known};
use crate::state::open::Seen;
use crate::state::pairs::{self, NO_LABEL, OWN, Own};
use crate::state::sqlite::SqliteState;
use crate::state::{directory, lookups, open, pipelines, rows, together, unconfirmed};

impl Copied for SqliteState {
    fn shown(&self) -> String {
        self.place().map_or_else(|| "(private)".to_owned(), |path| path.display().to_string())
    }

    fn seen(&self) -> Answer<'_, Seen> {
        let bytes = self.place().map_or(0, open::bytes);
        self.read(move |database| {
            let version = database.query_row("PRAGMA user_version", [], |row| row.get(0))?;
            Ok(Seen { version, known: version, bytes })
        })
    }

    fn page(&self, table: &'static Table, after: Option<String>) -> Answer<'_, Page> {
        self.read(move |database| page(database, table, after.as_deref()))
    }

    fn put(&self, table: &'static Table, rows: Vec<Row>, note: String) -> Answer<'_, ()> {
        self.write(move |database| {
            put(database, table, &rows)?;
            directory::set_note(database, COPYING, &note)
        })
    }

    fn clear(&self, table: &'static Table, note: String) -> Answer<'_, ()> {
        self.write(move |database| {
            for name in stored_in(table) {
                let sql = match name {
                    // Their numbers are given, and other rows name them.
                    "pipelines" => "UPDATE pipelines SET watermark = NULL, watermark_set = NULL, match_property = NULL",
                    name => &format!("DELETE FROM {name}"),
                };
                database.execute(sql, [])?;
            }
            directory::set_note(database, COPYING, &note)
        })
    }

    fn recount(&self) -> Answer<'_, ()> {
        self.write(|database| {
            // By one way through the records, not by one for each standing.
            let mut counted: HashMap<i64, i64> = HashMap::new();
            known::all(database, |known| {
                *counted.entry(known.standing).or_default() += 1;
                Ok(())
            })?;
            database.execute("UPDATE standings SET records = 0", [])?;
            let mut set = database.prepare("UPDATE standings SET records = ?2 WHERE number = ?1")?;
            counted.into_iter().try_for_each(|(standing, records)| set.execute([standing, records]).map(drop))
        })
    }
}

/// The tables of the file that hold the rows of one.
fn stored_in(table: &Table) -> Vec<&'static str> {
    match table.name {
        "identities" => vec!["identities", "identities_by_hubspot_id"],
        "lookups" => {
            vec!["associations", "associations_by_pair", "due_associations", "due_together", "making_together"]
        }
        "unconfirmed" => vec!["unconfirmed", "calls"],
        name => vec![name],
    }
}

/// [`PAGE_ROWS`] as the database counts.
const LIMIT: i64 = PAGE_ROWS as i64;

fn page(database: &Database, table: &'static Table, after: Option<&str>) -> rusqlite::Result<Page> {
    let mut page = match table.name {
        name if name == IDENTITIES.name => identities(database, number(after))?,
        name if name == LOOKUPS.name => lookups_of(database, after.unwrap_or_default())?,
        name if name == REPLACED.name => replaced(database)?,
        name if name == OWNED.name => owned(database, after)?,
        name if name == UNCONFIRMED.name => in_doubt(database, after)?,
        _ => as_it_is(database, table, after)?,
    };
    page.rows.retain(|row| !is_mark(table, row));
    Ok(page)
}

/// A place that is a number; that of the beginning where there is none.
fn number(after: Option<&str>) -> i64 {
    after.and_then(|after| after.parse().ok()).unwrap_or(i64::MIN)
}

fn text(text: impl Into<String>) -> Cell {
    Cell::Text(text.into())
}

fn or_blank<T>(value: Option<T>, cell: impl FnOnce(T) -> Cell) -> Cell {
    value.map_or(Cell::Blank, cell)
}

fn name_of(database: &Database, pipeline: i64) -> rusqlite::Result<Cell> {
    let sql = "SELECT name FROM pipelines WHERE id = ?1";
    database.prepare_cached(sql)?.query_row([pipeline], |row| row.get(0)).map(Cell::Text)
}

/// The pipeline and the id of a record.
fn record(database: &Database, record: i64) -> rusqlite::Result<[Cell; 2]> {
    let (pipeline, id) = database.id_of(record)?;
    Ok([name_of(database, pipeline)?, text(id.as_str())])
}

/// The end of a page that has as many rows as fit.
fn next_of(rows: usize, last: Option<i64>) -> Option<String> {
    last.filter(|_| rows >= PAGE_ROWS).map(|last| last.to_string())
}

fn identities(database: &Database, after: i64) -> rusqlite::Result<Page> {
    let (mut rows, mut last) = (Vec::new(), None);
    known::walk(database, after.saturating_add(1)..i64::MAX, |known| {
        let standing = database.standing(known.standing)?;
        let [pipeline, id] = record(database, known.record)?;
        rows.push(vec![
            pipeline,
            id,
            text(database.hubspot_id(known.hubspot_id)?.to_string()),
            Cell::Bytes(known.hash.to_vec()),
            Cell::Bytes(standing.mapping.to_vec()),
            text(rows::name_of(&standing.membership)),
            or_blank(Some(&standing.match_property).filter(|property| !property.is_empty()), |property| {
                text(&**property)
            }),
        ]);
        last = Some(known.record);
        Ok(if rows.len() < PAGE_ROWS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    Ok(Page { next: next_of(rows.len(), last), rows })
}

/// What a lookup asks for, and what was carried out of it, by numbers.
#[derive(Default)]
struct Lookup {
    wanted: Wanted,
    carried_out: Option<(Asks, Pair)>,
    recheck: bool,
    waiting_since: Option<i64>,
    retry_at: Option<i64>,
}

/// Begins the places of lookups that share a row.
const TOGETHER: &str = "together:";

/// Rows with some hundred lookups each that make a page.
const TOGETHER_ROWS: usize = 8;

/// First the lookups with rows of their own, then those that share one.
fn lookups_of(database: &Database, after: &str) -> rusqlite::Result<Page> {
    if let Some(after) = after.strip_prefix(TOGETHER) {
        return lookups_together(database, number(Some(after)));
    }
    if lookups::any_before(database)? {
        let what = "an earlier version has left lookups whose pairs are not known: run each pipeline once, then copy";
        return Err(damaged(what.to_owned()));
    }
    let begin = number(Some(after)).saturating_add(1);
    let mut carried_out: Vec<CarriedOut> = Vec::new();
    carried_out::walk(database, begin..i64::MAX, |before| {
        carried_out.push(before);
        Ok(if carried_out.len() < PAGE_ROWS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    let near = near_ends(database, carried_out.iter().map(|before| record_of(before.lookup)))?;
    let mut found: BTreeMap<i64, Lookup> = BTreeMap::new();
    for before in carried_out {
        // None of a record that nothing is known of any more.
        let from = before.from.or_else(|| near.get(&record_of(before.lookup)).copied());
        let pair = from.map(|from| (before.asked, Pair { relation: before.relation, from, to: before.to }));
        found.insert(before.lookup, Lookup { wanted: Some(before.asked), carried_out: pair, ..Lookup::default() });
    }
    let sql = "SELECT lookup, wanted, wanted_label, recheck, waiting_since, retry_at FROM due_associations
        WHERE lookup >= ?1 ORDER BY lookup LIMIT ?2";
    let mut statement = database.prepare_cached(sql)?;
    let mut due = statement.query(params![begin, LIMIT])?;
    while let Some(row) = due.next()? {
        let lookup = found.entry(row.get(0)?).or_default();
        lookup.wanted = lookups::asked(row)?;
        (lookup.recheck, lookup.waiting_since, lookup.retry_at) = (row.get(3)?, row.get(4)?, row.get(5)?);
    }
    // Of both as far as either was read.
    let (mut rows, mut last, mut read) = (Vec::new(), None, 0);
    for (lookup, known) in found.into_iter().take(PAGE_ROWS) {
        rows.extend(lookup_row(database, lookup, &known)?);
        (last, read) = (Some(lookup), read + 1);
    }
    Ok(Page { next: Some(next_of(read, last).unwrap_or_else(|| TOGETHER.to_owned())), rows })
}

/// The HubSpot records that records are, which are in order.
fn near_ends(database: &Database, records: impl Iterator<Item = i64>) -> rusqlite::Result<HashMap<i64, i64>> {
    let mut records: Vec<(i64, ())> = records.map(|record| (record, ())).collect();
    records.dedup();
    let mut near = HashMap::with_capacity(records.len());
    known::each_of(database, &records, |(), known| {
        near.insert(known.record, known.hubspot_id);
        Ok(())
    })?;
    Ok(near)
}

/// The row of a lookup; none where it asks for nothing and nothing stands.
fn lookup_row(database: &Database, lookup: i64, found: &Lookup) -> rusqlite::Result<Option<Row>> {
    if found.wanted.is_none() && found.carried_out.is_none() && !found.recheck {
        return Ok(None);
    }
    let asked = |asked: Option<(i64, Option<i64>)>| -> rusqlite::Result<[Cell; 2]> {
        let Some((target, label)) = asked else { return Ok([Cell::Blank, Cell::Blank]) };
        let label = label.map(|label| database.label(label)).transpose()?;
        Ok([text(database.id_of(target)?.1.as_str()), or_blank(label, |label| text(label.to_string()))])
    };
    let before = found.carried_out.as_ref().map(|(asked, _)| *asked);
    let is_due = found.recheck || found.wanted != before;
    let (pipeline, _) = database.id_of(record_of(lookup))?;
    let mut row: Row = record(database, record_of(lookup))?.into();
    row.push(text(&*database.key(pipeline, lookup)?.0));
    row.extend(asked(found.wanted)?);
    row.extend(asked(before)?);
    match &found.carried_out {
        None => row.extend([Cell::Blank, Cell::Blank, Cell::Blank, Cell::Blank]),
        Some((_, carried_out)) => {
            let relation = database.relation(carried_out.relation)?;
            row.push(text(database.hubspot_id(carried_out.from)?.to_string()));
            row.push(text(&*relation.to_object));
            row.push(text(database.hubspot_id(carried_out.to)?.to_string()));
            row.push(Cell::Number(relation.objects));
        }
    }
    row.push(Cell::Flag(found.recheck));
    row.push(or_blank(found.waiting_since.filter(|_| is_due), Cell::Number));
    row.push(or_blank(found.retry_at.filter(|_| is_due), Cell::Number));
    Ok(Some(row))
}

fn lookups_together(database: &Database, after: i64) -> rusqlite::Result<Page> {
    let mut statement = database
        .prepare_cached("SELECT number, lookups FROM due_together WHERE number > ?1 ORDER BY number LIMIT ?2")?;
    let mut found = statement.query(params![after, TOGETHER_ROWS as i64])?;
    let (mut rows, mut last, mut read) = (Vec::new(), None, 0);
    while let Some(row) = found.next()? {
        for (lookup, (wanted, making)) in together::known(database, row.get(0)?, row.get_ref(1)?.as_blob()?)? {
            let carried_out = making.map(|pair| (wanted, pair));
            let recheck = making.is_some();
            let found = Lookup { wanted: Some(wanted), carried_out, recheck, ..Lookup::default() };
            rows.extend(lookup_row(database, lookup, &found)?);
        }
        (last, read) = (Some(row.get::<_, i64>(0)?), read + 1);
    }
    let next = last.filter(|_| read == TOGETHER_ROWS).map(|last| format!("{TOGETHER}{last}"));
    Ok(Page { rows, next })
}

/// All at once: there are few, and only until the next run.
fn replaced(database: &Database) -> rusqlite::Result<Page> {
    let mut statement = database.prepare_cached("SELECT target, before FROM replaced_records")?;
    let mut found = statement.query([])?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let (_, target) = database.id_of(row.get(0)?)?;
        rows.push(vec![text(target.as_str()), text(database.hubspot_id(row.get(1)?)?.to_string())]);
    }
    Ok(Page { rows, next: None })
}

fn owned(database: &Database, after: Option<&str>) -> rusqlite::Result<Page> {
    let after: Option<[i64; 5]> = after.and_then(|after| serde_json::from_str(after).ok());
    let (mut rows, mut last) = (Vec::new(), None);
    OWN.walk(database, after.unwrap_or([i64::MIN; 5]), [i64::MAX; 5], |own| {
        if Some(own.key()) == after {
            return Ok(ControlFlow::Continue(()));
        }
        let (label, from) = match own.label {
            // The plain association, which looks alike from both sides.
            NO_LABEL => (String::new(), String::new()),
            label => (database.label(label)?.to_string(), database.hubspot_id(own.from)?.to_string()),
        };
        let objects = database.relation(own.relation)?.objects;
        let ends = [Cell::Number(own.newer), Cell::Number(own.older)];
        rows.push(ends.into_iter().chain([Cell::Number(objects), text(label), text(from)]).collect());
        last = Some(own.key());
        Ok(if rows.len() < PAGE_ROWS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    let next = last.filter(|_| rows.len() == PAGE_ROWS).and_then(|last| serde_json::to_string(&last).ok());
    Ok(Page { rows, next })
}

/// One pipeline after the other; a place is a pipeline and a record.
fn in_doubt(database: &Database, after: Option<&str>) -> rusqlite::Result<Page> {
    let (pipeline, after) = after.and_then(|after| after.split_once(' ')).unwrap_or(("0", ""));
    let sql = "SELECT id, name FROM pipelines WHERE id >= ?1 ORDER BY id LIMIT 1";
    let begin: i64 = pipeline.parse().unwrap_or_default();
    let found: Option<(i64, String)> =
        database.prepare_cached(sql)?.query_row([begin], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((number, name)) = found else { return Ok(Page::default()) };
    let name = PipelineName::new(name.as_str());
    let after: Option<SalesforceId> = after.parse().ok().filter(|_| number == begin);
    let ids = unconfirmed::list(database, &name, None, after, PAGE_ROWS)?;
    let row = |doubt: crate::model::unconfirmed::Unconfirmed| {
        let intent = rows::name_of(&doubt.intent);
        vec![text(name.as_str()), text(doubt.salesforce_id.as_str()), text(&*doubt.match_property), text(intent)]
    };
    let rows: Vec<Row> = unconfirmed::of_records(database, &name, &ids)?.into_iter().map(row).collect();
    let next = match ids.last().filter(|_| ids.len() == PAGE_ROWS) {
        Some(last) => format!("{number} {last}"),
        None => format!("{} ", number + 1),
    };
    Ok(Page { rows, next: Some(next) })
}

fn names(columns: &[Column]) -> Vec<&'static str> {
    columns.iter().map(|column| column.in_sqlite).collect()
}

/// Rows of a table that is alike in both kinds of states, but for the numbers of pipelines.
fn as_it_is(database: &Database, table: &Table, after: Option<&str>) -> rusqlite::Result<Page> {
    let (columns, key) = (names(table.columns).join(", "), names(table.key).join(", "));
    let after: Vec<serde_json::Value> = after.and_then(|after| serde_json::from_str(after).ok()).unwrap_or_default();
    let places: Vec<String> = (1..=after.len()).map(|place| format!("?{place}")).collect();
    let behind = if after.is_empty() { String::new() } else { format!("WHERE ({key}) > ({})", places.join(", ")) };
    let sql = format!("SELECT {columns}, {key} FROM {} {behind} ORDER BY {key} LIMIT {PAGE_ROWS}", table.name);
    let mut statement = database.prepare_cached(&sql)?;
    let after = after.into_iter().map(|value| match value {
        serde_json::Value::String(text) => Value::Text(text),
        value => value.as_i64().map_or(Value::Null, Value::Integer),
    });
    let mut found = statement.query(params_from_iter(after))?;
    let (mut rows, mut last) = (Vec::new(), None);
    while let Some(row) = found.next()? {
        let mut cells = Vec::with_capacity(table.columns.len());
        for (place, column) in table.columns.iter().enumerate() {
            cells.push(cell(database, column.kind, row.get_ref(place)?)?);
        }
        let place = |place| -> rusqlite::Result<serde_json::Value> {
            Ok(match row.get_ref(table.columns.len() + place)? {
                ValueRef::Integer(number) => number.into(),
                other => other.as_str()?.into(),
            })
        };
        last = Some((0..table.key.len()).map(place).collect::<rusqlite::Result<Vec<_>>>()?);
        rows.push(cells);
    }
    let next = last.filter(|_| rows.len() == PAGE_ROWS).and_then(|last| serde_json::to_string(&last).ok());
    Ok(Page { rows, next })
}

fn cell(database: &Database, kind: Kind, value: ValueRef<'_>) -> rusqlite::Result<Cell> {
    Ok(match (kind, value) {
        (_, ValueRef::Null) => Cell::Blank,
        (Kind::Pipeline, value) => name_of(database, value.as_i64()?)?,
        (Kind::Text, value) => text(value.as_str()?),
        (Kind::Number, value) => Cell::Number(value.as_i64()?),
        (Kind::Bytes, value) => Cell::Bytes(value.as_blob()?.to_vec()),
        (Kind::Flag, value) => Cell::Flag(value.as_i64()? != 0),
    })
}

/// The values of a row that comes from another state.
struct Given<'a>(&'a [Cell]);

impl<'a> Given<'a> {
    fn text(&self, place: usize) -> rusqlite::Result<Option<&'a str>> {
        match self.0.get(place) {
            Some(Cell::Text(text)) => Ok(Some(text)),
            Some(Cell::Blank) => Ok(None),
            other => Err(damaged(format!("{other:?} is no text"))),
        }
    }

    fn must(&self, place: usize) -> rusqlite::Result<&'a str> {
        self.text(place)?.ok_or_else(|| damaged("a text is missing".to_owned()))
    }

    fn number(&self, place: usize) -> rusqlite::Result<Option<i64>> {
        match self.0.get(place) {
            Some(Cell::Number(number)) => Ok(Some(*number)),
            Some(Cell::Blank) => Ok(None),
            other => Err(damaged(format!("{other:?} is no number"))),
        }
    }

    fn bytes(&self, place: usize) -> rusqlite::Result<&'a [u8]> {
        match self.0.get(place) {
            Some(Cell::Bytes(bytes)) => Ok(bytes),
            other => Err(damaged(format!("{other:?} is no hash"))),
        }
    }

    fn pipeline(&self, database: &Database) -> rusqlite::Result<i64> {
        pipelines::ensure_pipeline(database, &PipelineName::new(self.must(0)?))
    }

    /// The number of the record that the first two name.
    fn record(&self, database: &Database) -> rusqlite::Result<i64> {
        database.ensure_record(self.pipeline(database)?, &rows::salesforce_id(1, self.must(1)?)?)
    }

    fn hubspot_id(&self, database: &Database, place: usize) -> rusqlite::Result<i64> {
        database.ensure_hubspot_id(&HubspotId::new(self.must(place)?))
    }

    /// A record and a label, by numbers.
    fn asked(&self, database: &Database, place: usize) -> rusqlite::Result<Option<(i64, Option<i64>)>> {
        let Some(target) = self.text(place)? else { return Ok(None) };
        let label: Option<LabelId> = self.text(place + 1)?.map(|label| rows::parsed(place + 1, label)).transpose()?;
        let label = label.map(|label| database.ensure_label(&label)).transpose()?;
        Ok(Some((database.ensure_target(&rows::salesforce_id(place, target)?)?, label)))
    }
}

fn put(database: &Database, table: &Table, rows: &[Row]) -> rusqlite::Result<()> {
    match table.name {
        name if name == IDENTITIES.name => put_identities(database, rows),
        name if name == LOOKUPS.name => put_lookups(database, rows),
        name if name == REPLACED.name => rows.iter().try_for_each(|row| put_replaced(database, &Given(row))),
        name if name == OWNED.name => put_owned(database, rows),
        name if name == UNCONFIRMED.name => rows.iter().try_for_each(|row| put_in_doubt(database, &Given(row))),
        _ => rows.iter().try_for_each(|row| put_as_it_is(database, table, row)),
    }
}

fn put_identities(database: &Database, rows: &[Row]) -> rusqlite::Result<()> {
    let identity = |row: &Row| {
        let row = Given(row);
        let standing = Standing {
            pipeline: row.pipeline(database)?,
            membership: rows::named(5, row.must(5)?)?,
            mapping: rows::bytes(4, row.bytes(4)?)?,
            match_property: row.text(6)?.unwrap_or_default().into(),
        };
        let standing = database.ensure_standing(&standing)?;
        let (record, hubspot_id) = (row.record(database)?, row.hubspot_id(database, 2)?);
        Ok((record, Known { record, hubspot_id, hash: rows::bytes(3, row.bytes(3)?)?, standing }))
    };
    let mut identities: Vec<(i64, Known)> = rows.iter().map(identity).collect::<rusqlite::Result<_>>()?;
    identities.sort_unstable_by_key(|(record, _)| *record);
    known::change(database, &identities, |known, _| Ok(Some(*known)))
}

fn put_lookups(database: &Database, rows: &[Row]) -> rusqlite::Result<()> {
    let mut stands: Vec<Leading> = Vec::with_capacity(rows.len());
    for row in rows {
        let row = Given(row);
        let place = database.ensure_place(row.pipeline(database)?, &AssociationKey(row.must(2)?.into()))?;
        let lookup = lookup_of(row.record(database)?, place);
        let (wanted, before) = (row.asked(database, 3)?, row.asked(database, 5)?);
        if let Some(asked) = before {
            let objects = row.number(10)?.ok_or_else(|| damaged("what two records are is missing".to_owned()))?;
            let relation = database.ensure_relation(&Relation { objects, to_object: row.must(8)?.into() })?;
            let (from, to) = (row.hubspot_id(database, 7)?, row.hubspot_id(database, 9)?);
            stands.push((lookup, (asked, Pair { relation, from, to })));
        }
        let recheck = row.0.get(11) == Some(&Cell::Flag(true));
        if recheck || wanted != before {
            let sql = "INSERT INTO due_associations (lookup, wanted, wanted_label, recheck, waiting_since, retry_at)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let (target, label) = wanted.map_or((None, None), |(target, label)| (Some(target), label));
            let values = params![lookup, target, label, recheck, row.number(12)?, row.number(13)?];
            database.prepare_cached(sql)?.execute(values)?;
        }
    }
    stands.sort_unstable_by_key(|(lookup, _)| *lookup);
    carried_out::enter(database, &stands)
}

fn put_replaced(database: &Database, row: &Given<'_>) -> rusqlite::Result<()> {
    let target = database.ensure_target(&rows::salesforce_id(0, row.must(0)?)?)?;
    let sql = "INSERT INTO replaced_records (target, before) VALUES (?1, ?2)";
    database.prepare_cached(sql)?.execute([target, row.hubspot_id(database, 1)?]).map(drop)
}

fn put_owned(database: &Database, rows: &[Row]) -> rusqlite::Result<()> {
    let own = |row: &Row| {
        let row = Given(row);
        let relation = Relation { objects: row.number(2)?.unwrap_or_default(), to_object: Default::default() };
        let (label, from) = match row.must(3)? {
            "" => (NO_LABEL, 0),
            label => (database.ensure_label(&rows::parsed(3, label)?)?, row.hubspot_id(database, 4)?),
        };
        let end = |place| row.number(place)?.ok_or_else(|| damaged("an end of a pair is missing".to_owned()));
        Ok(Own { newer: end(0)?, older: end(1)?, relation: database.ensure_relation(&relation)?, label, from })
    };
    let mut owned: Vec<Own> = rows.iter().map(own).collect::<rusqlite::Result<_>>()?;
    owned.sort_unstable();
    pairs::set_owned(database, &owned, true)
}

fn put_in_doubt(database: &Database, row: &Given<'_>) -> rusqlite::Result<()> {
    unconfirmed::note_one(database, row.record(database)?, row.must(2)?, rows::named(3, row.must(3)?)?)
}

/// A pipeline keeps its number where a table is copied again.
const PIPELINE_AGAIN: &str = "ON CONFLICT (name) DO UPDATE SET watermark = excluded.watermark,
    watermark_set = excluded.watermark_set, match_property = excluded.match_property";

fn put_as_it_is(database: &Database, table: &Table, row: &Row) -> rusqlite::Result<()> {
    let (columns, places): (Vec<&str>, Vec<String>) =
        (names(table.columns), (1..=table.columns.len()).map(|place| format!("?{place}")).collect());
    let upsert = if table.name == "pipelines" { PIPELINE_AGAIN } else { "" };
    let sql = format!("INSERT INTO {} ({}) VALUES ({}) {upsert}", table.name, columns.join(", "), places.join(", "));
    let mut values = Vec::with_capacity(row.len());
    for (column, cell) in table.columns.iter().zip(row) {
        values.push(match cell {
            Cell::Blank => Value::Null,
            Cell::Text(name) if column.kind == Kind::Pipeline => {
                Value::Integer(pipelines::ensure_pipeline(database, &PipelineName::new(name.as_str()))?)
            }
            Cell::Text(text) => Value::Text(text.clone()),
            Cell::Number(number) => Value::Integer(*number),
            Cell::Bytes(bytes) => Value::Blob(bytes.clone()),
            Cell::Flag(flag) => Value::Integer((*flag).into()),
        });
    }
    database.prepare_cached(&sql)?.execute(params_from_iter(values)).map(drop)
}
