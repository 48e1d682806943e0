//! Carries out a template over one record.

use std::ops::Range;

use jiff::Timestamp;

use super::lists;
use super::operators;
use super::signature::{Arguments, Prepared, Takes};
use super::syntax::{Expr, ExprKind, FilterCall, For, LoopPart, Node, TestCall};
use super::value::{Budget, Number, Outcome, Refusal, Value};
use crate::pipeline::values::convert::trim;
use crate::pipeline::values::decimal::Decimal;
use crate::pipeline::values::time;

/// Why a template made no text, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) message: String,
    pub(super) span: Range<usize>,
    /// The budget is at its end.
    pub(super) exhausted: bool,
}

/// A template at work.
pub(super) struct Evaluation<'a> {
    /// The record's fields, in the order of the template's paths.
    pub(super) fields: Vec<Value<'a>>,
    pub(super) now: Timestamp,
    pub(super) budget: Budget,
    slots: Vec<Value<'a>>,
    /// Of each loop: which item, of how many.
    counters: Vec<(usize, usize)>,
}

/// What is printed.
type Output = String;

impl<'a> Evaluation<'a> {
    pub(super) fn new(fields: Vec<Value<'a>>, now: Timestamp, slots: usize, counters: usize) -> Self {
        let budget = Budget::new();
        Self { fields, now, budget, slots: vec![Value::Blank; slots], counters: vec![(0, 0); counters] }
    }

    /// What the statements print.
    pub(super) fn run(&mut self, nodes: &'a [Node], output: &mut Output) -> Result<(), Failure> {
        for node in nodes {
            match node {
                Node::Text(text) => self.print(text, 0..0, output)?,
                Node::Print(expr) => {
                    let value = self.value(expr)?;
                    let text = value.printed().map_err(|refusal| at(&expr.span, refusal))?;
                    self.print(&text, expr.span.clone(), output)?;
                }
                Node::If { branches, otherwise } => {
                    let mut chosen = otherwise;
                    for (condition, body) in branches {
                        if self.value(condition)?.is_true() {
                            chosen = body;
                            break;
                        }
                    }
                    self.run(chosen, output)?;
                }
                Node::For(repeated) => self.repeat(repeated, output)?,
                Node::Set { slot, value } => self.slots[*slot] = self.value(value)?,
                Node::Capture { slot, body } => self.slots[*slot] = self.capture(body)?,
                Node::Filtered { slot, body, value } => {
                    self.slots[*slot] = self.capture(body)?;
                    let value = self.value(value)?;
                    let text = value.printed().map_err(|refusal| at(&(0..0), refusal))?;
                    self.print(&text, 0..0, output)?;
                }
            }
        }
        Ok(())
    }

    fn print(&mut self, text: &str, span: Range<usize>, output: &mut Output) -> Result<(), Failure> {
        // Before it is appended: the output itself is bounded as every text is.
        let paid = self.budget.fits(output.len() + text.len()).and_then(|()| self.budget.spend_text(text.len()));
        paid.map_err(|refusal| at(&span, refusal))?;
        output.push_str(text);
        Ok(())
    }

    /// What the statements print, as a value.
    fn capture(&mut self, body: &'a [Node]) -> Result<Value<'a>, Failure> {
        let mut captured = Output::new();
        self.run(body, &mut captured)?;
        self.budget.text(&captured).map_err(|refusal| at(&(0..0), refusal))
    }

    /// The condition is applied to all items first, as `loop.length` and `loop.last` count those that pass.
    fn repeat(&mut self, node: &'a For, output: &mut Output) -> Result<(), Failure> {
        let items = self.value(&node.items)?;
        let items: Vec<Value<'a>> = match &items {
            // A blank field split or not, there is nothing to go over.
            Value::Blank => Vec::new(),
            Value::List(list) => list.items.clone(),
            Value::Map(map) => map.entries.iter().map(|(key, _)| key.clone()).collect(),
            other => {
                let message = format!("a loop goes over a list, got {}: split it, `| split(';')`", other.described());
                return Err(at(&node.items.span, Refusal::new(message)));
            }
        };
        // The condition alone may be evaluated for every item of a long list.
        self.spend(items.len(), &node.items.span)?;
        let mut kept = Vec::with_capacity(items.len());
        for item in items {
            // The condition speaks of the item by the name of the loop's variable.
            self.slots[node.slot] = item.clone();
            if node
                .condition
                .as_ref()
                .map_or(Ok(true), |condition| self.value(condition).map(|value| value.is_true()))?
            {
                kept.push(item);
            }
        }
        let count = kept.len();
        for (index, item) in kept.into_iter().enumerate() {
            self.spend(1, &node.items.span)?;
            // What one turn has set must not be seen by the next, as in Jinja.
            self.slots[node.fresh.clone()].fill(Value::Blank);
            self.slots[node.slot] = item;
            self.counters[node.counter] = (index, count);
            self.run(&node.body, output)?;
        }
        if count == 0 { self.run(&node.otherwise, output) } else { Ok(()) }
    }

