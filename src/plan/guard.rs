//! Refuses a plan that archives too much, or whose source came back empty where it was not.

use crate::config::scalar::GuardLimit;

/// What a run is about to do to records that stand in HubSpot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// An empty source is meant.
    pub empty_source: bool,
}

/// Why a run was refused before its first write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
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
    /// The source returned nothing although records of it stand in HubSpot.
    #[error("the source returned no record at all, while {standing} records of this pipeline stand in HubSpot")]
    EmptySource {
        /// Records that stand.
        standing: u64,
    },
    /// A whole read gave far fewer records than the source had counted.
    #[error("the source gave {read} of the {counted} records that it counted; what it gave was carried over")]
    Short {
        /// Records that came.
        read: u64,
        /// Records that were counted.
        counted: u64,
    },
}

/// Records that may always be missing from a whole read: deleted, or changed so that they no longer match, meanwhile.
const MISSING_MIN: u64 = 10;

impl Refusal {
    /// How to let the run pass when it is meant.
    pub fn help(&self) -> String {
        match self {
            Self::Archive { archive, .. } => {
                format!("look at `syncline plan`; if this is meant, allow it once with `--allow-archive {archive}`")
            }
            Self::Short { .. } => {
                "run it again, the read starts anew; if so many were deleted meanwhile, repeat with `--allow-empty`"
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
    if source_empty && standing > 0 && !allowance.empty_source {
        return Err(Refusal::EmptySource { standing });
    }
    let allowed = allowance.archive.unwrap_or_else(|| allowed(limit, standing));
    if archive > allowed { Err(Refusal::Archive { archive, standing, allowed }) } else { Ok(()) }
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
    fn a_whole_read_may_lack_a_few() {
        let check = |read, counted| check_whole(read, counted, Allowance::default()).is_ok();
        assert!(check(0, 0) && check(0, 10) && check(5, 3) && check(90, 100) && check(900, 1_000));
        assert!(!check(0, 11) && !check(89, 100) && !check(40, 100) && !check(899, 1_000));
        assert_eq!(check_whole(0, 100, Allowance { archive: None, empty_source: true }), Ok(()));
    }

    #[test]
    fn an_allowance_lets_one_run_pass() {
        let impact = Impact { archive: 50, standing: 100, source_empty: true };
        let limit = GuardLimit::Percent(10.0);
        let empty = Refusal::EmptySource { standing: 100 };
        assert_eq!(check(impact, limit, Allowance::default()), Err(empty));
        let archive = Refusal::Archive { archive: 50, standing: 100, allowed: 10 };
        assert_eq!(check(impact, limit, Allowance { archive: None, empty_source: true }), Err(archive));
        assert_eq!(check(impact, limit, Allowance { archive: Some(50), empty_source: true }), Ok(()));
        assert_eq!(check(Impact { standing: 0, archive: 0, ..impact }, limit, Allowance::default()), Ok(()));
    }
}
