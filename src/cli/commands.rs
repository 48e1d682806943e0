//! Each command to the one who does it, and how it ends.

use super::args::common::{FindingFormat, Format};
use super::args::review::{DiffFormat, PlanFormat};
use super::args::{AlertsAction, Arguments, CatalogAction, Command, FailureAction, Man, TestFormat};
use super::exit::Exit;
use super::shared::{failed, json, write_public};
use super::{care, complete, definitions, demo, deploy, help, history, login, output, records, review, sandbox, serve};
use crate::ops::schemas;
use crate::project::error::OpsError;

/// Runs a command to its exit code.
pub async fn run(arguments: Arguments) -> Exit {
    let Arguments { common, command } = arguments;
    let schema = json_schema(&command);
    let done = match command {
        Command::Demo(arguments) => Box::pin(demo::run(&common, &arguments)).await,
        Command::Sandbox(arguments) => sandbox::run(&arguments).await,
        Command::Init(arguments) => definitions::init_project(&arguments),
        Command::Doctor(arguments) => care::look(&common, &arguments).await,
        Command::Login(arguments) => login::log_in(&common, &arguments).await,
        Command::Logout(arguments) => login::log_out(&common, &arguments).await,
        Command::State(arguments) => care::state(&common, &arguments).await,
        Command::Validate(arguments) => definitions::validate_project(&common, &arguments).await,
        Command::Discover(arguments) => definitions::discover(&common, &arguments).await,
        Command::New(arguments) => definitions::new_pipeline(&common, &arguments).await,
        Command::Test(arguments) => definitions::test(&common, &arguments),
        Command::Catalog(arguments) => definitions::catalog(&common, &arguments).await,
        Command::Diff(arguments) => review::diff_definitions(&common, &arguments).await,
        Command::Apply(arguments) => review::apply_plan(&common, &arguments).await,
        Command::Approve(arguments) => review::approve_plan(&common, &arguments),
        #[cfg(feature = "mcp")]
        Command::Mcp => Box::pin(super::mcp::run(&common)).await,
        #[cfg(not(feature = "mcp"))]
        Command::Mcp => {
            output::error("this program was built without its feature `mcp`", None, None);
            Ok(Exit::Failed)
        }
        Command::Plan(arguments) => review::plan_project(&common, &arguments).await,
        Command::Deploy(arguments) => deploy::run(&common, &arguments).await,
        Command::Import(arguments) => records::import_records(&common, &arguments).await,
        Command::Sync(arguments) => records::sync_records(&common, &arguments).await,
        Command::Reconcile(arguments) => records::reconcile(&common, &arguments).await,
        #[cfg(feature = "postgres")]
        Command::Worker(arguments) => Box::pin(super::worker::run(&common, &arguments)).await,
        #[cfg(not(feature = "postgres"))]
        Command::Worker(_) => {
            output::error("this program was built without its feature `postgres`", None, None);
            Ok(Exit::Failed)
        }
        Command::Status(arguments) => history::tell_status(&common, &arguments).await,
        Command::Runs(arguments) => history::runs(&common, &arguments).await,
        Command::Failures(arguments) => history::failures(&common, &arguments).await,
        Command::Alerts(arguments) => history::alerts(&common, &arguments).await,
        Command::Why(arguments) => history::tell_why(&common, &arguments).await,
        Command::Serve(arguments) => serve::run(&common, &arguments).await,
        Command::Schema(arguments) => definitions::schema(&common, &arguments),
        Command::Explain(arguments) => definitions::explain(&arguments),
        Command::Completions(arguments) => {
            output::result(&complete::script(&arguments.shell.to_string()).unwrap_or_default());
            Ok(Exit::Done)
        }
        Command::Man(arguments) => manual(&arguments),
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
fn manual(arguments: &Man) -> Result<Exit, OpsError> {
    let Some(folder) = &arguments.out else {
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
    let pages = command.get_subcommands().filter(|command| command.get_name() != "help").cloned();
    let pages = pages.map(|page| (format!("syncline-{}.1", page.get_name()), page));
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
        Command::Deploy(arguments) => {
            let schema = if arguments.list { "deployments" } else { "deploy" };
            (arguments.format == Format::Json, schema)
        }
        Command::Import(arguments) => (arguments.format == Format::Json, "report"),
        Command::Reconcile(arguments) => (arguments.format == Format::Json, "report"),
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
        Command::Doctor(arguments) => (arguments.format == Format::Json, "doctor"),
        Command::State(arguments) => (arguments.format == Format::Json, "state"),
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
