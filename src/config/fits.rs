//! Whether a value fits a schema, found by walking both, without making a checker first.
//!
//! Most definitions are right, and making a checker takes many times as long as walking. What is not known to fit is left to the
//! checker: it decides, and it alone says what is wrong. So what a schema may say and this does not know costs time, and no finding.

use serde_json::{Map, Value};

use super::schema;

/// Whether `value` fits `schema`; none where this cannot tell.
pub fn fits(schema: &Value, value: &Value) -> Option<bool> {
    Walk { root: schema }.fits(schema, value, 0)
}

struct Walk<'a> {
    root: &'a Value,
}

impl Walk<'_> {
    fn fits(&self, shape: &Value, value: &Value, depth: usize) -> Option<bool> {
        // A schema may refer to itself.
        const DEPTH_MAX: usize = 128;
        match shape {
            Value::Bool(fits) => Some(*fits),
            Value::Object(rules) if depth < DEPTH_MAX => {
                // The kind of the value rules out most shapes of a choice.
                if rules.get("type").is_some_and(|kinds| is_of_any(kinds, value) == Some(false)) {
                    return Some(false);
                }
                all(rules.iter().map(|(word, rule)| self.rule(rules, word, rule, value, depth + 1)))
            }
            _ => None,
        }
    }

    fn rule(&self, rules: &Map<String, Value>, word: &str, rule: &Value, value: &Value, depth: usize) -> Option<bool> {
        let inner = |shape: &Value, value: &Value| self.fits(shape, value, depth);
        match word {
            // `then` and `else` are told of by `if`; a format is a remark.
            "$defs" | "$schema" | "default" | "description" | "else" | "examples" | "format" | "then" | "title" => {
                Some(true)
            }
            "$ref" => inner(self.root.get("$defs")?.get(rule.as_str()?.strip_prefix("#/$defs/")?)?, value),
            // What names by a pattern or by place take is not this one's to say.
            "additionalProperties" if rules.contains_key("patternProperties") => None,
            "items" if rules.contains_key("prefixItems") => None,
            "additionalProperties" => {
                let Some(members) = value.as_object() else { return Some(true) };
                let named = rules.get("properties").and_then(Value::as_object);
                let others = members.iter().filter(|(key, _)| !named.is_some_and(|named| named.contains_key(*key)));
                all(others.map(|(_, member)| inner(rule, member)))
            }
            "allOf" => all(rule.as_array()?.iter().map(|branch| inner(branch, value))),
            "anyOf" => all(rule.as_array()?.iter().map(|branch| not(inner(branch, value)))).map(|none| !none),
            "const" => is_same(rule, value),
            "enum" => all(rule.as_array()?.iter().map(|option| not(is_same(option, value)))).map(|none| !none),
            "if" => {
                let branch = if inner(rule, value)? { "then" } else { "else" };
                rules.get(branch).map_or(Some(true), |branch| inner(branch, value))
            }
            "items" => {
                all(value.as_array().map(Vec::as_slice).unwrap_or_default().iter().map(|item| inner(rule, item)))
            }
            "maxItems" => at_most(value.as_array().map(Vec::len), rule),
            "maxLength" => at_most(value.as_str().map(|text| text.chars().count()), rule),
            "maximum" => ordered(value, rule),
            "minItems" => at_least(value.as_array().map(Vec::len), rule),
            "minLength" => at_least(value.as_str().map(|text| text.chars().count()), rule),
            "minimum" => ordered(rule, value),
            "oneOf" => {
                let answers: Option<Vec<bool>> = rule.as_array()?.iter().map(|branch| inner(branch, value)).collect();
                Some(answers?.into_iter().filter(|fits| *fits).count() == 1)
            }
            schema::PATTERN => match value.as_str() {
                Some(text) => Some(schema::pattern(rule.as_str()?)?.is_match(text)),
                None => Some(true),
            },
            "properties" => {
                let Some(members) = value.as_object() else { return Some(true) };
                let named = rule.as_object()?;
                all(members.iter().filter_map(|(key, member)| Some(inner(named.get(key)?, member))))
            }
            "required" => {
                let Some(members) = value.as_object() else { return Some(true) };
                all(rule.as_array()?.iter().map(|key| Some(members.contains_key(key.as_str()?))))
            }
            "type" => is_of_any(rule, value),
            _ => None,
        }
    }
}

/// Whether all of it is so: one that is not decides, whatever is not known of others.
fn all(answers: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut known = Some(true);
    for answer in answers {
        match answer {
            Some(true) => {}
            Some(false) => return answer,
            None => known = None,
        }
    }
    known
}

fn not(answer: Option<bool>) -> Option<bool> {
    answer.map(|answer| !answer)
}

fn is_of_any(kinds: &Value, value: &Value) -> Option<bool> {
    match kinds {
        Value::Array(kinds) => all(kinds.iter().map(|kind| not(is_of(kind, value)))).map(|none| !none),
        kind => is_of(kind, value),
    }
}

