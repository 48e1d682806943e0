//! Pipelines ready to run: the two systems are asked once what their objects look like, and every rule is applied.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::error::OpsError;
use super::wiring::Project;
use crate::config::load::{Loaded, LoadedPipeline};
use crate::config::select::select;
use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::model::ids::PipelineName;
use crate::model::object::{SourceObject, TargetObject};
use crate::pipeline::compile::{AssociationWorld, Pipeline, World, compile, parents};
use crate::ports::fault::{Fault, RemoteError};
use crate::ports::source::Source;
use crate::ports::state::StateWriter;
use crate::ports::target::TargetReader;

/// A pipeline with the handles that its run uses.
pub struct Prepared {
    /// The compiled pipeline.
    pub pipeline: Arc<Pipeline>,
    /// Its place among the loaded ones.
    pub index: usize,
}

/// Warnings that came up, with the files they are about.
pub struct Preparation {
    /// The pipelines, those that others are linked to first.
    pub pipelines: Vec<Prepared>,
    /// Findings that do not stop the run.
    pub warnings: Vec<Diagnostic>,
}

/// Compiles the chosen pipelines against the live systems.
///
/// Errors: all findings of all pipelines at once.
pub async fn prepare(project: &Project, asked: &[String]) -> Result<Preparation, OpsError> {
    let names: Vec<&str> = project.loaded.pipelines.iter().map(|own| own.config.name.as_str()).collect();
    let chosen = select(&names, asked).map_err(|message| OpsError::Refused { code: "SL2012", message, help: None })?;
    if chosen.is_empty() {
        let folder = &project.config.pipelines;
        return Err(OpsError::refused("SL2012", format!("there is no pipeline in `{folder}`"), "add a file there"));
    }
    let mut desk = Desk { project, sources: HashMap::new(), targets: HashMap::new() };
    let mut findings = Vec::new();
    let mut compiled = BTreeMap::new();
    for index in in_order(&project.loaded.pipelines, &chosen) {
        let loaded = &project.loaded.pipelines[index];
        let (pipeline, own) = desk.compile(loaded).await?;
        findings.extend(own);
        compiled.insert(index, pipeline);
    }
    let (errors, warnings): (Vec<_>, Vec<_>) =
        findings.into_iter().partition(|finding| finding.severity == Severity::Error);
    if !errors.is_empty() {
        let findings = errors.into_iter().chain(warnings).collect();
        return Err(OpsError::Findings(Box::new(Loaded { findings, ..project.loaded.clone() })));
    }
    let order = in_order(&project.loaded.pipelines, &chosen);
    let prepared = order.into_iter().filter_map(|index| {
        let pipeline = Arc::new(compiled.remove(&index)??);
        Some(Prepared { pipeline, index })
    });
    Ok(Preparation { pipelines: prepared.collect(), warnings })
}

/// Refuses to go on when a connection leads to another portal than configured, or than the state was made with.
pub async fn check_accounts(
    project: &Project,
    prepared: &[Prepared],
    state: Option<&dyn StateWriter>,
) -> Result<(), OpsError> {
    let connections: HashSet<&str> = prepared.iter().map(|own| &*own.pipeline.target.connection).collect();
    for name in connections {
        let target = project.target(name)?;
        let account = target.account().await.map_err(|fault| OpsError::Remote { pipeline: None, fault })?;
        if let Some(expected) = project.portal_id(name).filter(|expected| *expected != account.portal_id) {
            return Err(OpsError::refused(
                "SL3005",
                format!("the connection `{name}` leads to portal {}, not to {expected}", account.portal_id),
                "nothing was written; use the token of the right portal, or correct `portal_id`",
            ));
        }
        if let Some(state) = state {
            state.bind(&format!("hubspot:{name}"), &format!("portal {}", account.portal_id)).await?;
        }
    }
    Ok(())
}

/// Objects that were described already.
struct Desk<'a> {
    project: &'a Project,
    sources: HashMap<String, HashMap<String, SourceObject>>,
    targets: HashMap<(String, String), TargetObject>,
}

