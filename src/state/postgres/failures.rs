//! Failures: records that were rejected, and when they are tried again.

use std::collections::BTreeMap;

use sqlx::postgres::PgRow;

use super::fault::Fault;
use super::rows::{self, get};
use super::store::{Sql, Tx, sql, sql_of};
use super::{lookups, pipelines};
use crate::model::failure::{Failure, FailureKind};
use crate::model::ids::{PipelineName, RunId, SalesforceId};
use crate::ports::state::{Commit, FailureFilter, FailureMark, FailureRow, FailureStatus};

/// How long after its n-th failure a record is tried again, in milliseconds, as in SQLite; the last one repeats.
const RETRY_AFTER_MS: [i64; 5] = [5 * 60_000, 30 * 60_000, 2 * 3_600_000, 12 * 3_600_000, 24 * 3_600_000];

/// The pause after so many failures.
fn pause_after(attempts: u32) -> i64 {
    RETRY_AFTER_MS[(attempts.max(1) as usize - 1).min(RETRY_AFTER_MS.len() - 1)]
}

/// The pause of a record that was last seen so long ago.
fn pause_since(passed: i64) -> i64 {
    let [.., longest] = RETRY_AFTER_MS;
    RETRY_AFTER_MS.into_iter().find(|pause| *pause > passed).unwrap_or(longest)
}

/// The columns that [`row`] reads.
pub const COLUMNS: &str =
    "p.name, f.run, f.failure, f.first_seen, f.last_seen, f.attempts, f.status, f.retry_at, f.basis";

const FROM: &str =
    "FROM syncline.failures f JOIN syncline.pipelines p ON p.state_id = f.state_id AND p.id = f.pipeline";

/// What a filter asks for, of `$1` to `$15`.
const WHERE: &str = "f.state_id = $1 AND ($2::text IS NULL OR p.name = $2) AND ($3::text IS NULL OR f.id = $3)
    AND ($4 OR f.status = 'open')
    AND ($5::bigint IS NULL OR (f.status = 'open' AND (f.retry_at <= $5 OR f.basis <> $6)))
    AND (p.name, f.id, f.kind) > ($7, $8, $9)
    AND ($10::bigint IS NULL OR f.last_seen < $10) AND ($11::text IS NULL OR f.code = $11)
    AND ($12::text IS NULL OR f.kind = $12)
    AND (NOT $13 OR (f.property IS NOT DISTINCT FROM $14 AND f.remote_code IS NOT DISTINCT FROM $15))";

/// Binds what [`WHERE`] asks for.
fn bound<'q>(sql: Sql<'q>, state: i32, filter: &'q FailureFilter) -> Sql<'q> {
    let (name, id, kind) = after(filter);
    let cause = filter.cause.as_ref();
    sql.bind(state)
        .bind(filter.pipeline.as_ref().map(PipelineName::as_str))
        .bind(filter.salesforce_id.as_ref().map(SalesforceId::as_str))
        .bind(filter.closed_too)
        .bind(filter.due_at.map(rows::millis))
        .bind(filter.basis.as_deref())
        .bind(name)
        .bind(id)
        .bind(kind)
        .bind(filter.seen_before.map(rows::millis))
        .bind(filter.code.as_deref())
        .bind(filter.kind.map(FailureKind::name))
        .bind(cause.is_some())
        .bind(cause.and_then(|cause| cause.property.as_deref()))
        .bind(cause.and_then(|cause| cause.remote_code.as_deref()))
}

fn after(filter: &FailureFilter) -> (&str, &str, &str) {
    filter.after.as_ref().map_or(("", "", ""), |(name, id, kind)| (name.as_str(), id.as_str(), kind.name()))
}

/// A failure as it will stand.
struct Standing {
    failure: String,
    attempts: i32,
    status: String,
    first_seen: i64,
    retry_at: i64,
    code: String,
    property: Option<String>,
    remote_code: Option<String>,
    is_new: bool,
}

