//! Templates: minijinja over a record's fields. Compiled when loaded; undefined names are errors; with fuel and an output
//! limit, so that no template runs forever or fills the memory.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value};

use super::filters;
use super::lists;
use super::scan::{self, used_names};
use super::values::{convert, decimal};
use crate::model::object::FieldKind;

/// Steps that one rendering may take. Data counts too, a step for about 64 bytes, so that this bounds the memory as well:
/// about 6 MB, enough for a dozen filters over Salesforce's longest text.
pub const FUEL_MAX: u64 = 100_000;

/// Longest text that one rendering may make, in bytes: room for HubSpot's 65,536 characters of up to four bytes.
pub const OUTPUT_BYTES_MAX: usize = 4 * 65_536 + 4;

/// A compiled template.
#[derive(Clone)]
pub struct Template {
    environment: Arc<Environment<'static>>,
    source: Box<str>,
    /// The fields that it names, with their parents.
    pub paths: Vec<String>,
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    /// What is wrong.
    pub message: String,
    /// Where, in bytes of the template, where that is known.
    pub span: Option<Range<usize>>,
}

const NAME: &str = "template";

impl Template {
    /// Compiles a template.
    pub fn compile(source: &str) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL_MAX));
        environment.set_debug(true);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        // Booleans print as both systems write them, not as Python does.
        environment.set_formatter(|out, state, value| match bool::try_from(value.clone()) {
            Ok(answer) if value.kind() == ValueKind::Bool => {
                Ok(out.write_str(if answer { "true" } else { "false" })?)
            }
            _ if !lists::is_plain(value) => {
                Err(Error::new(ErrorKind::InvalidOperation, "a list has to be joined to be printed"))
            }
            _ => minijinja::escape_formatter(out, state, value),
        });
        filters::add(&mut environment);
        if let Some(span) = scan::container(source) {
            let message = "lists, tuples and maps cannot be written in a template".to_owned();
            return Err(TemplateError { message, span: Some(span) });
        }
        let compiled = environment.add_template_owned(NAME, source.to_owned());
        compiled.map_err(|error| TemplateError { message: message(&error), span: error.range() })?;
        let template = environment.get_template(NAME);
        let template = template.map_err(|error| TemplateError { message: message(&error), span: None })?;
        let known: Vec<String> = environment.globals().map(|(name, _)| name.to_owned()).collect();
        let root = |path: &String| path.split('.').next().unwrap_or_default().to_owned();
        let mut paths: Vec<String> =
            template.undeclared_variables(true).into_iter().filter(|path| !known.contains(&root(path))).collect();
        paths.sort();
        Ok(Self { environment: Arc::new(environment), source: source.into(), paths })
    }

    /// Filters and tests that do not exist, which minijinja itself tells only when it meets them: a message for each, and
    /// where it stands.
    pub fn unknown_names(&self) -> Vec<(String, Range<usize>)> {
        let exists = |kind: &str, name: &str| {
            let known = self.environment.render_str(&format!("{{{{ '{name}' is {kind} }}}}"), ());
            known.is_ok_and(|answer| answer.eq_ignore_ascii_case("true"))
        };
        let used =
            used_names(&self.source).into_iter().filter(|used| !exists(used.kind, &self.source[used.span.clone()]));
        used.map(|used| (format!("there is no {} `{}`", used.kind, &self.source[used.span.clone()]), used.span))
            .collect()
    }

    /// Renders the template; `fields` has a value for each of [`Template::paths`], in that order.
    pub fn render<'a>(&self, fields: impl Iterator<Item = (&'a FieldKind, Option<&'a str>)>) -> Result<String, String> {
        let mut root = Node::default();
        for (path, (kind, value)) in self.paths.iter().zip(fields) {
            root.insert(path.split('.'), field_value(kind, value));
        }
        let template = self.environment.get_template(NAME).map_err(|error| message(&error))?;
        let mut output = Bounded(Vec::new());
        template.render_captured_to(root.into_value(), &mut output).map_err(|error| message(&error))?;
        String::from_utf8(output.0).map_err(|error| error.to_string())
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("paths", &self.paths).finish_non_exhaustive()
    }
}

/// Fields of the record and of its parents.
#[derive(Default)]
struct Node {
    children: BTreeMap<String, Node>,
    value: Option<Value>,
}

impl Node {
    fn insert<'a>(&mut self, mut path: impl Iterator<Item = &'a str>, value: Value) {
        match path.next() {
            Some(part) => self.children.entry(part.to_owned()).or_default().insert(path, value),
            None => self.value = Some(value),
        }
    }

    fn into_value(self) -> Value {
        match self.value {
            Some(value) => value,
            None => {
                let children = self.children.into_iter().map(|(name, node)| (name, node.into_value()));
                Value::from(children.collect::<BTreeMap<String, Value>>())
            }
        }
    }
}

