//! Portals: `portals/*.yaml`, one file each. A portal is a target with a file, a HubSpot portal and variables of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_yaml::Value;

use super::connections::literal_secrets;
use super::decode::decode_but;
use super::env::is_secret_name;
use super::files::Files;
use super::project::{PORTALS_FOLDER, PROJECT_FILE, PortalConfig};
use super::read::{self, SourceFile};
use super::yaml::{self, escape};
use super::{hide, targets};
use crate::diagnostic::{Diagnostic, Place};

/// Most portals of a project.
pub const PORTALS_MAX: usize = 10_000;

/// The portals that have a file, each with the file's path; and what is wrong with the names.
pub fn names(files: &Files) -> (BTreeMap<String, String>, Vec<Diagnostic>) {
    let (mut known, mut findings) = (BTreeMap::new(), Vec::new());
    if files.leads_out(PORTALS_FOLDER) {
        let message = "the folder of the portals is a link to a place outside the project";
        let finding = Diagnostic::error("SL1030", &PROJECT_FILE.into(), Place::File, message);
        findings.push(finding.with_help("put the folder itself inside the project"));
        return (known, findings);
    }
    // Most projects have none.
    let entries = files.list(PORTALS_FOLDER, PORTALS_MAX + 1).unwrap_or_default();
    if entries.len() > PORTALS_MAX {
        let message = format!("the project has more than {PORTALS_MAX} portals");
        let finding = Diagnostic::error("SL1011", &PROJECT_FILE.into(), Place::File, message);
        findings.push(finding.with_help("split it into several projects"));
    }
    for entry in entries {
        let name = entry.strip_suffix(".yaml").or_else(|| entry.strip_suffix(".yml"));
        let Some(name) = name.filter(|_| !entry.starts_with('.')) else { continue };
        let path = format!("{PORTALS_FOLDER}/{entry}");
        let file: Arc<str> = path.replace(['\n', '\r'], "?").into();
        if !targets::is_name(name) {
            let shown: String = name.chars().take(60).filter(|letter| !letter.is_control()).collect();
            let message = format!("`{shown}` cannot be the name of a portal");
            findings.push(
                Diagnostic::error("SL1018", &file, Place::File, message)
                    .with_why("the portal's catalog and state are in folders of this name")
                    .with_help("use letters, digits, `-` and `_`, and begin with a letter or a digit"),
            );
        } else if let Some(other) = known.insert(name.to_owned(), path) {
            let message = format!("`{other}` is a file of the portal `{name}` as well");
            let finding = Diagnostic::error("SL1023", &file, Place::File, message);
            findings.push(finding.with_help("keep one of the two"));
        }
    }
    (known, findings)
}

/// Targets of syncline.yaml that have the name of a portal.
pub fn named_twice(file: &SourceFile, value: &Value, portals: &[String]) -> Vec<Diagnostic> {
    let document = yaml::to_json(value);
    let targets = document["targets"].as_object();
    let twice = portals.iter().filter(|name| targets.is_some_and(|targets| targets.contains_key(*name)));
    let finding = |name: &String| {
        let place = Place::Key(format!("/targets/{}", escape(name)));
        let message = format!("the portal `{name}` has the name of this target");
        Diagnostic::error("SL1023", &file.name, place, message)
            .with_why("`--target` could mean either, and both would have one state")
            .with_help(format!("rename one of them, or move all of it into `{PORTALS_FOLDER}/{name}.yaml`"))
    };
    twice.map(finding).collect()
}

/// A portal as read.
#[derive(Debug, Clone)]
pub struct Portal {
    /// Its file.
    pub file: SourceFile,
    /// Its content, with forms as they are written.
    pub config: PortalConfig,
    value: Value,
}

/// What putting a portal over a project has brought to light.
#[derive(Debug, Default)]
pub struct PutOver {
    /// What is wrong.
    pub findings: Vec<Diagnostic>,
    /// Secrets that stand in the portal's file: the pointer in the project that each is for, and its place in the file.
    pub literal: Vec<(String, Place)>,
}

/// Reads a portal's file; none where it is no good.
pub fn read(files: &Files, path: &str, findings: &mut Vec<Diagnostic>) -> (SourceFile, Option<Portal>) {
    let (file, value) = read::read(files, path, &path.into(), "portal");
    let value = match value {
        Ok(value) => value,
        Err(finding) => {
            findings.push(finding);
            return (file, None);
        }
    };
    hide::remember(&value);
    // What is still to be put in cannot be judged.
    let open = |place: &Place| match place {
        Place::Value(at) => file.scalars().get(at).is_some_and(|text| text.contains("${")),
        _ => false,
    };
    let config: Option<PortalConfig> = decode_but(&file, "portal", value.clone(), open, findings);
    let portal = config.map(|config| Portal { file: file.clone(), config, value });
    if let Some(portal) = &portal {
        findings.extend(portal.wrong_names());
    }
    (file, portal)
}

