//! Each command to the one who does it, and how it ends.

use clap::CommandFactory;
use serde_json::json;

use super::args::{Arguments, Command, Format, PlanFormat};
use super::exit::Exit;
use super::shared::{failed, json};
use super::{definitions, demo, history, output, records, review, sandbox};
use crate::ports::fault::Fault;
use crate::project::error::OpsError;

/// Runs a command to its exit code.
pub async fn run(arguments: Arguments) -> Exit {
    let Arguments { common, command } = arguments;
    let in_json = reports_in_json(&command);
    let done = match command {
        Command::Demo(words) => demo::run(&common, &words).await,
        Command::Sandbox(words) => sandbox::run(&words).await,
        Command::Init(words) => definitions::init_project(&words),
        Command::Validate(words) => definitions::validate_project(&common, &words).await,
        Command::Discover(words) => definitions::discover(&common, &words).await,
        Command::New(words) => definitions::new_pipeline(&common, &words).await,
        Command::Test(words) => definitions::test(&common, &words),
        Command::Catalog(words) => definitions::catalog(&common, &words).await,
        Command::Diff(words) => review::diff_definitions(&common, &words).await,
        Command::Apply(words) => review::apply_plan(&common, &words).await,
        Command::Plan(words) => review::plan_project(&common, &words).await,
        Command::Import(words) => records::import_records(&common, &words).await,
        Command::Sync(words) => records::sync_records(&common, &words).await,
        Command::Status(words) => history::tell_status(&common, &words).await,
        Command::Runs(words) => history::runs(&common, &words).await,
        Command::Failures(words) => history::failures(&common, &words).await,
        Command::Why(words) => history::tell_why(&common, &words).await,
        Command::Schema(words) => definitions::schema(&common, &words),
        Command::Explain(words) => definitions::explain(&words),
        Command::Completions(words) => {
            let mut script = Vec::new();
            clap_complete::generate(words.shell, &mut Arguments::command(), "syncline", &mut script);
            output::result(&String::from_utf8_lossy(&script));
            Ok(Exit::Done)
        }
    };
    done.unwrap_or_else(|error| {
        let exit = failed(&error);
        if in_json {
            let told = json!({ "code": error.code(), "message": error.to_string(), "help": error.help() });
            json(&json!({ "pipelines": [], "status": ended_early(&error), "error": told }));
        }
        exit
    })
}

/// Whether a command prints one report in JSON, so that it must print one when it could not begin, too.
fn reports_in_json(command: &Command) -> bool {
    match command {
        Command::Plan(words) => words.format == PlanFormat::Json,
        Command::Apply(words) => words.format == Format::Json,
        Command::Import(words) => words.format == Format::Json,
        Command::Sync(words) => words.once && words.format == Format::Json,
        _ => false,
    }
}

/// The status of a command that ended before its first run began.
fn ended_early(error: &OpsError) -> &'static str {
    match error {
        OpsError::Remote { fault: Fault::Budget { .. }, .. } => "paused",
        OpsError::Remote { fault: Fault::Cancelled, .. } => "interrupted",
        _ => "failed",
    }
}
