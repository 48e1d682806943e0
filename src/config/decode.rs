//! A value of a definition file -> the struct that its schema describes.

use std::collections::HashSet;

use serde::de::DeserializeOwned;

use super::read::SourceFile;
use super::{explain, schema, yaml};
use crate::diagnostic::{Diagnostic, Place};

/// Checks a value against its schema and decodes it.
pub fn decode<T: DeserializeOwned>(
    file: &SourceFile,
    schema_name: &str,
    value: serde_yaml::Value,
    findings: &mut Vec<Diagnostic>,
) -> Option<T> {
    decode_but(file, schema_name, value, |_| false, findings)
}

/// The same, without the findings at places that cannot be judged.
pub fn decode_but<T: DeserializeOwned>(
    file: &SourceFile,
    schema_name: &str,
    value: serde_yaml::Value,
    open: impl Fn(&Place) -> bool,
    findings: &mut Vec<Diagnostic>,
) -> Option<T> {
    let definition = schema::definition(schema_name)?;
    let mut violations = explain::check(file, definition, &yaml::to_json(&value));
    // What a target overrides stands in the document twice, and in the file once.
    let mut told = HashSet::new();
    violations.retain(|finding| {
        let mut is_new = || told.insert((finding.code, file.locate(&finding.place), finding.message.clone()));
        !open(&finding.place) && (file.over.is_empty() || is_new())
    });
    if !violations.is_empty() {
        findings.extend(violations);
        return None;
    }
    match yaml::decode(value) {
        Ok(config) => Some(config),
        Err(error) => {
            findings.push(Diagnostic::error("SL1005", &file.name, Place::File, error));
            None
        }
    }
}
