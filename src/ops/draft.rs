//! The text of a draft: a pipeline as a person would write it, with comments for what is missing. Pure.

use std::fmt::Write;
use std::path::{Component, Path};

use serde_json::Value;

use crate::config::rules;
use crate::model::object::{PropertyKind, SourceObject, TargetObject, TargetProperty};
use crate::model::text::{self, line};
use crate::pipeline::schemas::AssociationSchema;
use crate::pipeline::suggest::{Suggestion, fillable, mappable};

/// What is wanted.
#[derive(Debug, Clone)]
pub struct NewPipeline {
    /// Name of the pipeline.
    pub name: String,
    /// Salesforce object.
    pub source: String,
    /// HubSpot object.
    pub target: String,
    /// Match property; chosen unless given.
    pub match_property: Option<String>,
    /// Connections.
    pub connections: (String, String),
}

/// The default names of the connections.
pub const CONNECTIONS: (&str, &str) = ("salesforce", "hubspot");

/// A lookup, and what is known of the other end.
pub struct Lookup {
    /// The field.
    pub field: String,
    /// The entry without its braces; none where the other end does not sync.
    pub entry: Option<String>,
    /// The HubSpot object at the other end, or the Salesforce objects where that is not known.
    pub to: String,
    /// Why the entry is a comment; none where it stands.
    pub why_not: Option<String>,
    /// The other end, as the rules look at it; none where the entry does not stand.
    pub world: Option<AssociationSchema>,
}

/// What a draft is written from.
pub struct Outline<'a> {
    /// What is wanted.
    pub wanted: &'a NewPipeline,
    /// Where the schema of pipelines is, seen from the draft.
    pub schema: &'a str,
    /// The Salesforce object.
    pub source: &'a SourceObject,
    /// The HubSpot object, as it is or as it will be.
    pub target: &'a TargetObject,
    /// The unique property that holds the Salesforce id.
    pub match_property: &'a str,
    /// The mapping.
    pub mapping: &'a [Suggestion<'a>],
    /// Required properties that it does not fill.
    pub missing: &'a [String],
    /// The lookups of the object.
    pub lookups: &'a [Lookup],
    /// What a person should know, line by line.
    pub remarks: &'a [String],
}

/// Writes a draft.
pub fn write(outline: &Outline<'_>) -> String {
    let Outline { wanted, schema, source, target, match_property, mapping, missing, lookups, remarks } = outline;
    let mut text = format!("# yaml-language-server: $schema={schema}\nversion: 1\n");
    text.push_str(&head(wanted, source, target, match_property));
    text.push_str("fields:\n");
    for remark in *remarks {
        let _ = writeln!(text, "  # {}", line(remark));
    }
    for suggestion in *mapping {
        entry(suggestion, &mut text);
    }
    for name in *missing {
        let _ = writeln!(text, "  # {} is required: give it a field, a template or a value", line(name));
        let _ = writeln!(text, "  # - {{ from: …, to: {} }}", word(name));
    }
    if mapping.is_empty() {
        text.push_str(
            "  # nothing fits by name, label and type: map at least one field\n  # - { from: Name, to: … }\n",
        );
    }
    rest(source, target, mapping, match_property, &mut text);
    text.push_str(&associations(lookups));
    text.push_str("\n# What a delete in Salesforce does in HubSpot: keep leaves the record, archive archives it.\non_delete: keep\n");
    text
}

/// Where `init` put the schema of pipelines, seen from their folder.
pub fn schema_path(pipelines: &str) -> String {
    let depth = Path::new(pipelines).components().filter(|part| matches!(part, Component::Normal(_))).count();
    format!("{}schemas/pipeline.schema.json", "../".repeat(depth))
}

fn head(wanted: &NewPipeline, source: &SourceObject, target: &TargetObject, match_property: &str) -> String {
    let mut text = format!("name: {}\n", wanted.name);
    let _ = writeln!(text, "description: {}", quoted(&format!("{} to {}", source.label, target.label)));
    let _ = writeln!(text, "\nsource:");
    // The default name is left out, as a person would.
    if wanted.connections.0 != CONNECTIONS.0 {
        let _ = writeln!(text, "  connection: {}", quoted(&wanted.connections.0));
    }
    let _ = writeln!(text, "  object: {}", word(&source.name));
    if !rules::is_listed(&source.name) {
        text.push_str("  allow_unlisted: true\n");
    }
    text.push_str("  # where: …   a SOQL condition that says which records belong; without it, all do\n");
    let _ = writeln!(text, "\ntarget:");
    if wanted.connections.1 != CONNECTIONS.1 {
        let _ = writeln!(text, "  connection: {}", quoted(&wanted.connections.1));
    }
    // A custom object goes before a standard one of the same name, unless the type id is written.
    let by_id = target.object_type_id.eq_ignore_ascii_case(&wanted.target);
    let _ = writeln!(text, "  object: {}", word(if by_id { &target.object_type_id } else { &target.name }));
    if !target.properties.get(match_property).is_some_and(|property| property.unique) {
        let (label, property) = (quoted(&target.label), line(match_property));
        let _ = writeln!(text, "  # {label} has no unique property `{property}`: create one for the Salesforce id");
    }
    let _ = writeln!(text, "  match: {}\n", word(match_property));
    text
}

