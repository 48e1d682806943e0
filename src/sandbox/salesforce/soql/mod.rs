//! SOQL: text -> query -> ids of rows. A parser of the sandbox's own, independent of the one that checks `where`.

pub mod eval;
pub mod lexer;
pub mod parser;

/// A parsed query.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// What is selected.
    pub select: Select,
    /// The object.
    pub from: String,
    /// The condition.
    pub condition: Option<Condition>,
    /// Sort keys.
    pub order: Vec<Order>,
    /// LIMIT.
    pub limit: Option<usize>,
    /// OFFSET.
    pub offset: usize,
}

/// What is selected.
#[derive(Debug, Clone, PartialEq)]
pub enum Select {
    /// `COUNT()`
    Count,
    /// Fields, with their parents.
    Fields(Vec<String>),
}

/// A sort key.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Field, with its parents.
    pub path: String,
    /// DESC.
    pub descending: bool,
    /// NULLS LAST.
    pub nulls_last: bool,
}

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// All hold.
    And(Vec<Condition>),
    /// One holds.
    Or(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// A comparison.
    Test {
        /// Field, with its parents.
        path: String,
        /// Operator, in capitals.
        operator: Operator,
        /// Values; one but for lists.
        values: Vec<Literal>,
    },
}

/// An operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    Eq,
    /// `!=`, `<>`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `LIKE`
    Like,
    /// `IN`
    In,
    /// `NOT IN`
    NotIn,
    /// `INCLUDES`
    Includes,
    /// `EXCLUDES`
    Excludes,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// Text; for LIKE with its escapes kept.
    Text(String),
    /// Number, as written.
    Number(String),
    /// Boolean.
    Bool(bool),
    /// null
    Null,
    /// Day.
    Date(String),
    /// Moment, in milliseconds.
    Moment(i64),
    /// A word for a span of days.
    Days(String, Option<i64>),
}

/// Why a query is refused: the code, the text, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Error code.
    pub code: &'static str,
    /// Text.
    pub message: String,
    /// Where, in characters from 0; none gives no caret block.
    pub at: Option<usize>,
}

impl Wrong {
    /// Malformed, at a place.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self { code: "MALFORMED_QUERY", message: message.into(), at: None }
    }

    /// The refusal with the caret block that Salesforce sends.
    pub fn refusal(self, query: &str) -> super::answers::Refusal {
        let message = match self.at {
            None => self.message,
            Some(at) => {
                let line: String = query.chars().map(|letter| if letter == '\n' { ' ' } else { letter }).collect();
                let caret = " ".repeat(at);
                format!("\n{line}\n{caret}^\nERROR at Row:1:Column:{}\n{}", at + 1, self.message)
            }
        };
        super::answers::Refusal::new(400, self.code, message)
    }
}
