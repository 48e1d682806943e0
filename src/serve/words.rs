//! Values as the page says them: numbers, ages, moments, shares; and the cleaning that every text of others goes through.

use jiff::Timestamp;
use minijinja::{Error, HtmlEscape, Output, State, Value};

use crate::model::text::visible;
use crate::ops::status::duration;
use crate::sys::secrets::masked;

/// Longest text of others that is shown, in characters.
const TEXT_LENGTH_MAX: usize = 1_000;

/// `1,234,567`.
pub fn number(value: f64) -> String {
    let digits = format!("{:.0}", value.max(0.0));
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

/// `12%` of a share of 0.12; a little is not nothing.
pub fn share(value: f64) -> String {
    match value * 100.0 {
        percent if percent > 0.0 && percent < 1.0 => "under 1%".to_owned(),
        percent => format!("{percent:.0}%"),
    }
}

/// `3m ago`, `in 4m`: a moment as seen from another one, in milliseconds.
pub fn ago(moment: &str, now: i64) -> String {
    let Ok(at) = moment.parse::<Timestamp>() else { return String::new() };
    let seconds = (now - at.as_millisecond()) as f64 / 1_000.0;
    match seconds {
        seconds if seconds < -1.0 => format!("in {}", duration(-seconds)),
        seconds if seconds < 1.0 => "now".to_owned(),
        seconds => format!("{} ago", duration(seconds)),
    }
}

/// `2026-01-31 12:05:09 UTC`.
pub fn moment(moment: &str) -> String {
    moment.parse::<Timestamp>().map_or_else(|_| String::new(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// The end of a run's id, which tells it from the others.
pub fn short(run: &str) -> String {
    run.chars().skip(run.chars().count().saturating_sub(8)).collect()
}

/// `value_does_not_fit` as words.
pub fn spaced(name: &str) -> String {
    name.replace('_', " ")
}

/// A text as a part of an address.
pub fn query(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// A sentence with its literals, which stand in backticks, as code; all of it escaped.
pub fn said(sentence: &str) -> Value {
    let sentence = clean(sentence);
    let pieces: Vec<&str> = sentence.split('`').collect();
    if pieces.len().is_multiple_of(2) {
        return Value::from_safe_string(HtmlEscape(&sentence).to_string());
    }
    let piece = |(index, text): (usize, &&str)| match index % 2 {
        0 => HtmlEscape(text).to_string(),
        _ => format!("<code>{}</code>", HtmlEscape(text)),
    };
    Value::from_safe_string(pieces.iter().enumerate().map(piece).collect())
}

/// A text without secrets, and without letters that nobody sees; a long one is cut.
pub fn clean(text: &str) -> String {
    let text = masked(text);
    let mut letters = text.chars();
    let mut shown: String = letters.by_ref().take(TEXT_LENGTH_MAX).map(visible).collect();
    if letters.next().is_some() {
        shown.push('…');
    }
    shown
}

/// Writes a value into a page: ours as it is, every other text cleaned and escaped.
pub fn written(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let written = match value.as_str() {
        _ if value.is_undefined() || value.is_none() => Ok(()),
        Some(text) if !value.is_safe() => write!(out, "{}", HtmlEscape(&clean(text))),
        Some(text) => out.write_str(text),
        None => write!(out, "{}", HtmlEscape(&value.to_string())),
    };
    written.map_err(Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_said_for_people() {
        assert_eq!((number(1_234_567.0), number(0.0), number(999.0)), ("1,234,567".into(), "0".into(), "999".into()));
        assert_eq!((share(0.0), share(0.004), share(0.124)), ("0%".into(), "under 1%".into(), "12%".into()));
        let now = "2026-01-01T12:00:00Z".parse::<Timestamp>().unwrap().as_millisecond();
        for (at, expected) in [
            ("2026-01-01T11:57:00Z", "3m ago"),
            ("2026-01-01T12:04:00Z", "in 4m"),
            ("2026-01-01T12:00:00.5Z", "now"),
            ("soon", ""),
        ] {
            assert_eq!(ago(at, now), expected);
        }
        assert_eq!(moment("2026-01-01T11:57:00.25Z"), "2026-01-01 11:57:00 UTC");
        assert_eq!(
            (query("a b&c"), short("01JABCDEFGH"), spaced("option_missing")),
            ("a+b%26c".into(), "ABCDEFGH".into(), "option missing".into())
        );
        assert_eq!(said("`<a>` & b").to_string(), "<code>&lt;a&gt;</code> &amp; b");
        assert_eq!(said("a ` b").to_string(), "a ` b");
        assert!(
            clean(&"a".repeat(2_000)).chars().count() == TEXT_LENGTH_MAX + 1
                && !clean("a\u{202e}b").contains('\u{202e}')
        );
    }
}
