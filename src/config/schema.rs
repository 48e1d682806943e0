//! The structs as JSON Schemas: what `schemas/` holds, what definitions are checked against, and the shapes of results.

use schemars::generate::SchemaSettings;

use super::pipeline::PipelineConfig;
use super::pipeline_test::PipelineTestConfig;
use super::project::ProjectConfig;
use crate::model::change::DefinitionDiff;
use crate::model::forecast::PlanReport;
use crate::model::report::RunsReport;

/// Names of the schemas.
pub const NAMES: [&str; 6] = ["pipeline", "pipeline-test", "project", "plan", "diff", "report"];

/// A schema as a value; none for an unknown name.
pub fn value(name: &str) -> Option<serde_json::Value> {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let schema = match name {
        "pipeline" => generator.into_root_schema_for::<PipelineConfig>(),
        "pipeline-test" => generator.into_root_schema_for::<PipelineTestConfig>(),
        "project" => generator.into_root_schema_for::<ProjectConfig>(),
        "plan" => generator.into_root_schema_for::<PlanReport>(),
        "diff" => generator.into_root_schema_for::<DefinitionDiff>(),
        "report" => generator.into_root_schema_for::<RunsReport>(),
        _ => return None,
    };
    Some(schema.to_value())
}

/// A schema as the text of its file.
pub fn text(name: &str) -> Option<String> {
    let value = value(name)?;
    serde_json::to_string_pretty(&value).ok().map(|text| text + "\n")
}
