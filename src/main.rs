//! argv in, exit code out, nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    syncline::cli::run(std::env::args_os()).into()
}
