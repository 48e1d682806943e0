//! The file `.env` beside syncline.yaml: variables for those that the environment does not set.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::env::{FILE_BYTES_MAX, is_secret_name};
use super::files::Files;
use super::read::SourceFile;
use super::secrets::{ALLOWED, COMMAND};
use crate::diagnostic::{Diagnostic, Place};
use crate::sys::files::ReadError;
use crate::sys::secrets;

/// Name of the file.
pub const FILE: &str = ".env";

/// What the file says.
#[derive(Debug, Default)]
pub struct DotEnv {
    /// Its variables; of two of one name, the last.
    pub variables: BTreeMap<String, String>,
    /// What is wrong with it.
    pub findings: Vec<Diagnostic>,
    /// Its text, with everything but the names covered; none where there is no file.
    pub file: Option<SourceFile>,
}

/// Reads the file, where there is one. A revision has none.
pub fn read(files: &Files) -> DotEnv {
    // The file is never committed, so a revision cannot have one.
    let Some(folder) = files.folder() else { return DotEnv::default() };
    let files = Files::Folder(folder.to_owned());
    let name: Arc<str> = FILE.into();
    let refused = |message: String| {
        let finding = Diagnostic::error("SL1019", &name, Place::File, message);
        let finding = finding.with_help("put an ordinary text file there, or none");
        DotEnv {
            findings: vec![finding],
            file: Some(SourceFile::plain(Arc::clone(&name), String::new())),
            ..DotEnv::default()
        }
    };
    let bytes = match files.read(FILE, FILE_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(ReadError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => return DotEnv::default(),
        Err(error) => return refused(format!("`{FILE}`: {error}")),
    };
    match String::from_utf8(bytes) {
        // Some editors of Windows write a byte order mark, which would be part of the first name.
        Ok(text) => parse(&name, text.trim_start_matches('\u{feff}')),
        Err(_) => refused(format!("`{FILE}` is not UTF-8 text")),
    }
}

fn parse(name: &Arc<str>, text: &str) -> DotEnv {
    let mut done = DotEnv::default();
    let mut shown = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let line = text[at..].find('\n').map_or(text.len(), |end| at + end);
        match entry(text, at..line) {
            Ok(None) => at = line + 1,
            Ok(Some(entry)) => {
                shown.push(entry.name.clone());
                let variable = &text[entry.name.clone()];
                if is_secret_name(variable) {
                    secrets::remember(&entry.value);
                }
                if [COMMAND, ALLOWED].contains(&variable) {
                    let place = Place::Bytes(entry.name.clone());
                    let message = format!("`{variable}` has no effect here");
                    let finding = Diagnostic::warning("SL1019", name, place, message);
                    let why = "a file of the project must not decide which programs are run";
                    done.findings.push(finding.with_why(why).with_help("set it in your own environment"));
                }
                done.variables.insert(variable.to_owned(), entry.value);
                at = entry.end + 1;
            }
            Err(problem) => {
                let place = Place::Bytes(at..line.max(at + 1).min(text.len()));
                let finding = Diagnostic::error("SL1019", name, place, problem);
                let help = "write `NAME=value`, or `NAME=\"…\"` for a value with spaces, `#` or several lines";
                done.findings.push(finding.with_help(help));
                // One bad line hides no other: the next one is read as an entry again.
                at = line + 1;
            }
        }
    }
    let covered = covered(text, &shown);
    done.file = Some(SourceFile::plain(Arc::clone(name), text.to_owned()).with_covered(covered));
    done
}

