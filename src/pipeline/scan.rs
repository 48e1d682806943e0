//! Reads a template's text without running it: names that it uses, and what it must not write.

use std::ops::Range;

/// Where a template names a path, in bytes.
pub(super) fn position(source: &str, path: &str) -> Option<usize> {
    let part_of_name = |character: char| is_name(character) || character == '.';
    let alone = |start: &usize| {
        !source[..*start].ends_with(part_of_name) && !source[start + path.len()..].starts_with(part_of_name)
    };
    code(source).into_iter().find_map(|Code { span, .. }| {
        let found = source[span.clone()].match_indices(path).map(|(at, _)| span.start + at);
        found.into_iter().find(alone)
    })
}

/// A filter or test that a template uses.
pub(super) struct UsedName {
    pub(super) kind: &'static str,
    pub(super) span: Range<usize>,
}

/// The filters (`| name`) and tests (`is name`, `is not name`) that a template uses.
pub(super) fn used_names(source: &str) -> Vec<UsedName> {
    let mut used = Vec::new();
    for Code { span, .. } in code(source) {
        let mut kind = None;
        let mut rest = span.start;
        while rest < span.end {
            let text = &source[rest..span.end];
            let word = text.find(|character: char| !is_name(character)).unwrap_or(text.len());
            match (&text[..word], kind) {
                ("", _) => {
                    let character = text.chars().next().unwrap_or(' ');
                    if !character.is_whitespace() {
                        kind = (character == '|').then_some("filter");
                    }
                    rest += character.len_utf8();
                    continue;
                }
                ("is", _) => kind = Some("test"),
                ("not", Some("test")) => {}
                (name, Some(expected)) => {
                    used.push(UsedName { kind: expected, span: rest..rest + name.len() });
                    kind = None;
                }
                (_, None) => {}
            }
            rest += word;
        }
    }
    used
}

/// What stands before a bracket or comma.
#[derive(Clone, Copy, PartialEq)]
enum Before {
    Operand,
    Other,
}

/// Words behind which a bracket opens a new value.
const KEYWORDS: [&str; 15] =
    ["in", "if", "elif", "else", "and", "or", "not", "is", "for", "set", "with", "filter", "do", "call", "recursive"];

/// Where a template writes a list, tuple or map. Built of each other they grow beyond every limit at no cost, so templates
/// have to do without; subscripts (`Name[0:3]`) and the arguments of calls are no lists.
pub(super) fn container(source: &str) -> Option<Range<usize>> {
    let mut calls = Vec::new();
    for Code { span, opens } in code(source) {
        // A part that does not open its braces follows a quoted text, which is a value.
        let mut before = if opens { Before::Other } else { Before::Operand };
        if opens {
            calls.clear();
        }
        let mut rest = span.start;
        while rest < span.end {
            let text = &source[rest..span.end];
            let length = text.find(|character: char| !is_name(character)).unwrap_or(text.len());
            let Some(character) = text.chars().next().filter(|_| length == 0) else {
                before = if KEYWORDS.contains(&&text[..length]) { Before::Other } else { Before::Operand };
                rest += length;
                continue;
            };
            let list = match character {
                '{' => true,
                '[' => before == Before::Other,
                ',' => calls.last() != Some(&true),
                _ => false,
            };
            if list {
                return Some(rest..rest + 1);
            }
            match character {
                '(' => calls.push(before == Before::Operand),
                '[' => calls.push(false),
                ')' | ']' => drop(calls.pop()),
                _ => {}
            }
            if !character.is_whitespace() {
                before = if matches!(character, ')' | ']') { Before::Operand } else { Before::Other };
            }
            rest += character.len_utf8();
        }
    }
    None
}

fn is_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// A part of a template that is code.
struct Code {
    span: Range<usize>,
    /// Begins behind the braces; other parts follow a quoted text.
    opens: bool,
}

/// The parts of a template that are code: between its braces, without comments and quoted texts.
fn code(source: &str) -> Vec<Code> {
    let mut spans = Vec::new();
    let mut rest = 0;
    while let Some(open) = source[rest..].find('{').map(|at| rest + at) {
        let end = match source.as_bytes().get(open + 1) {
            Some(b'{') => "}}",
            Some(b'%') => "%}",
            Some(b'#') => {
                rest = source[open..].find("#}").map_or(source.len(), |at| open + at + 2);
                continue;
            }
            _ => {
                rest = open + 1;
                continue;
            }
        };
        rest = open + 2;
        let mut start = rest;
        let mut opens = true;
        while rest < source.len() && !source[rest..].starts_with(end) {
            match source[rest..].chars().next() {
                Some(quote @ ('\'' | '"')) => {
                    spans.push(Code { span: start..rest, opens });
                    opens = false;
                    rest = behind_quote(source, rest + 1, quote);
                    start = rest;
                }
                Some(other) => rest += other.len_utf8(),
                None => break,
            }
        }
        spans.push(Code { span: start..rest, opens });
        if source[start..rest].trim_matches(['-', '+', ' ']) == "raw" {
            rest = source[rest..].find("endraw").map_or(source.len(), |at| rest + at);
        }
    }
    spans
}

/// The place behind the quote that closes a text.
fn behind_quote(source: &str, start: usize, quote: char) -> usize {
    let mut characters = source[start..].char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => {
                characters.next();
            }
            other if other == quote => return start + at + 1,
            _ => {}
        }
    }
    source.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_the_code_only() {
        assert_eq!(position("Name: {{ MyName }} {{ 'Name' }} {{ Name }}", "Name"), Some(35));
        assert_eq!(position("{{ Account__r.Name }}", "Name"), None);
        assert_eq!(position("{{ Account__r.Name }}", "Account__r.Name"), Some(3));
    }

    #[track_caller]
    fn check(source: &str, expected: Option<usize>) {
        assert_eq!(container(source).map(|span| span.start), expected, "{source}");
    }

    #[test]
    fn lists_are_told_from_subscripts_and_arguments() {
        check("{{ Name[0:3] }} [a, b] {{ Name | replace('[', '(')[1] }}", None);
        check("{{ Name | replace('a', 'b') | truncate(5) }}", None);
        check("{{ (Amount__c + 1) * 2 }}{% if Name is startingwith('a') %}{% endif %}", None);
        check("{{ 'abc'[1] }}{{ f(1, (2), 3)[0] }}", None);
        check("{{ [1] }}", Some(3));
        check("{% for a in [1] %}", Some(12));
        check("{{ Name, Name }}", Some(7));
        check("{{ (Name, Name) }}", Some(8));
        check("{{ f((1, 2)) }}", Some(7));
        check("{{ {'a': 1} }}", Some(3));
        check("{{ Name if x else [1] }}", Some(18));
    }
}
