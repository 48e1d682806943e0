//! Masks of the base: what a branch would show, its own review does not show yet.

use std::collections::BTreeSet;

use crate::config::pipeline::{FieldConfig, PipelineConfig};
use crate::model::change::{ChangeClass, DefinitionChange, DefinitionDiff, PipelineDiff};
use crate::project::revision::{Base, earlier};
use crate::project::wiring::Project;

/// Masks every entry that reads a field which is masked at the base, or fills a property that is, and tells of those that
/// would show it.
pub fn keep(project: &mut Project, base: &Base, definitions: &mut DefinitionDiff) {
    let before = earlier(base, project.loaded.target.as_deref());
    // A pipeline may have another name now.
    let masked: BTreeSet<String> = before.pipelines.iter().flat_map(|pipeline| paths(&pipeline.config)).collect();
    let properties: BTreeSet<(&str, &str)> = before
        .pipelines
        .iter()
        // With the pipeline's name: a property of another object may have the same name and no secret.
        .flat_map(|pipeline| pipeline.config.fields.iter().map(move |field| (pipeline.config.name.as_str(), field)))
        .filter(|(_, field)| field.sensitive)
        .map(|(name, field)| (name, field.to.as_str()))
        .collect();
    for loaded in &mut project.loaded.pipelines {
        let name = loaded.config.name.clone();
        let pipeline_fields = paths(&loaded.config);
        for (index, field) in loaded.config.fields.iter_mut().enumerate() {
            let path = masked.iter().find(|path| reads(field, path));
            // Masked now as well, so there is nothing to keep.
            if field.sensitive || (path.is_none() && !properties.contains(&(name.as_str(), field.to.as_str()))) {
                continue;
            }
            // Where another entry masks the field, all that read it are masked.
            let shown = !path.is_some_and(|path| pipeline_fields.contains(path));
            field.sensitive = true;
            if let Some(diff) = definitions.pipelines.iter_mut().find(|diff| diff.name == name).filter(|_| shown) {
                tell(diff, index, field);
            }
        }
    }
}

/// Fields of Salesforce that are masked, in lower case.
fn paths(config: &PipelineConfig) -> BTreeSet<String> {
    let masked = config.fields.iter().filter(|field| field.sensitive);
    masked.filter_map(|field| field.from.as_ref()).map(|path| path.to_ascii_lowercase()).collect()
}

/// Whether an entry reads a field; of a template, whether it may.
fn reads(field: &FieldConfig, path: &str) -> bool {
    let from = field.from.as_ref().is_some_and(|known| known.eq_ignore_ascii_case(path));
    // By the text alone, which may hit too much: a mask too many is the safe side.
    from || field.template.as_ref().is_some_and(|template| template.to_ascii_lowercase().contains(path))
}

fn tell(diff: &mut PipelineDiff, index: usize, field: &FieldConfig) {
    let pointer = format!("/fields/{index}/sensitive");
    // The comparison of the definitions has said it already.
    if diff.changes.iter().any(|change| change.pointer.as_deref() == Some(&pointer)) {
        return;
    }
    diff.changes.push(DefinitionChange {
        class: ChangeClass::NoRecordEffect,
        part: format!("fields.{}", field.to),
        what: format!("`{}` shows values that are masked so far", field.to),
        effect: "none on records; plans, failures and logs show them from now on".to_owned(),
        before: Some("true".to_owned()),
        after: Some("false".to_owned()),
        pointer: Some(pointer),
        line: None,
    });
}
