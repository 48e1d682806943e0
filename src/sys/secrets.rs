//! The secrets that this process knows, by value: whatever is printed, logged or stored passes here and loses them.

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::sync::{OnceLock, PoisonError, RwLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

/// What stands in the place of a secret.
pub const MASK: &str = "***";

/// Shortest secret that is looked for, in bytes. A shorter one would blank ordinary words and numbers everywhere, and no
/// service gives out any.
pub const LENGTH_MIN: usize = 6;

/// The same for what has nothing but letters: a word, as in `${TOKEN:-secret}`.
pub const WORD_LENGTH_MIN: usize = 11;

/// Most tokens of sessions that are remembered; older ones are no longer valid.
/// A session lives for hours; so many cover all connections of a day, and the search stays quick.
const SESSIONS_MAX: usize = 64;

/// Shortest part of a base64 text that is looked for, in letters.
/// Nine bytes of a secret: shorter texts occur by chance in ids and hashes.
const BASE64_MIN: usize = 12;

/// Shortest line of a key that is looked for by itself, in bytes.
/// A line of a key has 64 letters; shorter ones are its end.
const LINE_MIN: usize = 16;

static KNOWN: RwLock<Known> =
    RwLock::new(Known { lasting: BTreeSet::new(), sessions: VecDeque::new(), matcher: OnceLock::new() });

struct Known {
    lasting: BTreeSet<String>,
    sessions: VecDeque<String>,
    /// Built when it is first needed: several secrets come one after another.
    matcher: OnceLock<Option<AhoCorasick>>,
}

impl Known {
    /// Looks for the secrets; none where there are none.
    fn matcher(&self) -> Option<&AhoCorasick> {
        let build = || {
            let all = self.lasting.iter().chain(&self.sessions);
            let forms: BTreeSet<String> = all.flat_map(|secret| forms(secret)).collect();
            // A set of texts so large that it cannot be built is none that definitions of their size can hold.
            // The longest first, so that of a secret within another nothing is left over.
            let builder = || {
                let of = |kind| AhoCorasick::builder().kind(kind).match_kind(MatchKind::LeftmostLongest).build(&forms);
                // What is searched is short, so a search that is made at once goes before one that is quick.
                of(Some(AhoCorasickKind::ContiguousNFA)).or_else(|_| of(None)).ok()
            };
            if forms.is_empty() { None } else { builder() }
        };
        self.matcher.get_or_init(build).as_ref()
    }
}

/// Remembers a secret for as long as the process lives.
pub fn remember(secret: &str) {
    if !is_told_apart(secret.trim()) {
        return;
    }
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    // The search is built anew only for one that is new, as every file of a project is read for secrets.
    if known.lasting.insert(secret.trim().to_owned()) {
        known.matcher.take();
    }
}

/// Remembers a secret that is good for a while, such as a session's token.
pub fn remember_session(secret: &str) {
    let secret = secret.trim();
    if !is_told_apart(secret) {
        return;
    }
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    if !known.lasting.contains(secret) && !known.sessions.iter().any(|session| session == secret) {
        known.sessions.push_back(secret.to_owned());
        if known.sessions.len() > SESSIONS_MAX {
            known.sessions.pop_front();
        }
        known.matcher.take();
    }
}

/// Whether a secret is told apart from ordinary words and numbers.
fn is_told_apart(secret: &str) -> bool {
    let word = secret.bytes().all(|byte| byte.is_ascii_alphabetic());
    secret.len() >= if word { WORD_LENGTH_MIN } else { LENGTH_MIN }
}

/// A text without the known secrets, in any form that they are likely to take. Linear in the text's length.
pub fn masked(text: &str) -> Cow<'_, str> {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    let Some(matcher) = known.matcher() else { return Cow::Borrowed(text) };
    let mut shown = String::new();
    let mut done = 0;
    for found in matcher.find_iter(text) {
        shown.push_str(&text[done..found.start()]);
        shown.push_str(MASK);
        done = found.end();
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    shown.push_str(&text[done..]);
    Cow::Owned(shown)
}

/// The texts by which a secret is known: as it is, and as it stands in addresses, forms, JSON, HTML and base64.
fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned(), in_json(secret), in_json(secret).replace('/', "\\/"), in_html(secret)];
    forms.extend([in_address(secret, "-._~", "%20"), in_address(secret, "", "%20"), in_address(secret, "*-._", "+")]);
    forms.extend(forms.clone().iter().filter(|form| form.contains('%')).map(|form| lower_hex(form)));
    forms.extend((0..3).flat_map(|shift| in_base64(secret.as_bytes(), shift)));
    // Of a key, a line alone tells enough; the frame of a key tells nothing.
    if secret.contains(['\n', '\\']) {
        let lines = secret.split('\n').flat_map(|line| line.split("\\n")).map(str::trim);
        forms.extend(lines.filter(|line| line.len() >= LINE_MIN && !line.starts_with("-----")).map(str::to_owned));
    }
    forms.retain(|form| form.len() >= LENGTH_MIN);
    forms
}

