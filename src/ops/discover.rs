//! `discover`: the objects and fields of both systems, and what can sync.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::config::project::ConnectionConfig;
use crate::config::rules;
use crate::model::object::{FieldKind, ObjectSummary, SourceField, SourceObject, TargetObject};
use crate::pipeline::suggest::mappable;
use crate::pipeline::values::convert::writable;
use crate::ports::fault::Fault;
use crate::ports::source::Source;
use crate::ports::target::TargetReader;
use crate::project::error::OpsError;
use crate::project::wiring::Project;

/// All objects.
#[derive(Debug, Serialize)]
pub struct Objects {
    /// Those of Salesforce, by connection.
    pub salesforce: BTreeMap<String, Vec<Found>>,
    /// Those of HubSpot, by connection.
    pub hubspot: BTreeMap<String, Vec<Found>>,
}

/// An object, and whether it can sync.
#[derive(Debug, Serialize)]
pub struct Found {
    /// The object.
    #[serde(flatten)]
    pub object: ObjectSummary,
    /// Whether it can be a source or a target.
    pub can_sync: bool,
    /// Why not, or under which condition.
    pub why: Option<String>,
    /// Pipelines that sync it.
    pub pipelines: Vec<String>,
}

/// One object of either system, or of both where they share a name.
#[derive(Debug, Serialize)]
pub struct Described {
    /// In Salesforce.
    pub salesforce: Option<SourceObject>,
    /// In HubSpot.
    pub hubspot: Option<TargetObject>,
}

/// Lists the objects of all connections.
pub async fn objects(project: &Project) -> Result<Objects, OpsError> {
    let mut all = Objects { salesforce: BTreeMap::new(), hubspot: BTreeMap::new() };
    let failed = |fault| OpsError::Remote { pipeline: None, fault };
    for (name, connection) in &project.config.connections {
        match connection {
            ConnectionConfig::Salesforce(_) => {
                let found = project.source(name)?.objects().await.map_err(failed)?;
                let found = found.into_iter().map(|object| source(project, name, object)).collect();
                all.salesforce.insert(name.clone(), found);
            }
            ConnectionConfig::Hubspot(_) => {
                let found = project.target(name)?.objects().await.map_err(failed)?;
                let custom: Vec<String> =
                    found.iter().filter(|own| own.custom).map(|own| own.name.to_ascii_lowercase()).collect();
                let found = found.into_iter().map(|object| target(project, name, object, &custom)).collect();
                all.hubspot.insert(name.clone(), found);
            }
        }
    }
    Ok(all)
}

fn source(project: &Project, connection: &str, object: ObjectSummary) -> Found {
    let pipelines = project.loaded.pipelines.iter().map(|own| &own.config).filter(|config| {
        config.source.connection == connection && config.source.object.eq_ignore_ascii_case(&object.name)
    });
    let pipelines = pipelines.map(|config| config.name.clone()).collect();
    let (can_sync, why) = match (object.queryable, rules::is_listed(&object.name)) {
        (false, _) => (false, Some("Salesforce offers no query on it".to_owned())),
        (true, true) => (true, None),
        (true, false) => (true, Some("with `allow_unlisted: true`".to_owned())),
    };
    Found { object, can_sync, why, pipelines }
}

fn target(project: &Project, connection: &str, object: ObjectSummary, custom: &[String]) -> Found {
    let pipelines = project.loaded.pipelines.iter().map(|own| &own.config).filter(|config| {
        let named = &config.target.object;
        let id = object.object_type_id.as_deref().is_some_and(|id| id.eq_ignore_ascii_case(named));
        // A custom object goes before a standard one of the same name.
        let meant = object.custom || !custom.contains(&object.name.to_ascii_lowercase());
        config.target.connection == connection && (id || meant && named.eq_ignore_ascii_case(&object.name))
    });
    let pipelines = pipelines.map(|config| config.name.clone()).collect();
    let why = (!object.custom).then(|| "a standard object: its match property must be made unique first".to_owned());
    Found { object, can_sync: true, why, pipelines }
}

/// Describes one object: in Salesforce, in HubSpot, or in both.
///
/// Errors: neither has it.
pub async fn object(project: &Project, name: &str) -> Result<Described, OpsError> {
    let mut described = Described { salesforce: None, hubspot: None };
    let absent = |fault: &Fault| matches!(fault, Fault::Halt(error) if matches!(error.status, None | Some(404)));
    for (connection, config) in &project.config.connections {
        match config {
            ConnectionConfig::Salesforce(_) => match project.source(connection)?.describe(name).await {
                Ok(object) => described.salesforce = Some(object),
                Err(fault) if absent(&fault) => {}
                Err(fault) => return Err(OpsError::Remote { pipeline: None, fault }),
            },
            ConnectionConfig::Hubspot(_) => match project.target(connection)?.describe(name).await {
                Ok(object) => described.hubspot = Some(object),
                Err(fault) if absent(&fault) => {}
                Err(fault) => return Err(OpsError::Remote { pipeline: None, fault }),
            },
        }
    }
    if described.salesforce.is_none() && described.hubspot.is_none() {
        let message = format!("neither system shows an object `{name}`");
        return Err(OpsError::refused(
            "SL3004",
            message,
            "`syncline discover` lists the objects that the connections can see",
        ));
    }
    Ok(described)
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
            _ => "the system's own".to_owned(),
        });
    }
    if field.calculated {
        return Some("calculated: a change of it alone is not noticed at once".to_owned());
    }
    match field.kind {
        FieldKind::Address | FieldKind::Location => Some("joined, or by its parts".to_owned()),
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
