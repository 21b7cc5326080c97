//! A token in the client's own name (RFC 6749, section 4.4).

use countersign_jose::Timestamp;

use crate::error::Endpoint;
use crate::exchange::Exchange;
use crate::flow::Once;
use crate::{
    AuthorizationRequest, Client, ClientAuthentication, DpopKey, Error, Flow, HttpResponse,
    Metadata, Step, TokenResponse, TransportError, grant,
};

/// The machine that asks for a token with the client's credentials alone. One request, no retry.
#[derive(Debug)]
pub struct ClientCredentialsFlow {
    dpop: Option<DpopKey>,
    state: Once<TokenResponse>,
}

impl ClientCredentialsFlow {
    /// Asks for the scopes, audience, resources and extra parameters of `request`. What is about a
    /// person in it is not sent: there is none.
    ///
    /// # Errors
    /// [`Error::PublicClient`] if the client has nothing to prove who it is with,
    /// [`Error::EndpointMissing`] if the server names no token endpoint, [`Error::Misuse`] if an extra
    /// parameter has the name of one that is already set.
    pub fn new(
        metadata: &Metadata,
        client: &Client,
        request: &AuthorizationRequest,
    ) -> Result<Self, Error> {
        if client.authentication == ClientAuthentication::None {
            return Err(Error::PublicClient);
        }
        let mut form = crate::http::Form::default();
        form.add("grant_type", grant::CLIENT_CREDENTIALS);
        form.append(request.form_without_person()?);
        let exchange = Exchange::form(metadata, Endpoint::Token, client, form, &[])?;
        Ok(Self {
            dpop: client.dpop.clone(),
            state: Once::new(exchange),
        })
    }
}

impl Flow for ClientCredentialsFlow {
    type Output = TokenResponse;

    fn poll(&mut self, now: Timestamp) -> Result<Step<TokenResponse>, Error> {
        self.state.poll(now)
    }

    fn handle(&mut self, response: &HttpResponse, _now: Timestamp) -> Result<(), Error> {
        let dpop = self.dpop.as_ref();
        self.state
            .handle(response, || TokenResponse::bound(response, dpop))
    }

    fn transport_failed(&mut self, error: TransportError, _now: Timestamp) {
        self.state.transport_failed(error);
    }
}
