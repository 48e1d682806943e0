//! For a dry run: associations whose label has changed since the pipeline ran last, under the keys that the run will give them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::association::{AssociationKey, AssociationState};
use crate::model::ids::PipelineName;

/// The keys that take the place of others, by pipeline.
#[derive(Debug, Clone, Default)]
pub(super) struct Relabelled(Arc<Mutex<Keys>>);

/// By pipeline: which key takes the place of which.
type Keys = HashMap<PipelineName, HashMap<AssociationKey, AssociationKey>>;

impl Relabelled {
    /// Takes keys of a pipeline for others.
    pub(super) fn assume(&self, pipeline: &PipelineName, keys: Vec<(AssociationKey, AssociationKey)>) {
        if !keys.is_empty() {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(pipeline.clone(), keys.into_iter().collect());
        }
    }

    /// Gives a key the name that it will have.
    pub(super) fn rename(&self, pipeline: &PipelineName, key: &mut AssociationKey) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(new) = all.get(pipeline).and_then(|keys| keys.get(key)) {
            key.clone_from(new);
        }
    }

    /// Carries over what was carried out, as the run does when it begins; what was left to do goes with the key before.
    pub(super) fn carry_over(&self, pipeline: &PipelineName, states: &mut Vec<AssociationState>) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(keys) = all.get(pipeline) else { return };
        states.retain_mut(|state| {
            let Some(new) = keys.get(&state.key) else { return true };
            state.key.clone_from(new);
            state.wanted = state.settled.as_ref().map(|settled| settled.asked.clone());
            state.recheck = false;
            state.settled.is_some()
        });
    }
}
