//! `catalog pull`: asks both systems what the definitions need to know of them, and keeps it as files.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::catalog::drift::changes;
use crate::catalog::{Catalog, TargetEntry, folder};
use crate::config::load::LoadedPipeline;
use crate::config::project::ConnectionConfig;
use crate::model::catalog_change::{CatalogChange, System};
use crate::model::ids::PipelineName;
use crate::model::object::{Sources, TargetObject};
use crate::pipeline::compile::{parents, used_fields};
use crate::ports::fault::{Fault, RemoteError};
use crate::ports::source::Source;
use crate::ports::target::TargetReader;
use crate::project::describe::{Handles, is_about_object};
use crate::project::error::OpsError;
use crate::project::wiring::Project;

/// What a pull found.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Syncline catalog pull")]
pub struct Pull {
    /// Files that were written or removed; those that would be, where nothing was to be written.
    pub files: Vec<String>,
    /// Those of them that are removed: their objects are no longer used, or no longer there.
    pub removed: Vec<String>,
    /// Files in the folder that are none of the catalog's, and stay.
    pub foreign: Vec<String>,
    /// Objects in the catalog now.
    pub objects: usize,
    /// What changed since the last pull.
    pub changes: Vec<CatalogChange>,
    /// Objects that definitions name and the systems do not show; what the catalog has of them stays.
    pub absent: Vec<Absent>,
}

/// An object that a definition names and a system does not show.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Absent {
    /// The pipeline that names it.
    pub pipeline: String,
    /// What the system says.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// Asks the systems and writes the catalog, or only says what would be written. `extra` names objects that no pipeline
/// uses yet: `Invoice__c`, or `hubspot.deals`.
///
/// Errors: the wrong portal; an object that is not there; what the connections say.
pub async fn pull(project: &Project, extra: &[String], write: bool) -> Result<Pull, OpsError> {
    let (files, folder) = (project.loaded.definitions.clone(), project.catalog_folder());
    let (before, findings, _) = folder::read(&files, &folder);
    // A file that cannot be read still says by its name which object to ask for.
    let damaged: Vec<(String, String)> = findings.iter().filter_map(|finding| folder::named(&finding.file)).collect();
    let (after, absent) = observe(project, &before, &damaged, extra).await?;
    let texts = folder::texts(&after, &folder);
    let (files, removed, foreign) = if write {
        let done = folder::write(&project.loaded.root, &after, &folder).map_err(|error| {
            OpsError::refused(
                "SL6008",
                format!("{folder}/ cannot be written: {error}"),
                "put an ordinary folder with ordinary files there, and check their permissions",
            )
        })?;
        ([done.written, done.removed.clone()].concat(), done.removed, done.kept)
    } else {
        // Compared as texts, which is what a pull would write.
        let old = folder::texts(&before, &folder);
        let differs = |path: &&String| old.get(*path) != texts.get(*path);
        let all = old.keys().chain(texts.keys()).filter(differs).cloned().collect::<BTreeSet<_>>();
        let gone = old.keys().filter(|path| !texts.contains_key(*path)).cloned().collect();
        (all.into_iter().collect(), gone, Vec::new())
    };
    // Of a first pull, everything is new, which says nothing.
    let changes = if before.is_empty() { Vec::new() } else { changes(&before, &after) };
    let changes = with_users(&project.loaded.pipelines, changes, &[&before, &after]);
    Ok(Pull { files, removed, foreign, objects: texts.len(), changes, absent })
}

/// What the systems say now of everything that the definitions and the catalog name; `damaged` are the connections and
/// objects of files that cannot be read.
pub async fn observe(
    project: &Project,
    known: &Catalog,
    damaged: &[(String, String)],
    extra: &[String],
) -> Result<(Catalog, Vec<Absent>), OpsError> {
    observe_pipelines(project, Handles::default(), &project.loaded.pipelines, known, damaged, extra).await
}

