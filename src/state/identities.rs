//! Identities: what is known of each Salesforce record in HubSpot.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use rusqlite::params;

use super::database::{Database, Standing};
use super::inserts::each_once;
use super::known::{self, Known, stands};
use super::pipelines::pipeline_id;
use super::{lookups, rows, unconfirmed};
use crate::model::identity::{Identity, MappingVersion, Membership, WrittenHash};
use crate::model::ids::{ById, HubspotId, PipelineName, SalesforceId};
use crate::ports::state::IdentityCounts;

/// The identities of these records.
pub fn read(
    database: &Database,
    pipeline: &PipelineName,
    ids: &[SalesforceId],
) -> rusqlite::Result<ById<SalesforceId, Identity>> {
    let mut found = ById::default();
    let Some(pipeline) = pipeline_id(database, pipeline)? else { return Ok(found) };
    let usual: Arc<str> = noted_match(database, pipeline)?.unwrap_or_default().into();
    found.reserve(ids.len());
    known::each_of(database, &database.numbered(pipeline, ids)?, |id, known| {
        let standing = database.standing(known.standing)?;
        let blank = standing.match_property.is_empty();
        let identity = Identity {
            salesforce_id: *id,
            hubspot_id: database.hubspot_id(known.hubspot_id)?,
            hash: WrittenHash(known.hash),
            mapping: MappingVersion(standing.mapping),
            membership: standing.membership,
            match_property: if blank { Arc::clone(&usual) } else { standing.match_property },
        };
        found.insert(*id, identity);
        Ok(())
    })?;
    Ok(found)
}

/// The HubSpot records that these are, or were, in any pipeline.
pub fn known(database: &Database, ids: &[SalesforceId]) -> rusqlite::Result<HashSet<(SalesforceId, HubspotId)>> {
    let mut statement = database.prepare_cached("SELECT id FROM pipelines")?;
    let pipelines: Vec<i64> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let mut found = HashSet::new();
    for pipeline in pipelines {
        known::each_of(database, &database.numbered(pipeline, ids)?, |id, known| {
            found.insert((*id, database.hubspot_id(known.hubspot_id)?));
            Ok(())
        })?;
    }
    Ok(found)
}

/// The Salesforce records of these HubSpot records, where they stand.
pub fn of_records(
    database: &Database,
    pipeline: &PipelineName,
    records: &[HubspotId],
) -> rusqlite::Result<Vec<(HubspotId, SalesforceId)>> {
    let Some(pipeline) = pipeline_id(database, pipeline)? else { return Ok(Vec::new()) };
    let mut numbers: Vec<(i64, i64)> = records.iter().map(|record| (record.number(), record.number())).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut of: HashMap<i64, Vec<i64>> = HashMap::new();
    known::records_of(database, &numbers, |hubspot_id, record| {
        of.entry(*hubspot_id).or_default().push(record);
        Ok(())
    })?;
    let mut found = Vec::new();
    for hubspot_id in records {
        for record in of.get(&hubspot_id.number()).into_iter().flatten() {
            let (owner, id) = database.id_of(*record)?;
            if owner == pipeline && known::standing_record(database, *record)?.is_some() {
                found.push((hubspot_id.clone(), id));
            }
        }
    }
    Ok(found)
}

/// Counts the identities of a pipeline.
pub fn counts(
    database: &Database,
    pipeline: &PipelineName,
    mapping: MappingVersion,
) -> rusqlite::Result<IdentityCounts> {
    let Some(pipeline) = pipeline_id(database, pipeline)? else { return Ok(IdentityCounts::default()) };
    let mut statement = database.prepare_cached(
        "SELECT coalesce(sum(records) FILTER (WHERE membership <> 'archived'), 0),
                coalesce(sum(records) FILTER (WHERE membership = 'live'), 0),
                coalesce(sum(records) FILTER (WHERE membership = 'live' AND mapping <> ?2), 0)
         FROM standings WHERE pipeline = ?1",
    )?;
    let counts = statement.query_row(params![pipeline, mapping.0], |row| {
        Ok(IdentityCounts {
            standing: rows::count(row, 0)?,
            live: rows::count(row, 1)?,
            behind: rows::count(row, 2)?,
            in_doubt: 0,
        })
    })?;
    let mut in_doubt = 0;
    unconfirmed::each(database, pipeline, None, |record| {
        in_doubt += u64::from(known::standing_record(database, record)?.is_none());
        Ok(true)
    })?;
    Ok(IdentityCounts { in_doubt, ..counts })
}

