//! Everything said to a person who must fix a file. Uses `model` only.

pub mod codes;
pub mod render;

use std::ops::Range;
use std::sync::Arc;

/// One finding in a definition. Rules name the place by JSON pointer; the span is looked up late, when it is printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code (`SL1004`); `docs/errors` has a page for each.
    pub code: &'static str,
    /// Whether it stops the run.
    pub severity: Severity,
    /// What is wrong: lower case, no full stop, literals in backticks.
    pub message: String,
    /// The file, relative to the project.
    pub file: Arc<str>,
    /// Where in the file.
    pub place: Place,
    /// What stands under the caret (``expected `clear` or `keep` ``).
    pub label: Option<String>,
    /// Why it is a rule.
    pub why: Option<String>,
    /// What to do.
    pub help: Option<String>,
}

/// Whether a finding stops the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It does.
    Error,
    /// It does not.
    Warning,
}

/// A place in a YAML file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The file as a whole.
    File,
    /// The key of a mapping entry, by the JSON pointer of the entry.
    Key(String),
    /// A value, by its JSON pointer.
    Value(String),
    /// Some bytes inside a scalar value (of the text as decoded): for conditions and templates.
    Within(String, Range<usize>),
    /// Bytes of the file, where the file could not be parsed.
    Bytes(Range<usize>),
}

impl Diagnostic {
    /// An error; `with_…` adds the rest.
    pub fn error(code: &'static str, file: &Arc<str>, place: Place, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            file: Arc::clone(file),
            place,
            label: None,
            why: None,
            help: None,
        }
    }

    /// A warning; `with_…` adds the rest.
    pub fn warning(code: &'static str, file: &Arc<str>, place: Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, file, place, message) }
    }

    /// Says what stands under the caret.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Says why it is a rule.
    #[must_use]
    pub fn with_why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
