//! What people are told of a run's end: what is new against what they were told before.

use crate::model::alert::{self, AlertTerms, RunEnd};
use crate::ports::state::{AlertCommit, RunRow, StateError, StateReader};

/// What is to be committed with the end of a run; none where nothing is new. `cause` is the code of its end and what to do.
pub async fn of_run(
    state: &dyn StateReader,
    row: &RunRow,
    cause: (Option<&str>, Option<&str>),
    terms: &AlertTerms,
) -> Result<Option<AlertCommit>, StateError> {
    let known = state.alert_conditions(&row.pipeline).await?;
    let at = row.ended.unwrap_or(row.started);
    let end = RunEnd {
        pipeline: &row.pipeline,
        run: row.id.as_str(),
        at,
        status: row.status,
        tally: row.tally,
        code: cause.0,
        reason: row.error.as_deref(),
        help: cause.1,
    };
    let change = alert::of_run(&end, &known, terms.error_share);
    if change.is_empty() {
        return Ok(None);
    }
    let deliveries = terms.deliveries(&change.alerts);
    Ok(Some(AlertCommit { pipeline: row.pipeline.clone(), at, stands: change.stands, over: change.over, deliveries }))
}
