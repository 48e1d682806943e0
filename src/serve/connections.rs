//! TCP connections: how many, how long and how large; one that sends nonsense gets its answer, too.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::refusals::Worded;
use crate::sys::cancel::Cancel;

/// Most connections at once; more wait.
const CONNECTIONS_MAX: usize = 256;

/// Largest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Most headers of a request.
const HEADERS_MAX: usize = 100;

/// How long a request may take to arrive.
const HEAD_WAIT_MAX: Duration = Duration::from_secs(15);

/// How long open requests may go on after a stop was asked for.
const STOP_GRACE: Duration = Duration::from_millis(500);

/// How long, and how much, is still read of a request that was refused before it was whole, so that the answer arrives.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Serves a listener until `cancel` asks to stop.
pub async fn serve(listener: TcpListener, router: Router, cancel: Cancel) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (listener.accept().await, place)
        };
        tokio::select! {
            () = cancel.cancelled() => break,
            (accepted, place) = next => match accepted {
                Ok((stream, _)) => {
                    let (router, cancel) = (router.clone(), cancel.clone());
                    connections.spawn(async move {
                        let _place = place;
                        connection(stream, router, cancel).await;
                    });
                }
                // Out of file handles, for example: give connections time to end, instead of spinning.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(STOP_GRACE, all_ended).await;
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, router: Router, cancel: Cancel) {
    let _ = stream.set_nodelay(true);
    let Ok((stream, rest)) = doubled(stream) else { return };
    let mut server = Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_WAIT_MAX);
    server.max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
    let serving =
        server.serve_connection(TokioIo::new(Worded::new(stream, HEAD_BYTES_MAX)), TowerToHyperService::new(router));
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = cancel.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if ended.is_err_and(|error| error.is_parse() || error.is_parse_too_large()) {
        let _ = tokio::time::timeout(LINGER, drain(rest)).await;
    }
}

/// A second handle on a connection, which outlives the first.
fn doubled(stream: TcpStream) -> io::Result<(TcpStream, TcpStream)> {
    let stream = stream.into_std()?;
    let second = stream.try_clone()?;
    Ok((TcpStream::from_std(stream)?, TcpStream::from_std(second)?))
}

/// Reads what a client still sends: a connection that is closed with bytes unread is reset, and its answer lost.
async fn drain(mut stream: TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    let mut left = LINGER_BYTES_MAX;
    while left > 0 {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => left = left.saturating_sub(count),
        }
    }
}
