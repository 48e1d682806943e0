//! Commands that tell what is remembered: `status`, `runs`, `failures`, `why`.

use std::path::Path;

use serde_json::Value;

use super::args::common::{Common, Format};
use super::args::{
    Alerts, AlertsAction, FailureAction, FailureFilter as FailureWords, FailureList, Failures, Runs, Status, Why,
};
use super::exit::Exit;
use super::output;
use super::render::paint::Paint;
use super::render::{fleet as show_fleet, history as show, table};
use super::shared::{append_file, json, project, write_file};
use crate::config::load::Broken;
use crate::diagnostic::nearest::nearest;
use crate::model::ids::PipelineName;
use crate::ops::failure_groups::FailureList as FailureReport;
use crate::ops::history::{ErrorsCsv, FailuresMarked, Pages, RunHistory};
use crate::ops::{alerts, failure_groups, fleet, history, why};
use crate::ports::state::{FailureFilter, FailureMark};
use crate::project::error::OpsError;
use crate::project::wiring::{Outside, Project};

pub(super) async fn tell_status(common: &Common, arguments: &Status) -> Result<Exit, OpsError> {
    let status = fleet::status(&project(common, Outside::real())?, true).await?;
    let in_fleet = status.fleet.as_ref();
    match arguments.format {
        Format::Text if arguments.check && in_fleet.is_some() => {
            output::styled(&in_fleet.map(|fleet| show_fleet::problems(fleet, Paint::of_results())).unwrap_or_default());
        }
        Format::Text if in_fleet.is_some() => output::styled(&show_fleet::fleet(&status, Paint::of_results())),
        Format::Text if arguments.check => output::styled(&show::problems(&status, Paint::of_results())),
        Format::Text => output::styled(&show::statuses(&status, Paint::of_results())),
        Format::Json => json(&status),
    }
    // Only `--check` fails: looking at a status is no check.
    Ok(if arguments.check && status.needs_a_person() { Exit::Failed } else { Exit::Done })
}

pub(super) async fn runs(common: &Common, arguments: &Runs) -> Result<Exit, OpsError> {
    let project = project(common, Outside::real())?;
    let Some(id) = &arguments.id else {
        let all = history::runs(&project, arguments.pipeline.as_deref(), arguments.limit).await?;
        if all.is_empty() {
            must_be_known(&project, arguments.pipeline.as_deref())?;
        }
        match arguments.format {
            Format::Text => output::styled(&show::runs(&all, Paint::of_results())),
            Format::Json => json(&RunHistory { runs: all }),
        }
        return Ok(Exit::Done);
    };
    let run = history::run(&project, id).await?;
    let filter = vec![history::of_run(&run)];
    // The file is the result: what a screen would show stands in it.
    if let Some(file) = &arguments.errors {
        write_errors(&project, filter, file).await?;
        return Ok(Exit::Done);
    }
    let pages = Pages::new(&project, filter)?;
    match arguments.format {
        Format::Text => {
            output::styled(&show::run(&run, Paint::of_results()));
            print_failures(pages, &project, "").await?;
        }
        Format::Json => {
            let shown = serde_json::to_value(&run).unwrap_or_default();
            print_failures_json(pages, Some(("run", &shown))).await?;
        }
    }
    Ok(Exit::Done)
}

/// Writes what a run set aside as CSV, page by page.
async fn write_errors(project: &Project, filter: Vec<FailureFilter>, file: &Path) -> Result<(), OpsError> {
    let mut csv = ErrorsCsv::default();
    let mut pages = Pages::new(project, filter.clone())?;
    // Twice over the pages, as the columns of all records make the first line and memory holds one page.
    while let Some(page) = pages.next().await? {
        csv.learn(&page);
    }
    // A dash is the usual name for the standard output.
    let to_file = file.as_os_str() != "-";
    if to_file {
        write_file(file, &csv.head())?;
    } else {
        output::result(&csv.head());
    }
    let (mut pages, mut count) = (Pages::new(project, filter)?, 0);
    while let Some(page) = pages.next().await? {
        count += page.len() as u64;
        if to_file {
            append_file(file, &csv.lines(&page))?;
        } else {
            output::result(&csv.lines(&page));
        }
    }
    if to_file {
        output::talk(&format!("{} written to {}", table::count(count, "record", "records"), file.display()));
    }
    Ok(())
}

