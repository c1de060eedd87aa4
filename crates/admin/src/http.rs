//! The HTTP listener: `/metrics`, `/live`, `/ready`, one request a connection.
//!
//! Constraints: a client that sends its request slowly, reads its answer slowly or never goes away costs
//! one of a fixed number of places, for a fixed time. `axum::serve` has no header timeout, so the accept
//! loop here is our own.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::Limit;

/// What the pages show, asked anew for each request.
pub trait AdminSource: Send + Sync + 'static {
    /// The metrics in the Prometheus text format.
    fn metrics(&self) -> String;

    /// Whether the process still makes progress; if not, a supervisor should restart it.
    fn live(&self) -> bool;

    /// Whether analyzers can be served: the spool commits and every listener is bound.
    ///
    /// # Errors
    /// Says in one line, without patient data, what is missing.
    fn ready(&self) -> Result<(), String>;

    /// A client ran into a limit. Count it.
    fn limit_reached(&self, limit: Limit) {
        let _ = limit;
    }
}

/// The limits of the listener. Reaching one closes the connection concerned, never the listener.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// How long a client may take to send its request line and headers.
    pub header_timeout: Duration,
    /// How long one connection may live, answer included.
    pub connection_timeout: Duration,
    /// How many connections are served at once; further ones are closed unanswered.
    pub connections_max: usize,
    /// How many bytes a request's line and headers may have.
    pub header_bytes_max: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(5),
            connection_timeout: Duration::from_secs(15),
            connections_max: 64,
            header_bytes_max: 16 * 1024,
        }
    }
}

/// Serves the pages until `shutdown` is ready, then lets answers under way finish within the connection timeout.
pub async fn serve<S: AdminSource>(
    listener: TcpListener,
    source: Arc<S>,
    limits: HttpLimits,
    shutdown: impl Future<Output = ()>,
) {
    let router = router(Arc::clone(&source));
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(connection) => connection,
            Err(error) => {
                tracing::warn!(event = "http_accept_failed", %error);
                // Out of file descriptors: the pending connection stays pending, and asking again at
                // once would only spin.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            source.limit_reached(Limit::HttpConnections);
            tracing::debug!(event = "http_connection_refused", %peer, connections_max = limits.connections_max);
            continue;
        };
        let (router, source) = (router.clone(), Arc::clone(&source));
        connections.spawn(async move {
            match timeout(limits.connection_timeout, answer(stream, router, limits)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    if let Some(limit) = limit_behind(&error) {
                        source.limit_reached(limit);
                    }
                    tracing::debug!(event = "http_connection_failed", %peer, %error);
                }
                Err(_) => {
                    source.limit_reached(Limit::HttpConnectionTime);
                    tracing::debug!(event = "http_connection_timed_out", %peer);
                }
            }
            drop(place);
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn answer(stream: TcpStream, router: Router, limits: HttpLimits) -> Result<(), hyper::Error> {
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.header_bytes_max.max(8 * 1024))
        // A scraper comes every few seconds; a kept connection would hold a place for nothing.
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await
}

fn limit_behind(error: &hyper::Error) -> Option<Limit> {
    if error.is_timeout() {
        Some(Limit::HttpHeaderTime)
    } else if error.is_parse_too_large() {
        Some(Limit::HttpHeaderBytes)
    } else {
        None
    }
}

fn router<S: AdminSource>(source: Arc<S>) -> Router {
    Router::new()
        .route("/metrics", get(metrics::<S>))
        .route("/live", get(live::<S>))
        .route("/ready", get(ready::<S>))
        .with_state(source)
}

async fn metrics<S: AdminSource>(State(source): State<Arc<S>>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], source.metrics()).into_response()
}

async fn live<S: AdminSource>(State(source): State<Arc<S>>) -> Response {
    if source.live() {
        (StatusCode::OK, "live\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not live\n").into_response()
    }
}

async fn ready<S: AdminSource>(State(source): State<Arc<S>>) -> Response {
    match source.ready() {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()).into_response(),
        Err(missing) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {missing}\n")).into_response(),
    }
}
