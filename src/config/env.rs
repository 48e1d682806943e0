//! `${NAME}`, `${NAME:-default}`, `${file:PATH}` and `${secret:NAME}` in syncline.yaml, and the secrets that come of it. The only
//! place that reads the environment.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::sys::{files, secrets};

/// Largest file that `${file:PATH}` reads, in bytes: keys and tokens are far smaller.
pub const FILE_BYTES_MAX: u64 = 64 * 1024;

/// A value that nothing prints: `Debug`, `Display` and `Serialize` all write `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    value: String,
    origin: Option<PathBuf>,
}

impl Secret {
    /// Keeps a value secret: it is never printed by itself, and found wherever else it stands. White space and a byte order
    /// mark around it are how it was stored, not a part of it.
    pub fn new(value: impl Into<String>) -> Self {
        let value = trimmed(&value.into()).to_owned();
        // A form is no secret yet, and covering its text would make messages unreadable.
        if !value.contains("${") {
            secrets::remember(&value);
        }
        Self { value, origin: None }
    }

    /// What keeps the value from being a token: those are one word of letters, digits and signs. None where it is one, or
    /// is still to be taken from somewhere.
    pub fn is_no_token(&self) -> Option<&'static str> {
        let signs = |letter: char| match letter {
            '\n' | '\r' => Some("a line break"),
            letter if letter.is_whitespace() => Some("a blank"),
            letter if letter.is_control() => Some("a control character"),
            letter if !letter.is_ascii() => Some("a letter that is not ASCII"),
            _ => None,
        };
        if self.value.contains("${") { None } else { self.value.chars().find_map(signs) }
    }

    /// The value, for the one who must send it.
    pub fn expose(&self) -> &str {
        &self.value
    }

    /// The file that the whole value came from, where it came from one.
    pub fn origin(&self) -> Option<&Path> {
        self.origin.as_deref()
    }

    /// Remembers the file that the value came from.
    pub fn set_origin(&mut self, origin: PathBuf) {
        self.origin = Some(origin);
    }
}

/// A text without the white space and the byte order marks around it.
fn trimmed(text: &str) -> &str {
    // Files end in a line break, and secrets that were saved by Windows tools have a mark or a NUL.
    text.trim_matches(|letter: char| letter.is_whitespace() || letter == '\u{feff}' || letter == '\0')
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A token of digits alone is a number in YAML.
        super::scalar::Scalar::deserialize(deserializer).map(|scalar| Self::new(scalar.0))
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A secret: take it from the environment (`${NAME}`), from a file (`${file:PATH}`) or from where secrets are kept (`${secret:NAME}`).",
            "type": ["string", "number"],
            "minLength": 1,
        })
    }
}

