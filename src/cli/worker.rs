//! `worker`: shows what it has to say.

use super::args::common::{Allow, Common, Format};
use super::args::worker::Worker;
use super::exit::Exit;
use super::output;
use super::progress::Progress;
use super::records::report_event;
use super::render::table;
use super::service::Service;
use super::shared::{failed, options};
use super::signals;
use crate::config::env::process_variables;
use crate::config::targets::VARIABLE;
use crate::model::budget::Budget;
use crate::model::report::RunScope;
use crate::ops::worker::{self, News, Options};
use crate::project::deployment::Deployed;
use crate::project::error::OpsError;
use crate::project::fleet::{CheckedOut, Fleet};
use crate::project::wiring::{Outside, Project, project_folder};
use crate::sys::clock::Clock;

/// Serves portals until somebody asks to stop.
pub(super) async fn run(common: &Common, arguments: &Worker) -> Result<Exit, OpsError> {
    let outside = Outside::real();
    let asked = signals::watch(&outside.cancel);
    let here = std::env::current_dir().unwrap_or_default();
    // The default target of the project is that of a person who works on it: workers serve all.
    let only = common.target.clone().or_else(|| process_variables(VARIABLE)).filter(|name| !name.trim().is_empty());
    let fleet: Box<dyn Fleet> = match &arguments.deployed {
        Some(address) => {
            let folder = common.project.clone().unwrap_or(here);
            let deployments = Project::deployments_at(address, &folder, &outside)?;
            Box::new(Deployed::new(deployments, folder, only))
        }
        None => Box::new(CheckedOut { root: project_folder(common.project.as_deref(), &here)?, only }),
    };
    let allow = Allow { allow_archive: None, allow_reject: None, allow_empty: false };
    let (run, _) = options(RunScope::Changed, "worker", allow, Progress::new(None, true));
    let options = Options {
        name: worker::own_name(),
        at_once: usize::try_from(arguments.concurrency).unwrap_or(usize::MAX),
        open_max: worker::OPEN_MAX,
        times: worker::times(arguments.lease, arguments.wire),
        turn: Budget { time: Some(arguments.turn), calls: Some(arguments.turn_calls) },
        sweep: arguments.look,
        queue: !arguments.no_queue,
        import: arguments.import,
        run,
    };
    let clock = outside.clock.clone();
    let on_news = |news: News<'_>| report_news(common, arguments.format, &clock, news);
    let _service = Service::ready(&outside.clock, "serving portals");
    worker::work(&*fleet, &outside, &options, &on_news).await?;
    Ok(if asked.to_interrupt() { Exit::Interrupted } else { Exit::Done })
}

fn report_news(common: &Common, format: Format, clock: &Clock, news: News<'_>) {
    match news {
        News::Serves(portals) if !common.quiet => {
            let portals = table::count(portals as u64, "portal", "portals");
            output::talk(&format!("serving {portals} until stopped (Ctrl-C)"));
        }
        News::Serves(_) => {}
        News::Of(portal, event) => report_event(common, format, clock, Some(portal), event),
        News::Skipped(portal, error) => {
            failed(error);
            let what = if portal.is_empty() { "the definitions" } else { portal };
            output::talk(&format!("{what} cannot be served by this worker as it is now; it is tried again"));
        }
        News::TakenOver(portal, from) => {
            output::talk(&format!("{portal}: taken over from {from}, which did not give it back"));
        }
        News::Broken(portal, error) => {
            failed(error);
            let what =
                if portal.is_empty() { "looking for portals".to_owned() } else { format!("the turn of {portal}") };
            output::talk(&format!("{what} broke off; it is tried again"));
        }
        News::Deaf(why) => output::talk(&format!("{why}; until it can, this worker looks for turns by itself")),
    }
}
