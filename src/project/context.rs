//! What a run or a dry run of one pipeline holds: connections of its own, so that calls are counted for it alone.

use std::sync::Arc;

use super::dry_directory::DryDirectory;
use super::error::OpsError;
use super::portal::SavedPortal;
use super::prepare::Prepared;
use super::wiring::Project;
use crate::model::ids::RunId;
use crate::model::report::RunScope;
use crate::ports::source::Source;
use crate::ports::state::{Directory, StateReader, StateWriter};
use crate::ports::store::Store;
use crate::ports::target::{Confirm, TargetReader, TargetWriter};
use crate::stages::{StageCause, StageContext, StageError, Writers};

/// What one run holds.
pub struct Handles {
    /// What its stages read with.
    pub cx: StageContext,
    /// What it writes with.
    pub writers: Writers,
    /// The saved description of the portal, to be confirmed.
    pub saved_portal: Option<Arc<SavedPortal>>,
}

/// The handles of one run: fresh ones, so that calls are counted for it alone.
pub async fn handles(
    project: &Project,
    state: &Arc<dyn Store>,
    prepared: &Prepared,
    run: RunId,
    scope: RunScope,
) -> Result<Handles, OpsError> {
    let loaded = &project.loaded.pipelines[prepared.index].config;
    let target = Arc::new(match scope {
        RunScope::Compared => project.target_of_comparison(&loaded.target.connection)?,
        RunScope::All | RunScope::Stale | RunScope::Changed | RunScope::ChangedAndStale => {
            project.target_of_run(&loaded.target.connection)?
        }
    });
    let object_type_id = prepared.pipeline.target.object_type_id.to_string();
    // A portal that was asked for just now need not be confirmed.
    let saved_portal = prepared
        .from_saved_portal
        .then(|| Arc::new(SavedPortal::new(Arc::clone(&target), Arc::clone(&prepared.portal), object_type_id)));
    let writers = Writers {
        target: Arc::clone(&target) as Arc<dyn TargetWriter>,
        state: Arc::clone(state) as Arc<dyn StateWriter>,
    };
    let cx = StageContext {
        pipeline: Arc::clone(&prepared.pipeline),
        run,
        source: project.source_of_run(&loaded.source.connection)?,
        target: target as Arc<dyn TargetReader>,
        failures_open: state.failing(&prepared.pipeline.name).await?,
        has_unconfirmed: state.has_unconfirmed(&prepared.pipeline.name).await?,
        state: Arc::clone(state) as Arc<dyn StateReader>,
        directory: Arc::clone(state) as Arc<dyn Directory>,
        dry: false,
        clock: project.outside.clock.clone(),
        due_at: project.outside.clock.now(),
        try_all: false,
        compare: false,
        renews_marks: false,
        cancel: project.outside.cancel.clone(),
        owners: Arc::default(),
        adopters: Arc::default(),
        same_titles: None,
        vacant: false,
        found_targets: Arc::default(),
        portal: saved_portal.clone().map(|saved_portal| saved_portal as Arc<dyn Confirm>),
    };
    Ok(Handles { cx, writers, saved_portal })
}

/// The context of a dry run.
pub async fn context(
    project: &Project,
    state: &Arc<dyn Store>,
    scratch: &Arc<dyn Store>,
    prepared: &Prepared,
) -> Result<StageContext, OpsError> {
    let config = &project.loaded.pipelines[prepared.index].config;
    Ok(StageContext {
        pipeline: Arc::clone(&prepared.pipeline),
        run: new_run(project),
        source: project.source_of_run(&config.source.connection)? as Arc<dyn Source>,
        target: Arc::new(project.target_of_run(&config.target.connection)?) as Arc<dyn TargetReader>,
        failures_open: state.failing(&prepared.pipeline.name).await?,
        has_unconfirmed: state.has_unconfirmed(&prepared.pipeline.name).await?,
        state: Arc::clone(state) as Arc<dyn StateReader>,
        directory: dry_directory(state, scratch),
        dry: true,
        clock: project.outside.clock.clone(),
        due_at: project.outside.clock.now(),
        try_all: false,
        compare: false,
        renews_marks: false,
        cancel: project.outside.cancel.clone(),
        owners: Arc::default(),
        adopters: Arc::default(),
        same_titles: None,
        vacant: false,
        found_targets: Arc::default(),
        // A dry run is prepared from the live portal.
        portal: None,
    })
}

/// What a dry run notes on its way must not stand in the real state; where that is private itself, it may.
fn dry_directory(state: &Arc<dyn Store>, scratch: &Arc<dyn Store>) -> Arc<dyn Directory> {
    match Arc::ptr_eq(state, scratch) {
        true => Arc::clone(state) as Arc<dyn Directory>,
        false => Arc::new(DryDirectory::new(Arc::clone(state) as _, Arc::clone(scratch) as _)),
    }
}

/// A stage's error as a command's.
pub fn failed(cx: &StageContext, error: StageError) -> OpsError {
    match error.cause {
        StageCause::Remote(fault) => OpsError::remote(&cx.pipeline.name)(fault),
        StageCause::State(error) => OpsError::State(error),
        StageCause::Refused(refusal) => OpsError::refused("SL6009", refusal.to_string(), refusal.help()),
    }
}

/// A new run's name: time first, then chance.
pub fn new_run(project: &Project) -> RunId {
    let milliseconds = project.outside.clock.now().as_millisecond().max(0).unsigned_abs();
    let random = u128::from(project.outside.rng.below(u64::MAX)) << 16 | u128::from(project.outside.rng.below(1 << 16));
    RunId::new(ulid::Ulid::from_parts(milliseconds, random).to_string())
}
