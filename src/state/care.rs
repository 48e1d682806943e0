//! A state as a file to care for: is it sound, a copy of it while it is in use, and one pipeline's part of it taken out.

use std::ops::ControlFlow;
use std::path::Path;

use rusqlite::params;

use super::database::Database;
use super::open::Seen;
use super::writer::at_one_moment;
use super::{carried_out, known, lease, open, pairs, pipelines, together, unconfirmed};
use crate::model::ids::PipelineName;
use crate::ports::state::StateError;
use crate::sys::files::{Draft, Readers};

/// Most problems that a check names.
const PROBLEMS_MAX: u32 = 20;

/// Looks at a file without going through it.
///
/// Errors: it is no state, damaged, of a later version, or cannot be read.
pub fn look(path: &Path) -> Result<Seen, StateError> {
    Ok(open::looked_at(path)?.1)
}

/// Goes through the whole file: what is wrong with it, in the database's words.
///
/// Errors: as [`look`].
pub fn check(path: &Path) -> Result<(Seen, Vec<String>), StateError> {
    let (database, seen) = open::looked_at(path)?;
    let failed = |error| open::sorted(&path.display().to_string(), error);
    let read = |database: &Database| {
        let mut problems: Vec<String> = Vec::new();
        let mut statement = database.prepare(&format!("PRAGMA integrity_check({PROBLEMS_MAX})"))?;
        for line in statement.query_map([], |row| row.get::<_, String>(0))? {
            problems.extend(Some(line?).filter(|line| line != "ok"));
        }
        let mut statement = database.prepare("PRAGMA foreign_key_check")?;
        let broken = statement.query_map([], |row| {
            Ok(format!("a row of `{}` belongs to none of `{}`", row.get::<_, String>(0)?, row.get::<_, String>(2)?))
        })?;
        for line in broken.take(PROBLEMS_MAX as usize) {
            problems.push(line?);
        }
        if problems.is_empty() && seen.version == seen.known {
            // What is packed in rows is beyond the database.
            let packed = known::check(database)
                .and_then(|()| carried_out::check(database))
                .and_then(|()| pairs::check(database))
                .and_then(|()| together::check(database))
                .and_then(|()| unconfirmed::check(database));
            match packed {
                Err(rusqlite::Error::FromSqlConversionFailure(.., wrong)) => problems.push(wrong.to_string()),
                other => other?,
            }
        }
        Ok(problems)
    };
    // At one moment, also where somebody writes: tables are compared with each other.
    at_one_moment(&database, read).map_err(failed).map(|problems| (seen, problems))
}

/// Copies a state as it is at one moment, whoever writes to it meanwhile, into a new file for its owner only. The copy is checked before
/// it is put in its place.
///
/// Errors: as [`look`]; the place is taken, or cannot be written; the copy is no good.
pub fn backup(path: &Path, to: &Path) -> Result<Seen, StateError> {
    let (database, _) = open::looked_at(path)?;
    let shown = to.display().to_string();
    let io = |error: std::io::Error| StateError::Io { path: shown.clone(), detail: error.to_string() };
    if to.exists() {
        return Err(io(std::io::Error::other("something stands there already, and a copy replaces nothing")));
    }
    let draft = Draft::new(to, Readers::Owner).map_err(io)?;
    let Some(place) = draft.place() else {
        return Err(io(std::io::Error::other("a copy is an ordinary file")));
    };
    let text = place.to_string_lossy().into_owned();
    database.execute("VACUUM INTO ?1", [text]).map_err(|error| open::sorted(&shown, error))?;
    let (seen, problems) = check(place)?;
    if let Some(problem) = problems.first() {
        let detail = format!("the copy was not kept, as the state itself is not sound: {problem}");
        return Err(StateError::Corrupt { path: path.display().to_string(), detail });
    }
    draft.keep_new().map_err(io)?;
    Ok(seen)
}

/// What was taken out of a state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Records whose identities were known.
    pub records: u64,
    /// Lookups that associations were made for, or were to be.
    pub associations: u64,
    /// Failures.
    pub failures: u64,
    /// Runs.
    pub runs: u64,
}

