//! What is otherwise in one of the two systems than an earlier look at it showed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One thing that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CatalogChange {
    /// In which system.
    pub system: System,
    /// By which connection.
    pub connection: String,
    /// The object, by its API name or short name.
    pub object: String,
    /// The field, property or kind of association (`companies: Billing`); none where it is the object itself.
    pub item: Option<String>,
    /// What happened to it.
    pub kind: CatalogChangeKind,
    /// What of it is otherwise, by its key in the catalog's files (`type`, `length`, `required`, `options`, …); none where it
    /// came or went as a whole.
    pub attribute: Option<String>,
    /// The picklist value, option or rule that it is about, where it is about one.
    pub value: Option<String>,
    /// As it was: a text, a number, `true` or `false`, or a list; null where there was none.
    pub before: Value,
    /// As it is now, in the same form.
    pub after: Value,
    /// The same in words.
    pub message: String,
    /// The pipelines that use the part.
    pub pipelines: Vec<String>,
}

/// One of the two systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum System {
    /// Salesforce.
    Salesforce,
    /// HubSpot.
    Hubspot,
}

/// What happened to a part of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CatalogChangeKind {
    /// No longer there, or no longer visible.
    Removed,
    /// Gone, while something much like it is new.
    Renamed,
    /// Of another type.
    Type,
    /// Texts or numbers may be longer or must be shorter.
    Length,
    /// A picklist value or an option is gone, or can no longer be chosen.
    ValueRemoved,
    /// A picklist value or an option is new.
    ValueAdded,
    /// Uniqueness came or went.
    Uniqueness,
    /// Must be set now, or no longer must.
    Requiredness,
    /// Can no longer be written, or can again; is calculated now, or no longer is.
    Writability,
    /// Leads to other objects, or has another id.
    Reference,
    /// New.
    Added,
    /// A rule for values came, went or is set otherwise.
    Rule,
    /// Another name for people.
    Label,
    /// Something else that the catalog keeps.
    Other,
}

impl CatalogChange {
    /// The object and the part, as in `subscriptions.status`.
    pub fn place(&self) -> String {
        let item = self.item.as_ref().map(|item| format!(".{item}")).unwrap_or_default();
        format!("{}{item}", self.object)
    }
}
