//! `init`: the files of a new project.

use std::fs;
use std::path::Path;

use crate::config::schema;
use crate::model::program;
use crate::project::error::OpsError;
use crate::sys::files::{self, Readers};
use crate::sys::git::Repository;

/// Largest file that is added to, in bytes.
/// A .gitignore of more than a megabyte is something else.
const FILE_BYTES_MAX: u64 = 1 << 20;

const PROJECT: &str = include_str!("init/syncline.yaml");
const PIPELINE: &str = include_str!("init/pipelines/README.md");
const IGNORE: &str = ".syncline/\n.env\n";
const SETTINGS: &str = include_str!("init/settings.json");
const WORKFLOW: &str = include_str!("init/workflow.yml");

/// Where the forge looks for workflows, below the root of the repository.
const WORKFLOWS: &str = ".github/workflows";

/// What `init` did.
#[derive(Debug, Default)]
pub struct Made {
    /// Files that it wrote, or added to, relative to the project.
    pub written: Vec<String>,
    /// Files that were there and were left alone.
    pub kept: Vec<String>,
    /// Files that it could not make, each with the reason.
    pub left_out: Vec<String>,
}

/// Writes the files of a new project. Files that exist are kept, but a project is never made twice, and the state is always
/// kept out of git.
pub fn init(folder: &Path) -> Result<Made, OpsError> {
    let file = folder.join("syncline.yaml");
    // Also a link that leads nowhere: it would be written through.
    if file.symlink_metadata().is_ok() {
        let message = format!("`{}` already exists", file.display());
        return Err(OpsError::refused("SL1013", message, "name another folder, or see `syncline status` for this one"));
    }
    let mut files = vec![
        ("syncline.yaml".to_owned(), PROJECT.to_owned()),
        ("pipelines/README.md".to_owned(), PIPELINE.to_owned()),
        (".gitignore".to_owned(), IGNORE.to_owned()),
        (".vscode/settings.json".to_owned(), SETTINGS.to_owned()),
    ];
    let mut made = Made::default();
    fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
    match workflow(&below(folder)) {
        Some(file) => files.push(file),
        None => made.left_out.push(format!("{WORKFLOWS}/: the folder's name cannot stand in a workflow")),
    }
    for name in schema::NAMES {
        files.push((format!("schemas/{name}.schema.json"), schema::text(name).unwrap_or_default()));
    }
    for (name, text) in files {
        let path = folder.join(&name);
        let read = || String::from_utf8(files::read_below(folder, &name, FILE_BYTES_MAX).ok()?).ok();
        let before = read();
        let whole = match before {
            // The only file that is added to: without these lines, the state and the secrets could be committed.
            Some(before) if text == IGNORE && !missing(&before).is_empty() => {
                format!("{}\n{}", before.trim_end(), missing(&before)).trim_start().to_owned()
            }
            // What a person has made is never replaced.
            _ if path.symlink_metadata().is_ok() => {
                made.kept.push(name);
                continue;
            }
            _ => text,
        };
        let write = || -> std::io::Result<()> {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            files::replace(&path, whole.as_bytes(), Readers::Usual)
        };
        write().map_err(|error| unwritable(&path, &error))?;
        made.written.push(name);
    }
    Ok(made)
}

fn unwritable(path: &Path, error: &std::io::Error) -> OpsError {
    OpsError::refused("SL6008", format!("`{}` cannot be written: {error}", path.display()), "choose another folder")
}

/// The folder's path below the root of its repository, without a `/` at its end. Empty at the root, and where no repository is.
fn below(folder: &Path) -> String {
    let prefix = Repository::find(folder).map(|repository| repository.prefix().to_owned()).unwrap_or_default();
    prefix.trim_end_matches('/').to_owned()
}

/// The workflow of a project in this folder of its repository: the file's name relative to the project, and its text. None
/// where the folder's name would mean something else in a workflow.
fn workflow(below: &str) -> Option<(String, String)> {
    // It would be an expression of the workflow, run with its rights.
    if below.contains("${{") || below.chars().any(char::is_control) {
        return None;
    }
    // Workflows count at the root of a repository only, so a project further down gets a file of its own there.
    let (file, up) = match below {
        "" => ("syncline.yml".to_owned(), String::new()),
        _ => (format!("syncline-{}.yml", below.replace('/', "-")), "../".repeat(below.split('/').count())),
    };
    let (name, mark, folder) = match below {
        "" => ("syncline".to_owned(), "<!-- syncline -->".to_owned(), "."),
        _ => (format!("syncline {below}"), format!("<!-- syncline {below} -->"), below),
    };
    let paths = if below.is_empty() { String::new() } else { format!("{}/", pattern(below)) };
    let place = if below.is_empty() { String::new() } else { format!("{below}/") };
    let mut text = WORKFLOW.to_owned();
    for (place, value) in [
        ("@name@", &*name),
        ("@paths@", &*paths),
        ("@place@", &*place),
        ("@file@", &*pattern(&file)),
        ("@folder@", folder),
        ("@action@", &*program::action()),
        ("@version@", program::VERSION),
        ("@mark@", &*mark),
    ] {
        // All of them stand in single quotes, but the action, which has none of what would need them.
        // YAML's way to write a quote within single quotes.
        text = text.replace(place, &value.replace('\'', "''"));
    }
    Some((format!("{up}{WORKFLOWS}/{file}"), text))
}

/// A path as a pattern that only this path matches.
fn pattern(path: &str) -> String {
    let mut pattern = String::new();
    for letter in path.chars() {
        if "*?+[]!\\".contains(letter) {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}

/// The lines that a .gitignore still needs: the state and the variables of the computer stay out of git.
fn missing(text: &str) -> String {
    // `/.syncline` and `.syncline/` ignore the same folder.
    let has = |name: &str| text.lines().any(|line| line.trim().trim_matches('/') == name.trim_matches('/'));
    IGNORE.lines().filter(|line| !has(line)).map(|line| format!("{line}\n")).collect()
}
