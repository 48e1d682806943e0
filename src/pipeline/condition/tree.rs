//! A condition as a tree, and how it is printed as SOQL.

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
            // Always in parentheses: SOQL's NOT binds to what follows it in ways that are easily misread.
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

/// Every nested part gets parentheses, also where it would need none: what is sent must not depend on an order of binding.
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
            // A lone backslash cannot come from the parser; it is doubled all the same, as it would swallow the
            // closing quote.
            '\\' => match characters.next_if(|next| matches!(next, '_' | '%' | '\\')) {
                Some(escaped) => write!(f, "\\{escaped}")?,
                None => f.write_str("\\\\")?,
            },
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            '\u{8}' => f.write_str("\\b")?,
            '\u{c}' => f.write_str("\\f")?,
            // Control characters by number: some are cut out of addresses on the way, which would change the text.
            other if other.is_control() => write!(f, "\\u{:04x}", u32::from(other))?,
            other => write!(f, "{other}")?,
        }
    }
    f.write_str("'")
}
