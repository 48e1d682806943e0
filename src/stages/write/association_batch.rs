//! A batch of associations: what is to be removed and made between two objects, carried out and saved. What is about to be made is
//! noted as ours before the call, so that repeating a batch that broke off is safe.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::model::association::{Asked, AssociationKey, AssociationState, PairKey};
use crate::model::failure::{Failure, Reason};
use crate::model::ids::{ById, HubspotId, SalesforceId};
use crate::model::report::Tally;
use crate::plan::associations::{AssociationPlan, DueLookup, Pair, PairChange, PairViews, plan, stands};
use crate::ports::fault::Fault;
use crate::ports::state::{Commit, LookupRef};
use crate::ports::target::{BATCH_PAIRS_MAX, PAIRS_REMOVED_MAX, PairOutcome, PairTypes};
use crate::stages::read::associations::{Resolved, Waiting, first_end, pair_objects, parted, take_out, views};
use crate::stages::read::due::resolve;
use crate::stages::read::lost::{Absent, absent, is_seen, lost};
use crate::stages::read::names;
use crate::stages::read::readings::{Readings, SharedReadings};
use crate::stages::write::checkpoint::Checkpoint;
use crate::stages::write::own_ends;
use crate::stages::{StageContext, StageError, StageName, Writers};
use crate::sys::crash_point::crash_point;

/// Code of an association with a record that takes no more of them.
const LIMIT_REACHED: &str = "SL5111";

/// How often calls whose outcome is open are looked up and done again.
/// An answer that passes over a pair is rare, and twice for the same pair a sign of something lasting.
const ROUNDS_MAX: usize = 3;

/// Associations on their way.
pub(super) struct AssociationBatch<'a> {
    cx: &'a StageContext,
    writers: &'a Writers,
    checkpoint: &'a Checkpoint,
    commit: Commit,
    delta: Tally,
    readings: Readings,
    /// Of rows of a junction object: what their first ends ask for, and where that leads.
    first_ends: ById<SalesforceId, Option<(Asked, HubspotId)>>,
    /// Lookups whose other record is not there, where it is counted what people have removed.
    counts_lost: Option<Absent>,
    /// Something was removed.
    removed: bool,
    /// Lookups that were set aside.
    tried: Vec<LookupRef>,
    /// Records of this pipeline whose associations were refused, or of which no answer says how they are associated.
    refused: Vec<(SalesforceId, HubspotId)>,
}