    fn spend(&mut self, steps: usize, span: &Range<usize>) -> Result<(), Failure> {
        self.budget.spend(steps).map_err(|refusal| at(span, refusal))
    }

    /// The value of an expression.
    pub(super) fn value(&mut self, expr: &'a Expr) -> Result<Value<'a>, Failure> {
        // Every node costs a step, so that nothing can be repeated without being paid for.
        self.spend(1, &expr.span)?;
        let refused = |refusal| at(&expr.span, refusal);
        Ok(match &expr.kind {
            ExprKind::Blank => Value::Blank,
            ExprKind::Bool(answer) => Value::Bool(*answer),
            ExprKind::Number(number) => Value::number(number.clone()),
            ExprKind::Text(text) => Value::borrowed(text),
            ExprKind::Field(place) => self.fields.get(*place).cloned().unwrap_or(Value::Blank),
            ExprKind::Local(slot) => self.slots[*slot].clone(),
            ExprKind::Now => Value::made(&time::write_moment(self.now)),
            ExprKind::Loop(counter, part) => loop_part(self.counters[*counter], *part),
            ExprKind::List(items) => {
                let items = self.values(items)?;
                self.budget.list(items).map_err(refused)?
            }
            ExprKind::Map(entries) => self.map(expr, entries)?,
            ExprKind::Not(inner) => Value::Bool(!self.value(inner)?.is_true()),
            ExprKind::Negate(inner) => operators::negate(self.value(inner)?).map_err(refused)?,
            ExprKind::Arithmetic(operator, left, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                operators::arithmetic(&mut self.budget, *operator, left, right).map_err(refused)?
            }
            ExprKind::Compare(first, rest) => self.compare(expr, first, rest)?,
            ExprKind::Concat(parts) => {
                let parts = self.values(parts)?;
                operators::concat(&mut self.budget, &parts).map_err(refused)?
            }
            ExprKind::And(left, right) => {
                let left = self.value(left)?;
                // The right side is not evaluated where the left one decides: `x and 1 / x` is safe.
                if left.is_true() { self.value(right)? } else { left }
            }
            ExprKind::Or(left, right) => {
                let left = self.value(left)?;
                if left.is_true() { left } else { self.value(right)? }
            }
            ExprKind::If(condition, value, other) => match (self.value(condition)?.is_true(), other) {
                (true, _) => self.value(value)?,
                (false, Some(other)) => self.value(other)?,
                (false, None) => Value::Blank,
            },
            ExprKind::Item(value, index) => {
                let (value, index) = (self.value(value)?, self.value(index)?);
                operators::item(&mut self.budget, &value, &index).map_err(refused)?
            }
            ExprKind::Slice(value, parts) => {
                let value = self.value(value)?;
                let mut bounds = [None, None, None];
                for (bound, part) in bounds.iter_mut().zip(parts) {
                    *bound = part.as_ref().map(|part| self.value(part)).transpose()?;
                }
                operators::slice(&mut self.budget, &value, bounds).map_err(refused)?
            }
            ExprKind::Filter(call) => {
                let input = self.value(&call.input)?;
                let arguments = self.arguments(&call.arguments)?;
                filtered(&mut self.budget, call, input, arguments).map_err(refused)?
            }
            ExprKind::Test(call) => {
                let input = self.value(&call.input)?;
                let arguments = self.arguments(&call.arguments)?;
                Value::Bool(tested(&mut self.budget, call, input, arguments).map_err(refused)?)
            }
            ExprKind::Each(each) => self.each(expr, each)?,
            ExprKind::Range(arguments) => {
                let arguments = self.values(arguments)?;
                lists::range(&mut self.budget, &arguments).map_err(refused)?
            }
        })
    }

    fn values(&mut self, exprs: &'a [Expr]) -> Result<Vec<Value<'a>>, Failure> {
        exprs.iter().map(|expr| self.value(expr)).collect()
    }

    fn arguments(&mut self, exprs: &'a [Option<Expr>]) -> Result<Vec<Option<Value<'a>>>, Failure> {
        exprs.iter().map(|expr| expr.as_ref().map(|expr| self.value(expr)).transpose()).collect()
    }

    fn map(&mut self, expr: &'a Expr, entries: &'a [(Expr, Expr)]) -> Result<Value<'a>, Failure> {
        let mut made = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            made.push((self.value(key)?, self.value(value)?));
        }
        self.budget.map(made).map_err(|refusal| at(&expr.span, refusal))
    }

    fn compare(
        &mut self,
        expr: &'a Expr,
        first: &'a Expr,
        rest: &'a [(super::syntax::Comparison, Expr)],
    ) -> Result<Value<'a>, Failure> {
        let mut left = self.value(first)?;
        // Each operand once, and no further than the first comparison that fails, as in Python.
        for (comparison, right) in rest {
            let right = self.value(right)?;
            let holds = operators::compare(&mut self.budget, *comparison, &left, &right);
            if !holds.map_err(|refusal| at(&expr.span, refusal))? {
                return Ok(Value::Bool(false));
            }
            left = right;
        }
        Ok(Value::Bool(true))
    }

