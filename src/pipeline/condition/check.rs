//! A condition against the described object: fields exist, may be filtered, and are compared with what fits their type.

use super::{Condition, ListOperator, Literal, LiteralValue, Operator, Path, SyntaxError};
use crate::model::ids::SalesforceId;
use crate::model::object::{FieldKind, SourceField};
use crate::pipeline::field::{Lookup, Objects};

/// All findings in a condition.
pub fn check(condition: &Condition, objects: &Objects<'_>) -> Vec<SyntaxError> {
    let mut findings = Vec::new();
    walk(condition, objects, &mut findings);
    findings
}

fn walk(condition: &Condition, objects: &Objects<'_>, findings: &mut Vec<SyntaxError>) {
    match condition {
        Condition::And(parts) | Condition::Or(parts) => parts.iter().for_each(|part| walk(part, objects, findings)),
        Condition::Not(inner) => walk(inner, objects, findings),
        Condition::Compare { path, operator, literal } => {
            if let Some(field) = field(path, objects, findings) {
                findings.extend(fits(field, literal));
                let equality = matches!(operator, Operator::Equal | Operator::NotEqual);
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
    matches!(kind, F::String | F::TextArea | F::Picklist | F::Combobox | F::Email | F::Phone | F::Url)
}

/// Whether the literal can be compared with the field; a finding when it cannot.
fn fits(field: &SourceField, literal: &Literal) -> Option<SyntaxError> {
    use FieldKind as F;
    use LiteralValue as L;
    let fits = match (&field.kind, &literal.value) {
        (_, L::Null) => true,
        (F::Boolean, value) => matches!(value, L::Bool(_)),
        (F::Int | F::Long | F::Double | F::Currency | F::Percent, value) => matches!(value, L::Number(_)),
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
