//! Rows of a junction object with work left: the records that both ends lead to. Effect: as [`targets`] says.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::associations::{Resolved, Waiting};
use super::readings::Readings;
use super::targets::{self, Hunt, TargetMatch, is_planned, leaving_directory};
use crate::model::association::{Asked, AssociationKey, AssociationState, SettledPair};
use crate::model::ids::{HubspotId, SalesforceId};
use crate::pipeline::compiled::Association;
use crate::stages::{StageContext, StageError, StageName};

/// What the two lookups of a row ask for, and what was carried out of it.
struct JunctionRow {
    from: AssociationState,
    to: AssociationState,
}

/// Finds the records of these rows. A row that was carried out and is only to be looked at again leads where it led, as long as its
/// association stands.
pub async fn resolve(
    cx: &StageContext,
    ends: (&Association, &Association),
    given: Vec<(AssociationState, HubspotId)>,
    readings: &mut Readings,
) -> Result<Resolved, StageError> {
    let mut resolved = Resolved::default();
    let mut open: [Vec<(JunctionRow, Asked, Asked)>; 2] = [Vec::new(), Vec::new()];
    let rows = rows(cx, ends, given).await?;
    let leaving = leaving(cx, ends, &rows).await?;
    forget_first_ends(cx, &rows, readings).await?;
    let object = ends.1.target.object_type_id();
    let looked_at = rows.iter().filter_map(|row| pair_to_look_at(ends.1, row)).map(|settled| &settled.from);
    let unread = readings.unread(object, looked_at);
    readings.read(cx, object, unread).await?;
    for row in rows {
        let (Some(from), Some(to)) = (row.from.wanted.clone(), row.to.wanted.clone()) else {
            resolved.ask_nothing(&row);
            continue;
        };
        if let Some(end) =
            [&row.from, &row.to].into_iter().find(|end| leaving.contains(&(end.salesforce_id, end.key.clone())))
        {
            let target = if end.key == row.from.key { from.target } else { to.target };
            resolved.wait(&row, end, target, Waiting::NotThere);
        } else if let Some(settled) = pair_to_look_at(ends.1, &row).filter(|settled| stands(object, settled, readings))
        {
            let (first, other) = (settled.from.clone(), settled.to.clone());
            resolved.carry_out(ends.1, &row, (from, first), (to, other));
        } else {
            let doubted = row.from.recheck || row.to.recheck;
            open[usize::from(doubted)].push((row, from, to));
        }
    }
    for (rows, doubted) in open.into_iter().zip([false, true]) {
        search(cx, ends, rows, doubted, readings, &mut resolved).await?;
    }
    Ok(resolved)
}

/// Puts both lookups of each row together. One that comes alone, while the other has work left as well, comes with that one.
async fn rows(
    cx: &StageContext,
    ends: (&Association, &Association),
    given: Vec<(AssociationState, HubspotId)>,
) -> Result<Vec<JunctionRow>, StageError> {
    let mut by_row: BTreeMap<SalesforceId, HashMap<AssociationKey, AssociationState>> = BTreeMap::new();
    for (state, _) in given {
        by_row.entry(state.salesforce_id).or_default().insert(state.key.clone(), state);
    }
    let ids: Vec<SalesforceId> = by_row.keys().copied().collect();
    // Only the lookups with work left were given; the other one of a row is read from the state.
    let known = cx.state.associations(&cx.pipeline.name, &ids).await.map_err(StageError::at(StageName::Associate))?;
    let mut known: HashMap<(SalesforceId, AssociationKey), AssociationState> =
        known.into_iter().map(|state| ((state.salesforce_id, state.key.clone()), state)).collect();
    let mut rows = Vec::new();
    for (id, mut given) in by_row {
        let mut end = |association: &Association| {
            let key = &association.key;
            let blank =
                AssociationState { salesforce_id: id, key: key.clone(), wanted: None, settled: None, recheck: false };
            let known = known.remove(&(id, key.clone()));
            match given.remove(key) {
                Some(state) => (state, true),
                None => (known.unwrap_or(blank), false),
            }
        };
        let ((from, _), (to, with_other)) = (end(ends.0), end(ends.1));
        // The association is made from the second end, with which the row comes in another page.
        if with_other || !to.is_due() {
            rows.push(JunctionRow { from, to });
        }
    }
    Ok(rows)
}

/// For a dry run: the ends that lead to records which would be archived by then.
async fn leaving(
    cx: &StageContext,
    ends: (&Association, &Association),
    rows: &[JunctionRow],
) -> Result<HashSet<(SalesforceId, AssociationKey)>, StageError> {
    let mut leaving = HashSet::new();
    // A run archives first and sees it; a dry run has to imagine it.
    if !cx.dry {
        return Ok(leaving);
    }
    for (association, is_first) in [(ends.0, true), (ends.1, false)] {
        let states = || rows.iter().map(|row| if is_first { &row.from } else { &row.to });
        let asked: Vec<SalesforceId> = states().filter_map(|state| Some(state.wanted.as_ref()?.target)).collect();
        let name = leaving_directory(association.target.object_type_id());
        let gone = cx.directory.find(&name, &asked).await.map_err(StageError::at(StageName::Associate))?;
        let goes =
            |state: &&AssociationState| state.wanted.as_ref().is_some_and(|asked| gone.contains_key(&asked.target));
        leaving.extend(states().filter(goes).map(|state| (state.salesforce_id, state.key.clone())));
    }
    Ok(leaving)
}

