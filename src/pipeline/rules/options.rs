//! Rules about values: constants, defaults and value maps fit their property, and every picklist value has somewhere to go.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::context::Entry;
use crate::config::yaml::escape;
use crate::diagnostic::nearest::nearest;
use crate::diagnostic::{Diagnostic, Place};
use crate::model::object::{FieldKind, PropertyKind, SourceField, TargetProperty};
use crate::pipeline::compiled::{Fallback, Field, FieldSource};
use crate::pipeline::values::matching::Options;
use crate::pipeline::values::{convert, matching};

/// The values that a property takes; none when they are free or kept elsewhere.
pub(super) fn offered(property: &TargetProperty) -> Option<Arc<Options>> {
    match property.kind {
        PropertyKind::Bool => Some(Arc::new(["true", "false"].into_iter().collect())),
        PropertyKind::Enumeration | PropertyKind::MultiCheckbox
            if !property.owner && (!property.external_options || !property.options.is_empty()) =>
        {
            Some(Arc::new(property.options.iter().map(|option| option.value.as_str()).collect()))
        }
        _ => None,
    }
}

/// Constants, defaults and the right sides of value maps fit the property; they are kept in canonical form. A constant that is
/// no option fits no record, so the pipeline cannot be carried out; any other text that is none rejects the records that
/// would get it, as when an option is removed in HubSpot.
pub(super) fn literals(entry: &Entry<'_>, field: &mut Field, findings: &mut Vec<Diagnostic>) {
    let constant = matches!(field.source, FieldSource::Constant(_));
    let mut settle = |text: &str, pointer: String| match literal(text, &field.kind, field.options.as_ref()) {
        Ok(text) => text,
        Err(expected) => {
            let shown = if field.sensitive { "a value".to_owned() } else { format!("`{text}`") };
            let message = format!("{shown} does not fit the property `{}`", field.property);
            let finding = entry.cx.error("SL2038", pointer, message).with_label(expected);
            findings.push(match has_options(&field.kind) && !constant {
                true => finding.as_warning().with_why("every record that would get it is rejected"),
                false => finding,
            });
            text.to_owned()
        }
    };
    if let FieldSource::Constant(text) = &field.source {
        field.source = FieldSource::Constant(settle(text, entry.pointer("value")).into());
    }
    if let Some(values) = &entry.config.values {
        let settled = values.iter().map(|(key, value)| {
            let pointer = format!("{}/{}", entry.pointer("values"), escape(key));
            (matching::key(key, &field.source_kind).into_owned(), settle(&value.0, pointer))
        });
        field.values = Some(settled.collect());
    }
    if let Fallback::Value(value) = &field.otherwise {
        field.otherwise = Fallback::Value(settle(value, entry.pointer("otherwise")));
    }
    if let Some(default) = &field.default {
        // A default may name a Salesforce value of the value map, or a HubSpot value.
        let named = matching::key(default, &field.source_kind);
        let mapped = field.values.as_ref().and_then(|values| values.get(&*named).cloned());
        field.default = Some(mapped.unwrap_or_else(|| settle(default, entry.pointer("default"))));
    }
}

/// Two entries of a value map whose left sides mean the same: which of them holds would be a matter of chance. Without the
/// catalog the type of the field is not known, and only what means the same for every type is found.
pub(super) fn same_keys<V>(
    file: &Arc<str>,
    pointer: &str,
    values: &BTreeMap<String, V>,
    kind: &FieldKind,
    findings: &mut Vec<Diagnostic>,
) {
    let mut seen: HashMap<String, &String> = HashMap::new();
    for key in values.keys() {
        let meant = matching::key(key, kind).into_owned();
        let place = |key: &str| Place::Key(format!("{pointer}/{}", escape(key)));
        if meant.is_empty() {
            let message = "an entry of the value map is for a blank";
            let finding = Diagnostic::error("SL2062", file, place(key), message).with_label("never looked up");
            findings.push(finding.with_why("a blank is never looked up in a value map").with_help("use `default: …`"));
        } else if let Some(first) = seen.insert(meant, key) {
            let message = format!("the entries `{first}` and `{key}` of the value map mean the same");
            findings.push(
                Diagnostic::error("SL2062", file, place(key), message)
                    .with_label("and again here")
                    .with_other(place(first), "it appears here first")
                    .with_why("values are compared without spaces at their ends, and numbers by their value")
                    .with_help("keep one of them"),
            );
        }
    }
}

