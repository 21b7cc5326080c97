//! One upstream: its addresses, which of them are in use, and the way a request gets an answer.
//!
//! An address that cannot be connected to is left alone for a while, a little longer each time. What
//! is sent again is only what certainly was not carried out: a request that never left, or one that
//! is safe by its method (RFC 9110, section 9.2.1), has no body, and met a connection that the
//! upstream had just closed.

use std::fmt;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use countersign_console::Problem;
use http::header::HOST;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderValue, Method, Request, Response, Uri, Version};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use rustls::ClientConfig;
use tokio::time::timeout;

use super::body::{Upload, UploadFate};
use super::connect::{self, Connected};
use super::pool::{Lease, Pool};
use crate::config::{HostHeader, Protocol, Target, Upstream as Spec};
use crate::connection::Connection;
use crate::metrics::Metrics;

/// How often a request is given to another connection.
const MOST_ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// An upstream at work.
pub(crate) struct Upstream {
    spec: Spec,
    tls: Option<Arc<ClientConfig>>,
    targets: Vec<State>,
    next: AtomicUsize,
    began: Instant,
    /// By worker and address.
    pools: Vec<Arc<Pool>>,
}

#[derive(Debug)]
struct State {
    /// Connections that failed in a row.
    failures: AtomicU32,
    /// When it may be tried again, in milliseconds since `began`.
    rest_until: AtomicU64,
    /// What the last health checks said.
    healthy: AtomicBool,
    /// `Host`, where the upstream is to see its own.
    host: Option<HeaderValue>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Health checks say that no address can answer.
    #[error("no address of the upstream is healthy")]
    Down,
    /// No connection.
    #[error("no connection to the upstream: {0}")]
    Connect(io::Error),
    /// No connection in time.
    #[error("no connection to the upstream in time")]
    ConnectTime,
    /// No answer in time.
    #[error("no answer of the upstream in time")]
    AnswerTime,
    /// The connection broke, or what came is no answer.
    #[error("the upstream broke off: {0}")]
    Broken(hyper::Error),
    /// The request cannot be written for this upstream.
    #[error("the request cannot be passed on: {0}")]
    Request(http::Error),
}

/// A request for an upstream: everything but what depends on the connection.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) request: Request<Upload>,
    pub(crate) target: PathAndQuery,
    /// `Host` as the caller wrote it.
    pub(crate) host: HeaderValue,
    /// Whether the caller takes trailers (RFC 9110, section 10.1.4).
    pub(crate) trailers: bool,
}

impl Upstream {
    pub(crate) fn new(spec: Spec, workers: usize) -> Result<Self, Problem> {
        let tls = connect::tls(&spec)?;
        let targets = spec
            .targets
            .iter()
            .map(|target| State {
                failures: AtomicU32::new(0),
                rest_until: AtomicU64::new(0),
                healthy: AtomicBool::new(true),
                host: (spec.host == HostHeader::Upstream)
                    .then(|| HeaderValue::from_str(target.authority.as_str()).ok())
                    .flatten(),
            })
            .collect();
        let pools = (0..workers * spec.targets.len())
            .map(|_| Arc::new(Pool::new(spec.keep, spec.keep_time)))
            .collect();
        Ok(Self {
            tls,
            targets,
            next: AtomicUsize::new(0),
            began: Instant::now(),
            pools,
            spec,
        })
    }

    pub(crate) fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Each address, and whether it is in use.
    pub(crate) fn status(&self) -> impl Iterator<Item = (&str, bool)> {
        let states = self.spec.targets.iter().zip(&self.targets);
        states.map(|(target, state)| (target.authority.as_str(), self.is_up(state)))
    }

