//! What a change of the definitions means: two versions of them in, changes in terms of mapping out. Pure; asks nothing.

mod associations;
mod change;
mod condition;
mod fields;
mod pipeline;
mod project;

use std::collections::BTreeSet;

use self::change::{Change, with_lines};
use crate::config::load::{Loaded, LoadedPipeline};
use crate::config::pipeline::PipelineConfig;
use crate::model::change::{ChangeClass, DefinitionStanding, PipelineDiff};

pub use project::compare as project_changes;

/// Compares the pipelines of two versions of a project; those without a change are left out. `same_object` tells whether
/// two names (with their connection) mean one HubSpot object.
pub fn compare(before: &Loaded, after: &Loaded, same_object: &dyn Fn(&str, &str, &str) -> bool) -> Vec<PipelineDiff> {
    // By name: a pipeline that moved to another file is still the same one.
    let named = |all: &'_ Loaded, name: &str| all.pipelines.iter().position(|pipeline| pipeline.config.name == name);
    let mut gone: BTreeSet<usize> =
        (0..before.pipelines.len()).filter(|at| named(after, &before.pipelines[*at].config.name).is_none()).collect();
    let mut found = Vec::new();
    for pipeline in &after.pipelines {
        let was = named(before, &pipeline.config.name).map(|at| &before.pipelines[at]);
        // Only what is gone can have been renamed, and each is used for one new name only.
        let renamed = || {
            let at = gone.iter().copied().find(|at| is_renamed(&before.pipelines[*at], pipeline))?;
            Some((at, &before.pipelines[at]))
        };
        match (was, was.is_none().then(renamed).flatten()) {
            (Some(was), _) => found.extend(changed(was, pipeline, same_object)),
            (None, Some((at, was))) => {
                gone.remove(&at);
                found.push(renamed_pipeline(was, pipeline, same_object));
            }
            (None, None) => found.push(added(pipeline)),
        }
    }
    found.extend(gone.into_iter().map(|at| removed(&before.pipelines[at])));
    found
}

/// What differs between two versions of one pipeline, in sentences.
pub fn changed_parts(was: &PipelineConfig, is: &PipelineConfig) -> Vec<String> {
    // Without the catalog, two names of one HubSpot object cannot be recognised; a change too many is the safe side.
    let same_object = |_: &str, one: &str, other: &str| one.eq_ignore_ascii_case(other);
    // A plan of a review masks more than the definition does.
    let masks = |change: &Change| change.pointer.as_deref().is_some_and(|pointer| pointer.ends_with("/sensitive"));
    let changes = pipeline::compare(was, is, &same_object).into_iter();
    changes.filter(|change| !masks(change)).map(|change| change.what).collect()
}

/// A new name for what is else the same pipeline: in the same file, or from the same object to the same one.
fn is_renamed(was: &LoadedPipeline, is: &LoadedPipeline) -> bool {
    let ends = |pipeline: &LoadedPipeline| {
        (pipeline.config.source.object.to_ascii_lowercase(), pipeline.config.target.object.to_ascii_lowercase())
    };
    // A rename rarely touches both the file and the objects; a new pipeline shares neither.
    was.file.name == is.file.name || ends(was) == ends(is)
}

/// None where the definition and its place are what they were.
fn changed(
    was: &LoadedPipeline,
    is: &LoadedPipeline,
    same_object: &dyn Fn(&str, &str, &str) -> bool,
) -> Option<PipelineDiff> {
    let changes = with_lines(pipeline::compare(&was.config, &is.config, same_object), is);
    let moved = was.file.name != is.file.name;
    (moved || !changes.is_empty()).then(|| PipelineDiff {
        name: is.config.name.clone(),
        // A file's place means nothing for records, but a reader of the diff sees it move.
        standing: if changes.is_empty() { DefinitionStanding::Moved } else { DefinitionStanding::Changed },
        file: is.file.name.to_string(),
        file_before: moved.then(|| was.file.name.to_string()),
        changes,
    })
}

/// A rename comes first among the changes, as it decides what becomes of all that is remembered.
fn renamed_pipeline(
    was: &LoadedPipeline,
    is: &LoadedPipeline,
    same_object: &dyn Fn(&str, &str, &str) -> bool,
) -> PipelineDiff {
    let name = Change {
        class: ChangeClass::CanRemoveData,
        part: "name".to_owned(),
        what: format!("the pipeline `{}` is now called `{}`", was.config.name, is.config.name),
        effect:
            "the name is the key of all its state: under the new name nothing is known of its records until an import \
                 recognises them by their match property, and deletes until then are missed"
                .to_owned(),
        before: Some(was.config.name.clone()),
        after: Some(is.config.name.clone()),
        pointer: Some("/name".to_owned()),
    };
    let mut changes = vec![name];
    changes.extend(pipeline::compare(&was.config, &is.config, same_object));
    PipelineDiff {
        name: is.config.name.clone(),
        standing: DefinitionStanding::Renamed,
        file: is.file.name.to_string(),
        file_before: (was.file.name != is.file.name).then(|| was.file.name.to_string()),
        changes: with_lines(changes, is),
    }
}

fn added(definition: &LoadedPipeline) -> PipelineDiff {
    let config = &definition.config;
    let what = match config.associate {
        None => format!("a new pipeline carries `{}` to `{}`", config.source.object, config.target.object),
        Some(_) => format!("a new pipeline makes associations of `{}`", config.source.object),
    };
    let change = Change {
        class: ChangeClass::NeedsBackfill,
        part: "pipeline".to_owned(),
        what,
        effect: format!("the records that exist are made by `syncline import {}`; `plan` counts them", config.name),
        before: None,
        after: Some(format!("{} properties, {} associations", config.fields.len(), config.associations.len())),
        pointer: Some("/name".to_owned()),
    };
    PipelineDiff {
        name: config.name.clone(),
        standing: DefinitionStanding::Added,
        file: definition.file.name.to_string(),
        file_before: None,
        changes: with_lines(vec![change], definition),
    }
}

fn removed(definition: &LoadedPipeline) -> PipelineDiff {
    let change = Change {
        // Nothing is removed, yet deletes in Salesforce no longer reach HubSpot: the reviewer must agree to that.
        class: ChangeClass::CanRemoveData,
        part: "pipeline".to_owned(),
        what: format!(
            "the pipeline from `{}` to `{}` is gone",
            definition.config.source.object, definition.config.target.object
        ),
        effect:
            "its records stay in HubSpot as they are and are no longer kept in step: changes and deletes in Salesforce \
                 do not reach them"
                .to_owned(),
        before: Some(definition.config.name.clone()),
        after: None,
        pointer: None,
    };
    PipelineDiff {
        name: definition.config.name.clone(),
        standing: DefinitionStanding::Removed,
        file: definition.file.name.to_string(),
        file_before: None,
        // There is no line left to point at.
        changes: vec![change.on_line(None)],
    }
}
