//! Commands of a review: `diff`, `plan`, `apply`.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::args::common::Common;
use super::args::review::{Apply, Approve, Diff, DiffFormat, Plan, PlanFormat, Values};
use super::exit::Exit;
use super::output;
use super::part::part;
use super::progress::Progress;
use super::render::paint::Paint;
use super::render::{diff as show_diff, html, markdown, plan as show_plan, summary::Summary};
use super::shared::{allowance, json, project, refused, report as report_runs, warn, write_file};
use super::signals;
use crate::config::targets::with_target;
use crate::model::budget::Budget;
use crate::model::change::{DefinitionDiff, DefinitionStanding};
use crate::model::forecast::{PipelineForecast, PlanReport};
use crate::model::ids::{PipelineName, SalesforceId};
use crate::model::report::{RunScope, RunStatus, Trial};
use crate::ops::changes::ChangesFile;
use crate::ops::plan::PlanOptions;
use crate::ops::run::{RunOptions, run_all};
use crate::ops::saved::SavedPlan;
use crate::ops::{apply, approvals, diff, masks, plan, saved};
use crate::plan::guard::Allowance;
use crate::project::error::OpsError;
use crate::project::prepare::{PortalSource, Preparation, prepare};
use crate::project::wiring::{Outside, Project, project_folder};
use crate::project::{earlier, revision, stateless};

/// Changes shown in a file beside the terminal: it may be long.
const REPORT_SAMPLE: usize = 200;

pub(super) async fn diff_definitions(common: &Common, arguments: &Diff) -> Result<Exit, OpsError> {
    let here = std::env::current_dir().unwrap_or_default();
    let root = project_folder(common.project.as_deref(), &here)?;
    let mut found = diff::diff(&root, &with_target(common.target.clone()), &arguments.base, &arguments.names)?;
    // Taken before the definitions move into the report.
    let exit = if arguments.exit_code && !found.is_empty() { Exit::Changes } else { Exit::Done };
    if !arguments.records {
        match arguments.format {
            DiffFormat::Text => output::styled(&show_diff::diff(&found, Paint::of_results())),
            DiffFormat::Markdown => output::markdown(&markdown::diff(&found)),
            DiffFormat::Json => json(&found),
        }
        return Ok(exit);
    }
    // A pipeline that is gone has no definition that could be planned.
    let there = found.pipelines.iter().filter(|pipeline| pipeline.standing != DefinitionStanding::Removed);
    let names: Vec<String> = there.map(|pipeline| pipeline.name.clone()).collect();
    let outside = Outside::real();
    signals::watch(&outside.cancel);
    let mut report = if names.is_empty() {
        PlanReport { pipelines: Vec::new(), status: RunStatus::Succeeded, definitions: Some(found) }
    } else {
        let mut project = project(common, outside)?;
        // Before anything is read: what the base calls sensitive stays masked, or a change could unmask its own
        // review.
        masks::keep(&mut project, &revision::base(&root, &arguments.base)?, &mut found);
        let preparation = prepare(&project, &names, PortalSource::Live).await?;
        warn(common, &project, &preparation);
        refusals(&preparation);
        let options = PlanOptions { sample: 10, ..PlanOptions::default() };
        let forecasts = plan::plan(&project, &preparation, &options, &|_| None).await?;
        assembled(forecasts, Some(found))
    };
    if arguments.values == Values::None {
        report.drop_values();
    }
    match arguments.format {
        DiffFormat::Text => output::styled(&show_plan::plan(&report, Paint::of_results())),
        DiffFormat::Markdown => output::markdown(&markdown::plan(&report)),
        DiffFormat::Json => json(&report),
    }
    Ok(if report.status == RunStatus::Failed { Exit::Failed } else { exit })
}