/// A field as a template sees it: a blank is an empty text, booleans are booleans, and numbers are numbers where that
/// loses no digit.
fn field_value(kind: &FieldKind, value: Option<&str>) -> Value {
    let Some(text) = value else { return Value::from("") };
    match kind {
        FieldKind::Boolean => Value::from(text.eq_ignore_ascii_case("true")),
        FieldKind::Int | FieldKind::Long | FieldKind::Double | FieldKind::Currency | FieldKind::Percent => number(text),
        // One form, whichever API the row came through, or the same record would look changed.
        kind => Value::from(&*convert::canonical(text, kind)),
    }
}

fn number(text: &str) -> Value {
    let Some(canonical) = decimal::canonical(text) else { return Value::from(text) };
    if let Ok(whole) = canonical.parse::<i64>() {
        return Value::from(whole);
    }
    match canonical.parse::<f64>() {
        Ok(float) if float.to_string() == canonical => Value::from(float),
        _ => Value::from(canonical),
    }
}

fn message(error: &Error) -> String {
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    match error.kind() {
        ErrorKind::OutOfFuel => format!("the template takes more than {FUEL_MAX} steps"),
        ErrorKind::WriteFailure => format!("the template makes more than {OUTPUT_BYTES_MAX} bytes"),
        _ => detail,
    }
}

