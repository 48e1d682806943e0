//! YAML text -> a tree of texts as they were typed, with the place of each. Refuses what no definition needs: tags, several
//! documents, deep nesting, many aliases. The only file that names the YAML parser.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::spans::Spans;
use super::yaml::escape;
use super::yaml_errors::{self, Refused, Stopped};

/// Deepest nesting of a definition.
/// A definition needs six levels; the tree is walked by recursion.
pub const DEPTH_MAX: usize = 64;

/// Most aliases of a definition: a few are handy, thousands are a bomb.
pub const ALIASES_MAX: usize = 100;

/// Most values that aliases may repeat in all.
/// An alias of aliases multiplies: a file of a kilobyte could stand for gigabytes.
pub const REPEATED_MAX: usize = 100_000;

/// A part of a document. What a scalar means (a number, a text) is for the schema to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A scalar.
    Scalar {
        /// Its text; without quotes, as it stands in the file.
        text: String,
        /// It is written without quotes.
        plain: bool,
    },
    /// A list.
    List(Vec<Rc<Node>>),
    /// Keys with values, in file order; no key twice.
    Map(Vec<(String, Rc<Node>)>),
}

/// A document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its content; none where there are only comments.
    pub root: Option<Rc<Node>>,
    /// Where everything stands.
    pub spans: Spans,
}

/// Reads a text; none where there are only comments. Errors: what is wrong with it, at its place.
pub fn compose(text: &str) -> Result<Option<Rc<Node>>, Refused> {
    // Nearly all texts are good, and nobody asks where things stand in one that is; what is wrong with another is told with its place.
    match read(text, None) {
        Ok(builder) if !builder.twice => Ok(builder.root),
        Ok(_) | Err(_) => places(text).map(|document| document.root),
    }
}

/// Reads a text, and where everything stands in it. Errors: what is wrong with it, at its place.
pub fn places(text: &str) -> Result<Document, Refused> {
    let Builder { root, spans, .. } = read(text, Some(Spans::default()))?;
    Ok(Document { root, spans: spans.unwrap_or_default() })
}

fn read(text: &str, spans: Option<Spans>) -> Result<Builder<'_>, Refused> {
    // The parser passes some of them on, and they could hide text in a terminal.
    if let Some(refused) = yaml_errors::control_character(text) {
        return Err(refused);
    }
    let mut builder = Builder {
        text,
        offsets: Offsets::new(text),
        spans,
        stack: Vec::new(),
        root: None,
        anchors: HashMap::new(),
        aliases: 0,
        repeated: 0,
        documents: 0,
        end: 0,
        twice: false,
    };
    // Events and no tree of the parser's own: only they have the places that findings point at.
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => builder.event(event, span)?,
            Err(error) => {
                let at = builder.offsets.byte(error.marker().index()).min(text.len());
                return Err(builder.stopped(error.info(), at));
            }
        }
    }
    Ok(builder)
}

/// Character offsets of the parser as byte offsets.
struct Offsets(Option<Vec<usize>>);

impl Offsets {
    fn new(text: &str) -> Self {
        // Nearly all files are ASCII, where both offsets are the same and no table is needed.
        Self((!text.is_ascii()).then(|| text.char_indices().map(|(index, _)| index).chain([text.len()]).collect()))
    }

    /// The reader counts characters, places are bytes; a text of ASCII letters alone needs no table.
    fn byte(&self, character: usize) -> usize {
        match &self.0 {
            None => character,
            Some(offsets) => offsets.get(character).or(offsets.last()).copied().unwrap_or_default(),
        }
    }
}

/// A collection that is open.
struct Frame {
    pointer: String,
    start: usize,
    anchor: usize,
    /// How many values it holds, those of aliases among them.
    size: usize,
    content: Content,
}

enum Content {
    List(Vec<Rc<Node>>),
    /// The entries, and the key and pointer of the one whose value comes next.
    Map(Vec<(String, Rc<Node>)>, Option<(String, String)>),
}

