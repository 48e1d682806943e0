//! Drift of associations: those that were carried out, are still asked for, and that HubSpot no longer holds. Effect: none; reads the state.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::associations::Waiting;
use super::readings::Readings;
use super::targets::leaving_directory;
use crate::model::association::Asked;
use crate::model::identity::Membership;
use crate::model::ids::SalesforceId;
use crate::pipeline::compiled::AssociationTarget;
use crate::plan::associations::{DueLookup, Pair, PairViews, stands};
use crate::ports::state::{LookupRef, StateError};
use crate::stages::{StageContext, StageError, StageName};

/// Lookups whose record is not in HubSpot, and what they point at.
pub type Absent = HashMap<LookupRef, SalesforceId>;

/// Those of what waits.
pub fn absent(waiting: &[(LookupRef, SalesforceId, Waiting)]) -> Absent {
    let absent = waiting.iter().filter(|(.., why)| *why == Waiting::NotThere);
    absent.map(|(lookup, target, _)| (lookup.clone(), *target)).collect()
}

/// Whether two records are associated as it is asked, as HubSpot said last.
pub fn was_read<'a>(readings: &'a Readings, object: &'a Arc<str>) -> impl Fn(&Pair, &Asked) -> bool + 'a {
    |(from, to), asked| readings.stands(object, (from, to), asked.label.as_ref())
}

/// The same, as it will be by then: what the same command made before stands.
pub fn is_seen(views: &PairViews) -> impl Fn(&Pair, &Asked) -> bool + '_ {
    |pair, asked| stands(views.get(&pair.0, &pair.1), asked.label.as_ref())
}

/// Of these lookups, those whose association is lost, each with the record that it led to; `stands` tells of two records.
pub async fn lost<'a>(
    cx: &StageContext,
    object: &Arc<str>,
    lookups: &'a [DueLookup],
    (readings, absent): (&Readings, &Absent),
    stands: impl Fn(&Pair, &Asked) -> bool,
) -> Result<Vec<(&'a DueLookup, SalesforceId)>, StageError> {
    let lost = |lookup: &DueLookup| {
        let settled = lookup.settled.as_ref()?;
        let is_asked = match &lookup.wanted {
            // Where the record at the other end was made again, or came back, that one was lost, and not its associations.
            Some((asked, to)) => *asked == settled.asked && *to == settled.to,
            None => absent.get(&(lookup.salesforce_id, lookup.key.clone())) == Some(&settled.asked.target),
        };
        // Of a record that was made again, the one before was lost, and not its associations.
        let same = settled.from == lookup.from && settled.to_object == *object;
        let is_there = || match (&lookup.wanted, lookup.pair_before()) {
            (Some(_), Some(pair)) => stands(&pair, &settled.asked),
            // Nothing that the same command made leads to a record that is not there.
            (None, Some(pair)) => was_read(readings, object)(&pair, &settled.asked),
            (_, None) => false,
        };
        let found = is_asked && same && readings.is_answered(object, &lookup.from) && !is_there();
        found.then_some(settled.asked.target)
    };
    let mut lost: Vec<(&DueLookup, SalesforceId)> =
        lookups.iter().filter_map(|lookup| Some((lookup, lost(lookup)?))).collect();
    if !lost.is_empty() {
        let own_work = archived_by_syncline(cx, object, &lost).await?;
        lost.retain(|(_, target)| !own_work.contains(target));
    }
    Ok(lost)
}

/// Of the records that these lookups point at, those that Syncline archived, or would by then: their associations went with them.
async fn archived_by_syncline(
    cx: &StageContext,
    object: &Arc<str>,
    lost: &[(&DueLookup, SalesforceId)],
) -> Result<HashSet<SalesforceId>, StageError> {
    let targets: Vec<SalesforceId> = lost.iter().map(|(_, target)| *target).collect();
    let mut archived = HashSet::new();
    if cx.dry {
        archived.extend(cx.directory.find(&leaving_directory(object), &targets).await.map_err(at)?.into_keys());
    }
    for association in &cx.pipeline.associations {
        let AssociationTarget::Pipeline { name, object_type_id } = &association.target else { continue };
        if object_type_id == object {
            let known = cx.state.identities(name, &targets).await.map_err(at)?;
            let gone = known.into_iter().filter(|(_, identity)| identity.membership == Membership::Archived);
            archived.extend(gone.map(|(id, _)| id));
        }
    }
    Ok(archived)
}

fn at(error: StateError) -> StageError {
    StageError::at(StageName::Associate)(error)
}
