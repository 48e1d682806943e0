//! The API's own shapes. Every member may be missing and unknown ones are ignored: real answers differ.

use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use smol_str::SmolStr;

use crate::connect::http::entries::{self, Entry, list, parts, some_list};
use crate::model::ids::HubspotId;

/// An error answer, or one entry of a batch's `errors`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ErrorBody {
    pub(super) message: Option<String>,
    pub(super) correlation_id: Option<String>,
    pub(super) category: Option<String>,
    pub(super) sub_category: Option<Value>,
    pub(super) error_type: Option<String>,
    pub(super) policy_name: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub(super) context: BTreeMap<String, Value>,
    #[serde(deserialize_with = "parts")]
    pub(super) errors: Vec<ErrorDetail>,
}

/// One entry of an error's own `errors`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ErrorDetail {
    pub(super) message: Option<String>,
    pub(super) code: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub(super) context: BTreeMap<String, Value>,
}

/// An entry of the JSON text that some messages carry.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct EmbeddedError {
    pub(super) message: Option<String>,
    pub(super) error: Option<String>,
    pub(super) name: Option<String>,
}

/// An answer as a whole: any JSON decodes into types whose members may all be missing, so this tells whether it is one.
pub(super) trait Answer: DeserializeOwned {
    /// Reads it, entry by entry where one of them is odd.
    fn read(body: &[u8]) -> Result<Self, serde_json::Error> {
        entries::answer(body)
    }

    /// Whether it says what was asked for.
    fn is_one(&self) -> bool {
        true
    }
}

/// The answer of a batch that writes. An empty one is an answer as well: it confirms nothing.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "T: DeserializeOwned"))]
pub(super) struct Batch<T> {
    #[serde(default)]
    pub(super) status: Option<String>,
    #[serde(default = "Vec::new", deserialize_with = "list")]
    pub(super) results: Vec<T>,
    /// What is odd in an error takes the rest of what it says not along.
    #[serde(default, deserialize_with = "parts")]
    pub(super) errors: Vec<ErrorBody>,
}

impl<T: DeserializeOwned> Answer for Batch<T> {
    fn read(body: &[u8]) -> Result<Self, serde_json::Error> {
        // Nearly all answers are of this form, and are read in one pass. As text, so that it is not looked at once more for each of its
        // members.
        match std::str::from_utf8(body).ok().and_then(|body| serde_json::from_str(body).ok()) {
            Some(Entry(Whole::<T> { status, results, errors })) if errors.is_empty() => {
                let results = results.into_iter().map(|Entry(result)| result).collect();
                Ok(Self { status, results, errors: Vec::new() })
            }
            _ => entries::answer(body),
        }
    }
}

/// How the trace ids begin that Syncline sends.
pub(super) const TRACE_PREFIX: &str = "syncline-";

/// An answer of a batch without errors and without an odd entry.
#[derive(Deserialize)]
#[serde(bound(deserialize = "T: DeserializeOwned"))]
struct Whole<T> {
    #[serde(default)]
    status: Option<String>,
    results: Vec<Entry<T>>,
    #[serde(default)]
    errors: Vec<IgnoredAny>,
}

/// The answer of a batch that reads: one without results and errors must say that it is complete.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent, bound(deserialize = "T: DeserializeOwned"))]
pub(super) struct ReadBatch<T>(pub(super) Batch<T>);

impl<T: DeserializeOwned> Answer for ReadBatch<T> {
    fn read(body: &[u8]) -> Result<Self, serde_json::Error> {
        Batch::read(body).map(Self)
    }

    fn is_one(&self) -> bool {
        let Batch { status, results, errors } = &self.0;
        status.is_some() || !results.is_empty() || !errors.is_empty()
    }
}

/// A page of a listing.
#[derive(Debug, Clone, Deserialize)]
#[serde(bound(deserialize = "T: DeserializeOwned"))]
pub(super) struct Page<T> {
    #[serde(default = "Option::default", deserialize_with = "some_list")]
    pub(super) results: Option<Vec<T>>,
    #[serde(default)]
    pub(super) paging: Option<Paging>,
}

