//! Counts over many rows, for people: calls by time, failures by reason.

use std::collections::HashMap;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use ulid::Ulid;

use super::failures::{BY_REASON, COLUMNS, row as failure_row};
use super::rows;
use super::sqlite::SqliteState;
use crate::model::ids::{PipelineName, RunId, SalesforceId};
use crate::model::origin::RunOrigin;
use crate::ports::overview::{CALL_SLOT_MS, CallsMade, FailureReason, StateOverview};
use crate::ports::state::{FailureFilter, FailureRow, StateError};

type Answer<'a, T> = BoxFuture<'a, Result<T, StateError>>;

impl StateOverview for SqliteState {
    fn failure_reasons<'a>(&'a self, filter: &'a FailureFilter) -> Answer<'a, Vec<FailureReason>> {
        let filter = filter.clone();
        self.read(move |connection| reasons(connection, &filter))
    }

    fn failures_with_reason<'a>(
        &'a self,
        filter: &'a FailureFilter,
        reason: &'a FailureReason,
        limit: usize,
    ) -> Answer<'a, Vec<FailureRow>> {
        let (filter, reason) = (filter.clone(), reason.clone());
        self.read(move |connection| {
            let sql = format!("SELECT {COLUMNS} {} ORDER BY f.salesforce_id, f.kind LIMIT ?6", with_reason(&filter));
            of_reason(connection, &sql, &filter, &reason, limit, failure_row)
        })
    }

    fn messages_with_reason<'a>(
        &'a self,
        filter: &'a FailureFilter,
        reason: &'a FailureReason,
        limit: usize,
    ) -> Answer<'a, Vec<String>> {
        let (filter, reason) = (filter.clone(), reason.clone());
        self.read(move |connection| {
            let sql = format!("SELECT DISTINCT f.failure ->> '$.reason.message' {} LIMIT ?6", with_reason(&filter));
            of_reason(connection, &sql, &filter, &reason, limit, |row| row.get(0))
        })
    }

    fn origins<'a>(&'a self, runs: &'a [RunId]) -> Answer<'a, HashMap<RunId, RunOrigin>> {
        let runs = runs.to_vec();
        self.read(move |connection| origins(connection, &runs))
    }

    fn note_origin<'a>(&'a self, run: &'a RunId, origin: &'a RunOrigin) -> Answer<'a, ()> {
        let (run, origin) = (run.clone(), origin.clone());
        self.write(move |connection| {
            let sql = "INSERT OR REPLACE INTO run_origins (run, origin) VALUES (?1, ?2)";
            let mut statement = connection.prepare_cached(sql)?;
            statement.execute(params![run.as_str(), rows::to_json(&origin)?]).map(drop)
        })
    }

    fn calls_since<'a>(&'a self, since: Timestamp, now: Timestamp) -> Answer<'a, Vec<CallsMade>> {
        self.read(move |connection| calls(connection, since, now))
    }

    fn takeovers(&self) -> Answer<'_, u64> {
        // Workers do not share a file.
        async { Ok(0) }.boxed()
    }
}

fn origins(connection: &Connection, runs: &[RunId]) -> rusqlite::Result<HashMap<RunId, RunOrigin>> {
    let mut statement = connection.prepare_cached("SELECT origin FROM run_origins WHERE run = ?1")?;
    let mut found = HashMap::new();
    for run in runs {
        let origin: Option<String> = statement.query_row([run.as_str()], |row| row.get(0)).optional()?;
        if let Some(origin) = origin {
            found.insert(run.clone(), rows::json(0, &origin)?);
        }
    }
    Ok(found)
}

/// The table with its index, and which failures count. The condition on the status is written out, as the index of open ones needs it.
fn counting(filter: &FailureFilter) -> (String, &'static str) {
    if filter.closed_too {
        ("failures f".to_owned(), "TRUE")
    } else {
        (format!("failures f {BY_REASON}"), "f.status = 'open'")
    }
}

