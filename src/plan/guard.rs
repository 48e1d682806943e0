//! Refuses a plan that archives too much, or whose source came back empty where it was not.

use std::collections::BTreeMap;

use crate::config::pipeline::GuardConfig;
use crate::config::scalar::GuardLimit;
use crate::model::failure::{Category, Reason};

/// What a run is about to do to records that stand in HubSpot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Impact {
    /// Records that the run would archive.
    pub archive: u64,
    /// Records of the pipeline that stand in HubSpot.
    pub standing: u64,
    /// A full read of the source would return no record at all.
    pub source_empty: bool,
}

/// What a person allowed for this one run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Most records to archive, instead of the pipeline's own limit.
    pub archive: Option<u64>,
    /// Most records to reject, instead of the pipeline's own limit.
    pub reject: Option<u64>,
    /// An empty source is meant.
    pub empty_source: bool,
}

/// Records that a run rejects for the first time, of those that it looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejects {
    /// Records that it looked at.
    pub looked: u64,
    /// Those of them that it rejects.
    pub rejected: u64,
    /// Those that stand under failures since earlier runs, and are rejected again.
    pub known: u64,
    /// How many for which code and property.
    reasons: BTreeMap<(String, Option<String>), u64>,
}

impl Rejects {
    /// Counts a rejected record.
    pub fn add(&mut self, reason: &Reason) {
        self.rejected += 1;
        *self.reasons.entry((reason.code.clone(), reason.property.clone())).or_default() += 1;
    }

    /// Adds what was rejected elsewhere.
    pub fn absorb(&mut self, other: Self) {
        self.looked += other.looked;
        self.rejected += other.rejected;
        self.known += other.known;
        for (reason, count) in other.reasons {
            *self.reasons.entry(reason).or_default() += count;
        }
    }

    /// The reasons in words, the most frequent first; without values of records.
    fn in_words(&self) -> String {
        let mut reasons: Vec<_> = self.reasons.iter().collect();
        reasons.sort_by(|one, other| other.1.cmp(one.1).then_with(|| one.0.cmp(other.0)));
        let more = reasons.len().saturating_sub(REASONS_MAX);
        let shown = reasons.iter().take(REASONS_MAX).map(|((code, property), count)| {
            let at = property.as_deref().map(|property| format!(" at `{property}`")).unwrap_or_default();
            format!("{count} {}{at} ({code})", Category::of(code, None).label())
        });
        let mut words = shown.collect::<Vec<_>>().join(", ");
        if more > 0 {
            words.push_str(&format!(", and {more} more reasons"));
        }
        words
    }
}

/// Why a run was refused before its first write, or stopped on its way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It would archive more than allowed.
    #[error("the run would archive {archive} of {standing} records; `guard.archive` allows {allowed}")]
    Archive {
        /// Records that it would archive.
        archive: u64,
        /// Records that stand.
        standing: u64,
        /// Records that it may archive.
        allowed: u64,
    },
    /// It would reject, or has rejected, more than allowed.
    #[error("the run {} {rejected} of the {looked} records that it looked at{}; `guard.reject` allows {allowed}: {reasons}",
        if *.begun { "has rejected" } else { "would reject" }, if *.begun { " so far" } else { "" })]
    Reject {
        /// Records that it rejects.
        rejected: u64,
        /// Records that it looked at.
        looked: u64,
        /// Records that it may reject.
        allowed: u64,
        /// The reasons, in words.
        reasons: String,
        /// Records may have been written before.
        begun: bool,
    },
    /// The source returned nothing although records of it stand in HubSpot.
    #[error("the source returned no record at all, while {standing} records of this pipeline are in HubSpot")]
    EmptySource {
        /// Records that stand.
        standing: u64,
    },
    /// A whole read gave far fewer records than the source had counted.
    #[error("the source returned {read} of the {counted} records that it had counted; those were synced")]
    Short {
        /// Records that came.
        read: u64,
        /// Records that were counted.
        counted: u64,
    },
}