struct Builder<'a> {
    text: &'a str,
    offsets: Offsets,
    /// None where they are not asked for: then pointers are empty, too.
    spans: Option<Spans>,
    stack: Vec<Frame>,
    root: Option<Rc<Node>>,
    /// What anchors name, with its size.
    anchors: HashMap<usize, (Rc<Node>, usize)>,
    aliases: usize,
    repeated: usize,
    documents: usize,
    /// End of the last event.
    end: usize,
    /// A key stands twice in a map whose places are not kept.
    twice: bool,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Refused> {
        let range = self.offsets.byte(span.start.index())..self.offsets.byte(span.end.index());
        self.end = range.end.min(self.text.len());
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    let help =
                        "one file holds one definition: remove the `---`, or move what follows to a file of its own";
                    return Err(Refused::new("SL1011", range, "the file holds several documents").with_help(help));
                }
            }
            Event::Alias(anchor) => self.alias(anchor, range)?,
            Event::Scalar(text, style, anchor, tag) => {
                self.indented(range.start)?;
                if tag.is_some() {
                    let help = "remove the tag; quote the value if it must be text";
                    return Err(Refused::new("SL1011", range, "tags are not supported").with_help(help));
                }
                if self.expects_key() {
                    return self.key(kept(text), range);
                }
                self.note_value(|builder| builder.trimmed(range, style));
                let node = Rc::new(Node::Scalar { text: kept(text), plain: style == ScalarStyle::Plain });
                self.put(node, anchor, 1);
            }
            Event::SequenceStart(anchor, ref tag) | Event::MappingStart(anchor, ref tag) => {
                self.indented(range.start)?;
                if tag.is_some() {
                    return Err(Refused::new("SL1011", range, "tags are not supported").with_help("remove the tag"));
                }
                if self.expects_key() {
                    return Err(yaml_errors::key_is_a_collection(self.text, range));
                }
                if self.stack.len() >= DEPTH_MAX {
                    return Err(too_deep(range));
                }
                let content = match event {
                    Event::MappingStart(..) => Content::Map(Vec::new(), None),
                    _ => Content::List(Vec::new()),
                };
                let start = range.start;
                let pointer = self.note_value(|_| range);
                self.stack.push(Frame { pointer, start, anchor, size: 1, content });
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(range.end),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    /// Refuses tabs before what begins a line, which the parser lets pass in places where other readers do not. Between
    /// brackets they are white space.
    fn indented(&self, start: usize) -> Result<(), Refused> {
        let flow = self.stack.last().is_some_and(|frame| self.text[frame.start..].starts_with(['{', '[']));
        if flow {
            return Ok(());
        }
        let line = self.text[..start].rfind('\n').map_or(0, |end| end + 1);
        let before = self.text.get(line..start).unwrap_or_default();
        match before.find('\t').filter(|_| before.trim().is_empty()) {
            Some(tab) => Err(yaml_errors::tab_at(line + tab)),
            None => Ok(()),
        }
    }

    fn expects_key(&self) -> bool {
        matches!(self.stack.last(), Some(Frame { content: Content::Map(_, None), .. }))
    }

    /// Takes a key of the map that is open; its value comes with the next event.
    fn key(&mut self, text: String, range: Range<usize>) -> Result<(), Refused> {
        let Some(Frame { pointer, content: Content::Map(_, next), .. }) = self.stack.last_mut() else { return Ok(()) };
        // Their order of precedence surprises, and a reviewer could not see what a key holds.
        if text == "<<" {
            let refused = Refused::new("SL1011", range, "merge keys are not supported");
            return Err(refused.with_help("write the keys out"));
        }
        let mut entry = String::new();
        if let Some(spans) = &mut self.spans {
            entry = format!("{pointer}/{}", escape(&text));
            // Most readers keep the last one silently, so one of the two lines would have no effect.
            if let Some(first) = spans.add_key(&entry, range.clone()) {
                let mut refused = Refused::new("SL1007", range, format!("the key `{text}` appears twice"));
                refused.other = Some((first, "it appears here first"));
                return Err(refused.with_label("and here again").with_help("keep one of them"));
            }
        }
        *next = Some((text, entry));
        Ok(())
    }

    /// Takes an alias as the value that it names. Bounded, since aliases of aliases grow without limit in a small
    /// file.
    fn alias(&mut self, anchor: usize, range: Range<usize>) -> Result<(), Refused> {
        if self.expects_key() {
            return Err(Refused::new("SL1002", range, "an alias cannot be a key").with_help("write the key out"));
        }
        self.aliases += 1;
        if self.aliases > ALIASES_MAX {
            let refused = Refused::new("SL1011", range, format!("the file has more than {ALIASES_MAX} aliases"));
            return Err(refused.with_help("write the values out"));
        }
        // An anchor counts once its value is whole; inside, it would contain itself.
        let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
            let refused = Refused::new("SL1011", range, "the alias is inside the value that it names");
            return Err(refused.with_help("write the values out"));
        };
        self.repeated = self.repeated.saturating_add(size);
        if self.repeated > REPEATED_MAX {
            let message = format!("aliases repeat more than {REPEATED_MAX} values");
            return Err(Refused::new("SL1011", range, message).with_help("write out what is needed"));
        }
        self.note_value(|_| range);
        // Shared and not copied; the size is counted as if it were.
        self.put(node, 0, size);
        Ok(())
    }

    /// Notes where the value that comes stands, and gives its pointer.
    fn note_value(&mut self, place: impl FnOnce(&Self) -> Range<usize>) -> String {
        if self.spans.is_none() {
            return String::new();
        }
        let (pointer, place) = (self.next_pointer(), place(self));
        if let Some(spans) = &mut self.spans {
            spans.add_value(pointer.clone(), place);
        }
        pointer
    }

    /// The pointer of the value that comes.
    fn next_pointer(&self) -> String {
        match self.stack.last() {
            None => String::new(),
            Some(Frame { pointer, content: Content::List(items), .. }) => format!("{pointer}/{}", items.len()),
            Some(Frame { content: Content::Map(_, next), .. }) => {
                next.as_ref().map(|(_, pointer)| pointer.clone()).unwrap_or_default()
            }
        }
    }

    /// Puts a whole value where it belongs.
    fn put(&mut self, node: Rc<Node>, anchor: usize, size: usize) {
        if anchor > 0 {
            self.anchors.insert(anchor, (Rc::clone(&node), size));
        }
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return;
        };
        frame.size = frame.size.saturating_add(size);
        match &mut frame.content {
            Content::List(items) => items.push(node),
            Content::Map(entries, next) => entries.extend(next.take().map(|(key, _)| (key, node))),
        }
    }

    fn close(&mut self, end: usize) {
        let Some(Frame { pointer, start, anchor, size, content }) = self.stack.pop() else { return };
        match (&mut self.spans, &content) {
            (Some(spans), _) => {
                let shown = &self.text[start..end.max(start).min(self.text.len())];
                spans.add_value(pointer, start..start + shown.trim_end().len());
            }
            (None, Content::Map(entries, _)) => self.twice |= has_twice(entries),
            (None, Content::List(_)) => {}
        }
        let node = match content {
            Content::List(items) => Node::List(items),
            Content::Map(entries, _) => Node::Map(entries),
        };
        self.put(Rc::new(node), anchor, size);
    }

    /// A plain scalar's span may include the blanks behind it.
    fn trimmed(&self, range: Range<usize>, style: ScalarStyle) -> Range<usize> {
        // Their line breaks belong to the value.
        if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
            return range;
        }
        let text = self.text.get(range.clone()).unwrap_or_default();
        range.start..range.start + text.trim_end().len()
    }

    /// What the parser stopped at, in words.
    fn stopped(&self, info: &str, at: usize) -> Refused {
        // The parser has a limit of its own, which may come first.
        if info.contains("recursion limit") {
            return too_deep(at..at);
        }
        let mut open = self.stack.iter().map(|frame| frame.start);
        let open = open.rfind(|start| self.text[*start..].starts_with(['{', '[']));
        yaml_errors::explain(&Stopped { text: self.text, info, at, read_to: self.end, open })
    }
}

