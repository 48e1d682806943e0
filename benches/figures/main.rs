//! Figures, and no test that could fail for being slow: times belong to a machine.
//!
//! - `cargo bench --profile dist --bench figures -- sandbox [RECORDS]`: what the sandbox takes.
//! - `… -- import [RECORDS]`: an import beside the floor, the same once more, cycles without a change.
//! - `… -- rate RECORDS MILLISECONDS [PIPELINES [processes]]`: the share of the call budget that an import uses.
//! - `… -- plots [RECORDS]`: calls and records over time at three latencies, as pictures in docs/pictures.
//! - `… -- long RECORDS BYTES`, `… -- bad RECORDS EVERY`, `… -- killed RECORDS`, `… -- one-account RECORDS`, `… -- plan RECORDS`: long
//!   texts, refused values, a kill, records of one account, a plan.
//! - `… -- instructions`: what parts of an import cost a record, and parts of `validate` a pipeline, in instructions; needs `valgrind`.
//! - `… -- files [PIPELINES]`: `validate` of many pipelines with a catalog, and `--version`.
//! - `… -- state [RECORDS]`, `… -- upgrade [RECORDS]`: the state alone; the upgrade of one of version 7.
//! - `… -- check`: the same at a small size; fails on calls, refusals, memory and state, and never on time.
//! - `… -- table`: what docs/performance.md shows. An hour.
//!
//! `FIGURES_PROGRAM` names a program to be measured in place of the one of this build.
//!
//! Linux only, as what a process used is read from `/proc`.

#![expect(clippy::print_stdout, reason = "a program that measures and prints")]

use anyhow::{Context as _, Result};

mod files;
mod floor;
mod http;
mod import;
mod instructions;
mod plot;
mod sandbox;
mod serve;
mod state;
mod stub;
mod upgrade;
mod usage;
mod world;

/// The argument by which the program runs itself as the floor; two addresses follow.
const FLOOR: &str = "be-the-floor";

/// The same, which reads and maps but sends nothing.
const FLOOR_MAPS: &str = "be-the-floor-that-maps";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse().context("a number is expected");
    match arguments.as_slice() {
        [serve::SERVE, records] => serve::serve(records.parse()?),
        [stub::STUB, settings] => stub::serve(settings),
        [FLOOR, salesforce, hubspot] => floor::copy(salesforce, hubspot, true),
        [FLOOR_MAPS, salesforce, hubspot] => floor::copy(salesforce, hubspot, false),
        ["sandbox", records] => sandbox::measure(number(records)?),
        ["import", records] => import::cost(number(records)?).map(drop),
        ["rate", records, latency, rest @ ..] => {
            let pipelines = rest.first().map_or(Ok(1), |text| number(text))?;
            import::rate(number(records)?, latency.parse()?, pipelines, rest.get(1).is_some()).map(drop)
        }
        ["plots"] => import::plots(100_000),
        ["plots", records] => import::plots(number(records)?),
        ["long", records, bytes] => import::long_texts(number(records)?, number(bytes)?).map(drop),
        ["one-account", records] => import::of_one_account(number(records)?).map(drop),
        ["plan", records] => import::planned(number(records)?).map(drop),
        ["bad", records, every] => import::bad_values(number(records)?, number(every)?).map(drop),
        ["killed", records] => import::killed(number(records)?).map(drop),
        ["instructions"] => {
            import::instructions(12_000, 32_000)?;
            files::instructions(20, 100)
        }
        ["files"] => files::measure(100),
        ["files", pipelines] => files::measure(number(pipelines)?),
        ["state", records] => state::measure(number(records)?),
        ["state"] => state::measure(100_000),
        ["upgrade", records] => upgrade::measure(number(records)?),
        ["upgrade"] => upgrade::measure(1_000_000),
        [upgrade::UPGRADE, path] => upgrade::upgrade(path.as_ref()),
        ["check"] => import::check(),
        ["table"] => {
            for records in [50_000, 100_000, 1_000_000] {
                import::cost(records)?;
            }
            import::plots(100_000)?;
            import::rate(50_000, 50, world::OBJECTS, false)?;
            import::rate(50_000, 50, world::OBJECTS, true)?;
            import::long_texts(20_000, 30_000)?;
            import::bad_values(100_000, 10_000)?;
            import::killed(100_000)?;
            files::measure(100)
        }
        _ => {
            sandbox::measure(100_000)?;
            import::cost(20_000).map(drop)
        }
    }
}
