//! The right of this process to a portal, as far as it knows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::ports::state::StateError;
use crate::sys::clock::LongMark;
use crate::sys::gate::Gate;

/// The right to a portal. Clones are one right.
#[derive(Clone)]
pub struct PortalRight(Arc<Right>);

struct Right {
    key: String,
    epoch: i64,
    lasts: Duration,
    gate: Gate,
    /// Somebody else has it by now, or it was given back.
    over: AtomicBool,
}

impl PortalRight {
    /// A right that was taken, and the gate that it opens.
    pub(super) fn new(key: String, epoch: i64, lasts: Duration, gate: Gate) -> Self {
        Self(Arc::new(Right { key, epoch, lasts, gate, over: AtomicBool::new(false) }))
    }

    /// How long it lasts without a renewal.
    pub(super) fn lasts(&self) -> Duration {
        self.0.lasts
    }

    /// Which portal.
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// Its number.
    pub fn epoch(&self) -> i64 {
        self.0.epoch
    }

    /// This moment, for [`PortalRight::renewed`].
    pub(super) fn mark(&self) -> LongMark {
        self.0.gate.mark()
    }

    /// It was renewed by what was asked for at a moment.
    pub(super) fn renewed(&self, asked: LongMark) {
        if !self.is_over() {
            self.0.gate.open(asked, self.0.lasts / 2, self.0.epoch);
        }
    }

    /// Somebody else has it.
    pub(super) fn lost(&self) -> StateError {
        self.end();
        self.gone("another worker took it over")
    }

    /// It is over.
    pub(super) fn end(&self) {
        self.0.over.store(true, Ordering::Relaxed);
        self.0.gate.close();
    }

    /// Whether somebody else has it by now, or it was given back.
    pub fn is_over(&self) -> bool {
        self.0.over.load(Ordering::Relaxed)
    }

    /// Errors: it was lost, or could not be renewed for too long.
    pub fn check(&self) -> Result<(), StateError> {
        if self.is_over() {
            return Err(self.gone("another worker took it over"));
        }
        if !self.0.gate.is_open() {
            return Err(self.gone("it could not be renewed in time"));
        }
        Ok(())
    }

    fn gone(&self, why: &str) -> StateError {
        StateError::Lost { portal: self.0.key.clone(), why: why.to_owned() }
    }
}
