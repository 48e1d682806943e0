//! Tells pages that there is something new: a stream of events, one whenever the state was written.

use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::Response;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream;
use tokio::sync::OwnedSemaphorePermit;

use super::site::Site;

/// How often the state's files are looked at for a page that listens.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A page is told at least so often, so that what it says of ages is true.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// Size and time of the state's file and of its log: another one after each commit of any process.
type Stamp = [Option<(u64, SystemTime)>; 2];

fn stamp(state: &Path) -> Stamp {
    let log = state.with_file_name(format!("{}-wal", state.file_name().unwrap_or_default().to_string_lossy()));
    [state, &log].map(|file| fs::metadata(file).ok().and_then(|file| Some((file.len(), file.modified().ok()?))))
}

struct Listener {
    site: Arc<Site>,
    seen: Option<Stamp>,
    // The place of the listener among those that are allowed.
    _place: OwnedSemaphorePermit,
}

/// The events for one page, until it goes or the server stops.
pub fn stream_of(site: Arc<Site>, place: OwnedSemaphorePermit) -> Response<Body> {
    let listener = Listener { site, seen: None, _place: place };
    let events = stream::unfold(listener, |mut listener| async move {
        let mut waited = Duration::ZERO;
        loop {
            let state = listener.site.state_path().await;
            let now = stamp(&state);
            let first = listener.seen.is_none();
            if listener.seen.replace(now) != Some(now) || waited >= TELL_EVERY {
                let event = Event::default().event(if first { "ready" } else { "changed" }).data("state");
                return Some((Ok::<_, Infallible>(event), listener));
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => waited += LOOK_EVERY,
                () = listener.site.cancel.cancelled() => return None,
            }
        }
    });
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}
