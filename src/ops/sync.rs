//! `sync`: cycles that repeat, each pipeline by its own `every`, all on one rate limit.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;

use super::reconcile::Comparison;
use super::run::{Finished, RunOptions, Trouble, refuse, run_one};
use super::{alerts, status};
use crate::config::dotenv;
use crate::config::files::Files;
use crate::config::pipeline::PipelineConfig;
use crate::config::project::PROJECT_FILE;
use crate::config::read::FILE_BYTES_MAX;
use crate::diagnostic::Diagnostic;
use crate::engine::run::StopReason;
use crate::model::hash::Hasher;
use crate::model::ids::PipelineName;
use crate::model::report::{RunScope, RunStatus};
use crate::ports::fault::Fault;
use crate::ports::store::Store;
use crate::project::describe::is_about_connection;
use crate::project::error::OpsError;
use crate::project::prepare::{PortalSource, Preparation, Refused, prepare_selected};
use crate::project::selection::{Selection, choose};
use crate::project::wiring::Project;
use crate::stages::{StageCause, StageError};
use crate::sys::clock::Clock;
use crate::sys::rng::Rng;

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

/// When and how the definitions are read again.
pub struct Reloading<'a> {
    /// Reads them.
    pub open: &'a (dyn Fn() -> Result<Project, OpsError> + Send + Sync),
    /// Somebody asks for it.
    pub asked: UnboundedReceiver<()>,
    /// Whenever their files change.
    pub watch: bool,
}

/// How often files are looked at. A change counts once it has stood for two looks: editors write in several steps.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Repeats cycles until somebody asks to stop; trouble of one pipeline leaves the others alone, and its next cycle tries
/// again. Gives whether everything was saved in the end.
pub async fn forever(
    project: Arc<Project>,
    names: &[String],
    state: &Arc<dyn Store>,
    options: &RunOptions,
    mut reloading: Reloading<'_>,
    on_event: OnEvent<'_>,
) -> Result<bool, OpsError> {
    let chosen = selected(&project, names)?;
    let reporter = Reporter { on_event, watched: reloading.watch, memory: Mutex::default() };
    // Files that cannot be read are reported once at the start; they have no cycles in which they could be.
    let broken = Selection { pipelines: Vec::new(), broken: chosen.broken.clone() };
    if let Ok(preparation) = prepare_selected(&project, &project.loaded, &broken, PortalSource::Live).await {
        for refused in preparation.refused {
            reporter.ended(&project, &refuse(&project, state, refused, options).await);
        }
    }
    let cancel = project.outside.cancel.clone();
    let (publish, current) = watch::channel(project);
    let daemon = Daemon { names, state, options, reporter: &reporter, current: current.clone() };
    let telling = alerts::keep_telling(&current, &**state, status::duration);
    tokio::pin!(telling);
    let mut running = FuturesUnordered::new();
    let mut active: HashSet<String> = HashSet::new();
    daemon.start(&mut active, &mut running)?;
    let mut all_saved = true;
    let mut seen = stamp(&current.borrow()).await;
    let mut unsettled = None;
    while !running.is_empty() {
        let reload = tokio::select! {
            Some((name, saved)) = running.next() => {
                active.remove(&name);
                // One pipeline that could not save is enough for the exit code to say so.
                all_saved &= saved;
                false
            }
            Some(()) = reloading.asked.recv() => true,
            () = tokio::time::sleep(LOOK_EVERY), if reloading.watch => {
                let project = Arc::clone(&current.borrow());
                let now = stamp(&project).await;
                let settled = unsettled == Some(now.clone());
                unsettled = Some(now.clone()).filter(|now| *now != seen && !settled);
                if settled {
                    seen = now;
                }
                settled
            }
            // It never ends by itself, and is only polled here beside the cycles.
            () = &mut telling => false,
        };
        if reload && !cancel.is_cancelled() {
            match daemon.reload(reloading.open, &publish) {
                Ok(()) => daemon.start(&mut active, &mut running)?,
                // A half-written file must not stop a sync that works.
                Err(error) => on_event(Event::NotReloaded(&error)),
            }
        }
    }
    let project = Arc::clone(&current.borrow());
    alerts::tell_at_last(&project, &**state, status::duration).await;
    Ok(all_saved)
}

/// What all cycles of a sync share.
struct Daemon<'a> {
    names: &'a [String],
    state: &'a Arc<dyn Store>,
    options: &'a RunOptions,
    reporter: &'a Reporter<'a>,
    current: watch::Receiver<Arc<Project>>,
}

