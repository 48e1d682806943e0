//! `discover`: the objects and fields of both systems, and what can sync.

use std::collections::{BTreeMap, HashSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::config::project::ConnectionConfig;
use crate::diagnostic::nearest::nearest;
use crate::model::object::{FieldKind, ObjectSummary, SourceField, SourceObject, TargetObject};
use crate::pipeline::suggest::mappable;
use crate::pipeline::values::convert::writable;
use crate::pipeline::verdict::{self, Verdict};
use crate::ports::fault::Fault;
use crate::ports::target::TargetReader;
use crate::project::describe::is_about_object;
use crate::project::error::OpsError;
use crate::project::wiring::Project;

/// All objects.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Syncline objects")]
pub struct Objects {
    /// Those of Salesforce, by connection.
    pub salesforce: BTreeMap<String, Vec<Found>>,
    /// Those of HubSpot, by connection.
    pub hubspot: BTreeMap<String, Vec<Found>>,
    /// Connections that could not be asked.
    pub refused: Vec<Refused>,
}

/// An object, and whether it can sync.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Found {
    /// The object.
    #[serde(flatten)]
    pub object: ObjectSummary,
    /// Whether it can be a source or a target.
    pub can_sync: bool,
    /// Why not, or under which condition.
    pub why: Option<String>,
    /// The stable code of that, where it can never sync.
    pub code: Option<&'static str>,
    /// Pipelines that sync it.
    pub pipelines: Vec<String>,
    /// It only accompanies another object of the list: as its feed, its history, its shares.
    pub companion: bool,
}

/// One object of either system, or of both where they share a name.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(title = "Syncline object")]
pub struct Described {
    /// In Salesforce.
    pub salesforce: Option<SourceObject>,
    /// Whether it can be a source; none where Salesforce does not show it.
    pub can_sync: Option<bool>,
    /// Why not, or under which condition.
    pub why: Option<String>,
    /// The stable code of that, where it can never sync.
    pub code: Option<&'static str>,
    /// In HubSpot.
    pub hubspot: Option<TargetObject>,
    /// Connections that could not be asked.
    pub refused: Vec<Refused>,
}

/// A connection that could not be asked. What the others tell stands without it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Refused {
    /// The connection.
    pub connection: String,
    /// Stable code.
    pub code: &'static str,
    /// What happened.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// Lists the objects of all connections.
///
/// Errors: no connection could be asked.
pub async fn objects(project: &Project) -> Result<Objects, OpsError> {
    let mut all = Objects { salesforce: BTreeMap::new(), hubspot: BTreeMap::new(), refused: Vec::new() };
    let mut last = None;
    for (name, connection) in &project.config.connections {
        // Each connection on its own, so that what one of them tells is shown although another refuses.
        let listed = match connection {
            ConnectionConfig::Salesforce(_) => {
                sources(project, name).await.map(|found| all.salesforce.insert(name.clone(), found))
            }
            ConnectionConfig::Hubspot(_) => {
                targets(project, name).await.map(|found| all.hubspot.insert(name.clone(), found))
            }
        };
        if let Err(error) = listed {
            all.refused.push(refused(name, &error));
            last = Some(standing(error)?);
        }
    }
    match last {
        // Nothing could be asked: the last error stands for the command.
        Some(error) if all.salesforce.is_empty() && all.hubspot.is_empty() => Err(error),
        _ => Ok(all),
    }
}

fn refused(connection: &str, error: &OpsError) -> Refused {
    Refused { connection: connection.to_owned(), code: error.code(), message: error.to_string(), help: error.help() }
}

/// An error of one connection; a person who stops the command stops all of it.
fn standing(error: OpsError) -> Result<OpsError, OpsError> {
    match error {
        OpsError::Remote { fault: Fault::Cancelled, .. } => Err(error),
        error => Ok(error),
    }
}

async fn sources(project: &Project, connection: &str) -> Result<Vec<Found>, OpsError> {
    let found = project.source(connection)?.objects().await.map_err(failed)?;
    let names: HashSet<String> = found.iter().map(|found| found.name.clone()).collect();
    Ok(found.into_iter().map(|object| source(project, connection, object, &names)).collect())
}

