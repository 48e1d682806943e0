//! What is known of associations with work left: the records that lookups lead to, what stands between them, who else asks for
//! it, and what of it is ours. Effect: as [`targets`] says.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::model::association::{
    Asked, AssociationKey, AssociationState, LabelId, PairKey, PairObjects, PairRequest, SettledPair,
};
use crate::model::ids::{ById, HubspotId, SalesforceId};
use crate::pipeline::compiled::Association;
use crate::plan::associations::{Asking, DueLookup, Pair, PairView, PairViews};
use crate::ports::state::{KeptAssociation, LookupRef, StateError};
use crate::ports::target::PairTypes;
use crate::stages::read::planned_pairs;
use crate::stages::read::readings::Readings;
use crate::stages::read::targets::{self, Hunt, TargetMatch, leaving_directory};
use crate::stages::{StageContext, StageError, StageName};

/// Lookups of one page, their records found.
#[derive(Debug, Default)]
pub struct Resolved {
    /// Lookups to carry out, by the object at the other end.
    pub by_object: BTreeMap<Arc<str>, Vec<DueLookup>>,
    /// What an earlier definition made with another object than the lookup leads to today: to be taken back.
    pub remnants: BTreeMap<Arc<str>, Vec<DueLookup>>,
    /// Lookups that cannot be carried out now.
    pub waiting: Vec<(LookupRef, SalesforceId, Waiting)>,
    /// The other ends of rows of a junction object that wait.
    pub waiting_with: Vec<LookupRef>,
    /// What the first end of a row asks for, and the record that this leads to; none where the row asks for nothing.
    pub first_ends: ById<SalesforceId, Option<(Asked, HubspotId)>>,
    /// Rows that ask for nothing and of which nothing was carried out.
    pub idle: Vec<SalesforceId>,
}

/// Why a lookup waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// The record that it points at is not in HubSpot yet.
    NotThere,
    /// HubSpot's search does not show it, which lags behind: it may be there.
    NotShown,
    /// Several records carry the id.
    Several(Vec<HubspotId>),
    /// HubSpot does not say whether one carries it.
    NoAnswer,
}

impl Waiting {
    /// Whether what was made before is wrong even though the new one cannot be made yet. Where HubSpot does not say, it may be right.
    pub(super) fn is_wrong(&self, target: SalesforceId, settled: &SettledPair) -> bool {
        match self {
            Self::NotThere => true,
            // The one that it led to may be there still, and is made certain of when there is a doubt.
            Self::NotShown => settled.asked.target != target,
            // Whichever of them it is: a lookup that leads elsewhere by now leads to none but these.
            Self::Several(records) => settled.asked.target != target && !records.contains(&settled.to),
            Self::NoAnswer => false,
        }
    }
}

/// Finds the records that lookups lead to. A lookup that was carried out and is only to be looked at again leads where it led,
/// as long as the association stands; else its record is searched anew, without trust in what is remembered.
pub async fn resolve(
    cx: &StageContext,
    rows: Vec<(AssociationState, HubspotId)>,
    readings: &mut Readings,
) -> Result<Resolved, StageError> {
    let mut resolved = Resolved::default();
    let mut by_key = by_key(rows);
    for association in &cx.pipeline.associations {
        let Some(place) = by_key.iter().position(|(key, _)| *key == association.key) else { continue };
        let (_, rows) = by_key.swap_remove(place);
        let (standing, open) = still_standing(cx, association, rows, readings).await?;
        let object = association.target.object_type_id();
        for (state, from) in standing {
            let wanted = state.wanted.clone().zip(state.settled.as_ref().map(|settled| settled.to.clone()));
            resolved.enter(object, &state, from, wanted);
        }
        let (doubted, trusted): (Vec<_>, Vec<_>) = open.into_iter().partition(|(state, _)| state.recheck);
        for (rows, doubted) in [(trusted, false), (doubted, true)] {
            if !rows.is_empty() {
                let hunt = Hunt { may_list: true, doubted };
                search(cx, association, rows, hunt, &mut resolved).await?;
            }
        }
    }
    Ok(resolved)
}

/// Lookups of one association, each with the HubSpot record of its record.
type OfOne = (AssociationKey, Vec<(AssociationState, HubspotId)>);

/// Lookups by the associations that they are of: mostly there is one.
fn by_key(rows: Vec<(AssociationState, HubspotId)>) -> Vec<OfOne> {
    let mut by_key: Vec<OfOne> = Vec::new();
    let mut left = rows.len();
    for (state, from) in rows {
        let place = by_key.iter().position(|(key, _)| Arc::ptr_eq(&key.0, &state.key.0) || *key == state.key);
        let place = place.unwrap_or_else(|| {
            // Room for all is for the first one: the others are few, or there are many of them.
            by_key.push((state.key.clone(), Vec::with_capacity(std::mem::take(&mut left))));
            by_key.len() - 1
        });
        by_key[place].1.push((state, from));
    }
    by_key
}

