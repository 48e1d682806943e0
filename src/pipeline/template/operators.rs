//! What operators do with each kind of value; the guide's table on templates says the same, and a test compares the two.

use std::cmp::Ordering;

use super::syntax::{Arithmetic, Comparison};
use super::value::{Budget, Builder, Number, Outcome, Refusal, Value};
use crate::pipeline::values::decimal::{DIGITS_MAX, Decimal, Impossible};
use crate::pipeline::values::time;

/// `+ - * / // % **`: exact decimals; a blank gives a blank. `+` joins texts and lists, `*` repeats a text.
pub(super) fn arithmetic<'a>(
    budget: &mut Budget,
    operator: Arithmetic,
    left: Value<'a>,
    right: Value<'a>,
) -> Outcome<'a> {
    use Arithmetic as A;
    budget.spend(1)?;
    match (operator, &left, &right) {
        (_, Value::Number(one), Value::Number(two)) => calculate(budget, operator, one, two),
        // Also with one blank: a missing middle name must not make the whole name blank.
        (A::Add, Value::Text(_), Value::Text(_) | Value::Blank) | (A::Add, Value::Blank, Value::Text(_)) => {
            concat(budget, &[left, right])
        }
        (A::Add, Value::List(one), Value::List(two)) => budget.list(one.items.iter().chain(&two.items).cloned()),
        (A::Multiply, Value::Text(text), Value::Number(times))
        | (A::Multiply, Value::Number(times), Value::Text(text)) => repeat(budget, text, times),
        // Unknown in, unknown out: a blank price times a quantity is not 0.
        (_, Value::Blank, Value::Number(_) | Value::Blank) | (_, Value::Number(_), Value::Blank) => Ok(Value::Blank),
        (A::Multiply, Value::Blank, Value::Text(_)) | (A::Multiply, Value::Text(_), Value::Blank) => Ok(Value::Blank),
        _ => Err(unfit(operator, &left, &right)),
    }
}

fn calculate<'a>(budget: &mut Budget, operator: Arithmetic, one: &Number, two: &Number) -> Outcome<'a> {
    use Arithmetic as A;
    let (one, two) = (&one.value, &two.value);
    let result = match operator {
        A::Add => one.add(two),
        A::Subtract => one.subtract(two),
        A::Multiply => one.multiply(two),
        A::Divide => one.divide(two),
        A::DivideWhole => one.divide_whole(two),
        A::Remainder => one.remainder(two),
        A::Power => {
            // One squaring for each bit of the exponent.
            budget.spend(64)?;
            let refusal =
                || Refusal::new(format!("`**` takes a whole exponent, got {two}: fractions of powers are not exact"));
            one.power(two.to_i64().ok_or_else(refusal)?)
        }
    };
    result.map(Value::number).map_err(|error| match error {
        Impossible::TooLarge => {
            Refusal::new(format!("`{}` gives a number of more than {DIGITS_MAX} digits", operator.symbol()))
        }
        Impossible::DividedByZero => Refusal::new(format!("`{}` divides by zero", operator.symbol())),
    })
}

/// The length is checked before the text is built: `'x' * 10 ** 9` must not take the memory first.
fn repeat<'a>(budget: &mut Budget, text: &str, times: &Number) -> Outcome<'a> {
    let whole = || Refusal::new(format!("a text is repeated a whole number of times, not {}", times.text()));
    if !times.value.is_whole() {
        return Err(whole());
    }
    let times = if times.value < Decimal::default() { 0 } else { times.value.to_i64().unwrap_or(i64::MAX) };
    let times = usize::try_from(times).unwrap_or(usize::MAX);
    budget.fits(text.len().saturating_mul(times))?;
    budget.text(&text.repeat(times))
}

/// `a ~ b`: the printed texts, side by side; a blank adds nothing.
pub(super) fn concat<'a>(budget: &mut Budget, parts: &[Value<'_>]) -> Outcome<'a> {
    let mut text = Builder::default();
    for part in parts {
        text.push(budget, &part.printed()?)?;
    }
    text.finish(budget)
}

fn unfit(operator: Arithmetic, left: &Value<'_>, right: &Value<'_>) -> Refusal {
    let symbol = operator.symbol();
    let message = format!("`{symbol}` takes two numbers, got {} and {}", left.described(), right.described());
    let is_text = |value: &Value<'_>| matches!(value, Value::Text(_));
    let advice = if is_text(left) || is_text(right) {
        if operator == Arithmetic::Add {
            ": join texts with `~`, or make a number of a text with `| float`"
        } else {
            ": make a number of a text with `| float`"
        }
    } else if matches!(left, Value::Bool(_)) || matches!(right, Value::Bool(_)) {
        ": make a number of a checkbox with `| int`"
    } else {
        ""
    };
    Refusal::new(format!("{message}{advice}"))
}

