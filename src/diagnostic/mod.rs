//! Everything said to a person who must fix a file. Uses `model` only.

pub mod codes;
pub mod nearest;
pub mod render;

use std::collections::HashMap;
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
    /// Other places of the file that belong to it, and what stands there. A single one is the earlier of the two: where
    /// what was found is written the other way round, the two places change sides.
    pub others: Vec<(Place, String)>,
    /// How many findings it tells of: more than one where others of the same kind are left out.
    pub stands_for: usize,
}

/// Most findings of one code that are told of one file; what is more is counted.
/// Beyond that, one cause is repeated, and the list would scroll the others away.
pub const TOLD_MAX: usize = 20;

/// Whether a finding stops the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
            message: bounded(message.into()),
            file: Arc::clone(file),
            place,
            label: None,
            why: None,
            help: None,
            others: Vec::new(),
            stands_for: 1,
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

    /// The same as a warning.
    #[must_use]
    pub fn as_warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// Shows another place of the same file.
    #[must_use]
    pub fn with_other(mut self, place: Place, label: impl Into<String>) -> Self {
        self.others.push((place, label.into()));
        self
    }

    /// The finding that stands for others like it.
    pub fn more(like: &Self, count: usize) -> Self {
        let (one, are) = if count == 1 { ("finding", "is") } else { ("findings", "are") };
        let message = format!("{count} more {one} of this kind {are} left out");
        let help = "fix those that are shown, and run it again".to_owned();
        Self {
            message,
            label: None,
            why: None,
            help: Some(help),
            others: Vec::new(),
            stands_for: count,
            place: Place::File,
            ..like.clone()
        }
    }
}

/// The warnings about a pipeline that its author may accept with `allow`.
pub const ACCEPTABLE: [&str; 11] =
    ["SL2037", "SL2038", "SL2049", "SL2050", "SL2051", "SL2052", "SL2061", "SL2064", "SL2074", "SL2081", "SL3011"];

/// Longest message, in bytes: what is quoted in it may be of any length.
const MESSAGE_BYTES_MAX: usize = 1_000;

fn bounded(mut message: String) -> String {
    if message.len() > MESSAGE_BYTES_MAX {
        let end = (0..=MESSAGE_BYTES_MAX).rev().find(|end| message.is_char_boundary(*end)).unwrap_or_default();
        message.truncate(end);
        message.push('…');
    }
    message
}

/// Keeps the first findings of each code in each file, and counts the others. The findings are in the order in which they
/// are told; what counts others comes last of its kind.
pub fn cap(findings: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut counts: HashMap<(Arc<str>, &'static str, Severity), usize> = HashMap::new();
    let mut left: HashMap<(Arc<str>, &'static str, Severity), (usize, Diagnostic)> = HashMap::new();
    let mut kept = Vec::new();
    for finding in findings {
        let key = (Arc::clone(&finding.file), finding.code, finding.severity);
        let count = counts.entry(key.clone()).or_default();
        // What counts others is merged with what is counted here.
        if finding.stands_for == 1 && *count < TOLD_MAX {
            *count += 1;
            kept.push(finding);
        } else {
            left.entry(key).or_insert_with(|| (0, finding.clone())).0 += finding.stands_for;
        }
    }
    // Each count follows the last finding of its file.
    let mut left: Vec<(usize, Diagnostic)> = left.into_values().collect();
    // The map has no order, and the same file must give the same output each time.
    left.sort_by_key(|(_, like)| like.code);
    for (count, like) in left {
        let behind = kept.iter().rposition(|finding| finding.file == like.file).map_or(kept.len(), |last| last + 1);
        kept.insert(behind, Diagnostic::more(&like, count));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_counted_and_counted_once() {
        let file: Arc<str> = "a.yaml".into();
        let one = |code, file: &Arc<str>| Diagnostic::error(code, file, Place::File, "wrong");
        let mut findings: Vec<Diagnostic> = (0..TOLD_MAX + 5).map(|_| one("SL1003", &file)).collect();
        findings.push(one("SL1004", &file));
        findings.push(one("SL1003", &"b.yaml".into()));
        let capped = cap(findings);
        let counts: Vec<(&str, &str, usize)> =
            capped.iter().map(|finding| (&*finding.file, finding.code, finding.stands_for)).skip(TOLD_MAX).collect();
        let expected = [("a.yaml", "SL1004", 1), ("a.yaml", "SL1003", 5), ("b.yaml", "SL1003", 1)];
        assert_eq!(counts, expected);
        assert_eq!(cap(capped.clone()), capped);
    }
}