/// Parts off the lookups that are only to be looked at again, and whose association stands.
async fn still_standing(
    cx: &StageContext,
    association: &Association,
    rows: Vec<(AssociationState, HubspotId)>,
    readings: &mut Readings,
) -> Result<(Vec<(AssociationState, HubspotId)>, Vec<(AssociationState, HubspotId)>), StageError> {
    let object = association.target.object_type_id();
    let settled = |state: &AssociationState, from: &HubspotId| {
        state.settled.as_ref().is_some_and(|settled| {
            state.recheck
                && state.wanted.as_ref() == Some(&settled.asked)
                && settled.from == *from
                && settled.to_object == *object
        })
    };
    let doubted = rows.iter().filter(|(state, from)| settled(state, from));
    let unread = readings.unread(object, doubted.map(|(_, from)| from));
    readings.read(cx, object, unread).await?;
    if cx.dry {
        let targets = rows.iter().filter_map(|(state, _)| Some(state.settled.as_ref()?.asked.target)).collect();
        forget_leaving(cx, object, targets, readings).await?;
    }
    let stands = |(state, from): &(AssociationState, HubspotId)| {
        let pair = state.settled.as_ref().filter(|_| settled(state, from));
        let label = state.wanted.as_ref().and_then(|asked| asked.label.as_ref());
        pair.is_some_and(|pair| readings.stands(object, (&pair.from, &pair.to), label))
    };
    Ok(parted(rows, stands))
}

/// Parts off those of which something is true: mostly it is of all of them, and so none is moved.
pub fn parted<T>(all: Vec<T>, is_true: impl FnMut(&T) -> bool) -> (Vec<T>, Vec<T>) {
    let is_true: Vec<bool> = all.iter().map(is_true).collect();
    if is_true.iter().all(|is_true| *is_true) {
        return (all, Vec::new());
    }
    let mut is_true = is_true.into_iter();
    all.into_iter().partition(|_| is_true.next().unwrap_or_default())
}

/// For a dry run: takes what leads to records that would be archived by then to be gone, as an association goes with the record at its
/// other end.
pub async fn forget_leaving(
    cx: &StageContext,
    object: &Arc<str>,
    targets: Vec<SalesforceId>,
    readings: &mut Readings,
) -> Result<(), StageError> {
    let gone = cx.directory.find(&leaving_directory(object), &targets).await.map_err(at::<StateError>)?;
    readings.drop_targets(object, &gone.into_values().flatten().collect());
    Ok(())
}

/// Searches the records that lookups point at.
async fn search(
    cx: &StageContext,
    association: &Association,
    rows: Vec<(AssociationState, HubspotId)>,
    hunt: Hunt,
    resolved: &mut Resolved,
) -> Result<(), StageError> {
    let object = association.target.object_type_id();
    let ids: BTreeSet<SalesforceId> =
        rows.iter().filter_map(|(state, _)| Some(state.wanted.as_ref()?.target)).collect();
    // Each once: many records lead to one account.
    let ids: Vec<SalesforceId> = ids.into_iter().collect();
    let found = targets::find(cx, association, &ids, hunt).await?;
    for (state, from) in rows {
        let Some(asked) = &state.wanted else {
            resolved.enter(object, &state, from, None);
            continue;
        };
        let target = asked.target;
        let waiting = match found.get(&target) {
            Some(TargetMatch::One(to)) => {
                let wanted = Some((asked.clone(), to.clone()));
                resolved.enter(object, &state, from, wanted);
                continue;
            }
            Some(TargetMatch::Many(records)) => Waiting::Several(records.clone()),
            Some(TargetMatch::NoAnswer) => Waiting::NoAnswer,
            Some(TargetMatch::NotShown) => Waiting::NotShown,
            None => Waiting::NotThere,
        };
        if state.settled.as_ref().is_some_and(|settled| waiting.is_wrong(target, settled)) {
            resolved.enter(object, &state, from, None);
        }
        resolved.waiting.push(((state.salesforce_id, state.key), target, waiting));
    }
    Ok(())
}

impl Resolved {
    /// Enters one lookup to carry out.
    pub(super) fn enter(
        &mut self,
        object: &Arc<str>,
        state: &AssociationState,
        from: HubspotId,
        wanted: Option<(Asked, HubspotId)>,
    ) {
        let due = |wanted, settled| DueLookup {
            salesforce_id: state.salesforce_id,
            key: state.key.clone(),
            from: from.clone(),
            wanted,
            settled,
        };
        let (settled, other) = match &state.settled {
            Some(settled) if settled.to_object != *object => (None, Some(settled.clone())),
            settled => (settled.clone(), None),
        };
        if let Some(other) = other {
            let object = Arc::clone(&other.to_object);
            self.remnants.entry(object).or_default().push(due(None, Some(other)));
        }
        self.by_object.entry(Arc::clone(object)).or_default().push(due(wanted, settled));
    }
}

/// The pipeline's object and another one, whose records make pairs.
pub fn pair_objects(cx: &StageContext, object: &str) -> PairObjects {
    let target = &cx.pipeline.target;
    PairObjects::new(&target.connection, &target.object_type_id, object)
}

