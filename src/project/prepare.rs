//! Pipelines ready to run, and those that cannot be, side by side: each is judged on its own, by every rule, against what
//! the two systems say now.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::describe::{Describer, Handles, PortalView, SetUp, is_about_object};
use super::error::OpsError;
use super::portal::Portal;
use super::selection::{Selection, choose};
use super::wiring::Project;
use crate::config::association::AssociationConfig;
use crate::config::load::{Loaded, LoadedPipeline};
use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::model::ids::PipelineName;
use crate::model::object::TargetObject;
use crate::pipeline::compile::{compile, refuses};
use crate::pipeline::compiled::Pipeline;
use crate::pipeline::schemas::{AssociationSchema, Schemas};
use crate::ports::fault::Fault;
use crate::ports::state::StateError;
use crate::ports::store::Store;

/// A pipeline that is ready to run.
#[derive(Clone)]
pub struct Prepared {
    /// The compiled pipeline.
    pub pipeline: Arc<Pipeline>,
    /// Its place among the loaded ones.
    pub index: usize,
    /// The portal as it was compiled against.
    pub portal: Arc<Portal>,
    /// Whether `portal` is what an earlier run saved: it is to be confirmed before the portal is used.
    pub from_saved_portal: bool,
    /// Calls that it took to prepare it here; what other pipelines need as well is counted with the first of them.
    pub set_up: SetUp,
    /// Calls to HubSpot that it takes to ask for all that it needs to know of the portal.
    pub portal_calls: u64,
}

/// A pipeline that cannot run. It keeps no other from running.
#[derive(Debug)]
pub struct Refused {
    /// Its name.
    pub name: PipelineName,
    /// Why: findings in its definition, or what keeps a connection from being used.
    pub reason: OpsError,
}

/// What the portals are known from.
#[derive(Clone, Copy)]
pub enum PortalSource<'a> {
    /// They are asked.
    Live,
    /// They are asked, and what they say is saved.
    LiveAndSaved(&'a dyn Store),
    /// What was saved is taken where it still makes a valid pipeline; else they are asked, as above.
    SavedFirst(&'a dyn Store),
}

impl<'a> PortalSource<'a> {
    fn state(self) -> Option<&'a dyn Store> {
        match self {
            PortalSource::Live => None,
            PortalSource::LiveAndSaved(state) | PortalSource::SavedFirst(state) => Some(state),
        }
    }
}

/// The pipelines that a command is about.
#[derive(Debug, Default)]
pub struct Preparation {
    /// Those that are ready; the ones that others are associated with first.
    pub pipelines: Vec<Prepared>,
    /// Those that cannot run.
    pub refused: Vec<Refused>,
    /// Findings that stop no pipeline.
    pub warnings: Vec<Diagnostic>,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Prepared").field(&self.pipeline.name).finish()
    }
}

/// Compiles the chosen pipelines against the two systems: Salesforce is asked each time, HubSpot as `portals` says.
///
/// Errors: what concerns all pipelines; a word that selects none.
pub async fn prepare(project: &Project, asked: &[String], portals: PortalSource<'_>) -> Result<Preparation, OpsError> {
    // The calls of a handle count for the first run once the handle is gone, so it must not outlive this.
    Ok(prepare_with_handles(project, asked, portals).await?.0)
}

/// The same, with the handles on HubSpot that were used: for a command that runs no pipeline and asks for more.
///
/// Errors: as [`prepare`].
pub async fn prepare_with_handles(
    project: &Project,
    asked: &[String],
    portals: PortalSource<'_>,
) -> Result<(Preparation, Handles), OpsError> {
    let chosen = choose(&project.loaded, asked)?;
    if let Some(nothing) = &project.loaded.nothing {
        // For a check it is a warning that there is no pipeline; here there is nothing to do.
        let finding = Diagnostic { severity: Severity::Error, ..nothing.clone() };
        return Err(OpsError::Findings(Box::new(Loaded { findings: vec![finding], ..project.loaded.clone() })));
    }
    compile_selected(project, &project.loaded, &chosen, portals).await
}

/// The same for definitions that may not be those of today.
///
/// Errors: what concerns all pipelines: somebody asked to stop, the state cannot be used.
pub async fn prepare_selected(
    project: &Project,
    loaded: &Loaded,
    chosen: &Selection,
    portals: PortalSource<'_>,
) -> Result<Preparation, OpsError> {
    Ok(compile_selected(project, loaded, chosen, portals).await?.0)
}

