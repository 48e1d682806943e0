//! `new`: writes a pipeline with a suggested mapping, and says what is missing.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Component, Path, PathBuf};

use serde_json::{Value, json};

use crate::catalog::is_called;
use crate::config::load::LoadedPipeline;
use crate::config::rules;
use crate::model::object::{FieldKind, PropertyKind, SourceField, SourceObject, TargetObject};
use crate::model::text::{self, line};
use crate::pipeline::suggest::{Suggestion, fillable, mappable, suggest};
use crate::ports::fault::Fault;
use crate::ports::source::Source;
use crate::ports::target::TargetReader;
use crate::project::error::OpsError;
use crate::project::wiring::Project;

/// What is wanted.
#[derive(Debug, Clone)]
pub struct NewPipeline {
    /// Name of the pipeline.
    pub name: String,
    /// Salesforce object.
    pub source: String,
    /// HubSpot object.
    pub target: String,
    /// Match property; chosen unless given.
    pub match_property: Option<String>,
    /// Connections.
    pub connections: (String, String),
}

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
}

/// The default names of the connections.
pub const CONNECTIONS: (&str, &str) = ("salesforce", "hubspot");

/// Property that a made object is matched by.
const MATCH: &str = "salesforce_id";

/// Drafts a pipeline; the file is not written yet.
///
/// Errors: as [`free_path`]; an object that is not there.
pub async fn draft(project: &Project, wanted: &NewPipeline) -> Result<Draft, OpsError> {
    let path = free_path(project, &wanted.name)?;
    let source = source(project, wanted).await?;
    let target = project.target(&wanted.connections.1)?.describe(&wanted.target).await;
    let target = target.map_err(|fault| match fault {
        Fault::Halt(error) if matches!(error.status, None | Some(404)) => OpsError::refused(
            "SL3004",
            error.message,
            "repeat with `--create-target` to see the custom object that fits, and with `--apply` to create it",
        ),
        fault => OpsError::Remote { pipeline: None, fault },
    })?;
    let links = links(project, wanted, &source, Some(&target)).await;
    let schema = schema_path(&project.config.pipelines);
    let mut draft = write(wanted, path, &schema, &source, &target, &links);
    draft.rival = rival(project, wanted, &target);
    Ok(draft)
}

/// Describes the source object.
pub async fn source(project: &Project, wanted: &NewPipeline) -> Result<SourceObject, OpsError> {
    let described = project.source(&wanted.connections.0)?.describe(&wanted.source).await;
    described.map_err(|fault| match fault {
        Fault::Halt(error) if error.status == Some(404) => OpsError::refused(
            "SL3002",
            format!("Salesforce shows no object `{}`", wanted.source),
            "`syncline discover` lists the objects that the integration user can see",
        ),
        fault => OpsError::Remote { pipeline: None, fault },
    })
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
        return Err(OpsError::refused("SL1017", format!("`{name}` is no name for a pipeline"), help));
    }
    let path = project.loaded.root.join(&project.config.pipelines).join(format!("{name}.yaml"));
    let taken = project.loaded.pipelines.iter().find(|own| own.config.name == name);
    if let Some(own) = taken {
        let message = format!("there is a pipeline `{name}` in {} already", own.file.name);
        return Err(OpsError::refused("SL1017", message, "choose another name"));
    }
    if path.symlink_metadata().is_ok() {
        let message = format!("`{}` exists already", path.display());
        return Err(OpsError::refused("SL1017", message, "choose another name; nothing is ever overwritten"));
    }
    Ok(path)
}

/// The pipeline that fills the same object by the same property.
fn rival(project: &Project, wanted: &NewPipeline, target: &TargetObject) -> Option<String> {
    let chosen = wanted.match_property.clone().or_else(|| match_property(target));
    let same = |own: &&LoadedPipeline| {
        let other = &own.config.target;
        other.connection == wanted.connections.1
            && is_called(target, &other.object)
            && chosen.as_deref() == Some(&*other.match_property)
    };
    project.loaded.pipelines.iter().find(same).map(|own| own.config.name.clone())
}

/// Where `init` put the schema of pipelines, seen from their folder.
fn schema_path(pipelines: &str) -> String {
    let depth = Path::new(pipelines).components().filter(|part| matches!(part, Component::Normal(_))).count();
    format!("{}schemas/pipeline.schema.json", "../".repeat(depth))
}

