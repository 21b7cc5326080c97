//! The userinfo endpoint (`OpenID` Connect Core 1.0, section 5.3).

use axum::extract::State;
use axum::response::Response;
use countersign_oauth::Secret;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;

use super::AppState;
use super::errors::{internal, private_json};
use super::form::{Form, bearer};
use crate::core::TokenProblem;

/// `GET`, with the token in the header.
pub(super) async fn get(State(state): State<AppState>, headers: HeaderMap) -> Response {
    answer(&state, in_header(&headers))
}

/// `POST`, with the token in the header or the form.
pub(super) async fn post(
    State(state): State<AppState>,
    headers: HeaderMap,
    form: Result<Form, Response>,
) -> Response {
    match form {
        Ok(form) => answer(&state, form.into_bearer()),
        // A POST without a form is one without a body.
        Err(_) if is_empty(&headers) => answer(&state, in_header(&headers)),
        Err(refused) => refused,
    }
}

fn answer(state: &AppState, token: Option<Secret>) -> Response {
    let Some(token) = token else {
        // RFC 6750, section 3.1: no error code when nothing was presented.
        return challenge(
            StatusCode::UNAUTHORIZED,
            "Bearer realm=\"countersign\"",
            None,
        );
    };
    match state.core.user_info(token.expose(), state.now()) {
        Ok(Ok(user_info)) => private_json(StatusCode::OK, &user_info),
        Ok(Err(TokenProblem::InsufficientScope)) => challenge(
            StatusCode::FORBIDDEN,
            "Bearer realm=\"countersign\", error=\"insufficient_scope\", scope=\"openid\"",
            Some("insufficient_scope"),
        ),
        Ok(Err(_)) => challenge(
            StatusCode::UNAUTHORIZED,
            "Bearer realm=\"countersign\", error=\"invalid_token\"",
            Some("invalid_token"),
        ),
        Err(error) => internal(state, &error),
    }
}

fn challenge(status: StatusCode, challenge: &'static str, error: Option<&'static str>) -> Response {
    #[derive(Serialize)]
    struct Body {
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'static str>,
    }
    let mut response = private_json(status, &Body { error });
    response
        .headers_mut()
        .insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response
}

fn in_header(headers: &HeaderMap) -> Option<Secret> {
    bearer(headers.get(AUTHORIZATION)?.to_str().ok()?)
}

fn is_empty(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_LENGTH)
        .is_none_or(|length| length == "0")
}
