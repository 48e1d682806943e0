//! Schema violations -> findings that say what was expected, one for each cause.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use super::fits::fits;
use super::read::SourceFile;
use super::schema::{self, Definition, PATTERN};
use super::yaml::escape;
use crate::diagnostic::nearest::nearest;
use crate::diagnostic::{Diagnostic, Place, TOLD_MAX, cap};

/// Checks a document: the findings, in the order of the file. Of each rule of the schema a few violations are told in full, the
/// others are counted, so that the work does not grow with a file that is wrong all over.
pub fn check(file: &SourceFile, definition: &Definition, document: &Value) -> Vec<Diagnostic> {
    if fits(&definition.schema, document) == Some(true) {
        return Vec::new();
    }
    let cx = Explain { file, name: &file.name, root: &definition.schema };
    let mut findings = Vec::new();
    match definition.validator() {
        Some(validator) => cx.check(validator, &definition.schema, document, "", &mut findings),
        None => findings.push(Diagnostic::error("SL9001", &file.name, Place::File, "the built-in schema is broken")),
    }
    // Counts of further findings come last, since they have a place only for one of them.
    findings.sort_by_cached_key(|finding| (finding.stands_for > 1, file.locate(&finding.place).start));
    cap(findings)
}

struct Explain<'a> {
    file: &'a SourceFile,
    name: &'a Arc<str>,
    root: &'a Value,
}

