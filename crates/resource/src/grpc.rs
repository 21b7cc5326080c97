//! Refusals as callers by gRPC read them.
//!
//! A refusal keeps its HTTP status, because whether somebody speaks gRPC is said by the request alone:
//! a proxy that asks us about requests of others by their own headers would take the 200 that gRPC
//! has for everything for a permission. The gRPC mapping of HTTP statuses has `grpc-status` go before
//! the status, and it gives a caller the message and the challenge as metadata.
//!
//! Not responsible for the status that is told over plain HTTP, nor for the challenge.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::Rejection;

const KIND: &str = "application/grpc";
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Whether this is the head of a call by gRPC; `application/grpc-web` is another protocol.
pub(crate) fn is_call(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let Some((kind, rest)) = kind.and_then(|kind| kind.split_at_checked(KIND.len())) else {
        return false;
    };
    kind.eq_ignore_ascii_case(KIND.as_bytes()) && matches!(rest.first(), None | Some(b'+' | b';'))
}

/// Turns the answer to a rejection into one that has no messages, only an end ("Trailers-Only").
pub(crate) fn tell<B>(response: &mut Response<B>, rejection: &Rejection) {
    let status = response.status();
    let message = rejection.told().map(|(_, sentence)| sentence);
    let message = message.or(status.canonical_reason()).unwrap_or_default();
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(KIND));
    headers.insert(STATUS, HeaderValue::from(code(status)));
    // Letters and spaces, which need no percent signs.
    headers.insert(MESSAGE, HeaderValue::from_static(message));
}

/// The code of gRPC for a status of ours.
fn code(status: StatusCode) -> u16 {
    const PERMISSION_DENIED: u16 = 7;
    const RESOURCE_EXHAUSTED: u16 = 8;
    const UNAVAILABLE: u16 = 14;
    const UNAUTHENTICATED: u16 = 16;
    match status {
        StatusCode::FORBIDDEN => PERMISSION_DENIED,
        StatusCode::TOO_MANY_REQUESTS => RESOURCE_EXHAUSTED,
        StatusCode::SERVICE_UNAVAILABLE => UNAVAILABLE,
        // Also of two credentials, or of a header that holds none.
        _ => UNAUTHENTICATED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_known_by_its_content_type() {
        for (kind, expected) in [
            ("application/grpc", true),
            ("Application/gRPC+proto", true),
            ("application/grpc;charset=x", true),
            ("application/grpc-web", false),
            ("application/grpc-web+proto", false),
            ("application/json", false),
            ("application/grp", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, kind.parse().unwrap())]);
            assert_eq!(is_call(&headers), expected, "{kind}");
        }
        assert!(!is_call(&HeaderMap::new()));
    }
}
