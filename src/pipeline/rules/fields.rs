//! Rules about field entries: each names fields and a property that exist, and its types convert.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::RuleContext;
use crate::config::pipeline::{Cast, FieldConfig, Otherwise};
use crate::diagnostic::{Diagnostic, Place};
use crate::model::object::{FieldKind, PropertyKind, SourceField, SourceObject, TargetProperty};
use crate::model::record::Column;
use crate::pipeline::compile::Columns;
use crate::pipeline::field::{Lookup, nearest};
use crate::pipeline::template::Template;
use crate::pipeline::transform::{Fallback, Field, FieldSource};
use crate::pipeline::values::convert::{self, Conversion};

/// Compiles all field entries.
pub fn compile(cx: &RuleContext<'_>, columns: &mut Columns, findings: &mut Vec<Diagnostic>) -> Vec<Field> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut fields = Vec::new();
    for (index, config) in cx.config.fields.iter().enumerate() {
        if seen.insert(&config.to, index).is_some() {
            let message = format!("the property `{}` is mapped twice", config.to);
            findings.push(cx.error("SL2032", format!("/fields/{index}/to"), message));
            continue;
        }
        if config.to == cx.config.target.match_property {
            if config.from.as_deref().is_none_or(|from| !from.eq_ignore_ascii_case("Id")) {
                let message =
                    format!("`{}` is the match property, which Syncline fills with the Salesforce id", config.to);
                findings
                    .push(cx.error("SL2032", format!("/fields/{index}/to"), message).with_help("remove this entry"));
            }
            continue;
        }
        let entry = Entry { cx, index, config };
        if let Some(field) = entry.compile(columns, findings) {
            fields.push(field);
        }
    }
    fields
}

struct Entry<'a> {
    cx: &'a RuleContext<'a>,
    index: usize,
    config: &'a FieldConfig,
}

