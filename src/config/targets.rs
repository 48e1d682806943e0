//! The targets of a project (dev, prod …): which one is meant, and what it says put over the rest of syncline.yaml.

use serde_yaml::Value;

use super::env::{Variables, process_variables};
use super::read::SourceFile;
use super::yaml::{self, escape};
use crate::diagnostic::nearest::nearest;
use crate::diagnostic::{Diagnostic, Place};

/// The variable that chooses a target; `--target` says the same and comes first.
pub const VARIABLE: &str = "SYNCLINE_TARGET";

/// Most targets that a message names.
const NAMED_MAX: usize = 20;

/// Longest name of a target, in bytes: it names folders.
const NAME_BYTES_MAX: usize = 64;

/// The environment of the process, in which `--target` says more than the variable.
pub fn with_target(target: Option<String>) -> impl Fn(&str) -> Option<String> {
    move |name| match &target {
        Some(target) if name == VARIABLE => Some(target.clone()),
        _ => process_variables(name),
    }
}

/// The environment of the process for a project that has no targets, whatever is chosen elsewhere.
pub fn without_target(name: &str) -> Option<String> {
    if name == VARIABLE { None } else { process_variables(name) }
}

/// The target that is meant: the one that is asked for, else the file's default, else none.
///
/// Errors: there is no such target; its name cannot name a folder.
pub fn chosen(
    file: &SourceFile,
    value: &Value,
    variables: Variables<'_>,
    portals: &[String],
) -> Result<Option<String>, Box<Diagnostic>> {
    let document = yaml::to_json(value);
    // An empty variable counts as not set, as everywhere.
    let asked = variables(VARIABLE).map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    let default = document["default_target"].as_str().map(str::to_owned);
    let by_default = asked.is_none();
    let Some(name) = asked.or(default) else { return Ok(None) };
    let targets = document["targets"].as_object();
    let mut known: Vec<&str> = targets.into_iter().flat_map(|targets| targets.keys().map(String::as_str)).collect();
    known.extend(portals.iter().map(String::as_str));
    if known.contains(&name.as_str()) {
        return if is_name(&name) { Ok(Some(name)) } else { Err(Box::new(no_name(file, &name))) };
    }
    // The caret stands where the wrong name does, or where a right one would.
    let place = match by_default {
        true => Place::Value("/default_target".to_owned()),
        false => Place::Key("/targets".to_owned()),
    };
    let shown: String = name.chars().take(NAME_BYTES_MAX).collect();
    let finding = Diagnostic::error("SL1018", &file.name, place, format!("there is no target `{shown}`"));
    let near = nearest(&name, known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
    let help = match (near, &known[..]) {
        (Some(near), _) => near,
        (None, []) => "the project has no targets: add it under `targets`, or choose none".to_owned(),
        (None, known) => {
            let named: Vec<String> = known.iter().take(NAMED_MAX).map(|name| format!("`{name}`")).collect();
            let more = known.len().saturating_sub(NAMED_MAX);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("targets are: {}{more}; `--target` or `{VARIABLE}` names one", named.join(", "))
        }
    };
    Err(Box::new(finding.with_help(help)))
}

/// Findings about the names of all targets.
pub fn check_names(file: &SourceFile, value: &Value) -> Vec<Diagnostic> {
    let document = yaml::to_json(value);
    let names = document["targets"].as_object().into_iter().flat_map(|targets| targets.keys());
    names.filter(|name| !is_name(name)).map(|name| no_name(file, name)).collect()
}

/// Names stand in commands, in variables and in names of files, so that only safe signs are taken.
pub fn is_name(name: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    name.len() <= NAME_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(inside)
}

fn no_name(file: &SourceFile, name: &str) -> Diagnostic {
    let place = Place::Key(format!("/targets/{}", escape(name)));
    let shown: String = name.chars().take(NAME_BYTES_MAX).collect();
    Diagnostic::error("SL1018", &file.name, place, format!("`{shown}` cannot be the name of a target"))
        .with_why("the target's catalog and state are in folders of this name")
        .with_help("use letters, digits, `-` and `_`, and begin with a letter or a digit")
}

/// The pointer of a target's own part of the file.
pub fn pointer(target: &str) -> String {
    format!("/targets/{}", escape(target))
}

/// Puts what a target says over the rest of the document: key by key in each connection, `auth` and lists as a whole. A connection of
/// another `type` takes the place of the one before.
pub fn apply(document: &mut Value, target: &str) {
    let Some(over) = document.get("targets").and_then(|targets| targets.get(target)).cloned() else { return };
    put(document, &over);
}

/// The same for what stands elsewhere.
pub fn put(document: &mut Value, over: &Value) {
    // What else a target says (its guard) is no part of the rest of the file.
    for key in ["connections", "state", "alerts"] {
        let (Some(over), Some(entries)) = (over.get(key), document.as_mapping_mut()) else { continue };
        match entries.get_mut(key) {
            Some(base) => put_over(base, over, key),
            None => drop(entries.insert(key.into(), over.clone())),
        }
    }
}

fn put_over(base: &mut Value, over: &Value, key: &str) {
    // Keys of one kind of connection mean nothing in another.
    let other_type = over.get("type").is_some_and(|kind| base.get("type").is_some_and(|before| before != kind));
    match (base, over) {
        // A login by another way must not keep half of the first one's keys.
        (Value::Mapping(base), Value::Mapping(over)) if key != "auth" && !other_type => {
            // A token and a login are two ways: the one that is named here replaces the other.
            for (one, other) in [("access_token", "auth"), ("auth", "access_token")] {
                if over.contains_key(one) && !over.contains_key(other) {
                    base.remove(other);
                }
            }
            for (key, value) in over {
                match base.get_mut(key) {
                    Some(before) => put_over(before, value, &yaml::key_text(key)),
                    None => drop(base.insert(key.clone(), value.clone())),
                }
            }
        }
        (base, over) => *base = over.clone(),
    }
}

/// The state of a target that names none: a folder of its name beside that of the project.
pub fn state_of(state: &str, target: &str) -> String {
    // In a database it is known by its name, and what is still to be put in cannot be parted.
    if !state.starts_with("sqlite:") {
        return state.to_owned();
    }
    let (kind, path) = state.split_once(':').unwrap_or(("sqlite", state));
    match path.rsplit_once('/') {
        Some((folder, file)) => format!("{kind}:{folder}/{target}/{file}"),
        None => format!("{kind}:{target}/{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(document: &str, expected: &str) {
        let mut value: Value = serde_yaml::from_str(document).unwrap();
        apply(&mut value, "prod");
        value.as_mapping_mut().unwrap().remove("targets");
        assert_eq!(value, serde_yaml::from_str::<Value>(expected).unwrap());
    }

    #[test]
    fn a_target_is_put_over_the_rest_key_by_key() {
        let base = "connections: {h: {type: hubspot, access_token: a, base_url: u}}";
        check(
            &format!("{base}\ntargets: {{prod: {{connections: {{h: {{access_token: b}}}}}}, dev: {{state: x}}}}"),
            "connections: {h: {type: hubspot, access_token: b, base_url: u}}",
        );
        check(
            &format!("{base}\ntargets: {{prod: {{state: s, connections: {{i: {{type: hubspot}}}}}}}}"),
            "connections: {h: {type: hubspot, access_token: a, base_url: u}, i: {type: hubspot}}\nstate: s",
        );
        check("connections: {}\ntargets: {prod: {}}", "connections: {}");
    }

    #[test]
    fn a_way_to_log_in_and_a_connection_of_another_type_are_replaced_whole() {
        let base = "connections: {h: {type: hubspot, access_token: a, base_url: u}}";
        check(
            "connections: {s: {auth: {jwt: {client_id: a, username: b}}}}\ntargets: {prod: {connections: {s: {auth: {jwt: {client_id: c}}}}}}",
            "connections: {s: {auth: {jwt: {client_id: c}}}}",
        );
        check(
            &format!("{base}\ntargets: {{prod: {{connections: {{h: {{auth: {{login: {{client_id: i}}}}}}}}}}}}"),
            "connections: {h: {type: hubspot, base_url: u, auth: {login: {client_id: i}}}}",
        );
        check(
            "connections: {h: {type: hubspot, auth: {login: {client_id: i}}}}\ntargets: {prod: {connections: {h: {access_token: b}}}}",
            "connections: {h: {type: hubspot, access_token: b}}",
        );
        check(
            "connections: {s: {type: salesforce, login_url: u}}\ntargets: {prod: {connections: {s: {type: hubspot, access_token: t}}}}",
            "connections: {s: {type: hubspot, access_token: t}}",
        );
        check("alerts: [{type: slack}]\ntargets: {prod: {alerts: []}}", "alerts: []");
    }

    #[test]
    fn a_target_has_a_state_of_its_own() {
        for (state, expected) in [
            ("sqlite:.syncline/state.db", "sqlite:.syncline/prod/state.db"),
            ("sqlite:state.db", "sqlite:prod/state.db"),
            ("sqlite:/var/lib/syncline/state.db", "sqlite:/var/lib/syncline/prod/state.db"),
            ("postgres://db/crm?state=eu", "postgres://db/crm?state=eu"),
            ("${secret:STATE}", "${secret:STATE}"),
        ] {
            assert_eq!(state_of(state, "prod"), expected);
        }
    }

    #[test]
    fn names_name_folders() {
        for (name, expected) in [
            ("prod", true),
            ("eu-1_a", true),
            ("", false),
            ("../x", false),
            (".x", false),
            ("-x", false),
            ("a b", false),
            ("ä", false),
        ] {
            assert_eq!(is_name(name), expected, "{name}");
        }
        assert!(!is_name(&"a".repeat(65)));
    }
}