fn in_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn in_html(text: &str) -> String {
    let mut html = String::new();
    for letter in text.chars() {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#x27;"),
            '/' => html.push_str("&#x2f;"),
            other => html.push(other),
        }
    }
    html
}

/// Percent-encoded, with these signs left as they are.
fn in_address(text: &str, kept: &str, blank: &str) -> String {
    let mut address = String::new();
    for byte in text.bytes() {
        match byte {
            b' ' => address.push_str(blank),
            byte if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) => address.push(byte.into()),
            byte => drop(write!(address, "%{byte:02X}")),
        }
    }
    address
}

/// The same with the hexadecimal digits in lower case.
fn lower_hex(address: &str) -> String {
    let mut out = String::new();
    let mut rest = address;
    while let Some(at) = rest.find('%') {
        let end = (at + 3).min(rest.len());
        out.push_str(&rest[..at]);
        out.push_str(&rest[at..end].to_ascii_lowercase());
        rest = &rest[end..];
    }
    out + rest
}

/// The letters of a base64 text that a secret alone decides, where `shift` bytes of a group stand before it; in both
/// alphabets.
fn in_base64(secret: &[u8], shift: usize) -> Vec<String> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bit = |at: usize| (secret[at / 8] >> (7 - at % 8)) & 1;
    // The first bits complete a letter that begins before the secret.
    let skip = (6 - shift * 8 % 6) % 6;
    let letters = (secret.len() * 8).saturating_sub(skip) / 6;
    let letter = |number: usize| {
        let value = (0..6).fold(0, |value, place| value << 1 | bit(skip + number * 6 + place));
        char::from(LETTERS[usize::from(value)])
    };
    let text: String = (0..letters).map(letter).collect();
    if text.len() < BASE64_MIN {
        return Vec::new();
    }
    vec![text.replace('+', "-").replace('/', "_"), text]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(masked(text), expected, "{text}");
    }

    #[test]
    fn a_secret_is_found_in_every_form() {
        remember("pa+t/na1 \"Zürich\"?=&x\n");
        check("the token pa+t/na1 \"Zürich\"?=&x.", "the token ***.");
        check(r#"{"a": "pa+t/na1 \"Zürich\"?=&x"}"#, r#"{"a": "***"}"#);
        check(r#"{"a": "pa+t\/na1 \"Zürich\"?=&x"}"#, r#"{"a": "***"}"#);
        check("?q=pa%2Bt%2Fna1%20%22Z%C3%BCrich%22%3F%3D%26x&r", "?q=***&r");
        check("?q=pa%2bt%2fna1%20%22Z%c3%bcrich%22%3f%3d%26x&r", "?q=***&r");
        check("?q=pa%2Bt%2Fna1+%22Z%C3%BCrich%22%3F%3D%26x&r", "?q=***&r");
        check("pa+t&#x2f;na1 &quot;Zürich&quot;?=&amp;x", "***");
        check("Basic cGErdC9uYTEgIlrDvHJpY2giPz0meA==", "Basic ***A==");
        check("pa+t/na1 and nothing else", "pa+t/na1 and nothing else");
    }

    #[test]
    fn a_secret_is_found_in_base64_wherever_it_begins() {
        remember("0123456789-secret-token");
        // `user:`, `me:` and `a:` before it.
        for text in [
            "dXNlcjowMTIzNDU2Nzg5LXNlY3JldC10b2tlbg==",
            "bWU6MDEyMzQ1Njc4OS1zZWNyZXQtdG9rZW4=",
            "YTowMTIzNDU2Nzg5LXNlY3JldC10b2tlbg==",
        ] {
            let shown = masked(text).into_owned();
            assert!(shown.contains(MASK) && shown.len() < 20, "{shown}");
        }
    }

    #[test]
    fn each_line_of_a_key_is_a_secret() {
        remember("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG\nshort\n-----END PRIVATE KEY-----\n");
        check("MIIEvQIBADANBgkqhkiG", "***");
        check("-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----");
        check("short", "short");
    }

    #[test]
    fn what_is_too_short_is_no_secret_by_value() {
        remember("ab-12");
        remember_session("  x ");
        remember("salesforce");
        check("ab-12 x salesforce", "ab-12 x salesforce");
    }

    #[test]
    fn a_long_text_is_masked_in_linear_time() {
        remember("a-token-that-is-repeated");
        let text = "a-token-that-is-repeate".repeat(400_000);
        let begin = std::time::Instant::now();
        assert_eq!(masked(&text).len(), text.len());
        assert!(begin.elapsed() < std::time::Duration::from_secs(5), "{:?}", begin.elapsed());
    }
}
