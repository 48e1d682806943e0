//! Dates and moments: Salesforce's forms in, HubSpot's canonical forms out, with a stated time zone where days are made.

use std::borrow::Cow;

use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, ZonedDateTime};

use crate::model::stamp;

/// A day as Salesforce or a person wrote it: `2026-10-01`, or a moment whose day is meant.
pub fn date(text: &str) -> Option<Date> {
    let text = text.trim();
    let bytes = text.as_bytes();
    // The parser also takes basic forms such as `20261001`, which may be a number that somebody means as one.
    let shaped = bytes.len() == 10 && bytes[4] == b'-' && bytes[7] == b'-';
    if !shaped {
        return None;
    }
    stamp::day(text).or_else(|| text.parse().ok())
}

/// A moment as either system writes it: offset `Z`, `+0000` or `+00:00`, with or without a fraction.
pub fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Some(moment) = stamp::moment(text).or_else(|| text.parse::<Timestamp>().ok()) {
        return Some(moment);
    }
    // Salesforce's REST API writes the offset without a colon, which RFC 3339 does not know.
    let (head, minutes) = text.split_at_checked(text.len().checked_sub(2)?)?;
    let sign = head.as_bytes().get(head.len().checked_sub(3)?)?;
    if !matches!(sign, b'+' | b'-') {
        return None;
    }
    format!("{head}:{minutes}").parse().ok()
}

/// The offset that a moment is written with, as a zone; UTC where there is none.
pub fn written_zone(text: &str) -> TimeZone {
    let text = text.trim();
    let seconds = || -> Option<i32> {
        // Behind the day, whose parts are joined by the same sign.
        let at = text.rfind(['+', '-']).filter(|at| *at >= "2026-10-01T09:00".len())?;
        let digits: String = text[at + 1..].chars().filter(|letter| *letter != ':').collect();
        let (hours, minutes) = digits.split_at_checked(2)?;
        let seconds = hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60;
        Some(if text[at..].starts_with('-') { -seconds } else { seconds })
    };
    let offset = seconds().and_then(|seconds| Offset::from_seconds(seconds).ok());
    offset.map_or(TimeZone::UTC, TimeZone::fixed)
}

/// A moment in HubSpot's form, from any form of either system. The last hours of the year 9999, which are no
/// `Timestamp` (it leaves room for every offset), are read where they are in UTC already.
pub fn canonical_moment(text: &str) -> Option<Cow<'_, str>> {
    let text = text.trim();
    // Bulk results write it in HubSpot's form. A leap second passes the parser and is no moment that HubSpot takes, so it is written anew.
    if stamp::moment(text).is_some() {
        return Some(Cow::Borrowed(text));
    }
    match moment(text) {
        Some(moment) => Some(Cow::Owned(write_moment(moment))),
        None => utc(text).map(|moment| Cow::Owned(moment.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())),
    }
}

/// A day in HubSpot's form, from any form of either system.
pub fn canonical_date(text: &str) -> Option<Cow<'_, str>> {
    let text = text.trim();
    let day = date(text)?;
    Some(if is_shaped(text, "0000-00-00") { Cow::Borrowed(text) } else { Cow::Owned(write_date(day)) })
}

/// Whether a text is like the form, with a digit for each `0`.
fn is_shaped(text: &str, form: &str) -> bool {
    let fits = |(letter, form): (u8, u8)| if form == b'0' { letter.is_ascii_digit() } else { letter == form };
    text.len() == form.len() && text.bytes().zip(form.bytes()).all(fits)
}

/// A moment that is written in UTC, whatever its year.
fn utc(text: &str) -> Option<DateTime> {
    let local = ["Z", "+0000", "+00:00"].iter().find_map(|offset| text.strip_suffix(offset))?;
    (local.len() >= 19 && local.as_bytes()[10] == b'T').then(|| local.parse().ok()).flatten()
}

/// The first moment of a day in HubSpot's form.
pub fn write_midnight(date: Date) -> String {
    format!("{}T00:00:00.000Z", write_date(date))
}

