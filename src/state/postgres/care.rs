//! A state in PostgreSQL to care for: is it sound, and one pipeline's part of it taken out.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::fault::Fault;
use super::lease;
use super::pipelines;
use super::rows::{self, get};
use super::schema::KNOWN;
use super::store::{PgState, Tx, sql, sql_of};
use crate::model::ids::PipelineName;
use crate::ports::state::StateError;
use crate::state::care::Forgotten;
use crate::state::cared::Cared;
use crate::state::open::Seen;

type Answer<'a, T> = BoxFuture<'a, Result<T, StateError>>;

impl Cared for PgState {
    fn shown(&self) -> String {
        self.0.shown.clone()
    }

    fn look(&self) -> Answer<'_, Option<Seen>> {
        self.read((), |tx, ()| async move { seen(tx).await.map(Some) }.boxed()).boxed()
    }

    fn check(&self) -> Answer<'_, (Seen, Vec<String>)> {
        async move {
            let found =
                self.read((), |tx, ()| async move { Ok(Some((seen(tx).await?, problems(tx).await?))) }.boxed()).await?;
            Ok(found.unwrap_or_else(|| (Seen { version: 0, known: KNOWN, bytes: 0 }, Vec::new())))
        }
        .boxed()
    }

    fn known_of<'a>(&'a self, pipeline: &'a PipelineName) -> Answer<'a, Option<Forgotten>> {
        self.read(pipeline.clone(), |tx, pipeline| known_of(tx, pipeline).boxed()).boxed()
    }

    fn forget<'a>(&'a self, pipeline: &'a PipelineName, holder: &'a str) -> Answer<'a, Option<Forgotten>> {
        async move {
            let _lease = lease::take(self, pipeline, holder).await?;
            self.write(Some(pipeline.clone()), pipeline.clone(), |tx, pipeline| taken_out(tx, pipeline).boxed()).await
        }
        .boxed()
    }
}

