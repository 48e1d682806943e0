//! Expressions of a template, with Jinja's precedence: `if`, `or`, `and`, `not`, comparisons, `+ -`, `~`, `* / // %`, signs,
//! `**`, then subscripts, filters and tests.

use std::ops::Range;

use super::binding::{Given, Named, bound, method, no_filter, no_function, no_test};
use super::dates::zone;
use super::functions;
use super::lexer::{TokenKind, is_name};
use super::pattern::Pattern;
use super::reader::{DEPTH_MAX, Parser};
use super::signature::{Filter, Prepared};
use super::syntax::{
    Arithmetic, Comparison, Each, EachKind, Expr, ExprKind, FilterCall, LOOP_PARTS, TemplateError, TestCall,
};
use super::value::Refusal;
use crate::diagnostic::nearest::nearest;

type Parsed<T> = Result<T, TemplateError>;

/// How deep the operators of one expression may be nested, such as by a long sum.
/// Evaluation recurses once a level; more would need more stack than a worker thread has in a build for tests.
const OPERATORS_MAX: usize = 64;

/// Any expression.
pub(super) fn expression(parser: &mut Parser<'_>) -> Parsed<Expr> {
    parser.deeper()?;
    let mut value = or(parser)?;
    // A loop and no `if`: `a if b else c if d` is one expression with Jinja.
    while parser.skip_word("if") {
        let condition = or(parser)?;
        let other = if parser.skip_word("else") { Some(Box::new(expression(parser)?)) } else { None };
        value = node(parser, value.span.start, |value| ExprKind::If(Box::new(condition), value, other), value)?;
    }
    parser.depth -= 1;
    Ok(value)
}

/// The items of a loop, whose own `if` follows them.
pub(super) fn without_condition(parser: &mut Parser<'_>) -> Parsed<Expr> {
    or(parser)
}

/// An expression made of another one, which ends where the parser stands.
fn node(parser: &Parser<'_>, start: usize, make: impl FnOnce(Box<Expr>) -> ExprKind, inner: Expr) -> Parsed<Expr> {
    let depth = inner.depth;
    whole(parser, start, make(Box::new(inner)), depth)
}

/// An expression from `start` to where the parser stands, around others of that depth.
fn whole(parser: &Parser<'_>, start: usize, kind: ExprKind, depth: usize) -> Parsed<Expr> {
    // The depth is that of evaluation: the left side of a long sum is nested as deep as the sum is long.
    let depth = depth.max(children(&kind)) + 1;
    let span = start..parser.end();
    if depth > OPERATORS_MAX {
        let message = format!("the expression has more than {OPERATORS_MAX} operators within each other");
        return Err(TemplateError::new(span, message).with_help("take it apart with `{% set … %}`"));
    }
    Ok(Expr { kind, span, depth })
}

