//! Schema violations -> findings that say what was expected, one for each cause.

use std::sync::Arc;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use super::yaml::escape;
use crate::diagnostic::{Diagnostic, Place};

/// Checks a document; all findings.
pub fn check(file: &Arc<str>, schema: &Value, document: &Value) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    let cx = Explain { file, root: schema };
    cx.check(schema, document, "", &mut findings);
    findings
}

struct Explain<'a> {
    file: &'a Arc<str>,
    root: &'a Value,
}

impl Explain<'_> {
    /// Checks a part of the document against a part of the schema.
    fn check(&self, schema: &Value, part: &Value, prefix: &str, findings: &mut Vec<Diagnostic>) {
        let validator: Validator = match jsonschema::validator_for(schema) {
            Ok(validator) => validator,
            Err(error) => {
                let message = format!("the built-in schema is broken: {error}");
                findings.push(Diagnostic::error("SL9001", self.file, Place::File, message));
                return;
            }
        };
        let first = findings.len();
        for error in validator.iter_errors(part) {
            self.explain(schema, part, &error, prefix, findings);
        }
        let own = findings.split_off(first);
        findings.extend(one_per_cause(own));
    }

    fn explain(
        &self,
        schema: &Value,
        part: &Value,
        error: &ValidationError<'_>,
        prefix: &str,
        findings: &mut Vec<Diagnostic>,
    ) {
        let at = format!("{prefix}{}", error.instance_path());
        let instance = error.instance();
        let value = |code, message: String| Diagnostic::error(code, self.file, Place::Value(at.clone()), message);
        let name = at.rsplit('/').next().unwrap_or_default();
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                let known = self.properties(schema, error);
                for key in unexpected {
                    let place = Place::Key(format!("{at}/{}", escape(key)));
                    let finding = Diagnostic::error("SL1003", self.file, place, format!("unknown key `{key}`"));
                    let names: Vec<&str> = known.iter().map(String::as_str).collect();
                    findings.push(match nearest(key, &names) {
                        Some(near) => finding.with_label(format!("did you mean `{near}`?")),
                        None => finding.with_help(format!("known keys are: {}", known.join(", "))),
                    });
                }
            }
            ValidationErrorKind::Required { property } => {
                let property = property.as_str().unwrap_or_default();
                let place = if at.is_empty() { Place::File } else { Place::Key(at.clone()) };
                let finding = Diagnostic::error("SL1006", self.file, place, format!("the key `{property}` is missing"));
                let describe = self.description(schema, error, property);
                findings.push(match describe {
                    Some(text) => finding.with_why(text).with_help(format!("add `{property}:`")),
                    None => finding.with_help(format!("add `{property}:`")),
                });
            }
            ValidationErrorKind::Type { kind } => {
                let expected = types(kind);
                let found = type_of(instance);
                let subject = if at.is_empty() { "the file".to_owned() } else { format!("`{name}`") };
                findings
                    .push(value("SL1005", format!("{subject} is {found}")).with_label(format!("expected {expected}")));
            }
            ValidationErrorKind::Enum { options } => {
                let options: Vec<String> = texts(options);
                self.unknown_value(&at, instance, &options, findings);
            }
            ValidationErrorKind::Constant { expected_value } => {
                self.unknown_value(
                    &at,
                    instance,
                    &texts(&Value::Array(vec![expected_value.as_ref().clone()])),
                    findings,
                );
            }
            ValidationErrorKind::OneOfNotValid { .. }
            | ValidationErrorKind::OneOfMultipleValid { .. }
            | ValidationErrorKind::AnyOf { .. } => {
                self.choice(schema, part, error, &at, prefix, findings);
            }
            ValidationErrorKind::Minimum { limit } => {
                findings.push(
                    value("SL1008", format!("`{name}` is too small")).with_label(format!("expected at least {limit}")),
                );
            }
            ValidationErrorKind::Maximum { limit } => {
                findings.push(
                    value("SL1008", format!("`{name}` is too large")).with_label(format!("expected at most {limit}")),
                );
            }
            ValidationErrorKind::MinItems { limit } => {
                let label = format!("expected at least {limit}");
                findings.push(value("SL1008", format!("`{name}` has too few entries")).with_label(label));
            }
            ValidationErrorKind::MinLength { .. } => {
                findings.push(value("SL1008", format!("`{name}` is empty")).with_label("expected a text"));
            }
            ValidationErrorKind::MaxLength { limit } => {
                let label = format!("expected at most {limit} characters");
                findings.push(value("SL1008", format!("`{name}` is too long")).with_label(label));
            }
            ValidationErrorKind::Pattern { .. } => {
                let label =
                    match self.resolve(schema, error.schema_path().as_str(), 1).and_then(|schema| examples(&schema)) {
                        Some(examples) => format!("expected a value such as {examples}"),
                        None => "does not have the expected form".to_owned(),
                    };
                let finding = value("SL1008", format!("`{name}` does not have the expected form")).with_label(label);
                let describe = self.resolve(schema, error.schema_path().as_str(), 1);
                let describe =
                    describe.and_then(|schema| schema.get("description").and_then(Value::as_str).map(str::to_owned));
                findings.push(describe.map_or(finding.clone(), |text| finding.with_why(text)));
            }
            _ => findings.push(value("SL1008", format!("`{name}` is not valid here"))),
        }
    }

    /// A choice of several shapes: an enum, a shape named by `type`, or exactly one of some keys.
    fn choice(
        &self,
        schema: &Value,
        part: &Value,
        error: &ValidationError<'_>,
        at: &str,
        prefix: &str,
        findings: &mut Vec<Diagnostic>,
    ) {
        let instance = error.instance();
        let path = error.schema_path().as_str();
        let Some(Value::Array(branches)) = self.resolve(schema, path, 0) else { return };
        let branches: Vec<Value> = branches.iter().map(|branch| self.follow(branch)).collect();
        let constants: Option<Vec<String>> =
            branches.iter().map(|branch| branch.get("const").and_then(Value::as_str).map(str::to_owned)).collect();
        if let Some(options) = constants {
            return self.unknown_value(at, instance, &options, findings);
        }
        let tag = |branch: &Value| branch.pointer("/properties/type/const").and_then(Value::as_str).map(str::to_owned);
        let tags: Vec<String> = branches.iter().filter_map(tag).collect();
        if tags.len() == branches.len() {
            let chosen = instance.get("type").and_then(Value::as_str);
            match (chosen, branches.iter().find(|branch| tag(branch).as_deref() == chosen)) {
                (Some(_), Some(branch)) => {
                    let relative = at.strip_prefix(prefix).unwrap_or(at);
                    let inner = part.pointer(relative).unwrap_or(instance);
                    return self.check(&self.with_definitions(branch), inner, at, findings);
                }
                (Some(chosen), None) => {
                    let chosen = Value::from(chosen);
                    return self.unknown_value(&format!("{at}/type"), &chosen, &tags, findings);
                }
                (None, _) => {
                    let finding =
                        Diagnostic::error("SL1006", self.file, Place::Key(at.to_owned()), "the key `type` is missing");
                    findings.push(finding.with_help(format!("add `type:` with one of: {}", tags.join(", "))));
                    return;
                }
            }
        }
        let required = |branch: &Value| {
            branch.get("required").and_then(Value::as_array).map(|keys| texts(&Value::Array(keys.clone())))
        };
        let choices: Option<Vec<String>> =
            branches.iter().map(|branch| required(branch).map(|keys| keys.join("` with `"))).collect();
        if let Some(choices) = choices {
            let place = Place::Value(at.to_owned());
            let message = format!("expected exactly one of `{}`", choices.join("`, `"));
            let several = matches!(error.kind(), ValidationErrorKind::OneOfMultipleValid { .. });
            let label = if several { "several are given" } else { "none is given" };
            findings.push(Diagnostic::error("SL1009", self.file, place, message).with_label(label));
            return;
        }
        // An optional value: the branch that is not null says what is wrong.
        if let Some(branch) = branches.iter().find(|branch| branch.get("type").and_then(Value::as_str) != Some("null"))
        {
            self.check(&self.with_definitions(branch), instance, at, findings);
        }
    }

    fn unknown_value(&self, at: &str, instance: &Value, options: &[String], findings: &mut Vec<Diagnostic>) {
        let name = at.rsplit('/').next().unwrap_or_default();
        let shown = instance.as_str().map_or_else(|| instance.to_string(), str::to_owned);
        let shown: String = shown.chars().take(60).collect();
        let message = format!("unknown value `{shown}` for `{name}`");
        let label = match options {
            [one] => format!("expected `{one}`"),
            options => format!("expected `{}`", options.join("` or `")),
        };
        let finding = Diagnostic::error("SL1004", self.file, Place::Value(at.to_owned()), message).with_label(label);
        let known: Vec<&str> = options.iter().map(String::as_str).collect();
        findings.push(match nearest(&shown, &known) {
            Some(near) => finding.with_help(format!("did you mean `{near}`?")),
            None => finding,
        });
    }

    /// Names of the keys that an object of the schema knows.
    fn properties(&self, schema: &Value, error: &ValidationError<'_>) -> Vec<String> {
        let object = self.resolve(schema, error.schema_path().as_str(), 1);
        let names = object.and_then(|object| object.get("properties").and_then(Value::as_object).cloned());
        names.map(|names| names.keys().cloned().collect()).unwrap_or_default()
    }

    fn description(&self, schema: &Value, error: &ValidationError<'_>, property: &str) -> Option<String> {
        let object = self.resolve(schema, error.schema_path().as_str(), 1)?;
        let text = self.follow(object.get("properties")?.get(property)?).get("description")?.as_str()?.to_owned();
        let text = object
            .get("properties")?
            .get(property)?
            .get("description")
            .and_then(Value::as_str)
            .map_or(text, str::to_owned);
        let sentence = text.split(". ").next().unwrap_or(&text).trim_end_matches('.').to_owned();
        // The names of the two systems keep their capital.
        if ["HubSpot", "Salesforce"].iter().any(|name| sentence.starts_with(name)) {
            return Some(sentence);
        }
        let mut letters = sentence.chars();
        let first = letters.next()?;
        Some(first.to_lowercase().chain(letters).collect())
    }

    /// The part of a schema that a path leads to, references followed, `up` steps above its end.
    fn resolve(&self, schema: &Value, path: &str, up: usize) -> Option<Value> {
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let mut current = schema.clone();
        for part in &parts[..parts.len().checked_sub(up)?] {
            if *part == "$ref" {
                current = self.follow(&current);
                continue;
            }
            let part = part.replace("~1", "/").replace("~0", "~");
            current = match &current {
                Value::Array(items) => items.get(part.parse::<usize>().ok()?)?.clone(),
                other => other.get(&part)?.clone(),
            };
        }
        Some(self.follow(&current))
    }

    /// Follows a reference, where there is one.
    fn follow(&self, schema: &Value) -> Value {
        let target =
            schema.get("$ref").and_then(Value::as_str).and_then(|path| self.root.pointer(path.strip_prefix('#')?));
        match target {
            None => schema.clone(),
            Some(target) => {
                // What stands beside a reference belongs to it: a tagged variant adds its `type` there.
                let mut merged = target.clone();
                if let (Some(merged), Some(beside)) = (merged.as_object_mut(), schema.as_object()) {
                    for (key, value) in beside.iter().filter(|(key, _)| *key != "$ref") {
                        merge(merged.entry(key.clone()).or_insert(Value::Null), value);
                    }
                }
                merged
            }
        }
    }

    fn with_definitions(&self, schema: &Value) -> Value {
        let mut schema = schema.clone();
        if let (Some(object), Some(definitions)) = (schema.as_object_mut(), self.root.get("$defs")) {
            object.insert("$defs".to_owned(), definitions.clone());
        }
        schema
    }
}

