//! What a template is made of once it is read: statements and expressions, each with its place in the text.

use std::ops::Range;

use super::signature::{Filter, Prepared, Test};
use crate::pipeline::values::decimal::Decimal;

/// Why a text is no template, or one that fails for every record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    /// What is wrong.
    pub message: String,
    /// Where, in bytes of the template.
    pub span: Range<usize>,
    /// What to write instead.
    pub help: Option<String>,
}

impl TemplateError {
    pub(super) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { message: message.into(), span, help: None }
    }

    pub(super) fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// A statement.
#[derive(Debug)]
pub(super) enum Node {
    /// Text as it stands.
    Text(Box<str>),
    /// `{{ … }}`
    Print(Expr),
    /// `{% if … %}`: the branches in order, and `else`.
    If { branches: Vec<(Expr, Vec<Node>)>, otherwise: Vec<Node> },
    /// `{% for … %}`
    For(Box<For>),
    /// `{% set … = … %}`, and each variable of `{% with %}`.
    Set { slot: usize, value: Expr },
    /// `{% set … %}…{% endset %}`: what the body prints.
    Capture { slot: usize, body: Vec<Node> },
    /// `{% filter … %}…{% endfilter %}`: the printed body is in the slot.
    Filtered { slot: usize, body: Vec<Node>, value: Expr },
}

/// A loop.
#[derive(Debug)]
pub(super) struct For {
    /// The variable.
    pub(super) slot: usize,
    /// Which loop it is, for `loop.index` and the like.
    pub(super) counter: usize,
    pub(super) items: Expr,
    /// Only the items for which this is true.
    pub(super) condition: Option<Expr>,
    pub(super) body: Vec<Node>,
    /// What is done when there is no item.
    pub(super) otherwise: Vec<Node>,
    /// Variables of the body: blank again for each item.
    pub(super) fresh: Range<usize>,
}

/// An expression.
#[derive(Debug)]
pub(super) struct Expr {
    pub(super) kind: ExprKind,
    pub(super) span: Range<usize>,
    /// How deep expressions are nested in it.
    pub(super) depth: usize,
}

#[derive(Debug)]
pub(super) enum ExprKind {
    Blank,
    Bool(bool),
    Number(Decimal),
    Text(Box<str>),
    /// A field of the record, by its place among the template's paths.
    Field(usize),
    /// A variable.
    Local(usize),
    /// The beginning of the run.
    Now,
    /// `loop.index` and the like.
    Loop(usize, LoopPart),
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    Arithmetic(Arithmetic, Box<Expr>, Box<Expr>),
    /// `a < b`, and `a < b < c`.
    Compare(Box<Expr>, Vec<(Comparison, Expr)>),
    /// `a ~ b ~ c`
    Concat(Vec<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    /// Condition, value, other value.
    If(Box<Expr>, Box<Expr>, Option<Box<Expr>>),
    Item(Box<Expr>, Box<Expr>),
    /// Value, start, end, step.
    Slice(Box<Expr>, [Option<Box<Expr>>; 3]),
    Filter(Box<FilterCall>),
    Test(Box<TestCall>),
    Each(Box<Each>),
    /// `range(…)`
    Range(Vec<Expr>),
}

/// `map`, `select` or `reject`: a filter or test for each item of a list, which is in the slot.
#[derive(Debug)]
pub(super) struct Each {
    pub(super) kind: EachKind,
    pub(super) slot: usize,
    pub(super) items: Expr,
    pub(super) body: Expr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EachKind {
    Map,
    Select,
    Reject,
}

impl EachKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Map => "map",
            Self::Select => "select",
            Self::Reject => "reject",
        }
    }
}

/// A filter with its input and arguments.
#[derive(Debug)]
pub(super) struct FilterCall {
    pub(super) filter: &'static Filter,
    pub(super) input: Expr,
    /// One for each parameter.
    pub(super) arguments: Vec<Option<Expr>>,
    pub(super) prepared: Prepared,
}

/// A test with its input and arguments.
#[derive(Debug)]
pub(super) struct TestCall {
    pub(super) test: &'static Test,
    pub(super) input: Expr,
    pub(super) arguments: Vec<Option<Expr>>,
    pub(super) negated: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    DivideWhole,
    Remainder,
    Power,
}

impl Arithmetic {
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::DivideWhole => "//",
            Self::Remainder => "%",
            Self::Power => "**",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
    In,
    NotIn,
}

impl Comparison {
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
            Self::In => "in",
            Self::NotIn => "not in",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoopPart {
    Index,
    Index0,
    ReverseIndex,
    ReverseIndex0,
    First,
    Last,
    Length,
}

/// The names of what `loop` tells.
pub(super) const LOOP_PARTS: [(&str, LoopPart); 7] = [
    ("index", LoopPart::Index),
    ("index0", LoopPart::Index0),
    ("revindex", LoopPart::ReverseIndex),
    ("revindex0", LoopPart::ReverseIndex0),
    ("first", LoopPart::First),
    ("last", LoopPart::Last),
    ("length", LoopPart::Length),
];
