//! Turns that are told of within one process.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::ports::turns::{Turns, TurnsError, Wake, Woken};
use crate::sys::clock::{Clock, Mark};

/// Turns of one process.
pub struct InProcess {
    clock: Clock,
    began: Mark,
    waiting: Mutex<Waiting>,
    news: Notify,
}

#[derive(Default)]
struct Waiting {
    /// By when they come and the order in which they were asked for.
    wakes: BTreeMap<(Duration, u64), Wake>,
    keys: HashSet<String>,
    asked: u64,
}

impl InProcess {
    /// None yet.
    pub fn new(clock: &Clock) -> Self {
        Self { clock: clock.clone(), began: clock.mark(), waiting: Mutex::default(), news: Notify::new() }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next turn whose time has come, or how long to wait for it.
    fn next(&self) -> Result<Wake, Option<Duration>> {
        let mut waiting = self.waiting();
        let now = self.clock.since(self.began);
        let Some(((at, number), _)) = waiting.wakes.first_key_value().map(|(key, wake)| (*key, wake)) else {
            return Err(None);
        };
        if at > now {
            return Err(Some(at - now));
        }
        let wake = waiting.wakes.remove(&(at, number)).ok_or(None)?;
        waiting.keys.remove(&wake.key);
        Ok(wake)
    }
}

impl Turns for InProcess {
    fn wake<'a>(&'a self, wake: &'a Wake) -> BoxFuture<'a, Result<(), TurnsError>> {
        async move {
            {
                let mut waiting = self.waiting();
                if waiting.keys.insert(wake.key.clone()) {
                    waiting.asked += 1;
                    let place = (self.clock.since(self.began) + wake.after, waiting.asked);
                    waiting.wakes.insert(place, wake.clone());
                }
            }
            self.news.notify_one();
            Ok(())
        }
        .boxed()
    }

    fn serve(&self, woken: mpsc::Sender<Woken>) -> BoxFuture<'_, Result<(), TurnsError>> {
        async move {
            loop {
                // Room first: a turn that waits here could else be told of by nobody.
                let Ok(room) = woken.reserve().await else { return Ok(()) };
                let wake = loop {
                    let wait = match self.next() {
                        Ok(wake) => break wake,
                        Err(wait) => wait,
                    };
                    let slept = async {
                        match wait {
                            Some(wait) => self.clock.sleep(wait).await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        () = slept => {}
                        () = self.news.notified() => {}
                    }
                };
                let (done, _) = oneshot::channel();
                room.send(Woken { state: wake.state, portal: wake.portal, key: wake.key, done });
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_come_in_their_order_and_one_of_a_name_is_enough() {
        let turns = InProcess::new(&Clock::system());
        let wake = |key: &str, milliseconds| Wake {
            state: "s".to_owned(),
            portal: key.to_owned(),
            key: key.to_owned(),
            at: jiff::Timestamp::UNIX_EPOCH,
            after: Duration::from_millis(milliseconds),
        };
        for (key, after) in [("late", 60), ("soon", 20), ("soon", 0), ("now", 0)] {
            turns.wake(&wake(key, after)).await.unwrap();
        }
        let (sender, mut woken) = mpsc::channel(1);
        let serving = turns.serve(sender);
        let told = async {
            let mut told = Vec::new();
            while told.len() < 3 {
                told.push(woken.recv().await.unwrap().portal);
            }
            told
        };
        tokio::select! {
            _ = serving => unreachable!("it ends with its receiver"),
            told = told => assert_eq!(told, ["now", "soon", "late"]),
        }
    }
}
