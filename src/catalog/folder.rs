//! The folder `catalog/`: one file an object, named by connection and object.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use super::form::{self, SourceFile, TargetFile, VERSION};
use super::{Catalog, text};
use crate::config::files::Files;
use crate::config::read::SourceFile as Shown;
use crate::diagnostic::{Diagnostic, Place};
use crate::sys::files::{self, ReadError, Readers, list_below, read_below};

/// Name of the folder.
pub const FOLDER: &str = "catalog";

/// Largest file, in bytes: objects have at most a thousand or so fields.
/// Far more than an object needs, and it keeps a stray file of gigabytes from being read into memory.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Most files.
/// Keeps a folder that is no catalog from being read file by file.
const FILES_MAX: usize = 4_000;

/// The folder of a target's catalog; that of a project without targets is [`FOLDER`] itself.
pub fn of_target(target: Option<&str>) -> String {
    target.map_or_else(|| FOLDER.to_owned(), |target| format!("{FOLDER}/{target}"))
}

/// Reads a folder; a missing one is empty. Files that are no good are left out and found fault with; their texts come
/// back, so that the findings can be shown in them.
pub fn read(files: &Files, folder: &str) -> (Catalog, Vec<Diagnostic>, Vec<Shown>) {
    let mut catalog = Catalog::default();
    let (mut findings, mut shown) = (Vec::new(), Vec::new());
    // By connection: its portal, and the file that said so first, which the finding names.
    let mut portals: BTreeMap<String, (u64, String)> = BTreeMap::new();
    let names = match files.list(folder, FILES_MAX) {
        Ok(names) => names,
        Err(ReadError::Outside) => {
            let message = format!("{folder}/ is a link to a place outside the project: nothing in it was read");
            let finding = Diagnostic::error("SL1030", &folder.into(), Place::File, message);
            findings.push(finding.with_help("put the folder itself inside the project"));
            Vec::new()
        }
        // A project without a catalog is usual: nothing was pulled yet.
        Err(_) => Vec::new(),
    };
    // A README beside the files is welcome.
    for name in names.into_iter().filter(|name| name.ends_with(".json")) {
        let path = format!("{folder}/{name}");
        let file: Arc<str> = path.as_str().into();
        let read = one(files, &path);
        let (text, parsed) = match read {
            Ok((text, parsed)) => (text, parsed),
            Err(message) => (String::new(), Err(message)),
        };
        match parsed {
            Ok(File::Source(source)) => catalog.put_source(&source.connection.clone(), source.object()),
            Ok(File::Target(target)) => {
                let connection = target.connection.clone();
                let entry = target.entry();
                let first = portals.entry(connection.clone()).or_insert((entry.portal_id, path.clone()));
                // A folder that mixes two portals comes from a merge or a copy; type ids of one would be used for the
                // other.
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
                    shown.push(Shown::plain(file, text));
                    continue;
                }
                catalog.put_target(&connection, entry);
            }
            // One bad file does not hide the others: each object stands alone, and what it lacks is asked of the
            // system.
            Err(message) => {
                let finding = Diagnostic::error("SL3008", &file, Place::File, message);
                findings.push(finding.with_help("take the file away; `syncline catalog pull` writes what is missing"));
                shown.push(Shown::plain(file, text));
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

/// A file's text beside what it says, as a finding shows the text even where it is no catalog.
fn one(files: &Files, path: &str) -> Result<(String, Parsed), String> {
    let bytes = files.read(path, FILE_BYTES_MAX).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes).map_err(|_| "the file is not UTF-8".to_owned())?;
    let parsed = parse(&text);
    Ok((text, parsed))
}

fn parse(text: &str) -> Parsed {
    const NO_VERSION: &str = "it is no file of the catalog: it has no `version`";
    // A list would be taken for the members of a file by their places.
    if text.trim_start().starts_with('[') {
        return Err(NO_VERSION.to_owned());
    }
    let beginning: Beginning = serde_json::from_str(text).map_err(|error| {
        if error.is_data() {
            return format!("it is no file of the catalog: {error}");
        }
        // The usual cause of broken files that are in git, and a JSON parser's message would not lead to it.
        let conflict = text.lines().any(|line| line.starts_with("<<<<<<< "));
        if conflict { "it contains merge conflict markers".to_owned() } else { format!("it is not JSON: {error}") }
    })?;
    // The version is read first, so that a newer form is called newer and not malformed.
    match beginning.version {
        Some(version) if version == u64::from(VERSION) => {}
        Some(version) => return Err(format!("its form has version {version}, this Syncline knows {VERSION}")),
        None => return Err(NO_VERSION.to_owned()),
    }
    // The two forms are told apart by what only one of them can have, as Salesforce has fields.
    match beginning.properties {
        Some(IgnoredAny) => decode(text).map(File::Target),
        None => decode(text).map(File::Source),
    }
}

/// What tells which form a file has.
#[derive(Deserialize)]
struct Beginning {
    version: Option<u64>,
    properties: Option<IgnoredAny>,
}

fn decode<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| format!("it is no file of the catalog: {error}"))
}

