//! Tokens -> condition, by recursive descent with a bounded depth.

use std::ops::Range;

use super::lexer::{Token, TokenKind, tokens};
use super::{Condition, DEPTH_MAX, ListOperator, Literal, LiteralValue, Operator, Path, SyntaxError};
use crate::pipeline::values::time;

/// Words for spans of days, without a number.
const DATE_WORDS: [&str; 24] = [
    "YESTERDAY",
    "TODAY",
    "TOMORROW",
    "LAST_WEEK",
    "THIS_WEEK",
    "NEXT_WEEK",
    "LAST_MONTH",
    "THIS_MONTH",
    "NEXT_MONTH",
    "LAST_90_DAYS",
    "NEXT_90_DAYS",
    "THIS_QUARTER",
    "LAST_QUARTER",
    "NEXT_QUARTER",
    "THIS_YEAR",
    "LAST_YEAR",
    "NEXT_YEAR",
    "THIS_FISCAL_QUARTER",
    "LAST_FISCAL_QUARTER",
    "NEXT_FISCAL_QUARTER",
    "THIS_FISCAL_YEAR",
    "LAST_FISCAL_YEAR",
    "NEXT_FISCAL_YEAR",
    "N_DAYS_AGO",
];

/// Units of words with a number: `LAST_N_DAYS:30`.
const UNITS: [&str; 7] = ["DAYS", "WEEKS", "MONTHS", "QUARTERS", "YEARS", "FISCAL_QUARTERS", "FISCAL_YEARS"];

/// Parses a whole condition.
pub fn parse(text: &str) -> Result<Condition, SyntaxError> {
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        let help = Some("leave `where` out to sync every record".to_owned());
        return Err(error("the condition is empty", "expected a field", 0..text.len(), help));
    }
    let mut parser = Parser { tokens, next: 0, end: text.len(), depth: 0 };
    let condition = parser.expression()?;
    match parser.peek() {
        None => Ok(condition),
        Some(token) => Err(parser.unexpected(token)),
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    end: usize,
    depth: usize,
}

