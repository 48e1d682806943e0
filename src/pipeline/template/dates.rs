//! Filters over dates and moments.

use jiff::Span;
use jiff::tz::TimeZone;

use super::signature::{Arguments, Prepared};
use super::value::{Budget, Outcome, Refusal, Value};
use crate::pipeline::values::decimal::Decimal;
use crate::pipeline::values::time;

/// A moment with the offset of its zone.
/// With the offset, so that a local time still names one instant and compares as such.
const LOCAL: &str = "%Y-%m-%dT%H:%M:%S%:z";

/// Longest form that a date is written in, in bytes.
/// Far more than a date needs, and it bounds what is written before the budget sees it.
const FORMAT_BYTES_MAX: usize = 1_000;

/// `Start__c | date("%d.%m.%Y")`: a date or moment in another form; after `in_zone`, as it is there.
pub(super) fn date<'a>(budget: &mut Budget, value: Value<'a>, arguments: &Arguments<'a>) -> Outcome<'a> {
    let Value::Text(text) = value else { return Ok(value) };
    let format = arguments.text(0);
    if format.len() > FORMAT_BYTES_MAX {
        return Err(Refusal::new(format!("`date` takes a form of at most {FORMAT_BYTES_MAX} bytes")));
    }
    if is_wide(format) {
        return Err(Refusal::new("`date` takes directives such as `%d`, without a width of hundreds"));
    }
    let refused =
        |_| Refusal::new(format!("`date` cannot write {} in the form `{format}`", Value::made(&text).described()));
    // A day has no time of day, so a directive for hours is refused and not answered with midnight.
    let written = match time::date(&text) {
        Some(day) => jiff::fmt::strtime::format(format, day).map_err(refused)?,
        None => {
            let moment = time::moment(&text).ok_or_else(|| unfit("date", "a date or a moment", &text))?;
            let local = moment.to_zoned_datetime(time::written_zone(&text));
            jiff::fmt::strtime::format(format, &local).map_err(refused)?
        }
    };
    budget.text(&written)
}

/// Whether a directive asks for hundreds of characters, as `%999d` would.
fn is_wide(format: &str) -> bool {
    format.split('%').skip(1).any(|directive| {
        // Flags of strftime stand before the width.
        let width = directive.trim_start_matches(['-', '_', '0', '^', '#']);
        width.bytes().take_while(u8::is_ascii_digit).count() > 2
    })
}

/// `Renews_At__c | in_zone("Europe/Berlin")`: a moment as local time, `2026-10-01T11:00:00+02:00`, for `date` or slices.
pub(super) fn in_zone<'a>(budget: &mut Budget, value: Value<'a>, arguments: &Arguments<'a>) -> Outcome<'a> {
    let Value::Text(text) = value else { return Ok(value) };
    let zone = match arguments.prepared {
        Prepared::Zone(zone) => zone.clone(),
        _ => zone(arguments.text(0))?,
    };
    let moment = time::moment(&text).ok_or_else(|| unfit("in_zone", "a moment", &text))?;
    budget.text(&moment.to_zoned_datetime(zone).strftime(LOCAL).to_string())
}

/// The time zone of that name.
pub(super) fn zone(name: &str) -> Result<TimeZone, Refusal> {
    TimeZone::get(name).map_err(|_| {
        let short: String = name.chars().take(40).collect();
        Refusal::new(format!("there is no time zone `{short}`: write an IANA name such as `Europe/Berlin`"))
    })
}

/// `Start__c | add_days(30)`: a date or moment so many days later.
pub(super) fn add_days<'a>(budget: &mut Budget, value: Value<'a>, arguments: &Arguments<'a>) -> Outcome<'a> {
    let Value::Text(text) = value else { return Ok(value) };
    let days = arguments.whole(0).unwrap_or(0);
    let too_far = |_| Refusal::new(format!("`add_days({days})` leads out of the years 1 to 9999"));
    let span = Span::new().try_days(days).map_err(too_far)?;
    if let Some(day) = time::date(&text) {
        return budget.text(&time::write_date(day.checked_add(span).map_err(too_far)?));
    }
    let moment = time::moment(&text).ok_or_else(|| unfit("add_days", "a date or a moment", &text))?;
    let zone = time::written_zone(&text);
    // By the calendar of the written zone: across a change of the clocks, the time of day stays and the hours do not.
    let later = moment.to_zoned_datetime(zone.clone()).checked_add(span).map_err(too_far)?;
    // The usual form for a moment in UTC, which HubSpot takes.
    let utc = zone == TimeZone::UTC;
    budget.text(&if utc { time::write_moment(later.timestamp()) } else { later.strftime(LOCAL).to_string() })
}

/// `Start__c | days_until(End__c)`: whole days from one date to another.
pub(super) fn days_until<'a>(_: &mut Budget, value: Value<'a>, arguments: &Arguments<'a>) -> Outcome<'a> {
    let Value::Text(text) = value else { return Ok(value) };
    let day = |text: &str| {
        let day = time::date(text)
            // The day that people there see on the calendar.
            .or_else(|| time::moment(text).map(|moment| time::day_in(moment, &time::written_zone(text))));
        day.ok_or_else(|| unfit("days_until", "a date or a moment", text))
    };
    let between = day(arguments.text(0))?.since(day(&text)?);
    let days = between.map_err(|_| Refusal::new("`days_until`: the dates are too far apart"))?.get_days();
    Ok(Value::number(Decimal::from(i64::from(days))))
}

fn unfit(filter: &str, expected: &str, text: &str) -> Refusal {
    Refusal::new(format!("`{filter}` takes {expected}, got {}", Value::made(text).described()))
}
