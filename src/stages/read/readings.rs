//! What stands between records and an object, as HubSpot said last. Rows of a junction object that lead from one record come in many
//! pages, while HubSpot tells only of all associations of a record: so pages share what was read of it, and what they have changed since.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};

use crate::model::association::{AssociationType, LabelId};
use crate::model::ids::{ById, HubspotId};
use crate::plan::associations::Pair;
use crate::ports::target::{Lookup, PAIRS_READ_MAX, PairTypes};
use crate::stages::{StageContext, StageError, StageName};
use crate::sys::clock::Mark;

/// Most reads of one batch under way.
/// Several batches are under way beside it, each with reads of its own.
const READS_IN_FLIGHT_MAX: usize = 4;

/// Most records that are kept for pages to come.
/// Some megabytes; beyond it those of [`FEW_PAIRS`] are let go, of which a thousand are read by one call.
const RECORDS_KEPT_MAX: usize = 10_000;

/// Most associations that are kept for pages to come, of all records together.
/// Some thirty megabytes; beyond it, records are read again when another page needs them.
const PAIRS_KEPT_MAX: usize = 200_000;

/// How long what was read of a record is trusted by other pages.
/// Labels that somebody else adds meanwhile would be replaced by a write that does not know them; to read the most that a record can have takes some seconds.
const READING_AGE_MAX: Duration = Duration::from_secs(60);

/// Associations of a record that fit into one page of an answer.
const FEW_PAIRS: usize = 100;

/// What stands between one record and an object.
#[derive(Debug, Default)]
struct Standing {
    /// As it was read, by ascending id of the other record: there may be a hundred thousand of them. None where no answer says.
    read: Option<Vec<PairTypes>>,
    /// When it was asked for; none where nothing was read yet.
    read_at: Option<Mark>,
    /// What became of single pairs since it was read, each with the number of its change.
    changed: BTreeMap<HubspotId, (u64, Option<Vec<AssociationType>>)>,
    changes: u64,
    /// How many pairs it was counted with.
    counted: usize,
}

impl Standing {
    fn types(&self, other: &HubspotId) -> Option<&[AssociationType]> {
        if let Some((_, types)) = self.changed.get(other) {
            return types.as_deref();
        }
        types_in(self.read.as_deref(), other)
    }

    fn change(&mut self, other: &HubspotId, types: Option<Vec<AssociationType>>) {
        self.changes += 1;
        self.changed.insert(other.clone(), (self.changes, types));
    }

    /// Takes in what was read. Of changes, those up to the beginning of the read are in it.
    fn enter(&mut self, read: Option<Vec<PairTypes>>, begun: u64, at: Option<Mark>) {
        self.changed.retain(|_, (number, _)| *number > begun);
        (self.read, self.read_at) = (read, at);
    }

    fn pairs(&self) -> usize {
        self.read.as_ref().map_or(0, Vec::len) + self.changed.len()
    }
}

/// What is known of one record.
#[derive(Debug)]
enum Reading {
    /// What was read of it, by ascending id of the other record; none where no answer says.
    Own(Option<Vec<PairTypes>>),
    /// What is read of it is shared with others.
    Shared(Arc<Record>),
}

impl Reading {
    /// What `look` finds in the types between the record and another one.
    fn types<T>(&self, other: &HubspotId, look: impl FnOnce(Option<&[AssociationType]>) -> T) -> T {
        match self {
            Self::Own(read) => look(types_in(read.as_deref(), other)),
            Self::Shared(record) => look(record.standing().types(other)),
        }
    }

    fn is_answered(&self) -> bool {
        match self {
            Self::Own(read) => read.is_some(),
            Self::Shared(record) => record.standing().read.is_some(),
        }
    }
}

/// The types between a record, of which this was read, and another one.
fn types_in<'a>(read: Option<&'a [PairTypes]>, other: &HubspotId) -> Option<&'a [AssociationType]> {
    let pairs = read?;
    pairs.binary_search_by(|known| known.to.cmp(other)).ok().map(|place| pairs[place].types.as_slice())
}

