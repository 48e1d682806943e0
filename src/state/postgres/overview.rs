//! Counts over many rows, for people: calls by time, failures by reason.

use std::collections::HashMap;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use sqlx::postgres::PgRow;
use ulid::Ulid;

use super::failures::{COLUMNS, row as failure_row};
use super::fault::Fault;
use super::rows::{self, get};
use super::store::{PgState, Sql, Tx, sql, sql_of};
use crate::model::ids::{PipelineName, RunId, SalesforceId};
use crate::model::origin::RunOrigin;
use crate::ports::overview::{CALL_SLOT_MS, CallsMade, FailureReason, StateOverview};
use crate::ports::state::{FailureFilter, FailureRow, StateError};

type Answer<'a, T> = BoxFuture<'a, Result<T, StateError>>;

impl StateOverview for PgState {
    fn failure_reasons<'a>(&'a self, filter: &'a FailureFilter) -> Answer<'a, Vec<FailureReason>> {
        self.read(filter.clone(), |tx, filter| reasons(tx, filter).boxed()).boxed()
    }

    fn failures_with_reason<'a>(
        &'a self,
        filter: &'a FailureFilter,
        reason: &'a FailureReason,
        limit: usize,
    ) -> Answer<'a, Vec<FailureRow>> {
        self.read((filter.clone(), reason.clone(), limit), |tx, (filter, reason, limit)| {
            with_reason(tx, filter, reason, *limit).boxed()
        })
        .boxed()
    }

    fn messages_with_reason<'a>(
        &'a self,
        filter: &'a FailureFilter,
        reason: &'a FailureReason,
        limit: usize,
    ) -> Answer<'a, Vec<String>> {
        self.read((filter.clone(), reason.clone(), limit), |tx, (filter, reason, limit)| {
            messages(tx, filter, reason, *limit).boxed()
        })
        .boxed()
    }

    fn origins<'a>(&'a self, runs: &'a [RunId]) -> Answer<'a, HashMap<RunId, RunOrigin>> {
        self.read(runs.to_vec(), |tx, runs| origins(tx, runs).boxed()).boxed()
    }

    fn note_origin<'a>(&'a self, run: &'a RunId, origin: &'a RunOrigin) -> Answer<'a, ()> {
        self.write(None, (run.clone(), origin.clone()), |tx, (run, origin)| note_origin(tx, run, origin).boxed())
            .boxed()
    }

    fn calls_since<'a>(&'a self, since: Timestamp, now: Timestamp) -> Answer<'a, Vec<CallsMade>> {
        self.read((since, now), |tx, (since, now)| calls(tx, *since, *now).boxed()).boxed()
    }

    fn takeovers(&self) -> Answer<'_, u64> {
        self.read((), |tx, ()| takeovers(tx).boxed()).boxed()
    }
}

async fn takeovers(tx: &mut Tx<'_>) -> Result<u64, Fault> {
    // By the state of the latest turn, so that a portal which two states share counts once.
    let read = sql("SELECT coalesce(sum(takeovers), 0)::bigint FROM syncline.portals WHERE state_id = $1");
    let found = tx.row(read.bind(tx.state)).await?;
    found.map_or(Ok(0), |row| Ok(get::<i64>(&row, 0)?.unsigned_abs()))
}

async fn origins(tx: &mut Tx<'_>, runs: &[RunId]) -> Result<HashMap<RunId, RunOrigin>, Fault> {
    let runs: Vec<&str> = runs.iter().map(RunId::as_str).collect();
    let read = sql("SELECT run, origin FROM syncline.run_origins WHERE state_id = $1 AND run = ANY($2::text[])");
    let found = tx.rows(read.bind(tx.state).bind(runs)).await?;
    found.iter().map(|row| Ok((RunId::new(get::<String>(row, 0)?), rows::json(get(row, 1)?)?))).collect()
}

async fn note_origin(tx: &mut Tx<'_>, run: &RunId, origin: &RunOrigin) -> Result<(), Fault> {
    let note = sql("INSERT INTO syncline.run_origins (state_id, run, origin) VALUES ($1, $2, $3)
         ON CONFLICT (state_id, run) DO UPDATE SET origin = excluded.origin");
    tx.run(note.bind(tx.state).bind(run.as_str()).bind(rows::to_json(origin)?)).await.map(drop)
}

/// Failures with one reason, of `$1` to `$6`.
fn of_reason(filter: &FailureFilter) -> String {
    // Written out, as the index of open ones needs it.
    let counting = if filter.closed_too { "true" } else { "f.status = 'open'" };
    format!(
        "FROM syncline.failures f JOIN syncline.pipelines p ON p.state_id = f.state_id AND p.id = f.pipeline
         WHERE {counting} AND f.state_id = $1 AND p.name = $2 AND f.code = $3 AND f.property IS NOT DISTINCT FROM $4
             AND f.remote_code IS NOT DISTINCT FROM $5 AND ($6::text IS NULL OR f.id = $6)"
    )
}

fn bound<'q>(sql: Sql<'q>, state: i32, filter: &'q FailureFilter, reason: &'q FailureReason, limit: usize) -> Sql<'q> {
    sql.bind(state)
        .bind(reason.pipeline.as_str())
        .bind(&reason.code)
        .bind(&reason.property)
        .bind(&reason.remote_code)
        .bind(filter.salesforce_id.as_ref().map(SalesforceId::as_str))
        .bind(rows::limit(limit))
}

