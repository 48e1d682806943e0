//! Cuts a template into texts and the tokens between its braces; decides which white space is layout.

use std::ops::Range;

use super::syntax::TemplateError;
use crate::pipeline::values::decimal::{DIGITS_MAX, Decimal};

/// A token with its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Range<usize>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    /// Outside of braces.
    Text(String),
    /// `{{`, `}}`, `{%`, `%}`
    PrintStart,
    PrintEnd,
    BlockStart,
    BlockEnd,
    Name(String),
    Quoted(String),
    Number(Decimal),
    Symbol(&'static str),
    End,
}

/// The longer ones first.
/// Else `**` would be read as two signs.
const SYMBOLS: [&str; 23] = [
    "**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=", "|", ".", ",", ":", "(", ")", "[",
    "]",
];

/// What people write who come from other languages.
const FOREIGN: [(&str, &str); 6] = [
    ("&&", "write `and`"),
    ("||", "write `or`"),
    ("&", "write `and`, or `~` to join texts"),
    ("!", "write `not`"),
    ("?", "write `VALUE if CONDITION else OTHER`"),
    (";", "write one statement in each `{% … %}`"),
];

/// The tokens of a template, `End` last.
pub(super) fn tokens(source: &str) -> Result<Vec<Token>, TemplateError> {
    let mut lexer = Lexer { source, at: 0, tokens: Vec::new(), strip: Strip::Nothing, at_line_start: true };
    while lexer.at < source.len() {
        lexer.text()?;
    }
    lexer.push(TokenKind::End, source.len()..source.len());
    Ok(lexer.tokens)
}

/// What the last tag takes from the text behind it.
#[derive(Clone, Copy, PartialEq)]
enum Strip {
    Nothing,
    /// The line break right behind a block.
    LineBreak,
    /// All white space: the tag ends in `-`.
    All,
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    tokens: Vec<Token>,
    strip: Strip,
    /// The text that comes next begins a line.
    at_line_start: bool,
}

