//! The filters and tests: name, what they take, what they give. The guide lists each; a test compares the two.

use super::dates::{add_days, date, days_until, in_zone};
use super::lists::{first, join, largest, last, length, lines, list, reverse, smallest, sort, split, sum, unique};
use super::numbers::{abs, float, int, round, thousands};
use super::predicates as run;
use super::signature::{Arguments, Filter, Gives, Parameter, Takes, Test};
use super::texts::{
    capitalize, default, lower, regex_match, regex_replace, regex_search, replace, string, striptags, title, trim,
    truncate, unescape, upper, urlencode,
};
use super::value::{Budget, Outcome, Refusal, Value};

const fn needs(name: &'static str, takes: Takes) -> Parameter {
    Parameter { name, takes, required: true }
}

const fn may(name: &'static str, takes: Takes) -> Parameter {
    Parameter { name, takes, required: false }
}

type Run = for<'a> fn(&mut Budget, Value<'a>, &Arguments<'a>) -> Outcome<'a>;

/// A filter that a blank passes.
const fn filter(name: &'static str, takes: Takes, gives: Gives, parameters: &'static [Parameter], run: Run) -> Filter {
    Filter { name, takes, gives, parameters, keeps_blanks: true, run }
}

/// A filter that makes something of a blank, too.
const fn of_blanks(
    name: &'static str,
    takes: Takes,
    gives: Gives,
    parameters: &'static [Parameter],
    run: Run,
) -> Filter {
    Filter { name, takes, gives, parameters, keeps_blanks: false, run }
}

use Gives as G;
use Takes as T;

/// All filters, by name.
pub(super) static FILTERS: [Filter; 40] = [
    filter("abs", T::Number, G::Number, &[], abs),
    filter("add_days", T::Day, G::Same, &[needs("days", T::Whole)], add_days),
    filter("capitalize", T::Text, G::Text, &[], capitalize),
    filter("date", T::Day, G::Text, &[needs("format", T::Text)], date),
    filter("days_until", T::Day, G::Number, &[needs("other", T::Day)], days_until),
    of_blanks(
        "default",
        T::Anything,
        G::Either,
        &[may("default_value", T::Anything), may("boolean", T::Flag)],
        default,
    ),
    filter("first", T::Anything, G::Item, &[], first),
    of_blanks("float", T::Anything, G::Number, &[may("default", T::Anything)], float),
    filter("in_zone", T::Moment, G::Moment, &[needs("zone", T::Text)], in_zone),
    of_blanks("int", T::Anything, G::Number, &[may("default", T::Anything)], int),
    filter("join", T::Anything, G::Text, &[may("d", T::Text)], join),
    filter("last", T::Anything, G::Item, &[], last),
    of_blanks("length", T::Anything, G::Number, &[], length),
    of_blanks("lines", T::Text, G::Texts, &[], lines),
    of_blanks("list", T::Anything, G::Texts, &[], list),
    filter("lower", T::Text, G::Text, &[], lower),
    // `map`, `select` and `reject` apply another filter or test to each item; the parser takes them apart.
    filter("map", T::List, G::Same, &[], same),
    filter("max", T::List, G::Item, &[], largest),
    filter("min", T::List, G::Item, &[], smallest),
    filter("regex_match", T::Text, G::Bool, &[needs("pattern", T::Text)], regex_match),
    filter(
        "regex_replace",
        T::Text,
        G::Text,
        &[needs("pattern", T::Text), needs("replacement", T::Text)],
        regex_replace,
    ),
    filter("regex_search", T::Text, G::Text, &[needs("pattern", T::Text), may("group", T::Whole)], regex_search),
    filter("reject", T::List, G::Same, &[], same),
    filter(
        "replace",
        T::Text,
        G::Text,
        &[needs("old", T::Text), needs("new", T::Text), may("count", T::Whole)],
        replace,
    ),
    filter("reverse", T::Anything, G::Same, &[], reverse),
    filter("round", T::Number, G::Number, &[may("precision", T::Whole), may("method", T::Text)], round),
    filter("select", T::List, G::Same, &[], same),
    filter("sort", T::List, G::Same, &[may("reverse", T::Flag)], sort),
    of_blanks("split", T::Text, G::Texts, &[may("separator", T::Text)], split),
    filter("string", T::Text, G::Text, &[], string),
    filter("striptags", T::Text, G::Text, &[], striptags),
    of_blanks("sum", T::List, G::Number, &[], sum),
    filter("thousands", T::Number, G::Text, &[may("separator", T::Text)], thousands),
    filter("title", T::Text, G::Text, &[], title),
    filter("trim", T::Text, G::Text, &[may("chars", T::Text)], trim),
    filter("truncate", T::Text, G::Text, &[needs("length", T::Whole)], truncate),
    filter("unescape", T::Text, G::Text, &[], unescape),
    filter("unique", T::List, G::Same, &[], unique),
    filter("upper", T::Text, G::Text, &[], upper),
    filter("urlencode", T::Text, G::Text, &[], urlencode),
];