/// Compiles pipelines one after the other, so that objects which they share are described once.
async fn compile_selected(
    project: &Project,
    loaded: &Loaded,
    chosen: &Selection,
    portals: PortalSource<'_>,
) -> Result<(Preparation, Handles), OpsError> {
    let mut found: HashMap<&str, Vec<&Diagnostic>> = HashMap::new();
    for finding in loaded.findings.iter().filter(|finding| finding.severity == Severity::Error) {
        found.entry(&*finding.file).or_default().push(finding);
    }
    let errors =
        |file: &str| found.get(file).map(|all| all.iter().map(|finding| (*finding).clone()).collect::<Vec<_>>());
    if let PortalSource::LiveAndSaved(state) | PortalSource::SavedFirst(state) = portals {
        for index in &chosen.pipelines {
            load_call_counts(project, state, &loaded.pipelines[*index].config.source.connection).await?;
        }
    }
    let mut compiler = Compiler { loaded, portals, describer: Describer::new(project) };
    let mut preparation = Preparation::default();
    for broken in chosen.broken.iter().filter_map(|place| loaded.broken.get(*place)) {
        let reason = findings_of(loaded, &broken.file, errors(&broken.file).unwrap_or_default());
        preparation.refused.push(Refused { name: PipelineName::new(broken.name()), reason });
    }
    for index in in_order(&loaded.pipelines, &chosen.pipelines) {
        let definition = &loaded.pipelines[index];
        let prepared = match errors(&definition.file.name) {
            Some(errors) => Err(findings_of(loaded, &definition.file.name, errors)),
            None => compiler.prepare(index).await,
        };
        match prepared {
            Ok((prepared, warnings)) => {
                preparation.pipelines.push(prepared);
                preparation.warnings.extend(warnings);
            }
            Err(error) if concerns_all(&error) => return Err(error),
            Err(reason) => {
                let name = PipelineName::new(definition.config.name.as_str());
                preparation.refused.push(Refused { name, reason });
            }
        }
    }
    Ok((preparation, compiler.describer.into_handles()))
}

/// Counts the calls of earlier processes against `api_budget` before the first call of this one.
async fn load_call_counts(project: &Project, state: &dyn Store, connection: &str) -> Result<(), OpsError> {
    // A connection that cannot be set up refuses its pipelines by itself.
    if project.source(connection).is_err() {
        return Ok(());
    }
    match state.org_calls() {
        Some(shared) => project.share_calls(connection, shared),
        None => drop(project.note_calls(connection, state.note(&calls_key(connection)).await?.as_deref())),
    }
    Ok(())
}

/// Key of the note that keeps the count of a connection's calls over processes.
pub fn calls_key(connection: &str) -> String {
    format!("salesforce calls: {connection}")
}

/// Key of the note that keeps how many calls a day the org of a connection allows.
pub fn allowed_key(connection: &str) -> String {
    format!("salesforce calls allowed: {connection}")
}

/// Key of the note that keeps how many calls a second the portal of a connection allows.
pub fn rate_key(connection: &str) -> String {
    format!("hubspot calls a second: {connection}")
}

/// Whether an error is about more than the pipelines that use a connection.
fn concerns_all(error: &OpsError) -> bool {
    match error {
        OpsError::Remote { fault: Fault::Cancelled, .. } => true,
        OpsError::State(error) => !matches!(error, StateError::Foreign { .. } | StateError::Held { .. }),
        OpsError::Remote { .. } | OpsError::Findings(_) | OpsError::Refused { .. } => false,
    }
}

/// Findings of one file, with that file for showing them.
fn findings_of(loaded: &Loaded, file: &str, findings: Vec<Diagnostic>) -> OpsError {
    let files = loaded.files.iter().filter(|loaded_file| &*loaded_file.name == file).cloned().collect();
    OpsError::Findings(Box::new(Loaded { root: loaded.root.clone(), findings, files, ..Loaded::default() }))
}

/// Compiles pipelines against what is described.
struct Compiler<'a> {
    loaded: &'a Loaded,
    portals: PortalSource<'a>,
    describer: Describer<'a>,
}

/// A compiled pipeline where it is valid, and what was found.
type Compiled = (Option<Pipeline>, Vec<Diagnostic>);

