//! Refusals and failures on the wire.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::AppState;
use super::dpop::with_nonce;
use crate::core::{Error, Failure, Refusal};

/// An error response (RFC 6749, section 5.2).
#[derive(Serialize)]
struct Body {
    error: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_description: Option<&'static str>,
}

/// A JSON answer that nobody may keep (RFC 6749, section 5.1).
pub(super) fn private_json(status: StatusCode, body: &impl Serialize) -> Response {
    let Ok(json) = serde_json::to_vec(body) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (PRAGMA, HeaderValue::from_static("no-cache")),
    ];
    (status, headers, json).into_response()
}

/// Tells a client why it gets nothing, and the operator why we failed.
pub(super) fn failure(state: &AppState, failure: Failure) -> Response {
    match failure {
        Failure::Refused(Refusal::UseDpopNonce) => {
            with_nonce(state, refused(Refusal::UseDpopNonce))
        }
        Failure::Refused(refusal) => refused(refusal),
        Failure::Internal(error) => internal(state, &error),
    }
}

pub(super) fn refused(refusal: Refusal) -> Response {
    let status = match refusal {
        // RFC 6749, section 5.2 asks for 401 and a challenge when the client
        // tried the header, and allows it always. Everything else, "pending"
        // above all, is 400.
        Refusal::InvalidClient | Refusal::InvalidAssertion(_) => StatusCode::UNAUTHORIZED,
        Refusal::Busy { .. } => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::BAD_REQUEST,
    };
    let body = Body {
        error: refusal.code(),
        error_description: refusal.description(),
    };
    let mut response = private_json(status, &body);
    match refusal {
        Refusal::InvalidClient | Refusal::InvalidAssertion(_) => {
            let challenge =
                HeaderValue::from_static("Basic realm=\"countersign\", charset=\"UTF-8\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        Refusal::Busy { retry_after } => retry_later(&mut response, retry_after),
        _ => {}
    }
    response
}

pub(super) fn internal(state: &AppState, error: &Error) -> Response {
    if let Error::NoKey(_) = error {
        // The key is being made; it takes seconds.
        let body = Body {
            error: "temporarily_unavailable",
            error_description: Some("try again shortly"),
        };
        let mut response = private_json(StatusCode::SERVICE_UNAVAILABLE, &body);
        retry_later(&mut response, Duration::from_secs(2));
        return response;
    }
    state.report(error);
    let body = Body {
        error: "server_error",
        error_description: None,
    };
    private_json(StatusCode::INTERNAL_SERVER_ERROR, &body)
}

fn retry_later(response: &mut Response, retry_after: Duration) {
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from(retry_after.as_secs()));
}