fn has_options(kind: &PropertyKind) -> bool {
    matches!(kind, PropertyKind::Enumeration | PropertyKind::MultiCheckbox)
}

/// A literal in the property's canonical form; else what was expected.
fn literal(text: &str, kind: &PropertyKind, options: Option<&Arc<Options>>) -> Result<String, String> {
    if convert::trim(text).is_empty() {
        return Ok(String::new());
    }
    let offered = |option: &str| match options {
        Some(options) => options.find(option).map(str::to_owned),
        None => Some(option.to_owned()),
    };
    let known = || {
        let names = options.iter().flat_map(|options| options.iter());
        let near = nearest(text, names.clone());
        match (near, names.count()) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, 0) => "the property has no options".to_owned(),
            (None, count) => {
                let names = options.iter().flat_map(|options| options.iter()).take(12);
                let names: Vec<String> = names.map(|option| format!("`{option}`")).collect();
                let more =
                    if count > names.len() { format!(" and {} more", count - names.len()) } else { String::new() };
                format!("expected one of {}{more}", names.join(", "))
            }
        }
    };
    match kind {
        PropertyKind::Enumeration => offered(text).ok_or_else(known),
        PropertyKind::MultiCheckbox => {
            let list = convert::list(std::iter::once(text));
            let options: Option<Vec<String>> = list.split(';').map(offered).collect();
            options.map(|options| options.join(";")).ok_or_else(known)
        }
        kind => {
            let conversion = convert::conversion(&FieldKind::String, kind).ok_or("a property that can be written")?;
            let converted = convert::convert(text, conversion, &TimeZone::UTC);
            converted.map(|text| text.into_owned()).map_err(|unfit| format!("expected {}", unfit.expected()))
        }
    }
}

/// Every value that the picklist can hold has an option, or a fallback says what happens: else the records that hold it are set
/// aside. That they are is the default, so it makes no difference whether `otherwise: reject` is written out.
pub(super) fn picklist(entry: &Entry<'_>, field: &Field, described: &SourceField, findings: &mut Vec<Diagnostic>) {
    let listed = field.values.is_some() || field.options.is_some();
    if matches!(field.otherwise, Fallback::Clear | Fallback::Value(_)) || !listed {
        return;
    }
    let option = |value: &str| {
        let options = field.options.as_ref();
        options.is_some_and(|options| options.find(value).is_some())
    };
    let placed = |value: &str| match &field.values {
        Some(values) if values.contains_key(&*matching::key(value, &described.kind)) => true,
        Some(_) => field.otherwise == Fallback::Pass && (field.options.is_none() || option(value)),
        None => option(value),
    };
    let lacking: Vec<(&str, bool)> =
        holds(described, &field.kind).into_iter().filter(|(value, _)| !placed(value)).collect();
    let (what, pointer) = match &field.values {
        Some(_) => ("the value map lacks", entry.pointer("values")),
        None => ("the property has no option for", entry.pointer("to")),
    };
    for (value, _) in lacking.iter().filter(|(_, active)| *active) {
        let message = format!("{what} `{value}`, a value of `{}`", described.name);
        let help = match field.otherwise {
            // `otherwise` has been said, and what it lets through lacks the option.
            Fallback::Pass => {
                format!("add the option `{value}` to the property in HubSpot, or map the value under `values`")
            }
            _ => format!("add `{value}` to `values`, or say what happens with `otherwise`"),
        };
        let why = "every record with this value is rejected";
        findings.push(entry.cx.warning("SL2037", pointer.clone(), message).with_why(why).with_help(help));
    }
    let retired: Vec<String> =
        lacking.iter().filter(|(_, active)| !active).map(|(value, _)| format!("`{value}`")).collect();
    if !retired.is_empty() {
        let (inactive, them) =
            if retired.len() == 1 { ("an inactive value", "it") } else { ("inactive values", "them") };
        let message = format!("{what} {}, {inactive} of `{}`", retired.join(", "), described.name);
        let finding = entry.cx.warning("SL2037", pointer, message);
        let why = format!("older records may still hold {them}, and are rejected");
        let help = format!("add {them} to `values`, or say what happens with `otherwise`");
        findings.push(finding.with_why(why).with_help(help));
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