/// The text in which only names can be read.
fn covered(text: &str, shown: &[Range<usize>]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut names = shown.iter().peekable();
    for (at, byte) in bytes.iter_mut().enumerate() {
        while names.peek().is_some_and(|name| name.end <= at) {
            names.next();
        }
        let keep = names.peek().is_some_and(|name| name.contains(&at)) || byte.is_ascii_whitespace() || *byte == b'=';
        if !keep {
            // Byte by byte, so that places in the text stay what they are.
            *byte = b'*';
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

struct Entry {
    name: Range<usize>,
    value: String,
    /// Where its last line ends.
    end: usize,
}

/// The entry that begins in a line; none for a blank line or a comment.
fn entry(text: &str, line: Range<usize>) -> Result<Option<Entry>, &'static str> {
    let blank = |letter: char| letter == ' ' || letter == '\t' || letter == '\r';
    let start = line.start + text[line.clone()].len() - text[line.clone()].trim_start_matches(blank).len();
    let rest = &text[start..line.end];
    if rest.trim_end_matches(blank).is_empty() || rest.starts_with('#') {
        return Ok(None);
    }
    // Such files are often read by a shell as well.
    let after_export = rest.strip_prefix("export ").map(|rest| rest.trim_start_matches(blank));
    let start = after_export.map_or(start, |after| line.end - after.len());
    let equals = text[start..line.end].find('=').ok_or("the line is not `NAME=value`")?;
    let name = start..start + text[start..start + equals].trim_end_matches(blank).len();
    let written = &text[name.clone()];
    let named = written.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !named || !written.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
        return Err("what stands before `=` is not the name of a variable");
    }
    let after = start + equals + 1;
    let value = after + text[after..line.end].len() - text[after..line.end].trim_start_matches(blank).len();
    if let Some(quote) = text[value..line.end].chars().next().filter(|first| ['"', '\''].contains(first)) {
        let (content, length) = quoted(&text[value + 1..], quote).ok_or("the quotation mark is not closed")?;
        let end = value + 1 + length;
        let last = text[end..].find('\n').map_or(text.len(), |stop| end + stop);
        let left = text[end..last].trim_matches(blank);
        if !left.is_empty() && !left.starts_with('#') {
            return Err("something stands behind the closing quotation mark");
        }
        return Ok(Some(Entry { name, value: content, end: last }));
    }
    let plain = &text[value..line.end];
    // Only behind a blank: a token may hold a `#`.
    let comment = plain.match_indices('#').find(|(at, _)| *at == 0 || plain[..*at].ends_with(blank)).map(|(at, _)| at);
    let plain = plain[..comment.unwrap_or(plain.len())].trim_matches(blank);
    Ok(Some(Entry { name, value: plain.to_owned(), end: line.end }))
}

/// A quoted value, and where what follows its closing mark begins. Within single marks every character is itself.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            letter if letter == quote => return Some((value, at + quote.len_utf8())),
            '\\' if quote == '"' => match letters.next()?.1 {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                // What a shell escapes between double quotes; nothing is expanded here, so `\$` is a plain dollar
                // sign.
                same @ ('"' | '\\' | '$' | '\'') => value.push(same),
                other => value.extend(['\\', other]),
            },
            letter => value.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let done = parse(&FILE.into(), text);
        assert!(done.findings.is_empty(), "{text:?}: {:?}", done.findings);
        let expected = expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(done.variables, expected, "{text:?}");
    }

    #[test]
    fn variables_are_read_as_other_programs_read_them() {
        check("A=1\nB = two \n", &[("A", "1"), ("B", "two")]);
        check("# no\n\n  export A=1 # a comment\r\nB=x#y\r\n", &[("A", "1"), ("B", "x#y")]);
        check("A=\"a \\\"b\\\"\\n\\$c # d\" # e\nB='a\\n\"b'\n", &[("A", "a \"b\"\n$c # d"), ("B", "a\\n\"b")]);
        check("KEY=\"-----BEGIN\nabc=\n-----END\"\nB=2", &[("KEY", "-----BEGIN\nabc=\n-----END"), ("B", "2")]);
        check("A=\nB=\"\"\nA=2\nC=${A}\nD=x=y", &[("A", "2"), ("B", ""), ("C", "${A}"), ("D", "x=y")]);
        check("A=é\"x\nB=#\n", &[("A", "é\"x"), ("B", "")]);
        check("", &[]);
    }

    #[test]
    fn what_is_no_variable_is_said_and_its_value_is_not_shown() {
        for (text, message) in [
            ("A=hush1\nhush2\n", "is not `NAME=value`"),
            ("1A=hush\n", "not the name of a variable"),
            ("A-B=hush\n", "not the name of a variable"),
            ("A=\"hush\n", "is not closed"),
            ("A='hush' hush\n", "behind the closing"),
            ("=hush", "not the name of a variable"),
            ("hüsh", "is not `NAME=value`"),
        ] {
            let done = parse(&FILE.into(), text);
            assert!(done.findings[0].message.contains(message), "{text:?}: {:?}", done.findings);
            let file = done.file.unwrap();
            assert!(!file.quotable().contains("ush"), "{text:?}: {}", file.quotable());
        }
    }

    #[test]
    fn a_long_file_is_read_in_linear_time() {
        let text = "A=\"\n".repeat(16_000);
        let begin = std::time::Instant::now();
        parse(&FILE.into(), &text);
        parse(&FILE.into(), &"A=1 # \"x\n".repeat(7_000));
        assert!(begin.elapsed() < std::time::Duration::from_secs(5), "{:?}", begin.elapsed());
    }
}
