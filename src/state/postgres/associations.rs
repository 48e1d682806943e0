//! Associations: what lookups ask for, what was carried out of it, and what of the associations between two records is ours.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::postgres::PgRow;

use super::fault::{Fault, damaged};
use super::rows::{self, get};
use super::store::{Tx, sql, sql_of};
use super::{lookups, notes, pipelines};
use crate::model::association::{
    self, Asked, AssociationKey, AssociationState, LabelId, OwnedType, PairKey, PairRequest, SettledPair,
};
use crate::model::ids::{HubspotId, PipelineName, SalesforceId};
use crate::ports::state::{KeptAssociation, LookupRef};

/// What [`state`] reads, of `l`.
const COLUMNS: &str =
    "l.id, l.key, l.wanted, l.wanted_label, l.target, l.label, l.from_id, l.to_object, l.to_id, l.recheck";

/// The associations of these records.
pub async fn read(
    tx: &mut Tx<'_>,
    pipeline: &PipelineName,
    ids: &[SalesforceId],
) -> Result<Vec<AssociationState>, Fault> {
    let read = sql_of(format!(
        "SELECT {COLUMNS} FROM unnest($3::text[]) AS asked (id)
         JOIN syncline.lookups l ON l.state_id = $1 AND l.id = asked.id
             AND l.pipeline = (SELECT id FROM syncline.pipelines WHERE state_id = $1 AND name = $2)"
    ));
    let found = tx.rows(read.bind(tx.state).bind(pipeline.as_str()).bind(rows::ids(ids))).await?;
    found.iter().map(state).collect()
}

/// Associations with work left, in order, after the given one; of records that stand in HubSpot. With `at`, only those whose next try has
/// come by then.
pub async fn due(
    tx: &mut Tx<'_>,
    pipeline: &PipelineName,
    at: Option<i64>,
    after: Option<&LookupRef>,
    limit: usize,
) -> Result<Vec<(AssociationState, HubspotId)>, Fault> {
    list(tx, pipeline, "l.due AND ($6::bigint IS NULL OR coalesce(l.retry_at, 0) <= $6)", at, after, limit).await
}

/// Associations that were ever carried out, in order, after the given one; of records that stand in HubSpot.
pub async fn settled(
    tx: &mut Tx<'_>,
    pipeline: &PipelineName,
    after: Option<&LookupRef>,
    limit: usize,
) -> Result<Vec<(AssociationState, HubspotId)>, Fault> {
    list(tx, pipeline, "l.target IS NOT NULL AND $6::bigint IS NULL", None, after, limit).await
}

/// The record of a lookup `l` of the pipeline `$2`, where it stands. Looked up for each lookup: what the server thinks of tables that it has not
/// counted yet has it go through all records of the pipeline for each. `OFFSET 0` keeps it from that.
const STANDING: &str = "SELECT i.hubspot_id FROM syncline.identities i
    WHERE i.state_id = $1 AND i.pipeline = $2 AND i.id = l.id AND i.membership <> 'archived' OFFSET 0";

async fn list(
    tx: &mut Tx<'_>,
    pipeline: &PipelineName,
    which: &str,
    at: Option<i64>,
    after: Option<&LookupRef>,
    limit: usize,
) -> Result<Vec<(AssociationState, HubspotId)>, Fault> {
    let Some(pipeline) = pipelines::find(tx, pipeline).await? else { return Ok(Vec::new()) };
    let list = sql_of(format!(
        "SELECT {COLUMNS}, i.hubspot_id FROM syncline.lookups l CROSS JOIN LATERAL ({STANDING}) i
         WHERE l.state_id = $1 AND l.pipeline = $2 AND (l.id, l.key) > ($3, $4) AND {which}
         ORDER BY l.id, l.key LIMIT $5"
    ));
    let (id, key) = after.map_or(("", ""), |(id, key)| (id.as_str(), &*key.0));
    let list = list.bind(tx.state).bind(pipeline).bind(id).bind(key).bind(rows::limit(limit)).bind(at);
    tx.rows(list).await?.iter().map(|row| Ok((state(row)?, rows::hubspot_id(row, 10)?))).collect()
}

/// How many associations have work left. The two ends of a row of a junction object, whose first one is called `from …`, are one.
pub async fn due_count(tx: &mut Tx<'_>, pipeline: &PipelineName) -> Result<u64, Fault> {
    let Some(pipeline) = pipelines::find(tx, pipeline).await? else { return Ok(0) };
    let count = sql_of(format!(
        "SELECT coalesce(sum(CASE WHEN ends > first_ends THEN ends - first_ends ELSE ends END), 0)::bigint FROM (
             SELECT count(*) AS ends, count(*) FILTER (WHERE starts_with(l.key, 'from ')) AS first_ends
             FROM syncline.lookups l CROSS JOIN LATERAL ({STANDING}) i
             WHERE l.state_id = $1 AND l.pipeline = $2 AND l.due GROUP BY l.id) AS records"
    ));
    tx.row(count.bind(tx.state).bind(pipeline)).await?.map_or(Ok(0), |row| rows::count(&row, 0))
}