impl<T> Page<T> {
    /// Its entries.
    pub(super) fn entries(self) -> Vec<T> {
        self.results.unwrap_or_default()
    }
}

impl<T: DeserializeOwned> Answer for Page<T> {
    fn is_one(&self) -> bool {
        self.results.is_some()
    }
}

/// A member that may be missing or null.
fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(source: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(source).map(Option::unwrap_or_default)
}

/// Where the next page is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Paging {
    pub(super) next: Option<Next>,
}

impl Paging {
    /// A page that follows.
    pub(super) fn to(after: SmolStr) -> Self {
        Self { next: Some(Next { after: Some(Value::String(after.into())) }) }
    }
}

/// The next page.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Next {
    pub(super) after: Option<Value>,
}

impl Paging {
    /// The place of the next page.
    pub(super) fn after(&self) -> Option<String> {
        text(self.next.as_ref()?.after.as_ref()?)
    }
}

/// A record.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Object {
    pub(super) id: Option<Value>,
    #[serde(deserialize_with = "properties")]
    pub(super) properties: BTreeMap<String, Option<String>>,
    pub(super) archived: Option<bool>,
}

/// A record that was written: what tells which input it answers. What it holds is looked at only where no trace id tells.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Written {
    #[serde(deserialize_with = "id")]
    pub(super) id: Option<HubspotId>,
    properties: Option<Box<RawValue>>,
    pub(super) new: Option<bool>,
    pub(super) object_write_trace_id: Option<SmolStr>,
}

impl Written {
    /// One that its trace id tells apart, without what it holds.
    pub(super) fn traced(id: Option<HubspotId>, new: Option<bool>, trace: SmolStr) -> Self {
        Self { id, properties: None, new, object_write_trace_id: Some(trace) }
    }

    /// The value of a property.
    pub(super) fn value(&self, property: &str) -> Option<String> {
        let all: BTreeMap<String, Value> = serde_json::from_str(self.properties.as_ref()?.get()).ok()?;
        text(all.get(property)?)
    }
}

/// An id that may come as a number or as text.
fn id<'de, D: Deserializer<'de>>(source: D) -> Result<Option<HubspotId>, D::Error> {
    struct Id;
    impl serde::de::Visitor<'_> for Id {
        type Value = Option<HubspotId>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an id")
        }

        fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
            Ok((!text.is_empty()).then(|| HubspotId::new(text)))
        }

        fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
            Ok(Some(HubspotId::new(smol_str::format_smolstr!("{number}"))))
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
    }
    source.deserialize_any(Id)
}

/// A schema of a custom object.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Schema {
    pub(super) object_type_id: Option<String>,
    pub(super) fully_qualified_name: Option<String>,
    pub(super) name: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) labels: Labels,
    pub(super) primary_display_property: Option<String>,
    #[serde(deserialize_with = "list")]
    pub(super) required_properties: Vec<String>,
    pub(super) archived: Option<bool>,
}

impl Answer for Schema {
    fn is_one(&self) -> bool {
        self.object_type_id.is_some()
    }
}

/// Names for people.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Labels {
    pub(super) plural: Option<String>,
}

/// A property.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Property {
    pub(super) name: String,
    pub(super) label: Option<String>,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) field_type: Option<String>,
    pub(super) number_display_hint: Option<String>,
    #[serde(deserialize_with = "list")]
    pub(super) options: Vec<PropertyOption>,
    pub(super) has_unique_value: Option<bool>,
    pub(super) calculated: Option<bool>,
    pub(super) external_options: Option<bool>,
    pub(super) referenced_object_type: Option<String>,
    pub(super) archived: Option<bool>,
    #[serde(deserialize_with = "nullable")]
    pub(super) modification_metadata: ModificationMetadata,
}

/// What may be changed of a property.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ModificationMetadata {
    pub(super) read_only_value: Option<bool>,
}

