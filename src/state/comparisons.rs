//! Comparisons of both systems that were broken off.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::pipelines::{ensure_pipeline, pipeline_id};
use super::rows;
use crate::model::ids::PipelineName;
use crate::model::watermark::{ComparisonProgress, Cursor};

/// Where the comparison of a pipeline stands.
pub(super) fn read(connection: &Connection, pipeline: &PipelineName) -> rusqlite::Result<Option<ComparisonProgress>> {
    let Some(pipeline) = pipeline_id(connection, pipeline)? else { return Ok(None) };
    let sql = "SELECT began_at, basis, cursor, read, total FROM comparisons WHERE pipeline = ?1";
    let progress = |row: &Row<'_>| {
        let cursor: Option<String> = row.get(2)?;
        Ok(ComparisonProgress {
            began_at: rows::time(0, row.get(0)?)?,
            basis: row.get(1)?,
            cursor: cursor.map(|text| rows::json::<Cursor>(2, &text)).transpose()?,
            read: rows::count(row, 3)?,
            total: rows::count(row, 4)?,
        })
    };
    connection.query_row(sql, [pipeline], progress).optional()
}

/// Saves where it stands; none forgets it.
pub(super) fn write(
    connection: &Connection,
    pipeline: &PipelineName,
    progress: Option<&ComparisonProgress>,
) -> rusqlite::Result<()> {
    let pipeline = ensure_pipeline(connection, pipeline)?;
    let Some(progress) = progress else {
        return connection.execute("DELETE FROM comparisons WHERE pipeline = ?1", [pipeline]).map(drop);
    };
    let cursor = progress.cursor.as_ref().map(rows::to_json).transpose()?;
    let (read, total) = (progress.read.cast_signed(), progress.total.cast_signed());
    let sql = "INSERT OR REPLACE INTO comparisons (pipeline, began_at, basis, cursor, read, total)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let row = params![pipeline, rows::millis(progress.began_at), progress.basis, cursor, read, total];
    connection.execute(sql, row).map(drop)
}
