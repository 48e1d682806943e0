//! Where `${secret:NAME}` comes from: a command of the user, a folder of files, the environment. What a project says decides nothing
//! here, unless the user's own environment allows it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::env::{Variables, read_file};
use crate::sys::process::{self, OutputError};
use crate::sys::secrets::remember;

/// The variable that names a command for secrets, as one would type it.
pub const COMMAND: &str = "SYNCLINE_SECRET_COMMAND";

/// The variable that allows the command of a project, by the same words.
pub const ALLOWED: &str = "SYNCLINE_ALLOW_SECRET_COMMAND";

/// The variable that names a folder with a file for each secret.
pub const FOLDER: &str = "SYNCLINE_SECRETS_DIR";

/// Folders of secrets that systemd and container platforms give a program.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
// Where Docker and Kubernetes put them by convention.
const MOUNTED: &str = "/run/secrets";

/// How long a command may take for one secret.
/// Time for a person to confirm on a device; a program that hangs must not hang a sync.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Largest secret, in bytes.
const BYTES_MAX: u64 = 64 * 1024;

/// One place where secrets are kept.
pub trait SecretProvider: Send + Sync + fmt::Debug {
    /// The secret of this name; none where it is not kept there.
    ///
    /// Errors: the place cannot be asked, in words that hold nothing of the secret.
    fn secret(&self, name: &str) -> Result<Option<String>, NoSecret>;

    /// What it is, in words.
    fn described(&self) -> String;
}

/// Why a secret cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoSecret {
    /// Code of the finding.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// The places where a project's secrets are kept, in the order in which they are asked. Each secret is asked for once.
#[derive(Debug, Clone)]
pub struct Secrets {
    providers: Arc<Vec<Box<dyn SecretProvider>>>,
    known: Arc<Mutex<HashMap<String, String>>>,
}

impl Secrets {
    /// The places that an environment names: its command alone, where there is one, else files, then variables. `proposed` is the
    /// command of the project in `root`, and `variables` are those of the user's own environment; `of_project` may come from a
    /// file of the project as well.
    pub fn new(
        names: &[String],
        proposed: Option<&[String]>,
        root: &Path,
        variables: Variables<'_>,
        of_project: Variables<'_>,
    ) -> Self {
        // What the user's environment names goes before what a repository proposes.
        let own = variables(COMMAND).filter(|line| !line.trim().is_empty());
        let command: Option<Box<dyn SecretProvider>> = match (own, proposed) {
            (Some(line), _) => Some(Box::new(Command { words: words(&line), folder: root.to_owned() })),
            (None, Some(proposed)) => {
                let line = shown(proposed);
                // Word by word the same, so that a changed command has to be allowed again.
                let allowed =
                    variables(ALLOWED).and_then(|allowed| words(&allowed)).is_some_and(|words| words == proposed);
                match allowed {
                    true => Some(Box::new(Command { words: Some(proposed.to_vec()), folder: root.to_owned() })),
                    false => Some(Box::new(NotAllowed { line })),
                }
            }
            (None, None) => None,
        };
        let providers = match command {
            // It alone: a name that it does not know must not be looked for in places that others can write to.
            Some(command) => vec![command],
            None => {
                let folders =
                    [FOLDER, CREDENTIALS].into_iter().filter_map(variables).filter(|folder| !folder.is_empty());
                let folders = folders.map(PathBuf::from).chain([PathBuf::from(MOUNTED)]);
                let files = folders.map(|folder| Box::new(Folder { folder }) as Box<dyn SecretProvider>);
                files.chain([Box::new(Variable::new(names, of_project)) as Box<dyn SecretProvider>]).collect()
            }
        };
        Self { providers: Arc::new(providers), known: Arc::default() }
    }

