//! The device authorization endpoint (RFC 8628, section 3.1).

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::errors::{failure, private_json};
use super::form::Form;
use super::{AppState, Peer, paths};
use crate::core::{AskedSignIn, DeviceRequest, Failure, StartedDevice};

#[derive(Serialize)]
struct Body<'a> {
    device_code: &'a str,
    user_code: &'a str,
    verification_uri: String,
    verification_uri_complete: String,
    expires_in: u64,
    interval: u64,
}

pub(super) async fn authorize(
    State(state): State<AppState>,
    Peer(peer): Peer,
    form: Form,
) -> Response {
    match start(&state, peer, &form).await {
        Ok(started) => answer(&state, &started),
        Err(error) => failure(&state, error),
    }
}

async fn start(
    state: &AppState,
    peer: std::net::IpAddr,
    form: &Form,
) -> Result<StartedDevice, Failure> {
    let request = DeviceRequest {
        credentials: form.credentials(&state.settings)?,
        scope: form.optional("scope").map(str::to_owned),
        resources: form.all("resource"),
        audiences: form.all("audience"),
        sign_in: AskedSignIn {
            acr_values: form.optional("acr_values").map(str::to_owned),
            max_age: form.optional("max_age").map(str::to_owned),
            prompt: form.optional("prompt").map(str::to_owned),
        },
        peer,
        claimed_host: form.optional("countersign_host").map(str::to_owned),
        claimed_command: form.optional("countersign_command").map(str::to_owned),
    };
    state.core.start_device(request, state.now()).await
}

fn answer(state: &AppState, started: &StartedDevice) -> Response {
    let verification_uri = state.settings.url(paths::DEVICE);
    let body = Body {
        device_code: started.device_code.expose(),
        user_code: &started.user_code,
        // Letters and a dash: nothing to encode.
        verification_uri_complete: format!("{verification_uri}?user_code={}", started.user_code),
        verification_uri,
        expires_in: started.expires_in.as_secs(),
        interval: started.interval.as_secs(),
    };
    private_json(StatusCode::OK, &body)
}