    /// `map`, `select`, `reject`: another filter or test for each item.
    fn each(&mut self, expr: &'a Expr, each: &'a super::syntax::Each) -> Result<Value<'a>, Failure> {
        use super::syntax::EachKind;
        let refused = |refusal| at(&expr.span, refusal);
        let list = coerced(each.kind.name(), Takes::List, self.value(&each.items)?).map_err(refused)?;
        // A blank stays a blank.
        let Value::List(list) = list else { return Ok(list) };
        let mut kept = Vec::new();
        for item in &list.items {
            self.slots[each.slot] = item.clone();
            let value = self.value(&each.body)?;
            match each.kind {
                EachKind::Map => kept.push(value),
                EachKind::Select if value.is_true() => kept.push(item.clone()),
                EachKind::Reject if !value.is_true() => kept.push(item.clone()),
                EachKind::Select | EachKind::Reject => {}
            }
        }
        self.budget.list(kept).map_err(refused)
    }
}

fn at(span: &Range<usize>, refusal: Refusal) -> Failure {
    Failure { message: refusal.message, span: span.clone(), exhausted: refusal.exhausted }
}

fn loop_part((index, count): (usize, usize), part: LoopPart) -> Value<'static> {
    match part {
        LoopPart::Index => Value::count(index + 1),
        LoopPart::Index0 => Value::count(index),
        LoopPart::ReverseIndex => Value::count(count - index),
        LoopPart::ReverseIndex0 => Value::count(count - index - 1),
        LoopPart::First => Value::Bool(index == 0),
        LoopPart::Last => Value::Bool(index + 1 == count),
        LoopPart::Length => Value::count(count),
    }
}

/// A filter over a value: input and arguments are made what it takes, so that no filter sees anything else.
pub(super) fn filtered<'a>(
    budget: &mut Budget,
    call: &'a FilterCall,
    input: Value<'a>,
    arguments: Vec<Option<Value<'a>>>,
) -> Outcome<'a> {
    let filter = call.filter;
    // Here and not in each filter, so that a blank is one thing for all of them.
    if filter.keeps_blanks && input.is_blank() {
        return Ok(Value::Blank);
    }
    let input = coerced(filter.name, filter.takes, input)?;
    let mut values = Vec::with_capacity(arguments.len());
    for (parameter, value) in filter.parameters.iter().zip(arguments) {
        let value = value.map(|value| argument(filter.name, parameter.name, parameter.takes, value)).transpose()?;
        // As in arithmetic: with a blank instead of a number or a date, the result is a blank.
        let counts = matches!(parameter.takes, Takes::Number | Takes::Whole | Takes::Day | Takes::Moment);
        if counts && value.as_ref().is_some_and(Value::is_blank) {
            return Ok(Value::Blank);
        }
        values.push(value);
    }
    (filter.run)(budget, input, &Arguments { values, prepared: &call.prepared })
}