/// The filter of that name.
pub(super) fn find_filter(name: &str) -> Option<&'static Filter> {
    let name = match name {
        // Jinja's own short names.
        "d" => "default",
        "count" => "length",
        name => name,
    };
    FILTERS.iter().find(|filter| filter.name == name)
}

fn same<'a>(_: &mut Budget, value: Value<'a>, _: &Arguments<'a>) -> Outcome<'a> {
    Ok(value)
}

const OTHER: &[Parameter] = &[needs("other", Takes::Anything)];
const PART: &[Parameter] = &[needs("part", Takes::Text)];

const fn test(
    name: &'static str,
    takes: Takes,
    parameters: &'static [Parameter],
    run: for<'a> fn(&mut Budget, &Value<'a>, &Arguments<'a>) -> Result<bool, Refusal>,
) -> Test {
    Test { name, takes, parameters, run }
}

/// All tests, by name.
pub(super) static TESTS: [Test; 29] = [
    test("blank", T::Anything, &[], run::blank),
    test("boolean", T::Anything, &[], run::boolean),
    test("containing", T::Text, PART, run::containing),
    test("defined", T::Anything, &[], run::defined),
    test("divisibleby", T::Number, &[needs("num", T::Number)], run::divisible),
    test("endingwith", T::Text, PART, run::ending),
    test("eq", T::Anything, OTHER, run::equal),
    test("even", T::Number, &[], run::even),
    test("false", T::Anything, &[], run::is_false),
    test("float", T::Anything, &[], run::fraction),
    test("ge", T::Anything, OTHER, run::at_least),
    test("gt", T::Anything, OTHER, run::greater),
    test("in", T::Anything, &[needs("container", T::Anything)], run::within),
    test("integer", T::Anything, &[], run::whole),
    test("iterable", T::Anything, &[], run::iterable),
    test("le", T::Anything, OTHER, run::at_most),
    test("lower", T::Text, &[], run::lower),
    test("lt", T::Anything, OTHER, run::less),
    test("mapping", T::Anything, &[], run::mapping),
    test("ne", T::Anything, OTHER, run::unequal),
    test("none", T::Anything, &[], run::blank),
    test("number", T::Anything, &[], run::number),
    test("odd", T::Number, &[], run::odd),
    test("sequence", T::Anything, &[], run::sequence),
    test("startingwith", T::Text, PART, run::starting),
    test("string", T::Anything, &[], run::string),
    test("true", T::Anything, &[], run::is_true),
    test("undefined", T::Anything, &[], run::undefined),
    test("upper", T::Text, &[], run::upper),
];

/// The test of that name.
pub(super) fn find_test(name: &str) -> Option<&'static Test> {
    let name = match name {
        // Other names under which Jinja knows these tests.
        "equalto" => "eq",
        "greaterthan" => "gt",
        "lessthan" => "lt",
        "True" => "true",
        "False" => "false",
        "None" => "none",
        name => name,
    };
    TESTS.iter().find(|test| test.name == name)
}

/// `round(precision, method)`, for help texts.
pub(super) fn signature(what: &str, name: &str, parameters: &[Parameter]) -> String {
    let names: Vec<String> = parameters
        .iter()
        .map(|parameter| if parameter.required { parameter.name.to_owned() } else { format!("{}?", parameter.name) })
        .collect();
    match (names.is_empty(), what) {
        (true, "filter") => format!("write `VALUE | {name}`"),
        (true, _) => format!("write `VALUE is {name}`"),
        (false, "filter") => format!("write `VALUE | {name}({})`", names.join(", ")),
        (false, _) => format!("write `VALUE is {name}({})`", names.join(", ")),
    }
}

/// What to write instead of a filter that Jinja has and records need not.
pub(super) fn instead_of(name: &str) -> String {
    match name {
        "e" | "escape" | "forceescape" | "safe" | "xmlattr" => {
            "nothing is escaped in a template, so this filter can go"
        }
        "format" => "use `round`, `thousands` or `date`, and join texts with `~`",
        "regex_findall" | "regex_escape" => "there are `regex_match`, `regex_search` and `regex_replace`",
        "strip" => "write `trim`",
        "len" | "size" => "write `length`",
        "bool" => "compare instead: `VALUE == 'yes'`",
        "tojson" | "pprint" | "dictsort" | "items" => "print the parts one by one",
        _ => "the guide on templates lists the filters",
    }
    .to_owned()
}
