//! Carrying a request that may pass to its upstream, and the answer back.
//!
//! Not responsible for deciding: whoever calls `forward` holds a decision. An error here is told to
//! the caller as a bare status and to the operator with its reason.

mod body;
mod connect;
mod headers;
mod health;
mod pace;
mod pool;
mod upgrade;
mod upstream;

use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use hyper::body::Body as _;
use hyper::upgrade::OnUpgrade;
use tokio::time::Instant;

pub(crate) use body::{BodyProblem, Download, Received, Upload, UploadFate};
pub(crate) use headers::{join_cookies, remove_all, strip_request};
pub(crate) use health::watch;
pub(crate) use upgrade::{Wish, wish};
pub(crate) use upstream::{Failure, Outgoing, Upstream};

use crate::config::{Protocol, Upstream as UpstreamSpec};
use crate::connection::{Connection, InFlight};
use crate::live::{Live, Rule};

/// Why a request that may pass was not answered by its upstream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unserved {
    /// The upstream's doing.
    #[error(transparent)]
    Upstream(#[from] Failure),
    /// The caller's: the body was too long, too slow, stopped coming, or broke off.
    #[error("{0}")]
    Body(BodyProblem),
    /// All of it took longer than the route allows.
    #[error("the request took longer than its route allows")]
    Time,
    /// The upstream changed to another protocol without being asked, or to another than was asked.
    #[error("the upstream changed the protocol unasked")]
    Switched,
}

impl Unserved {
    /// A stable name for logs and metrics.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Upstream(failure) => failure.code(),
            Self::Body(BodyProblem::TooLong) => "body_too_long",
            Self::Body(BodyProblem::Idle | BodyProblem::Time) => "body_idle",
            Self::Body(BodyProblem::Slow) => "body_slow",
            Self::Body(BodyProblem::Broken) => "body_broken",
            Self::Time => "total_time",
            Self::Switched => "upstream_switched",
        }
    }

    /// All that the caller is told.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Upstream(failure) => failure.status(),
            Self::Body(BodyProblem::TooLong) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(BodyProblem::Idle | BodyProblem::Slow | BodyProblem::Time) => {
                StatusCode::REQUEST_TIMEOUT
            }
            Self::Body(BodyProblem::Broken) => StatusCode::BAD_REQUEST,
            Self::Time => StatusCode::GATEWAY_TIMEOUT,
            Self::Switched => StatusCode::BAD_GATEWAY,
        }
    }
}

/// A request that may pass, without what must not leave this machine.
#[derive(Debug)]
pub(crate) struct Passing<'p> {
    pub(crate) request: Request<Received>,
    pub(crate) upstream: &'p Arc<Upstream>,
    pub(crate) target: PathAndQuery,
    pub(crate) host: HeaderValue,
    pub(crate) trailers: bool,
    /// What the caller's connection becomes, if the upstream agrees.
    pub(crate) upgrade: Option<OnUpgrade>,
}

/// Sends a request to the upstream of its rule.
pub(crate) async fn forward(
    passing: Passing<'_>,
    live: &Live,
    rule: &Rule,
    connection: &Connection,
    in_flight: InFlight,
) -> Result<Response<Download>, Unserved> {
    let spec = passing.upstream.spec();
    let total = rule.route.total_time.or(spec.total_time);
    let deadline = total.map(|total| Instant::now() + total);
    let Some(deadline) = deadline else {
        return forward_in_time(passing, live, rule, connection, in_flight, None).await;
    };
    tokio::time::timeout_at(
        deadline,
        forward_in_time(passing, live, rule, connection, in_flight, Some(deadline)),
    )
    .await
    .unwrap_or(Err(Unserved::Time))
}

async fn forward_in_time(
    passing: Passing<'_>,
    live: &Live,
    rule: &Rule,
    connection: &Connection,
    in_flight: InFlight,
    deadline: Option<Instant>,
) -> Result<Response<Download>, Unserved> {
    let limits = &live.config().limits;
    let upstream = passing.upstream;
    let (parts, body) = passing.request.into_parts();
    let mut fate = None;
    let upload = match body {
        Received::Whole(bytes) => Upload::whole(bytes),
        Received::Stream(body) if body.is_end_stream() => Upload::Empty,
        Received::Stream(body) => {
            let most = rule.route.max_body.unwrap_or(limits.body);
            let rate = if is_call(&parts.headers, upstream.spec()) {
                0
            } else {
                rule.route.body_rate.unwrap_or(limits.body_rate)
            };
            let fate = fate.insert(UploadFate::default());
            Upload::new(body, most, limits.body_idle_time, rate, fate)
        }
    };
    let mut request = Request::new(upload);
    *request.method_mut() = parts.method;
    *request.headers_mut() = parts.headers;
    if passing.upgrade.is_some() {
        upgrade::ask(request.headers_mut());
    }
    let outgoing = Outgoing {
        request,
        target: passing.target,
        host: passing.host,
        trailers: passing.trailers,
    };
    let sent = upstream.send(outgoing, fate.as_ref(), connection).await;
    let (mut answer, lease) = match sent {
        Ok(answer) => answer,
        Err(failure) => {
            // What broke the connection may have been the caller's body.
            let problem = fate.and_then(|fate| fate.problem());
            return Err(problem.map_or(Unserved::Upstream(failure), Unserved::Body));
        }
    };
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        let Some(caller) = passing.upgrade else {
            return Err(Unserved::Switched);
        };
        upgrade::begin(caller, &mut answer, upstream.spec().idle_time, connection)?;
        headers::strip_answer(answer.headers_mut());
        upgrade::agree(answer.headers_mut());
        return Ok(answer.map(|_| Download::Empty));
    }
    headers::strip_answer(answer.headers_mut());
    let silence = upstream.spec().idle_time;
    Ok(answer.map(|body| Download::stream(body, silence, deadline, lease, in_flight)))
}

/// Whether the body is the caller's side of a call by gRPC, which may say little for a long time. Only
/// where the upstream speaks what gRPC needs: the header alone is the caller's word.
fn is_call(headers: &HeaderMap, upstream: &UpstreamSpec) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    upstream.protocol == Protocol::Http2
        && kind.is_some_and(|kind| kind.starts_with(b"application/grpc"))
}

/// The target for the upstream: the path that was matched, and the query as it came.
pub(crate) fn target(path: &str, uri: &Uri) -> Option<PathAndQuery> {
    match uri.path_and_query() {
        Some(same) if same.path() == path => Some(same.clone()),
        _ => {
            let text = match uri.query() {
                Some(query) => format!("{path}?{query}"),
                None => path.to_owned(),
            };
            PathAndQuery::try_from(text).ok()
        }
    }
}

/// The longest that nothing may move on a request that is well.
pub(crate) fn longest_silence(upstreams: &[Arc<Upstream>], body: Duration) -> Duration {
    upstreams
        .iter()
        .map(|upstream| {
            let spec = upstream.spec();
            spec.idle_time.max(spec.answer_time + spec.connect_time)
        })
        .fold(body, Duration::max)
}

/// Names that go to the upstream under our word.
pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(crate) const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