/// The files that the catalog is kept in: path relative to the project, and text.
pub fn texts(catalog: &Catalog, folder: &str) -> BTreeMap<String, String> {
    let sources = catalog.sources.iter().map(|((connection, _), source)| {
        (path(folder, connection, &source.name), rendered(&form::of_source(connection, source)))
    });
    let targets = catalog.targets.iter().map(|((connection, name), target)| {
        (path(folder, connection, name), rendered(&form::of_target(connection, target)))
    });
    sources.chain(targets).collect()
}

/// What a pull did to the folder, by the paths of the files.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Files that are new or have another content now.
    pub written: Vec<String>,
    /// Files of objects that are no longer in the catalog, which are gone.
    pub removed: Vec<String>,
    /// Files that are none of the catalog's, and were left as they are.
    pub kept: Vec<String>,
}

/// Writes the files that differ and removes those of objects that are no longer in the catalog; names what it did. Files of
/// another form stay, whatever they are called, and no link is followed.
pub fn write(root: &Path, catalog: &Catalog, folder: &str) -> io::Result<Written> {
    for part in [FOLDER, folder] {
        // Following a link would write into, and remove from, a folder outside the project.
        if fs::symlink_metadata(root.join(part)).is_ok_and(|found| !found.is_dir()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is a link or a file, and no folder of the project",
            ));
        }
    }
    fs::create_dir_all(root.join(folder))?;
    let texts = texts(catalog, folder);
    let mut done = Written::default();
    for (path, text) in &texts {
        // An untouched file keeps its time stamp, and git sees nothing to compare.
        if read_below(root, path, FILE_BYTES_MAX).is_ok_and(|before| before == text.as_bytes()) {
            continue;
        }
        // Whole or not at all: a broken pull leaves a catalog that can be read.
        files::replace(&root.join(path), text.as_bytes(), Readers::Usual)?;
        done.written.push(path.clone());
    }
    for name in list_below(root, folder, usize::MAX).unwrap_or_default().into_iter().map(|(name, _)| name) {
        let path = format!("{folder}/{name}");
        if !name.ends_with(".json") || texts.contains_key(&path) {
            continue;
        }
        // A person's own JSON in this folder is not ours to remove.
        if is_own(root, &path) {
            fs::remove_file(root.join(&path))?;
            done.removed.push(path);
        } else {
            done.kept.push(path);
        }
    }
    Ok(done)
}

/// Whether a file was written by a pull: a regular one, whose content is of the catalog's form and belongs to its name.
pub fn is_own(root: &Path, path: &str) -> bool {
    let regular = fs::symlink_metadata(root.join(path)).is_ok_and(|found| found.is_file());
    // A file that is too large or no text was not written by a pull.
    let text = || String::from_utf8(read_below(root, path, FILE_BYTES_MAX).ok()?).ok();
    let folder = path.rsplit_once('/').map_or(FOLDER, |(folder, _)| folder);
    let names = |text: String| match parse(&text).ok()? {
        File::Source(source) => Some(vec![self::path(folder, &source.connection.clone(), &source.object().name)]),
        File::Target(target) => {
            let (connection, object) = (target.connection.clone(), target.entry().object);
            // A standard object that shares its name with a custom one is kept under its type id.
            Some([object.name, object.object_type_id].map(|name| self::path(folder, &connection, &name)).to_vec())
        }
    };
    // Letter case is ignored: on some file systems a pull keeps the spelling that the file had before.
    regular && text().and_then(names).is_some_and(|names| names.iter().any(|name| name.eq_ignore_ascii_case(path)))
}

fn rendered<T: Serialize>(file: &T) -> String {
    text::pretty(&serde_json::to_value(file).unwrap_or_default())
}

/// The connection and the object that a file is named by, as far as its name tells.
pub fn named(path: &str) -> Option<(String, String)> {
    let name = path.strip_prefix(FOLDER)?.rsplit_once('/')?.1.strip_suffix(".json")?;
    // The names of connections hold no dot, so the first one ends the connection's.
    let (connection, object) = name.split_once('.')?;
    Some((connection.to_owned(), object.to_owned()))
}

