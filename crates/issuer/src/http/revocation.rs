//! The revocation endpoint (RFC 7009).

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CACHE_CONTROL;

use super::AppState;
use super::errors::failure;
use super::form::Form;
use crate::core::Failure;

pub(super) async fn revoke(State(state): State<AppState>, form: Form) -> Response {
    match end(&state, &form).await {
        // RFC 7009, section 2.2: 200 also for a token that is unknown.
        Ok(()) => (StatusCode::OK, [(CACHE_CONTROL, "no-store")]).into_response(),
        Err(error) => failure(&state, error),
    }
}

async fn end(state: &AppState, form: &Form) -> Result<(), Failure> {
    let credentials = form.credentials(&state.settings)?;
    // Our tokens say what they are: `token_type_hint` has nothing to add.
    let token = form.required("token", "token is missing")?;
    state.core.revoke(&credentials, token, state.now()).await
}
