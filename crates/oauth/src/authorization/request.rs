//! What is asked for, whichever way the person signs in.

use std::time::Duration;

use countersign_jose::CryptoProvider;

use super::AuthorizationFlow;
use crate::device::DeviceAuthorizationFlow;
use crate::error::Misuse;
use crate::http::Form;
use crate::{Client, Error, Metadata, ScopeSet};

/// Parameters that this crate sets, or whose effect it does not know how to handle: another
/// `response_mode` sends the code where nobody waits for it, and `request` replaces everything else.
const RESERVED: [&str; 17] = [
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "device_code",
    "dpop_jkt",
    "grant_type",
    "nonce",
    "redirect_uri",
    "request",
    "request_uri",
    "response_mode",
    "response_type",
    "state",
];

/// What is asked for: of the device authorization endpoint (RFC 8628, section 3.1), or of the
/// authorization endpoint (RFC 6749, section 4.1.1; OpenID Connect Core 1.0, section 3.1.2.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthorizationRequest {
    /// The scope; empty leaves the choice to the server.
    pub scopes: ScopeSet,
    /// `audience`, which Auth0 wants in order to issue a token for an API.
    pub audience: Option<String>,
    /// `resource` (RFC 8707, section 2), repeated for each, and sent exactly as given: servers compare
    /// it letter for letter, and a URL type would turn `https://a.example` into `https://a.example/`.
    pub resource: Vec<String>,
    /// `prompt`: what the server shall ask, or not ask, the person; values separated by spaces.
    pub prompt: Option<String>,
    /// `login_hint`: who is probably signing in.
    pub login_hint: Option<String>,
    /// `acr_values`: how the person shall authenticate, the preferred first. In the code flow the ID
    /// token must name one of them.
    pub acr_values: Vec<String>,
    /// `max_age`: how long ago the person may have authenticated. In the code flow the ID token must
    /// prove it.
    pub max_age: Option<Duration>,
    /// Further parameters that the server wants, in this order.
    pub extra: Vec<(String, String)>,
    /// Whether the authorization request is pushed first. The device grant has no such thing.
    pub push: Push,
}

/// When an authorization request goes to the server directly, and not through the browser (RFC 9126).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Push {
    /// If the server requires it.
    #[default]
    IfRequired,
    /// Always: then nothing of the request can be read or changed in the browser.
    Always,
}

impl AuthorizationRequest {
    /// Asks for `scopes` and nothing else.
    pub fn new(scopes: ScopeSet) -> Self {
        Self {
            scopes,
            ..Self::default()
        }
    }

    /// The machine that asks for a device code (RFC 8628, section 3.1).
    ///
    /// # Errors
    /// [`Error::EndpointMissing`] if the server names no device authorization endpoint,
    /// [`Error::Misuse`] if an extra parameter has the name of one that is already set.
    pub fn start_device(
        &self,
        metadata: &Metadata,
        client: &Client,
    ) -> Result<DeviceAuthorizationFlow, Error> {
        DeviceAuthorizationFlow::new(metadata, client, self.form()?)
    }

    /// The machine that prepares a sign-in by authorization code (RFC 6749, section 4.1).
    ///
    /// `redirect_uri` is sent exactly as given: servers compare it letter for letter, but for the port on
    /// a loopback address (RFC 8252, section 7.3). `provider` makes `state`, `nonce` and the PKCE verifier,
    /// 256 random bits each.
    ///
    /// # Errors
    /// [`Error::EndpointMissing`] if the server names no authorization or token endpoint, or no pushed
    /// authorization request endpoint where it is to be used; [`Error::InvalidRedirectUri`];
    /// [`Error::Misuse`] if an extra parameter has the name of one that is already set.
    pub fn start_code(
        &self,
        metadata: &Metadata,
        client: &Client,
        redirect_uri: &str,
        provider: &'static CryptoProvider,
    ) -> Result<AuthorizationFlow, Error> {
        AuthorizationFlow::new(self, metadata, client, redirect_uri, provider)
    }

    /// The parameters that every way to ask has in common.
    pub(crate) fn form(&self) -> Result<Form, Error> {
        let mut form = self.access();
        if let Some(prompt) = &self.prompt {
            form.add("prompt", prompt);
        }
        if let Some(hint) = &self.login_hint {
            form.add("login_hint", hint);
        }
        if !self.acr_values.is_empty() {
            form.add("acr_values", self.acr_values.join(" "));
        }
        if let Some(max_age) = self.max_age {
            form.add("max_age", max_age.as_secs().to_string());
        }
        self.add_extra(&mut form)?;
        Ok(form)
    }

    /// The parameters that say what the token is for, and nothing about a person.
    fn access(&self) -> Form {
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
        form
    }

    /// What is asked for in the client's own name.
    pub(crate) fn form_without_person(&self) -> Result<Form, Error> {
        let mut form = self.access();
        self.add_extra(&mut form)?;
        Ok(form)
    }

    fn add_extra(&self, form: &mut Form) -> Result<(), Error> {
        for (name, value) in &self.extra {
            if form.has(name) || RESERVED.contains(&name.as_str()) {
                return Err(Misuse::ReservedParameter(name.clone()).into());
            }
            form.add(name, value);
        }
        Ok(())
    }
}
