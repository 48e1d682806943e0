//! Deployments: definitions in the database, each set of them with a number.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::postgres::PgRow;

use super::fault::{Fault, damaged};
use super::rows::{self, get};
use super::store::{PgState, Tx, sql, sql_of};
use crate::model::hash::Hasher;
use crate::ports::deployments::{About, DefinitionFiles, DeploymentRow, Deployments, NewDeployment};
use crate::ports::state::StateError;

type Answer<'a, T> = BoxFuture<'a, Result<T, StateError>>;

impl Deployments for PgState {
    fn newest_number(&self) -> Answer<'_, Option<u64>> {
        self.read((), |tx, ()| newest_number(tx).boxed()).boxed()
    }

    fn newest(&self, limit: usize) -> Answer<'_, Vec<DeploymentRow>> {
        self.read(limit, |tx, limit| newest(tx, *limit).boxed()).boxed()
    }

    fn one(&self, number: u64) -> Answer<'_, Option<DeploymentRow>> {
        self.read(number, |tx, number| one(tx, *number).boxed()).boxed()
    }

    fn files(&self, number: u64) -> Answer<'_, DefinitionFiles> {
        self.read(number, |tx, number| files(tx, *number).boxed()).boxed()
    }

    fn deploy(&self, new: NewDeployment, before: Option<u64>) -> Answer<'_, Option<DeploymentRow>> {
        self.write(None, (new, before), |tx, (new, before)| deploy(tx, new, *before).boxed()).boxed()
    }
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

async fn newest_number(tx: &mut Tx<'_>) -> Result<Option<u64>, Fault> {
    let newest = sql("SELECT max(number) FROM syncline.deployments WHERE state_id = $1").bind(tx.state);
    let row = tx.row(newest).await?;
    let newest: Option<i64> = row.map(|row| get::<Option<i64>>(&row, 0)).transpose()?.flatten();
    Ok(newest.map(i64::unsigned_abs))
}

const COLUMNS: &str =
    "number, (extract(epoch FROM made) * 1000)::bigint, author, commit_id, uncommitted, portals, back_to";

fn row(row: &PgRow) -> Result<DeploymentRow, Fault> {
    Ok(DeploymentRow {
        number: rows::count(row, 0)?,
        made: rows::time(row, 1)?,
        about: About { user: get(row, 2)?, commit: get(row, 3)?, uncommitted: get(row, 4)?, portals: get(row, 5)? },
        back_to: get::<Option<i64>>(row, 6)?.map(i64::unsigned_abs),
    })
}

async fn newest(tx: &mut Tx<'_>, limit: usize) -> Result<Vec<DeploymentRow>, Fault> {
    let text = format!("SELECT {COLUMNS} FROM syncline.deployments WHERE state_id = $1 ORDER BY number DESC LIMIT $2");
    let read = sql_of(text).bind(tx.state).bind(rows::limit(limit));
    tx.rows(read).await?.iter().map(row).collect()
}

async fn one(tx: &mut Tx<'_>, asked: u64) -> Result<Option<DeploymentRow>, Fault> {
    let text = format!("SELECT {COLUMNS} FROM syncline.deployments WHERE state_id = $1 AND number = $2");
    let read = sql_of(text).bind(tx.state).bind(number(asked));
    tx.row(read).await?.as_ref().map(row).transpose()
}

async fn files(tx: &mut Tx<'_>, asked: u64) -> Result<DefinitionFiles, Fault> {
    let read = sql("SELECT f.path, d.content, f.hash FROM syncline.deployed_files f
         JOIN syncline.definitions d ON d.state_id = f.state_id AND d.hash = f.hash
         WHERE f.state_id = $1 AND f.number = $2");
    let found = tx.rows(read.bind(tx.state).bind(number(asked))).await?;
    let file = |row: &PgRow| {
        let (path, content): (String, Vec<u8>) = (get(row, 0)?, get(row, 1)?);
        // Definitions decide what is archived: one that is damaged must not be run.
        if rows::bytes::<32>(row, 2)? != hash(&content) {
            return Err(damaged(format!("the content of `{path}` is not what was deployed")));
        }
        Ok((path, content))
    };
    found.iter().map(file).collect()
}

fn hash(content: &[u8]) -> [u8; 32] {
    let mut hasher = Hasher::default();
    hasher.bytes(content);
    hasher.finish()
}

async fn deploy(tx: &mut Tx<'_>, new: &NewDeployment, before: Option<u64>) -> Result<Option<DeploymentRow>, Fault> {
    // Whoever writes to a state has its lock: nobody else deploys meanwhile.
    if newest_number(tx).await? != before {
        return Ok(None);
    }
    let next = before.unwrap_or_default() + 1;
    let make = sql("INSERT INTO syncline.deployments
             (state_id, number, made, author, commit_id, uncommitted, portals, back_to)
         VALUES ($1, $2, now(), $3, $4, $5, $6, $7)");
    let About { user, commit, uncommitted, portals } = &new.about;
    let make = make.bind(tx.state).bind(number(next)).bind(user).bind(commit).bind(*uncommitted).bind(portals);
    tx.run(make.bind(new.back_to.map(number))).await?;
    let (mut paths, mut hashes, mut contents) = (Vec::new(), Vec::new(), Vec::new());
    for (path, content) in &new.files {
        paths.push(path.as_str());
        hashes.push(hash(content).to_vec());
        contents.push(content.as_slice());
    }
    let keep = sql("INSERT INTO syncline.definitions (state_id, hash, content)
         SELECT DISTINCT ON (hash) $1, hash, content FROM unnest($2::bytea[], $3::bytea[]) AS new (hash, content)
         ON CONFLICT DO NOTHING");
    tx.run(keep.bind(tx.state).bind(&hashes).bind(&contents)).await?;
    let name = sql("INSERT INTO syncline.deployed_files (state_id, number, path, hash)
         SELECT $1, $2, * FROM unnest($3::text[], $4::bytea[])");
    tx.run(name.bind(tx.state).bind(number(next)).bind(&paths).bind(&hashes)).await?;
    one(tx, next).await
}
