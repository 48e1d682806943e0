//! A sync as a service of systemd: it says when it is ready, that it is alive, and when it stops.

use std::time::Duration;

use crate::config::env::process_variables;
use crate::sys::clock::Clock;
use crate::sys::notify;

/// A service that was told to be ready. It says that it stops when this is dropped.
pub(super) struct Service {
    socket: Option<String>,
    alive: Option<tokio::task::JoinHandle<()>>,
}

impl Service {
    /// Says that the service is ready, and from then on, where the manager watches, that it is alive. Without a manager nothing is
    /// said.
    pub(super) fn ready(clock: &Clock, status: &str) -> Self {
        let socket = process_variables("NOTIFY_SOCKET").filter(|socket| !socket.is_empty());
        let Some(place) = socket.clone() else { return Self { socket, alive: None } };
        let status = status.replace('\n', " ");
        if let Err(error) = notify::send(&place, &format!("READY=1\nSTATUS={status}")) {
            tracing::warn!(%error, "the service manager cannot be told that the sync is ready");
        }
        let alive = watched_every().map(|every| {
            let clock = clock.clone();
            tokio::spawn(async move {
                loop {
                    clock.sleep(every).await;
                    // One that is not heard is said again.
                    let _ = notify::send(&place, "WATCHDOG=1");
                }
            })
        });
        Self { socket, alive }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(alive) = &self.alive {
            alive.abort();
        }
        if let Some(socket) = &self.socket {
            let _ = notify::send(socket, "STOPPING=1");
        }
    }
}

/// How often the manager wants to hear of this process: it asks for less than it says, so that one that is late does no harm.
fn watched_every() -> Option<Duration> {
    let own = process_variables("WATCHDOG_PID").is_none_or(|id| id.parse() == Ok(std::process::id()));
    let microseconds: u64 = process_variables("WATCHDOG_USEC")?.parse().ok()?;
    (own && microseconds > 0).then(|| Duration::from_micros(microseconds / 2))
}
