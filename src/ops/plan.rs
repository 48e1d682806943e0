//! `plan`: the dry run. The same stages and decisions as a run, without the writing half; the real state is only read.

use std::sync::Arc;

use super::error::OpsError;
use super::prepare::{Preparation, Prepared};
use super::run::new_run;
use super::wiring::Project;
use crate::engine::forecast::Forecast;
use crate::engine::work::{self, Stop};
use crate::engine::{runner, survey};
use crate::model::forecast::PipelineForecast;
use crate::model::report::{RunKind, RunReport, RunStatus};
use crate::plan::guard::{self, Allowance, Prospect};
use crate::ports::source::Source;
use crate::ports::state::{Directory, StateReader};
use crate::ports::target::TargetReader;
use crate::stages::read::extract::{Membership, candidates};
use crate::stages::{StageContext, StageError, StageName};
use crate::state::sqlite::SqliteState;

/// Forecasts what `import` (for pipelines that never synced) or `sync` would do now.
pub async fn plan(
    project: &Project,
    preparation: &Preparation,
    sample: usize,
) -> Result<Vec<PipelineForecast>, OpsError> {
    let state = project.state_for_reading()?;
    let scratch = Arc::new(SqliteState::scratch(&project.outside.clock)?);
    let mut forecasts = Vec::new();
    for prepared in &preparation.pipelines {
        let cx = context(project, &state, &scratch, prepared).await?;
        let started = cx.clock.now();
        let (forecast_of, refusal, found, stop) = forecast(&cx, sample).await?;
        let mut notes = Vec::new();
        if let Some(stop) = &stop {
            notes.push(format!("the forecast ended early: {stop}"));
        }
        let ended = cx.clock.now();
        let report = RunReport {
            name: prepared.pipeline.name.clone(),
            run: cx.run.clone(),
            kind: RunKind::Plan,
            status: stop.as_ref().map_or(RunStatus::Succeeded, Stop::status),
            tally: found.tally,
            seconds: work::seconds(started, ended),
            notes,
            error: stop.as_ref().map(ToString::to_string),
        };
        forecasts.push(PipelineForecast {
            report,
            forecast_of,
            changes: found.changes,
            changes_omitted: found.omitted,
            estimate: found.estimate,
            refusal,
        });
    }
    Ok(forecasts)
}

type Forecasted = (RunKind, Option<String>, crate::engine::forecast::Found, Option<Stop>);

async fn forecast(cx: &StageContext, sample: usize) -> Result<Forecasted, OpsError> {
    let watermark = cx.state.watermark(&cx.pipeline.name).await?;
    let unfinished = cx.state.cursor(&cx.pipeline.name).await?.is_some();
    let watermark = watermark.filter(|_| !unfinished);
    // An import tries all links that wait, a sync those whose time has come.
    let taker = Forecast::new(cx, sample, watermark.map(|_| cx.clock.now()));
    let counts = cx.state.link_counts(&cx.pipeline.name, cx.pipeline.mapping_version).await?;
    let (kind, refusal, ran) = match watermark {
        Some(watermark) => {
            let (refusal, ran) = match sync(cx, &taker, watermark).await {
                Ok(refusal) => (refusal, Ok(())),
                Err(stop) => (None, Err(stop)),
            };
            (RunKind::Sync, refusal, ran)
        }
        None => {
            let (total, ran) = match import(cx, &taker).await {
                Ok(total) => (total, Ok(())),
                Err(stop) => (1, Err(stop)),
            };
            let prospect = Prospect { archive: 0, standing: counts.standing, source_empty: total == 0 };
            let refusal = guard::check(prospect, cx.pipeline.guard, Allowance::default()).err();
            (RunKind::Import, refusal.map(|refusal| refusal.to_string()), ran)
        }
    };
    let found = taker.finish().await.map_err(|error| failed(cx, error))?;
    Ok((kind, refusal, found, ran.err()))
}

async fn import(cx: &StageContext, taker: &Forecast) -> Result<u64, Stop> {
    let total = cx.source.count(&work::import_query(cx, 0)).await.map_err(StageError::at(StageName::Extract))?;
    let rows = candidates(cx, work::import_query(cx, total), Membership::ByQuery, None);
    runner::run(cx, taker, rows).await?;
    Ok(total)
}

async fn sync(
    cx: &StageContext,
    taker: &Forecast,
    watermark: crate::model::watermark::Watermark,
) -> Result<Option<String>, Stop> {
    let head = survey::head(work::sync_rows(cx, watermark).await?).await?;
    let (archive, standing) = work::prospect(cx, watermark, &head).await?;
    let prospect = Prospect { archive, standing, source_empty: false };
    let refusal = guard::check(prospect, cx.pipeline.guard, Allowance::default()).err();
    runner::run(cx, taker, head.whole()).await?;
    Ok(refusal.map(|refusal| refusal.to_string()))
}

/// The context of a dry run.
pub(super) async fn context(
    project: &Project,
    state: &Arc<SqliteState>,
    scratch: &Arc<SqliteState>,
    prepared: &Prepared,
) -> Result<StageContext, OpsError> {
    let config = &project.loaded.pipelines[prepared.index].config;
    Ok(StageContext {
        pipeline: Arc::clone(&prepared.pipeline),
        run: new_run(project),
        source: project.source(&config.source.connection)? as Arc<dyn Source>,
        target: Arc::new(project.target(&config.target.connection)?) as Arc<dyn TargetReader>,
        failures_open: state.failing(&prepared.pipeline.name).await?,
        unsettled: state.unsettled(&prepared.pipeline.name).await?,
        state: Arc::clone(state) as Arc<dyn StateReader>,
        directory: Arc::clone(scratch) as Arc<dyn Directory>,
        dry: true,
        clock: project.outside.clock.clone(),
        cancel: project.outside.cancel.clone(),
        portal: None,
    })
}

/// A stage's error as a command's.
pub(super) fn failed(cx: &StageContext, error: StageError) -> OpsError {
    match error.cause {
        crate::stages::StageCause::Remote(fault) => OpsError::remote(&cx.pipeline.name)(fault),
        crate::stages::StageCause::State(error) => OpsError::State(error),
    }
}
