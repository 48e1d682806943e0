//! What a schema takes at each place of a document.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use serde_json::Value;

/// The parts of a schema that one place of a document may fit. What they say of places further in is worked out level by level,
/// when a document gets there.
pub struct Expected {
    root: &'static Value,
    shapes: Vec<&'static Value>,
    takes_text: bool,
    /// By key, what a value of a map may be.
    named: OnceLock<HashMap<&'static str, Expected>>,
    /// The same of a key that has no name of its own.
    other: OnceLock<Box<Expected>>,
    /// What an item of a list may be.
    items: OnceLock<Box<Expected>>,
}

impl Expected {
    /// What a schema says of a whole document.
    pub fn whole(schema: &'static Value) -> Self {
        Self::new(schema, [schema])
    }

    fn new(root: &'static Value, found: impl IntoIterator<Item = &'static Value>) -> Self {
        let mut shapes = Vec::new();
        found.into_iter().for_each(|shape| add(root, shape, 0, &mut shapes));
        // Where a text is one of several choices, the text is kept: a number can be made of it later, and no digit is
        // lost.
        let takes_text = shapes.iter().any(|shape| match shape.get("type") {
            Some(Value::String(kind)) => kind == "string",
            Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "string"),
            _ => false,
        });
        let (named, other, items) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Self { root, shapes, takes_text, named, other, items }
    }

    /// Whether a text may stand here.
    pub fn takes_text(&self) -> bool {
        self.takes_text
    }

    /// What any of the shapes says of a place further in.
    fn inner(&self, inner: impl Fn(&'static Value) -> Option<&'static Value>) -> Self {
        Self::new(self.root, self.shapes.iter().filter_map(|shape| inner(shape)))
    }

    /// What the value of a key may be.
    pub fn key(&self, key: &str) -> &Self {
        let other = |shape: &'static Value| shape.get("additionalProperties").filter(|shape| shape.is_object());
        let named = self.named.get_or_init(|| {
            let properties = self.shapes.iter().filter_map(|shape| shape.get("properties").and_then(Value::as_object));
            let names: HashSet<&'static str> = properties.flat_map(|known| known.keys()).map(String::as_str).collect();
            let expected = |name: &'static str| {
                self.inner(|shape| {
                    let named = shape.get("properties").and_then(|known| known.get(name));
                    named.or_else(|| other(shape))
                })
            };
            names.into_iter().map(|name| (name, expected(name))).collect()
        });
        named.get(key).unwrap_or_else(|| self.other.get_or_init(|| Box::new(self.inner(other))))
    }

    /// What an item may be.
    pub fn items(&self) -> &Self {
        self.items.get_or_init(|| Box::new(self.inner(|shape| shape.get("items"))))
    }
}

/// Adds a shape with everything that it refers to or chooses from.
fn add(root: &'static Value, shape: &'static Value, depth: usize, shapes: &mut Vec<&'static Value>) {
    // A schema may refer to itself.
    const REFERENCES_MAX: usize = 16;
    if depth > REFERENCES_MAX {
        return;
    }
    shapes.push(shape);
    let target = shape.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix('#'));
    if let Some(target) = target.and_then(|path| root.pointer(path)) {
        add(root, target, depth + 1, shapes);
    }
    for choice in ["oneOf", "anyOf", "allOf"] {
        let branches = shape.get(choice).and_then(Value::as_array).into_iter().flatten();
        branches.for_each(|branch| add(root, branch, depth + 1, shapes));
    }
}
