//! Whose turn it is to change the associations of two records: batches that are under way at once never meet at a pair.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::model::hash::IdState;
use crate::model::ids::SalesforceId;

/// Two Salesforce records whose HubSpot records are associated, whichever of them is named first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SourcePair(SalesforceId, SalesforceId);

impl SourcePair {
    /// The pair of two records.
    pub(super) fn new(one: SalesforceId, other: SalesforceId) -> Self {
        Self(one.min(other), one.max(other))
    }
}

/// Pairs of records.
pub(super) type Pairs = HashSet<SourcePair, IdState>;

/// The pairs that somebody is at work on.
#[derive(Debug, Default)]
pub(super) struct PairTurns {
    taken: Mutex<Pairs>,
    freed: Notify,
}

/// The right to change the associations of some pairs; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a PairTurns,
    pairs: Pairs,
}

impl PairTurns {
    /// Waits until nobody else is at work on any of these pairs. All are taken at once, so that two who wait for each other
    /// cannot be.
    pub(super) async fn take(&self, pairs: Pairs) -> Turn<'_> {
        loop {
            // Asked for before the look, so that no end of a turn is missed in between.
            let freed = self.freed.notified();
            if self.is_free(&pairs) {
                return Turn { turns: self, pairs };
            }
            freed.await;
        }
    }

    /// Takes the pairs where all of them are free.
    fn is_free(&self, pairs: &Pairs) -> bool {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let free = taken.is_disjoint(pairs);
        if free {
            taken.extend(pairs);
        }
        free
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut taken = self.turns.taken.lock().unwrap_or_else(PoisonError::into_inner);
        for pair in &self.pairs {
            taken.remove(pair);
        }
        drop(taken);
        self.turns.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn pair(one: &str, other: &str) -> SourcePair {
        SourcePair::new(one.parse().unwrap(), other.parse().unwrap())
    }

    #[test]
    fn a_pair_has_one_at_work_whichever_side_names_it() {
        let (a, b, c) = ("a015g00000AbCdEAAV", "0015g00000XyZaBAAV", "0015g00000XyZaCAAV");
        let turns = PairTurns::default();
        let first = turns.take(Pairs::from_iter([pair(a, b)])).now_or_never().unwrap();
        let other = turns.take(Pairs::from_iter([pair(a, c)])).now_or_never().unwrap();
        let mut waiting = Box::pin(turns.take(Pairs::from_iter([pair(b, a), pair(c, a)])));
        assert!((&mut waiting).now_or_never().is_none());
        drop(first);
        assert!((&mut waiting).now_or_never().is_none(), "one of two is still taken");
        drop(other);
        assert!((&mut waiting).now_or_never().is_some());
    }
}
