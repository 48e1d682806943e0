//! Whether a new `where` lets fewer or more records in than the old one, as far as its words tell.

use crate::pipeline::condition::parser::parse;
use crate::pipeline::condition::tree::{Condition, ListOperator, Literal, LiteralValue, Operator};

/// How a condition changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConditionChange {
    /// The same records, in other words.
    Same,
    /// Some records drop out, none comes in.
    Narrowed,
    /// Some records come in, none drops out.
    Widened,
    /// Both may be.
    Moved,
}

/// Compares two conditions; none lets all records in.
pub(super) fn compare_conditions(before: Option<&str>, after: Option<&str>) -> ConditionChange {
    let (before, after) = match (before, after) {
        (None, None) => return ConditionChange::Same,
        (None, Some(_)) => return ConditionChange::Narrowed,
        (Some(_), None) => return ConditionChange::Widened,
        (Some(before), Some(after)) => (parse(before), parse(after)),
    };
    // What cannot be parsed is taken for the most dangerous change, since records may leave.
    let (Ok(before), Ok(after)) = (before, after) else { return ConditionChange::Moved };
    match (implies(&after, &before), implies(&before, &after)) {
        (true, true) => ConditionChange::Same,
        (true, false) => ConditionChange::Narrowed,
        (false, true) => ConditionChange::Widened,
        (false, false) => ConditionChange::Moved,
    }
}

/// Whether every record that fits `one` surely fits `other`. A no may be wrong, a yes never is.
fn implies(one: &Condition, other: &Condition) -> bool {
    // By the canonical text, in which spaces and brackets of the file no longer differ.
    if one.to_string().eq_ignore_ascii_case(&other.to_string()) && one.to_string() == other.to_string() {
        return true;
    }
    // `other` is split before `one`: all its parts must follow, whereas of an AND in `one` a single part is enough.
    if let Condition::And(parts) = other {
        return parts.iter().all(|part| implies(one, part));
    }
    if let Condition::Or(parts) = one {
        return parts.iter().all(|part| implies(part, other));
    }
    // Sound but not complete: two parts that only together imply `other` are not found, and count as a move.
    if let Condition::And(parts) = one
        && parts.iter().any(|part| implies(part, other))
    {
        return true;
    }
    if let Condition::Or(parts) = other
        && parts.iter().any(|part| implies(one, part))
    {
        return true;
    }
    comparison_implies(one, other)
}

/// The same for two comparisons of one field.
fn comparison_implies(one: &Condition, other: &Condition) -> bool {
    let (Some(one), Some(other)) = (Range::of(one), Range::of(other)) else { return false };
    if !one.path.eq_ignore_ascii_case(other.path) {
        return false;
    }
    match (&one.kind, &other.kind) {
        // The texts are compared exactly. Salesforce ignores letter case here, so a spelling counts as a change: the
        // safe side.
        (Kind::Among(few), Kind::Among(many)) => few.iter().all(|value| many.contains(value)),
        (Kind::NotAmong(many), Kind::NotAmong(few)) => few.iter().all(|value| many.contains(value)),
        (Kind::Among(few), Kind::NotAmong(others)) => few.iter().all(|value| !others.contains(value)),
        (Kind::Bound(operator, value), Kind::Bound(wider, limit)) => {
            // Exact decimals: as floats, two limits that differ in the last of 18 digits would be the same.
            let (Ok(value), Ok(limit)) =
                (value.parse::<bigdecimal::BigDecimal>(), limit.parse::<bigdecimal::BigDecimal>())
            else {
                return false;
            };
            match (operator, wider) {
                (Operator::Greater, Operator::Greater | Operator::GreaterOrEqual)
                | (Operator::GreaterOrEqual, Operator::GreaterOrEqual) => value >= limit,
                (Operator::GreaterOrEqual, Operator::Greater) => value > limit,
                (Operator::Less, Operator::Less | Operator::LessOrEqual)
                | (Operator::LessOrEqual, Operator::LessOrEqual) => value <= limit,
                (Operator::LessOrEqual, Operator::Less) => value < limit,
                // Bounds that point in opposite directions overlap or exclude each other; neither contains the other.
                _ => false,
            }
        }
        _ => false,
    }
}