impl Desk<'_> {
    async fn compile(&mut self, loaded: &LoadedPipeline) -> Result<(Option<Pipeline>, Vec<Diagnostic>), OpsError> {
        let config = &loaded.config;
        let file = &loaded.file.name;
        let name = PipelineName::new(config.name.as_str());
        let mut findings = Vec::new();
        if let Err(fault) = self.describe_sources(loaded).await? {
            findings.push(refusal(file, "SL3002", "/source/object", &name, fault)?);
            return Ok((None, findings));
        }
        let target = match self.target(&config.target.connection, &config.target.object).await? {
            Ok(target) => target,
            Err(fault) => {
                findings.push(refusal(file, "SL3004", "/target/object", &name, fault)?);
                return Ok((None, findings));
            }
        };
        let mut worlds = Vec::new();
        for index in 0..config.associations.len() {
            match self.association(loaded, &target, index).await? {
                Ok(world) => worlds.push(world),
                Err(fault) => {
                    let key = if config.associations[index].pipeline.is_some() { "pipeline" } else { "to" };
                    findings.push(refusal(file, "SL2044", &format!("/associations/{index}/{key}"), &name, fault)?);
                }
            }
        }
        if !findings.is_empty() {
            return Ok((None, findings));
        }
        let empty = HashMap::new();
        let sources = self.sources.get(&config.source.connection).unwrap_or(&empty);
        let world = World { sources, target: &target, associations: &worlds };
        Ok(compile(file, config, &world))
    }

    /// Describes the source object and, step by step, the parents that paths go through.
    async fn describe_sources(&mut self, loaded: &LoadedPipeline) -> Result<Result<(), Fault>, OpsError> {
        let connection = &loaded.config.source.connection;
        let source = self.project.source(connection)?;
        for _ in 0..=crate::pipeline::field::PARENTS_MAX {
            let known = self.sources.entry(connection.clone()).or_default();
            let missing = parents(&loaded.config, known);
            for object in &missing {
                match source.describe(object).await {
                    Ok(described) => known.insert(object.to_ascii_lowercase(), described),
                    Err(fault) => return Ok(Err(fault)),
                };
            }
            if missing.is_empty() {
                break;
            }
        }
        Ok(Ok(()))
    }

    async fn target(&mut self, connection: &str, object: &str) -> Result<Result<TargetObject, Fault>, OpsError> {
        let key = (connection.to_owned(), object.to_ascii_lowercase());
        if let Some(known) = self.targets.get(&key) {
            return Ok(Ok(known.clone()));
        }
        let described = self.project.target(connection)?.describe(object).await;
        if let Ok(described) = &described {
            self.targets.insert(key, described.clone());
        }
        Ok(described)
    }

    async fn association(
        &mut self,
        loaded: &LoadedPipeline,
        own: &TargetObject,
        index: usize,
    ) -> Result<Result<AssociationWorld, Fault>, OpsError> {
        let config = &loaded.config.associations[index];
        let connection = &loaded.config.target.connection;
        let named = config.pipeline.as_ref();
        let other = named.and_then(|name| self.project.loaded.pipelines.iter().find(|own| own.config.name == *name));
        let object = match (other, &config.to) {
            (Some(other), _) => other.config.target.object.clone(),
            (None, Some(to)) => to.clone(),
            (None, None) => String::new(),
        };
        let target = match self.target(connection, &object).await? {
            Ok(target) => target,
            Err(fault) => return Ok(Err(fault)),
        };
        let handle = self.project.target(connection)?;
        let types = match handle.association_types(&own.object_type_id, &target.object_type_id).await {
            Ok(types) => types,
            Err(fault) => return Ok(Err(fault)),
        };
        Ok(Ok(AssociationWorld {
            object_type_id: target.object_type_id.clone(),
            source_object: other.map(|other| other.config.source.object.clone()),
            property: config.match_property.as_ref().and_then(|name| target.properties.get(name).cloned()),
            types,
        }))
    }
}

/// A final remote refusal as a finding at the line that caused it; passing trouble ends the command.
fn refusal(
    file: &Arc<str>,
    code: &'static str,
    pointer: &str,
    pipeline: &PipelineName,
    fault: Fault,
) -> Result<Diagnostic, OpsError> {
    // Refused logins, ended sessions and unusable settings concern the connection, whatever object was asked for.
    let about_object = |error: &RemoteError| {
        !matches!(error.status, Some(401 | 403 | 429)) && !["SL4101", "SL4102", "SL4115"].contains(&error.code)
    };
    match fault {
        Fault::Halt(error) if about_object(&error) => {
            let finding = Diagnostic::error(code, file, Place::Value(pointer.to_owned()), error.message.clone());
            Ok(error.help.map_or(finding.clone(), |help| finding.with_help(help)))
        }
        fault => Err(OpsError::remote(pipeline)(fault)),
    }
}

/// The chosen pipelines, those that others are linked to first; otherwise in file order. Cycles keep their file order.
fn in_order(pipelines: &[LoadedPipeline], chosen: &[usize]) -> Vec<usize> {
    let mut order = Vec::new();
    let mut seen = HashSet::new();
    for index in chosen {
        visit(pipelines, chosen, *index, &mut seen, &mut order);
    }
    order
}

fn visit(
    pipelines: &[LoadedPipeline],
    chosen: &[usize],
    index: usize,
    seen: &mut HashSet<usize>,
    order: &mut Vec<usize>,
) {
    if !seen.insert(index) {
        return;
    }
    for association in &pipelines[index].config.associations {
        let named = association.pipeline.as_ref();
        let other = named.and_then(|name| pipelines.iter().position(|own| own.config.name == *name));
        if let Some(other) = other.filter(|other| chosen.contains(other)) {
            visit(pipelines, chosen, other, seen, order);
        }
    }
    order.push(index);
}
