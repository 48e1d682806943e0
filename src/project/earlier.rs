//! Pipelines as they were at a revision, to tell what a change brings from what was there before.

use std::sync::Arc;

use super::error::OpsError;
use super::prepare::{Knowledge, prepare_from};
use super::revision::{Base, earlier};
use super::wiring::Project;
use crate::model::change::{DefinitionDiff, DefinitionStanding};
use crate::model::ids::PipelineName;
use crate::pipeline::compiled::Pipeline;

/// The changed pipelines as they were. One that is no longer valid, or that read from or wrote to elsewhere, is left out.
pub async fn pipelines(
    project: &Project,
    base: &Base,
    definitions: &DefinitionDiff,
) -> Result<Vec<(PipelineName, Arc<Pipeline>)>, OpsError> {
    let before = earlier(base);
    let mut found = Vec::new();
    for own in definitions.pipelines.iter().filter(|own| own.standing == DefinitionStanding::Changed) {
        let elsewhere = ["source.connection", "source.object", "target.connection"];
        if own.changes.iter().any(|change| elsewhere.contains(&change.part.as_str())) {
            continue;
        }
        match prepare_from(project, &before, std::slice::from_ref(&own.name), Knowledge::Live).await {
            Ok(prepared) => {
                let one = prepared.pipelines.into_iter().map(|one| (one.pipeline.name.clone(), one.pipeline));
                found.extend(one);
            }
            Err(OpsError::Findings(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}
