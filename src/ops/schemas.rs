//! JSON Schemas of what commands print with `--format json`, beside those of definitions.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::{Value, json};

use super::alerts::AlertTest;
use super::catalog::Pull;
use super::deploy::{DeployReport, DeploymentList};
use super::discover::{Described, Objects};
use super::doctor::report::DoctorReport;
use super::failure_groups::FailureList;
use super::history::{FailuresMarked, RunDetail, RunHistory};
use super::state::StateReport;
use super::status::StatusReport;
use super::test::TestReport;
use super::validate::ValidationReport;
use super::why::WhyReport;
use crate::config::schema as definitions;
use crate::model::alert::Alert;
use crate::model::change::DefinitionDiff;
use crate::model::forecast::PlanReport;
use crate::model::report::{RunStatus, RunsReport};
use crate::ports::fault::Fault;
use crate::project::error::OpsError;

/// Names of all schemas: those of definitions, then those of results.
pub const NAMES: [&str; 24] = [
    "pipeline",
    "pipeline-test",
    "portal",
    "project",
    "plan",
    "diff",
    "report",
    "status",
    "runs",
    "run",
    "failures",
    "failures-marked",
    "why",
    "validate",
    "test",
    "discover",
    "discover-object",
    "catalog-pull",
    "alert",
    "alerts-test",
    "deploy",
    "deployments",
    "doctor",
    "state",
];

/// What a command prints that failed before it had a result; beside this, the list that its result would hold, empty.
#[derive(Debug, Serialize, JsonSchema)]
struct Failed {
    /// How it ended: `failed`, `paused` or `interrupted`.
    status: RunStatus,
    /// Why.
    error: ErrorView,
}

/// Why a command failed.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Error")]
struct ErrorView {
    /// Stable code, which `syncline explain` describes.
    code: &'static str,
    /// What happened.
    message: String,
    /// What to do.
    help: Option<String>,
}

/// What a command whose result has this schema prints when it fails.
pub fn failure(schema: &str, error: &OpsError) -> Value {
    let status = match error {
        OpsError::Remote { fault: Fault::Budget { .. }, .. } => RunStatus::Paused,
        OpsError::Remote { fault: Fault::Cancelled, .. } => RunStatus::Interrupted,
        _ => RunStatus::Failed,
    };
    let error = ErrorView { code: error.code(), message: error.to_string(), help: error.help() };
    let mut value = json!(Failed { status, error });
    if let Some(list) = list_of(schema) {
        value[list] = json!([]);
    }
    value
}

/// The list that a result holds: it is there, and empty, when the command failed, so that a program may count on it.
fn list_of(schema: &str) -> Option<&'static str> {
    match schema {
        "plan" | "diff" | "report" | "status" | "why" => Some("pipelines"),
        "runs" => Some("runs"),
        "run" | "failures" => Some("failures"),
        "validate" => Some("findings"),
        "test" => Some("tests"),
        "discover" | "discover-object" => Some("refused"),
        "catalog-pull" => Some("files"),
        "alerts-test" => Some("receivers"),
        "deployments" => Some("deployments"),
        "doctor" => Some("checks"),
        "state" => Some("problems"),
        _ => None,
    }
}

/// A schema as a value; none for an unknown name.
pub fn value(name: &str) -> Option<Value> {
    match name {
        "plan" => Some(result::<PlanReport>(name)),
        "diff" => Some(result::<DefinitionDiff>(name)),
        "report" => Some(result::<RunsReport>(name)),
        "status" => Some(result::<StatusReport>(name)),
        "runs" => Some(result::<RunHistory>(name)),
        "run" => Some(result::<RunDetail>(name)),
        "failures" => Some(result::<FailureList>(name)),
        "failures-marked" => Some(result::<FailuresMarked>(name)),
        "why" => Some(result::<WhyReport>(name)),
        "validate" => Some(result::<ValidationReport>(name)),
        "test" => Some(result::<TestReport>(name)),
        "discover" => Some(result::<Objects>(name)),
        "discover-object" => Some(result::<Described>(name)),
        "catalog-pull" => Some(result::<Pull>(name)),
        "alert" => Some(result::<Alert>(name)),
        "alerts-test" => Some(result::<AlertTest>(name)),
        "deploy" => Some(result::<DeployReport>(name)),
        "deployments" => Some(result::<DeploymentList>(name)),
        "doctor" => Some(result::<DoctorReport>(name)),
        "state" => Some(result::<StateReport>(name)),
        name => definitions::value(name),
    }
}

/// A schema as the text of its file.
pub fn text(name: &str) -> Option<String> {
    if let Some(text) = definitions::text(name) {
        return Some(text);
    }
    serde_json::to_string_pretty(&value(name)?).ok().map(|text| text + "\n")
}

/// The schema of a result: the result itself, or what is printed in its place where the command failed.
fn result<T: JsonSchema>(name: &str) -> Value {
    // For what is printed, where a member with a default is always there.
    let mut generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let done = generator.subschema_for::<T>();
    let failed = generator.subschema_for::<Failed>();
    let mut parts = Value::Object(generator.take_definitions(true));
    if let Some(list) = list_of(name) {
        parts["Failed"]["properties"][list] = json!({ "type": "array", "maxItems": 0 });
    }
    let schema = &mut parts[T::schema_name().as_ref()];
    // The title belongs to the whole, which is either of the two.
    let (title, description) = (schema["title"].take(), schema["description"].clone());
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("title");
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "description": description,
        "anyOf": [done, failed],
        "$defs": parts,
    })
}
