//! Failures: records that were rejected, and when they are tried again.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, Statement, params};

use super::database::{Database, lookups_of};
use super::pipelines::pipeline_id;
use super::{lookups, rows, together};
use crate::model::failure::{Failure, FailureKind};
use crate::model::ids::{PipelineName, RunId, SalesforceId};
use crate::ports::state::{Commit, FailureFilter, FailureMark, FailureRow, FailureStatus};
use crate::sys::secrets::masked;

/// How long after its n-th failure a record is tried again; the last one repeats.
const RETRY_AFTER: [Duration; 5] = [
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3_600),
    Duration::from_secs(12 * 3_600),
    Duration::from_secs(24 * 3_600),
];

/// The columns that [`row`] reads.
pub const COLUMNS: &str =
    "p.name, f.run, f.failure, f.first_seen, f.last_seen, f.attempts, f.status, f.retry_at, f.basis";

/// The index that has all of open failures that is counted.
pub const BY_REASON: &str = "INDEXED BY failures_by_reason";

const WHERE: &str = "(?1 IS NULL OR p.name = ?1) AND (?2 IS NULL OR f.salesforce_id = ?2) AND (?3 OR f.status = 'open')
    AND (?4 IS NULL OR (f.status = 'open' AND (f.retry_at <= ?4 OR f.basis <> ?5)))
    AND (p.name, f.salesforce_id, f.kind) > (?6, ?7, ?8)
    AND (?9 IS NULL OR f.last_seen < ?9) AND (?10 IS NULL OR f.code = ?10) AND (?11 IS NULL OR f.kind = ?11)
    AND (NOT ?12 OR (f.property IS ?13 AND f.remote_code IS ?14))";

/// Opens or refreshes failures.
pub fn write(connection: &Connection, pipeline: i64, commit: &Commit, at: i64) -> rusqlite::Result<()> {
    let mut known = connection.prepare_cached(
        "SELECT failure, attempts, status FROM failures WHERE pipeline = ?1 AND salesforce_id = ?2 AND kind = ?3",
    )?;
    let mut upsert = connection.prepare_cached(
        "INSERT INTO failures (pipeline, salesforce_id, kind, run, failure, code, basis, first_seen, last_seen, attempts,
                               status, retry_at, property, remote_code)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9, ?10, ?11, ?12, ?13)
         ON CONFLICT (pipeline, salesforce_id, kind) DO UPDATE SET run = excluded.run, failure = excluded.failure,
             code = excluded.code, basis = excluded.basis, last_seen = excluded.last_seen, attempts = excluded.attempts,
             status = excluded.status, retry_at = excluded.retry_at, property = excluded.property,
             remote_code = excluded.remote_code,
             first_seen = CASE WHEN failures.status = 'resolved' THEN excluded.first_seen ELSE failures.first_seen END",
    )?;
    let mut of_run = connection.prepare_cached(
        "INSERT OR REPLACE INTO run_failures (run, salesforce_id, kind, failure) VALUES (?1, ?2, ?3, ?4)",
    )?;
    let run = commit.run.as_str();
    for failure in &commit.failures {
        let (id, kind) = (failure.salesforce_id.as_str(), failure.reason.kind().name());
        let before: Option<(String, u32, String)> = known
            .query_row(params![pipeline, id, kind], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let same_reason = |text: &str| {
            serde_json::from_str::<Failure>(text).is_ok_and(|before| {
                (before.reason.code, before.reason.property, before.reason.message)
                    == (failure.reason.code.clone(), failure.reason.property.clone(), failure.reason.message.clone())
            })
        };
        let (attempts, status) = match &before {
            Some((text, attempts, status)) if status == "dismissed" && same_reason(text) => (attempts + 1, "dismissed"),
            Some((_, attempts, status)) if status == "open" => (attempts + 1, "open"),
            _ => (1, "open"),
        };
        let retry_at = at + millis(RETRY_AFTER[(attempts as usize - 1).min(RETRY_AFTER.len() - 1)]);
        let (json, code) = (rows::to_json(failure)?, &failure.reason.code);
        let (property, remote_code) = (failure.reason.property.as_deref(), failure.reason.remote_code.as_deref());
        // What is stored of a reason is what was masked with it.
        let (property, remote_code) = (property.map(masked), remote_code.map(masked));
        upsert.execute(params![
            pipeline,
            id,
            kind,
            run,
            json,
            code,
            commit.basis,
            at,
            attempts,
            status,
            retry_at,
            property,
            remote_code
        ])?;
        of_run.execute(params![run, id, kind, json])?;
    }
    Ok(())
}

