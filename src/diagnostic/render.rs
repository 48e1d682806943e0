//! Findings as text for people, as JSON for programs, and as annotations for pull requests.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Diagnostic, Place, Severity};
use crate::model::text::{is_unsafe, line, workflow_command};

/// A finding with its place worked out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Located {
    /// Stable code.
    pub code: &'static str,
    /// Whether it stops the run.
    #[schemars(extend("enum" = ["error", "warning"]))]
    pub severity: &'static str,
    /// What is wrong.
    pub message: String,
    /// The file, relative to the project.
    pub file: String,
    /// First line, from 1.
    pub line: usize,
    /// First column, from 1, in characters.
    pub column: usize,
    /// Last line.
    pub end_line: usize,
    /// Column behind the last character.
    pub end_column: usize,
    /// What stands under the caret.
    pub label: Option<String>,
    /// Why it is a rule.
    pub why: Option<String>,
    /// What to do.
    pub help: Option<String>,
    /// Other places of the file that belong to it.
    pub related: Vec<Related>,
    /// How many findings it tells of: more than one where others of the same kind are left out.
    pub count: usize,
}

/// Another place of a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Related {
    /// First line, from 1.
    pub line: usize,
    /// First column, from 1, in characters.
    pub column: usize,
    /// What stands there.
    pub label: String,
}

/// Where a finding and its other places are, in bytes of the file's text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// The place.
    pub range: Range<usize>,
    /// The other places, in their order.
    pub others: Vec<Range<usize>>,
}

/// Works the places out. `text` is the file's text.
pub fn locate(finding: &Diagnostic, text: &str, places: &Places) -> Located {
    let range = &places.range;
    let (line, column) = position(text, range.start);
    let (end_line, end_column) = position(text, range.end);
    let related = |((_, label), range): (&(Place, String), &Range<usize>)| {
        let (line, column) = position(text, range.start);
        Related { line, column, label: label.clone() }
    };
    Located {
        code: finding.code,
        severity: severity(finding.severity),
        message: finding.message.clone(),
        file: finding.file.to_string(),
        line,
        column,
        end_line,
        end_column,
        label: finding.label.clone(),
        why: finding.why.clone(),
        help: finding.help.clone(),
        related: finding.others.iter().zip(&places.others).map(related).collect(),
        count: finding.stands_for,
    }
}

/// A finding as text: what, where with the line itself and a caret, why, what to do.
pub fn text(finding: &Diagnostic, source: &str, places: &Places, colour: bool) -> String {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let explain = format!("`syncline explain {}`", finding.code);
    let help = match &finding.help {
        Some(help) if help.ends_with('?') => format!("{help} More: {explain}"),
        Some(help) => format!("{help}; more: {explain}"),
        None => format!("see {explain}"),
    };
    let (message, file, help) = (line(&finding.message), line(&finding.file), line(&help));
    let label = finding.label.as_deref().map(line);
    let why = finding.why.as_deref().map(lines);
    let mut group =
        level.primary_title(&*message).id(finding.code).elements(Vec::<annotate_snippets::Message<'_>>::new());
    let shown = visible(source, &places.range);
    let others: Vec<Visible> = places.others.iter().map(|range| visible(source, range)).collect();
    let labels: Vec<std::borrow::Cow<'_, str>> = finding.others.iter().map(|(_, label)| line(label)).collect();
    // A file that could not be read has no line to show.
    if source.is_empty() {
        group = group.element(annotate_snippets::Origin::path(&*file));
    } else {
        let mut annotation = AnnotationKind::Primary.span(shown.range.clone());
        if let Some(label) = &label {
            annotation = annotation.label(&**label);
        }
        let snippet = Snippet::source(shown.text.as_str()).line_start(shown.line).path(&*file);
        group = group.element(snippet.annotation(annotation));
        for (other, label) in others.iter().zip(&labels) {
            let annotation = AnnotationKind::Context.span(other.range.clone()).label(&**label);
            let snippet = Snippet::source(other.text.as_str()).line_start(other.line).path(&*file);
            group = group.element(snippet.annotation(annotation));
        }
    }
    if let Some(why) = &why {
        group = group.element(Level::NOTE.with_name("why").message(why.as_str()));
    }
    group = group.element(Level::HELP.message(&*help));
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group])
}

