//! The structs of definitions as JSON Schemas: what an editor is given, and what definitions are checked against.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use jsonschema::paths::Location;
use jsonschema::{Keyword, ValidationError};
use regex::Regex;
use schemars::generate::SchemaSettings;

use super::expected::Expected;
use super::pipeline::PipelineConfig;
use super::pipeline_test::PipelineTestConfig;
use super::project::{PortalConfig, ProjectConfig};

/// Names of the schemas that files are checked against.
pub const NAMES: [&str; 4] = ["pipeline", "pipeline-test", "portal", "project"];

/// The schema of a kind of definition, ready to check with.
pub struct Definition {
    /// The schema.
    pub schema: serde_json::Value,
    validator: OnceLock<Option<jsonschema::Validator>>,
    expected: OnceLock<Expected>,
}

impl Definition {
    /// Its checker, made when something is to be checked with it; none where the schema itself is broken.
    pub fn validator(&self) -> Option<&jsonschema::Validator> {
        self.validator.get_or_init(|| validator(&self.schema)).as_ref()
    }

    /// What it takes at each place, worked out once.
    pub fn expected(&'static self) -> &'static Expected {
        self.expected.get_or_init(|| Expected::whole(&self.schema))
    }
}

/// The keyword whose values are regular expressions.
pub const PATTERN: &str = "pattern";

/// A regular expression of a schema, compiled when there is a text to compare with it: most of a schema's are about keys that a file does
/// not have. None where it is none.
pub fn pattern(text: &str) -> Option<Arc<Regex>> {
    static COMPILED: Mutex<BTreeMap<String, Option<Arc<Regex>>>> = Mutex::new(BTreeMap::new());
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    match compiled.get(text) {
        Some(known) => known.clone(),
        None => {
            let regex = Regex::new(text).ok().map(Arc::new);
            compiled.insert(text.to_owned(), regex.clone());
            regex
        }
    }
}

/// A regular expression as a keyword of the checker.
struct Pattern(String);

impl<'i> Keyword<'i> for Pattern {
    fn validate(&self, instance: &'i serde_json::Value) -> Result<(), ValidationError<'i>> {
        match self.is_valid(instance) {
            true => Ok(()),
            false => Err(ValidationError::custom("it does not have the form")),
        }
    }

    fn is_valid(&self, instance: &'i serde_json::Value) -> bool {
        let Some(text) = instance.as_str() else { return true };
        pattern(&self.0).is_some_and(|compiled| compiled.is_match(text))
    }
}

fn keyword<'a>(
    _: &'a serde_json::Map<String, serde_json::Value>,
    value: &'a serde_json::Value,
    _: Location,
) -> Result<Box<dyn for<'i> Keyword<'i>>, ValidationError<'a>> {
    Ok(Box::new(Pattern(value.as_str().unwrap_or_default().to_owned())))
}

/// What checks values against a schema; none where the schema itself is broken. What it says of texts without the expected form is of the
/// kind `Custom`, with [`PATTERN`] as its keyword.
pub fn validator(schema: &serde_json::Value) -> Option<jsonschema::Validator> {
    jsonschema::options().with_keyword(PATTERN, keyword).build(schema).ok()
}

/// The schema of a kind of definition, made once, when it is asked for.
pub fn definition(name: &str) -> Option<&'static Definition> {
    static ALL: [OnceLock<Option<Definition>>; NAMES.len()] = [const { OnceLock::new() }; NAMES.len()];
    let prepared = || Some(Definition { schema: value(name)?, validator: OnceLock::new(), expected: OnceLock::new() });
    let place = NAMES.iter().position(|known| *known == name)?;
    ALL[place].get_or_init(prepared).as_ref()
}

/// A schema as a value; none for an unknown name.
pub fn value(name: &str) -> Option<serde_json::Value> {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let schema = match name {
        "pipeline" => generator.into_root_schema_for::<PipelineConfig>(),
        "pipeline-test" => generator.into_root_schema_for::<PipelineTestConfig>(),
        "portal" => generator.into_root_schema_for::<PortalConfig>(),
        "project" => generator.into_root_schema_for::<ProjectConfig>(),
        _ => return None,
    };
    let mut schema = schema.to_value();
    refuse_blanks(&mut schema);
    name_parts(&mut schema);
    Some(schema)
}

/// Names the parts of a schema by what they are: an editor shows the names, and nobody there knows the program's own types.
fn name_parts(schema: &mut serde_json::Value) {
    let Some(parts) = schema.get_mut("$defs").and_then(serde_json::Value::as_object_mut) else { return };
    let named = std::mem::take(parts).into_iter().map(|(name, part)| (part_name(&name), part));
    *parts = named.collect();
    point_at_parts(schema);
}