/// Prints failures as a table, page by page; `none` where there are none.
async fn print_failures(mut pages: Pages<'_>, project: &Project, none: &str) -> Result<(), OpsError> {
    let names = project.loaded.pipelines.iter().map(|pipeline| pipeline.config.name.as_str());
    let mut table = show::FailureTable::new(names, output::is_terminal());
    while let Some(page) = pages.next().await? {
        let lines = table.page(&page);
        // Below something else, the table stands apart from it.
        output::result(&if none.is_empty() && lines.starts_with("  pipeline") { format!("\n{lines}") } else { lines });
    }
    match table.end() {
        Some(text) => output::result(&text),
        None if none.is_empty() => {}
        None => output::result(none),
    }
    Ok(())
}

/// Prints `{"failures": […]}`, page by page, with one member more where it is given.
async fn print_failures_json(mut pages: Pages<'_>, more: Option<(&str, &Value)>) -> Result<(), OpsError> {
    let indented = |value: &Value, blanks: &str| {
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        text.replace('\n', &format!("\n{blanks}"))
    };
    // One entry is held back, so that it is known whether a comma follows.
    let mut last: Option<String> = None;
    while let Some(page) = pages.next().await? {
        let mut text = if last.is_none() { "{\n  \"failures\": [\n".to_owned() } else { String::new() };
        for failure in &page {
            let value = serde_json::to_value(failure).unwrap_or_default();
            if let Some(before) = last.replace(format!("    {}", indented(&value, "    "))) {
                text.push_str(&before);
                text.push_str(",\n");
            }
        }
        if !text.is_empty() {
            output::result(&text);
        }
    }
    let mut text = match last {
        Some(last) => format!("{last}\n  ]"),
        None => "{\n  \"failures\": []".to_owned(),
    };
    if let Some((name, value)) = more {
        text.push_str(&format!(",\n  \"{name}\": {}", indented(value, "  ")));
    }
    text.push_str("\n}\n");
    output::result(&text);
    Ok(())
}

pub(super) async fn failures(common: &Common, arguments: &Failures) -> Result<Exit, OpsError> {
    let project = project(common, Outside::real())?;
    let none = FailureAction::List(FailureList::default());
    match arguments.action.as_ref().unwrap_or(&none) {
        FailureAction::List(list) => {
            let filters = filters(&list.filter)?;
            if Pages::new(&project, filters.clone())?.of(1).next().await?.is_none() {
                must_be_known(&project, list.filter.pipeline.as_deref())?;
            }
            let pages = Pages::new(&project, filters.clone())?;
            match arguments.format {
                Format::Text if list.each => print_failures(pages, &project, "no failures\n").await?,
                Format::Text => {
                    let groups = failure_groups::groups(&project, &filters).await?;
                    output::styled(&show::failure_groups(&groups, project.outside.clock.now(), Paint::of_results()));
                }
                Format::Json => {
                    let groups = failure_groups::groups(&project, &filters).await?;
                    let groups = serde_json::to_value(groups).unwrap_or_default();
                    print_failures_json(pages, Some(("groups", &groups))).await?;
                }
            }
        }
        FailureAction::Show { id } => {
            // Also those that are dismissed or over, since the id was named.
            let filter = FailureWords { ids: vec![id.clone()], all: true, ..FailureWords::default() };
            let mut all = Vec::new();
            for filter in filters(&filter)? {
                all.extend(history::failures(&project, &filter).await?);
            }
            if all.is_empty() {
                return Err(OpsError::refused(
                    "SL6006",
                    format!("there is no failure of `{id}`"),
                    "`syncline why ID` explains how it stands",
                ));
            }
            match arguments.format {
                Format::Text => output::styled(&show::failures_in_full(&all, Paint::of_results())),
                Format::Json => json(&FailureReport { failures: all, groups: Vec::new() }),
            }
        }
        FailureAction::Retry(filter) => mark(&project, filter, FailureMark::Retry, arguments.format).await?,
        FailureAction::Dismiss(filter) => mark(&project, filter, FailureMark::Dismiss, arguments.format).await?,
    }
    Ok(Exit::Done)
}

