//! Finds records that stand in HubSpot without a Salesforce id, by a value that they have in common with Salesforce's. By a batch
//! read where the property is unique, else in one listing of the object a run. Effect: fills directories of the run; safe to repeat.
//! HubSpot's search is never asked: its index lags behind.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::model::ids::{ById, HubspotId, SalesforceId};
use crate::pipeline::adoption::Adoption;
use crate::plan::adoption::{Turn, hash};
use crate::ports::state::StateError;
use crate::ports::target::{BATCH_RECORDS_MAX, Lookup, RECORD_ID, TargetRecord};
use crate::stages::{StageContext, StageError, StageName};

/// What can be taken over for a record; nothing where it is not named.
#[derive(Debug, Clone, PartialEq)]
pub enum Adoptable {
    /// This one.
    One(TargetRecord),
    /// Several have the value.
    Several(Vec<HubspotId>),
    /// HubSpot does not say whether one has it.
    NoAnswer,
}

/// Finds what can be taken over for these records, each with its value, in the order of their rows.
pub async fn find(
    cx: &StageContext,
    adoption: &Adoption,
    asked: &[(SalesforceId, &str)],
    turn: &Turn,
) -> Result<ById<SalesforceId, Adoptable>, StageError> {
    if asked.is_empty() {
        return Ok(ById::default());
    }
    cx.adopters.prepared.get_or_try_init(|| prepare(cx, adoption)).await?;
    let candidates = match adoption.unique {
        true => by_unique_property(cx, adoption, asked).await?,
        false => by_listing(cx, adoption, asked).await?,
    };
    if candidates.is_empty() {
        return Ok(ById::default());
    }
    let owners = owners(cx, &candidates).await?;
    // Only now: what can be read is read before, so that the order costs as little waiting as possible.
    turn.comes().await;
    let mut taken = taken(cx, &candidates).await?;
    let (mut found, mut more) = (ById::default(), Vec::new());
    for (id, value) in asked {
        let Some(candidates) = candidates.get(*value) else { continue };
        let is_anothers =
            |by: &HashMap<HubspotId, SalesforceId>, record: &HubspotId| by.get(record).is_some_and(|owner| owner != id);
        let fitting = candidates.records.iter().filter(|record| {
            adoption.fits(&record.properties, value, &cx.pipeline.target.match_property, *id)
                && !is_anothers(&owners, &record.id)
                && !is_anothers(&taken, &record.id)
        });
        let fitting: Vec<&TargetRecord> = fitting.collect();
        let adoptable = match fitting.as_slice() {
            // The one that is not answered for may fit as well.
            _ if candidates.unanswered => Adoptable::NoAnswer,
            // Those that are not looked at may fit as well.
            _ if candidates.beyond => Adoptable::Several(named(&candidates.records.iter().collect::<Vec<_>>())),
            [] => continue,
            [record] => {
                taken.insert(record.id.clone(), *id);
                more.push((taker_key(&record.id), HubspotId::new(id.as_str())));
                Adoptable::One((*record).clone())
            }
            several => Adoptable::Several(named(several)),
        };
        found.insert(*id, adoptable);
    }
    cx.directory.add(&takers_name(cx), &more).await.map_err(StageError::at(StageName::Match))?;
    Ok(found)
}

/// Most records that are named of those that share a value.
/// Enough for a person to find what they have in common.
const NAMED_MAX: usize = 6;

fn named(records: &[&TargetRecord]) -> Vec<HubspotId> {
    records.iter().take(NAMED_MAX).map(|record| record.id.clone()).collect()
}

/// The Salesforce records that are known to be kept in step with these, whatever their match property holds now: it may have been
/// cleared, or another one than they were written under.
async fn owners(cx: &StageContext, candidates: &ByValue) -> Result<HashMap<HubspotId, SalesforceId>, StageError> {
    let records: Vec<HubspotId> = all(candidates).map(|record| record.id.clone()).collect();
    if records.is_empty() {
        return Ok(HashMap::new());
    }
    let owners = cx.state.identities_of_records(&cx.pipeline.name, &records).await;
    Ok(owners.map_err(StageError::at(StageName::Match))?.into_iter().collect())
}

