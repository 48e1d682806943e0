//! Runs a query: finds rows by index where it can, tests and sorts them.

use std::cmp::Ordering;
use std::str::FromStr;

use bigdecimal::BigDecimal;
use jiff::Timestamp;
use jiff::civil::Date;

use super::days::days;
use super::path::{Found, find, text};
use super::{Condition, Literal, Operator, Order, Query, Wrong};
use crate::sandbox::salesforce::answers::parse_time;
use crate::sandbox::salesforce::org::{Object, Org, widen};
use crate::sandbox::salesforce::rows::Row;

/// A value in a row, by its type.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Blank.
    Null,
    /// Text; compared without letter case.
    Text(String),
    /// Id; compared exactly.
    Id(String),
    /// Number.
    Number(BigDecimal),
    /// Boolean.
    Bool(bool),
    /// Day.
    Date(Date),
    /// Moment, in milliseconds.
    Moment(i64),
}

/// A value by its type. System moments are milliseconds already.
fn cell(found: &Found<'_>, text: Option<String>) -> Cell {
    let Some(text) = text else {
        // A checkbox over a missing parent reads as false.
        return if found.field["type"] == "boolean" { Cell::Bool(false) } else { Cell::Null };
    };
    match found.field["type"].as_str().unwrap_or_default() {
        "id" | "reference" => Cell::Id(text),
        "boolean" => Cell::Bool(text == "true"),
        "int" | "long" | "double" | "currency" | "percent" => {
            // Exactly: currencies have up to 18 digits, more than a double holds.
            BigDecimal::from_str(&text).map_or(Cell::Null, Cell::Number)
        }
        "date" => text.parse().map_or(Cell::Null, Cell::Date),
        "datetime" => text.parse().ok().or_else(|| parse_time(&text)).map_or(Cell::Null, Cell::Moment),
        _ => Cell::Text(text),
    }
}

