//! The `where` of a pipeline: a SOQL condition, parsed by a grammar of our own, so that a typo gets a caret and nothing
//! can escape its parentheses. What is sent is printed from the parsed form, never copied from the file.

pub mod check;
pub mod error;
pub mod lexer;
pub mod parser;
pub mod tree;