    /// The secret of this name, from the first place that keeps it.
    ///
    /// Errors: a place cannot be asked; none keeps it.
    pub fn secret(&self, name: &str) -> Result<String, NoSecret> {
        // Held while a place is asked, so that two pipelines do not ask a person twice.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(secret) = known.get(name) {
            return Ok(secret.clone());
        }
        for provider in self.providers.iter() {
            let found = provider.secret(name)?.map(|secret| secret.trim().to_owned());
            // An empty file is a secret that is yet to be put there.
            if let Some(secret) = found.filter(|secret| !secret.is_empty()) {
                remember(&secret);
                known.insert(name.to_owned(), secret.clone());
                return Ok(secret);
            }
        }
        let places: Vec<String> = self.providers.iter().map(|provider| provider.described()).collect();
        Err(NoSecret {
            code: "SL1010",
            message: format!("the secret `{name}` is not kept in {}", places.join(", nor in ")),
            help: format!("put it there, or let `{COMMAND}` name a command that gives it"),
        })
    }
}

/// A command line, as words: quotation marks hold a word together, and nothing else has a meaning. None where one is not closed.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for letter in line.chars() {
        match quote {
            Some(mark) if mark == letter => quote = None,
            Some(_) => word.get_or_insert_default().push(letter),
            None if letter == '"' || letter == '\'' => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            None if letter.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    (quote.is_none() && !words.is_empty()).then_some(words)
}

