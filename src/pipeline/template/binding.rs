//! Binds arguments to the parameters of filters and tests, and says what to write instead of what does not exist.

use std::ops::Range;

use super::functions::{self, FILTERS, TESTS};
use super::signature::{Filter, Parameter, Test};
use super::syntax::{Expr, TemplateError};
use crate::diagnostic::nearest::nearest;

type Parsed<T> = Result<T, TemplateError>;

pub(super) fn no_function(name: &str, span: Range<usize>) -> TemplateError {
    let error = TemplateError::new(span, format!("there is no function `{name}`"));
    match name {
        filter if functions::find_filter(filter).is_some() => {
            error.with_help(format!("`{filter}` is a filter: `VALUE | {filter}`"))
        }
        "namespace" | "cycler" | "joiner" => {
            error.with_help("use the filters over lists, such as `join`, `sum` and `first`")
        }
        "dict" => error.with_help("write `{'key': value}`"),
        _ => error.with_help("there are `range(…)` and `now`"),
    }
}

/// Methods of Python's texts and lists, and the filter or test that does the same.
const METHODS: [(&str, &str); 18] = [
    ("strip", "trim"),
    ("lstrip", "trim"),
    ("rstrip", "trim"),
    ("casefold", "lower"),
    ("splitlines", "lines"),
    ("strftime", "date('%d.%m.%Y')"),
    ("isoformat", "date('%Y-%m-%d')"),
    ("format", "round(2)"),
    ("substring", "truncate(20)"),
    ("toUpperCase", "upper"),
    ("toLowerCase", "lower"),
    ("toFixed", "round(2)"),
    ("sub", "regex_replace('[0-9]+', '')"),
    ("match", "regex_match('^[0-9]+$')"),
    ("matches", "regex_match('^[0-9]+$')"),
    ("size", "length"),
    ("len", "length"),
    ("count", "length"),
];

/// People who know Jinja from Python write methods; each that has a counterpart here is named with it.
pub(super) fn method(value: &str, name: &str, span: Range<usize>) -> TemplateError {
    let error = TemplateError::new(span, format!("values have no methods here: `.{name}()`"));
    let test = match name {
        "startswith" => Some("startingwith"),
        "endswith" => Some("endingwith"),
        "contains" | "includes" => Some("containing"),
        _ => None,
    };
    if let Some(test) = test {
        return error.with_help(format!("write the test `{value} is {test}('…')`"));
    }
    let filter = METHODS.iter().find(|(method, _)| *method == name).map(|(_, filter)| *filter);
    let same = functions::find_filter(name).map(|filter| filter.name);
    match filter.or(same) {
        Some(filter) => error.with_help(format!("write the filter `{value} | {filter}`")),
        None => error.with_help("use a filter: `VALUE | FILTER`; the guide on templates lists them"),
    }
}

pub(super) fn no_filter(name: &str, span: &Range<usize>) -> TemplateError {
    let error = TemplateError::new(span.clone(), format!("there is no filter `{name}`"));
    let known = FILTERS.iter().map(|filter: &Filter| filter.name);
    match nearest(name, known) {
        Some(near) => error.with_help(format!("did you mean `{near}`?")),
        None if functions::find_test(name).is_some() => {
            error.with_help(format!("`{name}` is a test: `VALUE is {name}`"))
        }
        None => error.with_help(functions::instead_of(name)),
    }
}

pub(super) fn no_test(name: &str, span: &Range<usize>) -> TemplateError {
    let error = TemplateError::new(span.clone(), format!("there is no test `{name}`"));
    let known = TESTS.iter().map(|test: &Test| test.name);
    match (name, nearest(name, known)) {
        // Before the nearest name, which is near in spelling only.
        ("empty", _) => error.with_help("write `is blank`"),
        ("null", _) => error.with_help("write `is none`"),
        (_, Some(near)) => error.with_help(format!("did you mean `{near}`?")),
        _ if functions::find_filter(name).is_some() => {
            error.with_help(format!("`{name}` is a filter: `VALUE | {name}`"))
        }
        _ => error.with_help("the guide on templates lists the tests; two values are compared with `==`"),
    }
}

/// Arguments as they stand, some with a name.
pub(super) type Given = Vec<(Option<(String, Range<usize>)>, Expr)>;

/// What takes the arguments.
pub(super) struct Named<'a> {
    pub(super) what: &'static str,
    pub(super) name: &'static str,
    pub(super) span: &'a Range<usize>,
}

/// Each argument at its parameter.
pub(super) fn bound(callee: Named<'_>, parameters: &'static [Parameter], given: Given) -> Parsed<Vec<Option<Expr>>> {
    let mut bound: Vec<Option<Expr>> = parameters.iter().map(|_| None).collect();
    let count = given.len();
    let signature = functions::signature(callee.what, callee.name, parameters);
    for (index, (name, value)) in given.into_iter().enumerate() {
        let place = match &name {
            // An argument without a name is its parameter by place; names may follow it, as in Python.
            None if index < parameters.len() => index,
            None => {
                let most = match parameters.len() {
                    0 => "no arguments".to_owned(),
                    1 => "one argument at most".to_owned(),
                    more => format!("{more} arguments at most"),
                };
                let message = format!("the {} `{}` takes {most}, got {count}", callee.what, callee.name);
                return Err(TemplateError::new(value.span, message).with_help(signature));
            }
            Some((name, span)) => parameters.iter().position(|known| known.name == name).ok_or_else(|| {
                let error = TemplateError::new(
                    span.clone(),
                    format!("the {} `{}` has no argument `{name}`", callee.what, callee.name),
                );
                match nearest(name, parameters.iter().map(|known| known.name)) {
                    Some(near) => error.with_help(format!("did you mean `{near}`?")),
                    None => error.with_help(signature.clone()),
                }
            })?,
        };
        if bound[place].is_some() {
            let message = format!("the argument `{}` is given twice", parameters[place].name);
            return Err(TemplateError::new(value.span, message).with_help(signature));
        }
        bound[place] = Some(value);
    }
    let lacking = parameters.iter().zip(&bound).find(|(parameter, value)| parameter.required && value.is_none());
    match lacking {
        Some((parameter, _)) => {
            let message = format!("the {} `{}` needs the argument `{}`", callee.what, callee.name, parameter.name);
            Err(TemplateError::new(callee.span.clone(), message).with_help(signature))
        }
        None => Ok(bound),
    }
}
