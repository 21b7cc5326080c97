//! The question of Envoy by gRPC: `envoy.service.auth.v3.Authorization/Check`.
//!
//! Here stands the call, and the `CheckResponse` that ends it: its fields have the numbers of
//! `envoy/service/auth/v3/external_auth.proto`, those of a header `envoy/config/core/v3/base.proto`, and
//! those of a status `envoy/type/v3/http_status.proto` and `google/rpc/status.proto`. Not responsible for
//! the decision, nor for other methods of the service, of which there are none.

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::check_request::question;
use super::wire::Message;
use super::{Change, Judged, join_challenges, judge, whole};
use crate::config::ForwardAuth;
use crate::proxy::Download;
use crate::serve::{DPOP_NONCE, Exchange, REQUEST_ID, unsound};

const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// A head with everything that Envoy knows about it. A body comes on top, where one is expected.
const LONGEST: usize = 1024 * 1024;

/// `append_action` of a `HeaderValueOption`: `OVERWRITE_IF_EXISTS_OR_ADD`. An Envoy that does not know the
/// field yet overwrites anyhow, as long as `append` is not there.
const OVERWRITE: u64 = 2;
/// `code` of `google.rpc.Status`.
const PERMISSION_DENIED: u64 = 7;

/// How a call ends, by the codes of gRPC.
#[derive(Debug, Clone, Copy)]
enum End {
    Ok = 0,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    ResourceExhausted = 8,
    Unimplemented = 12,
}

/// Answers a call. One that cannot be understood ends with an error of gRPC, on which Envoy refuses
/// the request unless it was told to let everything pass.
pub(super) async fn call(
    exchange: &Exchange<'_>,
    forward: &ForwardAuth,
    parts: &Parts,
    body: Incoming,
) -> Response<Download> {
    let is_grpc = parts
        .headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    if parts.method != Method::POST || parts.uri.path() != CHECK || !is_grpc {
        let _ = exchange.refuse_unsound(parts, None, unsound("grpc_method"));
        return answer(End::Unimplemented, None);
    }
    let limits = &exchange.live.config().limits;
    let longest = if forward.body {
        LONGEST.saturating_add(usize::try_from(limits.body).unwrap_or(usize::MAX))
    } else {
        LONGEST
    };
    let collected = timeout(limits.head_time, Limited::new(body, longest).collect());
    let message = match collected.await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => return unread(exchange, parts, "grpc_too_long", End::ResourceExhausted),
        Err(_) => return unread(exchange, parts, "grpc_late", End::DeadlineExceeded),
    };
    let subject = match question(&message) {
        Ok(mut subject) => {
            let body = subject.body.take().filter(|_| forward.body);
            subject.body = body.and_then(|body| whole(&subject.headers, body));
            subject
        }
        Err(problem) => return unread(exchange, parts, problem.code(), End::InvalidArgument),
    };
    let answered = match judge(exchange, forward, subject).await {
        Judged::Pass(change) => allowed(&change, exchange.id),
        Judged::Refuse(response) => denied(response, exchange.id),
    };
    answer(End::Ok, Some(&answered.into_bytes()))
}

fn unread(
    exchange: &Exchange<'_>,
    parts: &Parts,
    code: &'static str,
    end: End,
) -> Response<Download> {
    // Only the record of it is wanted.
    let _ = exchange.refuse_unsound(parts, None, unsound(code));
    answer(end, None)
}

/// A `CheckResponse` that lets the request pass.
fn allowed(change: &Change, id: &HeaderValue) -> Message {
    let mut ok = Message::default();
    for (name, value) in &change.set {
        if !value.is_empty() {
            ok = ok.message(2, &option(name, value));
        }
    }
    let empty = change.set.iter().filter(|(_, value)| value.is_empty());
    for name in change.remove.iter().chain(empty.map(|(name, _)| name)) {
        ok = ok.bytes(5, name.as_str().as_bytes());
    }
    if let Some(nonce) = &change.nonce {
        ok = ok.message(6, &option(&DPOP_NONCE, nonce));
    }
    ok = ok.message(6, &option(&REQUEST_ID, id));
    Message::default()
        .message(1, &Message::default())
        .message(3, &ok)
}

/// A `CheckResponse` with the answer to the caller.
fn denied(mut response: Response<Download>, id: &HeaderValue) -> Message {
    let status = u64::from(response.status().as_u16());
    let headers = response.headers_mut();
    join_challenges(headers);
    headers.insert(REQUEST_ID, id.clone());
    headers.remove(CONTENT_LENGTH);
    let mut denied = Message::default().message(1, &Message::default().number(1, status));
    for (name, value) in &*headers {
        denied = denied.message(2, &option(name, value));
    }
    Message::default()
        .message(1, &Message::default().number(1, PERMISSION_DENIED))
        .message(2, &denied)
}

/// A `HeaderValueOption`.
fn option(name: &HeaderName, value: &HeaderValue) -> Message {
    let header = Message::default()
        .bytes(1, name.as_str().as_bytes())
        .bytes(2, value.as_bytes());
    Message::default().message(1, &header).number(3, OVERWRITE)
}

/// The answer to a call: a message and its end, or its end alone.
fn answer(end: End, message: Option<&[u8]>) -> Response<Download> {
    let status = HeaderValue::from(end as u16);
    let Some(message) = message else {
        let mut response = Response::new(Download::Empty);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, GRPC);
        headers.insert(GRPC_STATUS, status);
        return response;
    };
    let mut framed = BytesMut::with_capacity(message.len() + 5);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.extend_from_slice(message);
    let mut trailers = HeaderMap::new();
    trailers.insert(GRPC_STATUS, status);
    let mut response = Response::new(Download::call(Bytes::from(framed), trailers));
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}
