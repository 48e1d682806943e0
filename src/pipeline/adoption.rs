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
        let text = record.values.get(self.column).map(trim).filter(|text| !text.is_empty())?;
        // In UTC whatever the field's own zone: keys are texts and numbers, whose text no zone changes.
        let converted = convert::convert(text, self.conversion, &TimeZone::UTC).ok()?;
        Some(self.comparable(&converted).into())
    }

    /// The texts by which HubSpot may hold a value: a Salesforce id also with 15 characters.
    pub fn keys<'a>(&self, value: &'a str) -> Vec<&'a str> {
        let is_id = matches!(self.source_kind, FieldKind::Id | FieldKind::Reference);
        // People and older tools have pasted ids of 15 characters, as Salesforce shows them in addresses.
        std::iter::once(value).chain(value.get(..15).filter(|_| is_id && value.len() == 18)).collect()
    }

    /// A value in the form in which values are compared: numbers without superfluous digits, e-mail addresses in small letters,
    /// Salesforce ids with 18 characters.
    pub fn comparable<'a>(&self, value: &'a str) -> Cow<'a, str> {
        let value = trim(value);
        match (&self.kind, &self.source_kind) {
            (PropertyKind::Number, _) => {
                // `7`, `7.0` and `7e0` are one number, which each system writes in its own way.
                Decimal::parse(value).map_or(Cow::Borrowed(value), |number| Cow::Owned(number.to_string()))
            }
            // HubSpot lowers the letters of addresses on contacts, Salesforce keeps them as typed.
            (_, FieldKind::Email) => Cow::Owned(value.to_lowercase()),
            (_, FieldKind::Id | FieldKind::Reference) => {
                value.parse::<SalesforceId>().map_or(Cow::Borrowed(value), |id| Cow::Owned(id.to_string()))
            }
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
        // Compared once more, since a search may answer with what was true some seconds ago.
        let has_value =
            text(&self.property).is_some_and(|held| compare::same(&self.kind, value, Some(&self.comparable(held))));
        // HubSpot's own integration may have left a Salesforce id of 15 characters.
        has_value && text(match_property).is_none_or(|owner| owner.parse() == Ok(id))
    }
}