/// Live identities that were written under another mapping.
pub fn stale(
    database: &Database,
    pipeline: &PipelineName,
    mapping: MappingVersion,
    after: Option<SalesforceId>,
    limit: usize,
) -> rusqlite::Result<Vec<SalesforceId>> {
    list(database, pipeline, after, limit, |standing| {
        standing.membership == Membership::Live && standing.mapping != mapping.0
    })
}

/// Live records, by id, after the one given.
pub fn live(
    database: &Database,
    pipeline: &PipelineName,
    after: Option<SalesforceId>,
    limit: usize,
) -> rusqlite::Result<Vec<SalesforceId>> {
    list(database, pipeline, after, limit, |standing| standing.membership == Membership::Live)
}

/// Records that stand in some way, by id, after the one given.
fn list(
    database: &Database,
    pipeline: &PipelineName,
    after: Option<SalesforceId>,
    limit: usize,
    fits: impl Fn(&Standing) -> bool,
) -> rusqlite::Result<Vec<SalesforceId>> {
    let mut ids = Vec::new();
    let Some(pipeline) = pipeline_id(database, pipeline)? else { return Ok(ids) };
    let last = after.map(|after| database.record(pipeline, &after)).transpose()?.flatten();
    database.stretches(pipeline, after.as_ref(), |stretch| {
        known::walk(database, stretch.after(last), |known| {
            if ids.len() < limit && fits(&database.standing(known.standing)?) {
                ids.push(database.id_of(known.record)?.1);
            }
            Ok(if ids.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        Ok(ids.len() < limit)
    })?;
    Ok(ids)
}

/// Writes identities (insert or replace).
pub fn write(database: &Database, pipeline: i64, identities: &[Identity]) -> rusqlite::Result<()> {
    if identities.is_empty() {
        return Ok(());
    }
    let usual = usual_match(database, pipeline, &identities[0].match_property)?;
    let mut entry = Entry { database, pipeline, usual, met: None, changes: Vec::new(), waiting: None };
    let mut rows = Vec::with_capacity(identities.len());
    for identity in identities {
        let now = entry.known(identity)?;
        rows.push((now.record, (identity, now)));
    }
    rows.sort_by_key(|(record, _)| *record);
    let (first, again) = each_once(rows);
    entry.write(&first)?;
    // Of several of one record the last one counts.
    for row in again {
        entry.write(&[row])?;
    }
    let mut count = database.prepare_cached("UPDATE standings SET records = records + ?2 WHERE number = ?1")?;
    for (standing, change) in entry.changes.into_iter().filter(|(_, change)| *change != 0) {
        count.execute([standing, change])?;
    }
    Ok(())
}

/// A record's number, what is to be known of it, and that by numbers.
type Row<'a> = (i64, (&'a Identity, Known));

/// Identities on their way into the state.
struct Entry<'a> {
    database: &'a Database,
    pipeline: i64,
    usual: String,
    /// The property, membership and mapping that were met last, and the number of that standing.
    met: Option<(Arc<str>, Membership, MappingVersion, i64)>,
    /// By how much the number of records changes that stand in one way.
    changes: Vec<(i64, i64)>,
    /// Whether any lookup waits for its record, once that was asked.
    waiting: Option<bool>,
}

