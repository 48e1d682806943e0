//! Identities: what is known of each Salesforce record in HubSpot.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::fault::Fault;
use super::rows::{self, get};
use super::store::{Tx, sql};
use super::{lookups, pipelines};
use crate::model::identity::{Identity, MappingVersion, Membership, WrittenHash};
use crate::model::ids::{ById, HubspotId, PipelineName, SalesforceId};
use crate::ports::state::IdentityCounts;

/// The identities of these records.
pub async fn read(
    tx: &mut Tx<'_>,
    pipeline: &PipelineName,
    ids: &[SalesforceId],
) -> Result<ById<SalesforceId, Identity>, Fault> {
    let read = sql(
        "SELECT i.id, i.hubspot_id, i.hash, i.mapping, i.membership, coalesce(i.match_property, p.match_property, '')
         FROM syncline.pipelines p, unnest($3::text[]) AS asked (id), syncline.identities i
         WHERE p.state_id = $1 AND p.name = $2 AND i.state_id = $1 AND i.pipeline = p.id AND i.id = asked.id",
    );
    let found = tx.rows(read.bind(tx.state).bind(pipeline.as_str()).bind(rows::ids(ids))).await?;
    let mut property: Arc<str> = Arc::from("");
    let mut identities = ById::default();
    identities.reserve(found.len());
    for row in &found {
        let salesforce_id = rows::salesforce_id(row, 0)?;
        let match_property: &str = get(row, 5)?;
        // Mostly all have the same.
        if *property != *match_property {
            property = match_property.into();
        }
        let identity = Identity {
            salesforce_id,
            hubspot_id: rows::hubspot_id(row, 1)?,
            hash: WrittenHash(rows::bytes(row, 2)?),
            mapping: MappingVersion(rows::bytes(row, 3)?),
            membership: rows::named(row, 4)?,
            match_property: Arc::clone(&property),
        };
        identities.insert(salesforce_id, identity);
    }
    Ok(identities)
}

/// The HubSpot records that these are, or were, in any pipeline.
pub async fn known(tx: &mut Tx<'_>, ids: &[SalesforceId]) -> Result<HashSet<(SalesforceId, HubspotId)>, Fault> {
    let read = sql(
        "SELECT i.id, i.hubspot_id FROM syncline.pipelines p, unnest($2::text[]) AS asked (id), syncline.identities i
         WHERE p.state_id = $1 AND i.state_id = $1 AND i.pipeline = p.id AND i.id = asked.id",
    );
    let found = tx.rows(read.bind(tx.state).bind(rows::ids(ids))).await?;
    found.iter().map(|row| Ok((rows::salesforce_id(row, 0)?, rows::hubspot_id(row, 1)?))).collect()
}

