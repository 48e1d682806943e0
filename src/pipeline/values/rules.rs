//! The portal's own rules for values, as far as their meaning is certain: what they refuse need not be sent. Pure.
//!
//! A value that is wrongly let through comes back from HubSpot as a failure with its reason; one that is wrongly refused
//! would never arrive. So where a rule can be read in two ways, a value breaks it only if it breaks both.

use bigdecimal::BigDecimal;

use super::decimal;
use crate::model::object::{PropertyKind, PropertyRule};

/// A rule whose meaning is certain.
///
/// Source: HubSpot CRM API, Property validations; not said there is how characters are counted, whether white space at the
/// ends counts, and whether a space or a sign is alphanumeric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// `MIN_LENGTH`: so many characters at least.
    LengthMin(usize),
    /// `MAX_LENGTH`: so many characters at most.
    LengthMax(usize),
    /// `MIN_NUMBER`: this number or more.
    NumberMin(BigDecimal),
    /// `MAX_NUMBER`: this number or less.
    NumberMax(BigDecimal),
    /// `DECIMAL`: so many digits after the point at most.
    DecimalsMax(usize),
    /// `ALPHANUMERIC` with `NUMERIC_ONLY`: a letter breaks it.
    Numeric,
    /// `ALPHANUMERIC` with `ALPHA_ONLY`: a digit breaks it.
    Alphabetic,
}