fn write(
    wanted: &NewPipeline,
    path: PathBuf,
    schema: &str,
    source: &SourceObject,
    target: &TargetObject,
    links: &[Link],
) -> Draft {
    let chosen = wanted.match_property.clone().or_else(|| match_property(target));
    let match_property = chosen.unwrap_or_else(|| MATCH.to_owned());
    let found = suggest(source, target, &match_property);
    let missing: Vec<String> = target
        .required_properties
        .iter()
        .filter(|name| **name != match_property && !found.iter().any(|own| own.property.name == **name))
        .cloned()
        .collect();
    let mut text = format!("# yaml-language-server: $schema={schema}\nversion: 1\n");
    text.push_str(&head(wanted, source, target, &match_property));
    text.push_str("fields:\n");
    for own in &found {
        entry(own, &mut text);
    }
    for name in &missing {
        let _ = writeln!(text, "  # {} is required: give it a field, a template or a value", line(name));
        let _ = writeln!(text, "  # - {{ from: …, to: {} }}", word(name));
    }
    if found.is_empty() {
        text.push_str(
            "  # nothing fits by name, label and type: map at least one field\n  # - { from: Name, to: … }\n",
        );
    }
    rest(source, target, &found, &match_property, &mut text);
    text.push_str(&associations(links));
    text.push_str("\n# What a delete in Salesforce does in HubSpot: keep leaves the record, archive archives it.\non_delete: keep\n");
    Draft { path, text, mapped: found.len(), missing, rival: None }
}

fn head(wanted: &NewPipeline, source: &SourceObject, target: &TargetObject, match_property: &str) -> String {
    let mut text = format!("name: {}\n", wanted.name);
    let _ = writeln!(text, "description: {}", quoted(&format!("{} to {}", source.label, target.label)));
    let _ = writeln!(text, "\nsource:");
    if wanted.connections.0 != CONNECTIONS.0 {
        let _ = writeln!(text, "  connection: {}", quoted(&wanted.connections.0));
    }
    let _ = writeln!(text, "  object: {}", word(&source.name));
    if !rules::is_listed(&source.name) {
        text.push_str("  allow_unlisted: true\n");
    }
    text.push_str("  # where: …   a SOQL condition that says which records belong; without it, all do\n");
    let _ = writeln!(text, "\ntarget:");
    if wanted.connections.1 != CONNECTIONS.1 {
        let _ = writeln!(text, "  connection: {}", quoted(&wanted.connections.1));
    }
    // A custom object goes before a standard one of the same name, unless the type id is written.
    let by_id = target.object_type_id.eq_ignore_ascii_case(&wanted.target);
    let _ = writeln!(text, "  object: {}", word(if by_id { &target.object_type_id } else { &target.name }));
    if !target.properties.get(match_property).is_some_and(|own| own.unique) {
        let (label, property) = (quoted(&target.label), line(match_property));
        let _ = writeln!(text, "  # {label} has no unique property `{property}`: make one for the Salesforce id");
    }
    let _ = writeln!(text, "  match: {}\n", word(match_property));
    text
}

/// The unique text property that looks most like the Salesforce id's.
fn match_property(target: &TargetObject) -> Option<String> {
    let unique =
        target.properties.values().filter(|own| own.unique && !own.read_only && own.kind == PropertyKind::String);
    let likely = |own: &&crate::model::object::TargetProperty| {
        let name = own.name.to_ascii_lowercase();
        (!(name.contains("salesforce") || name.contains("sf")), !name.contains("id"), name.len())
    };
    unique.min_by_key(likely).map(|own| own.name.clone())
}

fn entry(own: &Suggestion<'_>, text: &mut String) {
    let (from, to) = (word(&own.field.name), word(&own.property.name));
    if own.values.is_none() && own.unmatched.is_empty() {
        // 50 % is 50 in Salesforce and 0.5 in HubSpot.
        let percent = own.field.kind == FieldKind::Percent && own.property.percentage;
        let scale = if percent { ", scale: 0.01" } else { "" };
        let _ = writeln!(text, "  - {{ from: {from}, to: {to}{scale} }}");
    } else {
        let _ = writeln!(text, "  - from: {from}\n    to: {to}");
        let map: BTreeMap<&str, &str> =
            own.values.iter().flatten().map(|(value, option)| (value.as_str(), option.as_str())).collect();
        if !map.is_empty() {
            text.push_str("    values:\n");
            for (value, option) in map {
                let _ = writeln!(text, "      {}: {}", quoted(value), quoted(option));
            }
        }
        for value in &own.unmatched {
            let _ = writeln!(text, "      # {}: …   no option of `{to}` fits", quoted(value));
        }
        text.push_str("    otherwise: reject\n");
    }
    if own.field.calculated {
        let _ = writeln!(text, "    # {from} is calculated: a change of it alone is not noticed at once");
    }
}

