//! Finds the HubSpot records that lookups point at: from another pipeline's identities, by batch read on a unique property, or
//! from a directory that one paged listing fills, and searches afterwards. Effect: fills the directory; safe to repeat.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use crate::model::identity::Membership;
use crate::model::ids::{HubspotId, PipelineName, SalesforceId};
use crate::pipeline::compiled::{Association, AssociationTarget};
use crate::ports::fault::Fault;
use crate::ports::state::Listing;
use crate::ports::target::{BATCH_RECORDS_MAX, Lookup, RECORD_ID, SEARCH_VALUES_MAX, TargetRecord};
use crate::stages::{StageContext, StageError, StageName};
use crate::sys::crash_point::crash_point;

/// What a Salesforce id leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetMatch {
    /// One record.
    One(HubspotId),
    /// Several records carry the id.
    Many(Vec<HubspotId>),
    /// The search does not show one, and lags behind.
    NotShown,
    /// HubSpot does not say whether one carries it.
    NoAnswer,
}

/// Most reads of one search under way.
const READS_IN_FLIGHT_MAX: usize = 8;

/// How records are searched.
#[derive(Debug, Clone, Copy)]
pub struct Hunt {
    /// HubSpot may be searched, or listed once more, where the directory lacks one of them.
    pub may_list: bool,
    /// What is remembered is not trusted: HubSpot has shown that something moved.
    pub doubted: bool,
}

/// Finds the records of these Salesforce ids; those that are not there (yet) are left out.
pub async fn find(
    cx: &StageContext,
    association: &Association,
    ids: &[SalesforceId],
    hunt: Hunt,
) -> Result<HashMap<SalesforceId, TargetMatch>, StageError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    match &association.target {
        AssociationTarget::Pipeline { name, object_type_id } => by_pipeline(cx, name, object_type_id, ids, hunt).await,
        AssociationTarget::Property { object_type_id, property, unique: true } => {
            cx.confirm().await.map_err(StageError::at(StageName::Associate))?;
            by_unique_property(cx, object_type_id, property, ids, hunt.doubted).await
        }
        AssociationTarget::Property { object_type_id, property, unique: false } => {
            by_directory(cx, object_type_id, property, ids, hunt).await
        }
    }
}

/// The record of a Salesforce id, where this run has found it before.
pub fn known(cx: &StageContext, association: &Association, id: SalesforceId) -> Option<HubspotId> {
    match &association.target {
        AssociationTarget::Property { object_type_id, property, unique: true } => {
            cx.found_targets.get(object_type_id, property, id)
        }
        // The other ways read the state, which is quick and always up to date.
        AssociationTarget::Property { .. } | AssociationTarget::Pipeline { .. } => None,
    }
}

/// Stands for a HubSpot record that a run would make.
pub fn planned_id(id: SalesforceId) -> HubspotId {
    HubspotId::new(format!("planned:{id}"))
}

/// Whether an id stands for a record that a run would make.
pub fn is_planned(id: &HubspotId) -> bool {
    id.other().is_some_and(|id| id.starts_with("planned:"))
}

/// The directory in which a dry run notes the records that a pipeline would create.
pub fn planned_directory(pipeline: &PipelineName) -> String {
    format!("planned:{pipeline}")
}

/// The directory in which a dry run notes the records of an object that would be archived, by then with all their associations.
pub fn leaving_directory(object_type_id: &str) -> String {
    format!("leaving:{object_type_id}")
}

/// By another pipeline's identities: state knows the records that it wrote, and a dry run those that it would make or archive. In doubt,
/// HubSpot is asked for the records that carry the ids.
async fn by_pipeline(
    cx: &StageContext,
    pipeline: &PipelineName,
    object: &str,
    ids: &[SalesforceId],
    hunt: Hunt,
) -> Result<HashMap<SalesforceId, TargetMatch>, StageError> {
    let identities = cx.state.identities(pipeline, ids).await.map_err(StageError::at(StageName::Associate))?;
    let standing = identities.into_iter().filter(|(_, identity)| identity.membership != Membership::Archived);
    let mut found = HashMap::new();
    let mut doubted: HashMap<Arc<str>, Vec<SalesforceId>> = HashMap::new();
    let mut remembered = HashMap::new();
    for (id, identity) in standing {
        // Without a noted property there is nothing that HubSpot could be asked by.
        match hunt.doubted && !identity.match_property.is_empty() {
            true => {
                doubted.entry(identity.match_property).or_default().push(id);
                remembered.insert(id, identity.hubspot_id);
            }
            false => drop(found.insert(id, TargetMatch::One(identity.hubspot_id))),
        }
    }
    for (property, ids) in doubted {
        cx.confirm().await.map_err(StageError::at(StageName::Associate))?;
        found.extend(by_unique_property(cx, object, &property, &ids, true).await?);
    }
    if cx.dry {
        let planned = cx.directory.find(&planned_directory(pipeline), ids).await;
        for (id, records) in planned.map_err(StageError::at(StageName::Associate))? {
            // A record that would be made takes the place of the one that the state remembers.
            if let Some(made) = records.iter().find(|record| is_planned(record)) {
                found.insert(id, TargetMatch::One(made.clone()));
            // HubSpot has just been asked for the one that is remembered.
            } else if let Some(record) = records.into_iter().find(|record| remembered.get(&id) != Some(record)) {
                found.entry(id).or_insert(TargetMatch::One(record));
            }
        }
        let leaving = cx.directory.find(&leaving_directory(object), ids).await;
        for (id, records) in leaving.map_err(StageError::at(StageName::Associate))? {
            if matches!(found.get(&id), Some(TargetMatch::One(record)) if records.contains(record)) {
                found.remove(&id);
            }
        }
    }
    Ok(found)
}

