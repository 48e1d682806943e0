//! Figures, and no test that could fail for being slow: times belong to a machine.
//!
//! - `cargo bench --profile dist --bench figures -- sandbox [RECORDS]`: what the sandbox takes.
//! - `cargo bench --profile dist --bench figures -- import [RECORDS]`: an import beside the floor.
//! - `cargo bench --profile dist --bench figures -- state [RECORDS]`: the state alone.
//!
//! Linux only, as what a process used is read from `/proc`.

#![expect(clippy::print_stdout, reason = "a program that measures and prints")]

use anyhow::{Context as _, Result};

mod floor;
mod http;
mod import;
mod sandbox;
mod serve;
mod state;
mod usage;

/// The argument by which the program runs itself as the floor; two addresses follow.
const FLOOR: &str = "be-the-floor";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse().context("RECORDS must be a number");
    match arguments.as_slice() {
        [serve::SERVE, records] => serve::serve(records.parse()?),
        [FLOOR, salesforce, hubspot] => floor::copy(salesforce, hubspot),
        ["sandbox", records] => sandbox::measure(number(records)?),
        ["import", records] => import::measure(number(records)?),
        ["state", records] => state::measure(number(records)?),
        ["state"] => state::measure(100_000),
        ["sandbox"] => sandbox::measure(100_000),
        ["import"] => import::measure(20_000),
        _ => {
            sandbox::measure(100_000)?;
            import::measure(20_000)
        }
    }
}
