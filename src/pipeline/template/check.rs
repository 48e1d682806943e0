//! What can be said of a template before a record is there: whatever fails for every record is found here.

use std::ops::Range;

use jiff::Timestamp;

use super::evaluate::{self, Evaluation, expected};
use super::kinds::{self, Kinds};
use super::reader::Parsed;
use super::signature::{Gives, Takes};
use super::syntax::{
    Arithmetic, Comparison, Each, EachKind, Expr, ExprKind, FilterCall, Node, TemplateError, TestCall,
};
use super::value::{Budget, Refusal, Value};
use crate::pipeline::values::decimal::Decimal;

/// Everything in a template that fails for every record. `fields` has the kinds of the template's fields, in their order.
pub(super) fn check(parsed: &Parsed, fields: &[Kinds]) -> Vec<TemplateError> {
    // A variable that is set nowhere is a blank, as it will be when the template runs.
    let mut checker = Checker { parsed, fields, slots: vec![Kinds::BLANK; parsed.slots], found: Vec::new() };
    checker.nodes(&parsed.nodes);
    checker.found
}

struct Checker<'a> {
    parsed: &'a Parsed,
    fields: &'a [Kinds],
    slots: Vec<Kinds>,
    found: Vec<TemplateError>,
}

/// What is known of an expression.
#[derive(Clone, Copy)]
struct Known {
    kinds: Kinds,
    /// It is the same for every record.
    constant: bool,
}

impl Known {
    fn of(kinds: Kinds) -> Self {
        Self { kinds, constant: false }
    }
}

impl<'a> Checker<'a> {
    fn nodes(&mut self, nodes: &'a [Node]) {
        for node in nodes {
            match node {
                Node::Text(_) => {}
                Node::Print(value) => {
                    let known = self.expr(value);
                    self.printable(known.kinds, &value.span);
                }
                Node::If { branches, otherwise } => {
                    for (condition, body) in branches {
                        // Any value can be a condition, so nothing is asked of its kind.
                        self.expr(condition);
                        self.nodes(body);
                    }
                    self.nodes(otherwise);
                }
                Node::For(node) => {
                    let items = self.expr(&node.items).kinds;
                    // Only where it can be nothing but a single value; what may be a list is left to the run.
                    if items.filled().is_only(Kinds::TEXT | Kinds::NUMBER | Kinds::BOOL | Kinds::DATE | Kinds::MOMENT) {
                        let message = format!("a loop goes over a list, this is {}", items.filled().described());
                        self.find(&node.items.span, message, Some("split a text into a list: `| split(';')`"));
                    }
                    // A loop over a map goes over its keys, whose kinds are not followed.
                    let keys = if items.has(Kinds::MAP) { Kinds::ANY } else { items.item() };
                    self.slots[node.slot] = keys;
                    if let Some(condition) = &node.condition {
                        self.expr(condition);
                    }
                    self.nodes(&node.body);
                    self.nodes(&node.otherwise);
                }
                Node::Set { slot, value } => {
                    let kinds = self.expr(value).kinds;
                    // Another branch may have set it, too.
                    self.slots[*slot] = self.slots[*slot] | kinds;
                }
                Node::Capture { slot, body } => {
                    self.nodes(body);
                    self.slots[*slot] = self.slots[*slot] | Kinds::TEXT;
                }
                Node::Filtered { slot, body, value } => {
                    self.nodes(body);
                    // Replaced and not added to: the slot is this statement's own.
                    self.slots[*slot] = Kinds::TEXT | Kinds::BLANK;
                    let known = self.expr(value);
                    self.printable(known.kinds, &value.span);
                }
            }
        }
    }

    fn find(&mut self, span: &Range<usize>, message: impl Into<String>, help: Option<&str>) {
        let error = TemplateError::new(span.clone(), message);
        self.found.push(match help {
            Some(help) => error.with_help(help),
            None => error,
        });
    }

    fn printable(&mut self, kinds: Kinds, span: &Range<usize>) {
        if kinds.is_only(Kinds::LIST) {
            self.find(span, "a list is not a text", Some("join it: `| join(', ')`"));
        } else if kinds.is_only(Kinds::MAP) {
            self.find(span, "a map is not a text", Some("choose one of its values: `MAP['key']`"));
        }
    }

