//! `DPoP` on the wire: one header in, one header out (RFC 9449, sections 4.1
//! and 8).

use axum::response::Response;
use countersign_oauth::Secret;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::AppState;
use crate::core::{DpopProof, Refusal};

const DPOP: HeaderName = HeaderName::from_static("dpop");
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// The `DPoP` header; more than one is a malformed request.
pub(super) fn header(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut values = headers.get_all(DPOP).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match value.to_str() {
            Ok(proof) => Ok(Some(proof.to_owned())),
            Err(_) => Err(Refusal::InvalidDpopProof("the DPoP header is malformed")),
        },
        (Some(_), Some(_)) => Err(Refusal::InvalidDpopProof("there are two DPoP headers")),
    }
}

/// A header with the request it came with.
pub(super) fn proof(header: &str, htm: &'static str, htu: String) -> DpopProof {
    DpopProof {
        jwt: Secret::new(header),
        htm,
        htu,
    }
}

/// An answer with a nonce for the next proof.
pub(super) fn with_nonce(state: &AppState, mut response: Response) -> Response {
    if let Ok(nonce) = HeaderValue::from_str(&state.core.dpop_nonce(state.now())) {
        response.headers_mut().insert(DPOP_NONCE, nonce);
    }
    response
}

/// The same where the next proof needs one. Where none does, a client that was
/// given one would only use it when it is too old, and have to ask again.
pub(super) fn with_next_nonce(state: &AppState, response: Response) -> Response {
    if state.core.requires_dpop_nonce() {
        with_nonce(state, response)
    } else {
        response
    }
}