/// Which of these the run has taken over already, and for whom.
async fn taken(cx: &StageContext, candidates: &ByValue) -> Result<HashMap<HubspotId, SalesforceId>, StageError> {
    let keys: HashMap<SalesforceId, &HubspotId> =
        all(candidates).map(|record| (taker_key(&record.id), &record.id)).collect();
    let asked: Vec<SalesforceId> = keys.keys().copied().collect();
    let takers = cx.directory.find(&takers_name(cx), &asked).await.map_err(StageError::at(StageName::Match))?;
    let taken = takers
        .into_iter()
        .filter_map(|(key, takers)| Some(((*keys.get(&key)?).clone(), takers.first()?.text().parse().ok()?)));
    Ok(taken.collect())
}

fn all(candidates: &ByValue) -> impl Iterator<Item = &TargetRecord> {
    candidates.values().flat_map(|candidates| &candidates.records)
}

/// The directory of the records that a run has taken over, each with the Salesforce record that took it.
fn takers_name(cx: &StageContext) -> String {
    format!("takers:{}", cx.pipeline.name)
}

fn taker_key(record: &HubspotId) -> SalesforceId {
    SalesforceId::of_number(hash(&record.text()))
}

/// What HubSpot holds under a value.
#[derive(Debug, Default)]
struct Candidates {
    /// In the order of their ids.
    records: Vec<TargetRecord>,
    /// HubSpot does not say what it holds of one of them.
    unanswered: bool,
    /// More have the value than are looked at.
    beyond: bool,
}

/// Records by value.
type ByValue = HashMap<String, Candidates>;

/// An answer that says nothing about a value is kept as unknown: taken for “none”, it would create the record a second time.
async fn by_unique_property(
    cx: &StageContext,
    adoption: &Adoption,
    asked: &[(SalesforceId, &str)],
) -> Result<ByValue, StageError> {
    let values: BTreeMap<&str, &str> =
        asked.iter().flat_map(|(_, value)| adoption.keys(value).into_iter().map(|key| (key, *value))).collect();
    let keys: Vec<String> = values.keys().map(|key| (*key).to_owned()).collect();
    let mut found = ByValue::new();
    for part in keys.chunks(BATCH_RECORDS_MAX) {
        let read = read(cx, adoption, &adoption.property, part).await?;
        for (key, lookup) in part.iter().zip(read) {
            let Some(value) = values.get(key.as_str()) else { continue };
            enter(&mut found, value, lookup);
        }
    }
    Ok(found)
}

fn enter(found: &mut ByValue, value: &str, lookup: Lookup<TargetRecord>) {
    match lookup {
        Lookup::Found(record) => found.entry(value.to_owned()).or_default().records.push(record),
        Lookup::Unknown => found.entry(value.to_owned()).or_default().unanswered = true,
        Lookup::Absent => {}
    }
}

/// What the listing names is read again before it is taken over.
async fn by_listing(
    cx: &StageContext,
    adoption: &Adoption,
    asked: &[(SalesforceId, &str)],
) -> Result<ByValue, StageError> {
    let keys: BTreeMap<&str, SalesforceId> = asked.iter().map(|(_, value)| (*value, value_key(value))).collect();
    let asked: Vec<SalesforceId> = keys.values().copied().collect();
    let listed = cx.directory.find(&listed_name(cx), &asked).await.map_err(StageError::at(StageName::Match))?;
    let ids: BTreeSet<&HubspotId> = listed.values().flatten().collect();
    let ids: Vec<String> = ids.into_iter().map(HubspotId::to_string).collect();
    let mut records: HashMap<&str, Lookup<TargetRecord>> = HashMap::new();
    for part in ids.chunks(BATCH_RECORDS_MAX) {
        records.extend(part.iter().map(String::as_str).zip(read(cx, adoption, RECORD_ID, part).await?));
    }
    let mut found = ByValue::new();
    for (value, key) in keys {
        let Some(listed) = listed.get(&key) else { continue };
        for id in listed {
            enter(&mut found, value, records.get(&*id.text()).cloned().unwrap_or(Lookup::Unknown));
        }
        if let Some(candidates) = found.get_mut(value) {
            candidates.records.sort_by(|one, other| by_number(&one.id, &other.id));
            candidates.records.dedup_by(|one, other| one.id == other.id);
            candidates.beyond = listed.len() >= LISTED_MAX;
        }
    }
    Ok(found)
}

