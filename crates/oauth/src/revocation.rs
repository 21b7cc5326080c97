//! Ending a token (RFC 7009).

use countersign_jose::Timestamp;

use crate::error::Endpoint;
use crate::exchange::Exchange;
use crate::flow::Once;
use crate::http::Form;
use crate::{
    Client, Error, Flow, HttpResponse, Metadata, PeerMisbehaved, Secret, Step, TransportError,
    answer,
};

/// What kind of token it is, to help the server find it (RFC 7009, section 2.1; RFC 7662, section 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenTypeHint {
    /// `access_token`.
    AccessToken,
    /// `refresh_token`.
    RefreshToken,
}

impl TokenTypeHint {
    /// The value on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::RefreshToken => "refresh_token",
        }
    }
}

/// The machine that revokes one token. A token that the server does not know counts as revoked
/// (RFC 7009, section 2.2).
#[derive(Debug)]
pub struct RevocationFlow {
    state: Once<()>,
}

impl RevocationFlow {
    /// Revokes `token`.
    ///
    /// # Errors
    /// [`Error::EndpointMissing`] if the server names no revocation endpoint.
    pub fn new(
        metadata: &Metadata,
        client: &Client,
        token: &Secret,
        hint: TokenTypeHint,
    ) -> Result<Self, Error> {
        let mut form = Form::default();
        form.add("token", token.expose());
        form.add("token_type_hint", hint.as_str());
        let exchange = Exchange::form(metadata, Endpoint::Revocation, client, form, &[token])?;
        Ok(Self {
            state: Once::new(exchange),
        })
    }
}

impl Flow for RevocationFlow {
    type Output = ();

    fn poll(&mut self, now: Timestamp) -> Result<Step<()>, Error> {
        self.state.poll(now)
    }

    fn handle(&mut self, response: &HttpResponse, _now: Timestamp) -> Result<(), Error> {
        self.state.handle(response, || read(response))
    }

    fn transport_failed(&mut self, error: TransportError, _now: Timestamp) {
        self.state.transport_failed(error);
    }
}

/// The body of a success means nothing (RFC 7009, section 2.2), as long as it is not an error after
/// all or a page of somebody else's.
fn read(response: &HttpResponse) -> Result<(), Error> {
    match answer::object(Endpoint::Revocation, response) {
        Ok(_) => Ok(()),
        Err(Error::PeerMisbehaved { what, .. })
            if matches!(response.status, 200 | 204)
                && !matches!(what, PeerMisbehaved::Html { .. } | PeerMisbehaved::TooLarge) =>
        {
            Ok(())
        }
        Err(error) => Err(error),
    }
}
