//! What a YAML parser stops at, in the words of the person who wrote the file: what is wrong, where it began, what to write.

use std::ops::Range;

/// Why a text is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Code of the finding.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What stands under the caret.
    pub label: Option<String>,
    /// Where, in bytes.
    pub span: Range<usize>,
    /// Another place that belongs to it, and what stands there.
    pub other: Option<(Range<usize>, &'static str)>,
    /// What to do.
    pub help: Option<String>,
}

impl Refused {
    pub(super) fn new(code: &'static str, span: Range<usize>, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), label: None, span, other: None, help: None }
    }

    pub(super) fn with_label(self, label: impl Into<String>) -> Self {
        Self { label: Some(label.into()), ..self }
    }

    pub(super) fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// Where and why the parser stopped.
pub(super) struct Stopped<'a> {
    /// The whole text.
    pub text: &'a str,
    /// The parser's own words.
    pub info: &'a str,
    /// The place, in bytes.
    pub at: usize,
    /// Everything before is read and sound.
    pub read_to: usize,
    /// Where the innermost `{` or `[` stands that is open.
    pub open: Option<usize>,
}

/// Words of the parser (a part of them), what is wrong, and what to do; in the order in which they are looked up.
const KNOWN: [(&str, &str, &str); 21] = [
    (
        "mapping values are not allowed",
        "a `:` is not expected here",
        "put the value in quotes if the `:` belongs to it; else check the indentation of this line and of the one before",
    ),
    (
        "simple key expect",
        "a `:` is missing after the key",
        "write `key: value`; a text of several lines begins with `|`",
    ),
    ("illegal placement of ':'", "a `:` is not expected here", "put the value in quotes if the `:` belongs to it"),
    ("':' must be followed", "a space is missing after the `:`", "write `key: value`"),
    ("':' may not precede", "a space is missing after the `:`", "write `key: value`"),
    (
        "mapping keys are not allowed",
        "a key is not expected here",
        "check the indentation of this line and of the one before",
    ),
    (
        "did not find expected key",
        "the line is indented differently from its neighbours",
        "begin all keys of one level in the same column",
    ),
    (
        "expected '-' indicator",
        "the line is indented differently from its neighbours",
        "begin all items of a list with `- ` in the same column",
    ),
    (
        "block sequence entries are not allowed",
        "a list item cannot stand here",
        "begin the list on its own line below the key, each item with `- `",
    ),
    (
        "only valid inside a block",
        "a `-` cannot stand between brackets",
        "separate the items by commas, or write the list below its key",
    ),
    (
        "'-' must be followed",
        "a space is missing after the `-`",
        "write `- item`; put the value in quotes if the `-` belongs to it",
    ),
    ("plain scalar cannot start with '-'", "a value cannot begin like this", "put it in quotes"),
    (
        "invalid indentation",
        "the line is indented differently from its neighbours",
        "begin all keys of one level in the same column",
    ),
    (
        "wrongly indented line in block scalar",
        "a line of the text is indented less than its first one",
        "indent all lines of the text alike",
    ),
    ("indentation indicator", "the number after `|` or `>` is not valid", "write `|` or `>` alone"),
    ("while scanning a block scalar", "there is text after `|` or `>`", "begin the text on the next line"),
    ("misplaced bracket", "this bracket closes nothing", "remove it, or put the value in quotes"),
    (
        "comment intercepting",
        "there is a comment inside a text of several lines",
        "begin the text with `|`, or move the comment",
    ),
    (
        "hexadecimal number",
        "the escape is not complete",
        "write `\\xNN` or `\\uNNNN`; in single quotes a `\\` is an ordinary character",
    ),
    ("Unicode character escape", "the escape names no character", "in single quotes a `\\` is an ordinary character"),
    (
        "byte order mark",
        "there is a byte order mark inside the text",
        "remove it: it is valid only at the very beginning of a file",
    ),
];

