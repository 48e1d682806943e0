//! The transform of a record: each field entry to its property's canonical text, or the reason why the record cannot be
//! synced. Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::compile::Pipeline;
use super::template::Template;
use super::values::convert::{self, Conversion};
use super::values::{compare, decimal};
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
    /// Value for a blank.
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
            let text = record.values.get(association.column).and_then(Option::as_deref);
            let target = text.map(str::parse).transpose().map_err(|_| Reason {
                code: "SL5004".to_owned(),
                remote_code: None,
                property: Some(association.field.to_string()),
                message: format!("the lookup `{}` does not hold a Salesforce id", association.field),
                request_id: None,
            })?;
            lookups.push(target);
        }
        Ok(Desired { id: record.id, title: self.title(record).into(), properties, create_only, lookups })
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
        let value = field.raw(record)?;
        let value = value.filter(|text| !text.is_empty()).or(field.default.as_deref().map(Cow::Borrowed));
        let Some(text) = value else {
            return match field.when_blank {
                _ if field.required => Err(field.reason("SL5010", "is required, and it is blank")),
                WhenBlank::Keep => Ok(None),
                WhenBlank::Clear => Ok(Some(Cow::Borrowed(""))),
            };
        };
        let mapped = field.mapped(text)?;
        let length = convert::length(&mapped);
        if length > convert::TEXT_LENGTH_MAX {
            if field.truncate {
                return Ok(Some(Cow::Owned(convert::truncate(&mapped).to_owned())));
            }
            let message = format!("has {length} characters; HubSpot holds {} at most", convert::TEXT_LENGTH_MAX);
            return Err(field.reason("SL5007", &message));
        }
        Ok(Some(mapped))
    }
}

impl Field {
    /// The value before any conversion; blank is none.
    fn raw<'a>(&'a self, record: &'a Record) -> Result<Option<Cow<'a, str>>, Reason> {
        let column = |index: usize| record.values.get(index).and_then(Option::as_deref);
        Ok(match &self.source {
            FieldSource::Column(index) => column(*index).map(Cow::Borrowed),
            FieldSource::Constant(text) => Some(Cow::Borrowed(text)),
            FieldSource::Address(parts) => address(parts.map(|part| part.and_then(column))).map(Cow::Owned),
            FieldSource::Location([latitude, longitude]) => {
                let pair = latitude.and_then(column).zip(longitude.and_then(column));
                pair.map(|(latitude, longitude)| Cow::Owned(format!("{latitude}, {longitude}")))
            }
            FieldSource::Template(template, columns) => {
                let fields = columns.iter().map(|(index, kind)| (kind, column(*index)));
                Some(Cow::Owned(template.render(fields).map_err(|error| {
                    let detail = if self.sensitive {
                        "its template failed".to_owned()
                    } else {
                        format!("its template failed: {error}")
                    };
                    self.reason("SL5008", &detail)
                })?))
            }
        })
    }

    /// Value map, conversion and options.
    fn mapped<'a>(&self, text: Cow<'a, str>) -> Result<Cow<'a, str>, Reason> {
        if matches!(self.source, FieldSource::Constant(_)) {
            return Ok(text);
        }
        if self.kind == PropertyKind::MultiCheckbox {
            return self.options_of(&text).map(Cow::Owned);
        }
        if self.values.is_some() || self.conversion == Conversion::Option {
            return self.option(text.trim()).map(Cow::Owned);
        }
        let convert = |text: &'a str| convert::convert(text, self.conversion, &self.zone);
        let converted = match &text {
            Cow::Borrowed(borrowed) => convert(borrowed),
            Cow::Owned(owned) => {
                convert::convert(owned, self.conversion, &self.zone).map(|converted| Cow::Owned(converted.into_owned()))
            }
        };
        converted
            .map_err(|unfit| self.reason(unfit.code(), &format!("is not {}{}", unfit.expected(), self.shown(&text))))
    }

    /// Several options: mapped one by one, without blanks and repetitions. A leading `;` would append instead of replace.
    fn options_of(&self, text: &str) -> Result<String, Reason> {
        let mut options: Vec<String> = Vec::new();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let option = self.option(part)?;
            if !option.is_empty() && !options.contains(&option) {
                options.push(option);
            }
        }
        Ok(options.join(";"))
    }

    /// One value through the value map and against the options.
    fn option(&self, value: &str) -> Result<String, Reason> {
        let mapped = match &self.values {
            Some(values) => {
                let canonical = || decimal::canonical(value).and_then(|number| values.get(&number));
                values.get(value).or_else(canonical).cloned()
            }
            None => Some(value.to_owned()).filter(|value| self.offers(value)),
        };
        if let Some(mapped) = mapped {
            return Ok(mapped);
        }
        match &self.otherwise {
            Fallback::Value(other) => Ok(other.clone()),
            Fallback::Clear => Ok(String::new()),
            Fallback::Pass if self.offers(value) => Ok(value.to_owned()),
            Fallback::Pass | Fallback::Reject if self.values.is_some() => {
                Err(self.reason("SL5005", &format!("has a value that its value map lacks{}", self.shown(value))))
            }
            Fallback::Pass | Fallback::Reject => {
                Err(self
                    .reason("SL5006", &format!("has a value that is no option of the property{}", self.shown(value))))
            }
        }
    }

    /// Whether the property has this option, or its options cannot be checked.
    fn offers(&self, value: &str) -> bool {
        self.options.as_ref().is_none_or(|options| options.iter().any(|option| **option == *value))
    }

    fn shown(&self, value: &str) -> String {
        if self.sensitive {
            return String::new();
        }
        let short: String = value.chars().take(80).collect();
        let more = if short.len() < value.len() { "…" } else { "" };
        format!(": `{short}{more}`")
    }

    fn reason(&self, code: &str, message: &str) -> Reason {
        Reason {
            code: code.to_owned(),
            remote_code: None,
            property: Some(self.property.to_string()),
            message: format!("`{}` {message}", self.property),
            request_id: None,
        }
    }
}

/// `Street, PostalCode City, State, Country`; what is blank is left out.
fn address([street, postal_code, city, state, country]: [Option<&str>; 5]) -> Option<String> {
    let city = match (postal_code, city) {
        (Some(code), Some(city)) => Some(format!("{code} {city}")),
        (one, other) => one.or(other).map(str::to_owned),
    };
    let parts = [street.map(str::to_owned), city, state.map(str::to_owned), country.map(str::to_owned)];
    let parts: Vec<String> = parts.into_iter().flatten().filter(|part| !part.trim().is_empty()).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}