async fn with_reason(
    tx: &mut Tx<'_>,
    filter: &FailureFilter,
    reason: &FailureReason,
    limit: usize,
) -> Result<Vec<FailureRow>, Fault> {
    let read = sql_of(format!("SELECT {COLUMNS} {} ORDER BY f.id, f.kind LIMIT $7", of_reason(filter)));
    tx.rows(bound(read, tx.state, filter, reason, limit)).await?.iter().map(failure_row).collect()
}

async fn messages(
    tx: &mut Tx<'_>,
    filter: &FailureFilter,
    reason: &FailureReason,
    limit: usize,
) -> Result<Vec<String>, Fault> {
    let read = sql_of(format!(
        "SELECT DISTINCT f.failure::json #>> '{{reason,message}}' AS message {} ORDER BY message LIMIT $7",
        of_reason(filter)
    ));
    let found = tx.rows(bound(read, tx.state, filter, reason, limit)).await?;
    found.iter().map(|row| Ok(get::<Option<String>>(row, 0)?.unwrap_or_default())).collect()
}

async fn reasons(tx: &mut Tx<'_>, filter: &FailureFilter) -> Result<Vec<FailureReason>, Fault> {
    let counting = if filter.closed_too { "true" } else { "f.status = 'open'" };
    let read = sql_of(format!(
        "SELECT p.name, g.* FROM (
             SELECT f.pipeline, f.code, f.property, f.remote_code, count(*), min(f.first_seen), max(f.last_seen), min(f.retry_at)
             FROM syncline.failures f
             WHERE {counting} AND f.state_id = $1
                 AND ($2::text IS NULL OR f.pipeline = (SELECT id FROM syncline.pipelines WHERE state_id = $1 AND name = $2))
                 AND ($3::text IS NULL OR f.id = $3) AND ($4::text IS NULL OR f.code = $4)
             GROUP BY f.pipeline, f.code, f.property, f.remote_code
         ) g JOIN syncline.pipelines p ON p.state_id = $1 AND p.id = g.pipeline
         ORDER BY p.name, g.code, g.property, g.remote_code"
    ));
    let reason = |row: &PgRow| {
        Ok(FailureReason {
            pipeline: PipelineName::new(get::<String>(row, 0)?),
            code: get(row, 2)?,
            property: get(row, 3)?,
            remote_code: get(row, 4)?,
            records: rows::count(row, 5)?,
            first_seen: rows::time(row, 6)?,
            last_seen: rows::time(row, 7)?,
            retry_at: rows::time_or_none(row, 8)?,
        })
    };
    let pipeline = filter.pipeline.as_ref().map(PipelineName::as_str);
    let id = filter.salesforce_id.as_ref().map(SalesforceId::as_str);
    tx.rows(read.bind(tx.state).bind(pipeline).bind(id).bind(&filter.code)).await?.iter().map(reason).collect()
}

/// Ids of runs begin with the time at which they began, so that the primary key finds those since.
async fn calls(tx: &mut Tx<'_>, since: Timestamp, now: Timestamp) -> Result<Vec<CallsMade>, Fault> {
    let first = Ulid::from_parts(since.as_millisecond().max(0).unsigned_abs(), 0).to_string();
    let read = sql("SELECT p.name, min(r.started), max(coalesce(r.ended, $3)), sum(r.salesforce)::bigint, sum(r.hubspot)::bigint
         FROM (SELECT r.*, (r.tally::json ->> 'salesforce_calls')::bigint AS salesforce, (r.tally::json ->> 'hubspot_calls')::bigint AS hubspot
               FROM syncline.runs r WHERE r.state_id = $1 AND r.id >= $2) r
         JOIN syncline.pipelines p ON p.state_id = $1 AND p.id = r.pipeline
         GROUP BY p.name, CASE WHEN coalesce(r.ended, $3) - r.started <= $4 THEN (r.started / $4)::text ELSE r.id END
         HAVING sum(r.salesforce) + sum(r.hubspot) > 0 ORDER BY p.name, min(r.started)");
    let made = |row: &PgRow| {
        Ok(CallsMade {
            pipeline: PipelineName::new(get::<String>(row, 0)?),
            from: rows::time(row, 1)?,
            to: rows::time(row, 2)?,
            salesforce: rows::count(row, 3)?,
            hubspot: rows::count(row, 4)?,
        })
    };
    tx.rows(read.bind(tx.state).bind(first).bind(rows::millis(now)).bind(CALL_SLOT_MS))
        .await?
        .iter()
        .map(made)
        .collect()
}
