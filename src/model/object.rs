//! What the two systems say of their objects, reduced to what mapping needs.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A Salesforce object as its describe call shows it to the integration user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SourceObject {
    /// API name, in its true spelling.
    pub name: String,
    /// Name for people.
    pub label: String,
    /// The same for several records; the catalog does not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_plural: Option<String>,
    /// Made by the customer (`…__c`).
    pub custom: bool,
    /// Can be read by SOQL at all.
    pub queryable: bool,
    /// Has `/deleted` and `/updated` lists.
    pub replicateable: bool,
    /// Can be restored; false is taken as "a delete leaves no row behind".
    pub undeletable: bool,
    /// Can be read by id.
    pub retrieveable: bool,
    /// First three characters of its ids.
    pub key_prefix: Option<String>,
    /// All fields that the integration user may read.
    pub fields: Vec<SourceField>,
}

/// Described source objects, by lower-case API name. They are shared: many pipelines have the same parents.
pub type Sources = HashMap<String, Arc<SourceObject>>;

impl SourceObject {
    /// The field of that name; letter case does not matter, as in SOQL.
    pub fn field(&self, name: &str) -> Option<&SourceField> {
        self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name))
    }

    /// The lookup that a parent path goes through (`Account__r`, `Owner`).
    pub fn relationship(&self, name: &str) -> Option<&SourceField> {
        self.fields.iter().find(|field| {
            field.relationship_name.as_deref().is_some_and(|relationship| relationship.eq_ignore_ascii_case(name))
        })
    }

    /// The field that names a record to a person: the one marked so, else `Id`.
    pub fn title_field(&self) -> &str {
        self.fields.iter().find(|field| field.name_field).map_or("Id", |field| &field.name)
    }
}

/// One field of a Salesforce object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SourceField {
    /// API name, in its true spelling.
    pub name: String,
    /// Name for people.
    pub label: String,
    /// Type, of the result where the field is a formula.
    pub kind: FieldKind,
    /// Longest text, in characters; 0 where it does not apply.
    pub length: u32,
    /// All digits of a number; 0 where it does not apply.
    pub precision: u32,
    /// Digits after the point; 0 where it does not apply.
    pub scale: u32,
    /// May be blank.
    pub nillable: bool,
    /// Formula or roll-up: changes without a new stamp.
    pub calculated: bool,
    /// May stand in a WHERE.
    pub filterable: bool,
    /// May stand in an ORDER BY.
    pub sortable: bool,
    /// Marks the field that names a record to a person.
    pub name_field: bool,
    /// Only listed values can be chosen; old rows may still hold others.
    pub restricted_picklist: bool,
    /// Values of a picklist, inactive ones included.
    pub picklist: Vec<PicklistValue>,
    /// Objects that a lookup may point at.
    pub reference_to: Vec<String>,
    /// Name of the lookup in a parent path.
    pub relationship_name: Option<String>,
    /// The compound field that this one is a part of.
    pub compound_field_name: Option<String>,
    /// Its values are read with a mask over them (`XXX-XX-1234`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub masked: bool,
    /// Its text is HTML.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub html: bool,
}

/// An object in a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ObjectSummary {
    /// API name, or short name.
    pub name: String,
    /// Name for people.
    pub label: String,
    /// Made by the customer.
    pub custom: bool,
    /// Can be read by SOQL; true in HubSpot.
    pub queryable: bool,
    /// HubSpot's object type id.
    pub object_type_id: Option<String>,
}

/// One value of a Salesforce picklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PicklistValue {
    /// The API value, which is what records hold.
    pub value: String,
    /// Name for people.
    pub label: String,
    /// Can still be chosen.
    pub active: bool,
}

/// Type of a Salesforce field. An unknown type is kept by name and maps to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FieldKind {
    /// The record's own id.
    Id,
    /// Lookup or master-detail.
    Reference,
    /// Text of one line.
    String,
    /// Text of many lines, plain or rich.
    TextArea,
    /// One of a list.
    Picklist,
    /// Several of a list, separated by `;`.
    MultiPicklist,
    /// One of a list, or any text.
    Combobox,
    /// True or false, never blank.
    Boolean,
    /// Whole number.
    Int,
    /// Whole number.
    Long,
    /// Decimal number.
    Double,
    /// Decimal number of money.
    Currency,
    /// Decimal number; 12.5 is 12.5 %.
    Percent,
    /// Day.
    Date,
    /// Moment in UTC, to the second.
    DateTime,
    /// Time of day in UTC.
    Time,
    /// E-mail address.
    Email,
    /// Telephone number.
    Phone,
    /// Web address.
    Url,
    /// Compound of an address; read by its parts.
    Address,
    /// Compound of latitude and longitude; read by its parts.
    Location,
    /// Binary content.
    Base64,
    /// Text that is kept encrypted and read masked.
    EncryptedString,
    /// Differs by row.
    AnyType,
    /// A type that Syncline does not know.
    #[serde(untagged)]
    Other(String),
}

/// A HubSpot object as its schema and properties show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TargetObject {
    /// `2-…` for custom objects, `0-…` for standard ones; differs between portals.
    pub object_type_id: String,
    /// Short name (`subscriptions`).
    pub name: String,
    /// `p<portal>_<name>` for custom objects.
    pub fully_qualified_name: String,
    /// Name for people, plural.
    pub label: String,
    /// Made by the customer.
    pub custom: bool,
    /// Properties that a create must set.
    pub required_properties: Vec<String>,
    /// The property that names a record to a person.
    pub primary_display_property: Option<String>,
    /// All active properties.
    pub properties: BTreeMap<String, TargetProperty>,
}

/// One property of a HubSpot object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TargetProperty {
    /// Internal name.
    pub name: String,
    /// Name for people.
    pub label: String,
    /// Type.
    pub kind: PropertyKind,
    /// Options of an enumeration, hidden ones included.
    pub options: Vec<PropertyOption>,
    /// Options live elsewhere (owners): those that are not listed cannot be checked here.
    pub external_options: bool,
    /// Shows its text as HTML.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub html: bool,
    /// Takes the id of an owner, a user of HubSpot.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub owner: bool,
    /// HubSpot keeps its values unique, so that records can be found by it.
    pub unique: bool,
    /// Refuses writes: read-only, calculated or rolled up.
    pub read_only: bool,
    /// A number that HubSpot shows as a percentage: 0.5 as 50 %.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub percentage: bool,
    /// Rules of the portal that its values must keep, sorted; those that HubSpot mends by itself are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<PropertyRule>,
}

/// A rule that an administrator made for the values of a HubSpot property.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct PropertyRule {
    /// Its type, in HubSpot's word (`MAX_LENGTH`).
    pub kind: String,
    /// What it is set to (`["50"]`).
    pub arguments: Vec<String>,
}

/// One option of a HubSpot enumeration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PropertyOption {
    /// Internal value, case-sensitive; what records hold.
    pub value: String,
    /// Name for people.
    pub label: String,
}

/// Type of a HubSpot property. An unknown type is kept by name and maps to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PropertyKind {
    /// Text, at most 65,536 characters.
    String,
    /// Decimal number.
    Number,
    /// True or false.
    Bool,
    /// Day.
    Date,
    /// Moment in UTC, to the millisecond.
    #[serde(rename = "datetime")]
    DateTime,
    /// One of a list.
    Enumeration,
    /// Several of a list, separated by `;`.
    MultiCheckbox,
    /// A type that Syncline does not write.
    #[serde(untagged)]
    Other(String),
}
