//! A pipeline that can run: what it reads, how it fills properties, where its records go, and the questions asked of that.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::adoption::Adoption;
use super::condition::tree::Condition;
use super::parents::Parents;
use super::taken::Taken;
use super::template::Template;
use super::values::convert::{Conversion, trim};
use super::values::decimal::Decimal;
use super::values::matching::{self, Options};
use super::values::rules::Rule;
use crate::config::pipeline::{DeleteAction, GuardConfig, Mode, SyncConfig, WhenBlank};
use crate::model::association::{Asked, AssociationKey, LabelId};
use crate::model::failure::RowHash;
use crate::model::hash::{Hasher, quick, text_bytes};
use crate::model::identity::{ContentHash, MappingVersion, RowMark, WrittenHash};
use crate::model::ids::{PipelineName, SalesforceId, SalesforceIdError};
use crate::model::object::{FieldKind, PropertyKind, TargetProperty};
use crate::model::record::{Cells, Column, Desired, Properties, Record};

/// A pipeline that can run.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// Its name.
    pub name: PipelineName,
    /// The source object, in its true spelling.
    pub source_object: Arc<str>,
    /// The fields to read.
    pub columns: Arc<[Column]>,
    /// Which records belong.
    pub condition: Option<Condition>,
    /// The parents that a sync looks after.
    pub parents: Parents,
    /// The field that tells when a record was last touched.
    pub cursor_field: Option<Arc<str>>,
    /// The object has a recycle bin.
    pub has_is_deleted: bool,
    /// Where records go to.
    pub target: Target,
    /// What to do with records that exist and those that do not.
    pub mode: Mode,
    /// How records that stand in HubSpot without a Salesforce id are recognised.
    pub adoption: Option<Adoption>,
    /// How properties are filled.
    pub fields: Vec<Field>,
    /// The properties that may be set, the match property first.
    pub properties: Arc<[Arc<str>]>,
    /// Which lookups become associations; of a junction pipeline, its two ends.
    pub associations: Vec<Association>,
    /// Rows become associations between two records of others.
    pub is_junction: bool,
    /// What a delete does.
    pub on_delete: DeleteAction,
    /// What leaving `where` does.
    pub on_filter_exit: DeleteAction,
    /// What being no longer visible does, without proof of a delete.
    pub on_vanish: DeleteAction,
    /// Limits beyond which a run stops.
    pub guard: GuardConfig,
    /// How much before the watermark is read again.
    pub overlap: SignedDuration,
    /// When and how changes are synced.
    pub sync: SyncConfig,
    /// Hash over the parts of the definition that shape records.
    pub mapping_version: MappingVersion,
    /// Hash over all that a record is judged by: the mapping, and what the two systems say of the fields and properties in use.
    /// A record that failed under another one may go through now.
    pub basis: String,
    /// How what is written is hashed.
    pub(super) content: ContentForm,
    /// What marks of rows begin with; none where what is written depends on more than the row and the basis.
    pub(super) mark_seed: Option<u64>,
    /// Column of the record's name for people.
    pub(super) title_column: Option<usize>,
    /// Columns whose values are masked.
    pub(super) sensitive_columns: BTreeSet<usize>,
}

/// What of a hash is the same for all records.
#[derive(Debug, Clone)]
pub(super) struct ContentForm {
    /// Stands for the object that records go to, and for the names of the properties.
    seed: u64,
    /// The object that records go to, as an earlier version's hashes begin.
    begin: Box<[u8]>,
    /// The places of the properties in the order of their names, each with what its name added to those.
    by_name: Box<[(usize, Box<[u8]>)]>,
}

impl ContentForm {
    pub(super) fn new(target: &Target, properties: &[Arc<str>]) -> Self {
        let begin = [&*target.connection, &*target.object_type_id].map(text_bytes).concat();
        let mut by_name: Vec<usize> = (0..properties.len()).collect();
        by_name.sort_by_key(|place| &properties[*place]);
        let by_name: Box<[(usize, Box<[u8]>)]> =
            by_name.into_iter().map(|place| (place, text_bytes(&properties[place]).into())).collect();
        let mut hasher = Hasher::default();
        hasher.bytes(&begin);
        by_name.iter().for_each(|(_, name)| hasher.bytes(name));
        Self { seed: u64::from_le_bytes(hasher.finish()), begin: begin.into(), by_name }
    }
}

