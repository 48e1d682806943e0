//! The tables: made and brought up to date under a lock, and refused where a newer program has made them.

use sqlx::{AssertSqlSafe, PgConnection, Row};

use super::fault::Fault;
use crate::ports::state::StateError;

/// Each step brings the tables from the version of its place to the next.
const MIGRATIONS: [&str; 6] = [
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_portals.sql"),
    include_str!("migrations/0003_deployments.sql"),
    include_str!("migrations/0004_takeovers.sql"),
    include_str!("migrations/0005_org_calls.sql"),
    include_str!("migrations/0006_row_marks.sql"),
];

/// The version that this program writes.
pub const KNOWN: u32 = MIGRATIONS.len() as u32;

/// The first of the two numbers of our locks ("SYNL"); the other is that of a state, or 0 for the tables.
pub const LOCKS: i32 = 0x5359_4e4c;

/// Whether the catalog of the database has something, as the caller's transaction sees it. `to_regclass` and its like would not do: they answer from a cache of the
/// session, which within a transaction may not know yet what another process has made while this one waited for a lock.
async fn is_there(connection: &mut PgConnection, sql: &'static str) -> Result<bool, sqlx::Error> {
    sqlx::query(sql).persistent(false).fetch_one(connection).await?.try_get(0)
}

/// The version of the tables; none where there are none.
pub async fn version(connection: &mut PgConnection) -> Result<Option<u32>, sqlx::Error> {
    let tables =
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                  WHERE n.nspname = 'syncline' AND c.relname = 'version')";
    if !is_there(connection, tables).await? {
        return Ok(None);
    }
    let version = sqlx::query("SELECT version FROM syncline.version").persistent(false);
    // Nothing stands in it where the tables were made after what this transaction sees.
    let version = version.fetch_optional(connection).await?;
    version.map(|row| row.try_get::<i32, _>(0).map(i32::unsigned_abs)).transpose()
}

/// Refuses tables that a newer program has made.
pub fn not_newer(found: u32, shown: &str) -> Result<(), Fault> {
    if found > KNOWN {
        return Err(Fault::Refused(StateError::Newer { path: shown.to_owned(), found, known: KNOWN }));
    }
    Ok(())
}

/// Makes the tables, or brings them up to date, within the caller's transaction.
pub async fn migrate(connection: &mut PgConnection, shown: &str) -> Result<(), Fault> {
    let lock = sqlx::query("SELECT pg_advisory_xact_lock($1, 0)").persistent(false).bind(LOCKS);
    lock.execute(&mut *connection).await?;
    // Asked again: another process may have been at it.
    let found = version(connection).await?;
    not_newer(found.unwrap_or_default(), shown)?;
    if found.is_none() {
        // Asked for only where it is missing, so that somebody else may have made it for a role without that right.
        let schema = "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'syncline')";
        if !is_there(connection, schema).await? {
            sqlx::raw_sql("CREATE SCHEMA syncline").execute(&mut *connection).await?;
        }
    }
    for (step, version) in MIGRATIONS.iter().zip(1..).skip(found.unwrap_or_default() as usize) {
        sqlx::raw_sql(*step).execute(&mut *connection).await?;
        let noted = format!("UPDATE syncline.version SET version = {version}");
        sqlx::raw_sql(AssertSqlSafe(noted)).execute(&mut *connection).await?;
    }
    if found != Some(KNOWN) {
        sqlx::raw_sql(include_str!("migrations/row_security.sql")).execute(&mut *connection).await?;
    }
    Ok(())
}

/// The number of a state; none where it has none yet.
pub async fn state_id(connection: &mut PgConnection, name: &str) -> Result<Option<i32>, sqlx::Error> {
    let sql = "SELECT id FROM syncline.states WHERE name = $1";
    let found = sqlx::query(sql).persistent(false).bind(name).fetch_optional(connection).await?;
    found.map(|row| row.try_get(0)).transpose()
}

/// The number of a state; a new one gets the next.
pub async fn ensure_state(connection: &mut PgConnection, name: &str) -> Result<i32, sqlx::Error> {
    if let Some(id) = state_id(connection, name).await? {
        return Ok(id);
    }
    let sql = "INSERT INTO syncline.states (name) VALUES ($1) ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id";
    sqlx::query(sql).persistent(false).bind(name).fetch_one(connection).await?.try_get(0)
}
