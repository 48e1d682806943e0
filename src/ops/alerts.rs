//! Telling people: what waits in the outbox is sent, with growing pauses where a receiver is away; old data is noticed.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::config::alerts::AlertConfig;
use crate::config::load::LoadedPipeline;
use crate::engine::parents;
use crate::engine::run::seconds;
use crate::model::alert::{self, Alert, AlertEvent, AlertTerms};
use crate::model::ids::PipelineName;
use crate::model::watermark::Watermark;
use crate::ports::state::{AlertCommit, Delivery, StateError};
use crate::ports::store::Store;
use crate::project::alerts::send;
use crate::project::error::OpsError;
use crate::project::wiring::Project;
use crate::sys::cancel::Cancel;

/// How long after its n-th try an alert is sent again; the last pause repeats. It is never given up.
const RETRY_AFTER: [Duration; 5] = [
    Duration::from_secs(10),
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3_600),
];

/// While an alert is being sent, no other process takes it.
/// Longer than a receiver's timeout, and short enough that a process which died delays its alerts by a minute only.
const TAKEN_FOR: Duration = Duration::from_secs(60);

/// Alerts that are taken at once.
/// Few, as they are sent one after the other within the time for which they are taken.
const BATCH: usize = 20;

/// How long a command that ends waits for its alerts; what is left is sent by the next one.
const LAST_MOMENTS: Duration = Duration::from_secs(10);

/// How often a sync that runs on looks for alerts and for old data.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A sentence of an alert's age in words.
type Words = fn(f64) -> String;

/// What `alerts test` prints with `--format json`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "Syncline alert test")]
pub struct AlertTest {
    /// One entry a receiver.
    pub receivers: Vec<Tried>,
}

/// Whether a receiver took a test message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Tried {
    /// Its name.
    pub name: String,
    /// It took the message.
    pub delivered: bool,
    /// Why not.
    pub problem: Option<String>,
}

/// What decides about a pipeline's alerts; none where nobody is told.
pub fn terms(project: &Project, pipeline: &PipelineName) -> Option<AlertTerms> {
    let receivers = &project.config.alerts;
    if receivers.is_empty() {
        return None;
    }
    let loaded = project.loaded.pipelines.iter().find(|loaded| loaded.config.name == pipeline.as_str());
    let receivers = receivers.iter().map(|loaded| (loaded.name().to_owned(), loaded.events().cloned())).collect();
    Some(AlertTerms { error_share: thresholds(project, loaded).error_share_max(), receivers })
}

/// From when on something is wrong with a pipeline.
pub fn thresholds(project: &Project, pipeline: Option<&LoadedPipeline>) -> AlertConfig {
    let common = &project.config.alert;
    // What a pipeline says replaces the project's figures one by one.
    pipeline.map_or_else(|| common.clone(), |pipeline| pipeline.config.alert.or(common))
}

/// Sends a test message to the receivers that are named, or to all.
pub async fn test(project: &Project, names: &[String]) -> Result<AlertTest, OpsError> {
    let all = &project.config.alerts;
    if all.is_empty() {
        let help = "add receivers under `alerts` in syncline.yaml; see docs/guide/alerts.md";
        return Err(OpsError::refused("SL6006", "no alert was sent: the project has no receivers", help));
    }
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|receiver| receiver.name() == name.as_str())) {
        let known: Vec<&str> = all.iter().map(|receiver| receiver.name()).collect();
        let help = format!("receivers are: {}", known.join(", "));
        return Err(OpsError::refused("SL6006", format!("there is no receiver `{unknown}`"), help));
    }
    let at = project.outside.clock.now();
    let alert = Alert {
        id: format!("test-{}", at.as_millisecond()),
        event: AlertEvent::Test,
        pipeline: None,
        at,
        title: "this is a test of Syncline's alerts".to_owned(),
        message: "somebody ran `syncline alerts test`; nothing is wrong".to_owned(),
        code: None,
        help: None,
        run: None,
        since: None,
    };
    let mut tried = Vec::new();
    for receiver in all.iter().filter(|known| names.is_empty() || names.iter().any(|name| name == known.name())) {
        // One after the other, each with its outcome: a test is to show which receiver does not work.
        let problem = send(project, receiver, &alert, &project.outside.cancel).await.err();
        tried.push(Tried { name: receiver.name().to_owned(), delivered: problem.is_none(), problem });
    }
    Ok(AlertTest { receivers: tried })
}

/// Tells, before a command ends, what there is to tell; for a few seconds at most.
pub async fn tell_at_last(project: &Project, state: &dyn Store, words: Words) {
    if project.config.alerts.is_empty() {
        return;
    }
    // Somebody may have asked to stop, and is to hear of it all the same.
    let cancel = Cancel::new();
    let sent = async {
        notice_old_data(project, state, words).await?;
        send_due(project, state, &cancel).await
    };
    match tokio::time::timeout(LAST_MOMENTS, sent).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "alerts wait for the next command"),
        Err(_) => {
            tracing::warn!("a receiver of alerts does not respond: the remaining alerts wait for the next command")
        }
    }
}