/// HubSpot's ids are numbers, so a longer one is a later one.
fn by_number(one: &HubspotId, other: &HubspotId) -> std::cmp::Ordering {
    let [one, other] = [one, other].map(HubspotId::text);
    (one.len(), &*one).cmp(&(other.len(), &*other))
}

/// Reads what HubSpot holds now of records that could be taken over.
async fn read(
    cx: &StageContext,
    adoption: &Adoption,
    key_property: &str,
    keys: &[String],
) -> Result<Vec<Lookup<TargetRecord>>, StageError> {
    let mut properties = cx.pipeline.properties.to_vec();
    if !properties.contains(&adoption.property) {
        properties.push(Arc::clone(&adoption.property));
    }
    let read = cx.target.read_by_key(&cx.pipeline.target.object_type_id, key_property, keys, &properties).await;
    read.map_err(StageError::at(StageName::Match))
}

/// Most records that are listed of those that share a value: so many are too many to choose from, as are ten thousand.
const LISTED_MAX: usize = 20;

/// The directory of records without a Salesforce id, by their value.
fn listed_name(cx: &StageContext) -> String {
    format!("adoptable:{}", cx.pipeline.name)
}

fn value_key(value: &str) -> SalesforceId {
    SalesforceId::of_number(hash(value))
}

/// Forgets what an earlier run has kept; lists the object where no batch read finds the records.
async fn prepare(cx: &StageContext, adoption: &Adoption) -> Result<(), StageError> {
    for name in [takers_name(cx), listed_name(cx)] {
        cx.directory.discard(&name).await.map_err(StageError::at(StageName::Match))?;
    }
    if adoption.unique { Ok(()) } else { list(cx, adoption).await }
}

/// Forgets what the run has kept.
pub async fn clear(cx: &StageContext) -> Result<(), StateError> {
    // What was never filled need not be emptied.
    if cx.adopters.prepared.initialized() {
        for name in [takers_name(cx), listed_name(cx)] {
            cx.directory.discard(&name).await?;
        }
    }
    Ok(())
}

/// Lists all records of the object, and keeps those without a Salesforce id that have a value.
async fn list(cx: &StageContext, adoption: &Adoption) -> Result<(), StageError> {
    let target = &cx.pipeline.target;
    let properties = [Arc::clone(&adoption.property), Arc::clone(&target.match_property)];
    let mut after = None;
    loop {
        // A listing of a large object takes minutes, in which a stop must be noticed.
        if cx.cancel.is_cancelled() {
            return Err(StageError::at(StageName::Match)(crate::ports::fault::Fault::Cancelled));
        }
        let page = cx.target.list(&target.object_type_id, &properties, after.as_deref()).await;
        let page = page.map_err(StageError::at(StageName::Match))?;
        let mut by_key: BTreeMap<SalesforceId, Vec<HubspotId>> = BTreeMap::new();
        for record in page.records {
            let text = |name: &str| record.properties.get(name).and_then(Option::as_deref).map(str::trim);
            // A record with a whole Salesforce id is somebody's already; one of 15 characters may be a person's own
            // note.
            let is_whole = text(&target.match_property).is_some_and(|owner| owner.len() == 18);
            if let Some(value) = text(&adoption.property).filter(|value| !value.is_empty() && !is_whole) {
                by_key.entry(value_key(&adoption.comparable(value))).or_default().push(record.id);
            }
        }
        keep(cx, by_key).await.map_err(StageError::at(StageName::Match))?;
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// Keeps so many of each value as are looked at.
async fn keep(cx: &StageContext, by_key: BTreeMap<SalesforceId, Vec<HubspotId>>) -> Result<(), StateError> {
    let keys: Vec<SalesforceId> = by_key.keys().copied().collect();
    let known = cx.directory.find(&listed_name(cx), &keys).await?;
    let entries = by_key.into_iter().flat_map(|(key, records)| {
        let room = LISTED_MAX.saturating_sub(known.get(&key).map_or(0, Vec::len));
        records.into_iter().take(room).map(move |record| (key, record))
    });
    cx.directory.add(&listed_name(cx), &entries.collect::<Vec<_>>()).await
}
