//! Pipelines as they were at a revision, to tell what a change brings from what was there before.

use std::sync::Arc;

use super::error::OpsError;
use super::prepare::{PortalSource, prepare_selected};
use super::revision::{Base, earlier};
use super::selection::Selection;
use super::wiring::Project;
use crate::model::change::{DefinitionDiff, DefinitionStanding};
use crate::model::ids::PipelineName;
use crate::pipeline::compiled::Pipeline;

/// The changed pipelines as they were. One that is no longer valid, or that read from or wrote to elsewhere, is left out.
///
/// Errors: what concerns all pipelines.
pub async fn pipelines(
    project: &Project,
    base: &Base,
    definitions: &DefinitionDiff,
) -> Result<Vec<(PipelineName, Arc<Pipeline>)>, OpsError> {
    let before = earlier(base, project.loaded.target.as_deref());
    let mut chosen = Selection::default();
    // A renamed pipeline is new to the state, and one in another file is the same.
    for diff in definitions.pipelines.iter().filter(|diff| diff.standing == DefinitionStanding::Changed) {
        let elsewhere = ["source.connection", "source.object", "target.connection"];
        // Its rejections were about other records, so none of today's can be called old.
        if diff.changes.iter().any(|change| elsewhere.contains(&change.part.as_str())) {
            continue;
        }
        // A name is no glob here.
        chosen.pipelines.extend(before.pipelines.iter().position(|before| before.config.name == diff.name));
    }
    let prepared = prepare_selected(project, &before, &chosen, PortalSource::Live).await?.pipelines;
    Ok(prepared.into_iter().map(|prepared| (prepared.pipeline.name.clone(), prepared.pipeline)).collect())
}
