//! Alerts: what stands and was told, and what is on its way to whom.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::rows;
use crate::model::alert::Condition;
use crate::model::ids::PipelineName;
use crate::ports::state::{AlertCommit, Delivery, QueuedAlert, Undelivered};
use crate::sys::secrets::masked;

/// Enters a commit; the caller's transaction makes it one.
pub fn write(connection: &Connection, commit: &AlertCommit) -> rusqlite::Result<()> {
    let (pipeline, at) = (commit.pipeline.as_str(), rows::millis(commit.at));
    let mut forget = connection.prepare_cached("DELETE FROM alert_conditions WHERE pipeline = ?1 AND event = ?2")?;
    for event in &commit.over {
        forget.execute(params![pipeline, event.name()])?;
    }
    let mut stand = connection.prepare_cached(
        "INSERT OR REPLACE INTO alert_conditions (pipeline, event, fingerprint, since) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for standing in &commit.stands {
        stand.execute(params![
            pipeline,
            standing.event.name(),
            masked(&standing.fingerprint),
            rows::millis(standing.since)
        ])?;
    }
    let mut queue = connection.prepare_cached(
        "INSERT INTO alert_outbox (receiver, alert, created, attempts, next_try) VALUES (?1, ?2, ?3, 0, ?3)",
    )?;
    for (receiver, alert) in &commit.deliveries {
        queue.execute(params![receiver, masked(&rows::to_json(alert)?), at])?;
    }
    Ok(())
}

/// What stands of a pipeline.
pub fn conditions(connection: &Connection, pipeline: &PipelineName) -> rusqlite::Result<Vec<Condition>> {
    let mut statement = connection
        .prepare_cached("SELECT event, fingerprint, since FROM alert_conditions WHERE pipeline = ?1 ORDER BY event")?;
    let condition = |row: &Row<'_>| {
        Ok(Condition {
            event: rows::named(0, row.get_ref(0)?.as_str()?)?,
            fingerprint: row.get(1)?,
            since: rows::time(2, row.get(2)?)?,
        })
    };
    statement.query_map([pipeline.as_str()], condition)?.collect()
}

/// Whether any alert is due. Almost always there is none, and then nothing is written.
pub fn any_due(connection: &Connection, at: Timestamp) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM alert_outbox WHERE next_try <= ?1 LIMIT 1")?.exists([rows::millis(at)])
}

/// Takes alerts that are due, the oldest first, and keeps others from taking them for a while.
pub fn take(
    connection: &Connection,
    at: Timestamp,
    until: Timestamp,
    limit: usize,
) -> rusqlite::Result<Vec<QueuedAlert>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let sql = "UPDATE alert_outbox SET next_try = ?3
        WHERE number IN (SELECT number FROM alert_outbox WHERE next_try <= ?1 ORDER BY number LIMIT ?2)
        RETURNING number, receiver, alert, attempts";
    let queued = |row: &Row<'_>| {
        Ok(QueuedAlert {
            number: row.get(0)?,
            receiver: row.get(1)?,
            alert: rows::json(2, row.get_ref(2)?.as_str()?)?,
            attempts: row.get(3)?,
        })
    };
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params![rows::millis(at), limit, rows::millis(until)], queued)?;
    let mut taken: Vec<QueuedAlert> = rows.collect::<rusqlite::Result<_>>()?;
    taken.sort_by_key(|queued| queued.number);
    Ok(taken)
}

/// Notes what became of an alert.
pub fn settle(connection: &Connection, number: i64, outcome: &Delivery) -> rusqlite::Result<()> {
    match outcome {
        Delivery::Done => connection.execute("DELETE FROM alert_outbox WHERE number = ?1", [number]).map(drop),
        Delivery::Later { at, problem } => {
            let sql = "UPDATE alert_outbox SET attempts = attempts + 1, next_try = ?2, problem = ?3 WHERE number = ?1";
            connection.execute(sql, params![number, rows::millis(*at), masked(problem)]).map(drop)
        }
    }
}

/// Alerts that were tried in vain.
pub fn undelivered(connection: &Connection) -> rusqlite::Result<Undelivered> {
    let failed =
        connection.query_row("SELECT count(*) FROM alert_outbox WHERE attempts > 0", [], |row| rows::count(row, 0))?;
    let sql = "SELECT receiver, coalesce(problem, '') FROM alert_outbox WHERE attempts > 0 ORDER BY number LIMIT 1";
    let problem = connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(Undelivered { failed, problem })
}
