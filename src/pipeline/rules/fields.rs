//! Rules about field entries: each names fields and a property that exist, and its types convert.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::context::{Columns, Entry, RuleContext, name};
use super::{options, owners, templates};
use crate::config::pipeline::{Cast, FieldConfig, OnDrift, Otherwise, PipelineConfig, Write};
use crate::diagnostic::nearest::nearest;
use crate::diagnostic::{Diagnostic, Place};
use crate::model::object::{FieldKind, PicklistValue, PropertyKind, SourceField, TargetProperty};
use crate::pipeline::compiled::{Fallback, Field, FieldSource, rules_of};
use crate::pipeline::field::Lookup;
use crate::pipeline::values::convert::{self, Conversion};
use crate::pipeline::values::decimal::Decimal;
use crate::pipeline::values::matching;

/// Compiles all field entries.
pub fn compile(cx: &RuleContext<'_>, columns: &mut Columns, findings: &mut Vec<Diagnostic>) -> Vec<Field> {
    let mut seen: HashSet<&str> = HashSet::new();
    twice(cx.file, cx.config, findings);
    let mut fields = Vec::new();
    for (index, config) in cx.config.fields.iter().enumerate() {
        // `twice` has said so; compiling the second one as well would set the property to whichever comes last.
        if !seen.insert(&config.to) {
            continue;
        }
        if config.to == cx.config.target.match_property {
            // An entry from `Id` says what Syncline does anyway, and is left out without a word.
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

/// Each property is mapped once.
pub(super) fn twice(file: &Arc<str>, config: &PipelineConfig, findings: &mut Vec<Diagnostic>) {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (index, field) in config.fields.iter().enumerate() {
        let place = |index: usize| Place::Value(format!("/fields/{index}/to"));
        let first = *seen.entry(&field.to).or_insert(index);
        if first != index {
            let message = format!("the property `{}` is mapped twice", field.to);
            findings.push(
                Diagnostic::error("SL2032", file, place(index), message)
                    .with_label("and again here")
                    .with_other(place(first), "it is mapped here first")
                    .with_help("keep one of the entries"),
            );
        }
    }
}

impl Entry<'_> {
    /// None where the entry cannot be used; at least one finding says why.
    fn compile(&self, columns: &mut Columns, findings: &mut Vec<Diagnostic>) -> Option<Field> {
        // Both sides are judged before either is demanded, so that one run of `validate` shows what is wrong with
        // both.
        let property = self.property(findings);
        let source = self.source(columns, findings);
        let zone = self.zone(findings)?;
        let property = property?;
        let (source, kind, described) = source?;
        // Before the conversion, which would accept the text that HubSpot refuses.
        if owners::emails(self, property, &source, &kind, findings) {
            return None;
        }
        let conversion = self.conversion(&kind, property, findings)?;
        let labels = self.labels(described, property, findings)?;
        let scale = self.scale(&kind, conversion, findings);
        self.percent(&kind, property, findings);
        if let Some(values) = &self.config.values {
            options::same_keys(self.cx.file, &self.pointer("values"), values, &kind, findings);
        }
        let mut field = Field {
            property: property.name.as_str().into(),
            kind: property.kind.clone(),
            source_kind: kind,
            source,
            conversion,
            scale,
            values: self.config.values.as_ref().map(|_| BTreeMap::new()),
            otherwise: fallback(self.config.otherwise.as_ref()),
            options: options::offered(property),
            rules: rules_of(property),
            default: self.config.default.as_ref().map(|default| default.0.clone()),
            when_blank: self.config.when_blank,
            required: self.config.required,
            on_create_only: self.config.on_create_only,
            if_empty: self.config.write == Write::IfEmpty,
            keeps_drift: self.config.on_drift.unwrap_or(self.cx.config.on_drift) == OnDrift::Keep,
            truncate: self.config.truncate,
            zone,
            sensitive: self.config.sensitive,
            discreet: self.config.sensitive,
            taken: None,
        };
        if let Some(labels) = labels {
            field.values = Some(labels);
            // A value that is no longer listed has no label.
            // With `label`, a value without one passes as it is: rejecting the record would cost more than an API
            // name.
            field.otherwise = self.config.otherwise.as_ref().map_or(Fallback::Pass, |config| fallback(Some(config)));
        }
        options::literals(self, &mut field, findings);
        if let Some(described) = described {
            options::picklist(self, &field, described, findings);
        }
        self.without_effect(&field, findings);
        Some(field)
    }

    /// The target property, where it can be written.
    fn property(&self, findings: &mut Vec<Diagnostic>) -> Option<&TargetProperty> {
        let target = self.cx.schemas.target;
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
        // HubSpot refuses the whole batch entry for one such property.
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
            if self.config.cast == Some(Cast::Owner) {
                // The type is that of the e-mail, whatever lookup leads to it; there is no picklist to compare.
                return owners::source(self, from, columns, findings).map(|source| (source, FieldKind::Email, None));
            }
            let field = self.field(from, "from", findings)?;
            let source = self.read(from, field, columns, findings)?;
            return Some((source, field.kind.clone(), Some(field)));
        }
        if let Some(template) = &self.config.template {
            return templates::compile(self, template, columns, findings)
                .map(|source| (source, FieldKind::String, None));
        }
        let value = self.config.value.as_ref()?;
        Some((FieldSource::Constant(value.0.as_str().into()), FieldKind::String, None))
    }

    /// The field of a path, with what is to be said of it; none where there is no such field, which is a finding.
    fn field(&self, path: &str, key: &str, findings: &mut Vec<Diagnostic>) -> Option<&SourceField> {
        match self.cx.objects.find(path) {
            Lookup::Found(field) => {
                findings.extend(self.cx.unnoticed(path, field, Place::Value(self.pointer(key))));
                findings.extend(self.as_read(field, key));
                Some(field)
            }
            lookup => {
                self.unfound(lookup, key, findings);
                None
            }
        }
    }

    /// Says that a path leads to no field.
    pub(super) fn unfound(&self, lookup: Lookup<'_>, key: &str, findings: &mut Vec<Diagnostic>) {
        match lookup {
            Lookup::Found(_) => {}
            Lookup::NotDescribed(object) => {
                findings.push(self.cx.error("SL3002", self.pointer(key), format!("`{object}` was not described")));
            }
            Lookup::Missing { message, help } => {
                let finding = self.cx.error("SL3001", self.pointer(key), message);
                findings.push(match help {
                    Some(help) => finding.with_help(help),
                    None => finding,
                });
            }
        }
    }

    /// A warning where a field's text is not what a person sees in Salesforce, with the filter to use.
    fn as_read(&self, field: &SourceField, key: &str) -> Option<Diagnostic> {
        let from = self.config.from.as_deref().unwrap_or_default();
        let to = &self.config.to;
        let (message, why, help) = if field.masked {
            (
                format!("`{from}` is masked when read"),
                "Salesforce shows the whole value only to users who may view encrypted data",
                format!(
                    "give the integration user the permission View Encrypted Data, or remove the mask: \
                     {{ template: \"{{{{ {from} | regex_replace('[*X]', '') }}}}\", to: {to} }}"
                ),
            )
        } else if field.html && !self.is_rich_text() {
            (
                format!("`{from}` is rich text: its tags would be shown in `{to}`"),
                "its text is HTML, and the property holds plain text",
                format!("remove the tags: {{ template: \"{{{{ {from} | striptags | unescape }}}}\", to: {to} }}"),
            )
        } else {
            return None;
        };
        Some(self.cx.warning("SL2073", self.pointer(key), message).with_why(why).with_help(help))
    }

    /// Whether the property shows HTML as it is meant.
    fn is_rich_text(&self) -> bool {
        self.cx.schemas.target.properties.get(&self.config.to).is_some_and(|property| property.html)
    }

    /// The labels of a picklist's values, where they are wanted; none at all where they cannot be had.
    fn labels(
        &self,
        described: Option<&SourceField>,
        property: &TargetProperty,
        findings: &mut Vec<Diagnostic>,
    ) -> Option<Option<BTreeMap<String, String>>> {
        if !self.config.label {
            return Some(None);
        }
        let from = self.config.from.as_deref().unwrap_or_default();
        let listed = described.filter(|field| matches!(field.kind, FieldKind::Picklist | FieldKind::MultiPicklist));
        let (message, help) = match listed {
            None => (format!("`label` is for a picklist, and `{from}` is not one"), "remove `label`"),
            Some(_) if property.kind != PropertyKind::String => (
                format!(
                    "`label` is for a text property, and `{}` is of type {}",
                    property.name,
                    target_name(&property.kind)
                ),
                "map the values to the property's options, or choose a text property",
            ),
            Some(_) if self.config.values.is_some() => {
                ("`label` and `values` cannot be combined".to_owned(), "write the texts that you want into `values`")
            }
            Some(field) => {
                let label = |entry: &PicklistValue| {
                    // The value is the next best thing to show where a describe has no label.
                    Some(convert::trim(&entry.label)).filter(|label| !label.is_empty()).map(str::to_owned)
                };
                let pair = |entry: &PicklistValue| {
                    (
                        matching::key(&entry.value, &FieldKind::Picklist).into_owned(),
                        label(entry).unwrap_or_else(|| entry.value.clone()),
                    )
                };
                // Reversed, so that the first of two values that compare as equal wins, as in Salesforce's own list.
                return Some(Some(field.picklist.iter().rev().map(pair).collect()));
            }
        };
        findings.push(self.cx.error("SL2072", self.pointer("label"), message).with_help(help));
        None
    }

    /// The columns that a field needs: compounds are read by their parts.
    fn read(
        &self,
        path: &str,
        field: &SourceField,
        columns: &mut Columns,
        findings: &mut Vec<Diagnostic>,
    ) -> Option<FieldSource> {
        let spelled = self.cx.objects.true_spelling(path);
        if !matches!(field.kind, FieldKind::Address | FieldKind::Location) {
            return Some(FieldSource::Column(self.place(spelled, field.kind.clone(), columns)));
        }
        // Parts stand beside their compound, in the same object.
        let holder = self.cx.objects.holder(path).ok()?;
        let prefix = spelled.rsplit_once('.').map_or(String::new(), |(parents, _)| format!("{parents}."));
        let mut find = |name: &str| {
            let is_part = |part: &&SourceField| {
                let compound = part.compound_field_name.as_deref();
                compound.is_some_and(|compound| compound.eq_ignore_ascii_case(&field.name))
                    && part.name.strip_suffix("__s").unwrap_or(&part.name).ends_with(name)
            };
            let part = holder.fields.iter().find(is_part)?;
            Some(self.place(format!("{prefix}{}", part.name), part.kind.clone(), columns))
        };
        let source = if field.kind == FieldKind::Location {
            FieldSource::Location(["Latitude", "Longitude"].map(&mut find))
        } else {
            // Custom addresses have the codes of state and country only.
            let (state, country) = (["State", "StateCode"], ["Country", "CountryCode"]);
            let [street, code, city] = ["Street", "PostalCode", "City"].map(&mut find);
            FieldSource::Address([
                street,
                code,
                city,
                state.into_iter().find_map(&mut find),
                country.into_iter().find_map(&mut find),
            ])
        };
        let readable = match &source {
            // Half a position is none, whereas an address without its street is still an address.
            FieldSource::Location(parts) => parts.iter().all(Option::is_some),
            FieldSource::Address(parts) => parts.iter().any(Option::is_some),
            _ => true,
        };
        if !readable {
            let message = format!("the integration user can read no parts of `{path}`");
            let help = "grant read access to the parts of the field, such as its street and city";
            findings.push(self.cx.error("SL3001", self.pointer("from"), message).with_help(help));
        }
        readable.then_some(source)
    }

    /// How values get from the field into the property; none where they cannot, which is a finding.
    fn conversion(
        &self,
        kind: &FieldKind,
        property: &TargetProperty,
        findings: &mut Vec<Diagnostic>,
    ) -> Option<Conversion> {
        let from = self.config.from.as_deref().unwrap_or_default();
        if self.config.cast == Some(Cast::Owner) {
            return owners::property(self, property, findings).then_some(Conversion::Owner);
        }
        // Also into a text property, where the conversion would work: it must be meant.
        if *kind == FieldKind::Reference && self.config.cast != Some(Cast::Id) {
            let message = format!("`{from}` is a lookup");
            let finding = self.cx.error("SL2035", self.pointer("from"), message);
            let help = match property.owner {
                true => format!("write `as: owner`: {{ from: {from}, to: {}, as: owner }}", property.name),
                false => format!(
                    "list it under `associations`, map a field of its record, or write `as: id` for the raw id in `{}`",
                    property.name
                ),
            };
            findings.push(finding.with_why("a raw id means nothing to people in HubSpot").with_help(help));
            return None;
        }
        let conversion = match convert::conversion(kind, &property.kind) {
            // A value map writes the property's text itself, from any type that holds one plain value.
            None if self.config.values.is_some() && is_plain(kind) && convert::writable(&property.kind) => {
                Some(Conversion::Option)
            }
            conversion => conversion,
        };
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

    /// Options that do nothing with these types: probably meant otherwise.
    fn without_effect(&self, field: &Field, findings: &mut Vec<Diagnostic>) {
        // A moment becomes another day in another zone; nothing else depends on one.
        let to_day = matches!(field.conversion, Conversion::MomentAsDate | Conversion::ParseDate);
        let texts = field.kind == PropertyKind::String && field.values.is_none();
        let lookup = matches!(field.source_kind, FieldKind::Reference | FieldKind::Id);
        let mapped = field.values.is_some()
            || matches!(field.conversion, Conversion::Option | Conversion::Options | Conversion::Owner);
        for (key, written, why) in [
            ("time_zone", self.config.time_zone.is_some() && !to_day, "it is for a datetime that becomes a date"),
            ("as", self.config.cast == Some(Cast::Id) && !lookup, "it is for lookups"),
            ("truncate", field.truncate && !texts, "it is for text"),
            ("otherwise", self.config.otherwise.is_some() && !mapped, "it is for value maps and options"),
        ] {
            if written {
                let message = format!("`{key}` has no effect on `{}`", field.property);
                findings.push(self.cx.warning("SL2052", self.pointer(key), message).with_why(why));
            }
        }
    }

    /// What numbers are multiplied by; only numbers can be.
    fn scale(&self, kind: &FieldKind, conversion: Conversion, findings: &mut Vec<Diagnostic>) -> Option<Decimal> {
        use FieldKind as F;
        let scale = scale(self.cx.file, self.index, self.config, findings)?;
        let number = matches!(kind, F::Int | F::Long | F::Double | F::Percent | F::Currency);
        // Not for a number that becomes text or an option, where a scaled value would match nothing.
        if number && conversion == Conversion::Number {
            return Some(scale);
        }
        let from = self.config.from.as_deref().unwrap_or_default();
        let message = format!("`scale` is for a number, `{from}` is of type {}", name(kind));
        let help = "multiply in a template: `{{ (FIELD | float) * 0.01 }}`";
        findings.push(self.cx.error("SL2060", self.pointer("scale"), message).with_help(help));
        None
    }

    /// A warning where 50 % would be shown as 5000 %.
    fn percent(&self, kind: &FieldKind, property: &TargetProperty, findings: &mut Vec<Diagnostic>) {
        // A scale of any kind shows that somebody has thought about it.
        if *kind != FieldKind::Percent || !property.percentage || self.config.scale.is_some() {
            return;
        }
        let from = self.config.from.as_deref().unwrap_or_default();
        let message = format!("`{from}` holds 50 for 50 %, which `{}` shows as 5000 %", property.name);
        let why = "a HubSpot percentage holds 0.5 for 50 %";
        let finding = self.cx.warning("SL2061", self.pointer("to"), message).with_why(why);
        findings.push(finding.with_help("add `scale: 0.01` to this entry"));
    }

    /// The time zone of dates and times that have none: UTC, as Salesforce's own, unless another is named.
    fn zone(&self, findings: &mut Vec<Diagnostic>) -> Option<TimeZone> {
        match &self.config.time_zone {
            Some(name) => time_zone(self.cx.file, &self.pointer("time_zone"), name, findings),
            None => Some(TimeZone::UTC),
        }
    }
}

/// The `scale` of an entry, where it has a sound one.
pub(super) fn scale(
    file: &Arc<str>,
    index: usize,
    config: &FieldConfig,
    findings: &mut Vec<Diagnostic>,
) -> Option<Decimal> {
    let written = config.scale.as_ref()?;
    let error = |message: String, help: &str| {
        let place = Place::Value(format!("/fields/{index}/scale"));
        Diagnostic::error("SL2060", file, place, message).with_help(help)
    };
    let finding = match Decimal::parse(written.0.trim()) {
        None => error(format!("`{}` is not a number", written.0), "write a decimal such as `0.01` or `1000`"),
        Some(scale) if scale.is_zero() => {
            error("a scale of 0 makes every value 0".to_owned(), "write a decimal such as `0.01` or `1000`")
        }
        Some(_) if config.from.is_none() => error(
            "`scale` is for a field of Salesforce".to_owned(),
            "multiply in the template, or write the scaled value",
        ),
        Some(_) if config.values.is_some() => {
            error("`scale` and `values` cannot be combined".to_owned(), "write the scaled values into the map")
        }
        Some(scale) => return Some(scale),
    };
    findings.push(finding);
    None
}

/// What becomes of a value that the map lacks: it is refused where nothing is said, since a guess would be written silently.
fn fallback(otherwise: Option<&Otherwise>) -> Fallback {
    match otherwise {
        None | Some(Otherwise::Reject) => Fallback::Reject,
        Some(Otherwise::Pass) => Fallback::Pass,
        Some(Otherwise::Clear) => Fallback::Clear,
        Some(Otherwise::Value(value)) => Fallback::Value(value.0.clone()),
    }
}

/// The time zone of that name.
pub(super) fn time_zone(
    file: &Arc<str>,
    pointer: &str,
    name: &str,
    findings: &mut Vec<Diagnostic>,
) -> Option<TimeZone> {
    let zone = TimeZone::get(name).ok();
    if zone.is_none() {
        let message = format!("there is no time zone `{name}`");
        let help = "use an IANA name such as `Europe/Berlin` or `America/New_York`";
        findings.push(Diagnostic::error("SL2047", file, Place::Value(pointer.to_owned()), message).with_help(help));
    }
    zone
}

/// Types of one plain value, which a value map can name.
fn is_plain(kind: &FieldKind) -> bool {
    use FieldKind as F;
    // Not a multi-select or a compound, whose text has parts that a map would have to name in every combination.
    matches!(kind, F::Picklist | F::Boolean | F::Int | F::Long | F::Double | F::Percent | F::Currency | F::Date)
}

/// A property's type as HubSpot's settings call it.
pub(super) fn target_name(kind: &PropertyKind) -> String {
    match kind {
        PropertyKind::Other(name) => name.clone(),
        PropertyKind::MultiCheckbox => "multi-checkbox".to_owned(),
        kind => format!("{kind:?}").to_lowercase(),
    }
}
