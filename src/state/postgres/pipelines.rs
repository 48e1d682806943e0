//! The numbers of pipelines, by which most other tables know them.

use super::fault::Fault;
use super::rows::get;
use super::store::{Tx, sql};
use crate::model::ids::PipelineName;

/// The number of a pipeline, where it has one.
pub async fn find(tx: &mut Tx<'_>, name: &PipelineName) -> Result<Option<i32>, Fault> {
    if let Some(known) = tx.pipeline.as_ref().filter(|known| known.name == *name) {
        return Ok(Some(known.id));
    }
    let find = sql("SELECT id FROM syncline.pipelines WHERE state_id = $1 AND name = $2");
    let found = tx.row(find.bind(tx.state).bind(name.as_str())).await?;
    found.map(|row| get(&row, 0)).transpose()
}

/// The number of a pipeline; a new one gets the next. Writes to a state take turns, so nobody else gives it meanwhile.
pub async fn ensure(tx: &mut Tx<'_>, name: &PipelineName) -> Result<i32, Fault> {
    if let Some(id) = find(tx, name).await? {
        return Ok(id);
    }
    let new = sql("INSERT INTO syncline.pipelines (state_id, id, name)
         SELECT $1, 1 + coalesce(max(id), 0), $2 FROM syncline.pipelines WHERE state_id = $1 RETURNING id");
    let new = tx.row(new.bind(tx.state).bind(name.as_str())).await?;
    new.map_or(Ok(0), |row| get(&row, 0))
}