impl Portal {
    /// Variables whose names no form can have.
    fn wrong_names(&self) -> impl Iterator<Item = Diagnostic> + '_ {
        let named =
            |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        self.config.variables.keys().filter(move |name| !named(name)).map(|name| {
            let place = Place::Key(format!("/variables/{}", escape(name)));
            let message = format!("`{name}` cannot be the name of a variable");
            Diagnostic::error("SL1010", &self.file.name, place, message)
                .with_help("use letters, digits and `_`, as in `${NAME}`")
        })
    }

    /// Puts what the portal says over the project's document: its parts, its number, and its variables.
    pub fn put_over(&self, document: &mut Value) -> PutOver {
        let mut done = PutOver::default();
        let own = literal_secrets(&self.value);
        done.literal.extend(own.into_iter().map(|at| (at.clone(), Place::Value(at))));
        targets::put(document, &self.value);
        self.number(document, &mut done.findings);
        let before = document.clone();
        let already: BTreeSet<String> = literal_secrets(&before).into_iter().collect();
        fill(document, &self.config.variables);
        for pointer in literal_secrets(document).into_iter().filter(|pointer| !already.contains(pointer)) {
            // It became one by a variable.
            let json = yaml::to_json(&before);
            let text = json.pointer(&pointer).and_then(serde_json::Value::as_str).unwrap_or_default();
            let used = self.config.variables.keys().filter(|name| text.contains(&format!("${{{name}")));
            done.literal.extend(used.map(|name| (pointer.clone(), variable(name))));
        }
        let literal = |text: &String| !text.contains("${") && !text.trim().is_empty();
        let told: Vec<&Place> = done.literal.iter().map(|(_, place)| place).collect();
        let named = self.config.variables.iter().filter(|(name, text)| is_secret_name(name) && literal(text));
        let named: Vec<(String, Place)> = named
            .map(|(name, _)| (String::new(), variable(name)))
            .filter(|(_, place)| !told.contains(&place))
            .collect();
        done.literal.extend(named);
        done
    }

    /// Every connection to HubSpot leads to this portal.
    fn number(&self, document: &mut Value, findings: &mut Vec<Diagnostic>) {
        let number = Value::String(self.config.portal_id.0.clone());
        let Some(connections) = document.get_mut("connections").and_then(Value::as_mapping_mut) else { return };
        for (name, connection) in connections.iter_mut() {
            let name = yaml::key_text(name);
            let Some(entries) = connection.as_mapping_mut() else { continue };
            if entries.get("type").and_then(Value::as_str) != Some("hubspot") {
                continue;
            }
            let other = self.config.connections.get(&name).and_then(|over| over.portal_id.as_ref());
            if let Some(other) = other.filter(|other| **other != self.config.portal_id) {
                let place = Place::Value(format!("/connections/{}/portal_id", escape(&name)));
                let message = format!("`{}` is another portal than the `portal_id` of this file", other.0);
                let finding = Diagnostic::error("SL1024", &self.file.name, place, message);
                let finding = finding.with_why("a file in `portals` is one HubSpot portal");
                findings.push(finding.with_help("leave it out: every HubSpot connection has the portal's number"));
            }
            entries.insert("portal_id".into(), number.clone());
        }
    }
}

fn variable(name: &str) -> Place {
    Place::Value(format!("/variables/{}", escape(name)))
}

/// Puts variables in the places of their forms, wherever they stand.
fn fill(value: &mut Value, variables: &BTreeMap<String, String>) {
    match value {
        Value::String(text) if text.contains("${") => *text = filled(text, variables),
        Value::Sequence(items) => items.iter_mut().for_each(|item| fill(item, variables)),
        Value::Mapping(entries) => {
            // What other targets say is not meant.
            let entries = entries.iter_mut().filter(|(key, _)| key.as_str() != Some("targets"));
            entries.for_each(|(_, item)| fill(item, variables));
        }
        _ => {}
    }
}

/// A text in which forms that name a variable stand for its value; the others stay for what comes next.
fn filled(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut done = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, form) = rest.split_at(start);
        let Some(end) = form.find('}') else { break };
        let name = form[2..end].split(":-").next().unwrap_or_default();
        // `$${` is no form. A blank variable counts as not set, as everywhere.
        let value = variables.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        done.push_str(before);
        match value.filter(|_| !before.ends_with('$')) {
            Some(value) => done.push_str(value),
            None => done.push_str(&form[..=end]),
        }
        rest = &form[end + 1..];
    }
    done.push_str(rest);
    done
}

/// A finding about syncline.yaml, moved to the portal's file where that says what it is about.
pub fn at_home(mut finding: Diagnostic, portal: &SourceFile) -> Diagnostic {
    let moved = match &finding.place {
        Place::Key(at) | Place::Value(at) if &*finding.file == PROJECT_FILE => {
            let told = ["/connections/", "/alerts/"].iter().any(|part| at.starts_with(part)) || at == "/state";
            let stands = told && portal.spans().value(at).is_some();
            // The portal's number is put into each connection.
            let number = at.starts_with("/connections/") && at.ends_with("/portal_id");
            match (stands, number) {
                (true, _) => Some(finding.place.clone()),
                (false, true) => Some(Place::Value("/portal_id".to_owned())),
                (false, false) => None,
            }
        }
        _ => None,
    };
    if let Some(place) = moved {
        finding.file = Arc::clone(&portal.name);
        finding.place = place;
    }
    finding
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_stand_for_their_values_and_other_forms_stay() {
        let variables = [("ORG", "acme"), ("KEY", "${secret:acme-key}"), ("BLANK", " ")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        for (text, expected) in [
            ("https://${ORG}.my.salesforce.com", "https://acme.my.salesforce.com"),
            ("${ORG}-${ORG:-other}", "acme-acme"),
            ("${KEY}", "${secret:acme-key}"),
            ("${OTHER} ${BLANK:-x} $${ORG} ${ORG", "${OTHER} ${BLANK:-x} $${ORG} ${ORG"),
            ("${file:${ORG}}", "${file:${ORG}}"),
            ("plain", "plain"),
        ] {
            assert_eq!(filled(text, &variables), expected);
        }
    }
}