/// The Salesforce records of these HubSpot records, where they stand.
pub async fn of_records(
    tx: &mut Tx<'_>,
    pipeline: &PipelineName,
    records: &[HubspotId],
) -> Result<Vec<(HubspotId, SalesforceId)>, Fault> {
    let records: Vec<String> = records.iter().map(HubspotId::to_string).collect();
    let read = sql("SELECT i.hubspot_id, i.id
         FROM syncline.pipelines p, unnest($3::text[]) AS asked (hubspot_id), syncline.identities i
         WHERE p.state_id = $1 AND p.name = $2 AND i.state_id = $1 AND i.hubspot_id = asked.hubspot_id
             AND i.pipeline = p.id AND i.membership <> 'archived'");
    let found = tx.rows(read.bind(tx.state).bind(pipeline.as_str()).bind(records)).await?;
    found.iter().map(|row| Ok((rows::hubspot_id(row, 0)?, rows::salesforce_id(row, 1)?))).collect()
}

/// Counts the identities of a pipeline.
pub async fn counts(
    tx: &mut Tx<'_>,
    pipeline: &PipelineName,
    mapping: MappingVersion,
) -> Result<IdentityCounts, Fault> {
    let Some(pipeline) = pipelines::find(tx, pipeline).await? else { return Ok(IdentityCounts::default()) };
    let count = sql("SELECT coalesce(sum(records) FILTER (WHERE membership <> 'archived'), 0)::bigint,
                coalesce(sum(records) FILTER (WHERE membership = 'live'), 0)::bigint,
                coalesce(sum(records) FILTER (WHERE membership = 'live' AND mapping <> $3), 0)::bigint,
                (SELECT count(*) FROM syncline.unconfirmed u WHERE u.state_id = $1 AND u.pipeline = $2 AND NOT EXISTS (
                    SELECT 1 FROM syncline.identities i
                    WHERE i.state_id = $1 AND i.pipeline = $2 AND i.id = u.id AND i.membership <> 'archived'))
         FROM syncline.standings WHERE state_id = $1 AND pipeline = $2");
    let count = tx.row(count.bind(tx.state).bind(pipeline).bind(&mapping.0[..])).await?;
    let Some(row) = count else { return Ok(IdentityCounts::default()) };
    Ok(IdentityCounts {
        standing: rows::count(&row, 0)?,
        live: rows::count(&row, 1)?,
        behind: rows::count(&row, 2)?,
        in_doubt: rows::count(&row, 3)?,
    })
}

/// Live records, by id, after the one given; with a mapping, only those that were written under another one.
pub async fn live(
    tx: &mut Tx<'_>,
    pipeline: &PipelineName,
    not_under: Option<MappingVersion>,
    after: Option<SalesforceId>,
    limit: usize,
) -> Result<Vec<SalesforceId>, Fault> {
    let Some(pipeline) = pipelines::find(tx, pipeline).await? else { return Ok(Vec::new()) };
    let list = sql("SELECT id FROM syncline.identities
         WHERE state_id = $1 AND pipeline = $2 AND id > $3 AND membership = 'live' AND ($4::bytea IS NULL OR mapping <> $4)
         ORDER BY id LIMIT $5");
    let after = after.as_ref().map_or("", SalesforceId::as_str);
    let mapping = not_under.as_ref().map(|mapping| &mapping.0[..]);
    let list = list.bind(tx.state).bind(pipeline).bind(after).bind(mapping).bind(rows::limit(limit));
    tx.rows(list).await?.iter().map(|row| rows::salesforce_id(row, 0)).collect()
}

/// How records stood before, and how many stand so more or fewer now.
type Changes = BTreeMap<(String, Vec<u8>), i64>;

/// Writes identities (insert or replace), one after the other where several are of one record.
pub async fn write(tx: &mut Tx<'_>, pipeline: i32, identities: &[Identity]) -> Result<(), Fault> {
    let Some(first) = identities.first() else { return Ok(()) };
    let usual = usual_match(tx, pipeline, &first.match_property).await?;
    for round in rows::rounds(identities, |identity| identity.salesforce_id) {
        write_round(tx, pipeline, &round, usual.as_deref()).await?;
    }
    Ok(())
}

/// The match property that identities without one have; the one given where none was told yet.
async fn usual_match(tx: &mut Tx<'_>, pipeline: i32, property: &str) -> Result<Option<String>, Fault> {
    let known = tx.pipeline.as_ref().filter(|known| known.id == pipeline);
    if let Some(usual) = known.and_then(|known| known.match_property.clone()) {
        return Ok(Some(usual));
    }
    remember_match(tx, pipeline, property).await?;
    let usual = sql("SELECT match_property FROM syncline.pipelines WHERE state_id = $1 AND id = $2");
    let usual = tx.row(usual.bind(tx.state).bind(pipeline)).await?;
    Ok(usual.map(|row| get(&row, 0)).transpose()?.flatten())
}

/// Writes identities of different records.
async fn write_round(
    tx: &mut Tx<'_>,
    pipeline: i32,
    round: &BTreeMap<SalesforceId, &Identity>,
    usual: Option<&str>,
) -> Result<(), Fault> {
    let before = enter(tx, pipeline, round, usual).await?;
    let mut changes: Changes = BTreeMap::new();
    let (mut appeared, mut replaced): (Vec<&str>, Vec<(&str, &str, String)>) = (Vec::new(), Vec::new());
    for (id, identity) in round {
        let old = before.get(id);
        if let Some(old) = old {
            *changes.entry((old.membership.clone(), old.mapping.clone())).or_default() -= 1;
        }
        *changes.entry((rows::name_of(&identity.membership), identity.mapping.0.to_vec())).or_default() += 1;
        let same = old.filter(|old| old.hubspot_id == *identity.hubspot_id.text());
        if same.is_some_and(|old| old.membership != "archived") || identity.membership == Membership::Archived {
            continue;
        }
        appeared.push(id.as_str());
        if let Some(old) = old.filter(|old| old.hubspot_id != *identity.hubspot_id.text()) {
            replaced.push((id.as_str(), old.hubspot_id.as_str(), identity.hubspot_id.to_string()));
        }
    }
    count(tx, pipeline, changes).await?;
    lookups::wake(tx, &appeared).await?;
    lookups::replaced(tx, pipeline, &replaced).await
}

/// What was known of a record.
struct Before {
    hubspot_id: String,
    membership: String,
    mapping: Vec<u8>,
}

/// Enters identities; what was known before.
async fn enter(
    tx: &mut Tx<'_>,
    pipeline: i32,
    identities: &BTreeMap<SalesforceId, &Identity>,
    usual: Option<&str>,
) -> Result<HashMap<SalesforceId, Before>, Fault> {
    let all = || identities.values();
    let ids: Vec<&str> = identities.keys().map(SalesforceId::as_str).collect();
    let records: Vec<String> = all().map(|identity| identity.hubspot_id.to_string()).collect();
    let hashes: Vec<&[u8]> = all().map(|identity| &identity.hash.0[..]).collect();
    let mappings: Vec<&[u8]> = all().map(|identity| &identity.mapping.0[..]).collect();
    let memberships: Vec<String> = all().map(|identity| rows::name_of(&identity.membership)).collect();
    let properties: Vec<Option<&str>> =
        all().map(|identity| Some(&*identity.match_property).filter(|property| Some(*property) != usual)).collect();
    // What a statement reads is as it was before the statement.
    let enter = sql("WITH entered AS (
             INSERT INTO syncline.identities (state_id, pipeline, id, hubspot_id, hash, mapping, membership, match_property)
             SELECT $1, $2, * FROM unnest($3::text[], $4::text[], $5::bytea[], $6::bytea[], $7::text[], $8::text[])
             ON CONFLICT (state_id, pipeline, id) DO UPDATE SET hubspot_id = excluded.hubspot_id, hash = excluded.hash,
                 mapping = excluded.mapping, membership = excluded.membership, match_property = excluded.match_property)
         SELECT i.id, i.hubspot_id, i.membership, i.mapping FROM unnest($3::text[]) AS asked (id)
         JOIN syncline.identities i ON i.state_id = $1 AND i.pipeline = $2 AND i.id = asked.id");
    let enter = enter.bind(tx.state).bind(pipeline).bind(ids).bind(records).bind(hashes).bind(mappings);
    let found = tx.rows(enter.bind(memberships).bind(properties)).await?;
    let before = |row| {
        let before = Before { hubspot_id: get(row, 1)?, membership: get(row, 2)?, mapping: get(row, 3)? };
        Ok((rows::salesforce_id(row, 0)?, before))
    };
    found.iter().map(before).collect()
}

async fn count(tx: &mut Tx<'_>, pipeline: i32, mut changes: Changes) -> Result<(), Fault> {
    changes.retain(|_, change| *change != 0);
    if changes.is_empty() {
        return Ok(());
    }
    let memberships: Vec<&str> = changes.keys().map(|(membership, _)| membership.as_str()).collect();
    let mappings: Vec<&[u8]> = changes.keys().map(|(_, mapping)| mapping.as_slice()).collect();
    let by: Vec<i64> = changes.values().copied().collect();
    let count = sql("INSERT INTO syncline.standings AS s (state_id, pipeline, membership, mapping, records)
         SELECT $1, $2, * FROM unnest($3::text[], $4::bytea[], $5::bigint[])
         ON CONFLICT (state_id, pipeline, membership, mapping) DO UPDATE SET records = s.records + excluded.records");
    tx.run(count.bind(tx.state).bind(pipeline).bind(memberships).bind(mappings).bind(by)).await.map(drop)
}

/// Notes the match property that identities without one have: the first one that is told.
pub async fn remember_match(tx: &mut Tx<'_>, pipeline: i32, property: &str) -> Result<(), Fault> {
    let set = sql("UPDATE syncline.pipelines SET match_property = $3
         WHERE state_id = $1 AND id = $2 AND match_property IS NULL");
    tx.run(set.bind(tx.state).bind(pipeline).bind(property)).await.map(drop)
}
