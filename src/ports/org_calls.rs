//! The daily calls to an org, drawn by all processes that share them.

use futures_util::future::BoxFuture;
use jiff::Timestamp;

use super::state::StateError;
use crate::model::daily_calls::DailyCalls;

/// What somebody wants who is about to make calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// How many calls of a day Syncline may make.
    pub most: u64,
    /// Calls that were made without being drawn: before it was known how many there may be.
    pub made: u64,
    /// The time by the org's clock; none where it is not known yet.
    pub at: Option<Timestamp>,
}

/// What is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawn {
    /// Calls that may be made, by the hour that they count for; none where the day is used up.
    pub calls: DailyCalls,
    /// How many are drawn in all.
    pub used: u64,
    /// When some of them count no more.
    pub frees_at: Option<Timestamp>,
}

/// The daily calls to orgs.
pub trait OrgCalls: Send + Sync {
    /// Draws some calls. They count from now on, whether they are made or not.
    fn draw<'a>(&'a self, org: &'a str, wish: &'a Wish) -> BoxFuture<'a, Result<Drawn, StateError>>;

    /// Gives back what was not made.
    fn give_back<'a>(&'a self, org: &'a str, calls: &'a DailyCalls) -> BoxFuture<'a, Result<(), StateError>>;
}
