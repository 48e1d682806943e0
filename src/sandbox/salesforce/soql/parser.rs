//! Tokens -> query.

use super::lexer::{Kind, Token, tokens};
use super::{Condition, Literal, Operator, Order, Query, Select, TypeOf, Wrong};
use crate::sandbox::salesforce::answers::parse_time;

/// Longest query.
/// In characters; Salesforce's own limit.
const LENGTH_MAX: usize = 100_000;

/// Parses a whole query.
pub fn parse(text: &str) -> Result<Query, Wrong> {
    if text.chars().count() > LENGTH_MAX {
        return Err(Wrong::malformed("SOQL statements cannot be longer than 100000 characters."));
    }
    let mut parser = Parser { tokens: tokens(text)?, next: 0, depth: 0 };
    let query = parser.query()?;
    match parser.peek() {
        None => Ok(query),
        Some(token) => Err(unexpected(Some(token))),
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn query(&mut self) -> Result<Query, Wrong> {
        self.expect("SELECT")?;
        let mut choices = Vec::new();
        let select = self.select(&mut choices)?;
        self.expect("FROM")?;
        // These objects have the names of words that are otherwise the language's own.
        let named = ["Order", "Group"].into_iter().find(|name| self.accept(name));
        let from = named.map_or_else(|| self.word(), |name| Ok(name.to_owned()))?;
        // Scopes are read over: the integration user sees everything.
        if self.accept("USING") {
            self.expect("SCOPE")?;
            self.word()?;
        }
        let condition = if self.accept("WHERE") { Some(self.condition()?) } else { None };
        if self.accept("GROUP") || self.accept("HAVING") {
            return Err(Wrong::malformed("aggregates are not supported by this sandbox"));
        }
        let mut order = Vec::new();
        if self.accept("ORDER") {
            self.expect("BY")?;
            loop {
                order.push(self.order()?);
                if !self.accept_sign(",") {
                    break;
                }
            }
        }
        let limit = if self.accept("LIMIT") { Some(self.count()?) } else { None };
        let offset = if self.accept("OFFSET") { self.count()? } else { 0 };
        // `FOR VIEW` notes that a person looked, which nobody asks for here.
        if self.accept("FOR") {
            self.word()?;
        }
        Ok(Query { select, choices, from, condition, order, limit, offset })
    }

    fn select(&mut self, choices: &mut Vec<TypeOf>) -> Result<Select, Wrong> {
        let mut fields = Vec::new();
        loop {
            if self.accept_sign("(") {
                return Err(Wrong::malformed("child subqueries are not supported by this sandbox"));
            }
            let word = self.word()?;
            // A field may have this name, too.
            if word.eq_ignore_ascii_case("TYPEOF") && !self.is_sign(",") && !self.is("FROM") {
                choices.push(self.type_of()?);
            } else if self.accept_sign("(") {
                // `COUNT()` stands alone; beside fields it would need GROUP BY.
                if word.eq_ignore_ascii_case("COUNT") && self.accept_sign(")") && fields.is_empty() {
                    return Ok(Select::Count);
                }
                if word.eq_ignore_ascii_case("FIELDS") {
                    let which = self.word()?;
                    self.sign(")")?;
                    // Kept under this name, as the object tells later which fields that are.
                    fields.push(format!("FIELDS({})", which.to_ascii_uppercase()));
                } else {
                    return Err(Wrong::malformed(format!("the function {word} is not supported by this sandbox")));
                }
            } else {
                fields.push(word);
            }
            if !self.accept_sign(",") {
                return Ok(Select::Fields(fields));
            }
        }
    }

    fn type_of(&mut self) -> Result<TypeOf, Wrong> {
        let relationship = self.word()?;
        let mut branches = Vec::new();
        while self.accept("WHEN") {
            let object = self.word()?;
            self.expect("THEN")?;
            branches.push((object, self.names()?));
        }
        if branches.is_empty() {
            return Err(unexpected(self.peek()));
        }
        let otherwise = if self.accept("ELSE") { Some(self.names()?) } else { None };
        self.expect("END")?;
        Ok(TypeOf { relationship, branches, otherwise })
    }

    fn names(&mut self) -> Result<Vec<String>, Wrong> {
        let mut names = vec![self.word()?];
        while self.accept_sign(",") {
            names.push(self.word()?);
        }
        Ok(names)
    }

    fn order(&mut self) -> Result<Order, Wrong> {
        let path = self.word()?;
        let descending = self.accept("DESC");
        if !descending {
            self.accept("ASC");
        }
        // Blanks come first unless the query says otherwise, whatever the direction.
        let mut nulls_last = false;
        if self.accept("NULLS") {
            nulls_last = self.accept("LAST");
            if !nulls_last {
                self.expect("FIRST")?;
            }
        }
        Ok(Order { path, descending, nulls_last })
    }

    /// Mixing AND with OR needs parentheses.
    fn condition(&mut self) -> Result<Condition, Wrong> {
        self.depth += 1;
        // Each bracket takes a part of the stack.
        if self.depth > 200 {
            return Err(Wrong { code: "QUERY_TOO_COMPLICATED", ..Wrong::malformed("the query is too complicated") });
        }
        let mut parts = vec![self.term()?];
        let mut word = None;
        loop {
            let next = ["AND", "OR"].into_iter().find(|word| self.is(word));
            let Some(next) = next else { break };
            if word.is_some_and(|word| word != next) {
                return Err(unexpected(self.peek()));
            }
            word = Some(next);
            self.next += 1;
            parts.push(self.term()?);
        }
        self.depth -= 1;
        Ok(match word {
            Some("AND") => Condition::And(parts),
            Some(_) => Condition::Or(parts),
            None => parts.remove(0),
        })
    }

    fn term(&mut self) -> Result<Condition, Wrong> {
        if self.accept("NOT") {
            return Ok(Condition::Not(Box::new(self.term()?)));
        }
        if self.accept_sign("(") {
            let inner = self.condition()?;
            self.sign(")")?;
            return Ok(inner);
        }
        let path = self.word()?;
        let operator = self.operator()?;
        let list = matches!(operator, Operator::In | Operator::NotIn | Operator::Includes | Operator::Excludes);
        if !list {
            return Ok(Condition::Test { path, operator, values: vec![self.literal()?] });
        }
        self.sign("(")?;
        if self.is("SELECT") {
            return Err(Wrong::malformed("semi-joins are not supported by this sandbox"));
        }
        let mut values = vec![self.literal()?];
        while self.accept_sign(",") {
            values.push(self.literal()?);
        }
        self.sign(")")?;
        Ok(Condition::Test { path, operator, values })
    }

    fn operator(&mut self) -> Result<Operator, Wrong> {
        let token = self.peek();
        self.next += 1;
        Ok(match token.as_ref().map(|token| &token.kind) {
            Some(Kind::Sign(sign)) => match sign.as_str() {
                "=" => Operator::Eq,
                "!=" | "<>" => Operator::Ne,
                "<" => Operator::Lt,
                "<=" => Operator::Le,
                ">" => Operator::Gt,
                ">=" => Operator::Ge,
                _ => return Err(unexpected(token)),
            },
            Some(Kind::Word(word)) => match word.to_ascii_uppercase().as_str() {
                "LIKE" => Operator::Like,
                "IN" => Operator::In,
                "INCLUDES" => Operator::Includes,
                "EXCLUDES" => Operator::Excludes,
                "NOT" => {
                    self.expect("IN")?;
                    Operator::NotIn
                }
                _ => return Err(unexpected(token)),
            },
            _ => return Err(unexpected(token)),
        })
    }

    fn literal(&mut self) -> Result<Literal, Wrong> {
        let token = self.peek();
        self.next += 1;
        match token.as_ref().map(|token| &token.kind) {
            Some(Kind::Text(text)) => Ok(Literal::Text(text.clone())),
            Some(Kind::Number(text)) => number(text).ok_or_else(|| unexpected(token)),
            Some(Kind::Word(word)) => {
                let upper = word.to_ascii_uppercase();
                match upper.as_str() {
                    "TRUE" => Ok(Literal::Bool(true)),
                    "FALSE" => Ok(Literal::Bool(false)),
                    "NULL" => Ok(Literal::Null),
                    _ => {
                        let (name, count) = match upper.split_once(':') {
                            Some((name, count)) => (name, Some(count.parse().map_err(|_| unexpected(token.clone()))?)),
                            None => (upper.as_str(), None),
                        };
                        let known = super::days::is_date_word(name, count.is_some());
                        if known { Ok(Literal::Days(name.to_owned(), count)) } else { Err(unexpected(token)) }
                    }
                }
            }
            _ => Err(unexpected(token)),
        }
    }

    fn count(&mut self) -> Result<usize, Wrong> {
        let token = self.peek();
        self.next += 1;
        match token.as_ref().map(|token| &token.kind) {
            Some(Kind::Number(text)) => text.parse().map_err(|_| unexpected(token.clone())),
            _ => Err(unexpected(token)),
        }
    }

    fn word(&mut self) -> Result<String, Wrong> {
        let token = self.peek();
        match token.as_ref().map(|token| &token.kind) {
            Some(Kind::Word(word)) if !reserved(word) => {
                self.next += 1;
                Ok(word.clone())
            }
            _ => Err(unexpected(token)),
        }
    }

    fn peek(&self) -> Option<Token> {
        self.tokens.get(self.next).cloned()
    }

    fn is(&self, word: &str) -> bool {
        matches!(self.tokens.get(self.next), Some(Token { kind: Kind::Word(found), .. }) if found.eq_ignore_ascii_case(word))
    }

    fn accept(&mut self, word: &str) -> bool {
        let found = self.is(word);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, word: &str) -> Result<(), Wrong> {
        if self.accept(word) { Ok(()) } else { Err(unexpected(self.peek())) }
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.tokens.get(self.next), Some(Token { kind: Kind::Sign(found), .. }) if found == sign)
    }

    fn accept_sign(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        self.next += usize::from(found);
        found
    }

    fn sign(&mut self, sign: &str) -> Result<(), Wrong> {
        if self.accept_sign(sign) { Ok(()) } else { Err(unexpected(self.peek())) }
    }
}

/// Words that are no names, so that a name that is missing is noticed where it is missing.
fn reserved(word: &str) -> bool {
    [
        "SELECT", "FROM", "WHERE", "AND", "OR", "NOT", "LIKE", "IN", "ORDER", "LIMIT", "OFFSET", "GROUP", "HAVING",
        "NULL", "TRUE", "FALSE",
    ]
    .iter()
    .any(|reserved| reserved.eq_ignore_ascii_case(word))
}

fn number(text: &str) -> Option<Literal> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && digits.matches('.').count() <= 1 {
        return Some(Literal::Number(text.to_owned()));
    }
    // The parser of dates takes shorter forms as well, which SOQL does not.
    if text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok() {
        return Some(Literal::Date(text.to_owned()));
    }
    parse_time(text).map(Literal::Moment)
}

fn unexpected(token: Option<Token>) -> Wrong {
    let shown = match token.map(|token| token.kind) {
        None => "<EOF>".to_owned(),
        Some(Kind::Word(text) | Kind::Text(text) | Kind::Number(text) | Kind::Sign(text)) => text,
    };
    Wrong::malformed(format!("unexpected token: '{shown}'"))
}
