//! Texts as they were typed -> values of the types that a schema asks for.

use std::rc::Rc;

use serde_yaml::{Mapping, Number, Value};

use super::compose::{Node, compose};
use super::expected::Expected;
use super::yaml_errors::Refused;

/// Reads one document without a schema: a scalar without quotes is what it looks like.
pub fn parse(text: &str) -> Result<Value, Refused> {
    Ok(compose(text)?.map_or(Value::Null, |root| value(root, None)))
}

/// A document as values. Where the schema takes a text, a scalar is the text as it stands in the file: `1.10`, `0x1F` and
/// `true` keep every character, with quotes or without. Elsewhere it is the number or the boolean that it looks like. A
/// blank (`null`, `~`, nothing) is blank everywhere. Keys are texts.
pub fn value(node: Rc<Node>, expected: Option<&Expected>) -> Value {
    // Only what an alias repeats is shared, and has to be copied.
    match Rc::unwrap_or_clone(node) {
        Node::Scalar { text, plain: false } => Value::String(text),
        Node::Scalar { text, plain: true } => match plain(&text) {
            Some(Value::Null) => Value::Null,
            Some(value) if !expected.is_some_and(Expected::takes_text) => value,
            Some(_) | None => Value::String(text),
        },
        Node::List(items) => {
            let expected = expected.map(Expected::items);
            Value::Sequence(items.into_iter().map(|item| value(item, expected)).collect())
        }
        Node::Map(entries) => {
            let entry = |(key, node): (String, Rc<Node>)| {
                let value = value(node, expected.map(|expected| expected.key(&key)));
                (Value::String(key), value)
            };
            Value::Mapping(entries.into_iter().map(entry).collect::<Mapping>())
        }
    }
}

/// What a scalar without quotes looks like, by YAML's core schema; none where it is a text.
fn plain(text: &str) -> Option<Value> {
    Some(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        // Not `yes` and `no`, which older readers take for booleans and which are country codes and answers.
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        text => Value::Number(number(text)?),
    })
}

/// A number as YAML 1.2 writes it; none for everything that a person may mean as text.
fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let negative = text.starts_with('-');
    let radix = [("0x", 16), ("0o", 8), ("0b", 2)].into_iter().find(|(prefix, _)| digits.starts_with(prefix));
    if let Some((_, radix)) = radix {
        let digits = digits.get(2..).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_alphanumeric()))?;
        let value = i64::from_str_radix(digits, radix).ok()?;
        return Some(if negative { -value } else { value }.into());
    }
    // A leading zero is a part of a text: a postal code, an account number.
    let whole = digits.bytes().take_while(u8::is_ascii_digit).count();
    if whole > 1 && digits.starts_with('0') || !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.')
    {
        return None;
    }
    let signed = text.strip_prefix('+').unwrap_or(text);
    let integer = signed.parse::<i64>().ok().map(Number::from).or_else(|| signed.parse::<u64>().ok().map(Number::from));
    integer.or_else(|| signed.parse::<f64>().ok().filter(|value| value.is_finite()).map(Number::from))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::yaml::to_json;

    fn read(text: &str, kind: serde_json::Value) -> serde_json::Value {
        let schema = json!({"$defs": {"any": {"type": kind}}, "additionalProperties": {"anyOf": [{"$ref": "#/$defs/any"}, {"type": "null"}]}});
        let root = compose(&format!("a: {text}\n")).unwrap().unwrap();
        to_json(&value(root, Some(&Expected::whole(Box::leak(Box::new(schema))))))["a"].clone()
    }

    #[test]
    fn where_a_text_is_meant_every_character_stays() {
        for text in [
            "1.10",
            "1e3",
            "0x1F",
            "0o17",
            "0b1",
            "1_000",
            "+5",
            ".5",
            "1.",
            "-0",
            "0123",
            "2026-10-01",
            "yes",
            "on",
            "off",
            "true",
            "True",
            "FALSE",
            ".inf",
            "-.INF",
            ".nan",
            "123456789012345678901234567890",
            "1.0E+10",
            "12:30",
            "0.10",
        ] {
            assert_eq!(read(text, json!(["string", "number", "boolean"])), json!(text));
            assert_eq!(read(text, json!("string")), json!(text));
            assert_eq!(read(&format!("\"{text}\""), json!(["string", "number"])), json!(text));
        }
        for text in ["~", "null", "Null", ""] {
            assert_eq!(read(text, json!(["string", "number", "boolean"])), json!(null), "{text}");
            assert_eq!(read(&format!("'{text}'"), json!("string")), json!(text));
        }
    }

    #[test]
    fn elsewhere_it_is_what_it_looks_like() {
        for (text, expected) in [
            ("1", json!(1)),
            ("0x1F", json!(31)),
            ("-0o17", json!(-15)),
            ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
            ("1.5", json!(1.5)),
            ("true", json!(true)),
            ("0123", json!("0123")),
            ("1_000", json!("1_000")),
            (".inf", json!(".inf")),
            ("infinity", json!("infinity")),
            ("1e999", json!("1e999")),
        ] {
            assert_eq!(read(text, json!("integer")), expected, "{text}");
        }
    }
}
