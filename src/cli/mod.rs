//! The command line: arguments in, text out. The only place that prints.

pub mod args;
pub mod commands;
pub mod definitions;
pub mod demo;
pub mod exit;
pub mod history;
pub mod output;
pub mod progress;
pub mod records;
pub mod render;
pub mod review;
pub mod sandbox;
pub mod shared;
pub mod signals;
pub mod trace;

use std::ffi::OsString;

use clap::Parser;

use args::Arguments;
use exit::Exit;

/// Runs one command.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are answers, everything else is a wrong command line.
            let wrong = error.use_stderr();
            output::clap(&error);
            return if wrong { Exit::Usage } else { Exit::Done };
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::error(&format!("cannot start: {error}"), None, None);
            return Exit::Failed;
        }
    };
    trace::start(&arguments);
    runtime.block_on(commands::run(arguments))
}
