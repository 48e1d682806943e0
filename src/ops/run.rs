//! Runs pipelines once, one after the other: an import, or one sync cycle.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::engine::pledge::Pledges;
use crate::engine::work::{self, Order, Stop};
use crate::model::ids::PipelineName;
use crate::model::report::{RunReport, RunScope, RunStatus, Tally};
use crate::pipeline::compiled::AssociationTarget;
use crate::plan::guard::Allowance;
use crate::ports::state::{StateReader, StateWriter};
use crate::project::context::{Handles, handles};
use crate::project::error::OpsError;
use crate::project::prepare::{Knowledge, Prepared, prepare};
use crate::project::wiring::Project;
use crate::stages::StageContext;
use crate::state::sqlite::SqliteState;

/// Hears of progress: the pipeline's name and its numbers.
pub type OnProgress = Arc<dyn Fn(&str, Tally) + Send + Sync>;

/// How the runs are to be done.
#[derive(Clone)]
pub struct RunOptions {
    /// Which records they are about.
    pub scope: RunScope,
    /// What a person allowed for this one time.
    pub allowance: Allowance,
    /// The command, for the lease's holder.
    pub command: String,
    /// The plan that they follow, where they follow one.
    pub held: Option<Arc<Held>>,
    /// Hears of progress.
    pub on_progress: OnProgress,
}

/// A plan that runs are held to.
pub struct Held {
    /// When it was made: what was due then is due now.
    pub at: Timestamp,
    /// Scope and pledges of each pipeline.
    pub pipelines: HashMap<PipelineName, (RunScope, Pledges)>,
}

/// One finished run, and why it ended early where it did.
pub struct Finished {
    /// What it did.
    pub report: RunReport,
    /// Why it ended early.
    pub stop: Option<Stop>,
    /// The pipeline as it ran.
    pub prepared: Prepared,
}

/// Runs the pipelines in order. A pipeline that ends early does not keep the others from running, unless the person asked
/// to stop.
pub async fn run_all(
    project: &Project,
    state: &Arc<SqliteState>,
    prepared: &[Prepared],
    options: &RunOptions,
    counted: &[Option<u64>],
) -> Result<Vec<Finished>, OpsError> {
    let mut finished = Vec::new();
    for (own, counted) in prepared.iter().zip(counted.iter().chain(std::iter::repeat(&None))) {
        if project.outside.cancel.is_cancelled() {
            break;
        }
        finished.push(run_one(project, state, own, options, *counted).await?);
    }
    later_links(project, state, options, &mut finished).await?;
    Ok(finished)
}

/// Runs one pipeline under its lease. Where its portal turns out to be another than remembered, it is compiled anew and
/// runs as it is now.
pub async fn run_one(
    project: &Project,
    state: &Arc<SqliteState>,
    prepared: &Prepared,
    options: &RunOptions,
    counted: Option<u64>,
) -> Result<Finished, OpsError> {
    let name = &prepared.pipeline.name;
    let _lease = state.lease(name, &options.command).await?;
    let Handles { mut cx, writers, remembered } = handles(project, state, prepared).await?;
    let held = match &options.held {
        None => None,
        Some(held) => {
            let own = held.pipelines.get(name).ok_or_else(|| {
                OpsError::refused("SL9002", format!("`{name}` is no part of the plan"), "nothing of it was run")
            })?;
            Some((held.at, own))
        }
    };
    cx.due_at = held.map_or(cx.due_at, |(at, _)| at);
    let (hears, shown) = (Arc::clone(&options.on_progress), name.to_string());
    let order = Order {
        scope: held.map_or(options.scope, |(_, (scope, _))| *scope),
        pledges: held.map(|(_, (_, pledges))| pledges.clone()),
        allowance: options.allowance,
        counted,
        on_progress: Arc::new(move |tally| hears(&shown, tally)),
    };
    note_calls(project, state, prepared).await?;
    let (report, stop) = work::run(&cx, &writers, &order).await?;
    note_calls(project, state, prepared).await?;
    if remembered.is_none_or(|remembered| !remembered.moved()) {
        return Ok(Finished { report, stop, prepared: prepared.clone() });
    }
    tracing::info!(pipeline = %name, "the portal has changed since the last run: begins anew");
    let asked = [name.to_string()];
    let mut fresh = prepare(project, &asked, Knowledge::Noted(state)).await?;
    let fresh = fresh.pipelines.pop().unwrap_or_else(|| prepared.clone());
    let again = handles(project, state, &fresh).await?;
    // Nothing was done yet, so the history keeps one row for both attempts.
    let again_cx = StageContext { run: cx.run, ..again.cx };
    let (report, stop) = work::run(&again_cx, &again.writers, &order).await?;
    note_calls(project, state, prepared).await?;
    Ok(Finished { report, stop, prepared: fresh })
}

/// Keeps the count of Salesforce calls over processes, as `api_budget` is meant for the day and not for one run.
async fn note_calls(project: &Project, state: &Arc<SqliteState>, prepared: &Prepared) -> Result<(), OpsError> {
    let connection = &project.loaded.pipelines[prepared.index].config.source.connection;
    let key = format!("salesforce calls: {connection}");
    let noted = state.note(&key).await?;
    let note = project.note_calls(connection, noted.as_deref());
    if noted.as_deref() != Some(&note) {
        state.set_note(&key, &note).await?;
    }
    Ok(())
}

/// Links of pipelines whose other side was made by a pipeline that ran after them.
async fn later_links(
    project: &Project,
    state: &Arc<SqliteState>,
    options: &RunOptions,
    finished: &mut [Finished],
) -> Result<(), OpsError> {
    for place in 0..finished.len() {
        // What was confirmed or read anew by the run holds for its links as well.
        let prepared = Prepared { remembered: false, ..finished[place].prepared.clone() };
        let pipeline = &prepared.pipeline;
        let made_later = finished[place..].iter().any(|later| {
            let made = later.report.tally.created + later.report.tally.restored > 0;
            let linked = pipeline.associations.iter().any(|association| {
                matches!(&association.target, AssociationTarget::Pipeline { name, .. } if *name == later.report.name)
            });
            made && linked
        });
        let ended_well = matches!(finished[place].report.status, RunStatus::Succeeded | RunStatus::Partial);
        if !made_later || !ended_well || finished[place].report.tally.pending_associations == 0 {
            continue;
        }
        let _lease = state.lease(&pipeline.name, &options.command).await?;
        let Handles { cx, writers, .. } = handles(project, state, &prepared).await?;
        let cx = StageContext { run: finished[place].report.run.clone(), ..cx };
        let stop = work::settle_links(&cx, &writers, &mut finished[place].report).await?;
        finished[place].stop = finished[place].stop.take().or(stop);
    }
    Ok(())
}
