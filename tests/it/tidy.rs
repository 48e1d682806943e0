//! The house rules that a machine can check: who may use whom, a header in each file, a page and a case for each code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::uses;
use crate::{config_cases, generated};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below a folder, with their text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found.sort();
    found
}

/// The module table of ARCHITECTURE.md: who may use whom.
fn law() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let rows = text.lines().skip_while(|line| !line.starts_with("| module |")).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let names = cells[2].split(',').map(|name| name.trim().to_owned()).filter(|name| name != "-");
        (cells[0].to_owned(), names.collect())
    };
    rows.map(row).collect()
}

#[test]
fn modules_use_only_what_the_table_allows() {
    let law = law();
    let declared = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let declared: BTreeSet<String> = declared
        .lines()
        .filter_map(|line| Some(line.strip_prefix("pub mod ")?.trim_end_matches(';').to_owned()))
        .collect();
    assert_eq!(law.keys().cloned().collect::<BTreeSet<_>>(), declared, "the table and src/lib.rs name other modules");
    let mut breaches = Vec::new();
    for (path, text) in sources("src") {
        let relative = path.strip_prefix(root().join("src")).unwrap();
        let module = relative.iter().next().unwrap().to_string_lossy().trim_end_matches(".rs").to_owned();
        let Some(allowed) = law.get(&module) else { continue };
        // A file's own tests may use more, a seeded chance for example.
        let product = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        for used in crate_paths(product) {
            if used != module && !allowed.contains(&used) {
                breaches.push(format!("{} uses crate::{used}", relative.display()));
            }
        }
        let other = match relative.iter().nth(1).and_then(|name| name.to_str()) {
            Some("salesforce") if module == "connect" => "connect::hubspot",
            Some("hubspot") if module == "connect" => "connect::salesforce",
            _ => continue,
        };
        if text.contains(other) {
            breaches.push(format!("{} uses crate::{other}", relative.display()));
        }
    }
    assert!(breaches.is_empty(), "{breaches:#?}");
}

/// The first name after each `crate::`.
fn crate_paths(text: &str) -> BTreeSet<String> {
    let paths = text.split("crate::").skip(1);
    let name = |path: &str| {
        path.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').next().map(str::to_owned)
    };
    paths.filter_map(name).filter(|name| !name.is_empty()).collect()
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let circles: Vec<String> = uses::circles(&uses::of_files(&root().join("src"), &sources("src")))
        .iter()
        .map(|circle| format!("{} -> {}", circle.join(" -> "), circle[0]))
        .collect();
    assert!(circles.is_empty(), "each circle hides something that wants a file of its own: {circles:#?}");
}

#[test]
fn files_are_opened_and_programs_started_in_one_place() {
    let files = [
        "File::open(",
        "File::create(",
        "fs::write(",
        "fs::read(",
        "fs::read_to_string(",
        "OpenOptions::",
        "fs::copy(",
    ];
    let places = [("sys/files.rs", &files[..]), ("sys/process.rs", &["Command::new("])];
    let mut strange = Vec::new();
    for (path, text) in sources("src") {
        if path.ends_with("tests.rs") {
            continue;
        }
        let product = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        for (place, signs) in places.iter().filter(|(place, _)| !path.ends_with(place)) {
            let found = signs.iter().filter(|sign| product.contains(*sign));
            strange.extend(found.map(|sign| format!("{}: `{sign}` belongs to {place}", path.display())));
        }
    }
    assert!(strange.is_empty(), "{strange:#?}");
}

#[test]
fn every_file_says_what_it_is_for() {
    let all = sources("src").into_iter().chain(sources("tests"));
    let silent: Vec<PathBuf> = all
        .filter(|(path, text)| !text.starts_with("//!") && !path.ends_with("src/main.rs"))
        .map(|(path, _)| path)
        .collect();
    assert!(silent.is_empty(), "{silent:?}");
}

#[test]
fn no_file_is_too_long_to_read_in_one_sitting() {
    let long: Vec<String> = sources("src")
        .into_iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > 620)
        .map(|(path, lines)| format!("{} has {lines} lines", path.display()))
        .collect();
    assert!(long.is_empty(), "{long:?}");
}

/// Codes that stand in a text, quoted.
fn codes_in(text: &str) -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for piece in text.split("\"SL").skip(1) {
        let digits: String = piece.chars().take_while(char::is_ascii_digit).collect();
        if digits.len() == 4 {
            codes.insert(format!("SL{digits}"));
        }
    }
    codes
}

#[test]
fn every_code_has_a_page_and_every_page_its_code() {
    let files = sources("src").into_iter().filter(|(path, _)| !path.ends_with("diagnostic/codes.rs"));
    let used: BTreeSet<String> = files.flat_map(|(_, text)| codes_in(&text)).collect();
    let pages: BTreeSet<String> = generated::pages().into_iter().collect();
    let without: Vec<_> = used.difference(&pages).collect();
    assert!(without.is_empty(), "codes without a page in docs/errors: {without:?}");
    let unused: Vec<_> = pages.difference(&used).collect();
    assert!(unused.is_empty(), "pages of codes that nothing says: {unused:?}");
    for code in &pages {
        let page = fs::read_to_string(root().join(format!("docs/errors/{code}.md"))).unwrap();
        assert!(page.starts_with(&format!("# {code}: ")), "{code}: the title");
        assert!(page.contains("\n```"), "{code}: an example");
        assert!(page.contains("\n## What to do\n"), "{code}: what to do");
    }
}

/// Codes of definitions that have no case folder, and where they are tested instead.
const ELSEWHERE: [(&str, &str); 17] = [
    ("SL1000", "a command's own words, not a finding in a file"),
    ("SL1012", "there is no file to point at: it/cli.rs"),
    ("SL1013", "there is no file to point at: it/cli.rs"),
    ("SL1014", "about git: it/reviews.rs"),
    ("SL1015", "about git: it/reviews.rs"),
    ("SL1016", "about git: it/reviews.rs"),
    ("SL1017", "about the command line: it/authoring.rs"),
    ("SL1019", "about another file than a definition: it/targets.rs"),
    ("SL1032", "about what is asked for when it is used: it/targets.rs"),
    ("SL1030", "about links, which a case folder cannot hold: it/trust.rs"),
    ("SL2012", "about the command line: it/cli.rs"),
    ("SL2048", "needs an object without any stamp: pipeline/rules.rs"),
    ("SL2049", "needs an object without SystemModstamp: pipeline/rules.rs"),
    ("SL2051", "needs an object without a recycle bin: pipeline/rules.rs"),
    ("SL2073", "needs a field of rich text: pipeline/rules.rs"),
    ("SL2061", "needs a percentage of HubSpot: pipeline/rules.rs"),
    ("SL2053", "needs lookups to contacts and leads: pipeline/rules.rs"),
];

#[test]
fn every_finding_of_a_definition_has_a_case() {
    let pages = generated::pages();
    let definitions = pages.iter().filter(|code| code.starts_with("SL1") || code.starts_with("SL2"));
    let cases = config_cases::codes();
    let elsewhere: BTreeSet<&str> = ELSEWHERE.iter().map(|(code, _)| *code).collect();
    let without: Vec<_> =
        definitions.filter(|code| !cases.contains(*code) && !elsewhere.contains(code.as_str())).collect();
    assert!(without.is_empty(), "codes without a folder in tests/cases/config: {without:?}");
    let both: Vec<_> = elsewhere.iter().filter(|code| cases.contains(**code)).collect();
    assert!(both.is_empty(), "no longer exceptions: {both:?}");
}