pub(super) async fn plan_project(common: &Common, arguments: &Plan) -> Result<Exit, OpsError> {
    let outside = Outside::real();
    signals::watch(&outside.cancel);
    // Before the plan is made, which may take minutes: a wrong ending is known now.
    let kinds: Vec<PlanFormat> = arguments.report.iter().map(|path| kind_of(path)).collect::<Result<_, _>>()?;
    let mut project = project(common, outside)?;
    let review = match &arguments.base {
        Some(reference) => {
            let base = revision::base(&project.loaded.root, reference)?;
            let definitions = diff::compare(&base, &project.loaded, reference);
            Some((base, definitions))
        }
        None => None,
    };
    let review = review.map(|(base, mut definitions)| {
        masks::keep(&mut project, &base, &mut definitions);
        (base, definitions)
    });
    let preparation = prepare(&project, &arguments.names, PortalSource::Live).await?;
    warn(common, &project, &preparation);
    refusals(&preparation);
    let chosen = part(common, &project, &preparation.pipelines, &arguments.part).await?;
    let created = project.outside.clock.now();
    let records = arguments.record.iter().map(|id| record(id)).collect::<Result<Vec<SalesforceId>, _>>()?;
    let shown = if arguments.report.is_empty() { arguments.sample } else { arguments.sample.max(REPORT_SAMPLE) };
    let before = match &review {
        Some((base, definitions)) => earlier::pipelines(&project, base, definitions).await?,
        None => Vec::new(),
    };
    let definitions = review.map(|(_, definitions)| definitions);
    let without_state = match arguments.without_state {
        true => Some(stateless::infer(&project, &preparation, definitions.as_ref(), &before).await?),
        false => None,
    };
    let changes = arguments
        .changes
        .as_deref()
        .map(|path| ChangesFile::new(path, arguments.values == Values::All))
        .transpose()?
        .map(Arc::new);
    let options = PlanOptions {
        before,
        recorder: changes.clone(),
        without_state,
        sample: shown,
        full: arguments.full,
        reconcile: arguments.reconcile,
        refresh: arguments.refresh,
        only: arguments.only.clone(),
        records,
        trial: chosen.map(Trial::Matching),
        at: Some(created),
        allowance: Allowance::default(),
        scopes: Vec::new(),
    };
    let writer = arguments.out.as_ref().map(|path| saved::Writer::new(path)).transpose()?;
    let observers = |name: &PipelineName| writer.as_ref().map(|writer| writer.observer(name));
    let forecasts = plan::plan(&project, &preparation, &options, &observers).await?;
    if let Some(file) = changes {
        file.finish()?;
    }
    let mut report = assembled(forecasts, definitions);
    // Before any form is written: every one of them is made from this report.
    if arguments.values == Values::None {
        report.drop_values();
    }
    if let (Some(writer), Some(path)) = (writer, &arguments.out) {
        save(&project, &preparation, &report, created, writer).await?;
        if !common.quiet {
            output::talk(&format!("saved: `syncline apply {}` does exactly this", path.display()));
            for refused in &preparation.refused {
                output::talk(&format!("the saved plan leaves out `{}`, which cannot run", refused.name));
            }
        }
    }
    for (path, kind) in arguments.report.iter().zip(kinds) {
        write_file(path, &rendered(&report, kind, &project, Paint::NONE))?;
    }
    // After the reports are written, which show more than a terminal.
    for forecast in &mut report.pipelines {
        forecast.shorten(arguments.sample);
    }
    let text = rendered(&report, arguments.format, &project, Paint::of_results());
    match arguments.format {
        PlanFormat::Json => output::json_text(&text),
        PlanFormat::Markdown => output::markdown(&text),
        PlanFormat::Text => output::styled(&text),
        PlanFormat::Html => output::result(&text),
    }
    let changes = Summary::of(&report).has_changes(&report);
    // A plan that is not complete must not pass for one without changes.
    Ok(match (report.status == RunStatus::Failed, changes && arguments.detailed_exitcode) {
        (true, _) => Exit::Failed,
        (false, true) => Exit::Changes,
        (false, false) => Exit::Done,
    })
}

/// Says which pipelines cannot run, and why.
fn refusals(preparation: &Preparation) {
    for one in &preparation.refused {
        refused(&one.name, &one.reason);
    }
}

/// Puts a plan together: each pipeline with the changes of its definition.
fn assembled(mut forecasts: Vec<PipelineForecast>, definitions: Option<DefinitionDiff>) -> PlanReport {
    for forecast in &mut forecasts {
        let definition = definitions
            .iter()
            .flat_map(|diff| &diff.pipelines)
            .find(|definition| definition.name == forecast.report.name.as_str());
        forecast.definition_changes = definition.map(|definition| definition.changes.clone()).unwrap_or_default();
    }
    let failed = forecasts.iter().any(|forecast| forecast.report.error.is_some());
    let status = if failed { RunStatus::Failed } else { RunStatus::Succeeded };
    PlanReport { pipelines: forecasts, status, definitions }
}

fn rendered(report: &PlanReport, format: PlanFormat, project: &Project, paint: Paint) -> String {
    match format {
        PlanFormat::Text => show_plan::plan(report, paint),
        PlanFormat::Json => output::json_form(&(serde_json::to_string_pretty(report).unwrap_or_default() + "\n")),
        PlanFormat::Markdown => markdown::plan(report),
        PlanFormat::Html => html::plan(report, &project.outside.clock.now().strftime("%Y-%m-%d %H:%M UTC").to_string()),
    }
}

/// The form of a report, by its file's ending.
fn kind_of(path: &Path) -> Result<PlanFormat, OpsError> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    match ending.as_str() {
        "json" => Ok(PlanFormat::Json),
        "md" | "markdown" => Ok(PlanFormat::Markdown),
        "html" | "htm" => Ok(PlanFormat::Html),
        "txt" => Ok(PlanFormat::Text),
        _ => {
            let message = format!("the name `{}` does not tell the format of the report", path.display());
            Err(OpsError::refused("SL6008", message, "use a name that ends in `.html`, `.md`, `.json` or `.txt`"))
        }
    }
}

fn record(id: &str) -> Result<SalesforceId, OpsError> {
    id.parse().map_err(|error: crate::model::ids::SalesforceIdError| {
        OpsError::refused("SL5004", error.to_string(), "copy the id from the record's address in Salesforce")
    })
}

