//! `sync`: cycles that repeat, each pipeline by its own `every`, all on one rate limit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join_all;

use super::run::{Finished, RunOptions, Trouble, refuse, run_one};
use super::{alerts, status};
use crate::config::files::Files;
use crate::config::project::PROJECT_FILE;
use crate::config::read::FILE_BYTES_MAX;
use crate::diagnostic::Diagnostic;
use crate::engine::run::StopReason;
use crate::model::ids::PipelineName;
use crate::model::report::RunStatus;
use crate::ports::fault::Fault;
use crate::project::describe::is_about_connection;
use crate::project::error::OpsError;
use crate::project::prepare::{PortalSource, Preparation, Refused, prepare_selected};
use crate::project::selection::{Selection, choose};
use crate::project::wiring::Project;
use crate::stages::{StageCause, StageError};
use crate::state::sqlite::SqliteState;

/// The pipelines that a sync is about: those that are named, else all that are enabled.
///
/// Errors: as [`choose`].
pub fn selected(project: &Project, names: &[String]) -> Result<Selection, OpsError> {
    let mut chosen = choose(&project.loaded, names)?;
    if names.is_empty() {
        chosen.pipelines.retain(|index| project.loaded.pipelines[*index].config.sync.enabled);
    }
    Ok(chosen)
}

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
    Warnings(&'a PipelineName, &'a [Diagnostic]),
    /// A file of the definitions is no longer as it was read.
    Changed(&'a str),
}

/// Takes what a sync has to say.
pub type OnEvent<'a> = &'a (dyn Fn(Event<'_>) + Send + Sync);

/// Repeats cycles until somebody asks to stop; trouble of one pipeline leaves the others alone, and its next cycle tries
/// again. Gives whether everything was saved in the end.
pub async fn forever(
    project: &Project,
    state: &Arc<SqliteState>,
    chosen: &Selection,
    options: &RunOptions,
    on_event: OnEvent<'_>,
) -> bool {
    let reporter = Reporter { project, on_event, memory: Mutex::default() };
    let broken = Selection { pipelines: Vec::new(), broken: chosen.broken.clone() };
    if let Ok(preparation) = prepare_selected(project, &project.loaded, &broken, PortalSource::Live).await {
        for refused in preparation.refused {
            reporter.ended(&refuse(project, state, refused, options).await);
        }
    }
    let cycles = chosen.pipelines.iter().map(|index| cycles(project, state, *index, options, &reporter));
    let saved = tokio::select! {
        saved = join_all(cycles) => saved.into_iter().all(|saved| saved),
        () = alerts::keep_telling(project, state, status::duration) => true,
    };
    alerts::tell_at_last(project, state, status::duration).await;
    saved
}

async fn cycles(
    project: &Project,
    state: &Arc<SqliteState>,
    index: usize,
    options: &RunOptions,
    reporter: &Reporter<'_>,
) -> bool {
    let every = project.loaded.pipelines[index].config.sync.every.0;
    let mut saved = true;
    while !project.outside.cancel.is_cancelled() {
        reporter.files(index);
        let finished = cycle(project, state, index, options, reporter).await;
        saved = !matches!(finished.trouble, Some(Trouble::Refused(OpsError::State(_))));
        reporter.ended(&finished);
        if finished.report.status == RunStatus::Interrupted {
            break;
        }
        tokio::select! {
            () = project.outside.clock.sleep(every) => {}
            () = project.outside.cancel.cancelled() => {}
        }
    }
    saved
}

/// One cycle. Salesforce is described anew each time, as its fields may have moved since.
async fn cycle(
    project: &Project,
    state: &Arc<SqliteState>,
    index: usize,
    options: &RunOptions,
    reporter: &Reporter<'_>,
) -> Finished {
    let name = PipelineName::new(project.loaded.pipelines[index].config.name.as_str());
    let chosen = Selection { pipelines: vec![index], broken: Vec::new() };
    let prepared = prepare_selected(project, &project.loaded, &chosen, PortalSource::SavedFirst(state)).await;
    let mut preparation = prepared.unwrap_or_else(|reason| Preparation {
        refused: vec![Refused { name: name.clone(), reason }],
        ..Preparation::default()
    });
    reporter.warnings(&name, preparation.warnings);
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
struct Reporter<'a> {
    project: &'a Project,
    on_event: OnEvent<'a>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
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
    /// A cycle ended.
    fn ended(&self, finished: &Finished) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let name = &finished.report.name;
        let trouble = finished.trouble.as_ref().filter(|_| finished.report.status != RunStatus::Interrupted);
        let Some(trouble) = trouble else {
            let over = memory.troubles.remove(name).filter(|_| finished.trouble.is_none());
            if let Some(over) = over {
                let said = match &over {
                    Kind::Connection(service, name, _) => format!("{service} answers again (connection `{name}`)"),
                    Kind::Own(name, ..) => format!("pipeline `{name}` runs again"),
                };
                // Whoever had the same trouble need not tell that it is over.
                memory.troubles.retain(|_, own| *own != over);
                (self.on_event)(Event::Over(&said));
            }
            (self.on_event)(Event::Cycle { finished, repeated: false });
            return;
        };
        let kind = self.kind(name, trouble);
        let repeated = memory.troubles.values().any(|value| *value == kind);
        memory.troubles.insert(name.clone(), kind);
        (self.on_event)(Event::Cycle { finished, repeated });
    }

    fn kind(&self, name: &PipelineName, trouble: &Trouble) -> Kind {
        let fault = match trouble {
            Trouble::Refused(OpsError::Remote { fault, .. }) => Some(fault),
            Trouble::Stopped(StopReason::Stage(StageError { cause: StageCause::Remote(fault), .. })) => Some(fault),
            _ => None,
        };
        let pipeline = self.project.loaded.pipelines.iter().find(|pipeline| pipeline.config.name == name.as_str());
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

    fn warnings(&self, name: &PipelineName, warnings: Vec<Diagnostic>) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let known = memory.warnings.entry(name.clone()).or_default();
        if *known != warnings {
            if !warnings.is_empty() {
                (self.on_event)(Event::Warnings(name, &warnings));
            }
            *known = warnings;
        }
    }

    /// Looks whether the definitions are still as they were read.
    fn files(&self, index: usize) {
        let loaded = &self.project.loaded;
        let names = [&*loaded.pipelines[index].file.name, PROJECT_FILE];
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        for name in names {
            let Some(read) = loaded.files.iter().find(|file| &*file.name == name) else { continue };
            let now = Files::Folder(loaded.root.clone()).read(name, FILE_BYTES_MAX).unwrap_or_default();
            let text = now.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&now);
            if text == read.text.as_bytes() {
                memory.changed.remove(name);
            } else if memory.changed.get(name).is_none_or(|told| *told != now) {
                (self.on_event)(Event::Changed(name));
                memory.changed.insert(name.to_owned(), now);
            }
        }
    }
}