/// By a batch read on a unique property, unless this run has found the record before and nothing is in doubt. An id that the answer
/// does not name is not taken for absent.
async fn by_unique_property(
    cx: &StageContext,
    object: &str,
    property: &Arc<str>,
    ids: &[SalesforceId],
    doubted: bool,
) -> Result<HashMap<SalesforceId, TargetMatch>, StageError> {
    let mut found = HashMap::new();
    let mut open: Vec<SalesforceId> = ids.to_vec();
    while !open.is_empty() {
        let turn = cx.found_targets.begin(object, property, &open, doubted);
        let asked: Vec<SalesforceId> = turn.asked().to_vec();
        ask(cx, object, property, &asked, &mut found).await?;
        let (known, elsewhere) = turn.end();
        found.extend(known.into_iter().map(|(id, record)| (id, TargetMatch::One(record))));
        // What another batch asks for at this moment comes with its answer.
        open = cx.found_targets.answered(object, property, elsewhere).await;
    }
    Ok(found)
}

/// Asks HubSpot which records hold these ids, and remembers them.
async fn ask(
    cx: &StageContext,
    object: &str,
    property: &Arc<str>,
    ids: &[SalesforceId],
    found: &mut HashMap<SalesforceId, TargetMatch>,
) -> Result<(), StageError> {
    let read = |part: Vec<SalesforceId>| async move {
        let keys: Vec<String> = part.iter().map(ToString::to_string).collect();
        let read = cx.target.read_by_key(object, property, &keys, std::slice::from_ref(property)).await;
        (part, read)
    };
    let reads: Vec<_> = ids.chunks(BATCH_RECORDS_MAX).map(|part| read(part.to_vec())).collect();
    let mut reads = stream::iter(reads).buffer_unordered(READS_IN_FLIGHT_MAX);
    while let Some((part, read)) = reads.next().await {
        for (id, lookup) in part.into_iter().zip(read.map_err(StageError::at(StageName::Associate))?) {
            match lookup {
                Lookup::Found(record) => {
                    cx.found_targets.put(object, property, id, &record.id);
                    found.insert(id, TargetMatch::One(record.id));
                }
                Lookup::Unknown => drop(found.insert(id, TargetMatch::NoAnswer)),
                Lookup::Absent => {}
            }
        }
    }
    Ok(())
}

