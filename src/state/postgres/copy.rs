//! A state in PostgreSQL as one to copy. Effect: as [`Copied`] says.

use std::collections::HashMap;

use futures_util::FutureExt;
use sqlx::postgres::PgRow;
use sqlx::{Row as _, ValueRef as _};

use super::fault::{Fault, damaged};
use super::rows::get;
use super::store::{PgState, Sql, Tx, sql, sql_of};
use super::{care, notes, pipelines};
use crate::model::ids::{HubspotId, PipelineName};
use crate::ports::state::StateError;
use crate::state::copy::tables::{Cell, Column, Kind, LOOKUPS, Row, Table, UNCONFIRMED};
use crate::state::copy::{COPYING, Copied, PAGE_ROWS, Page, is_mark};
use crate::state::open::Seen;

type Answer<'a, T> = futures_util::future::BoxFuture<'a, Result<T, StateError>>;

impl Copied for PgState {
    fn shown(&self) -> String {
        self.0.shown.clone()
    }

    fn seen(&self) -> Answer<'_, Seen> {
        self.read((), |tx, ()| care::seen(tx).map(|seen| seen.map(Some)).boxed())
            .map(|seen| seen.map(Option::unwrap_or_default))
            .boxed()
    }

    fn page(&self, table: &'static Table, after: Option<String>) -> Answer<'_, Page> {
        async move {
            if table.name == UNCONFIRMED.name
                && let Some(seconds) = self.read((), |tx, ()| until_second_looks(tx).boxed()).await?
            {
                let detail = format!(
                    "a worker took a portal over, and what was on its way then is looked at once more in {seconds:.0} s; copy the state after that"
                );
                return Err(StateError::Io { path: self.0.shown.clone(), detail });
            }
            self.read((table, after), |tx, (table, after)| page(tx, table, after.as_deref()).boxed()).await
        }
        .boxed()
    }

    fn put(&self, table: &'static Table, rows: Vec<Row>, note: String) -> Answer<'_, ()> {
        self.write(None, (table, rows, note), |tx, (table, rows, note)| {
            async move {
                put(tx, table, rows).await?;
                notes::set(tx, COPYING, note).await
            }
            .boxed()
        })
        .boxed()
    }

    fn clear(&self, table: &'static Table, note: String) -> Answer<'_, ()> {
        self.write(None, (table, note), |tx, (table, note)| {
            async move {
                let clear = match table.name {
                    // Their numbers are given, and other rows name them.
                    "pipelines" => {
                        "UPDATE syncline.pipelines SET watermark = NULL, watermark_set = NULL, match_property = NULL
                         WHERE state_id = $1"
                            .to_owned()
                    }
                    name => format!("DELETE FROM syncline.{name} WHERE state_id = $1"),
                };
                tx.run(sql_of(clear).bind(tx.state)).await?;
                notes::set(tx, COPYING, note).await
            }
            .boxed()
        })
        .boxed()
    }

    fn recount(&self) -> Answer<'_, ()> {
        self.write(None, (), |tx, ()| recount(tx).boxed()).boxed()
    }
}

async fn recount(tx: &mut Tx<'_>) -> Result<(), Fault> {
    tx.run(sql("DELETE FROM syncline.standings WHERE state_id = $1").bind(tx.state)).await?;
    let count = sql("INSERT INTO syncline.standings (state_id, pipeline, membership, mapping, records)
         SELECT state_id, pipeline, membership, mapping, count(*) FROM syncline.identities WHERE state_id = $1
         GROUP BY state_id, pipeline, membership, mapping");
    tx.run(count.bind(tx.state)).await.map(drop)
}

/// What a column is called in a statement.
fn read_as(table: &Table, column: &Column) -> String {
    match (column.kind, column.name) {
        (Kind::Pipeline, _) => "p.name".to_owned(),
        // What one knows of waiting counts only where there is work left.
        (_, name @ ("waiting_since" | "retry_at")) if table.name == LOOKUPS.name => {
            format!("CASE WHEN t.due THEN t.{name} END")
        }
        // Numbers of both lengths are read alike.
        (Kind::Number, name) => format!("t.{name}::bigint"),
        (_, name) => format!("t.{name}"),
    }
}

fn has_pipeline(table: &Table) -> bool {
    table.columns.iter().any(|column| column.kind == Kind::Pipeline)
}

/// How many seconds to wait until all that is to be looked at once more may be looked at; none where it may be already.
async fn until_second_looks(tx: &mut Tx<'_>) -> Result<Option<f64>, Fault> {
    let wait = sql("SELECT extract(epoch FROM max(at) - clock_timestamp())::float8 FROM syncline.second_looks
         WHERE state_id = $1 AND at > clock_timestamp()");
    tx.row(wait.bind(tx.state)).await?.map_or(Ok(None), |row| get(&row, 0))
}

/// Where the rows of a table are. What is to be looked at once more is in doubt, which is all that a copy needs to know of it.
fn source(table: &Table) -> String {
    match table.name == UNCONFIRMED.name {
        true => "(SELECT state_id, pipeline, id, match_property, intent FROM syncline.unconfirmed
             UNION ALL
             SELECT state_id, pipeline, id, match_property, intent FROM syncline.second_looks s WHERE NOT EXISTS (
                 SELECT 1 FROM syncline.unconfirmed u WHERE u.state_id = s.state_id AND u.pipeline = s.pipeline AND u.id = s.id))"
            .to_owned(),
        false => format!("syncline.{}", table.name),
    }
}

async fn page(tx: &mut Tx<'_>, table: &Table, after: Option<&str>) -> Result<Page, Fault> {
    let columns: Vec<String> = table.columns.iter().map(|column| read_as(table, column)).collect();
    let raw = |column: &Column| match column.kind {
        Kind::Number | Kind::Pipeline => format!("t.{}::bigint", column.name),
        _ => format!("t.{}", column.name),
    };
    let key: Vec<String> = table.key.iter().map(|column| format!("t.{}", column.name)).collect();
    let key = key.join(", ");
    let place: Vec<String> = table.key.iter().map(raw).collect();
    let after: Vec<serde_json::Value> = after.and_then(|after| serde_json::from_str(after).ok()).unwrap_or_default();
    let cast = |column: &Column| match column.kind {
        Kind::Pipeline => "::integer",
        Kind::Number => "::bigint",
        _ => "::text",
    };
    let given: Vec<String> =
        table.key.iter().enumerate().map(|(place, column)| format!("${}{}", place + 2, cast(column))).collect();
    let behind = if after.is_empty() { String::new() } else { format!("AND ({key}) > ({})", given.join(", ")) };
    let names = match has_pipeline(table) {
        true => "JOIN syncline.pipelines p ON p.state_id = $1 AND p.id = t.pipeline",
        false => "",
    };
    // What asks for nothing, and of which nothing stands, says nothing.
    let says = match table.name == LOOKUPS.name {
        true => "AND (num_nonnulls(t.wanted, t.target) > 0 OR t.recheck)",
        false => "",
    };
    let read = format!(
        "SELECT {}, {} FROM {} t {names} WHERE t.state_id = $1 {behind} {says} ORDER BY {key} LIMIT {PAGE_ROWS}",
        columns.join(", "),
        place.join(", "),
        source(table)
    );
    let mut read: Sql<'_> = sql_of(read).bind(tx.state);
    for value in &after {
        read = match value {
            serde_json::Value::String(text) => read.bind(text.clone()),
            value => read.bind(value.as_i64()),
        };
    }
    let found = tx.rows(read).await?;
    let next = match found.last().filter(|_| found.len() == PAGE_ROWS) {
        None => None,
        Some(row) => {
            let place = |(place, column): (usize, &Column)| -> Result<serde_json::Value, Fault> {
                let place = table.columns.len() + place;
                Ok(match column.kind {
                    Kind::Number | Kind::Pipeline => get::<i64>(row, place)?.into(),
                    _ => get::<&str>(row, place)?.into(),
                })
            };
            let place: Vec<_> = table.key.iter().enumerate().map(place).collect::<Result<_, _>>()?;
            serde_json::to_string(&place).ok()
        }
    };
    let mut rows = found.iter().map(|row| cells(table, row)).collect::<Result<Vec<Row>, Fault>>()?;
    rows.retain(|row| !is_mark(table, row));
    Ok(Page { rows, next })
}

fn cells(table: &Table, row: &PgRow) -> Result<Row, Fault> {
    let mut cells = Vec::with_capacity(table.columns.len());
    for (place, column) in table.columns.iter().enumerate() {
        if row.try_get_raw(place)?.is_null() {
            cells.push(Cell::Blank);
            continue;
        }
        cells.push(match column.kind {
            Kind::Pipeline | Kind::Text => Cell::Text(get::<String>(row, place)?),
            Kind::Number => Cell::Number(get(row, place)?),
            Kind::Bytes => Cell::Bytes(get::<Vec<u8>>(row, place)?),
            Kind::Flag => Cell::Flag(get(row, place)?),
        });
    }
    Ok(cells)
}

async fn put(tx: &mut Tx<'_>, table: &Table, rows: &[Row]) -> Result<(), Fault> {
    if rows.is_empty() {
        return Ok(());
    }
    let (mut names, mut arrays) = (Vec::new(), Vec::new());
    for (place, column) in table.columns.iter().enumerate() {
        names.push(column.name);
        let of_column: Vec<&Cell> = rows.iter().filter_map(|row| row.get(place)).collect();
        arrays.push(array(tx, column.kind, &of_column).await?);
    }
    if table.name == LOOKUPS.name {
        let (newer, older) = pairs(table, rows);
        names.extend(["newer", "older"]);
        arrays.extend([Array::Numbers(newer), Array::Numbers(older)]);
    }
    let unnested: Vec<String> =
        arrays.iter().enumerate().map(|(place, array)| format!("${}::{}[]", place + 2, array.kind())).collect();
    let again = if table.name == "pipelines" { PIPELINE_AGAIN } else { "" };
    let (first, numbered) = match table.name {
        // Each gets the next number.
        "pipelines" => (
            "state_id, id",
            "$1, (SELECT coalesce(max(id), 0) FROM syncline.pipelines WHERE state_id = $1) + row_number() OVER ()",
        ),
        _ => ("state_id", "$1"),
    };
    let put = format!(
        "INSERT INTO syncline.{} ({first}, {}) SELECT {numbered}, * FROM unnest({}) {again}",
        table.name,
        names.join(", "),
        unnested.join(", ")
    );
    let mut put: Sql<'_> = sql_of(put).bind(tx.state);
    for array in arrays {
        put = match array {
            Array::Texts(values) => put.bind(values),
            Array::Numbers(values) => put.bind(values),
            Array::Hashes(values) => put.bind(values),
            Array::Flags(values) => put.bind(values),
        };
    }
    tx.run(put).await.map(drop)
}

/// A pipeline keeps its number where a table is copied again.
const PIPELINE_AGAIN: &str = "ON CONFLICT (state_id, name) DO UPDATE SET watermark = excluded.watermark,
    watermark_set = excluded.watermark_set, match_property = excluded.match_property";

/// The values of a column.
enum Array {
    Texts(Vec<Option<String>>),
    Numbers(Vec<Option<i64>>),
    Hashes(Vec<Option<Vec<u8>>>),
    Flags(Vec<Option<bool>>),
}

impl Array {
    fn kind(&self) -> &'static str {
        match self {
            Self::Texts(_) => "text",
            Self::Numbers(_) => "bigint",
            Self::Hashes(_) => "bytea",
            Self::Flags(_) => "boolean",
        }
    }
}

async fn array(tx: &mut Tx<'_>, kind: Kind, cells: &[&Cell]) -> Result<Array, Fault> {
    Ok(match kind {
        Kind::Pipeline => {
            let mut numbers: HashMap<&str, i64> = HashMap::new();
            for cell in cells {
                if let Cell::Text(name) = cell
                    && !numbers.contains_key(name.as_str())
                {
                    numbers.insert(name, i64::from(pipelines::ensure(tx, &PipelineName::new(name.as_str())).await?));
                }
            }
            Array::Numbers(values(cells, |cell| match cell {
                Cell::Text(name) => numbers.get(name.as_str()).copied(),
                _ => None,
            })?)
        }
        Kind::Text => Array::Texts(values(cells, |cell| match cell {
            // It has no zero character.
            Cell::Text(text) => Some(text.replace('\0', "\u{fffd}")),
            _ => None,
        })?),
        Kind::Number => Array::Numbers(values(cells, |cell| match cell {
            Cell::Number(number) => Some(*number),
            _ => None,
        })?),
        Kind::Bytes => Array::Hashes(values(cells, |cell| match cell {
            Cell::Bytes(bytes) => Some(bytes.clone()),
            _ => None,
        })?),
        Kind::Flag => Array::Flags(values(cells, |cell| match cell {
            Cell::Flag(flag) => Some(*flag),
            _ => None,
        })?),
    })
}

/// The values of a column, which are all of one kind.
fn values<T>(cells: &[&Cell], of: impl Fn(&Cell) -> Option<T>) -> Result<Vec<Option<T>>, Fault> {
    let value = |cell: &&Cell| match cell {
        Cell::Blank => Ok(None),
        cell => of(cell).map(Some).ok_or_else(|| damaged(format!("{cell:?} stands for another kind of value"))),
    };
    cells.iter().map(value).collect()
}

/// The numbers of the two records that lookups led to, the larger one first.
fn pairs(table: &Table, rows: &[Row]) -> (Vec<Option<i64>>, Vec<Option<i64>>) {
    let place = |name: &str| table.columns.iter().position(|column| column.name == name).unwrap_or_default();
    let (from, to) = (place("from_id"), place("to_id"));
    let number = |cell: Option<&Cell>| match cell {
        Some(Cell::Text(id)) => Some(HubspotId::new(id.as_str()).number()),
        _ => None,
    };
    let pair = |row: &Row| match (number(row.get(from)), number(row.get(to))) {
        (Some(from), Some(to)) => (Some(from.max(to)), Some(from.min(to))),
        _ => (None, None),
    };
    rows.iter().map(pair).unzip()
}
