//! What the documents show works: the README's commands run, every YAML block is valid, every link leads somewhere.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser;
use clap::error::ErrorKind;
use serde_json::Value;
use syncline::cli::args::Arguments;
use syncline::config::schema;
use syncline::pipeline::condition;
use syncline::pipeline::template::Template;
use tempfile::TempDir;

use crate::support::ended;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All documents.
fn documents() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root().join(name)).into();
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The fenced blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let pieces = text.split(fence.as_str()).skip(1);
    pieces.map(|piece| piece.split("\n```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_tour_of_the_readme_runs() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let tour = readme.split("## A five-minute tour").nth(1).unwrap().split("\n## ").next().unwrap();
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("pipelines")).unwrap();
    for name in ["subscriptions.yaml", "subscriptions.test.yaml", "work_orders.yaml", "work_orders.test.yaml"] {
        fs::copy(root().join("pipelines").join(name), folder.path().join("pipelines").join(name)).unwrap();
    }
    // Outside the range from which others are given free ports.
    let seed = u16::try_from(std::process::id() % 10_000).unwrap();
    let mut ports = (0..100).map(|step| 20_000 + (seed + step * 97) % 10_000);
    let port = ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap();
    let lines: Vec<String> =
        blocks(tour, "sh").iter().flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    assert!(lines.len() > 12, "{lines:?}");
    // The program is built already; job control makes `%1` work outside a terminal.
    let lines = lines.into_iter().filter(|line| !line.starts_with("cargo build"));
    let script = lines.collect::<Vec<_>>().join("\n").replace("8090", &port.to_string());
    let script =
        format!("set -euo pipefail -m\ntrap 'kill %1 2>/dev/null || true' EXIT\n{script}\ntrap - EXIT\nwait || true\n");
    let binaries = Path::new(env!("CARGO_BIN_EXE_syncline")).parent().unwrap().to_owned();
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", binaries.display());
    let mut command = Command::new("bash");
    command.args(["-c", &script]).current_dir(folder.path()).env("PATH", path).env("NO_COLOR", "1");
    let ran = ended(command.output().unwrap());
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.stdout, ran.stderr);
    for part in ["what `import` would do", "import subscriptions: partial", "amount: ", "1 updated", "data as of"] {
        assert!(ran.stdout.contains(part), "`{part}` is not in:\n{}", ran.stdout);
    }
    // What the README shows of the last change is what was printed.
    let review =
        readme.split("## A mapping change, reviewed by its effect").nth(1).unwrap().split("\n## ").next().unwrap();
    let shown = blocks(review, "text").concat();
    assert!(shown.lines().count() > 10, "{shown}");
    for line in shown.lines().filter(|line| !line.is_empty()) {
        assert!(ran.stdout.lines().any(|printed| printed == line), "`{line}` is not in:\n{}", ran.stdout);
    }
}

