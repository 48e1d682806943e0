//! Words that stand for spans of days: `TODAY`, `LAST_N_DAYS:30`, `THIS_FISCAL_QUARTER`. The org's fiscal year is the calendar's.

use jiff::civil::{Date, Weekday};
use jiff::{Span, Timestamp};

/// A unit of time that a word counts in.
#[derive(Clone, Copy)]
enum Unit {
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

/// Whether a word stands for days.
pub fn is_date_word(name: &str, counted: bool) -> bool {
    days(name, counted.then_some(1), 0).is_some()
}

/// First and last day of a word, by UTC.
pub fn days(word: &str, count: Option<i64>, now: i64) -> Option<(Date, Date)> {
    let today = Timestamp::from_millisecond(now).ok()?.to_zoned_datetime(jiff::tz::TimeZone::UTC).date();
    // A fiscal word is the plain one, as the fiscal year is the calendar's; days, weeks and months have none.
    let plain = match word.split_once("FISCAL_") {
        Some((start, unit @ ("QUARTER" | "QUARTERS" | "QUARTERS_AGO" | "YEAR" | "YEARS" | "YEARS_AGO"))) => {
            format!("{start}{unit}")
        }
        Some(_) => return None,
        None => word.to_owned(),
    };
    match (plain.as_str(), count) {
        ("TODAY", None) => Unit::Day.span(today, 0, 0),
        ("YESTERDAY", None) => Unit::Day.span(today, -1, -1),
        ("TOMORROW", None) => Unit::Day.span(today, 1, 1),
        ("LAST_90_DAYS", None) => Unit::Day.span(today, -90, 0),
        ("NEXT_90_DAYS", None) => Unit::Day.span(today, 1, 90),
        // The days that are counted back include today; other units leave out the one that is running.
        ("LAST_N_DAYS", Some(count)) => Unit::Day.span(today, count.checked_neg()?, 0),
        (word, None) => {
            let (at, unit) = word.split_once('_')?;
            let shift = match at {
                "LAST" => -1,
                "THIS" => 0,
                "NEXT" => 1,
                _ => return None,
            };
            Unit::named(unit).filter(|unit| !matches!(unit, Unit::Day))?.span(today, shift, shift)
        }
        (word, Some(count)) => {
            if let Some(unit) = word.strip_prefix("LAST_N_") {
                return Unit::named(unit.strip_suffix('S')?)?.span(today, count.checked_neg()?, -1);
            }
            if let Some(unit) = word.strip_prefix("NEXT_N_") {
                return Unit::named(unit.strip_suffix('S')?)?.span(today, 1, count);
            }
            let unit = word.strip_prefix("N_")?.strip_suffix("S_AGO")?;
            Unit::named(unit)?.span(today, count.checked_neg()?, count.checked_neg()?)
        }
    }
}

impl Unit {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "DAY" => Self::Day,
            "WEEK" => Self::Week,
            "MONTH" => Self::Month,
            "QUARTER" => Self::Quarter,
            "YEAR" => Self::Year,
            _ => return None,
        })
    }

    /// From the start of the unit that lies so many ahead of today's to the end of another.
    fn span(self, today: Date, first: i64, last: i64) -> Option<(Date, Date)> {
        let next = last.checked_add(1)?;
        Some((self.start(today, first)?, self.start(today, next)?.yesterday().ok()?))
    }

    fn start(self, today: Date, ahead: i64) -> Option<Date> {
        let (start, step) = match self {
            Self::Day => (today, Span::new().try_days(ahead)),
            Self::Week => {
                let since = i64::from(today.weekday().since(Weekday::Sunday));
                (today.checked_sub(Span::new().days(since)).ok()?, Span::new().try_weeks(ahead))
            }
            Self::Month => (today.first_of_month(), Span::new().try_months(ahead)),
            Self::Quarter => {
                let month = (today.month() - 1) / 3 * 3 + 1;
                (Date::new(today.year(), month, 1).ok()?, Span::new().try_months(ahead.checked_mul(3)?))
            }
            Self::Year => (today.first_of_year(), Span::new().try_years(ahead)),
        };
        start.checked_add(step.ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(word: &str, count: Option<i64>, expected: Option<(&str, &str)>) {
        let now: Timestamp = "2026-11-26T10:00:00Z".parse().unwrap();
        let found = days(word, count, now.as_millisecond()).map(|(first, last)| (first.to_string(), last.to_string()));
        assert_eq!(found, expected.map(|(first, last)| (first.to_owned(), last.to_owned())), "{word}:{count:?}");
    }

    #[test]
    fn words_stand_for_days() {
        check("TODAY", None, Some(("2026-11-26", "2026-11-26")));
        check("YESTERDAY", None, Some(("2026-11-25", "2026-11-25")));
        check("THIS_WEEK", None, Some(("2026-11-22", "2026-11-28")));
        check("LAST_WEEK", None, Some(("2026-11-15", "2026-11-21")));
        check("NEXT_MONTH", None, Some(("2026-12-01", "2026-12-31")));
        check("THIS_QUARTER", None, Some(("2026-10-01", "2026-12-31")));
        check("LAST_QUARTER", None, Some(("2026-07-01", "2026-09-30")));
        check("NEXT_QUARTER", None, Some(("2027-01-01", "2027-03-31")));
        check("LAST_YEAR", None, Some(("2025-01-01", "2025-12-31")));
        check("LAST_90_DAYS", None, Some(("2026-08-28", "2026-11-26")));
        check("NEXT_90_DAYS", None, Some(("2026-11-27", "2027-02-24")));
        check("LAST_N_DAYS", Some(2), Some(("2026-11-24", "2026-11-26")));
        check("NEXT_N_DAYS", Some(2), Some(("2026-11-27", "2026-11-28")));
        check("N_DAYS_AGO", Some(2), Some(("2026-11-24", "2026-11-24")));
        check("LAST_N_WEEKS", Some(1), Some(("2026-11-15", "2026-11-21")));
        check("NEXT_N_MONTHS", Some(2), Some(("2026-12-01", "2027-01-31")));
        check("N_MONTHS_AGO", Some(2), Some(("2026-09-01", "2026-09-30")));
        check("LAST_N_QUARTERS", Some(2), Some(("2026-04-01", "2026-09-30")));
        check("N_QUARTERS_AGO", Some(3), Some(("2026-01-01", "2026-03-31")));
        check("LAST_N_YEARS", Some(2), Some(("2024-01-01", "2025-12-31")));
        check("THIS_FISCAL_QUARTER", None, Some(("2026-10-01", "2026-12-31")));
        check("NEXT_FISCAL_YEAR", None, Some(("2027-01-01", "2027-12-31")));
        check("LAST_N_FISCAL_QUARTERS", Some(1), Some(("2026-07-01", "2026-09-30")));
        check("N_FISCAL_YEARS_AGO", Some(1), Some(("2025-01-01", "2025-12-31")));
    }

    #[test]
    fn other_words_do_not() {
        for word in
            ["THIS_FISCAL_MONTH", "THIS_DAY", "TODAYS", "LAST", "THIS_", "FISCAL_YEAR", "LAST_N_DAYS", "", "Name"]
        {
            check(word, None, None);
        }
        for word in ["TODAY", "LAST_N_DAY", "NEXT_N_", "N_AGO", "N_FISCAL_DAYS_AGO", "THIS_QUARTER"] {
            check(word, Some(1), None);
        }
        check("LAST_N_YEARS", Some(i64::MAX), None);
        check("N_DAYS_AGO", Some(i64::MIN), None);
    }
}
