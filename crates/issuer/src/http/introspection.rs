//! The introspection endpoint (RFC 7662).

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::AppState;
use super::errors::{failure, private_json};
use super::form::Form;
use crate::core::{Failure, Introspection};

pub(super) async fn introspect(State(state): State<AppState>, form: Form) -> Response {
    match inspect(&state, &form).await {
        Ok(introspection) => private_json(StatusCode::OK, &introspection),
        Err(error) => failure(&state, error),
    }
}

async fn inspect(state: &AppState, form: &Form) -> Result<Introspection, Failure> {
    let credentials = form.credentials(&state.settings)?;
    let token = form.required("token", "token is missing")?;
    state
        .core
        .introspect(&credentials, token, state.now())
        .await
}
