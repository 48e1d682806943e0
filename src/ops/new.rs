//! `new`: writes a pipeline with a suggested mapping, and says what is missing; makes the custom object for it when asked.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use super::discover::{did_you_mean, nearest_object};
use super::draft::{self, Lookup, NewPipeline, Outline};
use super::lookups::Finder;
use crate::catalog::is_called;
use crate::config::decode::decode;
use crate::config::load::{Loaded, LoadedPipeline};
use crate::config::pipeline::PipelineConfig;
use crate::config::read::{self, SourceFile};
use crate::config::rules::{self, Definition};
use crate::diagnostic::Severity;
use crate::model::object::{SourceObject, Sources, TargetObject};
use crate::pipeline::compile::{compile, parents};
use crate::pipeline::planned::PlannedObject;
use crate::pipeline::schemas::{AssociationSchema, Schemas};
use crate::pipeline::suggest::{is_user_lookup, suggest};
use crate::pipeline::verdict::{self, Verdict};
use crate::ports::fault::Fault;
use crate::ports::source::Source;
use crate::ports::target::TargetReader;
use crate::project::describe::is_about_object;
use crate::project::error::OpsError;
use crate::project::wiring::Project;

/// A draft of a pipeline.
#[derive(Debug)]
pub struct Draft {
    /// Its file.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// Properties that are filled.
    pub mapped: usize,
    /// Required properties for which nothing was found.
    pub missing: Vec<String>,
    /// A pipeline that fills the same records already.
    pub rival: Option<String>,
    /// What a person should know, line by line.
    pub remarks: Vec<String>,
}

/// A custom object that is yet to be made, with the pipeline that fills it.
#[derive(Debug)]
pub struct Plan {
    /// The body of its creation, as HubSpot takes it.
    pub body: Value,
    /// The pipeline.
    pub draft: Draft,
    /// A lookup leads to the object itself: an association with itself is defined once it is there.
    with_itself: bool,
}

/// Property that a made object is matched by.
const MATCH: &str = "salesforce_id";

/// Drafts a pipeline; the file is not written yet.
///
/// Errors: as [`free_path`]; an object that is not there, or can never sync.
pub async fn draft(project: &Project, wanted: &NewPipeline) -> Result<Draft, OpsError> {
    let path = free_path(project, &wanted.name)?;
    let source = source(project, wanted).await?;
    let hubspot = project.target(&wanted.connections.1)?;
    let target = match hubspot.describe(&wanted.target).await {
        Ok(target) => target,
        Err(Fault::Halt(error)) if matches!(error.status, None | Some(404)) => {
            let help =
                "repeat with `--create-target` to see the custom object that fits, and with `--apply` to create it";
            let near = nearest_object(project, &wanted.connections.1, &wanted.target).await;
            return Err(OpsError::refused("SL3004", error.message, did_you_mean(near, help)));
        }
        Err(fault) => return Err(OpsError::Remote { pipeline: None, fault }),
    };
    let lookups = Finder { project, hubspot: &hubspot, wanted, target: Some(&target) }.find(&source).await;
    // Asked for only where a property could hold one.
    let owners =
        target.properties.values().any(|value| value.owner) && knows_owners(project, wanted, &source, &hubspot).await;
    let chosen = wanted.match_property.clone().or_else(|| draft::match_property(&target));
    // A name that does not exist yet: the draft says that it has to be made.
    let match_property = chosen.unwrap_or_else(|| MATCH.to_owned());
    let mapping = suggest(&source, &target, &match_property, owners);
    let filled = |name: &String| *name == match_property || mapping.iter().any(|suggestion| suggestion.to == *name);
    let missing: Vec<String> = target.required_properties.iter().filter(|name| !filled(name)).cloned().collect();
    let outline = Outline {
        wanted,
        schema: &draft::schema_path(&project.config.pipelines),
        source: &source,
        target: &target,
        match_property: &match_property,
        mapping: &mapping,
        missing: &missing,
        lookups: &lookups,
        remarks: &[],
    };
    let (text, mapped) = (draft::write(&outline), mapping.len());
    Ok(Draft { path, text, mapped, missing, rival: rival(project, wanted, &target), remarks: Vec::new() })
}

