//! Filters that make and take lists.

use std::cmp::Ordering;

use super::operators::{equal, order};
use super::signature::Arguments;
use super::value::{Budget, Builder, Outcome, Refusal, Value};
use crate::pipeline::values::decimal::Decimal;

/// Most items that `range` makes.
/// A value for a property is made of the parts of a field, which are few; a longer loop would end with the budget
/// anyhow.
const RANGE_MAX: i128 = 1_000;

/// `Channels__c | split(";")`: the parts of a text; by white space without a separator. A blank has no parts.
pub(super) fn split<'a>(budget: &mut Budget, value: Value<'a>, arguments: &Arguments<'a>) -> Outcome<'a> {
    let Value::Text(text) = value else { return budget.list([]) };
    budget.spend_text(text.len())?;
    match arguments.get(0) {
        None => budget.list(text.split_whitespace().map(Value::made)),
        Some(Value::Text(separator)) => budget.list(text.split(&**separator).map(Value::made)),
        Some(_) => Err(Refusal::new("`split` needs a separator of at least one character")),
    }
}

/// `Description | lines`
pub(super) fn lines<'a>(budget: &mut Budget, value: Value<'a>, _: &Arguments<'a>) -> Outcome<'a> {
    let Value::Text(text) = value else { return budget.list([]) };
    budget.spend_text(text.len())?;
    budget.list(text.lines().map(Value::made))
}

/// `… | split(";") | join(", ")`; a single value stays as it is.
pub(super) fn join<'a>(budget: &mut Budget, value: Value<'a>, arguments: &Arguments<'a>) -> Outcome<'a> {
    let Value::List(list) = value else { return Ok(value) };
    let mut joined = Builder::default();
    for (index, item) in list.items.iter().enumerate() {
        if index > 0 {
            joined.push(budget, arguments.text(0))?;
        }
        joined.push(budget, &item.printed()?)?;
    }
    joined.finish(budget)
}

/// The characters of a text as a list; a list as it is.
pub(super) fn list<'a>(budget: &mut Budget, value: Value<'a>, _: &Arguments<'a>) -> Outcome<'a> {
    match value {
        Value::List(_) => Ok(value),
        Value::Map(map) => budget.list(map.entries.iter().map(|(key, _)| key.clone())),
        Value::Blank => budget.list([]),
        other => {
            let text = other.printed()?;
            budget.spend_text(text.len())?;
            budget.list(text.chars().map(|character| Value::made(character.encode_utf8(&mut [0; 4]))))
        }
    }
}

/// The first item of a list, or character of a text.
pub(super) fn first<'a>(_: &mut Budget, value: Value<'a>, _: &Arguments<'a>) -> Outcome<'a> {
    end(value, |items| items.first(), |text| text.chars().next())
}

/// The last item of a list, or character of a text.
pub(super) fn last<'a>(_: &mut Budget, value: Value<'a>, _: &Arguments<'a>) -> Outcome<'a> {
    end(value, |items| items.last(), |text| text.chars().next_back())
}

fn end<'a>(
    value: Value<'a>,
    item: impl for<'v> FnOnce(&'v [Value<'a>]) -> Option<&'v Value<'a>>,
    character: impl FnOnce(&str) -> Option<char>,
) -> Outcome<'a> {
    match &value {
        Value::List(list) => Ok(item(&list.items).cloned().unwrap_or(Value::Blank)),
        other => {
            let text = other.printed()?;
            Ok(character(&text).map_or(Value::Blank, |character| Value::made(character.encode_utf8(&mut [0; 4]))))
        }
    }
}

/// How many items or characters; none for a blank.
pub(super) fn length<'a>(budget: &mut Budget, value: Value<'a>, _: &Arguments<'a>) -> Outcome<'a> {
    Ok(Value::count(match &value {
        Value::List(list) => list.items.len(),
        Value::Map(map) => map.entries.len(),
        other => {
            let text = other.printed()?;
            budget.spend_text(text.len())?;
            text.chars().count()
        }
    }))
}

/// The last first: the items of a list, the characters of a text.
pub(super) fn reverse<'a>(budget: &mut Budget, value: Value<'a>, _: &Arguments<'a>) -> Outcome<'a> {
    match &value {
        Value::List(list) => budget.list(list.items.iter().rev().cloned()),
        other => {
            let reversed: String = other.printed()?.chars().rev().collect();
            budget.text(&reversed)
        }
    }
}

/// The sum of numbers, exact; blanks count as nothing, and the sum of nothing is 0.
pub(super) fn sum<'a>(budget: &mut Budget, value: Value<'a>, _: &Arguments<'a>) -> Outcome<'a> {
    let Value::List(list) = value else { return Ok(Value::number(Decimal::default())) };
    let mut total = Decimal::default();
    for item in &list.items {
        budget.spend(1)?;
        let number = match item {
            Value::Blank => continue,
            Value::Number(number) => Some(number.value.clone()),
            // Parts of a split text are texts, and a sum over them is what `split` is mostly followed by.
            Value::Text(text) => Decimal::parse(text.trim()),
            _ => None,
        };
        let unfit = || Refusal::new(format!("`sum` adds numbers, got {}", item.described()));
        let too_large = |_| Refusal::new("`sum` gives a number that is too large");
        total = total.add(&number.ok_or_else(unfit)?).map_err(too_large)?;
    }
    Ok(Value::number(total))
}

