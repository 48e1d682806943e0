//! Each command to the one who does it, and how it ends.

use serde_json::json;

use super::args::common::{FindingFormat, Format};
use super::args::review::{DiffFormat, PlanFormat};
use super::args::{Arguments, Command, Man};
use super::exit::Exit;
use super::shared::{failed, json, write_public};
use super::{definitions, demo, help, history, output, records, review, sandbox};
use crate::ports::fault::Fault;
use crate::project::error::OpsError;

/// Runs a command to its exit code.
pub async fn run(arguments: Arguments) -> Exit {
    let Arguments { common, command } = arguments;
    let in_json = json_result(&command);
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
            clap_complete::generate(words.shell, &mut help::command(), "syncline", &mut script);
            output::result(&String::from_utf8_lossy(&script));
            Ok(Exit::Done)
        }
        Command::Man(words) => manual(&words),
    };
    done.unwrap_or_else(|error| {
        let exit = failed(&error);
        if let Some(member) = in_json {
            let told = json!({ "code": error.code(), "message": error.to_string(), "help": error.help() });
            json(&json!({ member: [], "status": ended_early(&error), "error": told }));
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

/// Which member of a command's JSON holds its result, where it prints JSON: it must print some when it fails, too.
fn json_result(command: &Command) -> Option<&'static str> {
    let (json, member) = match command {
        Command::Plan(words) => (words.format == PlanFormat::Json, "pipelines"),
        Command::Diff(words) => (words.format == DiffFormat::Json, "pipelines"),
        Command::Apply(words) => (words.format == Format::Json, "pipelines"),
        Command::Import(words) => (words.format == Format::Json, "pipelines"),
        Command::Sync(words) => (words.once && words.format == Format::Json, "pipelines"),
        Command::Status(words) => (words.format == Format::Json, "pipelines"),
        Command::Why(words) => (words.format == Format::Json, "pipelines"),
        Command::Runs(words) => (words.format == Format::Json, "runs"),
        Command::Failures(words) => (words.format == Format::Json, "failures"),
        Command::Validate(words) => (words.format == FindingFormat::Json, "findings"),
        Command::Discover(words) => (words.format == Format::Json, "objects"),
        _ => (false, ""),
    };
    json.then_some(member)
}

/// The status of a command that ended before its first run began.
fn ended_early(error: &OpsError) -> &'static str {
    match error {
        OpsError::Remote { fault: Fault::Budget { .. }, .. } => "paused",
        OpsError::Remote { fault: Fault::Cancelled, .. } => "interrupted",
        _ => "failed",
    }
}
