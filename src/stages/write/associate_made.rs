//! Associates records that the run has just made, while it goes on. In: what settled records ask for. Out: calls, each as full as it
//! may be. Effect: as [`super::associate`] says. What is left out here (as its record is not found, or HubSpot does not answer)
//! stays due in the state, from where the end of the run carries it out; so repeating this is safe, and so is dying in it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tracing::Instrument;

use crate::model::association::{Asked, AssociationKey};
use crate::model::ids::{HubspotId, SalesforceId};
use crate::pipeline::compiled::Association;
use crate::plan::associations::DueLookup;
use crate::plan::decide::Action;
use crate::ports::fault::Fault;
use crate::ports::target::{BATCH_PAIRS_MAX, BATCH_RECORDS_MAX};
use crate::stages::read::targets::{self, Hunt, TargetMatch};
use crate::stages::write::association_batch::AssociationBatch;
use crate::stages::write::checkpoint::Checkpoint;
use crate::stages::write::{Outcome, Settled};
use crate::stages::{StageCause, StageContext, StageError, StageName, Writers};
use crate::sys::crash_point::crash_point;

/// Most pairs that wait for their call; more are left to the end of the run.
/// Some megabytes; the state holds them anyway, so that nothing is lost by leaving the rest there.
const PAIRS_HELD_MAX: usize = 20_000;

/// Most lookups that are remembered as tried and set aside; the end of the run deals with all that come after.
const TRIED_MAX: usize = 100_000;

/// Associations of records that the run has made.
pub struct MadeAssociations {
    cx: StageContext,
    writers: Writers,
    checkpoint: Checkpoint,
    queue: Mutex<Queue>,
}

/// A lookup of a record that the run has made.
pub struct Made {
    record: SalesforceId,
    from: HubspotId,
    key: AssociationKey,
    asked: Asked,
}

#[derive(Default)]
struct Queue {
    /// HubSpot refused something that concerns more than a few pairs: the end of the run deals with it.
    closed: bool,
    /// Pairs that are held, calls under way included.
    held: usize,
    /// Records to look for, by the place of the first association that leads to such.
    unsought: BTreeMap<usize, Vec<SalesforceId>>,
    /// Lookups that wait for what is looked for; those of one pair stand side by side.
    waiting: HashMap<(usize, SalesforceId), Vec<Made>>,
    /// The pairs of those lookups.
    waiting_pairs: usize,
    /// Searches under way.
    searches: usize,
    /// Pairs to make, by the object at the other end.
    ready: BTreeMap<Arc<str>, Ready>,
}

/// Pairs to make.
#[derive(Default)]
struct Ready {
    /// Their lookups; those of one pair stand side by side.
    lookups: Vec<DueLookup>,
    pairs: usize,
}

impl Made {
    /// The lookups of the records of a settled batch that HubSpot's answer says were made, and that were never in HubSpot before.
    pub fn of(settled: &[Settled]) -> Vec<Self> {
        let mut made = Vec::with_capacity(settled.len());
        for Settled { decision, outcome } in settled {
            // Where HubSpot did not say that it made the record, it stood there, and its associations have to be read
            // first.
            let Outcome::Done { id: Some(id), created: Some(true) } = outcome else { continue };
            if decision.action != Action::Create || decision.hubspot_id.is_some() || decision.lost.is_some() {
                continue;
            }
            let lookups = decision.wanted.iter().filter_map(|(key, asked)| Some((key, asked.as_ref()?)));
            made.extend(lookups.map(|(key, asked)| Self {
                record: decision.id(),
                from: id.clone(),
                key: key.clone(),
                asked: asked.clone(),
            }));
        }
        made
    }

    /// Whether both lead from one record to one other.
    fn is_beside(&self, other: &Self) -> bool {
        self.record == other.record && self.asked.target == other.asked.target
    }

    fn ready(self, to: &HubspotId) -> DueLookup {
        let Self { record: salesforce_id, from, key, asked } = self;
        DueLookup { salesforce_id, key, from, wanted: Some((asked, to.clone())), settled: None }
    }
}

