//! Time as a value that is handed in: the system's clock, or one that a test moves.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

/// Tells the time and sleeps. Cheap to clone; clones share one clock.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    System,
    Manual(Arc<watch::Sender<Timestamp>>),
}

impl Clock {
    /// The computer's clock.
    pub fn system() -> Self {
        Self(Kind::System)
    }

    /// A clock that stands at `start` until [`Clock::advance`] moves it. Sleepers wake when it passes their time.
    pub fn manual(start: Timestamp) -> Self {
        Self(Kind::Manual(Arc::new(watch::Sender::new(start))))
    }

    /// The present moment, in UTC.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            #[expect(clippy::disallowed_methods, reason = "the one place that reads the computer's clock")]
            Kind::System => Timestamp::now(),
            Kind::Manual(time) => *time.borrow(),
        }
    }

    /// Waits for `duration` on this clock.
    pub async fn sleep(&self, duration: Duration) {
        match &self.0 {
            Kind::System => tokio::time::sleep(duration).await,
            Kind::Manual(time) => {
                let until = *time.borrow() + duration;
                let mut watch = time.subscribe();
                // The sender lives in `self`, so the wait can only end by reaching the time.
                let _ = watch.wait_for(|now| *now >= until).await;
            }
        }
    }

    /// Moves a manual clock forward; does nothing on the system's clock.
    pub fn advance(&self, duration: Duration) {
        if let Kind::Manual(time) = &self.0 {
            time.send_modify(|now| *now += duration);
        }
    }
}
