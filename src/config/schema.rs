//! The structs as JSON Schemas: what `schemas/` holds, and what definitions are checked against.

use schemars::generate::SchemaSettings;

use super::pipeline::PipelineConfig;
use super::project::ProjectConfig;

/// Names of the schemas.
pub const NAMES: [&str; 2] = ["pipeline", "project"];

/// A schema as a value; none for an unknown name.
pub fn value(name: &str) -> Option<serde_json::Value> {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let schema = match name {
        "pipeline" => generator.into_root_schema_for::<PipelineConfig>(),
        "project" => generator.into_root_schema_for::<ProjectConfig>(),
        _ => return None,
    };
    Some(schema.to_value())
}

/// A schema as the text of its file.
pub fn text(name: &str) -> Option<String> {
    let value = value(name)?;
    serde_json::to_string_pretty(&value).ok().map(|text| text + "\n")
}
