//! When a sync that runs on compares both systems whole.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::config::scalar::Interval;
use crate::engine::run::reconciled_key;
use crate::model::ids::PipelineName;
use crate::ports::store::Store;
use crate::project::wiring::Project;

/// The comparisons of one pipeline, as far as this process has tried them.
#[derive(Default)]
pub struct Comparison {
    tried: Option<Timestamp>,
    /// When the latest one began, as far as it was read: it only goes on from there.
    began: Option<Timestamp>,
}

/// How long a comparison that did not come to its end is left alone.
/// A comparison reads everything; trying it in each cycle would use up a day's allowance of calls.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(15);

impl Comparison {
    /// Whether the comparison that ended is to go on after the next cycle.
    pub async fn pauses(&mut self, state: &Arc<dyn Store>, name: &PipelineName) -> bool {
        // A position in the state is what a pause leaves behind.
        let pauses = matches!(state.comparison(name).await, Ok(Some(_)));
        if pauses {
            self.tried = None;
        }
        pauses
    }

    /// Whether it is time: `sync.reconcile` has passed since the last comparison, or since the first run where there was none. The
    /// caller begins one then.
    pub async fn is_due(&mut self, project: &Project, state: &Arc<dyn Store>, index: usize) -> bool {
        let config = &project.loaded.pipelines[index].config;
        let Interval::Every(every) = config.sync.reconcile else { return false };
        let (now, name) = (project.outside.clock.now(), PipelineName::new(config.name.as_str()));
        if project.outside.cancel.is_cancelled() || self.tried.is_some_and(|at| now.duration_since(at) < AGAIN_AFTER) {
            return false;
        }
        let is_due = |began: Timestamp| began.saturating_add(every.0).is_ok_and(|due| due <= now);
        if self.began.is_some_and(|began| !is_due(began)) {
            return false;
        }
        let noted = state.note(&reconciled_key(&name)).await.ok().flatten().and_then(|noted| noted.parse().ok());
        let began: Option<Timestamp> = match noted {
            Some(noted) => Some(noted),
            // An import is as good as a comparison, so the first one is due an interval later.
            None => state.stored_watermark(&name).await.ok().flatten().and_then(|mark| mark.first_run),
        };
        self.began = began;
        let due = began.is_some_and(is_due);
        if due {
            self.tried = Some(now);
        }
        due
    }
}