fn label_from(text: Option<&str>) -> Result<Option<LabelId>, Fault> {
    text.map(|text| text.parse().map_err(|error: String| damaged(error))).transpose()
}

fn asked(row: &PgRow, target: usize) -> Result<Option<Asked>, Fault> {
    if get::<Option<&str>>(row, target)?.is_none() {
        return Ok(None);
    }
    let label = label_from(get(row, target + 1)?)?;
    Ok(Some(Asked { target: rows::salesforce_id(row, target)?, label }))
}

/// What a row of [`COLUMNS`] says of a lookup.
fn state(row: &PgRow) -> Result<AssociationState, Fault> {
    let settled = match asked(row, 4)? {
        None => None,
        Some(asked) => {
            let to_object: &str = get(row, 7)?;
            Some(SettledPair {
                asked,
                from: rows::hubspot_id(row, 6)?,
                to_object: to_object.into(),
                to: rows::hubspot_id(row, 8)?,
            })
        }
    };
    Ok(AssociationState {
        salesforce_id: rows::salesforce_id(row, 0)?,
        key: AssociationKey(Arc::from(get::<&str>(row, 1)?)),
        wanted: asked(row, 2)?,
        settled,
        recheck: get(row, 9)?,
    })
}

/// Pairs as three arrays, each pair once.
fn columns(pairs: &[PairKey]) -> (Vec<i64>, Vec<i64>, Vec<i64>) {
    let mut pairs = pairs.to_vec();
    pairs.sort_unstable();
    pairs.dedup();
    let newer = pairs.iter().map(|pair| pair.newer).collect();
    let older = pairs.iter().map(|pair| pair.older).collect();
    (newer, older, pairs.iter().map(|pair| pair.objects).collect())
}

fn pair(row: &PgRow) -> Result<PairKey, Fault> {
    Ok(PairKey { newer: get(row, 0)?, older: get(row, 1)?, objects: get(row, 2)? })
}

/// The lookups of all pipelines that ask for associations between these pairs of records now: what was carried out of them is still what
/// they ask for, and their records stand.
pub async fn requests(tx: &mut Tx<'_>, pairs: &[PairKey]) -> Result<Vec<PairRequest>, Fault> {
    let (newer, older, objects) = columns(pairs);
    let read = sql("SELECT l.newer, l.older, l.objects, p.name, l.id, l.key, l.from_id, l.to_object, l.wanted_label
         FROM unnest($2::bigint[], $3::bigint[], $4::bigint[]) AS asked (newer, older, objects)
         JOIN syncline.lookups l ON l.state_id = $1 AND l.newer = asked.newer AND l.older = asked.older AND l.objects = asked.objects
         JOIN syncline.identities i ON i.state_id = $1 AND i.pipeline = l.pipeline AND i.id = l.id AND i.membership <> 'archived'
         JOIN syncline.pipelines p ON p.state_id = $1 AND p.id = l.pipeline
         WHERE l.wanted = l.target");
    let found = tx.rows(read.bind(tx.state).bind(newer).bind(older).bind(objects)).await?;
    let mut names: HashMap<String, PipelineName> = HashMap::new();
    let mut requests = Vec::with_capacity(found.len());
    for row in &found {
        let name: &str = get(row, 3)?;
        let pipeline = names.entry(name.to_owned()).or_insert_with(|| PipelineName::new(name)).clone();
        requests.push(PairRequest {
            pair: pair(row)?,
            pipeline,
            salesforce_id: rows::salesforce_id(row, 4)?,
            key: AssociationKey(Arc::from(get::<&str>(row, 5)?)),
            from: rows::hubspot_id(row, 6)?,
            to_object: Arc::from(get::<&str>(row, 7)?),
            label: label_from(get(row, 8)?)?,
        });
    }
    Ok(requests)
}

/// What of the associations between these pairs of records is ours.
pub async fn owned(tx: &mut Tx<'_>, pairs: &[PairKey]) -> Result<Vec<OwnedType>, Fault> {
    let (newer, older, objects) = columns(pairs);
    let read = sql("SELECT o.newer, o.older, o.objects, o.label, o.from_id
         FROM unnest($2::bigint[], $3::bigint[], $4::bigint[]) AS asked (newer, older, objects)
         JOIN syncline.owned_types o
             ON o.state_id = $1 AND o.newer = asked.newer AND o.older = asked.older AND o.objects = asked.objects");
    let found = tx.rows(read.bind(tx.state).bind(newer).bind(older).bind(objects)).await?;
    let owned = |row| {
        let label = label_from(Some(get(row, 3)?).filter(|label: &&str| !label.is_empty()))?;
        let label = label.map(|label| Ok::<_, Fault>((rows::hubspot_id(row, 4)?, label))).transpose()?;
        Ok(OwnedType { pair: pair(row)?, label })
    };
    found.iter().map(owned).collect()
}

/// Notes what is ours, and what is no longer.
pub async fn write_owned(tx: &mut Tx<'_>, owned: &[OwnedType], disowned: &[OwnedType]) -> Result<(), Fault> {
    const FORGET: &str = "DELETE FROM syncline.owned_types o
        USING unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[]) AS gone (newer, older, objects, label, from_id)
        WHERE o.state_id = $1 AND o.newer = gone.newer AND o.older = gone.older AND o.objects = gone.objects
            AND o.label = gone.label AND o.from_id = gone.from_id";
    const OWN: &str = "INSERT INTO syncline.owned_types (state_id, newer, older, objects, label, from_id)
        SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[]) ON CONFLICT DO NOTHING";
    for (text, types) in [(FORGET, disowned), (OWN, owned)] {
        if types.is_empty() {
            continue;
        }
        let mut types: Vec<&OwnedType> = types.iter().collect();
        types.sort_unstable();
        types.dedup();
        let pairs = || types.iter().map(|owned| owned.pair);
        let newer: Vec<i64> = pairs().map(|pair| pair.newer).collect();
        let older: Vec<i64> = pairs().map(|pair| pair.older).collect();
        let objects: Vec<i64> = pairs().map(|pair| pair.objects).collect();
        let labels =
            types.iter().map(|owned| owned.label.as_ref().map_or_else(String::new, |(_, label)| label.to_string()));
        let from =
            types.iter().map(|owned| owned.label.as_ref().map_or_else(String::new, |(from, _)| from.to_string()));
        let (labels, from): (Vec<String>, Vec<String>) = (labels.collect(), from.collect());
        let write = sql(text).bind(tx.state).bind(newer).bind(older).bind(objects).bind(labels).bind(from);
        tx.run(write).await?;
    }
    Ok(())
}

