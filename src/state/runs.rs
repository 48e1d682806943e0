//! Runs: one row an execution of a pipeline. And how far each pipeline was read.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::pipelines::{ensure_pipeline, pipeline_id};
use super::rows;
use crate::model::ids::{PipelineName, RunId};
use crate::model::watermark::{Cursor, Watermark};
use crate::ports::state::{AlertCommit, ImportProgress, RunRow, StoredWatermark};
use crate::sys::secrets::masked;

/// Runs whose failures are kept for their own report, for each pipeline.
pub const RUNS_WITH_FAILURES_MAX: u32 = 50;

const COLUMNS: &str = "r.id, p.name, r.kind, r.status, r.started, r.ended, r.tally, r.error";

/// Writes the row of a run; earlier ones that never ended are interrupted ones.
pub fn begin(connection: &Connection, run: &RunRow) -> rusqlite::Result<()> {
    let pipeline = ensure_pipeline(connection, &run.pipeline)?;
    let died = "UPDATE runs SET status = 'interrupted', ended = started, error = 'its process ended without a word'
                WHERE pipeline = ?1 AND status = 'running'";
    connection.execute(died, [pipeline])?;
    connection.execute(
        "DELETE FROM run_failures WHERE run IN
             (SELECT id FROM runs WHERE pipeline = ?1 ORDER BY id DESC LIMIT -1 OFFSET ?2)",
        params![pipeline, RUNS_WITH_FAILURES_MAX],
    )?;
    // What a run noted for itself and could not forget.
    connection.execute(
        "DELETE FROM directories WHERE name GLOB 'seen:*'
             AND substr(name, 6) IN (SELECT id FROM runs WHERE pipeline = ?1 AND status <> 'running')",
        [pipeline],
    )?;
    write(connection, pipeline, run)
}

/// Replaces the row of a run, and enters what people are told of it.
pub fn end_telling(connection: &Connection, run: &RunRow, alerts: &AlertCommit) -> rusqlite::Result<()> {
    end(connection, run)?;
    super::alerts::write(connection, alerts)
}

/// Replaces the row of a run.
pub fn end(connection: &Connection, run: &RunRow) -> rusqlite::Result<()> {
    let pipeline = ensure_pipeline(connection, &run.pipeline)?;
    write(connection, pipeline, run)
}

fn write(connection: &Connection, pipeline: i64, run: &RunRow) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO runs (id, pipeline, kind, status, started, ended, tally, error)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    statement.execute(params![
        run.id.as_str(),
        pipeline,
        rows::name_of(&run.kind),
        rows::name_of(&run.status),
        rows::millis(run.started),
        run.ended.map(rows::millis),
        rows::to_json(&run.tally)?,
        run.error.as_deref().map(masked)
    ])?;
    Ok(())
}

/// The latest runs, newest first.
pub fn list(connection: &Connection, pipeline: Option<&PipelineName>, limit: usize) -> rusqlite::Result<Vec<RunRow>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let from = format!("SELECT {COLUMNS} FROM runs r JOIN pipelines p ON p.id = r.pipeline");
    let Some(name) = pipeline else {
        let mut statement = connection.prepare_cached(&format!("{from} ORDER BY r.id DESC LIMIT ?1"))?;
        return statement.query_map([limit], row)?.collect();
    };
    let Some(pipeline) = pipeline_id(connection, name)? else { return Ok(Vec::new()) };
    let sql = format!("{from} WHERE r.pipeline = ?1 ORDER BY r.id DESC LIMIT ?2");
    connection.prepare_cached(&sql)?.query_map([pipeline, limit], row)?.collect()
}

/// The latest run of a pipeline that went through.
pub fn last_good(connection: &Connection, pipeline: &PipelineName) -> rusqlite::Result<Option<RunRow>> {
    let Some(pipeline) = pipeline_id(connection, pipeline)? else { return Ok(None) };
    let sql = format!(
        "SELECT {COLUMNS} FROM runs r JOIN pipelines p ON p.id = r.pipeline
         WHERE r.pipeline = ?1 AND r.status IN ('succeeded', 'partial') ORDER BY r.id DESC LIMIT 1"
    );
    connection.query_row(&sql, [pipeline], row).optional()
}

