//! Redeeming an authorization code (RFC 6749, section 4.1.3; RFC 7636, section 4.5).

use countersign_jose::Timestamp;

use super::pending::Asked;
use super::{AuthorizationCode, PendingAuthorization};
use crate::error::{Endpoint, Misuse};
use crate::exchange::Exchange;
use crate::flow::Once;
use crate::http::Form;
use crate::id_token::IdTokenError;
use crate::{
    Client, DpopKey, Error, ErrorCode, Flow, HttpResponse, Metadata, Step, TokenResponse,
    TransportError, grant,
};

/// The machine that redeems a code. One request, no retry: a code works once, and a server may end
/// what a code has brought when it sees it again (RFC 6749, section 4.1.2).
#[derive(Debug)]
pub struct CodeFlow {
    dpop: Option<DpopKey>,
    asked: Asked,
    state: Once<TokenResponse>,
}

impl CodeFlow {
    /// Redeems `code`, which answered `pending`.
    ///
    /// # Errors
    /// [`Error::EndpointMissing`] if the server names no token endpoint, [`Error::Misuse`] if the code was
    /// asked for at another server or as another client.
    pub fn new(
        metadata: &Metadata,
        client: &Client,
        pending: &PendingAuthorization,
        code: &AuthorizationCode,
    ) -> Result<Self, Error> {
        if metadata.issuer != pending.issuer || client.client_id != pending.client.client_id {
            return Err(Misuse::OtherRequest.into());
        }
        let AuthorizationCode(code) = code;
        let verifier = &pending.verifier;
        let mut form = Form::default();
        form.add("grant_type", grant::AUTHORIZATION_CODE);
        form.add("code", code.expose());
        form.add("redirect_uri", pending.redirect_uri());
        form.add("code_verifier", verifier.expose());
        // RFC 8707, section 2.2. Of several resources the server chooses: many take one at a time.
        if let Some(resource) = &pending.asked.resource {
            form.add("resource", resource);
        }
        let endpoint = Endpoint::Token;
        let exchange = Exchange::form(metadata, endpoint, client, form, &[code, verifier])?;
        Ok(Self {
            dpop: client.dpop.clone(),
            asked: pending.asked.clone(),
            state: Once::new(exchange),
        })
    }
}

impl Flow for CodeFlow {
    type Output = TokenResponse;

    fn poll(&mut self, now: Timestamp) -> Result<Step<TokenResponse>, Error> {
        self.state.poll(now)
    }

    fn handle(&mut self, response: &HttpResponse, _now: Timestamp) -> Result<(), Error> {
        let (dpop, asked) = (self.dpop.as_ref(), &self.asked);
        self.state.handle(response, || {
            let tokens = TokenResponse::bound(response, dpop).map_err(classify)?;
            asked.check(&tokens)?;
            Ok(tokens)
        })
    }

    fn transport_failed(&mut self, error: TransportError, _now: Timestamp) {
        self.state.transport_failed(error);
    }
}

impl Asked {
    /// An ID token must be there if `openid` was asked for (OpenID Connect Core 1.0, section 3.1.3.3),
    /// unless the server says that it did not grant that; and in any case if it is to prove something.
    fn check(&self, tokens: &TokenResponse) -> Result<(), Error> {
        let granted = tokens.scope.as_deref().filter(|scope| !scope.is_empty());
        let openid = self.openid
            && granted.is_none_or(|scope| scope.split_whitespace().any(|token| token == "openid"));
        let proves = !self.acr_values.is_empty() || self.max_age.is_some();
        if tokens.id_token.is_none() && (openid || proves) {
            return Err(Error::IdToken(IdTokenError::Missing));
        }
        Ok(())
    }
}

/// Of a code, `invalid_grant` says that it is no good (RFC 6749, section 5.2).
fn classify(error: Error) -> Error {
    match error {
        Error::Refused(refusal) if refusal.code == Some(ErrorCode::InvalidGrant) => {
            Error::CodeRejected(refusal)
        }
        Error::Refused(refusal) if refusal.code == Some(ErrorCode::AccessDenied) => {
            Error::AccessDenied(refusal)
        }
        other => other,
    }
}
