//! A condition that a person gives for one command: it is read and judged like a pipeline's own filter, before anything is asked for.

use super::describe::Describer;
use super::error::OpsError;
use super::prepare::Prepared;
use super::wiring::Project;
use crate::config::load::LoadedPipeline;
use crate::config::pipeline::PipelineConfig;
use crate::pipeline::condition::error::SyntaxError;
use crate::pipeline::condition::{check, parser};
use crate::pipeline::field::Objects;

/// A condition that fits all pipelines that it is for.
#[derive(Debug, Clone)]
pub struct CheckedCondition {
    /// As SOQL, in one form however it was written.
    pub text: String,
    /// What a person should know of it.
    pub warnings: Vec<String>,
}

/// Reads a condition and judges it against the objects of the pipelines.
///
/// Errors: it is none, or it does not fit one of them; an object on the way of a path cannot be described.
pub async fn check(project: &Project, pipelines: &[Prepared], text: &str) -> Result<CheckedCondition, OpsError> {
    let parsed = parser::parse(text).map_err(|error| refused("SL2041", None, text, error))?;
    let mut warnings = Vec::new();
    let mut describer = Describer::new(project);
    for prepared in pipelines {
        let loaded = &project.loaded.pipelines[prepared.index];
        let name = &prepared.pipeline.name;
        // Only what the condition needs is described.
        let mut config = PipelineConfig { fields: Vec::new(), associations: Vec::new(), ..loaded.config.clone() };
        config.source.condition = Some(text.to_owned());
        let needed = LoadedPipeline { config, ..loaded.clone() };
        if let Err((_, fault)) = describer.describe_sources(&needed).await? {
            return Err(OpsError::remote(name)(fault));
        }
        let connection = &loaded.config.source.connection;
        let sources = describer.sources(connection);
        let described =
            sources.and_then(|known| Some((known.get(&loaded.config.source.object.to_ascii_lowercase())?, known)));
        let Some((source, all)) = described else { continue };
        let objects = Objects { source, all };
        // One finding is enough: the condition is a line on the command line, not a file.
        if let Some(error) = check::check(&parsed, &objects).into_iter().next() {
            return Err(refused("SL2042", Some(name.as_str()), text, error));
        }
        let unknown = check::unknown_values(&parsed, &objects).into_iter();
        warnings.extend(unknown.map(|error| {
            let help = error.help.map(|help| format!(" ({help})")).unwrap_or_default();
            format!("`--where`, `{name}`: {}{help}", error.message)
        }));
    }
    // Printed from the tree and never as typed, so that nothing can leave its parentheses.
    Ok(CheckedCondition { text: parsed.to_string(), warnings })
}

fn refused(code: &'static str, pipeline: Option<&str>, text: &str, error: SyntaxError) -> OpsError {
    let about = pipeline.map(|name| format!(" for pipeline `{name}`")).unwrap_or_default();
    let place = text.get(error.span.clone()).map(str::trim).filter(|part| !part.is_empty());
    let place = place.map(|part| format!(", at `{part}`")).unwrap_or_default();
    let message = format!("`--where` cannot be used{about}{place}: {}; nothing was read or sent", error.message);
    OpsError::refused(code, message, error.help.unwrap_or(error.label))
}
