//! A condition against the described object: fields exist, may be filtered, and are compared with what fits their type.

use std::collections::HashSet;

use super::error::SyntaxError;
use super::tree::{Condition, ListOperator, Literal, LiteralValue, Operator, Path};
use crate::diagnostic::nearest::nearest;
use crate::model::ids::SalesforceId;
use crate::model::object::{FieldKind, SourceField};
use crate::pipeline::field::{Lookup, Objects};

/// All findings in a condition.
pub fn check(condition: &Condition, objects: &Objects<'_>) -> Vec<SyntaxError> {
    let mut findings = Vec::new();
    walk(condition, objects, &mut findings);
    findings
}

/// Looks at every comparison, so that one validation shows all that is wrong instead of the first.
fn walk(condition: &Condition, objects: &Objects<'_>, findings: &mut Vec<SyntaxError>) {
    match condition {
        Condition::And(parts) | Condition::Or(parts) => parts.iter().for_each(|part| walk(part, objects, findings)),
        Condition::Not(inner) => walk(inner, objects, findings),
        Condition::Compare { path, operator, literal } => {
            if let Some(field) = field(path, objects, findings) {
                findings.extend(fits(field, literal));
                let equality = matches!(operator, Operator::Equal | Operator::NotEqual);
                // Salesforce refuses the whole query for one such comparison, so it is found before a run.
                if !equality && matches!(field.kind, FieldKind::Boolean) {
                    findings.push(finding(path, "a checkbox has no order", "checkbox", Some("use = or !=".to_owned())));
                }
                if *operator == Operator::Like && !is_text(&field.kind) {
                    findings.push(finding(path, "LIKE compares texts only", "not a text field", None));
                }
                if field.kind == FieldKind::MultiPicklist && !equality {
                    let help = Some("use INCLUDES or EXCLUDES".to_owned());
                    findings.push(finding(
                        path,
                        "a multi-select field cannot be compared like this",
                        "multi-select",
                        help,
                    ));
                }
            }
        }
        Condition::In { path, operator, literals } => {
            if let Some(field) = field(path, objects, findings) {
                findings.extend(literals.iter().filter_map(|literal| fits(field, literal)));
                let multiple = field.kind == FieldKind::MultiPicklist;
                // Each kind of list works on its own kind of field only (SOQL reference, comparison operators).
                let asks_multiple = matches!(operator, ListOperator::Includes | ListOperator::Excludes);
                if multiple != asks_multiple {
                    let (message, help) = if asks_multiple {
                        ("INCLUDES and EXCLUDES are for multi-select fields", "use IN or NOT IN")
                    } else {
                        ("IN and NOT IN do not work on multi-select fields", "use INCLUDES or EXCLUDES")
                    };
                    findings.push(finding(path, message, "wrong operator", Some(help.to_owned())));
                }
            }
        }
    }
}

/// Texts that a picklist is compared with and does not have. Salesforce compares them without regard to letter case.
pub fn unknown_values(condition: &Condition, objects: &Objects<'_>) -> Vec<SyntaxError> {
    match condition {
        Condition::And(parts) | Condition::Or(parts) => {
            parts.iter().flat_map(|part| unknown_values(part, objects)).collect()
        }
        Condition::Not(inner) => unknown_values(inner, objects),
        Condition::Compare { path, operator: Operator::Equal | Operator::NotEqual, literal } => {
            unknown(path, std::slice::from_ref(literal), objects)
        }
        Condition::Compare { .. } => Vec::new(),
        Condition::In { path, literals, .. } => unknown(path, literals, objects),
    }
}