/// Names of what is left over, for a person who looks for more.
fn rest(
    source: &SourceObject,
    target: &TargetObject,
    found: &[Suggestion<'_>],
    match_property: &str,
    text: &mut String,
) {
    let fields = source.fields.iter().filter(|field| mappable(field));
    let fields = fields.filter(|field| !found.iter().any(|own| own.field.name == field.name));
    let fields: Vec<&str> = fields.map(|field| field.name.as_str()).collect();
    let properties = target.properties.values().filter(|own| fillable(own, match_property));
    let properties = properties.filter(|own| !found.iter().any(|found| found.property.name == own.name));
    let properties: Vec<&str> = properties.map(|own| own.name.as_str()).collect();
    for (what, names) in [("fields of Salesforce", fields), ("properties of HubSpot", properties)] {
        if !names.is_empty() {
            let _ = writeln!(text, "  # not mapped, {what}: {}", line(&names.join(", ")));
        }
    }
}

/// What HubSpot's own integration keeps Salesforce ids in, by the Salesforce object.
const INTEGRATED: [(&str, &str, &str); 4] = [
    ("Account", "companies", "salesforceaccountid"),
    ("Contact", "contacts", "salesforcecontactid"),
    ("Lead", "contacts", "salesforceleadid"),
    ("Opportunity", "deals", "hs_salesforceopportunityid"),
];

/// A lookup, and what is known of the other end.
struct Link {
    field: String,
    /// The entry without its braces; none where the other end does not sync.
    entry: Option<String>,
    /// The HubSpot object at the other end, or the Salesforce objects where that is not known.
    to: String,
    /// Why the entry is a comment; none where it stands.
    why_not: Option<String>,
}

/// Lookups of the system's own, which say nothing of the business.
const SYSTEM_LOOKUPS: [&str; 4] = ["OwnerId", "CreatedById", "LastModifiedById", "MasterRecordId"];

/// The lookups of an object, and which of them can become associations. Without a target, it is yet to be made.
async fn links(
    project: &Project,
    wanted: &NewPipeline,
    source: &SourceObject,
    target: Option<&TargetObject>,
) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    let mut persons: Option<&str> = None;
    let lookups = source.fields.iter().filter(|field| {
        let own = SYSTEM_LOOKUPS.contains(&&*field.name) || field.reference_to.is_empty();
        field.kind == FieldKind::Reference && !own
    });
    for field in lookups {
        let refers = |name: &str| field.reference_to.iter().any(|object| object.eq_ignore_ascii_case(name));
        let leads_to = |own: &&LoadedPipeline| {
            let same = own.config.source.connection == wanted.connections.0
                && own.config.target.connection == wanted.connections.1;
            same && refers(&own.config.source.object)
        };
        let other = project.loaded.pipelines.iter().find(leads_to);
        let integrated = INTEGRATED.iter().find(|(object, _, _)| refers(object));
        let name = word(&field.name);
        let (entry, to, property) = match (other, integrated) {
            (Some(own), _) => {
                (Some(format!("field: {name}, pipeline: {}", own.config.name)), &*own.config.target.object, None)
            }
            // The pipeline that is written syncs it.
            (None, _) if refers(&source.name) => {
                (Some(format!("field: {name}, pipeline: {}", wanted.name)), &*wanted.target, None)
            }
            (None, Some((_, to, property))) => {
                (Some(format!("field: {name}, to: {to}, match: {property}")), *to, Some(*property))
            }
            (None, None) => (None, "", None),
        };
        let mut link = Link { field: field.name.clone(), entry, to: to.to_owned(), why_not: None };
        if link.entry.is_none() {
            link.to = field.reference_to.join(", ");
        } else if let Some(why) = trouble(project, wanted, target, to, property).await {
            link.why_not = Some(why);
        } else if links.iter().any(|own| own.to == to && own.why_not.is_none()) {
            link.why_not = Some(format!("a second link to {to}: give each its own `label`"));
        } else if refers("Lead") && persons == Some("Contact") || refers("Contact") && persons == Some("Lead") {
            link.why_not =
                Some("HubSpot keeps contacts and leads in one object: one of the two can be linked".to_owned());
        } else {
            persons = ["Contact", "Lead"].into_iter().find(|object| refers(object)).or(persons);
        }
        links.push(link);
    }
    links
}