    fn is_up(&self, state: &State) -> bool {
        let rest_until = state.rest_until.load(Relaxed);
        state.healthy.load(Relaxed) && (rest_until == 0 || rest_until <= self.now())
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// What a health check said of the address with this number.
    pub(super) fn set_healthy(&self, number: usize, healthy: bool) -> bool {
        match self.targets.get(number) {
            Some(state) => state.healthy.swap(healthy, Relaxed) != healthy,
            None => false,
        }
    }

    pub(super) async fn connect(&self, target: &Target) -> Result<Connected, Failure> {
        let connecting = connect::connect(target, self.spec.protocol, self.tls.as_ref());
        match timeout(self.spec.connect_time, connecting).await {
            Ok(Ok(connected)) => Ok(connected),
            Ok(Err(error)) => Err(Failure::Connect(error)),
            Err(_) => Err(Failure::ConnectTime),
        }
    }

    /// Closes connections of this worker that nobody has used for long.
    pub(crate) fn sweep(&self, worker: usize) {
        let count = self.targets.len();
        for pool in self.pools.iter().skip(worker * count).take(count) {
            pool.sweep();
        }
    }

    /// The next address in turn that is in use. When all rest, one is tried all the same, for it may
    /// be back; when health checks say that all are down, none is.
    fn choose(&self, tried: usize) -> Result<(usize, &Target, &State), Failure> {
        let count = self.targets.len();
        let first = if count > 1 {
            self.next.fetch_add(1, Relaxed)
        } else {
            tried
        };
        let numbered = |offset: usize| {
            let number = (first + offset) % count.max(1);
            Some((
                number,
                self.spec.targets.get(number)?,
                self.targets.get(number)?,
            ))
        };
        let mut resting = None;
        for found in (0..count).filter_map(numbered) {
            if self.is_up(found.2) {
                return Ok(found);
            }
            if found.2.healthy.load(Relaxed) && resting.is_none() {
                resting = Some(found);
            }
        }
        resting.ok_or(Failure::Down)
    }

    fn failed(&self, state: &State) {
        let failures = state.failures.fetch_add(1, Relaxed).min(10);
        let pause = (FIRST_PAUSE * 2_u32.saturating_pow(failures)).min(LONGEST_PAUSE);
        let pause = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        state
            .rest_until
            .store(self.now().saturating_add(pause), Relaxed);
    }

    /// Sends a request and waits for the head of the answer.
    pub(crate) async fn send(
        &self,
        mut outgoing: Outgoing,
        upload: Option<&UploadFate>,
        connection: &Connection,
    ) -> Result<(Response<Incoming>, Option<Lease>), Failure> {
        let (worker, metrics) = (connection.worker(), connection.metrics());
        let mut attempts = 0;
        let mut tried = 0;
        let mut fresh = false;
        loop {
            let (number, target, state) = self.choose(tried)?;
            let Some(pool) = self.pools.get(worker * self.targets.len() + number) else {
                return Err(Failure::Down);
            };
            let (link, reused) = match self.link(pool, target, fresh, metrics).await {
                Ok(link) => link,
                Err(failure) => {
                    self.failed(state);
                    tried += 1;
                    // Nothing was sent, so another address may take any request.
                    if tried < self.targets.len() {
                        metrics.upstream_retries.fetch_add(1, Relaxed);
                        continue;
                    }
                    return Err(failure);
                }
            };
            if state.failures.load(Relaxed) > 0 {
                state.failures.store(0, Relaxed);
                state.rest_until.store(0, Relaxed);
            }
            attempts += 1;
            let may_try_again = attempts < MOST_ATTEMPTS;
            let copy = (reused && may_try_again).then(|| outgoing.copy()).flatten();
            outgoing.aim(&link, target, state.host.as_ref())?;
            let Outgoing {
                request,
                target: path,
                host,
                trailers,
            } = outgoing;
            let sending = link.send(request, pool);
            match self.wait(sending, upload, connection).await? {
                Ok(answer) => return Ok(answer),
                Err(unanswered) => {
                    let returned = unanswered.request.map(|request| Outgoing {
                        request: *request,
                        target: path,
                        host,
                        trailers,
                    });
                    match returned.or(copy).filter(|_| may_try_again) {
                        Some(again) => outgoing = again,
                        None => return Err(Failure::Broken(unanswered.error)),
                    }
                    metrics.upstream_retries.fetch_add(1, Relaxed);
                    fresh = true;
                }
            }
        }
    }

    /// Waits for the head of an answer. The time for it begins anew with every piece of the request
    /// that goes on: a long upload is not an answer that does not come.
    async fn wait<A>(
        &self,
        sending: impl Future<Output = A>,
        upload: Option<&UploadFate>,
        connection: &Connection,
    ) -> Result<A, Failure> {
        let mut sending = pin!(sending);
        let mut pieces = 0;
        loop {
            if let Ok(answer) = timeout(self.spec.answer_time, sending.as_mut()).await {
                return Ok(answer);
            }
            let now = upload.map_or(0, UploadFate::pieces);
            if now == pieces {
                return Err(Failure::AnswerTime);
            }
            pieces = now;
            connection.moved();
        }
    }

    /// A connection that is ready, and whether it has carried requests before.
    async fn link(
        &self,
        pool: &Pool,
        target: &Target,
        fresh: bool,
        metrics: &Metrics,
    ) -> Result<(Link, bool), Failure> {
        if self.spec.protocol == Protocol::Http1 {
            if let Some(sender) = pool.take().filter(|_| !fresh) {
                return Ok((Link::Http1(sender), true));
            }
            metrics.upstream_connections.fetch_add(1, Relaxed);
            return match self.connect(target).await? {
                Connected::Http1(sender) => Ok((Link::Http1(sender), false)),
                Connected::Http2(sender) => Ok((Link::Http2(sender), false)),
            };
        }
        let mut shared = pool.shared.lock().await;
        if let Some(sender) = shared.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok((Link::Http2(sender.clone()), true));
        }
        if let Some(sender) = pool.take().filter(|_| !fresh) {
            return Ok((Link::Http1(sender), true));
        }
        metrics.upstream_connections.fetch_add(1, Relaxed);
        match self.connect(target).await? {
            Connected::Http1(sender) => Ok((Link::Http1(sender), false)),
            Connected::Http2(sender) => {
                *shared = Some(sender.clone());
                Ok((Link::Http2(sender), false))
            }
        }
    }
}

