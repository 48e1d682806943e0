//! What the catalogs of portals tell of a deployment: each portal with a catalog of its own is compared by that.

use super::diff;
use crate::catalog::folder;
use crate::config::env::{Environment, Variables};
use crate::config::files::Files;
use crate::config::fleet;
use crate::config::load::Loaded;
use crate::config::targets::VARIABLE;
use crate::model::catalog_change::CatalogChange;
use crate::model::change::{DefinitionChange, DefinitionDiff};
use crate::project::revision::Base;

/// Portals that are named with a change that concerns several.
const NAMED_MAX: usize = 3;

/// Most files of a catalog that are compared, and the largest of them, in bytes.
const FILES_MAX: usize = 4_000;
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Adds what is only true of some portals, by their own catalogs; `base` is called `reference`.
pub fn add(
    diff: &mut DefinitionDiff,
    base: &Base,
    after: &Loaded,
    portals: &[String],
    reference: &str,
    variables: Variables<'_>,
) {
    let mut catalogs: Vec<(CatalogChange, Vec<&str>)> = Vec::new();
    let mut definitions: Vec<(String, DefinitionChange, Vec<&str>)> = Vec::new();
    for portal in portals {
        let (was, is) = (contents(&base.files, portal), contents(&after.definitions, portal));
        // What is the same says nothing but by which other names an object goes that a pipeline names.
        if was.is_empty() && is.is_empty() || was == is && diff.pipelines.is_empty() {
            continue;
        }
        let with = |variable: &str| if variable == VARIABLE { Some(portal.clone()) } else { variables(variable) };
        let own = diff::compare(base, &fleet::one(after, Environment::Optional(&with), portal), reference);
        for change in own.catalog.into_iter().filter(|change| !diff.catalog.contains(change)) {
            match catalogs.iter_mut().find(|(known, _)| *known == change) {
                Some((_, portals)) => portals.push(portal),
                None => catalogs.push((change, vec![portal])),
            }
        }
        for pipeline in own.pipelines {
            let known = diff.pipelines.iter().find(|known| known.name == pipeline.name);
            let told = |change: &DefinitionChange| known.is_some_and(|known| known.changes.contains(change));
            for change in pipeline.changes.into_iter().filter(|change| !told(change)) {
                match definitions.iter_mut().find(|(name, known, _)| *name == pipeline.name && *known == change) {
                    Some((.., portals)) => portals.push(portal),
                    None => definitions.push((pipeline.name.clone(), change, vec![portal])),
                }
            }
        }
    }
    diff.catalog.extend(catalogs.into_iter().map(|(change, portals)| CatalogChange {
        message: format!("{} (for {})", change.message, named(&portals)),
        ..change
    }));
    diff.notes.extend(definitions.into_iter().map(|(pipeline, change, portals)| {
        format!("{pipeline}, for {} by its own catalog: {}; {}", named(&portals), change.what, change.effect)
    }));
}

/// The files of a portal's catalog.
fn contents(files: &Files, portal: &str) -> Vec<(String, Option<Vec<u8>>)> {
    let paths = files.tree(&folder::of_target(Some(portal)), FILES_MAX).unwrap_or_default();
    paths
        .into_iter()
        .map(|path| {
            let content = files.read(&path, FILE_BYTES_MAX).ok();
            (path, content)
        })
        .collect()
}

fn named(portals: &[&str]) -> String {
    let names: Vec<String> = portals.iter().take(NAMED_MAX).map(|portal| format!("`{portal}`")).collect();
    match portals.len().saturating_sub(NAMED_MAX) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}
