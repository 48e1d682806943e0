//! Values of a template while it runs, and the budget that keeps every one of them small.

use std::borrow::Cow;
use std::ops::Deref;
use std::rc::Rc;

use crate::model::object::FieldKind;
use crate::pipeline::values::convert;
use crate::pipeline::values::decimal::Decimal;

/// Steps that one rendering may take. Data counts too, a step for about 64 bytes, so that this bounds the memory as well:
/// about 6 MB, enough for a dozen filters over Salesforce's longest text.
pub const FUEL_MAX: u64 = 100_000;

/// Longest text that a template may make at any step, in bytes: room for HubSpot's 65,536 characters of up to four bytes.
pub const TEXT_BYTES_MAX: usize = 4 * 65_536 + 4;

/// How deep lists and maps may hold each other.
/// Comparing and dropping lists recurses.
const NESTED_MAX: usize = 16;

/// One value. An empty text, `none` and a blank field are the same: a blank.
#[derive(Debug, Clone)]
pub(super) enum Value<'a> {
    Blank,
    Bool(bool),
    Number(Number),
    Text(Text<'a>),
    List(Rc<List<'a>>),
    Map(Rc<Map<'a>>),
}

/// A number, and how many digits behind the point it shows after `round`.
#[derive(Debug, Clone)]
pub(super) struct Number {
    pub(super) value: Decimal,
    pub(super) places: Option<usize>,
}

/// A text: of the record or the template, or one that was made.
#[derive(Debug, Clone)]
pub(super) enum Text<'a> {
    Borrowed(&'a str),
    Made(Rc<str>),
}

/// Items in their order.
#[derive(Debug)]
pub(super) struct List<'a> {
    pub(super) items: Vec<Value<'a>>,
    nested: usize,
}

/// Keys with their values, in the order of writing.
#[derive(Debug)]
pub(super) struct Map<'a> {
    pub(super) entries: Vec<(Value<'a>, Value<'a>)>,
    nested: usize,
}

/// Why an operator or a filter cannot do what it should; without the place, which the caller knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) message: String,
    /// The budget is at its end.
    pub(super) exhausted: bool,
}

impl Refusal {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), exhausted: false }
    }

    fn exhausted(message: String) -> Self {
        Self { message, exhausted: true }
    }
}

pub(super) type Outcome<'a> = Result<Value<'a>, Refusal>;

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Made(text) => text,
        }
    }
}

impl<'a> Value<'a> {
    /// A text that stands in the record or the template.
    pub(super) fn borrowed(text: &'a str) -> Self {
        if text.is_empty() { Self::Blank } else { Self::Text(Text::Borrowed(text)) }
    }

    /// A short text that was made; long ones go through [`Budget::text`].
    pub(super) fn made(text: &str) -> Self {
        if text.is_empty() { Self::Blank } else { Self::Text(Text::Made(text.into())) }
    }

    pub(super) fn number(value: Decimal) -> Self {
        Self::Number(Number { value, places: None })
    }

    pub(super) fn count(count: usize) -> Self {
        Self::number(Decimal::from(i64::try_from(count).unwrap_or(i64::MAX)))
    }

    /// A field of the record. Booleans are booleans, numbers are decimals; all else is text in one form, whichever API the row
    /// came through, or the same record would look changed.
    pub(super) fn field(kind: &FieldKind, text: Option<&'a str>) -> Self {
        // White space alone is a blank, as everywhere. NUL is not, so that it is reported (SL5013).
        let filled = |text: &&str| !convert::trim(text).is_empty() || text.contains('\0');
        let Some(text) = text.filter(filled) else { return Self::Blank };
        match kind {
            FieldKind::Boolean => Self::Bool(text.eq_ignore_ascii_case("true")),
            FieldKind::Int | FieldKind::Long | FieldKind::Double | FieldKind::Currency | FieldKind::Percent => {
                // A number that cannot be read stays text, so that the record's own error names it.
                Decimal::parse(text.trim()).map_or_else(|| Self::borrowed(text), Self::number)
            }
            kind => match convert::canonical(text, kind) {
                Cow::Borrowed(text) => Self::borrowed(text),
                Cow::Owned(text) => Self::made(&text),
            },
        }
    }

    pub(super) fn is_blank(&self) -> bool {
        matches!(self, Self::Blank)
    }