/// The largest item; blanks do not count.
pub(super) fn largest<'a>(budget: &mut Budget, value: Value<'a>, _: &Arguments<'a>) -> Outcome<'a> {
    extreme(budget, "max", value, Ordering::Greater)
}

/// The smallest item; blanks do not count.
pub(super) fn smallest<'a>(budget: &mut Budget, value: Value<'a>, _: &Arguments<'a>) -> Outcome<'a> {
    extreme(budget, "min", value, Ordering::Less)
}

fn extreme<'a>(budget: &mut Budget, name: &str, value: Value<'a>, wanted: Ordering) -> Outcome<'a> {
    let Value::List(list) = value else { return Ok(Value::Blank) };
    let mut best: Option<&Value<'a>> = None;
    for item in list.items.iter().filter(|item| !item.is_blank()) {
        budget.spend(1)?;
        let better = match best {
            None => true,
            Some(best) => order(item, best).ok_or_else(|| mixed(name, item, best))? == wanted,
        };
        if better {
            best = Some(item);
        }
    }
    // Of a single value that cannot be compared, nothing is the largest.
    match best {
        Some(item @ (Value::List(_) | Value::Map(_))) => Err(mixed(name, item, item)),
        best => Ok(best.cloned().unwrap_or(Value::Blank)),
    }
}

fn mixed(name: &str, one: &Value<'_>, other: &Value<'_>) -> Refusal {
    let message = format!("`{name}` compares values of one kind, got {} and {}", one.described(), other.described());
    Refusal::new(message)
}

/// The items in order, blanks last.
pub(super) fn sort<'a>(budget: &mut Budget, value: Value<'a>, arguments: &Arguments<'a>) -> Outcome<'a> {
    let Value::List(list) = value else { return Ok(value) };
    let count = list.items.len();
    // Before sorting: the comparisons themselves are not counted one by one.
    budget.spend(count * (count.max(2).ilog2() as usize))?;
    let (mut items, blanks): (Vec<_>, Vec<_>) = list.items.iter().cloned().partition(|item| !item.is_blank());
    let first = items.first().cloned();
    // All against the first one: likeness of kinds is transitive, so a mixed list is found in one pass.
    let unlike = first.and_then(|first| {
        items.iter().find(|item| order(&first, item).is_none()).map(|item| mixed("sort", &first, item))
    });
    if let Some(refusal) = unlike {
        return Err(refusal);
    }
    items.sort_by(|one, other| order(one, other).unwrap_or(Ordering::Equal));
    if arguments.flag(0) {
        items.reverse();
    }
    budget.list(items.into_iter().chain(blanks))
}

/// Each item once, in the order of their first appearance.
pub(super) fn unique<'a>(budget: &mut Budget, value: Value<'a>, _: &Arguments<'a>) -> Outcome<'a> {
    let Value::List(list) = value else { return Ok(value) };
    let mut kept: Vec<Value<'a>> = Vec::new();
    // Quadratic, and paid for by `equal`: items can be lists, which have no order and no hash.
    'items: for item in &list.items {
        for earlier in &kept {
            if equal(budget, earlier, item)? {
                continue 'items;
            }
        }
        kept.push(item.clone());
    }
    budget.list(kept)
}

/// `range(3)`: 0, 1, 2; `range(1, 4)`: 1, 2, 3; `range(0, 10, 5)`: 0, 5. A blank makes an empty list.
pub(super) fn range<'a>(budget: &mut Budget, arguments: &[Value<'a>]) -> Outcome<'a> {
    let mut numbers = Vec::new();
    for argument in arguments {
        match argument {
            Value::Blank => return budget.list([]),
            Value::Number(number) if number.value.to_i64().is_some() => {
                numbers.push(i128::from(number.value.to_i64().unwrap_or(0)));
            }
            other => return Err(Refusal::new(format!("`range` takes whole numbers, got {}", other.described()))),
        }
    }
    let (start, end, step) = match *numbers {
        [end] => (0, end, 1),
        [start, end] => (start, end, 1),
        [start, end, step] => (start, end, step),
        _ => (0, 0, 1),
    };
    if step == 0 {
        return Err(Refusal::new("the step of `range` is not zero"));
    }
    // In 128 bits, where the extremes of 64 cannot overflow.
    let count = ((end - start) * step.signum() + step.abs() - 1).max(0) / step.abs();
    if count > RANGE_MAX {
        return Err(Refusal::new("`range` makes at most 1,000 items"));
    }
    let item =
        |index| i64::try_from(start + index * step).map(Decimal::from).map(Value::number).unwrap_or(Value::Blank);
    budget.list((0..count).map(item))
}