    /// Checks an expression with its parts; one that is the same for every record is worked out.
    fn expr(&mut self, expr: &'a Expr) -> Known {
        let before = self.found.len();
        let known = self.parts(expr);
        if self.found.len() > before {
            // What is wrong with a part is said once.
            return Known::of(Kinds::ANY);
        }
        // A literal cannot fail, and evaluating each one would double the time of the check.
        let leaf = expr.depth <= 1
            && matches!(expr.kind, ExprKind::Number(_) | ExprKind::Text(_) | ExprKind::Bool(_) | ExprKind::Blank);
        if !known.constant || leaf {
            return known;
        }
        match self.constant(expr) {
            Ok(_) => known,
            Err(failure) => {
                self.find(&failure.span, failure.message, None);
                Known::of(known.kinds)
            }
        }
    }

    /// The value of an expression that asks for no record.
    fn constant(&self, expr: &'a Expr) -> Result<Value<'a>, evaluate::Failure> {
        // With a budget of its own: what one constant costs says nothing about the next.
        Evaluation::new(Vec::new(), Timestamp::UNIX_EPOCH, self.parsed.slots, self.parsed.counters).value(expr)
    }

    fn parts(&mut self, expr: &'a Expr) -> Known {
        let constant = |kinds| Known { kinds, constant: true };
        match &expr.kind {
            ExprKind::Blank => constant(Kinds::BLANK),
            ExprKind::Bool(_) => constant(Kinds::BOOL),
            ExprKind::Number(_) => constant(Kinds::NUMBER),
            ExprKind::Text(text) if text.is_empty() => constant(Kinds::BLANK),
            ExprKind::Text(_) => constant(Kinds::TEXT),
            // A field whose object is not described yet may hold anything.
            ExprKind::Field(place) => Known::of(self.fields.get(*place).copied().unwrap_or(Kinds::ANY)),
            ExprKind::Local(slot) => Known::of(self.slots[*slot]),
            ExprKind::Now => Known::of(Kinds::MOMENT),
            // Never a blank: the counters exist wherever `loop` may stand.
            ExprKind::Loop(..) => Known::of(Kinds::NUMBER | Kinds::BOOL),
            ExprKind::List(items) => {
                let items = self.all(items);
                Known { kinds: Kinds::LIST.holding(items.kinds), constant: items.constant }
            }
            ExprKind::Map(entries) => {
                let mut all = constant(Kinds::NOTHING);
                for (key, value) in entries {
                    let (key, value) = (self.expr(key), self.expr(value));
                    all.kinds = all.kinds | value.kinds;
                    all.constant &= key.constant && value.constant;
                }
                Known { kinds: Kinds::MAP.holding(all.kinds), constant: all.constant }
            }
            ExprKind::Not(inner) => Known { kinds: Kinds::BOOL, ..self.expr(inner) },
            ExprKind::Negate(inner) => {
                let inner_known = self.expr(inner);
                let filled = inner_known.kinds.filled();
                if !filled.is_nothing() && !filled.has(Kinds::NUMBER) && !inner_known.constant {
                    self.find(&inner.span, format!("`-` takes a number, this is {}", filled.described()), None);
                }
                Known { kinds: Kinds::NUMBER | inner_known.kinds.and(Kinds::BLANK), ..inner_known }
            }
            ExprKind::Arithmetic(operator, left, right) => self.arithmetic(expr, *operator, left, right),
            ExprKind::Compare(first, rest) => self.compare(expr, first, rest),
            ExprKind::Concat(parts) => {
                let mut constant = true;
                for part in parts {
                    let known = self.expr(part);
                    self.printable(known.kinds, &part.span);
                    constant &= known.constant;
                }
                Known { kinds: Kinds::TEXT | Kinds::BLANK, constant }
            }
            ExprKind::And(left, right) | ExprKind::Or(left, right) => {
                let (left, right) = (self.expr(left), self.expr(right));
                // As in Python, the result is one of the operands and no boolean.
                Known { kinds: left.kinds | right.kinds, constant: left.constant && right.constant }
            }
            ExprKind::If(condition, value, other) => {
                let (condition, value) = (self.expr(condition), self.expr(value));
                // Without `else`, the value is a blank.
                let other = other.as_ref().map_or(constant(Kinds::BLANK), |other| self.expr(other));
                let constant = condition.constant && value.constant && other.constant;
                Known { kinds: value.kinds | other.kinds, constant }
            }
            ExprKind::Item(value, index) => self.item(value, index),
            ExprKind::Slice(value, parts) => self.slice(value, parts),
            ExprKind::Filter(call) => self.filter(expr, call),
            ExprKind::Test(call) => self.test(expr, call),
            ExprKind::Each(each) => self.each(each),
            ExprKind::Range(arguments) => {
                let known = self.all(arguments);
                Known { kinds: Kinds::LIST.holding(Kinds::NUMBER), constant: known.constant }
            }
        }
    }

    fn all(&mut self, exprs: &'a [Expr]) -> Known {
        let mut all = Known { kinds: Kinds::NOTHING, constant: true };
        for expr in exprs {
            let known = self.expr(expr);
            all = Known { kinds: all.kinds | known.kinds, constant: all.constant && known.constant };
        }
        all
    }

    /// Two constants are left to the folding of constants, which calculates them and tells of an error with the values.
    fn arithmetic(&mut self, expr: &'a Expr, operator: Arithmetic, left: &'a Expr, right: &'a Expr) -> Known {
        let (one, two) = (self.expr(left), self.expr(right));
        let constant = one.constant && two.constant;
        let kinds = kinds::arithmetic(operator, one.kinds, two.kinds);
        if constant {
            return Known { kinds, constant };
        }
        if kinds.is_nothing() {
            let (one, two) = (one.kinds.filled(), two.kinds.filled());
            let symbol = operator.symbol();
            let message =
                format!("`{symbol}` takes two numbers, these are {} and {}", one.described(), two.described());
            self.find(&expr.span, message, advice(operator, one, two));
            return Known::of(Kinds::ANY);
        }
        // Only in a template without findings so far, as a failed part may be what makes it constant.
        if two.constant && self.found.is_empty() {
            self.constant_operand(expr, operator, one.kinds, right);
        }
        Known { kinds, constant }
    }

    /// `a / 0`, `a ** 0.5`: fails whatever the number is.
    fn constant_operand(&mut self, expr: &'a Expr, operator: Arithmetic, left: Kinds, right: &'a Expr) {
        if !left.is_only(Kinds::NUMBER) {
            return;
        }
        let Ok(value) = self.constant(right) else { return };
        // Any number serves that is neither 0 nor 1, with which some failing operations succeed.
        let number = Value::number(Decimal::from(7));
        let result = super::operators::arithmetic(&mut Budget::new(), operator, number, value);
        if let Err(refusal) = result.map(|_| ()) {
            self.find(&expr.span, refusal.message, None);
        }
    }

    /// Blanks are left out before kinds are compared: any field may be blank, and a comparison with a blank is never an error.
    fn compare(&mut self, expr: &'a Expr, first: &'a Expr, rest: &'a [(Comparison, Expr)]) -> Known {
        let mut left = self.expr(first);
        let mut left_expr = first;
        let mut constant = left.constant;
        for (comparison, right_expr) in rest {
            let right = self.expr(right_expr);
            constant &= right.constant;
            let (one, two) = (left.kinds.filled(), right.kinds.filled());
            let known = left.constant && right.constant;
            if !known && !kinds::comparable(*comparison, one, two) {
                let symbol = comparison.symbol();
                let message = match comparison {
                    Comparison::In | Comparison::NotIn => format!(
                        "`{symbol}` looks for a text in a text, or for a value in a list, these are {} and {}",
                        one.described(),
                        two.described()
                    ),
                    _ => format!(
                        "`{symbol}` compares two values of one kind, these are {} and {}",
                        one.described(),
                        two.described()
                    ),
                };
                // A text beside a number is the frequent case, and the remedy is known.
                let texts = one.has(Kinds::TEXT) != two.has(Kinds::TEXT) && (one | two).has(Kinds::NUMBER);
                self.find(&expr.span, message, texts.then_some("make a number of the text: `| float`"));
            }
            self.never_equal(*comparison, left, right, &expr.span);
            self.dated(*comparison, left.kinds, right_expr);
            self.dated(*comparison, right.kinds, left_expr);
            (left, left_expr) = (right, right_expr);
        }
        Known { kinds: Kinds::BOOL, constant }
    }

    /// `Active__c == 'true'`, `Seats__c == '5'`: values of two kinds are never equal, which nobody means to ask.
    fn never_equal(&mut self, comparison: Comparison, left: Known, right: Known, span: &Range<usize>) {
        let equality = matches!(comparison, Comparison::Equal | Comparison::Unequal);
        let (one, two) = (left.kinds.filled(), right.kinds.filled());
        let texts = Kinds::TEXT | Kinds::DATE | Kinds::MOMENT;
        // A text may be written as a date is, so the three kinds of texts can be equal.
        let common = one.has(two) || (one.has(texts) && two.has(texts));
        if !equality || (left.constant && right.constant) || one.is_nothing() || two.is_nothing() || common {
            return;
        }
        let message = format!(
            "`{}` compares two kinds of values, which are never equal: {} and {}",
            comparison.symbol(),
            one.described(),
            two.described()
        );
        let help = match ((one | two).has(Kinds::BOOL), (one | two).has(Kinds::NUMBER)) {
            (true, _) => Some("a checkbox is `true` or `false`, without quotes"),
            (_, true) => Some("write a number without quotes, or make a number of a text: `| float`"),
            _ => None,
        };
        self.find(span, message, help);
    }

    /// A date is compared with a text that is written like one.
    fn dated(&mut self, comparison: Comparison, kinds: Kinds, other: &'a Expr) {
        let ExprKind::Text(text) = &other.kind else { return };
        // The beginning is enough: `2026-10` is a sensible bound for dates, which compare letter by letter.
        let year = text.len() >= 4
            && text.bytes().take(4).all(|byte| byte.is_ascii_digit())
            && text.bytes().nth(4).is_none_or(|byte| byte == b'-');
        let within = matches!(comparison, Comparison::In | Comparison::NotIn);
        if !within && !text.is_empty() && !year && kinds.is_only(Kinds::DATE | Kinds::MOMENT) {
            let message = format!("{} is compared with a text that is not a date", kinds.filled().described());
            self.find(&other.span, message, Some("write dates as `2026-10-01`, moments as `2026-10-01T09:00:00Z`"));
        }
    }

    /// What is not there is a blank, so that an item may always be one, whatever the list holds.
    fn item(&mut self, value: &'a Expr, index: &'a Expr) -> Known {
        let (of, at) = (self.expr(value), self.expr(index));
        let constant = of.constant && at.constant;
        let (filled, place) = (of.kinds.filled(), at.kinds.filled());
        if filled.is_only(Kinds::NUMBER | Kinds::BOOL) {
            let message = format!("{} has no parts", filled.described());
            self.find(&value.span, message, Some("make a text of it first: `(VALUE | string)[0]`"));
        } else if !filled.is_nothing() && !filled.has(Kinds::MAP) && !place.is_nothing() && !place.has(Kinds::NUMBER) {
            let message = format!("{} has no item of that name", filled.described());
            self.find(&index.span, message, Some("a place is a number: `[0]` is the first"));
        }
        // One character of a date is no date.
        let characters =
            if filled.has(Kinds::TEXT | Kinds::DATE | Kinds::MOMENT) { Kinds::TEXT } else { Kinds::NOTHING };
        Known { kinds: of.kinds.item() | characters | Kinds::BLANK, constant }
    }

    fn slice(&mut self, value: &'a Expr, parts: &'a [Option<Box<Expr>>; 3]) -> Known {
        let of = self.expr(value);
        let mut constant = of.constant;
        for part in parts.iter().flatten() {
            let known = self.expr(part);
            constant &= known.constant;
            let filled = known.kinds.filled();
            if !filled.is_nothing() && !filled.has(Kinds::NUMBER) {
                self.find(&part.span, format!("a slice takes whole numbers, this is {}", filled.described()), None);
            }
        }
        let filled = of.kinds.filled();
        if filled.is_only(Kinds::NUMBER | Kinds::BOOL | Kinds::MAP) {
            let message = format!("{} cannot be cut", filled.described());
            self.find(&value.span, message, Some("make a text of it first: `(VALUE | string)[:3]`"));
        } else if let Some(step) = parts[2].as_deref().filter(|_| !constant)
            && matches!(&step.kind, ExprKind::Number(number) if number.is_zero())
        {
            self.find(&step.span, "the step of a slice is not zero", None);
        }
        let texts = if filled.has(Kinds::TEXT | Kinds::DATE | Kinds::MOMENT) { Kinds::TEXT } else { Kinds::NOTHING };
        Known { kinds: of.kinds.and(Kinds::LIST) | texts | Kinds::BLANK, constant }
    }

    /// With constant arguments the filter is tried out on sample values; not after an error inside, which would be told twice.
    fn filter(&mut self, expr: &'a Expr, call: &'a FilterCall) -> Known {
        let before = self.found.len();
        let filter = call.filter;
        let input = self.expr(&call.input);
        self.fits(filter.name, filter.takes, input.kinds, &call.input.span);
        let arguments = self.arguments(
            filter.name,
            filter.parameters.iter().map(|parameter| (parameter.name, parameter.takes)),
            &call.arguments,
        );
        let first = arguments.0.first().copied().flatten().unwrap_or(Kinds::BLANK);
        let constant = input.constant && arguments.1;
        // A constant call is evaluated as a whole; this is for a constant argument beside a field.
        if arguments.1 && !constant && self.found.len() == before {
            let tried = candidates(input.kinds.and(kinds::fitting(filter.takes)));
            let run = |checker: &Self, value| {
                let values = checker.constants(&call.arguments)?;
                evaluate::filtered(&mut Budget::new(), call, value, values).map(|_| ())
            };
            self.tried(expr, tried, run);
        }
        let blank = if filter.keeps_blanks { input.kinds.and(Kinds::BLANK) } else { Kinds::NOTHING };
        let mut kinds = kinds::given(filter.gives, input.kinds, first) | blank;
        // A filter may leave nothing of a text.
        if filter.gives == Gives::Text {
            kinds = kinds | Kinds::BLANK;
        }
        if kinds.is_nothing() {
            kinds = Kinds::BLANK;
        }
        Known { kinds, constant }
    }

    fn test(&mut self, expr: &'a Expr, call: &'a TestCall) -> Known {
        let before = self.found.len();
        let test = call.test;
        let input = self.expr(&call.input);
        self.fits(test.name, test.takes, input.kinds, &call.input.span);
        let arguments = self.arguments(
            test.name,
            test.parameters.iter().map(|parameter| (parameter.name, parameter.takes)),
            &call.arguments,
        );
        let constant = input.constant && arguments.1;
        if arguments.1 && !constant && self.found.len() == before {
            let tried = candidates(input.kinds.and(kinds::fitting(test.takes)));
            let run = |checker: &Self, value| {
                let values = checker.constants(&call.arguments)?;
                evaluate::tested(&mut Budget::new(), call, value, values).map(|_| ())
            };
            self.tried(expr, tried, run);
        }
        Known { kinds: Kinds::BOOL, constant }
    }

    /// Tries values of the kinds that may come; where each fails, every record would.
    fn tried(&mut self, expr: &'a Expr, values: Vec<Value<'a>>, run: impl Fn(&Self, Value<'a>) -> Result<(), Refusal>) {
        let mut first = None;
        for value in values {
            match run(self, value) {
                // One value that works is enough: the template is right for some record.
                Ok(()) => return,
                Err(refusal) => first = first.or(Some(refusal)),
            }
        }
        if let Some(refusal) = first {
            self.find(&expr.span, refusal.message, None);
        }
    }

    fn constants(&self, exprs: &'a [Option<Expr>]) -> Result<Vec<Option<Value<'a>>>, Refusal> {
        let value = |expr: &'a Expr| self.constant(expr).map_err(|failure| Refusal::new(failure.message));
        exprs.iter().map(|expr| expr.as_ref().map(value).transpose()).collect()
    }

    /// Whether what comes can be taken at all.
    fn fits(&mut self, function: &str, takes: Takes, kinds: Kinds, span: &Range<usize>) {
        let filled = kinds.filled();
        if filled.is_nothing() || filled.has(kinds::fitting(takes)) {
            return;
        }
        let message = format!("`{function}` takes {}, this is {}", expected(takes), filled.described());
        let help = match takes {
            Takes::Text => Some("join a list to a text: `| join(', ')`"),
            Takes::List => Some("split a text into a list: `| split(';')`"),
            Takes::Number | Takes::Whole if filled.has(Kinds::BOOL) => Some("make a number of a checkbox: `| int`"),
            _ => None,
        };
        self.find(span, message, help);
    }

    /// The kinds of the arguments, and whether all of them are known without a record.
    fn arguments(
        &mut self,
        function: &str,
        parameters: impl Iterator<Item = (&'static str, Takes)>,
        exprs: &'a [Option<Expr>],
    ) -> (Vec<Option<Kinds>>, bool) {
        let mut constant = true;
        let mut all = Vec::new();
        for ((name, takes), expr) in parameters.zip(exprs) {
            let Some(expr) = expr else {
                all.push(None);
                continue;
            };
            let known = self.expr(expr);
            constant &= known.constant;
            let filled = known.kinds.filled();
            if !filled.is_nothing() && !filled.has(kinds::fitting(takes)) {
                let message = format!("the argument `{name}` of `{function}` takes {}", expected(takes));
                self.find(&expr.span, format!("{message}, this is {}", filled.described()), None);
            } else if let Some(Ok(value)) = known.constant.then(|| self.constant(expr)) {
                let taken = evaluate::argument(function, name, takes, value);
                taken.err().into_iter().for_each(|refusal| self.find(&expr.span, refusal.message, None));
            }
            all.push(Some(known.kinds));
        }
        (all, constant)
    }

    fn each(&mut self, each: &'a Each) -> Known {
        let items = self.expr(&each.items);
        self.fits(each.kind.name(), Takes::List, items.kinds, &each.items.span);
        self.slots[each.slot] = if items.kinds.has(Kinds::LIST) { items.kinds.item() } else { Kinds::ANY };
        let body = self.expr(&each.body);
        // `select` and `reject` keep items as they are.
        let of = if each.kind == EachKind::Map { body.kinds } else { items.kinds.item() };
        Known::of(Kinds::LIST.holding(of) | items.kinds.and(Kinds::BLANK))
    }
}

/// What people mostly mean who write this operator between such values.
fn advice(operator: Arithmetic, one: Kinds, two: Kinds) -> Option<&'static str> {
    let both = one | two;
    let dates = Kinds::DATE | Kinds::MOMENT;
    if both.has(dates) {
        return Some(match operator {
            Arithmetic::Subtract if one.has(dates) && two.has(dates) => {
                "the days between two dates: `START | days_until(END)`"
            }
            _ => "days are added to a date with `| add_days(30)`, and taken away with `| add_days(-30)`",
        });
    }
    match (both.has(Kinds::TEXT), both.has(Kinds::BOOL), operator) {
        (true, _, Arithmetic::Add) => Some("join texts with `~`, or make a number of a text: `| float`"),
        (true, ..) => Some("make a number of a text: `| float`"),
        (_, true, _) => Some("make a number of a checkbox: `| int`"),
        _ => None,
    }
}

/// Values as they come, at least one of each kind.
pub(super) fn candidates<'a>(kinds: Kinds) -> Vec<Value<'a>> {
    let moment = "2026-10-01T09:00:00.000Z";
    let number = |text: &str| Decimal::parse(text).map_or(Value::Blank, Value::number);
    let mut values = Vec::new();
    if kinds.has(Kinds::NUMBER) {
        values.extend([number("12"), number("12.5")]);
    }
    if kinds.has(Kinds::TEXT) {
        // Texts of the forms that filters ask for: words, a number, a date, a moment.
        values.extend(["Abc 12", "12", "2026-10-01", moment].map(Value::borrowed));
    }
    if kinds.has(Kinds::DATE) {
        values.push(Value::borrowed("2026-10-01"));
    }
    if kinds.has(Kinds::MOMENT) {
        values.push(Value::borrowed(moment));
    }
    if kinds.has(Kinds::BOOL) {
        values.push(Value::Bool(true));
    }
    if kinds.has(Kinds::LIST) {
        let items = candidates(
            kinds.item().filled().and(Kinds::TEXT | Kinds::NUMBER | Kinds::DATE | Kinds::MOMENT | Kinds::BOOL),
        );
        let lists = items.into_iter().filter_map(|item| Budget::new().list([item]).ok());
        values.extend(lists);
        if values.is_empty() {
            values.extend(Budget::new().list([]));
        }
    }
    if kinds.has(Kinds::MAP) {
        values.extend(Budget::new().map(Vec::new()));
    }
    values
}