/// Ids of the rows that a query returns, in its order.
pub fn run(org: &Org, object: &Object, query: &Query, deleted_too: bool, now: i64) -> Result<Vec<String>, Wrong> {
    // Checked as a whole first: a wrong field is an error even where no row is tested.
    if let Some(condition) = &query.condition {
        check(org, object, condition)?;
    }
    let keys: Vec<(Found<'_>, &Order)> = query
        .order
        .iter()
        .map(|order| {
            let found = find(org, object, &order.path)?;
            if found.field["sortable"] == false {
                let message = format!("field '{}' can not be sorted in a query call", order.path);
                return Err(Wrong { code: "INVALID_FIELD", message, at: Some(order.path.clone()) });
            }
            Ok((found, order))
        })
        .collect::<Result<_, _>>()?;
    let mut rows: Vec<(&String, &Row)> = candidates(object, query.condition.as_ref())
        .filter_map(|(id, row)| Some((id, object.seen(id, row, now)?)))
        .filter(|(_, row)| deleted_too || row.deleted.is_none())
        .filter(|(id, row)| {
            query.condition.as_ref().is_none_or(|condition| holds(org, object, condition, id, row, now))
        })
        .collect();
    if !keys.is_empty() {
        let mut sorted: Vec<(Vec<Cell>, &String)> = rows
            .iter()
            .map(|(id, row)| (keys.iter().map(|(found, _)| cell(found, text(found, object, id, row))).collect(), *id))
            .collect();
        sorted.sort_by(|one, other| {
            let order =
                keys.iter().enumerate().map(|(place, (_, order))| by_key(&one.0[place], &other.0[place], order));
            order.fold(Ordering::Equal, Ordering::then)
        });
        return Ok(cut(sorted.into_iter().map(|(_, id)| id.clone()), query));
    }
    // Without ORDER BY no order is promised; one by id keeps runs of the sandbox equal.
    rows.sort_by(|one, other| one.0.cmp(other.0));
    Ok(cut(rows.into_iter().map(|(id, _)| id.clone()), query))
}

fn cut(ids: impl Iterator<Item = String>, query: &Query) -> Vec<String> {
    ids.skip(query.offset).take(query.limit.unwrap_or(usize::MAX)).collect()
}

/// Rows that may match: by stamp or by id where the condition says so, else all.
fn candidates<'a>(
    object: &'a Object,
    condition: Option<&Condition>,
) -> Box<dyn Iterator<Item = (&'a String, &'a Row)> + 'a> {
    let mut tests: Vec<&Condition> = Vec::new();
    flatten(condition, &mut tests);
    let mut after = None;
    let mut span = (i64::MIN, i64::MAX);
    for test in tests {
        let Condition::Test { path, operator, values } = test else { continue };
        if path.eq_ignore_ascii_case("Id") {
            match (operator, values.first()) {
                (Operator::In | Operator::Eq, _) => {
                    let ids: Vec<String> = values
                        .iter()
                        .filter_map(|value| match value {
                            Literal::Text(text) => widen(text),
                            _ => None,
                        })
                        .collect();
                    let rows = &object.rows;
                    let found = ids.into_iter().filter_map(move |id| rows.all().get_key_value(&id));
                    // An id that is listed twice finds its row once.
                    let unique: std::collections::BTreeMap<&String, &Row> = found.collect();
                    return Box::new(unique.into_iter());
                }
                (Operator::Gt, Some(Literal::Text(text))) => after = widen(text),
                _ => {}
            }
        }
        if let (Operator::Eq | Operator::In, Some(ids)) = (operator, by_value(object, path, values)) {
            return Box::new(ids.into_iter().filter_map(|id| object.rows.all().get_key_value(&id)));
        }
        let stamp = path.eq_ignore_ascii_case("SystemModstamp");
        if let (true, Some(Literal::Moment(at))) = (stamp, values.first()) {
            match operator {
                Operator::Ge => span.0 = span.0.max(*at),
                Operator::Gt => span.0 = span.0.max(at + 1),
                Operator::Lt => span.1 = span.1.min(at - 1),
                Operator::Le => span.1 = span.1.min(*at),
                Operator::Eq => span = (*at, *at),
                _ => {}
            }
        }
    }
    if span != (i64::MIN, i64::MAX) {
        return Box::new(object.rows.stamped(span.0, span.1));
    }
    Box::new(object.rows.after(&after.unwrap_or_default()))
}

/// Rows that hold one of the values in an indexed field, by ascending id; none where the field has no index.
fn by_value(object: &Object, path: &str, values: &[Literal]) -> Option<std::collections::BTreeSet<String>> {
    let (place, field) = object.field(path)?;
    let indexed =
        field["type"] == "reference" || ["externalId", "unique", "idLookup"].iter().any(|flag| field[flag] == true);
    let mut found = std::collections::BTreeSet::new();
    for value in values {
        // The index holds values only, and cannot answer a test for null.
        let Literal::Text(text) = value else { return None };
        let text = if field["type"] == "reference" { widen(text)? } else { text.clone() };
        // A blank text means no value.
        found.extend(object.rows.having(place.filter(|_| indexed && !text.is_empty())?, &text));
    }
    Some(found)
}

fn flatten<'a>(condition: Option<&'a Condition>, tests: &mut Vec<&'a Condition>) {
    match condition {
        // Only what stands under AND narrows the search: below OR and NOT, other rows match as well.
        Some(Condition::And(parts)) => parts.iter().for_each(|part| flatten(Some(part), tests)),
        Some(test @ Condition::Test { .. }) => tests.push(test),
        _ => {}
    }
}

