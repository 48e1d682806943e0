//! One commit: all of it or nothing.

use rusqlite::{Connection, params};

use super::pipelines::ensure_pipeline;
use super::{associations, failures, identities, rows, runs, unconfirmed};
use crate::model::failure::FailureKind;
use crate::ports::state::Commit;
use crate::sys::crash_point::crash_point_within;

/// Saves a commit in one transaction.
pub fn write(connection: &mut Connection, commit: &Commit) -> rusqlite::Result<()> {
    // IMMEDIATE takes the write lock at once, so that two processes wait for each other instead of failing half-way.
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let pipeline = ensure_pipeline(&transaction, &commit.pipeline)?;
    let (run, at) = (commit.run.as_str(), rows::millis(commit.at));
    identities::write(&transaction, pipeline, &commit.identities, run, at)?;
    crash_point_within!("commit.identities_written");
    associations::write_wanted(&transaction, pipeline, &commit.wanted)?;
    associations::write_owned(&transaction, &commit.owned, &commit.disowned)?;
    // What this commit settles was planned with what it removes.
    associations::recheck_pairs(&transaction, pipeline, &commit.removed_from)?;
    associations::write_settled(&transaction, pipeline, &commit.settled)?;
    associations::write_rechecks(&transaction, pipeline, &commit.rechecks)?;
    crash_point_within!("commit.associations_written");
    associations::write_waiting(&transaction, pipeline, &commit.waiting, at)?;
    failures::resolve(&transaction, pipeline, &commit.resolved, FailureKind::Record)?;
    failures::resolve(&transaction, pipeline, &commit.resolved_links, FailureKind::Associations)?;
    failures::postpone(&transaction, pipeline, &commit.postponed, at)?;
    failures::write(&transaction, pipeline, commit, at)?;
    unconfirmed::account(&transaction, pipeline, &commit.accounted)?;
    transaction
        .prepare_cached("UPDATE runs SET tally = ?2 WHERE id = ?1")?
        .execute(params![run, rows::to_json(&commit.tally)?])?;
    if let Some(progress) = &commit.cursor {
        runs::write_progress(&transaction, pipeline, progress.as_ref())?;
    }
    if let Some(watermark) = commit.watermark {
        let sql = "UPDATE pipelines SET
                       watermark_set = iif(?4 OR watermark IS NULL OR ?2 >= watermark, ?3, watermark_set),
                       watermark = iif(?4, ?2, max(coalesce(watermark, ?2), ?2))
                   WHERE id = ?1";
        let set_at = commit.watermark_set.map(rows::millis);
        let new = params![pipeline, rows::millis(watermark.0), set_at, commit.watermark_corrected];
        transaction.prepare_cached(sql)?.execute(new)?;
    }
    crash_point_within!("commit.all_written");
    transaction.commit()?;
    crash_point_within!("commit.committed");
    Ok(())
}
