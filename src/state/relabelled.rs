//! For a dry run: associations of which the definition has others than when the pipeline ran last. Those whose label has changed have the keys
//! that the run will give them, and those that were dropped ask for nothing any more.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::association::{AssociationKey, AssociationState, PairRequest};
use crate::model::ids::PipelineName;
use crate::ports::state::KeptAssociation;

/// Which key takes the place of which.
pub(super) type NewKeys = Vec<(AssociationKey, AssociationKey)>;

/// What the definitions of pipelines have now.
#[derive(Debug, Clone, Default)]
pub(super) struct Relabelled(Arc<Mutex<HashMap<PipelineName, Keys>>>);

/// The keys of a pipeline.
#[derive(Debug)]
struct Keys {
    /// Which key takes the place of which.
    new: HashMap<AssociationKey, AssociationKey>,
    /// Those that the definition has.
    kept: HashSet<AssociationKey>,
}

impl Relabelled {
    /// Takes the associations of a pipeline for these, of which some take the place of others.
    pub(super) fn assume(&self, pipeline: &PipelineName, kept: &[KeptAssociation], new: NewKeys) {
        let kept = kept.iter().map(|kept| kept.key.clone()).collect();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(pipeline.clone(), Keys { new: new.into_iter().collect(), kept });
    }

    /// Whether the associations of a pipeline are taken for others.
    pub(super) fn is_assumed(&self, pipeline: &PipelineName) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(pipeline)
    }

    /// Gives requests the keys that they will have, and leaves out those that the definitions have no more.
    pub(super) fn as_kept(&self, requests: &mut Vec<PairRequest>) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.is_empty() {
            return;
        }
        requests.retain_mut(|request| {
            let Some(keys) = all.get(&request.pipeline) else { return true };
            if let Some(new) = keys.new.get(&request.key) {
                request.key.clone_from(new);
            }
            keys.kept.contains(&request.key)
        });
    }

    /// Carries over what was carried out, as the run does when it begins; what was left to do goes with the key before.
    pub(super) fn carry_over(&self, pipeline: &PipelineName, states: &mut Vec<AssociationState>) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(keys) = all.get(pipeline) else { return };
        states.retain_mut(|state| {
            let Some(new) = keys.new.get(&state.key) else { return keys.kept.contains(&state.key) };
            state.key.clone_from(new);
            state.wanted = state.settled.as_ref().map(|settled| settled.asked.clone());
            state.recheck = false;
            state.settled.is_some()
        });
    }
}