/// What is wrong, with the place where it began.
pub(super) fn explain(stopped: &Stopped<'_>) -> Refused {
    let Stopped { text, info, at, .. } = *stopped;
    // From what can be told for certain to what is likely; a tab explains most of the others.
    let special = tab(text, at)
        .or_else(|| variable(stopped))
        .or_else(|| quote(stopped))
        .or_else(|| behind_quote(text, info, at))
        .or_else(|| no_colon(text, info, at))
        .or_else(|| anchor(text, info, at))
        .or_else(|| escape(text, info, at))
        .or_else(|| character(text, info, at))
        .or_else(|| bracket(stopped));
    if let Some(refused) = special {
        return refused;
    }
    let span = token(text, at);
    match KNOWN.iter().find(|(words, ..)| info.contains(words)) {
        Some((_, message, help)) => Refused::new("SL1002", span, *message).with_help(*help),
        None => Refused::new("SL1002", span, "the file is not valid YAML here")
            .with_help("check the quotes, brackets and indentation of this line and of the one before"),
    }
}

/// A list or a set of keys where a key must stand: most often braces of a template or a variable without quotes.
pub(super) fn key_is_a_collection(text: &str, span: Range<usize>) -> Refused {
    let line = line_of(text, span.start);
    if text[line].contains("{{") {
        let refused = Refused::new("SL1002", span, "a template must be in quotes");
        return refused.with_help("write `template: \"{{ … }}\"`: without quotes, YAML reads the braces as its own");
    }
    Refused::new("SL1002", span, "a key must be a plain value").with_help("write `key: value`")
}

/// A tab in the indentation of the line, or of a line beside it.
fn tab(text: &str, at: usize) -> Option<Refused> {
    let at_line = line_of(text, at);
    let before = line_of(text, at_line.start.saturating_sub(1));
    // The parser may stop at the end of the line before, or of a text before blank lines.
    let rest = &text[at_line.end..];
    let blank = rest.len() - rest.trim_start_matches(['\n', '\r', ' ', '\t']).len();
    let next = line_of(text, at_line.end + blank);
    [before, at_line, next].into_iter().find_map(|line| {
        let indentation = text[line.clone()].len() - text[line.clone()].trim_start_matches([' ', '\t']).len();
        let tab = text[line.start..line.start + indentation].find('\t')? + line.start;
        Some(tab_at(tab))
    })
}

/// A tab in the indentation.
pub(super) fn tab_at(at: usize) -> Refused {
    let refused = Refused::new("SL1002", at..at + 1, "the line is indented with a tab").with_label("a tab");
    refused.with_help("indent with spaces: YAML does not allow tabs here")
}

/// A character that no text file holds.
pub(super) fn control_character(text: &str) -> Option<Refused> {
    // Tabs and line ends are text; U+0085 is a line end of YAML.
    let control = |letter: char| letter.is_control() && !matches!(letter, '\t' | '\n' | '\r' | '\u{85}');
    let (at, letter) = text.char_indices().find(|(_, letter)| control(*letter))?;
    let message = format!("the character U+{:04X} is not allowed in a file", u32::from(letter));
    let refused = Refused::new("SL1002", at..at + letter.len_utf8(), message);
    Some(refused.with_help(format!("remove it, or write it as `\\u{:04x}` in double quotes", u32::from(letter))))
}

/// `${NAME}` between braces.
fn variable(stopped: &Stopped<'_>) -> Option<Refused> {
    let line = line_of(stopped.text, stopped.at);
    let text = &stopped.text[line.clone()];
    let (start, _) = text.match_indices("${").find(|(start, _)| {
        let before = &text[..*start];
        let inside = stopped.open.is_some() || before.contains(['{', '[']);
        // An even number of quotes before it: it stands outside of them.
        inside && before.matches('"').count().is_multiple_of(2) && before.matches('\'').count().is_multiple_of(2)
    })?;
    let end = text[start..].find('}').map_or(text.len(), |end| start + end + 1);
    let shown = &text[start..end];
    let refused =
        Refused::new("SL1002", line.start + start..line.start + end, "between braces, a variable must be in quotes");
    Some(refused.with_help(format!("write `\"{shown}\"`: without quotes, YAML reads the braces as its own")))
}

