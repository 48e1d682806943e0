//! One commit: all of it or nothing.

use rusqlite::{Connection, params};

use super::pipelines::ensure_pipeline;
use super::{associations, failures, identities, rows, runs, unconfirmed};
use crate::model::failure::FailureKind;
use crate::ports::state::Commit;
use crate::sys::crash_point::crash_point_within;

/// Enters a commit; the caller's transaction makes it one.
pub fn write(connection: &Connection, commit: &Commit) -> rusqlite::Result<()> {
    let pipeline = ensure_pipeline(connection, &commit.pipeline)?;
    let (run, at) = (commit.run.as_str(), rows::millis(commit.at));
    identities::write(connection, pipeline, &commit.identities, run, at)?;
    crash_point_within!("commit.identities_written");
    associations::write_wanted(connection, pipeline, &commit.wanted)?;
    associations::write_owned(connection, &commit.owned, &commit.disowned)?;
    // What this commit settles was planned with what it removes.
    associations::recheck_pairs(connection, pipeline, &commit.removed_from)?;
    associations::write_settled(connection, pipeline, &commit.settled)?;
    associations::write_rechecks(connection, pipeline, &commit.rechecks)?;
    crash_point_within!("commit.associations_written");
    associations::write_waiting(connection, pipeline, &commit.waiting, at)?;
    failures::resolve(connection, pipeline, &commit.resolved, FailureKind::Record)?;
    failures::resolve(connection, pipeline, &commit.resolved_links, FailureKind::Associations)?;
    failures::postpone(connection, pipeline, &commit.postponed, at)?;
    failures::write(connection, pipeline, commit, at)?;
    unconfirmed::account(connection, pipeline, &commit.accounted)?;
    connection
        .prepare_cached("UPDATE runs SET tally = ?2 WHERE id = ?1")?
        .execute(params![run, rows::to_json(&commit.tally)?])?;
    if let Some(progress) = &commit.cursor {
        runs::write_progress(connection, pipeline, progress.as_ref())?;
    }
    if let Some(watermark) = commit.watermark {
        let sql = "UPDATE pipelines SET
                       watermark_set = iif(?4 OR watermark IS NULL OR ?2 >= watermark, ?3, watermark_set),
                       watermark = iif(?4, ?2, max(coalesce(watermark, ?2), ?2))
                   WHERE id = ?1";
        let set_at = commit.watermark_set.map(rows::millis);
        let new = params![pipeline, rows::millis(watermark.0), set_at, commit.watermark_corrected];
        connection.prepare_cached(sql)?.execute(new)?;
    }
    crash_point_within!("commit.all_written");
    Ok(())
}
