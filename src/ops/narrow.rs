//! `schema pipeline --project`: the schema of pipelines, narrowed to the names that the catalog knows, so that an editor
//! completes and checks real fields, properties, options, labels and pipelines.

use serde_json::{Map, Value, json};

use crate::catalog::TargetEntry;
use crate::config::env::Variables;
use crate::config::files::Files;
use crate::config::schema;
use crate::model::object::{FieldKind, PicklistValue, PropertyKind, SourceObject, TargetProperty};
use crate::pipeline::values::convert::writable;
use crate::project::error::OpsError;
use crate::project::offline::{self, Offline};

/// The narrowed schema as the text of a file.
///
/// Errors: no catalog; one that is damaged or of another portal. Definitions may be wrong: an editor helps to correct them.
pub fn schema(files: &Files, variables: Variables<'_>) -> Result<String, OpsError> {
    let Offline { mut loaded, catalog } = offline::open(files, variables);
    // Only what makes the catalog unfit; all else is what the editor is to help with.
    loaded.findings.retain(|finding| ["SL3008", "SL3009"].contains(&finding.code));
    if !loaded.findings.is_empty() {
        return Err(OpsError::Findings(Box::new(loaded)));
    }
    if catalog.is_empty() {
        let help = "run `syncline catalog pull` with credentials once, and commit the files of catalog/";
        return Err(OpsError::refused("SL3010", "there is no catalog: the real names are not known", help));
    }
    let mut root = schema::value("pipeline").unwrap_or_default();
    let names: Vec<&str> = loaded.pipelines.iter().map(|pipeline| pipeline.config.name.as_str()).collect();
    let sources = catalog.sources.values().map(|value| (value.name.as_str(), value.label.as_str()));
    let targets = catalog.targets.values().map(|value| (value.object.name.as_str(), value.object.label.as_str()));
    let mut rules = Vec::new();
    rules.push(json!({ "properties": {
        "source": { "properties": { "object": hinted(sources) } },
        "target": { "properties": { "object": hinted(targets) } },
        "associations": { "items": { "properties": { "pipeline": { "enum": names } } } },
    }}));
    for ((connection, _), object) in &catalog.sources {
        let beside =
            catalog.sources.iter().filter(|((other, _), _)| other == connection).map(|(_, source)| source.as_ref());
        let beside: Vec<&SourceObject> = beside.collect();
        let condition = chosen("source", &[&object.name], connection, SOURCE_CONNECTION);
        rules.push(json!({ "if": condition, "then": source_rule(object, &beside) }));
    }
    for ((connection, _), object) in &catalog.targets {
        let beside = catalog.targets.iter().filter(|((other, _), _)| other == connection).map(|(_, target)| target);
        let beside: Vec<&TargetEntry> = beside.collect();
        let condition = chosen("target", &names_of(object, &beside), connection, TARGET_CONNECTION);
        rules.push(json!({ "if": condition, "then": target_rule(object, &beside) }));
    }
    root["allOf"] = Value::Array(rules);
    root["title"] = "Syncline pipeline, with the names of this project".into();
    Ok(serde_json::to_string_pretty(&root).unwrap_or_default() + "\n")
}

/// The connections of a pipeline that names none.
const SOURCE_CONNECTION: &str = "salesforce";
const TARGET_CONNECTION: &str = "hubspot";

/// Holds where the file names one of these objects of a connection.
fn chosen(end: &str, names: &[&str], connection: &str, usual: &str) -> Value {
    // A file may leave out the usual connection, so its absence has to count as that name.
    let required = if connection == usual { json!(["object"]) } else { json!(["object", "connection"]) };
    let properties = json!({ "object": { "enum": names }, "connection": { "const": connection } });
    json!({ "required": [end], "properties": { end: { "required": required, "properties": properties } } })
}

/// What an object goes by. A custom object goes before a standard one of the same name.
fn names_of<'a>(entry: &'a TargetEntry, all: &[&TargetEntry]) -> Vec<&'a str> {
    let object = &entry.object;
    let hidden = !object.custom && all.iter().any(|other| other.object.custom && other.object.name == object.name);
    let mut names = vec![object.name.as_str(), &object.fully_qualified_name, &object.object_type_id];
    if hidden {
        names.retain(|name| *name != object.name);
    }
    // A standard object's name and full name are the same, and an enum must not list one twice.
    names.sort_unstable();
    names.dedup();
    names
}

/// Names that are offered while others stay allowed: an object may not be in the catalog yet.
fn hinted<'a>(names: impl Iterator<Item = (&'a str, &'a str)>) -> Value {
    let (names, labels): (Vec<&str>, Vec<&str>) = names.unzip();
    // The open second branch keeps an editor from underlining what is only not pulled yet.
    json!({ "anyOf": [{ "enum": names, "markdownEnumDescriptions": labels }, { "type": "string" }] })
}