/// Puts the next look at records off that were not tried, by a pause that grows with the time since they failed.
pub fn postpone(connection: &Connection, pipeline: i64, ids: &[SalesforceId], at: i64) -> rusqlite::Result<()> {
    let record = FailureKind::Record.name();
    let mut seen = connection.prepare_cached(
        "SELECT last_seen FROM failures WHERE pipeline = ?1 AND salesforce_id = ?2 AND kind = ?3 AND status = 'open'",
    )?;
    let mut set = connection
        .prepare_cached("UPDATE failures SET retry_at = ?4 WHERE pipeline = ?1 AND salesforce_id = ?2 AND kind = ?3")?;
    for id in ids {
        let id = id.as_str();
        let last: Option<i64> = seen.query_row(params![pipeline, id, record], |row| row.get(0)).optional()?;
        let Some(last) = last else { continue };
        let [.., longest] = RETRY_AFTER;
        let pause = RETRY_AFTER.into_iter().find(|pause| millis(*pause) > at.saturating_sub(last)).unwrap_or(longest);
        set.execute(params![pipeline, id, record, at + millis(pause)])?;
    }
    Ok(())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Marks failures of one kind as over.
pub fn resolve(
    connection: &Connection,
    pipeline: i64,
    ids: &[SalesforceId],
    kind: FailureKind,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "UPDATE failures SET status = 'resolved', retry_at = NULL
         WHERE pipeline = ?1 AND salesforce_id = ?2 AND kind = ?3 AND status <> 'resolved'",
    )?;
    for id in ids {
        statement.execute(params![pipeline, id.as_str(), kind.name()])?;
    }
    Ok(())
}

/// Failures that match, ordered by (pipeline, record, kind).
pub fn list(connection: &Connection, filter: &FailureFilter, limit: usize) -> rusqlite::Result<Vec<FailureRow>> {
    if let Some(run) = &filter.run {
        return of_run(connection, run, filter, limit);
    }
    let mut statement = connection.prepare_cached(&list_sql())?;
    bind(&mut statement, filter)?;
    statement.raw_bind_parameter(15, i64::try_from(limit).unwrap_or(i64::MAX))?;
    statement.raw_query().mapped(row).collect()
}

/// A page begins where the one before has ended: in the table, and not by passing over all that comes before.
fn list_sql() -> String {
    format!(
        "SELECT {COLUMNS} FROM failures f JOIN pipelines p ON p.id = f.pipeline
         WHERE {WHERE} AND f.salesforce_id >= iif(p.name = ?6, ?7, '')
         ORDER BY p.name, f.salesforce_id, f.kind LIMIT ?15"
    )
}

/// Binds what [`WHERE`] asks for.
fn bind(statement: &mut Statement<'_>, filter: &FailureFilter) -> rusqlite::Result<()> {
    let (name, id, kind) = after(filter);
    statement.raw_bind_parameter(1, filter.pipeline.as_ref().map(PipelineName::as_str))?;
    statement.raw_bind_parameter(2, filter.salesforce_id.as_ref().map(SalesforceId::as_str))?;
    statement.raw_bind_parameter(3, filter.closed_too)?;
    statement.raw_bind_parameter(4, filter.due_at.map(rows::millis))?;
    statement.raw_bind_parameter(5, filter.basis.as_deref())?;
    statement.raw_bind_parameter(6, name)?;
    statement.raw_bind_parameter(7, id)?;
    statement.raw_bind_parameter(8, kind)?;
    statement.raw_bind_parameter(9, filter.seen_before.map(rows::millis))?;
    statement.raw_bind_parameter(10, filter.code.as_deref())?;
    statement.raw_bind_parameter(11, filter.kind.map(FailureKind::name))?;
    let cause = filter.cause.as_ref();
    statement.raw_bind_parameter(12, cause.is_some())?;
    statement.raw_bind_parameter(13, cause.and_then(|cause| cause.property.as_deref()))?;
    statement.raw_bind_parameter(14, cause.and_then(|cause| cause.remote_code.as_deref()))
}

/// The failures of these records that are not over.
pub fn of_records(
    connection: &Connection,
    pipeline: &PipelineName,
    ids: &[SalesforceId],
) -> rusqlite::Result<Vec<FailureRow>> {
    let Some(number) = pipeline_id(connection, pipeline)? else { return Ok(Vec::new()) };
    let sql = format!(
        "SELECT {COLUMNS} FROM json_each(?2) AS asked
         CROSS JOIN failures f ON f.pipeline = ?1 AND f.salesforce_id = asked.value AND f.status <> 'resolved'
         JOIN pipelines p ON p.id = f.pipeline"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_map(params![number, rows::id_array(ids)], row)?.collect()
}

/// What one run set aside, whatever became of it since.
fn of_run(
    connection: &Connection,
    run: &RunId,
    filter: &FailureFilter,
    limit: usize,
) -> rusqlite::Result<Vec<FailureRow>> {
    let mut statement = connection.prepare_cached(OF_RUN)?;
    let (name, id, kind) = after(filter);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    statement.query_map(params![run.as_str(), name, id, kind, limit], row)?.collect()
}

/// As [`list_sql`] has it.
const OF_RUN: &str = "SELECT p.name, rf.run, rf.failure, coalesce(f.first_seen, r.started), coalesce(f.last_seen, r.started),
        coalesce(f.attempts, 1), coalesce(f.status, 'resolved'), f.retry_at, f.basis
    FROM run_failures rf JOIN runs r ON r.id = rf.run JOIN pipelines p ON p.id = r.pipeline
    LEFT JOIN failures f ON f.pipeline = r.pipeline AND f.salesforce_id = rf.salesforce_id AND f.kind = rf.kind
    WHERE rf.run = ?1 AND rf.salesforce_id >= iif(p.name = ?2, ?3, '') AND (p.name, rf.salesforce_id, rf.kind) > (?2, ?3, ?4)
    ORDER BY rf.salesforce_id, rf.kind LIMIT ?5";

/// How many failures of a pipeline are open.
pub fn open_count(connection: &Connection, pipeline: &PipelineName) -> rusqlite::Result<u64> {
    let Some(pipeline) = pipeline_id(connection, pipeline)? else { return Ok(0) };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT count(*) FROM failures {BY_REASON} WHERE pipeline = ?1 AND status = 'open'"
    ))?;
    statement.query_row([pipeline], |row| rows::count(row, 0))
}

