//! The way to a collector of traces: the client of everything else, so that the program has one TLS.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::header::HeaderMap;
use url::Url;

use super::http::client::{Transport, TransportError};
use crate::sys::clock::Clock;
use crate::sys::network::Network;
use crate::sys::secrets::masked;

/// Sends a body with headers; gives status and body of the answer, or why there was none.
pub type Post = Arc<dyn Fn(HeaderMap, Bytes) -> BoxFuture<'static, Result<(u16, Bytes), String>> + Send + Sync>;

/// What sends to an address, each time for so long at most.
///
/// Errors: nothing can be sent there.
pub fn post_to(url: Url, time_max: Duration) -> Result<Post, String> {
    // Over the real network, whatever the runs go over.
    let transport = Transport::new(&url, &Network::Real, &Clock::system())?;
    Ok(Arc::new(move |headers, body| {
        let (transport, url) = (transport.clone(), url.clone());
        let sent = async move {
            transport.post(&url, headers, body, time_max).await.map_err(|error| match error {
                TransportError::Cancelled => "interrupted".to_owned(),
                TransportError::Failed(why) => masked(&why).into_owned(),
            })
        };
        sent.boxed()
    }))
}