/// The version, and how large all states of the database are together.
pub(super) async fn seen(tx: &mut Tx<'_>) -> Result<Seen, Fault> {
    let size = sql("SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint
         FROM pg_class c WHERE c.relnamespace = 'syncline'::regnamespace AND c.relkind = 'r'");
    let bytes = tx.row(size).await?.map_or(Ok(0), |row| rows::count(&row, 0))?;
    Ok(Seen { version: KNOWN, known: KNOWN, bytes })
}

/// What cannot be, each with a statement that counts it: rows of the one table that the others do not bear out.
const CHECKS: [(&str, &str); 5] = [
    (
        "ways to stand have another number of records than is noted of them",
        "
        SELECT count(*) FROM (SELECT pipeline, membership, mapping, count(*) AS records FROM syncline.identities
            WHERE state_id = $1 GROUP BY pipeline, membership, mapping) i
        FULL JOIN (SELECT * FROM syncline.standings WHERE state_id = $1) s USING (pipeline, membership, mapping)
        WHERE coalesce(i.records, 0) <> coalesce(s.records, 0)",
    ),
    (
        "identities belong to no pipeline",
        "
        SELECT count(*) FROM syncline.identities i WHERE state_id = $1
            AND NOT EXISTS (SELECT 1 FROM syncline.pipelines p WHERE p.state_id = $1 AND p.id = i.pipeline)",
    ),
    (
        "lookups belong to no pipeline",
        "
        SELECT count(*) FROM syncline.lookups l WHERE state_id = $1
            AND NOT EXISTS (SELECT 1 FROM syncline.pipelines p WHERE p.state_id = $1 AND p.id = l.pipeline)",
    ),
    (
        "lookups were carried out only in part",
        "
        SELECT count(*) FROM syncline.lookups WHERE state_id = $1
            AND num_nulls(target, from_id, to_object, to_id, newer, older, objects) NOT IN (0, 7)",
    ),
    (
        "runs or failures belong to no pipeline",
        "
        SELECT count(*) FROM (SELECT pipeline FROM syncline.runs WHERE state_id = $1
            UNION ALL SELECT pipeline FROM syncline.failures WHERE state_id = $1) r
        WHERE NOT EXISTS (SELECT 1 FROM syncline.pipelines p WHERE p.state_id = $1 AND p.id = r.pipeline)",
    ),
];

async fn problems(tx: &mut Tx<'_>) -> Result<Vec<String>, Fault> {
    let mut problems = Vec::new();
    for (what, text) in CHECKS {
        let count = tx.row(sql(text).bind(tx.state)).await?.map_or(Ok(0), |row| rows::count(&row, 0))?;
        if count > 0 {
            problems.push(format!("{count} {what}"));
        }
    }
    Ok(problems)
}

async fn known_of(tx: &mut Tx<'_>, pipeline: &PipelineName) -> Result<Option<Forgotten>, Fault> {
    let Some(id) = pipelines::find(tx, pipeline).await? else { return Ok(None) };
    let count = sql("SELECT (SELECT count(*) FROM syncline.identities WHERE state_id = $1 AND pipeline = $2),
             (SELECT count(*) FROM syncline.lookups WHERE state_id = $1 AND pipeline = $2),
             (SELECT count(*) FROM syncline.failures WHERE state_id = $1 AND pipeline = $2),
             (SELECT count(*) FROM syncline.runs WHERE state_id = $1 AND pipeline = $2)");
    let counted = tx.row(count.bind(tx.state).bind(id)).await?;
    counted
        .map(|row| {
            let count = |column| rows::count(&row, column);
            Ok(Forgotten { records: count(0)?, associations: count(1)?, failures: count(2)?, runs: count(3)? })
        })
        .transpose()
}

async fn taken_out(tx: &mut Tx<'_>, pipeline: &PipelineName) -> Result<Option<Forgotten>, Fault> {
    let (Some(gone), Some(id)) = (known_of(tx, pipeline).await?, pipelines::find(tx, pipeline).await?) else {
        return Ok(None);
    };
    for table in ["run_failures", "run_origins"] {
        let forget = format!(
            "DELETE FROM syncline.{table} WHERE state_id = $1
             AND run IN (SELECT id FROM syncline.runs WHERE state_id = $1 AND pipeline = $2)"
        );
        tx.run(sql_of(forget).bind(tx.state).bind(id)).await?;
    }
    for table in [
        "identities",
        "standings",
        "lookups",
        "unconfirmed",
        "second_looks",
        "imports",
        "comparisons",
        "failures",
        "runs",
    ] {
        let forget = sql_of(format!("DELETE FROM syncline.{table} WHERE state_id = $1 AND pipeline = $2"));
        tx.run(forget.bind(tx.state).bind(id)).await?;
    }
    let forget = sql("UPDATE syncline.pipelines SET watermark = NULL, watermark_set = NULL, match_property = NULL
         WHERE state_id = $1 AND id = $2");
    tx.run(forget.bind(tx.state).bind(id)).await?;
    let forget = sql("DELETE FROM syncline.alert_conditions WHERE state_id = $1 AND pipeline = $2");
    tx.run(forget.bind(tx.state).bind(pipeline.as_str())).await?;
    for (table, column) in [("notes", "key"), ("directories", "name")] {
        // Names of what is noted of a pipeline end with its own.
        let names = sql_of(format!("SELECT DISTINCT {column} FROM syncline.{table} WHERE state_id = $1"));
        let names = tx.rows(names.bind(tx.state)).await?;
        let names: Vec<String> = names.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?;
        let own = |key: &String| key.rsplit_once(':').is_some_and(|(_, name)| name.trim_start() == pipeline.as_str());
        let own: Vec<String> = names.into_iter().filter(own).collect();
        let forget = sql_of(format!("DELETE FROM syncline.{table} WHERE state_id = $1 AND {column} = ANY($2::text[])"));
        tx.run(forget.bind(tx.state).bind(own)).await?;
    }
    Ok(Some(gone))
}
