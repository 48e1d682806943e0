//! Ctrl-C and SIGTERM: the first asks to stop at the next safe point, a second Ctrl-C ends at once.

use crate::sys::cancel::Cancel;

use super::output;

/// Watches for signals in the background.
pub fn watch(cancel: &Cancel) {
    let cancel = cancel.clone();
    tokio::spawn(async move {
        stop_asked().await;
        output::talk("stopping: work under way is finished and saved (again to end at once, which is safe as well)");
        cancel.cancel();
        stop_asked().await;
        std::process::exit(130);
    });
}

#[cfg(unix)]
async fn stop_asked() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        },
        // Without a handler for SIGTERM, Ctrl-C still works.
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

#[cfg(not(unix))]
async fn stop_asked() {
    drop(tokio::signal::ctrl_c().await);
}