impl Compiler<'_> {
    /// A pipeline that is ready, with its warnings.
    async fn prepare(&mut self, index: usize) -> Result<(Prepared, Vec<Diagnostic>), OpsError> {
        let loaded = &self.loaded.pipelines[index];
        let connection = &loaded.config.target.connection;
        let name = PipelineName::new(loaded.config.name.as_str());
        let named = |error: OpsError| match error {
            OpsError::Remote { pipeline: None, fault } => OpsError::remote(&name)(fault),
            other => other,
        };
        let before = self.describer.calls();
        // Salesforce first: while it does not answer, it is not asked a second time, and HubSpot not at all.
        if let Err((object, fault)) = self.describer.describe_sources(loaded).await? {
            return Err(self.missing_source(loaded, &object, fault, &name));
        }
        if let Some(state) = self.portals.state() {
            self.describer.bind_org(&loaded.config.source.connection, state).await.map_err(named)?;
        }
        if let PortalSource::SavedFirst(state) = self.portals
            && let Some(portal) = Portal::load(state, &name, connection).await?
            && self.describer.may_lead_to(connection, portal.portal_id)
        {
            let mut view = PortalView::saved(portal);
            // A finding may come from what was saved, so only a valid pipeline is taken from it.
            if let Ok((Some(pipeline), findings)) = self.compile(loaded, &mut view).await
                && !findings.iter().any(refuses)
            {
                return Ok((prepared(pipeline, index, view, self.describer.calls().since(before)), findings));
            }
        }
        let config = &loaded.config;
        let others: Vec<String> = config.associations.iter().map(|association| self.object_of(association)).collect();
        let objects: Vec<String> = std::iter::once(&config.target.object).chain(&others).cloned().collect();
        let to = others.into_iter().enumerate().filter(|(index, _)| !config.is_from_end(*index));
        let to: Vec<String> = to.map(|(_, object)| object).collect();
        self.describer.read_ahead(connection, &objects, &to).await?;
        let portal_id = self.describer.portal_id(connection, self.portals.state()).await.map_err(named)?;
        let mut view = PortalView::live(portal_id, self.describer.cost_of_portal(connection));
        let (pipeline, findings) = self.compile(loaded, &mut view).await?;
        let Some(pipeline) = pipeline.filter(|_| !findings.iter().any(refuses)) else {
            return Err(findings_of(self.loaded, &loaded.file.name, findings));
        };
        if let Some(state) = self.portals.state() {
            view.portal.save(state, &name, connection).await?;
        }
        Ok((prepared(pipeline, index, view, self.describer.calls().since(before)), findings))
    }

    /// The HubSpot object that an association leads to; blank where the definition does not say.
    fn object_of(&self, association: &AssociationConfig) -> String {
        let named = association.pipeline.as_ref();
        let other = named.and_then(|name| self.loaded.pipelines.iter().find(|from| from.config.name == *name));
        match (other, &association.to) {
            (Some(other), _) => other.config.target.object.clone(),
            (None, Some(to)) => to.clone(),
            (None, None) => String::new(),
        }
    }

    async fn compile(&mut self, loaded: &LoadedPipeline, view: &mut PortalView) -> Result<Compiled, OpsError> {
        let config = &loaded.config;
        let file = &loaded.file.name;
        let name = PipelineName::new(config.name.as_str());
        let target = match self.describer.target(&config.target.connection, &config.target.object, view).await? {
            Ok(target) => target,
            Err(fault) => return Ok((None, vec![refusal(file, "SL3004", "/target/object", &name, fault)?])),
        };
        let mut associations = Vec::new();
        let mut findings = Vec::new();
        for index in 0..config.associations.len() {
            match self.association(loaded, &target, index, view).await? {
                Ok(schema) => associations.push(schema),
                Err(fault) => {
                    let key = if config.associations[index].pipeline.is_some() { "pipeline" } else { "to" };
                    findings.push(refusal(file, "SL2044", &format!("/associations/{index}/{key}"), &name, fault)?);
                }
            }
        }
        // All missing ends at once; the rules need each of them described.
        if !findings.is_empty() {
            return Ok((None, findings));
        }
        let empty = HashMap::new();
        let sources = self.describer.sources(&config.source.connection).unwrap_or(&empty);
        let schemas = Schemas { sources, target: &target, associations: &associations };
        Ok(compile(file, config, &schemas))
    }

    /// Says that a source object is not there, at the path that needs it; or what keeps the connection from being used.
    fn missing_source(&self, loaded: &LoadedPipeline, object: &str, fault: Fault, name: &PipelineName) -> OpsError {
        let file = &loaded.file.name;
        let mut finding = match refusal(file, "SL3002", &self.pointer_to(loaded, object), name, fault) {
            Ok(finding) => finding,
            Err(error) => return error,
        };
        if !object.eq_ignore_ascii_case(&loaded.config.source.object) {
            finding.message =
                format!("Salesforce shows no object `{object}`, which a path of this pipeline goes through");
        }
        findings_of(self.loaded, file, vec![finding])
    }

    /// Where a pipeline needs an object: at the first field over a lookup to it, else at the source.
    fn pointer_to(&self, loaded: &LoadedPipeline, object: &str) -> String {
        let config = &loaded.config;
        let known = self.describer.sources(&config.source.connection);
        let described = known.and_then(|known| known.get(&config.source.object.to_ascii_lowercase()));
        let leads_there = |path: &str| {
            let lookup = path.split_once('.').and_then(|(lookup, _)| described?.relationship(lookup));
            lookup.is_some_and(|lookup| lookup.reference_to.iter().any(|name| name.eq_ignore_ascii_case(object)))
        };
        let place = config.fields.iter().position(|field| field.from.as_deref().is_some_and(leads_there));
        place.map_or_else(|| "/source/object".to_owned(), |place| format!("/fields/{place}/from"))
    }

    async fn association(
        &mut self,
        loaded: &LoadedPipeline,
        from: &TargetObject,
        index: usize,
        view: &mut PortalView,
    ) -> Result<Result<AssociationSchema, Fault>, OpsError> {
        let config = &loaded.config.associations[index];
        let connection = &loaded.config.target.connection;
        let named = config.pipeline.as_ref();
        let other = named.and_then(|name| self.loaded.pipelines.iter().find(|from| from.config.name == *name));
        let object = self.object_of(config);
        let target = match self.describer.target(connection, &object, view).await? {
            Ok(target) => target,
            Err(fault) => return Ok(Err(fault)),
        };
        let ids = (&from.object_type_id, &target.object_type_id);
        let types = match loaded.config.is_from_end(index) {
            true => Ok(Vec::new()),
            false => self.describer.association_types(connection, ids.0, ids.1, view).await?,
        };
        let types = match types {
            Ok(types) => types,
            Err(fault) => return Ok(Err(fault)),
        };
        Ok(Ok(AssociationSchema {
            object_type_id: target.object_type_id.clone(),
            source_object: other.map(|other| other.config.source.object.clone()),
            property: config.match_property.as_ref().and_then(|name| target.properties.get(name).cloned()),
            types,
        }))
    }
}

