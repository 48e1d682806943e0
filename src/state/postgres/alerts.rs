//! Alerts: what stands and was told, and what is on its way to whom.

use jiff::Timestamp;
use sqlx::postgres::PgRow;

use super::fault::Fault;
use super::rows::{self, get};
use super::store::{Tx, sql};
use crate::model::alert::Condition;
use crate::model::ids::PipelineName;
use crate::ports::state::{AlertCommit, Delivery, QueuedAlert, Undelivered};

/// Enters a commit.
pub async fn write(tx: &mut Tx<'_>, commit: &AlertCommit) -> Result<(), Fault> {
    let (state, pipeline, at) = (tx.state, commit.pipeline.as_str(), rows::millis(commit.at));
    for event in &commit.over {
        let forget = sql("DELETE FROM syncline.alert_conditions WHERE state_id = $1 AND pipeline = $2 AND event = $3");
        tx.run(forget.bind(state).bind(pipeline).bind(event.name())).await?;
    }
    for standing in &commit.stands {
        let stand = sql("INSERT INTO syncline.alert_conditions (state_id, pipeline, event, fingerprint, since) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (state_id, pipeline, event) DO UPDATE SET fingerprint = excluded.fingerprint, since = excluded.since");
        let stand =
            stand.bind(state).bind(pipeline).bind(standing.event.name()).bind(rows::text(&standing.fingerprint));
        tx.run(stand.bind(rows::millis(standing.since))).await?;
    }
    for (receiver, alert) in &commit.deliveries {
        let queue = sql(
            "INSERT INTO syncline.alert_outbox (state_id, receiver, alert, created, attempts, next_try) VALUES ($1, $2, $3, $4, 0, $4)",
        );
        tx.run(queue.bind(state).bind(receiver).bind(rows::to_json(alert)?).bind(at)).await?;
    }
    Ok(())
}

/// What stands of a pipeline.
pub async fn conditions(tx: &mut Tx<'_>, pipeline: &PipelineName) -> Result<Vec<Condition>, Fault> {
    let read = sql(
        "SELECT event, fingerprint, since FROM syncline.alert_conditions WHERE state_id = $1 AND pipeline = $2 ORDER BY event",
    );
    let condition = |row: &PgRow| {
        Ok(Condition { event: rows::named(row, 0)?, fingerprint: get(row, 1)?, since: rows::time(row, 2)? })
    };
    tx.rows(read.bind(tx.state).bind(pipeline.as_str())).await?.iter().map(condition).collect()
}

/// Whether any alert is due. Almost always there is none, and then nothing is written.
pub async fn any_due(tx: &mut Tx<'_>, at: Timestamp) -> Result<bool, Fault> {
    let any = sql("SELECT EXISTS (SELECT 1 FROM syncline.alert_outbox WHERE state_id = $1 AND next_try <= $2)");
    tx.row(any.bind(tx.state).bind(rows::millis(at))).await?.map_or(Ok(false), |row| get(&row, 0))
}

/// Takes alerts that are due, the oldest first, and keeps others from taking them for a while.
pub async fn take(tx: &mut Tx<'_>, at: Timestamp, until: Timestamp, limit: usize) -> Result<Vec<QueuedAlert>, Fault> {
    let take = sql("UPDATE syncline.alert_outbox SET next_try = $4 WHERE number IN (
             SELECT number FROM syncline.alert_outbox WHERE state_id = $1 AND next_try <= $2 ORDER BY number LIMIT $3)
         RETURNING number, receiver, alert, attempts");
    let take = take.bind(tx.state).bind(rows::millis(at)).bind(rows::limit(limit)).bind(rows::millis(until));
    let queued = |row: &PgRow| {
        let attempts = get::<i32>(row, 3)?.unsigned_abs();
        Ok(QueuedAlert { number: get(row, 0)?, receiver: get(row, 1)?, alert: rows::json(get(row, 2)?)?, attempts })
    };
    let mut taken: Vec<QueuedAlert> = tx.rows(take).await?.iter().map(queued).collect::<Result<_, Fault>>()?;
    taken.sort_by_key(|queued| queued.number);
    Ok(taken)
}

/// Notes what became of an alert.
pub async fn settle(tx: &mut Tx<'_>, number: i64, outcome: &Delivery) -> Result<(), Fault> {
    let settle = match outcome {
        Delivery::Done => {
            sql("DELETE FROM syncline.alert_outbox WHERE state_id = $1 AND number = $2").bind(tx.state).bind(number)
        }
        Delivery::Later { at, problem } => {
            sql("UPDATE syncline.alert_outbox SET attempts = attempts + 1, next_try = $3, problem = $4
             WHERE state_id = $1 AND number = $2")
            .bind(tx.state)
            .bind(number)
            .bind(rows::millis(*at))
            .bind(rows::text(problem))
        }
    };
    tx.run(settle).await.map(drop)
}

/// Alerts that were tried in vain.
pub async fn undelivered(tx: &mut Tx<'_>) -> Result<Undelivered, Fault> {
    let read = sql("SELECT count(*) OVER (), receiver, coalesce(problem, '') FROM syncline.alert_outbox
         WHERE state_id = $1 AND attempts > 0 ORDER BY number LIMIT 1");
    let Some(row) = tx.row(read.bind(tx.state)).await? else { return Ok(Undelivered::default()) };
    Ok(Undelivered { failed: rows::count(&row, 0)?, problem: Some((get(&row, 1)?, get(&row, 2)?)) })
}