async fn mark(project: &Project, arguments: &FailureWords, mark: FailureMark, format: Format) -> Result<(), OpsError> {
    let mut marked = 0;
    for filter in filters(arguments)? {
        marked += history::mark(project, &filter, mark).await?;
    }
    if marked == 0 {
        must_be_known(project, arguments.pipeline.as_deref())?;
    }
    let effect = match mark {
        FailureMark::Retry => "will be tried again by the next sync",
        FailureMark::Dismiss => "will not be tried again until the record changes",
    };
    match format {
        Format::Text => output::result(&format!("{} {effect}", table::count(marked, "failure", "failures"))),
        Format::Json => json(&FailuresMarked { marked }),
    }
    Ok(())
}

/// Of a pipeline that was removed, the state may still tell; where it tells nothing either, the name is misspelt.
fn must_be_known(project: &Project, name: Option<&str>) -> Result<(), OpsError> {
    let loaded = &project.loaded;
    let known = loaded.pipelines.iter().map(|pipeline| pipeline.config.name.as_str());
    let known: Vec<&str> = known.chain(loaded.broken.iter().map(Broken::name)).collect();
    let Some(name) = name.filter(|name| !known.contains(name)) else { return Ok(()) };
    let help = match nearest(name, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`syncline status` lists the pipelines".to_owned(),
    };
    Err(OpsError::refused("SL2012", format!("no pipeline is called `{name}`"), help))
}

fn filters(arguments: &FailureWords) -> Result<Vec<FailureFilter>, OpsError> {
    let base = FailureFilter {
        pipeline: arguments.pipeline.as_deref().map(PipelineName::new),
        // Codes are written in capitals, and typed in either.
        code: arguments.code.as_ref().map(|code| code.to_ascii_uppercase()),
        closed_too: arguments.all,
        ..FailureFilter::default()
    };
    if arguments.ids.is_empty() {
        return Ok(vec![base]);
    }
    let one = |id: &String| match id.parse() {
        Ok(id) => Ok(FailureFilter { salesforce_id: Some(id), ..base.clone() }),
        Err(error) => {
            let error: crate::model::ids::SalesforceIdError = error;
            Err(OpsError::refused("SL5004", error.to_string(), "copy the id from `syncline failures`"))
        }
    };
    arguments.ids.iter().map(one).collect()
}

pub(super) async fn alerts(common: &Common, arguments: &Alerts) -> Result<Exit, OpsError> {
    let AlertsAction::Test(arguments) = &arguments.action;
    let tried = alerts::test(&project(common, Outside::real())?, &arguments.names).await?;
    match arguments.format {
        Format::Text => output::styled(&show::alert_test(&tried, Paint::of_results())),
        Format::Json => json(&tried),
    }
    // One receiver that did not get it is the one that would stay silent when it matters.
    Ok(if tried.receivers.iter().all(|receiver| receiver.delivered) { Exit::Done } else { Exit::Failed })
}

pub(super) async fn tell_why(common: &Common, arguments: &Why) -> Result<Exit, OpsError> {
    let report = why::why(&project(common, Outside::real())?, &arguments.id, arguments.refresh).await?;
    match arguments.format {
        Format::Text => output::styled(&show::why(&report, Paint::of_results())),
        Format::Json => json(&report),
    }
    Ok(Exit::Done)
}
