//! What to do with a row of a junction object: from what its lookups ask for and what is known of it. It has no HubSpot record of its
//! own, so nothing is created, changed or archived for it; only what its lookups ask for changes.

use super::decide::{
    Action, Candidate, Decision, ExitReason, IdentityChange, KnownState, Matched, NO_RECORD, Transformed, catches_up,
    new_wanted, policy,
};
use crate::config::pipeline::DeleteAction;
use crate::model::identity::{Membership, RowMark, WrittenHash};
use crate::model::ids::HubspotId;
use crate::pipeline::compiled::Pipeline;

/// Decides about a row.
pub fn decide(pipeline: &Pipeline, transformed: Transformed, known: KnownState) -> Matched {
    let Transformed { candidate, desired } = transformed;
    let mut desired = match desired {
        None => return Matched::Decided(leave(pipeline, candidate, known)),
        Some(_) if known.failing.is_some_and(|failing| failing == pipeline.row_hash(&candidate.record)) => {
            let postpones_failure = known.postpones_failure;
            return Matched::Decided(Decision { postpones_failure, ..Decision::new(candidate, Action::StillFailing) });
        }
        Some(Err(reason)) => return Matched::Decided(Decision::new(candidate, Action::Reject(reason))),
        Some(Ok(desired)) => desired,
    };
    let content = desired.content;
    // With one end blank there is nothing to associate.
    if desired.lookups.iter().any(Option::is_none) {
        desired.lookups.iter_mut().for_each(|asked| *asked = None);
    }
    let wanted = new_wanted(pipeline, &desired, &known.asks);
    let hash = WrittenHash::new(content, RowMark::default());
    let change = IdentityChange { hash, membership: Membership::Live };
    let remembered = known.identity.as_ref().is_some_and(|identity| {
        identity.membership == Membership::Live
            && identity.mapping == pipeline.mapping_version
            && identity.hash.is_of(content)
    });
    Matched::Decided(Decision {
        hubspot_id: Some(HubspotId::new(NO_RECORD)),
        identity: (!remembered || known.failed_before).then_some(change),
        desired: Some(desired),
        wanted,
        ..Decision::new(candidate, Action::Unchanged)
    })
}

/// A row that was deleted, stopped matching `where`, or is no longer shown.
fn leave(pipeline: &Pipeline, candidate: Candidate, known: KnownState) -> Decision {
    let exit = match (candidate.vanished, candidate.record.deleted) {
        (true, _) => ExitReason::Vanished,
        (false, true) => ExitReason::Deleted,
        (false, false) => ExitReason::FilterExit,
    };
    let (policy, kept) = policy(pipeline, exit);
    // What vanished without proof and is taken back is as good as gone.
    let membership = if policy == DeleteAction::Archive && kept == Membership::Live { Membership::Gone } else { kept };
    let resolves_failure = known.failed_before;
    let asks = known.asks.iter().filter(|(_, asked)| asked.is_some());
    let wanted: Vec<_> = match policy {
        DeleteAction::Archive => asks.map(|(key, _)| (key.clone(), None)).collect(),
        DeleteAction::Keep => Vec::new(),
    };
    let settled = known.identity.as_ref().is_none_or(|identity| identity.membership == membership) && wanted.is_empty();
    if settled {
        let action = Action::Filter(super::decide::Exclusion::NotMember);
        let caught_up = known.identity.as_ref().and_then(|identity| catches_up(pipeline, exit, identity));
        let hubspot_id = caught_up.map(|_| HubspotId::new(NO_RECORD));
        return Decision { hubspot_id, identity: caught_up, resolves_failure, ..Decision::new(candidate, action) };
    }
    let action = match policy {
        DeleteAction::Archive if !wanted.is_empty() => Action::Archive(exit),
        // One that asked for nothing has nothing to be taken back.
        DeleteAction::Archive | DeleteAction::Keep => Action::Keep(exit),
    };
    Decision {
        hubspot_id: Some(HubspotId::new(NO_RECORD)),
        identity: Some(IdentityChange { hash: WrittenHash::NOTHING, membership }),
        wanted,
        resolves_failure,
        ..Decision::new(candidate, action)
    }
}