/// Open failures of records themselves, not of their associations.
pub fn open_record_count(connection: &Connection, pipeline: &PipelineName) -> rusqlite::Result<u64> {
    let Some(pipeline) = pipeline_id(connection, pipeline)? else { return Ok(0) };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT count(*) FROM failures {BY_REASON} WHERE pipeline = ?1 AND status = 'open' AND kind = ?2"
    ))?;
    statement.query_row(params![pipeline, FailureKind::Record.name()], |row| rows::count(row, 0))
}

/// Whether any failure of a pipeline is not over.
pub fn any(connection: &Connection, pipeline: &PipelineName) -> rusqlite::Result<bool> {
    let Some(pipeline) = pipeline_id(connection, pipeline)? else { return Ok(false) };
    let mut statement =
        connection.prepare_cached("SELECT 1 FROM failures WHERE pipeline = ?1 AND status <> 'resolved' LIMIT 1")?;
    statement.exists([pipeline])
}

/// Marks failures; returns how many.
pub fn mark(database: &Database, filter: &FailureFilter, mark: FailureMark) -> rusqlite::Result<u64> {
    let set = match mark {
        FailureMark::Dismiss => "status = 'dismissed', retry_at = NULL",
        FailureMark::Retry => "status = 'open', retry_at = 0",
    };
    // Associations that failed follow their record's failure; a dismissed one waits until its lookup changes.
    let next = match mark {
        FailureMark::Dismiss => Some(i64::MAX),
        FailureMark::Retry => Some(0),
    };
    let matching = "FROM failures f JOIN pipelines p ON p.id = f.pipeline WHERE";
    let associations = format!("SELECT f.pipeline, f.salesforce_id {matching} f.kind = 'associations' AND {WHERE}");
    let sql = format!(
        "UPDATE failures SET {set} WHERE (pipeline, salesforce_id, kind) IN
             (SELECT f.pipeline, f.salesforce_id, f.kind {matching} {WHERE})"
    );
    let mut failing = database.prepare_cached(&associations)?;
    bind(&mut failing, filter)?;
    let mut found = failing.raw_query();
    while let Some(row) = found.next()? {
        let id = rows::salesforce_id(1, row.get_ref(1)?.as_str()?)?;
        let pipeline = row.get(0)?;
        if let Some(record) = database.record(pipeline, &id)? {
            together::spread_range(database, pipeline, lookups_of(record).start, lookups_of(record).end - 1)?;
            lookups::wait_until(database, lookups_of(record), next)?;
        }
    }
    let mut statement = database.prepare_cached(&sql)?;
    bind(&mut statement, filter)?;
    Ok(statement.raw_execute()? as u64)
}

fn after(filter: &FailureFilter) -> (&str, &str, &str) {
    filter.after.as_ref().map_or(("", "", ""), |(name, id, kind)| (name.as_str(), id.as_str(), kind.name()))
}

/// A failure from a row of [`COLUMNS`].
pub fn row(row: &Row<'_>) -> rusqlite::Result<FailureRow> {
    let status = match row.get_ref(6)?.as_str()? {
        "open" => FailureStatus::Open,
        "dismissed" => FailureStatus::Dismissed,
        _ => FailureStatus::Resolved,
    };
    Ok(FailureRow {
        pipeline: PipelineName::new(row.get::<_, String>(0)?),
        run: RunId::new(row.get::<_, String>(1)?),
        failure: rows::json(2, row.get_ref(2)?.as_str()?)?,
        first_seen: rows::time(3, row.get(3)?)?,
        last_seen: rows::time(4, row.get(4)?)?,
        attempts: row.get(5)?,
        status,
        retry_at: row.get::<_, Option<i64>>(7)?.map(|at| rows::time(7, at)).transpose()?,
        basis: row.get(8)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::open;

    #[test]
    fn a_page_of_failures_begins_in_the_table_where_the_one_before_has_ended() {
        let database = open::private(true).unwrap();
        for sql in [list_sql(), OF_RUN.to_owned()] {
            let mut statement = database.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let mut steps = Vec::new();
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next().unwrap() {
                steps.push(row.get::<_, String>("detail").unwrap());
            }
            assert!(steps.iter().any(|step| step.contains("AND salesforce_id>?)")), "{steps:?}");
            assert!(
                !steps.iter().any(|step| step.contains("TEMP B-TREE")),
                "all would be read for each page: {steps:?}"
            );
        }
    }
}