/// For a dry run: takes what leads from records that would be archived by then to be gone, whatever their rows ask for now.
async fn forget_first_ends(cx: &StageContext, rows: &[JunctionRow], readings: &mut Readings) -> Result<(), StageError> {
    if !cx.dry {
        return Ok(());
    }
    let settled: Vec<SalesforceId> =
        rows.iter().filter_map(|row| Some(row.from.settled.as_ref()?.asked.target)).collect();
    let name = leaving_directory(&cx.pipeline.target.object_type_id);
    let gone = cx.directory.find(&name, &settled).await.map_err(StageError::at(StageName::Associate))?;
    let gone: HashSet<HubspotId> = gone.into_values().flatten().collect();
    for settled in rows.iter().filter_map(|row| row.to.settled.as_ref()).filter(|settled| gone.contains(&settled.from))
    {
        readings.assume_none(&settled.to_object, &settled.from);
    }
    Ok(())
}

/// The pair of a row that was carried out and is only to be looked at again.
fn pair_to_look_at<'a>(to: &Association, row: &'a JunctionRow) -> Option<&'a SettledPair> {
    let same = |state: &AssociationState| state.wanted.as_ref() == state.settled.as_ref().map(|settled| &settled.asked);
    // A record of an object that the association led to before tells nothing of this one.
    let settled = row.to.settled.as_ref().filter(|settled| settled.to_object == *to.target.object_type_id())?;
    let asks = row.from.wanted.is_some() && row.to.wanted.is_some();
    (asks && (row.from.recheck || row.to.recheck) && same(&row.from) && same(&row.to)).then_some(settled)
}

/// Whether the association of a pair still stands.
fn stands(object: &Arc<str>, settled: &SettledPair, readings: &Readings) -> bool {
    // Where no label is asked for, any association of the two will do.
    readings.stands(object, (&settled.from, &settled.to), settled.asked.label.as_ref())
}

/// Searches the records of both ends.
async fn search(
    cx: &StageContext,
    ends: (&Association, &Association),
    rows: Vec<(JunctionRow, Asked, Asked)>,
    doubted: bool,
    readings: &mut Readings,
    resolved: &mut Resolved,
) -> Result<(), StageError> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut found = Vec::new();
    for (end, association) in [ends.0, ends.1].into_iter().enumerate() {
        let asked = rows.iter().map(|(_, from, to)| if end == 0 { from.target } else { to.target });
        let ids: HashSet<SalesforceId> = asked.collect();
        let hunt = Hunt { may_list: true, doubted };
        found.push(targets::find(cx, association, &ids.into_iter().collect::<Vec<_>>(), hunt).await?);
    }
    for (row, from, to) in rows {
        match (found[0].get(&from.target), found[1].get(&to.target)) {
            (Some(TargetMatch::One(first)), Some(TargetMatch::One(other))) => {
                // A record that is not there yet has no associations that could be read.
                if is_planned(first) {
                    readings.assume_none(ends.1.target.object_type_id(), first);
                }
                resolved.carry_out(ends.1, &row, (from, first.clone()), (to, other.clone()));
            }
            // One failure for a row, at the end that is missing; where both are, at the first.
            (Some(TargetMatch::One(_)), other) => resolved.wait(&row, &row.to, to.target, why(other)),
            (first, _) => resolved.wait(&row, &row.from, from.target, why(first)),
        }
    }
    Ok(())
}

fn why(found: Option<&TargetMatch>) -> Waiting {
    match found {
        Some(TargetMatch::Many(records)) => Waiting::Several(records.clone()),
        Some(TargetMatch::NoAnswer) => Waiting::NoAnswer,
        Some(TargetMatch::NotShown) => Waiting::NotShown,
        Some(TargetMatch::One(_)) | None => Waiting::NotThere,
    }
}

impl Resolved {
    fn carry_out(&mut self, to_end: &Association, row: &JunctionRow, from: (Asked, HubspotId), to: (Asked, HubspotId)) {
        self.first_ends.insert(row.to.salesforce_id, Some(from.clone()));
        self.enter(to_end.target.object_type_id(), &row.to, from.1, Some(to));
    }

    /// A row that asks for nothing: what was made of it is taken back.
    fn ask_nothing(&mut self, row: &JunctionRow) {
        match &row.to.settled {
            Some(settled) => {
                self.first_ends.insert(row.to.salesforce_id, None);
                self.take_back(row, Arc::clone(&settled.to_object), settled.from.clone());
            }
            None => self.idle.push(row.to.salesforce_id),
        }
    }

    fn take_back(&mut self, row: &JunctionRow, object: Arc<str>, from: HubspotId) {
        self.enter(&object, &row.to, from, None);
    }

    /// A row that waits for one of its ends.
    fn wait(&mut self, row: &JunctionRow, missing: &AssociationState, target: SalesforceId, why: Waiting) {
        let other = if missing.key == row.to.key { &row.from } else { &row.to };
        let leads_elsewhere = |end: &AssociationState| {
            let before = end.settled.as_ref().map(|settled| settled.asked.target);
            before.is_some() && before != end.wanted.as_ref().map(|asked| asked.target)
        };
        let is_wrong = missing.settled.as_ref().is_none_or(|settled| why.is_wrong(target, settled));
        if let Some(settled) = row.to.settled.as_ref().filter(|_| is_wrong || leads_elsewhere(other)) {
            self.take_back(row, Arc::clone(&settled.to_object), settled.from.clone());
        }
        self.waiting_with.push((other.salesforce_id, other.key.clone()));
        self.waiting.push(((missing.salesforce_id, missing.key.clone()), target, why));
    }
}