fn is_of(kind: &Value, value: &Value) -> Option<bool> {
    Some(match kind.as_str()? {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        // 1.0 is an integer for some.
        "integer" if value.is_f64() => return None,
        "integer" => value.is_number(),
        _ => return None,
    })
}

/// Whether a value is the one that a schema names. Numbers of two spellings, and what is made of them, are the checker's to compare.
fn is_same(named: &Value, value: &Value) -> Option<bool> {
    let plain = |value: &Value| value.is_string() || value.is_boolean() || value.is_null();
    (plain(named) || plain(value)).then(|| named == value)
}

/// Whether two numbers are in this order; anything else than numbers is in order.
fn ordered(low: &Value, high: &Value) -> Option<bool> {
    if !low.is_number() || !high.is_number() {
        return Some(true);
    }
    match (low.as_i64(), high.as_i64()) {
        (Some(low), Some(high)) => Some(low <= high),
        _ => None,
    }
}

fn at_most(size: Option<usize>, limit: &Value) -> Option<bool> {
    let Some(size) = size else { return Some(true) };
    limit.as_u64().map(|limit| size as u64 <= limit)
}

fn at_least(size: Option<usize>, limit: &Value) -> Option<bool> {
    let Some(size) = size else { return Some(true) };
    limit.as_u64().map(|limit| size as u64 >= limit)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use serde_json::json;

    use super::*;
    use crate::config::yaml;

    /// Sample definitions, with the name of their schema.
    fn samples() -> Vec<(PathBuf, &'static str, Value)> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let listed = std::fs::read_dir(root.join("pipelines")).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<PathBuf> = listed.filter(|path| path.extension().is_some_and(|ext| ext == "yaml")).collect();
        files.sort();
        files.push(root.join("src/ops/init/syncline.yaml"));
        let sample = |file: PathBuf| {
            let text = std::fs::read_to_string(&file).unwrap();
            let text =
                text.replace("${SALESFORCE_LOGIN_URL:-https://login.salesforce.com}", "https://login.salesforce.com");
            let text = regex::Regex::new(r"\$\{\w+\}").unwrap().replace_all(&text, "given");
            let value: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
            let schema = match file.to_str().unwrap() {
                name if name.ends_with("syncline.yaml") => "project",
                name if name.ends_with(".test.yaml") => "pipeline-test",
                _ => "pipeline",
            };
            (file, schema, yaml::to_json(&value))
        };
        files.into_iter().map(sample).collect()
    }

    /// Values of each kind, at the edges of what schemas say.
    fn odd() -> Vec<Value> {
        let texts = ["", "a", "é", "e\u{301}", "Subscription__c", "2026-01-01", "skip", "x y\n", "${A}"];
        let long = ["a".repeat(300), "é".repeat(100)];
        let numbers = [json!(0), json!(1), json!(-1), json!(2), json!(1.0), json!(1.5), json!(1e30), json!(u64::MAX)];
        let parts = [json!([]), json!([1]), json!(["a", "a"]), json!([null]), json!({}), json!({"type": "a"})];
        let plain = [json!(null), json!(true), json!(false), json!({"constant": 1, "source": "A"}), json!({"é": {}})];
        let texts = texts.into_iter().map(str::to_owned).chain(long).map(Value::from);
        texts.chain(numbers).chain(parts).chain(plain).collect()
    }

    /// The value of the checker, where the walk knows one.
    fn agree(schema: &Value, validator: &jsonschema::Validator, value: &Value, known: &mut [usize; 3]) {
        let told = fits(schema, value);
        known[told.map_or(2, usize::from)] += 1;
        if let Some(told) = told {
            assert_eq!(told, validator.is_valid(value), "{value}");
        }
    }

    #[test]
    fn good_definitions_need_no_checker() {
        for (file, name, value) in samples() {
            let definition = schema::definition(name).unwrap();
            assert_eq!(fits(&definition.schema, &value), Some(true), "{}", file.display());
        }
    }

    #[test]
    fn definitions_with_anything_at_any_place_are_judged_as_the_checker_judges_them() {
        let mut tried = BTreeSet::new();
        let mut known = [0; 3];
        for (_, name, sample) in samples() {
            let definition = schema::definition(name).unwrap();
            let validator = definition.validator().unwrap();
            for at in places(&sample) {
                // Places that differ in the number of an item, or in a name, are alike.
                let alike: Vec<&str> = at.split('/').filter(|part| part.parse::<usize>().is_err()).collect();
                if !tried.insert((name, alike.join("/"))) {
                    continue;
                }
                for other in odd() {
                    let mut changed = sample.clone();
                    *changed.pointer_mut(&at).unwrap() = other;
                    agree(&definition.schema, validator, &changed, &mut known);
                }
                let changes: [fn(&mut Map<String, Value>); 3] = [
                    Map::clear,
                    |part| drop(part.keys().next().cloned().and_then(|first| part.remove(&first))),
                    |part| drop(part.insert("unknown".to_owned(), json!("x"))),
                ];
                for change in changes {
                    let mut changed = sample.clone();
                    let Some(part) = changed.pointer_mut(&at).and_then(Value::as_object_mut) else { continue };
                    change(part);
                    agree(&definition.schema, validator, &changed, &mut known);
                }
            }
        }
        let [unfit, fit, unknown] = known;
        assert!(unfit > 1_000 && fit > 100 && unknown < (unfit + fit) / 10, "{known:?}");
    }

    #[test]
    fn each_word_of_a_schema_means_what_it_means_to_the_checker() {
        let mut known = [0; 3];
        for schema in [
            json!({"type": "integer"}),
            json!({"type": ["number", "null"]}),
            json!({"type": "number", "minimum": 1, "maximum": 2}),
            json!({"minimum": -1.5}),
            json!({"minLength": 1, "maxLength": 2}),
            json!({"minItems": 1, "maxItems": 1, "items": {"type": "string"}}),
            json!({"pattern": "^[a-z]$"}),
            json!({"const": "a"}),
            json!({"const": 1}),
            json!({"const": null}),
            json!({"enum": ["a", 1, null, true]}),
            json!({"enum": ["a", {}, []]}),
            json!({"oneOf": [{"type": "string"}, {"pattern": "a"}, {"const": 1}]}),
            json!({"anyOf": [{"type": "number"}, {"type": "string", "minLength": 3}]}),
            json!({"allOf": [{"type": "string"}, {"minLength": 3}]}),
            json!({"if": {"type": "string"}, "then": {"minLength": 1}, "else": {"type": "object"}}),
            json!({"if": {"type": "string"}, "else": false}),
            json!({"required": ["type"], "properties": {"type": {"const": "a"}}, "additionalProperties": false}),
            json!({"properties": {"é": true, "source": {"type": "string"}}, "additionalProperties": {"type": "integer"}}),
            json!({"additionalProperties": {"$ref": "#/$defs/part"}, "$defs": {"part": {"type": "object"}}}),
            json!({"not": {"type": "string"}}),
            json!({"uniqueItems": true}),
            json!({"propertyNames": {"maxLength": 1}}),
            json!({"oneOf": [{"patternProperties": {".": true}, "additionalProperties": false}, {"type": "object"}]}),
            json!({"oneOf": [{"prefixItems": [{}, {}], "items": false}, {"type": "array"}]}),
            json!({"if": {"prefixItems": [{}, {}], "items": false}, "then": {"type": "array"}, "else": false}),
            json!(true),
            json!(false),
        ] {
            let validator = schema::validator(&schema).unwrap();
            odd().iter().for_each(|value| agree(&schema, &validator, value, &mut known));
        }
        assert!(known.iter().all(|count| *count > 20), "{known:?}");
    }

    /// The shapes within one, itself included.
    fn shapes(shape: &Value) -> Vec<&Value> {
        let mut found = vec![shape];
        for (word, rule) in shape.as_object().into_iter().flatten() {
            match (word.as_str(), rule) {
                ("additionalProperties" | "else" | "if" | "items" | "then", part) => found.extend(shapes(part)),
                ("$defs" | "properties", Value::Object(parts)) => found.extend(parts.values().flat_map(shapes)),
                ("allOf" | "anyOf" | "oneOf", Value::Array(parts)) => found.extend(parts.iter().flat_map(shapes)),
                _ => {}
            }
        }
        found
    }

    #[test]
    fn every_word_of_our_schemas_is_known() {
        for name in schema::NAMES {
            let root = &schema::definition(name).unwrap().schema;
            for shape in shapes(root) {
                for value in [json!(null), json!("x"), json!(1), json!([]), json!({})] {
                    let told = Walk { root }.fits(shape, &value, 0);
                    assert!(told.is_some(), "{name}: {value} in {shape}");
                }
            }
        }
    }

    #[test]
    fn a_schema_that_refers_to_itself_is_left_to_the_checker() {
        assert_eq!(fits(&json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}), &json!(1)), None);
        assert_eq!(fits(&json!({"$ref": "#"}), &json!(1)), None);
        assert_eq!(fits(&json!({"$ref": "#/$defs/gone"}), &json!(1)), None);
    }

    fn places(value: &Value) -> Vec<String> {
        let inner: Vec<(String, &Value)> = match value {
            Value::Object(members) => {
                members.iter().map(|(key, member)| (yaml::escape(key).into_owned(), member)).collect()
            }
            Value::Array(items) => items.iter().enumerate().map(|(place, item)| (place.to_string(), item)).collect(),
            _ => Vec::new(),
        };
        let further =
            inner.into_iter().flat_map(|(key, part)| places(part).into_iter().map(move |at| format!("/{key}{at}")));
        std::iter::once(String::new()).chain(further).collect()
    }
}