impl Explain<'_> {
    /// Checks a part of the document against a part of the schema.
    fn check(&self, validator: &Validator, schema: &Value, part: &Value, prefix: &str, findings: &mut Vec<Diagnostic>) {
        let mut violations: Vec<ValidationError<'_>> = validator.iter_errors(part).collect();
        let place = |error: &ValidationError<'_>| {
            self.file.locate(&Place::Value(format!("{prefix}{}", error.instance_path()))).start
        };
        violations.sort_by_cached_key(place);
        // What is of another kind altogether can be neither too large nor of a wrong form.
        let mistyped: HashSet<String> = violations
            .iter()
            .filter(|error| matches!(error.kind(), ValidationErrorKind::Type { .. }))
            .map(|error| error.instance_path().to_string())
            .collect();
        violations.retain(|error| {
            matches!(error.kind(), ValidationErrorKind::Type { .. })
                || !mistyped.contains(error.instance_path().as_str())
        });
        let mut reported: HashMap<String, (usize, Option<Diagnostic>)> = HashMap::new();
        let mut explained = Vec::new();
        for error in &violations {
            // By the rule and not by the place: a thousand fields with the same mistake are one thing to say.
            let rule = error.schema_path().as_str().to_owned();
            let (count, like) = reported.entry(rule).or_default();
            *count += 1;
            if *count > TOLD_MAX {
                explained.extend(like.as_ref().map(|like| Diagnostic::more(like, 1)));
                continue;
            }
            let first = explained.len();
            self.explain(schema, part, error, prefix, &mut explained);
            if like.is_none() {
                *like = explained.get(first).cloned();
            }
        }
        findings.extend(one_per_cause(explained));
    }

    /// Checks against one branch of a choice.
    fn branch(&self, branch: &Value, part: &Value, prefix: &str, findings: &mut Vec<Diagnostic>) {
        // A branch refers to definitions that stand at the root.
        let schema = self.with_definitions(branch);
        if let Some(validator) = schema::validator(&schema) {
            self.check(&validator, &schema, part, prefix, findings);
        }
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
        let value = |code, message: String| Diagnostic::error(code, self.name, Place::Value(at.clone()), message);
        let name = at.rsplit('/').next().unwrap_or_default();
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                self.unknown_keys(&at, unexpected, &self.properties(schema, error), findings);
            }
            ValidationErrorKind::Required { property } => {
                let property = property.as_str().unwrap_or_default();
                let place = if at.is_empty() { Place::File } else { Place::Key(at.clone()) };
                let finding = Diagnostic::error("SL1006", self.name, place, format!("the key `{property}` is missing"));
                // The schema's own words say what the missing key is for.
                let describe = self.description(schema, error, property);
                findings.push(match describe {
                    Some(text) => finding.with_why(text).with_help(format!("add `{property}:`")),
                    None => finding.with_help(format!("add `{property}:`")),
                });
            }
            ValidationErrorKind::Type { kind } => findings.push(self.wrong_type(&at, instance, kind)),
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
            // A later version is no mistake of the file, but of the program that reads it.
            ValidationErrorKind::Minimum { .. } | ValidationErrorKind::Maximum { .. } if at == "/version" => {
                let label = "this program reads `version: 1`";
                let finding =
                    value("SL1008", format!("version {instance} of the file format is not known")).with_label(label);
                findings.push(finding.with_help(match instance.as_u64() {
                    Some(2..) => "use a later Syncline, or write the file as version 1 asks for",
                    _ => "write `version: 1`",
                }));
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
            ValidationErrorKind::Custom { keyword, .. } if keyword == PATTERN => {
                let rule = self.resolve(schema, error.schema_path().as_str(), 1);
                let subject = match name.parse::<usize>() {
                    Ok(number) => format!("entry {} of the list", number + 1),
                    Err(_) => format!("`{name}`"),
                };
                let mut finding = value("SL1008", format!("{subject} does not have the expected form"));
                // An example says more than the regular expression.
                finding.label = rule.as_ref().and_then(examples).map(|all| format!("expected a value such as {all}"));
                let described = rule.as_ref().and_then(|rule| rule.get("description")?.as_str());
                finding.why = described.and_then(|text| lowered(text.trim_end_matches('.')));
                findings.push(finding);
            }
            // A rule that a later schema brings is told as well, if only in general words.
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
                // Checked anew against the chosen shape alone: against all of them, the schema checker only says that
                // none fits.
                (Some(_), Some(branch)) => {
                    let relative = at.strip_prefix(prefix).unwrap_or(at);
                    let inner = part.pointer(relative).unwrap_or(instance);
                    return self.branch(branch, inner, at, findings);
                }
                (Some(chosen), None) => {
                    let chosen = Value::from(chosen);
                    return self.unknown_value(&format!("{at}/type"), &chosen, &tags, findings);
                }
                (None, _) => {
                    let finding =
                        Diagnostic::error("SL1006", self.name, Place::Key(at.to_owned()), "the key `type` is missing");
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
            let (label, help) = match several {
                true => ("several are given", "remove all but one"),
                false => ("none is given", "add one of them"),
            };
            findings.push(Diagnostic::error("SL1009", self.name, place, message).with_label(label).with_help(help));
            return;
        }
        // An optional value: the branch that is not null says what is wrong.
        if let Some(branch) = branches.iter().find(|branch| branch.get("type").and_then(Value::as_str) != Some("null"))
        {
            self.branch(branch, instance, at, findings);
        }
    }

    /// Keys that the schema does not know, in the order of the file; of many, only the first are compared with the known ones.
    fn unknown_keys(&self, at: &str, unexpected: &[String], known: &[String], findings: &mut Vec<Diagnostic>) {
        let place = |key: &String| Place::Key(format!("{at}/{}", escape(key)));
        let mut keys: Vec<&String> = unexpected.iter().collect();
        keys.sort_by_cached_key(|key| self.file.locate(&place(key)).start);
        let names: Vec<&str> = known.iter().map(String::as_str).collect();
        let mut last = None;
        for key in keys.iter().take(TOLD_MAX) {
            // A key may be a whole text whose quotes are missing.
            let shown: String = key.chars().take(60).collect();
            let finding = Diagnostic::error("SL1003", self.name, place(key), format!("unknown key `{shown}`"));
            let finding = match nearest(key, names.iter().copied()) {
                Some(near) => finding.with_label(format!("did you mean `{near}`?")),
                None if names.is_empty() => finding.with_help("remove it"),
                None => finding.with_help(format!("known keys are: {}", known.join(", "))),
            };
            last = Some(finding.clone());
            findings.push(finding);
        }
        let more = keys.len().saturating_sub(TOLD_MAX);
        findings.extend(last.filter(|_| more > 0).map(|last| Diagnostic::more(&last, more)));
    }

    fn wrong_type(&self, at: &str, instance: &Value, kind: &TypeKind) -> Diagnostic {
        let name = at.rsplit('/').next().unwrap_or_default().replace("~1", "/").replace("~0", "~");
        let subject = match name.parse::<usize>() {
            _ if at.is_empty() => "the file".to_owned(),
            Ok(number) => format!("entry {} of the list", number + 1),
            Err(_) => format!("`{name}`"),
        };
        // Where nothing is written, there is no value to point at.
        let place = if instance.is_null() { Place::Key(at.to_owned()) } else { Place::Value(at.to_owned()) };
        let expected = types(kind);
        let finding = Diagnostic::error("SL1005", self.name, place, format!("{subject} is {}", type_of(instance)));
        let finding = finding.with_label(format!("expected {expected}"));
        let text = expected.contains("a text");
        match instance {
            Value::Null if at.is_empty() => finding.with_help("start with `version: 1`"),
            Value::Null if name.parse::<usize>().is_ok() => finding.with_help("fill it in, or remove it"),
            Value::Null if text => finding.with_help(
                "give it a value, or remove the key; an empty text is written `''`, and the word null `'null'`",
            ),
            Value::Null => finding.with_help("give it a value, or remove the key"),
            // YAML reads a quoted number as a text, which is the usual reason.
            Value::String(text) if expected.contains("number") && text.len() <= 60 && text.parse::<i64>().is_ok() => {
                finding.with_help(format!("remove the quotes: `{text}`"))
            }
            Value::String(text) if expected == "a list" && text.len() <= 60 => {
                finding.with_help(format!("write `[{text}]`, or each entry on its own line after `- `"))
            }
            Value::Object(_) if expected == "a list" => finding.with_help("begin each entry with `- `"),
            _ => finding,
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
        let finding = Diagnostic::error("SL1004", self.name, Place::Value(at.to_owned()), message).with_label(label);
        let known = options.iter().map(String::as_str);
        findings.push(match nearest(&shown, known) {
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
        // The words beside a reference are about this use of the shape, and go before those of the shape.
        let text = object
            .get("properties")?
            .get(property)?
            .get("description")
            .and_then(Value::as_str)
            .map_or(text, str::to_owned);
        sentence(&text)
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
        // Lists in a schema, such as `required`, add to each other.
        (Value::Array(into), Value::Array(value)) => into.extend(value.iter().cloned()),
        (into, value) => *into = value.clone(),
    }
}

/// The first sentence of a description, as it stands behind `why:`.
fn sentence(text: &str) -> Option<String> {
    lowered(text.split(". ").next().unwrap_or(text).trim_end_matches('.'))
}

/// A description without its capital. The names of the two systems keep theirs.
fn lowered(text: &str) -> Option<String> {
    if ["HubSpot", "Salesforce"].iter().any(|name| text.starts_with(name)) {
        return Some(text.to_owned());
    }
    let mut letters = text.chars();
    let first = letters.next()?;
    Some(first.to_lowercase().chain(letters).collect())
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
            // The checker keeps the types as a set, whose order would change the message from build to build.
            const ORDER: [&str; 6] = ["string", "number", "integer", "boolean", "array", "object"];
            let kinds: Vec<String> = kinds.iter().map(|kind| kind.to_string()).collect();
            let named = ORDER.iter().filter(|kind| kinds.iter().any(|known| known == *kind)).map(|kind| name(kind));
            named.collect::<Vec<_>>().join(" or ")
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
    let misspelt: HashSet<(String, String)> = findings
        .iter()
        .filter_map(|finding| match (&finding.place, &finding.label) {
            // The label names the key that was probably meant.
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
        finding.code == "SL1006" && misspelt.contains(&(parent.to_owned(), key.to_owned()))
    };
    findings.into_iter().filter(|finding| !missing_by_spelling(finding)).collect()
}
