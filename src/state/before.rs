//! What a state of an earlier version holds: carried over into the tables of today, and completed when the pipelines run that it is of.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Row, params};

use super::carried_out::{self, CarriedOut};
use super::database::{Database, Relation, Standing, UNKNOWN_OBJECTS, lookup_of, record_of};
use super::{known, pairs, rows, unconfirmed};
use crate::model::association::{AssociationKey, LabelId, OwnedType, PairKey, hash_of_pair};
use crate::model::ids::{HubspotId, SalesforceId};
use crate::ports::state::KeptAssociation;

/// Carries all rows of version 7 over, a row at a time, in the order in which they lie in either table.
pub fn carry_over(database: &Database) -> rusqlite::Result<()> {
    identities(database)?;
    associations(database)?;
    doubts(database)?;
    database
        .execute_batch("DROP TABLE identities_before; DROP TABLE associations_before; DROP TABLE unconfirmed_before;")
}

fn identities(database: &Database) -> rusqlite::Result<()> {
    let mut statement = database.prepare(
        "SELECT pipeline, salesforce_id, hubspot_id, hash, mapping, membership, coalesce(match_property, '')
         FROM identities_before ORDER BY pipeline, salesforce_id",
    )?;
    let sql = "INSERT INTO identities (record, hubspot_id, hash, standing) VALUES (?1, ?2, ?3, ?4)";
    let mut insert = database.prepare_cached(sql)?;
    let mut counts: HashMap<i64, i64> = HashMap::new();
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let pipeline = row.get(0)?;
        let standing = database.ensure_standing(&Standing {
            pipeline,
            membership: rows::named(5, row.get_ref(5)?.as_str()?)?,
            mapping: rows::bytes(4, row.get_ref(4)?.as_blob()?)?,
            match_property: row.get_ref(6)?.as_str()?.into(),
        })?;
        let record = database.ensure_record(pipeline, &salesforce_id(row, 1)?)?;
        let hubspot_id = database.ensure_hubspot_id(&HubspotId::new(row.get::<_, String>(2)?))?;
        insert.execute(params![record, hubspot_id, row.get::<_, Vec<u8>>(3)?, standing])?;
        *counts.entry(standing).or_default() += 1;
    }
    for (standing, records) in counts {
        database.execute("UPDATE standings SET records = ?2 WHERE number = ?1", [standing, records])?;
    }
    Ok(())
}

fn salesforce_id(row: &Row<'_>, column: usize) -> rusqlite::Result<SalesforceId> {
    rows::salesforce_id(column, row.get_ref(column)?.as_str()?)
}

fn associations(database: &Database) -> rusqlite::Result<()> {
    let mut statement = database.prepare(
        "SELECT pipeline, salesforce_id, key, wanted, wanted_label, target, label, from_id, to_id, coalesce(to_object, ''), pair,
                made_before, recheck, waiting_since, retry_at
         FROM associations_before ORDER BY pipeline, salesforce_id, key",
    )?;
    let mut near = database.prepare("SELECT hubspot_id FROM identities WHERE record = ?1")?;
    let mut settle = database.prepare("INSERT INTO associations VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    let mut before = database.prepare("INSERT INTO pairs_before VALUES (?1, ?2, ?3)")?;
    let mut due = database.prepare("INSERT INTO due_associations VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    let asked = |row: &Row<'_>, target: usize| -> rusqlite::Result<(Option<i64>, Option<i64>)> {
        if row.get::<_, Option<String>>(target)?.is_none() {
            return Ok((None, None));
        }
        let label = row.get_ref(target + 1)?.as_str_or_null()?;
        let label = label.map(|label| rows::parsed::<LabelId>(target + 1, label)).transpose()?;
        let label = label.map(|label| database.ensure_label(&label)).transpose()?;
        Ok((Some(database.ensure_target(&salesforce_id(row, target)?)?), label))
    };
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let pipeline = row.get(0)?;
        let record = database.ensure_record(pipeline, &salesforce_id(row, 1)?)?;
        let key = AssociationKey(row.get_ref(2)?.as_str()?.into());
        let lookup = lookup_of(record, database.ensure_place(pipeline, &key)?);
        let (wanted, carried_out) = (asked(row, 3)?, asked(row, 5)?);
        if let (Some(target), label) = carried_out {
            let end = |column: usize| -> rusqlite::Result<i64> {
                database.ensure_hubspot_id(&HubspotId::new(row.get::<_, Option<String>>(column)?.unwrap_or_default()))
            };
            let near_end: Option<i64> = near.query_row([record], |row| row.get(0)).optional()?;
            let from = Some(end(7)?).filter(|from| Some(*from) != near_end);
            let relation = Relation { objects: UNKNOWN_OBJECTS, to_object: row.get_ref(9)?.as_str()?.into() };
            let relation = database.ensure_relation(&relation)?;
            settle.execute(params![lookup, target, label, relation, from, end(8)?])?;
            before.execute(params![lookup, row.get::<_, Option<i64>>(10)?, row.get::<_, Option<bool>>(11)?])?;
        }
        let recheck: bool = row.get(12)?;
        if recheck || wanted != carried_out {
            due.execute(params![
                lookup,
                wanted.0,
                wanted.1,
                recheck,
                row.get::<_, Option<i64>>(13)?,
                row.get::<_, Option<i64>>(14)?
            ])?;
        }
    }
    Ok(())
}

