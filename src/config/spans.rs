//! JSON pointer -> place in the text, for keys and for values. Also refuses what no definition needs: tags, several
//! documents, deep nesting, many aliases.

use std::collections::BTreeMap;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::yaml::escape;

/// Deepest nesting of a definition.
pub const DEPTH_MAX: usize = 64;

/// Most aliases of a definition: a few are handy, thousands are a bomb.
pub const ALIASES_MAX: usize = 100;

/// Places of everything in a file, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spans {
    keys: BTreeMap<String, Range<usize>>,
    values: BTreeMap<String, Range<usize>>,
}

/// Why a text is refused before it is decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Code of the finding.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// Where, in bytes.
    pub span: Range<usize>,
    /// What to do.
    pub help: Option<String>,
}

impl Spans {
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

/// Indexes a text. Errors: what is wrong with it, at its place.
pub fn index(text: &str) -> Result<Spans, Refused> {
    let mut builder = Builder {
        text,
        offsets: Offsets::new(text),
        spans: Spans::default(),
        stack: Vec::new(),
        aliases: 0,
        documents: 0,
    };
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => builder.event(&event, span)?,
            Err(error) => {
                let at = builder.offsets.byte(error.marker().index());
                if error.info().contains("recursion limit") {
                    return Err(too_deep(at..at));
                }
                let tab = text[..at.min(text.len())]
                    .lines()
                    .last()
                    .is_some_and(|line| line.trim_start_matches(' ').starts_with('\t'))
                    || text[at.min(text.len())..].starts_with('\t');
                let help = tab.then(|| "YAML is indented with blanks, never with tabs".to_owned());
                return Err(Refused { code: "SL1002", message: error.info().to_owned(), span: at..at, help });
            }
        }
    }
    Ok(builder.spans)
}

/// Character offsets of the parser as byte offsets.
struct Offsets(Option<Vec<usize>>);

impl Offsets {
    fn new(text: &str) -> Self {
        Self((!text.is_ascii()).then(|| text.char_indices().map(|(index, _)| index).chain([text.len()]).collect()))
    }

    fn byte(&self, character: usize) -> usize {
        match &self.0 {
            None => character,
            Some(offsets) => offsets.get(character).or(offsets.last()).copied().unwrap_or_default(),
        }
    }
}

enum Frame {
    Sequence { pointer: String, next: usize, start: usize },
    Mapping { pointer: String, key: Option<String>, start: usize },
}

struct Builder<'a> {
    text: &'a str,
    offsets: Offsets,
    spans: Spans,
    stack: Vec<Frame>,
    aliases: usize,
    documents: usize,
}