/// The rules for the values of a property.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PropertyRules {
    pub(super) property_name: Option<String>,
    #[serde(deserialize_with = "list")]
    pub(super) property_validation_rules: Vec<ValidationRule>,
}

/// A rule for the values of a property.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ValidationRule {
    pub(super) rule_type: Option<String>,
    pub(super) rule_arguments: Option<Value>,
    pub(super) should_apply_normalization: Option<bool>,
}

/// An option of an enumeration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct PropertyOption {
    pub(super) label: Option<String>,
    pub(super) value: String,
}

/// The account.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AccountDetails {
    pub(super) portal_id: Option<Value>,
    pub(super) account_type: Option<String>,
    pub(super) time_zone: Option<String>,
    pub(super) ui_domain: Option<String>,
}

impl AccountDetails {
    /// The portal's number, which may come as text.
    pub(super) fn portal(&self) -> Option<u64> {
        text(self.portal_id.as_ref()?)?.parse().ok()
    }
}

impl Answer for AccountDetails {
    fn is_one(&self) -> bool {
        self.portal().is_some()
    }
}

/// A user to whom records can be assigned.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Owner {
    pub(super) id: Option<Value>,
    pub(super) email: Option<String>,
    pub(super) archived: Option<bool>,
}

/// How many of something an account may have.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Limit {
    pub(super) limit: Option<u64>,
    pub(super) usage: Option<u64>,
}

impl Answer for Limit {
    fn is_one(&self) -> bool {
        self.limit.is_some() && self.usage.is_some()
    }
}

/// A type of associations, in a list of labels or on an association.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WireType {
    pub(super) category: Option<SmolStr>,
    pub(super) type_id: Option<u64>,
    pub(super) label: Option<String>,
}

/// The associations of one record.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Associations {
    #[serde(deserialize_with = "nullable")]
    pub(super) from: Reference,
    #[serde(deserialize_with = "list")]
    pub(super) to: Vec<AssociatedTo>,
    pub(super) paging: Option<Paging>,
}

/// One association.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AssociatedTo {
    #[serde(deserialize_with = "id")]
    pub(super) to_object_id: Option<HubspotId>,
    #[serde(deserialize_with = "list")]
    pub(super) association_types: Vec<WireType>,
}

/// An association that was made, in one of two shapes: ends by id, or ends as records.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct MadeAssociation {
    #[serde(deserialize_with = "id")]
    from_object_id: Option<HubspotId>,
    #[serde(deserialize_with = "id")]
    to_object_id: Option<HubspotId>,
    #[serde(deserialize_with = "nullable")]
    from: Reference,
    #[serde(deserialize_with = "nullable")]
    to: Reference,
}

impl MadeAssociation {
    /// One between two records.
    pub(super) fn between(from: HubspotId, to: HubspotId) -> Self {
        Self { from_object_id: Some(from), to_object_id: Some(to), ..Self::default() }
    }

    /// Its two ends.
    pub(super) fn ends(&self) -> Option<(&HubspotId, &HubspotId)> {
        let from = self.from_object_id.as_ref().or(self.from.id.as_ref())?;
        Some((from, self.to_object_id.as_ref().or(self.to.id.as_ref())?))
    }
}

/// A record, by id.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Reference {
    #[serde(deserialize_with = "id")]
    pub(super) id: Option<HubspotId>,
}

/// Values of properties: text, as a rule; numbers and booleans are taken as they are written.
fn properties<'de, D: Deserializer<'de>>(source: D) -> Result<BTreeMap<String, Option<String>>, D::Error> {
    let values: BTreeMap<String, Value> = nullable(source)?;
    let text = |value: Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    };
    Ok(values.into_iter().map(|(name, value)| (name, text(value))).collect())
}

/// An id or place that may come as a number or as text.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The texts of a context value: one text, a number, or a list of them.
pub(super) fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Array(items)) => items.iter().filter_map(text).collect(),
        Some(other) => text(other).into_iter().collect(),
        None => Vec::new(),
    }
}
