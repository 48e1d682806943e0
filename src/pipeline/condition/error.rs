//! Why a text is no condition, and where.

use std::ops::Range;

/// Why a text is no condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// What is wrong.
    pub message: String,
    /// What stands under the caret.
    pub label: String,
    /// Where, in bytes of the condition.
    pub span: Range<usize>,
    /// What to do.
    pub help: Option<String>,
}
