//! How a record that stands in HubSpot without a Salesforce id is recognised. Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::values::compare;
use super::values::convert::{self, Conversion, trim};
use super::values::decimal::Decimal;
use crate::model::ids::SalesforceId;
use crate::model::object::{FieldKind, PropertyKind};
use crate::model::record::Record;

/// How a record that stands in HubSpot without a Salesforce id is recognised.
#[derive(Debug, Clone)]
pub struct Adoption {
    /// The property that both have in common.
    pub property: Arc<str>,
    /// HubSpot keeps it unique.
    pub unique: bool,
    /// The property's type.
    pub kind: PropertyKind,
    /// The column with the same value.
    pub column: usize,
    /// The column's type.
    pub source_kind: FieldKind,
    /// How its text becomes the property's text.
    pub conversion: Conversion,
}

impl Adoption {
    /// The value that a row has in common with the record that it takes over. A blank, and what does not convert, lead to none.
    pub fn value(&self, record: &Record) -> Option<Box<str>> {
        let text = record.values.get(self.column)?.as_deref().map(trim).filter(|text| !text.is_empty())?;
        let converted = convert::convert(text, self.conversion, &TimeZone::UTC).ok()?;
        Some(self.comparable(&converted).into())
    }

    /// A value in the form in which values are compared: numbers without superfluous digits, e-mail addresses in small letters.
    pub fn comparable<'a>(&self, value: &'a str) -> Cow<'a, str> {
        let value = trim(value);
        match (&self.kind, &self.source_kind) {
            (PropertyKind::Number, _) => {
                Decimal::parse(value).map_or(Cow::Borrowed(value), |number| Cow::Owned(number.to_string()))
            }
            (_, FieldKind::Email) => Cow::Owned(value.to_lowercase()),
            _ => Cow::Borrowed(value),
        }
    }

    /// Whether a HubSpot record has the value and belongs to no other Salesforce record than `id`.
    pub fn fits(
        &self,
        held: &BTreeMap<String, Option<String>>,
        value: &str,
        match_property: &str,
        id: SalesforceId,
    ) -> bool {
        let text = |name: &str| held.get(name).and_then(Option::as_deref).map(trim).filter(|text| !text.is_empty());
        let has_value =
            text(&self.property).is_some_and(|held| compare::same(&self.kind, value, Some(&self.comparable(held))));
        // HubSpot's own integration may have left a Salesforce id of 15 characters.
        has_value && text(match_property).is_none_or(|owner| owner.parse() == Ok(id))
    }
}
