//! Text of others on its way into a line of ours: no secret, no line break, nothing that a terminal would obey.

use crate::model::text::line;
use crate::sys::secrets::masked;

/// A text of others as a part of one line.
pub fn safe(text: &str) -> String {
    line(&masked(text)).into_owned()
}

/// Several of them, with commas between.
pub fn listed<T: AsRef<str>>(texts: &[T]) -> String {
    texts.iter().map(|text| safe(text.as_ref())).collect::<Vec<_>>().join(", ")
}
