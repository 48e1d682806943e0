//! argv in, exit code out, nothing else.

use std::process::ExitCode;

/// Millions of short texts come and go, on several threads: the system's allocator takes a sixth of an import for them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    syncline::cli::run(std::env::args_os()).into()
}
