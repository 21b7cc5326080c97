//! A new access token for a refresh token (RFC 6749, section 6).
//!
//! Not responsible for: seeing to it that one refresh token is spent by one process only.

use countersign_jose::Timestamp;

use crate::error::Endpoint;
use crate::exchange::Exchange;
use crate::flow::Once;
use crate::http::Form;
use crate::{
    Client, DpopKey, Error, ErrorCode, Flow, HttpResponse, Metadata, Secret, Step, Target,
    TokenResponse, TransportError, grant,
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
    dpop: Option<DpopKey>,
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
        Self::with(metadata, client, refresh_token, &Target::default())
    }

    /// A refresh that narrows the scope (RFC 6749, section 6) or names the API that the access token is
    /// to be for (RFC 8707, section 2.2). Empty means as granted.
    ///
    /// # Errors
    /// [`Error::EndpointMissing`] if the server names no token endpoint.
    pub fn with(
        metadata: &Metadata,
        client: &Client,
        refresh_token: &Secret,
        target: &Target,
    ) -> Result<Self, Error> {
        let mut form = Form::default();
        form.add("grant_type", grant::REFRESH_TOKEN);
        form.add("refresh_token", refresh_token.expose());
        target.add_to(&mut form);
        let exchange = Exchange::form(metadata, Endpoint::Token, client, form, &[refresh_token])?;
        Ok(Self {
            dpop: client.dpop.clone(),
            state: Once::new(exchange),
        })
    }
}

impl Flow for RefreshFlow {
    type Output = TokenResponse;

    fn poll(&mut self, now: Timestamp) -> Result<Step<TokenResponse>, Error> {
        self.state.poll(now)
    }

    fn handle(&mut self, response: &HttpResponse, _now: Timestamp) -> Result<(), Error> {
        let dpop = self.dpop.as_ref();
        self.state.handle(response, || {
            TokenResponse::bound(response, dpop).map_err(classify)
        })
    }

    fn transport_failed(&mut self, error: TransportError, _now: Timestamp) {
        self.state.transport_failed(error);
    }
}

/// A refusal ends the session if it is about the refresh token or the person. What is about the
/// client, the request or the moment leaves the token as good as it was.
///
/// Some servers say of a spent token nothing at all, or something of their own making: that counts
/// with the statuses of RFC 6749, section 5.2, and not with those that a firewall in between uses.
fn classify(error: Error) -> Error {
    let Error::Refused(refusal) = error else {
        return error;
    };
    match &refusal.code {
        Some(
            ErrorCode::InvalidClient
            | ErrorCode::UnauthorizedClient
            | ErrorCode::UnsupportedGrantType
            | ErrorCode::InvalidRequest
            | ErrorCode::InvalidScope
            | ErrorCode::InvalidTarget
            | ErrorCode::InvalidDpopProof
            | ErrorCode::UseDpopNonce,
        ) => Error::Refused(refusal),
        Some(ErrorCode::SlowDown | ErrorCode::AuthorizationPending) => Error::Unavailable {
            endpoint: refusal.endpoint,
            status: refusal.status,
            retry_after: None,
            refusal: Some(refusal),
        },
        Some(ErrorCode::Other(_)) | None if !matches!(refusal.status, 400 | 401) => {
            Error::Refused(refusal)
        }
        _ => Error::RefreshRejected(refusal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: u16, body: &str) -> Error {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let body = body.as_bytes().to_vec();
        let answer = HttpResponse {
            status,
            headers,
            body,
        };
        classify(TokenResponse::from_response(&answer).unwrap_err())
    }

    #[test]
    fn only_a_refusal_of_the_token_or_the_person_ends_the_session() {
        for (status, body) in [
            (400, r#"{"error":"invalid_grant"}"#),
            (403, r#"{"error":"invalid_grant"}"#),
            (403, r#"{"error":"access_denied"}"#),
            (400, r#"{"error":"interaction_required"}"#),
            (400, r#"{"error":"token_already_spent"}"#),
            (401, "{}"),
        ] {
            let error = verdict(status, body);
            let rejected = matches!(error, Error::RefreshRejected(_));
            assert!(rejected, "{status} {body}: {error:?}");
        }
    }

    #[test]
    fn what_is_about_the_client_the_request_or_a_firewall_does_not_end_it() {
        for (status, body) in [
            (401, r#"{"error":"invalid_client"}"#),
            (400, r#"{"error":"unauthorized_client"}"#),
            (400, r#"{"error":"unsupported_grant_type"}"#),
            (400, r#"{"error":"invalid_request"}"#),
            (400, r#"{"error":"invalid_scope"}"#),
            (403, r#"{"message":"Forbidden"}"#),
            (403, r#"{"error":"blocked_by_policy"}"#),
            (404, "{}"),
        ] {
            let error = verdict(status, body);
            let refused = matches!(error, Error::Refused(_));
            assert!(refused, "{status} {body}: {error:?}");
        }
    }

    #[test]
    fn being_asked_to_slow_down_is_a_matter_of_time() {
        for status in [400, 429] {
            let error = verdict(status, r#"{"error":"slow_down"}"#);
            assert!(error.is_retryable(), "{status}");
        }
    }
}
