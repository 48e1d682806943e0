//! Log set-up: events go to stderr, as text or as JSON; traces go to a collector, where the environment names one.

use std::io::{self, Write};

use tokio::runtime::Handle;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

use super::args::Arguments;
use super::args::common::LogFormat;
use super::colour;
#[cfg(feature = "otel")]
use super::otel;
use super::output;
use crate::config::env::process_variables;
#[cfg(feature = "otel")]
use crate::sys::spans;

/// Starts the log, and the traces.
pub fn start(arguments: &Arguments, runtime: &Handle) -> Traces {
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
    #[cfg(feature = "otel")]
    let (registry, begun) = {
        let (spans, begun) = match otel::begin(&process_variables, runtime) {
            Ok(Some((spans, export))) => (Some(spans), Ok(Some(export))),
            Ok(None) => (None, Ok(None)),
            Err(error) => (None, Err(error)),
        };
        let marked = Targets::new().with_target(spans::TARGET, LevelFilter::INFO);
        (registry.with(spans.map(|layer| layer.with_filter(marked))), begun)
    };
    // A second start in one process (tests) keeps the first log.
    let _ = match common.log_format {
        LogFormat::Json => registry.with(layer.json().with_filter(levels)).try_init(),
        LogFormat::Text => registry.with(layer.with_ansi(in_colour).with_target(false).with_filter(levels)).try_init(),
    };
    #[cfg(feature = "otel")]
    let traces = Traces(begun.unwrap_or_else(|error| {
        tracing::warn!(error, "no traces are exported");
        None
    }));
    #[cfg(not(feature = "otel"))]
    let traces = {
        let _ = runtime;
        if process_variables("OTEL_EXPORTER_OTLP_ENDPOINT").is_some() {
            tracing::info!("no traces are exported: this program was built without the feature `otel`");
        }
        Traces
    };
    traces
}

/// The traces of the program, until it ends.
#[cfg(feature = "otel")]
pub struct Traces(Option<otel::Export>);

/// The traces of the program; there are none without the feature `otel`.
#[cfg(not(feature = "otel"))]
pub struct Traces;

impl Traces {
    /// Sends what is left of them.
    pub fn end(self) {
        #[cfg(feature = "otel")]
        if let Some(export) = self.0 {
            export.end();
        }
    }
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
