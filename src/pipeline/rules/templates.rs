//! Rules about templates: each can be read, names fields that exist, and does not fail for every record.

use std::ops::Range;
use std::sync::Arc;

use super::context::{Columns, Entry, name};
use crate::diagnostic::{Diagnostic, Place};
use crate::model::object::FieldKind;
use crate::pipeline::compiled::FieldSource;
use crate::pipeline::field::Lookup;
use crate::pipeline::template::{Template, TemplateError};

/// Compiles the template of a field entry: its fields become columns.
pub(super) fn compile(
    entry: &Entry<'_>,
    source: &str,
    columns: &mut Columns,
    findings: &mut Vec<Diagnostic>,
) -> Option<FieldSource> {
    let pointer = entry.pointer("template");
    let template = read(entry.cx.file, &pointer, source, findings)?;
    let mut places = Vec::new();
    // All paths are looked up before any stops the entry, so that each misspelt one is pointed at.
    for (path, span) in template.paths().zip(template.places()) {
        places.push(field(entry, path, Place::Within(pointer.clone(), span), columns, findings));
    }
    let kinds: Vec<Option<FieldKind>> =
        places.iter().map(|place| place.as_ref().map(|(_, kind)| kind.clone())).collect();
    check(entry.cx.file, &pointer, &template, &kinds, findings);
    if let Some(span) = template.now() {
        findings.push(changing(entry, Place::Within(pointer, span)));
    }
    let places: Option<Vec<_>> = places.into_iter().collect();
    places.map(|places| FieldSource::Template(template, places))
}

/// The rules that need no described object.
pub(super) fn offline(file: &Arc<str>, pointer: &str, source: &str, findings: &mut Vec<Diagnostic>) {
    if let Some(template) = read(file, pointer, source, findings) {
        // Without the types of fields, only what fails whatever they are is found.
        check(file, pointer, &template, &[], findings);
    }
}

/// None where the text is no template, which is a finding.
fn read(file: &Arc<str>, pointer: &str, source: &str, findings: &mut Vec<Diagnostic>) -> Option<Template> {
    match Template::read(source) {
        Ok(template) => Some(template),
        Err(error) => {
            findings.push(finding("SL2039", file, pointer, error));
            None
        }
    }
}

fn check(
    file: &Arc<str>,
    pointer: &str,
    template: &Template,
    kinds: &[Option<FieldKind>],
    findings: &mut Vec<Diagnostic>,
) {
    let why = "it would reject every record, or every one that is not blank there";
    let found = template.check(kinds).into_iter();
    findings.extend(found.map(|error| finding("SL2059", file, pointer, error).with_why(why)));
}

fn finding(code: &'static str, file: &Arc<str>, pointer: &str, error: TemplateError) -> Diagnostic {
    let Range { start, end } = error.span;
    let place = Place::Within(pointer.to_owned(), start..end);
    let finding = Diagnostic::error(code, file, place, error.message);
    match error.help {
        Some(help) => finding.with_help(help),
        None => finding,
    }
}

/// A warning where a template asks for the time: its value changes although the record does not.
fn changing(entry: &Entry<'_>, place: Place) -> Diagnostic {
    let message = "`now` is the beginning of the run: the value changes, and that alone is not noticed at once";
    let why = "a sync reads the records that changed, and time alone changes none";
    let help = entry.cx.reconciled();
    Diagnostic::warning("SL2050", entry.cx.file, place, message).with_why(why).with_help(help)
}

/// One field that a template names: its column and type.
fn field(
    entry: &Entry<'_>,
    path: &str,
    place: Place,
    columns: &mut Columns,
    findings: &mut Vec<Diagnostic>,
) -> Option<(usize, FieldKind)> {
    use FieldKind as F;
    let error = |message: String| Diagnostic::error("SL2040", entry.cx.file, place.clone(), message);
    let field = match entry.cx.objects.find(path) {
        Lookup::Found(field) => field,
        Lookup::NotDescribed(object) => {
            findings.push(error(format!("`{object}` was not described")));
            return None;
        }
        Lookup::Missing { message, help } => {
            let finding = error(message);
            findings.push(match help {
                Some(help) => finding.with_help(help),
                None => finding,
            });
            return None;
        }
    };
    // Salesforce gives these as objects, as a file's bytes, or in a form that is not known.
    if matches!(field.kind, F::Address | F::Location | F::Base64 | F::AnyType | F::Other(_)) {
        let message = format!("a template cannot read `{path}`, which is of type {}", name(&field.kind));
        findings.push(error(message).with_help("name the parts of an address or a location one by one"));
        return None;
    }
    findings.extend(entry.cx.unnoticed(path, field, place));
    Some((entry.place(entry.cx.objects.true_spelling(path), field.kind.clone(), columns), field.kind.clone()))
}