/// A record of which it is read what stands, by whoever comes first.
#[derive(Debug, Default)]
struct Record {
    turn: Arc<tokio::sync::Mutex<()>>,
    standing: Mutex<Standing>,
}

impl Record {
    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A record, and the object at the other end.
type RecordKey = (Arc<str>, HubspotId);

/// What was read of records from which rows of many pages lead.
#[derive(Debug, Default)]
pub struct SharedReadings(Mutex<Shared>);

#[derive(Debug, Default)]
struct Shared {
    records: HashMap<RecordKey, Arc<Record>>,
    /// How many associations those have, as they were counted last.
    pairs: usize,
}

impl SharedReadings {
    /// For a pipeline whose pages share readings: of rows of a junction object. Others have all lookups of a record in one page. Pairs of
    /// records of one object are seen from both sides, and what is noted at one would be missing at the other.
    pub fn of(cx: &StageContext) -> Option<Arc<Self>> {
        let (_, to) = cx.pipeline.junction()?;
        (**to.target.object_type_id() != *cx.pipeline.target.object_type_id).then(Arc::default)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, object: &Arc<str>, id: &HubspotId) -> Arc<Record> {
        Arc::clone(self.lock().records.entry((Arc::clone(object), id.clone())).or_default())
    }

    /// A page is done with these; as many are kept as there is room for.
    fn release(&self, done: Vec<(Arc<str>, ById<HubspotId, Reading>)>) {
        let mut shared = self.lock();
        let mut own: HashSet<RecordKey> = HashSet::new();
        for (object, records) in done {
            for (id, reading) in records {
                let Reading::Shared(record) = reading else { continue };
                let key = (Arc::clone(&object), id);
                if shared.records.get(&key).is_some_and(|known| Arc::ptr_eq(known, &record)) {
                    let mut standing = record.standing();
                    let pairs = standing.pairs();
                    shared.pairs = shared.pairs + pairs - std::mem::replace(&mut standing.counted, pairs);
                }
                own.insert(key);
            }
        }
        if shared.records.len() > RECORDS_KEPT_MAX {
            shared.let_go(&own, FEW_PAIRS);
        }
        if shared.pairs > PAIRS_KEPT_MAX {
            shared.let_go(&own, usize::MAX);
        }
    }
}

impl Shared {
    /// Lets records go that have no more associations than this. What was needed last stays, as it is the most likely to be needed next.
    fn let_go(&mut self, last: &HashSet<RecordKey>, most: usize) {
        let pairs = &mut self.pairs;
        self.records.retain(|key, record| {
            // Whoever is at work on a record holds it.
            let is_busy = Arc::strong_count(record) > 1;
            let counted = record.standing().counted;
            let stays = is_busy || last.contains(key) || counted > most;
            *pairs -= if stays { 0 } else { counted };
            stays
        });
    }
}

/// What stands between records, as far as it was read.
#[derive(Debug, Default)]
pub struct Readings {
    /// By the object at the other end: mostly there is one.
    by_object: Vec<(Arc<str>, ById<HubspotId, Reading>)>,
    shared: Option<Arc<SharedReadings>>,
    /// Where all records are new, of which nothing can stand yet: those that are to be read all the same.
    new_but: Option<HashSet<HubspotId>>,
    /// Records to be read again, whatever others have read.
    again: HashSet<RecordKey>,
}

impl Readings {
    /// Readings that are shared with others.
    pub fn shared(shared: Option<Arc<SharedReadings>>) -> Self {
        let mut readings = Self::default();
        readings.shared = shared;
        readings
    }

    /// Readings of records that were made just now: of none of them anything is read.
    pub fn of_new() -> Self {
        let mut readings = Self::default();
        readings.new_but = Some(HashSet::new());
        readings
    }

    /// Whether a record was made just now, so that nothing of it was read.
    pub fn is_new(&self, id: &HubspotId) -> bool {
        self.new_but.as_ref().is_some_and(|but| !but.contains(id))
    }

