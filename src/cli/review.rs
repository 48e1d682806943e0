//! Commands of a review: `plan`.

use serde_json::json;

use super::args::{Common, Format, Plan};
use super::commands::{json, project};
use super::definitions::warn;
use super::exit::Exit;
use super::output;
use super::render::plan as show_plan;
use super::signals;
use crate::ops::error::OpsError;
use crate::ops::plan;
use crate::ops::prepare::{Knowledge, prepare};
use crate::ops::wiring::Outside;

pub(super) async fn plan_project(common: &Common, words: &Plan) -> Result<Exit, OpsError> {
    let outside = Outside::real();
    signals::watch(&outside.cancel);
    let project = project(common, outside)?;
    let preparation = prepare(&project, &words.names, Knowledge::Live).await?;
    warn(common, &project, &preparation);
    let forecasts = plan::plan(&project, &preparation, words.sample).await?;
    let failed = forecasts.iter().any(|forecast| forecast.report.error.is_some());
    match words.format {
        Format::Text => output::result(&show_plan::plan(&forecasts)),
        Format::Json => json(&json!({ "pipelines": forecasts, "status": if failed { "failed" } else { "succeeded" } })),
    }
    let changes = forecasts.iter().any(|forecast| !forecast.changes.is_empty() || forecast.changes_omitted > 0);
    Ok(match (failed, changes && words.detailed_exitcode) {
        (true, _) => Exit::Failed,
        (false, true) => Exit::Changes,
        (false, false) => Exit::Done,
    })
}
