//! One value from a Salesforce type to a HubSpot type: the table of conversions, as code.

use std::borrow::Cow;

use jiff::tz::TimeZone;

use super::{decimal, time};
use crate::model::object::{FieldKind, PropertyKind};

/// Longest text that HubSpot holds, in characters (counted as UTF-16 units, the stricter way).
pub const TEXT_LENGTH_MAX: usize = 65_536;

/// How a type converts to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conversion {
    /// The text as it is.
    Text,
    /// Any number's text, canonical.
    Number,
    /// `true` or `false`.
    Bool,
    /// `1` or `0`.
    BoolAsNumber,
    /// A day.
    Date,
    /// A day as midnight UTC.
    DateAsMoment,
    /// A moment.
    Moment,
    /// The day of a moment in a time zone.
    MomentAsDate,
    /// Text that should hold a boolean.
    ParseBool,
    /// Text that should hold a day.
    ParseDate,
    /// Text that should hold a moment.
    ParseMoment,
    /// One option, by value map or by equal value.
    Option,
    /// Several options.
    Options,
    /// An id, widened to 18 characters.
    Id,
    /// The id of the owner who has this e-mail.
    Owner,
}

/// The conversion for a pair of types; none when there is none.
pub fn conversion(from: &FieldKind, to: &PropertyKind) -> Option<Conversion> {
    use FieldKind as F;
    use PropertyKind as P;
    Some(match (from, to) {
        (F::Base64 | F::AnyType | F::Other(_), _) | (_, P::Other(_)) => return None,
        (F::Id | F::Reference, P::String) => Conversion::Id,
        (F::Id | F::Reference, _) => return None,
        (F::Address | F::Location, P::String) => Conversion::Text,
        (F::Address | F::Location, _) => return None,
        (F::Boolean, P::String | P::Bool) => Conversion::Bool,
        (F::Boolean, P::Number) => Conversion::BoolAsNumber,
        (F::Boolean, P::Enumeration) => Conversion::Option,
        (F::Boolean, _) => return None,
        (F::Int | F::Long | F::Double | F::Percent | F::Currency, P::String | P::Number) => Conversion::Number,
        (F::Int | F::Long | F::Double | F::Percent | F::Currency, P::Enumeration) => Conversion::Option,
        (F::Int | F::Long | F::Double | F::Percent | F::Currency, _) => return None,
        (F::Date, P::String | P::Date) => Conversion::Date,
        (F::Date, P::DateTime) => Conversion::DateAsMoment,
        (F::DateTime, P::String | P::DateTime) => Conversion::Moment,
        (F::DateTime, P::Date) => Conversion::MomentAsDate,
        (F::Date | F::DateTime, _) => return None,
        (F::MultiPicklist, P::String | P::MultiCheckbox) => Conversion::Options,
        (F::MultiPicklist, _) => return None,
        (F::Picklist, P::String) => Conversion::Text,
        (F::Picklist, P::Bool | P::Enumeration) => Conversion::Option,
        (F::Picklist, P::MultiCheckbox) => Conversion::Options,
        (F::Picklist, _) => return None,
        (_, P::String) => Conversion::Text,
        (_, P::Number) => Conversion::Number,
        (_, P::Bool) => Conversion::ParseBool,
        (_, P::Date) => Conversion::ParseDate,
        (_, P::DateTime) => Conversion::ParseMoment,
        (_, P::Enumeration) => Conversion::Option,
        (_, P::MultiCheckbox) => Conversion::Options,
    })
}

/// Whether Syncline writes properties of this type at all.
pub fn writable(kind: &PropertyKind) -> bool {
    !matches!(kind, PropertyKind::Other(_))
}

/// Why a value does not convert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// Not a number, or one of absurd length.
    Number,
    /// Neither true nor false.
    Bool,
    /// Not a day.
    Date,
    /// Not a moment.
    Moment,
    /// Not an id.
    Id,
}

impl Unfit {
    /// Code of the record failure.
    pub fn code(self) -> &'static str {
        match self {
            Self::Number => "SL5001",
            Self::Bool => "SL5002",
            Self::Date | Self::Moment => "SL5003",
            Self::Id => "SL5004",
        }
    }

    /// What was expected, for people.
    pub fn expected(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Bool => "`true` or `false`",
            Self::Date => "a date such as `2026-10-01`",
            Self::Moment => "a date and time such as `2026-10-01T09:00:00Z`",
            Self::Id => "a Salesforce id of 15 or 18 characters",
        }
    }
}

