//! Filters that people in revenue operations need, beside minijinja's own; all are pure. Each is listed in
//! docs/guide/templates.md.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use minijinja::{Environment, Error, ErrorKind, Value};

use super::lists::{self, text};
use super::values::{decimal, time};

/// minijinja's own filters that make lists, maps or HTML, or that show a template's insides: templates over records have no
/// use for them, and lists of lists can be small and yet print gigabytes.
const UNWANTED: [&str; 28] = [
    "attr",
    "batch",
    "chain",
    "dictsort",
    "e",
    "escape",
    "format",
    "groupby",
    "items",
    "list",
    "map",
    "max",
    "min",
    "pprint",
    "reject",
    "rejectattr",
    "reverse",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "sum",
    "tojson",
    "unique",
    "urlencode",
    "zip",
    "indent",
];

/// Adds the filters, and takes away what templates over records have no use for.
pub fn add(environment: &mut Environment<'_>) {
    UNWANTED.iter().for_each(|name| environment.remove_filter(name));
    ["dict", "debug", "namespace"].iter().for_each(|name| environment.remove_global(name));
    lists::add(environment);
    environment.add_filter("round", round);
    environment.add_filter("thousands", thousands);
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    environment.add_filter("truncate", truncate);
    environment.add_filter("date", date);
    environment.add_filter("in_zone", in_zone);
    environment.add_filter("add_days", add_days);
    environment.add_filter("days_until", days_until);
}

/// `1250.5 | round(2)` -> `1250.50`: half up, with so many digits after the point.
fn round(value: &Value, places: Option<usize>) -> Result<String, Error> {
    let text = text(value)?;
    if text.is_empty() {
        return Ok(text);
    }
    decimal::round(&text, places.unwrap_or(0)).ok_or_else(|| unfit("round", "a number", &text))
}

/// `1234567.5 | thousands` -> `1,234,567.5`; another separator may be given.
fn thousands(value: &Value, separator: Option<String>) -> Result<String, Error> {
    let text = text(value)?;
    if text.is_empty() {
        return Ok(text);
    }
    let separator = separator.unwrap_or_else(|| ",".to_owned());
    // Digits behind the point stay as they are, so that `round(2) | thousands` keeps both.
    let canonical = decimal::canonical(&text).ok_or_else(|| unfit("thousands", "a number", &text))?;
    let fraction = text.split_once('.').filter(|_| !text.contains(['e', 'E'])).map(|(_, fraction)| fraction);
    let (sign, digits) = canonical.strip_prefix('-').map_or(("", canonical.as_str()), |digits| ("-", digits));
    let (whole, own_fraction) = digits.split_once('.').map_or((digits, None), |(whole, rest)| (whole, Some(rest)));
    let groups: Vec<&str> =
        whole.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    let fraction = fraction.or(own_fraction).map(|fraction| format!(".{fraction}")).unwrap_or_default();
    Ok(format!("{sign}{}{fraction}", groups.join(&separator)))
}

/// `Name | default("unknown")`: the other value where the field is blank.
fn default(value: &Value, other: Option<Value>) -> Result<Value, Error> {
    let other = other.unwrap_or_else(|| Value::from(""));
    text(&other)?;
    let blank = value.is_undefined() || value.is_none() || value.as_str().is_some_and(str::is_empty);
    Ok(if blank { other } else { value.clone() })
}

/// `Name | truncate(20)`: at most so many characters, the last of them `…` where something was cut.
fn truncate(value: &Value, length: usize) -> Result<String, Error> {
    let text = text(value)?;
    if text.chars().count() <= length {
        return Ok(text);
    }
    let kept: String = text.chars().take(length.saturating_sub(1)).collect();
    Ok(format!("{}…", kept.trim_end()))
}

/// `Start__c | date("%d.%m.%Y")`: a date or moment in another form; after `in_zone`, as it is there.
fn date(value: &Value, format: &str) -> Result<String, Error> {
    let text = text(value)?;
    if text.is_empty() {
        return Ok(text);
    }
    let bad_format = |error: jiff::Error| Error::new(ErrorKind::InvalidOperation, format!("`date`: {error}"));
    if let Some(day) = time::date(&text) {
        return jiff::fmt::strtime::format(format, day).map_err(bad_format);
    }
    let moment: Timestamp = time::moment(&text).ok_or_else(|| unfit("date", "a date", &text))?;
    jiff::fmt::strtime::format(format, &moment.to_zoned_datetime(time::written_zone(&text))).map_err(bad_format)
}