/// Records that may always be missing from a whole read: deleted, or changed so that they no longer match, meanwhile.
/// A tenth of a few records is less than one.
const MISSING_MIN: u64 = 10;

/// With fewer rejected records than this, no share stops a run.
/// One bad record of three would be a third, which says nothing of the mapping.
const REJECTS_MIN: u64 = 20;

/// Reasons that a refusal names.
/// A message is read in a line; `syncline failures` lists all.
const REASONS_MAX: usize = 5;

impl Refusal {
    /// How to let the run pass when it is meant.
    pub fn help(&self) -> String {
        match self {
            Self::Archive { archive, .. } => {
                format!("look at `syncline plan`; if this is meant, allow it once with `--allow-archive {archive}`")
            }
            Self::Reject { begun, .. } => {
                let written = if *begun {
                    "what was written before stays, and what was rejected is kept under `syncline failures`"
                } else {
                    "nothing was written"
                };
                format!(
                    "{written}; `syncline plan` shows the reasons: correct the mapping or the values, or let one run pass with \
                     `--allow-reject N`"
                )
            }
            Self::Short { .. } => {
                "run it again to read everything once more; if that many were deleted meanwhile, repeat with `--allow-empty`"
                    .to_owned()
            }
            Self::EmptySource { .. } => {
                "check `source.where` and the integration user's access; if this is meant, repeat with `--allow-empty`"
                    .to_owned()
            }
        }
    }
}

/// Checks the impact of a run against the limit; no write may come before.
pub fn check(impact: Impact, limit: GuardLimit, allowance: Allowance) -> Result<(), Refusal> {
    let Impact { archive, standing, source_empty } = impact;
    // Nothing from a source that had records is a lost permission or a wrong filter far more often than a delete of
    // all.
    if source_empty && standing > 0 && !allowance.empty_source {
        return Err(Refusal::EmptySource { standing });
    }
    let allowed = allowance.archive.unwrap_or_else(|| allowed(limit, standing));
    if archive > allowed { Err(Refusal::Archive { archive, standing, allowed }) } else { Ok(()) }
}

/// Checks what a run rejects against the limit: ahead of its first write, and (`begun`) on its way.
pub fn check_rejects(rejects: &Rejects, guard: &GuardConfig, allowance: Allowance, begun: bool) -> Result<(), Refusal> {
    // What failed before says nothing of this run.
    let looked = rejects.looked.saturating_sub(rejects.known);
    let allowed = allowance.reject.unwrap_or_else(|| match guard.reject {
        GuardLimit::Count(count) => count,
        // Counts of records stay far below 2^52, where f64 is exact.
        GuardLimit::Percent(percent) => ((looked as f64 * percent / 100.0) as u64).max(REJECTS_MIN - 1),
    });
    let rejected = rejects.rejected;
    if rejected > allowed {
        return Err(Refusal::Reject { rejected, looked, allowed, reasons: rejects.in_words(), begun });
    }
    Ok(())
}

/// Checks that a whole read was whole: a tenth may be missing, as records are deleted while it goes on.
pub fn check_whole(read: u64, counted: u64, allowance: Allowance) -> Result<(), Refusal> {
    let missing = counted.saturating_sub(read);
    if missing > MISSING_MIN.max(counted / 10) && !allowance.empty_source {
        return Err(Refusal::Short { read, counted });
    }
    Ok(())
}

