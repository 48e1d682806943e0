//! Statements of a template.

use std::collections::HashMap;
use std::ops::Range;

use super::expressions;
use super::lexer::TokenKind;
use super::reader::{Parsed, Parser};
use super::syntax::{Expr, ExprKind, For, Node, TemplateError};
use crate::diagnostic::nearest::nearest;

/// Reads a template.
pub(super) fn parse(source: &str) -> Result<Parsed, TemplateError> {
    let mut parser = Parser::new(source)?;
    let nodes = parser.body(&[])?;
    parser.parsed.nodes = nodes;
    Ok(parser.parsed)
}

/// Words that begin a statement.
/// The lexer reads `raw` itself; it is among them to be proposed for a misspelt word.
const STATEMENTS: [&str; 7] = ["if", "for", "set", "with", "filter", "raw", "autoescape"];

/// Words that stand inside of a statement or end one.
/// Whoever misplaces one is told so, and not that there is no such word.
const PARTS: [&str; 8] = ["elif", "else", "endif", "endfor", "endset", "endwith", "endfilter", "endautoescape"];

impl Parser<'_> {
    /// Statements until one of these words begins a block, or the end.
    fn body(&mut self, until: &[&str]) -> Result<Vec<Node>, TemplateError> {
        let mut nodes = Vec::new();
        loop {
            match self.peek().clone() {
                TokenKind::Text(text) => {
                    self.next();
                    nodes.push(Node::Text(text.into()));
                }
                TokenKind::PrintStart => {
                    self.next();
                    let value = self.expression()?;
                    if *self.peek() != TokenKind::PrintEnd {
                        return Err(self.after_value());
                    }
                    self.next();
                    nodes.push(Node::Print(value));
                }
                TokenKind::BlockStart => {
                    if matches!(self.peek_next(), TokenKind::Name(word) if until.contains(&word.as_str())) {
                        return Ok(nodes);
                    }
                    self.next();
                    nodes.extend(self.statement()?);
                }
                _ if until.is_empty() => return Ok(nodes),
                _ => return Err(self.unexpected(&format!("`{{% {} %}}`", until.join(" %}` or `{% ")))),
            }
        }
    }

    /// What follows a complete value, and does not belong there.
    fn after_value(&self) -> TemplateError {
        let error = self.unexpected("an operator, a filter or the closing braces");
        match self.peek() {
            TokenKind::Symbol(",") => error.with_help("a list stands in brackets: `[a, b]`"),
            _ => error,
        }
    }

    fn block_end(&mut self) -> Result<(), TemplateError> {
        if *self.peek() == TokenKind::BlockEnd {
            self.next();
            return Ok(());
        }
        Err(self.unexpected("`%}`"))
    }

    /// `{% WORD %}`
    fn close(&mut self, word: &str) -> Result<(), TemplateError> {
        self.next();
        if !self.skip_word(word) {
            return Err(self.unexpected(&format!("`{word}`")));
        }
        self.block_end()
    }

    /// A statement, behind its `{%`.
    fn statement(&mut self) -> Result<Vec<Node>, TemplateError> {
        self.deeper()?;
        let (word, span) = self.name("a statement such as `if`, `for` or `set`")?;
        let nodes = match word.as_str() {
            "if" => vec![self.conditional()?],
            "for" => vec![self.repeated()?],
            "set" => self.assignment()?,
            "with" => self.with()?,
            "filter" => vec![self.filtered()?],
            // Taken and without effect: a property holds text, and escaping is for pages.
            "autoescape" => {
                self.expression()?;
                self.block_end()?;
                let body = self.body(&["endautoescape"])?;
                self.close("endautoescape")?;
                body
            }
            _ => return Err(self.no_statement(&word, span)),
        };
        self.depth -= 1;
        Ok(nodes)
    }

    fn no_statement(&self, word: &str, span: Range<usize>) -> TemplateError {
        if PARTS.contains(&word) || word == "endraw" {
            return TemplateError::new(span, format!("`{word}` stands outside of its statement"));
        }
        let error = TemplateError::new(span, format!("there is no statement `{word}`"));
        match word {
            "macro" | "call" | "block" | "extends" | "include" | "import" | "from" => {
                error.with_help("a template of one field stands alone: no macros, blocks or other files")
            }
            "break" | "continue" => error.with_help("choose the items: `{% for x in list if CONDITION %}`"),
            "do" => error.with_help("print a value with `{{ … }}`, or keep it with `{% set … %}`"),
            "elseif" | "elsif" => error.with_help("write `elif`"),
            _ => match nearest(word, STATEMENTS.into_iter().chain(PARTS)) {
                Some(near) => error.with_help(format!("did you mean `{near}`?")),
                None => error.with_help("there are `if`, `for`, `set`, `with`, `filter` and `raw`"),
            },
        }
    }

    fn conditional(&mut self) -> Result<Node, TemplateError> {
        let mut branches = Vec::new();
        let mut otherwise = Vec::new();
        loop {
            let condition = self.expression()?;
            self.block_end()?;
            branches.push((condition, self.body(&["elif", "else", "endif"])?));
            self.next();
            if self.skip_word("elif") {
                continue;
            }
            if self.skip_word("else") {
                self.block_end()?;
                otherwise = self.body(&["endif"])?;
                self.next();
            }
            // `body` ended at this word or the branches before have taken it, so it is there.
            self.skip_word("endif");
            self.block_end()?;
            return Ok(Node::If { branches, otherwise });
        }
    }

    /// Variables that are set inside a loop get slots of their own, which each pass clears: none is left over from the pass before.
    fn repeated(&mut self) -> Result<Node, TemplateError> {
        let (name, _) = self.name("the name of the loop's variable")?;
        // Two variables would need items that are pairs, which nothing here makes.
        if self.is(",") {
            return Err(self.unexpected("`in`").with_help("a loop has one variable"));
        }
        if !self.skip_word("in") {
            return Err(self.unexpected("`in`"));
        }
        // The loop's own `if` is a filter over its items.
        let items = expressions::without_condition(self)?;
        let first = self.parsed.slots;
        self.scopes.push(HashMap::new());
        let slot = self.assigned(&name);
        let counter = self.parsed.counters;
        self.parsed.counters += 1;
        let condition = if self.skip_word("if") { Some(self.expression()?) } else { None };
        if self.is_word("recursive") {
            let error = TemplateError::new(self.span(), "loops are not recursive here");
            return Err(error.with_help("write one loop inside of the other"));
        }
        self.block_end()?;
        self.loops.push(counter);
        let body = self.body(&["else", "endfor"])?;
        self.loops.pop();
        self.scopes.pop();
        // Slots are numbered as they appear, so those of the body are one range.
        let fresh = first..self.parsed.slots;
        self.next();
        let mut otherwise = Vec::new();
        if self.skip_word("else") {
            self.block_end()?;
            otherwise = self.body(&["endfor"])?;
            self.next();
        }
        self.skip_word("endfor");
        self.block_end()?;
        Ok(Node::For(Box::new(For { slot, counter, items, condition, body, otherwise, fresh })))
    }

    fn assignment(&mut self) -> Result<Vec<Node>, TemplateError> {
        let (name, _) = self.name("the name of a variable")?;
        if self.is(".") || self.is(",") {
            let error = self.unexpected("`=`");
            return Err(error.with_help("a variable has one plain name"));
        }
        if self.skip("=") {
            let value = self.expression()?;
            self.block_end()?;
            // After the value was read: `{% set a = a ~ 'x' %}` reads the variable from outside.
            let slot = self.assigned(&name);
            return Ok(vec![Node::Set { slot, value }]);
        }
        let hidden = self.slot();
        let filtered = self.is("|");
        let value = expressions::filters(self, local(hidden, self.span()))?;
        self.block_end()?;
        let body = self.body(&["endset"])?;
        self.close("endset")?;
        let slot = self.assigned(&name);
        let mut nodes = vec![Node::Capture { slot: if filtered { hidden } else { slot }, body }];
        if filtered {
            nodes.push(Node::Set { slot, value });
        }
        Ok(nodes)
    }

    fn with(&mut self) -> Result<Vec<Node>, TemplateError> {
        let mut nodes = Vec::new();
        let mut named = Vec::new();
        while *self.peek() != TokenKind::BlockEnd {
            let (name, _) = self.name("the name of a variable")?;
            self.expect("=", "behind the variable")?;
            let value = self.expression()?;
            // A slot of its own even where the name is known: the variable outside keeps its value.
            let slot = self.slot();
            nodes.push(Node::Set { slot, value });
            named.push((name, slot));
            if !self.skip(",") {
                break;
            }
        }
        self.block_end()?;
        // The values do not see each other, as in Jinja.
        self.scopes.push(named.into_iter().collect());
        nodes.extend(self.body(&["endwith"])?);
        self.scopes.pop();
        self.close("endwith")?;
        Ok(nodes)
    }

    fn filtered(&mut self) -> Result<Node, TemplateError> {
        let slot = self.slot();
        let value = expressions::filter(self, local(slot, self.span()))?;
        let value = expressions::filters(self, value)?;
        self.block_end()?;
        let body = self.body(&["endfilter"])?;
        self.close("endfilter")?;
        Ok(Node::Filtered { slot, body, value })
    }

    fn expression(&mut self) -> Result<Expr, TemplateError> {
        expressions::expression(self)
    }
}

fn local(slot: usize, span: Range<usize>) -> Expr {
    Expr { kind: ExprKind::Local(slot), span, depth: 0 }
}
