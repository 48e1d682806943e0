//! Finds records that stand in HubSpot without a Salesforce id, by a value that they have in common with Salesforce's. By a batch
//! read where the property is unique, else in one listing of the object a run. Effect: none. HubSpot's search is never asked: its
//! index lags behind.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::model::ids::{HubspotId, SalesforceId};
use crate::pipeline::adoption::Adoption;
use crate::plan::adoption::{AdoptableRecords, hash};
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

/// Finds what can be taken over for these records, each with its value.
pub async fn find(
    cx: &StageContext,
    adoption: &Adoption,
    asked: &[(SalesforceId, &str)],
) -> Result<HashMap<SalesforceId, Adoptable>, StageError> {
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    let candidates = match adoption.unique {
        true => by_unique_property(cx, adoption, asked).await?,
        false => by_listing(cx, adoption, asked).await?,
    };
    let owners = owners(cx, &candidates).await?;
    let is_anothers =
        |record: &TargetRecord, id: SalesforceId| owners.get(&record.id).is_some_and(|owner| *owner != id);
    let mut found = HashMap::new();
    for (id, value) in asked {
        let Some(candidates) = candidates.get(*value) else { continue };
        let Some(candidates) = candidates else {
            found.insert(*id, Adoptable::NoAnswer);
            continue;
        };
        let match_property = &cx.pipeline.target.match_property;
        let fitting = candidates.iter().filter(|record| {
            adoption.fits(&record.properties, value, match_property, *id)
                && !is_anothers(record, *id)
                && cx.adoptable.is_free(&record.id, *id)
        });
        let fitting: Vec<&TargetRecord> = fitting.collect();
        match fitting.as_slice() {
            [] => {}
            [record] if cx.adoptable.take(&record.id, *id) => {
                found.insert(*id, Adoptable::One((*record).clone()));
            }
            [_] => {}
            several => {
                let records = several.iter().map(|record| record.id.clone()).collect();
                found.insert(*id, Adoptable::Several(records));
            }
        }
    }
    Ok(found)
}

/// The Salesforce records that are known to be kept in step with these, whatever their match property holds now: it may have been
/// cleared, or another one than they were written under.
async fn owners(cx: &StageContext, candidates: &ByValue) -> Result<HashMap<HubspotId, SalesforceId>, StageError> {
    let records: Vec<HubspotId> = candidates.values().flatten().flatten().map(|record| record.id.clone()).collect();
    if records.is_empty() {
        return Ok(HashMap::new());
    }
    let owners = cx.state.identities_of_records(&cx.pipeline.name, &records).await;
    Ok(owners.map_err(StageError::at(StageName::Match))?.into_iter().collect())
}

/// Records by value; none where no answer tells.
type ByValue = HashMap<String, Option<Vec<TargetRecord>>>;

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
            match lookup {
                Lookup::Found(record) => {
                    let known = found.entry((*value).to_owned()).or_insert_with(|| Some(Vec::new()));
                    known.iter_mut().for_each(|records| records.push(record.clone()));
                }
                Lookup::Unknown => drop(found.insert((*value).to_owned(), None)),
                Lookup::Absent => {}
            }
        }
    }
    Ok(found)
}

async fn by_listing(
    cx: &StageContext,
    adoption: &Adoption,
    asked: &[(SalesforceId, &str)],
) -> Result<ByValue, StageError> {
    let listed = cx.adoptable.listed.get_or_try_init(|| list(cx, adoption)).await?;
    let mut by_value: HashMap<&str, Vec<String>> = HashMap::new();
    for (_, value) in asked {
        let same = AdoptableRecords::of_value(listed, value);
        // Two are as many as ten thousand: too many to choose from.
        by_value.entry(value).or_insert_with(|| same.take(NAMED_MAX).map(HubspotId::to_string).collect());
    }
    let ids: BTreeSet<&String> = by_value.values().flatten().collect();
    let ids: Vec<String> = ids.into_iter().cloned().collect();
    let mut records: HashMap<&String, Lookup<TargetRecord>> = HashMap::new();
    for part in ids.chunks(BATCH_RECORDS_MAX) {
        records.extend(part.iter().zip(read(cx, adoption, RECORD_ID, part).await?));
    }
    let mut found = ByValue::new();
    for (value, ids) in by_value.into_iter().filter(|(_, ids)| !ids.is_empty()) {
        let lookups = || ids.iter().filter_map(|id| records.get(id));
        let unanswered = lookups().any(Lookup::is_unknown);
        let standing = lookups().filter_map(Lookup::found).cloned().collect();
        found.insert(value.to_owned(), Some(standing).filter(|_| !unanswered));
    }
    Ok(found)
}

/// Most records that are named of those that share a value.
const NAMED_MAX: usize = 6;

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

/// Lists all records of the object, and keeps those without a Salesforce id that have a value.
async fn list(cx: &StageContext, adoption: &Adoption) -> Result<Vec<(u64, HubspotId)>, StageError> {
    let target = &cx.pipeline.target;
    let properties = [Arc::clone(&adoption.property), Arc::clone(&target.match_property)];
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        if cx.cancel.is_cancelled() {
            return Err(StageError::at(StageName::Match)(crate::ports::fault::Fault::Cancelled));
        }
        let page = cx.target.list(&target.object_type_id, &properties, after.as_deref()).await;
        let page = page.map_err(StageError::at(StageName::Match))?;
        for record in page.records {
            let text = |name: &str| record.properties.get(name).and_then(Option::as_deref).map(str::trim);
            let is_whole = text(&target.match_property).is_some_and(|owner| owner.len() == 18);
            if let Some(value) = text(&adoption.property).filter(|value| !value.is_empty() && !is_whole) {
                listed.push((hash(&adoption.comparable(value)), record.id));
            }
        }
        after = page.next;
        if after.is_none() {
            listed.sort_unstable();
            return Ok(listed);
        }
    }
}
