//! What the long forms of tests share: how long they are, and the figures that scripts read.

/// A number that the environment gives.
pub(crate) fn variable(name: &str) -> Option<u64> {
    text(name)?.parse().ok()
}

/// A text that the environment gives.
#[expect(clippy::disallowed_methods, reason = "a switch of the tests")]
pub(crate) fn text(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Prints figures.
#[expect(clippy::print_stdout, reason = "a script reads them")]
pub(crate) fn tell(figures: &str) {
    println!("{figures}");
}