/// Converts one non-blank value; options are checked by the caller, who knows the value map.
pub fn convert<'a>(text: &'a str, conversion: Conversion, zone: &TimeZone) -> Result<Cow<'a, str>, Unfit> {
    let trimmed = trim(text);
    Ok(match conversion {
        Conversion::Text => Cow::Borrowed(text),
        Conversion::Option | Conversion::Options | Conversion::Owner => Cow::Borrowed(trimmed),
        Conversion::Number => decimal::canonical(trimmed).ok_or(Unfit::Number)?,
        Conversion::Bool | Conversion::ParseBool => Cow::Borrowed(boolean(trimmed)?),
        Conversion::BoolAsNumber => Cow::Borrowed(if boolean(trimmed)? == "true" { "1" } else { "0" }),
        Conversion::Date => time::canonical_date(trimmed).ok_or(Unfit::Date)?,
        Conversion::ParseDate => {
            let day = time::date(trimmed).or_else(|| time::moment(trimmed).map(|moment| time::day_in(moment, zone)));
            Cow::Owned(time::write_date(day.ok_or(Unfit::Date)?))
        }
        Conversion::DateAsMoment => Cow::Owned(time::write_midnight(time::date(trimmed).ok_or(Unfit::Date)?)),
        Conversion::Moment => time::canonical_moment(trimmed).ok_or(Unfit::Moment)?,
        Conversion::ParseMoment => {
            let midnight = || time::date(trimmed).map(|day| Cow::Owned(time::write_midnight(day)));
            time::canonical_moment(trimmed).or_else(midnight).ok_or(Unfit::Moment)?
        }
        Conversion::MomentAsDate => {
            Cow::Owned(time::write_date(time::day_in(time::moment(trimmed).ok_or(Unfit::Moment)?, zone)))
        }
        Conversion::Id => {
            Cow::Owned(trimmed.parse::<crate::model::ids::SalesforceId>().map_err(|_| Unfit::Id)?.to_string())
        }
    })
}

/// A text without white space and invisible characters at its ends, which HubSpot refuses around everything but text.
pub fn trim(text: &str) -> &str {
    // Most texts begin and end with letters and digits.
    let is_visible = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_graphic);
    if is_visible(text.as_bytes().first()) && is_visible(text.as_bytes().last()) {
        return text;
    }
    text.trim_matches(|character: char| {
        character.is_whitespace()
            || character.is_control()
            || matches!(character, '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
    })
}

/// A Salesforce value in the one form that value maps and templates see, whichever API it came through: numbers without
/// exponent, moments in UTC with `Z`, ids with 18 characters. What does not parse stays as it is.
pub fn canonical<'a>(text: &'a str, kind: &FieldKind) -> Cow<'a, str> {
    let string = conversion(kind, &PropertyKind::String).unwrap_or(Conversion::Text);
    convert(text, string, &TimeZone::UTC).unwrap_or(Cow::Borrowed(text))
}

/// Several options in one text: trimmed, without blanks and repetitions, and never with a leading `;`, which would make
/// HubSpot append instead of replace.
pub fn list<'a>(options: impl Iterator<Item = &'a str>) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for option in options.flat_map(|option| option.split(';')).map(trim) {
        if !option.is_empty() && !kept.contains(&option) {
            kept.push(option);
        }
    }
    kept.join(";")
}

/// Whether a text is what [`list`] would make of it. Of a long one it is not asked.
pub fn is_list(text: &str) -> bool {
    let options = || text.split(';');
    let is_kept = |(place, option): (usize, &str)| {
        let is_first = options().take(place).all(|before| before != option);
        place < LISTED_MAX && is_first && !option.is_empty() && trim(option).len() == option.len()
    };
    options().enumerate().all(is_kept)
}

/// Options that [`is_list`] compares with each other at most.
const LISTED_MAX: usize = 16;

/// Booleans as people and systems write them.
fn boolean(text: &str) -> Result<&'static str, Unfit> {
    let is_one_of = |names: [&str; 3]| names.iter().any(|name| text.eq_ignore_ascii_case(name));
    match text {
        _ if is_one_of(["true", "yes", "1"]) => Ok("true"),
        _ if is_one_of(["false", "no", "0"]) => Ok("false"),
        _ => Err(Unfit::Bool),
    }
}

/// Length of a text as HubSpot may count it.
pub fn length(text: &str) -> usize {
    // Every character takes at least one byte, so that short texts need no counting.
    if text.len() <= TEXT_LENGTH_MAX { text.len() } else { text.encode_utf16().count() }
}

