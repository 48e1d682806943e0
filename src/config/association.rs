//! Associations as written: the entries of `associations`, the two ends of `associate`, and labels.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A lookup that becomes an association. Exactly one of `pipeline`, and `to` with `match`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["pipeline"] }, { "required": ["to", "match"] }]))]
pub struct AssociationConfig {
    /// Lookup or master-detail field: of the source object, or of a parent record, up to five levels up (`Account__r.ParentId`).
    #[schemars(example = &"Account__c", length(min = 1, max = 300))]
    pub field: String,
    /// Salesforce object that this entry is about, where the lookup leads to several: ids of other objects are left to other
    /// entries. Without it, the object of `pipeline`, or the one that the standard HubSpot object stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"Account", length(min = 1, max = 80))]
    pub object: Option<String>,
    /// HubSpot object that already syncs, by name or objectTypeId.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"companies", length(min = 1, max = 120))]
    pub to: Option<String>,
    /// Property of that object that holds the Salesforce id.
    #[serde(rename = "match", default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"salesforceaccountid", length(min = 1, max = 120))]
    pub match_property: Option<String>,
    /// Pipeline of this project that syncs the lookup's object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"projects")]
    pub pipeline: Option<String>,
    /// Association label, by its internal name or its label in HubSpot; or a field whose value says which. Without it, the plain
    /// association is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<LabelConfig>,
    /// Codes of warnings that are accepted for this entry, such as `SL2050`: they are no longer reported. Errors cannot be accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(regex(pattern = "^SL[0-9]{4}$")), example = ["SL2050"])]
    pub allow: Vec<String>,
}

/// An association label: the same for all records, or by the value of a field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(untagged)]
pub enum LabelConfig {
    /// This one.
    Name(String),
    /// The one that a field's value names.
    ByField(LabelByField),
}

/// Labels by the value of a field. A blank, and a value that is not listed, mean the plain association.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelByField {
    /// Field of the source object, or of a parent record.
    #[schemars(example = &"Role__c", length(min = 1, max = 300))]
    pub from: String,
    /// Label for each value.
    pub values: BTreeMap<String, String>,
}

impl std::fmt::Display for LabelConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::ByField(by_field) => write!(f, "by {}", by_field.from),
        }
    }
}

impl<'de> Deserialize<'de> for LabelConfig {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Text {
            Name(String),
            ByField(LabelByField),
        }
        match Text::deserialize(deserializer) {
            Ok(Text::Name(name)) => Ok(Self::Name(name)),
            Ok(Text::ByField(by_field)) => Ok(Self::ByField(by_field)),
            // An untagged enum's own message names no key and no type.
            Err(_) => Err(serde::de::Error::custom("expected a label, or `{from: FIELD, values: {VALUE: LABEL}}`")),
        }
    }
}

impl JsonSchema for LabelConfig {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AssociationLabel".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let by_field = LabelByField::json_schema(generator);
        let properties = by_field.get("properties").cloned().unwrap_or_default();
        schemars::json_schema!({
            "description": "An association label, by its internal name or its label in HubSpot; or `{from, values}`: a field, and \
                the label for each of its values. A blank, and a value that is not listed, mean the plain association.",
            "type": ["string", "object"],
            "minLength": 1,
            "maxLength": 120,
            "properties": properties,
            "required": ["from", "values"],
            "additionalProperties": false,
            "examples": ["billing_account", { "from": "Role__c", "values": { "Decision Maker": "decision_maker" } }],
        })
    }
}

/// Rows of a junction object become associations between two records: each row associates the records that its two lookups lead to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AssociateConfig {
    /// Name of a `hubspot` connection of `syncline.yaml`.
    #[serde(default = "hubspot_connection")]
    pub connection: String,
    /// The one record. A label that differs between the two directions is named as seen from here.
    pub from: AssociateEnd,
    /// The other record.
    pub to: AssociateEnd,
    /// Association label, by its internal name or its label in HubSpot; or a field whose value says which. Without it, the plain
    /// association is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<LabelConfig>,
}

/// One end of the associations. Exactly one of `pipeline`, and `to` with `match`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["pipeline"] }, { "required": ["to", "match"] }]))]
pub struct AssociateEnd {
    /// Lookup or master-detail field of the junction object, or of a parent record, up to five levels up.
    #[schemars(example = &"Contact__c", length(min = 1, max = 300))]
    pub field: String,
    /// Salesforce object that is meant, where the lookup leads to several: rows with ids of other objects associate nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"Contact", length(min = 1, max = 80))]
    pub object: Option<String>,
    /// HubSpot object that already syncs, by name or objectTypeId.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"contacts", length(min = 1, max = 120))]
    pub to: Option<String>,
    /// Property of that object that holds the Salesforce id.
    #[serde(rename = "match", default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"salesforcecontactid", length(min = 1, max = 120))]
    pub match_property: Option<String>,
    /// Pipeline of this project that syncs the lookup's object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"projects")]
    pub pipeline: Option<String>,
    /// Codes of warnings that are accepted for this end, such as `SL2050`: they are no longer reported. Errors cannot be accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(regex(pattern = "^SL[0-9]{4}$")), example = ["SL2050"])]
    pub allow: Vec<String>,
}

/// The name that a connection to HubSpot has by default.
pub(super) fn hubspot_connection() -> String {
    "hubspot".to_owned()
}
