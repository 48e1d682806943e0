//! Tests beside a pipeline, as written: source records in, what is expected of them. The root of
//! `schemas/pipeline-test.schema.json`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalar::{MomentText, Scalar};

/// Tests of one pipeline: the file `NAME.test.yaml` beside `NAME.yaml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Syncline pipeline tests")]
pub struct PipelineTestConfig {
    /// Version of the file format. Always 1.
    #[schemars(range(min = 1, max = 1))]
    pub version: u32,
    /// Name of the pipeline; by default the one in the file of the same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"subscriptions")]
    pub pipeline: Option<String>,
    /// What `now` is in templates, so that the tests give the same result every day. By default 2000-01-01T00:00:00Z.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"2026-10-01T09:00:00Z")]
    pub now: Option<MomentText>,
    /// The owners in HubSpot, for entries with `as: owner`: e-mail on the left, the owner's id on the right.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub owners: BTreeMap<String, Scalar>,
    /// The tests. At least one.
    #[schemars(length(min = 1))]
    pub tests: Vec<TestConfig>,
}

/// One test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestConfig {
    /// What is tested, in a few words.
    #[schemars(length(min = 1, max = 200), example = &"a value that the map lacks is rejected")]
    pub name: String,
    /// The Salesforce record: fields, and fields of parents (`Account__r.Name`). What is not given is blank, a boolean
    /// false, the `Id` made up.
    #[serde(default)]
    pub source: BTreeMap<String, Option<Scalar>>,
    /// The record is already in HubSpot: properties that are set on creation only are left alone.
    #[serde(default)]
    pub exists: bool,
    /// What is expected.
    pub expect: ExpectConfig,
}

/// What is expected of a record. Either `rejected`, or the others.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectConfig {
    /// Properties with the values that are sent, as HubSpot takes them; an empty one is cleared.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, Option<Scalar>>,
    /// No other property is sent than those above and the match property.
    #[serde(default)]
    pub exact: bool,
    /// Properties that are left as they are: nothing is sent for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keeps: Vec<String>,
    /// Lookup fields with the Salesforce ids that they are associated with; an empty one has no association.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub associations: BTreeMap<String, Option<Scalar>>,
    /// The record is rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<RejectedConfig>,
}

/// Why a record is expected to be rejected; what is not given may be anything.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RejectedConfig {
    /// Code of the reason.
    #[schemars(regex(pattern = "^SL5[0-9]{3}$"), example = &"SL5005")]
    pub code: Option<String>,
    /// Property or field at fault.
    pub property: Option<String>,
    /// Text that the reason contains.
    pub message: Option<String>,
}