impl Lexer<'_> {
    fn push(&mut self, kind: TokenKind, span: Range<usize>) {
        self.tokens.push(Token { kind, span });
    }

    /// The text up to the next tag, and that tag.
    fn text(&mut self) -> Result<(), TemplateError> {
        let start = self.at;
        let rest = &self.source[start..];
        // A single brace is text, as in JSON or CSS.
        let tag = rest.match_indices('{').map(|(at, _)| at).find(|at| rest[at + 1..].starts_with(['{', '%', '#']));
        let Some(open) = tag.map(|at| start + at) else {
            self.add_text(start, self.source.len(), Tag::None);
            self.at = self.source.len();
            return Ok(());
        };
        let mark = self.source[open + 2..].chars().next();
        let block = self.source.as_bytes()[open + 1] != b'{';
        let tag = match mark {
            Some('-') => Tag::StripsAll,
            // As in Jinja, a plus keeps the white space that would be taken as layout.
            Some('+') => Tag::None,
            // A block on a line of its own leaves nothing behind, which people expect of a value (Jinja's
            // `lstrip_blocks`).
            _ if block => Tag::StripsIndent,
            _ => Tag::None,
        };
        self.add_text(start, open, tag);
        self.at = open + 2;
        match self.source.as_bytes()[open + 1] {
            b'#' => self.comment(open),
            b'{' => self.tag(open, "}}", mark),
            _ => self.tag(open, "%}", mark),
        }
    }

    /// The text between two tags without what is layout.
    fn add_text(&mut self, start: usize, end: usize, tag: Tag) {
        let mut text = &self.source[start..end];
        let mut at_line_start = self.at_line_start;
        match self.strip {
            Strip::Nothing => {}
            Strip::LineBreak => {
                let stripped = text.strip_prefix("\r\n").or_else(|| text.strip_prefix('\n'));
                at_line_start |= stripped.is_some();
                text = stripped.unwrap_or(text);
            }
            Strip::All => text = text.trim_start(),
        }
        match tag {
            Tag::None => {}
            Tag::StripsAll => text = text.trim_end(),
            Tag::StripsIndent => {
                let kept = text.trim_end_matches([' ', '\t']);
                // Only an indent: blanks between a word and a tag belong to the value.
                if kept.ends_with('\n') || (kept.is_empty() && at_line_start) {
                    text = kept;
                }
            }
        }
        if !text.is_empty() {
            let text = text.to_owned();
            self.push(TokenKind::Text(text), start..end);
        }
    }

    fn comment(&mut self, open: usize) -> Result<(), TemplateError> {
        let Some(close) = self.source[self.at..].find("#}").map(|at| self.at + at) else {
            return Err(TemplateError::new(open..open + 2, "the comment is not closed").with_help("close it with `#}`"));
        };
        self.close(close, "#}");
        Ok(())
    }

    /// Leaves a tag whose end stands at `close`.
    fn close(&mut self, close: usize, end: &str) {
        let before = self.source[..close].chars().next_back();
        self.strip = match before {
            Some('-') => Strip::All,
            Some('+') => Strip::Nothing,
            // A printed value is part of its line, so the line break behind it stays.
            _ if end == "}}" => Strip::Nothing,
            _ => Strip::LineBreak,
        };
        self.at = close + end.len();
        self.at_line_start = false;
    }

    /// The tokens of a tag.
    fn tag(&mut self, open: usize, end: &str, mark: Option<char>) -> Result<(), TemplateError> {
        let print = end == "}}";
        let kind = if print { TokenKind::PrintStart } else { TokenKind::BlockStart };
        self.push(kind, open..open + 2);
        let first = self.tokens.len();
        self.at += usize::from(matches!(mark, Some('-' | '+')));
        // Braces of maps: `}}` closes two maps before it closes the tag.
        let mut braces = 0;
        loop {
            let rest = &self.source[self.at..];
            let Some(character) = rest.chars().next() else {
                let opened = &self.source[open..open + 2];
                let error = TemplateError::new(open..open + 2, format!("`{opened}` is not closed"));
                return Err(error.with_help(format!("close it with `{end}`")));
            };
            if character.is_whitespace() {
                self.at += character.len_utf8();
                continue;
            }
            let signed = rest.strip_prefix(['-', '+']).is_some_and(|rest| rest.starts_with(end));
            if braces == 0 && (signed || rest.starts_with(end)) {
                let close = self.at + usize::from(signed);
                let kind = if print { TokenKind::PrintEnd } else { TokenKind::BlockEnd };
                self.push(kind, close..close + end.len());
                self.close(close, end);
                return if self.is_raw(first) { self.raw(open) } else { Ok(()) };
            }
            match character {
                '{' | '}' => {
                    // Not below zero: a stray brace is for the parser to point at.
                    braces = if character == '{' { braces + 1 } else { usize::saturating_sub(braces, 1) };
                    let symbol = if character == '{' { "{" } else { "}" };
                    self.push(TokenKind::Symbol(symbol), self.at..self.at + 1);
                    self.at += 1;
                }
                '\'' | '"' => self.quoted(character)?,
                '0'..='9' => self.number()?,
                name if name.is_alphabetic() || name == '_' => {
                    let length = rest.find(|other: char| !is_name(other)).unwrap_or(rest.len());
                    self.push(TokenKind::Name(rest[..length].to_owned()), self.at..self.at + length);
                    self.at += length;
                }
                _ => self.symbol()?,
            }
        }
    }

    fn symbol(&mut self) -> Result<(), TemplateError> {
        let rest = &self.source[self.at..];
        // Before the symbols, since `!` alone is none and would be an unknown character.
        let foreign = FOREIGN.iter().find(|(foreign, _)| rest.starts_with(foreign) && !rest.starts_with("!="));
        if let Some((foreign, help)) = foreign {
            let span = self.at..self.at + foreign.len();
            return Err(TemplateError::new(span, format!("`{foreign}` is not known in a template")).with_help(*help));
        }
        let Some(symbol) = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) else {
            let character = rest.chars().next().unwrap_or(' ');
            let span = self.at..self.at + character.len_utf8();
            let shown = character.escape_debug();
            return Err(TemplateError::new(span, format!("`{shown}` is not known in a template")));
        };
        self.push(TokenKind::Symbol(symbol), self.at..self.at + symbol.len());
        self.at += symbol.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), TemplateError> {
        let rest = &self.source[self.at..];
        let digits =
            |from: usize| rest[from..].bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'_').count();
        let starts_digit = |at: usize| rest.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
        let mut length = digits(0);
        // `1.` followed by a name is a number and a subscript.
        if rest[length..].starts_with('.') && starts_digit(length + 1) {
            length += 1 + digits(length + 1);
        }
        if rest[length..].starts_with(['e', 'E']) {
            let sign = usize::from(rest[length + 1..].starts_with(['-', '+']));
            if starts_digit(length + 1 + sign) {
                length += 1 + sign + digits(length + 1 + sign);
            }
        }
        let span = self.at..self.at + length;
        // `12abc` would otherwise be read as two values with an operator missing.
        if rest[length..].starts_with(is_name) {
            let help = "a name begins with a letter; a text stands in quotes";
            return Err(TemplateError::new(span, "a number is followed by a letter").with_help(help));
        }
        let number = Decimal::parse(&rest[..length].replace('_', ""));
        let too_long = || TemplateError::new(span.clone(), format!("the number has more than {DIGITS_MAX} digits"));
        let number = number.ok_or_else(too_long)?;
        self.push(TokenKind::Number(number), span);
        self.at += length;
        Ok(())
    }

    /// A text in quotes. A backslash that begins no escape stays, so that patterns need no second one.
    fn quoted(&mut self, quote: char) -> Result<(), TemplateError> {
        let start = self.at;
        let mut text = String::new();
        let mut characters = self.source[start + 1..].char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => {
                    let (plain, used) = escape(&self.source[start + 1 + at + 1..]);
                    text.push_str(&plain);
                    for _ in 0..used {
                        characters.next();
                    }
                }
                other if other == quote => {
                    self.at = start + 1 + at + 1;
                    self.push(TokenKind::Quoted(text), start..self.at);
                    return Ok(());
                }
                other => text.push(other),
            }
        }
        let error = TemplateError::new(start..start + 1, "the text is not closed");
        Err(error.with_help(format!("close it with `{quote}`")))
    }

    fn is_raw(&self, first: usize) -> bool {
        let Some([name, end]) = self.tokens.get(first..) else { return false };
        end.kind == TokenKind::BlockEnd && name.kind == TokenKind::Name("raw".to_owned())
    }

    /// What stands between `{% raw %}` and `{% endraw %}` is text.
    fn raw(&mut self, open: usize) -> Result<(), TemplateError> {
        let start = self.at;
        // `{% raw %}` itself is no statement.
        self.tokens.truncate(self.tokens.len() - 3);
        let ends = self.source[start..].match_indices("{%").map(|(at, _)| start + at);
        for end in ends {
            let inner = &self.source[end + 2..];
            // Without an end of any tag there is no `endraw` either; looking on from each `{%` would take quadratic
            // time.
            let Some(close) = inner.find("%}") else { break };
            let word = inner[..close].trim_start_matches(['-', '+']).trim_end_matches(['-', '+']);
            if word.trim() != "endraw" {
                continue;
            }
            let tag = if inner.starts_with('-') { Tag::StripsAll } else { Tag::StripsIndent };
            self.add_text(start, end, tag);
            self.close(end + 2 + close, "%}");
            return Ok(());
        }
        Err(TemplateError::new(open..start, "`raw` is not closed").with_help("close it with `{% endraw %}`"))
    }
}

/// What a tag takes from the text before it.
#[derive(Clone, Copy, PartialEq)]
enum Tag {
    None,
    /// The indent of a line that begins with a block.
    StripsIndent,
    StripsAll,
}

/// The character behind a backslash, and how many characters say it.
fn escape(rest: &str) -> (String, usize) {
    let coded = |digits: usize| {
        let code = rest.get(1..=digits).and_then(|code| u32::from_str_radix(code, 16).ok());
        code.and_then(char::from_u32)
            // HubSpot does not store NUL.
            .filter(|character| *character != '\0')
            .map(|character| (character.into(), digits + 1))
    };
    let plain = |text: &str| (text.to_owned(), 1);
    match rest.chars().next() {
        Some('n') => plain("\n"),
        Some('t') => plain("\t"),
        Some('r') => plain("\r"),
        Some(same @ ('\\' | '\'' | '"')) => plain(&same.to_string()),
        Some('x') => coded(2).unwrap_or_else(|| plain("\\x")),
        Some('u') => coded(4).unwrap_or_else(|| plain("\\u")),
        Some(other) => plain(&format!("\\{other}")),
        None => ("\\".to_owned(), 0),
    }
}

pub(super) fn is_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}
