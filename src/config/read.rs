//! One definition file: read with limits, indexed, parsed.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use super::associate::place_in_file;
use super::compose::{compose, places};
use super::files::Files;
use super::project::is_about_accounts;
use super::schema::{self, Definition};
use super::spans::{Spans, within};
use super::{hide, typed, yaml};
use crate::diagnostic::{Diagnostic, Place};
use crate::sys::files::ReadError;

/// Largest definition file, in bytes.
/// A pipeline of 650 fields with all its value maps takes a tenth of that.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// A file's text with the places of everything in it.
#[derive(Debug, Clone, Default)]
pub struct SourceFile {
    /// Name relative to the project.
    pub name: Arc<str>,
    /// The text.
    pub text: String,
    /// The text with its secrets covered; empty where it has none.
    pub covered: String,
    /// The pointer of what is put over the rest: a place that stands below it is found there. Empty where nothing is.
    pub over: String,
    /// The schema whose types its scalars have; none where it is no definition or no YAML: then nothing in it is found by a pointer.
    schema_name: Option<&'static str>,
    /// Made when it is asked for, once for all copies: a file that is good has no finding that would need a place in it. It is of the text as
    /// it was read, which stays what it is.
    index: Arc<OnceLock<Index>>,
}

/// What stands where in a file.
#[derive(Debug, Clone, Default)]
struct Index {
    spans: Spans,
    /// Decoded scalars that findings point into, by pointer.
    scalars: BTreeMap<String, String>,
}

impl SourceFile {
    /// A file that is no definition: a finding about it is about the whole of it, or names the bytes.
    pub fn plain(name: Arc<str>, text: String) -> Self {
        Self { name, text, ..Self::default() }
    }

    /// With its secrets covered in this text, of the same lines and columns.
    pub fn with_covered(self, covered: String) -> Self {
        Self { covered, ..self }
    }

    /// The text as it may be quoted: with the same lines and columns, and no secret.
    pub fn quotable(&self) -> &str {
        if self.covered.is_empty() { &self.text } else { &self.covered }
    }

    fn index(&self) -> &Index {
        self.index.get_or_init(|| {
            let document = self.schema_name.and_then(|name| Some((name, places(&self.text).ok()?)));
            let Some((name, document)) = document else { return Index::default() };
            let mut scalars = BTreeMap::new();
            if let Some(root) = document.root {
                collect_scalars(
                    &typed::value(root, schema::definition(name).map(Definition::expected)),
                    String::new(),
                    &mut scalars,
                );
            }
            Index { spans: document.spans, scalars }
        })
    }

    /// Where everything stands; nothing of a file that is no YAML.
    pub fn spans(&self) -> &Spans {
        &self.index().spans
    }

    /// The texts in it, by pointer.
    pub fn scalars(&self) -> &BTreeMap<String, String> {
        &self.index().scalars
    }

    /// Whether a place is one that is put over by another.
    pub fn is_overridden(&self, pointer: &str) -> bool {
        !self.over.is_empty() && self.spans().value(&format!("{}{pointer}", self.over)).is_some()
    }

    /// The place in bytes; the whole file is the first line that says something.
    pub fn locate(&self, place: &Place) -> std::ops::Range<usize> {
        let moved = match place {
            Place::Key(pointer) | Place::Value(pointer) if self.spans().value("/associate").is_some() => {
                place_in_file(pointer).map(Place::Value)
            }
            Place::Key(pointer) if self.is_overridden(pointer) => Some(Place::Key(format!("{}{pointer}", self.over))),
            Place::Value(pointer) if self.is_overridden(pointer) => {
                Some(Place::Value(format!("{}{pointer}", self.over)))
            }
            Place::Key(_) | Place::Value(_) | Place::File | Place::Within(..) | Place::Bytes(_) => None,
        };
        let found = match moved.as_ref().unwrap_or(place) {
            Place::File => None,
            Place::Key(pointer) => self.spans().key(pointer).or_else(|| self.spans().nearest(pointer)),
            Place::Value(pointer) => self.value(pointer),
            Place::Within(pointer, part) => self.spans().value(pointer).map(|scalar| {
                let decoded = self.scalars().get(pointer);
                decoded.map_or(scalar.clone(), |decoded| within(&self.text, scalar.clone(), decoded, part.clone()))
            }),
            Place::Bytes(bytes) => Some(bytes.clone()),
        };
        // A finding always has a place: a message without one could not be shown in an editor.
        found.unwrap_or_else(|| self.first_line())
    }

    /// The first line that is neither blank nor a comment (an editor's modeline is one); else the first of all.
    fn first_line(&self) -> std::ops::Range<usize> {
        let mut start = 0;
        for line in self.text.split_inclusive('\n') {
            let text = line.trim_end();
            if !text.is_empty() && !text.trim_start().starts_with('#') && text != "---" {
                return start..start + text.len();
            }
            start += line.len();
        }
        0..self.text.lines().next().map_or(0, str::len)
    }

