//! A plan where the state is kept elsewhere, as on the computer that reviews a pull request: what HubSpot holds stands in for
//! it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::context::{context, failed};
use super::error::OpsError;
use super::prepare::{PortalSource, Preparation, Prepared, prepare_selected};
use super::selection::Selection;
use super::wiring::Project;
use crate::config::load::LoadedPipeline;
use crate::engine::assume::assume_synced;
use crate::model::change::{DefinitionDiff, DefinitionStanding};
use crate::model::identity::MappingVersion;
use crate::model::ids::PipelineName;
use crate::pipeline::compiled::{AssociationTarget, Pipeline};
use crate::ports::fault::Fault;
use crate::ports::store::Store;
use crate::stages::{StageCause, StageError};

/// What stands in for a state.
#[derive(Clone, Default)]
pub struct InferredState {
    /// `where` as it was, of pipelines whose filter changed.
    pub conditions: Vec<(PipelineName, Option<String>)>,
    /// The match property as it was at the base.
    pub matches: Vec<(PipelineName, Arc<str>)>,
    /// Pipelines whose filter or mode may let records in that were left out; none where there is no base to tell.
    pub widened: Option<Vec<PipelineName>>,
    /// Pipelines whose mapping is what it was at the base: nothing is behind.
    pub unaffected: Vec<PipelineName>,
    /// Pipelines of which nothing is remembered anywhere, as they are new or have a new name: an import makes them.
    pub fresh: Vec<PipelineName>,
    /// Pipelines that are no part of the plan, and to whose records it makes associations.
    pub neighbours: Vec<Prepared>,
}

/// What stands in for the state of these pipelines; `definitions` tells how their filters were.
///
/// Errors: as [`prepare_selected`]. A pipeline to whose records they make associations and that is refused itself stands for none.
pub async fn infer(
    project: &Project,
    preparation: &Preparation,
    definitions: Option<&DefinitionDiff>,
    before: &[(PipelineName, Arc<Pipeline>)],
) -> Result<InferredState, OpsError> {
    let planned: Vec<&PipelineName> = preparation.pipelines.iter().map(|prepared| &prepared.pipeline.name).collect();
    let wanted = preparation.pipelines.iter().flat_map(|prepared| &prepared.pipeline.associations);
    let wanted: BTreeSet<&PipelineName> = wanted
        .filter_map(|association| match &association.target {
            AssociationTarget::Pipeline { name, .. } if !planned.contains(&name) => Some(name),
            _ => None,
        })
        .collect();
    let is_wanted = |pipeline: &LoadedPipeline| wanted.iter().any(|name| name.as_str() == pipeline.config.name);
    let all = project.loaded.pipelines.iter().enumerate();
    let places = all.filter(|(_, pipeline)| is_wanted(pipeline)).map(|(place, _)| place).collect();
    let chosen = Selection { pipelines: places, broken: Vec::new() };
    let neighbours = prepare_selected(project, &project.loaded, &chosen, PortalSource::Live).await?.pipelines;
    let same = |prepared: &&Prepared| {
        let name = &prepared.pipeline.name;
        let earlier = before.iter().find(|(other, _)| other == name);
        let kept = definitions.is_some_and(|diff| !diff.pipelines.iter().any(|other| other.name == name.as_str()));
        kept || earlier.is_some_and(|(_, earlier)| earlier.mapping_version == prepared.pipeline.mapping_version)
    };
    let unaffected = preparation.pipelines.iter().filter(same).map(|prepared| prepared.pipeline.name.clone()).collect();
    let (mut conditions, mut fresh, mut widened) = (Vec::new(), Vec::new(), Vec::new());
    for diff in definitions.iter().flat_map(|diff| &diff.pipelines) {
        if matches!(diff.standing, DefinitionStanding::Added | DefinitionStanding::Renamed) {
            fresh.push(PipelineName::new(diff.name.as_str()));
        }
        if diff.changes.iter().any(|change| ["source.where", "target.mode"].contains(&change.part.as_str())) {
            widened.push(PipelineName::new(diff.name.as_str()));
        }
        let filter = diff.changes.iter().find(|change| change.part == "source.where");
        conditions.extend(filter.map(|change| (PipelineName::new(diff.name.as_str()), change.before.clone())));
    }
    let widened = definitions.map(|_| widened);
    let of_base =
        |(name, earlier): &(PipelineName, Arc<Pipeline>)| (name.clone(), Arc::clone(&earlier.target.match_property));
    let matches = before.iter().map(of_base).collect();
    Ok(InferredState { conditions, matches, widened, unaffected, fresh, neighbours })
}

/// A state made from what HubSpot holds, and the pipelines whose old filter could not be asked.
pub async fn infer_state(
    project: &Project,
    preparation: &Preparation,
    scratch: &Arc<dyn Store>,
    without: &InferredState,
) -> Result<(Arc<dyn Store>, Vec<PipelineName>), OpsError> {
    let state = project.scratch()?;
    let mut unasked = Vec::new();
    for prepared in preparation.pipelines.iter().chain(&without.neighbours) {
        let cx = context(project, &state, scratch, prepared).await?;
        if without.fresh.contains(&cx.pipeline.name) {
            continue;
        }
        let (name, today) = (&cx.pipeline.name, cx.pipeline.condition_text());
        let before =
            without.conditions.iter().find(|(pipeline, _)| pipeline == name).map(|(_, condition)| condition.clone());
        let mapping = match without.unaffected.contains(name) {
            true => cx.pipeline.mapping_version,
            // No mapping has this version, so every record counts as written under another one.
            false => MappingVersion([0; 8]),
        };
        // What HubSpot holds carries the id under the match property of the base, if that has changed since.
        let key = without.matches.iter().find(|(pipeline, _)| pipeline == name).map(|(_, key)| Arc::clone(key));
        let key = key.unwrap_or_else(|| Arc::clone(&cx.pipeline.target.match_property));
        let mut done =
            assume_synced(&cx, &*state, before.clone().unwrap_or_else(|| today.clone()), mapping, &key).await;
        // A field of the old filter may be gone: that may be why it was changed.
        if before.is_some() && matches!(&done, Err(StageError { cause: StageCause::Remote(Fault::Halt(_)), .. })) {
            unasked.push(name.clone());
            done = assume_synced(&cx, &*state, today, mapping, &key).await;
        }
        done.map_err(|error| failed(&cx, error))?;
    }
    Ok((state, unasked))
}