impl MadeAssociations {
    /// Of one run, or a part of it.
    pub fn new(cx: &StageContext, writers: &Writers, checkpoint: &Checkpoint) -> Self {
        // A row makes no record, and its association needs both ends.
        let queue = Queue { closed: cx.pipeline.is_junction, ..Queue::default() };
        Self { cx: cx.clone(), writers: writers.clone(), checkpoint: checkpoint.clone(), queue: Mutex::new(queue) }
    }

    /// Takes records in whose settlement is saved.
    pub fn add(&self, made: Vec<Made>) {
        let mut queue = self.queue();
        // What stands between two records of one object may have been made from the other side.
        let placed = made.into_iter().filter_map(|made| Some((self.place(&made.key)?, made)));
        let mut placed: Vec<(usize, Made)> = placed.collect();
        for record in placed.chunk_by_mut(|(_, one), (_, other)| one.record == other.record) {
            record.sort_by_key(|(place, made)| (*place, made.asked.target));
        }
        let mut placed = placed.into_iter().peekable();
        while let Some((place, first)) = placed.next() {
            if queue.closed || queue.held >= PAIRS_HELD_MAX {
                return;
            }
            queue.held += 1;
            let association = &self.cx.pipeline.associations[place];
            let target = first.asked.target;
            let known = targets::known(&self.cx, association, target);
            let mut pair = Some(first);
            while let Some(made) = pair {
                pair = placed.next_if(|(other, next)| *other == place && next.is_beside(&made)).map(|(_, next)| next);
                match &known {
                    Some(to) => queue.ready(association).lookups.push(made.ready(to)),
                    None => queue.wait(place, target, made),
                }
            }
            match known {
                Some(_) => queue.ready(association).pairs += 1,
                None => queue.waiting_pairs += 1,
            }
        }
    }

    /// The place of the first association that leads to the same records as this one; none where it leads to records of the
    /// pipeline's own object.
    fn place(&self, key: &AssociationKey) -> Option<usize> {
        let pipeline = &self.cx.pipeline;
        let association = pipeline.associations.iter().find(|association| association.key == *key)?;
        if *association.target.object_type_id() == pipeline.target.object_type_id {
            return None;
        }
        pipeline.associations.iter().position(|other| other.target == association.target)
    }