type Cycles<'a> = LocalBoxFuture<'a, (String, bool)>;

impl Daemon<'_> {
    /// Starts the cycles of pipelines that are selected and not running.
    fn start<'s>(
        &'s self,
        active: &mut HashSet<String>,
        running: &mut FuturesUnordered<Cycles<'s>>,
    ) -> Result<(), OpsError> {
        let project = Arc::clone(&self.current.borrow());
        for index in selected(&project, self.names)?.pipelines {
            let name = project.loaded.pipelines[index].config.name.clone();
            // A pipeline that runs already takes the new definition in its next cycle.
            if active.insert(name.clone()) {
                running.push(async move { (name.clone(), self.cycles(name).await) }.boxed_local());
            }
        }
        Ok(())
    }

    /// Takes the definitions as they are now, if they are valid. A file that was broken before keeps no other from counting.
    fn reload(
        &self,
        open: &(dyn Fn() -> Result<Project, OpsError> + Send + Sync),
        publish: &watch::Sender<Arc<Project>>,
    ) -> Result<(), OpsError> {
        let (before, now) = (Arc::clone(&self.current.borrow()), open()?);
        let was_broken = |file: &Arc<str>| before.loaded.broken.iter().any(|broken| broken.file == *file);
        let newly = now.loaded.broken.iter().any(|broken| !was_broken(&broken.file));
        if newly {
            return Err(OpsError::Findings(Box::new(now.loaded)));
        }
        let chosen = selected(&now, self.names)?;
        // Tokens, limiters and counts of calls live on: a reload must not double the rate at which HubSpot is asked.
        now.take_over(&before);
        let names: Vec<&str> =
            chosen.pipelines.iter().map(|index| now.loaded.pipelines[*index].config.name.as_str()).collect();
        (self.reporter.on_event)(Event::Reloaded(&names));
        publish.send_replace(Arc::new(now));
        Ok(())
    }

    /// The cycles of one pipeline, for as long as it is selected and nobody asks to stop.
    async fn cycles(&self, name: String) -> bool {
        let mut saved = true;
        let mut away = 0;
        let mut comparison = Comparison::default();
        loop {
            let project = Arc::clone(&self.current.borrow());
            let chosen = selected(&project, self.names).unwrap_or_default();
            let has_name = |index: &usize| project.loaded.pipelines[*index].config.name == name;
            // By name and not by place: a reload may have moved it or taken it out.
            let Some(index) = chosen.pipelines.into_iter().find(has_name) else { return saved };
            if project.outside.cancel.is_cancelled() {
                return saved;
            }
            self.reporter.files(&project, index);
            let finished = cycle(&project, self.state, index, self.options, self.reporter).await;
            saved = !matches!(finished.trouble, Some(Trouble::Refused(OpsError::State(_))));
            let connection = self.reporter.ended(&project, &finished);
            if finished.report.status == RunStatus::Interrupted {
                return saved;
            }
            away = if connection { away + 1 } else { 0 };
            // Not while a service is away, which would fail it after many calls.
            if away == 0 && comparison.is_due(&project, self.state, index).await {
                // A comparison of a million records takes hours; it pauses so that changes keep being carried over.
                let pause_after = Some(project.loaded.pipelines[index].config.sync.every.0.max(COMPARISON_PART));
                let compare = RunOptions { scope: RunScope::Compared, pause_after, ..self.options.clone() };
                let finished = cycle(&project, self.state, index, &compare, self.reporter).await;
                self.reporter.ended(&project, &finished);
                if finished.report.status == RunStatus::Interrupted {
                    return saved;
                }
                // Changes that came meanwhile do not wait for the whole comparison.
                // Only one that came further goes on at once; else the usual pause comes first.
                let some = finished.trouble.is_none() && finished.report.tally.read > 0;
                if some && comparison.pauses(self.state, &finished.report.name).await {
                    continue;
                }
            }
            let config = &project.loaded.pipelines[index].config;
            let pause = pause(config.sync.every.0, away, &project.outside.rng);
            self.rest(&project, config, pause).await;
        }
    }

    /// Waits until the next cycle, until somebody asks to stop, or until the pipeline's definition is another one.
    async fn rest(&self, project: &Project, config: &PipelineConfig, pause: Duration) {
        let outside = &project.outside;
        let mut current = self.current.clone();
        let changed = async {
            loop {
                if current.changed().await.is_err() {
                    // No more reloads can come; the other branches end the wait.
                    return std::future::pending().await;
                }
                let now = Arc::clone(&current.borrow_and_update());
                // A reload of other pipelines must not shorten this one's pause, or each save would start a cycle.
                let same = now.loaded.pipelines.iter().any(|pipeline| pipeline.config == *config)
                    && now.config == project.config;
                if !same {
                    return;
                }
            }
        };
        tokio::select! {
            () = wait(&outside.clock, pause) => {}
            () = outside.cancel.cancelled() => {}
            () = changed => {}
        }
    }
}