    /// Where the other places of a finding are.
    pub fn locate_others(&self, finding: &Diagnostic) -> Vec<std::ops::Range<usize>> {
        finding.others.iter().map(|(place, _)| self.locate(place)).collect()
    }

    /// A value's place; of one that takes several lines, its key.
    fn value(&self, pointer: &str) -> Option<std::ops::Range<usize>> {
        let span = self.spans().value(pointer);
        match span {
            // A caret under thirty lines marks nothing.
            Some(span) if !self.text.get(span.clone()).is_some_and(|text| text.contains('\n')) => Some(span),
            Some(span) => self.spans().key(pointer).or_else(|| {
                let line = self.text.get(span.clone()).and_then(|text| text.lines().next()).map_or(0, str::len);
                Some(span.start..span.start + line)
            }),
            None => self.spans().nearest(pointer),
        }
    }
}

/// Reads one file and gives its scalars the types that the named schema asks for. The text comes back even when it is no good,
/// so that findings can be shown in it.
pub fn read(
    files: &Files,
    path: &str,
    name: &Arc<str>,
    schema_name: &'static str,
) -> (SourceFile, Result<serde_yaml::Value, Diagnostic>) {
    let mut file = SourceFile::plain(Arc::clone(name), String::new());
    if let Err(finding) = text(files, path, &mut file.text) {
        file.covered = hide::covered(&file.text, is_about_accounts(name)).unwrap_or_default();
        return (file, Err(finding.in_file(name)));
    }
    let value = parse(&mut file, schema_name);
    (file, value)
}

/// The same for a text that is there already.
pub fn parse(file: &mut SourceFile, schema_name: &'static str) -> Result<serde_yaml::Value, Diagnostic> {
    let name = Arc::clone(&file.name);
    // Before anything is judged, as any finding may quote the text.
    file.covered = hide::covered(&file.text, is_about_accounts(&name)).unwrap_or_default();
    if file.text.trim().is_empty() {
        let finding = Diagnostic::error("SL1001", &name, Place::File, "the file is empty");
        return Err(finding.with_help("start with `version: 1`"));
    }
    let root = match compose(&file.text) {
        Ok(root) => root,
        Err(refused) => {
            let mut finding = Diagnostic::error(refused.code, &name, Place::Bytes(refused.span), refused.message);
            finding.label = refused.label;
            finding.help = refused.help;
            finding.others.extend(refused.other.map(|(span, label)| (Place::Bytes(span), label.to_owned())));
            return Err(finding);
        }
    };
    file.schema_name = Some(schema_name);
    // Without a root it is a file of comments alone; the schema says what is missing.
    Ok(root.map_or(serde_yaml::Value::Null, |root| {
        typed::value(root, schema::definition(schema_name).map(Definition::expected))
    }))
}

fn collect_scalars(value: &serde_yaml::Value, pointer: String, scalars: &mut BTreeMap<String, String>) {
    match value {
        serde_yaml::Value::String(text) => drop(scalars.insert(pointer, text.clone())),
        serde_yaml::Value::Sequence(items) => {
            for (index, item) in items.iter().enumerate() {
                collect_scalars(item, format!("{pointer}/{index}"), scalars);
            }
        }
        serde_yaml::Value::Mapping(entries) => {
            for (key, item) in entries {
                collect_scalars(item, format!("{pointer}/{}", yaml::escape(&yaml::key_text(key))), scalars);
            }
        }
        _ => {}
    }
}

/// Why a file has no text.
struct NoText {
    place: Place,
    code: &'static str,
    message: String,
    help: &'static str,
}

impl NoText {
    fn in_file(self, name: &Arc<str>) -> Diagnostic {
        Diagnostic::error(self.code, name, self.place, self.message).with_help(self.help)
    }
}

/// A file's text within the limits; a byte order mark is left out.
fn text(files: &Files, path: &str, into: &mut String) -> Result<(), NoText> {
    let refused = |code, message: String, help| NoText { place: Place::File, code, message, help };
    let bytes = files.read(path, FILE_BYTES_MAX).map_err(|error| match error {
        ReadError::TooLarge => refused("SL1011", "the file has more than 1 MiB".to_owned(), "no definition needs that"),
        ReadError::Outside => refused("SL1030", error.to_string(), "put the file itself there"),
        ReadError::NotAFile => refused("SL1001", error.to_string(), "put a YAML file there"),
        ReadError::Io(_) => refused("SL1001", error.to_string(), "check the path and its permissions"),
    })?;
    match String::from_utf8(bytes) {
        Ok(text) => {
            // Places are counted without it, as editors count columns.
            *into = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
            Ok(())
        }
        Err(error) => {
            // What can be read is shown, with a mark for each byte that cannot.
            let at = error.utf8_error().valid_up_to();
            let byte = error.as_bytes()[at];
            *into = String::from_utf8_lossy(error.as_bytes()).into_owned();
            Err(NoText {
                place: Place::Bytes(at..at + '\u{fffd}'.len_utf8()),
                code: "SL1001",
                message: format!("the file is not UTF-8: the byte 0x{byte:02X} is not part of a character"),
                help: "save it as UTF-8",
            })
        }
    }
}
