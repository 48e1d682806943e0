//! The transform of a record: each field entry to its property's canonical text, or the reason why the record cannot be
//! synced. Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::compile::Pipeline;
use super::template::Template;
use super::values::compare;
use super::values::convert::{self, Conversion, Unfit};
use crate::config::pipeline::WhenBlank;
use crate::model::failure::Reason;
use crate::model::object::{FieldKind, PropertyKind};
use crate::model::record::{Desired, PropertyValue, Record};

/// A compiled field entry.
#[derive(Debug, Clone)]
pub struct Field {
    /// The property that it sets.
    pub property: Arc<str>,
    /// The property's type.
    pub kind: PropertyKind,
    /// The type of what is read; text for templates and constants.
    pub source_kind: FieldKind,
    /// Where its value comes from.
    pub source: FieldSource,
    /// How its text becomes the property's text.
    pub conversion: Conversion,
    /// Value map.
    pub values: Option<BTreeMap<String, String>>,
    /// What happens to a value that the map lacks, or that is no option.
    pub otherwise: Fallback,
    /// Options of the property; none when they are not checked.
    pub options: Option<Arc<[Box<str>]>>,
    /// Canonical text of the property for a blank.
    pub default: Option<String>,
    /// What a blank does.
    pub when_blank: WhenBlank,
    /// A blank sets the record aside.
    pub required: bool,
    /// Set only when the record is made.
    pub on_create_only: bool,
    /// Cut what is too long.
    pub truncate: bool,
    /// Zone in which a moment becomes a day.
    pub zone: TimeZone,
    /// Mask its values in every output.
    pub sensitive: bool,
    /// Say nothing of its values in messages: it is sensitive, or reads a column that is.
    pub discreet: bool,
}

/// Where a field's value comes from.
#[derive(Debug, Clone)]
pub enum FieldSource {
    /// A column.
    Column(usize),
    /// The parts of an address: street, postal code, city, state, country.
    Address([Option<usize>; 5]),
    /// Latitude and longitude.
    Location([Option<usize>; 2]),
    /// A template over columns.
    Template(Template, Vec<(usize, FieldKind)>),
    /// The same for every record.
    Constant(Box<str>),
}

/// What happens to a value that the value map lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fallback {
    /// The record is set aside.
    Reject,
    /// The value is used as it is.
    Pass,
    /// The property is cleared.
    Clear,
    /// This value is used.
    Value(String),
}

/// A property that HubSpot holds differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyChange {
    /// The property.
    pub property: Arc<str>,
    /// What HubSpot holds.
    pub before: Option<String>,
    /// What it should hold; none clears.
    pub after: Option<String>,
}

impl Pipeline {
    /// What the record should look like in the target.
    ///
    /// Errors: the reason why this record cannot be synced; the rest of its batch goes on.
    pub fn transform(&self, record: &Record) -> Result<Desired, Reason> {
        let mut properties = Vec::with_capacity(self.fields.len() + 1);
        let mut create_only = Vec::new();
        let id = record.id.as_str();
        properties.push(PropertyValue { property: Arc::clone(&self.target.match_property), value: id.into() });
        for field in &self.fields {
            let Some(value) = self.field_value(field, record)? else { continue };
            let list = if field.on_create_only { &mut create_only } else { &mut properties };
            list.push(PropertyValue { property: Arc::clone(&field.property), value: value.into() });
        }
        let mut lookups = Vec::with_capacity(self.associations.len());
        for association in &self.associations {
            let text = record.values.get(association.column).and_then(Option::as_deref).map(convert::trim);
            let target = text.filter(|text| !text.is_empty()).map(str::parse).transpose();
            lookups.push(target.map_err(|_| {
                let message = format!("the lookup `{}` does not hold a Salesforce id", association.field);
                reason("SL5004", &association.field, message)
            })?);
        }
        Ok(Desired { id: record.id, title: self.title(record).into(), properties, create_only, lookups })
    }

    /// Whether HubSpot would create the record: every property that it requires has a value. Updates need no such check.
    pub fn check_create(&self, desired: &Desired) -> Result<(), Reason> {
        let filled = |name: &Arc<str>| {
            let mut set = desired.properties.iter().chain(&desired.create_only);
            set.any(|set| set.property == *name && !set.value.is_empty())
        };
        match self.target.required.iter().find(|name| !filled(name)) {
            None => Ok(()),
            Some(name) => {
                let advice = "fill the field in Salesforce, or give it a `default`";
                let message = format!("HubSpot requires `{name}` to create a record, and it is blank: {advice}");
                Err(reason("SL5011", name, message))
            }
        }
    }

