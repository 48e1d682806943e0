//! Completion in a shell: the script that a shell loads, and the answer when it asks for candidates.

use std::ffi::OsString;

use clap_complete::env::{CompleteEnv, Shells};

use super::help;

/// The variable by which a shell's script asks for candidates. A name of its own: whoever sets `COMPLETE` for something else
/// still runs Syncline.
const VARIABLE: &str = "SYNCLINE_COMPLETE";

/// Answers a shell that asks for candidates. True where it did, so that nothing more is to be done.
pub fn answered(arguments: &[OsString]) -> bool {
    let here = std::env::current_dir().ok();
    let asked = CompleteEnv::with_factory(help::command).var(VARIABLE).bin("syncline").completer("syncline");
    // A shell shows nothing of an error, and completing nothing is the best that is left.
    asked.try_complete(arguments.iter().cloned(), here.as_deref()).unwrap_or(true)
}

/// The script that makes a shell ask; none for a shell that is not known.
pub fn script(shell: &str) -> Option<String> {
    let mut script = Vec::new();
    let completer = Shells::builtins();
    completer.completer(shell)?.write_registration(VARIABLE, "syncline", "syncline", "syncline", &mut script).ok()?;
    Some(String::from_utf8_lossy(&script).into_owned())
}