/// Tells as long as it is polled.
pub async fn keep_telling(current: &tokio::sync::watch::Receiver<Arc<Project>>, state: &dyn Store, words: Words) {
    loop {
        // Asked anew in each turn, as a changed project file takes effect without a restart.
        let project = Arc::clone(&current.borrow());
        let sent = async {
            if project.config.alerts.is_empty() {
                return Ok(());
            }
            notice_old_data(&project, state, words).await?;
            send_due(&project, state, &project.outside.cancel).await
        };
        // An outbox that cannot be read must not end the sync, whose data is not affected.
        if let Err(error) = sent.await {
            tracing::warn!(%error, "alerts wait");
        }
        project.outside.clock.sleep(LOOK_EVERY).await;
    }
}

/// Sends what is due.
async fn send_due(project: &Project, state: &dyn Store, cancel: &Cancel) -> Result<(), StateError> {
    // Until nothing is due: an incident may have left more than one batch.
    loop {
        let now = project.outside.clock.now();
        let taken = state.take_alerts(now, now + TAKEN_FOR, BATCH).await?;
        if taken.is_empty() {
            return Ok(());
        }
        for queued in taken {
            let receiver = project.config.alerts.iter().find(|receiver| receiver.name() == queued.receiver);
            let sent = match receiver {
                Some(receiver) => send(project, receiver, &queued.alert, cancel).await,
                // Counted as delivered, since nobody is left who would ever take it.
                None => {
                    tracing::warn!(receiver = %queued.receiver, alert = %queued.alert.id, "no receiver has this name any more");
                    Ok(())
                }
            };
            let outcome = match sent {
                Ok(()) => Delivery::Done,
                Err(problem) => {
                    tracing::warn!(receiver = %queued.receiver, alert = %queued.alert.id, %problem, "an alert is sent again later");
                    let pause = RETRY_AFTER[(queued.attempts as usize).min(RETRY_AFTER.len() - 1)];
                    Delivery::Later { at: project.outside.clock.now() + pause, problem }
                }
            };
            state.settle_alert(queued.number, &outcome).await?;
        }
    }
}

/// Compares the age of each pipeline's data with what is allowed.
async fn notice_old_data(project: &Project, state: &dyn Store, words: Words) -> Result<(), StateError> {
    // A pipeline that no sync is to run may be as old as it likes.
    for pipeline in project.loaded.pipelines.iter().filter(|pipeline| pipeline.config.sync.enabled) {
        let name = PipelineName::new(pipeline.config.name.as_str());
        let at = project.outside.clock.now();
        let Some(lag) = lag(state, &name, at).await? else { continue };
        // While an import is unfinished, a person is at work.
        if state.cursor(&name).await?.is_some() {
            continue;
        }
        let known = state.alert_conditions(&name).await?;
        let allowed = thresholds(project, Some(pipeline)).lag_max(pipeline.config.sync.every.0).as_secs_f64();
        let change = alert::of_lag(&name, at, (lag, allowed), &known, words);
        let Some(terms) = terms(project, &name).filter(|_| !change.is_empty()) else { continue };
        let deliveries = terms.deliveries(&change.alerts);
        let commit = AlertCommit { pipeline: name, at, stands: change.stands, over: change.over, deliveries };
        state.note_alerts(&commit).await?;
    }
    Ok(())
}

/// Age of a pipeline's data, that of parents included, in seconds; none before its first run.
pub async fn lag(state: &dyn Store, name: &PipelineName, now: Timestamp) -> Result<Option<f64>, StateError> {
    let mark = state.stored_watermark(name).await?.map(|mark| (mark.watermark, mark.set_at));
    Ok(lag_of(mark, parents::missed(state, name).await?.as_ref(), now))
}

/// The same of a watermark, with when it was set, and of parents' changes that were not read.
pub fn lag_of(
    mark: Option<(Watermark, Option<Timestamp>)>,
    missed: Option<&parents::Missed>,
    now: Timestamp,
) -> Option<f64> {
    // A watermark that lies ahead of the clock is no proof that HubSpot is in step.
    let reached = mark.map(|(watermark, set_at)| set_at.map_or(watermark.0, |at| watermark.0.min(at)));
    // Data is as old as its oldest part: a parent's missed change counts like a record's own.
    let reached = reached.map(|reached| missed.map_or(reached, |missed| reached.min(missed.since)));
    reached.map(|reached| seconds(reached, now).max(0.0))
}
