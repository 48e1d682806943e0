//! Associations that a definition has, and what becomes of those that it has dropped.

use super::carried_out::{self, CarriedOut};
use super::database::{Database, lookup_of, record_of};
use super::pipelines::ensure_pipeline;
use super::{before, directory, together};
use crate::model::association::{self, AssociationKey};
use crate::model::ids::PipelineName;
use crate::ports::state::KeptAssociation;

/// Whether the definition has the same associations as before.
pub fn is_known(database: &Database, pipeline: &PipelineName, kept: &[KeptAssociation]) -> rusqlite::Result<bool> {
    Ok(directory::note(database, &note(pipeline))? == Some(keys_of(kept)))
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

/// The keys that the pipeline's associations had when it ran last.
fn keys_before(database: &Database, pipeline: &PipelineName) -> rusqlite::Result<Vec<AssociationKey>> {
    let noted = directory::note(database, &note(pipeline))?.unwrap_or_default();
    Ok(serde_json::from_str(&noted).unwrap_or_default())
}

/// Which associations of a pipeline get another label: what the keys were, and what they are.
pub fn relabelled(
    database: &Database,
    pipeline: &PipelineName,
    kept: &[KeptAssociation],
) -> rusqlite::Result<Vec<(AssociationKey, AssociationKey)>> {
    let now: Vec<AssociationKey> = kept.iter().map(|kept| kept.key.clone()).collect();
    Ok(association::relabelled(&keys_before(database, pipeline)?, &now))
}

/// What was carried out under one key has been carried out for another from now on.
fn take_over(database: &Database, pipeline: i64, old: &AssociationKey, new: &AssociationKey) -> rusqlite::Result<()> {
    let Some(old) = database.place(pipeline, old)? else { return Ok(()) };
    let new = database.ensure_place(pipeline, new)?;
    database.stretches(pipeline, None, |stretch| {
        carried_out::rewrite(database, stretch.lookups(None), |before, changes| {
            let record = record_of(before.lookup);
            if before.lookup == lookup_of(record, old) {
                let lookup = lookup_of(record, new);
                changes.extend([(before.lookup, None), (lookup, Some(CarriedOut { lookup, ..before }))]);
            }
        })?;
        Ok(true)
    })
}

/// Keeps these associations of the pipeline and forgets what lookups asked for under other keys; what was made of it stays in
/// HubSpot, and is known as ours. An association that gets another label goes on with what was carried out of it, so that it is taken back
/// where the lookup leads elsewhere by then.
pub fn keep(database: &Database, name: &PipelineName, kept: &[KeptAssociation]) -> rusqlite::Result<()> {
    let pipeline = ensure_pipeline(database, name)?;
    before::bring_forward(database, pipeline, kept)?;
    together::spread_range(database, pipeline, i64::MIN, i64::MAX)?;
    for (old, new) in relabelled(database, name, kept)? {
        take_over(database, pipeline, &old, &new)?;
    }
    let keys = keys_of(kept);
    let sql = "SELECT place FROM association_keys WHERE pipeline = ?1 AND key NOT IN (SELECT value FROM json_each(?2))";
    let mut statement = database.prepare(sql)?;
    let dropped = statement.query_map(rusqlite::params![pipeline, keys], |row| row.get(0))?;
    let dropped: Vec<i64> = dropped.collect::<rusqlite::Result<_>>()?;
    if !dropped.is_empty() {
        forget(database, pipeline, &dropped)?;
    }
    directory::set_note(database, &note(name), &keys)
}

/// Forgets the lookups whose keys stand at these places.
fn forget(database: &Database, pipeline: i64, dropped: &[i64]) -> rusqlite::Result<()> {
    let places = serde_json::to_string(dropped).unwrap_or_default();
    let mut statement = database.prepare(
        "DELETE FROM due_associations
         WHERE lookup >= ?1 AND lookup < ?2 AND lookup & 1023 IN (SELECT value FROM json_each(?3))",
    )?;
    database.stretches(pipeline, None, |stretch| {
        let lookups = stretch.lookups(None);
        statement.execute(rusqlite::params![lookups.start, lookups.end, places])?;
        carried_out::rewrite(database, lookups, |before, changes| {
            let is_dropped = |place: &i64| before.lookup == lookup_of(record_of(before.lookup), *place);
            changes.extend(dropped.iter().any(is_dropped).then_some((before.lookup, None)));
        })?;
        Ok(true)
    })
}
