//! The numbers of pipelines, by which all other tables know them.

use rusqlite::{Connection, OptionalExtension};

use crate::model::ids::PipelineName;

/// The number of a pipeline, where it has one.
pub fn pipeline_id(connection: &Connection, name: &PipelineName) -> rusqlite::Result<Option<i64>> {
    let mut statement = connection.prepare_cached("SELECT id FROM pipelines WHERE name = ?1")?;
    statement.query_row([name.as_str()], |row| row.get(0)).optional()
}

/// The number of a pipeline; a new one gets the next.
pub fn ensure_pipeline(connection: &Connection, name: &PipelineName) -> rusqlite::Result<i64> {
    if let Some(id) = pipeline_id(connection, name)? {
        return Ok(id);
    }
    connection.execute("INSERT INTO pipelines (name) VALUES (?1) ON CONFLICT DO NOTHING", [name.as_str()])?;
    connection.query_row("SELECT id FROM pipelines WHERE name = ?1", [name.as_str()], |row| row.get(0))
}