async fn targets(project: &Project, connection: &str) -> Result<Vec<Found>, OpsError> {
    let found = project.target(connection)?.objects().await.map_err(failed)?;
    let custom: Vec<String> =
        found.iter().filter(|found| found.custom).map(|found| found.name.to_ascii_lowercase()).collect();
    Ok(found.into_iter().map(|object| target(project, connection, object, &custom)).collect())
}

fn failed(fault: Fault) -> OpsError {
    OpsError::Remote { pipeline: None, fault }
}

fn source(project: &Project, connection: &str, object: ObjectSummary, names: &HashSet<String>) -> Found {
    let pipelines = project.loaded.pipelines.iter().map(|pipeline| &pipeline.config).filter(|config| {
        config.source.connection == connection && config.source.object.eq_ignore_ascii_case(&object.name)
    });
    let pipelines: Vec<String> = pipelines.map(|config| config.name.clone()).collect();
    let (can_sync, why, code) = parts(verdict::by_name(&object.name, object.queryable));
    // An object that somebody syncs is shown like any other, whatever its name looks like.
    let companion = pipelines.is_empty()
        && verdict::accompanies(&object.name).is_some_and(|pipeline| pipeline.iter().any(|name| names.contains(name)));
    Found { object, can_sync, why, code, pipelines, companion }
}

/// A verdict as the members of an answer: whether it can sync, why not or on which condition, and the code of that.
fn parts(verdict: Verdict) -> (bool, Option<String>, Option<&'static str>) {
    match verdict {
        Verdict::Yes => (true, None, None),
        Verdict::Unlisted => (true, Some(UNLISTED.to_owned()), None),
        Verdict::No(refusal) => (false, Some(refusal.why), Some(refusal.code)),
    }
}

/// The condition under which an object can be a source that HubSpot's own integration does not know.
const UNLISTED: &str = "with `allow_unlisted: true`";

fn target(project: &Project, connection: &str, object: ObjectSummary, custom: &[String]) -> Found {
    let pipelines = project.loaded.pipelines.iter().map(|pipeline| &pipeline.config).filter(|config| {
        let named = &config.target.object;
        let id = object.object_type_id.as_deref().is_some_and(|id| id.eq_ignore_ascii_case(named));
        // A custom object goes before a standard one of the same name.
        let meant = object.custom || !custom.contains(&object.name.to_ascii_lowercase());
        config.target.connection == connection && (id || meant && named.eq_ignore_ascii_case(&object.name))
    });
    let pipelines = pipelines.map(|config| config.name.clone()).collect();
    // A custom object can be made with such a property; a standard one must be given one.
    let why = (!object.custom).then(|| "with a unique property for the Salesforce id".to_owned());
    Found { object, can_sync: true, why, code: None, pipelines, companion: false }
}

/// Describes one object: in Salesforce, in HubSpot, or in both.
///
/// Errors: neither has it, as far as they could be asked; what it is, where its name tells that it can never sync.
pub async fn object(project: &Project, name: &str) -> Result<Described, OpsError> {
    let mut described = Described::default();
    let mut last = None;
    for (connection, config) in &project.config.connections {
        let found = match config {
            ConnectionConfig::Salesforce(_) => look(project, connection, name).await.map(|found| {
                // Of several orgs, the last one that has it, and never one that lacks it.
                described.salesforce = found.or(described.salesforce.take());
            }),
            ConnectionConfig::Hubspot(_) => describe(project, connection, name).await.map(|found| {
                described.hubspot = found.or(described.hubspot.take());
            }),
        };
        if let Err(error) = found {
            described.refused.push(refused(connection, &error));
            last = Some(standing(error)?);
        }
    }
    if described.salesforce.is_none() && described.hubspot.is_none() {
        return Err(match (verdict::by_name(name, true), last) {
            // The name alone rules it out, which is a better answer than that it was not found.
            (Verdict::No(refusal), _) => OpsError::refused(refusal.code, refusal.message, refusal.help),
            (_, Some(error)) => error,
            (_, None) => {
                // Over all connections at once: the first one's nearest name may be far from what was meant.
                let mut known = Vec::new();
                for connection in project.config.connections.keys() {
                    known.extend(names(project, connection).await);
                }
                let near = nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
                OpsError::refused(
                    "SL3004",
                    format!("neither system has an object `{name}`"),
                    did_you_mean(near, "`syncline discover` lists the objects that the connections can see"),
                )
            }
        });
    }
    if let Some(object) = &described.salesforce {
        let (can_sync, why, code) = parts(verdict::of(object));
        described.can_sync = Some(can_sync);
        (described.why, described.code) = (why, code);
    }
    Ok(described)
}

