//! `import`: how many records a copy is about, before anybody is asked whether to go on.

use crate::engine::catch_up;
use crate::ports::source::Source;
use crate::ports::state::StateReader;
use crate::project::error::OpsError;
use crate::project::prepare::{Preparation, Prepared, Refused};
use crate::project::wiring::Project;
use crate::state::sqlite::SqliteState;

/// What a copy of one pipeline is about.
pub struct Counted {
    /// Records to read.
    pub records: u64,
    /// How many of them an earlier, unfinished import has read.
    pub read: Option<u64>,
}

/// Counts for each pipeline that is ready, in their order. One that cannot be counted is refused.
///
/// Errors: what concerns all pipelines: the state cannot be used.
pub async fn count(
    project: &Project,
    state: &SqliteState,
    preparation: &mut Preparation,
    stale: bool,
) -> Result<Vec<Counted>, OpsError> {
    let mut counted = Vec::new();
    let mut ready = Vec::new();
    for prepared in std::mem::take(&mut preparation.pipelines) {
        match count_one(project, state, &prepared, stale).await {
            Ok(count) => {
                counted.push(count);
                ready.push(prepared);
            }
            Err(error @ OpsError::State(_)) => return Err(error),
            Err(reason) => preparation.refused.push(Refused { name: prepared.pipeline.name.clone(), reason }),
        }
    }
    preparation.pipelines = ready;
    Ok(counted)
}

async fn count_one(
    project: &Project,
    state: &SqliteState,
    prepared: &Prepared,
    stale: bool,
) -> Result<Counted, OpsError> {
    let name = &prepared.pipeline.name;
    if stale {
        let backlog = catch_up::backlog(state, &prepared.pipeline).await?;
        return Ok(Counted { records: backlog.behind + backlog.failed, read: None });
    }
    if let Some(progress) = state.cursor(name).await? {
        return Ok(Counted { records: progress.total, read: Some(progress.read) });
    }
    let connection = &project.loaded.pipelines[prepared.index].config.source.connection;
    let source = project.source(connection)?;
    let records = source.count(&prepared.pipeline.all_records()).await.map_err(OpsError::remote(name))?;
    Ok(Counted { records, read: None })
}