/// What is carried out of the first end of a row. It is no association by itself: the pair is that of the record with itself.
pub fn first_end(cx: &StageContext, asked: Asked, record: HubspotId) -> (PairKey, SettledPair) {
    let object = Arc::clone(&cx.pipeline.target.object_type_id);
    let key = pair_objects(cx, &object).key(&record, &record);
    (key, SettledPair { asked, from: record.clone(), to_object: object, to: record })
}

/// The associations of the pipeline, as far as the state must know them.
pub fn kept(cx: &StageContext) -> Vec<KeptAssociation> {
    let target = &cx.pipeline.target;
    let kept = cx.pipeline.associations.iter().map(|association| KeptAssociation {
        key: association.key.clone(),
        label: association.fixed_label().cloned(),
        connection: Arc::clone(&target.connection),
        from_object: Arc::clone(&target.object_type_id),
        to_object: Arc::clone(association.target.object_type_id()),
    });
    kept.collect()
}

/// What is known of the pairs of records of these lookups, before and after; what stands was read. What others ask for is told where it
/// matters.
pub async fn views(
    cx: &StageContext,
    object: &Arc<str>,
    due: &[DueLookup],
    readings: &Readings,
) -> Result<PairViews, StageError> {
    let objects = pair_objects(cx, object);
    let mut all: Vec<(Pair, PairView)> = Vec::with_capacity(due.len());
    for lookup in due {
        // Mostly the same records as before.
        let (now, before) = (lookup.pair(), lookup.pair_before());
        let before = before.filter(|before| now.as_ref() != Some(before));
        all.extend(now.into_iter().chain(before).map(|pair| {
            let key = objects.key(&pair.0, &pair.1);
            let types = readings.types(object, &pair);
            let is_new = readings.is_new(&pair.0);
            let (owned_labels, requested_labels) = (Vec::new(), Vec::new());
            (pair, PairView { key, is_new, types, owned: false, owned_labels, requested: false, requested_labels })
        }));
    }
    let mut views = PairViews::from(all);
    let asking = Asking::of(due, &views);
    let mut keys = asking.may_be_ours(&views);
    if keys.is_empty() && !cx.dry {
        // Mostly so of records that have just been made.
        return Ok(views);
    }
    let mut owned = cx.state.owned_types(&keys).await.map_err(at::<StateError>)?;
    owned.sort_by_key(|owned| owned.pair);
    for (pair, view) in views.iter_mut() {
        let first = owned.partition_point(|owned| owned.pair < view.key);
        for owned_type in owned[first..].iter().take_while(|owned| owned.pair == view.key) {
            match &owned_type.label {
                None => view.owned = true,
                Some((from, label)) if *from == pair.0 => view.owned_labels.push(label.clone()),
                Some(_) => {}
            }
        }
    }
    // A dry run is told of all: what it has planned is not in the state.
    if !cx.dry {
        keys = asking.depend_on_others(&views);
    }
    let mut requests = match keys.is_empty() {
        true => Vec::new(),
        false => cx.state.pair_requests(&keys).await.map_err(at::<StateError>)?,
    };
    if cx.dry {
        requests = planned_pairs::still_asked(cx, requests).await?;
    } else if requests.is_empty() {
        // Mostly so: they stand as they should.
        return Ok(views);
    }
    let at_hand: HashSet<(SalesforceId, &AssociationKey)> =
        due.iter().map(|lookup| (lookup.salesforce_id, &lookup.key)).collect();
    // What is at hand asks by what it wants now; the state has what it wanted before.
    let foreign = |request: &&PairRequest| {
        request.pipeline != cx.pipeline.name || !at_hand.contains(&(request.salesforce_id, &request.key))
    };
    let mut requests_by_pair: HashMap<PairKey, Vec<&PairRequest>> = HashMap::new();
    requests.iter().filter(foreign).for_each(|request| requests_by_pair.entry(request.pair).or_default().push(request));
    for (pair, view) in views.iter_mut() {
        for request in requests_by_pair.get(&view.key).into_iter().flatten() {
            view.requested = true;
            // Labels have a direction: one that is asked for from the other side is another type here.
            let same_side = request.from == pair.0 && request.to_object == *object;
            view.requested_labels.extend(request.label.clone().filter(|_| same_side));
        }
    }
    if cx.dry {
        planned_pairs::show(cx, object, due, &mut views).await?;
    }
    Ok(views)
}

/// Takes what was removed out of what is known.
pub fn take_out(view: &mut PairView, removed: &PairTypes) {
    if removed.types.is_empty() {
        view.types = None;
        view.owned = false;
        view.owned_labels.clear();
        return;
    }
    let labels: Vec<LabelId> = removed.types.iter().map(|kind| kind.id()).collect();
    view.owned_labels.retain(|label| !labels.contains(label));
    if let Some(types) = &mut view.types {
        types.retain(|kind| !labels.contains(&kind.id()));
    }
}

fn at<C: Into<crate::stages::StageCause>>(cause: C) -> StageError {
    StageError::at(StageName::Associate)(cause)
}
