//! Filters over numbers, exact throughout.

use super::signature::Arguments;
use super::value::{Budget, Builder, Number, Outcome, Refusal, Value};
use crate::pipeline::values::convert::trim;
use crate::pipeline::values::decimal::{DIGITS_MAX, Decimal, Rounding};

/// `1250.5 | round(2)` -> `1250.50`: so many digits behind the point, which are shown; half away from zero, or `ceil`, `floor`.
pub(super) fn round<'a>(_: &mut Budget, value: Value<'a>, arguments: &Arguments<'a>) -> Outcome<'a> {
    let Value::Number(number) = value else { return Ok(value) };
    let rounding = match arguments.text(1) {
        // Jinja's names for the methods.
        "" | "common" => Rounding::HalfUp,
        "ceil" => Rounding::Ceiling,
        "floor" => Rounding::Floor,
        other => {
            let message = format!("`round` knows the methods `common`, `ceil` and `floor`, got the text `{other}`");
            return Err(Refusal::new(message));
        }
    };
    let precision = arguments.whole(0).unwrap_or(0);
    let size = usize::try_from(precision.unsigned_abs()).unwrap_or(usize::MAX);
    if size > DIGITS_MAX {
        return Err(Refusal::new(format!("`round` takes a precision of at most {DIGITS_MAX}, got {precision}")));
    }
    if precision < 0 {
        let rounded = number.value.round_whole(size, rounding);
        return rounded.map(Value::number).map_err(|_| Refusal::new("`round` gives a number that is too large"));
    }
    // The places are kept beside the value, so that `1.50` still calculates as 1.5.
    Ok(Value::Number(Number { value: number.value.round(size, rounding), places: Some(size) }))
}

/// `1234567.5 | thousands` -> `1,234,567.5`; another separator may be given. The digits behind the point stay as they are, so
/// that `round(2) | thousands` keeps both.
pub(super) fn thousands<'a>(budget: &mut Budget, value: Value<'a>, arguments: &Arguments<'a>) -> Outcome<'a> {
    let Value::Number(number) = value else { return Ok(value) };
    let text = number.text();
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, rest)| (whole, Some(rest)));
    let separator = if arguments.get(0).is_some() { arguments.text(0) } else { "," };
    let mut grouped = Builder::default();
    grouped.push(budget, sign)?;
    for (index, digit) in whole.char_indices() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(budget, separator)?;
        }
        grouped.push(budget, digit.encode_utf8(&mut [0; 4]))?;
    }
    if let Some(fraction) = fraction {
        grouped.push(budget, ".")?;
        grouped.push(budget, fraction)?;
    }
    grouped.finish(budget)
}

/// `-5 | abs` -> `5`
pub(super) fn abs<'a>(_: &mut Budget, value: Value<'a>, _: &Arguments<'a>) -> Outcome<'a> {
    Ok(match value {
        Value::Number(number) => Value::number(number.value.abs()),
        other => other,
    })
}

/// `'12.7' | int` -> `12`; a blank is 0. What is no number is the default, where one is given.
pub(super) fn int<'a>(_: &mut Budget, value: Value<'a>, arguments: &Arguments<'a>) -> Outcome<'a> {
    // Towards zero, as Python's `int`.
    let whole = |number: Decimal| Value::number(number.round(0, Rounding::Down));
    number_of("int", value, arguments, whole)
}

/// `'12.70' | float` -> `12.7`, as a decimal; a blank is 0. What is no number is the default, where one is given.
pub(super) fn float<'a>(_: &mut Budget, value: Value<'a>, arguments: &Arguments<'a>) -> Outcome<'a> {
    number_of("float", value, arguments, Value::number)
}

/// A blank becomes 0; a text that is no number is an error unless a default says otherwise, so that no number is
/// made up.
fn number_of<'a>(
    name: &str,
    value: Value<'a>,
    arguments: &Arguments<'a>,
    make: impl FnOnce(Decimal) -> Value<'a>,
) -> Outcome<'a> {
    let number = match &value {
        Value::Number(number) => Some(number.value.clone()),
        Value::Bool(answer) => Some(Decimal::from(i64::from(*answer))),
        Value::Text(text) => Decimal::parse(trim(text)),
        Value::Blank => return Ok(arguments.get(0).cloned().unwrap_or_else(|| Value::number(Decimal::default()))),
        Value::List(_) | Value::Map(_) => None,
    };
    match (number, arguments.get(0)) {
        (Some(number), _) => Ok(make(number)),
        (None, Some(default)) => Ok(default.clone()),
        (None, None) => {
            let message = format!("`{name}` takes a number, got {}", value.described());
            Err(Refusal::new(format!("{message}: give what it becomes instead, such as `{name}(0)`")))
        }
    }
}
