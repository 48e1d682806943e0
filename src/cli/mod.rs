//! The command line: arguments in, text out. The only place that prints.

pub mod args;
pub mod care;
pub mod colour;
pub mod commands;
pub mod complete;
pub mod definitions;
pub mod demo;
pub mod deploy;
pub mod exit;
pub mod help;
pub mod history;
mod login;
#[cfg(feature = "mcp")]
mod mcp;
#[cfg(feature = "otel")]
mod otel;
pub mod output;
mod part;
pub mod progress;
pub mod records;
pub mod render;
pub mod review;
pub mod sandbox;
pub mod serve;
mod service;
pub mod shared;
pub mod signals;
pub mod trace;
pub mod units;
#[cfg(feature = "postgres")]
mod worker;

use std::env::ArgsOs;
use std::ffi::OsString;

use clap::FromArgMatches;

use args::Arguments;
use colour::Colour;
use exit::Exit;

/// Runs one command.
pub fn run(arguments: ArgsOs) -> Exit {
    // First of all, so that no panic prints by itself what may hold a secret.
    output::tell_panics();
    let arguments: Vec<OsString> = arguments.collect();
    if complete::answered(&arguments) {
        return Exit::Done;
    }
    let parsed = help::command().color(colour_of_help(&arguments)).try_get_matches_from(&arguments);
    let arguments = match parsed.and_then(|matches| Arguments::from_arg_matches(&matches)) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are answers, everything else is a wrong command line.
            let wrong = error.use_stderr();
            output::clap(&error);
            return if wrong { Exit::Usage } else { Exit::Done };
        }
    };
    // One thread, beside those for what blocks: several hand each other work and memory all the time, which costs more than it brings where
    // the services' limits decide how fast it goes.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::error(&format!("cannot start: {error}"), None, None);
            return Exit::Failed;
        }
    };
    let common = &arguments.common;
    colour::set(if common.no_color { Colour::Never } else { common.color });
    let traces = trace::start(&arguments, runtime.handle());
    #[cfg(debug_assertions)]
    if let Err(error) = watch_crash_points() {
        output::error(&error, None, None);
        return Exit::Usage;
    }
    runtime.block_on(async {
        let exit = commands::run(arguments).await;
        // It waits for what this thread sends.
        let _ = tokio::task::spawn_blocking(move || traces.end()).await;
        exit
    })
}

/// Lets the process die where a test says, or tells the test what it reaches.
#[cfg(debug_assertions)]
fn watch_crash_points() -> Result<(), String> {
    use crate::config::env::process_variables;
    use crate::sys::crash_watch;
    if let Some(file) = process_variables("SYNCLINE_CRASH_TRACE") {
        crash_watch::trace(file.into());
    }
    process_variables("SYNCLINE_CRASH_AT").map_or(Ok(()), |order| crash_watch::arm(&order))
}

/// What the arguments say about colours, before they are read: the help has some, too.
fn colour_of_help(arguments: &[OsString]) -> clap::ColorChoice {
    let mut words = arguments.iter().filter_map(|word| word.to_str()).peekable();
    while let Some(word) = words.next() {
        match (word, words.peek().copied()) {
            ("--no-color" | "--color=never", _) | ("--color", Some("never")) => return clap::ColorChoice::Never,
            ("--color=always", _) | ("--color", Some("always")) => return clap::ColorChoice::Always,
            _ => {}
        }
    }
    clap::ColorChoice::Auto
}
