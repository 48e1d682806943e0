//! An SFDX project as an org: `objects/*/*.object-meta.xml`, `fields/*.field-meta.xml`, `globalValueSets`, and the records of
//! `data/*.json`, in the form in which the sample world is handed over.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::fields::{self, ValueSets};
use super::source::{LoadError, Source, files_below};
use super::xml::Metadata;
use super::{data, names, standard};
use crate::sandbox::options::{CLIENT_ID, CLIENT_SECRET, USERNAME};

/// Objects with the files that described their fields.
type Objects = BTreeMap<String, Described>;

/// An object on its way to a seed.
struct Described {
    object: Value,
    /// Field -> its file.
    files: BTreeMap<String, PathBuf>,
}

/// Reads a project. The seed goes to the Salesforce side as it is.
pub fn read(root: &Path) -> Result<Value, LoadError> {
    let files = files_below(root, |path| parts(path).is_some() || is_value_set(path) || is_data(path))?;
    let mut sets = ValueSets::new();
    // First, as fields of any object may take their values from them.
    for path in files.iter().filter(|path| is_value_set(path)) {
        let source = Source::below(root, path)?;
        let file = Metadata::parse(&source, "GlobalValueSet")?;
        let name = path.rsplit('/').next().and_then(|name| name.strip_suffix(VALUE_SET)).unwrap_or_default();
        sets.insert(name.to_owned(), fields::values(file.root())?);
    }
    let mut objects = Objects::new();
    for path in &files {
        if let Some((object, field)) = parts(path) {
            let source = Source::below(root, path)?;
            let described = entry(&mut objects, object);
            if field { add_fields(described, object, &source, &sets)? } else { set_object(described, object, &source)? }
        }
    }
    if objects.is_empty() {
        let message = "there are no objects in it; expected the root of an SFDX project, with files such as \
                       `force-app/main/default/objects/Subscription__c/Subscription__c.object-meta.xml`";
        return Err(LoadError::new(root, message));
    }
    // Every org has them, and owners lead to either.
    for name in ["User", "Group"] {
        entry(&mut objects, name);
    }
    complete(&mut objects)?;
    let objects: Vec<Value> = objects.into_values().map(|described| described.object).collect();
    let sources = files.iter().filter(|path| is_data(path)).map(|path| Source::below(root, path));
    let records = data::read(&objects, &sources.collect::<Result<Vec<_>, _>>()?)?;
    Ok(json!({"org": {"username": USERNAME, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET},
        "objects": objects, "records": records}))
}

const OBJECT: &str = ".object-meta.xml";
const FIELD: &str = ".field-meta.xml";
const VALUE_SET: &str = ".globalValueSet-meta.xml";

fn is_value_set(path: &str) -> bool {
    path.ends_with(VALUE_SET)
}

/// Files of records lie in folders named `data`.
fn is_data(path: &str) -> bool {
    let mut folders = path.rsplit('/').skip(1);
    path.ends_with(".json") && folders.any(|folder| folder == "data")
}

/// The object that a file belongs to, and whether the file describes a field.
fn parts(path: &str) -> Option<(&str, bool)> {
    let mut parts = path.rsplit('/');
    match (parts.next()?, parts.next()?, parts.next()) {
        (file, "fields", Some(object)) if file.ends_with(FIELD) && parts.next() == Some("objects") => {
            Some((object, true))
        }
        (file, object, Some("objects")) if file.ends_with(OBJECT) => Some((object, false)),
        _ => None,
    }
}

fn entry<'o>(objects: &'o mut Objects, name: &str) -> &'o mut Described {
    let place = objects.len();
    objects.entry(name.to_owned()).or_insert_with(|| {
        let object = if names::is_custom(name) { custom(name, place) } else { standard::object(name, place) };
        Described { object, files: BTreeMap::new() }
    })
}