/// Fields exist and may be filtered; values fit their types.
fn check(org: &Org, object: &Object, condition: &Condition) -> Result<(), Wrong> {
    match condition {
        Condition::And(parts) | Condition::Or(parts) => parts.iter().try_for_each(|part| check(org, object, part)),
        Condition::Not(inner) => check(org, object, inner),
        Condition::Test { path, operator, values } => {
            let found = find(org, object, path)?;
            if found.field["filterable"] == false {
                let message = format!("field '{path}' can not be filtered in a query call");
                return Err(Wrong { code: "INVALID_FIELD", message, at: Some(path.clone()) });
            }
            let kind = found.field["type"].as_str().unwrap_or_default();
            let multiple = kind == "multipicklist";
            let asks_multiple = matches!(operator, Operator::Includes | Operator::Excludes);
            let wrong =
                |message: String| Err(Wrong { code: "INVALID_QUERY_FILTER_OPERATOR", message, at: Some(path.clone()) });
            // A multipicklist takes `=` and `!=` beside INCLUDES and EXCLUDES, which no other type takes.
            if asks_multiple != multiple && (asks_multiple || !matches!(operator, Operator::Eq | Operator::Ne)) {
                return wrong("invalid operator on multipicklist field".to_owned());
            }
            for value in values {
                if !fits(kind, value) {
                    return Err(Wrong {
                        code: "INVALID_FIELD",
                        message: format!(
                            "filter criteria must be of type {kind} and should not be enclosed in quotes: {path}"
                        ),
                        at: Some(path.clone()),
                    });
                }
                let broken = |text: &String| widen(text).is_none_or(|wide| text.len() == 18 && wide != *text);
                match value {
                    Literal::Text(text) if matches!(kind, "id" | "reference") && broken(text) => {
                        return wrong(format!("invalid ID field: {text}"));
                    }
                    _ => {}
                }
            }
            Ok(())
        }
    }
}

fn fits(kind: &str, value: &Literal) -> bool {
    match (kind, value) {
        (_, Literal::Null) => true,
        ("boolean", value) => matches!(value, Literal::Bool(_)),
        ("int" | "long" | "double" | "currency" | "percent", value) => matches!(value, Literal::Number(_)),
        ("date", value) => matches!(value, Literal::Date(_) | Literal::Days(..)),
        ("datetime", value) => matches!(value, Literal::Moment(_) | Literal::Days(..)),
        (_, value) => matches!(value, Literal::Text(_)),
    }
}

fn holds(org: &Org, object: &Object, condition: &Condition, id: &str, row: &Row, now: i64) -> bool {
    match condition {
        Condition::And(parts) => parts.iter().all(|part| holds(org, object, part, id, row, now)),
        Condition::Or(parts) => parts.iter().any(|part| holds(org, object, part, id, row, now)),
        Condition::Not(inner) => !holds(org, object, inner, id, row, now),
        Condition::Test { path, operator, values } => {
            let Ok(found) = find(org, object, path) else { return false };
            let held = cell(&found, text(&found, object, id, row));
            test(&held, *operator, values, now)
        }
    }
}

fn test(held: &Cell, operator: Operator, values: &[Literal], now: i64) -> bool {
    let first = values.first().unwrap_or(&Literal::Null);
    match operator {
        Operator::Eq => equal(held, first, now),
        // Rows without a value are among them, as is common belief.
        Operator::Ne => !equal(held, first, now),
        Operator::In => values.iter().any(|value| equal(held, value, now)),
        Operator::NotIn => !values.iter().any(|value| equal(held, value, now)),
        Operator::Like => matches!((held, first), (Cell::Text(text), Literal::Text(pattern)) if like(text, pattern)),
        Operator::Includes => values.iter().any(|value| includes(held, value)),
        Operator::Excludes => !values.iter().any(|value| includes(held, value)),
        Operator::Lt => compare(held, first, now).is_some_and(|(low, _)| low.is_lt()),
        Operator::Ge => compare(held, first, now).is_some_and(|(low, _)| low.is_ge()),
        Operator::Gt => compare(held, first, now).is_some_and(|(_, high)| high.is_gt()),
        Operator::Le => compare(held, first, now).is_some_and(|(_, high)| high.is_le()),
    }
}

