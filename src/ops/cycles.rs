//! Cycles of pipelines, as a sync that runs on and a worker have them: one cycle, what there is to say of it, and the pause after it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::run::{Finished, RunOptions, Trouble, refuse, run_one};
use crate::config::project::PROJECT_FILE;
use crate::config::read::FILE_BYTES_MAX;
use crate::diagnostic::Diagnostic;
use crate::engine::run::StopReason;
use crate::model::ids::PipelineName;
use crate::model::report::RunStatus;
use crate::ports::fault::Fault;
use crate::ports::store::Store;
use crate::project::describe::is_about_connection;
use crate::project::error::OpsError;
use crate::project::prepare::{PortalSource, Preparation, Refused, prepare_selected};
use crate::project::selection::Selection;
use crate::project::wiring::Project;
use crate::stages::{StageCause, StageError};
use crate::sys::rng::Rng;

/// What a sync that runs on has to say.
pub enum Event<'a> {
    /// A cycle ended. Trouble that was told before and goes on is told again only to those who want every cycle.
    Cycle {
        /// How.
        finished: &'a Finished,
        /// Its trouble stands since an earlier cycle, of this pipeline or of another one on the same connection.
        repeated: bool,
    },
    /// Trouble is over: what of it, in words.
    Over(&'a str),
    /// Findings that stop nothing, when they are new.
    Warnings(&'a Project, &'a PipelineName, &'a [Diagnostic]),
    /// A file of the definitions is no longer as it was read.
    Changed(&'a str),
    /// The definitions were read again, and count from now on: the pipelines that run by them.
    Reloaded(&'a [&'a str]),
    /// The definitions cannot be used as they are now: the old ones go on.
    NotReloaded(&'a OpsError),
}

/// Takes what a sync has to say.
pub type OnEvent<'a> = &'a (dyn Fn(Event<'_>) + Send + Sync);

/// Longest pause while a service is away, unless `sync.every` is longer.
const AWAY_MAX: Duration = Duration::from_secs(5 * 60);

/// The pause before the next cycle. It grows while a service is away, and is never quite the same, so that pipelines and
/// processes that began together do not ask together for ever.
pub fn pause(every: Duration, away: u32, rng: &Rng) -> Duration {
    // Doubled for each cycle that found the service away, up to a bound, so that it is found back within minutes.
    let grown = every.saturating_mul(1 << away.saturating_sub(1).min(16)).min(every.max(AWAY_MAX));
    // Up to a tenth more.
    let most = u64::try_from(grown.as_millis() / 10).unwrap_or(u64::MAX);
    grown + Duration::from_millis(rng.below(most.max(1)))
}

/// One cycle. Salesforce is described anew each time, as its fields may have moved since.
pub async fn cycle(
    project: &Project,
    state: &Arc<dyn Store>,
    index: usize,
    options: &RunOptions,
    reporter: &Reporter<'_>,
) -> Finished {
    let name = PipelineName::new(project.loaded.pipelines[index].config.name.as_str());
    let chosen = Selection { pipelines: vec![index], broken: Vec::new() };
    let prepared = prepare_selected(project, &project.loaded, &chosen, PortalSource::SavedFirst(&**state)).await;
    let mut preparation = prepared.unwrap_or_else(|reason| Preparation {
        refused: vec![Refused { name: name.clone(), reason }],
        ..Preparation::default()
    });
    reporter.warnings(project, &name, preparation.warnings);
    match (preparation.pipelines.pop(), preparation.refused.pop()) {
        (Some(prepared), _) => run_one(project, state, &prepared, options, None).await,
        (None, Some(refused)) => refuse(project, state, refused, options).await,
        (None, None) => {
            let reason = OpsError::refused("SL9002", "the pipeline was neither prepared nor refused", "");
            refuse(project, state, Refused { name, reason }, options).await
        }
    }
}

/// Says each thing once.
pub struct Reporter<'a> {
    /// Takes what there is to say.
    pub on_event: OnEvent<'a>,
    /// Files are watched, so that a change is not told but taken.
    pub watched: bool,
    /// What was said before.
    pub memory: Arc<Mutex<Memory>>,
}

/// What was said before.
#[derive(Default)]
pub struct Memory {
    /// What troubles each pipeline.
    troubles: HashMap<PipelineName, Kind>,
    warnings: HashMap<PipelineName, Vec<Diagnostic>>,
    /// Files that were found changed, and the text that was told of.
    changed: HashMap<String, Vec<u8>>,
}

/// Trouble that is the same for those who hear of it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// Of a connection (service, name, code): whoever uses it has the same.
    Connection(&'static str, String, &'static str),
    /// Of one pipeline: code and reason.
    Own(PipelineName, &'static str, String),
}

impl Reporter<'_> {
    /// A cycle ended. Gives whether a connection could not be used.
    pub fn ended(&self, project: &Project, finished: &Finished) -> bool {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let name = &finished.report.name;
        // What a person stopped is no trouble to tell of.
        let trouble = finished.trouble.as_ref().filter(|_| finished.report.status != RunStatus::Interrupted);
        let Some(trouble) = trouble else {
            let over = memory.troubles.remove(name).filter(|_| finished.trouble.is_none());
            if let Some(over) = over {
                let text = match &over {
                    Kind::Connection(service, name, _) => format!("{service} answers again (connection `{name}`)"),
                    Kind::Own(name, ..) => format!("pipeline `{name}` runs again"),
                };
                // Whoever had the same trouble need not tell that it is over.
                memory.troubles.retain(|_, trouble| *trouble != over);
                (self.on_event)(Event::Over(&text));
            }
            (self.on_event)(Event::Cycle { finished, repeated: false });
            return false;
        };
        let kind = kind(project, name, trouble);
        let connection = matches!(kind, Kind::Connection(..));
        // One connection serves many pipelines, and its outage is one piece of news.
        let repeated = memory.troubles.values().any(|value| *value == kind);
        memory.troubles.insert(name.clone(), kind);
        (self.on_event)(Event::Cycle { finished, repeated });
        connection
    }

    fn warnings(&self, project: &Project, name: &PipelineName, warnings: Vec<Diagnostic>) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let known = memory.warnings.entry(name.clone()).or_default();
        // Cycles repeat the same warnings every minute.
        if *known != warnings {
            if !warnings.is_empty() {
                (self.on_event)(Event::Warnings(project, name, &warnings));
            }
            *known = warnings;
        }
    }

    /// Looks whether the definitions are still as they were read.
    pub fn files(&self, project: &Project, index: usize) {
        if self.watched {
            return;
        }
        let loaded = &project.loaded;
        let portal = loaded.portal.as_ref().map(|file| &*file.name);
        let names = [&*loaded.pipelines[index].file.name, PROJECT_FILE].into_iter().chain(portal);
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        for name in names {
            let Some(read) = loaded.files.iter().find(|file| &*file.name == name) else { continue };
            let now = loaded.definitions.read(name, FILE_BYTES_MAX).unwrap_or_default();
            // Reading dropped the byte order mark, so it must not count as a change.
            let text = now.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&now);
            if text == read.text.as_bytes() {
                memory.changed.remove(name);
            } else if memory.changed.get(name).is_none_or(|reported| *reported != now) {
                (self.on_event)(Event::Changed(name));
                memory.changed.insert(name.to_owned(), now);
            }
        }
    }
}