/// Describes the source object.
///
/// Errors: it is not there, or can never sync.
async fn source(project: &Project, wanted: &NewPipeline) -> Result<SourceObject, OpsError> {
    let described = project.source(&wanted.connections.0)?.look_at(&wanted.source).await;
    let by_name = verdict::by_name(&wanted.source, true);
    // Some of these objects cannot be described at all, so the name is judged as well.
    let source = match (described, by_name) {
        (Ok(source), _) => source,
        (Err(_), Verdict::No(refusal)) => return Err(OpsError::refused(refusal.code, refusal.message, refusal.help)),
        (Err(Fault::Halt(error)), _) if error.status == Some(404) => {
            let near = nearest_object(project, &wanted.connections.0, &wanted.source).await;
            return Err(OpsError::refused(
                "SL3002",
                format!("Salesforce shows no object `{}`", wanted.source),
                did_you_mean(near, "`syncline discover` lists the objects that the integration user can see"),
            ));
        }
        (Err(fault), _) => return Err(OpsError::Remote { pipeline: None, fault }),
    };
    match verdict::of(&source) {
        Verdict::No(refusal) => Err(OpsError::refused(refusal.code, refusal.message, refusal.help)),
        Verdict::Yes | Verdict::Unlisted => Ok(source),
    }
}

/// The file of a new pipeline, which must not be there yet.
///
/// Errors: a name that is no good or taken, a file that is there.
pub fn free_path(project: &Project, name: &str) -> Result<PathBuf, OpsError> {
    let good = name.len() <= 63
        && name.starts_with(|letter: char| letter.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte));
    if !good {
        let help = "begin with a lower-case letter; lower-case letters, digits, `_` and `-` may follow";
        return Err(OpsError::refused("SL1017", format!("`{name}` is not a valid name for a pipeline"), help));
    }
    let path = project.loaded.root.join(&project.config.pipelines).join(format!("{name}.yaml"));
    let taken = project.loaded.pipelines.iter().find(|pipeline| pipeline.config.name == name);
    if let Some(pipeline) = taken {
        let message = format!("there is already a pipeline `{name}` in {}", pipeline.file.name);
        return Err(OpsError::refused("SL1017", message, "choose another name"));
    }
    // A file in the folder may be no pipeline that loads, and is still somebody's work.
    if path.symlink_metadata().is_ok() {
        let message = format!("`{}` already exists", path.display());
        return Err(OpsError::refused("SL1017", message, "choose another name; nothing is ever overwritten"));
    }
    Ok(path)
}

/// The pipeline that fills the same object by the same property.
fn rival(project: &Project, wanted: &NewPipeline, target: &TargetObject) -> Option<String> {
    let chosen = wanted.match_property.clone().or_else(|| draft::match_property(target));
    let same = |loaded: &&LoadedPipeline| {
        let other = &loaded.config.target;
        other.connection == wanted.connections.1
            && is_called(target, &other.object)
            && chosen.as_deref() == Some(&*other.match_property)
    };
    project.loaded.pipelines.iter().find(same).map(|pipeline| pipeline.config.name.clone())
}