fn prepared(pipeline: Pipeline, index: usize, view: PortalView, set_up: SetUp) -> Prepared {
    let PortalView { saved, portal, hubspot_calls } = view;
    let (pipeline, portal) = (Arc::new(pipeline), Arc::new(portal));
    Prepared { pipeline, index, portal, from_saved_portal: saved, set_up, portal_calls: hubspot_calls }
}

/// A final remote refusal as a finding at the line that caused it; else what keeps the connection from being used.
fn refusal(
    file: &Arc<str>,
    code: &'static str,
    pointer: &str,
    pipeline: &PipelineName,
    fault: Fault,
) -> Result<Diagnostic, OpsError> {
    match fault {
        Fault::Halt(error) if is_about_object(&error) => {
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

/// The chosen pipelines, those that others are associated with first; otherwise in file order. Cycles keep their file order.
fn in_order(pipelines: &[LoadedPipeline], chosen: &[usize]) -> Vec<usize> {
    let mut order = Vec::new();
    let mut seen = HashSet::new();
    for index in chosen {
        visit(pipelines, chosen, *index, &mut seen, &mut order);
    }
    order
}

/// Puts a pipeline behind those that it is associated with, depth first. One that leads back to itself, directly or round a circle, keeps
/// its place: its associations are made when both sides exist.
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
        let other = named.and_then(|name| pipelines.iter().position(|pipeline| pipeline.config.name == *name));
        if let Some(other) = other.filter(|other| chosen.contains(other)) {
            visit(pipelines, chosen, other, seen, order);
        }
    }
    order.push(index);
}
