//! Definitions compiled against the catalog: what can be said of a project without credentials.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::catalog::{Catalog, folder};
use crate::config::env::{Environment, Variables};
use crate::config::files::Files;
use crate::config::load::{Loaded, LoadedPipeline, load};
use crate::config::pipeline::PipelineConfig;
use crate::config::project::{ConnectionConfig, ProjectConfig};
use crate::diagnostic::nearest::nearest;
use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::model::object::{Sources, TargetObject};
use crate::pipeline::compile::{self, parents};
use crate::pipeline::compiled::Pipeline;
use crate::pipeline::field::PARENTS_MAX;
use crate::pipeline::schemas::{AssociationSchema, Schemas};

/// A project as far as its files tell.
pub struct Offline {
    /// The definitions, with all findings.
    pub loaded: Loaded,
    /// What the systems said when they were asked last.
    pub catalog: Catalog,
}

/// Loads a project and applies every rule that its files allow. Variables that are not set say nothing.
pub fn open(files: &Files, variables: Variables<'_>) -> Offline {
    check_all(files, variables, compile::check)
}

/// The same, and the compiled pipelines, in the order of the definitions; none where one has errors or is not in the catalog.
pub fn compiled(files: &Files, variables: Variables<'_>) -> (Offline, Vec<Option<Arc<Pipeline>>>) {
    let mut made = HashMap::new();
    let offline = check_all(files, variables, |file, config, schemas| {
        let (pipeline, findings) = compile::compile(file, config, schemas);
        made.extend(pipeline.map(|pipeline| (Arc::clone(file), Arc::new(pipeline))));
        findings
    });
    let pipelines = offline.loaded.pipelines.iter().map(|pipeline| made.remove(&pipeline.file.name)).collect();
    (offline, pipelines)
}

/// Applies the rules; those that need what the catalog describes as the caller says.
fn check_all(
    files: &Files,
    variables: Variables<'_>,
    mut apply: impl FnMut(&Arc<str>, &PipelineConfig, &Schemas<'_>) -> Vec<Diagnostic>,
) -> Offline {
    let mut loaded = load(files, Environment::Optional(variables));
    let (catalog, findings, shown) = folder::read(files, &folder::of_target(loaded.target.as_deref()));
    loaded.findings.extend(findings);
    loaded.files.extend(shown);
    // What is wrong with one pipeline says nothing of the others.
    let errors = loaded.findings.iter().filter(|finding| finding.severity == Severity::Error);
    let wrong: HashSet<Arc<str>> = errors.map(|finding| Arc::clone(&finding.file)).collect();
    let is_pipeline = |name: &Arc<str>| {
        let good = loaded.pipelines.iter().map(|pipeline| &pipeline.file.name);
        good.chain(loaded.broken.iter().map(|pipeline| &pipeline.file)).any(|file| file == name)
    };
    // An error in syncline.yaml or the catalog would be repeated by every pipeline.
    if wrong.iter().all(is_pipeline) {
        let portals = loaded.project.as_ref().map(|project| check_portals(project, &catalog)).unwrap_or_default();
        loaded.findings.extend(portals);
        let mut findings = Vec::new();
        // A pipeline with errors of its own is not compiled: most further findings would follow from the first ones.
        for definition in loaded.pipelines.iter().filter(|definition| !wrong.contains(&definition.file.name)) {
            findings.extend(findings_of(&loaded.pipelines, definition, &catalog, &mut apply));
        }
        loaded.findings.extend(findings);
    }
    loaded.sort();
    Offline { loaded, catalog }
}

/// The findings of one pipeline; without a catalog, only what needs none is checked.
fn findings_of(
    all: &[LoadedPipeline],
    definition: &LoadedPipeline,
    catalog: &Catalog,
    mut apply: impl FnMut(&Arc<str>, &PipelineConfig, &Schemas<'_>) -> Vec<Diagnostic>,
) -> Vec<Diagnostic> {
    let (file, config) = (&definition.file.name, &definition.config);
    let known = |name: &String| all.iter().any(|pipeline| pipeline.config.name == *name);
    let whole =
        definition.config.associations.iter().filter_map(|association| association.pipeline.as_ref()).all(known);
    // An association with a pipeline that could not be read cannot be judged, and is no error of this one.
    if catalog.is_empty() || !whole {
        return compile::check_offline(file, config);
    }
    match described(all, definition, catalog) {
        Ok(described) => {
            let Described { sources, target, associations } = &described;
            apply(file, config, &Schemas { sources, target, associations })
        }
        // What needs no catalog is told all the same.
        Err(missing) => compile::check_offline(file, config).into_iter().chain([*missing]).collect(),
    }
}

/// What the catalog says of everything that a pipeline names.
struct Described<'a> {
    sources: Sources,
    target: &'a TargetObject,
    associations: Vec<AssociationSchema>,
}

fn described<'c>(
    all: &[LoadedPipeline],
    definition: &LoadedPipeline,
    catalog: &'c Catalog,
) -> Result<Described<'c>, Box<Diagnostic>> {
    let config = &definition.config;
    let missing = |pointer: &str, name: &str, system: &str| {
        let place = Place::Value(pointer.to_owned());
        let message = format!("`{name}` of {system} is not in the catalog");
        let finding = Diagnostic::error("SL3007", &definition.file.name, place, message);
        let finding = finding.with_why("without it, fields and properties cannot be checked");
        let pull = "run `syncline catalog pull` and commit the files of catalog/";
        Box::new(match similar(catalog, config, name, system) {
            Some(near) => {
                finding.with_label(format!("did you mean `{near}`?")).with_help(format!("if `{name}` is meant, {pull}"))
            }
            None => finding.with_help(pull),
        })
    };
    let mut sources = HashMap::new();
    // Each round finds the parents that the round before has named.
    for _ in 0..=PARENTS_MAX {
        let needed = parents(config, &sources);
        for object in &needed {
            let found = catalog.source(&config.source.connection, object);
            let found = found.ok_or_else(|| missing("/source/object", object, "Salesforce"))?;
            sources.insert(object.to_ascii_lowercase(), Arc::clone(found));
        }
        if needed.is_empty() {
            break;
        }
    }
    let connection = &config.target.connection;
    let target = catalog.target(connection, &config.target.object);
    let target = target.ok_or_else(|| missing("/target/object", &config.target.object, "HubSpot"))?;
    let mut associations = Vec::new();
    for (index, association) in config.associations.iter().enumerate() {
        let named = association.pipeline.as_ref();
        let other = named.and_then(|name| all.iter().find(|pipeline| pipeline.config.name == *name));
        let (key, object) = match (other, &association.to) {
            (Some(other), _) => ("pipeline", other.config.target.object.clone()),
            (None, to) => ("to", to.clone().unwrap_or_default()),
        };
        let pointer = format!("/associations/{index}/{key}");
        let end = catalog.target(connection, &object);
        let end = end.ok_or_else(|| missing(&pointer, &object, "HubSpot"))?;
        let types = match target.associations.get(&end.object.name) {
            Some(types) => types.clone(),
            None if config.is_from_end(index) => Vec::new(),
            None => {
                let message = format!("what associations with `{object}` there are is not in the catalog");
                let place = Place::Value(pointer.clone());
                let finding = Diagnostic::error("SL3007", &definition.file.name, place, message);
                return Err(Box::new(
                    finding.with_help("run `syncline catalog pull` and commit the files of catalog/"),
                ));
            }
        };
        let property = association.match_property.as_ref();
        associations.push(AssociationSchema {
            object_type_id: end.object.object_type_id.clone(),
            source_object: other.map(|other| other.config.source.object.clone()),
            property: property.and_then(|name| end.object.properties.get(name).cloned()),
            types,
        });
    }
    Ok(Described { sources, target: &target.object, associations })
}