impl Parser {
    fn expression(&mut self) -> Result<Condition, SyntaxError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let message = format!("the condition is nested more than {DEPTH_MAX} deep");
            return Err(error(&message, "too deep", self.here(), None));
        }
        let mut parts = vec![self.term()?];
        let mut joined_by: Option<&'static str> = None;
        while let Some(word) = ["AND", "OR"].into_iter().find(|word| self.at_word(word)) {
            if joined_by.is_some_and(|before| before != word) {
                let help = Some("put the part that belongs together into parentheses".to_owned());
                return Err(error(
                    "AND and OR are mixed without parentheses",
                    "which one binds first?",
                    self.here(),
                    help,
                ));
            }
            joined_by = Some(word);
            self.next += 1;
            parts.push(self.term()?);
        }
        self.depth -= 1;
        Ok(match joined_by {
            Some("AND") => Condition::And(parts),
            Some(_) => Condition::Or(parts),
            None => parts.remove(0),
        })
    }

    fn term(&mut self) -> Result<Condition, SyntaxError> {
        if self.at_word("NOT") {
            self.next += 1;
            self.depth += 1;
            if self.depth > DEPTH_MAX {
                return Err(error("too many NOT in a row", "too deep", self.here(), None));
            }
            let inner = self.term()?;
            self.depth -= 1;
            return Ok(Condition::Not(Box::new(inner)));
        }
        let Some(token) = self.peek() else {
            return Err(error("a comparison is missing at the end", "expected a field", self.here(), None));
        };
        match token.kind {
            TokenKind::Open => {
                let open = token.span;
                self.next += 1;
                let inner = self.expression()?;
                match self.peek() {
                    Some(Token { kind: TokenKind::Close, .. }) => {
                        self.next += 1;
                        Ok(inner)
                    }
                    Some(token) => Err(self.unexpected(token)),
                    None => Err(error("a parenthesis is not closed", "opens here", open, None)),
                }
            }
            TokenKind::Word(word) => {
                self.next += 1;
                self.comparison(path(word, token.span)?)
            }
            _ => Err(self.unexpected(token)),
        }
    }

    fn comparison(&mut self, path: Path) -> Result<Condition, SyntaxError> {
        let expected = "expected `=`, `!=`, `<`, `<=`, `>`, `>=`, LIKE, IN, NOT IN, INCLUDES or EXCLUDES";
        let operator_missing = error("an operator is missing behind the field", expected, self.here(), None);
        let Some(token) = self.peek() else { return Err(operator_missing) };
        self.next += 1;
        let operator = match &token.kind {
            TokenKind::Compare("=") => Operator::Equal,
            TokenKind::Compare("!=" | "<>") => Operator::NotEqual,
            TokenKind::Compare("<") => Operator::Less,
            TokenKind::Compare("<=") => Operator::LessOrEqual,
            TokenKind::Compare(">") => Operator::Greater,
            TokenKind::Compare(_) => Operator::GreaterOrEqual,
            TokenKind::Word(word) => match word.to_ascii_uppercase().as_str() {
                "LIKE" => Operator::Like,
                "IN" => return self.list(path, ListOperator::In),
                "INCLUDES" => return self.list(path, ListOperator::Includes),
                "EXCLUDES" => return self.list(path, ListOperator::Excludes),
                "NOT" if self.at_word("IN") => {
                    self.next += 1;
                    return self.list(path, ListOperator::NotIn);
                }
                _ => return Err(operator_missing),
            },
            _ => return Err(operator_missing),
        };
        let literal = self.literal()?;
        comparable(operator, &literal)?;
        Ok(Condition::Compare { path, operator, literal })
    }

    fn list(&mut self, path: Path, operator: ListOperator) -> Result<Condition, SyntaxError> {
        match self.peek() {
            Some(Token { kind: TokenKind::Open, .. }) => self.next += 1,
            _ => return Err(error("a list is missing", "expected `(`", self.here(), None)),
        }
        if self.at_word("SELECT") {
            let help = Some("list the values, or use a field of the parent record".to_owned());
            return Err(error("subqueries are not supported here", "subquery", self.here(), help));
        }
        let first = self.literal()?;
        comparable(Operator::Equal, &first)?;
        let mut literals = vec![first];
        loop {
            let token = self.peek();
            self.next += 1;
            match token.map(|token| token.kind) {
                Some(TokenKind::Comma) => {
                    let literal = self.literal()?;
                    comparable(Operator::Equal, &literal)?;
                    literals.push(literal);
                }
                Some(TokenKind::Close) => return Ok(Condition::In { path, operator, literals }),
                _ => {
                    self.next -= 1;
                    return Err(error("the list is not closed", "expected `,` or `)`", self.here(), None));
                }
            }
        }
    }

    fn literal(&mut self) -> Result<Literal, SyntaxError> {
        let Some(Token { kind, span }) = self.peek() else {
            return Err(error("a value is missing", "expected a value", self.here(), None));
        };
        self.next += 1;
        let value = match kind {
            TokenKind::Text(text) => LiteralValue::Text(text),
            TokenKind::Number(text) => number_or_date(text, span.clone())?,
            TokenKind::Word(word) => word_value(&word, span.clone())?,
            TokenKind::Other('"') => {
                let help = Some("write `'value'`".to_owned());
                return Err(error("SOQL puts texts into single quotes", "double quote", span, help));
            }
            _ => return Err(error("a value is missing", "expected a value", span, None)),
        };
        Ok(Literal { value, span })
    }

    fn peek(&self) -> Option<Token> {
        self.tokens.get(self.next).cloned()
    }

    fn at_word(&self, word: &str) -> bool {
        matches!(self.tokens.get(self.next), Some(Token { kind: TokenKind::Word(own), .. }) if own.eq_ignore_ascii_case(word))
    }

    fn here(&self) -> Range<usize> {
        self.tokens.get(self.next).map_or(self.end..self.end, |token| token.span.clone())
    }

    fn unexpected(&self, token: Token) -> SyntaxError {
        let clauses = ["LIMIT", "ORDER", "GROUP", "HAVING", "OFFSET", "WITH", "FOR", "ALL", "SELECT", "FROM", "WHERE"];
        let help = match &token.kind {
            TokenKind::Word(word) if clauses.contains(&word.to_ascii_uppercase().as_str()) => {
                Some("`where` holds the condition only; Syncline writes the rest of the query".to_owned())
            }
            _ => None,
        };
        error("unexpected text in the condition", "did not expect this", token.span, help)
    }
}

