//! Values of properties: which are accepted, and with which code the others are refused.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::answers::Refusal;
use super::columns::Column;
use super::fields::{Field, Kind};
use super::portal::ObjectType;

/// Longest text, in characters.
const TEXT_LENGTH_MAX: usize = 65_536;

/// The form in which a moment is stored, with a zero for every digit.
const STORED_MOMENT: &str = "0000-00-00T00:00:00.000Z";

/// A value that is refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Bad {
    /// Code.
    pub code: &'static str,
    /// The property.
    pub property: String,
    /// Text.
    pub message: String,
    /// The value.
    pub value: String,
}

/// The text that is stored for a written one, as it is or in another form; `before` is what the record holds. An empty text clears. Whether an owner is there is for the caller to see.
pub fn accept<'t, 'b>(
    object: &ObjectType,
    column: &Column<'_>,
    text: &'t str,
    before: impl Fn() -> Option<&'b str>,
) -> Result<Cow<'t, str>, Bad> {
    let name = column.name;
    let bad = |code, message: String| Bad { code, property: name.to_owned(), message, value: text.to_owned() };
    let Some(field) = column.field.and_then(|place| object.properties.at(place)) else {
        return Err(bad("PROPERTY_DOESNT_EXIST", format!("Property \"{name}\" does not exist")));
    };
    // Before the value itself: not even an empty one may be written there.
    if field.read_only {
        return Err(bad("READ_ONLY_VALUE", format!("\"{name}\" is a read only property; its value cannot be set.")));
    }
    if field.calculated {
        return Err(bad("READ_ONLY_VALUE", format!("\"{name}\" is a calculated property; its value cannot be set.")));
    }
    if text.is_empty() {
        return Ok(Cow::Borrowed(""));
    }
    // HubSpot's rule since April 2025; texts keep their blanks.
    let padded = || text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace);
    if field.kind != Kind::Text && padded() {
        return Err(bad("LEADING_TRAILING_WHITESPACE", format!("\"{text}\" includes leading or trailing whitespace.")));
    }
    let no_option = || Err(option_error(object, name, text, &bad));
    match field.kind {
        // Only a long text needs its characters counted.
        Kind::Text if text.len() > TEXT_LENGTH_MAX && text.encode_utf16().count() > TEXT_LENGTH_MAX => {
            Err(bad("PROPERTY_VALUE_TOO_LONG", format!("{name} is longer than {TEXT_LENGTH_MAX} characters")))
        }
        Kind::Text if column.email => {
            let email = text.trim().to_lowercase();
            if is_email(&email) {
                Ok(email.into())
            } else {
                Err(bad("INVALID_EMAIL", format!("Email address {text} is invalid")))
            }
        }
        Kind::Number if !is_number(text) => Err(bad("INVALID_INTEGER", format!("{text} was not a valid number."))),
        Kind::Date => date(text).ok_or_else(|| date_error(text, &bad)),
        Kind::Moment => moment(text).ok_or_else(|| bad("INVALID_LONG", format!("{text} was not a valid long."))),
        Kind::Bool if !matches!(text, "true" | "false") => no_option(),
        Kind::Choices => checkboxes(object, name, field, text, before(), &bad).map(Cow::Owned),
        Kind::Choice if !field.options.contains(text) => no_option(),
        _ => Ok(text.into()),
    }
}

/// The refusal of a value that is no owner's id.
pub fn no_owner(name: &str, value: String) -> Bad {
    let message = format!("{value} is not a valid owner id");
    Bad { code: "INVALID_OWNER_ID", property: name.to_owned(), message, value }
}

/// The refusal for bad values of one record.
pub fn refusal(bad: &[Bad], portal_id: u64) -> Refusal {
    let embedded: Vec<Value> = bad
        .iter()
        .map(|bad| {
            json!({"isValid": false, "message": bad.message, "error": bad.code, "name": bad.property,
                "localizedErrorMessage": bad.message, "propertyValue": bad.value, "portalId": portal_id})
        })
        .collect();
    let errors = bad
        .iter()
        .map(|bad| json!({"message": bad.message, "code": bad.code, "context": {"propertyName": [bad.property]}}));
    // The list stands in the message and in `errors`, as the real answers have it.
    let mut refusal = Refusal::validation(format!("Property values were not valid: {}", Value::Array(embedded)));
    refusal.errors = errors.collect();
    refusal
}