/// A connection that takes a request now.
enum Link {
    Http1(http1::SendRequest<Upload>),
    Http2(http2::SendRequest<Upload>),
}

/// A request without an answer; with the request itself when it never left.
struct Unanswered {
    error: hyper::Error,
    request: Option<Box<Request<Upload>>>,
}

impl Unanswered {
    fn new(mut error: hyper::client::conn::TrySendError<Request<Upload>>) -> Self {
        Self {
            request: error.take_message().map(Box::new),
            error: error.into_error(),
        }
    }
}

impl Link {
    async fn send(
        self,
        request: Request<Upload>,
        pool: &Arc<Pool>,
    ) -> Result<(Response<Incoming>, Option<Lease>), Unanswered> {
        match self {
            Self::Http1(mut sender) => {
                let answer = sender
                    .try_send_request(request)
                    .await
                    .map_err(Unanswered::new)?;
                Ok((answer, Some(Lease::new(pool, sender))))
            }
            Self::Http2(mut sender) => {
                let answer = sender
                    .try_send_request(request)
                    .await
                    .map_err(Unanswered::new)?;
                Ok((answer, None))
            }
        }
    }
}

impl Outgoing {
    /// Gives the request the form that the connection wants.
    fn aim(
        &mut self,
        link: &Link,
        target: &Target,
        own_host: Option<&HeaderValue>,
    ) -> Result<(), Failure> {
        let host = own_host.unwrap_or(&self.host);
        match link {
            Link::Http1(_) => {
                *self.request.version_mut() = Version::HTTP_11;
                let host = host.clone();
                self.request.headers_mut().insert(HOST, host);
                *self.request.uri_mut() = Uri::from(self.target.clone());
            }
            Link::Http2(_) => {
                *self.request.version_mut() = Version::HTTP_2;
                let uri = Uri::builder()
                    .scheme(if target.tls {
                        Scheme::HTTPS
                    } else {
                        Scheme::HTTP
                    })
                    .authority(host.as_bytes())
                    .path_and_query(self.target.clone())
                    .build()
                    .map_err(Failure::Request)?;
                *self.request.uri_mut() = uri;
                let headers = self.request.headers_mut();
                headers.remove(HOST);
                if self.trailers {
                    headers.insert(http::header::TE, HeaderValue::from_static("trailers"));
                }
            }
        }
        Ok(())
    }

    /// The same again, if that does no harm.
    fn copy(&self) -> Option<Self> {
        let is_safe = matches!(
            *self.request.method(),
            Method::GET | Method::HEAD | Method::OPTIONS
        );
        if !is_safe || !self.request.body().is_empty() {
            return None;
        }
        let mut request = Request::new(Upload::Empty);
        *request.method_mut() = self.request.method().clone();
        *request.headers_mut() = self.request.headers().clone();
        Some(Self {
            request,
            target: self.target.clone(),
            host: self.host.clone(),
            trailers: self.trailers,
        })
    }
}

impl Failure {
    /// A stable name for logs and metrics.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Down => "upstream_down",
            Self::Connect(_) => "upstream_connect",
            Self::ConnectTime => "upstream_connect_time",
            Self::AnswerTime => "upstream_answer_time",
            Self::Broken(_) => "upstream_broken",
            Self::Request(_) => "upstream_request",
        }
    }

    /// What the caller gets to see of it.
    pub(crate) fn status(&self) -> http::StatusCode {
        match self {
            Self::Down => http::StatusCode::SERVICE_UNAVAILABLE,
            Self::ConnectTime | Self::AnswerTime => http::StatusCode::GATEWAY_TIMEOUT,
            _ => http::StatusCode::BAD_GATEWAY,
        }
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("spec", &self.spec)
            .field("targets", &self.targets)
            .finish_non_exhaustive()
    }
}
