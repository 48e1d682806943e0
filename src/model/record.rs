//! One source row on its way, and what it should look like in the target.

use std::sync::Arc;

use jiff::Timestamp;

use super::association::Asked;
use super::ids::SalesforceId;
use super::object::FieldKind;

/// One selected field: its path from the source object (`Name`, `Account__r.Name`) and its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Path as SOQL writes it.
    pub path: Arc<str>,
    /// Type of the field at the end of the path.
    pub kind: FieldKind,
}

/// A Salesforce row. Every value is text as Salesforce wrote it, whichever API it came through: numbers keep all their
/// digits (and an exponent, if there was one), booleans are `true` or `false`, blanks are `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its id.
    pub id: SalesforceId,
    /// When Salesforce last touched it, where the object has such a stamp.
    pub modified: Option<Timestamp>,
    /// It lies in the recycle bin.
    pub deleted: bool,
    /// One value for each column of the query, in that order.
    pub values: Box<[Option<Box<str>>]>,
}

/// One property as it should be. An empty value clears the property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyValue {
    /// Internal name of the property.
    pub property: Arc<str>,
    /// HubSpot's canonical text for the value; empty clears.
    pub value: Box<str>,
}

/// What a source row should look like in the target: the result of the transform stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// The Salesforce record, and so the value of the match property.
    pub id: SalesforceId,
    /// Name for people.
    pub title: Box<str>,
    /// Properties to set whether the record exists or not, the match property first. A property that keeps what it has
    /// (`when_blank: keep`) is absent.
    pub properties: Vec<PropertyValue>,
    /// Properties to set only when the record is created.
    pub create_only: Vec<PropertyValue>,
    /// For each association of the pipeline, in its order: what the lookup asks for.
    pub lookups: Vec<Option<Asked>>,
    /// The value by which a record is recognised that stands in HubSpot without a Salesforce id; none where the definition adopts
    /// none, or the value is blank.
    pub adopt_by: Option<Box<str>>,
}
