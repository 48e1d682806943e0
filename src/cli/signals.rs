//! Ctrl-C and SIGTERM: the first asks to stop at the next safe point, a second one ends at once. SIGHUP: read the definitions
//! again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use std::time::Duration;

use super::output;
use crate::sys::cancel::Cancel;

/// How long calls under way have before they are ended: a batch takes a second or two, and nobody likes to wait longer for a
/// program that was asked to stop.
const GRACE: Duration = Duration::from_secs(3);

/// How somebody asked to stop.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    terminated: Arc<AtomicBool>,
}

impl Asked {
    /// Whether it was Ctrl-C, and not SIGTERM, by which a system ends what it runs.
    pub fn to_interrupt(&self) -> bool {
        !self.terminated.load(Ordering::Relaxed)
    }
}

/// Watches for signals in the background.
pub fn watch(cancel: &Cancel) -> Asked {
    let asked = Asked::default();
    let (cancel, noted) = (cancel.clone(), asked.clone());
    tokio::spawn(async move {
        noted.terminated.store(stop_asked().await, Ordering::Relaxed);
        output::talk(
            "stopping: finishing and saving the work in progress (press again to stop at once, which is safe too)",
        );
        cancel.cancel();
        tokio::select! {
            _ = stop_asked() => std::process::exit(130),
            () = tokio::time::sleep(GRACE) => cancel.abort(),
        }
        stop_asked().await;
        // By convention 128 and the number of SIGINT.
        std::process::exit(130);
    });
    asked
}

/// Tells of each SIGHUP from now on. Where there is no such signal, nothing comes.
pub fn hang_ups() -> tokio::sync::mpsc::UnboundedReceiver<()> {
    let (tell, receiver) = tokio::sync::mpsc::unbounded_channel();
    #[cfg(unix)]
    if let Ok(mut signals) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) {
        tokio::spawn(async move { while signals.recv().await.is_some() && tell.send(()).is_ok() {} });
    }
    #[cfg(not(unix))]
    drop(tell);
    receiver
}

/// Waits for a signal; gives whether it was SIGTERM.
#[cfg(unix)]
async fn stop_asked() -> bool {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => false,
            _ = terminate.recv() => true,
        },
        // Without a handler for SIGTERM, Ctrl-C still works.
        Err(_) => tokio::signal::ctrl_c().await.is_err(),
    }
}

#[cfg(not(unix))]
async fn stop_asked() -> bool {
    tokio::signal::ctrl_c().await.is_err()
}
