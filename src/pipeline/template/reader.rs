//! Goes through the tokens of a template, and knows its variables, loops and fields so far.

use std::collections::HashMap;
use std::ops::Range;

use super::lexer::{Token, TokenKind, tokens};
use super::syntax::{Node, TemplateError};

/// How deep statements and expressions may be nested: little enough for the stack of any thread, also in a build for tests.
pub(super) const DEPTH_MAX: usize = 32;

/// A template that is read.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub(super) nodes: Vec<Node>,
    /// The fields that it names, and where each is named first.
    pub(super) fields: Vec<(String, Range<usize>)>,
    /// How many variables it has.
    pub(super) slots: usize,
    /// How many loops it has.
    pub(super) counters: usize,
    /// Where it asks for the time first.
    pub(super) now: Option<Range<usize>>,
}

/// A template on its way to statements.
pub(super) struct Parser<'a> {
    pub(super) source: &'a str,
    tokens: Vec<Token>,
    at: usize,
    pub(super) depth: usize,
    pub(super) parsed: Parsed,
    /// Variables by name, the innermost scope last.
    pub(super) scopes: Vec<HashMap<String, usize>>,
    /// The loops around this place.
    pub(super) loops: Vec<usize>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(source: &'a str) -> Result<Self, TemplateError> {
        Ok(Self {
            source,
            tokens: tokens(source)?,
            at: 0,
            depth: 0,
            parsed: Parsed::default(),
            scopes: vec![HashMap::new()],
            loops: Vec::new(),
        })
    }

    pub(super) fn peek(&self) -> &TokenKind {
        // The last token is the end, which can be looked at again and again.
        &self.tokens[self.at.min(self.tokens.len() - 1)].kind
    }

    pub(super) fn peek_next(&self) -> &TokenKind {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].kind
    }

    pub(super) fn span(&self) -> Range<usize> {
        self.tokens[self.at.min(self.tokens.len() - 1)].span.clone()
    }

    /// The end of what was read last.
    pub(super) fn end(&self) -> usize {
        self.tokens[self.at.saturating_sub(1)].span.end
    }

    pub(super) fn next(&mut self) -> Token {
        let token = self.tokens[self.at.min(self.tokens.len() - 1)].clone();
        self.at += 1;
        token
    }

    pub(super) fn is(&self, symbol: &str) -> bool {
        matches!(self.peek(), TokenKind::Symbol(found) if *found == symbol)
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), TokenKind::Name(found) if found == word)
    }

    pub(super) fn skip(&mut self, symbol: &str) -> bool {
        let found = self.is(symbol);
        self.at += usize::from(found);
        found
    }

    pub(super) fn skip_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, symbol: &str, where_: &str) -> Result<(), TemplateError> {
        if self.skip(symbol) { Ok(()) } else { Err(self.unexpected(&format!("`{symbol}` {where_}"))) }
    }

    pub(super) fn name(&mut self, what: &str) -> Result<(String, Range<usize>), TemplateError> {
        match self.peek() {
            TokenKind::Name(name) => {
                let name = name.clone();
                Ok((name, self.next().span))
            }
            _ => Err(self.unexpected(what)),
        }
    }

    /// What was expected instead of the token at hand.
    pub(super) fn unexpected(&self, expected: &str) -> TemplateError {
        let found = match self.peek() {
            TokenKind::End => "the template's end".to_owned(),
            TokenKind::Text(_) => "a text outside of the braces".to_owned(),
            TokenKind::Quoted(_) => "a text in quotes".to_owned(),
            _ => format!("`{}`", &self.source[self.span()]),
        };
        let error = TemplateError::new(self.span(), format!("expected {expected}, found {found}"));
        match self.peek() {
            TokenKind::Symbol("=") => error.with_help("two values are compared with `==`"),
            _ => error,
        }
    }

    /// Enters a deeper level.
    pub(super) fn deeper(&mut self) -> Result<(), TemplateError> {
        self.depth += 1;
        if self.depth <= DEPTH_MAX {
            return Ok(());
        }
        let message = format!("the template is nested more than {DEPTH_MAX} levels deep");
        Err(TemplateError::new(self.span(), message).with_help("take it apart with `{% set … %}`"))
    }

    /// The slot of a variable, from the innermost scope.
    pub(super) fn variable(&self, name: &str) -> Option<usize> {
        self.scopes.iter().rev().find_map(|scope| scope.get(name).copied())
    }

    /// A new slot, under a name or none.
    pub(super) fn slot(&mut self) -> usize {
        self.parsed.slots += 1;
        self.parsed.slots - 1
    }

    /// The slot that an assignment fills: that of the same scope, or a new one.
    pub(super) fn assigned(&mut self, name: &str) -> usize {
        if let Some(slot) = self.scopes.last().and_then(|scope| scope.get(name)) {
            return *slot;
        }
        let slot = self.slot();
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name.to_owned(), slot);
        }
        slot
    }
}