/// `Renews_At__c | in_zone("Europe/Berlin")`: a moment as local time, `2026-10-01T11:00:00+02:00`, for `date` or slices.
fn in_zone(value: &Value, zone: &str) -> Result<String, Error> {
    let text = text(value)?;
    if text.is_empty() {
        return Ok(text);
    }
    let zone =
        TimeZone::get(zone).map_err(|error| Error::new(ErrorKind::InvalidOperation, format!("`in_zone`: {error}")))?;
    let moment = time::moment(&text).ok_or_else(|| unfit("in_zone", "a moment", &text))?;
    let local = moment.to_zoned_datetime(zone);
    Ok(local.strftime(LOCAL).to_string())
}

/// A moment with the offset of its zone.
const LOCAL: &str = "%Y-%m-%dT%H:%M:%S%:z";

/// `Start__c | add_days(30)`: a date or moment so many days later.
fn add_days(value: &Value, days: i64) -> Result<String, Error> {
    let text = text(value)?;
    if text.is_empty() {
        return Ok(text);
    }
    let too_far = |error: jiff::Error| Error::new(ErrorKind::InvalidOperation, format!("`add_days`: {error}"));
    let span = Span::new().try_days(days).map_err(too_far)?;
    if let Some(day) = time::date(&text) {
        return day.checked_add(span).map(time::write_date).map_err(too_far);
    }
    let moment = time::moment(&text).ok_or_else(|| unfit("add_days", "a date", &text))?;
    let zone = time::written_zone(&text);
    let later = moment.to_zoned_datetime(zone.clone()).checked_add(span).map_err(too_far)?;
    Ok(if zone == TimeZone::UTC { time::write_moment(later.timestamp()) } else { later.strftime(LOCAL).to_string() })
}

/// `Start__c | days_until(End__c)`: whole days from one date to another.
fn days_until(value: &Value, other: &Value) -> Result<Value, Error> {
    let (from, to) = (text(value)?, text(other)?);
    if from.is_empty() || to.is_empty() {
        return Ok(Value::from(""));
    }
    let day = |text: &str| {
        let day = time::date(text)
            .or_else(|| time::moment(text).map(|moment| time::day_in(moment, &time::written_zone(text))));
        day.ok_or_else(|| unfit("days_until", "a date", text))
    };
    let days = day(&to)?.since(day(&from)?).map(|span| span.get_days());
    days.map(Value::from).map_err(|error| Error::new(ErrorKind::InvalidOperation, format!("`days_until`: {error}")))
}

fn unfit(filter: &str, expected: &str, text: &str) -> Error {
    let short: String = text.chars().take(40).collect();
    Error::new(ErrorKind::InvalidOperation, format!("`{filter}` expects {expected}, got `{short}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expression: &str, expected: &str) {
        let mut environment = Environment::new();
        add(&mut environment);
        let rendered = environment.render_str(&format!("{{{{ {expression} }}}}"), ());
        assert_eq!(rendered.map_err(|error| error.to_string()).as_deref(), Ok(expected), "{expression}");
    }

    #[test]
    fn filters_do_what_their_name_says() {
        check("'2.345' | round(2)", "2.35");
        check("12 | round(2)", "12.00");
        check("'' | round(2)", "");
        check("1234567.5 | thousands", "1,234,567.5");
        check("'1234.50' | thousands", "1,234.50");
        check("'-1234567' | thousands('.')", "-1.234.567");
        check("'' | default('x')", "x");
        check("0 | default('x')", "0");
        check("'abcdef' | truncate(4)", "abc…");
        check("'abcd' | truncate(4)", "abcd");
        check("'2026-10-01' | date('%d.%m.%Y')", "01.10.2026");
        check("'2026-10-01T09:00:00.000+0000' | date('%H:%M')", "09:00");
        check("'2026-10-01T09:00:00Z' | in_zone('Europe/Berlin')", "2026-10-01T11:00:00+02:00");
        check("'2026-10-01T23:30:00.000+0000' | in_zone('Europe/Berlin') | date('%d.%m.%Y %H:%M')", "02.10.2026 01:30");
        check("'2026-10-01T23:30:00Z' | in_zone('Asia/Tokyo') | add_days(1) | date('%d %H:%M')", "03 08:30");
        check("'2026-10-01T23:30:00Z' | add_days(1)", "2026-10-02T23:30:00.000Z");
        check("'2026-10-01T23:30:00Z' | in_zone('Asia/Tokyo') | days_until('2026-10-03')", "1");
        check("'2024-02-28' | add_days(1)", "2024-02-29");
        check("'2026-10-01' | days_until('2026-10-31')", "30");
        check("'a,b' | split(',') | join(';')", "a;b");
        check("'abcdef'[1:3]", "bc");
        check("' x ' | trim | upper", "X");
        check("'a-b' | replace('-', '+')", "a+b");
    }
}
