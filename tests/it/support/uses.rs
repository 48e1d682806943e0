//! Which file of `src/` uses which, read from the paths in their text.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A module's path below the crate, such as `["engine", "work"]`.
type Module = Vec<String>;

/// The files of a crate and the files that each of them uses, by their names below `src/`.
pub(crate) fn of_files(root: &Path, sources: &[(PathBuf, String)]) -> BTreeMap<String, BTreeSet<String>> {
    let mut files: BTreeMap<Module, String> = BTreeMap::new();
    let mut texts = Vec::new();
    for (path, text) in sources {
        let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        let mut module: Module = name.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
            module.pop();
        }
        if name == "main.rs" {
            continue;
        }
        files.insert(module.clone(), name);
        texts.push((module, bare(text)));
    }
    let tests: BTreeSet<Module> = texts.iter().flat_map(|(module, text)| test_modules(module, text)).collect();
    let modules = |(module, text): &(Module, String)| {
        let used = paths(module, text).into_iter().filter_map(|path| holder(&files, &path));
        let used = used.filter(|used| *used != files[module]).collect();
        (files[module].clone(), used)
    };
    texts.iter().filter(|(module, _)| !tests.contains(module)).map(modules).collect()
}

/// The file that holds what a path names: that of the longest module in it.
fn holder(files: &BTreeMap<Module, String>, path: &[String]) -> Option<String> {
    (0..=path.len()).rev().find_map(|length| files.get(&path[..length])).cloned()
}

/// The files that use each other, round and round; each circle in order, its first file the least.
pub(crate) fn circles(uses: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let mut found: BTreeSet<Vec<String>> = BTreeSet::new();
    for start in uses.keys() {
        // The shortest way back; a file that comes before `start` has told of its own circles already.
        let mut ways = vec![vec![start.clone()]];
        let mut seen = BTreeSet::new();
        'search: while !ways.is_empty() {
            let mut longer = Vec::new();
            for way in ways {
                for next in uses.get(way.last().unwrap()).into_iter().flatten() {
                    if next == start {
                        found.insert(way);
                        break 'search;
                    }
                    if next > start && seen.insert(next.clone()) {
                        longer.push(way.iter().cloned().chain([next.clone()]).collect());
                    }
                }
            }
            ways = longer;
        }
    }
    found.into_iter().collect()
}

/// The text without comments, without strings, and without the tests at its end.
fn bare(text: &str) -> String {
    let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let mut bare = String::new();
    let mut rest = product;
    while let Some(letter) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(raw) = rest.strip_prefix("r#\"") {
            raw.find("\"#").map_or(rest.len(), |end| end + 5)
        } else if letter == '"' {
            string_length(rest)
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\\"'") {
            rest[1..].find('\'').map_or(rest.len(), |end| end + 2)
        } else {
            0
        };
        if skipped == 0 {
            bare.push(letter);
        } else {
            bare.push(' ');
        }
        rest = &rest[skipped.max(letter.len_utf8())..];
    }
    bare
}

/// The length of the string literal that a text begins with.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (place, letter) in text.char_indices().skip(1) {
        match letter {
            '"' if !escaped => return place + 1,
            _ => escaped = letter == '\\' && !escaped,
        }
    }
    text.len()
}

/// Modules that are declared for tests only.
fn test_modules(module: &Module, text: &str) -> Vec<Module> {
    let declared = text.split("#[cfg(test)]\nmod ").skip(1).filter_map(|rest| rest.split_once(';'));
    declared.map(|(name, _)| module.iter().cloned().chain([name.to_owned()]).collect()).collect()
}

/// All paths that a module names by `crate::`, `super::` or `self::`, or by a module that it declares.
fn paths(module: &Module, text: &str) -> Vec<Module> {
    let children: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'))
        .collect();
    let mut found = Vec::new();
    let mut place = 0;
    while let Some(offset) = text[place..].find("::") {
        let (start, end) = (place + offset, place + offset + 2);
        place = end;
        let word_start = text[..start].rfind(|letter: char| !is_word(letter)).map_or(0, |at| at + 1);
        let before = &text[..word_start];
        // A later part of a path was read with its first.
        if before.ends_with("::") || before.ends_with('.') {
            continue;
        }
        let base = match &text[word_start..start] {
            "crate" => Vec::new(),
            "self" => module.clone(),
            "super" => module[..module.len().saturating_sub(1)].to_vec(),
            child if children.contains(child) => module.iter().cloned().chain([child.to_owned()]).collect(),
            _ => continue,
        };
        tree(&base, &text[end..], &mut found);
    }
    found
}

/// The paths of a use tree that goes on from `base`; gives the length that was read.
fn tree(base: &Module, text: &str, found: &mut Vec<Module>) -> usize {
    let mut path = base.clone();
    let mut place = 0;
    loop {
        let rest = &text[place..];
        if rest.starts_with('{') {
            place += 1;
            loop {
                let blank = text[place..].find(|letter: char| !letter.is_whitespace()).unwrap_or(0);
                place += blank;
                match text[place..].chars().next() {
                    Some('}') => return place + 1,
                    Some(',') => place += 1,
                    Some(letter) => place += tree(&path, &text[place..], found).max(letter.len_utf8()),
                    None => return place,
                }
            }
        }
        let length = rest.find(|letter: char| !is_word(letter)).unwrap_or(rest.len());
        match &rest[..length] {
            "super" => drop(path.pop()),
            "self" | "" => {}
            word => path.push(word.to_owned()),
        }
        place += length;
        if !text[place..].starts_with("::") {
            found.push(path);
            return place;
        }
        place += 2;
    }
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

#[test]
fn paths_are_read_as_the_compiler_reads_them() {
    let file = |name: &str, text: &str| (PathBuf::from("src").join(name), text.to_owned());
    let sources = [
        file("lib.rs", "pub mod a;\npub mod b;"),
        file("a/mod.rs", "pub mod one;\npub mod two;\n#[cfg(test)]\nmod tests;\nuse one::Thing;"),
        file("a/one.rs", "use super::two::{self, Other};\nuse crate::b::{deep::{X, Y}, Z};"),
        file("a/two.rs", "// crate::a::one\nlet s = \"super::one\";\nfn f() { super::super::b::z() }"),
        file("a/tests.rs", "use super::one::Thing;"),
        file("b/mod.rs", "pub mod deep;\n#[cfg(test)]\nmod tests {\n    use crate::a::one::Thing;\n}"),
        file("b/deep.rs", "use super::Z;\nuse crate::a::two::Other;"),
    ];
    let uses = of_files(Path::new("src"), &sources);
    let check = |file: &str, expected: &[&str]| {
        let got: Vec<&str> = uses[file].iter().map(String::as_str).collect();
        assert_eq!(got, expected, "{file}");
    };
    check("a/mod.rs", &["a/one.rs"]);
    check("a/one.rs", &["a/two.rs", "b/deep.rs", "b/mod.rs"]);
    check("a/two.rs", &["b/mod.rs"]);
    check("b/mod.rs", &[]);
    check("b/deep.rs", &["a/two.rs", "b/mod.rs"]);
    assert!(!uses.contains_key("a/tests.rs"), "tests are no product");
    assert_eq!(circles(&uses), Vec::<Vec<String>>::new());
    let round = BTreeMap::from(
        [("x", "y"), ("y", "z"), ("z", "x")].map(|(from, to)| (from.to_owned(), BTreeSet::from([to.to_owned()]))),
    );
    assert_eq!(circles(&round), [["x", "y", "z"]]);
}
