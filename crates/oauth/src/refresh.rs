//! A new access token for a refresh token (RFC 6749, section 6).
//!
//! Not responsible for: seeing to it that one refresh token is spent by one process only.

use countersign_jose::Timestamp;
use url::Url;

use crate::error::Endpoint;
use crate::flow::Once;
use crate::http::Form;
use crate::{
    Client, Error, ErrorCode, Flow, HttpResponse, Metadata, ScopeSet, Secret, Step, TokenResponse,
    TransportError, grant,
};

/// The machine that refreshes. One request, no retry: whether the server has already spent a
/// rotating refresh token whose answer was lost is for the caller to find out by trying again later.
///
/// Its errors say what becomes of the session:
/// - [`Error::RefreshRejected`]: it is over;
/// - [`Error::is_retryable`]: nothing is known; keep it and try again later;
/// - any other: it may still be good, but something must be put right first (the client, the scope,
///   the address).
#[derive(Debug)]
pub struct RefreshFlow {
    state: Once<TokenResponse>,
}

impl RefreshFlow {
    /// A refresh with the scope as it was granted.
    ///
    /// # Errors
    /// [`Error::EndpointMissing`] if the server names no token endpoint.
    pub fn new(
        metadata: &Metadata,
        client: &Client,
        refresh_token: &Secret,
    ) -> Result<Self, Error> {
        Self::with(metadata, client, refresh_token, &ScopeSet::new(), &[])
    }

    /// A refresh that narrows the scope (RFC 6749, section 6) or names resources (RFC 8707,
    /// section 2.2). Empty means as granted.
    ///
    /// # Errors
    /// [`Error::EndpointMissing`] if the server names no token endpoint.
    pub fn with(
        metadata: &Metadata,
        client: &Client,
        refresh_token: &Secret,
        scopes: &ScopeSet,
        resources: &[Url],
    ) -> Result<Self, Error> {
        let mut form = Form::default();
        form.add("grant_type", grant::REFRESH_TOKEN);
        form.add("refresh_token", refresh_token.expose());
        if !scopes.is_empty() {
            form.add("scope", scopes.to_string());
        }
        for resource in resources {
            form.add("resource", resource.as_str());
        }
        let url = metadata.endpoint(Endpoint::Token)?;
        Ok(Self {
            state: Once::new(client.post(url, form), client.secrets(&[refresh_token])),
        })
    }
}

impl Flow for RefreshFlow {
    type Output = TokenResponse;

    fn poll(&mut self, _now: Timestamp) -> Result<Step<TokenResponse>, Error> {
        self.state.poll()
    }

    fn handle(&mut self, response: &HttpResponse, _now: Timestamp) -> Result<(), Error> {
        self.state
            .handle(|| TokenResponse::from_response(response).map_err(classify))
    }

    fn transport_failed(&mut self, error: TransportError, _now: Timestamp) {
        self.state.transport_failed(Endpoint::Token, error);
    }
}

/// A refusal ends the session unless it is about something else than the refresh token. An empty
/// answer or a made-up code with a 4xx status is what some servers say of a spent token.
fn classify(error: Error) -> Error {
    let Error::Refused(refusal) = error else {
        return error;
    };
    match &refusal.code {
        Some(ErrorCode::InvalidClient | ErrorCode::InvalidScope | ErrorCode::InvalidTarget) => {
            Error::Refused(refusal)
        }
        None if matches!(refusal.status, 404 | 405 | 410) => Error::Refused(refusal),
        _ => Error::RefreshRejected(refusal),
    }
}
