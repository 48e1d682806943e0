//! Exit codes, the one table of them.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 2: `plan --detailed-exitcode` found changes.
    Changes,
    /// 3: done, but some records failed and are kept under `failures`.
    Partial,
    /// 1: failed or invalid.
    Failed,
    /// 64: wrong command line.
    Usage,
    /// 130: interrupted, state saved.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Changes => 2,
            Exit::Partial => 3,
            Exit::Usage => 64,
            Exit::Interrupted => 130,
        })
    }
}