/// The object of a connection whose name is nearest to a mistyped one.
pub async fn nearest_object(project: &Project, connection: &str, name: &str) -> Option<String> {
    nearest(name, names(project, connection).await.iter().map(String::as_str)).map(str::to_owned)
}

/// The objects of a connection by name; none where it does not list them, as this is only for advice.
async fn names(project: &Project, connection: &str) -> Vec<String> {
    let listed = match project.config.connections.get(connection) {
        Some(ConnectionConfig::Salesforce(_)) => match project.source(connection) {
            Ok(salesforce) => salesforce.objects().await,
            Err(_) => return Vec::new(),
        },
        Some(ConnectionConfig::Hubspot(_)) => match project.target(connection) {
            Ok(hubspot) => hubspot.objects().await,
            Err(_) => return Vec::new(),
        },
        None => return Vec::new(),
    };
    listed.unwrap_or_default().into_iter().map(|object| object.name).collect()
}

/// Advice, with the likely name before it.
pub fn did_you_mean(near: Option<String>, advice: &str) -> String {
    near.map_or_else(|| advice.to_owned(), |near| format!("did you mean `{near}`? If not: {advice}"))
}

/// Whether a refusal is about the object alone.
fn is_absent(fault: &Fault) -> bool {
    matches!(fault, Fault::Halt(error) if matches!(error.status, None | Some(404)) && is_about_object(error))
}

/// None where Salesforce has no such object: the other system may have it.
async fn look(project: &Project, connection: &str, name: &str) -> Result<Option<SourceObject>, OpsError> {
    match project.source(connection)?.look_at(name).await {
        Ok(object) => Ok(Some(object)),
        Err(fault) if is_absent(&fault) => Ok(None),
        Err(fault) => Err(failed(fault)),
    }
}

/// None where the portal has no such object.
async fn describe(project: &Project, connection: &str, name: &str) -> Result<Option<TargetObject>, OpsError> {
    match project.target(connection)?.describe(name).await {
        Ok(object) => Ok(Some(object)),
        Err(fault) if is_absent(&fault) => Ok(None),
        Err(fault) => Err(failed(fault)),
    }
}

/// What a field is good for, in words; none where it maps like any other.
pub fn remark(field: &SourceField) -> Option<String> {
    if field.kind == FieldKind::Reference {
        return Some(match field.reference_to.as_slice() {
            [] => "lookup: `as: id`".to_owned(),
            objects => format!("lookup to {}: an association, or `as: id`", objects.join(", ")),
        });
    }
    if !mappable(field) {
        return Some(match field.kind {
            FieldKind::Base64 | FieldKind::AnyType | FieldKind::Other(_) => "cannot be mapped".to_owned(),
            _ => "a system field".to_owned(),
        });
    }
    if field.calculated {
        return Some("calculated: a change to it alone is not noticed at once".to_owned());
    }
    match field.kind {
        FieldKind::Address | FieldKind::Location => Some("as one text, or part by part".to_owned()),
        _ => None,
    }
}

/// What a property is good for, in words.
pub fn property_remark(property: &crate::model::object::TargetProperty, object: &TargetObject) -> Option<String> {
    if property.read_only {
        return Some("read-only".to_owned());
    }
    if !writable(&property.kind) {
        return Some("cannot be mapped".to_owned());
    }
    let required = object.required_properties.contains(&property.name).then_some("required");
    let unique = property.unique.then_some("unique: can be `match`");
    let both: Vec<&str> = required.into_iter().chain(unique).collect();
    (!both.is_empty()).then(|| both.join(", "))
}
