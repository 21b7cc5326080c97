//! Asking for a device code and a user code (RFC 8628, section 3.1).

use countersign_jose::{CryptoProvider, Timestamp};

use super::DeviceAuthorization;
use crate::error::Endpoint;
use crate::exchange::Exchange;
use crate::flow::Once;
use crate::http::Form;
use crate::{
    Client, Error, Flow, HttpResponse, Issuer, Metadata, Secret, Step, TransportError, answer, pkce,
};

/// The machine that asks for the codes; see
/// [`AuthorizationRequest::start_device`](crate::AuthorizationRequest::start_device). One request, no
/// retry: a second one would leave the server with a code that nobody redeems, and the person with none
/// sooner.
#[derive(Debug)]
pub struct DeviceAuthorizationFlow {
    issuer: Issuer,
    code_verifier: Option<Secret>,
    state: Once<DeviceAuthorization>,
}

impl DeviceAuthorizationFlow {
    /// Asks with the parameters in `form`.
    pub(crate) fn new(metadata: &Metadata, client: &Client, form: Form) -> Result<Self, Error> {
        let endpoint = Endpoint::DeviceAuthorization;
        let exchange = Exchange::form(metadata, endpoint, client, form, &[])?;
        // Checked before the person types a code in vain.
        metadata.endpoint(Endpoint::Token)?;
        Ok(Self {
            issuer: metadata.issuer.clone(),
            code_verifier: None,
            state: Once::new(exchange),
        })
    }

    /// Binds the device code to this exchange by PKCE (RFC 7636), before the request is sent.
    ///
    /// No specification has this for the device grant. Keycloak asks for it where a client must use PKCE;
    /// other servers ignore the challenge, as they must, but a verifier may surprise them later.
    ///
    /// # Errors
    /// [`Error::Crypto`] if the provider gives no random numbers.
    pub fn with_pkce(mut self, provider: &CryptoProvider) -> Result<Self, Error> {
        let verifier = pkce::random(provider)?;
        let exchange = self.state.exchange_mut();
        let challenge = pkce::challenge(verifier.expose(), provider);
        exchange.add("code_challenge", challenge);
        exchange.add("code_challenge_method", pkce::METHOD);
        self.code_verifier = Some(verifier);
        Ok(self)
    }
}

impl Flow for DeviceAuthorizationFlow {
    type Output = DeviceAuthorization;

    fn poll(&mut self, now: Timestamp) -> Result<Step<DeviceAuthorization>, Error> {
        self.state.poll(now)
    }

    fn handle(&mut self, response: &HttpResponse, now: Timestamp) -> Result<(), Error> {
        let (issuer, code_verifier) = (&self.issuer, &self.code_verifier);
        self.state.handle(response, || {
            let object = answer::object(Endpoint::DeviceAuthorization, response)?;
            let mut authorization = DeviceAuthorization::from_object(&object, issuer, now)?;
            authorization.code_verifier.clone_from(code_verifier);
            Ok(authorization)
        })
    }

    fn transport_failed(&mut self, error: TransportError, _now: Timestamp) {
        self.state.transport_failed(error);
    }
}
