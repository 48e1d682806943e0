//! The `where` of a pipeline: a SOQL condition, parsed by a grammar of our own, so that a typo gets a caret and nothing
//! can escape its parentheses. What is sent is printed from the parsed form, never copied from the file.

pub mod check;
pub mod lexer;
pub mod parser;

use std::fmt;
use std::ops::Range;

/// A parsed condition.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// All hold.
    And(Vec<Condition>),
    /// One holds.
    Or(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// A comparison.
    Compare {
        /// The field, with its parents.
        path: Path,
        /// The comparison.
        operator: Operator,
        /// What it is compared with.
        literal: Literal,
    },
    /// Membership in a list.
    In {
        /// The field, with its parents.
        path: Path,
        /// Which kind of list.
        operator: ListOperator,
        /// The list.
        literals: Vec<Literal>,
    },
}

/// A field, perhaps of a parent record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// As SOQL writes it: `Account__r.Name`.
    pub text: String,
    /// Where it stands in the condition, in bytes.
    pub span: Range<usize>,
}

/// A comparison with one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `LIKE`
    Like,
}

/// A comparison with a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListOperator {
    /// `IN`
    In,
    /// `NOT IN`
    NotIn,
    /// `INCLUDES`
    Includes,
    /// `EXCLUDES`
    Excludes,
}

/// A value, with the place where it stands in the condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Literal {
    /// The value.
    pub value: LiteralValue,
    /// Where it stands, in bytes.
    pub span: Range<usize>,
}

/// A value in a condition.
#[derive(Debug, Clone, PartialEq)]
pub enum LiteralValue {
    /// Text, decoded but for backslashes: `\\\\`, and `\\_` and `\\%`, which only `LIKE` knows.
    Text(String),
    /// A number, as written.
    Number(String),
    /// `TRUE` or `FALSE`.
    Bool(bool),
    /// `null`.
    Null,
    /// A day, as written.
    Date(String),
    /// A moment, as written.
    DateTime(String),
    /// A word for a span of days: `TODAY`, `LAST_N_DAYS:30`.
    DateWord(String),
}

/// Why a text is no condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// What is wrong.
    pub message: String,
    /// What stands under the caret.
    pub label: String,
    /// Where, in bytes of the condition.
    pub span: Range<usize>,
    /// What to do.
    pub help: Option<String>,
}

/// Longest text in a condition; Salesforce refuses longer ones.
pub const TEXT_LENGTH_MAX: usize = 4_000;

/// Deepest nesting of parentheses.
pub const DEPTH_MAX: usize = 50;

/// Parses a condition.
pub fn parse(text: &str) -> Result<Condition, SyntaxError> {
    parser::parse(text)
}

impl Condition {
    /// All fields that the condition names.
    pub fn paths(&self) -> Vec<&Path> {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().flat_map(Self::paths).collect(),
            Self::Not(inner) => inner.paths(),
            Self::Compare { path, .. } | Self::In { path, .. } => vec![path],
        }
    }
}

impl Condition {
    /// Where values stand that mean another span of days tomorrow.
    pub fn date_words(&self) -> Vec<Range<usize>> {
        let word = |literal: &Literal| matches!(literal.value, LiteralValue::DateWord(_)).then(|| literal.span.clone());
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().flat_map(Self::date_words).collect(),
            Self::Not(inner) => inner.date_words(),
            Self::Compare { literal, .. } => word(literal).into_iter().collect(),
            Self::In { literals, .. } => literals.iter().filter_map(word).collect(),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(parts) => join(f, parts, " AND "),
            Self::Or(parts) => join(f, parts, " OR "),
            Self::Not(inner) => write!(f, "NOT ({inner})"),
            Self::Compare { path, operator, literal } => write!(f, "{} {operator} {}", path.text, literal.value),
            Self::In { path, operator, literals } => {
                write!(f, "{} {operator} (", path.text)?;
                for (index, literal) in literals.iter().enumerate() {
                    write!(f, "{}{}", if index == 0 { "" } else { ", " }, literal.value)?;
                }
                f.write_str(")")
            }
        }
    }
}

fn join(f: &mut fmt::Formatter<'_>, parts: &[Condition], separator: &str) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        match part {
            Condition::And(_) | Condition::Or(_) | Condition::Not(_) => write!(f, "({part})")?,
            Condition::Compare { .. } | Condition::In { .. } => write!(f, "{part}")?,
        }
    }
    Ok(())
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Like => "LIKE",
        })
    }
}

impl fmt::Display for ListOperator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::In => "IN",
            Self::NotIn => "NOT IN",
            Self::Includes => "INCLUDES",
            Self::Excludes => "EXCLUDES",
        })
    }
}

impl fmt::Display for LiteralValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => quote(f, text),
            Self::Bool(value) => f.write_str(if *value { "TRUE" } else { "FALSE" }),
            Self::Null => f.write_str("null"),
            Self::Number(text) | Self::Date(text) | Self::DateTime(text) | Self::DateWord(text) => f.write_str(text),
        }
    }
}

/// Writes a text so that it cannot end before its closing quote, whatever it holds: a backslash is written with what it
/// escapes, or doubled.
fn quote(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("'")?;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\'' => f.write_str("\\'")?,
            '\\' => match characters.next_if(|next| matches!(next, '_' | '%' | '\\')) {
                Some(escaped) => write!(f, "\\{escaped}")?,
                None => f.write_str("\\\\")?,
            },
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            '\u{8}' => f.write_str("\\b")?,
            '\u{c}' => f.write_str("\\f")?,
            other if other.is_control() => write!(f, "\\u{:04x}", u32::from(other))?,
            other => write!(f, "{other}")?,
        }
    }
    f.write_str("'")
}

#[cfg(test)]
mod tests {
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
