//! Templates: Jinja over a record's fields, with decimals. Read and checked when loaded; what passes fails for a value only, and
//! no template runs forever or fills the memory.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::object::FieldKind;

mod binding;
#[cfg(test)]
mod cases;
mod check;
mod dates;
mod evaluate;
mod expressions;
mod functions;
mod html;
mod kinds;
mod lexer;
mod lists;
mod numbers;
mod operators;
mod pattern;
mod predicates;
mod reader;
mod signature;
mod statements;
mod syntax;
mod texts;
mod value;

pub use syntax::TemplateError;
pub use value::{FUEL_MAX, TEXT_BYTES_MAX};

use evaluate::Evaluation;
use kinds::Kinds;
use reader::Parsed;
use value::Value;

/// A template that is read.
#[derive(Clone)]
pub struct Template {
    source: Arc<str>,
    parsed: Arc<Parsed>,
}

impl Template {
    /// Reads a template.
    pub fn read(source: &str) -> Result<Self, TemplateError> {
        let parsed = statements::parse(source)?;
        Ok(Self { source: source.into(), parsed: Arc::new(parsed) })
    }

    /// The fields that it names, with their parents.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.parsed.fields.iter().map(|(path, _)| path.as_str())
    }

    /// Where it names each of its [`Template::paths`] first, in bytes.
    pub fn places(&self) -> impl Iterator<Item = Range<usize>> {
        self.parsed.fields.iter().map(|(_, span)| span.clone())
    }

    /// Where it asks when the run began, so that its value changes from run to run.
    pub fn now(&self) -> Option<Range<usize>> {
        self.parsed.now.clone()
    }

    /// Whether its text depends on the row alone: neither on the time nor on what the computer knows of time zones.
    pub fn is_of_row_alone(&self) -> bool {
        self.parsed.now.is_none() && !self.source.contains("in_zone")
    }

    /// What fails for every record. `kinds` has the type of each of [`Template::paths`], in that order, where it is known.
    pub fn check(&self, kinds: &[Option<FieldKind>]) -> Vec<TemplateError> {
        let known = |place: usize| kinds.get(place).and_then(Option::as_ref);
        let count = self.parsed.fields.len();
        let sets: Vec<Kinds> = (0..count).map(|place| known(place).map_or(Kinds::ANY, Kinds::of_field)).collect();
        let mut found = check::check(&self.parsed, &sets);
        // A template with findings may fail here for the same reason once more.
        if found.is_empty() {
            found.extend(self.endless(&sets));
        }
        found
    }

    /// A template that takes too long whatever the record holds, or fails without asking for one.
    fn endless(&self, sets: &[Kinds]) -> Option<TemplateError> {
        // Both a record of blanks and a usual one must end it, since a loop over a field may only be long for one of
        // them.
        let blank = self.evaluate(vec![Value::Blank; sets.len()], Timestamp::UNIX_EPOCH).err()?;
        let typical = sets.iter().map(|kinds| check::candidates(*kinds).into_iter().next().unwrap_or(Value::Blank));
        let failure = self.evaluate(typical.collect(), Timestamp::UNIX_EPOCH).err()?;
        let bounded = failure.exhausted && blank.exhausted;
        (bounded || sets.is_empty()).then(|| TemplateError::new(failure.span, failure.message))
    }

    /// The text for a record; `fields` has type and value of each of [`Template::paths`], in that order. White space at both
    /// ends is layout. `now` is the beginning of the run.
    ///
    /// Errors: what to tell people; it may hold values of the record.
    pub fn render<'a>(
        &'a self,
        fields: impl Iterator<Item = (&'a FieldKind, Option<&'a str>)>,
        now: Timestamp,
    ) -> Result<String, String> {
        let fields = fields.map(|(kind, text)| Value::field(kind, text)).collect();
        let output = self.evaluate(fields, now).map_err(|failure| match self.source.get(failure.span) {
            Some(part) if !part.is_empty() => format!("`{}`: {}", shortened(part), failure.message),
            _ => failure.message,
        })?;
        let trimmed = output.trim();
        Ok(if trimmed.len() == output.len() { output } else { trimmed.to_owned() })
    }

    fn evaluate<'a>(&'a self, fields: Vec<Value<'a>>, now: Timestamp) -> Result<String, evaluate::Failure> {
        let mut output = String::new();
        Evaluation::new(fields, now, self.parsed.slots, self.parsed.counters).run(&self.parsed.nodes, &mut output)?;
        Ok(output)
    }
}

/// The names of all filters.
pub fn filter_names() -> impl Iterator<Item = &'static str> {
    functions::FILTERS.iter().map(|filter| filter.name)
}

/// The names of all tests.
pub fn test_names() -> impl Iterator<Item = &'static str> {
    functions::TESTS.iter().map(|test| test.name)
}

/// A part of a template in one line.
fn shortened(part: &str) -> String {
    let line = part.split_whitespace().collect::<Vec<_>>().join(" ");
    // A message stands on one line of a terminal, with the reason behind it.
    match line.char_indices().nth(80) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("source", &self.source).finish_non_exhaustive()
    }
}