async fn observe_pipelines(
    project: &Project,
    handles: Handles,
    pipelines: &[LoadedPipeline],
    known: &Catalog,
    damaged: &[(String, String)],
    extra: &[String],
) -> Result<(Catalog, Vec<Absent>), OpsError> {
    let mut observer =
        Observer { project, seen: Catalog::default(), portals: BTreeMap::new(), handles: handles.0, known };
    let mut absent = Vec::new();
    for pipeline in pipelines {
        // One definition that names an object which is not there keeps nothing else from being read: what the catalog
        // says of the others may be what mends it.
        if let Some(error) = observer.pipeline(pipeline).await? {
            let message = format!("pipeline `{}`: {error}", pipeline.config.name);
            absent.push(Absent { pipeline: pipeline.config.name.clone(), message, help: error.help });
        }
    }
    // What was read by a connection that is no longer there goes.
    let there = |connection: &String| project.config.connections.contains_key(connection);
    for ((connection, _), object) in known.sources.iter().filter(|((connection, _), _)| there(connection)) {
        observer.source(connection, &object.name, observer.fate(&absent)).await?;
    }
    let targets = || known.targets.iter().filter(|((connection, _), _)| there(connection));
    for ((connection, _), entry) in targets() {
        observer.target(connection, &entry.object.object_type_id, observer.fate(&absent)).await?;
    }
    // After all objects were read, as a pair is looked up by both of its ends.
    for ((connection, _), entry) in targets() {
        for other in entry.associations.keys() {
            observer.pair(connection, &entry.object.object_type_id, other).await?;
        }
    }
    for (connection, object) in damaged {
        match project.config.connections.get(connection) {
            Some(ConnectionConfig::Salesforce(_)) => observer.source(connection, object, Missing::Dropped).await?,
            Some(ConnectionConfig::Hubspot(_)) => observer.target(connection, object, Missing::Dropped).await?,
            None => {}
        }
    }
    for word in extra {
        observer.named(word).await?;
    }
    Ok((observer.seen, absent))
}

/// The part of the catalog that is of the connections of these pipelines, as it is known and as the systems say it now;
/// `handles` are those that the command has used already.
pub async fn observe_used(
    project: &Project,
    handles: Handles,
    known: &Catalog,
    pipelines: &[LoadedPipeline],
) -> Result<(Catalog, Catalog), OpsError> {
    let used = |connection: &str| {
        pipelines.iter().any(|pipeline| {
            pipeline.config.source.connection == connection || pipeline.config.target.connection == connection
        })
    };
    let mut part = known.clone();
    part.sources.retain(|(connection, _), _| used(connection));
    part.targets.retain(|(connection, _), _| used(connection));
    let (live, absent) = observe_pipelines(project, handles, pipelines, &part, &[], &[]).await?;
    // For a comparison with the live systems, an object that is gone is the answer.
    if let Some(Absent { message, help, .. }) = absent.into_iter().next() {
        return Err(OpsError::refused("SL3004", message, help.unwrap_or_default()));
    }
    Ok((part, live))
}

/// What to do about an object that is not there.
#[derive(Clone, Copy, PartialEq)]
enum Missing {
    /// The pull ends with the system's words.
    Refused,
    /// It is left out: the definitions do not need it.
    Dropped,
    /// What the catalog has of it stays: a definition may need it.
    Kept,
}

struct Observer<'a> {
    project: &'a Project,
    seen: Catalog,
    portals: BTreeMap<String, u64>,
    /// One handle a connection, which reads the list of a portal's objects once.
    handles: BTreeMap<String, Arc<dyn TargetReader>>,
    known: &'a Catalog,
}

