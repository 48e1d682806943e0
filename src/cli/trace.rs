//! Log set-up: events go to stderr, as text or as JSON.

use std::io::{self, Write};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

use super::args::Arguments;
use super::args::common::LogFormat;
use super::colour;
use super::output;

/// Starts the log.
pub fn start(arguments: &Arguments) {
    let common = &arguments.common;
    let level = match (common.quiet, common.verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::INFO,
        (false, _) => LevelFilter::DEBUG,
    };
    // Other crates' events may hold addresses and bodies; ours never do.
    let talk = if common.quiet { LevelFilter::ERROR } else { LevelFilter::INFO };
    let levels = Targets::new().with_target("syncline", level).with_target(output::TALK, talk);
    output::talk_as_events(common.log_format == LogFormat::Json);
    let (in_json, in_colour) = (common.log_format == LogFormat::Json, colour::of_talk());
    let layer = fmt::layer().with_writer(move || Log { in_json, in_colour });
    let registry = tracing_subscriber::registry();
    // A second start in one process (tests) keeps the first log.
    let _ = match common.log_format {
        LogFormat::Json => registry.with(layer.json().with_filter(levels)).try_init(),
        LogFormat::Text => registry.with(layer.with_ansi(in_colour).with_target(false).with_filter(levels)).try_init(),
    };
}

/// Takes whole events and hands them to the one place that prints.
struct Log {
    in_json: bool,
    in_colour: bool,
}

impl Write for Log {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        io::stderr().write_all(output::log(event, self.in_json, self.in_colour).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
