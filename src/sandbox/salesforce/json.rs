//! Rows as the REST API writes them: numbers as JSON numbers with all their digits, moments with `+0000`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::answers::{parse_time, rest_time};
use super::columns::Column;
use super::org::{Object, Org};
use super::rows::Row;
use super::soql::choice::Choice;

/// A part of a record: values, and parents by lookup.
#[derive(Default)]
struct Node {
    values: Vec<(String, String)>,
    parents: BTreeMap<String, Option<(String, Node)>>,
}

/// What is selected of a record.
pub struct Selected<'a> {
    /// Fields.
    pub columns: Vec<Column<'a>>,
    /// Fields that depend on the object that a lookup leads to.
    pub choices: Vec<Choice<'a>>,
}

/// One record.
pub fn record(org: &Org, object: &Object, selected: &Selected<'_>, id: &str, row: &Row, version: &str) -> String {
    let mut root = Node::default();
    root.fill(org, &selected.columns, (id, row, object), version);
    for choice in &selected.choices {
        let parent = choice.hop.follow(row).and_then(|(id, row, object)| {
            let mut node = Node::default();
            node.fill(org, choice.fields(object)?, (id.as_str(), row, object), version);
            Some((attributes(object, id, version), node))
        });
        root.parents.insert(choice.hop.name.clone(), parent);
    }
    write(&root, &attributes(object, id, version))
}

fn attributes(object: &Object, id: &str, version: &str) -> String {
    let name = object.name();
    format!(r#"{{"type":"{name}","url":"/services/data/{version}/sobjects/{name}/{id}"}}"#)
}

impl Node {
    /// Adds the values of a row, and of its parents.
    fn fill(&mut self, org: &Org, columns: &[Column<'_>], start: (&str, &Row, &Object), version: &str) {
        for column in columns {
            let mut node = &mut *self;
            let mut current = Some(start);
            for hop in &column.found.hops {
                current =
                    current.and_then(|(_, row, _)| hop.follow(row)).map(|(id, row, object)| (id.as_str(), row, object));
                // A lookup without a record makes the whole parent null, whatever was selected of it.
                let Some((id, _, object)) = current else {
                    node.parents.entry(hop.name.clone()).or_insert(None);
                    break;
                };
                let parent = node.parents.entry(hop.name.clone());
                let parent = parent.or_insert_with(|| Some((attributes(object, id, version), Node::default())));
                let Some((_, inner)) = parent else { break };
                node = inner;
            }
            if let Some((id, row, object)) = current {
                let value = column.found.value(id, row, object);
                node.values.push((column.name.clone(), value_of(column.found.field, value, org, row, object)));
            }
        }
    }
}

fn write(node: &Node, attributes: &str) -> String {
    let mut body = format!(r#"{{"attributes":{attributes}"#);
    for (name, value) in &node.values {
        body.push_str(&format!(r#","{name}":{value}"#));
    }
    for (name, parent) in &node.parents {
        match parent {
            Some((attributes, node)) => body.push_str(&format!(r#","{name}":{}"#, write(node, attributes))),
            None => body.push_str(&format!(r#","{name}":null"#)),
        }
    }
    body.push('}');
    body
}

/// One value as JSON text.
fn value_of(field: &Value, value: Option<String>, org: &Org, row: &Row, owner: &Object) -> String {
    let kind = field["type"].as_str().unwrap_or_default();
    if matches!(kind, "address" | "location") {
        return compound(field, row, owner);
    }
    let Some(value) = value else {
        return if kind == "boolean" { "false".to_owned() } else { "null".to_owned() };
    };
    match kind {
        "boolean" => value,
        "int" | "long" | "double" | "currency" | "percent" => number(&value, kind, org),
        "datetime" => {
            let millis = value.parse().ok().or_else(|| parse_time(&value)).unwrap_or_default();
            format!("\"{}\"", rest_time(millis))
        }
        _ => Value::from(value).to_string(),
    }
}

/// The parts of a compound as an object; null when all are blank.
fn compound(field: &Value, row: &Row, owner: &Object) -> String {
    let name = field["name"].as_str().unwrap_or_default();
    let parts = owner.fields.iter().enumerate().filter(|(_, part)| part["compoundFieldName"] == name);
    let mut members = Vec::new();
    let mut blank = true;
    for (place, part) in parts {
        let part_name = part["name"].as_str().unwrap_or_default();
        let prefix = name.trim_end_matches("Address").trim_end_matches("__c");
        let key = part_name.strip_prefix(prefix).unwrap_or(part_name).trim_start_matches('_').trim_end_matches("__s");
        let mut letters = key.chars();
        let key: String = letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect();
        let value = row.values.get(place);
        blank &= value.is_none();
        let numeric = part["type"] == "double";
        let shown = value.map_or_else(
            || "null".to_owned(),
            |value| if numeric { value.to_owned() } else { Value::from(value).to_string() },
        );
        members.push(format!(r#""{key}":{shown}"#));
    }
    if blank { "null".to_owned() } else { format!("{{{}}}", members.join(",")) }
}

/// A number in the form that the switches ask for.
pub fn number(text: &str, kind: &str, org: &Org) -> String {
    let plain = if text.parse::<f64>().is_ok() { text } else { "0" };
    let digits = plain.trim_start_matches('-').split('.').next().map_or(0, str::len);
    // Java writes large doubles this way, and some answers do.
    if org.switches.exponents && digits > 7 {
        let (sign, rest) = plain.strip_prefix('-').map_or(("", plain), |rest| ("-", rest));
        let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
        let tail = format!("{}{fraction}", &whole[1..]);
        let tail = tail.trim_end_matches('0');
        let tail = if tail.is_empty() { "0" } else { tail };
        return format!("{sign}{}.{tail}E{}", &whole[..1], whole.len() - 1);
    }
    if org.switches.whole_as_decimal && kind != "int" && !plain.contains('.') {
        return format!("{plain}.0");
    }
    plain.to_owned()
}
