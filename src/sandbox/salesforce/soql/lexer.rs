//! Cuts a query into tokens.

use super::Wrong;

/// A token with its place in characters.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Where it starts.
    pub at: usize,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A name, keyword or date word.
    Word(String),
    /// A text, decoded but for `\_` and `\%`.
    Text(String),
    /// A number, date or moment.
    Number(String),
    /// An operator or other sign.
    Sign(String),
}

/// Longest text in a condition.
const TEXT_MAX: usize = 4_000;

/// Cuts a whole query.
pub fn tokens(text: &str) -> Result<Vec<Token>, Wrong> {
    let letters: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < letters.len() {
        let letter = letters[at];
        let start = at;
        let kind = if letter.is_whitespace() {
            at += 1;
            continue;
        } else if letter == '\'' {
            let (value, end) = quoted(&letters, at)?;
            at = end;
            Kind::Text(value)
        } else if letter.is_ascii_alphabetic() || letter == '_' {
            // Points belong to paths, a colon to words such as `LAST_N_DAYS:30`.
            at = run(&letters, at, |letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | ':'));
            Kind::Word(letters[start..at].iter().collect())
        } else if letter.is_ascii_digit()
            || (matches!(letter, '-' | '+') && letters.get(at + 1).is_some_and(char::is_ascii_digit))
        {
            // Dates and moments begin like numbers; the parser tells them apart.
            at = run(&letters, at + 1, |letter| {
                letter.is_ascii_alphanumeric() || matches!(letter, '.' | ':' | '-' | '+')
            });
            Kind::Number(letters[start..at].iter().collect())
        } else {
            let two: String = letters[at..letters.len().min(at + 2)].iter().collect();
            let sign = if ["!=", "<>", "<=", ">="].contains(&two.as_str()) { two } else { letter.to_string() };
            at += sign.chars().count();
            Kind::Sign(sign)
        };
        tokens.push(Token { kind, at: start });
    }
    Ok(tokens)
}

fn run(letters: &[char], from: usize, belongs: impl Fn(char) -> bool) -> usize {
    from + letters[from..].iter().take_while(|letter| belongs(**letter)).count()
}

fn quoted(letters: &[char], start: usize) -> Result<(String, usize), Wrong> {
    let mut value = String::new();
    let mut at = start + 1;
    while let Some(letter) = letters.get(at) {
        match letter {
            '\'' if value.chars().count() > TEXT_MAX => return Err(Wrong::malformed("string literal is too long")),
            '\'' => return Ok((value, at + 1)),
            '\\' => {
                at += 1;
                let bad = || Wrong::malformed("line 1:0 Illegal string literal escape");
                match letters.get(at).ok_or_else(bad)? {
                    'n' | 'N' => value.push('\n'),
                    'r' | 'R' => value.push('\r'),
                    't' | 'T' => value.push('\t'),
                    'b' | 'B' => value.push('\u{8}'),
                    'f' | 'F' => value.push('\u{c}'),
                    escaped @ ('"' | '\'' | '\\') => value.push(*escaped),
                    // Kept, as only LIKE knows what they mean.
                    escaped @ ('_' | '%') => value.extend(['\\', *escaped]),
                    'u' => {
                        let digits: String = letters.iter().skip(at + 1).take(4).collect();
                        let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                        value.push(code.ok_or_else(bad)?);
                        at += 4;
                    }
                    // Any other backslash is an error in SOQL, and not a plain sign.
                    _ => return Err(bad()),
                }
                at += 1;
            }
            letter => {
                value.push(*letter);
                at += 1;
            }
        }
    }
    Err(Wrong::malformed("line 1:0 mismatched character '<EOF>' expecting '''"))
}