/// The longest beginning of a text that fits.
pub fn truncate(text: &str) -> &str {
    let mut units = 0;
    for (index, character) in text.char_indices() {
        units += character.len_utf16();
        if units > TEXT_LENGTH_MAX {
            return &text[..index];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(from: FieldKind, to: PropertyKind, input: &str, expected: Result<&str, Unfit>) {
        let conversion = conversion(&from, &to).unwrap();
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let got = convert(input, conversion, &zone);
        assert_eq!(got.as_deref(), expected.as_ref().map(|text| &**text), "{from:?} to {to:?}: {input}");
    }

    #[test]
    fn values_convert_by_both_types() {
        use FieldKind as F;
        use PropertyKind as P;
        for text in ["01234", "821580693639061174", "0.1", "1E7", "True", " =cmd() ", "a\r\nb", "<script>"] {
            check(F::String, P::String, text, Ok(text));
        }
        check(F::String, P::Number, " 01234 ", Ok("1234"));
        check(F::String, P::Number, "12 000", Err(Unfit::Number));
        check(F::Currency, P::String, "1250.50", Ok("1250.5"));
        check(F::Double, P::Number, "1.6147805824397E13", Ok("16147805824397"));
        check(F::Int, P::Number, "12.0", Ok("12"));
        check(F::Boolean, P::Bool, "true", Ok("true"));
        check(F::Boolean, P::Number, "false", Ok("0"));
        check(F::String, P::Bool, "Yes", Ok("true"));
        check(F::String, P::Bool, "maybe", Err(Unfit::Bool));
        check(F::Date, P::Date, "2026-10-01", Ok("2026-10-01"));
        check(F::Date, P::DateTime, "2026-10-01", Ok("2026-10-01T00:00:00.000Z"));
        check(F::DateTime, P::DateTime, "2026-10-01T09:00:00.000+0000", Ok("2026-10-01T09:00:00.000Z"));
        check(F::DateTime, P::Date, "2026-10-01T22:30:00.000+0000", Ok("2026-10-02"));
        check(F::String, P::Date, "2026-13-01", Err(Unfit::Date));
        check(F::String, P::Date, " 2026-10-01T23:30:00Z ", Ok("2026-10-02"));
        check(F::String, P::Date, "01.10.2026", Err(Unfit::Date));
        check(F::String, P::DateTime, "2026-10-01", Ok("2026-10-01T00:00:00.000Z"));
        check(F::String, P::DateTime, "2026-10-01T09:00:00", Err(Unfit::Moment));
        check(F::Date, P::DateTime, "9999-12-31", Ok("9999-12-31T00:00:00.000Z"));
        check(F::Date, P::DateTime, "0001-01-01", Ok("0001-01-01T00:00:00.000Z"));
        check(F::Date, P::Date, "1700-01-01", Ok("1700-01-01"));
        check(F::Date, P::Date, "4000-12-31", Ok("4000-12-31"));
        check(F::DateTime, P::Date, "2026-03-29T00:59:59.000Z", Ok("2026-03-29"));
        check(F::DateTime, P::Date, "2026-10-24T22:00:00.000Z", Ok("2026-10-25"));
        check(F::DateTime, P::Date, "2026-10-25T23:00:00.000Z", Ok("2026-10-26"));
        check(F::DateTime, P::String, "2026-10-01T09:00:00.000+0000", Ok("2026-10-01T09:00:00.000Z"));
        check(F::String, P::Number, "\u{a0}5\u{200b}", Ok("5"));
        check(F::String, P::Number, "1E400", Err(Unfit::Number));
        check(F::String, P::Number, "123456789012345678901234567890", Ok("123456789012345678901234567890"));
        check(F::Boolean, P::String, "true", Ok("true"));
        check(F::Reference, P::String, "0WO5g0000008AbC", Ok("0WO5g0000008AbCGAU"));
        check(F::Time, P::String, "14:30:00.000Z", Ok("14:30:00.000Z"));
    }

    #[test]
    fn lists_are_clean() {
        let check = |input: &[&str], expected: &str| assert_eq!(list(input.iter().copied()), expected, "{input:?}");
        check(&["A", "B"], "A;B");
        check(&[";A", " B ;A"], "A;B");
        check(&["", ";", " "], "");
    }

    #[test]
    fn one_form_whichever_api_it_came_through() {
        let check = |kind: FieldKind, input: &str, expected: &str| {
            assert_eq!(canonical(input, &kind), expected, "{kind:?}: {input}");
        };
        check(FieldKind::Double, "9.12260031E8", "912260031");
        check(FieldKind::DateTime, "2026-10-01T09:00:00.000+0000", "2026-10-01T09:00:00.000Z");
        check(FieldKind::Int, "12.0", "12");
        check(FieldKind::String, "012", "012");
        check(FieldKind::Double, "odd", "odd");
    }

    #[test]
    fn what_does_not_convert_is_refused_by_type() {
        use FieldKind as F;
        use PropertyKind as P;
        for (from, to) in [
            (F::Picklist, P::Number),
            (F::MultiPicklist, P::Enumeration),
            (F::Boolean, P::Date),
            (F::Double, P::Bool),
            (F::Date, P::Number),
            (F::Reference, P::Number),
            (F::Base64, P::String),
            (F::AnyType, P::String),
            (F::Other("json".to_owned()), P::String),
            (F::String, P::Other("json".to_owned())),
            (F::Address, P::Number),
        ] {
            assert_eq!(conversion(&from, &to), None, "{from:?} to {to:?}");
        }
    }

    #[test]
    fn long_texts_are_counted_and_cut_at_characters() {
        let fits = "x".repeat(TEXT_LENGTH_MAX);
        assert_eq!((length(&fits), truncate(&fits).len()), (TEXT_LENGTH_MAX, TEXT_LENGTH_MAX));
        let long = format!("{fits}y");
        assert_eq!((length(&long), truncate(&long).len()), (TEXT_LENGTH_MAX + 1, TEXT_LENGTH_MAX));
        let umlauts = "ü".repeat(TEXT_LENGTH_MAX);
        assert_eq!(length(&umlauts), TEXT_LENGTH_MAX);
        let emoji = "🦀".repeat(TEXT_LENGTH_MAX / 2 + 1);
        assert_eq!(truncate(&emoji).chars().count(), TEXT_LENGTH_MAX / 2);
    }
}
