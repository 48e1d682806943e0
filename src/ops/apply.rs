//! `apply`: carries out a saved plan, and nothing else. Before the first write, the plan is made anew and compared.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::plan::{PlanOptions, plan};
use super::run::FollowedPlan;
use super::saved::{self, SavedPipeline, SavedPlan, StateSummary};
use crate::catalog::drift::changes;
use crate::catalog::{Catalog, TargetEntry};
use crate::engine::plan_entries::{PlanEntries, PlanObserver};
use crate::model::forecast::PlannedAction;
use crate::model::ids::{PipelineName, SalesforceId};
use crate::model::plan_entry::PlanEntry;
use crate::model::report::{RunStatus, Tally};
use crate::plan::guard::Allowance;
use crate::ports::fault::Fault;
use crate::ports::state::Directory;
use crate::ports::store::Store;
use crate::project::error::OpsError;
use crate::project::prepare::{Preparation, Prepared};
use crate::project::wiring::Project;
use crate::review;
use crate::stages::StageError;

/// Most moved records that are named.
const NAMED_MAX: usize = 10;

/// Latest runs among which the last one that was not refused is looked for.
/// A day of quiet cycles every minute is 1,440 runs, so a usual gap between review and merge is covered.
const RUNS_LOOKED_AT: usize = 2_000;

/// Entries that are handed on at once.
const BATCH_MAX: usize = 500;

/// What is remembered of a pipeline now.
pub async fn state_summary(
    state: &dyn Store,
    name: &PipelineName,
    prepared: &Prepared,
) -> Result<StateSummary, OpsError> {
    let counts = state.identity_counts(name, prepared.pipeline.mapping_version).await?;
    Ok(StateSummary {
        watermark: state.watermark(name).await?.map(|watermark| watermark.0.to_string()),
        records: counts.standing,
        // A run that was refused before its first write has moved nothing, nor has one that found nothing to do.
        last_run: state
            .runs(Some(name), RUNS_LOOKED_AT)
            .await?
            .iter()
            .find(|run| run.status != RunStatus::Refused && did_something(&run.tally))
            .map(|run| run.id.to_string()),
        unfinished: state.cursor(name).await?.is_some(),
        failures: state.open_failures(name).await?,
    })
}

/// The pipelines of a plan, all of which must still be there.
pub fn names(project: &Project, path: &Path, plan: &SavedPlan) -> Result<Vec<String>, OpsError> {
    let there = |name: &str| project.loaded.pipelines.iter().any(|pipeline| pipeline.config.name == name);
    let gone = plan.pipelines.iter().filter(|pipeline| !there(pipeline.name.as_str()));
    let gone = gone.map(|pipeline| format!("mapping: the pipeline `{}` no longer exists", pipeline.name)).collect();
    // Before anything is asked of the two systems: a plan without its pipeline cannot be compared.
    refuse(path, gone)?;
    // A name is no glob here.
    Ok(plan.pipelines.iter().map(|pipeline| pipeline.name.to_string()).collect())
}

/// The prepared pipelines in the order of the plan.
pub fn in_order(mut preparation: Preparation, plan: &SavedPlan) -> Preparation {
    // The order in which records are made decides which associations wait.
    let place = |known: &Prepared| plan.pipelines.iter().position(|saved| saved.name == known.pipeline.name);
    preparation.pipelines.sort_by_key(place);
    preparation
}

/// What is written into a plan's file beside the entries.
pub async fn describe(
    project: &Project,
    preparation: &Preparation,
    forecasts: &[crate::model::forecast::PipelineForecast],
    created: jiff::Timestamp,
) -> Result<SavedPlan, OpsError> {
    let state = project.state_for_reading()?;
    let mut pipelines = Vec::new();
    for (prepared, forecast) in preparation.pipelines.iter().zip(forecasts) {
        let name = prepared.pipeline.name.clone();
        pipelines.push(SavedPipeline {
            scope: forecast.scope,
            definition: project.loaded.pipelines[prepared.index].config.clone(),
            portal: (*prepared.portal).clone(),
            state: state_summary(&*state, &name, prepared).await?,
            forecast: forecast.clone(),
            name,
        });
    }
    Ok(SavedPlan { created, pipelines })
}

