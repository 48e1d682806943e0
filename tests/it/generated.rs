//! Generated files are current: schemas, the reference made from them, the table of error pages.
//! `SNAPSHOTS=overwrite cargo test generated` renews them.

use std::fs;
use std::path::Path;

use serde_json::Value;
use syncline::ops::schemas;

/// Compares a file with what it should be, or renews it.
#[track_caller]
pub(crate) fn check(path: &str, expected: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    #[expect(clippy::disallowed_methods, reason = "a switch of the tests")]
    if std::env::var("SNAPSHOTS").is_ok_and(|value| value == "overwrite") {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, expected).unwrap();
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == expected,
        "{path} is not current: renew it with `SNAPSHOTS=overwrite cargo test`, and read the difference\n{expected}"
    );
}

#[test]
fn generated_schemas_are_current() {
    for name in schemas::NAMES {
        check(&format!("schemas/{name}.schema.json"), &schemas::text(name).unwrap());
    }
}

#[test]
fn generated_reference_is_current() {
    for (name, title) in
        [("pipeline", "A pipeline file"), ("portal", "A portal: portals/NAME.yaml"), ("project", "syncline.yaml")]
    {
        check(&format!("docs/reference/{name}.md"), &reference(title, &schemas::value(name).unwrap()));
    }
}

#[test]
fn the_list_of_standard_objects_is_current() {
    let mut page = "# Standard objects that can be a source\n\nCustom objects (`__c`) can always be a source. Of the standard \
                    objects, those that HubSpot's own sync supports are taken as they are; any other that can be queried needs \
                    `allow_unlisted: true` beside `object`.\n\n"
        .to_owned();
    let names = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/supported-standard-objects.txt");
    let samples = crate::samples::objects();
    page.extend(fs::read_to_string(names).unwrap().lines().map(|name| match samples.get(name) {
        Some(sample) => format!("- `{name}`: [a sample](../../pipelines/{sample}.yaml)\n"),
        None => format!("- `{name}`\n"),
    }));
    check("docs/reference/standard-objects.md", &page);
}

#[test]
fn the_reference_tells_every_key_of_every_definition() {
    for name in ["pipeline", "portal", "project"] {
        let mut keys = std::collections::BTreeSet::new();
        keys_of(&schemas::value(name).unwrap(), &mut keys);
        let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/reference/{name}.md")))
            .unwrap();
        let missing: Vec<&String> = keys.iter().filter(|key| !page.contains(&format!("| `{key}` |"))).collect();
        assert!(missing.is_empty(), "{name}: {missing:?}");
    }
}

/// All keys that a schema knows.
fn keys_of(schema: &Value, keys: &mut std::collections::BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            if let Some(properties) = members.get("properties").and_then(Value::as_object) {
                keys.extend(properties.keys().cloned());
            }
            members.values().for_each(|member| keys_of(member, keys));
        }
        Value::Array(items) => items.iter().for_each(|item| keys_of(item, keys)),
        _ => {}
    }
}

#[test]
fn generated_codes_are_current() {
    let mut text = "//! GENERATED from docs/errors: the page of each code, for `syncline explain`.\n\n\
                    /// All codes with their pages.\npub const PAGES: &[(&str, &str)] = &[\n"
        .to_owned();
    for code in pages() {
        text.push_str(&format!("    (\"{code}\", include_str!(\"../../docs/errors/{code}.md\")),\n"));
    }
    text.push_str(
        "];\n\n/// The short title of a page.\npub fn title(page: &str) -> &str {\n    \
         page.lines().next().and_then(|line| line.split_once(\": \")).map_or(\"\", |(_, title)| title)\n}\n",
    );
    check("src/diagnostic/codes.rs", &text);
}

/// The codes that have a page, in order.
pub(crate) fn pages() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut codes: Vec<String> = entries.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    codes.sort();
    codes
}

/// A schema as a page: the file's own keys, then each group of keys and each kind of value.
fn reference(title: &str, root: &Value) -> String {
    let mut page = format!(
        "# {title}\n\nMade from the JSON Schema, which `syncline schema` prints. {}\n",
        root["description"].as_str().unwrap_or_default()
    );
    page.push_str(&keys(root));
    for (name, part) in root["$defs"].as_object().into_iter().flatten() {
        page.push_str(&format!("\n## {name}\n\n{}\n", part["description"].as_str().unwrap_or_default()));
        page.push_str(&keys(part));
        page.push_str(&variants(part));
        page.push_str(&words(part));
    }
    page
}

/// The keys of each kind that a part can be: those of a connection depend on its `type`.
fn variants(part: &Value) -> String {
    let kinds = part["oneOf"].as_array().into_iter().flatten().filter(|choice| choice["properties"].is_object());
    let table = |schema: &Value| {
        let name = schema["properties"]["type"]["const"].as_str().map(|kind| format!("`type: {kind}`. "));
        format!(
            "\n{}{}\n{}",
            name.unwrap_or_default(),
            schema["description"].as_str().unwrap_or_default(),
            keys(schema)
        )
    };
    kinds.map(table).collect()
}

/// The keys of a group, as a table.
fn keys(part: &Value) -> String {
    let Some(properties) = part["properties"].as_object() else { return String::new() };
    let required: Vec<&str> = part["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut table = "\n| key | value | default | meaning |\n|---|---|---|---|\n".to_owned();
    for (key, schema) in properties {
        let default = match schema.get("default") {
            _ if required.contains(&key.as_str()) => "required".to_owned(),
            None | Some(Value::Null) => String::new(),
            Some(value) => format!("`{value}`"),
        };
        let example = schema["examples"].as_array().and_then(|all| all.first());
        let example = example.map(|example| format!(" Example: `{}`.", plain(example))).unwrap_or_default();
        let meaning = schema["description"].as_str().unwrap_or_default();
        let cells = [format!("`{key}`"), kind(schema), default, format!("{meaning}{example}")];
        let cells = cells.map(|cell| cell.replace('|', "\\|").replace('\n', " "));
        table.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    table
}

/// The words that a value can be, or its form.
fn words(part: &Value) -> String {
    let mut text = String::new();
    for choice in part["oneOf"].as_array().into_iter().flatten().filter(|choice| choice.get("const").is_some()) {
        let meaning = choice["description"].as_str().unwrap_or_default();
        text.push_str(&format!("- `{}`: {meaning}\n", plain(&choice["const"])));
    }
    let examples: Vec<String> =
        part["examples"].as_array().into_iter().flatten().map(|value| format!("`{}`", plain(value))).collect();
    if !examples.is_empty() {
        text.push_str(&format!("Examples: {}.\n", examples.join(", ")));
    }
    if text.is_empty() { text } else { format!("\n{text}") }
}

/// What stands behind a key, in words, with a link to its own section.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return format!("[{name}](#{})", name.to_ascii_lowercase());
    }
    if let Some(choices) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
        let kinds: Vec<String> = choices.iter().filter(|choice| choice["type"] != "null").map(kind).collect();
        return kinds.join(" or ");
    }
    let types = match &schema["type"] {
        Value::Array(all) => all.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect(),
        Value::String(name) => vec![name.as_str()],
        _ => Vec::new(),
    };
    match types.first().copied() {
        Some("array") => format!("list of {}", kind(&schema["items"])),
        Some("object") if schema["additionalProperties"].is_object() => {
            format!("names with {}", kind(&schema["additionalProperties"]))
        }
        Some("string") => "text".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        Some("integer") => "whole number".to_owned(),
        Some(other) => other.to_owned(),
        None => "value".to_owned(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