async fn save(
    project: &Project,
    preparation: &Preparation,
    report: &PlanReport,
    created: jiff::Timestamp,
    writer: saved::Writer,
) -> Result<(), OpsError> {
    let ready = report.pipelines.iter().take(preparation.pipelines.len());
    // A plan that lacks records would be applied as if they needed nothing.
    if let Some(error) = ready.clone().find_map(|pipeline| pipeline.report.error.as_ref()) {
        let message = format!("the plan is not complete and was not saved: {error}");
        return Err(OpsError::refused("SL6012", message, "try again when both systems respond"));
    }
    writer.finish(apply::describe(project, preparation, &report.pipelines, created).await?)
}

/// Shows a saved plan to a person, and notes that they approved it. There is no way around the question: what may be answered by a program is
/// no approval of a person's.
pub(super) fn approve_plan(common: &Common, arguments: &Approve) -> Result<Exit, OpsError> {
    let project = project(common, Outside::real())?;
    let plan = saved::read(&arguments.file)?;
    let report = assembled(plan.pipelines.iter().map(|pipeline| pipeline.forecast.clone()).collect(), None);
    output::styled(&show_plan::plan(&report, Paint::of_results()));
    output::talk(&format!("plan of {}", plan.created.strftime("%Y-%m-%d %H:%M UTC")));
    if !output::interactive() {
        let help = "run `syncline approve` yourself, at a terminal; `syncline apply FILE` needs no approval";
        return Err(OpsError::refused("SL6007", "there is no terminal to ask for approval", help));
    }
    if !output::ask("Approve exactly this plan, for one try within a day?") {
        output::talk("nothing was approved");
        return Ok(Exit::Done);
    }
    let approval = approvals::approve(&project, &arguments.file)?;
    output::result(&format!("approved until {}: {}", approval.until.strftime("%Y-%m-%d %H:%M UTC"), approval.digest));
    Ok(Exit::Done)
}

pub(super) async fn apply_plan(common: &Common, arguments: &Apply) -> Result<Exit, OpsError> {
    let outside = Outside::real();
    signals::watch(&outside.cancel);
    let Some(digest) = &arguments.approved else {
        let file = arguments.file.clone().unwrap_or_default();
        let plan = saved::read(&file)?;
        let project = project(common, outside)?;
        return Box::pin(apply_saved(common, arguments, project, &file, plan)).await;
    };
    let project = project(common, outside)?;
    let file = approvals::take(&project, digest)?;
    let done = match saved::read(&file) {
        Ok(plan) => Box::pin(apply_saved(common, arguments, project, &file, plan)).await,
        Err(error) => Err(error),
    };
    // The approval was for one try, and holds values of records.
    let _ = std::fs::remove_file(&file);
    done
}

async fn apply_saved(
    common: &Common,
    arguments: &Apply,
    project: Project,
    file: &Path,
    plan: SavedPlan,
) -> Result<Exit, OpsError> {
    if plan.pipelines.is_empty() {
        if !common.quiet {
            output::talk("the plan contains no pipeline: there is nothing to do");
        }
        return Ok(report_runs(common, arguments.format, &[]));
    }
    let state = project.state()?;
    let names = apply::names(&project, file, &plan)?;
    let preparation = prepare(&project, &names, PortalSource::LiveAndSaved(&*state)).await?;
    // In the plan's order, in which it was reckoned: a pipeline may associate with what an earlier one makes.
    let preparation = apply::in_order(preparation, &plan);
    warn(common, &project, &preparation);
    let held = apply::verify(&project, &preparation, file, &plan, allowance(arguments.allow)).await?;
    let forecasts = plan.pipelines.iter().map(|pipeline| pipeline.forecast.clone()).collect();
    let summary = Summary::of(&assembled(forecasts, None));
    if !common.quiet {
        let made = plan.created.strftime("%Y-%m-%d %H:%M UTC");
        output::talk(&format!("plan of {made}: {}; nothing has changed since", summary.headline()));
    }
    // Asked after the comparison, so that the answer is about what would be done now.
    if !arguments.yes && arguments.approved.is_none() {
        if !output::interactive() {
            let help = "`--yes` applies without asking";
            return Err(OpsError::refused("SL6007", "there is no terminal to ask for confirmation", help));
        }
        if !output::ask("Do this now?") {
            output::talk("nothing was done");
            return Ok(Exit::Done);
        }
    }
    let progress = Arc::new(Progress::new(None, common.quiet));
    let shown = Arc::clone(&progress);
    let options = RunOptions {
        trial: None,
        budget: Budget::default(),
        scope: RunScope::Changed,
        allowance: allowance(arguments.allow),
        command: "syncline apply".to_owned(),
        followed: Some(Arc::new(held)),
        on_progress: Arc::new(move |name: &str, tally| shown.update(name, tally)),
    };
    let finished = run_all(&project, &state, preparation, &options, &HashMap::new()).await;
    progress.finish();
    Ok(report_runs(common, arguments.format, &finished))
}