/// What follows from the source object: fields, parent fields, picklist values, lookups.
fn source_rule(object: &SourceObject, all: &[&SourceObject]) -> Value {
    let mut fields: Vec<(String, String)> = Vec::new();
    let mut lookups: Vec<(&str, &str)> = Vec::new();
    for field in &object.fields {
        fields.push((field.name.clone(), format!("{} ({})", field.label, word(&field.kind))));
        if field.kind != FieldKind::Reference {
            continue;
        }
        lookups.push((&field.name, &field.label));
        // The first described one; paths over several objects reach few fields, and `validate` knows which.
        let parent = field.reference_to.iter().find_map(|name| all.iter().find(|object| object.name == *name));
        if let (Some(path), Some(parent)) = (&field.relationship_name, parent) {
            let source_field = parent.fields.iter();
            fields.extend(source_field.map(|source_field| {
                (format!("{path}.{}", source_field.name), format!("{} of {}", source_field.label, field.label))
            }));
        }
    }
    let (names, labels): (Vec<String>, Vec<String>) = fields.into_iter().unzip();
    let from = json!({ "anyOf": [
        { "enum": names, "markdownEnumDescriptions": labels },
        // Longer paths go over objects that the catalog need not hold.
        { "type": "string", "pattern": "\\..+\\." },
        { "type": "string", "pattern": unknown_parents(object, all) },
    ]});
    let (fields, labels): (Vec<&str>, Vec<&str>) = lookups.into_iter().unzip();
    let mut items = vec![json!({ "properties": { "from": from } })];
    for field in object.fields.iter().filter(|field| !field.picklist.is_empty()) {
        let about = |value: &PicklistValue| {
            let about = if value.active { value.label.clone() } else { format!("{} (inactive)", value.label) };
            json!({ "description": about })
        };
        let keys: Map<String, Value> = field.picklist.iter().map(|value| (value.value.clone(), about(value))).collect();
        items.push(json!({
            "if": { "required": ["from"], "properties": { "from": { "const": field.name } } },
            "then": { "properties": { "values": { "properties": keys } } },
        }));
    }
    json!({ "properties": {
        "fields": { "items": { "allOf": items } },
        "associations": { "items": { "properties": { "field": { "enum": fields, "markdownEnumDescriptions": labels } } } },
    }})
}

/// A pattern for fields of parents that the catalog does not hold.
fn unknown_parents(object: &SourceObject, all: &[&SourceObject]) -> String {
    let known = |name: &String| all.iter().any(|object| object.name == *name);
    let open = object.fields.iter().filter(|field| !matches!(&*field.reference_to, [only] if known(only)));
    let paths: Vec<&str> = open.filter_map(|field| field.relationship_name.as_deref()).collect();
    // Without any, nothing may match.
    if paths.is_empty() { "^$".to_owned() } else { format!("^({})\\.", paths.join("|")) }
}

/// What follows from the target object: properties with their options, the match property, labels of associations.
fn target_rule(entry: &TargetEntry, all: &[&TargetEntry]) -> Value {
    let writable = entry.object.properties.values().filter(|property| !property.read_only && writable(&property.kind));
    let writable: Vec<&TargetProperty> = writable.collect();
    let names: Vec<&str> = writable.iter().map(|property| property.name.as_str()).collect();
    let labels: Vec<String> = writable.iter().map(|property| describe(property, entry)).collect();
    let mut items = vec![json!({ "properties": { "to": { "enum": names, "markdownEnumDescriptions": labels } } })];
    // Options from elsewhere, such as owners, are not all in the description.
    for property in writable.iter().filter(|property| !property.options.is_empty() && !property.external_options) {
        let options: Vec<&str> = property.options.iter().map(|option| option.value.as_str()).collect();
        let one = json!({ "enum": options });
        // Several options stand in one text, apart by `;`.
        let value = if property.kind == PropertyKind::MultiCheckbox {
            json!({ "anyOf": [one, { "pattern": ";" }] })
        } else {
            one
        };
        items.push(json!({
            "if": { "required": ["to"], "properties": { "to": { "const": property.name } } },
            "then": { "properties": { "value": value, "values": { "additionalProperties": value } } },
        }));
    }
    let unique: Vec<&str> =
        writable.iter().filter(|property| property.unique).map(|property| property.name.as_str()).collect();
    let mut ends = Vec::new();
    for other in all {
        let named = names_of(other, all);
        let labels = entry.associations.get(&other.object.name);
        let labels: Vec<&str> =
            labels.iter().flat_map(|types| types.iter()).filter_map(|kind| kind.label.as_deref()).collect();
        let properties: Vec<&str> = other
            .object
            .properties
            .values()
            .filter(|property| property.kind == PropertyKind::String)
            .map(|property| property.name.as_str())
            .collect();
        ends.push(json!({
            "if": { "required": ["to"], "properties": { "to": { "enum": named } } },
            "then": { "properties": { "label": { "enum": labels }, "match": { "enum": properties } } },
        }));
    }
    let others: Vec<&str> = entry.associations.keys().map(String::as_str).collect();
    ends.push(json!({ "properties": { "to": { "anyOf": [{ "enum": others }, { "type": "string" }] } } }));
    json!({ "properties": {
        "target": { "properties": { "match": { "enum": unique } } },
        "fields": { "items": { "allOf": items } },
        "associations": { "items": { "allOf": ends } },
    }})
}

fn describe(property: &TargetProperty, entry: &TargetEntry) -> String {
    let required = if entry.object.required_properties.contains(&property.name) { ", required" } else { "" };
    format!("{} ({}{required})", property.label, word(&property.kind))
}

fn word<T: serde::Serialize>(kind: &T) -> String {
    serde_json::to_value(kind).ok().and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default()
}