/// Whether the definition has the same associations as before.
pub async fn is_known(tx: &mut Tx<'_>, pipeline: &PipelineName, kept: &[KeptAssociation]) -> Result<bool, Fault> {
    Ok(notes::read(tx, &note(pipeline)).await? == Some(keys_of(kept)))
}

/// The key of the note that holds the keys of a pipeline's associations.
fn note(pipeline: &PipelineName) -> String {
    format!("associations: {pipeline}")
}

fn keys_of(kept: &[KeptAssociation]) -> String {
    let mut keys: Vec<&str> = kept.iter().map(|kept| &*kept.key.0).collect();
    keys.sort_unstable();
    serde_json::to_string(&keys).unwrap_or_default()
}

/// Which associations of a pipeline get another label: what the keys were, and what they are.
pub async fn relabelled(
    tx: &mut Tx<'_>,
    pipeline: &PipelineName,
    kept: &[KeptAssociation],
) -> Result<Vec<(AssociationKey, AssociationKey)>, Fault> {
    let noted = notes::read(tx, &note(pipeline)).await?.unwrap_or_default();
    let before: Vec<AssociationKey> = serde_json::from_str(&noted).unwrap_or_default();
    let now: Vec<AssociationKey> = kept.iter().map(|kept| kept.key.clone()).collect();
    Ok(association::relabelled(&before, &now))
}

/// Keeps these associations of the pipeline and forgets what lookups asked for under other keys; what was made of it stays in HubSpot, and
/// is known as ours. An association that gets another label goes on with what was carried out of it.
pub async fn keep(tx: &mut Tx<'_>, name: &PipelineName, kept: &[KeptAssociation]) -> Result<(), Fault> {
    let pipeline = pipelines::ensure(tx, name).await?;
    for (old, new) in relabelled(tx, name, kept).await? {
        let take_over = sql("INSERT INTO syncline.lookups AS l (state_id, pipeline, id, key, wanted, wanted_label, target, label,
                 from_id, to_object, to_id, newer, older, objects, recheck)
             SELECT state_id, pipeline, id, $4, target, label, target, label, from_id, to_object, to_id, newer, older, objects, false
             FROM syncline.lookups WHERE state_id = $1 AND pipeline = $2 AND key = $3 AND target IS NOT NULL
             ON CONFLICT (state_id, pipeline, id, key) DO UPDATE SET
                 wanted = CASE WHEN l.due THEN l.wanted ELSE excluded.wanted END,
                 wanted_label = CASE WHEN l.due THEN l.wanted_label ELSE excluded.wanted_label END,
                 target = excluded.target, label = excluded.label, from_id = excluded.from_id, to_object = excluded.to_object,
                 to_id = excluded.to_id, newer = excluded.newer, older = excluded.older, objects = excluded.objects");
        tx.run(take_over.bind(tx.state).bind(pipeline).bind(&*old.0).bind(&*new.0)).await?;
    }
    let keys: Vec<&str> = kept.iter().map(|kept| &*kept.key.0).collect();
    let forget = sql("DELETE FROM syncline.lookups WHERE state_id = $1 AND pipeline = $2 AND key <> ALL($3::text[])");
    tx.run(forget.bind(tx.state).bind(pipeline).bind(keys)).await?;
    notes::set(tx, &note(name), &keys_of(kept)).await
}

/// HubSpot is to be asked how all lookups of a pipeline stand that were ever carried out.
pub async fn recheck(tx: &mut Tx<'_>, pipeline: &PipelineName) -> Result<(), Fault> {
    match pipelines::find(tx, pipeline).await? {
        Some(pipeline) => lookups::recheck_all(tx, pipeline).await,
        None => Ok(()),
    }
}
