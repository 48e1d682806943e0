//! Runs: one row an execution of a pipeline. And how far each pipeline was read.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::postgres::PgRow;
use ulid::Ulid;

use super::fault::Fault;
use super::rows::{self, get};
use super::store::{Tx, sql, sql_of};
use super::{alerts, pipelines};
use crate::model::ids::{PipelineName, RunId};
use crate::model::watermark::{ComparisonProgress, Watermark};
use crate::ports::state::{AlertCommit, Commit, ImportProgress, RunRow, StoredWatermark};

/// Runs whose failures are kept for their own report, for each pipeline.
const RUNS_WITH_FAILURES_MAX: i64 = 50;

const COLUMNS: &str = "r.id, p.name, r.kind, r.status, r.started, r.ended, r.tally, r.error
    FROM syncline.runs r JOIN syncline.pipelines p ON p.state_id = r.state_id AND p.id = r.pipeline";

/// Writes the row of a run; earlier ones that never ended are interrupted ones.
pub async fn begin(tx: &mut Tx<'_>, run: &RunRow) -> Result<(), Fault> {
    let (state, pipeline) = (tx.state, pipelines::ensure(tx, &run.pipeline).await?);
    let died = sql(
        "UPDATE syncline.runs SET status = 'interrupted', ended = started, error = 'its process ended without a word'
         WHERE state_id = $1 AND pipeline = $2 AND status = 'running'",
    );
    tx.run(died.bind(state).bind(pipeline)).await?;
    clear(tx, pipeline, run.started).await?;
    // What a run noted for itself and could not forget.
    let own = sql("DELETE FROM syncline.directories WHERE state_id = $1 AND starts_with(name, 'seen:')
         AND substr(name, 6) IN (SELECT id FROM syncline.runs WHERE state_id = $1 AND pipeline = $2 AND status <> 'running')");
    tx.run(own.bind(state).bind(pipeline)).await?;
    write(tx, pipeline, run).await
}

/// How long runs are remembered that changed nothing, and all others. Of those that changed nothing, the ones of the day before are looked
/// through; where nothing ran for longer, they go with the others.
const QUIET_KEPT: Duration = Duration::from_hours(24);
const QUIET_LOOKED_THROUGH: Duration = Duration::from_hours(48);
const KEPT: Duration = Duration::from_hours(90 * 24);

/// Forgets old runs of a pipeline, but never the first one or the latest, and what was set aside by runs before the latest.
async fn clear(tx: &mut Tx<'_>, pipeline: i32, now: Timestamp) -> Result<(), Fault> {
    // Ids of runs begin with the time at which they began.
    let before = |age: Duration| {
        let at = now.as_millisecond().saturating_sub_unsigned(age.as_millis() as u64);
        Ulid::from_parts(at.max(0).unsigned_abs(), 0).to_string()
    };
    let clear = sql("WITH known AS (
             SELECT min(id) AS latest, (SELECT min(id) FROM syncline.runs WHERE state_id = $1 AND pipeline = $2) AS first
             FROM (SELECT id FROM syncline.runs WHERE state_id = $1 AND pipeline = $2 ORDER BY id DESC LIMIT $3) newest),
         failures AS (
             DELETE FROM syncline.run_failures f USING known WHERE f.state_id = $1 AND f.run < known.latest
                 AND EXISTS (SELECT 1 FROM syncline.runs r WHERE r.state_id = $1 AND r.id = f.run AND r.pipeline = $2)),
         old AS (
             SELECT id FROM syncline.runs WHERE state_id = $1 AND pipeline = $2 AND id < $4
             UNION ALL
             SELECT id FROM syncline.runs WHERE state_id = $1 AND pipeline = $2 AND id >= $5 AND id < $6
                 AND status IN ('succeeded', 'partial') AND error IS NULL AND NOT EXISTS (
                     SELECT 1 FROM json_each_text(tally::json) AS did (what, records)
                     WHERE records <> '0' AND what NOT IN ('read', 'unchanged', 'filtered', 'waiting', 'pending_associations',
                         'salesforce_calls', 'hubspot_calls'))),
         gone AS (
             DELETE FROM syncline.runs r USING known
             WHERE r.state_id = $1 AND r.id IN (SELECT id FROM old) AND r.id > known.first AND r.id < known.latest RETURNING r.id)
         DELETE FROM syncline.run_origins o USING gone WHERE o.state_id = $1 AND o.run = gone.id");
    let clear = clear.bind(tx.state).bind(pipeline).bind(RUNS_WITH_FAILURES_MAX);
    let clear = clear.bind(before(KEPT)).bind(before(QUIET_LOOKED_THROUGH)).bind(before(QUIET_KEPT));
    tx.run(clear).await.map(drop)
}

/// Replaces the row of a run, and enters what people are told of it.
pub async fn end(tx: &mut Tx<'_>, run: &RunRow, told: Option<&AlertCommit>) -> Result<(), Fault> {
    let pipeline = pipelines::ensure(tx, &run.pipeline).await?;
    write(tx, pipeline, run).await?;
    match told {
        Some(told) => alerts::write(tx, told).await,
        None => Ok(()),
    }
}

async fn write(tx: &mut Tx<'_>, pipeline: i32, run: &RunRow) -> Result<(), Fault> {
    let write = sql("INSERT INTO syncline.runs (state_id, id, pipeline, kind, status, started, ended, tally, error)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (state_id, id) DO UPDATE SET pipeline = excluded.pipeline, kind = excluded.kind, status = excluded.status,
             started = excluded.started, ended = excluded.ended, tally = excluded.tally, error = excluded.error");
    let write = write.bind(tx.state).bind(run.id.as_str()).bind(pipeline).bind(rows::name_of(&run.kind));
    let write =
        write.bind(rows::name_of(&run.status)).bind(rows::millis(run.started)).bind(run.ended.map(rows::millis));
    tx.run(write.bind(rows::to_json(&run.tally)?).bind(run.error.as_deref().map(rows::text))).await.map(drop)
}

/// The latest runs, newest first.
pub async fn list(tx: &mut Tx<'_>, pipeline: Option<&PipelineName>, limit: usize) -> Result<Vec<RunRow>, Fault> {
    let found = match pipeline {
        None => {
            let list = sql_of(format!("SELECT {COLUMNS} WHERE r.state_id = $1 ORDER BY r.id DESC LIMIT $2"));
            tx.rows(list.bind(tx.state).bind(rows::limit(limit))).await?
        }
        Some(name) => {
            let Some(pipeline) = pipelines::find(tx, name).await? else { return Ok(Vec::new()) };
            let list = sql_of(format!(
                "SELECT {COLUMNS} WHERE r.state_id = $1 AND r.pipeline = $2 ORDER BY r.id DESC LIMIT $3"
            ));
            tx.rows(list.bind(tx.state).bind(pipeline).bind(rows::limit(limit))).await?
        }
    };
    found.iter().map(row).collect()
}

/// The latest run of a pipeline that went through.
pub async fn last_good(tx: &mut Tx<'_>, pipeline: &PipelineName) -> Result<Option<RunRow>, Fault> {
    let Some(pipeline) = pipelines::find(tx, pipeline).await? else { return Ok(None) };
    let last = sql_of(format!(
        "SELECT {COLUMNS} WHERE r.state_id = $1 AND r.pipeline = $2 AND r.status IN ('succeeded', 'partial')
         ORDER BY r.id DESC LIMIT 1"
    ));
    tx.row(last.bind(tx.state).bind(pipeline)).await?.map(|found| row(&found)).transpose()
}

/// One run, by its id or an unambiguous start or end of it.
pub async fn find(tx: &mut Tx<'_>, id: &str) -> Result<Option<RunRow>, Fault> {
    let find = sql_of(format!(
        "SELECT {COLUMNS} WHERE r.state_id = $1 AND (upper(r.id) = upper($2) OR (length($2) >= 4 AND
             (starts_with(upper(r.id), upper($2)) OR right(upper(r.id), length($2)) = upper($2))))
         ORDER BY upper(r.id) = upper($2) DESC LIMIT 2"
    ));
    let found = tx.rows(find.bind(tx.state).bind(id.replace('\0', ""))).await?;
    let found: Vec<RunRow> = found.iter().map(row).collect::<Result<_, _>>()?;
    let exact = found.first().is_some_and(|run| run.id.as_str().eq_ignore_ascii_case(id));
    Ok(if found.len() == 1 || exact { found.into_iter().next() } else { None })
}

