//! The listener for operators and upstreams: health, metrics, and the keys of identity assertions.
//!
//! It shows nothing about a caller and takes no commands. It belongs on an address that callers do not
//! reach.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::gateway::Shared;
use crate::live::Live;
use crate::proxy::Download;

const HEAD_TIME: Duration = Duration::from_secs(10);
/// A scrape is over long before.
const CONNECTION_TIME: Duration = Duration::from_secs(300);
const MOST_CONNECTIONS: usize = 64;

/// Answers until the process ends, the time of draining included: `readyz` says that it is going.
pub(crate) async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    ending: watch::Receiver<bool>,
) {
    let places = Arc::new(tokio::sync::Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        let (shared, ending) = (Arc::clone(&shared), ending.clone());
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let answer = answer(&request, &shared, *ending.borrow());
                async move { Ok::<_, Infallible>(answer) }
            });
            let serving = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIME)
                .max_buf_size(16 * 1024)
                .serve_connection(TokioIo::new(stream), service);
            // A connection that ends badly concerns nobody else.
            let _ = timeout(CONNECTION_TIME, serving).await;
            drop(place);
        });
    }
}

fn answer(request: &Request<Incoming>, shared: &Shared, ending: bool) -> Response<Download> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, String::new());
        let allow = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(ALLOW, allow);
        return response;
    }
    let live = shared.live(0);
    match request.uri().path() {
        "/healthz" => text(StatusCode::OK, "ok\n".to_owned()),
        "/readyz" => ready(&live, ending),
        "/metrics" => {
            let mut response = text(StatusCode::OK, shared.metrics.text(&live));
            let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        }
        "/.well-known/jwks.json" => {
            let mut response = text(StatusCode::OK, live.signer().key_set());
            let headers = response.headers_mut();
            let kind = HeaderValue::from_static("application/jwk-set+json");
            headers.insert(CONTENT_TYPE, kind);
            let fresh = HeaderValue::from_static("max-age=300");
            headers.insert(CACHE_CONTROL, fresh);
            response
        }
        _ => text(StatusCode::NOT_FOUND, String::new()),
    }
}

/// Whether requests with a good token would pass now, and else what is missing.
fn ready(live: &Live, ending: bool) -> Response<Download> {
    let mut missing = String::new();
    if ending {
        missing.push_str("the gateway is ending\n");
    }
    if let Some(validator) = live.validator() {
        for (issuer, status) in validator.key_statuses() {
            if !status.ready {
                let _ = writeln!(missing, "there are no keys of {issuer}");
            }
        }
    }
    if missing.is_empty() {
        text(StatusCode::OK, "ready\n".to_owned())
    } else {
        text(StatusCode::SERVICE_UNAVAILABLE, missing)
    }
}

fn text(status: StatusCode, text: String) -> Response<Download> {
    let mut response = Response::new(Download::whole(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
