//! Asking for a device code and a user code (RFC 8628, section 3.1).

use countersign_jose::Timestamp;

use super::DeviceAuthorization;
use crate::error::{Endpoint, Misuse};
use crate::flow::Once;
use crate::http::Form;
use crate::{
    Client, Error, Flow, HttpResponse, Issuer, Metadata, ScopeSet, Step, TransportError, answer,
};

/// What is asked for (RFC 8628, section 3.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceAuthorizationRequest {
    /// The scope; empty leaves the choice to the server.
    pub scopes: ScopeSet,
    /// `audience`, which Auth0 wants in order to issue a token for an API.
    pub audience: Option<String>,
    /// `resource` (RFC 8707, section 2), repeated for each, and sent exactly as given: servers compare
    /// it letter for letter, and a URL type would turn `https://a.example` into `https://a.example/`.
    pub resource: Vec<String>,
    /// Further parameters that the server wants, in this order.
    pub extra: Vec<(String, String)>,
}

impl DeviceAuthorizationRequest {
    /// Asks for `scopes` and nothing else.
    pub fn new(scopes: ScopeSet) -> Self {
        Self {
            scopes,
            ..Self::default()
        }
    }

    /// The machine that sends the request.
    ///
    /// # Errors
    /// [`Error::EndpointMissing`] if the server names no device authorization endpoint,
    /// [`Error::Misuse`] if an extra parameter has the name of one that is already set.
    pub fn start(
        &self,
        metadata: &Metadata,
        client: &Client,
    ) -> Result<DeviceAuthorizationFlow, Error> {
        let endpoint = Endpoint::DeviceAuthorization;
        let url = metadata.endpoint(endpoint)?;
        // Checked before the person types a code in vain.
        metadata.endpoint(Endpoint::Token)?;
        let mut form = Form::default();
        if !self.scopes.is_empty() {
            form.add("scope", self.scopes.to_string());
        }
        if let Some(audience) = &self.audience {
            form.add("audience", audience);
        }
        for resource in &self.resource {
            form.add("resource", resource);
        }
        for (name, value) in &self.extra {
            if form.has(name) || matches!(name.as_str(), "client_id" | "client_secret") {
                return Err(Misuse::ReservedParameter(name.clone()).into());
            }
            form.add(name, value);
        }
        Ok(DeviceAuthorizationFlow {
            issuer: metadata.issuer.clone(),
            state: Once::new(client.post(url, form), client.secrets(&[])),
        })
    }
}

/// The machine that asks for the codes. One request, no retry: a second one would leave the server
/// with a code that nobody redeems, and the person with none sooner.
#[derive(Debug)]
pub struct DeviceAuthorizationFlow {
    issuer: Issuer,
    state: Once<DeviceAuthorization>,
}

impl Flow for DeviceAuthorizationFlow {
    type Output = DeviceAuthorization;

    fn poll(&mut self, _now: Timestamp) -> Result<Step<DeviceAuthorization>, Error> {
        self.state.poll()
    }

    fn handle(&mut self, response: &HttpResponse, now: Timestamp) -> Result<(), Error> {
        let issuer = &self.issuer;
        self.state.handle(|| {
            let object = answer::object(Endpoint::DeviceAuthorization, response)?;
            DeviceAuthorization::from_object(&object, issuer, now)
        })
    }

    fn transport_failed(&mut self, error: TransportError, _now: Timestamp) {
        self.state
            .transport_failed(Endpoint::DeviceAuthorization, error);
    }
}