/// Where records go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Name of the connection.
    pub connection: Arc<str>,
    /// Object type id.
    pub object_type_id: Arc<str>,
    /// Name for people.
    pub label: Arc<str>,
    /// The unique property that holds the Salesforce id.
    pub match_property: Arc<str>,
    /// Rules of the portal that the match property's values must keep.
    pub match_rules: Vec<Rule>,
    /// The property that HubSpot shows as a record's name.
    pub title_property: Option<Arc<str>>,
    /// Properties that a create must set, the match property left out.
    pub required: Vec<Arc<str>>,
}

/// A lookup that becomes an association.
#[derive(Debug, Clone, PartialEq)]
pub struct Association {
    /// Its key in the state.
    pub key: AssociationKey,
    /// The lookup field, or the path to it.
    pub field: Arc<str>,
    /// Its column.
    pub column: usize,
    /// How ids begin that are meant, where the lookup leads to several objects; ids of others are left out.
    pub prefix: Option<Arc<str>>,
    /// Where its records are found.
    pub target: AssociationTarget,
    /// The label.
    pub label: AssociationLabel,
}

/// Which label an association gets.
#[derive(Debug, Clone, PartialEq)]
pub enum AssociationLabel {
    /// None: the plain association.
    Plain,
    /// The same for all records.
    Fixed(LabelId),
    /// By the value of a column; the plain association for what is not listed.
    ByColumn {
        /// The column.
        column: usize,
        /// Its type.
        kind: FieldKind,
        /// Labels by value, in the form in which values are compared.
        values: BTreeMap<String, LabelId>,
    },
}

impl Association {
    /// What the lookup of a row asks for; an id that is meant for another entry asks for nothing here.
    ///
    /// Errors: the lookup holds something that is no Salesforce id.
    pub fn asked(&self, values: &Cells) -> Result<Option<Asked>, SalesforceIdError> {
        let text = |column: usize| values.get(column).map(trim).filter(|text| !text.is_empty());
        let Some(target) = text(self.column).map(str::parse::<SalesforceId>).transpose()? else { return Ok(None) };
        if self.prefix.as_ref().is_some_and(|prefix| target.key_prefix() != &**prefix) {
            return Ok(None);
        }
        let label = match &self.label {
            AssociationLabel::Plain => None,
            AssociationLabel::Fixed(label) => Some(label.clone()),
            AssociationLabel::ByColumn { column, kind, values } => {
                text(*column).and_then(|value| values.get(&*matching::key(value, kind)).cloned())
            }
        };
        Ok(Some(Asked { target, label }))
    }

    /// The label, where it is the same for all records.
    pub fn fixed_label(&self) -> Option<&LabelId> {
        match &self.label {
            AssociationLabel::Fixed(label) => Some(label),
            AssociationLabel::Plain | AssociationLabel::ByColumn { .. } => None,
        }
    }
}

/// Where the records of a lookup are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AssociationTarget {
    /// Among the records of a pipeline.
    Pipeline {
        /// The pipeline.
        name: PipelineName,
        /// Its object.
        object_type_id: Arc<str>,
    },
    /// By a property that holds the Salesforce id.
    Property {
        /// The object.
        object_type_id: Arc<str>,
        /// The property.
        property: Arc<str>,
        /// HubSpot keeps it unique.
        unique: bool,
    },
}

impl AssociationTarget {
    /// The object at the other end.
    pub fn object_type_id(&self) -> &Arc<str> {
        match self {
            Self::Pipeline { object_type_id, .. } | Self::Property { object_type_id, .. } => object_type_id,
        }
    }
}

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
    /// What a number is multiplied by.
    pub scale: Option<Decimal>,
    /// Value map.
    pub values: Option<BTreeMap<String, String>>,
    /// What happens to a value that the map lacks, or that is no option.
    pub otherwise: Fallback,
    /// Options of the property; none when they are not checked.
    pub options: Option<Arc<Options>>,
    /// Rules of the portal that its values must keep.
    pub rules: Vec<Rule>,
    /// Canonical text of the property for a blank.
    pub default: Option<String>,
    /// What a blank does.
    pub when_blank: WhenBlank,
    /// A blank rejects the record.
    pub required: bool,
    /// Set only when the record is made.
    pub on_create_only: bool,
    /// Set only where HubSpot holds nothing.
    pub if_empty: bool,
    /// What somebody changed in HubSpot stays.
    pub keeps_drift: bool,
    /// Cut what is too long.
    pub truncate: bool,
    /// Zone in which a moment becomes a day.
    pub zone: TimeZone,
    /// Mask its values in every output.
    pub sensitive: bool,
    /// Say nothing of its values in messages: it is sensitive, or reads a column that is.
    pub discreet: bool,
    /// How values that need no look are taken over.
    pub taken: Option<Taken>,
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
    /// The record is rejected.
    Reject,
    /// The value is used as it is.
    Pass,
    /// The property is cleared.
    Clear,
    /// This value is used.
    Value(String),
}