/// A test of a value.
pub(super) fn tested<'a>(
    budget: &mut Budget,
    call: &'a TestCall,
    input: Value<'a>,
    arguments: Vec<Option<Value<'a>>>,
) -> Result<bool, Refusal> {
    let test = call.test;
    let input = coerced(test.name, test.takes, input)?;
    let pairs = test.parameters.iter().zip(arguments);
    let values = pairs
        .map(|(parameter, value)| {
            value.map(|value| argument(test.name, parameter.name, parameter.takes, value)).transpose()
        })
        .collect::<Result<_, _>>()?;
    let arguments = Arguments { values, prepared: &Prepared::Nothing };
    Ok((test.run)(budget, &input, &arguments)? != call.negated)
}

pub(super) fn argument<'a>(function: &str, name: &str, takes: Takes, value: Value<'a>) -> Outcome<'a> {
    accepted(takes, value).map_err(|value| {
        Refusal::new(format!(
            "the argument `{name}` of `{function}` takes {}, got {}",
            expected(takes),
            value.described()
        ))
    })
}

fn coerced<'a>(function: &str, takes: Takes, value: Value<'a>) -> Outcome<'a> {
    accepted(takes, value).map_err(|value| {
        let advice = match (takes, &value) {
            (Takes::Text, Value::List(_)) => ": join the list, `| join(', ')`",
            (Takes::List, Value::Text(_)) => ": split the text, `| split(';')`",
            (Takes::Number, Value::Bool(_)) => ": make a number of a checkbox with `| int`",
            _ => "",
        };
        Refusal::new(format!("`{function}` takes {}, got {}{advice}", expected(takes), value.described()))
    })
}

/// The value as what is taken; itself where it does not fit. A blank fits everything.
fn accepted<'a>(takes: Takes, value: Value<'a>) -> Result<Value<'a>, Value<'a>> {
    match (takes, &value) {
        (Takes::Anything, _) | (Takes::List, Value::List(_)) | (Takes::Flag, Value::Bool(_)) | (_, Value::Blank) => {
            Ok(value)
        }
        (Takes::Text, Value::Text(_)) | (Takes::Number, Value::Number(_)) => Ok(value),
        (Takes::Text, Value::Number(number)) => Ok(Value::made(&number.text())),
        // As HubSpot writes a checkbox.
        (Takes::Text, Value::Bool(answer)) => Ok(Value::borrowed(if *answer { "true" } else { "false" })),
        (Takes::Whole, Value::Number(number)) if number.value.is_whole() => Ok(value),
        // Salesforce has numbers in text fields, and formulas that return text.
        (Takes::Number, Value::Text(text)) => Number::parse(trim(text)).map(Value::Number).ok_or(value),
        (Takes::Whole, Value::Text(text)) => {
            Decimal::parse(trim(text)).filter(Decimal::is_whole).map(Value::number).ok_or(value)
        }
        (Takes::Day, Value::Text(text)) if time::date(text).is_some() || time::moment(text).is_some() => Ok(value),
        (Takes::Moment, Value::Text(text)) if time::moment(text).is_some() => Ok(value),
        _ => Err(value),
    }
}

pub(super) fn expected(takes: Takes) -> &'static str {
    match takes {
        Takes::Anything => "a value",
        Takes::Text => "a text",
        Takes::Number => "a number",
        Takes::Whole => "a whole number",
        Takes::Day => "a date such as `2026-10-01` or a moment",
        Takes::Moment => "a moment such as `2026-10-01T09:00:00Z`",
        Takes::List => "a list",
        Takes::Flag => "`true` or `false`",
    }
}