/// A quote that is not closed, or not where it was meant to.
fn quote(stopped: &Stopped<'_>) -> Option<Refused> {
    let Stopped { text, info, .. } = *stopped;
    if !info.contains("quoted scalar, found unexpected") && !info.contains("in quoted scalar") {
        return None;
    }
    let start = open_quote(text, stopped.read_to)?;
    let sign = &text[start..=start];
    let line = line_of(text, start);
    let refused =
        Refused::new("SL1002", start..line.end, format!("the quote `{sign}` is not closed")).with_label("opens here");
    Some(refused.with_help(match sign {
        "'" => "close it with `'`; a `'` that belongs to the text is written `''`",
        _ => "close it with `\"`; a `\"` that belongs to the text is written `\\\"`",
    }))
}

/// Something behind a closing quote: most often the quote belongs to the text.
fn behind_quote(text: &str, info: &str, at: usize) -> Option<Refused> {
    if !info.contains("trailing content") {
        return None;
    }
    let single = text[..at].trim_end().ends_with('\'');
    let refused = Refused::new("SL1002", token(text, at), "there is text after the closing quote");
    Some(refused.with_help(match single {
        true => "a `'` that belongs to the text is written `''`; or put the text in double quotes",
        false => "a `\"` that belongs to the text is written `\\\"`; or put the text in single quotes",
    }))
}

/// A line that is no key with a value; the parser notices at the next one.
fn no_colon(text: &str, info: &str, at: usize) -> Option<Refused> {
    if !info.contains("simple key expect") {
        return None;
    }
    let lacks = |line: &str| !line.contains(": ") && !line.ends_with(':') && !line.trim_start().starts_with(['-', '#']);
    let before = text[..line_of(text, at).start].trim_end();
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    let line = Some(&before[start..]).filter(|line| !line.trim().is_empty() && lacks(line.trim_end()))?;
    let from = start + line.len() - line.trim_start().len();
    if let Some(colon) = line.find(':') {
        let refused = Refused::new("SL1002", from..start + colon + 1, "a space is missing after the `:`");
        return Some(refused.with_help("write `key: value`"));
    }
    let refused = Refused::new("SL1002", from..start + line.len(), "a `:` is missing after the key");
    Some(refused.with_help("write `key: value`; a text of several lines begins with `|`"))
}

/// The first quote from here on that nothing closes.
fn open_quote(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = from;
    while at < bytes.len() {
        // A quote within a word is a plain character: `it's`.
        let begins = at == 0 || matches!(bytes[at - 1], b' ' | b'\n' | b'\t' | b'[' | b'{' | b',' | b':');
        match bytes[at] {
            b'#' if begins => at = line_of(text, at).end,
            sign @ (b'"' | b'\'') if begins => match closing(bytes, at, sign) {
                Some(end) => at = end,
                None => return Some(at),
            },
            _ => {}
        }
        at += 1;
    }
    // The last one is closed only by what follows it.
    text[from..].find(['"', '\'']).map(|found| from + found)
}

