//! Rules of admins for the values of a property: set, listed, and kept on every write.

use bigdecimal::BigDecimal;
use serde_json::{Value, json};

use super::answers::{self, Answer, Refusal};
use super::body::decode;
use super::portal::{ObjectType, Portal};
use super::rules::Rule;
use super::values::Bad;
use crate::sandbox::http::{Reply, Request};

/// All types of rules. Those that no function here looks at are listed and not enforced.
const TYPES: [&str; 27] = [
    "AFTER_DATETIME_DURATION",
    "AFTER_DURATION",
    "ALPHANUMERIC",
    "BEFORE_DATETIME_DURATION",
    "BEFORE_DURATION",
    "DAYS_OF_WEEK",
    "DECIMAL",
    "DOMAIN",
    "EMAIL",
    "EMAIL_ALLOWED_DOMAINS",
    "EMAIL_BLOCKED_DOMAINS",
    "END_DATE",
    "END_DATETIME",
    "FORMAT",
    "MAX_LENGTH",
    "MAX_NUMBER",
    "MIN_LENGTH",
    "MIN_NUMBER",
    "PHONE_NUMBER_WITH_EXPLICIT_COUNTRY_CODE",
    "REGEX",
    "SPECIAL_CHARACTERS",
    "START_DATE",
    "START_DATETIME",
    "URL",
    "URL_ALLOWED_DOMAINS",
    "URL_BLOCKED_DOMAINS",
    "WHITESPACE",
];

/// Most digits that a compared number may have before or after its point.
/// An exponent of a few digits would else become a number that fills the memory.
const DIGITS_MAX: u64 = 1_000;

/// `/crm/property-validations/VERSION/{type}…`: the properties that have rules, one property, one rule.
pub fn route(portal: &mut Portal, request: &Request, type_name: &str, rest: &[&str]) -> Answer {
    let id = portal.type_id(type_name)?;
    let object = portal.object_mut(&id)?;
    match (request.method.as_str(), rest) {
        ("GET", []) => {
            let rule = object.rules.iter();
            let rule = rule.filter(|(name, rules)| !rules.is_empty() && object.properties.get(name).is_some());
            let results = rule.map(|(name, rules)| {
                json!({"propertyName": name, "propertyValidationRules": rules.iter().map(shown).collect::<Vec<_>>()})
            });
            Ok(answers::json(200, &json!({"results": results.collect::<Vec<_>>()})))
        }
        ("GET", [name]) => {
            object.properties.get(name).ok_or_else(Refusal::not_found)?;
            let rules: Vec<Value> = object.rules.get(*name).into_iter().flatten().map(shown).collect();
            Ok(answers::json(200, &json!({"results": rules})))
        }
        ("GET", [name, "rule-type", kind]) => {
            let rule = object.rules.get(*name).and_then(|rules| rules.get_key_value(*kind));
            rule.map(|rule| answers::json(200, &shown(rule))).ok_or_else(Refusal::not_found)
        }
        ("PUT", [name, "rule-type", kind]) => {
            object.properties.get(name).ok_or_else(Refusal::not_found)?;
            let body: Value = decode(&request.body)?;
            let wanted = json!({"property": name, "rule_type": kind, "arguments": body["ruleArguments"],
                "normalize": body["shouldApplyNormalization"]});
            set(object, &wanted).map_err(Refusal::validation)?;
            Ok(Reply::empty(204))
        }
        _ => Err(Refusal::not_found()),
    }
}

fn shown((kind, rule): (&String, &Rule)) -> Value {
    json!({"ruleType": kind, "ruleArguments": rule.arguments, "shouldApplyNormalization": rule.normalize})
}

/// Sets a rule: `{"property": "code", "rule_type": "MAX_LENGTH", "arguments": ["50"]}`; without arguments it goes.
pub fn set(object: &mut ObjectType, wanted: &Value) -> Result<Value, String> {
    let text = |name: &str| wanted[name].as_str().ok_or_else(|| format!("`{name}` is missing"));
    let (property, kind) = (text("property")?, text("rule_type")?);
    if object.properties.get(property).is_none() {
        return Err(format!("there is no property `{property}`"));
    }
    if !TYPES.contains(&kind) {
        return Err(format!("there is no rule type `{kind}`; known are {}", TYPES.join(", ")));
    }
    let arguments: Option<Vec<String>> =
        serde_json::from_value(wanted["arguments"].clone()).map_err(|error| format!("`arguments`: {error}"))?;
    let arguments = arguments.unwrap_or_default();
    let rules = object.rules.entry(property.to_owned()).or_default();
    if arguments.is_empty() {
        rules.remove(kind);
    } else {
        rules.insert(kind.to_owned(), Rule { arguments, normalize: wanted["normalize"] == true });
    }
    Ok(json!({}))
}

/// The first rule that a value breaks. An empty text clears the property, and breaks none.
pub fn broken(object: &ObjectType, name: &str, text: &str) -> Option<Bad> {
    let rules = object.rules.get(name).filter(|_| !text.is_empty())?;
    let enforced = rules.iter().filter(|(_, rule)| !rule.normalize);
    let (code, message) = enforced.filter_map(|(kind, rule)| refusal(kind, rule.arguments.first()?, text)).next()?;
    Some(Bad { code, property: name.to_owned(), message, value: text.to_owned() })
}