// Written out: Rust's parser takes `inf`, `nan` and a plus sign, which HubSpot does not.
fn is_number(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    !(whole.is_empty() && fraction.is_empty())
        && digits(whole)
        && digits(fraction)
        && !exponent.is_empty()
        && digits(exponent)
}

/// `YYYY-MM-DD`, or milliseconds at midnight UTC; stored as the former.
fn date(text: &str) -> Option<Cow<'_, str>> {
    if let Ok(millis) = text.parse::<i64>() {
        let time = jiff::Timestamp::from_millisecond(millis).ok()?;
        return (millis.rem_euclid(86_400_000) == 0).then(|| time.strftime("%Y-%m-%d").to_string().into());
    }
    let shaped = text.len() == 10 && text.as_bytes()[4] == b'-' && text.as_bytes()[7] == b'-';
    shaped.then(|| text.parse::<jiff::civil::Date>().ok()).flatten().map(|_| text.into())
}

fn date_error(text: &str, bad: &impl Fn(&'static str, String) -> Bad) -> Bad {
    match text.parse::<i64>().ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok()) {
        Some(time) => bad("INVALID_DATE", format!("{text} is at {} UTC, not midnight!", time.strftime("%H:%M:%S.%3f"))),
        None => bad("INVALID_LONG", format!("{text} was not a valid long.")),
    }
}

/// ISO 8601 in UTC, or milliseconds; stored as the former. Microseconds and offsets are refused.
fn moment(text: &str) -> Option<Cow<'_, str>> {
    let time = match text.parse::<i64>() {
        Ok(millis) => jiff::Timestamp::from_millisecond(millis).ok()?,
        Err(_) => {
            let fraction = text.strip_suffix('Z')?.split_once('.').map_or("", |(_, fraction)| fraction);
            if fraction.len() > 3 {
                return None;
            }
            text.parse().ok()?
        }
    };
    // Most come as they are stored.
    let stored = text.len() == STORED_MOMENT.len()
        && text
            .bytes()
            .zip(STORED_MOMENT.bytes())
            .all(|(byte, like)| like == byte || like == b'0' && byte.is_ascii_digit());
    Some(if stored { text.into() } else { time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string().into() })
}

/// Something, one `@`, and a domain with a point.
fn is_email(text: &str) -> bool {
    let Some((name, domain)) = text.split_once('@') else { return false };
    let plain = |text: &str| {
        !text.contains(|letter: char| letter.is_whitespace() || matches!(letter, '@' | ',' | ';' | '<' | '>'))
    };
    let dotted = domain.split('.').count() > 1 && domain.split('.').all(|part| !part.is_empty());
    !name.is_empty() && plain(name) && plain(domain) && dotted
}