/// The object of the catalog whose name is nearest to a mistyped one.
pub fn similar(catalog: &Catalog, config: &PipelineConfig, name: &str, system: &str) -> Option<String> {
    // Of the same connection only: another org or portal may have other objects.
    let known: Vec<String> = match system {
        "Salesforce" => {
            let of_connection =
                catalog.sources.iter().filter(|((connection, _), _)| *connection == config.source.connection);
            of_connection.map(|(_, object)| object.name.clone()).collect()
        }
        _ => {
            let of_connection =
                catalog.targets.iter().filter(|((connection, _), _)| *connection == config.target.connection);
            of_connection.map(|(_, entry)| entry.object.name.clone()).collect()
        }
    };
    nearest(name, known.iter().map(String::as_str)).map(str::to_owned)
}

/// The catalog must be of the portal that the connections name.
fn check_portals(project: &ProjectConfig, catalog: &Catalog) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for (name, connection) in &project.connections {
        let ConnectionConfig::Hubspot(config) = connection else { continue };
        let expected: Option<u64> = config.portal_id.as_ref().and_then(|id| id.0.parse().ok());
        let found =
            catalog.targets.iter().find(|((connection, _), _)| connection == name).map(|(_, entry)| entry.portal_id);
        // Without a configured portal, or without files of one, there is nothing to contradict.
        let (Some(expected), Some(found)) = (expected, found) else { continue };
        if expected != found {
            let place = Place::Value(format!("/connections/{}/portal_id", crate::config::yaml::escape(name)));
            let message = format!("the catalog is of portal {found}, not of {expected}");
            let file = Arc::from(crate::config::project::PROJECT_FILE);
            findings.push(
                Diagnostic::error("SL3009", &file, place, message)
                    .with_why("object ids, properties and labels differ from portal to portal")
                    .with_help(
                        "run `syncline catalog pull` with the token of the right portal, or correct `portal_id`",
                    ),
            );
        }
    }
    findings
}

impl Offline {
    /// Whether a finding stops everything.
    pub fn failed(&self) -> bool {
        self.loaded.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}
