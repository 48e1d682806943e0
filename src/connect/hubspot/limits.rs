//! The limits of a portal's calls: the ordinary one, the one of associations beside it, and that of searches, which count in no other.

use std::sync::Arc;
use std::time::Duration;

use crate::connect::http::client::Reply;
use crate::connect::http::limiter::{Caller, Limiter, Stopped};
use crate::connect::http::ring::Ring;
use crate::connect::http::window::{Sent, Share};
use crate::sys::cancel::Cancel;
use crate::sys::clock::Clock;

/// Assumed until an answer tells the limit.
const RATE_LIMIT: (u32, Duration) = (100, Duration::from_secs(10));

/// Searches are limited for the whole account, by the second: HubSpot takes five, and one of them is left to other apps. No answer
/// tells of it.
const SEARCH_LIMIT: (u32, Duration) = (4, Duration::from_secs(1));

/// Association calls have a limit of their own beside the ordinary one. No answer names it; HubSpot documents one for each
/// of the ordinary limits.
fn association_limit(calls_max: u32) -> u32 {
    match calls_max {
        // Free and Starter portals have 100 ordinary calls in ten seconds, a public app 110.
        0..=110 => calls_max.min(100),
        // Professional and Enterprise portals have 190.
        111..=190 => 150,
        // The add-on that raises the limits makes it 250.
        _ => 200,
    }
}

/// What a call counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The ordinary limit.
    Ordinary,
    /// The ordinary one and that of associations.
    Association,
    /// That of searches alone.
    Search,
}

/// The places of a call in the windows that it counts in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    ordinary: Option<Sent>,
    association: Option<Sent>,
    search: Option<Sent>,
}

/// The limits of one connection.
#[derive(Clone)]
pub(super) struct Limits {
    ordinary: Arc<Limiter>,
    associations: Arc<Limiter>,
    searches: Arc<Limiter>,
}

impl Limits {
    /// As settings have the ordinary limit, or as answers will tell; `ring` opens what the processes of this computer share, for a suffix.
    pub(super) fn new(
        settled: Option<(u32, Duration)>,
        ring: impl Fn(&str) -> Option<Ring>,
        clock: &Clock,
        cancel: &Cancel,
    ) -> Self {
        let fixed = settled.is_some();
        let (calls, interval) = settled.unwrap_or(RATE_LIMIT);
        let limiter = |(calls_max, interval): (u32, Duration), fixed: bool, suffix: &str| {
            Arc::new(Limiter::new(calls_max, interval, fixed, ring(suffix), clock.clone(), cancel.clone()))
        };
        // A fixed limit is meant for all calls; association calls are taken for a part of them.
        let associations = if fixed { calls } else { association_limit(calls) };
        Self {
            ordinary: limiter((calls, interval), fixed, ""),
            associations: limiter((associations, interval), fixed, "-associations"),
            searches: limiter(SEARCH_LIMIT, true, "-searches"),
        }
    }

    /// Waits for a place in each window that the call counts in.
    pub(super) async fn acquire(&self, kind: Kind, share: Share, caller: &Caller) -> Result<Places, Stopped> {
        let mut places = Places { ordinary: None, association: None, search: None };
        // The scarcer one first: a place in the ordinary window is not held while waiting for it.
        match kind {
            Kind::Search => places.search = Some(self.searches.acquire(share, caller).await?),
            Kind::Association => places.association = Some(self.associations.acquire(share, caller).await?),
            Kind::Ordinary => {}
        }
        if kind != Kind::Search {
            places.ordinary = Some(self.ordinary.acquire(share, caller).await?);
        }
        Ok(places)
    }

    /// The call that has these places is written to the connection now.
    pub(super) fn written(&self, places: Places) {
        let windows = [
            (&self.ordinary, places.ordinary),
            (&self.associations, places.association),
            (&self.searches, places.search),
        ];
        for (limiter, place) in windows {
            if let Some(place) = place {
                limiter.written(place);
            }
        }
    }

    /// Learns from the headers of the answer to a call.
    pub(super) fn learn(&self, reply: &Reply, places: Places) {
        // Answers to searches tell nothing of limits.
        let Some(place) = places.ordinary else { return };
        let number = |name: &str| reply.header(name).and_then(|text| text.trim().parse::<u32>().ok());
        let interval = number("x-hubspot-ratelimit-interval-milliseconds");
        let interval = interval.map(|milliseconds| Duration::from_millis(milliseconds.into()));
        let (calls_max, remaining) = (number("x-hubspot-ratelimit-max"), number("x-hubspot-ratelimit-remaining"));
        self.ordinary.learn(calls_max, interval, remaining, place);
        // What is left is the ordinary limit's number, so it is not told to this one.
        self.associations.learn(calls_max.map(association_limit), interval, None, place);
    }

    /// Stops all calls of a kind for a while.
    pub(super) fn block(&self, kind: Kind, pause: Duration) {
        match kind {
            Kind::Search => self.searches.block(pause),
            Kind::Ordinary | Kind::Association => self.ordinary.block(pause),
        }
    }

    /// Takes over from somebody who had the portal until so long ago, and had made so many calls; all that it allows where nobody knows.
    pub(super) fn inherit(&self, calls: Option<u32>, ago: Duration) {
        self.ordinary.inherit(calls, ago);
        self.associations.inherit(calls, ago);
        // Whoever it was did not say how many of its calls were searches.
        self.searches.inherit(None, ago);
    }

    /// How many calls stand in the window of the ordinary limit.
    pub(super) fn calls_lately(&self) -> u32 {
        self.ordinary.calls()
    }

    /// Calls per second at present.
    pub(super) fn calls_per_second(&self) -> f64 {
        self.ordinary.calls_per_second()
    }
}
