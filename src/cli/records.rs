//! Commands that carry records over: `import`, `sync`, `reconcile`.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

use super::args::common::{Common, Format};
use super::args::{Import, Reconcile, Sync};
use super::exit::Exit;
use super::output;
use super::part::{described, part};
use super::progress::Progress;
use super::render::paint::Paint;
use super::render::{report as show_report, table};
use super::serve;
use super::service::Service;
use super::shared::{failed, options, project, report, selected_none, trouble, warn, warn_of};
use super::signals::{self, Asked};
use crate::config::targets::with_target;
use crate::model::ids::{PipelineName, SalesforceIdError};
use crate::model::report::{RunReport, RunScope, Trial};
use crate::ops::import::{Counted, Which, count};
use crate::ops::run::run_all;
use crate::ops::sync::{self, Event, Reloading};
use crate::project::error::OpsError;
use crate::project::prepare::{PortalSource, Prepared, prepare, prepare_selected};
use crate::project::selection::Selection;
use crate::project::wiring::{Outside, Project, open};
use crate::sys::clock::Clock;

pub(super) async fn import_records(common: &Common, arguments: &Import) -> Result<Exit, OpsError> {
    let outside = Outside::real();
    signals::watch(&outside.cancel);
    let project = project(common, outside)?;
    let state = project.state()?;
    let mut preparation = prepare(&project, &arguments.names, PortalSource::LiveAndSaved(&*state)).await?;
    warn(common, &project, &preparation);
    let which = which(common, &project, &preparation.pipelines, arguments).await?;
    let counted = count(&project, &*state, &mut preparation, &which).await?;
    if !common.quiet {
        for (prepared, counted) in preparation.pipelines.iter().zip(&counted) {
            output::talk(&intent(&project, prepared, counted, &which));
        }
    }
    // A copy may make a million records, so it asks; a sync carries over only what changed.
    if !arguments.yes && !preparation.pipelines.is_empty() {
        if !output::interactive() {
            let help = "`--yes` copies without asking; `syncline plan` shows what would be done";
            return Err(OpsError::refused("SL6007", "there is no terminal to ask for confirmation", help));
        }
        if !output::ask("Copy them now?") {
            output::talk("nothing was done");
            // Declined is not failed.
            return Ok(Exit::Done);
        }
    }
    let names = preparation.pipelines.iter().map(|pipeline| pipeline.pipeline.name.clone());
    let counted: HashMap<PipelineName, u64> = names.zip(counted.iter().map(|pipeline| pipeline.records)).collect();
    let scope = if arguments.stale { RunScope::Stale } else { RunScope::All };
    let (mut options, progress) =
        options(scope, "import", arguments.allow, Progress::new(Some(counted.values().sum()), common.quiet));
    options.trial = which.part().cloned();
    let finished = run_all(&project, &state, preparation, &options, &counted).await;
    progress.finish();
    Ok(report(common, arguments.format, &finished))
}

/// The records that an import is about. An id is one pipeline's.
async fn which(
    common: &Common,
    project: &Project,
    pipelines: &[Prepared],
    arguments: &Import,
) -> Result<Which, OpsError> {
    if arguments.stale {
        return Ok(Which::Stale);
    }
    if let Some(chosen) = part(common, project, pipelines, &arguments.part).await? {
        return Ok(Which::Part(Trial::Matching(chosen)));
    }
    if arguments.record.is_empty() {
        return Ok(Which::All);
    }
    // Several pipelines may read one object, and a trial of one record is to be about one of them.
    if pipelines.len() > 1 {
        let message = format!("`--record` is about one pipeline, and {} are selected", pipelines.len());
        return Err(OpsError::refused("SL6006", message, "name one: `syncline import NAME --record ID`"));
    }
    let parse = |text: &String| {
        text.trim().parse().map_err(|error: SalesforceIdError| {
            OpsError::refused("SL5004", error.to_string(), "copy the id from the record's address in Salesforce")
        })
    };
    Ok(Which::Part(Trial::Records(arguments.record.iter().map(parse).collect::<Result<_, _>>()?)))
}

/// What is about to be copied, in a line.
fn intent(project: &Project, prepared: &Prepared, counted: &Counted, which: &Which) -> String {
    let name = &prepared.pipeline.name;
    let from = &project.loaded.pipelines[prepared.index].config.source.object;
    let to = &prepared.pipeline.target.label;
    let records = table::count(counted.records, "record", "records");
    let (first, which) = match which {
        Which::Part(Trial::Matching(chosen)) => {
            (if chosen.most.is_some() { "the first " } else { "" }, described(chosen))
        }
        Which::Stale => ("", " that are stale".to_owned()),
        Which::All | Which::Part(Trial::Records(_)) => ("", String::new()),
    };
    let goes_on = counted.read.map(|read| format!(" (resumes at {})", table::number(read))).unwrap_or_default();
    let way = if prepared.pipeline.is_junction { "as associations of" } else { "to" };
    format!("{name}: {first}{records} of {from}{which} {way} {to}{goes_on}")
}

pub(super) async fn sync_records(common: &Common, arguments: &Sync) -> Result<Exit, OpsError> {
    let outside = Outside::real();
    let asked = signals::watch(&outside.cancel);
    let project = project(common, outside)?;
    let chosen = sync::selected(&project, &arguments.names)?;
    if !arguments.once {
        return sync_on(common, arguments, project, &chosen, &asked).await;
    }
    let state = project.state()?;
    // A cycle every minute must not ask for all schemas each time.
    let knowledge = PortalSource::SavedFirst(&*state);
    let preparation = prepare_selected(&project, &project.loaded, &chosen, knowledge).await?;
    warn(common, &project, &preparation);
    let options = options(RunScope::Changed, "sync --once", arguments.allow, Progress::new(None, common.quiet));
    let finished = run_all(&project, &state, preparation, &options.0, &HashMap::new()).await;
    options.1.finish();
    Ok(report(common, arguments.format, &finished))
}