impl Builder<'_> {
    fn event(&mut self, event: &Event<'_>, span: Span) -> Result<(), Refused> {
        let range = self.offsets.byte(span.start.index())..self.offsets.byte(span.end.index());
        let refuse = |code, message: &str, help: &str| {
            Err(Refused { code, message: message.to_owned(), span: range.clone(), help: Some(help.to_owned()) })
        };
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return refuse(
                        "SL1011",
                        "the file holds several documents",
                        "one file holds one definition: remove the `---`",
                    );
                }
            }
            Event::Alias(_) => {
                self.aliases += 1;
                if self.aliases > ALIASES_MAX {
                    return refuse("SL1011", "the file has more than 100 aliases", "write the values out");
                }
                self.node(range.clone(), None);
            }
            Event::Scalar(text, style, _, tag) => {
                if tag.is_some() {
                    return refuse(
                        "SL1011",
                        "tags are not supported",
                        "remove the tag; quote the value if it must be text",
                    );
                }
                if self.expects_key() {
                    return self.key(text, range);
                }
                let range = self.trimmed(range, *style);
                self.node(range, None);
            }
            Event::SequenceStart(_, tag) | Event::MappingStart(_, tag) => {
                if tag.is_some() {
                    return refuse("SL1011", "tags are not supported", "remove the tag");
                }
                if self.expects_key() {
                    return refuse("SL1002", "a key must be a plain value", "write `key: value`");
                }
                if self.stack.len() >= DEPTH_MAX {
                    return Err(too_deep(range));
                }
                let mapping = matches!(event, Event::MappingStart(..));
                self.node(range, Some(mapping));
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(range.end),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn expects_key(&self) -> bool {
        matches!(self.stack.last(), Some(Frame::Mapping { key: None, .. }))
    }

    fn key(&mut self, text: &str, range: Range<usize>) -> Result<(), Refused> {
        let Some(Frame::Mapping { pointer, key, .. }) = self.stack.last_mut() else { return Ok(()) };
        let entry = format!("{pointer}/{}", escape(text));
        if text == "<<" {
            let help = Some("write the keys out".to_owned());
            return Err(Refused {
                code: "SL1011",
                message: "merge keys are not supported".to_owned(),
                span: range,
                help,
            });
        }
        if let Some(first) = self.spans.keys.get(&entry) {
            let line = self.text[..first.start].lines().count().max(1);
            let line = if self.text[..first.start].ends_with('\n') { line + 1 } else { line };
            let message = format!("the key `{text}` stands twice");
            let help = Some(format!("it stands in line {line} already: keep one of them"));
            return Err(Refused { code: "SL1007", message, span: range, help });
        }
        self.spans.keys.insert(entry.clone(), range);
        *key = Some(entry);
        Ok(())
    }

    /// Enters a value; opens a collection when it is one.
    fn node(&mut self, range: Range<usize>, collection: Option<bool>) {
        let pointer = match self.stack.last_mut() {
            None => String::new(),
            Some(Frame::Sequence { pointer, next, .. }) => {
                *next += 1;
                format!("{pointer}/{}", *next - 1)
            }
            Some(Frame::Mapping { key, .. }) => key.take().unwrap_or_default(),
        };
        let start = range.start;
        self.spans.values.insert(pointer.clone(), range);
        match collection {
            Some(true) => self.stack.push(Frame::Mapping { pointer, key: None, start }),
            Some(false) => self.stack.push(Frame::Sequence { pointer, next: 0, start }),
            None => {}
        }
    }

    fn close(&mut self, end: usize) {
        if let Some(Frame::Sequence { pointer, start, .. } | Frame::Mapping { pointer, start, .. }) = self.stack.pop() {
            let shown = &self.text[start..end.max(start).min(self.text.len())];
            self.spans.values.insert(pointer, start..start + shown.trim_end().len());
        }
    }

    /// A plain scalar's span may include the blanks behind it.
    fn trimmed(&self, range: Range<usize>, style: ScalarStyle) -> Range<usize> {
        if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
            return range;
        }
        let text = self.text.get(range.clone()).unwrap_or_default();
        range.start..range.start + text.trim_end().len()
    }
}

/// Where some bytes of a decoded scalar stand in the text: both are walked side by side, past quotes, escapes and
/// indentation.
pub fn within(text: &str, scalar: Range<usize>, decoded: &str, part: Range<usize>) -> Range<usize> {
    let source = text.get(scalar.clone()).unwrap_or_default();
    let skip = source.len() - source.trim_start_matches(['"', '\'', '|', '>', '-', '+']).len();
    let skip =
        if decoded.starts_with(['"', '\'', '-', '+']) && !source.starts_with(['"', '\'', '|', '>']) { 0 } else { skip };
    let mut places = Vec::with_capacity(decoded.len() + 1);
    let mut rest = source[skip..].char_indices().map(|(index, character)| (index + skip, character)).peekable();
    for character in decoded.chars() {
        while rest.peek().is_some_and(|(_, own)| *own != character && !(*own == '\\' && character.is_control())) {
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

fn too_deep(span: Range<usize>) -> Refused {
    let help = Some("no definition needs that".to_owned());
    Refused { code: "SL1011", message: "the file is nested more than 64 deep".to_owned(), span, help }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, pointer: &str, key: Option<&str>, value: Option<&str>) {
        let spans = index(text).unwrap();
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
    fn refuse(text: &str, code: &str, part: &str) {
        let refused = index(text).expect_err(text);
        assert_eq!(refused.code, code, "{refused:?}");
        assert!(refused.message.contains(part), "{refused:?}");
    }

    #[test]
    fn tricks_are_refused() {
        refuse("a: 1\nb: 2\na: 3\n", "SL1007", "twice");
        refuse("a: 1\n---\nb: 2\n", "SL1011", "several documents");
        refuse("a: !!str 1\n", "SL1011", "tags");
        refuse("x: &x {a: 1}\ny:\n  <<: *x\n", "SL1011", "merge");
        refuse(&format!("{}1{}", "[".repeat(100), "]".repeat(100)), "SL1011", "deep");
        refuse("a: [1, 2\n", "SL1002", "");
        let bomb = format!("a: &a 1\nb: [{}]\n", "*a,".repeat(200));
        refuse(&bomb, "SL1011", "aliases");
    }

    #[track_caller]
    fn check_within(text: &str, decoded: &str, part: &str) {
        let spans = index(text).unwrap();
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
