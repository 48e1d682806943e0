//! How the pipelines of many states stand, by one statement for all of them.

use std::collections::HashMap;

use sqlx::postgres::PgRow;

use super::fault::Fault;
use super::rows::{self, get};
use super::store::{Tx, sql};
use crate::model::ids::{PipelineName, RunId};
use crate::model::watermark::Watermark;
use crate::ports::facts::{PipelineFacts, StateFacts};
use crate::ports::state::RunRow;

/// As `associations::due_count`, `overview` and `runs` count for one pipeline. A run that found another process at its pipeline comes last.
const PIPELINES: &str = "SELECT p.state_id, p.name, p.watermark, p.watermark_set, i.read, i.total,
        (SELECT coalesce(sum(s.records), 0)::bigint FROM syncline.standings s
         WHERE s.state_id = p.state_id AND s.pipeline = p.id AND s.membership <> 'archived'),
        (SELECT count(*) FROM syncline.failures f WHERE f.state_id = p.state_id AND f.pipeline = p.id AND f.status = 'open'),
        (SELECT coalesce(sum(CASE WHEN ends > first_ends THEN ends - first_ends ELSE ends END), 0)::bigint FROM (
             SELECT count(*) AS ends, count(*) FILTER (WHERE starts_with(l.key, 'from ')) AS first_ends
             FROM syncline.lookups l CROSS JOIN LATERAL (
                 SELECT 1 FROM syncline.identities i WHERE i.state_id = l.state_id AND i.pipeline = l.pipeline AND i.id = l.id
                     AND i.membership <> 'archived' OFFSET 0) standing
             WHERE l.state_id = p.state_id AND l.pipeline = p.id AND l.due GROUP BY l.id) AS records),
        r.id, r.kind, r.status, r.started, r.ended, r.tally, r.error
    FROM syncline.pipelines p
    LEFT JOIN syncline.imports i ON i.state_id = p.state_id AND i.pipeline = p.id
    LEFT JOIN LATERAL (
        SELECT * FROM (
            SELECT * FROM syncline.runs r WHERE r.state_id = p.state_id AND r.pipeline = p.id ORDER BY r.id DESC LIMIT 20) latest
        ORDER BY coalesce(latest.error LIKE '% (SL6004)', false), latest.id DESC LIMIT 1) r ON true
    WHERE p.state_id = ANY($1::integer[])";

/// What is known of states, by their names. One that there is not yet is not among them.
pub async fn of(
    tx: &mut Tx<'_>,
    states: &[String],
    notes: &[String],
) -> Result<Option<HashMap<String, StateFacts>>, Fault> {
    // There may be no tables yet.
    let there = tx.row(sql("SELECT to_regclass('syncline.turns') IS NOT NULL")).await?;
    if !there.map_or(Ok(false), |row| get::<bool>(&row, 0))? {
        return Ok(Some(HashMap::new()));
    }
    let read = sql("SELECT s.id, s.name, (SELECT coalesce(sum(p.takeovers), 0)::bigint FROM syncline.portals p WHERE p.state_id = s.id)
         FROM syncline.states s WHERE s.name = ANY($1::text[])");
    let mut names: HashMap<i32, String> = HashMap::new();
    let mut facts: HashMap<i32, StateFacts> = HashMap::new();
    for row in &tx.rows(read.bind(states)).await? {
        let id = get(row, 0)?;
        names.insert(id, get(row, 1)?);
        facts.insert(id, StateFacts { takeovers: rows::count(row, 2)?, pipelines: HashMap::new() });
    }
    let ids: Vec<i32> = names.keys().copied().collect();
    for row in &tx.rows(sql(PIPELINES).bind(&ids)).await? {
        let name = PipelineName::new(get::<String>(row, 1)?);
        let of_pipeline = pipeline(row, &name)?;
        if let Some(facts) = facts.get_mut(&get(row, 0)?) {
            facts.pipelines.insert(name, of_pipeline);
        }
    }
    let read = sql("SELECT p.state_id, p.name, asked.begin, n.text
         FROM syncline.pipelines p CROSS JOIN unnest($2::text[]) AS asked (begin)
         JOIN syncline.notes n ON n.state_id = p.state_id AND n.key = asked.begin || p.name
         WHERE p.state_id = ANY($1::integer[])");
    for row in &tx.rows(read.bind(&ids).bind(notes)).await? {
        let name = PipelineName::new(get::<String>(row, 1)?);
        if let Some(known) = facts.get_mut(&get(row, 0)?).and_then(|facts| facts.pipelines.get_mut(&name)) {
            known.notes.insert(get(row, 2)?, get(row, 3)?);
        }
    }
    Ok(Some(facts.into_iter().filter_map(|(id, facts)| Some((names.remove(&id)?, facts))).collect()))
}

fn pipeline(row: &PgRow, name: &PipelineName) -> Result<PipelineFacts, Fault> {
    let set = rows::time_or_none(row, 3)?;
    let import: Option<(i64, i64)> = get::<Option<i64>>(row, 4)?.zip(get(row, 5)?);
    let last_run = match get::<Option<String>>(row, 9)? {
        None => None,
        Some(id) => Some(RunRow {
            id: RunId::new(id),
            pipeline: name.clone(),
            kind: rows::named(row, 10)?,
            status: rows::named(row, 11)?,
            started: rows::time(row, 12)?,
            ended: rows::time_or_none(row, 13)?,
            tally: rows::json(get(row, 14)?)?,
            error: get(row, 15)?,
        }),
    };
    Ok(PipelineFacts {
        watermark: rows::time_or_none(row, 2)?.map(|at| (Watermark(at), set)),
        import: import.map(|(read, total)| (read.unsigned_abs(), total.unsigned_abs())),
        records: rows::count(row, 6)?,
        open_failures: rows::count(row, 7)?,
        due: rows::count(row, 8)?,
        last_run,
        notes: HashMap::new(),
    })
}
