//! Values of properties: which are accepted, and with which code the others are refused.

use serde_json::{Value, json};

use super::answers::Refusal;
use super::portal::ObjectType;

/// Longest text, in characters.
const TEXT_LENGTH_MAX: usize = 65_536;

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

/// The text that is stored for a written one. An empty text clears.
pub fn accept(object: &ObjectType, name: &str, text: &str, before: Option<&str>) -> Result<String, Bad> {
    let bad = |code, message: String| Bad { code, property: name.to_owned(), message, value: text.to_owned() };
    let Some(property) = object.property(name) else {
        return Err(bad("PROPERTY_DOESNT_EXIST", format!("Property \"{name}\" does not exist")));
    };
    if property["modificationMetadata"]["readOnlyValue"] == true {
        return Err(bad("READ_ONLY_VALUE", format!("\"{name}\" is a read only property; its value cannot be set.")));
    }
    if property["calculated"] == true {
        return Err(bad("READ_ONLY_VALUE", format!("\"{name}\" is a calculated property; its value cannot be set.")));
    }
    if text.is_empty() {
        return Ok(String::new());
    }
    let kind = property["type"].as_str().unwrap_or_default();
    if kind != "string" && text.trim() != text {
        return Err(bad("LEADING_TRAILING_WHITESPACE", format!("\"{text}\" includes leading or trailing whitespace.")));
    }
    match kind {
        "string" if text.encode_utf16().count() > TEXT_LENGTH_MAX => {
            Err(bad("PROPERTY_VALUE_TOO_LONG", format!("{name} is longer than {TEXT_LENGTH_MAX} characters")))
        }
        "number" if !is_number(text) => Err(bad("INVALID_INTEGER", format!("{text} was not a valid number."))),
        "date" => date(text).ok_or_else(|| date_error(text, &bad)),
        "datetime" => moment(text).ok_or_else(|| bad("INVALID_LONG", format!("{text} was not a valid long."))),
        "bool" if !matches!(text, "true" | "false") => Err(option_error(property, text, &bad)),
        "enumeration" if property["externalOptions"] == true => Ok(text.to_owned()),
        "enumeration" if property["fieldType"] == "checkbox" => checkboxes(property, text, before, &bad),
        "enumeration" if !offers(property, text) => Err(option_error(property, text, &bad)),
        _ => Ok(text.to_owned()),
    }
}

/// Whether a property's values are ids of owners.
pub fn owned(object: &ObjectType, name: &str) -> bool {
    object.property(name).is_some_and(|property| property["referencedObjectType"] == "OWNER")
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
    let mut refusal = Refusal::validation(format!("Property values were not valid: {}", Value::Array(embedded)));
    refusal.errors = errors.collect();
    refusal
}

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
fn date(text: &str) -> Option<String> {
    if let Ok(millis) = text.parse::<i64>() {
        let time = jiff::Timestamp::from_millisecond(millis).ok()?;
        return (millis.rem_euclid(86_400_000) == 0).then(|| time.strftime("%Y-%m-%d").to_string());
    }
    let shaped = text.len() == 10 && text.as_bytes()[4] == b'-' && text.as_bytes()[7] == b'-';
    shaped.then(|| text.parse::<jiff::civil::Date>().ok()).flatten().map(|_| text.to_owned())
}

fn date_error(text: &str, bad: &impl Fn(&'static str, String) -> Bad) -> Bad {
    match text.parse::<i64>().ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok()) {
        Some(time) => bad("INVALID_DATE", format!("{text} is at {} UTC, not midnight!", time.strftime("%H:%M:%S.%3f"))),
        None => bad("INVALID_LONG", format!("{text} was not a valid long.")),
    }
}

/// ISO 8601 in UTC, or milliseconds; stored as the former. Microseconds and offsets are refused.
fn moment(text: &str) -> Option<String> {
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
    Some(time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
}

fn offers(property: &Value, text: &str) -> bool {
    property["options"].as_array().is_some_and(|options| options.iter().any(|option| option["value"] == text))
}

/// `a;b` replaces, `;a;b` adds to what is there.
fn checkboxes(
    property: &Value,
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
        if !offers(property, option) {
            return Err(option_error(property, option, bad));
        }
        if !chosen.contains(&option) {
            chosen.push(option);
        }
    }
    Ok(chosen.join(";"))
}

/// The real message lists every option of the property.
fn option_error(property: &Value, text: &str, bad: &impl Fn(&'static str, String) -> Bad) -> Bad {
    let options = property["options"].as_array().cloned().unwrap_or_default();
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
        object.properties.insert("p".to_owned(), property);
        let got = accept(&object, "p", text, before);
        assert_eq!(got.as_deref().map_err(|bad| bad.code), expected, "{text}");
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