fn doubts(database: &Database) -> rusqlite::Result<()> {
    let mut statement =
        database.prepare("SELECT pipeline, salesforce_id, match_property, intent FROM unconfirmed_before")?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let record = database.ensure_record(row.get(0)?, &salesforce_id(row, 1)?)?;
        let intent = rows::named(3, row.get_ref(3)?.as_str()?)?;
        unconfirmed::note_one(database, record, row.get_ref(2)?.as_str()?, intent)?;
    }
    Ok(())
}

/// Completes what an earlier version has carried out for a pipeline, now that it tells what its keys mean: which pairs of records its lookups
/// led to, and what of those associations is ours.
pub fn bring_forward(database: &Database, pipeline: i64, kept: &[KeptAssociation]) -> rusqlite::Result<()> {
    for association in kept {
        let Some(place) = database.place(pipeline, &association.key)? else { continue };
        let sql = "SELECT lookup, pair, made FROM pairs_before
            WHERE lookup >= ?1 AND lookup < ?2 AND lookup & 1023 = ?3 ORDER BY lookup";
        let mut statement = database.prepare(sql)?;
        database.stretches(pipeline, None, |stretch| {
            let lookups = stretch.lookups(None);
            let mut found = statement.query([lookups.start, lookups.end, place])?;
            while let Some(row) = found.next()? {
                let (lookup, pair): (i64, Option<i64>) = (row.get(0)?, row.get(1)?);
                let Some(before) = carried_out::get(database, lookup)? else { continue };
                let own =
                    || Ok::<_, rusqlite::Error>(known::get(database, record_of(lookup))?.map(|known| known.hubspot_id));
                let Some(from) = before.from.map_or_else(own, |from| Ok(Some(from)))? else { continue };
                let (from, to) = (database.hubspot_id(from)?, database.hubspot_id(before.to)?);
                let known = database.relation(before.relation)?.to_object;
                let to_object = if known.is_empty() { association.to_object.clone() } else { known };
                let ends = ((&*association.from_object, &from), (&*to_object, &to));
                let key = PairKey::new(&association.connection, ends.0, ends.1);
                let hash = hash_of_pair(&association.connection, ends.0, ends.1);
                // A definition that names another object by now tells nothing of it.
                if pair.is_some_and(|pair| pair != hash) {
                    continue;
                }
                let relation =
                    database.ensure_relation(&Relation { objects: key.objects, to_object: to_object.clone() })?;
                carried_out::change(database, &[(lookup, ())], |(), before| {
                    before.map(|before| CarriedOut { relation, ..before })
                })?;
                take_over(database, key, hash)?;
                if pair.is_none() {
                    made_before(database, association, lookup, (key, from), row.get(2)?)?;
                }
            }
            Ok(true)
        })?;
    }
    forget(database, pipeline)
}

/// Takes over what was noted as ours of a pair.
fn take_over(database: &Database, pair: PairKey, hash: i64) -> rusqlite::Result<()> {
    let mut statement = database.prepare_cached("SELECT label, from_id FROM owned_types_before WHERE pair = ?1")?;
    let owned = statement.query_map([hash], |row| {
        let label = match row.get_ref(0)?.as_str()? {
            "" => None,
            text => Some((HubspotId::new(row.get::<_, String>(1)?), rows::parsed(0, text)?)),
        };
        Ok(OwnedType { pair, label })
    })?;
    let owned: Vec<OwnedType> = owned.collect::<rusqlite::Result<_>>()?;
    if owned.is_empty() {
        return Ok(());
    }
    pairs::write_owned(database, &owned, &[])?;
    database.prepare_cached("DELETE FROM owned_types_before WHERE pair = ?1")?.execute([hash]).map(drop)
}

/// What the first version made, which noted neither pairs nor labels: HubSpot is asked how it stands.
fn made_before(
    database: &Database,
    association: &KeptAssociation,
    lookup: i64,
    (pair, from): (PairKey, HubspotId),
    made: Option<bool>,
) -> rusqlite::Result<()> {
    let label = association.label.as_ref().map(|label| database.ensure_label(label)).transpose()?;
    if made == Some(true) {
        let labelled = association.label.clone().map(|label| OwnedType { pair, label: Some((from, label)) });
        let all: Vec<OwnedType> = labelled.into_iter().chain([OwnedType { pair, label: None }]).collect();
        pairs::write_owned(database, &all, &[])?;
    }
    let mut target = None;
    carried_out::change(database, &[(lookup, ())], |(), before| {
        let before = before?;
        target = Some(before.asked.0);
        Some(CarriedOut { asked: (before.asked.0, label), ..before })
    })?;
    let sql = "INSERT INTO due_associations (lookup, wanted, wanted_label, recheck) VALUES (?1, ?3, ?2, 1)
        ON CONFLICT (lookup) DO UPDATE SET recheck = 1, waiting_since = NULL, wanted_label = iif(wanted IS NULL, NULL, ?2)";
    database.prepare_cached(sql)?.execute(params![lookup, label, target]).map(drop)
}

/// What is left of a pipeline cannot be told any more. Where nothing is left at all, that goes for what was ours as well.
fn forget(database: &Database, pipeline: i64) -> rusqlite::Result<()> {
    let mut statement = database.prepare("DELETE FROM pairs_before WHERE lookup >= ?1 AND lookup < ?2")?;
    database.stretches(pipeline, None, |stretch| {
        let lookups = stretch.lookups(None);
        statement.execute([lookups.start, lookups.end]).map(|_| true)
    })?;
    let sql = "DELETE FROM owned_types_before WHERE NOT EXISTS (SELECT 1 FROM pairs_before)";
    database.execute(sql, []).map(drop)
}