/// A describe without values says nothing, so that nothing is missing from it; an empty text asks for a blank.
fn unknown(path: &Path, literals: &[Literal], objects: &Objects<'_>) -> Vec<SyntaxError> {
    let Lookup::Found(field) = objects.find(&path.text) else { return Vec::new() };
    if !matches!(field.kind, FieldKind::Picklist | FieldKind::MultiPicklist) || field.picklist.is_empty() {
        return Vec::new();
    }
    // `INCLUDES ('A;B')` asks for records that hold both values, so each of them is looked up.
    let multiple = field.kind == FieldKind::MultiPicklist;
    // Inactive values count as known: records from before still hold them.
    let known: HashSet<String> = field.picklist.iter().map(|value| value.value.to_lowercase()).collect();
    let lacks = |text: &&str| !text.is_empty() && !known.contains(&text.to_lowercase());
    let missing = |literal: &Literal| {
        let LiteralValue::Text(text) = &literal.value else { return None };
        let text = match multiple {
            true => text.split(';').find(lacks)?,
            false => Some(text.as_str()).filter(lacks)?,
        };
        let active = field.picklist.iter().filter(|value| value.active).map(|value| value.value.as_str());
        let help = match nearest(text, active.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                // A picklist of countries would fill the screen.
                let names: Vec<String> = active.clone().take(12).map(|value| format!("`{value}`")).collect();
                let more = active.count().saturating_sub(names.len());
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                format!("values of it are {}{more}", names.join(", "))
            }
        };
        Some(SyntaxError {
            message: format!("`{text}` is not a value of the picklist `{}`", path.text),
            label: "no such value".to_owned(),
            span: literal.span.clone(),
            help: Some(help),
        })
    };
    literals.iter().filter_map(missing).collect()
}

/// The field of a path, if it can be compared. A parent that is not described yet is no finding: an offline check knows less
/// than Salesforce.
fn field<'a>(path: &Path, objects: &Objects<'a>, findings: &mut Vec<SyntaxError>) -> Option<&'a SourceField> {
    match objects.find(&path.text) {
        Lookup::Found(field) if !field.filterable => {
            let help = Some("filter by another field, for example a formula or a checkbox".to_owned());
            findings.push(finding(path, "Salesforce cannot filter by this field", "not filterable", help));
            None
        }
        Lookup::Found(field) if matches!(field.kind, FieldKind::Address | FieldKind::Location) => {
            let help = Some("filter by one of its parts".to_owned());
            findings.push(finding(path, "a compound field cannot be compared", "compound", help));
            None
        }
        Lookup::Found(field) => Some(field),
        Lookup::Missing { message, help } => {
            findings.push(SyntaxError { message, label: "no such field".to_owned(), span: path.span.clone(), help });
            None
        }
        Lookup::NotDescribed(_) => None,
    }
}

fn is_text(kind: &FieldKind) -> bool {
    use FieldKind as F;
    // Long text areas are texts as well, and are not filterable, which is found before.
    matches!(kind, F::String | F::TextArea | F::Picklist | F::Combobox | F::Email | F::Phone | F::Url)
}

/// Whether the literal can be compared with the field; a finding when it cannot.
fn fits(field: &SourceField, literal: &Literal) -> Option<SyntaxError> {
    use FieldKind as F;
    use LiteralValue as L;
    let fits = match (&field.kind, &literal.value) {
        (_, L::Null) => true,
        (F::Boolean, value) => matches!(value, L::Bool(_)),
        // A number in quotes is refused by Salesforce, which does not convert literals.
        (F::Int | F::Long | F::Double | F::Currency | F::Percent, value) => matches!(value, L::Number(_)),
        // Days and moments are not exchangeable in SOQL: a date field refuses a moment, and the other way round.
        (F::Date, value) => matches!(value, L::Date(_) | L::DateWord(_)),
        (F::DateTime, value) => matches!(value, L::DateTime(_) | L::DateWord(_)),
        (F::Id | F::Reference, L::Text(text)) => text.parse::<SalesforceId>().is_ok(),
        // Values of types that Syncline does not know are Salesforce's to judge.
        (F::Time | F::Other(_), _) => true,
        (_, value) => matches!(value, L::Text(_)),
    };
    if fits {
        return None;
    }
    let expected = match field.kind {
        F::Boolean => "expected TRUE or FALSE, without quotes",
        F::Int | F::Long | F::Double | F::Currency | F::Percent => "expected a number, without quotes",
        F::Date => "expected a date such as 2026-10-01, without quotes",
        F::DateTime => "expected a moment such as 2026-10-01T09:00:00Z, without quotes",
        F::Id | F::Reference => "expected an id of 15 or 18 characters in single quotes",
        _ => "expected a text in single quotes",
    };
    Some(SyntaxError {
        message: format!("the value does not fit the field `{}`", field.name),
        label: expected.to_owned(),
        span: literal.span.clone(),
        help: None,
    })
}

fn finding(path: &Path, message: &str, label: &str, help: Option<String>) -> SyntaxError {
    SyntaxError { message: message.to_owned(), label: label.to_owned(), span: path.span.clone(), help }
}
