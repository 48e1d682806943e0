//! What a command prints as JSON, against its schema: no member is missing, and none is there that the schema does not tell of.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use jsonschema::Validator;
use serde_json::{Value, json};
use syncline::ops::schemas;

/// The schema of what a command line prints as JSON; none where it prints none.
pub(crate) fn schema_of(arguments: &[&str]) -> Option<&'static str> {
    let in_json = arguments.windows(2).any(|pair| pair == ["--format", "json"]);
    let words: Vec<&str> = arguments.iter().copied().filter(|word| !word.starts_with('-') && *word != "json").collect();
    let has = |flag: &str| arguments.contains(&flag);
    let schema = match *words.first()? {
        "plan" => "plan",
        "diff" if has("--records") => "plan",
        "diff" => "diff",
        "import" | "apply" => "report",
        "sync" if has("--once") => "report",
        "status" => "status",
        "runs" if has("--pipeline") || has("--limit") || words.len() == 1 => "runs",
        "runs" => "run",
        "failures" if has("retry") || has("dismiss") => "failures-marked",
        "failures" => "failures",
        "why" => "why",
        "alerts" => "alerts-test",
        "validate" => "validate",
        "test" => "test",
        "discover" if words.len() > 1 => "discover-object",
        "discover" => "discover",
        "catalog" => "catalog-pull",
        "deploy" if has("--list") => "deployments",
        "deploy" => "deploy",
        "doctor" => "doctor",
        "state" => "state",
        _ => return None,
    };
    in_json.then_some(schema)
}

/// Demands that what a command printed fits its schema.
#[track_caller]
pub(crate) fn check(arguments: &[&str], printed: &str) {
    static VALIDATORS: LazyLock<Mutex<HashMap<&'static str, &'static Validator>>> = LazyLock::new(Mutex::default);
    let Some(name) = schema_of(arguments) else { return };
    // A command line that is not understood, or a run that was killed, prints nothing.
    let Ok(value) = serde_json::from_str::<Value>(printed) else { return };
    let validator = *VALIDATORS.lock().unwrap().entry(name).or_insert_with(|| {
        let mut schema = schemas::value(name).unwrap();
        close(&mut schema);
        Box::leak(Box::new(jsonschema::validator_for(&schema).unwrap()))
    });
    if validator.is_valid(&value) {
        return;
    }
    let errors: Vec<String> =
        validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    panic!("{arguments:?} does not fit the schema `{name}`: {errors:#?}\n{printed}");
}

/// Lets objects hold only what the schema tells of.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.contains_key("properties") && !members.contains_key("additionalProperties") {
                members.insert("additionalProperties".to_owned(), json!(false));
            }
            members.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}