/// A text with lines of our own; of what others wrote in them, each stays within its line.
fn lines(text: &str) -> String {
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// A finding as a workflow command that annotates the line in a pull request.
pub fn github(located: &Located) -> String {
    let mut message = located.message.clone();
    for (name, more) in [("", &located.label), ("why: ", &located.why), ("help: ", &located.help)] {
        if let Some(more) = more {
            message = format!("{message}\n{name}{more}");
        }
    }
    for related in &located.related {
        message = format!("{message}\nline {}: {}", related.line, related.label);
    }
    let place = [
        ("file", located.file.clone()),
        ("line", located.line.to_string()),
        ("col", located.column.to_string()),
        ("endLine", located.end_line.to_string()),
        ("endColumn", located.end_column.to_string()),
        ("title", located.code.to_owned()),
    ];
    workflow_command(located.severity, &place, &message)
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// Line and column, both from 1, of a byte offset.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..floor(text, offset)];
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}

/// The place itself, or the beginning of the character that it lies in.
fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    // A place may come from a parser that counts otherwise, and must not split a character.
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

struct Visible {
    text: String,
    line: usize,
    range: Range<usize>,
}

/// Longest line that is shown, in bytes; of a longer one, the part around the place.
const LINE_BYTES_MAX: usize = 400;

/// The lines of a place, shortened, with the place in them.
fn visible(source: &str, range: &Range<usize>) -> Visible {
    let start = floor(source, range.start);
    let end = floor(source, range.end).max(start);
    let line_start = source[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = source[start..].find('\n').map_or(source.len(), |at| start + at);
    // Only the first line of a place is marked; more lines would push the message off the screen.
    let end = end.min(line_end);
    let line = source[..line_start].matches('\n').count() + 1;
    let text = source[line_start..line_end].trim_end_matches('\r');
    let (from, to) = if text.len() <= LINE_BYTES_MAX {
        (0, text.len())
    } else {
        let from = floor(text, (start - line_start).saturating_sub(LINE_BYTES_MAX / 2));
        (from, floor(text, from + LINE_BYTES_MAX))
    };
    let range = (start - line_start).clamp(from, to) - from..(end - line_start).clamp(from, to) - from;
    Visible { text: seen(&text[from..to]), line, range }
}

/// A line of a file as it is seen, in the same length, so that places in it stay where they are.
fn seen(text: &str) -> String {
    let seen = |letter: char| match letter {
        '\t' => "\t".to_owned(),
        letter if is_unsafe(letter) => match letter.len_utf8() {
            3 => "\u{fffd}".to_owned(),
            length => "?".repeat(length),
        },
        letter => letter.to_string(),
    };
    if text.chars().any(is_unsafe) { text.chars().map(seen).collect() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_reads_like_a_sentence() {
        let source = "fields:\n  - when_blank: explode\n";
        let file = "pipelines/accounts.yaml".into();
        let place = Place::Value("/fields/0/when_blank".to_owned());
        let finding = Diagnostic::error("SL1004", &file, place, "unknown value `explode` for `when_blank`")
            .with_label("expected `clear` or `keep`")
            .with_why("a blank clears the property or leaves it")
            .with_help("`clear` always follows Salesforce");
        let places = Places { range: 24..31, others: Vec::new() };
        let shown = text(&finding, source, &places, false);
        let expected = "\
error[SL1004]: unknown value `explode` for `when_blank`
 --> pipelines/accounts.yaml:2:17
  |
2 |   - when_blank: explode
  |                 ^^^^^^^ expected `clear` or `keep`
  |
  = why: a blank clears the property or leaves it
  = help: `clear` always follows Salesforce; more: `syncline explain SL1004`";
        assert_eq!(shown, expected, "\n{shown}");
        let located = locate(&finding, source, &places);
        assert_eq!((located.line, located.column, located.end_column), (2, 17, 24));
        assert!(github(&located).starts_with(
            "::error file=pipelines/accounts.yaml,line=2,col=17,endLine=2,endColumn=24,title=SL1004::unknown"
        ));
    }

    #[test]
    fn a_second_place_is_shown_with_the_first() {
        let source = "fields:\n  - { to: a }\n  - { to: a }\n";
        let file = "a.yaml".into();
        let finding = Diagnostic::error("SL2032", &file, Place::File, "mapped twice")
            .with_label("again")
            .with_other(Place::File, "first");
        let places = Places { range: 32..33, others: std::iter::once(18..19).collect() };
        let shown = text(&finding, source, &places, false);
        assert!(shown.contains("3 |   - { to: a }\n  |           ^ again"), "{shown}");
        assert!(shown.contains("2 |   - { to: a }\n  |           - first"), "{shown}");
        let located = locate(&finding, source, &places);
        assert_eq!((located.related[0].line, located.related[0].column), (2, 11));
        assert!(github(&located).ends_with("mapped twice%0Aagain%0Aline 2: first"));
    }
}