impl<'a> Entry<'a> {
    /// What is to be known of a record, by numbers.
    fn known(&mut self, identity: &Identity) -> rusqlite::Result<Known> {
        let record = self.database.ensure_record(self.pipeline, &identity.salesforce_id)?;
        let hubspot_id = self.database.ensure_hubspot_id(&identity.hubspot_id)?;
        let known = |standing| Known { record, hubspot_id, hash: identity.hash.0, standing };
        if let Some((property, membership, mapping, standing)) = &self.met
            && Arc::ptr_eq(property, &identity.match_property)
            && *membership == identity.membership
            && *mapping == identity.mapping
        {
            return Ok(known(*standing));
        }
        let is_usual = *identity.match_property == *self.usual;
        let property = if is_usual { "" } else { &*identity.match_property };
        let standing = Standing {
            pipeline: self.pipeline,
            membership: identity.membership,
            mapping: identity.mapping.0,
            match_property: property.into(),
        };
        let number = self.database.ensure_standing(&standing)?;
        self.met = Some((Arc::clone(&identity.match_property), identity.membership, identity.mapping, number));
        Ok(known(number))
    }

    /// Writes rows of different records, which are in order.
    fn write(&mut self, rows: &[Row<'a>]) -> rusqlite::Result<()> {
        let mut known: Vec<Option<Known>> = Vec::with_capacity(rows.len());
        known::change(self.database, rows, |(_, now), before| {
            known.push(before);
            Ok(Some(*now))
        })?;
        for ((record, (identity, now)), before) in rows.iter().zip(known) {
            if let Some(before) = before {
                self.count(before.standing, -1);
                if before.hubspot_id != now.hubspot_id {
                    lookups::keep_near_end(self.database, *record, before.hubspot_id)?;
                }
            }
            self.count(now.standing, 1);
            self.appeared(*record, identity, before, *now)?;
        }
        Ok(())
    }

    fn count(&mut self, standing: i64, change: i64) {
        match self.changes.iter_mut().find(|(number, _)| *number == standing) {
            Some((_, sum)) => *sum += change,
            None => self.changes.push((standing, change)),
        }
    }

    /// Tells the lookups that wait for a record that it has appeared, or came back as another one.
    fn appeared(
        &mut self,
        record: i64,
        identity: &Identity,
        before: Option<Known>,
        now: Known,
    ) -> rusqlite::Result<()> {
        let stood = match before {
            Some(before) => before.hubspot_id == now.hubspot_id && stands(self.database, before.standing)?,
            None => false,
        };
        if stood || identity.membership == Membership::Archived {
            return Ok(());
        }
        let waiting = match self.waiting {
            Some(waiting) => waiting,
            None => *self.waiting.insert(lookups::any_waits(self.database)?),
        };
        if waiting {
            lookups::wake(self.database, &identity.salesforce_id)?;
        }
        match before.filter(|before| before.hubspot_id != now.hubspot_id) {
            Some(before) => {
                lookups::replaced(self.database, (record, &identity.salesforce_id), before.hubspot_id, now.hubspot_id)
            }
            None => Ok(()),
        }
    }
}

/// The match property that the pipeline had first; where none is noted yet, that of the first identity.
fn usual_match(database: &Database, pipeline: i64, first: &str) -> rusqlite::Result<String> {
    if let Some(noted) = noted_match(database, pipeline)? {
        return Ok(noted);
    }
    remember_match(database, pipeline, first)?;
    Ok(first.to_owned())
}

fn noted_match(database: &Database, pipeline: i64) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT match_property FROM pipelines WHERE id = ?1";
    database.prepare_cached(sql)?.query_row([pipeline], |row| row.get(0))
}

/// Notes the match property that identities without one have: the first one that is told.
pub fn remember_match(database: &Database, pipeline: i64, property: &str) -> rusqlite::Result<()> {
    let sql = "UPDATE pipelines SET match_property = ?2 WHERE id = ?1 AND match_property IS NULL";
    database.prepare_cached(sql)?.execute(params![pipeline, property]).map(drop)
}