impl Pipeline {
    /// The two ends of a junction pipeline: where its associations begin, and where they lead.
    pub fn junction(&self) -> Option<(&Association, &Association)> {
        match self.associations.as_slice() {
            [from, to] if self.is_junction => Some((from, to)),
            _ => None,
        }
    }

    /// The read of every record that matches, as it is now.
    pub fn all_records(&self) -> crate::ports::source::Extract {
        use crate::ports::source::DeletedRows;
        crate::ports::source::Extract {
            object: self.source_object.to_string(),
            columns: Arc::clone(&self.columns),
            condition: self.condition_text(),
            window: None,
            parents: None,
            cursor_field: self.cursor_field.as_deref().map(str::to_owned),
            deleted: if self.has_is_deleted { DeletedRows::LeaveOut } else { DeletedRows::Exclude },
            ids: None,
            expected: None,
        }
    }

    /// The condition as SOQL.
    pub fn condition_text(&self) -> Option<String> {
        self.condition.as_ref().map(ToString::to_string)
    }

    /// See [`crate::model::record::Desired::content`].
    pub(super) fn content_hash(&self, properties: &Properties, lookups: &[Option<Asked>]) -> ContentHash {
        if self.is_junction {
            let mut hasher = Hasher::default();
            for asked in lookups {
                hasher.text(asked.as_ref().map_or("", |asked| asked.target.as_str()));
                let label = asked.as_ref().and_then(|asked| asked.label.as_ref());
                hasher.text(&label.map(ToString::to_string).unwrap_or_default());
            }
            return ContentHash(u64::from_le_bytes(hasher.finish()));
        }
        let by_name = self.content.by_name.iter();
        // Each value's hash begins with that of those before it. A property that is left alone is no empty text.
        ContentHash(by_name.fold(self.content.seed, |seed, (place, _)| match properties.at(*place) {
            Some(value) => quick(seed, value.as_bytes()),
            None => !seed.rotate_left(1),
        }))
    }

    /// Whether what was written last for a record is this.
    pub fn has_written(&self, desired: &Desired, last: WrittenHash) -> bool {
        last.is_of(desired.content) || (!self.is_junction && last.is_of(self.earlier_hash(&desired.properties)))
    }

    /// What versions remembered before there were marks of rows: SHA-256 of names and values.
    fn earlier_hash(&self, properties: &Properties) -> ContentHash {
        let mut hasher = Hasher::default();
        hasher.bytes(&self.content.begin);
        for (place, name) in &self.content.by_name {
            if let Some(value) = properties.at(*place) {
                hasher.named(name, value);
            }
        }
        ContentHash(u64::from_le_bytes(hasher.finish()))
    }

    /// Hash of a row under this mapping: a row that failed is not sent again while it stays the same.
    pub fn row_hash(&self, record: &Record) -> RowHash {
        let mut hasher = Hasher::default();
        hasher.bytes(&self.mapping_version.0);
        for value in record.values.iter() {
            // A blank differs from an empty text by its length.
            hasher.bytes(&value.map_or(u64::MAX, |value| value.len() as u64).to_le_bytes());
            hasher.bytes(value.unwrap_or_default().as_bytes());
        }
        RowHash(hasher.finish())
    }

    /// The mark of a row: where it is that of the row that was written last, the same would be written. None where other things decide as
    /// well: who the owners are, what time it is.
    pub fn row_mark(&self, record: &Record) -> RowMark {
        // Zero is left to those that have none.
        self.mark_seed.map_or_else(RowMark::default, |seed| RowMark(record.values.mark(seed).max(1)))
    }

