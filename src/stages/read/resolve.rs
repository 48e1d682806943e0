//! Match, second half. In: records that state does not know. Out: a decision for each, by batch read on the match
//! property. Effect: none.

use std::collections::HashMap;
use std::sync::Arc;

use super::adoptable::{self, Adoptable};
use super::first_import;
use super::lookup::{by_match, by_property, match_property_gone, no_answer};
use crate::model::failure::Reason;
use crate::model::ids::{ById, HubspotId, SalesforceId};
use crate::plan::adoption::Turn;
use crate::plan::decide::{Action, Decision, Unresolved, adopt, from_target};
use crate::ports::fault::Fault;
use crate::ports::target::{Lookup, TargetRecord};
use crate::stages::{Stage, StageCause, StageContext, StageError, StageName};
use crate::sys::crash_point::crash_point;

/// The stage; a batch has at most [`crate::ports::target::BATCH_RECORDS_MAX`] records.
pub struct Resolve {
    /// The batch's place among those that take records over.
    pub turn: Turn,
}

impl Stage for Resolve {
    type In = Vec<Unresolved>;
    type Out = Vec<Decision>;
    const NAME: StageName = StageName::Match;

    async fn run(&self, cx: &StageContext, batch: Self::In) -> Result<Self::Out, StageError> {
        cx.confirm().await.map_err(StageError::at(Self::NAME))?;
        crash_point!("resolve.begun");
        let mut found = look_up(cx, &batch).await?;
        crash_point!("resolve.answered");
        let mut adoptable = self.look_for_adoptable(cx, &batch, &found).await?;
        let decide = |unresolved: Unresolved| match found.remove(&unresolved.candidate.record.id) {
            Some((Lookup::Found(record), key)) => from_target(&cx.pipeline, unresolved, Some(&record), key),
            Some((Lookup::Absent, _)) => match adoptable.remove(&unresolved.candidate.record.id) {
                Some(Adoptable::One(record)) => adopt(&cx.pipeline, unresolved, &record),
                Some(Adoptable::Several(records)) => not_adopted(unresolved, several(cx, &records)),
                Some(Adoptable::NoAnswer) => not_adopted(unresolved, no_answer()),
                None => from_target(&cx.pipeline, unresolved, None, None),
            },
            // The key is kept for those alone whose property HubSpot refused to search by.
            Some((Lookup::Unknown, Some(key))) => {
                Decision::new(unresolved.candidate, Action::Reject(match_property_gone(&key).into()))
            }
            // Writing or forgetting it now would rest on nothing.
            Some((Lookup::Unknown, _)) | None => {
                Decision::new(unresolved.candidate, Action::Reject(no_answer().into()))
            }
        };
        let decisions: Vec<Decision> = batch.into_iter().map(decide).collect();
        first_import::compare(cx, &decisions).await?;
        Ok(decisions)
    }
}

impl Resolve {
    /// Looks for records without a Salesforce id that the absent ones of a batch are to take over.
    async fn look_for_adoptable(
        &self,
        cx: &StageContext,
        batch: &[Unresolved],
        found: &ById<SalesforceId, LookupBy>,
    ) -> Result<ById<SalesforceId, Adoptable>, StageError> {
        let Some(adoption) = cx.pipeline.adoption.as_ref().filter(|_| !cx.vacant) else { return Ok(ById::default()) };
        // Only a record that is proved to be absent may take another over: else it could have two.
        let is_absent = |id: &SalesforceId| matches!(found.get(id), Some((Lookup::Absent, _)));
        let absent = batch.iter().filter(|unresolved| is_absent(&unresolved.candidate.record.id));
        let asked = absent.filter_map(|unresolved| Some((unresolved.candidate.record.id, unresolved.adopt_by()?)));
        adoptable::find(cx, adoption, &asked.collect::<Vec<_>>(), &self.turn).await
    }
}

/// A record that may neither be made nor take over another. HubSpot holds none under its match value: that much is known.
fn not_adopted(unresolved: Unresolved, reason: Reason) -> Decision {
    let clears_unconfirmed = unresolved.unconfirmed.is_some();
    Decision { clears_unconfirmed, ..Decision::new(unresolved.candidate, Action::Reject(reason.into())) }
}

/// Why a record is rejected that could take over several.
fn several(cx: &StageContext, records: &[HubspotId]) -> Reason {
    let property = cx.pipeline.adoption.as_ref().map(|adoption| adoption.property.to_string());
    let names: Vec<String> = records.iter().map(HubspotId::to_string).collect();
    let by = property.as_deref().unwrap_or_default();
    Reason {
        code: SEVERAL_TO_ADOPT.to_owned(),
        remote_code: None,
        message: format!(
            "several HubSpot records without a Salesforce id have its `{by}`, so it is not known which one to take over: {}; \
             merge them, or change `{by}` in all but one",
            names.join(", ")
        ),
        property,
        request_id: None,
    }
}

/// Code of [`several`].
const SEVERAL_TO_ADOPT: &str = "SL5123";

/// What HubSpot says of a record, and by which property, where that is not the one of today.
type LookupBy = (Lookup<TargetRecord>, Option<Arc<str>>);

/// Looks each record up by the property that names it: by the one under which it was written last, and where nothing stands
/// under that one, by the one of today.
async fn look_up(cx: &StageContext, batch: &[Unresolved]) -> Result<ById<SalesforceId, LookupBy>, StageError> {
    let properties = &cx.pipeline.properties;
    let mut by_earlier: HashMap<Arc<str>, Vec<SalesforceId>> = HashMap::new();
    for unresolved in batch {
        if let Some(key) = unresolved.earlier_key(&cx.pipeline) {
            by_earlier.entry(key).or_default().push(unresolved.candidate.record.id);
        }
    }
    let mut found: ById<SalesforceId, LookupBy> = ById::default();
    found.reserve(batch.len());
    for (key, ids) in by_earlier {
        match by_property(cx, &key, &ids, properties, Resolve::NAME).await {
            Ok(answers) => found.extend(answers.into_iter().map(|(id, lookup)| {
                let key = Some(Arc::clone(&key)).filter(|_| !lookup.is_unknown());
                (id, (lookup, key))
            })),
            // The property was archived: without it, nothing proves which record is which.
            Err(StageError { cause: StageCause::Remote(Fault::Reject(_)), .. }) => {
                found.extend(ids.into_iter().map(|id| (id, (Lookup::Unknown, Some(Arc::clone(&key))))));
            }
            Err(error) => return Err(error),
        }
    }
    let is_open = |unresolved: &&Unresolved| {
        found.get(&unresolved.candidate.record.id).is_none_or(|(lookup, _)| *lookup == Lookup::Absent)
    };
    let (asked, new): (Vec<&Unresolved>, Vec<&Unresolved>) = batch
        .iter()
        .filter(is_open)
        // Where nothing stood when the import began, nothing of what was never sent can stand.
        .partition(|unresolved| !cx.vacant || unresolved.unconfirmed.is_some() || unresolved.identity.is_some());
    let id = |unresolved: &Unresolved| unresolved.candidate.record.id;
    let rest: Vec<SalesforceId> = asked.into_iter().map(id).collect();
    found.extend(new.into_iter().map(|unresolved| (id(unresolved), (Lookup::Absent, None))));
    if !rest.is_empty() {
        let answers = by_match(cx, &rest, properties, Resolve::NAME).await?;
        found.extend(answers.into_iter().map(|(id, lookup)| (id, (lookup, None))));
    }
    Ok(found)
}