/// HubSpot's form of a moment: UTC with milliseconds.
pub fn write_moment(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// HubSpot's form of a day.
pub fn write_date(date: Date) -> String {
    date.strftime("%Y-%m-%d").to_string()
}

/// The day of a moment in a time zone.
pub fn day_in(moment: Timestamp, zone: &TimeZone) -> Date {
    ZonedDateTime::new(moment, zone.clone()).date()
}

/// A value that HubSpot holds for a day or a moment, as milliseconds since 1970: it comes as such a number or as text.
pub fn held_milliseconds(text: &str) -> Option<i64> {
    let text = text.trim();
    // Before the dates: no date is digits alone.
    if let Ok(milliseconds) = text.parse::<i64>() {
        return Some(milliseconds);
    }
    let local = match (moment(text), date(text)) {
        (Some(moment), _) => return Some(moment.as_millisecond()),
        // HubSpot keeps a day as midnight in UTC, whatever the portal's zone.
        (None, Some(day)) => day.to_datetime(jiff::civil::Time::midnight()),
        (None, None) => utc(text)?,
    };
    let since: SignedDuration = local.duration_since(Offset::UTC.to_datetime(Timestamp::UNIX_EPOCH));
    i64::try_from(since.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_moment(input: &str, expected: Option<&str>) {
        assert_eq!(canonical_moment(input).as_deref(), expected, "{input}");
    }

    #[test]
    fn a_canonical_text_stays_as_it_is() {
        for (text, stays) in [
            ("2026-10-01T09:00:00.000Z", true),
            ("2026-10-01T23:59:60.000Z", false),
            ("2026-10-01T09:00:00Z", false),
            ("2026-10-01T09:00:00.000+0000", false),
        ] {
            let canonical = canonical_moment(text).unwrap();
            assert_eq!(matches!(canonical, Cow::Borrowed(_)), stays, "{text}");
            assert_eq!(*canonical, write_moment(moment(text).unwrap()), "{text}");
        }
        assert_eq!(canonical_date("2026-02-29"), None);
        assert!(matches!(canonical_date(" 2028-02-29 "), Some(Cow::Borrowed("2028-02-29"))));
    }

    #[test]
    fn moments_of_both_systems() {
        check_moment("2026-10-01T09:00:00.000+0000", Some("2026-10-01T09:00:00.000Z"));
        check_moment("2026-10-01T09:00:00.000Z", Some("2026-10-01T09:00:00.000Z"));
        check_moment("2026-10-01T09:00:00+02:00", Some("2026-10-01T07:00:00.000Z"));
        check_moment("2026-10-01T09:00:00Z", Some("2026-10-01T09:00:00.000Z"));
        check_moment("1700-01-01T00:00:00.000+0000", Some("1700-01-01T00:00:00.000Z"));
        check_moment("4000-12-31T23:59:59.000Z", Some("4000-12-31T23:59:59.000Z"));
        check_moment("0001-01-01T00:00:00Z", Some("0001-01-01T00:00:00.000Z"));
        check_moment("9999-12-30T22:00:00Z", Some("9999-12-30T22:00:00.000Z"));
        check_moment("9999-12-31T23:59:59.000+0000", Some("9999-12-31T23:59:59.000Z"));
        check_moment("2026-10-01", None);
        check_moment("2026-10-01T09:00:00", None);
        check_moment("2026-10-01 09:00:00", None);
        check_moment("10000-01-01T00:00:00Z", None);
        check_moment("yesterday", None);
        check_moment("", None);
        check_moment("+0", None);
    }

    #[track_caller]
    fn check_day(input: &str, zone: &str, expected: &str) {
        let zone = TimeZone::get(zone).unwrap();
        assert_eq!(write_date(day_in(moment(input).unwrap(), &zone)), expected, "{input}");
    }

    #[test]
    fn days_follow_the_stated_zone() {
        check_day("2026-10-02T07:30:00Z", "America/Los_Angeles", "2026-10-02");
        check_day("2026-01-02T07:30:00Z", "America/Los_Angeles", "2026-01-01");
        check_day("2026-01-01T11:30:00Z", "Pacific/Auckland", "2026-01-02");
        check_day("2024-02-28T23:30:00Z", "Europe/Berlin", "2024-02-29");
        check_day("2026-10-01T23:59:59Z", "UTC", "2026-10-01");
    }

    #[test]
    fn the_written_offset_is_kept() {
        for (input, expected) in [
            ("2026-10-01T23:30:00+02:00", "2026-10-01"),
            ("2026-10-01T23:30:00.000-0800", "2026-10-01"),
            ("2026-10-01T23:30:00.000+0000", "2026-10-01"),
            ("2026-10-01T23:30:00Z", "2026-10-01"),
        ] {
            let day = day_in(moment(input).unwrap(), &written_zone(input));
            assert_eq!(write_date(day), expected, "{input}");
        }
        assert_eq!(written_zone("2026-10-01T09:00"), TimeZone::UTC);
        assert_eq!(written_zone("2026-10-01T09:00:00+99:99"), TimeZone::UTC);
        assert_eq!(written_zone("2026-10-01T09:00:00+é9"), TimeZone::UTC);
    }

    #[track_caller]
    fn check_held(input: &str, expected: Option<i64>) {
        assert_eq!(held_milliseconds(input), expected, "{input}");
    }

    #[test]
    fn what_hubspot_holds_becomes_milliseconds() {
        check_held("1790812800000", Some(1_790_812_800_000));
        check_held("2026-10-01", Some(1_790_812_800_000));
        check_held("2026-10-01T00:00:00Z", Some(1_790_812_800_000));
        check_held("9999-12-31", Some(253_402_214_400_000));
        check_held("9999-12-31T23:59:59.000Z", Some(253_402_300_799_000));
        check_held("0001-01-01", Some(-62_135_596_800_000));
        check_held("soon", None);
    }

    #[test]
    fn dates_are_strict() {
        assert_eq!(date("2024-02-29").map(write_date).as_deref(), Some("2024-02-29"));
        assert_eq!(date("0001-01-01").map(write_date).as_deref(), Some("0001-01-01"));
        assert_eq!(date("9999-12-31").map(write_date).as_deref(), Some("9999-12-31"));
        for text in ["2023-02-29", "2026-1-1", "01.02.2026", "2026-10-01T00:00:00Z", ""] {
            assert_eq!(date(text), None, "{text}");
        }
    }
}