/// Shortest time that a comparison is given before the pipeline's next cycle.
const COMPARISON_PART: Duration = Duration::from_secs(60);

/// Longest pause while a service is away, unless `sync.every` is longer.
const AWAY_MAX: Duration = Duration::from_secs(5 * 60);

/// The pause before the next cycle. It grows while a service is away, and is never quite the same, so that pipelines and
/// processes that began together do not ask together for ever.
fn pause(every: Duration, away: u32, rng: &Rng) -> Duration {
    // Doubled for each cycle that found the service away, up to a bound, so that it is found back within minutes.
    let grown = every.saturating_mul(1 << away.saturating_sub(1).min(16)).min(every.max(AWAY_MAX));
    // Up to a tenth more.
    let most = u64::try_from(grown.as_millis() / 10).unwrap_or(u64::MAX);
    grown + Duration::from_millis(rng.below(most.max(1)))
}

/// Waits for a time by whichever clock comes first: that of a computer which slept stood still for whoever counts the time
/// that passes, and one that was set back says nothing of it.
async fn wait(clock: &Clock, time: Duration) {
    // In steps, since a computer that slept must notice by the wall clock soon after it woke.
    const STEP: Duration = Duration::from_secs(30);
    let until = clock.now() + time;
    let mut left = time;
    while !left.is_zero() && clock.now() < until {
        let step = left.min(STEP);
        clock.sleep(step).await;
        left -= step;
    }
}

/// A hash over the definitions' files as they are now.
pub async fn stamp(project: &Project) -> String {
    let (files, folder) = (Files::Folder(project.loaded.root.clone()), project.config.pipelines.clone());
    let stamp = tokio::task::spawn_blocking(move || {
        let mut hasher = Hasher::default();
        let mut paths = files.tree(&folder, FILES_MAX).unwrap_or_default();
        paths.retain(|path| path.ends_with(".yaml") || path.ends_with(".yml"));
        for path in [PROJECT_FILE.to_owned(), dotenv::FILE.to_owned()].into_iter().chain(paths) {
            hasher.text(&path);
            // By content and not by time: a checkout of git changes every file's time.
            hasher.bytes(&files.read(&path, FILE_BYTES_MAX).unwrap_or_default());
        }
        hasher.hex::<16>()
    });
    stamp.await.unwrap_or_default()
}

/// Most files that are watched.
const FILES_MAX: usize = 10_000;

/// One cycle. Salesforce is described anew each time, as its fields may have moved since.
async fn cycle(
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
struct Reporter<'a> {
    on_event: OnEvent<'a>,
    /// Files are watched, so that a change is not told but taken.
    watched: bool,
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
    /// A cycle ended. Gives whether a connection could not be used.
    fn ended(&self, project: &Project, finished: &Finished) -> bool {
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
    fn files(&self, project: &Project, index: usize) {
        if self.watched {
            return;
        }
        let loaded = &project.loaded;
        let names = [&*loaded.pipelines[index].file.name, PROJECT_FILE];
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        for name in names {
            let Some(read) = loaded.files.iter().find(|file| &*file.name == name) else { continue };
            let now = Files::Folder(loaded.root.clone()).read(name, FILE_BYTES_MAX).unwrap_or_default();
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

    #[tokio::test]
    async fn a_wait_ends_when_the_clock_says_so() {
        let start: jiff::Timestamp = "2026-06-01T12:00:00Z".parse().unwrap();
        let clock = Clock::manual(start);
        let waiting = tokio::spawn({
            let clock = clock.clone();
            async move { wait(&clock, Duration::from_secs(7 * 86_400)).await }
        });
        tokio::task::yield_now().await;
        // The computer slept for eight days, and the step under way ends with it.
        clock.advance(Duration::from_secs(8 * 86_400));
        waiting.await.unwrap();
    }
}