impl Observer<'_> {
    /// What becomes of objects that are not there: a definition that could not be read to its end may need them.
    fn fate(&self, absent: &[Absent]) -> Missing {
        if absent.is_empty() { Missing::Dropped } else { Missing::Kept }
    }

    fn handle(&mut self, connection: &str) -> Result<Arc<dyn TargetReader>, OpsError> {
        if let Some(known) = self.handles.get(connection) {
            return Ok(Arc::clone(known));
        }
        let handle: Arc<dyn TargetReader> = Arc::new(self.project.target(connection)?);
        self.handles.insert(connection.to_owned(), Arc::clone(&handle));
        Ok(handle)
    }

    /// Everything that a definition names; else what a system says of the object that is not there.
    async fn pipeline(&mut self, loaded: &LoadedPipeline) -> Result<Option<RemoteError>, OpsError> {
        let name = PipelineName::new(loaded.config.name.as_str());
        match self.named_by(loaded).await {
            Ok(()) => Ok(None),
            // Only what is about the object alone: a refused token would fail for every other pipeline as well.
            Err(OpsError::Remote { fault: Fault::Halt(error), .. }) if is_about_object(&error) => Ok(Some(error)),
            Err(OpsError::Remote { fault, .. }) => Err(OpsError::remote(&name)(fault)),
            Err(other) => Err(other),
        }
    }

    /// Looks at all objects that a pipeline names, those of its parent paths too.
    async fn named_by(&mut self, loaded: &LoadedPipeline) -> Result<(), OpsError> {
        let config = &loaded.config;
        let mut sources: Sources = HashMap::new();
        // Each turn describes the parents that the last one made known, up to five lookups away.
        loop {
            let needed: Vec<String> = parents(config, &sources)
                .into_iter()
                .filter(|object| !sources.contains_key(&object.to_ascii_lowercase()))
                .collect();
            for object in &needed {
                self.source(&config.source.connection, object, Missing::Refused).await?;
                if let Some(found) = self.seen.source(&config.source.connection, object) {
                    sources.insert(object.to_ascii_lowercase(), found.clone());
                }
            }
            if needed.is_empty() {
                break;
            }
        }
        let connection = &config.target.connection;
        self.target(connection, &config.target.object, Missing::Refused).await?;
        for (index, association) in config.associations.iter().enumerate() {
            let pipelines = &self.project.loaded.pipelines;
            let target_pipeline = association.pipeline.as_ref();
            let target_pipeline =
                target_pipeline.and_then(|name| pipelines.iter().find(|other| other.config.name == *name));
            let object =
                target_pipeline.map(|other| other.config.target.object.clone()).or_else(|| association.to.clone());
            let object = object.unwrap_or_default();
            self.target(connection, &object, Missing::Refused).await?;
            // The beginning of a junction's associations has no pair of its own.
            if !config.is_from_end(index) {
                self.pair(connection, &config.target.object, &object).await?;
            }
        }
        Ok(())
    }

    /// Looks at a Salesforce object once; `missing` says what becomes of one that is gone.
    async fn source(&mut self, connection: &str, object: &str, missing: Missing) -> Result<(), OpsError> {
        // Pipelines share objects, and a describe is a call of the org's daily allowance.
        if self.seen.source(connection, object).is_some() {
            return Ok(());
        }
        match self.project.source(connection)?.describe(object).await {
            Ok(described) => self.seen.put_source(connection, described),
            // Only a 404 says that it is gone; any other refusal must not empty the catalog.
            Err(Fault::Halt(error)) if missing != Missing::Refused && error.status == Some(404) => {
                if let Some(known) = self.known.source(connection, object).filter(|_| missing == Missing::Kept) {
                    self.seen.put_source(connection, known.clone());
                }
            }
            Err(fault) => return Err(OpsError::Remote { pipeline: None, fault }),
        }
        Ok(())
    }

    /// The same for a HubSpot object, whose associations are looked at later, when both ends are known.
    async fn target(&mut self, connection: &str, object: &str, missing: Missing) -> Result<(), OpsError> {
        if self.seen.target(connection, object).is_some() {
            return Ok(());
        }
        let portal_id = self.portal(connection).await?;
        match self.handle(connection)?.describe(object).await {
            Ok(object) => {
                let associations = BTreeMap::new();
                self.seen.put_target(connection, TargetEntry { portal_id, object, associations });
            }
            // Without a status, our own list of the portal's objects lacks the name.
            Err(Fault::Halt(error)) if missing != Missing::Refused && matches!(error.status, None | Some(404)) => {
                if let Some(known) = self.known.target(connection, object).filter(|_| missing == Missing::Kept) {
                    self.seen.put_target(connection, known.clone());
                }
            }
            Err(fault) => return Err(OpsError::Remote { pipeline: None, fault }),
        }
        Ok(())
    }

    /// The kinds of associations from one object to another, both in the catalog.
    async fn pair(&mut self, connection: &str, from: &str, to: &str) -> Result<(), OpsError> {
        let id = |name: &str| {
            let found = self.seen.target(connection, name);
            found.map(|entry| (entry.object.object_type_id.clone(), entry.object.name.clone()))
        };
        let (Some((from_id, _)), Some((to_id, to_name))) = (id(from), id(to)) else { return Ok(()) };
        let handle = self.handle(connection)?;
        let entry = self
            .seen
            .targets
            .iter_mut()
            .find(|((name, _), entry)| name == connection && entry.object.object_type_id == from_id);
        let Some((_, entry)) = entry.filter(|(_, entry)| !entry.associations.contains_key(&to_name)) else {
            return Ok(());
        };
        let types = handle.association_types(&from_id, &to_id).await;
        let types = types.map_err(|fault| OpsError::Remote { pipeline: None, fault })?;
        entry.associations.insert(to_name, types);
        Ok(())
    }

    /// The portal behind a connection; it must be the one of the catalog so far, and the one that is configured.
    async fn portal(&mut self, connection: &str) -> Result<u64, OpsError> {
        if let Some(known) = self.portals.get(connection) {
            return Ok(*known);
        }
        let account = self.handle(connection)?.account().await;
        let found = account.map_err(|fault| OpsError::Remote { pipeline: None, fault })?.portal_id;
        if let Some(expected) = self.project.portal_id(connection).filter(|expected| *expected != found) {
            return Err(OpsError::refused(
                "SL3005",
                format!("the connection `{connection}` leads to portal {found}, not to {expected}"),
                "nothing was written; use the token of the right portal, or correct `portal_id`",
            ));
        }
        // Mixing two portals in one folder would give the type ids of one to pipelines of the other.
        let before =
            self.known.targets.iter().find(|((target, _), _)| target == connection).map(|(_, entry)| entry.portal_id);
        if let Some(before) = before.filter(|before| *before != found) {
            return Err(OpsError::refused(
                "SL3009",
                format!("catalog/ is of portal {before}, and the connection `{connection}` leads to portal {found}"),
                "nothing was written; use the token of the right portal, or remove catalog/ to start over",
            ));
        }
        self.portals.insert(connection.to_owned(), found);
        Ok(found)
    }

    /// An object that a person named, with its connection before a point or without. Without, Salesforce is asked first:
    /// HubSpot knows its standard objects by several names, so that `Contact` would be its `contacts`.
    async fn named(&mut self, word: &str) -> Result<(), OpsError> {
        let connections = &self.project.config.connections;
        // Only before a known connection: no object's name has a dot, and a file name might.
        let split = word.split_once('.').filter(|(connection, _)| connections.contains_key(*connection));
        let (candidates, object): (Vec<&String>, &str) = match split {
            Some((connection, object)) => (connections.keys().filter(|key| *key == connection).collect(), object),
            None => (connections.keys().collect(), word),
        };
        let is_salesforce = |name: &String| matches!(connections[name], ConnectionConfig::Salesforce(_));
        let (first, last): (Vec<&String>, Vec<&String>) = candidates.into_iter().partition(|name| is_salesforce(name));
        let mut refusal = None;
        for connection in first.into_iter().chain(last) {
            let tried = match is_salesforce(connection) {
                true => self.source(connection, object, Missing::Refused).await,
                false => self.target(connection, object, Missing::Refused).await,
            };
            match tried {
                Ok(()) => return Ok(()),
                // The next connection may have it.
                Err(OpsError::Remote { fault: Fault::Halt(error), .. }) if matches!(error.status, None | Some(404)) => {
                    refusal = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        let help =
            refusal.and_then(|error| error.help).unwrap_or_else(|| "`syncline discover` lists objects".to_owned());
        Err(OpsError::refused("SL3004", format!("neither system has an object `{object}`"), help))
    }
}

/// Adds to each change the pipelines that use the part. Fields are looked for in both catalogs, as a part may be in one only.
pub fn with_users(
    pipelines: &[LoadedPipeline],
    mut changes: Vec<CatalogChange>,
    catalogs: &[&Catalog],
) -> Vec<CatalogChange> {
    let uses: Vec<(String, Uses)> =
        pipelines.iter().map(|pipeline| (pipeline.config.name.clone(), uses(pipelines, pipeline, catalogs))).collect();
    for change in &mut changes {
        let users = uses.iter().filter(|(_, uses)| uses.touch(change));
        change.pipelines = users.map(|(name, _)| name.clone()).collect();
    }
    changes
}

/// What a pipeline uses: connection, object and part, all in lower case.
#[derive(Default)]
struct Uses {
    fields: BTreeSet<(String, String, String)>,
    /// Objects by any of their names, with their properties.
    properties: Vec<(String, String, BTreeSet<String>)>,
}

impl Uses {
    /// Whether a pipeline uses what has changed.
    fn touch(&self, change: &CatalogChange) -> bool {
        let object = change.object.to_ascii_lowercase();
        match change.system {
            System::Salesforce => self.fields.iter().any(|(connection, source_field, field)| {
                *connection == change.connection
                    && *source_field == object
                    // A change of the object itself concerns everybody who reads it.
                    && change.item.as_ref().is_none_or(|item| item.eq_ignore_ascii_case(field))
            }),
            System::Hubspot => self.properties.iter().any(|(connection, property, names)| {
                let association = change.item.as_ref().and_then(|item| item.split_once(": "));
                *connection == change.connection
                    && *property == object
                    && change.item.as_ref().is_none_or(|item| {
                        names.contains(item)
                            || association.is_some_and(|(other, _)| names.contains(&format!("→{other}")))
                    })
            }),
        }
    }
}

fn uses(all: &[LoadedPipeline], loaded: &LoadedPipeline, catalogs: &[&Catalog]) -> Uses {
    let config = &loaded.config;
    let mut uses = Uses::default();
    for catalog in catalogs {
        let sources: Sources = catalog
            .sources
            .iter()
            .filter(|((connection, _), _)| *connection == config.source.connection)
            .map(|((_, name), object)| (name.clone(), object.clone()))
            .collect();
        for (object, field) in used_fields(config, &sources) {
            uses.fields.insert((config.source.connection.clone(), object.to_ascii_lowercase(), field));
        }
        let connection = &config.target.connection;
        let name =
            |object: &str| -> Option<&TargetObject> { catalog.target(connection, object).map(|entry| &entry.object) };
        let Some(target) = name(&config.target.object) else { continue };
        let mut properties: BTreeSet<String> = config.fields.iter().map(|field| field.to.clone()).collect();
        if config.associate.is_none() {
            properties.insert(config.target.match_property.clone());
        }
        // A property that becomes required concerns everybody who makes records.
        properties.extend(target.required_properties.iter().cloned());
        for association in &config.associations {
            let target_pipeline = association.pipeline.as_ref();
            let target_pipeline = target_pipeline.and_then(|name| all.iter().find(|other| other.config.name == *name));
            let other = target_pipeline.map(|other| other.config.target.object.as_str()).or(association.to.as_deref());
            let Some(other) = other.and_then(name) else { continue };
            // Marked with an arrow, which no property's name can have.
            properties.insert(format!("→{}", other.name));
            let end = association.match_property.iter().cloned().collect();
            uses.properties.push((connection.clone(), other.name.to_ascii_lowercase(), end));
        }
        uses.properties.push((connection.clone(), target.name.to_ascii_lowercase(), properties));
    }
    uses
}
