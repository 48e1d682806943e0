//! Short notes; and directories: which HubSpot records carry which Salesforce id.

use std::collections::HashMap;

use super::fault::Fault;
use super::rows::{self, get};
use super::store::{Tx, sql};
use crate::model::ids::{HubspotId, SalesforceId};
use crate::ports::state::Listing;

/// A note.
pub async fn read(tx: &mut Tx<'_>, key: &str) -> Result<Option<String>, Fault> {
    let read = sql("SELECT text FROM syncline.notes WHERE state_id = $1 AND key = $2");
    tx.row(read.bind(tx.state).bind(key)).await?.map(|row| get(&row, 0)).transpose()
}

/// Notes, in the order of their keys.
pub async fn read_all(tx: &mut Tx<'_>, keys: &[String]) -> Result<Vec<Option<String>>, Fault> {
    let read = sql("SELECT n.text FROM unnest($2::text[]) WITH ORDINALITY AS asked (key, place)
         LEFT JOIN syncline.notes n ON n.state_id = $1 AND n.key = asked.key ORDER BY place");
    tx.rows(read.bind(tx.state).bind(keys)).await?.iter().map(|row| get(row, 0)).collect()
}

/// Sets a note; an empty text forgets it.
pub async fn set(tx: &mut Tx<'_>, key: &str, text: &str) -> Result<(), Fault> {
    let write = match text.is_empty() {
        true => sql("DELETE FROM syncline.notes WHERE state_id = $1 AND key = $2").bind(tx.state).bind(key),
        false => sql("INSERT INTO syncline.notes (state_id, key, text) VALUES ($1, $2, $3)
             ON CONFLICT (state_id, key) DO UPDATE SET text = excluded.text")
        .bind(tx.state)
        .bind(key)
        .bind(text.replace('\0', "\u{fffd}")),
    };
    tx.run(write).await.map(drop)
}

/// HubSpot ids by Salesforce id.
pub async fn find(
    tx: &mut Tx<'_>,
    name: &str,
    ids: &[SalesforceId],
) -> Result<HashMap<SalesforceId, Vec<HubspotId>>, Fault> {
    let find = sql("SELECT d.id, d.hubspot_id FROM (SELECT DISTINCT id FROM unnest($3::text[]) AS asked (id)) asked
         JOIN syncline.directories d ON d.state_id = $1 AND d.name = $2 AND d.id = asked.id ORDER BY d.id, d.hubspot_id");
    let mut found: HashMap<SalesforceId, Vec<HubspotId>> = HashMap::new();
    for row in &tx.rows(find.bind(tx.state).bind(name).bind(rows::ids(ids))).await? {
        found.entry(rows::salesforce_id(row, 0)?).or_default().push(rows::hubspot_id(row, 1)?);
    }
    Ok(found)
}

/// The listing that filled a directory last to its end.
pub async fn filled(tx: &mut Tx<'_>, name: &str) -> Result<Option<Listing>, Fault> {
    let listing = read(tx, &filled_key(name)).await?;
    listing.map(|listing| rows::json(&listing)).transpose()
}

fn parts(entries: &[(SalesforceId, HubspotId)]) -> (Vec<&str>, Vec<String>) {
    entries.iter().map(|(id, record)| (id.as_str(), record.to_string())).unzip()
}

/// Adds entries.
pub async fn add(tx: &mut Tx<'_>, name: &str, entries: &[(SalesforceId, HubspotId)]) -> Result<(), Fault> {
    let (ids, records) = parts(entries);
    let add = sql("INSERT INTO syncline.directories (state_id, name, id, hubspot_id)
         SELECT $1, $2, * FROM unnest($3::text[], $4::text[]) ON CONFLICT DO NOTHING");
    tx.run(add.bind(tx.state).bind(name).bind(ids).bind(records)).await.map(drop)
}

/// Takes entries out.
pub async fn forget(tx: &mut Tx<'_>, name: &str, entries: &[(SalesforceId, HubspotId)]) -> Result<(), Fault> {
    let (ids, records) = parts(entries);
    let forget = sql("DELETE FROM syncline.directories d USING unnest($3::text[], $4::text[]) AS gone (id, hubspot_id)
         WHERE d.state_id = $1 AND d.name = $2 AND d.id = gone.id AND d.hubspot_id = gone.hubspot_id");
    tx.run(forget.bind(tx.state).bind(name).bind(ids).bind(records)).await.map(drop)
}

/// How long a listing may take, in milliseconds: a day.
const DRAFT_LIFE_MS: i64 = 24 * 3_600_000;

/// Puts a draft in the place of a directory.
pub async fn publish(tx: &mut Tx<'_>, draft: &str, name: &str, listing: Listing) -> Result<(), Fault> {
    discard(tx, name).await?;
    let rename = sql("UPDATE syncline.directories SET name = $3 WHERE state_id = $1 AND name = $2");
    tx.run(rename.bind(tx.state).bind(draft).bind(name)).await?;
    // Drafts are named after runs, whose names begin with their time: old ones are those of runs that died.
    let day_ago = listing.at.as_millisecond().saturating_sub(DRAFT_LIFE_MS).max(0).unsigned_abs();
    let oldest = format!("{name}#{}", ulid::Ulid::from_parts(day_ago, 0));
    let dead = sql("DELETE FROM syncline.directories WHERE state_id = $1 AND name > $2 AND name < $3");
    tx.run(dead.bind(tx.state).bind(format!("{name}#")).bind(oldest)).await?;
    set(tx, &filled_key(name), &rows::to_json(&listing)?).await
}

/// Forgets a draft that nobody finished.
pub async fn discard(tx: &mut Tx<'_>, draft: &str) -> Result<(), Fault> {
    let discard = sql("DELETE FROM syncline.directories WHERE state_id = $1 AND name = $2");
    tx.run(discard.bind(tx.state).bind(draft)).await.map(drop)
}

fn filled_key(name: &str) -> String {
    format!("filled:{name}")
}