fn row(row: &PgRow) -> Result<RunRow, Fault> {
    Ok(RunRow {
        id: RunId::new(get::<String>(row, 0)?),
        pipeline: PipelineName::new(get::<String>(row, 1)?),
        kind: rows::named(row, 2)?,
        status: rows::named(row, 3)?,
        started: rows::time(row, 4)?,
        ended: rows::time_or_none(row, 5)?,
        tally: rows::json(get(row, 6)?)?,
        error: get(row, 7)?,
    })
}

/// The watermark of a pipeline, with what tells how far it is believed.
pub async fn mark(tx: &mut Tx<'_>, pipeline: &PipelineName) -> Result<Option<StoredWatermark>, Fault> {
    let read = sql("SELECT watermark, watermark_set, (SELECT min(started) FROM syncline.runs r WHERE r.state_id = $1 AND r.pipeline = p.id)
         FROM syncline.pipelines p WHERE p.state_id = $1 AND name = $2 AND watermark IS NOT NULL");
    let found = tx.row(read.bind(tx.state).bind(pipeline.as_str())).await?;
    let mark = |row: PgRow| {
        Ok(StoredWatermark {
            watermark: Watermark(rows::time(&row, 0)?),
            set_at: rows::time_or_none(&row, 1)?,
            first_run: rows::time_or_none(&row, 2)?,
        })
    };
    found.map(mark).transpose()
}

/// Enters how far a pipeline was read, and the numbers of its run so far; and forgets the doubts about records that are accounted for.
pub async fn write_progress(tx: &mut Tx<'_>, pipeline: i32, commit: &Commit) -> Result<(), Fault> {
    let tally = sql("WITH accounted AS (
             DELETE FROM syncline.unconfirmed WHERE state_id = $1 AND pipeline = $4 AND id = ANY($5::text[]))
         UPDATE syncline.runs SET tally = $3 WHERE state_id = $1 AND id = $2");
    let tally = tally.bind(tx.state).bind(commit.run.as_str()).bind(rows::to_json(&commit.tally)?).bind(pipeline);
    tx.run(tally.bind(rows::ids(&commit.accounted))).await?;
    match &commit.cursor {
        None => {}
        Some(None) => {
            let forget = sql("DELETE FROM syncline.imports WHERE state_id = $1 AND pipeline = $2");
            tx.run(forget.bind(tx.state).bind(pipeline)).await?;
        }
        Some(Some(progress)) => {
            let write = sql("INSERT INTO syncline.imports (state_id, pipeline, began, began_at, cursor, read, total)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)
                 ON CONFLICT (state_id, pipeline) DO UPDATE SET began = excluded.began, began_at = excluded.began_at,
                     cursor = excluded.cursor, read = excluded.read, total = excluded.total");
            let cursor = progress.cursor.as_ref().map(rows::to_json).transpose()?;
            let write = write.bind(tx.state).bind(pipeline).bind(rows::millis(progress.began.0));
            let write = write.bind(progress.began_at.map(rows::millis)).bind(cursor);
            tx.run(write.bind(progress.read.cast_signed()).bind(progress.total.cast_signed())).await?;
        }
    }
    let Some(watermark) = commit.watermark else { return Ok(()) };
    let set = sql("UPDATE syncline.pipelines SET
             watermark_set = CASE WHEN $5 OR watermark IS NULL OR $3 >= watermark THEN $4 ELSE watermark_set END,
             watermark = CASE WHEN $5 THEN $3 ELSE greatest(coalesce(watermark, $3), $3) END
         WHERE state_id = $1 AND id = $2");
    let set = set.bind(tx.state).bind(pipeline).bind(rows::millis(watermark.0));
    tx.run(set.bind(commit.watermark_set.map(rows::millis)).bind(commit.watermark_corrected)).await.map(drop)
}

/// Where an unfinished import stands.
pub async fn progress(tx: &mut Tx<'_>, pipeline: &PipelineName) -> Result<Option<ImportProgress>, Fault> {
    let Some(pipeline) = pipelines::find(tx, pipeline).await? else { return Ok(None) };
    let read =
        sql("SELECT began, began_at, cursor, read, total FROM syncline.imports WHERE state_id = $1 AND pipeline = $2");
    let progress = |row: PgRow| {
        Ok(ImportProgress {
            began: Watermark(rows::time(&row, 0)?),
            began_at: rows::time_or_none(&row, 1)?,
            cursor: get::<Option<&str>>(&row, 2)?.map(rows::json).transpose()?,
            read: rows::count(&row, 3)?,
            total: rows::count(&row, 4)?,
        })
    };
    tx.row(read.bind(tx.state).bind(pipeline)).await?.map(progress).transpose()
}

/// Where the comparison of a pipeline stands.
pub async fn comparison(tx: &mut Tx<'_>, pipeline: &PipelineName) -> Result<Option<ComparisonProgress>, Fault> {
    let Some(pipeline) = pipelines::find(tx, pipeline).await? else { return Ok(None) };
    let read = sql(
        "SELECT began_at, basis, cursor, read, total FROM syncline.comparisons WHERE state_id = $1 AND pipeline = $2",
    );
    let progress = |row: PgRow| {
        Ok(ComparisonProgress {
            began_at: rows::time(&row, 0)?,
            basis: get(&row, 1)?,
            cursor: get::<Option<&str>>(&row, 2)?.map(rows::json).transpose()?,
            read: rows::count(&row, 3)?,
            total: rows::count(&row, 4)?,
        })
    };
    tx.row(read.bind(tx.state).bind(pipeline)).await?.map(progress).transpose()
}

/// Saves where a comparison stands; none forgets it.
pub async fn save_comparison(
    tx: &mut Tx<'_>,
    pipeline: &PipelineName,
    progress: Option<&ComparisonProgress>,
) -> Result<(), Fault> {
    let pipeline = pipelines::ensure(tx, pipeline).await?;
    let Some(progress) = progress else {
        let forget = sql("DELETE FROM syncline.comparisons WHERE state_id = $1 AND pipeline = $2");
        return tx.run(forget.bind(tx.state).bind(pipeline)).await.map(drop);
    };
    let write = sql("INSERT INTO syncline.comparisons (state_id, pipeline, began_at, basis, cursor, read, total)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (state_id, pipeline) DO UPDATE SET began_at = excluded.began_at, basis = excluded.basis,
             cursor = excluded.cursor, read = excluded.read, total = excluded.total");
    let cursor = progress.cursor.as_ref().map(rows::to_json).transpose()?;
    let write = write.bind(tx.state).bind(pipeline).bind(rows::millis(progress.began_at)).bind(&progress.basis);
    tx.run(write.bind(cursor).bind(progress.read.cast_signed()).bind(progress.total.cast_signed())).await.map(drop)
}
