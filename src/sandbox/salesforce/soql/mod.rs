//! SOQL: text -> query -> ids of rows. A parser of the sandbox's own, independent of the one that checks `where`.

pub mod choice;
pub mod days;
pub mod eval;
pub mod lexer;
pub mod parser;
pub mod path;

/// A parsed query.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// What is selected.
    pub select: Select,
    /// Fields that depend on the object that a lookup leads to.
    pub choices: Vec<TypeOf>,
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

/// `TYPEOF What WHEN Account THEN Phone ELSE Name END`
#[derive(Debug, Clone, PartialEq)]
pub struct TypeOf {
    /// Name of the relationship.
    pub relationship: String,
    /// An object, and the fields for it.
    pub branches: Vec<(String, Vec<String>)>,
    /// The fields for the other objects.
    pub otherwise: Option<Vec<String>>,
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
    /// The word of the query that is at fault; none gives no caret block.
    pub at: Option<String>,
}

impl Wrong {
    /// Malformed, at no place.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self { code: "MALFORMED_QUERY", message: message.into(), at: None }
    }

    /// The refusal with the caret block that Salesforce sends.
    pub fn refusal(self, query: &str) -> super::answers::Refusal {
        let message = match self.at {
            None => self.message,
            Some(word) => {
                let at = place(query, &word);
                // On one line, as the caret counts its columns from the start.
                let line: String = query.chars().map(|letter| if letter == '\n' { ' ' } else { letter }).collect();
                let caret = " ".repeat(at);
                format!("\n{line}\n{caret}^\nERROR at Row:1:Column:{}\n{}", at + 1, self.message)
            }
        };
        super::answers::Refusal::new(400, self.code, message)
    }
}

/// Where a word first stands in a query outside its texts, in characters from 0; 0 when it does not.
fn place(query: &str, word: &str) -> usize {
    let belongs = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '.' | ':');
    let (mut current, mut start, mut quoted, mut escaped) = (String::new(), 0, false, false);
    for (at, letter) in query.chars().chain([' ']).enumerate() {
        if quoted {
            (quoted, escaped) = (letter != '\'' || escaped, letter == '\\' && !escaped);
        } else if belongs(letter) {
            if current.is_empty() {
                start = at;
            }
            current.push(letter);
        } else {
            if current.eq_ignore_ascii_case(word) {
                return start;
            }
            current.clear();
            quoted = letter == '\'';
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_word() {
        for (query, word, column) in [
            ("SELECT Id, Nope__c FROM Subscription__c", "Nope__c", 12),
            ("SELECT Id FROM Nope__c", "nope__c", 16),
            ("SELECT Id FROM X WHERE Name = 'Nope__c\\' Nope__c' AND Nope__c = 1", "Nope__c", 55),
            ("SELECT Account__r.Nope FROM X", "Account__r.Nope", 8),
            ("SELECT Ünope, Nope FROM X", "Nope", 15),
            ("SELECT NopeX FROM X", "Nope", 1),
        ] {
            assert_eq!(place(query, word) + 1, column, "{query}");
        }
    }
}
