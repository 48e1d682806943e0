//! For a dry run: what it has planned so far between two records, as those see it that it plans later. A run finds in HubSpot and in the
//! state what it did before; its plan finds it here. Effect: fills the private directory of the dry run; safe to repeat.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::model::association::{AssociationType, LabelId, PairRequest};
use crate::model::ids::{HubspotId, PipelineName, SalesforceId};
use crate::plan::associations::{AssociationPlan, DueLookup, Pair, PairView, PairViews};
use crate::ports::state::StateError;
use crate::stages::{StageContext, StageError, StageName};

/// What stands in the place of a label for the plain association.
const PLAIN: &str = "-";

/// What stands in the place of a label where the association would be removed; with labels behind it, where those would be.
const GONE: &str = "gone";

/// What stands in the place of a label where the last label would be removed, as seen from the other side.
const BARE: &str = "bare";

/// What stands in the place of a label where others ask for labels, which come behind it: a call that makes one writes those again.
const BESIDE: &str = "beside";

/// What is noted for a directory, by its name.
type Notes = HashMap<String, Vec<(SalesforceId, HubspotId)>>;

/// Notes what is planned of these lookups. `near` gives the Salesforce record at the near end of one, where it is known.
pub async fn note(
    cx: &StageContext,
    object: &Arc<str>,
    due: &[DueLookup],
    (work, views): (&AssociationPlan, &PairViews),
    near: impl Fn(&DueLookup) -> Option<SalesforceId>,
) -> Result<(), StageError> {
    let own = &cx.pipeline.target.object_type_id;
    let mut notes = Notes::new();
    let mut add = |name: String, id: SalesforceId, text: String| {
        notes.entry(name).or_default().push((id, HubspotId::new(text)));
    };
    let gone: HashSet<(&HubspotId, &HubspotId)> = work
        .remove
        .iter()
        .filter(|change| change.pair.types.is_empty())
        .map(|change| (&change.pair.from, &change.pair.to))
        .collect();
    let mut bared: HashMap<(&HubspotId, &HubspotId), (String, bool)> = HashMap::new();
    for change in work.remove.iter().filter(|change| !change.pair.types.is_empty()) {
        let (pair, removed) = (&change.pair, &change.pair.types);
        let types = views.get(&pair.from, &pair.to).and_then(|view| view.types.as_ref());
        let is_last = types.is_some_and(|types| types.iter().all(|kind| !kind.is_label() || removed.contains(kind)));
        let labels: Vec<String> = removed.iter().map(|kind| kind.id().to_string()).collect();
        bared.insert((&pair.from, &pair.to), (format!("{GONE} {}", labels.join(" ")), is_last));
    }
    let mut beside: HashMap<(&HubspotId, &HubspotId), String> = HashMap::new();
    for change in &work.make {
        let labels = change.ownership.iter().filter_map(|owned| Some(owned.label.as_ref()?.1.to_string()));
        let labels: Vec<String> = labels.collect();
        if !labels.is_empty() {
            beside.insert((&change.pair.from, &change.pair.to), format!("{BESIDE} {}", labels.join(" ")));
        }
    }
    for lookup in due {
        let now = lookup.wanted.as_ref().map(|(asked, to)| (asked.target, &lookup.from, to));
        let before = lookup.settled.as_ref().map(|settled| (settled.asked.target, &settled.from, &settled.to));
        for (target, from, to) in now.into_iter().chain(before) {
            let Some((labels, is_last)) = bared.get(&(from, to)) else { continue };
            add(pairs_name(own, object), target, text(from, to, labels));
            if let Some(near) = near(lookup).filter(|_| *is_last) {
                add(pairs_name(object, own), near, text(to, from, BARE));
            }
        }
        add(moved_name(&cx.pipeline.name), lookup.salesforce_id, lookup.key.0.to_string());
        let before = lookup.settled.as_ref().filter(|settled| gone.contains(&(&settled.from, &settled.to)));
        if let Some(settled) = before {
            add(pairs_name(own, object), settled.asked.target, text(&settled.from, &settled.to, GONE));
            if let Some(near) = near(lookup) {
                add(pairs_name(object, own), near, text(&settled.to, &settled.from, GONE));
            }
        }
        if let Some((asked, to)) = &lookup.wanted {
            let label = asked.label.as_ref().map_or(PLAIN.to_owned(), LabelId::to_string);
            add(pairs_name(own, object), asked.target, text(&lookup.from, to, &label));
            if let Some(labels) = beside.get(&(&lookup.from, to)) {
                add(pairs_name(own, object), asked.target, text(&lookup.from, to, labels));
            }
            // The label of the other direction may have another number: from there, only the association counts.
            if let Some(near) = near(lookup) {
                add(pairs_name(object, own), near, text(to, &lookup.from, PLAIN));
            }
        }
    }
    for (name, entries) in notes {
        cx.directory.add(&name, &entries).await.map_err(at)?;
    }
    Ok(())
}

