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

/// A schema as the text of its file. An editor sees a project's `${NAME}` where the program sees what it stands for.
pub fn text(name: &str) -> Option<String> {
    let mut value = value(name)?;
    if name == "project" {
        allow_variables(&mut value);
    }
    serde_json::to_string_pretty(&value).ok().map(|text| text + "\n")
}

/// Lets every pattern also match a text with a variable in it.
fn allow_variables(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(members) => {
            for (key, member) in members {
                match member {
                    serde_json::Value::String(pattern) if key == "pattern" => pattern.push_str(r"|\$\{"),
                    member => allow_variables(member),
                }
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(allow_variables),
        _ => {}
    }
}