/// Opens or refreshes failures.
pub async fn write(tx: &mut Tx<'_>, pipeline: i32, commit: &Commit, at: i64) -> Result<(), Fault> {
    if commit.failures.is_empty() {
        return Ok(());
    }
    let mut standing = known(tx, pipeline, &commit.failures).await?;
    for failure in &commit.failures {
        let key = (failure.salesforce_id, failure.reason.kind().name());
        let before = standing.get(&key);
        let same_reason = |text: &str| {
            serde_json::from_str::<Failure>(text).is_ok_and(|before| {
                (before.reason.code, before.reason.property, before.reason.message)
                    == (failure.reason.code.clone(), failure.reason.property.clone(), failure.reason.message.clone())
            })
        };
        let (attempts, status) = match before {
            Some(before) if before.status == "dismissed" && same_reason(&before.failure) => {
                (before.attempts + 1, "dismissed")
            }
            Some(before) if before.status == "open" => (before.attempts + 1, "open"),
            _ => (1, "open"),
        };
        let first_seen = before.filter(|before| before.status != "resolved").map_or(at, |before| before.first_seen);
        let now = Standing {
            failure: rows::to_json(failure)?,
            attempts,
            status: status.to_owned(),
            first_seen,
            retry_at: at + pause_after(attempts.unsigned_abs()),
            code: failure.reason.code.clone(),
            property: failure.reason.property.as_deref().map(rows::text),
            remote_code: failure.reason.remote_code.as_deref().map(rows::text),
            is_new: true,
        };
        standing.insert(key, now);
    }
    standing.retain(|_, standing| standing.is_new);
    enter(tx, pipeline, commit, at, &standing).await
}

