//! How far a watermark is trusted. It comes from Salesforce's clock, and a clock that was wrong once must not hide what
//! changed afterwards: a watermark counts no further than the time that has passed since it was set, by this computer's
//! clock. Only how long something took is ever taken from that one, so it may itself be wrong by any constant.

use jiff::{SignedDuration, Timestamp};

use crate::model::watermark::Watermark;
use crate::ports::state::{StateError, StoredWatermark};
use crate::stages::{StageContext, StageError, StageName};
use crate::sys::crash_point::crash_point;

/// One moment by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReadings {
    /// By Salesforce's clock.
    pub server: Timestamp,
    /// By this computer's clock.
    pub local: Timestamp,
}

/// What both clocks show now.
pub async fn read_clocks(cx: &StageContext) -> Result<ClockReadings, StageError> {
    // Salesforce's first, so that no change falls between the two readings.
    let server = cx.source.now().await.map_err(StageError::at(StageName::Extract))?;
    crash_point!("clocks.read");
    Ok(ClockReadings { server, local: cx.clock.now() })
}

/// What a cycle reads from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedWatermark {
    /// No change before it is missing in HubSpot.
    pub watermark: Watermark,
    /// The one that is stored.
    pub stored: Watermark,
    /// What a person should know, where the stored one is not trusted.
    pub note: Option<String>,
}

/// Differences up to this are those of answers under way, and of clocks that are kept by the network.
const DIFFERENCE_MAX: SignedDuration = SignedDuration::from_secs(60);

/// Salesforce tells its time to the second, and stamps rows so; and its answer was on its way before ours was looked at.
const MARGIN: SignedDuration = SignedDuration::from_secs(5);

/// How far the stored watermark is trusted; none where nothing was read yet.
pub async fn trusted(cx: &StageContext, now: ClockReadings) -> Result<Option<TrustedWatermark>, StateError> {
    let Some(stored) = cx.state.stored_watermark(&cx.pipeline.name).await? else { return Ok(None) };
    let trusted = trust(&stored, now);
    if let Some(note) = &trusted.note {
        tracing::warn!(pipeline = %cx.pipeline.name, stored = %stored.watermark.0, read_from = %trusted.watermark.0, "{note}");
    }
    Ok(Some(trusted))
}

fn trust(stored: &StoredWatermark, now: ClockReadings) -> TrustedWatermark {
    let at = stored.watermark.0;
    // A state of an earlier version does not tell when: then the first run is the only moment that is sure.
    let set_at = stored.set_at.or_else(|| stored.first_run.filter(|_| at > now.server));
    // A moment of this computer's clock, moved by the difference that both have now.
    let by_salesforce = |local: Timestamp| local.saturating_add(now.server.duration_since(now.local)).unwrap_or(local);
    let sane = match set_at {
        Some(set_at) if at.duration_since(by_salesforce(set_at)) <= MARGIN => at,
        Some(set_at) => by_salesforce(set_at).saturating_sub(MARGIN).unwrap_or(at),
        None => at.min(now.server),
    };
    // The earlier moment is taken in any case; a person need not hear of seconds.
    if at.duration_since(sane) <= DIFFERENCE_MAX {
        return TrustedWatermark { watermark: Watermark(sane), stored: stored.watermark, note: None };
    }
    let ahead = format!(
        "the watermark {at} was ahead of Salesforce's clock (that clock, or this computer's, was wrong when it was set)"
    );
    let note = match set_at {
        Some(_) => format!("{ahead}: read again from {sane}"),
        None => {
            format!("{ahead}, and it is not known since when: run `syncline import` to copy what may have been missed")
        }
    };
    TrustedWatermark { watermark: Watermark(sane), stored: stored.watermark, note: Some(note) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(29_000_000 + minutes)
    }

    /// Minutes: the watermark, when it was set, the first run; Salesforce's clock and ours now; what is read from.
    #[track_caller]
    fn check(stored: i64, set_at: Option<i64>, first_run: Option<i64>, server: i64, local: i64, expected: i64) {
        let row =
            StoredWatermark { watermark: Watermark(at(stored)), set_at: set_at.map(at), first_run: first_run.map(at) };
        let trusted = trust(&row, ClockReadings { server: at(server), local: at(local) });
        let margin =
            if expected < stored && (set_at.is_some() || first_run.is_some()) { MARGIN } else { SignedDuration::ZERO };
        assert_eq!(trusted.watermark.0, at(expected) - margin);
        assert_eq!(trusted.note.is_some(), expected != stored, "{trusted:?}");
    }

    #[test]
    fn a_watermark_counts_no_further_than_the_time_since_it_was_set() {
        // All is well, with a clock of ours that is right, slow, or fast.
        check(100, Some(100), None, 105, 105, 100);
        check(100, Some(40), None, 105, 45, 100);
        check(100, Some(900), None, 105, 905, 100);
        // Salesforce's clock was two hours ahead, and is right again: at once, and when time has passed it.
        check(220, Some(100), None, 105, 105, 100);
        check(220, Some(100), None, 400, 400, 100);
        // Salesforce's clock has jumped back since.
        check(100, Some(100), None, 50, 105, 45);
        // Salesforce's clock has jumped ahead since: what was read is read.
        check(100, Some(100), None, 900, 105, 100);
        // Ours was slow and was put right since: too much is read, once. It was fast: all is well.
        check(100, Some(40), None, 105, 105, 40);
        check(100, Some(200), None, 105, 105, 100);
    }

    #[test]
    fn a_state_that_does_not_tell_when_is_trusted_unless_it_lies_ahead() {
        check(100, None, Some(10), 105, 105, 100);
        check(220, None, Some(10), 105, 105, 10);
        check(220, None, None, 105, 105, 105);
    }
}