/// What a state knows of a pipeline, as [`forget`] would take it out; none where it knows no such pipeline.
pub fn known_of(path: &Path, pipeline: &PipelineName) -> Result<Option<Forgotten>, StateError> {
    let database = open::readable(path)?;
    let count = || {
        let Some(id) = pipelines::pipeline_id(&database, pipeline)? else { return Ok(None) };
        let one = |sql: &str| database.query_row(sql, [id], |row| row.get::<_, i64>(0).map(i64::unsigned_abs));
        let mut found = Forgotten {
            records: 0,
            associations: 0,
            failures: one("SELECT count(*) FROM failures WHERE pipeline = ?1")?,
            runs: one("SELECT count(*) FROM runs WHERE pipeline = ?1")?,
        };
        database.stretches(id, None, |stretch| {
            known::walk(&database, stretch.after(None), |_| {
                found.records += 1;
                Ok(ControlFlow::Continue(()))
            })?;
            carried_out::walk(&database, stretch.lookups(None), |_| {
                found.associations += 1;
                Ok(ControlFlow::Continue(()))
            })?;
            Ok(true)
        })?;
        Ok(Some(found))
    };
    count().map_err(|error| open::sorted(&path.display().to_string(), error))
}

/// Takes out everything that is remembered of a pipeline, in one transaction. Numbers stay given: another process may know them.
///
/// Errors: a run of the pipeline is under way; the state cannot be written.
pub fn forget(path: &Path, pipeline: &PipelineName, holder: &str) -> Result<Option<Forgotten>, StateError> {
    let database = open::writable(path)?;
    let _lease = lease::take(path, pipeline, holder)?;
    taken_out(&database, pipeline).map_err(|error| open::sorted(&path.display().to_string(), error))
}

fn taken_out(database: &Database, pipeline: &PipelineName) -> rusqlite::Result<Option<Forgotten>> {
    let Some(id) = pipelines::pipeline_id(database, pipeline)? else { return Ok(None) };
    let transaction = database.unchecked_transaction()?;
    let mut gone = Forgotten::default();
    let rows = |sql: &str| database.execute(sql, [id]).map(|rows| rows as u64);
    database.stretches(id, None, |stretch| {
        let within = |sql: &str, range: std::ops::Range<i64>| {
            database.execute(sql, [range.start, range.end]).map(|rows| rows as u64)
        };
        gone.records += known::forget(database, stretch.after(None))?;
        within("DELETE FROM unconfirmed WHERE record >= ?1 AND record < ?2", stretch.after(None))?;
        gone.associations += carried_out::forget(database, stretch.lookups(None))?;
        within("DELETE FROM due_associations WHERE lookup >= ?1 AND lookup < ?2", stretch.lookups(None))?;
        within("DELETE FROM pairs_before WHERE lookup >= ?1 AND lookup < ?2", stretch.lookups(None))?;
        Ok(true)
    })?;
    gone.failures = rows("DELETE FROM failures WHERE pipeline = ?1")?;
    rows("DELETE FROM run_failures WHERE run IN (SELECT id FROM runs WHERE pipeline = ?1)")?;
    rows("DELETE FROM run_origins WHERE run IN (SELECT id FROM runs WHERE pipeline = ?1)")?;
    gone.runs = rows("DELETE FROM runs WHERE pipeline = ?1")?;
    rows("DELETE FROM calls WHERE pipeline = ?1")?;
    rows("DELETE FROM making_together WHERE number IN (SELECT number FROM due_together WHERE pipeline = ?1)")?;
    rows("DELETE FROM due_together WHERE pipeline = ?1")?;
    rows("DELETE FROM imports WHERE pipeline = ?1")?;
    rows("DELETE FROM comparisons WHERE pipeline = ?1")?;
    rows("UPDATE standings SET records = 0 WHERE pipeline = ?1")?;
    rows("UPDATE pipelines SET watermark = NULL, watermark_set = NULL, match_property = NULL WHERE id = ?1")?;
    database.execute("DELETE FROM alert_conditions WHERE pipeline = ?1", [pipeline.as_str()])?;
    for (table, column) in [("notes", "key"), ("directories", "name")] {
        // Names of what is noted of a pipeline end with its own.
        let sql = format!("SELECT DISTINCT {column} FROM {table}");
        let keys: Vec<String> = database.prepare(&sql)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let own = |key: &&String| key.rsplit_once(':').is_some_and(|(_, name)| name.trim_start() == pipeline.as_str());
        for key in keys.iter().filter(own) {
            database.execute(&format!("DELETE FROM {table} WHERE {column} = ?1"), params![key])?;
        }
    }
    transaction.commit()?;
    database.forget();
    Ok(Some(gone))
}