/// By a directory of all records of the object, as no batch read finds them by a property that is not unique.
async fn by_directory(
    cx: &StageContext,
    object: &str,
    property: &Arc<str>,
    ids: &[SalesforceId],
    hunt: Hunt,
) -> Result<HashMap<SalesforceId, TargetMatch>, StageError> {
    let name = format!("{}:{object}:{property}", cx.pipeline.target.connection);
    let at = StageError::at::<crate::ports::state::StateError>;
    if cx.directory.filled(&name).await.map_err(at(StageName::Associate))?.is_none() {
        list(cx, &name, object, property, |_| false).await?;
    }
    let mut found = cx.directory.find(&name, ids).await.map_err(at(StageName::Associate))?;
    // Of several records that carry one id, some may be gone or merged by now: somebody was asked to see to that. Once in a run
    // HubSpot says so.
    let several = |id: SalesforceId, records: &[HubspotId]| {
        records.len() > 1 && !cx.found_targets.are_several(object, property, id)
    };
    let doubted = found.iter().filter(|(id, records)| hunt.doubted || several(**id, records));
    let doubted: Vec<(SalesforceId, HubspotId)> =
        doubted.flat_map(|(id, records)| records.iter().map(|record| (*id, record.clone()))).collect();
    let gone = forget_moved(cx, &name, object, property, &doubted).await?;
    let moved = !gone.is_empty();
    if moved {
        found = cx.directory.find(&name, ids).await.map_err(at(StageName::Associate))?;
    }
    let missing = |found: &HashMap<SalesforceId, Vec<HubspotId>>| -> Vec<SalesforceId> {
        ids.iter().filter(|id| !found.contains_key(id)).copied().collect()
    };
    let (mut open, mut not_shown) = (missing(&found), Vec::new());
    let listed = cx.found_targets.is_listed(&name) && !moved;
    if (hunt.may_list || moved) && !open.is_empty() && !listed {
        if let Some(shown) = search(cx, &name, object, property, &open).await? {
            if shown {
                found = cx.directory.find(&name, ids).await.map_err(at(StageName::Associate))?;
                open = missing(&found);
            }
            not_shown = open;
            // Of a record that has moved, an association may stand: only a listing proves that none carries the id.
            open = not_shown.extract_if(.., |id| gone.contains(id)).collect();
        }
        if !open.is_empty() {
            list(cx, &name, object, property, |listing| !may_repeat(listing, cx.clock.now())).await?;
            found = cx.directory.find(&name, ids).await.map_err(at(StageName::Associate))?;
            not_shown.retain(|id| !found.contains_key(id));
        }
    }
    for (id, _) in found.iter().filter(|(_, records)| records.len() > 1) {
        cx.found_targets.put_several(object, property, *id);
    }
    let matched = found.into_iter().filter_map(|(id, mut records)| match records.len() {
        0 => None,
        1 => records.pop().map(|record| (id, TargetMatch::One(record))),
        _ => Some((id, TargetMatch::Many(records))),
    });
    Ok(matched.chain(not_shown.into_iter().map(|id| (id, TargetMatch::NotShown))).collect())
}

/// Asks HubSpot's search for ids that a directory lacks. What it shows is read by its id, and added where it holds the id to the letter:
/// the search lags behind, and takes upper for lower case. Whether anything was added; none where a listing takes no longer, or no search
/// is to be had.
async fn search(
    cx: &StageContext,
    name: &str,
    object: &str,
    property: &Arc<str>,
    ids: &[SalesforceId],
) -> Result<Option<bool>, StageError> {
    let at = StageError::at::<crate::ports::state::StateError>;
    let Some(listing) = cx.directory.filled(name).await.map_err(at(StageName::Associate))? else { return Ok(None) };
    let (open, before) = cx.found_targets.unsought(name, ids);
    let searches = open.len().div_ceil(IDS_OF_A_SEARCH) as u64;
    if searches > 0 && before.saturating_add(searches).saturating_mul(PAGES_OF_A_SEARCH) > listing.pages {
        return Ok(None);
    }
    if searches > 0 {
        cx.confirm().await.map_err(StageError::at(StageName::Associate))?;
    }
    let search = |part: &[SalesforceId]| {
        let values: Vec<String> =
            part.iter().flat_map(|id| [id.as_str(), &id.as_str()[..15]].map(str::to_owned)).collect();
        async move { cx.target.search(object, property, &values).await }
    };
    let calls: Vec<_> = open.chunks(IDS_OF_A_SEARCH).map(search).collect();
    let mut calls = stream::iter(calls).buffer_unordered(READS_IN_FLIGHT_MAX);
    let mut shown = Vec::new();
    while let Some(answer) = calls.next().await {
        let records = match answer {
            // What cannot be searched for can be listed, or else that says why it cannot.
            Err(fault @ (Fault::Reject(_) | Fault::Halt(_))) => {
                tracing::debug!(object, property = &**property, %fault, "the search is refused");
                return Ok(None);
            }
            answer => answer.map_err(StageError::at(StageName::Associate))?,
        };
        let entry = |record: TargetRecord| Some((salesforce_id(record.properties.get(&**property))?, record.id));
        shown.extend(records.into_iter().filter_map(entry).filter(|(id, _)| open.contains(id)));
    }
    crash_point!("targets.searched");
    let (holders, _) = holders(cx, object, property, &shown).await?;
    cx.directory.add(name, &holders).await.map_err(at(StageName::Associate))?;
    cx.found_targets.put_sought(name, &open, searches);
    Ok(Some(!holders.is_empty()))
}

/// Two forms of an id are searched for, as HubSpot may hold it with 15 characters: together as many values as one search takes.
const IDS_OF_A_SEARCH: usize = SEARCH_VALUES_MAX / 2;

/// In the time of one search, four of which are made in a second, so many pages are listed under the usual limit of 19 calls a second.
const PAGES_OF_A_SEARCH: u64 = 5;