/// The unique text property that looks most like the Salesforce id's.
pub fn match_property(target: &TargetObject) -> Option<String> {
    let unique = target
        .properties
        .values()
        .filter(|value| value.unique && !value.read_only && value.kind == PropertyKind::String);
    let likely = |property: &&TargetProperty| {
        let name = property.name.to_ascii_lowercase();
        // Negated, since false sorts before true: the likeliest name first, then the shortest.
        (!(name.contains("salesforce") || name.contains("sf")), !name.contains("id"), name.len())
    };
    unique.min_by_key(likely).map(|property| property.name.clone())
}

/// Most values without an option that are listed one by one.
/// A list of all countries as comments would bury the rest of the file.
const UNMATCHED_SHOWN_MAX: usize = 20;

fn entry(suggestion: &Suggestion<'_>, text: &mut String) {
    let (from, to) = (word(&suggestion.field.name), word(&suggestion.to));
    // Above the entry: below it, they would seem to belong to its last key or to the next entry.
    if suggestion.field.masked {
        let _ = writeln!(
            text,
            "  # {from} is masked when read, unless the user may view encrypted data; in place of `from`, a template can remove the mask:"
        );
        let _ = writeln!(text, "  #   template: \"{{{{ {} | regex_replace('[*X]', '') }}}}\"", suggestion.field.name);
    }
    if suggestion.field.calculated {
        let _ = writeln!(text, "  # {from} is calculated: a change to it alone is not noticed at once");
    }
    if suggestion.values.is_empty() && suggestion.unmatched.is_empty() {
        let mut keys = String::new();
        for (there, key) in [
            // 50 % is 50 in Salesforce and 0.5 in HubSpot.
            (suggestion.scaled, ", scale: 0.01"),
            // Not every user of Salesforce is one of HubSpot.
            (suggestion.owner, ", as: owner, otherwise: clear"),
            (suggestion.label, ", label: true"),
        ] {
            keys.push_str(if there { key } else { "" });
        }
        let _ = writeln!(text, "  - {{ from: {from}, to: {to}{keys} }}");
    } else {
        let _ = writeln!(text, "  - from: {from}\n    to: {to}");
        // A map of comments alone would be an empty one, so its key is a comment, too.
        let (map, aside) =
            if suggestion.values.is_empty() { ("    # values:\n", "    #   ") } else { ("    values:\n", "      # ") };
        text.push_str(map);
        for (value, option) in &suggestion.values {
            let _ = writeln!(text, "      {}: {}", quoted(value), quoted(option));
        }
        for value in suggestion.unmatched.iter().take(UNMATCHED_SHOWN_MAX) {
            let _ = writeln!(text, "{aside}{}: …   no option of `{to}` fits", quoted(value));
        }
        if let Some(more @ 1..) = suggestion.unmatched.len().checked_sub(UNMATCHED_SHOWN_MAX) {
            let _ = writeln!(text, "{aside}… and {more} more values for which no option fits");
        }
        // What the map leaves out is an option itself, or is set aside.
        text.push_str("    otherwise: pass\n");
    }
}

/// Names of what is left over, for a person who looks for more.
fn rest(
    source: &SourceObject,
    target: &TargetObject,
    found: &[Suggestion<'_>],
    match_property: &str,
    text: &mut String,
) {
    // Names only: whoever looks for one more finds it here without a second command.
    let fields = source.fields.iter().filter(|field| mappable(field));
    let fields = fields.filter(|field| !found.iter().any(|found| found.field.name == field.name));
    let fields: Vec<&str> = fields.map(|field| field.name.as_str()).collect();
    let properties = target.properties.values().filter(|value| fillable(value, match_property));
    let properties = properties.filter(|property| !found.iter().any(|found| found.to == property.name));
    let properties: Vec<&str> = properties.map(|property| property.name.as_str()).collect();
    for (what, names) in [("Salesforce fields", fields), ("HubSpot properties", properties)] {
        if !names.is_empty() {
            let _ = writeln!(text, "  # not mapped, {what}: {}", line(&names.join(", ")));
        }
    }
}

fn associations(lookups: &[Lookup]) -> String {
    let (mut active, mut hints) = (String::new(), String::new());
    for lookup in lookups {
        let Lookup { field, entry, to, why_not, .. } = lookup;
        let (field, to) = (line(field), line(to));
        let _ = match (entry, why_not) {
            (Some(entry), None) => writeln!(active, "  - {{ {entry} }}"),
            (Some(entry), Some(why)) => writeln!(hints, "  # - {{ {} }}   {}", line(entry), line(why)),
            (None, _) => writeln!(hints, "  # {field} leads to {to}, which no pipeline syncs"),
        };
    }
    match (active.is_empty(), hints.is_empty()) {
        (true, true) => String::new(),
        (true, false) => format!("\n# associations:\n{hints}"),
        (false, _) => format!("\nassociations:\n{active}{hints}"),
    }
}

/// A name as it stands in YAML: those of fields, properties and objects need no quotes, and any other text gets them.
pub fn word(name: &str) -> String {
    let plain = !name.is_empty()
        // A dash at the beginning would be an entry of a list.
        && !name.starts_with('-')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    if plain { name.to_owned() } else { quoted(name) }
}

/// A scalar that YAML reads back as this text.
pub fn quoted(text: &str) -> String {
    let plain = !text.is_empty()
        && text.starts_with(|letter: char| letter.is_alphabetic())
        // Anything that YAML might read as more than a text is quoted; a colon or a `#` needs it.
        && text.chars().all(|letter| letter.is_alphanumeric() || "_ -".contains(letter))
        && !text.ends_with(' ')
        // YAML 1.1 reads these as booleans, and older tools of the user's may.
        && !["true", "false", "yes", "no", "on", "off", "null", "y", "n"].contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { text::json(&Value::from(text).to_string()).into_owned() }
}