fn point_at_parts(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(members) => {
            for (key, member) in members {
                let part = member.as_str().filter(|_| key == "$ref").and_then(|path| path.strip_prefix("#/$defs/"));
                match part.map(part_name) {
                    Some(name) => *member = serde_json::Value::from(format!("#/$defs/{name}")),
                    None => point_at_parts(member),
                }
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(point_at_parts),
        _ => {}
    }
}

/// `ClientCredentialsConfig` is `client_credentials`.
fn part_name(name: &str) -> String {
    let name = name.strip_suffix("Config").or_else(|| name.strip_suffix("Schema")).unwrap_or(name);
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push('_');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

/// A key that may be left out may not be left blank: `default:` with nothing behind it is a slip of the pen. Only where names
/// are free (the fields of a test's record) is a blank a value.
fn refuse_blanks(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(members) => {
            for (key, member) in members.iter_mut() {
                match member.as_object_mut() {
                    // A key may itself be called `properties`: what is in here are names, not words of the schema.
                    Some(properties) if key == "properties" => {
                        for shape in properties.values_mut() {
                            not_null(shape);
                            refuse_blanks(shape);
                        }
                    }
                    _ => refuse_blanks(member),
                }
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(refuse_blanks),
        _ => {}
    }
}

fn not_null(shape: &mut serde_json::Value) {
    let Some(shape) = shape.as_object_mut() else { return };
    if let Some(serde_json::Value::Array(types)) = shape.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = &types[..] {
            let only = only.clone();
            shape.insert("type".to_owned(), only);
        }
    }
    // An optional struct is written as a choice between its shape and null.
    if let Some(serde_json::Value::Array(branches)) = shape.get_mut("anyOf") {
        branches.retain(|branch| branch["type"] != "null");
        if let [only] = &branches[..] {
            let only = only.as_object().cloned().unwrap_or_default();
            shape.remove("anyOf");
            for (key, value) in only {
                shape.entry(key).or_insert(value);
            }
        }
    }
    if shape.get("default").is_some_and(serde_json::Value::is_null) {
        shape.remove("default");
    }
}

/// A schema as the text of its file. An editor sees a project's `${NAME}` where the program sees what it stands for.
pub fn text(name: &str) -> Option<String> {
    let mut value = value(name)?;
    if name == "project" {
        allow_variables(&mut value);
    }
    describe_in_markdown(&mut value);
    serde_json::to_string_pretty(&value).ok().map(|text| text + "\n")
}

/// Says every description once more as what it is: editors show `description` as it stands, backticks and all.
fn describe_in_markdown(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(members) => {
            members.values_mut().for_each(describe_in_markdown);
            // A property may itself be called `description`; a description is a text.
            let text = members.get("description").and_then(serde_json::Value::as_str).filter(|text| text.contains('`'));
            if let Some(text) = text.map(str::to_owned) {
                members.insert("markdownDescription".to_owned(), serde_json::Value::from(text));
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(describe_in_markdown),
        _ => {}
    }
}

/// Lets every pattern also match a text with a variable in it.
fn allow_variables(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(members) => {
            for (key, member) in members {
                match member {
                    serde_json::Value::String(pattern) if key == "pattern" => pattern.push_str(r"|\$\{"),
                    member => allow_variables(member),
                }
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(allow_variables),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(value: &serde_json::Value, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(members) => members.iter().for_each(|(key, member)| match member {
                serde_json::Value::String(pattern) if key == PATTERN => found.push(pattern.clone()),
                member => patterns(member, found),
            }),
            serde_json::Value::Array(items) => items.iter().for_each(|item| patterns(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_schema_and_pattern_compiles() {
        for name in NAMES {
            let definition = definition(name).unwrap();
            assert!(definition.validator().is_some(), "{name}");
            let mut found = Vec::new();
            patterns(&definition.schema, &mut found);
            assert!(!found.is_empty(), "{name}");
            for pattern in found {
                assert!(Regex::new(&pattern).is_ok(), "{name}: {pattern}");
                // These mean something else in an editor, whose regular expressions are JavaScript's.
                let plain = pattern.replace("\\.", "");
                assert!(
                    ![".", "\\d", "\\w", "\\s", "\\b"].iter().any(|part| plain.contains(part)),
                    "{name}: {pattern}"
                );
            }
        }
    }
}