/// Plans the custom object that fits the source, and drafts the pipeline that fills it. The draft is checked against the planned
/// object by the rules of `validate`, so that nothing is made that could not be used.
///
/// Errors: as [`free_path`]; an object that can never sync; a name that is taken; what the rules or HubSpot would refuse.
pub async fn plan(project: &Project, wanted: &NewPipeline) -> Result<Plan, OpsError> {
    let path = free_path(project, &wanted.name)?;
    let source = source(project, wanted).await?;
    let hubspot = project.target(&wanted.connections.1)?;
    let owners = knows_owners(project, wanted, &source, &hubspot).await;
    let match_property = wanted.match_property.as_deref().unwrap_or(MATCH);
    let planned = PlannedObject::of(&source, &wanted.target, match_property, owners);
    // From what costs nothing to what costs calls; nothing is made before all of it holds.
    if let Some(trouble) = planned.trouble() {
        return Err(OpsError::refused("SL3013", trouble, "choose another name"));
    }
    must_be_free(project, wanted).await?;
    let lookups = Finder { project, hubspot: &hubspot, wanted, target: None }.find(&source).await;
    let (mapping, target) = (planned.mapping(), planned.target());
    let outline = Outline {
        wanted,
        schema: &draft::schema_path(&project.config.pipelines),
        source: &source,
        target: &target,
        match_property,
        mapping: &mapping,
        missing: &[],
        lookups: &lookups,
        remarks: &planned.remarks,
    };
    let text = draft::write(&outline);
    must_hold(project, wanted, &path, &text, &source, &target, &lookups).await?;
    let mut associated: Vec<String> = Vec::new();
    for lookup in lookups
        .iter()
        .filter_map(|lookup| lookup.world.as_ref())
        .filter(|lookup| lookup.object_type_id != target.object_type_id)
    {
        if !associated.contains(&lookup.object_type_id) {
            associated.push(lookup.object_type_id.clone());
        }
    }
    // Those that wait for a decision can be associated as well.
    for lookup in
        lookups.iter().filter(|lookup| lookup.entry.is_some() && lookup.world.is_none() && lookup.to != wanted.target)
    {
        if let Ok(other) = hubspot.describe(&lookup.to).await
            && !associated.contains(&other.object_type_id)
        {
            associated.push(other.object_type_id);
        }
    }
    let with_itself = lookups.iter().any(|lookup| lookup.entry.is_some() && lookup.to == wanted.target);
    let draft =
        Draft { path, text, mapped: mapping.len(), missing: Vec::new(), rival: None, remarks: planned.remarks.clone() };
    Ok(Plan { body: planned.body(&associated), draft, with_itself })
}

/// Whether lookups to users can become owners: HubSpot tells its owners, and Salesforce the e-mails of its users.
async fn knows_owners(
    project: &Project,
    wanted: &NewPipeline,
    source: &SourceObject,
    hubspot: &impl TargetReader,
) -> bool {
    let mut lookups = source.fields.iter().filter(|field| is_user_lookup(field)).peekable();
    // A key without the scope for owners is usual; then lookups stay ids.
    if lookups.peek().is_none() || hubspot.owners().await.is_err() {
        return false;
    }
    // Over a lookup to several objects the e-mail is a field that they share.
    let users = lookups.any(|field| field.reference_to.len() == 1);
    let Ok(salesforce) = project.source(&wanted.connections.0) else { return false };
    !users || salesforce.describe("User").await.is_ok_and(|user| user.field("Email").is_some())
}

/// The name of the custom object is free, and the portal takes one more.
async fn must_be_free(project: &Project, wanted: &NewPipeline) -> Result<(), OpsError> {
    let hubspot = project.target(&wanted.connections.1)?;
    let name = &wanted.target;
    match hubspot.describe(name).await {
        Ok(found) => {
            let what = if found.custom { "a custom object" } else { "a standard object" };
            let message = format!("the portal already has {what} `{name}`");
            let help = "omit `--create-target` to use it, or choose another name";
            return Err(OpsError::refused("SL3012", message, help));
        }
        Err(Fault::Halt(error)) if matches!(error.status, None | Some(404)) && is_about_object(&error) => {}
        Err(fault) => return Err(OpsError::Remote { pipeline: None, fault }),
    }
    if hubspot.is_archived(name).await.map_err(|fault| OpsError::Remote { pipeline: None, fault })? {
        let message =
            format!("the portal has an archived custom object `{name}`, which a new one of this name would destroy");
        let help = "choose another name, or restore the archived one in HubSpot";
        return Err(OpsError::refused("SL3012", message, help));
    }
    // An unknown limit is no reason to refuse: HubSpot will say so itself.
    if let Some((limit, usage)) = hubspot.custom_object_limit().await.filter(|(limit, usage)| usage >= limit) {
        let message = format!("the account has {usage} of {limit} custom objects, so HubSpot accepts no more");
        let help = "remove one that is not used, or ask HubSpot for a higher limit";
        return Err(OpsError::refused("SL3013", message, help));
    }
    Ok(())
}