    /// The next call's work: a full one, or with `flush` what is left.
    pub fn next(&self, flush: bool) -> Option<BoxFuture<'_, Result<(), StageError>>> {
        let mut queue = self.queue();
        if let Some((object, lookups, pairs)) = queue.next_call(flush) {
            let marked = StageName::Associate.span(pairs);
            return Some(self.associate(object, lookups, pairs).instrument(marked).boxed());
        }
        // After the calls that are ready: those make room in the queue.
        let (place, ids) = queue.next_search(flush)?;
        let marked = StageName::Associate.span(ids.len());
        Some(self.search(place, ids).instrument(marked).boxed())
    }

    async fn search(&self, place: usize, ids: Vec<SalesforceId>) -> Result<(), StageError> {
        let association = &self.cx.pipeline.associations[place];
        // Without a listing: it could take minutes, while the run has records to write.
        let found = targets::find(&self.cx, association, &ids, Hunt { may_list: false, doubted: false }).await;
        crash_point!("associate.made_sought");
        let found = self.unless_refused(found)?.unwrap_or_default();
        let mut queue = self.queue();
        queue.searches -= 1;
        for id in ids {
            let waiting = queue.waiting.remove(&(place, id)).unwrap_or_default();
            let pairs = waiting.chunk_by(Made::is_beside).count();
            queue.waiting_pairs = queue.waiting_pairs.saturating_sub(pairs);
            match found.get(&id) {
                Some(TargetMatch::One(to)) => {
                    let ready = queue.ready(association);
                    ready.pairs += pairs;
                    ready.lookups.extend(waiting.into_iter().map(|made| made.ready(to)));
                }
                Some(TargetMatch::Many(_) | TargetMatch::NotShown | TargetMatch::NoAnswer) | None => {
                    queue.held -= pairs
                }
            }
        }
        Ok(())
    }

    async fn associate(&self, object: Arc<str>, lookups: Vec<DueLookup>, pairs: usize) -> Result<(), StageError> {
        let mut batch = AssociationBatch::new(&self.cx, &self.writers, &self.checkpoint);
        let done = batch.of_made(&object, lookups).await;
        let refused = batch.set_aside_so_far();
        if self.unless_refused(done)?.is_some() {
            crash_point!("associate.made_unsaved");
            batch.save().await?;
            if self.checkpoint.add_tried(refused) >= TRIED_MAX {
                self.queue().closed = true;
            }
        }
        self.queue().held -= pairs;
        Ok(())
    }

    /// What was done; none where HubSpot does not let it be done, which ends the work here: the end of the run says why.
    fn unless_refused<T>(&self, done: Result<T, StageError>) -> Result<Option<T>, StageError> {
        match done {
            Ok(done) => Ok(Some(done)),
            Err(StageError { cause: StageCause::Remote(fault), .. }) if !matches!(fault, Fault::Cancelled) => {
                tracing::debug!(%fault, "associations wait for the end of the run");
                let mut queue = self.queue();
                let searches = queue.searches;
                *queue = Queue { closed: true, searches, held: PAIRS_HELD_MAX, ..Queue::default() };
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn wait(&mut self, place: usize, target: SalesforceId, made: Made) {
        let waiting = self.waiting.entry((place, target)).or_default();
        // One search for all who wait for the same record.
        if waiting.is_empty() {
            self.unsought.entry(place).or_default().push(target);
        }
        waiting.push(made);
    }

    /// The pairs to make with records of the object that an association leads to.
    fn ready(&mut self, association: &Association) -> &mut Ready {
        let ready = self.ready.entry(Arc::clone(association.target.object_type_id())).or_default();
        if ready.lookups.is_empty() {
            // Those of a call: mostly there are as many, and it does not grow step by step.
            ready.lookups.reserve(BATCH_PAIRS_MAX);
        }
        ready
    }

    /// Pairs for a call: a full one, or what is left once nothing is looked for any more.
    fn next_call(&mut self, flush: bool) -> Option<(Arc<str>, Vec<DueLookup>, usize)> {
        let flush = flush && self.searches == 0 && self.unsought.values().all(Vec::is_empty);
        let full = |ready: &Ready| ready.pairs >= BATCH_PAIRS_MAX || (flush && ready.pairs > 0);
        let (object, ready) = self.ready.iter_mut().find(|(_, ready)| full(ready))?;
        let mut pairs = 0;
        let mut before: Option<(SalesforceId, &HubspotId)> = None;
        let end = ready.lookups.iter().position(|lookup| {
            let pair = lookup.wanted.as_ref().map(|(_, to)| (lookup.salesforce_id, to));
            pairs += usize::from(pair != before);
            before = pair;
            pairs > BATCH_PAIRS_MAX
        });
        let rest = ready.lookups.split_off(end.unwrap_or(ready.lookups.len()));
        let lookups = std::mem::replace(&mut ready.lookups, rest);
        let pairs = pairs.min(BATCH_PAIRS_MAX);
        ready.pairs = if ready.lookups.is_empty() { 0 } else { ready.pairs.saturating_sub(pairs) };
        Some((Arc::clone(object), lookups, pairs))
    }

    /// Records to look for: as many as a call takes, or what is left. Fewer, where so many pairs wait for them that they make a call.
    fn next_search(&mut self, flush: bool) -> Option<(usize, Vec<SalesforceId>)> {
        let few = flush || (self.searches == 0 && self.waiting_pairs >= BATCH_PAIRS_MAX);
        let full = |ids: &Vec<SalesforceId>| ids.len() >= BATCH_RECORDS_MAX || (few && !ids.is_empty());
        let (place, ids) = self.unsought.iter_mut().find(|(_, ids)| full(ids))?;
        self.searches += 1;
        Some((*place, ids.drain(..ids.len().min(BATCH_RECORDS_MAX)).collect()))
    }
}
