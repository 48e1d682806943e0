//! What of a definition file is never quoted: secrets, wherever and however they stand in it.

use std::ops::Range;

use saphyr_parser::{Event, Parser};
use serde_json::Value;

use super::yaml;
use crate::sys::secrets;

/// Keys whose values are secrets.
/// A client's id is no secret by itself; beside the others it is half of a login.
pub const SECRET_KEYS: [&str; 7] =
    ["access_token", "token", "client_secret", "private_key", "client_id", "secret", "password"];

/// Keys of syncline.yaml whose values may be shown. In that file every other value is covered: a misspelled key of a secret
/// is no secret's key any more, but its value still is one.
const SHOWN_KEYS: [&str; 32] = [
    "port",
    "scopes",
    "version",
    "type",
    "login_url",
    "base_url",
    "instance_url",
    "username",
    "audience",
    "api_budget",
    "api_version",
    "rate_limit",
    "portal_id",
    "state",
    "pipelines",
    "connections",
    "alert",
    "alerts",
    "lag",
    "error_share",
    "failures",
    "name",
    "events",
    "server",
    "from",
    "to",
    "targets",
    "default_target",
    "guard",
    "archive",
    "reject",
    "secret_command",
];

/// The text with what is secret covered by `*`, byte for byte; none where nothing is. `strict` is for syncline.yaml.
pub fn covered(text: &str, strict: bool) -> Option<String> {
    // A pipeline seldom has anything to hide. A backslash could spell a key in another way.
    let may_hide = || {
        text.contains('\\')
            || (text.contains("://") && text.contains('@'))
            || SECRET_KEYS.iter().any(|key| text.contains(key))
    };
    if !strict && !may_hide() {
        return None;
    }
    let ranges = hidden(text, strict);
    let mut shown = text.to_owned().into_bytes();
    for range in ranges {
        for byte in &mut shown[range] {
            // All of a longer character is covered, so that the text stays what it is: UTF-8 of the same length.
            if !byte.is_ascii_whitespace() {
                *byte = b'*';
            }
        }
    }
    (shown != text.as_bytes()).then(|| String::from_utf8_lossy(&shown).into_owned())
}

/// Remembers the secrets that stand in syncline.yaml, so that none is printed by any message: the values of secret keys,
/// defaults of forms in them, passwords of addresses, and values of unknown keys that look like tokens.
pub fn remember(value: &serde_yaml::Value) {
    collect(&yaml::to_json(value), "", false);
}

/// Shortest value of an unknown key that is taken for a token, in bytes.
/// Shorter words with a digit are names and versions, which would then be covered in every message.
const TOKEN_LENGTH_MIN: usize = 16;

fn collect(value: &Value, key: &str, secret: bool) {
    match value {
        Value::Object(members) => {
            // Once below a secret key, everything is: a misplaced mapping must not show its parts.
            members.iter().for_each(|(key, value)| collect(value, key, secret || SECRET_KEYS.contains(&key.as_str())));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, key, secret)),
        Value::String(text) if secret => literals(text).for_each(secrets::remember),
        Value::String(text) if SHOWN_KEYS.contains(&key) => password(text),
        Value::String(text) => {
            // Tokens of both systems hold digits; long words of prose do not.
            let token = |part: &&str| part.len() >= TOKEN_LENGTH_MIN && part.bytes().any(|byte| byte.is_ascii_digit());
            literals(text).filter(token).for_each(secrets::remember);
        }
        Value::Number(number) if secret => secrets::remember(&number.to_string()),
        _ => {}
    }
}

/// The parts of a text that stand there themselves: between forms, and as their defaults.
fn literals(text: &str) -> impl Iterator<Item = &str> {
    let (first, forms) = text.split_once("${").map_or((text, ""), |(first, rest)| (first, rest));
    let parts = forms.split("${").flat_map(|form| {
        let (form, rest) = form.split_once('}').unwrap_or(("", form));
        [form.split_once(":-").map_or("", |(_, default)| default), rest]
    });
    std::iter::once(first).chain(parts)
}

fn password(address: &str) {
    let Ok(url) = url::Url::parse(address) else { return };
    if let Some(password) = url.password() {
        secrets::remember(password);
        // It may turn up in either form, as it is written or as it is sent.
        secrets::remember(&percent_encoding::percent_decode_str(password).decode_utf8_lossy());
    }
}

/// Whether the value of a key is secret.
fn is_secret(key: &str, strict: bool) -> bool {
    if strict { !SHOWN_KEYS.contains(&key) } else { SECRET_KEYS.contains(&key) }
}

/// An open collection: whether its content is secret, and what the next value of a mapping is.
struct Frame {
    secret: bool,
    mapping: bool,
    /// In a mapping: none where a key comes next, else whether its value is secret.
    value: Option<bool>,
}