/// A file's path; letters that mean something in a path are replaced.
fn path(folder: &str, connection: &str, object: &str) -> String {
    let clean = |text: &str| -> String {
        // A name from a file or an API must not lead out of the folder, and some systems refuse a colon or a star in
        // names.
        let keep = |letter: char| letter.is_alphanumeric() || "_-".contains(letter);
        text.chars().map(|letter| if keep(letter) { letter } else { '_' }).collect()
    };
    format!("{folder}/{}.{}.json", clean(connection), clean(object))
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
        let label = AssociationType { category: "USER_DEFINED".into(), type_id: 5, label: Some("x".to_owned()) };
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
        let written = write(folder.path(), &catalog, FOLDER).unwrap().written;
        assert!(written.contains(&"catalog/salesforce.Subscription__c.json".to_owned()), "{written:?}");
        let files = Files::Folder(folder.path().to_owned());
        let (again, findings, _) = read(&files, FOLDER);
        assert_eq!(findings, []);
        assert_eq!(texts(&again, FOLDER), texts(&catalog, FOLDER));
        assert_eq!(write(folder.path(), &again, FOLDER).unwrap(), Written::default());
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

    #[test]
    fn only_files_of_a_pull_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        write(root, &catalog(), FOLDER).unwrap();
        let sample = fs::read_to_string(root.join("catalog/hubspot.subscriptions.json")).unwrap();
        let other = sample.replace("\"object\": \"subscriptions\"", "\"object\": \"gone\"");
        let (gone, elsewhere) = ("catalog/hubspot.gone.json", folder.path().join("elsewhere.json"));
        let stay = ["notes.json", "hubspot.notes.json", "hubspot.renamed.json", "a.b.json", "hubspot.broken.json"];
        fs::write(root.join(gone), &other).unwrap();
        for (name, text) in stay.iter().zip(["{}", "{\"version\": 1}", &other, "[1]", "{"]) {
            fs::write(root.join("catalog").join(name), text).unwrap();
        }
        fs::write(&elsewhere, &other).unwrap();
        std::os::unix::fs::symlink(&elsewhere, root.join("catalog/hubspot.gone2.json")).unwrap();
        fs::create_dir(root.join("catalog/folder.json")).unwrap();
        let mut done = write(root, &catalog(), FOLDER).unwrap();
        assert_eq!((done.written, done.removed), (vec![], vec![gone.to_owned()]));
        let mut kept: Vec<String> = stay.iter().map(|name| format!("catalog/{name}")).collect();
        kept.extend(["catalog/hubspot.gone2.json".to_owned(), "catalog/folder.json".to_owned()]);
        kept.sort();
        done.kept.sort();
        assert_eq!(done.kept, kept);
        for path in kept {
            assert!(root.join(&path).symlink_metadata().is_ok(), "{path}");
        }
        // Neither the file nor the folder is written through a link.
        let victim = root.join("victim");
        fs::write(&victim, "precious").unwrap();
        fs::remove_file(root.join("catalog/hubspot.subscriptions.json")).unwrap();
        std::os::unix::fs::symlink(&victim, root.join("catalog/hubspot.subscriptions.json")).unwrap();
        assert!(write(root, &catalog(), FOLDER).is_err());
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        let second = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(root.join("catalog"), second.path().join("catalog")).unwrap();
        assert!(write(second.path(), &Catalog::default(), FOLDER).is_err());
        let (_, findings, _) = read(&Files::Folder(second.path().to_owned()), FOLDER);
        assert_eq!(findings[0].code, "SL1030");
    }

    #[track_caller]
    fn check(name: &str, text: &str, code: &str, part: &str) {
        let mut files: BTreeMap<String, Vec<u8>> =
            texts(&catalog(), FOLDER).into_iter().map(|(path, text)| (path, text.into_bytes())).collect();
        files.insert(format!("catalog/{name}"), text.as_bytes().to_vec());
        let (_, findings, shown) = read(&Files::Snapshot(files), FOLDER);
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
        let other = texts(&catalog(), FOLDER)
            .into_iter()
            .find_map(|(path, text)| path.contains("hubspot.").then_some(text))
            .unwrap()
            .replace("\"portal_id\": 7", "\"portal_id\": 8");
        check("hubspot.zzz.json", &other, "SL3009", "portal 8");
    }
}
