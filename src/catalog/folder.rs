//! The folder `catalog/`: one file an object, named by connection and object.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::form::{self, SourceFile, TargetFile, VERSION};
use super::{Catalog, text};
use crate::config::files::Files;
use crate::config::read::SourceFile as Shown;
use crate::diagnostic::{Diagnostic, Place};

/// Name of the folder.
pub const FOLDER: &str = "catalog";

/// Largest file, in bytes: objects have at most a thousand or so fields.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Most files.
const FILES_MAX: usize = 4_000;

/// Reads the folder; a missing one is empty. Files that are no good are left out and found fault with; their texts come
/// back, so that the findings can be shown in them.
pub fn read(files: &Files) -> (Catalog, Vec<Diagnostic>, Vec<Shown>) {
    let mut catalog = Catalog::default();
    let (mut findings, mut shown) = (Vec::new(), Vec::new());
    let mut portals: BTreeMap<String, (u64, String)> = BTreeMap::new();
    for name in files.list(FOLDER, FILES_MAX).into_iter().filter(|name| name.ends_with(".json")) {
        let path = format!("{FOLDER}/{name}");
        let file: Arc<str> = path.as_str().into();
        let read = one(files, &path);
        let (text, parsed) = match read {
            Ok((text, parsed)) => (text, parsed),
            Err(message) => (String::new(), Err(message)),
        };
        match parsed {
            Ok(File::Source(own)) => catalog.put_source(&own.connection.clone(), own.object()),
            Ok(File::Target(own)) => {
                let connection = own.connection.clone();
                let entry = own.entry();
                let first = portals.entry(connection.clone()).or_insert((entry.portal_id, path.clone()));
                if first.0 != entry.portal_id {
                    let message =
                        format!("it is of portal {}, and {} is of portal {}", entry.portal_id, first.1, first.0);
                    findings.push(
                        Diagnostic::error("SL3009", &file, Place::File, message)
                            .with_why("one connection leads to one portal")
                            .with_help(
                                "remove the files of the portal that is not meant, then `syncline catalog pull`",
                            ),
                    );
                    shown.push(Shown { name: file, text, ..Shown::default() });
                    continue;
                }
                catalog.put_target(&connection, entry);
            }
            Err(message) => {
                let finding = Diagnostic::error("SL3008", &file, Place::File, message);
                findings.push(finding.with_help("`syncline catalog pull` writes it anew"));
                shown.push(Shown { name: file, text, ..Shown::default() });
            }
        }
    }
    (catalog, findings, shown)
}

enum File {
    Source(SourceFile),
    Target(TargetFile),
}

type Parsed = Result<File, String>;

fn one(files: &Files, path: &str) -> Result<(String, Parsed), String> {
    let bytes = files.read(path, FILE_BYTES_MAX).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes).map_err(|_| "the file is not UTF-8".to_owned())?;
    let parsed = parse(&text);
    Ok((text, parsed))
}

fn parse(text: &str) -> Parsed {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        let conflict = text.lines().any(|line| line.starts_with("<<<<<<< "));
        if conflict { "it has marks of a merge conflict".to_owned() } else { format!("it is not JSON: {error}") }
    })?;
    match value["version"].as_u64() {
        Some(version) if version == u64::from(VERSION) => {}
        Some(version) => return Err(format!("its form has version {version}, this Syncline knows {VERSION}")),
        None => return Err("it is no file of the catalog: it has no `version`".to_owned()),
    }
    if value.get("properties").is_some() { decode(value).map(File::Target) } else { decode(value).map(File::Source) }
}

fn decode<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| format!("it is no file of the catalog: {error}"))
}

/// The files that the catalog is kept in: path relative to the project, and text.
pub fn texts(catalog: &Catalog) -> BTreeMap<String, String> {
    let sources = catalog
        .sources
        .iter()
        .map(|((connection, _), own)| (path(connection, &own.name), rendered(&form::of_source(connection, own))));
    let targets = catalog
        .targets
        .iter()
        .map(|((connection, name), own)| (path(connection, name), rendered(&form::of_target(connection, own))));
    sources.chain(targets).collect()
}

/// Writes the files that differ and removes those of objects that are no longer in the catalog; names what it did.
pub fn write(root: &Path, catalog: &Catalog) -> io::Result<Vec<String>> {
    let folder = root.join(FOLDER);
    fs::create_dir_all(&folder)?;
    let texts = texts(catalog);
    let mut changed = Vec::new();
    for (path, text) in &texts {
        let file = root.join(path);
        if fs::read_to_string(&file).is_ok_and(|before| before == *text) {
            continue;
        }
        // Whole or not at all: a broken pull leaves a catalog that can be read.
        let draft = file.with_extension("json.part");
        fs::write(&draft, text)?;
        fs::rename(&draft, &file)?;
        changed.push(path.clone());
    }
    for entry in fs::read_dir(&folder)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{FOLDER}/{name}");
        if name.ends_with(".json") && !texts.contains_key(&path) {
            fs::remove_file(entry.path())?;
            changed.push(path);
        }
    }
    Ok(changed)
}

