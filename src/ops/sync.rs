//! `sync`: cycles that repeat, each pipeline by its own `every`, all on one rate limit.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;

pub use super::cycles::{Event, OnEvent};
use super::cycles::{Reporter, cycle, pause};
use super::reconcile::Comparison;
use super::run::{RunOptions, Trouble, refuse};
use super::{alerts, status};
use crate::config::pipeline::PipelineConfig;
use crate::model::budget::Budget;
use crate::model::report::{RunScope, RunStatus};
use crate::ports::store::Store;
use crate::project::error::OpsError;
use crate::project::prepare::{PortalSource, prepare_selected};
use crate::project::selection::{Selection, choose};
use crate::project::stamp::stamp;
use crate::project::wiring::Project;
use crate::sys::clock::Clock;

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
    let reporter = Reporter { on_event, watched: reloading.watch, memory: Arc::default() };
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
                let time = Some(project.loaded.pipelines[index].config.sync.every.0.max(COMPARISON_PART));
                let budget = Budget { time, calls: None };
                let compare = RunOptions { scope: RunScope::Compared, budget, ..self.options.clone() };
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
            project.give_back_calls().await;
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

#[cfg(test)]
mod tests {
    use super::*;

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
