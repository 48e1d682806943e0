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

use super::asked::Asked;
use super::site::Site;
use crate::ports::store::Store;

/// How often the state's files are looked at for a page that listens.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A page is told at least so often, so that what it says of ages is true.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// Another one after each commit of any process.
#[derive(PartialEq, Eq)]
enum Stamp {
    /// Size and time of the state's file and of its log.
    File([Option<(u64, SystemTime)>; 2]),
    /// What a state in a database says.
    Database(Option<i64>),
}

fn stamp_of_file(state: &Path) -> [Option<(u64, SystemTime)>; 2] {
    let log = state.with_file_name(format!("{}-wal", state.file_name().unwrap_or_default().to_string_lossy()));
    [state, &log].map(|file| fs::metadata(file).ok().and_then(|file| Some((file.len(), file.modified().ok()?))))
}

struct Listener {
    site: Arc<Site>,
    asked: Asked,
    /// The state, where it is in a database.
    state: Option<Arc<dyn Store>>,
    seen: Option<Stamp>,
    // The place of the listener among those that are allowed.
    _place: OwnedSemaphorePermit,
}

impl Listener {
    async fn stamp(&mut self) -> Stamp {
        // What cannot be opened has not changed; the page itself says what is wrong.
        let Ok(project) = self.site.project(&self.asked).await else { return Stamp::Database(None) };
        if let Some(file) = project.state_file() {
            return Stamp::File(stamp_of_file(&file));
        }
        if self.state.is_none() {
            self.state = project.state_for_reading().ok();
        }
        let Some(state) = &self.state else { return Stamp::Database(None) };
        Stamp::Database(state.changes().await.ok().flatten())
    }
}

/// The events for one page, until it goes or the server stops.
pub fn stream_of(site: Arc<Site>, asked: Asked, place: OwnedSemaphorePermit) -> Response<Body> {
    let listener = Listener { site, asked, state: None, seen: None, _place: place };
    let events = stream::unfold(listener, |mut listener| async move {
        let mut waited = Duration::ZERO;
        loop {
            let now = listener.stamp().await;
            let first = listener.seen.is_none();
            let is_new = listener.seen.as_ref() != Some(&now);
            listener.seen = Some(now);
            if is_new || waited >= TELL_EVERY {
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
