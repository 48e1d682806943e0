//! One commit: all of it or nothing.

use rusqlite::params;

use super::database::Database;
use super::pipelines::ensure_pipeline;
use super::{failures, identities, lookups, pairs, rows, runs, unconfirmed};
use crate::model::failure::FailureKind;
use crate::ports::state::Commit;
use crate::sys::crash_point::crash_point_within;

/// Enters a commit; the caller's transaction makes it one.
pub fn write(database: &Database, commit: &Commit) -> rusqlite::Result<()> {
    let pipeline = ensure_pipeline(database, &commit.pipeline)?;
    let (run, at) = (commit.run.as_str(), rows::millis(commit.at));
    identities::write(database, pipeline, &commit.identities)?;
    crash_point_within!("commit.identities_written");
    lookups::write_wanted(database, pipeline, &commit.wanted)?;
    pairs::write_owned(database, &commit.owned, &commit.disowned)?;
    // What this commit settles was planned with what it removes.
    pairs::recheck_pairs(database, pipeline, &commit.removed_from)?;
    lookups::write_making(database, pipeline, &commit.making)?;
    lookups::write_settled(database, pipeline, &commit.settled)?;
    lookups::write_confirmed(database, pipeline, &commit.confirmed)?;
    lookups::write_rechecks(database, pipeline, &commit.rechecks)?;
    crash_point_within!("commit.associations_written");
    lookups::write_waiting(database, pipeline, &commit.waiting, at)?;
    failures::resolve(database, pipeline, &commit.resolved, FailureKind::Record)?;
    failures::resolve(database, pipeline, &commit.resolved_associations, FailureKind::Associations)?;
    failures::postpone(database, pipeline, &commit.postponed, at)?;
    failures::write(database, pipeline, commit, at)?;
    unconfirmed::account(database, pipeline, &commit.accounted)?;
    database
        .prepare_cached("UPDATE runs SET tally = ?2 WHERE id = ?1")?
        .execute(params![run, rows::numbers_to_json(&commit.tally)?])?;
    if let Some(progress) = &commit.cursor {
        runs::write_progress(database, pipeline, progress.as_ref())?;
    }
    if let Some(watermark) = commit.watermark {
        let sql = "UPDATE pipelines SET
                       watermark_set = iif(?4 OR watermark IS NULL OR ?2 >= watermark, ?3, watermark_set),
                       watermark = iif(?4, ?2, max(coalesce(watermark, ?2), ?2))
                   WHERE id = ?1";
        let set_at = commit.watermark_set.map(rows::millis);
        let new = params![pipeline, rows::millis(watermark.0), set_at, commit.watermark_corrected];
        database.prepare_cached(sql)?.execute(new)?;
    }
    crash_point_within!("commit.all_written");
    Ok(())
}