/// How deep the right-hand sides are.
fn children(kind: &ExprKind) -> usize {
    let deepest = |list: &[Expr]| list.iter().map(|expr| expr.depth).max().unwrap_or(0);
    match kind {
        ExprKind::Arithmetic(_, _, right) | ExprKind::And(_, right) | ExprKind::Or(_, right) => right.depth,
        ExprKind::Item(_, index) => index.depth,
        ExprKind::Compare(_, rest) => rest.iter().map(|(_, expr)| expr.depth).max().unwrap_or(0),
        ExprKind::If(condition, value, other) => {
            condition.depth.max(value.depth).max(other.as_ref().map_or(0, |other| other.depth))
        }
        ExprKind::List(list) | ExprKind::Concat(list) | ExprKind::Range(list) => deepest(list),
        ExprKind::Map(entries) => entries.iter().map(|(key, value)| key.depth.max(value.depth)).max().unwrap_or(0),
        ExprKind::Slice(_, parts) => parts.iter().flatten().map(|expr| expr.depth).max().unwrap_or(0),
        ExprKind::Filter(call) => call.arguments.iter().flatten().map(|expr| expr.depth).max().unwrap_or(0),
        ExprKind::Test(call) => call.arguments.iter().flatten().map(|expr| expr.depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn or(parser: &mut Parser<'_>) -> Parsed<Expr> {
    let mut left = and(parser)?;
    while parser.skip_word("or") {
        let right = Box::new(and(parser)?);
        left = node(parser, left.span.start, |left| ExprKind::Or(left, right), left)?;
    }
    Ok(left)
}

fn and(parser: &mut Parser<'_>) -> Parsed<Expr> {
    let mut left = not(parser)?;
    while parser.skip_word("and") {
        let right = Box::new(not(parser)?);
        left = node(parser, left.span.start, |left| ExprKind::And(left, right), left)?;
    }
    Ok(left)
}

fn not(parser: &mut Parser<'_>) -> Parsed<Expr> {
    let start = parser.span().start;
    if !parser.skip_word("not") {
        return compare(parser);
    }
    parser.deeper()?;
    let inner = not(parser)?;
    parser.depth -= 1;
    node(parser, start, ExprKind::Not, inner)
}

fn compare(parser: &mut Parser<'_>) -> Parsed<Expr> {
    let first = sum(parser)?;
    let mut rest = Vec::new();
    while let Some(comparison) = comparison(parser) {
        rest.push((comparison, sum(parser)?));
    }
    if rest.is_empty() {
        return Ok(first);
    }
    node(parser, first.span.start, |first| ExprKind::Compare(first, rest), first)
}

fn comparison(parser: &mut Parser<'_>) -> Option<Comparison> {
    use Comparison as C;
    for comparison in [C::Equal, C::Unequal, C::AtMost, C::AtLeast, C::Less, C::Greater] {
        if parser.skip(comparison.symbol()) {
            return Some(comparison);
        }
    }
    // Two words make this operator, and a `not` alone begins another expression.
    let negated = parser.is_word("not") && matches!(parser.peek_next(), TokenKind::Name(word) if word == "in");
    if negated {
        parser.next();
    }
    parser.skip_word("in").then_some(if negated { C::NotIn } else { C::In })
}

fn sum(parser: &mut Parser<'_>) -> Parsed<Expr> {
    operators(parser, &[Arithmetic::Add, Arithmetic::Subtract], concat)
}

fn concat(parser: &mut Parser<'_>) -> Parsed<Expr> {
    let first = product(parser)?;
    if !parser.is("~") {
        return Ok(first);
    }
    let start = first.span.start;
    let mut parts = vec![first];
    while parser.skip("~") {
        parts.push(product(parser)?);
    }
    // One node for the whole row: evaluated pairwise, a long row would copy its beginning again and again.
    whole(parser, start, ExprKind::Concat(parts), 0)
}

fn product(parser: &mut Parser<'_>) -> Parsed<Expr> {
    use Arithmetic as A;
    operators(parser, &[A::Multiply, A::DivideWhole, A::Divide, A::Remainder], |parser| unary(parser, true))
}

fn operators(
    parser: &mut Parser<'_>,
    known: &[Arithmetic],
    operand: fn(&mut Parser<'_>) -> Parsed<Expr>,
) -> Parsed<Expr> {
    let mut left = operand(parser)?;
    while let Some(operator) = known.iter().find(|operator| parser.is(operator.symbol())) {
        parser.next();
        let right = Box::new(operand(parser)?);
        left = node(parser, left.span.start, |left| ExprKind::Arithmetic(*operator, left, right), left)?;
    }
    Ok(left)
}

fn unary(parser: &mut Parser<'_>, with_filters: bool) -> Parsed<Expr> {
    let start = parser.span().start;
    let negative = parser.is("-");
    let value = if negative || parser.is("+") {
        parser.next();
        parser.deeper()?;
        // Without filters: `-x | abs` is the absolute value of `-x`, as in Jinja.
        let inner = unary(parser, false)?;
        parser.depth -= 1;
        if negative { node(parser, start, ExprKind::Negate, inner)? } else { inner }
    } else {
        power(parser)?
    };
    if with_filters { filters(parser, value) } else { Ok(value) }
}

/// `a ** b`: binds tighter than a sign to its left, as in Python.
fn power(parser: &mut Parser<'_>) -> Parsed<Expr> {
    let base = primary(parser)?;
    let base = subscripts(parser, base)?;
    if !parser.skip("**") {
        return Ok(base);
    }
    parser.deeper()?;
    // To the right: `2 ** 3 ** 2` is `2 ** 9`, and an exponent may have a sign.
    let exponent = Box::new(unary(parser, false)?);
    parser.depth -= 1;
    node(parser, base.span.start, |base| ExprKind::Arithmetic(Arithmetic::Power, base, exponent), base)
}

fn primary(parser: &mut Parser<'_>) -> Parsed<Expr> {
    let start = parser.span().start;
    let kind = match parser.peek().clone() {
        TokenKind::Name(name) => return named(parser, name),
        TokenKind::Quoted(_) => ExprKind::Text(quoted(parser).into()),
        TokenKind::Number(number) => {
            parser.next();
            ExprKind::Number(number)
        }
        TokenKind::Symbol("(") => {
            parser.next();
            let inner = expression(parser)?;
            // Jinja makes a tuple of it, which would be a second kind of list.
            if parser.is(",") {
                return Err(parser.unexpected("`)`").with_help("a list stands in brackets: `[a, b]`"));
            }
            parser.expect(")", "at the end of the group")?;
            // The parentheses belong to the span, so that a message quotes what can be evaluated alone.
            return Ok(Expr { span: start..parser.end(), ..inner });
        }
        TokenKind::Symbol("[") => ExprKind::List(list(parser)?),
        TokenKind::Symbol("{") => ExprKind::Map(map(parser)?),
        _ => return Err(parser.unexpected("a value")),
    };
    whole(parser, start, kind, 0)
}

/// Texts side by side are one text, as in Python.
fn quoted(parser: &mut Parser<'_>) -> String {
    let mut text = String::new();
    while let TokenKind::Quoted(part) = parser.peek() {
        text.push_str(part);
        parser.next();
    }
    text
}

fn list(parser: &mut Parser<'_>) -> Parsed<Vec<Expr>> {
    parser.next();
    let mut items = Vec::new();
    while !parser.is("]") {
        items.push(expression(parser)?);
        if !parser.skip(",") {
            break;
        }
    }
    parser.expect("]", "at the end of the list")?;
    Ok(items)
}

fn map(parser: &mut Parser<'_>) -> Parsed<Vec<(Expr, Expr)>> {
    parser.next();
    let mut entries = Vec::new();
    while !parser.is("}") {
        let key = expression(parser)?;
        parser.expect(":", "between key and value")?;
        entries.push((key, expression(parser)?));
        if !parser.skip(",") {
            break;
        }
    }
    parser.expect("}", "at the end of the map")?;
    Ok(entries)
}

/// A name: a constant, a variable, a function, or a field with its parents.
fn named(parser: &mut Parser<'_>, name: String) -> Parsed<Expr> {
    let span = parser.next().span;
    let kind = match name.as_str() {
        // Jinja takes both spellings.
        "true" | "True" => ExprKind::Bool(true),
        "false" | "False" => ExprKind::Bool(false),
        "none" | "None" | "null" => ExprKind::Blank,
        // Before `loop` and `now`, which a variable may hide; a field of the same name is hidden, too.
        _ if parser.variable(&name).is_some() => ExprKind::Local(parser.variable(&name).unwrap_or_default()),
        "loop" => return loop_part(parser, span),
        "now" => {
            // The first place, for the warning that such a value changes from run to run.
            parser.parsed.now.get_or_insert(span.clone());
            if parser.skip("(") {
                parser.expect(")", "behind `now(`: it takes no arguments")?;
            }
            ExprKind::Now
        }
        "range" if parser.is("(") => ExprKind::Range(range(parser, &span)?),
        _ if parser.is("(") => return Err(no_function(&name, span)),
        "and" | "or" | "in" | "is" | "if" | "else" | "not" => {
            return Err(TemplateError::new(span, format!("expected a value, found `{name}`")));
        }
        _ => return field(parser, name, span),
    };
    whole(parser, span.start, kind, 0)
}

fn range(parser: &mut Parser<'_>, name: &Range<usize>) -> Parsed<Vec<Expr>> {
    parser.next();
    let mut arguments = Vec::new();
    while !parser.is(")") {
        arguments.push(expression(parser)?);
        if !parser.skip(",") {
            break;
        }
    }
    parser.expect(")", "at the end of the arguments")?;
    if arguments.is_empty() || arguments.len() > 3 {
        let message = format!("`range` takes one to three arguments, got {}", arguments.len());
        let error = TemplateError::new(name.start..parser.end(), message);
        return Err(error.with_help("`range(end)`, `range(start, end)` or `range(start, end, step)`"));
    }
    Ok(arguments)
}

fn loop_part(parser: &mut Parser<'_>, span: Range<usize>) -> Parsed<Expr> {
    let Some(counter) = parser.loops.last().copied() else {
        let error = TemplateError::new(span, "`loop` stands outside of a loop");
        return Err(error.with_help("it is known between `{% for … %}` and `{% endfor %}`"));
    };
    let known = LOOP_PARTS.map(|(name, _)| name);
    let listed = || format!("`loop` has {}", known.map(|name| format!("`{name}`")).join(", "));
    if !parser.skip(".") {
        return Err(TemplateError::new(span, "`loop` is not a value by itself").with_help(listed()));
    }
    let (name, part_span) = parser.name("what you want to know of the loop")?;
    let Some((_, part)) = LOOP_PARTS.iter().find(|(known, _)| *known == name) else {
        let near = nearest(&name, known);
        let help = near.map_or_else(listed, |near| format!("did you mean `{near}`?"));
        return Err(TemplateError::new(part_span, format!("`loop` has no `{name}`")).with_help(help));
    };
    whole(parser, span.start, ExprKind::Loop(counter, *part), 0)
}

/// A field, followed over its parents: `Account__r.Name`, `Account__r['Name']`.
fn field(parser: &mut Parser<'_>, mut path: String, span: Range<usize>) -> Parsed<Expr> {
    let start = span.start;
    let mut end = span.end;
    loop {
        if parser.is(".") {
            parser.next();
            let (name, name_span) = parser.name("the name of a field")?;
            if parser.is("(") {
                return Err(method(&path, &name, name_span));
            }
            path = format!("{path}.{name}");
        } else if parser.is("[") && is_key(parser) {
            parser.next();
            let TokenKind::Quoted(name) = parser.next().kind else { break };
            parser.expect("]", "at the end of the subscript")?;
            path = format!("{path}.{name}");
        } else {
            break;
        }
        end = parser.end();
    }
    let fields = &mut parser.parsed.fields;
    // Each path once, however often it is named: a path is a column of the query.
    let place = fields.iter().position(|(known, _)| *known == path).unwrap_or_else(|| {
        fields.push((path, start..end));
        fields.len() - 1
    });
    whole(parser, start, ExprKind::Field(place), 0)
}

/// Whether a subscript holds the name of a field and nothing else.
fn is_key(parser: &Parser<'_>) -> bool {
    let TokenKind::Quoted(name) = parser.peek_next() else { return false };
    // Any other text in brackets is the key of a map or a mistake, and no path.
    !name.is_empty() && name.chars().all(is_name) && !name.starts_with(|first: char| first.is_ascii_digit())
}

/// Subscripts behind a value: `[2]`, `[:3]`, `.key` of a map.
fn subscripts(parser: &mut Parser<'_>, mut value: Expr) -> Parsed<Expr> {
    loop {
        let start = value.span.start;
        if parser.is(".") {
            parser.next();
            let (name, span) = parser.name("the name of a key")?;
            if parser.is("(") {
                return Err(method(parser.source.get(value.span.clone()).unwrap_or("VALUE"), &name, span));
            }
            let key = Expr { kind: ExprKind::Text(name.into()), span, depth: 0 };
            value = node(parser, start, |value| ExprKind::Item(value, Box::new(key)), value)?;
        } else if parser.skip("[") {
            value = subscript(parser, value)?;
        } else if parser.is("(") {
            let span = parser.span();
            return Err(
                TemplateError::new(span, "this value cannot be called").with_help("write an operator before `(`")
            );
        } else {
            return Ok(value);
        }
    }
}

fn subscript(parser: &mut Parser<'_>, value: Expr) -> Parsed<Expr> {
    let start = value.span.start;
    let mut parts: [Option<Box<Expr>>; 3] = [None, None, None];
    let mut colons = 0;
    for (place, part) in parts.iter_mut().enumerate() {
        if !parser.is(":") && !parser.is("]") {
            *part = Some(Box::new(expression(parser)?));
        }
        if place == 2 || !parser.skip(":") {
            break;
        }
        colons += 1;
    }
    parser.expect("]", "at the end of the subscript")?;
    if colons > 0 {
        return node(parser, start, |value| ExprKind::Slice(value, parts), value);
    }
    let [Some(index), ..] = parts else {
        let span = start..parser.end();
        return Err(
            TemplateError::new(span, "the subscript is empty").with_help("`[0]` is the first, `[:3]` the first three")
        );
    };
    node(parser, start, |value| ExprKind::Item(value, index), value)
}

/// Filters and tests behind a value.
pub(super) fn filters(parser: &mut Parser<'_>, mut value: Expr) -> Parsed<Expr> {
    loop {
        if parser.skip("|") {
            value = filter(parser, value)?;
        } else if parser.skip_word("is") {
            value = test(parser, value)?;
        // `x | split(';')[0]` takes an item of what the filter gave.
        } else if parser.is("[") || parser.is(".") {
            value = subscripts(parser, value)?;
        } else {
            return Ok(value);
        }
    }
}

/// A filter with its arguments, behind the `|`.
pub(super) fn filter(parser: &mut Parser<'_>, input: Expr) -> Parsed<Expr> {
    let start = input.span.start;
    let (name, span) = parser.name("the name of a filter")?;
    let filter = functions::find_filter(&name).ok_or_else(|| no_filter(&name, &span))?;
    let given = if parser.is("(") { arguments(parser)? } else { Vec::new() };
    if let Some(kind) = each_kind(filter.name) {
        return each(parser, kind, input, &span, given);
    }
    let arguments = bound(Named { what: "filter", name: filter.name, span: &span }, filter.parameters, given)?;
    let prepared = prepared(filter, &arguments)?;
    let call = FilterCall { filter, input, arguments, prepared };
    let depth = call.input.depth;
    whole(parser, start, ExprKind::Filter(Box::new(call)), depth)
}

/// Patterns and time zones that stand in the template are made once.
fn prepared(filter: &Filter, arguments: &[Option<Expr>]) -> Parsed<Prepared> {
    // A pattern is compiled once for all records; a zone from a field has to be looked up for each.
    let pattern = filter.name.starts_with("regex_");
    let Some(Some(first)) = arguments.first().filter(|_| pattern || filter.name == "in_zone") else {
        return Ok(Prepared::Nothing);
    };
    let refused = |refusal: Refusal| TemplateError::new(first.span.clone(), refusal.message);
    match &first.kind {
        ExprKind::Text(text) if pattern => Ok(Prepared::Pattern(Box::new(Pattern::new(text).map_err(refused)?))),
        ExprKind::Text(name) => Ok(Prepared::Zone(zone(name).map_err(refused)?)),
        _ if pattern => {
            let message = format!("the pattern of `{}` has to stand in the template", filter.name);
            Err(TemplateError::new(first.span.clone(), message).with_help("write it as a text in quotes"))
        }
        _ => Ok(Prepared::Nothing),
    }
}

fn each_kind(name: &str) -> Option<EachKind> {
    [EachKind::Map, EachKind::Select, EachKind::Reject].into_iter().find(|kind| kind.name() == name)
}

/// `… | map('trim')`, `… | select('startingwith', 'A')`: the filter or test that is named, for each item.
fn each(parser: &mut Parser<'_>, kind: EachKind, items: Expr, span: &Range<usize>, mut given: Given) -> Parsed<Expr> {
    let start = items.span.start;
    // A variable without a name, so that the filter can be checked and run as one that is written out.
    let slot = parser.slot();
    let item = Expr { kind: ExprKind::Local(slot), span: span.clone(), depth: 0 };
    let what = if kind == EachKind::Map { "filter" } else { "test" };
    let lacks = |span: Range<usize>| {
        let message = format!("`{}` needs the name of a {what}, in quotes", kind.name());
        let example = if kind == EachKind::Map { "map('trim')" } else { "select('startingwith', 'A')" };
        TemplateError::new(span, message).with_help(format!("such as `{example}`"))
    };
    let body = if given.is_empty() {
        // Without a test, items that count as true.
        if kind == EachKind::Map {
            return Err(lacks(span.clone()));
        }
        item
    } else {
        let (_, first) = given.remove(0);
        let ExprKind::Text(name) = &first.kind else { return Err(lacks(first.span)) };
        let owner = |name| Named { what, name, span: &first.span };
        let kind = if kind == EachKind::Map {
            // `map('map', …)` has no meaning that anybody could read.
            let filter = functions::find_filter(name).filter(|filter| each_kind(filter.name).is_none());
            let filter = filter.ok_or_else(|| no_filter(name, &first.span))?;
            let arguments = bound(owner(filter.name), filter.parameters, given)?;
            let prepared = prepared(filter, &arguments)?;
            ExprKind::Filter(Box::new(FilterCall { filter, input: item, arguments, prepared }))
        } else {
            let test = functions::find_test(name).ok_or_else(|| no_test(name, &first.span))?;
            let arguments = bound(owner(test.name), test.parameters, given)?;
            ExprKind::Test(Box::new(TestCall { test, input: item, arguments, negated: false }))
        };
        whole(parser, span.start, kind, 0)?
    };
    let depth = items.depth.max(body.depth);
    whole(parser, start, ExprKind::Each(Box::new(Each { kind, slot, items, body })), depth)
}

/// A test with its arguments, behind the `is`.
fn test(parser: &mut Parser<'_>, input: Expr) -> Parsed<Expr> {
    let start = input.span.start;
    let negated = parser.skip_word("not");
    let (name, span) = parser.name("the name of a test")?;
    let test = functions::find_test(&name).ok_or_else(|| no_test(&name, &span))?;
    let given = if parser.is("(") {
        arguments(parser)?
    // Only a test that takes an argument looks for one: `x is even (…)` is a mistake.
    } else if !test.parameters.is_empty() && begins_value(parser) {
        // `is divisibleby 3`
        let value = primary(parser)?;
        vec![(None, subscripts(parser, value)?)]
    } else {
        Vec::new()
    };
    let arguments = bound(Named { what: "test", name: test.name, span: &span }, test.parameters, given)?;
    let call = TestCall { test, input, arguments, negated };
    let depth = call.input.depth;
    whole(parser, start, ExprKind::Test(Box::new(call)), depth)
}

/// Whether an argument without brackets follows a test.
fn begins_value(parser: &Parser<'_>) -> bool {
    match parser.peek() {
        // Words that continue the expression around the test.
        TokenKind::Name(word) => !["else", "or", "and", "is", "if", "in", "not"].contains(&word.as_str()),
        TokenKind::Quoted(_) | TokenKind::Number(_) | TokenKind::Symbol("[") => true,
        _ => false,
    }
}

/// Arguments in parentheses, with the names of those that have one.
fn arguments(parser: &mut Parser<'_>) -> Parsed<Given> {
    parser.next();
    let mut given: Given = Vec::new();
    while !parser.is(")") {
        let named = matches!(parser.peek(), TokenKind::Name(_)) && *parser.peek_next() == TokenKind::Symbol("=");
        let name = if named {
            let name = parser.name("a name")?;
            parser.next();
            Some(name)
        } else if given.iter().any(|(name, _)| name.is_some()) {
            return Err(parser.unexpected("an argument with a name").with_help("arguments without a name come first"));
        } else {
            None
        };
        given.push((name, expression(parser)?));
        // No function takes nearly as many; it ends a list of thousands early.
        if given.len() > DEPTH_MAX {
            return Err(parser.unexpected("`)`"));
        }
        if !parser.skip(",") {
            break;
        }
    }
    parser.expect(")", "at the end of the arguments")?;
    Ok(given)
}
