//! Names the commit that the program is built from, for `syncline --version`.
//!
//! A build for development has none: each commit would build everything anew. A release, and a copy of the sources outside of git, do.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// The commit, where whoever builds knows better: its full name.
const GIVEN: &str = "SYNCLINE_COMMIT";

/// What `cargo package` writes beside the sources.
const PACKAGED: &str = ".cargo_vcs_info.json";

/// What the program is made of. A change of it is looked for again.
const SOURCES: [&str; 6] = ["src", "docs/errors", "pipelines", "build.rs", "Cargo.toml", "Cargo.lock"];

fn main() {
    println!("cargo::rerun-if-env-changed={GIVEN}");
    println!("cargo::rerun-if-changed=build.rs");
    let built_from = match env::var_os(GIVEN).filter(|given| !given.is_empty()) {
        Some(given) => given.into_string().ok().filter(|given| is_commit(given)).or_else(|| {
            println!("cargo::error={GIVEN} is not the full name of a commit: 40 or 64 digits from 0 to f");
            None
        }),
        None => packaged().or_else(checked_out),
    };
    if let Some(built_from) = built_from {
        println!("cargo::rustc-env=SYNCLINE_BUILT_FROM={built_from}");
    }
}

/// The commit of a package, as cargo wrote it down.
fn packaged() -> Option<String> {
    let text = fs::read_to_string(PACKAGED).ok()?;
    let after = text.split("\"sha1\"").nth(1)?;
    let commit = after.split('"').nth(1)?;
    let changed =
        text.split("\"dirty\"").nth(1).is_some_and(|after| after.trim_start_matches([' ', ':']).starts_with("true"));
    is_commit(commit).then(|| named(commit, changed))
}

/// The commit that is checked out, in a build that is given out.
fn checked_out() -> Option<String> {
    if env::var_os("PROFILE")? != "release" {
        return None;
    }
    // Not that of a repository which only holds a copy of these sources.
    if !git(&["rev-parse", "--show-prefix"])?.is_empty() {
        return None;
    }
    let commit = git(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])?;
    let history = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    for path in SOURCES.iter().copied().chain([history.as_str()]).filter(|path| Path::new(path).exists()) {
        println!("cargo::rerun-if-changed={path}");
    }
    let mut arguments = vec!["status", "--porcelain", "--"];
    arguments.extend(SOURCES);
    let changed = git(&arguments).is_none_or(|changes| !changes.is_empty());
    is_commit(&commit).then(|| named(&commit, changed))
}

/// What git says, without the line break at its end; none where there is no git, or no repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

fn named(commit: &str, changed: bool) -> String {
    if changed { format!("{commit}+changes") } else { commit.to_owned() }
}

fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