/// The place of the quote that closes the one at `start`; none where the text ends before.
fn closing(bytes: &[u8], start: usize, sign: u8) -> Option<usize> {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            // Only double quotes know escapes; single ones are doubled instead.
            b'\\' if sign == b'"' => at += 1,
            byte if byte == sign && sign == b'\'' && bytes.get(at + 1) == Some(&b'\'') => at += 1,
            byte if byte == sign => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// An alias of an anchor that is not there.
fn anchor(text: &str, info: &str, at: usize) -> Option<Refused> {
    if !info.contains("unknown anchor") && !info.contains("anchor or alias") {
        return None;
    }
    let line = line_of(text, at);
    let start = text[..at]
        .rfind('*')
        .filter(|start| *start >= line.start)
        .or_else(|| text[at..line.end].find(['*', '&']).map(|found| at + found));
    let start = start.unwrap_or(at);
    let end = text[start..line.end].find([' ', ',', ']', '}', '\r']).map_or(line.end, |end| start + end);
    let name = text[start..end].trim_start_matches(['*', '&']);
    let refused = match name.is_empty() {
        true => Refused::new("SL1002", start..end, "a value cannot begin with `*` or `&`"),
        false => Refused::new("SL1002", start..end, format!("there is no anchor `{name}`")),
    };
    let alias = format!("; an alias `*{name}` repeats the value marked `&{name}` further up");
    let alias = if name.is_empty() { String::new() } else { alias };
    Some(refused.with_help(format!("put it in quotes if it is a text{alias}")))
}

/// An escape that YAML does not know, most often a path of Windows or a pattern; none for another error.
fn escape(text: &str, info: &str, at: usize) -> Option<Refused> {
    if !info.contains("unknown escape character") {
        return None;
    }
    // The mark may stand at the beginning of the text.
    let line = line_of(text, at);
    let known = |letter: char| "0abt\tnvfre \"/\\N_LPxuU\n\r".contains(letter);
    let mut letters = text[at.min(line.end)..line.end].char_indices();
    let mut found = None;
    while let Some((index, letter)) = letters.next() {
        if letter == '\\' {
            match letters.next() {
                Some((_, next)) if !known(next) => {
                    found = Some((at + index, next));
                    break;
                }
                _ => {}
            }
        }
    }
    let (start, letter) = found.or_else(|| Some((text[..at].rfind('\\')?, text[at..].chars().next()?)))?;
    let span = start..(start + 1 + letter.len_utf8()).min(text.len());
    let refused = Refused::new("SL1002", span, format!("`\\{letter}` means nothing in double quotes"));
    Some(refused.with_help("use single quotes, where a `\\` is an ordinary character, or write `\\\\`"))
}

/// A value that begins with a sign that YAML has reserved; none for another error.
fn character(text: &str, info: &str, at: usize) -> Option<Refused> {
    if !info.contains("unexpected character") && !info.contains("unprintable") && !info.contains("directive") {
        return None;
    }
    let letter = text[at..].chars().next()?;
    let span = at..at + letter.len_utf8();
    let shown = if letter == '`' { "a backtick".to_owned() } else { format!("`{letter}`") };
    let message = format!("a value cannot begin with {shown}");
    Some(Refused::new("SL1002", span, message).with_help("put the value in quotes"))
}

/// A bracket that is not closed, or a comma that is missing between two entries.
fn bracket(stopped: &Stopped<'_>) -> Option<Refused> {
    let Stopped { text, info, at, open, .. } = *stopped;
    // At the end of the text, what is open is what is missing.
    let flow = info.contains("flow") || info.contains("',' or") || at >= text.trim_end().len();
    let start = open.filter(|_| flow)?;
    let sign = &text[start..=start];
    let close = if sign == "{" { "}" } else { "]" };
    if line_of(text, start) == line_of(text, at) && at < text.trim_end().len() {
        let refused = Refused::new("SL1002", token(text, at), format!("a `,` or a `{close}` is missing before this"));
        return Some(
            refused
                .with_help("separate the entries by commas; put a value in quotes if it holds `,`, `: ` or a bracket"),
        );
    }
    let refused =
        Refused::new("SL1002", start..start + 1, format!("the `{sign}` is not closed")).with_label("opens here");
    Some(refused.with_help(format!("close it with `{close}`")))
}

/// The bytes of the line that holds a place, without its end.
fn line_of(text: &str, at: usize) -> Range<usize> {
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
    start..end
}

/// What stands at a place, up to the next blank; at the end of a line, the line before it.
fn token(text: &str, at: usize) -> Range<usize> {
    let rest = &text[at..line_of(text, at).end];
    let skipped = rest.len() - rest.trim_start().len();
    let length = rest.trim_start().split([' ', '\t', '\r', ',']).next().unwrap_or_default().len();
    at + skipped..at + skipped + length
}
