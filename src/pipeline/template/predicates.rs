//! The tests of `is`: each answers true or false, and false of a blank unless it asks for blanks.

use super::operators;
use super::signature::Arguments;
use super::syntax::Comparison;
use super::value::{Budget, Refusal, Value};
use crate::pipeline::values::decimal::Decimal;

type Answer = Result<bool, Refusal>;

pub(super) fn blank<'a>(_: &mut Budget, value: &Value<'a>, _: &Arguments<'a>) -> Answer {
    Ok(value.is_blank())
}

/// Every field is defined, blank or not; a name that is no field is an error of the definition.
pub(super) fn defined<'a>(_: &mut Budget, _: &Value<'a>, _: &Arguments<'a>) -> Answer {
    Ok(true)
}

pub(super) fn undefined<'a>(_: &mut Budget, _: &Value<'a>, _: &Arguments<'a>) -> Answer {
    Ok(false)
}

pub(super) fn boolean<'a>(_: &mut Budget, value: &Value<'a>, _: &Arguments<'a>) -> Answer {
    Ok(matches!(value, Value::Bool(_)))
}

pub(super) fn is_true<'a>(_: &mut Budget, value: &Value<'a>, _: &Arguments<'a>) -> Answer {
    Ok(matches!(value, Value::Bool(true)))
}

pub(super) fn is_false<'a>(_: &mut Budget, value: &Value<'a>, _: &Arguments<'a>) -> Answer {
    Ok(matches!(value, Value::Bool(false)))
}

pub(super) fn number<'a>(_: &mut Budget, value: &Value<'a>, _: &Arguments<'a>) -> Answer {
    Ok(matches!(value, Value::Number(_)))
}

pub(super) fn whole<'a>(_: &mut Budget, value: &Value<'a>, _: &Arguments<'a>) -> Answer {
    Ok(matches!(value, Value::Number(number) if number.value.is_whole()))
}

pub(super) fn fraction<'a>(_: &mut Budget, value: &Value<'a>, _: &Arguments<'a>) -> Answer {
    // Numbers are decimals here, so a float is one that has a fraction.
    Ok(matches!(value, Value::Number(number) if !number.value.is_whole()))
}

pub(super) fn string<'a>(_: &mut Budget, value: &Value<'a>, _: &Arguments<'a>) -> Answer {
    Ok(matches!(value, Value::Text(_)))
}

pub(super) fn sequence<'a>(_: &mut Budget, value: &Value<'a>, _: &Arguments<'a>) -> Answer {
    Ok(matches!(value, Value::List(_)))
}

pub(super) fn mapping<'a>(_: &mut Budget, value: &Value<'a>, _: &Arguments<'a>) -> Answer {
    Ok(matches!(value, Value::Map(_)))
}

pub(super) fn iterable<'a>(_: &mut Budget, value: &Value<'a>, _: &Arguments<'a>) -> Answer {
    Ok(matches!(value, Value::List(_) | Value::Map(_)))
}

pub(super) fn even<'a>(_: &mut Budget, value: &Value<'a>, _: &Arguments<'a>) -> Answer {
    Ok(rest(value, &Decimal::from(2))?.is_some_and(|rest| rest.is_zero()))
}

pub(super) fn odd<'a>(_: &mut Budget, value: &Value<'a>, _: &Arguments<'a>) -> Answer {
    // The remainder has the sign of the divisor, so that it is 1 for negative odd numbers too.
    Ok(rest(value, &Decimal::from(2))?.is_some_and(|rest| rest == Decimal::from(1)))
}

pub(super) fn divisible<'a>(_: &mut Budget, value: &Value<'a>, arguments: &Arguments<'a>) -> Answer {
    let Some(Value::Number(by)) = arguments.get(0) else { return Ok(false) };
    Ok(rest(value, &by.value)?.is_some_and(|rest| rest.is_zero()))
}

/// What is left of a division; none for what is no number.
fn rest(value: &Value<'_>, by: &Decimal) -> Result<Option<Decimal>, Refusal> {
    let Value::Number(number) = value else { return Ok(None) };
    number.value.remainder(by).map(Some).map_err(|_| Refusal::new("the test divides by zero"))
}

pub(super) fn starting<'a>(_: &mut Budget, value: &Value<'a>, arguments: &Arguments<'a>) -> Answer {
    Ok(text(value).zip(part(arguments)).is_some_and(|(text, part)| text.starts_with(part)))
}

pub(super) fn ending<'a>(_: &mut Budget, value: &Value<'a>, arguments: &Arguments<'a>) -> Answer {
    Ok(text(value).zip(part(arguments)).is_some_and(|(text, part)| text.ends_with(part)))
}

pub(super) fn containing<'a>(budget: &mut Budget, value: &Value<'a>, arguments: &Arguments<'a>) -> Answer {
    let Some((text, part)) = text(value).zip(part(arguments)) else { return Ok(false) };
    budget.spend_text(text.len())?;
    Ok(text.contains(part))
}

pub(super) fn lower<'a>(budget: &mut Budget, value: &Value<'a>, _: &Arguments<'a>) -> Answer {
    let Some(text) = text(value) else { return Ok(false) };
    budget.spend_text(text.len())?;
    Ok(text == text.to_lowercase())
}

pub(super) fn upper<'a>(budget: &mut Budget, value: &Value<'a>, _: &Arguments<'a>) -> Answer {
    let Some(text) = text(value) else { return Ok(false) };
    budget.spend_text(text.len())?;
    Ok(text == text.to_uppercase())
}

/// The text that is looked for; a blank is found nowhere.
fn part<'v>(arguments: &'v Arguments<'_>) -> Option<&'v str> {
    Some(arguments.text(0)).filter(|part| !part.is_empty())
}

fn text<'v>(value: &'v Value<'_>) -> Option<&'v str> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

pub(super) fn equal<'a>(budget: &mut Budget, value: &Value<'a>, arguments: &Arguments<'a>) -> Answer {
    compare(budget, Comparison::Equal, value, arguments)
}

pub(super) fn unequal<'a>(budget: &mut Budget, value: &Value<'a>, arguments: &Arguments<'a>) -> Answer {
    compare(budget, Comparison::Unequal, value, arguments)
}

pub(super) fn less<'a>(budget: &mut Budget, value: &Value<'a>, arguments: &Arguments<'a>) -> Answer {
    compare(budget, Comparison::Less, value, arguments)
}

pub(super) fn at_most<'a>(budget: &mut Budget, value: &Value<'a>, arguments: &Arguments<'a>) -> Answer {
    compare(budget, Comparison::AtMost, value, arguments)
}

pub(super) fn greater<'a>(budget: &mut Budget, value: &Value<'a>, arguments: &Arguments<'a>) -> Answer {
    compare(budget, Comparison::Greater, value, arguments)
}

pub(super) fn at_least<'a>(budget: &mut Budget, value: &Value<'a>, arguments: &Arguments<'a>) -> Answer {
    compare(budget, Comparison::AtLeast, value, arguments)
}

pub(super) fn within<'a>(budget: &mut Budget, value: &Value<'a>, arguments: &Arguments<'a>) -> Answer {
    compare(budget, Comparison::In, value, arguments)
}

fn compare<'a>(budget: &mut Budget, comparison: Comparison, value: &Value<'a>, arguments: &Arguments<'a>) -> Answer {
    operators::compare(budget, comparison, value, arguments.get(0).unwrap_or(&Value::Blank))
}