/// Checks that nothing has moved since the plan was made, and gives what holds the runs to it.
///
/// Errors: all that moved, by name.
pub async fn verify(
    project: &Project,
    preparation: &Preparation,
    path: &Path,
    plan: &SavedPlan,
    allowance: Allowance,
) -> Result<FollowedPlan, OpsError> {
    let state = project.state_for_reading()?;
    let mut moved = Vec::new();
    for prepared in &preparation.pipelines {
        let Some(saved) = plan.pipelines.iter().find(|saved| saved.name == prepared.pipeline.name) else { continue };
        let today = &project.loaded.pipelines[prepared.index].config;
        moved.extend(definition_moved(saved, today));
        moved.extend(portal_moved(saved, prepared));
        let now = state_summary(&*state, &saved.name, prepared).await?;
        moved.extend(state_moved(saved, &now));
    }
    // What is cheap to compare comes first; the records are only read where definitions, portal and state still
    // agree.
    refuse(path, moved)?;
    // On disk and not in memory, since a plan may list a million records.
    let scratch = project.scratch()?;
    let all = load(path, plan, &scratch).await?;
    let (moved, refused) = compare(project, preparation, path, plan, &all, allowance).await?;
    refuse(path, moved)?;
    if !refused.is_empty() {
        let help = "nothing was done; look at the plan, and allow it once with `--allow-archive N` or `--allow-empty`";
        return Err(OpsError::refused("SL6009", refused.join("\n    "), help));
    }
    let pipelines = plan.pipelines.iter().map(|pipeline| {
        let entries = PlanEntries::new(Arc::clone(&scratch) as Arc<dyn Directory>, &pipeline.name);
        (pipeline.name.clone(), (pipeline.scope, entries))
    });
    let planned = plan.pipelines.iter().map(|pipeline| (pipeline.name.clone(), pipeline.forecast.report.tally));
    Ok(FollowedPlan { at: plan.created, pipelines: pipelines.collect(), planned: planned.collect() })
}

/// Refuses the plan where anything has moved. All of it is named, as the plan has to be made anew in any case.
fn refuse(path: &Path, moved: Vec<String>) -> Result<(), OpsError> {
    if moved.is_empty() {
        return Ok(());
    }
    let message = format!("things have changed since `{}` was made:\n    {}", path.display(), moved.join("\n    "));
    Err(OpsError::refused("SL6014", message, "nothing was done; make a new plan, review it, and apply that"))
}

fn definition_moved(saved: &SavedPipeline, today: &crate::config::pipeline::PipelineConfig) -> Vec<String> {
    let changes = review::changed_parts(&saved.definition, today);
    changes.into_iter().map(|what| format!("mapping of {}: {what}", saved.name)).collect()
}

fn portal_moved(saved: &SavedPipeline, prepared: &Prepared) -> Vec<String> {
    let (was, is) = (&saved.portal, &*prepared.portal);
    if was == is {
        return Vec::new();
    }
    // In another portal everything differs, and this one sentence says why.
    if was.portal_id != is.portal_id {
        return vec![format!("HubSpot: this is portal {}, not {}", is.portal_id, was.portal_id)];
    }
    // As catalogs, so that a moved schema is described in the words that `catalog pull` uses.
    let catalog = |portal: &crate::project::portal::Portal| {
        let mut catalog = Catalog::default();
        for object in portal.objects.values() {
            let entry =
                TargetEntry { portal_id: portal.portal_id, object: object.clone(), associations: Default::default() };
            catalog.put_target("", entry);
        }
        catalog
    };
    let found = changes(&catalog(was), &catalog(is))
        .into_iter()
        .map(|change| format!("HubSpot: {} {}", change.place(), change.message));
    let found: Vec<String> = found.take(NAMED_MAX).collect();
    // The portals differ in something that no catalog of objects holds.
    if found.is_empty() { vec![format!("HubSpot: the kinds of associations of {} changed", saved.name)] } else { found }
}

