//! Rules about values: constants, defaults and value maps fit their property, and every picklist value has somewhere to go.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::context::Entry;
use crate::diagnostic::{Diagnostic, Severity};
use crate::model::object::{FieldKind, PropertyKind, SourceField, TargetProperty};
use crate::pipeline::compiled::{Fallback, Field, FieldSource};
use crate::pipeline::values::convert;

/// The values that a property takes; none when they are free or kept elsewhere.
pub(super) fn offered(property: &TargetProperty) -> Option<Arc<[Box<str>]>> {
    match property.kind {
        PropertyKind::Bool => Some(Arc::new(["true".into(), "false".into()])),
        PropertyKind::Enumeration | PropertyKind::MultiCheckbox if !property.external_options => {
            Some(property.options.iter().map(|option| option.value.as_str().into()).collect())
        }
        _ => None,
    }
}

/// Constants, defaults and the right sides of value maps fit the property; they are kept in canonical form.
pub(super) fn literals(entry: &Entry<'_>, field: &mut Field, findings: &mut Vec<Diagnostic>) {
    let mut settle = |text: &str, pointer: String| match literal(text, &field.kind, field.options.as_ref()) {
        Ok(text) => text,
        Err(expected) => {
            let shown = if field.sensitive { "a value".to_owned() } else { format!("`{text}`") };
            let message = format!("{shown} does not fit the property `{}`", field.property);
            findings.push(entry.cx.error("SL2038", pointer, message).with_label(expected));
            text.to_owned()
        }
    };
    if let FieldSource::Constant(text) = &field.source {
        field.source = FieldSource::Constant(settle(text, entry.pointer("value")).into());
    }
    if let Some(values) = &field.values {
        let places = entry.config.values.iter().flat_map(BTreeMap::keys);
        let written: BTreeMap<String, &String> =
            places.map(|key| (convert::canonical(key, &field.source_kind).into_owned(), key)).collect();
        let settled = values.iter().map(|(key, value)| {
            let spelled = written.get(key).map_or(key, |spelled| *spelled).replace('~', "~0").replace('/', "~1");
            (key.clone(), settle(value, format!("{}/{spelled}", entry.pointer("values"))))
        });
        field.values = Some(settled.collect());
    }
    if let Fallback::Value(value) = &field.otherwise {
        field.otherwise = Fallback::Value(settle(value, entry.pointer("otherwise")));
    }
    if let Some(default) = &field.default {
        // A default may name a Salesforce value of the value map, or a HubSpot value.
        let mapped = field.values.as_ref().and_then(|values| values.get(default).cloned());
        field.default = Some(mapped.unwrap_or_else(|| settle(default, entry.pointer("default"))));
    }
}

/// A literal in the property's canonical form; else what was expected.
fn literal(text: &str, kind: &PropertyKind, options: Option<&Arc<[Box<str>]>>) -> Result<String, String> {
    if convert::trim(text).is_empty() {
        return Ok(String::new());
    }
    let offered = |option: &str| options.is_none_or(|options| options.iter().any(|own| **own == *option));
    let known = || {
        let names = options.iter().flat_map(|options| options.iter());
        let names: Vec<String> = names.take(12).map(|option| format!("`{option}`")).collect();
        format!("expected one of {}", names.join(", "))
    };
    match kind {
        PropertyKind::Enumeration => offered(text).then(|| text.to_owned()).ok_or_else(known),
        PropertyKind::MultiCheckbox => {
            let list = convert::list(std::iter::once(text));
            list.split(';').all(offered).then_some(list.clone()).ok_or_else(known)
        }
        kind => {
            let conversion = convert::conversion(&FieldKind::String, kind).ok_or("a property that can be written")?;
            let converted = convert::convert(text, conversion, &TimeZone::UTC);
            converted.map(|text| text.into_owned()).map_err(|unfit| format!("expected {}", unfit.expected()))
        }
    }
}

/// Every value that the picklist can hold has an option, or a fallback says what happens.
pub(super) fn picklist(entry: &Entry<'_>, field: &Field, described: &SourceField, findings: &mut Vec<Diagnostic>) {
    let listed = field.values.is_some() || field.options.is_some();
    if entry.config.otherwise.is_some() || !listed {
        return;
    }
    let lacking: Vec<(&str, bool)> = holds(described, &field.kind)
        .into_iter()
        .filter(|(value, _)| match &field.values {
            Some(values) => !values.contains_key(*value),
            None => !field.options.iter().flat_map(|options| options.iter()).any(|option| **option == **value),
        })
        .collect();
    let (what, pointer) = match &field.values {
        Some(_) => ("the value map lacks", entry.pointer("values")),
        None => ("the property has no option for", entry.pointer("to")),
    };
    for (value, _) in lacking.iter().filter(|(_, active)| *active) {
        let message = format!("{what} `{value}`, a value of `{}`", described.name);
        let help = format!("add `{value}` to `values`, or say what happens with `otherwise`");
        let why = "every record with this value would be set aside";
        findings.push(entry.cx.error("SL2037", pointer.clone(), message).with_why(why).with_help(help));
    }
    let retired: Vec<String> =
        lacking.iter().filter(|(_, active)| !active).map(|(value, _)| format!("`{value}`")).collect();
    if !retired.is_empty() {
        let message = format!("{what} {}: inactive values of `{}`", retired.join(", "), described.name);
        let mut finding = entry.cx.error("SL2037", pointer, message);
        finding.severity = Severity::Warning;
        let why = "older records may still hold them, and would be set aside";
        findings.push(finding.with_why(why).with_help("add them to `values`, or say what happens with `otherwise`"));
    }
}

/// The values that a field is known to hold, and whether each can still be chosen.
fn holds<'a>(described: &'a SourceField, target: &PropertyKind) -> Vec<(&'a str, bool)> {
    match described.kind {
        FieldKind::Picklist | FieldKind::MultiPicklist => {
            described.picklist.iter().map(|value| (value.value.as_str(), value.active)).collect()
        }
        FieldKind::Boolean if *target != PropertyKind::Bool => vec![("true", true), ("false", true)],
        _ => Vec::new(),
    }
}