    /// A record's name for people: its name field, else its id.
    pub fn title(&self, record: &Record) -> String {
        let named = self.title_column.filter(|column| !self.sensitive_columns.contains(column));
        let title = named.and_then(|column| record.values.get(column));
        let title = title.filter(|title| !title.trim().is_empty());
        title.map_or_else(|| record.id.to_string(), str::to_owned)
    }

    /// The read of the names of these records, deleted ones too, with nothing else in it; none where a record has no name that may be
    /// shown. At most [`crate::ports::source::QUERY_IDS_MAX`].
    pub fn names_of(&self, ids: &[SalesforceId]) -> Option<crate::ports::source::Extract> {
        use crate::ports::source::DeletedRows;
        let column = self.title_column.filter(|column| !self.sensitive_columns.contains(column))?;
        Some(crate::ports::source::Extract {
            columns: Arc::from([self.columns.get(column)?.clone()]),
            condition: None,
            deleted: if self.has_is_deleted { DeletedRows::Include } else { DeletedRows::Exclude },
            ids: Some(ids.to_vec()),
            expected: Some(ids.len() as u64),
            ..self.all_records()
        })
    }

    /// Whether owners must be known to fill its properties.
    pub fn needs_owners(&self) -> bool {
        self.fields.iter().any(|field| field.conversion == Conversion::Owner)
    }

    /// The type of a property.
    pub fn kind_of(&self, property: &str) -> &PropertyKind {
        self.fields.iter().find(|field| *field.property == *property).map_or(&PropertyKind::String, |field| &field.kind)
    }

    /// A property's value as it may be shown.
    pub fn mask_property<'a>(&self, property: &str, value: &'a str) -> Cow<'a, str> {
        let sensitive = self.fields.iter().any(|field| field.discreet && *field.property == *property);
        mask(sensitive, value)
    }

    /// A column's value as it may be shown.
    pub fn mask_column<'a>(&self, column: usize, value: &'a str) -> Cow<'a, str> {
        mask(self.sensitive_columns.contains(&column), value)
    }

    /// Names of the columns that a field reads.
    pub fn columns_of(&self, field: &Field) -> Vec<&str> {
        field.places().into_iter().filter_map(|place| self.columns.get(place)).map(|column| &*column.path).collect()
    }
}

/// The portal's rules for a property, those whose meaning is certain.
pub fn rules_of(property: &TargetProperty) -> Vec<Rule> {
    property.rules.iter().filter_map(|rule| Rule::of(rule, &property.kind)).collect()
}

fn mask(sensitive: bool, value: &str) -> Cow<'_, str> {
    if sensitive && !value.is_empty() { Cow::Borrowed("***") } else { Cow::Borrowed(value) }
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

    /// Whether its value depends on the row alone: not on owners, the time, or what the computer knows of time zones.
    pub(super) fn is_of_row_alone(&self) -> bool {
        let template = match &self.source {
            FieldSource::Template(template, _) => Some(template),
            _ => None,
        };
        self.conversion != Conversion::Owner
            && self.zone == TimeZone::UTC
            && template.is_none_or(Template::is_of_row_alone)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::pipeline::fixture::Fixture;

    #[test]
    fn a_hash_stays_what_states_remember() {
        let fields = json!([{"from": "Name", "to": "text"}, {"from": "Amount__c", "to": "number"}]);
        let fixture = Fixture::new(fields);
        let desired = fixture.transform(&[("Name", "Łódź"), ("Amount__c", "5")]).unwrap();
        let mut hasher = Hasher::default();
        for text in ["hubspot", "2-77", "number", "5", "salesforce_id", "a015g00000AbCdEAAV", "text", "Łódź"] {
            hasher.text(text);
        }
        assert_eq!(hasher.clone().hex::<16>(), "1f653082471be68a558d295a2666a7c3");
        let remembered = WrittenHash(hasher.finish());
        let pipeline = fixture.pipeline();
        assert!(pipeline.has_written(&desired, remembered));
        assert_eq!(desired.content, ContentHash(8_592_986_082_720_537_674));
        assert!(pipeline.has_written(&desired, WrittenHash::new(desired.content, RowMark(7))));
        let other = fixture.transform(&[("Name", "Łódź"), ("Amount__c", "6")]).unwrap();
        assert!(!pipeline.has_written(&other, remembered) && other.content != desired.content);
    }
}
