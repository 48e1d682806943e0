//! What changed in the definitions, in terms of mapping.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::catalog_change::CatalogChange;

/// What a change of a definition does to records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeClass {
    /// It can archive records, clear properties, or part records from their source.
    CanRemoveData,
    /// Records that are in HubSpot already differ from what the mapping says now, until they are carried over again.
    NeedsBackfill,
    /// Only records that are made or changed from now on.
    NewRecordsOnly,
    /// None.
    NoRecordEffect,
}

/// One change of a definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DefinitionChange {
    /// What it does to records.
    pub class: ChangeClass,
    /// Where: `on_delete`, `fields.status`, `associations.Account__c`.
    pub part: String,
    /// What changed, in a sentence.
    pub what: String,
    /// What follows for records, in a sentence.
    pub effect: String,
    /// As it was written, in short.
    pub before: Option<String>,
    /// As it is written now, in short.
    pub after: Option<String>,
    /// Place in the file as it is now (JSON pointer); none where the part is gone.
    #[serde(skip)]
    pub pointer: Option<String>,
    /// Line of that place, from 1.
    pub line: Option<usize>,
}

/// What happened to a pipeline's definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DefinitionStanding {
    /// New.
    Added,
    /// Gone.
    Removed,
    /// Another name, the key of all its state.
    Renamed,
    /// The same pipeline with another mapping or other rules.
    Changed,
    /// The same, in another file.
    Moved,
}

/// What changed in one pipeline's definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PipelineDiff {
    /// Its name.
    #[serde(
        flatten,
        serialize_with = "super::pipeline_key::serialize",
        deserialize_with = "super::pipeline_key::deserialize"
    )]
    #[schemars(with = "super::pipeline_key::PipelineKeys")]
    pub name: String,
    /// What happened to it.
    pub standing: DefinitionStanding,
    /// Its file; of one that is gone, where it was.
    pub file: String,
    /// The file that it was in before, where that was another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_before: Option<String>,
    /// The changes, the dangerous ones first.
    pub changes: Vec<DefinitionChange>,
}

/// What changed in the definitions of a project since a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Syncline diff")]
pub struct DefinitionDiff {
    /// The revision that was asked for.
    pub base: String,
    /// The commit that it was compared with.
    pub commit: String,
    /// Pipelines with changes, by file.
    pub pipelines: Vec<PipelineDiff>,
    /// Changes of syncline.yaml.
    pub project: Vec<DefinitionChange>,
    /// Changes of the systems that the catalog shows and a pipeline uses.
    pub catalog: Vec<CatalogChange>,
    /// What could not be compared, and why.
    pub notes: Vec<String>,
}

impl DefinitionDiff {
    /// Whether anything changed.
    pub fn is_empty(&self) -> bool {
        self.pipelines.is_empty() && self.project.is_empty() && self.catalog.is_empty()
    }

    /// All changes with the pipeline that they belong to.
    pub fn changes(&self) -> impl Iterator<Item = (Option<&PipelineDiff>, &DefinitionChange)> {
        let of_pipelines =
            self.pipelines.iter().flat_map(|pipeline| pipeline.changes.iter().map(move |one| (Some(pipeline), one)));
        of_pipelines.chain(self.project.iter().map(|one| (None, one)))
    }
}
