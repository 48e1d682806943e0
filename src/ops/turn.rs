//! One turn of a portal: its pipelines whose time has come, oldest first, each within what is left of the turn's budget.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::cycles::{Memory, Reporter, cycle, pause};
use super::reconcile::Comparison;
use super::run::RunOptions;
use super::{alerts, status};
use crate::engine::cycle_place;
use crate::model::budget::Budget;
use crate::model::ids::PipelineName;
use crate::model::report::{RunScope, RunStatus};
use crate::ports::store::Store;
use crate::project::wiring::{Outside, Project};
use crate::state::postgres::portals::{Due, Next, Times};
use crate::state::postgres::right::PortalRight;
use crate::state::postgres::store::PgState;
use crate::sys::gate::Gate;

/// How a worker works.
#[derive(Clone)]
pub struct Options {
    /// Its name, for people.
    pub name: String,
    /// Portals at a time.
    pub at_once: usize,
    /// Portals at most whose definitions and connections are kept from turn to turn.
    pub open_max: usize,
    /// How long rights last.
    pub times: Times,
    /// What a turn may take.
    pub turn: Budget,
    /// How often portals are looked for whose time has come and that nobody was told of.
    pub sweep: Duration,
    /// Whether workers tell each other of turns by a queue in the database; else each finds them by itself.
    pub queue: bool,
    /// Whether pipelines that were never imported are.
    pub import: bool,
    /// How runs are done.
    pub run: RunOptions,
}

/// A portal that this process may serve.
pub struct Seat {
    /// Its name, for people.
    pub name: String,
    /// The project's name in its fleet.
    pub member: String,
    /// The HubSpot connection that leads there.
    pub connection: String,
    /// What its right is known by.
    pub key: String,
    /// Where its records are remembered.
    pub state: Arc<PgState>,
    /// Its pipelines, each with the time between two cycles.
    pub pipelines: RefCell<Vec<(PipelineName, Duration)>>,
    /// The definitions, and the gate that its calls have to pass; none where it is not open.
    pub project: RefCell<Option<(Arc<Project>, Gate)>>,
    /// Definitions that count from the next turn on.
    pub renewed: RefCell<Option<Project>>,
    /// When it was opened or had a turn, by the worker's count.
    pub used: Cell<u64>,
    /// Whether a turn of it is under way in this process.
    pub busy: Cell<bool>,
    /// The number of its last turn here.
    pub epoch: Cell<i64>,
    /// The comparisons of its pipelines.
    pub comparisons: RefCell<HashMap<PipelineName, Comparison>>,
    /// What was said of it.
    pub memory: Arc<Mutex<Memory>>,
}

impl Seat {
    /// The definitions that count now, and the gate; none where it is not open.
    pub fn current(&self) -> Option<(Arc<Project>, Gate)> {
        self.project.borrow().clone()
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        self.project.borrow().is_some()
    }

    /// What calls are made in: the same for all definitions, as their connections live on. None where it is not open.
    pub fn outside(&self) -> Option<Outside> {
        self.project.borrow().as_ref().map(|(project, _)| project.outside.clone())
    }

    /// Takes newer definitions, where there are any.
    pub fn take_renewed(&self) {
        let Some(project) = self.renewed.take() else { return };
        if let Some((current, _)) = self.project.borrow_mut().as_mut() {
            project.take_over(current);
            *current = Arc::new(project);
        }
    }

    /// Opens it, with connections of its own.
    pub fn open(&self, project: Project, gate: Gate) -> (Arc<Project>, Gate) {
        let opened = (Arc::new(project), gate);
        *self.project.borrow_mut() = Some(opened.clone());
        opened
    }

    /// Lets go of its definitions and connections. What its rate limit knew comes back with its next turn.
    pub fn close(&self) {
        self.renewed.take();
        self.epoch.set(0);
        self.project.take();
    }
}

/// By so much what goes on at once is due after what has become due.
const BEHIND: Duration = Duration::from_millis(1);

/// A turn under way.
pub struct Work<'a> {
    /// Of which portal.
    pub seat: &'a Seat,
    /// Its definitions.
    pub project: &'a Project,
    /// How.
    pub options: &'a Options,
    /// Says what happens.
    pub reporter: &'a Reporter<'a>,
}