/// `-a`
pub(super) fn negate<'a>(value: Value<'a>) -> Outcome<'a> {
    match value {
        Value::Number(number) => Ok(Value::number(number.value.negated())),
        Value::Blank => Ok(Value::Blank),
        other => Err(Refusal::new(format!("`-` takes a number, got {}", other.described()))),
    }
}

/// One comparison. With a blank, every one is false, but for `==` and `!=`.
pub(super) fn compare(
    budget: &mut Budget,
    comparison: Comparison,
    left: &Value<'_>,
    right: &Value<'_>,
) -> Result<bool, Refusal> {
    use Comparison as C;
    let order = |wanted: fn(Ordering) -> bool| ordered(comparison, left, right).map(|order| order.is_some_and(wanted));
    match comparison {
        C::Equal => equal(budget, left, right),
        C::Unequal => equal(budget, left, right).map(|same| !same),
        C::In => contains(budget, right, left),
        C::NotIn => contains(budget, right, left).map(|found| !found),
        C::Less => order(Ordering::is_lt),
        C::AtMost => order(Ordering::is_le),
        C::Greater => order(Ordering::is_gt),
        C::AtLeast => order(Ordering::is_ge),
    }
}

/// Numbers by value, moments by the instant, texts letter by letter; different kinds are never equal.
pub(super) fn equal(budget: &mut Budget, left: &Value<'_>, right: &Value<'_>) -> Result<bool, Refusal> {
    budget.spend(1)?;
    Ok(match (left, right) {
        (Value::Blank, Value::Blank) => true,
        (Value::Bool(one), Value::Bool(two)) => one == two,
        (Value::Number(one), Value::Number(two)) => one.value == two.value,
        (Value::Text(one), Value::Text(two)) => {
            // No more than the shorter one is compared.
            budget.spend_text(one.len().min(two.len()))?;
            // One moment can be written with several offsets.
            **one == **two || instants(one, two) == Some(Ordering::Equal)
        }
        (Value::List(one), Value::List(two)) => {
            one.items.len() == two.items.len() && all_equal(budget, one.items.iter().zip(&two.items))?
        }
        (Value::Map(one), Value::Map(two)) => {
            let keys = one.entries.iter().map(|(key, _)| key).zip(two.entries.iter().map(|(key, _)| key));
            let values = one.entries.iter().map(|(_, value)| value).zip(two.entries.iter().map(|(_, value)| value));
            one.entries.len() == two.entries.len() && all_equal(budget, keys)? && all_equal(budget, values)?
        }
        _ => false,
    })
}