/// What is wrong with a YAML text by the schema that its keys ask for.
fn violations(text: &str) -> Vec<String> {
    let value: Value = match serde_yaml::from_str(text) {
        Ok(value) => value,
        Err(error) => return vec![error.to_string()],
    };
    if let Some(repositories) = value.get("repos") {
        return unknown_hooks(repositories);
    }
    if value.get("steps").is_some() {
        // A part of a workflow: what it runs is looked at with all other commands.
        return Vec::new();
    }
    let name = match (value.get("connections").is_some(), value.get("tests").is_some()) {
        _ if value.get("portal_id").is_some() => "portal",
        (true, _) => "project",
        (_, true) => "pipeline-test",
        _ => "pipeline",
    };
    let schema = schema::value(name).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// Hooks of a pre-commit configuration that this repository does not define.
fn unknown_hooks(repositories: &Value) -> Vec<String> {
    let defined = fs::read_to_string(root().join(".pre-commit-hooks.yaml")).unwrap();
    let defined: Value = serde_yaml::from_str(&defined).unwrap();
    let known: Vec<&Value> = defined.as_array().unwrap().iter().map(|hook| &hook["id"]).collect();
    let used = repositories.as_array().unwrap().iter().flat_map(|repository| repository["hooks"].as_array().unwrap());
    used.map(|hook| &hook["id"]).filter(|id| !known.contains(id)).map(|id| format!("no hook {id}")).collect()
}

#[test]
fn every_yaml_that_is_shown_is_valid() {
    let mut checked = 0;
    for path in documents() {
        for block in blocks(&fs::read_to_string(&path).unwrap(), "yaml") {
            // A part of a file is shown with a fence of its own, `yml`.
            checked += 1;
            let wrong = violations(&block);
            assert!(wrong.is_empty(), "{}: {wrong:?}\n{block}", path.display());
        }
    }
    for entry in fs::read_dir(root().join("pipelines")).unwrap() {
        let path = entry.unwrap().path();
        checked += 1;
        let wrong = violations(&fs::read_to_string(&path).unwrap());
        assert!(wrong.is_empty(), "{}: {wrong:?}", path.display());
    }
    assert!(checked >= 3, "only {checked} were found");
}

#[test]
fn parts_of_files_that_are_shown_fit_in_their_place() {
    // Each `yml` block is some top-level keys of a pipeline; the rest is that of a small one.
    let base = "version: 1\nname: part\nsource: { object: Part__c }\ntarget: { object: parts, match: salesforce_id }\nfields: [{ from: Name, to: name }]\non_delete: keep\n";
    let mut checked = 0;
    for path in documents() {
        for block in blocks(&fs::read_to_string(&path).unwrap(), "yml") {
            let mut whole: Value = serde_yaml::from_str(base).unwrap();
            let part: Value = serde_yaml::from_str(&block).unwrap();
            whole.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
            let wrong = violations(&serde_yaml::to_string(&whole).unwrap());
            assert!(wrong.is_empty(), "{}: {wrong:?}\n{block}", path.display());
            expressions_compile(&whole, &path);
            checked += 1;
        }
    }
    assert!(checked >= 6, "only {checked} were found");
}

/// Templates and conditions that are shown are ones.
#[track_caller]
fn expressions_compile(whole: &Value, path: &Path) {
    for template in whole["fields"].as_array().into_iter().flatten().filter_map(|field| field["template"].as_str()) {
        let read = Template::read(template).unwrap_or_else(|error| panic!("{}: {error:?}", path.display()));
        assert_eq!(read.check(&[]), [], "{}: {template}", path.display());
    }
    if let Some(condition) = whole["source"]["where"].as_str() {
        assert!(condition::parser::parse(condition).is_ok(), "{}: {condition}", path.display());
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") || target.starts_with('#') {
                continue;
            }
            let file = path.parent().unwrap().join(target.split('#').next().unwrap());
            assert!(file.exists(), "{} links to {target}", path.display());
        }
    }
}

#[test]
fn documents_name_only_codes_that_exist() {
    let codes = crate::generated::pages();
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        for piece in text.split("SL").skip(1) {
            let digits: String = piece.chars().take_while(char::is_ascii_digit).collect();
            if digits.len() == 4 {
                assert!(codes.contains(&format!("SL{digits}")), "{}: SL{digits}", path.display());
            }
        }
    }
}

/// The calls of `syncline` in a document: lines of its `sh` blocks and of workflows, and pieces in backquotes. What may be left
/// away (`[NAME…]`) is left away.
fn calls(text: &str) -> Vec<String> {
    let shell = blocks(text, "sh").into_iter().chain(blocks(text, "yaml")).collect::<Vec<_>>().join("\n");
    let lines = shell.lines().map(|line| line.trim_start().trim_start_matches("- run: "));
    // Odd pieces are code; a fence is three backquotes, and leaves the count even.
    let inline = text.split('`').skip(1).step_by(2).filter(|piece| !piece.contains('\n'));
    let all = lines.chain(inline).filter(|line| line.starts_with("syncline "));
    let ends = [" #", " &", " |", " >", " <", ";"];
    all.map(|line| ends.iter().fold(line, |line, end| line.split(end).next().unwrap()))
        .map(|line| line.split('[').map(|part| part.split(']').next_back().unwrap()).collect::<String>())
        .filter(|line| !line.contains('…'))
        .collect()
}

#[test]
fn documents_name_only_commands_and_flags_that_exist() {
    let mut checked = 0;
    for path in documents() {
        for call in calls(&fs::read_to_string(&path).unwrap()) {
            // Where a place is held for a value, any value does.
            let words = call.split_whitespace().map(|word| match word.trim_matches(['"', '\'', ',']) {
                "SHELL" => "bash",
                "N" => "1",
                // A name of a schema, or any other.
                "NAME" => "pipeline",
                word => word,
            });
            let words: Vec<&str> = words.collect();
            if let Err(error) = Arguments::try_parse_from(&words) {
                let fine = [ErrorKind::DisplayHelp, ErrorKind::DisplayVersion];
                // `syncline schema NAME` and `syncline catalog` stand for what follows them.
                let short = [ErrorKind::MissingRequiredArgument, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand];
                let known = fine.contains(&error.kind()) || short.contains(&error.kind());
                assert!(known, "{}: `{call}`: {error}", path.display());
            }
            checked += 1;
        }
    }
    assert!(checked > 100, "only {checked} were found");
}