fn equal(held: &Cell, value: &Literal, now: i64) -> bool {
    match (held, value) {
        (Cell::Null, Literal::Null) => true,
        // A test for null on a checkbox counts as one for false.
        (Cell::Bool(held), Literal::Null) => !held,
        // Salesforce stores no empty text, so that `''` asks for a blank.
        (Cell::Null, Literal::Text(text)) => text.is_empty(),
        (Cell::Id(held), Literal::Text(text)) => widen(text).as_ref() == Some(held),
        _ => compare(held, value, now).is_some_and(|(low, high)| low.is_ge() && high.is_le()),
    }
}

/// Order against the first and the last moment of a value, which differ for words of days only.
fn compare(held: &Cell, value: &Literal, now: i64) -> Option<(Ordering, Ordering)> {
    let same = |order| Some((order, order));
    match (held, value) {
        (Cell::Text(held), Literal::Text(text)) => same(held.to_lowercase().cmp(&text.to_lowercase())),
        (Cell::Id(held), Literal::Text(text)) => same(held.as_str().cmp(widen(text).as_deref().unwrap_or(text))),
        (Cell::Number(held), Literal::Number(text)) => same(held.cmp(&BigDecimal::from_str(text).ok()?)),
        (Cell::Bool(held), Literal::Bool(value)) => same(held.cmp(value)),
        (Cell::Date(held), Literal::Date(text)) => same(held.cmp(&text.parse().ok()?)),
        (Cell::Moment(held), Literal::Moment(at)) => same(held.cmp(at)),
        (Cell::Date(held), Literal::Days(word, count)) => {
            let (first, last) = days(word, *count, now)?;
            Some((held.cmp(&first), held.cmp(&last)))
        }
        (Cell::Moment(held), Literal::Days(word, count)) => {
            let (first, last) = days(word, *count, now)?;
            let held = Timestamp::from_millisecond(*held).ok()?.to_zoned_datetime(jiff::tz::TimeZone::UTC).date();
            Some((held.cmp(&first), held.cmp(&last)))
        }
        _ => None,
    }
}

/// `A;B` asks for both.
fn includes(held: &Cell, value: &Literal) -> bool {
    let (Cell::Text(held), Literal::Text(asked)) = (held, value) else { return false };
    asked.split(';').all(|one| held.split(';').any(|known| known.eq_ignore_ascii_case(one)))
}

/// `%` any text, `_` any letter, `\%` and `\_` themselves; without letter case.
fn like(text: &str, pattern: &str) -> bool {
    fn matches(text: &[char], pattern: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['%', rest @ ..] => (0..=text.len()).any(|skip| matches(&text[skip..], rest)),
            ['\\', escaped @ ('%' | '_'), rest @ ..] => text.first() == Some(escaped) && matches(&text[1..], rest),
            ['_', rest @ ..] => !text.is_empty() && matches(&text[1..], rest),
            [letter, rest @ ..] => text.first() == Some(letter) && matches(&text[1..], rest),
        }
    }
    let letters = |text: &str| text.to_lowercase().chars().collect::<Vec<char>>();
    matches(&letters(text), &letters(pattern))
}

fn by_key(one: &Cell, other: &Cell, order: &Order) -> Ordering {
    let nulls = match (one == &Cell::Null, other == &Cell::Null) {
        (true, true) => return Ordering::Equal,
        (true, false) => Some(Ordering::Less),
        (false, true) => Some(Ordering::Greater),
        (false, false) => None,
    };
    if let Some(nulls) = nulls {
        return if order.nulls_last { nulls.reverse() } else { nulls };
    }
    let compared = match (one, other) {
        (Cell::Text(one), Cell::Text(other)) => one.to_lowercase().cmp(&other.to_lowercase()),
        (Cell::Id(one), Cell::Id(other)) => one.cmp(other),
        (Cell::Number(one), Cell::Number(other)) => one.cmp(other),
        (Cell::Bool(one), Cell::Bool(other)) => one.cmp(other),
        (Cell::Date(one), Cell::Date(other)) => one.cmp(other),
        (Cell::Moment(one), Cell::Moment(other)) => one.cmp(other),
        _ => Ordering::Equal,
    };
    if order.descending { compared.reverse() } else { compared }
}
