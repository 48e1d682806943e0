//! Lookups on their way into the state: what they ask for, what was carried out of it, and which of them have work left.

use std::collections::BTreeMap;

use super::fault::Fault;
use super::rows;
use super::store::{Tx, sql};
use crate::model::association::{Asked, AssociationKey, LabelId, PairKey, SettledPair};
use crate::model::ids::{HubspotId, SalesforceId};
use crate::ports::state::{Asking, LookupRef, MakingLookup, SettledLookup};

fn label(label: Option<&LabelId>) -> Option<String> {
    label.map(LabelId::to_string)
}

/// Sets what lookups ask for; what was carried out stays. A lookup that asks for something else is due at once. Of several for one lookup
/// the last one counts.
pub async fn write_wanted(tx: &mut Tx<'_>, pipeline: i32, wanted: &[Asking]) -> Result<(), Fault> {
    let last: BTreeMap<(&SalesforceId, &str), _> =
        wanted.iter().map(|(id, key, asked)| ((id, &*key.0), asked.as_ref())).collect();
    let part = |blank: bool| {
        let these: Vec<_> = last.iter().filter(|(_, asked)| asked.is_none() == blank).collect();
        let ids: Vec<&str> = these.iter().map(|((id, _), _)| id.as_str()).collect();
        let keys: Vec<&str> = these.iter().map(|((_, key), _)| *key).collect();
        let targets: Vec<&str> = these.iter().filter_map(|(_, asked)| Some(asked.as_ref()?.target.as_str())).collect();
        let labels: Vec<Option<String>> =
            these.iter().map(|(_, asked)| asked.as_ref().and_then(|asked| label(asked.label.as_ref()))).collect();
        (ids, keys, targets, labels)
    };
    let (ids, keys, targets, labels) = part(false);
    if !ids.is_empty() {
        // What one knows of waiting stays where it asks for the same record, and has work left.
        let set = sql("INSERT INTO syncline.lookups AS l (state_id, pipeline, id, key, wanted, wanted_label, recheck)
             SELECT $1, $2, id, key, wanted, label, false
             FROM unnest($3::text[], $4::text[], $5::text[], $6::text[]) AS new (id, key, wanted, label)
             ON CONFLICT (state_id, pipeline, id, key) DO UPDATE SET wanted = excluded.wanted, wanted_label = excluded.wanted_label,
                 waiting_since = CASE WHEN l.wanted = excluded.wanted AND (l.recheck OR excluded.wanted IS DISTINCT FROM l.target
                     OR excluded.wanted_label IS DISTINCT FROM l.label) THEN l.waiting_since END,
                 retry_at = CASE WHEN l.wanted = excluded.wanted AND (l.recheck OR excluded.wanted IS DISTINCT FROM l.target
                     OR excluded.wanted_label IS DISTINCT FROM l.label) THEN l.retry_at END
             WHERE (l.wanted, l.wanted_label) IS DISTINCT FROM (excluded.wanted, excluded.wanted_label)");
        let set = set.bind(tx.state).bind(pipeline).bind(ids).bind(keys).bind(targets).bind(labels);
        tx.run(set).await?;
    }
    let (ids, keys, ..) = part(true);
    if !ids.is_empty() {
        let blank = sql(
            "UPDATE syncline.lookups l SET wanted = NULL, wanted_label = NULL, waiting_since = NULL, retry_at = NULL
             FROM unnest($3::text[], $4::text[]) AS new (id, key)
             WHERE l.state_id = $1 AND l.pipeline = $2 AND l.id = new.id AND l.key = new.key AND l.wanted IS NOT NULL",
        );
        tx.run(blank.bind(tx.state).bind(pipeline).bind(&ids).bind(&keys)).await?;
        forget_blank(tx, pipeline, &ids, &keys).await?;
    }
    Ok(())
}

/// Forgets lookups that ask for nothing, and of which nothing stands.
async fn forget_blank(tx: &mut Tx<'_>, pipeline: i32, ids: &[&str], keys: &[&str]) -> Result<(), Fault> {
    let forget = sql("DELETE FROM syncline.lookups l USING unnest($3::text[], $4::text[]) AS blank (id, key)
         WHERE l.state_id = $1 AND l.pipeline = $2 AND l.id = blank.id AND l.key = blank.key
             AND l.wanted IS NULL AND l.target IS NULL AND NOT l.recheck");
    tx.run(forget.bind(tx.state).bind(pipeline).bind(ids).bind(keys)).await.map(drop)
}

/// Sets what was carried out, one after the other where there are several for one lookup; what lookups ask for stays.
pub async fn write_settled(tx: &mut Tx<'_>, pipeline: i32, settled: &[SettledLookup]) -> Result<(), Fault> {
    for round in rows::rounds(settled, |(id, key, _)| (id, &*key.0)) {
        settle(tx, pipeline, &round).await?;
    }
    Ok(())
}

/// Sets what is about to be carried out, which is in doubt until it is settled or confirmed.
pub async fn write_making(tx: &mut Tx<'_>, pipeline: i32, making: &[MakingLookup]) -> Result<(), Fault> {
    for round in rows::rounds(making, |(id, key, _)| (id, &*key.0)) {
        let leading: Vec<Leading<'_>> =
            round.into_iter().map(|((id, key), (.., (pair, settled)))| (id, key, pair, settled)).collect();
        lead(tx, pipeline, &leading, true).await?;
    }
    Ok(())
}

/// Where the lookup of a record leads.
type Leading<'a> = (&'a SalesforceId, &'a str, &'a PairKey, &'a SettledPair);

/// Sets where different lookups lead, and whether that is in doubt.
async fn lead(tx: &mut Tx<'_>, pipeline: i32, leading: &[Leading<'_>], in_doubt: bool) -> Result<(), Fault> {
    if leading.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = leading.iter().map(|(id, ..)| id.as_str()).collect();
    let keys: Vec<&str> = leading.iter().map(|(_, key, ..)| *key).collect();
    let each = || leading.iter().map(|(_, _, _, settled)| settled);
    let targets: Vec<&str> = each().map(|settled| settled.asked.target.as_str()).collect();
    let labels: Vec<Option<String>> = each().map(|settled| label(settled.asked.label.as_ref())).collect();
    let from: Vec<String> = each().map(|settled| settled.from.to_string()).collect();
    let objects_at_the_end: Vec<&str> = each().map(|settled| &*settled.to_object).collect();
    let to: Vec<String> = each().map(|settled| settled.to.to_string()).collect();
    let pairs = || leading.iter().map(|(_, _, pair, _)| pair);
    let newer: Vec<i64> = pairs().map(|pair| pair.newer).collect();
    let older: Vec<i64> = pairs().map(|pair| pair.older).collect();
    let objects: Vec<i64> = pairs().map(|pair| pair.objects).collect();
    let set = sql("INSERT INTO syncline.lookups AS l
             (state_id, pipeline, id, key, target, label, from_id, to_object, to_id, newer, older, objects, recheck)
         SELECT $1, $2, *, $13::boolean FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
             $9::text[], $10::bigint[], $11::bigint[], $12::bigint[])
         ON CONFLICT (state_id, pipeline, id, key) DO UPDATE SET target = excluded.target, label = excluded.label,
             from_id = excluded.from_id, to_object = excluded.to_object, to_id = excluded.to_id, newer = excluded.newer,
             older = excluded.older, objects = excluded.objects, recheck = excluded.recheck,
             waiting_since = CASE WHEN (l.wanted, l.wanted_label) IS DISTINCT FROM (excluded.target, excluded.label)
                 THEN l.waiting_since END,
             retry_at = CASE WHEN (l.wanted, l.wanted_label) IS DISTINCT FROM (excluded.target, excluded.label)
                 THEN l.retry_at END");
    let set = set.bind(tx.state).bind(pipeline).bind(ids).bind(keys).bind(targets).bind(labels).bind(from);
    let set = set.bind(objects_at_the_end).bind(to).bind(newer).bind(older).bind(objects).bind(in_doubt);
    tx.run(set).await.map(drop)
}

/// Sets what was carried out of different lookups.
async fn settle(
    tx: &mut Tx<'_>,
    pipeline: i32,
    settled: &BTreeMap<(&SalesforceId, &str), &SettledLookup>,
) -> Result<(), Fault> {
    let stands = settled
        .iter()
        .filter_map(|((id, key), (.., settled))| settled.as_ref().map(|(pair, settled)| (*id, *key, pair, settled)));
    lead(tx, pipeline, &stands.collect::<Vec<_>>(), false).await?;
    let gone: Vec<&(&SalesforceId, &str)> =
        settled.iter().filter(|(_, (.., settled))| settled.is_none()).map(|(of, _)| of).collect();
    if !gone.is_empty() {
        let ids: Vec<&str> = gone.iter().map(|(id, _)| id.as_str()).collect();
        let keys: Vec<&str> = gone.iter().map(|(_, key)| *key).collect();
        let clear = sql(
            "UPDATE syncline.lookups l SET target = NULL, label = NULL, from_id = NULL, to_object = NULL, to_id = NULL,
                 newer = NULL, older = NULL, objects = NULL, recheck = false
             FROM unnest($3::text[], $4::text[]) AS gone (id, key)
             WHERE l.state_id = $1 AND l.pipeline = $2 AND l.id = gone.id AND l.key = gone.key",
        );
        tx.run(clear.bind(tx.state).bind(pipeline).bind(&ids).bind(&keys)).await?;
        forget_blank(tx, pipeline, &ids, &keys).await?;
    }
    Ok(())
}

/// Notes that what was carried out of lookups stands.
pub async fn write_confirmed(
    tx: &mut Tx<'_>,
    pipeline: i32,
    confirmed: &[(SalesforceId, AssociationKey, Asked)],
) -> Result<(), Fault> {
    if confirmed.is_empty() {
        return Ok(());
    }
    let (ids, keys): (Vec<&str>, Vec<&str>) = confirmed.iter().map(|(id, key, _)| (id.as_str(), &*key.0)).unzip();
    let set = sql("UPDATE syncline.lookups l SET recheck = false,
             waiting_since = CASE WHEN (l.wanted, l.wanted_label) IS DISTINCT FROM (l.target, l.label) THEN l.waiting_since END,
             retry_at = CASE WHEN (l.wanted, l.wanted_label) IS DISTINCT FROM (l.target, l.label) THEN l.retry_at END
         FROM unnest($3::text[], $4::text[]) AS stands (id, key)
         WHERE l.state_id = $1 AND l.pipeline = $2 AND l.id = stands.id AND l.key = stands.key AND l.target IS NOT NULL");
    tx.run(set.bind(tx.state).bind(pipeline).bind(ids).bind(keys)).await.map(drop)
}

fn parts(lookups: &[LookupRef]) -> (Vec<&str>, Vec<&str>) {
    lookups.iter().map(|(id, key)| (id.as_str(), &*key.0)).unzip()
}

/// HubSpot is to be asked how these lookups stand.
pub async fn write_rechecks(tx: &mut Tx<'_>, pipeline: i32, lookups: &[LookupRef]) -> Result<(), Fault> {
    if lookups.is_empty() {
        return Ok(());
    }
    let (ids, keys) = parts(lookups);
    let set = sql("UPDATE syncline.lookups l SET recheck = true FROM unnest($3::text[], $4::text[]) AS asked (id, key)
         WHERE l.state_id = $1 AND l.pipeline = $2 AND l.id = asked.id AND l.key = asked.key");
    tx.run(set.bind(tx.state).bind(pipeline).bind(ids).bind(keys)).await.map(drop)
}

/// HubSpot is to be asked how all lookups of a pipeline stand that were ever carried out.
pub async fn recheck_all(tx: &mut Tx<'_>, pipeline: i32) -> Result<(), Fault> {
    let set = sql("UPDATE syncline.lookups SET recheck = true
         WHERE state_id = $1 AND pipeline = $2 AND target IS NOT NULL AND NOT recheck");
    tx.run(set.bind(tx.state).bind(pipeline)).await.map(drop)
}

/// Longest pause between two tries, in milliseconds: an hour.
const WAIT_MAX_MS: i64 = 3_600_000;

/// Puts associations off that cannot be made yet. The pause is three times as long as they have waited, so that a new one is tried by the
/// next run and an old one rarely, and at most [`WAIT_MAX_MS`].
pub async fn write_waiting(tx: &mut Tx<'_>, pipeline: i32, waiting: &[LookupRef], at: i64) -> Result<(), Fault> {
    if waiting.is_empty() {
        return Ok(());
    }
    let (ids, keys) = parts(waiting);
    let set = sql("UPDATE syncline.lookups l SET waiting_since = coalesce(waiting_since, $5),
             retry_at = $5 + least(greatest(3 * ($5 - coalesce(waiting_since, $5)), 0), $6)
         FROM unnest($3::text[], $4::text[]) AS asked (id, key)
         WHERE l.state_id = $1 AND l.pipeline = $2 AND l.id = asked.id AND l.key = asked.key AND l.due");
    tx.run(set.bind(tx.state).bind(pipeline).bind(ids).bind(keys).bind(at).bind(WAIT_MAX_MS)).await.map(drop)
}

/// Records have appeared in HubSpot: the lookups that wait for them are due at once. Where the first end of a row of a junction object has
/// come, the other end waited with it.
pub async fn wake(tx: &mut Tx<'_>, ids: &[&str]) -> Result<(), Fault> {
    if ids.is_empty() {
        return Ok(());
    }
    let set = sql("UPDATE syncline.lookups l SET waiting_since = NULL, retry_at = NULL
         FROM (SELECT DISTINCT w.pipeline, w.id, w.key FROM unnest($2::text[]) AS come (id)
               JOIN syncline.lookups w ON w.state_id = $1 AND w.wanted = come.id AND w.retry_at IS NOT NULL) woken
         WHERE l.state_id = $1 AND l.pipeline = woken.pipeline AND l.id = woken.id
             AND (l.key = woken.key OR starts_with(woken.key, 'from '))");
    tx.run(set.bind(tx.state).bind(ids)).await.map(drop)
}

/// Has lookups of records that have work left wait until some time, whatever they have waited for so far.
pub async fn wait_until(tx: &mut Tx<'_>, records: &[(i32, String)], until: i64) -> Result<(), Fault> {
    if records.is_empty() {
        return Ok(());
    }
    let (pipelines, ids): (Vec<i32>, Vec<&str>) = records.iter().map(|(pipeline, id)| (*pipeline, id.as_str())).unzip();
    let set = sql("UPDATE syncline.lookups l SET waiting_since = NULL, retry_at = $4
         FROM unnest($2::integer[], $3::text[]) AS asked (pipeline, id)
         WHERE l.state_id = $1 AND l.pipeline = asked.pipeline AND l.id = asked.id AND l.due");
    tx.run(set.bind(tx.state).bind(pipelines).bind(ids).bind(until)).await.map(drop)
}

/// Records came back to HubSpot as others: what led from the ones before is carried out again, and what led to them is looked at before the
/// next lookups that are due are read. Each with its HubSpot record before and now.
pub async fn replaced(tx: &mut Tx<'_>, pipeline: i32, records: &[(&str, &str, String)]) -> Result<(), Fault> {
    if records.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = records.iter().map(|(id, ..)| *id).collect();
    let before: Vec<&str> = records.iter().map(|(_, before, _)| *before).collect();
    let now: Vec<&str> = records.iter().map(|(.., now)| now.as_str()).collect();
    let set = sql("UPDATE syncline.lookups l SET recheck = true, waiting_since = NULL, retry_at = NULL
         FROM unnest($3::text[], $4::text[]) AS come (id, now)
         WHERE l.state_id = $1 AND l.pipeline = $2 AND l.id = come.id AND l.from_id <> come.now");
    tx.run(set.bind(tx.state).bind(pipeline).bind(&ids).bind(now)).await?;
    let note = sql("INSERT INTO syncline.replaced_records (state_id, target, before)
         SELECT $1, * FROM unnest($2::text[], $3::text[]) ON CONFLICT DO NOTHING");
    tx.run(note.bind(tx.state).bind(ids).bind(before)).await.map(drop)
}

/// Whether records came back as others since that was looked at.
pub async fn any_replaced(tx: &mut Tx<'_>) -> Result<bool, Fault> {
    let any = sql("SELECT EXISTS (SELECT 1 FROM syncline.replaced_records WHERE state_id = $1)");
    tx.row(any.bind(tx.state)).await?.map_or(Ok(false), |row| rows::get(&row, 0))
}

/// Lookups that led to records which came back as others are carried out again. One way through all associations serves all of those records.
pub async fn follow_replaced(tx: &mut Tx<'_>) -> Result<(), Fault> {
    let set = sql("UPDATE syncline.lookups l SET recheck = true, waiting_since = NULL, retry_at = NULL
         FROM syncline.replaced_records r
         WHERE r.state_id = $1 AND l.state_id = $1 AND l.wanted = r.target AND l.to_id = r.before");
    tx.run(set.bind(tx.state)).await?;
    tx.run(sql("DELETE FROM syncline.replaced_records WHERE state_id = $1").bind(tx.state)).await.map(drop)
}

/// Something was removed from these pairs of records: lookups that ask for associations between them from the other side, or in other
/// pipelines, are looked at again. A lookup that asks for another record by now is due by itself.
pub async fn recheck_pairs(tx: &mut Tx<'_>, pipeline: i32, removed: &[(PairKey, HubspotId)]) -> Result<(), Fault> {
    if removed.is_empty() {
        return Ok(());
    }
    let newer: Vec<i64> = removed.iter().map(|(pair, _)| pair.newer).collect();
    let older: Vec<i64> = removed.iter().map(|(pair, _)| pair.older).collect();
    let objects: Vec<i64> = removed.iter().map(|(pair, _)| pair.objects).collect();
    let from: Vec<String> = removed.iter().map(|(_, from)| from.to_string()).collect();
    let set = sql("UPDATE syncline.lookups l SET recheck = true, retry_at = NULL
         FROM unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::text[]) AS r (newer, older, objects, from_id)
         WHERE l.state_id = $1 AND l.newer = r.newer AND l.older = r.older AND l.objects = r.objects AND l.wanted = l.target
             AND NOT (l.pipeline = $2 AND l.from_id = r.from_id)");
    tx.run(set.bind(tx.state).bind(pipeline).bind(newer).bind(older).bind(objects).bind(from)).await.map(drop)
}