/// Looks a variable up. Handed in, so that a test holds its own environment.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// How much of the environment a command needs.
#[derive(Clone, Copy)]
pub enum Environment<'a> {
    /// What the connections that it uses name: what is missing there is kept for their first use.
    Needed(Variables<'a>),
    /// None: what is missing stays as it is written, and says nothing.
    Optional(Variables<'a>),
}

/// The process's environment.
pub fn process_variables(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    std::env::var(name).ok()
}

/// Who uses the computer; where a build server says for whom it works, that.
pub fn user_name(variables: Variables<'_>) -> Option<String> {
    let names = ["GITHUB_ACTOR", "GITLAB_USER_LOGIN", "USER", "LOGNAME", "USERNAME"];
    names.into_iter().filter_map(variables).map(|name| name.trim().to_owned()).find(|name| !name.is_empty())
}

/// The folder of the user for what Syncline can do without; none where the environment names no such place.
pub fn cache_folder(variables: Variables<'_>) -> Option<PathBuf> {
    // A relative folder would depend on where the command is run.
    let folder = |name: &str| variables(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
    let own = if cfg!(windows) {
        folder("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        folder("HOME").map(|home| home.join("Library/Caches"))
    } else {
        folder("HOME").map(|home| home.join(".cache"))
    };
    // Who sets it means it, on any system.
    Some(folder("XDG_CACHE_HOME").or(own)?.join("syncline"))
}

/// A failed expansion, with the JSON pointer of its scalar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpansionError {
    /// The scalar.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
    /// The form is sound; only what it names is not there.
    pub absent: bool,
}

/// What came of the forms in a document.
#[derive(Debug, Default)]
pub struct Expanded {
    /// Scalars that could not be expanded, and stay as they are written.
    pub errors: Vec<ExpansionError>,
    /// Scalars that are one whole file, with its path.
    pub origins: BTreeMap<String, PathBuf>,
    /// Scalars as they are written, and as they are now.
    pub written: BTreeMap<String, (String, String)>,
    /// Scalars that hold a secret by its name, which stay as they are written until they are used.
    pub later: BTreeMap<String, Vec<Part>>,
}

/// A part of a scalar whose secrets are still to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// What stands there.
    Text(String),
    /// The secret of this name.
    Secret(String),
}

/// Expands all scalars of a document in place; one that fails stays as it is written. Without a `folder` there are no files.
/// White space around a value is not taken over. What comes from a file, and from a variable whose name says so, is a
/// secret wherever it stands.
pub fn expand(value: &mut serde_yaml::Value, folder: Option<&Path>, variables: Variables<'_>) -> Expanded {
    let mut work = Expansion { folder, variables, done: Expanded::default() };
    work.walk(value, String::new());
    work.done
}

/// Whether a variable of this name holds a secret.
pub fn is_secret_name(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    SECRET_NAMES.iter().any(|word| upper.contains(word))
}

/// Words in the names of variables that hold secrets.
/// As people and hosting services name them; a value too many that is covered does no harm.
const SECRET_NAMES: [&str; 7] = ["TOKEN", "SECRET", "KEY", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL"];

/// Why one scalar could not be expanded.
struct Failed {
    message: String,
    help: String,
    absent: bool,
}

impl Failed {
    fn form(message: String, help: impl Into<String>) -> Self {
        Self { message, help: help.into(), absent: false }
    }

    fn absent(message: String, help: impl Into<String>) -> Self {
        Self { message, help: help.into(), absent: true }
    }
}

struct Expansion<'a> {
    folder: Option<&'a Path>,
    variables: Variables<'a>,
    done: Expanded,
}

impl Expansion<'_> {
    fn walk(&mut self, value: &mut serde_yaml::Value, pointer: String) {
        match value {
            serde_yaml::Value::String(text) if text.contains("${") => match self.text(text, &pointer) {
                Ok(parts) => match whole(&parts) {
                    Some(expanded) => {
                        self.done.written.insert(pointer, (std::mem::replace(text, expanded.clone()), expanded));
                    }
                    // A manager of secrets may ask a person for a password, which only happens where the value is
                    // used.
                    None => drop(self.done.later.insert(pointer, parts)),
                },
                Err(Failed { message, help, absent }) => {
                    self.done.errors.push(ExpansionError { pointer, message, help, absent });
                }
            },
            serde_yaml::Value::Sequence(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.walk(item, format!("{pointer}/{index}"));
                }
            }
            serde_yaml::Value::Mapping(entries) => {
                for (key, item) in entries.iter_mut() {
                    let key = super::yaml::key_text(key);
                    self.walk(item, format!("{pointer}/{}", super::yaml::escape(&key)));
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str, pointer: &str) -> Result<Vec<Part>, Failed> {
        let mut parts = Vec::new();
        let mut expanded = String::new();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            if rest[..start].ends_with('$') {
                expanded.push_str(&rest[..start - 1]);
                expanded.push_str("${");
                rest = &rest[start + 2..];
                continue;
            }
            expanded.push_str(&rest[..start]);
            let Some(end) = rest[start..].find('}') else {
                let help = "write `${NAME}`; a literal `${` is written `$${`";
                return Err(Failed::form("`${` is not closed".to_owned(), help));
            };
            let name = &rest[start + 2..start + end];
            if let Some(secret) = name.strip_prefix("secret:") {
                parts.extend([Part::Text(std::mem::take(&mut expanded)), Part::Secret(secret_name(secret)?)]);
            } else {
                // Only a value that is all of a file can be written back there, as a refresh token is when it
                // changes.
                let whole = start == 0 && rest.len() == end + 1 && expanded.is_empty() && parts.is_empty();
                expanded.push_str(&self.one(name, whole.then_some(pointer))?);
            }
            rest = &rest[start + end + 1..];
        }
        expanded.push_str(rest);
        parts.push(Part::Text(expanded));
        Ok(parts)
    }

    fn one(&mut self, name: &str, whole: Option<&str>) -> Result<String, Failed> {
        if let Some(path) = name.strip_prefix("file:") {
            let path = self.folder.ok_or("no files belong to it".to_owned()).map(|folder| folder.join(path));
            let content = path.and_then(|path| Ok((read_file(&path)?, path)));
            let (content, path) = content.map_err(|error| {
                let message = format!("the file `{}` cannot be read: {error}", &name[5..]);
                Failed::absent(message, "check the path and its permissions")
            })?;
            secrets::remember(&content);
            if let Some(pointer) = whole {
                self.done.origins.insert(pointer.to_owned(), path);
            }
            return Ok(content);
        }
        let (name, default) = name.split_once(":-").map_or((name, None), |(name, default)| (name, Some(default)));
        let named = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !named {
            let help = "names have letters, digits and `_`; a literal `${` is written `$${`";
            return Err(Failed::form(format!("`${{{name}}}` is not the name of an environment variable"), help));
        }
        if default.is_some_and(|default| default.contains("${")) {
            let message = format!("the default of `${{{name}:-…}}` contains another `${{`: these forms do not nest");
            return Err(Failed::form(message, "write one form, or set the variable"));
        }
        // An empty variable counts as not set: a CI system sets the secrets that a fork may not see to nothing.
        let value = (self.variables)(name).map(|value| trimmed(&value).to_owned()).filter(|value| !value.is_empty());
        if let Some(value) = value.as_ref().filter(|_| is_secret_name(name)) {
            secrets::remember(value);
        }
        value.or_else(|| default.map(str::to_owned)).ok_or_else(|| {
            let message = format!("the environment variable `{name}` is not set");
            // A default would be the secret itself, in a file that is in git.
            let help = match is_secret_name(name) {
                true => "set it in the environment, or in a file `.env` beside syncline.yaml".to_owned(),
                false => format!("set it, or give a default: `${{{name}:-…}}`"),
            };
            Failed::absent(message, help)
        })
    }
}

/// The text, where no secret is left to be asked for.
fn whole(parts: &[Part]) -> Option<String> {
    parts.iter().map(|part| if let Part::Text(text) = part { Some(text.as_str()) } else { None }).collect()
}

/// Longest name of a secret, in bytes: managers use paths and addresses.
const SECRET_NAME_BYTES_MAX: usize = 512;

/// The name of a secret, which is given to a program and may name a file.
fn secret_name(name: &str) -> Result<String, Failed> {
    let help = "write `${secret:NAME}` with the name by which the secret is kept; it does not begin with `-`";
    // A dash at the beginning would be an option of the program that is asked.
    let named = !name.trim().is_empty() && name.len() <= SECRET_NAME_BYTES_MAX && !name.starts_with('-');
    if name.contains(":-") {
        let message =
            format!("`${{secret:{}}}` has a default, and a secret has none", name.chars().take(60).collect::<String>());
        return Err(Failed::form(message, "write `${secret:NAME}` alone, or take the value from a variable"));
    }
    if !named || name.contains("${") || name.chars().any(char::is_control) {
        let shown: String = name.chars().take(60).collect();
        return Err(Failed::form(format!("`${{secret:{shown}}}` does not name a secret"), help));
    }
    Ok(name.to_owned())
}

/// A small text file, wherever it is, without the white space around it.
pub fn read_file(path: &Path) -> Result<String, String> {
    // Said here, since systems disagree on what reading a folder fails with.
    if path.is_dir() {
        return Err("it is a directory".to_owned());
    }
    let bytes = files::read(path, FILE_BYTES_MAX).map_err(|error| match error {
        files::ReadError::Io(error) => error.to_string(),
        files::ReadError::TooLarge => format!("it has more than {} KiB", FILE_BYTES_MAX / 1024),
        other => other.to_string(),
    })?;
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
    Ok(trimmed(&text).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), "\u{feff} from a file \r\n\r\n").unwrap();
        std::fs::write(folder.path().join("pem"), "-----\r\nabc\r\n-----\r\n").unwrap();
        let variables = |name: &str| match name {
            "A" => Some("one".to_owned()),
            "EMPTY" => Some(" \n".to_owned()),
            "LINE" => Some("\u{feff}\tone\r\n".to_owned()),
            _ => None,
        };
        let mut value = serde_yaml::Value::String(text.to_owned());
        let errors = expand(&mut value, Some(folder.path()), &variables).errors;
        match expected {
            Ok(expected) => assert_eq!((value.as_str(), errors.len()), (Some(expected), 0), "{text}"),
            Err(part) => assert!(errors[0].message.contains(part), "{text}: {errors:?}"),
        }
    }

    #[test]
    fn scalars_expand() {
        check("plain", Ok("plain"));
        check("${A}", Ok("one"));
        check("a ${A} b ${A}", Ok("a one b one"));
        check("${B:-two}", Ok("two"));
        check("${EMPTY:-two}", Ok("two"));
        check("${B:-}", Ok(""));
        check("${LINE}", Ok("one"));
        check("a${LINE}b", Ok("aoneb"));
        check("${EMPTY}", Err("`EMPTY` is not set"));
        check("${file:pem}", Ok("-----\r\nabc\r\n-----"));
        check("$${A}", Ok("${A}"));
        check("${file:key}", Ok("from a file"));
        check("${B}", Err("`B` is not set"));
        check("${file:none}", Err("cannot be read"));
        check("${file:.}", Err("directory"));
        check("${A", Err("not closed"));
        check("${A B}", Err("is not the name of an environment variable"));
        for name in ["", " ", "-x", "a\nb", "${A"] {
            check(&format!("${{secret:{name}}}"), Err("does not name a secret"));
        }
    }

    #[test]
    fn a_secret_has_no_default() {
        check("${secret:token:-abc}", Err("has a default, and a secret has none"));
    }

    #[test]
    fn secrets_by_name_wait_until_they_are_used() {
        let variables = |_: &str| Some("one".to_owned());
        let mut value: serde_yaml::Value =
            serde_yaml::from_str("a: x${secret:k/y}${A}$${secret:z}\nb: $${secret:z}").unwrap();
        let done = expand(&mut value, None, &variables);
        let text = |text: &str| Part::Text(text.to_owned());
        let parts = [text("x"), Part::Secret("k/y".to_owned()), text("one${secret:z}")];
        assert_eq!(done.later.get("/a").map(Vec::as_slice), Some(&parts[..]));
        assert_eq!((done.later.len(), value["b"].as_str()), (1, Some("${secret:z}")));
    }

    #[test]
    fn a_token_is_one_word() {
        for (text, expected) in [
            (" \u{feff}pat-na1\r\n", None),
            ("${TOKEN of}", None),
            ("pat\nna1", Some("a line break")),
            ("pat\rna1", Some("a line break")),
            ("pat na1", Some("a blank")),
            ("pat\tna1", Some("a blank")),
            ("pat\u{a0}na1", Some("a blank")),
            ("pat\u{feff}na1", Some("a letter that is not ASCII")),
            ("pat\0na1", Some("a control character")),
            ("pat\u{7f}na1", Some("a control character")),
        ] {
            assert_eq!(Secret::new(text).is_no_token(), expected, "{text:?}");
        }
        assert_eq!(Secret::new("a\nb\n").expose(), "a\nb");
    }

    #[test]
    fn secrets_are_never_printed() {
        let secret = Secret::new("hunter2");
        let shown = format!("{secret:?} {secret} {}", serde_json::to_string(&secret).unwrap());
        assert!(!shown.contains("hunter2") && secret.expose() == "hunter2");
    }
}
