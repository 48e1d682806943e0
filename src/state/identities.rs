//! Identities: what is known of each Salesforce record in HubSpot.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rusqlite::{OptionalExtension, params};

use super::database::{Database, Standing, each_of};
use super::inserts::{Insert, each_once};
use super::pipelines::pipeline_id;
use super::{lookups, rows, unconfirmed};
use crate::model::identity::{Identity, MappingVersion, Membership, WrittenHash};
use crate::model::ids::{ById, HubspotId, PipelineName, SalesforceId};
use crate::ports::state::IdentityCounts;

const READ: &str =
    "SELECT record, hubspot_id, hash, standing FROM identities WHERE record >= ?1 AND record <= ?2 ORDER BY record";

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
    each_of(database, READ, 0, &database.numbered(pipeline, ids)?, |id, row| {
        let standing = database.standing(row.get(3)?)?;
        let blank = standing.match_property.is_empty();
        let identity = Identity {
            salesforce_id: *id,
            hubspot_id: database.hubspot_id(row.get(1)?)?,
            hash: WrittenHash(rows::bytes(2, row.get_ref(2)?.as_blob()?)?),
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

/// The HubSpot record of a record, where it stands.
pub fn standing_record(database: &Database, record: i64) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT hubspot_id, standing FROM identities WHERE record = ?1";
    let known: Option<(i64, i64)> =
        database.prepare_cached(sql)?.query_row([record], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    match known {
        Some((hubspot_id, standing)) if stands(database, standing)? => Ok(Some(hubspot_id)),
        _ => Ok(None),
    }
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

/// What is known of a record.
#[derive(Debug, Clone, Copy)]
struct Known {
    hubspot_id: i64,
    standing: i64,
}

static ENTER: Insert =
    Insert::new("INSERT OR FAIL INTO identities (record, hubspot_id, hash, standing) VALUES", "oooc", "");

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
        rows.push((database.ensure_record(pipeline, &identity.salesforce_id)?, (identity, now)));
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
        let hubspot_id = self.database.ensure_hubspot_id(&identity.hubspot_id)?;
        if let Some((property, membership, mapping, standing)) = &self.met
            && Arc::ptr_eq(property, &identity.match_property)
            && *membership == identity.membership
            && *mapping == identity.mapping
        {
            return Ok(Known { hubspot_id, standing: *standing });
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
        Ok(Known { hubspot_id, standing: number })
    }

    /// Writes rows of different records, which are in order.
    fn write(&mut self, rows: &[Row<'a>]) -> rusqlite::Result<()> {
        let records: Vec<(i64, i64)> = rows.iter().map(|(record, _)| (*record, *record)).collect();
        let mut known: HashMap<i64, Known> = HashMap::new();
        each_of(self.database, READ, 0, &records, |record, row| {
            known.insert(*record, Known { hubspot_id: row.get(1)?, standing: row.get(3)? });
            Ok(())
        })?;
        let mut new: Vec<Row<'_>> = Vec::with_capacity(rows.len());
        for row in rows {
            match known.get(&row.0) {
                Some(before) => self.replace(*row, *before)?,
                None => new.push(*row),
            }
        }
        let common = |(_, (_, now)): &Row<'_>| [Some(now.standing)];
        ENTER.rows(self.database, &new, common, |values, (record, (identity, now))| {
            values.put(record)?;
            values.put(now.hubspot_id)?;
            values.put(identity.hash.0)
        })?;
        for (record, (identity, now)) in rows {
            let before = known.get(record).copied();
            if let Some(before) = before {
                self.count(before.standing, -1);
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

    /// Writes the row of a record that has one.
    fn replace(&self, (record, (identity, now)): Row<'_>, before: Known) -> rusqlite::Result<()> {
        let row = params![record, now.hubspot_id, identity.hash.0, now.standing];
        if before.hubspot_id == now.hubspot_id {
            // An index whose column is not named is left alone.
            let sql = "UPDATE identities SET hash = ?3, standing = ?4 WHERE record = ?1 AND hubspot_id = ?2";
            return self.database.prepare_cached(sql)?.execute(row).map(drop);
        }
        lookups::keep_near_end(self.database, record, before.hubspot_id)?;
        let sql = "UPDATE identities SET hubspot_id = ?2, hash = ?3, standing = ?4 WHERE record = ?1";
        self.database.prepare_cached(sql)?.execute(row).map(drop)
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