    /// Properties that HubSpot holds differently from what is wanted on an update.
    pub fn diff(&self, desired: &Desired, existing: &BTreeMap<String, Option<String>>) -> Vec<PropertyChange> {
        let differs = |wanted: &&PropertyValue| {
            let held = existing.get(&*wanted.property).and_then(Option::as_deref);
            !compare::same(self.kind_of(&wanted.property), &wanted.value, held)
        };
        let change = |wanted: &PropertyValue| PropertyChange {
            property: Arc::clone(&wanted.property),
            before: existing.get(&*wanted.property).cloned().flatten(),
            after: Some(wanted.value.to_string()).filter(|value| !value.is_empty()),
        };
        desired.properties.iter().filter(differs).map(change).collect()
    }

    /// The text for one property; none leaves it alone.
    fn field_value<'a>(&'a self, field: &'a Field, record: &'a Record) -> Result<Option<Cow<'a, str>>, Reason> {
        // What the value map clears is cleared; only a blank of Salesforce may keep what HubSpot has.
        let (mapped, keep) = match (field.raw(record)?, &field.default) {
            (Some(text), _) => (field.mapped(text)?, false),
            (None, Some(default)) => (Cow::Borrowed(default.as_str()), false),
            (None, None) => (Cow::Borrowed(""), field.when_blank == WhenBlank::Keep),
        };
        if mapped.is_empty() {
            return match field.required {
                true => Err(field
                    .reason("SL5010", "is `required` and blank: fill the field in Salesforce, or give it a `default`")),
                false => Ok(Some(mapped).filter(|_| !keep)),
            };
        }
        let length = convert::length(&mapped);
        if length > convert::TEXT_LENGTH_MAX {
            if field.truncate {
                return Ok(Some(Cow::Owned(convert::truncate(&mapped).to_owned())));
            }
            let most = convert::TEXT_LENGTH_MAX;
            let message = format!(
                "has {length} characters, but HubSpot holds {most} at most: shorten it, or set `truncate: true`"
            );
            return Err(field.reason("SL5007", &message));
        }
        Ok(Some(mapped))
    }
}

impl Field {
    /// The columns that it reads.
    pub fn places(&self) -> Vec<usize> {
        match &self.source {
            FieldSource::Column(place) => vec![*place],
            FieldSource::Address(parts) => parts.iter().flatten().copied().collect(),
            FieldSource::Location(parts) => parts.iter().flatten().copied().collect(),
            FieldSource::Template(_, places) => places.iter().map(|(place, _)| *place).collect(),
            FieldSource::Constant(_) => Vec::new(),
        }
    }

    /// The value before any conversion; blank is none, and so is white space alone.
    fn raw<'a>(&'a self, record: &'a Record) -> Result<Option<Cow<'a, str>>, Reason> {
        Ok(self.text(record)?.filter(|text| !convert::trim(text).is_empty()))
    }

    fn text<'a>(&'a self, record: &'a Record) -> Result<Option<Cow<'a, str>>, Reason> {
        let column = |index: usize| record.values.get(index).and_then(Option::as_deref);
        Ok(match &self.source {
            FieldSource::Column(index) => column(*index).map(Cow::Borrowed),
            FieldSource::Constant(text) => Some(Cow::Borrowed(text)),
            FieldSource::Address(parts) => address(parts.map(|part| part.and_then(column))).map(Cow::Owned),
            FieldSource::Location([latitude, longitude]) => {
                let pair = latitude.and_then(column).zip(longitude.and_then(column));
                let degrees = |text| convert::canonical(text, &FieldKind::Double);
                pair.map(|(latitude, longitude)| Cow::Owned(format!("{}, {}", degrees(latitude), degrees(longitude))))
            }
            FieldSource::Template(template, columns) => {
                let fields = columns.iter().map(|(index, kind)| (kind, column(*index)));
                Some(Cow::Owned(template.render(fields).map_err(|error| {
                    let why = if self.discreet { String::new() } else { format!(": {error}") };
                    self.reason("SL5008", &format!("cannot be made, its template failed{why}"))
                })?))
            }
        })
    }