fn did_something(tally: &Tally) -> bool {
    let written = tally.created + tally.updated + tally.adopted + tally.archived + tally.restored;
    written + tally.associated + tally.disassociated + tally.failed > 0
}

fn state_moved(saved: &SavedPipeline, now: &StateSummary) -> Vec<String> {
    // How far the source was read says nothing by itself: every quiet cycle moves it.
    if (StateSummary { watermark: now.watermark.clone(), ..saved.state.clone() }) == *now {
        return Vec::new();
    }
    let what = match (&saved.state.last_run, &now.last_run) {
        (was, Some(is)) if was.as_ref() != Some(is) => format!("the run {is} came in between"),
        // The likely causes are another file or database in `state`.
        (Some(was), None) => format!("this is another state: it does not know the run {was}"),
        _ => "failures were marked, or records were noted".to_owned(),
    };
    vec![format!("state of {}: {what}", saved.name)]
}

/// Puts the file's entries where they can be looked up.
async fn load(path: &Path, plan: &SavedPlan, scratch: &Arc<dyn Store>) -> Result<HashMap<PipelineName, u64>, OpsError> {
    let mut counts: HashMap<PipelineName, u64> =
        plan.pipelines.iter().map(|pipeline| (pipeline.name.clone(), 0)).collect();
    // Reading a file blocks, so it has a thread of its own; a few batches ahead keep both sides busy.
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<(PipelineName, Vec<PlanEntry>)>(4);
    let own_path = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || {
        let mut batch: Vec<PlanEntry> = Vec::new();
        let mut current: Option<PipelineName> = None;
        let flush = |name: &Option<PipelineName>, batch: &mut Vec<PlanEntry>| {
            if let Some(name) = name.as_ref().filter(|_| !batch.is_empty()) {
                // The receiver ends only when the whole command does.
                let _ = sender.blocking_send((name.clone(), std::mem::take(batch)));
            }
        };
        let read = saved::entries(&own_path, |name, entry| {
            if current.as_ref() != Some(name) || batch.len() >= BATCH_MAX {
                flush(&current, &mut batch);
                current = Some(name.clone());
            }
            batch.push(entry);
            Ok(())
        });
        flush(&current, &mut batch);
        read
    });
    while let Some((name, batch)) = receiver.recv().await {
        let entries = PlanEntries::new(Arc::clone(scratch) as Arc<dyn Directory>, &name);
        *counts.entry(name.clone()).or_default() += batch.len() as u64;
        entries.add(&batch).await.map_err(|error| broken(&error))?;
    }
    match reading.await {
        Ok(read) => read?,
        Err(error) => {
            return Err(OpsError::refused(
                "SL9002",
                format!("reading the plan was interrupted: {error}"),
                "run it again",
            ));
        }
    }
    Ok(counts)
}

fn broken(error: &StageError) -> OpsError {
    OpsError::refused("SL6005", error.to_string(), "check the free space of the folder for temporary files")
}

