//! What filters and tests take and give.

use super::pattern::Pattern;
use super::value::{Budget, Outcome, Refusal, Value};
use jiff::tz::TimeZone;

/// What a filter, a test or an argument takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    Anything,
    /// A text, or a number or checkbox as its text.
    Text,
    /// A number, or a text that holds one.
    Number,
    /// A number without a fraction.
    Whole,
    /// A date or a moment.
    Day,
    Moment,
    /// A list; a blank is an empty one.
    List,
    /// `true` or `false`.
    Flag,
}

/// What a filter gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gives {
    Text,
    Number,
    Bool,
    Moment,
    /// A list of texts.
    Texts,
    /// What it was given.
    Same,
    /// One item of what it was given.
    Item,
    /// What it was given, or its first argument.
    Either,
}

/// One argument.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) takes: Takes,
    pub(super) required: bool,
}

/// A filter.
#[derive(Debug)]
pub(super) struct Filter {
    pub(super) name: &'static str,
    pub(super) takes: Takes,
    pub(super) gives: Gives,
    pub(super) parameters: &'static [Parameter],
    /// A blank goes through as a blank; other filters are asked what they make of it.
    pub(super) keeps_blanks: bool,
    pub(super) run: for<'a> fn(&mut Budget, Value<'a>, &Arguments<'a>) -> Outcome<'a>,
}

/// A test.
#[derive(Debug)]
pub(super) struct Test {
    pub(super) name: &'static str,
    pub(super) takes: Takes,
    pub(super) parameters: &'static [Parameter],
    pub(super) run: for<'a> fn(&mut Budget, &Value<'a>, &Arguments<'a>) -> Result<bool, Refusal>,
}

/// The arguments of one call, one for each parameter.
#[derive(Debug)]
pub(super) struct Arguments<'a> {
    pub(super) values: Vec<Option<Value<'a>>>,
    pub(super) prepared: &'a Prepared,
}

/// What is made of literal arguments once, when the template is loaded.
#[derive(Debug, Default)]
pub(super) enum Prepared {
    #[default]
    Nothing,
    Zone(TimeZone),
    Pattern(Box<Pattern>),
}

impl<'a> Arguments<'a> {
    pub(super) fn get(&self, place: usize) -> Option<&Value<'a>> {
        self.values.get(place)?.as_ref()
    }

    /// A text; blank when it is not given.
    pub(super) fn text(&self, place: usize) -> &str {
        match self.get(place) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    /// A whole number, held to what a machine number takes.
    pub(super) fn whole(&self, place: usize) -> Option<i64> {
        match self.get(place) {
            Some(Value::Number(number)) => {
                let far = if number.value.negated() > number.value { i64::MIN } else { i64::MAX };
                Some(number.value.to_i64().unwrap_or(far))
            }
            _ => None,
        }
    }

    pub(super) fn flag(&self, place: usize) -> bool {
        matches!(self.get(place), Some(Value::Bool(true)))
    }
}
