//! Whether colours are used: for results, for talk and for the log alike.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicU8, Ordering};

use clap::ValueEnum;

use crate::config::env::process_variables;

/// When colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless the environment says otherwise
    Auto,
    /// Everywhere
    Always,
    /// Nowhere
    Never,
}

/// What the command line says: a [`Colour`] by its number.
/// Global, as errors are printed in places that no argument reaches.
static WISH: AtomicU8 = AtomicU8::new(Colour::Auto as u8);

/// Keeps what the command line says about colours.
pub fn set(wish: Colour) {
    WISH.store(wish as u8, Ordering::Relaxed);
}

/// Whether colours are wanted on stdout.
pub fn of_results() -> bool {
    wanted(WISH.load(Ordering::Relaxed), &process_variables, io::stdout().is_terminal())
}

/// Whether colours are wanted on stderr.
pub fn of_talk() -> bool {
    wanted(WISH.load(Ordering::Relaxed), &process_variables, io::stderr().is_terminal())
}

/// The command line goes first, then `NO_COLOR`, then `CLICOLOR_FORCE`, then what the stream is.
fn wanted(wish: u8, variables: &dyn Fn(&str) -> Option<String>, terminal: bool) -> bool {
    // As no-color.org has it: an empty variable says nothing.
    let set = |name: &str| variables(name).filter(|value| !value.is_empty());
    match wish {
        always if always == Colour::Always as u8 => true,
        never if never == Colour::Never as u8 => false,
        _ if set("NO_COLOR").is_some() => false,
        _ if set("CLICOLOR_FORCE").is_some_and(|value| value != "0") => true,
        _ if set("CLICOLOR").is_some_and(|value| value == "0") || set("TERM").is_some_and(|value| value == "dumb") => {
            false
        }
        _ => terminal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(wish: Colour, set: &[(&str, &str)], terminal: bool, expected: bool) {
        let variables = |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        assert_eq!(wanted(wish as u8, &variables, terminal), expected, "{wish:?} {set:?} {terminal}");
    }

    #[test]
    fn who_decides_about_colours() {
        for terminal in [true, false] {
            check(Colour::Auto, &[], terminal, terminal);
            check(Colour::Always, &[("NO_COLOR", "1")], terminal, true);
            check(Colour::Never, &[("CLICOLOR_FORCE", "1")], terminal, false);
            check(Colour::Auto, &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], terminal, false);
            check(Colour::Auto, &[("NO_COLOR", ""), ("CLICOLOR_FORCE", "1")], terminal, true);
            check(Colour::Auto, &[("CLICOLOR_FORCE", "0")], terminal, terminal);
            check(Colour::Auto, &[("CLICOLOR", "0")], terminal, false);
            check(Colour::Auto, &[("TERM", "dumb")], terminal, false);
        }
    }
}