/// A text that may not grow without end.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > OUTPUT_BYTES_MAX {
            return Err(io::Error::other("too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, fields: &[(&str, FieldKind, Option<&str>)], expected: Result<&str, &str>) {
        let template = Template::compile(source).unwrap();
        let find = |path: &String| fields.iter().find(|(name, ..)| name == path).unwrap();
        let values = template.paths.iter().map(|path| (&find(path).1, find(path).2));
        let rendered = template.render(values);
        match expected {
            Ok(text) => assert_eq!(rendered.as_deref(), Ok(text), "{source}"),
            Err(part) => assert!(rendered.as_ref().is_err_and(|error| error.contains(part)), "{source}: {rendered:?}"),
        }
    }

    #[test]
    fn templates_render_records() {
        use FieldKind as F;
        let name = || ("Name", F::String, Some("Acme"));
        let amount = |text| ("Amount__c", F::Currency, Some(text));
        check("{{ Name }} · {{ Amount__c | round(2) }}", &[name(), amount("1250.5")], Ok("Acme · 1250.50"));
        check("{{ Amount__c }}", &[amount("12345678901234567890.12")], Ok("12345678901234567890.12"));
        check("{{ Amount__c }}", &[amount("1.6147805824397E13")], Ok("16147805824397"));
        check("{{ Amount__c * 2 }}", &[amount("21")], Ok("42"));
        check("{{ Account__r.Name | upper }}", &[("Account__r.Name", F::String, Some("x"))], Ok("X"));
        check("{{ Name | default('none') }}", &[("Name", F::String, None)], Ok("none"));
        check("{% if Paid__c %}yes{% else %}no{% endif %}", &[("Paid__c", F::Boolean, Some("false"))], Ok("no"));
        check("<b>{{ Name }}</b>", &[("Name", F::String, Some("a & <b>"))], Ok("<b>a & <b></b>"));
    }

    #[test]
    fn no_template_runs_away() {
        check("{% for a in range(1000) %}{% for b in range(1000) %}x{% endfor %}{% endfor %}", &[], Err("steps"));
        check("{% for a in range(1000) %}{{ 'x' * 1000 }}{% endfor %}", &[], Err("bytes"));
    }

    #[test]
    fn mistakes_are_found_when_loaded() {
        let error = Template::compile("{{ Name | nofilter }}{{").unwrap_err();
        assert!(error.span.is_some(), "{error:?}");
        let error = Template::compile("{{ Name ").unwrap_err();
        assert!(!error.message.is_empty());
        for source in ["{% include 'x' %}", "{% macro m() %}{{ m() }}{% endmacro %}", "{% extends 'x' %}"] {
            assert!(Template::compile(source).is_err(), "{source} does not exist");
        }
        assert_eq!(
            Template::compile("{{ Name }} {{ Account__r.Owner.Name }}").unwrap().paths,
            ["Account__r.Owner.Name", "Name"]
        );
    }

    #[test]
    fn unknown_filters_and_tests_are_found_when_loaded() {
        let check = |source: &str, expected: &[&str]| {
            let template = Template::compile(source).unwrap();
            let found = template.unknown_names();
            let names: Vec<&str> = found.iter().map(|(_, span)| &source[span.clone()]).collect();
            assert_eq!(names, expected, "{source}");
        };
        check("{{ Name | uper }}", &["uper"]);
        check("{% if Name is not emty %}{{ Name|round(2) | thousend }}{% endif %}", &["emty", "thousend"]);
        check("{{ Name | replace('|nothing', \"a | b 'is' c\") | trim }} a | b is c", &[]);
        check("{# {{ x | nothing }} #}{% raw %}{{ x | nothing }}{% endraw %}{{ Name | upper }}", &[]);
        check("{{ Name | default('ü | x') | lower }}{{ 1 is odd }}", &[]);
    }

    /// What the end of a template may do with a list: name its length, or fail.
    fn check_bounded(end: &str) -> Result<&'static str, &'static str> {
        match end {
            "{{ a ~ '' }}" => Ok("[4 items]"),
            "{{ a | upper }}" => Ok("[4 ITEMS]"),
            _ => Err(""),
        }
    }

    #[test]
    fn lists_are_split_looped_over_and_joined() {
        let channels = &[("C", FieldKind::MultiPicklist, Some("A;B;C"))];
        check("{{ C | split(';') | join(', ') }}", channels, Ok("A, B, C"));
        check("{{ C | split(';') | first }}{{ C | split(';') | last }}{{ (C | split(';'))[1] }}", channels, Ok("ACB"));
        check("{% for c in C | split(';') %}{{ loop.index }}{{ c | lower }} {% endfor %}", channels, Ok("1a 2b 3c "));
        check("{{ C | split(';') | length }}{{ C | length }}", channels, Ok("35"));
        check("{% for n in range(1, 3) %}{{ n * 2 }}{% endfor %}", &[], Ok("24"));
        check("{{ range(100000) }}", &[], Err("1,000"));
        check("{{ C | split('') }}", channels, Err("separator"));
        check("{% if 'B' in C %}yes{% endif %}", channels, Ok("yes"));
    }

    #[test]
    fn builders_of_gigabytes_end() {
        let doubling = "{% set a = 'xxxxxxxxxx' %}".to_owned() + &"{% set a = a ~ a %}".repeat(60) + "{{ a | length }}";
        check(&doubling, &[], Err("steps"));
        check("{{ 'x' * 1000000000 }}", &[], Err("steps"));
        check("{% for a in range(1) recursive %}{{ loop(range(2)) }}{% endfor %}", &[], Err(""));
        let list = "{% set a = ',,,' | split(',') %}".to_owned();
        check(&(list.clone() + "{% for b in a %}{{ b | default(a) }}{% endfor %}"), &[], Err("one value"));
        for end in
            ["{{ a | join }}", "{{ a ~ '' }}", "{{ a | upper }}", "{{ a }}", "{{ a * 50000000 }}", "{{ a[0:2] }}"]
        {
            check(&(list.clone() + &"{% set a = a + a %}".repeat(60) + end), &[], Err(""));
            check(&(list.clone() + end), &[], if end.contains("join") { Ok("") } else { check_bounded(end) });
        }
    }

    #[test]
    fn nothing_builds_lists_of_lists() {
        // Sixty of these would print 2^60 values, which no fuel sees coming.
        for source in ["{% set a = [a, a] %}", "{% set a = a, a %}", "{% set a = (a, a) %}", "{% set a = {'b': 1} %}"] {
            let error = Template::compile(&format!("{{% set a = 'x' %}}{source}{{{{ a }}}}")).unwrap_err();
            assert!(error.message.contains("lists"), "{source}");
        }
        for filter in ["zip(a)", "batch(1)", "map('default', a)", "chain(a)", "groupby('b')"] {
            let template = Template::compile(&format!("{{% set a = 'x' | split %}}{{{{ a | {filter} }}}}")).unwrap();
            assert_eq!(template.unknown_names().len(), 1, "{filter}");
        }
        for function in ["dict(b=1)", "namespace(b=1)", "debug()"] {
            let template = Template::compile(&format!("{{{{ {function} }}}}")).unwrap();
            assert_eq!(template.paths.len(), 1, "{function} is no known name");
        }
    }

    #[test]
    fn both_apis_render_alike() {
        use FieldKind as F;
        for text in ["2026-10-01T09:00:00.000+0000", "2026-10-01T09:00:00.000Z"] {
            check("{{ C }}", &[("C", F::DateTime, Some(text))], Ok("2026-10-01T09:00:00.000Z"));
        }
        check("{{ A }}", &[("A", F::Boolean, Some("true"))], Ok("true"));
        check("{{ A }}", &[("A", F::Int, Some("12.0"))], Ok("12"));
        check("{{ A }}|{{ A | default('-') }}", &[("A", F::Currency, None)], Ok("|-"));
    }
}