    /// Those of these records of which it is not known what stands between them and an object, each once and in ascending order.
    pub fn unread<'a>(&self, object: &Arc<str>, from: impl Iterator<Item = &'a HubspotId>) -> Vec<HubspotId> {
        let known = self.of_object(object);
        let is_known = |id: &HubspotId| self.is_new(id) || known.is_some_and(|known| known.contains_key(id));
        let mut unread: Vec<HubspotId> = from.filter(|id| !is_known(id)).cloned().collect();
        unread.sort_unstable();
        unread.dedup();
        unread
    }

    /// Reads what stands between an object and records, each once and in ascending order.
    pub async fn read(
        &mut self,
        cx: &StageContext,
        object: &Arc<str>,
        mut unread: Vec<HubspotId>,
    ) -> Result<(), StageError> {
        if unread.is_empty() {
            return Ok(());
        }
        let known = of_object(&mut self.by_object, object);
        let mut turns = Vec::new();
        if let Some(shared) = &self.shared {
            // In the order of the ids, so that two who wait for each other cannot be.
            for id in std::mem::take(&mut unread) {
                let record = shared.record(object, &id);
                let turn = Arc::clone(&record.turn).lock_owned().await;
                let again = self.again.remove(&(Arc::clone(object), id.clone()));
                let (is_fresh, changes) = {
                    let standing = record.standing();
                    let is_fresh = standing.read_at.is_some_and(|at| cx.clock.since(at) < READING_AGE_MAX);
                    (is_fresh, standing.changes)
                };
                if is_fresh && !again {
                    known.insert(id, Reading::Shared(record));
                } else {
                    turns.push((record, changes, turn));
                    unread.push(id);
                }
            }
        }
        if unread.is_empty() {
            return Ok(());
        }
        cx.confirm().await.map_err(at)?;
        let own = &cx.pipeline.target.object_type_id;
        let asked_at = cx.clock.mark();
        let parts = (0..).step_by(PAIRS_READ_MAX).zip(unread.chunks(PAIRS_READ_MAX));
        let reads =
            parts.map(|(first, ids)| async move { (first, ids, cx.target.associations(own, object, ids).await) });
        let mut reads = stream::iter(reads.collect::<Vec<_>>()).buffer_unordered(READS_IN_FLIGHT_MAX);
        known.reserve(unread.len());
        while let Some((first, ids, read)) = reads.next().await {
            for (place, (id, lookup)) in (first..).zip(ids.iter().zip(read.map_err(at)?)) {
                let pairs = match lookup {
                    Lookup::Found(mut pairs) => {
                        pairs.sort_unstable_by(|one, other| one.to.cmp(&other.to));
                        Some(pairs)
                    }
                    Lookup::Absent => Some(Vec::new()),
                    // Nothing known is not the same as nothing there: taken for it, labels would be replaced that
                    // nobody has seen.
                    Lookup::Unknown => None,
                };
                let reading = match turns.get(place) {
                    None => Reading::Own(pairs),
                    Some((record, begun, _)) => {
                        record.standing().enter(pairs, *begun, Some(asked_at));
                        Reading::Shared(Arc::clone(record))
                    }
                };
                known.insert(id.clone(), reading);
            }
        }
        drop(turns);
        Ok(())
    }

