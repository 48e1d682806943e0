//! What parts of the program cost in instructions, as `valgrind` counts them: the same on each run, whatever else the machine does.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// Parts of an import, by what the names of their functions have in them; each counts with all that it calls.
pub(crate) const IMPORT: [Part; 10] = [
    ("rows out of CSV", &["syncline::connect::salesforce::bulk::OpenPage", "syncline::connect::salesforce::csv::"]),
    ("mapping, its hashes included", &["syncline::pipeline::"]),
    ("hashes", &["ring::digest::", "syncline::model::hash::"]),
    ("bodies of calls", &["syncline::connect::hubspot::api::Call::post", "syncline::connect::hubspot::bodies::"]),
    ("answers", &["as syncline::connect::hubspot::wire::Answer>::read"]),
    ("associations, their calls included", &["syncline::stages::write::association_batch::"]),
    ("commits to the state", &["syncline::state::commit::"]),
    ("reads of the state", &["syncline::state::writer::at_one_moment"]),
    ("rate limit", &["syncline::connect::http::limiter::", "syncline::connect::http::ring::"]),
    ("SOQL", &["syncline::connect::salesforce::soql::"]),
];

/// Parts of `validate`.
pub(crate) const FILES: [Part; 4] = [
    (
        "YAML",
        &[
            "syncline::config::compose::",
            "syncline::config::typed::",
            "syncline::config::expected::",
            "saphyr_parser::",
        ],
    ),
    ("its schema", &["jsonschema::", "syncline::config::schema::"]),
    ("rules", &["syncline::pipeline::rules::", "syncline::config::rules::"]),
    ("catalog", &["syncline::catalog::"]),
];

/// A part, and what the names of its functions have in them.
pub(crate) type Part = (&'static str, &'static [&'static str]);

/// A program under the tool, if the tool is there.
pub(crate) fn under(program: &Path, counts: &Path) -> Option<Command> {
    let there = Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success());
    there.then(|| {
        let mut command = Command::new("valgrind");
        command.args(["--quiet", "--tool=callgrind", "--compress-strings=no", "--compress-pos=no"]);
        command.arg(format!("--callgrind-out-file={}", counts.display())).arg(program);
        command
    })
}

/// Instructions of a run, by function: its own, and with all that it calls by who calls it.
#[derive(Default)]
pub(crate) struct Profile {
    own: HashMap<String, u64>,
    /// Caller, called, and what the calls cost.
    calls: Vec<(String, String, u64)>,
}

impl Profile {
    /// What the tool wrote.
    pub(crate) fn read(counts: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(counts)?;
        let (mut profile, mut caller, mut called) = (Self::default(), String::new(), None::<String>);
        let mut is_call = false;
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("fn=") {
                name.clone_into(&mut caller);
            } else if let Some(name) = line.strip_prefix("cfn=") {
                called = Some(name.to_owned());
            } else if line.starts_with("calls=") {
                is_call = true;
            } else if line.starts_with(|first: char| first.is_ascii_digit()) {
                let cost =
                    line.split(' ').nth(1).and_then(|cost| cost.parse().ok()).context("a line without a cost")?;
                match called.take().filter(|_| std::mem::take(&mut is_call)) {
                    Some(called) => profile.calls.push((caller.clone(), called, cost)),
                    None => *profile.own.entry(caller.clone()).or_default() += cost,
                }
            }
        }
        ensure!(!profile.own.is_empty(), "the tool counted nothing");
        Ok(profile)
    }

    /// All instructions.
    pub(crate) fn total(&self) -> u64 {
        self.own.values().sum()
    }

    /// Those of functions with such names, with all that they call: what is called from outside of them.
    fn of(&self, names: &[&str]) -> u64 {
        let is_part = |name: &str| names.iter().any(|part| name.contains(part));
        let from_outside = self.calls.iter().filter(|(caller, called, _)| is_part(called) && !is_part(caller));
        from_outside.map(|(.., cost)| cost).sum()
    }

    /// The functions that cost most by themselves, as `NAME` and instructions.
    fn dearest(&self) -> Vec<(&str, u64)> {
        let mut all: Vec<(&str, u64)> = self.own.iter().map(|(name, cost)| (name.as_str(), *cost)).collect();
        all.sort_by_key(|(name, cost)| (std::cmp::Reverse(*cost), *name));
        all
    }
}

/// Tells what one more costs, from runs with fewer and with more of them, and what is done once.
pub(crate) fn tell(
    name: &str,
    of_one: &str,
    parts: &[Part],
    (few, fewer): &(usize, Profile),
    (many, more): &(usize, Profile),
) {
    let each = |fewer: u64, more: u64| more.saturating_sub(fewer) as f64 / (many - few) as f64;
    let row = |part: &str, fewer: u64, more: u64| {
        let each = each(fewer, more);
        println!("{part:<44} {each:>9.0} {:>11.0}", (fewer as f64 - each * *few as f64).max(0.0));
    };
    println!("{name}: instructions {of_one}, and once; from runs with {few} and {many}");
    row("all", fewer.total(), more.total());
    parts.iter().for_each(|(part, names)| row(part, fewer.of(names), more.of(names)));
    println!("functions that cost most by themselves:");
    for (name, cost) in more.dearest().into_iter().take(25) {
        let before = fewer.own.get(name).copied().unwrap_or_default();
        let name: String = name.chars().take(90).collect();
        println!("  {name:<90} {:>9.0}", each(before, cost));
    }
    println!();
}