/// Makes the plan anew and compares it, record by record. Gives what moved, and what the guard would refuse.
async fn compare(
    project: &Project,
    preparation: &Preparation,
    path: &Path,
    saved: &SavedPlan,
    counts: &HashMap<PipelineName, u64>,
    allowance: Allowance,
) -> Result<(Vec<String>, Vec<String>), OpsError> {
    let scratch = project.scratch()?;
    load(path, saved, &scratch).await?;
    let comparisons: HashMap<PipelineName, Arc<Comparison>> = saved
        .pipelines
        .iter()
        .map(|pipeline| {
            let entries = PlanEntries::new(Arc::clone(&scratch) as Arc<dyn Directory>, &pipeline.name);
            (pipeline.name.clone(), Arc::new(Comparison { entries, inner: Mutex::default() }))
        })
        .collect();
    let options = PlanOptions {
        // What waited for its next try then still does: time alone must not make the plans differ.
        at: Some(saved.created),
        scopes: saved.pipelines.iter().map(|pipeline| (pipeline.name.clone(), pipeline.scope)).collect(),
        // Only the observer's entries matter; no changes are collected to be shown.
        only: vec![PlannedAction::Unchanged],
        allowance,
        ..PlanOptions::default()
    };
    let observer =
        |name: &PipelineName| comparisons.get(name).map(|comparison| Arc::clone(comparison) as Arc<dyn PlanObserver>);
    let forecasts = plan(project, preparation, &options, &observer).await?;
    let (mut moved, mut refused) = (Vec::new(), Vec::new());
    // One that cannot run is none of those that are held to the plan; its run says why.
    for forecast in forecasts.iter().take(preparation.pipelines.len()) {
        let name = &forecast.report.name;
        refused.extend(forecast.refusal.as_ref().map(|refusal| format!("{name}: {refusal}")));
        if let Some(error) = &forecast.report.error {
            if forecast.report.status == RunStatus::Interrupted {
                return Err(OpsError::Remote { pipeline: Some(name.clone()), fault: Fault::Cancelled });
            }
            let message = format!("{name}: the plan could not be compared with the two systems: {error}");
            return Err(OpsError::refused("SL6014", message, "nothing was done; try again when both systems respond"));
        }
        let Some(comparison) = comparisons.get(name) else { continue };
        let result = comparison.inner.lock().unwrap_or_else(PoisonError::into_inner);
        for what in result.moved.iter().take(NAMED_MAX) {
            moved.push(format!("{name}: {what}"));
        }
        let more = result.moved_count.saturating_sub(NAMED_MAX as u64);
        if more > 0 {
            moved.push(format!("{name}: and {more} more records"));
        }
        let expected = counts.get(name).copied().unwrap_or_default();
        // Entries that did not come again; where others moved, those are the better explanation.
        if result.moved.is_empty() && result.same != expected {
            let less = expected.saturating_sub(result.same);
            moved.push(format!(
                "{name}: {less} planned changes no longer apply: the records are different in Salesforce or HubSpot now"
            ));
        }
    }
    Ok((moved, refused))
}

/// Compares a new plan with the saved one.
struct Comparison {
    entries: PlanEntries,
    inner: Mutex<ComparisonResult>,
}

#[derive(Default)]
struct ComparisonResult {
    same: u64,
    moved: Vec<String>,
    moved_count: u64,
}

impl PlanObserver for Comparison {
    fn observe(&self, entries: Vec<PlanEntry>) -> BoxFuture<'_, Result<(), StageError>> {
        async move {
            let ids: HashSet<SalesforceId> = entries.iter().map(|entry| entry.id).collect();
            let ids: Vec<SalesforceId> = ids.into_iter().collect();
            let planned = self.entries.of(&ids).await?;
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            for entry in entries {
                // The whole entry with its hashes: the same action with other values is another change.
                if planned.contains(&entry) {
                    inner.same += 1;
                    continue;
                }
                let before = planned
                    .iter()
                    .find(|listed| listed.id == entry.id && (listed.action == "link") == (entry.action == "link"));
                inner.moved_count += 1;
                // Counted to the end, and named only as far as a person reads.
                if inner.moved.len() < NAMED_MAX {
                    inner.moved.push(difference(before, &entry));
                }
            }
            Ok(())
        }
        .boxed()
    }
}

/// What moved, in words.
fn difference(before: Option<&PlanEntry>, now: &PlanEntry) -> String {
    let id = now.id;
    match before {
        None => format!("Salesforce: record {id} changed since, and would be included now ({})", now.action),
        Some(before) if before.source != now.source => format!("Salesforce: record {id} changed since"),
        Some(before) if before.action != now.action => {
            format!("HubSpot: record {id} would now be “{}”, the plan says “{}”", now.action, before.action)
        }
        Some(before) if before.target != now.target => format!("HubSpot: the record of {id} changed since"),
        Some(_) => format!("HubSpot: the associations of {id}, or the records that they lead to, changed since"),
    }
}