impl Entry<'_> {
    fn pointer(&self, key: &str) -> String {
        format!("/fields/{}/{key}", self.index)
    }

    fn compile(&self, columns: &mut Columns, findings: &mut Vec<Diagnostic>) -> Option<Field> {
        let property = self.property(findings);
        let source = self.source(columns, findings);
        let zone = self.zone(findings)?;
        let property = property?;
        let (source, kind, described) = source?;
        let conversion = self.conversion(&kind, property, findings)?;
        let options = (is_enumeration(&property.kind) && !property.external_options)
            .then(|| property.options.iter().map(|option| option.value.as_str().into()).collect());
        let values = self.config.values.as_ref();
        let values = values.map(|values| values.iter().map(|(key, value)| (key.clone(), value.0.clone())).collect());
        let mut field = Field {
            property: property.name.as_str().into(),
            kind: property.kind.clone(),
            source,
            conversion,
            values,
            otherwise: fallback(self.config.otherwise.as_ref()),
            options,
            default: self.config.default.as_ref().map(|default| default.0.clone()),
            when_blank: self.config.when_blank,
            required: self.config.required,
            on_create_only: self.config.on_create_only,
            truncate: self.config.truncate,
            zone,
            sensitive: self.config.sensitive,
        };
        self.literals(&mut field, findings);
        if let Some(described) = described {
            self.picklist(&field, described, findings);
        }
        Some(field)
    }

    fn property(&self, findings: &mut Vec<Diagnostic>) -> Option<&TargetProperty> {
        let target = self.cx.world.target;
        let name = &self.config.to;
        let Some(property) = target.properties.get(name) else {
            let near = nearest(name, target.properties.keys().map(String::as_str));
            let help = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("create the property in HubSpot, or look at the properties of {}", target.label),
            };
            let message = format!("{} has no property `{name}`", target.label);
            findings.push(self.cx.error("SL2030", self.pointer("to"), message).with_help(help));
            return None;
        };
        if property.read_only {
            let message = format!("the property `{name}` is read-only or calculated");
            findings.push(self.cx.error("SL2031", self.pointer("to"), message).with_help("remove this entry"));
            return None;
        }
        Some(property)
    }

    /// The source with its type, and the described field where the entry reads exactly one.
    fn source(
        &self,
        columns: &mut Columns,
        findings: &mut Vec<Diagnostic>,
    ) -> Option<(FieldSource, FieldKind, Option<&SourceField>)> {
        if let Some(from) = &self.config.from {
            let field = self.field(from, "from", findings)?;
            let source = self.read(from, field, columns);
            return Some((source, field.kind.clone(), Some(field)));
        }
        if let Some(template) = &self.config.template {
            return self.template(template, columns, findings).map(|source| (source, FieldKind::String, None));
        }
        let value = self.config.value.as_ref()?;
        Some((FieldSource::Constant(value.0.as_str().into()), FieldKind::String, None))
    }

    fn field(&self, path: &str, key: &str, findings: &mut Vec<Diagnostic>) -> Option<&SourceField> {
        let field = match self.cx.objects.find(path) {
            Lookup::Found(field) => field,
            Lookup::NotDescribed(_) => return None,
            Lookup::Missing { message, help } => {
                let finding = self.cx.error("SL3001", self.pointer(key), message);
                findings.push(match help {
                    Some(help) => finding.with_help(help),
                    None => finding,
                });
                return None;
            }
        };
        let unnoticed =
            field.calculated || path.contains('.') || status_like_a_formula(self.cx.objects.own, &field.name);
        if unnoticed {
            let what = if path.contains('.') { "a field of a parent record" } else { "calculated" };
            let finding = self.cx.warning(
                "SL2050",
                self.pointer(key),
                format!("`{path}` is {what}: a change of it alone is not noticed at once"),
            );
            let why = "it changes without a new SystemModstamp on the record";
            findings.push(
                finding
                    .with_why(why)
                    .with_help("the change is carried over when the record itself changes, or by the next import"),
            );
        }
        Some(field)
    }

    /// The columns that a field needs: compounds are read by their parts.
    fn read(&self, path: &str, field: &SourceField, columns: &mut Columns) -> FieldSource {
        let cx = self.cx;
        let spelled = cx.objects.true_spelling(path);
        let mut place = |path: String, kind: FieldKind| {
            let place = columns.place(Column { path: path.into(), kind });
            if self.config.sensitive {
                columns.hide(place);
            }
            place
        };
        if !matches!(field.kind, FieldKind::Address | FieldKind::Location) {
            return FieldSource::Column(place(spelled, field.kind.clone()));
        }
        let prefix = spelled.rsplit_once('.').map_or(String::new(), |(parents, _)| format!("{parents}."));
        let part = |suffixes: &[&str]| {
            let is_part = |own: &&SourceField| {
                own.compound_field_name.as_deref() == Some(&field.name)
                    && suffixes.iter().any(|suffix| own.name.ends_with(suffix))
            };
            // Parts stand beside their compound; those of a parent's compound are named after it.
            cx.objects.own.fields.iter().find(is_part).map(|own| (format!("{prefix}{}", own.name), own.kind.clone()))
        };
        let mut find = |suffixes: &[&str]| part(suffixes).map(|(path, kind)| place(path, kind));
        if field.kind == FieldKind::Location {
            return FieldSource::Location([find(&["Latitude", "Latitude__s"]), find(&["Longitude", "Longitude__s"])]);
        }
        let names = [&["Street"], &["PostalCode"], &["City"], &["State"], &["Country"]];
        FieldSource::Address(names.map(|suffixes| find(suffixes)))
    }

    fn template(&self, source: &str, columns: &mut Columns, findings: &mut Vec<Diagnostic>) -> Option<FieldSource> {
        let template = match Template::compile(source) {
            Ok(template) => template,
            Err(error) => {
                let pointer = self.pointer("template");
                let place = error.span.map_or(Place::Value(pointer.clone()), |span| Place::Within(pointer, span));
                findings.push(Diagnostic::error(
                    "SL2039",
                    self.cx.file,
                    place,
                    format!("the template does not compile: {}", error.message),
                ));
                return None;
            }
        };
        let mut places = Vec::new();
        let mut complete = true;
        for path in &template.paths {
            match self.cx.objects.find(path) {
                Lookup::Found(field) => {
                    let place = columns
                        .place(Column { path: self.cx.objects.true_spelling(path).into(), kind: field.kind.clone() });
                    if self.config.sensitive {
                        columns.hide(place);
                    }
                    places.push((place, field.kind.clone()));
                }
                Lookup::NotDescribed(_) => complete = false,
                Lookup::Missing { message, help } => {
                    complete = false;
                    let pointer = self.pointer("template");
                    let start = source.find(path.as_str());
                    let place = start.map_or(Place::Value(pointer.clone()), |start| {
                        Place::Within(pointer, start..start + path.len())
                    });
                    let finding = Diagnostic::error("SL2040", self.cx.file, place, message);
                    findings.push(help.map_or(finding.clone(), |help| finding.with_help(help)));
                }
            }
        }
        complete.then_some(FieldSource::Template(template, places))
    }

    fn conversion(
        &self,
        kind: &FieldKind,
        property: &TargetProperty,
        findings: &mut Vec<Diagnostic>,
    ) -> Option<Conversion> {
        let from = self.config.from.as_deref().unwrap_or_default();
        if *kind == FieldKind::Reference && self.config.cast != Some(Cast::Id) {
            let message = format!("`{from}` is a lookup");
            let finding = self.cx.error("SL2035", self.pointer("from"), message);
            let help = format!(
                "list it under `associations`, map a field of its record, or write `as: id` for the raw id in `{}`",
                property.name
            );
            findings.push(finding.with_why("a raw id means nothing to people in HubSpot").with_help(help));
            return None;
        }
        if self.config.values.is_some() && !is_enumeration(&property.kind) {
            // A value map makes the property's text itself, whatever the field's type is.
            return Some(Conversion::Option);
        }
        let conversion = convert::conversion(kind, &property.kind);
        if conversion.is_none() {
            let names = (name(kind), target_name(&property.kind));
            let message = format!("{} does not convert to {}: `{from}` to `{}`", names.0, names.1, property.name);
            findings.push(
                self.cx
                    .error("SL2036", self.pointer("to"), message)
                    .with_help("use a property of another type, or a template"),
            );
        }
        conversion
    }

    fn zone(&self, findings: &mut Vec<Diagnostic>) -> Option<TimeZone> {
        let Some(name) = &self.config.time_zone else { return Some(TimeZone::UTC) };
        match TimeZone::get(name) {
            Ok(zone) => Some(zone),
            Err(_) => {
                let message = format!("there is no time zone `{name}`");
                let help = "use an IANA name such as `Europe/Berlin` or `America/New_York`";
                findings.push(self.cx.error("SL2047", self.pointer("time_zone"), message).with_help(help));
                None
            }
        }
    }

    /// Constants, defaults and the right sides of value maps fit the property; they are kept in canonical form.
    fn literals(&self, field: &mut Field, findings: &mut Vec<Diagnostic>) {
        let mut settle = |text: &str, pointer: String| match literal(text, &field.kind, field.options.as_ref()) {
            Ok(text) => text,
            Err(expected) => {
                let message = format!("`{text}` does not fit the property `{}`", field.property);
                findings.push(self.cx.error("SL2038", pointer, message).with_label(expected));
                text.to_owned()
            }
        };
        if let FieldSource::Constant(text) = &field.source {
            field.source = FieldSource::Constant(settle(text, self.pointer("value")).into());
        }
        if let Some(values) = &field.values {
            let settled = values.iter().map(|(key, value)| {
                let pointer = format!("{}/{}", self.pointer("values"), key.replace('~', "~0").replace('/', "~1"));
                (key.clone(), settle(value, pointer))
            });
            field.values = Some(settled.collect::<BTreeMap<_, _>>());
        }
        if let Fallback::Value(value) = &field.otherwise {
            field.otherwise = Fallback::Value(settle(value, self.pointer("otherwise")));
        }
        if let (Some(default), None) = (&field.default, &field.values) {
            field.default = Some(settle(default, self.pointer("default")));
        }
    }

    /// Every value that the picklist can hold has an option, or a fallback says what happens.
    fn picklist(&self, field: &Field, described: &SourceField, findings: &mut Vec<Diagnostic>) {
        let checked = matches!(described.kind, FieldKind::Picklist | FieldKind::MultiPicklist);
        if !checked
            || field.otherwise != Fallback::Reject
            || self.config.otherwise.is_some()
            || !is_enumeration(&field.kind)
        {
            return;
        }
        let covered = |value: &str| match &field.values {
            Some(values) => values.contains_key(value),
            None => field.options.as_ref().is_none_or(|options| options.iter().any(|option| **option == *value)),
        };
        for value in described.picklist.iter().filter(|value| value.active && !covered(&value.value)) {
            let (what, pointer) = match &field.values {
                Some(_) => ("the value map lacks", self.pointer("values")),
                None => ("the property has no option for", self.pointer("to")),
            };
            let message = format!("{what} `{}`, a value of `{}`", value.value, described.name);
            let finding = self.cx.error("SL2037", pointer, message);
            let help = format!("add `{}` to `values`, or say what happens with `otherwise`", value.value);
            findings.push(finding.with_why("records with this value would all be set aside").with_help(help));
        }
    }
}

