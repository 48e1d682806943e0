//! Pipelines ready to run: the two systems are asked once what their objects look like, and every rule is applied.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::error::OpsError;
use super::portal::Portal;
use super::selection::choose;
use super::wiring::Project;
use crate::config::load::{Loaded, LoadedPipeline};
use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::model::association::AssociationType;
use crate::model::ids::PipelineName;
use crate::model::object::{SourceObject, TargetObject};
use crate::pipeline::compile::{compile, parents};
use crate::pipeline::compiled::Pipeline;
use crate::pipeline::world::{AssociationWorld, World};
use crate::ports::fault::{Fault, RemoteError};
use crate::ports::source::Source;
use crate::ports::state::StateWriter;
use crate::ports::target::TargetReader;
use crate::state::sqlite::SqliteState;

/// A pipeline that is ready to run.
#[derive(Clone)]
pub struct Prepared {
    /// The compiled pipeline.
    pub pipeline: Arc<Pipeline>,
    /// Its place among the loaded ones.
    pub index: usize,
    /// The portal as it was compiled against.
    pub portal: Arc<Portal>,
    /// Whether that was remembered, and is to be confirmed before the portal is used.
    pub remembered: bool,
}

/// What the portals are known from.
#[derive(Clone, Copy)]
pub enum Knowledge<'a> {
    /// They are asked.
    Live,
    /// They are asked, and what they say is remembered.
    Noted(&'a SqliteState),
    /// What is remembered is taken where it still makes a valid pipeline; else they are asked, as above.
    Remembered(&'a SqliteState),
}

/// Warnings that came up, with the files they are about.
pub struct Preparation {
    /// The pipelines, those that others are linked to first.
    pub pipelines: Vec<Prepared>,
    /// Findings that do not stop the run.
    pub warnings: Vec<Diagnostic>,
}

/// Compiles the chosen pipelines against the two systems: Salesforce is asked each time, HubSpot as `knowledge` says.
///
/// Errors: all findings of all pipelines at once; the wrong portal.
pub async fn prepare(project: &Project, asked: &[String], knowledge: Knowledge<'_>) -> Result<Preparation, OpsError> {
    prepare_from(project, &project.loaded, asked, knowledge).await
}

/// The same for definitions that are not those of today.
pub async fn prepare_from(
    project: &Project,
    loaded: &Loaded,
    asked: &[String],
    knowledge: Knowledge<'_>,
) -> Result<Preparation, OpsError> {
    let chosen = choose(loaded, asked)?;
    if loaded.pipelines.is_empty() {
        let folder = &project.config.pipelines;
        return Err(OpsError::refused("SL2012", format!("there is no pipeline in `{folder}`"), "add a file there"));
    }
    let mut desk =
        Desk { project, loaded, knowledge, sources: HashMap::new(), targets: HashMap::new(), portals: HashMap::new() };
    let mut findings = Vec::new();
    let mut prepared = Vec::new();
    for index in in_order(&loaded.pipelines, &chosen) {
        let (own, found) = desk.prepare(index).await?;
        findings.extend(found);
        prepared.extend(own);
    }
    let (errors, warnings): (Vec<_>, Vec<_>) =
        findings.into_iter().partition(|finding| finding.severity == Severity::Error);
    if !errors.is_empty() {
        let findings = errors.into_iter().chain(warnings).collect();
        let mut loaded = Loaded { findings, ..loaded.clone() };
        loaded.sort();
        return Err(OpsError::Findings(Box::new(loaded)));
    }
    Ok(Preparation { pipelines: prepared, warnings })
}

/// Objects that were described already.
struct Desk<'a> {
    project: &'a Project,
    loaded: &'a Loaded,
    knowledge: Knowledge<'a>,
    sources: HashMap<String, HashMap<String, SourceObject>>,
    targets: HashMap<(String, String), TargetObject>,
    /// Portal ids by connection.
    portals: HashMap<String, u64>,
}

/// A compiled pipeline where it is valid, and what was found.
type Compiled = (Option<Pipeline>, Vec<Diagnostic>);