/// `a;b` replaces, `;a;b` adds to what is there.
fn checkboxes(
    object: &ObjectType,
    name: &str,
    field: &Field,
    text: &str,
    before: Option<&str>,
    bad: &impl Fn(&'static str, String) -> Bad,
) -> Result<String, Bad> {
    let adds = text.starts_with(';');
    let kept = before.filter(|_| adds).unwrap_or_default();
    let mut chosen: Vec<&str> = kept.split(';').filter(|option| !option.is_empty()).collect();
    for option in text.trim_start_matches(';').split(';') {
        if option.trim() != option {
            return Err(bad(
                "LEADING_TRAILING_WHITESPACE",
                format!("\"{option}\" includes leading or trailing whitespace."),
            ));
        }
        if !field.options.contains(option) {
            return Err(option_error(object, name, option, bad));
        }
        if !chosen.contains(&option) {
            chosen.push(option);
        }
    }
    Ok(chosen.join(";"))
}

/// The real message lists every option of the property.
fn option_error(object: &ObjectType, name: &str, text: &str, bad: &impl Fn(&'static str, String) -> Bad) -> Bad {
    let options = object.properties.get(name).and_then(|property| property["options"].as_array());
    let options = options.map_or(&[][..], Vec::as_slice);
    let shown: Vec<String> = options
        .iter()
        .enumerate()
        .map(|(order, option)| {
            format!(
                "label: \"{}\"\nvalue: \"{}\"\ndisplay_order: {order}\nhidden: false\nread_only: false\n",
                option["label"].as_str().unwrap_or_default(),
                option["value"].as_str().unwrap_or_default()
            )
        })
        .collect();
    bad("INVALID_OPTION", format!("{text} was not one of the allowed options: [{}]", shown.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(property: Value, text: &str, before: Option<&str>, expected: Result<&str, &str>) {
        let mut object = ObjectType::default();
        object.properties.change().insert("p".to_owned(), property);
        let column = Column::of(&mut object, "p");
        let got = accept(&object, &column, text, || before);
        assert_eq!(got.as_deref().map_err(|bad| bad.code), expected, "{text}");
    }

    #[test]
    fn addresses_of_contacts_are_checked_and_kept_in_lower_case() {
        let mut contact = ObjectType { id: "0-1".to_owned(), ..ObjectType::default() };
        contact.properties.change().insert("email".to_owned(), json!({"type": "string"}));
        for (text, expected) in [
            ("Zoe@Example.ORG", Ok("zoe@example.org")),
            ("a+b@x.co.uk", Ok("a+b@x.co.uk")),
            ("zoe", Err("INVALID_EMAIL")),
            ("zoe@example", Err("INVALID_EMAIL")),
            ("@example.org", Err("INVALID_EMAIL")),
            ("a b@example.org", Err("INVALID_EMAIL")),
            ("a@b@example.org", Err("INVALID_EMAIL")),
            ("a@example..org", Err("INVALID_EMAIL")),
        ] {
            let column = Column::of(&mut contact, "email");
            let got = accept(&contact, &column, text, || None);
            assert_eq!(got.as_deref().map_err(|bad| bad.code), expected, "{text}");
        }
    }

    #[test]
    fn values_are_checked_by_type() {
        let options = json!([{"label": "A", "value": "a"}, {"label": "B", "value": "b"}]);
        let of = |kind: &str, field: &str| json!({"type": kind, "fieldType": field, "options": options});
        check(of("string", "text"), " x ", None, Ok(" x "));
        check(of("string", "text"), &"x".repeat(65_537), None, Err("PROPERTY_VALUE_TOO_LONG"));
        check(of("number", "number"), "1250.50", None, Ok("1250.50"));
        check(of("number", "number"), "1,5", None, Err("INVALID_INTEGER"));
        check(of("number", "number"), " 5", None, Err("LEADING_TRAILING_WHITESPACE"));
        check(of("date", "date"), "2026-10-01", None, Ok("2026-10-01"));
        check(of("date", "date"), "1790812800000", None, Ok("2026-10-01"));
        check(of("date", "date"), "1790812800001", None, Err("INVALID_DATE"));
        check(of("date", "date"), "2026-10-01T00:00:00Z", None, Err("INVALID_LONG"));
        check(of("datetime", "date"), "2026-10-01T09:00:00.000Z", None, Ok("2026-10-01T09:00:00.000Z"));
        check(of("datetime", "date"), "2026-10-01T09:00:00.123456Z", None, Err("INVALID_LONG"));
        check(of("bool", "booleancheckbox"), "yes", None, Err("INVALID_OPTION"));
        check(of("enumeration", "select"), "a", None, Ok("a"));
        check(of("enumeration", "select"), "A", None, Err("INVALID_OPTION"));
        check(of("enumeration", "checkbox"), "b;a", Some("a"), Ok("b;a"));
        check(of("enumeration", "checkbox"), ";b", Some("a"), Ok("a;b"));
        check(of("enumeration", "checkbox"), "a; b", None, Err("LEADING_TRAILING_WHITESPACE"));
        check(of("string", "text"), "", Some("x"), Ok(""));
        check(json!({"type": "string", "calculated": true}), "x", None, Err("READ_ONLY_VALUE"));
        check(json!({"type": "string", "archived": true}), "x", None, Err("PROPERTY_DOESNT_EXIST"));
    }
}
