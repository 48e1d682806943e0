//! Each command: arguments to `ops`, its answer to text and exit code.

use std::path::Path;
use std::sync::Arc;

use clap::CommandFactory;
use serde::Serialize;
use serde_json::json;

use super::args::{Allow, Arguments, Command, Common, Failures, Format, Import, PlanFormat, Runs, Status, Sync, Why};
use super::args::{FailureAction, FailureFilter as FailureWords};
use super::definitions::{shown, summary, warn};
use super::exit::Exit;
use super::progress::Progress;
use super::render::{history as show, report as show_report, table};
use super::{definitions, output, review, signals};
use crate::config::env::process_variables;
use crate::model::ids::PipelineName;
use crate::model::report::{RunReport, RunScope, RunStatus};
use crate::ops::error::OpsError;
use crate::ops::history::backlog;
use crate::ops::prepare::{Knowledge, prepare};
use crate::ops::run::{Finished, RunOptions, run_all};
use crate::ops::wiring::{Outside, Project, open, project_folder};
use crate::ops::{history, sync, why};
use crate::plan::guard::Allowance;
use crate::ports::fault::Fault;
use crate::ports::source::Source;
use crate::ports::state::{FailureFilter, FailureMark, StateReader};

/// Runs a command to its exit code.
pub async fn run(arguments: Arguments) -> Exit {
    let Arguments { common, command } = arguments;
    let in_json = reports_in_json(&command);
    let done = match command {
        Command::Demo(words) => super::demo::run(&common, &words).await,
        Command::Sandbox(words) => super::sandbox::run(&words).await,
        Command::Init(words) => definitions::init_project(&words),
        Command::Validate(words) => definitions::validate_project(&common, &words).await,
        Command::Discover(words) => definitions::discover(&common, &words).await,
        Command::New(words) => definitions::new_pipeline(&common, &words).await,
        Command::Test(words) => definitions::test(&common, &words),
        Command::Catalog(words) => definitions::catalog(&common, &words).await,
        Command::Diff(words) => review::diff_definitions(&common, &words).await,
        Command::Apply(words) => review::apply_plan(&common, &words).await,
        Command::Plan(words) => review::plan_project(&common, &words).await,
        Command::Import(words) => import_records(&common, &words).await,
        Command::Sync(words) => sync_records(&common, &words).await,
        Command::Status(words) => status(&common, &words).await,
        Command::Runs(words) => runs(&common, &words).await,
        Command::Failures(words) => failures(&common, &words).await,
        Command::Why(words) => tell_why(&common, &words).await,
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
        let exit = failed(&common, &error);
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

/// Opens the project that the command is about.
pub fn project(common: &Common, outside: Outside) -> Result<Project, OpsError> {
    let here = std::env::current_dir().unwrap_or_default();
    let root = project_folder(common.project.as_deref(), &here)?;
    open(&root, &process_variables, outside)
}

/// Says what went wrong.
pub fn failed(common: &Common, error: &OpsError) -> Exit {
    match error {
        OpsError::Findings(loaded) => {
            for finding in &loaded.findings {
                output::talk(&shown(loaded, finding, output::colour(common.no_color)));
                output::talk("");
            }
            output::talk(&summary(loaded));
        }
        error => output::error(&error.to_string(), Some(error.code()), error.help().as_deref()),
    }
    match error {
        OpsError::Remote { fault: Fault::Cancelled, .. } => Exit::Interrupted,
        _ => Exit::Failed,
    }
}

/// Prints a result as JSON.
pub(super) fn json<T: Serialize>(value: &T) {
    output::result(&serde_json::to_string_pretty(value).unwrap_or_default());
}

async fn import_records(common: &Common, words: &Import) -> Result<Exit, OpsError> {
    let outside = Outside::real();
    signals::watch(&outside.cancel);
    let project = project(common, outside)?;
    let state = project.state()?;
    let preparation = prepare(&project, &words.names, Knowledge::Noted(&state)).await?;
    warn(common, &project, &preparation);
    let mut counted = Vec::new();
    for prepared in &preparation.pipelines {
        let config = &project.loaded.pipelines[prepared.index].config;
        let name = &prepared.pipeline.name;
        let unfinished = state.cursor(name).await?.filter(|_| !words.stale);
        let count = match &unfinished {
            Some(progress) => progress.total,
            None if words.stale => {
                let backlog = backlog(&*state, &prepared.pipeline).await?;
                backlog.behind + backlog.failed
            }
            None => {
                let source = project.source(&config.source.connection)?;
                source.count(&prepared.pipeline.all_records()).await.map_err(OpsError::remote(name))?
            }
        };
        let goes_on =
            unfinished.map(|progress| format!(" (goes on at {})", table::number(progress.read))).unwrap_or_default();
        if !common.quiet {
            let from = &config.source.object;
            let to = &prepared.pipeline.target.label;
            let records = table::count(count, "record", "records");
            let behind = if words.stale { " behind the mapping or failed under an earlier one," } else { "" };
            output::talk(&format!("{name}: {records}{behind} of {from} to {to}{goes_on}"));
        }
        counted.push(Some(count));
    }
    if !words.yes && !preparation.pipelines.is_empty() {
        if !output::interactive() {
            let help = "`--yes` copies without asking; `syncline plan` shows what would be done";
            return Err(OpsError::refused("SL6007", "nobody can be asked here whether to go on", help));
        }
        if !output::ask("Copy them now?") {
            output::talk("nothing was done");
            return Ok(Exit::Done);
        }
    }
    let total = counted.iter().flatten().sum();
    let scope = if words.stale { RunScope::Stale } else { RunScope::All };
    let options = options(scope, "import", words.allow, Progress::new(Some(total), common.quiet));
    let finished = run_all(&project, &state, &preparation.pipelines, &options.0, &counted).await;
    options.1.finish();
    Ok(report(common, words.format, &finished?))
}

async fn sync_records(common: &Common, words: &Sync) -> Result<Exit, OpsError> {
    let outside = Outside::real();
    signals::watch(&outside.cancel);
    let project = project(common, outside)?;
    let state = project.state()?;
    let mut preparation = prepare(&project, &words.names, Knowledge::Remembered(&state)).await?;
    if words.names.is_empty() {
        preparation.pipelines.retain(|own| project.loaded.pipelines[own.index].config.sync.enabled);
    }
    warn(common, &project, &preparation);
    if words.once {
        let options = options(RunScope::Changed, "sync --once", words.allow, Progress::new(None, common.quiet));
        let finished = run_all(&project, &state, &preparation.pipelines, &options.0, &[]).await;
        options.1.finish();
        return Ok(report(common, words.format, &finished?));
    }
    let options = options(RunScope::Changed, "sync", words.allow, Progress::new(None, true));
    if !common.quiet {
        let names: Vec<&str> = preparation.pipelines.iter().map(|own| own.pipeline.name.as_str()).collect();
        let talk = "syncing {} until stopped (Ctrl-C); cycles in which nothing happens are shown with `-v` only";
        output::talk(&talk.replace("{}", &names.join(", ")));
    }
    let show = |finished: Result<&Finished, &OpsError>| match (finished, words.format) {
        (Ok(finished), Format::Text) if common.verbose == 0 && show_report::is_quiet(&finished.report) => {}
        (Ok(finished), Format::Text) => {
            let time = project.outside.clock.now().strftime("%Y-%m-%d %H:%M:%SZ");
            output::result(&format!("{time}  {}", show_report::report(&finished.report)));
        }
        (Ok(finished), Format::Json) => output::result(&serde_json::to_string(&finished.report).unwrap_or_default()),
        (Err(error), _) => drop(failed(common, error)),
    };
    sync::forever(&project, &state, &preparation.pipelines, &options.0, &show).await;
    Ok(Exit::Interrupted)
}

fn options(scope: RunScope, command: &str, allow: Allow, progress: Progress) -> (RunOptions, Arc<Progress>) {
    let progress = Arc::new(progress);
    let hears = Arc::clone(&progress);
    let allowance = allowance(allow);
    let on_progress = Arc::new(move |name: &str, tally| hears.update(name, tally));
    (RunOptions { scope, allowance, command: format!("syncline {command}"), held: None, on_progress }, progress)
}

/// What a person allows, as the runs know it.
pub(super) fn allowance(allow: Allow) -> Allowance {
    Allowance { archive: allow.allow_archive, empty_source: allow.allow_empty }
}

/// Prints reports and works the exit code out.
pub fn report(common: &Common, format: Format, finished: &[Finished]) -> Exit {
    let reports: Vec<&RunReport> = finished.iter().map(|finished| &finished.report).collect();
    let exit = reports.iter().map(|report| exit_of(report.status)).max().unwrap_or(Exit::Done);
    match format {
        Format::Json => {
            let only_paused = reports
                .iter()
                .all(|report| report.status == RunStatus::Paused || exit_of(report.status) < Exit::Failed);
            let status = match exit {
                Exit::Failed if only_paused => "paused",
                Exit::Done | Exit::Changes => "succeeded",
                Exit::Partial => "partial",
                Exit::Interrupted => "interrupted",
                Exit::Failed | Exit::Usage => "failed",
            };
            json(&json!({ "pipelines": reports, "status": status }));
        }
        Format::Text => {
            let reports: Vec<RunReport> = reports.into_iter().cloned().collect();
            output::result(&show_report::reports(&reports));
        }
    }
    let stops = finished.iter().filter_map(|finished| Some((&finished.report.name, finished.stop.as_ref()?)));
    for (name, stop) in stops.filter(|_| !common.quiet) {
        let help = stop.help();
        output::error(&format!("pipeline `{name}`: {stop}"), Some(stop.code()), help.as_deref());
    }
    exit
}

fn exit_of(status: RunStatus) -> Exit {
    match status {
        RunStatus::Succeeded | RunStatus::Running => Exit::Done,
        RunStatus::Partial => Exit::Partial,
        RunStatus::Failed | RunStatus::Paused | RunStatus::Refused => Exit::Failed,
        RunStatus::Interrupted => Exit::Interrupted,
    }
}

async fn status(common: &Common, words: &Status) -> Result<Exit, OpsError> {
    let all = history::status(&project(common, Outside::real())?).await?;
    match words.format {
        Format::Text => output::result(&show::statuses(&all)),
        Format::Json => json(&json!({ "pipelines": all })),
    }
    Ok(Exit::Done)
}

async fn runs(common: &Common, words: &Runs) -> Result<Exit, OpsError> {
    let project = project(common, Outside::real())?;
    let Some(id) = &words.id else {
        let all = history::runs(&project, words.pipeline.as_deref(), words.limit).await?;
        match words.format {
            Format::Text => output::result(&show::runs(&all)),
            Format::Json => json(&json!({ "runs": all })),
        }
        return Ok(Exit::Done);
    };
    let (run, failures) = history::run(&project, id).await?;
    if let Some(file) = &words.errors {
        let text = history::errors_csv(&failures);
        if file.as_os_str() == "-" {
            output::result(&text);
        } else {
            write_file(file, &text)?;
            output::talk(&format!(
                "{} written to {}",
                table::count(failures.len() as u64, "record", "records"),
                file.display()
            ));
        }
        return Ok(Exit::Done);
    }
    match words.format {
        Format::Text => output::result(&show::run(&run, &failures)),
        Format::Json => json(&json!({ "run": run, "failures": failures })),
    }
    Ok(Exit::Done)
}

/// Writes a file that a person asked for.
pub(super) fn write_file(path: &Path, text: &str) -> Result<(), OpsError> {
    std::fs::write(path, text).map_err(|error| {
        OpsError::refused("SL6008", format!("`{}` cannot be written: {error}", path.display()), "choose another file")
    })
}

async fn failures(common: &Common, words: &Failures) -> Result<Exit, OpsError> {
    let project = project(common, Outside::real())?;
    let none = FailureAction::List(FailureWords::default());
    match words.action.as_ref().unwrap_or(&none) {
        FailureAction::List(filter) => {
            let mut all = Vec::new();
            for filter in filters(filter)? {
                all.extend(history::failures(&project, &filter).await?);
            }
            match words.format {
                Format::Text => output::result(&show::failures(&all)),
                Format::Json => json(&json!({ "failures": all })),
            }
        }
        FailureAction::Show { id } => {
            let filter = FailureWords { ids: vec![id.clone()], pipeline: None, all: true };
            let mut all = Vec::new();
            for filter in filters(&filter)? {
                all.extend(history::failures(&project, &filter).await?);
            }
            if all.is_empty() {
                return Err(OpsError::refused(
                    "SL6006",
                    format!("`{id}` has no failure"),
                    "`syncline why ID` tells how it stands",
                ));
            }
            match words.format {
                Format::Text => output::result(&all.iter().map(show::failure).collect::<Vec<_>>().join("\n")),
                Format::Json => json(&json!({ "failures": all })),
            }
        }
        FailureAction::Retry(filter) => {
            mark(&project, filter, FailureMark::Retry, "will be tried again by the next sync").await?
        }
        FailureAction::Dismiss(filter) => {
            mark(&project, filter, FailureMark::Dismiss, "set aside until the record changes").await?
        }
    }
    Ok(Exit::Done)
}

async fn mark(project: &Project, words: &FailureWords, mark: FailureMark, said: &str) -> Result<(), OpsError> {
    let mut marked = 0;
    for filter in filters(words)? {
        marked += history::mark(project, &filter, mark).await?;
    }
    output::result(&format!("{} {said}", table::count(marked, "failure", "failures")));
    Ok(())
}

fn filters(words: &FailureWords) -> Result<Vec<FailureFilter>, OpsError> {
    let base = FailureFilter {
        pipeline: words.pipeline.as_deref().map(PipelineName::new),
        closed_too: words.all,
        ..FailureFilter::default()
    };
    if words.ids.is_empty() {
        return Ok(vec![base]);
    }
    let one = |id: &String| match id.parse() {
        Ok(id) => Ok(FailureFilter { salesforce_id: Some(id), ..base.clone() }),
        Err(error) => {
            let error: crate::model::ids::SalesforceIdError = error;
            Err(OpsError::refused("SL5004", error.to_string(), "copy the id from `syncline failures`"))
        }
    };
    words.ids.iter().map(one).collect()
}

async fn tell_why(common: &Common, words: &Why) -> Result<Exit, OpsError> {
    let accounts = why::why(&project(common, Outside::real())?, &words.id).await?;
    match words.format {
        Format::Text => output::result(&show::accounts(&words.id, &accounts)),
        Format::Json => json(&json!({ "salesforce_id": words.id, "pipelines": accounts })),
    }
    Ok(Exit::Done)
}