/// Why a link to an object cannot stand, as far as HubSpot tells.
async fn trouble(
    project: &Project,
    wanted: &NewPipeline,
    target: Option<&TargetObject>,
    to: &str,
    property: Option<&str>,
) -> Option<String> {
    let hubspot = project.target(&wanted.connections.1).ok()?;
    let other = match target.filter(|own| own.name == to) {
        Some(own) => own.clone(),
        // To an object that is yet to be made.
        None if target.is_none() && to == wanted.target => return None,
        None => match hubspot.describe(to).await {
            Ok(other) => other,
            Err(_) => return Some(format!("HubSpot shows no object {to}")),
        },
    };
    if let Some(property) = property.filter(|name| !other.properties.contains_key(*name)) {
        return Some(format!("if a text property such as `{property}` of {to} holds the Salesforce id"));
    }
    let types = hubspot.association_types(&target?.object_type_id, &other.object_type_id).await;
    let none = types.is_ok_and(|types| types.is_empty());
    none.then(|| format!("HubSpot defines no association with {to} yet: make one in its settings"))
}

fn associations(links: &[Link]) -> String {
    let (mut active, mut hints) = (String::new(), String::new());
    for link in links {
        let Link { field, entry, to, why_not } = link;
        let (field, to) = (line(field), line(to));
        let _ = match (entry, why_not) {
            (Some(entry), None) => writeln!(active, "  - {{ {entry} }}"),
            (Some(entry), Some(why)) => writeln!(hints, "  # - {{ {} }}   {}", line(entry), line(why)),
            (None, _) => writeln!(hints, "  # {field} leads to {to}, which no pipeline syncs"),
        };
    }
    match (active.is_empty(), hints.is_empty()) {
        (true, true) => String::new(),
        (true, false) => format!("\n# associations:\n{hints}"),
        (false, _) => format!("\nassociations:\n{active}{hints}"),
    }
}

/// The custom object that would fit a source, with associations to what its lookups lead to: the body of its creation.
pub async fn object_for(project: &Project, wanted: &NewPipeline, source: &SourceObject) -> Value {
    let hubspot = project.target(&wanted.connections.1);
    let mut associated: Vec<String> = Vec::new();
    for link in links(project, wanted, source, None).await.iter().filter(|link| link.entry.is_some()) {
        let Ok(hubspot) = &hubspot else { break };
        // One with itself can be defined once it is there.
        if let Ok(other) = hubspot.describe(&link.to).await
            && !associated.contains(&other.object_type_id)
        {
            associated.push(other.object_type_id);
        }
    }
    body(source, &wanted.target, wanted.match_property.as_deref().unwrap_or(MATCH), &associated)
}

fn body(source: &SourceObject, name: &str, match_property: &str, associated: &[String]) -> Value {
    let parts = |field: &&SourceField| field.compound_field_name.is_some();
    let own: Vec<&SourceField> = source.fields.iter().filter(|field| mappable(field) && !parts(field)).collect();
    let mut names = vec![match_property.to_owned()];
    let mut properties = vec![json!({
        "name": match_property, "label": "Salesforce ID", "type": "string", "fieldType": "text", "hasUniqueValue": true,
    })];
    let mut title = None;
    for field in own {
        let name = free_name(&property_name(field), &names);
        if field.name_field && title.is_none() {
            title = Some(name.clone());
        }
        properties.push(property(field, &name));
        names.push(name);
    }
    let title = title.unwrap_or_else(|| {
        let name = free_name("name", &names);
        properties.push(json!({ "name": name, "label": "Name", "type": "string", "fieldType": "text" }));
        name
    });
    let (one, many) = labels(&source.label);
    json!({
        "name": name,
        "labels": { "singular": one, "plural": many },
        "primaryDisplayProperty": title,
        "requiredProperties": [title],
        "searchableProperties": [title, match_property],
        "properties": properties,
        "associatedObjects": associated,
    })
}

/// A name that no other property has: `Status` and `Status__c` would both be `status`.
fn free_name(name: &str, taken: &[String]) -> String {
    let numbered = (2..).map(|number| format!("{name}_{number}"));
    let mut candidates = std::iter::once(name.to_owned()).chain(numbered);
    candidates.find(|candidate| !taken.contains(candidate)).unwrap_or_default()
}

