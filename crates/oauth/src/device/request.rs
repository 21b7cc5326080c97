//! Asking for a device code and a user code (RFC 8628, section 3.1).

use countersign_jose::Timestamp;

use super::DeviceAuthorization;
use crate::error::Endpoint;
use crate::exchange::Exchange;
use crate::flow::Once;
use crate::http::Form;
use crate::{Client, Error, Flow, HttpResponse, Issuer, Metadata, Step, TransportError, answer};

/// The machine that asks for the codes; see
/// [`AuthorizationRequest::start_device`](crate::AuthorizationRequest::start_device). One request, no
/// retry: a second one would leave the server with a code that nobody redeems, and the person with none
/// sooner.
#[derive(Debug)]
pub struct DeviceAuthorizationFlow {
    issuer: Issuer,
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
            state: Once::new(exchange),
        })
    }
}

impl Flow for DeviceAuthorizationFlow {
    type Output = DeviceAuthorization;

    fn poll(&mut self, now: Timestamp) -> Result<Step<DeviceAuthorization>, Error> {
        self.state.poll(now)
    }

    fn handle(&mut self, response: &HttpResponse, now: Timestamp) -> Result<(), Error> {
        let issuer = &self.issuer;
        self.state.handle(response, || {
            let object = answer::object(Endpoint::DeviceAuthorization, response)?;
            DeviceAuthorization::from_object(&object, issuer, now)
        })
    }

    fn transport_failed(&mut self, error: TransportError, _now: Timestamp) {
        self.state.transport_failed(error);
    }
}
