//! JSON pointer -> place in the text, for keys and for values.

use std::collections::BTreeMap;
use std::ops::Range;

/// Places of everything in a file, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spans {
    keys: BTreeMap<String, Range<usize>>,
    values: BTreeMap<String, Range<usize>>,
}

impl Spans {
    /// Notes the key of an entry; where the same key stood before, that place.
    pub(super) fn add_key(&mut self, pointer: &str, range: Range<usize>) -> Option<Range<usize>> {
        self.keys.insert(pointer.to_owned(), range)
    }

    /// Notes a value.
    pub(super) fn add_value(&mut self, pointer: String, range: Range<usize>) {
        self.values.insert(pointer, range);
    }

    /// The key of an entry.
    pub fn key(&self, pointer: &str) -> Option<Range<usize>> {
        self.keys.get(pointer).cloned()
    }

    /// A value.
    pub fn value(&self, pointer: &str) -> Option<Range<usize>> {
        self.values.get(pointer).cloned()
    }

    /// The nearest thing that is there: the value, its key, or what contains it.
    pub fn nearest(&self, pointer: &str) -> Option<Range<usize>> {
        let mut pointer = pointer;
        loop {
            if let Some(span) = self.key(pointer).or_else(|| self.value(pointer)) {
                return Some(span);
            }
            pointer = &pointer[..pointer.rfind('/')?];
        }
    }
}

/// Where some bytes of a decoded scalar stand in the text: both are walked side by side, past quotes, escapes and
/// indentation.
pub fn within(text: &str, scalar: Range<usize>, decoded: &str, part: Range<usize>) -> Range<usize> {
    let source = text.get(scalar.clone()).unwrap_or_default();
    // The signs that begin a quoted text or a block; a plain text may begin with two of them itself.
    let skip = source.len() - source.trim_start_matches(['"', '\'', '|', '>', '-', '+']).len();
    let skip =
        if decoded.starts_with(['"', '\'', '-', '+']) && !source.starts_with(['"', '\'', '|', '>']) { 0 } else { skip };
    let mut places = Vec::with_capacity(decoded.len() + 1);
    let mut rest = source[skip..].char_indices().map(|(index, character)| (index + skip, character)).peekable();
    for character in decoded.chars() {
        // Passes over what the text has more than the value: escapes, line ends, indentation.
        while rest.peek().is_some_and(|(_, known)| *known != character && !(*known == '\\' && character.is_control())) {
            rest.next();
        }
        let at = rest.next().map_or(source.len(), |(index, _)| index);
        if source[at..].starts_with('\\') && character.is_control() {
            rest.next();
        }
        places.extend(std::iter::repeat_n(at, character.len_utf8()));
    }
    let end = places.last().map_or(skip, |last| last + decoded.chars().last().map_or(0, char::len_utf8));
    places.push(end.min(source.len()));
    let place = |offset: usize| scalar.start + places.get(offset).or(places.last()).copied().unwrap_or_default();
    let (start, end) = (place(part.start), place(part.end));
    start..end.max(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::compose::places;

    #[track_caller]
    fn check(text: &str, pointer: &str, key: Option<&str>, value: Option<&str>) {
        let spans = places(text).unwrap().spans;
        assert_eq!(spans.key(pointer).map(|span| &text[span]), key, "key of {pointer}");
        assert_eq!(spans.value(pointer).map(|span| &text[span]), value, "value of {pointer}");
    }

    #[test]
    fn places_are_found() {
        let text =
            "a: 1\nü: 'x y'\nlist:\n  - { to: b, from: \"ç\" }\n  - c  # comment\nnested:\n  deep: |\n    text\n";
        check(text, "/a", Some("a"), Some("1"));
        check(text, "/ü", Some("ü"), Some("'x y'"));
        check(text, "/list/0/from", Some("from"), Some("\"ç\""));
        check(text, "/list/1", None, Some("c"));
        check(text, "/list/0", None, Some("{ to: b, from: \"ç\" }"));
        check(text, "/none", None, None);
    }

    #[track_caller]
    fn check_within(text: &str, decoded: &str, part: &str) {
        let spans = places(text).unwrap().spans;
        let start = decoded.find(part).unwrap();
        let found = within(text, spans.value("/w").unwrap(), decoded, start..start + part.len());
        assert_eq!(&text[found], part, "{text}");
    }

    #[test]
    fn parts_of_scalars_are_found() {
        check_within("w: Status__c != 'Draft'\n", "Status__c != 'Draft'", "!=");
        check_within("w: 'it''s here'\n", "it's here", "here");
        check_within("w: \"tab\\there\"\n", "tab\there", "here");
        check_within("w: \"{{ Name }} · {{ Nam }}\"\n", "{{ Name }} · {{ Nam }}", "Nam }}");
        check_within("w: |\n  one\n  two three\n", "one\ntwo three\n", "three");
        check_within("w: >-\n  one\n  two\n", "one two", "two");
    }
}