    /// Forgets what was read of these records.
    pub fn forget<'a>(&mut self, object: &Arc<str>, from: impl Iterator<Item = &'a HubspotId>) {
        let known = of_object(&mut self.by_object, object);
        for id in from {
            if let Some(but) = &mut self.new_but {
                but.insert(id.clone());
            }
            if known.remove(id).is_some() && self.shared.is_some() {
                self.again.insert((Arc::clone(object), id.clone()));
            }
        }
    }

    /// Takes a record to have no associations: it is yet to be made.
    pub fn assume_none(&mut self, object: &Arc<str>, from: &HubspotId) {
        of_object(&mut self.by_object, object).insert(from.clone(), Reading::Own(Some(Vec::new())));
    }

    /// Takes pairs of records with these to be gone.
    pub fn drop_targets(&mut self, object: &Arc<str>, gone: &HashSet<HubspotId>) {
        let drop_gone = |read: &mut Option<Vec<PairTypes>>| {
            read.iter_mut().for_each(|pairs| pairs.retain(|pair| !gone.contains(&pair.to)));
        };
        if gone.is_empty() {
            return;
        }
        for reading in of_object(&mut self.by_object, object).values_mut() {
            match reading {
                Reading::Own(read) => drop_gone(read),
                Reading::Shared(record) => drop_gone(&mut record.standing().read),
            }
        }
    }

    /// Whether an answer names the record.
    pub fn is_answered(&self, object: &Arc<str>, from: &HubspotId) -> bool {
        self.is_new(from) || self.reading(object, from).is_some_and(Reading::is_answered)
    }

    /// The types between two records, where they are associated.
    pub fn types(&self, object: &Arc<str>, pair: &Pair) -> Option<Vec<AssociationType>> {
        self.reading(object, &pair.0)?.types(&pair.1, |types| types.map(<[AssociationType]>::to_vec))
    }

    /// Whether two records are associated, under a label where one is asked for.
    pub fn stands(&self, object: &Arc<str>, (from, to): (&HubspotId, &HubspotId), label: Option<&LabelId>) -> bool {
        let is_it = |kind: &AssociationType| label.is_none_or(|label| kind.is(label));
        let stands =
            |types: Option<&[AssociationType]>| types.is_some_and(|types| label.is_none() || types.iter().any(is_it));
        self.reading(object, from).is_some_and(|reading| reading.types(to, stands))
    }

    /// Two records were associated so; labels that are not among these are gone.
    pub fn note_made(&self, object: &Arc<str>, made: &PairTypes) {
        let Some(mut standing) = self.shared_standing(object, &made.from) else { return };
        let before = standing.types(&made.to).unwrap_or_default();
        let mut types: Vec<AssociationType> = before.iter().filter(|kind| !kind.is_label()).cloned().collect();
        for kind in &made.types {
            if types.iter().all(|known| known.id() != kind.id()) {
                // Of what was sent, the words of a label may not be known.
                types.push(AssociationType { label: Some(kind.label.clone().unwrap_or_default()), ..kind.clone() });
            }
        }
        standing.change(&made.to, Some(types));
    }

    /// These types between two records were removed; all of them where none is named.
    pub fn note_removed(&self, object: &Arc<str>, removed: &PairTypes) {
        let Some(mut standing) = self.shared_standing(object, &removed.from) else { return };
        let goes = |kind: &AssociationType| removed.types.iter().any(|gone| gone.id() == kind.id());
        let left = standing.types(&removed.to).filter(|_| !removed.types.is_empty());
        let left = left.map(|types| types.iter().filter(|kind| !goes(kind)).cloned().collect());
        standing.change(&removed.to, left);
    }

    fn reading(&self, object: &Arc<str>, from: &HubspotId) -> Option<&Reading> {
        self.of_object(object)?.get(from)
    }

    fn of_object(&self, object: &Arc<str>) -> Option<&ById<HubspotId, Reading>> {
        self.by_object.iter().find(|(known, _)| known == object).map(|(_, records)| records)
    }

    /// What stands of a record that others are to know of; none where nobody else reads it here.
    fn shared_standing(&self, object: &Arc<str>, from: &HubspotId) -> Option<MutexGuard<'_, Standing>> {
        self.shared.as_ref()?;
        match self.reading(object, from)? {
            Reading::Own(_) => None,
            Reading::Shared(record) => Some(record.standing()),
        }
    }
}

/// What is known of records and an object.
fn of_object<'a>(
    all: &'a mut Vec<(Arc<str>, ById<HubspotId, Reading>)>,
    object: &Arc<str>,
) -> &'a mut ById<HubspotId, Reading> {
    let place = all.iter().position(|(known, _)| known == object).unwrap_or_else(|| {
        all.push((Arc::clone(object), ById::default()));
        all.len() - 1
    });
    &mut all[place].1
}

impl Drop for Readings {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.release(std::mem::take(&mut self.by_object));
        }
    }
}

fn at<C: Into<crate::stages::StageCause>>(cause: C) -> StageError {
    StageError::at(StageName::Associate)(cause)
}
