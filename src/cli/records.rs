//! Commands that carry records over: `import`, `sync`.

use super::args::{Common, Format, Import, Sync};
use super::exit::Exit;
use super::progress::Progress;
use super::render::{report as show_report, table};
use super::shared::{failed, options, project, report, warn};
use super::{output, signals};
use crate::model::report::RunScope;
use crate::ops::history::backlog;
use crate::ops::run::{Finished, run_all};
use crate::ops::sync;
use crate::ports::source::Source;
use crate::ports::state::StateReader;
use crate::project::error::OpsError;
use crate::project::prepare::{Knowledge, prepare};
use crate::project::wiring::Outside;

pub(super) async fn import_records(common: &Common, words: &Import) -> Result<Exit, OpsError> {
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

pub(super) async fn sync_records(common: &Common, words: &Sync) -> Result<Exit, OpsError> {
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