fn rendered<T: Serialize>(file: &T) -> String {
    text::pretty(&serde_json::to_value(file).unwrap_or_default())
}

/// The connection and the object that a file is named by, as far as its name tells.
pub fn named(path: &str) -> Option<(String, String)> {
    let name = path.strip_prefix(FOLDER)?.strip_prefix('/')?.strip_suffix(".json")?;
    let (connection, object) = name.split_once('.')?;
    Some((connection.to_owned(), object.to_owned()))
}

/// A file's path; letters that mean something in a path are replaced.
fn path(connection: &str, object: &str) -> String {
    let clean = |text: &str| -> String {
        let keep = |letter: char| letter.is_alphanumeric() || "_-".contains(letter);
        text.chars().map(|letter| if keep(letter) { letter } else { '_' }).collect()
    };
    format!("{FOLDER}/{}.{}.json", clean(connection), clean(object))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::TargetEntry;
    use crate::model::association::AssociationType;
    use crate::model::object::{FieldKind, PropertyRule, SourceField};
    use crate::pipeline::fixture::Fixture;

    fn catalog() -> Catalog {
        let fixture = Fixture::new(serde_json::json!([{"from": "Name", "to": "text"}]));
        let mut catalog = Catalog::default();
        for object in fixture.sources.values() {
            catalog.put_source("salesforce", object.clone());
        }
        let label = AssociationType { category: "USER_DEFINED".to_owned(), type_id: 5, label: Some("x".to_owned()) };
        let associations = [("companies".to_owned(), vec![label])].into_iter().collect();
        let mut object = fixture.target;
        let rule = PropertyRule { kind: "MAX_LENGTH".to_owned(), arguments: vec!["50".to_owned()] };
        object.properties.get_mut("text").unwrap().rules.push(rule);
        catalog.put_target("hubspot", TargetEntry { portal_id: 7, object, associations });
        catalog
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = catalog();
        let written = write(folder.path(), &catalog).unwrap();
        assert!(written.contains(&"catalog/salesforce.Subscription__c.json".to_owned()), "{written:?}");
        let files = Files::Folder(folder.path().to_owned());
        let (again, findings, _) = read(&files);
        assert_eq!(findings, []);
        assert_eq!(texts(&again), texts(&catalog));
        assert_eq!(write(folder.path(), &again).unwrap(), Vec::<String>::new());
        let target =
            |catalog: &Catalog| catalog.target("hubspot", "subscriptions").unwrap().object.properties["text"].clone();
        assert_eq!(target(&again).rules, target(&catalog).rules);
        let source = again.source("salesforce", "SUBSCRIPTION__C").unwrap();
        for field in &catalog.source("salesforce", "Subscription__c").unwrap().fields {
            // A boolean is never blank, whatever describe says.
            let nillable = field.nillable && field.kind != FieldKind::Boolean;
            assert_eq!(source.field(&field.name), Some(&SourceField { nillable, ..field.clone() }));
        }
    }

    #[track_caller]
    fn check(name: &str, text: &str, code: &str, part: &str) {
        let mut files: BTreeMap<String, Vec<u8>> =
            texts(&catalog()).into_iter().map(|(path, text)| (path, text.into_bytes())).collect();
        files.insert(format!("catalog/{name}"), text.as_bytes().to_vec());
        let (_, findings, shown) = read(&Files::Snapshot(files));
        assert!(findings.len() == 1 && findings[0].code == code && findings[0].message.contains(part), "{findings:?}");
        assert_eq!(shown.len(), 1);
    }

    #[test]
    fn files_that_are_no_good_are_named() {
        check("a.json", "{", "SL3008", "not JSON");
        check("a.json", "{\n<<<<<<< HEAD\n", "SL3008", "merge conflict");
        check("a.json", "[]", "SL3008", "no `version`");
        check("a.json", r#"{"version": 9}"#, "SL3008", "version 9");
        check("a.json", r#"{"version": 1, "fields": {}}"#, "SL3008", "missing field");
        let other = texts(&catalog())
            .into_iter()
            .find_map(|(path, text)| path.contains("hubspot.").then_some(text))
            .unwrap()
            .replace("\"portal_id\": 7", "\"portal_id\": 8");
        check("hubspot.zzz.json", &other, "SL3009", "portal 8");
    }
}