/// The table and the condition for failures with one reason.
fn with_reason(filter: &FailureFilter) -> String {
    let (failures, counting) = counting(filter);
    format!(
        "FROM {failures} JOIN pipelines p ON p.id = f.pipeline
         WHERE {counting} AND p.name = ?1 AND f.code = ?2 AND f.property IS ?3 AND f.remote_code IS ?4
         AND (?5 IS NULL OR f.salesforce_id = ?5)"
    )
}

fn of_reason<T>(
    connection: &Connection,
    sql: &str,
    filter: &FailureFilter,
    reason: &FailureReason,
    limit: usize,
    row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    let id = filter.salesforce_id.as_ref().map(SalesforceId::as_str);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = params![reason.pipeline.as_str(), reason.code, reason.property, reason.remote_code, id, limit];
    connection.prepare_cached(sql)?.query_map(values, row)?.collect()
}

fn reasons(connection: &Connection, filter: &FailureFilter) -> rusqlite::Result<Vec<FailureReason>> {
    let (failures, counting) = counting(filter);
    // Names are looked up for the groups, so that the index alone has what is counted.
    let sql = format!(
        "SELECT p.name, g.* FROM (
             SELECT f.pipeline, f.code, f.property, f.remote_code, count(*), min(f.first_seen), max(f.last_seen), min(f.retry_at)
             FROM {failures}
             WHERE {counting} AND (?1 IS NULL OR f.pipeline = (SELECT id FROM pipelines WHERE name = ?1))
                 AND (?2 IS NULL OR f.salesforce_id = ?2) AND (?3 IS NULL OR f.code = ?3)
             GROUP BY f.pipeline, f.code, f.property, f.remote_code
         ) g JOIN pipelines p ON p.id = g.pipeline"
    );
    let reason = |row: &Row<'_>| {
        Ok(FailureReason {
            pipeline: PipelineName::new(row.get::<_, String>(0)?),
            code: row.get(2)?,
            property: row.get(3)?,
            remote_code: row.get(4)?,
            records: rows::count(row, 5)?,
            first_seen: rows::time(6, row.get(6)?)?,
            last_seen: rows::time(7, row.get(7)?)?,
            retry_at: row.get::<_, Option<i64>>(8)?.map(|at| rows::time(8, at)).transpose()?,
        })
    };
    let pipeline = filter.pipeline.as_ref().map(PipelineName::as_str);
    let id = filter.salesforce_id.as_ref().map(SalesforceId::as_str);
    connection.prepare_cached(&sql)?.query_map(params![pipeline, id, filter.code], reason)?.collect()
}

/// Ids of runs begin with the time at which they began, so that the primary key finds those since.
fn calls(connection: &Connection, since: Timestamp, now: Timestamp) -> rusqlite::Result<Vec<CallsMade>> {
    let first = Ulid::from_parts(since.as_millisecond().max(0).unsigned_abs(), 0).to_string();
    let made = |row: &Row<'_>| {
        Ok(CallsMade {
            pipeline: PipelineName::new(row.get::<_, String>(0)?),
            from: rows::time(1, row.get(1)?)?,
            to: rows::time(2, row.get(2)?)?,
            salesforce: rows::count(row, 3)?,
            hubspot: rows::count(row, 4)?,
        })
    };
    let mut statement = connection.prepare_cached(
        "SELECT p.name, min(r.started), max(coalesce(r.ended, ?2)), sum(r.tally ->> '$.salesforce_calls'),
                sum(r.tally ->> '$.hubspot_calls')
         FROM runs r JOIN pipelines p ON p.id = r.pipeline WHERE r.id >= ?1
         GROUP BY r.pipeline, iif(coalesce(r.ended, ?2) - r.started <= ?3, r.started / ?3, r.id)
         HAVING sum(r.tally ->> '$.salesforce_calls') + sum(r.tally ->> '$.hubspot_calls') > 0",
    )?;
    statement.query_map(params![first, rows::millis(now), CALL_SLOT_MS], made)?.collect()
}
