//! Identities: what is known of each Salesforce record in HubSpot.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rusqlite::{CachedStatement, OptionalExtension, params};

use super::database::{Database, Standing, each_of};
use super::pipelines::pipeline_id;
use super::{lookups, rows, unconfirmed};
use crate::model::identity::{ContentHash, Identity, MappingVersion, Membership};
use crate::model::ids::{HubspotId, PipelineName, SalesforceId};
use crate::ports::state::IdentityCounts;

const READ: &str =
    "SELECT record, hubspot_id, hash, standing FROM identities WHERE record >= ?1 AND record <= ?2 ORDER BY record";

/// The identities of these records.
pub fn read(
    database: &Database,
    pipeline: &PipelineName,
    ids: &[SalesforceId],
) -> rusqlite::Result<HashMap<SalesforceId, Identity>> {
    let Some(pipeline) = pipeline_id(database, pipeline)? else { return Ok(HashMap::new()) };
    let usual: Arc<str> = noted_match(database, pipeline)?.unwrap_or_default().into();
    let mut found = HashMap::with_capacity(ids.len());
    each_of(database, READ, 0, &database.numbered(pipeline, ids)?, |id, row| {
        let standing = database.standing(row.get(3)?)?;
        let blank = standing.match_property.is_empty();
        let identity = Identity {
            salesforce_id: *id,
            hubspot_id: database.hubspot_id(row.get(1)?)?,
            hash: ContentHash(rows::bytes(2, row.get_ref(2)?.as_blob()?)?),
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
    let mut known = HashSet::new();
    for pipeline in pipelines {
        each_of(database, READ, 0, &database.numbered(pipeline, ids)?, |id, row| {
            known.insert((*id, database.hubspot_id(row.get(1)?)?));
            Ok(())
        })?;
    }
    Ok(known)
}

/// The Salesforce records of these HubSpot records, where they stand.
pub fn of_records(
    database: &Database,
    pipeline: &PipelineName,
    records: &[HubspotId],
) -> rusqlite::Result<Vec<(HubspotId, SalesforceId)>> {
    let Some(pipeline) = pipeline_id(database, pipeline)? else { return Ok(Vec::new()) };
    let mut statement = database.prepare_cached("SELECT record, standing FROM identities WHERE hubspot_id = ?1")?;
    let mut found = Vec::new();
    for record in records {
        let mut identities = statement.query([record.number()])?;
        while let Some(row) = identities.next()? {
            let (of, id) = database.id_of(row.get(0)?)?;
            if of == pipeline && stands(database, row.get(1)?)? {
                found.push((record.clone(), id));
            }
        }
    }
    Ok(found)
}

/// Whether a record that stands so is in HubSpot.
pub fn stands(database: &Database, standing: i64) -> rusqlite::Result<bool> {
    Ok(database.standing(standing)?.membership != Membership::Archived)
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
    let mut standing_of = database.prepare_cached("SELECT standing FROM identities WHERE record = ?1")?;
    let mut in_doubt = 0;
    unconfirmed::each(database, pipeline, None, |record| {
        let standing: Option<i64> = standing_of.query_row([record], |row| row.get(0)).optional()?;
        in_doubt += u64::from(!standing.map(|standing| stands(database, standing)).transpose()?.unwrap_or(false));
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
    let mut statement = database
        .prepare_cached("SELECT record, standing FROM identities WHERE record >= ?1 AND record < ?2 ORDER BY record")?;
    let last = after.map(|after| database.record(pipeline, &after)).transpose()?.flatten();
    database.stretches(pipeline, after.as_ref(), |stretch| {
        let records = stretch.after(last);
        let mut found = statement.query([records.start, records.end])?;
        while ids.len() < limit
            && let Some(row) = found.next()?
        {
            if fits(&database.standing(row.get(1)?)?) {
                ids.push(database.id_of(row.get(0)?)?.1);
            }
        }
        Ok(ids.len() < limit)
    })?;
    Ok(ids)
}

/// What was known of a record before it is written.
#[derive(Debug, Clone, Copy)]
struct Before {
    hubspot_id: i64,
    standing: i64,
}

/// Writes identities (insert or replace).
pub fn write(database: &Database, pipeline: i64, identities: &[Identity]) -> rusqlite::Result<()> {
    if identities.is_empty() {
        return Ok(());
    }
    let usual = usual_match(database, pipeline, &identities[0].match_property)?;
    let mut new = Vec::with_capacity(identities.len());
    for identity in identities {
        new.push((database.ensure_record(pipeline, &identity.salesforce_id)?, identity));
    }
    // Of several of one record the last one counts.
    new.sort_by_key(|(record, _)| *record);
    let mut records: Vec<(i64, i64)> = new.iter().map(|(record, _)| (*record, *record)).collect();
    records.dedup();
    let mut known: HashMap<i64, Before> = HashMap::new();
    each_of(database, READ, 0, &records, |record, row| {
        known.insert(*record, Before { hubspot_id: row.get(1)?, standing: row.get(3)? });
        Ok(())
    })?;
    let insert = "INSERT INTO identities (record, hubspot_id, hash, standing) VALUES (?1, ?2, ?3, ?4)";
    let insert = database.prepare_cached(insert)?;
    let (blank, changes) = (Arc::default(), HashMap::new());
    let mut entry = Entry { database, insert, pipeline, usual, blank, changes, waiting: None };
    for (record, identity) in new {
        let now = entry.write(record, identity, known.get(&record).copied())?;
        if records.len() < identities.len() {
            known.insert(record, now);
        }
    }
    let mut count = database.prepare_cached("UPDATE standings SET records = records + ?2 WHERE number = ?1")?;
    for (standing, change) in entry.changes.into_iter().filter(|(_, change)| *change != 0) {
        count.execute([standing, change])?;
    }
    Ok(())
}

/// Identities on their way into the state.
struct Entry<'a> {
    database: &'a Database,
    insert: CachedStatement<'a>,
    pipeline: i64,
    usual: String,
    blank: Arc<str>,
    /// By how much the number of records changes that stand in one way.
    changes: HashMap<i64, i64>,
    /// Whether any lookup waits for its record, once that was asked.
    waiting: Option<bool>,
}

impl Entry<'_> {
    fn write(&mut self, record: i64, identity: &Identity, before: Option<Before>) -> rusqlite::Result<Before> {
        let is_usual = *identity.match_property == *self.usual;
        let standing = Standing {
            pipeline: self.pipeline,
            membership: identity.membership,
            mapping: identity.mapping.0,
            match_property: Arc::clone(if is_usual { &self.blank } else { &identity.match_property }),
        };
        let now = Before {
            hubspot_id: self.database.ensure_hubspot_id(&identity.hubspot_id)?,
            standing: self.database.ensure_standing(&standing)?,
        };
        let row = params![record, now.hubspot_id, identity.hash.0, now.standing];
        match before {
            None => self.insert.execute(row)?,
            // An index whose column is not named is left alone.
            Some(before) if before.hubspot_id == now.hubspot_id => {
                let sql = "UPDATE identities SET hash = ?3, standing = ?4 WHERE record = ?1 AND hubspot_id = ?2";
                self.database.prepare_cached(sql)?.execute(row)?
            }
            Some(before) => {
                lookups::keep_near_end(self.database, record, before.hubspot_id)?;
                let sql = "UPDATE identities SET hubspot_id = ?2, hash = ?3, standing = ?4 WHERE record = ?1";
                self.database.prepare_cached(sql)?.execute(row)?
            }
        };
        if let Some(before) = before {
            *self.changes.entry(before.standing).or_default() -= 1;
        }
        *self.changes.entry(now.standing).or_default() += 1;
        self.appeared(record, identity, before, now)?;
        Ok(now)
    }

    /// Tells the lookups that wait for a record that it has appeared, or came back as another one.
    fn appeared(
        &mut self,
        record: i64,
        identity: &Identity,
        before: Option<Before>,
        now: Before,
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