/// Code and text for a value that breaks a rule. Known from the real service are `MAX_LENGTH` and `INVALID_ALPHA`; the
/// others are made like them.
fn refusal(kind: &str, argument: &str, text: &str) -> Option<(&'static str, String)> {
    // HubSpot runs on Java, whose lengths are in units of UTF-16.
    let length = text.encode_utf16().count();
    let limit = || argument.parse::<usize>().ok();
    let decimal = |text: &str| {
        text.parse::<BigDecimal>().ok().filter(|number| number.fractional_digit_count().unsigned_abs() <= DIGITS_MAX)
    };
    let pair = || decimal(text).zip(decimal(argument));
    let places = || text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let only = |allowed: fn(char) -> bool| text.chars().all(allowed);
    Some(match (kind, argument) {
        ("MIN_LENGTH", _) if length < limit()? => ("MIN_LENGTH", format!("Enter {argument} characters or more")),
        ("MAX_LENGTH", _) if length > limit()? => ("MAX_LENGTH", format!("Enter {argument} characters or fewer")),
        ("MIN_NUMBER", _) if pair().is_some_and(|(number, min)| number < min) => {
            ("MIN_NUMBER", format!("Enter a number that is {argument} or more"))
        }
        ("MAX_NUMBER", _) if pair().is_some_and(|(number, max)| number > max) => {
            ("MAX_NUMBER", format!("Enter a number that is {argument} or less"))
        }
        ("DECIMAL", _) if places() > limit()? => ("DECIMAL", format!("Enter {argument} decimal places or fewer")),
        ("ALPHANUMERIC", "NUMERIC_ONLY") if !only(char::is_numeric) => {
            ("INVALID_NUMERIC", "Enter only numbers".to_owned())
        }
        ("ALPHANUMERIC", "ALPHA_ONLY") if !only(char::is_alphabetic) => {
            ("INVALID_ALPHA", "Enter only letters".to_owned())
        }
        ("ALPHANUMERIC", "ALPHANUMERIC") if !only(char::is_alphanumeric) => {
            ("INVALID_ALPHANUMERIC", "Enter only letters and numbers".to_owned())
        }
        // Rules that the sandbox does not know let a value pass: a refusal without a cause would mislead.
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: &str, argument: &str, text: &str, expected: Option<&str>) {
        let mut object = ObjectType::default();
        object.properties.change().insert("p".to_owned(), json!({"name": "p"}));
        let rule = |arguments: &[&str]| json!({"property": "p", "rule_type": kind, "arguments": arguments});
        set(&mut object, &rule(&[argument])).unwrap();
        assert_eq!(broken(&object, "p", text).map(|bad| bad.code), expected, "{kind} {argument}: `{text}`");
        assert_eq!(broken(&object, "p", ""), None);
        set(&mut object, &rule(&[])).unwrap();
        assert_eq!(broken(&object, "p", text), None);
    }

    #[test]
    fn values_are_checked_by_rule() {
        check("MIN_LENGTH", "3", "ab", Some("MIN_LENGTH"));
        check("MIN_LENGTH", "3", "abc", None);
        check("MAX_LENGTH", "3", "abcd", Some("MAX_LENGTH"));
        check("MAX_LENGTH", "3", "🎉🎉", Some("MAX_LENGTH"));
        check("MIN_NUMBER", "-10.5", "-10.51", Some("MIN_NUMBER"));
        check("MIN_NUMBER", "-10.5", "-10.50", None);
        check("MAX_NUMBER", "99.99", "1E2", Some("MAX_NUMBER"));
        check("MAX_NUMBER", "99.99", "1E999999999", None);
        check("DECIMAL", "2", "1.125", Some("DECIMAL"));
        check("DECIMAL", "2", "1.12", None);
        check("ALPHANUMERIC", "NUMERIC_ONLY", "12a", Some("INVALID_NUMERIC"));
        check("ALPHANUMERIC", "ALPHA_ONLY", "12", Some("INVALID_ALPHA"));
        check("ALPHANUMERIC", "ALPHANUMERIC", "a-1", Some("INVALID_ALPHANUMERIC"));
        check("ALPHANUMERIC", "ALPHANUMERIC", "a1", None);
        check("REGEX", "^[A-Z]+$", "a", None);
    }

    #[test]
    fn a_rule_that_mends_refuses_nothing() {
        let mut object = ObjectType::default();
        object.properties.change().insert("p".to_owned(), json!({"name": "p"}));
        let mut wanted = json!({"property": "p", "rule_type": "ALPHANUMERIC", "arguments": ["NUMERIC_ONLY"]});
        wanted["normalize"] = true.into();
        set(&mut object, &wanted).unwrap();
        assert_eq!(broken(&object, "p", "12a"), None);
        wanted["rule_type"] = "SHORTNESS".into();
        assert!(set(&mut object, &wanted).unwrap_err().contains("MAX_LENGTH"));
    }
}
