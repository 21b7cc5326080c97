//! The token endpoint (RFC 6749, section 3.2).

use axum::extract::State;
use axum::response::Response;
use countersign_oauth::{Secret, TokenTypeId};
use http::StatusCode;
use serde::Serialize;

use super::dpop::with_next_nonce;
use super::errors::{failure, private_json};
use super::form::Form;
use super::{AppState, paths};
use crate::core::{CodeRequest, ExchangeRequest, Failure, GrantType, Refusal, Tokens};

#[derive(Serialize)]
struct Body<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    scope: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'a str>,
}

pub(super) async fn token(State(state): State<AppState>, form: Form) -> Response {
    match grant(&state, &form).await {
        Ok(tokens) => with_next_nonce(&state, answer(&tokens)),
        Err(error) => failure(&state, error),
    }
}

async fn grant(state: &AppState, form: &Form) -> Result<Tokens, Failure> {
    let credentials = form.credentials(&state.settings)?;
    let credentials = credentials.with_dpop(form.proof(&state.settings, paths::TOKEN));
    let grant_type = form.required("grant_type", "grant_type is missing")?;
    let grant_type = GrantType::from_name(grant_type).ok_or(Refusal::UnsupportedGrantType)?;
    let resources = form.all("resource");
    let now = state.now();
    match grant_type {
        GrantType::AuthorizationCode => {
            let code = form.required("code", "code is missing")?;
            let redirect_uri = form.required("redirect_uri", "redirect_uri is missing")?;
            let verifier = form.required("code_verifier", "code_verifier is missing")?;
            let request = CodeRequest {
                credentials,
                code: Secret::new(code),
                redirect_uri: redirect_uri.to_owned(),
                code_verifier: Secret::new(verifier),
                resources,
            };
            state.core.redeem_code(request, now).await
        }
        GrantType::ClientCredentials => {
            let (scope, audiences) = (form.optional("scope"), form.all("audience"));
            state
                .core
                .client_credentials(&credentials, scope, &resources, &audiences, now)
                .await
        }
        GrantType::DeviceCode => {
            let code = form.required("device_code", "device_code is missing")?;
            state
                .core
                .redeem_device(&credentials, code, &resources, now)
                .await
        }
        GrantType::RefreshToken => {
            let token = form.required("refresh_token", "refresh_token is missing")?;
            let scope = form.optional("scope");
            // Whoever has asked for an API by its name narrows by it, too.
            let apis = [resources, form.all("audience")].concat();
            state
                .core
                .refresh(&credentials, token, scope, &apis, now)
                .await
        }
        GrantType::TokenExchange => {
            let text = |name| form.optional(name).map(str::to_owned);
            let subject = form.required("subject_token", "subject_token is missing")?;
            let kind = form.required("subject_token_type", "subject_token_type is missing")?;
            let request = ExchangeRequest {
                credentials,
                subject_token: Secret::new(subject),
                subject_token_type: kind.to_owned(),
                actor_token: form.optional("actor_token").map(Secret::new),
                actor_token_type: text("actor_token_type"),
                requested_token_type: text("requested_token_type"),
                scope: text("scope"),
                resources,
                audiences: form.all("audience"),
            };
            state.core.exchange(request, now).await
        }
    }
}

fn answer(tokens: &Tokens) -> Response {
    let body = Body {
        access_token: tokens.access_token.expose(),
        token_type: tokens.token_type.name(),
        expires_in: tokens.expires_in.as_secs(),
        scope: &tokens.scope,
        refresh_token: tokens.refresh_token.as_ref().map(Secret::expose),
        id_token: tokens.id_token.as_ref().map(Secret::expose),
        issued_token_type: tokens.issued_token_type.as_ref().map(TokenTypeId::as_str),
    };
    private_json(StatusCode::OK, &body)
}