/// What Salesforce's grammar refuses whatever the field is.
fn comparable(operator: Operator, literal: &Literal) -> Result<(), SyntaxError> {
    let span = literal.span.clone();
    match (&literal.value, operator) {
        (LiteralValue::Text(_), Operator::Like) => Ok(()),
        (_, Operator::Like) => Err(error("LIKE compares with a text", "expected a text in single quotes", span, None)),
        (LiteralValue::Null, Operator::Equal | Operator::NotEqual) => Ok(()),
        (LiteralValue::Null, _) => {
            Err(error("null can only be compared by `=` and `!=`", "null has no order", span, None))
        }
        (LiteralValue::Text(text), _) if has_wildcard_escape(text) => {
            let help = Some("elsewhere `_` and `%` are ordinary characters: leave the backslash out".to_owned());
            Err(error("`\\_` and `\\%` exist for LIKE only", "escape for LIKE", span, help))
        }
        _ => Ok(()),
    }
}

/// Whether a text, with its backslashes, holds `\_` or `\%`.
fn has_wildcard_escape(text: &str) -> bool {
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == '\\' && matches!(characters.next(), Some('_' | '%')) {
            return true;
        }
    }
    false
}

fn path(word: String, span: Range<usize>) -> Result<Path, SyntaxError> {
    let parts: Vec<&str> = word.split('.').collect();
    if word.contains(':') || parts.iter().any(|part| part.is_empty()) {
        return Err(error("this is not a field name", "expected a field", span, None));
    }
    if parts.len() > 6 {
        return Err(error("a path goes up five parents at most", "too many levels", span, None));
    }
    Ok(Path { text: word, span })
}

fn number_or_date(text: String, span: Range<usize>) -> Result<LiteralValue, SyntaxError> {
    let number = text.strip_prefix(['-', '+']).unwrap_or(&text);
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if number
        .split_once('.')
        .map_or(digits(number), |(whole, rest)| (whole.is_empty() || digits(whole)) && digits(rest))
    {
        return Ok(LiteralValue::Number(text));
    }
    if time::date(&text).is_some() {
        return Ok(LiteralValue::Date(text));
    }
    // Shorter forms are no SOQL, and an offset would have to be encoded on its way.
    if let Some(moment) = time::canonical_moment(&text).filter(|_| text.len() >= "2026-10-01T09:00:00Z".len()) {
        return Ok(LiteralValue::DateTime(moment));
    }
    let help = Some("dates are `2026-10-01`, moments `2026-10-01T09:00:00Z`, both without quotes".to_owned());
    Err(error("this is neither a number nor a date", "cannot read this", span, help))
}

fn word_value(word: &str, span: Range<usize>) -> Result<LiteralValue, SyntaxError> {
    let upper = word.to_ascii_uppercase();
    match upper.as_str() {
        "TRUE" => return Ok(LiteralValue::Bool(true)),
        "FALSE" => return Ok(LiteralValue::Bool(false)),
        "NULL" => return Ok(LiteralValue::Null),
        _ => {}
    }
    let (name, number) = upper.split_once(':').map_or((upper.as_str(), None), |(name, number)| (name, Some(number)));
    let unit = |name: &str| {
        let counted = ["LAST_N_", "NEXT_N_"].iter().find_map(|prefix| name.strip_prefix(prefix));
        counted.or_else(|| name.strip_prefix("N_")?.strip_suffix("_AGO")).is_some_and(|unit| UNITS.contains(&unit))
    };
    match number {
        Some(number) if unit(name) && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(LiteralValue::DateWord(upper.clone()))
        }
        None if unit(name) => {
            let help = Some(format!("write `{name}:30`"));
            Err(error("this word needs a number", "without a number", span, help))
        }
        None if DATE_WORDS.contains(&name) => Ok(LiteralValue::DateWord(upper.clone())),
        _ => {
            let near = DATE_WORDS.iter().find(|known| strsim::levenshtein(known, name) <= 2);
            let help = match near {
                Some(near) => format!("did you mean the date word `{near}`? A text is written `'{word}'`"),
                None => format!("write `'{word}'`"),
            };
            Err(error("a text needs single quotes", "without quotes", span, Some(help)))
        }
    }
}

fn error(message: &str, label: &str, span: Range<usize>, help: Option<String>) -> SyntaxError {
    SyntaxError { message: message.to_owned(), label: label.to_owned(), span, help }
}
