//! Stable JSON text for files that people review: keys in their order, a value on one line while it fits, one member or
//! entry a line where it does not.

use serde_json::Value;

/// Longest value on one line, in characters.
/// Fits beside another version in most review tools.
const LINE_LENGTH_MAX: usize = 110;

/// A value as the text of a file.
pub fn pretty(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, true, &mut text);
    text.push('\n');
    text
}

/// `top` forces one member a line, however short the value is.
fn write(value: &Value, depth: usize, top: bool, text: &mut String) {
    let flat = flat(value);
    let indent = "  ".repeat(depth + 1);
    match value {
        Value::Object(members) if top || depth * 2 + flat.chars().count() > LINE_LENGTH_MAX => {
            text.push('{');
            for (index, (key, member)) in members.iter().enumerate() {
                text.push_str(if index == 0 { "\n" } else { ",\n" });
                text.push_str(&format!("{indent}{}: ", Value::from(key.as_str())));
                write(member, depth + 1, is_list(key), text);
            }
            text.push_str(&format!("\n{}}}", "  ".repeat(depth)));
        }
        Value::Array(items) if depth * 2 + flat.chars().count() > LINE_LENGTH_MAX => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index == 0 { "\n" } else { ",\n" });
                text.push_str(&indent);
                write(item, depth + 1, false, text);
            }
            text.push_str(&format!("\n{}]", "  ".repeat(depth)));
        }
        _ => text.push_str(&flat),
    }
}

/// Members that are always one entry a line, however few they are.
/// So that one added field is one added line in a review.
fn is_list(key: &str) -> bool {
    matches!(key, "fields" | "properties")
}

fn flat(value: &Value) -> String {
    match value {
        Value::Object(members) if members.is_empty() => "{}".to_owned(),
        Value::Object(members) => {
            let members: Vec<String> =
                members.iter().map(|(key, value)| format!("{}: {}", Value::from(key.as_str()), flat(value))).collect();
            format!("{{ {} }}", members.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(flat).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::pretty;

    #[test]
    fn short_values_stand_on_one_line() {
        let value = json!({"object": "A", "fields": {"Id": {"type": "id"}, "B__c": {"values": [{"value": "x".repeat(60)}, {"value": "y".repeat(60)}]}}});
        let expected = format!(
            "{{\n  \"object\": \"A\",\n  \"fields\": {{\n    \"Id\": {{ \"type\": \"id\" }},\n    \"B__c\": {{\n      \"values\": [\n        {{ \"value\": \"{}\" }},\n        {{ \"value\": \"{}\" }}\n      ]\n    }}\n  }}\n}}\n",
            "x".repeat(60),
            "y".repeat(60)
        );
        // serde_json sorts keys of a `Value` unless told otherwise; both orders are stable.
        let got = pretty(&value);
        assert_eq!(got.lines().count(), expected.lines().count(), "{got}");
        assert!(got.contains("    \"Id\": { \"type\": \"id\" }") && got.ends_with("}\n"), "{got}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&got).unwrap(), value);
    }
}
