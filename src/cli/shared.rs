//! What several commands do alike: open the project, say what is wrong, report runs, write a file.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::args::common::{Allow, Common, Format};
use super::colour;
use super::exit::Exit;
use super::output;
use super::progress::Progress;
use super::render::diagnostic::{shown, summary};
use super::render::paint::Paint;
use super::render::{report as show_report, table};
use crate::config::targets::with_target;
use crate::diagnostic::Diagnostic;
use crate::model::budget::Budget;
use crate::model::ids::PipelineName;
use crate::model::report::{RunReport, RunScope, RunStatus, RunsReport};
use crate::ops::run::{Finished, RunOptions, Trouble};
use crate::plan::guard::Allowance;
use crate::ports::fault::Fault;
use crate::project::error::OpsError;
use crate::project::prepare::Preparation;
use crate::project::wiring::{Outside, Project, open, project_folder};
use crate::sys::files::{self, Readers};
use crate::sys::secrets::masked;

/// Opens the project that the command is about.
pub fn project(common: &Common, outside: Outside) -> Result<Project, OpsError> {
    let here = std::env::current_dir().unwrap_or_default();
    let root = project_folder(common.project.as_deref(), &here)?;
    let project = open(&root, &with_target(common.target.clone()), outside)?;
    // Which accounts are meant is no detail.
    if let Some(target) = project.loaded.target.as_ref().filter(|_| !common.quiet) {
        output::talk(&format!("target `{target}`"));
    }
    Ok(project)
}

/// Says what went wrong.
pub fn failed(error: &OpsError) -> Exit {
    match error {
        OpsError::Findings(loaded) => {
            for finding in &loaded.findings {
                output::talk_styled(&shown(loaded, finding, colour::of_talk()));
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
pub fn json<T: Serialize>(value: &T) {
    output::json(value);
}

/// Shows warnings of a preparation on stderr.
pub fn warn(common: &Common, project: &Project, preparation: &Preparation) {
    if preparation.pipelines.is_empty() && preparation.refused.is_empty() {
        selected_none(common);
    }
    warn_of(common, project, None, &preparation.warnings);
}

/// Says that a command is about no pipeline.
pub fn selected_none(common: &Common) {
    if !common.quiet {
        output::talk("no pipeline is selected: none is enabled, or none has changed");
    }
}

/// Shows warnings on stderr; how many there are, unless more is to be said.
pub fn warn_of(common: &Common, project: &Project, name: Option<&PipelineName>, warnings: &[Diagnostic]) {
    if common.quiet || warnings.is_empty() {
        return;
    }
    // A run would repeat the same warnings each time; `validate` is the command that is about them.
    if common.verbose == 0 {
        let about = name.map_or_else(|| "the definitions".to_owned(), |name| format!("the definition of `{name}`"));
        let warnings = table::count(warnings.len() as u64, "warning", "warnings");
        output::talk(&format!("{warnings} about {about}: `syncline validate --online` shows them"));
        return;
    }
    for warning in warnings {
        output::talk_styled(&shown(&project.loaded, warning, colour::of_talk()));
        output::talk("");
    }
}

/// Says why a run ended early or did not begin.
pub fn trouble(name: &PipelineName, trouble: &Trouble) {
    match trouble {
        Trouble::Refused(error) => refused(name, error),
        Trouble::Stopped(stop) => {
            output::error(&format!("pipeline `{name}`: {stop}"), Some(stop.code()), stop.help().as_deref());
        }
    }
}

/// Says why a pipeline cannot run: the findings in its definition in full, or what keeps a connection from being used.
pub fn refused(name: &PipelineName, error: &OpsError) {
    match error {
        OpsError::Findings(loaded) => {
            for finding in &loaded.findings {
                output::talk_styled(&shown(loaded, finding, colour::of_talk()));
                output::talk("");
            }
            output::error(&format!("pipeline `{name}` cannot run until this is fixed"), None, None);
        }
        OpsError::Remote { pipeline: None, .. } | OpsError::Refused { .. } => {
            output::error(&format!("pipeline `{name}`: {error}"), Some(error.code()), error.help().as_deref());
        }
        // Their sentences name the pipeline already.
        OpsError::Remote { .. } | OpsError::State(_) => {
            output::error(&error.to_string(), Some(error.code()), error.help().as_deref());
        }
    }
}

/// How runs of a command are to be done, and what shows their progress.
pub fn options(scope: RunScope, command: &str, allow: Allow, progress: Progress) -> (RunOptions, Arc<Progress>) {
    let progress = Arc::new(progress);
    let shown = Arc::clone(&progress);
    let allowance = allowance(allow);
    let on_progress = Arc::new(move |name: &str, tally| shown.update(name, tally));
    (
        RunOptions {
            scope,
            trial: None,
            budget: Budget::default(),
            allowance,
            command: format!("syncline {command}"),
            followed: None,
            on_progress,
        },
        progress,
    )
}

/// What a person allows, as the runs know it.
pub fn allowance(allow: Allow) -> Allowance {
    Allowance { archive: allow.allow_archive, reject: allow.allow_reject, empty_source: allow.allow_empty }
}

/// Prints reports and works the exit code out.
pub fn report(common: &Common, format: Format, finished: &[Finished]) -> Exit {
    let reports: Vec<&RunReport> = finished.iter().map(|finished| &finished.report).collect();
    // The worst of them: the order of the codes is that of `Exit`.
    let exit = reports.iter().map(|report| exit_of(report.status)).max().unwrap_or(Exit::Done);
    match format {
        Format::Json => {
            let only_paused = reports
                .iter()
                .all(|report| report.status == RunStatus::Paused || exit_of(report.status) < Exit::Failed);
            let status = match exit {
                Exit::Failed if only_paused => RunStatus::Paused,
                Exit::Done | Exit::Changes => RunStatus::Succeeded,
                Exit::Partial => RunStatus::Partial,
                Exit::Interrupted => RunStatus::Interrupted,
                Exit::Failed | Exit::Usage => RunStatus::Failed,
            };
            json(&RunsReport { pipelines: reports.into_iter().cloned().collect(), status });
        }
        Format::Text => {
            let reports: Vec<RunReport> = reports.into_iter().cloned().collect();
            output::styled(&show_report::reports(&reports, Paint::of_results()));
        }
    }
    for pipeline in finished.iter().filter(|_| !common.quiet) {
        if let Some(why) = &pipeline.trouble {
            trouble(&pipeline.report.name, why);
        }
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

/// Adds text to a file that was written before.
pub fn append_file(path: &Path, text: &str) -> Result<(), OpsError> {
    files::append(path, masked(text).as_bytes()).map_err(|error| {
        OpsError::refused("SL6008", format!("`{}` cannot be written: {error}", path.display()), "choose another file")
    })
}

/// Writes a file that a person asked for and that anybody may read: it holds nothing of a project.
pub fn write_public(path: &Path, text: &str) -> Result<(), OpsError> {
    files::replace(path, text.as_bytes(), Readers::Usual).map_err(|error| {
        OpsError::refused("SL6008", format!("`{}` cannot be written: {error}", path.display()), "choose another folder")
    })
}

/// Writes a file that a person asked for. It may hold values of records: its owner alone reads it.
pub fn write_file(path: &Path, text: &str) -> Result<(), OpsError> {
    files::replace(path, masked(text).as_bytes(), Readers::Owner).map_err(|error| {
        OpsError::refused("SL6008", format!("`{}` cannot be written: {error}", path.display()), "choose another file")
    })
}
