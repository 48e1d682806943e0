//! Directories: which HubSpot records carry which Salesforce id. And short notes.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::rows;
use crate::model::ids::{HubspotId, SalesforceId};
use crate::ports::state::Listing;

/// HubSpot ids by Salesforce id.
pub fn find(
    connection: &Connection,
    name: &str,
    ids: &[SalesforceId],
) -> rusqlite::Result<HashMap<SalesforceId, Vec<HubspotId>>> {
    let mut statement = connection.prepare_cached(
        "SELECT d.salesforce_id, d.hubspot_id FROM json_each(?2) AS asked
         CROSS JOIN directories d ON d.name = ?1 AND d.salesforce_id = asked.value",
    )?;
    let mut found: HashMap<SalesforceId, Vec<HubspotId>> = HashMap::new();
    let mut entries = statement.query(params![name, rows::id_array(ids)])?;
    while let Some(row) = entries.next()? {
        let id = rows::salesforce_id(0, row.get_ref(0)?.as_str()?)?;
        let record = HubspotId::new(row.get::<_, String>(1)?);
        let records = found.entry(id).or_default();
        if !records.contains(&record) {
            records.push(record);
        }
    }
    Ok(found)
}

/// The listing that filled a directory last to its end.
pub fn filled(connection: &Connection, name: &str) -> rusqlite::Result<Option<Listing>> {
    let listing = note(connection, &filled_key(name))?;
    listing.map(|listing| rows::json(0, &listing)).transpose()
}

/// Adds entries.
pub fn add(connection: &Connection, name: &str, entries: &[(SalesforceId, HubspotId)]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO directories (name, salesforce_id, hubspot_id) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    )?;
    for (id, record) in entries {
        statement.execute(params![name, id.as_str(), &*record.text()])?;
    }
    Ok(())
}

/// Takes entries out.
pub fn forget(connection: &Connection, name: &str, entries: &[(SalesforceId, HubspotId)]) -> rusqlite::Result<()> {
    let mut statement = connection
        .prepare_cached("DELETE FROM directories WHERE name = ?1 AND salesforce_id = ?2 AND hubspot_id = ?3")?;
    for (id, record) in entries {
        statement.execute(params![name, id.as_str(), &*record.text()])?;
    }
    Ok(())
}

/// How long a listing may take, in milliseconds: a day.
const DRAFT_LIFE_MS: i64 = 24 * 3_600_000;

/// Puts a draft in the place of a directory.
pub fn publish(connection: &Connection, draft: &str, name: &str, listing: Listing) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM directories WHERE name = ?1", [name])?;
    connection.execute("UPDATE directories SET name = ?2 WHERE name = ?1", [draft, name])?;
    // Drafts are named after runs, whose names begin with their time: old ones are those of runs that died.
    let day_ago = listing.at.as_millisecond().saturating_sub(DRAFT_LIFE_MS).max(0).unsigned_abs();
    let oldest = format!("{name}#{}", ulid::Ulid::from_parts(day_ago, 0));
    let dead = "DELETE FROM directories WHERE name > ?1 || '#' AND name < ?2";
    connection.execute(dead, [name, &oldest])?;
    set_note(connection, &filled_key(name), &rows::to_json(&listing)?)
}

/// Forgets a draft that nobody finished.
pub fn discard(connection: &Connection, draft: &str) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM directories WHERE name = ?1", [draft]).map(|_| ())
}

/// A note.
pub fn note(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    let mut statement = connection.prepare_cached("SELECT text FROM notes WHERE key = ?1")?;
    statement.query_row([key], |row| row.get(0)).optional()
}

/// Sets a note; an empty text forgets it.
pub fn set_note(connection: &Connection, key: &str, text: &str) -> rusqlite::Result<()> {
    if text.is_empty() {
        connection.execute("DELETE FROM notes WHERE key = ?1", [key])?;
    } else {
        let sql = "INSERT INTO notes (key, text) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET text = excluded.text";
        connection.execute(sql, params![key, text])?;
    }
    Ok(())
}

fn filled_key(name: &str) -> String {
    format!("filled:{name}")
}
