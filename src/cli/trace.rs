//! Log set-up: events go to stderr, as text or as JSON.

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

use super::args::{Arguments, LogFormat};

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
    let own = tracing_subscriber::filter::Targets::new().with_target("syncline", level);
    let layer = fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry();
    // A second start in one process (tests) keeps the first log.
    let _ = match common.log_format {
        LogFormat::Json => registry.with(layer.json().with_filter(own)).try_init(),
        LogFormat::Text => {
            registry.with(layer.with_ansi(!common.no_color).with_target(false).with_filter(own)).try_init()
        }
    };
}