    /// What `if` makes of it: false for a blank, `false`, 0, an empty list or map.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Blank => false,
            Self::Bool(answer) => *answer,
            Self::Number(number) => !number.value.is_zero(),
            Self::Text(_) => true,
            Self::List(list) => !list.items.is_empty(),
            Self::Map(map) => !map.entries.is_empty(),
        }
    }

    /// The text that is printed.
    pub(super) fn printed(&self) -> Result<Cow<'_, str>, Refusal> {
        match self {
            Self::Blank => Ok(Cow::Borrowed("")),
            Self::Bool(answer) => Ok(Cow::Borrowed(if *answer { "true" } else { "false" })),
            Self::Number(number) => Ok(Cow::Owned(number.text())),
            Self::Text(text) => Ok(Cow::Borrowed(text)),
            Self::List(_) => Err(Refusal::new("a list is not a text: join it, `| join(', ')`")),
            Self::Map(_) => Err(Refusal::new("a map is not a text: choose one of its values, `MAP['key']`")),
        }
    }

    /// The value's kind, and a short value itself, for messages.
    pub(super) fn described(&self) -> String {
        match self {
            Self::Blank => "a blank".to_owned(),
            Self::Bool(answer) => format!("`{answer}`"),
            Self::Number(number) => format!("the number {}", number.text()),
            Self::Text(text) => {
                // Enough to recognise the value; a description of 30 KB would fill the list of failures.
                let short: String = text.chars().take(40).collect();
                let more = if short.len() < text.len() { "…" } else { "" };
                format!("the text `{short}{more}`")
            }
            Self::List(list) => format!("a list of {} items", list.items.len()),
            Self::Map(_) => "a map".to_owned(),
        }
    }

    /// How many lists and maps hold each other; a plain value is none.
    fn nested(&self) -> usize {
        match self {
            Self::List(list) => list.nested,
            Self::Map(map) => map.nested,
            _ => 0,
        }
    }
}

impl Number {
    /// A number of a text, which keeps the digits that the text shows behind the point.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let value = Decimal::parse(text)?;
        let fraction = text
            .split_once('.')
            .map(|(_, fraction)| fraction)
            .filter(|fraction| fraction.bytes().all(|byte| byte.is_ascii_digit()));
        Some(Self { value, places: fraction.map(str::len) })
    }

    pub(super) fn text(&self) -> String {
        self.places.map_or_else(|| self.value.to_string(), |places| self.value.fixed(places))
    }
}

/// What one rendering may still do.
#[derive(Debug)]
pub(super) struct Budget {
    fuel: u64,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self { fuel: FUEL_MAX }
    }

    /// Pays for so many steps.
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), Refusal> {
        let steps = u64::try_from(steps).unwrap_or(u64::MAX);
        match self.fuel.checked_sub(steps) {
            Some(rest) => {
                self.fuel = rest;
                Ok(())
            }
            None => {
                // What has failed once must not go on with a cheaper step.
                self.fuel = 0;
                Err(Refusal::exhausted(format!("the template takes more than {FUEL_MAX} steps")))
            }
        }
    }

    /// Pays for a pass over a text.
    pub(super) fn spend_text(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.spend(1 + bytes / 64)
    }

    /// A text that was made, paid for.
    pub(super) fn text<'a>(&mut self, text: &str) -> Outcome<'a> {
        self.fits(text.len())?;
        self.spend_text(text.len())?;
        Ok(Value::made(text))
    }

    /// A list, paid for.
    pub(super) fn list<'a>(&mut self, items: impl IntoIterator<Item = Value<'a>>) -> Outcome<'a> {
        let mut kept = Vec::new();
        let mut nested = 0;
        for item in items {
            self.spend(1)?;
            nested = nested.max(item.nested());
            kept.push(item);
        }
        Ok(Value::List(Rc::new(List { items: kept, nested: deeper(nested)? })))
    }

    /// A map, paid for.
    pub(super) fn map<'a>(&mut self, entries: Vec<(Value<'a>, Value<'a>)>) -> Outcome<'a> {
        self.spend(entries.len())?;
        let nested = entries.iter().map(|(key, value)| key.nested().max(value.nested())).max().unwrap_or(0);
        Ok(Value::Map(Rc::new(Map { entries, nested: deeper(nested)? })))
    }

    /// Whether a text of so many bytes may be made; asked before it is.
    pub(super) fn fits(&self, bytes: usize) -> Result<(), Refusal> {
        match bytes <= TEXT_BYTES_MAX {
            true => Ok(()),
            false => Err(Refusal::exhausted(format!("the template makes a text of more than {TEXT_BYTES_MAX} bytes"))),
        }
    }
}

/// Bounded, as values are compared and printed by recursion.
fn deeper(nested: usize) -> Result<usize, Refusal> {
    match nested < NESTED_MAX {
        true => Ok(nested + 1),
        false => Err(Refusal::new(format!("lists hold each other more than {NESTED_MAX} levels deep"))),
    }
}

/// A text that grows piece by piece, and never beyond its bound.
#[derive(Debug, Default)]
pub(super) struct Builder(String);

impl Builder {
    pub(super) fn push(&mut self, budget: &Budget, piece: &str) -> Result<(), Refusal> {
        budget.fits(self.0.len() + piece.len())?;
        self.0.push_str(piece);
        Ok(())
    }

    pub(super) fn finish<'a>(self, budget: &mut Budget) -> Outcome<'a> {
        budget.text(&self.0)
    }
}