/// What troubles a pipeline, such that the same trouble is told once.
fn kind(project: &Project, name: &PipelineName, trouble: &Trouble) -> Kind {
    let fault = match trouble {
        Trouble::Refused(OpsError::Remote { fault, .. }) => Some(fault),
        Trouble::Stopped(StopReason::Stage(StageError { cause: StageCause::Remote(fault), .. })) => Some(fault),
        _ => None,
    };
    let pipeline = project.loaded.pipelines.iter().find(|pipeline| pipeline.config.name == name.as_str());
    match (fault.and_then(Fault::error), pipeline) {
        (Some(error), Some(pipeline)) if fault.is_some_and(is_about_connection) => {
            let connection = match error.service {
                "Salesforce" => &pipeline.config.source.connection,
                _ => &pipeline.config.target.connection,
            };
            Kind::Connection(error.service, connection.clone(), error.code)
        }
        // The id of the request is another one each time.
        (Some(error), _) => Kind::Own(name.clone(), error.code, error.message.clone()),
        (None, _) => {
            let (code, reason, _) = trouble.explain();
            Kind::Own(name.clone(), code, reason)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_grows_while_a_service_is_away_and_is_never_twice_the_same() {
        let rng = Rng::seeded(1);
        let seconds = |every: u64, away| pause(Duration::from_secs(every), away, &rng).as_secs_f64();
        for (every, away, least) in [
            (60, 0, 60.0),
            (60, 1, 60.0),
            (60, 2, 120.0),
            (60, 3, 240.0),
            (60, 4, 300.0),
            (60, 99, 300.0),
            (3_600, 9, 3_600.0),
        ] {
            let pause = seconds(every, away);
            assert!(least <= pause && pause <= least * 1.1, "{every}, {away}: {pause}");
        }
        assert_ne!(seconds(60, 0).to_bits(), seconds(60, 0).to_bits());
    }
}
