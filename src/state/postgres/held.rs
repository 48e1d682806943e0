//! The rights of this process to run pipelines, as far as it knows them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::ids::PipelineName;
use crate::ports::state::StateError;
use crate::sys::clock::{Clock, LongMark};

/// A right that was not renewed for so long is not relied upon any more: half of the time after which somebody else may take it.
const RELIED_UPON: Duration = Duration::from_secs(15);

/// Rights by pipeline. Clones share them.
#[derive(Clone)]
pub struct Leases {
    held: Arc<Mutex<HashMap<PipelineName, Held>>>,
    /// Not the state's own: what a test does to that has nothing to do with the server's.
    clock: Clock,
}

impl Default for Leases {
    fn default() -> Self {
        Self { held: Arc::default(), clock: Clock::system() }
    }
}

struct Held {
    epoch: i64,
    renewed: LongMark,
    is_lost: bool,
    /// Whether the pipeline's match property is noted.
    is_matched: bool,
}

impl Leases {
    fn held(&self) -> MutexGuard<'_, HashMap<PipelineName, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A right was taken.
    pub fn taken(&self, pipeline: &PipelineName, epoch: i64) {
        let held = Held { epoch, renewed: self.clock.long_mark(), is_lost: false, is_matched: false };
        self.held().insert(pipeline.clone(), held);
    }

    /// A right was renewed.
    pub fn renewed(&self, pipeline: &PipelineName, epoch: i64) {
        if let Some(held) = self.held().get_mut(pipeline).filter(|held| held.epoch == epoch) {
            held.renewed = self.clock.long_mark();
        }
    }

    /// The pipeline's match property was found noted under a right.
    pub fn matched(&self, pipeline: &PipelineName, epoch: i64) {
        if let Some(held) = self.held().get_mut(pipeline).filter(|held| held.epoch == epoch) {
            held.is_matched = true;
        }
    }

    /// Whether the pipeline's match property is noted, as far as this process knows; nobody else takes it out under its right.
    pub fn is_matched(&self, pipeline: &PipelineName) -> bool {
        self.held().get(pipeline).is_some_and(|held| held.is_matched)
    }

    /// The number of the right to run a pipeline; none where this process has not asked for it.
    ///
    /// Errors: it was lost, or could not be renewed for too long.
    pub fn epoch(&self, pipeline: &PipelineName) -> Result<Option<i64>, StateError> {
        let held = self.held();
        let Some(held) = held.get(pipeline) else { return Ok(None) };
        if held.is_lost {
            return Err(gone(pipeline, "another process took it over"));
        }
        if self.clock.long_since(held.renewed) > RELIED_UPON {
            return Err(gone(pipeline, "it could not be renewed in time"));
        }
        Ok(Some(held.epoch))
    }

    /// A right is another's by now.
    pub fn lost(&self, pipeline: &PipelineName, epoch: i64) -> StateError {
        if let Some(held) = self.held().get_mut(pipeline).filter(|held| held.epoch == epoch) {
            held.is_lost = true;
        }
        gone(pipeline, "another process took it over")
    }

    /// A right is given back.
    pub fn forget(&self, pipeline: &PipelineName, epoch: i64) {
        let mut held = self.held();
        if held.get(pipeline).is_some_and(|held| held.epoch == epoch) {
            held.remove(pipeline);
        }
    }
}

fn gone(pipeline: &PipelineName, why: &str) -> StateError {
    let holder =
        format!("another process, or may be: this one has lost the right to it ({why}), and noted nothing more");
    StateError::Held { pipeline: pipeline.clone(), holder }
}