/// The draft holds by the rules of `validate`, as if the object were there.
async fn must_hold(
    project: &Project,
    wanted: &NewPipeline,
    path: &std::path::Path,
    text: &str,
    source: &SourceObject,
    target: &TargetObject,
    lookups: &[Lookup],
) -> Result<(), OpsError> {
    let name: Arc<str> = path.strip_prefix(&project.loaded.root).unwrap_or(path).display().to_string().into();
    let mut file = SourceFile::plain(Arc::clone(&name), text.to_owned());
    let mut findings = Vec::new();
    let config: Option<PipelineConfig> = match read::parse(&mut file, "pipeline") {
        Ok(value) => decode(&file, "pipeline", value, &mut findings),
        Err(finding) => {
            findings.push(finding);
            None
        }
    };
    if let Some(config) = &config {
        let others = project
            .loaded
            .pipelines
            .iter()
            .map(|pipeline| Definition { file: &pipeline.file.name, config: &pipeline.config });
        let all: Vec<Definition<'_>> = others.chain([Definition { file: &name, config }]).collect();
        // With the other pipelines, as a name or an object may collide with theirs; only what is about the draft
        // counts.
        findings.extend(rules::check(Some(&project.config), &all, &[]).into_iter().filter(|rule| rule.file == name));
        let associations: Vec<AssociationSchema> = lookups.iter().filter_map(|lookup| lookup.world.clone()).collect();
        let mut sources: Sources = [(source.name.to_ascii_lowercase(), Arc::new(source.clone()))].into();
        for object in parents(config, &sources) {
            let described = project.source(&wanted.connections.0)?.describe(&object).await;
            let described = described.map_err(|fault| OpsError::Remote { pipeline: None, fault })?;
            sources.insert(object.to_ascii_lowercase(), Arc::new(described));
        }
        let schemas = Schemas { sources: &sources, target, associations: &associations };
        findings.extend(compile(&name, config, &schemas).1);
    }
    findings.retain(|finding| finding.severity == Severity::Error);
    if findings.is_empty() {
        return Ok(());
    }
    let root = project.loaded.root.clone();
    Err(OpsError::Findings(Box::new(Loaded { root, findings, files: vec![file], ..Loaded::default() })))
}

/// Makes the custom object.
///
/// Errors: the wrong portal; what HubSpot says.
pub async fn create(project: &Project, wanted: &NewPipeline, plan: &Plan) -> Result<(), OpsError> {
    let connection = &wanted.connections.1;
    let target = project.target(connection)?;
    let failed = |fault| OpsError::Remote { pipeline: None, fault };
    let account = target.account().await.map_err(failed)?;
    // Once more right before the write, which cannot be taken back by this command.
    if let Some(expected) = project.portal_id(connection).filter(|expected| *expected != account.portal_id) {
        let message = format!("the connection `{connection}` leads to portal {}, not to {expected}", account.portal_id);
        return Err(OpsError::refused("SL3005", message, "nothing was written; use the token of the right portal"));
    }
    let id = target.create_object(&plan.body).await.map_err(failed)?;
    // Only a schema that exists can be named as the other end.
    if plan.with_itself {
        target.associate_with_itself(&id, &wanted.target).await.map_err(failed)?;
    }
    Ok(())
}