impl<'a> AssociationBatch<'a> {
    /// An empty batch.
    pub(super) fn new(cx: &'a StageContext, writers: &'a Writers, checkpoint: &'a Checkpoint) -> Self {
        Self {
            cx,
            writers,
            checkpoint,
            commit: checkpoint.commit(cx),
            delta: Tally::default(),
            readings: Readings::default(),
            first_ends: ById::default(),
            counts_lost: None,
            removed: false,
            tried: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// Shares what is read, and what becomes of it, with other batches.
    pub(super) fn share(&mut self, readings: Option<Arc<SharedReadings>>) {
        self.readings = Readings::shared(readings);
    }

    /// The lookups that were set aside since this was asked last.
    pub(super) fn set_aside_so_far(&mut self) -> Vec<LookupRef> {
        std::mem::take(&mut self.tried)
    }

    /// Whether something was removed.
    pub(super) fn has_removed(&self) -> bool {
        self.removed
    }

    /// Carries out lookups of records that this run has made, to records of one object.
    pub(super) async fn of_made(&mut self, object: &Arc<str>, lookups: Vec<DueLookup>) -> Result<(), StageError> {
        // Nothing of theirs is read, as nothing can stand yet unless somebody else knows them.
        self.readings = Readings::of_new();
        self.object(object, lookups).await
    }

    /// Carries out what is due. With `counts_lost`, what was carried out and is not there any more counts as drift.
    pub(super) async fn due(
        &mut self,
        due: Vec<(AssociationState, HubspotId)>,
        counts_lost: bool,
    ) -> Result<(), StageError> {
        self.cx.confirm().await.map_err(at)?;
        let resolved = resolve(self.cx, due, &mut self.readings).await?;
        crash_point!("associate.resolved");
        let Resolved { by_object, remnants, waiting, waiting_with, first_ends, idle } = resolved;
        self.commit.waiting.extend(waiting_with);
        self.first_ends = first_ends;
        self.counts_lost = counts_lost.then(|| absent(&waiting));
        let ends = self.cx.pipeline.junction();
        for (row, end) in idle.iter().flat_map(|row| ends.iter().flat_map(move |(from, to)| [(row, *from), (row, *to)]))
        {
            self.commit.settled.push((*row, end.key.clone(), None));
        }
        for ((salesforce_id, key), target, why) in waiting {
            match why {
                // Its record may come with the next run of another pipeline: no failure that a person could mend.
                Waiting::NotThere | Waiting::NotShown => {}
                Waiting::Several(records) => self.fail(salesforce_id, ambiguous(&key, target, &records)),
                Waiting::NoAnswer => self.fail(salesforce_id, no_answer()),
            }
            self.commit.waiting.push((salesforce_id, key));
        }
        // First what is to go, so that a lookup that now leads to another object holds one association only.
        for (object, lookups) in remnants.into_iter().chain(by_object) {
            self.object(&object, lookups).await?;
        }
        Ok(())
    }

    /// Carries out lookups to one object. What HubSpot's answers leave open is looked up and done again.
    async fn object(&mut self, object: &Arc<str>, lookups: Vec<DueLookup>) -> Result<(), StageError> {
        let mut open = lookups;
        let mut sent = OpenCalls::default();
        for round in 0..ROUNDS_MAX {
            if open.is_empty() {
                return Ok(());
            }
            open = self.attempt(object, open, &mut sent, round == 0).await?;
            if !open.is_empty() {
                // What is settled counts as asked for in the next round.
                self.save().await?;
                self.readings.forget(object, open.iter().flat_map(ends_here));
            }
        }
        for lookup in open {
            self.set_aside(&lookup, unconfirmed());
        }
        Ok(())
    }

    /// One try for these lookups, the first or a later one; returns those whose outcome is open.
    async fn attempt(
        &mut self,
        object: &Arc<str>,
        lookups: Vec<DueLookup>,
        sent: &mut OpenCalls,
        is_first: bool,
    ) -> Result<Vec<DueLookup>, StageError> {
        let unread = self.readings.unread(object, lookups.iter().flat_map(ends_here));
        self.readings.read(self.cx, object, unread).await?;
        // What stands between records that no answer names is not known, so nothing of it is done.
        let is_answered = |lookup: &DueLookup| ends_here(lookup).all(|from| self.readings.is_answered(object, from));
        let (lookups, mut open) = parted(lookups, is_answered);
        let mut views = views(self.cx, object, &lookups, &self.readings).await?;
        if self.read_known_to_others(object, &views).await? {
            views = crate::stages::read::associations::views(self.cx, object, &lookups, &self.readings).await?;
        }
        if let Some(absent) = self.counts_lost.as_ref().filter(|_| is_first) {
            let lost = lost(self.cx, object, &lookups, (&self.readings, absent), is_seen(&views)).await?;
            self.delta.drifted += lost.len() as u64;
        }
        let mut planned = plan(&lookups, &views, object);
        crash_point!("associate.planned");
        let unanswered = open.iter().flat_map(ends_here).collect();
        sent.settle(&planned, &unanswered, &mut self.delta);
        self.commit.disowned.append(&mut planned.disowned);
        let (lookups, still) = self.remove(object, lookups, &planned, &mut views, sent).await?;
        open.extend(still);
        if !planned.remove.is_empty() {
            if !lookups.is_empty() {
                self.look_again(object, &lookups, &planned, &mut views, sent).await?;
            }
            // What still stands of before keeps its lookup from being carried out.
            planned = plan(&lookups, &views, object);
        }
        let outcomes = self.make(object, &lookups, &planned, sent).await?;
        open.extend(self.enter(object, lookups, planned, &outcomes));
        Ok(open)
    }

    /// Reads what stands of records that this run has made where somebody else asks for an association of theirs or has made
    /// one: then there may be labels to keep. Whether there were any.
    async fn read_known_to_others(&mut self, object: &Arc<str>, views: &PairViews) -> Result<bool, StageError> {
        let known = views.iter().filter(|(_, view)| view.owned || view.requested || !view.owned_labels.is_empty());
        let known: BTreeSet<HubspotId> =
            known.map(|((from, _), _)| from).filter(|from| self.readings.is_new(from)).cloned().collect();
        if known.is_empty() {
            return Ok(false);
        }
        self.readings.forget(object, known.iter());
        self.readings.read(self.cx, object, known.into_iter().collect()).await?;
        Ok(true)
    }

    /// Takes back what nobody asks for: lookups that are free to go on, and those whose removal is open. A removal that HubSpot
    /// refuses is a failure, and what stands stays ours.
    async fn remove(
        &mut self,
        object: &Arc<str>,
        lookups: Vec<DueLookup>,
        planned: &AssociationPlan,
        views: &mut PairViews,
        sent: &mut OpenCalls,
    ) -> Result<(Vec<DueLookup>, Vec<DueLookup>), StageError> {
        if planned.remove.is_empty() {
            return Ok((lookups, Vec::new()));
        }
        // What is on its way to be removed may be gone: should its lookup come back to it before the answer is noted, it is
        // looked up.
        let results = || lookups.iter().zip(&planned.results);
        let leaving = results().filter(|(_, result)| result.removes.is_some());
        let mut commit = self.checkpoint.commit(self.cx);
        commit.rechecks = leaving.map(|(lookup, _)| (lookup.salesforce_id, lookup.key.clone())).collect();
        self.writers.state.commit(commit).await.map_err(at)?;
        crash_point!("associate.removal_noted");
        let outcomes = self.send_splitting(object, &planned.remove, false).await?;
        crash_point!("associate.removed");
        sent.note(&planned.remove, &outcomes, false);
        self.delta.disassociated += count_done(&outcomes);
        for (change, outcome) in planned.remove.iter().zip(&outcomes) {
            if let PairOutcome::Refused(_) = outcome {
                continue;
            }
            // An open outcome counts as well: what may be gone is to be looked at.
            self.removed = true;
            self.commit.removed_from.push((change.key, change.pair.from.clone()));
            if *outcome == PairOutcome::Done {
                self.commit.disowned.extend(change.ownership.iter().cloned());
                self.readings.note_removed(object, &change.pair);
                let view = views.get_mut(&change.pair.from, &change.pair.to);
                view.into_iter().for_each(|view| take_out(view, &change.pair));
            }
        }
        let (mut free, mut open) = (Vec::new(), Vec::new());
        for (lookup, result) in lookups.into_iter().zip(&planned.results) {
            match result.removes.and_then(|place| outcomes.get(place)) {
                None | Some(PairOutcome::Done) => free.push(lookup),
                Some(PairOutcome::Unknown) => open.push(lookup),
                Some(PairOutcome::Refused(reason)) => self.set_aside(&lookup, (**reason).clone()),
            }
        }
        Ok((free, open))
    }

    /// Reads again what stands between records from which something was removed and that are to be associated in another way: a
    /// removal may have taken more than was known from this side. What no answer has said to be removed may be seen to be gone.
    async fn look_again(
        &mut self,
        object: &Arc<str>,
        lookups: &[DueLookup],
        planned: &AssociationPlan,
        known: &mut PairViews,
        sent: &mut OpenCalls,
    ) -> Result<(), StageError> {
        let removed: HashSet<_> = planned.remove.iter().map(|change| change.key).collect();
        let pairs = lookups.iter().filter_map(DueLookup::pair);
        let objects = pair_objects(self.cx, object);
        let keyed = pairs.map(|pair| (objects.key(&pair.0, &pair.1), pair.0)).filter(|(key, _)| removed.contains(key));
        let (again, from): (HashSet<PairKey>, BTreeSet<HubspotId>) = keyed.unzip();
        if from.is_empty() {
            return Ok(());
        }
        crash_point!("associate.looking_again");
        self.readings.forget(object, from.iter());
        self.readings.read(self.cx, object, from.iter().cloned().collect()).await?;
        let mut fresh = views(self.cx, object, lookups, &self.readings).await?;
        for (pair, view) in known.iter_mut().filter(|(pair, _)| from.contains(&pair.0)) {
            // What was removed is noted with this batch only, so ownership is taken from what is known already.
            if let Some(fresh) = fresh.get_mut(&pair.0, &pair.1) {
                view.types = fresh.types.take();
                // What was asked for of a pair that stood was not known.
                view.requested |= fresh.requested;
                view.requested_labels.append(&mut fresh.requested_labels);
            }
        }
        for change in planned.remove.iter().filter(|change| again.contains(&change.key)) {
            let pair = (change.pair.from.clone(), change.pair.to.clone());
            let is_seen = from.contains(&pair.0) && self.readings.is_answered(object, &pair.0);
            // Whatever is seen now, no later look tells more of it.
            let Some(view) = known.get_mut(&pair.0, &pair.1).filter(|_| is_seen && sent.removed.remove(&pair)) else {
                continue;
            };
            let still = match change.pair.types.as_slice() {
                [] => stands(Some(&*view), None),
                types => types.iter().any(|kind| stands(Some(&*view), Some(&kind.id()))),
            };
            if !still {
                self.delta.disassociated += 1;
                self.commit.disowned.extend(change.ownership.iter().cloned());
                take_out(view, &change.pair);
            }
        }
        Ok(())
    }

    /// Makes what is asked for and missing. It is noted as ours before the call, so that what is made in the moment of a crash is
    /// still known as ours.
    async fn make(
        &mut self,
        object: &Arc<str>,
        lookups: &[DueLookup],
        planned: &AssociationPlan,
        sent: &mut OpenCalls,
    ) -> Result<Vec<PairOutcome>, StageError> {
        self.commit.owned.extend(planned.owned.iter().cloned());
        if planned.make.is_empty() {
            return Ok(Vec::new());
        }
        let mut commit = self.checkpoint.commit(self.cx);
        // What is ours no longer must not take away what is about to become ours.
        commit.disowned = std::mem::take(&mut self.commit.disowned);
        commit.owned.reserve(planned.make.len());
        commit.owned.extend(planned.make.iter().flat_map(|change| change.ownership.iter().cloned()));
        // What is on its way to be made may stand: a lookup that asks for something else by the next run must lead back to it.
        let objects = pair_objects(self.cx, object);
        let making = lookups.iter().zip(&planned.results).filter(|(_, result)| result.waits_for.is_some());
        let making = making.filter_map(|(lookup, result)| Some((lookup, result.settled.as_ref()?)));
        commit.making.reserve(lookups.len());
        commit.making.extend(making.map(|(lookup, settled)| {
            let making = (objects.key(&settled.from, &settled.to), settled.clone());
            (lookup.salesforce_id, lookup.key.clone(), making)
        }));
        self.writers.state.commit(commit).await.map_err(at)?;
        crash_point!("associate.making_noted");
        let outcomes = self.send_splitting(object, &planned.make, true).await?;
        crash_point!("associate.made");
        sent.note(&planned.make, &outcomes, true);
        self.delta.associated += count_done(&outcomes);
        for (change, outcome) in planned.make.iter().zip(&outcomes) {
            match outcome {
                // It was noted as ours before the call, and does not stand.
                PairOutcome::Refused(_) => self.commit.disowned.extend(change.ownership.iter().cloned()),
                PairOutcome::Done => self.readings.note_made(object, &change.pair),
                PairOutcome::Unknown => {}
            }
        }
        Ok(outcomes)
    }

    /// Makes or removes associations; a call that is refused as a whole is split until the culprits stand alone.
    async fn send_splitting(
        &self,
        object: &str,
        changes: &[PairChange],
        make: bool,
    ) -> Result<Vec<PairOutcome>, StageError> {
        let target = &self.writers.target;
        let from_object = &*self.cx.pipeline.target.object_type_id;
        let mut outcomes = vec![PairOutcome::Unknown; changes.len()];
        // No document tells how many removals a call takes, so it gets fewer than one that makes.
        let most = if make { BATCH_PAIRS_MAX } else { PAIRS_REMOVED_MAX };
        let all: Vec<usize> = (0..changes.len()).collect();
        let mut parts: Vec<Vec<usize>> = all.chunks(most).rev().map(<[usize]>::to_vec).collect();
        while let Some(mut part) = parts.pop() {
            if make {
                self.refuse_full(object, changes, &mut part, &mut outcomes);
            }
            let pairs: Vec<PairTypes> = part.iter().map(|index| changes[*index].pair.clone()).collect();
            let call = match make {
                _ if pairs.is_empty() => continue,
                true => target.associate(from_object, object, &pairs),
                false => target.disassociate(from_object, object, &pairs),
            };
            match call.await {
                Ok(answers) => {
                    for (index, answer) in part.into_iter().zip(answers) {
                        outcomes[index] = answer;
                    }
                }
                Err(Fault::Reject(reason)) if part.len() == 1 => {
                    self.note_full(object, &pairs[0], &reason);
                    outcomes[part[0]] = PairOutcome::Refused(reason.into());
                }
                Err(Fault::Reject(_)) => {
                    let second = part.split_off(part.len() / 2);
                    parts.extend([second, part]);
                }
                Err(fault) => return Err(at(fault)),
            }
        }
        Ok(outcomes)
    }

    /// Refuses pairs with a record of which HubSpot has said in this run that it takes no more associations of these types, so that
    /// many of them take few calls.
    fn refuse_full(&self, object: &str, changes: &[PairChange], part: &mut Vec<usize>, outcomes: &mut [PairOutcome]) {
        if !self.checkpoint.has_full() {
            return;
        }
        part.retain(|index| {
            let ends = self.kinds_at_ends(object, &changes[*index].pair);
            match ends.iter().find_map(|what| self.checkpoint.full(what)) {
                Some(reason) => {
                    outcomes[*index] = PairOutcome::Refused(reason.into());
                    false
                }
                None => true,
            }
        });
    }

    /// What an association is to each of its records: limits are for a record and a type.
    fn kinds_at_ends(&self, object: &str, pair: &PairTypes) -> [String; 2] {
        let types: Vec<String> = pair.types.iter().map(|kind| kind.id().to_string()).collect();
        let types = types.join(" ");
        let own = &self.cx.pipeline.target.object_type_id;
        [format!("{own} {} to {object} {types}", pair.from), format!("{object} {} from {own} {types}", pair.to)]
    }

    /// Notes the record of a pair that takes no more associations, where HubSpot names it.
    fn note_full(&self, object: &str, pair: &PairTypes, reason: &Reason) {
        if reason.code != LIMIT_REACHED {
            return;
        }
        let names = |record: &HubspotId| {
            let record = record.text();
            reason.message.split(|letter: char| !letter.is_ascii_digit()).any(|number| number == &*record)
        };
        let [from, to] = self.kinds_at_ends(object, pair);
        match (names(&pair.from), names(&pair.to)) {
            (false, true) => self.checkpoint.add_full(to, reason),
            (true, false) => self.checkpoint.add_full(from, reason),
            // Which of the two it is, is not said.
            (true, true) | (false, false) => {}
        }
    }

    /// Enters what is settled; returns the lookups whose outcome is open.
    fn enter(
        &mut self,
        object: &Arc<str>,
        lookups: Vec<DueLookup>,
        planned: AssociationPlan,
        outcomes: &[PairOutcome],
    ) -> Vec<DueLookup> {
        let mut open = Vec::new();
        let objects = pair_objects(self.cx, object);
        if planned.make.is_empty() {
            self.commit.confirmed.reserve(lookups.len());
        } else {
            self.commit.settled.reserve(lookups.len());
        }
        for (lookup, result) in lookups.into_iter().zip(planned.results) {
            let outcome = result.waits_for.and_then(|place| outcomes.get(place));
            if outcome != Some(&PairOutcome::Unknown) {
                self.settle_first_end(lookup.salesforce_id);
            }
            match outcome {
                None | Some(PairOutcome::Done) => {
                    // Without failures there is none to resolve, which saves a write for every lookup.
                    if self.cx.failures_open && lookup.wanted.is_some() {
                        self.commit.resolved_associations.push(lookup.salesforce_id);
                    }
                    let DueLookup { salesforce_id, key, settled: before, .. } = lookup;
                    match result.settled {
                        Some(settled) if Some(&settled) == before.as_ref() => {
                            self.commit.confirmed.push((salesforce_id, key, settled.asked));
                        }
                        settled => {
                            let settled = settled.map(|settled| (objects.key(&settled.from, &settled.to), settled));
                            self.commit.settled.push((salesforce_id, key, settled));
                        }
                    }
                }
                Some(PairOutcome::Refused(reason)) => {
                    self.commit.settled.push((lookup.salesforce_id, lookup.key.clone(), None));
                    // The record at the other end may be gone: the next try does not trust what is remembered.
                    self.commit.rechecks.push((lookup.salesforce_id, lookup.key.clone()));
                    self.set_aside(&lookup, (**reason).clone());
                }
                // It may stand by now.
                Some(PairOutcome::Unknown) => open.push(DueLookup { settled: result.settled, ..lookup }),
            }
        }
        open
    }

    /// Settles the first end of a row of a junction object, whose association is settled with it.
    fn settle_first_end(&mut self, row: SalesforceId) {
        let (Some((from, _)), Some(end)) = (self.cx.pipeline.junction(), self.first_ends.remove(&row)) else { return };
        let settled = end.map(|(asked, record)| first_end(self.cx, asked, record));
        self.commit.settled.push((row, from.key.clone(), settled));
    }

    /// Sets a lookup aside: it is tried again later.
    fn set_aside(&mut self, lookup: &DueLookup, reason: Reason) {
        self.tried.push((lookup.salesforce_id, lookup.key.clone()));
        // A record that takes no more associations stands.
        if reason.code != LIMIT_REACHED {
            self.refused.push((lookup.salesforce_id, lookup.from.clone()));
        }
        self.commit.waiting.push((lookup.salesforce_id, lookup.key.clone()));
        self.fail(lookup.salesforce_id, reason);
    }

    fn fail(&mut self, salesforce_id: SalesforceId, reason: Reason) {
        self.delta.failed_associations += 1;
        // Until its name is known, which is asked for once for the whole batch.
        let title = salesforce_id.to_string();
        self.commit.failures.push(Failure { salesforce_id, title, reason, content: None, columns: Vec::new() });
    }

    /// Gives failures the names of their records: those that stand already have them, of the others Salesforce is asked.
    async fn name_failures(&mut self) -> Result<(), StageError> {
        if self.commit.failures.is_empty() {
            return Ok(());
        }
        let mut ids: Vec<SalesforceId> = self.commit.failures.iter().map(|failure| failure.salesforce_id).collect();
        ids.sort_unstable();
        ids.dedup();
        let known = self.cx.state.failures_of(&self.cx.pipeline.name, &ids).await.map_err(at)?.into_iter();
        let known = known.map(|row| (row.failure.salesforce_id, row.failure.title));
        // A title that is the id was noted when no name could be read.
        let mut names: HashMap<SalesforceId, String> = known.filter(|(id, title)| title != id.as_str()).collect();
        ids.retain(|id| !names.contains_key(id));
        names.extend(names::of(self.cx, &ids).await);
        for failure in &mut self.commit.failures {
            if let Some(name) = names.get(&failure.salesforce_id) {
                failure.title.clone_from(name);
            }
        }
        Ok(())
    }

    /// Saves what is done so far.
    pub(super) async fn save(&mut self) -> Result<(), StageError> {
        own_ends::doubt_moved(self.cx, self.writers, std::mem::take(&mut self.refused)).await?;
        self.name_failures().await?;
        self.commit.tally = self.checkpoint.add(std::mem::take(&mut self.delta));
        crash_point!("associate.saving");
        let commit = std::mem::replace(&mut self.commit, self.checkpoint.commit(self.cx));
        self.writers.state.commit(commit).await.map_err(at)
    }
}

/// The records at this end of what a lookup leads to and led to.
fn ends_here(lookup: &DueLookup) -> impl Iterator<Item = &HubspotId> {
    std::iter::once(&lookup.from).chain(lookup.settled.as_ref().map(|settled| &settled.from))
}

/// Calls of which the answer said nothing: the next look tells what became of them.
#[derive(Default)]
struct OpenCalls {
    made: HashSet<Pair>,
    removed: HashSet<Pair>,
}

impl OpenCalls {
    fn note(&mut self, changes: &[PairChange], outcomes: &[PairOutcome], make: bool) {
        let open = changes.iter().zip(outcomes).filter(|(_, outcome)| **outcome == PairOutcome::Unknown);
        let pairs = open.map(|(change, _)| (change.pair.from.clone(), change.pair.to.clone()));
        if make { self.made.extend(pairs) } else { self.removed.extend(pairs) }
    }

    /// Counts what a look has shown to be done.
    fn settle(&mut self, planned: &AssociationPlan, unanswered: &HashSet<&HubspotId>, delta: &mut Tally) {
        let is_done = |changes: &[PairChange], (from, to): &Pair| {
            !unanswered.contains(from)
                && !changes.iter().any(|change| change.pair.from == *from && change.pair.to == *to)
        };
        delta.associated += self.made.extract_if(|pair| is_done(&planned.make, pair)).count() as u64;
        delta.disassociated += self.removed.extract_if(|pair| is_done(&planned.remove, pair)).count() as u64;
    }
}

fn count_done(outcomes: &[PairOutcome]) -> u64 {
    outcomes.iter().filter(|outcome| **outcome == PairOutcome::Done).count() as u64
}

fn unconfirmed() -> Reason {
    Reason {
        code: "SL5113".to_owned(),
        remote_code: None,
        property: None,
        message: "HubSpot's answer did not mention this association, and it was not as requested when it was read back"
            .to_owned(),
        request_id: None,
    }
}

fn no_answer() -> Reason {
    Reason {
        code: "SL5114".to_owned(),
        remote_code: None,
        property: None,
        message: "HubSpot was asked several times for the record at the other end, and did not say whether it has it"
            .to_owned(),
        request_id: None,
    }
}

fn ambiguous(key: &AssociationKey, target: SalesforceId, records: &[HubspotId]) -> Reason {
    let names: Vec<String> = records.iter().take(5).map(HubspotId::to_string).collect();
    Reason {
        code: "SL5112".to_owned(),
        remote_code: None,
        property: key.0.split(['#', '@']).next().map(str::to_owned),
        message: format!("{} HubSpot records carry the Salesforce id {target}: {}", records.len(), names.join(", ")),
        request_id: None,
    }
}

pub(super) fn at<C: Into<crate::stages::StageCause>>(cause: C) -> StageError {
    StageError::at(StageName::Associate)(cause)
}
