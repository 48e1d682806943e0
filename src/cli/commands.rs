//! Each command to the one who does it, and how it ends.

use super::args::common::{FindingFormat, Format};
use super::args::review::{DiffFormat, PlanFormat};
use super::args::{AlertsAction, Arguments, CatalogAction, Command, FailureAction, Man, TestFormat};
use super::exit::Exit;
use super::shared::{failed, json, write_public};
use super::{complete, definitions, demo, help, history, output, records, review, sandbox};
use crate::ops::schemas;
use crate::project::error::OpsError;

/// Runs a command to its exit code.
pub async fn run(arguments: Arguments) -> Exit {
    let Arguments { common, command } = arguments;
    let schema = json_schema(&command);
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
        Command::Alerts(words) => history::alerts(&common, &words).await,
        Command::Why(words) => history::tell_why(&common, &words).await,
        Command::Schema(words) => definitions::schema(&common, &words),
        Command::Explain(words) => definitions::explain(&words),
        Command::Completions(words) => {
            output::result(&complete::script(&words.shell.to_string()).unwrap_or_default());
            Ok(Exit::Done)
        }
        Command::Man(words) => manual(&words),
    };
    done.unwrap_or_else(|error| {
        let exit = failed(&error);
        if let Some(schema) = schema {
            json(&schemas::failure(schema, &error));
        }
        exit
    })
}

/// Prints the manual page of the program, or writes those of all commands.
fn manual(words: &Man) -> Result<Exit, OpsError> {
    let Some(folder) = &words.out else {
        let mut page = Vec::new();
        let made = clap_mangen::Man::new(help::command()).render(&mut page);
        made.map_err(|error| OpsError::refused("SL6008", error.to_string(), "choose another place"))?;
        output::result(&String::from_utf8_lossy(&page));
        return Ok(Exit::Done);
    };
    let unwritable = |error: std::io::Error| {
        let message = format!("`{}` cannot be written: {error}", folder.display());
        OpsError::refused("SL6008", message, "choose another folder")
    };
    std::fs::create_dir_all(folder).map_err(unwritable)?;
    let mut command = help::command();
    command.build();
    let pages = command.get_subcommands().filter(|own| own.get_name() != "help").cloned();
    let pages = pages.map(|own| (format!("syncline-{}.1", own.get_name()), own));
    for (name, page) in std::iter::once(("syncline.1".to_owned(), help::command())).chain(pages) {
        let title = name.trim_end_matches(".1").to_owned();
        let mut text = Vec::new();
        let made = clap_mangen::Man::new(page.bin_name(title.clone()).display_name(title)).render(&mut text);
        made.map_err(|error| OpsError::refused("SL6008", error.to_string(), "choose another folder"))?;
        write_public(&folder.join(name), &String::from_utf8_lossy(&text))?;
    }
    Ok(Exit::Done)
}

/// The schema of what a command prints as JSON, where it was asked to: it must print some when it fails, too.
fn json_schema(command: &Command) -> Option<&'static str> {
    let (in_json, schema) = match command {
        Command::Plan(arguments) => (arguments.format == PlanFormat::Json, "plan"),
        Command::Diff(arguments) => {
            let schema = if arguments.records { "plan" } else { "diff" };
            (arguments.format == DiffFormat::Json, schema)
        }
        Command::Apply(arguments) => (arguments.format == Format::Json, "report"),
        Command::Import(arguments) => (arguments.format == Format::Json, "report"),
        Command::Sync(arguments) => (arguments.once && arguments.format == Format::Json, "report"),
        Command::Status(arguments) => (arguments.format == Format::Json, "status"),
        Command::Runs(arguments) => {
            let schema = if arguments.id.is_some() { "run" } else { "runs" };
            (arguments.format == Format::Json, schema)
        }
        Command::Failures(arguments) => {
            let schema = match arguments.action {
                Some(FailureAction::Retry(_) | FailureAction::Dismiss(_)) => "failures-marked",
                _ => "failures",
            };
            (arguments.format == Format::Json, schema)
        }
        Command::Alerts(arguments) => {
            let AlertsAction::Test(test) = &arguments.action;
            (test.format == Format::Json, "alerts-test")
        }
        Command::Why(arguments) => (arguments.format == Format::Json, "why"),
        Command::Validate(arguments) => (arguments.format == FindingFormat::Json, "validate"),
        Command::Test(arguments) => (arguments.format == TestFormat::Json, "test"),
        Command::Discover(arguments) => {
            let schema = if arguments.object.is_some() { "discover-object" } else { "discover" };
            (arguments.format == Format::Json, schema)
        }
        Command::Catalog(arguments) => {
            let CatalogAction::Pull(pull) = &arguments.action;
            (pull.format == Format::Json, "catalog-pull")
        }
        _ => return None,
    };
    in_json.then_some(schema)
}
