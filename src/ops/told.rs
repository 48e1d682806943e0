//! Trouble that is told of once, until it is over.

use std::cell::RefCell;
use std::collections::HashSet;

/// What was told of and goes on.
#[derive(Debug, Default)]
pub struct Told(RefCell<HashSet<String>>);

impl Told {
    /// Tells of something, unless it was told of and goes on.
    pub fn once(&self, what: &str, tell: impl FnOnce()) {
        if self.0.borrow_mut().insert(what.to_owned()) {
            tell();
        }
    }

    /// It is over.
    pub fn over(&self, what: &str) {
        self.0.borrow_mut().remove(what);
    }
}