/// The limit in records. A share is rounded up, so that one record of a small set can always go.
fn allowed(limit: GuardLimit, standing: u64) -> u64 {
    match limit {
        GuardLimit::Count(count) => count,
        // Counts of records stay far below 2^52, where f64 is exact.
        GuardLimit::Percent(percent) => (standing as f64 * percent / 100.0).ceil() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_case(archive: u64, standing: u64, limit: GuardLimit, expected: bool) {
        let impact = Impact { archive, standing, source_empty: false };
        assert_eq!(check(impact, limit, Allowance::default()).is_ok(), expected, "{archive} of {standing}, {limit:?}");
    }

    #[test]
    fn limits_are_counts_or_shares() {
        check_case(0, 0, GuardLimit::Percent(10.0), true);
        check_case(1, 3, GuardLimit::Percent(10.0), true);
        check_case(2, 3, GuardLimit::Percent(10.0), false);
        check_case(10, 100, GuardLimit::Percent(10.0), true);
        check_case(11, 100, GuardLimit::Percent(10.0), false);
        check_case(1, 100, GuardLimit::Percent(0.0), false);
        check_case(5, 100, GuardLimit::Count(5), true);
        check_case(6, 100, GuardLimit::Count(5), false);
    }

    #[test]
    fn a_run_may_reject_a_share_or_a_count() {
        let reason = |code: &str| Reason {
            code: code.to_owned(),
            remote_code: None,
            property: Some("status".to_owned()),
            message: String::new(),
            request_id: None,
        };
        let check = |rejected: u64, looked, known, reject, allow| {
            let mut rejects = Rejects { looked, known, ..Rejects::default() };
            (0..rejected).for_each(|_| rejects.add(&reason("SL5006")));
            let guard = GuardConfig { reject, ..GuardConfig::default() };
            check_rejects(&rejects, &guard, Allowance { reject: allow, ..Allowance::default() }, false)
        };
        let half = GuardConfig::default().reject;
        let cases = [
            // (rejected, looked at, known, limit, allowed once, passes)
            (0, 0, 0, half, None, true),
            (19, 19, 0, half, None, true),
            (20, 20, 0, half, None, false),
            (20, 40, 0, half, None, true),
            (21, 41, 0, half, None, false),
            (21, 61, 20, half, None, false),
            (21, 62, 20, half, None, true),
            (100, 100, 0, GuardLimit::Percent(100.0), None, true),
            (20, 1_000, 0, GuardLimit::Percent(0.0), None, false),
            (5, 5, 0, GuardLimit::Count(5), None, true),
            (6, 900, 0, GuardLimit::Count(5), None, false),
            (1, 900, 0, GuardLimit::Count(0), None, false),
            (100, 100, 0, half, Some(100), true),
            (101, 101, 0, half, Some(100), false),
            (30, 100, 0, half, Some(29), false),
        ];
        for (rejected, looked, known, limit, allow, passes) in cases {
            let checked = check(rejected, looked, known, limit, allow);
            assert_eq!(checked.is_ok(), passes, "{rejected} of {looked}, {known} known, {limit:?}: {checked:?}");
        }
        let message = check(30, 40, 0, half, None).unwrap_err().to_string();
        assert!(message.ends_with("allows 20: 30 option missing at `status` (SL5006)"), "{message}");
    }

    #[test]
    fn a_whole_read_may_lack_a_few() {
        let check = |read, counted| check_whole(read, counted, Allowance::default()).is_ok();
        assert!(check(0, 0) && check(0, 10) && check(5, 3) && check(90, 100) && check(900, 1_000));
        assert!(!check(0, 11) && !check(89, 100) && !check(40, 100) && !check(899, 1_000));
        assert_eq!(check_whole(0, 100, Allowance { empty_source: true, ..Allowance::default() }), Ok(()));
    }

    #[test]
    fn an_allowance_lets_one_run_pass() {
        let impact = Impact { archive: 50, standing: 100, source_empty: true };
        let limit = GuardLimit::Percent(10.0);
        let empty = Refusal::EmptySource { standing: 100 };
        assert_eq!(check(impact, limit, Allowance::default()), Err(empty));
        let archive = Refusal::Archive { archive: 50, standing: 100, allowed: 10 };
        assert_eq!(check(impact, limit, Allowance { empty_source: true, ..Allowance::default() }), Err(archive));
        assert_eq!(check(impact, limit, Allowance { archive: Some(50), empty_source: true, reject: None }), Ok(()));
        assert_eq!(check(Impact { standing: 0, archive: 0, ..impact }, limit, Allowance::default()), Ok(()));
    }
}