/// A custom object before its file is read.
fn custom(name: &str, place: usize) -> Value {
    let mut object = names::flags(name);
    object["name"] = name.into();
    object["label"] = name.trim_end_matches("__c").replace('_', " ").into();
    object["labelPlural"] = object["label"].clone();
    object["keyPrefix"] = names::key_prefix(name, place).into();
    object["fields"] =
        json!([{"name": "Name", "type": "string", "label": "Name", "length": 80, "nameField": true, "idLookup": true}]);
    object
}

fn set_object(described: &mut Described, name: &str, source: &Source) -> Result<(), LoadError> {
    let file = Metadata::parse(source, "CustomObject")?;
    let root = file.root();
    let object = &mut described.object;
    for (from, to) in [("label", "label"), ("pluralLabel", "labelPlural")] {
        if let Some(text) = root.text(from) {
            object[to] = text.into();
        }
    }
    if root.child("customSettingsType").is_some() {
        object["customSetting"] = true.into();
    }
    if root.text("sharingModel") == Some("ControlledByParent") {
        object["controlledByParent"] = true.into();
    }
    let Some(title) = root.child("nameField").filter(|_| names::is_custom(name)) else { return Ok(()) };
    let field = &mut object["fields"][0];
    field["label"] = title.text("label").unwrap_or("Name").into();
    match title.text("type") {
        Some("AutoNumber") => {
            *field = json!({"name": "Name", "type": "string", "label": field["label"], "nameField": true, "idLookup": true,
                "autoNumber": true, "displayFormat": title.text("displayFormat")});
        }
        Some("Text") | None => {}
        Some(other) => return Err(title.error(format!("the name of `{name}` has the unknown type `{other}`"))),
    }
    Ok(())
}

fn add_fields(described: &mut Described, object: &str, source: &Source, sets: &ValueSets) -> Result<(), LoadError> {
    let file = Metadata::parse(source, "CustomField")?;
    for field in fields::read(file.root(), sets)? {
        let name = field["name"].as_str().unwrap_or_default().to_owned();
        // A project of several packages may hold an object in parts, but no field twice.
        if let Some(before) = described.files.insert(name.clone(), source.path.clone()) {
            let message = format!("`{object}.{name}` is described in `{}` as well", before.display());
            return Err(LoadError::new(&source.path, message));
        }
        let Some(fields) = described.object["fields"].as_array_mut() else { continue };
        match fields.iter_mut().find(|known| known["name"] == name.as_str()) {
            Some(known) => *known = field,
            None => fields.push(field),
        }
    }
    Ok(())
}

/// Standard objects that lookups lead to are there without a file; custom ones must have theirs. Owners come last.
fn complete(objects: &mut Objects) -> Result<(), LoadError> {
    // A standard object may bring lookups of its own, so this goes on until nothing is missing.
    loop {
        let mut wanted = Vec::new();
        for described in objects.values() {
            for field in described.object["fields"].as_array().into_iter().flatten() {
                let targets = field["referenceTo"].as_array().into_iter().flatten().filter_map(Value::as_str);
                for target in targets.filter(|target| !objects.contains_key(*target)) {
                    let name = field["name"].as_str().unwrap_or_default();
                    if let (true, Some(file)) = (names::is_custom(target), described.files.get(name)) {
                        let message = format!("`{name}` leads to `{target}`, and the project has no such object");
                        return Err(LoadError::new(file, message));
                    }
                    wanted.push(target.to_owned());
                }
            }
        }
        if wanted.is_empty() {
            break;
        }
        for name in &wanted {
            entry(objects, name);
        }
    }
    for (name, described) in objects {
        let fields = described.object["fields"].as_array().into_iter().flatten();
        // A detail belongs to the owner of its master.
        let owned = fields.clone().any(|field| field["name"] == "OwnerId" || field["cascadeDelete"] == true);
        let settings = described.object["customSetting"] == true || described.object["controlledByParent"] == true;
        let owner = name.ends_with("__c") && !owned && !settings;
        if let (true, Some(fields)) = (owner, described.object["fields"].as_array_mut()) {
            fields.push(standard::owner());
        }
        if let Some(members) = described.object.as_object_mut() {
            members.remove("controlledByParent");
        }
    }
    Ok(())
}
