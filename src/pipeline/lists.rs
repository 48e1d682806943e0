//! Lists in templates: flat, of texts, and of no use but to be joined, indexed or looped over. minijinja's own lists can be
//! added, repeated and nested, and a small one may then print gigabytes before any fuel is counted.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};

/// Most items that `range` makes.
const RANGE_MAX: i64 = 1_000;

/// Adds the filters and functions that make and take lists.
pub(super) fn add(environment: &mut Environment<'_>) {
    environment.add_filter("split", split);
    environment.add_filter("lines", |state: &State, value: &Value| list(state, text(value)?.lines().map(Value::from)));
    environment.add_filter("join", join);
    environment.add_filter("first", |value: &Value| end(value, |list| list.first(), |text| text.next()));
    environment.add_filter("last", |value: &Value| end(value, |list| list.last(), |text| text.next_back()));
    environment.add_filter("length", length);
    environment.add_filter("count", length);
    environment.add_function("range", range);
}

/// A flat list of texts or whole numbers.
#[derive(Debug)]
pub(super) struct List(Vec<Value>);

impl Object for List {
    /// Plain, so that no operator takes it for a sequence that it may extend.
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let index = i64::try_from(key.clone()).ok()?;
        let length = i64::try_from(self.0.len()).ok()?;
        let index = usize::try_from(if index < 0 { index + length } else { index }).ok()?;
        self.0.get(index).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.0.len())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} items]", self.0.len())
    }
}

/// One plain value as text.
pub(super) fn text(value: &Value) -> Result<String, Error> {
    match value.kind() {
        ValueKind::String | ValueKind::Number => Ok(value.to_string()),
        ValueKind::Bool => Ok(value.to_string().to_ascii_lowercase()),
        ValueKind::Undefined | ValueKind::None => Ok(String::new()),
        _ => Err(refused("expected one value, got a list or a parent record")),
    }
}

/// Whether a value can be printed as it is.
pub(super) fn is_plain(value: &Value) -> bool {
    !matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable | ValueKind::Map | ValueKind::Plain)
}

/// `Channels__c | split(";")`: the parts of a text; by white space without a separator.
fn split(state: &State, value: &Value, separator: Option<String>) -> Result<Value, Error> {
    let text = text(value)?;
    match separator.as_deref() {
        None => list(state, text.split_whitespace().map(Value::from)),
        Some("") => Err(refused("`split` needs a separator of at least one character")),
        Some(_) if text.is_empty() => list(state, std::iter::empty()),
        Some(separator) => list(state, text.split(separator).map(Value::from)),
    }
}

/// A list that is paid for: its items cost as much as those of minijinja's own filters.
fn list(state: &State, items: impl Iterator<Item = Value>) -> Result<Value, Error> {
    let mut kept = Vec::new();
    for item in items {
        state.consume_fuel(1)?;
        kept.push(item);
    }
    Ok(Value::from_object(List(kept)))
}

/// `… | split(";") | join(", ")`
fn join(value: &Value, separator: Option<String>) -> Result<String, Error> {
    match value.downcast_object_ref::<List>() {
        Some(list) => {
            let items: Vec<String> = list.0.iter().map(ToString::to_string).collect();
            Ok(items.join(separator.as_deref().unwrap_or_default()))
        }
        None => text(value),
    }
}

/// The first or last item of a list, or character of a text; blank where there is none.
fn end(
    value: &Value,
    item: impl Fn(&[Value]) -> Option<&Value>,
    character: impl Fn(&mut std::str::Chars<'_>) -> Option<char>,
) -> Result<String, Error> {
    match value.downcast_object_ref::<List>() {
        Some(list) => Ok(item(&list.0).map(ToString::to_string).unwrap_or_default()),
        None => Ok(character(&mut text(value)?.chars()).map(String::from).unwrap_or_default()),
    }
}

/// How many items or characters.
fn length(value: &Value) -> Result<usize, Error> {
    match value.downcast_object_ref::<List>() {
        Some(list) => Ok(list.0.len()),
        None => Ok(text(value)?.chars().count()),
    }
}

/// `range(3)`: 0, 1, 2; `range(1, 4)`: 1, 2, 3.
fn range(state: &State, start: i64, end: Option<i64>) -> Result<Value, Error> {
    let (start, end) = end.map_or((0, start), |end| (start, end));
    if end.saturating_sub(start) > RANGE_MAX {
        return Err(refused("`range` makes at most 1,000 items"));
    }
    list(state, (start..end).map(Value::from))
}

fn refused(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}