/// A literal in the property's canonical form; else what was expected.
fn literal(text: &str, kind: &PropertyKind, options: Option<&Arc<[Box<str>]>>) -> Result<String, String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let offered = |option: &str| options.is_none_or(|options| options.iter().any(|own| **own == *option));
    let known = || {
        let options =
            options.map(|options| options.iter().take(12).map(|option| format!("`{option}`")).collect::<Vec<_>>());
        format!("expected one of {}", options.unwrap_or_default().join(", "))
    };
    match kind {
        PropertyKind::Enumeration => offered(text).then(|| text.to_owned()).ok_or_else(known),
        PropertyKind::MultiCheckbox => {
            text.split(';').all(|part| offered(part.trim())).then(|| text.to_owned()).ok_or_else(known)
        }
        kind => {
            let conversion = convert::conversion(&FieldKind::String, kind).ok_or("a property that can be written")?;
            let converted = convert::convert(text, conversion, &TimeZone::UTC);
            converted.map(|text| text.into_owned()).map_err(|unfit| format!("expected {}", unfit.expected()))
        }
    }
}

fn fallback(otherwise: Option<&Otherwise>) -> Fallback {
    match otherwise {
        None | Some(Otherwise::Reject) => Fallback::Reject,
        Some(Otherwise::Pass) => Fallback::Pass,
        Some(Otherwise::Clear) => Fallback::Clear,
        Some(Otherwise::Value(value)) => Fallback::Value(value.0.clone()),
    }
}

fn is_enumeration(kind: &PropertyKind) -> bool {
    matches!(kind, PropertyKind::Enumeration | PropertyKind::MultiCheckbox)
}

/// Statuses that follow dates although describe calls them ordinary fields.
fn status_like_a_formula(object: &SourceObject, field: &str) -> bool {
    field == "Status" && matches!(object.name.as_str(), "Contract" | "ContractLineItem" | "ServiceContract")
}

fn name(kind: &FieldKind) -> String {
    match kind {
        FieldKind::Other(name) => name.clone(),
        kind => format!("{kind:?}").to_lowercase(),
    }
}

fn target_name(kind: &PropertyKind) -> String {
    match kind {
        PropertyKind::Other(name) => name.clone(),
        PropertyKind::MultiCheckbox => "multi-checkbox".to_owned(),
        kind => format!("{kind:?}").to_lowercase(),
    }
}