impl Rule {
    /// The rule that HubSpot tells of for a property of this type; none where its meaning is not certain.
    pub fn of(rule: &PropertyRule, kind: &PropertyKind) -> Option<Self> {
        // All rules that are known here have one argument; with another count, it is another rule than it seems.
        let [argument] = &*rule.arguments else { return None };
        let argument = argument.trim();
        let number = || decimal::canonical(argument)?.parse().ok();
        match (kind, &*rule.kind) {
            (PropertyKind::String, "MIN_LENGTH") => argument.parse().ok().map(Self::LengthMin),
            (PropertyKind::String, "MAX_LENGTH") => argument.parse().ok().map(Self::LengthMax),
            (PropertyKind::Number, "MIN_NUMBER") => number().map(Self::NumberMin),
            (PropertyKind::Number, "MAX_NUMBER") => number().map(Self::NumberMax),
            (PropertyKind::Number, "DECIMAL") => argument.parse().ok().map(Self::DecimalsMax),
            (PropertyKind::String, "ALPHANUMERIC") => match argument {
                "NUMERIC_ONLY" => Some(Self::Numeric),
                "ALPHA_ONLY" => Some(Self::Alphabetic),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether HubSpot will refuse the value for this rule. A blank clears the property, and breaks none.
    pub fn refuses(&self, value: &str) -> bool {
        let trimmed = value.trim();
        if trimmed.is_empty() {
            return false;
        }
        let number = || decimal::canonical(trimmed);
        let parsed = || number()?.parse::<BigDecimal>().ok();
        match self {
            // A text has as many UTF-16 units as scalar values, or more, and as many with its white space as without.
            Self::LengthMin(min) => value.encode_utf16().count() < *min,
            Self::LengthMax(max) => trimmed.chars().count() > *max,
            // What is no number is refused by its type, with a better reason.
            Self::NumberMin(min) => parsed().is_some_and(|number| number < *min),
            Self::NumberMax(max) => parsed().is_some_and(|number| number > *max),
            Self::DecimalsMax(max) => {
                number().is_some_and(|text| text.split_once('.').is_some_and(|(_, places)| places.len() > *max))
            }
            // Spaces and signs pass, as HubSpot's text can be read either way.
            Self::Numeric => value.chars().any(char::is_alphabetic),
            Self::Alphabetic => value.bytes().any(|byte| byte.is_ascii_digit()),
        }
    }

    /// What is said of a value that breaks it; `shown` is the value, where it may be shown.
    pub fn complaint(&self, shown: &str) -> String {
        let (word, demand) = (self.word(), self.demand());
        let advice = "correct it in Salesforce, or change the rule in HubSpot";
        format!("breaks the portal's rule `{word}`, which asks for {demand}{shown}: {advice}")
    }

    /// HubSpot's word for it.
    fn word(&self) -> &'static str {
        match self {
            Self::LengthMin(_) => "MIN_LENGTH",
            Self::LengthMax(_) => "MAX_LENGTH",
            Self::NumberMin(_) => "MIN_NUMBER",
            Self::NumberMax(_) => "MAX_NUMBER",
            Self::DecimalsMax(_) => "DECIMAL",
            Self::Numeric | Self::Alphabetic => "ALPHANUMERIC",
        }
    }

    /// What it asks for, with its limit.
    fn demand(&self) -> String {
        let counted =
            |number: &usize, one: &str, many: &str| format!("{number} {}", if *number == 1 { one } else { many });
        match self {
            Self::LengthMin(min) => format!("at least {}", counted(min, "character", "characters")),
            Self::LengthMax(max) => format!("at most {}", counted(max, "character", "characters")),
            Self::NumberMin(min) => format!("{} or more", min.to_plain_string()),
            Self::NumberMax(max) => format!("{} or less", max.to_plain_string()),
            Self::DecimalsMax(max) => {
                format!("at most {}", counted(max, "digit after the point", "digits after the point"))
            }
            Self::Numeric => "digits only".to_owned(),
            Self::Alphabetic => "letters only".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::pipeline::fixture::Fixture;

    fn rule(kind: &PropertyKind, word: &str, arguments: &[&str]) -> Option<Rule> {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Rule::of(&PropertyRule { kind: word.to_owned(), arguments }, kind)
    }

    /// Values that the rule of a text or number property lets through, and values that it refuses.
    #[track_caller]
    fn check(word: &str, argument: &str, kept: &[&str], refused: &[&str]) {
        let number = matches!(word, "MIN_NUMBER" | "MAX_NUMBER" | "DECIMAL");
        let kind = if number { PropertyKind::Number } else { PropertyKind::String };
        let rule = rule(&kind, word, &[argument]).unwrap();
        assert_eq!(rule.word(), word);
        for (values, expected) in [(kept, false), (refused, true)] {
            for value in values {
                assert_eq!(rule.refuses(value), expected, "{word} {argument}: `{value}`");
            }
        }
    }

    #[test]
    fn texts_have_a_length() {
        check("MIN_LENGTH", "3", &["", "  ", "abc", "abcd", "äöü", "a b", " a "], &["a", "ab", "ä", "é1"]);
        check("MAX_LENGTH", "3", &["", "abc", "a", "äöü", " abc ", "a b"], &["abcd", "a  b", "äöüß"]);
        // An emoji is one scalar value and two UTF-16 units; HubSpot may count either.
        check("MIN_LENGTH", "2", &["🎉", "🎉🎉"], &["e"]);
        check("MAX_LENGTH", "2", &["🎉", "🎉🎉", "a🎉"], &["🎉🎉🎉", "ab🎉"]);
        // A combining mark is a scalar value of its own.
        check("MAX_LENGTH", "1", &["é"], &["e\u{301}"]);
        check("MIN_LENGTH", "0", &["", "a"], &[]);
        check("MAX_LENGTH", " 2 ", &["ab"], &["abc"]);
    }

    #[test]
    fn numbers_have_bounds() {
        check("MIN_NUMBER", "1", &["", "1", "1.0", "2", "1E3", "0.1E1"], &["0", "0.9999999999999999999", "-1", "-1E3"]);
        check("MAX_NUMBER", "99.99", &["99.99", "99.990", "-1000", "0"], &["99.991", "100", "1E2"]);
        check("MIN_NUMBER", "-10.5", &["-10.5", "0"], &["-10.51", "-11"]);
        check("MAX_NUMBER", "9007199254740992", &["9007199254740992"], &["9007199254740993"]);
        // What is no number is refused for that, not for this.
        check("MAX_NUMBER", "1", &["many", "1,5", "NaN"], &[]);
    }

    #[test]
    fn numbers_have_digits_after_the_point() {
        check("DECIMAL", "2", &["", "1", "1.5", "1.25", "1.2500", "1E10", "125E-2"], &["1.125", "0.001", "1E-3"]);
        check("DECIMAL", "0", &["1", "1.0", "-7"], &["1.5", "-0.1"]);
        check("DECIMAL", "20", &["0.00000000000000000001"], &["0.000000000000000000001"]);
    }

    #[test]
    fn what_is_no_letter_and_no_digit_is_left_to_hubspot() {
        check("ALPHANUMERIC", "NUMERIC_ONLY", &["", "070078", "12.5", "12-34", "1 2", "٣"], &["070078ABC", "x", "12é"]);
        check("ALPHANUMERIC", "ALPHA_ONLY", &["", "abc", "a-b c", "Ünal", "名"], &["abc1", "1"]);
    }

    #[test]
    fn rules_of_no_certain_meaning_are_none() {
        let (text, number) = (PropertyKind::String, PropertyKind::Number);
        for (kind, word, arguments) in [
            (&text, "ALPHANUMERIC", &["ALPHANUMERIC"][..]),
            (&text, "ALPHANUMERIC", &["SOMETHING_NEW"]),
            (&text, "REGEX", &["^[A-Z]+$", "Must be uppercase"]),
            (&text, "FORMAT", &["UPPER"]),
            (&text, "SPECIAL_CHARACTERS", &["NOT_ALLOWED"]),
            (&text, "WHITESPACE", &[]),
            (&text, "EMAIL", &[]),
            (&text, "MAX_LENGTH", &[]),
            (&text, "MAX_LENGTH", &["3", "4"]),
            (&text, "MAX_LENGTH", &["-1"]),
            (&text, "MAX_LENGTH", &["many"]),
            (&text, "max_length", &["3"]),
            (&text, "MAX_NUMBER", &["3"]),
            (&number, "MAX_LENGTH", &["3"]),
            (&number, "MAX_NUMBER", &["1E999"]),
            (&number, "MIN_NUMBER", &["NaN"]),
            (&number, "DECIMAL", &["2.5"]),
            (&PropertyKind::Date, "START_DATE", &["1640995200000"]),
            (&PropertyKind::Enumeration, "MAX_LENGTH", &["3"]),
        ] {
            assert_eq!(rule(kind, word, arguments), None, "{word} {arguments:?}");
        }
    }

    #[track_caller]
    fn check_demand(word: &str, argument: &str, kind: &PropertyKind, expected: &str) {
        assert_eq!(rule(kind, word, &[argument]).unwrap().demand(), expected);
    }

    #[test]
    fn people_are_told_the_limit() {
        let (text, number) = (PropertyKind::String, PropertyKind::Number);
        check_demand("MIN_LENGTH", "1", &text, "at least 1 character");
        check_demand("MAX_LENGTH", "50", &text, "at most 50 characters");
        check_demand("MIN_NUMBER", "-10.50", &number, "-10.5 or more");
        check_demand("MAX_NUMBER", "1E3", &number, "1000 or less");
        check_demand("DECIMAL", "2", &number, "at most 2 digits after the point");
        check_demand("ALPHANUMERIC", "NUMERIC_ONLY", &text, "digits only");
        check_demand("ALPHANUMERIC", "ALPHA_ONLY", &text, "letters only");
    }

    fn ruled(fields: serde_json::Value, property: &str, word: &str, limit: &str) -> Fixture {
        let mut fixture = Fixture::new(fields);
        let rule = PropertyRule { kind: word.to_owned(), arguments: vec![limit.to_owned()] };
        fixture.target.properties.get_mut(property).unwrap().rules.push(rule);
        fixture
    }

    #[test]
    fn what_is_set_on_creation_only_is_judged_on_creation_only() {
        let field = json!([{"from": "Secret__c", "to": "more", "on_create_only": true}]);
        let fixture = ruled(field.clone(), "more", "MAX_LENGTH", "5");
        let desired = fixture.transform(&[("Secret__c", "hunter2")]).unwrap();
        assert_eq!(fixture.pipeline().check_create(&desired).unwrap_err().code, "SL5012");
        let desired = fixture.transform(&[("Secret__c", "short")]).unwrap();
        assert_eq!(fixture.pipeline().check_create(&desired), Ok(()));
        // The match property holds the Salesforce id.
        let reason = ruled(field, "salesforce_id", "MAX_LENGTH", "15").transform(&[]).unwrap_err();
        assert_eq!((&*reason.code, reason.property.as_deref()), ("SL5012", Some("salesforce_id")));
    }

    #[test]
    fn a_complaint_names_property_rule_and_limit_and_no_sensitive_value() {
        let message = |sensitive: bool| {
            let field = json!([{"from": "Secret__c", "to": "text", "sensitive": sensitive}]);
            ruled(field, "text", "MAX_LENGTH", "5").transform(&[("Secret__c", "hunter2")]).unwrap_err().message
        };
        let advice = "correct it in Salesforce, or change the rule in HubSpot";
        let broken = "`text` breaks the portal's rule `MAX_LENGTH`, which asks for at most 5 characters";
        assert_eq!(message(false), format!("{broken} (`hunter2`): {advice}"));
        assert_eq!(message(true), format!("{broken}: {advice}"));
    }
}
