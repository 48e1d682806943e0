//! Tokens -> condition, by recursive descent with a bounded depth.

use std::ops::Range;

use super::error::SyntaxError;
use super::lexer::{Token, TokenKind, tokens};
use super::tree::{Condition, ListOperator, Literal, LiteralValue, Operator, Path};
use crate::pipeline::values::time;

/// Deepest nesting of parentheses.
/// Far more than people write; the parser and all that walks the tree recurse, and a deeper one could overflow the
/// stack.
pub const DEPTH_MAX: usize = 50;

/// Words for spans of days, without a number.
/// From the SOQL reference, date literals. Those with a number are put together from `UNITS`.
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
    // What is left over is refused: a `)` too many would otherwise end the condition within the query that is sent.
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
    /// SOQL itself refuses AND beside OR without parentheses, so that no order of binding has to be guessed.
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

    /// Each NOT counts as a level: the tree is walked by recursion, and a long row of them would overflow the stack.
    fn term(&mut self) -> Result<Condition, SyntaxError> {
        if self.at_word("NOT") {
            self.next += 1;
            self.depth += 1;
            if self.depth > DEPTH_MAX {
                return Err(error("too many NOTs in a row", "too deep", self.here(), None));
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
        // Made before the token is taken, so that the caret stands where the operator belongs.
        let operator_missing = error("an operator is missing after the field", expected, self.here(), None);
        let Some(token) = self.peek() else { return Err(operator_missing) };
        self.next += 1;
        let operator = match &token.kind {
            TokenKind::Compare("=") => Operator::Equal,
            TokenKind::Compare("!=" | "<>") => Operator::NotEqual,
            TokenKind::Compare("<") => Operator::Less,
            TokenKind::Compare("<=") => Operator::LessOrEqual,
            TokenKind::Compare(">") => Operator::Greater,
            // The lexer makes no other sign than `>=` of what is left.
            TokenKind::Compare(_) => Operator::GreaterOrEqual,
            TokenKind::Word(word) => match word.to_ascii_uppercase().as_str() {
                "LIKE" => Operator::Like,
                "IN" => return self.list(path, ListOperator::In),
                "INCLUDES" => return self.list(path, ListOperator::Includes),
                "EXCLUDES" => return self.list(path, ListOperator::Excludes),
                // `field NOT LIKE` does not exist in SOQL; the NOT goes before the field there.
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
        // A subquery reads another object, which would need to be described and watched for changes of its own.
        if self.at_word("SELECT") {
            let help = Some("list the values, or use a field of the parent record".to_owned());
            return Err(error("subqueries are not supported here", "subquery", self.here(), help));
        }
        let first = self.literal()?;
        // An empty list is refused by Salesforce, so a first value is demanded before the loop.
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
        matches!(self.tokens.get(self.next), Some(Token { kind: TokenKind::Word(found), .. }) if found.eq_ignore_ascii_case(word))
    }

    fn here(&self) -> Range<usize> {
        self.tokens.get(self.next).map_or(self.end..self.end, |token| token.span.clone())
    }

    fn unexpected(&self, token: Token) -> SyntaxError {
        // Pasted from a whole query, most often.
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
    // In pairs: in `\\%` the first backslash escapes the second, and the percent sign stands alone.
    while let Some(character) = characters.next() {
        if character == '\\' && matches!(characters.next(), Some('_' | '%')) {
            return true;
        }
    }
    false
}

fn path(word: String, span: Range<usize>) -> Result<Path, SyntaxError> {
    let parts: Vec<&str> = word.split('.').collect();
    // The lexer takes a colon into a word for the sake of `LAST_N_DAYS:30`.
    if word.contains(':') || parts.iter().any(|part| part.is_empty()) {
        return Err(error("this is not a field name", "expected a field", span, None));
    }
    // Five parents and the field itself (SOQL reference, relationship query limitations).
    if parts.len() > 6 {
        return Err(error("a path goes up five parents at most", "too many levels", span, None));
    }
    Ok(Path { text: word, span })
}

fn number_or_date(text: String, span: Range<usize>) -> Result<LiteralValue, SyntaxError> {
    // A sign is allowed, an exponent is not: SOQL has none in literals.
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
        return Ok(LiteralValue::DateTime(moment.into_owned()));
    }
    let help = Some("dates are `2026-10-01`, moments `2026-10-01T09:00:00Z`, both without quotes".to_owned());
    Err(error("this is neither a number nor a date", "cannot read this", span, help))
}

/// A bare word is `true`, `false`, `null` or a date word. All others are texts whose quotes are missing, by far the most frequent
/// mistake.
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
        // The number is not checked for size: Salesforce knows its limit, and it differs by unit.
        Some(number) if unit(name) && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(LiteralValue::DateWord(upper.clone()))
        }
        // `LAST_N_DAYS` alone looks complete, so it gets its own advice.
        None if unit(name) => {
            let help = Some(format!("write `{name}:30`"));
            Err(error("this word needs a number", "without a number", span, help))
        }
        None if DATE_WORDS.contains(&name) => Ok(LiteralValue::DateWord(upper.clone())),
        _ => {
            // At a distance of two, so that `TODY` is understood and an ordinary text is not.
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

#[cfg(test)]
mod tests {
    use super::super::lexer::TEXT_LENGTH_MAX;
    use super::*;
    use crate::sys::rng::Rng;

    #[track_caller]
    fn check(input: &str, expected: &str) {
        let printed = parse(input).map(|condition| condition.to_string());
        assert_eq!(printed.as_deref(), Ok(expected), "{input}");
        assert_eq!(parse(expected).map(|condition| condition.to_string()).as_deref(), Ok(expected), "printed form");
    }

    #[test]
    fn conditions_print_in_one_form() {
        check("Status__c != 'Draft'", "Status__c != 'Draft'");
        check("  Status__c<>'Draft'  ", "Status__c != 'Draft'");
        check("a = 1 and b = 2 AND c = 3", "a = 1 AND b = 2 AND c = 3");
        check("a = 1 and (b = 2 or c = 3)", "a = 1 AND (b = 2 OR c = 3)");
        check("not a = true", "NOT (a = TRUE)");
        check("not (a = true or b = null)", "NOT (a = TRUE OR b = null)");
        check("Account__r.Owner.Name like 'A\\_%'", "Account__r.Owner.Name LIKE 'A\\_%'");
        check("Name in ('a','b''')".replace("''", "\\'").as_str(), "Name IN ('a', 'b\\'')");
        check("Name not  in ('a')", "Name NOT IN ('a')");
        check("Channels__c includes ('A;B', 'C')", "Channels__c INCLUDES ('A;B', 'C')");
        check("Start__c >= 2026-10-01", "Start__c >= 2026-10-01");
        check("CreatedDate < 2026-10-01T09:00:00+02:00", "CreatedDate < 2026-10-01T07:00:00.000Z");
        check("CreatedDate < 2026-10-01T09:00:00Z", "CreatedDate < 2026-10-01T09:00:00.000Z");
        check("Name like '100\\%' ", "Name LIKE '100\\%'");
        check("Name like 'a\\\\%' ", "Name LIKE 'a\\\\%'");
        check("Name = '\\b\\f\\u0001'", "Name = '\\b\\f\\u0001'");
        check("(((a = 1)))", "a = 1");
        check("(a = 1 and b = 2) or not c = 3", "(a = 1 AND b = 2) OR (NOT (c = 3))");
        check("Name = '\\\\'", "Name = '\\\\'");
        check("CreatedDate = LAST_N_DAYS:30", "CreatedDate = LAST_N_DAYS:30");
        check("CreatedDate = today", "CreatedDate = TODAY");
        check("Amount__c > -12.50", "Amount__c > -12.50");
        check("Name = 'line\\nbreak \\u00e9'", "Name = 'line\\nbreak é'");
    }

    #[track_caller]
    fn refuse(input: &str, at: Range<usize>, part: &str) {
        let error = parse(input).expect_err(input);
        assert!(error.message.contains(part), "{input}: {}", error.message);
        assert_eq!(error.span, at, "{input}: {}", error.message);
    }

    #[test]
    fn typos_get_a_place() {
        refuse("", 0..0, "empty");
        refuse("Status__c", 9..9, "operator");
        refuse("Status__c = ", 12..12, "value");
        refuse("Status__c == 'a'", 11..12, "value");
        refuse("Status__c = Draft", 12..17, "quotes");
        refuse("Status__c = \"Draft\"", 12..13, "single quotes");
        refuse("Status__c = 'Draft", 12..18, "not closed");
        refuse("(a = 1", 0..1, "not closed");
        refuse("a = 1)", 5..6, "unexpected");
        refuse("a = 1) OR (b = 2", 5..6, "unexpected");
        refuse("a = 1 LIMIT 1", 6..11, "unexpected");
        refuse("a = 1 ORDER BY b", 6..11, "unexpected");
        refuse("a = 1 AND b = 2 OR c = 3", 16..18, "parentheses");
        refuse("a IN (SELECT Id FROM B)", 6..12, "subquer");
        refuse("a IN ()", 6..7, "value");
        refuse("a.b.c.d.e.f.g = 1", 0..13, "five");
        refuse("Name = 'a\\q'", 9..11, "escape");
        refuse("a = 1; DELETE", 5..6, "unexpected");
        refuse("COUNT() > 1", 5..6, "operator");
        refuse("a = 2026-13-01", 4..14, "date");
        refuse("a = TODAY()", 9..10, "unexpected");
        refuse("a = LAST_N_DAYS", 4..15, "number");
        refuse("a = 1 -- comment", 6..7, "unexpected");
        refuse("Name = 'a\\_b'", 7..13, "LIKE");
        refuse("a < null", 4..8, "null");
        refuse("Name like 5", 10..11, "LIKE");
        refuse("a = 2026-10-01T09:00", 4..20, "date");
        refuse("a = 1.", 4..6, "number");
    }

    #[test]
    fn nothing_escapes_its_quotes() {
        let rng = Rng::seeded(7);
        let alphabet = ['\'', '\\', ')', '(', '%', '_', 'a', ' ', '\n', '"', ';', '-', 'é', '\u{0}'];
        for _ in 0..2_000 {
            let length = rng.below(12);
            let text: String = (0..length).map(|_| alphabet[rng.below(alphabet.len() as u64) as usize]).collect();
            let path = Path { text: "Name".to_owned(), span: 0..4 };
            let literal = Literal { value: LiteralValue::Text(text.clone()), span: 0..0 };
            let condition = Condition::Compare { path, operator: Operator::Equal, literal };
            let printed = condition.to_string();
            let like = printed.replace(" = ", " LIKE ");
            let parsed = parse(&like).unwrap_or_else(|error| panic!("{like:?} did not parse: {error:?}"));
            assert!(matches!(parsed, Condition::Compare { .. }), "{like:?}");
            assert_eq!(parsed.to_string(), like, "{text:?}");
        }
    }

    /// A condition that the grammar can print, of any shape.
    fn some_condition(rng: &Rng, depth: u64) -> Condition {
        let path =
            || Path { text: ["Name", "Account__r.Name", "Status__c"][rng.below(3) as usize].to_owned(), span: 0..0 };
        let literal = || {
            let value = match rng.below(5) {
                0 => LiteralValue::Null,
                1 => LiteralValue::Bool(true),
                2 => LiteralValue::Number("-1.50".to_owned()),
                3 => LiteralValue::DateWord("LAST_N_DAYS:3".to_owned()),
                _ => LiteralValue::Text("it's \u{1}) OR (a".to_owned()),
            };
            Literal { value, span: 0..0 }
        };
        let parts = || (0..2 + rng.below(2)).map(|_| some_condition(rng, depth - 1)).collect();
        match if depth == 0 { 3 + rng.below(2) } else { rng.below(5) } {
            0 => Condition::And(parts()),
            1 => Condition::Or(parts()),
            2 => Condition::Not(Box::new(some_condition(rng, depth - 1))),
            3 => Condition::In { path: path(), operator: ListOperator::NotIn, literals: vec![literal(), literal()] },
            _ => Condition::Compare { path: path(), operator: Operator::NotEqual, literal: literal() },
        }
    }

    #[test]
    fn what_is_printed_parses_to_the_same() {
        let rng = Rng::seeded(11);
        for _ in 0..500 {
            let printed = some_condition(&rng, 4).to_string();
            assert_eq!(parse(&printed).map(|condition| condition.to_string()), Ok(printed.clone()), "{printed}");
        }
    }

    #[test]
    fn no_text_makes_the_parser_fall() {
        let rng = Rng::seeded(13);
        let pieces = [
            "a", "'", "\\", "(", ")", " AND ", " OR ", "NOT ", "=", "!", "<", "é", "🦀", "1", "-", ".", ":", "TODAY",
            " IN ", ",", "\u{0}",
        ];
        for _ in 0..5_000 {
            let text: String = (0..rng.below(12)).map(|_| pieces[rng.below(pieces.len() as u64) as usize]).collect();
            match parse(&text) {
                Ok(condition) => assert!(parse(&condition.to_string()).is_ok(), "{text:?}"),
                Err(error) => assert!(text.get(error.span.clone()).is_some(), "{text:?}: {error:?}"),
            }
        }
    }

    #[test]
    fn deep_nesting_and_long_texts_are_refused() {
        let deep = format!("{}a = 1{}", "(".repeat(DEPTH_MAX + 1), ")".repeat(DEPTH_MAX + 1));
        assert!(parse(&deep).expect_err("deep").message.contains("deep"));
        let long = format!("a = '{}'", "x".repeat(TEXT_LENGTH_MAX + 1));
        assert!(parse(&long).expect_err("long").message.contains("4,000"));
    }
}