/// What is left of a turn's budget.
struct Left<'a> {
    work: &'a Work<'a>,
    began: crate::sys::clock::Mark,
    calls: u64,
}

impl Left<'_> {
    /// None where it is used up.
    fn get(&self) -> Option<Budget> {
        let Budget { time, calls } = self.work.options.turn;
        let passed = self.work.project.outside.clock.since(self.began);
        let left = Budget {
            time: time.map(|time| time.saturating_sub(passed)),
            calls: calls.map(|calls| calls.saturating_sub(self.calls)),
        };
        (left.time != Some(Duration::ZERO) && left.calls != Some(0)).then_some(left)
    }
}

impl Work<'_> {
    /// Runs what is due. Gives when that is due again; what was not begun, or was stopped, stays due.
    pub async fn run(&self, due: &[Due], right: &PortalRight) -> Vec<Next> {
        let mut left = Left { work: self, began: self.project.outside.clock.mark(), calls: 0 };
        let clock = &self.project.outside.clock;
        let mut next = Vec::new();
        for due in due {
            if left.get().is_none() || right.is_over() || self.project.outside.cancel.is_cancelled() {
                break;
            }
            let Some(done) = self.pipeline(due, &mut left).await else { break };
            next.push((done, clock.mark()));
        }
        if !right.is_over() {
            alerts::tell_at_last(self.project, &*self.seat.state, status::duration).await;
        }
        // From the end of its own run on: those that came after it in the turn may have taken long. What goes on comes behind them.
        let left = |(next, ended): (Next, _)| match next.after {
            Duration::ZERO => Next { after: BEHIND, ..next },
            after => Next { after: after.saturating_sub(clock.since(ended)), ..next },
        };
        next.into_iter().map(left).collect()
    }

    /// Runs one pipeline: an import that is to come or to go on with, else a cycle, and a comparison where it is time. None where somebody
    /// asked to stop.
    async fn pipeline(&self, due: &Due, left: &mut Left<'_>) -> Option<Next> {
        let loaded = &self.project.loaded.pipelines;
        let index = loaded.iter().position(|pipeline| pipeline.config.name == due.pipeline.as_str())?;
        let every = loaded[index].config.sync.every.0;
        let state: Arc<dyn Store> = Arc::clone(&self.seat.state) as _;
        let imports = self.options.import && matches!(state.watermark(&due.pipeline).await, Ok(None));
        let scope = if imports { RunScope::All } else { RunScope::Changed };
        let (connection, some) = self.once(index, scope, &state, left).await?;
        let away = if connection { due.away + 1 } else { 0 };
        // An import or a cycle that paused goes on, and one that has ended is followed by a cycle, when the other pipelines have had their turn.
        let cut = !imports && some && cycle_place::is_cut(&*state, &due.pipeline).await.unwrap_or_default();
        let mut again = (imports && some) || cut;
        // Not while a service is away, which would fail it after many calls.
        if !imports && !cut && away == 0 && left.get().is_some() {
            let mut comparison = self.seat.comparisons.borrow_mut().remove(&due.pipeline).unwrap_or_default();
            if comparison.is_due(self.project, &state, index).await {
                let (_, some) = self.once(index, RunScope::Compared, &state, left).await?;
                again = some && comparison.pauses(&state, &due.pipeline).await;
            }
            self.seat.comparisons.borrow_mut().insert(due.pipeline.clone(), comparison);
        }
        let after = if again { Duration::ZERO } else { pause(every, away, &self.project.outside.rng) };
        Some(Next { pipeline: due.pipeline.clone(), after, away })
    }

    /// One run. Gives whether a connection could not be used, and whether something was read without trouble; none where somebody asked to stop.
    async fn once(
        &self,
        index: usize,
        scope: RunScope,
        state: &Arc<dyn Store>,
        left: &mut Left<'_>,
    ) -> Option<(bool, bool)> {
        let options = RunOptions { scope, budget: left.get()?, ..self.options.run.clone() };
        let finished = cycle(self.project, state, index, &options, self.reporter).await;
        left.calls += finished.report.tally.hubspot_calls;
        let connection = self.reporter.ended(self.project, &finished);
        let some = finished.trouble.is_none() && finished.report.tally.read > 0;
        (finished.report.status != RunStatus::Interrupted).then_some((connection, some))
    }
}
