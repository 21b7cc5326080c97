//! The userinfo endpoint (`OpenID` Connect Core 1.0, section 5.3).

use axum::extract::State;
use axum::response::Response;
use countersign_jose::Algorithm;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;

use super::dpop::{self, with_next_nonce, with_nonce};
use super::errors::{internal, private_json};
use super::form::Form;
use super::presented::{Presented, Scheme};
use super::{AppState, paths};
use crate::core::{DPOP_ALGORITHMS, DpopProof, TokenProblem};

/// `GET`, with the token in the header.
pub(super) async fn get(State(state): State<AppState>, headers: HeaderMap) -> Response {
    answer(&state, "GET", &headers, in_header(&headers))
}

/// `POST`, with the token in the header or the form.
pub(super) async fn post(
    State(state): State<AppState>,
    headers: HeaderMap,
    form: Result<Form, Response>,
) -> Response {
    match form {
        Ok(form) => answer(&state, "POST", &headers, form.into_presented()),
        // A POST without a form is one without a body.
        Err(_) if is_empty(&headers) => answer(&state, "POST", &headers, in_header(&headers)),
        Err(refused) => refused,
    }
}

fn answer(
    state: &AppState,
    method: &'static str,
    headers: &HeaderMap,
    presented: Option<Presented>,
) -> Response {
    let Some(Presented { scheme, token }) = presented else {
        return nothing_presented();
    };
    let proof = match scheme {
        Scheme::Bearer => None,
        Scheme::Dpop => match proof(state, method, headers) {
            Ok(proof) => Some(proof),
            Err(problem) => return refused(state, scheme, problem),
        },
    };
    match state
        .core
        .user_info(token.expose(), proof.as_ref(), state.now())
    {
        Ok(Ok(user_info)) => {
            let response = private_json(StatusCode::OK, &user_info);
            match scheme {
                Scheme::Bearer => response,
                Scheme::Dpop => with_next_nonce(state, response),
            }
        }
        Ok(Err(problem)) => refused(state, scheme, problem),
        Err(error) => internal(state, &error),
    }
}

/// The proof that goes with a token of the scheme `DPoP`.
fn proof(
    state: &AppState,
    method: &'static str,
    headers: &HeaderMap,
) -> Result<DpopProof, TokenProblem> {
    match dpop::header(headers) {
        Ok(Some(jwt)) => {
            let url = state.settings.url(paths::USERINFO);
            Ok(dpop::proof(&jwt, method, url))
        }
        Ok(None) => Err(TokenProblem::InvalidDpopProof("the DPoP header is missing")),
        Err(_) => Err(TokenProblem::InvalidDpopProof(
            "the DPoP header is malformed or there are two",
        )),
    }
}

/// No error code when nothing was presented (RFC 6750, section 3.1), and both
/// ways to present something (RFC 9449, section 7.2).
fn nothing_presented() -> Response {
    let mut response = private_json(StatusCode::UNAUTHORIZED, &Body { error: None });
    for challenge in [Scheme::Bearer, Scheme::Dpop].map(|scheme| challenge(scheme, &[])) {
        response.headers_mut().append(WWW_AUTHENTICATE, challenge);
    }
    response
}

fn refused(state: &AppState, scheme: Scheme, problem: TokenProblem) -> Response {
    let (status, error) = match problem {
        TokenProblem::InsufficientScope => (StatusCode::FORBIDDEN, "insufficient_scope"),
        TokenProblem::InvalidDpopProof(_) => (StatusCode::UNAUTHORIZED, "invalid_dpop_proof"),
        TokenProblem::UseDpopNonce => (StatusCode::UNAUTHORIZED, "use_dpop_nonce"),
        TokenProblem::Invalid | TokenProblem::KeyNotProved => {
            (StatusCode::UNAUTHORIZED, "invalid_token")
        }
    };
    let why = problem.to_string();
    let challenge = match problem {
        TokenProblem::InsufficientScope => {
            challenge(scheme, &[("error", error), ("scope", "openid")])
        }
        // Whoever sent it as a bearer is told how it is to be sent.
        TokenProblem::KeyNotProved => challenge(
            Scheme::Dpop,
            &[("error", error), ("error_description", &why)],
        ),
        TokenProblem::InvalidDpopProof(_) => {
            challenge(scheme, &[("error", error), ("error_description", &why)])
        }
        TokenProblem::Invalid | TokenProblem::UseDpopNonce => {
            challenge(scheme, &[("error", error)])
        }
    };
    let mut response = private_json(status, &Body { error: Some(error) });
    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    match problem {
        TokenProblem::UseDpopNonce => with_nonce(state, response),
        _ => response,
    }
}

#[derive(Serialize)]
struct Body {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

fn challenge(scheme: Scheme, parameters: &[(&str, &str)]) -> HeaderValue {
    let algorithms = DPOP_ALGORITHMS.map(Algorithm::name).join(" ");
    let algs = (scheme == Scheme::Dpop).then_some(("algs", algorithms.as_str()));
    // Values are our own words: nothing in them needs quoting.
    let parameters: Vec<String> = [("realm", "countersign")]
        .iter()
        .chain(parameters)
        .chain(&algs)
        .map(|(name, value)| format!("{name}=\"{value}\""))
        .collect();
    let challenge = format!("{} {}", scheme.name(), parameters.join(", "));
    HeaderValue::from_str(&challenge).unwrap_or(HeaderValue::from_static("Bearer"))
}

fn in_header(headers: &HeaderMap) -> Option<Presented> {
    Presented::in_header(headers.get(AUTHORIZATION)?.to_str().ok()?)
}

fn is_empty(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_LENGTH)
        .is_none_or(|length| length == "0")
}