/// One run, by its id or an unambiguous start or end of it.
pub fn find(connection: &Connection, id: &str) -> rusqlite::Result<Option<RunRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM runs r JOIN pipelines p ON p.id = r.pipeline
         WHERE upper(r.id) = upper(?1) OR (length(?1) >= 4 AND
             (substr(upper(r.id), 1, length(?1)) = upper(?1) OR substr(upper(r.id), -length(?1)) = upper(?1)))
         ORDER BY upper(r.id) = upper(?1) DESC LIMIT 2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let found: Vec<RunRow> = statement.query_map([id], row)?.collect::<rusqlite::Result<_>>()?;
    let exact = found.first().is_some_and(|run| run.id.as_str().eq_ignore_ascii_case(id));
    Ok(if found.len() == 1 || exact { found.into_iter().next() } else { None })
}

fn row(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    Ok(RunRow {
        id: RunId::new(row.get::<_, String>(0)?),
        pipeline: PipelineName::new(row.get::<_, String>(1)?),
        kind: rows::named(2, row.get_ref(2)?.as_str()?)?,
        status: rows::named(3, row.get_ref(3)?.as_str()?)?,
        started: rows::time(4, row.get(4)?)?,
        ended: row.get::<_, Option<i64>>(5)?.map(|at| rows::time(5, at)).transpose()?,
        tally: rows::json(6, row.get_ref(6)?.as_str()?)?,
        error: row.get(7)?,
    })
}

/// How far a pipeline was read.
pub fn watermark(connection: &Connection, pipeline: &PipelineName) -> rusqlite::Result<Option<Watermark>> {
    let sql = "SELECT watermark FROM pipelines WHERE name = ?1";
    let at: Option<Option<i64>> = connection.query_row(sql, [pipeline.as_str()], |row| row.get(0)).optional()?;
    at.flatten().map(|at| rows::time(0, at).map(Watermark)).transpose()
}

/// The watermark of a pipeline, with what tells how far it is believed.
pub fn mark(connection: &Connection, pipeline: &PipelineName) -> rusqlite::Result<Option<StoredWatermark>> {
    let sql = "SELECT watermark, watermark_set, (SELECT min(started) FROM runs r WHERE r.pipeline = p.id)
               FROM pipelines p WHERE name = ?1 AND watermark IS NOT NULL";
    let mark = |row: &Row<'_>| {
        let at = |column: usize, millis: Option<i64>| millis.map(|at| rows::time(column, at)).transpose();
        Ok(StoredWatermark {
            watermark: Watermark(rows::time(0, row.get(0)?)?),
            set_at: at(1, row.get(1)?)?,
            first_run: at(2, row.get(2)?)?,
        })
    };
    connection.query_row(sql, [pipeline.as_str()], mark).optional()
}

/// Where an unfinished import stands.
pub fn progress(connection: &Connection, pipeline: &PipelineName) -> rusqlite::Result<Option<ImportProgress>> {
    let Some(pipeline) = pipeline_id(connection, pipeline)? else { return Ok(None) };
    let sql = "SELECT began, cursor, read, total, began_at FROM imports WHERE pipeline = ?1";
    let read = |row: &Row<'_>| {
        let cursor: Option<String> = row.get(1)?;
        Ok(ImportProgress {
            began: Watermark(rows::time(0, row.get(0)?)?),
            began_at: row.get::<_, Option<i64>>(4)?.map(|at| rows::time(4, at)).transpose()?,
            cursor: cursor.map(|text| rows::json::<Cursor>(1, &text)).transpose()?,
            read: rows::count(row, 2)?,
            total: rows::count(row, 3)?,
        })
    };
    connection.query_row(sql, [pipeline], read).optional()
}

/// Saves where an unfinished import stands; none forgets it.
pub fn write_progress(
    connection: &Connection,
    pipeline: i64,
    progress: Option<&ImportProgress>,
) -> rusqlite::Result<()> {
    match progress {
        None => connection.execute("DELETE FROM imports WHERE pipeline = ?1", [pipeline]).map(drop),
        Some(progress) => {
            let cursor = progress.cursor.as_ref().map(rows::to_json).transpose()?;
            let (read, total) = (progress.read.cast_signed(), progress.total.cast_signed());
            let sql = "INSERT OR REPLACE INTO imports (pipeline, began, cursor, read, total, began_at)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let began_at = progress.began_at.map(rows::millis);
            let row = params![pipeline, rows::millis(progress.began.0), cursor, read, total, began_at];
            connection.execute(sql, row).map(drop)
        }
    }
}