/// HubSpot's longest label of an object.
const LABEL_LENGTH_MAX: usize = 50;

fn labels(label: &str) -> (String, String) {
    let one: String = label.chars().take(LABEL_LENGTH_MAX - 1).collect();
    let many = if one.ends_with('s') { one.clone() } else { format!("{one}s") };
    (one, many)
}

/// A property's name: `Renews_At__c` becomes `renews_at`.
fn property_name(field: &SourceField) -> String {
    let stem = field.name.strip_suffix("__c").unwrap_or(&field.name);
    let mut name = String::new();
    let mut before = '_';
    for letter in stem.chars() {
        // WorkOrderNumber becomes work_order_number.
        if letter.is_ascii_uppercase() && before.is_ascii_lowercase() {
            name.push('_');
        }
        name.push(if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' });
        before = letter;
    }
    let name = name.trim_matches('_').to_owned();
    // HubSpot keeps names that begin with `hs_` to itself.
    let own = name.starts_with(|letter: char| letter.is_ascii_lowercase()) && !name.starts_with("hs_");
    if own { name } else { format!("p_{name}") }
}

fn property(field: &SourceField, name: &str) -> Value {
    let (kind, form) = match field.kind {
        FieldKind::TextArea => ("string", "textarea"),
        FieldKind::Picklist if !field.picklist.is_empty() => ("enumeration", "select"),
        FieldKind::MultiPicklist if !field.picklist.is_empty() => ("enumeration", "checkbox"),
        FieldKind::Boolean => ("bool", "booleancheckbox"),
        FieldKind::Int | FieldKind::Long | FieldKind::Double | FieldKind::Currency | FieldKind::Percent => {
            ("number", "number")
        }
        FieldKind::Date => ("date", "date"),
        FieldKind::DateTime => ("datetime", "date"),
        _ => ("string", "text"),
    };
    let mut body = json!({ "name": name, "label": field.label, "type": kind, "fieldType": form });
    let option = |(order, value, label): (usize, &str, &str)| json!({ "label": label, "value": value, "displayOrder": order, "hidden": false });
    if kind == "enumeration" {
        let values = field.picklist.iter().enumerate();
        body["options"] = values.map(|(order, own)| option((order, &own.value, &own.label))).collect();
    }
    if kind == "bool" {
        body["options"] = [(0, "true", "Yes"), (1, "false", "No")].into_iter().map(option).collect();
    }
    body
}

/// Makes the custom object, unless one of its name is there.
///
/// Errors: the name is taken; what HubSpot says.
pub async fn create(project: &Project, connection: &str, body: &Value) -> Result<(), OpsError> {
    let target = project.target(connection)?;
    let name = body["name"].as_str().unwrap_or_default();
    let failed = |fault| OpsError::Remote { pipeline: None, fault };
    let objects = target.objects().await.map_err(failed)?;
    if objects.iter().any(|own| own.custom && own.name.eq_ignore_ascii_case(name)) {
        let message = format!("the portal has a custom object `{name}` already");
        return Err(OpsError::refused(
            "SL3012",
            message,
            "nothing was written; leave `--create-target` away to use it",
        ));
    }
    let account = target.account().await.map_err(failed)?;
    if let Some(expected) = project.portal_id(connection).filter(|expected| *expected != account.portal_id) {
        let message = format!("the connection `{connection}` leads to portal {}, not to {expected}", account.portal_id);
        return Err(OpsError::refused("SL3005", message, "nothing was written; use the token of the right portal"));
    }
    target.create_object(body).await.map_err(failed)
}

/// A name as it stands in YAML: those of fields, properties and objects need no quotes, and any other text gets them.
fn word(name: &str) -> String {
    let plain = !name.is_empty()
        && !name.starts_with('-')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    if plain { name.to_owned() } else { quoted(name) }
}

/// A scalar that YAML reads back as this text.
fn quoted(text: &str) -> String {
    let plain = !text.is_empty()
        && text.starts_with(|letter: char| letter.is_alphabetic())
        && text.chars().all(|letter| letter.is_alphanumeric() || "_ -".contains(letter))
        && !text.ends_with(' ')
        && !["true", "false", "yes", "no", "on", "off", "null", "y", "n"].contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { text::json(&Value::from(text).to_string()).into_owned() }
}