fn merge(into: &mut Value, value: &Value) {
    match (into, value) {
        (Value::Object(into), Value::Object(value)) => {
            for (key, value) in value {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (Value::Array(into), Value::Array(value)) => into.extend(value.iter().cloned()),
        (into, value) => *into = value.clone(),
    }
}

fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |known: &&&str| strsim::damerau_levenshtein(name, known);
    known.iter().min_by_key(distance).filter(|known| distance(known) <= (name.len() / 3).max(1)).copied()
}

fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().cloned().unwrap_or_default();
    items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect()
}

fn examples(schema: &Value) -> Option<String> {
    let examples = texts(schema.get("examples")?);
    (!examples.is_empty())
        .then(|| examples.iter().map(|example| format!("`{example}`")).collect::<Vec<_>>().join(" or "))
}

fn types(kind: &TypeKind) -> String {
    let name = |name: &str| match name {
        "string" => "a text".to_owned(),
        "object" => "keys with values".to_owned(),
        "array" => "a list".to_owned(),
        "boolean" => "`true` or `false`".to_owned(),
        "integer" => "a whole number".to_owned(),
        "number" => "a number".to_owned(),
        other => other.to_owned(),
    };
    match kind {
        TypeKind::Single(kind) => name(&kind.to_string()),
        TypeKind::Multiple(kinds) => {
            let names: Vec<String> = kinds
                .iter()
                .map(|kind| kind.to_string())
                .filter(|kind| kind != "null")
                .map(|kind| name(&kind))
                .collect();
            names.join(" or ")
        }
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "blank",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a set of keys",
    }
}

/// A misspelt key is also a missing one: only the misspelling is said.
fn one_per_cause(findings: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let misspelt: Vec<(String, String)> = findings
        .iter()
        .filter_map(|finding| match (&finding.place, &finding.label) {
            (Place::Key(pointer), Some(label)) if finding.code == "SL1003" => {
                let parent = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
                Some((parent.to_owned(), label.split('`').nth(1)?.to_owned()))
            }
            _ => None,
        })
        .collect();
    let missing_by_spelling = |finding: &Diagnostic| {
        let parent = match &finding.place {
            Place::Key(pointer) => pointer.as_str(),
            _ => "",
        };
        let key = finding.message.split('`').nth(1).unwrap_or_default();
        finding.code == "SL1006" && misspelt.iter().any(|(own, near)| own == parent && near == key)
    };
    findings.into_iter().filter(|finding| !missing_by_spelling(finding)).collect()
}
