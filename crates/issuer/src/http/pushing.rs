//! The pushed authorization request endpoint (RFC 9126, section 2).

use std::net::IpAddr;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::dpop::with_next_nonce;
use super::errors::{failure, private_json};
use super::form::Form;
use super::{AppState, Peer, paths};
use crate::core::{Failure, PushRequest, Pushed};

#[derive(Serialize)]
struct Body<'a> {
    request_uri: &'a str,
    expires_in: u64,
}

pub(super) async fn push(State(state): State<AppState>, Peer(peer): Peer, form: Form) -> Response {
    match store(&state, peer, &form).await {
        Ok(pushed) => {
            let body = Body {
                request_uri: pushed.request_uri.expose(),
                expires_in: pushed.expires_in.as_secs(),
            };
            with_next_nonce(&state, private_json(StatusCode::CREATED, &body))
        }
        Err(error) => failure(&state, error),
    }
}

async fn store(state: &AppState, peer: IpAddr, form: &Form) -> Result<Pushed, Failure> {
    let credentials = form.credentials(&state.settings)?;
    let request = PushRequest {
        credentials: credentials.with_dpop(form.proof(&state.settings, paths::PUSHED_REQUEST)),
        parameters: form.authorization_parameters(),
        peer,
    };
    state.core.push_authorization(request, state.now()).await
}