struct Range<'a> {
    path: &'a str,
    kind: Kind,
}

enum Kind {
    Among(Vec<String>),
    NotAmong(Vec<String>),
    Bound(Operator, String),
}

impl<'a> Range<'a> {
    /// None where the values that a condition lets through cannot be told from its text.
    fn of(condition: &'a Condition) -> Option<Self> {
        match condition {
            Condition::Compare { path, operator, literal } => {
                let value = literal.value.to_string();
                let kind = match (operator, &literal.value) {
                    // A word such as TODAY is another value tomorrow, and a blank is no value.
                    (Operator::Equal | Operator::NotEqual, LiteralValue::DateWord(_) | LiteralValue::Null) => {
                        return None;
                    }
                    (Operator::Equal, _) => Kind::Among(vec![value]),
                    (Operator::NotEqual, _) => Kind::NotAmong(vec![value]),
                    // Whether one pattern contains another is not decided by comparing texts.
                    (Operator::Like, _) => return None,
                    (operator, LiteralValue::Number(number)) => Kind::Bound(*operator, number.clone()),
                    _ => return None,
                };
                Some(Self { path: &path.text, kind })
            }
            Condition::In { path, operator, literals } => {
                let values: Vec<String> = literals.iter().map(|Literal { value, .. }| value.to_string()).collect();
                let kind = match operator {
                    ListOperator::In => Kind::Among(values),
                    ListOperator::NotIn => Kind::NotAmong(values),
                    // A multi-select holds several values at once, so the lists of two conditions do not compare like
                    // sets of records.
                    ListOperator::Includes | ListOperator::Excludes => return None,
                };
                Some(Self { path: &path.text, kind })
            }
            Condition::And(_) | Condition::Or(_) | Condition::Not(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: &str, after: &str, expected: ConditionChange) {
        let given = |text: &'static str| (!text.is_empty()).then_some(text);
        let (before, after): (&'static str, &'static str) =
            (Box::leak(before.to_owned().into()), Box::leak(after.to_owned().into()));
        assert_eq!(compare_conditions(given(before), given(after)), expected, "{before} -> {after}");
        let back = match expected {
            ConditionChange::Narrowed => ConditionChange::Widened,
            ConditionChange::Widened => ConditionChange::Narrowed,
            other => other,
        };
        assert_eq!(compare_conditions(given(after), given(before)), back, "{after} -> {before}");
    }

    #[test]
    fn conditions_shift() {
        check("", "", ConditionChange::Same);
        check("", "a = 1", ConditionChange::Narrowed);
        check("a = 1", "a  =  1", ConditionChange::Same);
        check("a = 1 AND b = 2", "b = 2 AND a = 1", ConditionChange::Same);
        check("a = 1", "a = 1 AND b = 2", ConditionChange::Narrowed);
        check("a = 1", "a = 1 OR b = 2", ConditionChange::Widened);
        check("a = 1 OR b = 2", "(a = 1 OR b = 2) AND c = 3", ConditionChange::Narrowed);
        check("Status__c != 'Draft'", "Status__c NOT IN ('Draft', 'Old')", ConditionChange::Narrowed);
        check("Status__c != 'Draft'", "Status__c = 'Active'", ConditionChange::Narrowed);
        check("Status__c = 'A'", "Status__c IN ('A', 'B')", ConditionChange::Widened);
        check("Status__c = 'A'", "Status__c = 'a'", ConditionChange::Moved);
        check("n > 5", "n >= 5", ConditionChange::Widened);
        check("n > 5", "n > 10", ConditionChange::Narrowed);
        check("n < 10", "n <= 9.5", ConditionChange::Narrowed);
        check("n > 5", "n < 5", ConditionChange::Moved);
        check("a = 1", "b = 1", ConditionChange::Moved);
        check("NOT (a = 1)", "NOT (a = 1) AND b = 2", ConditionChange::Narrowed);
        check("d = TODAY", "d = TODAY", ConditionChange::Same);
        check("a = 1 AND", "a = 1", ConditionChange::Moved);
    }
}