/// Words as a command line that means just these words.
fn shown(words: &[String]) -> String {
    let plain = |word: &str| {
        !word.is_empty() && !word.contains(|letter: char| letter.is_whitespace() || "\"'".contains(letter))
    };
    let one = |word: &String| match word {
        word if plain(word) => word.clone(),
        word if !word.contains('\'') => format!("'{word}'"),
        word => word.split('\'').map(|part| format!("'{part}'")).collect::<Vec<_>>().join("\"'\""),
    };
    words.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// A program of the user's that prints a secret: the command line tool of any manager.
#[derive(Debug)]
struct Command {
    /// None where its line could not be read.
    words: Option<Vec<String>>,
    /// The project, which is not searched for the program.
    folder: PathBuf,
}

impl Command {
    fn failed(&self, what: &str) -> NoSecret {
        let program = self.words.as_ref().and_then(|words| words.first()).map_or("", String::as_str);
        NoSecret {
            code: "SL1032",
            message: format!("the secret command `{program}` {what}"),
            help: "run it by hand to see what it says: its output is never shown here; nothing was read or sent"
                .to_owned(),
        }
    }
}

impl Command {
    /// There is nothing to run.
    fn absent(&self, program: &str) -> NoSecret {
        match process::not_executable(program, &self.folder) {
            Some(file) => NoSecret {
                help: format!("make it one: `chmod +x {}`; nothing was read or sent", shown(&[file.display().to_string()])),
                ..self.failed("is a file that may not be run")
            },
            None => NoSecret {
                help: "install it, or name it by its whole path; a program inside the project is never run; nothing was read or sent".to_owned(),
                ..self.failed("is not found on the PATH outside of the project")
            },
        }
    }
}

impl SecretProvider for Command {
    fn secret(&self, name: &str) -> Result<Option<String>, NoSecret> {
        const NAME: &str = "{name}";
        let Some([program, arguments @ ..]) = self.words.as_deref() else {
            return Err(NoSecret {
                code: "SL1032",
                message: format!(
                    "`{COMMAND}` is not a command line: a quotation mark is not closed, or there is no word"
                ),
                help: "write it as one would type it, such as `pass show syncline/{name}`".to_owned(),
            });
        };
        // A program of that name in the project would be chosen by whoever may commit there.
        let mut command = process::of_user(program, &self.folder).ok_or_else(|| self.absent(program))?;
        // As arguments and through no shell, so that a name cannot be read as a command.
        command.args(arguments.iter().map(|argument| argument.replace(NAME, name)));
        // Without a place for it, the name comes last, as most managers take it.
        if !arguments.iter().any(|argument| argument.contains(NAME)) {
            command.arg(name);
        }
        let output = process::output(command, ANSWER_WITHIN, BYTES_MAX).map_err(|error| match error {
            OutputError::Start(error) => self.failed(&format!("cannot be started: {error}")),
            OutputError::Failed(Some(code)) => self.failed(&format!("ended with code {code} for `{name}`")),
            OutputError::Failed(None) => self.failed(&format!("was ended by a signal for `{name}`")),
            OutputError::TooSlow => {
                self.failed(&format!("did not give `{name}` within {} seconds", ANSWER_WITHIN.as_secs()))
            }
            OutputError::TooLong => self.failed(&format!("gave more than {} KiB for `{name}`", BYTES_MAX / 1024)),
        })?;
        let secret = String::from_utf8(output).map_err(|_| self.failed(&format!("gave no UTF-8 text for `{name}`")))?;
        if secret.trim().is_empty() {
            Err(self.failed(&format!("gave nothing for `{name}`")))
        } else {
            Ok(Some(secret))
        }
    }

    fn described(&self) -> String {
        "what the secret command gives".to_owned()
    }
}

/// A command that only the project names.
#[derive(Debug)]
struct NotAllowed {
    line: String,
}

impl SecretProvider for NotAllowed {
    fn secret(&self, _: &str) -> Result<Option<String>, NoSecret> {
        Err(NoSecret {
            code: "SL1032",
            message: "the project's `secret_command` is not allowed here, and was not run".to_owned(),
            help: format!(
                "whoever changes syncline.yaml chooses this program: read it, then allow just this one in your own environment: {ALLOWED}={}",
                shown(std::slice::from_ref(&self.line))
            ),
        })
    }

    fn described(&self) -> String {
        "what the project's command gives".to_owned()
    }
}

/// A folder with a file for each secret.
#[derive(Debug)]
struct Folder {
    folder: PathBuf,
}

impl SecretProvider for Folder {
    fn secret(&self, name: &str) -> Result<Option<String>, NoSecret> {
        // A name must not lead out of the folder.
        let one_file = !name.contains(['/', '\\']) && !name.starts_with('.');
        let path = self.folder.join(name);
        if !one_file || !path.exists() {
            return Ok(None);
        }
        read_file(&path).map(Some).map_err(|error| NoSecret {
            code: "SL1010",
            message: format!("the secret `{name}` cannot be read from `{}`: {error}", self.folder.display()),
            help: "check the file and its permissions".to_owned(),
        })
    }

    fn described(&self) -> String {
        format!("`{}`", self.folder.display())
    }
}

/// Variables called like the secrets, or like them in capitals: `hubspot-token` is `HUBSPOT_TOKEN` too.
#[derive(Debug)]
struct Variable {
    values: BTreeMap<String, super::env::Secret>,
}

impl Variable {
    fn new(names: &[String], variables: Variables<'_>) -> Self {
        let capitals = |name: &str| -> String {
            name.chars()
                .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' })
                .collect()
        };
        // The environment cannot hold such a name, and asking for one panics on some systems.
        let usable = |name: &str| !name.contains(['=', '\0']);
        let found = |name: &String| {
            let value =
                [name.clone(), capitals(name)].iter().filter(|name| usable(name)).find_map(|name| variables(name));
            // Kept as secrets at once, so that no message can quote one before it is used.
            Some((name.clone(), super::env::Secret::new(value.filter(|value| !value.trim().is_empty())?)))
        };
        Self { values: names.iter().filter_map(found).collect() }
    }
}

impl SecretProvider for Variable {
    fn secret(&self, name: &str) -> Result<Option<String>, NoSecret> {
        Ok(self.values.get(name).map(|secret| secret.expose().to_owned()))
    }

    fn described(&self) -> String {
        "the environment".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(variables: Variables<'_>, proposed: Option<&[&str]>) -> Secrets {
        let proposed: Option<Vec<String>> = proposed.map(|words| words.iter().map(|word| (*word).to_owned()).collect());
        let names = ["hubspot-token".to_owned(), "a/b".to_owned()];
        Secrets::new(&names, proposed.as_deref(), Path::new("/nowhere"), variables, variables)
    }

    #[test]
    fn a_command_line_is_words_and_back() {
        for (line, expected) in [
            ("op read op://x/{name}", Some(&["op", "read", "op://x/{name}"][..])),
            (" pass  show 'a b' \"c'd\" ''", Some(&["pass", "show", "a b", "c'd", ""])),
            ("a'b c'd", Some(&["ab cd"])),
            ("a 'b", None),
            ("   ", None),
            ("a $(b) `c` ; d", Some(&["a", "$(b)", "`c`", ";", "d"])),
        ] {
            let read = words(line);
            assert_eq!(
                read.as_ref().map(|words| words.iter().map(String::as_str).collect::<Vec<_>>()).as_deref(),
                expected,
                "{line}"
            );
            assert_eq!(read.as_ref().map(|read| words(&shown(read))), read.clone().map(Some), "{line}");
        }
        let odd = ["it's".to_owned(), "a\"b".to_owned(), "'".to_owned()];
        assert_eq!(words(&shown(&odd)).unwrap(), odd);
    }

    #[test]
    fn a_secret_comes_from_a_file_else_from_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("hubspot-token"), "from-a-file-1\n").unwrap();
        let place = folder.path().to_str().unwrap().to_owned();
        let variables = |name: &str| match name {
            FOLDER => Some(place.clone()),
            "HUBSPOT_TOKEN" => Some("from-a-variable-1".to_owned()),
            "A_B" => Some("from-a-variable-2".to_owned()),
            _ => None,
        };
        assert_eq!(secrets(&variables, None).secret("hubspot-token").unwrap(), "from-a-file-1");
        assert_eq!(secrets(&variables, None).secret("a/b").unwrap(), "from-a-variable-2");
        let missing = secrets(&variables, None).secret("c").unwrap_err();
        assert!(missing.message.contains("the secret `c` is not kept in") && missing.code == "SL1010", "{missing:?}");
    }

    #[test]
    fn a_command_of_the_user_gives_what_it_prints_and_nothing_else_is_asked() {
        for (line, expected) in [
            ("printf secret-of-{name}", Ok("secret-of-a/b")),
            ("printf %s", Ok("a/b")),
            ("sh -c 'echo oops-1; exit 3' {name}", Err("ended with code 3 for `a/b`")),
            ("true", Err("gave nothing for `a/b`")),
            ("printf '\\377'", Err("gave no UTF-8 text")),
            ("head -c 70000 /dev/zero {name}", Err("gave more than 64 KiB")),
            ("no-such-program-1", Err("is not found on the PATH")),
            ("./get", Err("is not found on the PATH")),
            ("/etc/passwd", Err("is a file that may not be run")),
            ("get 'x", Err("not a command line")),
        ] {
            let variables = |name: &str| (name == COMMAND).then(|| line.to_owned());
            match (secrets(&variables, None).secret("a/b"), expected) {
                (Ok(secret), Ok(expected)) => assert_eq!(secret, expected),
                (Err(error), Err(part)) => {
                    assert!(error.message.contains(part) && !error.message.contains("oops"), "{line}: {error:?}");
                }
                (found, _) => panic!("{line}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_command_of_the_project_needs_to_be_allowed_word_by_word() {
        let proposed: &[&str] = &["printf", "secret of {name}"];
        for (allowed, runs) in [
            (None, false),
            (Some("printf 'secret of {name}'"), true),
            (Some(" 'printf' \"secret of {name}\" "), true),
            (Some("printf secret of {name}"), false),
            (Some("printf"), false),
            (Some("1"), false),
        ] {
            let variables = |name: &str| allowed.filter(|_| name == ALLOWED).map(str::to_owned);
            let found = secrets(&variables, Some(proposed)).secret("a/b");
            assert_eq!(found.as_deref().ok(), runs.then_some("secret of a/b"), "{allowed:?}");
            if let Err(error) = found {
                assert!(error.help.contains("printf") && error.code == "SL1032", "{error:?}");
            }
        }
    }
}
