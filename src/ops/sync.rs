//! `sync`: cycles that repeat, each pipeline by its own `every`, all on one rate limit.

use std::sync::Arc;

use futures_util::future::join_all;

use super::run::{Finished, RunOptions, run_one};
use crate::model::report::RunStatus;
use crate::project::error::OpsError;
use crate::project::prepare::{Knowledge, Prepared, prepare};
use crate::project::wiring::Project;
use crate::state::sqlite::SqliteState;

/// Repeats cycles until somebody asks to stop. Each finished cycle is handed to `on_finished`; trouble of one pipeline
/// leaves the others alone, and its next cycle tries again.
pub async fn forever(
    project: &Project,
    state: &Arc<SqliteState>,
    prepared: &[Prepared],
    options: &RunOptions,
    on_finished: &(dyn Fn(Result<&Finished, &OpsError>) + Send + Sync),
) {
    let cycles = prepared.iter().map(|own| async move {
        let every = project.loaded.pipelines[own.index].config.sync.every.0;
        while !project.outside.cancel.is_cancelled() {
            let finished = cycle(project, state, own, options).await;
            on_finished(finished.as_ref());
            let interrupted = finished.as_ref().is_ok_and(|finished| finished.report.status == RunStatus::Interrupted);
            if interrupted {
                break;
            }
            tokio::select! {
                () = project.outside.clock.sleep(every) => {}
                () = project.outside.cancel.cancelled() => {}
            }
        }
    });
    join_all(cycles).await;
}

/// One cycle. Salesforce is described anew each time, as its fields may have moved since.
async fn cycle(
    project: &Project,
    state: &Arc<SqliteState>,
    prepared: &Prepared,
    options: &RunOptions,
) -> Result<Finished, OpsError> {
    let asked = [prepared.pipeline.name.to_string()];
    let mut fresh = prepare(project, &asked, Knowledge::Remembered(state)).await?;
    let fresh = fresh.pipelines.pop().unwrap_or_else(|| prepared.clone());
    run_one(project, state, &fresh, options, None).await
}