fn all_equal<'v, 'a: 'v>(
    budget: &mut Budget,
    pairs: impl Iterator<Item = (&'v Value<'a>, &'v Value<'a>)>,
) -> Result<bool, Refusal> {
    for (one, two) in pairs {
        if !equal(budget, one, two)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// How two values of one kind follow each other; none with a blank.
fn ordered(comparison: Comparison, left: &Value<'_>, right: &Value<'_>) -> Result<Option<Ordering>, Refusal> {
    match (left, right) {
        (Value::Blank, Value::Blank | Value::Bool(_) | Value::Number(_) | Value::Text(_))
        | (Value::Bool(_) | Value::Number(_) | Value::Text(_), Value::Blank) => Ok(None),
        _ => order(left, right).map(Some).ok_or_else(|| {
            let message = format!("`{}` compares two values of one kind", comparison.symbol());
            let advice = match (left, right) {
                (Value::Text(_), Value::Number(_)) | (Value::Number(_), Value::Text(_)) => {
                    ": make a number of the text with `| float`"
                }
                _ => "",
            };
            Refusal::new(format!("{message}, got {} and {}{advice}", left.described(), right.described()))
        }),
    }
}

/// The order of two values of one kind.
pub(super) fn order(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    match (left, right) {
        (Value::Bool(one), Value::Bool(two)) => Some(one.cmp(two)),
        (Value::Number(one), Value::Number(two)) => Some(one.value.cmp(&two.value)),
        (Value::Text(one), Value::Text(two)) => Some(instants(one, two).unwrap_or_else(|| (**one).cmp(&**two))),
        _ => None,
    }
}

/// The order of two moments, whatever offset they are written with; none for other texts.
fn instants(one: &str, two: &str) -> Option<Ordering> {
    // A look at the form before parsing, as most texts that are compared are no moments.
    let shaped = |text: &str| text.len() >= 17 && text.as_bytes()[10] == b'T' && text.as_bytes()[4] == b'-';
    if !shaped(one) || !shaped(two) {
        return None;
    }
    Some(time::moment(one)?.cmp(&time::moment(two)?))
}

/// `item in container`
fn contains(budget: &mut Budget, container: &Value<'_>, item: &Value<'_>) -> Result<bool, Refusal> {
    budget.spend(1)?;
    match (container, item) {
        (Value::List(list), item) => {
            for other in &list.items {
                if equal(budget, other, item)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        (Value::Map(map), item) => {
            for (key, _) in &map.entries {
                if equal(budget, key, item)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        // Jinja finds the empty text in every text; a blank here is no text.
        (Value::Blank, _) | (Value::Text(_), Value::Blank) => Ok(false),
        (Value::Text(text), Value::Text(part)) => {
            budget.spend_text(text.len())?;
            Ok(text.contains(&**part))
        }
        _ => {
            let message =
                format!("`in` looks for a text in a text, or for a value in a list, got {}", item.described());
            Err(Refusal::new(format!("{message} and {}", container.described())))
        }
    }
}

/// `a[0]`, `a[-1]`, `map['key']`: a blank where there is none.
pub(super) fn item<'a>(budget: &mut Budget, value: &Value<'a>, index: &Value<'a>) -> Outcome<'a> {
    budget.spend(1)?;
    match (value, index) {
        (Value::Blank, _) | (Value::List(_) | Value::Text(_), Value::Blank) => Ok(Value::Blank),
        // A search through all entries: maps are written out in a template and have a dozen of them.
        (Value::Map(map), key) => {
            for (entry, value) in &map.entries {
                if equal(budget, entry, key)? {
                    return Ok(value.clone());
                }
            }
            Ok(Value::Blank)
        }
        (Value::List(list), Value::Number(index)) => {
            let place = place(index, list.items.len())?;
            Ok(place.and_then(|place| list.items.get(place)).cloned().unwrap_or(Value::Blank))
        }
        (Value::Text(text), Value::Number(index)) => {
            budget.spend_text(text.len())?;
            let place = place(index, text.chars().count())?;
            let character = place.and_then(|place| text.chars().nth(place)).map(String::from);
            Ok(Value::made(&character.unwrap_or_default()))
        }
        (Value::Number(_), Value::Number(_)) => {
            Err(Refusal::new("a number has no characters: make a text of it with `| string`"))
        }
        _ => Err(Refusal::new(format!("{} has no item {}", value.described(), index.described()))),
    }
}

/// Counted from the end where it is negative; none beyond either end.
fn place(index: &Number, length: usize) -> Result<Option<usize>, Refusal> {
    let whole = || Refusal::new(format!("a place is a whole number, not {}", index.text()));
    if !index.value.is_whole() {
        return Err(whole());
    }
    // A place beyond the machine's numbers is beyond any list.
    let Some(index) = index.value.to_i64() else { return Ok(None) };
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    Ok(usize::try_from(if index < 0 { index + length } else { index }).ok())
}

/// `a[start:end:step]` of a text, a list or a number's text, as in Python; a blank stays blank.
pub(super) fn slice<'a>(budget: &mut Budget, value: &Value<'a>, parts: [Option<Value<'a>>; 3]) -> Outcome<'a> {
    let mut bounds = [None; 3];
    for (bound, part) in bounds.iter_mut().zip(&parts) {
        *bound = match part {
            None | Some(Value::Blank) => None,
            Some(Value::Number(number)) if number.value.is_whole() => {
                // Half of the range, so that adding a length to a bound cannot overflow.
                let far = if number.value < Decimal::default() { i64::MIN / 2 } else { i64::MAX / 2 };
                Some(number.value.to_i64().unwrap_or(far).clamp(i64::MIN / 2, i64::MAX / 2))
            }
            Some(other) => {
                return Err(Refusal::new(format!("a slice takes whole numbers, got {}", other.described())));
            }
        };
    }
    if bounds[2] == Some(0) {
        return Err(Refusal::new("the step of a slice is not zero"));
    }
    match value {
        Value::Blank => Ok(Value::Blank),
        Value::List(list) => {
            let places = places(bounds, list.items.len());
            budget.list(places.filter_map(|place| list.items.get(place).cloned()))
        }
        Value::Text(text) => {
            budget.spend_text(text.len())?;
            let characters: Vec<char> = text.chars().collect();
            let kept: String = places(bounds, characters.len()).filter_map(|place| characters.get(place)).collect();
            budget.text(&kept)
        }
        Value::Number(_) => Err(Refusal::new("a number has no characters: make a text of it with `| string`")),
        other => Err(Refusal::new(format!("a slice takes a text or a list, got {}", other.described()))),
    }
}

/// The places that a slice takes.
fn places([start, end, step]: [Option<i64>; 3], length: usize) -> impl Iterator<Item = usize> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let step = step.unwrap_or(1);
    // Backwards, the end is one before the first place, which -1 stands for.
    let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let settle = |bound: i64| (if bound < 0 { bound + length } else { bound }).clamp(low, high);
    let (start, end) = match step > 0 {
        true => (start.map_or(0, settle), end.map_or(length, settle)),
        false => (start.map_or(length - 1, settle), end.map_or(-1, settle)),
    };
    let next = move |place: &i64| place.checked_add(step);
    let within = move |place: &i64| if step > 0 { *place < end } else { *place > end };
    std::iter::successors(Some(start), next).take_while(within).filter_map(|place| usize::try_from(place).ok())
}