pub(super) async fn reconcile(common: &Common, words: &Reconcile) -> Result<Exit, OpsError> {
    let outside = Outside::real();
    signals::watch(&outside.cancel);
    let project = project(common, outside)?;
    let chosen = sync::selected(&project, &words.names)?;
    // Nothing selected is no failure: environments may switch all pipelines off.
    if chosen.is_empty() {
        selected_none(common);
        return Ok(Exit::Done);
    }
    let state = project.state()?;
    let preparation = prepare_selected(&project, &project.loaded, &chosen, PortalSource::LiveAndSaved(&*state)).await?;
    warn(common, &project, &preparation);
    let mut options = options(RunScope::Compared, "reconcile", words.allow, Progress::new(None, common.quiet));
    options.0.budget.time = words.time_limit;
    let finished = run_all(&project, &state, preparation, &options.0, &HashMap::new()).await;
    options.1.finish();
    Ok(report(common, words.format, &finished))
}

/// Syncs until somebody asks to stop.
async fn sync_on(
    common: &Common,
    arguments: &Sync,
    project: Project,
    chosen: &Selection,
    asked: &Asked,
) -> Result<Exit, OpsError> {
    if chosen.is_empty() {
        selected_none(common);
        return Ok(Exit::Done);
    }
    let state = project.state()?;
    let (root, outside) = (project.loaded.root.clone(), project.outside.clone());
    // Before anything is said to go on: the address may be taken.
    serve::beside(common, arguments.beside.options(), &root, &outside).await?;
    // No bar: cycles of several pipelines run side by side.
    let (options, _) = options(RunScope::Changed, "sync", arguments.allow, Progress::new(None, true));
    if !common.quiet {
        let names = chosen.pipelines.iter().map(|index| project.loaded.pipelines[*index].config.name.as_str());
        let names: Vec<&str> = names.collect();
        let talk = "syncing {} until stopped (Ctrl-C); cycles that change nothing are shown only with `-v`";
        output::talk(&talk.replace("{}", &names.join(", ")));
    }
    let clock = outside.clock.clone();
    let on_event = |event: Event<'_>| report_event(common, arguments.format, &clock, None, event);
    let _service = Service::ready(&clock, &format!("syncing {}", chosen.pipelines.len()));
    let again = || open(&root, &with_target(common.target.clone()), outside.clone());
    let reloading = Reloading { open: &again, asked: signals::hang_ups(), watch: arguments.watch };
    let saved = sync::forever(Arc::new(project), &arguments.names, &state, &options, reloading, &on_event).await?;
    Ok(match (saved, asked.to_interrupt()) {
        // What could not be saved goes before the wish to stop.
        (false, _) => Exit::Failed,
        (true, false) => Exit::Done,
        (true, true) => Exit::Interrupted,
    })
}

/// Shows what a sync that runs on has to say; of a worker, with the portal that it is about.
pub(super) fn report_event(common: &Common, format: Format, clock: &Clock, portal: Option<&str>, event: Event<'_>) {
    match event {
        Event::Cycle { finished, repeated } => {
            // A quiet cycle a minute would bury the ones that changed something.
            let shown = common.verbose > 0 || !(repeated || show_report::is_quiet(&finished.report));
            match format {
                // Programs get every cycle, one line each.
                Format::Json => {
                    let line = serde_json::to_string(&OfPortal { portal, report: &finished.report });
                    output::json_text(&line.unwrap_or_default());
                }
                Format::Text if shown => {
                    let time = clock.now().strftime("%Y-%m-%d %H:%M:%SZ");
                    let portal = portal.map(|portal| format!("{portal}: ")).unwrap_or_default();
                    output::styled(&format!(
                        "{time}  {portal}{}",
                        show_report::report(&finished.report, Paint::of_results())
                    ));
                }
                Format::Text => {}
            }
            // Told once while it lasts; `status` says that it does.
            if let Some(why) = finished.trouble.as_ref().filter(|_| !repeated) {
                if let Some(portal) = portal {
                    output::talk(&format!("in {portal}:"));
                }
                trouble(&finished.report.name, why);
            }
        }
        Event::Over(what) => output::talk(&portal.map_or(what.to_owned(), |portal| format!("{portal}: {what}"))),
        Event::Warnings(project, name, warnings) => warn_of(common, project, Some(name), warnings),
        Event::Changed(file) => output::talk(&format!(
            "{file} has changed on disk: this process goes on with what it read before; send it SIGHUP to use the files as they \
             are now"
        )),
        Event::Reloaded(_) if common.quiet => {}
        Event::Reloaded(names) => {
            output::talk(&format!("the definitions were read again and count from now on: {}", names.join(", ")));
        }
        Event::NotReloaded(error) => {
            failed(error);
            output::talk(
                "the definitions cannot be used as they are now: this process goes on with what it read before",
            );
        }
    }
}

/// A report, and the portal that it is about where there are many.
#[derive(Serialize)]
struct OfPortal<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    portal: Option<&'a str>,
    #[serde(flatten)]
    report: &'a RunReport,
}