impl Desk<'_> {
    async fn prepare(&mut self, index: usize) -> Result<(Option<Prepared>, Vec<Diagnostic>), OpsError> {
        let loaded = &self.loaded.pipelines[index];
        let connection = &loaded.config.target.connection;
        let name = PipelineName::new(loaded.config.name.as_str());
        // Salesforce first: while it does not answer, it is not asked a second time, and HubSpot not at all.
        if let Err((object, fault)) = self.describe_sources(loaded).await? {
            let pointer = self.pointer_to(loaded, &object);
            let mut finding = refusal(&loaded.file.name, "SL3002", &pointer, &name, fault)?;
            if !object.eq_ignore_ascii_case(&loaded.config.source.object) {
                let message =
                    format!("Salesforce shows no object `{object}`, which a path of this pipeline goes through");
                finding.message = message;
            }
            return Ok((None, vec![finding]));
        }
        self.bind_org(&loaded.config.source.connection).await?;
        if let Knowledge::Remembered(state) = self.knowledge
            && let Some(portal) = Portal::recall(state, &name, connection).await?
            && self.project.portal_id(connection).is_none_or(|expected| expected == portal.portal_id)
        {
            let mut book = Book { remembered: true, portal };
            // A finding may come from what is remembered, so only a valid pipeline is taken from it.
            if let Ok((Some(pipeline), findings)) = self.compile(loaded, &mut book).await
                && findings.iter().all(|finding| finding.severity != Severity::Error)
            {
                let prepared =
                    Prepared { pipeline: Arc::new(pipeline), index, portal: Arc::new(book.portal), remembered: true };
                return Ok((Some(prepared), findings));
            }
        }
        let portal_id = self.portal_id(connection).await?;
        let mut book = Book { remembered: false, portal: Portal { portal_id, ..Portal::default() } };
        let (pipeline, findings) = self.compile(loaded, &mut book).await?;
        let Some(pipeline) = pipeline else { return Ok((None, findings)) };
        if let Knowledge::Noted(state) | Knowledge::Remembered(state) = self.knowledge {
            book.portal.remember(state, &name, connection).await?;
        }
        let portal = Arc::new(book.portal);
        Ok((Some(Prepared { pipeline: Arc::new(pipeline), index, portal, remembered: false }), findings))
    }

    /// The portal behind a connection. Refuses to go on when it is another than configured, or than the state was made
    /// with.
    async fn portal_id(&mut self, connection: &str) -> Result<u64, OpsError> {
        if let Some(known) = self.portals.get(connection) {
            return Ok(*known);
        }
        let target = self.project.target(connection)?;
        let account = target.account().await.map_err(|fault| OpsError::Remote { pipeline: None, fault })?;
        let found = account.portal_id;
        if let Some(expected) = self.project.portal_id(connection).filter(|expected| *expected != found) {
            return Err(OpsError::refused(
                "SL3005",
                format!("the connection `{connection}` leads to portal {found}, not to {expected}"),
                "nothing was written; use the token of the right portal, or correct `portal_id`",
            ));
        }
        if let Knowledge::Noted(state) | Knowledge::Remembered(state) = self.knowledge {
            state.bind(&format!("hubspot:{connection}"), &format!("portal {found}")).await?;
        }
        self.portals.insert(connection.to_owned(), found);
        Ok(found)
    }

    /// Refuses to go on when the state was made with another org: a copy of one has the same ids.
    async fn bind_org(&self, connection: &str) -> Result<(), OpsError> {
        let (Knowledge::Noted(state) | Knowledge::Remembered(state)) = self.knowledge else { return Ok(()) };
        let org = self.project.source(connection)?.org().await;
        let org = org.map_err(|fault| OpsError::Remote { pipeline: None, fault })?;
        match org {
            Some(org) => Ok(state.bind(&format!("salesforce:{connection}"), &format!("org {org}")).await?),
            None => Ok(()),
        }
    }

    async fn compile(&mut self, loaded: &LoadedPipeline, book: &mut Book) -> Result<Compiled, OpsError> {
        let config = &loaded.config;
        let file = &loaded.file.name;
        let name = PipelineName::new(config.name.as_str());
        let mut findings = Vec::new();
        let target = match self.target(&config.target.connection, &config.target.object, book).await? {
            Ok(target) => target,
            Err(fault) => {
                findings.push(refusal(file, "SL3004", "/target/object", &name, fault)?);
                return Ok((None, findings));
            }
        };
        let mut worlds = Vec::new();
        for index in 0..config.associations.len() {
            match self.association(loaded, &target, index, book).await? {
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

    /// Where a pipeline needs an object: at the first field over a lookup to it, else at the source.
    fn pointer_to(&self, loaded: &LoadedPipeline, object: &str) -> String {
        let config = &loaded.config;
        let known = self.sources.get(&config.source.connection);
        let own = known.and_then(|known| known.get(&config.source.object.to_ascii_lowercase()));
        let leads_there = |path: &str| {
            let lookup = path.split_once('.').and_then(|(lookup, _)| own?.relationship(lookup));
            lookup.is_some_and(|lookup| lookup.reference_to.iter().any(|name| name.eq_ignore_ascii_case(object)))
        };
        let place = config.fields.iter().position(|field| field.from.as_deref().is_some_and(leads_there));
        place.map_or_else(|| "/source/object".to_owned(), |place| format!("/fields/{place}/from"))
    }

    /// Describes the source object and, step by step, the parents that paths go through; else names the object that is not
    /// there.
    async fn describe_sources(&mut self, loaded: &LoadedPipeline) -> Result<Result<(), (String, Fault)>, OpsError> {
        let connection = &loaded.config.source.connection;
        let source = self.project.source(connection)?;
        for _ in 0..=crate::pipeline::field::PARENTS_MAX {
            let known = self.sources.entry(connection.clone()).or_default();
            let missing = parents(&loaded.config, known);
            for object in &missing {
                match source.describe(object).await {
                    Ok(described) => known.insert(object.to_ascii_lowercase(), described),
                    Err(fault) => return Ok(Err((object.clone(), fault))),
                };
            }
            if missing.is_empty() {
                break;
            }
        }
        Ok(Ok(()))
    }

    async fn target(
        &mut self,
        connection: &str,
        object: &str,
        book: &mut Book,
    ) -> Result<Result<TargetObject, Fault>, OpsError> {
        let lower = object.to_ascii_lowercase();
        if let Some(known) = book.portal.objects.get(&lower) {
            return Ok(Ok(known.clone()));
        }
        book.must_be_live()?;
        let key = (connection.to_owned(), lower.clone());
        let described = match self.targets.get(&key) {
            Some(known) => Ok(known.clone()),
            None => self.project.target(connection)?.describe(object).await,
        };
        if let Ok(described) = &described {
            self.targets.insert(key, described.clone());
            book.portal.objects.insert(lower, described.clone());
        }
        Ok(described)
    }

    async fn types(
        &mut self,
        connection: &str,
        own: &str,
        other: &str,
        book: &mut Book,
    ) -> Result<Result<Vec<AssociationType>, Fault>, OpsError> {
        if let Some(known) = book.portal.types.get(other) {
            return Ok(Ok(known.clone()));
        }
        book.must_be_live()?;
        let types = self.project.target(connection)?.association_types(own, other).await;
        if let Ok(types) = &types {
            book.portal.types.insert(other.to_owned(), types.clone());
        }
        Ok(types)
    }

    async fn association(
        &mut self,
        loaded: &LoadedPipeline,
        own: &TargetObject,
        index: usize,
        book: &mut Book,
    ) -> Result<Result<AssociationWorld, Fault>, OpsError> {
        let config = &loaded.config.associations[index];
        let connection = &loaded.config.target.connection;
        let named = config.pipeline.as_ref();
        let other = named.and_then(|name| self.loaded.pipelines.iter().find(|own| own.config.name == *name));
        let object = match (other, &config.to) {
            (Some(other), _) => other.config.target.object.clone(),
            (None, Some(to)) => to.clone(),
            (None, None) => String::new(),
        };
        let target = match self.target(connection, &object, book).await? {
            Ok(target) => target,
            Err(fault) => return Ok(Err(fault)),
        };
        let types = match self.types(connection, &own.object_type_id, &target.object_type_id, book).await? {
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

/// A view of a portal while a pipeline is compiled against it.
struct Book {
    /// Nothing is asked: what it lacks makes the attempt fail.
    remembered: bool,
    portal: Portal,
}

impl Book {
    fn must_be_live(&self) -> Result<(), OpsError> {
        let missing = || OpsError::refused("SL9002", "something about the portal is not remembered", "");
        if self.remembered { Err(missing()) } else { Ok(()) }
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
            let message = match (code, error.status) {
                ("SL3002", Some(404)) => "Salesforce shows no such object".to_owned(),
                _ => error.message.clone(),
            };
            let finding = Diagnostic::error(code, file, Place::Value(pointer.to_owned()), message);
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