/// Of these requests, those of lookups that the dry run has not planned anew.
pub async fn still_asked(cx: &StageContext, requests: Vec<PairRequest>) -> Result<Vec<PairRequest>, StageError> {
    let mut by_pipeline: HashMap<&PipelineName, Vec<SalesforceId>> = HashMap::new();
    for request in &requests {
        by_pipeline.entry(&request.pipeline).or_default().push(request.salesforce_id);
    }
    let mut moved: HashSet<(PipelineName, SalesforceId, HubspotId)> = HashSet::new();
    for (pipeline, ids) in by_pipeline {
        let found = cx.directory.find(&moved_name(pipeline), &ids).await.map_err(at)?;
        let keys = found.into_iter().flat_map(|(id, keys)| keys.into_iter().map(move |key| (id, key)));
        moved.extend(keys.map(|(id, key)| (pipeline.clone(), id, key)));
    }
    let is_moved = |request: &PairRequest| {
        let key = HubspotId::new(&request.key.0);
        moved.contains(&(request.pipeline.clone(), request.salesforce_id, key))
    };
    Ok(requests.into_iter().filter(|request| !is_moved(request)).collect())
}

/// Shows pairs of records as they will be by then.
pub async fn show(
    cx: &StageContext,
    object: &Arc<str>,
    due: &[DueLookup],
    views: &mut PairViews,
) -> Result<(), StageError> {
    let asked = due.iter().filter_map(|lookup| Some(lookup.wanted.as_ref()?.0.target));
    let settled = due.iter().filter_map(|lookup| Some(lookup.settled.as_ref()?.asked.target));
    let targets: HashSet<SalesforceId> = asked.chain(settled).collect();
    let targets: Vec<SalesforceId> = targets.into_iter().collect();
    let name = pairs_name(&cx.pipeline.target.object_type_id, object);
    let found = cx.directory.find(&name, &targets).await.map_err(at)?;
    // What is removed is removed before anything is made.
    let (gone, made): (Vec<_>, Vec<_>) =
        found.values().flatten().filter_map(parts).partition(|(_, label)| label.starts_with(GONE) || *label == BARE);
    for (pair, what) in gone {
        let Some(view) = views.get_mut(&pair.0, &pair.1) else { continue };
        match what.strip_prefix(GONE) {
            Some("") => {
                view.types = None;
                (view.owned, view.owned_labels) = (false, Vec::new());
            }
            Some(labels) => {
                let labels: Vec<LabelId> = labels.split(' ').filter_map(|label| label.parse().ok()).collect();
                view.owned_labels.retain(|label| !labels.contains(label));
                view.types.iter_mut().for_each(|types| types.retain(|kind| !labels.contains(&kind.id())));
            }
            None => view.types.iter_mut().for_each(|types| types.retain(|kind| !kind.is_label())),
        }
    }
    for (pair, label) in made {
        let Some(view) = views.get_mut(&pair.0, &pair.1) else { continue };
        view.owned |= view.types.is_none();
        if let Some(labels) = label.strip_prefix(BESIDE) {
            // Who asks for them says so itself.
            labels.split(' ').filter_map(|label| label.parse().ok()).for_each(|label| add_label(view, label));
            continue;
        }
        view.requested = true;
        view.types.get_or_insert_default();
        let Ok(label) = label.parse::<LabelId>() else { continue };
        view.requested_labels.push(label.clone());
        add_label(view, label);
    }
    Ok(())
}

/// Shows a label that Syncline would put there.
fn add_label(view: &mut PairView, label: LabelId) {
    let types = view.types.get_or_insert_default();
    if !types.iter().any(|kind| kind.is(&label)) {
        let LabelId { category, type_id } = &label;
        types.push(AssociationType { category: category.clone(), type_id: *type_id, label: Some(String::new()) });
        view.owned_labels.push(label);
    }
}

fn text(from: &HubspotId, to: &HubspotId, label: &str) -> String {
    format!("{from} {to} {label}")
}

/// The pair of a note, and its label.
fn parts(note: &HubspotId) -> Option<(Pair, &str)> {
    let mut parts = note.other()?.splitn(3, ' ');
    let pair = (HubspotId::new(parts.next()?), HubspotId::new(parts.next()?));
    Some((pair, parts.next()?))
}

fn pairs_name(from: &str, to: &str) -> String {
    format!("pairs:{from}:{to}")
}

fn moved_name(pipeline: &PipelineName) -> String {
    format!("moved:{pipeline}")
}

fn at(error: StateError) -> StageError {
    StageError::at(StageName::Associate)(error)
}
