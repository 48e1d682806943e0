//! Cuts a condition into tokens, each with its place.

use std::ops::Range;

use super::error::SyntaxError;

/// Longest text in a condition; Salesforce refuses longer ones.
pub const TEXT_LENGTH_MAX: usize = 4_000;

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Where it stands, in bytes.
    pub span: Range<usize>,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub enum TokenKind {
    /// A name or a word: `Account__r.Name`, `AND`, `LAST_N_DAYS:30`.
    Word(String),
    /// A text, decoded; `\\`, `\_` and `\%` keep their backslash.
    Text(String),
    /// A number or a date, as written.
    Number(String),
    /// `=`, `!=`, `<>`, `<`, `<=`, `>`, `>=`
    Compare(&'static str),
    /// `(`
    Open,
    /// `)`
    Close,
    /// `,`
    Comma,
    /// Anything else.
    Other(char),
}

/// Cuts the whole text.
pub fn tokens(text: &str) -> Result<Vec<Token>, SyntaxError> {
    let mut tokens = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((start, character)) = rest.next() {
        let single = start..start + character.len_utf8();
        let (kind, span) = match character {
            ' ' | '\t' | '\n' | '\r' => continue,
            '(' => (TokenKind::Open, single),
            ')' => (TokenKind::Close, single),
            ',' => (TokenKind::Comma, single),
            '\'' => {
                let (value, end) = quoted(text, start)?;
                while rest.next_if(|(index, _)| *index < end).is_some() {}
                (TokenKind::Text(value), start..end)
            }
            // The longest operator first: `<=` is not `<` and then `=`.
            '=' | '<' | '>' | '!' => {
                // `get`, since the next character may be longer than a byte.
                let two = text.get(start..start + 2).unwrap_or_default();
                let operator = ["!=", "<>", "<=", ">="].into_iter().find(|operator| *operator == two);
                let one = ["=", "<", ">"].into_iter().find(|operator| text[start..].starts_with(operator));
                match operator.or(one) {
                    Some(operator) => {
                        if operator.len() == 2 {
                            rest.next();
                        }
                        (TokenKind::Compare(operator), start..start + operator.len())
                    }
                    None => (TokenKind::Other(character), single),
                }
            }
            letter if letter.is_ascii_alphabetic() || letter == '_' => {
                // Dots and colons belong to a word: paths and counted date words have no space in them.
                let end =
                    end_of(text, start, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':'));
                while rest.next_if(|(index, _)| *index < end).is_some() {}
                (TokenKind::Word(text[start..end].to_owned()), start..end)
            }
            digit if starts_number(text, start, digit) => {
                // Read generously, up to anything that can belong to a moment: the parser says what a wrong one
                // should be.
                let end = end_of(text, start + 1, |byte| {
                    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b'-' | b'+')
                });
                while rest.next_if(|(index, _)| *index < end).is_some() {}
                (TokenKind::Number(text[start..end].to_owned()), start..end)
            }
            other => (TokenKind::Other(other), single),
        };
        tokens.push(Token { kind, span });
    }
    Ok(tokens)
}

fn starts_number(text: &str, start: usize, character: char) -> bool {
    let next = text.as_bytes().get(start + 1);
    // A sign counts only before a digit, so that a stray one is pointed at by itself.
    character.is_ascii_digit() || (matches!(character, '-' | '+' | '.') && next.is_some_and(u8::is_ascii_digit))
}

fn end_of(text: &str, start: usize, belongs: impl Fn(&u8) -> bool) -> usize {
    start + text.as_bytes()[start..].iter().take_while(|byte| belongs(byte)).count()
}

/// Decodes a text that starts at `start`; returns it with the place behind its closing quote.
fn quoted(text: &str, start: usize) -> Result<(String, usize), SyntaxError> {
    let mut value = String::new();
    let mut characters = text[start + 1..].char_indices().map(|(index, character)| (start + 1 + index, character));
    while let Some((index, character)) = characters.next() {
        match character {
            '\'' => {
                // In UTF-16 units, as Salesforce counts: an emoji is two.
                return if value.encode_utf16().count() > TEXT_LENGTH_MAX {
                    Err(too_long(start..index + 1))
                } else {
                    Ok((value, index + 1))
                };
            }
            '\\' => {
                let Some((_, escaped)) = characters.next() else { break };
                let decoded = match escaped {
                    // SOQL takes its escapes in either letter case.
                    'n' | 'N' => '\n',
                    'r' | 'R' => '\r',
                    't' | 'T' => '\t',
                    'b' | 'B' => '\u{8}',
                    'f' | 'F' => '\u{c}',
                    '"' | '\'' => escaped,
                    // The backslash stays: to LIKE, `\%` is a percent sign and `%` is any text.
                    '_' | '%' | '\\' => {
                        value.push('\\');
                        escaped
                    }
                    'u' => {
                        let decoded = unicode(&mut characters, index)?;
                        // A backslash that is written by its number is a backslash, and no start of an escape.
                        if decoded == '\\' {
                            value.push(decoded);
                        }
                        decoded
                    }
                    // Salesforce refuses unknown escapes too, without a place.
                    _ => return Err(bad_escape(index..index + 1 + escaped.len_utf8())),
                };
                value.push(decoded);
            }
            other => value.push(other),
        }
    }
    Err(SyntaxError {
        message: "a text is not closed".to_owned(),
        label: "starts here".to_owned(),
        span: start..text.len(),
        help: Some("end it with a single quote; a quote inside is written `\\'`".to_owned()),
    })
}

fn unicode(characters: &mut impl Iterator<Item = (usize, char)>, start: usize) -> Result<char, SyntaxError> {
    let digits: String = characters.take(4).map(|(_, digit)| digit).collect();
    let code = (digits.len() == 4).then(|| u32::from_str_radix(&digits, 16).ok()).flatten();
    code.and_then(char::from_u32).ok_or_else(|| bad_escape(start..start + 2 + digits.len()))
}

fn bad_escape(span: Range<usize>) -> SyntaxError {
    SyntaxError {
        message: "this escape does not exist in SOQL".to_owned(),
        label: "unknown escape".to_owned(),
        span,
        help: Some(
            "a backslash itself is written `\\\\`; known are `\\n \\r \\t \\b \\f \\' \\\" \\\\ \\_ \\% \\uXXXX`"
                .to_owned(),
        ),
    }
}

fn too_long(span: Range<usize>) -> SyntaxError {
    SyntaxError {
        message: "a text has more than 4,000 characters".to_owned(),
        label: "too long".to_owned(),
        span,
        help: Some("Salesforce refuses longer texts in a condition".to_owned()),
    }
}