type Known = BTreeMap<(SalesforceId, &'static str), Standing>;

async fn known(tx: &mut Tx<'_>, pipeline: i32, failures: &[Failure]) -> Result<Known, Fault> {
    let ids: Vec<&str> = failures.iter().map(|failure| failure.salesforce_id.as_str()).collect();
    let read = sql("SELECT f.id, f.kind, f.failure, f.attempts, f.status, f.first_seen
         FROM syncline.failures f WHERE f.state_id = $1 AND f.pipeline = $2 AND f.id = ANY($3::text[])");
    let mut known = BTreeMap::new();
    for row in &tx.rows(read.bind(tx.state).bind(pipeline).bind(ids)).await? {
        let kind: &str = get(row, 1)?;
        let Some(kind) =
            [FailureKind::Record, FailureKind::Associations].into_iter().find(|known| known.name() == kind)
        else {
            continue;
        };
        let standing = Standing {
            failure: get(row, 2)?,
            attempts: get(row, 3)?,
            status: get(row, 4)?,
            first_seen: get(row, 5)?,
            retry_at: 0,
            code: String::new(),
            property: None,
            remote_code: None,
            is_new: false,
        };
        known.insert((rows::salesforce_id(row, 0)?, kind.name()), standing);
    }
    Ok(known)
}

async fn enter(tx: &mut Tx<'_>, pipeline: i32, commit: &Commit, at: i64, standing: &Known) -> Result<(), Fault> {
    let ids: Vec<&str> = standing.keys().map(|(id, _)| id.as_str()).collect();
    let kinds: Vec<&str> = standing.keys().map(|(_, kind)| *kind).collect();
    let each = || standing.values();
    let texts: Vec<&str> = each().map(|standing| standing.failure.as_str()).collect();
    let codes: Vec<&str> = each().map(|standing| standing.code.as_str()).collect();
    let properties: Vec<Option<&str>> = each().map(|standing| standing.property.as_deref()).collect();
    let remote: Vec<Option<&str>> = each().map(|standing| standing.remote_code.as_deref()).collect();
    let first: Vec<i64> = each().map(|standing| standing.first_seen).collect();
    let attempts: Vec<i32> = each().map(|standing| standing.attempts).collect();
    let statuses: Vec<&str> = each().map(|standing| standing.status.as_str()).collect();
    let retries: Vec<i64> = each().map(|standing| standing.retry_at).collect();
    let enter = sql("INSERT INTO syncline.failures (state_id, pipeline, run, basis, last_seen, id, kind, failure, code, property,
             remote_code, first_seen, attempts, status, retry_at)
         SELECT $1, $2, $3, $4, $5, * FROM unnest($6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[],
             $12::bigint[], $13::integer[], $14::text[], $15::bigint[])
         ON CONFLICT (state_id, pipeline, id, kind) DO UPDATE SET run = excluded.run, basis = excluded.basis,
             last_seen = excluded.last_seen, failure = excluded.failure, code = excluded.code, property = excluded.property,
             remote_code = excluded.remote_code, first_seen = excluded.first_seen, attempts = excluded.attempts,
             status = excluded.status, retry_at = excluded.retry_at");
    let enter = enter.bind(tx.state).bind(pipeline).bind(commit.run.as_str()).bind(&commit.basis).bind(at);
    let enter = enter.bind(&ids).bind(&kinds).bind(&texts).bind(codes).bind(properties).bind(remote).bind(first);
    tx.run(enter.bind(attempts).bind(statuses).bind(retries)).await?;
    let of_run = sql("INSERT INTO syncline.run_failures (state_id, run, id, kind, failure)
         SELECT $1, $2, * FROM unnest($3::text[], $4::text[], $5::text[])
         ON CONFLICT (state_id, run, id, kind) DO UPDATE SET failure = excluded.failure");
    tx.run(of_run.bind(tx.state).bind(commit.run.as_str()).bind(ids).bind(kinds).bind(texts)).await.map(drop)
}

/// Puts the next look at records off that were not tried, by a pause that grows with the time since they failed.
pub async fn postpone(tx: &mut Tx<'_>, pipeline: i32, ids: &[SalesforceId], at: i64) -> Result<(), Fault> {
    if ids.is_empty() {
        return Ok(());
    }
    let seen = sql("SELECT id, last_seen FROM syncline.failures
         WHERE state_id = $1 AND pipeline = $2 AND kind = 'record' AND status = 'open' AND id = ANY($3::text[])");
    let found = tx.rows(seen.bind(tx.state).bind(pipeline).bind(rows::ids(ids))).await?;
    let mut next: (Vec<String>, Vec<i64>) = Default::default();
    for row in &found {
        next.0.push(get(row, 0)?);
        next.1.push(at + pause_since(at.saturating_sub(get(row, 1)?)));
    }
    let set = sql("UPDATE syncline.failures f SET retry_at = put_off.retry_at
         FROM unnest($3::text[], $4::bigint[]) AS put_off (id, retry_at)
         WHERE f.state_id = $1 AND f.pipeline = $2 AND f.kind = 'record' AND f.id = put_off.id");
    tx.run(set.bind(tx.state).bind(pipeline).bind(next.0).bind(next.1)).await.map(drop)
}

/// Marks failures of one kind as over.
pub async fn resolve(tx: &mut Tx<'_>, pipeline: i32, ids: &[SalesforceId], kind: FailureKind) -> Result<(), Fault> {
    if ids.is_empty() {
        return Ok(());
    }
    let set = sql("UPDATE syncline.failures SET status = 'resolved', retry_at = NULL
         WHERE state_id = $1 AND pipeline = $2 AND kind = $3 AND id = ANY($4::text[]) AND status <> 'resolved'");
    tx.run(set.bind(tx.state).bind(pipeline).bind(kind.name()).bind(rows::ids(ids))).await.map(drop)
}

/// Failures that match, ordered by (pipeline, record, kind).
pub async fn list(tx: &mut Tx<'_>, filter: &FailureFilter, limit: usize) -> Result<Vec<FailureRow>, Fault> {
    if let Some(run) = &filter.run {
        return of_run(tx, run, filter, limit).await;
    }
    let list = sql_of(format!("SELECT {COLUMNS} {FROM} WHERE {WHERE} ORDER BY p.name, f.id, f.kind LIMIT $16"));
    tx.rows(bound(list, tx.state, filter).bind(rows::limit(limit))).await?.iter().map(row).collect()
}

/// The failures of these records that are not over.
pub async fn of_records(
    tx: &mut Tx<'_>,
    pipeline: &PipelineName,
    ids: &[SalesforceId],
) -> Result<Vec<FailureRow>, Fault> {
    let read = sql_of(format!(
        "SELECT {COLUMNS} {FROM} WHERE f.state_id = $1 AND p.name = $2 AND f.id = ANY($3::text[]) AND f.status <> 'resolved'"
    ));
    let found = tx.rows(read.bind(tx.state).bind(pipeline.as_str()).bind(rows::ids(ids))).await?;
    found.iter().map(row).collect()
}

/// What one run set aside, whatever became of it since.
async fn of_run(tx: &mut Tx<'_>, run: &RunId, filter: &FailureFilter, limit: usize) -> Result<Vec<FailureRow>, Fault> {
    let read = sql("SELECT p.name, rf.run, rf.failure, coalesce(f.first_seen, r.started), coalesce(f.last_seen, r.started),
             coalesce(f.attempts, 1), coalesce(f.status, 'resolved'), f.retry_at, f.basis
         FROM syncline.run_failures rf JOIN syncline.runs r ON r.state_id = $1 AND r.id = rf.run
         JOIN syncline.pipelines p ON p.state_id = $1 AND p.id = r.pipeline
         LEFT JOIN syncline.failures f ON f.state_id = $1 AND f.pipeline = r.pipeline AND f.id = rf.id AND f.kind = rf.kind
         WHERE rf.state_id = $1 AND rf.run = $2 AND (p.name, rf.id, rf.kind) > ($3, $4, $5)
         ORDER BY rf.id, rf.kind LIMIT $6");
    let (name, id, kind) = after(filter);
    let read = read.bind(tx.state).bind(run.as_str()).bind(name).bind(id).bind(kind).bind(rows::limit(limit));
    tx.rows(read).await?.iter().map(row).collect()
}

/// How many failures of a pipeline are open; only those of records themselves, or all.
pub async fn open_count(tx: &mut Tx<'_>, pipeline: &PipelineName, kind: Option<FailureKind>) -> Result<u64, Fault> {
    let Some(pipeline) = pipelines::find(tx, pipeline).await? else { return Ok(0) };
    let count = sql("SELECT count(*) FROM syncline.failures
         WHERE state_id = $1 AND pipeline = $2 AND status = 'open' AND ($3::text IS NULL OR kind = $3)");
    let count = tx.row(count.bind(tx.state).bind(pipeline).bind(kind.map(FailureKind::name))).await?;
    count.map_or(Ok(0), |row| rows::count(&row, 0))
}

/// Whether any failure of a pipeline is not over.
pub async fn any(tx: &mut Tx<'_>, pipeline: &PipelineName) -> Result<bool, Fault> {
    let any = sql("SELECT EXISTS (SELECT 1 FROM syncline.failures f
         WHERE f.state_id = $1 AND f.status <> 'resolved'
             AND f.pipeline = (SELECT id FROM syncline.pipelines WHERE state_id = $1 AND name = $2))");
    tx.row(any.bind(tx.state).bind(pipeline.as_str())).await?.map_or(Ok(false), |row| get(&row, 0))
}

/// Marks failures; returns how many.
pub async fn mark(tx: &mut Tx<'_>, filter: &FailureFilter, mark: FailureMark) -> Result<u64, Fault> {
    // Associations that failed follow their record's failure; a dismissed one waits until its lookup changes.
    let (set, next) = match mark {
        FailureMark::Dismiss => ("status = 'dismissed', retry_at = NULL", i64::MAX),
        FailureMark::Retry => ("status = 'open', retry_at = 0", 0),
    };
    let associations = sql_of(format!("SELECT f.pipeline, f.id {FROM} WHERE f.kind = 'associations' AND {WHERE}"));
    let failing = tx.rows(bound(associations, tx.state, filter)).await?;
    let failing: Vec<(i32, String)> =
        failing.iter().map(|row| Ok((get(row, 0)?, get(row, 1)?))).collect::<Result<_, Fault>>()?;
    lookups::wait_until(tx, &failing, next).await?;
    let set = sql_of(format!(
        "UPDATE syncline.failures marked SET {set} {FROM}
         WHERE {WHERE} AND marked.state_id = f.state_id AND marked.pipeline = f.pipeline AND marked.id = f.id AND marked.kind = f.kind"
    ));
    tx.run(bound(set, tx.state, filter)).await
}

/// A failure from a row of [`COLUMNS`].
pub fn row(row: &PgRow) -> Result<FailureRow, Fault> {
    let status = match get(row, 6)? {
        "open" => FailureStatus::Open,
        "dismissed" => FailureStatus::Dismissed,
        _ => FailureStatus::Resolved,
    };
    Ok(FailureRow {
        pipeline: PipelineName::new(get::<String>(row, 0)?),
        run: RunId::new(get::<String>(row, 1)?),
        failure: rows::json(get(row, 2)?)?,
        first_seen: rows::time(row, 3)?,
        last_seen: rows::time(row, 4)?,
        attempts: get::<i32>(row, 5)?.unsigned_abs(),
        status,
        retry_at: rows::time_or_none(row, 7)?,
        basis: get(row, 8)?,
    })
}