    /// Value map, conversion and options.
    fn mapped<'a>(&self, text: Cow<'a, str>) -> Result<Cow<'a, str>, Reason> {
        if matches!(self.source, FieldSource::Constant(_)) {
            return Ok(text);
        }
        if self.conversion == Conversion::Options {
            let options = text.split(';').map(convert::trim).filter(|option| !option.is_empty());
            let options: Vec<String> = options.map(|option| self.option(option)).collect::<Result<_, _>>()?;
            return Ok(Cow::Owned(convert::list(options.iter().map(String::as_str))));
        }
        if self.values.is_some() || self.conversion == Conversion::Option {
            let canonical = convert::canonical(&text, &self.source_kind);
            return self.option(convert::trim(&canonical)).map(Cow::Owned);
        }
        let convert = |text: &'a str| convert::convert(text, self.conversion, &self.zone);
        let converted = match &text {
            Cow::Borrowed(borrowed) => convert(borrowed),
            Cow::Owned(owned) => {
                convert::convert(owned, self.conversion, &self.zone).map(|converted| Cow::Owned(converted.into_owned()))
            }
        };
        converted.map_err(|unfit| self.unfit(unfit, &text))
    }

    fn unfit(&self, unfit: Unfit, text: &str) -> Reason {
        let message = format!("takes {}, which the source does not hold{}", unfit.expected(), self.shown(text));
        self.reason(unfit.code(), &message)
    }

    /// One value through the value map and against the options.
    fn option(&self, value: &str) -> Result<String, Reason> {
        let mapped = match &self.values {
            Some(values) => values.get(value).cloned(),
            None => Some(value.to_owned()).filter(|value| self.offers(value)),
        };
        if let Some(mapped) = mapped {
            return Ok(mapped);
        }
        match &self.otherwise {
            Fallback::Value(other) => Ok(other.clone()),
            Fallback::Clear => Ok(String::new()),
            Fallback::Pass if self.offers(value) => self.passed(value),
            Fallback::Reject if self.values.is_some() => {
                let advice = "add it to `values`, or say what happens with `otherwise`";
                Err(self
                    .reason("SL5005", &format!("has a value that its value map lacks{}: {advice}", self.shown(value))))
            }
            Fallback::Pass | Fallback::Reject => {
                let advice = "add the option in HubSpot, or map it under `values`";
                let message = format!("has a value that is no option of the property{}: {advice}", self.shown(value));
                Err(self.reason("SL5006", &message))
            }
        }
    }

    /// A value that the map lacks, as the property's text.
    fn passed(&self, value: &str) -> Result<String, Reason> {
        if matches!(self.kind, PropertyKind::Enumeration | PropertyKind::MultiCheckbox) {
            return Ok(value.to_owned());
        }
        let conversion = convert::conversion(&FieldKind::String, &self.kind).unwrap_or(Conversion::Text);
        let converted = convert::convert(value, conversion, &self.zone).map(Cow::into_owned);
        converted.map_err(|unfit| self.unfit(unfit, value))
    }

    /// Whether the property has this option, or its options cannot be checked.
    fn offers(&self, value: &str) -> bool {
        self.options.as_ref().is_none_or(|options| options.iter().any(|option| **option == *value))
    }

    fn shown(&self, value: &str) -> String {
        if self.discreet {
            return String::new();
        }
        let short: String = value.chars().take(80).collect();
        let more = if short.len() < value.len() { "…" } else { "" };
        format!(" (`{short}{more}`)")
    }

    fn reason(&self, code: &str, message: &str) -> Reason {
        reason(code, &self.property, format!("`{}` {message}", self.property))
    }
}

fn reason(code: &str, property: &str, message: String) -> Reason {
    Reason { code: code.to_owned(), remote_code: None, property: Some(property.to_owned()), message, request_id: None }
}

/// `Street, PostalCode City, State, Country`; what is blank is left out.
fn address([street, postal_code, city, state, country]: [Option<&str>; 5]) -> Option<String> {
    let filled = |part: Option<&'_ str>| part.filter(|part| !part.trim().is_empty()).map(str::to_owned);
    let [street, postal_code, city, state, country] = [street, postal_code, city, state, country].map(filled);
    let city = match (postal_code, city) {
        (Some(code), Some(city)) => Some(format!("{code} {city}")),
        (one, other) => one.or(other),
    };
    let parts: Vec<String> = [street, city, state, country].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}
