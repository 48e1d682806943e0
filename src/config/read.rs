//! One definition file: read with limits, indexed, parsed.

use std::sync::Arc;

use super::files::{Files, ReadError};
use super::spans::{self, Spans, within};
use super::yaml;
use crate::diagnostic::{Diagnostic, Place};

/// Largest definition file, in bytes.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// A file's text with the places of everything in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceFile {
    /// Name relative to the project.
    pub name: Arc<str>,
    /// The text.
    pub text: String,
    /// Where everything stands.
    pub spans: Spans,
    /// Decoded scalars that findings point into, by pointer.
    pub scalars: Vec<(String, String)>,
}

impl SourceFile {
    /// The place in bytes; the whole file is its first line.
    pub fn locate(&self, place: &Place) -> std::ops::Range<usize> {
        let first_line = 0..self.text.lines().next().map_or(0, str::len);
        let found = match place {
            Place::File => None,
            Place::Key(pointer) => self.spans.key(pointer).or_else(|| self.spans.nearest(pointer)),
            Place::Value(pointer) => self.value(pointer),
            Place::Within(pointer, part) => self.spans.value(pointer).map(|scalar| {
                let decoded = self.scalars.iter().find(|(own, _)| own == pointer);
                decoded.map_or(scalar.clone(), |(_, decoded)| within(&self.text, scalar.clone(), decoded, part.clone()))
            }),
            Place::Bytes(bytes) => Some(bytes.clone()),
        };
        found.unwrap_or(first_line)
    }

    /// A value's place; of one that takes several lines, its key.
    fn value(&self, pointer: &str) -> Option<std::ops::Range<usize>> {
        let span = self.spans.value(pointer);
        match span {
            Some(span) if !self.text.get(span.clone()).is_some_and(|text| text.contains('\n')) => Some(span),
            Some(span) => self.spans.key(pointer).or_else(|| {
                let line = self.text.get(span.clone()).and_then(|text| text.lines().next()).map_or(0, str::len);
                Some(span.start..span.start + line)
            }),
            None => self.spans.nearest(pointer),
        }
    }
}

/// Reads, indexes and parses one file. The text comes back even when it is no good, so that findings can be shown in it.
pub fn read(files: &Files, path: &str, name: &Arc<str>) -> (SourceFile, Result<serde_yaml::Value, Diagnostic>) {
    let mut file = SourceFile { name: Arc::clone(name), ..SourceFile::default() };
    match text(files, path) {
        Ok(text) => file.text = text,
        Err((code, message, help)) => {
            return (file, Err(Diagnostic::error(code, name, Place::File, message).with_help(help)));
        }
    }
    let value = parse(&mut file);
    (file, value)
}

/// Indexes and parses a text.
pub fn parse(file: &mut SourceFile) -> Result<serde_yaml::Value, Diagnostic> {
    let name = Arc::clone(&file.name);
    if file.text.trim().is_empty() {
        let finding = Diagnostic::error("SL1001", &name, Place::File, "the file is empty");
        return Err(finding.with_help("start with `version: 1`"));
    }
    match spans::index(&file.text) {
        Ok(spans) => file.spans = spans,
        Err(refused) => {
            let finding = Diagnostic::error(refused.code, &name, Place::Bytes(refused.span), refused.message);
            return Err(refused.help.map_or(finding.clone(), |help| finding.with_help(help)));
        }
    }
    let value = yaml::parse(&file.text).map_err(|error| {
        let at = error.offset.unwrap_or_default().min(file.text.len());
        Diagnostic::error("SL1002", &name, Place::Bytes(at..at), error.message)
    })?;
    collect_scalars(&value, String::new(), &mut file.scalars);
    Ok(value)
}

fn collect_scalars(value: &serde_yaml::Value, pointer: String, scalars: &mut Vec<(String, String)>) {
    match value {
        serde_yaml::Value::String(text) => scalars.push((pointer, text.clone())),
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

/// A file's text within the limits; a byte order mark is left out.
fn text(files: &Files, path: &str) -> Result<String, (&'static str, String, String)> {
    let bytes = files.read(path, FILE_BYTES_MAX).map_err(|error| match error {
        ReadError::TooLarge => {
            ("SL1011", "the file has more than 1 MiB".to_owned(), "no definition needs that".to_owned())
        }
        ReadError::NotAFile => ("SL1001", error.to_string(), "put a YAML file there".to_owned()),
        ReadError::Io(_) => ("SL1001", error.to_string(), "check the path and its permissions".to_owned()),
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        (
            "SL1001",
            format!("the file is not UTF-8: byte {at} does not belong to any character"),
            "save it as UTF-8".to_owned(),
        )
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}