/// The places of secrets in a text of YAML, in bytes; with `strict`, of all values whose key is not known to be harmless.
fn hidden(text: &str, strict: bool) -> Vec<Range<usize>> {
    let offsets: Option<Vec<usize>> =
        (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).chain([text.len()]).collect());
    let byte = |index: usize| match &offsets {
        None => index.min(text.len()),
        Some(offsets) => offsets.get(index).or(offsets.last()).copied().unwrap_or_default(),
    };
    let mut stack: Vec<Frame> = Vec::new();
    let (mut ranges, mut done) = (Vec::new(), 0);
    // Event by event, so that a file which breaks off is covered by its structure up to there.
    let mut parser = Parser::new_from_str(text);
    let broken = loop {
        let (event, span) = match parser.next() {
            None => break false,
            Some(Err(_)) => break true,
            Some(Ok(next)) => next,
        };
        let range = byte(span.start.index())..byte(span.end.index());
        match event {
            Event::Scalar(value, ..) => {
                let is_key = stack.last().is_some_and(|frame| frame.mapping && frame.value.is_none());
                // Between two scalars stand signs and comments.
                comments(text, done..range.start, strict, &mut ranges);
                done = done.max(range.end);
                match stack.last_mut() {
                    Some(frame) if is_key => {
                        // Connections may be called anything; what is below them tells by its own keys.
                        frame.value = Some(is_secret(&value, strict) || (frame.secret && !strict));
                    }
                    _ => {
                        if value_is_secret(&mut stack, strict) {
                            names_kept(text, range, &mut ranges);
                        } else {
                            user(text, range, &mut ranges);
                        }
                    }
                }
            }
            // It takes the place of a value, and what it repeats was covered where it stands.
            Event::Alias(_) => drop(value_is_secret(&mut stack, strict)),
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                let secret = value_is_secret(&mut stack, strict);
                let mapping = matches!(event, Event::MappingStart(..));
                stack.push(Frame { secret, mapping, value: None });
            }
            Event::SequenceEnd | Event::MappingEnd => drop(stack.pop()),
            _ => {}
        }
    };
    if broken {
        lines(text, done, strict, &mut ranges);
    } else {
        comments(text, done..text.len(), strict, &mut ranges);
    }
    ranges
}

/// Whether the value that comes now is secret; in a mapping, a key comes next.
/// What stands below no key is secret where every value but those of known keys is.
fn value_is_secret(stack: &mut [Frame], strict: bool) -> bool {
    match stack.last_mut() {
        Some(frame) if frame.mapping => frame.value.take().unwrap_or(frame.secret),
        Some(frame) => frame.secret,
        None => strict,
    }
}

/// Covers a secret, but for the names of what it is taken from: `${NAME}`, `${NAME:-…}`, `${file:PATH}`.
fn names_kept(text: &str, range: Range<usize>, ranges: &mut Vec<Range<usize>>) {
    let mut at = range.start;
    while let Some(start) = text.get(at..range.end).and_then(|rest| rest.find("${")).map(|found| at + found) {
        let Some(end) = text[start..range.end].find('}').map(|found| start + found) else { break };
        let name = &text[start + 2..end];
        let (name, default) = name.split_once(":-").map_or((name, false), |(name, _)| (name, true));
        let plain = name.starts_with("file:")
            || name.starts_with("secret:")
            || (!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)));
        if !plain || text[..start].ends_with('$') {
            // Written out, or no form at all.
            ranges.push(at..end);
        } else {
            ranges.push(at..start);
            if default {
                ranges.push(start + 2 + name.len() + 2..end);
            }
        }
        at = if plain { end + 1 } else { end };
    }
    ranges.push(at.min(range.end)..range.end);
}

/// Covers user names and passwords of addresses.
fn user(text: &str, range: Range<usize>, ranges: &mut Vec<Range<usize>>) {
    let Some(part) = text.get(range.clone()) else { return };
    if let (Some(start), Some(end)) = (part.find("://"), part.rfind('@'))
        && start + 3 < end
    {
        ranges.push(range.start + start + 3..range.start + end);
    }
}

/// Covers comments: an old secret is kept in one more often than not.
fn comments(text: &str, range: Range<usize>, strict: bool, ranges: &mut Vec<Range<usize>>) {
    if range.start >= range.end {
        return;
    }
    let mut start = range.start;
    for line in text[range].split_inclusive('\n') {
        let comment = line.match_indices('#').find(|(at, _)| line[..*at].ends_with([' ', '\t']) || *at == 0);
        if let Some((at, _)) = comment {
            // In a pipeline, comments are prose and worth showing, unless they name a secret's key.
            let named = strict || SECRET_KEYS.iter().any(|key| line[at..].contains(key));
            if named {
                ranges.push(start + at + 1..start + line.trim_end().len().max(at + 1));
            } else {
                user(text, start + at..start + line.len(), ranges);
            }
        }
        start += line.len();
    }
}