/// Asks HubSpot for records that a directory names, and forgets those that are gone or carry another id: the ids of which there were
/// some.
async fn forget_moved(
    cx: &StageContext,
    name: &str,
    object: &str,
    property: &Arc<str>,
    entries: &[(SalesforceId, HubspotId)],
) -> Result<HashSet<SalesforceId>, StageError> {
    if entries.is_empty() {
        return Ok(HashSet::new());
    }
    cx.confirm().await.map_err(StageError::at(StageName::Associate))?;
    // What is forgotten without need is found again.
    let (_, moved) = holders(cx, object, property, entries).await?;
    cx.directory.forget(name, &moved).await.map_err(StageError::at(StageName::Associate))?;
    Ok(moved.into_iter().map(|(id, _)| id).collect())
}

/// Parts these into records that hold the id, as HubSpot says now, and those of which it does not say so.
async fn holders(
    cx: &StageContext,
    object: &str,
    property: &Arc<str>,
    entries: &[(SalesforceId, HubspotId)],
) -> Result<(Entries, Entries), StageError> {
    let (mut holders, mut others) = (Vec::new(), Vec::new());
    for part in entries.chunks(BATCH_RECORDS_MAX) {
        let mut records: Vec<String> = part.iter().map(|(_, record)| record.to_string()).collect();
        records.sort_unstable();
        records.dedup();
        let read = cx.target.read_by_key(object, RECORD_ID, &records, std::slice::from_ref(property)).await;
        let read = read.map_err(StageError::at(StageName::Associate))?;
        let read: HashMap<String, Lookup<_>> = records.into_iter().zip(read).collect();
        for (id, record) in part {
            let holds = match read.get(&*record.text()) {
                Some(Lookup::Found(held)) => {
                    held.id == *record && salesforce_id(held.properties.get(&**property)) == Some(*id)
                }
                // The old id of a merged record is answered by the record that is left, or by nothing.
                Some(Lookup::Absent | Lookup::Unknown) | None => false,
            };
            let side = if holds { &mut holders } else { &mut others };
            side.push((*id, record.clone()));
        }
    }
    Ok((holders, others))
}

/// Records by the Salesforce ids that they hold.
type Entries = Vec<(SalesforceId, HubspotId)>;

/// Whether a directory may be listed once more: a short one always, a long one when many times its own duration has
/// passed, so that waiting associations never use up the portal's calls.
fn may_repeat(listing: Listing, now: Timestamp) -> bool {
    let pause = Duration::from_secs(PAUSE_SECONDS_PER_PAGE.saturating_mul(listing.pages));
    listing.pages <= PAGES_SHORT || listing.at.saturating_add(pause).is_ok_and(|next| next <= now)
}

/// A listing of so many pages costs less than what it finds.
const PAGES_SHORT: u64 = 10;

/// At two seconds a page, listings take one call of the usual 38 of that time.
const PAUSE_SECONDS_PER_PAGE: u64 = 2;

/// Reads all records of the object, page by page, into a draft that then takes the directory's place. Nothing is read
/// where the listing that is there will do: another batch or pipeline may have made it meanwhile.
async fn list(
    cx: &StageContext,
    name: &str,
    object: &str,
    property: &Arc<str>,
    will_do: impl Fn(Listing) -> bool,
) -> Result<(), StageError> {
    let at = StageError::at::<crate::ports::state::StateError>;
    let before = cx.directory.filled(name).await.map_err(at(StageName::Associate))?;
    let _turn = cx.directory.turn(name).await;
    // Looked at once more, as the listing that was waited for may be the one that is needed.
    let filled = cx.directory.filled(name).await.map_err(at(StageName::Associate))?;
    if filled.is_some_and(|listing| will_do(listing) || filled != before) {
        return Ok(());
    }
    cx.confirm().await.map_err(StageError::at(StageName::Associate))?;
    // Beside the directory: a listing that breaks off must not leave a part that looks whole.
    let draft = format!("{name}#{}", cx.run);
    cx.directory.discard(&draft).await.map_err(at(StageName::Associate))?;
    crash_point!("targets.listing");
    let (mut after, mut pages) = (None, 0);
    loop {
        let page = cx.target.list(object, std::slice::from_ref(property), after.as_deref()).await;
        let page = page.map_err(StageError::at(StageName::Associate))?;
        let entries: Vec<(SalesforceId, HubspotId)> = page
            .records
            .into_iter()
            .filter_map(|record| Some((salesforce_id(record.properties.get(&**property))?, record.id)))
            .collect();
        cx.directory.add(&draft, &entries).await.map_err(at(StageName::Associate))?;
        pages += 1;
        after = page.next;
        crash_point!("targets.page_listed");
        if after.is_none() {
            let listing = Listing { at: cx.clock.now(), pages };
            cx.found_targets.put_listed(name);
            return cx.directory.publish(&draft, name, listing).await.map_err(at(StageName::Associate));
        }
    }
}

/// The Salesforce id in a property; 15-character ids are widened, anything else is no id.
fn salesforce_id(value: Option<&Option<String>>) -> Option<SalesforceId> {
    value?.as_deref()?.trim().parse().ok()
}