/// A text in memory of its own length: the parser's is several times as long, and definitions keep thousands of them.
fn kept(text: Cow<'_, str>) -> String {
    let mut text = text.into_owned();
    text.shrink_to_fit();
    text
}

/// Whether a key stands twice.
fn has_twice(entries: &[(String, Rc<Node>)]) -> bool {
    // Most maps have a handful of keys, where looking at each pair is quickest.
    const FEW: usize = 12;
    if entries.len() <= FEW {
        return entries
            .iter()
            .enumerate()
            .any(|(index, (key, _))| entries[..index].iter().any(|(known, _)| known == key));
    }
    let mut known = HashSet::with_capacity(entries.len());
    entries.iter().any(|(key, _)| !known.insert(key))
}

fn too_deep(span: Range<usize>) -> Refused {
    let refused = Refused::new("SL1011", span, format!("the file is nested more than {DEPTH_MAX} deep"));
    refused.with_help("no definition needs that")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refuse(text: &str, code: &str, part: &str) {
        let refused = compose(text).expect_err(text);
        // The reading without places refuses it as well, or leaves it to the other.
        match read(text, None) {
            Ok(builder) => assert!(builder.twice, "{text}"),
            Err(first) => assert_eq!(first.code, refused.code, "{text}"),
        }
        assert_eq!(refused.code, code, "{refused:?}");
        assert!(refused.message.contains(part), "{refused:?}");
    }

    #[test]
    fn tricks_are_refused() {
        refuse("a: 1\nb: 2\na: 3\n", "SL1007", "twice");
        refuse("1.10: 1\n\"1.10\": 2\n", "SL1007", "`1.10` appears twice");
        refuse("a: 1\n---\nb: 2\n", "SL1011", "several documents");
        refuse("a: !!str 1\n", "SL1011", "tags");
        refuse("x: &x {a: 1}\ny:\n  <<: *x\n", "SL1011", "merge");
        refuse("x: &x [a, *x]\n", "SL1011", "inside the value that it names");
        refuse(&format!("{}1{}", "[".repeat(100), "]".repeat(100)), "SL1011", "deep");
        refuse("a: [1, 2\n", "SL1002", "is not closed");
        let bomb = format!("a: &a 1\nb: [{}]\n", "*a,".repeat(200));
        refuse(&bomb, "SL1011", "aliases");
        let levels = |from: usize, to: usize| format!("l{to}: &l{to} [{}]\n", format!("*l{from}, ").repeat(9));
        let laughs: String = (0..9).map(|level| levels(level, level + 1)).collect();
        refuse(&format!("l0: &l0 [lol]\n{laughs}"), "SL1011", "repeat more than");
    }

    #[test]
    fn a_text_is_the_same_with_its_places_and_without() {
        let many = |last: usize| (0..last).map(|key| format!("k{key}: {key}\n")).collect::<String>();
        for text in ["", "# a\n", "a: [1, {b: \"x\\ty\"}]\nc: &x |\n  d\ne: *x\n", &many(5), &many(50)] {
            assert_eq!(compose(text).unwrap(), places(text).unwrap().root, "{text}");
        }
        for last in [2, 11, 12, 13, 50] {
            refuse(&format!("{}k1: 1\n", many(last)), "SL1007", "`k1` appears twice");
        }
    }

    #[test]
    fn texts_stay_as_they_are_typed() {
        let typed = |text: &str| match compose(&format!("a: {text}\n")).unwrap().as_deref() {
            Some(Node::Map(entries)) => match &*entries[0].1 {
                Node::Scalar { text, plain } => (text.clone(), *plain),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        };
        for text in ["1.10", "1e3", "0x1F", "0o17", "1_000", "+5", ".5", "1.", "-0", "0123", "~", ".inf", "True", "yes"]
        {
            assert_eq!(typed(text), (text.to_owned(), true));
            assert_eq!(typed(&format!("'{text}'")), (text.to_owned(), false));
        }
        assert_eq!(typed("&x 1.10"), ("1.10".to_owned(), true));
    }
}