/// Covers what cannot be read as YAML: behind a key that may be shown, the value is; all else is not.
fn lines(text: &str, from: usize, strict: bool, ranges: &mut Vec<Range<usize>>) {
    let mut start = from;
    for line in text[from..].split_inclusive('\n') {
        let end = start + line.trim_end().len();
        let key = line.split_once(':').map(|(key, rest)| (key.trim_start_matches([' ', '\t', '-', '?']).trim(), rest));
        let key = key.map(|(key, rest)| (key.trim_matches(['"', '\'']), rest));
        match key {
            // Several keys may stand in the rest of the line.
            Some((key, rest)) if !(is_secret(key, strict) || strict && rest.contains(['{', '[', '#'])) => {
                let secret =
                    SECRET_KEYS.iter().filter_map(|key| line.find(&format!("{key}:")).map(|at| at + key.len() + 1));
                match secret.min() {
                    Some(at) => ranges.push(start + at..end.max(start + at)),
                    None => user(text, start..end.max(start), ranges),
                }
            }
            Some((_, rest)) if strict || SECRET_KEYS.iter().any(|key| line.contains(key)) => {
                names_kept(text, start + line.len() - rest.len()..end.max(start + line.len() - rest.len()), ranges);
            }
            None if strict => names_kept(text, start..end.max(start), ranges),
            _ => user(text, start..end.max(start), ranges),
        }
        start += line.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each shape holds the word `hush`, alone or in parts, and must not show it; what it says besides is kept.
    #[track_caller]
    fn check(text: &str, kept: &[&str]) {
        let shown = covered(text, true).unwrap_or_else(|| text.to_owned());
        assert_eq!(shown.len(), text.len());
        assert!(!shown.to_lowercase().contains("hush") && !shown.contains("ush"), "{text}\n{shown}");
        for part in kept {
            assert!(shown.contains(part), "{part}:\n{shown}");
        }
    }

    #[test]
    fn secrets_are_covered_in_every_shape() {
        check("access_token: hush\ntype: hubspot\n", &["access_token: ****", "type: hubspot"]);
        check("access_token: 'hush'\n", &[]);
        check("access_token: \"hush\\\n  hush\"\n", &[]);
        check("access_token: |\n  hush\n  hush\nstate: x\n", &["state: x"]);
        check("access_token: >-\n  hush hush\n\n  hush\nstate: x\n", &["state: x"]);
        check("access_token:\n  hush\n  hush\nstate: x\n", &["state: x"]);
        check("auth: { client_secret: hush, x: hush } # hush\n", &["client_secret"]);
        check("auth: {\"client_secret\":\"hush\"}\n", &["client_secret"]);
        check("a: &a hush\nb: *a\n", &["b: *a"]);
        check("? access_token\n: hush\n", &["access_token"]);
        check("access_token: !!str hush\n", &[]);
        check("access_token: [hush, {a: hush}]\n", &[]);
        check("acess_token: hush\n", &["acess_token"]);
        check("# access_token: hush\nversion: 1 # hush\n#hush\n", &["version: 1"]);
        check(
            "access_token: ${TOKEN}\nx: a${B:-hush}hush${file:/run/x}\n",
            &["${TOKEN}", "${B:-****}", "${file:/run/x}"],
        );
        check("x: $${hush} ${hush hush} ${hush\n", &[]);
        check("login_url: https://hush:hush@host/\n", &["login_url: https://", "@host/"]);
        check("login_url: \"https://me:hush\\\n  hush@host/\"\n", &["@host/"]);
        check("connections: { hubspot: { type: hubspot, access_token: hush } }\n", &["type: hubspot"]);
        check("private_key: |\n  -----BEGIN\n  hüsh hush\n  -----END\n", &[]);
    }

    #[test]
    fn what_is_no_yaml_shows_no_secret_either() {
        check("version: 1\nauth: { client_secret: hush\n  hush\nhush\nstate: x\n", &["version: 1"]);
        check("access_token: \"hush\n", &["access_token"]);
        check("type: x\n\taccess_token: hush\n", &["type: "]);
        check("access_token: hush: hush\n", &["access_token"]);
        check("a: b: c\naccess_token: hush\nlogin_url: http://hush:hush@x\n", &["login_url"]);
        check("access_token: %hush\n", &[]);
        check("- hush\n- [hush\n", &[]);
    }

    #[test]
    fn a_pipeline_is_shown_but_for_the_keys_of_secrets() {
        let text = "fields:\n  - { from: Name, to: name } # a note\n  - value: x\n";
        assert_eq!(covered(text, false), None);
        let spelt = covered("a: { \"to\\u006ben\": hush }\n", false).unwrap();
        assert_eq!(spelt, "a: { \"to\\u006ben\": **** }\n");
        for text in ["a: https://me:pw@host\n", "a: 1 # https://me:pw@host\n", "a: [1\nb: https://me:pw@host\n"] {
            assert_eq!(covered(text, false), Some(text.replace("me:pw", "*****")));
        }
        let shown = covered("a: { token: hush, b: https://me:pw@host } # token: hush\n", false).unwrap();
        assert_eq!(
            shown,
            "a: { token: ****, b: https://*****@host } #*****: ****\n".replace("#*****: ****", "# ****** ****")
        );
    }
}
